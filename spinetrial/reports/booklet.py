"""Drawing long documents of texts and tables as PDF: many pages in little time, the same bytes for the same document.

The report's pages are laid out by reportlab's platypus, which weighs every paragraph. A casebook has thousands of
cells of plain text; here a line is measured by its characters, kept once known, and drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from spinetrial.reports.document import Document, Facts, Grid, Heading, Paragraph
from spinetrial.reports.fonts import BOLD, REGULAR, register

_LEFT, _RIGHT = 16 * mm, A4[0] - 16 * mm
_TOP, _BOTTOM = A4[1] - 18 * mm, 20 * mm
_INK, _SOFT, _RULE, _HEAD = (0.11, 0.15, 0.18), (0.36, 0.42, 0.46), (0.78, 0.81, 0.83), (0.925, 0.937, 0.945)
_PAD = 1.2 * mm
#: Words stay whole; every other character, such as a hanzi, may begin a line.
_TOKENS = re.compile(r"[!-~\u00a1-\u024f]+|\s|.", re.DOTALL)

_Op = tuple[str, tuple[Any, ...]]


def render(document: Document) -> bytes:
    """The PDF of a document of headings, paragraphs, facts and grids, with "page / pages" on each page.

    Raises TypeError for a block of another kind.
    """
    register()
    pages = _Layout(document).pages
    target = BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1, pageCompression=1, lang=document.language)
    canvas.setTitle(printable(document.title))
    canvas.setSubject(printable(document.footer))
    canvas.setAuthor("SpineTrial")
    canvas.setCreator("SpineTrial")
    for number, (ops, bookmarks) in enumerate(pages, 1):
        for title, level in bookmarks:
            key = f"p{number}-{title}"
            canvas.bookmarkPage(key)
            canvas.addOutlineEntry(title, key, level - 1, closed=True)
        for name, arguments in ops:
            _DRAW[name](canvas, *arguments)
        _text(canvas, _LEFT, 11 * mm, printable(document.footer), REGULAR, 7, _SOFT)
        canvas.setFont(REGULAR, 7)
        canvas.drawRightString(_RIGHT, 11 * mm, f"{number} / {len(pages)}")
        _line(canvas, _LEFT, 15 * mm, _RIGHT, _RULE, 0.4)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def printable(text: str) -> str:
    """`text` with every character the typeface lacks (emoji, rare hanzi) as its code point, so that nothing is lost."""
    if text.isascii() and text.isprintable():
        return text
    known = _glyphs()
    return "".join(
        each if each == "\n" or ord(each) in known else " " if each.isspace() else f"[U+{ord(each):04X}]"
        for each in text
    )


@cache
def _glyphs() -> frozenset[int]:
    register()
    return frozenset(pdfmetrics.getFont(REGULAR).face.charToGlyph)


@cache
def _width(character: str, font: str) -> float:
    """Of one character at size 1."""
    return float(pdfmetrics.stringWidth(character, font, 1))


@cache
def _token_width(token: str, font: str) -> float:
    return sum(_width(each, font) for each in token)


def wrap(text: str, font: str, size: float, room: float) -> list[str]:
    """`text` in lines no wider than `room`; line breaks of the text are kept, a word wider than a line is cut."""
    lines: list[str] = []
    room /= size
    for paragraph in printable(text).split("\n"):
        line, used = "", 0.0
        for token in _TOKENS.findall(paragraph):
            width = _token_width(token, font) if len(token) < 40 else sum(_width(each, font) for each in token)
            if used + width > room and line:
                lines.append(line.rstrip())
                line, used = "", 0.0
                if token.isspace():
                    continue
            if width > room:
                for each in token:
                    step = _width(each, font)
                    if used + step > room and line:
                        lines.append(line)
                        line, used = "", 0.0
                    line, used = line + each, used + step
                continue
            line, used = line + token, used + width
        lines.append(line.rstrip())
    return lines


def _text(canvas: Canvas, x: float, y: float, text: str, font: str, size: float, ink: tuple[float, ...]) -> None:
    canvas.setFont(font, size)
    canvas.setFillColorRGB(*ink)
    canvas.drawString(x, y, text)


def _line(canvas: Canvas, x: float, y: float, to: float, ink: tuple[float, ...], width: float) -> None:
    canvas.setStrokeColorRGB(*ink)
    canvas.setLineWidth(width)
    canvas.line(x, y, to, y)


def _box(canvas: Canvas, x: float, y: float, width: float, height: float, ink: tuple[float, ...]) -> None:
    canvas.setFillColorRGB(*ink)
    canvas.rect(x, y, width, height, stroke=0, fill=1)


_DRAW: dict[str, Callable[..., None]] = {"text": _text, "line": _line, "box": _box}


class _Layout:
    """Pages as lists of drawing steps, with the headings to list in the outline."""

    def __init__(self, document: Document) -> None:
        self.pages: list[tuple[list[_Op], list[tuple[str, int]]]] = []
        self._new_page()
        self._paragraph(document.subtitle, REGULAR, 9, _SOFT)
        self._paragraph(document.title, BOLD, 16, _INK)
        self._y -= 2 * mm
        for block in document.blocks:
            match block:
                case Heading(text, level):
                    self._heading(text, level)
                case Paragraph(text, tone):
                    strong, small = tone in ("finding", "warning"), tone == "note"
                    self._paragraph(text, BOLD if strong else REGULAR, 7.5 if small else 9, _SOFT if small else _INK)
                case Facts(pairs):
                    self._rows([(label, value) for label, value in pairs], (0.3, 0.7), soft_first=True)
                case Grid():
                    self._grid(block)
                case _:
                    raise TypeError(f"no way to print {type(block).__name__}")

    def _new_page(self) -> None:
        self.pages.append(([], []))
        self._y = _TOP

    def _op(self, name: str, *arguments: Any) -> None:
        self.pages[-1][0].append((name, arguments))

    def _room(self, height: float) -> None:
        if self._y - height < _BOTTOM:
            self._new_page()

    def _heading(self, text: str, level: int) -> None:
        if level == 1 and self._y < _TOP - 30 * mm:
            self._new_page()
        size = 13 if level == 1 else 10.5
        self._y -= 3 * mm
        self._room(30 * mm)  # a heading stands above something
        self.pages[-1][1].append((printable(text), level))
        self._paragraph(text, BOLD, size, _INK)

    def _paragraph(self, text: str, font: str, size: float, ink: tuple[float, ...]) -> None:
        for line in wrap(text, font, size, _RIGHT - _LEFT):
            self._room(size * 1.4)
            self._y -= size * 1.4
            self._op("text", _LEFT, self._y, line, font, size, ink)
        self._y -= 1.2 * mm

    def _grid(self, grid: Grid) -> None:
        self._room(24 * mm)
        if grid.caption:
            self._paragraph(grid.caption, BOLD, 8.5, _INK)
        self._rows(grid.rows, grid.shares, header=grid.header)
        for note in grid.notes:
            self._paragraph(note, REGULAR, 7.5, _SOFT)

    def _rows(
        self,
        rows: Sequence[Sequence[str]],
        shares: Sequence[float],
        *,
        header: Sequence[str] = (),
        soft_first: bool = False,
    ) -> None:
        """Rows of cells. A row that is higher than the rest of the page goes on on the next, under the header."""
        size, step = 7.5, 7.5 * 1.32
        total = sum(shares)
        widths = [(_RIGHT - _LEFT) * share / total for share in shares]
        starts = [_LEFT + sum(widths[:place]) for place in range(len(widths))]
        heads = [wrap(text, BOLD, size, width - 2 * _PAD) for text, width in zip(header, widths, strict=bool(header))]

        def head() -> None:
            height = max(len(each) for each in heads) * step + 2 * _PAD
            self._op("box", _LEFT, self._y - height, _RIGHT - _LEFT, height, _HEAD)
            for start, lines in zip(starts, heads, strict=True):
                for place, line in enumerate(lines, 1):
                    self._op("text", start + _PAD, self._y - place * step, line, BOLD, size, _INK)
            self._y -= height

        if heads:
            head()
        for row in rows:
            cells = [wrap(text, REGULAR, size, width - 2 * _PAD) for text, width in zip(row, widths, strict=True)]
            height = max(len(each) for each in cells) * step
            if self._y - height - _PAD < _BOTTOM and height < (_TOP - _BOTTOM) / 3:
                self._new_page()
                if heads:
                    head()
            for place in range(max(len(each) for each in cells)):
                if self._y - step < _BOTTOM:
                    self._new_page()
                    if heads:
                        head()
                self._y -= step
                for column, (start, lines) in enumerate(zip(starts, cells, strict=True)):
                    if place < len(lines) and lines[place]:
                        ink = _SOFT if soft_first and column == 0 else _INK
                        self._op("text", start + _PAD, self._y, lines[place], REGULAR, size, ink)
            self._y -= _PAD
            self._op("line", _LEFT, self._y, _RIGHT, _RULE, 0.25)
        self._y -= 1.5 * mm
