"""The trial end to end in a browser: a participant from first contact to month 3, a screen failure, lock, report."""

import io
import re
import zipfile
from datetime import date, timedelta

import pypdf
import pytest

from adverse_events.crfs import ADVERSE_EVENT
from followup.crfs import VISIT
from followup.models import Visit
from patients.crfs import SCREEN_FAILURE
from patients.models import Milestones, ScreenFailure
from radiotherapy.crfs import COURSE
from randomization.lists import do_generate, do_seal
from randomization.models import AllocatedArm
from spinetrial.audit.chain import broken_links
from tests.cast import PASSWORD, make_cast
from tests.journey.steps import (
    DAY,
    Clock,
    answer,
    baseline,
    confirm_eligibility,
    enter,
    fill,
    freeze,
    log_in,
    register,
    save,
    shot,
    status,
)
from tests.patients import factory


@pytest.fixture
def clock(monkeypatch) -> Clock:
    own = Clock()
    freeze(monkeypatch, own)
    return own


@pytest.fixture
def cast_here(committed_db, clock):
    cast = make_cast()
    for site in (cast.site_a, cast.site_b):
        do_seal(cast.custodian, do_generate(cast.custodian, site, 12))
    return cast


def by_keyboard(page, subject: str) -> None:
    """Demographics without a mouse: Tab, digits, arrows, Enter."""
    page.goto(f"/subjects/{subject}/P.DM/form/edit/")
    while page.evaluate("document.activeElement.name") != "birth_date":
        page.keyboard.press("Tab")
    page.keyboard.type("05041961")  # the browser's own date field, month first in this locale
    while page.evaluate("document.activeElement.name") != "sex":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    while page.evaluate("document.activeElement.name") != "height_cm":
        page.keyboard.press("Tab")
    page.keyboard.type("170")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/subjects/{subject}/")


def randomise(page, subject: str) -> None:
    page.goto(f"/subjects/{subject}/randomize/")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name=re.compile(f"Randomise.*{subject}")).click()
    page.wait_for_url("**/allocation/")


def test_from_first_contact_to_the_locked_report(cast_here, clock, browser_page):
    page = browser_page
    log_in(page, "coordinator-a")

    # a participant
    one = register(page, "Invented One")
    baseline(page, one, DAY)
    clock.tick()
    page.goto(f"/subjects/{one}/randomize/")
    assert page.get_by_label("Your password").count() == 0, "no randomisation before the eligibility is confirmed"

    # a screen failure: ECOG 2 is not fulfilled, so nobody can confirm
    other = register(page, "Invented Two")
    by_keyboard(page, other)
    enter(page, other, "P.STATUS", status(DAY, ecog=2))
    page.goto(f"/subjects/{other}/eligibility/")
    assert page.locator("#criterion-INC3.criterion-bad").is_visible()
    page.goto(f"/subjects/{other}/")
    page.get_by_role("link", name="Screen failure").first.click()
    fill(page, SCREEN_FAILURE, {"failed_on": str(DAY), "reason": "criteria", "criteria-0-criterion": "INC3"})
    save(page)
    assert Milestones.objects.get(subject__code=other).not_eligible_on == DAY

    log_in(page, "investigator-a")
    confirm_eligibility(page, one, DAY)
    assert page.url.endswith(f"/subjects/{one}/")
    assert page.get_by_text("Eligibility confirmed.").is_visible()

    # allocation
    randomise(page, one)
    arm = AllocatedArm.objects.get(subject__code=one).arm
    assert page.locator("[data-arm]").get_attribute("data-arm") == arm
    shot(page, "allocation")
    page.get_by_role("link", name="Printable slip").click()
    shot(page, "slip")
    assert one in page.content()
    assert "Invented One" not in page.content()

    # ten fractions, a click a day
    log_in(page, "coordinator-a")
    first = DAY + timedelta(days=7)
    clock.to(first)
    ctv = range(1, 7) if arm == "WHOLE" else (1, 2, 6)
    page.goto(f"/subjects/{one}/radiotherapy/")
    page.get_by_role("link", name="Enter the plan").click()
    fill(page, COURSE, {"planned_start": str(first), "targets-0-level": "T8", "targets-0-gtv1": True})
    fill(page, COURSE, {f"targets-0-ctv{n}": True for n in ctv})
    answer(page, COURSE, "targets-0-body_extent", "central")
    save(page)
    for number in range(1, 11):
        day = first + timedelta(days=(number - 1) + 2 * ((number - 1) // 5))
        clock.to(day)
        page.goto(f"/subjects/{one}/radiotherapy/")
        page.get_by_role("button", name=f"Fraction {number} given today").click()
        page.wait_for_load_state()
    shot(page, "radiotherapy")
    last = first + timedelta(days=11)
    assert Milestones.objects.get(subject__code=one).rt_end == last

    # follow-up
    for event, day, pain in (("W2", last + timedelta(days=14), 5), ("M3", date(2026, 4, 23), 2)):
        clock.to(day)
        page.goto("/worklist/")
        row = page.get_by_role("row").filter(has_text=one).filter(has_text="Follow-up visit")
        row.get_by_role("link", name=re.compile("Enter")).click()
        visit = {
            "status": "done",
            "visit_date": str(day),
            "mode": "clinic",
            "nrs_worst": pain,
            "analgesics": "some",
            "motor": "none",
            "sensory": "none",
            "frankel": "E",
            "bladder": "normal",
            "ecog": "1",
            "index_treatment": "none",
            "new_systemic": "False",
            "ae_any": "True" if event == "W2" else "False",
            "survival": "alive",
            "analgesics_taken-0-drug": "MORPHINE_PO",
            "analgesics_taken-0-dose": "30",
            "analgesics_taken-0-times": "2" if event == "W2" else "1",
        }
        fill(page, VISIT, visit)
        shot(page, f"F.VISIT_{event}")
        save(page)
        enter(
            page,
            one,
            "F.IMAGING",
            {
                "status": "done",
                "imaging_date": str(day),
                "modality": "ct",
                "read_by": "radiologist",
                "cord_injury": "False",
                "vertebrae-0-level": "T8",
                "vertebrae-0-height_loss": "5",
                "vertebrae-0-fracture": "none",
                "vertebrae-0-local_control": "controlled",
            },
            key=event,
        )
    assert Visit.objects.filter(subject__code=one, status="done").count() == 2

    # an adverse event by the term picker
    page.goto(f"/subjects/{one}/")
    page.get_by_role("link", name="Adverse event", exact=True).click()
    answer(page, ADVERSE_EVENT, "verbatim", "pain on swallowing")
    picker = page.get_by_role("combobox", name=re.compile("CTCAE term"))
    picker.press_sequentially("esophagi")
    page.get_by_role("option", name=re.compile("Esophagitis")).first.wait_for()
    picker.press("ArrowDown")
    picker.press("Enter")
    fill(
        page,
        ADVERSE_EVENT,
        {
            "grade": 2,
            "onset_date": "2026-01-26",
            "outcome": "ongoing",
            "action": "none",
            "treated": "False",
            "relation_radiotherapy": "probable",
            "relation_disease": "unlikely",
            "relation_systemic": "unrelated",
            "relation_other": "unrelated",
        },
    )
    save(page)

    # the subject page tells the response with its working, the matrix the visits
    page.goto(f"/subjects/{one}/")
    response = page.locator("details").filter(has_text="Month 3: PR")
    assert response.count() == 1
    response.locator("summary").click()
    assert response.get_by_text("baseline 7, visit 2").first.is_visible()  # by each reading
    shot(page, "subject")
    assert page.get_by_role("link", name=re.compile("Esophagitis")).is_visible()
    page.goto("/subjects/")
    done = page.get_by_role("row").filter(has_text=one).locator('td[data-state~="done"], td[data-state~="complete"]')
    assert done.count() >= 4
    shot(page, "matrix")
    assert page.get_by_role("row").filter(has_text=other).get_by_text("Screen failure").is_visible()

    # the statistician is masked, then two people lock
    log_in(page, "statistician")
    for url in ("/report/", f"/subjects/{one}/", "/subjects/", "/trial/"):
        page.goto(url)
        assert "Whole vertebra" not in page.content().replace("whole-vertebra", ""), url
        assert "Involved sectors" not in page.content(), url
    log_in(page, "data-manager")
    page.goto("/trial/")
    state_change(page, "Freeze", "every form is entered")
    log_in(page, "statistician")
    page.goto("/trial/")
    state_change(page, "Lock", "analysis of month 3")
    page.goto("/report/")
    page.get_by_role("button", name=re.compile("Make.*Report of a locked data version")).click()
    page.get_by_role("link", name="PDF, English").wait_for()  # tests run their jobs at once
    assert "Whole vertebra" in page.content()
    shot(page, "report")
    pdf = pypdf.PdfReader(io.BytesIO(followed(page, page.get_by_role("link", name=re.compile("PDF.*English")))))
    text = "\n".join(sheet.extract_text() for sheet in pdf.pages)
    assert re.search(r"Randomised\s+(1\s+0|0\s+1)\s", text)
    page.goto("/data-versions/1/")
    archive = zipfile.ZipFile(io.BytesIO(followed(page, page.locator('a[href$="export.zip"]').first)))
    adsl = archive.read(next(name for name in archive.namelist() if name.endswith("adsl.csv"))).decode("utf-8-sig")
    assert one in adsl
    assert arm in adsl
    assert "Invented" not in "".join(archive.read(name).decode("utf-8", "ignore") for name in archive.namelist())

    # nothing can be changed any more, and the trail is whole
    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{one}/P.DM/form/")
    assert page.get_by_role("link", name="Edit").count() == 0
    assert broken_links() == []
    assert ScreenFailure.objects.count() == 1


def followed(page, link) -> bytes:
    """What the link leads to, fetched with the person's own session; a file is shown or saved as the browser likes."""
    response = page.request.get(link.get_attribute("href"))
    assert response.ok, response.status
    return response.body()


def state_change(page, verb: str, reason: str) -> None:
    """Give reason and password on the page of the trial and press the button."""
    form = page.locator("form").filter(has=page.get_by_role("button", name=re.compile(f"^{verb}")))
    form.get_by_role("textbox", name="Reason").fill(reason)
    password = form.get_by_label("Your password")
    if password.count():
        password.fill(PASSWORD)
    for tick in form.get_by_role("checkbox").all():
        tick.check()
    form.get_by_role("button", name=re.compile(f"^{verb}")).click()
    page.wait_for_load_state()
    dialog = page.locator("dialog[open]")
    if dialog.count():
        dialog.get_by_role("button").last.click()
        page.wait_for_load_state()


def test_randomisation_in_chinese(cast_here, clock, browser_page):
    """From the log-in to the slip by a person who reads Chinese; the forms before it were entered by the services."""
    page, cast = browser_page, cast_here
    clock.to(factory.DAY)
    one = factory.screened(cast.coordinator_a, cast.investigator_a, cast.site_a)
    factory.answer(one, cast.investigator_a)
    log_in(page, "investigator-a")
    page.get_by_role("button", name="简体中文").click()
    page.wait_for_load_state()
    page.goto(f"/subjects/{one.code}/")
    shot(page, "zh_subject")
    page.get_by_role("link", name="随机").first.click()
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    shot(page, "zh_randomize")
    page.get_by_label(re.compile("密码")).fill("wrong")
    page.get_by_role("button", name=re.compile(one.code)).click()
    assert page.get_by_text("密码").first.is_visible()
    assert not AllocatedArm.objects.exists()
    page.get_by_label(re.compile("密码")).fill(PASSWORD)
    page.get_by_role("button", name=re.compile(f"随机.*{one.code}")).click()
    page.wait_for_url("**/allocation/")
    assert AllocatedArm.objects.filter(subject=one).exists()
    assert page.get_by_text(re.compile("随机.*号")).first.is_visible()
    shot(page, "zh_allocation")
