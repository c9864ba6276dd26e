"""Exact binomial probabilities for two independent arms, and the supremum over a nuisance rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from spinetrial.stats.checks import Bools, Floats, Ints

# Above these limits (2,000 patients per arm) exact enumeration is refused rather than slow: some 10 s for the six
# suprema of a 2x2 table. The second one is for tables with one very large row.
_MAX_OUTCOMES = 2_001**2
_MAX_ROW = 5_000
_GRID = 1000
_STARTS = 5
_REFINEMENTS = 12


def too_many_outcomes(n1: int, n0: int) -> bool:
    """True where the outcomes (x1, x0) are too many for a supremum over a nuisance rate."""
    return (n1 + 1) * (n0 + 1) > _MAX_OUTCOMES or max(n1, n0) > _MAX_ROW


def log_choose(n: int, k: Ints) -> Floats:
    """log of n over k."""
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1), dtype=np.float64)


def binomial_pmf(n: int, rates: Floats) -> Floats:
    """Probabilities of 0..n successes: one row per rate."""
    k = np.arange(n + 1)
    p = np.atleast_1d(rates)[:, None]
    return np.asarray(np.exp(log_choose(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p)), dtype=np.float64)


def outcome_probability(region: Bools, rates1: Floats, rates0: Floats) -> Floats:
    """Probability that (x1, x0) falls into `region` (rows x1, columns x0), one value per pair of rates."""
    n1, n0 = region.shape[0] - 1, region.shape[1] - 1
    rows = binomial_pmf(n1, rates1) @ region.astype(np.float64)
    return np.asarray(np.sum(rows * binomial_pmf(n0, rates0), axis=1))


def supremum(probability: Callable[[Floats], Floats], low: float, high: float) -> float:
    """Largest value of `probability` over [low, high].

    A grid of 1,001 points, then the neighbourhood of each of the five best grid points again, narrower each time: the
    function has several local maxima, so a single descent may stop at the wrong one.
    """
    grid = np.linspace(low, high, _GRID + 1)
    values = probability(grid)
    best = float(np.max(values))
    centres, width = grid[np.argsort(values)[-_STARTS:]], (high - low) / _GRID
    steps = np.linspace(-1.0, 1.0, 21)
    for _ in range(_REFINEMENTS):
        points = np.clip(centres[:, None] + width * steps[None, :], low, high)
        found = probability(points.ravel()).reshape(points.shape)
        centres, width = points[np.arange(len(points)), np.argmax(found, axis=1)], width / 5
        best = max(best, float(np.max(found)))
    return min(best, 1.0)
