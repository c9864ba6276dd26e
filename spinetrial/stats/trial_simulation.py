"""The whole trial drawn many times: sites, permuted blocks, deaths, missing visits, analysis of two sets.

Every drawn trial is analysed as decision D16 of the protocol says: the score interval of study minus control in the
intention-to-treat set (a death or a missing visit counts as no response) and in the per-protocol set (only those
assessed and treated as planned).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from spinetrial.stats.checks import Bools, Floats, Ints, check_count, check_fraction, check_margin, check_rate
from spinetrial.stats.estimate import Estimate, Interval, Reason, known, no_interval, not_estimable
from spinetrial.stats.proportions import ProportionCI, ProportionMethod, proportion_ci
from spinetrial.stats.risk_difference import DifferenceMethod, score_limits

#: More trials or participants than this are refused rather than slow.
MOST_TRIALS = 100_000
MOST_PARTICIPANTS = 1_000
MOST_SITES = 50

# Participants drawn at once. Part of what a seed stands for: another number draws other trials.
_BATCH_PARTICIPANTS = 132_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScenario:
    """What is taken for true, and the rules of the trial. All rates are proportions; `block_sizes` are even.

    `study_rate`, `control_rate`: response among those assessed. `death`: died before the visit, either arm.
    `*_missing`: not assessed, of those alive. `*_deviation`: outside the per-protocol set, of those assessed.
    """

    participants: int
    sites: int
    block_sizes: tuple[int, ...]
    study_rate: float
    control_rate: float
    death: float
    study_missing: float
    control_missing: float
    study_deviation: float
    control_deviation: float
    margin: float
    level: float
    method: DifferenceMethod

    def __post_init__(self) -> None:
        if not 2 <= check_count("The number of participants", self.participants) <= MOST_PARTICIPANTS:
            raise ValueError(f"There must be 2 to {MOST_PARTICIPANTS} participants.")
        if not 1 <= check_count("The number of sites", self.sites) <= MOST_SITES:
            raise ValueError(f"There must be 1 to {MOST_SITES} sites.")
        if not self.block_sizes or any(check_count("A block size", s) < 2 or s % 2 for s in self.block_sizes):
            raise ValueError("Block sizes must be even and at least 2.")
        for field in fields(self):
            if field.type == "float" and field.name not in ("margin", "level"):
                check_rate(field.name, getattr(self, field.name))
        check_margin(self.margin)
        check_fraction("The confidence level", self.level)

    @property
    def itt_difference(self) -> float:
        """True difference in the ITT set, where a death or a missing visit counts as no response."""
        study = self.study_rate * (1 - self.study_missing)
        return (1 - self.death) * (study - self.control_rate * (1 - self.control_missing))

    @property
    def pp_difference(self) -> float:
        """True difference in the PP set: that of the response rates, because here nobody is missing for a reason."""
        return self.study_rate - self.control_rate

    def stored(self) -> dict[str, Any]:
        """As JSON; `TrialScenario.read` is the way back."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> TrialScenario:
        return cls(
            **{
                **stored,
                "block_sizes": tuple(stored["block_sizes"]),
                "method": DifferenceMethod(stored["method"]),
            }
        )


@dataclass(frozen=True, slots=True)
class SetTally:
    """One analysis set over all trials. Sums over the `estimable` trials, in which both arms had patients.

    `claims`: lower limit above the margin. `covered`: the interval holds the true difference of the set.
    `study_n`, `control_n`: patients in the set.
    """

    estimable: int = 0
    claims: int = 0
    covered: int = 0
    difference: float = 0.0
    difference_squared: float = 0.0
    study_n: int = 0
    control_n: int = 0

    def plus(self, other: SetTally) -> SetTally:
        return SetTally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def mean(self) -> tuple[Estimate, Estimate]:
        """(mean estimated difference, its Monte Carlo standard error)."""
        if self.estimable == 0:
            return not_estimable(Reason.EMPTY_ARM), not_estimable(Reason.EMPTY_ARM)
        mean = self.difference / self.estimable
        if self.estimable == 1:
            return known(mean), not_estimable(Reason.TOO_FEW_PATIENTS)
        variance = max(self.difference_squared / self.estimable - mean**2, 0.0)
        return known(mean), known(math.sqrt(variance / (self.estimable - 1)))


@dataclass(frozen=True, slots=True)
class SimulatedTrials:
    """How the drawn trials ended. The five conclusions of D16 exclude each other and add up to `trials`.

    `non_inferior` does not count the `superior` ones; `claims` counts both.
    """

    trials: int = 0
    seed: int = 0
    superior: int = 0
    non_inferior: int = 0
    inconclusive: int = 0
    inferior: int = 0
    not_estimable: int = 0
    itt: SetTally = SetTally()
    pp: SetTally = SetTally()
    largest_imbalance: int = 0

    @property
    def claims(self) -> int:
        """Trials that conclude non-inferior, with or without superiority."""
        return self.non_inferior + self.superior

    def plus(self, other: SimulatedTrials) -> SimulatedTrials:
        counts = ("trials", "superior", "non_inferior", "inconclusive", "inferior", "not_estimable")
        return SimulatedTrials(
            **{name: getattr(self, name) + getattr(other, name) for name in counts},
            seed=self.seed,
            itt=self.itt.plus(other.itt),
            pp=self.pp.plus(other.pp),
            largest_imbalance=max(self.largest_imbalance, other.largest_imbalance),
        )

    def stored(self) -> dict[str, Any]:
        """As JSON; `SimulatedTrials.read` is the way back."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> SimulatedTrials:
        return cls(**{**stored, "itt": SetTally(**stored["itt"]), "pp": SetTally(**stored["pp"])})


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """A probability found by simulation: `count` of `trials`, standard error and 95 % interval (Wilson)."""

    count: int
    trials: int
    probability: Estimate
    standard_error: Estimate
    interval: Interval


def monte_carlo(count: int, trials: int) -> MonteCarlo:
    """The share `count` of `trials` with its Monte Carlo error; no trials are not estimable."""
    found: ProportionCI = proportion_ci(count, trials, ProportionMethod.WILSON, 0.95)
    if found.estimate.value is None:
        nothing = not_estimable(Reason.NO_PATIENTS)
        return MonteCarlo(count, trials, nothing, nothing, no_interval(Reason.NO_PATIENTS, 0.95))
    p = found.estimate.value
    return MonteCarlo(count, trials, known(p), known(math.sqrt(p * (1 - p) / trials)), found.interval)


def simulate_trials(
    scenario: TrialScenario, trials: int, seed: int, tell: Callable[[int], None] = lambda _done: None
) -> SimulatedTrials:
    """Draw and analyse `trials` trials; the same scenario, number and seed give the same result.

    `tell` gets the number of trials done after each batch. Raises ValueError for a number or seed out of range.
    """
    if not 1 <= check_count("The number of trials", trials) <= MOST_TRIALS:
        raise ValueError(f"There must be 1 to {MOST_TRIALS} trials.")
    rng = np.random.Generator(np.random.PCG64(check_count("The seed", seed)))
    batch = max(1, _BATCH_PARTICIPANTS // scenario.participants)
    found = SimulatedTrials(seed=seed)
    while found.trials < trials:
        found = found.plus(_batch(scenario, min(batch, trials - found.trials), rng))
        tell(found.trials)
    return found


def permuted_blocks(rng: np.random.Generator, lists: int, length: int, sizes: Sequence[int]) -> Bools:
    """Allocation lists (one a row, True = study arm) of permuted blocks, each block's size drawn from `sizes`.

    Cut at `length`, so that the last block may be incomplete.
    """
    # Long enough that every block that begins before the cut is whole.
    width = length + max(sizes) - 1
    drawn = rng.choice(np.asarray(sizes, dtype=np.int64), size=(lists, max(1, math.ceil(width / min(sizes)))))
    ends = np.cumsum(drawn, axis=1)
    places = np.arange(width)
    block = np.zeros((lists, width), dtype=np.int64)
    for column in range(ends.shape[1]):
        block += places[None, :] >= ends[:, column, None]
    block = np.minimum(block, drawn.shape[1] - 1)
    size = np.take_along_axis(drawn, block, axis=1)
    place_in_block = places[None, :] - (np.take_along_axis(ends, block, axis=1) - size)
    ordered = place_in_block < size // 2
    # Whole part: the block; fraction: a random key. Sorting shuffles within blocks only.
    order = np.argsort(block + rng.random((lists, width)), axis=1)
    return np.asarray(np.take_along_axis(ordered, order, axis=1)[:, :length], dtype=np.bool_)


def _arms(scenario: TrialScenario, trials: int, rng: np.random.Generator) -> Bools:
    """Arms (True = study) of the participants of each trial, ordered by site; each site has its own list."""
    n, sites = scenario.participants, scenario.sites
    recruited = rng.multinomial(n, np.full(sites, 1 / sites), size=trials)
    length = int(recruited.max())
    lists = permuted_blocks(rng, trials * sites, length, scenario.block_sizes).reshape(trials, sites, length)
    used = np.arange(length)[None, None, :] < recruited[:, :, None]
    return lists[used].reshape(trials, n)


def _batch(scenario: TrialScenario, trials: int, rng: np.random.Generator) -> SimulatedTrials:
    study = _arms(scenario, trials, rng)

    def happens(in_study: float, in_control: float) -> Bools:
        return np.asarray(rng.random(study.shape) < np.where(study, in_study, in_control), dtype=np.bool_)

    died = happens(scenario.death, scenario.death)
    missed = happens(scenario.study_missing, scenario.control_missing)
    responds = happens(scenario.study_rate, scenario.control_rate)
    deviates = happens(scenario.study_deviation, scenario.control_deviation)
    assessed = ~died & ~missed
    everybody = np.ones_like(study)
    itt = _limits_of(scenario, study, everybody, assessed & responds)
    pp = _limits_of(scenario, study, assessed & ~deviates, responds)
    counts = {name: int(np.count_nonzero(which)) for name, which in conclusions(itt, pp, scenario.margin).items()}
    in_study = study.sum(axis=1)
    return SimulatedTrials(
        trials=trials,
        **counts,
        itt=itt.tally(scenario.margin, scenario.itt_difference),
        pp=pp.tally(scenario.margin, scenario.pp_difference),
        largest_imbalance=int(np.abs(2 * in_study - scenario.participants).max()),
    )


@dataclass(frozen=True, slots=True)
class SetLimits:
    """One set of many trials: sizes, difference, limits. `estimable` is False, the rest 0, where an arm is empty."""

    n1: Ints
    n0: Ints
    estimable: Bools
    difference: Floats
    lower: Floats
    upper: Floats

    def tally(self, margin: float, truth: float) -> SetTally:
        use = self.estimable
        found = self.difference[use]
        # A difference of exactly 1 or -1 lies on the end of its interval, as far as bisection can tell.
        covered = use & (self.lower <= truth + 1e-9) & (truth - 1e-9 <= self.upper)
        return SetTally(
            estimable=int(np.count_nonzero(use)),
            claims=int(np.count_nonzero(use & (self.lower > margin))),
            covered=int(np.count_nonzero(covered)),
            difference=float(found.sum()),
            difference_squared=float((found**2).sum()),
            study_n=int(self.n1[use].sum()),
            control_n=int(self.n0[use].sum()),
        )


def conclusions(itt: SetLimits, pp: SetLimits, margin: float) -> dict[str, Bools]:
    """Which trials end how (D16). A limit on the margin decides nothing; superior needs the ITT limit above 0."""
    estimable = itt.estimable & pp.estimable
    clear = estimable & (itt.lower > margin) & (pp.lower > margin)
    superior = clear & (itt.lower > 0)
    inferior = estimable & ~clear & (itt.upper < margin) & (pp.upper < margin)
    return {
        "superior": superior,
        "non_inferior": clear & ~superior,
        "inferior": inferior,
        "inconclusive": estimable & ~clear & ~inferior,
        "not_estimable": ~estimable,
    }


def _limits_of(scenario: TrialScenario, study: Bools, members: Bools, responders: Bools) -> SetLimits:
    tables = np.stack(
        [
            (responders & members & study).sum(axis=1),
            (members & study).sum(axis=1),
            (responders & members & ~study).sum(axis=1),
            (members & ~study).sum(axis=1),
        ],
        axis=1,
    ).astype(np.int64)
    return limits_of_tables(tables, scenario.method, scenario.level)


def limits_of_tables(tables: Ints, method: DifferenceMethod, level: float) -> SetLimits:
    """Limits of each row (x1, n1, x0, n0); each different row is computed once."""
    different, place = np.unique(tables, axis=0, return_inverse=True)
    place = place.reshape(-1)
    x1, n1, x0, n0 = different.T
    use = (n1 > 0) & (n0 > 0)
    difference, lower, upper = (np.zeros(len(different)) for _ in range(3))
    if use.any():
        difference[use] = x1[use] / n1[use] - x0[use] / n0[use]
        lower[use], upper[use] = score_limits(x1[use], n1[use], x0[use], n0[use], method, level)
    return SetLimits(tables[:, 1], tables[:, 3], use[place], difference[place], lower[place], upper[place])
