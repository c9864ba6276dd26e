"""What became of everyone at each visit, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Rect
from reportlab.lib.colors import HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import CONTROL, INK, RULE, SOFT, STUDY, WIDTH, fit, text
from spinetrial.reports.figures.hatching import Pattern, paint
from spinetrial.reports.fonts import REGULAR, register

#: In the order of the segments; neighbours differ in lightness and in hatching.
PATTERNS: tuple[Pattern, ...] = (
    Pattern(STUDY, outline=INK),
    Pattern(HexColor("#8fc0cd"), line=STUDY, rising=True, gap=5.0, outline=INK),
    Pattern(HexColor("#e6eaed"), outline=INK),
    Pattern(HexColor("#e2c58f"), line=CONTROL, falling=True, gap=3.0, outline=INK),
    Pattern(INK, outline=INK),
    Pattern(HexColor("#c9c2d6"), line=INK, rising=True, falling=True, gap=4.0, outline=INK),
    Pattern(white, line=SOFT, rising=True, gap=3.0, outline=INK),
    Pattern(white, outline=SOFT),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One group at one visit: patients in each segment, in the order of the segments."""

    group: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BarRow:
    """The bars of one visit under its name."""

    visit: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class BarWords:
    """`segments`: short name (over the column of counts) and full name (in the legend) of each segment."""

    segments: tuple[tuple[str, str], ...]
    axis: str
    counts: str
    total: str


_BAR = 11.0
_COLUMN = 22.0


def stacked_bars(rows: Sequence[BarRow], words: BarWords) -> Drawing:
    """A bar of full length for each group at each visit, in shares of its patients; the counts stand in columns."""
    register()
    names = [bar.group for row in rows for bar in row.bars]
    columns = len(words.segments) + 1
    left = min(max([stringWidth(name, REGULAR, 7.5) for name in names] + [60.0]) + 14.0, 120.0)
    table = WIDTH - _COLUMN * columns
    span = table - left - 10.0
    labels = [[fit(bar.group, left - 14.0, 7.5) for bar in row.bars] for row in rows]
    heights = [
        [max(_BAR + 4.0, 8.5 * len(parts) + 3.0) for parts in of_visit] for of_visit in labels
    ]  # a long name of an arm takes two lines
    legend = _legend(words)
    lines = max(place[1] for place, _number, _name in legend) + 1
    top, bottom = 13.0 * lines + 26.0, 30.0
    inner = sum(14.0 + sum(of_visit) + 4.0 for of_visit in heights)
    drawing = Drawing(WIDTH, top + inner + bottom)
    ceiling = bottom + inner
    for (at, line), number, name in legend:
        y = ceiling + 26.0 + 13.0 * (lines - 1 - line)
        paint(drawing, [(at, y, 14.0, 8.0)], PATTERNS[number])
        drawing.add(text(at + 18.0, y + 0.8, name, size=7.5))
    for number, (short, _name) in enumerate((*words.segments, (words.total, ""))):
        middle = table + _COLUMN * (number + 0.5)
        drawing.add(text(middle, ceiling + 3.0, short, size=6.5, anchor="middle", bold=True))
    drawing.add(text(table, ceiling + 13.0, words.counts, size=6.5, colour=SOFT))
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = left + step * span
        drawing.add(Line(at, bottom, at, ceiling, strokeColor=RULE, strokeWidth=0.4))
        drawing.add(text(at, bottom - 10.0, f"{step * 100:.0f}", size=7, anchor="middle", colour=SOFT))
    drawing.add(text(left + span / 2, bottom - 21.0, words.axis, size=7, anchor="middle", colour=SOFT))
    at = ceiling
    for row, parts_of, heights_of in zip(rows, labels, heights, strict=True):
        drawing.add(text(0, at - 10.0, row.visit, size=7.5, bold=True))
        at -= 14.0
        for bar, parts, height in zip(row.bars, parts_of, heights_of, strict=True):
            y = at - height / 2
            at -= height
            for number, part in enumerate(parts):
                drawing.add(text(8, y - 2.6 + 4.25 * (len(parts) - 1) - 8.5 * number, part, size=7.5))
            _bar(drawing, bar, left, y - _BAR / 2, span)
            for number, count in enumerate((*bar.counts, sum(bar.counts))):
                middle = table + _COLUMN * (number + 0.5)
                colour = INK if count else SOFT
                drawing.add(text(middle, y - 2.6, str(count), size=7, anchor="middle", colour=colour))
        at -= 4.0
    return drawing


def _bar(drawing: Drawing, bar: Bar, left: float, bottom: float, span: float) -> None:
    total = sum(bar.counts)
    if not total:
        drawing.add(Rect(left, bottom, span, _BAR, fillColor=None, strokeColor=RULE, strokeWidth=0.5))
        return
    before = 0
    for count, pattern in zip(bar.counts, PATTERNS, strict=True):
        paint(drawing, [(left + before / total * span, bottom, count / total * span, _BAR)], pattern)
        before += count


def _legend(words: BarWords) -> list[tuple[tuple[float, int], int, str]]:
    """Place (x, line), number and name of each entry, in lines that fit the width."""
    found, at, line = [], 0.0, 0
    for number, (_short, name) in enumerate(words.segments):
        width = 18.0 + stringWidth(name, REGULAR, 7.5) + 14.0
        if at and at + width - 14.0 > WIDTH:
            at, line = 0.0, line + 1
        found.append(((at, line), number, name))
        at += width
    return found
