"""The participant's questionnaire: the invitation, what is answered so far, and the report it ends in (F.EPRO)."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models import AnalgesicItems, AnalgesicStatus, PainItems, Subject
from spinetrial.crf.models import EventRecord
from spinetrial.crf.rules import between, known_codes, since_1900

#: Languages a participant can answer in; the codes are those of settings.LANGUAGES.
LANGUAGES = (("zh-hans", "中文"), ("en", "English"))
LANGUAGE_CODES = [code for code, _label in LANGUAGES]


class Channel(models.TextChoices):
    PAPER = "paper", _("Printed code")
    EMAIL = "email", _("E-mail")
    TABLET = "tablet", _("Tablet at the study site")


class Invitation(models.Model):
    """The right to answer the questionnaire of one visit; its signed link is computed from it and never stored.

    One at a time per visit: a new link is made by revoking the one before.
    """

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="+")
    event = models.CharField(max_length=8)
    channel = models.CharField(_("Made for"), max_length=8, choices=Channel.choices)
    made_at = models.DateTimeField(_("Made at"))
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, verbose_name=_("Made by")
    )
    expires = models.DateField(_("Usable until"))
    language = models.CharField(max_length=8, choices=LANGUAGES, blank=True)
    opened_at = models.DateTimeField(_("First used at"), null=True)
    submitted_at = models.DateTimeField(_("Answered at"), null=True)
    revoked_at = models.DateTimeField(_("Revoked at"), null=True)

    site_path = "subject__site"
    # Revoking must stay possible when the data are clean; an answer is refused then all the same.
    survives_lock = True

    class Meta:
        verbose_name = _("Invitation to the questionnaire")
        ordering = ("-made_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["subject", "event"], condition=Q(revoked_at__isnull=True), name="invitation_one_in_force"
            ),
            known_codes("channel", Channel.values),
            known_codes("language", LANGUAGE_CODES, blank=True),
            models.CheckConstraint(
                condition=Q(submitted_at__isnull=True) | Q(opened_at__isnull=False, submitted_at__gte=F("opened_at")),
                name="invitation_opened_before_submitted",
            ),
            models.CheckConstraint(
                condition=Q(submitted_at__isnull=True) | Q(revoked_at__isnull=True),
                name="invitation_answered_stays",
            ),
        )

    def __str__(self) -> str:
        return f"Invitation {self.pk}"


class PendingAnswers(models.Model):
    """What a participant answered and did not confirm yet. Not trial data: it enters no export and no trail.

    `data`: language, nrs, analgesics, taken (rows of medicines); a key that is not there is not answered.
    """

    invitation = models.OneToOneField(Invitation, models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)
    saved_at = models.DateTimeField()

    site_path = "invitation__subject__site"
    survives_lock = True

    def __str__(self) -> str:
        return f"Pending answers {self.pk}"


class PatientReport(PainItems, EventRecord):
    """What the participant answered, once and for good (F.EPRO). PostgreSQL refuses every change of it."""

    nrs_average = None  # not asked here
    nrs_current = None
    answered_on = models.DateField(_("Date of the answers"))
    channel = models.CharField(_("Answered by"), max_length=8, choices=Channel.choices)
    language = models.CharField(_("Language of the answers"), max_length=8, choices=LANGUAGES)
    #: rows of analgesics given with it; no row can be added later
    rows_given = models.PositiveSmallIntegerField(_("Number of analgesics listed"), default=0, editable=False)

    class Meta(EventRecord.Meta):
        verbose_name = _("Participant's questionnaire")
        constraints = (
            *EventRecord.Meta.constraints,
            between("nrs_worst", 0, 10, _("A pain score is a whole number from 0 to 10.")),
            known_codes("analgesics", AnalgesicStatus.values),
            known_codes("channel", Channel.values),
            known_codes("language", LANGUAGE_CODES),
            *since_1900("answered_on"),
            models.CheckConstraint(
                condition=Q(nrs_worst__isnull=False),
                name="patientreport_has_score",
                violation_error_message=_("Give the worst pain."),
            ),
            models.CheckConstraint(
                condition=Q(analgesics=AnalgesicStatus.SOME, rows_given__gt=0)
                | (~Q(analgesics=AnalgesicStatus.SOME) & Q(rows_given=0)),
                name="patientreport_rows_fit",
            ),
        )


class PatientAnalgesic(AnalgesicItems):
    """An analgesic the participant reported for the last 24 hours."""

    parent = models.ForeignKey(PatientReport, models.PROTECT, related_name="+", editable=False)

    class Meta(AnalgesicItems.Meta):
        verbose_name = _("Analgesic in the participant's questionnaire")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            *AnalgesicItems.Meta.constraints,
            models.UniqueConstraint(fields=["parent", "position"], name="patientanalgesic_place_once"),
        )


__all__ = ["LANGUAGES", "Channel", "Invitation", "PatientAnalgesic", "PatientReport", "PendingAnswers"]
