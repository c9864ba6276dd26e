"""The audit trail of one CRF record: who, when, old, new, why, in words."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, masked, of_subject, requires
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.display import field_of, field_text, reason_changes
from spinetrial.crf.registry import get_spec
from spinetrial.crf.spec import TECHNICAL_FIELDS
from spinetrial.crf.views import crf_url, record_key

#: What `audit.sql` writes for a column of which the trail keeps no value.
NOT_KEPT = "(not kept)"


def entries_of(subject: Subject, *, see_arm: bool) -> Any:
    """Audit entries of one subject obtained through the gate, newest last; without the arm for the masked."""
    rows = AuditEntry.of_subject(subject.pk)
    return rows if see_arm else rows.filter(reveals_arm=False)


def in_words(entry: AuditEntry, only: str = "") -> list[dict[str, str]]:
    """The changes of an entry as rows of column, item, old, new. `only`: one field name."""
    models_by_table = {model._meta.db_table: model for model in apps.get_models()}
    model = models_by_table.get(entry.table_name)
    rows = []
    for column, pair in sorted(entry.changes.items()):
        if model is None or not isinstance(pair, list):
            rows.append({"column": column, "item": column, "old": "", "new": str(pair)})
            continue
        try:
            field = field_of(model, column)
        except FieldDoesNotExist:
            old, new = (str(value or "") for value in pair)
            rows.append({"column": column, "item": column, "old": old, "new": new})
            continue
        if field.name == "missing":
            for item, (was, became) in reason_changes(*pair).items():
                if not only or item == only:
                    label = str(model._meta.get_field(item).verbose_name)  # type: ignore[union-attr]
                    rows.append({"item": label, "old": was, "new": became})
            continue
        technical = field.name in TECHNICAL_FIELDS
        if technical or (only and field.name != only):
            continue
        old, new = (_stored_text(field, value) for value in pair)
        if old or new:
            rows.append({"column": column, "item": str(field.verbose_name), "old": old, "new": new})
    return rows


def _stored_text(field: Any, value: Any) -> str:
    if value == NOT_KEPT:
        return _("(not kept)")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if field.get_internal_type() == "DateTimeField" and isinstance(value, str):
        return field_text(field, parse_datetime(value))
    return field_text(field, value)


@requires("audit.view")
def record_history(request: SignedInRequest, code: str, spec_code: str, pk: int) -> HttpResponse:
    """Everything that happened to one record and its rows. `?item=` narrows to one question."""
    spec = get_spec(spec_code)
    subject = get_record(request.user, Subject, "audit.view", code=code)
    if spec.reveals_arm and masked(request.user, subject.site_id):
        raise PermissionDenied
    record = get_record(request.user, spec.model, "crf.view", pk=pk, subject=subject)
    item = request.GET.get("item", "")
    belongs = Q(table_name=spec.model._meta.db_table, row_id=str(pk))
    for group in spec.rows:
        # Deleted rows too: the trail knows their parent, the table no longer does.
        belongs |= Q(table_name=group.model._meta.db_table, changes__parent_id__contains=pk)
        ids = [
            str(i) for i in of_subject(subject, group.model).filter(**{"parent": record}).values_list("pk", flat=True)
        ]
        belongs |= Q(table_name=group.model._meta.db_table, row_id__in=ids)
    acts = {"insert": _("entered"), "update": _("changed"), "delete": _("removed")}
    rows = []
    for entry in entries_of(subject, see_arm=not masked(request.user, subject.site_id)).filter(belongs):
        changes = in_words(entry, item)
        if changes:
            rows.append({"entry": entry, "act": acts.get(entry.act, entry.act), "changes": changes})
    key = record_key(spec, pk, getattr(record, "event", ""))
    context = {
        "title": _("Audit trail: %(form)s of %(code)s") % {"form": _(str(spec.title)), "code": code},
        "back_url": crf_url(spec, code, key),
        "item_label": spec.label(item) if item in {each.name for each in spec.items()} else "",
        "rows": rows,
        "zone": subject.site.timezone,
    }
    return render(request, "worklists/history.html", context)
