"""Time to one kind of event: Kaplan-Meier, log-rank, restricted mean, Cox hazard ratio.

Times are non-negative numbers in any one unit; an event indicator is 1 (event) or 0 (censored). At equal times
events come before censorings: whoever is censored at t is at risk at t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinetrial.stats.checks import Bools, Floats, Ints, check_fraction, finite_array
from spinetrial.stats.distributions import chi2_sf, normal_two_sided, z_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable

KM_CONVENTION = (
    "Kaplan-Meier with Greenwood variance and log-log interval; events before censorings at equal times; the interval "
    "is not defined where the curve is 0 or 1. Median: first time at or below one half; where the curve is exactly one "
    "half on a flat stretch, the middle of the stretch (as R and SAS do)."
)
LOGRANK_CONVENTION = "Log-rank with hypergeometric variance at tied times (Mantel), two-sided."
RMST_CONVENTION = "Area under the Kaplan-Meier curve up to tau, Greenwood-type standard error."
COX_CONVENTION = "Cox model with one binary term, Efron's handling of ties; group 1 against group 0."

# A product of fractions that is one half in exact arithmetic may miss it by some last bits.
_HALF_SLACK = 1e-9
_MAX_LOG_HAZARD_RATIO = 15.0


@dataclass(frozen=True, slots=True)
class SurvivalPoint:
    """The curve at one time.

    `n_risk` counts patients with time >= `time`; `n_events` and `n_censored` are those exactly at it.
    `beyond_follow_up` is true past the last observation of a curve that has not come down to 0: the value is the
    last one known and a picture must not draw it.
    """

    time: float
    n_risk: int
    n_events: int
    n_censored: int
    survival: Estimate
    se: Estimate
    lower: Estimate
    upper: Estimate
    beyond_follow_up: bool = False


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """A Kaplan-Meier curve: one step per distinct time, with the median and its interval."""

    n: int
    n_events: int
    level: float
    convention: str
    steps: tuple[SurvivalPoint, ...]
    median: Estimate
    median_interval: Interval

    def at(self, time: float) -> SurvivalPoint:
        """The curve at `time`."""
        before = [step for step in self.steps if step.time <= time]
        exact = before[-1] if before and before[-1].time == time else None
        n_risk = next((step.n_risk for step in self.steps if step.time >= time), 0)
        events, censored = (exact.n_events, exact.n_censored) if exact else (0, 0)
        if not self.steps:
            nothing = not_estimable(Reason.NO_PATIENTS)
            return SurvivalPoint(time, 0, 0, 0, nothing, nothing, nothing, nothing)
        if not before:
            limit = not_estimable(Reason.AT_BOUNDARY)
            return SurvivalPoint(time, n_risk, 0, 0, known(1), known(0), limit, limit)
        last = before[-1]
        beyond = time > self.steps[-1].time and (last.survival.value or 0) > 0
        return SurvivalPoint(
            time, n_risk, events, censored, last.survival, last.se, last.lower, last.upper, beyond_follow_up=beyond
        )


@dataclass(frozen=True, slots=True)
class RestrictedMean:
    """Mean time without the event up to `tau` (same unit as the times)."""

    n: int
    tau: float
    level: float
    convention: str
    mean: Estimate
    se: Estimate
    interval: Interval


@dataclass(frozen=True, slots=True)
class RestrictedMeanDifference:
    """Mean time without the event up to the tau of both groups, study (1) less control (0), with a Wald interval."""

    group0: RestrictedMean
    group1: RestrictedMean
    difference: Estimate
    se: Estimate
    interval: Interval
    p: Estimate


@dataclass(frozen=True, slots=True)
class LogRank:
    """Log-rank test of two or more groups; observed and expected events in the order of `groups`."""

    groups: tuple[str, ...]
    n: tuple[int, ...]
    observed: tuple[int, ...]
    expected: tuple[float, ...]
    n_strata: int
    convention: str
    chi2: Estimate
    df: int
    p: Estimate


@dataclass(frozen=True, slots=True)
class CoxTwoGroups:
    """Hazard ratio of group 1 against group 0 with Wald interval, Wald and likelihood-ratio p."""

    n0: int
    n1: int
    events0: int
    events1: int
    level: float
    convention: str
    log_hazard_ratio: Estimate
    se: Estimate
    hazard_ratio: Estimate
    interval: Interval
    wald_p: Estimate
    likelihood_ratio_p: Estimate


def kaplan_meier(times: Sequence[float], events: Sequence[int], level: float = 0.95) -> KaplanMeier:
    """Kaplan-Meier curve of patients with follow-up `times` and indicators `events` (1 event, 0 censored).

    No patients: every value not estimable. Raises ValueError for unequal lengths, negative or missing times, or an
    indicator other than 0 and 1. Sources: Kaplan and Meier 1958; Kalbfleisch and Prentice 1980 (log-log interval);
    Brookmeyer and Crowley 1982 (interval of the median, here on the log-log scale).
    """
    t, died = _follow_up(times, events)
    z = z_two_sided(level)
    steps: list[SurvivalPoint] = []
    survival, hazard_variance = 1.0, 0.0
    for time in np.unique(t):
        n_risk = int(np.sum(t >= time))
        n_events = int(np.sum(died[t == time]))
        n_censored = int(np.sum(t == time)) - n_events
        survival *= 1 - n_events / n_risk
        if n_events == n_risk:
            survival, hazard_variance = 0.0, math.inf
        else:
            hazard_variance += n_events / (n_risk * (n_risk - n_events))
        se, lower, upper = _log_log(survival, hazard_variance, z)
        steps.append(SurvivalPoint(float(time), n_risk, n_events, n_censored, known(survival), se, lower, upper))
    nothing = Reason.NO_PATIENTS if not steps else Reason.NOT_REACHED
    median = _time_to_half(steps, [step.survival for step in steps], nothing)
    median_interval = Interval(
        _time_to_half(steps, [step.lower for step in steps], nothing),
        _time_to_half(steps, [step.upper for step in steps], nothing),
        level,
    )
    return KaplanMeier(len(t), int(np.sum(died)), level, KM_CONVENTION, tuple(steps), median, median_interval)


def median_follow_up(times: Sequence[float], events: Sequence[int], level: float = 0.95) -> KaplanMeier:
    """Follow-up by the reverse Kaplan-Meier curve (censoring is the event; Schemper and Smith 1996)."""
    t, died = _follow_up(times, events)
    return kaplan_meier([float(time) for time in t], [0 if event else 1 for event in died], level)


def restricted_mean(times: Sequence[float], events: Sequence[int], tau: float, level: float = 0.95) -> RestrictedMean:
    """Restricted mean survival time up to `tau` > 0.

    Not estimable where `tau` lies beyond the last observation and the curve has not come down to 0.
    Source: Irwin 1949; Klein and Moeschberger, Survival Analysis, 2nd ed., section 4.5 (variance).
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"The horizon of a restricted mean must be positive, but is {tau}.")
    curve = kaplan_meier(times, events, level)
    if curve.n == 0 or curve.at(tau).beyond_follow_up:
        reason = Reason.NO_PATIENTS if curve.n == 0 else Reason.BEYOND_FOLLOW_UP
        nothing = not_estimable(reason)
        return RestrictedMean(curve.n, tau, level, RMST_CONVENTION, nothing, nothing, no_interval(reason, level))
    inside = [step for step in curve.steps if step.time < tau]
    starts = np.array([0.0] + [step.time for step in inside])
    heights = np.array([1.0] + [step.survival.value or 0.0 for step in inside])
    areas = heights * np.diff(np.append(starts, tau))
    mean, variance = float(np.sum(areas)), 0.0
    for position, step in enumerate(inside, start=1):
        remaining = float(np.sum(areas[position:]))
        if step.n_events and step.n_risk > step.n_events:
            variance += remaining**2 * step.n_events / (step.n_risk * (step.n_risk - step.n_events))
    se = math.sqrt(variance)
    half = z_two_sided(level) * se
    limits = interval(max(mean - half, 0.0), min(mean + half, tau), level)
    if se == 0:
        limits = no_interval(Reason.ZERO_VARIANCE, level)
    return RestrictedMean(curve.n, tau, level, RMST_CONVENTION, known(mean), known(se), limits)


def restricted_mean_difference(group0: RestrictedMean, group1: RestrictedMean) -> RestrictedMeanDifference:
    """Difference of two independent restricted means, normal approximation (Royston and Parmar 2013).

    Not estimable where a mean is not, or both variances are zero. Raises ValueError for different tau or levels.
    """
    if (group0.tau, group0.level) != (group1.tau, group1.level):
        raise ValueError("Restricted means are compared up to the same tau and at the same level.")
    level = group0.level
    missing = next((mean.mean.reason for mean in (group0, group1) if mean.mean.reason), None)
    if missing or group0.mean.value is None or group1.mean.value is None:
        reason = missing or Reason.NO_PATIENTS
        none = not_estimable(reason)
        return RestrictedMeanDifference(group0, group1, none, none, no_interval(reason, level), none)
    difference = group1.mean.value - group0.mean.value
    se = math.hypot(group0.se.value or 0.0, group1.se.value or 0.0)
    if se == 0:
        none, limits = not_estimable(Reason.ZERO_VARIANCE), no_interval(Reason.ZERO_VARIANCE, level)
        return RestrictedMeanDifference(group0, group1, known(difference), known(0), limits, none)
    half = z_two_sided(level) * se
    return RestrictedMeanDifference(
        group0,
        group1,
        known(difference),
        known(se),
        interval(difference - half, difference + half, level),
        known(normal_two_sided(difference / se)),
    )


def logrank(
    times0: Sequence[float], events0: Sequence[int], times1: Sequence[float], events1: Sequence[int]
) -> LogRank:
    """Two-sided log-rank test of control (0) against study (1); observed and expected in that order.

    Not estimable: an empty group, no events, or events only when one group is left.
    """
    groups = ["0"] * len(times0) + ["1"] * len(times1)
    return logrank_groups([*times0, *times1], [*events0, *events1], groups, ("0", "1"))


def logrank_groups(
    times: Sequence[float],
    events: Sequence[int],
    groups: Sequence[str],
    order: Sequence[str],
    strata: Sequence[str] | None = None,
) -> LogRank:
    """Log-rank test of the groups named in `order`, stratified where `strata` is given.

    Source: Mantel 1966; Peto and Peto 1972. `df` is the number of groups with expected events, less one.
    """
    t, died = _follow_up(times, events)
    if len(groups) != len(t) or (strata is not None and len(strata) != len(t)):
        raise ValueError("Times, events, groups and strata must have the same length.")
    if len(set(order)) != len(order) or set(groups) - set(order):
        raise ValueError("The order must name every group once.")
    index: Ints = np.array([list(order).index(group) for group in groups], dtype=np.int64)
    stratum = np.array(strata if strata is not None else [""] * len(t), dtype=object)
    levels = sorted(set(stratum.tolist()), key=str)
    observed, expected = np.zeros(len(order)), np.zeros(len(order))
    variance = np.zeros((len(order), len(order)))
    for level in levels:
        inside: Bools = np.asarray(stratum == level)
        seen, hoped, spread = _logrank_sums(t[inside], died[inside], index[inside], len(order))
        observed, expected, variance = observed + seen, expected + hoped, variance + spread
    sizes = tuple(int(np.sum(index == group)) for group in range(len(order)))
    chi2, df, reason = _score_chi2(observed - expected, variance, expected > 0)
    if sum(size > 0 for size in sizes) < 2:
        reason = Reason.TOO_FEW_GROUPS
    elif not np.any(died):
        reason = Reason.NO_EVENTS
    statistic = not_estimable(reason) if reason else known(chi2)
    return LogRank(
        groups=tuple(order),
        n=sizes,
        observed=tuple(int(value) for value in observed),
        expected=tuple(float(value) for value in expected),
        n_strata=len(levels),
        convention=LOGRANK_CONVENTION,
        chi2=statistic,
        df=df,
        p=not_estimable(reason) if reason else known(chi2_sf(chi2, df)),
    )


def cox_two_groups(
    times0: Sequence[float],
    events0: Sequence[int],
    times1: Sequence[float],
    events1: Sequence[int],
    level: float = 0.95,
) -> CoxTwoGroups:
    """Hazard ratio of group 1 against group 0 by partial likelihood, Newton's method to 1e-12.

    Not estimable: an empty group, a group without events, or a likelihood without a finite maximum.
    Source: Cox 1972; Efron, JASA 1977;72:557-565 (ties).
    """
    t0, died0 = _follow_up(times0, events0)
    t1, died1 = _follow_up(times1, events1)
    check_fraction("The confidence level", level)
    beta, information, gain, reason = _fit_cox(t0, died0, t1, died1)
    counts = (len(t0), len(t1), int(np.sum(died0)), int(np.sum(died1)))
    if reason:
        nothing = not_estimable(reason)
        none = no_interval(reason, level)
        return CoxTwoGroups(*counts, level, COX_CONVENTION, nothing, nothing, nothing, none, nothing, nothing)
    se = 1 / math.sqrt(information)
    half = z_two_sided(level) * se
    return CoxTwoGroups(
        *counts,
        level,
        COX_CONVENTION,
        known(beta),
        known(se),
        known(math.exp(beta)),
        interval(math.exp(beta - half), math.exp(beta + half), level),
        known(normal_two_sided(beta / se)),
        known(chi2_sf(2 * gain, 1)),
    )


def _follow_up(times: Sequence[float], events: Sequence[int]) -> tuple[Floats, Bools]:
    t = finite_array("Follow-up times", times)
    if len(t) != len(events):
        raise ValueError("Times and events must have the same length.")
    if np.any(t < 0):
        raise ValueError("A follow-up time must not be negative.")
    if any(event not in (0, 1) for event in events):
        raise ValueError("An event indicator must be 0 or 1.")
    return t, np.array([bool(event) for event in events], dtype=np.bool_)


def _log_log(survival: float, hazard_variance: float, z: float) -> tuple[Estimate, Estimate, Estimate]:
    """Greenwood standard error and log-log limits of a survival probability."""
    boundary = not_estimable(Reason.AT_BOUNDARY)
    if survival <= 0:
        return boundary, boundary, boundary
    se = known(survival * math.sqrt(hazard_variance))
    if survival >= 1:
        return se, boundary, boundary
    spread = z * math.sqrt(hazard_variance) / abs(math.log(survival))
    return se, known(survival ** math.exp(spread)), known(survival ** math.exp(-spread))


def _time_to_half(steps: Sequence[SurvivalPoint], curve: Sequence[Estimate], nothing: Reason) -> Estimate:
    """First time at which `curve` is at or below one half, or the middle of a flat stretch exactly there."""
    below = [
        (step.time, value.value)
        for step, value in zip(steps, curve, strict=True)
        if value.value is not None and value.value < 0.5 + _HALF_SLACK
    ]
    if not below:
        return not_estimable(nothing)
    start, height = below[0]
    if abs(height - 0.5) < _HALF_SLACK:
        end = next((time for time, value in below if value < height - _HALF_SLACK), start)
        return known((start + end) / 2)
    return known(start)


def _logrank_sums(t: Floats, died: Bools, index: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Observed and expected events per group and the variance matrix of their difference, in one stratum."""
    observed = np.bincount(index[died], minlength=k).astype(np.float64)
    expected, variance = np.zeros(k), np.zeros((k, k))
    for time in np.unique(t[died]):
        at_risk = np.bincount(index[t >= time], minlength=k).astype(np.float64)
        n, d = float(np.sum(at_risk)), float(np.sum(died & (t == time)))
        share = at_risk / n
        expected += d * share
        if n > 1:
            variance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    return observed, expected, variance


def _score_chi2(score: Floats, variance: Floats, used: Bools) -> tuple[float, int, Reason | None]:
    """Quadratic form of a score whose elements sum to zero, over the groups marked in `used`."""
    groups = np.flatnonzero(used)
    df = max(len(groups) - 1, 0)
    if df == 0:
        return 0.0, 0, Reason.ZERO_VARIANCE
    kept = groups[1:]
    matrix = variance[np.ix_(kept, kept)]
    if np.linalg.matrix_rank(matrix, tol=1e-10 * max(1.0, float(np.max(np.abs(matrix))))) < df:
        return 0.0, df, Reason.ZERO_VARIANCE
    return float(score[kept] @ np.linalg.solve(matrix, score[kept])), df, None


def _fit_cox(t0: Floats, died0: Bools, t1: Floats, died1: Bools) -> tuple[float, float, float, Reason | None]:
    """(log hazard ratio, information, gain in log likelihood over 0, reason for failure)."""
    if not len(t0) or not len(t1):
        return 0.0, 0.0, 0.0, Reason.EMPTY_ARM
    if not np.any(died0) and not np.any(died1):
        return 0.0, 0.0, 0.0, Reason.NO_EVENTS
    if not np.any(died0) or not np.any(died1):
        return 0.0, 0.0, 0.0, Reason.NO_EVENTS_IN_ONE_ARM
    # One row per Efron term: how much of each group is in the risk set of that term.
    weight0, weight1 = [], []
    for time in np.unique(np.concatenate([t0[died0], t1[died1]])):
        d0, d1 = int(np.sum(died0 & (t0 == time))), int(np.sum(died1 & (t1 == time)))
        for place in range(d0 + d1):
            removed = place / (d0 + d1)
            weight0.append(float(np.sum(t0 >= time)) - removed * d0)
            weight1.append(float(np.sum(t1 >= time)) - removed * d1)
    a, b, total1 = np.array(weight0), np.array(weight1), float(np.sum(died1))

    def log_likelihood(value: float) -> float:
        return value * total1 - float(np.sum(np.log(a + b * math.exp(value))))

    beta = 0.0
    for _ in range(100):
        share = b * math.exp(beta) / (a + b * math.exp(beta))
        score, information = total1 - float(np.sum(share)), float(np.sum(share * (1 - share)))
        if information <= 1e-12:
            return 0.0, 0.0, 0.0, Reason.NO_INTERIOR_MAXIMUM
        step = max(-1.0, min(1.0, score / information))
        beta += step
        if abs(beta) > _MAX_LOG_HAZARD_RATIO:
            return 0.0, 0.0, 0.0, Reason.NO_INTERIOR_MAXIMUM
        if abs(step) < 1e-12:
            return beta, information, log_likelihood(beta) - log_likelihood(0.0), None
    return 0.0, 0.0, 0.0, Reason.NOT_CONVERGED
