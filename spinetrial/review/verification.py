"""Source data verification: a monitor compared an item with the source. PostgreSQL drops it when the value changes.

These functions know no form. Which items a form has, and that the person saw its newest version, is the business of
`spinetrial.crf.reviewing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection

from spinetrial.access.gate import SYSTEM, check_may, list_records, of_subject
from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.review.models import Verification

#: Code of the CRF, number of the record, name of the item or key of the group of rows.
ItemKey = tuple[str, int, str]


class TrialLocked(Exception):
    """The trial is locked: nothing is verified, nothing signed."""


class NotVerified(Exception):
    """The verification was dropped or taken back meanwhile."""


def check_not_locked() -> None:
    """Raise TrialLocked if it is. Inside a transaction it stays as it is until the end, and a lock waits for it.

    The database refuses the rows too (`sql/reviewed.sql`), for writes that do not ask here.
    """
    state = TrialState.held() if connection.in_atomic_block else TrialState.current()
    if state.state == TrialState.State.LOCKED:
        raise TrialLocked


def verifications(subject_ids: Iterable[int]) -> Any:
    """All verifications, dropped ones too, of subjects the caller obtained through the gate; oldest first."""
    rows = list_records(SYSTEM, Verification, "sdv.view").filter(subject__in=list(subject_ids))
    return rows.select_related("verified_by").order_by("verified_at", "id")


def verified_items(subject_ids: Iterable[int]) -> set[ItemKey]:
    """The items that are verified now. One query."""
    rows = verifications(subject_ids).filter(dropped_at__isnull=True)
    return set(rows.values_list("spec_code", "record_id", "item"))


def dropped_items(subject_ids: Iterable[int]) -> set[ItemKey]:
    """The items to verify again: a verification was dropped and none stands since. One query."""
    live: set[ItemKey] = set()
    dropped: set[ItemKey] = set()
    rows = verifications(subject_ids).values_list("spec_code", "record_id", "item", "dropped_at")
    for spec_code, record_id, item, dropped_at in rows:
        (dropped if dropped_at else live).add((spec_code, record_id, item))
    return dropped - live


def do_verify(
    actor: User, *, subject: Any, spec_code: str, record_id: int, event: str, items: Iterable[str], at: Any = None
) -> int:
    """Mark items as verified; those that are already stay as they are. Returns how many are new.

    Call inside the transaction that locked the record. Raises PermissionDenied, TrialLocked.
    """
    check_may(actor, "sdv.verify", subject.site_id)
    check_not_locked()
    rows = of_subject(subject, Verification)
    live = rows.filter(spec_code=spec_code, record_id=record_id, dropped_at__isnull=True)
    fresh = sorted(set(items) - set(live.values_list("item", flat=True)))
    with acting(actor, "compared with the source"):
        rows.bulk_create(
            Verification(
                subject=subject, spec_code=spec_code, record_id=record_id, event=event, item=item,
                verified_by=actor, verified_at=now(),
            )
            for item in fresh
        )  # fmt: skip
    return len(fresh)


def do_unverify(actor: User, subject: Any, spec_code: str, record_id: int, item: str, reason: str) -> None:
    """Take a verification back. Raises PermissionDenied, TrialLocked, NotVerified."""
    check_may(actor, "sdv.verify", subject.site_id)
    with acting(actor, reason):
        check_not_locked()
        rows = of_subject(subject, Verification).filter(
            spec_code=spec_code, record_id=record_id, item=item, dropped_at__isnull=True
        )
        row = rows.select_for_update(of=("self",)).first()
        if row is None:
            raise NotVerified
        row.dropped_at = now()
        row.save()
