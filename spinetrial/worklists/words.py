"""Words for the states of events and subjects, the same on every screen."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.analysis.overview import EventCell
from spinetrial.crf.state import STATE_LABELS
from spinetrial.protocol.schedule import VISIT_STATE_LABELS, VisitState

_WORDS = {str(state): words for labels in (VISIT_STATE_LABELS, STATE_LABELS) for state, words in labels.items()}
STAGES = {
    "screening": gettext_lazy("In screening"),
    "failed": gettext_lazy("Screen failure"),
    "eligible": gettext_lazy("Eligible"),
    "randomised": gettext_lazy("Randomised"),
    "treated": gettext_lazy("In follow-up"),
    "dead": gettext_lazy("Dead"),
    "ended": gettext_lazy("Follow-up ended"),
}


def state_word(state: str) -> str:
    """A State, or a visit's place in the schedule, in words."""
    return _(_WORDS[state])


def cell_words(cell: EventCell) -> str:
    """The state of an event, and of a visit also where it stands in the schedule unless the state says so already."""
    word = state_word(cell.state)
    if cell.timing in (VisitState.MISSED, VisitState.DONE_OUT_OF_WINDOW) and str(cell.timing) != str(cell.state):
        word = f"{word} · {state_word(cell.timing)}"
    return word
