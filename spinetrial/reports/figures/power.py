"""Power over the true difference, a line per control rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect
from reportlab.lib.colors import Color, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import CONTROL, INK, RULE, SOFT, STUDY, WIDTH, text
from spinetrial.reports.fonts import REGULAR, register


@dataclass(frozen=True, slots=True)
class PowerLine:
    """Points (difference, power) as proportions, in order; markers stand at the differences of the axis ticks."""

    name: str
    points: tuple[tuple[float, float], ...]


_STYLES: tuple[tuple[Color, list[float] | None], ...] = (
    (SOFT, [2, 2]),
    (CONTROL, [6, 2]),
    (STUDY, None),
    (INK, [8, 2, 2, 2]),
    (CONTROL, None),
)


def power_plot(
    lines: Sequence[PowerLine],
    ticks: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    reference: float,
    reference_label: str,
    legend_title: str,
) -> Drawing:
    """Power (0 to 100 %) over the true difference in percentage points; a dashed rule at `reference`.

    Line style, marker and tone tell the lines apart; the legend stands at the right, outside the plot.
    """
    register()
    names = [legend_title, *(line.name for line in lines)]
    right = max(stringWidth(name, REGULAR, 7.5) for name in names) + 44
    left, base, plot, top = 34.0, 34.0, 190.0, 24.0
    drawing = Drawing(WIDTH, base + plot + top)
    span = WIDTH - left - right
    low, high = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * span

    def y(value: float) -> float:
        return base + value * plot

    for level in (0, 20, 40, 60, 80, 100):
        drawing.add(Line(left, y(level / 100), left + span, y(level / 100), strokeColor=RULE, strokeWidth=0.4))
        drawing.add(text(left - 5, y(level / 100) - 2.5, str(level), size=7, anchor="end", colour=SOFT))
    drawing.add(text(left, base + plot + 10, y_label, size=7, colour=SOFT))
    for tick in ticks:
        drawing.add(Line(x(tick), base, x(tick), base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(x(tick), base - 12, _points(tick), size=7, anchor="middle", colour=SOFT))
    drawing.add(text(left + span / 2, base - 25, x_label, size=7, anchor="middle", colour=SOFT))
    if low < 0 < high:
        drawing.add(Line(x(0), base, x(0), base + plot, strokeColor=SOFT, strokeWidth=0.6))
    drawing.add(PolyLine([left, y(reference), left + span, y(reference)], strokeColor=INK, strokeWidth=0.8,
                         strokeDashArray=[3, 3]))  # fmt: skip
    drawing.add(text(left + 4, y(reference) + 3, reference_label, size=7))
    legend = left + span + 12
    drawing.add(text(legend, base + plot - 4, legend_title, size=7.5, colour=SOFT))
    for place, line in enumerate(lines):
        colour, dash = _STYLES[place % len(_STYLES)]
        path = [part for at, value in line.points for part in (x(at), y(value))]
        if len(path) > 2:
            drawing.add(PolyLine(path, strokeColor=colour, strokeWidth=1.4, strokeDashArray=dash))
        for at, value in line.points:
            if any(abs(at - tick) < 1e-9 for tick in ticks):
                _marker(drawing, x(at), y(value), place, colour)
        high_up = base + plot - 20 - 15 * place
        drawing.add(PolyLine([legend, high_up, legend + 24, high_up], strokeColor=colour, strokeWidth=1.4,
                             strokeDashArray=dash))  # fmt: skip
        _marker(drawing, legend + 12, high_up, place, colour)
        drawing.add(text(legend + 29, high_up - 2.6, line.name, size=7.5))
    return drawing


def _marker(drawing: Drawing, x: float, y: float, place: int, colour: Color) -> None:
    """Circle, square, triangle, diamond, filled circle: by the place of the line."""
    style = {"fillColor": white, "strokeColor": colour, "strokeWidth": 1.1}
    match place % 5:
        case 0:
            drawing.add(Circle(x, y, 2.5, **style))
        case 1:
            drawing.add(Rect(x - 2.3, y - 2.3, 4.6, 4.6, **style))
        case 2:
            drawing.add(Polygon([x - 2.8, y - 2.2, x + 2.8, y - 2.2, x, y + 2.9], **style))
        case 3:
            drawing.add(Polygon([x - 3, y, x, y + 3, x + 3, y, x, y - 3], **style))
        case _:
            drawing.add(Circle(x, y, 2.5, **{**style, "fillColor": colour}))


def _points(value: float) -> str:
    number = f"{abs(value) * 100:.0f}"
    return number if value == 0 else f"−{number}" if value < 0 else f"+{number}"
