"""The one clock. Rules ask `now()`; a simulation or a test fixes it with `with at(moment):`.

The audit trail's own time comes from PostgreSQL and cannot be set from here, except in a database that its
owner has marked as a demonstration (`mark_demo`): there, and only there, the trail follows this clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_fixed: ContextVar[datetime | None] = ContextVar("fixed_clock", default=None)


def now() -> datetime:
    """The aware UTC time every rule uses."""
    return _fixed.get() or datetime.now(UTC)


def fixed() -> datetime | None:
    """The time fixed by `at`, or None when the real clock runs."""
    return _fixed.get()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Fix the clock for the block. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("The clock needs a time with a zone.")
    token = _fixed.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _fixed.reset(token)
