"""Log-in, log-out and failed log-in on the audit trail."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting, record_event

LOGIN = SystemActor("log-in")


def record_login(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    with acting(user):
        record_event("login", user_id=user.pk)


def record_logout(sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        with acting(user):
            record_event("logout", user_id=user.pk)


def record_failure(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    # What was typed is not kept: people type passwords into the name field.
    user = User.objects.filter(username=str(credentials.get("username", ""))[:60]).first()
    with acting(LOGIN):
        record_event("login failed", user_id=user.pk if user else None)
