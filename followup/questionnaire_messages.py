"""E-mails that bring participants the link of their questionnaire, where they agreed to it.

Nothing in the row or the subject line says to whom or about what; the address is read from the encrypted contact when
the e-mail is made, and the reading is on the trail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from followup import questionnaire
from followup.models import Channel, PatientReport
from followup.questionnaire import Standing
from followup.visits import SubjectVisit, expected_visits, expected_visits_of
from patients.models import Consent, Subject
from patients.subjects import has_email, read_contact
from spinetrial.access.gate import list_records, of_subject
from spinetrial.access.models import StudySite
from spinetrial.audit.acting import SystemActor
from spinetrial.outbox.kinds import Kind
from spinetrial.outbox.models import Message
from spinetrial.outbox.plan import Planned
from spinetrial.protocol.schedule import VisitState
from spinetrial.protocol.text import gettext_noop as _

SENDER = SystemActor("questionnaires")

QUESTIONNAIRE, AGAIN = "questionnaire", "questionnaire_again"

#: Local hour of the site at which participants are written to, and the hours in which they are left in peace.
HOUR, QUIET = 9, (20, 9)
#: Whoever has not answered is asked once more after so many days, and then no more.
WAIT = timedelta(days=3)


def planned_messages(sites: Sequence[StudySite]) -> Iterator[Planned]:
    """The link of each visit that is due at these sites, once, and once more later, for those who agreed to e-mail.

    The number of queries does not grow with the participants.
    """
    if not settings.SITE_URL:
        return
    consents = _agreed(sites)
    subjects = list(list_records(SENDER, Subject, "subject.view").filter(pk__in=consents).select_related("site"))
    answered = set(
        list_records(SENDER, PatientReport, "crf.view").filter(subject__in=subjects).values_list("subject_id", "event")
    )
    visits = expected_visits_of(subjects)
    for subject in subjects:
        today = subject.site.today()
        for visit in visits[subject.pk]:
            due = visit.planned.due
            if visit.state is not VisitState.DUE or due is None or (subject.pk, visit.event) in answered:
                continue
            for kind, day in ((QUESTIONNAIRE, due), (AGAIN, due + WAIT)):
                if day <= today:
                    yield Planned(
                        kind=kind,
                        key=f"{kind}:{subject.pk}:{visit.event}",
                        site_id=subject.site_id,
                        subject_id=subject.pk,
                        event=visit.event,
                        due=day,
                        not_before=datetime.combine(day, time(HOUR), tzinfo=subject.site.zone),
                    )


def _agreed(sites: Sequence[StudySite]) -> list[int]:
    """Numbers of the randomised participants whose last consent agrees to e-mail."""
    rows = list_records(SENDER, Consent, "crf.view").filter(
        subject__site__in=[site.pk for site in sites], subject__milestones__randomized_on__isnull=False
    )
    last = {row.subject_id: bool(row.messages_by_email) for row in rows.order_by("signed_at", "id")}
    return [subject_id for subject_id, agreed in last.items() if agreed]


def _consent(subject: Subject) -> Consent | None:
    return of_subject(subject, Consent).order_by("signed_at", "id").last()


def _visit(subject: Subject, event: str) -> SubjectVisit | None:
    visits = expected_visits(subject, subject.site.today())
    return next((visit for visit in visits if visit.event == event), None)


def why_not(message: Message) -> str:
    """Why the participant need not, or must not, be written to any more; empty when the e-mail is to go out."""
    subject = message.subject
    if subject is None:
        raise ValueError("a questionnaire is about a participant")
    if not settings.SITE_URL:
        return _("the address of this system is not set (SITE_URL)")
    invitation = questionnaire.invitation_of(subject, message.event)
    answered = questionnaire.report_of(subject, message.event) is not None
    if answered or questionnaire.readiness(subject, message.event) is not Standing.OPEN:
        return _("the questionnaire of this visit cannot be answered now")
    if invitation is not None and questionnaire.standing_of(invitation) not in (Standing.OPEN, Standing.EXPIRED):
        return _("the questionnaire of this visit cannot be answered now")
    visit = _visit(subject, message.event)
    if visit is None or visit.visit_id is not None:
        return _("the visit is recorded already")
    consent = _consent(subject)
    if consent is None or not consent.messages_by_email:
        return _("the participant did not agree to e-mail")
    return "" if has_email(SENDER, subject) else _("no e-mail address is stored")


def compose(message: Message) -> EmailMessage:
    """The e-mail in the language the participant chose: no name, no illness, no hospital, and the link."""
    subject = message.subject
    if subject is None:
        raise ValueError("a questionnaire is about a participant")
    contact, consent = read_contact(SENDER, subject, "questionnaire by e-mail"), _consent(subject)
    if contact is None or consent is None:
        raise ValueError("the contact is gone")  # `why_not` has just seen it
    invitation = questionnaire.do_invite(SENDER, subject, message.event, Channel.EMAIL)
    closes: date | None = questionnaire.window_of(invitation)[1]
    token = questionnaire.token_of(invitation, Channel.EMAIL)
    context = {
        "again": message.kind == AGAIN,
        "closes": closes,
        "link": settings.SITE_URL + reverse("questionnaire", args=[token]),
    }
    with translation.override(consent.message_language):
        heading = render_to_string("questionnaire/mail_subject.txt", context)
        body = render_to_string("questionnaire/mail.txt", context)
    return EmailMessage(" ".join(heading.split()), body.strip() + "\n", to=[contact.email])


KINDS = (
    Kind(QUESTIONNAIRE, _("Questionnaire to the participant"), why_not, compose, quiet=QUIET),
    Kind(AGAIN, _("Questionnaire to the participant, once more"), why_not, compose, quiet=QUIET),
)
