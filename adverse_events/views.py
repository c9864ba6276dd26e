"""Screens of adverse events: the list of one participant, the safety page, the search for a CTCAE term."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from adverse_events.clocks import clocks_of, urgent_clock
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import CLOCK_LABELS, PHASE_LABELS, AdverseEvent, ClockState, term_label
from adverse_events.report_views import clock_chip
from adverse_events.safety import GRADES, count_terms, serious_events
from patients.milestones import milestones_of
from patients.models import Milestones, Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, may, requires
from spinetrial.access.models import TrialState
from spinetrial.audit.clock import now
from spinetrial.crf.views import crf_url
from spinetrial.terminology import ctcae

_CHIP = {
    ClockState.OVERDUE: "chip-bad",
    ClockState.DUE: "chip-warn",
    ClockState.REPORTED_LATE: "chip-info",
    ClockState.REPORTED: "chip-ok",
}


@requires("crf.view")
def event_list(request: SignedInRequest, code: str) -> HttpResponse:
    """Adverse events of one participant."""
    subject = get_record(request.user, Subject, "crf.view", code=code)
    milestones = milestones_of(subject)
    rt_end = milestones.rt_end if milestones.rt_completed else None
    moment = now()
    rows = []
    for event in list_records(request.user, AdverseEvent, "crf.view").filter(subject=subject):
        phase = event.phase(milestones.rt_start, rt_end)
        clock = urgent_clock(event)
        rows.append(
            {
                "event": event,
                "term": term_label(event.ctcae_code),
                "url": crf_url(ADVERSE_EVENT, subject.code, str(event.pk)),
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
        "new_url": crf_url(ADVERSE_EVENT, subject.code, "new") if may_enter and is_open else "",
    }
    return render(request, "adverse_events/events.html", context)


@requires("safety.view")
def safety(request: SignedInRequest) -> HttpResponse:
    """Adverse events of all the person's sites, pooled over the arms, and the clocks of the serious ones."""
    rows = list_records(request.user, AdverseEvent, "safety.view").select_related("subject__site")
    treated = list_records(request.user, Milestones, "safety.view").filter(rt_start__isnull=False)
    site = chosen_site(request, "safety.view")
    if site is not None:
        rows, treated = rows.filter(subject__site=site), treated.filter(subject__site=site)
    events = list(rows)
    terms: list[dict[str, Any]] = []
    for line in count_terms(events):
        if not terms or terms[-1]["soc"] != line.soc:
            terms.append({"soc": line.soc, "lines": []})
        terms[-1]["lines"].append(line)
    moment = now()
    serious = [
        {
            "event": each.event,
            "code": each.event.subject.code,
            "zone": each.event.subject.site.timezone,
            "term": term_label(each.event.ctcae_code),
            "url": crf_url(ADVERSE_EVENT, each.event.subject.code, str(each.event.pk)),
            "due": each.due,
            "clock": _(CLOCK_LABELS[each.clock]),
            "chip": _CHIP.get(each.clock, ""),
            "clocks": [
                {"label": clock.label, "text": clock.countdown(moment), "chip": clock_chip(clock, moment)}
                for clock in clocks_of(each.event)
            ],
        }
        for each in serious_events(events, moment)
    ]
    context = {
        "grades": GRADES,
        "terms": terms,
        "serious": serious,
        "treated": treated.count(),
        "with_event": len({event.subject_id for event in events}),
        "events": len(events),
        "overdue": sum(1 for event in events if (clock := urgent_clock(event)) and clock.missed(moment)),
        "version": ctcae.VERSION,
    }
    return render(request, "adverse_events/safety.html", context)
