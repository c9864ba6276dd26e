"""A subject ready for randomisation and a sealed list; the tests stub the preconditions."""

from datetime import date

from patients.milestones import set_milestones
from patients.subjects import do_register
from randomization import lists
from spinetrial.audit.acting import acting


def ready_subject(person, site):
    """A registered subject with the milestones the database asks for before a randomisation."""
    subject = do_register(person, site, date(2026, 1, 5), {})
    with acting(person, "test"):
        set_milestones(person, subject, "test", consent_date=date(2026, 1, 5), eligible_on=date(2026, 1, 6))
    return subject


def sealed_list(custodian, site, at_least=40):
    return lists.do_seal(custodian, lists.do_generate(custodian, site, at_least))


def arms_of(row):
    return [slot.arm for slot in lists.listed_slots(row)]
