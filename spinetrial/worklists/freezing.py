"""Freezing and unfreezing a form, a visit or a participant on the screen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, masked, may, requires
from spinetrial.analysis.overview import FIXED_EVENTS
from spinetrial.crf.registry import get_spec
from spinetrial.crf.views import in_site_zone, record_url
from spinetrial.protocol import CURRENT, events
from spinetrial.review import freezes
from spinetrial.review.models import Freeze


class FreezeForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


@requires("trial.freeze")
@in_site_zone
def freeze_subject(request: SignedInRequest, subject: Subject) -> HttpResponse:
    """Freeze everything of a participant."""
    title = _("Freeze all data of %(code)s") % {"code": subject.code}
    return _ask(request, subject, title, reverse("subject", args=[subject.code]))


@requires("trial.freeze")
@in_site_zone
def freeze_event(request: SignedInRequest, subject: Subject, event: str) -> HttpResponse:
    """Freeze the forms of one event, entered or not."""
    if not may_freeze_event(event):
        raise Http404
    words = {"event": events.event_title(CURRENT, event, _), "code": subject.code}
    title = _("Freeze %(event)s of %(code)s") % words
    return _ask(request, subject, title, f"{reverse('subject', args=[subject.code])}#event-{event}", event=event)


@requires("trial.freeze")
@in_site_zone
def freeze_form(request: SignedInRequest, subject: Subject, spec_code: str, pk: int) -> HttpResponse:
    """Freeze one saved form."""
    spec = get_spec(spec_code)
    record: Any = get_record(request.user, spec.model, "trial.freeze", pk=pk, subject=subject)
    title = _("Freeze %(form)s of %(code)s") % {"form": _(str(spec.title)), "code": subject.code}
    return _ask(
        request,
        subject,
        title,
        record_url(spec, record, subject.code),
        event=getattr(record, "event", spec.event),
        spec_code=spec.code,
        record_id=record.pk,
    )


def may_freeze_event(event: str) -> bool:
    """Whether the event has forms to freeze together; the allocation has none."""
    return (event in FIXED_EVENTS and event != "RAND") or events.is_follow_up(CURRENT, event)


def _ask(request: SignedInRequest, subject: Subject, title: str, back: str, **part: Any) -> HttpResponse:
    """The reason, then the freeze."""
    form = FreezeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            freezes.do_freeze_part(request.user, subject, form.cleaned_data["reason"], **part)
        except freezes.AlreadyFrozen:
            messages.info(request, _("This was frozen before; nothing was changed."))
        else:
            messages.success(request, _("Frozen: these data cannot change until the freeze is lifted."))
        return redirect(back)
    note = _("What is frozen cannot be changed by anyone, nor anything be added. Queries can still be answered.")
    context = {"title": title, "form": form, "back_url": back, "button": _("Freeze"), "note": note}
    return render(request, "access/form.html", context, status=422 if form.is_bound else 200)


@requires("trial.freeze")
def freeze_lift(request: SignedInRequest, pk: int) -> HttpResponse:
    """End a freeze, with a reason."""
    freeze = get_record(request.user, Freeze, "trial.freeze", pk=pk)
    subject: Any = freeze.subject
    back = reverse("subject", args=[subject.code])
    form = FreezeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            freezes.do_lift(request.user, freeze, form.cleaned_data["reason"])
        except freezes.NotFrozen:
            messages.info(request, _("This freeze was lifted before; nothing was changed."))
        else:
            messages.success(request, _("The freeze is lifted."))
        return redirect(back)
    title = _("Lift the freeze of %(part)s of %(code)s") % {"part": part_in_words(freeze), "code": subject.code}
    context = {"title": title, "form": form, "back_url": back, "button": _("Lift the freeze")}
    return render(request, "access/form.html", context, status=422 if form.is_bound else 200)


def part_in_words(freeze: Freeze) -> str:
    """What a freeze covers."""
    if freeze.spec_code:
        spec = get_spec(freeze.spec_code)
        title = _(str(spec.title))
        visit = events.is_follow_up(CURRENT, freeze.event)
        return f"{title}, {events.event_title(CURRENT, freeze.event, _)}" if visit else title
    return events.event_title(CURRENT, freeze.event, _) if freeze.event else _("all data")


def freezes_of(request: SignedInRequest, subject: Subject) -> list[dict[str, Any]]:
    """The freezes in force of a participant; those of forms that reveal the arm only for the unmasked."""
    lifts, see_arm = may(request.user, "trial.freeze", subject.site_id), not masked(request.user, subject.site_id)
    return [
        {
            "part": part_in_words(freeze),
            "freeze": freeze,
            "lift_url": reverse("freeze_lift", args=[freeze.pk]) if lifts else "",
        }
        for freeze in freezes.live_freezes(subject)
        if see_arm or not freeze.spec_code or not get_spec(freeze.spec_code).reveals_arm
    ]
