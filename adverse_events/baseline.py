"""What a participant had before the trial, and the terms that would be no new event for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from adverse_events.models import LEVEL_TERMS, AdverseEvent
from patients.models import BaselinePain, DiseaseSite, Status
from patients.models.baseline import Neurology
from spinetrial.access.gate import of_subject
from spinetrial.terminology import ctcae

_HYPERTENSION = frozenset({"10020772"})
_SUGAR = frozenset({"10020639", "10052426"})  # hyperglycemia, glucose intolerance
_INFARCTION = frozenset({"10028596"})
_ISCHAEMIA = frozenset({"10008481"})  # cardiac chest pain
_HEART_FAILURE = frozenset({"10019279", "10069501"})  # heart failure, left ventricular systolic dysfunction
_WOUND = frozenset({"10048031", "10053692"})  # wound dehiscence, wound complication
_PAIN = frozenset({"10003988", "10006002", "10033371", "10045158"})  # back, bone, pain, tumour pain
_FRACTURE = frozenset({"10041569", "10017076"})
_NERVES = frozenset({"10041549", "10028524", "10034580", "10034620"})  # cord, myelitis, motor, sensory neuropathy
_INFECTIONS = "Infections and infestations"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition recorded at baseline. `terms`: CTCAE codes that name it; `level`: the vertebra it is about."""

    label: str
    terms: frozenset[str]
    level: str = ""

    def matches(self, event: AdverseEvent) -> bool:
        """Whether the event may be this condition again; an event without a vertebra may be at any."""
        return event.ctcae_code in self.terms and (not self.level or event.vertebra in ("", self.level))


def conditions_of(subject: Any) -> list[Condition]:
    """The conditions in the baseline forms of a subject obtained through the gate. Three queries."""
    found: list[Condition] = []
    for status in of_subject(subject, Status):
        for name, terms in (
            ("hypertension", _HYPERTENSION),
            ("diabetes", _SUGAR),
            ("myocardial_infarction", _INFARCTION),
            ("myocardial_ischaemia", _ISCHAEMIA),
            ("unhealed_wound", _WOUND),
        ):
            if getattr(status, name):
                found.append(Condition(_label(Status, name), terms))
        if status.nyha:
            found.append(Condition(f"{_label(Status, 'nyha')}: {status.get_nyha_display()}", _HEART_FAILURE))
        if status.infection_grade:
            found.append(Condition(f"{_label(Status, 'infection_grade')}: {status.infection_grade}", _infections()))
        if status.neurology and status.neurology != Neurology.E:
            found.append(Condition(f"{_label(Status, 'neurology')}: {status.get_neurology_display()}", _NERVES))
    for pain in of_subject(subject, BaselinePain):
        if pain.nrs_worst:
            found.append(Condition(_("Pain at the index site: %(score)s of 10") % {"score": pain.nrs_worst}, _PAIN))
    for row in of_subject(subject, DiseaseSite).filter(fracture=True):
        words = _("Compression fracture of %(level)s") % {"level": row.level}
        found.append(Condition(words, _FRACTURE, row.level))
    return found


def _infections() -> frozenset[str]:
    # CTCAE files myelitis under the infections too; here it is the injury of the cord by radiation.
    return frozenset(term.code for term in ctcae.terms().values() if term.soc == _INFECTIONS) - {*LEVEL_TERMS}


def _label(model: Any, name: str) -> str:
    return str(model._meta.get_field(name).verbose_name)
