"""Asking many queries at once: a listing of answers, narrowed and ticked, a preview by name, then all or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.access.context import chosen_site, sites_of
from spinetrial.access.gate import SignedInRequest, list_records, masked, requires
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.crf.display import display_value
from spinetrial.crf.forms import FiniteDecimalField
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.crf.views import answers_url, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.review import queries
from spinetrial.review.models import Query
from spinetrial.worklists.queries import items_to_ask

PER_PAGE = 50
#: Columns beside participant and event: more do not fit on a screen.
MOST_ITEMS = 6
#: More queries in one go than this are a change of the data entry, not a question.
MOST_QUERIES = 500


def listable(user: User) -> list[CrfSpec]:
    """The CRFs a person can list: those that reveal the arm only for the unmasked."""
    return [spec for spec in all_specs() if not (spec.reveals_arm and masked(user))]


class ListingForm(forms.Form):
    """What is listed, as it stands in the address."""

    form = forms.ChoiceField(label=gettext_lazy("Form"))
    items = forms.MultipleChoiceField(
        label=gettext_lazy("Items to show"), required=False, widget=forms.CheckboxSelectMultiple
    )
    site = forms.ChoiceField(label=gettext_lazy("Study site"), required=False)
    event = forms.ChoiceField(label=gettext_lazy("Visit"), required=False)
    where = forms.ChoiceField(label=gettext_lazy("Only where"), required=False)
    how = forms.ChoiceField(
        label=gettext_lazy("is"),
        required=False,
        choices=[
            ("", "---------"),
            ("blank", gettext_lazy("not answered")),
            ("equals", gettext_lazy("equal to")),
            ("between", gettext_lazy("between (both included)")),
        ],
    )
    low = forms.CharField(label=gettext_lazy("Value"), required=False, max_length=100)
    high = forms.CharField(label=gettext_lazy("and"), required=False, max_length=100)

    def __init__(self, user: User, data: Any) -> None:
        # Without a form chosen nothing is asked yet, so nothing is wrong yet.
        super().__init__(data if data.get("form") else None)
        specs = listable(user)
        any_choice = [("", "---------")]
        self.spec = next((spec for spec in specs if spec.code == data.get("form", "")), None)
        sites = sites_of(user, "query.raise")
        self._choices("form", [(spec.code, _(str(spec.title))) for spec in specs])
        self._choices("site", any_choice + [(site.code, str(site)) for site in sites])
        items = [(item.name, self.spec.label(item.name)) for item in self.spec.items()] if self.spec else []
        self._choices("items", items)
        self._choices("where", any_choice + items)
        codes: list[str] = []
        if self.spec and self.spec.keeping is Keeping.PER_EVENT:
            kept: QuerySet[Any] = list_records(user, self.spec.model, "query.raise").order_by()
            kept = kept.values_list("event", flat=True)
            codes = sorted(kept.distinct(), key=lambda code: events.event_order(CURRENT, code))
        self._choices("event", any_choice + [(code, events.event_title(CURRENT, code, _)) for code in codes])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def clean_items(self) -> list[str]:
        chosen: list[str] = self.cleaned_data["items"]
        if len(chosen) > MOST_ITEMS:
            raise ValidationError(_("Choose at most %(n)d items.") % {"n": MOST_ITEMS})
        return chosen

    def clean(self) -> dict[str, Any]:
        found = cast("dict[str, Any]", super().clean())
        self.condition = Q()
        if self.spec and found.get("where") and found.get("how") and {"low", "high"} <= found.keys():
            try:
                self.condition = condition(self.spec, found["where"], found["how"], found["low"], found["high"])
            except ValidationError as error:
                self.add_error("low", error)
        return found

    @property
    def shown(self) -> list[str]:
        """The columns: the chosen items, else the first ones of the form."""
        if self.spec is None:
            return []
        return self.cleaned_data.get("items") or [item.name for item in self.spec.items()][:MOST_ITEMS]


def condition(spec: CrfSpec, item: str, how: str, low: str, high: str) -> Q:
    """Records whose answer is blank, equals `low`, or lies between `low` and `high`. Raises ValidationError.

    Blank means that nobody answered: a coded reason why there is no value is an answer.
    """
    field: Any = spec.model._meta.get_field(item)
    if how == "blank":
        empty = Q(**{f"{item}__isnull": True})
        if isinstance(field, (models.CharField, models.TextField)):
            empty |= Q(**{item: ""})
        if isinstance(field, ArrayField):
            empty |= Q(**{item: []})
        return empty & ~Q(missing__has_key=item)
    if isinstance(field, (ArrayField, models.JSONField, models.ForeignKey)):
        raise ValidationError(_("This item can only be asked for “not answered”."))
    if how == "equals":
        return Q(**{item: _value(field, low)})
    if field.choices or not isinstance(
        field, (models.IntegerField, models.DecimalField, models.FloatField, models.DateField)
    ):
        raise ValidationError(_("“Between” needs an item that is a number or a date."))
    return Q(**{f"{item}__gte": _value(field, low), f"{item}__lte": _value(field, high)})


def _value(field: Any, typed: str) -> Any:
    """A typed value as the field stores it; a choice by its words or its code."""
    typed = typed.strip()
    for stored, label in field.flatchoices or ():
        if typed.lower() in (str(stored).lower(), str(label).lower()):
            return stored
    if isinstance(field, models.BooleanField):
        for answer, words in ((True, ("true", _("Yes").lower())), (False, ("false", _("No").lower()))):
            if typed.lower() in words:
                return answer
    elif typed and not field.choices:
        try:
            decimal = {"form_class": FiniteDecimalField} if isinstance(field, models.DecimalField) else {}
            value = field.formfield(required=True, **decimal).clean(typed)
        except OverflowError:
            value = None
        if value is not None:
            return value
    raise ValidationError(_("Give a value that this item can have."))


def _records(request: SignedInRequest, spec: CrfSpec, form: ListingForm) -> QuerySet[Any]:
    """The records of the filter at the person's sites, by participant and event."""
    found = form.cleaned_data
    rows: QuerySet[Any] = list_records(request.user, spec.model, "query.raise").filter(form.condition)
    site = chosen_site(request, "query.raise")
    if site:
        rows = rows.filter(subject__site=site)
    if found.get("site"):
        rows = rows.filter(subject__site__code=found["site"])
    if found.get("event"):
        rows = rows.filter(**{"event": found["event"]})
    return rows.select_related("subject__site").order_by("subject__code", "pk")


class AskForm(forms.Form):
    """What is asked about each chosen record."""

    item = forms.ChoiceField(label=gettext_lazy("Ask about"))
    text = forms.CharField(label=gettext_lazy("Question"), max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))


@dataclass(frozen=True)
class Planned:
    """A query that would be opened, or would not because the same question is open."""

    record: SubjectRecord
    code: str
    event: str
    value: str
    asked: Query | None


def _plan(spec: CrfSpec, records: list[Any], item: str, text: str) -> list[Planned]:
    """One line per record, in the order the subjects are locked in. One query."""
    live = {
        query.record_id: query
        for query in list_records(queries.SYSTEM, Query, "query.raise").filter(
            spec_code=spec.code, record_id__in=[record.pk for record in records], item=item, text=text, check_code="",
            state__in=queries.LIVE,
        )
    }  # fmt: skip
    names = {each.name for each in spec.items()}
    return [
        Planned(
            record, record.subject.code, _event_title(spec, record),
            display_value(record, item) if item in names else "", live.get(record.pk),
        )
        for record in sorted(records, key=lambda row: (row.subject_id, row.pk))
    ]  # fmt: skip


def _event(spec: CrfSpec, record: Any) -> str:
    return str(getattr(record, "event", spec.event))


def _event_title(spec: CrfSpec, record: Any) -> str:
    event = _event(spec, record)
    return events.event_title(CURRENT, event, _) if event != "ANY" else ""


@requires("query.raise")
def query_listing(request: SignedInRequest) -> HttpResponse:
    """List answers and choose what to ask about. POST: `step` preview shows what would be opened, open opens it."""
    form = ListingForm(request.user, request.GET)
    if request.method == "POST" and form.is_valid() and form.spec is not None:
        return _asked(request, form.spec, form)
    status = 422 if form.is_bound and not form.is_valid() else 200
    return _listing_page(request, form, AskForm(), status=status)


def _listing_page(
    request: SignedInRequest, form: ListingForm, ask: AskForm, *, ticked: list[int] | None = None, error: str = "",
    whole: bool = False, status: int = 200,
) -> HttpResponse:  # fmt: skip
    spec = form.spec if form.is_bound and form.is_valid() else None
    context: dict[str, Any] = {
        "form": form, "ask": ask, "error": error, "ticked": ticked or [], "whole": whole,
        "query": urlencode([(key, value) for key, values in request.GET.lists() if key != "page" for value in values]),
    }  # fmt: skip
    if spec is not None:
        ask.fields["item"].choices = items_to_ask(spec)  # type: ignore[attr-defined]
        page = Paginator(_records(request, spec, form), PER_PAGE).get_page(request.GET.get("page"))
        context |= {
            "page": page,
            "header": [spec.label(name) for name in form.shown],
            "rows": [
                {
                    "pk": record.pk,
                    "code": record.subject.code,
                    "event": _event_title(spec, record),
                    "url": answers_url(spec, record.subject.code, record_key(spec, record.pk, _event(spec, record))),
                    "values": [display_value(record, name) for name in form.shown],
                }
                for record in page.object_list
            ],
        }
    return render(request, "worklists/query_listing.html", context, status=status)


def _asked(request: SignedInRequest, spec: CrfSpec, form: ListingForm) -> HttpResponse:
    whole = request.POST.get("whole") == "1"
    typed = [each for value in request.POST.getlist("record") for each in value.split(",")]
    ids = sorted({int(each) for each in typed if each.isascii() and each.isdigit() and len(each) < 18})
    ask = AskForm(request.POST)
    ask.fields["item"].choices = items_to_ask(spec)  # type: ignore[attr-defined]
    rows = _records(request, spec, form)
    # From the preview on the records are those that were shown by name, not whatever fits the filter by then.
    opening = request.POST.get("step") == "open"
    if not whole or opening:
        allowed = list_records(request.user, spec.model, "query.raise")
        rows = allowed.filter(pk__in=ids[: MOST_QUERIES + 1]).select_related("subject__site")
    records = list(rows[: MOST_QUERIES + 1])
    error = ""
    if not records:
        error = _("Tick the rows to ask about.")
    elif len(records) > MOST_QUERIES:
        error = _("These are more than %(n)d queries at once. Narrow the list.") % {"n": MOST_QUERIES}
    if error or not ask.is_valid():
        return _listing_page(request, form, ask, ticked=ids, error=error, whole=whole, status=422)
    item, text = ask.cleaned_data["item"], ask.cleaned_data["text"]
    if not opening:
        return _preview_page(request, spec, _plan(spec, records, item, text), ask)
    opened, skipped = _open_all(request.user, spec, records, item, text)
    messages.success(request, _("Queries opened: %(n)d.") % {"n": opened})
    if skipped:
        messages.info(request, _("Not opened, because the same question is open there: %(n)d.") % {"n": skipped})
    return redirect("queries")


def _preview_page(request: SignedInRequest, spec: CrfSpec, planned: list[Planned], ask: AskForm) -> HttpResponse:
    context = {
        "spec_title": _(str(spec.title)),
        "item_label": spec.label(ask.cleaned_data["item"]),
        "item": ask.cleaned_data["item"],
        "text": ask.cleaned_data["text"],
        "new": [each for each in planned if each.asked is None],
        "skipped": [each for each in planned if each.asked is not None],
        "records": ",".join(str(each.record.pk) for each in planned if each.asked is None),
        "back_url": f"{reverse('query_listing')}?{request.GET.urlencode()}",
    }
    return render(request, "worklists/query_preview.html", context)


def _open_all(actor: User, spec: CrfSpec, records: list[Any], item: str, text: str) -> tuple[int, int]:
    """Open a query on each record in one transaction; returns how many were opened and how many skipped."""
    with acting(actor):
        # Locked first, in one order, so that the same list sent twice at once is not asked twice.
        subjects = {record.subject_id: record.subject for record in records}
        for pk in sorted(subjects):
            queries.lock_subject(subjects[pk])
        planned = _plan(spec, records, item, text)
        for each in planned:
            if each.asked is None:
                subject: Any = each.record.subject
                queries.raise_query(
                    actor, subject=subject, site_id=subject.site_id, spec_code=spec.code, record_id=each.record.pk,
                    event=_event(spec, each.record), item=item, text=text,
                )  # fmt: skip
    skipped = sum(each.asked is not None for each in planned)
    return len(planned) - skipped, skipped
