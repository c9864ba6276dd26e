"""Pain and opioid dose over time."""

from __future__ import annotations

from collections.abc import Iterator

from spinetrial.reports.document import Block
from spinetrial.reports.writing import Report


def pain(report: Report) -> Iterator[Block]:
    """To be filled."""
    yield from ()
