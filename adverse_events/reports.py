"""Acts on reports of serious events: signing a version, recording where it was sent, saying why a deadline passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _

from adverse_events.clocks import Clock, missed_clocks
from adverse_events.facts import canonical, digest, facts_of
from adverse_events.models import ENDED, AdverseEvent, MissedDeadline, ReportKind, SaeReport
from patients.models import Subject
from spinetrial.access.gate import AnyActor, check_may, list_records, of_subject
from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.crf.content import plain
from spinetrial.review.signatures import NotCertified, certified, certify_person

#: What may be recorded after the signature.
SENDING = ("submitted_at", "authority_sent_at", "authority_reference", "acknowledged_at")


class Refused(Exception):
    """The act is not possible now; `message` says why and what to do, `field` where. Nothing was written."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message, self.field = message, field


class EventChanged(Refused):
    """The event is no longer what the signer saw."""


def reports_of(event: AdverseEvent) -> list[SaeReport]:
    """The versions of an event obtained through the gate, the first one first."""
    return list(of_subject(event.subject, SaeReport).filter(event=event).order_by("number"))


def misses_of(event: AdverseEvent) -> dict[str, MissedDeadline]:
    """The reasons recorded for an event's missed deadlines, by clock."""
    rows = of_subject(event.subject, MissedDeadline).filter(event=event).select_related("by")
    return {row.clock: row for row in rows}


def unexplained(event: AdverseEvent, moment: datetime) -> list[str]:
    """Codes of clocks that were missed by `moment` and have no reason on record."""
    known = misses_of(event)
    return [clock.code for clock in missed_clocks(event, moment) if clock.code not in known]


def unexplained_misses(
    actor: AnyActor, events: Iterable[AdverseEvent], moment: datetime
) -> list[tuple[AdverseEvent, Clock]]:
    """Deadlines met late for which nobody has given the reason yet, of events obtained through the gate. One query.

    One that still waits for its report is told by `clocks.running_clocks`.
    """
    late = [(event, clock) for event in events for clock in missed_clocks(event, moment) if not clock.running]
    rows = list_records(actor, MissedDeadline, "crf.view").filter(event__in=[event.pk for event, _clock in late])
    known = set(rows.values_list("event_id", "clock"))
    return [(event, clock) for event, clock in late if (event.pk, clock.code) not in known]


def _held(actor: User, action: str, event: AdverseEvent) -> AdverseEvent:
    """The event as it is now. Takes the subject's lock, as every save does."""
    list_records(actor, Subject, action).select_for_update(of=("self",)).get(pk=event.subject_id)
    return of_subject(event.subject, AdverseEvent).select_related("subject__site").get(pk=event.pk)


def do_sign_report(
    actor: User,
    event: AdverseEvent,
    *,
    seen: str,
    kind: str,
    comment: str = "",
    open_reason: str = "",
    certify: bool = False,
) -> SaeReport:
    """Freeze what the event says now as the next version and sign it; the person was confirmed before.

    `seen` is the hash of the facts on the signer's screen. Raises PermissionDenied, EventChanged, NotCertified, and
    Refused: not serious, a kind that does not fit, a final report of an event that goes on without a reason, or with
    a missed deadline nobody explained.
    """
    check_may(actor, "sign", event.subject.site_id)
    with acting(actor, "report of a serious event"):
        event = _held(actor, "sign", event)
        if not event.serious:
            raise Refused(_("The event is not serious: there is nothing to report. Nothing was signed."))
        facts = facts_of(event)
        if digest(canonical(facts)) != seen:
            raise EventChanged(_("The event changed while the page was open. Nothing was signed; look again."))
        number = (of_subject(event.subject, SaeReport).filter(event=event).aggregate(n=Max("number"))["n"] or 0) + 1
        if (kind == ReportKind.INITIAL) != (number == 1):
            raise EventChanged(_("Another version was signed meanwhile. Nothing was signed; look again."))
        if kind == ReportKind.FINAL:
            _check_final(event, open_reason)
        first = not certified(actor)
        if first and not certify:
            raise NotCertified
        if first:
            if TrialState.current().state == TrialState.State.LOCKED:
                raise Refused(_("The trial is locked: a first signature cannot be given any more. Ask a colleague."))
            certify_person(actor)
        moment = now()
        content = canonical(
            {
                **facts,
                "number": number,
                "kind": kind,
                "comment": comment,
                "open_reason": open_reason if kind == ReportKind.FINAL else "",
                "signer": actor.full_name,
                "signed_at": plain(moment),
            }
        )
        report = SaeReport(
            subject=event.subject,
            event=event,
            number=number,
            kind=kind,
            content=content,
            sha256=digest(content),
            signer=actor,
            signer_name=actor.full_name,
            signed_at=moment,
        )
        report.save()
        record_event(
            "sign",
            subject_id=event.subject_id,
            detail={"report": f"{event.pk}.{number}", "kind": kind, "name": actor.full_name, "sha256": report.sha256},
        )
    return report


def _check_final(event: AdverseEvent, open_reason: str) -> None:
    if event.outcome not in ENDED and not open_reason.strip():
        text = _("The event is not over: say why this is the last report all the same, or sign a follow-up report.")
        raise Refused(text, "open_reason")
    if unexplained(event, now()):
        text = _("A deadline was missed and nobody said why: record the reason first, then sign the final report.")
        raise Refused(text)


def do_record_sending(actor: User, report: SaeReport, values: Mapping[str, Any], reason: str = "") -> SaeReport:
    """Record when a version was sent, its reference and acknowledgement; `values` by the names of SENDING.

    A value that was recorded before changes only with a reason. Raises PermissionDenied, Refused.
    """
    check_may(actor, "ae.enter", report.subject.site_id)
    with acting(actor, reason or "sending of a report recorded"):
        event = _held(actor, "ae.enter", report.event)
        row = of_subject(event.subject, SaeReport).select_for_update(of=("self",)).get(pk=report.pk)
        for name in SENDING:
            if name not in values:
                continue
            before, after = getattr(row, name), values[name]
            if before and before != after and not reason.strip():
                raise Refused(_("This was recorded before. Say why it changes, then save again."), "reason")
            if isinstance(after, datetime):
                _check_time(event, after, name)
            setattr(row, name, after)
        row.save(update_fields=SENDING)
    return row


def _check_time(event: AdverseEvent, moment: datetime, name: str) -> None:
    if moment > now():
        raise Refused(_("This time is in the future."), name)
    if event.aware_at and moment < event.aware_at:
        raise Refused(_("This is before the study team was aware of the event."), name)


def do_explain_miss(actor: User, event: AdverseEvent, code: str, reason: str, words: str) -> MissedDeadline:
    """Record why the deadline of clock `code` passed without a report. Raises PermissionDenied, Refused."""
    check_may(actor, "ae.enter", event.subject.site_id)
    with acting(actor, "reason of a missed deadline"):
        event = _held(actor, "ae.enter", event)
        clock = next((each for each in missed_clocks(event, now()) if each.code == code), None)
        if clock is None or code in misses_of(event):
            raise Refused(
                _("Nothing waits for a reason here: it was recorded meanwhile, or the deadline is not missed.")
            )
        row = MissedDeadline(
            subject=event.subject, event=event, clock=code, due_at=clock.due, reason=reason, words=words, by=actor,
            at=now(),
        )  # fmt: skip
        row.save()
    return row
