"""The primary endpoint: response counts, the comparison in each set, every sensitivity analysis, subgroups.

Margin, alpha, level, method and sets come from the protocol object (D16).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from followup.response import Category, Reading
from spinetrial.analysis import sets
from spinetrial.analysis.groups import Group
from spinetrial.analysis.imputation import Imputation, Tipping, imputed, tipping
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet
from spinetrial.analysis.subgroups import Subgroups, subgroups
from spinetrial.protocol.model import Protocol, Sensitivity
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.noninferiority import NonInferiorityMethod, NonInferiorityTest, noninferiority_test
from spinetrial.stats.proportions import ProportionCI, ProportionMethod, proportion_ci
from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI, risk_difference_ci
from spinetrial.stats.tables import RiskRatio, risk_ratio

#: The paper names no interval for a single rate; the exact one never covers less than it says.
RATE_METHOD = ProportionMethod.CLOPPER_PEARSON

_DIFFERENCE_METHODS = frozenset(each.value for each in DifferenceMethod)
_TEST_METHODS = frozenset(each.value for each in NonInferiorityMethod)


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

    def reason(self, reason: str) -> int:
        """Patients not evaluable for that reason."""
        return dict(self.ne_reasons).get(reason, 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Study arm against control arm in one analysis set under one way of counting.

    `ratio` of the rates, study to control, is the relative effect beside the absolute one (CONSORT 17b).
    """

    code: str
    label: str
    analysis_set: AnalysisSet
    study: ProportionCI
    control: ProportionCI
    margin: float
    difference: RiskDifferenceCI | None
    test: NonInferiorityTest | None
    ratio: RiskRatio


@dataclass(frozen=True, slots=True)
class TimepointComparison:
    """The arms at a visit that is reported too (D2). There is no test and no margin: no claim is made on it.

    `not_evaluable` and `not_yet` count patients of the study arm and of the control arm; the latter are among the
    former: their window had not closed at the last date of the data.
    """

    visit: str
    study: ProportionCI
    control: ProportionCI
    difference: RiskDifferenceCI
    not_evaluable: tuple[int, int]
    not_yet: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Primary:
    """The primary comparison in each set the protocol demands, and the conclusion of D16.

    `sensitivity` holds the sensitivity analyses that are counts of these data, `imputations` and `tippings` the others;
    together they are every entry of the protocol. `timepoints` are the visits reported beside the primary one.
    """

    comparisons: tuple[Comparison, ...]
    sensitivity: tuple[Comparison, ...]
    imputations: tuple[Imputation, ...]
    tippings: tuple[Tipping, ...]
    timepoints: tuple[TimepointComparison, ...]
    subgroups: tuple[Subgroups, ...]
    conclusion: Conclusion


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
        ratio=risk_ratio(x1, n1 - x1, x0, n0 - x0, level),
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


def primary_results(protocol: Protocol, groups: Sequence[Group]) -> Primary:
    """Everything on the primary endpoint that compares the study arm with the control arm.

    Raises ValueError for a sensitivity analysis of the protocol that this program does not know.
    """
    comparisons = tuple(
        _compare(
            protocol, groups, AnalysisSet(name), code=name, label=sets.SET_LABELS[AnalysisSet(name)],
            counts=_responds(protocol),
        )
        for name in protocol.primary.analysis.sets
    )  # fmt: skip
    found = [_sensitivity(protocol, groups, entry) for entry in protocol.sensitivity]
    return Primary(
        comparisons=comparisons,
        sensitivity=tuple(each for each in found if isinstance(each, Comparison)),
        imputations=tuple(each for each in found if isinstance(each, Imputation)),
        tippings=tuple(each for each in found if isinstance(each, Tipping)),
        timepoints=tuple(_timepoint(protocol, groups, visit) for visit in protocol.primary.timepoint.also_reported),
        subgroups=subgroups(protocol, groups),
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


#: Ways of handling missing responses that are counts of these data.
_COUNTED_MISSING = frozenset({"complete_case", "all_fail", "worst_case"})


def _sensitivity(protocol: Protocol, groups: Sequence[Group], entry: Sensitivity) -> Comparison | Imputation | Tipping:
    """One of the protocol's sensitivity analyses (D1, D16), in the ITT set."""
    counts, method, margin = _responds(protocol), "", None
    match entry.varies, entry.value:
        case "method", str(value):
            method = value
        case "reading", str(value):
            counts = _responds(protocol, reading=value)
        case "margin", float(value):
            margin = value
        case "missing", str(value) if value in _COUNTED_MISSING:
            counts = _responds(protocol, missing=value)
        case "missing", "multiple_imputation":
            return imputed(protocol, groups, entry.code, entry.label)
        case "missing", "tipping_point":
            return tipping(protocol, groups, entry.code, entry.label)
        case _:
            raise ValueError(f"unknown sensitivity analysis {entry.code}: {entry.varies} {entry.value}")
    return _compare(
        protocol, groups, AnalysisSet.ITT, code=entry.code, label=entry.label, counts=counts, method=method,
        margin=margin,
    )  # fmt: skip


def _timepoint(protocol: Protocol, groups: Sequence[Group], visit: str) -> TimepointComparison:
    """All randomised at a visit that is reported too, not evaluable counted as no response as at the primary one."""
    study, control = (visit_counts(visit, group, protocol) for group in groups)
    analysis = protocol.primary.analysis
    return TimepointComparison(
        visit=visit,
        study=study.rate,
        control=control.rate,
        difference=risk_difference_ci(
            study.rate.x, study.n, control.rate.x, control.n, DifferenceMethod(analysis.method), analysis.confidence
        ),
        not_evaluable=(study.count(Category.NE), control.count(Category.NE)),
        not_yet=(study.reason(sets.NOT_YET), control.reason(sets.NOT_YET)),
    )
