"""Randomising a subject: the next slot of the stratum, once, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from patients.milestones import set_milestones
from patients.models import Subject
from patients.preconditions import Precondition, open_preconditions
from randomization import notices
from randomization.lists import WARN_AT, in_use, used_slots
from randomization.models import AllocatedArm, Allocation, Slot
from spinetrial.access.gate import SYSTEM, check_may, list_records, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.protocol import CURRENT, protocol_hash
from spinetrial.review import freezes, trial


class NotReady(Exception):
    """A precondition does not hold; `blockers` are those that stand in the way."""

    def __init__(self, blockers: Sequence[Precondition]) -> None:
        super().__init__(", ".join(blocker.code for blocker in blockers))
        self.blockers = tuple(blockers)


class NoList(Exception):
    """No list of the stratum was ever sealed."""


class ListExhausted(Exception):
    """Every slot of the stratum is taken; the custodian has to seal another list."""


@dataclass(frozen=True)
class Randomized:
    """`created` is False when the subject had been randomised before; the allocation is then that one."""

    allocation: Allocation
    created: bool


def allocation_of(subject: Subject) -> Allocation | None:
    """The allocation of a subject obtained through the gate. Tells no arm."""
    return of_subject(subject, Allocation).select_related("allocated_by", "subject__site").first()


def stratum_of(subject: Subject) -> str:
    """The stratum as shown and stored: the values of the protocol's stratification factors (D10: the site)."""
    return f"site={subject.site.code}"


def conditions(subject: Subject) -> tuple[Precondition, ...]:
    """What must hold before the subject is randomised, beside a list with a slot."""
    return open_preconditions(subject)


def list_ready(site_id: int) -> bool:
    """Whether the stratum has a sealed list with a slot left. How many are left is told to the custodian only."""
    return _next_slot(site_id) is not None


def _next_slot(site_id: int) -> Slot | None:
    taken = list_records(SYSTEM, Allocation, "randomize").filter(slot__site_id=site_id)
    slots = list_records(SYSTEM, Slot, "lists.manage").filter(list__in=in_use(site_id).values("pk"))
    return (
        slots.exclude(pk__in=taken.values("slot")).select_related("list__site").order_by("list__part", "number").first()
    )


def do_randomize(actor: User, subject: Subject, *, request_id: str = "") -> Randomized:
    """Allocate the next slot of the subject's stratum; a second call returns the first one's allocation.

    The caller has made the person prove who they are. One transaction takes, in this order, the locks of the
    stratum's lists and of the subject, checks, and writes allocation, arm and milestone; a crash at any point leaves
    nothing. Raises PermissionDenied, trial.EntryClosed, NotReady, NoList, ListExhausted.
    """
    check_may(actor, "randomize", subject.site_id)
    with acting(actor, "randomisation", request_id=request_id):
        # Whoever randomises in this stratum waits here; the next slot is looked for after the wait, not before.
        lists = list(in_use(subject.site_id).select_for_update(of=("self",)))
        locked = (
            list_records(actor, Subject, "randomize")
            .select_for_update(of=("self",))
            .select_related("site")
            .get(pk=subject.pk)
        )
        existing = allocation_of(locked)
        if existing is not None:
            return Randomized(existing, created=False)
        trial.check_open()
        freezes.check_unfrozen(locked)
        blockers = [each for each in conditions(locked) if not each.met]
        if blockers:
            raise NotReady(blockers)
        slot = _next_slot(locked.site_id)
        if slot is None:
            raise ListExhausted if lists else NoList
        allocation = Allocation(
            subject=locked,
            slot=slot,
            number=f"{slot.list}-{slot.number:03d}",
            stratum=stratum_of(locked),
            allocated_at=now(),
            allocated_by=actor,
            protocol_version=CURRENT.version,
            protocol_hash=protocol_hash(CURRENT),
        )
        allocation.save()
        AllocatedArm(subject=locked, allocation=allocation, arm=slot.arm).save()
        set_milestones(actor, locked, "randomisation", randomized_on=locked.site.today())
        transaction.on_commit(lambda: notices.tell_allocated(allocation), robust=True)
        remaining = sum(each.length - used_slots(each) for each in lists)
        if remaining in WARN_AT:
            transaction.on_commit(lambda: notices.tell_stock(locked.site, remaining), robust=True)
    return Randomized(allocation, created=True)
