"""Tables of counts."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spinetrial.stats.estimate import Reason
from spinetrial.stats.tables import (
    OddsRatioMethod,
    Stratum,
    barnard,
    boschloo,
    chi_square_2x2,
    cochran_armitage,
    fisher_2x2,
    odds_ratio,
    r_by_c,
    risk_ratio,
    stratified_2x2,
)

CELL = st.integers(0, 12)


def enumerated_fisher(a, b, c, d):
    n1, n0, events = a + b, c + d, a + c
    weights = {k: math.comb(n1, k) * math.comb(n0, events - k) for k in range(max(0, events - n0), min(events, n1) + 1)}
    total = sum(weights.values())
    return {
        "two_sided": sum(w for w in weights.values() if w <= weights[a]) / total,
        "less": sum(w for k, w in weights.items() if k <= a) / total,
        "greater": sum(w for k, w in weights.items() if k >= a) / total,
        "mid_p": sum(w / 2 if w == weights[a] else w for w in weights.values() if w <= weights[a]) / total,
    }


@given(CELL, CELL, CELL, CELL)
def test_fisher_is_the_sum_over_all_tables(a, b, c, d):
    assume(a + b and c + d)
    result = fisher_2x2(a, b, c, d)
    for name, value in enumerated_fisher(a, b, c, d).items():
        assert getattr(result, name).value == pytest.approx(value, abs=1e-10)


@given(CELL, CELL, CELL, CELL)
def test_fisher_does_not_depend_on_the_order_of_rows_or_columns(a, b, c, d):
    assume(a + b and c + d)
    p = fisher_2x2(a, b, c, d).p.value
    assert fisher_2x2(c, d, a, b).p.value == pytest.approx(p, abs=1e-12)
    assert fisher_2x2(b, a, d, c).p.value == pytest.approx(p, abs=1e-12)


def test_fisher_names_its_convention_and_refuses_an_empty_arm():
    assert "not more likely" in fisher_2x2(3, 1, 1, 3).convention
    assert fisher_2x2(0, 0, 4, 3).p.reason is Reason.EMPTY_ARM
    with pytest.raises(ValueError):
        fisher_2x2(-1, 2, 3, 4)


def test_large_tables_keep_their_probability():
    result = fisher_2x2(512, 313, 89, 19)
    assert 0 < result.p.value < 1e-4
    assert result.less.value + result.greater.value > 1


@given(CELL, CELL, CELL, CELL)
def test_chi_square_of_2x2_is_that_of_r_by_c(a, b, c, d):
    assume(min(a + b, c + d, a + c, b + d) > 0)
    two, many = chi_square_2x2(a, b, c, d), r_by_c([[a, b], [c, d]])
    assert many.pearson.value == pytest.approx(two.pearson.value, abs=1e-9)
    assert many.exact_p.value == pytest.approx(fisher_2x2(a, b, c, d).p.value, abs=1e-9)
    assert two.yates.value <= two.pearson.value + 1e-12


@pytest.mark.parametrize(("table", "reason"), [((0, 9, 0, 5), Reason.EMPTY_MARGIN), ((0, 0, 3, 5), Reason.EMPTY_ARM)])
def test_chi_square_without_a_margin(table, reason):
    assert chi_square_2x2(*table).pearson_p.reason is reason


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=3))
def test_exact_r_by_c_is_the_sum_over_all_tables(rows):
    table = np.array(rows)
    assume((table.sum(axis=0) > 0).sum() > 1 and (table.sum(axis=1) > 0).sum() > 1)
    row_totals, column_totals = table.sum(axis=1), table.sum(axis=0)

    def weight(cells):
        return -sum(math.lgamma(cell + 1) for cell in cells)

    free = [range(min(r, c) + 1) for r in row_totals[:-1] for c in column_totals[:-1]]
    weights = []
    for cells in product(*free):
        block = np.array(cells).reshape(len(row_totals) - 1, len(column_totals) - 1)
        full = np.zeros(table.shape, dtype=int)
        full[:-1, :-1] = block
        full[:-1, -1] = row_totals[:-1] - block.sum(axis=1)
        full[-1] = column_totals - full[:-1].sum(axis=0)
        if full.min() >= 0:
            weights.append(weight(full.ravel()))
    here = weight(table.ravel())
    chance = np.exp(np.array(weights) - np.logaddexp.reduce(weights))
    expected = chance[np.array(weights) <= here + 1e-9].sum()
    assert r_by_c(rows).exact_p.value == pytest.approx(expected, abs=1e-9)
    assert r_by_c(table.T.tolist()).exact_p.value == pytest.approx(expected, abs=1e-9)


def test_r_by_c_leaves_empty_levels_out_and_stays_the_same_between_runs():
    with_empty = r_by_c([[4, 0, 3, 2], [1, 0, 6, 2], [0, 0, 0, 0]])
    without = r_by_c([[4, 3, 2], [1, 6, 2]])
    assert (with_empty.df, with_empty.pearson, with_empty.exact_p) == (without.df, without.pearson, without.exact_p)
    assert r_by_c([[5, 4, 3, 2, 6], [7, 8, 2, 1, 4]]) == r_by_c([[5, 4, 3, 2, 6], [7, 8, 2, 1, 4]])


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ([[30, 30, 40], [35, 25, 40], [30, 35, 35]], 0.6290996630878071),
        ([[5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [3, 3, 3, 3, 3], [2, 1, 4, 2, 5], [4, 4, 1, 2, 2]], 0.723195552796616),
        ([[4, 1, 3, 1, 0, 4], [5, 2, 3, 1, 5, 4], [3, 2, 4, 2, 0, 2], [0, 5, 3, 1, 3, 4]], 0.2752774654512708),
        ([[1000, 800, 200], [950, 820, 230]], 0.16333829673526196),
        ([[300, 200, 150, 100, 80], [310, 190, 160, 90, 85]], 0.8435619875391231),
        ([[980, 12, 5, 2, 1], [985, 9, 4, 2, 0]], 0.8983282092103624),
    ],
)
def test_larger_tables_as_r_gives_them(table, p):
    """R 4.2.2, fisher.test(table, workspace = 2e8)."""
    assert r_by_c(table).exact_p.value == pytest.approx(p, abs=1e-8)
    assert r_by_c([row[::-1] for row in table[::-1]]).exact_p.value == pytest.approx(p, abs=1e-8)


def test_r_by_c_says_when_it_is_too_large():
    result = r_by_c([[200, 190, 180, 170, 160, 150]] * 4)
    assert result.exact_p.reason is Reason.TOO_LARGE
    assert result.pearson_p.value == pytest.approx(1)


@pytest.mark.parametrize("table", [[], [[]], [[1, 2], [3]], [[1, -1], [2, 3]]])
def test_tables_that_are_none_are_refused(table):
    with pytest.raises(ValueError):
        r_by_c(table)


@settings(max_examples=15)
@given(*[st.integers(0, 6)] * 4)
def test_unconditional_p_is_the_largest_over_the_rate(a, b, c, d):
    assume(a + b and c + d)
    n1, n0 = a + b, c + d
    result = barnard(a, b, c, d)

    def z(x1, x0):
        rate = (x1 + x0) / (n1 + n0)
        spread = rate * (1 - rate) * (1 / n1 + 1 / n0)
        return (x1 / n1 - x0 / n0) / math.sqrt(spread) if spread > 0 else 0.0

    outcomes = [(x1, x0) for x1 in range(n1 + 1) for x0 in range(n0 + 1) if abs(z(x1, x0)) >= abs(z(a, c)) - 1e-9]
    rates = np.linspace(0.001, 0.999, 999)
    tail = sum(
        math.comb(n1, x1) * math.comb(n0, x0) * rates ** (x1 + x0) * (1 - rates) ** (n1 + n0 - x1 - x0)
        for x1, x0 in outcomes
    )
    assert result.two_sided.value >= np.max(tail) - 1e-9
    assert result.two_sided.value == pytest.approx(np.max(tail), abs=2e-3)


@settings(max_examples=20)
@given(*[st.integers(0, 7)] * 4)
def test_boschloo_is_never_weaker_than_fisher(a, b, c, d):
    assume(a + b and c + d)
    fisher, exact = fisher_2x2(a, b, c, d), boschloo(a, b, c, d)
    assert exact.less.value <= fisher.less.value + 1e-9
    assert exact.greater.value <= fisher.greater.value + 1e-9
    assert exact.two_sided.value <= fisher.two_sided.value + 1e-9


def test_rows_are_the_groups_of_an_unconditional_test():
    assert barnard(7, 8, 12, 3).less.value != pytest.approx(barnard(7, 12, 8, 3).less.value, abs=1e-3)


@settings(max_examples=50)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))
def test_odds_ratio_limits_invert_the_one_sided_tests(a, b, c, d):
    assume(min(a + b, c + d, a + c, b + d) > 0)
    result = odds_ratio(a, b, c, d, OddsRatioMethod.EXACT)
    n1, n0, events = a + b, c + d, a + c
    support = range(max(0, events - n0), min(events, n1) + 1)

    def tail(ratio, counts):
        logs = {k: math.log(math.comb(n1, k) * math.comb(n0, events - k)) + k * math.log(ratio) for k in support}
        top = max(logs.values())
        weights = {k: math.exp(value - top) for k, value in logs.items()}
        return sum(weights[k] for k in counts) / sum(weights.values())

    lower, upper = result.interval.lower.value, result.interval.upper.value
    assert lower <= result.conditional.value <= upper
    if lower > 0:
        assert tail(lower, [k for k in support if k >= a]) == pytest.approx(0.025, abs=1e-8)
    if upper < math.inf:
        assert tail(upper, [k for k in support if k <= a]) == pytest.approx(0.025, abs=1e-8)


def test_odds_ratio_as_r_prints_it_differs_from_the_exact_one():
    exact, as_r = (odds_ratio(3, 1, 1, 3, method).interval.upper.value for method in OddsRatioMethod)
    assert exact == pytest.approx(626.2435, abs=1e-3)
    assert as_r == pytest.approx(621.9337505, abs=1e-5)


def test_ratios_with_empty_cells():
    assert risk_ratio(0, 10, 4, 6).ratio.value == 0
    assert risk_ratio(4, 6, 0, 10).ratio.value == math.inf
    assert risk_ratio(4, 6, 0, 10).interval.upper.reason is Reason.ZERO_CELL
    assert risk_ratio(0, 6, 0, 10).ratio.reason is Reason.UNDEFINED_RATIO
    assert odds_ratio(0, 6, 0, 10, OddsRatioMethod.EXACT).sample.reason is Reason.UNDEFINED_RATIO


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=4))
def test_trend_does_not_depend_on_the_unit_of_the_scores(pairs):
    events, n = [min(p) for p in pairs], [max(p) for p in pairs]
    scores = list(range(len(pairs)))
    plain, scaled = cochran_armitage(events, n, scores), cochran_armitage(events, n, [10 * s - 3 for s in scores])
    assert plain.chi2.reason == scaled.chi2.reason
    if plain.chi2.value is not None:
        assert plain.chi2.value == pytest.approx(scaled.chi2.value, abs=1e-9)


@given(st.lists(st.tuples(CELL, CELL, CELL, CELL), min_size=1, max_size=3))
def test_exchanging_the_arms_in_every_stratum_turns_the_difference(cells):
    strata = [Stratum(a, a + b, c, c + d) for a, b, c, d in cells]
    turned = stratified_2x2([Stratum(s.x0, s.n0, s.x1, s.n1) for s in strata])
    plain = stratified_2x2(strata)
    assert plain.cmh.reason == turned.cmh.reason
    if plain.risk_difference.value is not None:
        assert plain.risk_difference.value == pytest.approx(-turned.risk_difference.value, abs=1e-9)
        assert plain.se_sato.value == pytest.approx(turned.se_sato.value, abs=1e-9)
    if plain.cmh.value is not None:
        assert plain.cmh.value == pytest.approx(turned.cmh.value, abs=1e-9)
        assert plain.cmh_corrected.value <= plain.cmh.value + 1e-12


def test_no_stratum_with_both_arms():
    assert stratified_2x2([Stratum(1, 2, 0, 0)]).cmh_p.reason is Reason.EMPTY_ARM
    assert stratified_2x2([]).risk_difference.reason is Reason.EMPTY_ARM
