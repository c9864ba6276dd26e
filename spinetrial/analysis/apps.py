from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class AnalysisConfig(AppConfig):
    name = "spinetrial.analysis"
    label = "analysis"

    def ready(self) -> None:
        post_migrate.connect(install_guard, sender=self)


def install_guard(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """A data version is written once: PostgreSQL refuses to change or delete one, whatever path it comes by."""
    with connections[using].cursor() as cursor:
        # audit_refuse() is there already: the audit app is migrated first.
        cursor.execute(
            "CREATE OR REPLACE TRIGGER analysis_version_immutable BEFORE UPDATE OR DELETE ON analysis_dataversion"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
