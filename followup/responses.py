"""Pain response of every visit: baseline and visit rows gathered, then judged by `followup.response`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from followup.models import (
    INTERVENTIONS,
    PatientAnalgesic,
    PatientReport,
    ScoreMissingReason,
    Visit,
    VisitAnalgesic,
)
from followup.response import NeReason, Reading, Response, Score, respond, score_that_counts
from followup.visits import SubjectVisit, expected_visits, expected_visits_of, rows_of
from patients.models import AnalgesicItems, BaselineAnalgesic, BaselinePain, Subject
from patients.pain import intakes, omed_answered
from spinetrial.protocol.schedule import VisitState
from spinetrial.terminology.opioids import FactorTable, Intake, Omed, opioid_switch

#: A visit in one of these states without a form has no response yet: it may still come.
_STILL_TO_COME = (VisitState.NOT_YET, VisitState.IN_WINDOW, VisitState.DUE)


@dataclass(frozen=True, slots=True)
class PainAtVisit:
    """What the response of one visit rests on: pain 0-10, OMED with its working, and why something is missing.

    `switched`: opioids taken at only one of baseline and visit, where the change of OMED carries factor error (D22).
    `score` says whose score `pain` is; `assessed` is the day it was given.
    """

    visit: SubjectVisit
    baseline_pain: int | None
    baseline_omed: Omed
    pain: int | None
    omed: Omed
    intervention: bool
    missing: NeReason | None
    switched: tuple[str, ...]
    score: Score
    assessed: date | None
    baseline_answer: str = ""  # AnalgesicStatus, or "" without a form
    baseline_taken: tuple[Intake, ...] = ()
    answer: str = ""
    taken: tuple[Intake, ...] = ()

    def under(self, table: FactorTable) -> PainAtVisit:
        """The same answers counted by another factor table."""
        return replace(
            self,
            baseline_omed=omed_answered(self.baseline_taken, self.baseline_answer, table),
            omed=omed_answered(self.taken, self.answer, table),
        )

    def response(self, reading: Reading = Reading.LITERAL) -> Response:
        """The category by the given reading of "increase in analgesics" (D1)."""
        return respond(
            self.baseline_pain,
            self.baseline_omed.total,
            self.pain,
            self.omed.total,
            reading,
            intervention=self.intervention,
            missing=self.missing,
        )


def pain_of(
    subjects: Sequence[Subject], visits: dict[int, list[SubjectVisit]] | None = None
) -> dict[int, dict[str, PainAtVisit]]:
    """Pain of every visit that is recorded or can no longer come, by subject id and event.

    The subjects were obtained through the gate. `visits`: what `expected_visits_of` gave for them, where the caller
    has it. Nine queries whatever their number, six with the visits.
    """
    return _gather(subjects, expected_visits_of(subjects) if visits is None else visits)


def responses_of(subject: Subject, reading: Reading = Reading.LITERAL) -> dict[str, Response]:
    """The response of each visit of one subject that is recorded or can no longer come; NE with its reason."""
    pain = _gather([subject], {subject.pk: expected_visits(subject, subject.site.today())})[subject.pk]
    return {event: at_visit.response(reading) for event, at_visit in pain.items()}


def responses_of_many(
    subjects: Sequence[Subject], reading: Reading = Reading.LITERAL
) -> dict[int, dict[str, Response]]:
    """`responses_of` for many subjects by subject id, in a constant number of queries."""
    return {
        subject_id: {event: at_visit.response(reading) for event, at_visit in pain.items()}
        for subject_id, pain in pain_of(subjects).items()
    }


def _gather(subjects: Sequence[Subject], visits: dict[int, list[SubjectVisit]]) -> dict[int, dict[str, PainAtVisit]]:
    ids = [subject.pk for subject in subjects]
    baselines = {row.subject_id: row for row in rows_of(BaselinePain, ids)}
    baseline_drugs: dict[int, list[BaselineAnalgesic]] = defaultdict(list)
    for drug in rows_of(BaselineAnalgesic, ids):
        baseline_drugs[drug.subject_id].append(drug)
    records = {row.pk: row for row in rows_of(Visit, ids)}
    drugs: dict[int, list[VisitAnalgesic]] = defaultdict(list)
    for taken in rows_of(VisitAnalgesic, ids):
        drugs[taken.parent_id].append(taken)
    reports = {(row.subject_id, row.event): row for row in rows_of(PatientReport, ids)}
    reported_drugs: dict[int, list[PatientAnalgesic]] = defaultdict(list)
    for reported in rows_of(PatientAnalgesic, ids):
        reported_drugs[reported.parent_id].append(reported)

    found: dict[int, dict[str, PainAtVisit]] = {subject.pk: {} for subject in subjects}
    for subject_id, planned in visits.items():
        baseline = baselines.get(subject_id)
        before = baseline_drugs[subject_id] if baseline else []
        treated_on = _first_intervention([records[visit.visit_id] for visit in planned if visit.visit_id is not None])
        for visit in planned:
            record = records.get(visit.visit_id) if visit.visit_id is not None else None
            report = reports.get((subject_id, visit.event))
            if record is None and report is None and (visit.state in _STILL_TO_COME or visit.planned.unscheduled):
                continue  # an unscheduled visit without a form is imaging alone
            score = score_that_counts(report.nrs_worst if report else None, record.nrs_worst if record else None)
            assessed = visit.actual or (report.answered_on if report else None)
            # The visit form's list is the checked one; before it is entered there is only the participant's.
            told: Visit | PatientReport | None = record if record and record.analgesics else report
            rows_now: Sequence[AnalgesicItems] = ()
            if isinstance(told, Visit):
                rows_now = drugs[told.pk]
            elif told is not None:
                rows_now = reported_drugs[told.pk]
            taken_before, taken_now = intakes(before), intakes(rows_now)
            answer_before = baseline.analgesics if baseline else ""
            answer_now = told.analgesics if told else ""
            found[subject_id][visit.event] = PainAtVisit(
                visit=visit,
                baseline_pain=baseline.nrs_worst if baseline else None,
                baseline_omed=omed_answered(taken_before, answer_before),
                pain=score.value,
                omed=omed_answered(taken_now, answer_now),
                intervention=bool(treated_on and assessed and treated_on <= assessed),
                missing=_missing(record, visit) if score.value is None else None,
                switched=opioid_switch(taken_before, taken_now),
                score=score,
                assessed=assessed,
                baseline_answer=answer_before,
                baseline_taken=tuple(taken_before),
                answer=answer_now,
                taken=tuple(taken_now),
            )
    return found


def _first_intervention(records: list[Visit]) -> date | None:
    """Date of the first recorded treatment of the index site after the trial's own; whichever visit reported it."""
    dates = [
        record.index_treatment_date
        for record in records
        if record.index_treatment in INTERVENTIONS and record.index_treatment_date
    ]
    return min(dates, default=None)


def _missing(record: Visit | None, visit: SubjectVisit) -> NeReason | None:
    """The coded reason why a visit has no pain score (D7); None where nothing says why."""
    if record is not None:
        code = record.missed_reason or record.nrs_missing
        return NeReason(code) if code and code != ScoreMissingReason.PATIENT else None
    if visit.state is VisitState.NOT_EXPECTED:
        return NeReason.DEAD if visit.died_before else NeReason.WITHDRAWN
    return NeReason.MISSED
