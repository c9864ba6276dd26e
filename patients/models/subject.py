"""The subject, the contacts kept apart from it, and the milestones other apps meet at."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from spinetrial.access.fields import EncryptedTextField
from spinetrial.access.models import StudySite


class Subject(models.Model):
    """A person screened for the trial, known everywhere by the code alone (site code, hyphen, running number)."""

    site = models.ForeignKey(StudySite, models.PROTECT, related_name="+", verbose_name=_("Study site"))
    number = models.PositiveSmallIntegerField(_("Screening number"))
    code = models.CharField(_("Participant"), max_length=16, unique=True)
    first_contact = models.DateField(_("First contact"))

    site_path = "site"
    audit_subject = "id"

    class Meta:
        ordering = ("code",)
        constraints = (models.UniqueConstraint(fields=["site", "number"], name="subject_number_per_site"),)

    def __str__(self) -> str:
        return self.code


class Contact(models.Model):
    """Name and ways to reach the person: encrypted, read at the subject's site only, each reading recorded."""

    subject = models.OneToOneField(Subject, models.PROTECT, related_name="+")
    name = EncryptedTextField(_("Name"), max_length=120)
    telephone = EncryptedTextField(_("Telephone"), max_length=40, blank=True)
    email = EncryptedTextField(_("E-mail"), max_length=120, blank=True)
    hospital_number = EncryptedTextField(_("Hospital number"), max_length=40, blank=True)

    site_path = "subject__site"
    # Not even encrypted: what the trail keeps could never be deleted when the person asks for it.
    audit_not_kept = ("name", "telephone", "email", "hospital_number")
    # No trial data: a person may have them deleted, and keys are changed, after the lock too. `do_change_contact`
    # refuses new ones then.
    survives_lock = True

    def __str__(self) -> str:
        return f"Contact {self.pk}"


class Milestones(models.Model):
    """Dates by which the clinical apps know of each other. Written by `patients.milestones` only."""

    subject = models.OneToOneField(Subject, models.PROTECT, related_name="milestones")
    consent_date = models.DateField(_("Consent"), null=True)
    eligible_on = models.DateField(_("Eligibility confirmed"), null=True)
    not_eligible_on = models.DateField(_("Screen failure"), null=True)
    randomized_on = models.DateField(_("Randomisation"), null=True)
    rt_start = models.DateField(_("First fraction"), null=True)
    rt_end = models.DateField(_("Last fraction"), null=True)
    fractions_given = models.PositiveSmallIntegerField(_("Fractions given"), default=0)
    #: radiotherapy finished or stopped early; until then `rt_end` is only the last fraction so far
    rt_completed = models.BooleanField(default=False)
    #: it is certain that the subject is never irradiated: the visits count from randomisation (D8)
    never_irradiated = models.BooleanField(default=False)
    treatment_withdrawn_on = models.DateField(_("Withdrawn from treatment"), null=True)
    followup_ended_on = models.DateField(_("End of follow-up"), null=True)
    death_date = models.DateField(_("Death"), null=True)
    #: code of the CRF that reported the death first; another CRF with another date raises a query instead
    death_source = models.CharField(max_length=20, blank=True)
    #: irradiated levels in the order of the spine, between spaces; both arms treat the same ones, so they show no arm
    target_levels = models.CharField(_("Target vertebrae"), max_length=200, blank=True)

    site_path = "subject__site"

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(randomized_on__isnull=True) | Q(eligible_on__isnull=False, consent_date__isnull=False),
                name="milestones_randomized_when_eligible",
            ),
            models.CheckConstraint(
                condition=Q(rt_end__isnull=True) | Q(rt_start__isnull=False, rt_end__gte=F("rt_start")),
                name="milestones_rt_in_order",
            ),
            models.CheckConstraint(
                condition=Q(death_date__isnull=True, death_source="")
                | (Q(death_date__isnull=False) & ~Q(death_source="")),
                name="milestones_death_has_source",
            ),
        )

    def __str__(self) -> str:
        return f"Milestones {self.pk}"
