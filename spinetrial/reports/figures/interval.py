"""Differences with their intervals against the margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect
from reportlab.lib.colors import white

from spinetrial.reports.figures.drawing import (
    INK,
    SHADE,
    SOFT,
    STUDY,
    WIDTH,
    fit,
    text,
)
from spinetrial.reports.fonts import register


@dataclass(frozen=True, slots=True)
class IntervalLine:
    """One interval of the plot, in proportions; None where it is not estimable. `text` stands at the right.

    `margin`: the margin of this line where it is not that of the plot, marked on the line. A line with an estimate but
    no limits is an open diamond. `head`: only a label above the lines that follow.
    """

    label: str
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    text: str = ""
    strong: bool = False
    margin: float | None = None
    head: bool = False


@dataclass(frozen=True, slots=True)
class IntervalWords:
    """`margin` names the line of the plot's margin, `other` that of a line's own margin."""

    axis: str
    favours_control: str
    favours_study: str
    margin: str
    not_estimable: str
    other: str = ""


_LEFT, _RIGHT = 165.0, 118.0


def interval_plot(lines: Sequence[IntervalLine], margin: float, words: IntervalWords) -> Drawing:
    """Differences (study minus control) with their intervals, a line at 0 and one at the margin, NI side shaded."""
    register()
    bottom, top = 48.0, 22.0
    labels = [fit(line.label, _LEFT - 12, bold=line.strong or line.head) for line in lines]
    heights = [
        13.0 if line.head else max(15.0, 9.0 * len(parts) + 3.0) for line, parts in zip(lines, labels, strict=True)
    ]
    others = [line.margin for line in lines if line.margin is not None]
    if others:
        bottom += 13.0
    drawing = Drawing(WIDTH, bottom + top + max(sum(heights), 18.0))
    values = [v for line in lines for v in (line.estimate, line.lower, line.upper) if v is not None]
    low, high = axis_range([*values, *others, margin, 0.0])
    span = WIDTH - _LEFT - _RIGHT

    def x(value: float) -> float:
        return _LEFT + (min(max(value, low), high) - low) / (high - low) * span

    base, ceiling = bottom, drawing.height - top
    drawing.add(Rect(x(margin), base, x(high) - x(margin), ceiling - base, fillColor=SHADE, strokeColor=None))
    for tick in axis_ticks(low, high):
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 12, whole_points(tick), size=7, anchor="middle", colour=SOFT))
    drawing.add(Line(x(low), base, x(high), base, strokeColor=SOFT, strokeWidth=0.6))
    drawing.add(Line(x(0), base, x(0), ceiling, strokeColor=INK, strokeWidth=0.8))
    # A polyline: in SVG a Line is a closed path, whose way back fills the gaps of the dashes.
    at_margin = [x(margin), base, x(margin), ceiling + 4]
    drawing.add(PolyLine(at_margin, strokeColor=INK, strokeWidth=1.2, strokeDashArray=[4, 2]))
    drawing.add(text(x(margin), ceiling + 8, words.margin, size=7, anchor="middle", bold=True))
    middle = (x(low) + x(high)) / 2
    drawing.add(text(middle, base - 24, words.axis, size=7, anchor="middle", colour=SOFT))
    drawing.add(text(x(low), base - 38, f"← {words.favours_control}", size=7, colour=SOFT))
    drawing.add(text(x(high), base - 38, f"{words.favours_study} →", size=7, anchor="end", colour=SOFT))
    if others:
        _own_margin(drawing, _LEFT + 4, base - 48.5)
        drawing.add(text(_LEFT + 12, base - 51, words.other, size=7, colour=SOFT))
    at = ceiling
    for line, parts, height in zip(lines, labels, heights, strict=True):
        y = at - height / 2
        at -= height
        if line.head:
            drawing.add(text(0, y - 4.5, line.label, size=7.5, bold=True, colour=SOFT))
            continue
        for offset, part in enumerate(parts):
            drawing.add(text(0, y - 2.8 + 4.5 * (len(parts) - 1) - 9.0 * offset, part, bold=line.strong))
        drawing.add(text(WIDTH, y - 2.8, line.text, anchor="end", bold=line.strong))
        if line.margin is not None:
            _own_margin(drawing, x(line.margin), y)
        if line.estimate is None:
            drawing.add(text(x(low) + 4, y - 2.8, words.not_estimable, size=7, colour=SOFT))
            continue
        limits = line.lower is not None and line.upper is not None
        if line.lower is not None and line.upper is not None:
            width = 1.6 if line.strong else 1.0
            drawing.add(Line(x(line.lower), y, x(line.upper), y, strokeColor=STUDY, strokeWidth=width))
            for end in (line.lower, line.upper):
                drawing.add(Line(x(end), y - 3, x(end), y + 3, strokeColor=STUDY, strokeWidth=width))
        centre, half = x(line.estimate), 3.6 if line.strong else 2.8
        corners = [centre - half, y, centre, y + half, centre + half, y, centre, y - half]
        drawing.add(Polygon(corners, fillColor=STUDY if limits else white, strokeColor=STUDY, strokeWidth=0.7))
    return drawing


def _own_margin(drawing: Drawing, x: float, y: float) -> None:
    drawing.add(Line(x, y - 6, x, y + 6, strokeColor=INK, strokeWidth=2.2))


def axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Tenths around the values, at least -0.4 to 0.4 and at most -1 to 1."""
    low = min(-0.4, math.floor(min(values) * 10 - 0.1) / 10)
    high = max(0.4, math.ceil(max(values) * 10 + 0.1) / 10)
    return max(low, -1.0), min(high, 1.0)


def axis_ticks(low: float, high: float, most: int = 11) -> list[float]:
    """Multiples of 0.1, 0.2 or 0.5 between the ends, `most` at most."""
    for step in (0.1, 0.2, 0.5):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [round(number * step, 10) for number in range(first, last + 1)]


def whole_points(value: float) -> str:
    """A tick of the axis in percentage points."""
    number = f"{abs(value) * 100:.0f}"
    return f"−{number}" if value < 0 else number
