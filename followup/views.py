"""Screens of follow-up beside the CRFs: the reminders of one's sites."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from followup import reminders
from followup.models import Reminder, ReminderState
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, requires, sites_for
from spinetrial.protocol import CURRENT, events

PER_PAGE = 50


class StopForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Why is it stopped?"), max_length=500)


@requires("worklist.view")
def reminder_list(request: SignedInRequest) -> HttpResponse:
    """Reminders of the person's sites with their state, the newest due date first."""
    rows = list_records(request.user, Reminder, "worklist.view").select_related("subject__site", "recipient")
    site = chosen_site(request, "worklist.view")
    if site is not None:
        rows = rows.filter(subject__site=site)
    state = request.GET.get("state", "")
    if state in ReminderState.values:
        rows = rows.filter(state=state)
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    may_stop = sites_for(request.user, "crf.enter")
    context = {
        "page_obj": page,
        "rows": [
            {
                "reminder": row,
                "code": row.subject.code,
                "visit": events.event_title(CURRENT, row.event, _),
                "zone": row.subject.site.timezone,
                "may_stop": row.state == ReminderState.PLANNED
                and (may_stop is None or row.subject.site_id in may_stop),
            }
            for row in page.object_list
        ],
        "tabs": [{"key": "", "label": _("All"), "active": state not in ReminderState.values}]
        + [{"key": value, "label": label, "active": value == state} for value, label in ReminderState.choices],
    }
    return render(request, "followup/reminders.html", context)


@requires("crf.enter")
def reminder_stop(request: SignedInRequest, pk: int) -> HttpResponse:
    """Ask for the reason, then stop a reminder that was not sent yet."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    reminder = get_record(request.user, Reminder, "crf.enter", pk=pk)
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            reminders.do_stop(request.user, reminder, form.cleaned_data["reason"])
        except reminders.NotPlanned:
            messages.error(request, _("This reminder was sent or stopped meanwhile. Nothing was changed."))
        else:
            messages.success(request, _("The reminder is stopped."))
        return redirect("reminders")
    context = {
        "form": form,
        "reminder": reminder,
        "code": reminder.subject.code,
        "visit": events.event_title(CURRENT, reminder.event, _),
    }
    return render(request, "followup/reminder_stop.html", context, status=422 if form.is_bound else 200)
