"""Standardised mean differences of a baseline table (Yang and Dalton, SAS Global Forum 2012, paper 335).

Group 1 minus group 2, divided by the root of the mean of the two variances; 0 against 0 is 0. The categorical
distance has no sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinetrial.stats.checks import check_binomial, check_counts, finite_array
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable


@dataclass(frozen=True, slots=True)
class StandardisedDifference:
    """A standardised difference with its convention."""

    convention: str
    smd: Estimate


def smd_continuous(mean1: float, sd1: float, mean2: float, sd2: float) -> StandardisedDifference:
    """(mean1 - mean2) over the root of the mean variance. Raises ValueError for a negative standard deviation."""
    finite_array("Means and standard deviations", [mean1, sd1, mean2, sd2])
    if sd1 < 0 or sd2 < 0:
        raise ValueError("A standard deviation must not be negative.")
    convention = "Difference of means over the root of the mean of the two variances."
    return StandardisedDifference(convention, _ratio(mean1 - mean2, (sd1**2 + sd2**2) / 2))


def smd_binary(x1: int, n1: int, x2: int, n2: int) -> StandardisedDifference:
    """Difference of proportions x1/n1 - x2/n2 over the root of the mean of p(1 - p)."""
    x1, n1 = check_binomial(x1, n1)
    x2, n2 = check_binomial(x2, n2)
    convention = "Difference of proportions over the root of the mean of p(1-p)."
    if n1 == 0 or n2 == 0:
        return StandardisedDifference(convention, not_estimable(Reason.EMPTY_ARM))
    p1, p2 = x1 / n1, x2 / n2
    return StandardisedDifference(convention, _ratio(p1 - p2, (p1 * (1 - p1) + p2 * (1 - p2)) / 2))


def smd_categorical(counts1: Sequence[int], counts2: Sequence[int]) -> StandardisedDifference:
    """Mahalanobis distance of the two vectors of level proportions, first level dropped.

    Levels that nobody has are left out. Not estimable: an empty group, or groups that a combination of levels
    separates completely.
    """
    first = np.array(check_counts("A level count", counts1), dtype=float)
    second = np.array(check_counts("A level count", counts2), dtype=float)
    if len(first) != len(second):
        raise ValueError("Both groups must list the same levels.")
    convention = "Mahalanobis distance of the level proportions, mean multinomial covariance, first level dropped."
    if first.sum() == 0 or second.sum() == 0:
        return StandardisedDifference(convention, not_estimable(Reason.EMPTY_ARM))
    seen = first + second > 0
    p, q = (first / first.sum())[seen][1:], (second / second.sum())[seen][1:]
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    difference = p - q
    # The generalised inverse serves where a direction has no variance and no difference.
    solution = np.linalg.pinv(covariance, rcond=1e-12, hermitian=True) @ difference
    if not np.allclose(covariance @ solution, difference, atol=1e-9):
        return StandardisedDifference(convention, not_estimable(Reason.COMPLETE_SEPARATION))
    return StandardisedDifference(convention, known(math.sqrt(max(float(difference @ solution), 0.0))))


def _ratio(difference: float, variance: float) -> Estimate:
    if difference == 0:
        return known(0.0)
    return known(difference / math.sqrt(variance)) if variance > 0 else not_estimable(Reason.ZERO_VARIANCE)
