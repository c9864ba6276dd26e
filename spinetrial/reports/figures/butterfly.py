"""Adverse events term by term, one group to the left and one to the right, shaded by worst grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Rect
from reportlab.lib.colors import HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import INK, RULE, SOFT, WIDTH, fit, text
from spinetrial.reports.fonts import REGULAR, register

#: Fill of each band of grades, light to dark; the middle one is hatched too, so that a grey copy tells them apart.
_FILLS = (HexColor("#cfe2e8"), HexColor("#6fa8b8"), HexColor("#143642"))
_HATCHED = 1
#: Sizes of the terms that are tried, largest first, until the figure fits on a page.
_SIZES = (7.4, 6.8, 6.2, 5.6, 5.0)
_TALLEST = 590.0
_ENDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class TermBar:
    """A term: participants per band of grades, for each group, and the words beside each bar."""

    label: str
    counts: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ButterflyWords:
    """`sides`: name and size of each group; `bands`: names of the bands of grades, mildest first."""

    sides: tuple[str, ...]
    bands: tuple[str, ...]
    axis: str
    nothing: str


def butterfly(bars: Sequence[TermBar], sizes: Sequence[int], words: ButterflyWords) -> Drawing:
    """Bars of the share of `sizes` (participants treated per group) with each term, by band of worst grade.

    With two groups the bars run away from the terms in the middle; with one they all run to the right.
    """
    register()
    two = len(sizes) == 2
    middle = 142.0 if two else 168.0
    beside = max((stringWidth(each, REGULAR, 7) for bar in bars for each in bar.texts), default=30.0) + 8
    span = ((WIDTH - middle) / 2 if two else WIDTH - middle) - beside
    for size in _SIZES:
        leading = size * 1.25
        labels = [fit(bar.label, middle - 12, size) for bar in bars]
        rows = [max(15.0, leading * len(lines) + 5) for lines in labels] or [30.0]
        if sum(rows) <= _TALLEST:
            break
    heads = [fit(each, span + beside - 4, 8, bold=True) for each in words.sides]
    top = 20.0 + 10.5 * max(len(lines) for lines in heads)
    bottom = 34.0
    drawing = Drawing(WIDTH, top + sum(rows) + bottom)
    ceiling = bottom + sum(rows)
    end = _end(max((sum(each) / n for bar in bars for each, n in zip(bar.counts, sizes, strict=True) if n), default=0))
    # Left edge of the right-hand bars and right edge of the left-hand bars.
    zero = [(WIDTH - middle) / 2, (WIDTH + middle) / 2] if two else [middle]
    signs = [-1.0, 1.0] if two else [1.0]

    def x(side: int, share: float) -> float:
        return zero[side] + signs[side] * share / end * span

    _legend(drawing, words.bands, ceiling + top - 9)
    for side, lines in enumerate(heads):
        for number, line in enumerate(lines):
            y = ceiling + 5 + 10.5 * (len(lines) - 1 - number)
            drawing.add(text(zero[side], y, line, bold=True, anchor="end" if signs[side] < 0 else "start"))
        for tick in (0.0, end / 2, end):
            drawing.add(Line(x(side, tick), bottom, x(side, tick), ceiling, strokeColor=RULE, strokeWidth=0.4))
            drawing.add(text(x(side, tick), bottom - 10, f"{tick * 100:g}", size=7, anchor="middle", colour=SOFT))
    under = WIDTH / 2 if two else zero[0] + span / 2
    drawing.add(text(under, bottom - 23, words.axis, size=7, anchor="middle", colour=SOFT))
    if not bars:
        drawing.add(text(WIDTH / 2, bottom + 12, words.nothing, anchor="middle", colour=SOFT))
    y = ceiling
    for bar, lines, height in zip(bars, labels, rows, strict=False):
        centre = y - height / 2
        for number, line in enumerate(lines):
            at = centre - 0.36 * size + leading * ((len(lines) - 1) / 2 - number)
            if two:
                drawing.add(text(WIDTH / 2, at, line, size=size, anchor="middle"))
            else:
                drawing.add(text(middle - 8, at, line, size=size, anchor="end"))
        for side, (counts, n) in enumerate(zip(bar.counts, sizes, strict=True)):
            reached = 0.0
            for band, count in enumerate(counts):
                if not count or not n:
                    continue
                ends = sorted((x(side, reached), x(side, reached + count / n)))
                _bar(drawing, ends[0], centre - 4.5, ends[1] - ends[0], 9.0, band)
                reached += count / n
            at = x(side, reached) + signs[side] * 4
            wide = stringWidth(bar.texts[side], REGULAR, 7)
            # White under the words, or the grid would run through the figures.
            drawing.add(
                Rect(at - (wide if signs[side] < 0 else 0), centre - 4.5, wide, 9, fillColor=white, strokeColor=None)
            )
            drawing.add(text(at, centre - 2.5, bar.texts[side], size=7, anchor="end" if signs[side] < 0 else "start"))
        y -= height
    return drawing


def _bar(drawing: Drawing, left: float, base: float, width: float, height: float, band: int) -> None:
    drawing.add(Rect(left, base, width, height, fillColor=_FILLS[band], strokeColor=INK, strokeWidth=0.4))
    if band != _HATCHED:
        return
    # Lines of 45 degrees, cut to the bar: each starts on the lower or the left edge.
    step, offset = 3.0, -height
    while offset < width:
        begin, finish = max(offset, 0.0), min(offset + height, width)
        drawing.add(
            Line(left + begin, base + begin - offset, left + finish, base + finish - offset, strokeColor=INK,
                 strokeWidth=0.5)
        )  # fmt: skip
        offset += step


def _legend(drawing: Drawing, bands: Sequence[str], y: float) -> None:
    """Swatches in the order in which the bars are stacked, in one line from the left."""
    at = 0.5
    for band, name in enumerate(bands):
        _bar(drawing, at, y - 1, 14, 7, band)
        drawing.add(text(at + 18, y, name, size=7.2))
        at += 18 + stringWidth(name, REGULAR, 7.2) + 16


def _end(largest: float) -> float:
    """The end of the axis: a round share not below the largest."""
    return next(end for end in _ENDS if largest <= end + 1e-9)
