"""Queries, explanations, verifications and signatures.

They live beside the data, not in it, so that they outlive a freeze. A record is named by the code of its CRF and its
number. PostgreSQL ends a verification or a signature when what it speaks of changes, whatever path the change comes
by (`spinetrial/crf/sql/records.sql`).
"""

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
    match = models.CharField(max_length=60, blank=True)  # which of several matches of one check, such as a row
    text = models.TextField(_("Question"), max_length=1000)
    state = models.CharField(_("State"), max_length=10, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("Opened"))
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("Assigned to")
    )
    answered_at = models.DateTimeField(_("First answered"), null=True)
    closed_at = models.DateTimeField(_("Closed"), null=True)

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        ordering = ("opened_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["spec_code", "record_id", "check_code", "match"],
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


class OnRecord(models.Model):
    """Base of what is said about one CRF record."""

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    spec_code = models.CharField(max_length=20)
    record_id = models.BigIntegerField()
    event = models.CharField(max_length=8)

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        abstract = True


class Explanation(OnRecord):
    """Why a value that breaks a must-explain check stands. Ends when the check holds again."""

    check_code = models.CharField(max_length=60)
    match = models.CharField(max_length=60, blank=True)
    item = models.CharField(max_length=60)
    text = models.TextField(_("Explanation"), max_length=1000)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["spec_code", "record_id", "check_code", "match"],
                condition=Q(ended_at__isnull=True),
                name="explanation_one_live_per_check",
            ),
        )

    def __str__(self) -> str:
        return f"Explanation {self.pk}"


class Verification(OnRecord):
    """A monitor compared one item (or group of rows) with the source. Dropped when the value changes."""

    item = models.CharField(max_length=60)
    verified_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    verified_at = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["spec_code", "record_id", "item"],
                condition=Q(dropped_at__isnull=True),
                name="verification_one_live_per_item",
            ),
        )
        indexes = (models.Index(fields=["subject", "spec_code", "record_id"], name="verification_record"),)

    def __str__(self) -> str:
        return f"Verification {self.pk}"


class Certification(models.Model):
    """A person agreed once that their electronic signature binds like one by hand."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    version = models.CharField(max_length=10)
    text_sha256 = models.CharField(max_length=64)
    accepted_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "version"], name="certification_once"),)

    def __str__(self) -> str:
        return f"Certification {self.pk}"


class Signature(models.Model):
    """An act of signing: who, when, meaning what. What was signed are its SignedRecords."""

    class Meaning(models.TextChoices):
        REVIEWED = "reviewed", _("I have reviewed these data and they are accurate and complete.")
        AUTHORED = "authored", _("I entered or supervised these data and answer for them.")
        APPROVED = "approved", _("I approve these data for analysis.")

    class Scope(models.TextChoices):
        FORM = "form", _("Form")
        VISIT = "visit", _("Visit")
        SUBJECT = "subject", _("Participant")

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    scope = models.CharField(max_length=8, choices=Scope.choices)
    event = models.CharField(max_length=8, blank=True)
    meaning = models.CharField(_("Meaning"), max_length=10, choices=Meaning.choices)
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    signer_name = models.CharField(_("Signed by"), max_length=120)
    signed_at = models.DateTimeField(_("Signed at"))

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        ordering = ("signed_at", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(meaning__in=["reviewed", "authored", "approved"], scope__in=["form", "visit", "subject"]),
                name="signature_known",
            ),
        )

    def __str__(self) -> str:
        return f"Signature {self.pk}"


class SignedRecord(OnRecord):
    """One record under a signature, with the hash of the exact version; `void_at` once it changed."""

    signature = models.ForeignKey(Signature, models.PROTECT, related_name="records")
    row_version = models.PositiveIntegerField()
    record_hash = models.CharField(max_length=64)
    void_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)  # when the signer was told that it is void

    class Meta:
        indexes = (models.Index(fields=["subject", "spec_code", "record_id"], name="signedrecord_record"),)

    def __str__(self) -> str:
        return f"SignedRecord {self.pk}"


class Freeze(models.Model):
    """Cleaned data of one participant that may not change: a form (`spec_code`), a visit (`event`) or everything.

    In force until it is lifted; PostgreSQL refuses writes meanwhile (`sql/guard.sql`).
    """

    subject = models.ForeignKey("patients.Subject", models.PROTECT, related_name="+")
    spec_code = models.CharField(max_length=20, blank=True)
    record_id = models.BigIntegerField(null=True)
    event = models.CharField(max_length=8, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField()
    reason = models.TextField(_("Reason"), max_length=500)
    lifted_at = models.DateTimeField(null=True)

    site_path = "subject__site"
    survives_lock = True

    class Meta:
        ordering = ("at", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(spec_code="", record_id__isnull=True) | (~Q(spec_code="") & Q(record_id__isnull=False)),
                name="freeze_form_has_record",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="freeze_has_reason"),
            models.UniqueConstraint(
                fields=["subject", "spec_code", "record_id", "event"],
                condition=Q(lifted_at__isnull=True),
                nulls_distinct=False,
                name="freeze_one_live_per_part",
            ),
        )

    def __str__(self) -> str:
        return f"Freeze {self.pk}"
