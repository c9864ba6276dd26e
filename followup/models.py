"""Follow-up: the visit with its pain score and analgesics, and the imaging read for it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from followup.questionnaire_models import Channel, Invitation, PatientAnalgesic, PatientReport, PendingAnswers
from patients.models import AnalgesicItems, AnalgesicStatus, PainItems
from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import EventRecord, RowRecord
from spinetrial.crf.rules import between, known_codes, only_when, since_1900
from spinetrial.terminology.scales import ECOG_LABELS, genant
from spinetrial.terminology.vertebrae import LEVELS

NOT_ASSESSED = "not_done"


class VisitStatus(models.TextChoices):
    DONE = "done", _("The visit took place")
    MISSED = "missed", _("The visit did not take place")


class MissedReason(models.TextChoices):
    """Why a visit did not take place; the codes are those of `followup.response.NeReason` (D7)."""

    DEAD = "dead", _("The participant had died")
    TOO_ILL = "too_ill", _("Too ill")
    MISSED = "missed", _("Did not come and could not be reached")
    WITHDRAWN = "withdrawn", _("Withdrew from follow-up")
    REFUSED = "refused", _("Refused this visit")
    NOT_DONE = "not_done", _("Not arranged by the study site")


class ScoreMissingReason(models.TextChoices):
    """Why a visit has no pain score; the codes are those of `followup.response.NeReason` (D7).

    But for PATIENT: then there is a score, the participant's own.
    """

    TOO_ILL = "too_ill", _("Too ill to answer")
    REFUSED = "refused", _("Refused to answer")
    NOT_DONE = "not_done", _("Not asked")
    PATIENT = "patient", _("Given by the participant in the questionnaire")


class VisitMode(models.TextChoices):
    CLINIC = "clinic", _("In the clinic or on the ward")
    TELEPHONE = "telephone", _("By telephone")
    PATIENT = "patient", _("By the participant's questionnaire")


#: Who can be examined, and of whom a member of staff can judge the performance.
EXAMINED = (VisitMode.CLINIC.value,)
SPOKEN_TO = (VisitMode.CLINIC.value, VisitMode.TELEPHONE.value)


class Deficit(models.TextChoices):
    NONE = "none", _("None")
    PRESENT = "present", _("Present")
    NOT_DONE = NOT_ASSESSED, _("Not assessed")


class Frankel(models.TextChoices):
    A = "A", _("A - No movement and no feeling below the lesion")
    B = "B", _("B - Feeling preserved, no movement")
    C = "C", _("C - Some movement, of no use")
    D = "D", _("D - Useful movement, weakened")
    E = "E", _("E - Normal movement and feeling")
    NOT_DONE = NOT_ASSESSED, _("Not assessed")


class Bladder(models.TextChoices):
    NORMAL = "normal", _("Normal")
    DISTURBED = "disturbed", _("Disturbed by the spinal disease")
    CATHETER = "catheter", _("Catheter because of the spinal disease")
    NOT_DONE = NOT_ASSESSED, _("Not assessed")


class IndexTreatment(models.TextChoices):
    NONE = "none", _("None")
    RADIOTHERAPY = "radiotherapy", _("Radiotherapy again")
    SURGERY = "surgery", _("Surgery")
    VERTEBROPLASTY = "vertebroplasty", _("Vertebroplasty or kyphoplasty")
    ABLATION = "ablation", _("Ablation")
    OTHER = "other", _("Other")
    UNKNOWN = "unknown", _("Not known")


#: Answers that mean a treatment of the index site; from its date on, pain is not assessable there.
INTERVENTIONS = tuple(
    choice.value for choice in IndexTreatment if choice not in (IndexTreatment.NONE, IndexTreatment.UNKNOWN)
)


class Survival(models.TextChoices):
    ALIVE = "alive", _("Alive")
    DEAD = "dead", _("Dead")
    UNKNOWN = "unknown", _("Not known")


class DeathCause(models.TextChoices):
    DISEASE = "disease", _("The cancer")
    TRIAL_TREATMENT = "trial_treatment", _("The trial's radiotherapy")
    OTHER_TREATMENT = "other_treatment", _("Another treatment of the cancer")
    OTHER = "other", _("Another cause")
    UNKNOWN = "unknown", _("Not known")


ECOG_CHOICES = [(str(grade), _(ECOG_LABELS[grade])) for grade in range(5)] + [(NOT_ASSESSED, _("Not assessed"))]

_DONE = Q(status=VisitStatus.DONE)
_MISSED = Q(status=VisitStatus.MISSED)


class Visit(PainItems, EventRecord):
    """A follow-up visit (F.VISIT), done or missed; the questions on pain are those of the baseline."""

    status = models.CharField(_("Did the visit take place?"), max_length=8, choices=VisitStatus.choices)
    visit_date = models.DateField(_("Date of the visit"), null=True, blank=True)
    mode = models.CharField(_("How was it done?"), max_length=10, choices=VisitMode.choices, blank=True)
    missed_reason = models.CharField(
        _("Why did it not take place?"), max_length=10, choices=MissedReason.choices, blank=True
    )
    nrs_missing = models.CharField(
        _("Why is there no pain score?"),
        max_length=10,
        choices=ScoreMissingReason.choices,
        blank=True,
        help_text=_("Only when no worst pain is given above."),
    )
    motor = models.CharField(_("Motor deficit"), max_length=10, choices=Deficit.choices, blank=True)
    sensory = models.CharField(_("Sensory deficit"), max_length=10, choices=Deficit.choices, blank=True)
    frankel = models.CharField(_("Frankel grade"), max_length=10, choices=Frankel.choices, blank=True)
    bladder = models.CharField(_("Bladder function"), max_length=10, choices=Bladder.choices, blank=True)
    ecog = models.CharField(_("ECOG performance status"), max_length=10, choices=ECOG_CHOICES, blank=True)
    index_treatment = models.CharField(
        _("Further treatment of the index site since the last visit"),
        max_length=16,
        choices=IndexTreatment.choices,
        blank=True,
        help_text=_("If there was more than one, give the first and name the others in the remarks."),
    )
    index_treatment_date = models.DateField(_("Date of that treatment"), null=True, blank=True)
    index_treatment_text = models.CharField(_("Which treatment?"), max_length=200, blank=True)
    new_systemic = yes_no(_("New systemic therapy since the last visit"), blank=True)
    new_systemic_text = models.CharField(_("Which systemic therapy?"), max_length=200, blank=True)
    new_systemic_date = models.DateField(_("Start of the systemic therapy"), null=True, blank=True)
    ae_any = yes_no(
        _("Any adverse event, new or changed, since the last visit?"),
        blank=True,
        help_text=_("If yes, enter each one in its own adverse event form; saving leads to the list of them."),
    )
    survival = models.CharField(_("Survival status"), max_length=8, choices=Survival.choices)
    death_date = models.DateField(_("Date of death"), null=True, blank=True)
    death_cause = models.CharField(_("Cause of death"), max_length=16, choices=DeathCause.choices, blank=True)
    remarks = models.TextField(
        _("Remarks"), max_length=2000, blank=True, help_text=_("No names and no contact particulars.")
    )

    class Meta(EventRecord.Meta):
        verbose_name = _("Follow-up visit")
        constraints = (
            *EventRecord.Meta.constraints,
            *PainItems.Meta.constraints,
            known_codes("status", VisitStatus.values),
            known_codes("mode", VisitMode.values, blank=True),
            known_codes("missed_reason", MissedReason.values, blank=True),
            known_codes("nrs_missing", ScoreMissingReason.values, blank=True),
            known_codes("motor", Deficit.values, blank=True),
            known_codes("sensory", Deficit.values, blank=True),
            known_codes("frankel", Frankel.values, blank=True),
            known_codes("bladder", Bladder.values, blank=True),
            known_codes("ecog", [code for code, _label in ECOG_CHOICES], blank=True),
            known_codes("index_treatment", IndexTreatment.values, blank=True),
            known_codes("survival", Survival.values),
            known_codes("death_cause", DeathCause.values, blank=True),
            *since_1900("visit_date", "index_treatment_date", "new_systemic_date", "death_date"),
            models.CheckConstraint(
                condition=Q(_DONE, visit_date__isnull=False, missed_reason="")
                | (Q(_MISSED, visit_date__isnull=True) & ~Q(missed_reason="")),
                name="visit_done_or_missed",
                violation_error_message=_(
                    "A visit that took place has a date; one that did not has the reason instead."
                ),
            ),
            models.CheckConstraint(
                condition=Q(_DONE, nrs_worst__isnull=False, nrs_missing="")
                | (Q(_DONE, nrs_worst__isnull=True) & ~Q(nrs_missing=""))
                | Q(_MISSED, nrs_worst__isnull=True, nrs_missing=""),
                name="visit_score_or_reason",
                violation_error_message=_("Give the worst pain, or say why there is none; not both."),
            ),
            models.CheckConstraint(
                condition=(_DONE & ~Q(analgesics="") & ~Q(mode=""))
                | Q(
                    _MISSED,
                    analgesics="",
                    mode="",
                    index_treatment="",
                    nrs_average__isnull=True,
                    nrs_current__isnull=True,
                ),
                name="visit_questions_of_done",
                violation_error_message=_("A visit that took place says how, and whether analgesics were taken."),
            ),
            models.CheckConstraint(
                condition=Q(mode__in=EXAMINED) | Q(motor="", sensory="", frankel=""),
                name="visit_examined_in_the_clinic",
                violation_error_message=_("Motor, sensory and Frankel findings need an examination in the clinic."),
            ),
            models.CheckConstraint(
                condition=Q(mode__in=SPOKEN_TO) | Q(ecog="", bladder="", ae_any__isnull=True),
                name="visit_asked_by_staff",
                violation_error_message=_(
                    "Bladder function, ECOG and adverse events are asked in the clinic or by telephone."
                ),
            ),
            models.CheckConstraint(
                condition=(Q(survival=Survival.DEAD, death_date__isnull=False) & ~Q(death_cause=""))
                | (~Q(survival=Survival.DEAD) & Q(death_date__isnull=True, death_cause="")),
                name="visit_death_has_date",
                violation_error_message=_("A death has a date and a cause; “not known” is a cause."),
            ),
            models.CheckConstraint(
                condition=~Q(missed_reason=MissedReason.DEAD) | Q(survival=Survival.DEAD),
                name="visit_missed_by_death",
                violation_error_message=_("The visit is missed because of death: give the date of death."),
            ),
            models.CheckConstraint(
                condition=Q(death_date__isnull=True) | Q(visit_date__isnull=True) | Q(death_date__gte=F("visit_date")),
                name="visit_before_death",
                violation_error_message=_("The visit is dated after the death."),
            ),
            models.CheckConstraint(
                condition=Q(index_treatment__in=INTERVENTIONS, index_treatment_date__isnull=False)
                | (~Q(index_treatment__in=INTERVENTIONS) & Q(index_treatment_date__isnull=True)),
                name="visit_index_treatment_dated",
                violation_error_message=_("A treatment of the index site has a date."),
            ),
            models.CheckConstraint(
                condition=Q(index_treatment_date__isnull=True) | Q(index_treatment_date__lte=F("visit_date")),
                name="visit_index_treatment_before",
                violation_error_message=_("The treatment of the index site is dated after the visit."),
            ),
            only_when(
                # NULL would make the whole condition NULL, which a check constraint lets pass
                Q(new_systemic=True, new_systemic__isnull=False),
                "new_systemic_date",
                name="systemic_dated",
                message=_("The start of a systemic therapy is given although there is none."),
            ),
        )

    @property
    def done(self) -> bool:
        return self.status == VisitStatus.DONE

    def clean(self) -> None:
        """Put the messages of rules on two fields at the field where the answer is looked for."""
        super().clean()
        errors: dict[str, Any] = {}
        if self.status == VisitStatus.DONE:
            if self.nrs_worst is None and not self.nrs_missing:
                errors["nrs_worst"] = _("Give the worst pain, or say below why there is none.")
            elif self.nrs_worst is not None and self.nrs_missing:
                errors["nrs_missing"] = _("There is a pain score: leave this blank.")
            if self.death_date and self.visit_date and self.death_date < self.visit_date:
                errors["death_date"] = _("The death is dated before this visit.")
            if self.index_treatment_date and self.visit_date and self.index_treatment_date > self.visit_date:
                errors["index_treatment_date"] = _("The treatment is dated after this visit.")
        elif self.missed_reason == MissedReason.DEAD and self.survival and self.survival != Survival.DEAD:
            errors["survival"] = _("The visit is missed because of death: the survival status is “dead”.")
        if errors:
            raise ValidationError(errors)


class VisitAnalgesic(AnalgesicItems):
    """An analgesic taken in the 24 hours before a visit."""

    parent = models.ForeignKey(Visit, models.PROTECT, related_name="+", editable=False)

    class Meta(AnalgesicItems.Meta):
        verbose_name = _("Analgesic at a visit")


class ImagingStatus(models.TextChoices):
    DONE = "done", _("Done")
    NOT_DONE = "not_done", _("Not done")


class ImagingMissing(models.TextChoices):
    DEAD = "dead", _("The participant had died")
    TOO_ILL = "too_ill", _("Too ill")
    REFUSED = "refused", _("Refused")
    WITHDRAWN = "withdrawn", _("Withdrew from follow-up")
    NOT_ORDERED = "not_ordered", _("Not ordered")
    OTHER = "other", _("Another reason")


class Modality(models.TextChoices):
    MRI = "mri", _("MRI")
    CT = "ct", _("CT")
    MRI_CT = "mri_ct", _("MRI and CT")
    PET_CT = "pet_ct", _("PET-CT")
    XRAY = "xray", _("X-ray")


class CordGrade(models.TextChoices):
    """RTOG/EORTC late injury of the spinal cord, in our own short words."""

    G1 = "1", _("1 - Mild Lhermitte's sign")
    G2 = "2", _("2 - Severe Lhermitte's sign")
    G3 = "3", _("3 - Objective signs at or below the treated level")
    G4 = "4", _("4 - Paralysis of one or more limbs")
    G5 = "5", _("5 - Death by it")


class Reader(models.TextChoices):
    RADIOLOGIST = "radiologist", _("Radiologist")
    ONCOLOGIST = "oncologist", _("Radiation oncologist")
    BOTH = "both", _("Radiologist and radiation oncologist together")
    ASSESSOR = "assessor", _("Imaging assessor who does not know the arm")


class Imaging(EventRecord):
    """Imaging of the spine read for a follow-up visit (F.IMAGING)."""

    status = models.CharField(_("Imaging of the spine"), max_length=10, choices=ImagingStatus.choices)
    not_done_reason = models.CharField(
        _("Why was it not done?"), max_length=12, choices=ImagingMissing.choices, blank=True
    )
    imaging_date = models.DateField(_("Date of the imaging"), null=True, blank=True)
    modality = models.CharField(_("Modality"), max_length=8, choices=Modality.choices, blank=True)
    read_by = models.CharField(_("Read by"), max_length=12, choices=Reader.choices, blank=True)
    reader_initials = models.CharField(_("Initials of the reader"), max_length=10, blank=True)
    cord_injury = yes_no(
        _("Any sign of injury of the spinal cord by radiation?"),
        blank=True,
        help_text=_("Signal change in the treated field or a matching clinical sign, not explained by progression."),
    )
    cord_grade = models.CharField(
        _("Grade of the cord injury (RTOG/EORTC)"), max_length=2, choices=CordGrade.choices, blank=True
    )

    class Meta(EventRecord.Meta):
        verbose_name = _("Follow-up imaging")
        constraints = (
            *EventRecord.Meta.constraints,
            known_codes("status", ImagingStatus.values),
            known_codes("not_done_reason", ImagingMissing.values, blank=True),
            known_codes("modality", Modality.values, blank=True),
            known_codes("read_by", Reader.values, blank=True),
            known_codes("cord_grade", CordGrade.values, blank=True),
            *since_1900("imaging_date"),
            models.CheckConstraint(
                condition=(
                    Q(status=ImagingStatus.DONE, imaging_date__isnull=False, not_done_reason="") & ~Q(modality="")
                )
                | (
                    Q(status=ImagingStatus.NOT_DONE, imaging_date__isnull=True, modality="", cord_injury__isnull=True)
                    & ~Q(not_done_reason="")
                ),
                name="imaging_done_or_reason",
                violation_error_message=_("Imaging has a date and a modality; without imaging there is a reason."),
            ),
            models.CheckConstraint(
                condition=(Q(cord_injury=True) & ~Q(cord_grade=""))
                | ((Q(cord_injury=False) | Q(cord_injury__isnull=True)) & Q(cord_grade="")),
                name="imaging_cord_injury_graded",
                violation_error_message=_("An injury of the cord has a grade."),
            ),
        )

    @property
    def done(self) -> bool:
        return self.status == ImagingStatus.DONE


class Fracture(models.TextChoices):
    NONE = "none", _("None")
    NEW = "new", _("New: not there before")
    PROGRESSIVE = "progressive", _("Progressive: there before, now worse")
    NOT_ASSESSABLE = "not_assessable", _("Not assessable")


class LocalControl(models.TextChoices):
    """SPINO (Thibault 2015): progression only by clear growth; in doubt the imaging is repeated."""

    CONTROLLED = "controlled", _("Controlled: no progression in the treated area")
    PROGRESSION = "progression", _("Local progression")
    EQUIVOCAL = "equivocal", _("In doubt: repeat after 6 to 8 weeks")
    NOT_ASSESSABLE = "not_assessable", _("Not assessable")


class ImagedVertebra(RowRecord):
    """One vertebra as read on follow-up imaging. The Genant grade follows from the height loss."""

    parent = models.ForeignKey(Imaging, models.PROTECT, related_name="+", editable=False)
    level = models.CharField(_("Level"), max_length=3, choices=[(level, level) for level in LEVELS])
    height_loss = models.DecimalField(
        _("Loss of body height"),
        max_digits=4,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("Leave blank when it cannot be measured."),
    )
    fracture = models.CharField(_("Vertebral compression fracture"), max_length=16, choices=Fracture.choices)
    symptomatic = yes_no(_("Does the fracture hurt or harm?"), blank=True)
    local_control = models.CharField(_("Local control (SPINO)"), max_length=16, choices=LocalControl.choices)
    density_hu = models.SmallIntegerField(
        _("Bone density"), null=True, blank=True, validators=[MinValueValidator(-1000), MaxValueValidator(3000)]
    )

    class Meta(RowRecord.Meta):
        verbose_name = _("Vertebra on follow-up imaging")
        constraints = (
            # Deferred, so that two rows can exchange their levels in one save.
            models.UniqueConstraint(
                fields=["parent", "level"], name="imagedvertebra_level_once", deferrable=models.Deferrable.DEFERRED
            ),
            known_codes("level", list(LEVELS)),
            known_codes("fracture", Fracture.values),
            known_codes("local_control", LocalControl.values),
            between("height_loss", 0, 100, _("Loss of height lies between 0 and 100 per cent.")),
            between("density_hu", -1000, 3000, _("Bone density lies between -1000 and 3000 HU.")),
            models.CheckConstraint(
                condition=Q(fracture__in=[Fracture.NEW, Fracture.PROGRESSIVE], symptomatic__isnull=False)
                | (Q(fracture__in=[Fracture.NONE, Fracture.NOT_ASSESSABLE]) & Q(symptomatic__isnull=True)),
                name="imagedvertebra_fracture_symptom",
                violation_error_message=_("Say for a fracture, and only for one, whether it has symptoms."),
            ),
        )

    @property
    def genant(self) -> str:
        """Genant grade of the height loss; empty when it was not measured."""
        return "" if self.height_loss is None else genant(float(self.height_loss))


__all__ = [
    "INTERVENTIONS",
    "AnalgesicStatus",
    "Channel",
    "ImagedVertebra",
    "Imaging",
    "IndexTreatment",
    "Invitation",
    "MissedReason",
    "PatientAnalgesic",
    "PatientReport",
    "PendingAnswers",
    "Survival",
    "Visit",
    "VisitAnalgesic",
    "VisitStatus",
]
