"""Queries on data. Their state lives beside the data, not in it, so that they outlive a freeze."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Query(models.Model):
    """A question about one item of one CRF record, raised by an edit check or a person."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ANSWERED = "answered", _("Answered")
        CLOSED = "closed", _("Closed")
        CANCELLED = "cancelled", _("Cancelled")

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    spec_code = models.CharField(max_length=20)
    record_id = models.BigIntegerField()
    event = models.CharField(max_length=8)
    item = models.CharField(max_length=60)
    check_code = models.CharField(max_length=60, blank=True)
    text = models.TextField(_("Question"), max_length=1000)
    state = models.CharField(_("State"), max_length=10, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("Opened"))
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(_("Closed"), null=True)

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        ordering = ("opened_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["spec_code", "record_id", "check_code"],
                condition=~Q(check_code="") & Q(state__in=["open", "answered"]),
                name="query_one_live_per_check",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "answered"], closed_at__isnull=True)
                | Q(state__in=["closed", "cancelled"], closed_at__isnull=False),
                name="query_closed_has_time",
            ),
        )
        indexes = (models.Index(fields=["subject", "state"], name="query_subject_state"),)

    def __str__(self) -> str:
        return f"Query {self.pk}"

    @property
    def live(self) -> bool:
        return self.state in (self.State.OPEN, self.State.ANSWERED)


class QueryMessage(models.Model):
    """One message of a query's thread."""

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    query = models.ForeignKey(Query, models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    text = models.TextField(_("Message"), max_length=2000)

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"Message {self.pk}"
