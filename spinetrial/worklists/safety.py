"""Safety review: worst grades by term, the participants behind each count, the dose watch, a listing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from adverse_events.clocks import urgent_clock
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import PHASE_LABELS, AdverseEvent, GradePeriod, course_of, term_label
from adverse_events.safety import COLUMNS, GRADE_COLUMNS, GRADES, Line, Placement, placement, placement_of, tabulate
from adverse_events.views import serious_rows
from patients.models import Milestones
from randomization.arms import reveal_arms
from spinetrial.access.context import chosen_site, sites_of
from spinetrial.access.gate import SignedInRequest, list_records, requires, sites_for
from spinetrial.access.limits import limited
from spinetrial.access.models import User
from spinetrial.analysis.data import Column, Kind, Table, Value
from spinetrial.analysis.dose_watch import Sign, Source, Watched, watched
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.crf.views import crf_url
from spinetrial.exports.csvfile import write_csv
from spinetrial.protocol import CURRENT
from spinetrial.protocol import events as schedule
from spinetrial.protocol.model import Arm
from spinetrial.terminology import ctcae

COLUMN_LABELS = {
    "any": gettext_lazy("Any grade"),
    "ge2": gettext_lazy("Grade 2 or more"),
    "ge3": gettext_lazy("Grade 3 or more"),
    "related": gettext_lazy("Related to radiotherapy"),
}
WATCH_LABELS = {
    Watched.MYELOPATHY: gettext_lazy(
        "Myelopathy: myelitis of grade 2 or more, or cord injury of grade 2 or more on imaging"
    ),
    Watched.FRACTURE: gettext_lazy(
        "Vertebral fracture with symptoms: grade 2 or more, or hurting or harming on imaging"
    ),
}


@dataclass(frozen=True)
class Review:
    """The rows behind the page: every event, those of treated participants, and these participants by number."""

    every: list[AdverseEvent]
    events: list[AdverseEvent]
    treated: dict[int, Milestones]
    sites: frozenset[int]


def review_of(request: SignedInRequest) -> Review:
    """Events and treated participants at the person's sites, or at the one chosen. Three queries."""
    user, chosen = request.user, chosen_site(request, "safety.view")
    rows = list_records(user, AdverseEvent, "safety.view").select_related("subject__site")
    stones = list_records(user, Milestones, "safety.view").filter(rt_start__isnull=False)
    if chosen is not None:
        rows, stones = rows.filter(subject__site=chosen), stones.filter(subject__site=chosen)
    treated = {row.subject_id: row for row in stones.select_related("subject__site").order_by("subject__code")}
    every = list(rows.order_by("subject__code", "onset_date", "pk"))
    events = [event for event in every if event.subject_id in treated]
    sites = [chosen] if chosen else sites_of(user, "safety.view")
    return Review(every, events, treated, frozenset(site.pk for site in sites))


def may_compare(user: User, sites: frozenset[int]) -> bool:
    """Whether the person may see the arm at every site that is counted (D11)."""
    allowed = sites_for(user, "arm.view")
    return allowed is None or sites <= allowed


def _arms(request: SignedInRequest, review: Review) -> dict[str, frozenset[int]]:
    """The treated participants of each arm, by its code. Raises PermissionDenied for the masked."""
    if not may_compare(request.user, review.sites):
        raise PermissionDenied
    arm_of: dict[int, Arm] = reveal_arms(request.user, review.treated, "safety by arm")
    return {
        arm.code: frozenset(who for who, each in arm_of.items() if each.code == arm.code)
        for arm in CURRENT.arms
    }  # fmt: skip


@requires("safety.view")
@require_safe
def safety(request: SignedInRequest) -> HttpResponse:
    """Adverse events of the person's sites, both arms together or, with `?by=arm`, each for itself."""
    review = review_of(request)
    by_arm = request.GET.get("by") == "arm"
    everyone = frozenset(review.treated)
    groups = _arms(request, review) if by_arm else {"": everyone}
    moment = now()
    place, meddra = placement_of(review.events)
    context = {
        "meddra": meddra,
        "by_arm": by_arm,
        "may_compare": may_compare(request.user, review.sites),
        "grades": [] if by_arm else GRADES,
        "groups": [
            {"label": _(CURRENT.arm(code).name) if code else "", "n": len(members)}
            for code, members in groups.items()
        ],
        "columns": [COLUMN_LABELS[column] for column in COLUMNS],
        "terms": [
            _line(line, groups, () if by_arm else GRADE_COLUMNS)
            for line in tabulate(review.events, place)
        ],
        "watches": _watches(request, review),
        "serious": serious_rows(review.every, moment),
        "treated": len(review.treated),
        "with_event": len({event.subject_id for event in review.every}),
        "events": len(review.every),
        "others": len(review.every) - len(review.events),
        "overdue": sum(1 for event in review.every if (clock := urgent_clock(event)) and clock.missed(moment)),
        "version": ctcae.VERSION,
    }  # fmt: skip
    return render(request, "adverse_events/safety.html", context)


def _line(line: Line, groups: dict[str, frozenset[int]], grades: Iterable[str]) -> dict[str, Any]:
    def cell(column: str, code: str, *, of: bool) -> dict[str, Any]:
        count = len(line.members(column) & groups[code])
        asked = {"soc": line.soc, "term": line.term, "show": column, "arm": code}
        query = urlencode({key: value for key, value in asked.items() if value})
        return {
            "n": count,
            "of": len(groups[code]) if of else None,
            "url": f"{reverse('safety_participants')}?{query}" if count else "",
            "what": COLUMN_LABELS.get(column) or _("Grade %(grade)s") % {"grade": column.removeprefix("grade")},
        }

    return {
        "level": "term" if line.term else "soc" if line.soc else "all",
        "label": line.term_label or line.soc_label or _("Any adverse event"),
        "grades": [cell(column, code, of=False) for column in grades for code in groups],
        "cells": [cell(column, code, of=True) for column in COLUMNS for code in groups],
    }


def _watches(request: SignedInRequest, review: Review) -> list[dict[str, Any]]:
    def days(sign: Sign, end: date | None) -> str:
        if end is None:
            return ""
        return _("%(days)s days after the last fraction") % {"days": (sign.day - end).days}

    def row(subject: int, sign: Sign) -> dict[str, Any]:
        stones = review.treated[subject]
        code = stones.subject.code
        if sign.source is Source.EVENT:
            url, source = crf_url(ADVERSE_EVENT, code, str(sign.number)), _("Adverse event")
        else:
            url = reverse("crf", args=[code, "F.IMAGING", sign.visit])
            source = _("Imaging of %(visit)s") % {"visit": schedule.event_title(CURRENT, sign.visit, _)}
        return {
            "code": code,
            "url": url,
            "source": source,
            "level": sign.level,
            "grade": sign.grade or "",
            "day": sign.day,
            "after": days(sign, stones.rt_end),
        }

    return [
        {
            "label": WATCH_LABELS[watch.what],
            "n": len(watch.signs),
            "rows": [row(who, sign) for who in review.treated for sign in watch.signs.get(who, ())],
        }
        for watch in watched(request.user, review.events, review.treated)
    ]


@requires("safety.view")
@require_safe
def safety_participants(request: SignedInRequest) -> HttpResponse:
    """The participants one count stands for: `?soc=`, `term=`, `show=` (a column), `arm=`, as the table links them."""
    show, soc, term, arm = (request.GET.get(name, "") for name in ("show", "soc", "term", "arm"))
    review = review_of(request)
    place = placement(review.events)
    lines = tabulate(review.events, place)
    line = next((each for each in lines if (each.soc, each.term) == (soc, term)), None)
    if line is None or show not in (*COLUMNS, *GRADE_COLUMNS):
        raise Http404
    members = line.members(show)
    if arm:
        if arm not in {each.code for each in CURRENT.arms}:
            raise Http404
        members &= _arms(request, review)[arm]
    shown = [event for event in review.events if event.subject_id in members and _belongs(event, line, place)]
    context = {
        "title": line.term_label or line.soc_label or _("Any adverse event"),
        "column": COLUMN_LABELS.get(show) or _("Grade %(grade)s") % {"grade": show.removeprefix("grade")},
        "arm": _(CURRENT.arm(arm).name) if arm else "",
        "count": len(members),
        "treated": len(review.treated),
        "back": reverse("safety") + ("?by=arm" if arm else ""),
        "rows": [
            {
                "event": event,
                "code": event.subject.code,
                "term": term_label(event.ctcae_code),
                "url": crf_url(ADVERSE_EVENT, event.subject.code, str(event.pk)),
            }
            for event in shown
        ],
    }
    return render(request, "adverse_events/participants.html", context)


def _belongs(event: AdverseEvent, line: Line, place: Placement) -> bool:
    where = place(event)
    return (not line.soc and not line.term) or (where.soc == line.soc and line.term in ("", where.term))


_LISTING = (
    ("site", Kind.TEXT), ("participant", Kind.TEXT), ("event", Kind.INTEGER), ("verbatim", Kind.TEXT),
    ("organ_class", Kind.TEXT), ("term", Kind.TEXT), ("ctcae_code", Kind.TEXT), ("ctcae_version", Kind.TEXT),
    ("worst_grade", Kind.INTEGER), ("grade_course", Kind.LIST), ("start", Kind.DATE), ("end", Kind.DATE),
    ("outcome", Kind.TEXT), ("phase", Kind.TEXT), ("days_after_first_fraction", Kind.INTEGER),
    ("vertebra", Kind.TEXT), ("reported_at_visit", Kind.TEXT), ("worse_than_before", Kind.BOOLEAN),
    ("serious", Kind.BOOLEAN), ("by_radiotherapy", Kind.TEXT), ("by_cancer", Kind.TEXT),
    ("by_systemic_therapy", Kind.TEXT), ("by_other", Kind.TEXT), ("other_cause", Kind.TEXT), ("action", Kind.TEXT),
    ("treatment", Kind.TEXT),
)  # fmt: skip


@requires("safety.view")
@require_safe
@limited("export")
def safety_listing(request: SignedInRequest) -> HttpResponse:
    """Every adverse event of the person's sites as CSV, without names and arms; the trail keeps who took it."""
    user, chosen = request.user, chosen_site(request, "safety.view")
    rows = list_records(user, AdverseEvent, "safety.view").select_related("subject__site", "subject__milestones")
    if chosen is not None:
        rows = rows.filter(subject__site=chosen)
    events = list(rows.order_by("subject__code", "onset_date", "pk"))
    periods: dict[int, list[GradePeriod]] = {}
    stored: Any = list_records(user, GradePeriod, "safety.view").order_by("parent_id", "from_date")
    for parent, found in groupby(stored, key=lambda row: row.parent_id):
        periods[parent] = list(found)
    place = placement(events)
    cells = tuple(_listed(event, periods.get(event.pk, []), place) for event in events)
    with acting(user):
        record_event("safety listing exported", user_id=user.pk, detail={"rows": len(cells)})
    columns = tuple(Column(name, name, kind) for name, kind in _LISTING)
    response = HttpResponse(
        write_csv(Table("SAFETY", "Adverse events", False, columns, cells)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="spinetrial-adverse-events.csv"'
    return response


def _listed(event: AdverseEvent, periods: list[GradePeriod], place: Placement) -> tuple[Value, ...]:
    stones, where = event.subject.milestones, place(event)
    phase = event.phase(stones.rt_start, stones.rt_end if stones.rt_completed else None)
    return (
        event.subject.site.code, event.subject.code, event.pk, event.verbatim, where.soc_label, where.term_label,
        event.ctcae_code, event.ctcae_version, event.grade,
        [f"{day.isoformat()} {grade}" for day, grade in course_of(event, periods)],
        event.onset_date.isoformat(), event.end_date.isoformat() if event.end_date else None, event.outcome,
        _(PHASE_LABELS[phase]) if phase else None,
        (event.onset_date - stones.rt_start).days if stones.rt_start else None,
        event.vertebra, event.reported_visit, event.worse_than_before, event.serious, event.relation_radiotherapy,
        event.relation_disease, event.relation_systemic, event.relation_other, event.other_cause, event.action,
        event.treatment,
    )  # fmt: skip
