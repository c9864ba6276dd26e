"""Reference cases: the inputs of a case in, what this package computes out, in the shape of the case file.

One function per method name of the file format. They only translate names: every number comes from the functions that
the analysis itself calls. The format's conventions: difference = test - control, `conf` the confidence level (0.95 if
absent), groups in order of first appearance, log-rank counts in sorted order of the groups, `null` not estimable. An
optional input that is `null` is absent. Numbers are JSON numbers: a number written as text is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from spinetrial.stats.allocation import ImbalanceMeasure, block_properties, distinct_blocks, minimisation_scores
from spinetrial.stats.competing import cumulative_incidence, gray_test
from spinetrial.stats.design import (
    ClassicalBoundary,
    ExactTest,
    PlanningVariance,
    SpendingFunction,
    classical_boundary,
    exact_noninferiority_power,
    inflate_for_loss,
    lan_demets_boundary,
    noninferiority_power,
    noninferiority_size,
    single_arm_size,
    two_means_power,
    two_means_size,
    two_proportion_size,
)
from spinetrial.stats.estimate import Interval
from spinetrial.stats.means import TTestMethod, ancova, t_test, t_test_summary
from spinetrial.stats.missing import rubin_pool, tipping_point
from spinetrial.stats.mmrm import MmrmMethod, Observation, mmrm
from spinetrial.stats.noninferiority import NonInferiorityMethod, noninferiority_test
from spinetrial.stats.proportions import ProportionMethod, proportion_ci
from spinetrial.stats.ranks import RankSumMethod, ShiftMethod, hodges_lehmann, rank_sum, signed_rank
from spinetrial.stats.risk_difference import DifferenceMethod, risk_difference_ci
from spinetrial.stats.smd import smd_binary, smd_categorical, smd_continuous
from spinetrial.stats.survival import (
    cox_two_groups,
    kaplan_meier,
    logrank_groups,
    median_follow_up,
    restricted_mean,
)
from spinetrial.stats.tables import (
    OddsRatioMethod,
    Stratum,
    barnard,
    boschloo,
    chi_square_2x2,
    cochran_armitage,
    fisher_2x2,
    odds_ratio,
    r_by_c,
    risk_ratio,
    stratified_2x2,
)

Inputs = Mapping[str, Any]
Computed = dict[str, Any]
"""Nested mappings and lists whose leaves are `Estimate`, numbers, texts or truth values."""


NOT_ESTIMABLE = {"status": "not_estimable"}
"""What the format writes where nothing in a result is estimable."""


class UnknownMethod(Exception):
    """The case names a method that this package does not have."""


def compute(method: str, inputs: Any) -> Computed:
    """What this package computes for a case.

    Raises UnknownMethod, ValueError for bad or missing inputs, and what Python raises for inputs of another kind.
    """
    if method not in METHODS:
        raise UnknownMethod(f"unknown method {method!r}")
    return METHODS[method](_Read(inputs))


class _Read(Mapping[str, Any]):
    """Inputs checked when they are read: what a method does not ask for may be anything."""

    def __init__(self, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise ValueError("The inputs must be an object.")
        self._given = given

    def __getitem__(self, name: str) -> Any:
        if name not in self._given:
            raise _MissingInput(f"The input {name!r} is missing.")
        value = self._given[name]
        if name not in _TEXTS:
            _check_numbers(name, value)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


class _MissingInput(KeyError, ValueError):
    """A KeyError, so that `get` and `in` work; a ValueError, so that its sentence is shown."""

    def __str__(self) -> str:
        return str(self.args[0])


_TEXTS = frozenset(
    ("id", "arm", "group", "stratum", "site", "visit", "allocations", "new_patient", "spending", "measure")
)
"""Inputs whose leaves may be text."""


def _check_numbers(name: str, value: Any) -> None:
    """Refuses text and infinite numbers anywhere in an input; missing values (null) are left to the method."""
    if isinstance(value, Mapping):
        for inner in value.values():
            _check_numbers(name, inner)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(name, inner)
    elif isinstance(value, str):
        raise ValueError(f"The input {name!r} must hold numbers, not the text {value!r}.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The input {name!r} must hold finite numbers.")


def _column(inputs: Inputs, name: str) -> list[Any]:
    """An input that is a list."""
    value = inputs[name]
    if not isinstance(value, list):
        raise ValueError(f"The input {name!r} must be a list.")
    return value


def _optional(inputs: Inputs, name: str, default: Any) -> Any:
    """An input that may be absent or null."""
    value = inputs.get(name)
    return default if value is None else value


def _names(inputs: Inputs, name: str) -> list[Any]:
    """A column of labels. Whole numbers stay numbers, to be sorted by size: 1.0 is the group 1."""
    labels: list[Any] = []
    for value in _column(inputs, name):
        if value is None or isinstance(value, bool | list | Mapping):
            raise ValueError(f"The input {name!r} must hold names or numbers, not {value!r}.")
        labels.append(int(value) if isinstance(value, float) and value.is_integer() else value)
    # Numbers and texts together are names: 1 and "1" are one group, as they are one key of the result.
    return [str(value) for value in labels] if any(isinstance(value, str) for value in labels) else labels


def _limits(given: Interval) -> Computed:
    return {"lower": given.lower, "upper": given.upper}


def _level(inputs: Inputs) -> float:
    return float(_optional(inputs, "conf", 0.95))


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Numbers by size, texts in the order of a dictionary (as an English R session sorts factor levels)."""
    return sorted(values, key=lambda value: value.casefold() if isinstance(value, str) else value)


def _two_arms(inputs: Inputs) -> tuple[int, int, int, int]:
    return inputs["x_test"], inputs["n_test"], inputs["x_control"], inputs["n_control"]


def _is_test(arm: str) -> bool:
    if arm not in ("test", "control"):
        raise ValueError(f"The arm must be 'test' or 'control', not {arm!r}.")
    return arm == "test"


def _proportion_ci(inputs: Inputs) -> Computed:
    x, n, level = inputs["x"], inputs["n"], _level(inputs)
    result = {method: proportion_ci(x, n, method, level) for method in ProportionMethod}
    return {
        "estimate": result[ProportionMethod.WILSON].estimate,
        "wilson": _limits(result[ProportionMethod.WILSON].interval),
        "clopper_pearson": _limits(result[ProportionMethod.CLOPPER_PEARSON].interval),
        "agresti_coull_unclipped": _limits(result[ProportionMethod.AGRESTI_COULL].unclipped),
        "jeffreys_bcd": _limits(result[ProportionMethod.JEFFREYS].interval),
        "wald_unclipped": _limits(result[ProportionMethod.WALD].unclipped),
    }


def _risk_difference_ci(inputs: Inputs) -> Computed:
    level = _level(inputs)
    result = {method: risk_difference_ci(*_two_arms(inputs), method, level) for method in DifferenceMethod}
    return {
        "estimate": result[DifferenceMethod.WALD].estimate,
        "se_wald": result[DifferenceMethod.WALD].se_wald,
        "wald": _limits(result[DifferenceMethod.WALD].unclipped),
        "agresti_caffo": _limits(result[DifferenceMethod.AGRESTI_CAFFO].unclipped),
        "newcombe": _limits(result[DifferenceMethod.NEWCOMBE].interval),
        "newcombe_cc": _limits(result[DifferenceMethod.NEWCOMBE_CC].interval),
        "mee": _limits(result[DifferenceMethod.FARRINGTON_MANNING].interval),
        "miettinen_nurminen": _limits(result[DifferenceMethod.MIETTINEN_NURMINEN].interval),
    }


def _noninferiority_test(inputs: Inputs) -> Computed:
    alpha = inputs["alpha_one_sided"]
    computed: Computed = {}
    for method in (
        NonInferiorityMethod.FARRINGTON_MANNING,
        NonInferiorityMethod.MIETTINEN_NURMINEN,
        NonInferiorityMethod.WALD,
    ):
        test = noninferiority_test(*_two_arms(inputs), inputs["margin"], method)
        computed["restricted_mle"] = {"p_test": test.restricted.p1, "p_control": test.restricted.p0}
        computed[method.value] = {"z": test.z, "p": test.p, "noninferior": test.claimed(alpha)}
    limits = risk_difference_ci(*_two_arms(inputs), DifferenceMethod.MIETTINEN_NURMINEN, 1 - 2 * alpha)
    return computed | {"mn_ci_lower": limits.lower, "mn_ci_upper": limits.upper}


def _noninferiority_exact(inputs: Inputs) -> Computed:
    method = NonInferiorityMethod.EXACT_UNCONDITIONAL
    test = noninferiority_test(*_two_arms(inputs), inputs["margin"], method)
    return {"p": test.p, "statistic": test.z}


def _two_by_two(inputs: Inputs) -> Computed:
    table = _column(inputs, "table")
    if [len(row) if isinstance(row, list) else 0 for row in table] != [2, 2]:
        raise ValueError("The table must have two rows of two cells.")
    (a, b), (c, d) = table
    cells, level = (a, b, c, d), _level(inputs)
    fisher, chi, risk = fisher_2x2(*cells), chi_square_2x2(*cells), risk_ratio(*cells, level)
    odds = odds_ratio(*cells, OddsRatioMethod.AS_R_FISHER_TEST, level)
    by_z, by_p = barnard(*cells), boschloo(*cells)
    return {
        "fisher_two_sided": fisher.two_sided,
        "fisher_less": fisher.less,
        "fisher_greater": fisher.greater,
        "fisher_midp_two_sided": fisher.mid_p,
        "pearson_chi2": chi.pearson,
        "pearson_p": chi.pearson_p,
        "yates_chi2": chi.yates,
        "yates_p": chi.yates_p,
        "n_minus_1_p": chi.n_minus_1_p,
        "min_expected": chi.min_expected,
        "odds_ratio_sample": odds.sample,
        "odds_ratio_cond_mle": odds.conditional,
        "odds_ratio_exact_ci": _limits(odds.interval),
        "risk_ratio": risk.ratio,
        "risk_ratio_log_ci": _limits(risk.interval),
        "barnard_zpooled_two_sided": by_z.two_sided,
        "barnard_zpooled_greater": by_z.greater,
        "barnard_zpooled_less": by_z.less,
        "boschloo_greater": by_p.greater,
        "boschloo_less": by_p.less,
        "boschloo_two_sided_minlike": by_p.two_sided,
        "boschloo_two_sided_doubled": by_p.doubled,
    }


def _r_by_c(inputs: Inputs) -> Computed:
    result = r_by_c(_column(inputs, "table"))
    return {
        "pearson_chi2": result.pearson,
        "df": result.df,
        "pearson_p": result.pearson_p,
        "lr_chi2": result.likelihood_ratio,
        "lr_p": result.likelihood_ratio_p,
        "fisher_freeman_halton_p": result.exact_p,
    }


def _cochran_armitage(inputs: Inputs) -> Computed:
    result = cochran_armitage(inputs["events"], inputs["n"], inputs["scores"])
    return {"chi2": result.chi2, "p": result.p}


def _stratified_2x2(inputs: Inputs) -> Computed:
    result = stratified_2x2(
        [Stratum(*_two_arms(_Read(stratum))) for stratum in _column(inputs, "strata")], _level(inputs)
    )
    return {
        "cmh_chi2": result.cmh,
        "cmh_p": result.cmh_p,
        "cmh_cc_chi2": result.cmh_corrected,
        "cmh_cc_p": result.cmh_corrected_p,
        "mh_odds_ratio": result.odds_ratio,
        "mh_or_ci": _limits(result.odds_ratio_interval),
        "mh_risk_difference": result.risk_difference,
        "se_sato": result.se_sato,
        "se_greenland_robins": result.se_greenland_robins,
        "ci_sato": _limits(result.risk_difference_interval),
    }


def _wilcoxon_rank_sum(inputs: Inputs) -> Computed:
    x, y, level = inputs["x"], inputs["y"], _level(inputs)
    test = {method: rank_sum(x, y, method) for method in RankSumMethod}
    exact = hodges_lehmann(x, y, ShiftMethod.MOSES_EXACT, level)
    asymptotic = hodges_lehmann(x, y, ShiftMethod.MOSES_ASYMPTOTIC, level)
    return {
        "u_statistic": test[RankSumMethod.ASYMPTOTIC].u,
        "hodges_lehmann": exact.shift,
        "ties": test[RankSumMethod.ASYMPTOTIC].ties,
        "p_exact_no_ties": test[RankSumMethod.EXACT_NO_TIES].p,
        "p_exact_permutation_midranks": test[RankSumMethod.PERMUTATION_MIDRANKS].p,
        "p_asymptotic_cc": test[RankSumMethod.ASYMPTOTIC_CC].p,
        "p_asymptotic_no_cc": test[RankSumMethod.ASYMPTOTIC].p,
        "variance_tie_corrected": test[RankSumMethod.ASYMPTOTIC].variance,
        "moses_k": exact.k,
        "hl_ci_moses_exact": _limits(exact.interval),
        "hl_ci_actual_coverage": exact.coverage,
        "asymptotic_k": asymptotic.k,
        "hl_ci_asymptotic_order_stat": _limits(asymptotic.interval),
    }


def _wilcoxon_signed_rank(inputs: Inputs) -> Computed:
    result = signed_rank(inputs["before"], inputs["after"], _level(inputs))
    return {
        "v_statistic": result.v,
        "n_nonzero": result.n_nonzero,
        "p_exact": result.p,
        "hodges_lehmann": result.shift,
        "ci": _limits(result.interval),
    }


def _t_test(inputs: Inputs) -> Computed:
    computed: Computed = {}
    for method in TTestMethod:
        result = t_test(inputs["x"], inputs["y"], method, _level(inputs))
        computed[method.value] = {
            "t": result.t,
            "df": result.df,
            "p": result.p,
            "diff": result.difference,
            **_limits(result.interval),
        }
    return computed


def _t_test_summary(inputs: Inputs) -> Computed:
    computed: Computed = {}
    moments = {name: inputs[name] for name in ("mean1", "sd1", "n1", "mean2", "sd2", "n2")}
    for method in TTestMethod:
        result = t_test_summary(**moments, method=method, level=_level(inputs))
        name = method.value
        computed |= {f"{name}_t": result.t, f"{name}_df": result.df, f"{name}_p": result.p}
    return computed


def _ancova(inputs: Inputs) -> Computed:
    study = [_is_test(arm) for arm in _column(inputs, "arm")]
    result = ancova(study, inputs["baseline"], inputs["post"], _optional(inputs, "site", None), _level(inputs))
    return {
        "adjusted_difference": result.difference,
        "se": result.se,
        "t": result.t,
        "df": result.df,
        "p": result.p,
        **_limits(result.interval),
        "lsmeans": {"control": result.mean_control, "test": result.mean_study},
        "residual_sd": result.residual_sd,
    }


def _mmrm_unstructured(inputs: Inputs) -> Computed:
    columns = [_column(inputs, name) for name in ("id", "arm", "visit", "baseline", "nrs")]
    if len({len(column) for column in columns}) > 1:
        raise ValueError("The columns id, arm, visit, baseline and nrs must have the same length.")
    rows = [
        Observation(str(subject), _is_test(arm), str(visit), baseline, outcome)
        for subject, arm, visit, baseline, outcome in zip(*columns, strict=True)
    ]
    visits, level = _visit_order(rows), _level(inputs)
    plain = mmrm(rows, visits, MmrmMethod.SATTERTHWAITE, level)
    adjusted = mmrm(rows, visits, MmrmMethod.KENWARD_ROGER, level)
    contrasts = [
        {
            "visit": first.visit,
            "difference": first.difference,
            "se_satterthwaite": first.se,
            "df_satterthwaite": first.df,
            "t_satterthwaite": first.t,
            "p_satterthwaite": first.p,
            "lower_satterthwaite": first.interval.lower,
            "upper_satterthwaite": first.interval.upper,
            "se_kenward_roger": second.se,
            "df_kenward_roger": second.df,
            "p_kenward_roger": second.p,
        }
        for first, second in zip(plain.contrasts, adjusted.contrasts, strict=True)
    ]
    covariance = None if plain.covariance is None else [list(row) for row in plain.covariance]
    return {"reml_loglik": plain.reml_log_likelihood, "covariance": covariance, "contrasts": contrasts}


def _visit_order(rows: Sequence[Observation]) -> list[str]:
    """Visits in time order, which the format gives only by the order of each patient's rows.

    A visit comes before another if some patient has it earlier; otherwise the one seen first comes first.
    """
    earlier: dict[str, set[str]] = {visit: set() for visit in _distinct([row.visit for row in rows])}
    seen: dict[str, list[str]] = {}
    for row in rows:
        earlier[row.visit].update(seen.setdefault(row.subject, []))
        seen[row.subject].append(row.visit)
    order: list[str] = []
    while earlier:
        # Contradicting rows leave no visit free; then the order of appearance decides.
        ready = next((visit for visit, before in earlier.items() if before <= set(order)), next(iter(earlier)))
        order.append(ready)
        del earlier[ready]
    return order


def _kaplan_meier(inputs: Inputs) -> Computed:
    column, level, tau = _names(inputs, "group"), _level(inputs), inputs.get("tau")
    names = _distinct(column)
    if not names:
        return dict(NOT_ESTIMABLE)
    samples = {name: _of_group(inputs, "status", column, name) for name in names}
    groups: Computed = {}
    for name, (times, events) in samples.items():
        curve, follow_up = kaplan_meier(times, events, level), median_follow_up(times, events, level)
        points = [(time, curve.at(time)) for time in _times(inputs)]
        groups[str(name)] = {
            "n": curve.n,
            "events": curve.n_events,
            "at": [
                {
                    "t": time,
                    "n_risk": point.n_risk,
                    "surv": point.survival,
                    "se_greenwood": point.se,
                    "lower": point.lower,
                    "upper": point.upper,
                }
                for time, point in points
            ],
            "median": curve.median,
            "median_lower": curve.median_interval.lower,
            "median_upper": curve.median_interval.upper,
            "followup_reverse_km": {"median": follow_up.median, **_limits(follow_up.median_interval)},
        }
        if tau is not None:
            mean = restricted_mean(times, events, tau, level)
            groups[str(name)]["rmst"] = {"rmst": mean.mean, "se": mean.se}
    computed: Computed = {"groups": groups}
    if len(names) > 1:
        labels = [str(name) for name in column]
        test = logrank_groups(inputs["time"], inputs["status"], labels, [str(name) for name in _sorted(names)])
        computed["logrank"] = {
            "chi2": test.chi2,
            "df": test.df,
            "p": test.p,
            "observed": list(test.observed),
            "expected": list(test.expected),
        }
    if len(names) == 2:
        first, second = (samples[name] for name in names)
        hazard = cox_two_groups(*first, *second, level)
        computed["cox_efron"] = {
            "log_hr": hazard.log_hazard_ratio,
            "hr": hazard.hazard_ratio,
            "se": hazard.se,
            **_limits(hazard.interval),
            "wald_p": hazard.wald_p,
            "lr_p": hazard.likelihood_ratio_p,
        }
    return computed


def _of_group(inputs: Inputs, kind: str, column: Sequence[Any], name: Any) -> tuple[list[float], list[int]]:
    """Times and codes of one group of those in `column`."""
    times, codes = _column(inputs, "time"), _column(inputs, kind)
    if not len(times) == len(codes) == len(column):
        raise ValueError(f"The columns time, {kind} and group must have the same length.")
    rows = [(time, code) for time, code, group in zip(times, codes, column, strict=True) if group == name]
    return [time for time, _ in rows], [code for _, code in rows]


def _times(inputs: Inputs) -> list[float]:
    """The times at which a curve is asked for; none is allowed."""
    times: list[float] = _optional(inputs, "times", [])
    if not isinstance(times, list) or any(
        isinstance(time, bool) or not isinstance(time, int | float) for time in times
    ):
        raise ValueError("The input 'times' must be a list of numbers.")
    return times


def _stratified_logrank(inputs: Inputs) -> Computed:
    column = _names(inputs, "group")
    order = [str(name) for name in _sorted(_distinct(column))]
    groups, strata = [str(name) for name in column], [str(name) for name in _names(inputs, "stratum")]
    test = logrank_groups(inputs["time"], inputs["status"], groups, order, strata)
    return {"chi2": test.chi2, "p": test.p}


def _cumulative_incidence(inputs: Inputs) -> Computed:
    column, level, cause = _names(inputs, "group"), _level(inputs), _optional(inputs, "cause", 1)
    names = _distinct(column)
    if not names:
        return dict(NOT_ESTIMABLE)
    groups: Computed = {}
    for name in names:
        curve = cumulative_incidence(*_of_group(inputs, "code", column, name), cause, level)
        points = [(time, curve.at(time)) for time in _times(inputs)]
        groups[str(name)] = {
            "at": [
                {
                    "t": time,
                    "cif": point.incidence,
                    "var_aalen": point.variance,
                    "lower_loglog": point.lower,
                    "upper_loglog": point.upper,
                }
                for time, point in points
            ]
        }
    computed: Computed = {"cause": cause, "groups": groups}
    if len(names) > 1:
        labels, order = [str(name) for name in column], [str(name) for name in names]
        causes = _sorted(_distinct([code for code in inputs["code"] if code != 0]))
        tests = [gray_test(inputs["time"], inputs["code"], labels, order, code) for code in causes]
        computed["gray"] = [
            {"cause": test.cause, "statistic": test.statistic, "p": test.p, "df": test.df} for test in tests
        ]
    return computed


def _sample_size_ni(inputs: Inputs) -> Computed:
    p1, p0, margin = inputs["p_test"], inputs["p_control"], inputs["margin"]
    alpha, power = inputs["alpha_one_sided"], inputs["power"]
    size = {method: noninferiority_size(p1, p0, margin, alpha, power, method) for method in PlanningVariance}
    computed: Computed = {f"n_per_arm_{method.value}": result.n_per_arm for method, result in size.items()}
    computed |= {f"raw_{method.value}": result.raw for method, result in size.items()}
    n = size[PlanningVariance.UNPOOLED].n_per_arm
    total = None if n.value is None else inflate_for_loss(int(n.value), _optional(inputs, "loss", 0.0))
    return computed | {
        "total_unpooled": n if total is None else 2 * total.n_per_arm,
        "total_inflated_divide": n if total is None else total.divide,
        "total_inflated_multiply": n if total is None else total.multiply,
    }


def _power_ni(inputs: Inputs) -> Computed:
    p1, p0, n = inputs["p_test"], inputs["p_control"], inputs["n_per_arm"]
    margin, alpha = inputs["margin"], inputs["alpha_one_sided"]
    exact = {test: exact_noninferiority_power(p1, p0, n, n, margin, alpha, test).power for test in ExactTest}
    return {
        **{
            f"power_{method.value}": noninferiority_power(p1, p0, n, margin, alpha, method).power
            for method in PlanningVariance
        },
        "exact_power_fm_test": exact[ExactTest.FARRINGTON_MANNING],
        "exact_power_mn_test": exact[ExactTest.MIETTINEN_NURMINEN],
        "exact_power_wald_test": exact[ExactTest.WALD],
    }


def _actual_size_ni(inputs: Inputs) -> Computed:
    power = _power_ni(inputs)
    return {name: power[f"exact_power_{name}_test"] for name in ("fm", "mn", "wald")}


def _two_proportions_fleiss(inputs: Inputs) -> Computed:
    result = two_proportion_size(inputs["p1"], inputs["p2"], inputs["alpha_two_sided"], inputs["power"])
    return {
        "raw": result.raw,
        "n_per_arm": result.n_per_arm,
        "raw_cc": result.raw_corrected,
        "n_per_arm_cc": result.n_per_arm_corrected,
        "r_power_prop_test": result.raw,
    }


def _two_means(inputs: Inputs) -> Computed:
    effect, alpha = inputs["effect_size"], inputs["alpha_two_sided"]
    return {
        "power_at_n": two_means_power(effect, inputs["n_per_arm"], alpha),
        "n_per_arm": two_means_size(effect, alpha, inputs["power_wanted"]).n_per_arm,
    }


def _single_arm(inputs: Inputs) -> Computed:
    result = single_arm_size(inputs["p0"], inputs["p1"], inputs["alpha_one_sided"], inputs["power"])
    return {
        "n_min": result.n,
        "r_min_successes": result.successes,
        "actual_alpha": result.actual_alpha,
        "actual_power": result.actual_power,
        "n_after_which_power_never_falls_below": result.n_stable,
        "normal": result.n_normal,
        "normal_cc": result.n_normal_corrected,
        "arcsine": result.n_arcsine,
    }


def _smd_continuous(inputs: Inputs) -> Computed:
    return {"smd": smd_continuous(inputs["mean1"], inputs["sd1"], inputs["mean2"], inputs["sd2"]).smd}


def _smd_binary(inputs: Inputs) -> Computed:
    return {"smd": smd_binary(inputs["x1"], inputs["n1"], inputs["x2"], inputs["n2"]).smd}


def _smd_categorical(inputs: Inputs) -> Computed:
    return {"smd": smd_categorical(inputs["counts1"], inputs["counts2"]).smd}


def _rubin_pooling(inputs: Inputs) -> Computed:
    n, k = inputs.get("n_complete"), _optional(inputs, "k", 1)
    # Without a size of the complete data its degrees of freedom are infinite, as in the R package mice.
    df_complete = math.inf if n is None else n - k
    result = rubin_pool(inputs["estimates"], inputs["variances"], df_complete, _level(inputs))
    return {
        "estimate": result.estimate,
        "within": result.within,
        "between": result.between,
        "total_var": result.total,
        "se": result.se,
        "df_barnard_rubin": result.df,
        "riv": result.relative_increase,
        "fmi": result.missing_information,
        **_limits(result.interval),
    }


def _tipping_point(inputs: Inputs) -> Computed:
    result = tipping_point(
        inputs["x_test"],
        inputs["n_test_observed"],
        inputs["missing_test"],
        inputs["x_control"],
        inputs["n_control_observed"],
        inputs["missing_control"],
        inputs["margin"],
        inputs["alpha"],
        NonInferiorityMethod.FARRINGTON_MANNING,
    )
    return {
        "p_grid": [list(row) for row in result.p],
        "n_noninferior_cells": result.n_noninferior,
        "worst_case_p": result.worst,
        "best_case_p": result.best,
        "all_missing_failure_p": result.all_failures,
    }


def _lan_demets(inputs: Inputs) -> Computed:
    shape = SpendingFunction(inputs["spending"])
    result = lan_demets_boundary(inputs["information"], shape, inputs["alpha_one_sided"])
    return {
        "z": list(result.z),
        "nominal_p_one_sided": list(result.nominal_p),
        "cumulative_alpha": list(result.cumulative_alpha),
    }


def _classical(inputs: Inputs) -> Computed:
    looks, alpha = inputs["looks"], inputs["alpha_one_sided"]
    return {f"{shape.value}_z": list(classical_boundary(looks, shape, alpha).z) for shape in ClassicalBoundary}


def _minimisation(inputs: Inputs) -> Computed:
    measure = ImbalanceMeasure(inputs["measure"])
    # Levels are the keys of the counts and therefore texts, also where the new patient has the number 1.
    patient = {factor: str(level) for factor, level in inputs["new_patient"].items()}
    result = minimisation_scores(inputs["counts"], patient, inputs["weights"], measure)
    return {"scores": result.scores, "preferred": result.preferred or "tie"}


def _blocks(inputs: Inputs) -> Computed:
    allocations = [str(name) for name in _names(inputs, "allocations")]
    labels = set(allocations)
    named = next((arms for arms in (("T", "C"), ("test", "control")) if labels <= set(arms)), tuple(_sorted(labels)))
    result = block_properties(allocations, _column(inputs, "block_sizes"), named)
    return {
        "each_block_balanced": result.each_block_balanced,
        "max_abs_imbalance": result.max_imbalance,
        "final_imbalance": result.final_imbalance,
    }


def _block_count(inputs: Inputs) -> Computed:
    return {"distinct_blocks": distinct_blocks(inputs["block_size"], inputs["arms"])}


METHODS: dict[str, Callable[[Inputs], Computed]] = {
    "proportion_ci": _proportion_ci,
    "risk_difference_ci": _risk_difference_ci,
    "noninferiority_test": _noninferiority_test,
    "noninferiority_exact_unconditional": _noninferiority_exact,
    "two_by_two": _two_by_two,
    "r_by_c": _r_by_c,
    "cochran_armitage": _cochran_armitage,
    "stratified_2x2": _stratified_2x2,
    "wilcoxon_rank_sum": _wilcoxon_rank_sum,
    "wilcoxon_signed_rank": _wilcoxon_signed_rank,
    "t_test": _t_test,
    "t_test_summary": _t_test_summary,
    "ancova": _ancova,
    "mmrm_unstructured": _mmrm_unstructured,
    "kaplan_meier": _kaplan_meier,
    "stratified_logrank": _stratified_logrank,
    "cumulative_incidence": _cumulative_incidence,
    "sample_size_ni_proportions": _sample_size_ni,
    "power_ni_proportions": _power_ni,
    "actual_size_ni": _actual_size_ni,
    "sample_size_two_proportions_fleiss": _two_proportions_fleiss,
    "sample_size_two_means": _two_means,
    "single_arm_exact_binomial": _single_arm,
    "smd_continuous": _smd_continuous,
    "smd_binary": _smd_binary,
    "smd_categorical": _smd_categorical,
    "rubin_pooling": _rubin_pooling,
    "tipping_point_binary": _tipping_point,
    "lan_demets_boundary": _lan_demets,
    "classical_boundary": _classical,
    "pocock_simon_minimisation": _minimisation,
    "permuted_blocks_properties": _blocks,
    "permuted_blocks_count": _block_count,
}
