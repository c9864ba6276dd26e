"""Pain and opioid dose as numbers over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Pain:
    """To be filled."""


def pain(protocol: Protocol, groups: Sequence[Group], visits: Sequence[str]) -> Pain:
    """Pain over time of the groups at `visits`."""
    return Pain()
