from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class AdverseEventsConfig(AppConfig):
    name = "adverse_events"

    def ready(self) -> None:
        from adverse_events.mails import KIND, digest_sections
        from spinetrial.outbox.digest import contribute
        from spinetrial.outbox.kinds import register

        register(KIND)
        contribute(digest_sections)
        post_migrate.connect(install_report_rules, sender=self)


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
