"""Reminders of visits to the coordinators: one row per visit, kind and person, planned daily, sent by lease.

A row that is planned will be sent, or says why not, however often a job is doubled, lost or killed. Between the
mail server's answer and our own note of it a crash can double an e-mail; it can never lose one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from smtplib import SMTPException
from typing import cast

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from followup.checks import VISIT_CODE
from followup.models import Reminder, ReminderKind, ReminderState
from followup.visits import SubjectVisit, expected_visits, expected_visits_of
from patients.models import Subject
from spinetrial.access.gate import AnyActor, check_may, list_records
from spinetrial.access.models import StudySite
from spinetrial.access.people import holders
from spinetrial.access.policy import Role
from spinetrial.audit.acting import SystemActor, acting
from spinetrial.audit.clock import now
from spinetrial.protocol.schedule import VisitState

log = logging.getLogger(__name__)

PLANNER = SystemActor("reminders")

#: Local hour of a site from which the day's reminders are planned: nobody is written to at night.
MORNING = 7
#: One reminder is sent in seconds; the mail server gives up after EMAIL_TIMEOUT.
LEASE = timedelta(minutes=10)
#: Waiting time after each failed attempt; after the last one the reminder has failed.
BACK_OFF = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8))
#: Of one run, so that it ends well before the time limit of a job.
AT_MOST = 100

_KIND = {VisitState.DUE: ReminderKind.DUE, VisitState.OVERDUE: ReminderKind.OVERDUE}


class NotPlanned(Exception):
    """The reminder was sent, failed or stopped meanwhile."""


def do_plan() -> int:
    """Make the reminders that are due at every site whose morning has come; return how many are new.

    Idempotent: the database holds one per visit, kind and recipient, whoever plans at the same time.
    """
    randomized = list_records(PLANNER, Subject, "subject.view").filter(milestones__randomized_on__isnull=False)
    subjects = [subject for subject in randomized.select_related("site") if _is_morning(subject.site)]
    recipients = holders(Role.COORDINATOR, {subject.site_id: subject.site for subject in subjects}.values())
    rows = list_records(PLANNER, Reminder, "worklist.view").filter(subject__in=subjects)
    known = set(rows.values_list("subject_id", "event", "kind", "recipient_id"))
    visits = expected_visits_of(subjects)
    planned = []
    for subject in subjects:
        for visit in _waiting(visits[subject.pk]):
            kind = _KIND[visit.state]
            for person in recipients.get(subject.site_id, []):
                if (subject.pk, visit.event, kind, person.pk) not in known:
                    due = cast(date, visit.planned.due)  # a visit without date never waits
                    planned.append(Reminder(subject=subject, event=visit.event, kind=kind, recipient=person, due=due))
    if planned:
        with acting(PLANNER, "visit due"):
            rows.bulk_create(planned, ignore_conflicts=True)
    return len(planned)


def _is_morning(site: StudySite) -> bool:
    return now().astimezone(site.zone).hour >= MORNING


def _waiting(visits: Iterable[SubjectVisit]) -> list[SubjectVisit]:
    return [visit for visit in visits if visit.state in _KIND]


def do_send_due() -> int:
    """Send the planned reminders whose time has come, one lease after the other; return how many were sent."""
    sent = 0
    for _attempt in range(AT_MOST):
        reminder = lease_next()
        if reminder is None:
            break
        sent += send(reminder)
    return sent


def lease_next() -> Reminder | None:
    """Take the next planned reminder for `LEASE`, so that no other sender takes it; None when there is none.

    A lease that ran out (its sender crashed) counts as a failed attempt.
    """
    with acting(PLANNER, "reminder taken for sending"):
        waiting = list_records(PLANNER, Reminder, "worklist.view").filter(
            Q(lease_until__isnull=True) | Q(lease_until__lte=now()), state=ReminderState.PLANNED
        )
        reminder = waiting.order_by("due", "id").select_for_update(of=("self",), skip_locked=True).first()
        if reminder is None:
            return None
        if reminder.attempts > len(BACK_OFF):
            reminder.state = ReminderState.FAILED
        else:
            reminder.attempts += 1
            reminder.lease_until = now() + LEASE
        reminder.save()
    return reminder


def send(reminder: Reminder) -> bool:
    """Send a leased reminder and note what became of it; True when it was sent.

    It is stopped instead when the visit no longer waits or the person no longer coordinates at the site.
    """
    if reminder.state != ReminderState.PLANNED or reminder.lease_until is None:
        return False
    why_not = _why_not(reminder)
    if why_not:
        _note(reminder, why_not, state=ReminderState.STOPPED)
        return False
    try:
        message(reminder).send()
    except (SMTPException, OSError) as error:
        # The address stays out of the log; the row names the person.
        log.warning("Reminder %s could not be sent: %s", reminder.pk, type(error).__name__)
        failed = reminder.attempts > len(BACK_OFF)
        if failed:
            _note(reminder, "could not be sent", state=ReminderState.FAILED)
        else:
            _note(reminder, "could not be sent; next attempt later", again=now() + BACK_OFF[reminder.attempts - 1])
        return False
    return _note(reminder, "reminder sent", state=ReminderState.SENT)


def _why_not(reminder: Reminder) -> str:
    """Why a planned reminder need not be sent any more; empty when it must be."""
    site = reminder.subject.site
    if reminder.recipient not in holders(Role.COORDINATOR, [site]).get(site.pk, []):
        return "the recipient no longer coordinates at the site"
    if not reminder.recipient.email:
        return "the recipient has no e-mail address"
    visits = {visit.event: visit for visit in _waiting(expected_visits(reminder.subject, site.today()))}
    if reminder.event not in visits or _KIND[visits[reminder.event].state] != reminder.kind:
        return "the visit no longer waits for this"
    return ""


def _note(
    reminder: Reminder, why: str, *, state: ReminderState = ReminderState.PLANNED, again: datetime | None = None
) -> bool:
    """Write the result of an attempt, unless the lease ran out and someone else has the reminder now."""
    with acting(PLANNER, why):
        rows = list_records(PLANNER, Reminder, "worklist.view").filter(
            pk=reminder.pk, state=ReminderState.PLANNED, lease_until=reminder.lease_until
        )
        row = rows.select_for_update(of=("self",)).first()
        if row is None:
            return False
        row.state, row.lease_until = state, again
        row.sent_at = now() if state == ReminderState.SENT else None
        row.save()
    return True


def message(reminder: Reminder) -> EmailMessage:
    """The e-mail in the recipient's language: subject code, visit and dates; no name, no result, no arm."""
    subject = reminder.subject
    visit = next(visit for visit in expected_visits(subject, subject.site.today()) if visit.event == reminder.event)
    path = reverse("crf", args=[subject.code, VISIT_CODE, reminder.event])
    with translation.override(reminder.recipient.language):
        context = {
            "code": subject.code,
            "visit": visit.planned.title(gettext),
            "due": visit.planned.due,
            "closes": visit.planned.closes,
            "overdue": reminder.kind == ReminderKind.OVERDUE,
            "link": f"{settings.SITE_URL}{path}" if settings.SITE_URL else "",
        }
        heading = " ".join(render_to_string("followup/reminder_subject.txt", context).split())
        body = render_to_string("followup/reminder.txt", context).strip() + "\n"
    return EmailMessage(heading, body, to=[reminder.recipient.email])


def do_stop(actor: AnyActor, reminder: Reminder, reason: str) -> None:
    """Stop a planned reminder. Raises PermissionDenied, NotPlanned."""
    check_may(actor, "crf.enter", reminder.subject.site_id)
    with acting(actor, reason):
        row = list_records(actor, Reminder, "crf.enter").select_for_update(of=("self",)).get(pk=reminder.pk)
        if row.state != ReminderState.PLANNED:
            raise NotPlanned
        row.state = ReminderState.STOPPED
        row.lease_until = None
        row.save()
