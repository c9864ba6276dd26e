"""Rank tests, t tests, covariance analysis, standardised differences."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spinetrial.stats.estimate import Reason
from spinetrial.stats.means import TTestMethod, ancova, t_test, t_test_summary
from spinetrial.stats.ranks import RankSumMethod, ShiftMethod, hodges_lehmann, rank_sum, signed_rank
from spinetrial.stats.smd import smd_binary, smd_categorical, smd_continuous

SCORES = st.lists(st.integers(0, 10), min_size=1, max_size=7)


@settings(max_examples=40)
@given(SCORES, SCORES)
def test_permutation_p_is_the_share_of_all_choices(x, y):
    values = x + y
    ranks = [sum(v < u for v in values) + (sum(v == u for v in values) + 1) / 2 for u in values]
    centre, here = len(x) * (len(values) + 1) / 2, sum(ranks[: len(x)])
    sums = [sum(chosen) for chosen in combinations(ranks, len(x))]
    expected = sum(abs(s - centre) >= abs(here - centre) - 1e-9 for s in sums) / len(sums)
    assert rank_sum(x, y, RankSumMethod.PERMUTATION_MIDRANKS).p.value == pytest.approx(expected, abs=1e-12)


@given(SCORES, SCORES, st.sampled_from(RankSumMethod))
def test_rank_sum_turns_with_the_samples(x, y, method):
    one, other = rank_sum(x, y, method), rank_sum(y, x, method)
    assert one.u.value + other.u.value == len(x) * len(y)
    assert one.p.reason == other.p.reason
    if one.p.value is not None:
        assert one.p.value == pytest.approx(other.p.value, abs=1e-12)


def test_ties_are_never_ignored():
    assert rank_sum([1, 2], [2, 3], RankSumMethod.EXACT_NO_TIES).p.reason is Reason.HAS_TIES
    assert rank_sum([2, 2], [2, 2], RankSumMethod.ASYMPTOTIC_CC).p.reason is Reason.ZERO_VARIANCE
    assert rank_sum([2, 2], [2, 2], RankSumMethod.PERMUTATION_MIDRANKS).p.value == 1
    # 0.3 - 0.2 and 0.2 - 0.1 tie in decimals though not in binary.
    assert rank_sum([0.3 - 0.2], [0.2 - 0.1], RankSumMethod.EXACT_NO_TIES).p.reason is Reason.HAS_TIES


@pytest.mark.parametrize("method", RankSumMethod)
def test_empty_sample_gives_no_rank_test(method):
    assert rank_sum([], [1], method).p.reason is Reason.EMPTY_ARM


def test_rank_sum_of_a_large_trial():
    x, y = list(range(0, 2000, 2)), list(range(1, 2001, 2))
    assert rank_sum(x, y, RankSumMethod.PERMUTATION_MIDRANKS).p.reason is Reason.TOO_LARGE
    assert rank_sum(x, y, RankSumMethod.ASYMPTOTIC_CC).p.value > 0.9
    assert hodges_lehmann(x, y, ShiftMethod.MOSES_ASYMPTOTIC).interval.lower.value < -1


@given(SCORES, SCORES, st.integers(-5, 5))
def test_shift_moves_with_the_sample(x, y, move):
    one = hodges_lehmann(x, y, ShiftMethod.MOSES_EXACT)
    other = hodges_lehmann([value + move for value in x], y, ShiftMethod.MOSES_EXACT)
    assert other.shift.value == pytest.approx(one.shift.value + move)
    if one.interval.lower.value is not None:
        assert one.interval.lower.value <= one.shift.value <= one.interval.upper.value
        assert one.coverage.value >= 0.95
        assert other.interval.lower.value == pytest.approx(one.interval.lower.value + move)
    else:
        assert one.interval.lower.reason is Reason.TOO_FEW_PATIENTS


@settings(max_examples=40)
@given(st.lists(st.integers(-6, 6).filter(bool), min_size=1, max_size=8))
def test_signed_rank_p_is_the_share_of_all_signs(differences):
    n = len(differences)
    sizes = [abs(d) for d in differences]
    ranks = [sum(v < u for v in sizes) + (sum(v == u for v in sizes) + 1) / 2 for u in sizes]
    here = sum(r for r, d in zip(ranks, differences, strict=True) if d > 0)
    sums = [sum(r for k, r in enumerate(ranks) if signs >> k & 1) for signs in range(2**n)]
    low, high = sum(s <= here for s in sums) / 2**n, sum(s >= here for s in sums) / 2**n
    result = signed_rank([0] * (n + 1), [*differences, 0])
    assert (result.n_pairs, result.n_nonzero, result.v.value) == (n + 1, n, here)
    assert result.p.value == pytest.approx(min(1, 2 * min(low, high)), abs=1e-12)


def test_signed_rank_without_differences():
    assert signed_rank([3, 4], [3, 4]).p.reason is Reason.ALL_DIFFERENCES_ZERO
    assert signed_rank([], []).p.reason is Reason.NO_PATIENTS
    with pytest.raises(ValueError):
        signed_rank([1], [1, 2])


@given(SCORES, SCORES, st.sampled_from(TTestMethod))
def test_t_test_from_values_is_that_from_moments(x, y, method):
    result = t_test(x, y, method)
    if min(len(x), len(y)) < 2:
        assert result.p.reason is Reason.NO_STANDARD_DEVIATION
        return
    moments = [value for arm in (x, y) for value in (np.mean(arm), np.std(arm, ddof=1), len(arm))]
    again = t_test_summary(*moments, method)
    assert result.p.reason == again.p.reason
    if result.p.value is not None:
        assert result.p.value == pytest.approx(again.p.value)
        assert result.interval.lower.value <= result.difference.value <= result.interval.upper.value
        assert (result.p.value < 0.05) == (result.interval.lower.value > 0 or result.interval.upper.value < 0)


def test_t_test_without_spread_or_patients():
    assert t_test([2, 2], [3, 3], TTestMethod.WELCH).t.reason is Reason.ZERO_VARIANCE
    # 0.1 three times has a standard deviation of 1e-17 in binary arithmetic.
    assert t_test([0.1] * 3, [0.3] * 3, TTestMethod.POOLED).t.reason is Reason.ZERO_VARIANCE
    assert t_test([], [3, 3], TTestMethod.WELCH).difference.reason is Reason.EMPTY_ARM
    with pytest.raises(ValueError):
        t_test_summary(1, -1, 5, 1, 1, 5, TTestMethod.WELCH)


def test_ancova_leaves_incomplete_patients_out_and_says_how_many():
    study, baseline, post = [True, True, True, False, False, False], [7, 8, 5, 6, 7, 9], [3, 5, 1, 4, 5, 6]
    full = ancova(study, baseline, post)
    more = ancova([*study, True, False], [*baseline, None, 4], [*post, 3, None])
    assert more.n_left_out == 2
    assert (more.difference, more.p) == (full.difference, full.p)


def test_ancova_adjusted_means_differ_by_the_adjusted_difference_with_sites():
    study = [True, False] * 8
    site = ["a", "a", "a", "a", "a", "a", "b", "b"] * 2
    baseline = [5, 6, 7, 8, 9, 6, 5, 7, 8, 9, 4, 6, 7, 5, 8, 9]
    post = [2, 4, 3, 6, 5, 4, 2, 5, 3, 7, 1, 4, 4, 3, 4, 7]
    result = ancova(study, baseline, post, site)
    assert result.df == 16 - 4
    assert result.mean_study.value - result.mean_control.value == pytest.approx(result.difference.value)


@pytest.mark.parametrize(
    ("study", "baseline", "post", "reason"),
    [
        ([True, True], [1, 2], [1, 2], Reason.EMPTY_ARM),
        ([True, False, True], [1, 2, 3], [1, 2, 4], Reason.NO_RESIDUAL_DF),
        ([True, False, True, False], [5, 5, 5, 5], [1, 2, 3, 4], Reason.SINGULAR_DESIGN),
        ([True, False, True, False, True], [1, 2, 3, 4, 5], [2, 2, 2, 2, 2], Reason.ZERO_VARIANCE),
        ([], [], [], Reason.EMPTY_ARM),
    ],
)
def test_ancova_that_cannot_be_fitted(study, baseline, post, reason):
    assert ancova(study, baseline, post).p.reason is reason


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
def test_smd_of_two_levels_is_the_binary_one(x1, x2, more1, more2):
    n1, n2 = x1 + more1, x2 + more2
    binary = smd_binary(x1, n1, x2, n2).smd
    levels = smd_categorical([n1 - x1, x1], [n2 - x2, x2]).smd
    assume(binary.value is not None and levels.value is not None)
    assert levels.value == pytest.approx(abs(binary.value), abs=1e-9)
    assert smd_binary(x2, n2, x1, n1).smd.value == pytest.approx(-binary.value, abs=1e-12)


def test_smd_at_the_edges():
    assert smd_continuous(1, 0, 2, 0).smd.reason is Reason.ZERO_VARIANCE
    assert smd_binary(0, 5, 5, 5).smd.reason is Reason.ZERO_VARIANCE
    assert smd_binary(0, 0, 1, 5).smd.reason is Reason.EMPTY_ARM
    assert smd_categorical([4, 0, 0], [0, 3, 0]).smd.reason is Reason.COMPLETE_SEPARATION
    assert smd_categorical([10, 0, 0], [0, 5, 5]).smd.reason is Reason.COMPLETE_SEPARATION
    assert smd_categorical([4], [7]).smd.value == 0
    assert smd_categorical([2, 0, 2], [1, 0, 1]).smd.value == pytest.approx(0)
    with pytest.raises(ValueError):
        smd_categorical([1, 2], [1, 2, 3])
    assert math.isfinite(smd_categorical([11, 7, 6, 6], [16, 6, 1, 7]).smd.value)


def test_exact_rank_sum_of_150_per_arm_as_r_gives_it():
    """R 4.2.2: 2 * pwilcox(9000, 150, 150); qwilcox(.025, 150, 150) and its coverage; qwilcox(.005, 200, 180)."""
    y = [10.0 * place for place in range(150)]
    # Each x exceeds sixty of the y: U = 9000.
    x = [595 + place / 100 for place in range(150)]
    for method in (RankSumMethod.EXACT_NO_TIES, RankSumMethod.PERMUTATION_MIDRANKS):
        test = rank_sum(x, y, method)
        assert test.u.value == 9000
        assert test.p.value == pytest.approx(2 * 0.00133470817298482, abs=1e-14)
    shift = hodges_lehmann(x, y, ShiftMethod.MOSES_EXACT)
    assert shift.k.value == 9778
    assert shift.coverage.value == pytest.approx(0.950109449940013, abs=1e-12)
    assert hodges_lehmann(list(range(200)), list(range(180)), ShiftMethod.MOSES_EXACT, 0.99).k.value == 15250


def test_ranks_of_2000_patients_say_that_they_are_too_many_at_once():
    x, y = [place % 11 for place in range(1000)], [place % 7 for place in range(1000)]
    assert rank_sum(x, y, RankSumMethod.PERMUTATION_MIDRANKS).p.reason is Reason.TOO_LARGE
    assert hodges_lehmann(x, y, ShiftMethod.MOSES_EXACT).interval.lower.reason is Reason.TOO_LARGE
    assert rank_sum(x, y, RankSumMethod.ASYMPTOTIC).p.estimable
    assert hodges_lehmann(x, y, ShiftMethod.MOSES_ASYMPTOTIC).interval.lower.estimable
