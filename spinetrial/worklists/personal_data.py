"""Everything that is stored about one person, contacts included, in words: for a request of the person."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from patients.forms import ReasonedForm
from patients.models import Contact, Subject
from patients.subjects import purge_of, read_contact
from spinetrial.access.gate import SignedInRequest, check_may, get_record, masked, of_subject, requires
from spinetrial.access.models import User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.crf.content import stored
from spinetrial.crf.display import answers_in_words, field_text, rows_in_words
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.protocol import CURRENT, events
from spinetrial.worklists.audit_trail import Describer, table_words
from spinetrial.worklists.history import entries_of

EXPORTED = "personal data exported"


def personal_data_of(actor: User, subject: Subject, reason: str, at: datetime) -> dict[str, Any]:
    """All there is, in the language in force and the zone of the site; the reading of the contact is recorded.

    Raises PermissionDenied outside the subject's site and for the masked.
    """
    check_may(actor, "person.export", subject.site_id)
    if masked(actor, subject.site_id):
        raise PermissionDenied
    with timezone.override(subject.site.zone):
        return {
            "title": _("All data of participant %(code)s") % {"code": subject.code},
            "trial": CURRENT.identity.registration,
            "participant": subject.code,
            "site": str(subject.site),
            "made_at": timezone.localtime(at).isoformat(timespec="seconds"),
            "made_by": actor.audit_name,
            "language": get_language() or "",
            "contact": _contact(actor, subject, reason),
            "forms": list(_forms(subject)),
            "other_records": list(_others(subject)),
            "acts": list(_acts(subject)),
        }


def _pair(label: object, value: str) -> dict[str, str]:
    return {"item": str(label), "value": value}


def _contact(actor: User, subject: Subject, reason: str) -> list[dict[str, str]]:
    gone = purge_of(subject)
    if gone is not None:
        return [_pair(_("Contacts purged on"), timezone.localtime(gone.at).strftime("%Y-%m-%d %H:%M %Z"))]
    row = read_contact(actor, subject, reason)
    if row is None:
        return []
    fields = [field for field in Contact._meta.concrete_fields if field.name not in ("id", "subject")]
    return [_pair(field.verbose_name, getattr(row, field.name)) for field in fields]


def _forms(subject: Subject) -> Iterator[dict[str, Any]]:
    found = stored([subject.pk], all_specs())
    for form in sorted(found, key=lambda each: events.event_order(CURRENT, each.event)):
        yield {
            "form": _(str(form.spec.title)),
            "code": form.spec.code,
            "event": _("At any time") if form.event == "ANY" else events.event_title(CURRENT, form.event, _),
            "sections": [
                {"title": title, "answers": [_pair(each.label, each.text) for each in answers]}
                for title, answers in answers_in_words(form.spec, form.record)
            ],
            "groups": [
                {
                    "title": grid.title,
                    "rows": [[_pair(*cell) for cell in zip(grid.header, row, strict=True)] for row in grid.rows],
                }
                for grid in rows_in_words(form.spec, form.rows)
            ],
        }


def _others(subject: Subject) -> Iterator[dict[str, Any]]:
    """What stands beside the forms: first contact, milestones, allocation, queries, signatures, reminders, drafts."""
    yield _table(Subject, [subject])
    for model in apps.get_models():
        if issubclass(model, (SubjectRecord, RowRecord)) or model is Contact:
            continue
        field = next((each for each in model._meta.concrete_fields if each.name == "subject"), None)
        if field is None or field.related_model is not Subject:
            continue
        people = [each.name for each in model._meta.concrete_fields if each.related_model is User]
        rows = list(of_subject(subject, model).select_related(*people).order_by("pk"))
        if rows:
            yield _table(model, rows)


def _table(model: type[models.Model], rows: list[Any]) -> dict[str, Any]:
    return {"title": table_words(model), "rows": [[_pair(*each) for each in _values(row)] for row in rows]}


def _values(row: models.Model) -> Iterator[tuple[object, str]]:
    for field in row._meta.concrete_fields:
        value = getattr(row, field.name) if field.related_model is User else getattr(row, field.attname)
        if field.name in ("id", "subject") or value in (None, "", [], {}):
            continue
        if field.is_relation and field.related_model is not User:
            continue  # a number of a row that is listed itself
        if field.name == "spec_code":
            yield _("Form"), _(str(get_spec(value).title))
        else:
            text = field_text(field, value) if not field.is_relation else str(value)
            yield field.verbose_name, text


def _acts(subject: Subject) -> Iterator[dict[str, str]]:
    for row in Describer(entries_of(subject, see_arm=True)).rows():
        entry = row["entry"]
        yield {
            "time": row["local"],
            "utc": row["utc"],
            "who": entry.actor,
            "act": row["act"],
            "form": row["form"],
            "item": row["item"],
            "old": row["old"],
            "new": row["new"],
            "reason": entry.reason,
        }


@requires("person.export")
@sensitive_post_parameters("password", "code")
def personal_data(request: SignedInRequest, code: str) -> HttpResponse:
    """A ZIP with everything as JSON and as a page to print, after reason and password."""
    subject = get_record(request.user, Subject, "person.export", code=code)
    if masked(request.user, subject.site_id):
        raise PermissionDenied
    form = ReasonedForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.confirmed(request, "personal data export", subject.pk):
        reason = form.cleaned_data["reason"].replace("\0", "")
        at = now()
        with acting(request.user, reason):
            content = personal_data_of(request.user, subject, reason, at)
            record_event(EXPORTED, subject_id=subject.pk, site_id=subject.site_id)
        response = HttpResponse(_zip(subject, content, at), content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{subject.code}-personal-data.zip"'
        return response
    context = {
        "title": _("All data of participant %(code)s") % {"code": code},
        "form": form,
        "back_url": reverse("subject", args=[code]),
        "button": _("Download"),
        "note": _(
            "For a request of the person: name and contact, every form, and every act on the audit trail, as a file "
            "for programs and a page to print. It holds the name and the arm: hand it to the person alone, then "
            "delete it."
        ),
    }
    return render(request, "access/form.html", context, status=422 if form.errors else 200)


def _zip(subject: Subject, content: dict[str, Any], at: datetime) -> bytes:
    files = {
        f"{subject.code}.json": json.dumps(content, ensure_ascii=False, indent=1),
        f"{subject.code}.html": render_to_string("worklists/personal_data.html", content),
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, timezone.localtime(at, subject.site.zone).timetuple()[:6])
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, text.encode(), zipfile.ZIP_DEFLATED)
    return target.getvalue()
