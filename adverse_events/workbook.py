"""The cells of an .xlsx workbook as text, read by the standard library within limits of our own.

Nothing is unpacked to disk, no name inside the archive is used as a path, and formulas are not looked at: a cell with
one refuses the file. A workbook with a document type declaration is refused, so no entity can grow.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from xml.etree import ElementTree

from django.utils.translation import gettext as _

#: Parts of the archive, bytes of a part when unpacked, and bytes of all parts that are read.
MOST_PARTS = 500
LARGEST_PART = 20_000_000
LARGEST_SUM = 40_000_000
_MOST_COLUMNS = 100
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class FileRefused(Exception):
    """The file is not taken. The message says why, in words for the person who brought it."""


def _damaged() -> FileRefused:
    return FileRefused(_("The workbook is damaged or no .xlsx file. Download it again from NCI."))


@contextmanager
def opened(content: bytes) -> Iterator[Book]:
    """The workbook of these bytes. Raises FileRefused, also while it is read."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if len(archive.infolist()) > MOST_PARTS:
                raise FileRefused(_("The workbook has more parts than any made by hand. Take NCI's own file."))
            yield Book(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        ElementTree.ParseError,
        EOFError,
        KeyError,
        IndexError,
        ValueError,
        NotImplementedError,
        RuntimeError,  # zipfile: the part is encrypted
        UnicodeDecodeError,
        OSError,
    ):
        raise _damaged() from None


class Book:
    """An open workbook. `sheets`: names in their order."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._read = 0
        self._kept: dict[str, ElementTree.Element] = {}

    def _part(self, name: str) -> ElementTree.Element:
        if name in self._kept:
            return self._kept[name]
        # The sizes that the archive states may be lies: at most so much is unpacked, whatever they say.
        limit = min(LARGEST_PART, LARGEST_SUM - self._read)
        with self._archive.open(name) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise FileRefused(_("The workbook unpacks to more than any CTCAE workbook holds. Take NCI's own file."))
        self._read += len(content)
        # In UTF-8, which every program writes, a declaration cannot hide; in UTF-16 it could.
        if b"\x00" in content or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise _damaged()
        declared = re.match(
            rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)", content.removeprefix(b"\xef\xbb\xbf")[:200]
        )
        if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
            raise _damaged()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise FileRefused(_("The workbook declares entities, which no spreadsheet program does. It is not read."))
        self._kept[name] = ElementTree.fromstring(content)  # noqa: S314  # no declarations, bounded size
        return self._kept[name]

    @cached_property
    def sheets(self) -> dict[str, str]:
        """Name of each sheet -> name of its part in the archive."""
        relations = {
            each.attrib["Id"]: each.attrib["Target"]
            for each in self._part("xl/_rels/workbook.xml.rels").iter(_PACKAGE)
            if each.attrib.get("TargetMode") != "External"
        }
        found = {}
        for sheet in self._part("xl/workbook.xml").iter(f"{_MAIN}sheet"):
            target = relations[sheet.attrib[_RELATION]]
            part = target.removeprefix("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            if part.startswith("xl/worksheets/"):  # a chart sheet has no cells
                found[sheet.attrib["name"]] = part
        return found

    @cached_property
    def _shared(self) -> list[str]:
        if "xl/sharedStrings.xml" not in self._archive.namelist():
            return []
        return [_words(item) for item in self._part("xl/sharedStrings.xml").iter(f"{_MAIN}si")]

    def rows(self, sheet: str) -> Iterator[list[str]]:
        """The rows of a sheet, each cell as text. Raises FileRefused for a formula."""
        for row in self._part(self.sheets[sheet]).iter(f"{_MAIN}row"):
            cells: list[str] = []
            for cell in row.iter(f"{_MAIN}c"):
                place = _column(cell.attrib.get("r", "")) if "r" in cell.attrib else len(cells)
                if place >= _MOST_COLUMNS:
                    continue
                cells += [""] * (place + 1 - len(cells))
                cells[place] = self._text(cell)
            yield cells

    def _text(self, cell: ElementTree.Element) -> str:
        if cell.find(f"{_MAIN}f") is not None:
            where = cell.attrib.get("r", "")[:10]
            raise FileRefused(
                _("Cell %(cell)s holds a formula; NCI's workbook has none. It is not read.") % {"cell": where}
            )
        kind = cell.attrib.get("t", "n")
        if kind == "inlineStr":
            return _words(cell)
        value = cell.findtext(f"{_MAIN}v") or ""
        if kind == "s" and value:
            place = int(value)
            if place < 0:
                raise _damaged()
            return self._shared[place]
        return value


def _words(item: ElementTree.Element) -> str:
    """The text of a cell, its differently formatted pieces joined, without phonetic guides."""
    guides = {id(text) for guide in item.iter(f"{_MAIN}rPh") for text in guide.iter(f"{_MAIN}t")}
    return "".join(text.text or "" for text in item.iter(f"{_MAIN}t") if id(text) not in guides)


def _column(reference: str) -> int:
    """Number of a column from 0: "A1" is 0, "AB7" is 27."""
    letters = re.match(r"[A-Z]{1,3}(?=[0-9])", reference)
    if letters is None:
        raise _damaged()
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - 64
    return number - 1
