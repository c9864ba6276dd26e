"""The safety picture over all sites: worst grades by term, pooled over the arms, and the serious events' clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from adverse_events.models import AdverseEvent, ClockState, term_label
from spinetrial.terminology import ctcae

GRADES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class TermCount:
    """Participants with a term by their worst grade (D23): each counts once per term."""

    soc: str
    label: str
    by_grade: tuple[int, ...]

    @property
    def any_grade(self) -> int:
        return sum(self.by_grade)

    @property
    def severe(self) -> int:
        """Participants whose worst grade is 3 or more."""
        return sum(self.by_grade[2:])


@dataclass(frozen=True, slots=True)
class SeriousEvent:
    event: AdverseEvent
    clock: ClockState
    due: datetime | None


def worst_grades(events: Iterable[AdverseEvent]) -> dict[tuple[int, str], int]:
    """Worst grade by participant and CTCAE code (D23)."""
    worst: dict[tuple[int, str], int] = {}
    for event in events:
        key = (event.subject_id, event.ctcae_code)
        worst[key] = max(event.grade, worst.get(key, 0))
    return worst


def count_terms(events: Iterable[AdverseEvent]) -> list[TermCount]:
    """One line per term that occurred, by system organ class in NCI's order, the most frequent term first."""
    counts: dict[str, Counter[int]] = {}
    for (_subject, code), grade in worst_grades(events).items():
        counts.setdefault(code, Counter())[grade] += 1
    place = {soc: number for number, soc in enumerate(ctcae.socs())}
    lines = [
        TermCount(ctcae.get(code).soc, term_label(code), tuple(by_grade[grade] for grade in GRADES))
        for code, by_grade in counts.items()
    ]
    return sorted(lines, key=lambda line: (place[line.soc], -line.any_grade, line.label))


#: What needs a person first.
_URGENCY = {
    ClockState.OVERDUE: 0,
    ClockState.DUE: 1,
    ClockState.REPORTED_LATE: 2,
    ClockState.REPORTED: 3,
}


def serious_events(events: Iterable[AdverseEvent], now: datetime) -> list[SeriousEvent]:
    """The serious events with the state of their report at `now`: overdue first, then due, then by awareness."""
    found = [SeriousEvent(event, event.clock_state(now), event.report_due) for event in events if event.serious]
    return sorted(found, key=lambda each: (_URGENCY[each.clock], each.event.aware_at, each.event.pk))
