"""The investigator's answers to the eligibility criteria, with what the program proposed and from which inputs."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.consent import criterion_choices
from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.rules import between, known_codes, since_1900
from spinetrial.protocol import CURRENT
from spinetrial.protocol.eligibility import Verdict


class CriterionAnswer(models.TextChoices):
    """About the criterion's statement: yes to an exclusion means that it excludes."""

    YES = "yes", _("True")
    NO = "no", _("Not true")
    UNKNOWN = "unknown", _("Unknown")


class Eligibility(SubjectRecord):
    """Screening against the criteria (P.SCREEN). Its own columns are the investigator's estimates and judgements."""

    first_procedure_on = models.DateField(
        _("Date of the first trial procedure"),
        null=True,
        blank=True,
        help_text=_("The first act done for the trial only, such as a trial questionnaire; not routine care."),
    )
    serious_chronic_disease = yes_no(_("Serious chronic disease (hypertension, diabetes, heart disease)"), blank=True)
    rt_contraindication = yes_no(_("Contraindication to radiotherapy"), blank=True)
    expected_survival_months = models.PositiveSmallIntegerField(
        _("Expected survival"), null=True, blank=True, validators=[MaxValueValidator(240)]
    )
    active_bleeding = yes_no(_("Active bleeding from disturbed clotting"), blank=True)
    large_vessel_tumour = yes_no(_("Tumour in a large vessel with a likely fatal bleeding"), blank=True)
    drug_abuse = yes_no(_("Drug abuse that cannot be stopped"), blank=True)
    mental_disorder = yes_no(_("Mental disorder"), blank=True)
    other_serious_disease = yes_no(_("Another serious disease that forbids taking part"), blank=True)
    confirmed = models.BooleanField(_("Eligibility confirmed by the investigator"), default=False)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("Confirmed by"),
    )
    confirmed_at = models.DateTimeField(_("Confirmed"), null=True, editable=False)

    class Meta:
        verbose_name = _("Eligibility")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            between("expected_survival_months", 0, 240, _("The expected survival is a number of months up to 240.")),
            models.CheckConstraint(
                condition=Q(confirmed=False) | Q(confirmed_by__isnull=False, confirmed_at__isnull=False),
                name="eligibility_confirmed_by_someone",
            ),
            *since_1900("first_procedure_on"),
        )


class EligibilityAnswer(RowRecord):
    """One criterion: what the program found from which inputs, and the word of the investigator."""

    parent = models.ForeignKey(Eligibility, models.PROTECT, related_name="+", editable=False)
    criterion = models.CharField(_("Criterion"), max_length=8, choices=criterion_choices)
    answer = models.CharField(_("Answer"), max_length=8, choices=CriterionAnswer.choices, blank=True)
    reason = models.TextField(_("Reason of the judgement"), max_length=1000, blank=True)
    #: digest of the inputs the investigator saw when answering; other inputs make the answer void
    seen = models.CharField(_("Inputs the answer was given on"), max_length=16, blank=True)
    verdict = models.CharField(_("Finding of the program"), max_length=16, editable=False, blank=True)
    inputs = models.JSONField(_("Inputs"), editable=False, default=dict)
    protocol_version = models.CharField(_("Version of the rule"), max_length=12, editable=False, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("Answered by"),
    )
    answered_at = models.DateTimeField(_("Answered"), null=True, editable=False)

    class Meta(RowRecord.Meta):
        verbose_name = _("Answer to a criterion")
        constraints = (
            models.UniqueConstraint(fields=["parent", "criterion"], name="%(class)s_once"),
            models.CheckConstraint(
                condition=Q(answer="") | Q(answered_by__isnull=False, answered_at__isnull=False),
                name="eligibilityanswer_signed",
            ),
            known_codes("criterion", [criterion.code for criterion in CURRENT.criteria]),
            known_codes("answer", CriterionAnswer.values, blank=True),
            known_codes("verdict", [verdict.value for verdict in Verdict], blank=True),
        )
