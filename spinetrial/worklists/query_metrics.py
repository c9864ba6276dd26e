"""How long queries take: to answer and to close, by site and by field, computed by the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from spinetrial.access.context import sites_of
from spinetrial.access.gate import SignedInRequest, list_records, masked, requires
from spinetrial.access.models import StudySite
from spinetrial.analysis.data import Column, Kind, Table
from spinetrial.audit.clock import now
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.exports.csvfile import write_csv
from spinetrial.review.models import Query
from spinetrial.review.queries import LIVE

#: A query that is not closed after so many days is counted as old.
OLD_DAYS = 14


class Percentile(Aggregate):
    """PostgreSQL's continuous percentile of a duration; None without any."""

    template = "percentile_cont(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()

    def __init__(self, expression: Any, fraction: float, **extra: Any) -> None:
        super().__init__(expression, fraction=fraction, **extra)


@dataclass(frozen=True)
class Line:
    """The metrics of one group. Durations in days; None is not estimable: there was nothing to time."""

    group: tuple[str, ...]  # how the group is called in words
    codes: tuple[str, ...]  # and in the file
    count: int
    live: int
    old: int
    answered: int
    answer_median: float | None
    answer_p90: float | None
    closed: int
    close_median: float | None
    close_p90: float | None

    @property
    def times(self) -> list[tuple[int, str, str]]:
        """How many were timed, median and 90th percentile, to answer and to close."""
        return [
            (self.answered, _days(self.answer_median), _days(self.answer_p90)),
            (self.closed, _days(self.close_median), _days(self.close_p90)),
        ]


def _days(value: float | None) -> str:
    return _("not estimable") if value is None else f"{value:.1f}"


class PeriodForm(forms.Form):
    site = forms.ChoiceField(label=gettext_lazy("Study site"), required=False)
    since = forms.DateField(
        label=gettext_lazy("Raised from"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    until = forms.DateField(
        label=gettext_lazy("Raised until (last day)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, sites: dict[str, StudySite], data: Any) -> None:
        super().__init__(data)
        self.sites = sites
        self.fields["site"].choices = [("", _("All sites")), *((code, str(site)) for code, site in sites.items())]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("since") and found.get("until") and found["until"] < found["since"]:
            self.add_error("until", _("The last day is before the first day."))
        return found

    def narrow(self, rows: QuerySet[Query]) -> QuerySet[Query]:
        """Queries raised in the period: days of the chosen site, else of UTC."""
        site = self.sites.get(self.cleaned_data.get("site") or "")
        zone: Any = site.zone if site else UTC
        if site:
            rows = rows.filter(subject__site=site)
        if since := self.cleaned_data.get("since"):
            rows = rows.filter(opened_at__gte=_midnight(since, zone))
        if until := self.cleaned_data.get("until"):
            rows = rows.filter(opened_at__lt=_midnight(min(until, date(9000, 1, 1)) + timedelta(days=1), zone))
        return rows


def _midnight(day: date, zone: Any) -> datetime:
    return datetime.combine(max(day, date(1, 1, 2)), time(), tzinfo=zone)


def _measures() -> dict[str, Any]:
    to_answer, to_close = (
        ExpressionWrapper(F(end) - F("opened_at"), output_field=DurationField()) for end in ("answered_at", "closed_at")
    )
    closed = Q(state=Query.State.CLOSED)
    return {
        "count": Count("pk"),
        "live": Count("pk", filter=Q(state__in=LIVE)),
        "old": Count("pk", filter=Q(state__in=LIVE, opened_at__lt=now() - timedelta(days=OLD_DAYS))),
        "answered": Count("pk", filter=Q(answered_at__isnull=False)),
        "answer_median": Percentile(to_answer, 0.5),
        "answer_p90": Percentile(to_answer, 0.9),
        "closed": Count("pk", filter=closed),
        "close_median": Percentile(to_close, 0.5, filter=closed),
        "close_p90": Percentile(to_close, 0.9, filter=closed),
    }


def metrics(rows: QuerySet[Query]) -> tuple[Line, list[Line], list[Line]]:
    """All queries of `rows` together, by site, and by field. Three queries. Cancelled ones count, and are not timed."""
    rows = rows.order_by()
    whole = _line((_("All"),), ("",), rows.aggregate(**_measures()))
    by_site = rows.values("subject__site__code", "subject__site__name").annotate(**_measures())
    sites = [
        _line((f"{row['subject__site__code']} {row['subject__site__name']}",), (row["subject__site__code"],), row)
        for row in by_site.order_by("subject__site__code")
    ]
    fields = []
    for row in rows.values("spec_code", "item").annotate(**_measures()).order_by("spec_code", "item"):
        spec = get_spec(row["spec_code"])
        words = (_(str(spec.title)), spec.label(row["item"]))
        fields.append(_line(words, (row["spec_code"], row["item"]), row))
    return whole, sites, fields


def _line(group: tuple[str, ...], codes: tuple[str, ...], row: Any) -> Line:
    def days(name: str) -> float | None:
        return None if row[name] is None else row[name] / timedelta(days=1)

    return Line(
        group=group, codes=codes, count=row["count"], live=row["live"], old=row["old"], answered=row["answered"],
        answer_median=days("answer_median"), answer_p90=days("answer_p90"),
        closed=row["closed"], close_median=days("close_median"), close_p90=days("close_p90"),
    )  # fmt: skip


def _form(request: SignedInRequest) -> PeriodForm:
    return PeriodForm({site.code: site for site in sites_of(request.user, "query.raise")}, request.GET)


def _rows(request: SignedInRequest, form: PeriodForm) -> QuerySet[Query]:
    rows = list_records(request.user, Query, "query.raise")
    if masked(request.user):
        rows = rows.exclude(spec_code__in=[spec.code for spec in all_specs() if spec.reveals_arm])
    return form.narrow(rows)


@requires("query.raise")
@require_safe
def query_metrics(request: SignedInRequest) -> HttpResponse:
    """The metrics of a period on a page."""
    form = _form(request)
    if not form.is_valid():
        return render(request, "worklists/query_metrics.html", {"form": form}, status=422)
    whole, sites, fields = metrics(_rows(request, form))
    context = {"form": form, "whole": whole, "sites": sites, "fields": fields, "old_days": OLD_DAYS,
               "query": request.GET.urlencode()}  # fmt: skip
    return render(request, "worklists/query_metrics.html", context)


COLUMNS = (
    "group", "site", "form", "item", "queries", "not_closed", "not_closed_old", "answered", "days_to_answer_median",
    "days_to_answer_p90", "closed", "days_to_close_median", "days_to_close_p90",
)  # fmt: skip


@requires("query.raise")
@require_safe
def query_metrics_csv(request: SignedInRequest) -> HttpResponse:
    """The same numbers as CSV: one line for all, one per site, one per field."""
    form = _form(request)
    if not form.is_valid():
        return render(request, "worklists/query_metrics.html", {"form": form}, status=422)
    whole, sites, fields = metrics(_rows(request, form))
    rows = [["all", "", "", "", *_cells(whole)]]
    rows += [["site", line.codes[0], "", "", *_cells(line)] for line in sites]
    rows += [["field", "", *line.codes, *_cells(line)] for line in fields]
    columns = tuple(Column(name, name, Kind.TEXT) for name in COLUMNS)
    table = Table("query_metrics", "Query metrics", False, columns, tuple(map(tuple, rows)))
    response = HttpResponse(write_csv(table), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="spinetrial-query-metrics.csv"'
    return response


def _cells(line: Line) -> list[str]:
    def days(value: float | None) -> str:
        return "not estimable" if value is None else f"{value:.3f}"

    return [
        str(line.count), str(line.live), str(line.old), str(line.answered), days(line.answer_median),
        days(line.answer_p90), str(line.closed), days(line.close_median), days(line.close_p90),
    ]  # fmt: skip
