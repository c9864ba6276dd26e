"""What waits for this person, by deadline: the first screen of most roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adverse_events.clocks import running_clocks
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent
from adverse_events.reports import unexplained_misses
from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, list_records, may, requires
from spinetrial.access.models import TrialState
from spinetrial.analysis.overview import Overview, expected_specs, overviews, visit_specs
from spinetrial.analysis.visit_events import Contradiction, mismatches
from spinetrial.audit.clock import now
from spinetrial.crf.draft_views import entry_url
from spinetrial.crf.drafts import clock_text, unfinished
from spinetrial.crf.spec import Keeping
from spinetrial.crf.views import ONCE_KEY, crf_url
from spinetrial.protocol import CURRENT, events
from spinetrial.review.models import Query
from spinetrial.worklists.prompts import open_prompts
from spinetrial.worklists.queries import describe, visible_queries
from spinetrial.worklists.signing import awaiting_signature
from spinetrial.worklists.words import state_word


@dataclass(frozen=True)
class Task:
    """One thing to do. `due` None: no deadline of its own."""

    what: str
    url: str
    subject: Subject | None
    due: date | None
    today: date
    action: str = ""
    state: str = ""
    left: str = ""  # what is left of a clock, or by how much it was missed, instead of days late

    def as_row(self) -> dict[str, Any]:
        late = (self.today - self.due).days if self.due else 0
        return {
            "what": self.what,
            "url": self.url,
            "subject_code": self.subject.code if self.subject else "",
            "subject_url": reverse("subject", args=[self.subject.code]) if self.subject else "",
            "state": self.state,
            "state_label": state_word(self.state) if self.state else "",
            "due": self.due,
            "late": self.left
            or (ngettext("%(days)d day late", "%(days)d days late", late) % {"days": late} if late > 0 else ""),
            "action": self.action,
        }


@requires("worklist.view")
def worklist(request: SignedInRequest) -> HttpResponse:
    """Tasks in the order of their deadlines: overdue, today, this week, later, without date."""
    user = request.user
    site = chosen_site(request, "worklist.view")
    subjects = list_records(user, Subject, "subject.view").select_related("site")
    if site:
        subjects = subjects.filter(site=site)
    state = TrialState.current().state
    tasks: list[Task] = []
    if state == TrialState.State.OPEN and (may(user, "crf.enter") or may(user, "imaging.enter")):
        rows = overviews(user, list(subjects))
        for row in rows:
            tasks += _entry_tasks(request, row)
        tasks += _prompt_tasks(request, rows)
        tasks += _event_tasks(request, rows)
        tasks += _draft_tasks(request, site)
    if may(user, "safety.view"):
        tasks += _safety_tasks(request, site)
    if may(user, "query.view"):
        tasks += _query_tasks(request, site)
    if state != TrialState.State.LOCKED and may(user, "sign"):
        tasks += _signing_tasks(request, site)
    tasks += _trial_tasks(request, state)
    context = {
        "groups": _grouped(tasks),
        "count": len(tasks),
        "may_screen": may(user, "subject.screen"),
        "may_see_messages": may(user, "crf.enter"),
    }
    return render(request, "worklists/worklist.html", context)


def _entry_tasks(request: SignedInRequest, row: Overview) -> Iterator[Task]:
    user, subject, stones = request.user, row.subject, row.milestones
    today = subject.site.today()
    full = may(user, "crf.enter", subject.site_id)
    for visit in row.visits:
        if visit.state.value not in ("in_window", "due", "overdue") or row.frozen.holds(subject.pk, visit.event):
            continue
        title = events.event_title(CURRENT, visit.event, _)
        for spec in visit_specs():
            missing = visit.visit_id is None if spec.code == "F.VISIT" else visit.imaging_id is None
            if missing and may(user, spec.enter, subject.site_id):
                yield Task(
                    f"{title}: {_(str(spec.title))}",
                    crf_url(spec, subject.code, visit.event, edit=True),
                    subject,
                    visit.planned.due,
                    today,
                    _("Enter"),
                    visit.state.value,
                )
    if not full or row.frozen.holds(subject.pk):
        return
    if row.stage == "screening":
        missing_specs = [
            spec
            for event in ("SCR", "BL")
            for spec in expected_specs(event)
            if not row.entered[spec.code] and not spec.page
        ]
        if missing_specs:
            spec = missing_specs[0]
            key = "new" if spec.keeping is Keeping.REPEATING else ONCE_KEY
            more = len(missing_specs) - 1
            what = _("Screening: %(form)s") % {"form": _(str(spec.title))}
            if more:
                what += " " + ngettext("(and %(n)d more form)", "(and %(n)d more forms)", more) % {"n": more}
            yield Task(what, crf_url(spec, subject.code, key, edit=True), subject, None, today, _("Enter"), "partial")
        else:
            url = reverse("eligibility", args=[subject.code])
            yield Task(_("Check eligibility"), url, subject, None, today, _("Check"), "due")
    elif row.stage == "eligible":
        url = reverse("randomize", args=[subject.code])
        yield Task(_("Randomise"), url, subject, None, today, _("Randomise"), "due")
    elif row.stage == "randomised" and not stones.never_irradiated:
        given, planned = stones.fractions_given, CURRENT.treatment.fractions
        what = (
            _("Radiotherapy: %(given)s of %(planned)s fractions") % {"given": given, "planned": planned}
            if given
            else _("Radiotherapy to start")
        )
        url = reverse("radiotherapy", args=[subject.code])
        yield Task(what, url, subject, None, today, _("Enter"), "in_window" if given else "due")


def _draft_tasks(request: SignedInRequest, site: Any) -> Iterator[Task]:
    """Forms the person began and did not save."""
    for draft, spec in unfinished(request.user):
        subject: Any = draft.subject
        if site and subject.site_id != site.pk:
            continue
        words = {"form": _(str(spec.title)), "time": clock_text(draft.saved_at, subject)}
        what = _("Unfinished draft: %(form)s, saved %(time)s") % words
        url = entry_url(spec, subject.code, draft.key)
        yield Task(what, url, subject, None, subject.site.today(), _("Go on"), "partial")


def _prompt_tasks(request: SignedInRequest, rows: list[Overview]) -> Iterator[Task]:
    """What the data themselves ask for and the person can answer: assess again, look at the spine, enter an event."""
    found = open_prompts(request.user, rows)
    for row in rows:
        for each in found.get(row.subject.pk, ()):
            if each.url:
                due, today = each.prompt.by, row.subject.site.today()
                yield Task(each.text, each.url, row.subject, due, today, _("Enter"), each.state)


def _event_tasks(request: SignedInRequest, rows: list[Overview]) -> Iterator[Task]:
    """Visits and adverse event forms that contradict each other."""
    if not may(request.user, "ae.enter"):
        return
    found = mismatches(request.user, [row.subject.pk for row in rows])
    for row in rows:
        subject = row.subject
        if subject.pk not in found or not may(request.user, "ae.enter", subject.site_id):
            continue
        for each in found[subject.pk]:
            words = {"visit": events.event_title(CURRENT, each.visit, _), "n": len(each.events)}
            if each.kind is Contradiction.NONE_ENTERED:
                what = _("%(visit)s reports an adverse event: enter it") % words
                yield Task(what, crf_url(ADVERSE_EVENT, subject.code, "new"), subject, None, subject.site.today(),
                           _("Enter"), "due")  # fmt: skip
            else:
                what = (
                    ngettext(
                        "%(visit)s says no adverse event, but %(n)d is recorded: correct one of them",
                        "%(visit)s says no adverse event, but %(n)d are recorded: correct one of them",
                        len(each.events),
                    )
                    % words
                )
                url = reverse("adverse_events", args=[subject.code])
                yield Task(what, url, subject, None, subject.site.today(), _("Check"), "due")


def _safety_tasks(request: SignedInRequest, site: Any) -> Iterator[Task]:
    """Serious events a report is waited for, by their most urgent clock (D20), and misses nobody gave a reason for."""
    rows = list_records(request.user, AdverseEvent, "safety.view").filter(aware_at__isnull=False)
    if site:
        rows = rows.filter(subject__site=site)
    moment = now()
    events = list(rows.select_related("subject__site"))
    for event, clock in running_clocks(events):
        subject = event.subject
        words = {"term": event.display_ctcae_code(), "clock": clock.label}
        what = _("Report serious event: %(term)s (%(clock)s)") % words
        url = reverse("sae_reports", args=[subject.code, event.pk])
        state = "overdue" if clock.missed(moment) else "due"
        local = clock.due.astimezone(subject.site.zone).date()
        yield Task(what, url, subject, local, subject.site.today(), _("Report"), state, left=clock.countdown(moment))
    if not may(request.user, "ae.enter"):
        return
    for event, clock in unexplained_misses(request.user, events, moment):
        subject = event.subject
        words = {"term": event.display_ctcae_code(), "clock": clock.label}
        what = _("Say why the deadline was missed: %(term)s (%(clock)s)") % words
        url = reverse("sae_miss", args=[subject.code, event.pk, clock.code])
        local = clock.due.astimezone(subject.site.zone).date()
        yield Task(what, url, subject, local, subject.site.today(), _("Explain"), "overdue")


def _query_tasks(request: SignedInRequest, site: Any) -> Iterator[Task]:
    """Open queries for those who answer, answered ones for those who close."""
    user = request.user
    wanted = []
    if may(user, "query.answer"):
        wanted.append(Query.State.OPEN)
    if may(user, "query.close"):
        wanted.append(Query.State.ANSWERED)
    rows = visible_queries(request).filter(state__in=wanted)
    if site:
        rows = rows.filter(subject__site=site)
    for query in rows:
        subject: Any = query.subject
        words = describe(query)
        what = _("Query: %(item)s (%(form)s)") % {"item": words["item"], "form": words["form"]}
        action = _("Answer") if query.state == Query.State.OPEN else _("Check")
        url = reverse("query", args=[query.pk])
        yield Task(what, url, subject, None, subject.site.today(), action, "has_query")


def _signing_tasks(request: SignedInRequest, site: Any) -> Iterator[Task]:
    """Participants with complete forms to sign, those with void signatures said so."""
    subjects = list_records(request.user, Subject, "sign").select_related("site")
    if site:
        subjects = subjects.filter(site=site)
    rows = list(subjects)
    waiting = awaiting_signature(request.user, rows)
    for subject in rows:
        if subject.pk in waiting:
            url, what = reverse("sign", args=[subject.code]), waiting[subject.pk].what
            yield Task(what, url, subject, None, subject.site.today(), _("Sign"), "complete")


def _trial_tasks(request: SignedInRequest, state: str) -> Iterator[Task]:
    url, today = (reverse("trial") if may(request.user, "trial.view") else ""), now().date()
    if state == TrialState.State.FROZEN and may(request.user, "trial.lock"):
        yield Task(_("The trial is frozen and waits for the lock"), url, None, None, today, _("Lock"), "frozen")
    if state == TrialState.State.OPEN and may(request.user, "trial.freeze"):
        yield Task(_("Readiness for the freeze"), url, None, None, today, _("Look"), "")


def _grouped(tasks: list[Task]) -> list[dict[str, Any]]:
    groups: dict[str, list[Task]] = {"late": [], "today": [], "week": [], "later": [], "none": []}
    for task in tasks:
        if task.due is None:
            groups["none"].append(task)
        elif task.due < task.today:
            groups["late"].append(task)
        elif task.due == task.today:
            groups["today"].append(task)
        elif task.due <= task.today + timedelta(days=7):
            groups["week"].append(task)
        else:
            groups["later"].append(task)
    labels = {
        "late": _("Overdue"),
        "today": _("Today"),
        "week": _("Within a week"),
        "later": _("Later"),
        "none": _("Without a date"),
    }
    return [
        {
            "label": labels[key],
            "items": [
                task.as_row()
                for task in sorted(group, key=lambda t: (t.due or date.max, t.subject.code if t.subject else ""))
            ],
        }
        for key, group in groups.items()
        if group
    ]
