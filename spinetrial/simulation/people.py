"""Sites and accounts of the demonstration: one person per role and site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.contrib.auth.hashers import make_password

from spinetrial.access import accounts
from spinetrial.access.models import Membership, StudySite, User
from spinetrial.access.policy import SITE_ROLES, Role
from spinetrial.audit.acting import SystemActor

SIMULATION = SystemActor("simulate_trial")
#: Printed by `./dev up`. A demonstration holds invented patients only.
DEMO_PASSWORD = "spinetrial-demo"  # noqa: S105

SITES = (("BJ", "Beijing Demonstration Hospital"), ("CD", "Chengdu Demonstration Hospital"))

#: user name (with the site's code in small letters behind it for site roles) and name on screen per role
PEOPLE = {
    Role.COORDINATOR: "Li Coordinator",
    Role.INVESTIGATOR: "Wang Investigator",
    Role.ASSESSOR: "Zhao Assessor",
    Role.MONITOR: "Chen Monitor",
    Role.DATA_MANAGER: "Liu Data-Manager",
    Role.STATISTICIAN: "Sun Statistician",
    Role.CUSTODIAN: "Zhou Custodian",
    Role.ADMINISTRATOR: "Wu Administrator",
    Role.BOARD: "Gao Monitoring-Board",
}


@dataclass
class Staff:
    sites: dict[str, StudySite]
    people: dict[str, User]

    def of(self, role: Role, site: StudySite | None = None) -> User:
        return self.people[user_name(role, site)]


def user_name(role: Role, site: StudySite | None = None) -> str:
    name = role.value.replace("_", "-")
    return f"{name}-{site.code.lower()}" if site else name


def make_staff(starts: date) -> Staff:
    """Create sites, accounts and memberships from `starts` on."""
    sites = {
        code: accounts.do_save_site(SIMULATION, StudySite(code=code, name=name), "demonstration")
        for code, name in SITES
    }
    people: dict[str, User] = {}
    hashed = make_password(DEMO_PASSWORD)  # once: it is made to be slow

    def make(name: str, full_name: str, role: Role, site: StudySite | None) -> None:
        user = User(username=name, full_name=full_name, email=f"{name}@example.org", password=hashed)
        accounts.do_create_user(SIMULATION, user)
        recorded = {"trained_on": starts, "delegated_on": starts} if site else {}
        accounts.do_grant(SIMULATION, Membership(user=user, role=role, site=site, starts=starts, **recorded))
        people[name] = user

    for role, full_name in PEOPLE.items():
        for site in sites.values() if role in SITE_ROLES else [None]:
            make(user_name(role, site), f"{full_name} {site.code}" if site else full_name, role, site)
    # Somebody to approve what the first one codes.
    make("data-manager-2", "Zheng Data-Manager", Role.DATA_MANAGER, None)
    return Staff(sites, people)
