"""Prompts on the worklist and the participant's page: one click to the form, gone once it is entered."""

from datetime import date

import pytest
from django.urls import reverse

from adverse_events.crfs import ADVERSE_EVENT
from followup.crfs import IMAGING
from patients.models import Status
from spinetrial.access.models import User
from spinetrial.analysis.overview import overviews
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from spinetrial.worklists.prompts import open_prompts
from tests.adverse_events.helpers import EVENT
from tests.cast import SETUP
from tests.followup.helpers import baseline, milestones, noon, treated, visit

TODAY = date(2026, 3, 2)
SCAN = {
    "status": "done", "imaging_date": date(2025, 12, 19), "modality": "mri", "read_by": "both", "cord_injury": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    return subject


def image(subject, actor, event="M3", rows=(), **changes):
    rows = rows or [{"level": "T10", "fracture": "none", "local_control": "controlled"}]
    return enter(IMAGING, subject, actor, {**SCAN, **changes}, {"vertebrae": list(rows)}, event=event)


def on_page(client, person, subject):
    """Kind -> address, as the page of the participant shows them."""
    client.force_login(User.objects.get(pk=person.pk))
    answer = client.get(reverse("subject", args=[subject.code]))
    return {str(each.prompt.kind): each.url for each in answer.context["prompts"]}


def on_worklist(client, person, url):
    client.force_login(User.objects.get(pk=person.pk))
    groups = client.get(reverse("worklist")).context["groups"]
    return [(item["what"], item["state"]) for group in groups for item in group["items"] if item["url"] == url]


def address(subject, code, key):
    return reverse("crf_edit", args=[subject.code, code, key])


def test_a_flare_leads_from_the_assessment_to_the_event_and_ends_there(client, cast, subject):
    again = reverse("unscheduled", args=[subject.code, "F.VISIT"])
    morphine = {"drug": "MORPHINE_PO", "dose": "30", "times": "2", "use": "scheduled"}
    taken = {"analgesics": "some", "rows": [morphine]}
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 9, 15), nrs_worst=9, **taken)
    # once the window of W2 is open, that is where pain is assessed again
    for day, wanted in ((date(2025, 9, 29), again), (date(2025, 9, 30), address(subject, "F.VISIT", "W2"))):
        with at(noon(day)):
            assert on_page(client, cast.coordinator_a, subject) == {"assess": wanted}
    visit(subject, cast.coordinator_a, "U2", visit_date=date(2025, 10, 3), nrs_worst=6, **taken)
    new_event = address(subject, "A.AE", "new")
    assert on_page(client, cast.coordinator_a, subject) == {"flare": new_event}
    (task,) = on_worklist(client, cast.coordinator_a, new_event)
    assert "enter the pain flare" in task[0]
    enter(ADVERSE_EVENT, subject, cast.coordinator_a, {**EVENT, "onset_date": date(2025, 9, 15), "flare": True})
    assert on_page(client, cast.coordinator_a, subject) == {}
    assert on_worklist(client, cast.coordinator_a, new_event) == []


def test_a_rise_asks_for_the_imaging_of_the_same_visit(client, cast, subject):
    visit(subject, cast.coordinator_a, "M3", nrs_worst=9)
    wanted = address(subject, "F.IMAGING", "M3")
    for person in (cast.coordinator_a, cast.assessor_a):
        assert on_page(client, person, subject) == {"image": wanted}
        assert any("look at the spine" in what for what, _state in on_worklist(client, person, wanted))
    assert on_page(client, cast.monitor_a, subject) == {"image": ""}  # told, but cannot enter it
    image(subject, cast.assessor_a)
    assert on_page(client, cast.coordinator_a, subject) == {}


def test_a_fracture_and_an_injured_cord_are_asked_for_as_events(client, cast, subject):
    broken = {"level": "T10", "height_loss": "30", "fracture": "new", "symptomatic": False,
              "local_control": "equivocal"}  # fmt: skip
    image(subject, cast.assessor_a, rows=[broken], cord_injury=True, cord_grade="1")
    found = on_page(client, cast.coordinator_a, subject)
    assert set(found) == {"fracture", "cord", "repeat"}
    assert found["repeat"] == address(subject, "F.IMAGING", "M6")  # its window is open: no visit beside it is needed
    assert on_page(client, cast.assessor_a, subject) == {**dict.fromkeys(found, ""), "repeat": found["repeat"]}
    for code in ("10041569", "10028524"):
        values = {**EVENT, "ctcae_code": code, "onset_date": date(2025, 12, 19)}
        enter(ADVERSE_EVENT, subject, cast.coordinator_a, values)
    assert set(on_page(client, cast.coordinator_a, subject)) == {"repeat"}


@pytest.mark.parametrize(
    ("today", "state"),
    [
        (date(2026, 1, 29), "not_yet"),
        (date(2026, 1, 30), "due"),
        (date(2026, 2, 13), "due"),
        (date(2026, 2, 14), "overdue"),
    ],
)
def test_the_repeat_has_its_time(cast, subject, today, state):
    image(subject, cast.assessor_a, rows=[{"level": "T10", "fracture": "none", "local_control": "equivocal"}])
    with at(noon(today)):
        (row,) = overviews(cast.coordinator_a, [subject])
        (prompt,) = open_prompts(cast.coordinator_a, [row])[subject.pk]
    assert (prompt.state, prompt.prompt.by) == (state, date(2026, 2, 13))


def test_a_deficit_of_the_baseline_is_not_new(client, cast, subject):
    with acting(SETUP, "test"):
        Status(
            subject=subject, assessed_on=date(2025, 8, 30), neurology="d", ecg_done=False, pregnancy_test="negative"
        ).save()
    weak = {"motor": "present", "frankel": "D", "nrs_worst": 5}
    visit(subject, cast.coordinator_a, "M3", **weak)
    assert on_page(client, cast.coordinator_a, subject) == {}
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 20), **{**weak, "frankel": "C"})
    assert set(on_page(client, cast.coordinator_a, subject)) == {"image"}


def test_the_end_of_follow_up_ends_what_needs_the_participant(client, cast, subject):
    visit(subject, cast.coordinator_a, "M3", nrs_worst=9)
    milestones(subject, followup_ended_on=date(2026, 1, 1))
    assert on_page(client, cast.coordinator_a, subject) == {}


def test_another_site_is_told_nothing(client, cast, subject):
    visit(subject, cast.coordinator_a, "M3", nrs_worst=9)
    client.force_login(cast.coordinator_b)
    groups = client.get(reverse("worklist")).context["groups"]
    assert not any(item["subject_code"] == subject.code for group in groups for item in group["items"])


def test_many_participants_ask_no_more_questions(cast, subject, django_assert_num_queries):
    other = treated(cast.coordinator_a, cast.site_a)
    for each in (subject, other):
        visit(each, cast.coordinator_a, "M3", nrs_worst=9, ae_any=True)
        image(each, cast.assessor_a, "U1", imaging_date=date(2026, 1, 20))
    for some in ([subject], [subject, other]):
        rows = overviews(cast.coordinator_a, some)
        with django_assert_num_queries(12):
            open_prompts(cast.coordinator_a, rows)
