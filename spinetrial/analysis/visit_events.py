"""Whether visits and adverse event forms tell the same: neither form can ask this of the other.

A visit asks "any adverse event, new or changed, since the last visit?". "No" is contradicted by an event that started
after the visit before it, or that is said to be reported there; "yes" needs at least one event that started, changed
its grade or ended in that time, or is said to be reported there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from adverse_events.models import AdverseEvent, GradePeriod
from followup.models import Visit
from patients.models import Milestones
from spinetrial.access.gate import AnyActor, list_records


class Contradiction(StrEnum):
    NONE_SAID = "none_said"
    NONE_ENTERED = "none_entered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a visit that took place says of adverse events; None: it does not say."""

    visit: str
    day: date
    any_event: bool | None


@dataclass(frozen=True, slots=True)
class Course:
    """An adverse event: start, the days on which something changed, and the visit it is said to be reported at."""

    event: int
    started: date
    changed: tuple[date, ...]
    visit: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A visit and the events that contradict its "no"; none for a "yes" without an event."""

    kind: Contradiction
    visit: str
    events: tuple[int, ...] = ()


def compare(answers: Iterable[Answer], courses: Collection[Course], rt_end: date | None) -> Iterator[Mismatch]:
    """The contradictions of one participant, visit by visit.

    The first visit's "no" is about the time after the last fraction, because events before it are told during
    radiotherapy; its "yes" may be about any earlier event.
    """
    before: date | None = None
    for answer in sorted(answers, key=lambda each: each.day):
        earlier, last = before, answer.day
        since, before = earlier or rt_end, last
        told = {course.event for course in courses if course.visit == answer.visit}
        new = {course.event for course in courses if since is not None and since < course.started <= last}
        if answer.any_event is False and (new | told):
            yield Mismatch(Contradiction.NONE_SAID, answer.visit, tuple(sorted(new | told)))
        if answer.any_event and not told:
            days = (day for course in courses for day in (course.started, *course.changed))
            if not any((earlier is None or earlier < day) and day <= last for day in days):
                yield Mismatch(Contradiction.NONE_ENTERED, answer.visit)


def mismatches(actor: AnyActor, subjects: Collection[int]) -> dict[int, list[Mismatch]]:
    """The contradictions of many participants (by number) at the actor's sites. Four queries."""
    answers: dict[int, list[Answer]] = defaultdict(list)
    visits = list_records(actor, Visit, "crf.view").filter(subject__in=subjects, visit_date__isnull=False)
    for subject, visit, day, said in visits.values_list("subject_id", "event", "visit_date", "ae_any"):
        if day is not None:
            answers[subject].append(Answer(visit, day, said))
    changes: dict[int, list[date]] = defaultdict(list)
    periods = list_records(actor, GradePeriod, "crf.view").filter(subject__in=subjects)
    for event, day in periods.values_list("parent_id", "from_date"):
        changes[event].append(day)
    courses: dict[int, list[Course]] = defaultdict(list)
    for row in list_records(actor, AdverseEvent, "crf.view").filter(subject__in=subjects):
        days = (*changes[row.pk], *([row.end_date] if row.end_date else []))
        courses[row.subject_id].append(Course(row.pk, row.onset_date, days, row.reported_visit))
    stones = list_records(actor, Milestones, "crf.view").filter(subject__in=answers)
    ends = dict(stones.values_list("subject_id", "rt_end"))
    found = {subject: list(compare(each, courses[subject], ends.get(subject))) for subject, each in answers.items()}
    return {subject: each for subject, each in found.items() if each}
