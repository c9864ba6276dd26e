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

from spinetrial.stats.checks import Floats, check_binomial, check_fraction, check_margin
from spinetrial.stats.distributions import normal_sf
from spinetrial.stats.enumeration import MAX_OUTCOMES, outcome_probability, supremum
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

    Not estimable: an empty arm, a variance of zero, or (exact method) more than a million possible outcomes.
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
    z = _z(x1, n1, x0, n0, margin, method)
    if z is None:
        statistic = p = not_estimable(Reason.ZERO_VARIANCE)
    else:
        statistic = known(z)
        p = _exact_p(z, n1, n0, margin) if method is NonInferiorityMethod.EXACT_UNCONDITIONAL else known(normal_sf(z))
    difference = known(x1 / n1 - x0 / n0)
    return NonInferiorityTest(x1, n1, x0, n0, margin, method, convention, difference, restricted, statistic, p)


def score_table(n1: int, n0: int, margin: float) -> Floats:
    """Farrington-Manning z of every outcome: rows x1 = 0..n1, columns x0 = 0..n0 (n1, n0 > 0)."""
    x1 = np.arange(n1 + 1, dtype=np.float64)[:, None]
    x0 = np.arange(n0 + 1, dtype=np.float64)[None, :]
    return _standardised(x1 / n1 - x0 / n0 - margin, score_variance(x1, n1, x0, n0, np.asarray(margin)))


def wald_table(n1: int, n0: int, margin: float) -> Floats:
    """Wald z of every outcome, as `score_table`."""
    p1 = np.arange(n1 + 1, dtype=np.float64)[:, None] / n1
    p0 = np.arange(n0 + 1, dtype=np.float64)[None, :] / n0
    return _standardised(p1 - p0 - margin, p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)


def _standardised(distance: Floats, variance: Floats) -> Floats:
    """distance / sqrt(variance); without variance +inf, -inf or 0 by the sign of the distance.

    An enumeration must place such an outcome somewhere, and a program that divides by zero places it there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        z = distance / np.sqrt(variance)
    return np.asarray(np.where(np.isnan(z), 0.0, z))


def _z(x1: int, n1: int, x0: int, n0: int, margin: float, method: NonInferiorityMethod) -> float | None:
    p1, p0 = x1 / n1, x0 / n0
    if method is NonInferiorityMethod.WALD:
        variance = p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0
    else:
        counts = np.array(float(x1)), np.array(float(x0))
        variance = float(score_variance(counts[0], n1, counts[1], n0, np.array(margin)))
        if method is NonInferiorityMethod.MIETTINEN_NURMINEN:
            variance *= (n1 + n0) / (n1 + n0 - 1)
    # A rate of 1 - 1e-17 leaves a variance that is zero in all but the last bits.
    return (p1 - p0 - margin) / math.sqrt(variance) if variance > 1e-15 else None


@lru_cache(maxsize=256)
def _exact_p(z: float, n1: int, n0: int, margin: float) -> Estimate:
    if (n1 + 1) * (n0 + 1) > MAX_OUTCOMES:
        return not_estimable(Reason.TOO_LARGE)
    region = score_table(n1, n0, margin) >= z - SCORE_SLACK

    def tail(control: Floats) -> Floats:
        return outcome_probability(region, np.clip(control + margin, 0.0, 1.0), control)

    return known(supremum(tail, max(0.0, -margin), min(1.0, 1.0 - margin)))
