"""Screens of the report of a serious event: its clocks and versions, signing, recording its way, missed deadlines."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from adverse_events.clocks import Clock, clocks_of
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.expectedness import propose
from adverse_events.facts import canonical, changes, digest, facts_of, lines_of
from adverse_events.forms import MissForm, SendingForm, SignReportForm
from adverse_events.models import AdverseEvent, SaeReport, term_label
from adverse_events.reports import (
    SENDING,
    EventChanged,
    Refused,
    do_explain_miss,
    do_record_sending,
    do_sign_report,
    misses_of,
    reports_of,
)
from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, may, of_subject, requires
from spinetrial.audit.clock import now
from spinetrial.crf.views import crf_url, in_site_zone
from spinetrial.protocol import CURRENT
from spinetrial.review.signatures import NotCertified, certified


def get_event(request: SignedInRequest, subject: Subject, pk: int, action: str = "crf.view") -> AdverseEvent:
    """The event of a subject obtained through the gate. Raises PermissionDenied and Http404."""
    return get_record(request.user, AdverseEvent, action, subject=subject, pk=pk)


def get_report(event: AdverseEvent, number: int) -> SaeReport:
    """A version of an event obtained through the gate. Raises Http404."""
    report = of_subject(event.subject, SaeReport).filter(event=event, number=number).first()
    if report is None:
        raise Http404
    return report


def clock_chip(clock: Clock, moment: Any) -> str:
    """How a clock is coloured; its words say the same."""
    if clock.missed(moment):
        return "chip-bad" if clock.running else "chip-info"
    if not clock.running:
        return "chip-ok"
    return "chip-warn"


@requires("crf.view")
@require_safe
@in_site_zone
def sae_reports(request: SignedInRequest, subject: Subject, pk: int) -> HttpResponse:
    """A serious event: how much time is left, what was reported, what changed since."""
    event = get_event(request, subject, pk)
    versions, misses, moment = reports_of(event), misses_of(event), now()
    if not event.serious and not versions:
        raise Http404
    found = []
    for report, before in zip(versions, [None, *versions], strict=False):
        found.append({"report": report, "changes": changes(before.facts, report.facts) if before else []})
    running = clocks_of(event)
    clocks = [
        {
            "clock": clock,
            "text": clock.countdown(moment),
            "chip": clock_chip(clock, moment),
            "missed": clock.missed(moment),
            "miss": misses.get(clock.code),
        }
        for clock in running
    ]
    shown = {clock.code for clock in running}
    may_record = may(request.user, "ae.enter", subject.site_id)
    context = {
        "subject": subject,
        "event": event,
        "term": term_label(event.ctcae_code),
        "clocks": clocks,
        # of a clock that no longer applies, because the event was corrected afterwards
        "earlier_misses": [(_(CURRENT.clock(code).label), miss) for code, miss in misses.items() if code not in shown],
        "versions": list(reversed(found)),
        "since": changes(versions[-1].facts, facts_of(event)) if versions else [],
        "event_url": crf_url(ADVERSE_EVENT, subject.code, str(event.pk)),
        "may_record": may_record,
        "may_sign": may(request.user, "sign", subject.site_id) and event.serious,
    }
    return render(request, "adverse_events/reports.html", context)


@requires("sign")
@sensitive_post_parameters("password", "code")
@in_site_zone
def sae_sign(request: SignedInRequest, subject: Subject, pk: int) -> HttpResponse:
    """Everything the next version says, what is new in it, and the signature."""
    event = get_event(request, subject, pk, "sign")
    versions = reports_of(event)
    facts = facts_of(event)
    seen = digest(canonical(facts))
    options: dict[str, Any] = {
        "user": request.user,
        "first": not versions,
        "certified": certified(request.user),
        "initial": {"seen": seen},
    }
    form = SignReportForm(request.POST if request.method == "POST" else None, **options)
    notice = "" if event.serious else _("The event is not serious: there is nothing to report.")
    if request.method == "POST" and form.confirmed(request, "signature", subject.pk):
        try:
            report = do_sign_report(
                request.user,
                event,
                seen=form.cleaned_data["seen"],
                kind=form.cleaned_data["kind"],
                comment=form.cleaned_data["comment"],
                open_reason=form.cleaned_data.get("open_reason", ""),
                certify=form.cleaned_data.get("certify", False),
            )
        except NotCertified:
            form.add_error(None, _("The first signature needs the certification."))
        except Refused as refusal:
            form.add_error(refusal.field or None, refusal.message)
            if isinstance(refusal, EventChanged):
                # what is there now is on the page, and is what a second press signs
                form.data = {**form.data.dict(), "seen": seen}  # type: ignore[attr-defined]
        else:
            kind = report.get_kind_display()
            messages.success(request, _("Signed: %(kind)s. Record below when it is sent.") % {"kind": kind})
            return redirect("sae_reports", subject.code, event.pk)
    context = {
        "subject": subject,
        "event": event,
        "term": term_label(event.ctcae_code),
        "lines": lines_of(facts),
        "changes": changes(versions[-1].facts, facts) if versions else [],
        "number": len(versions) + 1,
        "form": form,
        "notice": notice,
    }
    return render(request, "adverse_events/sign_report.html", context, status=422 if form.errors else 200)


@requires("ae.enter")
@in_site_zone
def sae_sending(request: SignedInRequest, subject: Subject, pk: int, number: int) -> HttpResponse:
    """When a signed version was sent, the authority's reference, the acknowledgement."""
    event = get_event(request, subject, pk, "ae.enter")
    report = get_report(event, number)
    form = SendingForm(request.POST if request.method == "POST" else None, instance=report)
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in SENDING}
        try:
            do_record_sending(request.user, report, values, form.cleaned_data["reason"])
        except Refused as refusal:
            form.add_error(refusal.field or None, refusal.message)
        else:
            messages.success(request, _("Recorded."))
            return redirect("sae_reports", subject.code, event.pk)
    context = {
        "title": _("Way of report %(number)d") % {"number": number},
        "subtitle": term_label(event.ctcae_code),
        "note": _("Times are those of the study site. Recording the first sending to the sponsor stops the clock."),
        "form": form,
        "subject": subject,
        "event": event,
    }
    return render(request, "adverse_events/report_form.html", context, status=422 if form.errors else 200)


@requires("ae.enter")
@in_site_zone
def sae_miss(request: SignedInRequest, subject: Subject, pk: int, clock: str) -> HttpResponse:
    """Why a deadline was missed: said once, kept for ever."""
    event = get_event(request, subject, pk, "ae.enter")
    if clock not in {each.code for each in CURRENT.safety_clocks}:
        raise Http404
    form = MissForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            do_explain_miss(request.user, event, clock, form.cleaned_data["reason"], form.cleaned_data["words"])
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Recorded."))
            return redirect("sae_reports", subject.code, event.pk)
    context = {
        "title": _("Why was the deadline missed?"),
        "subtitle": _(CURRENT.clock(clock).label),
        "note": _("What you save here is kept as it is."),
        "form": form,
        "subject": subject,
        "event": event,
    }
    return render(request, "adverse_events/report_form.html", context, status=422 if form.errors else 200)


@requires("crf.view")
@require_safe
def ctcae_expected(request: SignedInRequest) -> JsonResponse:
    """What the protocol's list says of `ctcae_code` and `grade`, as {"text"} for the hint beside the answer."""
    code, grade = request.GET.get("ctcae_code", "")[:10], request.GET.get("grade", "")
    if not code or grade not in ("1", "2", "3", "4", "5"):
        return JsonResponse({"text": ""})
    found = propose(code, int(grade))
    text = _("Proposed: unexpected.") if found.unexpected else _("Proposed: expected, so the answer is no.")
    return JsonResponse({"text": f"{text} {found.why}"})
