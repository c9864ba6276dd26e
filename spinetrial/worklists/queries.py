"""Queries as people meet them: the list, one thread, from query to query, a new question about an item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from patients.models import Subject
from spinetrial.access.context import chosen_site, sites_of
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
from spinetrial.access.models import TrialState, User
from spinetrial.audit.clock import now
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.threads import list_filter, question
from spinetrial.crf.views import answers_url, crf_url, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.review import freezes, queries
from spinetrial.review.models import Query, QueryMessage

PER_PAGE = 50
TABS = {
    "open": [Query.State.OPEN],
    "answered": [Query.State.ANSWERED],
    "ended": [Query.State.CLOSED, Query.State.CANCELLED],
}
#: Choices of "older than"; any other number of days may be typed into the address.
AGES = (7, 14, 30, 60)


class MessageForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Message"), max_length=queries.LONGEST, widget=forms.Textarea(attrs={"rows": 3})
    )


class QuestionForm(forms.Form):
    item = forms.ChoiceField(label=gettext_lazy("Item"))
    text = forms.CharField(label=gettext_lazy("Question"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))
    assignee = forms.ChoiceField(label=gettext_lazy("Assigned to"), required=False)


def visible_queries(request: SignedInRequest) -> Any:
    """Queries the person may see; those on forms that reveal the arm are kept from the masked."""
    rows = list_records(request.user, Query, "query.view").select_related("subject__site", "opened_by", "assignee")
    if masked(request.user):
        rows = rows.exclude(spec_code__in=[spec.code for spec in all_specs() if spec.reveals_arm])
    return rows


def describe(query: Query) -> dict[str, Any]:
    """A query in words. `url` leads to its field: to answer it there, or to read."""
    spec = get_spec(query.spec_code)
    return {
        "query": query,
        "subject_code": query.subject.code,
        "site_code": query.subject.site.code,
        "form": _(str(spec.title)),
        "event": events.event_title(CURRENT, query.event, _) if query.event != "ANY" else "",
        "item": spec.label(query.item),
        "text": question(query),
        "days": ((query.closed_at or now()) - query.opened_at).days,
        "url": reverse("query_field", args=[query.pk]),
    }


# --- the list ---


@dataclass(frozen=True)
class ListFilter:
    """What the list is narrowed by, as it stands in the address. What cannot be read does not narrow."""

    state: str = ""
    site: str = ""
    form: str = ""
    mine: bool = False
    older: int | None = None

    @classmethod
    def of(cls, request: SignedInRequest) -> ListFilter:
        """Raises Http404 for a state there is not."""
        get = {name: str(value).replace("\0", "") for name, value in request.GET.items()}
        state, days = get.get("state", ""), get.get("older", "")
        if state and state not in TABS:
            raise Http404
        older = int(days) if days.isascii() and days.isdigit() and len(days) < 5 else None
        return cls(state, get.get("site", "")[:8], get.get("form", "")[:20], get.get("mine") == "1", older)

    def narrow(self, rows: QuerySet[Query], user: User) -> QuerySet[Query]:
        if self.site:
            rows = rows.filter(subject__site__code=self.site)
        if self.form:
            rows = rows.filter(spec_code=self.form)
        if self.mine:
            rows = rows.filter(Q(assignee=user) | Q(opened_by=user))
        if self.older is not None:
            rows = rows.filter(opened_at__lt=now() - timedelta(days=self.older))
        return rows

    def parameters(self, **change: Any) -> dict[str, str]:
        """For an address; `change` replaces single ones."""
        found = {"state": self.state, "site": self.site, "form": self.form, "mine": "1" if self.mine else "",
                 "older": "" if self.older is None else str(self.older), **change}  # fmt: skip
        return {name: str(value) for name, value in found.items() if value}


def _listed(request: SignedInRequest, narrowed: ListFilter) -> Any:
    rows = narrowed.narrow(visible_queries(request), request.user)
    site = chosen_site(request, "query.view")
    return rows.filter(subject__site=site) if site else rows


@requires("query.view")
@limited("search")
def query_list(request: SignedInRequest) -> HttpResponse:
    """Queries by state, oldest first."""
    return _list_page(request)


def _list_page(request: SignedInRequest, *, remark: str = "", error: str = "", ticked: list[int] | None = None) -> Any:
    user, narrowed = request.user, ListFilter.of(request)
    rows = _listed(request, narrowed)
    tab = narrowed.state or "open"
    counts = rows.order_by().aggregate(
        **{name: Count("pk", filter=Q(state__in=states)) for name, states in TABS.items()}
    )
    page = Paginator(rows.filter(state__in=TABS[tab]), PER_PAGE).get_page(request.GET.get("page"))
    labels = {"open": _("Open"), "answered": _("Answered"), "ended": _("Closed")}
    seen = urlencode({"from": "queries", **narrowed.parameters(state=tab)})
    sites = sites_of(user, "query.view")
    specs = [spec for spec in all_specs() if not (spec.reveals_arm and masked(user))]
    first = page.object_list[0].pk if page.object_list and tab != "ended" else None
    context = {
        "tabs": [
            {
                "key": key,
                "label": labels[key],
                "count": counts[key],
                "active": key == tab,
                "query": urlencode(narrowed.parameters(state=key)),
            }
            for key in TABS
        ],
        "tab": tab,
        "filter": narrowed,
        "sites": sites,
        "specs": [(spec.code, _(str(spec.title))) for spec in specs],
        "ages": sorted({*AGES, *([narrowed.older] if narrowed.older is not None else [])}),
        "page": page,
        "rows": [
            {**describe(query), "closes": tab == "answered" and may(user, "query.close", query.subject.site_id)}
            for query in page.object_list
        ],
        "seen": seen,
        "first": first,
        "may_close": tab == "answered" and may(user, "query.close"),
        "may_raise": may(user, "query.raise"),
        "remark": remark,
        "error": error,
        "ticked": ticked or [],
    }
    return render(request, "worklists/queries.html", context, status=422 if error else 200)


@requires("query.close")
@require_POST
def queries_close(request: SignedInRequest) -> HttpResponse:
    """Close the ticked answered queries with one remark. Those written to meanwhile stay, and are counted."""
    ids = [int(each) for each in request.POST.getlist("query") if each.isascii() and each.isdigit() and len(each) < 18]
    form = MessageForm(request.POST)
    closable = list_records(request.user, Query, "query.close").filter(pk__in=ids).values("pk")
    rows = list(visible_queries(request).filter(pk__in=closable))
    if not rows or not form.is_valid():
        error = _("Tick the queries to close.") if not rows else " ".join(map(str, form.errors["text"]))
        return _list_page(request, remark=request.POST.get("text", ""), error=error, ticked=ids)
    closed, skipped = queries.do_close_answered(request.user, rows, form.cleaned_data["text"])
    if closed:
        messages.success(request, _("Queries closed: %(n)d.") % {"n": closed})
    if skipped:
        messages.warning(
            request, _("Not closed, because somebody wrote to them or closed them meanwhile: %(n)d.") % {"n": skipped}
        )
    return redirect(f"{reverse('queries')}?{urlencode(ListFilter.of(request).parameters())}")


# --- from query to query ---


def field_url(user: User, query: Query, parameters: dict[str, str]) -> str:
    """The field of a query: in the form for those who can answer and correct there now, else as text."""
    spec, subject = get_spec(query.spec_code), query.subject
    key = record_key(spec, query.record_id, query.event)
    url = (
        crf_url(spec, subject.code, key, edit=True)
        if _edits(user, query, spec)
        else answers_url(spec, subject.code, key)
    )
    return f"{url}?{urlencode({**parameters, 'query': query.pk})}#item-{query.item}"


def _edits(user: User, query: Query, spec: CrfSpec) -> bool:
    subject: Any = query.subject
    if spec.page or not query.live or TrialState.current().state != TrialState.State.OPEN:
        return False
    if not (may(user, spec.enter, subject.site_id) and may(user, "query.answer", subject.site_id)):
        return False
    try:
        freezes.check_unfrozen(subject, query.event, query.spec_code, query.record_id)
    except freezes.PartFrozen:
        return False
    return True


@requires("query.view")
@require_safe
def query_field(request: SignedInRequest, pk: int) -> HttpResponse:
    """Lead to the field of a query, in the mode that fits the person and the moment."""
    row = visible_queries(request).filter(pk=pk).first()
    if row is None:
        raise Http404
    return HttpResponseRedirect(field_url(request.user, row, list_filter(request)))


@requires("query.view")
@require_safe
def query_next(request: SignedInRequest) -> HttpResponse:
    """Lead to the next live query of the person's list: oldest first, then from the start again."""
    narrowed = ListFilter.of(request)
    if narrowed.state in ("open", "answered"):
        states = TABS[narrowed.state]
    else:
        states = TABS["open"] if may(request.user, "query.answer") else [*queries.LIVE]
    rows = _listed(request, narrowed).filter(state__in=states).order_by("opened_at", "pk")
    number = request.GET.get("query", "")
    here = None
    if number.isascii() and number.isdigit() and len(number) < 18:
        here = visible_queries(request).filter(pk=int(number)).first()
        rows = rows.exclude(pk=int(number))
    found = None
    if here is not None:
        later = Q(opened_at__gt=here.opened_at) | Q(opened_at=here.opened_at, pk__gt=here.pk)
        found = rows.filter(later).first()
    found = found or rows.first()
    parameters = {"from": "queries", **narrowed.parameters()}
    if found is None:
        messages.info(request, _("There is no other query in your list."))
        return HttpResponseRedirect(f"{reverse('queries')}?{urlencode(narrowed.parameters())}")
    return HttpResponseRedirect(field_url(request.user, found, parameters))


# --- one query ---


def _assign(person: str, site: Any) -> User | None:
    """The chosen person, None for the whole site. Raises NotAssignable."""
    if not person:
        return None
    found = next((each for each in queries.answerers(site) if str(each.pk) == person), None)
    if found is None:
        raise queries.NotAssignable
    return found


@requires("query.view")
def query(request: SignedInRequest, pk: int) -> HttpResponse:
    """One query: thread, link to the field, and what the person may do next."""
    row = visible_queries(request).filter(pk=pk).first()
    if row is None:
        raise Http404
    user, site = request.user, row.subject.site
    assigns = row.live and any(may(user, action, site) for action in ("query.raise", "query.answer"))
    form = MessageForm(request.POST if request.method == "POST" and request.POST.get("verb") != "assign" else None)
    if request.method == "POST":
        verb = request.POST.get("verb", "")
        done = _assigned(request, row) if verb == "assign" else _said(request, row, verb, form)
        if done is not None:
            return done
        row.refresh_from_db(fields=["state", "assignee"])
    with timezone.override(site.zone):
        context = {
            **describe(row),
            "thread": of_subject(row.subject, QueryMessage).filter(query=row).select_related("by"),
            "message_form": form,
            "verbs": queries.verbs_for(user, row, site.pk),
            "people": queries.answerers(site) if assigns else [],
            "next": request.POST.get("next", ""),
            "parameters": urlencode({**list_filter(request), "query": str(pk)}),
        }
        return render(request, "worklists/query.html", context, status=422 if form.errors else 200)


def _said(request: SignedInRequest, row: Query, name: str, form: MessageForm) -> HttpResponse | None:
    """Take one step of the query with the words of the form; None if it could not be taken, which the form tells."""
    verb = queries.VERBS.get(name)
    if verb is None:
        raise Http404
    if not may(request.user, verb.action, row.subject.site_id):
        raise PermissionDenied
    if not form.is_valid():
        return None
    try:
        if row.live and row.state not in verb.start:
            raise queries.MovedOn
        verb.act(request.user, row, form.cleaned_data["text"])
    except queries.MovedOn:
        form.add_error(None, _("Someone else wrote here meanwhile. Your message was not saved."))
    except queries.QueryNotOpen:
        form.add_error(None, _("This query was closed meanwhile. Your message was not saved."))
    else:
        messages.success(request, _("Saved."))
        return _back(request, row)
    return None


def _assigned(request: SignedInRequest, row: Query) -> HttpResponse:
    try:
        queries.assign(request.user, row, _assign(request.POST.get("assignee", ""), row.subject.site))
    except queries.QueryNotOpen:
        messages.error(request, _("This query was closed meanwhile."))
    except queries.NotAssignable:
        messages.error(request, _("Queries of this site cannot be assigned to this person."))
    else:
        messages.success(request, _("Saved."))
    return _back(request, row)


def _back(request: SignedInRequest, row: Query) -> HttpResponse:
    """To the page the step was taken on."""
    goal = request.POST.get("next", "")
    if not goal.startswith("/") or not url_has_allowed_host_and_scheme(goal, {request.get_host()}):
        parameters = urlencode(list_filter(request))
        goal = reverse("query", args=[row.pk]) + (f"?{parameters}" if parameters else "")
    return HttpResponseRedirect(goal)


def items_to_ask(spec: CrfSpec) -> list[tuple[str, str]]:
    """What a question can be about: every item and every group of rows."""
    return [
        *((item.name, spec.label(item.name)) for item in spec.items()),
        *((group.key, _(str(group.title))) for group in spec.rows),
    ]


@requires("query.raise")
def query_new(request: SignedInRequest, code: str, spec_code: str, pk: int) -> HttpResponse:
    """Ask about one item of a saved CRF."""
    spec = get_spec(spec_code)
    subject = get_record(request.user, Subject, "query.raise", code=code)
    record = get_record(request.user, spec.model, "crf.view", pk=pk, subject=subject)
    form = QuestionForm(request.POST or None, initial={"item": request.GET.get("item", "")})
    form.fields["item"].choices = items_to_ask(spec)  # type: ignore[attr-defined]
    form.fields["assignee"].choices = [  # type: ignore[attr-defined]
        ("", _("The whole site")),
        *((str(person.pk), str(person)) for person in queries.answerers(subject.site)),
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
            assignee=_assign(form.cleaned_data["assignee"], subject.site),
        )
        messages.success(request, _("The query is open."))
        return redirect("query", pk=made.pk)
    title = _("Query on %(form)s of %(code)s") % {"form": _(str(spec.title)), "code": code}
    back = crf_url(spec, code, record_key(spec, record.pk, getattr(record, "event", "")))
    context = {"title": title, "form": form, "back_url": back, "button": _("Open the query")}
    return render(request, "access/form.html", context, status=422 if form.errors else 200)
