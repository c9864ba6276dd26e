"""Words for the states of events and subjects, the same on every screen."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.crf.state import State
from spinetrial.protocol.schedule import VISIT_STATE_LABELS, VisitState
from spinetrial.worklists.overview import EventCell

_FORM_STATES = {
    State.EMPTY: gettext_lazy("Nothing entered"),
    State.PARTIAL: gettext_lazy("Partly entered"),
    State.COMPLETE: gettext_lazy("Complete"),
    State.HAS_QUERY: gettext_lazy("Open query"),
    State.ANSWERED: gettext_lazy("Answered query"),
    State.VERIFIED: gettext_lazy("Verified"),
    State.SIGNED: gettext_lazy("Signed"),
    State.FROZEN: gettext_lazy("Frozen"),
    State.LOCKED: gettext_lazy("Locked"),
}
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
    """A visit state or form state in words."""
    if state in _FORM_STATES:
        return str(_FORM_STATES[State(state)])
    return _(VISIT_STATE_LABELS[VisitState(state)])


def cell_words(cell: EventCell) -> str:
    """The state of an event, and of a visit also where it stands in the schedule unless the state says so already."""
    word = state_word(cell.state)
    if cell.timing in (VisitState.MISSED, VisitState.DONE_OUT_OF_WINDOW) and str(cell.timing) != str(cell.state):
        word = f"{word} · {state_word(cell.timing)}"
    return word
