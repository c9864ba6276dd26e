"""Tables of adverse events, by what they are about."""

from adverse_events.models.event import (
    ACUTE_DAYS,
    CLOCK_LABELS,
    CRITERIA,
    ENDED,
    PHASE_LABELS,
    RELATED,
    Action,
    AdverseEvent,
    ClockState,
    Outcome,
    Phase,
    Relation,
    check_ctcae_code,
    term_label,
)
from adverse_events.models.report import MissedDeadline, MissReason, ReportKind, SaeReport

__all__ = [
    "ACUTE_DAYS",
    "CLOCK_LABELS",
    "CRITERIA",
    "ENDED",
    "PHASE_LABELS",
    "RELATED",
    "Action",
    "AdverseEvent",
    "ClockState",
    "MissReason",
    "MissedDeadline",
    "Outcome",
    "Phase",
    "Relation",
    "ReportKind",
    "SaeReport",
    "check_ctcae_code",
    "term_label",
]
