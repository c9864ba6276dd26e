"""The tipping-point grid as a map: in which ways of filling the missing responses in the margin is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect
from reportlab.lib.colors import white

from spinetrial.reports.figures.drawing import INK, RULE, SHADE, SOFT, STUDY, WIDTH, fit, text
from spinetrial.reports.figures.hatching import Box, Pattern, paint
from spinetrial.reports.fonts import register

_LARGEST_CELL = 20.0
_PLOT = (250.0, 230.0)
#: From this size on each cell has its own outline.
_OUTLINED = 6.0
_KEPT = Pattern(SHADE, line=STUDY, rising=True, gap=4.0)


@dataclass(frozen=True, slots=True)
class TippingWords:
    """`control` and `study` name the axes; the others are the legend."""

    control: str
    study: str
    non_inferior: str
    other: str
    observed: str
    failures: str
    worst: str


def tipping_map(decided: Sequence[Sequence[bool]], observed: tuple[int, int] | None, words: TippingWords) -> Drawing:
    """`decided[i][j]`: non-inferior with i responders among the study arm's missing and j among the control arm's.

    The study arm goes up, the control arm to the right; `observed` is the cell of the observed rates.
    """
    register()
    rows, columns = len(decided), len(decided[0])
    wide, high = (min(_LARGEST_CELL, size / count) for size, count in zip(_PLOT, (columns, rows), strict=True))
    left, width, height = 34.0, wide * columns, high * rows
    above, below = fit(words.study, WIDTH, 7), fit(words.control, WIDTH - left, 7)
    legend = _legend(words, WIDTH - left - width - 24.0)
    beside = sum(9.0 * len(lines) + 8.0 for _mark, lines in legend) <= height
    if not beside:  # a small grid: the legend goes under it
        legend = _legend(words, WIDTH - left)
    base = 18.0 + 9.0 * len(below) + (0.0 if beside else 8.0 + sum(9.0 * len(lines) + 8.0 for _mark, lines in legend))
    drawing = Drawing(WIDTH, base + height + 14.0 + 9.0 * len(above))
    ceiling = base + height
    for number, line in enumerate(above):
        drawing.add(text(0, ceiling + 12 + 9.0 * (len(above) - 1 - number), line, size=7, colour=SOFT))
    for number, line in enumerate(below):
        drawing.add(text(left, base - 24 - 9.0 * number, line, size=7, colour=SOFT))
    drawing.add(Rect(left, base, width, height, fillColor=white, strokeColor=None))
    paint(drawing, _runs(decided, left, base, wide, high), _KEPT)
    if min(wide, high) >= _OUTLINED:
        for column in range(1, columns):
            at = left + column * wide
            drawing.add(Line(at, base, at, ceiling, strokeColor=RULE, strokeWidth=0.4))
        for row in range(1, rows):
            at = base + row * high
            drawing.add(Line(left, at, left + width, at, strokeColor=RULE, strokeWidth=0.4))
    drawing.add(Rect(left, base, width, height, fillColor=None, strokeColor=INK, strokeWidth=0.8))
    for column in _labelled(columns, wide, 16.0):
        at = left + (column + 0.5) * wide
        drawing.add(Line(at, base, at, base - 3, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(at, base - 13, str(column), size=7, anchor="middle", colour=SOFT))
    for row in _labelled(rows, high, 10.0):
        at = base + (row + 0.5) * high
        drawing.add(Line(left, at, left - 3, at, strokeColor=SOFT, strokeWidth=0.6))
        drawing.add(text(left - 8, at - 2.5, str(row), size=7, anchor="end", colour=SOFT))

    def centre(study: int, control: int) -> tuple[float, float]:
        return left + (control + 0.5) * wide, base + (study + 0.5) * high

    # Large and open below small and filled: marks in one cell stay readable.
    _worst(drawing, *centre(0, columns - 1))
    _failures(drawing, *centre(0, 0))
    if observed is not None:
        _observed(drawing, *centre(*observed))
    at, start = (ceiling - 8.0, left + width + 32.0) if beside else (base - 34.0 - 9.0 * len(below), left + 8.0)
    for mark, lines in legend:
        mark(drawing, start, at + 2.5)
        for number, line in enumerate(lines):
            drawing.add(text(start + 14.0, at - 9.0 * number, line, size=7.5))
        at -= 9.0 * len(lines) + 8.0
    return drawing


Mark = Callable[[Drawing, float, float], None]


def _legend(words: TippingWords, width: float) -> list[tuple[Mark, list[str]]]:
    def swatch(pattern: Pattern) -> Mark:
        return lambda drawing, x, y: paint(drawing, [(x - 8.0, y - 5.0, 16.0, 10.0)], pattern)

    entries: list[tuple[Mark, str]] = [
        (swatch(Pattern(SHADE, line=STUDY, rising=True, gap=4.0, outline=INK)), words.non_inferior),
        (swatch(Pattern(white, outline=INK)), words.other),
        (_observed, words.observed),
        (_failures, words.failures),
        (_worst, words.worst),
    ]
    return [(mark, fit(word, width - 26.0, 7.5)) for mark, word in entries if word]


def _runs(decided: Sequence[Sequence[bool]], left: float, base: float, wide: float, high: float) -> list[Box]:
    """One rectangle for each run of neighbouring non-inferior cells of a row: exact, and few of them."""
    boxes: list[Box] = []
    for number, row in enumerate(decided):
        start: int | None = None
        for column, claimed in enumerate((*row, False)):
            if claimed and start is None:
                start = column
            elif not claimed and start is not None:
                boxes.append((left + start * wide, base + number * high, (column - start) * wide, high))
                start = None
    return boxes


def _labelled(count: int, size: float, room: float) -> list[int]:
    """Cells with a number: every one, or in steps of 2, 5, 10, 20, ... where they would touch."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if step * size >= room or step == 1000)
    return list(range(0, count, step))


def _worst(drawing: Drawing, x: float, y: float) -> None:
    drawing.add(Rect(x - 6, y - 6, 12, 12, fillColor=white, strokeColor=INK, strokeWidth=1.2))


def _failures(drawing: Drawing, x: float, y: float) -> None:
    drawing.add(Polygon([x - 5, y - 3.6, x + 5, y - 3.6, x, y + 5], fillColor=white, strokeColor=INK, strokeWidth=1.1))


def _observed(drawing: Drawing, x: float, y: float) -> None:
    drawing.add(Circle(x, y, 2.6, fillColor=INK, strokeColor=white, strokeWidth=0.8))
