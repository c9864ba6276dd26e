"""The generic pages of a CRF: two editors at once, what comes back with a refusal, and who sees what."""

from datetime import date

import pytest
from django.urls import reverse

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from patients.crfs import DEMOGRAPHICS, SITES
from patients.models import Demographics
from spinetrial.audit.clock import at
from spinetrial.crf.forms import form_data
from spinetrial.crf.save import enter
from spinetrial.review import trial
from tests.followup.helpers import DONE, MORPHINE, noon, registered, treated

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
SITE_ROW = {"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
SITES_ANSWERS = {"imaging_modality": "mri", "imaging_date": date(2025, 8, 10), "other_trial": False}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(date(2026, 3, 2))):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


def url(subject, spec, key="form", *, edit=True):
    return reverse("crf_edit" if edit else "crf", args=[subject.code, spec.code, key])


def post(client, subject, spec, values, rows=None, key="form", seen=0, reason="", **more):
    data = {**form_data(spec, values, rows), "seen_version": str(seen), "form_reason": reason, "save": "1", **more}
    return client.post(url(subject, spec, key), data)


def test_a_tampered_count_of_stored_rows_is_no_crash(client, cast, subject):
    enter(SITES, subject, cast.coordinator_a, SITES_ANSWERS, {"sites": [SITE_ROW]})
    client.force_login(cast.coordinator_a)
    for stored in ("9", "", "x", "-1"):
        response = post(client, subject, SITES, SITES_ANSWERS, {"sites": [{**SITE_ROW, "level": "T9"}]}, seen=1,
                        reason="x",
                        **{"sites-INITIAL_FORMS": stored})  # fmt: skip
        assert response.status_code in (302, 422), stored


def test_a_change_without_a_reason_says_so_and_keeps_the_answers(client, cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    client.force_login(cast.coordinator_a)
    response = post(client, subject, DEMOGRAPHICS, {**ANSWERS, "height_cm": 171}, seen=1, reason="  ")
    assert response.status_code == 422
    assert "Say why the saved answers change." in response.content.decode()
    assert response.context["form"]["height_cm"].value() == "171"
    assert Demographics.objects.get().height_cm == 160


def test_a_freeze_while_someone_types_keeps_the_answers(client, cast, subject):
    client.force_login(cast.coordinator_a)
    trial.do_freeze(cast.data_manager, "cleaning")
    response = post(client, subject, DEMOGRAPHICS, ANSWERS)
    assert response.status_code == 422
    assert "frozen or locked" in response.content.decode()
    assert response.context["form"]["height_cm"].value() == "160"
    assert not Demographics.objects.exists()


def test_a_frozen_trial_shows_forms_to_read(client, cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    trial.do_freeze(cast.data_manager, "cleaning")
    client.force_login(cast.coordinator_a)
    page = client.get(url(subject, DEMOGRAPHICS, edit=False))
    assert page.status_code == 200
    assert page.context["crf"]["edit_url"] == ""
    assert "1960-01-01" in page.content.decode()


def test_an_empty_form_opens_for_entry_to_those_who_enter(client, cast, subject):
    client.force_login(cast.coordinator_a)
    assert client.get(url(subject, DEMOGRAPHICS, edit=False)).url == url(subject, DEMOGRAPHICS)
    client.force_login(cast.monitor_a)
    assert client.get(url(subject, DEMOGRAPHICS, edit=False)).status_code == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_a", 200), ("investigator_a", 200), ("monitor_a", 403), ("data_manager", 403), ("assessor_a", 403),
     ("statistician", 403), ("coordinator_b", 404), ("outsider", 403), ("administrator", 403)],
)  # fmt: skip
def test_who_may_open_a_form_for_entry(client, cast, subject, name, status):
    client.force_login(getattr(cast, name))
    assert client.get(url(subject, DEMOGRAPHICS)).status_code == status
    expected = 302 if status == 200 else status
    assert post(client, subject, DEMOGRAPHICS, ANSWERS).status_code == expected
    assert Demographics.objects.exists() is (status == 200)


@pytest.mark.parametrize("key", ["M3", "new", "1", "99999999999999999999", "١", "form%00"])
def test_a_key_that_names_nothing_is_not_found(client, cast, subject, key):
    client.force_login(cast.coordinator_a)
    assert client.get(f"/subjects/{subject.code}/P.DM/{key}/").status_code == 404


@pytest.mark.parametrize("event", ["BL", "M99", "W3", "form", "m3"])
def test_a_visit_the_protocol_does_not_know_is_not_found(client, cast, event):
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)
    assert client.get(url(followed, VISIT, event)).status_code == 404


def test_a_visit_is_entered_at_its_event_and_previous_answers_are_shown(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)
    first = {**DONE, "analgesics": "some", "nrs_worst": 4}
    assert post(client, followed, VISIT, first, {"analgesics_taken": [MORPHINE]}, key="M3").status_code == 302
    assert Visit.objects.get().event == "M3"
    assert VisitAnalgesic.objects.get().subject == followed
    later = client.get(url(followed, VISIT, "M6"))
    pain = next(each for section in later.context["crf"]["sections"] for each in section["fields"]
                if each["item"].name == "nrs_worst")  # fmt: skip
    assert pain["last_value"].startswith("4 (")
    earlier = client.get(url(followed, VISIT, "W2"))
    assert all(each["last_value"] == "" for s in earlier.context["crf"]["sections"] for each in s["fields"])


def test_save_and_next_leads_to_the_next_form_of_the_event(client, cast, subject):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, DEMOGRAPHICS, ANSWERS, next="1")
    assert answer.url != reverse("subject", args=[subject.code])
    assert "/P.TUMOUR/" in answer.url
