"""Overall survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.stats.survival import KaplanMeier, LogRank, kaplan_meier, logrank, median_follow_up


@dataclass(frozen=True, slots=True)
class Survival:
    """Overall survival from randomisation, in months of 365.25/12 days."""

    curves: tuple[tuple[str, KaplanMeier], ...]
    follow_up: tuple[tuple[str, KaplanMeier], ...]
    comparison: LogRank | None


def survival(groups: Sequence[Group], level: float) -> Survival:
    times = [[row.months for row in group.rows] for group in groups]
    events = [[int(row.death is not None) for row in group.rows] for group in groups]
    pairs = list(zip(groups, times, events, strict=True))
    return Survival(
        curves=tuple((group.code, kaplan_meier(t, e, level)) for group, t, e in pairs),
        follow_up=tuple((group.code, median_follow_up(t, e, level)) for group, t, e in pairs),
        comparison=logrank(times[1], events[1], times[0], events[0]) if len(groups) == 2 else None,
    )
