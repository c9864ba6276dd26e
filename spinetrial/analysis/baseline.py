"""Baseline characteristics of the groups, with standardised differences between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Baseline:
    """To be filled."""


def baseline(protocol: Protocol, groups: Sequence[Group]) -> Baseline:
    """Baseline characteristics of all randomised participants."""
    return Baseline()
