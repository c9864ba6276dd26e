"""The numbers of the first program under the keys of the second one (`spinetrial/exports/analysis.R`)."""

from collections.abc import Iterable

from followup.response import Category
from spinetrial.analysis.data import Snapshot
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import Results, results
from spinetrial.analysis.times import READ_AT_MONTHS
from spinetrial.exports.second_program import compared_visits
from spinetrial.stats.estimate import Estimate, Interval
from spinetrial.stats.proportions import ProportionCI
from spinetrial.stats.risk_difference import DifferenceMethod, risk_difference_ci

Value = float | str | None
ARMS = ("study", "control")


def first_program(snapshot: Snapshot) -> dict[str, Value]:
    """Every number that the R script computes too; None where it is not estimable."""
    found = results(snapshot, Arms.SHOWN)
    pairs: list[tuple[str, Value | Estimate]] = []
    for part in PARTS:
        pairs += part(found)
    keys = [key for key, _value in pairs]
    assert len(set(keys)) == len(keys)
    return {key: value.value if isinstance(value, Estimate) else value for key, value in pairs}


Pairs = Iterable[tuple[str, Value | Estimate]]


def _checks(found: Results) -> Pairs:
    for name in ("category.LITERAL", "category.TOLERANT", "category.NRS_ONLY", "strangers", "survival"):
        yield f"check.{name}", 0


def _limits(key: str, limits: Interval) -> Pairs:
    yield f"{key}_lower", limits.lower
    yield f"{key}_upper", limits.upper


def _rate(key: str, rate: ProportionCI) -> Pairs:
    yield f"{key}.x", rate.x
    yield f"{key}.n", rate.n
    yield f"{key}.rate", rate.estimate
    yield f"{key}.lower", rate.lower
    yield f"{key}.upper", rate.upper


def _primary(found: Results) -> Pairs:
    primary = found.primary
    for place, comparisons in (("primary", primary.comparisons), ("sensitivity", primary.sensitivity)):
        for comparison in comparisons:
            key = f"{place}.{comparison.code}"
            yield from _rate(f"{key}.study", comparison.study)
            yield from _rate(f"{key}.control", comparison.control)
            if comparison.difference:
                yield f"{key}.difference", comparison.difference.estimate
                yield from _limits(f"{key}.difference", comparison.difference.interval)
            if comparison.test:
                yield f"{key}.z", comparison.test.z
                yield f"{key}.p", comparison.test.p
    yield "primary.conclusion", primary.conclusion.value


def _tipping(found: Results) -> Pairs:
    (tipping,) = found.primary.tippings
    key = f"sensitivity.{tipping.code}"
    yield f"{key}.missing_study", tipping.missing1
    yield f"{key}.missing_control", tipping.missing0
    yield f"{key}.cells", (tipping.missing1 + 1) * (tipping.missing0 + 1)
    yield f"{key}.noninferior", tipping.grid.n_noninferior if tipping.grid else 0
    yield f"{key}.worst", tipping.grid.worst if tipping.grid else None
    yield f"{key}.best", tipping.grid.best if tipping.grid else None


def _visits(found: Results) -> Pairs:
    analysis = found.protocol.primary.analysis
    for visit in compared_visits(found.protocol):
        pair = next(each for each in found.visits if each[0].visit == visit)
        for arm, counts in zip(ARMS, pair, strict=True):
            key = f"visit.{visit}.{arm}"
            yield from ((f"{key}.{category.value}", counts.count(category)) for category in Category)
            yield from _rate(key, counts.rate)
            yield from _rate(f"{key}.evaluable", counts.rate_evaluable)
        (x1, n1), (x0, n0) = ((counts.rate.x, counts.n) for counts in pair)
        method = DifferenceMethod(analysis.method)
        yield from _limits(
            f"visit.{visit}.difference", risk_difference_ci(x1, n1, x0, n0, method, analysis.confidence).interval
        )


def _mmrm(found: Results) -> Pairs:
    model = found.pain.comparison.model
    yield "mmrm.covariance", model.structure.value if model.reml_log_likelihood.estimable else None
    for contrast in model.contrasts:
        key = f"mmrm.{contrast.visit}"
        yield f"{key}.n_study", contrast.n_study
        yield f"{key}.n_control", contrast.n_control
        yield f"{key}.difference", contrast.difference
        yield f"{key}.se", contrast.se
        yield f"{key}.mean_study", contrast.mean_study
        yield f"{key}.mean_control", contrast.mean_control


def _ranks(found: Results) -> Pairs:
    for ranks in found.pain.comparison.ranks:
        for what, test, shift in (
            ("score", ranks.nrs, ranks.nrs_shift),
            ("change", ranks.change, ranks.change_shift),
        ):
            key = f"ranks.{ranks.visit}.{what}"
            yield f"{key}.n_study", test.n_x
            yield f"{key}.n_control", test.n_y
            yield f"{key}.u", test.u
            yield f"{key}.p", test.p
            yield f"{key}.shift", shift.shift
            yield from _limits(f"{key}.shift", shift.interval)


def _ancova(found: Results) -> Pairs:
    fit = found.pain.comparison.ancova
    yield "ancova.n_study", fit.n_study
    yield "ancova.n_control", fit.n_control
    yield "ancova.difference", fit.difference
    yield "ancova.se", fit.se
    yield "ancova.p", fit.p
    yield "ancova.lower", fit.interval.lower
    yield "ancova.upper", fit.interval.upper


def _survival(found: Results) -> Pairs:
    for arm, (_code, curve), (_same, follow_up) in zip(
        ARMS, found.survival.curves, found.survival.follow_up, strict=True
    ):
        key = f"survival.{arm}"
        yield f"{key}.n", curve.n
        yield f"{key}.events", curve.n_events
        yield f"{key}.median", curve.median
        yield from _limits(f"{key}.median", curve.median_interval)
        yield f"{key}.follow_up", follow_up.median
        for month in READ_AT_MONTHS:
            point = curve.at(month)
            shown = (None, None, None) if point.beyond_follow_up else (point.survival, point.lower, point.upper)
            for end, value in zip(("", "_lower", "_upper"), shown, strict=True):
                yield f"{key}.month_{month}{end}", value
    yield "survival.logrank.chi2", found.survival.comparison.chi2
    yield "survival.logrank.p", found.survival.comparison.p
    yield "survival.hazard_ratio", found.survival.hazard_ratio.hazard_ratio
    yield from _limits("survival.hazard_ratio", found.survival.hazard_ratio.interval)


def _incidence(found: Results) -> Pairs:
    if not any(group.rows for group in found.groups):
        return  # the script knows the endpoints from the rows of ADTTE
    for endpoint in found.endpoints.each:
        for arm, incidence in zip(ARMS, endpoint.groups, strict=True):
            key = f"incidence.{endpoint.parameter.value}.{arm}"
            yield f"{key}.n", incidence.n
            yield f"{key}.events", incidence.events
            yield f"{key}.competing", incidence.deaths
            for month in READ_AT_MONTHS:
                point = incidence.event.at(month)
                yield f"{key}.month_{month}", point.incidence
                yield f"{key}.month_{month}_lower", point.lower
                yield f"{key}.month_{month}_upper", point.upper
        yield f"incidence.{endpoint.parameter.value}.gray", endpoint.test.statistic
        yield f"incidence.{endpoint.parameter.value}.p", endpoint.test.p


def _toxicity(found: Results) -> Pairs:
    for row in found.toxicity.rows:
        for cut in row.cuts:
            key = f"toxicity.{row.term_code}.{cut.code}"
            for arm, (x, n) in zip(ARMS, cut.counts, strict=True):
                yield f"{key}.{arm}.x", x
                yield f"{key}.{arm}.n", n
            yield f"{key}.p", cut.test.two_sided


def _baseline(found: Results) -> Pairs:
    names = {"nrs": "nrs_baseline", "omed": "omed_baseline"}
    for code in ("age", "kps", "nrs", "omed"):
        name, characteristic = names.get(code, code), found.baseline.of(code)
        for arm, summary in zip(ARMS, characteristic.summaries, strict=True):
            yield f"baseline.{name}.{arm}.n", summary.n
            yield f"baseline.{name}.{arm}.mean", summary.mean
            yield f"baseline.{name}.{arm}.sd", summary.sd
        yield f"baseline.{name}.smd", characteristic.smd
    for code in ("sex", "primary_site", "visceral", "ecog", "neurology", "escc"):
        smd = found.baseline.of(code).smd
        # The script gives the distance for two levels too, which has no sign.
        yield f"baseline.{code}.smd", smd if smd.value is None else abs(smd.value)


PARTS = (
    _checks, _primary, _tipping, _visits, _mmrm, _ranks, _ancova, _survival, _incidence, _toxicity, _baseline,
)  # fmt: skip
