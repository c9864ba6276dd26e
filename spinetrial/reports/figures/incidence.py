"""Cumulative incidence of an event and of death without it, side by side."""

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
from spinetrial.stats.competing import CumulativeIncidence

#: (top, step) of the axis of shares; the first that holds every curve with its limits is taken.
_SHARES = ((0.2, 0.05), (0.4, 0.1), (0.6, 0.2), (0.8, 0.2), (1.0, 0.25))


@dataclass(frozen=True, slots=True)
class IncidenceWords:
    """`event` and `death` are the titles of the two panels, with their unit."""

    event: str
    death: str
    axis: str
    at_risk: str
    nothing: str


def incidence_pair(
    groups: Sequence[tuple[str, CumulativeIncidence, CumulativeIncidence]], words: IncidenceWords
) -> Drawing:
    """Two panels with the same scales: the event, and death without it.

    `groups`: name, incidence of the event and of death of each group, study arm first. Times in months. A curve ends
    where fewer than a tenth of its participants are at risk.
    """
    register()
    gap, left, right, plot, legend = 46.0, 40.0, 12.0, 118.0, 14.0
    below = 46.0 + 11.0 * len(groups)
    drawing = Drawing(WIDTH, plot + 18 + legend + below)
    span = (WIDTH - left - right - gap) / 2
    panels = (
        (words.event, [_stairs(name, event) for name, event, _death in groups]),
        (words.death, [_stairs(name, death) for name, _event, death in groups]),
    )
    stairs = [each for _title, curves in panels for each in curves]
    end, step = axis_of([each.end for each in stairs])
    highest = max((each.top for each in stairs), default=0.0)
    top, share_step = next(pair for pair in _SHARES if highest <= pair[0] + 1e-9)
    at = left
    for place, (name, _event, _death) in enumerate(groups):
        draw_sample(drawing, at, below + plot + 18 + legend - 6, place)
        drawing.add(text(at + 29, below + plot + 18 + legend - 8.8, name, size=7.5))
        at += 29 + stringWidth(name, REGULAR, 7.5) + 22
    for number, (title, curves) in enumerate(panels):
        axes = Axes(left + number * (span + gap), below, span, plot, end, step, top, share_step)
        draw_axes(drawing, axes, title, words.axis)
        draw_curves(drawing, axes, curves)
        if not any(curve.n for curve in curves):
            drawing.add(text(axes.left + span / 2, below + plot / 2, words.nothing, anchor="middle", colour=SOFT))
        drawing.add(text(axes.left - 34, below - 34, words.at_risk, size=7, bold=True))
        for place, (_name, event, _death) in enumerate(groups):
            row = below - 46 - 11.0 * place
            draw_sample(drawing, axes.left - 34, row + 2.6, place, 22)
            for tick in axes.ticks:
                drawing.add(text(axes.x(tick), row, str(event.at(tick).n_risk), size=7, anchor="middle"))
    return drawing


def _stairs(name: str, curve: CumulativeIncidence) -> StepCurve:
    return StepCurve(
        name,
        curve.n,
        0.0,
        tuple(
            StepPoint(step.time, step.incidence.value or 0.0, step.lower.value, step.upper.value, step.n_risk, False)
            for step in curve.steps
        ),
    )
