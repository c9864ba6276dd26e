"""Names and order of the events of a protocol, follow-up visits without end included."""

from __future__ import annotations

from collections.abc import Callable

from spinetrial.protocol.model import Offset, Protocol
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


def offset_of(protocol: Protocol, code: str) -> Offset:
    """How long after its anchor a scheduled follow-up visit is due. Raises ValueError for any other code."""
    for rule in protocol.visits:
        if rule.code == code:
            return rule.offset
    months = _repeating_months(protocol, code)
    if months is None:
        raise ValueError(f"{code!r} is no scheduled follow-up visit")
    return Offset(months=months)


def unscheduled_number(protocol: Protocol, code: str) -> int | None:
    """Number of an unscheduled visit (U1: 1, at most 99); None for any other code."""
    rule = protocol.unscheduled
    digits = code.removeprefix(rule.code_prefix) if rule and code.startswith(rule.code_prefix) else ""
    if not (digits.isascii() and digits.isdigit()) or digits.startswith("0") or len(digits) > 2:
        return None
    return int(digits)


def unscheduled_code(protocol: Protocol, number: int) -> str:
    """Code of the unscheduled visit of that number. Raises ValueError where there can be none."""
    code = f"{protocol.unscheduled.code_prefix}{number}" if protocol.unscheduled else ""
    if unscheduled_number(protocol, code) is None:
        raise ValueError(f"no unscheduled visit {number}")
    return code


def is_scheduled(protocol: Protocol, code: str) -> bool:
    """Whether `code` names a follow-up visit of the schedule (W2, M3, M6, M12 ...): a time point of the analysis."""
    return any(rule.code == code for rule in protocol.visits) or _repeating_months(protocol, code) is not None


def is_unscheduled(protocol: Protocol, code: str) -> bool:
    """Whether `code` names a visit beside the schedule (U1, U2 ...)."""
    return unscheduled_number(protocol, code) is not None


def is_follow_up(protocol: Protocol, code: str) -> bool:
    """Whether `code` names a follow-up visit, of the schedule or beside it."""
    return is_scheduled(protocol, code) or is_unscheduled(protocol, code)


def event_order(protocol: Protocol, code: str) -> tuple[int, int]:
    """Sort key that puts events in the order of the schedule; codes of no event come last.

    Unscheduled visits follow the scheduled ones; what shows time places them by date instead. All of them together
    (the bare prefix as a code) stand where the first of them would.
    """
    for group, events in ((0, protocol.events_before_visits), (4, protocol.events_after_visits)):
        for place, event in enumerate(events):
            if event.code == code:
                return (group, place)
    for place, rule in enumerate(protocol.visits):
        if rule.code == code:
            return (1, place)
    months, number = _repeating_months(protocol, code), unscheduled_number(protocol, code)
    if months is not None:
        return (2, months)
    if number is not None:
        return (3, number)
    return (3, 0) if code == all_unscheduled(protocol) else (5, 0)


def event_title(protocol: Protocol, code: str, translate: Callable[[str], str] = gettext_noop) -> str:
    """The event's name on screen ("Baseline", "Week 2", "Unscheduled visit 1"); the code itself where it is none."""
    for event in protocol.events_before_visits + protocol.events_after_visits:
        if event.code == code:
            return translate(event.label)
    for rule in protocol.visits:
        if rule.code == code:
            return translate(rule.label) % {"number": rule.number}
    months = _repeating_months(protocol, code)
    if months is not None and protocol.repeating is not None:
        return translate(protocol.repeating.label) % {"number": months}
    if protocol.unscheduled is not None:
        if code == all_unscheduled(protocol):
            return translate(protocol.unscheduled.label_all)
        number = unscheduled_number(protocol, code)
        if number is not None:
            return translate(protocol.unscheduled.label) % {"number": number}
    return code


def all_unscheduled(protocol: Protocol) -> str:
    """The code that stands for all unscheduled visits together, as in a column; no visit has it. May be empty."""
    return protocol.unscheduled.code_prefix if protocol.unscheduled else ""
