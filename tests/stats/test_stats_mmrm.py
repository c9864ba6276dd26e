"""The mixed model for repeated measures."""

import math

import numpy as np
import pytest

from spinetrial.stats.distributions import t_quantile
from spinetrial.stats.estimate import Reason
from spinetrial.stats.means import ancova
from spinetrial.stats.mmrm import MmrmMethod, Observation, Structure, _CompoundSymmetry, _Model, mmrm

VISITS = ("W2", "M3", "M6")


def trial(n=40, seed=1, visits=VISITS, lost=0.2):
    """Scores with correlated visits, some missing; whole numbers as a pain score has them."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(n):
        study, baseline, own = bool(subject % 2), int(rng.integers(4, 11)), rng.normal()
        for place, visit in enumerate(visits):
            score = 0.4 * baseline + own + rng.normal() - 0.3 * place * study
            if rng.random() > lost:
                rows.append(Observation(str(subject), study, visit, baseline, round(score)))
    return rows


def literal_reml(rows, covariance):
    """Log likelihood from the whole covariance matrix and the textbook design (treatment coding)."""
    order = {visit: place for place, visit in enumerate(VISITS)}
    design = np.array(
        [
            [
                1,
                r.baseline,
                r.study,
                *[r.visit == v for v in VISITS[1:]],
                *[r.study and r.visit == v for v in VISITS[1:]],
            ]
            for r in rows
        ],
        dtype=float,
    )
    y = np.array([r.outcome for r in rows], dtype=float)
    full = np.array(
        [[covariance[order[a.visit], order[b.visit]] if a.subject == b.subject else 0.0 for b in rows] for a in rows]
    )
    weight = np.linalg.inv(full)
    information = design.T @ weight @ design
    beta = np.linalg.solve(information, design.T @ weight @ y)
    residual = y - design @ beta
    return -0.5 * (
        (len(y) - design.shape[1]) * math.log(2 * math.pi)
        + np.linalg.slogdet(full)[1]
        + np.linalg.slogdet(information)[1]
        + residual @ weight @ residual
    )


def test_likelihood_is_the_textbook_one_and_the_fit_is_its_maximum():
    rows = trial()
    result = mmrm(rows, VISITS, MmrmMethod.SATTERTHWAITE)
    covariance = np.array(result.covariance)
    best = result.reml_log_likelihood.value
    assert literal_reml(rows, covariance) == pytest.approx(best, abs=1e-8)
    rng = np.random.default_rng(3)
    for _ in range(5):
        shift = rng.normal(scale=0.05, size=(3, 3))
        assert literal_reml(rows, covariance + shift + shift.T) < best


def test_gradient_and_second_derivatives_are_right():
    model = _Model(trial(12), VISITS)
    theta = np.array([0.1, -0.2, 0.3, 0.4, -0.1, 0.2])
    step = 1e-5
    for i in range(6):
        shift = np.zeros(6)
        shift[i] = step
        slope = (model.gradient(theta + shift)[0] - model.gradient(theta - shift)[0]) / (2 * step)
        assert model.gradient(theta)[1][i] == pytest.approx(slope, abs=1e-5)
        for j in range(6):
            curve = (model.derivatives(theta + shift)[j] - model.derivatives(theta - shift)[j]) / (2 * step)
            assert model.second_derivative(theta, i, j) == pytest.approx(curve, abs=1e-7)


@pytest.mark.parametrize("method", MmrmMethod)
def test_exchanging_the_arms_turns_the_contrasts(method):
    rows = trial()
    turned = [Observation(r.subject, not r.study, r.visit, r.baseline, r.outcome) for r in rows]
    for one, other in zip(mmrm(rows, VISITS, method).contrasts, mmrm(turned, VISITS, method).contrasts, strict=True):
        assert one.difference.value == pytest.approx(-other.difference.value, abs=1e-6)
        assert one.p.value == pytest.approx(other.p.value, abs=1e-6)
        assert one.mean_study.value - one.mean_control.value == pytest.approx(one.difference.value)
        assert one.interval.lower.value < one.difference.value < one.interval.upper.value


def test_order_of_rows_and_visits_and_unit_of_baseline_do_not_matter():
    rows = trial()
    plain = {c.visit: c for c in mmrm(rows, VISITS, MmrmMethod.SATTERTHWAITE).contrasts}
    moved = [Observation(r.subject, r.study, r.visit, 100 + 3 * r.baseline, r.outcome) for r in reversed(rows)]
    for contrast in mmrm(moved, VISITS[::-1], MmrmMethod.SATTERTHWAITE).contrasts:
        assert contrast.difference.value == pytest.approx(plain[contrast.visit].difference.value, abs=1e-5)
        assert contrast.df.value == pytest.approx(plain[contrast.visit].df.value, abs=1e-3)


@pytest.mark.parametrize("method", [MmrmMethod.SATTERTHWAITE, MmrmMethod.KENWARD_ROGER_LINEAR])
def test_one_visit_is_the_analysis_of_covariance(method):
    rows = trial(visits=("M3",), lost=0)
    fit = mmrm(rows, ("M3",), method).contrasts[0]
    plain = ancova([r.study for r in rows], [r.baseline for r in rows], [r.outcome for r in rows])
    assert fit.difference.value == pytest.approx(plain.difference.value, abs=1e-8)
    assert fit.se.value == pytest.approx(plain.se.value, abs=1e-6)
    assert fit.df.value == pytest.approx(plain.df, abs=1e-3)
    assert fit.mean_study.value == pytest.approx(plain.mean_study.value, abs=1e-8)


def test_missing_outcomes_are_left_out_and_counted():
    rows = trial()
    holes = [Observation("0", False, "W9", 5, None), Observation("new", True, "W2", None, 3)]
    plain = mmrm(rows, (*VISITS, "W9"), MmrmMethod.SATTERTHWAITE)
    more = mmrm(rows + holes, (*VISITS, "W9"), MmrmMethod.SATTERTHWAITE)
    assert more.n_left_out == 2
    assert more.contrasts[0].p == plain.contrasts[0].p
    assert more.contrasts[3].difference.reason is Reason.EMPTY_ARM


def test_a_visit_with_one_arm_only_leaves_the_others_estimable():
    rows = [r for r in trial() if not (r.visit == "M6" and r.study)]
    result = mmrm(rows, VISITS, MmrmMethod.SATTERTHWAITE)
    assert result.contrasts[2].difference.reason is Reason.EMPTY_ARM
    assert result.contrasts[0].p.value is not None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], Reason.NO_PATIENTS),
        ([r for r in trial() if r.study], Reason.EMPTY_ARM),
        (trial(2), Reason.NO_RESIDUAL_DF),
        ([Observation(r.subject, r.study, r.visit, 5, r.outcome) for r in trial()], Reason.SINGULAR_DESIGN),
        ([Observation(r.subject, r.study, r.visit, r.baseline, 4) for r in trial()], Reason.ZERO_VARIANCE),
    ],
)
def test_data_without_a_fit_say_why(rows, reason):
    result = mmrm(rows, VISITS, MmrmMethod.KENWARD_ROGER)
    assert result.covariance is None
    if reason is not Reason.NO_RESIDUAL_DF:
        assert {contrast.p.reason for contrast in result.contrasts} == {reason}
    assert all(contrast.p.value is None for contrast in result.contrasts)


def test_two_visits_that_nobody_has_both_of_are_not_determined():
    rows = [r for r in trial() if (int(r.subject) % 4 < 2) == (r.visit == "W2")]
    result = mmrm(rows, VISITS, MmrmMethod.SATTERTHWAITE)
    assert {contrast.p.reason for contrast in result.contrasts} == {Reason.NO_INTERIOR_MAXIMUM}


@pytest.mark.parametrize(
    "row",
    [
        Observation("0", False, "W2", 6, 3),
        Observation("1", False, "W9", 6, 3),
        Observation("0", True, "M6", 6, 3),
    ],
)
def test_contradicting_rows_are_refused(row):
    rows = [r for r in trial(lost=0) if (r.subject, r.visit) != ("0", "M6")]
    with pytest.raises(ValueError):
        mmrm([*rows, row], VISITS, MmrmMethod.SATTERTHWAITE)


def test_heterogeneous_compound_symmetry_against_r():
    # nlme 3.1-162: gls(y ~ base + visit + arm:visit, correlation = corCompSymm(form = ~1 | id),
    # weights = varIdent(form = ~1 | visit)) on the same twelve patients.
    result = mmrm(trial(12), VISITS, MmrmMethod.SATTERTHWAITE, structure=Structure.COMPOUND_SYMMETRY_HETEROGENEOUS)
    assert result.reml_log_likelihood.value == pytest.approx(-44.39971309, abs=1e-7)
    expected = ((-1.5866857816, 0.5830770252), (-1.3396639383, 1.2214142475), (-1.6607207340, 0.7633916003))
    for contrast, (difference, se) in zip(result.contrasts, expected, strict=True):
        assert contrast.difference.value == pytest.approx(difference, abs=1e-6)
        assert contrast.se.value == pytest.approx(se, abs=1e-6)
    covariance = np.array(result.covariance)
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    assert correlation[np.triu_indices(3, 1)] == pytest.approx(0.4719026089, abs=1e-5)


@pytest.mark.parametrize("visits", [("M3",), ("W2", "M6")])
def test_with_one_or_two_visits_compound_symmetry_is_unstructured(visits):
    rows = [row for row in trial() if row.visit in visits]
    plain, simpler = (mmrm(rows, visits, MmrmMethod.SATTERTHWAITE, structure=each) for each in Structure)
    assert simpler.reml_log_likelihood.value == pytest.approx(plain.reml_log_likelihood.value, abs=1e-8)
    for one, other in zip(plain.contrasts, simpler.contrasts, strict=True):
        for name in ("difference", "se", "df", "p", "se_mean_study"):
            assert getattr(one, name).value == pytest.approx(getattr(other, name).value, abs=1e-4), name


def test_gradient_of_compound_symmetry_is_right():
    model = _CompoundSymmetry(trial(12), VISITS)
    theta = np.array([0.1, -0.2, 0.3, -0.7])
    for i in range(4):
        shift = np.zeros(4)
        shift[i] = 1e-5
        slope = (model.gradient(theta + shift)[0] - model.gradient(theta - shift)[0]) / 2e-5
        assert model.gradient(theta)[1][i] == pytest.approx(slope, abs=1e-5)
    assert model.correlation(np.array([0, 0, 0, 0.0]))[0] == pytest.approx(0)
    for far in (-30.0, 30.0):
        assert -0.5 <= model.correlation(np.array([0, 0, 0, far]))[0] <= 1


def test_compound_symmetry_has_no_kenward_roger():
    with pytest.raises(ValueError, match="unstructured"):
        mmrm(trial(), VISITS, MmrmMethod.KENWARD_ROGER, structure=Structure.COMPOUND_SYMMETRY_HETEROGENEOUS)


def test_interval_of_an_adjusted_mean_is_that_of_the_analysis_of_covariance():
    rows = trial(visits=("M3",), lost=0.3)
    fit = mmrm(rows, ("M3",), MmrmMethod.SATTERTHWAITE, 0.9).contrasts[0]
    design = np.array([[r.study, not r.study, r.baseline] for r in rows], dtype=float)
    y = np.array([r.outcome for r in rows], dtype=float)
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    df = len(rows) - 3
    inverse = np.linalg.inv(design.T @ design) * float(np.sum((y - design @ beta) ** 2)) / df
    for weights, mean, limits in (
        ([1, 0], fit.mean_study, fit.interval_mean_study),
        ([0, 1], fit.mean_control, fit.interval_mean_control),
    ):
        at = np.array([*weights, np.mean([r.baseline for r in rows])])
        half = t_quantile(0.9, df) * math.sqrt(at @ inverse @ at)
        assert mean.value == pytest.approx(at @ beta, abs=1e-7)
        assert limits.lower.value == pytest.approx(at @ beta - half, abs=1e-5)
        assert limits.upper.value == pytest.approx(at @ beta + half, abs=1e-5)
    assert limits.level == 0.9
