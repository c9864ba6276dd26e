"""Reports of serious events: versions that never change once signed, and why a deadline was missed."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from adverse_events.models.event import AdverseEvent
from spinetrial.crf.rules import known_codes, since_1900
from spinetrial.protocol import CURRENT


class ReportKind(models.TextChoices):
    INITIAL = "initial", _("Initial report")
    FOLLOW_UP = "follow_up", _("Follow-up report")
    FINAL = "final", _("Final report")


class SaeReport(models.Model):
    """One signed version of the report of a serious event.

    `content` is canonical JSON of everything that is printed; PostgreSQL checks `sha256` against it and refuses any
    later change of what was signed (`sql/reports.sql`). Only what happens to the report afterwards is added: when it
    was sent to the sponsor and to the authority, the authority's reference, its acknowledgement.
    """

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    event = models.ForeignKey(AdverseEvent, models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField(_("Version"))
    kind = models.CharField(_("Kind"), max_length=10, choices=ReportKind.choices)
    content = models.TextField()
    sha256 = models.CharField("SHA-256", max_length=64)
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    signer_name = models.CharField(_("Signed by"), max_length=120)
    signed_at = models.DateTimeField(_("Signed at"))
    submitted_at = models.DateTimeField(
        _("Sent to the sponsor"), null=True, blank=True, help_text=_("The first one sent stops the 24-hour clock.")
    )
    authority_sent_at = models.DateTimeField(_("Sent to the authority"), null=True, blank=True)
    authority_reference = models.CharField(_("Reference of the authority"), max_length=80, blank=True)
    acknowledged_at = models.DateTimeField(_("Receipt acknowledged"), null=True, blank=True)

    site_path = "subject__site"
    # The duty to report goes on while the data are frozen and after they are locked.
    survives_lock = True

    class Meta:
        verbose_name = _("Report of a serious event")
        ordering = ("event", "number")
        constraints = (
            models.UniqueConstraint(fields=["event", "number"], name="saereport_number_once"),
            models.CheckConstraint(
                condition=Q(number=1, kind=ReportKind.INITIAL)
                | Q(number__gt=1, kind__in=[ReportKind.FOLLOW_UP, ReportKind.FINAL]),
                name="saereport_first_is_initial",
            ),
            models.CheckConstraint(
                condition=Q(authority_reference="") | Q(authority_sent_at__isnull=False),
                name="saereport_reference_after_sending",
                violation_error_message=_("A reference of the authority needs the time the report was sent there."),
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at__isnull=True)
                | Q(submitted_at__isnull=False, acknowledged_at__gte=F("submitted_at"))
                | Q(authority_sent_at__isnull=False, acknowledged_at__gte=F("authority_sent_at")),
                name="saereport_acknowledged_after_sending",
                violation_error_message=_("The acknowledgement is dated before the report was sent."),
            ),
            *since_1900("submitted_at", "authority_sent_at", "acknowledged_at", times=True),
        )

    def __str__(self) -> str:
        return f"SAE report {self.event_id}.{self.number}"

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content as it was signed."""
        found: dict[str, Any] = json.loads(self.content)
        return found


class MissReason(models.TextChoices):
    UNRECOGNISED = "unrecognised", _("The event was not recognised as serious at first")
    INCOMPLETE = "incomplete", _("Information was awaited")
    STAFF = "staff", _("Nobody who reports was available")
    SYSTEM = "system", _("This system or the network failed")
    OTHER = "other", _("Another reason")


class MissedDeadline(models.Model):
    """Why a reporting deadline passed without a report: said once per event and clock, by whom and when."""

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    event = models.ForeignKey(AdverseEvent, models.PROTECT, related_name="+")
    clock = models.CharField(_("Deadline"), max_length=20)  # code of the protocol's clock
    due_at = models.DateTimeField(_("Due"))
    reason = models.CharField(_("Why was it missed?"), max_length=14, choices=MissReason.choices)
    words = models.TextField(
        _("In words, and what is done so that it does not happen again"),
        max_length=1000,
        help_text=_("No names and no contact particulars."),
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField()

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        verbose_name = _("Missed deadline")
        ordering = ("due_at", "id")
        constraints = (
            models.UniqueConstraint(fields=["event", "clock"], name="misseddeadline_once"),
            models.CheckConstraint(condition=~Q(words=""), name="misseddeadline_has_words"),
            known_codes("reason", MissReason.values),
            known_codes("clock", [clock.code for clock in CURRENT.safety_clocks]),
        )

    def __str__(self) -> str:
        return f"Missed deadline {self.pk}"
