"""Flow, treatment and visits of hand-made participants; every count of the flow is the sum of its parts."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinetrial.analysis import sets
from spinetrial.analysis.conduct import PENDING, RUNNING, WITHDRAWN
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.particulars import HIDDEN_WHILE_MASKED, Deviation
from spinetrial.analysis.results import results
from spinetrial.analysis.sets import AnalysisSet, PpReason
from spinetrial.protocol import CURRENT
from tests.analysis.trial import START, Patient, failure, make_snapshot, responder, two_arms


def analyse(patients, arms=Arms.SHOWN):
    return results(make_snapshot(patients), arms)


def only(patient, arms=Arms.SHOWN):
    """Flow of the arm of a single participant."""
    return analyse([patient], arms).conduct.flows[0]


def fractions(patient, days, **more):
    """Rows of fractions given on the days counted from the first."""
    for number, day in enumerate(days, 1):
        when = (patient.randomized + timedelta(days=day)).isoformat()
        row = {"parent": "R.RT", "number": number, "date": when, "given": True, "dose_gy": "3.00", **more}
        patient.rows.append(("R.RT.fractions", row))


def test_flow_of_a_complete_participant():
    flow = only(responder(1, "LOCAL"))
    assert (flow.randomized, flow.received, flow.sufficient, flow.itt, flow.pp) == (1, 1, 1, 1, 1)
    assert [(each.visit, each.assessed) for each in flow.visits] == [("W2", 1), ("M3", 1), ("M6", 1)]
    assert flow.pp_excluded == ()


@pytest.mark.parametrize(
    ("change", "form", "reasons"),
    [
        ({"fractions": 0}, {"stop_reason": "patient", "ending": "never_started"}, (("patient", 1),)),
        ({"fractions": 0, "death": START + timedelta(days=9)}, {}, (("death", 1),)),
        ({"fractions": 0, "ended": START + timedelta(days=9)}, {}, ((WITHDRAWN, 1),)),
        ({"fractions": 0}, {}, (("", 1),)),
    ],
)
def test_why_there_was_no_fraction(change, form, reasons):
    patient = responder(1, "LOCAL", visits={}, **change)
    patient.answers = {"R.RT": form}
    flow = only(patient)
    assert (flow.received, flow.not_received, flow.not_received_reasons) == (0, 1, reasons)


def test_radiotherapy_that_has_not_begun_or_still_runs():
    waiting = responder(1, "LOCAL", visits={}, fractions=0)
    waiting.answers = {"SUBJECTS": {"never_irradiated": False}}
    assert only(waiting).not_received_reasons == ((PENDING, 1),)
    running = responder(1, "LOCAL", visits={}, fractions=4)
    running.answers = {"SUBJECTS": {"rt_completed": False}}
    flow = only(running)
    assert (flow.insufficient, flow.insufficient_reasons) == (1, ((RUNNING, 1),))


def test_too_few_fractions_carry_the_reason_of_the_form_unless_masked():
    patient = responder(1, "LOCAL", fractions=CURRENT.per_protocol.min_fractions - 1)
    patient.answers = {"R.RT": {"ending": "stopped_early", "stop_reason": "toxicity"}}
    assert only(patient).insufficient_reasons == (("toxicity", 1),)
    for arms in (Arms.POOLED, Arms.DRAWN):
        flow = next(each for each in analyse([patient], arms).conduct.flows if each.randomized)
        assert (flow.insufficient_reasons, flow.pp, flow.pp_excluded) == ((("", 1),), None, None)


def test_deaths_are_apart_from_withdrawals_and_misses():
    dead = failure(1, "LOCAL", visits={"W2": (6, 60, 0)})
    dead.death = dead.rt_end + timedelta(days=40)
    gone = failure(2, "LOCAL", visits={"W2": (6, 60, 0)})
    gone.ended = gone.rt_end + timedelta(days=40)
    ill = failure(3, "LOCAL", visits={"M6": (6, 60, 0)}, missed={"M3": "too_ill"})
    silent = failure(4, "LOCAL", visits={"M3": (None, 60, 0), "M6": (6, 60, 0)})
    new = failure(200, "LOCAL", visits={})
    flow = analyse([dead, gone, ill, silent, new]).conduct.flows[0]
    m3 = flow.visits[1]
    assert (m3.assessed, m3.died, m3.withdrawn, m3.missed, m3.not_due) == (0, 1, 1, 2, 1)
    assert m3.reasons == (("refused", 1), ("too_ill", 1))


def test_who_left_alive_and_died_later_was_withdrawn_at_the_visit_between():
    patient = failure(1, "LOCAL", visits={"W2": (6, 60, 0)})
    patient.ended = patient.rt_end + timedelta(days=30)
    patient.death = patient.due("M3") + timedelta(days=20)
    m3, m6 = only(patient).visits[1:]
    assert (m3.withdrawn, m3.died) == (1, 0)
    assert (m6.withdrawn, m6.died) == (0, 1)
    patient.death = patient.due("M3") - timedelta(days=1)
    assert only(patient).visits[1].died == 1


def test_a_late_visit_the_schedule_has_not_reached_is_not_a_withdrawal():
    early = responder(1, "LOCAL", visits={"M3": (0, 60, 0), "M18": (0, 60, 0)})
    late = responder(300, "LOCAL", visits={"M3": (0, 60, 0)})
    kept = {each.visit: each for each in analyse([early, late]).conduct.visits}
    assert kept["M18"].absent == ((sets.NOT_YET, (1, 0)),)


def test_the_first_condition_counts_in_the_flow_and_every_one_in_the_table():
    patient = responder(1, "LOCAL", fractions=5, visits={}, right_target=False)
    found = analyse([patient])
    assert found.conduct.flows[0].pp_excluded == ((PpReason.WRONG_TARGET, 1),)
    counted = [reason for reason, counts in found.pp_exclusions if counts[0]]
    assert counted == [PpReason.WRONG_TARGET, PpReason.FEW_FRACTIONS, PpReason.PAIN_NOT_IN_WINDOW]


def test_treatment_given():
    patients = two_arms((3, 0), (1, 0))
    on_time, gap, few, _other = patients
    # Randomised and begun on Tuesday 4 March 2025: ten treatment days end on Monday 17 March.
    fractions(on_time, (0, 1, 2, 3, 6, 7, 8, 9, 10, 13))
    # Begun on Wednesday; the first Thursday and Friday are missed.
    fractions(gap, (0, 5, 6, 7, 8, 9, 12, 13, 14, 15), gap_reason="machine")
    few.fractions = 8
    few.answers = {"R.RT": {"ending": "stopped_early", "stop_reason": "disease", "ptv_d95_gy": "29.90"}}
    fractions(few, (0, 1, 4, 5, 6, 7, 8, 11))
    on_time.answers = {"R.RT": {"ptv_d95_gy": "30.00"}}
    found = analyse(patients).conduct.treatment
    assert [(each.least, each.most, each.counts) for each in found.fractions] == [
        (10, 10, (2, 1)),
        (9, 9, (0, 0)),
        (1, 8, (1, 0)),
        (0, 0, (0, 0)),
    ]
    assert found.gaps == ((1, 3), (0, 1))
    assert found.full_dose == ((2, 3), (0, 1))
    assert found.dose[0].least.value == 24
    assert found.dose_goal == ((1, 2), (0, 0))
    assert found.stopped == (("disease", (1, 0)),)
    # Both days counted; the builder ends every course on the fifteenth day.
    assert (found.days[0].n, found.days[0].median.value) == (2, 15)


def test_more_fractions_than_planned_show():
    found = analyse([responder(1, "LOCAL", fractions=11)]).conduct.treatment
    assert (found.fractions[0].least, found.fractions[0].most, found.fractions[0].counts) == (11, None, (1, 0))


def test_what_treatment_forms_tell_is_unknown_while_masked():
    found = analyse(two_arms((2, 0), (2, 0)), Arms.POOLED).conduct
    masked = found.treatment
    assert masked.gaps is masked.dose is masked.full_dose is masked.dose_goal is masked.stopped is None
    assert masked.fractions[0].counts == (4,)
    assert {each for each, counts in found.deviations if counts is None} == HIDDEN_WHILE_MASKED


def test_visits_in_and_outside_their_windows():
    patients = [
        responder(1, "LOCAL", visits={"M3": (0, 60, 14)}),
        responder(2, "LOCAL", visits={"M3": (0, 60, 15)}),
        responder(3, "LOCAL", visits={"M3": (None, 60, 0)}),
        responder(4, "WHOLE", visits={}, missed={"M3": "refused"}),
    ]
    kept = {each.visit: each for each in analyse(patients).conduct.visits}["M3"]
    assert (kept.in_window, kept.outside, kept.no_score) == ((2, 0), (1, 0), (1, 0))
    assert kept.absent == (("refused", (0, 1)),)


@pytest.mark.parametrize(
    ("answers", "rows", "found"),
    [
        ({"P.STATUS": {"assessed_on": "2025-02-24"}}, [], Deviation.ECOG_OLD),
        ({"P.STATUS": {"assessed_on": "2025-02-25"}}, [], None),
        ({"P.STATUS": {"assessed_on": "2025-03-05"}}, [], Deviation.ECOG_OLD),
        ({"P.PAIN": {"assessed_on": "2025-02-24"}}, [], Deviation.PAIN_OLD),
        ({"P.PAIN": {"assessed_on": "2025-02-25"}}, [], None),
        ({"P.PAIN": {"assessed_on": "2025-03-04"}}, [], Deviation.PAIN_OLD),
        ({"R.RT": {"prescribed_gy": "20.00", "prescribed_fractions": 10}}, [], Deviation.PRESCRIPTION),
        ({"R.RT": {"prescribed_gy": "30.00", "prescribed_fractions": 10}}, [], None),
        ({}, [{"criterion": "INC3", "answer": "no"}], Deviation.CRITERION),
        ({}, [{"criterion": "EXC4", "answer": "yes"}], Deviation.CRITERION),
        ({}, [{"criterion": "INC3", "answer": "yes"}, {"criterion": "EXC4", "answer": "no"}], None),
        ({}, [{"criterion": "EXC3a", "answer": "no", "verdict": "needs_judgement", "reason": "Old"}], Deviation.JUDGED),
    ],
)
def test_deviations_that_the_records_show(answers, rows, found):
    patient = responder(1, "LOCAL")
    assert patient.randomized == date(2025, 3, 4)
    patient.answers = answers
    patient.rows = [("P.SCREEN.answers", {"parent": "P.SCREEN", **row}) for row in rows]
    (row,) = sets.build(make_snapshot([patient]), CURRENT).rows
    assert row.deviations == ((found,) if found else ())


def test_deviations_of_fractions():
    patient = responder(1, "LOCAL")
    fractions(patient, (0, 0, 4, 7))  # Tuesday twice, Saturday, Tuesday
    patient.rows.append(
        ("R.RT.fractions", {"parent": "R.RT", "number": 5, "date": "2025-03-12", "given": False, "gap_reason": "other"})
    )
    (row,) = sets.build(make_snapshot([patient]), CURRENT).rows
    assert row.deviations == (Deviation.GAP, Deviation.OFF_DAY, Deviation.SAME_DAY, Deviation.LEFT_OUT)
    # Wednesday to Friday before the Saturday, Monday before the Tuesday.
    assert row.delivery.missed_days == 4


def test_withdrawals_count_participants():
    patient = responder(1, "LOCAL")
    for scope in ("from_treatment", "from_followup"):
        patient.rows.append(("P.WITHDRAW", {"withdrawn_on": "2025-05-01", "reason": "DRP1", scope: True}))
    found = analyse([patient, responder(2, "WHOLE")]).conduct
    assert found.withdrawals == (("DRP1", (1, 0)),)
    assert found.scopes == (("followup", (1, 0)), ("treatment", (1, 0)))


PATIENTS = st.builds(
    lambda arm, given, seen, missed, died, left, forms: (arm, given, seen, missed, died, left, forms),
    st.sampled_from(["LOCAL", "WHOLE"]),
    st.sampled_from([0, 3, 8, 9, 10, 11]),
    st.dictionaries(
        st.sampled_from(["W2", "M3", "M6"]),
        st.tuples(st.sampled_from([None, 0, 6]), st.just(60), st.sampled_from([-20, 0, 30])),
    ),
    st.dictionaries(st.sampled_from(["W2", "M3", "M6"]), st.sampled_from(["dead", "too_ill", "missed", "withdrawn"])),
    st.none() | st.integers(1, 250),
    st.none() | st.integers(1, 250),
    st.sampled_from(["", "patient", "toxicity"]),
)


@settings(max_examples=40)
@given(st.lists(PATIENTS, max_size=6), st.integers(0, 3), st.sampled_from(list(Arms)))
def test_every_count_of_the_flow_is_the_sum_of_its_parts(people, failures, arms):
    patients = []
    for number, (arm, given_, seen, missed, died, left, stop) in enumerate(people, 1):
        patient = Patient(number=number * 40, arm=arm, fractions=given_)
        patient.visits = seen
        patient.missed = {event: reason for event, reason in missed.items() if event not in seen}
        patient.death = patient.randomized + timedelta(days=died) if died else None
        patient.ended = patient.randomized + timedelta(days=left) if left else None
        patient.answers = {"R.RT": {"stop_reason": stop}}
        patients.append(patient)
    found = results(make_snapshot(patients, failures), arms)
    top = found.flow
    assert top.screened == top.screen_failures + top.waiting + top.randomized
    assert top.screen_failures == sum(count for _reason, count in top.failure_reasons)
    assert top.randomized == sum(flow.randomized for flow in found.conduct.flows)
    sizes = dict(found.set_sizes)
    for place, flow in enumerate(found.conduct.flows):
        assert flow.randomized == flow.received + flow.not_received == flow.itt == sizes[AnalysisSet.ITT][place]
        assert flow.received == flow.sufficient + flow.insufficient == sizes[AnalysisSet.SAFETY][place]
        assert flow.not_received == sum(count for _reason, count in flow.not_received_reasons)
        assert flow.insufficient == sum(count for _reason, count in flow.insufficient_reasons)
        for visit in flow.visits:
            parts = (visit.assessed, visit.died, visit.withdrawn, visit.missed, visit.not_due)
            assert flow.randomized == sum(parts)
            assert visit.missed == sum(count for _reason, count in visit.reasons)
        if flow.pp is not None and arms is Arms.SHOWN:
            assert flow.pp == sizes[AnalysisSet.PP][place]
            assert flow.itt == flow.pp + sum(count for _reason, count in flow.pp_excluded)
        treated = [each.counts[place] for each in found.conduct.treatment.fractions]
        assert sum(treated) == flow.randomized
        for kept in found.conduct.visits:
            absent = sum(counts[place] for _reason, counts in kept.absent)
            assert kept.in_window[place] + kept.outside[place] + absent == flow.randomized
