"""Pain over time: means with their intervals over the lines of single participants, one panel per group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, Shape
from reportlab.lib.colors import Color, HexColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import CONTROL, INK, RULE, SOFT, STUDY, WIDTH, Scale, fit, months_axis, text
from spinetrial.reports.fonts import REGULAR, register

#: Lines of single participants in one panel at most; more of them hide each other and the means.
MOST_LINES = 60
_PLOT = 106.0
_ROW = 10.0


@dataclass(frozen=True, slots=True)
class MeanPoint:
    """A mean at a time in months; limits None where there is no interval."""

    months: float
    value: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One group. `single`: (months, score) of each participant drawn; `rows`: a text per visit below the axis."""

    name: str
    title: str
    means: tuple[MeanPoint, ...]
    single: tuple[tuple[tuple[float, float], ...], ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TrajectoryWords:
    """`rows` name the rows below the axis: the months, the visits, then those of `Panel.rows`."""

    axis: str
    scale: str
    nothing: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Style:
    colour: Color
    tint: Color
    dash: list[int] | None
    round: bool


_STYLES = (
    _Style(STUDY, HexColor("#a6c9d4"), None, False),
    _Style(CONTROL, HexColor("#dcc48f"), [5, 2], True),
)


def thinned(count: int) -> list[int]:
    """Which of `count` participants are drawn: all, or `MOST_LINES` evenly spaced ones beginning with the first."""
    if count <= MOST_LINES:
        return list(range(count))
    return [place * count // MOST_LINES for place in range(MOST_LINES)]


def trajectory_plot(
    panels: Sequence[Panel], visits: Sequence[tuple[float, str]], scale: tuple[int, int], words: TrajectoryWords
) -> Drawing:
    """The panels below each other on one time axis. `visits`: (months, name), baseline first; `scale`: its two ends.

    In each panel the means of the other group are repeated, thin and without intervals. The axis ends half as far
    again as the last visit at most; a score given later is drawn at its end. An interval is cut at the scale's ends.
    """
    register()
    low, high = scale
    left = max(44.0, *(stringWidth(name, REGULAR, 7) + 14 for name in words.rows))
    right = 22.0
    span = WIDTH - left - right
    titles = [fit(panel.title, WIDTH - left, bold=True) for panel in panels]
    under = _ROW * len(words.rows) + 4
    heights = [11.0 * len(lines) + 16 + _PLOT + under + 8 for lines in titles]
    foot = 14.0
    drawing = Drawing(WIDTH, foot + sum(heights))
    latest = max((month for panel in panels for line in panel.single for month, _score in line), default=0.0)
    last = visits[-1][0]
    end, step = months_axis(max(last * 1.05, min(latest, last * 1.5)))

    def x(months: float) -> float:
        return left + min(max(months, 0.0), end) / end * span

    top = foot + sum(heights)
    for place, panel in enumerate(panels):
        base = top - heights[place] + under + 8

        def y(value: float, base: float = base) -> float:
            return base + (min(max(value, low), high) - low) / (high - low) * _PLOT

        for number, line in enumerate(titles[place]):
            drawing.add(text(left, top - 9 - 11 * number, line, bold=True))
        drawing.add(text(left, base + _PLOT + 5, words.scale, size=7, colour=SOFT))
        for level in range(low, high + 1):
            heavy = level in (low, high)
            drawing.add(Line(left, y(level), left + span, y(level), strokeColor=RULE, strokeWidth=0.4))
            if heavy or (level - low) % 2 == 0:
                drawing.add(text(left - 5, y(level) - 2.5, str(level), size=7, anchor="end", colour=SOFT))
        style = _STYLES[place % 2]
        drawn = False
        for single in panel.single:
            points = [each for months, score in single for each in (x(months), y(score))]
            if len(points) > 2:
                drawing.add(PolyLine(points, strokeColor=style.tint, strokeWidth=0.5))
                drawn = True
            elif points:
                drawing.add(Circle(points[0], points[1], 1, fillColor=style.tint, strokeColor=None))
                drawn = True
        if not drawn and not panel.means:
            drawing.add(text(left + span / 2, y((low + high) / 2) + 3, words.nothing, anchor="middle", colour=SOFT))
        for other, there in enumerate(panels):
            if other != place:
                _means(drawing, there.means, x, y, _STYLES[other % 2], strong=False)
        _means(drawing, panel.means, x, y, style, strong=True, ends=(low, high))
        _legend(drawing, panels, place, left + span, base + _PLOT + 7.5)
        _below(drawing, panel, visits, words, x, base, round(end / step), step)
        top -= heights[place]
    drawing.add(text(left + span / 2, 3, words.axis, size=7, anchor="middle", colour=SOFT))
    return drawing


def _means(
    drawing: Drawing, means: Sequence[MeanPoint], x: Scale, y: Scale, style: _Style, *, strong: bool,
    ends: tuple[float, float] = (0.0, 0.0),
) -> None:  # fmt: skip
    path = [each for point in means for each in (x(point.months), y(point.value))]
    if len(path) > 2:
        if strong:  # a white edge lifts the line off those of the participants
            drawing.add(PolyLine(path, strokeColor=white, strokeWidth=3.6))
        width = 1.8 if strong else 0.9
        drawing.add(PolyLine(path, strokeColor=style.colour, strokeWidth=width, strokeDashArray=style.dash))
    for point in means:
        at = x(point.months)
        if strong and point.lower is not None and point.upper is not None:
            drawing.add(Line(at, y(point.lower), at, y(point.upper), strokeColor=white, strokeWidth=3.4))
            drawing.add(Line(at, y(point.lower), at, y(point.upper), strokeColor=style.colour, strokeWidth=1.2))
            for limit in (point.lower, point.upper):
                if ends[0] <= limit <= ends[1]:
                    drawing.add(Line(at - 3, y(limit), at + 3, y(limit), strokeColor=style.colour, strokeWidth=1.2))
        drawing.add(_marker(at, y(point.value), style, strong))


def _marker(x: float, y: float, style: _Style, strong: bool) -> Shape:
    half = 3.2 if strong else 2.0
    fill, edge = (style.colour, white) if strong else (white, style.colour)
    if style.round:
        return Circle(x, y, half, fillColor=fill, strokeColor=edge, strokeWidth=0.8)
    return Rect(x - half, y - half, 2 * half, 2 * half, fillColor=fill, strokeColor=edge, strokeWidth=0.8)


def _legend(drawing: Drawing, panels: Sequence[Panel], place: int, right: float, y: float) -> None:
    """Samples of the lines with the groups' names, from the right; nothing to tell apart in one group."""
    if len(panels) < 2:
        return
    for number in reversed(range(len(panels))):
        style, strong = _STYLES[number % 2], number == place
        name = panels[number].name
        right -= stringWidth(name, REGULAR, 7)
        drawing.add(text(right, y - 2.5, name, size=7, colour=INK if strong else SOFT))
        sample = [right - 26, y, right - 4, y]
        drawing.add(
            PolyLine(sample, strokeColor=style.colour, strokeWidth=1.8 if strong else 0.9, strokeDashArray=style.dash)
        )
        drawing.add(_marker(right - 15, y, style, strong))
        right -= 36


def _below(
    drawing: Drawing, panel: Panel, visits: Sequence[tuple[float, str]], words: TrajectoryWords, x: Scale,
    base: float, steps: int, step: float,
) -> None:  # fmt: skip
    for number in range(steps + 1):
        at = x(number * step)
        drawing.add(Line(at, base, at, base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(at, base - _ROW, f"{number * step:g}", size=7, anchor="middle", colour=SOFT))
    drawing.add(text(0, base - _ROW, words.rows[0], size=7, colour=SOFT))
    for row, texts in enumerate(([name for _months, name in visits], *panel.rows), 1):
        line = base - _ROW * (row + 1)
        drawing.add(text(0, line, words.rows[row], size=7, colour=SOFT if row == 1 else INK))
        for (months, _name), each in zip(visits, texts, strict=True):
            drawing.add(text(x(months), line, each, size=7, anchor="middle", colour=SOFT if row == 1 else INK))
