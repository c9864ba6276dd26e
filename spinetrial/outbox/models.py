"""Messages that go out by e-mail: one row each, planned once, sent by lease, visible until the end of the trial."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial.access.models import StudySite


class MessageState(models.TextChoices):
    PLANNED = "planned", _("To be sent")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Could not be sent")
    STOPPED = "stopped", _("Stopped")


class Message(models.Model):
    """One e-mail to one person. The row is the job: no broker can lose it, and `key` keeps it from being made twice.

    Whoever sends takes a lease; a crash leaves a lease that runs out. After a failed attempt `lease_until` is the time
    of the next one. No row holds a name, an address or an arm: the text is made when it is sent.
    """

    kind = models.CharField(_("Kind"), max_length=30)  # a code of `spinetrial.outbox.kinds`
    key = models.CharField(max_length=120, unique=True)  # what makes it the same message, whoever plans it
    site = models.ForeignKey(StudySite, models.PROTECT, related_name="+", verbose_name=_("Study site"))
    subject = models.ForeignKey("patients.Subject", models.PROTECT, null=True, related_name="+")
    event = models.CharField(max_length=8, blank=True)
    record_id = models.BigIntegerField(null=True)  # of what the kind is about, such as an adverse event
    #: visits a digest names: [number of the participant, event]
    about = models.JSONField(default=list)
    recipient = models.ForeignKey(  # nobody: the participant
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("Recipient")
    )
    due = models.DateField(_("Of the day"))  # at the site
    not_before = models.DateTimeField()
    state = models.CharField(_("State"), max_length=8, choices=MessageState.choices, default=MessageState.PLANNED)
    why = models.CharField(max_length=200, blank=True)  # why it was stopped or failed; translated when shown
    attempts = models.PositiveSmallIntegerField(_("Attempts"), default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(_("Sent at"), null=True)

    site_path = "site"
    survives_lock = True

    class Meta:
        ordering = ("-due", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(state__in=MessageState.values), name="message_state_known"),
            models.CheckConstraint(
                condition=Q(state=MessageState.SENT, sent_at__isnull=False)
                | (~Q(state=MessageState.SENT) & Q(sent_at__isnull=True)),
                name="message_sent_has_time",
            ),
            models.CheckConstraint(condition=~Q(state=MessageState.STOPPED, why=""), name="message_stopped_says_why"),
            models.CheckConstraint(condition=~Q(kind="") & ~Q(key=""), name="message_is_named"),
        )
        indexes = (
            models.Index(fields=["not_before", "id"], condition=Q(state="planned"), name="message_to_send"),
            models.Index(fields=["subject", "event"], name="message_subject_event"),
        )

    def __str__(self) -> str:
        return f"Message {self.pk}"
