"""Reading a randomisation list that another program made (SPSS, R, SAS), row by row and without guessing.

Tolerated, because programs differ and nothing is lost by it: byte order marks, UTF-8, UTF-16 or GBK; comma, semicolon
or tab; column names in English or Chinese; quotes; blank lines at the end; "1.00" for 1. Everything else is an error
with its row, and one error refuses the file.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from randomization.permuted_blocks import LONGEST, ListedSlot

LARGEST_FILE = 1_000_000  # bytes; 2000 slots need some 60 kB
MOST_MESSAGES = 30

#: Accepted column names, after lower case and without spaces, hyphens and underscores.
COLUMNS: dict[str, frozenset[str]] = {
    "stratum": frozenset(
        {"stratum", "site", "center", "centre", "sitecode", "中心", "分中心", "中心编号", "分层", "层"}
    ),
    "number": frozenset(
        {"number", "no", "slot", "seq", "sequence", "id", "randno", "randomno"}
        | {"序号", "编号", "号码", "随机号", "顺序号"}
    ),
    "arm": frozenset({"arm", "group", "treatment", "trt", "allocation", "组", "组别", "分组", "随机分组", "处理"}),
    "block": frozenset({"block", "blockno", "blocknumber", "区组", "区组号"}),
}
REQUIRED = ("stratum", "number", "arm")


@dataclass
class ReadFile:
    """Slots by stratum, or the messages why not. `messages` are lazy texts."""

    strata: dict[str, list[ListedSlot]] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.messages

    def say(self, text: Any, **values: object) -> None:
        """Add a message; after the first thirty only their number would help nobody."""
        if len(self.messages) < MOST_MESSAGES:
            self.messages.append(text % values if values else text)


def read(content: bytes, strata: Collection[str], arm_names: Mapping[str, str]) -> ReadFile:
    """Read a file. `strata`: known site codes; `arm_names`: value in the file -> arm code of the protocol."""
    result = ReadFile()
    if len(content) > LARGEST_FILE:
        result.say(_("The file is larger than 1 MB; a randomisation list is much smaller."))
        return result
    text = _decode(content)
    if text is None or "\x00" in text:
        result.say(_("The file is no text in UTF-8, UTF-16 or GBK. Save it as CSV and try again."))
        return result
    rows = _rows(text)
    if rows is None:
        result.say(_("The file is not readable as CSV: a quotation mark is not closed, or a cell is too long."))
        return result
    if not rows:
        result.say(_("The file is empty."))
        return result
    columns = _columns(rows[0][1], result)
    if columns is None:
        return result
    _read_rows(rows[1:], columns, {s.upper(): s for s in strata}, _folded(arm_names), result)
    if result.good:
        _check_sequences(result)
    if not result.good:
        result.strata.clear()
    return result


def _decode(content: bytes) -> str | None:
    encodings = ["utf-8-sig", "gb18030"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _rows(text: str) -> list[tuple[int, list[str]]] | None:
    """Non-empty rows with their line numbers in the file."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    if delimiter == "," and "，" in first and "," not in first:
        delimiter = "，"  # typed with a Chinese input method
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            cells = [unicodedata.normalize("NFKC", cell).strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error:
        return None
    return rows


def _columns(header: list[str], result: ReadFile) -> dict[str, int] | None:
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        plain = re.sub(r"[\s_\-.]", "", name.lower())
        for column, names in COLUMNS.items():
            if plain in names:
                if column in places:
                    result.say(
                        _("Two columns could be “%(column)s”: “%(one)s” and “%(two)s”. Rename or remove one."),
                        column=column,
                        one=header[places[column]],
                        two=name[:40],
                    )
                    return None
                places[column] = place
    for column in REQUIRED:
        if column not in places:
            result.say(
                _(
                    "There is no column “%(column)s”. The first row must name the columns; "
                    "this one may be called: %(names)s."
                ),
                column=column,
                names=", ".join(sorted(COLUMNS[column])),
            )
    return places if result.good else None


def _folded(arm_names: Mapping[str, str]) -> dict[str, str]:
    return {_plain_value(name): code for name, code in arm_names.items()}


def _plain_value(text: str) -> str:
    """A cell for comparing: no case, and "1.00" as SPSS writes it is 1."""
    text = unicodedata.normalize("NFKC", text).strip().casefold()
    return re.sub(r"^(\d+)\.0+$", r"\1", text)


def _whole(text: str) -> int | None:
    """1 to 4 digits as a positive number."""
    match = re.fullmatch(r"0*([1-9][0-9]{0,3})(?:\.0+)?", text, re.ASCII)
    return int(match[1]) if match else None


def _read_rows(
    rows: list[tuple[int, list[str]]],
    columns: dict[str, int],
    strata: Mapping[str, str],
    arms: Mapping[str, str],
    result: ReadFile,
) -> None:
    if not rows:
        result.say(_("The file has column names but no rows."))
    for line, cells in rows:
        cells = cells + [""] * (max(columns.values()) + 1 - len(cells))
        stratum = strata.get(cells[columns["stratum"]].upper())
        number = _whole(cells[columns["number"]])
        arm = arms.get(_plain_value(cells[columns["arm"]]))
        block = None
        if stratum is None:
            result.say(
                _("Row %(row)s: “%(value)s” is not the code of a study site."),
                row=line,
                value=_short(cells[columns["stratum"]]),
            )
        if number is None:
            result.say(
                _("Row %(row)s: “%(value)s” is not a number from 1 to 9999."),
                row=line,
                value=_short(cells[columns["number"]]),
            )
        if arm is None:
            result.say(
                _("Row %(row)s: “%(value)s” is not one of the arms."),
                row=line,
                value=_short(cells[columns["arm"]]),
            )
        if "block" in columns and cells[columns["block"]]:
            block = _whole(cells[columns["block"]])
            if block is None:
                result.say(
                    _("Row %(row)s: the block “%(value)s” is not a number."),
                    row=line,
                    value=_short(cells[columns["block"]]),
                )
        if stratum is not None and number is not None and arm is not None:
            result.strata.setdefault(stratum, []).append(ListedSlot(number, arm, block))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"


def _check_sequences(result: ReadFile) -> None:
    """Each stratum's numbers are 1, 2, 3 ... in the order of the file; block sizes follow from the block numbers."""
    for stratum, slots in result.strata.items():
        if len(slots) > LONGEST:
            result.say(_("Site %(site)s has more than %(most)s slots."), site=stratum, most=LONGEST)
            continue
        for expected, slot in enumerate(slots, start=1):
            if slot.number != expected:
                result.say(
                    _(
                        "Site %(site)s: number %(expected)s is expected where %(found)s stands. "
                        "Numbers run 1, 2, 3 without gaps."
                    ),
                    site=stratum,
                    expected=expected,
                    found=slot.number,
                )
                break
        blocks = [slot.block for slot in slots]
        sizes = {block: blocks.count(block) for block in blocks if block is not None}
        result.strata[stratum] = [
            ListedSlot(slot.number, slot.arm, slot.block, sizes[slot.block] if slot.block is not None else None)
            for slot in slots
        ]
