"""Making, sealing, withdrawing and checking randomisation lists. Custodian's work, except the stock and the check."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Max, QuerySet

from randomization import notices
from randomization.models import ARM_CODES, AllocatedArm, Allocation, RandomizationList, Slot
from randomization.permuted_blocks import (
    ALGORITHM,
    SEED_BYTES,
    ListedSlot,
    canonical_csv,
    generate,
    seal,
    splits_into_blocks,
)
from spinetrial.access.gate import SYSTEM, check_may, get_record, list_records
from spinetrial.access.models import StudySite, TrialState, User
from spinetrial.access.people import study_sites
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.protocol import CURRENT
from spinetrial.review import trial

#: Remaining slots of a stratum at which the custodian is warned; 0 is the message that nothing is left.
WARN_AT = (10, 4, 0)


class ListRefused(Exception):
    """The step does not fit the state of the stratum's lists; `code` says why."""

    DRAFT_EXISTS = "draft_exists"
    IN_USE = "in_use"
    NOT_DRAFT = "not_draft"
    USED = "used"
    ALTERED = "altered"
    NOT_OPEN_YET = "not_open_yet"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def all_lists() -> QuerySet[RandomizationList]:
    """Every list, for rules of this app; a view shows rows of the gate's own functions or the published columns."""
    return list_records(SYSTEM, RandomizationList, "lists.manage").select_related("site")


def in_use(site_id: int) -> QuerySet[RandomizationList]:
    """Sealed lists of a stratum in the order they are used up."""
    return all_lists().filter(site_id=site_id, sealed_at__isnull=False, withdrawn_at__isnull=True).order_by("part")


# --- stock ---


@dataclass(frozen=True)
class Stock:
    """Slots of a stratum's sealed lists. For the custodian's eyes: site staff must not count blocks."""

    site: StudySite
    lists: int
    total: int
    used: int

    @property
    def remaining(self) -> int:
        return self.total - self.used

    @property
    def low(self) -> bool:
        """Time to make and seal the next list; a recruiting site without any list counts too."""
        return self.site.active and self.remaining <= max(WARN_AT)


def stocks() -> list[Stock]:
    """The stock of every stratum, by site code, in three queries."""
    lists: dict[int, list[RandomizationList]] = {}
    for each in all_lists().filter(sealed_at__isnull=False, withdrawn_at__isnull=True):
        lists.setdefault(each.site_id, []).append(each)
    used = dict(
        list_records(SYSTEM, Allocation, "randomize")
        .order_by()
        .values_list("slot__site")
        .annotate(n=Count("id"))
        .values_list("slot__site", "n")
    )
    found = []
    for site in study_sites():
        own = lists.get(site.pk, [])
        found.append(Stock(site, len(own), sum(each.length for each in own), used.get(site.pk, 0)))
    return found


def stock_of(site: StudySite) -> Stock:
    """The stock of one stratum."""
    lengths = [each.length for each in in_use(site.pk)]
    used = list_records(SYSTEM, Allocation, "randomize").filter(slot__site=site).count()
    return Stock(site, len(lengths), sum(lengths), used)


def used_slots(row: RandomizationList) -> int:
    """How many slots of a list are taken."""
    return list_records(SYSTEM, Allocation, "randomize").filter(slot__list=row).count()


# --- making ---


def do_generate(actor: User, site: StudySite, at_least: int) -> RandomizationList:
    """A draft of at least so many slots from a fresh seed; nobody sees seed or arms.

    Raises PermissionDenied, trial.EntryClosed, ListRefused(DRAFT_EXISTS), ValueError for an impossible length.
    """
    secret = secrets.token_bytes(SEED_BYTES)
    slots = generate(secret, site.code, ARM_CODES, CURRENT.allocation.block_sizes, at_least)
    return _store(
        actor,
        RandomizationList(
            site=site,
            source=RandomizationList.Source.GENERATED,
            algorithm=ALGORITHM,
            block_sizes=_sizes_text(CURRENT.allocation.block_sizes),
            secret=secret.hex(),
        ),
        slots,
    )


def do_import(actor: User, site: StudySite, slots: Sequence[ListedSlot]) -> RandomizationList:
    """A draft of the slots of a checked file (`importing.read`), salted for its seal.

    D10: an imported list stands instead of a generated one, never behind it. Raises PermissionDenied,
    trial.EntryClosed, ListRefused(DRAFT_EXISTS, IN_USE).
    """
    if in_use(site.pk).exists():
        raise ListRefused(ListRefused.IN_USE)
    secret = secrets.token_hex(SEED_BYTES)
    return _store(actor, RandomizationList(site=site, source=RandomizationList.Source.IMPORTED, secret=secret), slots)


def _sizes_text(sizes: Sequence[int]) -> str:
    return ",".join(str(size) for size in sizes)


def _store(actor: User, row: RandomizationList, slots: Sequence[ListedSlot]) -> RandomizationList:
    check_may(actor, "lists.manage", None)
    with acting(actor, "list made"):
        trial.check_open()
        StudySite.lock(row.site_id)
        lists = all_lists().filter(site_id=row.site_id)
        if lists.filter(sealed_at__isnull=True).exists():
            raise ListRefused(ListRefused.DRAFT_EXISTS)
        row.part = (lists.aggregate(last=Max("part"))["last"] or 0) + 1
        row.length = len(slots)
        row.sha256 = seal(canonical_csv(row.site.code, row.algorithm, row.secret, slots))
        row.made_at, row.made_by = now(), actor
        row.save()
        for slot in slots:
            block = f"{slot.block}/{slot.block_size}" if slot.block else ""
            Slot(list=row, site_id=row.site_id, number=slot.number, arm=slot.arm, block=block).save()
    return row


def do_discard(actor: User, row: RandomizationList, reason: str) -> None:
    """Delete a draft. Raises ListRefused(NOT_DRAFT), trial.EntryClosed, PermissionDenied."""
    check_may(actor, "lists.manage", None)
    with acting(actor, reason):
        trial.check_open()
        locked = _locked(actor, row)
        if not locked.draft:
            raise ListRefused(ListRefused.NOT_DRAFT)
        list_records(actor, Slot, "lists.manage").filter(list=locked).delete()
        locked.delete()


def _locked(actor: User, row: RandomizationList) -> RandomizationList:
    rows = list_records(actor, RandomizationList, "lists.manage").select_for_update(of=("self",))
    try:
        return rows.get(pk=row.pk)
    except RandomizationList.DoesNotExist:
        raise ListRefused(ListRefused.NOT_DRAFT) from None


# --- sealing ---


def do_seal(actor: User, row: RandomizationList, *, request_id: str = "") -> RandomizationList:
    """Seal a draft for ever and publish its SHA-256 to everyone who works with it, on screen and by e-mail.

    Raises ListRefused(NOT_DRAFT; ALTERED when the stored slots no longer give the hash; IN_USE for an imported list
    of a stratum that has one in use meanwhile), trial.EntryClosed, PermissionDenied.
    """
    check_may(actor, "lists.manage", None)
    with acting(actor, "list sealed and published", request_id=request_id):
        trial.check_open()
        locked = _locked(actor, row)
        if not locked.draft:
            raise ListRefused(ListRefused.NOT_DRAFT)
        if locked.source == RandomizationList.Source.IMPORTED and in_use(locked.site_id).exists():
            raise ListRefused(ListRefused.IN_USE)
        if not verify(locked).sound:
            raise ListRefused(ListRefused.ALTERED)
        locked.sealed_at, locked.sealed_by = now(), actor
        locked.save(update_fields=["sealed_at", "sealed_by"])
        transaction.on_commit(lambda: notices.tell_sealed(locked), robust=True)
    return locked


def do_withdraw(actor: User, row: RandomizationList, reason: str) -> None:
    """Take a sealed list out of use before its first allocation. Raises ListRefused(USED, NOT_DRAFT) and as do_seal."""
    check_may(actor, "lists.manage", None)
    with acting(actor, reason):
        trial.check_open()
        locked = _locked(actor, row)
        if locked.draft or locked.withdrawn_at is not None:
            raise ListRefused(ListRefused.NOT_DRAFT)
        if used_slots(locked):
            raise ListRefused(ListRefused.USED)
        locked.withdrawn_at = now()
        # A whole save would encrypt the secret anew, which the database takes for a change of the list.
        locked.save(update_fields=["withdrawn_at"])


# --- checking ---


@dataclass(frozen=True)
class Verification:
    """Whether a list is what was sealed.

    seal: the stored slots and secret give the published SHA-256. derived: the seed gives exactly these slots (True for
    an imported list, which has none). allocations: the used slots are the first ones and every arm given is the slot's.
    """

    seal: bool
    derived: bool
    allocations: bool

    @property
    def sound(self) -> bool:
        return self.seal and self.derived and self.allocations


def verify(row: RandomizationList) -> Verification:
    """Make the list again and compare. Tells nothing about any arm."""
    slots = listed_slots(row)
    text = canonical_csv(row.site.code, row.algorithm, row.secret, slots)
    derived = True
    if row.source == RandomizationList.Source.GENERATED:
        sizes = [int(size) for size in row.block_sizes.split(",")]
        again = generate(bytes.fromhex(row.secret), row.site.code, ARM_CODES, sizes, len(slots) or 1)
        derived = row.algorithm == ALGORITHM and list(again) == slots
    given = list(
        list_records(SYSTEM, AllocatedArm, "arm.view")
        .filter(allocation__slot__list=row)
        .order_by("allocation__slot__number")
        .values_list("allocation__slot__number", "arm")
    )
    expected = [(slot.number, slot.arm) for slot in slots[: used_slots(row)]]
    return Verification(seal=seal(text) == row.sha256, derived=derived, allocations=given == expected)


def listed_slots(row: RandomizationList) -> list[ListedSlot]:
    """The decrypted slots in order. Not for a screen before the lock."""
    found = []
    for slot in list_records(SYSTEM, Slot, "lists.manage").filter(list=row).order_by("number"):
        block, _, size = slot.block.partition("/")
        found.append(ListedSlot(slot.number, slot.arm, int(block) if block else None, int(size) if size else None))
    return found


def arms_balanced_in_blocks(slots: Sequence[ListedSlot]) -> bool:
    """Whether the list could have come from permuted blocks of the protocol's sizes (D10)."""
    return splits_into_blocks([slot.arm for slot in slots], ARM_CODES, CURRENT.allocation.block_sizes)


def open_list(actor: User, pk: int) -> str:
    """The canonical text of a sealed list with its secret, for anyone to hash; on the trail.

    Only after the first lock of the trial, when no arm is hidden any more. Raises PermissionDenied, Http404,
    ListRefused(NOT_OPEN_YET).
    """
    row = get_record(actor, RandomizationList, "lists.manage", pk=pk)
    if row.draft or TrialState.current().unmasked_at is None:
        raise ListRefused(ListRefused.NOT_OPEN_YET)
    with acting(actor):
        record_event("randomisation list opened", site_id=row.site_id, detail={"list": str(row)}, reveals_arm=True)
    return canonical_csv(row.site.code, row.algorithm, row.secret, listed_slots(row))
