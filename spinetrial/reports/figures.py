"""Vector figures of the report: interval plot against the margin, Kaplan-Meier with numbers at risk.

Arms are told apart by line style and marker as well as by grey level, so that a black-and-white copy reads the same.
All words come in translated; nothing here knows a language.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.fonts import BOLD, REGULAR, register
from spinetrial.stats.survival import KaplanMeier

WIDTH = 482.0
INK = HexColor("#1c2730")
SOFT = HexColor("#5c6873")
RULE = HexColor("#b9c3ca")
SHADE = HexColor("#e4f0f3")
STUDY = HexColor("#0b5a70")
CONTROL = HexColor("#8a5a00")
_SIZE = 8.0

_Scale = Callable[[float], float]


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


def _text(x: float, y: float, text: str, *, size: float = _SIZE, anchor: str = "start", bold: bool = False,
          colour: Color = INK) -> String:  # fmt: skip
    return String(x, y, text, fontName=BOLD if bold else REGULAR, fontSize=size, textAnchor=anchor, fillColor=colour)


def _fit(text: str, width: float, size: float = _SIZE, bold: bool = False) -> list[str]:
    """`text` in lines that fit: broken at spaces, or between characters where there are none (Chinese)."""
    font = BOLD if bold else REGULAR
    parts = text.split(" ") if " " in text else list(text)
    glue = " " if " " in text else ""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}{glue}{part}"
        if stringWidth(longer, font, size) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


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
        drawing.add(_text(x(tick), base - 12, _points(tick), size=7, anchor="middle", colour=SOFT))
    drawing.add(Line(x(low), base, x(high), base, strokeColor=SOFT, strokeWidth=0.6))
    drawing.add(Line(x(0), base, x(0), ceiling, strokeColor=INK, strokeWidth=0.8))
    # A polyline: in SVG a Line is a closed path, whose way back fills the gaps of the dashes.
    at_margin = [x(margin), base, x(margin), ceiling + 4]
    drawing.add(PolyLine(at_margin, strokeColor=INK, strokeWidth=1.2, strokeDashArray=[4, 2]))
    drawing.add(_text(x(margin), ceiling + 8, words.margin, size=7, anchor="middle", bold=True))
    middle = (x(low) + x(high)) / 2
    drawing.add(_text(middle, base - 24, words.axis, size=7, anchor="middle", colour=SOFT))
    drawing.add(_text(x(low), base - 38, f"← {words.favours_control}", size=7, colour=SOFT))
    drawing.add(_text(x(high), base - 38, f"{words.favours_study} →", size=7, anchor="end", colour=SOFT))
    for place, line in enumerate(lines):
        y = ceiling - row * (place + 0.5)
        parts = _fit(line.label, left - 12, bold=line.strong)
        for offset, part in enumerate(parts[:2]):
            shift = 0.0 if len(parts) == 1 else 4.5 - 9.0 * offset
            drawing.add(_text(0, y - 2.8 + shift, part, bold=line.strong))
        drawing.add(_text(WIDTH, y - 2.8, line.text, anchor="end", bold=line.strong))
        if line.estimate is None or line.lower is None or line.upper is None:
            drawing.add(_text(x(low) + 4, y - 2.8, words.not_estimable, size=7, colour=SOFT))
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


@dataclass(frozen=True, slots=True)
class SurvivalWords:
    axis: str
    proportion: str
    at_risk: str
    nothing: str


def survival_plot(curves: Sequence[tuple[str, KaplanMeier]], words: SurvivalWords) -> Drawing:
    """Kaplan-Meier curves with censoring ticks and the numbers at risk under the axis.

    `curves`: name and curve of each group, study arm first. Times in months.
    """
    register()
    names = max((stringWidth(name, REGULAR, 7.5) for name, _curve in curves), default=0.0)
    left, right, top = max(58.0, names + 20), 12.0, 14.0
    below = 46.0 + 12.0 * len(curves)
    plot = 170.0
    drawing = Drawing(WIDTH, plot + top + below)
    base = below
    last = max((step.time for _name, curve in curves for step in curve.steps), default=0.0)
    end, step = _months_axis(last)
    span = WIDTH - left - right

    def x(months: float) -> float:
        return left + months / end * span

    def y(share: float) -> float:
        return base + share * plot

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.add(Line(left, y(share), left + span, y(share), strokeColor=RULE, strokeWidth=0.4))
        drawing.add(_text(left - 5, y(share) - 2.5, f"{share * 100:.0f}", size=7, anchor="end", colour=SOFT))
    drawing.add(_text(left, y(1) + 7, words.proportion, size=7, colour=SOFT))
    drawing.add(Line(left, base, left + span, base, strokeColor=SOFT, strokeWidth=0.6))
    ticks = [step * number for number in range(round(end / step) + 1)]
    for tick in ticks:
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(_text(x(tick), base - 12, f"{tick:g}", size=7, anchor="middle", colour=SOFT))
    drawing.add(_text(left + span / 2, base - 23, words.axis, size=7, anchor="middle", colour=SOFT))
    drawing.add(_text(0, base - 34, words.at_risk, size=7, bold=True))
    if not any(curve.n for _name, curve in curves):
        drawing.add(_text(left + span / 2, y(0.5), words.nothing, anchor="middle", colour=SOFT))
    legend = base + 10
    for place, (name, curve) in enumerate(curves):
        colour, dash = ((STUDY, None), (CONTROL, [5, 2]))[place % 2]
        _curve(drawing, curve, x, y, colour, dash)
        line = legend + 12.0 * (len(curves) - 1 - place)
        sample = [left + 8, line, left + 32, line]
        drawing.add(PolyLine(sample, strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash))
        drawing.add(_text(left + 37, line - 2.8, name, size=7.5))
        row = base - 46 - 12.0 * place
        drawing.add(_text(0, row, name, size=7.5))
        for tick in ticks:
            drawing.add(_text(x(tick), row, str(curve.at(tick).n_risk), size=7.5, anchor="middle"))
    return drawing


def _curve(drawing: Drawing, curve: KaplanMeier, x: _Scale, y: _Scale, colour: Color, dash: list[int] | None) -> None:
    if not curve.n:
        return
    points = [x(0.0), y(1.0)]
    height = 1.0
    for step in curve.steps:
        points += [x(step.time), y(height)]
        height = step.survival.value or 0.0
        points += [x(step.time), y(height)]
    drawing.add(PolyLine(points, strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash))
    for step in curve.steps:
        if step.n_censored:
            at, level = x(step.time), y(step.survival.value or 0.0)
            drawing.add(Line(at, level - 3, at, level + 3, strokeColor=colour, strokeWidth=0.9))


def _months_axis(last: float) -> tuple[float, float]:
    """(end, step) of a time axis in months with at most eight steps of 1, 2, 3, 6, 12 or 24 months."""
    for step in (1, 2, 3, 6, 12):
        if last <= 8 * step:
            return float(max(step, math.ceil(last / step) * step)), float(step)
    return float(math.ceil(last / 24) * 24), 24.0


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a plot: points (x, y) in order of x. `dashed` for what was planned; `steps` for what is counted."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False
    steps: bool = False


def line_plot(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[tuple[float, str]],
    y_top: float,
    y_step: float,
    under: Sequence[tuple[str, Sequence[str]]] = (),
    nothing: str = "",
) -> Drawing:
    """Lines over labelled ticks from 0 to `y_top`; `under`: rows of text below the axis, one text per tick.

    The first and last of `x_ticks` are the ends of the axis. `nothing` stands in the plot when no line has a point.
    """
    register()
    names = max((stringWidth(name, REGULAR, 7.5) for name, _texts in under), default=0.0)
    left, right, top, plot = max(40.0, names + 18), 16.0, 22.0, 150.0
    base = 34.0 + 12.0 * len(under)
    drawing = Drawing(WIDTH, plot + top + base)
    first, last = x_ticks[0][0], x_ticks[-1][0]
    span = WIDTH - left - right

    def x(value: float) -> float:
        return left + (value - first) / ((last - first) or 1.0) * span

    def y(value: float) -> float:
        return base + value / y_top * plot

    for number in range(round(y_top / y_step) + 1):
        level = number * y_step
        drawing.add(Line(left, y(level), left + span, y(level), strokeColor=RULE, strokeWidth=0.4))
        drawing.add(_text(left - 5, y(level) - 2.5, f"{level:g}", size=7, anchor="end", colour=SOFT))
    drawing.add(_text(left, y(y_top) + 8, y_label, size=7, colour=SOFT))
    for place, (tick, words) in enumerate(x_ticks):
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(_text(x(tick), base - 12, words, size=7, anchor="middle", colour=SOFT))
        for row, (_name, texts) in enumerate(under):
            drawing.add(_text(x(tick), base - 34 - 12.0 * row, texts[place], size=7.5, anchor="middle"))
    drawing.add(_text(left + span / 2, base - 23, x_label, size=7, anchor="middle", colour=SOFT))
    for row, (name, _texts) in enumerate(under):
        drawing.add(_text(0, base - 34 - 12.0 * row, name, size=7.5))
    if nothing and not any(each.points for each in series):
        drawing.add(_text(left + span / 2, y(y_top / 2), nothing, anchor="middle", colour=SOFT))
    legend = left + span * 0.03
    for place, each in enumerate(series):
        colour = (STUDY, CONTROL, INK, SOFT)[place % 4]
        dash = [5, 2] if each.dashed else None
        path: list[float] = []
        for number, (at, value) in enumerate(each.points):
            if each.steps and number:
                path += [x(at), path[-1]]
            path += [x(at), y(value)]
            if not each.steps and not each.dashed:
                drawing.add(Rect(x(at) - 2, y(value) - 2, 4, 4, fillColor=colour, strokeColor=None))
        if len(path) > 2:
            drawing.add(PolyLine(path, strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash))
        high = base + plot - 8 - 12.0 * place
        drawing.add(PolyLine([legend, high, legend + 22, high], strokeColor=colour, strokeWidth=1.6,
                             strokeDashArray=dash))  # fmt: skip
        drawing.add(_text(legend + 27, high - 2.8, each.name, size=7.5))
    return drawing


__all__ = [
    "IntervalLine",
    "IntervalWords",
    "Series",
    "SurvivalWords",
    "interval_plot",
    "line_plot",
    "survival_plot",
]
