"""The screen of messages: what went out or will, to whom, and why not."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, requires, sites_for
from spinetrial.outbox.kinds import all_kinds, kind_of
from spinetrial.outbox.models import Message, MessageState
from spinetrial.outbox.send import NotPlanned, do_stop
from spinetrial.protocol import CURRENT, events

PER_PAGE = 50
CHIP = {"sent": "chip-ok", "failed": "chip-bad", "planned": "chip-info"}


class StopForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Why is it stopped?"), max_length=200)


def kind_label(code: str) -> str:
    """The kind's name in the reader's language; its code where no program knows it any more."""
    kind = kind_of(code)
    return _(kind.label) if kind else code


@requires("worklist.view")
def message_list(request: SignedInRequest) -> HttpResponse:
    """Messages of the person's sites with their state, the newest day first."""
    rows = list_records(request.user, Message, "worklist.view").select_related("site", "subject", "recipient")
    site = chosen_site(request, "worklist.view")
    if site is not None:
        rows = rows.filter(site=site)
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    kinds = {each.code: _(each.label) for each in all_kinds()}
    if state in MessageState.values:
        rows = rows.filter(state=state)
    if kind in kinds:
        rows = rows.filter(kind=kind)
    else:
        kind = ""
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    may_stop = sites_for(request.user, "crf.enter")
    context = {
        "page_obj": page,
        "rows": [
            {
                "message": row,
                "kind": kinds.get(row.kind, row.kind),
                "visit": events.event_title(CURRENT, row.event, _) if row.event else "",
                "why": _(row.why) if row.why else "",
                "chip": CHIP.get(row.state, ""),
                "may_stop": row.state == MessageState.PLANNED and (may_stop is None or row.site_id in may_stop),
            }
            for row in page.object_list
        ],
        "kinds": [{"key": code, "label": label, "active": code == kind} for code, label in kinds.items()],
        "kind": kind,
        "state": state if state in MessageState.values else "",
        "tabs": [{"key": "", "label": _("All"), "active": state not in MessageState.values}]
        + [{"key": value, "label": label, "active": value == state} for value, label in MessageState.choices],
    }
    return render(request, "outbox/messages.html", context)


@requires("crf.enter")
def message_stop(request: SignedInRequest, pk: int) -> HttpResponse:
    """Ask for the reason, then stop a message that was not sent yet."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    message = get_record(request.user, Message, "crf.enter", pk=pk)
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            do_stop(request.user, message, form.cleaned_data["reason"])
        except NotPlanned:
            messages.error(request, _("This message was sent or stopped meanwhile. Nothing was changed."))
        else:
            messages.success(request, _("The message is stopped."))
        return redirect("messages")
    context = {
        "form": form,
        "kind": kind_label(message.kind),
        "code": message.subject.code if message.subject else message.site.code,
    }
    return render(request, "outbox/message_stop.html", context, status=422 if form.is_bound else 200)
