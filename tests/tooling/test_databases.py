"""The two-role database of the tests themselves."""

import os
import threading
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.contrib.sessions.models import Session
from django.core.checks import run_checks
from django.db import ProgrammingError, connection
from django.utils import timezone

from tests.conftest import clone, drop


def sessions() -> int:
    return Session.objects.count()


def add(key: str) -> None:
    Session.objects.create(session_key=key, session_data="", expire_date=timezone.now())
    connection.close()


@pytest.mark.django_db
def test_tests_run_as_the_application_role_which_owns_nothing():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, count(*) FROM pg_tables WHERE tableowner = current_user GROUP BY 1")
        assert cursor.fetchall() == []
        with pytest.raises(ProgrammingError, match="permission denied"):
            cursor.execute("TRUNCATE django_session")


def test_a_committed_row_is_seen_by_other_threads(committed_db):
    thread = threading.Thread(target=add, args=("thread",))
    thread.start()
    thread.join()
    assert sessions() == 1


def test_the_next_test_starts_from_an_empty_clone(committed_db):
    assert sessions() == 0


def test_the_owner_sees_and_changes_what_the_application_committed(committed_db, owner_connection):
    add("mine")
    with owner_connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_session WHERE session_key = 'mine'")
    assert sessions() == 0


@pytest.mark.django_db
def test_the_provisioned_database_passes_its_own_checks():
    messages = run_checks(databases=["default"])
    assert [message for message in messages if message.id.startswith("spinetrial.")] == []


def test_a_database_is_dropped_though_a_thread_left_a_session_in_it(template_database):
    name = clone(template_database)
    left = psycopg2.connect(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl())
    try:
        drop(name)
        with pytest.raises(psycopg2.OperationalError), left.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        left.close()
