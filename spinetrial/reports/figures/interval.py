"""Differences with their intervals against the margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect

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
    """One interval of the plot, in proportions; None where it is not estimable. `text` stands at the right."""

    label: str
    estimate: float | None
    lower: float | None
    upper: float | None
    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class IntervalWords:
    axis: str
    favours_control: str
    favours_study: str
    margin: str
    not_estimable: str


def interval_plot(lines: Sequence[IntervalLine], margin: float, words: IntervalWords) -> Drawing:
    """Differences (study minus control) with their intervals, a line at 0 and one at the margin, NI side shaded."""
    register()
    left, right, row, bottom, top = 165.0, 118.0, 18.0, 48.0, 22.0
    height = bottom + top + row * max(len(lines), 1)
    drawing = Drawing(WIDTH, height)
    values = [v for line in lines for v in (line.lower, line.upper) if v is not None]
    low, high = _axis_range([*values, margin, 0.0])
    span = WIDTH - left - right

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * span

    base, ceiling = bottom, height - top
    drawing.add(Rect(x(margin), base, x(high) - x(margin), ceiling - base, fillColor=SHADE, strokeColor=None))
    for tick in _ticks(low, high):
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 12, _points(tick), size=7, anchor="middle", colour=SOFT))
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
    for place, line in enumerate(lines):
        y = ceiling - row * (place + 0.5)
        parts = fit(line.label, left - 12, bold=line.strong)
        for offset, part in enumerate(parts[:2]):
            shift = 0.0 if len(parts) == 1 else 4.5 - 9.0 * offset
            drawing.add(text(0, y - 2.8 + shift, part, bold=line.strong))
        drawing.add(text(WIDTH, y - 2.8, line.text, anchor="end", bold=line.strong))
        if line.estimate is None or line.lower is None or line.upper is None:
            drawing.add(text(x(low) + 4, y - 2.8, words.not_estimable, size=7, colour=SOFT))
            continue
        width = 1.6 if line.strong else 1.0
        drawing.add(Line(x(line.lower), y, x(line.upper), y, strokeColor=STUDY, strokeWidth=width))
        for end in (line.lower, line.upper):
            drawing.add(Line(x(end), y - 3, x(end), y + 3, strokeColor=STUDY, strokeWidth=width))
        at = x(line.estimate)
        half = 3.6 if line.strong else 2.8
        drawing.add(
            Polygon([at - half, y, at, y + half, at + half, y, at, y - half], fillColor=STUDY, strokeColor=None)
        )
    return drawing


def _axis_range(values: Sequence[float]) -> tuple[float, float]:
    """Tenths around the values, at least -0.4 to 0.4 and at most -1 to 1."""
    low = min(-0.4, math.floor(min(values) * 10 - 0.1) / 10)
    high = max(0.4, math.ceil(max(values) * 10 + 0.1) / 10)
    return max(low, -1.0), min(high, 1.0)


def _ticks(low: float, high: float) -> list[float]:
    step = 0.1 if high - low <= 1.0 else 0.2
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _points(value: float) -> str:
    number = f"{abs(value) * 100:.0f}"
    return f"−{number}" if value < 0 else number
