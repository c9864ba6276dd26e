"""In a browser: a serious event from its first entry through a missed deadline to the signed final report."""

import re
from datetime import timedelta

import pytest

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent, MissedDeadline, SaeReport
from spinetrial.review.models import Query
from tests.cast import PASSWORD, make_cast
from tests.followup.helpers import treated
from tests.journey.steps import Clock, fill, freeze, log_in, named, save, shot


@pytest.fixture
def clock(monkeypatch):
    """Ten in the morning of 5 January 2026 in China."""
    made = Clock()
    freeze(monkeypatch, made)
    return made


def sign(page, button: str) -> None:
    page.get_by_role("link", name=button).click()
    page.get_by_label(named("Your password")).fill(PASSWORD)
    certify = page.locator("[name=certify]")
    if certify.count():
        certify.check()


def test_a_serious_event_from_first_entry_through_a_missed_deadline_to_the_final_report(
    committed_db, clock, browser_page
):
    page, cast = browser_page, make_cast()
    subject = treated(cast.coordinator_a, cast.site_a)

    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{subject.code}/A.AE/new/edit/")
    page.get_by_role("combobox", name=re.compile("CTCAE term")).fill("Fatigue")
    page.get_by_role("option", name=re.compile("Fatigue")).first.click()
    fill(
        page,
        ADVERSE_EVENT,
        {
            "verbatim": "so tired that she was admitted",
            "grade": 2,
            "onset_date": "2026-01-04",
            "outcome": "ongoing",
            "action": "not_applicable",
            "treated": False,
            "relation_radiotherapy": "possible",
            "relation_disease": "unlikely",
            "relation_systemic": "unrelated",
            "relation_other": "unrelated",
            "sae_hospital": True,
            "aware_at": "2026-01-05T09:00",
            "unexpected": False,
        },
    )
    page.get_by_text("Proposed: expected, so the answer is no. Fatigue is expected up to grade 2").wait_for()
    shot(page, "sae_form")
    save(page)
    event = AdverseEvent.objects.get()

    page.goto("/worklist/")
    assert "23 h left" in page.get_by_role("row", name="Report serious event").inner_text()

    clock.moment += timedelta(hours=26)  # nobody reported: noon of the next day
    log_in(page, "coordinator-a")
    page.goto("/worklist/")
    row = page.get_by_role("row", name="Report serious event")
    assert "missed by 3 h" in row.inner_text()
    row.get_by_role("link", name="Report", exact=False).last.click()
    shot(page, "sae_missed")
    page.get_by_role("link", name="Say why").click()
    page.get_by_role("radio", name="Nobody who reports was available").check()
    page.get_by_label(named("In words, and what is done so that it does not happen again")).fill("Holiday; a deputy.")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Holiday; a deputy.").wait_for()
    assert MissedDeadline.objects.get().by == cast.coordinator_a

    log_in(page, "investigator-a")
    page.goto(f"/subjects/{subject.code}/adverse-events/{event.pk}/reports/")
    sign(page, "Initial report")
    shot(page, "sae_sign")
    page.get_by_role("button", name="Sign the report").click()
    page.get_by_text("not sent yet").wait_for()

    page.get_by_role("link", name="Record sending").click()
    page.get_by_label(named("Sent to the sponsor")).fill("2026-01-06T12:00")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("sent 3 h late").wait_for()

    clock.moment += timedelta(days=10)
    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{subject.code}/A.AE/{event.pk}/edit/")
    fill(page, ADVERSE_EVENT, {"outcome": "recovered", "end_date": "2026-01-14"})
    page.locator("[name=form_reason]").fill("the event is over")
    save(page)
    page.goto(f"/subjects/{subject.code}/adverse-events/{event.pk}/reports/")
    page.get_by_role("heading", name="Changed since the last report").wait_for()

    log_in(page, "investigator-a")
    page.goto(f"/subjects/{subject.code}/adverse-events/{event.pk}/reports/")
    sign(page, "Next report")
    page.get_by_role("radio", name="Final report").check()
    page.get_by_role("button", name="Sign the report").click()
    page.get_by_role("heading", name="2. Final report").wait_for()
    shot(page, "sae_final")
    page.set_viewport_size({"width": 390, "height": 844})  # a telephone shows all of it without scrolling sideways
    for address in (f"/subjects/{subject.code}/adverse-events/{event.pk}/reports/", "/safety/reconciliation/"):
        page.goto(address)
        shot(page, f"sae_phone_{address.split('/')[-2]}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
    assert list(SaeReport.objects.order_by("number").values_list("kind", flat=True)) == ["initial", "final"]
    assert not Query.objects.filter(spec_code="A.AE").exists()
