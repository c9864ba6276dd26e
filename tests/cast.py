"""A small fixed cast for the access tests: two sites, a person per role, an outsider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from spinetrial.access.models import Membership, StudySite, User
from spinetrial.access.policy import SITE_ROLES, Role
from spinetrial.audit.acting import SystemActor, acting

PASSWORD = "correct-horse-battery-9"
SETUP = SystemActor("test set-up")


def join(user: User, role: Role, site: StudySite | None = None, *, ends: date | None = None) -> Membership:
    """A role since 2020 with everything recorded that it needs. Inside `acting`."""
    start = date(2020, 1, 1)
    trained = start if role in SITE_ROLES else None
    membership = Membership(
        user=user, role=role, site=site, starts=start, ends=ends, trained_on=trained, delegated_on=trained
    )
    membership.save()
    return membership


@dataclass
class Cast:
    site_a: StudySite
    site_b: StudySite
    coordinator_a: User
    investigator_a: User
    assessor_a: User
    monitor_a: User
    coordinator_b: User
    investigator_b: User
    data_manager: User
    statistician: User
    custodian: User
    administrator: User
    board: User
    outsider: User

    def everyone(self) -> dict[str, User]:
        return {name: value for name, value in vars(self).items() if isinstance(value, User)}


def make_cast() -> Cast:
    """Create the cast (commits when the surrounding transaction does)."""
    from django.contrib.auth.hashers import make_password

    hashed = make_password(PASSWORD)
    with acting(SETUP, "test cast"):
        site_a = StudySite(code="NK", name="North Kettle Hospital", timezone="Asia/Shanghai")
        site_b = StudySite(code="SH", name="South Harbour Hospital", timezone="Asia/Shanghai")
        site_a.save()
        site_b.save()
        people: dict[str, User] = {}
        roles = {
            "coordinator_a": (Role.COORDINATOR, site_a),
            "investigator_a": (Role.INVESTIGATOR, site_a),
            "assessor_a": (Role.ASSESSOR, site_a),
            "monitor_a": (Role.MONITOR, site_a),
            "coordinator_b": (Role.COORDINATOR, site_b),
            "investigator_b": (Role.INVESTIGATOR, site_b),
            "data_manager": (Role.DATA_MANAGER, None),
            "statistician": (Role.STATISTICIAN, None),
            "custodian": (Role.CUSTODIAN, None),
            "administrator": (Role.ADMINISTRATOR, None),
            "board": (Role.BOARD, None),
            "outsider": None,
        }
        for name, held in roles.items():
            user = User(
                username=name.replace("_", "-"),
                full_name=name.replace("_", " ").title(),
                email=f"{name}@example.org",
                password=hashed,
            )
            user.save()
            people[name] = user
            if held:
                join(user, *held)
    return Cast(site_a=site_a, site_b=site_b, **people)


@pytest.fixture
def cast(db):
    return make_cast()
