"""Locking an account after repeated failures, of passwords and codes, at log-in and wherever one is asked again.

django-axes counts; what is particular to this application is here. A name is locked whether or not an account has it,
so that nobody learns which accounts exist.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac

from spinetrial.access.models import User
from spinetrial.access.tasks import later, tell_locked
from spinetrial.audit import clock
from spinetrial.audit.acting import SystemActor, acting

LOGIN = SystemActor("log-in")


class LockoutHandler(AxesDatabaseHandler):
    """The counter in the database, without what was sent: people type passwords into every field."""

    def post_save_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        # Within the transaction that stores the attempt.
        AccessAttempt.objects.filter(pk=instance.pk).update(get_data="", post_data="")


def name_key(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """What failures are counted under: a keyed hash, because the name that was typed may be a password."""
    return salted_hmac(
        "spinetrial.lockout", str((credentials or {}).get("username", "")), algorithm="sha256"
    ).hexdigest()


def client_address(request: HttpRequest) -> str | None:
    """The address a request came from; X-Forwarded-For counts only behind a proxy of TRUSTED_PROXIES.

    Its last entry that is no such proxy was written by one; everything before it may be invented.
    """
    sender = _address(request.META.get("REMOTE_ADDR", ""))
    if sender is None or not _trusted(sender):
        return sender
    for entry in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _address(entry)
        if address is None:
            break
        sender = address
        if not _trusted(address):
            break
    return sender


def of_address(request: HttpRequest) -> str:
    """Under what the failures of one address are counted, over all names: see `limits.py`."""
    return f"address {client_address(request)}"


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None


def _trusted(address: str) -> bool:
    return any(ip_address(address) in network for network in settings.TRUSTED_PROXIES)


def count_failure(request: HttpRequest, user: User) -> None:
    """Count a wrong code like a wrong password."""
    credentials = {"username": user.username, "step": "second factor"}
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)


def forget_failures(request: HttpRequest, user: User) -> None:
    """Start counting anew: the person proved who they are."""
    handler = AxesProxyHandler.get_implementation()
    AxesProxyHandler.update_request(request)
    handler.reset_user_attempts(request, {"username": user.username})


def locked_out(request: HttpRequest, user: User) -> bool:
    """Whether the account is locked, also when this request would be right."""
    return not AxesProxyHandler.is_allowed(request, {"username": user.username})


def record_lock(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """Receiver of `user_locked_out`, which is sent at every attempt: the first one locks and tells."""
    name = str((request.axes_credentials or {}).get("username", ""))[:60].replace("\0", "")  # type: ignore[attr-defined]
    user = User.objects.filter(username=name, locked_at=None).first()
    with acting(LOGIN, "too many failed attempts"):
        changed = User.objects.filter(username=name, locked_at=None).update(locked_at=clock.now())
    if changed and user:
        transaction.on_commit(lambda: later(tell_locked, user.pk))


def do_unlock(user: User) -> None:
    """Let an account try again. The caller has the right and names the actor and the reason."""
    user.locked_at = None
    user.save(update_fields=["locked_at"])
    AccessAttempt.objects.filter(username=name_key(None, {"username": user.username})).delete()


def locked_page(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """The answer to whoever is locked out, the same for every name; an open session ends."""
    if request.user.is_authenticated:
        request.log_off_reason = "locked"  # type: ignore[attr-defined]
        logout(request)
    answer = render(request, "access/locked.html", {"limit": settings.AXES_FAILURE_LIMIT}, status=429)
    add_never_cache_headers(answer)
    return answer
