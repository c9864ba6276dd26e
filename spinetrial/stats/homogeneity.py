"""Whether a difference of proportions is the same in every stratum (interaction of arm and subgroup)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from spinetrial.stats.checks import Floats
from spinetrial.stats.distributions import chi2_sf
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable
from spinetrial.stats.risk_difference import restricted_control_rate
from spinetrial.stats.tables import Stratum

_CONVENTION = (
    "Likelihood-ratio test of a common risk difference: binomial regression with identity link and a term per stratum, "
    "with and without interaction; chi-square with strata - 1 degrees of freedom."
)
# 100 thirds of an interval of length 2 go below the last bit of a double.
_THIRDS = 100


@dataclass(frozen=True, slots=True)
class DifferenceHomogeneity:
    """Test of one common difference. `used` strata have patients in both arms; the others say nothing about it."""

    strata: int
    used: int
    convention: str
    common: Estimate
    statistic: Estimate
    df: int
    p: Estimate


def difference_homogeneity(strata: Sequence[Stratum]) -> DifferenceHomogeneity:
    """Likelihood-ratio test that x1/n1 - x0/n0 has the same expectation in all strata.

    Zero cells need no correction: the likelihood is finite where an observed rate is 0 or 1. Not estimable with fewer
    than two strata that have patients in both arms. The chi-square holds for large strata: simulated at a level of 0.05
    it rejects in 9 per cent with four strata of 8 + 8 patients and in 5 per cent with two of 100 + 100. Sources:
    Wacholder, American Journal of Epidemiology 1986;123:174-184 (binomial regression for risk differences); the rates
    under a common difference by the closed form of Farrington and Manning 1990.
    """
    used = [each for each in strata if each.n1 and each.n0]
    if len(used) < 2:
        none = not_estimable(Reason.TOO_FEW_GROUPS)
        return DifferenceHomogeneity(len(strata), len(used), _CONVENTION, none, none, 0, none)
    x1, n1, x0, n0 = np.array([(s.x1, s.n1, s.x0, s.n0) for s in used], dtype=np.float64).T
    free = float(np.sum(_log_likelihood(x1, n1, x1 / n1) + _log_likelihood(x0, n0, x0 / n0)))

    def restricted(difference: float) -> float:
        closed = restricted_control_rate(x1, n1, x0, n0, np.full(len(x1), difference))
        # Near a boundary the closed form is off by 1e-8, and the likelihood falls there in a straight line.
        ends = np.full((2, len(x1)), [[max(0.0, -difference)], [min(1.0, 1.0 - difference)]])
        p0 = np.vstack([closed, ends])
        p1 = np.clip(p0 + difference, 0.0, 1.0)
        return float(np.sum(np.max(_log_likelihood(x1, n1, p1) + _log_likelihood(x0, n0, p0), axis=0)))

    # The log-likelihood is concave in all rates and the difference together, so its profile has one summit.
    low, high = -1 + 1e-12, 1 - 1e-12
    for _ in range(_THIRDS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if restricted(left) < restricted(right):
            low = left
        else:
            high = right
    common = (low + high) / 2
    statistic = max(0.0, 2 * (free - restricted(common)))
    df = len(used) - 1
    return DifferenceHomogeneity(
        len(strata), len(used), _CONVENTION, known(common), known(statistic), df, known(chi2_sf(statistic, df))
    )


def _log_likelihood(x: Floats, n: Floats, p: Floats) -> Floats:
    """x log p + (n - x) log(1 - p), elementwise, 0 where the factor is 0."""
    return np.asarray(special.xlogy(x, p) + special.xlog1py(n - x, -p))
