"""A difference of proportions that is the same in every stratum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spinetrial.stats.estimate import Reason
from spinetrial.stats.homogeneity import difference_homogeneity
from spinetrial.stats.tables import Stratum

ARM = st.integers(0, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
STRATUM = st.tuples(ARM, ARM).map(lambda pair: Stratum(*pair[0], *pair[1]))


def test_agrees_with_r():
    # R 4.2.2: glm(cbind(x, n - x) ~ s + a, binomial(link = "identity")) against s * a, anova(test = "LRT").
    found = difference_homogeneity([Stratum(10, 20, 8, 20), Stratum(15, 20, 6, 20), Stratum(5, 13, 7, 14)])
    assert found.common.value == pytest.approx(0.176051207733, abs=1e-6)
    assert found.statistic.value == pytest.approx(5.84303958686, abs=1e-8)
    assert (found.df, found.used) == (2, 3)
    assert found.p.value == pytest.approx(0.053852, abs=5e-7)


def brute(strata):
    """Largest likelihood under a common difference, on a grid of differences and control rates."""
    best = -np.inf
    for difference in np.linspace(-1, 1, 401):
        p0 = np.linspace(max(0, -difference), min(1, 1 - difference), 401)
        with np.errstate(divide="ignore"):
            total = sum(
                np.max(stats.binom.logpmf(s.x1, s.n1, np.clip(p0 + difference, 0, 1))
                       + stats.binom.logpmf(s.x0, s.n0, p0))
                for s in strata
            )  # fmt: skip
        best = max(best, total)
    free = sum(
        stats.binom.logpmf(s.x1, s.n1, s.x1 / s.n1) + stats.binom.logpmf(s.x0, s.n0, s.x0 / s.n0) for s in strata
    )
    return 2 * (free - best)


@settings(max_examples=15)
@given(st.lists(STRATUM, min_size=2, max_size=3))
def test_agrees_with_a_grid(strata):
    found = difference_homogeneity(strata)
    used = [s for s in strata if s.n1 and s.n0]
    if len(used) < 2:
        assert found.p.reason is Reason.TOO_FEW_GROUPS
        return
    slow = brute(used)
    assert found.statistic.value <= slow + 1e-9
    assert found.statistic.value == pytest.approx(slow, abs=0.02)


@settings(max_examples=30)
@given(st.lists(STRATUM, min_size=2, max_size=4))
def test_exchanged_arms_and_outcomes_give_the_same_statistic(strata):
    expected = difference_homogeneity(strata).statistic.value
    arms = [Stratum(s.x0, s.n0, s.x1, s.n1) for s in strata]
    outcomes = [Stratum(s.n1 - s.x1, s.n1, s.n0 - s.x0, s.n0) for s in strata]
    for other in (arms, outcomes, strata[::-1]):
        found = difference_homogeneity(other).statistic.value
        assert found is None if expected is None else found == pytest.approx(expected, abs=1e-7)


def test_the_same_difference_at_other_rates_is_homogeneous_and_the_opposite_is_not():
    same = difference_homogeneity([Stratum(40, 100, 20, 100), Stratum(90, 100, 70, 100)])
    assert same.common.value == pytest.approx(0.2, abs=1e-6)
    assert same.p.value == pytest.approx(1, abs=1e-4)
    opposite = difference_homogeneity([Stratum(5, 5, 0, 5), Stratum(0, 5, 5, 5)])
    assert opposite.p.value < 1e-5


def test_a_stratum_with_one_arm_says_nothing():
    two = [Stratum(4, 9, 5, 8), Stratum(7, 9, 2, 8)]
    assert difference_homogeneity([*two, Stratum(3, 4, 0, 0)]).p == difference_homogeneity(two).p
    assert difference_homogeneity(two[:1]).p.reason is Reason.TOO_FEW_GROUPS
    assert difference_homogeneity([]).p.reason is Reason.TOO_FEW_GROUPS
