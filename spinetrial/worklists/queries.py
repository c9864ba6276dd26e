"""Queries as people meet them: the list, one thread, a new question about an item."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import (
    SignedInRequest,
    get_record,
    list_records,
    masked,
    may,
    of_subject,
    requires,
)
from spinetrial.access.limits import limited
from spinetrial.audit.clock import now
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.views import crf_url, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.review import queries
from spinetrial.review.models import Query, QueryMessage

PER_PAGE = 50
TABS = {
    "open": [Query.State.OPEN],
    "answered": [Query.State.ANSWERED],
    "ended": [Query.State.CLOSED, Query.State.CANCELLED],
}


class MessageForm(forms.Form):
    text = forms.CharField(label=gettext_lazy("Message"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class QuestionForm(forms.Form):
    item = forms.ChoiceField(label=gettext_lazy("Item"))
    text = forms.CharField(label=gettext_lazy("Question"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))


def visible_queries(request: SignedInRequest) -> Any:
    """Queries the person may see; those on forms that reveal the arm are kept from the masked."""
    rows = list_records(request.user, Query, "query.view").select_related("subject__site", "opened_by")
    if masked(request.user):
        rows = rows.exclude(spec_code__in=[spec.code for spec in all_specs() if spec.reveals_arm])
    return rows


def describe(query: Query) -> dict[str, Any]:
    """A query in words, with the address of its field."""
    spec = get_spec(query.spec_code)
    key = record_key(spec, query.record_id, query.event)
    return {
        "query": query,
        "subject_code": query.subject.code,
        "form": _(str(spec.title)),
        "event": events.event_title(CURRENT, query.event, _) if query.event != "ANY" else "",
        "item": spec.label(query.item),
        "text": _(query.text) if query.check_code else query.text,
        "days": (now() - query.opened_at).days,
        "url": f"{crf_url(spec, query.subject.code, key)}#item-{query.item}",
    }


@requires("query.view")
@limited("search")
def query_list(request: SignedInRequest) -> HttpResponse:
    """Queries by state, oldest first."""
    rows = visible_queries(request)
    site = chosen_site(request, "query.view")
    if site:
        rows = rows.filter(subject__site=site)
    tab = request.GET.get("state", "open")
    if tab not in TABS:
        raise Http404
    counts = {name: rows.filter(state__in=states).count() for name, states in TABS.items()}
    page = Paginator(rows.filter(state__in=TABS[tab]), PER_PAGE).get_page(request.GET.get("page"))
    labels = {"open": _("Open"), "answered": _("Answered"), "ended": _("Closed")}
    context = {
        "tabs": [{"key": key, "label": labels[key], "count": counts[key], "active": key == tab} for key in TABS],
        "tab": tab,
        "page": page,
        "rows": [describe(query) for query in page.object_list],
    }
    return render(request, "worklists/queries.html", context)


@requires("query.view")
def query(request: SignedInRequest, pk: int) -> HttpResponse:
    """One query: thread, link to the field, and what the person may do next."""
    row = visible_queries(request).filter(pk=pk).first()
    if row is None:
        raise Http404
    site_id = row.subject.site_id
    answers, closes = (may(request.user, action, site_id) for action in ("query.answer", "query.close"))
    # name -> what it does, whether the person may, whether the query is where it starts from
    verbs = {
        "answer": (queries.answer, answers, row.state == Query.State.OPEN),
        "reopen": (queries.reopen, closes, row.state == Query.State.ANSWERED),
        "close": (queries.close, closes, row.live),
    }
    form = MessageForm(request.POST or None)
    if request.method == "POST":
        if request.POST.get("verb") not in verbs:
            raise Http404
        verb, right, fits = verbs[request.POST["verb"]]
        if not right:
            raise PermissionDenied
        if form.is_valid():
            try:
                if row.live and not fits:
                    form.add_error(None, _("Someone else wrote here meanwhile. Your message was not saved."))
                else:
                    verb(request.user, row, form.cleaned_data["text"])
                    messages.success(request, _("Saved."))
                    return redirect("query", pk=pk)
            except queries.QueryNotOpen:
                form.add_error(None, _("This query was closed meanwhile. Your message was not saved."))
    context = {
        **describe(row),
        "thread": of_subject(row.subject, QueryMessage).filter(query=row).select_related("by"),
        "message_form": form,
        "verbs": [name for name, (_verb, right, fits) in verbs.items() if right and fits],
    }
    return render(request, "worklists/query.html", context, status=422 if form.errors else 200)


@requires("query.raise")
def query_new(request: SignedInRequest, code: str, spec_code: str, pk: int) -> HttpResponse:
    """Ask about one item of a saved CRF."""
    spec = get_spec(spec_code)
    subject = get_record(request.user, Subject, "query.raise", code=code)
    record = get_record(request.user, spec.model, "crf.view", pk=pk, subject=subject)
    form = QuestionForm(request.POST or None, initial={"item": request.GET.get("item", "")})
    form.fields["item"].choices = [  # type: ignore[attr-defined]
        *((item.name, spec.label(item.name)) for item in spec.items()),
        *((group.key, _(str(group.title))) for group in spec.rows),
    ]
    if form.is_valid():
        made = queries.raise_query(
            request.user,
            subject=subject,
            site_id=subject.site_id,
            spec_code=spec.code,
            record_id=record.pk,
            event=getattr(record, "event", spec.event),
            item=form.cleaned_data["item"],
            text=form.cleaned_data["text"],
        )
        messages.success(request, _("The query is open."))
        return redirect("query", pk=made.pk)
    title = _("Query on %(form)s of %(code)s") % {"form": _(str(spec.title)), "code": code}
    back = crf_url(spec, code, record_key(spec, record.pk, getattr(record, "event", "")))
    context = {"title": title, "form": form, "back_url": back, "button": _("Open the query")}
    return render(request, "access/form.html", context, status=422 if form.errors else 200)
