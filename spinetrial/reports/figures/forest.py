"""Differences in subgroups with their counts and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect

from spinetrial.reports.figures.drawing import INK, RULE, SOFT, STUDY, WIDTH, fit, text
from spinetrial.reports.figures.interval import axis_range, axis_ticks, whole_points
from spinetrial.reports.fonts import register


@dataclass(frozen=True, slots=True)
class ForestLine:
    """A level, in proportions; None where not estimable. `n` patients set the size of the square.

    `head`: the name of a factor, with the p of its interaction in `text`. `overall`: everyone, drawn as a diamond.
    """

    label: str
    study: str = ""
    control: str = ""
    n: int = 0
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    text: str = ""
    head: bool = False
    overall: bool = False


@dataclass(frozen=True, slots=True)
class ForestWords:
    """Column heads and axis."""

    study: str
    control: str
    difference: str
    axis: str
    favours_control: str
    favours_study: str
    not_estimable: str


_LABEL, _COUNT, _TEXT = 128.0, 48.0, 104.0
_LINE = 8.5


def forest_plot(lines: Sequence[ForestLine], words: ForestWords) -> Drawing:
    """A row per level under the name of its factor; a line at 0 and a dashed one at the difference of everyone."""
    register()
    left = _LABEL + 2 * _COUNT + 6
    span = WIDTH - left - _TEXT - 6
    labels = [[line.label] if line.head else fit(line.label, _LABEL - 12, 7.5) for line in lines]
    heights = [15.0 if line.head else _LINE * len(parts) + 3.5 for line, parts in zip(lines, labels, strict=True)]
    heads = [fit(words.study, _COUNT - 4, 7, True), fit(words.control, _COUNT - 4, 7, True),
             fit(words.difference, _TEXT, 7, True)]  # fmt: skip
    bottom, top = 46.0, 8.5 * max(len(parts) for parts in heads) + 8.0
    drawing = Drawing(WIDTH, bottom + top + sum(heights))
    base, ceiling = bottom, bottom + sum(heights)
    values = [v for line in lines for v in (line.estimate, line.lower, line.upper) if v is not None]
    low, high = axis_range([*values, 0.0])
    largest = max((line.n for line in lines if not line.overall), default=0) or 1

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * span

    places = ((_LABEL + _COUNT / 2, "middle"), (_LABEL + 1.5 * _COUNT, "middle"), (WIDTH, "end"))
    for parts, (place, anchor) in zip(heads, places, strict=True):
        for number, part in enumerate(parts):
            at = ceiling + 6 + 8.5 * (len(parts) - 1 - number)
            drawing.add(text(place, at, part, size=7, anchor=anchor, bold=True))
    drawing.add(Line(0, ceiling + 2, WIDTH, ceiling + 2, strokeColor=INK, strokeWidth=0.6))
    for tick in axis_ticks(low, high, 7):
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 11, whole_points(tick), size=7, anchor="middle", colour=SOFT))
    drawing.add(Line(x(low), base, x(high), base, strokeColor=SOFT, strokeWidth=0.6))
    drawing.add(text(left + span / 2, base - 22, words.axis, size=7, anchor="middle", colour=SOFT))
    # The two directions would meet under a plot this narrow: they stand outside of it.
    drawing.add(text(x(0) - 6, base - 34, f"← {words.favours_control}", size=7, anchor="end", colour=SOFT))
    drawing.add(text(x(0) + 6, base - 34, f"{words.favours_study} →", size=7, colour=SOFT))
    drawing.add(Line(x(0), base, x(0), ceiling, strokeColor=INK, strokeWidth=0.8))
    for line in lines:
        if line.overall and line.estimate is not None:
            at = x(line.estimate)
            path = [at, base, at, ceiling]
            drawing.add(PolyLine(path, strokeColor=SOFT, strokeWidth=0.8, strokeDashArray=[3, 2]))
    at = ceiling
    for line, parts, height in zip(lines, labels, heights, strict=True):
        y = at - height / 2
        at -= height
        if (line.head or line.overall) and y + height / 2 < ceiling:
            drawing.add(Line(0, y + height / 2, WIDTH, y + height / 2, strokeColor=RULE, strokeWidth=0.4))
        if line.head:
            drawing.add(text(0, y - 4, line.label, size=7.5, bold=True))
            drawing.add(text(WIDTH, y - 4, line.text, size=7.5, anchor="end", colour=SOFT))
            continue
        for number, part in enumerate(parts):
            high_at = y - 2.6 + _LINE / 2 * (len(parts) - 1) - _LINE * number
            drawing.add(text(0 if line.overall else 8, high_at, part, size=7.5, bold=line.overall))
        for place, cell in ((_LABEL + _COUNT / 2, line.study), (_LABEL + 1.5 * _COUNT, line.control)):
            drawing.add(text(place, y - 2.6, cell, size=7.5, anchor="middle", bold=line.overall))
        drawing.add(text(WIDTH, y - 2.6, line.text, size=7.5, anchor="end", bold=line.overall))
        if line.estimate is None or line.lower is None or line.upper is None:
            continue
        centre = x(line.estimate)
        if line.overall:
            corners = [x(line.lower), y, centre, y + 4, x(line.upper), y, centre, y - 4]
            drawing.add(Polygon(corners, fillColor=STUDY, strokeColor=None))
            continue
        drawing.add(Line(x(line.lower), y, x(line.upper), y, strokeColor=STUDY, strokeWidth=1.0))
        half = 1.4 + 2.4 * math.sqrt(line.n / largest)
        drawing.add(Rect(centre - half, y - half, 2 * half, 2 * half, fillColor=STUDY, strokeColor=None))
    return drawing
