"""What must hold before a subject is randomised, as a checklist with a way to each open item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.eligibility import check_still_eligible
from patients.milestones import milestones_of
from patients.models import BaselineAnalgesic, BaselinePain, SitesOfDisease, Status, Subject
from patients.pain import omed_of
from spinetrial.access.gate import of_subject
from spinetrial.protocol import CURRENT


@dataclass(frozen=True)
class Precondition:
    """One item of the checklist; `url` leads to where an open one is settled."""

    code: str
    text: str
    met: bool
    url: str = ""
    detail: str = ""


def open_preconditions(subject: Subject) -> tuple[Precondition, ...]:
    """The checklist of a subject obtained through the gate, met or not, from the data of this moment."""
    stones = milestones_of(subject)
    today = subject.site.today()
    sites = of_subject(subject, SitesOfDisease).first()
    status = of_subject(subject, Status).first()
    pain = of_subject(subject, BaselinePain).first()
    known = pain is not None and pain.nrs_worst is not None
    omed = omed_of(of_subject(subject, BaselineAnalgesic), pain.analgesics).total if pain else None
    days = CURRENT.baseline.ecog_days
    recent = status is not None and today - timedelta(days=days) <= status.assessed_on <= today

    def form(spec_code: str) -> str:
        return reverse("crf", args=[subject.code, spec_code, "form"])

    page: dict[str, Any] = {"url": reverse("subject", args=[subject.code])}
    return (
        Precondition("consent", _("Consent is given"), stones.consent_date is not None, **page),
        Precondition(
            "not_ended",
            _("Neither withdrawn, nor a screen failure, nor dead"),
            not any(
                (stones.not_eligible_on, stones.treatment_withdrawn_on, stones.followup_ended_on, stones.death_date)
            ),
            **page,
        ),
        Precondition("index_site", _("The index site is named"), bool(sites and sites.index_level), form("P.SITES")),
        Precondition(
            "baseline_pain",
            _("Worst pain at the index site and the analgesics of that day are known"),
            known and omed is not None,
            form("P.PAIN"),
        ),
        Precondition(
            "performance",
            _("ECOG was assessed within the last %(days)s days") % {"days": days},
            recent,
            form("P.STATUS"),
        ),
        Precondition(
            "eligibility",
            _("The investigator has confirmed the eligibility, and the data still carry it"),
            stones.eligible_on is not None and check_still_eligible(subject),
            reverse("eligibility", args=[subject.code]),
        ),
    )
