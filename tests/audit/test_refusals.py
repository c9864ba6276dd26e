"""What PostgreSQL refuses the application role, on every audited table, and the ways around the forms that it sees."""

import io
import json

import psycopg2
import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics, Milestones
from spinetrial.access.models import StudySite, User
from spinetrial.audit.acting import acting
from spinetrial.audit.install import audited_models
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import enter
from tests.cast import make_cast
from tests.conftest import as_owner, owner_url
from tests.followup.helpers import registered

TABLES = sorted(model._meta.db_table for model in audited_models())
TRAIL = ["audit_auditentry", "audit_auditchain", "audit_demo"]


def refused(statement: str) -> str:
    """The database's words, "" when it did as it was told (and undid it)."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            transaction.set_rollback(True)
    except DatabaseError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("table", [*TABLES, *TRAIL])
def test_the_application_role_changes_no_table_and_no_trigger(db, table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled = 'O'",
            [table],
        )
        triggers = {row[0] for row in cursor.fetchall()}
    assert table not in TABLES or {"audit_row", "audit_truncate"} <= triggers
    statements = [
        f"TRUNCATE {table}",
        f"TRUNCATE {table} CASCADE",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"CREATE TRIGGER mine BEFORE UPDATE ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        f"CREATE RULE mine AS ON UPDATE TO {table} DO INSTEAD NOTHING",
        f"ALTER TABLE {table} ADD COLUMN mine text",
        f"ALTER TABLE {table} DISABLE RULE mine",
        f"ALTER TABLE {table} OWNER TO CURRENT_USER",
        f"ALTER TABLE {table} RENAME TO mine",
        f"DROP TABLE {table} CASCADE",
    ]
    for trigger in triggers:
        statements += [
            f"ALTER TABLE {table} DISABLE TRIGGER {trigger}",
            f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {trigger}",
            f"DROP TRIGGER {trigger} ON {table}",
            f"ALTER TRIGGER {trigger} ON {table} RENAME TO gone",
        ]
    for statement in statements:
        words = refused(statement)
        assert "permission denied" in words or "must be owner" in words, f"{statement}: {words}"


@pytest.mark.parametrize("table", TRAIL)
def test_the_application_role_writes_no_row_of_the_trail(cast, table):
    column = {"audit_auditentry": "reason", "audit_auditchain": "head", "audit_demo": "marked_at"}[table]
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} DEFAULT VALUES",
        f"WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT 1",
        f"SELECT 1 FROM {table} FOR UPDATE",
        f"COPY {table} FROM PROGRAM 'echo'",
    ):
        assert "permission denied" in refused(statement), statement


def test_the_application_role_replaces_no_function_of_ours(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.oid::regprocedure::text, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = 'public'"
        )
        functions = cursor.fetchall()
    assert {"audit_row", "audit_append", "review_guard", "randomization_slot_keep"} <= {name for _f, name in functions}
    for function, _name in functions:
        for statement in (
            f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
            f"ALTER FUNCTION {function} SECURITY INVOKER",
            f"ALTER FUNCTION {function} SET search_path = pg_temp",
            f"ALTER FUNCTION {function} OWNER TO CURRENT_USER",
            f"DROP FUNCTION {function} CASCADE",
        ):
            words = refused(statement)
            assert "permission denied" in words or "must be owner" in words, f"{statement}: {words}"


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "SET LOCAL session_replication_role = replica",
        "SELECT set_config('session_replication_role', 'replica', false)",
        "CREATE TEMP TABLE audit_auditentry (x int)",
        "CREATE FUNCTION pg_temp.audit_hash(x int) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "CREATE VIEW mine AS SELECT 1",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER DATABASE postgres SET session_replication_role = replica",
        "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION audit_refuse()",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT audit_row()",
    ],
)
def test_the_application_role_finds_no_side_door(db, statement):
    assert refused(statement)


def test_the_application_role_does_not_become_the_owner(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'audit_auditentry'")
        (owner,) = cursor.fetchone()
    assert "permission denied" in refused(f'SET ROLE "{owner}"')
    assert "permission denied" in refused(f'SET SESSION AUTHORIZATION "{owner}"')


def test_even_with_the_right_to_truncate_the_trigger_refuses(committed_db):
    """The planted fault: a right given by mistake meets the second guard, on every table."""
    make_cast()
    role = connection.settings_dict["USER"]
    as_owner(*(f'GRANT TRUNCATE ON {table} TO "{role}"' for table in TABLES), url=owner_url(committed_db))
    for table in TABLES:
        words = refused(f"TRUNCATE {table} CASCADE")
        assert "append-only or audited" in words or "permission denied" in words, f"{table}: {words}"
    assert User.objects.exists()


# --- the trail sees every way ---


@pytest.fixture
def record(cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    return enter(DEMOGRAPHICS, subject, cast.coordinator_a, {"birth_date": "1960-01-01", "sex": "female"})


def sql(statement):
    def run(record):
        with connection.cursor() as cursor:
            cursor.execute(statement, [record.pk])

    return run


def loaded(record):
    """`loaddata` of a fixture, as an import by hand would do it."""
    data = json.loads(serializers.serialize("json", [record]))
    data[0]["fields"]["height_cm"] = 170
    for each in serializers.deserialize("json", json.dumps(data)):
        each.save()


def in_the_shell(record):
    call_command(
        "shell",
        command="from patients.models import Demographics as D;"
        f" D.objects.filter(pk={record.pk}).update(height_cm=170)",
        verbosity=0,
    )


def copied(record):
    """COPY into the table, the way bulk loaders go; a second person of the same site."""
    with connection.cursor() as cursor:
        cursor.cursor.copy_expert(
            "COPY access_studysite (code, name, timezone, active) FROM STDIN",
            io.StringIO("CP\tCopied\tAsia/Shanghai\tt\n"),
        )


WAYS = {
    "save": (lambda record: Demographics(pk=record.pk, subject=record.subject, birth_date="1960-01-01", sex="female",
                                         height_cm=170).save(), "update"),
    "queryset update": (lambda record: Demographics.objects.filter(pk=record.pk).update(height_cm=170), "update"),
    "bulk_update": (lambda record: Demographics.objects.bulk_update(
        [Demographics(pk=record.pk, height_cm=170)], ["height_cm"]), "update"),
    "bulk_create": (lambda record: StudySite.objects.bulk_create([StudySite(code="BC", name="x")]), "insert"),
    "bulk_create that updates": (lambda record: StudySite.objects.bulk_create(
        [StudySite(code="NK", name="y")], update_conflicts=True, unique_fields=["code"], update_fields=["name"]),
        "update"),
    "queryset delete": (lambda record: Demographics.objects.filter(pk=record.pk).delete(), "delete"),
    "raw delete": (lambda record: Demographics.objects.filter(pk=record.pk)._raw_delete("default"), "delete"),
    "SQL update": (sql("UPDATE patients_demographics SET height_cm = 170 WHERE id = %s"), "update"),
    "SQL delete": (sql("DELETE FROM patients_demographics WHERE id = %s"), "delete"),
    "SQL with": (sql("WITH gone AS (DELETE FROM patients_demographics WHERE id = %s RETURNING 1) SELECT 1"), "delete"),
    "SQL merge": (sql("MERGE INTO patients_demographics d USING (SELECT %s::bigint AS id) s ON d.id = s.id"
                      " WHEN MATCHED THEN UPDATE SET height_cm = 170"), "update"),
    "copy": (copied, "insert"),
    "loaddata": (loaded, "update"),
    "shell": (in_the_shell, "update"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_with_an_actor_every_way_is_recorded(cast, record, way):
    run, act = WAYS[way]
    before = AuditEntry.objects.filter(act=act).latest("id").pk if AuditEntry.objects.filter(act=act) else 0
    with acting(cast.investigator_a, "by another way"):
        run(record)
    found = AuditEntry.objects.filter(pk__gt=before, act=act).exclude(table_name__startswith="review_")
    assert [(entry.actor_id, entry.reason) for entry in found] == [(cast.investigator_a.pk, "by another way")]


@pytest.mark.parametrize("way", WAYS)
def test_without_an_actor_every_way_is_refused(cast, record, way):
    run, _act = WAYS[way]
    before = AuditEntry.objects.count()
    with pytest.raises((DatabaseError, psycopg2.Error), match="no actor named"), transaction.atomic():
        run(record)
    assert AuditEntry.objects.count() == before
    assert Demographics.objects.get(pk=record.pk).height_cm is None
    assert not StudySite.objects.filter(code__in=["BC", "CP"]).exists()


def test_a_change_of_many_rows_leaves_an_entry_for_each(cast):
    for _n in range(3):
        registered(cast.coordinator_a, cast.site_a)
    with acting(cast.data_manager, "all at once"):
        changed = Milestones.objects.update(consent_date="2026-01-01")
    assert changed == 3
    assert AuditEntry.objects.filter(act="update", reason="all at once").count() == 3


def test_the_owner_is_held_to_actor_and_reason_too(committed_db, owner_connection):
    """Someone at the database prompt as the owner cannot change a value without saying who and why."""
    make_cast()
    with owner_connection.cursor() as cursor:
        with pytest.raises(psycopg2.Error, match="no actor named"):
            cursor.execute("UPDATE access_studysite SET name = 'x'")
        with pytest.raises(psycopg2.Error, match="append-only or audited"):
            cursor.execute("TRUNCATE access_studysite CASCADE")
        with pytest.raises(psycopg2.Error, match="append-only or audited"):
            cursor.execute("DELETE FROM audit_auditentry")
