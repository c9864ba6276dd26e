from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class CrfConfig(AppConfig):
    name = "spinetrial.crf"
    label = "crf"

    def ready(self) -> None:
        checks.register(check_all_specs)
        post_migrate.connect(install_record_rules, sender=self)


def check_all_specs(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    from spinetrial.crf.registry import all_specs
    from spinetrial.crf.spec import check_spec

    specs = all_specs()
    return [message for spec in specs for message in check_spec(spec, specs)]


def install_record_rules(*, using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    """Triggers on every CRF table (as the owner, after migrate): coded missing answers, void signatures, freezes."""
    from spinetrial.crf.registry import all_specs
    from spinetrial.crf.spec import Keeping
    from spinetrial.review.apps import guarded

    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute((Path(__file__).parent / "sql" / "records.sql").read_text(encoding="utf-8"))
        present = set(connection.introspection.table_names(cursor))

        def trigger(name: str, when: str, table: str, function: str, *arguments: str) -> None:
            if table in present:
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {name} {when} ON {connection.ops.quote_name(table)}"
                    f" FOR EACH ROW EXECUTE FUNCTION {function}({', '.join(['%s'] * len(arguments))})",
                    arguments,
                )

        frozen: dict[str, tuple[str, str, str]] = {}
        for spec in all_specs():
            table = spec.model._meta.db_table
            event = "" if spec.keeping is Keeping.PER_EVENT else spec.event
            frozen[table] = (spec.code, event, "")
            frozen |= {group.model._meta.db_table: (spec.code, event, table) for group in spec.rows}
            trigger("crf_missing", "BEFORE INSERT OR UPDATE", table, "crf_missing")
            trigger("crf_changed", "AFTER UPDATE OR DELETE", table, "crf_record_changed", spec.code)
            for group in spec.rows:
                rows = group.model._meta.db_table
                trigger(
                    "crf_changed", "AFTER INSERT OR UPDATE OR DELETE", rows, "crf_row_changed", spec.code, group.key
                )
        # Contacts stay open: a person can still be reached, and can withdraw, when the data are clean.
        for model in apps.get_models():
            columns = {field.column for field in model._meta.concrete_fields}
            table = model._meta.db_table
            of_subject = "subject_id" in columns or table == "patients_subject"
            if guarded(model) and of_subject and table != "patients_contact":
                arguments = frozen.get(table, ("", "", ""))
                trigger("review_frozen", "BEFORE INSERT OR UPDATE OR DELETE", table, "review_frozen", *arguments)
