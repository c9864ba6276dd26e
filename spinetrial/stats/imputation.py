"""Multiple imputation of a binary outcome in two arms, and the pooled difference of the rates.

Random numbers are uniforms of the PCG64 bit generator; normals are their inverse. Nothing else of numpy's generators is
used, whose other streams may change between versions: the same seed gives the same sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from spinetrial.stats.checks import Bools, Floats, check_fraction, check_margin
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable
from spinetrial.stats.missing import RubinPooled, rubin_pool

#: Half-distance of the added records from the mean, in standard deviations, as the R package mice has it.
_AUGMENTED_AT = 0.5
_MAX_STEPS = 100
_CONVENTION = (
    "Logistic regression of the observed outcomes on arm and covariates, with added records against separation "
    "(White, Daniel and Royston 2010); coefficients drawn from their normal approximation, then the outcomes; "
    "unpooled (Wald) variance per set."
)


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients (intercept first) with their covariance matrix, and the number of Newton steps."""

    coefficients: Floats
    covariance: Floats
    steps: int


def augmented_logistic(outcome: Bools, covariates: Floats) -> LogisticFit:
    """Logistic regression that stays finite under separation.

    `covariates` has one row per patient and no intercept. For every covariate four records are added: both outcomes at
    its mean plus and minus half a standard deviation, the others at their means; together they weigh as much as there
    are coefficients. A column that does not vary must not be given. Raises ValueError when the rows do not match.
    Source: White, Daniel and Royston, Computational Statistics and Data Analysis 2010;54:2267-2275.
    """
    y, x = np.asarray(outcome, dtype=np.float64), np.asarray(covariates, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError("Each outcome needs one row of covariates.")
    p = x.shape[1]
    weight = np.ones(len(y))
    if p:
        mean, spread = x.mean(axis=0), x.std(axis=0, ddof=1) if len(x) > 1 else np.zeros(p)
        added = np.tile(mean, (4 * p, 1))
        for column in range(p):
            for number, side in enumerate((1, 1, -1, -1)):
                added[4 * column + number, column] += side * _AUGMENTED_AT * spread[column]
        x, y = np.vstack([x, added]), np.concatenate([y, np.tile([0.0, 1.0], 2 * p)])
        weight = np.concatenate([weight, np.full(4 * p, (p + 1) / (4 * p))])
    else:  # nothing to add records at: half a patient with each outcome, as Jeffreys' prior
        x, y, weight = np.zeros((len(y) + 2, 0)), np.append(y, [0.0, 1.0]), np.append(weight, [0.5, 0.5])
    return _newton(np.column_stack([np.ones(len(x)), x]), y, weight)


def _newton(x: Floats, y: Floats, weight: Floats) -> LogisticFit:
    """Weighted maximum likelihood; steps are halved while the likelihood falls."""
    beta = np.zeros(x.shape[1])
    height = _log_likelihood(x @ beta, y, weight)
    steps = 0
    while steps < _MAX_STEPS:
        steps += 1
        rate = special.expit(x @ beta)
        gradient = x.T @ (weight * (y - rate))
        move = np.linalg.lstsq(_information(x, rate, weight), gradient, rcond=None)[0]
        higher = _log_likelihood(x @ (beta + move), y, weight)
        while higher < height - 1e-12 and np.max(np.abs(move)) > 1e-12:
            move = move / 2
            higher = _log_likelihood(x @ (beta + move), y, weight)
        beta = beta + move
        if abs(higher - height) < 1e-12 * (1 + abs(height)) and np.max(np.abs(move)) < 1e-9:
            break
        height = higher
    covariance = np.linalg.pinv(_information(x, special.expit(x @ beta), weight), hermitian=True)
    return LogisticFit(beta, np.asarray(covariance, dtype=np.float64), steps)


def _information(x: Floats, rate: Floats, weight: Floats) -> Floats:
    scaled = x * (weight * rate * (1 - rate))[:, None]
    return np.asarray(x.T @ scaled)


def _log_likelihood(eta: Floats, y: Floats, weight: Floats) -> float:
    return float(np.sum(weight * (y * eta - np.logaddexp(0.0, eta))))


@dataclass(frozen=True, slots=True)
class ImputedDifference:
    """Difference of the rates, study minus control, pooled over imputed sets.

    `responders1`, `responders0`: responders of each set by arm (`x` observed ones among them). `n_modelled`: patients
    the imputation model was fitted to; `n_terms`: its coefficients. `difference` is None where nothing was imputed;
    `p` is the one-sided p of H0: difference <= `margin` from the pooled t. `reason` says why there is no pooled result.
    """

    n1: int
    x1: int
    missing1: int
    n0: int
    x0: int
    missing0: int
    n_modelled: int
    n_terms: int
    m: int
    seed: int
    margin: float
    level: float
    convention: str
    responders1: tuple[int, ...]
    responders0: tuple[int, ...]
    pooled: RubinPooled | None
    p: Estimate
    reason: Reason | None


def imputed_difference(
    outcome: Sequence[bool] | Bools,
    missing: Sequence[bool] | Bools,
    modelled: Sequence[bool] | Bools,
    study: Sequence[bool] | Bools,
    covariates: Sequence[Sequence[float]] | Floats,
    *,
    imputations: int,
    seed: int,
    margin: float,
    level: float = 0.95,
) -> ImputedDifference:
    """Impute the `missing` outcomes `imputations` times and pool the difference of the rates (Rubin).

    One entry per patient: `outcome` true for a responder (its value does not matter where missing); `modelled` true
    where the known outcome informs the imputation (not for an outcome decided by death, say); `study` true in the study
    arm. `covariates` (patients x columns, finite): arm is added by this function. Columns are standardised; those that
    do not vary among the modelled patients are dropped. A normal posterior is drawn per set, so the imputation is
    proper. Not estimable: an empty arm, missing outcomes in an arm none of whose patients is modelled, fewer than two
    imputations, no variance. Raises ValueError for unequal lengths or covariates that are not finite.
    Sources: Rubin 1987, sections 3 and 5.3; White, Daniel and Royston 2010; Barnard and Rubin 1999.
    """
    y, gone, informs, arm = (np.asarray(each, dtype=np.bool_) for each in (outcome, missing, modelled, study))
    x = np.asarray(covariates, dtype=np.float64).reshape(len(y), -1) if len(y) else np.zeros((0, 0))
    if not len(y) == len(gone) == len(informs) == len(arm):
        raise ValueError("Outcomes, arms and marks must have the same length.")
    if not np.all(np.isfinite(x)):
        raise ValueError("Covariates must not contain missing or infinite numbers.")
    if imputations < 1:
        raise ValueError("At least one imputation is needed.")
    check_fraction("The confidence level", level)
    check_margin(margin)
    informs = informs & ~gone
    seen = y & ~gone
    counts = [(int(np.sum(a)), int(np.sum(seen & a)), int(np.sum(gone & a))) for a in (arm, ~arm)]

    def result(
        drawn1: tuple[int, ...], drawn0: tuple[int, ...], terms: int, pooled: RubinPooled | None, p: Estimate
    ) -> ImputedDifference:
        return ImputedDifference(
            *counts[0], *counts[1], int(np.sum(informs)), terms, imputations, seed, margin, level, _CONVENTION,
            drawn1, drawn0, pooled, p, p.reason,
        )  # fmt: skip

    if not counts[0][0] or not counts[1][0]:
        return result((), (), 0, None, not_estimable(Reason.EMPTY_ARM))
    if any(lost and not np.any(informs & a) for (_n, _x, lost), a in zip(counts, (arm, ~arm), strict=True)):
        return result((), (), 0, None, not_estimable(Reason.NOTHING_OBSERVED))
    draws, terms = _draws(y, gone, informs, arm, x, imputations, seed)
    drawn1 = tuple(counts[0][1] + int(k) for k in draws[:, arm[gone]].sum(axis=1))
    drawn0 = tuple(counts[1][1] + int(k) for k in draws[:, ~arm[gone]].sum(axis=1))
    n1, n0 = counts[0][0], counts[1][0]
    rates = [(k1 / n1, k0 / n0) for k1, k0 in zip(drawn1, drawn0, strict=True)]
    pooled = rubin_pool(
        [p1 - p0 for p1, p0 in rates], [p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0 for p1, p0 in rates],
        max(n1 + n0 - 2, 1), level,
    )  # fmt: skip
    return result(drawn1, drawn0, terms, pooled, _p(pooled, margin))


def _draws(
    y: Bools, gone: Bools, informs: Bools, arm: Bools, x: Floats, imputations: int, seed: int
) -> tuple[Bools, int]:
    """Imputed outcomes (sets x missing patients) and the number of coefficients of the model."""
    if not np.any(gone):
        return np.zeros((imputations, 0), dtype=np.bool_), 0
    columns = np.column_stack([arm.astype(np.float64), x])
    inside = columns[informs]
    centre, spread = inside.mean(axis=0), inside.std(axis=0)
    keep = spread > 1e-12
    scaled = (columns[:, keep] - centre[keep]) / spread[keep]
    fit = augmented_logistic(y[informs], scaled[informs])
    uniforms = np.random.Generator(np.random.PCG64(seed))
    terms, lost = len(fit.coefficients), int(np.sum(gone))
    # One set after the other: with more sets the first ones stay what they were.
    stream = uniforms.random((imputations, terms + lost))
    normals = special.ndtri(np.clip(stream[:, :terms], 1e-16, 1 - 1e-16))
    beta = fit.coefficients + normals @ _root(fit.covariance).T
    rates = special.expit(beta @ np.column_stack([np.ones(lost), scaled[gone]]).T)
    return stream[:, terms:] < rates, terms


def _root(covariance: Floats) -> Floats:
    """A matrix whose product with its transpose is `covariance`; lower triangular, so that it has one sign."""
    return np.linalg.cholesky(covariance + np.eye(len(covariance)) * 1e-12 * np.trace(covariance))


def _p(pooled: RubinPooled, margin: float) -> Estimate:
    estimate, se, df = pooled.estimate.value, pooled.se.value, pooled.df.value
    if estimate is None or se is None or df is None:
        return not_estimable(pooled.df.reason or pooled.se.reason or Reason.ZERO_VARIANCE)
    if se == 0 or df <= 0 or not math.isfinite(estimate):
        return not_estimable(Reason.ZERO_VARIANCE)
    return known(float(special.stdtr(df, -(estimate - margin) / se)))
