"""How the trial was carried out: the flow of participants, treatment given, visits kept, deviations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from followup.response import NeReason
from radiotherapy.models import Ending, StopReason
from spinetrial.analysis import sets
from spinetrial.analysis.baseline import Summary, summary
from spinetrial.analysis.groups import Group
from spinetrial.analysis.particulars import HIDDEN_WHILE_MASKED, Deviation
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet, PpReason
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.text import gettext_noop as _

#: Codes with the number of participants of each.
Counts = tuple[tuple[str, int], ...]
#: Codes with the number of participants of each, per group.
Rows = tuple[tuple[str, tuple[int, ...]], ...]

#: Reasons of little or no radiotherapy beside those of `StopReason`; empty: no reason is known.
WITHDRAWN, PENDING, RUNNING = "withdrawn", "pending", "running"

TREATMENT_REASON_LABELS: dict[str, str] = {
    WITHDRAWN: _("Withdrawn from treatment"),
    PENDING: _("Not begun yet"),
    RUNNING: _("Still under treatment"),
}


@dataclass(frozen=True, slots=True)
class VisitFlow:
    """Where the randomised of a group stood at a visit; the five counts add up to all of them.

    `assessed`: there is a pain score. `missed`: alive, followed, due, and no score; `reasons` add up to it.
    """

    visit: str
    assessed: int
    died: int
    withdrawn: int
    missed: int
    not_due: int
    reasons: Counts


@dataclass(frozen=True, slots=True)
class ArmFlow:
    """One column of the flow diagram, from the allocation to the analysis.

    randomized = received + not_received; received = sufficient + insufficient (at least the fractions of the
    per-protocol set, or fewer); each list of reasons adds up to its count. `pp` and `pp_excluded` are None where the
    target may not be judged; `pp_excluded` counts each participant by the first condition not met.
    """

    randomized: int
    received: int
    not_received: int
    not_received_reasons: Counts
    sufficient: int
    insufficient: int
    insufficient_reasons: Counts
    visits: tuple[VisitFlow, ...]
    itt: int
    pp: int | None
    pp_excluded: tuple[tuple[PpReason, int], ...] | None


@dataclass(frozen=True, slots=True)
class FractionsGiven:
    """Participants who received `least` to `most` fractions, per group. `most` None: or more."""

    least: int
    most: int | None
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Treatment:
    """Radiotherapy as given, per group. What only the treatment forms tell is None where they are withheld.

    `days`: first to last fraction, both counted, of the courses with all planned fractions. `gaps`: participants
    with treatment days missed. `dose`: Gy received by the treated; `full_dose`: (x, n) with the prescribed dose of
    the protocol, of the treated; `dose_goal`: (x, n) whose PTV met the protocol's goal, of those with a value.
    `stopped`: reasons of courses that ended early or never began.
    """

    fractions: tuple[FractionsGiven, ...]
    days: tuple[Summary, ...]
    stopped: Rows | None
    gaps: tuple[tuple[int, int], ...] | None
    dose: tuple[Summary, ...] | None
    full_dose: tuple[tuple[int, int], ...] | None
    dose_goal: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True, slots=True)
class VisitKept:
    """A visit, per group: in its window, outside it, or not held by reason; these add up to the randomised.

    `no_score`: held without a pain score, counted in `in_window` or `outside` too.
    """

    visit: str
    in_window: tuple[int, ...]
    outside: tuple[int, ...]
    no_score: tuple[int, ...]
    absent: Rows


@dataclass(frozen=True, slots=True)
class Conduct:
    """The conduct of the trial per group. A participant counts once in every row, but may be in several rows.

    `withdrawals` by the protocol's reason; `scopes` of them: treatment, followup, data_use.
    """

    flows: tuple[ArmFlow, ...]
    treatment: Treatment
    visits: tuple[VisitKept, ...]
    withdrawals: Rows
    scopes: Rows
    deviations: tuple[tuple[Deviation, tuple[int, ...] | None], ...]


def conduct(protocol: Protocol, groups: Sequence[Group]) -> Conduct:
    """Flow, compliance and deviations of the groups."""
    people = [group.rows for group in groups]
    shown = all(row.delivery is not None for rows in people for row in rows)
    codes = list(dict.fromkeys(visit.visit for rows in people for row in rows for visit in row.visits))
    return Conduct(
        flows=tuple(arm_flow(protocol, rows) for rows in people),
        treatment=_treatment(protocol, people, shown),
        visits=tuple(_kept(code, people) for code in codes),
        withdrawals=_rows([[{each.reason for each in row.withdrawals} for row in rows] for rows in people]),
        scopes=_rows([[_scopes(row) for row in rows] for rows in people]),
        deviations=tuple(
            (
                each,
                tuple(sum(each in row.deviations for row in rows) for rows in people)
                if shown or each not in HIDDEN_WHILE_MASKED
                else None,
            )
            for each in Deviation
        ),
    )


def arm_flow(protocol: Protocol, rows: Sequence[AnalysisRow]) -> ArmFlow:
    """The flow of one group through the fixed visits of the protocol into the analysis sets."""
    least = protocol.per_protocol.min_fractions
    received = [row for row in rows if row.treated]
    absent = [row for row in rows if not row.treated]
    fewer = [row for row in received if row.fractions < least]
    judged = all(row.delivery is not None for row in rows)
    return ArmFlow(
        randomized=len(rows),
        received=len(received),
        not_received=len(absent),
        not_received_reasons=_counts(_why_untreated(row) for row in absent),
        sufficient=len(received) - len(fewer),
        insufficient=len(fewer),
        insufficient_reasons=_counts(_why_fewer(row) for row in fewer),
        visits=tuple(_visit_flow(rule.code, rows) for rule in protocol.visits),
        itt=len(sets.members(rows, AnalysisSet.ITT)),
        pp=len(sets.members(rows, AnalysisSet.PP)) if judged else None,
        pp_excluded=_first_conditions(rows) if judged else None,
    )


def _first_conditions(rows: Sequence[AnalysisRow]) -> tuple[tuple[PpReason, int], ...]:
    """Participants outside the per-protocol set by the first condition not met, in the order of `PpReason`."""
    first = Counter(next(each for each in PpReason if each in row.pp_reasons) for row in rows if row.pp_reasons)
    return tuple((each, first[each]) for each in PpReason if first[each])


def _why_untreated(row: AnalysisRow) -> str:
    if row.delivery is not None and row.delivery.stop_reason:
        return row.delivery.stop_reason
    if row.death is not None:
        return StopReason.DEATH.value
    if row.treatment_withdrawn is not None or row.followup_ended is not None:
        return WITHDRAWN
    return "" if row.never_irradiated else PENDING


def _why_fewer(row: AnalysisRow) -> str:
    if row.delivery is not None and row.delivery.stop_reason:
        return row.delivery.stop_reason
    if row.treatment_withdrawn is not None:
        return WITHDRAWN
    if row.rt_completed:
        return ""
    return StopReason.DEATH.value if row.death is not None else RUNNING


def _visit_flow(visit: str, rows: Sequence[AnalysisRow]) -> VisitFlow:
    answers = [row.response(visit) for row in rows]
    why = Counter(answer.absence for answer in answers if answer.nrs is None)
    died, withdrawn, not_due = (why.pop(code, 0) for code in (NeReason.DEAD, NeReason.WITHDRAWN, sets.NOT_YET))
    return VisitFlow(
        visit=visit,
        assessed=sum(answer.nrs is not None for answer in answers),
        died=died,
        withdrawn=withdrawn,
        missed=sum(why.values()),
        not_due=not_due,
        reasons=_ordered(why),
    )


def _treatment(protocol: Protocol, people: Sequence[Sequence[AnalysisRow]], shown: bool) -> Treatment:
    planned, least = protocol.treatment.fractions, protocol.per_protocol.min_fractions
    classes: list[tuple[int, int | None]] = [(planned + 1, None)]
    classes += [(number, number) for number in range(planned, least - 1, -1)]
    classes += [(1, least - 1), (0, 0)]
    given = [
        FractionsGiven(low, high, tuple(_between([row.fractions for row in rows], low, high) for rows in people))
        for low, high in classes
    ]
    treated = [[row for row in rows if row.treated] for rows in people]
    goal = next((goal.dose_gy for goal in protocol.dose_goals if goal.structure == "PTV"), None)
    return Treatment(
        fractions=tuple(each for each in given if each.most is not None or any(each.counts)),
        days=tuple(summary([_days(row) for row in rows if row.fractions >= planned]) for rows in treated),
        stopped=_rows([[_stopped(row) for row in rows] for rows in people]) if shown else None,
        gaps=_share(treated, lambda row: row.delivery is not None and row.delivery.missed_days > 0) if shown else None,
        dose=tuple(summary([row.delivery.dose_gy if row.delivery else None for row in rows]) for rows in treated)
        if shown
        else None,
        full_dose=_share(
            treated, lambda row: row.delivery is not None and row.delivery.dose_gy >= protocol.treatment.total_gy
        )
        if shown
        else None,
        dose_goal=_goal_met(treated, goal) if shown and goal is not None else None,
    )


def _goal_met(treated: Sequence[Sequence[AnalysisRow]], goal: float) -> tuple[tuple[int, int], ...]:
    doses = [
        [row.delivery.ptv_d95_gy for row in rows if row.delivery and row.delivery.ptv_d95_gy is not None]
        for rows in treated
    ]
    return tuple((sum(dose >= goal for dose in each), len(each)) for each in doses)


def _share(people: Sequence[Sequence[AnalysisRow]], test: Callable[[AnalysisRow], bool]) -> tuple[tuple[int, int], ...]:
    return tuple((sum(test(row) for row in rows), len(rows)) for rows in people)


def _between(numbers: Iterable[int], low: int, high: int | None) -> int:
    return sum(low <= number and (high is None or number <= high) for number in numbers)


def _days(row: AnalysisRow) -> float | None:
    """Overall treatment time in days, the first and the last day included."""
    return None if row.rt_start is None or row.rt_end is None else (row.rt_end - row.rt_start).days + 1


def _stopped(row: AnalysisRow) -> set[str]:
    if row.delivery is None or row.delivery.ending in ("", Ending.AS_PLANNED):
        return set()
    return {row.delivery.stop_reason}


def _scopes(row: AnalysisRow) -> set[str]:
    return {
        name
        for each in row.withdrawals
        for name, held in (
            ("treatment", each.from_treatment),
            ("followup", each.from_followup),
            ("data_use", each.from_data_use),
        )
        if held
    }


def _kept(code: str, people: Sequence[Sequence[AnalysisRow]]) -> VisitKept:
    answers = [[row.response(code) for row in rows] for rows in people]
    held = [[answer for answer in each if answer.visit_date is not None] for each in answers]
    return VisitKept(
        visit=code,
        in_window=tuple(sum(answer.in_window for answer in each) for each in held),
        outside=tuple(sum(not answer.in_window for answer in each) for each in held),
        no_score=tuple(sum(answer.nrs is None for answer in each) for each in held),
        absent=_rows([[{answer.absence} for answer in each if answer.visit_date is None] for each in answers]),
    )


def _counts(codes: Iterable[str]) -> Counts:
    return _ordered(Counter(codes))


def _ordered(counted: Counter[str]) -> Counts:
    """The most frequent first, then by code; what has no reason last."""
    return tuple(sorted(counted.items(), key=lambda each: (not each[0], -each[1], each[0])))


def _rows(people: Sequence[Sequence[set[str]]]) -> Rows:
    """Participants with each code, per group; each counts once per code."""
    per_group = [Counter(code for codes in each for code in codes) for each in people]
    order = _ordered(sum(per_group, Counter()))
    return tuple((code, tuple(count[code] for count in per_group)) for code, _n in order)
