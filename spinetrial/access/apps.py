from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    name = "spinetrial.access"
    label = "access"

    def ready(self) -> None:
        post_migrate.connect(install_guard, sender=self)
        from axes.signals import user_locked_out
        from django.contrib.auth.models import update_last_login

        from spinetrial.access import lockout, sessions

        # Django's own handler would write to the audited user table without naming an actor.
        user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
        user_logged_in.connect(sessions.record_login, dispatch_uid="record_login")
        user_logged_out.connect(sessions.record_logout, dispatch_uid="record_logout")
        user_login_failed.connect(sessions.record_failure, dispatch_uid="record_failure")
        user_locked_out.connect(lockout.record_lock, dispatch_uid="record_lock")


def install_guard(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Install the trigger that keeps people from changing their own memberships."""
    with connections[using].cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "guard.sql").read_text(encoding="utf-8"))
