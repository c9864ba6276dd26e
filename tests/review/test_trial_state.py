"""Freeze, unfreeze, lock and unlock: each by its role, from its state, and the lock never by one person alone."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction

from spinetrial.access.gate import masked
from spinetrial.access.models import Membership, TrialState, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial
from tests.cast import SETUP

OPEN, FROZEN, LOCKED = TrialState.State


def state():
    return TrialState.current().state


def test_the_whole_way_and_back(cast):
    assert state() == OPEN
    trial.check_open()
    trial.do_freeze(cast.data_manager, "ready")
    assert state() == FROZEN
    trial.do_lock(cast.statistician, "final")
    assert state() == LOCKED
    trial.do_unlock(cast.data_manager, "a late document")
    assert state() == FROZEN
    trial.do_unfreeze(cast.data_manager, "one visit")
    assert state() == OPEN
    reasons = AuditEntry.objects.filter(table_name="access_trialstate", act="update").order_by("id")
    assert [(entry.actor_id, entry.reason) for entry in reasons] == [
        (cast.data_manager.pk, "ready"),
        (cast.statistician.pk, "final"),
        (cast.data_manager.pk, "a late document"),
        (cast.data_manager.pk, "one visit"),
    ]


@pytest.mark.parametrize("start", [FROZEN, LOCKED])
def test_a_trial_that_is_not_open_takes_no_entry(cast, start):
    trial.do_freeze(cast.data_manager, "ready")
    if start == LOCKED:
        trial.do_lock(cast.statistician, "final")
    with pytest.raises(trial.EntryClosed):
        trial.check_open()


@pytest.mark.parametrize(
    ("step", "allowed"),
    [
        (trial.do_freeze, "data_manager"),
        (trial.do_unfreeze, "data_manager"),
        (trial.do_lock, "statistician"),
        (trial.do_unlock, "data_manager"),
    ],
)
def test_only_the_role_of_the_step_may_take_it(cast, step, allowed):
    for name, person in cast.everyone().items():
        if name != allowed:
            with pytest.raises(PermissionDenied):
                step(person, "mine")
    assert state() == OPEN


STEPS = {
    trial.do_freeze: (OPEN, "data_manager"),
    trial.do_unfreeze: (FROZEN, "data_manager"),
    trial.do_lock: (FROZEN, "statistician"),
    trial.do_unlock: (LOCKED, "data_manager"),
}


@pytest.mark.parametrize("start", [OPEN, FROZEN, LOCKED])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_starts_from_its_state_only(cast, step, start):
    if start != OPEN:
        trial.do_freeze(cast.data_manager, "ready")
    if start == LOCKED:
        trial.do_lock(cast.statistician, "final")
    needed, person = STEPS[step]
    if start == needed:
        step(getattr(cast, person), "on with it")
        assert state() != start
    else:
        with pytest.raises(trial.WrongState):
            step(getattr(cast, person), "on with it")
        assert state() == start


@pytest.fixture
def both(cast):
    """One person who holds both roles, as a small team would have it."""
    with acting(SETUP, "test"):
        for role in (Role.DATA_MANAGER, Role.STATISTICIAN):
            Membership(user=cast.outsider, role=role, starts="2020-01-01").save()
    return User.objects.get(pk=cast.outsider.pk)


def test_who_froze_cannot_lock(cast, both):
    trial.do_freeze(both, "ready")
    with pytest.raises(trial.SamePerson):
        trial.do_lock(both, "final")
    assert state() == FROZEN
    trial.do_lock(cast.statistician, "final")


def test_who_locked_cannot_unlock(cast, both):
    trial.do_freeze(cast.data_manager, "ready")
    trial.do_lock(both, "final")
    with pytest.raises(trial.SamePerson):
        trial.do_unlock(both, "a late document")
    assert state() == LOCKED
    trial.do_unlock(cast.data_manager, "a late document")


def test_who_unlocked_cannot_lock_again_alone(cast, both):
    """Unlocking freezes, so the next lock needs another person than the one who unlocked."""
    trial.do_freeze(cast.data_manager, "ready")
    trial.do_lock(cast.statistician, "final")
    trial.do_unlock(both, "a late document")
    with pytest.raises(trial.SamePerson):
        trial.do_lock(both, "again")


@pytest.mark.parametrize("reason", ["", "  "])
def test_the_database_wants_a_reason(cast, reason):
    with pytest.raises(DatabaseError, match="needs a reason"):
        trial.do_freeze(cast.data_manager, reason)
    assert state() == OPEN


def test_the_first_lock_unmasks_the_statistician_for_good(cast):
    def statistician():
        return User.objects.get(pk=cast.statistician.pk)

    assert masked(statistician())
    trial.do_freeze(cast.data_manager, "ready")
    assert masked(statistician())
    trial.do_lock(cast.statistician, "final")
    unmasked_at = TrialState.current().unmasked_at
    assert not masked(statistician())
    trial.do_unlock(cast.data_manager, "a late document")
    assert not masked(statistician())
    trial.do_lock(cast.statistician, "final again")
    assert TrialState.current().unmasked_at == unmasked_at
    assert masked(User.objects.get(pk=cast.assessor_a.pk))


def test_there_is_one_state_and_no_other_word_for_it(cast):
    for statement in (
        "INSERT INTO access_trialstate (id, state) VALUES (2, 'open')",
        "UPDATE access_trialstate SET state = 'thawed'",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), acting(SETUP, "x"), connection.cursor() as cursor:
            cursor.execute(statement)
