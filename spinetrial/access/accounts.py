"""Accounts, memberships and sites: the verbs behind the administration screens and commands."""

from __future__ import annotations

import secrets
from datetime import date

from django.core.exceptions import PermissionDenied
from django.db import transaction

from spinetrial.access import lockout, second_factor
from spinetrial.access.gate import AnyActor, check_may
from spinetrial.access.models import Membership, StudySite, User
from spinetrial.access.passwords import REMEMBERED
from spinetrial.access.tasks import later, tell_second_factor_reset
from spinetrial.audit.acting import acting

#: Without look-alikes, because a first password is read from a screen and typed.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_password() -> str:
    """A first password: 16 random characters, about 79 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def do_create_user(actor: AnyActor, user: User, password: str = "") -> User:
    """Store a new account with a password, or with the hash it already carries. Raises PermissionDenied."""
    check_may(actor, "admin.accounts", None)
    if password:
        user.set_password(password)
        user.must_change_password = True
    with acting(actor):
        user.save()
    return user


def do_change_user(actor: AnyActor, user: User, reason: str) -> None:
    """Store changed particulars of an account. Raises PermissionDenied."""
    check_may(actor, "admin.accounts", None)
    with acting(actor, reason):
        user.save()


def do_reset_password(actor: AnyActor, user: User, reason: str) -> str:
    """Give the account a new first password and return it. Raises PermissionDenied."""
    check_may(actor, "admin.accounts", None)
    password = new_password()
    user.past_passwords = [user.password, *user.past_passwords][: REMEMBERED - 1]
    user.set_password(password)
    user.must_change_password = True
    with acting(actor, reason):
        user.save(update_fields=["password", "past_passwords", "must_change_password"])
    return password


def do_unlock(actor: AnyActor, user: User, reason: str) -> None:
    """Let an account that was locked after failed attempts try again. Raises PermissionDenied."""
    check_may(actor, "admin.accounts", None)
    with acting(actor, reason):
        lockout.do_unlock(user)


def do_reset_second_factor(actor: User, user: User, reason: str) -> None:
    """Take away app, recovery codes and passkeys of an account, and tell the person.

    Raises PermissionDenied, also for one's own account: there the code is asked for instead.
    """
    check_may(actor, "admin.accounts", None)
    if actor.pk == user.pk:
        raise PermissionDenied
    with acting(actor, reason):
        second_factor.remove_all(user)
        transaction.on_commit(lambda: later(tell_second_factor_reset, user.pk))


def do_grant(actor: AnyActor, membership: Membership) -> Membership:
    """Give a person a role. Raises PermissionDenied, also for a right to oneself (the database refuses it too)."""
    check_may(actor, "admin.accounts", None)
    if isinstance(actor, User):
        if membership.user_id == actor.pk:
            raise PermissionDenied
        membership.granted_by = actor
    with acting(actor):
        membership.save()
    return membership


def do_record_training(actor: AnyActor, membership: Membership, reason: str) -> None:
    """Store the changed dates of training and delegation. Raises PermissionDenied, also for one's own membership."""
    check_may(actor, "admin.accounts", None)
    if membership.user_id == actor.pk:
        raise PermissionDenied
    with acting(actor, reason):
        membership.save(update_fields=["trained_on", "delegated_on"])


def do_end_membership(actor: AnyActor, membership: Membership, last_day: date, reason: str) -> None:
    """Let a membership end after `last_day`. Raises PermissionDenied, ValueError (before its first day)."""
    check_may(actor, "admin.accounts", None)
    if membership.user_id == actor.pk:
        raise PermissionDenied
    if last_day < membership.starts:
        raise ValueError("The last day is before the first day.")
    membership.ends = last_day
    with acting(actor, reason):
        membership.save(update_fields=["ends"])


def do_save_site(actor: AnyActor, site: StudySite, reason: str) -> StudySite:
    """Store a new or changed study site. Raises PermissionDenied."""
    check_may(actor, "admin.accounts", None)
    with acting(actor, reason):
        site.save()
    return site
