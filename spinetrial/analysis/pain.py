"""Pain and opioid dose as numbers over time, of all randomised (ITT).

A score counts whatever happened before it (re-treatment, other volume, fewer fractions): treatment policy. Nothing is
carried forward or imputed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from followup.response import Category, NeReason, Reading
from spinetrial.analysis.groups import Group
from spinetrial.analysis.sets import DAYS_PER_MONTH, AnalysisRow, VisitResponse
from spinetrial.protocol.events import event_order, offset_of
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.schedule import add_months
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.descriptive import Description, describe
from spinetrial.stats.estimate import Reason
from spinetrial.stats.means import Ancova, ancova
from spinetrial.stats.mmrm import Mmrm, MmrmMethod, Observation, Structure, mmrm
from spinetrial.stats.ranks import HodgesLehmann, RankSumMethod, RankSumTest, ShiftMethod, hodges_lehmann, rank_sum

#: Covariances in the order in which they are tried; the next one only where the data do not determine this one.
COVARIANCES = (Structure.UNSTRUCTURED, Structure.COMPOUND_SYMMETRY_HETEROGENEOUS)
_UNDETERMINED = frozenset({Reason.NOT_CONVERGED, Reason.NO_INTERIOR_MAXIMUM})


@dataclass(frozen=True, slots=True)
class TimePoint:
    """Pain and opioid dose of one group at baseline (`visit` None) or at a visit.

    `died`: without a score, and dead before the visit was due. `not_due`: without a score, alive and in follow-up, and
    due after the last date of the data. `change`: NRS minus baseline NRS of those who have both. `omed` in mg/day;
    `on_opioids` counts a dose above 0 among those whose dose is known (`omed.n`).
    """

    visit: str | None
    n: int
    died: int
    not_due: int
    nrs: Description
    change: Description
    omed: Description
    on_opioids: int

    @property
    def alive(self) -> int:
        """Not known to have died before the visit was due."""
        return self.n - self.died


@dataclass(frozen=True, slots=True)
class BaselineOf:
    """Baseline of some of the participants, to see who was analysed. `label` is untranslated."""

    label: str
    n: int
    nrs: Description
    omed: Description


@dataclass(frozen=True, slots=True)
class BestChange:
    """The lowest NRS of a participant at any assessed visit up to the primary one, minus the baseline NRS.

    `visit` is the first one with that score, `category` the response at the primary visit.
    """

    subject: str
    change: int
    visit: str
    category: Category


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Observed scores of one participant: (months since randomisation, NRS), baseline at 0."""

    subject: str
    points: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class GroupPain:
    """One group: baseline, then every visit of the analysis.

    `best` in descending order of change; `not_assessed` counts those without baseline score or without any score up
    to the primary visit. `trajectories` of all who have a score at a compared visit, in the order of their codes.
    """

    time_points: tuple[TimePoint, ...]
    baselines: tuple[BaselineOf, ...]
    best: tuple[BestChange, ...]
    not_assessed: int
    trajectories: tuple[Trajectory, ...]

    def at(self, visit: str | None) -> TimePoint:
        """The time point of a visit, or baseline for None. Raises KeyError for a visit outside the analysis."""
        for point in self.time_points:
            if point.visit == visit:
                return point
        raise KeyError(visit)


@dataclass(frozen=True, slots=True)
class RankComparison:
    """Study - control by ranks at one visit: the score itself and its change from baseline."""

    visit: str
    nrs: RankSumTest
    nrs_shift: HodgesLehmann
    change: RankSumTest
    change_shift: HodgesLehmann


@dataclass(frozen=True, slots=True)
class Comparison:
    """Study - control. `models` are the covariances that were tried, the last one counts.

    `baseline` describes the baseline score of those in the model, both arms together: the adjusted means are at its
    mean.
    """

    models: tuple[Mmrm, ...]
    baseline: Description
    ranks: tuple[RankComparison, ...]
    ancova: Ancova

    @property
    def model(self) -> Mmrm:
        return self.models[-1]


@dataclass(frozen=True, slots=True)
class Pain:
    """Pain over time. `compared` are the protocol's visits, later ones are only described.

    `positions`: months since randomisation at which a compared visit is drawn: the offset of the visit after the
    median time from randomisation to the anchor of the visits. `comparison` is None for one pooled group.
    """

    visits: tuple[str, ...]
    compared: tuple[str, ...]
    primary_visit: str
    level: float
    groups: tuple[GroupPain, ...]
    positions: tuple[tuple[str, float], ...]
    comparison: Comparison | None


def pain(protocol: Protocol, groups: Sequence[Group], visits: Sequence[str]) -> Pain:
    """Pain over time of the groups at `visits`; two groups are study and control arm and are compared."""
    timepoint, level = protocol.primary.timepoint, protocol.primary.analysis.confidence
    wanted = {timepoint.visit, *timepoint.also_reported}
    compared = tuple(sorted(wanted, key=lambda code: event_order(protocol, code)))
    rows = [row for group in groups for row in group.rows]
    last = max((row.death or row.last_alive for row in rows), default=date.min)
    return Pain(
        visits=tuple(visits),
        compared=compared,
        primary_visit=timepoint.visit,
        level=level,
        groups=tuple(_group(protocol, group.rows, visits, compared, last, level) for group in groups),
        positions=_positions(protocol, rows, compared),
        comparison=_compare(groups, compared, timepoint.visit, level) if len(groups) > 1 else None,
    )


def due_date(protocol: Protocol, row: AnalysisRow, visit: str) -> date | None:
    """When a visit is or would have been due, death or not; None while radiotherapy is not over."""
    anchor = row.rt_end or (row.randomized if row.rt_start is None else None)
    if anchor is None:
        return None
    offset = offset_of(protocol, visit)
    return add_months(anchor, offset.months) if offset.months else anchor + timedelta(weeks=offset.weeks)


def died_before(protocol: Protocol, row: AnalysisRow, visit: str) -> bool:
    """Whether the participant has no score at the visit because of death; death during radiotherapy is before all."""
    response = row.response(visit)
    if response.nrs is not None:
        return False
    if response.ne_reason == NeReason.DEAD.value:
        return True
    due = due_date(protocol, row, visit)
    return row.death is not None and (due is None or row.death < due)


def _waiting(protocol: Protocol, row: AnalysisRow, visit: str, last: date) -> bool:
    """Whether the visit of somebody alive and in follow-up was not yet due at the `last` date of the data."""
    if row.response(visit).nrs is not None or row.death is not None or row.followup_ended is not None:
        return False
    due = due_date(protocol, row, visit)
    return due is None or due > last


def _group(
    protocol: Protocol, rows: Sequence[AnalysisRow], visits: Sequence[str], compared: Sequence[str], last: date,
    level: float,
) -> GroupPain:  # fmt: skip
    primary = protocol.primary.timepoint.visit
    reading = Reading(protocol.response.reading)
    up_to = [v for v in visits if event_order(protocol, v) <= event_order(protocol, primary)]
    best = [found for row in rows if (found := _best(row, up_to, primary, reading)) is not None]
    # Equal changes stand together by category, so that a band of thin bars has one pattern.
    order = list(Category)
    best.sort(key=lambda each: (-each.change, order.index(each.category), each.subject))
    return GroupPain(
        time_points=(
            _time_point(None, rows, [(row.nrs, row.omed) for row in rows], 0, 0, level),
            *(_visit(protocol, visit, rows, last, level) for visit in visits),
        ),
        baselines=tuple(_baselines(protocol, rows, compared, primary, level)),
        best=tuple(best),
        not_assessed=len(rows) - len(best),
        trajectories=tuple(each for row in rows if len((each := _trajectory(row, compared)).points) > 1),
    )


def _visit(protocol: Protocol, visit: str, rows: Sequence[AnalysisRow], last: date, level: float) -> TimePoint:
    return _time_point(
        visit,
        rows,
        [(row.response(visit).nrs, row.response(visit).omed) for row in rows],
        sum(died_before(protocol, row, visit) for row in rows),
        sum(_waiting(protocol, row, visit, last) for row in rows),
        level,
    )


def _time_point(
    visit: str | None, rows: Sequence[AnalysisRow], values: Sequence[tuple[int | None, object]], died: int,
    not_due: int, level: float,
) -> TimePoint:  # fmt: skip
    scores = [nrs for nrs, _omed in values]
    doses = [float(str(omed)) for _nrs, omed in values if omed is not None]
    changes = [nrs - row.nrs for row, nrs in zip(rows, scores, strict=True) if nrs is not None and row.nrs is not None]
    return TimePoint(
        visit=visit,
        n=len(rows),
        died=died,
        not_due=not_due,
        nrs=describe([nrs for nrs in scores if nrs is not None], level),
        change=describe(changes if visit is not None else [], level),
        omed=describe(doses, level),
        on_opioids=sum(dose > 0 for dose in doses),
    )


def _baselines(
    protocol: Protocol, rows: Sequence[AnalysisRow], compared: Sequence[str], primary: str, level: float
) -> Iterable[BaselineOf]:
    """Everyone; those in the model; then all by what became of them until the primary visit."""
    scored = [row for row in rows if row.response(primary).nrs is not None]
    dead = [row for row in rows if died_before(protocol, row, primary)]
    others = [row for row in rows if row.response(primary).nrs is None and not died_before(protocol, row, primary)]
    for label, some in (
        (_("All randomised"), rows),
        (_("Baseline score and a later one"), _in_model(rows, compared)),
        (_("Score at the primary visit"), scored),
        (_("No score: died before"), dead),
        (_("No score: other, or not due yet"), others),
    ):
        yield BaselineOf(
            label,
            len(some),
            describe([row.nrs for row in some if row.nrs is not None], level),
            describe([float(row.omed) for row in some if row.omed is not None], level),
        )


def _in_model(rows: Iterable[AnalysisRow], compared: Sequence[str]) -> list[AnalysisRow]:
    """Those whose scores the mixed model uses."""
    return [row for row in rows if row.nrs is not None and _scored(row, compared)]


def _best(row: AnalysisRow, up_to: Sequence[str], primary: str, reading: Reading) -> BestChange | None:
    scores = [(nrs, visit) for visit in up_to if (nrs := row.response(visit).nrs) is not None]
    if row.nrs is None or not scores:
        return None
    lowest, visit = min(scores, key=lambda pair: pair[0])
    return BestChange(row.subject, lowest - row.nrs, visit, row.response(primary).category(reading))


def _trajectory(row: AnalysisRow, compared: Sequence[str]) -> Trajectory:
    points: list[tuple[float, int]] = [] if row.nrs is None else [(0.0, row.nrs)]
    points += sorted(
        ((response.visit_date - row.randomized).days / DAYS_PER_MONTH, response.nrs)
        for response in _scored(row, compared)
        if response.visit_date is not None and response.nrs is not None
    )
    return Trajectory(row.subject, tuple(points))


def _scored(row: AnalysisRow, visits: Sequence[str]) -> list[VisitResponse]:
    return [response for visit in visits if (response := row.response(visit)).nrs is not None]


def _positions(
    protocol: Protocol, rows: Sequence[AnalysisRow], compared: Sequence[str]
) -> tuple[tuple[str, float], ...]:
    waits = [(row.rt_end - row.randomized).days / DAYS_PER_MONTH for row in rows if row.rt_end is not None]
    start = statistics.median(waits) if waits else 0.0
    offsets = [(visit, offset_of(protocol, visit)) for visit in compared]
    return tuple((visit, start + offset.months + offset.weeks * 7 / DAYS_PER_MONTH) for visit, offset in offsets)


def _compare(groups: Sequence[Group], compared: Sequence[str], primary: str, level: float) -> Comparison:
    study, control = (group.rows for group in groups)
    everyone = [(row, is_study) for rows, is_study in ((study, True), (control, False)) for row in rows]
    in_model = _in_model([row for row, _is_study in everyone], compared)
    return Comparison(
        models=_models(everyone, compared, level),
        baseline=describe([row.nrs for row in in_model if row.nrs is not None], level),
        ranks=tuple(_ranks(visit, study, control, level) for visit in compared),
        ancova=ancova(
            [is_study for _row, is_study in everyone],
            [row.nrs for row, _is_study in everyone],
            [row.response(primary).nrs for row, _is_study in everyone],
            level=level,
        ),
    )


def _models(everyone: Sequence[tuple[AnalysisRow, bool]], compared: Sequence[str], level: float) -> tuple[Mmrm, ...]:
    observations = [
        Observation(row.subject, is_study, visit, row.nrs, row.response(visit).nrs)
        for row, is_study in everyone
        for visit in compared
    ]
    tried: list[Mmrm] = []
    for structure in COVARIANCES:
        tried.append(mmrm(observations, compared, MmrmMethod.SATTERTHWAITE, level, structure))
        if tried[-1].reml_log_likelihood.reason not in _UNDETERMINED:
            break
    return tuple(tried)


def _ranks(visit: str, study: Sequence[AnalysisRow], control: Sequence[AnalysisRow], level: float) -> RankComparison:
    def values(rows: Sequence[AnalysisRow], change: bool) -> list[float]:
        pairs = [(row.response(visit).nrs, row.nrs if change else 0) for row in rows]
        return [nrs - before for nrs, before in pairs if nrs is not None and before is not None]

    nrs, changes = ((values(study, each), values(control, each)) for each in (False, True))
    method, shift = RankSumMethod.ASYMPTOTIC_CC, ShiftMethod.MOSES_ASYMPTOTIC
    return RankComparison(
        visit,
        rank_sum(*nrs, method),
        hodges_lehmann(*nrs, shift, level),
        rank_sum(*changes, method),
        hodges_lehmann(*changes, shift, level),
    )
