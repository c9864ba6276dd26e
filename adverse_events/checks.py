"""Edit checks of an adverse event that look beyond its own form, and those that only ask."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import cast

from adverse_events.baseline import conditions_of
from adverse_events.expectedness import propose
from adverse_events.models import AdverseEvent, GradePeriod
from patients.milestones import milestones_for, setters
from patients.models import Milestones
from spinetrial.access.gate import of_subject
from spinetrial.crf.rules import not_in_future, rows_not_in_future
from spinetrial.crf.spec import EditCheck, Level, Values
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology import ctcae

#: A pain flare begins within so many days of the first fraction.
FLARE_DAYS = 10


def _event(values: Values) -> AdverseEvent:
    return cast(AdverseEvent, values.record)


def _milestones(values: Values) -> Milestones:
    return milestones_for(values)


def _not_specified(values: Values) -> bool:
    event = _event(values)
    return ctcae.needs_specification(event.ctcae_code) and not ctcae.says_something(event.verbatim, event.ctcae_code)


def _after_death(values: Values) -> bool:
    death = _milestones(values).death_date
    return death is not None and _event(values).onset_date > death


def _aware_before_onset(values: Values) -> bool:
    event = _event(values)
    if event.aware_at is None:
        return False
    return event.aware_at.astimezone(event.subject.site.zone).date() < event.onset_date


def _before_consent(values: Values) -> bool:
    consent = _milestones(values).consent_date
    return consent is None or _event(values).onset_date < consent


def _fatal_without_death(values: Values) -> bool:
    event = _event(values)
    return event.grade == 5 and event.end_date != _milestones(values).death_date


def _grade_4_not_serious(values: Values) -> bool:
    return _event(values).grade == 4 and not _event(values).serious


def _expectedness_differs(values: Values) -> bool:
    event = _event(values)
    if event.unexpected is None or not event.grade:
        return False
    return event.unexpected != propose(event.ctcae_code, event.grade).unexpected


def _flare_at_another_time(values: Values) -> bool:
    event, start = _event(values), _milestones(values).rt_start
    if not event.flare:
        return False
    return start is None or not start <= event.onset_date <= start + timedelta(days=FLARE_DAYS)


def _caused_before_treatment(values: Values) -> bool:
    event, start = _event(values), _milestones(values).rt_start
    return event.related and (start is None or event.onset_date < start)


def _periods(values: Values) -> list[GradePeriod]:
    """The grade periods in the order of time."""
    return sorted(cast("list[GradePeriod]", values.rows.get("periods", [])), key=lambda row: row.from_date)


def _first_period_elsewhere(values: Values) -> bool:
    periods = _periods(values)
    return bool(periods) and periods[0].from_date != _event(values).onset_date


def _period_after_end(values: Values) -> bool:
    end = _event(values).end_date
    return end is not None and any(row.from_date > end for row in _periods(values))


def _period_undefined(values: Values) -> bool:
    defined = ctcae.grades(_event(values).ctcae_code)
    return any(row.grade not in defined for row in _periods(values))


def _same_grade_on(values: Values) -> bool:
    periods = _periods(values)
    return any(one.grade == other.grade for one, other in pairwise(periods))


def _two_on_a_day(values: Values) -> bool:
    days = [row.from_date for row in _periods(values)]
    return len(days) != len(set(days))


def _not_the_worst(values: Values) -> bool:
    periods = _periods(values)
    return bool(periods) and max(row.grade for row in periods) != _event(values).grade


def _life_after_grade_5(values: Values) -> bool:
    return any(row.grade == 5 for row in _periods(values)[:-1])


def _at_baseline(values: Values) -> bool:
    event = _event(values)
    if event.worse_than_before:
        return False
    if "conditions" not in values.shared:
        values.shared["conditions"] = conditions_of(event.subject)
    return any(condition.matches(event) for condition in values.shared["conditions"])


def _entered_twice(values: Values) -> bool:
    event = _event(values)
    if "events" not in values.shared:
        stored = of_subject(event.subject, AdverseEvent)
        values.shared["events"] = list(stored.values_list("pk", "ctcae_code", "onset_date"))
    same = (event.ctcae_code, event.onset_date)
    return any(pk != event.pk and same == (code, onset) for pk, code, onset in values.shared["events"])


CHECKS = (
    *not_in_future("onset_date", "end_date", "aware_at"),
    rows_not_in_future("periods", "from_date"),
    EditCheck(
        "ae_periods_worst",
        ("grade", "periods"),
        _("This is not the worst grade of the grade periods below: choose the worst one, or correct the periods."),
        _not_the_worst,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_start",
        ("periods", "onset_date"),
        _("The first grade period starts with the event: give it the start date of the event."),
        _first_period_elsewhere,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_end",
        ("periods", "end_date"),
        _("A grade period starts after the end of the event."),
        _period_after_end,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_defined",
        ("periods", "ctcae_code"),
        _("A grade period has a grade that CTCAE does not define for this term."),
        _period_undefined,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_change",
        ("periods",),
        _("Two grade periods in a row have the same grade: make them one."),
        _same_grade_on,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_once",
        ("periods",),
        _("Two grade periods start on the same day."),
        _two_on_a_day,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_periods_death",
        ("periods",),
        _("Grade 5 is death: no grade period can follow it."),
        _life_after_grade_5,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_at_baseline",
        ("worse_than_before", "ctcae_code", "vertebra"),
        _(
            "The participant had this, or something like it, at baseline. It counts as an adverse event only if it has "
            "become worse: tick this, or say why the event is a new one."
        ),
        _at_baseline,
        Level.EXPLAIN,
    ),
    EditCheck(
        "ae_not_specified",
        ("verbatim", "ctcae_code"),
        _("“Other, specify” needs the event itself in words here."),
        _not_specified,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_after_death",
        ("onset_date",),
        _("The event starts after the death on record. Correct this date, or first the date of death."),
        _after_death,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_aware_before_onset",
        ("aware_at", "onset_date"),
        _("The study team cannot be aware of an event before it starts."),
        _aware_before_onset,
        Level.BLOCK,
    ),
    EditCheck(
        "ae_before_consent",
        ("onset_date",),
        _("The event starts before the consent: is it history rather than an adverse event, or has it become worse?"),
        _before_consent,
        reads=setters("consent_date"),
    ),
    EditCheck(
        "ae_fatal_death_date",
        ("end_date",),
        _("The end of the fatal event and the date of death on record are not the same."),
        _fatal_without_death,
        reads=setters("death_date"),
    ),
    EditCheck(
        "ae_grade_4_not_serious",
        ("grade",),
        _("Grade 4 is usually life-threatening. Is no criterion of seriousness fulfilled?"),
        _grade_4_not_serious,
    ),
    EditCheck(
        "ae_expectedness_differs",
        ("unexpected", "ctcae_code", "grade"),
        _(
            "The list of expected reactions in the protocol says otherwise for this term and grade (death is never"
            " expected). Why is it different here?"
        ),
        _expectedness_differs,
        Level.EXPLAIN,
    ),
    EditCheck(
        "ae_flare_time",
        ("flare",),
        _("A pain flare starts within 10 days of the first fraction. Is it one?"),
        _flare_at_another_time,
        reads=setters("rt_start"),
    ),
    EditCheck(
        "ae_related_before_rt",
        ("relation_radiotherapy",),
        _("The event starts before the trial's radiotherapy. Can it be caused by it?"),
        _caused_before_treatment,
        reads=setters("rt_start"),
    ),
    EditCheck(
        "ae_entered_twice",
        ("ctcae_code", "onset_date"),
        _("Another event with the same term and start is recorded. Is it the same one?"),
        _entered_twice,
        reads=("A.AE:ctcae_code", "A.AE:onset_date"),
    ),
)
