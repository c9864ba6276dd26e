"""Sending what is planned: by lease, with back-off, outside quiet hours.

A planned row will be sent, or says why not, however often a job is doubled, lost or killed. Between the mail server's
answer and our own note of it a crash can double an e-mail; it can never lose one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q

from spinetrial.access.gate import AnyActor, check_may, list_records
from spinetrial.audit.acting import SystemActor, acting
from spinetrial.audit.clock import now
from spinetrial.outbox.kinds import Kind, kind_of
from spinetrial.outbox.models import Message, MessageState
from spinetrial.protocol.text import gettext_noop as _

log = logging.getLogger(__name__)

SENDER = SystemActor("messages")

#: Waiting time after each failed attempt; after the last one the message has failed.
BACK_OFF = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8))
#: Of one run, so that it ends well before the time limit of a job.
AT_MOST = 300


def lease() -> timedelta:
    """How long a sender has for one message: the mail server gives up after EMAIL_TIMEOUT."""
    return timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)


class NotPlanned(Exception):
    """The message was sent, failed or stopped meanwhile."""


def do_send_due() -> int:
    """Send the planned messages whose time has come, one lease after the other; return how many were sent."""
    sent = 0
    for _attempt in range(AT_MOST):
        message = lease_next()
        if message is None:
            break
        sent += send(message)
    return sent


def lease_next() -> Message | None:
    """Take the next planned message for a while, so that no other sender takes it; None when there is none.

    A lease that ran out (its sender crashed) counts as a failed attempt.
    """
    moment = now()
    with acting(SENDER, "message taken for sending"):
        waiting = list_records(SENDER, Message, "worklist.view").filter(
            Q(lease_until__isnull=True) | Q(lease_until__lte=moment),
            state=MessageState.PLANNED,
            not_before__lte=moment,
        )
        taken = waiting.order_by("not_before", "id").select_for_update(of=("self",), skip_locked=True)
        message = taken.select_related("site", "subject", "recipient").first()
        if message is None:
            return None
        if message.attempts > len(BACK_OFF):
            message.state, message.lease_until, message.why = MessageState.FAILED, None, _("Tried too often.")
        else:
            message.attempts += 1
            message.lease_until = moment + lease()
        message.save(update_fields=["state", "attempts", "lease_until", "why"])
    return message


def send(message: Message) -> bool:
    """Send a leased message and note what became of it; True when it was sent.

    It is stopped instead when its kind says that it is not needed any more, and put off in quiet hours. Whatever goes
    wrong with one message stays with it.
    """
    if message.state != MessageState.PLANNED or message.lease_until is None:
        return False
    kind = kind_of(message.kind)
    if kind is None:
        return _note(message, "unknown kind", state=MessageState.FAILED, words=_("The program knows no such message."))
    loud = _end_of_quiet(kind, message)
    if loud is not None:
        # No attempt was made: waiting for the morning must not use them up.
        return _note(message, "quiet hours", again=loud, attempts=message.attempts - 1)
    try:
        why_not = kind.why_not(message)
        if why_not:
            return _note(message, why_not, state=MessageState.STOPPED, words=why_not)
        email = kind.compose(message)
        email.extra_headers.setdefault("Message-ID", _message_id(message))
        email.send()
    except Exception as error:
        # The text of an error may hold an address; the row names the person.
        log.warning("Message %s could not be sent: %s", message.pk, type(error).__name__)
        if message.attempts > len(BACK_OFF):
            words = _("Tried too often.")
            return _note(message, "could not be sent", state=MessageState.FAILED, words=words)
        again = now() + BACK_OFF[message.attempts - 1]
        return _note(message, "could not be sent; next attempt later", again=again)
    return _note(message, "message sent", state=MessageState.SENT)


def _message_id(message: Message) -> str:
    """The same for every attempt, so that a mailbox can recognise the double of a crash."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
    return f"<message-{message.pk}@{domain}>"


def _end_of_quiet(kind: Kind, message: Message) -> datetime | None:
    """When the quiet hours end in which it is now at the site; None outside them."""
    local = now().astimezone(message.site.zone)
    if not kind.quiet or not kind.is_quiet(local.hour):
        return None
    end = local.replace(hour=kind.quiet[1], minute=0, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)


def _note(
    message: Message,
    reason: str,
    *,
    state: MessageState = MessageState.PLANNED,
    again: datetime | None = None,
    attempts: int | None = None,
    words: str = "",
) -> bool:
    """Write the result of an attempt, unless the lease ran out and someone else has the message now.

    True when this very attempt is on record as the one that sent it.
    """
    with acting(SENDER, reason):
        rows = list_records(SENDER, Message, "worklist.view").filter(
            pk=message.pk, state=MessageState.PLANNED, lease_until=message.lease_until
        )
        row = rows.select_for_update(of=("self",)).first()
        if row is None:
            return False
        row.state, row.lease_until, row.why = state, again, words
        row.sent_at = now() if state == MessageState.SENT else None
        row.attempts = row.attempts if attempts is None else attempts
        row.save(update_fields=["state", "lease_until", "why", "sent_at", "attempts"])
    return state == MessageState.SENT


def to_person(message: Message, heading: str, body: str) -> EmailMessage:
    """A plain e-mail to the account the message is for."""
    address = message.recipient.email if message.recipient else ""
    return EmailMessage(" ".join(heading.split()), body.strip() + "\n", to=[address])


def do_stop(actor: AnyActor, message: Message, reason: str) -> None:
    """Stop a planned message. Raises PermissionDenied, NotPlanned."""
    check_may(actor, "crf.enter", message.site_id)
    with acting(actor, reason):
        row = list_records(actor, Message, "crf.enter").select_for_update(of=("self",)).get(pk=message.pk)
        if row.state != MessageState.PLANNED:
            raise NotPlanned
        row.state, row.lease_until, row.why = MessageState.STOPPED, None, reason[:200]
        row.save()
