"""First contact, contact details, and the eligibility page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters

from patients import eligibility_conflict
from patients.crfs import CONSENT, SCREENING
from patients.eligibility import FACT_ITEMS, Assessment, NotEligible, asks_answer, assess, seen_of
from patients.forms import AnswersForm, ContactForm, PurgeForm, RegisterForm
from patients.milestones import milestones_of
from patients.models import Eligibility, Subject
from patients.models.eligibility import CriterionAnswer
from patients.subjects import (
    ContactsPurged,
    NamesPerson,
    NoBasis,
    NothingToPurge,
    do_change_contact,
    do_purge_contact,
    do_register,
    purge_grounds,
    purge_of,
    read_contact,
)
from spinetrial.access.gate import SignedInRequest, get_record, may, requires, sites_for
from spinetrial.access.models import StudySite, TrialState
from spinetrial.crf import drafts, save
from spinetrial.crf.conflict import MINE
from spinetrial.crf.display import field_text
from spinetrial.crf.forms import CrfForm, crf_form, form_data
from spinetrial.crf.models import Draft
from spinetrial.crf.registry import get_spec
from spinetrial.crf.views import ONCE_KEY, add_draft, answers_url, form_context, in_site_zone, opened_by_another
from spinetrial.protocol import CURRENT
from spinetrial.protocol.eligibility import BLOCKER_TEXTS, BlockerKind, Finding, Verdict
from spinetrial.protocol.model import CriterionKind, CriterionType
from spinetrial.review import trial

_CONTACT = ("name", "telephone", "email", "hospital_number")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_NAMES_PERSON = gettext_noop(
    "The reason holds a name or contact, and reasons stay for ever: say it without. Nothing was done."
)
_CLOSED = "The trial is frozen or locked: nothing can be entered. Nothing was saved."


@requires("subject.screen")
@sensitive_post_parameters(*_CONTACT)
def subject_new(request: SignedInRequest) -> HttpResponse:
    """First contact: the person gets the next screening number of the site."""
    sites = StudySite.recruiting(sites_for(request.user, "subject.screen"))
    form = RegisterForm(request.POST or None, sites=sites)
    if form.is_valid():
        try:
            subject = do_register(
                request.user, form.cleaned_data["site"], form.cleaned_data["first_contact"], form.contact()
            )
        except trial.EntryClosed:
            form.add_error(None, _(_CLOSED))
        else:
            messages.success(request, _("Registered as %(code)s.") % {"code": subject.code})
            return redirect("subject", subject.code)
    return _page(request, _("New participant"), form, reverse("matrix"), _("Register"))


@requires("contacts.view")
@sensitive_post_parameters(*_CONTACT)
def contact(request: SignedInRequest, code: str) -> HttpResponse:
    """Name and ways to reach the person. Each opening is on the audit trail."""
    subject = get_record(request.user, Subject, "contacts.view", code=code)
    gone = purge_of(subject)
    if gone is not None:
        context = {"subject": subject, "entry": gone, "actions": [_export_action(code)]}
        return render(request, "patients/contacts_purged.html", context)
    row = read_contact(request.user, subject, "contact page")
    form = ContactForm(request.POST or None, contact=row)
    if form.is_valid():
        try:
            do_change_contact(request.user, subject, form.contact(), form.cleaned_data.get("reason", ""))
        except trial.EntryClosed:
            form.add_error(None, _(_CLOSED))
        except NamesPerson:
            form.add_error("reason", _(_NAMES_PERSON))
        except ContactsPurged:  # in another window, meanwhile
            return redirect("contact", code)
        else:
            messages.success(request, _("Saved."))
            return redirect("subject", code)
    actions = [_export_action(code)]
    if row is not None and may(request.user, "contacts.purge", subject.site_id):
        actions.append({"label": _("Delete for good"), "url": reverse("contact_purge", args=[code]), "icon": "trash"})
    title = _("Contact of %(code)s") % {"code": code}
    note = _("Encrypted, seen at this study site only. That you opened it is recorded.")
    return _page(request, title, form, reverse("subject", args=[code]), _("Save"), note, actions)


def _export_action(code: str) -> dict[str, str]:
    return {"label": _("All data of the person"), "url": reverse("personal_data", args=[code]), "icon": "download"}


@requires("contacts.purge")
@sensitive_post_parameters("password", "code")
def contact_purge(request: SignedInRequest, code: str) -> HttpResponse:
    """Delete name and contact details for good, after reason and password; the fact stays."""
    subject = get_record(request.user, Subject, "contacts.purge", code=code)
    if purge_of(subject):
        return redirect("contact", code)
    grounds = purge_grounds(subject)
    form = PurgeForm(request.POST or None, user=request.user, has_grounds=bool(grounds))
    if request.method == "POST" and form.confirmed(request, "contacts purge", subject.pk):
        try:
            do_purge_contact(
                request.user,
                subject,
                form.cleaned_data["reason"],
                without_grounds=form.cleaned_data.get("without_grounds", False),
            )
        except NamesPerson:
            form.add_error("reason", _(_NAMES_PERSON))
        except NoBasis:  # taken back in another window, meanwhile
            form.add_error(None, _("The withdrawal or end of study was taken back meanwhile. Nothing was deleted."))
        except NothingToPurge:
            form.add_error(None, _("No contact details are stored. Nothing was deleted."))
        except ContactsPurged:
            return redirect("contact", code)
        else:
            messages.success(request, _("Name and contact details of %(code)s are deleted.") % {"code": code})
            return redirect("contact", code)
    words = {"withdrawal": _("Withdrawal of %(day)s"), "end of study": _("End of study on %(day)s")}
    note = _(
        "Name, telephone, e-mail and hospital number are deleted and cannot be brought back, not by an administrator "
        "either. The forms stay as they are. Write them down first where the law asks you to keep them."
    )
    found = " · ".join(words[what] % {"day": day.isoformat()} for what, day in grounds)
    if found:
        note += " " + _("On record: %(grounds)s.") % {"grounds": found}
    title = _("Delete the contact of %(code)s") % {"code": code}
    return _page(request, title, form, reverse("contact", args=[code]), _("Delete for good"), note)


def _page(
    request: SignedInRequest,
    title: str,
    form: Any,
    back: str,
    button: str,
    note: str = "",
    actions: Sequence[dict[str, str]] = (),
) -> HttpResponse:
    context = {"title": title, "form": form, "back_url": back, "button": button, "note": note, "actions": actions}
    return render(request, "access/form.html", context, status=422 if form.errors else 200)


# --- eligibility ---


@requires("crf.view")
@in_site_zone
def eligibility(request: SignedInRequest, subject: Subject) -> HttpResponse:
    """Every criterion with its rule, inputs and proposal; the investigator answers and confirms."""
    found = assess(subject)
    may_answer = may(request.user, SCREENING.enter, subject.site_id)
    if request.method != "POST":
        readonly = not may_answer or TrialState.current().state != TrialState.State.OPEN
        draft = None if readonly else drafts.find(request.user, subject, SCREENING, ONCE_KEY)
        if draft is not None:
            return _restored(request, subject, found, draft)
        return _eligibility_page(request, subject, found, _answers_form(found), None, readonly=readonly)
    if not may_answer:
        raise PermissionDenied
    return _take(request, subject, found) if "take" in request.POST else _answer(request, subject, found)


def _restored(request: SignedInRequest, subject: Subject, found: Assessment, draft: Draft) -> HttpResponse:
    """The page with the person's draft, but for answers to criteria whose data changed since they were typed."""
    posted = drafts.restored_data(draft, SCREENING, subject, found.fresh_record(), "")
    for finding in found.findings:
        code = finding.code
        if posted.get(f"seen_{code}") != seen_of(code, found.facts):
            posted[f"answer_{code}"] = posted[f"reason_{code}"] = ""
    answers = _answers_form(found, posted)
    form = drafts.unjudged(_screening_form(subject, found, answers, posted, confirmed=False))
    drafts.unjudged_part(answers)
    reason = posted.get("form_reason", "")
    return _eligibility_page(request, subject, found, answers, form, draft=draft, reason=reason)


def _take(request: SignedInRequest, subject: Subject, found: Assessment) -> HttpResponse:
    """Fill in the program's proposals where no answer is given yet, from what is on the screen; nothing is saved."""
    posted = request.POST.copy()
    form = _screening_form(subject, found, _answers_form(found, posted), posted, confirmed=False)
    form.is_valid()  # brings what is typed into the instance
    found = assess(subject, cast(Eligibility, form.instance))
    for finding in found.findings:
        if finding.needs_confirmation and not posted.get(f"answer_{finding.code}"):
            posted[f"answer_{finding.code}"] = _proposal(finding)
    messages.info(request, _("Filled in as proposed, not saved yet: look at each answer, then save or confirm."))
    return _eligibility_page(request, subject, found, _answers_form(found, posted), form)


def _answer(request: SignedInRequest, subject: Subject, found: Assessment) -> HttpResponse:
    """Save what was posted, with `confirm` also confirm. Answers are kept when the confirmation is refused."""
    posted: QueryDict = request.POST
    confirm = "confirm" in posted
    stranger = opened_by_another(request)
    stored = str(found.record.row_version if found.record else 0)
    if not stranger and found.record is not None and posted.get("seen_version", "") != stored:
        answers = _answers_form(found, posted)
        typed_form = _screening_form(subject, found, answers, posted, confirmed=False)
        differing = eligibility_conflict.differences(found, answers.codes, typed_form, posted)
        if differing and not eligibility_conflict.settled(posted, stored, differing):
            return eligibility_conflict.page(request, subject, stored, differing)
        if not any(each.chosen == MINE for each in differing):
            drafts.discard(request.user, subject, SCREENING, ONCE_KEY)
            messages.success(request, _("The stored answers stand; nothing was changed."))
            return redirect("eligibility", subject.code)
        posted, confirm = eligibility_conflict.merged(found, posted, differing), False
    answers = _answers_form(found, posted)
    form = _screening_form(subject, found, answers, posted, confirmed=confirm)
    if stranger:
        form.add_error(None, stranger)
    if not all([answers.is_valid(), form.is_valid()]):
        return _eligibility_page(request, subject, found, answers, form, status=422)
    typed = posted.get("form_reason", "").replace("\0", "").strip()[:500]
    if not typed and _changes_saved(form, found):
        return _eligibility_page(request, subject, found, answers, form, status=422, reason_missing=True)
    refused = False
    try:
        try:
            _save(request, form, typed or ("eligibility confirmed" if confirm else "answers completed"))
        except NotEligible:
            refused = True
            form = _screening_form(subject, found, answers, posted, confirmed=False)
            form.is_valid()  # the same answers without the confirmation
            _save(request, form, typed or "answers completed")
        drafts.discard(request.user, subject, SCREENING, ONCE_KEY)
    except save.Conflict:  # somebody saved between the look above and the lock
        return _answer(request, subject, assess(subject))
    except trial.EntryClosed as refusal:
        form.add_error(None, save.describe_refusal(refusal))
        return _eligibility_page(request, subject, found, answers, form, status=422)
    if refused:
        messages.warning(
            request, _("Your answers are saved. Not confirmed: something still stands in the way, see below.")
        )
    elif confirm:
        messages.success(request, _("Eligibility confirmed."))
        return redirect("subject", subject.code)
    else:
        messages.success(request, _("Saved. Eligibility is not confirmed yet."))
    return redirect("eligibility", subject.code)


def _save(request: SignedInRequest, form: CrfForm, reason: str) -> None:
    save.save_record(form, request.user, reason, request_id=request.request_id)


def _changes_saved(form: CrfForm, found: Assessment) -> bool:
    """Whether an answer saved before changes, which needs a reason; to complete the form or re-answer does not."""
    if found.record is None:
        return False
    if found.record.confirmed and not form.cleaned_data["confirmed"]:
        return True
    before = [form.initial.get(name) for name in form.changed_data if name != "confirmed"]
    for row in form.formsets["answers"].kept_forms():
        if row.instance.criterion not in found.stale:
            before += [row.initial.get(name) for name in row.changed_data if name in ("answer", "reason")]
    return any(value not in (None, "") for value in before)


def _proposal(finding: Finding) -> str:
    return CriterionAnswer.YES.value if finding.holds else CriterionAnswer.NO.value


def _answers_form(found: Assessment, data: Any = None) -> AnswersForm:
    asked = [finding for finding in found.findings if asks_answer(finding)]
    initial: dict[str, str] = {}
    for finding in asked:
        row = found.answers.get(finding.code)
        if row is not None and finding.code not in found.stale:
            initial |= {f"answer_{finding.code}": row.answer, f"reason_{finding.code}": row.reason}
    judged = [finding.code for finding in asked if finding.verdict is Verdict.NEEDS_JUDGEMENT]
    return AnswersForm([finding.code for finding in asked], judged, data, initial)


def _screening_form(
    subject: Subject, found: Assessment, answers: AnswersForm, posted: Mapping[str, Any], *, confirmed: bool
) -> CrfForm:
    """The form of P.SCREEN with a row per criterion, from the page's own fields."""
    rows: list[Mapping[str, Any]] = []
    for finding in found.findings:
        stored = found.answers.get(finding.code)
        row: dict[str, Any] = {"id": stored.pk if stored else None, "criterion": finding.code}
        if finding.code in answers.codes:
            row["answer"] = posted.get(f"answer_{finding.code}", "")
            row["reason"] = posted.get(f"reason_{finding.code}", "")
            # What the page showed, not what is true by now: data that changed meanwhile make the answer void.
            seen = posted.get(f"seen_{finding.code}", "")
            row["seen"] = seen if row["answer"] and _DIGEST.fullmatch(seen) else ""
        elif stored:
            row |= {"answer": stored.answer, "reason": stored.reason, "seen": stored.seen}
        rows.append(row)
    values = {item.name: posted.get(item.name, "") for item in SCREENING.items() if item.name != "confirmed"}
    data = form_data(SCREENING, values, {"answers": rows})
    data["seen_version"] = posted.get("seen_version", "0")
    if confirmed:
        data["confirmed"] = "True"
    return crf_form(SCREENING, subject, record=found.fresh_record(), data=data)


def _eligibility_page(
    request: SignedInRequest,
    subject: Subject,
    found: Assessment,
    answers: AnswersForm,
    form: CrfForm | None,
    *,
    readonly: bool = False,
    status: int = 200,
    draft: Draft | None = None,
    reason: str = "",
    reason_missing: bool = False,
) -> HttpResponse:
    record = found.fresh_record()
    shown = form or crf_form(SCREENING, subject, record=record)
    context = form_context(request, SCREENING, subject, "form", record, shown, readonly=readonly, replies=False)
    crf = context["crf"]
    judged = [field for field in crf["sections"][0]["fields"] if field["item"].name != "confirmed"]
    crf["sections"] = [
        {"id": "judged", "title": _("Investigator's answers"), "help": "", "fields": judged},
        *(
            {
                "id": each.value,
                "title": title,
                "help": "",
                "fields": [],
                "criteria": [
                    _criterion(f, found, answers, subject, readonly=readonly) for f in found.findings if f.type is each
                ],
            }
            for each, title in (
                (CriterionType.INCLUSION, _("Inclusion criteria: all must be true")),
                (CriterionType.EXCLUSION, _("Exclusion criteria: none may be true")),
            )
        ),
    ]
    crf["rows"] = []
    if record is not None:
        url = answers_url(SCREENING, subject.code, ONCE_KEY)
        crf["actions"].append({"label": _("Verification and signature"), "url": url, "icon": "sign"})
    crf["has_next"] = False
    crf["change"], crf["reason_optional"] = record is not None, True
    crf["seen"] = [(f"seen_{code}", seen_of(code, found.facts)) for code in answers.codes]
    crf["reason_value"] = request.POST.get("form_reason", reason)
    crf["reason_error"] = _("Say why the saved answers change.") if reason_missing else ""
    crf["messages"] = [*crf["messages"], *_state(subject, found), *_blockers(found)]
    crf["failure_url"] = reverse("crf", args=[subject.code, "P.FAIL", "form"])
    crf["answer_errors"] = [(field.auto_id, field.label, error) for field in answers for error in field.errors]
    if not readonly:
        add_draft(context, request, SCREENING, subject, ONCE_KEY, record, draft)
    return render(request, "patients/eligibility.html", context, status=status)


def _state(subject: Subject, found: Assessment) -> list[dict[str, Any]]:
    """What the record says of itself: who confirmed, and that screening has ended."""
    lines = []
    if failed_on := milestones_of(subject).not_eligible_on:
        text = _("A screen failure is recorded for %(date)s: eligibility cannot be confirmed.")
        lines.append({"level": "block", "text": text % {"date": failed_on.isoformat()}})
    record = found.record
    if record and record.confirmed and record.confirmed_at:
        words = {"who": str(record.confirmed_by), "when": _time(record.confirmed_at, subject)}
        if found.eligible:
            lines.append({"level": "info", "text": _("Confirmed by %(who)s, %(when)s.") % words})
        else:
            text = _(
                "Confirmed by %(who)s, %(when)s, but the data have changed since: the confirmation no longer counts."
            )
            lines.append({"level": "block", "text": text % words})
    return lines


def _time(moment: datetime, subject: Subject) -> str:
    return f"{moment.astimezone(subject.site.zone):%Y-%m-%d %H:%M %Z}"


def _blockers(found: Assessment) -> list[dict[str, Any]]:
    """One line per kind of obstacle, with a link to each criterion it concerns."""
    lines: list[dict[str, Any]] = []
    for kind, text in BLOCKER_TEXTS.items():
        codes = [blocker.code for blocker in found.blockers if blocker.kind is kind]
        fresh, stale = [c for c in codes if c not in found.stale], [c for c in codes if c in found.stale]
        level = "block" if kind is BlockerKind.FAILED else "explain"
        for those, words in (
            (fresh, _(text)),
            (stale, _("%(text)s The data changed after the answer was given: answer again.") % {"text": _(text)}),
        ):
            if those:
                links = [(code, f"#criterion-{code}") for code in those]
                lines.append({"level": level, "text": words, "links": links})
    if not lines:
        lines.append({"level": "info", "text": _("Every criterion is settled in favour of taking part.")})
    return lines


def _criterion(
    finding: Finding, found: Assessment, answers: AnswersForm, subject: Subject, *, readonly: bool
) -> dict[str, Any]:
    criterion = CURRENT.criterion(finding.code)
    row = found.answers.get(finding.code)
    outcome = {True: "ok", False: "bad", None: "open"}[finding.passes]
    kinds = {CriterionKind.DERIVED: "A", CriterionKind.PROPOSED: "S", CriterionKind.JUDGED: "J"}
    proposal = ""
    if finding.holds is not None:
        proposal = str(CriterionAnswer(_proposal(finding)).label)
    elif finding.verdict is Verdict.NEEDS_JUDGEMENT:
        proposal = _("Needs the investigator's judgement")
    else:
        proposal = _("Data are missing")
    asked, stale = finding.code in answers.codes, finding.code in found.stale
    signed = ""
    if asked and row is not None and row.answered_by and row.answered_at:
        signed = f"{row.answered_by}, {_time(row.answered_at, subject)}"
        if row.reason and (readonly or stale):
            signed = f"“{row.reason}” {signed}"
        if stale:
            words = {"answer": row.get_answer_display(), "signed": signed}
            signed = _("Void, the data changed since: %(answer)s, %(signed)s") % words
    remarks = [_(text) for text in finding.flags]
    if finding.verdict is Verdict.NEEDS_JUDGEMENT:
        remarks.insert(0, _(finding.reason))
    return {
        "code": finding.code,
        "text": _(criterion.text),
        "rule": _(criterion.rule_text),
        "inputs": [
            {"label": _(label), "value": _input_text(name, value, finding), "url": _input_url(name, subject, readonly)}
            for name, (label, value) in zip(criterion.facts, finding.inputs, strict=True)
        ],
        "kind": kinds[finding.kind],
        "outcome": outcome,
        "proposal": ". ".join([proposal, " ".join(remarks)]) if remarks else proposal,
        "field": answers[f"answer_{finding.code}"] if asked else None,
        "note": answers[f"reason_{finding.code}"] if finding.code in answers.judged else None,
        "answer": row.get_answer_display() if row and asked and not stale else "",
        "confirmed": signed,
    }


def _input_text(name: str, value: Any, finding: Finding) -> str | None:
    if value is None:
        return None if finding.verdict is Verdict.UNKNOWN else _("not needed")
    if isinstance(value, tuple):
        return ", ".join(value)
    spec_code, item = FACT_ITEMS.get(name, ("", ""))
    if spec_code:
        spec = get_spec(spec_code)
        if item in {each.name for each in spec.items()} and not hasattr(value, "isoformat"):
            words = field_text(spec.model._meta.get_field(item), value)  # type: ignore[arg-type]
            return f"{words} {spec.item(item).unit}".rstrip()
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _input_url(name: str, subject: Subject, readonly: bool) -> str:
    """Where the input is recorded: a form, a question of this page, or the list of consents on the subject's page."""
    spec_code, item = FACT_ITEMS.get(name, ("", ""))
    if not spec_code:
        return ""
    if spec_code == SCREENING.code:
        return f"#{'item-' if readonly else 'id_'}{item}"
    if spec_code == CONSENT.code:
        return reverse("subject", args=[subject.code])
    return reverse("crf", args=[subject.code, spec_code, "form"])
