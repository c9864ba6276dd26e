"""Installing the audit triggers and the rights of the application role; runs as the owner after every migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, models

#: Tables without an audit trigger, each with the written reason. A test compares this with the database.
EXCUSED: dict[str, str] = {
    "adverse_events.MeddraTerm": "written once by an import, never changed (trigger); MeddraRelease has the hashes",
    "adverse_events.MeddraPath": "written once by an import, never changed (trigger); MeddraRelease has the hashes",
    "adverse_events.MeddraName": "written once by an import, never changed (trigger); MeddraRelease has the hashes",
    "adverse_events.MeddraPosting": "search index made from MeddraName; written once and never changed (trigger)",
    "adverse_events.MeddraImport": "progress of a job; what it imported or why not is recorded by release and event",
    "reports.MadeReport": "progress of a job and the files that came of it; each is recorded by event with its hashes",
    "analysis.Simulation": "numbers drawn at random, no patient's data; who asked for which is recorded as an event",
    "audit.AuditEntry": "is the trail; append-only by its own trigger",
    "audit.AuditChain": "heads of the trail; written only by the trail's functions",
    "crf.Draft": "unsaved typing of one person; the save that follows is recorded",
    "followup.PendingAnswers": "answers a participant has not confirmed yet; the report that follows is recorded",
    "access.Tally": "counts of requests for the rate limits; technical, holds no act",
    "account.EmailAddress": "unused table of django-allauth: no view of it has an address",
    "account.EmailConfirmation": "unused table of django-allauth: no view of it has an address",
    "auth.Group": "unused table of django.contrib.auth; rights come from memberships",
    "auth.Permission": "filled by migrate; rights come from memberships and the policy table",
    "axes.AccessAttempt": "counter of failures by a hash of the name; each failure and lock is recorded as an event",
    "axes.AccessAttemptExpiration": "unused table of django-axes: a lock does not expire",
    "axes.AccessFailureLog": "unused table of django-axes: failures are recorded as events",
    "axes.AccessLog": "unused table of django-axes: log-ins are recorded as events",
    "contenttypes.ContentType": "filled by migrate",
    "sessions.Session": "technical; log-in and log-out are recorded as events",
}

#: Columns of which the trail keeps only the fact of a change, in tables of packages.
FOREIGN_NOT_KEPT: dict[str, tuple[str, ...]] = {
    "mfa.Authenticator": ("data",),  # secrets, though encrypted, and public keys
}


def audited_models() -> list[type[models.Model]]:
    """Every concrete model that must carry the trigger."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.label not in EXCUSED
    ]


def trigger_arguments(model: type[models.Model]) -> tuple[str, str, str, str, str]:
    """Columns holding subject, site and user of a row ('' = none), whether it reveals an arm, columns not kept.

    A model says otherwise with `audit_subject`, `audit_site`, `audit_user` (column names), `audit_not_kept` (names).
    """
    columns = {field.column for field in model._meta.concrete_fields}

    def column(attribute: str, usual: str) -> str:
        return str(getattr(model, attribute, usual if usual in columns else ""))

    return (
        column("audit_subject", "subject_id"),
        column("audit_site", "site_id"),
        column("audit_user", "user_id"),
        "t" if getattr(model, "reveals_arm", False) else "f",
        ",".join(getattr(model, "audit_not_kept", FOREIGN_NOT_KEPT.get(model._meta.label, ()))),
    )


def install(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Create the functions and triggers, and grant the application role exactly what it needs."""
    connection = connections[using]
    role = settings.DATABASE_APP_ROLE
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, EXISTS (SELECT 1 FROM pg_roles WHERE rolname = %s)", [role])
        owner, exists = cursor.fetchone()
        if owner == role:
            raise ImproperlyConfigured(
                f"migrate must run as the owner of the tables, not as the application role {role!r}."
            )
        if not exists:
            raise ImproperlyConfigured(f"The application role {role!r} does not exist: CREATE ROLE {role} LOGIN;")
        cursor.execute((Path(__file__).parent / "sql" / "audit.sql").read_text(encoding="utf-8"))
        quote = connection.ops.quote_name
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {quote(role)}")
        cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quote(role)}")
        # A role's name cannot be a parameter of a statement; it is quoted instead.
        for statement in (
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            "REVOKE INSERT, UPDATE, DELETE ON audit_auditentry, audit_auditchain, audit_demo, django_migrations"
            " FROM {role}",
        ):
            cursor.execute(statement.format(role=quote(role)))
        present = set(connection.introspection.table_names(cursor))
        for model in audited_models():
            if model._meta.db_table not in present:
                continue  # its migration is still to come; a test fails for a table left without trigger
            table = quote(model._meta.db_table)
            cursor.execute(
                f"CREATE OR REPLACE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION audit_row(%s, %s, %s, %s, %s)",
                trigger_arguments(model),
            )
            cursor.execute(
                f"CREATE OR REPLACE TRIGGER audit_truncate BEFORE TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
            )
