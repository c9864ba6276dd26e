"""The randomise page, its result and slip; the custodian's pages; the published seals."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from patients.models import Subject
from randomization import allocate, importing, lists
from randomization.arms import reveal_arm
from randomization.forms import GenerateForm, ImportForm, ReasonForm
from randomization.lists import ListRefused
from randomization.models import Allocation, RandomizationList
from spinetrial.access.gate import SignedInRequest, get_record, list_records, masked, may, requires
from spinetrial.access.limits import limited
from spinetrial.access.models import TrialState
from spinetrial.access.people import study_sites
from spinetrial.access.reauthenticate import ConfirmForm
from spinetrial.protocol import CURRENT
from spinetrial.review import trial


def _posted(request: SignedInRequest) -> QueryDict | None:
    """The data of a form; None for a page only looked at. An empty POST is a form with nothing filled in."""
    return request.POST if request.method == "POST" else None


# --- randomising ---


@requires("randomize")
@sensitive_post_parameters("password", "code")
def randomize(request: SignedInRequest, code: str) -> HttpResponse:
    """Checklist, strata shown back, password, then the arm on the page this leads to."""
    subject = get_record(request.user, Subject, "randomize", code=code)
    if allocate.allocation_of(subject) is not None:
        return redirect("allocation", subject.code)
    form = ConfirmForm(_posted(request), user=request.user)
    if form.confirmed(request, "randomisation", subject.pk):
        try:
            done = allocate.do_randomize(request.user, subject, request_id=request.request_id)
        except allocate.NotReady:
            form.add_error(None, _("Not randomised: a condition below no longer holds. Nothing was changed."))
        except (allocate.NoList, allocate.ListExhausted, trial.EntryClosed) as refusal:
            form.add_error(None, refusal_text(refusal))
        else:
            if not done.created:
                messages.info(request, _("This participant was randomised before; nothing was changed."))
            return redirect("allocation", subject.code)
    return _randomize_page(request, subject, form, status=422 if form.is_bound else 200)


def _randomize_page(request: SignedInRequest, subject: Subject, form: ConfirmForm, status: int) -> HttpResponse:
    conditions = allocate.conditions(subject)
    ready = allocate.list_ready(subject.site_id)
    context = {
        "subject": subject,
        "form": form,
        "conditions": conditions,
        "list_ready": ready,
        "may_go": ready and all(each.met for each in conditions),
        "arms": [_(arm.name) for arm in CURRENT.arms],
    }
    return render(request, "randomization/randomize.html", context, status=status)


def refusal_text(refusal: Exception) -> Any:
    """What happened and what to do."""
    if isinstance(refusal, allocate.ListExhausted):
        return _(
            "Not randomised: the randomisation list of this study site is used up. Nothing was changed. The "
            "custodian has been told; please wait until another list is sealed, then press the button again."
        )
    if isinstance(refusal, allocate.NoList):
        return _(
            "Not randomised: no randomisation list of this study site is sealed yet. Nothing was changed. "
            "Please ask the randomisation custodian."
        )
    return _("Not randomised: the trial is frozen or locked. Nothing was changed.")


def _allocated(request: SignedInRequest, code: str) -> tuple[Subject, Allocation]:
    subject = get_record(request.user, Subject, "subject.view", code=code)
    allocation = allocate.allocation_of(subject)
    if allocation is None:
        raise Http404
    return subject, allocation


@requires("subject.view")
def allocation(request: SignedInRequest, code: str) -> HttpResponse:
    """Number, time and, for who may see it, the arm of a randomised subject."""
    subject, found = _allocated(request, code)
    arm = reveal_arm(request.user, subject, "allocation page")
    with timezone.override(subject.site.zone):
        context = {"subject": subject, "allocation": found, "arm": arm, "arm_name": _(arm.name) if arm else ""}
        context["arm_target"] = _(arm.ctv_text) if arm else ""
        return render(request, "randomization/allocation.html", context)


@requires("arm.view")
def allocation_slip(request: SignedInRequest, code: str) -> HttpResponse:
    """The allocation on paper: code, number, time, arm; no name."""
    subject, found = _allocated(request, code)
    if masked(request.user, subject.site_id):
        raise PermissionDenied
    arm = reveal_arm(request.user, subject, "slip")
    if arm is None:
        raise Http404
    when = found.allocated_at.astimezone(subject.site.zone)
    slip = {
        "title": _("Randomisation"),
        "number": found.number,
        "lines": [
            {"label": _("Participant"), "value": subject.code},
            {"label": _("Study site"), "value": subject.site.name},
            {"label": _("Stratum"), "value": subject.site.code},
            {"label": _("Time"), "value": f"{when:%Y-%m-%d %H:%M %Z}"},
            {"label": _("Randomised by"), "value": str(found.allocated_by)},
            {"label": _("Protocol version"), "value": found.protocol_version},
        ],
        "main": _(arm.name),
        "footer": _(arm.ctv_text),
        "sign": [_("Date and signature, randomised by"), _("Date and signature, radiation oncologist")],
    }
    return render(request, "randomization/slip.html", {"subject": subject, "slip": slip})


# --- lists ---

REFUSALS: dict[str, Any] = {
    ListRefused.DRAFT_EXISTS: _(
        "This study site already has a draft. Seal it or discard it first. Nothing was changed."
    ),
    ListRefused.IN_USE: _(
        "This study site has a sealed list. A list of another program stands instead of it, not behind it: "
        "withdraw the sealed one first, which is possible before its first allocation. Nothing was changed."
    ),
    ListRefused.NOT_DRAFT: _("The list is no longer in that state; somebody else was faster."),
    ListRefused.USED: _("Somebody was randomised from this list; it can no longer be withdrawn."),
    ListRefused.ALTERED: _(
        "The stored list does not give its SHA-256. It was altered outside this program: discard it."
    ),
    ListRefused.NOT_OPEN_YET: _("A list is opened only after the trial was locked."),
}


def _refuse(request: SignedInRequest, refusal: Exception) -> None:
    if isinstance(refusal, ListRefused):
        messages.error(request, REFUSALS[refusal.code])
    else:
        messages.error(request, _("The trial is frozen or locked: lists cannot be changed."))


@requires("lists.manage")
def list_overview(request: SignedInRequest) -> HttpResponse:
    """Every stratum with its stock and its lists."""
    rows = list_records(request.user, RandomizationList, "lists.manage").select_related("site", "sealed_by")
    by_site: dict[int, list[RandomizationList]] = {}
    for row in rows:
        by_site.setdefault(row.site_id, []).append(row)
    strata = [{"stock": stock, "lists": by_site.get(stock.site.pk, [])} for stock in lists.stocks()]
    return render(request, "randomization/lists.html", {"strata": strata, "warn_at": max(lists.WARN_AT)})


@requires("lists.manage")
def list_generate(request: SignedInRequest) -> HttpResponse:
    """Make a draft from a fresh seed."""
    form = GenerateForm(_posted(request), initial={"site": request.GET.get("site", "")})
    if form.is_valid():
        try:
            row = lists.do_generate(request.user, form.cleaned_data["site"], form.cleaned_data["at_least"])
        except ListRefused as refusal:
            form.add_error("site", REFUSALS[refusal.code])
        except trial.EntryClosed as refusal:
            _refuse(request, refusal)
        else:
            return redirect("list_detail", row.pk)
    context = {
        "form": form,
        "block_sizes": ", ".join(str(size) for size in CURRENT.allocation.block_sizes),
        "algorithm": lists.ALGORITHM,
    }
    return render(request, "randomization/generate.html", context, status=422 if form.errors else 200)


@requires("lists.manage")
@limited("upload")
def list_import(request: SignedInRequest) -> HttpResponse:
    """Make drafts of a file of another program: one per study site in it, all or none."""
    form = ImportForm(_posted(request), request.FILES if request.method == "POST" else None)
    found: list[Any] = []
    if form.is_valid():
        sites = {site.code: site for site in study_sites()}
        upload = form.cleaned_data["file"]
        read = importing.read(upload.read(importing.LARGEST_FILE + 1), sites, form.arm_names())
        found = read.messages
        if read.good:
            try:
                with transaction.atomic():
                    for code, slots in sorted(read.strata.items()):
                        lists.do_import(request.user, sites[code], slots)
            except ListRefused as refusal:
                found = [f"{code}: {REFUSALS[refusal.code]}"]
            except trial.EntryClosed as refusal:
                _refuse(request, refusal)
                found = [_("Nothing was imported.")]
            else:
                messages.success(
                    request,
                    _("Read %(slots)s slots of %(sites)s. Check each draft, then seal it.")
                    % {"slots": sum(map(len, read.strata.values())), "sites": ", ".join(sorted(read.strata))},
                )
                return redirect("lists")
    context = {"form": form, "messages_of_file": found}
    return render(request, "randomization/import.html", context, status=422 if form.errors or found else 200)


def _get_list(request: SignedInRequest, pk: int) -> RandomizationList:
    return get_record(request.user, RandomizationList, "lists.manage", pk=pk)


@requires("lists.manage")
def list_detail(request: SignedInRequest, pk: int) -> HttpResponse:
    """One list: what it is, its seal, what can be done with it. Never its arms."""
    return _list_page(request, _get_list(request, pk))


def _list_page(
    request: SignedInRequest,
    row: RandomizationList,
    *,
    forms: dict[str, ReasonForm | ConfirmForm] | None = None,
    status: int = 200,
) -> HttpResponse:
    used = lists.used_slots(row)
    if forms and not row.draft and (used or row.withdrawn_at):  # the page no longer shows the form it came from
        messages.error(request, REFUSALS[ListRefused.NOT_DRAFT])
    context = {
        "list": row,
        "used": used,
        "remaining": row.length - used,
        "unlike_blocks": row.source == row.Source.IMPORTED
        and row.draft
        and not lists.arms_balanced_in_blocks(lists.listed_slots(row)),
        "block_sizes": ", ".join(str(size) for size in CURRENT.allocation.block_sizes),
        "password_form": ConfirmForm(user=request.user),
        "reason_form": ReasonForm(),
        "may_open": not row.draft and TrialState.current().unmasked_at is not None,
        **(forms or {}),
    }
    return render(request, "randomization/list.html", context, status=status)


@requires("lists.manage")
@require_POST
@sensitive_post_parameters("password", "code")
def list_seal(request: SignedInRequest, pk: int) -> HttpResponse:
    """Seal and publish a draft, after the password."""
    row = _get_list(request, pk)
    form = ConfirmForm(request.POST, user=request.user)
    if not form.confirmed(request, "sealing"):
        return _list_page(request, row, forms={"password_form": form}, status=422)
    try:
        lists.do_seal(request.user, row, request_id=request.request_id)
    except (ListRefused, trial.EntryClosed) as refusal:
        _refuse(request, refusal)
    else:
        messages.success(request, _("Sealed. The SHA-256 is published and was sent to everyone concerned."))
    return redirect("list_detail", pk)


@requires("lists.manage")
@require_POST
def list_discard(request: SignedInRequest, pk: int) -> HttpResponse:
    """Throw a draft away, with a reason."""
    return _with_reason(request, pk, lists.do_discard, _("The draft was discarded."), "lists")


@requires("lists.manage")
@require_POST
def list_withdraw(request: SignedInRequest, pk: int) -> HttpResponse:
    """Take a sealed list out of use before its first allocation, with a reason."""
    return _with_reason(request, pk, lists.do_withdraw, _("The list was withdrawn."), "")


def _with_reason(request: SignedInRequest, pk: int, act: Any, done: Any, goal: str) -> HttpResponse:
    row = _get_list(request, pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _list_page(request, row, forms={"reason_form": form}, status=422)
    try:
        act(request.user, row, form.cleaned_data["reason"])
    except (ListRefused, trial.EntryClosed) as refusal:
        _refuse(request, refusal)
        return redirect("lists")
    messages.success(request, done)
    return redirect(goal) if goal else redirect("list_detail", pk)


@requires("lists.manage")
@require_POST
def list_verify(request: SignedInRequest, pk: int) -> HttpResponse:
    """Make the list again and compare it with its seal."""
    found = lists.verify(_get_list(request, pk))
    if found.sound:
        messages.success(request, _("Checked: the list gives its SHA-256, and every allocation followed it."))
    else:
        messages.error(
            request, _("The list is NOT what was sealed. Stop randomising and inform the principal investigator.")
        )
    return redirect("list_detail", pk)


@requires("lists.manage")
@require_POST
def list_open(request: SignedInRequest, pk: int) -> HttpResponse:
    """The sealed text with its secret as a file, after the lock of the trial."""
    try:
        text = lists.open_list(request.user, pk)
    except ListRefused as refusal:
        _refuse(request, refusal)
        return redirect("list_detail", pk)
    row = _get_list(request, pk)
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="randomisation-list-{row}.csv"'
    return response


@requires("account")
def list_seals(request: SignedInRequest) -> HttpResponse:
    """The published hashes, for everyone with an account: nothing on this page helps to guess an arm."""
    if not request.user.current_memberships:
        raise PermissionDenied
    rows = lists.all_lists().filter(sealed_at__isnull=False).select_related("sealed_by").order_by("site__code", "part")
    context = {
        "lists": rows.only(
            "part", "source", "algorithm", "sha256", "sealed_at", "withdrawn_at", "site__code", "site__name",
            "sealed_by__full_name", "sealed_by__username",
        ),
        "manage_url": reverse("lists") if may(request.user, "lists.manage") else "",
    }  # fmt: skip
    return render(request, "randomization/seals.html", context)
