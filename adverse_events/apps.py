from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate

#: Bulk tables of a dictionary -> what tells whether it is complete.
BULK = {"MeddraTerm": "version", "MeddraPath": "version", "MeddraName": "release", "MeddraPosting": "release"}


class AdverseEventsConfig(AppConfig):
    name = "adverse_events"

    def ready(self) -> None:
        from adverse_events.mails import KIND, digest_sections
        from spinetrial.outbox.digest import contribute
        from spinetrial.outbox.kinds import register

        register(KIND)
        contribute(digest_sections)
        post_migrate.connect(install_report_rules, sender=self)
        post_migrate.connect(install_coding_rules, sender=self)
        post_migrate.connect(install_grade_rules, sender=self)


def install_coding_rules(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Triggers on codings and dictionaries (as the owner, after migrate)."""
    connection = connections[using]
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        if "adverse_events_coding" not in present:
            return
        cursor.execute((Path(__file__).parent / "sql" / "coding.sql").read_text(encoding="utf-8"))

        def trigger(name: str, model: str, rest: str, *arguments: str) -> None:
            table = connection.ops.quote_name(apps.get_model("adverse_events", model)._meta.db_table)
            timing, _slash, function = rest.partition(" / ")
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            cursor.execute(f"CREATE TRIGGER {name} {timing % table} EXECUTE FUNCTION {function}", arguments)

        for model, by in BULK.items():
            trigger(
                "meddra_kept", model, "BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT / meddra_kept()"
            )
            new = "AFTER INSERT ON %s REFERENCING NEW TABLE AS written FOR EACH STATEMENT"
            trigger("meddra_import_only", model, f"{new} / meddra_import_only(%s)", by)
        for model in ("MeddraVersion", "MeddraRelease"):
            trigger("meddra_registry", model, "BEFORE UPDATE OR DELETE ON %s FOR EACH ROW / meddra_registry()")
        trigger("coding_guard", "Coding", "BEFORE INSERT OR UPDATE ON %s FOR EACH ROW / coding_guard()")


def install_report_rules(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Triggers that keep signed reports and reasons as they were written (as the owner, after migrate)."""
    from adverse_events.models import MissedDeadline, SaeReport

    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "reports.sql").read_text(encoding="utf-8"))
        present = set(connection.introspection.table_names(cursor))
        for model, when, function in (
            (SaeReport, "INSERT OR UPDATE OR DELETE", "sae_report_kept"),
            (MissedDeadline, "UPDATE OR DELETE", "sae_miss_kept"),
        ):
            table = model._meta.db_table
            if table in present:
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {function} BEFORE {when} ON {connection.ops.quote_name(table)}"
                    f" FOR EACH ROW EXECUTE FUNCTION {function}()"
                )


def install_grade_rules(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Install the trigger that keeps the grade of an event the worst of its grade periods."""
    connection = connections[using]
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        if {"adverse_events_adverseevent", "adverse_events_gradeperiod"} <= present:
            cursor.execute((Path(__file__).parent / "sql" / "grades.sql").read_text(encoding="utf-8"))
