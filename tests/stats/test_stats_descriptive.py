"""Description of one sample, against R 4.2.2 (t.test, quantile type 7, sd)."""

import pytest

from spinetrial.stats.descriptive import describe
from spinetrial.stats.estimate import Reason


def test_against_r():
    found = describe([4, 7, 7, 2, 9, 0, 5], 0.95)
    assert found.n == 7
    assert found.mean.value == pytest.approx(4.857142857142857)
    assert found.sd.value == pytest.approx(3.132015934, abs=1e-8)
    assert found.interval.lower.value == pytest.approx(1.960511237, abs=1e-8)
    assert found.interval.upper.value == pytest.approx(7.753774477, abs=1e-8)
    quartiles = (found.minimum, found.lower_quartile, found.median, found.upper_quartile, found.maximum)
    assert [each.value for each in quartiles] == [0, 3, 5, 7, 9]
    assert [e.value for e in (describe([1, 2, 4, 8]).lower_quartile, describe([1, 2, 4, 8]).upper_quartile)] == [
        1.75,
        5,
    ]


def test_without_values_and_with_one():
    nothing = describe([])
    assert nothing.n == 0
    assert {nothing.mean.reason, nothing.median.reason, nothing.interval.upper.reason} == {Reason.NO_PATIENTS}
    one = describe([3])
    assert (one.mean.value, one.median.value, one.lower_quartile.value) == (3, 3, 3)
    assert one.sd.reason is one.interval.lower.reason is Reason.TOO_FEW_PATIENTS


def test_equal_values_have_no_interval():
    found = describe([0.1, 0.1, 0.1])
    assert found.sd.value == 0
    assert found.interval.lower.reason is Reason.ZERO_VARIANCE


def test_refusals():
    with pytest.raises(ValueError, match="level"):
        describe([1, 2], 95)
    with pytest.raises(ValueError, match="missing"):
        describe([1, float("nan")])
