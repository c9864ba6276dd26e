"""Coded missing answers: a MissingReason that stands where a question was asked and has no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.models import MissingReason, SubjectRecord
from spinetrial.crf.spec import CrfSpec, Item

#: Ends the name of the form field that carries the reason of the item before it.
SUFFIX = "__missing"

EMPTY: tuple[object, ...] = (None, "", [])


def field_name(item: str) -> str:
    """Name of the form field with the reason why `item` has no value."""
    return f"{item}{SUFFIX}"


def reason_fields(spec: CrfSpec) -> dict[str, forms.ChoiceField]:
    """One form field per item of the CRF that allows a coded missing answer."""
    return {
        field_name(item.name): forms.ChoiceField(
            choices=[("", _("Why not answered?")), *MissingReason.choices],
            required=False,
            label=format_lazy("{}: {}", _("Why not answered"), spec.model._meta.get_field(item.name).verbose_name),  # type: ignore[union-attr]
        )
        for item in spec.items()
        if item.missing
    }


def initial_reasons(spec: CrfSpec, record: SubjectRecord) -> dict[str, str]:
    """The stored reasons by the names of the form fields."""
    return {field_name(item.name): record.missing.get(item.name, "") for item in spec.items() if item.missing}


def reason_of(item: Item, data: Mapping[str, Any]) -> str:
    """The reason given for an item in cleaned form data; empty without one."""
    return str(data.get(field_name(item.name)) or "") if item.missing else ""


def clean_reason(form: forms.BaseForm, item: Item, *, shown: bool) -> None:
    """Take the reason of a hidden item away; refuse one beside a value, with the message at the item."""
    data = form.cleaned_data
    reason = reason_of(item, data)
    if not reason:
        return
    if not shown:
        data[field_name(item.name)] = ""
    elif data.get(item.name) not in EMPTY:
        message = _("There is an answer and a reason why there is none. Take one of them away.")
        form.add_error(item.name, ValidationError(message, code="answered_and_missing"))


def reasons(items: Iterable[Item], data: Mapping[str, Any]) -> dict[str, str]:
    """The column `SubjectRecord.missing` from cleaned form data."""
    return {item.name: reason for item in items if (reason := reason_of(item, data))}


def missing_text(record: models.Model, name: str) -> str:
    """The stored reason of one item in words; empty when it has none."""
    return code_text(getattr(record, "missing", {}).get(name))


def code_text(code: object) -> str:
    """A MissingReason in words; a code that is none as it is, and empty for no code."""
    return str(dict(MissingReason.choices).get(str(code), code)) if code else ""
