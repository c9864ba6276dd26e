"""The second factor: authenticator app (TOTP), recovery codes, passkey.

Models and ceremonies are allauth's (`allauth.mfa`); the pages are ours, because allauth's log-in, sign-up, e-mail
addresses and messages would come with its own: they write audited tables without naming an actor.
Signing asks for a code, so the app is enrolled first; a passkey then replaces the code at log-in.
"""

from __future__ import annotations

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
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
