"""Where saved records stand in the review: queries, verification, signature, freeze. Read for many at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.access.models import TrialState
from spinetrial.crf.content import Key
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.reviewing import items_to_verify
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.state import NOTHING, Tally, entered
from spinetrial.review.freezes import frozen
from spinetrial.review.models import Query
from spinetrial.review.queries import LIVE
from spinetrial.review.signatures import signed_keys
from spinetrial.review.verification import verified_items


class Standing:
    """The review of all records of some participants, whom the caller obtained through the gate. Five queries.

    The caller withholds what reveals the arm: it asks for records that it may show.
    """

    def __init__(self, subject_ids: Iterable[int]) -> None:
        ids = list(subject_ids)
        self.trial_state = TrialState.current().state
        self.frozen = frozen(ids)
        self._queries: dict[Key, Counter[tuple[str, str]]] = defaultdict(Counter)
        for code, record, item, state in (
            list_records(SYSTEM, Query, "query.view")
            .filter(subject__in=ids, state__in=LIVE)
            .order_by()
            .values_list("spec_code", "record_id", "item", "state")
        ):
            self._queries[code, record][item, state] += 1
        self._signed = signed_keys(ids)
        self._verified: dict[Key, set[str]] = defaultdict(set)
        for code, record, item in verified_items(ids):
            self._verified[code, record].add(item)

    def of_record(self, spec: CrfSpec, record: SubjectRecord) -> Tally:
        """The tally of one saved record."""
        return self._tally(spec, record, items_to_verify(spec, record))

    def of_field(self, spec: CrfSpec, record: SubjectRecord, item: str, *, answered: bool) -> Tally:
        """The tally of one item (or group of rows) of a saved record; one left blank counts only if it is asked about.

        A saved form holds every required answer, so a blank one is nothing that anybody waits for.
        """
        critical = tuple(name for name in items_to_verify(spec, record) if name == item)
        tally = self._tally(spec, record, critical, only=item)
        return tally if answered or tally.queries or tally.critical else NOTHING

    def _tally(self, spec: CrfSpec, record: SubjectRecord, critical: tuple[str, ...], only: str = "") -> Tally:
        key = (spec.code, record.pk)
        event = getattr(record, "event", spec.event)
        states = Counter[str]()
        for (item, state), count in self._queries.get(key, Counter()).items():
            if only in ("", item):
                states[state] += count
        return entered(
            open=states[Query.State.OPEN],
            answered=states[Query.State.ANSWERED],
            critical=len(critical),
            verified=len(self._verified.get(key, set()) & set(critical)),
            signed=key in self._signed,
            frozen=self.frozen.holds(record.subject_id, event, spec.code, record.pk),
            trial_state=self.trial_state,
        )
