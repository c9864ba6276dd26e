"""One's own account: log-in with its second factor, log-out, password, second factor, the session that runs out."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login as start_session
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse_lazy
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from spinetrial.access import fields, limits, lockout, second_factor, sessions
from spinetrial.access.gate import SignedInRequest, public, requires
from spinetrial.access.models import User
from spinetrial.access.passwords import do_change_password
from spinetrial.access.reauthenticate import ConfirmForm, code_field
from spinetrial.audit import clock
from spinetrial.audit.acting import acting
from spinetrial.audit.demo import is_demo

#: A person between password and code; the code must follow soon.
PENDING = "log-in waiting for the second factor"
PENDING_SECONDS = 5 * 60
#: The secret offered to an authenticator app, encrypted: sessions are rows of the database.
OFFERED = "offered second factor"


def finish_login(request: HttpRequest, user: User, goal: str, factor: str = "") -> HttpResponse:
    """Start the session of a person whose password and, where enrolled, second factor were right."""
    request.second_factor = factor  # type: ignore[attr-defined]
    start_session(request, user, backend="django.contrib.auth.backends.ModelBackend")
    if not url_has_allowed_host_and_scheme(goal, {request.get_host()}, require_https=request.is_secure()):
        goal = resolve_url(settings.LOGIN_REDIRECT_URL)
    response = redirect(goal) if goal.startswith("/") else redirect("home")
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, user.language, secure=settings.LANGUAGE_COOKIE_SECURE, samesite="Lax"
    )
    return response


class _Login(auth_views.LoginView):
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and limits.over("log-in", lockout.of_address(request)):
            return limits.too_many(request, "log-in")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(ended=self.request.session.pop("ended", ""), **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        user: User = form.get_user()
        goal = self.get_redirect_url()
        if second_factor.enrolled(user):
            self.request.session[PENDING] = {
                "user": user.pk,
                "password": user.get_session_auth_hash(),
                "until": int(clock.now().timestamp()) + PENDING_SECONDS,
                "goal": goal,
            }
            return redirect("login_code")
        return finish_login(self.request, user, goal)


login = public(sensitive_post_parameters("password")(_Login.as_view()))
logout = public(auth_views.LogoutView.as_view())


def _pending(request: HttpRequest) -> tuple[User, str] | None:
    """Who gave the right password a moment ago, and where they were going."""
    waiting = request.session.get(PENDING)
    if not waiting or waiting["until"] < clock.now().timestamp():
        return None
    user = User.objects.filter(pk=waiting["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), waiting["password"]):
        return None  # closed, or another password meanwhile
    return user, waiting["goal"]


class CodeForm(forms.Form):
    code = code_field()


def _too_late(request: HttpRequest) -> HttpResponse:
    request.session.pop(PENDING, None)
    messages.warning(request, _("Please log in again: the code has to follow within five minutes."))
    return redirect("login")


def _second_step(request: HttpRequest) -> tuple[User, str] | HttpResponse:
    """Who is about to give a second factor, or the answer to a person who may not."""
    found = _pending(request)
    if found is None:
        return _too_late(request)
    if lockout.locked_out(request, found[0]):
        request.session.pop(PENDING, None)
        return lockout.locked_page(request, HttpResponse(), None)
    if request.method == "POST" and limits.over("log-in", lockout.of_address(request)):
        return limits.too_many(request, "code")
    return found


@public
@sensitive_post_parameters("code")
def login_code(request: HttpRequest) -> HttpResponse:
    """The second step of a log-in: a code, or a passkey."""
    step = _second_step(request)
    if isinstance(step, HttpResponse):
        return step
    user, goal = step
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        factor = second_factor.use_code(user, form.cleaned_data["code"])
        if factor:
            return finish_login(request, user, goal, factor)
        lockout.count_failure(request, user)
        form.add_error("code", _("This code is not right, or it was used before. Wait for the next one."))
    context = {"form": form, "passkey": bool(second_factor.passkeys(user))}
    return render(request, "registration/code.html", context, status=422 if form.is_bound else 200)


@public
def login_passkey(request: HttpRequest) -> HttpResponse:
    """GET: the challenge for the browser. POST: its answer, which ends the log-in."""
    step = _second_step(request)
    if isinstance(step, HttpResponse):
        return step
    user, goal = step
    if request.method != "POST":
        return JsonResponse(second_factor.passkey_challenge(user))
    if second_factor.use_passkey(user, _credential(request)):
        return finish_login(request, user, goal, "passkey")
    lockout.count_failure(request, user)
    messages.error(request, _("The passkey was not recognised. Try again or use a code."))
    return redirect("login_code")


def _credential(request: HttpRequest) -> dict[str, Any]:
    """What the browser's passkey answered; empty when it is no object."""
    text = request.POST.get("credential", "")[:20_000]
    try:
        answer = json.loads(text) if "\\u0000" not in text else None  # which PostgreSQL cannot store
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


@public
def session_state(request: HttpRequest) -> HttpResponse:
    """How many seconds the session has left; a POST says that the person is still there."""
    if request.method == "POST" and request.user.is_authenticated:
        sessions.touch(request)
    return JsonResponse({"seconds": sessions.seconds_left(request)})


@requires("account")
@require_safe
def my_account(request: SignedInRequest) -> HttpResponse:
    """Who one is here, what one may do where, and how one logs in."""
    return render(
        request, "access/my_account.html", {"memberships": request.user.current_memberships, **_state(request)}
    )


class _PasswordChange(auth_views.PasswordChangeView):
    success_url = reverse_lazy("password_change_done")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        must = self.request.user.must_change_password  # type: ignore[union-attr]
        return super().get_context_data(must=must, **kwargs)

    def form_invalid(self, form: Any) -> HttpResponse:
        if "old_password" in form.errors and form.data.get("old_password"):
            lockout.count_failure(self.request, form.user)
        return super().form_invalid(form)

    def form_valid(self, form: Any) -> HttpResponse:
        do_change_password(form.user, form.cleaned_data["new_password1"])
        update_session_auth_hash(self.request, form.user)
        return redirect(self.get_success_url())


password_change = requires("account")(_PasswordChange.as_view())
password_change_done = requires("account")(auth_views.PasswordChangeDoneView.as_view())


# --- second factor ---


def _state(request: SignedInRequest) -> dict[str, Any]:
    user = request.user
    enrolled = second_factor.enrolled(user)
    return {
        "enrolled": enrolled,
        "required": second_factor.required(user),
        "codes_left": second_factor.recovery_codes_left(user) if enrolled else 0,
        "passkeys": second_factor.passkeys(user) if enrolled else [],
        "demonstration": is_demo(),
    }


def _codes_page(request: SignedInRequest, codes: list[str]) -> HttpResponse:
    return render(request, "access/recovery_codes.html", {"codes": codes})


@requires("account")
@require_safe
def second_factor_page(request: SignedInRequest) -> HttpResponse:
    """What is set up, and what can be done about it."""
    return render(request, "access/second_factor.html", _state(request))


class _AppForm(ConfirmForm):
    app_code = code_field(label=gettext_lazy("Code that the app shows now"), help_text=gettext_lazy("Six digits."))


@requires("account")
@sensitive_post_parameters("password", "code", "app_code")
def second_factor_app(request: SignedInRequest) -> HttpResponse:
    """Set up the authenticator app: picture, then password and a first code; recovery codes are shown once."""
    if second_factor.enrolled(request.user):
        messages.info(request, _("Your account has an authenticator app already."))
        return redirect("second_factor")
    posted = request.method == "POST"
    if not posted or OFFERED not in request.session:
        request.session[OFFERED] = fields.encrypt(second_factor.new_secret())
    secret = fields.decrypt(request.session[OFFERED])
    form = _AppForm(request.POST if posted else None, user=request.user)
    if form.confirmed(request, "second factor"):
        step = second_factor.matching_step(secret, form.cleaned_data["app_code"], 0)
        if step is None:
            form.add_error("app_code", _("This is not the code. Is the time of the telephone right?"))
        else:
            del request.session[OFFERED]
            try:
                return _codes_page(request, second_factor.do_enrol(request.user, secret, step))
            except second_factor.AlreadyEnrolled:
                return redirect("second_factor")
    context = {"form": form, "secret": secret, "picture": second_factor.qr_code(request.user, secret)}
    return render(request, "access/second_factor_app.html", context, status=422 if posted else 200)


def _confirmed_page(
    request: SignedInRequest, form: ConfirmForm, title: str, button: str, note: str, **more: Any
) -> HttpResponse:
    context = {"form": form, "title": title, "button": button, "note": note, **more}
    return render(request, "access/second_factor_form.html", context, status=422 if form.is_bound else 200)


def _confirm_form(request: SignedInRequest, form: type[ConfirmForm] = ConfirmForm) -> ConfirmForm:
    return form(request.POST if request.method == "POST" else None, user=request.user)


@requires("account")
@sensitive_post_parameters("password", "code")
def second_factor_codes(request: SignedInRequest) -> HttpResponse:
    """New recovery codes, shown once."""
    if not second_factor.enrolled(request.user):
        return redirect("second_factor_app")
    form = _confirm_form(request)
    if form.confirmed(request, "new recovery codes"):
        return _codes_page(request, second_factor.do_renew_codes(request.user))
    note = _("The old codes stop working. The new ones are shown once.")
    return _confirmed_page(request, form, _("New recovery codes"), _("Make new codes"), note)


class _PasskeyForm(ConfirmForm):
    field_order = ("name",)
    name = forms.CharField(
        label=gettext_lazy("Name of the passkey"),
        help_text=gettext_lazy("Such as the device it is kept on."),
        max_length=60,
    )
    credential = forms.CharField(widget=forms.HiddenInput, required=False, max_length=20_000)


@requires("account")
@sensitive_post_parameters("password", "code", "credential")
def second_factor_passkey(request: SignedInRequest) -> HttpResponse:
    """Add a passkey beside the authenticator app."""
    if not second_factor.enrolled(request.user):
        return redirect("second_factor_app")
    form = _confirm_form(request, _PasskeyForm)
    if form.confirmed(request, "passkey"):
        try:
            second_factor.do_add_passkey(request.user, form.cleaned_data["name"], _credential(request))
        except second_factor.BadPasskey:
            form.add_error(None, _("The browser gave no passkey that fits. Try again."))
        else:
            messages.success(request, _("The passkey was added. At the next log-in it can replace the code."))
            return redirect("second_factor")
    note = _("A passkey replaces the code at log-in. Signing still asks for a code of the app.")
    return _confirmed_page(request, form, _("Add a passkey"), _("Add a passkey"), note, passkey=True)


@requires("account")
@require_safe
def passkey_options(request: SignedInRequest) -> HttpResponse:
    """What the browser needs to make a passkey."""
    if not second_factor.enrolled(request.user):
        raise PermissionDenied
    return JsonResponse(second_factor.passkey_options(request.user))


@requires("account")
@sensitive_post_parameters("password", "code")
def second_factor_remove(request: SignedInRequest) -> HttpResponse:
    """Remove app, codes and passkeys, for instance before a new telephone."""
    if not second_factor.enrolled(request.user):
        return redirect("second_factor")
    form = _confirm_form(request)
    if form.confirmed(request, "removal of the second factor"):
        with acting(request.user, "second factor removed by its owner"):
            second_factor.remove_all(request.user)
        messages.success(request, _("The second factor was removed."))
        return redirect("second_factor")
    note = _("App, recovery codes and passkeys stop working. Where your role needs them, set up new ones at once.")
    return _confirmed_page(request, form, _("Remove the second factor"), _("Remove"), note)
