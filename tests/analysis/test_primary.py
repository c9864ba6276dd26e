"""The primary comparison, its conclusion, survival and toxicity, against numbers counted or computed elsewhere."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.primary import Conclusion
from spinetrial.analysis.results import ProtocolMismatch, results
from spinetrial.analysis.sets import AnalysisSet
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
    assert not {"MI", "TIPPING"} & {each.code for each in found.primary.sensitivity}


def test_masked_results_hold_one_group_and_no_comparison():
    patients = two_arms((5, 2), (4, 3))
    found = analyse(patients, reveal=False)
    assert found.masked
    assert [group.code for group in found.groups] == ["ALL"]
    assert found.primary is None
    assert found.survival.comparison is None
    assert {row.arm for row in found.groups[0].rows} == {None}
    assert all(cut.test is None for row in found.toxicity for cut in row.cuts)
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
    (row,) = analyse(patients).toxicity
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
