"""The sign-off report: changes an inspector asks about before a lock is believed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from followup.crfs import VISIT
from patients.crfs import PAIN, SCREENING
from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.access.limits import limited
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import all_specs
from spinetrial.worklists.audit_trail import Describer, csv_lines, tables_of, visible

#: What the primary endpoint rests on (D1 to D7): the items of these tables, None for every item.
ENDPOINT: dict[str, tuple[str, ...] | None] = {
    **dict.fromkeys(tables_of(PAIN)),
    **dict.fromkeys(tables_of(SCREENING)),
    VISIT.model._meta.db_table: ("nrs_worst", "nrs_missing", "analgesics", "status", "visit_date", "missing"),
    VISIT.rows[0].model._meta.db_table: None,
}
_CHANGES = ("update", "delete")
AT_MOST = 500


class DaysForm(forms.Form):
    days = forms.IntegerField(
        label=gettext_lazy("Late: days after the first entry"), min_value=1, max_value=3650, initial=30
    )


def _changes(request: SignedInRequest) -> QuerySet[AuditEntry]:
    tables = [table for spec in all_specs() for table in tables_of(spec)]
    return visible(request.user, "signoff.view").filter(table_name__in=tables, act__in=_CHANGES).order_by("id")


def late_edits(rows: QuerySet[AuditEntry], days: int) -> QuerySet[AuditEntry]:
    """Changes of a row made more than `days` after it was first entered."""
    first = (
        AuditEntry.among(Q(table_name=OuterRef("table_name"), row_id=OuterRef("row_id"), act="insert"))
        .order_by("id")
        .values("at")[:1]
    )
    limit = ExpressionWrapper(F("first_at") + timedelta(days=days), output_field=DateTimeField())
    return rows.annotate(first_at=Subquery(first)).filter(at__gt=limit)


def after_freeze(rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Changes made after the trial was frozen for the first time."""
    freezes = AuditEntry.among(Q(table_name="access_trialstate", changes__state__1="frozen"))
    first = freezes.order_by("id").values_list("at", flat=True).first()
    return rows.filter(at__gt=first) if first is not None else rows.none()


def endpoint_changes(rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Changes of what the primary endpoint rests on, made after the participant's allocation."""
    allocated = AuditEntry.among(
        Q(
            subject_id=OuterRef("subject_id"),
            table_name="patients_milestones",
            changes__has_key="randomized_on",
            id__lt=OuterRef("id"),
        )
    )
    wanted = Q(pk__in=[])
    for table, items in ENDPOINT.items():
        of_table = Q(table_name=table)
        wanted |= of_table if items is None else of_table & (Q(act="delete") | Q(changes__has_any_keys=list(items)))
    return rows.filter(wanted).filter(Exists(allocated))


def _parts(request: SignedInRequest, days: int) -> list[tuple[str, str, QuerySet[AuditEntry]]]:
    rows = _changes(request)
    return [
        ("late", _("Late changes"), late_edits(rows, days)),
        ("freeze", _("Changes after a freeze"), after_freeze(rows)),
        ("endpoint", _("Changes of the endpoint after allocation"), endpoint_changes(rows)),
    ]


@requires("signoff.view")
@require_safe
def sign_off(request: SignedInRequest) -> HttpResponse:
    """Late changes, changes after a freeze, changes of the endpoint after allocation, with their reasons."""
    form = DaysForm(request.GET if "days" in request.GET else {"days": 30})
    days = form.cleaned_data["days"] if form.is_valid() else 30
    parts = []
    for key, title, found in _parts(request, days):
        entries = list(found[: AT_MOST + 1])
        parts.append(
            {
                "key": key,
                "title": title,
                "rows": list(Describer(entries[:AT_MOST]).rows()),
                "count": len(entries) if len(entries) <= AT_MOST else found.count(),
                "cut": len(entries) > AT_MOST,
            }
        )
    context: dict[str, Any] = {"form": form, "parts": parts, "days": days}
    return render(request, "worklists/sign_off.html", context, status=422 if form.errors else 200)


@requires("signoff.view")
@require_safe
@limited("export")
def sign_off_csv(request: SignedInRequest) -> HttpResponse | StreamingHttpResponse:
    """One part of the report (`part`: late, freeze, endpoint) as CSV."""
    form = DaysForm({"days": request.GET.get("days", "30")})
    part = next((each for each in _parts(request, 30) if each[0] == request.GET.get("part", "late")), None)
    if not form.is_valid() or part is None:
        return sign_off(request)
    found = next(rows for key, _title, rows in _parts(request, form.cleaned_data["days"]) if key == part[0])
    with acting(request.user):
        record_event("audit trail exported", user_id=request.user.pk, detail={"sign-off": part[0]})
    response = StreamingHttpResponse(csv_lines(Describer(found).rows()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="spinetrial-sign-off-{part[0]}.csv"'
    return response
