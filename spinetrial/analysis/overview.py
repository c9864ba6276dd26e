"""Where each subject stands, event by event: what matrix, worklist, subject page, trial page and readiness all show.

Everything is gathered for many subjects at once; the number of queries does not grow with them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from followup.visits import SubjectVisit, expected_visits_of
from patients.models import Milestones, Subject
from spinetrial.access.gate import AnyActor, list_records, masked
from spinetrial.crf.content import Key
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.crf.standing import Standing
from spinetrial.crf.state import NOTHING, State, Tally, not_entered, roll_up
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import VisitState
from spinetrial.review.freezes import Frozen

#: Events whose forms are entered once each, before or after the visits.
FIXED_EVENTS = ("SCR", "BL", "RAND", "RT", "EOS")


@dataclass(frozen=True)
class EventCell:
    """One event of one subject: a cell of the matrix. `timing`, `due` and `closes` are set for follow-up visits.

    `blank`: the state of those of its forms that nobody has entered.
    """

    event: str
    tally: Tally
    done: int
    expected: int
    blank: State
    timing: VisitState | None = None
    due: date | None = None
    closes: date | None = None

    @property
    def state(self) -> State:
        return self.tally.state

    @property
    def queries(self) -> int:
        return self.tally.queries


@dataclass(frozen=True)
class Overview:
    """One subject. `entered` counts records per CRF (follow-up forms: see `visits`).

    `forms` holds the tally of each record the reader may see, by CRF and number, `events` where it belongs; `any_time`
    adds up those of no event.
    """

    subject: Subject
    milestones: Milestones
    entered: Counter[str]
    visits: list[SubjectVisit]
    cells: dict[str, EventCell]
    forms: dict[Key, Tally]
    events: dict[Key, str]
    any_time: Tally
    frozen: Frozen

    @property
    def tally(self) -> Tally:
        """The whole participant."""
        return roll_up([self.any_time, *(cell.tally for cell in self.cells.values())])

    @property
    def columns(self) -> dict[str, EventCell]:
        """The cells with those of the unscheduled visits added up into one, as a table of many participants needs."""
        found = {event: cell for event, cell in self.cells.items() if not events.is_unscheduled(CURRENT, event)}
        beside = [cell for event, cell in self.cells.items() if event not in found]
        if not beside:
            return found
        whole = events.all_unscheduled(CURRENT)
        found[whole] = EventCell(
            whole,
            roll_up([cell.tally for cell in beside]),
            sum(cell.done for cell in beside),
            sum(cell.expected for cell in beside),
            State.NOT_EXPECTED,
            VisitState.DONE,
        )
        return found

    @property
    def at_visits(self) -> set[tuple[str, str]]:
        """CRF and event of every record."""
        return {(code, event) for (code, _pk), event in self.events.items()}

    @property
    def screen_failure(self) -> bool:
        return self.milestones.not_eligible_on is not None and self.milestones.randomized_on is None

    @property
    def stage(self) -> str:
        """screening, failed, eligible, randomised, treated, dead or ended: the latest step that holds."""
        row = self.milestones
        if self.screen_failure:
            return "failed"
        if row.death_date:
            return "dead"
        if row.followup_ended_on:
            return "ended"
        if row.rt_completed:
            return "treated"
        if row.randomized_on:
            return "randomised"
        return "eligible" if row.eligible_on else "screening"


def expected_specs(event: str) -> list[CrfSpec]:
    """The CRFs every subject is expected to have at one of FIXED_EVENTS."""
    return [spec for spec in all_specs() if spec.event == event and spec.keeping is not Keeping.PER_EVENT]


def visit_specs() -> list[CrfSpec]:
    """The CRFs every follow-up visit is expected to have."""
    return [spec for spec in all_specs() if spec.keeping is Keeping.PER_EVENT and spec.expected]


def unexpected_forms(row: Overview, event: str) -> list[tuple[CrfSpec, int]]:
    """CRFs nobody waits for that a follow-up visit has all the same, each with the number of its record."""
    specs = {spec.code: spec for spec in all_specs() if spec.keeping is Keeping.PER_EVENT and not spec.expected}
    return [(specs[code], pk) for (code, pk), where in row.events.items() if code in specs and where == event]


def overviews(actor: AnyActor, subjects: Sequence[Subject]) -> list[Overview]:
    """Where the subjects stand; they were obtained through the gate, with `select_related("site")`.

    Forms that reveal the arm are left out for an actor from whom it is kept.
    """
    ids = [subject.pk for subject in subjects]
    see_arm = not masked(actor)
    standing = Standing(ids)
    milestones = {
        row.subject_id: row for row in list_records(actor, Milestones, "subject.view").filter(subject__in=ids)
    }
    records: dict[int, list[_Record]] = defaultdict(list)
    for spec in all_specs():
        if see_arm or not spec.reveals_arm:
            for record in list_records(actor, spec.model, "crf.view").filter(subject__in=ids).order_by("pk"):
                event = getattr(record, "event", spec.event)
                records[record.subject_id].append(_Record(spec, record.pk, event, standing.of_record(spec, record)))
    visits = expected_visits_of(subjects)
    return [
        _overview(subject, milestones[subject.pk], visits[subject.pk], records[subject.pk], standing.frozen)
        for subject in subjects
    ]


@dataclass(frozen=True)
class _Record:
    spec: CrfSpec
    pk: int
    event: str
    tally: Tally


def _overview(
    subject: Subject, row: Milestones, visits: list[SubjectVisit], records: list[_Record], frozen: Frozen
) -> Overview:
    by_event: dict[str, list[Tally]] = defaultdict(list)
    for record in records:
        by_event[record.event].append(record.tally)
    entered = Counter(record.spec.code for record in records if record.spec.keeping is not Keeping.PER_EVENT)
    cells = {event: _fixed_cell(event, row, entered, by_event[event]) for event in FIXED_EVENTS}
    for visit in visits:
        cells[visit.event] = _visit_cell(visit, {r.spec.code for r in records if r.event == visit.event}, by_event)
    forms = {(record.spec.code, record.pk): record.tally for record in records}
    places = {(record.spec.code, record.pk): record.event for record in records}
    return Overview(subject, row, entered, visits, cells, forms, places, roll_up(by_event["ANY"]), frozen)


#: What a visit's place in the schedule adds to its forms.
_OF_VISIT = {VisitState.MISSED: Tally(missed=1), VisitState.DONE_OUT_OF_WINDOW: Tally(late=1)}
#: State of a form of a visit that nobody has entered, by the visit's state in the schedule.
_NOT_ENTERED = {
    VisitState.NOT_YET: State.NOT_YET,
    VisitState.IN_WINDOW: State.IN_WINDOW,
    VisitState.DUE: State.DUE,
    VisitState.OVERDUE: State.OVERDUE,
    VisitState.DONE: State.EMPTY,
    VisitState.DONE_OUT_OF_WINDOW: State.EMPTY,
    VisitState.MISSED: State.NOT_EXPECTED,
    VisitState.NOT_EXPECTED: State.NOT_EXPECTED,
}


def _visit_cell(visit: SubjectVisit, codes: set[str], by_event: dict[str, list[Tally]]) -> EventCell:
    specs = visit_specs()
    # Of an unscheduled visit nobody waits for a form: imaging alone is one, and so is a talk without imaging.
    blank = State.NOT_EXPECTED if visit.planned.unscheduled else _NOT_ENTERED[visit.state]
    lacking = [not_entered(blank) for spec in specs if spec.code not in codes]
    done = len(specs) - len(lacking)
    return EventCell(
        visit.event,
        roll_up([*by_event[visit.event], *lacking, _OF_VISIT.get(visit.state, NOTHING)]),
        done,
        done if blank is State.NOT_EXPECTED else len(specs),
        blank,
        visit.state,
        visit.planned.due,
        visit.planned.closes,
    )


def _fixed_cell(event: str, row: Milestones, entered: Counter[str], tallies: list[Tally]) -> EventCell:
    specs = expected_specs(event)
    done = sum(1 for spec in specs if entered[spec.code])
    failed = row.not_eligible_on is not None and row.randomized_on is None
    if event == "RAND":
        blank = State.NOT_EXPECTED if failed else State.DUE if row.eligible_on else State.NOT_YET
        return EventCell(event, Tally(acts=1) if row.randomized_on else not_entered(blank), 0, 0, blank)
    if event == "RT":
        return _course_cell(row, done, tallies, failed=failed)
    if failed:
        blank = State.NOT_EXPECTED  # screening stopped: nobody waits for the rest
    elif event == "EOS" and not (row.followup_ended_on or row.death_date):
        blank = State.NOT_YET
    else:
        blank = State.EMPTY
    tally = roll_up([*tallies, *[not_entered(blank)] * (len(specs) - done)])
    return EventCell(event, tally, done, done if blank is State.NOT_EXPECTED else len(specs), blank)


def _course_cell(row: Milestones, done: int, tallies: list[Tally], *, failed: bool) -> EventCell:
    """The course, told by milestones to those who may not see its form."""
    if row.fractions_given and not row.rt_completed:
        blank = State.IN_WINDOW
    elif row.never_irradiated or failed or (row.death_date and not row.rt_start):
        blank = State.NOT_EXPECTED
    else:
        blank = State.DUE if row.randomized_on else State.NOT_YET
    if row.rt_completed:
        tally = roll_up(tallies) if tallies else Tally(acts=1)
    else:
        tally = roll_up([*tallies, not_entered(blank)])  # entered from the first fraction on, done with the last
    if row.fractions_given:
        return EventCell("RT", tally, row.fractions_given, CURRENT.treatment.fractions, blank)
    return EventCell("RT", tally, done, done if blank is State.NOT_EXPECTED or row.rt_completed else 1, blank)


def matrix_events(rows: Sequence[Overview]) -> list[str]:
    """Columns of the matrix: the protocol's events, follow-up visits up to the last one any subject has.

    The unscheduled visits of a subject share one column, whose cell is in `Overview.columns`.
    """
    seen = {event for row in rows for event in row.columns} | {rule.code for rule in CURRENT.visits} | set(FIXED_EVENTS)
    return sorted(seen, key=lambda event: events.event_order(CURRENT, event))
