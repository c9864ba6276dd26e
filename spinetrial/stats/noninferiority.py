"""Non-inferiority of a response rate: study arm (1) minus control arm (0) against a margin.

Higher rates are better. The margin is the difference on the edge of the null hypothesis, negative for
non-inferiority (-0.15: up to 15 points worse is acceptable).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy import special

from spinetrial.stats.checks import Floats, Ints, check_binomial, check_fraction, check_margin
from spinetrial.stats.distributions import normal_sf
from spinetrial.stats.enumeration import outcome_probability, supremum, too_many_outcomes
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable
from spinetrial.stats.risk_difference import RestrictedMLE, restricted_mle, score_variance


class NonInferiorityMethod(StrEnum):
    """One-sided tests of H0: p1 - p0 <= margin."""

    MIETTINEN_NURMINEN = "miettinen_nurminen"
    FARRINGTON_MANNING = "farrington_manning"
    WALD = "wald"
    EXACT_UNCONDITIONAL = "exact_unconditional"


_CONVENTION = {
    NonInferiorityMethod.MIETTINEN_NURMINEN: "Score test, restricted maximum likelihood at the margin, variance times "
    "N/(N-1); agrees with the Miettinen-Nurminen interval.",
    NonInferiorityMethod.FARRINGTON_MANNING: "Score test, restricted maximum likelihood at the margin "
    "(Farrington and Manning 1990).",
    NonInferiorityMethod.WALD: "Unpooled variance; not estimable when both observed rates are 0 or 1.",
    NonInferiorityMethod.EXACT_UNCONDITIONAL: "Outcomes ordered by the Farrington-Manning score, largest p over the "
    "control rate on the margin (Chan 1998).",
}

# Scores of outcomes that are equal in exact arithmetic may differ in the last bits.
SCORE_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class NonInferiorityTest:
    """One-sided test that p1 - p0 exceeds `margin`.

    `restricted` holds the rates on the margin (not used by the Wald test). `claimed(alpha)` is the decision.
    """

    x1: int
    n1: int
    x0: int
    n0: int
    margin: float
    method: NonInferiorityMethod
    convention: str
    difference: Estimate
    restricted: RestrictedMLE
    z: Estimate
    p: Estimate

    def claimed(self, alpha: float) -> bool | None:
        """True where p <= `alpha` (one-sided), None where the test is not estimable."""
        check_fraction("The one-sided alpha", alpha)
        return None if self.p.value is None else self.p.value <= alpha


def noninferiority_test(
    x1: int, n1: int, x0: int, n0: int, margin: float, method: NonInferiorityMethod
) -> NonInferiorityTest:
    """One-sided p-value of H0: p1 - p0 <= `margin` for x1 of n1 (study) against x0 of n0 (control).

    Not estimable: an empty arm, a variance of zero, or (exact method) more than 2,000 patients per arm.
    Raises ValueError for negative counts, x > n or a margin outside (-1, 1).
    Sources: Farrington and Manning, Statistics in Medicine 1990;9:1447-1454; Miettinen and Nurminen, ibid.
    1985;4:213-226; Chan, ibid. 1998;17:1403-1413.
    """
    method = NonInferiorityMethod(method)
    x1, n1 = check_binomial(x1, n1, "study")
    x0, n0 = check_binomial(x0, n0, "control")
    check_margin(margin)
    restricted = restricted_mle(x1, n1, x0, n0, margin)
    convention = _CONVENTION[method]
    if n1 == 0 or n0 == 0:
        empty = not_estimable(Reason.EMPTY_ARM)
        return NonInferiorityTest(x1, n1, x0, n0, margin, method, convention, empty, restricted, empty, empty)
    z = float(_z(np.asarray(float(x1)), n1, np.asarray(float(x0)), n0, margin, method))
    if math.isnan(z):
        statistic = p = not_estimable(Reason.ZERO_VARIANCE)
    else:
        statistic = known(z)
        p = _exact_p(z, n1, n0, margin) if method is NonInferiorityMethod.EXACT_UNCONDITIONAL else known(normal_sf(z))
    difference = known(x1 / n1 - x0 / n0)
    return NonInferiorityTest(x1, n1, x0, n0, margin, method, convention, difference, restricted, statistic, p)


def score_table(n1: int, n0: int, margin: float, counts1: Ints | None = None, counts0: Ints | None = None) -> Floats:
    """Farrington-Manning z of every outcome: rows x1 = 0..n1, columns x0 = 0..n0 (n1, n0 > 0).

    With `counts1` and `counts0` only the rows and columns of these counts.
    """
    x1, x0 = _outcomes(n1, counts1)[:, None], _outcomes(n0, counts0)[None, :]
    return _standardised(x1 / n1 - x0 / n0 - margin, score_variance(x1, n1, x0, n0, np.asarray(margin)))


def wald_table(n1: int, n0: int, margin: float, counts1: Ints | None = None, counts0: Ints | None = None) -> Floats:
    """Wald z of every outcome, as `score_table`."""
    p1, p0 = _outcomes(n1, counts1)[:, None] / n1, _outcomes(n0, counts0)[None, :] / n0
    return _standardised(p1 - p0 - margin, p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)


def _outcomes(n: int, counts: Ints | None) -> Floats:
    return np.arange(n + 1, dtype=np.float64) if counts is None else counts.astype(np.float64)


def _standardised(distance: Floats, variance: Floats) -> Floats:
    """distance / sqrt(variance); without variance +inf, -inf or 0 by the sign of the distance.

    An enumeration must place such an outcome somewhere, and a program that divides by zero places it there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        z = distance / np.sqrt(variance)
    return np.asarray(np.where(np.isnan(z), 0.0, z))


def noninferiority_grid(
    x1: Ints, n1: int, x0: Ints, n0: int, margin: float, method: NonInferiorityMethod
) -> tuple[tuple[Estimate, ...], ...]:
    """p of `noninferiority_test` for every pair of counts: rows `x1` of n1 patients, columns `x0` of n0.

    Thousands of tests at once, for the tipping point. Raises ValueError for the exact method, which has no such form.
    """
    method = NonInferiorityMethod(method)
    check_margin(margin)
    if method is NonInferiorityMethod.EXACT_UNCONDITIONAL:
        raise ValueError("The exact test is not computed over a grid.")
    if n1 == 0 or n0 == 0:
        return tuple(tuple(not_estimable(Reason.EMPTY_ARM) for _ in x0) for _ in x1)
    z = _z(x1[:, None].astype(np.float64), n1, x0[None, :].astype(np.float64), n0, margin, method)
    none = not_estimable(Reason.ZERO_VARIANCE)
    p = special.ndtr(-z).tolist()
    return tuple(tuple(none if math.isnan(value) else known(value) for value in row) for row in p)


def _z(x1: Floats, n1: int, x0: Floats, n0: int, margin: float, method: NonInferiorityMethod) -> Floats:
    """The statistic, elementwise; NaN where there is no variance."""
    p1, p0 = x1 / n1, x0 / n0
    if method is NonInferiorityMethod.WALD:
        variance = p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0
    else:
        variance = score_variance(x1, n1, x0, n0, np.asarray(margin))
        if method is NonInferiorityMethod.MIETTINEN_NURMINEN:
            variance = variance * ((n1 + n0) / (n1 + n0 - 1))
    # A rate of 1 - 1e-17 leaves a variance that is zero in all but the last bits.
    return np.asarray((p1 - p0 - margin) / np.sqrt(np.where(variance > 1e-15, variance, np.nan)))


@lru_cache(maxsize=256)
def _exact_p(z: float, n1: int, n0: int, margin: float) -> Estimate:
    if too_many_outcomes(n1, n0):
        return not_estimable(Reason.TOO_LARGE)
    region = score_table(n1, n0, margin) >= z - SCORE_SLACK

    def tail(control: Floats) -> Floats:
        return outcome_probability(region, np.clip(control + margin, 0.0, 1.0), control)

    return known(supremum(tail, max(0.0, -margin), min(1.0, 1.0 - margin)))
