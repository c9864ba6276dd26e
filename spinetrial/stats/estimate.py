"""The one way in which this package says a number, or says that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a number is not estimable. The name is the stable key (for translation), the value is English."""

    EMPTY_ARM = "There are no patients in at least one arm."
    NO_PATIENTS = "There are no patients."
    ZERO_VARIANCE = "The variance is zero, so the statistic is not defined."
    NO_EVENTS = "There are no events."
    NO_EVENTS_IN_ONE_ARM = "One arm has no event, so the ratio has no finite estimate."
    EMPTY_MARGIN = "All patients are in one row or one column of the table."
    UNDEFINED_RATIO = "The ratio is zero divided by zero."
    ZERO_CELL = "The logarithm of a ratio with a zero cell has no confidence interval."
    AT_BOUNDARY = "The log-log confidence interval is not defined where the curve is 0 or 1."
    NOT_REACHED = "The curve does not reach one half."
    BEYOND_FOLLOW_UP = "The time lies beyond the last observation and the curve has not ended."
    TOO_FEW_PATIENTS = "There are too few patients for this estimate."
    TOO_FEW_GROUPS = "Fewer than two groups have patients."
    HAS_TIES = "The exact test without ties does not apply because there are ties."
    ALL_DIFFERENCES_ZERO = "All paired differences are zero."
    TOO_LARGE = "The table or sample is too large for exact enumeration."
    NO_RESIDUAL_DF = "There are no residual degrees of freedom."
    SINGULAR_DESIGN = "The model's terms cannot be told apart in these data."
    NOT_CONVERGED = "The fit did not converge."
    NO_INTERIOR_MAXIMUM = "The likelihood has no finite maximum."
    COMPLETE_SEPARATION = "The groups share no level, so the distance is not finite."
    NO_SOLUTION = "No sample size meets the requirement."
    TOO_FEW_IMPUTATIONS = "At least two imputations are needed for the variance between them."
    NOTHING_OBSERVED = "An arm has missing outcomes and no observed one to impute them from."
    NO_STANDARD_DEVIATION = "The standard deviation needs at least two patients per arm."


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, or the reason why there is none.

    Exactly one of `value` and `reason` is set. The value is never NaN; it is infinite only where a result says
    that it may be (an odds ratio with an empty cell).
    """

    value: float | None
    reason: Reason | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("An estimate has either a value or a reason for having none.")
        if self.value is not None and math.isnan(self.value):
            raise ValueError("An estimate is never NaN: give the reason why it is not estimable.")

    @property
    def estimable(self) -> bool:
        """True where there is a value."""
        return self.value is not None


def known(value: float) -> Estimate:
    """An estimate with a value."""
    return Estimate(float(value))


def not_estimable(reason: Reason) -> Estimate:
    """An estimate without a value."""
    return Estimate(None, reason)


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval with its level; a limit may be not estimable on its own."""

    lower: Estimate
    upper: Estimate
    level: float


def interval(lower: float, upper: float, level: float) -> Interval:
    """An interval with both limits known."""
    return Interval(known(lower), known(upper), level)


def no_interval(reason: Reason, level: float) -> Interval:
    """An interval with neither limit estimable."""
    return Interval(not_estimable(reason), not_estimable(reason), level)


def clipped(given: Interval, low: float, high: float) -> Interval:
    """The same interval cut to the range of the parameter."""

    def cut(limit: Estimate) -> Estimate:
        return limit if limit.value is None else known(min(max(limit.value, low), high))

    return Interval(cut(given.lower), cut(given.upper), given.level)
