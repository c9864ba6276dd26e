"""Rules that many CRFs share: limits the database holds, and edit checks on dates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.spec import EditCheck, Level, Values

#: An earlier date is a slip of the pen.
EARLIEST = date(1900, 1, 1)

IN_FUTURE = _("This date is in the future.")


def since_1900(*names: str, times: bool = False) -> tuple[models.CheckConstraint, ...]:
    """One database constraint per date field (with `times`: per date-time field): not before 1900. Blank passes."""
    earliest = datetime(1900, 1, 1, tzinfo=UTC) if times else EARLIEST
    return tuple(
        models.CheckConstraint(
            condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": earliest}),
            name=f"%(class)s_{name}_since_1900",
            violation_error_message=_("A date before 1900 cannot be right."),
        )
        for name in names
    )


def between(name: str, low: Decimal | float, high: Decimal | float, message: Any) -> models.CheckConstraint:
    """A database constraint: the number lies between `low` and `high`, both included. Blank passes."""
    return models.CheckConstraint(
        condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": low, f"{name}__lte": high}),
        name=f"%(class)s_{name}_in_range",
        violation_error_message=message,
    )


def known_codes(name: str, codes: list[str], *, blank: bool = False) -> models.CheckConstraint:
    """A database constraint: the stored code is one of the list; `blank` also allows the empty text."""
    return models.CheckConstraint(
        condition=Q(**{f"{name}__in": [*codes, ""] if blank else codes}), name=f"%(class)s_{name}_known"
    )


def only_when(condition: Q, *names: str, name: str, message: Any) -> models.CheckConstraint:
    """A database constraint: the fields `names` (nullable) are blank unless `condition` holds."""
    blank = Q(**{f"{each}__isnull": True for each in names})
    return models.CheckConstraint(
        condition=condition | blank, name=f"%(class)s_{name}", violation_error_message=message
    )


def not_in_future(*names: str) -> tuple[EditCheck, ...]:
    """Blocking checks: none of these dates (or times) of the record is after today at the site."""

    def check(name: str) -> Callable[[Values], bool]:
        return lambda values: is_future(getattr(values.record, name), values)

    return tuple(EditCheck(f"{name}_future", (name,), IN_FUTURE, check(name), Level.BLOCK) for name in names)


def rows_not_in_future(key: str, *names: str) -> EditCheck:
    """A blocking check: no row of the group has one of these dates after today at the site."""
    return EditCheck(
        f"{key}_future",
        (key,),
        _("A date in these rows is in the future."),
        lambda values: any(is_future(getattr(row, name), values) for row in values.rows.get(key, []) for name in names),
        Level.BLOCK,
    )


def in_order(code: str, earlier: str, later: str, text: Any, level: Level = Level.BLOCK) -> EditCheck:
    """A check that the date `later` is not before the date `earlier`; blank passes. The message sits at `later`."""

    def fails(values: Values) -> bool:
        first, second = getattr(values.record, earlier), getattr(values.record, later)
        return first is not None and second is not None and second < first

    return EditCheck(code, (later, earlier), text, fails, level)


def is_future(moment: date | datetime | None, values: Values) -> bool:
    """Whether a date lies after today at the site, or a time after the end of today there."""
    if moment is None:
        return False
    if isinstance(moment, datetime):
        moment = moment.astimezone(values.record.subject.site.zone).date()
    return bool(moment > values.today)
