"""The access review: an administrator looks at every role in force and signs that each is still right."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import messages
from django.db.models import Max
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.access.limits import limited
from spinetrial.access.models import AccessReview, Membership, User
from spinetrial.access.policy import Role
from spinetrial.access.reauthenticate import ConfirmForm
from spinetrial.audit import clock
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry

#: A review is due so long after the last one.
EVERY = timedelta(days=90)

COLUMNS = (
    ("person", gettext_lazy("Name")),
    ("username", gettext_lazy("User name")),
    ("role", gettext_lazy("Role")),
    ("site", gettext_lazy("Study site")),
    ("starts", gettext_lazy("From")),
    ("ends", gettext_lazy("Until (last day)")),
    ("trained_on", gettext_lazy("Trained")),
    ("delegated_on", gettext_lazy("Delegated")),
    ("second_factor", gettext_lazy("Second factor")),
    ("last_login", gettext_lazy("Last log-in (UTC)")),
)


def latest() -> AccessReview | None:
    """The last signed review."""
    return AccessReview.objects.select_related("by").first()


def due() -> bool:
    """Whether the last review is older than 90 days, or there was none."""
    last = latest()
    return last is None or last.at <= clock.now() - EVERY


def in_force() -> list[dict[str, str]]:
    """Every membership in force today, by site, role and person, as text. Five queries, however many there are."""
    held = [
        membership
        for membership in Membership.objects.select_related("user", "site").order_by("site__code", "role", "user", "id")
        if membership.user.is_active and membership.in_force(membership.today)
    ]
    people = {membership.user_id for membership in held}
    logins: dict[int | None, datetime] = dict(
        AuditEntry.objects.filter(chain__in=[f"user:{pk}" for pk in people], act="login")
        .values_list("actor_id")
        .annotate(Max("at"))
    )
    enrolled = set(
        Authenticator.objects.filter(user__in=people, type=Authenticator.Type.TOTP).values_list("user_id", flat=True)
    )
    return [
        {
            "person": membership.user.full_name,
            "username": membership.user.username,
            "role": membership.role,
            "site": membership.site.code if membership.site else "",
            "starts": str(membership.starts),
            "ends": str(membership.ends or ""),
            "trained_on": str(membership.trained_on or ""),
            "delegated_on": str(membership.delegated_on or ""),
            "second_factor": "yes" if membership.user_id in enrolled else "no",
            "last_login": f"{logins[membership.user_id]:%Y-%m-%d %H:%M}" if membership.user_id in logins else "",
        }
        for membership in held
    ]


def _digest(rows: list[dict[str, str]]) -> str:
    """What was looked at, apart from the log-ins, which go on meanwhile."""
    kept = [{key: value for key, value in row.items() if key != "last_login"} for row in rows]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def do_review(actor: User, rows: list[dict[str, str]], note: str) -> AccessReview:
    """Store a signed review of `rows`."""
    with acting(actor):
        review = AccessReview(by=actor, at=clock.now(), note=note, memberships=rows)
        review.save()
    return review


class ReviewForm(ConfirmForm):
    field_order = ("note", "sure")
    note = forms.CharField(
        label=gettext_lazy("Remarks"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    sure = forms.BooleanField(label=gettext_lazy("I have looked at every role above; each is still needed and right."))
    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)


def _shown(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Rows as a table of words, for `partials/table.html`."""
    words: dict[str, Any] = {"yes": _("yes"), "no": _("no")}
    return {
        "header": [label for _name, label in COLUMNS],
        "rows": [
            [Role(row["role"]).label if name == "role" else words.get(row[name], row[name]) for name, _label in COLUMNS]
            for row in rows
        ],
    }


@requires("admin.accounts")
@sensitive_post_parameters("password", "code")
def access_review(request: SignedInRequest) -> HttpResponse:
    """All roles in force, the form to sign them, and the reviews before."""
    rows = in_force()
    form = ReviewForm(
        request.POST if request.method == "POST" else None, user=request.user, initial={"seen": _digest(rows)}
    )
    if form.is_bound and form.data.get("seen") != _digest(rows):
        messages.warning(request, _("A role was changed meanwhile. Nothing was signed; look at the list again."))
        return redirect("access_review")
    if form.confirmed(request, "access review"):
        do_review(request.user, rows, form.cleaned_data["note"])
        messages.success(request, _("The access review was signed."))
        return redirect("access_review")
    context = {
        **_shown(rows),
        "form": form,
        "due": due(),
        "reviews": AccessReview.objects.select_related("by").defer("memberships"),
    }
    return render(request, "access/access_review.html", context, status=422 if form.is_bound else 200)


@requires("admin.accounts")
@require_safe
def access_review_detail(request: SignedInRequest, pk: int) -> HttpResponse:
    """What was signed."""
    review = get_object_or_404(AccessReview.objects.select_related("by"), pk=pk)
    return render(request, "access/access_review_detail.html", {"review": review, **_shown(review.memberships)})


def _cell(text: str) -> str:
    # A spreadsheet takes a cell that begins so for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _csv(request: SignedInRequest, rows: list[dict[str, str]], name: str) -> HttpResponse:
    with acting(request.user):
        record_event("access list exported", user_id=request.user.pk, detail={"file": name})
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response.write("\ufeff")  # without it Excel takes Chinese names for something else
    writer = csv.writer(response)
    writer.writerow([name for name, _label in COLUMNS])
    writer.writerows([_cell(row[key]) for key, _label in COLUMNS] for row in rows)
    return response


@requires("admin.accounts")
@require_safe
@limited("export")
def access_now_csv(request: SignedInRequest) -> HttpResponse:
    """The roles in force now, as CSV."""
    return _csv(request, in_force(), f"access-{clock.now():%Y-%m-%d}.csv")


@requires("admin.accounts")
@require_safe
@limited("export")
def access_review_csv(request: SignedInRequest, pk: int) -> HttpResponse:
    """The roles of a signed review, as CSV."""
    review = get_object_or_404(AccessReview, pk=pk)
    return _csv(request, review.memberships, f"access-review-{review.pk}.csv")
