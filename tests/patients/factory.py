"""Participants in screening, entered by the road of the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from patients.crfs import CONSENT, DEMOGRAPHICS, PAIN, SCREENING, SITES, STATUS, TUMOUR
from patients.eligibility import asks_answer, assess, seen_of
from patients.models import Eligibility, Subject
from patients.subjects import do_register
from spinetrial.access.models import StudySite, User
from spinetrial.audit.clock import at
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.save import enter
from spinetrial.crf.spec import CrfSpec

#: The day of these participants; first contact and consent are the day before.
DAY = date(2026, 3, 10)
BEFORE = DAY - timedelta(days=1)

VALUES: dict[str, dict[str, Any]] = {
    "P.CONSENT": {
        "version": "1.0",
        "signed_at": f"{BEFORE}T10:00",
        "signer": "patient",
        "obtained_by": "Investigator A",
        "willing_follow_up": True,
    },
    "P.DM": {"birth_date": date(1960, 5, 1), "sex": "male", "height_cm": 172},
    "P.TUMOUR": {
        "site": "lung",
        "tumour_class": "solid",
        "diagnosed_on": date(2024, 6, 1),
        "stage": "4",
        "visceral_metastases": False,
        "pathology_confirmed": True,
        "pathology_of": "primary",
        "pathology_date": date(2024, 6, 10),
        "histology": "adenocarcinoma",
    },
    "P.SITES": {
        "imaging_modality": "mri",
        "imaging_date": date(2026, 3, 2),
        "index_level": "T8",
        "escc": "0",
        "sins_pain": "mechanical",
        "sins_alignment": "normal",
        "sins_collapse": "none",
        "sins_posterolateral": "none",
        "other_trial": False,
    },
    "P.STATUS": {
        "assessed_on": DAY,
        "ecog": 1,
        "kps": 80,
        "neurology": "e",
        "systolic_mmhg": 130,
        "diastolic_mmhg": 80,
        "pulse": 72,
        "temperature": "36.6",
        "weight_kg": "65.5",
        "hypertension": False,
        "diabetes": False,
        "myocardial_infarction": False,
        "myocardial_ischaemia": False,
        "nyha": 0,
        "ecg_done": True,
        "qtc_ms": 420,
        "qtc_formula": "fridericia",
        "infection_grade": 0,
        "unhealed_wound": False,
        "pregnancy_test": "not_applicable",
    },
    "P.PAIN": {"assessed_on": DAY, "nrs_worst": 6, "analgesics": "some"},
    "P.SCREEN": {
        "first_procedure_on": DAY,
        "serious_chronic_disease": False,
        "rt_contraindication": False,
        "expected_survival_months": 9,
        "active_bleeding": False,
        "large_vessel_tumour": False,
        "drug_abuse": False,
        "mental_disorder": False,
        "other_serious_disease": False,
    },
}
VERTEBRA = {"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
MORPHINE = {"drug": "MORPHINE_PO", "dose": "30", "times": "2", "use": "scheduled"}
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "P.SITES": {"sites": [VERTEBRA]},
    "P.PAIN": {"analgesics_taken": [MORPHINE]},
}
BASELINE = {
    "consent": CONSENT,
    "demographics": DEMOGRAPHICS,
    "tumour": TUMOUR,
    "sites": SITES,
    "status": STATUS,
    "pain": PAIN,
}


def noon(day: date = DAY) -> datetime:
    """Midday in China, so that the date at the site is `day`."""
    return datetime(day.year, day.month, day.day, 4, 0, tzinfo=UTC)


@contextmanager
def on_day(day: date = DAY) -> Iterator[None]:
    """It is noon of `day` at the site, and the site's zone is current, as on every page of a subject."""
    from django.utils import timezone

    with at(noon(day)), timezone.override("Asia/Shanghai"):
        yield


def registered(actor: User, site: StudySite, name: str = "Zhang Secret") -> Subject:
    with on_day(BEFORE):
        return do_register(actor, site, BEFORE, {"name": name})


def fill(spec: CrfSpec, subject: Subject, actor: User, *, day: date = DAY, rows: Any = None, **values: Any) -> Any:
    """Enter a first record of `spec` with the values above, changed by `values`."""
    row_values = ROWS.get(spec.code, {})
    if rows is not None:
        row_values = {spec.rows[0].key: rows}
    with on_day(day):
        return enter(spec, subject, actor, {**VALUES.get(spec.code, {}), **values}, row_values)


def change(spec: CrfSpec, subject: Subject, actor: User, *, day: date = DAY, **values: Any) -> SubjectRecord:
    """Correct the one record of `spec`; its rows stay as they are."""
    record = spec.model.objects.filter(subject=subject).latest("pk")
    with on_day(day):
        stored = {item.name: getattr(record, item.name) for item in spec.items()}
        rows = {
            group.key: [
                {"id": row.pk, **{item.name: getattr(row, item.name) for item in group.items}}
                for row in group.model.objects.filter(parent=record)
            ]
            for group in spec.rows
        }
        return enter(spec, subject, actor, {**stored, **values}, rows, record=record, reason="correction")


def screened(coordinator: User, investigator: User, site: StudySite, **overrides: Mapping[str, Any] | None) -> Subject:
    """A participant with every form of screening and baseline; nothing answered or confirmed yet.

    `overrides`: changed values by form (consent, demographics, tumour, sites, status, pain, screening), e.g.
    `status={"ecog": 2}`; `sites={"rows": [...]}` replaces the rows; None leaves the form out.
    """
    subject = registered(coordinator, site)
    for name, spec in BASELINE.items():
        changed = overrides.get(name, {})
        if changed is not None:
            fill(spec, subject, coordinator, **changed)
    changed = overrides.get("screening", {})
    if changed is not None:
        fill(SCREENING, subject, investigator, rows=[], **changed)
    return subject


def answer(
    subject: Subject,
    actor: User,
    answers: Mapping[str, tuple[str, str]] | None = None,
    *,
    confirm: bool = True,
    day: date = DAY,
    **values: Any,
) -> Eligibility:
    """Answer every proposal as proposed, `answers` (code: answer and reason) otherwise, and confirm."""
    given = dict(answers or {})
    record = Eligibility.objects.filter(subject=subject).first()
    if record is None:
        record = fill(SCREENING, subject, actor, day=day, rows=[])
    with on_day(day):
        found = assess(subject)
        rows = []
        for finding in found.findings:
            stored = found.answers.get(finding.code)
            proposal = "" if finding.holds is None else ("yes" if finding.holds else "no")
            word, reason = given.get(finding.code, (proposal, ""))
            row: dict[str, Any] = {"id": stored.pk if stored else None, "criterion": finding.code}
            if asks_answer(finding) or finding.code in given:
                row |= {"answer": word, "reason": reason, "seen": seen_of(finding.code, found.facts)}
            rows.append(row)
        own = {item.name: getattr(record, item.name) for item in SCREENING.items()}
        return enter(
            SCREENING,
            subject,
            actor,
            {**own, **values, "confirmed": confirm or None},
            {"answers": rows},
            record=record,
            reason="answered",
        )
