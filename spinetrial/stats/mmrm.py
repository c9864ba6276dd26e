"""Mixed model for repeated measures by REML: covariance of the visits unstructured, or a simpler one by name.

Model: outcome ~ baseline + arm * visit, one covariance matrix of the visits for both arms, missing visits simply
absent (valid where they are missing at random). The arms are compared at each visit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import optimize, special

from spinetrial.stats.checks import Floats, Ints, check_fraction, finite_array
from spinetrial.stats.distributions import t_quantile, t_two_sided
from spinetrial.stats.estimate import Estimate, Interval, Reason, interval, known, no_interval, not_estimable


class MmrmMethod(StrEnum):
    """Standard error and degrees of freedom of the contrasts.

    SATTERTHWAITE: asymptotic standard error. KENWARD_ROGER: small-sample standard error with the second-derivative
    term in the log-Cholesky parameters, as the R package mmrm has it by default. KENWARD_ROGER_LINEAR: without that
    term, which vanishes when the parameters are the covariances themselves, as in SAS.
    """

    SATTERTHWAITE = "satterthwaite"
    KENWARD_ROGER = "kenward_roger"
    KENWARD_ROGER_LINEAR = "kenward_roger_linear"


class Structure(StrEnum):
    """Covariance of a patient's visits.

    UNSTRUCTURED: every variance and covariance of its own. COMPOUND_SYMMETRY_HETEROGENEOUS: a variance for each visit
    and one correlation for all pairs (SAS "CSH"); for one or two visits it is the unstructured one.
    """

    UNSTRUCTURED = "unstructured"
    COMPOUND_SYMMETRY_HETEROGENEOUS = "compound_symmetry_heterogeneous"


_CSH_CONVENTION = (
    "REML, heterogeneous compound symmetry (a variance per visit, one correlation), Satterthwaite degrees of freedom "
    "from the observed information."
)
_CONVENTION = {
    MmrmMethod.SATTERTHWAITE: "REML, unstructured covariance, Satterthwaite degrees of freedom from the observed "
    "information.",
    MmrmMethod.KENWARD_ROGER: "REML, unstructured covariance, Kenward-Roger standard error in log-Cholesky parameters "
    "(as R mmrm), degrees of freedom from the observed information.",
    MmrmMethod.KENWARD_ROGER_LINEAR: "REML, unstructured covariance, Kenward-Roger standard error without second "
    "derivatives (as SAS), degrees of freedom from the observed information.",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """One outcome of one patient: `study` is True in the study arm; `outcome` None is left out."""

    subject: str
    study: bool
    visit: str
    baseline: float | None
    outcome: float | None


@dataclass(frozen=True, slots=True)
class VisitContrast:
    """Study - control at one visit, with adjusted means at the mean baseline of the patients analysed.

    `n_study` and `n_control` are the patients with an outcome at the visit. Standard error, degrees of freedom and
    interval of an adjusted mean are Satterthwaite's whatever the method of the contrast.
    """

    visit: str
    n_study: int
    n_control: int
    difference: Estimate
    se: Estimate
    df: Estimate
    t: Estimate
    p: Estimate
    interval: Interval
    mean_study: Estimate
    mean_control: Estimate
    se_mean_study: Estimate
    se_mean_control: Estimate
    interval_mean_study: Interval
    interval_mean_control: Interval


@dataclass(frozen=True, slots=True)
class Mmrm:
    """A fitted model; `covariance` is None where there is no fit, and every contrast then says why.

    `n_left_out` counts observations without baseline or outcome.
    """

    n_subjects: int
    n_observations: int
    n_left_out: int
    visits: tuple[str, ...]
    level: float
    method: MmrmMethod
    structure: Structure
    convention: str
    reml_log_likelihood: Estimate
    covariance: tuple[tuple[float, ...], ...] | None
    contrasts: tuple[VisitContrast, ...]


def mmrm(
    observations: Sequence[Observation],
    visits: Sequence[str],
    method: MmrmMethod,
    level: float = 0.95,
    structure: Structure = Structure.UNSTRUCTURED,
) -> Mmrm:
    """Fit the model and compare the arms at each of `visits` (in that order).

    Not estimable: a visit without outcomes in one arm, no patient in an arm, or a covariance the data do not
    determine (two visits that no patient has both of, fewer patients than parameters). Raises ValueError for a visit
    that is not named, a patient with two outcomes at a visit, two arms or two baselines, and for the Kenward-Roger
    methods with another covariance than the unstructured one.
    Sources: Mallinckrodt et al. 2008, Drug Information Journal 42:303-319; Fai and Cornelius 1996 (degrees of freedom);
    Kenward and Roger, Biometrics 1997;53:983-997.
    """
    method, structure = MmrmMethod(method), Structure(structure)
    simpler = structure is Structure.COMPOUND_SYMMETRY_HETEROGENEOUS
    if simpler and method is not MmrmMethod.SATTERTHWAITE:
        raise ValueError("Kenward-Roger standard errors are computed for the unstructured covariance only.")
    check_fraction("The confidence level", level)
    kept = _check(observations, visits)
    used = [visit for visit in visits if any(row.visit == visit for row in kept)]
    tally = {
        (visit, study): sum(1 for row in kept if row.visit == visit and row.study is study)
        for visit in visits
        for study in (True, False)
    }
    n_subjects = len({row.subject for row in kept})
    convention = _CSH_CONVENTION if simpler else _CONVENTION[method]
    left_out = len(observations) - len(kept)
    echo = (n_subjects, len(kept), left_out, tuple(visits), level, method, structure, convention)
    reason = Reason.NO_PATIENTS if not kept else None
    if kept and len({row.study for row in kept}) < 2:
        reason = Reason.EMPTY_ARM
    make = _CompoundSymmetry if simpler else _Model
    model = make(kept, used) if reason is None else None
    fit = None
    if model is not None:
        fit = model.fit()
        reason = fit if isinstance(fit, Reason) else None
    if model is None or fit is None or isinstance(fit, Reason):
        nothing = [
            _no_contrast(visit, tally[visit, True], tally[visit, False], reason or Reason.NOT_CONVERGED, level)
            for visit in visits
        ]
        return Mmrm(*echo, not_estimable(reason or Reason.NOT_CONVERGED), None, tuple(nothing))
    adjusted, moves = fit.beta_covariance, model.beta_covariance_derivatives(fit)
    if method is not MmrmMethod.SATTERTHWAITE:
        adjusted = model.adjusted_covariance(fit, second_order=method is MmrmMethod.KENWARD_ROGER)
    contrasts = []
    for visit in visits:
        n_study, n_control = tally[visit, True], tally[visit, False]
        if n_study and n_control:
            contrasts.append(model.contrast(fit, adjusted, moves, visit, n_study, n_control, level))
        else:
            contrasts.append(_no_contrast(visit, n_study, n_control, Reason.EMPTY_ARM, level))
    covariance = tuple(tuple(float(cell) for cell in row) for row in fit.covariance)
    return Mmrm(*echo, known(fit.log_likelihood), covariance, tuple(contrasts))


def _check(observations: Sequence[Observation], visits: Sequence[str]) -> list[Observation]:
    """The complete observations."""
    if len(set(visits)) != len(visits) or {row.visit for row in observations} - set(visits):
        raise ValueError("The list of visits must name every visit once.")
    kept = [row for row in observations if row.baseline is not None and row.outcome is not None]
    finite_array("Baseline and outcome", [value for row in kept for value in (row.baseline or 0.0, row.outcome or 0.0)])
    if len({(row.subject, row.visit) for row in kept}) != len(kept):
        raise ValueError("A patient has two outcomes at one visit.")
    if len({(row.subject, row.study, row.baseline) for row in kept}) != len({row.subject for row in kept}):
        raise ValueError("A patient has two arms or two baseline values.")
    return kept


def _no_contrast(visit: str, n_study: int, n_control: int, reason: Reason, level: float) -> VisitContrast:
    none, nothing = not_estimable(reason), no_interval(reason, level)
    return VisitContrast(
        visit, n_study, n_control, none, none, none, none, none, nothing, none, none, none, none, nothing, nothing
    )


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Patients with the same visits, reduced to sums over patients; X is a patient's design, r the residuals.

    `xx` has a row per pair of visits (m, n) and a column per pair of coefficients (sum of X_mp X_nq); `xr` is the sum
    of X_mp r_n and `rr` of r_m r_n. With these the cost of a step does not grow with the number of patients.
    """

    places: Ints
    n: int
    xx: Floats
    xr: Floats
    rr: Floats


@dataclass(frozen=True, slots=True)
class _State:
    """Everything the likelihood needs at one covariance matrix."""

    log_likelihood: float
    beta: Floats
    beta_covariance: Floats
    # Derivative of the log likelihood by the covariance matrix: d l = trace(slope dSigma) / 2.
    slope: Floats


@dataclass(frozen=True, slots=True)
class _Fit:
    theta: Floats
    covariance: Floats
    log_likelihood: float
    beta: Floats
    beta_covariance: Floats
    theta_covariance: Floats


class _Model:
    """Cell means (arm by visit) plus a slope for baseline; cells without patients have no coefficient.

    The covariance is D L L' D with D the diagonal of exp(theta[:k]) and L unit lower triangular with the rest of theta
    row by row: any theta gives a positive definite matrix. (D L is the Cholesky factor.)
    """

    _GRADIENT_LIMIT = 1e-5

    def __init__(self, rows: Sequence[Observation], visits: Sequence[str]) -> None:
        self.visits = list(visits)
        self.k = len(visits)
        self.n_parameters = self.k * (self.k + 1) // 2
        cells = sorted({(row.study, self.visits.index(row.visit)) for row in rows})
        self.column = {cell: place for place, cell in enumerate(cells)}
        self.p = len(cells) + 1
        baselines = {row.subject: row.baseline or 0.0 for row in rows}
        # Centred for numerical stability; a shift of baseline changes neither contrasts nor the REML likelihood.
        self.centre = float(np.mean(list(baselines.values())))
        self.spread = float(np.ptp(list(baselines.values())))
        self.n = len(rows)
        self.lower = np.tril_indices(self.k, -1)
        self.blocks = self._blocks(rows)
        self.design = np.concatenate([x.reshape(-1, self.p) for _, x, _ in self.blocks])
        self.outcome = np.concatenate([y.ravel() for _, _, y in self.blocks])
        # Residuals of least squares replace the outcome: the same likelihood, without loss of digits in the sums.
        self.first_beta = np.linalg.lstsq(self.design, self.outcome, rcond=None)[0]
        self.patterns = [self._pattern(*block) for block in self.blocks]

    def _blocks(self, rows: Sequence[Observation]) -> list[tuple[tuple[int, ...], Floats, Floats]]:
        """Per set of visits: the visits, the designs (patients x visits x coefficients) and the outcomes."""
        subjects: dict[str, list[Observation]] = {}
        for row in rows:
            subjects.setdefault(row.subject, []).append(row)
        grouped: dict[tuple[int, ...], list[tuple[Floats, Floats]]] = {}
        for mine in subjects.values():
            ordered = sorted(mine, key=lambda row: self.visits.index(row.visit))
            places = tuple(self.visits.index(row.visit) for row in ordered)
            design = np.zeros((len(places), self.p))
            for line, (row, place) in enumerate(zip(ordered, places, strict=True)):
                design[line, self.column[row.study, place]] = 1.0
                design[line, -1] = (row.baseline or 0.0) - self.centre
            grouped.setdefault(places, []).append((design, np.array([row.outcome or 0.0 for row in ordered])))
        return [
            (places, np.array([d for d, _ in parts]), np.array([y for _, y in parts]))
            for places, parts in sorted(grouped.items())
        ]

    def _pattern(self, places: tuple[int, ...], design: Floats, outcome: Floats) -> _Pattern:
        residual = outcome - design @ self.first_beta
        xx = np.einsum("imp,inq->mnpq", design, design).reshape(len(places) ** 2, self.p**2)
        return _Pattern(
            np.array(places), len(outcome), xx, np.einsum("imp,in->mnp", design, residual), residual.T @ residual
        )

    def covariance(self, theta: Floats) -> Floats:
        """The covariance matrix of the visits at the parameters."""
        factor = self.factor(theta)
        return np.asarray(factor @ factor.T)

    def factor(self, theta: Floats) -> Floats:
        """Cholesky factor of the covariance."""
        unit = np.eye(self.k)
        unit[self.lower] = theta[self.k :]
        return np.asarray(np.exp(theta[: self.k])[:, None] * unit)

    def evaluate(self, covariance: Floats) -> _State:
        """REML log likelihood at a covariance matrix, with constants, and its slope."""
        information, score, quadratic, log_det = np.zeros((self.p, self.p)), np.zeros(self.p), 0.0, 0.0
        inverses = []
        for pattern in self.patterns:
            sub = covariance[np.ix_(pattern.places, pattern.places)]
            inverse = np.asarray(np.linalg.inv(sub), dtype=np.float64)
            information += self.quadratic_form(pattern, inverse)
            score += np.einsum("mn,mnp->p", inverse, pattern.xr)
            quadratic += float(np.sum(inverse * pattern.rr))
            log_det += pattern.n * float(np.linalg.slogdet(sub)[1])
            inverses.append(inverse)
        beta_covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        beta = beta_covariance @ score
        # Sum over patients of the residuals' products plus the uncertainty of the fitted values.
        mixing = (beta_covariance + np.outer(beta, beta)).ravel()
        slope = np.zeros((self.k, self.k))
        for pattern, inverse in zip(self.patterns, inverses, strict=True):
            fitted = np.einsum("mnp,p->mn", pattern.xr, beta)
            spread = pattern.rr - fitted - fitted.T + (pattern.xx @ mixing).reshape(inverse.shape)
            slope[np.ix_(pattern.places, pattern.places)] += inverse @ spread @ inverse - pattern.n * inverse
        log_likelihood = -0.5 * (
            (self.n - self.p) * math.log(2 * math.pi)
            + log_det
            + float(np.linalg.slogdet(information)[1])
            + quadratic
            - float(score @ beta)
        )
        return _State(log_likelihood, self.first_beta + beta, beta_covariance, slope)

    def quadratic_form(self, pattern: _Pattern, middle: Floats) -> Floats:
        """Sum over the pattern's patients of X' A X for a matrix A over its visits."""
        return np.asarray((middle.ravel() @ pattern.xx).reshape(self.p, self.p))

    def derivatives(self, theta: Floats) -> list[Floats]:
        """First derivatives of the covariance by each parameter."""
        factor = self.factor(theta)
        return [part @ factor.T + factor @ part.T for part in self.factor_derivatives(theta)]

    def factor_derivatives(self, theta: Floats) -> list[Floats]:
        """First derivatives of the Cholesky factor: row i scales with theta[i], a cell moves with its own."""
        factor, scale = self.factor(theta), np.exp(theta[: self.k])
        parts = []
        for row in range(self.k):
            part = np.zeros((self.k, self.k))
            part[row] = factor[row]
            parts.append(part)
        for line, column in zip(*self.lower, strict=True):
            part = np.zeros((self.k, self.k))
            part[line, column] = scale[line]
            parts.append(part)
        return parts

    def second_derivative(self, theta: Floats, i: int, j: int) -> Floats:
        """Second derivative of the covariance by parameters i and j."""
        factor, parts = self.factor(theta), self.factor_derivatives(theta)
        row_i = i if i < self.k else int(self.lower[0][i - self.k])
        row_j = j if j < self.k else int(self.lower[0][j - self.k])
        mixed = np.zeros((self.k, self.k))
        # A scale parameter of the same row multiplies once more; two cells of the unit factor do not interact.
        if row_i == row_j and (i < self.k or j < self.k):
            mixed = parts[j] if i < self.k else parts[i]
        cross = parts[i] @ parts[j].T
        return np.asarray(mixed @ factor.T + factor @ mixed.T + cross + cross.T)

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Minus log likelihood and its gradient."""
        state = self.evaluate(self.covariance(theta))
        slopes = [0.5 * float(np.sum(state.slope * part)) for part in self.derivatives(theta)]
        return -state.log_likelihood, -np.array(slopes)

    def start(self) -> Floats:
        """Independent visits with the residual variances of ordinary least squares."""
        places = np.concatenate([np.tile(places, len(outcome)) for places, _, outcome in self.blocks])
        residual = self.outcome - self.design @ self.first_beta
        overall = max(float(np.mean(residual**2)), 1e-300)
        variances = [float(np.mean(residual[places == place] ** 2)) for place in range(self.k)]
        theta = np.zeros(self.n_parameters)
        theta[: self.k] = [0.5 * math.log(max(variance, 0.01 * overall)) for variance in variances]
        return theta

    def fit(self) -> _Fit | Reason:
        """Maximise the REML likelihood, or say why there is no maximum."""
        if self.spread == 0 or np.linalg.matrix_rank(self.design) < self.p:
            return Reason.SINGULAR_DESIGN
        if self.n <= self.p:
            return Reason.NO_RESIDUAL_DF
        residual = self.outcome - self.design @ self.first_beta
        if float(np.max(np.abs(residual))) <= 1e-10 * max(1.0, float(np.max(np.abs(self.outcome)))):
            return Reason.ZERO_VARIANCE
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                return self._maximise()
        except (np.linalg.LinAlgError, FloatingPointError):
            return Reason.NOT_CONVERGED

    def _maximise(self) -> _Fit | Reason:
        found = optimize.minimize(
            self.gradient, self.start(), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 300}
        )
        theta = np.asarray(found.x, dtype=np.float64)
        for _ in range(20):
            slope = self.gradient(theta)[1]
            if float(np.max(np.abs(slope))) < 1e-10:
                break
            hessian = self.hessian(theta)
            if float(np.min(np.linalg.eigvalsh(hessian))) <= 0:
                return Reason.NO_INTERIOR_MAXIMUM
            step = np.linalg.solve(hessian, slope)
            theta = theta - step / max(1.0, float(np.max(np.abs(step))))
        hessian = self.hessian(theta)
        eigenvalues = np.linalg.eigvalsh(hessian)
        # A direction without curvature is a covariance that the data do not determine.
        if eigenvalues[0] <= 1e-8 * eigenvalues[-1]:
            return Reason.NO_INTERIOR_MAXIMUM
        if float(np.max(np.abs(self.gradient(theta)[1]))) > self._GRADIENT_LIMIT:
            return Reason.NOT_CONVERGED
        covariance = self.covariance(theta)
        state = self.evaluate(covariance)
        return _Fit(
            theta,
            covariance,
            state.log_likelihood,
            state.beta,
            state.beta_covariance,
            np.asarray(np.linalg.inv(hessian), dtype=np.float64),
        )

    def hessian(self, theta: Floats) -> Floats:
        """Second derivatives of minus the log likelihood, by central differences of the exact gradient."""
        step = 1e-5
        columns = []
        for place in range(len(theta)):
            shift = np.zeros(len(theta))
            shift[place] = step * max(1.0, abs(theta[place]))
            difference = self.gradient(theta + shift)[1] - self.gradient(theta - shift)[1]
            columns.append(difference / (2 * shift[place]))
        matrix = np.array(columns)
        return np.asarray((matrix + matrix.T) / 2)

    def contrast(
        self,
        fit: _Fit,
        adjusted: Floats,
        moves: Sequence[Floats],
        visit: str,
        n_study: int,
        n_control: int,
        level: float,
    ) -> VisitContrast:
        """Study - control at a visit, standard error from `adjusted`; `moves` are `beta_covariance_derivatives`."""
        place = self.visits.index(visit)
        study, control = np.zeros(self.p), np.zeros(self.p)
        study[self.column[True, place]] = control[self.column[False, place]] = 1.0
        weights = study - control
        df = self.satterthwaite(fit, moves, weights)
        variance = float(weights @ adjusted @ weights)
        difference = float(weights @ fit.beta)
        (mean1, spread1, range1), (mean2, spread2, range2) = (
            self.adjusted_mean(fit, moves, arm, level) for arm in (study, control)
        )
        means = (mean1, mean2, spread1, spread2, range1, range2)
        if variance <= 0:
            none, nothing = not_estimable(Reason.ZERO_VARIANCE), no_interval(Reason.ZERO_VARIANCE, level)
            return VisitContrast(
                visit, n_study, n_control, known(difference), none, known(df), none, none, nothing, *means,
            )  # fmt: skip
        se = math.sqrt(variance)
        half = t_quantile(level, df) * se
        return VisitContrast(
            visit, n_study, n_control, known(difference), known(se), known(df), known(difference / se),
            known(t_two_sided(difference / se, df)), interval(difference - half, difference + half, level),
            *means,
        )  # fmt: skip

    def adjusted_mean(
        self, fit: _Fit, moves: Sequence[Floats], weights: Floats, level: float
    ) -> tuple[Estimate, Estimate, Interval]:
        """A combination of the coefficients with its standard error and interval."""
        mean, spread = float(weights @ fit.beta), math.sqrt(float(weights @ fit.beta_covariance @ weights))
        reach = t_quantile(level, self.satterthwaite(fit, moves, weights)) * spread
        return known(mean), known(spread), interval(mean - reach, mean + reach, level)

    def satterthwaite(self, fit: _Fit, moves: Sequence[Floats], weights: Floats) -> float:
        """Degrees of freedom of a combination of the coefficients; `moves` are `beta_covariance_derivatives`."""
        variance = float(weights @ fit.beta_covariance @ weights)
        slope = np.array([float(weights @ move @ weights) for move in moves])
        return 2 * variance**2 / float(slope @ fit.theta_covariance @ slope)

    def weighted(self, fit: _Fit, inner: Floats) -> Floats:
        """Sum over patients of X' W A W X for a matrix A over all visits."""
        total = np.zeros((self.p, self.p))
        for pattern in self.patterns:
            grid = np.ix_(pattern.places, pattern.places)
            inverse = np.linalg.inv(fit.covariance[grid])
            total += self.quadratic_form(pattern, inverse @ inner[grid] @ inverse)
        return total

    def beta_covariance_derivatives(self, fit: _Fit) -> list[Floats]:
        """Derivatives of the covariance of the coefficients by each covariance parameter."""
        phi = fit.beta_covariance
        return [phi @ self.weighted(fit, part) @ phi for part in self.derivatives(fit.theta)]

    def adjusted_covariance(self, fit: _Fit, second_order: bool) -> Floats:
        """Kenward and Roger's covariance of the coefficients.

        Phi + 2 Phi {sum over i, j of V_ij (Q_ij - P_i Phi P_j - R_ij / 4)} Phi, in their notation; the sum over j is
        taken first. V is the covariance of the covariance parameters from the observed information.
        """
        phi, parts = fit.beta_covariance, np.array(self.derivatives(fit.theta))
        mixed = np.einsum("ij,jmn->imn", fit.theta_covariance, parts)
        total = np.zeros((self.p, self.p))
        for pattern in self.patterns:
            grid = np.ix_(np.arange(len(parts)), pattern.places, pattern.places)
            inverse = np.linalg.inv(fit.covariance[np.ix_(pattern.places, pattern.places)])
            middle = np.sum(parts[grid] @ inverse @ mixed[grid], axis=0)
            total += self.quadratic_form(pattern, inverse @ middle @ inverse)
        firsts = np.array([-self.weighted(fit, part) for part in parts])
        total -= np.sum(firsts @ phi @ np.einsum("ij,jpq->ipq", fit.theta_covariance, firsts), axis=0)
        if second_order:
            curved = np.zeros((self.k, self.k))
            for i in range(len(parts)):
                for j in range(len(parts)):
                    curved += fit.theta_covariance[i, j] * self.second_derivative(fit.theta, i, j)
            total -= self.weighted(fit, curved) / 4
        return np.asarray(phi + 2 * phi @ total @ phi)


class _CompoundSymmetry(_Model):
    """A standard deviation exp(theta[i]) for each visit and one correlation for all pairs.

    The last of theta runs over the real line and the correlation between -1/(k - 1) and 1, where the matrix stays
    positive definite. With one visit there is no correlation.
    """

    def __init__(self, rows: Sequence[Observation], visits: Sequence[str]) -> None:
        super().__init__(rows, visits)
        self.n_parameters = self.k + (self.k > 1)

    def correlation(self, theta: Floats) -> tuple[float, float]:
        """The correlation and its derivative by the last parameter; 0 is at 0."""
        low = -1 / (self.k - 1)
        share = float(special.expit(theta[-1] - math.log(self.k - 1)))
        return low + (1 - low) * share, (1 - low) * share * (1 - share)

    def covariance(self, theta: Floats) -> Floats:
        scale = np.exp(theta[: self.k])
        if self.k == 1:
            return np.asarray(np.outer(scale, scale))
        shape = np.full((self.k, self.k), self.correlation(theta)[0])
        np.fill_diagonal(shape, 1.0)
        return np.asarray(np.outer(scale, scale) * shape)

    def derivatives(self, theta: Floats) -> list[Floats]:
        scale, covariance = np.exp(theta[: self.k]), self.covariance(theta)
        parts = []
        for row in range(self.k):
            part = np.zeros((self.k, self.k))
            part[row] += covariance[row]
            part[:, row] += covariance[:, row]
            parts.append(part)
        if self.k > 1:
            part = np.outer(scale, scale) * self.correlation(theta)[1]
            np.fill_diagonal(part, 0.0)
            parts.append(part)
        return parts
