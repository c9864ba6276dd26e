"""Six months of one participant in a browser with a frozen clock: flare, telephone, clinic, fracture, a missed visit.

Staff work on their pages, the participant on a small telephone in Chinese from the link in the e-mail, the planner and
the sender of messages run as the jobs do. Screening to the last fraction is played by test_journey.py.
"""

import os
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.urls import reverse

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent
from followup import reminders
from followup.crfs import IMAGING, VISIT
from followup.models import PatientReport, Visit, VisitAnalgesic
from followup.responses import responses_of
from patients.models import Contact, DiseaseSite, SitesOfDisease
from spinetrial.audit.acting import acting
from spinetrial.audit.chain import broken_links
from spinetrial.audit.clock import at
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due
from tests.cast import SETUP, make_cast
from tests.followup.helpers import baseline, treated
from tests.followup.test_questionnaire_messages import agree
from tests.journey.steps import Clock, answer, fill, freeze, log_in, save, shot

WEEK_2, MONTH_3, MONTH_6 = date(2025, 10, 3), date(2025, 12, 19), date(2026, 3, 19)
ADDRESS = "https://trial.example.org"
EXAMINED = {"motor": "none", "sensory": "none", "frankel": "E"}
SPOKEN = {"bladder": "normal", "ecog": "1", "ae_any": "False"}
ASKED = {"index_treatment": "none", "new_systemic": "False", "survival": "alive"}


@pytest.fixture
def clock(monkeypatch) -> Clock:
    own = Clock()
    freeze(monkeypatch, own)
    return own


@pytest.fixture
def participant(committed_db, settings, clock):
    settings.SITE_URL = ADDRESS
    cast = make_cast()
    subject = treated(cast.coordinator_a, cast.site_a)  # irradiated from 8 to 19 September 2025
    baseline(subject)  # worst pain 6, morphine 30 mg twice
    with acting(SETUP, "test"):
        Contact.objects.filter(subject=subject).delete()
        Contact(subject=subject, name="Zhang Secret", email="zhang@example.org").save()
        sites = SitesOfDisease(
            subject=subject, imaging_modality="mri", imaging_date=date(2025, 8, 25), index_level="T9", escc="0"
        )
        sites.save()
        DiseaseSite(subject=subject, parent=sites, level="T9", lesion="lytic", fracture=False).save()
    agree(subject)
    return subject


def messages(clock: Clock, day: date) -> dict[str, mail.EmailMessage]:
    """What the jobs of that morning send, by address; kept for the eye when JOURNEY_PICTURES names a folder."""
    clock.to(day)
    mail.outbox.clear()
    with at(clock.moment):
        reminders.do_plan()
        do_send_due()
    if folder := os.environ.get("JOURNEY_PICTURES"):
        for each in mail.outbox:
            text = f"To: {each.to[0]}\nSubject: {each.subject}\n\n{each.body}"
            Path(folder, f"mail_{day}_{each.to[0]}.txt").write_text(text, encoding="utf-8")
    return {each.to[0]: each for each in mail.outbox}


def answer_on_the_phone(page, link: str, score: int, number: int) -> None:
    """Language, pain, medicines, how many, confirm: as a participant does it with a thumb."""
    page.goto(link.removeprefix(ADDRESS))
    page.get_by_role("button", name="中文").click()
    page.wait_for_url("**/pain/")
    page.get_by_role("radio", name=str(score), exact=True).check()
    shot(page, "phone_pain")
    page.locator("button.next").click()
    page.wait_for_url("**/medicines/")
    page.locator("#a-some").check()
    page.locator("button.next").click()
    page.wait_for_url("**/which/")
    for _press in range(number):
        page.locator(".stepper button").nth(1).click()
    shot(page, "phone_which")
    page.locator("button.next").click()
    page.wait_for_url("**/check/")
    shot(page, "phone_check")
    page.locator("button.next").click()
    page.wait_for_url(lambda url: not url.endswith("/check/"))
    shot(page, "phone_done")


def waits(page, words: str):
    """The row of the worklist with these words."""
    page.goto("/worklist/")
    return page.get_by_role("row").filter(has_text=re.compile(words))


def test_six_months_of_one_participant(participant, clock, watched):
    code = participant.code
    with watched() as page, watched() as phone:
        phone.set_viewport_size({"width": 390, "height": 844})

        # Four days into radiotherapy the participant calls: the pain is worse.
        clock.to(date(2025, 9, 12))
        log_in(page, "coordinator-a")
        page.goto(f"/subjects/{code}/")
        page.get_by_role("button", name="Unscheduled visit").or_(
            page.get_by_role("link", name="Unscheduled visit")
        ).click()
        page.wait_for_url("**/F.VISIT/U1/edit/")
        fill(page, VISIT, {"status": "done", "visit_date": "2025-09-12", "mode": "telephone", "nrs_worst": 9})
        answer(page, VISIT, "analgesics", "some")
        page.get_by_role("button", name=re.compile("Copy the row of Baseline")).click()
        fill(page, VISIT, {**SPOKEN, **ASKED})
        shot(page, "unscheduled")
        save(page)
        assert VisitAnalgesic.objects.get().dose == 30
        assert waits(page, "assess").count() == 1, "was it a flare?"
        shot(page, "worklist_flare")

        # Week 2: the list of the day to the coordinator, the link to the participant.
        sent = messages(clock, WEEK_2)
        assert set(sent) == {"coordinator_a@example.org", "zhang@example.org"}
        assert code in sent["coordinator_a@example.org"].body
        link = next(line for line in sent["zhang@example.org"].body.splitlines() if line.startswith(ADDRESS))
        answer_on_the_phone(phone, link, score=5, number=2)
        assert PatientReport.objects.get().nrs_worst == 5
        phone.goto(link.removeprefix(ADDRESS))
        assert phone.get_by_role("radio").count() == 0, "answered once and for good"

        # The coordinator starts from it; the score stays the participant's own.
        waits(page, "Week 2").get_by_role("link", name=re.compile("Enter")).first.click()
        shot(page, "week2_offer")
        page.get_by_role("button", name="Start from the participant's answers").or_(
            page.get_by_role("link", name="Start from the participant's answers")
        ).click()
        page.wait_for_load_state()
        fill(page, VISIT, ASKED)
        save(page)
        week2 = Visit.objects.get(event="W2")
        assert (week2.mode, week2.nrs_worst, week2.nrs_missing) == ("patient", None, "patient")

        # Worse and back again: a pain flare, to be entered as an event; then the prompt is gone.
        waits(page, "flare").get_by_role("link").first.click()
        page.goto(f"/subjects/{code}/A.AE/new/edit/")
        answer(page, ADVERSE_EVENT, "verbatim", "more pain for some days")
        picker = page.get_by_role("combobox", name=re.compile("CTCAE term"))
        picker.fill("Pain")
        page.get_by_role("option", name=re.compile("^Pain")).first.click()
        fill(page, ADVERSE_EVENT, {"grade": 2, "flare": True, "onset_date": "2025-09-11", "outcome": "recovered"})
        answer(page, ADVERSE_EVENT, "worse_than_before", True)
        fill(page, ADVERSE_EVENT, {"end_date": "2025-09-20", "action": "none", "treated": "False"})
        for cause, relation in (("radiotherapy", "probable"), ("disease", "possible"), ("systemic", "unrelated")):
            answer(page, ADVERSE_EVENT, f"relation_{cause}", relation)
        answer(page, ADVERSE_EVENT, "relation_other", "unrelated")
        save(page)
        assert AdverseEvent.objects.get().flare
        assert waits(page, "flare").count() == 0

        # Month 3 in the clinic, with half the morphine; the imaging shows a new fracture.
        sent = messages(clock, MONTH_3)
        assert "coordinator_a@example.org" in sent
        waits(page, "Month 3.*Follow-up visit").get_by_role("link", name=re.compile("Enter")).first.click()
        fill(page, VISIT, {"status": "done", "visit_date": str(MONTH_3), "mode": "clinic", "nrs_worst": 3})
        answer(page, VISIT, "analgesics", "some")
        page.get_by_role("button", name=re.compile("Copy the row of Week 2")).click()
        answer(page, VISIT, "analgesics_taken-0-times", 1)
        page.get_by_text(re.compile("OMED 30 mg/day")).first.wait_for()
        fill(page, VISIT, {**EXAMINED, **SPOKEN, **ASKED})
        shot(page, "month3")
        save(page)
        page.goto(f"/subjects/{code}/F.IMAGING/M3/edit/")
        fill(page, IMAGING, {"status": "done", "imaging_date": str(MONTH_3), "modality": "mri", "read_by": "both"})
        answer(page, IMAGING, "cord_injury", "False")
        assert page.get_by_label(re.compile("Level.*row 1")).input_value() == "T9", "a row per lesion to begin with"
        for name, value in (("height_loss", "25"), ("fracture", "new"), ("symptomatic", "True")):
            answer(page, IMAGING, f"vertebrae-0-{name}", value)
        answer(page, IMAGING, "vertebrae-0-local_control", "controlled")
        shot(page, "imaging")
        save(page)
        assert waits(page, "[Ff]racture").count() == 1

        # Month 6 is forgotten: named every morning, then the investigator is told, once.
        assert "coordinator_a@example.org" in messages(clock, MONTH_6)
        assert "zhang@example.org" in messages(clock, MONTH_6 + timedelta(days=3)), "asked once more"
        late = MONTH_6 + timedelta(days=28 + 7)
        assert "investigator_a@example.org" in messages(clock, late)
        assert "investigator_a@example.org" not in messages(clock, late + timedelta(days=1))
        log_in(page, "coordinator-a")
        waits(page, "Month 6.*Follow-up visit").get_by_role("link", name=re.compile("Enter")).first.click()
        fill(page, VISIT, {"status": "missed", "missed_reason": "too_ill", "survival": "alive"})
        save(page)
        page.goto(f"/subjects/{code}/F.IMAGING/M6/edit/")
        fill(page, IMAGING, {"status": "not_done", "not_done_reason": "too_ill"})
        save(page)
        assert messages(clock, late + timedelta(days=2)) == {}

        # What everybody sees of it.
        page.goto(f"/subjects/{code}/")
        shot(page, "subject_after_six_months")
        for words in ("Week 2: IR", "Month 3: PR", "Month 6: NE"):
            assert page.locator("details").filter(has_text=words).count() == 1, words
        for place in ("messages", "dashboard", "coming"):
            page.goto(reverse(place))
            assert page.locator("h1").count() == 1
            shot(page, place)
        assert set(Message.objects.values_list("state", flat=True)) <= {"sent", "stopped"}
    with at(clock.moment):
        found = {event: each.category.value for event, each in responses_of(participant).items()}
    assert (found["W2"], found["M3"], found["M6"]) == ("IR", "PR", "NE")
    assert broken_links() == []
