"""What exactly a record says: its canonical content, and the SHA-256 a verification or signature is bound to.

The content is one JSON object in UTF-8, keys sorted, no white space, characters as they are:

    {"crf": code of the CRF, "event": event or "", "format": 1, "record": its number, "subject": number of the subject,
     "values": {column: value}, "missing": {item: code},
     "rows": {key of the group: [{"id": number of the row, column: value, ...}, by number]}}

Every column of the record and of its rows is in it, also those nobody types (who confirmed, when), but for the row
version and the place of a row in the grid, which say nothing. Dates are ISO 8601, times ISO 8601 in UTC with Z,
decimals text with the digits of the column ("12.50"), people and other records their numbers. A column without an
answer (NULL, empty text or list) is left out, so that a question added later leaves older hashes as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import models

from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec
from spinetrial.review.models import SignedRecord

#: Of the canonical content; raised when its meaning changes.
FORMAT = 1
#: A record everywhere: the code of its CRF and its number.
Key = tuple[str, int]
Rows = Mapping[str, Sequence[RowRecord]]

_SAYS_NOTHING = frozenset({"id", "subject_id", "event", "row_version", "missing", "parent_id", "position"})


@dataclass(frozen=True)
class Stored:
    """A record as it stands in the database, with its rows by group."""

    spec: CrfSpec
    record: SubjectRecord
    rows: Rows

    @property
    def key(self) -> Key:
        return self.spec.code, self.record.pk

    @property
    def event(self) -> str:
        return str(getattr(self.record, "event", self.spec.event))

    @property
    def sha256(self) -> str:
        return record_hash(self.spec, self.record, self.rows)


def plain(value: Any) -> Any:
    """A stored value as canonical JSON holds it. Raises TypeError for a type no column has."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _values(row: models.Model) -> dict[str, Any]:
    found = {
        str(field.column): plain(field.value_from_object(row))
        for field in row._meta.concrete_fields
        if field.column not in _SAYS_NOTHING
    }
    return {column: value for column, value in found.items() if value not in (None, "", [])}


def canonical(spec: CrfSpec, record: SubjectRecord, rows: Rows) -> bytes:
    """The canonical content of a record as it was read from the database, with its rows by group."""
    content = {
        "crf": spec.code,
        "event": getattr(record, "event", ""),
        "format": FORMAT,
        "record": record.pk,
        "subject": record.subject_id,
        "values": _values(record),
        "missing": record.missing,
        "rows": {
            group.key: [
                {"id": row.pk, **_values(row)} for row in sorted(rows.get(group.key, ()), key=lambda row: row.pk)
            ]
            for group in spec.rows
        },
    }
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def record_hash(spec: CrfSpec, record: SubjectRecord, rows: Rows) -> str:
    """SHA-256 of the canonical content, in small hexadecimal digits."""
    return hashlib.sha256(canonical(spec, record, rows)).hexdigest()


def stored(
    subject_ids: Iterable[int], specs: Iterable[CrfSpec], *, only: Iterable[Key] | None = None, lock: bool = False
) -> Iterator[Stored]:
    """The records of subjects the caller obtained through the gate, in the order of `specs`.

    One query per CRF and group of rows, however many subjects. `only` narrows to some records. `lock` holds records
    and rows until the transaction ends: a save under way elsewhere is waited for, a later one waits for us, so that
    its trigger sees what we write. CRFs that reveal the arm are the caller's to leave out for the masked.
    """
    ids = list(subject_ids)
    wanted: dict[str, set[int]] = defaultdict(set)
    for code, pk in only or ():
        wanted[code].add(pk)
    for spec in specs:
        if only is not None and spec.code not in wanted:
            continue
        records: Any = list_records(SYSTEM, spec.model, "crf.view").filter(subject__in=ids).order_by("pk")
        if only is not None:
            records = records.filter(pk__in=wanted[spec.code])
        if lock:
            records = records.select_for_update(of=("self",))
        found = list(records)
        rows: dict[str, dict[int, list[RowRecord]]] = {}
        for group in spec.rows:
            members: Any = list_records(SYSTEM, group.model, "crf.view").filter(
                **{"parent__in": [record.pk for record in found]}
            )
            if lock:
                members = members.select_for_update(of=("self",))
            by_parent = rows[group.key] = defaultdict(list)
            for row in members:
                by_parent[row.parent_id].append(row)
        for record in found:
            yield Stored(spec, record, {key: by_parent[record.pk] for key, by_parent in rows.items()})


@dataclass(frozen=True)
class Mismatch:
    """A signature that counts as valid over a record that is no longer what was signed, or no longer exists."""

    signed_record: int
    spec_code: str
    record_id: int
    subject_id: int
    signed_hash: str
    found_hash: str  # "" when the record is gone


def verify_signatures() -> list[Mismatch]:
    """Hash every validly signed record anew and compare. Empty when all is well.

    The triggers void a signature with the change; what this finds was changed past them, by the owner of the tables
    or on the disk. Reads each CRF once.
    """
    live = list(list_records(SYSTEM, SignedRecord, "crf.view").filter(void_at__isnull=True).order_by("pk"))
    keys = {(row.spec_code, row.record_id) for row in live}
    subjects = {row.subject_id for row in live}
    found = {each.key: each.sha256 for each in stored(subjects, all_specs(), only=keys)}
    return [
        Mismatch(row.pk, row.spec_code, row.record_id, row.subject_id, row.record_hash, now_hash)
        for row in live
        if (now_hash := found.get((row.spec_code, row.record_id), "")) != row.record_hash
    ]
