"""Planning, missing outcomes and allocation arithmetic."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinetrial.stats.allocation import ImbalanceMeasure, block_properties, distinct_blocks, minimisation_scores
from spinetrial.stats.design import (
    ClassicalBoundary,
    ExactTest,
    PlanningVariance,
    SpendingFunction,
    classical_boundary,
    exact_noninferiority_power,
    exact_noninferiority_powers,
    inflate_for_loss,
    lan_demets_boundary,
    largest_noninferiority_error,
    noninferiority_power,
    noninferiority_size,
    responders_needed,
    single_arm_design,
    single_arm_size,
    two_means_power,
    two_means_size,
    two_proportion_size,
)
from spinetrial.stats.enumeration import outcome_probability
from spinetrial.stats.estimate import Reason
from spinetrial.stats.missing import rubin_pool, tipping_point
from spinetrial.stats.noninferiority import NonInferiorityMethod, noninferiority_test, score_table

RATE = st.floats(0.05, 0.95)


def test_the_protocols_66_patients():
    """D17: 80 % against 62 %, pooled variance, 30 per arm, power 0.809, 60 x 1.1 = 66."""
    size = noninferiority_size(0.8, 0.62, -0.15, 0.025, 0.8, PlanningVariance.POOLED)
    assert size.n_per_arm.value == 30
    power = noninferiority_power(0.8, 0.62, 30, -0.15, 0.025, PlanningVariance.POOLED).power.value
    assert round(power, 3) == 0.809
    assert inflate_for_loss(30, 0.1).multiply == 66


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.62, 0.25), (0.7, 0.25), (0.75, 0.26), (0.8, 0.29), (0.85, 0.34), (0.9, 0.41)]
)
def test_power_at_equal_rates_is_a_quarter_to_two_fifths(rate, expected):
    power = exact_noninferiority_power(rate, rate, 30, 30, -0.15, 0.025, ExactTest.FARRINGTON_MANNING).power.value
    assert round(power, 2) == expected


def test_real_error_rate_of_30_per_arm_on_the_margin():
    """The limits printed for control rates of 55 to 90 %: MN 0.0279, FM 0.0299, Wald 0.0342."""
    worst = dict.fromkeys(ExactTest, 0.0)
    for percent in range(55, 91):
        for test in ExactTest:
            rate = percent / 100
            size = exact_noninferiority_power(rate - 0.15, rate, 30, 30, -0.15, 0.025, test).power.value
            worst[test] = max(worst[test], size)
    assert {test.value: round(size, 4) for test, size in worst.items()} == {
        "miettinen_nurminen": 0.0279,
        "farrington_manning": 0.0299,
        "wald": 0.0342,
    }


@given(RATE, RATE, st.sampled_from(PlanningVariance))
def test_the_planned_size_has_the_power_and_one_less_has_not(p1, p0, method):
    size = noninferiority_size(p1, p0, -0.15, 0.025, 0.8, method)
    if p1 - p0 <= -0.15:
        assert size.n_per_arm.reason is Reason.NO_SOLUTION
        return
    n = int(size.n_per_arm.value)
    assert noninferiority_power(p1, p0, n, -0.15, 0.025, method).power.value >= 0.8 - 1e-9
    if n > 1:
        assert noninferiority_power(p1, p0, n - 1, -0.15, 0.025, method).power.value < 0.8 + 1e-9


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([ExactTest.FARRINGTON_MANNING, ExactTest.WALD]))
def test_exact_power_at_certain_rates_is_the_tests_own_decision(n1, n0, test):
    """With rates of 1 and 0 only one outcome is possible."""
    power = exact_noninferiority_power(1, 0, n1, n0, -0.15, 0.025, test).power.value
    method = NonInferiorityMethod(test.value)
    claimed = noninferiority_test(n1, n1, 0, n0, -0.15, method).claimed(0.025)
    # Without variance the enumeration counts the outcome as a claim; the test itself says None.
    assert power == pytest.approx(1.0 if claimed is None else float(claimed))


def test_exact_power_of_1500_per_arm_as_r_lists_it():
    """R: sum(outer(dbinom(0:n, n, .72), dbinom(0:n, n, .75)) * (Z >= qnorm(.975))) over all outcomes."""
    power = exact_noninferiority_power(0.72, 0.75, 1500, 1500, -0.1, 0.025, ExactTest.WALD).power.value
    assert power == pytest.approx(0.991541462553781, abs=1e-10)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_exact_power_leaves_out_only_what_cannot_happen(n1, n0, p1, p0):
    """The sum over the likely outcomes is the sum over all."""
    power = exact_noninferiority_power(p1, p0, n1, n0, -0.15, 0.025, ExactTest.FARRINGTON_MANNING).power.value
    claims = score_table(n1, n0, -0.15) >= 1.959963984540054
    everything = outcome_probability(claims, np.array([p1]), np.array([p0]))[0]
    assert power == pytest.approx(everything, abs=1e-14)


@pytest.mark.parametrize(
    "method", [m for m in NonInferiorityMethod if m is not NonInferiorityMethod.EXACT_UNCONDITIONAL]
)
@given(data=st.data())
def test_the_tipping_grid_is_the_single_tests(method, data):
    """All cells at once and each by itself: the same number, or none for the same reason."""
    n1, n0 = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))
    x1, x0 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    missing1, missing0 = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    margin = data.draw(st.sampled_from([-0.15, -0.1, 0.0]))
    result = tipping_point(x1, n1, missing1, x0, n0, missing0, margin, 0.025, method)
    claims = 0
    for i, row in enumerate(result.p):
        for j, cell in enumerate(row):
            single = noninferiority_test(x1 + i, n1 + missing1, x0 + j, n0 + missing0, margin, method)
            assert cell.reason == single.p.reason
            if cell.value is not None:
                assert cell.value == pytest.approx(single.p.value, rel=1e-12, abs=1e-15)
            claims += single.claimed(0.025) is True
    assert result.n_noninferior == claims
    assert (len(result.p), len(result.p[0])) == (missing1 + 1, missing0 + 1)


def test_planning_at_the_edges():
    assert noninferiority_size(1, 1, -0.15, 0.025, 0.8, PlanningVariance.POOLED).raw.reason is Reason.ZERO_VARIANCE
    assert exact_noninferiority_power(0.5, 0.5, 0, 5, -0.15, 0.025, ExactTest.WALD).power.reason is Reason.EMPTY_ARM
    large = exact_noninferiority_power(0.5, 0.5, 200_000, 2000, -0.15, 0.025, ExactTest.WALD)
    assert large.power.reason is Reason.TOO_LARGE
    assert two_proportion_size(0.5, 0.5, 0.05, 0.8).raw.reason is Reason.NO_SOLUTION
    assert two_means_size(0, 0.05, 0.8).n_per_arm.reason is Reason.NO_SOLUTION
    assert two_means_power(0.5, 1, 0.05).reason is Reason.TOO_FEW_PATIENTS
    assert single_arm_size(0.5, 0.4, 0.05, 0.8).n.reason is Reason.NO_SOLUTION
    assert single_arm_size(0.5, 0.501, 0.05, 0.8).n.reason is Reason.TOO_LARGE
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError):
            inflate_for_loss(30, wrong)
    with pytest.raises(ValueError):
        noninferiority_size(1.2, 0.5, -0.15, 0.025, 0.8, PlanningVariance.POOLED)


@given(st.integers(1, 500))
def test_inflation_never_grows_by_a_rounding_error(n):
    assert inflate_for_loss(n, 0.0).divide == inflate_for_loss(n, 0.0).multiply == 2 * n
    assert inflate_for_loss(n, 0.5).divide == 4 * n
    assert inflate_for_loss(10 * n, 0.1).multiply == 22 * n


@settings(max_examples=25)
@given(st.floats(0.2, 2.0), st.sampled_from([0.5, 0.8, 0.95]))
def test_two_means_size_is_the_smallest(effect, power):
    n = int(two_means_size(effect, 0.05, power).n_per_arm.value)
    assert two_means_power(effect, n, 0.05).value >= power
    assert n == 2 or two_means_power(effect, n - 1, 0.05).value < power


@settings(max_examples=15)
@given(st.floats(0.1, 0.6), st.floats(0.15, 0.35))
def test_single_arm_design_keeps_both_errors(p0, gain):
    p1 = p0 + gain
    design = single_arm_size(p0, p1, 0.05, 0.8)
    n, needed = int(design.n.value), int(design.successes.value)

    def tail(rate, least):
        return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(least, n + 1))

    assert design.actual_alpha.value == pytest.approx(tail(p0, needed))
    assert design.actual_alpha.value <= 0.05
    assert tail(p0, needed - 1) > 0.05
    assert design.actual_power.value == pytest.approx(tail(p1, needed))
    assert design.actual_power.value >= 0.8
    assert design.n_stable.value >= n


@settings(max_examples=15)
@given(st.lists(st.integers(1, 19), max_size=3, unique=True), st.sampled_from(SpendingFunction))
def test_boundaries_spend_exactly_alpha(looks, shape):
    information = [look / 20 for look in sorted(looks)] + [1.0]
    boundary = lan_demets_boundary(information, shape, 0.025)
    assert boundary.cumulative_alpha[-1] == pytest.approx(0.025, abs=1e-9)
    assert list(boundary.cumulative_alpha) == sorted(boundary.cumulative_alpha)
    assert boundary.z[-1] >= 1.959963


def test_one_look_is_no_interim():
    for shape in ClassicalBoundary:
        assert classical_boundary(1, shape, 0.025).z[0] == pytest.approx(1.959964, abs=1e-5)
    assert lan_demets_boundary([1], SpendingFunction.POCOCK, 0.025).z[0] == pytest.approx(1.959964, abs=1e-5)


@pytest.mark.parametrize("information", [[], [0.5, 0.5, 1], [0, 1], [0.5, 1.2], [1, 0.5]])
def test_information_must_rise_to_one(information):
    with pytest.raises(ValueError):
        lan_demets_boundary(information, SpendingFunction.OBRIEN_FLEMING, 0.025)


def test_pooling_without_difference_between_imputations():
    pooled = rubin_pool([0.1] * 5, [0.04] * 5, 58)
    assert pooled.se.value == pytest.approx(0.2)
    assert pooled.missing_information.value < 0.04
    assert math.isfinite(rubin_pool([0.1] * 5, [0.04] * 5, math.inf).df.value)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=2, max_size=20))
def test_pooling_never_shrinks_the_variance(pairs):
    estimates, variances = [p[0] for p in pairs], [p[1] for p in pairs]
    pooled = rubin_pool(estimates, variances, 58)
    assert pooled.total.value >= pooled.within.value
    assert pooled.df.value < 58
    assert pooled.interval.lower.value <= pooled.estimate.value <= pooled.interval.upper.value


def test_pooling_that_cannot_be_made():
    assert rubin_pool([0.1], [0.04], 58).se.reason is Reason.TOO_FEW_IMPUTATIONS
    assert rubin_pool([], [], 58).estimate.reason is Reason.TOO_FEW_IMPUTATIONS
    assert rubin_pool([0.1, 0.1], [0, 0], 58).df.reason is Reason.ZERO_VARIANCE
    for bad in (([0.1], [0.1, 0.2], 58), ([0.1, 0.2], [-0.1, 0.2], 58), ([0.1, 0.2], [0.1, 0.2], 0)):
        with pytest.raises(ValueError):
            rubin_pool(*bad)


def test_tipping_grid_runs_from_worst_to_best():
    grid = tipping_point(22, 27, 3, 19, 28, 2, -0.15, 0.025, NonInferiorityMethod.MIETTINEN_NURMINEN)
    values = [[cell.value for cell in row] for row in grid.p]
    assert grid.worst.value == max(max(row) for row in values) == values[0][2]
    assert grid.best.value == min(min(row) for row in values) == values[3][0]
    assert all(a > b for column in zip(*values, strict=True) for a, b in pairwise(column))
    one = noninferiority_test(24, 30, 20, 30, -0.15, NonInferiorityMethod.MIETTINEN_NURMINEN)
    assert grid.p[2][1] == one.p
    nothing_missing = tipping_point(22, 30, 0, 19, 30, 0, -0.15, 0.025, NonInferiorityMethod.WALD)
    assert nothing_missing.n_cells == 1


def test_a_new_level_counts_from_zero():
    counts = {"site": {"A": {"test": 2, "control": 1}}}
    for measure in ImbalanceMeasure:
        assert minimisation_scores(counts, {"site": "B"}, {"site": 1}, measure).preferred is None
        assert minimisation_scores(counts, {"site": "A"}, {"site": 1}, measure).preferred == "control"
    with pytest.raises(ValueError):
        minimisation_scores(counts, {"age": "A"}, {"site": 1}, ImbalanceMeasure.RANGE)


def test_blocks_in_progress_and_broken_ones():
    part = block_properties(["T", "T", "C", "C", "T"], [4, 4], ("T", "C"))
    assert (part.each_block_balanced, part.max_imbalance, part.final_imbalance) == (True, 2, 1)
    assert not block_properties(["T", "C", "T"], [3], ("T", "C")).each_block_balanced
    assert block_properties([], [4], ("T", "C")).max_imbalance == 0
    with pytest.raises(ValueError):
        block_properties(["T", "X"], [4], ("T", "C"))
    with pytest.raises(ValueError):
        block_properties(["T"] * 5, [4], ("T", "C"))
    assert distinct_blocks(6, 3) == 90
    with pytest.raises(ValueError):
        distinct_blocks(5, 2)


@pytest.mark.parametrize("test", list(ExactTest))
def test_powers_of_many_pairs_are_those_of_one(test):
    pairs = [(0.8, 0.62), (0.62, 0.62), (0.0, 1.0), (1.0, 1.0)]
    many = exact_noninferiority_powers(pairs, 20, 22, -0.15, 0.025, test)
    assert [each.value for each in many] == [
        pytest.approx(exact_noninferiority_power(p1, p0, 20, 22, -0.15, 0.025, test).power.value) for p1, p0 in pairs
    ]
    assert exact_noninferiority_powers([], 20, 22, -0.15, 0.025, test) == ()
    (refused,) = exact_noninferiority_powers(pairs[:1], 3000, 3000, -0.15, 0.025, test)
    assert refused.reason is Reason.TOO_LARGE


def test_the_largest_error_is_no_smaller_than_any_on_the_margin():
    for test in (ExactTest.MIETTINEN_NURMINEN, ExactTest.FARRINGTON_MANNING):
        largest = largest_noninferiority_error(30, 30, -0.15, 0.025, test).value
        errors = [
            exact_noninferiority_power(rate / 200 - 0.15, rate / 200, 30, 30, -0.15, 0.025, test).power.value
            for rate in range(30, 201)
        ]
        assert max(errors) <= largest + 1e-12
        assert largest < max(errors) + 0.001
    assert largest_noninferiority_error(0, 30, -0.15, 0.025, test).reason is Reason.EMPTY_ARM


@given(st.integers(1, 25), st.integers(1, 25), st.sampled_from([-0.3, -0.15, 0.0]))
@settings(max_examples=30, deadline=None)
def test_responders_needed_is_the_smallest_number_that_is_enough(n1, n0, margin):
    found = responders_needed(n1, n0, margin, 0.025, ExactTest.MIETTINEN_NURMINEN)
    assert len(found) == n0 + 1

    def claims(x1, x0):
        answer = noninferiority_test(x1, n1, x0, n0, margin, NonInferiorityMethod.MIETTINEN_NURMINEN)
        if answer.p.value is None:  # no variance: the difference itself decides
            return answer.difference.value > margin
        return answer.claimed(0.025)

    for x0, needed in enumerate(found):
        if needed is None:
            assert not claims(n1, x0)
            continue
        assert all(claims(x1, x0) for x1 in range(needed, n1 + 1))
        assert needed == 0 or not claims(needed - 1, x0)


def test_responders_needed_of_30_against_30():
    """Two rows anyone can check with the interval: 24 v 24 is inconclusive, 26 v 24 non-inferior."""
    found = responders_needed(30, 30, -0.15, 0.025, ExactTest.MIETTINEN_NURMINEN)
    assert found[24] == 26
    assert found[18] == 21
    assert responders_needed(30, 0, -0.15, 0.025, ExactTest.WALD) is Reason.EMPTY_ARM


@settings(max_examples=40)
@given(st.integers(1, 120), st.floats(0.05, 0.9), st.sampled_from([0.025, 0.1]))
def test_a_single_arm_of_given_size_rejects_from_the_first_count_within_alpha(n, p0, alpha):
    design = single_arm_design(n, p0, 0.95, alpha)

    def tail(rate, least):
        return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(least, n + 1))

    if design.successes.value is None:
        assert p0**n > alpha
        return
    needed = int(design.successes.value)
    assert tail(p0, needed) <= alpha < tail(p0, needed - 1)
    assert design.actual_alpha.value == pytest.approx(tail(p0, needed))
    assert design.actual_power.value == pytest.approx(tail(0.95, needed))


def test_the_smallest_single_arm_is_the_first_of_its_designs_with_the_power():
    found = single_arm_size(0.8, 0.95, 0.1, 0.8)
    powers = {n: single_arm_design(n, 0.8, 0.95, 0.1).actual_power.value or 0.0 for n in range(1, 80)}
    assert found.n.value == min(n for n, power in powers.items() if power >= 0.8)
    assert found.n_stable.value == max(n for n, power in powers.items() if power < 0.8) + 1
    assert single_arm_design(0, 0.8, 0.95, 0.1).successes.reason is Reason.NO_PATIENTS
    assert single_arm_design(5, 0.8, 0.95, 0.1).successes.reason is Reason.NO_SOLUTION
    with pytest.raises(ValueError):
        single_arm_design(-1, 0.8, 0.95, 0.1)
