"""The one way a CRF record is written: screens, imports, jobs and simulations all end here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models
from django.utils.translation import gettext as _

from spinetrial.access.gate import AnyActor, check_may, list_records, masked, of_subject
from spinetrial.audit.acting import acting
from spinetrial.crf import checks
from spinetrial.crf.forms import CrfForm, crf_form, explanation_name, form_data
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.spec import CrfSpec, Keeping, Level
from spinetrial.review import freezes, queries, trial


class Conflict(Exception):
    """Someone else saved the record after this form was opened. Nothing was written."""


class ReasonMissing(Exception):
    """A change of a saved record needs a reason. Nothing was written."""


class EntryRefused(Exception):
    """Values given to `enter` do not pass the form; `errors` maps field names to messages."""

    def __init__(self, spec: CrfSpec, errors: dict[str, list[str]]) -> None:
        super().__init__(f"{spec.code}: {errors}")
        self.errors = errors


def save_record(
    form: CrfForm, actor: AnyActor, reason: str = "", *, request_id: str = "", replies: Mapping[int, str] | None = None
) -> SubjectRecord:
    """Write a valid form: right, freeze, row version, rows, milestones, explanations, queries, in one transaction.

    `form` has passed `is_valid()`. `replies` (number of a query of the record -> words) answer queries in the same
    transaction; alone, without a change of the answers, they need no reason. Locks the subject row, so that two saves
    for one subject take turns and the checks below see the newest data. Raises PermissionDenied (no right),
    trial.EntryClosed (frozen or locked, in whole or in part), Conflict (row version), ReasonMissing (change without
    reason).
    """
    spec, record = form.spec, form.instance
    subject: Any = record.subject
    check_may(actor, spec.enter, subject.site_id)
    if spec.reveals_arm and masked(actor, subject.site_id):
        raise PermissionDenied
    is_new = record.pk is None
    reason = reason.replace("\0", "").strip()  # PostgreSQL's text cannot hold a NUL, which alone is no reason
    changed = is_new or form.has_changed() or any(formset.has_changed() for formset in form.formsets.values())
    changed = changed or form.explanations_changed()
    if not is_new and not reason and (changed or not replies):
        raise ReasonMissing
    if not changed:
        _reply(form, actor, replies)
        return record
    with acting(actor, reason or "first entry", request_id=request_id):
        trial.check_open()
        list_records(actor, type(subject), spec.enter).select_for_update(of=("self",)).get(pk=subject.pk)
        freezes.check_unfrozen(subject, getattr(record, "event", spec.event), spec.code, record.pk)
        _check_version(form, is_new)
        if form.failed_checks(Level.BLOCK) or form.unexplained():
            # Passed before the lock, so another form of the subject was saved in between.
            raise Conflict
        record.row_version = 1 if is_new else record.row_version + 1
        spec.before_save(form, actor)
        form.save()
        _save_rows(form)
        spec.after_save(record, actor)
        _reply(form, actor, replies)
        checks.sync_saved(form, actor, is_new=is_new)
    return record


def _reply(form: CrfForm, actor: AnyActor, replies: Mapping[int, str] | None) -> None:
    if replies:
        subject, record = form.instance.subject, form.instance
        queries.answer_with_form(
            actor, subject=subject, spec_code=form.spec.code, record_id=record.pk, replies=replies
        )  # fmt: skip


def _check_version(form: CrfForm, is_new: bool) -> None:
    spec, record = form.spec, form.instance
    others = of_subject(record.subject, spec.model)
    if not is_new:
        stored = others.filter(pk=record.pk).values_list("row_version", flat=True).first()
        if stored is None or stored != form.cleaned_data.get("seen_version"):
            raise Conflict
    elif (spec.keeping is Keeping.ONCE and others.exists()) or (
        spec.keeping is Keeping.PER_EVENT and others.filter(**{"event": record.event}).exists()
    ):
        raise Conflict


def _save_rows(form: CrfForm) -> None:
    for formset in form.formsets.values():
        kept = formset.kept_forms()
        for row_form in formset.forms:
            if row_form.instance.pk is not None and row_form not in kept:
                row_form.instance.delete()
        for position, row_form in enumerate(kept):
            row = row_form.instance
            if row.pk is None or row_form.has_changed() or row.position != position:
                row.parent, row.subject, row.position = form.instance, form.instance.subject, position
                row.save()


def enter(
    spec: CrfSpec,
    subject: models.Model,
    actor: AnyActor,
    values: Mapping[str, Any],
    rows: Mapping[str, list[Mapping[str, Any]]] | None = None,
    *,
    event: str = "",
    record: SubjectRecord | None = None,
    reason: str = "",
    explanations: Mapping[str, str] | None = None,
) -> SubjectRecord:
    """Enter plain values as the screen would, for imports and the simulation.

    `explanations`: code of a must-explain check -> why the values stand though they break it.
    Raises EntryRefused, and what save_record raises.
    """
    data = form_data(spec, values, rows)
    data |= {explanation_name(code): text for code, text in (explanations or {}).items()}
    data["seen_version"] = str(record.row_version if record else 0)
    form = crf_form(spec, subject, record=record, event=event, data=data)
    if not form.is_valid():
        raise EntryRefused(spec, form.all_errors())
    return save_record(form, actor, reason)


def describe_refusal(error: Exception) -> str:
    """What happened, what was kept, what to do: for the screen."""
    if isinstance(error, Conflict):
        return _(
            "Someone else saved this form while you were filling it in. Nothing of yours was saved yet and nothing "
            "is lost: your answers are below. Open the form in a second window, compare, then save again."
        )
    if isinstance(error, ReasonMissing):
        return _("This form was saved before. Say why it changes, then save again.")
    if isinstance(error, freezes.PartFrozen):
        return _(
            "The data manager has frozen this form, its visit or the participant. Your answers are below, but were not "
            "saved. Ask the data manager to lift the freeze if the data have to change."
        )
    if isinstance(error, trial.EntryClosed):
        return _("The trial is frozen or locked: no form can be changed. Your answers are below, but were not saved.")
    raise error
