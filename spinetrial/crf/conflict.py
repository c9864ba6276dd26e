"""Two people changed one record: item by item, what is stored, what was typed, and which of them shall stand.

The version the second person started from is taken back from the audit trail, so that it is known who changed what:
where only one of them changed an answer, that one is proposed; where both did, somebody has to choose.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from spinetrial.access.gate import SignedInRequest, of_subject
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.display import display_value, field_of
from spinetrial.crf.drafts import PICK, is_answer, posted_by, posted_values
from spinetrial.crf.forms import CrfForm, RowFormSet, crf_form
from spinetrial.crf.missing import field_name, missing_text, reason_of
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.spec import CrfSpec, Item, RowGroup
from spinetrial.protocol import CURRENT, events

MINE, STORED = "mine", "stored"


@dataclass(frozen=True)
class Difference:
    """One answer, or one row of a table, on which the two versions differ. Texts are as a person reads them."""

    name: str
    label: str
    mine: str
    stored: str
    before: str | None  # when the form was opened; None where that is not known
    who: str  # whose stored value it is
    when: datetime | None
    chosen: str  # MINE, STORED, or "": nobody chose, and there is no telling

    @property
    def input_name(self) -> str:
        return PICK + self.name


@dataclass
class Past:
    """What the trail tells of the time since the form was opened."""

    record: models.Model | None = None  # as it was; None where that is not known
    rows: dict[str, dict[int, models.Model]] = field(default_factory=dict)  # group key -> row id -> row as it was
    changed: dict[str, AuditEntry] = field(default_factory=dict)  # column, or "<group>-<row id>" -> latest change


@dataclass(frozen=True)
class Clash:
    """The two versions compared. `mine` is what was posted, `record` what is stored."""

    record: SubjectRecord
    mine: QueryDict
    differences: list[Difference]
    _form: CrfForm
    _stored: CrfForm
    _chosen: dict[str, str]

    def nothing_new(self) -> bool:
        """Whether what was typed is stored already, explanations included."""
        return not self.differences and not (self._form.is_valid() and self._form.explanations_changed())

    def settled(self) -> bool:
        """Whether every difference was decided on a page that showed what is stored now."""
        return (
            "resolve" in self.mine
            and self.mine.get("stored_version") == str(self.record.row_version)
            and all(self.mine.get(each.input_name) in (MINE, STORED) for each in self.differences)
        )

    def changes_something(self) -> bool:
        return any(each.chosen == MINE for each in self.differences)

    def hidden(self) -> list[tuple[str, str]]:
        """What the page of the choice carries along: everything that was typed."""
        kept = ("save", "next", "next_query")  # where the person wanted to go
        return [
            (name, value)
            for name, values in self.mine.lists()
            for value in values
            if name != "form_reason" and (is_answer(name) or name in kept)
        ]

    def merged(self) -> QueryDict:
        """What to post now: the chosen answers, on top of the stored version."""
        data = self.mine.copy()
        spec = self._form.spec
        stored = posted_by(self._stored)
        for item in spec.items():
            if self._chosen.get(item.name) == STORED:
                for name in names_of(item):
                    data.pop(name, None)
                    if name in stored:
                        data.setlist(name, stored[name])
        for group in spec.rows:
            for name in [name for name in data if name.startswith(f"{group.key}-")]:
                del data[name]
            for name, values in self._merged_rows(group).items():
                data.setlist(name, values)
        data["seen_version"] = str(self.record.row_version)
        return data

    def _merged_rows(self, group: RowGroup) -> dict[str, list[str]]:
        """The rows in my order, then the rows that only the stored version has.

        Every row is posted as one that was there before: a row without a number is then made anew at its place.
        """
        mine, stored = self._form.formsets[group.key], self._stored.formsets[group.key]
        by_id = {row.instance.pk: row for row in stored.initial_forms}
        rows: list[dict[str, list[str]]] = []
        for number, row in enumerate(mine.forms):
            pk = row.instance.pk
            by_id_here = by_id.pop(pk, None)
            choice = self._chosen.get(_row_name(group, row, number))
            if pk is None:
                # without a choice it is empty, or the other person added the very same row
                if choice == MINE:
                    rows.append(_posted_row(row, None))
            elif choice == STORED and by_id_here is not None:
                rows.append(_posted_row(by_id_here, pk))
            else:
                rows.append(_posted_row(row, pk, remove=_removed(mine, row)))
        for pk, row in by_id.items():
            rows.append(_posted_row(row, pk, remove=self._chosen.get(f"{group.key}-{pk}") == MINE))
        found = {f"{group.key}-{name}": [str(len(rows))] for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
        for index, values in enumerate(rows):
            found |= {f"{group.key}-{index}-{name}": each for name, each in values.items()}
        return found


def compare(spec: CrfSpec, subject: Any, record: SubjectRecord, posted: QueryDict, event: str = "") -> Clash:
    """Compare what was typed into an older version of `record` with the record as it is stored now."""
    form = crf_form(spec, subject, record=_copy(record), event=event, data=posted)
    stored = crf_form(spec, subject, record=_copy(record), event=event)
    past = past_of(spec, subject, record, posted.get("seen_version", ""))
    differences = [*_answers(spec, form, record, past)]
    for group in spec.rows:
        differences += _rows(group, form.formsets[group.key], stored.formsets[group.key], past)
    chosen = {}
    for number, each in enumerate(differences):
        choice = posted.get(each.input_name, "")
        if choice in (MINE, STORED):
            differences[number] = each = Difference(**{**vars(each), "chosen": choice})
        chosen[each.name] = each.chosen
    # What both changed comes first: nothing is proposed there.
    differences.sort(key=lambda each: each.chosen != "")
    return Clash(record, posted, differences, form, stored, chosen)


def _copy(record: SubjectRecord) -> SubjectRecord:
    """The record apart from the original, its jsonb too: a bound form writes into the record it is given."""
    twin = copy.copy(record)
    twin.missing = dict(record.missing)
    return twin


# --- answers ---


def names_of(item: Item) -> list[str]:
    """Names of the fields of one question: the answer, and the reason why there is none."""
    return [item.name, field_name(item.name)] if item.missing else [item.name]


def _answers(spec: CrfSpec, form: CrfForm, record: SubjectRecord, past: Past) -> Iterable[Difference]:
    form.errors  # noqa: B018  # cleans the form; the checks of the whole are for the save
    for item in spec.items():
        names = names_of(item)
        mine, stored = _answer(form, item), _stored_answer(record, item)
        if mine == stored or not set(names) & set(form.changed_data):
            continue
        before = None if past.record is None else _stored_answer(past.record, item)
        entry = past.changed.get(_column(record, item.name)) or past.changed.get(f"missing:{item.name}")
        yield Difference(
            name=item.name,
            label=spec.label(item.name),
            mine=_answer_text(form, item),
            stored=_text(record, item),
            before=None if past.record is None else _text(past.record, item),
            who=entry.actor if entry else "",
            when=entry.at if entry else None,
            chosen=proposed(mine, stored, before, known=past.record is not None),
        )


def proposed(mine: Any, stored: Any, before: Any, *, known: bool) -> str:
    if known and mine == before:
        return STORED
    return MINE if known and stored == before else ""


def _answer(form: CrfForm, item: Item) -> tuple[Any, str]:
    """Value and reason of a question as they were typed; what is no possible value stays a text."""
    value = form[item.name].data if item.name in form.errors else form.cleaned_data.get(item.name)
    return value, reason_of(item, form.cleaned_data)


def _stored_answer(record: models.Model, item: Item) -> tuple[Any, str]:
    return getattr(record, item.name), str(getattr(record, "missing", {}).get(item.name, ""))


def _answer_text(form: CrfForm, item: Item) -> str:
    if item.name in form.errors:
        return str(form[item.name].data or "")
    return _text(form.instance, item)


def _text(record: models.Model, item: Item) -> str:
    if reason := missing_text(record, item.name):
        return reason
    words = display_value(record, item.name)
    return f"{words} {item.unit}" if words and item.unit else words


def _column(model: Any, name: str) -> str:
    return str(model._meta.get_field(name).column)


# --- rows ---


def _rows(group: RowGroup, mine: RowFormSet, stored: RowFormSet, past: Past) -> Iterable[Difference]:
    mine.errors  # noqa: B018  # cleans the rows
    if not mine.management_form.is_valid():
        return  # the counters did not come along: the stored rows stay
    by_id = {row.instance.pk: row.instance for row in stored.initial_forms}
    before = past.rows.get(group.key, {})
    known = past.record is not None
    added = [row for pk, row in by_id.items() if pk not in {form.instance.pk for form in mine.forms}]
    for number, form in enumerate(mine.forms):
        pk = form.instance.pk
        mine_text = _row_text(group, form.instance, form) if _holds(mine, form) else ""
        if pk is None:
            if not mine_text:
                continue
            twin = next((row for row in added if _row_text(group, row) == mine_text), None)
            if twin is not None:
                added.remove(twin)
                by_id.pop(twin.pk)
                continue
        here = by_id.get(pk)
        stored_text = _row_text(group, here) if here is not None else ""
        if mine_text == stored_text:
            continue
        was = before.get(_posted_id(form) if pk is None else pk)
        yield _row_difference(group, _row_name(group, form, number), mine_text, stored_text, was, known, past, number)
    for row in added:
        if row.pk not in before or not known:
            name = f"{group.key}-{row.pk}"
            yield _row_difference(group, name, "", _row_text(group, row), None, known, past, len(mine.forms))


def _row_difference(
    group: RowGroup,
    name: str,
    mine: str,
    stored: str,
    was: models.Model | None,
    known: bool,
    past: Past,
    number: int,
) -> Difference:
    before = _row_text(group, was) if was is not None else ""
    entry = past.changed.get(f"{group.key}-{was.pk}" if was is not None else name)
    return Difference(
        name=name,
        label=_("%(table)s, row %(number)s") % {"table": group.title, "number": number + 1},
        mine=mine or _("no such row"),
        stored=stored or _("no such row"),
        before=None if not known else before or _("no such row"),
        who=entry.actor if entry else "",
        when=entry.at if entry else None,
        chosen=proposed(mine, stored, before, known=known),
    )


def _row_name(group: RowGroup, form: Any, number: int) -> str:
    return f"{group.key}-{form.instance.pk}" if form.instance.pk is not None else f"{group.key}-new{number}"


def _posted_id(form: Any) -> int:
    """The number of a row that was stored when the form was opened, and is gone."""
    value = str(form.data.get(form.add_prefix("id"), ""))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 18 else 0


def _removed(formset: Any, form: Any) -> bool:
    return bool(formset._should_delete_form(form))


def _holds(formset: RowFormSet, form: Any) -> bool:
    """Whether this form of the grid is a row: not removed, not left empty."""
    return not _removed(formset, form) and (form.instance.pk is not None or form.has_changed())


def _row_text(group: RowGroup, row: models.Model, form: Any = None) -> str:
    """A row in words, "label: value" after another. What is no possible value is given as typed."""
    words = []
    for item in group.items:
        wrong = form is not None and item.name in form.errors
        text = str(form[item.name].data or "") if wrong else display_value(row, item.name)
        if text:
            words.append(f"{row._meta.get_field(item.name).verbose_name}: {text}")  # type: ignore[union-attr]
    return "; ".join(words)


def _posted_row(form: Any, pk: int | None, *, remove: bool = False) -> dict[str, list[str]]:
    """Fields of one row without their prefix."""
    found = {field.name: posted_values(field) for field in form if field.name not in ("id", "DELETE")}
    row = {name: values for name, values in found.items() if values is not None}
    row["id"] = ["" if pk is None else str(pk)]
    if remove:
        row["DELETE"] = ["on"]
    return row


# --- the past ---


def past_of(spec: CrfSpec, subject: Any, record: SubjectRecord, seen: str) -> Past:
    """Take the record and its rows back, change by change, to the version `seen`; "0" is the empty form."""
    past = Past()
    wanted = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else -1
    was: Any = _copy(record)
    trail = AuditEntry.of_subject(subject.pk)
    since = None
    for entry in trail.filter(table_name=spec.model._meta.db_table, row_id=str(record.pk)).order_by("-id"):
        if was.row_version == wanted:
            break
        since = entry.pk
        if entry.act == "insert":
            was = spec.model(subject=subject)
            was.row_version = 0
        for column, pair in entry.changes.items():
            past.changed.setdefault(column, entry)
            if column == "missing":
                for name in {**(pair[0] or {}), **(pair[1] or {})}:
                    past.changed.setdefault(f"missing:{name}", entry)
            if entry.act == "update":
                _put(was, column, pair[0])
    if was.row_version == wanted:
        past.record = was
    for group in spec.rows:
        rows: dict[int, Any] = {
            row.pk: copy.copy(row) for row in of_subject(subject, group.model).filter(**{"parent": record})
        }
        if since is not None:
            later = trail.filter(table_name=group.model._meta.db_table, pk__gte=since).order_by("-id")
            _rows_before(group, record, later, rows, past)
        past.rows[group.key] = rows
    return past


def _rows_before(group: RowGroup, record: SubjectRecord, later: Any, rows: dict[int, Any], past: Past) -> None:
    for entry in later:
        pk = int(entry.row_id)
        if entry.act == "delete" and entry.changes.get("parent_id", [None])[0] == record.pk:
            rows[pk] = group.model()
            rows[pk].pk = pk
        if pk not in rows:
            continue
        past.changed.setdefault(f"{group.key}-{pk}", entry)
        if entry.act == "insert":
            del rows[pk]
            continue
        for column, pair in entry.changes.items():
            _put(rows[pk], column, pair[0])


def _put(row: Any, column: str, value: Any) -> None:
    model_field = field_of(type(row), column)
    setattr(row, model_field.attname, model_field.to_python(value))


def page(
    request: SignedInRequest, spec: CrfSpec, subject: Any, event: str, clash: Clash, *, asked: bool = False
) -> HttpResponse:
    """The two versions beside each other. `asked`: the person has chosen, and something is still missing."""
    reason = clash.mine.get("form_reason", "")[:500]
    context = {
        "title": _(str(spec.title)),
        "code": spec.code,
        "subject_code": subject.code,
        "event_label": events.event_title(CURRENT, event or spec.event, _) if event or spec.event != "ANY" else "",
        "back_url": reverse("subject", args=[subject.code]),
        "differences": clash.differences,
        "hidden": clash.hidden(),
        "stored_version": clash.record.row_version,
        "reason": reason,
        "reason_error": asked and not reason.strip(),
        "moved": "resolve" in clash.mine and clash.mine.get("stored_version") != str(clash.record.row_version),
        "undecided": asked and any(not each.chosen for each in clash.differences),
        "user_name": request.user.username,
    }
    return render(request, "crf/conflict.html", context, status=422)
