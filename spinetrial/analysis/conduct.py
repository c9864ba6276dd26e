"""How the trial was carried out: treatment given, visits kept, deviations, exclusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Conduct:
    """To be filled."""


def conduct(protocol: Protocol, groups: Sequence[Group]) -> Conduct:
    """Compliance and deviations of the groups."""
    return Conduct()
