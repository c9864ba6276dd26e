"""The reporting clocks of a serious event: one computation for every screen, mail and list (D20)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from adverse_events.models import AdverseEvent
from spinetrial.protocol import CURRENT

#: Parts of a clock's time at which people are written to.
MARKS = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Clock:
    """One reporting limit of one event. `stopped_at`: when the report it waits for was sent, None while it runs."""

    code: str
    label: str
    start: datetime
    due: datetime
    stopped_at: datetime | None

    @property
    def running(self) -> bool:
        return self.stopped_at is None

    def missed(self, now: datetime) -> bool:
        """Whether the deadline passed without the report; up to and including its last moment it has not."""
        return (self.stopped_at or now) > self.due

    def mark_at(self, mark: int) -> datetime:
        """When `mark` per cent of the time are over."""
        return self.start + (self.due - self.start) * mark / 100

    def passed(self, now: datetime) -> list[int]:
        """The marks that are over at `now`, the earliest first; none once the clock has stopped."""
        return [mark for mark in MARKS if self.running and self.mark_at(mark) <= now]

    def countdown(self, now: datetime) -> str:
        """ "5 h 12 min left", "missed by 3 h", "sent in time" or "sent 3 h late"."""
        span = span_text(abs(self.due - (self.stopped_at or now)))
        if self.stopped_at is not None:
            return _("sent %(span)s late") % {"span": span} if self.missed(now) else _("sent in time")
        words = _("missed by %(span)s") if self.missed(now) else _("%(span)s left")
        return words % {"span": span}


def span_text(span: timedelta) -> str:
    """A stretch of time in its two largest units, whole minutes: "2 d 3 h", "5 h 12 min", "0 min"."""
    minutes = int(span.total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        text = _("%(n)d d") % {"n": days}
        return text + " " + _("%(n)d h") % {"n": hours} if hours else text
    if hours:
        text = _("%(n)d h") % {"n": hours}
        return text + " " + _("%(n)d min") % {"n": rest} if rest else text
    return _("%(n)d min") % {"n": rest}


def clocks_of(event: AdverseEvent) -> list[Clock]:
    """The clocks of an event read from the database, the earliest deadline first; none of one that is not serious.

    The sponsor's stops with the first report sent there; those of a suspected unexpected event with the first report
    sent to the authority, the one for the full report with the second.
    """
    if event.aware_at is None:
        return []
    stops = {"SPONSOR": event.reported_at, "FATAL_FOLLOW_UP": event.authority_full_at}
    return [
        Clock(
            code,
            _(CURRENT.clock(code).label),
            event.aware_at,
            due,
            stops.get(code, event.authority_at),
        )
        for code, due in event.deadlines()
    ]


def urgent_clock(event: AdverseEvent) -> Clock | None:
    """The running clock with the earliest deadline; None when nothing is waited for."""
    return next((clock for clock in clocks_of(event) if clock.running), None)


def missed_clocks(event: AdverseEvent, now: datetime) -> list[Clock]:
    """The clocks whose deadline passed without the report, also those that were met late."""
    return [clock for clock in clocks_of(event) if clock.missed(now)]


def running_clocks(events: Iterable[AdverseEvent]) -> list[tuple[AdverseEvent, Clock]]:
    """Events whose report is waited for, each with its most urgent clock, the earliest deadline first."""
    found = [(event, clock) for event in events if (clock := urgent_clock(event)) is not None]
    return sorted(found, key=lambda pair: (pair[1].due, pair[0].pk))
