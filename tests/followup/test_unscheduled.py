"""Unscheduled visits: their numbers, their states, what expects nothing of them, and what counts them all the same."""

from datetime import date

import pytest
from django.http import QueryDict
from django.urls import reverse

from followup.crfs import IMAGING, VISIT
from followup.models import Imaging, Visit
from followup.responses import responses_of
from followup.visits import expected_visits, plan_of
from patients.models import Subject
from spinetrial.access.models import User
from spinetrial.analysis import sets
from spinetrial.analysis.overview import matrix_events, overviews
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.clock import at
from spinetrial.crf import drafts
from spinetrial.crf.checks import notes
from spinetrial.crf.models import Draft
from spinetrial.crf.save import EntryRefused, enter, form_data
from spinetrial.crf.state import State
from spinetrial.crf.unscheduled import next_code
from spinetrial.protocol import CURRENT
from spinetrial.protocol.schedule import MilestoneDates, VisitState
from spinetrial.review.models import Query
from tests.followup.helpers import DONE, baseline, change, colleague, noon, treated, visit

TODAY = date(2026, 3, 2)
SCAN = {
    "status": "done", "imaging_date": date(2026, 1, 15), "modality": "mri", "read_by": "both", "cord_injury": False,
}  # fmt: skip
T10 = {"level": "T10", "fracture": "none", "local_control": "controlled"}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def scan(subject, actor, event="U1", rows=(T10,), **changes):
    return enter(IMAGING, subject, actor, {**SCAN, **changes}, {"vertebrae": list(rows)}, event=event)


def open_queries(subject):
    return {(query.check_code, query.match) for query in Query.objects.filter(subject=subject, state="open")}


def get(client, person, name, *args, **query):
    client.force_login(User.objects.get(pk=person.pk))
    return client.get(reverse(name, args=args), query)


# --- the plan ---


def test_an_unscheduled_visit_is_done_once_dated_and_never_due(cast, subject):
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    scan(subject, cast.coordinator_a, "U2")
    found = {each.event: each for each in expected_visits(subject, TODAY)}
    assert list(found)[-2:] == ["U1", "U2"]
    assert (found["U1"].state, found["U1"].actual) == (VisitState.DONE, date(2026, 1, 20))
    assert (found["U2"].state, found["U2"].actual) == (VisitState.DONE, date(2026, 1, 15))  # imaging alone
    for each in (found["U1"], found["U2"]):
        assert not each.is_open
        assert (each.planned.due, each.planned.opens, each.planned.expected) == (None, None, False)


def test_imaging_that_was_not_done_leaves_an_unscheduled_visit_unexpected(cast, subject):
    enter(IMAGING, subject, cast.coordinator_a, {"status": "not_done", "not_done_reason": "refused"}, event="U1")
    assert expected_visits(subject, TODAY)[-1].state is VisitState.NOT_EXPECTED


@pytest.mark.parametrize("event", ["U", "U0", "U01", "U100", "U１", "u1", "U1 "])
def test_what_is_no_number_is_no_unscheduled_visit(event):
    with pytest.raises(ValueError, match="no follow-up visit"):
        plan_of(MilestoneDates(randomized=TODAY), event, TODAY)


def test_an_unscheduled_visit_that_did_not_take_place_is_refused(cast, subject):
    with pytest.raises(EntryRefused) as refusal:
        visit(subject, cast.coordinator_a, "U1", status="missed", on=TODAY)
    assert "status" in refusal.value.errors


# --- checks ---


def test_no_window_and_no_order_is_asked_of_it(cast, subject):
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19))
    visit(subject, cast.coordinator_a, "U2", visit_date=date(2025, 11, 3))
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))  # the numbers against the dates
    assert open_queries(subject) == set()


def test_the_scheduled_ones_are_still_in_order_among_themselves(cast, subject):
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 10, 20))
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19))
    visit(subject, cast.coordinator_a, "M6", visit_date=date(2025, 12, 18))
    assert ("visit_out_of_order", "") in open_queries(subject)


def test_one_in_the_window_of_a_visit_not_entered_is_asked_about_until_that_is_entered(cast, subject):
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 12, 15))
    assert open_queries(subject) == {("belongs_to_schedule", "M3")}
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 22))
    assert open_queries(subject) == set()


def test_same_scores_are_compared_by_date(cast, subject):
    scores = {"nrs_worst": 4, "nrs_average": 3, "nrs_current": 2}
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3), **scores)
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 11, 3), **scores)
    record = visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19), **scores)
    assert [check.code for check, _match in notes(VISIT, record)] == ["scores_never_move"]


# --- the analysis ---


def test_no_analysis_by_time_point_takes_it_but_a_treatment_it_reports_counts(cast, subject):
    baseline(subject)
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19), nrs_worst=0)
    before = sets.build(take_snapshot().without_arm(), CURRENT)
    assert before.rows[0].response("M3").ne_reason == ""
    again = {"index_treatment": "surgery", "index_treatment_date": date(2025, 12, 10)}
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 12, 11), nrs_worst=9, **again)
    analysed = sets.build(take_snapshot().without_arm(), CURRENT)
    assert analysed.visits == ("W2", "M3", "M6")
    assert [each.visit for each in analysed.rows[0].visits] == ["W2", "M3", "M6"]
    assert analysed.rows[0].response("M3").ne_reason == "intervention"
    assert responses_of(subject)["M3"].ne_reason == "intervention"


def test_it_tells_that_somebody_was_alive_and_it_is_exported_with_its_code(cast, subject):
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 2, 20))
    scan(subject, cast.coordinator_a, "U2", imaging_date=date(2026, 2, 25))
    taken = take_snapshot()
    assert sets.build(taken.without_arm(), CURRENT).rows[0].last_alive == date(2026, 2, 25)
    assert [record["event"] for record in taken.records("F.VISIT")] == ["U1"]
    assert [record["event"] for record in taken.records("F.IMAGING")] == ["U2"]


# --- beginning one ---


def test_the_number_follows_the_last_one_and_a_colleague_who_began_keeps_his(cast, subject):
    other = colleague("second", "coordinator", cast.site_a)
    assert next_code(cast.coordinator_a, subject) == "U1"
    scan(subject, cast.coordinator_a, "U1")
    assert next_code(cast.coordinator_a, subject) == "U2"
    drafts.keep(other, subject, VISIT, "U2", _posted({"status": "done"}))
    assert next_code(cast.coordinator_a, subject) == "U3"
    assert next_code(other, subject) == "U2"  # goes on with the own draft


def _posted(values):
    data = QueryDict(mutable=True)
    for name, value in form_data(VISIT, values, {"analgesics_taken": []}).items():
        data[name] = value
    return data


def test_the_button_leads_to_the_next_form(client, cast, subject):
    page = get(client, cast.coordinator_a, "subject", subject.code).content.decode()
    assert reverse("unscheduled", args=[subject.code, "F.VISIT"]) in page
    answer = get(client, cast.coordinator_a, "unscheduled", subject.code, "F.VISIT")
    assert answer["Location"] == reverse("crf_edit", args=[subject.code, "F.VISIT", "U1"])
    page = get(client, cast.assessor_a, "subject", subject.code).content.decode()
    assert reverse("unscheduled", args=[subject.code, "F.VISIT"]) not in page
    assert reverse("unscheduled", args=[subject.code, "F.IMAGING"]) in page
    assert get(client, cast.coordinator_a, "unscheduled", subject.code, "P.DM").status_code == 404


def test_two_people_who_begin_the_same_visit_keep_both(client, cast, subject):
    other = colleague("second", "coordinator", cast.site_a)
    address = reverse("crf_edit", args=[subject.code, "F.VISIT", "U1"])
    first = {**_posted({**DONE, "visit_date": date(2026, 1, 20), "nrs_worst": 2}).dict(), "seen_version": "0"}
    second = {**first, "visit_date": "2026-02-10", "nrs_worst": "7"}
    client.force_login(cast.coordinator_a)
    assert client.post(address, first).status_code == 302
    client.force_login(other)
    answer = client.post(address, second, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("crf_edit", args=[subject.code, "F.VISIT", "U2"])
    assert "Unscheduled visit 1 was saved by somebody else meanwhile" in answer.content.decode()
    assert Visit.objects.get().nrs_worst == 2  # nothing overwritten, nothing saved unasked
    assert Draft.objects.get(user=other).data["nrs_worst"] == ["7"]
    following = reverse("crf_edit", args=[subject.code, "F.VISIT", "U2"])
    assert client.post(following, second).status_code == 302
    assert {each.event: each.nrs_worst for each in Visit.objects.all()} == {"U1": 2, "U2": 7}
    assert not Draft.objects.exists()


def test_the_same_answers_sent_twice_are_one_visit(client, cast, subject):
    address = reverse("crf_edit", args=[subject.code, "F.VISIT", "U1"])
    data = {**_posted({**DONE, "visit_date": date(2026, 1, 20)}).dict(), "seen_version": "0"}
    client.force_login(cast.coordinator_a)
    for _time in range(2):
        assert client.post(address, data).status_code == 302
    assert [each.event for each in Visit.objects.all()] == ["U1"]
    assert not Draft.objects.exists()


def test_a_correction_from_an_old_page_is_still_compared(client, cast, subject):
    record = visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    change(record, cast.coordinator_a, TODAY, nrs_worst=5)
    address = reverse("crf_edit", args=[subject.code, "F.VISIT", "U1"])
    stale = {**_posted({**DONE, "visit_date": date(2026, 1, 20), "nrs_worst": 8}).dict(), "seen_version": "1"}
    client.force_login(cast.coordinator_a)
    answer = client.post(address, {**stale, "form_reason": "typing error"})
    assert answer.status_code in (200, 409, 422)
    assert "pick:nrs_worst" in answer.content.decode()
    assert Visit.objects.get().nrs_worst == 5


# --- screens ---


def test_the_matrix_has_one_column_for_all_of_them(client, cast, subject):
    other = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    scan(subject, cast.coordinator_a, "U2")
    scan(subject, cast.coordinator_a, "U3", rows=(), status="not_done", not_done_reason="refused", imaging_date=None,
         modality=None, read_by=None, cord_injury=None)  # fmt: skip
    rows = overviews(cast.coordinator_a, list(Subject.objects.select_related("site")))
    assert matrix_events(rows)[-2:] == ["U", "EOS"]
    by_code = {row.subject.code: row for row in rows}
    cell = by_code[subject.code].columns["U"]
    assert (cell.state, cell.done, cell.expected) == (State.COMPLETE, 3, 3)
    assert "U" not in by_code[other.code].columns
    matrix = get(client, cast.coordinator_a, "matrix").context["matrix"]
    assert [str(column["label"]) for column in matrix["columns"]].count("Unscheduled") == 1
    found = next(row for row in matrix["rows"] if row["code"] == subject.code)
    assert any(each["url"].endswith("#event-unscheduled") for each in found["cells"])


def test_the_page_of_the_participant_places_them_by_date(client, cast, subject):
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    visit(subject, cast.coordinator_a, "U2", visit_date=date(2025, 10, 20))
    scan(subject, cast.coordinator_a, "U3", imaging_date=date(2025, 9, 5))
    answer = get(client, cast.coordinator_a, "subject", subject.code)
    order = [card["event"] for card in answer.context["cards"]]
    assert order == ["SCR", "BL", "RAND", "U3", "RT", "W2", "U2", "M3", "U1", "M6", "M12", "EOS"]
    assert [card["note"] for card in answer.context["cards"] if card["event"] == "U2"] == ["2025-10-20"]
    labels = [mark["label"] for mark in answer.context["tl"]["marks"]]
    assert labels.index("Unscheduled visit 2") < labels.index("Unscheduled visit 1")
    assert 'id="event-unscheduled"' in answer.content.decode()


def test_no_screen_waits_for_the_forms_it_lacks(client, cast, subject):
    for event, day in (("W2", date(2025, 10, 3)), ("M3", date(2025, 12, 19))):
        visit(subject, cast.coordinator_a, event, visit_date=day)
        scan(subject, cast.coordinator_a, event, imaging_date=day)
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    scan(subject, cast.coordinator_a, "U2")
    tasks = [
        item["what"]
        for group in get(client, cast.coordinator_a, "worklist").context["groups"]
        for item in group["items"]
    ]
    assert not any("Unscheduled" in what for what in tasks)
    blockers = get(client, cast.data_manager, "trial").content.decode()
    assert "Follow-up imaging, Unscheduled visit 1" not in blockers
    assert "Follow-up visit, Unscheduled visit 2" not in blockers
    page = get(client, cast.investigator_a, "sign", subject.code).content.decode()
    assert "Unscheduled visit 1" in page
    assert "Follow-up imaging, Unscheduled visit 1" not in page


def test_verification_signature_freeze_and_casebook_know_the_visit(client, cast, subject):
    record = visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20))
    assert get(client, cast.investigator_a, "sign", subject.code, event="U1").status_code == 200
    assert "Unscheduled visit 1" in get(client, cast.monitor_a, "sdv").content.decode()
    assert get(client, cast.data_manager, "freeze_event", subject.code, "U1").status_code == 200
    assert get(client, cast.monitor_a, "crf", subject.code, "F.VISIT", "U1").status_code == 200
    assert get(client, cast.monitor_a, "record_history", subject.code, "F.VISIT", record.pk).status_code == 200
    answer = get(client, cast.investigator_a, "casebook_pdf", subject.code)
    assert answer.content.startswith(b"%PDF")
    assert not Imaging.objects.exists()
