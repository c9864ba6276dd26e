"""Multiple imputation of a binary outcome."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinetrial.stats.estimate import Reason
from spinetrial.stats.imputation import augmented_logistic, imputed_difference
from spinetrial.stats.risk_difference import DifferenceMethod, risk_difference_ci

# R 4.2.2: glm with the four added records per covariate (mean +- 0.5 sd, outcome 0 and 1, weight 3/8 each).
Y = [1, 0, 1, 1, 0, 0, 1, 0, 1, 1]
X = [[0, 1.2], [0, 0.3], [0, 2.2], [1, 1.0], [1, 0.1], [1, 0.4], [0, 0.9], [0, 1.4], [1, 3.1], [1, 2.0]]


def trial(study, control, missing_study=0, missing_control=0, covariate=None):
    """(responders, failures) of each arm with missing outcomes added; one covariate, constant unless given."""
    parts = [(True, study, missing_study), (False, control, missing_control)]
    outcome, gone, arm = [], [], []
    for is_study, (good, bad), lost in parts:
        outcome += [True] * good + [False] * (bad + lost)
        gone += [False] * (good + bad) + [True] * lost
        arm += [is_study] * (good + bad + lost)
    x = covariate(len(outcome)) if covariate else np.zeros((len(outcome), 1))
    return outcome, gone, [not g for g in gone], arm, x


def impute(*args, m=100, seed=7, margin=-0.15, **more):
    return imputed_difference(*args, imputations=m, seed=seed, margin=margin, **more)


def test_the_fit_is_the_weighted_likelihood_of_r():
    fit = augmented_logistic(np.array(Y, dtype=bool), np.array(X))
    assert fit.coefficients == pytest.approx([-2.39486037014, 0.21784796756, 2.31058290154], abs=1e-9)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx([1.8939817169, 1.6406036582, 1.4074966256], abs=1e-8)


@pytest.mark.parametrize("outcome", [[1, 1, 1, 0, 0, 0], [1] * 6, [0] * 6])
def test_separation_leaves_finite_coefficients(outcome):
    x = np.array([[1.0, 5], [1, 4], [1, 6], [0, 1], [0, 2], [0, 3]])
    fit = augmented_logistic(np.array(outcome, dtype=bool), x)
    assert np.all(np.abs(fit.coefficients) < 20)
    assert np.all(np.diag(fit.covariance) > 0)


def test_a_model_without_covariates_and_of_one_patient():
    fit = augmented_logistic(np.array([True, True, False]), np.zeros((3, 0)))
    assert fit.coefficients == pytest.approx([math.log(2.5 / 1.5)], abs=1e-9)
    assert np.all(np.isfinite(augmented_logistic(np.array([True]), np.zeros((1, 2))).coefficients))


def test_nothing_missing_is_the_wald_difference():
    found = impute(*trial((24, 9), (20, 13)))
    wald = risk_difference_ci(24, 33, 20, 33, DifferenceMethod.WALD)
    assert found.pooled.estimate.value == pytest.approx(wald.estimate.value)
    assert found.pooled.se.value == pytest.approx(wald.se_wald.value)
    assert found.pooled.between.value == pytest.approx(0, abs=1e-30)
    assert set(found.responders1) == {24}
    # No variance between sets: the t of 64 degrees of freedom, times Barnard and Rubin's (df + 1)/(df + 3).
    assert found.pooled.df.value == pytest.approx(65 / 67 * 64, rel=1e-2)


def test_without_covariates_the_imputed_rate_is_that_of_the_arm():
    # Rates 0.75 and 0.25 among many observed; the arm is the only term, so the missing follow their arm.
    found = impute(*trial((3000, 1000), (1000, 3000), 1000, 1000), m=200)
    assert np.mean(found.responders1) == pytest.approx(3750, abs=12)
    assert np.mean(found.responders0) == pytest.approx(1250, abs=12)
    assert found.pooled.estimate.value == pytest.approx(0.5, abs=0.004)
    # A fifth is missing and nothing is known about it: the fraction of missing information is near a fifth.
    assert found.pooled.missing_information.value == pytest.approx(0.2, abs=0.05)
    complete = risk_difference_ci(3000, 4000, 1000, 4000, DifferenceMethod.WALD).se_wald.value
    assert found.pooled.se.value == pytest.approx(complete, rel=0.05)


def test_the_covariate_carries_information():
    # Within both arms x = 1 responds and x = 0 does not; all missing have x = 1.
    def covariate(n):
        return np.array([[1.0]] * 40 + [[0.0]] * 40 + [[1.0]] * 20 + [[1.0]] * 40 + [[0.0]] * 40 + [[1.0]] * 20)

    found = impute(*trial((40, 40), (40, 40), 20, 20, covariate))
    assert np.mean(found.responders1) > 57
    assert np.mean(found.responders0) > 57
    blind = impute(*trial((40, 40), (40, 40), 20, 20))
    assert np.mean(blind.responders1) == pytest.approx(50, abs=3)


def test_the_seed_decides_and_more_sets_keep_the_first():
    data = trial((10, 5), (8, 8), 6, 5)
    one, again, other = impute(*data), impute(*data), impute(*data, seed=8)
    assert one == again
    assert one.responders1 != other.responders1
    assert impute(*data, m=120).responders1[:100] == one.responders1


@settings(max_examples=25)
@given(st.integers(2, 25), st.integers(1, 8))
def test_more_responders_in_the_study_arm_never_make_it_look_worse(good, lost):
    low = impute(*trial((good, 30 - good), (15, 15), lost, lost), m=50)
    high = impute(*trial((good + 3, 27 - good), (15, 15), lost, lost), m=50)
    assert high.pooled.estimate.value > low.pooled.estimate.value
    assert high.p.value < low.p.value


@settings(max_examples=40)
@given(*[st.integers(0, 4)] * 6)
def test_tiny_groups_give_a_number_or_a_reason(a, b, c, d, lost1, lost0):
    found = impute(*trial((a, b), (c, d), lost1, lost0, lambda n: np.arange(n, dtype=float)[:, None]), m=20)
    assert (found.p.value is None) == (found.reason is not None)
    if found.pooled is not None:
        assert all(a <= k <= a + lost1 for k in found.responders1)
        assert all(c <= k <= c + lost0 for k in found.responders0)
    if found.p.value is not None:
        assert 0 <= found.p.value <= 1


def test_what_cannot_be_estimated_says_why():
    assert impute(*trial((0, 0), (5, 5))).reason is Reason.EMPTY_ARM
    assert impute(*trial((0, 0), (5, 5), 4, 0)).reason is Reason.NOTHING_OBSERVED
    assert impute(*trial((5, 0), (5, 0))).reason is Reason.ZERO_VARIANCE
    assert impute(*trial((5, 5), (5, 5), 1, 1), m=1).reason is Reason.TOO_FEW_IMPUTATIONS
    assert impute([], [], [], [], []).reason is Reason.EMPTY_ARM
    # An outcome that death decided is no evidence on those who live.
    outcome, gone, _modelled, arm, x = trial((0, 5), (5, 5), 2, 0)
    modelled = [not g and not a for g, a in zip(gone, arm, strict=True)]
    assert impute(outcome, gone, modelled, arm, x).reason is Reason.NOTHING_OBSERVED


def test_a_decided_failure_counts_but_does_not_inform():
    outcome, gone, modelled, arm, _x = trial((30, 0), (30, 0), 10, 10)
    dead = len(outcome)
    outcome += [False] * 40
    gone += [False] * 40
    modelled += [False] * 40
    arm += [True] * 20 + [False] * 20
    found = impute(outcome, gone, modelled, arm, np.zeros((dead + 40, 1)))
    assert (found.n1, found.x1, found.missing1, found.n_modelled) == (60, 30, 10, 60)
    assert np.mean(found.responders1) > 39  # everyone evaluable responded, so nearly all missing do


def test_what_cannot_be_data_is_refused():
    with pytest.raises(ValueError, match="length"):
        impute([True], [False, True], [True], [True], [[0.0]])
    with pytest.raises(ValueError, match="infinite"):
        impute(*trial((1, 1), (1, 1))[:4], [[math.nan]] * 4)
    with pytest.raises(ValueError, match="row"):
        augmented_logistic(np.array([True]), np.zeros((2, 1)))


def test_intervals_cover_the_truth_where_complete_cases_mislead():
    """Missing more often with a low covariate and in the study arm: ignorable given both, not without them."""
    rng = np.random.default_rng(11)
    n, runs = 80, 300
    z = rng.normal(size=400_000)
    truth = float(np.mean(1 / (1 + np.exp(-0.9 - 1.2 * z))) - np.mean(1 / (1 + np.exp(-0.3 - 1.2 * z))))
    covered, off, naive = 0, [], []
    for run in range(runs):
        arm, x = np.repeat([True, False], n), rng.normal(size=2 * n)
        y = rng.random(2 * n) < 1 / (1 + np.exp(-0.3 - 1.2 * x - 0.6 * arm))
        gone = rng.random(2 * n) < 1 / (1 + np.exp(1.6 + 1.2 * x - 1.2 * arm))
        found = impute(y, gone, ~gone, arm, x[:, None], m=30, seed=run)
        covered += found.pooled.interval.lower.value <= truth <= found.pooled.interval.upper.value
        off.append(found.pooled.estimate.value - truth)
        naive.append(y[arm & ~gone].mean() - y[~arm & ~gone].mean() - truth)
    assert 0.92 <= covered / runs <= 0.98
    assert abs(np.mean(off)) < 0.01 < 0.03 < np.mean(naive)


def test_two_thousand_patients_take_moments():
    rng = np.random.default_rng(3)
    n = 2000
    x, arm = rng.normal(size=(n, 30)), rng.random(n) < 0.5
    gone = rng.random(n) < 0.12
    start = time.process_time()
    found = impute(rng.random(n) < 0.6, gone, ~gone, arm, x)
    assert time.process_time() - start < 5
    assert found.p.value is not None
