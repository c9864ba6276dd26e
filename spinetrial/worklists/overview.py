"""Where each subject stands, event by event: what matrix, worklist, subject page and lock readiness all show.

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
from spinetrial.access.models import TrialState
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.crf.state import forms_state
from spinetrial.protocol import CURRENT, events
from spinetrial.review.models import Query

#: Events whose forms are entered once each, before or after the visits.
FIXED_EVENTS = ("SCR", "BL", "RAND", "RT", "EOS")


@dataclass(frozen=True)
class EventCell:
    """One event of one subject: a cell of the matrix. `due` is set for follow-up visits with a known anchor."""

    event: str
    state: str
    done: int
    expected: int
    queries: int
    due: date | None = None
    closes: date | None = None


@dataclass(frozen=True)
class Overview:
    """One subject. `entered` counts records per CRF (follow-up forms: see `visits`)."""

    subject: Subject
    milestones: Milestones
    entered: Counter[str]
    visits: list[SubjectVisit]
    cells: dict[str, EventCell]
    queries: int

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
    """The CRFs of a follow-up visit."""
    return [spec for spec in all_specs() if spec.keeping is Keeping.PER_EVENT]


def overviews(actor: AnyActor, subjects: Sequence[Subject]) -> list[Overview]:
    """Where the subjects stand; they were obtained through the gate, with `select_related("site")`.

    Forms that reveal the arm are left out for an actor from whom it is kept.
    """
    ids = [subject.pk for subject in subjects]
    see_arm = not masked(actor)
    trial_state = TrialState.current().state
    milestones = {
        row.subject_id: row for row in list_records(actor, Milestones, "subject.view").filter(subject__in=ids)
    }
    entered: dict[int, Counter[str]] = defaultdict(Counter)
    for spec in all_specs():
        if spec.keeping is not Keeping.PER_EVENT and (see_arm or not spec.reveals_arm):
            rows = list_records(actor, spec.model, "crf.view").filter(subject__in=ids)
            for subject_id in rows.order_by().values_list("subject_id", flat=True):
                entered[subject_id][spec.code] += 1
    queries: dict[int, Counter[str]] = defaultdict(Counter)
    live = Query.State.OPEN, Query.State.ANSWERED
    # Even the number of queries on a form that shows the arm depends on what was drawn for it.
    revealing = {spec.code for spec in all_specs() if spec.reveals_arm}
    kept_from = {subject.pk for subject in subjects if masked(actor, subject.site_id)}
    for subject_id, event, code in (
        list_records(actor, Query, "subject.view")
        .filter(subject__in=ids, state__in=live)
        .order_by()
        .values_list("subject_id", "event", "spec_code")
    ):
        if not (code in revealing and subject_id in kept_from):
            queries[subject_id][event] += 1
    visits = expected_visits_of(subjects)
    return [
        Overview(
            subject=subject,
            milestones=milestones[subject.pk],
            entered=entered[subject.pk],
            visits=visits[subject.pk],
            cells=_cells(
                milestones[subject.pk], entered[subject.pk], visits[subject.pk], queries[subject.pk], trial_state
            ),
            queries=queries[subject.pk].total(),
        )
        for subject in subjects
    ]


def _cells(
    row: Milestones, entered: Counter[str], visits: list[SubjectVisit], queries: Counter[str], trial_state: str
) -> dict[str, EventCell]:
    cells: dict[str, EventCell] = {}
    failed = row.not_eligible_on is not None and row.randomized_on is None
    for event in FIXED_EVENTS:
        specs = expected_specs(event)
        done = sum(1 for spec in specs if entered[spec.code])
        state = _fixed_state(event, row, failed=failed)
        if not state:
            state = forms_state(trial_state, done=done, expected=len(specs), queries=queries[event])
            if state in ("empty", "partial") and failed:
                state = "not_expected"  # screening stopped: nobody waits for the rest
        total = len(specs) if done or state != "not_expected" else 0
        if event == "RT" and row.fractions_given:
            done, total = row.fractions_given, CURRENT.treatment.fractions
        cells[event] = EventCell(event, state, done, total, queries[event])
    per_visit = len(visit_specs())
    for visit in visits:
        done = (visit.visit_id is not None) + (visit.imaging_id is not None)
        cells[visit.event] = EventCell(
            visit.event,
            str(visit.state),
            done,
            per_visit if visit.state.value not in ("not_expected", "missed") else done,
            queries[visit.event],
            visit.planned.due,
            visit.planned.closes,
        )
    return cells


def _fixed_state(event: str, row: Milestones, *, failed: bool) -> str:
    """States that come from milestones rather than from forms; empty where the forms decide."""
    if event == "RAND":
        return "done" if row.randomized_on else "not_expected" if failed else "due" if row.eligible_on else "not_yet"
    if event == "RT":
        if row.rt_completed:
            return "done"
        if row.fractions_given:
            return "in_window"
        if row.never_irradiated or failed or (row.death_date and not row.rt_start):
            return "not_expected"
        return "due" if row.randomized_on else "not_yet"
    if event == "EOS" and not (row.followup_ended_on or row.death_date):
        return "not_expected" if failed else "not_yet"
    return ""


def matrix_events(rows: Sequence[Overview]) -> list[str]:
    """Columns of the matrix: the protocol's events, follow-up visits up to the last one any subject has."""
    seen = {event for row in rows for event in row.cells} | {rule.code for rule in CURRENT.visits} | set(FIXED_EVENTS)
    return sorted(seen, key=lambda event: events.event_order(CURRENT, event))
