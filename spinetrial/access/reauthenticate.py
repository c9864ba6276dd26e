"""Asking a person who is logged in to prove it again: before signing, randomising, sealing and locking."""

from __future__ import annotations

from typing import cast

from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils.translation import gettext as _

from spinetrial.access.models import User
from spinetrial.audit.acting import acting, record_event


def second_factor_enrolled(user: User) -> bool:
    """Whether `user` has an authenticator, so that `code` is asked for beside the password."""
    return False


def check_credentials(request: HttpRequest, user: User, password: str, code: str = "") -> dict[str, str]:
    """Check password and, where enrolled, the code of the authenticator of `user`, who need not be logged in.

    Returns messages by form field ("password", "code"); empty when both are right, and `user.backend` then names the
    backend that knew the person, as `login()` wants it. Failures count as those of the log-in page do.
    """
    found = authenticate(request, username=user.username, password=password)
    if found is None or found != user:
        return {"password": _("This is not your password. Nothing was done.")}
    user.backend = found.backend
    return {}


def confirm_person(
    request: HttpRequest, password: str, code: str = "", *, purpose: str, subject_id: int | None = None
) -> dict[str, str]:
    """Check password and, where enrolled, the code of the authenticator of the person of `request`.

    Returns messages by form field ("password", "code"); empty when the person is confirmed. A failure is on the
    audit trail as "<purpose> refused: not confirmed". Call outside any transaction that may be rolled back.
    """
    user = cast(User, request.user)  # behind the gate
    errors = check_credentials(request, user, password, code)
    if errors:
        with acting(user):
            record_event(f"{purpose} refused: not confirmed", subject_id=subject_id, user_id=user.pk)
    return errors
