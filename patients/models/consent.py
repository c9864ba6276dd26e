"""Consent, its withdrawal, screen failure and end of study."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.rules import known_codes, since_1900
from spinetrial.protocol import CURRENT, VERSIONS


def protocol_versions() -> list[tuple[str, str]]:
    """Versions a consent form can belong to."""
    return [(version, version) for version in VERSIONS]


def drop_out_reasons() -> list[tuple[str, Any]]:
    """Drop-out reasons of the protocol: code and words."""
    return [(reason.code, _(reason.text)) for reason in CURRENT.drop_out]


def criterion_choices() -> list[tuple[str, Any]]:
    """Eligibility criteria of the protocol: code and statement."""
    return [(criterion.code, _(criterion.text)) for criterion in CURRENT.criteria]


class Signer(models.TextChoices):
    PATIENT = "patient", _("Patient")
    FAMILY = "family", _("Family member")


class Relation(models.TextChoices):
    SPOUSE = "spouse", _("Husband or wife")
    CHILD = "child", _("Son or daughter")
    PARENT = "parent", _("Father or mother")
    SIBLING = "sibling", _("Brother or sister")
    GUARDIAN = "guardian", _("Legal guardian")
    OTHER = "other", _("Other relative")


class MessageLanguage(models.TextChoices):
    CHINESE = "zh-hans", "中文"
    ENGLISH = "en", "English"


class Consent(SubjectRecord):
    """One signed consent (P.CONSENT); a new protocol version asks for another one (D21)."""

    version = models.CharField(_("Protocol version of the consent form"), max_length=12, choices=protocol_versions)
    signed_at = models.DateTimeField(_("Date and time of the signature, local time of the site"))
    signer = models.CharField(_("Signed by"), max_length=8, choices=Signer.choices)
    family_relation = models.CharField(
        _("Relation to the patient"), max_length=10, choices=Relation.choices, blank=True
    )
    family_reason = models.TextField(_("Why the patient did not sign"), max_length=500, blank=True)
    obtained_by = models.CharField(_("Member of staff who obtained the consent"), max_length=120)
    willing_follow_up = yes_no(_("Willing to be followed up"))
    messages_by_email = yes_no(_("Agrees to reminders and questionnaires by e-mail"), blank=True)
    message_language = models.CharField(
        _("Language of these messages"), max_length=8, choices=MessageLanguage.choices, blank=True
    )

    class Meta:
        verbose_name = _("Consent")
        ordering = ("signed_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["subject", "signed_at"],
                name="consent_time_once",
                violation_error_message=_("A consent with this date and time is already recorded."),
            ),
            models.CheckConstraint(
                condition=Q(signer=Signer.FAMILY) & ~Q(family_relation="") & ~Q(family_reason="")
                | Q(signer=Signer.PATIENT, family_relation="", family_reason=""),
                name="consent_family_explained",
                violation_error_message=_("A family member who signs needs a relation and a reason."),
            ),
            known_codes("family_relation", Relation.values, blank=True),
            known_codes("message_language", MessageLanguage.values, blank=True),
            *since_1900("signed_at", times=True),
        )


class Initiator(models.TextChoices):
    PATIENT = "patient", _("Patient or family")
    INVESTIGATOR = "investigator", _("Investigator")


class Withdrawal(SubjectRecord):
    """A drop-out from treatment, follow-up or the use of further data (P.WITHDRAW). Data up to it stay."""

    withdrawn_on = models.DateField(_("Date of the withdrawal"))
    from_treatment = yes_no(_("Withdrawn from the trial treatment"))
    from_followup = yes_no(_("Withdrawn from follow-up"))
    from_data_use = yes_no(_("Forbids the use of data collected later"))
    initiator = models.CharField(_("Decided by"), max_length=12, choices=Initiator.choices)
    reason = models.CharField(_("Reason"), max_length=8, choices=drop_out_reasons)
    adverse_event = models.CharField(_("Adverse event that led to it (term and date)"), max_length=160, blank=True)
    details = models.TextField(_("Details"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("Withdrawal")
        ordering = ("withdrawn_on", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(from_treatment=True) | Q(from_followup=True) | Q(from_data_use=True),
                name="withdrawal_has_scope",
                violation_error_message=_("Answer yes to at least one: treatment, follow-up, use of data."),
            ),
            models.CheckConstraint(
                condition=~Q(reason="DRP3") | ~Q(adverse_event=""),
                name="withdrawal_toxicity_named",
                violation_error_message=_("A withdrawal for toxicity needs the adverse event."),
            ),
            models.CheckConstraint(
                condition=~Q(reason__in=("DRP2", "DRP4")) | ~Q(details=""),
                name="withdrawal_explained",
                violation_error_message=_("This reason needs details."),
            ),
            known_codes("reason", [reason.code for reason in CURRENT.drop_out]),
            known_codes("initiator", Initiator.values),
            *since_1900("withdrawn_on"),
        )


class FailureReason(models.TextChoices):
    CRITERIA = "criteria", _("Does not fulfil the criteria")
    DECLINED = "declined", _("Declined to take part")
    DIED = "died", _("Died")
    WORSENED = "worsened", _("Condition worsened")
    LOST = "lost", _("Could not be reached any more")
    OTHER = "other", _("Other reason")


class ScreenFailure(SubjectRecord):
    """The end of screening without randomisation (P.FAIL), with the reasons the flow diagram counts."""

    failed_on = models.DateField(_("Date"))
    reason = models.CharField(_("Main reason"), max_length=10, choices=FailureReason.choices)
    details = models.TextField(_("Details"), max_length=500, blank=True)
    retracted = models.BooleanField(
        _("Entered by mistake: screening goes on"), default=False, help_text=_("Takes the screen failure back.")
    )

    class Meta:
        verbose_name = _("Screen failure")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            models.CheckConstraint(
                condition=~Q(reason=FailureReason.OTHER) | ~Q(details=""),
                name="screenfailure_other_explained",
                violation_error_message=_("Say what the other reason is."),
            ),
            known_codes("reason", FailureReason.values),
            *since_1900("failed_on"),
        )


class FailedCriterion(RowRecord):
    """A criterion that kept the person out."""

    parent = models.ForeignKey(ScreenFailure, models.PROTECT, related_name="+", editable=False)
    criterion = models.CharField(_("Criterion"), max_length=8, choices=criterion_choices)

    class Meta(RowRecord.Meta):
        verbose_name = _("Failed criterion")
        constraints = (known_codes("criterion", [criterion.code for criterion in CURRENT.criteria]),)


class EndStatus(models.TextChoices):
    COMPLETED = "completed", _("Completed: followed until the closure of the study")
    WITHDRAWN = "withdrawn", _("Withdrawn from follow-up")
    LOST = "lost", _("Lost to follow-up")
    DEAD = "dead", _("Dead")


class DeathCause(models.TextChoices):
    DISEASE = "disease", _("The cancer")
    TREATMENT = "treatment", _("The trial treatment")
    OTHER = "other", _("Another cause")
    UNKNOWN = "unknown", _("Unknown")


class EndOfStudy(SubjectRecord):
    """How and when the follow-up of a randomised participant ended (P.EOS)."""

    status = models.CharField(_("How the study ended"), max_length=10, choices=EndStatus.choices)
    ended_on = models.DateField(
        _("Date"),
        help_text=_("Dead: date of death. Lost: last contact. Otherwise the last day of follow-up."),
    )
    death_cause = models.CharField(_("Cause of death"), max_length=10, choices=DeathCause.choices, blank=True)
    details = models.TextField(_("Details"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("End of study")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            models.CheckConstraint(
                condition=(Q(status=EndStatus.DEAD) & ~Q(death_cause=""))
                | (~Q(status=EndStatus.DEAD) & Q(death_cause="")),
                name="endofstudy_death_has_cause",
                violation_error_message=_("A death needs its cause, and only a death has one."),
            ),
            models.CheckConstraint(
                condition=~Q(death_cause=DeathCause.OTHER) | ~Q(details=""),
                name="endofstudy_other_cause_named",
                violation_error_message=_("Say what the other cause of death is."),
            ),
            known_codes("status", EndStatus.values),
            known_codes("death_cause", DeathCause.values, blank=True),
            *since_1900("ended_on"),
        )
