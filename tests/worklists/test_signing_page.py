"""Signing on screen: everything in view, password again, nothing signed that changed, and the history."""

import re
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from followup.models import Visit
from radiotherapy.models import Course
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import verify_signatures
from spinetrial.review import trial
from spinetrial.review.models import Certification, Query, Signature, SignedRecord
from spinetrial.review.signatures import signature_state
from spinetrial.review.verification import dropped_items, verified_items
from tests.cast import PASSWORD, make_cast
from tests.followup.helpers import MORPHINE, change, noon, treated, visit
from tests.journey.steps import log_in

DAY = date(2026, 1, 20)
WEEK_2 = date(2025, 10, 3)  # in the window, so that no check asks


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(DAY)):
        yield


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


@pytest.fixture
def record(cast, subject):
    return visit(subject, cast.coordinator_a, "M3", on=DAY)


def address(subject, **query) -> str:
    return reverse("sign", args=[subject.code]) + "".join(f"?{name}={value}" for name, value in query.items())


def ticks(client, url) -> list[str]:
    """The values of the ticks on the page, as a browser would post those that are ticked."""
    body = client.get(url).content.decode()
    return re.findall(r'name="record" value="([^"]+)" id="[^"]+" checked', body)


def post(client, url, **more):
    data = {"record": ticks(client, url), "meaning": "reviewed", "certify": "on", "password": PASSWORD} | more
    return client.post(url, data, follow=True)


def raise_query(cast, record):
    with acting(cast.monitor_a):
        Query(
            subject=record.subject, spec_code="F.VISIT", record_id=record.pk, event="M3", item="nrs_worst",
            text="Right?", opened_at=noon(DAY), opened_by=cast.monitor_a,
        ).save()  # fmt: skip


# --- form, visit, participant ---


def test_a_form_is_signed_and_shows_name_meaning_and_time_with_zone(client, cast, record):
    client.force_login(cast.investigator_a)
    form = reverse("crf", args=[record.subject.code, "F.VISIT", "M3"])
    assert address(record.subject, form=f"F.VISIT:{record.pk}") in client.get(form).content.decode()
    answer = post(client, address(record.subject, form=f"F.VISIT:{record.pk}"))
    assert "Signed: 1 form." in answer.content.decode()
    assert (Signature.objects.get().scope, Signature.objects.get().event) == ("form", "M3")
    for person in (cast.investigator_a, cast.coordinator_a, cast.monitor_a, cast.statistician):
        client.force_login(person)
        for page in (form, reverse("subject", args=[record.subject.code])):
            shown = client.get(page).content.decode()
            assert "Investigator A" in shown
            assert "I have reviewed these data and they are accurate and complete." in shown
            assert "2026-01-20 04:00:00 UTC (2026-01-20 12:00:00 CST)" in shown
            assert ">valid<" in shown


def test_a_visit_is_signed_with_all_its_forms_and_no_other(client, cast, record, subject):
    visit(subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2)
    client.force_login(cast.investigator_a)
    post(client, address(subject, event="M3"))
    signature = Signature.objects.get()
    assert (signature.scope, signature.event) == ("visit", "M3")
    assert [row.event for row in signature.records.all()] == ["M3"]


def test_a_whole_participant_is_signed_from_one_page_with_every_value(client, cast, record, subject):
    visit(
        subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2, rows=[MORPHINE], analgesics="some", remarks="Seen"
    )
    client.force_login(cast.investigator_a)
    shown = client.get(address(subject)).content.decode()
    for text in ("Seen", "Follow-up visit, Month 3", "Follow-up visit, Week 2", "Not entered yet", "critical items"):
        assert text in shown
    post(client, address(subject))
    assert Signature.objects.get().records.count() == 2
    assert verify_signatures() == []
    after = client.get(address(subject)).content.decode()
    assert "Everything here is signed." in after
    assert after.count("<details") == 2


def test_signed_and_unchanged_forms_are_collapsed_and_not_signed_again(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    post(client, address(subject))
    visit(subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2)
    assert len(ticks(client, address(subject))) == 1
    post(client, address(subject))
    assert [signature.records.count() for signature in Signature.objects.all()] == [1, 1]


# --- password, certification, queries ---


def test_a_wrong_password_signs_nothing_is_on_the_trail_and_keeps_what_was_ticked(client, cast, record):
    client.force_login(cast.investigator_a)
    answer = post(client, address(record.subject), password="wrong", meaning="approved")
    assert answer.status_code == 422
    assert not Signature.objects.exists()
    assert AuditEntry.objects.filter(act="signature refused: not confirmed").count() == 1
    body = answer.content.decode()
    assert 'value="approved" id="id_meaning_approved" checked' in body
    assert "wrong" not in body


def test_the_code_is_asked_for_where_an_authenticator_is_enrolled(client, cast, record, monkeypatch):
    asked = []

    def confirm(request, password, code="", *, purpose, subject_id=None):
        asked.append((code, purpose, subject_id))
        return {"code": "This code is not right."} if code != "123456" else {}

    client.force_login(cast.investigator_a)
    assert "id_code" not in client.get(address(record.subject)).content.decode()
    monkeypatch.setattr("spinetrial.worklists.signing.second_factor_enrolled", lambda user: True)
    monkeypatch.setattr("spinetrial.worklists.signing.confirm_person", confirm)
    assert 'id="id_code"' in client.get(address(record.subject)).content.decode()
    refused = post(client, address(record.subject), code="000000")
    assert (refused.status_code, Signature.objects.count()) == (422, 0)
    assert "This code is not right." in refused.content.decode()
    post(client, address(record.subject), code="123456")
    assert Signature.objects.count() == 1
    assert asked[-1] == ("123456", "signature", record.subject_id)


def test_the_certification_text_is_shown_and_demanded_once_per_person(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    assert "legally binding equivalent of my handwritten signature" in client.get(address(subject)).content.decode()
    data = {"record": ticks(client, address(subject)), "meaning": "reviewed", "password": PASSWORD}
    assert client.post(address(subject), data).status_code == 422
    assert not Certification.objects.exists()
    post(client, address(subject))
    visit(subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2)
    assert "legally binding" not in client.get(address(subject)).content.decode()
    data["record"] = ticks(client, address(subject))
    assert client.post(address(subject), data).status_code == 302
    assert Certification.objects.count() == 1


def test_a_form_with_an_open_query_is_not_proposed_and_signed_only_with_a_confirmation(client, cast, record, subject):
    raise_query(cast, record)
    client.force_login(cast.investigator_a)
    assert ticks(client, address(subject)) == []
    body = client.get(address(subject)).content.decode()
    assert "Right?" in body
    (value,) = re.findall(r'name="record" value="([^"]+)"', body)
    refused = post(client, address(subject), record=[value])
    assert refused.status_code == 422
    assert "Forms with open queries are ticked" in refused.content.decode()
    post(client, address(subject), record=[value], despite_queries="on")
    assert SignedRecord.objects.count() == 1


# --- races and void ---


def test_a_form_that_changed_while_the_page_was_open_is_named_and_nothing_is_signed(client, cast, record, subject):
    other = visit(subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2)
    client.force_login(cast.investigator_a)
    seen = ticks(client, address(subject))
    change(other, cast.coordinator_a, DAY, nrs_worst=7)
    answer = post(client, address(subject), record=seen)
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "Changed while the page was open: Follow-up visit, Week 2" in body
    assert "Follow-up visit, Month 3." not in re.search(r"Changed while[^<]*", body)[0]
    assert not Signature.objects.exists()
    again = re.findall(r'name="record" value="([^"]+)" id="[^"]+" checked', body)
    post(client, address(subject), record=again)
    assert SignedRecord.objects.count() == 2


def test_a_double_submit_signs_once(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    seen = ticks(client, address(subject))
    post(client, address(subject), record=seen)
    answer = post(client, address(subject), record=seen)
    assert answer.status_code == 422
    assert "signed or removed meanwhile" in answer.content.decode()
    assert Signature.objects.count() == 1


def test_a_change_shows_the_signature_as_void_everywhere_and_asks_to_sign_again(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    post(client, address(subject))
    assert "Nothing awaits your signature." in client.get(reverse("signing")).content.decode()
    change(record, cast.coordinator_a, DAY, nrs_worst=7)
    history = client.get(reverse("signatures", args=[subject.code])).content.decode()
    assert "void since" in history
    assert "The data were changed by Coordinator A (coordinator-a)" in history
    form = client.get(reverse("crf", args=[subject.code, "F.VISIT", "M3"])).content.decode()
    assert "void since" in form
    assert "Coordinator A (coordinator-a)" in form
    assert "signature void" in client.get(reverse("subject", args=[subject.code])).content.decode()
    assert "1 signature void: sign again" in client.get(reverse("signing")).content.decode()
    assert "1 signature void: sign again" in client.get(reverse("worklist")).content.decode()
    post(client, address(subject))
    assert "Nothing awaits your signature." in client.get(reverse("signing")).content.decode()
    assert "void since" in client.get(reverse("signatures", args=[subject.code])).content.decode()


def test_the_list_proposes_complete_forms_without_open_queries(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    assert "Sign 1 form" in client.get(reverse("worklist")).content.decode()
    raise_query(cast, record)
    assert "Nothing awaits your signature." in client.get(reverse("signing")).content.decode()
    visit(subject, cast.coordinator_a, "W2", on=DAY, visit_date=WEEK_2)
    (line,) = client.get(reverse("signing")).context["lines"]
    assert (line[0], line[1].ready, line[1].held) == (subject, 1, 1)
    client.force_login(cast.coordinator_a)
    assert client.get(reverse("signing")).status_code == 403


# --- rights and bad hands ---


@pytest.mark.parametrize("person", ["coordinator_a", "monitor_a", "data_manager", "statistician", "administrator"])
def test_nobody_but_an_investigator_sees_or_posts_the_page(client, cast, record, person):
    client.force_login(getattr(cast, person))
    assert client.get(address(record.subject)).status_code == 403
    assert client.post(address(record.subject), {"password": PASSWORD}).status_code == 403


def test_another_site_is_not_found(client, cast, record):
    client.force_login(cast.investigator_b)
    assert client.get(address(record.subject)).status_code == 404
    assert client.get(reverse("signatures", args=[record.subject.code])).status_code == 404


@pytest.mark.parametrize(
    "query", ["form=F.VISIT:999999", "form=F.VISIT:x", "form=X:1", "form=%00", "event=M999999", "event=😀", "event=%00"]
)
def test_an_unknown_form_or_visit_is_not_found(client, cast, record, query):
    client.force_login(cast.investigator_a)
    assert client.get(reverse("sign", args=[record.subject.code]) + "?" + query).status_code == 404


@pytest.mark.parametrize("bad", ["", "\0", "x" * 10_000, "😀", "F.VISIT:1:zz", "F.VISIT:99999999999999999:" + "0" * 64])
def test_bad_input_gets_a_message_and_signs_nothing(client, cast, record, bad):
    client.force_login(cast.investigator_a)
    good = ticks(client, address(record.subject))
    for changed in ({"record": [bad]}, {"meaning": bad}, {"password": bad}, {"record": [*good, bad], "password": bad}):
        assert post(client, address(record.subject), **changed).status_code == 422, changed
    assert not Signature.objects.exists()


def test_a_record_of_another_participant_cannot_be_smuggled_in(client, cast, record, subject):
    other = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, "M3", on=DAY)
    client.force_login(cast.investigator_a)
    foreign = ticks(client, address(other.subject))
    answer = post(client, address(subject), record=[*ticks(client, address(subject)), *foreign])
    assert answer.status_code == 422
    assert not Signature.objects.exists()


def test_a_locked_trial_is_not_signed(client, cast, record, subject):
    client.force_login(cast.investigator_a)
    seen = ticks(client, address(subject))
    trial.do_freeze(cast.data_manager, "clean")
    trial.do_lock(cast.statistician, "done")
    answer = post(client, address(subject), record=seen)
    assert "The trial is locked" in answer.content.decode()
    assert not Signature.objects.exists()
    assert 'name="password"' not in client.get(address(subject)).content.decode()


def test_the_history_keeps_forms_that_show_the_arm_from_the_masked(client, cast, subject):
    with acting(SYSTEM, "test"):
        Course(subject=subject).save()
    client.force_login(cast.investigator_a)
    post(client, address(subject))
    assert SignedRecord.objects.get().spec_code == "R.RT"
    assert "Radiotherapy course" in client.get(reverse("signatures", args=[subject.code])).content.decode()
    for person in (cast.statistician, cast.assessor_a):
        client.force_login(person)
        assert "Radiotherapy course" not in client.get(reverse("signatures", args=[subject.code])).content.decode()


def test_a_longer_history_asks_no_more_questions(client, cast, record, subject):
    client.force_login(cast.investigator_a)

    def asked() -> int:
        client.get(address(subject))
        with CaptureQueriesContext(connection) as captured:
            client.get(address(subject))
        return len(captured)

    before = asked()
    for event, day in (("W2", WEEK_2), ("M6", DAY)):
        visit(subject, cast.coordinator_a, event, on=DAY, visit_date=day, rows=[MORPHINE], analgesics="some")
    assert Visit.objects.count() == 3
    assert asked() == before


# --- by keyboard ---


@pytest.mark.parametrize("width", [1280, 390])
def test_a_participant_is_reviewed_and_signed_by_keyboard(live, browser_page, width):
    cast = make_cast()
    subject = treated(cast.coordinator_a, cast.site_a)
    for event, day in (("W2", WEEK_2), ("M3", date(2025, 12, 19))):
        visit(subject, cast.coordinator_a, event, on=DAY, visit_date=day, rows=[MORPHINE], analgesics="some")
    page = browser_page
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page, "investigator-a")
    page.goto(address(subject))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def tab_to(name: str) -> None:
        for _press in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(f"no {name} by keyboard")

    tab_to("record")
    page.keyboard.press("Space")  # take the first form out
    tab_to("meaning")
    page.keyboard.press("ArrowDown")
    tab_to("certify")
    page.keyboard.press("Space")
    tab_to("password")
    page.keyboard.type(PASSWORD)
    tab_to("Sign the ticked forms")
    page.keyboard.press("Enter")
    page.get_by_text("Signed: 1 form.").wait_for()
    page.wait_for_load_state()  # the words are there before the style sheet is
    signature = Signature.objects.get()
    assert (signature.meaning, [row.event for row in signature.records.all()]) == ("authored", ["M3"])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_simulated_trial_has_verified_signed_and_void_forms(simulated_trial):
    state = signature_state(subject.pk for subject in simulated_trial.subjects())
    assert {"signed", "void"} <= set(state.values())
    assert verified_items(subject.pk for subject in simulated_trial.subjects())
    assert dropped_items(subject.pk for subject in simulated_trial.subjects())
    assert verify_signatures() == []
