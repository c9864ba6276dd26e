"""Kaplan-Meier curves with the numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import SOFT, WIDTH, text
from spinetrial.reports.figures.steps import (
    Axes,
    StepCurve,
    StepPoint,
    axis_of,
    draw_axes,
    draw_curves,
    draw_sample,
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
    """Kaplan-Meier curves with limits, censoring ticks and the numbers at risk under the axis.

    `curves`: name and curve of each group, study arm first. Times in months. A curve ends where fewer than a tenth of
    its participants are at risk.
    """
    register()
    names = max((stringWidth(name, REGULAR, 7.5) for name, _curve in curves), default=0.0)
    left, right, top = max(58.0, names + 20), 12.0, 16.0
    below = 46.0 + 12.0 * len(curves)
    plot = 170.0
    drawing = Drawing(WIDTH, plot + top + below)
    stairs = [_stairs(name, curve) for name, curve in curves]
    end, step = axis_of([each.end for each in stairs])
    axes = Axes(left, below, WIDTH - left - right, plot, end, step, 1.0, 0.25)
    draw_axes(drawing, axes, words.proportion, words.axis)
    draw_curves(drawing, axes, stairs)
    drawing.add(text(0, below - 34, words.at_risk, size=7, bold=True))
    if not any(curve.n for _name, curve in curves):
        drawing.add(text(left + axes.span / 2, axes.y(0.5), words.nothing, anchor="middle", colour=SOFT))
    for place, (name, curve) in enumerate(curves):
        line = below + 10 + 12.0 * (len(curves) - 1 - place)
        draw_sample(drawing, left + 8, line, place)
        drawing.add(text(left + 37, line - 2.8, name, size=7.5))
        row = below - 46 - 12.0 * place
        drawing.add(text(0, row, name, size=7.5))
        for tick in axes.ticks:
            drawing.add(text(axes.x(tick), row, str(curve.at(tick).n_risk), size=7.5, anchor="middle"))
    return drawing


def _stairs(name: str, curve: KaplanMeier) -> StepCurve:
    return StepCurve(
        name,
        curve.n,
        1.0,
        tuple(
            StepPoint(
                step.time, step.survival.value or 0.0, step.lower.value, step.upper.value, step.n_risk,
                step.n_censored > 0,
            )
            for step in curve.steps
        ),
    )  # fmt: skip
