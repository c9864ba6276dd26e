"""Overall survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from followup.models import DeathCause
from spinetrial.analysis.groups import Group
from spinetrial.analysis.times import READ_AT_MONTHS, Parameter, Status
from spinetrial.stats.survival import (
    CoxTwoGroups,
    KaplanMeier,
    LogRank,
    RestrictedMean,
    RestrictedMeanDifference,
    cox_two_groups,
    kaplan_meier,
    logrank,
    median_follow_up,
    restricted_mean,
    restricted_mean_difference,
)


@dataclass(frozen=True, slots=True)
class Survival:
    """Overall survival from randomisation, in months of 365.25/12 days; each entry names its group first.

    The comparisons are those of the study arm (1) with the control arm (0); None without two groups. `causes`: each
    cause of death with the deaths of each group; causes nobody died of are left out.
    """

    curves: tuple[tuple[str, KaplanMeier], ...]
    follow_up: tuple[tuple[str, KaplanMeier], ...]
    restricted: tuple[tuple[str, RestrictedMean], ...]
    comparison: LogRank | None
    hazard_ratio: CoxTwoGroups | None
    restricted_difference: RestrictedMeanDifference | None
    causes: tuple[tuple[DeathCause, tuple[int, ...]], ...]


def survival(groups: Sequence[Group], level: float) -> Survival:
    """Overall survival of the groups, study arm first; the restricted mean goes as far as `horizon`."""
    rows = [[row.time(Parameter.OS) for row in group.rows] for group in groups]
    times = [[time.months for time in each] for each in rows]
    events = [[int(time.status is Status.EVENT) for time in each] for each in rows]
    pairs = list(zip(groups, times, events, strict=True))
    tau = horizon(times)
    restricted = tuple((group.code, restricted_mean(t, e, tau, level)) for group, t, e in pairs)
    two = len(groups) == 2
    counts = (
        (cause, tuple(sum(row.death_cause == cause for row in group.rows) for group in groups)) for cause in DeathCause
    )
    return Survival(
        curves=tuple((group.code, kaplan_meier(t, e, level)) for group, t, e in pairs),
        follow_up=tuple((group.code, median_follow_up(t, e, level)) for group, t, e in pairs),
        restricted=restricted,
        comparison=logrank(times[1], events[1], times[0], events[0]) if two else None,
        hazard_ratio=cox_two_groups(times[1], events[1], times[0], events[0], level) if two else None,
        restricted_difference=restricted_mean_difference(restricted[1][1], restricted[0][1]) if two else None,
        causes=tuple((cause, each) for cause, each in counts if any(each)),
    )


def horizon(times: Sequence[Sequence[float]]) -> float:
    """Months up to which mean survival is restricted: the last month that curves are read at, or less.

    Less where the follow-up of a group is shorter: then the last whole month that every group reaches, at least 1.
    Assumption: the protocol names no horizon.
    """
    reached = min((max(each) for each in times if each), default=0.0)
    return float(max(1, min(READ_AT_MONTHS[-1], int(reached))))
