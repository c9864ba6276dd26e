"""Bases of every CRF record. They know that there is a subject, and no clinical form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.db import DatabaseError, connection, models, transaction
from django.db.models.sql import Query
from django.utils.translation import gettext_lazy as _


@cache
def _compiled_checks(model: type[models.Model]) -> list[tuple[frozenset[str], str, tuple[Any, ...]]]:
    """The check constraints of a model as SQL on its columns: names of the fields, condition, parameters."""
    found = []
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            query = Query(model=model, alias_cols=False)
            where = query.build_where(constraint.condition)  # type: ignore[arg-type]  # as CheckConstraint calls it
            sql, params = where.as_sql(query.get_compiler(connection=connection), connection)
            names = frozenset(models.Q(constraint.condition).referenced_base_fields)
            found.append((names, sql, tuple(params)))
    return found


class OneCheckModel(models.Model):
    """Validates all its check constraints by one question to the database instead of one each.

    Django asks PostgreSQL about every check constraint separately, and builds each question anew; a course with ten
    fractions would ask 200 times. Only when the conjunction fails are they asked one by one, for their messages.
    """

    _checks_hold = False

    class Meta:
        abstract = True

    def validate_constraints(self, exclude: Any = None) -> None:
        self._checks_hold = self._ask_at_once(set(exclude or ()))
        try:
            super().validate_constraints(exclude)
        finally:
            self._checks_hold = False

    def _ask_at_once(self, left_out: set[str]) -> bool:
        """Whether all check constraints hold that touch no field of `left_out`. NULL passes, as in a table."""
        checks = [check for check in _compiled_checks(type(self)) if not left_out & check[0]]
        if not checks:
            return True
        columns, values = [], []
        for name in sorted({name for names, _sql, _params in checks for name in names}):
            field: Any = self._meta.get_field(name)
            # Without its length, which a cast would cut the value to before anyone looks at it.
            column_type = re.sub(r"\(.*?\)", "", field.db_type(connection))
            columns.append(f"%s::{column_type} AS {connection.ops.quote_name(field.column)}")
            values.append(field.get_db_prep_value(getattr(self, field.attname), connection))
        conditions = " AND ".join(f"({sql})" for _names, sql, _params in checks)
        question = f"SELECT coalesce({conditions}, true) FROM (SELECT {', '.join(columns)}) AS answers"  # noqa: S608
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(question, [value for check in checks for value in check[2]] + values)
                return bool(cursor.fetchone()[0])
        except DatabaseError:
            return False  # a value PostgreSQL cannot read: asked one by one, as Django does it

    def get_constraints(self) -> list[tuple[type[models.Model], Sequence[models.BaseConstraint]]]:
        found = super().get_constraints()
        if not self._checks_hold:
            return found
        return [(model, [c for c in each if not isinstance(c, models.CheckConstraint)]) for model, each in found]


class MissingReason(models.TextChoices):
    """Why a question that was asked has no value. A coded answer, distinct from blank (not answered yet)."""

    NOT_DONE = "ND", _("Not done")
    UNKNOWN = "UNK", _("Unknown")
    REFUSED = "REF", _("Refused")
    NOT_APPLICABLE = "NA", _("Not applicable")


class SubjectRecord(OneCheckModel):
    """A CRF record of one subject. `row_version` grows with every save and guards against silent overwriting.

    `missing` maps names of items without a value to a MissingReason; PostgreSQL refuses other codes and a reason
    beside a value (`sql/records.sql`).
    """

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    row_version = models.PositiveIntegerField(default=1, editable=False)
    missing = models.JSONField(_("Why not answered"), default=dict, editable=False)

    site_path = "subject__site"
    reveals_arm = False

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class EventRecord(SubjectRecord):
    """A CRF record of one event of the schedule, such as visit M3; one per subject and event."""

    event = models.CharField(max_length=8, editable=False)

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["subject", "event"], name="%(class)s_once_per_event"),
        )


class RowRecord(OneCheckModel):
    """A row of a repeating group. The concrete model adds `parent`, a foreign key to the CRF record.

    `subject` repeats the parent's, so that the audit trail, the gate and the exports find the row by subject.
    """

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+", editable=False)
    position = models.PositiveSmallIntegerField(default=0, editable=False)

    site_path = "subject__site"
    reveals_arm = False

    class Meta:
        abstract = True
        ordering = ("position", "id")

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class Draft(models.Model):
    """What a person typed into a form and did not save yet. Not trial data: it enters no export and no trail."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    subject = models.ForeignKey("patients.Subject", models.CASCADE, related_name="+")
    spec_code = models.CharField(max_length=20)
    key = models.CharField(max_length=20)  # as in the form's address: event, record number, "new" or "form"
    seen_version = models.PositiveIntegerField(default=0)
    data = models.JSONField()  # field name -> list of posted values
    saved_at = models.DateTimeField()

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["user", "subject", "spec_code", "key"], name="draft_one_per_form"),
        )

    def __str__(self) -> str:
        return f"Draft {self.spec_code} {self.key}"
