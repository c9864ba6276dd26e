"""Environment readers: every value is of its type or the program stops with the variable's name."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from spinetrial import env

NAME = "SPINETRIAL_TEST_VARIABLE"


@pytest.fixture
def variable(monkeypatch):
    return lambda value, suffix="": monkeypatch.setenv(NAME + suffix, value)


@pytest.mark.parametrize(("written", "meant"), [("1", True), ("Yes", True), (" off ", False), ("FALSE", False)])
def test_switches_have_several_spellings(variable, written, meant):
    variable(written)
    assert env.boolean(NAME, not meant) is meant


def test_an_empty_variable_counts_as_unset(variable):
    variable("  ")
    assert env.boolean(NAME, True) is True
    assert env.integer(NAME, 7, 1, 9) == 7
    assert env.words(NAME, ("a",)) == ["a"]
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.text(NAME)


@pytest.mark.parametrize("nonsense", ["ture", "2", "ja"])
def test_a_misspelt_switch_stops_the_program(variable, nonsense):
    variable(nonsense)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.boolean(NAME, False)


@pytest.mark.parametrize("nonsense", ["12a", "1.5", "0", "10"])
def test_a_number_outside_its_range_stops_the_program(variable, nonsense):
    variable(nonsense)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.integer(NAME, 5, 1, 9)


def test_words_lose_blanks_and_empty_parts(variable):
    variable(" a, ,b,")
    assert env.words(NAME) == ["a", "b"]


def test_a_secret_comes_from_its_file(variable, tmp_path):
    (tmp_path / "secret").write_text("open sesame\n")
    variable(str(tmp_path / "secret"), "_FILE")
    assert env.secret(NAME) == "open sesame"


def test_a_secret_given_twice_missing_or_empty_is_refused_without_showing_it(variable, tmp_path, monkeypatch):
    variable("open sesame")
    variable(str(tmp_path / "absent"), "_FILE")
    with pytest.raises(ImproperlyConfigured, match="not both") as refused:
        env.secret(NAME)
    assert "sesame" not in str(refused.value)
    monkeypatch.delenv(NAME)
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env.secret(NAME)
    (tmp_path / "absent").touch()
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        env.secret(NAME)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://app@db/trial",
        "postgresql://app:hunter2@db:99999/trial",
        "postgresql://app:hunter2@db",
        "postgresql://db/trial",
        "postgresql://app:hunter2@db/trial/more",
        "trial",
    ],
)
def test_an_address_that_is_no_postgresql_database_is_refused_without_its_password(variable, address):
    variable(address)
    with pytest.raises(ImproperlyConfigured, match=NAME) as refused:
        env.database(NAME)
    assert "hunter2" not in str(refused.value)


def test_a_socket_directory_and_libpq_parameters_are_understood(variable):
    variable("postgresql://app@/trial?host=/run/pg&port=5433&sslmode=disable")
    database = env.database(NAME)
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("/run/pg", "5433", "trial")
    assert database["OPTIONS"] == {"sslmode": "disable"}


def test_the_password_of_a_database_may_be_in_a_file(variable, tmp_path):
    (tmp_path / "secret").write_text("p@ss/word")
    variable("postgresql://app@db/trial")
    variable(str(tmp_path / "secret"), "_PASSWORD_FILE")
    assert env.database(NAME)["PASSWORD"] == "p@ss/word"


def test_the_role_is_known_without_its_password(variable, tmp_path):
    variable("postgresql://app%40site@db/trial")
    variable(str(tmp_path / "absent"), "_PASSWORD_FILE")
    assert env.user_of(NAME) == "app@site"


part = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(user=part, password=part, name=part, host=st.sampled_from(["", "/tmp/a b", "db.example.org"]))
def test_the_broker_address_says_the_same_as_the_connection(user, password, name, host):
    connection = {"USER": user, "PASSWORD": password, "NAME": name, "HOST": host, "PORT": "", "OPTIONS": {}}
    url = make_url(env.broker_url(connection).removeprefix("sqla+"))
    assert (url.username, url.password, url.database) == (user, password, name)
    assert url.query.get("host", "") == host
    assert url.query["options"] == "-csearch_path=broker"
