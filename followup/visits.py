"""The follow-up visits of subjects: the protocol's plan met with what was recorded.

Matrix, worklist, subject page, reminders and analysis all take the state of a visit from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from django.db.models import Model, QuerySet

from followup.models import Imaging, Visit, VisitStatus
from patients.milestones import dates
from patients.models import Milestones, Subject
from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.model import Anchor
from spinetrial.protocol.schedule import (
    MilestoneDates,
    PlannedVisit,
    VisitState,
    add_months,
    planned_visits,
    visit_state,
)

M = TypeVar("M", bound=Model)

#: Months of the last visit a code can name (`spinetrial.protocol.events`).
LAST_MONTH = 360


@dataclass(frozen=True, slots=True)
class SubjectVisit:
    """One follow-up visit of one subject. `actual` is the date it took place; ids are None where no form exists.

    An unscheduled visit may be imaging alone: its date is then that of the imaging.
    """

    subject_id: int
    planned: PlannedVisit
    state: VisitState
    actual: date | None
    visit_id: int | None
    imaging_id: int | None
    died_before: bool  # dead before the visit was due

    @property
    def event(self) -> str:
        return self.planned.code

    @property
    def is_open(self) -> bool:
        """Whether the visit waits to be done: its due date has come and no form says what happened."""
        return self.state in (VisitState.DUE, VisitState.OVERDUE)


def expected_visits(subject: Subject, today: date) -> list[SubjectVisit]:
    """The visits of one subject obtained through the gate, in order, as of `today` at the site.

    Visits that were recorded but are no longer planned (after a corrected death or treatment date) are in it, and
    the unscheduled ones, after the others.
    """
    return _expected([subject], {subject.pk: today})[subject.pk]


def expected_visits_of(subjects: Sequence[Subject]) -> dict[int, list[SubjectVisit]]:
    """The visits of many subjects obtained through the gate, by subject id, as of today at their sites.

    Three queries whatever the number of subjects, plus one per site that is not loaded (`select_related("site")`).
    """
    return _expected(subjects, {subject.pk: subject.site.today() for subject in subjects})


def _expected(subjects: Sequence[Subject], today: dict[int, date]) -> dict[int, list[SubjectVisit]]:
    ids = list(today)
    milestones = {row.subject_id: dates(row) for row in rows_of(Milestones, ids)}
    visits: dict[int, dict[str, Visit]] = defaultdict(dict)
    for visit in rows_of(Visit, ids):
        visits[visit.subject_id][visit.event] = visit
    imaging: dict[int, dict[str, Imaging]] = defaultdict(dict)
    for row in rows_of(Imaging, ids).only("subject_id", "event", "imaging_date"):
        imaging[row.subject_id][row.event] = row
    return {
        subject.pk: _of_one(
            subject.pk, milestones[subject.pk], visits[subject.pk], imaging[subject.pk], today[subject.pk]
        )
        for subject in subjects
    }


def rows_of(model: type[M], subject_ids: list[int]) -> QuerySet[M]:
    """Rows of subjects that the caller obtained through the gate. Not for models that reveal the arm."""
    return list_records(SYSTEM, model, "crf.view").filter(subject__in=subject_ids)


def _of_one(
    subject_id: int,
    milestones: MilestoneDates,
    visits: dict[str, Visit],
    imaging: dict[str, Imaging],
    today: date,
) -> list[SubjectVisit]:
    plan = {planned.code: planned for planned in planned_visits(CURRENT, milestones, today)}
    for event in {*visits, *imaging} - set(plan):
        plan[event] = unplanned_visit(milestones, event)
    found = []
    for event in sorted(plan, key=lambda code: events.event_order(CURRENT, code)):
        visit, image = visits.get(event), imaging.get(event)
        actual = visit.visit_date if visit else None
        if actual is None and image is not None and plan[event].unscheduled:
            actual = image.imaging_date
        due = plan[event].due
        missed = visit is not None and visit.status == VisitStatus.MISSED
        found.append(
            SubjectVisit(
                subject_id=subject_id,
                planned=plan[event],
                state=visit_state(plan[event], actual, missed, today),
                actual=actual,
                visit_id=visit.pk if visit else None,
                imaging_id=image.pk if image else None,
                died_before=milestones.death is not None and (due is None or milestones.death <= due),
            )
        )
    return found


def plan_of(milestones: MilestoneDates, event: str, today: date) -> PlannedVisit:
    """The planned visit of one event, also when the schedule has not reached it or no longer holds it.

    Raises ValueError for a code that is no follow-up visit.
    """
    for planned in planned_visits(CURRENT, milestones, today):
        if planned.code == event:
            return planned
    return unplanned_visit(milestones, event)


def unplanned_visit(milestones: MilestoneDates, event: str) -> PlannedVisit:
    """A visit outside the subject's plan: dated where its anchor is known, and not expected.

    Raises ValueError for a code that is no follow-up visit.
    """
    if not events.is_follow_up(CURRENT, event):
        raise ValueError(f"{event!r} is no follow-up visit")
    number, beside = events.unscheduled_number(CURRENT, event), CURRENT.unscheduled
    if number is not None and beside is not None:
        return _without_dates(event, beside.label, number, Anchor.RT_END, unscheduled=True)
    start = milestones.rt_end or milestones.randomized
    if start is not None:
        # As if follow-up had never ended and its last nameable visit had come.
        endless = replace(milestones, death=None, end_of_followup=None)
        for planned in planned_visits(CURRENT, endless, add_months(start, LAST_MONTH)):
            if planned.code == event:
                return replace(planned, expected=False)
    rule = next((rule for rule in CURRENT.visits if rule.code == event), None)
    repeating = CURRENT.repeating
    if rule is not None:
        return _without_dates(event, rule.label, rule.number, rule.anchor)
    if repeating is None:
        raise ValueError(f"{event!r} is no follow-up visit")
    return _without_dates(event, repeating.label, int(event.removeprefix(repeating.code_prefix)), repeating.anchor)


def _without_dates(event: str, label: str, number: int, anchor: Anchor, *, unscheduled: bool = False) -> PlannedVisit:
    return PlannedVisit(
        code=event,
        label=label,
        number=number,
        due=None,
        opens=None,
        closes=None,
        anchor_name=anchor,
        anchor_date=None,
        expected=False,
        unscheduled=unscheduled,
    )
