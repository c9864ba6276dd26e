"""The primary comparison, its conclusion, survival and toxicity, against numbers counted or computed elsewhere."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.primary import Conclusion, primary_results
from spinetrial.analysis.results import ProtocolMismatch, results
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.analysis.subgroups import subgroups
from spinetrial.protocol import CURRENT
from spinetrial.stats.estimate import Reason
from tests.analysis.recompute import miettinen_nurminen
from tests.analysis.trial import failure, make_snapshot, responder, two_arms


def analyse(patients, reveal=True):
    return results(make_snapshot(patients), Arms.SHOWN if reveal else Arms.POOLED)


def comparison(found, code):
    return next(each for each in (*found.primary.comparisons, *found.primary.sensitivity) if each.code == code)


@pytest.mark.parametrize(
    ("study", "control", "conclusion"),
    [
        ((24, 9), (20, 13), Conclusion.NON_INFERIOR),
        ((31, 2), (18, 15), Conclusion.SUPERIOR),
        ((20, 13), (20, 13), Conclusion.INCONCLUSIVE),
        ((3, 30), (30, 3), Conclusion.INFERIOR),
        ((5, 5), (0, 0), Conclusion.NOT_ESTIMABLE),
        ((0, 0), (0, 0), Conclusion.NOT_ESTIMABLE),
    ],
)
def test_conclusion(study, control, conclusion):
    assert analyse(two_arms(study, control)).primary.conclusion is conclusion


def test_non_inferior_needs_both_sets():
    # Everyone counts in ITT; the good results of the study arm were seen outside the window, so PP is weaker.
    patients = two_arms((24, 9), (20, 13))
    for patient in patients[:18]:
        patient.visits = {**patient.visits, "M3": (0, 60, 20)}
    found = analyse(patients)
    itt, pp = found.primary.comparisons
    assert itt.difference.lower.value > -0.15 > pp.difference.lower.value
    assert found.primary.conclusion is Conclusion.INCONCLUSIVE


def test_interval_and_test_come_from_the_protocols_method():
    found = analyse(two_arms((24, 9), (20, 13)))
    itt = comparison(found, "ITT")
    assert (itt.study.x, itt.study.n, itt.control.x, itt.control.n) == (24, 33, 20, 33)
    lower, upper = miettinen_nurminen(24, 33, 20, 33)
    assert itt.difference.lower.value == pytest.approx(lower, abs=1e-6)
    assert itt.difference.upper.value == pytest.approx(upper, abs=1e-6)
    assert (itt.margin, itt.test.margin) == (-0.15, -0.15)
    # Interval and test are of one method: they cannot disagree about the margin.
    assert (itt.test.p.value < 0.025) == (itt.difference.lower.value > -0.15)


def test_missing_responses_in_each_sensitivity_analysis():
    patients = two_arms((6, 2), (5, 3))
    patients += [responder(20, "LOCAL", visits={}, missed={"M3": "refused"})]
    patients += [responder(21, "WHOLE", visits={}, missed={"M3": "refused"})]
    dead = failure(22, "WHOLE", visits={})
    dead.death = dead.rt_end + timedelta(days=20)
    found = analyse([*patients, dead])
    counted = {
        code: tuple((each.x, each.n) for each in (comparison(found, code).study, comparison(found, code).control))
        for code in ("ITT", "COMPLETE_CASE", "ALL_FAIL", "WORST_CASE")
    }
    assert counted == {
        "ITT": ((6, 9), (5, 10)),
        "COMPLETE_CASE": ((6, 8), (5, 8)),
        "ALL_FAIL": ((6, 9), (5, 10)),
        "WORST_CASE": ((6, 9), (6, 10)),  # the refusal responds, the death does not
    }


def test_other_margin_method_and_reading():
    patients = two_arms((6, 2), (5, 3))
    patients[6].visits = {"M3": (4, 70, 0)}  # a failure by the literal reading only
    found = analyse(patients)
    assert comparison(found, "MARGIN_10").margin == -0.10
    assert comparison(found, "MARGIN_10").test.margin == -0.10
    assert comparison(found, "TOLERANT").study.x == 7
    assert comparison(found, "NRS_ONLY").study.x == 7
    assert comparison(found, "EXACT").difference is None
    assert comparison(found, "EXACT").test.p.value > 0
    assert comparison(found, "NEWCOMBE").test is None


def test_every_sensitivity_analysis_of_the_protocol_is_there():
    primary = analyse(two_arms((6, 2), (5, 3))).primary
    found = [each.code for each in (*primary.sensitivity, *primary.imputations, *primary.tippings)]
    assert sorted(found) == sorted(entry.code for entry in CURRENT.sensitivity)
    assert (len(primary.imputations), len(primary.tippings)) == (1, 1)


@pytest.mark.parametrize(("varies", "value"), [("missing", "hot_deck"), ("margin", "wide"), ("weather", 1)])
def test_a_sensitivity_analysis_nobody_programmed_is_not_passed_over(varies, value):
    entry = replace(CURRENT.sensitivity[0], code="NEW", varies=varies, value=value)
    changed = replace(CURRENT, sensitivity=(*CURRENT.sensitivity, entry))
    with pytest.raises(ValueError, match="NEW"):
        primary_results(changed, analyse(two_arms((1, 1), (1, 1))).groups)


def test_other_time_points_count_all_randomised_and_make_no_claim():
    patients = two_arms((6, 2), (5, 3))
    patients[0].visits = {"M3": (0, 60, 0)}  # W2 was missed, M6 never came
    patients[8].visits["W2"] = (6, 60, 0)
    w2, m6 = analyse(patients).primary.timepoints
    assert [each.visit for each in (w2, m6)] == list(CURRENT.primary.timepoint.also_reported)
    assert ((w2.study.x, w2.study.n), (w2.control.x, w2.control.n)) == ((5, 8), (4, 8))
    assert (w2.not_evaluable, w2.not_yet) == ((1, 0), (0, 0))
    assert m6.not_evaluable == (1, 0)
    lower, upper = miettinen_nurminen(5, 8, 4, 8)
    assert w2.difference.lower.value == pytest.approx(lower, abs=1e-6)
    assert w2.difference.upper.value == pytest.approx(upper, abs=1e-6)
    assert not hasattr(w2, "test")


def subgroup(found, code):
    return next(each for each in found.primary.subgroups if each.code == code)


def test_subgroups_split_everyone_by_baseline():
    patients = two_arms((6, 2), (5, 3))
    for patient, nrs in zip(patients, [3, 6, 7, 8, 9, 6, 7, 4, 6, 7, 5, 8, 9, 6, 7, 4], strict=True):
        patient.nrs = nrs
        patient.visits = {"M3": (0 if patient.visits["M3"][0] == 0 else nrs, patient.omed, 0)}
    for patient in patients[:3]:
        patient.omed = 0
        patient.visits = {"M3": (0, 0, 0)}
    patients[15].site = "SH"
    found = analyse(patients)
    for each in found.primary.subgroups:
        assert sum(row.n1 for row in each.rows) == sum(row.n0 for row in each.rows) == 8
        assert (sum(row.x1 for row in each.rows), sum(row.x0 for row in each.rows)) == (6, 5)
    pain = {row.level: (row.x1, row.n1, row.x0, row.n0) for row in subgroup(found, "pain").rows}
    assert pain == {"low": (3, 4, 2, 4), "high": (3, 4, 3, 4)}
    opioid = {row.level: (row.x1, row.n1) for row in subgroup(found, "opioid").rows}
    assert opioid == {"yes": (3, 5), "no": (3, 3)}
    assert [row.word for row in subgroup(found, "site").rows] == ["NK", "SH"]
    # One patient of one arm at SH: the factor has one level with both arms, so nothing to compare.
    assert subgroup(found, "site").interaction.p.reason is Reason.TOO_FEW_GROUPS
    assert subgroup(found, "pain").interaction.df == 1


def test_an_effect_in_one_subgroup_only_shows_as_interaction():
    patients = two_arms((18, 2), (10, 10))
    for number, patient in enumerate(patients):
        severe = number < 9 or number in (18,) or 20 <= number < 30
        patient.nrs = 8 if severe else 5
        patient.visits = {"M3": (0 if patient.visits["M3"][0] == 0 else patient.nrs, 60, 0)}
    # Severe: 9/10 v 10/10. Others: 9/10 v 0/10.
    rows = {row.level: (row.x1, row.n1, row.x0, row.n0) for row in subgroup(analyse(patients), "pain").rows}
    assert rows == {"high": (9, 10, 10, 10), "low": (9, 10, 0, 10)}
    assert subgroup(analyse(patients), "pain").interaction.p.value < 0.001
    assert subgroup(analyse(patients), "sex").interaction.p.value > 0.2


def test_many_sites_show_the_largest_and_pool_the_others():
    patients = two_arms((30, 30), (30, 30))
    for number, patient in enumerate(patients):
        patient.site = f"S{number % 12:02d}" if number >= 12 else "S00"
    rows = subgroup(analyse(patients), "site").rows
    assert [row.word for row in rows] == [f"S{number:02d}" for number in range(9)] + ["Other sites"]
    assert sum(row.n1 + row.n0 for row in rows) == 120


def test_what_is_not_recorded_is_shown_but_not_tested():
    found = analyse(two_arms((6, 2), (5, 3)))
    study, control = found.groups
    blank = replace(study.rows[0], age=None)
    groups = (replace(study, rows=(blank, *study.rows[1:])), control)
    age = next(each for each in subgroups(CURRENT, groups) if each.code == "age")
    assert [row.word for row in age.rows] == [
        "Under 65 years",
        "Not recorded",
    ]  # born in May 1960, randomised in March 2025
    assert age.rows[-1].n1 == 1
    assert age.interaction.strata == 1


def test_masked_results_hold_one_group_and_no_comparison():
    patients = two_arms((5, 2), (4, 3))
    found = analyse(patients, reveal=False)
    assert found.masked
    assert [group.code for group in found.groups] == ["ALL"]
    assert found.primary is None
    assert found.survival.comparison is None
    assert {row.arm for row in found.groups[0].rows} == {None}
    assert all(cut.test is None for row in found.toxicity.rows for cut in row.cuts)
    # The same patients with the arms exchanged look the same.
    swapped = [replace(p, arm="WHOLE" if p.arm == "LOCAL" else "LOCAL") for p in patients]
    assert analyse(swapped, reveal=False).visits == found.visits


def test_toxicity_counts_treated_participants_by_worst_grade():
    patients = two_arms((4, 0), (4, 0))
    for patient in patients[:4]:
        patient.events = [("10061103", 1), ("10061103", 2)]
    patients[4].events = [("10061103", 3)]
    patients[7].events = [("10061103", 3)]
    patients[7].fractions = 0
    (row,) = analyse(patients).toxicity.rows
    assert [cut.code for cut in row.cuts] == ["ANY", "GE2", "GE3"]
    assert [cut.counts for cut in row.cuts] == [((4, 4), (1, 3)), ((4, 4), (1, 3)), ((0, 4), (1, 3))]
    # Fisher by hand: margins 4+3 treated, 5 events: P(4,1) = 1*3/21, P(2,3) = 6/21, P(3,2) = 12/21.
    assert row.cuts[0].test.p.value == pytest.approx(3 / 21)


def test_survival_by_arm():
    patients = two_arms((3, 0), (3, 0))
    patients[3].visits = {"W2": (2, 60, 0)}
    patients[3].death = patients[3].rt_end + timedelta(days=40)
    found = analyse(patients).survival
    assert [(code, curve.n, curve.n_events) for code, curve in found.curves] == [("LOCAL", 3, 0), ("WHOLE", 3, 1)]
    assert found.curves[1][1].at(3).survival.value == pytest.approx(2 / 3)
    assert 0 < found.comparison.p.value < 1


def test_visit_counts_add_up():
    patients = two_arms((2, 1), (1, 2))
    patients[0].visits = {"W2": (2, 60, 0)}
    for row in analyse(patients).visits:
        for counts in row:
            assert sum(count for _category, count in counts.categories) == counts.n == 3
            assert counts.rate.n == counts.n


def test_sizes_of_the_sets():
    patients = two_arms((3, 0), (2, 1))
    patients[0].fractions = 5
    sizes = dict(analyse(patients).set_sizes)
    assert sizes[AnalysisSet.ITT] == (3, 3)
    assert sizes[AnalysisSet.PP] == (2, 3)


def test_data_of_a_changed_protocol_are_refused():
    snapshot = make_snapshot([])
    with pytest.raises(ProtocolMismatch):
        results(replace(snapshot, protocol_hash="0" * 64), Arms.SHOWN)
    with pytest.raises(KeyError):
        results(replace(snapshot, protocol_version="9.9"), Arms.SHOWN)
