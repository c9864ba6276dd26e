"""Freeze and lock of the trial. PostgreSQL refuses clinical writes while it is not open (`guard.sql`)."""

from __future__ import annotations

from spinetrial.access.gate import check_may
from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now


class EntryClosed(Exception):
    """The trial is frozen or locked: no CRF may change."""


class WrongState(Exception):
    """The trial is not in the state this step starts from."""


class SamePerson(Exception):
    """Freezing and locking need two different people."""


def check_open() -> None:
    """Raise EntryClosed unless entry is open. The database guard holds the same rule for every other path."""
    if TrialState.current().state != TrialState.State.OPEN:
        raise EntryClosed


def _change(actor: User, start: TrialState.State, goal: TrialState.State) -> None:
    """Change the state. Call inside acting()."""
    row = TrialState.for_change()
    if row.state != start:
        raise WrongState
    row.state, row.changed_by, row.changed_at = goal, actor, now()
    if goal == TrialState.State.LOCKED and row.unmasked_at is None:
        row.unmasked_at = now()
    row.save()


def do_freeze(actor: User, reason: str) -> None:
    """Open -> frozen, by the data manager. Raises PermissionDenied, WrongState."""
    check_may(actor, "trial.freeze", None)
    with acting(actor, reason):
        _change(actor, TrialState.State.OPEN, TrialState.State.FROZEN)


def do_unfreeze(actor: User, reason: str) -> None:
    """Frozen -> open, by the data manager. Raises PermissionDenied, WrongState."""
    check_may(actor, "trial.freeze", None)
    with acting(actor, reason):
        _change(actor, TrialState.State.FROZEN, TrialState.State.OPEN)


def do_lock(actor: User, reason: str) -> None:
    """Frozen -> locked, by the statistician and never by the person who froze.

    Call inside the transaction that also stores the data version. Raises PermissionDenied, WrongState, SamePerson.
    """
    check_may(actor, "trial.lock", None)
    with acting(actor, reason):
        frozen = TrialState.for_change()
        if frozen.state == TrialState.State.FROZEN and frozen.changed_by_id == actor.pk:
            raise SamePerson
        _change(actor, TrialState.State.FROZEN, TrialState.State.LOCKED)


def do_unlock(actor: User, reason: str) -> None:
    """Locked -> frozen, by the data manager and never by the person who locked; the next lock is a new version.

    Raises PermissionDenied, WrongState, SamePerson.
    """
    check_may(actor, "trial.freeze", None)
    with acting(actor, reason):
        locked = TrialState.for_change()
        if locked.state == TrialState.State.LOCKED and locked.changed_by_id == actor.pk:
            raise SamePerson
        _change(actor, TrialState.State.LOCKED, TrialState.State.FROZEN)
