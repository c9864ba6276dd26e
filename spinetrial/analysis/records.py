"""The records of a snapshot by participant, and their cells in the types of Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from spinetrial.analysis.data import Snapshot, Value

Record = Mapping[str, Value]


@dataclass(frozen=True, slots=True, order=True)
class SourceRecord:
    """Where a value was read: a table of the snapshot and the number in its column `record`.

    The number is None for the tables with one row per participant and no such column (SUBJECTS): the row is found by
    the participant.
    """

    table: str
    record: int | None


class Records:
    """Records of the tables by subject, and rows of repeating groups by their parent record."""

    def __init__(self, snapshot: Snapshot) -> None:
        #: A masked snapshot has no targets, whether or not arms were drawn for a dry run.
        self.shows_targets = snapshot.table("R.RT.targets") is not None
        self._of: dict[str, dict[str, list[dict[str, Value]]]] = {}
        for table in snapshot.tables:
            if any(column.name == "subject" for column in table.columns):
                grouped: dict[str, list[dict[str, Value]]] = defaultdict(list)
                for record in table.records():
                    grouped[str(record["subject"])].append(record)
                self._of[table.name] = grouped

    def all(self, table: str, subject: str) -> list[dict[str, Value]]:
        """Every record of a table; none where the snapshot has no such table."""
        return self._of.get(table, {}).get(subject, [])

    def one(self, table: str, subject: str) -> Record:
        """The record of a form kept once; empty when there is none."""
        found = self.all(table, subject)
        return found[0] if found else {}

    def rows(self, table: str, subject: str, parent: Record) -> list[dict[str, Value]]:
        """The rows of a repeating group that belong to one record."""
        return [row for row in self.all(table, subject) if row["parent"] == parent.get("record")]


def date_of(value: Value) -> date | None:
    """A cell of kind DATE."""
    return date.fromisoformat(value) if isinstance(value, str) and value else None


def int_of(value: Value) -> int | None:
    """A cell of kind INTEGER."""
    return value if isinstance(value, int) else None


def decimal_of(value: Value) -> Decimal | None:
    """A cell of kind DECIMAL."""
    return Decimal(value) if isinstance(value, str) and value else None


def code_of(value: Value) -> str:
    """The stored code of a cell; empty when it is not known."""
    return "" if value is None else str(value)
