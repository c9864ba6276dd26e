"""Swimmer plot: the course of every participant on a lane of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect
from reportlab.lib.colors import white
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.figures.drawing import INK, RULE, SOFT, WIDTH, months_axis, text
from spinetrial.reports.figures.steps import ticks
from spinetrial.reports.fonts import REGULAR, register


class Mark(StrEnum):
    """What stands on a lane, in the order of the legend. Shapes differ, so that grey and colour read the same."""

    RADIOTHERAPY = "radiotherapy"
    CR = "CR"
    PR = "PR"
    IR = "IR"
    PP = "PP"
    NE = "NE"
    RETREATED = "retreated"
    FRACTURE = "fracture"
    DEAD = "dead"
    ENDED = "ended"
    ONGOING = "ongoing"


@dataclass(frozen=True, slots=True)
class Lane:
    """One participant, in months since randomisation. `marks`: what happened when; `last` closes the lane at `end`."""

    subject: str
    end: float
    radiotherapy: tuple[float, float] | None
    marks: tuple[tuple[float, Mark], ...]
    last: Mark


@dataclass(frozen=True, slots=True)
class SwimmerWords:
    axis: str
    marks: dict[Mark, str]
    nothing: str


_ITEM = 7.5
_LONGEST = 560.0


def swimmer_plot(panels: Sequence[tuple[str, Sequence[Lane]]], words: SwimmerWords) -> Drawing:
    """Lanes in the order given, the first on top; one panel for each group, side by side. Legend below."""
    register()
    gap, top, right = 14.0, 18.0, 8.0
    subjects = [lane.subject for _name, lanes in panels for lane in lanes]
    label = max((stringWidth(subject, REGULAR, 5.5) for subject in subjects), default=0.0) + 5
    most = max((len(lanes) for _name, lanes in panels), default=0)
    height = min(10.0, _LONGEST / max(most, 1))
    plot = max(height * most, 40.0)
    legend = _legend_lines(words)
    below = 32.0 + 12.0 * len(legend)
    drawing = Drawing(WIDTH, plot + top + below)
    span = (WIDTH - (len(panels) - 1) * gap) / max(len(panels), 1) - label - right
    end, step = months_axis(max((lane.end for _name, lanes in panels for lane in lanes), default=0.0))
    if (span / end * step) < 14:  # two panels side by side leave half the room
        step *= 2
    for number, (name, lanes) in enumerate(panels):
        left = number * (label + span + right + gap) + label
        _panel(drawing, name, lanes, words, _Room(left, below, span, plot, height, end, step))
    for place, line in enumerate(legend):
        y = below - 36 - 12.0 * place
        for x, mark in line:
            _symbol(drawing, mark, x + 7, y + 2.6, 10.0)
            drawing.add(text(x + 19, y, words.marks[mark], size=_ITEM))
    return drawing


@dataclass(frozen=True, slots=True)
class _Room:
    left: float
    base: float
    span: float
    plot: float
    height: float
    end: float
    step: float

    def x(self, months: float) -> float:
        return self.left + min(max(months, 0.0), self.end) / self.end * self.span


def _panel(drawing: Drawing, name: str, lanes: Sequence[Lane], words: SwimmerWords, room: _Room) -> None:
    drawing.add(text(room.left, room.base + room.plot + 7, name, bold=True))
    for tick in ticks(room.end, room.step):
        at = room.x(tick)
        if at <= room.left + room.span + 0.1:
            drawing.add(Line(at, room.base, at, room.base + room.plot, strokeColor=RULE, strokeWidth=0.3))
            drawing.add(text(at, room.base - 9, f"{tick:g}", size=7, anchor="middle", colour=SOFT))
    drawing.add(text(room.left + room.span / 2, room.base - 19, words.axis, size=7, anchor="middle", colour=SOFT))
    if not lanes:
        drawing.add(
            text(room.left + room.span / 2, room.base + room.plot / 2, words.nothing, anchor="middle", colour=SOFT)
        )
    for place, lane in enumerate(lanes):
        y = room.base + room.plot - room.height * (place + 0.5)
        size = min(5.5, room.height - 0.4)
        drawing.add(text(room.left - 4, y - size * 0.35, lane.subject, size=size, anchor="end"))
        drawing.add(Line(room.x(0), y, room.x(lane.end), y, strokeColor=SOFT, strokeWidth=0.7))
        if lane.radiotherapy:
            begin, stop = (room.x(months) for months in lane.radiotherapy)
            bar = min(room.height * 0.5, 4.5)
            drawing.add(Rect(begin, y - bar / 2, max(stop - begin, 1.0), bar, fillColor=SOFT, strokeColor=None))
        _symbol(drawing, lane.last, room.x(lane.end), y, room.height)
        for months, mark in lane.marks:
            _symbol(drawing, mark, room.x(months), y, room.height)


def _symbol(drawing: Drawing, mark: Mark, x: float, y: float, height: float) -> None:
    """A mark centred on a lane. The hollow ones for events go round a response of the same day."""
    _SYMBOLS[mark](drawing, x, y, min(height, 10.0) / 10.0)


def _radiotherapy(drawing: Drawing, x: float, y: float, k: float) -> None:
    drawing.add(Rect(x - 6, y - 2.2 * k, 12, 4.4 * k, fillColor=SOFT, strokeColor=None))


def _circle(drawing: Drawing, x: float, y: float, k: float, filled: bool) -> None:
    drawing.add(Circle(x, y, 2.3 * k, fillColor=INK if filled else white, strokeColor=INK, strokeWidth=0.8))


def _triangle(drawing: Drawing, x: float, y: float, k: float, up: bool) -> None:
    r = 2.7 * k if up else -2.4 * k
    points = [x - abs(r), y - r * 0.75, x + abs(r), y - r * 0.75, x, y + r]
    drawing.add(Polygon(points, fillColor=INK if up else white, strokeColor=INK, strokeWidth=0.7))


def _speck(drawing: Drawing, x: float, y: float, k: float) -> None:
    r = 1.6 * k
    drawing.add(Rect(x - r, y - r, 2 * r, 2 * r, fillColor=RULE, strokeColor=SOFT, strokeWidth=0.6))


def _square(drawing: Drawing, x: float, y: float, k: float) -> None:
    r = 3.6 * k
    drawing.add(Rect(x - r, y - r, 2 * r, 2 * r, fillColor=None, strokeColor=INK, strokeWidth=1.0))


def _diamond(drawing: Drawing, x: float, y: float, k: float) -> None:
    r = 4.9 * k
    drawing.add(Polygon([x - r, y, x, y + r, x + r, y, x, y - r], fillColor=None, strokeColor=INK, strokeWidth=1.0))


def _cross(drawing: Drawing, x: float, y: float, k: float) -> None:
    r = 2.6 * k
    for rise in (r, -r):
        drawing.add(Line(x - r, y - rise, x + r, y + rise, strokeColor=INK, strokeWidth=1.3))


def _bar(drawing: Drawing, x: float, y: float, k: float) -> None:
    drawing.add(Line(x, y - 3.2 * k, x, y + 3.2 * k, strokeColor=INK, strokeWidth=1.3))


def _arrow(drawing: Drawing, x: float, y: float, k: float) -> None:
    # A little to the right: the last date known alive is as a rule that of the last response.
    x += 2.8 * k
    drawing.add(Polygon([x, y - 2.4 * k, x, y + 2.4 * k, x + 5 * k, y], fillColor=SOFT, strokeColor=None))


_SYMBOLS: dict[Mark, Callable[[Drawing, float, float, float], None]] = {
    Mark.RADIOTHERAPY: _radiotherapy,
    Mark.CR: lambda drawing, x, y, k: _circle(drawing, x, y, k, True),
    Mark.PR: lambda drawing, x, y, k: _circle(drawing, x, y, k, False),
    Mark.IR: lambda drawing, x, y, k: _triangle(drawing, x, y, k, False),
    Mark.PP: lambda drawing, x, y, k: _triangle(drawing, x, y, k, True),
    Mark.NE: _speck,
    Mark.RETREATED: _square,
    Mark.FRACTURE: _diamond,
    Mark.DEAD: _cross,
    Mark.ENDED: _bar,
    Mark.ONGOING: _arrow,
}


def _legend_lines(words: SwimmerWords) -> list[list[tuple[float, Mark]]]:
    """The marks in lines that fit, each with the place where its symbol begins."""
    lines: list[list[tuple[float, Mark]]] = [[]]
    at = 0.0
    for mark in Mark:
        wide = 19 + stringWidth(words.marks[mark], REGULAR, _ITEM) + 12
        if at + wide > WIDTH and lines[-1]:
            lines.append([])
            at = 0.0
        lines[-1].append((at, mark))
        at += wide
    return lines
