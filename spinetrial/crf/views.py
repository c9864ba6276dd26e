"""Generic pages of every CRF: view, enter, change. A spec with a page of its own is sent there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models
from django.forms import BoundField
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from spinetrial.access.gate import (
    SignedInRequest,
    get_record,
    list_records,
    masked,
    may,
    of_subject,
    requires,
)
from spinetrial.access.models import TrialState
from spinetrial.audit.models import AuditEntry
from spinetrial.crf import save
from spinetrial.crf.display import display_value
from spinetrial.crf.forms import CrfForm, SearchInput, crf_form
from spinetrial.crf.marks import ItemMark, review_marks
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.registry import all_specs, get_spec, specs_for_event
from spinetrial.crf.spec import CrfSpec, Item, Keeping
from spinetrial.crf.standing import Standing
from spinetrial.crf.state import State, not_entered
from spinetrial.protocol import CURRENT, events
from spinetrial.review import trial
from spinetrial.review.models import Query

#: Key in the URL of a CRF kept once per subject; others use the event (M3), the record's number or "new".
ONCE_KEY = "form"


def crf_url(spec: CrfSpec, subject_code: str, key: str = ONCE_KEY, *, edit: bool = False) -> str:
    """Address of a CRF of a subject: `key` is the event, the record's number, "new" or ONCE_KEY."""
    if spec.page:
        return reverse(spec.page, args=[subject_code])
    return reverse("crf_edit" if edit or key == "new" else "crf", args=[subject_code, spec.code, key])


def answers_url(spec: CrfSpec, subject_code: str, key: str) -> str:
    """Where the saved answers are read one by one, verified and signed, also of a CRF with a page of its own."""
    return reverse("crf_answers" if spec.page else "crf", args=[subject_code, spec.code, key])


def record_url(spec: CrfSpec, record: SubjectRecord, subject_code: str, *, edit: bool = False) -> str:
    """Address of an existing record."""
    return crf_url(spec, subject_code, record_key(spec, record.pk, getattr(record, "event", "")), edit=edit)


def record_key(spec: CrfSpec, record_id: int, event: str) -> str:
    if spec.keeping is Keeping.ONCE:
        return ONCE_KEY
    return event if spec.keeping is Keeping.PER_EVENT else str(record_id)


def find_record(request: SignedInRequest, spec: CrfSpec, subject: Any, key: str) -> SubjectRecord | None:
    """The record `key` names, None if it is not entered yet. Raises Http404 for a key that names nothing."""
    if spec.reveals_arm and masked(request.user, subject.site_id):
        raise PermissionDenied
    rows = list_records(request.user, spec.model, "crf.view").filter(subject=subject)
    if spec.keeping is Keeping.ONCE and key == ONCE_KEY:
        return rows.first()
    if spec.keeping is Keeping.PER_EVENT and events.is_follow_up(CURRENT, key):
        return rows.filter(**{"event": key}).first()
    if spec.keeping is Keeping.REPEATING and key == "new":
        return None
    if spec.keeping is Keeping.REPEATING and key.isascii() and key.isdigit() and len(key) < 18:
        record = rows.filter(pk=int(key)).first()
        if record is not None:
            return record
    raise Http404


def in_site_zone(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Times of a subject's page are read and shown in the zone of the subject's site (D25)."""

    @wraps(view)
    def zoned(request: SignedInRequest, code: str, *args: Any, **kwargs: Any) -> HttpResponse:
        subject = get_record(request.user, apps.get_model("patients", "Subject"), "subject.view", code=code)
        with timezone.override(subject.site.zone):
            return view(request, subject, *args, **kwargs)

    return zoned


@requires("crf.view")
@in_site_zone
def crf(request: SignedInRequest, subject: Any, spec_code: str, key: str) -> HttpResponse:
    """A saved CRF to read; one not entered yet opens for entry, if the person may enter it."""
    spec = get_spec(spec_code)
    if spec.page:
        return redirect(spec.page, subject.code)
    record = find_record(request, spec, subject, key)
    if record is None:
        if may(request.user, spec.enter, subject.site_id) and TrialState.current().state == TrialState.State.OPEN:
            return redirect(crf_url(spec, subject.code, key, edit=True))
        context = form_context(request, spec, subject, key, None, crf_form(spec, subject, event=key), readonly=True)
        return render(request, "crf/form.html", context)
    return _answers_page(request, spec, subject, key, record)


@requires("crf.view")
@in_site_zone
def crf_answers(request: SignedInRequest, subject: Any, spec_code: str, key: str) -> HttpResponse:
    """The saved answers of any CRF, also of one with a page of its own: to read, verify and sign."""
    spec = get_spec(spec_code)
    record = find_record(request, spec, subject, key)
    if record is None:
        raise Http404
    return _answers_page(request, spec, subject, key, record)


def _answers_page(
    request: SignedInRequest, spec: CrfSpec, subject: Any, key: str, record: SubjectRecord
) -> HttpResponse:
    form = crf_form(spec, subject, record=record)
    return render(request, "crf/form.html", form_context(request, spec, subject, key, record, form, readonly=True))


@requires("crf.view")
@in_site_zone
def crf_edit(request: SignedInRequest, subject: Any, spec_code: str, key: str) -> HttpResponse:
    """Enter or change a CRF. What was typed comes back with every kind of refusal."""
    spec = get_spec(spec_code)
    if spec.page:
        return redirect(spec.page, subject.code)
    return edit_page(request, spec, subject, key)


def edit_page(
    request: SignedInRequest, spec: CrfSpec, subject: Any, key: str = ONCE_KEY, *, done_url: str = ""
) -> HttpResponse:
    """The form of a CRF and its saving, for a subject obtained through the gate.

    A spec with a page of its own calls it from a view of its own; `done_url` is where a save leads then.
    """
    if not may(request.user, spec.enter, subject.site_id):
        raise PermissionDenied
    record = find_record(request, spec, subject, key)
    event = key if spec.keeping is Keeping.PER_EVENT else ""
    if request.method != "POST":
        form = crf_form(spec, subject, record=record, event=event)
        return render(request, "crf/form.html", form_context(request, spec, subject, key, record, form))
    existed = record is not None
    form = crf_form(spec, subject, record=record, event=event, data=request.POST)
    reason = request.POST.get("form_reason", "")[:500]
    if form.is_valid():
        try:
            saved = save.save_record(form, request.user, reason, request_id=request.request_id)  # type: ignore[attr-defined]
        except save.ReasonMissing:
            pass  # said at the reason itself, below
        except (save.Conflict, trial.EntryClosed) as refusal:
            form.add_error(None, save.describe_refusal(refusal))
            if isinstance(refusal, save.Conflict):
                form.data = request.POST.copy()
                form.data["seen_version"] = _stored_version(spec, subject, key)
        except IntegrityError as error:
            form.add_error(None, _constraint_message(spec, error))
        else:
            messages.success(request, _("Saved: %(title)s.") % {"title": _(str(spec.title))})
            return redirect(done_url or _after_save(request, spec, subject, saved))
    # The instance now carries the posted values; whether it is stored is known from before.
    context = form_context(request, spec, subject, key, record if existed else None, form, reason=reason)
    if existed and not reason.strip():
        context["crf"]["reason_error"] = _("Say why the saved answers change.")
    return render(request, "crf/form.html", context, status=422)


def _stored_version(spec: CrfSpec, subject: Any, key: str) -> str:
    rows = of_subject(subject, spec.model)
    if spec.keeping is Keeping.PER_EVENT:
        rows = rows.filter(**{"event": key})
    elif spec.keeping is Keeping.REPEATING:
        rows = rows.filter(pk=key)
    return str(rows.values_list("row_version", flat=True).first() or 0)


def _constraint_message(spec: CrfSpec, error: IntegrityError) -> str:
    """The message of the database rule that refused; a form check should have said it first, with its field."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or ""
    for model in (spec.model, *(group.model for group in spec.rows)):
        for constraint in model._meta.constraints:
            if constraint.name == name and constraint.violation_error_message:
                return str(constraint.violation_error_message)
    return _("These answers contradict a rule of the database (%(rule)s). Nothing was saved.") % {"rule": name}


def _after_save(request: SignedInRequest, spec: CrfSpec, subject: Any, record: SubjectRecord) -> str:
    code = str(subject)
    if "next" in request.POST:
        event = getattr(record, "event", spec.event)
        same_event = [s for s in specs_for_event(event) if s.keeping is not Keeping.REPEATING]
        codes = [s.code for s in same_event]
        following = same_event[codes.index(spec.code) + 1 :] if spec.code in codes else []
        for candidate in following:
            if may(request.user, candidate.enter, subject.site_id):
                return crf_url(candidate, code, event if candidate.keeping is Keeping.PER_EVENT else ONCE_KEY)
    return reverse("subject", args=[code])


# --- what the template needs ---


def form_context(
    request: SignedInRequest,
    spec: CrfSpec,
    subject: Any,
    key: str,
    record: SubjectRecord | None,
    form: CrfForm,
    *,
    readonly: bool = False,
    reason: str = "",
) -> dict[str, Any]:
    """The context of `templates/crf/form.html`; a page of its own starts from it too."""
    event = key if spec.keeping is Keeping.PER_EVENT else spec.event
    here = [subject.code, spec.code, record.pk] if record else []
    queries = _live_queries(spec, subject, record)
    standing = Standing([subject.pk]) if record else None
    state = (standing.of_record(spec, record) if standing and record else not_entered(State.EMPTY)).state
    earlier = {} if readonly else _earlier_answers(request, spec, subject, event)
    history = reverse("record_history", args=here) if here and may(request.user, "audit.view", subject.site_id) else ""
    changed = AuditEntry.changed_columns(spec.model._meta.db_table, str(record.pk)) if record and history else set()
    open_for_me = may(request.user, spec.enter, subject.site_id) and TrialState.current().state == TrialState.State.OPEN
    actions = [{"label": _("Audit trail"), "url": history, "icon": "history"}] if history else []
    if here and may(request.user, "query.raise", subject.site_id):
        actions.append({"label": _("Ask a query"), "url": reverse("query_new", args=here), "icon": "queries"})
    closed = standing.frozen.holds(subject.pk, event, spec.code, record.pk) if standing and record else False
    if here and not closed and TrialState.current().state == "open" and may(request.user, "trial.freeze"):
        actions.append({"label": _("Freeze"), "url": reverse("freeze_form", args=here), "icon": "lock"})
    marks = review_marks(request, spec, subject, record, form, readonly=readonly)
    sections = [
        {
            "id": f"section-{number}",
            "title": _(str(section.title)),
            "help": _(str(section.help)) if section.help else "",
            "fields": [
                _field(
                    form[item.name],
                    item,
                    record,
                    queries=queries.get(item.name, []),
                    earlier=earlier.get(item.name, ""),
                    # a marker only where a value was changed: every marker is one more tab stop
                    history=history if _column(spec.model, item.name) in changed else "",
                    mark=marks.items.get(item.name),
                )
                for item in section.items
            ],
        }
        for number, section in enumerate(spec.sections, 1)
    ]
    rows = [
        {
            "id": f"rows-{group.key}",
            "title": _(str(group.title)),
            "help": _(str(group.help)) if group.help else "",
            "formset": form.formsets[group.key],
            "header": [str(field.label) for field in _shown_fields(form.formsets[group.key].empty_form)],
            "queries": queries.get(group.key, []),
            "mark": marks.items.get(group.key),
            "key": group.key,
            "display": [
                [display_value(row.instance, item.name) for item in group.items]
                for row in form.formsets[group.key].initial_forms
            ],
        }
        for group in spec.rows
    ]
    if standing and record:
        shown_fields: list[dict[str, Any]] = [field for section in sections for field in section["fields"]]  # type: ignore[misc]
        for each in shown_fields:
            tally = standing.of_field(spec, record, each["item"].name, answered=bool(each["display"]))
            each["state"] = tally.state
    return {
        "form": form,
        "crf": {
            "title": _(str(spec.title)),
            "code": spec.code,
            "subject_code": subject.code,
            "event_label": events.event_title(CURRENT, event, _) if event != "ANY" else "",
            "back_url": reverse("subject", args=[subject.code]),
            "state": state,
            "actions": actions,
            "has_next": spec.keeping is not Keeping.REPEATING,
            "sections": sections,
            "rows": rows,
            "change": record is not None,
            "reason_value": reason,
            "readonly": readonly,
            "messages": [{"level": "info", "text": _("Frozen by the data manager: this form cannot be changed.")}]
            if closed
            else [],
            "review": marks,
            "edit_url": crf_url(spec, subject.code, key, edit=True) if open_for_me and record and not closed else "",
        },
    }


def _column(model: type[models.Model], name: str) -> str:
    return str(model._meta.get_field(name).column)  # type: ignore[union-attr]


def _shown_fields(row_form: Any) -> list[BoundField]:
    return [field for field in row_form.visible_fields() if field.name != "DELETE"]


def _field(
    field: BoundField,
    item: Item,
    record: SubjectRecord | None,
    *,
    queries: list[dict[str, str]],
    earlier: str,
    history: str,
    mark: ItemMark | None,
) -> dict[str, Any]:
    if isinstance(field.field.widget, SearchInput):
        field.field.widget.attrs["data-search-label"] = display_value(record, item.name) if record else ""
    return {
        "field": field,
        "item": item,
        "unit": item.unit,
        "kind": getattr(field.field.widget, "spinetrial_kind", ""),
        "display": display_value(record, item.name) if record else "",
        "last_value": earlier,
        "history_url": f"{history}?item={item.name}" if history else "",
        "queries": queries,
        "mark": mark,
        "show_when": f"{item.show_when.item}={'|'.join(item.show_when.values)}" if item.show_when else "",
    }


def _live_queries(spec: CrfSpec, subject: Any, record: SubjectRecord | None) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    if record is not None:
        live = of_subject(subject, Query).filter(
            spec_code=spec.code, record_id=record.pk, state__in=[Query.State.OPEN, Query.State.ANSWERED]
        )
        for query in live:
            found.setdefault(query.item, []).append(
                {"text": _(query.text), "url": reverse("query", args=[query.pk]), "state": query.state}
            )
    return found


def _earlier_answers(request: SignedInRequest, spec: CrfSpec, subject: Any, event: str) -> dict[str, str]:
    """For items with `previous`: the answer last given under the same name, at whichever earlier event."""
    wanted = {item.name for item in spec.items() if item.previous}
    if not wanted:
        return {}
    before = events.event_order(CURRENT, event)
    candidates: list[tuple[tuple[int, int], SubjectRecord]] = []
    for other in all_specs():
        if other.keeping is Keeping.REPEATING or not wanted & {item.name for item in other.items()}:
            continue
        for record in list_records(request.user, other.model, "crf.view").filter(subject=subject):
            order = events.event_order(CURRENT, getattr(record, "event", other.event))
            if order < before:
                candidates.append((order, record))
    found: dict[str, str] = {}
    for _order, record in sorted(candidates, key=lambda pair: pair[0], reverse=True):
        for name in wanted - set(found):
            if hasattr(record, name) and getattr(record, name) not in (None, ""):
                at = getattr(record, "event", "BL")
                found[name] = f"{display_value(record, name)} ({events.event_title(CURRENT, at, _)})"
    return found
