"""The verification screens: at the field, by participant, for every role, and in bad hands."""

import re
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.crfs import SCREENING, SITES
from spinetrial.access.gate import SYSTEM
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.review import trial, verification
from spinetrial.review.models import Verification
from tests.conftest import own_database
from tests.followup.helpers import MORPHINE, change, noon, registered, treated, visit
from tests.patients.factory import fill
from tests.simulated import EVENING

DAY = date(2026, 1, 20)


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(DAY)):
        yield


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


@pytest.fixture
def record(cast, subject):
    return visit(subject, cast.coordinator_a, "M3", rows=[MORPHINE], analgesics="some")


def page_of(record, event="M3") -> str:
    return reverse("crf", args=[record.subject.code, "F.VISIT", event])


def post(client, record, page=None, **data):
    """What a press of a button of the form's page posts."""
    body = client.get(page or page_of(record)).content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', body)[1]
    return client.post(
        reverse("verify", args=[record.subject.code, "F.VISIT", record.pk]), {"seen": seen, **data}, follow=True
    )


def test_the_monitor_verifies_a_field_with_one_press_and_everyone_sees_who_and_when(client, cast, record):
    client.force_login(cast.monitor_a)
    answer = post(client, record, item="nrs_worst")
    assert answer.redirect_chain[-1][0].endswith("#item-nrs_worst")
    for person in (cast.monitor_a, cast.coordinator_a, cast.investigator_a, cast.data_manager, cast.statistician):
        client.force_login(person)
        shown = client.get(page_of(record)).content.decode()
        assert "Verified by Monitor A, 2026-01-20 12:00 CST" in shown
        assert "1 of 8 critical items verified" in shown


def test_a_verified_field_is_marked_in_the_form_for_entry_too(client, cast, record):
    client.force_login(cast.monitor_a)
    post(client, record, scope="critical")
    client.force_login(cast.coordinator_a)
    shown = client.get(page_of(record) + "edit/").content.decode()
    assert "Verified by Monitor A" in shown
    assert "sdv-form" not in shown


def test_buttons_verify_the_critical_items_or_the_whole_form(client, cast, record):
    client.force_login(cast.monitor_a)
    post(client, record, scope="critical")
    assert Verification.objects.count() == 8
    assert not Verification.objects.filter(item="motor").exists()
    post(client, record, scope="all")
    assert Verification.objects.filter(item="motor").exists()


@pytest.mark.parametrize("person", ["coordinator_a", "investigator_a", "data_manager", "statistician", "assessor_a"])
def test_nobody_else_gets_the_buttons_or_may_post(client, cast, record, person):
    client.force_login(getattr(cast, person))
    shown = client.get(page_of(record)).content.decode()
    assert "sdv-form" not in shown
    here = [record.subject.code, "F.VISIT", record.pk]
    assert client.post(reverse("verify", args=here), {"seen": "0" * 64}).status_code == 403
    assert client.post(reverse("unverify", args=[*here, "nrs_worst"]), {"reason": "x"}).status_code == 403


def test_a_value_that_changed_meanwhile_is_refused_with_a_message(client, cast, record):
    client.force_login(cast.monitor_a)
    body = client.get(page_of(record)).content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', body)[1]
    rows = [{"id": r.pk, **MORPHINE} for r in _analgesics(record)]
    change(record, cast.coordinator_a, DAY, rows=rows, nrs_worst=5)
    address = reverse("verify", args=[record.subject.code, "F.VISIT", record.pk])
    answer = client.post(address, {"seen": seen, "item": "nrs_worst"}, follow=True)
    assert "changed while it was on your screen" in answer.content.decode()
    assert not Verification.objects.exists()


def _analgesics(record):
    from followup.models import VisitAnalgesic

    return VisitAnalgesic.objects.filter(parent=record)


def test_a_dropped_verification_is_listed_to_verify_again_with_a_link_to_the_field(client, cast, record):
    client.force_login(cast.monitor_a)
    post(client, record, scope="critical")
    assert "Nothing waits for verification." in client.get(reverse("sdv")).content.decode()
    rows = [{"id": r.pk, **MORPHINE} for r in _analgesics(record)]
    change(record, cast.coordinator_a, DAY, rows=rows, nrs_worst=5)
    shown = client.get(reverse("sdv") + "?show=again").content.decode()
    assert f'href="{page_of(record)}#item-nrs_worst"' in shown
    assert "1 to verify again" in shown
    assert "Changed since it was verified" in client.get(page_of(record)).content.decode()
    post(client, record, scope="critical")
    assert "Nothing waits for verification." in client.get(reverse("sdv") + "?show=again").content.decode()


def test_progress_counts_critical_items_by_site(client, cast, record):
    elsewhere = treated(cast.coordinator_b, cast.site_b)
    visit(elsewhere, cast.coordinator_b, "M3")
    client.force_login(cast.monitor_a)
    post(client, record, scope="critical")
    client.force_login(cast.data_manager)
    context = client.get(reverse("sdv")).context
    counts = {code: (tally.critical, tally.verified, tally.percent) for code, tally in context["sites"]}
    assert counts["NK"] == (8, 8, 100)
    assert counts["SH"][1:] == (0, 0)
    client.force_login(cast.monitor_a)
    assert [code for code, _tally in client.get(reverse("sdv")).context["sites"]] == ["NK"]


def test_a_verification_is_taken_back_with_a_reason(client, cast, record):
    client.force_login(cast.monitor_a)
    post(client, record, item="nrs_worst")
    address = reverse("unverify", args=[record.subject.code, "F.VISIT", record.pk, "nrs_worst"])
    assert address in client.get(page_of(record)).content.decode()
    assert client.post(address, {"reason": " "}).status_code == 422
    answer = client.post(address, {"reason": "the wrong page of the source"}, follow=True)
    assert "The verification is taken back." in answer.content.decode()
    again = client.post(address, {"reason": "twice"}, follow=True)
    assert "not verified any more" in again.content.decode()
    assert verification.dropped_items([record.subject_id]) == {("F.VISIT", record.pk, "nrs_worst")}


def test_a_form_with_a_page_of_its_own_is_verified_on_the_page_of_its_answers(client, cast, subject):
    screening = fill(SCREENING, subject, cast.investigator_a, rows=[])
    client.force_login(cast.monitor_a)
    listed = client.get(reverse("sdv")).content.decode()
    address = reverse("crf_answers", args=[subject.code, "P.SCREEN", "form"])
    assert address in listed
    assert address in client.get(reverse("eligibility", args=[subject.code])).content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', client.get(address).content.decode())[1]
    verify = reverse("verify", args=[subject.code, "P.SCREEN", screening.pk])
    client.post(verify, {"seen": seen, "scope": "critical"})
    assert ("P.SCREEN", screening.pk, "answers") in verification.verified_items([subject.pk])


def test_the_hash_on_the_page_is_that_of_the_stored_record_also_with_rows(client, cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    fill(SITES, subject, cast.coordinator_a)
    record = SITES.model.objects.get()
    client.force_login(cast.monitor_a)
    body = client.get(reverse("crf", args=[subject.code, "P.SITES", "form"])).content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', body)[1]
    answer = client.post(
        reverse("verify", args=[subject.code, "P.SITES", record.pk]), {"seen": seen, "scope": "all"}, follow=True
    )
    assert "Verified:" in answer.content.decode()


def test_nothing_is_verified_in_a_locked_trial(client, cast, record):
    client.force_login(cast.monitor_a)
    body = client.get(page_of(record)).content.decode()
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', body)[1]
    trial.do_freeze(cast.data_manager, "clean")
    trial.do_lock(cast.statistician, "done")
    assert "sdv-form" not in client.get(page_of(record)).content.decode()
    address = reverse("verify", args=[record.subject.code, "F.VISIT", record.pk])
    answer = client.post(address, {"seen": seen, "scope": "all"}, follow=True)
    assert "The trial is locked" in answer.content.decode()
    take_back = reverse("unverify", args=[record.subject.code, "F.VISIT", record.pk, "nrs_worst"])
    assert "The trial is locked" in client.post(take_back, {"reason": "x"}, follow=True).content.decode()
    assert not Verification.objects.exists()


BAD = ["", "\0", "x" * 10_000, "😀", "0" * 64]


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_gets_a_message_and_changes_nothing(client, cast, record, bad):
    client.force_login(cast.monitor_a)
    address = reverse("verify", args=[record.subject.code, "F.VISIT", record.pk])
    assert client.post(address, {"seen": bad, "item": bad}, follow=True).status_code == 200
    assert post(client, record, item=bad or "zzz").status_code == 200
    take_back = reverse("unverify", args=[record.subject.code, "F.VISIT", record.pk, "nrs_worst"])
    assert client.post(take_back, {"reason": bad}).status_code in (302, 422)
    assert client.get(take_back.replace("nrs_worst", "colour")).status_code == 404
    assert client.get(reverse("sdv"), {"show": bad}).status_code == 404
    assert not Verification.objects.exists()


def test_another_sites_or_no_record_is_not_found(client, cast, record):
    other = visit(treated(cast.coordinator_b, cast.site_b), cast.coordinator_b, "M3")
    client.force_login(cast.monitor_a)
    for args in (
        [other.subject.code, "F.VISIT", other.pk],
        [record.subject.code, "F.VISIT", other.pk],
        [record.subject.code, "F.VISIT", 10**15],
        [record.subject.code, "X.NONE", 1],
        ["NK-999", "F.VISIT", record.pk],
    ):
        assert client.post(reverse("verify", args=args), {"seen": "0" * 64}).status_code == 404, args
        assert client.get(reverse("unverify", args=[*args, "nrs_worst"])).status_code == 404, args
    assert client.get(reverse("verify", args=[record.subject.code, "F.VISIT", record.pk])).status_code == 405


def test_a_form_that_shows_the_arm_is_not_on_a_masked_persons_answers_page(client, cast, subject):
    with acting(SYSTEM, "test"):
        from radiotherapy.models import Course

        Course(subject=subject).save()
    address = reverse("crf_answers", args=[subject.code, "R.RT", "form"])
    client.force_login(cast.monitor_a)
    assert client.get(address).status_code == 200
    for person in (cast.statistician, cast.assessor_a):
        client.force_login(person)
        assert client.get(address).status_code == 403
    client.force_login(cast.coordinator_b)
    assert client.get(address).status_code == 404


PAGES = [
    ("sdv", "monitor-bj"),
    ("sdv", "data-manager"),
    ("signing", "investigator-bj"),
    ("worklist", "investigator-bj"),
]


def questions(client) -> dict[tuple[str, str], int]:
    """How often each page asks the database."""
    found = {}
    for page, reader in PAGES:
        client.force_login(User.objects.get(username=reader))
        client.get(reverse(page))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse(page)).status_code == 200
        found[page, reader] = len(captured)
    return found


def test_the_number_of_questions_does_not_grow_with_the_participants(
    request, client, simulated_templates, django_db_blocker
):
    found = []
    for patients in (10, 66):
        with own_database(request, simulated_templates(patients), django_db_blocker), at(EVENING):
            assert Verification.objects.exists()
            found.append(questions(client))
    assert found[0] == found[1]
    assert max(found[0].values()) < 70
