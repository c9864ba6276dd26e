"""What every figure draws with: one width, one palette, text, and axes.

Arms are told apart by line style and marker as well as by grey level, so that a black-and-white copy reads the same.
All words come in translated; no figure knows a language.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from reportlab.graphics.shapes import String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.fonts import BOLD, REGULAR

WIDTH = 482.0
INK = HexColor("#1c2730")
SOFT = HexColor("#5c6873")
RULE = HexColor("#b9c3ca")
SHADE = HexColor("#e4f0f3")
STUDY = HexColor("#0b5a70")
CONTROL = HexColor("#8a5a00")
_SIZE = 8.0

Scale = Callable[[float], float]


def text(x: float, y: float, words: str, *, size: float = _SIZE, anchor: str = "start", bold: bool = False,
          colour: Color = INK) -> String:  # fmt: skip
    """A line of text; `anchor` is start, middle or end."""
    return String(x, y, words, fontName=BOLD if bold else REGULAR, fontSize=size, textAnchor=anchor, fillColor=colour)


def fit(words: str, width: float, size: float = _SIZE, bold: bool = False) -> list[str]:
    """`words` in lines that fit: broken at spaces, or between characters where there are none (Chinese)."""
    font = BOLD if bold else REGULAR
    parts = words.split(" ") if " " in words else list(words)
    glue = " " if " " in words else ""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}{glue}{part}"
        if stringWidth(longer, font, size) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def months_axis(last: float) -> tuple[float, float]:
    """(end, step) of a time axis in months with at most eight steps of 1, 2, 3, 6, 12 or 24 months."""
    for step in (1, 2, 3, 6, 12):
        if last <= 8 * step:
            return float(max(step, math.ceil(last / step) * step)), float(step)
    return float(math.ceil(last / 24) * 24), 24.0
