"""Serious events against their reports, and deaths on all forms against fatal events: what must agree before a lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from adverse_events.clocks import clocks_of
from adverse_events.facts import changed_since
from adverse_events.models import (
    AdverseEvent,
    GradePeriod,
    MissedDeadline,
    Outcome,
    ReportKind,
    SaeReport,
    term_label,
)
from patients.models import EndOfStudy, Milestones, Subject
from patients.models.consent import DeathCause
from spinetrial.access.gate import AnyActor, list_records


@dataclass(frozen=True, slots=True)
class Line:
    """A serious (or once reported) event, or a death without one (`event` None). `points`: what does not agree yet."""

    subject: Subject
    event: AdverseEvent | None
    versions: tuple[SaeReport, ...]
    death: Any  # date of death on record
    points: tuple[str, ...]

    @property
    def term(self) -> str:
        return term_label(self.event.ctcae_code) if self.event else _("Death")


def reconcile(
    actor: AnyActor,
    subjects: Mapping[int, Subject],
    moment: datetime,
    events: Iterable[AdverseEvent] | None = None,
) -> list[Line]:
    """One line per serious event and per death without a fatal event, of subjects obtained through the gate.

    `events`: those of the subjects, where they are at hand. Six questions to the database at most, however many
    participants. Death of the cancer itself needs no adverse event;
    a death of another or an unknown cause does.
    """
    versions: dict[int, list[SaeReport]] = defaultdict(list)
    for report in list_records(actor, SaeReport, "crf.view").filter(subject__in=subjects).order_by("event", "number"):
        versions[report.event_id].append(report)
    periods: dict[int, list[GradePeriod]] = defaultdict(list)
    for period in list_records(actor, GradePeriod, "crf.view").filter(subject__in=subjects):
        periods[period.parent_id].append(period)
    explained = set(
        list_records(actor, MissedDeadline, "crf.view").filter(subject__in=subjects).values_list("event_id", "clock")
    )
    deaths = dict(
        list_records(actor, Milestones, "crf.view")
        .filter(subject__in=subjects, death_date__isnull=False)
        .values_list("subject_id", "death_date")
    )
    of_disease = set(
        list_records(actor, EndOfStudy, "crf.view")
        .filter(subject__in=subjects, death_cause=DeathCause.DISEASE)
        .values_list("subject_id", flat=True)
    )
    lines, fatal = [], set()
    if events is None:
        events = list_records(actor, AdverseEvent, "crf.view").filter(subject__in=subjects)
    for event in events:
        if event.grade == 5:
            fatal.add(event.subject_id)
        if not event.serious and not versions[event.pk]:
            continue
        death = deaths.get(event.subject_id)
        points = [
            *_against_reports(event, periods[event.pk], versions[event.pk]),
            *_against_deadlines(event, explained, moment),
            *_against_death(event, death),
        ]
        subject = subjects[event.subject_id]
        lines.append(Line(subject, event, tuple(versions[event.pk]), death, tuple(points)))
    for subject_id, day in deaths.items():
        if subject_id not in fatal:
            known = subject_id in of_disease
            points = [] if known else [_("death on record without a fatal adverse event or the cancer as its cause")]
            lines.append(Line(subjects[subject_id], None, (), day, tuple(points)))
    return sorted(lines, key=lambda line: (line.subject.code, line.event.pk if line.event else 0))


def _against_reports(event: AdverseEvent, periods: list[GradePeriod], versions: list[SaeReport]) -> list[str]:
    if not event.serious:
        return [_("reported, but no longer serious")]
    if not versions:
        return [_("no report signed")]
    found = []
    if event.reported_at is None:
        found.append(_("report to the sponsor not recorded"))
    if unsent := [str(each.number) for each in versions if each.submitted_at is None]:
        found.append(_("not sent: report %(numbers)s") % {"numbers": ", ".join(unsent)})
    if versions[-1].kind != ReportKind.FINAL:
        found.append(_("no final report"))
    if changed_since(event, periods, versions[-1].facts):
        found.append(_("changed since the last report"))
    return found


def _against_deadlines(event: AdverseEvent, explained: set[tuple[int, str]], moment: datetime) -> list[str]:
    found = []
    for clock in clocks_of(event):
        if clock.missed(moment) and (event.pk, clock.code) not in explained:
            found.append(_("missed without a reason: %(deadline)s") % {"deadline": clock.label})
        elif clock.running and clock.code != "SPONSOR":
            found.append(_("not sent to the authority: %(deadline)s") % {"deadline": clock.label})
    return found


def _against_death(event: AdverseEvent, death: Any) -> list[str]:
    if event.grade == 5 and death is None:
        return [_("fatal, but no death is on record")]
    if event.grade == 5 and event.end_date != death:
        return [_("another date of death is on record")]
    if event.ongoing or event.outcome == Outcome.UNKNOWN:
        return [_("outcome not final")]
    return []
