"""Answers for adverse events."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.facts import canonical, digest, facts_of
from adverse_events.models import AdverseEvent, ReportKind, SaeReport
from adverse_events.reports import do_record_sending, do_sign_report
from patients.models import Subject
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from tests.followup.helpers import noon

CHINA = ZoneInfo("Asia/Shanghai")
SPINAL_FRACTURE, MYELITIS, DERMATITIS, FATIGUE = "10041569", "10028524", "10061103", "10016256"
OTHER_CARDIAC = "10007541"

EVENT = {
    "verbatim": "tired",
    "ctcae_code": FATIGUE,
    "grade": 1,
    "onset_date": date(2025, 9, 20),
    "outcome": "ongoing",
    "relation_radiotherapy": "possible",
    "relation_disease": "unlikely",
    "relation_systemic": "unrelated",
    "relation_other": "unrelated",
    "action": "none",
    "treated": False,
}
AWARE = datetime(2025, 10, 1, 9, 30, tzinfo=CHINA)
SERIOUS = {"sae_hospital": True, "aware_at": AWARE, "unexpected": False}
FATAL = {
    "ctcae_code": MYELITIS,
    "grade": 5,
    "sae_death": True,
    "outcome": "fatal",
    "end_date": date(2025, 10, 1),
    "aware_at": AWARE,
    "unexpected": True,
}


def event(
    subject: Subject,
    actor: User,
    *,
    on: date = date(2025, 12, 1),
    record=None,
    explain: str = "seen before",
    periods=(),
    explanations=None,
    **changes,
) -> AdverseEvent:
    """Enter or change an adverse event by the road of the screen.

    `periods`: (from date, grade) each; `explain`: why expectedness is not as listed.
    """
    with at(noon(on)):
        return enter(
            ADVERSE_EVENT,
            subject,
            actor,
            {**EVENT, **changes},
            {"periods": [{"from_date": day, "grade": grade} for day, grade in periods]},
            record=record,
            explanations={**({"ae_expectedness_differs": explain} if explain else {}), **(explanations or {})},
            reason="correction" if record else "",
        )


def again(record: AdverseEvent) -> AdverseEvent:
    """The event as the database has it, with the times of its reports."""
    return AdverseEvent.objects.select_related("subject__site").get(pk=record.pk)


def signed(record: AdverseEvent, investigator: User, when: datetime, **more) -> SaeReport:
    """The next version, signed at `when` by somebody who saw the event as it is."""
    record = again(record)
    first = not SaeReport.objects.filter(event=record).exists()
    kind = more.pop("kind", ReportKind.INITIAL if first else ReportKind.FOLLOW_UP)
    with at(when):
        seen = more.pop("seen", digest(canonical(facts_of(record))))
        return do_sign_report(investigator, record, seen=seen, kind=kind, certify=True, **more)


def sent(record: AdverseEvent, investigator: User, when: datetime, **more) -> SaeReport:
    """A version signed at `when` and sent to the sponsor at once."""
    report = signed(record, investigator, when, **more)
    with at(when):
        return do_record_sending(investigator, report, {"submitted_at": when})
