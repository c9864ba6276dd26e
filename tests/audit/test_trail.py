"""The audit trail: nothing is written without an actor, nothing changed without a reason, nothing altered unseen."""

import threading
from datetime import UTC, datetime

import psycopg2
import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from spinetrial.access.models import StudySite, User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.chain import broken_links
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from tests.cast import SETUP, make_cast


def test_a_write_without_an_actor_is_refused(db):
    with pytest.raises(DatabaseError, match="no actor"), transaction.atomic():
        StudySite(code="XX", name="x").save()


def test_a_change_without_a_reason_is_refused(cast):
    cast.site_a.name = "Renamed"
    with pytest.raises(DatabaseError, match="needs a reason"), acting(cast.administrator):
        cast.site_a.save()
    with pytest.raises(DatabaseError, match="needs a reason"), acting(cast.administrator, "   "):
        cast.site_a.save()


def test_an_entry_tells_who_old_new_why(cast):
    cast.site_a.name = "Renamed"
    with acting(cast.administrator, "new sign at the door"):
        cast.site_a.save()
    entry = AuditEntry.objects.filter(table_name="access_studysite", act="update").get()
    assert entry.actor_id == cast.administrator.pk
    assert "administrator" in entry.actor
    assert entry.reason == "new sign at the door"
    assert entry.changes == {"name": ["North Kettle Hospital", "Renamed"]}


def test_bulk_and_raw_writes_are_caught_too(cast):
    with acting(cast.administrator, "bulk"):
        User.objects.filter(username__startswith="coordinator").update(email="x@example.org")
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM access_membership WHERE user_id = %s", [cast.monitor_a.pk])
    assert AuditEntry.objects.filter(table_name="access_user", act="update").count() == 2
    assert AuditEntry.objects.filter(table_name="access_membership", act="delete").count() == 1


def test_the_actor_ends_with_the_block(cast):
    with acting(cast.administrator, "one"):
        cast.site_a.save()
    with pytest.raises(DatabaseError, match="no actor"), transaction.atomic():
        StudySite(code="YY", name="y").save()


def test_a_nested_act_returns_to_the_outer_one(cast):
    with acting(cast.administrator, "outer"):
        with acting(cast.data_manager, "inner"):
            cast.site_a.name = "Inner"
            cast.site_a.save()
        cast.site_a.name = "Outer"
        cast.site_a.save()
    actors = list(AuditEntry.objects.filter(act="update").order_by("id").values_list("actor_id", "reason"))
    assert actors == [(cast.data_manager.pk, "inner"), (cast.administrator.pk, "outer")]


def test_after_a_failed_inner_act_the_outer_one_still_holds(cast):
    with acting(cast.administrator, "outer"):
        with pytest.raises(RuntimeError), acting(cast.data_manager, "inner"):
            raise RuntimeError
        cast.site_a.name = "Outer"
        cast.site_a.save()
    assert AuditEntry.objects.get(act="update").actor_id == cast.administrator.pk


def test_passwords_are_not_kept(cast):
    with acting(cast.administrator, "reset"):
        cast.monitor_a.set_password("another-Password-1")
        cast.monitor_a.save()
    kept = str(list(AuditEntry.objects.filter(table_name="access_user").values_list("changes", flat=True)))
    assert "md5$" not in kept
    assert "(not kept)" in kept


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditentry SET reason = 'x'",
        "DELETE FROM audit_auditentry",
        "TRUNCATE audit_auditentry",
        "INSERT INTO audit_auditentry (chain) VALUES ('x')",
        "UPDATE audit_auditchain SET seq = 0",
        "DELETE FROM audit_auditchain",
        "TRUNCATE access_studysite CASCADE",
        "ALTER TABLE access_studysite DISABLE TRIGGER audit_row",
        "DROP TRIGGER audit_row ON access_studysite",
        "CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "SELECT audit_append('x', 'insert', 't', '1', NULL, NULL, false, '{}'::jsonb)",
        "INSERT INTO audit_demo DEFAULT VALUES",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_application_role_cannot_touch_the_trail(cast, statement):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone()[1] is False
    with pytest.raises(DatabaseError), acting(cast.administrator, "attack"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_event_cannot_pretend_to_be_a_change(cast):
    with pytest.raises(DatabaseError, match="triggers only"), acting(cast.administrator):
        record_event("update")


def test_a_whole_trail_has_no_broken_link(cast):
    assert AuditEntry.objects.count() > 20
    assert broken_links() == []


def test_even_the_owner_is_refused_and_a_forced_alteration_is_found(committed_db, owner_connection):
    make_cast()
    with owner_connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("UPDATE audit_auditentry SET actor = 'someone else' WHERE id = 3")
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_entry_append_only")
        cursor.execute("UPDATE audit_auditentry SET actor = 'someone else' WHERE id = 3 RETURNING chain, seq")
        chain, seq = cursor.fetchone()
    found = broken_links()
    assert [(link.chain, link.seq) for link in found] == [(chain, seq)]
    assert "altered" in found[0].problem


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        ("DELETE FROM audit_auditentry WHERE id = (SELECT min(id) FROM audit_auditentry)", "missing before"),
        ("DELETE FROM audit_auditentry WHERE id = (SELECT max(id) FROM audit_auditentry)", "head"),
    ],
)
def test_a_removed_entry_is_found(committed_db, owner_connection, tamper, problem):
    make_cast()
    with acting(SETUP, "more"):
        site = StudySite.objects.first()
        for name in ("a", "b", "c"):
            site.name = name
            site.save()
    with owner_connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_entry_append_only")
        cursor.execute(tamper)
    assert any(problem in link.problem for link in broken_links())


def test_the_clock_of_the_trail_cannot_be_set_outside_a_demonstration(cast):
    with at(datetime(2020, 1, 1, tzinfo=UTC)), acting(cast.administrator):
        StudySite(code="ZZ", name="z").save()
    entry = AuditEntry.objects.get(table_name="access_studysite", changes__code__1="ZZ")
    assert entry.at.year >= 2026
    assert not entry.simulated


def test_in_a_demonstration_it_can_and_the_entry_says_so(committed_db, owner_connection):
    with owner_connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_demo DEFAULT VALUES")
    with at(datetime(2020, 1, 1, tzinfo=UTC)), acting(SETUP):
        StudySite(code="ZZ", name="z").save()
    entry = AuditEntry.objects.get(table_name="access_studysite")
    assert entry.at == datetime(2020, 1, 1, tzinfo=UTC)
    assert entry.simulated
    assert broken_links() == []


def test_writers_to_one_chain_take_turns(committed_db):
    make_cast()
    site = StudySite.objects.first()

    def write(number: int) -> None:
        try:
            for turn in range(5):
                with acting(SETUP, "turn"):
                    row = StudySite.lock(site.pk)
                    row.name = f"{number}-{turn}"
                    row.save()
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AuditEntry.objects.filter(table_name="access_studysite", act="update").count() == 20
    assert broken_links() == []
