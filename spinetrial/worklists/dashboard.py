"""How the trial runs: accrual against plan, visits in time, missing pain scores, pain over time, the flow of people.

All figures are pooled over the arms; pain can be asked for by arm by those who may see it. Results by arm belong to the
report of a locked data version.
Each function below is arithmetic on rows gathered once; the number of queries does not grow with the participants.
"""

from __future__ import annotations

import base64
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_safe

from adverse_events.clocks import running_clocks
from adverse_events.models import AdverseEvent
from followup.reminders import DIGEST
from followup.responses import PainAtVisit, pain_of
from followup.visits import rows_of
from patients.models import BaselinePain, Milestones, ScreenFailure, Subject
from patients.models.consent import FailureReason
from randomization.arms import reveal_arms
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, list_records, may, requires, sites_for
from spinetrial.access.models import StudySite
from spinetrial.access.people import study_sites
from spinetrial.audit.clock import now
from spinetrial.outbox.models import Message, MessageState
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.model import Arm
from spinetrial.protocol.schedule import VisitState
from spinetrial.reports.figures.lines import Series, line_plot
from spinetrial.reports.page import svg
from spinetrial.worklists.safety import may_compare

#: The sponsor's plan: the whole sample randomised within two years of the first person screened.
PLANNED_MONTHS = 24

_LATE = (VisitState.DUE, VisitState.OVERDUE)
_DONE = (VisitState.DONE, VisitState.DONE_OUT_OF_WINDOW)


@dataclass(frozen=True)
class Gathered:
    """The participants of one view with what the figures need, by subject id."""

    subjects: list[Subject]
    milestones: dict[int, Milestones]
    pain: dict[int, dict[str, PainAtVisit]]
    baseline: dict[int, int]
    failures: dict[int, ScreenFailure]
    reminded: dict[tuple[int, str], date]


def gather(request: SignedInRequest) -> Gathered:
    """Participants at the sites where the person may look, narrowed to the site chosen in the top bar."""
    rows = list_records(request.user, Subject, "dashboard.view").select_related("site").order_by("code")
    site = chosen_site(request, "dashboard.view")
    if site is not None:
        rows = rows.filter(site=site)
    subjects = list(rows)
    ids = [subject.pk for subject in subjects]
    sites = {subject.site_id for subject in subjects}
    digests = list_records(request.user, Message, "dashboard.view").filter(
        kind=DIGEST, state=MessageState.SENT, site__in=sites
    )
    # the earliest is written last
    sent = {
        (subject_id, event): sent_at.date()
        for about, sent_at in digests.order_by("-sent_at").values_list("about", "sent_at")
        for subject_id, event in about
        if sent_at
    }
    return Gathered(
        subjects=subjects,
        milestones={row.subject_id: row for row in rows_of(Milestones, ids)},
        pain=pain_of(subjects),
        baseline={row.subject_id: row.nrs_worst for row in rows_of(BaselinePain, ids) if row.nrs_worst is not None},
        failures={row.subject_id: row for row in rows_of(ScreenFailure, ids).filter(retracted=False)},
        reminded=sent,
    )


# --- accrual ---


def _month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _month_name(index: int) -> str:
    return f"{index // 12}-{index % 12 + 1:02d}"


def accrual(data: Gathered, today: date, share: float) -> dict[str, Any] | None:
    """Randomised by month and site, cumulative, beside the plan. None before the first contact.

    `share`: the part of the sample the shown sites are planned to bring; the plan gives every site the same.
    """
    if not data.subjects:
        return None
    start = min(_month_index(subject.first_contact) for subject in data.subjects)
    end = max(_month_index(today), start)
    sites = sorted({subject.site.code for subject in data.subjects})
    randomized: Counter[tuple[int, str]] = Counter()
    for subject in data.subjects:
        day = data.milestones[subject.pk].randomized_on
        if day is not None:
            randomized[_month_index(day), subject.site.code] += 1
    goal = CURRENT.sample_size.total * share
    rows, total, counted = [], 0, [(0.0, 0.0)]
    for month in range(start, end + 1):
        by_site = [randomized[month, site] for site in sites]
        total += sum(by_site)
        planned = goal * min(month - start + 1, PLANNED_MONTHS) / PLANNED_MONTHS
        counted.append((float(month - start + 1), float(total)))
        rows.append([_month_name(month), *(str(n) for n in by_site), str(total), f"{planned:.1f}"])
    last = max(PLANNED_MONTHS, end - start + 1)
    step = 6 if last <= 48 else 12
    ticks = [(float(number), str(number)) for number in range(0, last + step, step)]
    top = max(10, -(-max(total, goal) // 10) * 10)
    drawing = line_plot(
        [
            Series(_("Randomised"), tuple(counted), steps=True),
            Series(_("Plan"), ((0.0, 0.0), (float(PLANNED_MONTHS), goal)), dashed=True),
        ],
        x_label=_("Months since the first person was screened"),
        y_label=_("Participants"),
        x_ticks=ticks,
        y_top=top,
        y_step=top / 5,
    )
    return {
        "id": "accrual",
        "title": _("Accrual against plan"),
        "text": _("%(count)d of %(goal).0f planned participants randomised since %(start)s.")
        % {"count": total, "goal": goal, "start": _month_name(start)},
        "image": _image(drawing),
        "header": [_("Month"), *sites, _("All, cumulative"), _("Plan")],
        "rows": rows,
    }


# --- visits ---


def _by_event(data: Gathered) -> dict[str, list[tuple[int, PainAtVisit]]]:
    """The visits of the schedule that were recorded or had to be by now, by event in its order."""
    found: dict[str, list[tuple[int, PainAtVisit]]] = defaultdict(list)
    for subject_id, visits in data.pain.items():
        for event, at_visit in visits.items():
            if at_visit.visit.planned.unscheduled:
                continue
            if at_visit.visit.state is not VisitState.NOT_EXPECTED or at_visit.visit.visit_id is not None:
                found[event].append((subject_id, at_visit))
    return dict(sorted(found.items(), key=lambda pair: events.event_order(CURRENT, pair[0])))


def _share(part: int, whole: int) -> str:
    return f"{part / whole * 100:.0f} %" if whole else _("none")


def compliance(data: Gathered) -> dict[str, Any]:
    """Of the visits that were recorded or are overdue: done in their window, outside, missed, overdue."""
    rows = []
    for event, visits in _by_event(data).items():
        states = Counter(at_visit.visit.state for _subject, at_visit in visits)
        whole = sum(states[s] for s in (*_DONE, VisitState.MISSED, VisitState.OVERDUE))
        rows.append(
            [
                events.event_title(CURRENT, event, _),
                str(states[VisitState.DONE]),
                str(states[VisitState.DONE_OUT_OF_WINDOW]),
                str(states[VisitState.MISSED]),
                str(states[VisitState.OVERDUE]),
                _share(states[VisitState.DONE], whole),
            ]
        )
    return {
        "id": "compliance",
        "title": _("Visits in time"),
        "header": [
            _("Visit"),
            _("In its window"),
            _("Outside its window"),
            _("Missed"),
            _("Overdue"),
            _("In time"),
        ],
        "rows": rows,
    }


def missing_pain(data: Gathered) -> dict[str, Any]:
    """Visits that took place without a pain score."""
    rows = []
    for event, visits in _by_event(data).items():
        done = [at_visit for _subject, at_visit in visits if at_visit.visit.state in _DONE]
        missing = sum(at_visit.pain is None for at_visit in done)
        rows.append([events.event_title(CURRENT, event, _), str(len(done)), str(missing), _share(missing, len(done))])
    return {
        "id": "missing",
        "title": _("Missing pain scores"),
        "header": [_("Visit"), _("Visits done"), _("Without pain score"), _("Share")],
        "rows": rows,
    }


def pain_over_time(data: Gathered, arms: dict[int, Arm] | None = None) -> dict[str, Any]:
    """Worst pain at the index site by visit: number, mean, standard deviation, median.

    `arms`: who is in which arm, for those who may see it; without it both arms together.
    """
    randomized = {pk for pk, row in data.milestones.items() if row.randomized_on is not None}
    scores: dict[str, dict[int, int]] = {"BL": {pk: score for pk, score in data.baseline.items() if pk in randomized}}
    for event, visits in _by_event(data).items():
        scores[event] = {pk: at_visit.pain for pk, at_visit in visits if at_visit.pain is not None}
    groups = {"": randomized}
    if arms is not None:
        groups = {_(arm.name): {pk for pk, each in arms.items() if each.code == arm.code} for arm in CURRENT.arms}
    rows, series, under = [], [], []
    for number, (name, group) in enumerate(groups.items()):
        points, counts = [], []
        for place, (event, found) in enumerate(scores.items()):
            values = [score for pk, score in found.items() if pk in group]
            mean = statistics.fmean(values) if values else None
            spread = statistics.stdev(values) if len(values) > 1 else None
            middle = statistics.median(values) if values else None
            title = [events.event_title(CURRENT, event, _), *([name] if arms is not None else [])]
            rows.append([*title, str(len(values)), *(_number(each) for each in (mean, spread, middle))])
            counts.append(str(len(values)))
            if mean is not None:
                points.append((float(place), mean))
        series.append(Series(name or _("Mean of the worst pain in 24 h"), tuple(points), dashed=number > 0))
        under.append((name or _("Number"), counts))
    drawing = line_plot(
        series,
        x_label=_("Visit"),
        y_label=_("NRS, 0 to 10"),
        x_ticks=[(float(place), event) for place, event in enumerate(scores)],
        y_top=10,
        y_step=2,
        under=under,
        nothing=_("No pain scores yet"),
    )
    if arms is None:
        text = _("Both arms together, all recorded scores; who died or left is no longer in it.")
    else:
        text = _(
            "Mean of the worst pain in 24 h in each arm, all recorded scores; who died or left is no longer in it. "
            "This is no result of the trial: that is in the report of a locked data version."
        )
    return {
        "id": "pain",
        "title": _("Pain over time"),
        "text": text,
        "image": _image(drawing),
        "header": [
            _("Visit"),
            *([_("Arm")] if arms is not None else []),
            _("Number"),
            _("Mean"),
            _("Standard deviation"),
            _("Median"),
        ],
        "rows": rows,
    }


def _number(value: float | None) -> str:
    return _("not estimable") if value is None else f"{value:.1f}"


def reminders(data: Gathered) -> dict[str, Any]:
    """Visits for which a reminder went out and those without: how many took place, and how soon after it."""
    groups: dict[bool, list[tuple[PainAtVisit, date | None]]] = {True: [], False: []}
    for visits in _by_event(data).values():
        for subject_id, at_visit in visits:
            sent = data.reminded.get((subject_id, at_visit.visit.event))
            groups[sent is not None].append((at_visit, sent))
    rows = []
    for with_reminder, title in ((True, _("With a reminder")), (False, _("Without"))):
        group = groups[with_reminder]
        done = [(at_visit.visit.actual, sent) for at_visit, sent in group if at_visit.visit.state in _DONE]
        days = [(actual - sent).days for actual, sent in done if actual and sent]
        rows.append(
            [
                title,
                str(len(group)),
                str(len(done)),
                _share(len(done), len(group)),
                _number(statistics.median(days) if days else None) if with_reminder else "",
            ]
        )
    return {
        "id": "reminders",
        "title": _("Visits and reminders"),
        "text": _(
            "The list of the day names visits from a week before they are due, late ones the longest: this is no "
            "comparison."
        ),
        "header": [_("Visits"), _("Number"), _("Took place"), _("Share"), _("Days from reminder to visit, median")],
        "rows": rows,
    }


# --- flow ---


@dataclass(frozen=True)
class Box:
    """One box of the flow of participants: who is in it, and below which box it stands."""

    key: str
    label: Any
    holds: Callable[[Gathered, Subject], bool]
    level: int = 0


def _stone(name: str) -> Callable[[Gathered, Subject], bool]:
    return lambda data, subject: getattr(data.milestones[subject.pk], name) is not None


def _randomized(data: Gathered, subject: Subject) -> bool:
    return data.milestones[subject.pk].randomized_on is not None


def _failed(reason: str) -> Callable[[Gathered, Subject], bool]:
    return lambda data, subject: (
        subject.pk in data.failures and data.failures[subject.pk].reason == reason and not _randomized(data, subject)
    )


def _waiting(data: Gathered, subject: Subject) -> bool:
    return not _randomized(data, subject) and subject.pk not in data.failures


def _primary_pain(data: Gathered, subject: Subject) -> bool:
    at_visit = data.pain[subject.pk].get(CURRENT.primary.timepoint.visit)
    return _randomized(data, subject) and at_visit is not None and at_visit.response().ne_reason is None


FLOW: tuple[Box, ...] = (
    Box("contact", gettext_lazy("First contact"), lambda data, subject: True),
    Box(
        "excluded",
        gettext_lazy("Not randomised: screen failure"),
        lambda data, subject: subject.pk in data.failures and not _randomized(data, subject),
        1,
    ),
    *(Box(f"excluded-{reason.value}", reason.label, _failed(reason.value), 2) for reason in FailureReason),
    Box("screening", gettext_lazy("Still in screening"), _waiting, 1),
    Box("randomised", gettext_lazy("Randomised"), _randomized),
    Box("irradiated", gettext_lazy("At least one fraction given"), _stone("rt_start"), 1),
    Box(
        "not-irradiated",
        gettext_lazy("Never irradiated"),
        lambda data, subject: _randomized(data, subject) and data.milestones[subject.pk].never_irradiated,
        1,
    ),
    Box(
        "died",
        gettext_lazy("Died after randomisation"),
        lambda data, subject: _randomized(data, subject) and data.milestones[subject.pk].death_date is not None,
        1,
    ),
    Box(
        "left",
        gettext_lazy("Left follow-up alive"),
        lambda data, subject: (
            _randomized(data, subject)
            and data.milestones[subject.pk].followup_ended_on is not None
            and data.milestones[subject.pk].death_date is None
        ),
        1,
    ),
    Box("analysed", gettext_lazy("Pain response evaluable at the primary time point"), _primary_pain),
)


def members(data: Gathered, box: Box) -> list[Subject]:
    """The participants of one box."""
    return [subject for subject in data.subjects if box.holds(data, subject)]


# --- reporting clocks of serious events ---


def reporting_clocks(ids: list[int]) -> dict[str, Any] | None:
    """The running clocks, the most urgent first. None when nothing is waited for."""
    events = rows_of(AdverseEvent, ids).filter(aware_at__isnull=False).select_related("subject")
    moment = now()
    rows = [
        [event.subject.code, event.display_ctcae_code(), clock.label, clock.countdown(moment)]
        for event, clock in running_clocks(events)
    ]
    if not rows:
        return None
    return {
        "id": "clocks",
        "title": _("Serious events waiting for a report"),
        "text": "",
        "image": "",
        "header": [_("Participant"), _("CTCAE term"), _("Deadline"), _("Clock")],
        "rows": rows,
    }


# --- pages ---


def _image(drawing: Any) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg(drawing).encode()).decode()}"


def _today(data: Gathered) -> date:
    return max(subject.site.today() for subject in data.subjects)


def _share_of_plan(request: SignedInRequest, sites: Sequence[StudySite]) -> float:
    chosen = chosen_site(request, "dashboard.view")
    allowed = sites_for(request.user, "dashboard.view")
    shown = [site for site in sites if (chosen is None or site == chosen) and (allowed is None or site.pk in allowed)]
    return len(shown) / len(sites) if sites else 0.0


@requires("dashboard.view")
@require_safe
def dashboard(request: SignedInRequest) -> HttpResponse:
    """Every figure with its table; each box of the flow leads to its participants.

    `?by=arm` draws pain for each arm, for those who may see the arm at every site counted; the trail keeps who looked.
    """
    data = gather(request)
    sites = list(study_sites())
    comparing = may_compare(request.user, _counted_sites(request, sites))
    by_arm = request.GET.get("by") == "arm"
    if by_arm and not comparing:
        raise PermissionDenied
    panels: list[dict[str, Any]] = []
    if data.subjects:
        arms = reveal_arms(request.user, data.subjects, "pain by arm") if by_arm else None
        first = accrual(data, _today(data), _share_of_plan(request, sites))
        clocks = reporting_clocks([subject.pk for subject in data.subjects])
        panels = [panel for panel in (clocks, first, pain_over_time(data, arms), compliance(data), missing_pain(data),
                                      reminders(data)) if panel]  # fmt: skip
    flow = [
        {"label": box.label, "count": len(members(data, box)), "url": reverse("flow", args=[box.key]),
         "level": box.level}
        for box in FLOW
    ]  # fmt: skip
    context = {
        "panels": panels,
        "flow": flow if data.subjects else [],
        "by_arm": by_arm,
        "may_compare": comparing,
        "may_design": may(request.user, "design.view"),
        "may_examples": may(request.user, "examples.view"),
    }
    return render(request, "worklists/dashboard.html", context)


def _counted_sites(request: SignedInRequest, sites: Sequence[StudySite]) -> frozenset[int]:
    """The sites whose participants the page counts."""
    chosen, allowed = chosen_site(request, "dashboard.view"), sites_for(request.user, "dashboard.view")
    if chosen is not None:
        return frozenset({chosen.pk})
    return frozenset(site.pk for site in sites if allowed is None or site.pk in allowed)


@requires("dashboard.view")
@require_safe
def flow(request: SignedInRequest, key: str) -> HttpResponse:
    """The participants of one box of the flow."""
    box = next((box for box in FLOW if box.key == key), None)
    if box is None:
        raise Http404
    data = gather(request)
    found = members(data, box)
    context = {
        "title": box.label,
        "rows": [
            {
                "code": subject.code,
                "url": reverse("subject", args=[subject.code]),
                "site": subject.site.code,
                "contact": subject.first_contact,
                "randomized": data.milestones[subject.pk].randomized_on,
            }
            for subject in found
        ],
        "count": pgettext("people in a box of the flow", "%(count)d participants") % {"count": len(found)},
    }
    return render(request, "worklists/flow.html", context)
