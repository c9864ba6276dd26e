"""What every figure draws with: one width, one palette, text, and axes.

Arms are told apart by line style and marker as well as by grey level, so that a black-and-white copy reads the same.
All words come in translated; no figure knows a language.
"""

from __future__ import annotations

import math
import re
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


#: What a line may be broken after: a space, or a character of Chinese, Japanese or Korean.
#: An opening bracket goes with what follows it.
_BREAKS = re.compile("[（【《“‘]*(?:[^ \u2e80-\u9fff\uff00-\uffef]+ ?|[\u2e80-\u9fff\uff00-\uffef] ?)| ")
#: Chinese punctuation that must not begin a line.
_CLOSING = frozenset("，。、；：）】》”’！？％")


def fit(words: str, width: float, size: float = _SIZE, bold: bool = False) -> list[str]:
    """`words` in lines not wider than `width`: broken at spaces and between Chinese characters.

    A single word that is too wide is broken inside. At least one line, which may be empty.
    """
    font = BOLD if bold else REGULAR

    def fits(line: str) -> bool:
        return stringWidth(line.rstrip(), font, size) <= width

    lines: list[list[str]] = [[]]
    for part in _BREAKS.findall(words):
        if fits("".join(lines[-1]) + part):
            lines[-1].append(part)
            continue
        moved = [part]
        while moved[0][0] in _CLOSING and len(lines[-1]) > 1:  # takes the word before it along
            moved.insert(0, lines[-1].pop())
        if lines[-1]:
            lines.append([])
        if fits("".join(moved)):
            lines[-1] += moved
            continue
        for letter in "".join(moved):
            if lines[-1] and not fits("".join(lines[-1]) + letter):
                lines.append([])
            lines[-1].append(letter)
    return ["".join(line).rstrip() for line in lines]


def months_axis(last: float) -> tuple[float, float]:
    """(end, step) of a time axis in months with at most eight steps of 1, 2, 3, 6, 12 or 24 months."""
    for step in (1, 2, 3, 6, 12):
        if last <= 8 * step:
            return float(max(step, math.ceil(last / step) * step)), float(step)
    return float(math.ceil(last / 24) * 24), 24.0
