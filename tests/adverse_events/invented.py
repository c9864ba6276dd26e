"""An invented dictionary in the layout of a MedDRA distribution. No code or word of MedDRA is in it.

Codes begin with 9, which MedDRA's do not. `linked` puts codes of CTCAE terms, which NCI publishes, on invented words,
so that coding by the CTCAE code can be tried.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FIRST = (
    "bra",
    "cli",
    "dro",
    "fen",
    "gul",
    "hap",
    "jor",
    "kel",
    "lum",
    "mip",
    "nox",
    "pra",
    "qui",
    "rul",
    "sta",
    "tov",
)
_MIDDLE = ("bi", "do", "fe", "ga", "lo", "mu", "ne", "pi", "ra", "so", "ta", "vu", "xe", "zo")
_LAST = ("cle", "dine", "form", "gant", "lisk", "mora", "nest", "pyle", "rune", "sium", "tron", "vane")
_HAN = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥金木水火土"


@dataclass
class Invented:
    """Sizes of a dictionary; `moved`, `retired`, `dropped` make the next version differ from the one before."""

    version: str = "91.0"
    socs: int = 3
    hlgts: int = 4
    hlts: int = 6
    pts: int = 20
    llts: int = 60  # with those that share the code of their PT
    linked: Sequence[str] = ()  # codes of LLTs of the first PTs, one each
    moved: Sequence[str] = ()  # LLTs that belong to the last PT
    retired: Sequence[str] = ()  # LLTs that are no longer current
    dropped: Sequence[str] = ()  # LLTs that are gone
    language: str = "English"
    words: Mapping[str, str] = field(default_factory=dict)  # code -> name

    def codes(self, level: int, count: int) -> list[str]:
        return [f"9{level}{number:06d}" for number in range(1, count + 1)]

    def name(self, code: str) -> str:
        if code in self.words:
            return self.words[code]
        dice = random.Random(code)  # invented words, no secret
        if self.language == "Chinese":
            return "".join(dice.choices(_HAN, k=dice.randint(3, 8)))
        words = (dice.choice(_FIRST) + dice.choice(_MIDDLE) + dice.choice(_LAST) for _ in range(dice.randint(1, 4)))
        return " ".join(words).capitalize()

    def files(self) -> dict[str, str]:
        """The text of each file, with the line ends of the publisher."""
        socs, hlgts, hlts, pts = (
            self.codes(level, count)
            for level, count in ((1, self.socs), (2, self.hlgts), (3, self.hlts), (4, self.pts))
        )
        soc_of_hlgt = {code: socs[place % len(socs)] for place, code in enumerate(hlgts)}
        hlgt_of_hlt = {code: hlgts[place % len(hlgts)] for place, code in enumerate(hlts)}
        paths = []
        for place, pt in enumerate(pts):
            paths.append((pt, hlts[place % len(hlts)], True))
            if place % 3 == 0 and len(hlts) > 1:
                paths.append((pt, hlts[(place + 1) % len(hlts)], False))
        soc_of_pt = {pt: soc_of_hlgt[hlgt_of_hlt[hlt]] for pt, hlt, primary in paths if primary}
        rest = self.codes(5, max(0, self.llts - len(pts) - len(self.linked)))
        llts = [(pt, pt) for pt in pts]
        llts += [(code, pts[-1] if code in self.moved else pts[place]) for place, code in enumerate(self.linked)]
        llts += [(code, pts[-1] if code in self.moved else pts[place % len(pts)]) for place, code in enumerate(rest)]
        llts = [(code, pt) for code, pt in llts if code not in self.dropped]
        name = self.name
        none = "$" * 7  # the seven fields that are empty since 15.0
        release = {"English": "English", "Chinese": "Chinese"}[self.language]
        rows = {
            "soc.asc": [f"{code}${name(code)}${code[-4:]}{none}$" for code in socs],
            "hlgt.asc": [f"{code}${name(code)}{none}$" for code in hlgts],
            "hlt.asc": [f"{code}${name(code)}{none}$" for code in hlts],
            "pt.asc": [f"{code}${name(code)}$${soc_of_pt[code]}{none}$" for code in pts],
            "llt.asc": [
                f"{code}${name(code)}${pt}$$$$$$${'N' if code in self.retired else 'Y'}$$" for code, pt in llts
            ],
            "soc_hlgt.asc": [f"{soc}${hlgt}$" for hlgt, soc in soc_of_hlgt.items()],
            "hlgt_hlt.asc": [f"{hlgt}${hlt}$" for hlt, hlgt in hlgt_of_hlt.items()],
            "hlt_pt.asc": [f"{hlt}${pt}$" for pt, hlt, _primary in paths],
            "mdhier.asc": [
                "$".join(
                    (
                        pt, hlt, hlgt_of_hlt[hlt], soc_of_hlgt[hlgt_of_hlt[hlt]],
                        name(pt), name(hlt), name(hlgt_of_hlt[hlt]), name(soc_of_hlgt[hlgt_of_hlt[hlt]]),
                        soc_of_hlgt[hlgt_of_hlt[hlt]][-4:], "", soc_of_pt[pt], "Y" if primary else "N", "",
                    )
                )
                for pt, hlt, primary in paths
            ],
            "intl_ord.asc": [f"{place}${soc}$" for place, soc in enumerate(socs, 1)],
            "meddra_release.asc": [f"{self.version}${release}$$$$"],
        }  # fmt: skip
        return {file: "\r\n".join(lines) + "\r\n" for file, lines in rows.items()}

    def content(self) -> dict[str, bytes]:
        return {name: text.encode("utf-8") for name, text in self.files().items()}

    def japanese(self) -> dict[str, bytes]:
        """The English files with names in kanji and kana beside them, as another publisher delivers them."""
        han = Invented(language="Chinese")
        files = self.content()
        levels = (("soc", 1, self.socs), ("hlgt", 2, self.hlgts), ("hlt", 3, self.hlts), ("pt", 4, self.pts))
        for stem, level, count in levels:
            extra = "$1" if stem == "soc" else ""
            lines = [f"{code}${han.name(code)}{extra}$カナ$カナ$カナ" for code in self.codes(level, count)]
            files[f"{stem}_j.asc"] = "\r\n".join(lines).encode("cp932")
        codes = [line.split("$")[0] for line in self.files()["llt.asc"].splitlines()]
        flags = ["Y", "N", "S", "$"]
        lines = [f"{code}${han.name(code)}${flags[place % 4]}$カナ$カナ$カナ" for place, code in enumerate(codes)]
        files["llt_j.asc"] = "\r\n".join(lines).encode("cp932")
        files["llt_syn.asc"] = f"{codes[0]}$別名$Y$カナ$カナ$カナ$1".encode("cp932")
        return files


FULL = {"socs": 27, "hlgts": 337, "hlts": 1737, "pts": 27_000, "llts": 90_000}


def write(folder: Path, content: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in content.items():
        (folder / name).write_bytes(raw)
    return folder


def zipped(content: Mapping[str, bytes], folder: str = "MedAscii/") -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in content.items():
            archive.writestr(folder + name, raw)
    file.seek(0)
    return file
