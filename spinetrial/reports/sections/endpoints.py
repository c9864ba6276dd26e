"""Fracture, local failure, pain progression and re-treatment, with death competing."""

from __future__ import annotations

from collections.abc import Iterator

from spinetrial.reports.document import Block
from spinetrial.reports.writing import Report


def endpoints(report: Report) -> Iterator[Block]:
    """To be filled."""
    yield from ()
