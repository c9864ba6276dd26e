from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate

#: Models whose rows are kept as they were written.
KEPT = ("Verification", "Certification", "Signature", "SignedRecord")


class ReviewConfig(AppConfig):
    name = "spinetrial.review"
    label = "review"

    def ready(self) -> None:
        post_migrate.connect(install_guard, sender=self)


def guarded(model: Any) -> bool:
    """Whether rows of `model` are clinical data that a freeze closes."""
    return hasattr(model, "site_path") and not getattr(model, "survives_lock", False)


def install_guard(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "guard.sql").read_text(encoding="utf-8"))
        cursor.execute((Path(__file__).parent / "sql" / "reviewed.sql").read_text(encoding="utf-8"))
        present = set(connection.introspection.table_names(cursor))
        for name in KEPT:
            table = apps.get_model("review", name)._meta.db_table
            if table in present:
                cursor.execute(
                    "CREATE OR REPLACE TRIGGER review_kept BEFORE INSERT OR UPDATE OR DELETE ON "
                    f"{connection.ops.quote_name(table)} FOR EACH ROW EXECUTE FUNCTION review_kept()"
                )
        for model in apps.get_models():
            if guarded(model) and model._meta.db_table in present:
                cursor.execute(
                    "CREATE OR REPLACE TRIGGER review_guard BEFORE INSERT OR UPDATE OR DELETE ON "
                    f"{connection.ops.quote_name(model._meta.db_table)} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION review_guard()"
                )
        if "access_trialstate" in present:
            cursor.execute(
                "CREATE OR REPLACE TRIGGER review_two_people BEFORE UPDATE ON access_trialstate "
                "FOR EACH ROW EXECUTE FUNCTION review_two_people()"
            )
