"""Freezing cleaned data of one participant: a form, a visit or everything, until the freeze is lifted.

PostgreSQL refuses the write, whatever path it comes by (`review_frozen` in `guard.sql`); what is here says so in words
before. Who freezes and who saves lock the subject's row first, so neither overtakes the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from spinetrial.access.gate import SYSTEM, check_may, list_records, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.review.models import Freeze
from spinetrial.review.trial import EntryClosed


class PartFrozen(EntryClosed):
    """The form, its visit or the whole participant is frozen."""


class AlreadyFrozen(Exception):
    """This part is frozen already."""


class NotFrozen(Exception):
    """The freeze was lifted meanwhile."""


class Frozen:
    """The freezes in force of some participants; asks the database once."""

    def __init__(self, freezes: Iterable[Freeze]) -> None:
        self._by_subject: dict[int, list[Freeze]] = defaultdict(list)
        for freeze in freezes:
            self._by_subject[freeze.subject_id].append(freeze)

    def holds(self, subject_id: int, event: str = "", spec_code: str = "", record_id: int | None = None) -> bool:
        """Whether a freeze covers this record, this visit, or (without more) the whole participant."""
        return any(
            (freeze.spec_code == "" and freeze.event in ("", event))
            or (spec_code != "" and (freeze.spec_code, freeze.record_id) == (spec_code, record_id))
            for freeze in self._by_subject.get(subject_id, ())
        )


def frozen(subject_ids: Iterable[int]) -> Frozen:
    """The freezes in force of participants the caller obtained through the gate. One query."""
    return Frozen(list_records(SYSTEM, Freeze, "crf.view").filter(subject__in=list(subject_ids), lifted_at=None))


def live_freezes(subject: Any) -> Any:
    """The freezes in force of one participant obtained through the gate, oldest first."""
    return of_subject(subject, Freeze).filter(lifted_at=None).select_related("by")


def check_unfrozen(subject: Any, event: str = "", spec_code: str = "", record_id: int | None = None) -> None:
    """Raise PartFrozen when a freeze covers what is about to be written. The caller holds the subject's row."""
    if frozen([subject.pk]).holds(subject.pk, event, spec_code, record_id):
        raise PartFrozen


def do_freeze_part(
    actor: User, subject: Any, reason: str, *, event: str = "", spec_code: str = "", record_id: int | None = None
) -> Freeze:
    """Freeze a form, a visit (`event` alone) or, with neither, the whole participant.

    Raises PermissionDenied, AlreadyFrozen.
    """
    check_may(actor, "trial.freeze", subject.site_id)
    reason = reason.strip()
    with acting(actor, reason):
        _lock_subject(actor, subject)
        part = {"event": event, "spec_code": spec_code, "record_id": record_id}
        if live_freezes(subject).filter(**part).exists():
            raise AlreadyFrozen
        freeze = Freeze(subject=subject, by=actor, at=now(), reason=reason, **part)
        freeze.save(force_insert=True)
    return freeze


def do_lift(actor: User, freeze: Freeze, reason: str) -> None:
    """End a freeze; the reason is on the trail. Raises PermissionDenied, NotFrozen."""
    check_may(actor, "trial.freeze", freeze.subject.site_id)
    with acting(actor, reason):
        _lock_subject(actor, freeze.subject)
        locked = list_records(actor, Freeze, "trial.freeze").select_for_update(of=("self",)).get(pk=freeze.pk)
        if locked.lifted_at is not None:
            raise NotFrozen
        locked.lifted_at = now()
        locked.save()


def _lock_subject(actor: User, subject: Any) -> None:
    list_records(actor, type(subject), "trial.freeze").select_for_update(of=("self",)).get(pk=subject.pk)
