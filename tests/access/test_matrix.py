"""Every address of the application, for every role, at one's own site and at another, against one table."""

import logging

import pytest

from spinetrial.access.policy import POLICY, Role
from spinetrial.audit.clock import at
from tests.access.matrix import AFTER_LOCK, TABLE, Row, rows
from tests.access.walk import Walk, all_names
from tests.conftest import own_database
from tests.world import NOW

OPEN, LOCKED = rows(TABLE), rows(AFTER_LOCK)


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
        yield Walk(world)


@pytest.mark.parametrize("row", OPEN, ids=str)
def test_everyone_gets_the_answer_of_the_table(open_trial, row):
    assert open_trial.wrong(row) == []


def test_a_planted_slip_of_the_policy_is_found(open_trial, monkeypatch):
    monkeypatch.setitem(POLICY, "crf.enter", POLICY["crf.enter"] | {Role.MONITOR})
    found = [each for row in OPEN if row.name in ("crf_edit", "radiotherapy_edit") for each in open_trial.wrong(row)]
    assert found
    assert all("monitor" in each for each in found)


# Its tests come last: its database takes the place of the one above.
@pytest.fixture(scope="module")
def locked_once(request, worlds, django_db_blocker):
    template, world = worlds("WHOLE", locked=True)
    with own_database(request, template, django_db_blocker), at(NOW):
        yield Walk(world)


@pytest.mark.parametrize("row", LOCKED, ids=str)
def test_the_first_lock_changes_these_answers(locked_once, row):
    assert locked_once.wrong(row) == []
