"""System checks: each planted fault is found and answered with a hint."""

import pytest
from cryptography.fernet import Fernet

from spinetrial import checks


def ids(messages):
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_a_field_key_that_is_no_fernet_key_is_found_and_not_shown(settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    assert checks.check_field_keys(None) == []
    settings.FIELD_KEYS += ["hunter2"]
    (message,) = checks.check_field_keys(None)
    assert ids([message]) == ["spinetrial.E003"]
    assert "number 2" in message.msg
    assert "hunter2" not in str(message)


def test_a_data_directory_that_cannot_be_made_is_found(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "new" / "er"
    assert checks.check_data_directory(None) == []
    (tmp_path / "file").touch()
    settings.DATA_DIR = tmp_path / "file" / "data"
    assert ids(checks.check_data_directory(None)) == ["spinetrial.E004"]


@pytest.mark.parametrize("address", ["", "http://edc.example.org"])
def test_production_needs_an_https_address(settings, address):
    settings.SITE_URL = address
    assert checks.check_site_url(None) == []
    settings.INSECURE_COOKIES = False
    assert ids(checks.check_site_url(None)) == ["spinetrial.E005"]


def test_an_application_role_that_owns_or_may_empty_tables_is_found(committed_db, owner_connection, settings):
    assert checks.check_database(None, databases=["default"]) == []
    with owner_connection.cursor() as cursor:
        cursor.execute(f'GRANT TRUNCATE ON django_session TO "{settings.DATABASE_APP_ROLE}"')
    (message,) = checks.check_database(None, databases=["default"])
    assert ids([message]) == ["spinetrial.W002"]
    assert "django_session" in message.msg
    settings.DATABASE_APP_ROLE = owner_connection.info.user
    assert ids(checks.check_database(None, databases=["default"])) == ["spinetrial.W002"]


def test_a_database_broker_without_its_schema_is_found(committed_db, owner_connection, settings):
    settings.CELERY_BROKER_URL = "sqla+postgresql://"
    assert checks.check_broker_schema(None, databases=["default"]) == []
    with owner_connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA broker")
    assert ids(checks.check_broker_schema(None, databases=["default"])) == ["spinetrial.E006"]
    settings.CELERY_BROKER_URL = "redis://redis:6379/0"
    assert checks.check_broker_schema(None, databases=["default"]) == []


def test_database_checks_stay_away_unless_asked(settings):
    assert checks.check_database(None) == checks.check_broker_schema(None) == []
