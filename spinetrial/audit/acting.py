"""Naming the actor of a database transaction, and recording acts that change no row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from django.db import connection, transaction

from spinetrial.audit import clock


class Actor(Protocol):
    """Who acts: a user account or a named system job."""

    @property
    def pk(self) -> int | None: ...

    @property
    def audit_name(self) -> str: ...


@dataclass(frozen=True)
class SystemActor:
    """A program that acts on its own, such as a scheduled job. It has no account."""

    name: str
    pk: None = None

    @property
    def audit_name(self) -> str:
        return f"system: {self.name}"


@dataclass(frozen=True)
class _Act:
    actor_id: str
    actor: str
    reason: str
    request_id: str
    clock: str


# Replaced, not taken out: a reason of nothing else would become empty, which the database refuses.
_CONTROLS = {0: None, **dict.fromkeys((*range(1, 9), 11, 12, *range(14, 32), 127), "\ufffd")}
_NOBODY = _Act("", "", "", "", "")
_current: ContextVar[_Act] = ContextVar("audit_act", default=_NOBODY)


def _tell_database(act: _Act) -> None:
    # Transaction-local (third argument true): a pooled connection can never carry an actor into the next request.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('spinetrial.actor_id', %s, true), set_config('spinetrial.actor', %s, true),"
            " set_config('spinetrial.reason', %s, true), set_config('spinetrial.request', %s, true),"
            " set_config('spinetrial.clock', %s, true)",
            # PostgreSQL's text cannot hold the NUL that a hand-made request may carry, and files of the trail should
            # hold no other control character but tab and line ends.
            [act.actor_id, act.actor, act.reason.translate(_CONTROLS), act.request_id, act.clock],
        )


@contextmanager
def acting(actor: Actor, reason: str = "", *, request_id: str = "") -> Iterator[None]:
    """Open a transaction (or savepoint) whose writes the database attributes to `actor`.

    `reason` is demanded by the database for every UPDATE and DELETE of an audited row. Nested use names the inner
    actor and reason for the inner block only; an empty inner reason inherits the outer one.
    """
    outer = _current.get()
    fixed = clock.fixed()
    act = _Act(
        actor_id="" if actor.pk is None else str(actor.pk),
        actor=actor.audit_name,
        reason=(reason or outer.reason).strip(),
        request_id=request_id or outer.request_id,
        clock=fixed.isoformat() if fixed else "",
    )
    token = _current.set(act)
    try:
        with transaction.atomic():
            _tell_database(act)
            yield
            _tell_database(outer)  # on an error the rollback restores it instead
    finally:
        _current.reset(token)


def record_event(
    act: str,
    *,
    subject_id: int | None = None,
    site_id: int | None = None,
    user_id: int | None = None,
    detail: Mapping[str, object] | None = None,
    reveals_arm: bool = False,
) -> None:
    """Append an audit entry for an act that changes no row: log-in, view of the arm, export, print, signature.

    Must run inside `acting()`; PostgreSQL refuses it otherwise. `detail` must not hold names or contacts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_event(%s, %s, %s, %s, %s::jsonb, %s)",
            [act, subject_id, site_id, user_id, json.dumps(detail or {}), reveals_arm],
        )
