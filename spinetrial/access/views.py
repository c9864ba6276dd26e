"""First page, site switch, and the administration of accounts, memberships and sites."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.i18n import set_language as django_set_language

from spinetrial.access import accounts, review, second_factor
from spinetrial.access.context import PLACES
from spinetrial.access.forms import (
    EndMembershipForm,
    MembershipForm,
    NewUserForm,
    ReasonForm,
    SiteForm,
    TrainingForm,
    UserForm,
)
from spinetrial.access.gate import SignedInRequest, may, public, requires
from spinetrial.access.models import Membership, StudySite, User
from spinetrial.audit import clock

set_language = public(django_set_language)


@public
def health(request: HttpRequest) -> HttpResponse:
    """For the container's health check: the application answers and reaches its database."""
    StudySite.objects.exists()
    return HttpResponse("ok", content_type="text/plain")


@requires("account")
def home(request: SignedInRequest) -> HttpResponse:
    """The first place of one's role; a person without any membership is told so."""
    for place in PLACES:
        if may(request.user, place.action):
            return redirect(place.url_name)
    return render(request, "access/no_membership.html", status=403)


@requires("account")
@require_POST
def choose_site(request: SignedInRequest) -> HttpResponse:
    """Remember the site picked in the top bar; lists check the right to it each time."""
    request.session["site"] = request.POST.get("site", "")[:8].replace("\0", "")  # no text of PostgreSQL holds NUL
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    return HttpResponseRedirect(target)  # `redirect` would look for a view of that name first


# --- administration ---


def _form_page(
    request: HttpRequest, title: str, form: Any, back: str, *, button: str = "", note: str = ""
) -> HttpResponse:
    status = 422 if form.is_bound and form.errors else 200
    context = {"title": title, "form": form, "back_url": back, "button": button or _("Save"), "note": note}
    return render(request, "access/form.html", context, status=status)


@requires("admin.accounts")
def account_list(request: SignedInRequest) -> HttpResponse:
    """Everyone with an account and what they may do today, and the study sites."""
    memberships: dict[int, list[Membership]] = {}
    for membership in Membership.objects.select_related("site").order_by("role", "starts"):
        memberships.setdefault(membership.user_id, []).append(membership)
    today = clock.now().date()
    people = [
        {"user": user, "memberships": [m for m in memberships.get(user.pk, []) if m.in_force(today)]}
        for user in User.objects.all()
    ]
    context = {"people": people, "sites": StudySite.objects.all(), "review_due": review.due()}
    return render(request, "access/accounts.html", context)


@requires("admin.accounts")
def account_new(request: SignedInRequest) -> HttpResponse:
    form = NewUserForm(request.POST or None)
    if form.is_valid():
        password = accounts.new_password()
        user = accounts.do_create_user(request.user, form.save(commit=False), password)
        request.session["first_password"] = [user.pk, password]
        return redirect("account", pk=user.pk)
    return _form_page(request, _("New account"), form, reverse("accounts"))


@requires("admin.accounts")
def account(request: SignedInRequest, pk: int) -> HttpResponse:
    """One account: particulars, memberships of all time, first password shown once after it was made."""
    user = get_object_or_404(User, pk=pk)
    shown = request.session.pop("first_password", None)
    context = {
        "person": user,
        "memberships": Membership.objects.filter(user=user).select_related("site", "granted_by").order_by("-starts"),
        "first_password": shown[1] if shown and shown[0] == pk else "",
        "own": user.pk == request.user.pk,
        "enrolled": second_factor.enrolled(user),
        "passkeys": len(second_factor.passkeys(user)),
        "required": second_factor.required(user),
    }
    return render(request, "access/account.html", context)


@requires("admin.accounts")
def account_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    form = UserForm(request.POST or None, instance=user)
    if form.is_valid():
        if user.pk == request.user.pk and not user.is_active:
            form.add_error("is_active", _("You cannot close your own account."))
        else:
            accounts.do_change_user(request.user, form.save(commit=False), form.cleaned_data["reason"])
            messages.success(request, _("Saved."))
            return redirect("account", pk=pk)
    return _form_page(request, str(user), form, reverse("account", args=[pk]))


def _somebody_else(request: SignedInRequest, pk: int) -> User:
    """The account, unless it is the administrator's own: that is changed with the own password and code."""
    if pk == request.user.pk:
        raise PermissionDenied
    return get_object_or_404(User, pk=pk)


@requires("admin.accounts")
def account_unlock(request: SignedInRequest, pk: int) -> HttpResponse:
    """Let an account that was locked after failed attempts try again."""
    user = _somebody_else(request, pk)
    if user.locked_at is None:
        messages.info(request, _("This account is not locked."))
        return redirect("account", pk=pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        accounts.do_unlock(request.user, user, form.cleaned_data["reason"])
        messages.success(request, _("Unlocked."))
        return redirect("account", pk=pk)
    note = _("Speak with the person first: were the failed attempts their own? If not, give a new password too.")
    title = _("Unlock %(name)s") % {"name": user}
    return _form_page(request, title, form, reverse("account", args=[pk]), button=_("Unlock"), note=note)


@requires("admin.accounts")
def account_second_factor(request: SignedInRequest, pk: int) -> HttpResponse:
    """Take away the second factor of somebody who lost it."""
    user = _somebody_else(request, pk)
    if not second_factor.enrolled(user):
        messages.info(request, _("This account has no second factor."))
        return redirect("account", pk=pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        accounts.do_reset_second_factor(request.user, user, form.cleaned_data["reason"])
        messages.success(request, _("The second factor was removed; the person is told by e-mail."))
        return redirect("account", pk=pk)
    note = _(
        "Authenticator app, recovery codes and passkeys of this account stop working. Make sure that it is the person "
        "who asks. Where the role needs a second factor, a new one is set up at the next log-in."
    )
    title = _("Reset the second factor of %(name)s") % {"name": user}
    return _form_page(request, title, form, reverse("account", args=[pk]), button=_("Reset"), note=note)


@requires("admin.accounts")
def account_password(request: SignedInRequest, pk: int) -> HttpResponse:
    user = _somebody_else(request, pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        password = accounts.do_reset_password(request.user, user, form.cleaned_data["reason"])
        request.session["first_password"] = [user.pk, password]
        return redirect("account", pk=pk)
    note = _("A new first password is made and shown once. The old one stops working at once.")
    return _form_page(
        request,
        _("New password for %(name)s") % {"name": user},
        form,
        reverse("account", args=[pk]),
        note=note,
    )


@requires("admin.accounts")
def membership_new(request: SignedInRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    form = MembershipForm(
        request.POST or None,
        instance=Membership(user=user, granted_by=request.user),
        administrator=request.user,
    )
    if form.is_valid():
        accounts.do_grant(request.user, form.save(commit=False))
        messages.success(request, _("Saved."))
        return redirect("account", pk=pk)
    return _form_page(request, _("Role for %(name)s") % {"name": user}, form, reverse("account", args=[pk]))


def _somebody_elses_membership(request: SignedInRequest, pk: int) -> Membership:
    membership = get_object_or_404(Membership.objects.select_related("user", "site"), pk=pk)
    if membership.user_id == request.user.pk:
        raise PermissionDenied
    return membership


@requires("admin.accounts")
def membership_training(request: SignedInRequest, pk: int) -> HttpResponse:
    """Record or change the days of training and delegation."""
    membership = _somebody_elses_membership(request, pk)
    form = TrainingForm(request.POST or None, instance=membership)
    back = reverse("account", args=[membership.user_id])
    if form.is_valid():
        accounts.do_record_training(request.user, form.save(commit=False), form.cleaned_data["reason"])
        messages.success(request, _("Saved."))
        return redirect(back)
    note = _("Until both are recorded, this role reads but does not enter data.")
    title = _("Training and delegation: %(membership)s") % {"membership": membership}
    return _form_page(request, title, form, back, note=note)


@requires("admin.accounts")
def membership_end(request: SignedInRequest, pk: int) -> HttpResponse:
    membership = _somebody_elses_membership(request, pk)
    form = EndMembershipForm(request.POST or None, membership=membership)
    back = reverse("account", args=[membership.user_id])
    if form.is_valid():
        accounts.do_end_membership(request.user, membership, form.cleaned_data["last_day"], form.cleaned_data["reason"])
        messages.success(request, _("Saved."))
        return redirect(back)
    return _form_page(request, _("End of role: %(membership)s") % {"membership": membership}, form, back)


@requires("admin.accounts")
def site_edit(request: SignedInRequest, code: str = "") -> HttpResponse:
    site = StudySite.objects.filter(code=code).first() if code else StudySite()
    if site is None:
        raise Http404
    form = SiteForm(request.POST or None, instance=site)
    if form.is_valid():
        accounts.do_save_site(request.user, form.save(commit=False), form.cleaned_data.get("reason", "new site"))
        messages.success(request, _("Saved."))
        return redirect("accounts")
    return _form_page(request, str(site) if code else _("New study site"), form, reverse("accounts"))
