"""Endpoints that are times to an event, with death competing where it ends the risk.

All randomised participants by the arm they were allocated to. The definitions, rules and sources of the times are in
`spinetrial.analysis.times`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis.groups import Group
from spinetrial.analysis.times import COMPETING, Parameter, Rule, Status
from spinetrial.protocol.model import Protocol
from spinetrial.stats.competing import CumulativeIncidence, GrayTest, cumulative_incidence, gray_test
from spinetrial.stats.survival import KaplanMeier, kaplan_meier


@dataclass(frozen=True, slots=True)
class Incidence:
    """One endpoint in one group, in months: the event, the deaths without it, and what Kaplan-Meier would make of it.

    `never_looked` and `not_at_risk` are among the censored. `naive` treats a death as censoring and so overstates.
    """

    code: str
    n: int
    events: int
    deaths: int
    never_looked: int
    not_at_risk: int
    event: CumulativeIncidence
    death: CumulativeIncidence
    naive: KaplanMeier

    @property
    def censored(self) -> int:
        return self.n - self.events - self.deaths


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint in every group with Gray's tests of the event and of death without it; None for one group."""

    parameter: Parameter
    groups: tuple[Incidence, ...]
    test: GrayTest | None
    death_test: GrayTest | None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Every endpoint with death competing, in the order of `Parameter`."""

    each: tuple[Endpoint, ...]

    def of(self, parameter: Parameter) -> Endpoint:
        """One endpoint. Raises KeyError for one without competing death."""
        return {endpoint.parameter: endpoint for endpoint in self.each}[parameter]


def endpoints(protocol: Protocol, groups: Sequence[Group]) -> Endpoints:
    """Every time-to-event endpoint of the groups, at the confidence level of the primary analysis."""
    level = protocol.primary.analysis.confidence
    return Endpoints(tuple(_endpoint(parameter, groups, level) for parameter in COMPETING))


def _endpoint(parameter: Parameter, groups: Sequence[Group], level: float) -> Endpoint:
    times, causes, codes = [], [], []
    for group in groups:
        for row in group.rows:
            time = row.time(parameter)
            times.append(time.months)
            causes.append(int(time.status))
            codes.append(group.code)
    order = [group.code for group in groups]
    both = len(groups) == 2
    return Endpoint(
        parameter=parameter,
        groups=tuple(_incidence(parameter, group, level) for group in groups),
        test=gray_test(times, causes, codes, order, Status.EVENT) if both else None,
        death_test=gray_test(times, causes, codes, order, Status.DEATH_FIRST) if both else None,
    )


def _incidence(parameter: Parameter, group: Group, level: float) -> Incidence:
    rows = [row.time(parameter) for row in group.rows]
    times, causes = [time.months for time in rows], [int(time.status) for time in rows]
    return Incidence(
        code=group.code,
        n=len(rows),
        events=causes.count(Status.EVENT),
        deaths=causes.count(Status.DEATH_FIRST),
        never_looked=sum(time.rule is Rule.NEVER_LOOKED for time in rows),
        not_at_risk=sum(time.rule is Rule.NOT_AT_RISK for time in rows),
        event=cumulative_incidence(times, causes, Status.EVENT, level),
        death=cumulative_incidence(times, causes, Status.DEATH_FIRST, level),
        naive=kaplan_meier(times, [int(cause == Status.EVENT) for cause in causes], level),
    )
