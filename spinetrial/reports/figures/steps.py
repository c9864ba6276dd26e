"""Step curves over months since randomisation, with the numbers at risk under the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine
from reportlab.lib.colors import Color

from spinetrial.reports.figures.drawing import CONTROL, RULE, SOFT, STUDY, Scale, months_axis, text

#: A curve is drawn as long as this share of its participants is still at risk; what is left after is chance.
LEAST_AT_RISK = 0.1
#: Line of the study arm (or of everyone) and of the control arm.
STYLES: tuple[tuple[Color, list[int] | None], ...] = ((STUDY, None), (CONTROL, [5, 2]))


@dataclass(frozen=True, slots=True)
class StepPoint:
    """The curve from `time` on; the limits are None where there are none."""

    time: float
    value: float
    lower: float | None
    upper: float | None
    n_risk: int
    censored: bool


@dataclass(frozen=True, slots=True)
class StepCurve:
    """A curve of `n` participants that starts at `start` in month 0."""

    name: str
    n: int
    start: float
    points: tuple[StepPoint, ...]

    @property
    def end(self) -> float:
        """The last time at which enough participants are at risk to draw the curve."""
        return max((point.time for point in self.points if point.n_risk >= LEAST_AT_RISK * self.n), default=0.0)

    @property
    def top(self) -> float:
        """The highest value or limit that is drawn."""
        drawn = [point for point in self.points if point.time <= self.end]
        return max((point.upper or point.value for point in drawn), default=0.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a panel stands in the drawing, and its scales: months to `end`, shares to `top`."""

    left: float
    base: float
    span: float
    height: float
    end: float
    step: float
    top: float
    share_step: float

    def x(self, months: float) -> float:
        return self.left + months / self.end * self.span

    def y(self, share: float) -> float:
        return self.base + share / self.top * self.height

    @property
    def ticks(self) -> list[float]:
        return ticks(self.end, self.step)


def ticks(end: float, step: float) -> list[float]:
    """Months from 0 to `end`."""
    return [step * number for number in range(round(end / step) + 1)]


def axis_of(ends: Sequence[float]) -> tuple[float, float]:
    """(end, step) of the common axis of curves that are drawn up to `ends`."""
    return months_axis(max(ends, default=0.0))


def draw_axes(drawing: Drawing, axes: Axes, title: str, months: str) -> None:
    """Grid, scales, a title above and the words under the axis of months."""
    right = axes.left + axes.span
    for number in range(round(axes.top / axes.share_step) + 1):
        share = number * axes.share_step
        drawing.add(Line(axes.left, axes.y(share), right, axes.y(share), strokeColor=RULE, strokeWidth=0.4))
        drawing.add(text(axes.left - 5, axes.y(share) - 2.5, f"{share * 100:g}", size=7, anchor="end", colour=SOFT))
    drawing.add(text(axes.left, axes.y(axes.top) + 7, title, size=7.5, bold=True))
    drawing.add(Line(axes.left, axes.base, right, axes.base, strokeColor=SOFT, strokeWidth=0.6))
    for tick in axes.ticks:
        drawing.add(Line(axes.x(tick), axes.base, axes.x(tick), axes.base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(axes.x(tick), axes.base - 12, f"{tick:g}", size=7, anchor="middle", colour=SOFT))
    drawing.add(text(axes.left + axes.span / 2, axes.base - 23, months, size=7, anchor="middle", colour=SOFT))


def draw_curves(drawing: Drawing, axes: Axes, curves: Sequence[StepCurve]) -> None:
    """Bands of limits first, then the curves with their censoring ticks."""
    for place, curve in enumerate(curves):
        _band(drawing, axes, curve, place)
    for place, curve in enumerate(curves):
        _line(drawing, axes, curve, place)


def draw_sample(drawing: Drawing, x: float, y: float, place: int, length: float = 24.0) -> None:
    """A piece of the line of a group, for a legend."""
    colour, dash = STYLES[place % len(STYLES)]
    drawing.add(PolyLine([x, y, x + length, y], strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash))


def _line(drawing: Drawing, axes: Axes, curve: StepCurve, place: int) -> None:
    if not curve.n:
        return
    colour, dash = STYLES[place % len(STYLES)]
    drawn = [point for point in curve.points if point.time <= curve.end]
    drawing.add(
        PolyLine(_stairs(axes.x, axes.y, curve.start, [(point.time, point.value) for point in drawn]),
                 strokeColor=colour, strokeWidth=1.6, strokeDashArray=dash)
    )  # fmt: skip
    for point in drawn:
        if point.censored:
            at, level = axes.x(point.time), axes.y(point.value)
            drawing.add(Line(at, level - 3, at, level + 3, strokeColor=colour, strokeWidth=0.9))


def _band(drawing: Drawing, axes: Axes, curve: StepCurve, place: int) -> None:
    """The limits as a light area with a hairline round it: in grey the lines tell the two areas apart."""
    colour, dash = STYLES[place % len(STYLES)]
    limits = [
        (point.time, point.lower, point.upper)
        for point in curve.points
        if point.time < curve.end and point.lower is not None and point.upper is not None
    ]
    if not limits:
        return
    limits.append((curve.end, limits[-1][1], limits[-1][2]))
    lower = _stairs(axes.x, axes.y, limits[0][1], [(time, low) for time, low, _high in limits], limits[0][0])
    upper = _stairs(axes.x, axes.y, limits[0][2], [(time, high) for time, _low, high in limits], limits[0][0])
    back = [each for pair in reversed(list(zip(upper[::2], upper[1::2], strict=True))) for each in pair]
    tint = Color(colour.red, colour.green, colour.blue, alpha=0.1)
    drawing.add(Polygon(lower + back, fillColor=tint, strokeColor=None, strokeWidth=0))
    for edge in (lower, upper):
        drawing.add(PolyLine(edge, strokeColor=colour, strokeWidth=0.5, strokeDashArray=[1, 2] if dash else None))


def _stairs(x: Scale, y: Scale, start: float, points: Sequence[tuple[float, float]], begin: float = 0.0) -> list[float]:
    """Corner points of a step curve: level until each time, then its value."""
    corners, height = [x(begin), y(start)], start
    for time, value in points:
        corners += [x(time), y(height), x(time), y(value)]
        height = value
    return corners
