"""CTCAE v5.0: codes, classes, terms and the grades each term defines (D19).

Facts from "NCI CTCAE version 5.0, 27 November 2017" (US National Cancer Institute, public domain in the
United States). The texts of grades and definitions are not copied here; graders read them in NCI's document.
The codes are MedDRA lowest level terms published by NCI inside CTCAE, which gives no licence to MedDRA.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

VERSION = "5.0"
CREDIT = "NCI CTCAE version 5.0, 27 November 2017"
_FILE = Path(__file__).with_name("data") / "ctcae_v5_0.csv"


@dataclass(frozen=True, slots=True)
class Term:
    """A CTCAE term. `grades` are those NCI defines: a form must not offer another one."""

    code: str
    soc: str
    term: str
    grades: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExpectedTerm:
    """A term this trial expects. `name_zh` is our own wording, no official translation of CTCAE or MedDRA."""

    code: str
    name_zh: str
    synonyms: tuple[str, ...]


EXPECTED: tuple[ExpectedTerm, ...] = (
    ExpectedTerm(
        "10041569",
        "脊柱骨折",
        ("vertebral compression fracture", "VCF", "椎体压缩骨折", "椎体骨折", "压缩性骨折"),
    ),
    ExpectedTerm("10017076", "骨折", ("pathological fracture", "病理性骨折")),
    ExpectedTerm("10028524", "脊髓炎", ("radiation myelopathy", "myelopathy", "放射性脊髓病", "放射性脊髓炎")),
    ExpectedTerm("10041549", "脊髓压迫", ("cord compression", "MESCC", "脊髓受压")),
    ExpectedTerm("10061928", "神经根炎", ("radiculopathy", "nerve root", "神经根痛", "神经根病")),
    ExpectedTerm("10003988", "背痛", ("backache", "腰痛", "腰背痛")),
    ExpectedTerm("10006002", "骨痛", ("skeletal pain", "骨骼疼痛")),
    ExpectedTerm("10045158", "肿瘤疼痛", ("pain flare", "flare", "疼痛反应", "疼痛闪烁", "癌痛")),
    ExpectedTerm("10061103", "放射性皮炎", ("radiation dermatitis", "skin reaction", "放射性皮肤反应")),
    ExpectedTerm("10015461", "食管炎", ("oesophagitis", "放射性食管炎")),
    ExpectedTerm("10016256", "乏力", ("tiredness", "asthenia", "疲劳", "疲乏")),
)
_EXPECTED_BY_CODE = {expected.code: expected for expected in EXPECTED}


@cache
def terms() -> Mapping[str, Term]:
    """All 837 terms by code, in NCI's order."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        found = {
            row["code"]: Term(row["code"], row["soc"], row["term"], tuple(int(grade) for grade in row["grades"]))
            for row in csv.DictReader(file)
        }
    return MappingProxyType(found)


def get(code: str) -> Term:
    """The term of a code. Raises KeyError for a code outside CTCAE v5.0."""
    return terms()[code]


def grades(code: str) -> tuple[int, ...]:
    """The grades NCI defines for a term. Raises KeyError for a code outside CTCAE v5.0."""
    return terms()[code].grades


def socs() -> tuple[str, ...]:
    """The 26 system organ classes in NCI's order."""
    return tuple(dict.fromkeys(term.soc for term in terms().values()))


def name_zh(code: str) -> str:
    """Our own Chinese name of an expected term, empty for any other. Unofficial: label it so."""
    expected = _EXPECTED_BY_CODE.get(code)
    return expected.name_zh if expected else ""


def needs_specification(code: str) -> bool:
    """True for the 26 "Other, specify" terms, which need the event in words. Raises KeyError."""
    return terms()[code].term.endswith("Other, specify")


def search(text: str, limit: int = 20) -> tuple[Term, ...]:
    """Terms that fit `text` (a code, words of the term, a Chinese name or a synonym), best first.

    All words must occur. Expected terms of this trial precede others of the same fit; an empty text gives the
    expected terms.
    """
    wanted = text.strip().casefold()
    if not wanted:
        return tuple(get(expected.code) for expected in EXPECTED)[:limit]
    ranked: list[tuple[int, int, int, Term]] = []
    for order, term in enumerate(terms().values()):
        expected = _EXPECTED_BY_CODE.get(term.code)
        names = [term.term.casefold()]
        if expected is not None:
            names += [name.casefold() for name in (expected.name_zh, *expected.synonyms)]
        fit = _fit(wanted, term.code, names)
        if fit is not None:
            ranked.append((fit, 0 if expected else 1, order, term))
    ranked.sort(key=lambda entry: entry[:3])
    return tuple(entry[3] for entry in ranked[:limit])


def _fit(wanted: str, code: str, names: list[str]) -> int | None:
    """0 exact, 1 start of a name, 2 start of a word, 3 anywhere; None: no fit."""
    if wanted == code or wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    if any(f" {wanted}" in name for name in names):
        return 2
    words = wanted.split()
    return 3 if any(all(word in name for word in words) for name in names) else None
