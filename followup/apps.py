from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class FollowupConfig(AppConfig):
    name = "followup"

    def ready(self) -> None:
        from followup import questionnaire_messages, reminders
        from spinetrial.outbox.kinds import register

        for kind in (*reminders.KINDS, *questionnaire_messages.KINDS):
            register(kind)
        post_migrate.connect(install_reports_kept, sender=self)


def install_reports_kept(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """The triggers that keep a participant's report as it was given (as the owner, after migrate)."""
    from followup.questionnaire_models import PatientAnalgesic, PatientReport

    connection = connections[using]
    report, rows = PatientReport._meta.db_table, PatientAnalgesic._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "reports.sql").read_text(encoding="utf-8"))
        present = set(connection.introspection.table_names(cursor))
        for table, parent in ((report, ""), (rows, report)):
            if table in present:
                cursor.execute(
                    "CREATE OR REPLACE TRIGGER followup_report_kept BEFORE INSERT OR UPDATE OR DELETE ON "
                    f"{connection.ops.quote_name(table)} FOR EACH ROW EXECUTE FUNCTION followup_report_kept(%s)",
                    [parent],
                )
