"""Generic pages of every CRF: view, enter, change. A spec with a page of its own is sent there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.apps import apps
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models
from django.forms import BoundField
from django.http import Http404, HttpResponse, QueryDict
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
    requires,
)
from spinetrial.access.models import TrialState
from spinetrial.audit.models import AuditEntry
from spinetrial.crf import checks, conflict, drafts, save, threads, unscheduled
from spinetrial.crf.display import display_value
from spinetrial.crf.forms import EXPLAIN_PREFIX, CrfForm, SearchInput, crf_form, explanation_name, form_data
from spinetrial.crf.marks import ItemMark, review_marks
from spinetrial.crf.missing import field_name, missing_text
from spinetrial.crf.models import Draft, SubjectRecord
from spinetrial.crf.registry import all_specs, get_spec, specs_for_event
from spinetrial.crf.spec import Beside, CrfSpec, Item, Keeping, Level
from spinetrial.crf.standing import Standing
from spinetrial.crf.state import State, not_entered
from spinetrial.protocol import CURRENT, events
from spinetrial.review import trial
from spinetrial.review.explanations import LONGEST, live_explanations
from spinetrial.review.models import Explanation

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
        draft = drafts.find(request.user, subject, spec, key)
        offer = (
            spec.beside(subject, event).offer if record is None and draft is None and "start" in request.GET else None
        )
        if offer is not None:
            known = form_data(spec, offer.values, offer.rows)
            filled = drafts.unjudged(crf_form(spec, subject, event=event, data=known))
            return _entry_page(request, spec, subject, key, record, filled)
        if draft is None:
            return _entry_page(request, spec, subject, key, record, crf_form(spec, subject, record=record, event=event))
        form = drafts.restore(draft, spec, subject, record, event)
        return _entry_page(
            request, spec, subject, key, record, form, reason=form.data.get("form_reason", ""), draft=draft
        )
    data: QueryDict = request.POST
    reason, replies = data.get("form_reason", "")[:500], threads.posted_replies(request, subject.site_id)
    stranger = opened_by_another(request) or threads.too_long(replies)
    if not stranger and record is not None and data.get("seen_version") != str(record.row_version):
        clash = conflict.compare(spec, subject, record, data, event)
        if clash.nothing_new():  # sent twice, or both typed the same
            threads.reply(request, spec, subject, record, replies)
            return _saved(request, spec, subject, key, record, done_url)
        if address := unscheduled.moved(request, spec, subject, key):
            return redirect(address)
        if clash.differences and (not clash.settled() or (clash.changes_something() and not reason.strip())):
            return conflict.page(request, spec, subject, event, clash, asked="resolve" in data)
        if clash.differences and not clash.changes_something():
            threads.reply(request, spec, subject, record, replies)
            drafts.discard(request.user, subject, spec, key)
            messages.success(request, _("The stored answers stand; nothing was changed."))
            return redirect(_goal(request, spec, subject, record, done_url))
        data = clash.merged()
    existed = record is not None
    form = crf_form(spec, subject, record=record, event=event, data=data)
    if stranger:
        form.add_error(None, stranger)
    if form.is_valid():
        try:
            request_id = request.request_id
            saved = save.save_record(form, request.user, reason, request_id=request_id, replies=replies)
        except save.ReasonMissing:
            pass  # said at the reason itself, below
        except (save.Conflict, trial.EntryClosed) as refusal:
            fresh = find_record(request, spec, subject, key) if isinstance(refusal, save.Conflict) else None
            if fresh is not None and data.get("seen_version") != str(fresh.row_version):
                if address := unscheduled.moved(request, spec, subject, key):
                    return redirect(address)
                clash = conflict.compare(spec, subject, fresh, request.POST, event)
                return conflict.page(request, spec, subject, event, clash)
            form.add_error(None, save.describe_refusal(refusal))
        except IntegrityError as error:
            form.add_error(None, _constraint_message(spec, error))
        else:
            return _saved(request, spec, subject, key, saved, done_url)
    # The instance now carries the posted values; whether it is stored is known from before.
    return _entry_page(
        request, spec, subject, key, record if existed else None, form, reason=reason, asked=existed, status=422
    )


def opened_by_another(request: SignedInRequest) -> str:
    """A message when the page was opened by another person, who was logged in in this browser before; else empty."""
    name = request.POST.get("opened_by", request.user.username)
    if name == request.user.username:
        return ""
    return _(
        "This page was opened by %(other)s, and %(person)s is logged in now. Nothing was saved. If the answers are "
        "yours, save again."
    ) % {"other": name[:60], "person": request.user.username}


def _entry_page(
    request: SignedInRequest,
    spec: CrfSpec,
    subject: Any,
    key: str,
    record: SubjectRecord | None,
    form: CrfForm,
    *,
    reason: str = "",
    draft: Draft | None = None,
    asked: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The form to fill in. `draft`: the one it shows; `asked`: a change was to be saved, which needs a reason."""
    context = form_context(request, spec, subject, key, record, form, reason=reason)
    if asked and not reason.strip():
        context["crf"]["reason_error"] = _("Say why the saved answers change.")
    add_draft(context, request, spec, subject, key, record, draft)
    return render(request, "crf/form.html", context, status=status)


def add_draft(
    context: dict[str, Any],
    request: SignedInRequest,
    spec: CrfSpec,
    subject: Any,
    key: str,
    record: SubjectRecord | None,
    shown: Draft | None,
) -> None:
    """Give the context of an entry page what its script and its banner need. `shown`: the draft on the page."""
    addresses = {
        "url": reverse("draft", args=[subject.code, spec.code, key]),
        "discard_url": reverse("draft_discard", args=[subject.code, spec.code, key]),
    }
    version = record.row_version if record else 0
    context["draft"] = drafts.page_context(request.user, subject, spec, key, addresses, shown, version)
    context["crf"]["saved_label"] = context["draft"]["label"]


def _saved(
    request: SignedInRequest, spec: CrfSpec, subject: Any, key: str, record: SubjectRecord, done_url: str
) -> HttpResponse:
    drafts.discard(request.user, subject, spec, key)
    messages.success(request, _("Saved: %(title)s.") % {"title": _(str(spec.title))})
    threads.tell_closed(request, spec, subject, threads.posted_replies(request, subject.site_id))
    return redirect(_goal(request, spec, subject, record, done_url))


def _goal(request: SignedInRequest, spec: CrfSpec, subject: Any, record: SubjectRecord, done_url: str) -> str:
    if "next_query" in request.POST:
        return threads.next_url(request)
    return done_url or _after_save(request, spec, subject, record)


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
    return reverse(spec.leads_to(record) or "subject", args=[code])


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
    replies: bool = True,
) -> dict[str, Any]:
    """The context of `templates/crf/form.html`; a page of its own starts from it too.

    `replies`: False for a page that does not save the replies to queries typed beside its fields.
    """
    event = key if spec.keeping is Keeping.PER_EVENT else spec.event
    here = [subject.code, spec.code, record.pk] if record else []
    queries = threads.live_threads(request, spec, subject, record, form, readonly=readonly, replies=replies)
    standing = Standing([subject.pk]) if record else None
    state = (standing.of_record(spec, record) if standing and record else not_entered(State.EMPTY)).state
    explained = live_explanations(subject, spec.code, record.pk) if record and _explains(spec) else {}
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
    from_list = bool(threads.list_filter(request))
    if (queries or from_list) and may(request.user, "query.view", subject.site_id):
        actions.append({"label": _("Next query"), "url": threads.next_url(request), "icon": "queries"})
    marks = review_marks(request, spec, subject, record, form, readonly=readonly)
    beside = spec.beside(subject, event)
    if may(request.user, spec.enter, subject.site_id):
        actions += [{"label": label, "url": url} for label, url in beside.links]
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
                    explanations=explanations_shown(spec, explained, item.name),
                    earlier=earlier.get(item.name, ""),
                    hint=beside.hints.get(item.name, ""),
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
            "live_url": reverse(group.live, args=[subject.code, event]) if group.live and not readonly else "",
            "header": [str(field.label) for field in _shown_fields(form.formsets[group.key].empty_form)],
            "queries": queries.get(group.key, []),
            "mark": marks.items.get(group.key),
            "key": group.key,
            "explanations": explanations_shown(spec, explained, group.key),
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
            "messages": [
                *([{"level": "info", "text": _("Frozen by the data manager: this form cannot be changed.")}] * closed),
                *([] if readonly or record or form.is_bound else _offered(beside)),
                *([] if readonly else _explanation_inputs(spec, form, explained)),
                *_notes(spec, record, form),
            ],
            "has_next": spec.keeping is not Keeping.REPEATING,
            "beside": beside.lines,
            "beside_title": _(str(beside.title)) if beside.title else "",
            "sections": sections,
            "rows": rows,
            "has_next_query": from_list and replies,
            "change": record is not None,
            "reason_optional": any(thread.reply_name for each in queries.values() for thread in each),
            "reason_value": reason,
            "readonly": readonly,
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
    queries: list[threads.Thread],
    explanations: list[dict[str, Any]],
    earlier: str,
    hint: str,
    history: str,
    mark: ItemMark | None,
) -> dict[str, Any]:
    if isinstance(field.field.widget, SearchInput):
        # Of what the form holds, which may be newer than the record: a draft, or a form that was sent back.
        held = cast(Any, field.form)._meta.model(**{item.name: field.value() or ""})
        field.field.widget.attrs["data-search-label"] = display_value(held, item.name)
    return {
        "field": field,
        "item": item,
        "unit": item.unit,
        "kind": getattr(field.field.widget, "spinetrial_kind", ""),
        "display": display_value(record, item.name) if record else "",
        "reason": missing_text(record, item.name) if record else "",
        "missing": field.form[field_name(item.name)] if item.missing else None,
        "explanations": explanations,
        "last_value": earlier,
        "hint": hint,
        "history_url": f"{history}?item={item.name}" if history else "",
        "queries": queries,
        "mark": mark,
        "show_when": f"{item.show_when.item}={'|'.join(item.show_when.values)}" if item.show_when else "",
    }


def _with_match(text: str, match: str) -> str:
    """The words of a check, and which of its matches is meant."""
    return f"{_(text)} ({match})" if match else _(text)


def _explains(spec: CrfSpec) -> bool:
    return any(check.level is Level.EXPLAIN for check in spec.checks)


def explanations_shown(
    spec: CrfSpec, explained: dict[tuple[str, str], Explanation], item: str = ""
) -> list[dict[str, Any]]:
    """The explanations in force for `templates/crf/explanations.html`: those at one item, or all of the record."""
    words = {check.code: str(check.text) for check in spec.checks}
    return [
        {
            "check": _with_match(words.get(code, code), match),
            "text": row.text,
            "by": str(row.by) if row.by else "",
            "at": timezone.localtime(row.at).strftime("%Y-%m-%d %H:%M %Z"),
        }
        for (code, match), row in explained.items()
        if item in ("", row.item)
    ]


def _offered(beside: Beside) -> list[dict[str, Any]]:
    if beside.offer is None:
        return []
    return [{"level": "info", "text": beside.offer.text, "links": [(beside.offer.label, "?start=1")]}]


def _explanation_inputs(
    spec: CrfSpec, form: CrfForm, explained: dict[tuple[str, str], Explanation]
) -> list[dict[str, Any]]:
    """An input per must-explain check that fails, with what was typed; before any typing, what is in force.

    A form refused for another reason was not checked: what was typed comes back all the same.
    """
    asked = {(check.code, match) for check, match, _text in form.explained}
    if not form.is_bound:
        asked |= set(explained)
    found = []
    for check in spec.checks:
        if check.level is not Level.EXPLAIN:
            continue
        posted = [name for name in form.data if name.startswith(EXPLAIN_PREFIX + check.code)] if form.is_bound else []
        matches = [match for code, match in asked if code == check.code]
        matches += [match for name in posted if (match := _match_of(name, check.code)) is not None]
        for match in sorted(set(matches)):
            stored = explained.get((check.code, match))
            typed = form.posted_explanation(check.code, match) if form.is_bound else None
            found.append(
                {
                    "level": "explain",
                    "text": f"{spec.label(check.items[0])}: {_with_match(str(check.text), match)}",
                    "input_name": explanation_name(check.code, match),
                    "input_value": typed if typed is not None else stored.text if stored else "",
                    "limit": LONGEST,
                }
            )
    return found


def _match_of(name: str, code: str) -> str | None:
    """The match an input's name speaks of; None for an input of another check or of no match there can be."""
    if name == explanation_name(code):
        return ""
    start = explanation_name(code, "-")[:-1]
    match = name.removeprefix(start)
    return match if name.startswith(start) and 0 < len(match) <= 60 else None


def _notes(spec: CrfSpec, record: SubjectRecord | None, form: CrfForm) -> list[dict[str, Any]]:
    """Notes about the saved form; none beside answers that are not saved."""
    if record is None or form.is_bound:
        return []
    return [
        {"level": "note", "text": _with_match(str(check.text), match)} for check, match in checks.notes(spec, record)
    ]


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
