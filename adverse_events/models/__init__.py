"""Tables of adverse events, by what they are about."""

from adverse_events.models.ctcae import CtcaeEdition
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
    "CtcaeEdition",
    "Outcome",
    "Phase",
    "Relation",
    "check_ctcae_code",
    "term_label",
]
