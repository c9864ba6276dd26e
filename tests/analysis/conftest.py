"""A small trial in the database: randomised participants with real allocations, names planted in their contacts."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from patients.crfs import DEMOGRAPHICS, PAIN
from patients.milestones import set_milestones
from patients.models import Subject
from patients.subjects import do_register
from randomization.lists import do_generate, do_seal
from randomization.models import AllocatedArm, Allocation, Slot
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.crf.save import enter
from spinetrial.protocol import CURRENT, protocol_hash
from tests.cast import Cast

#: Planted in every contact: no output may hold any of them.
SECRETS = {
    "name": "Zebulon Quixote 张秘密",
    "telephone": "+86 555 0199 7313",
    "email": "zebulon@secret.example",
    "hospital_number": "HN-99887766",
}


@dataclass
class SmallTrial:
    cast: Cast
    subjects: list[Subject]


def make_trial(cast: Cast, randomized: int = 3) -> SmallTrial:
    """`randomized` participants at site NK with demographics, baseline pain and an arm, and one still in screening."""
    subjects = [do_register(cast.coordinator_a, cast.site_a, date(2025, 8, 1), SECRETS) for _n in range(randomized + 1)]
    do_seal(cast.custodian, do_generate(cast.custodian, cast.site_a, 12))
    slots = list(Slot.objects.filter(site=cast.site_a).order_by("number"))
    for number, subject in enumerate(subjects[:randomized]):
        with acting(SYSTEM, "test set-up"):
            start = date(2025, 9, 1) + timedelta(days=number)
            allocation = Allocation(
                subject=subject, slot=slots[number], number=f"NK-R{number + 1:03d}", stratum="NK", allocated_at=now(),
                allocated_by=cast.investigator_a, protocol_version=CURRENT.version,
                protocol_hash=protocol_hash(CURRENT),
            )  # fmt: skip
            allocation.save()
            AllocatedArm(subject=subject, allocation=allocation, arm=slots[number].arm).save()
            set_milestones(
                SYSTEM, subject, "test set-up", consent_date=start, eligible_on=start, randomized_on=start,
                rt_start=start, rt_end=start + timedelta(days=11), rt_completed=True, fractions_given=10,
            )  # fmt: skip
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, {"birth_date": date(1960, 5, 17), "sex": "female"})
        enter(PAIN, subject, cast.coordinator_a,
              {"assessed_on": date(2025, 8, 30), "nrs_worst": 6, "analgesics": "some"},
              {"analgesics_taken": [{"drug": "MORPHINE_PO", "dose": "30.00", "times": "2", "use": "scheduled"}]},
              )  # fmt: skip
    return SmallTrial(cast, subjects)


@pytest.fixture
def small_trial(cast) -> SmallTrial:
    return make_trial(cast)
