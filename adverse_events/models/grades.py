"""How the grade of an adverse event changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from adverse_events.models.event import AdverseEvent
from spinetrial.crf.models import RowRecord
from spinetrial.crf.rules import since_1900


class GradePeriod(RowRecord):
    """From `from_date` to the next period, or to the end of the event, the event had this grade.

    An event of one grade has no periods. Of an event with periods `AdverseEvent.grade` is the worst of them; the
    form asks for it and PostgreSQL holds it for every other road (`sql/grades.sql`).
    """

    parent = models.ForeignKey(AdverseEvent, models.PROTECT, related_name="+", editable=False)
    from_date = models.DateField(_("From date"))
    grade = models.PositiveSmallIntegerField(_("CTCAE grade"), choices=[(grade, str(grade)) for grade in range(1, 6)])

    class Meta(RowRecord.Meta):
        verbose_name = _("Grade period")
        constraints = (
            # Deferred, so that two rows can exchange their dates in one save.
            models.UniqueConstraint(
                fields=["parent", "from_date"],
                name="gradeperiod_date_once",
                deferrable=models.Deferrable.DEFERRED,
                violation_error_message=_("Two periods start on the same day."),
            ),
            models.CheckConstraint(
                condition=Q(grade__gte=1, grade__lte=5),
                name="gradeperiod_grade_in_range",
                violation_error_message=_("A grade lies between 1 and 5."),
            ),
            *since_1900("from_date"),
        )


def course_of(event: AdverseEvent, periods: Iterable[GradePeriod]) -> list[tuple[date, int]]:
    """The grades of an event over time, as (from, grade) in order of time; one entry for an event without periods."""
    found = sorted((period.from_date, period.grade) for period in periods)
    return found or [(event.onset_date, event.grade)]
