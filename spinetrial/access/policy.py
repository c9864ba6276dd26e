"""Who may do what: the one table of actions and roles.

An action that is not listed here does not exist, and a role that is not listed for it may not do it.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    COORDINATOR = "coordinator", _("Coordinator")
    INVESTIGATOR = "investigator", _("Investigator")
    ASSESSOR = "assessor", _("Imaging assessor")
    MONITOR = "monitor", _("Monitor")
    DATA_MANAGER = "data_manager", _("Data manager")
    STATISTICIAN = "statistician", _("Statistician")
    CUSTODIAN = "custodian", _("Randomisation custodian")
    ADMINISTRATOR = "administrator", _("Administrator")
    BOARD = "board", _("Monitoring board")


#: Roles held at a named study site; the others are held for the whole trial.
SITE_ROLES = frozenset({Role.COORDINATOR, Role.INVESTIGATOR, Role.ASSESSOR, Role.MONITOR})

_ENTRY = frozenset({Role.COORDINATOR, Role.INVESTIGATOR})
_REVIEW = frozenset({Role.MONITOR, Role.DATA_MANAGER})

POLICY: dict[str, frozenset[Role]] = {
    # anyone with an account
    "account": frozenset(Role),
    # subjects and their CRFs
    "subject.view": _ENTRY | _REVIEW | {Role.ASSESSOR, Role.STATISTICIAN},
    "subject.screen": _ENTRY,
    "contacts.view": _ENTRY,
    "contacts.enter": _ENTRY,
    "contacts.purge": frozenset({Role.INVESTIGATOR}),
    "person.export": _ENTRY,
    "crf.view": _ENTRY | _REVIEW | {Role.ASSESSOR, Role.STATISTICIAN},
    "crf.enter": _ENTRY,
    "imaging.enter": _ENTRY | {Role.ASSESSOR},
    "ae.enter": _ENTRY,
    "epro.enter": frozenset(),  # the participant alone, by the questionnaire
    "eligibility.confirm": frozenset({Role.INVESTIGATOR}),
    # allocation
    "arm.view": _ENTRY | _REVIEW,
    "randomize": _ENTRY,
    "lists.manage": frozenset({Role.CUSTODIAN}),
    # review
    "query.view": _ENTRY | _REVIEW,
    "query.answer": _ENTRY,
    "query.raise": _REVIEW,
    "query.close": _REVIEW,
    "audit.view": _ENTRY | _REVIEW,
    "audit.system": frozenset({Role.ADMINISTRATOR}),
    "audit.list": _ENTRY | _REVIEW | {Role.ADMINISTRATOR},
    "signoff.view": _REVIEW | {Role.INVESTIGATOR, Role.STATISTICIAN},
    "sdv.view": _ENTRY | _REVIEW,
    "sdv.verify": frozenset({Role.MONITOR}),
    "sign": frozenset({Role.INVESTIGATOR}),
    # coding of adverse events
    "ae.code": frozenset({Role.DATA_MANAGER}),
    # output
    "casebook": _ENTRY,  # the site's own copy of its data
    "worklist.view": _ENTRY | _REVIEW | {Role.ASSESSOR, Role.STATISTICIAN},
    "dashboard.view": _ENTRY | _REVIEW | {Role.STATISTICIAN},
    "ctcae.load": frozenset({Role.DATA_MANAGER}),
    "safety.view": _ENTRY | _REVIEW | {Role.STATISTICIAN},
    "factors.view": _ENTRY | _REVIEW | {Role.STATISTICIAN},
    "factors.compare": frozenset({Role.DATA_MANAGER, Role.STATISTICIAN}),
    "trial.view": frozenset({Role.DATA_MANAGER, Role.STATISTICIAN}),
    "trial.freeze": frozenset({Role.DATA_MANAGER}),
    "trial.lock": frozenset({Role.STATISTICIAN}),
    "report.view": frozenset({Role.STATISTICIAN, Role.BOARD}),
    "report.make": frozenset({Role.STATISTICIAN}),  # dry run; after the lock the final report
    "report.board": frozenset({Role.BOARD}),  # the part by arm, before the lock too
    "design.view": frozenset({Role.INVESTIGATOR, Role.DATA_MANAGER, Role.STATISTICIAN}),  # no patient's data
    "examples.view": _REVIEW | {Role.INVESTIGATOR, Role.STATISTICIAN},  # published numbers, nobody's data
    "export.view": frozenset({Role.STATISTICIAN, Role.DATA_MANAGER}),
    # system
    "admin.accounts": frozenset({Role.ADMINISTRATOR}),
}

#: Actions by which data of a site come into being: a membership there counts for them only once training and
#: delegation are recorded. Reading needs neither.
NEEDS_TRAINING = frozenset(
    {
        "subject.screen",
        "contacts.enter",
        "crf.enter",
        "imaging.enter",
        "ae.enter",
        "eligibility.confirm",
        "randomize",
        "query.answer",
        "sign",
    }
)

#: Roles that must have a second factor: signers, and whoever can change rights, lists or the data as a whole.
NEEDS_SECOND_FACTOR = frozenset({Role.INVESTIGATOR, Role.ADMINISTRATOR, Role.CUSTODIAN, Role.STATISTICIAN, Role.BOARD})

#: Actions the statistician gains when the first lock ends the masking (D11).
UNMASKED_BY_LOCK = frozenset({"arm.view"})


def allowed_roles(action: str) -> frozenset[Role]:
    """Roles that may do `action`. Raises LookupError for an action nobody declared."""
    try:
        return POLICY[action]
    except KeyError:
        raise LookupError(f"Undeclared action {action!r}: add it to spinetrial/access/policy.py.") from None
