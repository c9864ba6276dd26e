"""Opening, answering and closing queries. Each function that writes runs inside the caller's or its own `acting()`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spinetrial.access.gate import SYSTEM, check_may, list_records, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.review.models import Query, QueryMessage

LIVE = (Query.State.OPEN, Query.State.ANSWERED)


class QueryNotOpen(Exception):
    """The query was closed or cancelled meanwhile."""


def sync_checks(
    *,
    subject: Any,
    spec_code: str,
    record_id: int,
    event: str,
    all_codes: Iterable[str],
    failed: Iterable[tuple[str, str, str, str]],
) -> None:
    """Open a query per newly failed check and close those whose check is satisfied again.

    `failed`: (check code, match, item, text), the match being "" unless several rows fail one check. Runs inside the
    saving transaction; the subject row is locked by the caller.
    """
    live = {
        (query.check_code, query.match): query
        for query in of_subject(subject, Query).filter(
            spec_code=spec_code, record_id=record_id, check_code__in=list(all_codes), state__in=LIVE
        )
    }
    failing = {(code, match): (item, text) for code, match, item, text in failed}
    for key, query in live.items():
        if key not in failing:
            with acting(SYSTEM, "the data now satisfy the check"):
                query.state, query.closed_at = Query.State.CLOSED, now()
                query.save()
    for (code, match), (item, text) in failing.items():
        if (code, match) not in live:
            with acting(SYSTEM, "edit check"):
                Query(
                    subject=subject, spec_code=spec_code, record_id=record_id, event=event, item=item,
                    check_code=code, match=match, text=text, opened_at=now(),
                ).save()  # fmt: skip


def raise_query(
    actor: User,
    *,
    subject: Any,
    site_id: int,
    spec_code: str,
    record_id: int,
    event: str,
    item: str,
    text: str,
) -> Query:
    """A person asks about one item. Raises PermissionDenied."""
    check_may(actor, "query.raise", site_id)
    with acting(actor):
        query = Query(
            subject=subject, spec_code=spec_code, record_id=record_id, event=event, item=item, text=text,
            opened_at=now(), opened_by=actor,
        )  # fmt: skip
        query.save()
    return query


def answer(actor: User, query: Query, text: str) -> None:
    """Add an answer; the query waits for the monitor or data manager. Raises QueryNotOpen, PermissionDenied."""
    _move(actor, query, "query.answer", Query.State.ANSWERED, text)


def close(actor: User, query: Query, text: str) -> None:
    """Close with a remark. Raises QueryNotOpen, PermissionDenied."""
    _move(actor, query, "query.close", Query.State.CLOSED, text)


def reopen(actor: User, query: Query, text: str) -> None:
    """Ask again after an answer that does not do. Raises QueryNotOpen, PermissionDenied."""
    _move(actor, query, "query.close", Query.State.OPEN, text)


def _move(actor: User, query: Query, action: str, state: Query.State, text: str) -> None:
    check_may(actor, action, query.subject.site_id)
    with acting(actor, text):
        locked = list_records(actor, Query, action).select_for_update(of=("self",)).get(pk=query.pk)
        if not locked.live:
            raise QueryNotOpen
        QueryMessage(subject_id=locked.subject_id, query=locked, by=actor, at=now(), text=text).save()
        locked.state = state
        locked.closed_at = now() if state == Query.State.CLOSED else None
        locked.save()
