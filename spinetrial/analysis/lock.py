"""Locking the trial: state, snapshot and data version in one transaction."""

from __future__ import annotations

import zlib

from django.db import transaction
from django.db.models import QuerySet

from spinetrial import __version__
from spinetrial.access.gate import SYSTEM, AnyActor, list_records
from spinetrial.access.models import User
from spinetrial.analysis.models import DataVersion
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.crf.signers import tell_signers_of_unlock
from spinetrial.review import trial


class ReasonMissing(Exception):
    """A lock needs a reason; it stands on the data version."""


def versions(actor: AnyActor) -> QuerySet[DataVersion]:
    """The data versions `actor` may see, newest first, without their content."""
    return list_records(actor, DataVersion, "trial.view").select_related("created_by").defer("content")


def do_unlock_trial(actor: User, reason: str) -> None:
    """Lift the lock and, once that is committed, tell the signers. The next lock is a new version.

    Raises PermissionDenied, trial.WrongState, trial.SamePerson.
    """
    trial.do_unlock(actor, reason)
    transaction.on_commit(_tell, robust=True)


def _tell() -> None:
    tell_signers_of_unlock()


def do_lock_trial(actor: User, reason: str, *, request_id: str = "") -> DataVersion:
    """Lock the frozen trial and store its data as the next version; both happen or neither.

    The lock takes the row of the trial's state first, so versions are numbered one after another and no clinical
    write is under way. Raises PermissionDenied, trial.WrongState, trial.SamePerson, ReasonMissing.
    """
    reason = reason.strip()
    if not reason:
        raise ReasonMissing
    with acting(actor, reason, request_id=request_id):
        trial.do_lock(actor, reason)
        snapshot = take_snapshot()
        content = snapshot.canonical()
        last = versions(SYSTEM).values_list("number", flat=True).first()
        version = DataVersion(
            number=(last or 0) + 1,
            created_at=now(),
            created_by=actor,
            reason=reason,
            content_sha256=snapshot.sha256(),
            protocol_version=snapshot.protocol_version,
            protocol_hash=snapshot.protocol_hash,
            software_version=__version__,
            content=zlib.compress(content, 9),
        )
        version.save(force_insert=True)
    return version
