"""In a browser, by keyboard alone: a term by its class, the texts beside the grades, no grade that does not exist."""

import re

from adverse_events import catalogue
from adverse_events.crfs import ADVERSE_EVENT
from tests.adverse_events.test_ctcae_load import CSV, WHY
from tests.cast import make_cast
from tests.followup.helpers import registered
from tests.journey.steps import Clock, freeze, log_in
from tests.journey.test_accessibility import grave


def test_a_term_is_chosen_by_its_class_and_graded_by_its_texts(committed_db, monkeypatch, browser_page):
    cast, page = make_cast(), browser_page
    freeze(monkeypatch, Clock())
    catalogue.do_load(cast.data_manager, CSV, WHY)
    subject = registered(cast.coordinator_a, cast.site_a)
    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{subject.code}/{ADVERSE_EVENT.code}/new/edit/")
    picker = page.get_by_role("combobox", name=re.compile("CTCAE term"))
    picker.focus()
    picker.press("ArrowDown")
    first = page.get_by_role("group", name="Expected in this trial").get_by_role("option").first
    first.wait_for()
    assert grave(page) == []
    picker.press("ArrowUp")  # from the top to the last: the class of vessels
    assert page.locator("[aria-selected=true]").inner_text().startswith("Vascular disorders")
    picker.press("Enter")
    page.get_by_role("option", name=re.compile("^Flushing")).wait_for()
    for _down in range(4):
        picker.press("ArrowDown")
    picker.press("Enter")
    grades = page.get_by_role("group", name=re.compile("CTCAE grade"))
    grades.get_by_text("invented 1 ≥ of Flushing").wait_for()
    assert picker.input_value() == "Flushing"
    assert [radio.is_disabled() for radio in grades.get_by_role("radio").all()] == [False] * 3 + [True] * 2
    assert grades.get_by_role("radio", name="5 not defined for this term").count() == 1
    assert grave(page) == []
    # another term, typed: its own grades at once
    picker.fill("spinal cord comp")
    page.get_by_role("option", name=re.compile("^Spinal cord compression")).wait_for()
    picker.press("Enter")
    grades.get_by_text("invented 3 ≥ of Spinal cord compression").wait_for()
    assert [radio.is_disabled() for radio in grades.get_by_role("radio").all()] == [True] * 2 + [False] * 3
