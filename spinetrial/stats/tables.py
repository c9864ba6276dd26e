"""Tables of counts: 2x2, r x c, ordered, stratified.

In a 2x2 table [[a, b], [c, d]] the rows are the groups (arms) and the first column counts patients with the event.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import optimize, special

from spinetrial.stats.checks import Bools, Floats, check_binomial, check_counts, check_fraction, check_table
from spinetrial.stats.distributions import chi2_sf, z_two_sided
from spinetrial.stats.enumeration import log_choose, outcome_probability, supremum, too_many_outcomes
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable
from spinetrial.stats.network import freeman_halton_p

# Tables as likely as the observed one differ from it in the last bits; the slack R's fisher.test uses.
PROBABILITY_SLACK = 1e-7
_SCORE_SLACK = 1e-9
# The common rate of an unconditional test runs from here to 1 - here, as in R's package Exact: at a rate of 0 or 1
# itself only one outcome is possible.
_RATE_EDGE = 1e-5

FISHER_CONVENTION = (
    "Fisher's exact test, margins fixed; two-sided p is the sum of the probabilities of all tables not more likely "
    "than the observed one (relative slack 1e-7)."
)


@dataclass(frozen=True, slots=True)
class Fisher2x2:
    """Fisher's exact test of a 2x2 table.

    `less` and `greater` are one-sided: fewer, or more, events in the first row. `mid_p` is the two-sided p in
    which tables as likely as the observed one count half.
    """

    a: int
    b: int
    c: int
    d: int
    convention: str
    two_sided: Estimate
    less: Estimate
    greater: Estimate
    mid_p: Estimate

    @property
    def p(self) -> Estimate:
        """The two-sided p."""
        return self.two_sided


def fisher_2x2(a: int, b: int, c: int, d: int) -> Fisher2x2:
    """Fisher's exact test of [[a, b], [c, d]].

    An empty row is not estimable; with no events at all only one table is possible and p is 1.
    Raises ValueError for negative or fractional counts. Source: Fisher 1935; Agresti, Categorical Data Analysis,
    3rd ed., section 3.5 (two-sided rule and mid-p).
    """
    a, b, c, d = check_counts("A cell of the table", (a, b, c, d))
    if a + b == 0 or c + d == 0:
        empty = not_estimable(Reason.EMPTY_ARM)
        return Fisher2x2(a, b, c, d, FISHER_CONVENTION, empty, empty, empty, empty)
    low, logs = _hypergeometric_logs(a + b, c + d, a + c)
    pmf = np.exp(logs)
    here = a - low
    likely = pmf[here]
    not_more = pmf <= likely * (1 + PROBABILITY_SLACK)
    equal = not_more & (pmf >= likely * (1 - PROBABILITY_SLACK))
    two_sided = float(np.sum(pmf[not_more]))
    return Fisher2x2(
        a, b, c, d, FISHER_CONVENTION,
        two_sided=_probability(two_sided),
        less=_probability(float(np.sum(pmf[: here + 1]))),
        greater=_probability(float(np.sum(pmf[here:]))),
        mid_p=_probability(two_sided - float(np.sum(pmf[equal])) / 2),
    )  # fmt: skip


def _probability(value: float) -> Estimate:
    return known(min(max(value, 0.0), 1.0))


_MAX_TABLES_2X2 = 20_000_000


def _hypergeometric_logs(n1: int, n0: int, events: int) -> tuple[int, Floats]:
    """(smallest possible count, log probabilities of the possible counts of events in the first row).

    Raises ValueError above 20 million possible tables.
    """
    low, high = max(0, events - n0), min(events, n1)
    if high - low >= _MAX_TABLES_2X2:
        raise ValueError(f"The table is too large: more than {_MAX_TABLES_2X2} tables have its margins.")
    k = np.arange(low, high + 1)
    logs = log_choose(n1, k) + log_choose(n0, events - k)
    return low, np.asarray(logs - special.logsumexp(logs), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ChiSquare2x2:
    """Chi-square tests of a 2x2 table: uncorrected (Pearson), corrected (Yates) and (N-1)/N-scaled.

    `min_expected` is the smallest expected count: below 5 a report flags the approximation.
    """

    a: int
    b: int
    c: int
    d: int
    convention: str
    pearson: Estimate
    pearson_p: Estimate
    yates: Estimate
    yates_p: Estimate
    n_minus_1: Estimate
    n_minus_1_p: Estimate
    min_expected: Estimate


def chi_square_2x2(a: int, b: int, c: int, d: int) -> ChiSquare2x2:
    """Chi-square tests of [[a, b], [c, d]]; not estimable with an empty row or column.

    Sources: Pearson 1900; Yates 1934, with the correction limited to |ad - bc|/N as R's chisq.test does; Campbell,
    Statistics in Medicine 2007;26:3661-3675 (N-1).
    """
    a, b, c, d = check_counts("A cell of the table", (a, b, c, d))
    convention = "Pearson uncorrected; Yates with 0.5; N-1 scaled (Campbell 2007); 1 degree of freedom."
    n, row0, row1, col0, col1 = a + b + c + d, a + b, c + d, a + c, b + d
    if 0 in (row0, row1, col0, col1):
        reason = Reason.EMPTY_ARM if 0 in (row0, row1) else Reason.EMPTY_MARGIN
        none = not_estimable(reason)
        least = known(0.0) if n and reason is Reason.EMPTY_MARGIN else none
        return ChiSquare2x2(a, b, c, d, convention, none, none, none, none, none, none, least)
    scale = n / (float(row0) * row1 * col0 * col1)
    determinant = abs(a * d - b * c)
    pearson = scale * determinant**2
    yates = scale * (determinant - min(n / 2, determinant)) ** 2
    fewer = pearson * (n - 1) / n
    return ChiSquare2x2(
        a, b, c, d, convention,
        known(pearson), known(chi2_sf(pearson, 1)), known(yates), known(chi2_sf(yates, 1)),
        known(fewer), known(chi2_sf(fewer, 1)), known(min(row0, row1) * min(col0, col1) / n),
    )  # fmt: skip


class OddsRatioMethod(StrEnum):
    """How far the roots behind the conditional odds ratio and its exact interval are followed.

    AS_R_FISHER_TEST stops where R's `fisher.test` stops (1.2e-4 on a scale that runs from 0 to 1). It prints the
    digits R prints, which are wrong in the third digit for very large ratios: 621.93 for the tea-tasting table
    [[3, 1], [1, 3]], whose exact limit is 626.24. It serves comparison with R, EXACT serves a report.
    """

    EXACT = "exact"
    AS_R_FISHER_TEST = "as_r_fisher_test"


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """Odds ratio of a 2x2 table; a value or an upper limit may be infinite.

    `sample` is ad/bc; `conditional` is the maximum likelihood given the margins, to which `interval` belongs.
    """

    a: int
    b: int
    c: int
    d: int
    level: float
    method: OddsRatioMethod
    convention: str
    sample: Estimate
    conditional: Estimate
    interval: Interval


def odds_ratio(a: int, b: int, c: int, d: int, method: OddsRatioMethod, level: float = 0.95) -> OddsRatio:
    """Sample and conditional odds ratio of [[a, b], [c, d]] with the exact (Cornfield) interval.

    Not estimable with an empty row or column. Source: Agresti, Categorical Data Analysis, 3rd ed., section 16.6.4;
    the limits invert the two one-sided exact tests, as R's fisher.test does.
    """
    method = OddsRatioMethod(method)
    a, b, c, d = check_counts("A cell of the table", (a, b, c, d))
    check_fraction("The confidence level", level)
    convention = "Conditional maximum likelihood and exact interval by inverting two one-sided tests."
    if 0 in (a + b, c + d, a + c, b + d):
        reason = Reason.EMPTY_ARM if 0 in (a + b, c + d) else Reason.UNDEFINED_RATIO
        none = not_estimable(reason)
        return OddsRatio(a, b, c, d, level, method, convention, none, none, no_interval(reason, level))
    sample = a * d / (b * c) if b * c else math.inf
    low, logs = _hypergeometric_logs(a + b, c + d, a + c)
    counts = low + np.arange(len(logs))
    high, tail = int(counts[-1]), (1 - level) / 2
    solve = _root_exact if method is OddsRatioMethod.EXACT else _root_as_r

    def tilted(ratio: float) -> Floats:
        """Noncentral hypergeometric probabilities of the counts at this odds ratio (0 and infinity included)."""
        with np.errstate(invalid="ignore"):
            weights = logs + special.xlogy(counts - low, ratio)
        return np.asarray(np.exp(weights - special.logsumexp(weights)))

    if a == low:
        conditional = 0.0
    elif a == high:
        conditional = math.inf
    else:
        conditional = solve(lambda ratio: float(tilted(ratio) @ counts) - a)
    lower = 0.0 if a == low else solve(lambda ratio: float(np.sum(tilted(ratio)[a - low :])) - tail)
    upper = math.inf if a == high else solve(lambda ratio: tail - float(np.sum(tilted(ratio)[: a - low + 1])))
    limits = interval(lower, upper, level)
    return OddsRatio(a, b, c, d, level, method, convention, known(sample), known(conditional), limits)


def _root_exact(rising: Callable[[float], float]) -> float:
    """Odds ratio at which the rising function is zero, to the last digits, searched on the log scale."""
    return math.exp(float(optimize.brentq(lambda log: rising(math.exp(log)), -60.0, 60.0, xtol=1e-13, rtol=1e-14)))


def _root_as_r(rising: Callable[[float], float]) -> float:
    """The same as R's fisher.test finds it: on (0, 1) below an odds ratio of 1, on its inverse above."""
    at_one = rising(1.0)
    if at_one == 0:
        return 1.0
    if at_one > 0:
        return _brent_zero(rising, 0.0, 1.0, _R_TOLERANCE)
    return 1 / _brent_zero(lambda inverse: rising(1 / inverse), sys.float_info.epsilon, 1.0, _R_TOLERANCE)


# Default tolerance of R's uniroot: the fourth root of the machine epsilon.
_R_TOLERANCE = sys.float_info.epsilon**0.25


def _brent_zero(f: Callable[[float], float], a: float, b: float, tolerance: float) -> float:
    """Brent's zeroin (Brent 1973, chapter 4), step for step.

    scipy's brentq takes other interpolation steps; with a tolerance this coarse the two end in different places.
    """
    fa, fb = f(a), f(b)
    c, fc = a, fa
    while True:
        previous = b - a
        if abs(fc) < abs(fb):
            a, b, c = b, c, b
            fa, fb, fc = fb, fc, fb
        close = 2 * sys.float_info.epsilon * abs(b) + tolerance / 2
        step = (c - b) / 2
        if abs(step) <= close or fb == 0:
            return b
        if abs(previous) >= close and abs(fa) > abs(fb):
            width = c - b
            if a == c:
                s = fb / fa
                p, q = width * s, 1 - s
            else:
                q, r, s = fa / fc, fb / fc, fb / fa
                p = s * (width * q * (q - r) - (b - a) * (r - 1))
                q = (q - 1) * (r - 1) * (s - 1)
            if p > 0:
                q = -q
            else:
                p = -p
            if p < 0.75 * width * q - abs(close * q) / 2 and p < abs(previous * q / 2):
                step = p / q
        if abs(step) < close:
            step = close if step > 0 else -close
        a, fa = b, fb
        b += step
        fb = f(b)
        if (fb > 0) == (fc > 0):
            c, fc = a, fa


@dataclass(frozen=True, slots=True)
class RiskRatio:
    """Ratio of the event rates of row 1 and row 2; infinite where only row 2 is without events."""

    a: int
    b: int
    c: int
    d: int
    level: float
    convention: str
    ratio: Estimate
    interval: Interval


def risk_ratio(a: int, b: int, c: int, d: int, level: float = 0.95) -> RiskRatio:
    """Risk ratio of [[a, b], [c, d]] with the log interval (Katz et al. 1978).

    The interval is not estimable when a group has no events; nothing is when both have none or one is empty.
    """
    a, b, c, d = check_counts("A cell of the table", (a, b, c, d))
    convention = "Log interval (Katz), no continuity added."
    n1, n0 = a + b, c + d
    if n1 == 0 or n0 == 0 or a + c == 0:
        reason = Reason.UNDEFINED_RATIO if n1 and n0 else Reason.EMPTY_ARM
        return RiskRatio(a, b, c, d, level, convention, not_estimable(reason), no_interval(reason, level))
    if a == 0 or c == 0:
        ratio = 0.0 if a == 0 else math.inf
        return RiskRatio(a, b, c, d, level, convention, known(ratio), no_interval(Reason.ZERO_CELL, level))
    ratio = (a / n1) / (c / n0)
    half = z_two_sided(level) * math.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n0)
    limits = interval(ratio * math.exp(-half), ratio * math.exp(half), level)
    return RiskRatio(a, b, c, d, level, convention, known(ratio), limits)


@dataclass(frozen=True, slots=True)
class Unconditional2x2:
    """An exact unconditional test of equal rates in the two rows (row totals fixed).

    `less` and `greater`: fewer, or more, events in the first row. Each p is the supremum over the common rate.
    `doubled` is twice the smaller one-sided p; `two_sided` is defined in `convention`.
    """

    a: int
    b: int
    c: int
    d: int
    convention: str
    less: Estimate
    greater: Estimate
    two_sided: Estimate
    doubled: Estimate


def barnard(a: int, b: int, c: int, d: int) -> Unconditional2x2:
    """Barnard's test of [[a, b], [c, d]], outcomes ordered by the pooled z statistic.

    Rows are groups: the function of the same name in scipy takes them as columns. The supremum is searched on a
    grid, because a single descent misses it. Source: Barnard 1947; Suissa and Shuster 1985 (pooled z).
    """
    convention = (
        "Barnard's test, pooled z, supremum over the common rate on a refined grid; two-sided: |z| at least as large."
    )
    return _unconditional(a, b, c, d, convention, _pooled_z_regions)


def boschloo(a: int, b: int, c: int, d: int) -> Unconditional2x2:
    """Boschloo's test of [[a, b], [c, d]], outcomes ordered by Fisher's p of the same side.

    Source: Boschloo 1970. Two-sided: ordered by Fisher's two-sided p, as R's package Exact does; the doubled
    one-sided p of scipy is given beside it.
    """
    convention = (
        "Boschloo's test, supremum over the common rate on a refined grid; two-sided: ordered by Fisher's two-sided p "
        "(minimum likelihood)."
    )
    return _unconditional(a, b, c, d, convention, _fisher_regions)


def _unconditional(
    a: int, b: int, c: int, d: int, convention: str, regions: Callable[[int, int, int, int], tuple[Bools, Bools, Bools]]
) -> Unconditional2x2:
    a, b, c, d = check_counts("A cell of the table", (a, b, c, d))
    n1, n0 = a + b, c + d
    reason = Reason.EMPTY_ARM if not n1 or not n0 else None
    if too_many_outcomes(n1, n0):
        reason = Reason.TOO_LARGE
    if reason:
        none = not_estimable(reason)
        return Unconditional2x2(a, b, c, d, convention, none, none, none, none)

    def worst(region: Bools) -> float:
        return supremum(lambda rates: outcome_probability(region, rates, rates), _RATE_EDGE, 1 - _RATE_EDGE)

    less, greater, both = (worst(region) for region in regions(a, n1, c, n0))
    doubled = min(1.0, 2 * min(less, greater))
    return Unconditional2x2(a, b, c, d, convention, known(less), known(greater), known(both), known(doubled))


def _pooled_z_regions(x1: int, n1: int, x0: int, n0: int) -> tuple[Bools, Bools, Bools]:
    first = np.arange(n1 + 1)[:, None]
    second = np.arange(n0 + 1)[None, :]
    rate = (first + second) / (n1 + n0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (first / n1 - second / n0) / np.sqrt(rate * (1 - rate) * (1 / n1 + 1 / n0))
    # No events, or events in everybody: the difference is zero, so is the score.
    z = np.where(np.isnan(z), 0.0, z)
    here = float(z[x1, x0])
    return z <= here + _SCORE_SLACK, z >= here - _SCORE_SLACK, np.abs(z) >= abs(here) - _SCORE_SLACK


def _fisher_regions(x1: int, n1: int, x0: int, n0: int) -> tuple[Bools, Bools, Bools]:
    tails = [np.empty((n1 + 1, n0 + 1)) for _ in range(3)]
    for events in range(n1 + n0 + 1):
        low, logs = _hypergeometric_logs(n1, n0, events)
        pmf = np.exp(logs)
        rows = low + np.arange(len(pmf))
        order = np.argsort(pmf)
        cumulative = np.cumsum(pmf[order])
        last_equal = np.searchsorted(pmf[order], pmf * (1 + PROBABILITY_SLACK), side="right") - 1
        tails[0][rows, events - rows] = np.cumsum(pmf)
        tails[1][rows, events - rows] = np.cumsum(pmf[::-1])[::-1]
        tails[2][rows, events - rows] = cumulative[last_equal]
    less, greater, both = (tail <= tail[x1, x0] * (1 + PROBABILITY_SLACK) for tail in tails)
    return less, greater, both


@dataclass(frozen=True, slots=True)
class RByC:
    """Tests of independence of an r x c table of counts; empty rows and columns are left out of `df`.

    `exact_p` is the Fisher-Freeman-Halton p by complete enumeration, never by simulation.
    """

    table: tuple[tuple[int, ...], ...]
    convention: str
    df: int
    pearson: Estimate
    pearson_p: Estimate
    likelihood_ratio: Estimate
    likelihood_ratio_p: Estimate
    exact_p: Estimate
    min_expected: Estimate


def r_by_c(table: Sequence[Sequence[int]]) -> RByC:
    """Pearson, likelihood-ratio and exact (Fisher-Freeman-Halton) test of independence.

    Not estimable where fewer than two rows or columns have patients; the exact p also where the table is too large
    to enumerate. Raises ValueError for a ragged table or negative counts.
    Source: Freeman and Halton, Biometrika 1951;38:141-149; Agresti, Categorical Data Analysis, 3rd ed., section 3.2.
    """
    cells = check_table(table)
    echo = tuple(tuple(int(cell) for cell in row) for row in cells)
    convention = (
        "Pearson and likelihood-ratio chi-square without correction, empty rows and columns dropped; exact p sums all "
        "tables not more likely than the observed one (relative slack 1e-7)."
    )
    filled = cells[cells.sum(axis=1) > 0][:, cells.sum(axis=0) > 0]
    if filled.shape[0] < 2 or filled.shape[1] < 2:
        none = not_estimable(Reason.NO_PATIENTS if cells.sum() == 0 else Reason.EMPTY_MARGIN)
        return RByC(echo, convention, 0, none, none, none, none, none, none)
    expected = np.outer(filled.sum(axis=1), filled.sum(axis=0)) / filled.sum()
    df = (filled.shape[0] - 1) * (filled.shape[1] - 1)
    pearson = float(np.sum((filled - expected) ** 2 / expected))
    ratio = 2 * float(np.sum(special.xlogy(filled, filled / expected)))
    exact = freeman_halton_p(filled, PROBABILITY_SLACK)
    return RByC(
        echo,
        convention,
        df,
        known(pearson),
        known(chi2_sf(pearson, df)),
        known(ratio),
        known(chi2_sf(ratio, df)),
        not_estimable(Reason.TOO_LARGE) if exact is None else _probability(exact),
        known(float(np.min(expected))),
    )


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Cochran-Armitage test of a trend in proportions over ordered scores."""

    events: tuple[int, ...]
    n: tuple[int, ...]
    scores: tuple[float, ...]
    convention: str
    chi2: Estimate
    p: Estimate


def cochran_armitage(events: Sequence[int], n: Sequence[int], scores: Sequence[float]) -> TrendTest:
    """Two-sided test of a linear trend of events[i]/n[i] over scores[i] (fixed in the analysis plan).

    Not estimable when all or none have the event, or all patients share one score.
    Source: Armitage, Biometrics 1955;11:375-386 (denominator N, as R's prop.trend.test).
    """
    if not len(events) == len(n) == len(scores):
        raise ValueError("Events, group sizes and scores must have the same length.")
    pairs = [check_binomial(x, size) for x, size in zip(events, n, strict=True)]
    convention = "Cochran-Armitage, two-sided, no continuity correction."
    x, size = np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=float)
    s = np.array(scores, dtype=float)
    echo = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), tuple(float(value) for value in s)
    total = float(np.sum(size))
    if total == 0:
        none = not_estimable(Reason.NO_PATIENTS)
        return TrendTest(*echo, convention, none, none)
    rate, centre = float(np.sum(x)) / total, float(np.sum(size * s)) / total
    variance = rate * (1 - rate) * float(np.sum(size * (s - centre) ** 2))
    if variance <= 0:
        none = not_estimable(Reason.ZERO_VARIANCE)
        return TrendTest(*echo, convention, none, none)
    chi2 = float(np.sum((x - size * rate) * (s - centre))) ** 2 / variance
    return TrendTest(*echo, convention, known(chi2), known(chi2_sf(chi2, 1)))


@dataclass(frozen=True, slots=True)
class Stratum:
    """Counts of one stratum: x1 of n1 (study), x0 of n0 (control)."""

    x1: int
    n1: int
    x0: int
    n0: int


@dataclass(frozen=True, slots=True)
class Stratified2x2:
    """Mantel-Haenszel analysis over strata: test, common odds ratio, common risk difference."""

    strata: tuple[Stratum, ...]
    level: float
    convention: str
    cmh: Estimate
    cmh_p: Estimate
    cmh_corrected: Estimate
    cmh_corrected_p: Estimate
    odds_ratio: Estimate
    odds_ratio_interval: Interval
    risk_difference: Estimate
    se_sato: Estimate
    se_greenland_robins: Estimate
    risk_difference_interval: Interval


def stratified_2x2(strata: Sequence[Stratum], level: float = 0.95) -> Stratified2x2:
    """Cochran-Mantel-Haenszel test, Mantel-Haenszel odds ratio and risk difference.

    A stratum without patients in one arm carries no comparison and contributes nothing. Sources: Mantel and Haenszel
    1959; Robins, Breslow and Greenland 1986 (log odds ratio); Greenland and Robins 1985 and Sato, Biometrics
    1989;45:1323-1324 (risk difference; the interval uses Sato's variance).
    """
    z = z_two_sided(level)
    for stratum in strata:
        check_binomial(stratum.x1, stratum.n1, "study")
        check_binomial(stratum.x0, stratum.n0, "control")
    convention = (
        "Mantel-Haenszel weights; CMH with and without continuity correction 0.5 (dropped below 0.5); odds-ratio "
        "interval by Robins-Breslow-Greenland; risk-difference interval with Sato's variance."
    )
    used = [s for s in strata if s.n1 and s.n0]
    a, b = np.array([s.x1 for s in used], dtype=float), np.array([s.n1 - s.x1 for s in used], dtype=float)
    c, d = np.array([s.x0 for s in used], dtype=float), np.array([s.n0 - s.x0 for s in used], dtype=float)
    n1, n0 = a + b, c + d
    n = n1 + n0
    if not used:
        none, nothing = not_estimable(Reason.EMPTY_ARM), no_interval(Reason.EMPTY_ARM, level)
        return Stratified2x2(
            tuple(strata), level, convention, none, none, none, none, none, nothing, none, none, none, nothing
        )
    many = n > 1
    variance = float(np.sum((n1 * n0 * (a + c) * (b + d))[many] / (n[many] ** 2 * (n[many] - 1))))
    excess = abs(float(np.sum(a - n1 * (a + c) / n)))
    cmh = cmh_p = corrected = corrected_p = not_estimable(Reason.ZERO_VARIANCE)
    if variance > 0:
        plain = excess**2 / variance
        # Without the condition the correction would carry a small excess past zero; R's mantelhaen.test drops it there.
        less = (excess - (0.5 if excess >= 0.5 else 0.0)) ** 2 / variance
        cmh, cmh_p = known(plain), known(chi2_sf(plain, 1))
        corrected, corrected_p = known(less), known(chi2_sf(less, 1))
    ratio, ratio_interval = _mantel_haenszel_odds_ratio(a, b, c, d, level, z)
    weight = n1 * n0 / n
    difference = float(np.sum((a * n0 - c * n1) / n) / np.sum(weight))
    sato_p = (n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2) / n**2
    sato_q = (a * (n0 - c) + c * (n1 - a)) / (2 * n)
    sato = float(difference * np.sum(sato_p) + np.sum(sato_q)) / float(np.sum(weight)) ** 2
    robins = float(np.sum((a * b * n0**3 + c * d * n1**3) / (n1 * n0 * n**2))) / float(np.sum(weight)) ** 2
    half = z * math.sqrt(max(sato, 0.0))
    return Stratified2x2(
        tuple(strata), level, convention, cmh, cmh_p, corrected, corrected_p, ratio, ratio_interval,
        known(difference), known(math.sqrt(max(sato, 0.0))), known(math.sqrt(robins)),
        interval(difference - half, difference + half, level),
    )  # fmt: skip


def _mantel_haenszel_odds_ratio(
    a: Floats, b: Floats, c: Floats, d: Floats, level: float, z: float
) -> tuple[Estimate, Interval]:
    n = a + b + c + d
    r, s = a * d / n, b * c / n
    top, bottom = float(np.sum(r)), float(np.sum(s))
    if top == 0 and bottom == 0:
        return not_estimable(Reason.UNDEFINED_RATIO), no_interval(Reason.UNDEFINED_RATIO, level)
    if top == 0 or bottom == 0:
        return known(0.0 if top == 0 else math.inf), no_interval(Reason.ZERO_CELL, level)
    p, q = (a + d) / n, (b + c) / n
    variance = (
        float(np.sum(p * r)) / (2 * top**2)
        + float(np.sum(p * s + q * r)) / (2 * top * bottom)
        + float(np.sum(q * s)) / (2 * bottom**2)
    )
    ratio, half = top / bottom, z * math.sqrt(variance)
    return known(ratio), interval(ratio * math.exp(-half), ratio * math.exp(half), level)
