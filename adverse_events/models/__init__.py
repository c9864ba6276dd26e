"""Tables of adverse events, by what they are about."""

from adverse_events.models.event import (
    ACUTE_DAYS,
    CLOCK_LABELS,
    CRITERIA,
    ENDED,
    LEVEL_TERMS,
    PHASE_LABELS,
    RELATED,
    Action,
    AdverseEvent,
    ClockState,
    Outcome,
    Phase,
    Relation,
    check_ctcae_code,
    reporting_visits,
    term_label,
)
from adverse_events.models.grades import GradePeriod, course_of

__all__ = [
    "ACUTE_DAYS",
    "CLOCK_LABELS",
    "CRITERIA",
    "ENDED",
    "LEVEL_TERMS",
    "PHASE_LABELS",
    "RELATED",
    "Action",
    "AdverseEvent",
    "ClockState",
    "GradePeriod",
    "Outcome",
    "Phase",
    "Relation",
    "check_ctcae_code",
    "course_of",
    "reporting_visits",
    "term_label",
]
