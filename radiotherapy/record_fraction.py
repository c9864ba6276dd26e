"""Adding one fraction to the course by the same road as the whole form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models

from patients.models import Subject
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course, Fraction, TargetVertebra
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.crf.forms import CrfForm, crf_form, form_data
from spinetrial.crf.missing import field_name
from spinetrial.crf.save import EntryRefused, save_record


def course_of(subject: Subject) -> Course | None:
    """The course of a subject obtained through the gate; the caller has asked `masked` before showing it."""
    return of_subject(subject, Course).first()


def fractions_of(subject: Subject) -> list[Fraction]:
    """The recorded fractions by number."""
    return list(of_subject(subject, Fraction).order_by("number"))


def targets_of(subject: Subject) -> list[TargetVertebra]:
    """The target vertebrae in the order of the form; the caller has asked `masked` before showing them."""
    return list(of_subject(subject, TargetVertebra))


def usual_dose(course: Course) -> Decimal:
    """Prescribed dose per fraction in Gy, to the cent."""
    return (course.prescribed_gy / course.prescribed_fractions).quantize(Decimal("0.01"))


def fraction_form(subject: Subject, values: Mapping[str, Any], seen_version: str | int) -> CrfForm:
    """The course's form with one more row of fractions; everything else as stored, or the defaults of a new course.

    `seen_version` is the row version the person saw: 0 for a course not recorded yet.
    """
    record = course_of(subject)
    rows: dict[str, list[Mapping[str, Any]]] = {
        "targets": [_values(row, COURSE.rows[0].items) for row in targets_of(subject)],
        "fractions": [*(_values(row, COURSE.rows[1].items) for row in fractions_of(subject)), dict(values)],
    }
    course = record or Course()
    data = form_data(COURSE, _values(course, tuple(COURSE.items())), rows)
    data |= {field_name(item): reason for item, reason in course.missing.items()}
    data["seen_version"] = str(seen_version)
    return crf_form(COURSE, subject, record=record, data=data)


def _values(row: models.Model, items: Any) -> dict[str, Any]:
    values = {item.name: getattr(row, item.name) for item in items}
    return {"id": row.pk, **values} if row.pk and not isinstance(row, Course) else values


def do_record_fraction(
    actor: AnyActor,
    subject: Subject,
    number: int,
    day: date,
    dose_gy: Decimal | None = None,
    *,
    gap_reason: str = "",
    remark: str = "",
) -> Course:
    """Record a fraction as given on `day`, at the usual dose unless another one is named.

    Raises EntryRefused (what the form says against it) and as `save_record`.
    """
    course = course_of(subject)
    values = {
        "number": number,
        "date": day,
        "given": True,
        "dose_gy": dose_gy or usual_dose(course or Course()),
        "gap_reason": gap_reason,
        "remark": remark,
    }
    form = fraction_form(subject, values, course.row_version if course else 0)
    if not form.is_valid():
        raise EntryRefused(COURSE, form.all_errors())
    saved = save_record(form, actor, reason_for(number))
    assert isinstance(saved, Course)  # noqa: S101
    return saved


def reason_for(number: int) -> str:
    """The reason on the trail of a fraction recorded day by day; the values themselves are the account."""
    return f"fraction {number} recorded"
