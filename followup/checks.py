"""Edit checks and consequences of the follow-up CRFs that look beyond their own record."""

from __future__ import annotations

from datetime import date
from typing import cast

from followup.models import (
    Deficit,
    Frankel,
    ImagedVertebra,
    Imaging,
    ImagingStatus,
    PatientReport,
    ScoreMissingReason,
    Visit,
    VisitStatus,
)
from followup.visits import plan_of
from patients.milestones import dates, death_differs, milestones_for, milestones_of, report_death, setters
from patients.models import Milestones, SitesOfDisease, Subject, Withdrawal
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.audit.acting import Actor
from spinetrial.crf.models import EventRecord, SubjectRecord
from spinetrial.crf.rules import in_order, not_in_future
from spinetrial.crf.spec import EditCheck, Level, Values
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import VisitState, planned_visits, visit_state
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.review.explanations import live_explanations

VISIT_CODE = "F.VISIT"
REPORT_CODE = "F.EPRO"


def _visit(values: Values) -> Visit:
    return cast(Visit, values.record)


def _imaging(values: Values) -> Imaging:
    return cast(Imaging, values.record)


def _milestones(values: Values) -> Milestones:
    return milestones_for(values)


def _day(record: SubjectRecord) -> date | None:
    """The date a follow-up record speaks of, when something took place."""
    return record.visit_date if isinstance(record, Visit) else cast(Imaging, record).imaging_date


# --- both forms ---


def _not_randomized(values: Values) -> bool:
    return _milestones(values).randomized_on is None


def _before_randomization(values: Values) -> bool:
    day, randomized = _day(values.record), _milestones(values).randomized_on
    return day is not None and randomized is not None and day < randomized


def _after_death(values: Values) -> bool:
    day, death = _day(values.record), _death_known_elsewhere(values)
    return day is not None and death is not None and day > death


def _out_of_window(values: Values) -> bool:
    """The same judgement as the matrix makes, so that a query and a glyph never disagree."""
    record = cast(EventRecord, values.record)
    planned = plan_of(dates(_milestones(values)), record.event, values.today)
    state = visit_state(planned, _day(record), False, values.today)
    return state is VisitState.DONE_OUT_OF_WINDOW


def _after_data_withdrawal(values: Values) -> bool:
    day = _day(values.record)
    if day is None:
        return False
    forbidden = of_subject(values.record.subject, Withdrawal).filter(from_data_use=True, withdrawn_on__lt=day)
    return forbidden.exists()


def _after_end_of_followup(values: Values) -> bool:
    day, ended = _day(values.record), _milestones(values).followup_ended_on
    return day is not None and ended is not None and day > ended


def _deaths_told_by_visits(subject: Subject, *, leaving_out: int | None = None) -> set[date]:
    visits = of_subject(subject, Visit).filter(death_date__isnull=False).exclude(pk=leaving_out or 0)
    return {day for day in visits.values_list("death_date", flat=True) if day is not None}


def _other_visits(values: Values) -> list[tuple[str, date | None, date | None]]:
    """Event, date and date of death of the subject's other visits; read once for all checks of a round."""
    if "visits" not in values.shared:
        stored = of_subject(values.record.subject, Visit)
        values.shared["visits"] = list(stored.values_list("event", "visit_date", "death_date"))
    own = cast(EventRecord, values.record).event
    return [each for each in values.shared["visits"] if each[0] != own]


def _death_known_elsewhere(values: Values) -> date | None:
    """The recorded death, unless this very visit is what recorded it and may now be correcting it."""
    visit, milestones = values.record, _milestones(values)
    if not isinstance(visit, Visit) or milestones.death_source != VISIT_CODE:
        return milestones.death_date
    others = _deaths_told_by_visits(visit.subject, leaving_out=visit.pk)
    return milestones.death_date if milestones.death_date in others else min(others, default=None)


# --- visit ---


def _death_before_randomization(values: Values) -> bool:
    death, randomized = _visit(values).death_date, _milestones(values).randomized_on
    return death is not None and randomized is not None and death < randomized


def _death_before_other_visit(values: Values) -> bool:
    visit = _visit(values)
    if visit.death_date is None:
        return False
    later = of_subject(visit.subject, Visit).exclude(event=visit.event).filter(visit_date__gt=visit.death_date)
    return later.exists()


def _death_dates_differ(values: Values) -> bool:
    visit = _visit(values)
    others = {death for _event, _day, death in _other_visits(values) if death is not None}
    return death_differs(values, visit.death_date) or (
        visit.death_date is not None and bool(others - {visit.death_date})
    )


def _out_of_order(values: Values) -> bool:
    """Among the visits of the schedule; an unscheduled one may lie anywhere."""
    visit = _visit(values)
    if visit.visit_date is None or events.is_unscheduled(CURRENT, visit.event):
        return False
    place = events.event_order(CURRENT, visit.event)
    for event, day, _death in _other_visits(values):
        if day is None or events.is_unscheduled(CURRENT, event):
            continue
        before = events.event_order(CURRENT, event) < place
        if (before and day > visit.visit_date) or (not before and day < visit.visit_date):
            return True
    return False


def _treated_before_randomization(values: Values) -> bool:
    treated, randomized = _visit(values).index_treatment_date, _milestones(values).randomized_on
    return treated is not None and randomized is not None and treated < randomized


def _more_than_worst(values: Values) -> bool:
    visit = _visit(values)
    others = [score for score in (visit.nrs_average, visit.nrs_current) if score is not None]
    return visit.nrs_worst is not None and any(score > visit.nrs_worst for score in others)


def _frankel_against_deficits(values: Values) -> bool:
    visit = _visit(values)
    deficits = {visit.motor, visit.sensory}
    if visit.frankel == Frankel.E:
        return Deficit.PRESENT in deficits
    return visit.frankel in (Frankel.A, Frankel.B, Frankel.C, Frankel.D) and deficits == {Deficit.NONE.value}


#: How many successive visits with the same three scores are worth a remark.
SAME_SCORES = 3


def _scores_never_move(values: Values) -> bool:
    """Worst, average and present pain are what they were at the visits before, though there is pain."""
    visit = _visit(values)
    scores = (visit.nrs_worst, visit.nrs_average, visit.nrs_current)
    if None in scores or visit.nrs_worst == 0:
        return False
    stored = of_subject(visit.subject, Visit).filter(nrs_worst__isnull=False, visit_date__lt=visit.visit_date)
    rows = stored.order_by("-visit_date", "-pk").values_list("nrs_worst", "nrs_average", "nrs_current")
    return list(rows[: SAME_SCORES - 1]) == [scores] * (SAME_SCORES - 1)


def _unscheduled_missed(values: Values) -> bool:
    visit = _visit(values)
    return visit.status == VisitStatus.MISSED and events.is_unscheduled(CURRENT, visit.event)


def _belongs_to_schedule(values: Values) -> list[str]:
    """Visits of the schedule in whose window this unscheduled one lies and that nobody has entered."""
    visit = _visit(values)
    if visit.visit_date is None or not events.is_unscheduled(CURRENT, visit.event):
        return []
    entered = {event for event, _day, _death in _other_visits(values)}
    plan = planned_visits(CURRENT, dates(_milestones(values)), values.today)
    return [
        planned.code
        for planned in plan
        if planned.expected
        and planned.code not in entered
        and visit_state(planned, visit.visit_date, False, values.today) is VisitState.DONE
    ]


def _reported(values: Values) -> int | None:
    """The worst pain the participant reported for this visit; read once for all visits of a round."""
    if "reported" not in values.shared:
        rows = of_subject(values.record.subject, PatientReport)
        values.shared["reported"] = dict(rows.values_list("event", "nrs_worst"))
    found: int | None = values.shared["reported"].get(_visit(values).event)
    return found


def _left_to_no_report(values: Values) -> bool:
    return _visit(values).nrs_missing == ScoreMissingReason.PATIENT and _reported(values) is None


def _score_differs(values: Values) -> bool:
    noted, reported = _visit(values).nrs_worst, _reported(values)
    return noted is not None and reported is not None and noted != reported


#: Code of the check that asks why the clinic's score is not the participant's.
SCORE_DIFFERS = "score_differs_from_report"


def _report_came_later(values: Values) -> bool:
    """The report came after the visit form and contradicts it, and nobody has explained that yet."""
    visit, reported = _visit(values), _reported(values)
    if reported is None or visit.pk is None:
        return False
    contradicts = _score_differs(values) or not visit.done or visit.nrs_missing not in ("", ScoreMissingReason.PATIENT)
    return contradicts and (SCORE_DIFFERS, "") not in live_explanations(visit.subject, VISIT_CODE, visit.pk)


#: What the windows of the visits follow from.
_WINDOW = setters("rt_start", "rt_end", "never_irradiated", "death_date", "followup_ended_on")

VISIT_CHECKS = (
    *not_in_future("visit_date", "index_treatment_date", "new_systemic_date", "death_date"),
    EditCheck(
        "visit_not_randomized",
        ("status",),
        _("The participant is not randomised, so there are no follow-up visits yet."),
        _not_randomized,
        Level.BLOCK,
    ),
    EditCheck(
        "visit_before_randomization",
        ("visit_date",),
        _("The visit is dated before the randomisation."),
        _before_randomization,
        Level.BLOCK,
    ),
    EditCheck(
        "visit_after_death",
        ("visit_date", "survival"),
        _("The participant had died before this date. Correct this date, or first the date of death."),
        _after_death,
        Level.BLOCK,
    ),
    EditCheck(
        "death_before_randomization",
        ("death_date",),
        _("The death is dated before the randomisation."),
        _death_before_randomization,
        Level.BLOCK,
    ),
    EditCheck(
        "death_before_visit",
        ("death_date",),
        _("Another visit took place after this date of death. Correct the one that is wrong first."),
        _death_before_other_visit,
        Level.BLOCK,
    ),
    EditCheck(
        "index_treatment_before_randomization",
        ("index_treatment_date",),
        _("The further treatment is dated before the randomisation."),
        _treated_before_randomization,
        Level.BLOCK,
    ),
    in_order(
        "systemic_after_visit",
        "new_systemic_date",
        "visit_date",
        _("The systemic therapy starts after this visit."),
    ),
    EditCheck(
        "visit_after_data_withdrawal",
        ("visit_date",),
        _("The participant had forbidden the use of data collected after an earlier date."),
        _after_data_withdrawal,
        Level.BLOCK,
    ),
    EditCheck(
        "visit_after_end",
        ("visit_date",),
        _("This date is later than the end of follow-up on record. Which of the two is right?"),
        _after_end_of_followup,
        reads=setters("followup_ended_on"),
    ),
    EditCheck(
        "visit_out_of_window",
        ("visit_date",),
        _("The visit lies outside its window. Is the date right? The visit is kept and flagged."),
        _out_of_window,
        reads=_WINDOW,
    ),
    EditCheck(
        "visit_out_of_order",
        ("visit_date",),
        _("The visit dates are not in the order of the visits. Which date is wrong?"),
        _out_of_order,
        reads=(f"{VISIT_CODE}:visit_date",),
    ),
    EditCheck(
        "score_left_to_no_report",
        ("nrs_missing",),
        _("The participant has not answered the questionnaire of this visit: give the worst pain or another reason."),
        _left_to_no_report,
        Level.BLOCK,
    ),
    EditCheck(
        SCORE_DIFFERS,
        ("nrs_worst",),
        _("The participant reported another worst pain in the questionnaire. Both are kept; why do they differ?"),
        _score_differs,
        Level.EXPLAIN,
    ),
    EditCheck(
        "report_came_later",
        ("nrs_worst",),
        _("The participant's questionnaire says something else than this form. Which is right, and why?"),
        _report_came_later,
        reads=(REPORT_CODE,),
    ),
    EditCheck(
        "unscheduled_missed",
        ("status",),
        _("An unscheduled visit that did not take place is not recorded."),
        _unscheduled_missed,
        Level.BLOCK,
    ),
    EditCheck(
        "belongs_to_schedule",
        ("visit_date",),
        _("The date lies in the window of a visit of the schedule that is not entered. Is this that visit?"),
        _belongs_to_schedule,
        reads=(f"{VISIT_CODE}:status", *_WINDOW),
    ),
    EditCheck(
        "nrs_more_than_worst",
        ("nrs_worst",),
        _("The average or present pain is higher than the worst pain."),
        _more_than_worst,
    ),
    EditCheck(
        "scores_never_move",
        ("nrs_worst", "nrs_average", "nrs_current"),
        _("The three pain scores are the same as at the two visits before."),
        _scores_never_move,
        Level.NOTE,
    ),
    EditCheck(
        "frankel_against_deficits",
        ("frankel",),
        _("The Frankel grade does not fit the motor and sensory findings."),
        _frankel_against_deficits,
    ),
    EditCheck(
        "death_dates_differ",
        ("death_date",),
        _("Another form gives another date of death."),
        _death_dates_differ,
        reads=setters("death_date"),
    ),
)


def follow_survival(record: SubjectRecord, actor: Actor) -> None:
    """Report the death of a saved visit to the milestones; take it back when this visit alone had said so.

    Runs inside the saving transaction, which holds the subject's lock.
    """
    visit = cast(Visit, record)
    subject, death = visit.subject, visit.death_date
    if death is None:
        told, known = _deaths_told_by_visits(subject), milestones_of(subject).death_date
        death = known if known in told else min(told, default=None)
    report_death(cast(AnyActor, actor), subject, VISIT_CODE, death)


# --- imaging ---


def _vertebrae(values: Values) -> list[ImagedVertebra]:
    return cast(list[ImagedVertebra], values.rows.get("vertebrae", []))


def _level_twice(values: Values) -> bool:
    levels = [row.level for row in _vertebrae(values)]
    return len(levels) != len(set(levels))


def _fracture_without_collapse(values: Values) -> list[str]:
    """A fracture is a loss of more than 20 per cent of the height (S1)."""
    return [
        row.level
        for row in _vertebrae(values)
        if row.symptomatic is not None and row.height_loss is not None and row.height_loss <= 20
    ]


def _target_without_reading(values: Values) -> list[str]:
    """Irradiated levels, or the index site where none is recorded, of which this imaging says nothing."""
    if _imaging(values).status != ImagingStatus.DONE:
        return []
    if "followed" not in values.shared:
        levels = _milestones(values).target_levels.split()
        if not levels:
            sites = of_subject(values.record.subject, SitesOfDisease).exclude(index_level="")
            levels = list(sites.values_list("index_level", flat=True))
        values.shared["followed"] = levels
    read = {row.level for row in _vertebrae(values)}
    return [level for level in values.shared["followed"] if level not in read]


IMAGING_CHECKS = (
    *not_in_future("imaging_date"),
    EditCheck(
        "imaging_not_randomized",
        ("status",),
        _("The participant is not randomised, so there is no follow-up imaging yet."),
        _not_randomized,
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_before_randomization",
        ("imaging_date",),
        _("The imaging is dated before the randomisation."),
        _before_randomization,
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_after_death",
        ("imaging_date",),
        _("The participant had died before this date. Correct this date, or first the date of death."),
        _after_death,
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_without_vertebra",
        ("vertebrae",),
        _("Imaging was done: list at least one vertebra."),
        lambda values: _imaging(values).status == ImagingStatus.DONE and not _vertebrae(values),
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_vertebra_not_done",
        ("vertebrae",),
        _("No imaging was done: remove the rows of vertebrae."),
        lambda values: _imaging(values).status != ImagingStatus.DONE and bool(_vertebrae(values)),
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_level_twice",
        ("vertebrae",),
        _("A vertebra is listed twice."),
        _level_twice,
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_after_data_withdrawal",
        ("imaging_date",),
        _("The participant had forbidden the use of data collected after an earlier date."),
        _after_data_withdrawal,
        Level.BLOCK,
    ),
    EditCheck(
        "imaging_after_end",
        ("imaging_date",),
        _("This date is later than the end of follow-up on record. Which of the two is right?"),
        _after_end_of_followup,
        reads=setters("followup_ended_on"),
    ),
    EditCheck(
        "imaging_out_of_window",
        ("imaging_date",),
        _("The imaging lies outside the window of its visit. Is the date right? It is kept and flagged."),
        _out_of_window,
        reads=_WINDOW,
    ),
    EditCheck(
        "target_without_reading",
        ("vertebrae",),
        _("A target vertebra is not among the vertebrae read. Enter its reading, or say why there is none."),
        _target_without_reading,
        reads=(*setters("target_levels"), "P.SITES:index_level"),
    ),
    EditCheck(
        "fracture_without_collapse",
        ("vertebrae",),
        _("A fracture is recorded with a loss of height of 20 per cent or less."),
        _fracture_without_collapse,
    ),
)
