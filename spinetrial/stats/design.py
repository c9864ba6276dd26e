"""Planning: sample size and power of the non-inferiority comparison, of two proportions, of two means and of a
single arm, and group-sequential boundaries.

Sample sizes are per arm, allocation 1:1. `raw` is the formula's value before rounding up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import optimize, special

from spinetrial.stats.checks import Bools, Floats, Ints, check_count, check_fraction, check_margin, check_rate, round_up
from spinetrial.stats.distributions import normal_sf, z_upper
from spinetrial.stats.enumeration import binomial_pmf, outcome_probability, supremum, too_many_outcomes
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable
from spinetrial.stats.noninferiority import score_table, wald_table
from spinetrial.stats.risk_difference import score_variance


class PlanningVariance(StrEnum):
    """Variance of the difference under the null hypothesis in a normal-approximation plan."""

    UNPOOLED = "unpooled"
    POOLED = "pooled"
    FARRINGTON_MANNING = "farrington_manning"


class ExactTest(StrEnum):
    """Test whose rejection region an exact power or size enumerates."""

    FARRINGTON_MANNING = "farrington_manning"
    MIETTINEN_NURMINEN = "miettinen_nurminen"
    WALD = "wald"


_PLAN_CONVENTION = {
    PlanningVariance.UNPOOLED: "Normal approximation, unpooled variance under both hypotheses.",
    PlanningVariance.POOLED: "Normal approximation, variance at the mean of the two rates under the null hypothesis.",
    PlanningVariance.FARRINGTON_MANNING: "Normal approximation, restricted maximum likelihood variance under the null "
    "hypothesis (Farrington and Manning 1990).",
}


_NO_DISTANCE = 1e-9


@dataclass(frozen=True, slots=True)
class NonInferioritySize:
    """Sample size of a non-inferiority comparison; `p1` study, `p0` control."""

    p1: float
    p0: float
    margin: float
    alpha: float
    power: float
    method: PlanningVariance
    convention: str
    raw: Estimate
    n_per_arm: Estimate


@dataclass(frozen=True, slots=True)
class Power:
    """Probability of a claim of non-inferiority with `n1` and `n0` patients."""

    p1: float
    p0: float
    n1: int
    n0: int
    margin: float
    alpha: float
    method: PlanningVariance | ExactTest
    convention: str
    power: Estimate


@dataclass(frozen=True, slots=True)
class Inflated:
    """Total over two arms allowing for the share `loss` of patients without outcome.

    `divide` = 2 ceil(n/(1-loss)) keeps n per arm after the loss; `multiply` = ceil(2n(1+loss)) falls short of it.
    """

    n_per_arm: int
    loss: float
    divide: int
    multiply: int


def noninferiority_size(
    p1: float, p0: float, margin: float, alpha: float, power: float, method: PlanningVariance
) -> NonInferioritySize:
    """Patients per arm for one-sided `alpha` and `power` at true rates p1 (study), p0 (control).

    No solution where p1 - p0 <= margin. Raises ValueError for rates, margin, alpha or power out of range.
    Source: Julious, Statistics in Medicine 2004;23:1921-1986; Farrington and Manning, ibid. 1990;9:1447-1454.
    """
    method = PlanningVariance(method)
    null, true, distance = _planning_variances(p1, p0, margin, method)
    za, zb = z_upper(check_fraction("Alpha", alpha)), z_upper(1 - check_fraction("The power", power))
    convention = _PLAN_CONVENTION[method]
    # Rates typed in decimals miss a distance of zero by the last bits; a plan so close to the margin has no size.
    if distance <= _NO_DISTANCE:
        none = not_estimable(Reason.NO_SOLUTION)
        return NonInferioritySize(p1, p0, margin, alpha, power, method, convention, none, none)
    raw = ((za * math.sqrt(null) + zb * math.sqrt(true)) / distance) ** 2
    if raw <= 0 or za * math.sqrt(null) + zb * math.sqrt(true) <= 0:
        none = not_estimable(Reason.ZERO_VARIANCE)
        return NonInferioritySize(p1, p0, margin, alpha, power, method, convention, none, none)
    return NonInferioritySize(p1, p0, margin, alpha, power, method, convention, known(raw), known(round_up(raw)))


def noninferiority_power(
    p1: float, p0: float, n_per_arm: int, margin: float, alpha: float, method: PlanningVariance
) -> Power:
    """Normal-approximation power with `n_per_arm` patients in each arm; sources as in `noninferiority_size`."""
    method = PlanningVariance(method)
    n = check_count("The number of patients per arm", n_per_arm)
    null, true, distance = _planning_variances(p1, p0, margin, method)
    za = z_upper(check_fraction("Alpha", alpha))
    if n == 0 or true == 0:
        power = not_estimable(Reason.EMPTY_ARM if n == 0 else Reason.ZERO_VARIANCE)
    else:
        power = known(normal_sf(-(distance * math.sqrt(n) - za * math.sqrt(null)) / math.sqrt(true)))
    return Power(p1, p0, n, n, margin, alpha, method, _PLAN_CONVENTION[method], power)


def exact_noninferiority_power(
    p1: float, p0: float, n1: int, n0: int, margin: float, alpha: float, test: ExactTest
) -> Power:
    """Probability that the test claims non-inferiority, by summing over all outcomes.

    At p1 - p0 = margin this is the real one-sided error rate. Outcomes in which the Wald test has no variance count as
    claims when the difference is above the margin: that is what the test does in programs that do not stop there.
    Not estimable: an empty arm, or more than 100,000 patients in one.
    """
    test = ExactTest(test)
    n1, n0 = check_count("The number of study patients", n1), check_count("The number of control patients", n0)
    check_rate("The study rate", p1)
    check_rate("The control rate", p0)
    check_margin(margin)
    critical = z_upper(check_fraction("Alpha", alpha))
    convention = f"Exact binomial enumeration of the {test.value} test at the normal critical value."
    echo = (p1, p0, n1, n0, margin, alpha, test, convention)
    if n1 == 0 or n0 == 0:
        return Power(*echo, not_estimable(Reason.EMPTY_ARM))
    if max(n1, n0) > _MAX_EXACT_ARM:
        return Power(*echo, not_estimable(Reason.TOO_LARGE))
    # Only the outcomes that are likely at these rates: the whole table of large arms is too large.
    (counts1, chances1), (counts0, chances0) = _likely_counts(n1, p1), _likely_counts(n0, p0)
    table = wald_table if test is ExactTest.WALD else score_table
    z = table(n1, n0, margin, counts1, counts0)
    if test is ExactTest.MIETTINEN_NURMINEN:
        z = z * math.sqrt((n1 + n0 - 1) / (n1 + n0))
    probability = float(chances1 @ (z >= critical).astype(np.float64) @ chances0)
    return Power(*echo, known(min(probability, 1.0)))


def exact_noninferiority_powers(
    pairs: Sequence[tuple[float, float]], n1: int, n0: int, margin: float, alpha: float, test: ExactTest
) -> tuple[Estimate, ...]:
    """`exact_noninferiority_power` at many pairs of true rates (study, control), at little more cost than one."""
    for p1, p0 in pairs:
        check_rate("The study rate", p1)
        check_rate("The control rate", p0)
    region = claim_region(n1, n0, margin, alpha, test)
    if isinstance(region, Reason):
        return tuple(not_estimable(region) for _pair in pairs)
    if not pairs:
        return ()
    rates = np.array(pairs, dtype=np.float64)
    found = outcome_probability(region, rates[:, 0], rates[:, 1])
    return tuple(known(min(float(value), 1.0)) for value in found)


def largest_noninferiority_error(n1: int, n0: int, margin: float, alpha: float, test: ExactTest) -> Estimate:
    """Largest real one-sided error rate: the most probable claim over all pairs of true rates on the margin.

    Not estimable as in `exact_noninferiority_power`.
    """
    region = claim_region(n1, n0, margin, alpha, test)
    if isinstance(region, Reason):
        return not_estimable(region)

    def claims(control: Floats) -> Floats:
        return outcome_probability(region, np.clip(control + margin, 0.0, 1.0), control)

    return known(supremum(claims, max(0.0, -margin), min(1.0, 1.0 - margin)))


def responders_needed(
    n1: int, n0: int, margin: float, alpha: float, test: ExactTest
) -> tuple[int | None, ...] | Reason:
    """For each number of control responders 0..n0 the smallest number of study responders from which on the test
    claims non-inferiority whatever more respond; None where even n1 are too few."""
    region = claim_region(n1, n0, margin, alpha, test)
    if isinstance(region, Reason):
        return region
    # Counted from the top, so that a gap in the region of a test that is not monotone never counts as a claim.
    kept = np.cumprod(region[::-1], axis=0).sum(axis=0)
    return tuple(None if count == 0 else n1 + 1 - int(count) for count in kept)


@lru_cache(maxsize=16)
def claim_region(n1: int, n0: int, margin: float, alpha: float, test: ExactTest) -> Bools | Reason:
    """Outcomes (rows x1 = 0..n1 study responders, columns x0 = 0..n0) in which the test claims non-inferiority.

    The array is shared and read-only. A reason instead for an empty arm or too many outcomes. Raises
    ValueError for alpha or margin out of range.
    """
    test = ExactTest(test)
    n1, n0 = check_count("The number of study patients", n1), check_count("The number of control patients", n0)
    check_margin(margin)
    critical = z_upper(check_fraction("Alpha", alpha))
    if n1 == 0 or n0 == 0:
        return Reason.EMPTY_ARM
    if too_many_outcomes(n1, n0):
        return Reason.TOO_LARGE
    z = wald_table(n1, n0, margin) if test is ExactTest.WALD else score_table(n1, n0, margin)
    if test is ExactTest.MIETTINEN_NURMINEN:
        z = z * math.sqrt((n1 + n0 - 1) / (n1 + n0))
    region = np.asarray(z >= critical, dtype=np.bool_)
    region.flags.writeable = False
    return region


# 100,000 patients have some 3,000 counts that are likely enough to be summed.
_MAX_EXACT_ARM = 100_000
_NEGLIGIBLE = 1e-22


def _likely_counts(n: int, rate: float) -> tuple[Ints, Floats]:
    """Counts of successes and their probabilities; all the others together have less than 1e-17."""
    chances = binomial_pmf(n, np.array([float(rate)]))[0]
    counts = np.flatnonzero(chances > _NEGLIGIBLE)
    return np.asarray(counts, dtype=np.int64), chances[counts]


def inflate_for_loss(n_per_arm: int, loss: float) -> Inflated:
    """Total sample size for two arms of `n_per_arm` evaluable patients (see `Inflated`)."""
    n = check_count("The number of patients per arm", n_per_arm)
    if not 0 <= loss < 1:
        raise ValueError(f"The share lost must be at least 0 and below 1, but is {loss}.")
    return Inflated(n, loss, 2 * round_up(n / (1 - loss)), round_up(2 * n * (1 + loss)))


def _planning_variances(p1: float, p0: float, margin: float, method: PlanningVariance) -> tuple[float, float, float]:
    """(variance under the null, variance at the true rates, distance from the margin), times n per arm."""
    check_rate("The study rate", p1)
    check_rate("The control rate", p0)
    check_margin(margin)
    true = p1 * (1 - p1) + p0 * (1 - p0)
    match method:
        case PlanningVariance.UNPOOLED:
            null = true
        case PlanningVariance.POOLED:
            mean = (p1 + p0) / 2
            null = 2 * mean * (1 - mean)
        case PlanningVariance.FARRINGTON_MANNING:
            # Expected counts with one patient per arm: the restricted rates depend on their ratio only.
            null = float(score_variance(np.array(p1), 1.0, np.array(p0), 1.0, np.array(margin)))
    return null, true, p1 - p0 - margin


@dataclass(frozen=True, slots=True)
class TwoProportionSize:
    """Sample size per arm to show a difference of two proportions, without and with continuity correction."""

    p1: float
    p2: float
    alpha: float
    power: float
    convention: str
    raw: Estimate
    n_per_arm: Estimate
    raw_corrected: Estimate
    n_per_arm_corrected: Estimate


def two_proportion_size(p1: float, p2: float, alpha: float, power: float) -> TwoProportionSize:
    """Patients per arm, two-sided `alpha`; no solution for equal rates.

    Source: Fleiss, Tytun and Ury, Biometrics 1980;36:343-346.
    """
    check_rate("The first rate", p1)
    check_rate("The second rate", p2)
    za, zb = z_upper(check_fraction("Alpha", alpha) / 2), z_upper(1 - check_fraction("The power", power))
    convention = "Pooled variance under the null hypothesis, two-sided; correction of Fleiss, Tytun and Ury."
    if p1 == p2:
        none = not_estimable(Reason.NO_SOLUTION)
        return TwoProportionSize(p1, p2, alpha, power, convention, none, none, none, none)
    mean, gap = (p1 + p2) / 2, abs(p1 - p2)
    root = za * math.sqrt(2 * mean * (1 - mean)) + zb * math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    raw = (root / gap) ** 2
    corrected = raw / 4 * (1 + math.sqrt(1 + 4 / (raw * gap))) ** 2
    return TwoProportionSize(
        p1, p2, alpha, power, convention,
        known(raw), known(round_up(raw)), known(corrected), known(round_up(corrected)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TwoMeansSize:
    """Patients per arm of a two-sided t test at a standardised effect."""

    effect: float
    alpha: float
    power: float
    convention: str
    n_per_arm: Estimate


_T_POWER_CONVENTION = "Two-sided pooled t test, noncentral t, rejection in the direction of the effect only."


def two_means_power(effect: float, n_per_arm: int, alpha: float) -> Estimate:
    """Power of the pooled t test with `n_per_arm` patients per arm at `effect` standard deviations.

    Counts rejection in the direction of the effect, as R's power.t.test does. Needs two patients per arm.
    """
    n = check_count("The number of patients per arm", n_per_arm)
    check_fraction("Alpha", alpha)
    if n < 2:
        return not_estimable(Reason.TOO_FEW_PATIENTS)
    df = 2 * n - 2
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    return known(1 - float(special.nctdtr(df, abs(effect) * math.sqrt(n / 2), critical)))


def two_means_size(effect: float, alpha: float, power: float) -> TwoMeansSize:
    """Smallest number of patients per arm that reaches `power`; no solution for an effect of zero."""
    check_fraction("The power", power)
    check_fraction("Alpha", alpha)
    if effect == 0:
        return TwoMeansSize(effect, alpha, power, _T_POWER_CONVENTION, not_estimable(Reason.NO_SOLUTION))

    def enough(n: int) -> bool:
        return (two_means_power(effect, n, alpha).value or 0.0) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > 10_000_000:
            return TwoMeansSize(effect, alpha, power, _T_POWER_CONVENTION, not_estimable(Reason.TOO_LARGE))
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return TwoMeansSize(effect, alpha, power, _T_POWER_CONVENTION, known(high))


@dataclass(frozen=True, slots=True)
class SingleArmSize:
    """Single-arm study of H0: p <= p0 against p1 > p0 with exact binomial limits.

    `n` is the smallest number that has the power, `successes` what it needs to reject. The exact power saw-tooths
    in n; from `n_stable` on it never falls below the target again.
    """

    p0: float
    p1: float
    alpha: float
    power: float
    convention: str
    n: Estimate
    successes: Estimate
    actual_alpha: Estimate
    actual_power: Estimate
    n_stable: Estimate
    n_normal: Estimate
    n_normal_corrected: Estimate
    n_arcsine: Estimate


_MAX_SINGLE_ARM = 50_000


def single_arm_size(p0: float, p1: float, alpha: float, power: float) -> SingleArmSize:
    """Exact single-stage design; one-sided `alpha`. No solution where p1 <= p0.

    Sources: A'Hern, Statistics in Medicine 2001;20:859-866 (exact); Fleiss 1981 (normal, with and without correction).
    """
    check_fraction("The null rate", p0)
    check_fraction("The alternative rate", p1)
    za, zb = z_upper(check_fraction("Alpha", alpha)), z_upper(1 - check_fraction("The power", power))
    convention = "Exact binomial test, smallest n; power kept from n_stable on (searched to three times the normal n)."
    echo = (p0, p1, alpha, power, convention)
    if p1 <= p0:
        none = not_estimable(Reason.NO_SOLUTION)
        return SingleArmSize(*echo, none, none, none, none, none, none, none, none)
    gap = p1 - p0
    normal = ((za * math.sqrt(p0 * (1 - p0)) + zb * math.sqrt(p1 * (1 - p1))) / gap) ** 2
    corrected = normal / 4 * (1 + math.sqrt(1 + 2 / (normal * gap))) ** 2
    arcsine = ((za + zb) / (2 * math.asin(math.sqrt(p1)) - 2 * math.asin(math.sqrt(p0)))) ** 2
    approximations = known(round_up(normal)), known(round_up(corrected)), known(round_up(arcsine))
    last = 3 * math.ceil(normal) + 200
    if last > _MAX_SINGLE_ARM:
        none = not_estimable(Reason.TOO_LARGE)
        return SingleArmSize(*echo, none, none, none, none, none, *approximations)
    n: Ints = np.arange(1, last + 1, dtype=np.int64)
    needed = _successes_needed(n, p0, alpha)
    # n + 1 successes mean that this n can never reject.
    powers = np.where(needed <= n, _at_least(needed, n, p1), 0.0)
    enough = powers >= power
    first = int(np.argmax(enough))
    short = np.flatnonzero(~enough)
    stable = known(int(n[short[-1]]) + 1) if len(short) else known(1)
    return SingleArmSize(
        *echo,
        known(int(n[first])),
        known(int(needed[first])),
        known(float(_at_least(needed[first : first + 1], n[first : first + 1], p0)[0])),
        known(float(powers[first])),
        stable,
        *approximations,
    )


@dataclass(frozen=True, slots=True)
class SingleArmDesign:
    """What a single-arm study of `n` does: H0: p <= p0 is rejected from `successes` on.

    `actual_alpha` and `actual_power` are the exact probabilities of that under `p0` and `p1`.
    """

    n: int
    p0: float
    p1: float
    alpha: float
    convention: str
    successes: Estimate
    actual_alpha: Estimate
    actual_power: Estimate


def single_arm_design(n: int, p0: float, p1: float, alpha: float) -> SingleArmDesign:
    """The exact test of a single arm with `n` patients, one-sided `alpha`.

    No solution where even `n` successes are too likely under `p0`. Raises ValueError for rates or alpha out of range.
    Source: A'Hern, Statistics in Medicine 2001;20:859-866.
    """
    n = check_count("The number of patients", n)
    check_fraction("The null rate", p0)
    check_fraction("The alternative rate", p1)
    check_fraction("Alpha", alpha)
    echo = (n, p0, p1, alpha, "Exact binomial test, rejected from the smallest count whose upper tail is within alpha.")
    size: Ints = np.array([n], dtype=np.int64)
    needed = _successes_needed(size, p0, alpha)
    if n == 0 or int(needed[0]) > n:
        none = not_estimable(Reason.NO_PATIENTS if n == 0 else Reason.NO_SOLUTION)
        return SingleArmDesign(*echo, none, none, none)
    return SingleArmDesign(
        *echo,
        known(int(needed[0])),
        known(float(_at_least(needed, size, p0)[0])),
        known(float(_at_least(needed, size, p1)[0])),
    )


def _at_least(successes: Ints, n: Ints, rate: float) -> Floats:
    """P(X >= successes) for X binomial(n, rate)."""
    tail = special.betainc(np.maximum(successes, 1), np.maximum(n - successes + 1, 0.5), rate)
    return np.asarray(np.where(successes <= 0, 1.0, tail), dtype=np.float64)


def _successes_needed(n: Ints, p0: float, alpha: float) -> Ints:
    """Smallest count whose upper tail under `p0` is at most `alpha`, for each n (n + 1: none)."""
    needed = np.zeros(len(n), dtype=np.int64)
    count = 0
    for place, size in enumerate(n.tolist()):
        # The critical count never falls as n grows by one.
        while count <= size and float(special.betainc(max(count, 1), size - max(count, 1) + 1, p0)) > alpha:
            count += 1
        needed[place] = max(count, 1)
    return needed


class SpendingFunction(StrEnum):
    """Alpha spent up to information fraction t (Lan and DeMets)."""

    OBRIEN_FLEMING = "obf"
    POCOCK = "pocock"


class ClassicalBoundary(StrEnum):
    """Shapes of a boundary for equally spaced looks."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"


@dataclass(frozen=True, slots=True)
class Boundary:
    """One-sided upper boundary on the z scale; nominal p per look and alpha spent so far."""

    information: tuple[float, ...]
    alpha: float
    shape: SpendingFunction | ClassicalBoundary
    convention: str
    z: tuple[float, ...]
    nominal_p: tuple[float, ...]
    cumulative_alpha: tuple[float, ...]


def lan_demets_boundary(information: Sequence[float], shape: SpendingFunction, alpha: float) -> Boundary:
    """Boundary that spends one-sided `alpha` at the information fractions given (rising, at most 1).

    OBRIEN_FLEMING spends 2(1 - Phi(z_{1-alpha/2}/sqrt t)), POCOCK alpha ln(1 + (e - 1) t).
    Source: Lan and DeMets, Biometrika 1983;70:659-663; Armitage, McPherson and Rowe 1969 (recursive integration).
    """
    shape = SpendingFunction(shape)
    fractions = _check_information(information)
    check_fraction("Alpha", alpha)

    def spent(t: float) -> float:
        if shape is SpendingFunction.OBRIEN_FLEMING:
            return 2 * normal_sf(z_upper(alpha / 2) / math.sqrt(t))
        return alpha * math.log1p((math.e - 1) * t)

    walk = _Sequential()
    bounds: list[float] = []
    used: list[float] = []
    for fraction in fractions:
        target = spent(fraction) - (used[-1] if used else 0.0)
        bound = float(optimize.brentq(lambda z, t=fraction, a=target: walk.crossing(t, z) - a, -8.0, 38.0, xtol=1e-12))
        used.append((used[-1] if used else 0.0) + walk.crossing(fraction, bound))
        walk.advance(fraction, bound)
        bounds.append(bound)
    convention = f"Lan-DeMets spending ({shape.value}), one-sided, no stopping for futility."
    return _boundary(fractions, alpha, shape, convention, bounds, used)


_MAX_LOOKS = 100


def classical_boundary(looks: int, shape: ClassicalBoundary, alpha: float) -> Boundary:
    """Boundary with one constant for equally spaced looks: z_k = c sqrt(K/k) (O'Brien-Fleming) or c (Pocock).

    Sources: O'Brien and Fleming 1979; Pocock 1977; Jennison and Turnbull 2000, chapter 2 (one-sided here).
    """
    shape = ClassicalBoundary(shape)
    looks = check_count("The number of looks", looks)
    if not 1 <= looks <= _MAX_LOOKS:
        raise ValueError(f"There must be 1 to {_MAX_LOOKS} looks.")
    check_fraction("Alpha", alpha)
    fractions = tuple((k + 1) / looks for k in range(looks))
    flat = shape is ClassicalBoundary.POCOCK

    def bounds(constant: float) -> list[float]:
        return [constant if flat else constant / math.sqrt(t) for t in fractions]

    def spent(constant: float) -> list[float]:
        walk, total = _Sequential(), 0.0
        used: list[float] = []
        for fraction, bound in zip(fractions, bounds(constant), strict=True):
            total += walk.crossing(fraction, bound)
            used.append(total)
            walk.advance(fraction, bound)
        return used

    high = z_upper(alpha / looks) + 0.1
    constant = float(optimize.brentq(lambda c: spent(c)[-1] - alpha, z_upper(alpha) - 0.1, high, xtol=1e-10))
    convention = f"Classical boundary ({shape.value}), equally spaced looks, one-sided, no stopping for futility."
    return _boundary(fractions, alpha, shape, convention, bounds(constant), spent(constant))


class _Sequential:
    """Distribution of the score process W(t) = Z sqrt(t) on the paths that have not crossed so far.

    Simpson's rule on the z scale from -9 to the bound.
    """

    _POINTS = 301
    _REACH = 9.0

    def __init__(self) -> None:
        self.time = 0.0
        self.points: Floats = np.zeros(1)
        self.masses: Floats = np.ones(1)

    def crossing(self, time: float, bound: float) -> float:
        """Probability to be above `bound` (z scale) at `time` without having crossed before."""
        distance = (bound * math.sqrt(time) - self.points) / math.sqrt(time - self.time)
        return float(np.sum(self.masses * special.ndtr(-distance)))

    def advance(self, time: float, bound: float) -> None:
        """Move to `time`, keeping the paths below `bound`."""
        root, step = math.sqrt(time), math.sqrt(time - self.time)
        points = root * np.linspace(-self._REACH, min(bound, self._REACH), self._POINTS)
        weights = np.full(self._POINTS, 2.0)
        weights[1::2] = 4.0
        weights[[0, -1]] = 1.0
        kernel = np.exp(-(((points[:, None] - self.points[None, :]) / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
        self.masses = (kernel @ self.masses) * weights * (points[1] - points[0]) / 3
        self.points, self.time = points, time


def _check_information(information: Sequence[float]) -> tuple[float, ...]:
    fractions = tuple(float(value) for value in information)
    rising = all(a < b for a, b in pairwise(fractions))
    if not fractions or not rising or fractions[0] <= 0 or fractions[-1] > 1 + 1e-9:
        raise ValueError("Information fractions must rise from above 0 to at most 1.")
    return fractions


def _boundary(
    information: tuple[float, ...],
    alpha: float,
    shape: SpendingFunction | ClassicalBoundary,
    convention: str,
    bounds: Sequence[float],
    used: Sequence[float],
) -> Boundary:
    nominal = tuple(normal_sf(z) for z in bounds)
    return Boundary(information, alpha, shape, convention, tuple(bounds), nominal, tuple(used))
