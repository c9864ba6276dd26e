"""A signed report of a serious event as one row whose columns carry the data-element numbers of ICH E2B(R3).

No message of E2B(R3) itself: a safety database or a person takes the values over by number. `docs/e2b.md` explains
each column; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe

from adverse_events.facts import moment, regimen_text, tumour_text
from adverse_events.report_views import get_event, get_report
from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, requires
from spinetrial.access.limits import limited
from spinetrial.analysis.data import Column, Kind, Table, Value
from spinetrial.audit.acting import acting, record_event
from spinetrial.exports.csvfile import write_csv

Facts = Mapping[str, Any]

_OUTCOME = {"recovered": "1", "recovering": "2", "ongoing": "3", "sequelae": "4", "fatal": "5", "unknown": "0"}
_ACTION = {"stopped": "1", "none": "4", "interrupted": "4", "not_applicable": "9"}
_SEX = {"male": "1", "female": "2"}
#: MedDRA version in whose lowest level terms NCI wrote CTCAE 5.0.
_MEDDRA_OF_CTCAE = "20.1"


def _day(text: str | None) -> str:
    """YYYYMMDD of an ISO date."""
    return (text or "").replace("-", "")


def _stamp(text: str | None) -> str:
    """CCYYMMDDhhmmss+0000 of a time of the facts."""
    found = moment(text)
    return found.strftime("%Y%m%d%H%M%S+0000") if found else ""


def _expedited(facts: Facts) -> bool:
    related = facts["relation_radiotherapy"] in ("possible", "probable", "definite")
    return bool(related and facts["unexpected"])


def _serious(name: str) -> Callable[[Facts], Value]:
    # "true", or nothing: E2B(R3) knows no "false" here, only "no information"
    return lambda facts: "true" if facts[name] else ""


def _case(facts: Facts) -> str:
    return f"{facts['trial']}-{facts['participant']}-{facts['event']}"


def _narrative(facts: Facts) -> str:
    return "\n".join(part for part in (facts["verbatim"], facts["remarks"], facts["treatment"]) if part)


#: Data-element number, its name in E2B(R3), and its value.
ELEMENTS: tuple[tuple[str, str, Callable[[Facts], Value]], ...] = (
    ("C.1.1", "Sender's safety report unique identifier", _case),
    ("C.1.2", "Date of creation", lambda facts: _stamp(facts["signed_at"])),
    ("C.1.3", "Type of report", lambda facts: "2"),
    ("C.1.4", "Date report was first received from source", lambda facts: _stamp(facts["aware_at"])),
    ("C.1.5", "Date of most recent information for this report", lambda facts: _stamp(facts["signed_at"])),
    ("C.1.7", "Does this case fulfil the local criteria for an expedited report?",
     lambda facts: "true" if _expedited(facts) else "false"),
    ("C.5.1.r.1", "Study registration number", lambda facts: facts["trial"]),
    ("C.5.2", "Study name", lambda facts: facts["trial_title"]),
    ("C.5.4", "Study type where reaction was observed", lambda facts: "1"),
    ("D.1", "Patient (name or initials)", lambda facts: "MSK"),
    ("D.1.1.4", "Patient medical record number: investigation", lambda facts: facts["participant"]),
    ("D.2.2a", "Age at time of onset of reaction (number)", lambda facts: facts["age"]),
    ("D.2.2b", "Age at time of onset of reaction (unit)", lambda facts: "a" if facts["age"] is not None else ""),
    ("D.4", "Height (cm)", lambda facts: facts["height_cm"]),
    ("D.5", "Sex", lambda facts: _SEX.get(facts["sex"], "")),
    ("D.9.1", "Date of death", lambda facts: _day(facts["death_date"])),
    ("E.i.1.1a", "Reaction as reported by the primary source in native language", lambda facts: facts["verbatim"]),
    ("E.i.2.1a", "MedDRA version for reaction", lambda facts: _MEDDRA_OF_CTCAE),
    ("E.i.2.1b", "Reaction (MedDRA code)", lambda facts: facts["ctcae_code"]),
    ("E.i.3.2a", "Results in death", _serious("sae_death")),
    ("E.i.3.2b", "Life threatening", _serious("sae_life")),
    ("E.i.3.2c", "Caused or prolonged hospitalisation", _serious("sae_hospital")),
    ("E.i.3.2d", "Disabling or incapacitating", _serious("sae_disability")),
    ("E.i.3.2e", "Congenital anomaly or birth defect", _serious("sae_congenital")),
    ("E.i.3.2f", "Other medically important condition", _serious("sae_important")),
    ("E.i.4", "Date of start of reaction", lambda facts: _day(facts["onset_date"])),
    ("E.i.5", "Date of end of reaction", lambda facts: _day(facts["end_date"])),
    ("E.i.7", "Outcome of reaction at the time of last observation", lambda facts: _OUTCOME[facts["outcome"]]),
    ("G.k.1", "Characterisation of drug role", lambda facts: "1"),
    ("G.k.2.2", "Medicinal product name as reported by the primary source",
     lambda facts: f"External beam radiotherapy, {regimen_text(facts)}"),
    ("G.k.4.r.4", "Date and time of start of drug", lambda facts: _day(facts["rt_start"])),
    ("G.k.4.r.5", "Date and time of last administration",
     lambda facts: _day(facts["rt_end"]) if facts["rt_completed"] else ""),
    ("G.k.4.r.8", "Dosage text", regimen_text),
    ("G.k.7.r.1", "Indication as reported by the primary source",
     lambda facts: f"Painful spinal metastasis ({tumour_text(facts)})"),
    ("G.k.8", "Action taken with drug", lambda facts: _ACTION[facts["action"]]),
    ("G.k.9.i.2.r.1", "Source of assessment", lambda facts: "Investigator"),
    ("G.k.9.i.2.r.2", "Method of assessment", lambda facts: "NCI, five categories"),
    ("G.k.9.i.2.r.3", "Result of assessment", lambda facts: facts["relation_radiotherapy"]),
    ("H.1", "Case narrative", _narrative),
    ("H.2", "Reporter's comments", lambda facts: facts["comment"]),
)  # fmt: skip


def row_of(facts: Facts) -> Table:
    """The one row of a version."""
    with translation.override("en"):  # one language, whoever downloads it
        cells = tuple(value(facts) for _number, _name, value in ELEMENTS)
    columns = tuple(Column(number, name, Kind.TEXT) for number, name, _value in ELEMENTS)
    return Table("E2B_R3", "Report of a serious event, by data-element number", False, columns, (cells,))


@requires("crf.view")
@require_safe
@limited("export")
def sae_csv(request: SignedInRequest, code: str, pk: int, number: int) -> HttpResponse:
    """One version as CSV with the data-element numbers as column heads."""
    subject = get_record(request.user, Subject, "crf.view", code=code)
    event = get_event(request, subject, pk)
    report = get_report(event, number)
    content = write_csv(row_of(report.facts))
    with acting(request.user):
        record_event("data exported", subject_id=subject.pk, detail={"report": f"{event.pk}.{number}"})
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{subject.code}-sae-{event.pk}-{number}-e2b.csv"'
    return response
