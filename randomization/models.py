"""Randomisation lists, their slots, allocations, and the arm in a table of its own.

What could tell the next arm (seed, arm and block of a slot) is stored encrypted, so that neither a screen, nor the
audit trail, nor a database dump without the field keys shows it. `sql/guard.sql` holds sealed lists, allocations and
arms unchangeable for every role, and refuses an allocation that is not the next slot of its stratum.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models import Subject
from spinetrial.access.fields import EncryptedTextField
from spinetrial.access.models import StudySite
from spinetrial.protocol import CURRENT

ARM_CODES = tuple(arm.code for arm in CURRENT.arms)

#: A hash or a seed: 32 bytes in small hexadecimal digits.
HEX_256 = r"^[0-9a-f]{64}$"


class RandomizationList(models.Model):
    """The list of one stratum (study site, D10): a draft until it is sealed, then unchangeable.

    Lists of a site are used up in the order of `part`; the one in use is the first that still has slots.
    """

    class Source(models.TextChoices):
        GENERATED = "generated", _("Generated here")
        IMPORTED = "imported", _("Imported from another program")

    site = models.ForeignKey(StudySite, models.PROTECT, related_name="+", verbose_name=_("Study site"))
    part = models.PositiveSmallIntegerField(_("List"))
    source = models.CharField(_("Source"), max_length=10, choices=Source.choices)
    algorithm = models.CharField(_("Algorithm"), max_length=60, blank=True)
    block_sizes = models.CharField(_("Block sizes"), max_length=40, blank=True)
    length = models.PositiveSmallIntegerField(_("Slots"))
    #: 32 secret bytes in hexadecimal: the seed of a generated list, the salt of an imported one
    secret = EncryptedTextField()
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    made_at = models.DateTimeField(_("Made"))
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    sealed_at = models.DateTimeField(_("Sealed and published"), null=True)
    sealed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    #: taken out of use before its first allocation, for a stated reason
    withdrawn_at = models.DateTimeField(_("Withdrawn"), null=True)

    site_path = "site"
    audit_not_kept = ("secret",)  # the trail cannot be encrypted anew with another key

    class Meta:
        ordering = ("site", "part")
        constraints = (
            models.UniqueConstraint(fields=["site", "part"], name="randomizationlist_part_per_site"),
            models.UniqueConstraint(
                fields=["site"], condition=Q(sealed_at__isnull=True), name="randomizationlist_one_draft_per_site"
            ),
            models.CheckConstraint(condition=Q(part__gte=1), name="randomizationlist_part_positive"),
            models.CheckConstraint(condition=Q(length__gte=1), name="randomizationlist_length_positive"),
            models.CheckConstraint(
                condition=Q(source="generated", algorithm__gt="", block_sizes__gt="")
                | Q(source="imported", algorithm="", block_sizes=""),
                name="randomizationlist_generated_names_algorithm",
            ),
            models.CheckConstraint(condition=Q(sha256__regex=HEX_256), name="randomizationlist_sha256_form"),
            models.CheckConstraint(
                condition=Q(sealed_at__isnull=True, sealed_by__isnull=True)
                | Q(sealed_at__isnull=False, sealed_at__gte=F("made_at"), sealed_by__isnull=False),
                name="randomizationlist_sealed_after_made",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | Q(sealed_at__isnull=False, withdrawn_at__gte=F("sealed_at")),
                name="randomizationlist_withdrawn_after_sealed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.site.code}-{self.part}"

    @property
    def draft(self) -> bool:
        return self.sealed_at is None


class Slot(models.Model):
    """One place of a list. Used or not is told by the allocation that points here, never by a flag beside it."""

    list = models.ForeignKey(RandomizationList, models.PROTECT, related_name="+")
    site = models.ForeignKey(StudySite, models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()
    arm = EncryptedTextField()
    #: "block number/block size"; blank where an imported file does not tell
    block = EncryptedTextField(blank=True)

    site_path = "site"
    audit_not_kept = ("arm", "block")

    class Meta:
        ordering = ("list", "number")
        constraints = (
            models.UniqueConstraint(fields=["list", "number"], name="slot_number_per_list"),
            models.CheckConstraint(condition=Q(number__gte=1), name="slot_number_positive"),
        )

    def __str__(self) -> str:
        return f"Slot {self.pk}"


class Allocation(models.Model):
    """A subject took the next slot of the stratum. Holds no arm, so that it may be seen by the masked."""

    subject = models.OneToOneField(Subject, models.PROTECT, related_name="+")
    slot = models.OneToOneField(Slot, models.PROTECT, related_name="+")
    number = models.CharField(_("Randomisation number"), max_length=20, unique=True)
    stratum = models.CharField(_("Stratum"), max_length=60)
    allocated_at = models.DateTimeField(_("Time"))
    allocated_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("By"))
    protocol_version = models.CharField(_("Protocol version"), max_length=20)
    protocol_hash = models.CharField(max_length=64)

    site_path = "subject__site"

    class Meta:
        ordering = ("allocated_at", "id")
        constraints = (
            models.CheckConstraint(condition=Q(protocol_hash__regex=HEX_256), name="allocation_protocol_hash_form"),
        )

    def __str__(self) -> str:
        return self.number


class AllocatedArm(models.Model):
    """The arm of an allocation, kept apart so that a masked role's queries never touch it."""

    subject = models.OneToOneField(Subject, models.PROTECT, related_name="+")
    allocation = models.OneToOneField(Allocation, models.PROTECT, related_name="+")
    arm = models.CharField(_("Arm"), max_length=20, choices=[(arm.code, _(arm.name)) for arm in CURRENT.arms])

    site_path = "subject__site"
    reveals_arm = True

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(arm__in=ARM_CODES), name="allocatedarm_arm_of_protocol"),)

    def __str__(self) -> str:
        return f"Arm of allocation {self.allocation_id}"
