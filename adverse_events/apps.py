from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class AdverseEventsConfig(AppConfig):
    name = "adverse_events"

    def ready(self) -> None:
        post_migrate.connect(install_rules, sender=self)


def install_rules(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Install the trigger that keeps the grade of an event the worst of its grade periods."""
    connection = connections[using]
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        if {"adverse_events_adverseevent", "adverse_events_gradeperiod"} <= present:
            cursor.execute((Path(__file__).parent / "sql" / "grades.sql").read_text(encoding="utf-8"))
