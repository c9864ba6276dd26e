"""When things are due: visits counted from milestones, and the one function that names a visit's state.

All dates are local calendar dates of the study site (D25). Months are calendar months from the anchor, the
day clamped to the end of the month (D8); they are never chained from visit to visit.
"""

import calendar
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from spinetrial.protocol.model import Anchor, Offset, Protocol, Window
from spinetrial.protocol.text import gettext_noop


class VisitState(StrEnum):
    NOT_YET = "not_yet"
    IN_WINDOW = "in_window"
    DUE = "due"
    OVERDUE = "overdue"
    DONE = "done"
    DONE_OUT_OF_WINDOW = "done_out_of_window"
    MISSED = "missed"
    NOT_EXPECTED = "not_expected"


VISIT_STATE_LABELS: dict[VisitState, str] = {
    VisitState.NOT_YET: gettext_noop("Not yet"),
    VisitState.IN_WINDOW: gettext_noop("Window open"),
    VisitState.DUE: gettext_noop("Due"),
    VisitState.OVERDUE: gettext_noop("Overdue"),
    VisitState.DONE: gettext_noop("Done"),
    VisitState.DONE_OUT_OF_WINDOW: gettext_noop("Done outside its window"),
    VisitState.MISSED: gettext_noop("Missed"),
    VisitState.NOT_EXPECTED: gettext_noop("Not expected"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneDates:
    """Dates of one subject. `rt_end` is the last fraction given and is set only once the course is over."""

    consent: date | None = None
    randomized: date | None = None
    rt_start: date | None = None
    rt_end: date | None = None
    never_irradiated: bool = False
    death: date | None = None
    end_of_followup: date | None = None  # withdrawal from follow-up, loss to follow-up or closure

    @property
    def ended(self) -> date | None:
        """The earlier of death and end of follow-up."""
        ends = [day for day in (self.death, self.end_of_followup) if day is not None]
        return min(ends) if ends else None

    def anchor(self, preferred: Anchor, fallback: Anchor) -> tuple[Anchor, date | None]:
        """The milestone visits are counted from and its date; the date is None while radiotherapy is pending.

        A fraction that was given wins over `never_irradiated`, so a contradiction cannot move visits away
        from the treatment.
        """
        dates = {Anchor.RT_END: self.rt_end, Anchor.RANDOMIZED: self.randomized}
        if dates[preferred] is None and self.never_irradiated and self.rt_start is None:
            return fallback, dates[fallback]
        return preferred, dates[preferred]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVisit:
    """One follow-up visit of one subject. Dates are None while the anchor is still to come."""

    code: str
    label: str
    number: int
    due: date | None
    opens: date | None
    closes: date | None
    anchor_name: Anchor
    anchor_date: date | None
    expected: bool  # False: due after death or end of follow-up, or beside the schedule
    unscheduled: bool = False  # beside the schedule: never due, and in no window

    def title(self, translate: Callable[[str], str] = gettext_noop) -> str:
        """The visit's name on screen: "Week 2", "Month 12"."""
        return translate(self.label) % {"number": self.number}


def add_months(day: date, months: int) -> date:
    """The same day `months` calendar months later (negative: earlier), clamped to the month's end (D8)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def completed_years(birth: date, on: date) -> int:
    """Age in completed years; 29 February counts as reached on 1 March of a common year."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def fraction_days(
    start: date, n: int = 10, weekdays: Collection[int] = (0, 1, 2, 3, 4), closed: Collection[date] = ()
) -> tuple[date, ...]:
    """Planned days of `n` fractions: one per treatment weekday (0 = Monday) from `start` on.

    Days in `closed` (holidays, machine service) are left out. Raises ValueError without a treatment weekday.
    """
    if not set(weekdays) & set(range(7)):
        raise ValueError("at least one weekday is needed")
    days: list[date] = []
    day = start
    while len(days) < n:
        if day.weekday() in weekdays and day not in closed:
            days.append(day)
        day += timedelta(days=1)
    return tuple(days)


def planned_visits(protocol: Protocol, milestones: MilestoneDates, today: date) -> tuple[PlannedVisit, ...]:
    """The follow-up visits of a subject in order; none before randomisation.

    While radiotherapy is pending the fixed visits are there without dates. Of the visits without end, all
    whose window has opened are listed and the next one, until death or end of follow-up (D9).
    """
    if milestones.randomized is None:
        return ()
    visits = [
        _planned(
            rule.code,
            rule.label,
            rule.number,
            rule.anchor,
            rule.fallback,
            rule.offset,
            rule.window,
            milestones,
        )
        for rule in protocol.visits
    ]
    if protocol.repeating is not None:
        rule = protocol.repeating
        months = rule.first_months
        while True:
            visit = _planned(
                f"{rule.code_prefix}{months}",
                rule.label,
                months,
                rule.anchor,
                rule.fallback,
                Offset(months=months),
                rule.window,
                milestones,
            )
            if visit.opens is None:
                break
            if milestones.ended is not None and visit.opens > milestones.ended:
                break
            visits.append(visit)
            if visit.opens > today:
                break
            months += rule.every_months
    return tuple(visits)


def visit_state(planned: PlannedVisit, actual: date | None, missed: bool, today: date) -> VisitState:
    """The state every screen and job shows. `actual`: the date the visit took place; `missed`: recorded so.

    A visit that took place counts even when it was not expected; one dated without any window (radiotherapy
    still pending) is outside it. An unscheduled visit has no window to be outside of.
    """
    if actual is not None:
        if planned.unscheduled:
            return VisitState.DONE
        if planned.opens is not None and planned.closes is not None and planned.opens <= actual <= planned.closes:
            return VisitState.DONE
        return VisitState.DONE_OUT_OF_WINDOW
    if missed:
        return VisitState.MISSED
    if not planned.expected:
        return VisitState.NOT_EXPECTED
    if planned.due is None or planned.opens is None or planned.closes is None or today < planned.opens:
        return VisitState.NOT_YET
    if today < planned.due:
        return VisitState.IN_WINDOW
    return VisitState.DUE if today <= planned.closes else VisitState.OVERDUE


def _planned(
    code: str,
    label: str,
    number: int,
    preferred: Anchor,
    fallback: Anchor,
    offset: Offset,
    window: Window,
    milestones: MilestoneDates,
) -> PlannedVisit:
    name, start = milestones.anchor(preferred, fallback)
    due = opens = closes = None
    if start is not None:
        due = add_months(start, offset.months) if offset.months else start + timedelta(weeks=offset.weeks)
        opens, closes = due + timedelta(days=window.opens), due + timedelta(days=window.closes)
    ended = milestones.ended
    expected = ended is None or (due is not None and due <= ended)
    return PlannedVisit(
        code=code,
        label=label,
        number=number,
        due=due,
        opens=opens,
        closes=closes,
        anchor_name=name,
        anchor_date=start,
        expected=expected,
    )
