"""Asking a person who is logged in to prove it again: before signing, randomising, sealing and locking."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from spinetrial.access import lockout, second_factor
from spinetrial.access.models import User
from spinetrial.audit.acting import acting, record_event


def second_factor_enrolled(user: User) -> bool:
    """Whether `user` has an authenticator, so that `code` is asked for beside the password."""
    return second_factor.enrolled(user)


def code_field(**kwargs: Any) -> forms.CharField:
    """The field for a code of the authenticator app, or one of the recovery codes."""
    attrs = {"autocomplete": "one-time-code", "inputmode": "numeric"}
    return forms.CharField(
        **{
            "label": gettext_lazy("Code of your authenticator app"),
            "help_text": gettext_lazy("Six digits. A recovery code works too."),
            "max_length": 20,
            "widget": forms.TextInput(attrs=attrs),
            **kwargs,
        }
    )


class ConfirmForm(forms.Form):
    """Password and, for `user` with an authenticator, a code. Show it, then give its values to `confirm_person`."""

    password = forms.CharField(
        label=gettext_lazy("Your password"),
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if second_factor_enrolled(user):
            self.fields["code"] = code_field()

    def confirmed(self, request: HttpRequest, purpose: str, subject_id: int | None = None) -> bool:
        """Whether the form is filled in and the person of `request` proved who they are; else it has the errors."""
        if not self.is_valid():
            return False
        password, code = self.cleaned_data["password"], self.cleaned_data.get("code", "")
        errors = confirm_person(request, password, code, purpose=purpose, subject_id=subject_id)
        for name, message in errors.items():
            self.add_error(name if name in self.fields else None, message)
        return not errors


def check_credentials(request: HttpRequest, user: User, password: str, code: str = "") -> dict[str, str]:
    """Check password and, where enrolled, the code of the authenticator of `user`, who need not be logged in.

    Returns messages by form field ("password", "code"); empty when both are right, and `user.backend` then names the
    backend that knew the person, as `login()` wants it. Failures count as those of the log-in page do.
    """
    found = authenticate(request, username=user.username, password=password)
    if found is None or found != user:
        return {"password": _("This is not your password. Nothing was done.")}
    if second_factor_enrolled(user):
        if not code.strip():  # no guess: not counted
            return {"code": _("The code of your authenticator app is needed too. Nothing was done.")}
        factor = second_factor.use_code(user, code)
        if not factor:
            lockout.count_failure(request, user)
            text = _("This code is not right, or it was used before. Wait for the next one. Nothing was done.")
            return {"code": text}
        request.second_factor = factor  # type: ignore[attr-defined]  # for the entry of a log-in
    user.backend = found.backend
    return {}


def confirm_person(
    request: HttpRequest, password: str, code: str = "", *, purpose: str, subject_id: int | None = None
) -> dict[str, str]:
    """Check password and, where enrolled, the code of the authenticator of the person of `request`.

    Returns messages by form field ("password", "code"); empty when the person is confirmed. A failure is on the
    audit trail as "<purpose> refused: not confirmed", and counts towards the lock of the account: the answer then is
    the page that says so, and the session ends. Call outside any transaction that may be rolled back.
    """
    user = cast(User, request.user)  # behind the gate
    errors = check_credentials(request, user, password, code)
    if errors:
        with acting(user):
            record_event(f"{purpose} refused: not confirmed", subject_id=subject_id, user_id=user.pk)
    else:
        lockout.forget_failures(request, user)
    return errors
