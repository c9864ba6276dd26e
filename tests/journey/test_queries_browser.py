"""In a browser, without a mouse: from the list to the field, reply and correct in one save, on to the next query."""

from datetime import date

import pytest

from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from spinetrial.crf.save import enter
from spinetrial.review import queries
from spinetrial.review.models import Query, QueryMessage
from tests.cast import make_cast
from tests.followup.helpers import registered
from tests.journey.steps import Clock, freeze, log_in, shot

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}


@pytest.fixture
def cast_here(committed_db, monkeypatch):
    cast = make_cast()
    freeze(monkeypatch, Clock())
    return cast


def ask(cast, item, text):
    subject = registered(cast.coordinator_a, cast.site_a)
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    return queries.raise_query(
        cast.monitor_a, subject=subject, site_id=cast.site_a.pk, spec_code="P.DM", record_id=record.pk, event="BL",
        item=item, text=text,
    )  # fmt: skip


def focused(page) -> str:
    return page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()")


def tab_to(page, name: str) -> None:
    for _press in range(60):
        if focused(page).startswith(name):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by Tab")


def test_reply_and_correct_by_keyboard_and_on_to_the_next_query(cast_here, browser_page):
    page = browser_page
    first, second = ask(cast_here, "height_cm", "Is this right?"), ask(cast_here, "sex", "And this?")
    log_in(page, "coordinator-a")
    page.goto("/queries/")
    tab_to(page, "Start with the oldest")
    page.keyboard.press("Enter")
    page.wait_for_url("**/edit/**")
    page.locator("[name=height_cm]:focus").wait_for()  # the anchor focused the field
    assert page.locator(f"#query-{first.pk}").get_attribute("open") is not None
    shot(page, "query_at_the_field")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("171")
    tab_to(page, f"query_reply_{first.pk}")
    page.keyboard.type("It was a slip.")
    tab_to(page, "form_reason")
    page.keyboard.type("slip of the pen")
    tab_to(page, "next_query")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**query={second.pk}**")
    assert page.locator(f"#query-{second.pk}").get_attribute("open") is not None
    first.refresh_from_db()
    assert (first.state, first.assignee) == (Query.State.ANSWERED, cast_here.monitor_a)
    assert Demographics.objects.get(pk=first.record_id).height_cm == 171
    assert QueryMessage.objects.get().text == "It was a slip."


def test_a_thread_unfolds_by_keyboard_and_the_monitor_closes_at_the_field(cast_here, browser_page):
    page = browser_page
    query = ask(cast_here, "height_cm", "Is this right?")
    queries.answer(cast_here.coordinator_a, query, "Yes.")
    log_in(page, "monitor-a")
    page.goto(f"/subjects/{query.subject.code}/P.DM/form/")
    thread = page.locator(f"#query-{query.pk}")
    thread.locator("summary").focus()
    page.keyboard.press("Enter")
    assert thread.get_by_text("Yes.", exact=True).is_visible()
    tab_to(page, "text")
    page.keyboard.type("Thank you.")
    page.keyboard.press("Tab")
    while focused(page) != "verb" or page.evaluate("document.activeElement.value") != "close":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    assert f"/subjects/{query.subject.code}/P.DM/form/" in page.url
    query.refresh_from_db()
    assert query.state == Query.State.CLOSED


@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_of_the_data_manager_fit(cast_here, browser_page, width):
    page = browser_page
    page.set_viewport_size({"width": width, "height": 900})
    queries.answer(cast_here.coordinator_a, ask(cast_here, "height_cm", "Is this right?"), "Yes.")
    log_in(page, "data-manager")
    for name, address in (("list", "/queries/?state=answered"), ("metrics", "/queries/metrics/"),
                          ("listing", "/queries/listing/?form=P.DM"), ("one", "/queries/1/")):  # fmt: skip
        page.goto(address)
        shot(page, f"query_{name}_{width}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
