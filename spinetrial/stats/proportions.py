"""One proportion and its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scipy import special

from spinetrial.stats.checks import check_binomial, check_fraction
from spinetrial.stats.distributions import z_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, clipped, interval, known, no_interval, not_estimable


class ProportionMethod(StrEnum):
    """Methods of a confidence interval for one proportion."""

    WILSON = "wilson"
    CLOPPER_PEARSON = "clopper_pearson"
    AGRESTI_COULL = "agresti_coull"
    JEFFREYS = "jeffreys"
    WALD = "wald"


_CONVENTION = {
    ProportionMethod.WILSON: "Score interval without continuity correction (Wilson 1927).",
    ProportionMethod.CLOPPER_PEARSON: "Exact equal-tailed interval (Clopper and Pearson 1934).",
    ProportionMethod.AGRESTI_COULL: "z^2/2 responders and non-responders added (Agresti and Coull 1998); cut to 0-1.",
    ProportionMethod.JEFFREYS: "Beta(1/2, 1/2) prior; lower limit 0 when x = 0, upper limit 1 when x = n "
    "(Brown, Cai and DasGupta 2001).",
    ProportionMethod.WALD: "Normal approximation; has no width at 0 of n and n of n; cut to 0-1.",
}


@dataclass(frozen=True, slots=True)
class ProportionCI:
    """A proportion x/n with its interval.

    `interval` is cut to 0-1; `unclipped` is what the formula gives (it differs for Wald and Agresti-Coull only).
    """

    x: int
    n: int
    level: float
    method: ProportionMethod
    convention: str
    estimate: Estimate
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


def proportion_ci(x: int, n: int, method: ProportionMethod, level: float = 0.95) -> ProportionCI:
    """Proportion of `x` in `n` with a two-sided interval at `level`.

    n = 0 is not estimable. Raises ValueError for negative counts, x > n or a level outside (0, 1).
    Source: Brown, Cai and DasGupta, Statistical Science 2001;16:101-133.
    """
    method = ProportionMethod(method)
    x, n = check_binomial(x, n)
    check_fraction("The confidence level", level)
    if n == 0:
        nothing = no_interval(Reason.NO_PATIENTS, level)
        estimate = not_estimable(Reason.NO_PATIENTS)
        return ProportionCI(x, n, level, method, _CONVENTION[method], estimate, nothing, nothing)
    lower, upper = _limits(x, n, method, level)
    unclipped = interval(lower, upper, level)
    return ProportionCI(x, n, level, method, _CONVENTION[method], known(x / n), clipped(unclipped, 0, 1), unclipped)


def wilson_limits(x: int, n: int, level: float, continuity: bool = False) -> tuple[float, float]:
    """Wilson's score limits for x of n (n > 0), with the continuity correction if asked for.

    Source: Newcombe, Statistics in Medicine 1998;17:857-872, methods 3 and 4 (limits 0 at x = 0 and 1 at x = n).
    """
    z, p = z_two_sided(level), x / n
    centre, denominator = 2 * x + z * z, 2 * (n + z * z)
    if continuity:
        below = z * z - 2 - 1 / n + 4 * p * (n * (1 - p) + 1)
        above = z * z + 2 - 1 / n + 4 * p * (n * (1 - p) - 1)
        lower = (centre - 1 - z * math.sqrt(max(below, 0.0))) / denominator
        upper = (centre + 1 + z * math.sqrt(max(above, 0.0))) / denominator
    else:
        half = z * math.sqrt(z * z + 4 * x * (1 - p))
        lower, upper = (centre - half) / denominator, (centre + half) / denominator
    return (0.0 if x == 0 else max(lower, 0.0)), (1.0 if x == n else min(upper, 1.0))


def clopper_pearson_limits(x: int, n: int, level: float) -> tuple[float, float]:
    """Exact limits for x of n (n > 0) from the beta distribution (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    lower = 0.0 if x == 0 else float(special.betaincinv(x, n - x + 1, tail))
    upper = 1.0 if x == n else float(special.betainccinv(x + 1, n - x, tail))
    return lower, upper


def _limits(x: int, n: int, method: ProportionMethod, level: float) -> tuple[float, float]:
    z, p = z_two_sided(level), x / n
    match method:
        case ProportionMethod.WILSON:
            return wilson_limits(x, n, level)
        case ProportionMethod.CLOPPER_PEARSON:
            return clopper_pearson_limits(x, n, level)
        case ProportionMethod.AGRESTI_COULL:
            shrunk, size = (x + z * z / 2) / (n + z * z), n + z * z
            half = z * math.sqrt(shrunk * (1 - shrunk) / size)
            return shrunk - half, shrunk + half
        case ProportionMethod.JEFFREYS:
            tail = (1 - level) / 2
            lower = 0.0 if x == 0 else float(special.betaincinv(x + 0.5, n - x + 0.5, tail))
            upper = 1.0 if x == n else float(special.betainccinv(x + 0.5, n - x + 0.5, tail))
            return lower, upper
        case ProportionMethod.WALD:
            half = z * math.sqrt(p * (1 - p) / n)
            return p - half, p + half
