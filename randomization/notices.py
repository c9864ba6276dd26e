"""E-mails of this app, sent after the commit, each in its reader's language. None of them tells an arm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from randomization.models import Allocation, RandomizationList
from spinetrial.access.models import StudySite, User
from spinetrial.access.people import people_who_may


def _send(people: Iterable[User], subject: Any, body: Any, values: dict[str, Any]) -> None:
    """One message per person: addresses of colleagues are nobody else's business, and languages differ."""
    for person in people:
        if not person.email:
            continue
        with translation.override(person.language):
            send_mail(str(subject) % values, str(body) % values, settings.DEFAULT_FROM_EMAIL, [person.email])


def _link(name: str, *args: object) -> str:
    return settings.SITE_URL + reverse(name, args=args)


def tell_sealed(row: RandomizationList) -> None:
    """The published hash, to everyone who works with the list: a copy nobody can alter later is in every mailbox."""
    people = {
        person.pk: person
        for action in ("lists.manage", "randomize", "trial.view")
        for person in people_who_may(action, row.site)
    }
    _send(
        people.values(),
        _("Randomisation list %(list)s is sealed"),
        _(
            "Randomisation list %(list)s of %(site)s was sealed on %(time)s.\n\n"
            "Its SHA-256 is\n%(sha256)s\n\n"
            "Please keep this message. When the list is opened after the lock of the trial, anyone can compare.\n"
            "%(link)s\n"
        ),
        {
            "list": str(row),
            "site": row.site.name,
            "time": f"{row.sealed_at:%Y-%m-%d %H:%M} UTC",
            "sha256": row.sha256,
            "link": _link("list_seals"),
        },
    )


def tell_allocated(allocation: Allocation) -> None:
    """To the team of the subject's site: who was randomised, when, by whom. The arm is on the page behind the link."""
    subject = allocation.subject
    _send(
        people_who_may("randomize", subject.site),
        _("%(subject)s was randomised"),
        _(
            "%(subject)s was randomised by %(person)s on %(time)s; randomisation number %(number)s.\n\n"
            "The arm is not sent by e-mail. It is shown here:\n%(link)s\n"
        ),
        {
            "subject": subject.code,
            "person": str(allocation.allocated_by),
            "time": f"{allocation.allocated_at.astimezone(subject.site.zone):%Y-%m-%d %H:%M %Z}",
            "number": allocation.number,
            "link": _link("allocation", subject.code),
        },
    )


def tell_stock(site: StudySite, remaining: int) -> None:
    """To the custodian, while there is still time to seal another list."""
    values = {"site": site.name, "code": site.code, "remaining": remaining, "link": _link("lists")}
    people = people_who_may("lists.manage", site)
    if remaining:
        _send(
            people,
            _("Randomisation list of %(code)s: %(remaining)s slots left"),
            _(
                "%(remaining)s slots are left in the randomisation list of %(site)s.\n\n"
                "Please make and seal another list before they are used up:\n%(link)s\n"
            ),
            values,
        )
    else:
        _send(
            people,
            _("Randomisation list of %(code)s is used up"),
            _(
                "No slot is left in the randomisation list of %(site)s: nobody can be randomised there.\n\n"
                "Please make and seal another list:\n%(link)s\n"
            ),
            values,
        )
