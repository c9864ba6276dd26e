"""Answers for adverse events."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent
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
    periods=(),
    explanations=None,
    **changes,
) -> AdverseEvent:
    """Enter or change an adverse event by the road of the screen; `periods`: (from date, grade) each."""
    with at(noon(on)):
        return enter(
            ADVERSE_EVENT,
            subject,
            actor,
            {**EVENT, **changes},
            {"periods": [{"from_date": day, "grade": grade} for day, grade in periods]},
            record=record,
            explanations=explanations,
            reason="correction" if record else "",
        )
