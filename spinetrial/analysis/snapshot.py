"""Reading the database into a `Snapshot`. After this, analysis, reports and exports know no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import translation

from adverse_events.coding import coded_terms
from adverse_events.models import AdverseEvent
from patients.models import Milestones, Subject
from randomization.arms import arms_for
from randomization.models import Allocation
from spinetrial.access.fields import EncryptedTextField
from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.access.models import StudySite, User
from spinetrial.analysis.data import Column, Kind, Snapshot, Table, Value
from spinetrial.crf.content import plain
from spinetrial.crf.models import MissingReason
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Item
from spinetrial.protocol import CURRENT, protocol_hash
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.review.models import Query

#: First columns of every table that has rows per subject.
SITE = Column("site_code", _("Study site"), Kind.TEXT, sdtm="DM.SITEID")
SUBJECT = Column("subject", _("Participant"), Kind.TEXT, sdtm="DM.SUBJID")
RECORD = Column("record", _("Record number"), Kind.INTEGER)

#: Columns that guard saving and say nothing about the subject.
_LEFT_OUT = frozenset({"id", "subject", "row_version", "draft", "missing"})

#: Ends the name of the column that says why the column before it has no value.
MISSING_SUFFIX = "_missing"
WHY_MISSING = _("why not answered")


def take_snapshot() -> Snapshot:
    """All CRF records with their rows, subjects, sites, milestones, allocations and queries, as stored.

    Words of labels and codes are the untranslated ones, so that the language of a session cannot change the
    content. Names and contacts are in no table that is read here, and an encrypted field is left out wherever it
    stands. The caller decides who may see the result; `Snapshot.without_arm` is for the masked.
    """
    with translation.override(None):
        sources = [source for spec in all_specs() for source in crf_tables(spec)]
        filled = [source.filled() for source in (*sources, allocation_table())]
        tables = (_sites(), _subjects(), *filled, _codings(), _arms(), *_queries())
    return Snapshot(protocol_version=CURRENT.version, protocol_hash=protocol_hash(CURRENT), tables=tables)


@dataclass(frozen=True, slots=True)
class _Source:
    """A table still without rows, and where its cells are read."""

    table: Table
    model: type[models.Model]
    lookups: tuple[str, ...]

    def filled(self) -> Table:
        names = [column.name for column in self.table.columns]
        order = [each for each in ("event", "parent", "position") if each in names]
        rows = list_records(SYSTEM, self.model, "crf.view").order_by("subject__code", *order, "pk")
        return replace(self.table, rows=_rows(rows.values_list(*self.lookups)))


def crf_tables(spec: CrfSpec) -> Iterable[_Source]:
    """The tables of a CRF, without rows: one of its records and one of each repeating group."""
    yield _source(spec.code, str(spec.title), spec.model, {item.name: item for item in spec.items()}, spec.reveals_arm)
    for group in spec.rows:
        # Rows of a form that reveals the arm reveal it too, whatever their own model says.
        reveals = spec.reveals_arm or bool(getattr(group.model, "reveals_arm", False))
        items = {item.name: item for item in group.items}
        yield _source(f"{spec.code}.{group.key}", str(group.title), group.model, items, reveals)


def allocation_table() -> _Source:
    """Allocations without the arm, without rows. Seeds, lists and unused slots are never read."""
    names = ("number", "stratum", "allocated_at", "allocated_by", "protocol_version", "protocol_hash")
    items = {name: Item(name) for name in names}
    return _source("ALLOCATION", _("Allocations"), Allocation, items, False, left_out=("slot",))


def _source(
    name: str,
    title: str,
    model: type[models.Model],
    items: Mapping[str, Item],
    reveals_arm: bool,
    left_out: Iterable[str] = (),
) -> _Source:
    """Site, subject and record number, then the items in the order of the form, then what the form does not show."""
    fields = [_field(model, each) for each in items]
    fields += [field for field in model._meta.concrete_fields if field.name not in {*items, *_LEFT_OUT, *left_out}]
    fields = [field for field in fields if not isinstance(field, EncryptedTextField)]
    columns, lookups = [SITE, SUBJECT, RECORD], ["subject__site__code", "subject__code", "pk"]
    for field in fields:
        item = items.get(field.name)
        columns.append(_column(field, item))
        lookups.append(_lookup(field))
        if item and item.missing:
            columns.append(_reason_column(field))
            lookups.append(f"missing__{field.name}")
    if len({column.name for column in columns}) != len(columns):
        raise ValueError(f"{name}: two columns have the same name")
    return _Source(Table(name, title, reveals_arm, tuple(columns), ()), model, tuple(lookups))


def _reason_column(field: models.Field[Any, Any]) -> Column:
    """Why the column before has no value; blank where it has one, and where nobody has answered yet."""
    codes = tuple((str(code), str(words)) for code, words in MissingReason.choices)
    return Column(f"{field.name}{MISSING_SUFFIX}", f"{field.verbose_name}: {WHY_MISSING}", Kind.TEXT, codes=codes)


def _sites() -> Table:
    fields = [_field(StudySite, name) for name in ("code", "name", "timezone", "active")]
    rows = list_records(SYSTEM, StudySite, "trial.view").order_by("code").values_list(*(field.name for field in fields))
    return Table("SITES", _("Study sites"), False, tuple(_column(field) for field in fields), _rows(rows))


def _subjects() -> Table:
    """Everyone who was screened, with the milestones."""
    own = [_field(Subject, name) for name in ("number", "first_contact")]
    dates = [field for field in Milestones._meta.concrete_fields if field.name not in _LEFT_OUT]
    lookups = ["site__code", "code", *(field.name for field in own), *(f"milestones__{field.name}" for field in dates)]
    rows = list_records(SYSTEM, Subject, "subject.view").order_by("code").values_list(*lookups)
    columns = (SITE, SUBJECT, *(_column(field) for field in (*own, *dates)))
    return Table("SUBJECTS", _("Participants and milestones"), False, columns, _rows(rows))


def arm_table(rows: tuple[tuple[Value, ...], ...] = ()) -> Table:
    """The arm of each allocation; the codes are the protocol's."""
    arm = Column("arm", _("Arm"), Kind.TEXT, codes=tuple((a.code, a.name) for a in CURRENT.arms), sdtm="DM.ARMCD")
    return Table("ARM", _("Allocated arms"), True, (SITE, SUBJECT, arm), rows)


def _arms() -> Table:
    """Arms by the one door to them (`randomization.arms`), for the locked version."""
    subjects = list_records(SYSTEM, Allocation, "crf.view").order_by("subject__code")
    rows = list(subjects.values_list("subject__site__code", "subject__code", "subject_id"))
    arms = arms_for(SYSTEM, [pk for _site, _code, pk in rows])
    return arm_table(tuple((site, code, arms[pk].code) for site, code, pk in rows))


def _queries() -> Iterable[Table]:
    """Queries in two tables: a question about a form that reveals the arm may reveal it too."""
    revealing = [spec.code for spec in all_specs() if spec.reveals_arm]
    names = ("spec_code", "record_id", "event", "item", "check_code", "text", "state", "opened_at", "closed_at")
    fields = [_field(Query, name) for name in names]
    columns = (SITE, SUBJECT, RECORD, *(_column(field) for field in fields))
    rows = (
        list_records(SYSTEM, Query, "query.view")
        .order_by("subject__code", "pk")
        .values_list("subject__site__code", "subject__code", "pk", *names)
    )
    yield Table("QUERIES", _("Queries"), False, columns, _rows(rows.exclude(spec_code__in=revealing)))
    title = _("Queries on forms that show the arm")
    yield Table("QUERIES_ARM", title, True, columns, _rows(rows.filter(spec_code__in=revealing)))


def _codings() -> Table:
    """The MedDRA code of each event that has a valid one, with the names of the dictionary at this moment."""
    columns = (
        SITE,
        SUBJECT,
        RECORD,
        Column("llt_code", _("Lowest level term, code"), Kind.TEXT, sdtm="AE.AELLTCD"),
        Column("llt", _("Lowest level term"), Kind.TEXT, sdtm="AE.AELLT"),
        Column("pt_code", _("Preferred term, code"), Kind.TEXT, sdtm="AE.AEPTCD"),
        Column("pt", _("Preferred term"), Kind.TEXT, sdtm="AE.AEDECOD"),
        Column("soc_code", _("Primary system organ class, code"), Kind.TEXT, sdtm="AE.AEBDSYCD"),
        Column("soc", _("Primary system organ class"), Kind.TEXT, sdtm="AE.AEBODSYS"),
        Column("meddra_version", _("MedDRA version"), Kind.TEXT),
        Column("approved", _("Approved where the protocol asks for it"), Kind.BOOLEAN),
    )
    events = list(
        list_records(SYSTEM, AdverseEvent, "crf.view")
        .order_by("subject__code", "pk")
        .values_list("subject__site__code", "subject__code", "pk")
    )
    coded = coded_terms(pk for _site, _code, pk in events)
    rows = (
        (site, code, pk, c.llt.code, c.llt.name, c.pt.code, c.pt.name, c.soc.code, c.soc.name, c.version, c.approved)
        for site, code, pk in events
        if (c := coded.get(pk)) is not None
    )
    return Table("CODING", _("MedDRA codes of adverse events"), False, columns, _rows(rows))


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """The column of that name. Raises TypeError for a relation without one."""
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise TypeError(f"{model.__name__}.{name} is no column")
    return field


def _lookup(field: models.Field[Any, Any]) -> str:
    """Where the stored value of a field is read: people by user name, sites by code, other records by number."""
    related = field.related_model if field.is_relation else None
    if isinstance(related, type) and issubclass(related, (User, StudySite)):
        return f"{field.name}__{'username' if issubclass(related, User) else 'code'}"
    return field.name


def _kind(field: models.Field[Any, Any]) -> Kind:
    if field.is_relation:
        return Kind.INTEGER if _lookup(field) == field.name else Kind.TEXT
    for types, kind in _KINDS:
        if isinstance(field, types):
            return kind
    raise TypeError(f"{field.model.__name__}.{field.name}: no export type for {type(field).__name__}")


_KINDS: tuple[tuple[type[models.Field[Any, Any]] | tuple[type[models.Field[Any, Any]], ...], Kind], ...] = (
    (models.BooleanField, Kind.BOOLEAN),
    (models.IntegerField, Kind.INTEGER),
    ((models.DecimalField, models.FloatField), Kind.DECIMAL),
    (models.DateTimeField, Kind.DATETIME),
    (models.DateField, Kind.DATE),
    (ArrayField, Kind.LIST),
    ((models.CharField, models.TextField, models.JSONField), Kind.TEXT),
)


def _column(field: models.Field[Any, Any], item: Item | None = None) -> Column:
    choices = getattr(field, "base_field", field).flatchoices
    return Column(
        name=field.name,
        label=str(field.verbose_name),
        kind=_kind(field),
        unit=str(item.unit) if item else "",
        # Yes and no of a boolean need no code list.
        codes=() if isinstance(field, models.BooleanField) else tuple((str(v), str(w)) for v, w in choices if v != ""),
        sdtm=item.sdtm if item else "",
    )


def _rows(rows: Iterable[tuple[Any, ...]]) -> tuple[tuple[Value, ...], ...]:
    return tuple(tuple(plain(value) for value in row) for row in rows)
