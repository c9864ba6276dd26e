"""Missing outcomes: pooling over imputations, and the tipping-point grid of a binary outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinetrial.stats.checks import check_binomial, check_count, check_fraction, finite_array
from spinetrial.stats.distributions import t_quantile
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable
from spinetrial.stats.noninferiority import NonInferiorityMethod, noninferiority_grid, noninferiority_test

# The R package mice takes at least this share of the variance as due to missing data, so that the degrees of freedom
# stay finite when all imputations agree.
_LEAST_LAMBDA = 1e-4


@dataclass(frozen=True, slots=True)
class RubinPooled:
    """Pooled estimate over m imputations.

    `relative_increase` of the variance by missing data, `missing_information` its fraction; `df` of Barnard-Rubin.
    """

    m: int
    df_complete: float
    level: float
    convention: str
    estimate: Estimate
    within: Estimate
    between: Estimate
    total: Estimate
    se: Estimate
    df: Estimate
    relative_increase: Estimate
    missing_information: Estimate
    interval: Interval


def rubin_pool(
    estimates: Sequence[float], variances: Sequence[float], df_complete: float, level: float = 0.95
) -> RubinPooled:
    """Pool `estimates` with squared standard errors `variances`; `df_complete` is n - k of the complete data.

    Not estimable: fewer than two imputations, a total variance of zero. Raises ValueError for negative variances or
    unequal lengths. Sources: Rubin 1987, chapter 3; Barnard and Rubin, Biometrika 1999;86:948-955.
    """
    q, u = finite_array("Estimates", estimates), finite_array("Variances", variances)
    check_fraction("The confidence level", level)
    if len(q) != len(u):
        raise ValueError("Estimates and variances must have the same length.")
    if np.any(u < 0):
        raise ValueError("A variance must not be negative.")
    if not df_complete > 0:
        raise ValueError("The degrees of freedom of the complete data must be positive.")
    convention = "Rubin's rules; Barnard-Rubin degrees of freedom with a share of missing variance of at least 1e-4."
    m = len(q)
    if m < 2:
        none, nothing = not_estimable(Reason.TOO_FEW_IMPUTATIONS), no_interval(Reason.TOO_FEW_IMPUTATIONS, level)
        only = (known(float(q[0])), known(float(u[0]))) if m else (none, none)
        return RubinPooled(m, df_complete, level, convention, *only, none, none, none, none, none, none, nothing)
    mean, within, between = float(np.mean(q)), float(np.mean(u)), float(np.var(q, ddof=1))
    total = within + (1 + 1 / m) * between
    first = (known(mean), known(within), known(between), known(total), known(math.sqrt(total)))
    if total == 0:
        none, nothing = not_estimable(Reason.ZERO_VARIANCE), no_interval(Reason.ZERO_VARIANCE, level)
        return RubinPooled(m, df_complete, level, convention, *first, none, none, none, nothing)
    share = max((1 + 1 / m) * between / total, _LEAST_LAMBDA)
    old = (m - 1) / share**2
    if math.isinf(df_complete):
        df = old
    else:
        observed = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
        df = old * observed / (old + observed)
    half = t_quantile(level, df) * math.sqrt(total) if df > 0 else 0.0
    limits = interval(mean - half, mean + half, level) if df > 0 else no_interval(Reason.ZERO_VARIANCE, level)
    if within > 0:
        increase = (1 + 1 / m) * between / within
        more = known(increase), known((increase + 2 / (df + 3)) / (increase + 1))
    else:
        more = not_estimable(Reason.ZERO_VARIANCE), not_estimable(Reason.ZERO_VARIANCE)
    return RubinPooled(m, df_complete, level, convention, *first, known(df), *more, limits)


@dataclass(frozen=True, slots=True)
class TippingPoint:
    """p of the non-inferiority test for every way to fill the missing outcomes in.

    `p[i][j]`: i of the missing study patients and j of the missing control patients counted as responders.
    `worst` has no study and all control patients respond, `best` the reverse, `all_failures` neither.
    """

    x1: int
    n1_observed: int
    missing1: int
    x0: int
    n0_observed: int
    missing0: int
    margin: float
    alpha: float
    method: NonInferiorityMethod
    convention: str
    p: tuple[tuple[Estimate, ...], ...]
    n_cells: int
    n_noninferior: int
    worst: Estimate
    best: Estimate
    all_failures: Estimate


def tipping_point(
    x1: int,
    n1_observed: int,
    missing1: int,
    x0: int,
    n0_observed: int,
    missing0: int,
    margin: float,
    alpha: float,
    method: NonInferiorityMethod,
) -> TippingPoint:
    """Non-inferiority p over the grid of imputed responders; a cell counts as non-inferior where p <= `alpha`.

    A cell that is not estimable is never non-inferior. Raises ValueError as `noninferiority_test` does.
    Source: Yan, Lee and Li, Journal of Biopharmaceutical Statistics 2009;19:1085-1098.
    """
    method = NonInferiorityMethod(method)
    x1, n1_observed = check_binomial(x1, n1_observed, "study")
    x0, n0_observed = check_binomial(x0, n0_observed, "control")
    missing1 = check_count("The number of missing outcomes of the study arm", missing1)
    missing0 = check_count("The number of missing outcomes of the control arm", missing0)
    check_fraction("The one-sided alpha", alpha)
    n1, n0 = n1_observed + missing1, n0_observed + missing0
    first = noninferiority_test(x1, n1, x0, n0, margin, method)
    if method is NonInferiorityMethod.EXACT_UNCONDITIONAL:
        p = tuple(
            tuple(noninferiority_test(x1 + i, n1, x0 + j, n0, margin, method).p for j in range(missing0 + 1))
            for i in range(missing1 + 1)
        )
    else:
        counts1, counts0 = x1 + np.arange(missing1 + 1), x0 + np.arange(missing0 + 1)
        p = noninferiority_grid(counts1, n1, counts0, n0, margin, method)
    claimed = sum(cell.value is not None and cell.value <= alpha for row in p for cell in row)
    convention = f"Every number of imputed responders per arm; {first.convention}"
    return TippingPoint(
        x1, n1_observed, missing1, x0, n0_observed, missing0, margin, alpha, method, convention, p,
        (missing1 + 1) * (missing0 + 1), claimed, p[0][missing0], p[missing1][0], p[0][0],
    )  # fmt: skip
