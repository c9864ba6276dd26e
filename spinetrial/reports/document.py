"""A report as blocks in reading order. PDF and HTML draw the same blocks, so they cannot say different numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reportlab.graphics.shapes import Drawing


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1 heads a chapter, 2 a part of it; a booklet starts a chapter on a new page."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`tone`: plain; note (small, under a table); finding (set off); warning (set off, with a rule)."""

    text: str
    tone: Literal["plain", "note", "finding", "warning"] = "plain"


@dataclass(frozen=True, slots=True)
class Facts:
    """Label and value pairs."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts. The first column is the row's head; the others are centred numbers unless `text`.

    `shares` are relative column widths; rows whose number is in `groups` head the rows below them.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...]
    notes: tuple[str, ...] = ()
    groups: frozenset[int] = frozenset()
    text: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A vector drawing. `name` is its address on the web page, `caption` says in words what it shows."""

    name: str
    caption: str
    drawing: Drawing


Block = Heading | Paragraph | Facts | Grid | Figure


@dataclass(frozen=True, slots=True)
class Document:
    """`footer` stands on every page; `strip` too where there is one: who may read it, and how."""

    language: str
    title: str
    subtitle: str
    footer: str
    strip: str
    blocks: tuple[Block, ...]

    def figures(self) -> Mapping[str, Figure]:
        return {block.name: block for block in self.blocks if isinstance(block, Figure)}
