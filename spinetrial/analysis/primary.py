"""The protocol's analysis of a snapshot: counts, rates, the primary comparison, survival, toxicity.

Margin, alpha, level, method, sets and cuts come from the protocol object (D16, D23). What needs arms is left out
when they may not be shown; then everyone is one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from followup.response import Category, Reading
from spinetrial.analysis import sets
from spinetrial.analysis.data import Snapshot
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet, Flow, PpReason
from spinetrial.protocol import get, protocol_hash
from spinetrial.protocol.model import ArmRole, Protocol
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.noninferiority import NonInferiorityMethod, NonInferiorityTest, noninferiority_test
from spinetrial.stats.proportions import ProportionCI, ProportionMethod, proportion_ci
from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI, risk_difference_ci
from spinetrial.stats.survival import KaplanMeier, LogRank, kaplan_meier, logrank, median_follow_up
from spinetrial.stats.tables import Fisher2x2, fisher_2x2
from spinetrial.terminology import ctcae

#: The paper names no interval for a single rate; the exact one never covers less than it says.
RATE_METHOD = ProportionMethod.CLOPPER_PEARSON

_DIFFERENCE_METHODS = frozenset(each.value for each in DifferenceMethod)
_TEST_METHODS = frozenset(each.value for each in NonInferiorityMethod)


class ProtocolMismatch(Exception):
    """The data were collected under a protocol version whose text has changed since."""


class Conclusion(StrEnum):
    """The only words the report has for the primary endpoint."""

    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"
    INCONCLUSIVE = "inconclusive"
    INFERIOR = "inferior"
    NOT_ESTIMABLE = "not_estimable"


CONCLUSION_LABELS: dict[Conclusion, str] = {
    Conclusion.SUPERIOR: _("The study arm is non-inferior and superior to the control arm."),
    Conclusion.NON_INFERIOR: _("The study arm is non-inferior to the control arm."),
    Conclusion.INCONCLUSIVE: _("The result is inconclusive."),
    Conclusion.INFERIOR: _("The study arm is inferior to the control arm."),
    Conclusion.NOT_ESTIMABLE: _("The primary comparison is not estimable."),
}


@dataclass(frozen=True, slots=True)
class Group:
    """A column of the tables: an arm, or everyone while the arm is masked."""

    code: str
    name: str
    rows: tuple[AnalysisRow, ...]


@dataclass(frozen=True, slots=True)
class VisitCounts:
    """Pain response of one group at one visit. The rate counts every randomised patient (D7)."""

    visit: str
    group: str
    n: int
    categories: tuple[tuple[Category, int], ...]
    ne_reasons: tuple[tuple[str, int], ...]
    rate: ProportionCI
    rate_evaluable: ProportionCI

    def count(self, category: Category) -> int:
        return dict(self.categories)[category]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Study arm against control arm in one analysis set under one way of counting."""

    code: str
    label: str
    analysis_set: AnalysisSet
    study: ProportionCI
    control: ProportionCI
    margin: float
    difference: RiskDifferenceCI | None
    test: NonInferiorityTest | None


@dataclass(frozen=True, slots=True)
class Primary:
    """The primary comparison in each set the protocol demands, and the conclusion of D16."""

    comparisons: tuple[Comparison, ...]
    sensitivity: tuple[Comparison, ...]
    conclusion: Conclusion


@dataclass(frozen=True, slots=True)
class Survival:
    """Overall survival from randomisation, in months of 365.25/12 days."""

    curves: tuple[tuple[str, KaplanMeier], ...]
    follow_up: tuple[tuple[str, KaplanMeier], ...]
    comparison: LogRank | None


@dataclass(frozen=True, slots=True)
class ToxicityCut:
    """Patients with at least the cut's grade of a term, per group, and the test between the arms (D23)."""

    code: str
    counts: tuple[tuple[int, int], ...]
    test: Fisher2x2 | None


@dataclass(frozen=True, slots=True)
class ToxicityRow:
    term_code: str
    cuts: tuple[ToxicityCut, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the report says, as numbers. `masked`: no arm was known to the computation."""

    protocol: Protocol
    snapshot_sha256: str
    masked: bool
    groups: tuple[Group, ...]
    flow: Flow
    set_sizes: tuple[tuple[AnalysisSet, tuple[int, ...]], ...]
    pp_exclusions: tuple[tuple[PpReason, tuple[int, ...]], ...]
    visits: tuple[tuple[VisitCounts, ...], ...]
    primary: Primary | None
    survival: Survival
    toxicity: tuple[ToxicityRow, ...]


def results(snapshot: Snapshot, *, reveal: bool) -> Results:
    """The analysis of a snapshot. Without `reveal` no table that shows an arm is looked at, and all are one group.

    Raises KeyError or ProtocolMismatch when the snapshot's protocol version is unknown or differs from its hash.
    """
    protocol = get(snapshot.protocol_version)
    if protocol_hash(protocol) != snapshot.protocol_hash:
        raise ProtocolMismatch(snapshot.protocol_version)
    seen = snapshot if reveal else snapshot.without_arm()
    analysed = sets.build(seen, protocol)
    groups = _groups(protocol, analysed.rows, reveal)
    return Results(
        protocol=protocol,
        snapshot_sha256=snapshot.sha256(),
        masked=not reveal,
        groups=groups,
        flow=analysed.flow,
        set_sizes=tuple((each, tuple(len(sets.members(g.rows, each)) for g in groups)) for each in AnalysisSet),
        pp_exclusions=tuple(
            (reason, tuple(sum(reason in row.pp_reasons for row in group.rows) for group in groups))
            for reason in PpReason
        ),
        visits=tuple(tuple(visit_counts(visit, group, protocol) for group in groups) for visit in analysed.visits),
        primary=_primary(protocol, groups) if reveal else None,
        survival=_survival(groups, protocol.primary.analysis.confidence),
        toxicity=_toxicity(protocol, groups),
    )


def _groups(protocol: Protocol, rows: tuple[AnalysisRow, ...], reveal: bool) -> tuple[Group, ...]:
    if not reveal:
        return (Group("ALL", _("All participants"), rows),)
    arms = (protocol.arm_of_role(ArmRole.STUDY), protocol.arm_of_role(ArmRole.CONTROL))
    return tuple(Group(arm.code, arm.name, tuple(row for row in rows if row.arm == arm.code)) for arm in arms)


def visit_counts(visit: str, group: Group, protocol: Protocol) -> VisitCounts:
    """Response categories by the protocol's reading, with rates among all randomised and among the evaluable."""
    reading = Reading(protocol.response.reading)
    responses = [row.response(visit) for row in group.rows]
    categories = Counter(response.category(reading) for response in responses)
    reasons = Counter(response.ne_reason for response in responses if response.category(reading) is Category.NE)
    x = sum(response.responder(reading, protocol) for response in responses)
    level = protocol.primary.analysis.confidence
    return VisitCounts(
        visit=visit,
        group=group.code,
        n=len(responses),
        categories=tuple((category, categories[category]) for category in Category),
        ne_reasons=tuple(sorted(reasons.items())),
        rate=proportion_ci(x, len(responses), RATE_METHOD, level),
        rate_evaluable=proportion_ci(x, len(responses) - categories[Category.NE], RATE_METHOD, level),
    )


Counting = Callable[[AnalysisRow, bool], bool | None]


def _compare(
    protocol: Protocol,
    groups: Sequence[Group],
    analysis_set: AnalysisSet,
    *,
    code: str,
    label: str,
    counts: Counting,
    method: str = "",
    margin: float | None = None,
) -> Comparison:
    """Compare the arms. `counts(row, is_study)` is true for success, None for a row that is left out."""
    method = method or protocol.primary.analysis.method
    margin = protocol.primary.hypothesis.margin if margin is None else margin
    level = protocol.primary.analysis.confidence
    tallies = []
    for group, is_study in zip(groups, (True, False), strict=True):
        outcomes = [counts(row, is_study) for row in sets.members(group.rows, analysis_set)]
        known = [outcome for outcome in outcomes if outcome is not None]
        tallies.append((sum(known), len(known)))
    (x1, n1), (x0, n0) = tallies
    # Some methods are an interval without a test, the exact one is a test without an interval.
    difference = DifferenceMethod(method) if method in _DIFFERENCE_METHODS else None
    test = NonInferiorityMethod(method) if method in _TEST_METHODS else None
    return Comparison(
        code=code,
        label=label,
        analysis_set=analysis_set,
        study=proportion_ci(x1, n1, RATE_METHOD, level),
        control=proportion_ci(x0, n0, RATE_METHOD, level),
        margin=margin,
        difference=risk_difference_ci(x1, n1, x0, n0, difference, level) if difference else None,
        test=noninferiority_test(x1, n1, x0, n0, margin, test) if test else None,
    )


def _responds(protocol: Protocol, reading: str = "", missing: str = "") -> Counting:
    """How a patient counts at the primary visit. `missing`: what a response that is not evaluable stands for."""
    visit = protocol.primary.timepoint.visit
    chosen = Reading(reading or protocol.response.reading)
    missing = missing or protocol.primary.analysis.missing

    def counts(row: AnalysisRow, is_study: bool) -> bool | None:
        response = row.response(visit)
        if response.category(chosen) is not Category.NE:
            return response.responder(chosen, protocol)
        if missing == "complete_case":
            return None
        if missing == "worst_case":
            # Death and retreatment are outcomes, not missing data: they stay failures in both arms.
            return response.missing and not is_study
        return False

    return counts


def _primary(protocol: Protocol, groups: Sequence[Group]) -> Primary:
    comparisons = tuple(
        _compare(
            protocol, groups, AnalysisSet(name), code=name, label=sets.SET_LABELS[AnalysisSet(name)],
            counts=_responds(protocol),
        )
        for name in protocol.primary.analysis.sets
    )  # fmt: skip
    return Primary(
        comparisons=comparisons,
        sensitivity=tuple(_sensitivity(protocol, groups)),
        conclusion=conclude(comparisons),
    )


def conclude(comparisons: Iterable[Comparison]) -> Conclusion:
    """D16: non-inferior if the lower limit exceeds the margin in every set; superior if it then exceeds 0 in ITT.

    Inferior if the upper limit lies below the margin in every set. A limit on the margin decides nothing.
    """
    limits = []
    for comparison in comparisons:
        found = comparison.difference
        if found is None or found.lower.value is None or found.upper.value is None:
            return Conclusion.NOT_ESTIMABLE
        limits.append((comparison, found.lower.value, found.upper.value))
    if not limits:
        return Conclusion.NOT_ESTIMABLE
    if all(lower > comparison.margin for comparison, lower, _upper in limits):
        if any(c.analysis_set is AnalysisSet.ITT and lower > 0 for c, lower, _upper in limits):
            return Conclusion.SUPERIOR
        return Conclusion.NON_INFERIOR
    if all(upper < comparison.margin for comparison, _lower, upper in limits):
        return Conclusion.INFERIOR
    return Conclusion.INCONCLUSIVE


#: Ways of handling missing responses that are counts of these data; imputation and tipping point are not.
_COUNTED_MISSING = frozenset({"complete_case", "all_fail", "worst_case"})


def _sensitivity(protocol: Protocol, groups: Sequence[Group]) -> Iterable[Comparison]:
    """The protocol's sensitivity analyses of D1 and D16 that need no imputation, all in the ITT set."""
    for entry in protocol.sensitivity:
        counts, method, margin = _responds(protocol), "", None
        if entry.varies == "method":
            method = str(entry.value)
        elif entry.varies == "reading":
            counts = _responds(protocol, reading=str(entry.value))
        elif entry.varies == "margin":
            margin = float(entry.value)
        elif entry.value in _COUNTED_MISSING:
            counts = _responds(protocol, missing=str(entry.value))
        else:
            continue
        yield _compare(
            protocol, groups, AnalysisSet.ITT, code=entry.code, label=entry.label, counts=counts, method=method,
            margin=margin,
        )  # fmt: skip


def left_out(protocol: Protocol) -> tuple[str, ...]:
    """Labels of sensitivity analyses of the protocol that this report does not hold."""
    return tuple(
        entry.label
        for entry in protocol.sensitivity
        if entry.varies == "missing" and entry.value not in _COUNTED_MISSING
    )


def _survival(groups: Sequence[Group], level: float) -> Survival:
    times = [[row.months for row in group.rows] for group in groups]
    events = [[int(row.death is not None) for row in group.rows] for group in groups]
    pairs = list(zip(groups, times, events, strict=True))
    return Survival(
        curves=tuple((group.code, kaplan_meier(t, e, level)) for group, t, e in pairs),
        follow_up=tuple((group.code, median_follow_up(t, e, level)) for group, t, e in pairs),
        comparison=logrank(times[1], events[1], times[0], events[0]) if len(groups) == 2 else None,
    )


def _toxicity(protocol: Protocol, groups: Sequence[Group]) -> tuple[ToxicityRow, ...]:
    treated = [sets.members(group.rows, AnalysisSet.SAFETY) for group in groups]
    codes = {event.code for rows in treated for row in rows for event in row.events}
    table = []
    for code in sorted(codes, key=lambda each: (ctcae.get(each).term, each)):
        cuts = []
        for cut in protocol.toxicity:
            counts = tuple((sum(row.worst(code) >= cut.min_grade for row in rows), len(rows)) for rows in treated)
            test = None
            if len(counts) == 2:
                (a, n1), (c, n0) = counts
                test = fisher_2x2(a, n1 - a, c, n0 - c)
            cuts.append(ToxicityCut(cut.code, counts, test))
        table.append(ToxicityRow(code, tuple(cuts)))
    return tuple(table)
