"""The grid of analgesics while it is filled in: search, the OMED so far, the rows of the visit before."""

import re
from datetime import date

import pytest
from django.urls import reverse

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from followup.responses import pain_of
from patients.crfs import PAIN
from patients.pain import DRUG_SEARCH, LIVE
from spinetrial.audit.clock import at
from spinetrial.crf.models import Draft
from spinetrial.review.models import Query
from tests.cast import make_cast
from tests.followup.helpers import baseline, noon, treated, visit
from tests.journey.steps import Clock, freeze, log_in

TODAY = date(2026, 2, 1)


@pytest.fixture
def subject(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)  # worst pain 6, morphine 60 mg
    return subject


def found(client, text):
    return client.get(reverse("drug_search"), {"q": text}).json()["results"]


def counted(client, subject, rows, answer="some", event="M3"):
    data = {"analgesics": answer, "analgesics_taken-TOTAL_FORMS": str(len(rows))}
    for number, row in enumerate(rows):
        data |= {f"analgesics_taken-{number}-{name}": value for name, value in row.items()}
    answer = client.post(reverse("analgesics_live", args=[subject.code, event]), data)
    assert answer.status_code == 200
    return answer.json()


def test_both_forms_ask_the_addresses_that_exist(client, cast, subject):
    assert reverse("drug_search") == DRUG_SEARCH
    for spec in (PAIN, VISIT):
        (group,) = spec.rows
        assert (group.live, group.items[0].widget) == (LIVE, f"search:{DRUG_SEARCH}")
        key = "form" if spec is PAIN else "M3"
        client.force_login(cast.coordinator_a)
        with at(noon(TODAY)):
            page = client.get(reverse("crf_edit", args=[subject.code, spec.code, key])).content.decode()
        # a list that serves without script
        select = re.search(r'<select[^>]*name="analgesics_taken-0-drug"[^>]*>.*?</select>', page, re.DOTALL).group()
        assert f'data-search-url="{DRUG_SEARCH}"' in select
        assert '<option value="MORPHINE_PO"' in select


def test_a_drug_is_found_by_name_brand_and_initials_and_any_other_can_be_named(client, cast):
    client.force_login(cast.coordinator_a)
    for text in ("morph", "吗啡", "美施康定", "mskd"):
        assert found(client, text)[0]["value"] == "MORPHINE_PO"
    assert "吗啡" in found(client, "morph")[0]["hint"]
    *_drugs, opioid, other = found(client, " Zal\0diar ")
    assert (opioid["value"], opioid["label"], opioid["fill"]) == (
        "OTHER_OPIOID", "Other opioid: Zaldiar", {"other_name": "Zaldiar"},
    )  # fmt: skip
    assert other["label"] == "Other, not an opioid: Zaldiar"
    assert len(found(client, "x" * 500)[-1]["fill"]["other_name"]) == 80
    assert len(found(client, "")) > 40


def test_the_omed_while_typing_is_the_one_that_is_saved(client, cast, subject):
    rows = [
        {"drug": "FENTANYL_PATCH", "dose": "25", "times": "1"},
        {"drug": "OXYCODONE_PO", "dose": "5", "times": "2"},
        {"drug": "IBUPROFEN", "dose": "400", "times": "3"},
    ]
    client.force_login(cast.coordinator_a)
    said = counted(client, subject, rows)
    assert said["text"] == "OMED 75 mg/day = 60 + 15 (factor table 1)."
    assert "Opioid switch since baseline: Fentanyl, patch, Morphine, oral, Oxycodone, oral." in said["flags"]
    assert any("not opioids" in flag for flag in said["flags"])
    assert Visit.objects.count() == 0
    visit(subject, cast.coordinator_a, nrs_worst=6, analgesics="some", rows=rows)
    with at(noon(TODAY)):
        lines = [line.render() for line in pain_of([subject])[subject.pk]["M3"].omed.lines]
    assert lines == [*said["lines"], said["text"]]


def test_the_line_says_what_is_missing_and_never_fails(client, cast, subject):
    client.force_login(cast.coordinator_a)
    nothing = {"text": "", "lines": [], "flags": []}
    assert counted(client, subject, [], answer="") == nothing
    assert counted(client, subject, [{"drug": "", "dose": " "}], answer="") == nothing
    assert counted(client, subject, [], answer="none")["text"] == "None in the last 24 hours: OMED 0 mg/day."
    for dose in ("abc", "-3", "0", "NaN", "1e999999", "Infinity", "9" * 200, "１", ""):
        said = counted(client, subject, [{"drug": "MORPHINE_PO", "dose": dose, "times": "2"}])
        assert (said["text"] == "OMED unknown.") is (dose != "１"), dose
    assert counted(client, subject, [{"drug": "NOPE", "dose": "3"}])["flags"] == ["Row 1: choose a drug from the list."]
    removed = [{"drug": "MORPHINE_PO", "dose": "5", "times": "1", "DELETE": "on"}]
    assert counted(client, subject, removed, answer="") == nothing
    address = reverse("analgesics_live", args=[subject.code, "M3"])
    assert client.post(address, {"analgesics_taken-TOTAL_FORMS": "9" * 30}).json() == nothing
    assert client.put(address).status_code == 405
    assert client.get(reverse("analgesics_live", args=[subject.code, "SCR"])).status_code == 404


def test_the_rows_of_the_latest_earlier_visit_are_offered_and_nothing_is_copied_unasked(client, cast, subject):
    client.force_login(cast.coordinator_a)

    def earlier(event):
        return client.get(reverse("analgesics_live", args=[subject.code, event])).json()["earlier"]

    assert earlier("BL") is None
    assert earlier("W2")["button"] == "Copy the row of Baseline (2025-09-05)"
    rows = [{"drug": "MORPHINE_PO", "dose": "10", "times": "3"}, {"drug": "IBUPROFEN", "dose": "400"}]
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3), analgesics="some", rows=rows)
    offered = earlier("M3")
    assert offered["button"] == "Copy the 2 rows of Week 2 (2025-10-03)"
    assert [(row["drug"], row["dose"], row["times"]) for row in offered["rows"]] == [
        ("MORPHINE_PO", "10", "3"), ("IBUPROFEN", "400", ""),
    ]  # fmt: skip
    with at(noon(TODAY)):
        page = client.get(reverse("crf_edit", args=[subject.code, "F.VISIT", "M3"])).content.decode()
    assert 'value="MORPHINE_PO" selected' not in page
    assert VisitAnalgesic.objects.count() == 2


def test_an_opioid_that_is_not_listed_asks_a_query_and_others_a_note(cast, subject):
    rows = [
        {"drug": "OTHER_OPIOID", "other_name": "Zaldiar", "dose": "1", "times": "1"},
        {"drug": "OTHER_NON_OPIOID", "other_name": "Herb", "dose": "1", "times": "1"},
        {"drug": "DEZOCINE_INJ", "dose": "5", "times": "1"},
    ]
    saved = visit(subject, cast.coordinator_a, analgesics="some", rows=rows)
    (query,) = Query.objects.filter(subject=subject, item="analgesics_taken")
    assert (query.check_code, query.match) == ("analgesics_opioid_unlisted", "Zaldiar")
    from spinetrial.crf.checks import notes

    assert {(check.code, match) for check, match in notes(VISIT, saved)} >= {
        ("analgesics_unlisted", "Herb"), ("analgesics_no_factor", "Dezocine, injection"),
    }  # fmt: skip


# --- in a browser ---


def test_a_row_is_filled_by_the_keyboard_alone_and_the_page_after_an_error_counts_on(
    committed_db, monkeypatch, browser_page
):
    cast = make_cast()
    freeze(monkeypatch, Clock())
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    page, keys = browser_page, browser_page.keyboard
    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{subject.code}/F.VISIT/W2/edit/")
    offer = page.get_by_role("button", name="Copy the row of Baseline")
    offer.wait_for()
    page.get_by_role("combobox").first.focus()
    keys.type("MSKD")
    page.get_by_role("option", name="Morphine, oral").wait_for()
    for text in ("", "30", "2", "s"):  # Enter chooses the drug and goes on to the dose
        keys.type(text)
        keys.press("Enter")
    assert page.locator("#analgesics_taken-0-row [data-unit]").inner_text() == "mg"
    assert page.locator("[name=analgesics_taken-0-route]").is_hidden()
    assert page.evaluate("document.activeElement.id") == "id_analgesics_taken-1-drug"  # a row was added
    page.locator("[data-omed-total]").get_by_text("OMED 60 mg/day").wait_for()
    assert offer.is_hidden()
    keys.type("Zaldiar")
    page.get_by_role("option", name="Other opioid: Zaldiar").wait_for()
    keys.press("ArrowDown")
    keys.press("Enter")
    assert page.locator("[name=analgesics_taken-1-other_name]").input_value() == "Zaldiar"
    page.locator("[data-omed-total]").get_by_text("OMED unknown").wait_for()
    keys.press("Alt+Delete")
    assert page.locator("#analgesics_taken-1-row").is_hidden()
    page.locator("[data-omed-total]").get_by_text("OMED 60 mg/day").wait_for()

    with page.expect_navigation():
        page.get_by_role("button", name="Save", exact=True).click()
    assert page.locator("[data-error-summary]").count() == 1  # the rest of the form is not answered
    page.locator("[data-omed-total]").get_by_text("OMED 60 mg/day").wait_for()
    assert page.locator("#id_analgesics_taken-0-drug").input_value() == "Morphine, oral (mg)"
    assert Draft.objects.get().data["analgesics_taken-0-drug"] == ["MORPHINE_PO"]
