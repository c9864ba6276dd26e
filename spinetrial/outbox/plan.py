"""Planning messages: rows that will be sent, each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from spinetrial.access.gate import list_records
from spinetrial.audit.acting import SystemActor, acting
from spinetrial.outbox.models import Message

#: Rows of one transaction. They should belong to many participants: within a transaction PostgreSQL walks over every
#: earlier state of a chain of the trail, so that rows of one participant in a row cost twice as much.
BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A message to be made. `key` names it for ever: kind, whom it is about, to whom, and which day if it recurs.

    `recipient_id` None is the participant; `not_before` is the earliest moment of sending.
    """

    kind: str
    key: str
    site_id: int
    due: date
    not_before: datetime
    subject_id: int | None = None
    event: str = ""
    record_id: int | None = None
    recipient_id: int | None = None
    about: tuple[Any, ...] = ()


def plan(actor: SystemActor, planned: Iterable[Planned], reason: str) -> int:
    """Make the messages that do not exist yet and return how many are new.

    Idempotent: the database holds one per key, whoever plans at the same time. Each batch is a transaction of its own,
    so that a planner that is killed leaves what it has done.
    """
    made = 0
    wanted = list({each.key: each for each in planned}.values())
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        with acting(actor, reason):
            rows = list_records(actor, Message, "worklist.view")
            known = set(rows.filter(key__in=[each.key for each in batch]).values_list("key", flat=True))
            new = [
                Message(
                    kind=each.kind,
                    key=each.key,
                    site_id=each.site_id,
                    subject_id=each.subject_id,
                    event=each.event,
                    record_id=each.record_id,
                    recipient_id=each.recipient_id,
                    about=list(each.about),
                    due=each.due,
                    not_before=each.not_before,
                )
                # In one order everywhere: two planners at once wait for each other instead of blocking each other.
                for each in sorted(batch, key=lambda one: one.key)
                if each.key not in known
            ]
            if new:
                rows.bulk_create(new, ignore_conflicts=True)
                made += len(new)
    return made
