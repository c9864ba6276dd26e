"""The visits of the next four weeks: a page to print, and the same as a calendar feed without names (RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from followup.visits import SubjectVisit, expected_visits_of
from patients.models import Milestones, Subject
from spinetrial.access.context import chosen_site, sites_of
from spinetrial.access.gate import SignedInRequest, list_records, public, requires
from spinetrial.access.models import StudySite, User
from spinetrial.access.people import find_account
from spinetrial.audit.clock import now
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import VisitState
from spinetrial.worklists.words import state_word

WEEKS = 4
#: A calendar shows further ahead than the page, because nobody prints it.
FEED_DAYS = 366
_WAITING = (VisitState.NOT_YET, VisitState.IN_WINDOW, VisitState.DUE, VisitState.OVERDUE)
_SALT = "spinetrial.calendar"


@dataclass(frozen=True)
class ComingVisit:
    """One visit that waits to be done, `due` being its date in the plan."""

    subject: Subject
    visit: SubjectVisit
    due: date

    @property
    def title(self) -> str:
        return events.event_title(CURRENT, self.visit.event, _)


def coming_visits(actor: User, site: StudySite | None, days: int) -> list[ComingVisit]:
    """Visits of the actor's participants due until `days` from today at their site and not done, earliest first.

    Overdue ones are among them. The number of queries does not grow with the participants.
    """
    rows = list_records(actor, Subject, "worklist.view").select_related("site").order_by("code")
    if site is not None:
        rows = rows.filter(site=site)
    subjects = list(rows)
    visits = expected_visits_of(subjects)
    found = [
        ComingVisit(subject, visit, visit.planned.due)
        for subject in subjects
        for visit in visits[subject.pk]
        if visit.state in _WAITING
        and visit.planned.due is not None
        and visit.planned.due <= subject.site.today() + timedelta(days=days)
    ]
    return sorted(found, key=lambda each: (each.due, each.subject.code))


@requires("worklist.view")
@require_safe
def coming(request: SignedInRequest) -> HttpResponse:
    """The next four weeks by week, with the address of the calendar feed."""
    found = coming_visits(request.user, chosen_site(request, "worklist.view"), WEEKS * 7)
    weeks: dict[date, list[dict[str, object]]] = {}
    for each in found:
        monday = each.due - timedelta(days=each.due.weekday())
        weeks.setdefault(monday, []).append(
            {
                "code": each.subject.code,
                "url": reverse("subject", args=[each.subject.code]),
                "visit": each.title,
                "due": each.due,
                "opens": each.visit.planned.opens,
                "closes": each.visit.planned.closes,
                "state": each.visit.state.value,
                "state_label": state_word(each.visit.state.value),
            }
        )
    token = token_of(request.user)
    addresses = [("", reverse("calendar", args=[token]))]
    sites = sites_of(request.user, "worklist.view")
    if len(sites) > 1:
        addresses += [(site.name, reverse("calendar_site", args=[token, site.code])) for site in sites]
    context = {
        "today": timezone.localdate(),
        "weeks": [{"monday": monday, "visits": rows} for monday, rows in weeks.items()],
        "feeds": [{"site": name, "url": request.build_absolute_uri(address)} for name, address in addresses],
    }
    return render(request, "worklists/coming.html", context)


# --- calendar feed ---


def _stamp(user: User) -> str:
    """Changes with the password, so that a new password ends every address given out before."""
    return salted_hmac(_SALT, user.password).hexdigest()[:16]


def token_of(user: User) -> str:
    """The secret part of the address of a person's feed. It names neither the person nor a participant."""
    return signing.dumps([user.pk, _stamp(user)], salt=_SALT)


def _owner(token: str) -> User:
    """The account of a token. Raises Http404 for a forged or ended one."""
    try:
        pk, stamp = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise Http404 from None
    user = find_account(pk)
    if user is None or not constant_time_compare(stamp, _stamp(user)):
        raise Http404
    return user


@public
@require_safe
def calendar(request: HttpRequest, token: str, code: str = "") -> HttpResponse:
    """The feed of one person, of all their sites or of the one with this code: what they may see now.

    An ended account or membership leaves it empty or not found. A visit that is done, missed or no longer expected is
    gone from it, and a calendar program takes it away.
    """
    user = _owner(token)
    site = next((each for each in sites_of(user, "worklist.view") if each.code == code), None) if code else None
    if code and site is None:
        raise Http404
    with translation.override(user.language):
        visits = coming_visits(user, site, FEED_DAYS)
        text = "".join(f"{line}\r\n" for line in ics_lines(visits))
    response = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="spinetrial.ics"'
    response["Cache-Control"] = "private, no-store"
    return response


def ics_lines(visits: Iterable[ComingVisit]) -> Iterator[str]:
    """An iCalendar object (RFC 5545) with one all-day event per visit, folded at 75 bytes; lines without their ends."""
    visits = list(visits)
    moved = AuditEntry.changes_of(Milestones._meta.db_table, {each.subject.pk for each in visits})
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//SpineTrial//visits//EN", "METHOD:PUBLISH")
    yield from _folded("X-WR-CALNAME:" + _escaped(_("SpineTrial visits")))
    for each in visits:
        planned = each.visit.planned
        window = f"{planned.opens} – {planned.closes}" if planned.opens and planned.closes else ""
        yield "BEGIN:VEVENT"
        yield from _folded(f"UID:{each.subject.code}-{each.visit.event}@spinetrial")
        yield f"DTSTAMP:{stamp}"
        # A calendar program believes a new date only with a higher number; the dates follow from the milestones.
        yield f"SEQUENCE:{moved.get(each.subject.pk, 0)}"
        yield f"DTSTART;VALUE=DATE:{each.due:%Y%m%d}"
        yield f"DTEND;VALUE=DATE:{each.due + timedelta(days=1):%Y%m%d}"
        yield from _folded(f"SUMMARY:{_escaped(f'{each.subject.code} {each.title}')}")
        if window:
            yield from _folded("DESCRIPTION:" + _escaped(_("Window: %(window)s") % {"window": window}))
        if settings.SITE_URL:
            yield from _folded(f"URL:{settings.SITE_URL}{reverse('subject', args=[each.subject.code])}")
        yield "TRANSP:TRANSPARENT"
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _escaped(text: str) -> str:
    for special in ("\\", ";", ","):
        text = text.replace(special, f"\\{special}")
    return text.replace("\r", "").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """Lines of at most 75 bytes, broken between characters; the rest begins with a space."""
    part, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > 75:
            yield part
            part, size = " ", 1
        part, size = part + character, size + width
    yield part
