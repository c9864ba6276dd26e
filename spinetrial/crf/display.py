"""Stored values in words: for read-only pages, print and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from spinetrial.crf.missing import code_text, missing_text
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.spec import CrfSpec


def display_value(record: models.Model, name: str) -> str:
    """The value of one field as a person reads it, or why there is none; empty for no answer.

    A model may say more in `display_<name>`.
    """
    if reason := missing_text(record, name):
        return reason
    special = getattr(record, f"display_{name}", None)
    if callable(special):
        return str(special())
    return field_text(record._meta.get_field(name), getattr(record, name, None))  # type: ignore[arg-type]


def field_text(field: models.Field[Any, Any], value: Any) -> str:
    """`value` of a model field in words: code labels, Yes/No, ISO dates."""
    if value is None or value == "":
        return ""
    if isinstance(value, (list, tuple)):
        member = getattr(field, "base_field", field)
        return ", ".join(field_text(member, each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in sorted(value.items()))
    choices = dict(field.flatchoices) if field.choices else {}
    if value in choices:
        return str(choices[value])
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M %Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def field_of(model: type[models.Model], column: str) -> models.Field[Any, Any]:
    """The model field of a column. Raises FieldDoesNotExist."""
    for field in model._meta.concrete_fields:
        if column in (field.name, field.column):
            return field
    raise FieldDoesNotExist(column)


@dataclass(frozen=True)
class Answer:
    """One question of a saved record in words; `text` is empty for no answer."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class Grid:
    """A group of rows in words."""

    key: str
    title: str
    header: list[str]
    rows: list[list[str]]


def answers_in_words(spec: CrfSpec, record: SubjectRecord) -> list[tuple[str, list[Answer]]]:
    """The shown questions of a saved record by section, without building a form; a value is never left out."""
    shown = {item.name for item in spec.shown(record)}
    found = []
    for section in spec.sections:
        answers = []
        for item in section.items:
            text = display_value(record, item.name)
            if text or item.name in shown:
                if text and item.unit and item.name not in record.missing:
                    text = f"{text} {item.unit}"
                answers.append(Answer(item.name, spec.label(item.name), text))
        if answers:
            found.append((_(str(section.title)), answers))
    return found


def rows_in_words(spec: CrfSpec, rows: Mapping[str, Sequence[RowRecord]]) -> list[Grid]:
    """The groups of rows of a saved record."""
    return [
        Grid(
            group.key,
            _(str(group.title)),
            [str(field_of(group.model, item.name).verbose_name) for item in group.items],
            [[display_value(row, item.name) for item in group.items] for row in rows[group.key]],
        )
        for group in spec.rows
    ]


def reason_changes(before: Any, after: Any) -> dict[str, tuple[str, str]]:
    """Per item, the old and new reason why it has no value, in words: from two states of `SubjectRecord.missing`."""
    old, new = (state if isinstance(state, dict) else {} for state in (before, after))
    return {
        name: (code_text(old.get(name)), code_text(new.get(name)))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
