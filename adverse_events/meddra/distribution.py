"""A whole distribution, read and checked: every file by itself, then the files against each other."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from adverse_events.meddra.package import JAPANESE, SYNONYMS, WANTED
from adverse_events.meddra.problems import Found, MeddraRefused, Problem
from adverse_events.meddra.records import (
    IDEOGRAPH,
    KANA,
    LONGEST_NAME,
    File,
    Row,
    check_encodings,
    is_code,
    read_file,
)
from adverse_events.models.meddra import Language, Level

#: Words of meddra_release.asc for each language.
_LANGUAGE_WORDS = {Language.ENGLISH: "english", Language.CHINESE: "chinese", Language.JAPANESE: "japanese"}
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]")
_LEVEL_FILES = {
    Level.SOC: "soc.asc",
    Level.HLGT: "hlgt.asc",
    Level.HLT: "hlt.asc",
    Level.PT: "pt.asc",
    Level.LLT: "llt.asc",
}
#: Link file -> columns of mdhier.asc it must agree with.
_LINKS = {"soc_hlgt.asc": (3, 2), "hlgt_hlt.asc": (2, 1), "hlt_pt.asc": (1, 0)}
#: Share of names that must be written in the letters of the language.
_ENOUGH = 0.5

Tell = Callable[[int, str], None]


@dataclass
class Distribution:
    """What an import stores. Codes are text of eight digits."""

    version: str
    language: str
    names: dict[Level, dict[str, str]] = field(default_factory=dict)
    pt_of: dict[str, str] = field(default_factory=dict)  # LLT -> PT
    current: dict[str, bool] = field(default_factory=dict)  # of each LLT
    soc_of: dict[str, str] = field(default_factory=dict)  # PT -> primary SOC
    order: dict[str, int] = field(default_factory=dict)  # of each SOC
    paths: list[tuple[str, str, str, str, bool]] = field(default_factory=list)  # PT, HLT, HLGT, SOC, primary
    synonyms: list[tuple[str, str]] = field(default_factory=list)  # LLT, name
    readings: list[tuple[str, str]] = field(default_factory=list)  # LLT, kana
    files: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {
            **{level.label: len(names) for level, names in self.names.items()},
            "paths": len(self.paths),
            "synonyms": len(self.synonyms),
            "not_current": sum(not each for each in self.current.values()),
        }

    def structure_sha256(self) -> str:
        """Over codes, links, currency and order: the same in every language of a version."""
        parts = [
            sorted((code, pt, self.current[code]) for code, pt in self.pt_of.items()),
            sorted(self.soc_of.items()),
            sorted(self.paths),
            sorted(self.order.items()),
            *(sorted(self.names[level]) for level in (Level.HLT, Level.HLGT)),
        ]
        return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode("ascii")).hexdigest()


def read_distribution(
    content: dict[str, bytes], language: str, version: str = "", tell: Tell | None = None
) -> Distribution:
    """Read and check everything. `version`: what the person said, needed where no file tells it.

    Raises MeddraRefused with the first problems; the files are looked at in an order in which one mistake does not
    cause a flood of others.
    """
    found = Found()
    say = tell or (lambda percent, step: None)
    files: dict[str, File] = {}
    for number, (name, raw) in enumerate(sorted(content.items())):
        say(5 + 25 * number // len(content), "reading")
        files[name] = read_file(name, raw, _language_of(name, language), found)
    found.stop()
    japanese = {*JAPANESE, SYNONYMS}
    check_encodings([file for name, file in files.items() if name not in japanese], found)
    check_encodings([file for name, file in files.items() if name in japanese], found)
    found.stop()
    result = Distribution(_version(files, language, version, found), language)
    found.stop()
    if "meddra_release.asc" not in files:
        result.notes.append(Problem("meddra_release.asc", 0, "no_release"))
    say(30, "checking")
    lines = _check_levels(files, result, found)
    found.stop()
    say(40, "checking")
    _check_hierarchy(files, result, lines, found)
    found.stop()
    say(50, "checking")
    if language == Language.JAPANESE:
        _japanese(files, result, found)
        found.stop()
    _check_letters(result, found)
    found.stop()
    result.files = [
        {
            "name": name,
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
            "encoding": files[name].encoding,
            "lines": len(files[name].rows),
        }
        for name, raw in sorted(content.items())
    ]
    return result


def _language_of(name: str, language: str) -> str:
    """The files beside the Japanese names are the English ones."""
    return Language.ENGLISH if language == Language.JAPANESE and name not in (*JAPANESE, SYNONYMS) else language


def _version(files: dict[str, File], language: str, said: str, found: Found) -> str:
    name = "meddra_release.asc"
    if name not in files:
        if not said:
            found.add(name, 0, "say_version")
        return said
    row = files[name].rows[0]
    version, words = row.fields[0].strip(), row.fields[1].strip().casefold()
    if not _VERSION.fullmatch(version) or len(files[name].rows) != 1 or not words:
        found.add(name, row.line, "release")
        return ""
    if said and said != version:
        found.add(name, row.line, "other_version", found=version, wanted=said)
    # The Japanese set is the English one with Japanese names beside it, so either word may stand there.
    allowed = {language, Language.ENGLISH} if language == Language.JAPANESE else {language}
    if not any(_LANGUAGE_WORDS[Language(each)] in words for each in allowed):
        stated = next((each for each, word in _LANGUAGE_WORDS.items() if word in words), None)
        told = str(stated.label) if stated else words[:30]
        found.add(name, row.line, "other_language", found=told, wanted=str(Language(language).label))
    return version


def _check_levels(files: dict[str, File], result: Distribution, found: Found) -> dict[Level, dict[str, int]]:
    """Codes and names of the five levels, the order of the classes; gives the line of each code."""
    lines: dict[Level, dict[str, int]] = {}
    for level, name in _LEVEL_FILES.items():
        lines[level], result.names[level] = {}, {}
        for row in files[name].rows:
            code, term = row.fields[0], row.fields[1]
            _check_code_and_name(name, row, code, term, found)
            if code in lines[level]:
                found.add(name, row.line, "twice", line=lines[level][code])
            lines[level][code], result.names[level][code] = row.line, term
    for row in files["pt.asc"].rows:
        result.soc_of[row.fields[0]] = row.fields[3]
    for row in files["llt.asc"].rows:
        result.pt_of[row.fields[0]] = row.fields[2]
        if row.fields[9] not in ("Y", "N"):
            found.add("llt.asc", row.line, "flag", wanted="Y, N")
        result.current[row.fields[0]] = row.fields[9] == "Y"
    places: set[int] = set()
    placed: dict[str, int] = {}
    for row in files["intl_ord.asc"].rows:
        place, code = row.fields
        if not re.fullmatch("[1-9][0-9]{0,2}", place) or int(place) in places:
            found.add("intl_ord.asc", row.line, "order")
            continue
        places.add(int(place))
        if code in placed:
            found.add("intl_ord.asc", row.line, "twice", line=placed[code])
        placed[code] = row.line
        if code not in lines[Level.SOC]:
            found.add("intl_ord.asc", row.line, "unknown", what="soc_code", file="soc.asc")
        result.order[code] = int(place)
    for code, line in lines[Level.SOC].items():
        if code not in result.order:
            found.add("soc.asc", line, "no_order")
    return lines


def _check_code_and_name(file: str, row: Row, code: str, name: str, found: Found) -> None:
    if not is_code(code):
        found.add(file, row.line, "code")
    if not name.strip():
        found.add(file, row.line, "no_name")
    elif len(name) > LONGEST_NAME:
        found.add(file, row.line, "long_name", limit=LONGEST_NAME)


def _check_hierarchy(
    files: dict[str, File], result: Distribution, lines: dict[Level, dict[str, int]], found: Found
) -> None:
    names = result.names
    for code, pt in result.pt_of.items():
        if pt not in names[Level.PT]:
            found.add("llt.asc", lines[Level.LLT][code], "unknown", what="pt_code", file="pt.asc")
    for code, soc in result.soc_of.items():
        line = lines[Level.PT][code]
        if soc not in names[Level.SOC]:
            found.add("pt.asc", line, "unknown", what="pt_soc_code", file="soc.asc")
        if code not in result.pt_of:
            found.add("pt.asc", line, "no_own_llt")
        elif result.pt_of[code] != code:
            found.add("llt.asc", lines[Level.LLT][code], "own_llt")
    primaries: Counter[str] = Counter()
    seen: dict[tuple[str, ...], int] = {}
    levels = (
        (0, Level.PT, "pt_code"),
        (1, Level.HLT, "hlt_code"),
        (2, Level.HLGT, "hlgt_code"),
        (3, Level.SOC, "soc_code"),
    )
    for row in files["mdhier.asc"].rows:
        cells = row.fields
        for index, level, what in levels:
            if cells[index] not in names[level]:
                found.add("mdhier.asc", row.line, "unknown", what=what, file=_LEVEL_FILES[level])
        key = tuple(cells[:4])
        if key in seen:
            found.add("mdhier.asc", row.line, "twice", line=seen[key])
        seen[key] = row.line
        if cells[11] not in ("Y", "N"):
            found.add("mdhier.asc", row.line, "flag", wanted="Y, N")
        primary = cells[11] == "Y"
        if cells[10] != result.soc_of.get(cells[0]) or (primary and cells[3] != cells[10]):
            found.add("mdhier.asc", row.line, "primary_soc")
        primaries[cells[0]] += primary
        result.paths.append((cells[0], cells[1], cells[2], cells[3], primary))
    with_path = {key[0] for key in seen}
    for code, line in lines[Level.PT].items():
        if code not in with_path:
            found.add("pt.asc", line, "no_path")
        elif primaries[code] != 1:
            found.add("pt.asc", line, "primary", found=primaries[code])
    _check_links(files, seen, result, found)


def _check_links(files: dict[str, File], paths: dict[tuple[str, ...], int], result: Distribution, found: Found) -> None:
    for name in WANTED:
        if name not in files and name in _LINKS:
            result.notes.append(Problem(name, 0, "optional_missing"))
    for name, (upper, lower) in _LINKS.items():
        if name not in files:
            continue
        in_paths = {(path[upper], path[lower]): line for path, line in reversed(paths.items())}
        listed: dict[tuple[str, str], int] = {}
        for row in files[name].rows:
            link = (row.fields[0], row.fields[1])
            if link in listed:
                found.add(name, row.line, "twice", line=listed[link])
            elif link not in in_paths:
                found.add(name, row.line, "path_missing")
            listed[link] = row.line
        for link, line in in_paths.items():
            if link not in listed:
                found.add("mdhier.asc", line, "link_missing", file=name)


_JAPANESE_LEVELS = {
    "soc_j.asc": Level.SOC,
    "hlgt_j.asc": Level.HLGT,
    "hlt_j.asc": Level.HLT,
    "pt_j.asc": Level.PT,
    "llt_j.asc": Level.LLT,
}


def _japanese(files: dict[str, File], result: Distribution, found: Found) -> None:
    """Put the Japanese names over the English ones. A Japanese name is no key: several LLTs may share one."""
    lacking = 0
    for name, level in _JAPANESE_LEVELS.items():
        seen: dict[str, int] = {}
        for row in files[name].rows:
            code, term = row.fields[0], row.fields[1]
            _check_code_and_name(name, row, code, term, found)
            if code in seen:
                found.add(name, row.line, "twice", line=seen[code])
            if code not in result.names[level]:
                found.add(name, row.line, "unknown", what="code", file=_LEVEL_FILES[level])
            seen[code] = row.line
            result.names[level][code] = term
            if level is Level.LLT:
                _check_japanese_flag(name, row, found)
                if row.fields[3].strip():
                    result.readings.append((code, row.fields[3][:LONGEST_NAME]))
        lacking += len(result.names[level]) - len(seen)
    if lacking > 0:
        result.notes.append(Problem("", 0, "no_japanese", {"count": lacking}))
    for row in files[SYNONYMS].rows if SYNONYMS in files else ():
        _check_code_and_name(SYNONYMS, row, row.fields[0], row.fields[1], found)
        _check_japanese_flag(SYNONYMS, row, found)
        if row.fields[0] not in result.names[Level.LLT]:
            found.add(SYNONYMS, row.line, "unknown", what="llt_code", file="llt.asc")
        result.synonyms.append((row.fields[0], row.fields[1]))


def _check_japanese_flag(name: str, row: Row, found: Found) -> None:
    if row.fields[2] not in ("Y", "N", "S", "$"):
        found.add(name, row.line, "flag", wanted="Y, N, S, $")


def _check_letters(result: Distribution, found: Found) -> None:
    """Names must be written in the letters of the language: a wrong file, or one read as something else, is not."""
    names: Iterable[str] = result.names[Level.LLT].values()
    total = len(result.names[Level.LLT])
    if result.language == Language.ENGLISH:
        wrong = any(IDEOGRAPH.search(name) or KANA.search(name) for name in names)
    elif result.language == Language.CHINESE:
        wrong = sum(bool(IDEOGRAPH.search(name)) for name in names) < _ENOUGH * total
        wrong = wrong or any(KANA.search(name) for name in names)
    else:
        wrong = sum(bool(IDEOGRAPH.search(name) or KANA.search(name)) for name in names) < _ENOUGH * total
    if wrong:
        name = "llt_j.asc" if result.language == Language.JAPANESE else "llt.asc"
        found.add(name, 0, "wrong_language", language=str(Language(result.language).label))


def refuse(file: str, code: str, /, **values: Any) -> MeddraRefused:
    """One problem as an exception."""
    return MeddraRefused([Problem(file, 0, code, values)])
