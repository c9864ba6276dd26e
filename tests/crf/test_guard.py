"""The database's own refusal of clinical writes while the trial is not open, whatever way they come by."""

import threading
import time
from datetime import date

import psycopg2
import pytest
from django.apps import apps
from django.db import DatabaseError, connection, connections, transaction

from patients.crfs import DEMOGRAPHICS
from patients.models import Contact, Demographics, Subject
from patients.subjects import do_change_contact, do_purge_contact
from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import acting
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import enter
from spinetrial.review import queries, trial
from spinetrial.review.apps import guarded, install_guard
from tests.cast import make_cast
from tests.followup.helpers import registered

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}


def freeze(cast, locked=False):
    trial.do_freeze(cast.data_manager, "cleaning")
    if locked:
        trial.do_lock(cast.statistician, "final")


@pytest.fixture
def saved(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


def test_every_crf_is_guarded():
    """A table of clinical data without the guard would take writes after the lock."""
    for spec in all_specs():
        assert guarded(spec.model)
        assert all(guarded(group.model) for group in spec.rows)
    assert guarded(Subject)
    assert not guarded(queries.Query)


def test_the_database_holds_a_guard_on_every_guarded_table(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'review_guard' AND tgenabled = 'O'"
        )
        found = {row[0] for row in cursor.fetchall()}
    assert found == {model._meta.db_table for model in apps.get_models() if guarded(model)}


@pytest.mark.parametrize("locked", [False, True], ids=["frozen", "locked"])
@pytest.mark.parametrize(
    "write",
    [
        lambda record: record.save(),
        lambda record: record.delete(),
        lambda record: Demographics.objects.filter(pk=record.pk).update(height_cm=170),
        lambda record: Demographics.objects.bulk_update([record], ["height_cm"]),
        lambda record: Demographics.objects.bulk_create([Demographics(subject=record.subject, **ANSWERS)]),
        lambda record: Demographics.objects.filter(pk=record.pk).delete(),
        lambda record: connection.cursor().execute("UPDATE patients_demographics SET height_cm = 170"),
        lambda record: connection.cursor().execute("DELETE FROM patients_demographics"),
        lambda record: connection.cursor().execute("UPDATE patients_milestones SET death_date = NULL"),
    ],
    ids=[
        "save",
        "delete",
        "update",
        "bulk update",
        "bulk create",
        "bulk delete",
        "raw update",
        "raw delete",
        "raw other",
    ],
)
def test_no_way_leads_around_a_freeze(cast, saved, write, locked):
    freeze(cast, locked)
    state = "locked" if locked else "frozen"
    with pytest.raises(DatabaseError, match=f"trial is {state}"), acting(cast.coordinator_a, "by another way"):
        write(saved)
    assert Demographics.objects.get().height_cm == 160


def test_an_open_trial_takes_the_same_writes(cast, saved):
    with acting(cast.coordinator_a, "correction"):
        Demographics.objects.filter(pk=saved.pk).update(height_cm=170)
    assert Demographics.objects.get().height_cm == 170


def test_queries_outlive_a_freeze(cast, saved):
    query = queries.raise_query(cast.monitor_a, subject=saved.subject, site_id=saved.subject.site_id, spec_code="P.DM",
                                record_id=saved.pk, event="BL", item="height_cm", text="Right?")  # fmt: skip
    freeze(cast)
    queries.answer(cast.coordinator_a, query, "Yes.")
    queries.close(cast.monitor_a, query, "Thank you.")
    query.refresh_from_db()
    assert query.state == "closed"


def test_the_application_role_cannot_take_the_guard_away(cast, saved):
    freeze(cast)
    for statement in (
        "ALTER TABLE patients_demographics DISABLE TRIGGER review_guard",
        "DROP TRIGGER review_guard ON patients_demographics",
        "TRUNCATE patients_demographics CASCADE",
        "CREATE OR REPLACE FUNCTION review_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_guard_taken_away_is_put_back_by_the_next_migrate(committed_db, owner_connection):
    """The planted fault shows that the refusal is the guard's work."""
    cast = make_cast()
    record = enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)
    freeze(cast)
    with owner_connection.cursor() as cursor:
        cursor.execute("ALTER TABLE patients_demographics DISABLE TRIGGER review_guard")
        with acting(cast.coordinator_a, "through the gap"):
            Demographics.objects.filter(pk=record.pk).update(height_cm=170)
        assert Demographics.objects.get().height_cm == 170
        cursor.execute("DROP TRIGGER review_guard ON patients_demographics")
    role = connection.settings_dict["USER"]
    connections.close_all()
    connection.settings_dict["USER"] = owner_connection.info.user
    try:
        install_guard()
    finally:
        connections.close_all()
        connection.settings_dict["USER"] = role
    with pytest.raises(DatabaseError, match="trial is frozen"), acting(cast.coordinator_a, "again"):
        Demographics.objects.filter(pk=record.pk).update(height_cm=180)


def waits_for_a_lock(database: str) -> bool:
    """Wait until a session of this database stands in line for a lock; False after ten seconds without one."""
    with connection.cursor() as cursor:
        for _n in range(1000):
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees one state of the sessions
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", [database]
            )
            if cursor.fetchone()[0]:
                return True
            time.sleep(0.01)
    return False


def in_thread(call):
    answer = []

    def run():
        try:
            answer.append(call())
        except Exception as error:
            answer.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answer


def test_a_freeze_waits_for_a_running_save(committed_db):
    cast = make_cast()
    subject = registered(cast.coordinator_a, cast.site_a)
    manager = User.objects.get(pk=cast.data_manager.pk)
    with acting(cast.coordinator_a, "slow save"):
        Demographics(subject=subject, **ANSWERS).save()
        thread, answer = in_thread(lambda: trial.do_freeze(manager, "cleaning"))
        assert waits_for_a_lock(committed_db)
        assert TrialState.current().state == TrialState.State.OPEN
        Demographics.objects.update(height_cm=161)  # the running save goes on writing
    thread.join(timeout=30)
    assert answer == [None]
    assert TrialState.current().state == TrialState.State.FROZEN
    assert Demographics.objects.get().height_cm == 161


def test_a_save_that_comes_during_a_freeze_waits_and_is_refused(committed_db):
    cast = make_cast()
    subject = registered(cast.coordinator_a, cast.site_a)
    coordinator = User.objects.get(pk=cast.coordinator_a.pk)
    with acting(cast.data_manager, "cleaning"):
        trial.do_freeze(cast.data_manager, "cleaning")
        thread, answer = in_thread(
            lambda: enter(DEMOGRAPHICS, Subject.objects.get(pk=subject.pk), coordinator, ANSWERS)
        )
        assert waits_for_a_lock(committed_db)
    thread.join(timeout=30)
    assert isinstance(answer[0], (DatabaseError, trial.EntryClosed))
    assert not Demographics.objects.exists()


def test_two_freezes_at_once_make_one(committed_db):
    cast = make_cast()
    manager = User.objects.get(pk=cast.data_manager.pk)
    with acting(cast.data_manager, "first"):
        trial.do_freeze(cast.data_manager, "first")
        thread, answer = in_thread(lambda: trial.do_freeze(manager, "second"))
        assert waits_for_a_lock(committed_db)
    thread.join(timeout=30)
    assert isinstance(answer[0], trial.WrongState)


def test_contacts_are_closed_on_the_screen_and_can_be_deleted_all_the_same(cast, saved):
    """A person may be forgotten after a lock; contacts are no trial data (tests/patients/test_names.py)."""
    freeze(cast)
    with pytest.raises(trial.EntryClosed):
        do_change_contact(cast.coordinator_a, saved.subject, {"telephone": "x"}, "new number")
    do_purge_contact(cast.investigator_a, saved.subject, "asked for", without_grounds=True)
    assert not Contact.objects.filter(subject=saved.subject).exists()


def test_the_guard_is_a_refusal_of_its_own_kind(cast, saved):
    """Not a lost connection or a broken constraint: the code that the screens and logs can tell apart."""
    freeze(cast)
    with pytest.raises(DatabaseError) as refusal, acting(cast.coordinator_a, "late"):
        saved.save()
    assert isinstance(refusal.value.__cause__, psycopg2.errors.ObjectNotInPrerequisiteState)
