"""Coding adverse events to MedDRA: proposals, accepting, approving, and carrying codes to a newer version.

A code is written by a person, or by itself where the CTCAE code of the event is a current LLT of the version in
force. Nothing rewrites a code silently: what changes later (the event's words, the version in force) makes the code
stale or leaves it in its version until a person confirms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import F, Q, QuerySet

from adverse_events.meddra import trigrams
from adverse_events.meddra.search import Hit, Llt, names_of, search_many, terms, version_in_force
from adverse_events.models import AdverseEvent, Coding, How, Level, MeddraVersion
from patients.models import Subject
from spinetrial.access.gate import SYSTEM, AnyActor, check_may, get_record, list_records
from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting
from spinetrial.audit.clock import now
from spinetrial.protocol import CURRENT
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.review import freezes, trial
from spinetrial.terminology import ctcae

CODER = SystemActor("coding by the CTCAE code")


class NoDictionary(Exception):
    """No MedDRA version is in force."""


class Overtaken(Exception):
    """The event or its code is another than the page showed. Nothing was written."""


class UnknownTerm(Exception):
    """The code is no LLT of the version in force."""


class SamePerson(Exception):
    """The coder cannot approve the own code."""


class ReasonMissing(Exception):
    """Another code in place of an earlier one needs a reason."""


class State(StrEnum):
    """Where the coding of an event stands."""

    UNCODED = "uncoded"
    STALE = "stale"
    OLD_VERSION = "old_version"
    TO_APPROVE = "to_approve"
    CODED = "coded"


STATE_LABELS: dict[State, str] = {
    State.UNCODED: _("Not coded"),
    State.STALE: _("Event changed since it was coded"),
    State.OLD_VERSION: _("Coded in another version"),
    State.TO_APPROVE: _("Waits for approval"),
    State.CODED: _("Coded"),
}


#: Terms less like the reporter's words are not proposed; of those above, only these can be accepted from the list,
#: where a decision is one key and the other proposals are not seen.
LIKE_ENOUGH, VERY_LIKE = 0.3, 0.6


class Why(StrEnum):
    """Why a term is proposed, best reason first."""

    CTCAE = "ctcae"
    EXACT = "exact"
    SYNONYM = "synonym"
    SIMILAR = "similar"


WHY_LABELS: dict[Why, str] = {
    Why.CTCAE: _("The code of the CTCAE term"),
    Why.EXACT: _("The reporter's words"),
    Why.SYNONYM: _("The CTCAE term or a synonym"),
    Why.SIMILAR: _("Similar words"),
}


@dataclass(frozen=True, slots=True)
class Proposal:
    llt: Llt
    why: Why
    likeness: float

    @property
    def percent(self) -> int:
        return round(100 * self.likeness)

    @property
    def sure(self) -> bool:
        """Whether it can be accepted without a look at the others."""
        return self.likeness >= VERY_LIKE


@dataclass(frozen=True, slots=True)
class Term:
    """A code with its name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Coded:
    """The code in force of an event, with names in the reader's language and the version they come from."""

    llt: Term
    pt: Term
    soc: Term
    version: str
    approved: bool


# --- reading ---


def needs_approval(coding: Coding) -> bool:
    """Whether the protocol wants a second person for this code: for those a person chose."""
    return CURRENT.dictionaries.coding_approval and coding.how != How.AUTOMATIC and coding.approved_by_id is None


def state_of(event: AdverseEvent, coding: Coding | None, version: MeddraVersion | None) -> State:
    if coding is None:
        return State.UNCODED
    if (event.verbatim, event.ctcae_code) != (coding.verbatim, coding.ctcae_code):
        return State.STALE
    if version is not None and coding.version_id != version.pk:
        return State.OLD_VERSION
    return State.TO_APPROVE if needs_approval(coding) else State.CODED


def codings_of(actor: AnyActor, events: Collection[int], action: str = "crf.view") -> dict[int, Coding]:
    """The codings of events by the number of the event, fresh or stale. One query."""
    rows = list_records(actor, Coding, action).filter(adverse_event__in=events)
    people = ("version", "coded_by", "approved_by")
    return {coding.adverse_event_id: coding for coding in rows.select_related("adverse_event", *people)}


def coded_terms(event_ids: Iterable[int]) -> dict[int, Coded]:
    """LLT, PT and primary SOC of events the caller obtained through the gate. Two queries.

    An event without a valid code is left out: one is valid while the event has the words and the CTCAE term coded.
    """
    rows = (
        list_records(SYSTEM, Coding, "crf.view")
        .filter(adverse_event__in=list(event_ids))
        .filter(adverse_event__verbatim=F("verbatim"), adverse_event__ctcae_code=F("ctcae_code"))
        .select_related("version")
    )
    codings = list(rows)
    names = names_of(
        (coding.version_id, level, code)
        for coding in codings
        for level, code in ((Level.LLT, coding.llt), (Level.PT, coding.pt), (Level.SOC, coding.soc))
    )

    def term(coding: Coding, level: Level, code: str) -> Term:
        return Term(code, names.get((coding.version_id, level, code), code))

    return {
        coding.adverse_event_id: Coded(
            term(coding, Level.LLT, coding.llt),
            term(coding, Level.PT, coding.pt),
            term(coding, Level.SOC, coding.soc),
            coding.version.version,
            not needs_approval(coding),
        )
        for coding in codings
    }


def uncoded(events: Collection[AdverseEvent]) -> dict[int, State]:
    """Of events obtained through the gate those whose coding is not finished, with where it stands. Two queries.

    None while no dictionary is in force.
    """
    version = version_in_force()
    if version is None:
        return {}
    codings = codings_of(SYSTEM, [event.pk for event in events])
    states = {event.pk: state_of(event, codings.get(event.pk), version) for event in events}
    return {pk: state for pk, state in states.items() if state is not State.CODED}


def seen_token(event: AdverseEvent, coding: Coding | None) -> str:
    """What a page showed, so that a decision on it does not fall on something else."""
    shown = [event.pk, event.verbatim, event.ctcae_code]
    if coding is not None:
        shown += [coding.llt, coding.version_id, coding.coded_at.isoformat(), coding.approved_by_id]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:24]


def proposals(version: MeddraVersion, events: Sequence[AdverseEvent], limit: int = 8) -> dict[int, list[Proposal]]:
    """Ranked terms for each event; the number of queries does not grow with the events."""
    others = {event.pk: _other_names(event) for event in events}
    texts = {event.verbatim for event in events} | {name for names in others.values() for name in names}
    hits = search_many(version, sorted(texts), limit)
    direct = terms(version, {event.ctcae_code for event in events})
    found: dict[int, list[Proposal]] = {}
    for event in events:
        ranked: dict[str, Proposal] = {}

        def put(llt: Llt, why: Why, likeness: float, ranked: dict[str, Proposal] = ranked) -> None:
            ranked.setdefault(llt.code, Proposal(llt, why, likeness))

        if event.ctcae_code in direct and not _other_specify(event):
            put(direct[event.ctcae_code], Why.CTCAE, 1.0)
        alike: list[Hit] = hits[event.verbatim]
        for hit in alike:
            if hit.exact:
                put(hit.llt, Why.EXACT, 1.0)
        for name in others[event.pk]:
            for hit in hits[name]:
                if hit.exact:
                    put(hit.llt, Why.SYNONYM, 1.0)
        for hit in alike:
            if hit.likeness >= LIKE_ENOUGH:
                put(hit.llt, Why.SIMILAR, hit.likeness)
        found[event.pk] = list(ranked.values())[:limit]
    return found


def _other_specify(event: AdverseEvent) -> bool:
    return event.ctcae_code in ctcae.terms() and ctcae.needs_specification(event.ctcae_code)


def _other_names(event: AdverseEvent) -> list[str]:
    """Names of what the event is: those of its CTCAE term, and of an expected term one of whose names the words are."""
    names: list[str] = []
    if event.ctcae_code in ctcae.terms() and not _other_specify(event):
        names += [ctcae.get(event.ctcae_code).term, ctcae.name_zh(event.ctcae_code)]
    words = trigrams.folded(event.verbatim)
    for expected in ctcae.EXPECTED:
        own = (ctcae.get(expected.code).term, expected.name_zh, *expected.synonyms)
        if words in {trigrams.folded(name) for name in own}:
            names += own
    return list(dict.fromkeys(name for name in names if name))


# --- coding ---


def do_code(
    actor: User, event_id: int, llt: str, how: How, *, seen: str, reason: str = "", request_id: str = ""
) -> Coding:
    """Give an event an LLT of the version in force; PT and SOC follow from it.

    `seen`: the token of the page. Raises PermissionDenied, Http404, trial.EntryClosed, NoDictionary, UnknownTerm,
    Overtaken, ReasonMissing (a valid code is replaced by another).
    """
    get_record(actor, AdverseEvent, "ae.code", pk=event_id)
    version = version_in_force()
    if version is None:
        raise NoDictionary
    term = terms(version, [llt]).get(llt)
    if term is None:
        raise UnknownTerm
    reason = reason.replace("\0", "").strip()
    with acting(actor, reason or "coded", request_id=request_id):
        event, coding = _locked(actor, event_id)
        if seen != seen_token(event, coding):
            raise Overtaken
        if coding is not None and not coding.stale and coding.version_id == version.pk and not reason:
            raise ReasonMissing
        return _write(actor, event, coding, version, term, how)


def _locked(actor: AnyActor, event_id: int) -> tuple[AdverseEvent, Coding | None]:
    """The event and its coding, with the subject's row locked as every save does. Raises trial.EntryClosed."""
    trial.check_open()
    rows = list_records(actor, AdverseEvent, "crf.view")
    subject_id = rows.filter(pk=event_id).values_list("subject_id", flat=True).get()
    subject = list_records(actor, Subject, "crf.view").select_for_update(of=("self",)).get(pk=subject_id)
    freezes.check_unfrozen(subject)
    event = rows.get(pk=event_id)
    coding = list_records(actor, Coding, "crf.view").filter(adverse_event=event).select_related("adverse_event").first()
    return event, coding


def _write(
    actor: AnyActor, event: AdverseEvent, coding: Coding | None, version: MeddraVersion, term: Llt, how: How
) -> Coding:
    row = coding or Coding(subject_id=event.subject_id, adverse_event=event)
    row.version, row.llt, row.pt, row.soc, row.how = version, term.code, term.pt, term.soc, how
    row.verbatim, row.ctcae_code = event.verbatim, event.ctcae_code
    row.coded_by, row.coded_at = actor if isinstance(actor, User) else None, now()
    row.approved_by = row.approved_at = None
    row.save()
    return row


def code_by_ctcae(event: AdverseEvent) -> Coding | None:
    """Code an event that never was coded, where its CTCAE code is a current LLT of the version in force.

    Call inside the transaction that saved it, with the subject's row locked.
    """
    version = version_in_force()
    if version is None or _other_specify(event):
        return None
    if list_records(SYSTEM, Coding, "crf.view").filter(adverse_event=event).exists():
        return None
    term = terms(version, [event.ctcae_code]).get(event.ctcae_code)
    if term is None or not term.current:
        return None
    with acting(CODER, "CTCAE code is a current lowest level term"):
        return _write(CODER, event, None, version, term, How.AUTOMATIC)


def do_code_automatically(actor: User) -> int:
    """Code by its CTCAE code every event that can be and never was; returns how many. Raises PermissionDenied."""
    check_may(actor, "ae.code", None)
    version = version_in_force()
    if version is None:
        return 0
    coded = list_records(actor, Coding, "ae.code").values("adverse_event")
    events = list_records(actor, AdverseEvent, "ae.code").exclude(pk__in=coded).order_by("pk")
    known = terms(version, {event.ctcae_code for event in events})
    return _each(
        [event.pk for event in events if event.ctcae_code in known and known[event.ctcae_code].current],
        lambda event, coding: coding is None and code_by_ctcae(event) is not None,
    )


def _each(event_ids: Iterable[int], write: Callable[[AdverseEvent, Coding | None], bool]) -> int:
    """Write codings one by one, each in its own transaction; a frozen participant is passed over."""
    done = 0
    for pk in event_ids:
        try:
            with acting(CODER, "coding"):
                done += write(*_locked(SYSTEM, pk))
        except trial.EntryClosed:
            continue
    return done


def do_approve(actor: User, coding_id: int, *, seen: str, request_id: str = "") -> Coding:
    """Approve a code as the second person.

    Raises PermissionDenied, Http404, trial.EntryClosed, SamePerson, Overtaken.
    """
    event_id = get_record(actor, Coding, "ae.code", pk=coding_id).adverse_event_id
    with acting(actor, "code approved", request_id=request_id):
        event, coding = _locked(actor, event_id)
        if coding is None or seen != seen_token(event, coding) or coding.stale or coding.approved_by_id is not None:
            raise Overtaken
        if coding.coded_by_id == actor.pk:
            raise SamePerson
        coding.approved_by, coding.approved_at = actor, now()
        coding.save()
    return coding


# --- versions ---


class Change(StrEnum):
    """What becomes of a code in a newer version."""

    SAME = "same"
    OTHER_PT = "other_pt"
    OTHER_SOC = "other_soc"
    NOT_CURRENT = "not_current"
    GONE = "gone"


CHANGE_LABELS: dict[Change, str] = {
    Change.GONE: _("The LLT is gone"),
    Change.NOT_CURRENT: _("The LLT is no longer current"),
    Change.OTHER_PT: _("The LLT belongs to another PT"),
    Change.OTHER_SOC: _("The PT has another primary SOC"),
    Change.SAME: _("No difference"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A code of another version and what the version in force makes of it; `new` is None when the LLT is gone."""

    coding: Coding
    change: Change
    old: Coded
    new: Llt | None
    seen: str

    @property
    def can_be_carried(self) -> bool:
        return self.new is not None


def differences(actor: User, version: MeddraVersion) -> list[Difference]:
    """The codes that are not of `version`, those that differ first. The number of queries does not grow with them."""
    rows = list_records(actor, Coding, "ae.code").exclude(version=version).select_related("subject", "adverse_event")
    fresh = rows.filter(adverse_event__verbatim=F("verbatim"), adverse_event__ctcae_code=F("ctcae_code"))
    codings = list(fresh.order_by("subject__code", "pk"))
    new = terms(version, {coding.llt for coding in codings})
    old = coded_terms([coding.adverse_event_id for coding in codings])
    order = list(CHANGE_LABELS)
    found = [
        Difference(
            coding,
            _change(coding, new.get(coding.llt)),
            old[coding.adverse_event_id],
            new.get(coding.llt),
            seen_token(coding.adverse_event, coding),
        )
        for coding in codings
    ]
    return sorted(found, key=lambda each: order.index(each.change))


def _change(coding: Coding, new: Llt | None) -> Change:
    if new is None:
        return Change.GONE
    if not new.current:
        return Change.NOT_CURRENT
    if new.pt != coding.pt:
        return Change.OTHER_PT
    return Change.OTHER_SOC if new.soc != coding.soc else Change.SAME


def do_carry(actor: User, chosen: dict[int, str], *, request_id: str = "") -> tuple[int, int]:
    """Carry codes to the version in force, as the page of differences showed them: number of the coding -> token.

    What changed meanwhile, is frozen, or has no LLT any more stays as it is. Returns how many were carried and how
    many were not. Raises PermissionDenied, NoDictionary.
    """
    check_may(actor, "ae.code", None)
    version = version_in_force()
    if version is None:
        raise NoDictionary
    rows = list_records(actor, Coding, "ae.code").filter(pk__in=chosen).exclude(version=version)
    done = 0
    for pk, event_id, llt in list(rows.values_list("pk", "adverse_event_id", "llt")):
        term = terms(version, [llt]).get(llt)
        if term is None:
            continue
        try:
            with acting(actor, f"carried to MedDRA {version.version} after review", request_id=request_id):
                event, coding = _locked(actor, event_id)
                if coding is None or coding.stale or seen_token(event, coding) != chosen[pk]:
                    continue
                _write(actor, event, coding, version, term, How.CARRIED)
                done += 1
        except trial.EntryClosed:
            continue
    return done, len(chosen) - done


def do_put_in_force(actor: User, version_id: int, reason: str, *, request_id: str = "") -> int:
    """Take new codes from this version from now on; returns how many events were coded by their CTCAE code.

    No stored code changes: those of another version are listed for review. Raises PermissionDenied, Http404.
    """
    chosen = get_record(actor, MeddraVersion, "ae.code", pk=version_id)
    with acting(actor, reason, request_id=request_id):
        rows: QuerySet[MeddraVersion] = list_records(actor, MeddraVersion, "ae.code").select_for_update()
        for row in rows.filter(Q(in_force=True) | Q(pk=chosen.pk)).order_by("-in_force"):
            wanted = row.pk == chosen.pk
            if row.in_force != wanted:
                row.in_force = wanted
                row.save(update_fields=["in_force"])
    return do_code_automatically(actor)


def loaded() -> Any:
    """Every loaded version, newest first."""
    return list_records(SYSTEM, MeddraVersion, "ae.code")
