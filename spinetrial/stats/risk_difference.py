"""Difference of two proportions, study arm (1) minus control arm (0), with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spinetrial.stats.checks import Floats, Ints, check_binomial, check_fraction, check_margin
from spinetrial.stats.distributions import z_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, clipped, interval, known, no_interval, not_estimable
from spinetrial.stats.proportions import wilson_limits


class DifferenceMethod(StrEnum):
    """Methods of a confidence interval for a difference of proportions.

    FARRINGTON_MANNING is the score interval without the factor N/(N-1), also known as Mee's.
    """

    MIETTINEN_NURMINEN = "miettinen_nurminen"
    FARRINGTON_MANNING = "farrington_manning"
    NEWCOMBE = "newcombe"
    NEWCOMBE_CC = "newcombe_cc"
    AGRESTI_CAFFO = "agresti_caffo"
    WALD = "wald"


_CONVENTION = {
    DifferenceMethod.MIETTINEN_NURMINEN: "Score interval, restricted maximum likelihood, variance times N/(N-1) "
    "(Miettinen and Nurminen 1985).",
    DifferenceMethod.FARRINGTON_MANNING: "Score interval, restricted maximum likelihood, no factor N/(N-1) "
    "(Mee 1984; Farrington and Manning 1990).",
    DifferenceMethod.NEWCOMBE: "Hybrid score interval from two Wilson intervals (Newcombe 1998, method 10).",
    DifferenceMethod.NEWCOMBE_CC: "Hybrid score interval with continuity correction (Newcombe 1998, method 11).",
    DifferenceMethod.AGRESTI_CAFFO: "One responder and one non-responder added per arm (Agresti and Caffo 2000); "
    "cut to -1 to 1.",
    DifferenceMethod.WALD: "Normal approximation with unpooled variance; has no width when both rates are 0 or 1; "
    "cut to -1 to 1.",
}

# 80 halvings of an interval of length 2 reach the last bit of a double.
_HALVINGS = 80


@dataclass(frozen=True, slots=True)
class RiskDifferenceCI:
    """x1/n1 - x0/n0 with its interval.

    `interval` is cut to -1 to 1; `unclipped` is what the formula gives. `se_wald` is the unpooled standard error.
    """

    x1: int
    n1: int
    x0: int
    n0: int
    level: float
    method: DifferenceMethod
    convention: str
    estimate: Estimate
    se_wald: Estimate
    interval: Interval
    unclipped: Interval

    @property
    def lower(self) -> Estimate:
        """Lower limit."""
        return self.interval.lower

    @property
    def upper(self) -> Estimate:
        """Upper limit."""
        return self.interval.upper


@dataclass(frozen=True, slots=True)
class RestrictedMLE:
    """Most likely pair of rates among those with p1 - p0 = `difference`."""

    difference: float
    p1: Estimate
    p0: Estimate


def risk_difference_ci(
    x1: int, n1: int, x0: int, n0: int, method: DifferenceMethod, level: float = 0.95
) -> RiskDifferenceCI:
    """Difference x1/n1 - x0/n0 with a two-sided interval at `level`.

    An empty arm is not estimable. Raises ValueError for negative counts, x > n or a level outside (0, 1).
    Sources: Newcombe, Statistics in Medicine 1998;17:873-890; Miettinen and Nurminen, ibid. 1985;4:213-226.
    """
    method = DifferenceMethod(method)
    x1, n1 = check_binomial(x1, n1, "study")
    x0, n0 = check_binomial(x0, n0, "control")
    check_fraction("The confidence level", level)
    convention = _CONVENTION[method]
    if n1 == 0 or n0 == 0:
        empty, nothing = not_estimable(Reason.EMPTY_ARM), no_interval(Reason.EMPTY_ARM, level)
        return RiskDifferenceCI(x1, n1, x0, n0, level, method, convention, empty, empty, nothing, nothing)
    p1, p0 = x1 / n1, x0 / n0
    se = math.sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
    lower, upper = _limits(x1, n1, x0, n0, method, level)
    unclipped = interval(lower, upper, level)
    cut = clipped(unclipped, -1, 1)
    return RiskDifferenceCI(x1, n1, x0, n0, level, method, convention, known(p1 - p0), known(se), cut, unclipped)


def score_limits(
    x1: Ints, n1: Ints, x0: Ints, n0: Ints, method: DifferenceMethod, level: float
) -> tuple[Floats, Floats]:
    """Lower and upper limit of a score interval for many tables at once (arrays of one length, no empty arm).

    The numbers of `risk_difference_ci`. Raises ValueError for a method that is no score interval or an empty arm.
    """
    method = DifferenceMethod(method)
    if method not in (DifferenceMethod.MIETTINEN_NURMINEN, DifferenceMethod.FARRINGTON_MANNING):
        raise ValueError(f"{method.value} is not a score interval.")
    if np.any(n1 <= 0) or np.any(n0 <= 0):
        raise ValueError("Every arm must have patients.")
    z = z_two_sided(level)
    a1, m1, a0, m0 = (np.asarray(part, dtype=np.float64) for part in (x1, n1, x0, n0))
    total = m1 + m0
    factor = total / (total - 1) if method is DifferenceMethod.MIETTINEN_NURMINEN else np.ones_like(total)
    return _lower_scores(a1, m1, a0, m0, z, factor), -_lower_scores(a0, m0, a1, m1, z, factor)


def restricted_mle(x1: int, n1: int, x0: int, n0: int, difference: float) -> RestrictedMLE:
    """Maximum likelihood rates under p1 - p0 = `difference` (-1 < difference < 1).

    Source: Farrington and Manning, Statistics in Medicine 1990;9:1447-1454 (closed form of the cubic).
    """
    x1, n1 = check_binomial(x1, n1, "study")
    x0, n0 = check_binomial(x0, n0, "control")
    check_margin(difference)
    if n1 == 0 or n0 == 0:
        empty = not_estimable(Reason.EMPTY_ARM)
        return RestrictedMLE(difference, empty, empty)
    p0 = float(restricted_control_rate(np.array(float(x1)), n1, np.array(float(x0)), n0, np.array(difference)))
    return RestrictedMLE(difference, known(p0 + difference), known(p0))


def restricted_control_rate(
    x1: Floats, n1: float | Floats, x0: Floats, n0: float | Floats, difference: Floats
) -> Floats:
    """Control rate of the restricted maximum likelihood, elementwise.

    Source: Farrington and Manning 1990, appendix, written for the control rate. The linear coefficient carries
    the control arm's *size* n0; the score test of a common Python library puts the responder count there and is
    wrong (statsmodels issue 10269). `x1`, `x0` may be real: at planning they are expected counts.
    """
    total, cases = n1 + n0, x1 + x0
    a = np.asarray(total, dtype=np.float64)
    b = (n1 + 2 * n0) * difference - total - cases
    c = (n0 * difference - total - 2 * x0) * difference + cases
    d = x0 * difference * (1 - difference)
    shift = b / (3 * a)
    v = shift**3 - b * c / (6 * a**2) + d / (2 * a)
    u = np.copysign(np.sqrt(np.maximum(shift**2 - c / (3 * a), 0.0)), v)
    # |v/u^3| <= 1 in exact arithmetic; u = 0 is a triple root at -shift, for which any angle will do.
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(u == 0, 1.0, np.clip(v / u**3, -1.0, 1.0))
    angle = (math.pi + np.arccos(cosine)) / 3
    root = 2 * u * np.cos(angle) - shift
    return np.clip(root, np.maximum(0.0, -difference), np.minimum(1.0, 1.0 - difference))


def score_variance(x1: Floats, n1: float | Floats, x0: Floats, n0: float | Floats, difference: Floats) -> Floats:
    """Variance of the observed difference at the restricted maximum likelihood, elementwise, without N/(N-1)."""
    p0 = restricted_control_rate(x1, n1, x0, n0, difference)
    p1 = np.clip(p0 + difference, 0.0, 1.0)
    return p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0


def size_factor(method: DifferenceMethod, n1: int, n0: int) -> float:
    """Factor on the score variance: N/(N-1) for Miettinen-Nurminen, 1 for Farrington-Manning."""
    return (n1 + n0) / (n1 + n0 - 1) if method is DifferenceMethod.MIETTINEN_NURMINEN else 1.0


def _limits(x1: int, n1: int, x0: int, n0: int, method: DifferenceMethod, level: float) -> tuple[float, float]:
    z, p1, p0 = z_two_sided(level), x1 / n1, x0 / n0
    match method:
        case DifferenceMethod.MIETTINEN_NURMINEN | DifferenceMethod.FARRINGTON_MANNING:
            factor = size_factor(method, n1, n0)
            # The upper limit is minus the lower limit with the arms exchanged.
            return _lower_score(x1, n1, x0, n0, z, factor), -_lower_score(x0, n0, x1, n1, z, factor)
        case DifferenceMethod.NEWCOMBE | DifferenceMethod.NEWCOMBE_CC:
            continuity = method is DifferenceMethod.NEWCOMBE_CC
            l1, u1 = wilson_limits(x1, n1, level, continuity)
            l0, u0 = wilson_limits(x0, n0, level, continuity)
            return p1 - p0 - math.hypot(p1 - l1, u0 - p0), p1 - p0 + math.hypot(u1 - p1, p0 - l0)
        case DifferenceMethod.AGRESTI_CAFFO:
            q1, q0 = (x1 + 1) / (n1 + 2), (x0 + 1) / (n0 + 2)
            half = z * math.sqrt(q1 * (1 - q1) / (n1 + 2) + q0 * (1 - q0) / (n0 + 2))
            return q1 - q0 - half, q1 - q0 + half
        case DifferenceMethod.WALD:
            half = z * math.sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
            return p1 - p0 - half, p1 - p0 + half


def _lower_scores(x1: Floats, n1: Floats, x0: Floats, n0: Floats, z: float, factor: Floats) -> Floats:
    """`_lower_score` elementwise."""
    observed = x1 / n1 - x0 / n0
    rejected, kept = np.full_like(observed, -1.0), observed.copy()
    for _ in range(_HALVINGS):
        middle = (rejected + kept) / 2
        above = observed - middle > z * np.sqrt(factor * score_variance(x1, n1, x0, n0, middle))
        rejected, kept = np.where(above, middle, rejected), np.where(above, kept, middle)
    return kept


def _lower_score(x1: int, n1: int, x0: int, n0: int, z: float, factor: float) -> float:
    """Smallest difference that the score test does not reject from above, by bisection."""
    observed = x1 / n1 - x0 / n0
    rejected, kept = -1.0, observed
    a1, a0 = np.array(float(x1)), np.array(float(x0))
    for _ in range(_HALVINGS):
        middle = (rejected + kept) / 2
        variance = factor * float(score_variance(a1, n1, a0, n0, np.array(middle)))
        if observed - middle > z * math.sqrt(variance):
            rejected = middle
        else:
            kept = middle
    return kept
