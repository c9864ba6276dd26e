"""Words for the states of events and subjects, the same on every screen."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.protocol.schedule import VISIT_STATE_LABELS, VisitState

_FORM_STATES = {
    "empty": gettext_lazy("Nothing entered"),
    "partial": gettext_lazy("Partly entered"),
    "complete": gettext_lazy("Complete"),
    "has_query": gettext_lazy("Open query"),
    "frozen": gettext_lazy("Frozen"),
    "locked": gettext_lazy("Locked"),
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
        return str(_FORM_STATES[state])
    return _(VISIT_STATE_LABELS[VisitState(state)])
