"""Messages about reporting clocks: at half, four fifths and the whole of the time, until the report is sent.

All marks that passed are planned, also after an outage; just before sending, a message gives way to that of a later
mark, so that nobody gets three at once. There are no quiet hours: a deadline does not wait for the morning.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from adverse_events.clocks import Clock, clocks_of
from adverse_events.models import AdverseEvent
from spinetrial.access.gate import list_records
from spinetrial.access.models import StudySite, User
from spinetrial.access.people import holders, holders_of_trial
from spinetrial.access.policy import Role
from spinetrial.audit.acting import SystemActor
from spinetrial.audit.clock import now
from spinetrial.outbox.digest import Section
from spinetrial.outbox.kinds import Kind
from spinetrial.outbox.models import Message
from spinetrial.outbox.plan import Planned, plan
from spinetrial.outbox.send import to_person
from spinetrial.protocol.text import gettext_noop as _

PLANNER = SystemActor("reporting clocks")
CODE = "sae_clock"
#: The mark from which the data manager is told too.
ESCALATED = 100


def do_plan() -> int:
    """Make the messages of every mark that passed and return how many are new. Idempotent, and catches up by itself."""
    return plan(PLANNER, list(_planned()), "reporting clock")


def _planned() -> Iterator[Planned]:
    moment = now()
    rows = list_records(PLANNER, AdverseEvent, "safety.view").filter(aware_at__isnull=False)
    waiting = [
        (event, clock, mark)
        for event in rows.select_related("subject__site").order_by("pk")
        for clock in clocks_of(event)
        for mark in clock.passed(moment)
    ]
    sites = {event.subject.site_id: event.subject.site for event, _clock, _mark in waiting}
    people = _people(list(sites.values())) if sites else {}
    managers = holders_of_trial(Role.DATA_MANAGER) if sites else []
    for event, clock, mark in waiting:
        site = event.subject.site
        told = {person.pk: person for person in people.get(site.pk, [])}
        if mark >= ESCALATED:
            told |= {person.pk: person for person in managers}
        for pk in told:
            yield Planned(
                kind=CODE,
                key=f"{CODE}:{event.pk}:{clock.code}:{mark}:{pk}",
                site_id=site.pk,
                subject_id=event.subject_id,
                record_id=event.pk,
                recipient_id=pk,
                due=clock.due.astimezone(site.zone).date(),
                not_before=clock.mark_at(mark),
                about=(clock.code, mark),
            )


def _people(sites: list[StudySite]) -> dict[int, list[User]]:
    """Coordinators and investigators by site."""
    by_role = [holders(role, sites) for role in (Role.COORDINATOR, Role.INVESTIGATOR)]
    return {site.pk: [person for found in by_role for person in found.get(site.pk, [])] for site in sites}


def _clock_of(message: Message) -> tuple[AdverseEvent, Clock] | None:
    """The event and the clock a message is about, as they are now; None where the clock no longer applies."""
    rows = list_records(PLANNER, AdverseEvent, "safety.view").select_related("subject__site")
    event = rows.filter(pk=message.record_id or 0).first()
    if event is None:
        return None
    clock = next((each for each in clocks_of(event) if each.code == message.about[0]), None)
    return (event, clock) if clock else None


def _why_not(message: Message) -> str:
    found = _clock_of(message)
    if found is None:
        return _("The deadline no longer applies.")
    _event, clock = found
    if not clock.running:
        return _("The report was sent.")
    passed = clock.passed(now())
    if message.about[1] not in passed:
        return _("The deadline was moved.")
    if passed[-1] != message.about[1]:
        return _("A later message about the same deadline replaces it.")
    person = message.recipient
    told = _people([message.site]).get(message.site_id, [])
    told = told + (holders_of_trial(Role.DATA_MANAGER) if message.about[1] >= ESCALATED else [])
    if person not in told:
        return _("The recipient no longer holds this role at the site.")
    if person is None or not person.email:
        return _("The recipient has no e-mail address.")
    return ""


def _compose(message: Message) -> EmailMessage:
    """Code of the participant, deadline and time left, in the recipient's language; no name, no term, no arm."""
    found = _clock_of(message)
    if found is None or message.recipient is None:
        raise ValueError("the deadline no longer applies")  # `_why_not` has just seen it
    with translation.override(message.recipient.language):
        event, clock = found[0], _named(found[0], found[1].code)
        path = reverse("sae_reports", args=[event.subject.code, event.pk])
        context = {
            "code": event.subject.code,
            "left": clock.countdown(now()),
            "label": clock.label,
            "due": clock.due.astimezone(message.site.zone).strftime("%Y-%m-%d %H:%M %Z"),
            "aware": clock.start.astimezone(message.site.zone).strftime("%Y-%m-%d %H:%M %Z"),
            "missed": clock.missed(now()),
            "link": f"{settings.SITE_URL}{path}" if settings.SITE_URL else "",
        }
        heading = render_to_string("adverse_events/clock_mail_subject.txt", context)
        return to_person(message, heading, render_to_string("adverse_events/clock_mail.txt", context))


def _named(event: AdverseEvent, code: str) -> Clock:
    """The clock of that code with its label in the language of the moment."""
    return next(each for each in clocks_of(event) if each.code == code)


def digest_sections(sites: list[StudySite]) -> dict[int, list[Section]]:
    """One line per running clock by site id, in the language of the moment: for the list of the day."""
    moment, found = now(), dict[int, list[str]]()
    rows = list_records(PLANNER, AdverseEvent, "safety.view").filter(
        aware_at__isnull=False, subject__site__in=[site.pk for site in sites]
    )
    for event in rows.select_related("subject__site"):
        for clock in clocks_of(event):
            if clock.running:
                line = f"{event.subject.code}: {clock.label}, {clock.countdown(moment)}"
                found.setdefault(event.subject.site_id, []).append(line)
    title = _("Serious events waiting for a report")
    return {site_id: [Section(title, tuple(lines))] for site_id, lines in found.items()}


KIND = Kind(CODE, _("Reporting clock of a serious event"), _why_not, _compose)
