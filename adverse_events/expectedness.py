"""Whether an event is expected of the trial's treatment: a proposal from the protocol's list, and why."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from adverse_events.models import term_label
from spinetrial.protocol import CURRENT


@dataclass(frozen=True, slots=True)
class Proposal:
    """`why` says in words what the list holds for the term and grade."""

    unexpected: bool
    why: str


def propose(code: str, grade: int) -> Proposal:
    """What the list of expected reactions says of a CTCAE code and grade. Death is never expected."""
    worst = CURRENT.expected_grade(code)
    words = {"term": term_label(code), "grade": worst, "version": CURRENT.version}
    if worst is None:
        return Proposal(True, _("%(term)s is not on the list of expected reactions (protocol %(version)s).") % words)
    if grade > worst:
        text = _("%(term)s is expected up to grade %(grade)s only (protocol %(version)s).") % words
        return Proposal(True, text)
    return Proposal(False, _("%(term)s is expected up to grade %(grade)s (protocol %(version)s).") % words)
