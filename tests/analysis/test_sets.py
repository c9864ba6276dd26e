"""Analysis sets and responses counted from hand-made snapshots."""

from datetime import timedelta

import pytest

from followup.response import Category, Reading
from spinetrial.analysis import sets
from spinetrial.analysis.data import Kind
from spinetrial.analysis.sets import AnalysisSet, PpReason
from spinetrial.protocol import CURRENT
from tests.analysis.trial import Patient, failure, make_snapshot, responder

LITERAL = Reading.LITERAL


def rows(*patients, masked=False):
    snapshot = make_snapshot(list(patients))
    return sets.build(snapshot.without_arm() if masked else snapshot, CURRENT).rows


def only(patient, **options):
    (row,) = rows(patient, **options)
    return row


def test_a_complete_participant_is_in_every_set():
    row = only(responder(1, "LOCAL"))
    assert (row.arm, row.age, row.nrs, row.omed, row.fractions) == ("LOCAL", 64, 6, 60, 10)
    assert row.pp_reasons == ()
    for each in AnalysisSet:
        assert sets.members((row,), each) == (row,)
    assert row.trait("ecog") == "1"
    assert row.trait("primary_site") == "lung"
    assert [visit.visit for visit in row.visits] == ["W2", "M3", "M6"]
    assert row.response("M3").category(LITERAL) is Category.CR


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"confirmed": False}, {PpReason.NOT_ELIGIBLE}),
        ({"right_target": False}, {PpReason.WRONG_TARGET}),
        ({"right_target": False, "justified": "Cord tolerance after an earlier course"}, set()),
        ({"fractions": 9}, set()),
        ({"fractions": 8}, {PpReason.FEW_FRACTIONS}),
        ({"visits": {"M3": (0, 60, 14)}}, set()),
        ({"visits": {"M3": (0, 60, 15)}}, {PpReason.PAIN_NOT_IN_WINDOW}),
        ({"visits": {"M3": (None, 60, 0)}}, {PpReason.PAIN_NOT_IN_WINDOW}),
        ({"visits": {}}, {PpReason.PAIN_NOT_IN_WINDOW}),
        ({"fractions": 0, "visits": {}}, {PpReason.FEW_FRACTIONS, PpReason.PAIN_NOT_IN_WINDOW}),
    ],
)
def test_each_condition_of_the_per_protocol_set(change, reasons):
    for arm in ("LOCAL", "WHOLE"):
        assert set(only(responder(1, arm, **change)).pp_reasons) == reasons


def test_without_the_arm_the_target_is_not_judged():
    row = only(responder(1, "LOCAL", right_target=False), masked=True)
    assert row.arm is None
    assert row.pp_reasons == ()


def test_untreated_participants_are_outside_the_safety_set():
    assert not only(responder(1, "LOCAL", fractions=0)).treated


def test_readings_differ_where_they_should():
    # 6/60 -> 4/70: a rise of 17 % blocks the literal response, not the tolerant one.
    found = only(failure(1, "LOCAL", visits={"M3": (4, 70, 0)})).response("M3")
    assert dict(found.categories) == {
        Reading.LITERAL: Category.IR,
        Reading.TOLERANT: Category.PR,
        Reading.NRS_ONLY: Category.PR,
    }


@pytest.mark.parametrize(
    ("patient", "reason", "missing"),
    [
        (Patient(visits={"M3": (0, None, 0)}), "analgesics_unknown", True),
        (Patient(visits={"M3": (None, 60, 0)}), "refused", True),
        (Patient(missed={"M3": "too_ill"}), "too_ill", True),
        (Patient(nrs=0, visits={"M3": (0, 60, 0)}), "baseline_pain_zero", False),
        (Patient(visits={"M6": (0, 60, 0)}), "missed", True),
        (Patient(visits={"W2": (0, 60, 0)}), "not_yet", True),
    ],
)
def test_why_a_response_is_not_evaluable(patient, reason, missing):
    row = only(patient)
    found = row.response("M3")
    assert found.category(LITERAL) is Category.NE
    assert (found.ne_reason, found.missing) == (reason, missing)
    assert not found.responder(LITERAL, CURRENT)
    assert not row.evaluable


def test_death_and_withdrawal_decide_visits_that_no_longer_come():
    dead = Patient()
    dead.death = dead.rt_end + timedelta(days=30)
    found = only(dead).response("M3")
    assert (found.ne_reason, found.missing) == ("dead", False)
    gone = Patient()
    gone.ended = gone.rt_end + timedelta(days=30)
    found = only(gone).response("M3")
    assert (found.ne_reason, found.missing) == ("withdrawn", True)


def test_retreatment_of_the_index_site_ends_the_response():
    patient = responder(1, "LOCAL")
    patient.retreated = patient.due("M3") - timedelta(days=5)
    row = only(patient)
    assert row.response("W2").category(LITERAL) is Category.PR
    assert (row.response("M3").ne_reason, row.response("M3").missing) == ("intervention", False)
    assert row.response("M6").ne_reason == "intervention"


def test_survival_ends_at_death_or_the_last_date_known_alive():
    patient = responder(1, "LOCAL")
    row = only(patient)
    assert row.last_alive == patient.due("M6")
    assert round(row.months * sets.DAYS_PER_MONTH) == (patient.due("M6") - patient.randomized).days
    patient.death = patient.due("M6") + timedelta(days=3)
    row = only(patient)
    assert round(row.months * sets.DAYS_PER_MONTH) == (patient.death - patient.randomized).days


def test_the_worst_grade_of_each_term_counts():
    row = only(responder(1, "LOCAL", events=[("10016256", 1), ("10016256", 3), ("10003988", 2)]))
    assert (row.worst("10016256"), row.worst("10003988"), row.worst("10015461")) == (3, 2, 0)
    assert len(row.events) == 2


def test_flow_counts_everyone_once():
    analysed = sets.build(make_snapshot([responder(1, "LOCAL"), responder(2, "WHOLE")], screen_failures=3), CURRENT)
    flow = analysed.flow
    assert (flow.screened, flow.screen_failures, flow.waiting, flow.randomized) == (5, 3, 0, 2)
    assert flow.failure_reasons == (("criteria", 3),)
    assert flow.sites == (("NK", 5, 2),)


def test_later_visits_join_in_the_order_of_the_schedule():
    patient = responder(1, "LOCAL", visits={"M3": (0, 60, 0), "M18": (1, 60, 0), "M12": (1, 60, 0)})
    assert sets.build(make_snapshot([patient]), CURRENT).visits == ("W2", "M3", "M6", "M12", "M18")


def test_every_trait_has_a_column_to_come_from():
    snapshot = make_snapshot([])
    for _name, table, column in sets.TRAITS:
        kinds = {each.name: each.kind for each in snapshot.table(table).columns}
        assert kinds[column] in (Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN)
