"""The draft of the eligibility page: kept, shown again, gone after the save, void where the data changed."""

import pytest
from django.test import Client
from django.urls import reverse

from patients.crfs import SITES
from patients.models import EligibilityAnswer
from spinetrial.crf.models import Draft
from tests.patients.factory import change, on_day, screened
from tests.patients.test_eligibility_page import JUDGEMENTS, fields


@pytest.fixture
def subject(cast):
    return screened(cast.coordinator_a, cast.investigator_a, cast.site_a, screening=None)


@pytest.fixture
def client(cast):
    client = Client()
    client.force_login(cast.investigator_a)
    return client


def address(subject):
    return reverse("eligibility", args=[subject.code])


def typed(client, subject, **answers):
    """Open the page and autosave what is typed into it; gives what was posted."""
    with on_day():
        shown = fields(client.get(address(subject)).content.decode())
        data = {**shown, **JUDGEMENTS, **answers}
        kept = client.post(reverse("draft", args=[subject.code, "P.SCREEN", "form"]), data)
    assert kept.status_code == 200
    return data


def asked(client, subject):
    with on_day():
        page = client.get(address(subject)).content.decode()
    return sorted(name for name in fields(page) if name.startswith("seen_"))[0].removeprefix("seen_")


def test_what_is_typed_comes_back_and_a_save_deletes_the_draft(client, cast, subject):
    code = asked(client, subject)
    data = typed(client, subject, **{f"answer_{code}": "yes", "expected_survival_months": "7"})
    with on_day():
        page = client.get(address(subject)).content.decode()
    assert "Your draft of" in page
    again = fields(page)
    assert again[f"answer_{code}"] == data[f"answer_{code}"]
    assert again["expected_survival_months"] == "7"
    assert "data-error-summary" not in page
    assert not EligibilityAnswer.objects.filter(subject=subject).exclude(answer="").exists()
    with on_day():
        assert client.post(address(subject), {**again, "save": "1"}).status_code == 302
    assert not Draft.objects.exists()


def test_an_answer_whose_data_changed_since_is_not_taken_from_the_draft(client, cast, subject):
    code = "INC2d"  # rests on the epidural compression
    data = typed(client, subject, **{f"answer_{code}": "yes"})
    assert data[f"seen_{code}"]
    change(SITES, subject, cast.coordinator_a, escc="1b")
    with on_day():
        again = fields(client.get(address(subject)).content.decode())
    assert again[f"seen_{code}"] != data[f"seen_{code}"]
    assert f"answer_{code}" not in again


def test_who_only_reads_is_shown_no_draft(client, cast, subject):
    typed(client, subject)
    client.force_login(cast.monitor_a)
    with on_day():
        page = client.get(address(subject)).content.decode()
    assert "Your draft of" not in page
    assert "data-draft-url" not in page


def test_what_one_person_typed_is_not_saved_as_anothers(client, cast, subject):
    data = typed(client, subject)
    with on_day():
        refused = client.post(address(subject), {**data, "opened_by": "coordinator-a", "save": "1"})
    assert refused.status_code == 422
    assert "This page was opened by coordinator-a" in refused.content.decode()
    assert not EligibilityAnswer.objects.filter(subject=subject).exists()
