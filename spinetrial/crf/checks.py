"""Running edit checks beyond the form itself: on stored records, and again when another form they read is saved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from django.utils import translation

from spinetrial.access.gate import of_subject
from spinetrial.crf.forms import CrfForm
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, EditCheck, Level, Values
from spinetrial.review import explanations, queries
from spinetrial.review.models import Query


class _StoredRows(Mapping[str, "list[RowRecord]"]):
    """The row groups of one record, read from the database when a check first asks; for all records of a CRF at once.

    `shared` belongs to the round: group key -> rows of every record by the number of the record.
    """

    def __init__(self, spec: CrfSpec, record: SubjectRecord, shared: dict[str, dict[int, list[RowRecord]]]) -> None:
        self._groups = {group.key: group for group in spec.rows}
        self._record, self._shared = record, shared

    def __getitem__(self, key: str) -> list[RowRecord]:
        if key not in self._shared:
            rows = of_subject(self._record.subject, self._groups[key].model).order_by("parent_id", "position", "id")
            by_parent = groupby(rows, key=lambda row: row.parent_id)  # type: ignore[attr-defined]
            self._shared[key] = {parent: list(each) for parent, each in by_parent}
        return self._shared[key].get(self._record.pk, [])

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


def sync_saved(form: CrfForm, actor: Any, *, is_new: bool) -> None:
    """Bring queries and explanations into line with a record just written. Inside the saving transaction.

    The queries of the record itself, then those of the subject's other records whose checks read what changed: one
    read of the records of each such CRF and one of their live queries, however many records there are.
    """
    spec, record = form.spec, form.instance
    if any(check.level is Level.EXPLAIN for check in spec.checks) and (form.explained or not is_new):
        given = [(check.code, match, check.items[0], text) for check, match, text in form.explained]
        explanations.sync(
            actor, subject=record.subject, spec_code=spec.code, record_id=record.pk, event=_event(spec, record),
            given=given,
        )  # fmt: skip
    own = [check for check in spec.checks if check.level is Level.QUERY]
    values = form.values()
    failed = _failed(own, values)
    if failed or not is_new:
        _sync(spec, record, own, failed)
    _run_again(spec, record, form.changed_items(is_new=is_new), values.shared)


def _run_again(saved: CrfSpec, record: SubjectRecord, changed: Collection[str], shared: dict[str, Any]) -> None:
    """Run the checks that read what was just saved on the subject's other records."""
    subject: Any = record.subject
    readers = [(spec, _readers(spec, saved.code, changed)) for spec in all_specs()]
    readers = [(spec, checks) for spec, checks in readers if checks]
    if not readers:
        return
    live: dict[tuple[str, int], set[tuple[str, str]]] = {}
    codes = {check.code for _spec, checks in readers for check in checks}
    found = of_subject(subject, Query).filter(check_code__in=codes, state__in=queries.LIVE)
    for spec_code, record_id, code, match in found.values_list("spec_code", "record_id", "check_code", "match"):
        live.setdefault((spec_code, record_id), set()).add((code, match))
    today = subject.site.today()
    for spec, checks in readers:
        rows: dict[str, dict[int, list[RowRecord]]] = {}
        for other in of_subject(subject, spec.model).order_by("pk"):
            if spec.code == saved.code and other.pk == record.pk:
                continue
            other.subject = subject
            failed = _failed(checks, Values(other, _StoredRows(spec, other, rows), today, shared))
            names = {check.code for check in checks}
            open_now = {each for each in live.get((spec.code, other.pk), set()) if each[0] in names}
            if open_now != {(code, match) for code, match, _item, _text in failed}:
                _sync(spec, other, checks, failed)


def _readers(spec: CrfSpec, code: str, changed: Collection[str]) -> list[EditCheck]:
    return [check for check in spec.checks if check.level is Level.QUERY and check.reads_any(code, changed)]


def _failed(checks: Iterable[EditCheck], values: Values) -> list[tuple[str, str, str, str]]:
    """Code, match, item and text of each failing check, as `queries.sync_checks` takes them."""
    # Stored in English, the language of the message catalogue's keys, whoever saves; shown in the reader's.
    with translation.override("en"):
        return [
            (check.code, match, check.items[0], str(check.text)) for check in checks for match in check.matches(values)
        ]


def _sync(
    spec: CrfSpec, record: SubjectRecord, checks: Iterable[EditCheck], failed: list[tuple[str, str, str, str]]
) -> None:
    queries.sync_checks(
        subject=record.subject,
        spec_code=spec.code,
        record_id=record.pk,
        event=_event(spec, record),
        all_codes=[check.code for check in checks],
        failed=failed,
    )


def _event(spec: CrfSpec, record: SubjectRecord) -> str:
    return str(getattr(record, "event", spec.event))


def notes(spec: CrfSpec, record: SubjectRecord) -> list[tuple[EditCheck, str]]:
    """The notes about a stored record, computed now: check and match."""
    checks = [check for check in spec.checks if check.level is Level.NOTE]
    if not checks:
        return []
    subject: Any = record.subject
    values = Values(record, _StoredRows(spec, record, {}), subject.site.today())
    return [(check, match) for check in checks for match in check.matches(values)]
