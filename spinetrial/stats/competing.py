"""Time to an event with competing events: cumulative incidence and Gray's test.

Cause codes: 0 censored, positive whole numbers for the causes. At equal times events come before censorings; ties are
used as they are (a program that jitters them at random gives another answer each time).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinetrial.stats.checks import Floats, Ints, check_counts, finite_array
from spinetrial.stats.distributions import chi2_sf, z_two_sided
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable

CIF_CONVENTION = (
    "Aalen-Johansen cumulative incidence, Aalen-type variance with the tie factor of the R package cmprsk, interval "
    "F^exp(+-z se / (F ln F)); events before censorings at equal times."
)
GRAY_CONVENTION = "Gray's test of equal cumulative incidence, weight rho = 0, two-sided."


# A common incidence of 1 may miss it by some last bits.
_F0_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class IncidencePoint:
    """Cumulative incidence at one time; `n_events` and `n_competing` are those exactly at it."""

    time: float
    n_risk: int
    n_events: int
    n_competing: int
    n_censored: int
    incidence: Estimate
    variance: Estimate
    lower: Estimate
    upper: Estimate


@dataclass(frozen=True, slots=True)
class CumulativeIncidence:
    """Cumulative incidence of one cause: one step per distinct time."""

    n: int
    cause: int
    level: float
    convention: str
    steps: tuple[IncidencePoint, ...]
    complete: bool
    """True where everybody had an event of some kind, so that the curve is known for all later times."""

    def at(self, time: float) -> IncidencePoint:
        """The curve at `time`; not estimable beyond the last observation unless the curve is complete."""
        n_risk = next((step.n_risk for step in self.steps if step.time >= time), 0)
        before = [step for step in self.steps if step.time <= time]
        if not self.steps or (time > self.steps[-1].time and not self.complete):
            none = not_estimable(Reason.BEYOND_FOLLOW_UP if self.steps else Reason.NO_PATIENTS)
            return IncidencePoint(time, n_risk, 0, 0, 0, none, none, none, none)
        if not before:
            limit = not_estimable(Reason.AT_BOUNDARY)
            return IncidencePoint(time, n_risk, 0, 0, 0, known(0), known(0), limit, limit)
        last = before[-1]
        if last.time == time:
            return last
        return IncidencePoint(time, n_risk, 0, 0, 0, last.incidence, last.variance, last.lower, last.upper)


@dataclass(frozen=True, slots=True)
class GrayTest:
    """Gray's test for one cause over the groups in `groups`; `scores` are observed less expected events."""

    groups: tuple[str, ...]
    n: tuple[int, ...]
    events: tuple[int, ...]
    cause: int
    convention: str
    scores: tuple[float, ...]
    statistic: Estimate
    df: int
    p: Estimate


def cumulative_incidence(
    times: Sequence[float], causes: Sequence[int], cause: int, level: float = 0.95
) -> CumulativeIncidence:
    """Cumulative incidence of `cause` with the other causes competing.

    No patients: every value not estimable. Sources: Aalen, Annals of Statistics 1978;6:534-545 (estimate and variance
    of the counting process); Gray, ibid. 1988;16:1141-1154; Choudhury 2002 (interval on the log-log scale).
    """
    t, code = _follow_up(times, causes)
    _check_cause(cause)
    z = z_two_sided(level)
    steps: list[IncidencePoint] = []
    survival, incidence = 1.0, 0.0
    # The variance at t is the sum over event times s of dM(s) (A(s) + B(s) F(t))^2, expanded in powers of F(t).
    constant = linear = square = 0.0
    variance = 0.0
    for time in np.unique(t):
        n_risk, here = int(np.sum(t >= time)), code[t == time]
        own, other = int(np.sum(here == cause)), int(np.sum((here != cause) & (here != 0)))
        after = survival * (n_risk - own - other) / n_risk
        incidence += survival * own / n_risk
        for count, is_own in ((other, False), (own, True)):
            if count == 0 or (after <= 0 and not is_own):
                continue
            spread = survival**2 * count * _tie_factor(count, n_risk) / n_risk**2
            slope = 1 / after if after > 0 else 0.0
            offset = slope * incidence + (1.0 if is_own else 0.0)
            constant += spread * offset**2
            linear += spread * offset * slope
            square += spread * slope**2
        if own:
            variance = constant - 2 * incidence * linear + incidence**2 * square
        survival = after
        lower, upper = _limits(incidence, variance, z)
        steps.append(
            IncidencePoint(
                float(time), n_risk, own, other, len(here) - own - other,
                known(incidence), known(max(variance, 0.0)), lower, upper,
            )
        )  # fmt: skip
    complete = bool(steps) and survival <= 0
    return CumulativeIncidence(len(t), cause, level, CIF_CONVENTION, tuple(steps), complete)


def gray_test(
    times: Sequence[float], causes: Sequence[int], groups: Sequence[str], order: Sequence[str], cause: int
) -> GrayTest:
    """Test that the cumulative incidence of `cause` is the same in all groups named in `order`.

    Not estimable: fewer than two groups with patients, no event of the cause, a singular or negative variance,
    events in two groups after the common incidence has come to 1.
    Source: Gray, Annals of Statistics 1988;16:1141-1154, with K groups, no strata and rho = 0.
    """
    t, code = _follow_up(times, causes)
    _check_cause(cause)
    if len(groups) != len(t):
        raise ValueError("Times, causes and groups must have the same length.")
    if len(set(order)) != len(order) or set(groups) - set(order):
        raise ValueError("The order must name every group once.")
    index = np.array([list(order).index(group) for group in groups], dtype=np.int64)
    sizes = np.bincount(index, minlength=len(order))
    events = np.bincount(index[code == cause], minlength=len(order))
    present = np.flatnonzero(sizes > 0)
    score, variance = np.zeros(len(order)), np.zeros((len(order), len(order)))
    reason = None
    if len(present) < 2:
        reason = Reason.TOO_FEW_GROUPS
    elif not np.any(code == cause):
        reason = Reason.NO_EVENTS
    df, statistic = max(len(present) - 1, 0), 0.0
    if reason is None:
        sums = _gray_score(t, code, index, len(order), cause)
        reason = Reason.TOO_FEW_PATIENTS if sums is None else None
        score, variance = sums or (score, variance)
    if reason is None:
        kept = present[:-1]
        matrix = variance[np.ix_(kept, kept)]
        if np.linalg.matrix_rank(matrix, tol=1e-10 * max(1.0, float(np.max(np.abs(matrix))))) < df:
            reason = Reason.ZERO_VARIANCE
        else:
            statistic = float(score[kept] @ np.linalg.solve(matrix, score[kept]))
            # With few patients and many ties the variance may come out negative.
            if statistic < -1e-9:
                reason = Reason.TOO_FEW_PATIENTS
    return GrayTest(
        groups=tuple(order),
        n=tuple(int(size) for size in sizes),
        events=tuple(int(count) for count in events),
        cause=cause,
        convention=GRAY_CONVENTION,
        scores=tuple(float(value) for value in score),
        statistic=not_estimable(reason) if reason else known(statistic),
        df=df,
        p=not_estimable(reason) if reason else known(chi2_sf(statistic, df)),
    )


def _gray_score(t: Floats, code: Ints, index: Ints, k: int, cause: int) -> tuple[Floats, Floats] | None:
    """Score vector and covariance matrix of Gray's test; None where the test divides by 1 - F0 = 0.

    That can happen in tiny groups of which one has ended before the others.

    Notation of the paper: Y risk set, S survival from any event, F1 cumulative incidence of the cause, all per group;
    h = Y/S(-); R = h (1 - F1(-)) is the adjusted risk set; F0 is the common incidence under the null hypothesis,
    dF0 = dN/sum h. With a(s) = diag(h) - h h'/sum h and C(s) = integral of a dF0/(1 - F0(-)) up to s, a jump of
    the cause in group g at s moves the scores by a_g(s) + w (C_g(end) - C_g(s)), w = 1 - (1 - F0(s))/S_g(s), and a
    competing jump by (1 - F0(s))/S_g(s) times the same difference; the covariance adds the squares of these moves times
    the variance of the jump.
    """
    score = np.zeros(k)
    before, incidence = np.ones(k), np.zeros(k)
    common = 0.0
    running = np.zeros((k, k))
    moves: list[tuple[float, Floats, float, int]] = []
    for time in np.unique(t[code != 0]):
        risk = np.bincount(index[t >= time], minlength=k).astype(np.float64)
        own = np.bincount(index[(t == time) & (code == cause)], minlength=k).astype(np.float64)
        other = np.bincount(index[(t == time) & (code != cause) & (code != 0)], minlength=k).astype(np.float64)
        in_risk = risk > 0
        after, h = before.copy(), np.zeros(k)
        after[in_risk] = before[in_risk] * (risk - own - other)[in_risk] / risk[in_risk]
        h[in_risk] = risk[in_risk] / before[in_risk]
        total, n_own = float(np.sum(h)), float(np.sum(own))
        adjusted = h * (1 - incidence)
        score += own - n_own * adjusted / float(np.sum(adjusted))
        moved = np.diag(h) - np.outer(h, h) / total
        # Where one group alone is left, a(s) is zero, and so is its share of the integral also where F0 has come to 1.
        if n_own and np.count_nonzero(in_risk) > 1:
            if abs(1 - common) < _F0_SLACK:
                return None
            running = running + moved * n_own / (total * (1 - common))
        common += n_own / total
        for group in np.flatnonzero(in_risk).tolist():
            y, s = float(risk[group]), float(before[group])
            weight = (1 - common) / after[group] if after[group] > 0 else 0.0
            if n_own:
                tie = 1 - (n_own - 1) / (total * s - 1) if n_own > 1 else 1.0
                drift = 1 - weight if after[group] > 0 else 1.0
                moves.append((tie * s * n_own / (total * y), moved[group] - drift * running[group], drift, group))
            if other[group] and after[group] > 0:
                spread = _tie_factor(int(other[group]), int(y)) * s**2 * other[group] / y**2
                moves.append((spread, -weight * running[group], weight, group))
        before = after
        incidence[in_risk] += own[in_risk] / h[in_risk]
    covariance = np.zeros((k, k))
    for variance, fixed, slope, place in moves:
        move = fixed + slope * running[place]
        covariance += variance * np.outer(move, move)
    return score, covariance


def _tie_factor(count: int, n_risk: int) -> float:
    """Share of the Poisson variance left when `count` of `n_risk` patients have their event at the same time."""
    return 1 - (count - 1) / (n_risk - 1) if count > 1 else 1.0


def _limits(incidence: float, variance: float, z: float) -> tuple[Estimate, Estimate]:
    # An incidence of 1 may miss it by some last bits.
    if not 0 < incidence < 1 - 1e-12 or variance <= 0:
        return not_estimable(Reason.AT_BOUNDARY), not_estimable(Reason.AT_BOUNDARY)
    spread = z * math.sqrt(variance) / (incidence * abs(math.log(incidence)))
    return known(incidence ** math.exp(spread)), known(incidence ** math.exp(-spread))


def _check_cause(cause: int) -> None:
    if cause < 1:
        raise ValueError("The cause of interest must be a positive code (0 means censored).")


def _follow_up(times: Sequence[float], causes: Sequence[int]) -> tuple[Floats, Ints]:
    t = finite_array("Follow-up times", times)
    code = np.array(check_counts("A cause code", causes), dtype=np.int64)
    if len(t) != len(code):
        raise ValueError("Times and causes must have the same length.")
    if np.any(t < 0):
        raise ValueError("A follow-up time must not be negative.")
    return t, code
