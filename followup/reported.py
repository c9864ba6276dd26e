"""How the participant's report meets the visit form: shown beside it, offered to start from, never written into it."""

from __future__ import annotations

from typing import Any, cast

from django.urls import reverse
from django.utils.translation import gettext as _

from followup.models import (
    Channel,
    PatientAnalgesic,
    PatientReport,
    ScoreMissingReason,
    VisitMode,
    VisitStatus,
)
from spinetrial.access.gate import of_subject
from spinetrial.audit.acting import Actor
from spinetrial.crf.display import display_value
from spinetrial.crf.forms import CrfForm
from spinetrial.crf.spec import Beside, Offer
from spinetrial.protocol import CURRENT, events

_ROW = ("drug", "other_name", "route", "dose", "times", "use")


def count_rows(form: CrfForm, actor: Actor) -> None:
    """Note with the report how many analgesics it lists, so that no row can come later."""
    cast(PatientReport, form.instance).rows_given = len(form.formsets["analgesics_taken"].kept_forms())


def beside_visit(subject: Any, event: str) -> Beside:
    """The participant's answers at the questions they answer, the offer to start from them, the way to the link."""
    if not events.is_follow_up(CURRENT, event):
        return Beside()
    links = ((_("Questionnaire for the participant"), reverse("questionnaire_link", args=[subject.code, event])),)
    report = of_subject(subject, PatientReport).filter(event=event).first()
    if report is None:
        return Beside(links=links)
    rows = list(of_subject(subject, PatientAnalgesic).filter(parent=report))
    listed = "; ".join(_taken(row) for row in rows)
    hints = {
        "nrs_worst": _("The participant's own answer: %(score)s (%(day)s)")
        % {"score": report.nrs_worst, "day": report.answered_on},
        "analgesics": _("The participant's own answer: %(answer)s")
        % {"answer": listed or display_value(report, "analgesics")},
    }
    mode = VisitMode.CLINIC if report.channel == Channel.TABLET else VisitMode.PATIENT
    offer = Offer(
        text=_("The participant answered the questionnaire of this visit on %(day)s.") % {"day": report.answered_on},
        label=_("Start from the participant's answers"),
        values={
            "status": VisitStatus.DONE.value,
            "visit_date": report.answered_on,
            "mode": mode.value,
            "nrs_missing": ScoreMissingReason.PATIENT.value,
            "analgesics": report.analgesics,
        },
        rows={
            "analgesics_taken": [
                {name: getattr(row, name) for name in _ROW if getattr(row, name) not in (None, "")} for row in rows
            ]
        },
    )
    return Beside(hints, links, offer)


def _taken(row: PatientAnalgesic) -> str:
    dose = "" if row.dose is None else f" {row.dose.normalize():f} {row.unit}"
    times = _("number not given") if row.times is None else f"× {row.times.normalize():f}"
    return f"{row.name}{dose} {times}"
