"""Missing primary responses: imputed, and filled in in every way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spinetrial.analysis import imputation as module
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.imputation import IMPUTATION_SEED, IMPUTATIONS, imputed, tipping
from spinetrial.analysis.results import results
from spinetrial.protocol import CURRENT
from spinetrial.stats.estimate import Reason
from spinetrial.stats.noninferiority import NonInferiorityMethod, noninferiority_test
from tests.analysis.trial import failure, make_snapshot, responder, two_arms


def groups(patients):
    return results(make_snapshot(patients), Arms.SHOWN).groups


def mi(patients):
    return imputed(CURRENT, groups(patients), "MI", "Multiple imputation")


def grid(patients):
    return tipping(CURRENT, groups(patients), "TIPPING", "Tipping-point grid")


def missing(number, arm, **more):
    return failure(number, arm, visits=more.pop("visits", {"W2": (6, 60, 0)}), missed={"M3": "refused"}, **more)


def with_missing(study=(12, 6), control=(10, 8), lost=(4, 3)):
    patients = two_arms(study, control)
    for arm, count in zip(("LOCAL", "WHOLE"), lost, strict=True):
        patients += [missing(len(patients) + 1 + n, arm) for n in range(count)]
    return patients


def test_only_the_missing_are_imputed():
    patients = with_missing()
    dead = failure(90, "LOCAL", visits={})
    dead.death = dead.rt_end + timedelta(days=20)
    retreated = failure(91, "WHOLE")
    retreated.retreated = retreated.due("M3") - timedelta(days=5)
    patients += [dead, retreated, responder(92, "LOCAL", nrs=0)]
    found = mi(patients).result
    assert (found.n1, found.x1, found.missing1) == (24, 12, 4)
    assert (found.n0, found.x0, found.missing0) == (22, 10, 3)
    assert found.n_modelled == 36  # the dead, the retreated and baseline pain 0 are no evidence on the others
    assert all(12 <= k <= 16 for k in found.responders1)
    assert all(10 <= k <= 13 for k in found.responders0)


def test_the_number_of_sets_and_the_seed_are_named():
    found = mi(with_missing()).result
    assert (found.m, found.seed) == (IMPUTATIONS, IMPUTATION_SEED)
    assert IMPUTATIONS >= 50
    assert len(found.responders1) == len(found.responders0) == IMPUTATIONS
    assert found == mi(with_missing()).result


def test_margin_and_level_come_from_the_protocol():
    primary = CURRENT.primary
    changed = replace(
        CURRENT,
        primary=replace(
            primary,
            hypothesis=replace(primary.hypothesis, margin=-0.3),
            analysis=replace(primary.analysis, confidence=0.8),
        ),
    )
    people = groups(with_missing())
    usual, other = imputed(CURRENT, people, "MI", ""), imputed(changed, people, "MI", "")
    assert (other.result.margin, other.result.pooled.level) == (-0.3, 0.8)
    assert other.result.p.value < usual.result.p.value
    assert other.result.pooled.interval.lower.value > usual.result.pooled.interval.lower.value


def test_an_earlier_response_carries_over():
    # W2 tells M3 exactly; the missing of the study arm responded at W2, those of the control arm did not.
    patients = two_arms((15, 15), (15, 15))
    patients += [missing(100 + n, "LOCAL", visits={"W2": (2, 60, 0)}) for n in range(10)]
    patients += [missing(200 + n, "WHOLE") for n in range(10)]
    found = mi(patients)
    assert found.earlier == ("W2",)
    assert sum(found.result.responders1) / IMPUTATIONS > 15 + 7.5
    assert sum(found.result.responders0) / IMPUTATIONS < 15 + 2.5


def test_sparse_sites_share_a_term():
    patients = two_arms((20, 20), (20, 20))
    for number, patient in enumerate(patients):
        patient.site = "AA" if number < 60 else "BB" if number < 72 else ("CC", "DD", "EE", "FF")[number % 4]
    found = mi(patients)
    assert found.pooled_sites == ("CC", "DD", "EE", "FF")
    assert found.site_terms == 2  # AA is compared with BB and with the four together
    few = patients[:75]
    assert mi(few).pooled_sites == ("CC", "DD", "EE")
    assert mi(few).site_terms == 1  # three patients are too few even together: they count as AA
    assert mi(patients[:60]).site_terms == 0


def test_a_missing_baseline_does_not_stop_the_imputation():
    study, control = groups(with_missing())
    blank = replace(study.rows[-1], nrs=None, omed=None)
    found = imputed(CURRENT, (replace(study, rows=(*study.rows[:-1], blank)), control), "MI", "")
    assert found.baseline_filled == 1
    assert found.result.p.value is not None


@pytest.mark.parametrize(
    ("patients", "reason"),
    [
        ([], Reason.EMPTY_ARM),
        (two_arms((5, 3), (0, 0)), Reason.EMPTY_ARM),
        ([*two_arms((0, 0), (5, 3)), missing(50, "LOCAL")], Reason.NOTHING_OBSERVED),
        ([missing(1, "LOCAL"), missing(2, "WHOLE")], Reason.NOTHING_OBSERVED),
        (two_arms((4, 0), (4, 0)), Reason.ZERO_VARIANCE),
    ],
)
def test_not_estimable_has_a_reason(patients, reason):
    assert mi(patients).result.reason is reason
    assert mi(patients).result.p.value is None


def test_the_grid_is_the_test_of_each_filling():
    found = grid(with_missing((24, 9), (20, 13), (3, 4)))
    assert (len(found.non_inferior), len(found.non_inferior[0])) == (4, 5)
    method, alpha = NonInferiorityMethod(CURRENT.primary.analysis.method), CURRENT.primary.hypothesis.alpha
    for i, row in enumerate(found.non_inferior):
        for j, claimed in enumerate(row):
            test = noninferiority_test(24 + i, 36, 20 + j, 37, CURRENT.primary.hypothesis.margin, method)
            assert claimed == (test.p.value <= alpha)
    for border in found.border:
        row = found.non_inferior[border.study]
        most = -1 if border.control is None else border.control
        assert list(row) == [j <= most for j in range(5)]
    assert len({border.control for border in found.border}) > 1  # the border runs through this grid
    # 24 of 33 and 20 of 33 evaluable: 2.18 of 3 and 2.42 of 4.
    assert found.observed == (2, 2)


def test_the_first_cell_of_the_grid_is_the_primary_analysis():
    patients = with_missing((24, 9), (20, 13), (3, 4))
    primary = results(make_snapshot(patients), Arms.SHOWN).primary
    itt = next(each for each in primary.comparisons if each.code == "ITT")
    (tip,) = primary.tippings
    assert tip.grid.all_failures == itt.test.p
    worst = next(each for each in primary.sensitivity if each.code == "WORST_CASE")
    assert tip.grid.worst == worst.test.p


def test_a_grid_that_cannot_be_drawn_says_why(monkeypatch):
    assert grid([]).reason is Reason.EMPTY_ARM
    assert grid(two_arms((3, 1), (0, 0))).reason is Reason.EMPTY_ARM
    nothing = grid(two_arms((3, 1), (2, 2)))
    assert (nothing.missing1, nothing.missing0, nothing.grid.n_cells) == (0, 0, 1)
    monkeypatch.setattr(module, "MAX_FILLINGS", 19)
    assert grid(with_missing((24, 9), (20, 13), (3, 4))).reason is Reason.TOO_LARGE
    assert grid(with_missing((24, 9), (20, 13), (3, 3))).grid is not None


def test_nobody_evaluable_leaves_no_observed_cell():
    found = grid([*two_arms((0, 0), (5, 3)), missing(50, "LOCAL")])
    assert found.observed is None
    assert found.grid is not None
