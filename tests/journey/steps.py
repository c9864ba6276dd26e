"""What a person does on the pages, for the browser tests. Values go in by the control a person would use."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, timedelta

from django.db import models

from patients.crfs import SCREENING
from spinetrial.audit import clock as audit_clock
from spinetrial.crf.registry import get_spec
from spinetrial.crf.spec import CrfSpec
from tests.cast import PASSWORD

DAY = date(2026, 1, 5)  # a Monday


class Clock:
    """The process-wide clock of the server's threads; `clock.now` reads it through the module's datetime."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)

    def to(self, day: date) -> None:
        """Ten in the morning of that day in China."""
        self.moment = datetime(day.year, day.month, day.day, 2, 0, tzinfo=UTC)

    def tick(self) -> None:
        self.moment += timedelta(minutes=1)


def freeze(monkeypatch, clock: Clock) -> None:
    """Make every thread of this process read `clock`; a ContextVar of the test would not reach the server's."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return clock.moment.astimezone(tz)

    monkeypatch.setattr(audit_clock, "datetime", Frozen)


def log_in(page, username: str) -> None:
    page.goto("/login/")
    leave = page.get_by_role("button", name="Log out")
    if leave.count():
        leave.click()
        page.goto("/login/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login/" not in url)


def named(words: str, row: int | None = None) -> re.Pattern[str]:
    """Accessible name of a control: the question, perhaps its unit and the mark of a required one, and the row."""
    tail = f", row {row}" if row else ""
    return re.compile(rf"^\s*{re.escape(words)}( \([^()]*\))?\s*(\*|\(required\)|\s)*{tail}\s*$")


def _question(spec: CrfSpec, name: str) -> tuple[models.Field, re.Pattern[str]]:
    """Model field and accessible name of an item ("nrs_worst") or of an item of a row ("sites-0-level")."""
    key, _, rest = name.partition("-")
    for group in spec.rows:
        if rest and group.key == key:
            number, item = rest.split("-")
            field = group.model._meta.get_field(item)
            return field, named(str(field.verbose_name), int(number) + 1)
    field = spec.model._meta.get_field(name)
    return field, named(str(field.verbose_name))


def _words(field: models.Field, value) -> str:
    """The answer as the screen words it."""
    for stored, label in field.choices or ():
        if str(stored) == str(value):
            return str(label)
    return str(value)


def answer(page, spec: CrfSpec, name: str, value) -> None:
    """Give one answer, finding the control as assistive technology does: by role and accessible name."""
    field, label = _question(spec, name)
    radios = page.get_by_role("group", name=label)
    if radios.count():
        words = re.compile(rf"^{re.escape(_words(field, value))}(, .*pain.*)?$")
        radios.get_by_role("radio", name=words).check()
        return
    control = page.get_by_label(label).and_(page.locator("input, select, textarea"))  # not the list of a combobox
    if value is True:
        control.check()
    elif control.get_attribute("role") == "combobox":
        words = _words(field, value)
        control.fill(words.partition(" (")[0])
        page.get_by_role("option", name=re.compile(f"^{re.escape(words)}")).click()
    elif control.evaluate("element => element.type") == "select-one":
        control.select_option(label=_words(field, value))
    else:
        control.fill(str(value))


def fill(page, spec: CrfSpec, values: dict) -> None:
    for name, value in values.items():
        answer(page, spec, name, value)


def save(page) -> None:
    with page.expect_navigation():  # the draft is saved first, then the form is sent
        page.get_by_role("button", name="Save", exact=True).click()
    problems = page.locator(".error-summary, .field-error")
    assert problems.count() == 0, " | ".join(problems.all_inner_texts())


def shot(page, name: str) -> None:
    """A picture of the step, when JOURNEY_PICTURES names a folder."""
    if folder := os.environ.get("JOURNEY_PICTURES"):
        page.screenshot(path=f"{folder}/journey_{name}.png", full_page=True)


def enter(page, subject: str, code: str, values: dict, key: str = "form") -> None:
    page.goto(f"/subjects/{subject}/{code}/{key}/edit/")
    fill(page, get_spec(code), values)
    shot(page, f"{code}_{key}")
    save(page)


def register(page, name: str) -> str:
    page.goto("/worklist/")
    page.get_by_role("link", name="New participant").click()
    page.get_by_label(named("Name")).fill(name)
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/subjects/*-*/")
    return page.url.rstrip("/").rsplit("/", 1)[1]


def status(day: date, ecog: int = 1) -> dict:
    """Answers of P.STATUS of a person without exclusions but perhaps the ECOG status."""
    return {
        "assessed_on": str(day),
        "ecog": ecog,
        "kps": 80 if ecog == 1 else 60,
        "neurology": "e",
        "systolic_mmhg": "128",
        "diastolic_mmhg": "76",
        "hypertension": "False",
        "diabetes": "False",
        "myocardial_infarction": "False",
        "myocardial_ischaemia": "False",
        "nyha": "0",
        "ecg_done": "True",
        "qtc_ms": "420",
        "qtc_formula": "fridericia",
        "infection_grade": "0",
        "unhealed_wound": "False",
        "pregnancy_test": "not_applicable",
    }


def baseline(page, subject: str, day: date) -> None:
    """Consent and every baseline form of a person without exclusions."""
    enter(
        page,
        subject,
        "P.CONSENT",
        {
            "version": "1.0",
            "signed_at": f"{day}T09:30",
            "signer": "patient",
            "obtained_by": "Dr Wang",
            "willing_follow_up": "True",
        },
        key="new",
    )
    enter(page, subject, "P.DM", {"birth_date": "1961-05-04", "sex": "female", "height_cm": "162"})
    enter(
        page,
        subject,
        "P.TUMOUR",
        {
            "site": "breast",
            "tumour_class": "solid",
            "diagnosed_on": "2022-03-01",
            "stage": "4",
            "visceral_metastases": "False",
            "pathology_confirmed": "True",
            "pathology_of": "primary",
            "pathology_date": "2022-03-10",
        },
    )
    enter(
        page,
        subject,
        "P.SITES",
        {
            "imaging_modality": "mri",
            "imaging_date": str(day - timedelta(days=3)),
            "index_level": "T8",
            "escc": "1a",
            "sins_pain": "mechanical",
            "sins_alignment": "normal",
            "sins_collapse": "none",
            "sins_posterolateral": "none",
            "other_trial": "False",
            "sites-0-level": "T8",
            "sites-0-lesion": "lytic",
            "sites-0-fracture": "False",
            "sites-0-prior_rt": "False",
            "sites-0-prior_surgery": "False",
        },
    )
    enter(page, subject, "P.STATUS", status(day))
    enter(
        page,
        subject,
        "P.PAIN",
        {
            "assessed_on": str(day),
            "nrs_worst": 7,
            "analgesics": "some",
            "analgesics_taken-0-drug": "MORPHINE_PO",
            "analgesics_taken-0-dose": "30",
            "analgesics_taken-0-times": "2",
        },
    )


def confirm_eligibility(page, subject: str, day: date) -> None:
    """The investigator judges, takes the proposals and confirms."""
    page.goto(f"/subjects/{subject}/eligibility/")
    fill(
        page,
        SCREENING,
        {
            "first_procedure_on": str(day),
            "serious_chronic_disease": "False",
            "rt_contraindication": "False",
            "expected_survival_months": "12",
            "active_bleeding": "False",
            "large_vessel_tumour": "False",
            "drug_abuse": "False",
            "mental_disorder": "False",
            "other_serious_disease": "False",
        },
    )
    with page.expect_navigation():
        page.get_by_role("button", name="Answer as proposed").click()
    shot(page, "eligibility")
    with page.expect_navigation():
        page.get_by_role("button", name="Confirm eligibility").click()
