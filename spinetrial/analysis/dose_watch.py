"""Injuries that would limit the dose: of the spinal cord, and fractures with symptoms, from adverse events and imaging.

Derived anew from the rows whenever it is asked for; counted among the participants treated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from adverse_events.models import AdverseEvent
from followup.models import Fracture, ImagedVertebra, Imaging
from spinetrial.access.gate import AnyActor, list_records

#: Myelitis, which is how CTCAE names radiation myelopathy.
MYELITIS = "10028524"
#: Spinal fracture; and "Fracture" where the event names a vertebra.
SPINAL_FRACTURE, FRACTURE = "10041569", "10017076"
#: Grade from which an event is watched: with symptoms.
LEAST = 2


class Watched(StrEnum):
    MYELOPATHY = "myelopathy"
    FRACTURE = "fracture"


class Source(StrEnum):
    EVENT = "event"
    IMAGING = "imaging"


@dataclass(frozen=True, slots=True)
class Sign:
    """One finding. `number`: of the adverse event; `visit`: of the imaging. `grade` 0: imaging gives none."""

    source: Source
    day: date
    grade: int
    level: str
    number: int = 0
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """The participants (by number) with signs, the earliest sign first."""

    what: Watched
    signs: dict[int, tuple[Sign, ...]]


def watched(actor: AnyActor, events: Iterable[AdverseEvent], treated: Collection[int]) -> list[Watch]:
    """Both watches over the treated participants at the actor's sites, whose `events` are at hand. Two queries."""
    found: dict[Watched, dict[int, list[Sign]]] = {what: defaultdict(list) for what in Watched}
    for event in events:
        spinal = event.ctcae_code == SPINAL_FRACTURE or (event.ctcae_code == FRACTURE and event.vertebra)
        if event.grade >= LEAST and (spinal or event.ctcae_code == MYELITIS):
            what = Watched.FRACTURE if spinal else Watched.MYELOPATHY
            sign = Sign(Source.EVENT, event.onset_date, event.grade, event.vertebra, number=event.pk)
            found[what][event.subject_id].append(sign)
    imaged = list_records(actor, Imaging, "safety.view").filter(subject__in=treated, cord_injury=True)
    for subject, day, grade, visit in imaged.values_list("subject_id", "imaging_date", "cord_grade", "event"):
        if day is not None and int(grade or 0) >= LEAST:
            found[Watched.MYELOPATHY][subject].append(Sign(Source.IMAGING, day, int(grade), "", visit=visit))
    vertebrae = list_records(actor, ImagedVertebra, "safety.view").filter(
        subject__in=treated, fracture__in=[Fracture.NEW, Fracture.PROGRESSIVE], symptomatic=True
    )
    for subject, day, level, visit in vertebrae.values_list(
        "subject_id", "parent__imaging_date", "level", "parent__event"
    ):
        if day is not None:
            found[Watched.FRACTURE][subject].append(Sign(Source.IMAGING, day, 0, level, visit=visit))
    return [
        Watch(
            what,
            {
                subject: tuple(sorted(signs, key=lambda each: (each.day, each.source)))
                for subject, signs in found[what].items()
                if subject in treated
            },
        )
        for what in Watched
    ]
