"""Rules of passwords beyond Django's, and the one place where a person's own password is stored."""

from __future__ import annotations

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from spinetrial.access.models import User
from spinetrial.audit.acting import acting

#: So many passwords of the past, the present one among them, cannot be chosen again.
REMEMBERED = 5


class NotUsedBeforeValidator:
    """Refuses the present password and the four before it."""

    def validate(self, password: str, user: object = None) -> None:
        if not isinstance(user, User) or user.pk is None:
            return
        if any(check_password(password, each) for each in [user.password, *user.past_passwords][:REMEMBERED]):
            raise ValidationError(self.get_help_text(), code="password_used_before")

    def get_help_text(self) -> str:
        return _("Your password can’t be one of your last %(number)d passwords.") % {"number": REMEMBERED}


def do_change_password(user: User, password: str) -> None:
    """Store a new password that its owner chose and that was validated."""
    user.past_passwords = [user.password, *user.past_passwords][: REMEMBERED - 1]
    user.set_password(password)
    user.must_change_password = False
    with acting(user, "password changed by its owner"):
        user.save(update_fields=["password", "past_passwords", "must_change_password"])
