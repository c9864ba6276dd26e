"""In a browser: typing is kept, a session that ran out is renewed over the form, two editors choose."""

import re
from datetime import date

import pytest
from django.contrib.sessions.models import Session

from patients.crfs import DEMOGRAPHICS, SITES
from patients.models import Demographics, DiseaseSite
from spinetrial.crf.models import Draft
from spinetrial.crf.save import enter
from tests.cast import PASSWORD, make_cast
from tests.followup.helpers import registered
from tests.journey.steps import Clock, answer, fill, freeze, log_in, save, shot

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
SAVED = re.compile(r"Saved \d\d:\d\d as draft")
UNAUTHORISED = pytest.mark.expected_console("status of 401|status of 403")


@pytest.fixture
def cast_here(committed_db, monkeypatch):
    cast = make_cast()
    freeze(monkeypatch, Clock())
    return cast


@pytest.fixture
def subject(cast_here):
    return registered(cast_here.coordinator_a, cast_here.site_a)


def open_form(page, subject, spec="P.DM"):
    page.goto(f"/subjects/{subject.code}/{spec}/form/edit/")


def wait_for_draft(page):
    page.locator("[data-saved]").get_by_text(SAVED).wait_for()


def log_in_over_the_form(page, password=PASSWORD):
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert dialog.get_by_label("User name").input_value() == "coordinator-a"
    assert not dialog.get_by_label("User name").is_editable()
    dialog.get_by_label("Password").fill(password)
    dialog.get_by_role("button", name="Log in and go on").click()


def test_typing_is_kept_and_a_reload_brings_it_back_with_added_rows(cast_here, subject, browser_page):
    page = browser_page
    enter(SITES, subject, cast_here.coordinator_a,
          {"imaging_modality": "mri", "imaging_date": "2025-08-10", "other_trial": False},
          {"sites": [{"level": level, "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
                     for level in ("T8", "T9")]})  # fmt: skip
    log_in(page, "coordinator-a")
    open_form(page, subject, "P.SITES")
    rows = page.locator("[data-rows=sites] [data-row]:visible")
    before = rows.count()
    page.get_by_role("button", name="Add a row").click()
    answer(page, SITES, f"sites-{before}-level", "L3")
    page.locator("#sites-0-row .btn-remove").click()
    assert page.locator("#sites-0-row.row-removed").count() == 1
    wait_for_draft(page)
    page.locator("[data-unsaved]").wait_for(state="hidden")
    shot(page, "draft_saved")

    page.reload()
    assert page.get_by_text("is shown; nothing of it is saved yet.").is_visible()
    assert rows.count() == before + 1
    assert page.locator("#sites-0-row.row-removed").count() == 1
    assert page.locator(f"[name=sites-{before}-level]").input_value() == "L3"
    assert page.locator("[data-error-summary]").count() == 0
    shot(page, "draft_shown")
    assert DiseaseSite.objects.count() == 2

    page.get_by_role("button", name="Discard draft").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard draft").click()
    page.get_by_text("Your draft is discarded").wait_for()
    assert rows.count() == before
    assert not Draft.objects.exists()


@UNAUTHORISED
def test_a_session_that_ends_while_typing_is_renewed_and_nothing_is_lost(cast_here, subject, browser_page):
    page = browser_page
    log_in(page, "coordinator-a")
    open_form(page, subject)
    answer(page, DEMOGRAPHICS, "height_cm", 171)
    wait_for_draft(page)
    Session.objects.all().delete()
    answer(page, DEMOGRAPHICS, "birth_date", "1961-02-03")
    answer(page, DEMOGRAPHICS, "sex", "female")
    log_in_over_the_form(page, "wrong")
    page.get_by_text("This is not your password").wait_for()
    shot(page, "renew")
    log_in_over_the_form(page)
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.locator("[name=height_cm]").input_value() == "171"
    save(page)
    stored = Demographics.objects.get()
    assert (stored.height_cm, str(stored.birth_date), stored.sex) == (171, "1961-02-03", "female")
    assert not Draft.objects.exists()


@UNAUTHORISED
def test_save_after_the_session_ended_asks_and_then_saves(cast_here, subject, browser_page):
    page = browser_page
    log_in(page, "coordinator-a")
    open_form(page, subject)
    fill(page, DEMOGRAPHICS, {"birth_date": "1961-02-03", "sex": "female", "height_cm": 171})
    wait_for_draft(page)
    page.locator("[data-unsaved]").wait_for(state="hidden")
    Session.objects.all().delete()
    page.get_by_role("button", name="Save", exact=True).click()
    log_in_over_the_form(page)
    page.wait_for_url(f"**/subjects/{subject.code}/")
    assert Demographics.objects.get().height_cm == 171


@pytest.mark.expected_console("status of 409|status of 401|status of 403")
def test_another_person_logged_in_meanwhile_saves_nothing_of_mine(cast_here, subject, browser_page):
    page = browser_page
    log_in(page, "coordinator-a")
    open_form(page, subject)
    other = page.context.new_page()
    log_in(other, "investigator-a")
    answer(page, DEMOGRAPHICS, "height_cm", 171)
    page.get_by_text("This page was opened by coordinator-a").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.locator("[name=height_cm]").input_value() == "171"
    assert not Draft.objects.exists()
    assert not Demographics.objects.exists()


def test_two_editors_get_the_choice(cast_here, subject, browser_page):
    page = browser_page
    record = enter(DEMOGRAPHICS, subject, cast_here.coordinator_a, ANSWERS)
    log_in(page, "coordinator-a")
    open_form(page, subject)
    answer(page, DEMOGRAPHICS, "height_cm", 172)
    page.get_by_label("Reason for the change").fill("measured again")
    wait_for_draft(page)
    enter(DEMOGRAPHICS, subject, cast_here.investigator_a, {**ANSWERS, "height_cm": 161, "sex": "male"},
          record=record, reason="from the passport")  # fmt: skip
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Someone else saved this form while you were filling it in.").wait_for()
    shot(page, "conflict")
    height = page.get_by_role("group", name=re.compile("Height"))
    assert height.get_by_text("Investigator A").is_visible()
    assert height.get_by_role("radio", checked=True).count() == 0
    height.get_by_role("radio", name=re.compile("172")).check()
    assert page.get_by_label("Reason for the change").input_value() == "measured again"
    page.get_by_role("button", name="Save my choice").click()
    page.wait_for_url(f"**/subjects/{subject.code}/")
    stored = Demographics.objects.get()
    assert (stored.height_cm, stored.sex, stored.row_version) == (172, "male", 3)


def test_without_the_script_the_form_still_saves(cast_here, subject, browser, live):
    context = browser.new_context(base_url=live, java_script_enabled=False)
    page = context.new_page()
    log_in(page, "coordinator-a")
    open_form(page, subject)
    fill(page, DEMOGRAPHICS, {"birth_date": "1961-02-03", "sex": "female", "height_cm": 171})
    save(page)
    context.close()
    assert Demographics.objects.get().height_cm == 171
