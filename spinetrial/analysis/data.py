"""Tables as plain data: what a snapshot is made of and every export is written from. No database, no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

#: Raise when the meaning of the canonical JSON changes; readers of older data versions then know.
SCHEMA = 1

#: A value of a cell: JSON has no dates and no exact decimals, so both are text here (ISO 8601, "12.50").
Value = str | int | bool | list[Any] | None


class Kind(StrEnum):
    """Type of a column. Dates are ISO dates of the study site, times ISO in UTC (D25)."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Column:
    """A variable. `codes` pairs each stored code with its words; `sdtm` is the CDISC name where there is one."""

    name: str
    label: str
    kind: Kind
    unit: str = ""
    codes: tuple[tuple[str, str], ...] = ()
    sdtm: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one CRF, of one repeating group, or of the trial's own records; cells in the order of `columns`.

    `reveals_arm`: the table is withheld, whole, from anyone who is masked.
    """

    name: str
    title: str
    reveals_arm: bool
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def records(self) -> Iterator[dict[str, Value]]:
        """The rows as dictionaries by column name."""
        names = [column.name for column in self.columns]
        for row in self.rows:
            yield dict(zip(names, row, strict=True))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All data of the trial at one moment, with the protocol version they were collected under. No contacts."""

    protocol_version: str
    protocol_hash: str
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table | None:
        """The table of that name, or None: a masked snapshot lacks those that reveal an arm."""
        return next((table for table in self.tables if table.name == name), None)

    def records(self, name: str) -> list[dict[str, Value]]:
        """Rows of a table as dictionaries; none where there is no such table."""
        table = self.table(name)
        return list(table.records()) if table else []

    def without_arm(self) -> Snapshot:
        """What a masked person may see: no table that reveals an arm."""
        return replace(self, tables=tuple(table for table in self.tables if not table.reveals_arm))

    def canonical(self) -> bytes:
        """The one byte string that stands for these data: the same data give the same bytes."""
        content = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
            "utf-8"
        )

    def sha256(self) -> str:
        """SHA-256 (hex) of the canonical bytes."""
        return hashlib.sha256(self.canonical()).hexdigest()


class UnknownSchema(Exception):
    """The stored content was written by a version of the software this one cannot read."""


def from_canonical(content: bytes) -> Snapshot:
    """The snapshot again from its canonical bytes. Raises UnknownSchema."""
    data: Mapping[str, Any] = json.loads(content)
    if data.get("schema") != SCHEMA:
        raise UnknownSchema(f"schema {data.get('schema')!r}; this software reads {SCHEMA}")
    return Snapshot(
        protocol_version=data["protocol_version"],
        protocol_hash=data["protocol_hash"],
        tables=tuple(
            Table(
                name=table["name"],
                title=table["title"],
                reveals_arm=table["reveals_arm"],
                columns=tuple(_column(column) for column in table["columns"]),
                rows=tuple(tuple(row) for row in table["rows"]),
            )
            for table in data["tables"]
        ),
    )


def _column(data: Mapping[str, Any]) -> Column:
    codes: Sequence[Sequence[str]] = data["codes"]
    return Column(
        name=data["name"],
        label=data["label"],
        kind=Kind(data["kind"]),
        unit=data["unit"],
        codes=tuple((code, label) for code, label in codes),
        sdtm=data["sdtm"],
    )
