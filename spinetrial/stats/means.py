"""Comparison of means: t tests and analysis of covariance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spinetrial.stats.checks import check_count, check_fraction, finite_array
from spinetrial.stats.distributions import t_quantile, t_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable


class TTestMethod(StrEnum):
    """Variance assumption of a two-sample t test."""

    WELCH = "welch"
    POOLED = "pooled"


_T_CONVENTION = {
    TTestMethod.WELCH: "Welch's t test, Satterthwaite degrees of freedom, two-sided.",
    TTestMethod.POOLED: "Student's t test with pooled variance, two-sided.",
}


@dataclass(frozen=True, slots=True)
class TTest:
    """Two-sided t test of mean 1 minus mean 2 with its interval."""

    mean1: Estimate
    sd1: Estimate
    n1: int
    mean2: Estimate
    sd2: Estimate
    n2: int
    level: float
    method: TTestMethod
    convention: str
    difference: Estimate
    se: Estimate
    t: Estimate
    df: Estimate
    p: Estimate
    interval: Interval


def t_test(x: Sequence[float], y: Sequence[float], method: TTestMethod, level: float = 0.95) -> TTest:
    """t test of the means of x and y from the single values. Not estimable as in `t_test_summary`."""
    a, b = finite_array("x", x), finite_array("y", y)

    def moments(values: Sequence[float]) -> tuple[float | None, float | None]:
        mean = float(np.mean(values)) if len(values) else None
        # Equal values may have a standard deviation of 1e-17 in binary arithmetic.
        spread = 0.0 if len(set(values)) == 1 else float(np.std(values, ddof=1)) if len(values) > 1 else None
        return mean, spread if len(values) > 1 else None

    return _t_test(*moments(a.tolist()), len(a), *moments(b.tolist()), len(b), method, level)


def t_test_summary(
    mean1: float, sd1: float, n1: int, mean2: float, sd2: float, n2: int, method: TTestMethod, level: float = 0.95
) -> TTest:
    """t test from means, standard deviations and sample sizes.

    Not estimable: an arm with fewer than two patients, or no variance in either arm. Raises ValueError for a negative
    standard deviation or size. Source: Welch, Biometrika 1947;34:28-35.
    """
    finite_array("Means and standard deviations", [mean1, sd1, mean2, sd2])
    if sd1 < 0 or sd2 < 0:
        raise ValueError("A standard deviation must not be negative.")
    n1, n2 = check_count("The number of patients", n1), check_count("The number of patients", n2)
    return _t_test(mean1, sd1, n1, mean2, sd2, n2, method, level)


def _t_test(
    mean1: float | None,
    sd1: float | None,
    n1: int,
    mean2: float | None,
    sd2: float | None,
    n2: int,
    method: TTestMethod,
    level: float,
) -> TTest:
    method = TTestMethod(method)
    check_fraction("The confidence level", level)

    def moment(value: float | None, n: int, least: int, reason: Reason) -> Estimate:
        return known(value) if value is not None and n >= least else not_estimable(reason)

    echo = (
        moment(mean1, n1, 1, Reason.NO_PATIENTS),
        moment(sd1, n1, 2, Reason.NO_STANDARD_DEVIATION),
        n1,
        moment(mean2, n2, 1, Reason.NO_PATIENTS),
        moment(sd2, n2, 2, Reason.NO_STANDARD_DEVIATION),
        n2,
        level,
        method,
        _T_CONVENTION[method],
    )
    if mean1 is None or mean2 is None or n1 == 0 or n2 == 0:
        none = not_estimable(Reason.EMPTY_ARM)
        return TTest(*echo, none, none, none, none, none, no_interval(Reason.EMPTY_ARM, level))
    difference = mean1 - mean2
    reason = None
    if sd1 is None or sd2 is None or n1 < 2 or n2 < 2:
        reason = Reason.NO_STANDARD_DEVIATION
    elif sd1 == 0 and sd2 == 0:
        reason = Reason.ZERO_VARIANCE
    if reason or sd1 is None or sd2 is None:
        none = not_estimable(reason or Reason.NO_STANDARD_DEVIATION)
        limits = no_interval(reason or Reason.NO_STANDARD_DEVIATION, level)
        return TTest(*echo, known(difference), none, none, none, none, limits)
    if method is TTestMethod.WELCH:
        v1, v2 = sd1**2 / n1, sd2**2 / n2
        se = math.sqrt(v1 + v2)
        df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    else:
        df = float(n1 + n2 - 2)
        se = math.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / df * (1 / n1 + 1 / n2))
    t, half = difference / se, t_quantile(level, df) * se
    limits = interval(difference - half, difference + half, level)
    return TTest(*echo, known(difference), known(se), known(t), known(df), known(t_two_sided(t, df)), limits)


@dataclass(frozen=True, slots=True)
class Ancova:
    """Difference study - control adjusted for the baseline value, with adjusted means.

    `n_left_out` counts patients without baseline, outcome or site.
    """

    n_study: int
    n_control: int
    n_left_out: int
    level: float
    convention: str
    difference: Estimate
    se: Estimate
    t: Estimate
    df: int
    p: Estimate
    interval: Interval
    mean_study: Estimate
    mean_control: Estimate
    residual_sd: Estimate


def ancova(
    study: Sequence[bool],
    baseline: Sequence[float | None],
    post: Sequence[float | None],
    sites: Sequence[str | None] | None = None,
    level: float = 0.95,
) -> Ancova:
    """Least squares fit of post on arm, baseline and (where given) site.

    Adjusted means are at the mean baseline, with equal weight for each site. Patients without baseline, outcome or
    (where sites are given) site are left out. Not estimable: an empty arm, no residual degrees of freedom, terms that
    cannot be told apart.
    Source: ICH E9; Searle, Speed and Milliken 1980 (population marginal means).
    """
    check_fraction("The confidence level", level)
    where: list[str | None] = list(sites) if sites is not None else [""] * len(study)
    if not len(study) == len(baseline) == len(post) == len(where):
        raise ValueError("Arm, baseline, outcome and site must have the same length.")
    convention = "Least squares, common slope; adjusted means at the mean baseline, sites equally weighted."
    rows = [
        (bool(s), float(b), float(p), w)
        for s, b, p, w in zip(study, baseline, post, where, strict=True)
        if b is not None and p is not None and w is not None
    ]
    arm = np.array([row[0] for row in rows], dtype=float)
    before = finite_array("Baseline values", [row[1] for row in rows])
    after = finite_array("Outcomes", [row[2] for row in rows])
    levels = sorted({row[3] for row in rows})
    n, n_study = len(rows), int(np.sum(arm))
    dummies = [np.array([row[3] == name for row in rows], dtype=float) for name in levels[1:]]
    df = n - 3 - len(dummies)
    counts = (n_study, n - n_study, len(study) - n, level, convention)
    design = np.column_stack([np.ones(n), arm, before, *dummies]) if n else np.zeros((0, 3))
    reason = None
    if n_study == 0 or n_study == n:
        reason = Reason.EMPTY_ARM
    elif df < 1:
        reason = Reason.NO_RESIDUAL_DF
    elif np.linalg.matrix_rank(design) < design.shape[1]:
        reason = Reason.SINGULAR_DESIGN
    if reason:
        none = not_estimable(reason)
        nothing = no_interval(reason, level)
        return Ancova(*counts, none, none, none, max(df, 0), none, nothing, none, none, none)
    q, r = np.linalg.qr(design)
    beta = np.linalg.solve(r, q.T @ after)
    residual_sd = math.sqrt(float(np.sum((after - design @ beta) ** 2)) / df)
    inverse = np.linalg.inv(r)
    se = residual_sd * float(np.linalg.norm(inverse[1]))
    centre = np.array([1.0, 0.0, float(np.mean(before)), *[1 / len(levels)] * len(dummies)])
    control, difference = float(centre @ beta), float(beta[1])
    means = known(control + difference), known(control), known(residual_sd)
    if residual_sd < 1e-12 * max(1.0, float(np.max(np.abs(after)))):
        none, nothing = not_estimable(Reason.ZERO_VARIANCE), no_interval(Reason.ZERO_VARIANCE, level)
        return Ancova(*counts, known(difference), none, none, df, none, nothing, *means)
    t, half = difference / se, t_quantile(level, df) * se
    limits = interval(difference - half, difference + half, level)
    return Ancova(*counts, known(difference), known(se), known(t), df, known(t_two_sided(t, df)), limits, *means)
