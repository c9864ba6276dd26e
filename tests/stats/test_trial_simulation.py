"""The simulated trial against exact power, and the rules it is made by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinetrial.stats.design import ExactTest, claim_region, exact_noninferiority_power
from spinetrial.stats.risk_difference import DifferenceMethod, risk_difference_ci, score_limits
from spinetrial.stats.trial_simulation import (
    MOST_TRIALS,
    SetTally,
    SimulatedTrials,
    TrialScenario,
    conclusions,
    limits_of_tables,
    monte_carlo,
    permuted_blocks,
    simulate_trials,
)

MN = DifferenceMethod.MIETTINEN_NURMINEN
#: One site and blocks that always give arms of 32: nothing but the responses is left to chance.
PLAIN = TrialScenario(
    participants=64, sites=1, block_sizes=(4,), study_rate=0.7, control_rate=0.7, death=0.0, study_missing=0.0,
    control_missing=0.0, study_deviation=0.0, control_deviation=0.0, margin=-0.15, level=0.95, method=MN,
)  # fmt: skip
LOSSES = replace(
    PLAIN, participants=66, sites=3, block_sizes=(4, 6), death=0.1, study_missing=0.1, control_missing=0.05,
    study_deviation=0.1, control_deviation=0.02,
)  # fmt: skip


def exact(p1, p0, n=32):
    return exact_noninferiority_power(p1, p0, n, n, -0.15, 0.025, ExactTest.MIETTINEN_NURMINEN).power.value


@pytest.mark.parametrize(("p1", "p0"), [(0.7, 0.7), (0.8, 0.62), (0.55, 0.7), (0.9, 0.9)])
def test_without_losses_the_share_of_claims_is_the_exact_power(p1, p0):
    found = simulate_trials(replace(PLAIN, study_rate=p1, control_rate=p0), 20_000, 2026)
    share = monte_carlo(found.claims, found.trials)
    assert abs(share.probability.value - exact(p1, p0)) < 3 * share.standard_error.value
    assert found.itt == found.pp
    assert found.largest_imbalance == 0
    mean, error = found.itt.mean()
    assert abs(mean.value - (p1 - p0)) < 3 * error.value


def test_deaths_and_missing_visits_count_as_no_response_in_itt_and_leave_pp():
    scenario = replace(LOSSES, participants=64, sites=1, block_sizes=(4,))
    found = simulate_trials(scenario, 20_000, 7)
    alive = 0.9
    share = monte_carlo(found.itt.claims, found.trials)
    power = exact(alive * 0.7 * 0.9, alive * 0.7 * 0.95)
    assert abs(share.probability.value - power) < 3 * share.standard_error.value
    assert scenario.itt_difference == pytest.approx(alive * 0.7 * (0.9 - 0.95))
    for tally, truth in ((found.itt, scenario.itt_difference), (found.pp, 0.0)):
        mean, error = tally.mean()
        assert abs(mean.value - truth) < 3 * error.value
        assert 0.93 < tally.covered / tally.estimable < 0.98
    assert found.itt.study_n == 32 * 20_000
    assert found.pp.study_n / 20_000 == pytest.approx(32 * 0.9 * 0.9 * 0.9, rel=0.01)
    assert found.pp.control_n / 20_000 == pytest.approx(32 * 0.9 * 0.95 * 0.98, rel=0.01)
    assert found.claims <= min(found.itt.claims, found.pp.claims)


def test_the_same_seed_gives_the_same_numbers_and_batches_are_told():
    told = []
    first = simulate_trials(LOSSES, 5_000, 3, told.append)
    assert first == simulate_trials(LOSSES, 5_000, 3)
    assert first != simulate_trials(LOSSES, 5_000, 4)
    assert told == [2_000, 4_000, 5_000]
    assert first.superior + first.non_inferior + first.inconclusive + first.inferior + first.not_estimable == 5_000
    assert SimulatedTrials.read(first.stored()) == first
    assert TrialScenario.read(LOSSES.stored()) == LOSSES


KNOWN = (16, 213, 1771, 0)


def test_a_known_seed_keeps_giving_what_it_gave():
    """A released result must come out again: a change of the order of draws shows here."""
    found = simulate_trials(LOSSES, 2_000, 1)
    assert (found.superior, found.non_inferior, found.inconclusive, found.inferior) == KNOWN


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"study_missing": 1.0, "control_missing": 1.0}, "not_estimable"),
        ({"death": 1.0}, "not_estimable"),
        ({"control_deviation": 1.0}, "not_estimable"),
        ({"study_rate": 0.0, "control_rate": 1.0}, "inferior"),
        ({"study_rate": 1.0, "control_rate": 0.0}, "superior"),
        ({"study_rate": 0.0, "control_rate": 0.0}, "non_inferior"),
        ({"study_rate": 1.0, "control_rate": 1.0}, "non_inferior"),
    ],
)
def test_extreme_rates_have_one_possible_end(change, count):
    found = simulate_trials(replace(PLAIN, **change), 50, 1)
    assert getattr(found, count) == 50
    assert found.pp.estimable == (0 if count == "not_estimable" else 50)


def test_a_trial_of_two_is_simulated():
    found = simulate_trials(replace(LOSSES, participants=2, sites=50), 500, 1)
    assert found.trials == 500
    assert found.not_estimable > 0


@given(
    st.integers(0, 2**31), st.integers(1, 20), st.integers(0, 40),
    st.lists(st.sampled_from([2, 4, 6, 8]), min_size=1, max_size=3),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_lists_are_made_of_balanced_blocks(seed, lists, length, sizes):
    found = permuted_blocks(np.random.default_rng(seed), lists, length, sizes)
    assert found.shape == (lists, length)
    for row in found:
        ends = {0}
        # Every way to cut the list into balanced blocks of the given sizes; the last one may be cut short.
        for start in range(length):
            if start not in ends:
                continue
            for size in sizes:
                part = row[start : start + size]
                if start + size <= length and 2 * part.sum() == size:
                    ends.add(start + size)
                elif start + size > length and max(part.sum(), len(part) - part.sum()) <= size // 2:
                    ends.add(length)
        assert length in ends
        balance = np.abs(np.cumsum(np.where(row, 1, -1)))
        assert balance.max(initial=0) <= max(sizes) // 2


def test_the_blocks_are_shuffled_and_of_every_size():
    found = permuted_blocks(np.random.default_rng(1), 20_000, 6, (4, 6))
    assert np.abs(found.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(20_000)
    # A block of four is over after four; one of six need not be balanced there.
    balanced = (found[:, :4].sum(axis=1) == 2).mean()
    assert balanced == pytest.approx(0.5 + 0.5 * (9 / 15), abs=0.015)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1)), min_size=1,
                max_size=8), st.sampled_from([0.8, 0.95]))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_limits_of_many_tables_are_those_of_one(tables, level):
    rows = np.array([[round(a * n1), n1, round(b * n0), n0] for n1, n0, a, b in tables])
    for method in (MN, DifferenceMethod.FARRINGTON_MANNING):
        lower, upper = score_limits(*rows.T, method, level)
        for place, row in enumerate(rows.tolist()):
            single = risk_difference_ci(*row, method, level)
            assert lower[place] == pytest.approx(single.unclipped.lower.value, abs=1e-9)
            assert upper[place] == pytest.approx(single.unclipped.upper.value, abs=1e-9)


def test_limits_of_many_refuse_what_they_cannot_do():
    one = np.array([1])
    with pytest.raises(ValueError, match="not a score interval"):
        score_limits(one, one, one, one, DifferenceMethod.WALD, 0.95)
    with pytest.raises(ValueError, match="patients"):
        score_limits(one * 0, one * 0, one, one, MN, 0.95)


def test_the_region_of_claims_is_where_the_limit_clears_the_margin():
    region = claim_region(30, 28, -0.15, 0.025, ExactTest.MIETTINEN_NURMINEN)
    cells = np.array([(x1, 30, x0, 28) for x1 in range(31) for x0 in range(29)])
    limits = limits_of_tables(cells, MN, 0.95)
    assert np.array_equal(limits.lower > -0.15, region[cells[:, 0], cells[:, 2]])


def test_an_empty_arm_decides_nothing():
    tables = np.array([[3, 3, 0, 0], [20, 20, 0, 20]])
    found = limits_of_tables(tables, MN, 0.95)
    assert found.estimable.tolist() == [False, True]
    ends = conclusions(found, found, -0.15)
    assert ends["not_estimable"].tolist() == [True, False]
    assert ends["superior"].tolist() == [False, True]
    assert SetTally().mean()[0].value is None
    assert monte_carlo(0, 0).probability.value is None


@pytest.mark.parametrize(
    "change",
    [
        {"participants": 1}, {"participants": 1001}, {"sites": 0}, {"block_sizes": ()}, {"block_sizes": (3,)},
        {"death": 1.1}, {"study_rate": -0.1}, {"margin": -1}, {"level": 1},
    ],
)  # fmt: skip
def test_an_impossible_scenario_is_refused(change):
    with pytest.raises(ValueError):
        replace(PLAIN, **change)


@pytest.mark.parametrize(("trials", "seed"), [(0, 1), (MOST_TRIALS + 1, 1), (10, -1)])
def test_an_impossible_number_or_seed_is_refused(trials, seed):
    with pytest.raises(ValueError):
        simulate_trials(PLAIN, trials, seed)
