"""Pages of the trial's state and of the data versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from adverse_events.models import MissedDeadline
from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, masked, may, requires
from spinetrial.access.models import TrialState, User
from spinetrial.analysis.forms import LockForm, ReasonForm, UnlockForm
from spinetrial.analysis.lock import do_lock_trial, do_unlock_trial, versions
from spinetrial.analysis.models import DamagedVersion, DataVersion
from spinetrial.analysis.readiness import BLOCKER_LABELS, Blocker, all_overviews, readiness
from spinetrial.analysis.reconciliation import reconcile
from spinetrial.analysis.rollup import roll_up_table
from spinetrial.audit.clock import now
from spinetrial.protocol import CURRENT
from spinetrial.review import trial as trial_state

#: Open points of one kind on the page.
MOST_SHOWN = 200


@requires("trial.view")
@require_safe
def trial(request: SignedInRequest) -> HttpResponse:
    """State of the trial, the step that this person may take next, and what is still open."""
    return _page(request)


def _page(request: SignedInRequest, forms: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    state = TrialState.current()
    rows = all_overviews(request.user)
    blockers = readiness(request.user, rows)
    sites = sorted({row.subject.site.code for row in rows})
    chosen = request.GET.get("site", "")
    shown = [each for each in blockers if each.site == chosen] if chosen in sites else blockers
    may_freeze, may_lock = may(request.user, "trial.freeze"), may(request.user, "trial.lock")
    changed_it = state.changed_by_id == request.user.pk
    context = {
        "state": state,
        "groups": grouped(shown),
        "shown_points": len(shown),
        "sites": sites,
        "chosen_site": chosen if chosen in sites else "",
        "roll_up": roll_up_table(rows),
        "open_points": len(blockers),
        "may_freeze": may_freeze and state.state == TrialState.State.OPEN,
        "may_unfreeze": may_freeze and state.state == TrialState.State.FROZEN,
        "may_lock": may_lock and state.state == TrialState.State.FROZEN and not changed_it,
        "may_unlock": may_freeze and state.state == TrialState.State.LOCKED and not changed_it,
        "same_person": (may_lock and state.state == TrialState.State.FROZEN and changed_it)
        or (may_freeze and state.state == TrialState.State.LOCKED and changed_it),
        "reason_form": ReasonForm(),
        "unlock_form": UnlockForm(user=request.user),
        "lock_form": LockForm(user=request.user, open_points=len(blockers)),
        "latest": versions(request.user).first(),
        **(forms or {}),
    }
    return render(request, "analysis/trial.html", context, status=status)


def grouped(blockers: Iterable[Blocker]) -> list[dict[str, Any]]:
    """Open points by kind, as they come sorted. A long list is cut on the page; the CSV holds all of it."""
    found = []
    for kind, members in groupby(blockers, key=lambda each: each.kind):
        points = list(members)
        found.append({"label": BLOCKER_LABELS[kind], "count": len(points), "blockers": points[:MOST_SHOWN]})
    return found


def _incomplete(request: SignedInRequest, needed: TrialState.State, forms: dict[str, Any]) -> HttpResponse:
    """The page again with what is missing; a step that the page no longer offers is refused in words."""
    if TrialState.current().state != needed:
        messages.error(request, _refusal(trial_state.WrongState()))
        return redirect("trial")
    return _page(request, forms, status=422)


def _step(
    request: SignedInRequest, step: Callable[[User, str], None], needed: TrialState.State, done: str
) -> HttpResponse:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _incomplete(request, needed, {"reason_form": form})
    try:
        step(request.user, form.cleaned_data["reason"])
    except (trial_state.WrongState, trial_state.SamePerson) as error:
        messages.error(request, _refusal(error))
    else:
        messages.success(request, done)
    return redirect("trial")


def _refusal(error: Exception) -> str:
    if isinstance(error, trial_state.SamePerson):
        return _("Freezing and locking need two different people. Nothing was changed.")
    return _("The state of the trial has changed meanwhile. Nothing was changed; look at the state below.")


@requires("trial.freeze")
@require_POST
def trial_freeze(request: SignedInRequest) -> HttpResponse:
    """Open -> frozen: forms are closed, queries can still be answered."""
    return _step(
        request, trial_state.do_freeze, TrialState.State.OPEN, _("The trial is frozen. Forms are read only now.")
    )


@requires("trial.freeze")
@require_POST
def trial_unfreeze(request: SignedInRequest) -> HttpResponse:
    """Frozen -> open."""
    return _step(request, trial_state.do_unfreeze, TrialState.State.FROZEN, _("The trial is open again."))


@requires("trial.freeze")
@require_POST
@sensitive_post_parameters("password", "code")
def trial_unlock(request: SignedInRequest) -> HttpResponse:
    """Locked -> frozen, after the person proved again who they are; the data version that the lock made stays."""
    form = UnlockForm(request.POST, user=request.user)
    if TrialState.current().state != TrialState.State.LOCKED or not form.confirmed(request, "unlock"):
        return _incomplete(request, TrialState.State.LOCKED, {"unlock_form": form})
    try:
        do_unlock_trial(request.user, form.cleaned_data["reason"])
    except (trial_state.WrongState, trial_state.SamePerson) as error:
        messages.error(request, _refusal(error))
    else:
        text = _("The lock is lifted and the signers are told. The data version stays; another lock makes a new one.")
        messages.success(request, text)
    return redirect("trial")


@requires("trial.lock")
@require_POST
@sensitive_post_parameters("password", "code")
def trial_lock(request: SignedInRequest) -> HttpResponse:
    """Frozen -> locked with a new data version, after the person proved again who they are."""
    form = LockForm(request.POST, user=request.user, open_points=len(readiness(request.user)))
    if not form.confirmed(request, "lock"):
        return _incomplete(request, TrialState.State.FROZEN, {"lock_form": form})
    try:
        version = do_lock_trial(
            request.user,
            form.cleaned_data["reason"],
            request_id=request.request_id,
        )
    except (trial_state.WrongState, trial_state.SamePerson) as error:
        messages.error(request, _refusal(error))
        return redirect("trial")
    messages.success(request, _("The trial is locked. Data version %(number)d was made.") % {"number": version.number})
    return redirect("data_version", version.number)


@requires("trial.view")
@require_safe
def data_versions(request: SignedInRequest) -> HttpResponse:
    """Every data version with its hash, newest first."""
    return render(request, "analysis/data_versions.html", {"versions": versions(request.user)})


@requires("trial.view")
@require_safe
def data_version(request: SignedInRequest, number: int) -> HttpResponse:
    """One data version: what it is, whether its data are intact, and what can be made of it."""
    version = get_version(request.user, number)
    try:
        tables = [(table.name, table.title, len(table.rows)) for table in version.snapshot().tables]
        intact = True
    except DamagedVersion:
        tables, intact = [], False
    context = {
        "version": version,
        "tables": tables,
        "intact": intact,
        "may_report": may(request.user, "report.view"),
        "may_export": may(request.user, "export.view"),
    }
    return render(request, "analysis/data_version.html", context)


def get_version(actor: User, number: int, action: str = "trial.view") -> DataVersion:
    """The data version of that number. Raises Http404, and PermissionDenied for anyone who is masked."""
    if masked(actor):
        raise PermissionDenied
    return get_record(actor, DataVersion, action, number=number)


@requires("safety.view")
@require_safe
def sae_reconciliation(request: SignedInRequest) -> HttpResponse:
    """Serious events against their reports, deaths against fatal events: what does not agree stands first."""
    rows = list_records(request.user, Subject, "safety.view").select_related("site")
    site = chosen_site(request, "safety.view")
    if site is not None:
        rows = rows.filter(site=site)
    lines = reconcile(request.user, {subject.pk: subject for subject in rows}, now())
    lines.sort(key=lambda line: not line.points)
    misses = list_records(request.user, MissedDeadline, "safety.view").filter(subject__in=rows)
    context = {
        "lines": lines,
        "open": sum(1 for line in lines if line.points),
        "misses": [
            {
                "miss": miss,
                "code": miss.subject.code,
                "zone": miss.subject.site.timezone,
                "deadline": _(CURRENT.clock(miss.clock).label),
            }
            for miss in misses.select_related("subject__site", "by").order_by("-due_at", "-id")
        ],
    }
    return render(request, "analysis/reconciliation.html", context)
