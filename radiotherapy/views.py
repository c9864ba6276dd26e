"""The radiotherapy page: fractions day by day, targets beside the consensus, plan and equivalent doses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from patients.milestones import milestones_of
from patients.models import SitesOfDisease, Subject
from radiotherapy import dose_figures, fractions
from radiotherapy.crfs import COURSE
from radiotherapy.fractions import Deviation, FractionDeviation
from radiotherapy.models import Course, Ending, Fraction, GapReason, TargetVertebra
from radiotherapy.record_fraction import (
    course_of,
    fraction_form,
    fractions_of,
    reason_for,
    targets_of,
    usual_dose,
)
from radiotherapy.targets import proposal
from spinetrial.access.gate import SignedInRequest, get_record, masked, may, of_subject, requires
from spinetrial.access.models import TrialState
from spinetrial.crf import save
from spinetrial.crf.display import display_value
from spinetrial.crf.views import ONCE_KEY, answers_url, edit_page, explanations_shown
from spinetrial.review import trial
from spinetrial.review.explanations import live_explanations
from spinetrial.terminology.sectors import SECTOR_LABELS, SECTORS, ring_closure


class FractionForm(forms.Form):
    """One fraction of the page. Its values go through the form of the course, which knows the rules."""

    number = forms.IntegerField(label=_("Fraction"), min_value=1, max_value=30, widget=forms.HiddenInput)
    seen_version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    date = forms.DateField(label=_("Date"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    given = forms.ChoiceField(
        label=_("Given"),
        choices=[("True", _("Yes")), ("False", _("No: left out for good"))],
        widget=forms.RadioSelect,
    )
    dose_gy = forms.DecimalField(label=_("Dose (Gy)"), max_digits=4, decimal_places=2, required=False)
    gap_reason = forms.ChoiceField(
        label=_("Reason, if late, left out, or not on a treatment day"),
        choices=[("", "---------"), *GapReason.choices],
        required=False,
    )
    remark = forms.CharField(label=_("Remark"), max_length=300, required=False)


def _subject(request: SignedInRequest, code: str) -> Subject:
    """The subject, for who may see plans and targets: they show the arm."""
    subject = get_record(request.user, Subject, "crf.view", code=code)
    if masked(request.user, subject.site_id):
        raise PermissionDenied
    return subject


def _may_enter(request: SignedInRequest, subject: Subject) -> bool:
    return may(request.user, COURSE.enter, subject.site_id) and TrialState.current().state == TrialState.State.OPEN


@requires("crf.view")
def radiotherapy(request: SignedInRequest, code: str) -> HttpResponse:
    """The course of one subject at a glance."""
    return _page(request, _subject(request, code))


@requires("crf.enter")
def radiotherapy_edit(request: SignedInRequest, code: str) -> HttpResponse:
    """Plan, targets, fractions and end as one form."""
    subject = _subject(request, code)
    return edit_page(request, COURSE, subject, done_url=reverse("radiotherapy", args=[subject.code]))


@requires("crf.enter")
@require_POST
def fraction_new(request: SignedInRequest, code: str) -> HttpResponse:
    """Record one fraction: the one click of today, or a date, a reason and a dose."""
    subject = _subject(request, code)
    if not may(request.user, COURSE.enter, subject.site_id):
        raise PermissionDenied
    data = request.POST.copy()
    if "today" in data:
        course = course_of(subject) or Course()
        data.update({"date": subject.site.today().isoformat(), "given": "True", "dose_gy": str(usual_dose(course))})
    form = FractionForm(data)
    if form.is_valid():
        values = dict(form.cleaned_data)
        version = values.pop("seen_version")
        values["given"] = values["given"] == "True"
        whole = fraction_form(subject, values, version)
        if whole.is_valid():
            try:
                save.save_record(whole, request.user, reason_for(values["number"]), request_id=request.request_id)
            except save.Conflict:
                form.add_error(
                    None,
                    _("Somebody else changed this course meanwhile. Nothing was saved; the page is up to date now."),
                )
            except trial.EntryClosed as refusal:
                form.add_error(None, save.describe_refusal(refusal))
            else:
                messages.success(request, _("Fraction %(number)s is recorded.") % {"number": values["number"]})
                return redirect("radiotherapy", subject.code)
        else:
            _take_over(form, whole.all_errors())
    return _page(request, subject, form, status=422)


def _take_over(form: FractionForm, errors: dict[str, list[str]]) -> None:
    """Messages of the course's form at the fields they are about, as far as this small form has them."""
    for name, texts in errors.items():
        field = name.rsplit("-", 1)[-1]
        own = name.startswith("fractions-") and field in form.fields
        for text in dict.fromkeys(texts):
            form.add_error(field if own else None, text)


# --- what the template needs ---


def _page(
    request: SignedInRequest, subject: Subject, form: FractionForm | None = None, status: int = 200
) -> HttpResponse:
    course = course_of(subject)
    shown = course or Course(subject=subject)
    rows, targets = fractions_of(subject), targets_of(subject)
    today = subject.site.today()
    milestones = milestones_of(subject)
    number = fractions.next_number(shown, rows)
    entry = _may_enter(request, subject) and milestones.randomized_on is not None and number is not None
    if entry and form is None:
        form = FractionForm(
            initial={
                "number": number,
                "seen_version": course.row_version if course else 0,
                "date": today,
                "given": "True",
                "dose_gy": usual_dose(shown),
            }
        )
    elif entry and form is not None and form.errors:
        version = course.row_version if course else 0
        form.data = {**form.data.dict(), "seen_version": str(version), "number": str(number)}  # type: ignore[attr-defined]
    elif form is not None:  # from a page that has meanwhile grown old: the form with its messages is not shown
        messages.error(request, _("No fraction can be recorded here now. Nothing was saved."))
    notes = fractions.deviations(rows)
    context = {
        "subject": subject,
        "course": course,
        "milestones": milestones,
        "state": course_state(shown, rows),
        "weeks": _weeks(shown, rows, notes, today),
        "notes": [{"number": note.number, "text": note_text(note), "explained": note.explained} for note in notes],
        "given": len(fractions.given(rows)),
        "form": form if entry else None,
        "next_number": number,
        "given_today": any(row.given and row.date == today for row in rows),
        "today": today,
        "figures": dose_figures.of_prescription(shown),
        "sectors": _sectors(subject, targets) if targets else None,
        "targets": [_target(target, shown) for target in targets],
        "plan": [
            (COURSE.label(name), told, "" if name in course.missing else COURSE.item(name).unit)
            for name in ("technique", "ptv_d95_gy", "ptv_v95_percent")
            if course and (told := display_value(course, name))
        ],
        "explanations": explanations_shown(
            COURSE, live_explanations(subject, COURSE.code, course.pk if course else None)
        ),
        "edit_url": reverse("radiotherapy_edit", args=[subject.code]) if _may_enter(request, subject) else "",
        "answers_url": answers_url(COURSE, subject.code, ONCE_KEY) if course else "",
        "history_url": (
            reverse("record_history", args=[subject.code, COURSE.code, course.pk])
            if course and may(request.user, "audit.view", subject.site_id)
            else ""
        ),
    }
    return render(request, "radiotherapy/course.html", context, status=status)


def course_state(course: Course, rows: list[Fraction]) -> Any:
    """Where the course stands, in a word."""
    if course.ending == Ending.NEVER_STARTED:
        return _("never started")
    if course.ending == Ending.STOPPED_EARLY:
        return _("stopped early")
    if fractions.finished(course, rows):
        return _("all fractions accounted for")
    if rows:
        return _("under way")
    return _("planned") if course.planned_start else _("not planned yet")


def note_text(note: FractionDeviation) -> Any:
    """A deviation in words."""
    if note.kind is Deviation.GAP:
        return ngettext(
            "%(days)s treatment day without a fraction before it",
            "%(days)s treatment days without a fraction before it",
            note.days,
        ) % {"days": note.days}
    if note.kind is Deviation.OFF_DAY:
        return _("not on a treatment day")
    if note.kind is Deviation.SAME_DAY:
        return _("second fraction on one day")
    return _("left out")


def _weeks(course: Course, rows: list[Fraction], notes: list[FractionDeviation], today: date) -> list[dict[str, Any]]:
    """Weeks from the first to the last fraction, given or to come; each has a cell per weekday."""
    to_come = fractions.days_to_come(course, rows, today)
    by_day: dict[date, list[dict[str, Any]]] = {}
    for row in rows:
        text = "; ".join(str(note_text(note)) for note in notes if note.number == row.number)
        by_day.setdefault(row.date, []).append(
            {"number": row.number, "state": "done" if row.given else "missed", "row": row, "note": text}
        )
    for number, day in to_come.items():
        by_day.setdefault(day, []).append({"number": number, "state": "planned", "row": None, "note": ""})
    if not by_day:
        return []
    first, last = min(by_day), max(by_day)
    monday = first - timedelta(days=first.weekday())
    weeks = []
    while monday <= last:
        week = [monday + timedelta(days=day) for day in range(7)]
        # a weekend day is shown only with a fraction on it
        days = [day for day in week if day.weekday() in fractions.TREATMENT_WEEKDAYS or day in by_day]
        weeks.append(
            {
                "monday": monday,
                "days": [
                    {
                        "date": day,
                        "name": WEEKDAYS_ABBR[day.weekday()],
                        "today": day == today,
                        "cells": by_day.get(day, []),
                    }
                    for day in days
                ],
            }
        )
        monday += timedelta(days=7)
    return weeks


def _sector_name(number: int) -> str:
    return str(_(SECTOR_LABELS[number])).partition(" - ")[2]


def _sectors(subject: Subject, targets: list[TargetVertebra]) -> dict[str, Any]:
    """The drawn sectors for partials/sector_table.html; consensus proposal hinted on the CTV side."""
    index = of_subject(subject, SitesOfDisease).values_list("index_level", flat=True).first()
    return {
        "caption": _("Sectors as drawn; the consensus proposal is hinted, never filled in"),
        "names": [_sector_name(n) for n in SECTORS],
        "readonly": True,
        "levels": [
            {
                "label": target.level,
                "index": target.level == index,
                "gtv": [{"name": "", "checked": n in target.gtv} for n in SECTORS],
                "ctv": [
                    {"name": "", "checked": n in target.ctv, "neighbour": n in proposal(target) and n not in target.ctv}
                    for n in SECTORS
                ],
            }
            for target in targets
        ],
    }


def _listed(sectors: frozenset[int]) -> str:
    return ", ".join(str(n) for n in sorted(sectors))


def _target(target: TargetVertebra, course: Course) -> dict[str, Any]:
    return {
        "level": target.level,
        "gtv": _listed(target.gtv),
        "ctv": _listed(target.ctv),
        "proposal": _listed(proposal(target)),
        "ring": _listed(ring_closure(target.gtv)),
        "structure": target.get_structure_display(),
        "dmax": target.structure_dmax_gy,
        "eqd2": dose_figures.structure_eqd2(target, course.prescribed_fractions),
        "above": dose_figures.above_limit(target, course.prescribed_fractions),
        "remark": target.sector_remark or target.get_ring_reason_display(),
    }
