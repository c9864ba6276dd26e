"""Kaplan-Meier curves with the numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, PolyLine
from reportlab.lib.colors import Color
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import (
    CONTROL,
    RULE,
    SOFT,
    STUDY,
    WIDTH,
    Scale,
    months_axis,
    text,
)
from spinetrial.reports.fonts import REGULAR, register
from spinetrial.stats.survival import KaplanMeier


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
    end, step = months_axis(last)
    span = WIDTH - left - right

    def x(months: float) -> float:
        return left + months / end * span

    def y(share: float) -> float:
        return base + share * plot

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.add(Line(left, y(share), left + span, y(share), strokeColor=RULE, strokeWidth=0.4))
        drawing.add(text(left - 5, y(share) - 2.5, f"{share * 100:.0f}", size=7, anchor="end", colour=SOFT))
    drawing.add(text(left, y(1) + 7, words.proportion, size=7, colour=SOFT))
    drawing.add(Line(left, base, left + span, base, strokeColor=SOFT, strokeWidth=0.6))
    ticks = [step * number for number in range(round(end / step) + 1)]
    for tick in ticks:
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 12, f"{tick:g}", size=7, anchor="middle", colour=SOFT))
    drawing.add(text(left + span / 2, base - 23, words.axis, size=7, anchor="middle", colour=SOFT))
    drawing.add(text(0, base - 34, words.at_risk, size=7, bold=True))
    if not any(curve.n for _name, curve in curves):
        drawing.add(text(left + span / 2, y(0.5), words.nothing, anchor="middle", colour=SOFT))
    legend = base + 10
    for place, (name, curve) in enumerate(curves):
        colour, dash = ((STUDY, None), (CONTROL, [5, 2]))[place % 2]
        _curve(drawing, curve, x, y, colour, dash)
        line = legend + 12.0 * (len(curves) - 1 - place)
        sample = [left + 8, line, left + 32, line]
        drawing.add(PolyLine(sample, strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash))
        drawing.add(text(left + 37, line - 2.8, name, size=7.5))
        row = base - 46 - 12.0 * place
        drawing.add(text(0, row, name, size=7.5))
        for tick in ticks:
            drawing.add(text(x(tick), row, str(curve.at(tick).n_risk), size=7.5, anchor="middle"))
    return drawing


def _curve(drawing: Drawing, curve: KaplanMeier, x: Scale, y: Scale, colour: Color, dash: list[int] | None) -> None:
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
