"""A bar for each participant in order of size, one panel per group."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, PolyLine, Rect
from reportlab.lib.colors import Color, HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import INK, RULE, SOFT, WIDTH, Scale, fit, text
from spinetrial.reports.fonts import REGULAR, register

_PLOT = 112.0
_LEFT = 30.0
_WIDEST = 16.0
#: Bars narrower than this touch: equal neighbours are drawn as one.
_APART = 3.0
_CODE = 5.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A value in points of the scale and the code of its category."""

    value: int
    category: str


@dataclass(frozen=True, slots=True)
class WaterfallPanel:
    """One group; the bars stand as given."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class WaterfallWords:
    """`categories`: (code, name) in the order of the legend; `threshold`: what the dashed line means."""

    scale: str
    threshold: str
    nothing: str
    categories: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Fill:
    """A colour with white stripes `gap` points apart (0: none). Stripes lie flat, so that thin bars show them too."""

    colour: Color
    gap: float = 0.0
    outlined: bool = False


#: By category: lightness falls apart in grey, and the two middle ones differ by their stripes.
_FILLS = {
    "CR": _Fill(HexColor("#0b4252")),
    "PR": _Fill(HexColor("#4a93a8"), 6.0),
    "IR": _Fill(HexColor("#c3ccd2")),
    "PP": _Fill(HexColor("#a34a00"), 2.5),
    "NE": _Fill(white, outlined=True),
}


def waterfall_plot(panels: Sequence[WaterfallPanel], threshold: int, words: WaterfallWords) -> Drawing:
    """The panels below each other with one scale and one width of bars; a value of 0 is a short bar on the line.

    `threshold` is a value marked by a dashed line. Codes stand at the bars where there is room.
    """
    register()
    values = [bar.value for panel in panels for bar in panel.bars]
    low = math.floor(min([-4, threshold, *values]) / 2) * 2
    high = math.ceil(max([2, *values]) / 2) * 2
    span = WIDTH - _LEFT - 4
    width = min(_WIDEST, span / max([1, *(len(panel.bars) for panel in panels)]))
    legend = _legend_lines(words.categories, WIDTH)
    titles = [fit(panel.title, WIDTH - _LEFT, bold=True) for panel in panels]
    heights = [11.0 * len(lines) + 8 + _PLOT + 12 for lines in titles]
    head = 11.0 * len(legend) + 18
    drawing = Drawing(WIDTH, head + sum(heights))
    top = drawing.height
    for line in legend:
        top -= 11
        for at, code, name in line:
            _box(drawing, at, top, 14, 7, _FILLS[code])
            drawing.add(text(at + 18, top + 0.5, name, size=7))
    top -= 12
    drawing.add(text(_LEFT, top, words.scale, size=7, colour=SOFT))
    top -= 6
    for place, panel in enumerate(panels):
        base = top - heights[place] + 12

        def y(value: float, base: float = base) -> float:
            return base + (value - low) / (high - low) * _PLOT

        for number, words_of_title in enumerate(titles[place]):
            drawing.add(text(_LEFT, top - 9 - 11 * number, words_of_title, bold=True))
        for level in range(low, high + 1, 2):
            drawing.add(Line(_LEFT, y(level), _LEFT + span, y(level), strokeColor=RULE, strokeWidth=0.4))
            drawing.add(text(_LEFT - 5, y(level) - 2.5, _signed(level), size=7, anchor="end", colour=SOFT))
        if not panel.bars:
            drawing.add(text(_LEFT + span / 2, y((low + high) / 2) + 3, words.nothing, anchor="middle", colour=SOFT))
        _bars(drawing, panel.bars, y, width)
        # A polyline: in SVG a Line is a closed path, whose way back fills the gaps of the dashes.
        dashed = [_LEFT, y(threshold), _LEFT + span, y(threshold)]
        drawing.add(PolyLine(dashed, strokeColor=INK, strokeWidth=0.7, strokeDashArray=[3, 2]))
        drawing.add(text(_LEFT + span, y(low) - 8, words.threshold, size=6.5, anchor="end", colour=SOFT))
        drawing.add(Line(_LEFT, y(0), _LEFT + span, y(0), strokeColor=INK, strokeWidth=0.8))
        top -= heights[place]
    return drawing


def _bars(drawing: Drawing, bars: Sequence[Bar], y: Scale, width: float) -> None:
    apart = width >= _APART
    place = 0
    for bar, same in itertools.groupby(bars):
        count = len(list(same))
        left = _LEFT + place * width
        ends = (y(bar.value), y(0)) if bar.value else (y(0) - 1.5, y(0) + 1.5)
        low, high = min(ends), max(ends)
        fill = _FILLS[bar.category]
        for number in range(count if apart else 1):
            gap = 0.12 * width if apart else 0.0
            run = width if apart else width * count
            _box(drawing, left + number * width + gap, low, run - 2 * gap, high - low, fill)
        # A code at each bar, else one for the run of equal bars, where there is room.
        code = stringWidth(bar.category, REGULAR, _CODE)
        level = y(0) - 7.5 if bar.value > 0 else y(0) + 3
        if code <= width:
            middles = [left + (number + 0.5) * width for number in range(count)]
        else:
            middles = [left + width * count / 2] if code + 1.5 <= width * count else []
        for middle in middles:
            drawing.add(text(middle, level, bar.category, size=_CODE, anchor="middle"))
        place += count


def _box(drawing: Drawing, x: float, y: float, width: float, height: float, fill: _Fill) -> None:
    if fill.outlined:
        inner = 0.3 if min(width, height) > 1 else 0.0
        drawing.add(
            Rect(x + inner, y + inner, width - 2 * inner, height - 2 * inner, fillColor=fill.colour, strokeColor=INK,
                 strokeWidth=0.5)
        )  # fmt: skip
        return
    drawing.add(Rect(x, y, width, height, fillColor=fill.colour, strokeColor=None))
    if fill.gap:
        level = y + fill.gap / 2
        while level < y + height - 0.4:
            drawing.add(Line(x, level, x + width, level, strokeColor=white, strokeWidth=0.7))
            level += fill.gap


def _legend_lines(categories: Sequence[tuple[str, str]], room: float) -> list[list[tuple[float, str, str]]]:
    """(x, code, words) of each entry, in as many lines as they need."""
    lines: list[list[tuple[float, str, str]]] = [[]]
    at = 0.0
    for code, name in categories:
        words = f"{code} {name}"
        width = 18 + stringWidth(words, REGULAR, 7)
        if lines[-1] and at + width > room:
            lines.append([])
            at = 0.0
        lines[-1].append((at, code, words))
        at += width + 8
    return lines


def _signed(value: int) -> str:
    return f"−{-value}" if value < 0 else f"+{value}" if value else "0"
