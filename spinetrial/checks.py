"""System checks of an installation. Each message has a hint that says what to do."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from spinetrial import env
from spinetrial.protocol import ProtocolChanged, check_released

OLDEST_POSTGRESQL = 15


@register(Tags.database)
def check_database(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E001: the server is old. W002: the application role could change or empty clinical tables."""
    if "default" not in (databases or ()):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        version = cursor.fetchone()[0]
        if version < OLDEST_POSTGRESQL:
            return [
                Error(
                    f"PostgreSQL {version} is too old.",
                    hint=f"Move the database to PostgreSQL {OLDEST_POSTGRESQL} or newer.",
                    id="spinetrial.E001",
                )
            ]
        # Looked up by name because `migrate`, which runs the database checks, connects as the owner.
        cursor.execute(
            """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_roles r ON r.rolname = %(role)s
                WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public'
                  AND (pg_has_role(r.oid, c.relowner, 'USAGE')
                       OR has_table_privilege(r.oid, c.oid, 'TRUNCATE'))
                ORDER BY 1 LIMIT 5""",
            {"role": settings.DATABASE_APP_ROLE},
        )
        tables = [row[0] for row in cursor.fetchall()]
    if not tables:
        return []
    return [
        Warning(
            f"The role {settings.DATABASE_APP_ROLE} owns or may truncate tables ({', '.join(tables)}, ...).",
            hint=(
                "The audit trail is only safe from the application when another role owns the tables. "
                "Create the roles with deploy/provision.sql, set DATABASE_OWNER_URL and migrate with "
                "SPINETRIAL_DB_ROLE=owner."
            ),
            id="spinetrial.W002",
        )
    ]


@register(Tags.database)
def check_broker_schema(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E006: the database is the broker, but the application role has nowhere to put the messages."""
    if "default" not in (databases or ()) or not settings.CELERY_BROKER_URL.startswith("sqla+"):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """SELECT has_schema_privilege(r.oid, n.oid, 'CREATE') FROM pg_namespace n, pg_roles r
                WHERE n.nspname = %s AND r.rolname = %s""",
            [env.BROKER_SCHEMA, settings.DATABASE_APP_ROLE],
        )
        row = cursor.fetchone()
    if row and row[0]:
        return []
    return [
        Error(
            f"The role {settings.DATABASE_APP_ROLE} may not create tables in the schema {env.BROKER_SCHEMA}.",
            hint="Run deploy/provision.sql, or set CELERY_BROKER_URL to a Redis server.",
            id="spinetrial.E006",
        )
    ]


@register(Tags.security)
def check_field_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E003: a key of the encrypted personal data cannot be used. The message does not repeat it."""
    for position, key in enumerate(settings.FIELD_KEYS, start=1):
        try:
            Fernet(key)
        except (ValueError, TypeError):
            return [
                Error(
                    f"Key number {position} of FIELD_KEYS is not a Fernet key.",
                    hint=(
                        "A key is 32 random bytes in URL-safe base64, as Fernet.generate_key() of the "
                        "package cryptography makes it. Several are separated by commas, the current first."
                    ),
                    id="spinetrial.E003",
                )
            ]
    return []


@register()
def check_data_directory(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E004: files of the installation (e-mail copies, collected static files) cannot be written."""
    directory = settings.DATA_DIR
    existing = next(path for path in [directory, *directory.parents] if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"{existing} cannot be written.",
            hint="Set DATA_DIR to a directory that the account running SpineTrial may write.",
            id="spinetrial.E004",
        )
    ]


@register()
def check_site_url(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E005: e-mails would carry no link, or one that is not encrypted."""
    if settings.DEBUG or settings.INSECURE_COOKIES or settings.SITE_URL.startswith("https://"):
        return []
    return [
        Error(
            "SITE_URL is not an https address.",
            hint="Set SITE_URL to the address at which users open SpineTrial, such as https://edc.example.org.",
            id="spinetrial.E005",
        )
    ]


@register()
def check_protocol_record(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A released protocol version is still what was released: its hash is on record."""
    try:
        check_released()
    except ProtocolChanged as error:
        return [
            Error(
                str(error),
                hint="A released version never changes: undo the change, or make it in a new version.",
                id="spinetrial.E007",
            )
        ]
    return []
