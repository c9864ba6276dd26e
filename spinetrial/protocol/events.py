"""Names and order of the events of a protocol, follow-up visits without end included."""

from __future__ import annotations

from collections.abc import Callable

from spinetrial.protocol.model import Protocol
from spinetrial.protocol.text import gettext_noop


def _repeating_months(protocol: Protocol, code: str) -> int | None:
    rule = protocol.repeating
    digits = code.removeprefix(rule.code_prefix) if rule and code.startswith(rule.code_prefix) else ""
    # ASCII only: "M１２" of another script is not a visit. Thirty years is beyond any follow-up.
    if rule is None or not (digits.isascii() and digits.isdigit()) or digits.startswith("0") or len(digits) > 3:
        return None
    months = int(digits)
    fits = rule.first_months <= months <= 360 and (months - rule.first_months) % rule.every_months == 0
    return months if fits else None


def is_follow_up(protocol: Protocol, code: str) -> bool:
    """Whether `code` names a follow-up visit (W2, M3, M6, M12 ...)."""
    return any(rule.code == code for rule in protocol.visits) or _repeating_months(protocol, code) is not None


def event_order(protocol: Protocol, code: str) -> tuple[int, int]:
    """Sort key that puts events in the order of the schedule; codes of no event come last."""
    for group, events in ((0, protocol.events_before_visits), (3, protocol.events_after_visits)):
        for place, event in enumerate(events):
            if event.code == code:
                return (group, place)
    for place, rule in enumerate(protocol.visits):
        if rule.code == code:
            return (1, place)
    months = _repeating_months(protocol, code)
    return (2, months) if months is not None else (4, 0)


def event_title(protocol: Protocol, code: str, translate: Callable[[str], str] = gettext_noop) -> str:
    """The event's name on screen ("Baseline", "Week 2", "Month 12"); the code itself where it is no event."""
    for event in protocol.events_before_visits + protocol.events_after_visits:
        if event.code == code:
            return translate(event.label)
    for rule in protocol.visits:
        if rule.code == code:
            return translate(rule.label) % {"number": rule.number}
    months = _repeating_months(protocol, code)
    if months is not None and protocol.repeating is not None:
        return translate(protocol.repeating.label) % {"number": months}
    return code
