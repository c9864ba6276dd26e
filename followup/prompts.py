"""What should be looked at again or entered as an event, and until when. Pure: plain rows in, prompts out.

A prompt is never stored: it is there while the data ask for it and gone once they answer. Pain is worst pain 0-10, OMED
in mg/day, dates are those of the study site.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _

#: CTCAE v5.0 codes that answer for a fracture and for an injury of the cord.
FRACTURES = frozenset({"10041569", "10017076"})  # spinal fracture; fracture
CORD_INJURIES = frozenset({"10028524"})  # myelitis

#: Frankel grades from the worst to the best.
_FRANKEL = "ABCDE"


class Kind(StrEnum):
    """What is to be done: assess pain, look at the spine, look again, or enter an adverse event."""

    ASSESS = "assess"
    IMAGE = "image"
    REPEAT = "repeat"
    FLARE = "flare"
    FRACTURE = "fracture"
    CORD = "cord"


#: Kinds answered by an adverse event form; they outlive the end of follow-up, the others do not.
EVENT_KINDS = frozenset({Kind.FLARE, Kind.FRACTURE, Kind.CORD})
#: Kinds answered by an imaging form.
IMAGING_KINDS = frozenset({Kind.IMAGE, Kind.REPEAT})


@dataclass(frozen=True, slots=True)
class Assessment:
    """A visit that took place. `deficits` holds what is disturbed of motor, sensory and bladder.

    `examined`: whether the nerves were examined; `frankel` is "" where it was not.
    """

    event: str
    day: date
    pain: int | None = None
    omed: Fraction | None = None
    examined: bool = False
    deficits: frozenset[str] = frozenset()
    frankel: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One vertebra on one imaging. `fracture` is "new", "progressive" or ""; `settled`: local control was judged."""

    level: str
    fracture: str = ""
    in_doubt: bool = False
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Scan:
    """Imaging that was done. `cord`: it showed an injury of the spinal cord by radiation."""

    event: str
    day: date
    readings: tuple[Reading, ...] = ()
    cord: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An adverse event form."""

    onset: date
    code: str
    flare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of one subject. `assessments` and `scans` in any order; `ended`: death or end of follow-up."""

    subject: str
    randomized: date | None
    rt_start: date | None
    ended: bool
    pain: int | None  # baseline
    omed: Fraction | None
    deficits: frozenset[str] = frozenset()
    frankel: str = ""
    assessments: Sequence[Assessment] = ()
    scans: Sequence[Scan] = ()
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something to do. `event`: the visit it comes from; `since`: when its time begins, `by`: when it ends."""

    kind: Kind
    subject: str
    event: str
    since: date
    text: Line
    by: date | None = None


def prompts_of(history: History, protocol: Protocol = CURRENT) -> list[Prompt]:
    """The prompts that are open, in the order of their dates."""
    assessments = sorted(history.assessments, key=lambda each: each.day)
    scans = sorted(history.scans, key=lambda each: each.day)
    flares = list(_flares(history, assessments, protocol))
    # A rise that may be a flare is first of all assessed again, not scanned.
    passing = {suspect.event for suspect, back in flares if back is not False}
    found = [
        *_flare_prompts(history, flares),
        *_image_prompts(history, assessments, scans, passing, protocol),
        *_scan_prompts(history, scans, protocol),
    ]
    return sorted(found, key=lambda each: (each.since, each.kind))


# --- pain flare ---


def _flares(
    history: History, assessments: Sequence[Assessment], protocol: Protocol
) -> Iterator[tuple[Assessment, bool | None]]:
    """Assessments that may show a flare; with each, whether pain was back at baseline later (None: not known yet)."""
    start, before = history.rt_start, history.pain
    if start is None or before is None:
        return
    last = start + timedelta(days=protocol.watch.flare_days)
    for place, each in enumerate(assessments):
        if not start <= each.day <= last or each.pain is None:
            continue
        change = each.pain - before
        less = each.omed is not None and history.omed is not None and each.omed < history.omed
        up = change >= protocol.response.pain_points and not less
        if not up and not (_rose(history.omed, each.omed, protocol) and change >= 0):
            continue
        later = [other for other in assessments[place + 1 :] if other.day > each.day and other.pain is not None]
        back = any(
            other.pain is not None and other.pain <= before and not _rose(history.omed, other.omed, protocol)
            for other in later
        )
        yield each, back if later else None


def _rose(before: Fraction | None, after: Fraction | None, protocol: Protocol) -> bool:
    """Whether OMED rose by the per cent of the response rule; from 0 any opioid did (D6). Unknown did not."""
    if before is None or after is None:
        return False
    return after > before if before == 0 else (after - before) * 100 >= before * protocol.response.analgesic_percent


def _flare_prompts(history: History, flares: list[tuple[Assessment, bool | None]]) -> Iterator[Prompt]:
    """One prompt at most: the latest assessment that may show a flare speaks for all of them."""
    entered = any(event.flare for event in history.events)
    if any(back for _each, back in flares) and not entered:
        each = next(each for each, back in flares if back)
        text = Line(
            _("Pain rose on %(day)s within 10 days of the first fraction and went back: enter the pain flare."),
            (("day", each.day.isoformat()),),
        )
        yield Prompt(Kind.FLARE, history.subject, each.event, each.day, text)
    elif flares and flares[-1][1] is None and not entered and not history.ended:
        each = flares[-1][0]
        text = Line(
            _("Pain or analgesics rose on %(day)s, soon after the first fraction: assess again."),
            (("day", each.day.isoformat()),),
        )
        yield Prompt(Kind.ASSESS, history.subject, each.event, each.day, text)


# --- look at the spine ---


def _image_prompts(
    history: History,
    assessments: Sequence[Assessment],
    scans: Sequence[Scan],
    passing: set[str],
    protocol: Protocol,
) -> Iterator[Prompt]:
    """A rise of pain over the last value, or a new deficit, with no imaging at that visit nor since."""
    if history.ended:
        return
    pain, deficits, frankel = history.pain, history.deficits, history.frankel
    found: Prompt | None = None
    for each in assessments:
        reasons: list[Line] = []
        values = (("day", each.day.isoformat()), ("before", str(pain)), ("after", str(each.pain)))
        if each.pain is not None:
            rose = pain is not None and each.pain - pain >= protocol.response.pain_points
            if rose and each.event not in passing:
                reasons.append(Line(_("Pain rose from %(before)s to %(after)s on %(day)s: look at the spine."), values))
            pain = each.pain
        if each.examined:
            worse = bool(frankel and each.frankel) and _FRANKEL.find(each.frankel) < _FRANKEL.find(frankel)
            if each.deficits - deficits or worse:
                reasons.append(Line(_("New neurological deficit on %(day)s: look at the spine."), values[:1]))
            deficits, frankel = each.deficits, each.frankel or frankel
        seen = any(scan.event == each.event or scan.day >= each.day for scan in scans)
        if reasons and not seen:
            # The deficit is the graver reason. Imaging that answers the latest answers all before it.
            found = Prompt(Kind.IMAGE, history.subject, each.event, each.day, reasons[-1])
    if found is not None:
        yield found


# --- what imaging showed ---


def _scan_prompts(history: History, scans: Sequence[Scan], protocol: Protocol) -> Iterator[Prompt]:
    watch = protocol.watch
    for place, scan in enumerate(scans):
        latest = scan.day + timedelta(days=watch.onset_after)
        broken = [reading for reading in scan.readings if reading.fracture]
        open_levels = [
            reading.level for reading in broken if not _fracture_entered(history, scans[:place], scan, reading, latest)
        ]
        if open_levels:
            text = Line(
                _("Fracture of %(levels)s on the imaging of %(day)s: enter it as an adverse event (spinal fracture)."),
                (("levels", ", ".join(open_levels)), ("day", scan.day.isoformat())),
            )
            yield Prompt(Kind.FRACTURE, history.subject, scan.event, scan.day, text)
        if scan.cord and not any(e.code in CORD_INJURIES and e.onset <= latest for e in history.events):
            text = Line(
                _("Injury of the spinal cord on the imaging of %(day)s: enter it as an adverse event (myelitis)."),
                (("day", scan.day.isoformat()),),
            )
            yield Prompt(Kind.CORD, history.subject, scan.event, scan.day, text)
        if history.ended:
            continue
        later = [reading for other in scans if other.day > scan.day for reading in other.readings]
        read = {reading.level for reading in later if reading.settled}
        doubtful = [reading.level for reading in scan.readings if reading.in_doubt and reading.level not in read]
        if doubtful:
            since, by = (scan.day + timedelta(days=days) for days in (watch.repeat_after, watch.repeat_by))
            text = Line(
                _("Local control of %(levels)s in doubt on %(day)s: repeat the imaging between %(since)s and %(by)s."),
                (
                    ("levels", ", ".join(doubtful)),
                    ("day", scan.day.isoformat()),
                    ("since", since.isoformat()),
                    ("by", by.isoformat()),
                ),
            )
            yield Prompt(Kind.REPEAT, history.subject, scan.event, since, text, by)


def _fracture_entered(history: History, before: Sequence[Scan], scan: Scan, reading: Reading, latest: date) -> bool:
    """Whether an event answers for the fracture: it began after the last look at that level, or was there before."""
    looks = [other.day for other in before if any(each.level == reading.level for each in other.readings)]
    earliest = max((day for day in looks if day < scan.day), default=history.randomized)
    if reading.fracture == "progressive" or earliest is None:
        earliest = date.min
    return any(event.code in FRACTURES and earliest <= event.onset <= latest for event in history.events)
