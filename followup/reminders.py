"""What staff are told about visits: the list of the day to coordinators, and to investigators what stays undone.

The rows are planned here every hour and sent by `spinetrial.outbox`. The text is made when it is sent, from what is
true then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from followup import questionnaire_messages
from followup.checks import VISIT_CODE
from followup.visits import SubjectVisit, expected_visits, expected_visits_of
from patients.models import Subject
from spinetrial.access.gate import list_records
from spinetrial.access.models import StudySite
from spinetrial.access.people import holders, study_sites
from spinetrial.access.policy import Role
from spinetrial.audit.acting import SystemActor
from spinetrial.audit.clock import now
from spinetrial.outbox.digest import contributed
from spinetrial.outbox.kinds import Kind
from spinetrial.outbox.models import Message
from spinetrial.outbox.plan import Planned, plan
from spinetrial.outbox.send import to_person
from spinetrial.protocol.schedule import VisitState
from spinetrial.protocol.text import gettext_noop as _

PLANNER = SystemActor("reminders")

#: Local hour of a site from which the day's messages go out: nobody is written to at night.
MORNING = 7
#: The list of the day looks a week ahead, which is how far a coordinator plans a clinic.
AHEAD = timedelta(days=7)
#: A window that closes within so many days is named first: after it the visit counts for no time point.
CLOSING = timedelta(days=3)
#: So long after a window has closed the investigator is told: a week leaves time to enter a visit that took place.
ESCALATE = timedelta(days=7)

DIGEST, ESCALATION = "visit_digest", "visit_escalation"


@dataclass(frozen=True)
class Line:
    """One visit as a message names it."""

    subject: Subject
    visit: SubjectVisit

    def as_context(self) -> dict[str, object]:
        planned = self.visit.planned
        path = reverse("crf", args=[self.subject.code, VISIT_CODE, self.visit.event])
        return {
            "code": self.subject.code,
            "visit": planned.title(gettext),
            "due": planned.due,
            "closes": planned.closes,
            "link": f"{settings.SITE_URL}{path}" if settings.SITE_URL else "",
        }


@dataclass(frozen=True)
class Part:
    """A part of the list of the day. `title` is translated where the list is made; `texts` are ready to print."""

    title: str
    lines: tuple[Line, ...] = ()
    texts: tuple[str, ...] = ()


def sections_of(sites: list[StudySite]) -> dict[int, list[Part]]:
    """The list of the day of each site that has one. The number of queries does not grow with the participants."""
    subjects = _followed(sites)
    visits = expected_visits_of(subjects)
    found: dict[int, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for subject in subjects:
        today = subject.site.today()
        for visit in visits[subject.pk]:
            title = _section(visit, today)
            if title:
                found[subject.site_id][title].append(Line(subject, visit))
    answer: dict[int, list[Part]] = defaultdict(list)
    for site_id, sections in contributed(sites).items():
        answer[site_id] += [Part(each.title, texts=each.texts) for each in sections if each.texts]
    for site_id, by_title in found.items():
        for title in (_LATE, _CLOSES, _WEEK):
            lines = sorted(by_title[title], key=lambda line: (line.visit.planned.due or date.max, line.subject.code))
            if lines:
                answer[site_id].append(Part(title, tuple(lines)))
    return {site_id: sections for site_id, sections in answer.items() if sections}


_LATE = _("Overdue: the window has closed and no form says what became of the visit")
_CLOSES = _("The window closes within three days")
_WEEK = _("Due until this day next week")


def _section(visit: SubjectVisit, today: date) -> str:
    """Under which heading a visit stands in the list of the day; empty when it is not in it."""
    due, closes = visit.planned.due, visit.planned.closes
    if visit.state is VisitState.OVERDUE:
        return _LATE
    if visit.state in (VisitState.IN_WINDOW, VisitState.DUE) and closes is not None and closes <= today + CLOSING:
        return _CLOSES
    waiting = visit.state in (VisitState.NOT_YET, VisitState.IN_WINDOW, VisitState.DUE)
    return _WEEK if waiting and due is not None and due <= today + AHEAD else ""


def _followed(sites: Iterable[StudySite]) -> list[Subject]:
    rows = list_records(PLANNER, Subject, "subject.view").filter(
        milestones__randomized_on__isnull=False, site__in=[site.pk for site in sites]
    )
    return list(rows.select_related("site").order_by("code"))


def _escalated(visit: SubjectVisit, today: date) -> bool:
    closes = visit.planned.closes
    return visit.state is VisitState.OVERDUE and closes is not None and closes + ESCALATE <= today


# --- planning ---


def do_plan() -> int:
    """Make the messages that are due at every site whose morning has come; return how many are new. Idempotent."""
    sites = [site for site in study_sites() if now().astimezone(site.zone).hour >= MORNING]
    made = plan(questionnaire_messages.SENDER, questionnaire_messages.planned_messages(sites), "questionnaire due")
    return made + plan(PLANNER, planned_messages(sites), "visits due")


def planned_messages(sites: list[StudySite]) -> list[Planned]:
    """The list of the day for each coordinator of a site that has one, and what investigators must be told."""
    coordinators, investigators = holders(Role.COORDINATOR, sites), holders(Role.INVESTIGATOR, sites)
    sections = sections_of(sites)
    wanted = []
    for site in sites:
        today = site.today()
        morning = _at(site, today, MORNING)
        lines = [line for section in sections.get(site.pk, ()) for line in section.lines]
        about = tuple((line.subject.pk, line.visit.event) for line in lines)
        for person in coordinators.get(site.pk, ()) if sections.get(site.pk) else ():
            wanted.append(
                Planned(
                    kind=DIGEST,
                    key=f"{DIGEST}:{site.pk}:{person.pk}:{today}",
                    site_id=site.pk,
                    recipient_id=person.pk,
                    due=today,
                    not_before=morning,
                    about=about,
                )
            )
        late = [line for line in lines if _escalated(line.visit, today)]
        # One participant after the other for each person: rows of one participant that follow each other would make
        # their chain of the trail grow within one transaction, which PostgreSQL does not like.
        wanted += [
            Planned(
                kind=ESCALATION,
                key=f"{ESCALATION}:{line.subject.pk}:{line.visit.event}:{person.pk}",
                site_id=site.pk,
                subject_id=line.subject.pk,
                event=line.visit.event,
                recipient_id=person.pk,
                due=today,
                not_before=morning,
            )
            for person in investigators.get(site.pk, ())
            for line in late
        ]
    return wanted


def _at(site: StudySite, day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=site.zone)


# --- sending ---


def _no_reader(message: Message, role: Role) -> str:
    """Why the recipient need not be written to any more; empty when they must be."""
    if message.recipient not in holders(role, [message.site]).get(message.site_id, []):
        return _("The recipient no longer holds this role at the site.")
    if message.recipient is None or not message.recipient.email:
        return _("The recipient has no e-mail address.")
    return ""


def _no_digest(message: Message) -> str:
    if message.due != message.site.today():
        return _("The day is over; the list of the next day replaces this one.")
    if not sections_of([message.site]):
        return _("Nothing waits any more.")
    return _no_reader(message, Role.COORDINATOR)


def _no_escalation(message: Message) -> str:
    visit = _visit(message)
    if visit is None or not _escalated(visit, message.site.today()):
        return _("The visit does not wait any more.")
    return _no_reader(message, Role.INVESTIGATOR)


def _visit(message: Message) -> SubjectVisit | None:
    if message.subject is None:
        return None
    visits = expected_visits(message.subject, message.site.today())
    return next((visit for visit in visits if visit.event == message.event), None)


def _digest(message: Message) -> EmailMessage:
    """The list of the day in the recipient's language: subject codes, visits and dates; no name, no result, no arm."""
    site = message.site
    with translation.override(message.recipient.language if message.recipient else None):
        sections = sections_of([site]).get(site.pk, [])
        context = {
            "site": site,
            "today": site.today(),
            "sections": [
                {
                    "title": gettext(section.title),
                    "lines": [line.as_context() for line in section.lines],
                    "texts": section.texts,
                }
                for section in sections
            ],
            "count": sum(len(section.lines) + len(section.texts) for section in sections),
            "worklist": f"{settings.SITE_URL}{reverse('worklist')}" if settings.SITE_URL else "",
        }
        heading = render_to_string("followup/digest_subject.txt", context)
        return to_person(message, heading, render_to_string("followup/digest.txt", context))


def _escalation(message: Message) -> EmailMessage:
    visit = _visit(message)
    if visit is None or message.subject is None:
        raise ValueError("the visit is gone")  # `_no_escalation` has just seen it
    with translation.override(message.recipient.language if message.recipient else None):
        context = Line(message.subject, visit).as_context()
        heading = render_to_string("followup/escalation_subject.txt", context)
        return to_person(message, heading, render_to_string("followup/escalation.txt", context))


KINDS = (
    Kind(DIGEST, _("List of the day"), _no_digest, _digest, quiet=(20, MORNING)),
    Kind(ESCALATION, _("Visit late for a week"), _no_escalation, _escalation, quiet=(20, MORNING)),
)
