"""What a Django model cannot say about a CRF: sections, order, conditions, checks, CDISC names.

A CRF is an ordinary model plus one `CrfSpec`. Screen, print, export columns and dictionary are functions of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from django.core import checks as django_checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.functional import Promise

if TYPE_CHECKING:
    from spinetrial.audit.acting import Actor
    from spinetrial.crf.forms import CrfForm
    from spinetrial.crf.models import RowRecord, SubjectRecord

#: Columns every CRF record or row has and no spec lists.
TECHNICAL_FIELDS = frozenset({"id", "subject", "event", "row_version", "missing", "parent", "position"})


class Keeping(Enum):
    """How many records of a CRF one subject has."""

    ONCE = "once"
    PER_EVENT = "per event"
    REPEATING = "repeating"


class Level(Enum):
    """What a failed edit check does.

    BLOCK stops the save. EXPLAIN lets it through with a written explanation. QUERY lets it through and opens a query,
    which closes by itself once the check holds. NOTE says something beside the form and asks for nothing.
    """

    BLOCK = "block"
    EXPLAIN = "explain"
    QUERY = "query"
    NOTE = "note"


@dataclass(frozen=True)
class ShowWhen:
    """Show an item only while another item of the same form has one of these (stored) values."""

    item: str
    values: tuple[str, ...]

    def holds(self, data: Mapping[str, Any]) -> bool:
        value = data.get(self.item)
        if isinstance(value, (list, tuple, set)):
            return any(str(each) in self.values for each in value)
        return _as_text(value) in self.values


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    return str(value)


@dataclass(frozen=True)
class Item:
    """One question: the model field of this name.

    `required` means required whenever shown (a model field that allows blank can be required on condition).
    `missing` lets a MissingReason stand instead of a value, also where a value is required; the model field then
    allows blank and NULL or the empty text. A row of a group has none: its `missing` is left False.
    `previous` shows the value of the last earlier record beside the field. `widget` is "nrs", "select" (a list even
    for few choices) or "search:<path>"; empty lets the field decide. `short` heads the column in a grid of rows.
    `hint` is the path of a view that says something to this answer from those of `hint_from`, as {"text"}.
    `details` is the path of a panel about the chosen entry of a searched list, shown under the field
    (static/js/details.js).
    """

    name: str
    sdtm: str = ""
    unit: str | Promise = ""
    sdv: bool = False
    required: bool = False
    missing: bool = False
    show_when: ShowWhen | None = None
    previous: bool = False
    widget: str = ""
    short: str | Promise = ""
    hint: str = ""
    hint_from: tuple[str, ...] = ()
    details: str = ""


@dataclass(frozen=True)
class Section:
    title: str | Promise
    items: tuple[Item, ...]
    help: str | Promise = ""


@dataclass(frozen=True, eq=False)  # compared by identity: form classes are kept per group
class RowGroup:
    """A repeating group inside a CRF: rows of `model` (a RowRecord) shown as a grid.

    `prefill(subject)` gives the rows a new form begins with, as item -> value; the items it fills are named in
    `prefilled`, and a row in which nothing else is answered is no row.
    `live` names the address (subject code, event) that static/js/analgesics.js asks about the grid while it is filled.
    """

    key: str
    title: str | Promise
    model: type[RowRecord]
    items: tuple[Item, ...]
    help: str | Promise = ""
    minimum: int = 0
    blank_rows: int = 1
    sdv: bool = False  # the rows are compared with the source as a whole
    prefill: Callable[[SubjectRecord | models.Model], list[dict[str, Any]]] | None = None
    prefilled: tuple[str, ...] = ()
    live: str = ""


@dataclass(frozen=True)
class Values:
    """What an edit check sees: the record as it would be saved, its rows, and the date at the site.

    `shared` keeps what the checks of one round read from elsewhere, such as the subject's milestones.
    """

    record: SubjectRecord
    rows: Mapping[str, list[RowRecord]]
    today: Any
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EditCheck:
    """`fails(values)` is true when the rule is broken; `items[0]` carries the message.

    A check of rows may answer the labels of the rows that break it instead (each at most 60 characters): one match,
    and with Level.QUERY one query, each. `reads` names what else the rule looks at, or what
    sets the milestones it looks at: the code of a CRF, or code and item (or row group) as in "P.DM:sex". A save that
    changes one of these runs a check of Level.QUERY again on every record of this CRF; naming an item of the CRF
    itself means: on its other records.
    """

    code: str
    items: tuple[str, ...]
    text: str | Promise
    fails: Callable[[Values], bool | Sequence[str]]
    level: Level = Level.QUERY
    reads: tuple[str, ...] = ()

    def reads_any(self, code: str, changed: Collection[str]) -> bool:
        """Whether the rule looks at one of the changed items (or row groups) of the CRF `code`."""
        return any(read == code or read in {f"{code}:{name}" for name in changed} for read in self.reads)

    def matches(self, values: Values) -> tuple[str, ...]:
        """One label per match, "" for the form as a whole; empty when the rule holds."""
        answer = self.fails(values)
        if isinstance(answer, bool):
            return ("",) if answer else ()
        return tuple(dict.fromkeys(answer))


@dataclass(frozen=True)
class Offer:
    """Answers known from elsewhere that a new form can start from, if the person wants it: nothing comes by itself."""

    text: str
    label: str
    values: Mapping[str, Any]
    rows: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """What a form's page shows beside its own answers: words at an item, links (label and address), an offer.

    `lines` are what other forms say of the same things, above the form under `title`.
    """

    hints: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    offer: Offer | None = None
    title: str | Promise = ""
    lines: tuple[str, ...] = ()


def _nothing(what: object, actor: Actor) -> None:
    return None


def _nothing_beside(subject: object, event: str) -> Beside:
    return Beside()


def _nowhere(record: SubjectRecord) -> str:
    return ""


@dataclass(frozen=True, eq=False)  # compared by identity: form classes are kept per spec
class CrfSpec:
    """Declaration of a CRF. `event` is where it belongs in the schedule (a code of the protocol, or ANY).

    Nobody waits for a form of event ANY: not every subject has an adverse event or withdraws; nor for one that is not
    `expected`, though it belongs to an event.
    `before_save(form, actor)` completes a valid form with what nobody types (who confirmed, when).
    `after_save(record, actor)` runs inside the saving transaction, for what follows from the data (milestones).
    `beside(subject, event)` tells what the page shows beside the form, for a subject obtained through the gate.
    `enter` is the policy action that lets a person save it.
    `leads_to(record)` is the URL name of a page of the subject that comes after a save; empty: the subject's own page.
    """

    code: str
    title: str | Promise
    model: type[SubjectRecord]
    sections: tuple[Section, ...]
    rows: tuple[RowGroup, ...] = ()
    keeping: Keeping = Keeping.ONCE
    event: str = "BL"
    enter: str = "crf.enter"
    checks: tuple[EditCheck, ...] = ()
    before_save: Callable[[CrfForm, Actor], None] = field(default=_nothing)
    after_save: Callable[[SubjectRecord, Actor], None] = field(default=_nothing)
    beside: Callable[[Any, str], Beside] = field(default=_nothing_beside)
    leads_to: Callable[[SubjectRecord], str] = field(default=_nowhere)
    expected: bool = True
    page: str = ""  # URL name of a page of its own instead of the generic form; takes the subject code

    @property
    def reveals_arm(self) -> bool:
        return bool(getattr(self.model, "reveals_arm", False))

    def items(self) -> Iterator[Item]:
        for section in self.sections:
            yield from section.items

    def critical(self) -> frozenset[str]:
        """The plan of source data verification: names of items and keys of row groups a monitor must verify."""
        return frozenset(item.name for item in self.items() if item.sdv) | {g.key for g in self.rows if g.sdv}

    def shown(self, record: SubjectRecord) -> Iterator[Item]:
        """The items whose condition the stored answers fulfil."""
        data = vars(record)
        return (item for item in self.items() if item.show_when is None or item.show_when.holds(data))

    def item(self, name: str) -> Item:
        return next(item for item in self.items() if item.name == name)

    def knows(self, read: str) -> bool:
        """Whether a name of `EditCheck.reads` is this CRF, or an item or row group of it."""
        code, _colon, name = read.partition(":")
        names = {item.name for item in self.items()} | {group.key for group in self.rows}
        return code == self.code and (name in names or read == code)

    def label(self, name: str) -> str:
        """The question's words: the label of an item, or the title of a row group."""
        for group in self.rows:
            if group.key == name:
                return str(group.title)
        return str(self.model._meta.get_field(name).verbose_name)  # type: ignore[union-attr]


def check_spec(spec: CrfSpec, others: Collection[CrfSpec] | None = None) -> list[django_checks.CheckMessage]:
    """Start-up check: each model field is in the spec exactly once, and the spec names nothing else.

    `others`: all CRFs, for checks that read them; without it these are not looked at.
    """
    errors: list[django_checks.CheckMessage] = []

    def compare(where: str, model: type[models.Model], listed: list[str]) -> None:
        known = (
            {f.name for f in model._meta.concrete_fields}
            - TECHNICAL_FIELDS
            - {f.name for f in model._meta.concrete_fields if not f.editable}
        )
        for name in sorted(known - set(listed)):
            errors.append(django_checks.Error(f"{where}: field {name!r} is missing from the spec.", id="crf.E001"))
        for name in sorted({n for n in listed if listed.count(n) > 1}):
            errors.append(django_checks.Error(f"{where}: item {name!r} is listed twice.", id="crf.E002"))
        for name in listed:
            try:
                if not getattr(model._meta.get_field(name), "editable", False):
                    errors.append(django_checks.Error(f"{where}: item {name!r} is not editable.", id="crf.E003"))
            except FieldDoesNotExist:
                errors.append(django_checks.Error(f"{where}: item {name!r} is no field.", id="crf.E003"))

    names = [item.name for item in spec.items()]
    compare(spec.code, spec.model, names)
    for group in spec.rows:
        compare(f"{spec.code}/{group.key}", group.model, [item.name for item in group.items])
    for item in spec.items():
        if item.show_when and item.show_when.item not in names:
            errors.append(django_checks.Error(f"{spec.code}: {item.name!r} depends on an unknown item.", id="crf.E004"))
    targets = set(names) | {group.key for group in spec.rows}
    for check in spec.checks:
        if not check.items or not set(check.items) <= targets:
            errors.append(django_checks.Error(f"{spec.code}: check {check.code} names no item.", id="crf.E005"))
        for name in check.reads:
            if others is not None and not any(each.knows(name) for each in others):
                text = f"{spec.code}: check {check.code} reads {name!r}, which is no CRF or item of one."
                errors.append(django_checks.Error(text, id="crf.E006"))
    for item in spec.items():
        if item.missing and item.name in names and not _may_be_missing(spec.model, item.name):
            text = f"{spec.code}: {item.name!r} may be missing, but its field demands a value."
            errors.append(django_checks.Error(text, id="crf.E007"))
    for group in spec.rows:
        for item in group.items:
            if item.missing:
                text = f"{spec.code}/{group.key}: {item.name!r}: a row has no coded reason for a missing answer."
                errors.append(django_checks.Error(text, id="crf.E008"))
    return errors


def _may_be_missing(model: type[models.Model], name: str) -> bool:
    """Whether the field can be stored without a value (PostgreSQL finds the reason by the name of its column)."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return True  # told as crf.E003
    if not isinstance(field, models.Field) or field.is_relation:
        return False
    text = isinstance(field, (models.CharField, models.TextField))
    return field.blank and (field.null or text)
