"""Kaplan-Meier, log-rank, restricted mean, Cox; cumulative incidence and Gray's test."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spinetrial.stats.competing import cumulative_incidence, gray_test
from spinetrial.stats.estimate import Reason
from spinetrial.stats.survival import (
    cox_two_groups,
    kaplan_meier,
    logrank,
    logrank_groups,
    median_follow_up,
    restricted_mean,
    restricted_mean_difference,
)

TIME = st.integers(0, 12)
SAMPLE = st.lists(st.tuples(TIME, st.integers(0, 1)), min_size=1, max_size=20)
COMPETING = st.lists(st.tuples(TIME, st.integers(0, 2)), min_size=1, max_size=20)


def split(rows):
    return [row[0] for row in rows], [row[1] for row in rows]


@given(st.lists(TIME, min_size=1, max_size=30), st.floats(0, 13))
def test_without_censoring_the_curve_is_the_empirical_one(times, at):
    point = kaplan_meier(times, [1] * len(times)).at(at)
    share = sum(time > at for time in times) / len(times)
    assert point.survival.value == pytest.approx(share, abs=1e-12)
    assert point.n_risk == sum(time >= at for time in times)
    if 0 < share < 1:
        assert point.se.value == pytest.approx(math.sqrt(share * (1 - share) / len(times)), abs=1e-12)
        assert 0 < point.lower.value < share < point.upper.value < 1


@given(SAMPLE)
def test_the_curve_falls_only_at_events_and_stays_a_probability(rows):
    curve = kaplan_meier(*split(rows))
    last = 1.0
    for step in curve.steps:
        assert 0 <= step.survival.value <= last
        assert (step.survival.value < last) == (step.n_events > 0)
        last = step.survival.value
        for limit in (step.lower, step.upper):
            assert (limit.reason is Reason.AT_BOUNDARY) == (last in (0.0, 1.0))
    assert sum(step.n_events + step.n_censored for step in curve.steps) == curve.n == len(rows)


@given(SAMPLE, st.floats(0.1, 100))
def test_the_unit_of_time_does_not_matter(rows, factor):
    times, events = split(rows)
    one, other = kaplan_meier(times, events), kaplan_meier([factor * time for time in times], events)
    assert [s.survival for s in one.steps] == [s.survival for s in other.steps]
    assert one.median.reason == other.median.reason
    if one.median.value is not None:
        assert other.median.value == pytest.approx(factor * one.median.value)


def test_nobody_and_everybody_censored():
    assert kaplan_meier([], []).median.reason is Reason.NO_PATIENTS
    assert kaplan_meier([], []).at(3).survival.reason is Reason.NO_PATIENTS
    censored = kaplan_meier([5, 8], [0, 0])
    assert censored.at(6).survival.value == 1
    assert censored.median.reason is Reason.NOT_REACHED
    assert not censored.at(6).beyond_follow_up
    assert censored.at(9).beyond_follow_up


def test_one_patient():
    curve = kaplan_meier([7], [1])
    assert (curve.at(5).survival.value, curve.at(7).survival.value, curve.median.value) == (1, 0, 7)
    assert not curve.at(8).beyond_follow_up


def test_median_on_an_exact_half_with_awkward_fractions():
    """0.5 comes out as 0.49999999999999994 or 0.5000000000000001 by the product of fractions; neither may matter."""
    for n in range(2, 40, 2):
        assert kaplan_meier(range(1, n + 1), [1] * n).median.value == (n + 1) / 2


@pytest.mark.parametrize(
    ("times", "events"), [([1, 2], [1]), ([-1], [1]), ([math.nan], [1]), ([1], [2]), ([math.inf], [0])]
)
def test_impossible_follow_up_is_refused(times, events):
    with pytest.raises(ValueError):
        kaplan_meier(times, events)
    with pytest.raises(ValueError):
        logrank(times, events, [1], [1])


def test_follow_up_turns_events_into_censorings():
    assert median_follow_up([1, 2, 3, 4], [0, 0, 0, 1]).median.value == 2.5
    assert median_follow_up([1, 2], [1, 1]).median.reason is Reason.NOT_REACHED


@given(SAMPLE, SAMPLE)
def test_logrank_is_symmetric_and_its_sums_agree(one, other):
    forwards, backwards = logrank(*split(one), *split(other)), logrank(*split(other), *split(one))
    assert forwards.chi2.reason == backwards.chi2.reason
    assert sum(forwards.observed) == pytest.approx(sum(forwards.expected))
    if forwards.chi2.value is not None:
        assert forwards.chi2.value == pytest.approx(backwards.chi2.value, abs=1e-9)


@given(SAMPLE)
def test_equal_groups_do_not_differ(rows):
    test = logrank(*split(rows), *split(rows))
    assert test.p.value is None or test.p.value == pytest.approx(1)


def test_logrank_that_cannot_be_made():
    assert logrank([1], [0], [2], [0]).p.reason is Reason.NO_EVENTS
    assert logrank([], [], [2], [1]).p.reason is Reason.TOO_FEW_GROUPS
    # The only event comes when the other group has left.
    assert logrank([1], [0], [2], [1]).p.reason is Reason.ZERO_VARIANCE
    with pytest.raises(ValueError):
        logrank_groups([1], [1], ["a"], ["b"])


@given(SAMPLE, SAMPLE)
def test_a_stratum_of_its_own_for_everybody_leaves_nothing(one, other):
    rows = one + other
    groups = ["a"] * len(one) + ["b"] * len(other)
    test = logrank_groups(*split(rows), groups, ("a", "b"), [str(k) for k in range(len(rows))])
    assert test.p.value is None


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.floats(0.5, 25))
def test_restricted_mean_without_censoring_is_the_mean_of_the_cut_times(times, tau):
    result = restricted_mean(times, [1] * len(times), tau)
    cut = np.minimum(times, tau)
    assert result.mean.value == pytest.approx(np.mean(cut))
    assert result.se.value == pytest.approx(np.std(cut) / math.sqrt(len(cut)), abs=1e-9)


def test_restricted_mean_beyond_follow_up():
    assert restricted_mean([3, 5], [1, 0], 6).mean.reason is Reason.BEYOND_FOLLOW_UP
    assert restricted_mean([3, 5], [1, 1], 6).mean.value == 4
    with pytest.raises(ValueError):
        restricted_mean([3], [1], 0)


def test_difference_of_restricted_means():
    # Without censoring it is Welch's comparison with variances over n: means 4 and 2, variances 5 and 1 over 4.
    control, study = (restricted_mean(times, [1] * 4, 10) for times in ([1, 3, 5, 7], [1, 1, 3, 3]))
    found = restricted_mean_difference(control, study)
    assert found.difference.value == pytest.approx(-2)
    assert found.se.value == pytest.approx(math.sqrt(6 / 4))
    assert found.interval.lower.value == pytest.approx(-2 - 1.959963984540054 * math.sqrt(1.5))
    assert found.p.value == pytest.approx(math.erfc(2 / math.sqrt(1.5) / math.sqrt(2)))
    turned = restricted_mean_difference(study, control)
    assert (turned.difference.value, turned.p.value) == (-found.difference.value, found.p.value)


def test_no_difference_of_restricted_means():
    short, empty, long = restricted_mean([3, 5], [1, 0], 6), restricted_mean([], [], 6), restricted_mean([6], [0], 6)
    assert restricted_mean_difference(short, long).difference.reason is Reason.BEYOND_FOLLOW_UP
    assert restricted_mean_difference(long, empty).p.reason is Reason.NO_PATIENTS
    same = restricted_mean_difference(long, long)
    assert (same.difference.value, same.p.reason) == (0, Reason.ZERO_VARIANCE)
    with pytest.raises(ValueError):
        restricted_mean_difference(long, restricted_mean([6], [0], 5))


@given(SAMPLE, SAMPLE)
def test_cox_turns_with_the_groups(one, other):
    forwards, backwards = cox_two_groups(*split(one), *split(other)), cox_two_groups(*split(other), *split(one))
    assert forwards.log_hazard_ratio.reason == backwards.log_hazard_ratio.reason
    if forwards.log_hazard_ratio.value is not None:
        assert forwards.log_hazard_ratio.value == pytest.approx(-backwards.log_hazard_ratio.value, abs=1e-6)
        assert forwards.interval.lower.value < forwards.hazard_ratio.value < forwards.interval.upper.value


def test_cox_without_a_maximum():
    assert cox_two_groups([1, 2], [1, 1], [3, 4], [0, 0]).hazard_ratio.reason is Reason.NO_EVENTS_IN_ONE_ARM
    assert cox_two_groups([1, 2], [1, 1], [3, 4], [1, 1]).hazard_ratio.reason is Reason.NO_INTERIOR_MAXIMUM
    assert cox_two_groups([], [], [3, 4], [1, 1]).hazard_ratio.reason is Reason.EMPTY_ARM
    assert cox_two_groups([1], [0], [3], [0]).hazard_ratio.reason is Reason.NO_EVENTS


@given(COMPETING, st.floats(0, 13))
def test_the_incidences_and_the_curve_add_up_to_one(rows, at):
    times, causes = split(rows)
    first, second = (cumulative_incidence(times, causes, cause).at(at) for cause in (1, 2))
    free = kaplan_meier(times, [int(cause > 0) for cause in causes]).at(at)
    if first.incidence.value is None:
        assert free.beyond_follow_up
        return
    assert first.incidence.value + second.incidence.value + free.survival.value == pytest.approx(1)
    if first.lower.value is not None:
        assert first.lower.value < first.incidence.value < first.upper.value


@given(SAMPLE, st.floats(0, 12))
def test_without_competing_events_incidence_is_one_minus_the_curve(rows, at):
    point, curve = cumulative_incidence(*split(rows), 1).at(at), kaplan_meier(*split(rows)).at(at)
    assume(point.incidence.value is not None)
    assert point.incidence.value == pytest.approx(1 - curve.survival.value, abs=1e-12)


@given(COMPETING)
def test_one_minus_kaplan_meier_overstates_the_incidence(rows):
    times, causes = split(rows)
    curve = kaplan_meier(times, [int(cause == 1) for cause in causes])
    for step in cumulative_incidence(times, causes, 1).steps:
        assert step.incidence.value <= 1 - curve.at(step.time).survival.value + 1e-12


def test_an_incidence_of_one_has_no_limits_though_it_comes_out_as_0_9999999999999999():
    times, causes = [0, 0, 1, 1, 1, 1, 1, 1, 2], [0, 1, 0, 0, 0, 0, 0, 0, 1]
    point = cumulative_incidence(times, causes, 1).at(2)
    assert point.incidence.value == pytest.approx(1)
    assert point.upper.reason is Reason.AT_BOUNDARY


def test_incidence_beyond_follow_up():
    assert cumulative_incidence([1, 5], [1, 0], 1).at(6).incidence.reason is Reason.BEYOND_FOLLOW_UP
    assert cumulative_incidence([1, 5], [1, 2], 1).at(6).incidence.value == 0.5
    assert cumulative_incidence([], [], 1).at(6).incidence.reason is Reason.NO_PATIENTS
    with pytest.raises(ValueError):
        cumulative_incidence([1], [1], 0)


@given(COMPETING, COMPETING)
def test_gray_does_not_depend_on_the_order_of_groups(one, other):
    rows, groups = one + other, ["a"] * len(one) + ["b"] * len(other)
    forwards, backwards = (gray_test(*split(rows), groups, order, 1) for order in (("a", "b"), ("b", "a")))
    assert forwards.statistic.reason == backwards.statistic.reason
    if forwards.statistic.value is not None:
        assert forwards.statistic.value == pytest.approx(backwards.statistic.value, rel=1e-6, abs=1e-9)
        assert sum(forwards.scores) == pytest.approx(0, abs=1e-9)


@given(SAMPLE, SAMPLE)
def test_without_competing_events_grays_score_is_that_of_the_logrank(one, other):
    rows, groups = one + other, ["0"] * len(one) + ["1"] * len(other)
    test, plain = gray_test(*split(rows), groups, ("0", "1"), 1), logrank(*split(one), *split(other))
    assume(test.statistic.value is not None)
    assert test.scores[0] == pytest.approx(plain.observed[0] - plain.expected[0], abs=1e-9)


def test_gray_that_cannot_be_made():
    assert gray_test([1, 2], [2, 0], ["a", "b"], ("a", "b"), 1).p.reason is Reason.NO_EVENTS
    assert gray_test([1, 2], [1, 0], ["a", "a"], ("a", "b"), 1).p.reason is Reason.TOO_FEW_GROUPS


@pytest.mark.parametrize(
    ("times", "groups", "statistic"),
    [
        ([6, 5, 4, 4], "1122", 2.9999999999999987),
        ([27.77, 18.45, 11.12, 11.83], "1122", 2.8150807899461405),
        ([5.85, 15.05, 3.38, 4.27, 15.7, 7.82], "122121", 1.1680154422071987),
        # Here 1 - F0 is exactly 0 before the last event, not a last bit away from it as above, and R stops with
        # "NA/NaN/Inf in foreign function call".
        ([7, 5, 8, 27, 23, 25], "122111", None),
        ([27, 26, 19], "122", None),
    ],
)
def test_gray_when_one_group_has_ended_and_everybody_has_had_the_event(times, groups, statistic):
    """R 4.2.2 cmprsk, cuminc(...)$Tests."""
    test = gray_test(times, [1] * len(times), list(groups), ["1", "2"], 1)
    assert test.statistic.estimable
    assert math.isfinite(test.statistic.value)
    if statistic is not None:
        assert test.statistic.value == pytest.approx(statistic, abs=1e-9)


def test_gray_with_a_negative_variance_is_not_estimable():
    """R 4.2.2 cmprsk prints a statistic of -4.44 and p = 1 here: with so few and so many ties there is no variance."""
    test = gray_test([23, 25, 25, 27, 27, 27], [0, 1, 0, 1, 1, 1], list("DDAADA"), ["D", "A"], 1)
    assert test.statistic.reason is Reason.TOO_FEW_PATIENTS
    assert test.p.reason is Reason.TOO_FEW_PATIENTS


def test_gray_when_only_competing_events_are_left():
    test = gray_test([27, 26, 19, 28], [2, 2, 2, 1], list("1221"), ["1", "2"], 2)
    assert test.p.estimable


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 2), st.sampled_from("AB")), min_size=2, max_size=9))
def test_gray_of_tiny_groups_is_a_number_or_a_reason(rows):
    groups = [row[2] for row in rows]
    test = gray_test([row[0] for row in rows], [row[1] for row in rows], groups, ["A", "B"], 1)
    assert test.p.estimable or test.p.reason in (
        Reason.TOO_FEW_PATIENTS, Reason.TOO_FEW_GROUPS, Reason.NO_EVENTS, Reason.ZERO_VARIANCE
    )  # fmt: skip
