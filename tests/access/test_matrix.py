"""Every address of the application, for every role, at one's own site and at another, against one table."""

import logging

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from spinetrial.audit.clock import at
from tests.access.matrix import AFTER_LOCK, COLUMNS, PATHS, POSTED, TABLE, Row, rows
from tests.conftest import own_database
from tests.world import NOW, World, taken_back

OPEN, LOCKED = rows(TABLE), rows(AFTER_LOCK)


def all_names(patterns=None) -> dict[str, set[str]]:
    """Every URL name of the application with the names of what its path takes."""
    found: dict[str, set[str]] = {}
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if hasattr(pattern, "url_patterns"):
            for name, takes in all_names(pattern.url_patterns).items():
                found.setdefault(name, set()).update(takes)
        else:
            found.setdefault(pattern.name or str(pattern.pattern), set()).update(pattern.pattern.converters)
    return found


def faults(table: list[Row], names) -> list[str]:
    """What is missing in the table, what is in it twice, and what it names that does not exist."""
    seen = [(row.method, row.name) for row in table]
    found = [
        f"{name} has no {method} row: add one line to TABLE in tests/access/matrix.py (its docstring says how)"
        for name in names
        for method in ("GET", "POST")
        if (method, name) not in seen
    ]
    found += [f"no address is called {row.name}: take its row out" for row in table if row.url_name not in names]
    found += [f"{method} {name} stands there twice" for method, name in set(seen) if seen.count((method, name)) > 1]
    return found


def test_every_address_has_its_rows_and_every_row_its_address():
    assert faults(OPEN, all_names()) == []
    assert {(row.method, row.name) for row in LOCKED} <= {(row.method, row.name) for row in OPEN}


def test_a_planted_address_without_a_row_and_a_planted_row_without_an_address_are_found():
    names = all_names()
    assert "planted has no GET row" in faults(OPEN, {**names, "planted": set()})[0]
    assert "no address is called planted" in faults([*OPEN, OPEN[0]._replace(name="planted")], names)[0]
    assert "twice" in faults([*OPEN, OPEN[0]], names)[0]
    with pytest.raises(ValueError):
        rows("GET home 200 200")


class Walk:
    """The people of a world, each with a browser of their own, logged in once."""

    def __init__(self, world: World, names) -> None:
        self.world, self.names, self.clients = world, names, {}
        for person in {each for column in COLUMNS.values() for each in column}:
            self.clients[person] = client = Client(raise_request_exception=True)
            if person:
                client.force_login(world.people[person])

    def address(self, name: str) -> str:
        url_name = name.partition(":")[0]
        path = dict(PATHS.get(name, PATHS.get(url_name, lambda world: {}))(self.world))
        if "code" in self.names[url_name]:
            path.setdefault("code", self.world.trial.followed.code)
        return reverse(url_name, kwargs=path)

    def answer(self, row: Row, person: str) -> str:
        client = self.clients[person]
        cookies = client.cookies.copy()
        with taken_back():
            if row.method == "GET":
                response = client.get(self.address(row.name))
            else:
                response = client.post(self.address(row.name), {"unknown": "x", **POSTED.get(row.name, {})})
        client.cookies = cookies
        if response.status_code == 302 and response.headers["Location"].startswith(f"{reverse('login')}?"):
            return "log"
        return str(response.status_code)

    def wrong(self, row: Row) -> list[str]:
        """Where the answers are not those of the table."""
        found = []
        for column, people in COLUMNS.items():
            for person in people:
                got = self.answer(row, person)
                if got != row.answers[column]:
                    found.append(f"{row}: {column} ({person}) got {got}, the table says {row.answers[column]}")
        return found


@pytest.fixture(autouse=True)
def quiet():
    """A page of refusals for every failing row helps nobody."""
    logger = logging.getLogger("django.request")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def open_trial(request, worlds, django_db_blocker):
    template, world = worlds("WHOLE")
    with own_database(request, template, django_db_blocker), at(NOW):
        yield Walk(world, all_names())


# Its tests come last: its database takes the place of the one above.
@pytest.fixture(scope="module")
def locked_once(request, worlds, django_db_blocker):
    template, world = worlds("WHOLE", locked=True)
    with own_database(request, template, django_db_blocker), at(NOW):
        yield Walk(world, all_names())


@pytest.mark.parametrize("row", OPEN, ids=str)
def test_everyone_gets_the_answer_of_the_table(open_trial, row):
    assert open_trial.wrong(row) == []


def test_an_answer_that_differs_from_the_table_is_found(open_trial):
    """A planted slip of the policy: the monitor may suddenly enter forms."""
    row = next(row for row in OPEN if row.name == "crf_edit" and row.method == "GET")
    slipped = row._replace(answers={**row.answers, "monitor": "200", "logged out": "200"})
    assert len(open_trial.wrong(slipped)) == 2


@pytest.mark.parametrize("row", LOCKED, ids=str)
def test_the_first_lock_changes_these_answers(locked_once, row):
    assert locked_once.wrong(row) == []
