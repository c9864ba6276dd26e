"""Endpoints that are times to an event, with death competing where it ends the risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Endpoints:
    """To be filled."""


def endpoints(protocol: Protocol, groups: Sequence[Group]) -> Endpoints:
    """Every time-to-event endpoint of the groups."""
    return Endpoints()
