"""One proportion, the difference of two, and the non-inferiority test."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from spinetrial.stats.enumeration import outcome_probability
from spinetrial.stats.estimate import Estimate, Interval, Reason
from spinetrial.stats.noninferiority import NonInferiorityMethod, noninferiority_test, score_table
from spinetrial.stats.proportions import ProportionMethod, proportion_ci
from spinetrial.stats.risk_difference import DifferenceMethod, restricted_mle, risk_difference_ci

LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])
SCORE = {
    NonInferiorityMethod.MIETTINEN_NURMINEN: DifferenceMethod.MIETTINEN_NURMINEN,
    NonInferiorityMethod.FARRINGTON_MANNING: DifferenceMethod.FARRINGTON_MANNING,
}


@st.composite
def arm(draw, most=60):
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


def test_an_estimate_has_a_value_or_a_reason():
    with pytest.raises(ValueError):
        Estimate(None)
    with pytest.raises(ValueError):
        Estimate(1.0, Reason.EMPTY_ARM)
    with pytest.raises(ValueError):
        Estimate(math.nan)


@pytest.mark.parametrize(("x", "n"), [(-1, 5), (6, 5), (1, -5), (1.5, 5), (True, 5)])
def test_impossible_counts_are_refused(x, n):
    with pytest.raises(ValueError):
        proportion_ci(x, n, ProportionMethod.WILSON)
    with pytest.raises(ValueError):
        risk_difference_ci(x, n, 2, 5, DifferenceMethod.WALD)
    with pytest.raises(ValueError):
        noninferiority_test(2, 5, x, n, -0.15, NonInferiorityMethod.WALD)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError):
        proportion_ci(1, 5, ProportionMethod.WILSON, level)
    with pytest.raises(ValueError):
        risk_difference_ci(1, 5, 2, 5, DifferenceMethod.MIETTINEN_NURMINEN, level)


def test_an_unknown_method_is_refused_and_a_namesake_is_the_same_method():
    with pytest.raises(ValueError):
        proportion_ci(1, 5, "guess")
    mn = noninferiority_test(14, 20, 9, 19, -0.15, NonInferiorityMethod.MIETTINEN_NURMINEN)
    # The interval's enum has members of the same name: the numbers must follow the name.
    assert noninferiority_test(14, 20, 9, 19, -0.15, DifferenceMethod.MIETTINEN_NURMINEN) == mn


@pytest.mark.parametrize("method", ProportionMethod)
def test_no_patients_is_not_estimable(method):
    result = proportion_ci(0, 0, method)
    assert [e.reason for e in (result.estimate, result.lower, result.upper)] == [Reason.NO_PATIENTS] * 3


@given(arm(), st.sampled_from(ProportionMethod), LEVELS)
def test_proportion_interval_holds_the_estimate_and_mirrors(counts, method, level):
    x, n = counts
    result, mirrored = proportion_ci(x, n, method, level), proportion_ci(n - x, n, method, level)
    assert 0 <= result.lower.value <= x / n + 1e-12
    assert x / n - 1e-12 <= result.upper.value <= 1
    assert result.lower.value == pytest.approx(1 - mirrored.upper.value, abs=1e-9)


@given(arm(), st.sampled_from(ProportionMethod))
def test_proportion_interval_widens_with_the_level(counts, method):
    narrow, wide = (proportion_ci(*counts, method, level) for level in (0.8, 0.99))
    assert wide.lower.value <= narrow.lower.value + 1e-12
    assert wide.upper.value >= narrow.upper.value - 1e-12


@given(arm(25), LEVELS)
def test_clopper_pearson_is_the_inverted_exact_test(counts, level):
    x, n = counts
    upper = proportion_ci(x, n, ProportionMethod.CLOPPER_PEARSON, level).upper.value
    assume(x < n)
    tail = sum(math.comb(n, k) * upper**k * (1 - upper) ** (n - k) for k in range(x + 1))
    assert tail == pytest.approx((1 - level) / 2, abs=1e-9)


@settings(max_examples=60)
@given(arm(), arm(), st.sampled_from(DifferenceMethod), LEVELS)
def test_difference_interval_holds_the_estimate_and_turns_with_the_arms(one, other, method, level):
    result, turned = risk_difference_ci(*one, *other, method, level), risk_difference_ci(*other, *one, method, level)
    low, high = result.lower.value, result.upper.value
    assert -1 <= low <= high <= 1
    if method is not DifferenceMethod.AGRESTI_CAFFO:  # its centre is not the estimate
        assert low - 1e-9 <= result.estimate.value <= high + 1e-9
    assert low == pytest.approx(-turned.upper.value, abs=1e-9)


@settings(max_examples=60)
@given(arm(), arm(), st.sampled_from(list(SCORE)), st.sampled_from([0.01, 0.025, 0.05, 0.1]))
def test_score_test_at_its_own_limit_has_p_alpha(one, other, method, alpha):
    """Duality: tested against its own lower limit the difference has p = alpha."""
    lower = risk_difference_ci(*one, *other, SCORE[method], 1 - 2 * alpha).lower.value
    assume(-1 < lower < 1)
    test = noninferiority_test(*one, *other, lower, method)
    # Both rates on the edge (all respond, none responds): the limit is the edge itself.
    assume(test.p.value is not None)
    assert test.p.value == pytest.approx(alpha, abs=1e-6)


@settings(max_examples=60)
@given(arm(), arm(), st.sampled_from(list(SCORE)), st.floats(-0.5, 0.0))
def test_claim_and_interval_agree(one, other, method, margin):
    lower = risk_difference_ci(*one, *other, SCORE[method], 0.95).lower.value
    assume(abs(lower - margin) > 1e-6)
    test = noninferiority_test(*one, *other, margin, method)
    assert (test.claimed(0.025) is True) == (lower > margin)


# In millionths: where two roots of the cubic fall together (difference below 1e-12, all responding) half of the
# digits of p0 are lost to rounding, 3e-8, as in any closed form; no margin is as small as that.
@given(arm(), arm(), st.integers(-900_000, 900_000).map(lambda millionths: millionths / 1e6))
@example((2, 2), (4, 4), 1e-6)
def test_restricted_rates_are_the_most_likely_on_the_line(one, other, difference):
    (x1, n1), (x0, n0) = one, other
    found = restricted_mle(x1, n1, x0, n0, difference)
    assert found.p1.value - found.p0.value == pytest.approx(difference, abs=1e-12)

    def log_likelihood(p0):
        p1 = p0 + difference
        parts = ((x1, p1), (n1 - x1, 1 - p1), (x0, p0), (n0 - x0, 1 - p0))
        return sum(count * math.log(max(rate, 1e-12)) for count, rate in parts if count)

    best = log_likelihood(found.p0.value)
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    assert low - 1e-12 <= found.p0.value <= high + 1e-12
    assert all(log_likelihood(p0) <= best + 1e-7 for p0 in np.linspace(low, high, 41))


@given(arm(), arm(), st.sampled_from(list(SCORE)))
def test_one_more_responder_makes_the_case_stronger(one, other, method):
    (x1, n1), control = one, other
    assume(x1 < n1)
    less, more = (noninferiority_test(x, n1, *control, -0.15, method) for x in (x1, x1 + 1))
    assert more.p.value < less.p.value


def test_wald_without_variance_is_never_certain():
    test = noninferiority_test(30, 30, 30, 30, -0.15, NonInferiorityMethod.WALD)
    assert (test.z.reason, test.p.reason, test.claimed(0.025)) == (Reason.ZERO_VARIANCE, Reason.ZERO_VARIANCE, None)


def test_one_patient_per_arm():
    result = risk_difference_ci(1, 1, 0, 1, DifferenceMethod.MIETTINEN_NURMINEN)
    assert result.estimate.value == 1
    assert -1 <= result.lower.value < 1


@pytest.mark.parametrize("method", NonInferiorityMethod)
def test_empty_arm_gives_no_test(method):
    test = noninferiority_test(0, 0, 9, 12, -0.15, method)
    assert {test.difference.reason, test.z.reason, test.p.reason, test.restricted.p0.reason} == {Reason.EMPTY_ARM}


@pytest.mark.parametrize(("x1", "x0"), [(5, 5), (8, 6), (3, 7)])
def test_exact_p_is_a_supremum_over_the_line(x1, x0):
    """No control rate on the margin gives the observed outcomes and stronger ones more probability than p."""
    p = noninferiority_test(x1, 9, x0, 8, -0.2, NonInferiorityMethod.EXACT_UNCONDITIONAL).p.value
    table = score_table(9, 8, -0.2)
    region = table >= table[x1, x0] - 1e-9
    rates = np.linspace(0.2, 1.0, 20_001)
    tails = outcome_probability(region, rates - 0.2, rates)
    assert np.max(tails) <= p + 1e-9
    assert p == pytest.approx(np.max(tails), abs=1e-6)


def test_exact_test_refuses_what_it_cannot_list():
    for n1, n0 in ((2001, 2001), (3, 6000)):
        test = noninferiority_test(n1 // 2, n1, n0 // 2, n0, -0.15, NonInferiorityMethod.EXACT_UNCONDITIONAL)
        assert test.p.reason is Reason.TOO_LARGE


def test_the_coefficient_that_a_common_library_gets_wrong():
    """With the control count in place of the control size this limit would be 0.3440 (statsmodels issue 10269)."""
    limits = risk_difference_ci(56, 70, 48, 80, DifferenceMethod.MIETTINEN_NURMINEN).interval
    assert limits == Interval(limits.lower, limits.upper, 0.95)
    assert limits.upper.value == pytest.approx(0.3382, abs=6e-5)
