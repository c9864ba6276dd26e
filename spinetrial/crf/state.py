"""The state of a form, and of a visit's or event's forms together: one precedence for every screen."""

from __future__ import annotations


def form_state(trial_state: str, *, entered: bool, queries: int) -> str:
    """One of empty, has_query, locked, frozen, complete (glyphs of `templates/partials/status.html`).

    An open query outranks a freeze, because it can still be answered then; a saved form is complete, because
    saving demands every required answer.
    """
    if trial_state == "locked":
        return "locked"
    if queries:
        return "has_query"
    if not entered:
        return "empty"
    return "frozen" if trial_state == "frozen" else "complete"


def forms_state(trial_state: str, *, done: int, expected: int, queries: int) -> str:
    """The same for several forms of one event: empty while none is entered, partial while some are."""
    state = form_state(trial_state, entered=done > 0, queries=queries)
    return "partial" if state in ("complete", "frozen") and done < expected else state
