"""How a session begins and ends: log-in, log-out, failures and log-off on the audit trail; the limits of time."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.urls import reverse

from spinetrial.access import limits, lockout
from spinetrial.access.models import User
from spinetrial.audit import clock
from spinetrial.audit.acting import acting, record_event

#: The last request is written down once in so many seconds, to spare most requests a write.
_COARSE = 30


def _now() -> int:
    return int(clock.now().timestamp())


def seconds_left(request: HttpRequest) -> int:
    """Seconds until the session of `request` ends by itself; 0 when nobody is logged in."""
    if not request.user.is_authenticated or "since" not in request.session:
        return 0
    idle = request.session["active"] + settings.IDLE_SECONDS - _now()
    limit = request.session["since"] + settings.SESSION_LIMIT_SECONDS - _now()
    return max(0, min(idle, limit))


def watch(request: HttpRequest) -> None:
    """End a session that was idle or open for too long, else note that it is in use."""
    if not request.user.is_authenticated:
        return
    if "since" not in request.session:
        request.session["since"] = request.session["active"] = _now()
    elif not seconds_left(request):
        over = _now() - request.session["since"] >= settings.SESSION_LIMIT_SECONDS
        request.log_off_reason = "session limit" if over else "idle"  # type: ignore[attr-defined]
        logout(request)
        request.session["ended"] = request.log_off_reason  # type: ignore[attr-defined]
    elif request.path != reverse("session_state") and _now() - request.session["active"] >= _COARSE:
        touch(request)  # a page that asks how long is left is not a person at work


def touch(request: HttpRequest) -> None:
    """Note that the person is there."""
    request.session["active"] = _now()


def record_login(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    if request is not None:
        request.session["since"] = request.session["active"] = _now()
    # How the second factor was given, where there is one; set by the view that logs in.
    factor = getattr(request, "second_factor", "")
    with acting(user):
        record_event("login", user_id=user.pk, detail={"second factor": factor} if factor else None)


def record_logout(sender: Any, request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        reason = getattr(request, "log_off_reason", "")
        with acting(user):
            record_event(f"logged off: {reason}" if reason else "logout", user_id=user.pk)


def record_failure(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    if request is not None:
        limits.count("log-in", lockout.of_address(request))
    # What was typed is not kept: people type passwords into the name field.
    name = str(credentials.get("username", ""))[:60].replace("\0", "")
    user = User.objects.filter(username=name).first()
    step = credentials.get("step", "")
    with acting(lockout.LOGIN):
        record_event("login failed", user_id=user.pk if user else None, detail={"step": step} if step else None)
