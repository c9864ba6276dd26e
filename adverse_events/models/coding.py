"""The MedDRA code of an adverse event: one row, whose earlier states are on the audit trail."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from adverse_events.models.event import AdverseEvent
from adverse_events.models.meddra import MeddraVersion
from spinetrial.crf.rules import known_codes


class How(models.TextChoices):
    """How the lowest level term was found."""

    AUTOMATIC = "automatic", _("By the CTCAE code")
    PROPOSED = "proposed", _("Proposal accepted")
    SEARCHED = "searched", _("Found by search")
    CARRIED = "carried", _("Carried to a newer version")


class Coding(models.Model):
    """LLT, PT and primary SOC of an event in one MedDRA version, and the words that were coded.

    The coding is stale once the event's words or its CTCAE term are others. PostgreSQL refuses a code outside the
    version or off its hierarchy, a coder other than who acts, and an approval by the coder (`sql/coding.sql`).
    """

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+", editable=False)
    adverse_event = models.OneToOneField(
        AdverseEvent, models.PROTECT, related_name="+", verbose_name=_("Adverse event")
    )
    version = models.ForeignKey(MeddraVersion, models.PROTECT, related_name="+", verbose_name=_("MedDRA version"))
    llt = models.CharField(_("Lowest level term"), max_length=8)
    pt = models.CharField(_("Preferred term"), max_length=8)
    soc = models.CharField(_("Primary system organ class"), max_length=8)
    how = models.CharField(_("How it was coded"), max_length=9, choices=How.choices)
    verbatim = models.CharField(_("Words that were coded"), max_length=200)
    ctcae_code = models.CharField(_("CTCAE code when it was coded"), max_length=10)
    coded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("Coded by")
    )
    coded_at = models.DateTimeField(_("Coded at"))
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("Approved by")
    )
    approved_at = models.DateTimeField(_("Approved at"), null=True)

    site_path = "subject__site"
    reveals_arm = False

    class Meta:
        verbose_name = _("MedDRA coding")
        constraints = (
            known_codes("how", How.values),
            models.CheckConstraint(
                condition=Q(coded_by__isnull=False) | Q(how=How.AUTOMATIC), name="coding_has_a_coder"
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True, approved_at__isnull=True)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="coding_approval_whole",
            ),
            models.CheckConstraint(condition=~Q(approved_by=F("coded_by")), name="coding_approved_by_another"),
        )

    def __str__(self) -> str:
        return f"{self.llt} ({self.version})"

    @property
    def stale(self) -> bool:
        """Whether the event was given other words or another CTCAE term since it was coded."""
        event = self.adverse_event
        return (event.verbatim, event.ctcae_code) != (self.verbatim, self.ctcae_code)
