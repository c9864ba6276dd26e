"""E-mails about accounts, sent by the worker: an answer must not take longer because an account exists."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery import shared_task
from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from spinetrial.access.models import User
from spinetrial.access.people import administrators

log = logging.getLogger(__name__)


def later(task: Any, *args: object) -> None:
    """Hand a message to the worker. It is a courtesy: without a broker the act itself still stands."""
    try:
        task.delay(*args)
    except OperationalError:
        log.exception("The broker cannot be reached; a message about an account was not sent.")


def _send(people: Iterable[User], subject: Any, body: Any, values: dict[str, Any]) -> None:
    for person in people:
        if person.email:
            with translation.override(person.language):
                send_mail(str(subject) % values, str(body) % values, settings.DEFAULT_FROM_EMAIL, [person.email])


@shared_task
def tell_locked(user_id: int) -> None:
    """To the person and to every administrator: the account is locked."""
    user = User.objects.get(pk=user_id)
    values = {
        "name": user.full_name,
        "username": user.username,
        "limit": settings.AXES_FAILURE_LIMIT,
        "link": settings.SITE_URL + reverse("account", args=[user.pk]),
    }
    _send(
        [user],
        _("Your SpineTrial account is locked"),
        _(
            "Your account %(username)s was locked after %(limit)d failed attempts to log in or to confirm.\n\n"
            "Ask an administrator to unlock it. If the attempts were not yours, say so: somebody tried your account.\n"
        ),
        values,
    )
    _send(
        (person for person in administrators() if person.pk != user.pk),
        _("SpineTrial account %(username)s is locked"),
        _(
            "The account %(username)s of %(name)s was locked after %(limit)d failed attempts.\n\n"
            "Speak with the person before you unlock it:\n%(link)s\n"
        ),
        values,
    )


@shared_task
def tell_second_factor_reset(user_id: int) -> None:
    """To the person: an administrator took away the second factor."""
    user = User.objects.get(pk=user_id)
    _send(
        [user],
        _("The second factor of your SpineTrial account was reset"),
        _(
            "An administrator removed the authenticator app, recovery codes and passkeys of your account "
            "%(username)s.\n\nSet up a new one at your next log-in. If you did not ask for this, tell the "
            "administrator at once.\n"
        ),
        {"username": user.username},
    )
