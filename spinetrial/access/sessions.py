"""Log-in, log-out and failed log-in on the audit trail."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting, record_event

LOGIN = SystemActor("log-in")


def record_login(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # How the second factor was given, where there is one; set by the view that logs in.
    factor = getattr(request, "second_factor", "")
    with acting(user):
        record_event("login", user_id=user.pk, detail={"second factor": factor} if factor else None)


def record_logout(sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        reason = getattr(request, "log_off_reason", "")
        with acting(user):
            record_event(f"logged off: {reason}" if reason else "logout", user_id=user.pk)


def record_failure(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    # What was typed is not kept: people type passwords into the name field.
    name = str(credentials.get("username", ""))[:60].replace("\0", "")
    user = User.objects.filter(username=name).first()
    step = credentials.get("step", "")
    with acting(LOGIN):
        record_event("login failed", user_id=user.pk if user else None, detail={"step": step} if step else None)
