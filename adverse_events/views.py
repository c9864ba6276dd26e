"""Screens of adverse events: the list of one participant and the search for a CTCAE term."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from adverse_events.baseline import conditions_of
from adverse_events.clocks import clocks_of, urgent_clock
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import (
    PHASE_LABELS,
    AdverseEvent,
    GradePeriod,
    course_of,
    term_label,
)
from adverse_events.report_views import clock_chip
from adverse_events.safety import serious_events
from patients.milestones import milestones_of
from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, list_records, may, of_subject, requires
from spinetrial.access.models import TrialState
from spinetrial.audit.clock import now
from spinetrial.crf.views import crf_url


@requires("crf.view")
def event_list(request: SignedInRequest, code: str) -> HttpResponse:
    """Adverse events of one participant."""
    subject = get_record(request.user, Subject, "crf.view", code=code)
    milestones = milestones_of(subject)
    rt_end = milestones.rt_end if milestones.rt_completed else None
    moment = now()
    periods = of_subject(subject, GradePeriod).order_by("parent_id", "from_date")
    by_event = {event: list(rows) for event, rows in groupby(periods, key=lambda row: row.parent_id)}
    rows = []
    for event in list_records(request.user, AdverseEvent, "crf.view").filter(subject=subject):
        phase = event.phase(milestones.rt_start, rt_end)
        clock = urgent_clock(event)
        rows.append(
            {
                "event": event,
                "term": term_label(event.ctcae_code),
                "url": crf_url(ADVERSE_EVENT, subject.code, str(event.pk)),
                "course": course_of(event, by_event.get(event.pk, [])),
                "phase": _(PHASE_LABELS[phase]) if phase else "",
                "clock": clock.countdown(moment) if clock else _("Reported"),
                "chip": clock_chip(clock, moment) if clock else "chip-ok",
            }
        )
    may_enter = may(request.user, ADVERSE_EVENT.enter, subject.site_id)
    is_open = TrialState.current().state == TrialState.State.OPEN
    context = {
        "subject": subject,
        "rows": rows,
        "conditions": [condition.label for condition in conditions_of(subject)],
        "new_url": crf_url(ADVERSE_EVENT, subject.code, "new") if may_enter and is_open else "",
    }
    return render(request, "adverse_events/events.html", context)


def serious_rows(events: Iterable[AdverseEvent], moment: datetime) -> list[dict[str, Any]]:
    """The serious events (with `subject__site`) for the safety page, what is overdue first."""
    return [
        {
            "event": event,
            "code": event.subject.code,
            "zone": event.subject.site.timezone,
            "term": term_label(event.ctcae_code),
            "url": crf_url(ADVERSE_EVENT, event.subject.code, str(event.pk)),
            "clocks": [
                {"label": clock.label, "text": clock.countdown(moment), "chip": clock_chip(clock, moment)}
                for clock in clocks_of(event)
            ],
        }
        for event in serious_events(events)
    ]
