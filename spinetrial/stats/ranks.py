"""Rank tests and Hodges-Lehmann estimates.

Pain scores always tie, so the caller says what is done about ties: `PERMUTATION_MIDRANKS` is exact with ties,
`EXACT_NO_TIES` refuses them, the two asymptotic methods correct the variance for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from spinetrial.stats.checks import Floats, Ints, finite_array
from spinetrial.stats.distributions import normal_two_sided, z_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable

# Additions in an exact null distribution: about 2 s, reached at some 170 patients per arm with ties, 200 without.
_MAX_WORK = 1_000_000_000
# Differences that tie in decimals (0.3 - 0.2 and 0.2 - 0.1) must tie in binary too.
_DECIMALS = 12


class RankSumMethod(StrEnum):
    """How the p-value of the rank-sum test is found."""

    EXACT_NO_TIES = "exact_no_ties"
    PERMUTATION_MIDRANKS = "permutation_midranks"
    ASYMPTOTIC_CC = "asymptotic_cc"
    ASYMPTOTIC = "asymptotic"


class ShiftMethod(StrEnum):
    """How the order statistics of the Hodges-Lehmann interval are chosen."""

    MOSES_EXACT = "moses_exact"
    MOSES_ASYMPTOTIC = "moses_asymptotic"


_RANK_SUM_CONVENTION = {
    RankSumMethod.EXACT_NO_TIES: "Rank-sum test, exact null distribution without ties, two-sided by doubling.",
    RankSumMethod.PERMUTATION_MIDRANKS: "Rank-sum test, exact permutation distribution of the midranks; two-sided: "
    "rank sums at least as far from their mean.",
    RankSumMethod.ASYMPTOTIC_CC: "Rank-sum test, normal approximation, variance corrected for ties, continuity "
    "correction 0.5.",
    RankSumMethod.ASYMPTOTIC: "Rank-sum test, normal approximation, variance corrected for ties, no continuity "
    "correction.",
}
_SHIFT_CONVENTION = {
    ShiftMethod.MOSES_EXACT: "Hodges-Lehmann: median of all differences; limits are the k-th smallest and k-th largest "
    "difference, k the alpha/2 quantile of the exact U distribution.",
    ShiftMethod.MOSES_ASYMPTOTIC: "Hodges-Lehmann: median of all differences; limits are the k-th smallest and k-th "
    "largest difference, k by normal approximation rounded down.",
}


@dataclass(frozen=True, slots=True)
class RankSumTest:
    """Two-sided rank-sum (Wilcoxon, Mann-Whitney) test; `u` counts pairs x > y plus half of ties."""

    n_x: int
    n_y: int
    method: RankSumMethod
    convention: str
    u: Estimate
    ties: bool
    variance: Estimate
    p: Estimate


@dataclass(frozen=True, slots=True)
class HodgesLehmann:
    """Shift x - y with its order-statistic interval; `coverage` is the exact one without ties."""

    n_x: int
    n_y: int
    level: float
    method: ShiftMethod
    convention: str
    shift: Estimate
    k: Estimate
    interval: Interval
    coverage: Estimate


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Exact signed-rank test of after - before with the median of Walsh averages and its interval."""

    n_pairs: int
    n_nonzero: int
    level: float
    convention: str
    v: Estimate
    p: Estimate
    shift: Estimate
    interval: Interval


def rank_sum(x: Sequence[float], y: Sequence[float], method: RankSumMethod) -> RankSumTest:
    """Two-sided rank-sum test of x against y.

    Not estimable: an empty sample, ties under EXACT_NO_TIES, all values equal under the normal approximation, a
    sample too large to enumerate. Sources: Hollander and Wolfe, Nonparametric Statistical Methods, section 4.1;
    Streitberg and Roehmel 1986 (permutation distribution).
    """
    method = RankSumMethod(method)
    a, b = np.round(finite_array("x", x), _DECIMALS), np.round(finite_array("y", y), _DECIMALS)
    convention = _RANK_SUM_CONVENTION[method]
    if not len(a) or not len(b):
        empty = not_estimable(Reason.EMPTY_ARM)
        return RankSumTest(len(a), len(b), method, convention, empty, False, empty, empty)
    doubled = doubled_midranks(np.concatenate([a, b]))
    n_x, n_y, n = len(a), len(b), len(a) + len(b)
    u = float(np.sum(doubled[:n_x])) / 2 - n_x * (n_x + 1) / 2
    _, counts = np.unique(doubled, return_counts=True)
    ties = bool(np.any(counts > 1))
    tied = float(np.sum(counts.astype(float) ** 3 - counts))
    variance = n_x * n_y / 12 * (n + 1 - tied / (n * (n - 1)))
    match method:
        case RankSumMethod.EXACT_NO_TIES:
            p = not_estimable(Reason.HAS_TIES) if ties else _permutation_p(doubled, n_x)
        case RankSumMethod.PERMUTATION_MIDRANKS:
            p = _permutation_p(doubled, n_x)
        case RankSumMethod.ASYMPTOTIC_CC | RankSumMethod.ASYMPTOTIC:
            correction = 0.5 if method is RankSumMethod.ASYMPTOTIC_CC else 0.0
            distance = max(abs(u - n_x * n_y / 2) - correction, 0.0)
            if variance > 0:
                p = known(normal_two_sided(distance / math.sqrt(variance)))
            else:
                p = not_estimable(Reason.ZERO_VARIANCE)
    return RankSumTest(n_x, n_y, method, convention, known(u), ties, known(max(variance, 0.0)), p)


def hodges_lehmann(x: Sequence[float], y: Sequence[float], method: ShiftMethod, level: float = 0.95) -> HodgesLehmann:
    """Median of all differences x - y with the interval of Moses.

    The interval does not exist for very small samples (k < 1). Source: Hollander and Wolfe, sections 4.2 and 4.3.
    """
    method = ShiftMethod(method)
    a, b = finite_array("x", x), finite_array("y", y)
    z = z_two_sided(level)
    convention = _SHIFT_CONVENTION[method]
    if not len(a) or not len(b):
        empty, nothing = not_estimable(Reason.EMPTY_ARM), no_interval(Reason.EMPTY_ARM, level)
        return HodgesLehmann(len(a), len(b), level, method, convention, empty, empty, nothing, empty)
    differences = np.sort(np.round(a[:, None] - b[None, :], _DECIMALS).ravel())
    n_x, n_y, pairs = len(a), len(b), len(a) * len(b)
    tails = _u_distribution(n_x, n_y)
    if method is ShiftMethod.MOSES_EXACT:
        k = None if tails is None else _quantile(tails, (1 - level) / 2)
    else:
        k = math.floor(pairs / 2 - z * math.sqrt(pairs * (n_x + n_y + 1) / 12))
    shift = known(float(np.median(differences)))
    if k is None or k < 1:
        reason = Reason.TOO_LARGE if k is None else Reason.TOO_FEW_PATIENTS
        none, nothing = not_estimable(reason), no_interval(reason, level)
        return HodgesLehmann(n_x, n_y, level, method, convention, shift, none, nothing, none)
    coverage = not_estimable(Reason.TOO_LARGE) if tails is None else known(1 - 2 * float(np.sum(tails[:k])))
    limits = interval(float(differences[k - 1]), float(differences[pairs - k]), level)
    return HodgesLehmann(n_x, n_y, level, method, convention, shift, known(k), limits, coverage)


def signed_rank(before: Sequence[float], after: Sequence[float], level: float = 0.95) -> SignedRank:
    """Exact two-sided signed-rank test of the differences after - before, zeros left out (Wilcoxon's rule).

    With ties among the absolute differences the distribution is that of the midranks. The shift is the median of the
    Walsh averages of the non-zero differences. Source: Hollander and Wolfe, sections 3.1 to 3.3.
    """
    first, second = finite_array("before", before), finite_array("after", after)
    if len(first) != len(second):
        raise ValueError("Before and after must have the same length.")
    z_two_sided(level)
    convention = (
        "Exact signed-rank test on midranks, zeros left out, two-sided by doubling; interval from Walsh averages with "
        "the alpha/2 quantile of the exact distribution without ties."
    )
    differences = np.round(second - first, _DECIMALS)
    d = differences[differences != 0]
    n = len(d)
    if n == 0:
        reason = Reason.ALL_DIFFERENCES_ZERO if len(first) else Reason.NO_PATIENTS
        none, nothing = not_estimable(reason), no_interval(reason, level)
        return SignedRank(len(first), 0, level, convention, none, none, none, nothing)
    doubled = doubled_midranks(np.abs(d))
    doubled_v = int(np.sum(doubled[d > 0]))
    rows, columns = np.triu_indices(n)
    walsh = np.sort((d[rows] + d[columns]) / 2)
    shift = known(float(np.median(walsh)))
    if n**3 > _MAX_WORK:
        none, nothing = not_estimable(Reason.TOO_LARGE), no_interval(Reason.TOO_LARGE, level)
        return SignedRank(len(first), n, level, convention, known(doubled_v / 2), none, shift, nothing)
    pmf = _sign_distribution(doubled)
    tail = min(float(np.sum(pmf[: doubled_v + 1])), float(np.sum(pmf[doubled_v:])))
    k = _quantile(_sign_distribution(np.arange(1, n + 1)), (1 - level) / 2)
    limits = no_interval(Reason.TOO_FEW_PATIENTS, level)
    if k >= 1:
        limits = interval(float(walsh[k - 1]), float(walsh[len(walsh) - k]), level)
    p = known(min(1.0, 2 * tail))
    return SignedRank(len(first), n, level, convention, known(doubled_v / 2), p, shift, limits)


def doubled_midranks(values: Floats) -> Ints:
    """Twice the midrank of each value: whole numbers, so that sums compare exactly."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[place], dtype=np.int64)


def _permutation_p(doubled: Ints, n_x: int) -> Estimate:
    """Two-sided p of the rank sum of the first `n_x` values over all choices of `n_x` values."""
    chosen = doubled[:n_x] if n_x <= len(doubled) - n_x else doubled[n_x:]
    pmf = _subset_sums(doubled, len(chosen))
    if pmf is None:
        return not_estimable(Reason.TOO_LARGE)
    sums = np.arange(len(pmf))
    # The mean of the doubled sum is size * (n + 1): a whole number, so the comparison is exact.
    centre = len(chosen) * (len(doubled) + 1)
    far = np.abs(sums - centre) >= abs(int(np.sum(chosen)) - centre)
    return known(min(1.0, float(np.sum(pmf[far]))))


def _subset_sums(weights: Ints, size: int) -> Floats | None:
    """Distribution of the sum of `size` of the weights drawn without replacement; None if too much work."""
    # Less the smallest weight, which every drawn one has, and in steps of their common divisor: fewer sums.
    least = int(np.min(weights))
    step = int(np.gcd.reduce(weights - least)) or 1
    steps = _step_sums(tuple(np.sort((weights - least) // step).tolist()), size)
    if steps is None:
        return None
    pmf = np.zeros(size * least + (len(steps) - 1) * step + 1)
    pmf[size * least :: step] = steps
    return pmf


@lru_cache(maxsize=4)
def _step_sums(weights: tuple[int, ...], size: int) -> Floats | None:
    """The same for rising weights from 0. Kept, because a test and its interval ask for one distribution thrice."""
    rest, total = np.array(weights, dtype=np.int64), len(weights)
    # In rising order there are few sums while few weights have been seen.
    sums = np.concatenate([[0], np.cumsum(rest)])
    seen = np.arange(total)
    # With the weights seen so far no sum is above `reach` and no count outside `fewest` to `most`.
    reach = sums[seen] - sums[np.maximum(seen - size, 0)]
    fewest, most = np.maximum(size - (total - seen), 0), np.minimum(size, seen)
    if float(np.sum((most - fewest + 1.0) * (reach + 1.0))) > _MAX_WORK:
        return None
    top = int(sums[-1] - sums[total - size])
    # ways[j, s]: probability that j of the weights seen so far were drawn, with sum s.
    ways = np.zeros((size + 1, top + 1))
    ways[0, 0] = 1.0
    for place, weight in enumerate(rest.tolist()):
        low, high, width = int(fewest[place]), int(most[place]), int(reach[place]) + 1
        # All `size` drawn already: nothing of that row is drawn any more.
        drawn = np.arange(low, min(high, size - 1) + 1)
        stay = 1 - (size - np.arange(low, high + 1)) / (total - place)
        moved = ((size - drawn) / (total - place))[:, None] * ways[low : low + len(drawn), :width]
        ways[low : high + 1, :width] *= stay[:, None]
        ways[low + 1 : low + 1 + len(drawn), weight : weight + width] += moved[:, : top + 1 - weight]
    return np.asarray(ways[size])


def _u_distribution(n_x: int, n_y: int) -> Floats | None:
    """Null distribution of U without ties."""
    small, n = min(n_x, n_y), n_x + n_y
    pmf = _subset_sums(np.arange(1, n + 1), small)
    return None if pmf is None else pmf[small * (small + 1) // 2 :]


def _sign_distribution(weights: Ints) -> Floats:
    """Distribution of the sum of the weights whose fair coin shows heads."""
    pmf = np.ones(1)
    for weight in weights.tolist():
        tails, heads = np.zeros(len(pmf) + weight), np.zeros(len(pmf) + weight)
        tails[: len(pmf)] = pmf / 2
        heads[weight:] = pmf / 2
        pmf = tails + heads
    return pmf


def _quantile(pmf: Floats, probability: float) -> int:
    """Smallest value whose cumulative probability reaches `probability`."""
    return int(np.searchsorted(np.cumsum(pmf), probability * (1 - 1e-12)))
