"""The second factor: authenticator app (TOTP), recovery codes, passkey.

Models and ceremonies are allauth's (`allauth.mfa`); the pages are ours, because allauth's log-in, sign-up, e-mail
addresses and messages would come with its own: they write audited tables without naming an actor.
Signing asks for a code, so the app is enrolled first; a passkey then replaces the code at log-in.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.webauthn.internal import auth as webauthn
from django.conf import settings

from spinetrial.access import fields
from spinetrial.access.models import User
from spinetrial.access.policy import NEEDS_SECOND_FACTOR
from spinetrial.audit import clock
from spinetrial.audit.acting import acting
from spinetrial.audit.demo import is_demo

Type = Authenticator.Type

STEP_SECONDS = 30
#: Steps before and after the present one that are accepted: telephones are not quite on time.
TOLERANCE = 1


class AlreadyEnrolled(Exception):
    """The account has an authenticator app already."""


class BadPasskey(Exception):
    """The browser's answer is not what was asked for."""


class Adapter(DefaultMFAAdapter):
    """Secrets encrypted with the field keys, and names as this application has them."""

    def encrypt(self, text: str) -> str:
        return fields.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return fields.decrypt(encrypted_text)

    def _get_user_identifier(self, user: User) -> str:
        return user.username

    def _get_site_name(self) -> str:
        return "SpineTrial"


def enrolled(user: User) -> bool:
    """Whether `user` has an authenticator app, so that a code is asked for beside the password."""
    return Authenticator.objects.filter(user=user, type=Type.TOTP).exists()


def passkeys(user: User) -> list[Authenticator]:
    """The passkeys of `user`, oldest first."""
    return list(Authenticator.objects.filter(user=user, type=Type.WEBAUTHN).order_by("id"))


def recovery_codes_left(user: User) -> int:
    """How many recovery codes of `user` were not used yet."""
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    return len(RecoveryCodes(row).get_unused_codes()) if row else 0


def required(user: User) -> bool:
    """Whether one of the roles of `user` demands a second factor here. Not in a demonstration."""
    return (
        settings.REQUIRE_MFA
        and any(membership.role in NEEDS_SECOND_FACTOR for membership in user.current_memberships)
        and not is_demo()
    )


def matching_step(secret: str, code: str, after: int) -> int | None:
    """The time step later than `after` whose code this is, within the tolerance."""
    now = int(clock.now().timestamp()) // STEP_SECONDS
    for step in range(now - TOLERANCE, now + TOLERANCE + 1):
        if step > after and compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step))):
            return step
    return None


def use_code(user: User, code: str) -> str:
    """Use up a code of `user`: "app", "recovery code", or "" when it is wrong or was used before."""
    code = normalize_user_code(code)
    if not (code.isascii() and code.isdigit()):
        return ""
    # An own record of the last step instead of allauth's in the cache: that one is per process and lost at a restart.
    with acting(user, "second factor used"):
        row = Authenticator.objects.select_for_update().filter(user=user, type=Type.TOTP).first()
        if row is None:
            return ""
        step = matching_step(fields.decrypt(row.data["secret"]), code, row.data.get("last_step", 0))
        if step is not None:
            row.data["last_step"] = step
            row.last_used_at = clock.now()
            row.save(update_fields=["data", "last_used_at"])
            return "app"
        recovery = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
        if recovery is not None and RecoveryCodes(recovery).validate_code(code):
            return "recovery code"
    return ""


def qr_code(user: User, secret: str) -> str:
    """The picture an authenticator app reads, as a data address of an SVG."""
    adapter = Adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()


def do_enrol(user: User, secret: str, step: int) -> list[str]:
    """Store the app whose code was right at `step`, and new recovery codes, which are returned.

    Raises AlreadyEnrolled.
    """
    with acting(user, "second factor set up"):
        User.objects.select_for_update().get(pk=user.pk)  # a second click waits here
        if enrolled(user):
            raise AlreadyEnrolled
        data = {"secret": fields.encrypt(secret), "last_step": step}
        Authenticator(user=user, type=Type.TOTP, data=data).save()
        return _new_codes(user)


def do_renew_codes(user: User) -> list[str]:
    """Replace the recovery codes; the old ones stop working."""
    with acting(user, "new recovery codes"):
        User.objects.select_for_update().get(pk=user.pk)
        return _new_codes(user)


def _new_codes(user: User) -> list[str]:
    Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).delete()
    return [str(code) for code in RecoveryCodes.activate(user).get_unused_codes()]


def remove_all(user: User) -> None:
    """Remove app, codes and passkeys. Inside `acting`."""
    Authenticator.objects.filter(user=user).delete()


# --- passkeys: the ceremonies keep their state in the session of the request that allauth's middleware holds ---


def passkey_options(user: User) -> dict[str, Any]:
    """What the browser needs to make a passkey."""
    return dict(webauthn.begin_registration(user, passwordless=False))


def do_add_passkey(user: User, name: str, credential: dict[str, Any]) -> None:
    """Store the passkey that the browser made. Raises BadPasskey when it does not fit what was asked for."""
    try:
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    except Exception as error:
        # What a made-up answer raises depends on how far the parsers of fido2 get with it.
        raise BadPasskey from error
    with acting(user, "passkey added"):
        webauthn.WebAuthn.add(user, name, credential)


def passkey_challenge(user: User) -> dict[str, Any]:
    """What the browser needs to prove that it holds a passkey of `user`."""
    return dict(webauthn.begin_authentication(user))


def use_passkey(user: User, credential: dict[str, Any]) -> bool:
    """Whether the browser's answer to the challenge is right."""
    try:
        webauthn.parse_authentication_response(credential)
        row = webauthn.complete_authentication(user, credential)
    except Exception:  # as above
        return False
    with acting(user, "second factor used"):
        row.last_used_at = clock.now()
        row.save(update_fields=["last_used_at"])
    return True


def new_secret() -> str:
    """A fresh secret for an authenticator app."""
    return generate_totp_secret()
