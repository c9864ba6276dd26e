"""The one gate between people and rows.

A view names its action with `@requires`; a row reaches it only through `get_record`, `list_records` or, once a
subject was obtained that way, `of_subject`. Another site's row is "not found"; an action without right is "forbidden".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import models
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase

from spinetrial.access.models import StudySite, TrialState, User
from spinetrial.access.policy import NEEDS_TRAINING, UNMASKED_BY_LOCK, Role, allowed_roles
from spinetrial.audit.acting import SystemActor

M = TypeVar("M", bound=models.Model)
View = TypeVar("View", bound=Callable[..., HttpResponseBase])
AnyActor = User | SystemActor


class SignedInRequest(HttpRequest):
    """A request as every view behind the gate gets it: with an account, and its number on the trail."""

    user: User
    request_id: str


#: For jobs and rules that show rows to nobody.
SYSTEM = SystemActor("rules")


def requires(action: str) -> Callable[[View], View]:
    """Declare the action of a view; the middleware checks that the person holds it somewhere."""
    allowed_roles(action)

    def mark(view: View) -> View:
        view.action = action  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Declare a view that needs no account: log-in, language, health."""
    view.action = None  # type: ignore[attr-defined]
    return view


def _unmasked_by_lock(actor: User) -> bool:
    if not hasattr(actor, "_unmasked_by_lock"):
        actor._unmasked_by_lock = TrialState.current().unmasked_at is not None  # type: ignore[attr-defined]
    return bool(actor._unmasked_by_lock)  # type: ignore[attr-defined]


def sites_for(actor: AnyActor, action: str) -> set[int] | None:
    """Ids of the sites where `actor` may do `action`; None means every site."""
    roles = allowed_roles(action)
    if isinstance(actor, SystemActor):
        return None
    site_ids: set[int] = set()
    for membership in actor.current_memberships:
        granted = membership.role in roles or (
            action in UNMASKED_BY_LOCK and membership.role == Role.STATISTICIAN and _unmasked_by_lock(actor)
        )
        if granted:
            if membership.site_id is None:
                return None
            if action not in NEEDS_TRAINING or membership.may_enter:
                site_ids.add(membership.site_id)
    return site_ids


def may(actor: AnyActor, action: str, site: StudySite | int | None = None) -> bool:
    """Whether `actor` may do `action` at `site`, or anywhere when no site is given."""
    allowed = sites_for(actor, action)
    if allowed is None:
        return True
    if site is None:
        return bool(allowed)
    return (site if isinstance(site, int) else site.pk) in allowed


def masked(actor: AnyActor, site: StudySite | int | None = None) -> bool:
    """Whether the arm must be kept from `actor` (D11)."""
    return not may(actor, "arm.view", site)


def _limited(actor: AnyActor, model: type[M], action: str) -> QuerySet[M]:
    rows: QuerySet[M] = model._default_manager.all()
    # A model without a site belongs to the whole trial: rights held at a site do not reach it.
    path: str | None = getattr(model, "site_path", None)
    actions = [action]
    if getattr(model, "reveals_arm", False) and action != "lists.manage":
        actions.append("arm.view")
    for each in actions:
        allowed = sites_for(actor, each)
        if allowed is not None:
            rows = rows.filter(Q(**{f"{path}__in": allowed})) if path else rows.none()
    return rows


def list_records(actor: AnyActor, model: type[M], action: str) -> QuerySet[M]:
    """Rows of `model` at the sites where `actor` may do `action`; rows that reveal an arm only to the unmasked."""
    return _limited(actor, model, action)


def get_record(actor: AnyActor, model: type[M], action: str, **lookup: Any) -> M:
    """The row, if `actor` may do `action` on it.

    Raises PermissionDenied when the actor has the right nowhere, Http404 when the row does not exist or is another
    site's: the two are not told apart.
    """
    if not may(actor, action) or (getattr(model, "reveals_arm", False) and action != "lists.manage" and masked(actor)):
        raise PermissionDenied
    try:
        return _limited(actor, model, action).get(**lookup)
    except (ObjectDoesNotExist, ValueError, OverflowError):
        raise Http404 from None


def check_may(actor: AnyActor, action: str, site: StudySite | int | None) -> None:
    """Raise PermissionDenied unless `actor` may do `action` at `site`."""
    if not may(actor, action, site):
        raise PermissionDenied


def of_subject(subject: models.Model, model: type[M]) -> QuerySet[M]:
    """Rows of one subject that the caller already obtained through the gate.

    Rows of a model that reveals the arm are the caller's duty to withhold: ask `masked(actor)` before showing them.
    """
    return model._default_manager.filter(subject=subject)
