"""The gate at the door: every view declares an action, every person holds it or is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers

from spinetrial.access import second_factor, sessions
from spinetrial.access.gate import may
from spinetrial.access.models import User

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class ContentSecurityPolicyMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", CSP)
        response.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        return response


#: Pages that stay open to a person who has to change the password, or to set up a second factor, first.
PASSWORD_PAGES = frozenset({"password_change", "password_change_done"})
SECOND_FACTOR_PAGES = PASSWORD_PAGES | {"my_account", "second_factor", "second_factor_app", "second_factor_codes"}


def first_step(request: HttpRequest, user: User) -> str:
    """The page that `user` must deal with before the one asked for opens; "" when it may open."""
    match = request.resolver_match
    name = match.url_name if match else ""
    if user.must_change_password:
        return "" if name in PASSWORD_PAGES else "password_change"
    if name not in SECOND_FACTOR_PAGES and second_factor.required(user) and not second_factor.enrolled(user):
        return "second_factor"
    return ""


class GateMiddleware:
    """Refuses a view that declares no action, a person not logged in, and a person without the right."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex  # type: ignore[attr-defined]
        sessions.watch(request)
        known = request.user.is_authenticated
        response = self.get_response(request)
        if known or request.user.is_authenticated:
            # Clinical pages must not be served from a shared hospital machine's cache after log-out.
            add_never_cache_headers(response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        if not hasattr(view, "action"):
            raise ImproperlyConfigured(f"{view.__module__}.{view.__name__} declares no action.")
        action: str | None = view.action
        if action is None:
            return None
        if not request.user.is_authenticated:
            if request.headers.get("X-Requested-With") == "XMLHttpRequest":
                # A script can do nothing with a log-in page; it asks for the password over the form instead.
                return JsonResponse({"error": "logged out"}, status=401)
            return redirect_to_login(request.get_full_path())
        step = first_step(request, request.user)
        if step:
            return redirect(step)
        if action != "account" and not may(request.user, action):
            raise PermissionDenied
        return None
