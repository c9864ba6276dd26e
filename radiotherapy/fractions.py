"""Reading a course's fractions: counts, gaps, days off the treatment week, what is due next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from radiotherapy.models import Course, Ending, Fraction
from spinetrial.protocol import CURRENT
from spinetrial.protocol.schedule import fraction_days

TREATMENT_WEEKDAYS = CURRENT.treatment.weekdays


def given(rows: Sequence[Fraction]) -> list[Fraction]:
    """The fractions that were given, by date."""
    return sorted((row for row in rows if row.given), key=lambda row: (row.date, row.number))


def finished(course: Course, rows: Sequence[Fraction]) -> bool:
    """Whether the course is over after at least one fraction: every number is accounted for, or it was stopped."""
    if not given(rows):
        return False
    return course.ending == Ending.STOPPED_EARLY or len(rows) >= course.prescribed_fractions


def missed_days(earlier: date, later: date) -> int:
    """Treatment weekdays strictly between two dates."""
    between = (earlier + timedelta(days=n) for n in range(1, (later - earlier).days))
    return sum(day.weekday() in TREATMENT_WEEKDAYS for day in between)


class Deviation(StrEnum):
    GAP = "gap"
    OFF_DAY = "off_day"
    SAME_DAY = "same_day"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class FractionDeviation:
    """What is unusual about a fraction. `days`: treatment days missed before it (gap). `explained`: has a reason."""

    kind: Deviation
    number: int
    days: int
    explained: bool


def deviations(rows: Sequence[Fraction]) -> list[FractionDeviation]:
    """Gaps, fractions off the treatment week or on one day, fractions left out; in the order of the fractions.

    Public holidays are not known to the program: a holiday shows as a gap whose reason says so.
    """
    found: list[FractionDeviation] = []
    before: Fraction | None = None
    for row in sorted(rows, key=lambda row: row.number):
        explained = bool(row.gap_reason)
        if not row.given:
            found.append(FractionDeviation(Deviation.LEFT_OUT, row.number, 0, explained))
            continue
        if row.date.weekday() not in TREATMENT_WEEKDAYS:
            found.append(FractionDeviation(Deviation.OFF_DAY, row.number, 0, explained))
        if before is not None:
            days = missed_days(before.date, row.date)
            if row.date == before.date:
                found.append(FractionDeviation(Deviation.SAME_DAY, row.number, 0, explained))
            elif days:
                found.append(FractionDeviation(Deviation.GAP, row.number, days, explained))
        before = row
    return found


def next_number(course: Course, rows: Sequence[Fraction]) -> int | None:
    """The number of the fraction to come; None when the course is over or all are accounted for."""
    if course.ending != Ending.AS_PLANNED:
        return None
    taken = {row.number for row in rows}
    return next((n for n in range(1, course.prescribed_fractions + 1) if n not in taken), None)


def days_to_come(course: Course, rows: Sequence[Fraction], today: date) -> dict[int, date]:
    """Expected days of the fractions still to come, Monday to Friday; empty while there is no planned start.

    A fraction whose day has passed is expected today or on the next treatment day.
    """
    if next_number(course, rows) is None:
        return {}
    taken = {row.number for row in rows}
    open_numbers = [n for n in range(1, course.prescribed_fractions + 1) if n not in taken]
    if rows:
        start = max(row.date for row in rows) + timedelta(days=1)
    elif course.planned_start is not None:
        start = course.planned_start
    else:
        return {}
    days = fraction_days(max(start, today), len(open_numbers), TREATMENT_WEEKDAYS)
    return dict(zip(open_numbers, days, strict=True))
