"""Lines over labelled ticks, with rows of numbers below the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, PolyLine, Rect
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import (
    CONTROL,
    INK,
    RULE,
    SOFT,
    STUDY,
    WIDTH,
    text,
)
from spinetrial.reports.fonts import REGULAR, register


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
        drawing.add(text(left - 5, y(level) - 2.5, f"{level:g}", size=7, anchor="end", colour=SOFT))
    drawing.add(text(left, y(y_top) + 8, y_label, size=7, colour=SOFT))
    for place, (tick, words) in enumerate(x_ticks):
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 12, words, size=7, anchor="middle", colour=SOFT))
        for row, (_name, texts) in enumerate(under):
            drawing.add(text(x(tick), base - 34 - 12.0 * row, texts[place], size=7.5, anchor="middle"))
    drawing.add(text(left + span / 2, base - 23, x_label, size=7, anchor="middle", colour=SOFT))
    for row, (name, _texts) in enumerate(under):
        drawing.add(text(0, base - 34 - 12.0 * row, name, size=7.5))
    if nothing and not any(each.points for each in series):
        drawing.add(text(left + span / 2, y(y_top / 2), nothing, anchor="middle", colour=SOFT))
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
        drawing.add(text(legend + 27, high - 2.8, each.name, size=7.5))
    return drawing
