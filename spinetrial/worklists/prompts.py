"""Prompts of follow-up for worklist and participant's page: rows gathered, judged by `followup.prompts`, and linked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from django.urls import reverse
from django.utils.translation import gettext as _

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent
from followup.crfs import IMAGING, VISIT
from followup.models import (
    Bladder,
    Deficit,
    Frankel,
    ImagedVertebra,
    Imaging,
    ImagingStatus,
    LocalControl,
    Visit,
    VisitStatus,
)
from followup.models import Fracture as FractureCode
from followup.prompts import (
    EVENT_KINDS,
    IMAGING_KINDS,
    Assessment,
    Event,
    History,
    Kind,
    Prompt,
    Reading,
    Scan,
    prompts_of,
)
from followup.responses import PainAtVisit, pain_of
from followup.visits import rows_of
from patients.models import BaselinePain, Status
from spinetrial.access.gate import may
from spinetrial.access.models import User
from spinetrial.analysis.overview import Overview
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.views import crf_url
from spinetrial.protocol.schedule import VisitState


@dataclass(frozen=True)
class OpenPrompt:
    """A prompt and the form that answers it; `url` is empty for who may not fill it in, `state` as of today."""

    prompt: Prompt
    text: str
    spec: CrfSpec
    url: str
    state: str


def open_prompts(
    user: User, rows: Sequence[Overview], pain: Mapping[int, Mapping[str, PainAtVisit]] | None = None
) -> dict[int, list[OpenPrompt]]:
    """The open prompts of participants obtained through the gate, by their id; a fixed number of queries.

    `pain`: what `pain_of` gave for them, where the caller has it.
    """
    if not rows:
        return {}
    visits = {row.subject.pk: row.visits for row in rows}
    found = pain_of([row.subject for row in rows], visits) if pain is None else pain
    histories = _histories(rows, found)
    return {
        row.subject.pk: [_linked(user, row, prompt) for prompt in prompts_of(histories[row.subject.pk])]
        for row in rows
        if not row.frozen.holds(row.subject.pk)
    }


def _histories(rows: Sequence[Overview], pain: Mapping[int, Mapping[str, PainAtVisit]]) -> dict[int, History]:
    ids = [row.subject.pk for row in rows]
    before = dict(rows_of(BaselinePain, ids).values_list("subject_id", "nrs_worst"))
    nerves = dict(rows_of(Status, ids).values_list("subject_id", "neurology"))
    visits: dict[int, list[Assessment]] = defaultdict(list)
    for visit in rows_of(Visit, ids).filter(status=VisitStatus.DONE, visit_date__isnull=False).order_by("pk"):
        visits[visit.subject_id].append(_assessment(visit, pain[visit.subject_id].get(visit.event)))
    for subject_id, at_visits in pain.items():
        visits[subject_id] += [
            Assessment(event, at.assessed, at.pain, None if at.omed.total is None else Fraction(at.omed.total))
            for event, at in at_visits.items()
            if at.visit.visit_id is None and at.assessed is not None  # the participant's own report alone
        ]
    readings: dict[int, list[Reading]] = defaultdict(list)
    for row in rows_of(ImagedVertebra, ids):
        readings[row.parent_id].append(_reading(row))
    scans: dict[int, list[Scan]] = defaultdict(list)
    for scan in rows_of(Imaging, ids).filter(status=ImagingStatus.DONE, imaging_date__isnull=False).order_by("pk"):
        day: date = scan.imaging_date  # type: ignore[assignment]  # the query leaves the others out
        scans[scan.subject_id].append(Scan(scan.event, day, tuple(readings[scan.pk]), bool(scan.cord_injury)))
    events: dict[int, list[Event]] = defaultdict(list)
    for event in rows_of(AdverseEvent, ids):
        events[event.subject_id].append(Event(event.onset_date, event.ctcae_code, bool(event.flare)))
    found = {}
    for each in rows:
        pk, stones = each.subject.pk, each.milestones
        dose = next((at.baseline_omed.total for at in pain[pk].values()), None)
        grade = nerves.get(pk, "").upper()
        found[pk] = History(
            subject=each.subject.code,
            randomized=stones.randomized_on,
            rt_start=stones.rt_start,
            ended=stones.death_date is not None or stones.followup_ended_on is not None,
            pain=before.get(pk),
            omed=None if dose is None else Fraction(dose),
            # The baseline gives the grade alone: whatever it stands for is not new.
            deficits=frozenset() if grade in ("", "E") else frozenset({"motor", "sensory", "bladder"}),
            frankel=grade,
            assessments=visits[pk],
            scans=scans[pk],
            events=events[pk],
        )
    return found


def _assessment(visit: Visit, at: PainAtVisit | None) -> Assessment:
    day: date = visit.visit_date  # type: ignore[assignment]  # the query leaves the others out
    deficits = {name for name in ("motor", "sensory") if getattr(visit, name) == Deficit.PRESENT}
    if visit.bladder in (Bladder.DISTURBED, Bladder.CATHETER):
        deficits.add("bladder")
    dose = at.omed.total if at else None
    return Assessment(
        event=visit.event,
        day=day,
        pain=at.pain if at else visit.nrs_worst,
        omed=None if dose is None else Fraction(dose),
        examined=bool({visit.motor, visit.sensory} & {Deficit.NONE.value, Deficit.PRESENT.value} or deficits),
        deficits=frozenset(deficits),
        frankel="" if visit.frankel == Frankel.NOT_DONE else visit.frankel,
    )


def _reading(row: ImagedVertebra) -> Reading:
    return Reading(
        level=row.level,
        fracture=row.fracture if row.fracture in (FractureCode.NEW, FractureCode.PROGRESSIVE) else "",
        in_doubt=row.local_control == LocalControl.EQUIVOCAL,
        settled=row.local_control != LocalControl.NOT_ASSESSABLE,
    )


def _linked(user: User, row: Overview, prompt: Prompt) -> OpenPrompt:
    spec = ADVERSE_EVENT if prompt.kind in EVENT_KINDS else IMAGING if prompt.kind in IMAGING_KINDS else VISIT
    url = _address(row, spec, prompt) if may(user, spec.enter, row.subject.site_id) else ""
    today = row.subject.site.today()
    state = "due"
    if prompt.by is not None:
        state = "not_yet" if today < prompt.since else "overdue" if today > prompt.by else "due"
    return OpenPrompt(prompt, prompt.text.render(_), spec, url, state)


def _address(row: Overview, spec: CrfSpec, prompt: Prompt) -> str:
    """The form that answers: a new event, the imaging of the same visit, a visit in its window, or one beside."""
    code = row.subject.code
    if spec is ADVERSE_EVENT:
        return crf_url(spec, code, "new")
    if prompt.kind is Kind.IMAGE:
        own = next((visit for visit in row.visits if visit.event == prompt.event), None)
        if own is not None and own.imaging_id is None:
            return crf_url(spec, code, own.event, edit=True)
    for visit in row.visits:
        entered = visit.imaging_id if spec is IMAGING else visit.visit_id
        if entered is None and visit.state in (VisitState.IN_WINDOW, VisitState.DUE):
            return crf_url(spec, code, visit.event, edit=True)
    return reverse("unscheduled", args=[code, spec.code])
