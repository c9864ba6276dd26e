"""Finding the people who hold a role or may do something, for messages to them; and the study sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q, QuerySet

from spinetrial.access.models import Membership, StudySite, User
from spinetrial.access.policy import NEEDS_TRAINING, Role, allowed_roles
from spinetrial.audit import clock


def holders(role: Role, sites: Iterable[StudySite]) -> dict[int, list[User]]:
    """Active accounts that hold a site role today, by site id, in the order of their user names. One query."""
    today = {site.pk: site.today() for site in sites}
    found: dict[int, list[User]] = defaultdict(list)
    memberships = Membership.objects.filter(role=role, site__in=list(today), user__is_active=True)
    for membership in memberships.select_related("user").order_by("user__username", "id"):
        people = found[membership.site_id] if membership.site_id else []
        if membership.in_force(today[membership.site_id or 0]) and membership.user not in people:
            people.append(membership.user)
    return dict(found)


def people_who_may(action: str, site: StudySite) -> list[User]:
    """Active accounts that may do `action` at `site` today, by user name. For messages, not for a check of rights."""
    held = Membership.objects.filter(
        Q(site=site) | Q(site__isnull=True), role__in=allowed_roles(action), user__is_active=True
    )
    utc_today = clock.now().date()
    found = {
        membership.user_id: membership.user
        for membership in held.select_related("user", "site").order_by("user__username", "id")
        if membership.in_force(site.today() if membership.site_id else utc_today)
        and (membership.site_id is None or action not in NEEDS_TRAINING or membership.may_enter)
    }
    return list(found.values())


def find_account(pk: object) -> User | None:
    """The active account with this number, for an address that proves by its signature whose it is."""
    return User.objects.filter(pk=pk, is_active=True).first() if isinstance(pk, int) else None


def person_named(username: str) -> User | None:
    """The active account with this user name, for a command that acts in a person's name."""
    return User.objects.filter(username=username, is_active=True).first()


def study_sites() -> QuerySet[StudySite]:
    """Every study site by code. That a hospital takes part is no secret; its rows are."""
    return StudySite.objects.order_by("code")


def people_called(words: str) -> QuerySet[User]:
    """Accounts with `words` in the user name or the full name, active or not."""
    return User.objects.filter(Q(username__icontains=words) | Q(full_name__icontains=words))


def memberships() -> QuerySet[Membership]:
    """Every membership of all time with person and site, in the order they were given."""
    return Membership.objects.select_related("user", "site").order_by("id")


def administrators() -> list[User]:
    """Active accounts that are administrators today, by user name."""
    return holders_of_trial(Role.ADMINISTRATOR)


def holders_of_trial(role: Role) -> list[User]:
    """Active accounts that hold a role of the whole trial today, by user name."""
    today = clock.now().date()
    held = Membership.objects.filter(role=role, user__is_active=True).select_related("user")
    found = {each.user_id: each.user for each in held.order_by("user__username") if each.in_force(today)}
    return list(found.values())
