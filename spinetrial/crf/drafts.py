"""Drafts: what a person typed into a form and has not saved. One per person and form, shown to nobody else.

A draft is not trial data. It holds what the browser would post, so that a restored form posts back the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.forms import BoundField, CheckboxInput
from django.forms.utils import ErrorDict, ErrorList
from django.forms.widgets import ChoiceWidget
from django.http import QueryDict
from django.utils.translation import gettext as _

from spinetrial.access.gate import SYSTEM, check_may, list_records, masked, may, of_subject
from spinetrial.access.models import User
from spinetrial.access.reauthenticate import second_factor_enrolled
from spinetrial.audit.clock import now
from spinetrial.crf.forms import CrfForm, crf_form
from spinetrial.crf.models import Draft, SubjectRecord
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.review import freezes, trial

#: A form of thirty rows has some 600 fields and 20 kB; beyond these numbers somebody is playing.
MAX_FIELDS = 5000
MAX_BYTES = 500_000
#: Start of the name of a choice on the page of two editors; no field of a model is called so.
PICK = "pick:"
#: A draft nobody came back to for so long is forgotten.
KEPT_FOR = timedelta(days=30)
#: Fields of the page that are no answers: secrets, buttons, and what the page says of itself.
_NO_ANSWERS = frozenset(
    {"csrfmiddlewaretoken", "opened_by", "save", "next", "next_query", "take", "confirm", "resolve", "stored_version"}
)


class TooLarge(Exception):
    """More fields or characters than a form can have. The draft stays as it was before."""


def is_answer(name: str) -> bool:
    """Whether a posted field belongs into a draft. Secrets never do, whatever form they are typed into."""
    return name not in _NO_ANSWERS and "password" not in name.lower() and not name.startswith(PICK)


def check_access(user: User, subject: Any, spec: CrfSpec) -> None:
    """Raise PermissionDenied unless `user` may fill in this form of this subject."""
    check_may(user, spec.enter, subject.site_id)
    if spec.reveals_arm and masked(user, subject.site_id):
        raise PermissionDenied


def keep(
    user: User, subject: Any, spec: CrfSpec, key: str, posted: QueryDict, record: SubjectRecord | None = None
) -> Draft:
    """Store what `user` has typed so far in place of the draft before. `record`: what is stored under `key`.

    Raises PermissionDenied, trial.EntryClosed, TooLarge.
    """
    check_access(user, subject, spec)
    trial.check_open()
    event = key if spec.keeping is Keeping.PER_EVENT else spec.event
    freezes.check_unfrozen(subject, event, spec.code, record.pk if record else None)
    # jsonb cannot hold a NUL, which no keyboard types.
    data = {
        name.replace("\0", ""): [value.replace("\0", "") for value in values]
        for name, values in posted.lists()
        if is_answer(name)
    }
    if sum(map(len, data.values())) > MAX_FIELDS or len(json.dumps(data, ensure_ascii=False).encode()) > MAX_BYTES:
        raise TooLarge
    seen = posted.get("seen_version", "")
    draft = Draft(
        user=user,
        subject=subject,
        spec_code=spec.code,
        key=key,
        seen_version=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else 0,
        data=data,
        saved_at=now(),
    )
    # One statement, so that two windows of one person cannot collide.
    of_subject(subject, Draft).bulk_create(
        [draft],
        update_conflicts=True,
        unique_fields=["user", "subject", "spec_code", "key"],
        update_fields=["seen_version", "data", "saved_at"],
    )
    return draft


def find(user: User, subject: Any, spec: CrfSpec, key: str) -> Draft | None:
    """The person's own draft of this form."""
    return of_subject(subject, Draft).filter(user=user, spec_code=spec.code, key=key).first()


def others(user: User, subject: Any, spec: CrfSpec, key: str) -> list[Draft]:
    """Drafts of other people on the same record, without their content. A new record is one's own."""
    if key == "new":
        return []
    rows = of_subject(subject, Draft).filter(spec_code=spec.code, key=key).exclude(user=user)
    return list(rows.select_related("user").defer("data").order_by("saved_at"))


def discard(user: User, subject: Any, spec: CrfSpec, key: str) -> None:
    """Forget the person's own draft of this form, if there is one."""
    of_subject(subject, Draft).filter(user=user, spec_code=spec.code, key=key).delete()


def unfinished(user: User) -> list[tuple[Draft, CrfSpec]]:
    """The person's drafts with their forms, oldest first, of forms the person may still fill in. One query."""
    specs = {spec.code: spec for spec in all_specs()}
    rows = list_records(user, Draft, "crf.view").filter(user=user).select_related("subject__site").defer("data")
    found = []
    for draft in rows.order_by("saved_at", "pk"):
        spec, site = specs.get(draft.spec_code), draft.subject.site_id
        if spec and may(user, spec.enter, site) and not (spec.reveals_arm and masked(user, site)):
            found.append((draft, spec))
    return found


def do_forget_old() -> int:
    """Delete the drafts nobody came back to for KEPT_FOR; returns how many."""
    old = list_records(SYSTEM, Draft, "crf.view").filter(saved_at__lt=now() - KEPT_FOR)
    return old.delete()[0]


def restored_data(draft: Draft, spec: CrfSpec, subject: Any, record: SubjectRecord | None, event: str) -> QueryDict:
    """The draft as the browser would post it.

    A table that the draft does not know, because the form was changed since, comes as it is stored.
    """
    data = QueryDict(mutable=True)
    missing = [group.key for group in spec.rows if f"{group.key}-TOTAL_FORMS" not in draft.data]
    if missing:
        for name, values in posted_by(crf_form(spec, subject, record=record, event=event)).items():
            if name.startswith(tuple(f"{key}-" for key in missing)):
                data.setlist(name, values)
    for name, values in draft.data.items():
        data.setlist(name, values)
    # `seen_version` as the database holds it: what the browser sent may not have been a number.
    data["seen_version"] = str(draft.seen_version)
    return data


def restore(draft: Draft, spec: CrfSpec, subject: Any, record: SubjectRecord | None, event: str = "") -> CrfForm:
    """The form filled in with the draft, its rows included. It is not judged yet: nobody has asked to save it."""
    data = restored_data(draft, spec, subject, record, event)
    return unjudged(crf_form(spec, subject, record=record, event=event, data=data))


def unjudged(form: CrfForm) -> CrfForm:
    """Show what a bound form holds without messages about it."""
    parts: list[Any] = [form, *(row for formset in form.formsets.values() for row in formset.forms)]
    for each in parts:
        unjudged_part(each)
    formsets: list[Any] = list(form.formsets.values())
    for formset in formsets:
        formset._errors = [row.errors for row in formset.forms]
        formset._non_form_errors = ErrorList()
    return form


def unjudged_part(form: Any) -> None:
    """The same for a form that stands alone."""
    form._errors = ErrorDict()
    form.cleaned_data = {}


def posted_by(form: CrfForm) -> dict[str, list[str]]:
    """What a browser would post for this form as it stands: every field, and every row with its counters."""
    found: dict[str, list[str]] = {}
    parts: list[Any] = [form]
    for formset in form.formsets.values():
        parts += [formset.management_form, *formset.forms]
    for part in parts:
        for field in part:
            values = posted_values(field)
            if values is not None:
                found[field.html_name] = values
    return found


def posted_values(field: BoundField) -> list[str] | None:
    """What a browser posts for one field; None for a tick box or radio row without a tick."""
    widget, value = field.field.widget, field.value()
    if isinstance(widget, CheckboxInput):
        return ["on"] if widget.check_test(value) else None
    if isinstance(widget, ChoiceWidget):
        options = [
            option
            for _group, each, _index in widget.optgroups(field.html_name, _selected(widget.format_value(value)))
            for option in each
        ]
        chosen = [str(option["value"]) for option in options if option["selected"]]
        if not chosen and widget.input_type == "select" and not widget.allow_multiple_selected and options:
            return [str(options[0]["value"])]
        return chosen or None
    shown = widget.format_value(value)
    return ["" if shown is None else str(shown)]


def _selected(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value or "")]


# --- for the screen ---


def clock_text(moment: datetime, subject: Any) -> str:
    """The time at the subject's site; with the date unless it is today there."""
    local = moment.astimezone(subject.site.zone)
    return f"{local:%H:%M}" if local.date() == subject.site.today() else f"{local:%Y-%m-%d %H:%M}"


def saved_label(draft: Draft, subject: Any) -> str:
    return _("Saved %(time)s as draft") % {"time": clock_text(draft.saved_at, subject)}


def page_context(
    user: User, subject: Any, spec: CrfSpec, key: str, url: Mapping[str, str], shown: Draft | None, stored_version: int
) -> dict[str, Any]:
    """`draft` of templates/crf/draft_banner.html. `shown`: the draft whose answers are on the page."""
    moment = shown.saved_at.astimezone(subject.site.zone) if shown else None
    return {
        **url,
        "shown": shown,
        "second_factor": second_factor_enrolled(user),
        "time": f"{moment:%Y-%m-%d %H:%M}" if moment else "",
        "label": saved_label(shown, subject) if shown else "",
        "behind": shown is not None and shown.seen_version != stored_version,
        "others": [
            _("%(person)s has an unsaved draft of this form since %(time)s.")
            % {"person": each.user, "time": clock_text(each.saved_at, subject)}
            for each in others(user, subject, spec, key)
        ],
    }
