"""The page of one subject: where the person stands, every form, pain and response, adverse events, queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from adverse_events.models import AdverseEvent
from followup.crfs import IMAGING, VISIT
from followup.lesions import ROLE_LABELS, lesion_table
from followup.models import LocalControl
from followup.responses import PainAtVisit, pain_of
from followup.working import working_of
from patients.models import (
    BaselineAnalgesic,
    BaselinePain,
    Demographics,
    DiseaseSite,
    ScreenFailure,
    SitesOfDisease,
    Subject,
)
from patients.pain import omed_of
from patients.sins import sins_of
from radiotherapy.models import Fraction
from randomization.arms import arm_of
from spinetrial.access.gate import SignedInRequest, list_records, masked, may, of_subject, requires
from spinetrial.access.models import TrialState
from spinetrial.analysis.overview import (
    FIXED_EVENTS,
    Overview,
    expected_specs,
    overviews,
    unexpected_forms,
    visit_specs,
)
from spinetrial.crf.content import Key
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.crf.state import State, not_entered
from spinetrial.crf.views import ONCE_KEY, crf_url, in_site_zone, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import VisitState, completed_years
from spinetrial.review.models import Query
from spinetrial.review.signatures import signature_state
from spinetrial.terminology.scales import SINS_CLASS_LABELS
from spinetrial.worklists.freezing import freezes_of, may_freeze_event
from spinetrial.worklists.prompts import open_prompts
from spinetrial.worklists.queries import describe, visible_queries
from spinetrial.worklists.signing import signature_acts
from spinetrial.worklists.timeline import pain_curve, timeline
from spinetrial.worklists.words import STAGES, cell_words


@dataclass(frozen=True)
class FormLink:
    title: str
    url: str
    state: str
    queries: int
    note: str = ""
    signature: str = ""  # "signed", "void" or never signed


@dataclass(frozen=True)
class Page:
    """What the cards of one subject are made from."""

    request: SignedInRequest
    row: Overview
    trial_state: str
    see_arm: bool
    signed: dict[Key, str]

    @property
    def may_freeze(self) -> bool:
        """Whether the person may freeze parts of the participant now."""
        return self.trial_state == "open" and may(self.request.user, "trial.freeze", self.row.subject.site_id)

    def link(self, spec: CrfSpec, key: str, record_id: int | None, blank: State, *, note: str = "") -> FormLink:
        """A form with its state; `blank` is the state of one not entered."""
        tally = not_entered(blank) if record_id is None else self.row.forms[spec.code, record_id]
        return FormLink(
            title=_(str(spec.title)),
            url=crf_url(spec, self.row.subject.code, key),
            state=tally.state,
            queries=tally.queries,
            note=note,
            signature=self.signed.get((spec.code, record_id or 0), ""),
        )

    def record_of(self, spec: CrfSpec) -> int | None:
        """Number of the only record of a form kept once."""
        return next((pk for code, pk in self.row.forms if code == spec.code), None)


@requires("subject.view")
@in_site_zone
def subject(request: SignedInRequest, subject: Subject) -> HttpResponse:
    """Everything about one participant that the person may see."""
    user = request.user
    row = overviews(user, [subject])[0]
    live = list(
        visible_queries(request).filter(subject=subject, state__in=[Query.State.OPEN, Query.State.ANSWERED])
        if may(user, "query.view", subject.site_id)
        else ()
    )
    page = Page(
        request,
        row,
        TrialState.current().state,
        not masked(user, subject.site_id),
        signature_state([subject.pk]),
    )
    order = _events(row)
    pain_by_event = pain_of([subject], {subject.pk: row.visits})[subject.pk]
    pain = {event: pain_by_event[event] for event in order if event in pain_by_event}
    fractions = (
        list(
            list_records(user, Fraction, "crf.view").filter(subject=subject, given=True).values_list("date", flat=True)
        )
        if page.see_arm
        else []
    )
    demographics = of_subject(subject, Demographics).first()
    birth = demographics.birth_date if demographics else None
    context = {
        "subject": subject,
        "stage": STAGES[row.stage],
        "age": completed_years(birth, row.milestones.consent_date or subject.first_contact) if birth else None,
        "sex": demographics.get_sex_display() if demographics else "",
        "arm": arm_of(user, subject),
        "tl": timeline(row, fractions, subject.site.today()),
        "sp": pain_curve(_baseline(subject, pain), pain),
        "cards": [_card(page, event) for event in order],
        "first_unscheduled": next((event for event in order if events.is_unscheduled(CURRENT, event)), ""),
        "prompts": open_prompts(user, [row], {subject.pk: pain}).get(subject.pk, []),
        "lesions": _lesions(subject),
        "any_time": _any_time(page),
        "responses": _responses(subject, pain),
        "adverse_events": of_subject(subject, AdverseEvent).order_by("onset_date", "id"),
        "may_enter_ae": page.trial_state == "open"
        and not row.frozen.holds(subject.pk)
        and may(user, "ae.enter", subject.site_id),
        "queries": [describe(query) for query in live],
        "signature_acts": signature_acts(user, subject, who=False),
        "actions": _actions(page),
        "freezes": freezes_of(request, subject),
    }
    return render(request, "worklists/subject.html", context)


def _events(row: Overview) -> list[str]:
    """The events that have a card, in the order of the schedule; an unscheduled visit stands where its date puts it."""
    known = sorted({*FIXED_EVENTS, *row.cells}, key=lambda event: events.event_order(CURRENT, event))
    placed = [event for event in known if not events.is_unscheduled(CURRENT, event)]
    days = {"RAND": row.milestones.randomized_on, "RT": row.milestones.rt_start}
    days |= {visit.event: visit.actual or visit.planned.due for visit in row.visits}
    beside = [event for event in known if events.is_unscheduled(CURRENT, event)]
    for event in sorted(beside, key=lambda each: (days[each] is None, days[each], events.event_order(CURRENT, each))):
        day = days[event]
        before = [at for at, other in enumerate(placed) if (there := days.get(other)) and (day is None or there <= day)]
        placed.insert(max(before, default=placed.index("RAND")) + 1, event)
    return placed


def _lesions(subject: Subject) -> dict[str, Any] | None:
    """The lesions as a table: a row per vertebra, a column per imaging; None before there is any imaging."""
    table = lesion_table(subject)
    if not table.imaging:
        return None
    return {
        "columns": [
            {
                "title": events.event_title(CURRENT, event, _),
                "day": day,
                "url": crf_url(IMAGING, subject.code, event),
            }
            for event, day in table.imaging
        ],
        "rows": [
            {
                "level": lesion.level,
                "role": _(ROLE_LABELS[lesion.role]),
                "lesion": lesion.disease.get_lesion_display() if lesion.disease else "",
                "fracture": bool(lesion.disease and lesion.disease.fracture),
                "cells": [
                    {
                        "day": day,
                        "title": events.event_title(CURRENT, event, _),
                        "read": read,
                        "broken": bool(read and read.symptomatic is not None),
                        "doubt": bool(read and read.local_control == LocalControl.EQUIVOCAL),
                        "grown": bool(read and read.local_control == LocalControl.PROGRESSION),
                    }
                    for (event, day), read in zip(table.imaging, readings, strict=True)
                ],
            }
            for lesion, readings in table.rows
        ],
    }


def _card(page: Page, event: str) -> dict[str, Any]:
    cell, row = page.row.cells[event], page.row
    forms: list[FormLink] = []
    visit = next((each for each in row.visits if each.event == event), None)
    if event in FIXED_EVENTS:
        for spec in expected_specs(event):
            if spec.reveals_arm and not page.see_arm:
                continue
            if spec.keeping is Keeping.REPEATING:
                forms += _repeated(page, spec, cell.blank)
            else:
                forms.append(page.link(spec, ONCE_KEY, page.record_of(spec), cell.blank))
    elif visit is not None:
        entered = {"F.VISIT": visit.visit_id, "F.IMAGING": visit.imaging_id}
        forms = [page.link(spec, event, entered[spec.code], cell.blank) for spec in visit_specs()]
        forms += [page.link(spec, event, pk, cell.blank) for spec, pk in unexpected_forms(row, event)]
    note = ""
    if event == "RAND" and row.milestones.randomized_on:
        note = row.milestones.randomized_on.isoformat()
    elif event == "BL":
        note = _index_site(row.subject)
    elif event == "RT" and row.milestones.rt_start:
        note = _("%(given)s of %(planned)s fractions") % {
            "given": row.milestones.fractions_given,
            "planned": CURRENT.treatment.fractions,
        }
    elif visit is not None and visit.planned.unscheduled:
        note = visit.actual.isoformat() if visit.actual else ""
    elif cell.due and cell.closes and cell.timing not in (VisitState.DONE, VisitState.NOT_EXPECTED):
        note = _("due %(due)s, window to %(closes)s") % {"due": cell.due, "closes": cell.closes}
    return {
        "event": event,
        "title": events.event_title(CURRENT, event, _),
        "state": cell.state,
        "word": cell_words(cell),
        "note": note,
        "forms": forms,
        "freeze_url": reverse("freeze_event", args=[row.subject.code, event])
        if may_freeze_event(event) and page.may_freeze and not row.frozen.holds(row.subject.pk, event)
        else "",
        "randomize_url": reverse("randomize", args=[row.subject.code])
        if event == "RAND" and may(page.request.user, "randomize", row.subject.site_id)
        else "",
    }


def _index_site(subject: Subject) -> str:
    """Index site with its instability score, as far as they are recorded."""
    sites = of_subject(subject, SitesOfDisease).first()
    if sites is None or not sites.index_level:
        return ""
    text = _("Index site %(level)s") % {"level": sites.index_level}
    score = sins_of(sites, of_subject(subject, DiseaseSite))
    if score is not None:
        text += f" · SINS {score.total}: {_(SINS_CLASS_LABELS[score.stability])}"
    return text


def _repeated(page: Page, spec: CrfSpec, blank: State = State.NOT_EXPECTED) -> list[FormLink]:
    """A link per record of a repeating form, and one for the next while entry is open."""
    subject = page.row.subject
    records = [pk for code, pk in page.row.forms if code == spec.code]
    links = [
        page.link(spec, record_key(spec, pk, ""), pk, blank, note=str(number) if records[1:] else "")
        for number, pk in enumerate(records, 1)
    ]
    closed = page.trial_state != "open" or page.row.frozen.holds(subject.pk, spec.event)
    if not closed and may(page.request.user, spec.enter, subject.site_id):
        blank = State.NOT_EXPECTED if links else blank
        links.append(page.link(spec, "new", None, blank, note=_("new") if links else ""))
    return links


def _any_time(page: Page) -> list[FormLink]:
    """Forms nobody waits for (withdrawal, screen failure ...); adverse events have their own panel."""
    links: list[FormLink] = []
    for spec in all_specs():
        if spec.model is ScreenFailure and page.row.milestones.randomized_on:
            continue
        if spec.event != "ANY" or spec.model is AdverseEvent or (spec.reveals_arm and not page.see_arm):
            continue
        if spec.keeping is Keeping.REPEATING:
            links += _repeated(page, spec)
        elif page.row.entered[spec.code] or may(page.request.user, spec.enter, page.row.subject.site_id):
            links.append(page.link(spec, ONCE_KEY, page.record_of(spec), State.NOT_EXPECTED))
    return links


def _actions(page: Page) -> list[dict[str, Any]]:
    user, row = page.request.user, page.row
    site, code = row.subject.site_id, row.subject.code
    actions: list[dict[str, Any]] = []
    if may(user, "contacts.view", site):
        actions.append({"label": _("Contact"), "url": reverse("contact", args=[code]), "icon": "user"})
    if may(user, "casebook", site):
        actions.append(
            {"label": _("Site file"), "url": reverse("site_file_of", args=[row.subject.site.code]), "icon": "download"}
        )
    if page.trial_state != "locked" and may(user, "sign", site):
        actions.append({"label": _("Review and sign"), "url": reverse("sign", args=[code]), "icon": "sign"})
    if page.trial_state != "open":
        return actions
    if page.may_freeze and not row.frozen.holds(row.subject.pk):
        actions.append({"label": _("Freeze"), "url": reverse("freeze_subject", args=[code]), "icon": "lock"})
    if row.milestones.randomized_on and not row.frozen.holds(row.subject.pk) and CURRENT.unscheduled is not None:
        for spec, label in ((VISIT, _("Unscheduled visit")), (IMAGING, _("Unscheduled imaging"))):
            if may(user, spec.enter, site):
                actions.append({"label": label, "url": reverse("unscheduled", args=[code, spec.code]), "icon": "plus"})
    if row.stage == "eligible" and may(user, "randomize", site):
        actions.append({"label": _("Randomise"), "url": reverse("randomize", args=[code]), "primary": True})
    elif row.stage == "screening" and may(user, "subject.screen", site):
        actions.append({"label": _("Eligibility"), "url": reverse("eligibility", args=[code]), "primary": True})
    return actions


def _baseline(subject: Subject, pain: dict[str, PainAtVisit]) -> tuple[int | None, float | None]:
    """Baseline NRS 0-10 and OMED in mg/day; taken from any visit's working where there is one."""
    for at in pain.values():
        total = at.baseline_omed.total
        return at.baseline_pain, None if total is None else float(total)
    record = of_subject(subject, BaselinePain).first()
    if record is None:
        return None, None
    total = omed_of(of_subject(subject, BaselineAnalgesic), record.analgesics).total
    return record.nrs_worst, None if total is None else float(total)


def _responses(subject: Subject, pain: dict[str, PainAtVisit]) -> list[dict[str, Any]]:
    """The response of each visit with its working, and where it stands alone for print (D1)."""
    found = []
    for event, at in pain.items():
        working = working_of(at)
        found.append(
            {
                "event": working.event,
                "reading": working.readings[0],
                "working": working,
                "url": reverse("response", args=[subject.code, event]),
            }
        )
    return found
