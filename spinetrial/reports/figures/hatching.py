"""Hatching: diagonal lines over regions made of rectangles, so that areas are told apart without colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Path, Rect
from reportlab.lib.colors import Color

#: Left, bottom, width, height in points.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Fill of an area, with lines that rise, fall or do both every `gap` points (0: none), and an outline."""

    fill: Color
    line: Color | None = None
    rising: bool = False
    falling: bool = False
    gap: float = 4.0
    outline: Color | None = None


def paint(drawing: Drawing, boxes: Sequence[Box], pattern: Pattern) -> None:
    """Fill the rectangles with the pattern. Lines run on through rectangles that touch."""
    boxes = [box for box in boxes if box[2] > 0 and box[3] > 0]
    for left, bottom, width, height in boxes:
        drawing.add(
            Rect(left, bottom, width, height, fillColor=pattern.fill, strokeColor=pattern.outline, strokeWidth=0.5)
        )
    if pattern.line is None or not boxes:
        return
    path = Path(strokeColor=pattern.line, strokeWidth=0.6, fillColor=None)
    for sign in (1, -1) if pattern.rising and pattern.falling else (1,) if pattern.rising else (-1,):
        for x0, y0, x1, y1 in _lines(boxes, sign, pattern.gap):
            path.moveTo(x0, y0)
            path.lineTo(x1, y1)
    if path.points:
        drawing.add(path)


def _lines(boxes: Sequence[Box], sign: int, gap: float) -> list[tuple[float, float, float, float]]:
    """Lines y = sign * x + c, c a multiple of the gap, cut to the rectangles; pieces that touch are joined."""
    ends = [y - sign * x for left, bottom, width, height in boxes
            for x in (left, left + width) for y in (bottom, bottom + height)]  # fmt: skip
    found = []
    for number in range(math.ceil(min(ends) / gap), math.floor(max(ends) / gap) + 1):
        c = number * gap
        pieces: list[tuple[float, float]] = []
        for left, bottom, width, height in boxes:
            at = sorted((sign * (bottom - c), sign * (bottom + height - c)))
            start, stop = max(left, at[0]), min(left + width, at[1])
            if stop - start > 1e-6:
                pieces.append((start, stop))
        joined: list[list[float]] = []
        for start, stop in sorted(pieces):
            if joined and start <= joined[-1][1] + 1e-6:
                joined[-1][1] = max(joined[-1][1], stop)
            else:
                joined.append([start, stop])
        found += [(start, sign * start + c, stop, sign * stop + c) for start, stop in joined]
    return found
