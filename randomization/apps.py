from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class RandomizationConfig(AppConfig):
    name = "randomization"

    def ready(self) -> None:
        post_migrate.connect(install_guard, sender=self)


def install_guard(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Install the triggers that keep sealed lists and allocations as they are."""
    with connections[using].cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "guard.sql").read_text(encoding="utf-8"))
