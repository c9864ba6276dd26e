"""Reading CTCAE's texts from NCI's workbook or from a CSV of the same columns, without trusting the file.

A file is taken as a whole or refused with the reason. It must hold exactly the terms of one known version, with the
classes, names and defined grades of the project's own table, and the texts NCI published (by their digests).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adverse_events import workbook
from adverse_events.workbook import FileRefused
from spinetrial.terminology import ctcae

#: Bytes. NCI's workbooks and our CSV files have less than 2 MB.
LARGEST_FILE = 8_000_000
#: Characters of a cell; NCI's longest text has 667.
LONGEST_CELL = 5_000
#: Rows; the longest version has 850 terms.
MOST_ROWS = 5_000
_NAMED = 5
_HEAD_ROWS = 20

#: Kind of column -> what the heading says, in small letters and single spaces.
_COLUMNS: Mapping[str, re.Pattern[str]] = {
    "code": re.compile(r"^(?:.*\bmeddra\b.*)?\bcode$"),
    "soc": re.compile(r"\bsoc$"),
    "term": re.compile(r"\bterm$"),
    "definition": re.compile(r"\bdefinition$"),
    **{f"grade{grade}": re.compile(rf"^grade ?{grade}$") for grade in ctcae.GRADES},
    "note": re.compile(r"^navigational note$"),
}
_MAY_BE_ABSENT = frozenset({"note"})  # version 4.03 has none
_TEXTS = ("definition", *(f"grade{grade}" for grade in ctcae.GRADES), "note")


@dataclass(frozen=True)
class TermTexts:
    """NCI's texts of a term; what does not exist is empty. `grades` holds defined grades only."""

    definition: str
    grades: Mapping[int, str]
    note: str


@dataclass(frozen=True)
class Edition:
    """A whole file: `texts` by code in the order of the file, `sha256` of its bytes.

    `changed`: codes whose texts are not those the project compared with NCI's publication.
    """

    version: str
    kind: str
    sha256: str
    texts: Mapping[str, TermTexts]
    changed: tuple[str, ...]


def read(content: bytes, *, accept_changed: bool = False) -> Edition:
    """Read a file. Raises FileRefused with a reason in words; nothing was stored then.

    `accept_changed`: take texts that are not those of NCI's known publication, such as a later erratum.
    """
    if not content:
        raise FileRefused(_("The file is empty."))
    if len(content) > LARGEST_FILE:
        raise FileRefused(_("The file is larger than 8 MB; NCI's workbook is much smaller."))
    is_workbook = content.startswith(b"PK")
    rows = _workbook_rows(content) if is_workbook else _csv_rows(content)
    lines = _lines(rows)
    version = _version(lines)
    _compare_facts(lines, version)
    known = ctcae.terms(version)
    changed = tuple(code for code, cells in lines.items() if ctcae.texts_digest(cells[:7]) != known[code].texts)
    if changed and not accept_changed:
        raise FileRefused(_changed_words(changed, version))
    texts = {
        code: TermTexts(
            definition=cells[0],
            grades={grade: cells[grade] for grade in ctcae.GRADES if cells[grade]},
            note=cells[6],
        )
        for code, cells in lines.items()
    }
    sha256 = hashlib.sha256(content).hexdigest()
    return Edition(version, "xlsx" if is_workbook else "csv", sha256, texts, changed)


# --- the two kinds of file ---


def _csv_rows(content: bytes) -> Iterator[list[str]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileRefused(_("The file is in UTF-16. Save it as CSV in UTF-8, or take NCI's workbook as it is."))
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileRefused(_("This is a workbook of the old kind (.xls). Save it as .xlsx or as CSV in UTF-8."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused(
            _("The file is no text in UTF-8 (another encoding such as GB18030?). Save it as CSV in UTF-8.")
        ) from None
    if "\x00" in text:
        raise FileRefused(_("The file is no text: it holds a NUL character. Save it as CSV in UTF-8."))
    if "\ufffd" in text:
        raise FileRefused(_("Characters of the file were lost when it was encoded anew. Take NCI's own file."))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from reader
    except csv.Error:
        raise FileRefused(
            _("Line %(line)s is not readable as CSV: a quotation mark is not closed, or a cell is too long.")
            % {"line": reader.line_num}
        ) from None


def _workbook_rows(content: bytes) -> Iterator[list[str]]:
    """The rows of the one sheet that has the columns; of several, of the one called "Clean Copy"."""
    with workbook.opened(content) as book:
        clean = [name for name in book.sheets if "clean copy" in name.casefold()]
        fitting = clean or [name for name in book.sheets if _has_columns(book, name)]
        if not fitting:
            raise FileRefused(_no_header())
        if len(fitting) > 1:
            raise FileRefused(
                _("Several sheets have the columns of CTCAE: %(sheets)s. Keep the clean copy only.")
                % {"sheets": ", ".join(fitting[:_NAMED])}
            )
        yield from book.rows(fitting[0])


def _has_columns(book: workbook.Book, sheet: str) -> bool:
    """Whether a sheet has each column once. One that compares two versions has them twice."""
    for row in islice(book.rows(sheet), _HEAD_ROWS):
        try:
            if _places(row):
                return True
        except FileRefused:
            return False
    return False


# --- from rows to terms ---


def _plain(cell: str) -> str:
    """A cell without line breaks, no-break spaces and spaces at its ends; "-" means that there is no text."""
    text = " ".join(cell.replace("\xa0", " ").split())
    return "" if text == "-" else text


def _places(row: list[str]) -> dict[str, int] | None:
    """Column of each kind, if this row is the heading. Raises FileRefused when two columns could be one kind."""
    names = [" ".join(cell[:200].replace("\xa0", " ").replace("_", " ").split()).casefold() for cell in row]
    found: dict[str, int] = {}
    for kind, pattern in _COLUMNS.items():
        fits = [place for place, name in enumerate(names) if pattern.search(name)]
        if not fits:
            if kind in _MAY_BE_ABSENT:
                continue
            return None
        if len(fits) > 1:
            raise FileRefused(
                _("Two columns could be the same: “%(one)s” and “%(two)s”. Take NCI's file as it is.")
                % {"one": names[fits[0]][:40], "two": names[fits[1]][:40]}
            )
        found[kind] = fits[0]
    return found


def _no_header() -> str:
    return _(
        "The columns of CTCAE were not found: MedDRA code, SOC, term, grade 1 to grade 5, definition and, except in"
        " version 4.03, navigational note."
    )


def _lines(rows: Iterator[list[str]]) -> dict[str, tuple[str, ...]]:
    """By code: definition, five grades, note; then class and term. Raises FileRefused."""
    places: dict[str, int] | None = None
    lines: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise FileRefused(
                _("The file has more than %(most)s rows; CTCAE has some 850 terms.") % {"most": MOST_ROWS}
            )
        if any(len(cell) > LONGEST_CELL for cell in row):
            words = _("Row %(row)s has a cell of more than %(most)s characters; NCI's texts are much shorter.")
            raise FileRefused(words % {"row": number, "most": LONGEST_CELL})
        if places is None:
            places = _places(row)
            if places is None and number > _HEAD_ROWS:
                break
            continue
        filled = [cell for cell in row if cell.strip()]
        if not filled or (len(filled) == 1 and not re.search(r"[0-9]{8}", filled[0])):
            continue  # blank, or a remark between the terms: no term can be lost, for all must be there
        if len(row) <= max(places.values()):
            row = [*row, *[""] * (max(places.values()) + 1 - len(row))]
        cells = {kind: _plain(row[place]) for kind, place in places.items()}
        code = cells["code"].removesuffix(".0")
        if not re.fullmatch(r"[0-9]{8}", code):
            words = _("Row %(row)s has no MedDRA code of eight digits: “%(code)s”.")
            raise FileRefused(words % {"row": number, "code": cells["code"][:40]})
        if code in lines:
            words = _("The term %(code)s is there twice (row %(row)s).")
            raise FileRefused(words % {"code": code, "row": number})
        texts = [cells.get(kind, "") for kind in _TEXTS]
        for text in texts:
            if text.startswith("=") or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
                words = _("Row %(row)s holds a formula or a control character; NCI's file has none.")
                raise FileRefused(words % {"row": number})
        lines[code] = (*texts, cells["soc"], cells["term"])
    if places is None:
        raise FileRefused(_no_header())
    if not lines:
        raise FileRefused(_("The file has the columns of CTCAE but no term."))
    return lines


def _version(lines: Mapping[str, Any]) -> str:
    """The version whose codes these are. Raises FileRefused with what is too many or too few."""
    codes = set(lines)
    for version in ctcae.VERSIONS:
        if codes == set(ctcae.terms(version)):
            return version
    nearest = max(ctcae.VERSIONS, key=lambda version: len(codes & set(ctcae.terms(version))))
    known = ctcae.terms(nearest)
    lacking = [code for code in known if code not in codes]
    foreign = [code for code in lines if code not in known]
    if len(lacking) > len(known) * 0.9:
        raise FileRefused(_("These are not the terms of CTCAE %(versions)s.") % {"versions": ", ".join(ctcae.VERSIONS)})
    parts = [_("The file is none of the known versions; nearest is %(version)s.") % {"version": nearest}]
    if lacking:
        words = ngettext(
            "%(count)s term is missing: %(codes)s.", "%(count)s terms are missing: %(codes)s.", len(lacking)
        )
        parts.append(words % {"count": len(lacking), "codes": _some(lacking)})
    if foreign:
        words = ngettext(
            "%(count)s term is foreign: %(codes)s.", "%(count)s terms are foreign: %(codes)s.", len(foreign)
        )
        parts.append(words % {"count": len(foreign), "codes": _some(foreign)})
    raise FileRefused(" ".join(parts))


def _compare_facts(lines: Mapping[str, tuple[str, ...]], version: str) -> None:
    """Class, name and defined grades must be those of the project's table. Raises FileRefused."""
    wrong: Counter[str] = Counter()
    first: dict[str, str] = {}
    for code, term in ctcae.terms(version).items():
        *texts, soc, name = lines[code]
        found = {
            _("class"): soc.casefold() == term.soc.casefold(),
            _("name"): name.casefold() == term.term.casefold(),
            _("grades"): tuple(grade for grade in ctcae.GRADES if texts[grade]) == term.grades,
        }
        for what, right in found.items():
            if not right:
                wrong[what] += 1
                first.setdefault(what, f"{code} {term.term}")
    if wrong:
        parts = [
            _("%(what)s of %(count)s (first %(term)s)") % {"what": what, "count": count, "term": first[what]}
            for what, count in wrong.items()
        ]
        words = _("The terms are those of CTCAE %(version)s, but they are not what NCI published: %(parts)s.")
        raise FileRefused(words % {"version": version, "parts": "; ".join(parts)})


def _changed_words(changed: tuple[str, ...], version: str) -> str:
    words = ngettext(
        "The texts of %(count)s term are not those NCI published in version %(version)s: %(codes)s. If NCI has"
        " published an erratum, import the file with a reason.",
        "The texts of %(count)s terms are not those NCI published in version %(version)s: %(codes)s. If NCI has"
        " published an erratum, import the file with a reason.",
        len(changed),
    )
    return words % {"count": len(changed), "version": version, "codes": _some(changed)}


def _some(codes: list[str] | tuple[str, ...]) -> str:
    return ", ".join(codes[:_NAMED]) + (" …" if len(codes) > _NAMED else "")
