"""The life of a query. Each function that writes runs inside the caller's or its own `acting()`.

Every function locks the subject's row before a query, as the save of a form does: whoever answers while a save closes
the query waits for the save instead of getting in its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spinetrial.access.gate import SYSTEM, check_may, list_records, may, of_subject
from spinetrial.access.models import StudySite, User
from spinetrial.access.people import people_who_may
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.review.models import Query, QueryMessage

LIVE = (Query.State.OPEN, Query.State.ANSWERED)
#: Longest message of a thread.
LONGEST = 2000


class QueryNotOpen(Exception):
    """The query was closed or cancelled meanwhile."""


class MovedOn(Exception):
    """Somebody wrote to the query meanwhile, so that it is no longer in the state this step starts from."""


class NotAssignable(Exception):
    """The person may not answer queries at the subject's site."""


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

    Where a person cancelled the query of a match, the check was wrong about it and is not heard again.
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
    if failing.keys() - live.keys():
        taken_back = of_subject(subject, Query).filter(
            spec_code=spec_code, record_id=record_id, check_code__in=list(all_codes), state=Query.State.CANCELLED
        )
        for key in set(taken_back.values_list("check_code", "match")) - live.keys():
            failing.pop(key, None)
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
    assignee: User | None = None,
) -> Query:
    """A person asks about one item. Nobody assigned: the whole site. Raises PermissionDenied, NotAssignable."""
    check_may(actor, "query.raise", site_id)
    if assignee is not None and assignee not in answerers(subject.site):
        raise NotAssignable
    with acting(actor):
        lock_subject(subject)
        query = Query(
            subject=subject, spec_code=spec_code, record_id=record_id, event=event, item=item, text=text,
            opened_at=now(), opened_by=actor, assignee=assignee,
        )  # fmt: skip
        query.save()
    return query


def answerers(site: StudySite) -> list[User]:
    """The people a query of this site can be assigned to, by user name."""
    return people_who_may("query.answer", site)


def answer(actor: User, query: Query, text: str) -> None:
    """Answer an open query; it goes back to whoever asked. Raises QueryNotOpen, MovedOn, PermissionDenied."""
    _move(actor, query, "query.answer", [Query.State.OPEN], Query.State.ANSWERED, text)


def close(actor: User, query: Query, text: str) -> None:
    """Close with a remark. Raises QueryNotOpen, PermissionDenied."""
    _move(actor, query, "query.close", LIVE, Query.State.CLOSED, text)


def reopen(actor: User, query: Query, text: str) -> None:
    """Ask again after an answer that does not do: the person who answered. Raises QueryNotOpen, PermissionDenied."""
    _move(actor, query, "query.close", LIVE, Query.State.OPEN, text)


def cancel(actor: User, query: Query, text: str) -> None:
    """Take the question back, and say why: it should not have been asked. Raises QueryNotOpen, PermissionDenied.

    A check does not ask again about the same match of the same record.
    """
    _move(actor, query, "query.raise", LIVE, Query.State.CANCELLED, text)


def comment(actor: User, query: Query, text: str) -> None:
    """Add words and leave the query where it is. Raises QueryNotOpen, PermissionDenied."""
    action = "query.close" if may(actor, "query.close", query.subject.site_id) else "query.answer"
    _move(actor, query, action, LIVE, None, text)


def assign(actor: User, query: Query, person: User | None) -> None:
    """Give the query to one person, or with None to the whole site. Raises QueryNotOpen, NotAssignable."""
    site = query.subject.site
    action = "query.raise" if may(actor, "query.raise", site) else "query.answer"
    check_may(actor, action, site)
    if person is not None and person not in answerers(site):
        raise NotAssignable
    with acting(actor, "assigned"):
        locked = _locked(query)
        if not locked.live:
            raise QueryNotOpen
        if locked.assignee_id != (person.pk if person else None):
            locked.assignee = person
            locked.save()


def lock_subject(subject: Any) -> None:
    """Take the turn of a subject the caller obtained through the gate, inside a transaction."""
    list_records(SYSTEM, type(subject), "query.view").select_for_update(of=("self",)).get(pk=subject.pk)


def _locked(query: Query) -> Query:
    lock_subject(query.subject)
    return list_records(SYSTEM, Query, "query.view").select_for_update(of=("self",)).get(pk=query.pk)


def _say(actor: User, query: Query, text: str) -> None:
    QueryMessage(subject_id=query.subject_id, query=query, by=actor, at=now(), text=text).save()


def _move(
    actor: User, query: Query, action: str, start: Iterable[Query.State], goal: Query.State | None, text: str
) -> None:
    check_may(actor, action, query.subject.site_id)
    with acting(actor, text):
        locked = _locked(query)
        if not locked.live:
            raise QueryNotOpen
        if locked.state not in {state.value for state in start}:
            raise MovedOn
        if goal == Query.State.OPEN:
            locked.assignee = _who_answered(locked)
        _say(actor, locked, text)
        if goal is not None:
            _enter_state(locked, goal)


def _enter_state(query: Query, goal: Query.State) -> None:
    query.state = goal
    if goal == Query.State.ANSWERED:
        query.answered_at = query.answered_at or now()
        query.assignee = query.opened_by
    query.closed_at = None if goal in LIVE else now()
    query.save()


def _who_answered(query: Query) -> User | None:
    """Who wrote last among those who may answer: the next question goes there."""
    subject: Any = query.subject
    people = {person.pk: person for person in answerers(subject.site)}
    thread = of_subject(subject, QueryMessage).filter(query=query, by__in=list(people)).order_by("-at", "-id")
    last = thread.first()
    return people.get(last.by_id) if last and last.by_id else None


def answer_with_form(actor: Any, *, subject: Any, spec_code: str, record_id: int, replies: Mapping[int, str]) -> None:
    """Add the replies typed beside the answers of a form: number of the query -> words. Raises PermissionDenied.

    In a save this runs before the checks: a query that then closes by itself keeps the reply in its thread. So does
    one that somebody closed meanwhile, so that nothing typed is lost. Words that the person said last already (a form
    sent twice) are not said again.
    """
    check_may(actor, "query.answer", subject.site_id)
    with acting(actor):
        lock_subject(subject)
        rows = of_subject(subject, Query).filter(spec_code=spec_code, record_id=record_id, pk__in=list(replies))
        for query in rows.select_related("opened_by").order_by("pk").select_for_update(of=("self",)):
            text = replies[query.pk]
            thread = of_subject(subject, QueryMessage).filter(query=query)
            last = thread.filter(by=actor).order_by("-at", "-id").first()
            if last is not None and last.text == text:
                continue
            with acting(actor, text):
                _say(actor, query, text)
                if query.state == Query.State.OPEN:
                    _enter_state(query, Query.State.ANSWERED)


def do_close_answered(actor: User, rows: Iterable[Query], text: str) -> tuple[int, int]:
    """Close those of `rows` that are still answered, all with one remark, in one transaction.

    Returns how many were closed and how many were not, because somebody wrote to them or closed them meanwhile.
    Raises PermissionDenied.
    """
    closed = skipped = 0
    with acting(actor, text):
        for query in sorted(rows, key=lambda row: (row.subject_id, row.pk)):  # in one order, so that two take turns
            try:
                _move(actor, query, "query.close", [Query.State.ANSWERED], Query.State.CLOSED, text)
                closed += 1
            except (QueryNotOpen, MovedOn):
                skipped += 1
    return closed, skipped


@dataclass(frozen=True)
class Verb:
    """One step of a query: what it does, who may, and from which states the screens offer it."""

    act: Callable[[User, Query, str], None]
    action: str
    start: tuple[Query.State, ...] = LIVE


VERBS = {
    "answer": Verb(answer, "query.answer", (Query.State.OPEN,)),
    "remark": Verb(comment, "query.answer", (Query.State.ANSWERED,)),
    "reopen": Verb(reopen, "query.close", (Query.State.ANSWERED,)),
    "close": Verb(close, "query.close"),
    "comment": Verb(comment, "query.close"),
    "cancel": Verb(cancel, "query.raise"),
}


def verbs_for(actor: User, query: Query, site_id: int) -> list[str]:
    """The steps the person may take now, in the order of the buttons."""
    found = [name for name, verb in VERBS.items() if query.state in verb.start and may(actor, verb.action, site_id)]
    return [name for name in found if name != "remark" or "comment" not in found]
