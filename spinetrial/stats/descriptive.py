"""Description of one sample: mean with its t interval, standard deviation, median and quartiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinetrial.stats.checks import check_fraction, finite_array
from spinetrial.stats.distributions import t_quantile
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable

CONVENTION = (
    "Standard deviation with n - 1; t interval of the mean; quartiles by linear interpolation (type 7 of Hyndman and "
    "Fan)."
)


@dataclass(frozen=True, slots=True)
class Description:
    """A sample of `n` values in its own unit."""

    n: int
    level: float
    convention: str
    mean: Estimate
    sd: Estimate
    interval: Interval
    median: Estimate
    lower_quartile: Estimate
    upper_quartile: Estimate
    minimum: Estimate
    maximum: Estimate


def describe(values: Sequence[float], level: float = 0.95) -> Description:
    """The sample in numbers. Not estimable: everything without values; spread and interval with one value, the
    interval also where all values are equal.

    Source: Hyndman and Fan, The American Statistician 1996;50:361-365 (quartiles).
    """
    check_fraction("The confidence level", level)
    sample = finite_array("The values", values)
    n = len(sample)
    if n == 0:
        none = not_estimable(Reason.NO_PATIENTS)
        nothing = no_interval(Reason.NO_PATIENTS, level)
        return Description(0, level, CONVENTION, none, none, nothing, none, none, none, none, none)
    mean = float(np.mean(sample))
    # Lowest, quartiles and median, highest are the quantiles of 0 to 1 in quarters.
    lowest, lower, median, upper, highest = (
        known(float(each)) for each in np.quantile(sample, (0, 0.25, 0.5, 0.75, 1))
    )
    if n == 1:
        none, nothing = not_estimable(Reason.TOO_FEW_PATIENTS), no_interval(Reason.TOO_FEW_PATIENTS, level)
        return Description(1, level, CONVENTION, known(mean), none, nothing, median, lower, upper, lowest, highest)
    # Equal values may have a standard deviation of 1e-17 in binary arithmetic.
    if np.all(sample == sample[0]):
        spread, limits = 0.0, no_interval(Reason.ZERO_VARIANCE, level)
    else:
        spread = float(np.std(sample, ddof=1))
        half = t_quantile(level, n - 1) * spread / math.sqrt(n)
        limits = interval(mean - half, mean + half, level)
    return Description(n, level, CONVENTION, known(mean), known(spread), limits, median, lower, upper, lowest, highest)
