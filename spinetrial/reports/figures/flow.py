"""The flow of participants as a diagram after CONSORT 2010: boxes from screening down to the analysis."""

from __future__ import annotations

from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect

from spinetrial.reports.figures.drawing import INK, RULE, SHADE, SOFT, WIDTH, fit, text
from spinetrial.reports.fonts import register

#: Sizes of the type that are tried, largest first, until the diagram fits on a page. The small ones are a last resort:
#: a picture higher than a page would stop the whole report.
_SIZES = (7.6, 7.0, 6.4, 5.8, 5.2, 4.6, 4.0, 3.4)
_TALLEST = 610.0
_PAD, _GAP, _BETWEEN = 5.0, 13.0, 16.0


@dataclass(frozen=True, slots=True)
class BoxLine:
    """A line of a box before it is wrapped; `level` indents it, level 0 is bold."""

    words: str
    level: int = 0


Box = tuple[BoxLine, ...]


@dataclass(frozen=True, slots=True)
class FlowStage:
    """One box per column beside each other. `title` stands over the first stage of a phase; else it is empty."""

    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class FlowPicture:
    """Words of the diagram. `excluded` leaves to the right between `screened` and `randomized`."""

    title: str
    screened: Box
    excluded: Box
    randomized: Box
    stages: tuple[FlowStage, ...]


@dataclass(frozen=True, slots=True)
class _Laid:
    """A box with its lines broken: (text, indent, bold)."""

    lines: tuple[tuple[str, float, bool], ...]
    width: float
    size: float

    @property
    def leading(self) -> float:
        return self.size * 1.32

    @property
    def height(self) -> float:
        return len(self.lines) * self.leading + 2 * _PAD

    def draw(self, drawing: Drawing, left: float, top: float, height: float) -> None:
        drawing.add(
            Rect(left, top - height, self.width, height, fillColor=None, strokeColor=SOFT, strokeWidth=0.7, name="box")
        )
        for number, (words, indent, bold) in enumerate(self.lines, 1):
            baseline = top - _PAD - number * self.leading + self.size * 0.3
            drawing.add(text(left + _PAD + indent, baseline, words, size=self.size, bold=bold))


def flow_diagram(picture: FlowPicture) -> Drawing:
    """The diagram in the largest type with which it fits on a page; every text stays inside its box."""
    register()
    for size in _SIZES:
        drawing = _drawn(picture, size)
        if drawing.height <= _TALLEST:
            break
    return drawing


def _drawn(picture: FlowPicture, size: float) -> Drawing:
    columns = max((len(stage.boxes) for stage in picture.stages), default=1)
    column = (WIDTH - 1 - _BETWEEN * (columns - 1)) / columns if columns > 1 else WIDTH * 0.56
    spread = columns * column + (columns - 1) * _BETWEEN
    starts = [(WIDTH - spread) / 2 + number * (column + _BETWEEN) for number in range(columns)]
    trunk = WIDTH * 0.42
    middle = WIDTH / 2 if columns > 1 else starts[0] + column / 2
    side_left = middle + 18
    top, aside, entered = (
        _laid(picture.screened, trunk, size),
        _laid(picture.excluded, WIDTH - 0.5 - side_left, size),
        _laid(picture.randomized, trunk, size),
    )
    band = size + 6
    stages = [[_laid(box, column, size) for box in stage.boxes] for stage in picture.stages]
    heights = [max(box.height for box in boxes) for boxes in stages]
    total = band + 3 + top.height + aside.height + 2 * 7 + entered.height
    for stage, height in zip(picture.stages, heights, strict=True):
        total += height + _GAP + (band if stage.title else 0)
    if columns > 1:
        total += _GAP
    drawing = Drawing(WIDTH, total + 2)
    y = total + 1
    _band(drawing, picture.title, y, band, size)
    y -= band + 3
    left = middle - trunk / 2
    left = min(max(left, 0.0), WIDTH - trunk)
    top.draw(drawing, left, y, top.height)
    y -= top.height
    down = y - aside.height - 14
    branch = y - 7 - aside.height / 2
    _arrow(drawing, middle, y, middle, down)
    _arrow(drawing, middle, branch, side_left, branch)
    aside.draw(drawing, side_left, y - 7, aside.height)
    y = down
    entered.draw(drawing, left, y, entered.height)
    y -= entered.height
    centres = [start + column / 2 for start in starts]
    if columns > 1:
        drawing.add(Line(middle, y, middle, y - _GAP, strokeColor=SOFT, strokeWidth=0.8))
        y -= _GAP
        drawing.add(Line(centres[0], y, centres[-1], y, strokeColor=SOFT, strokeWidth=0.8))
    for stage, boxes, height in zip(picture.stages, stages, heights, strict=True):
        below = y - _GAP - (band if stage.title else 0)
        for centre in centres:
            _arrow(drawing, centre, y, centre, below)
        if stage.title:
            _band(drawing, stage.title, y - (_GAP - 4) / 2, band, size)
        y = below
        for start, box in zip(starts, boxes, strict=True):
            box.draw(drawing, start, y, height)
        y -= height
    return drawing


def _laid(box: Box, width: float, size: float) -> _Laid:
    lines = []
    for line in box:
        indent, bold = 9.0 * line.level, line.level == 0
        parts = fit(line.words, width - 2 * _PAD - indent, size, bold)
        lines += [(part, indent, bold) for part in parts]
    return _Laid(tuple(lines), width, size)


def _band(drawing: Drawing, words: str, top: float, height: float, size: float) -> None:
    """The name of a phase on a shaded band in the middle, over the arrows."""
    width = WIDTH * 0.3
    drawing.add(
        Rect((WIDTH - width) / 2, top - height, width, height, rx=3, ry=3, fillColor=SHADE, strokeColor=RULE,
             strokeWidth=0.5, name="box")
    )  # fmt: skip
    drawing.add(text(WIDTH / 2, top - height + 4, words, size=size, anchor="middle", bold=True))


def _arrow(drawing: Drawing, x0: float, y0: float, x1: float, y1: float) -> None:
    """A line with a head, down or to the right."""
    drawing.add(Line(x0, y0, x1, y1, strokeColor=SOFT, strokeWidth=0.8))
    head = [x1, y1, x1 - 2.5, y1 + 4.5, x1 + 2.5, y1 + 4.5] if x0 == x1 else [x1, y1, x1 - 4.5, y1 + 2.5, x1 - 4.5,
                                                                              y1 - 2.5]  # fmt: skip
    drawing.add(Polygon(head, fillColor=INK, strokeColor=None))
