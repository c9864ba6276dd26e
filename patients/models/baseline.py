"""Baseline: who the patient is, the tumour, the sites of disease, status and history."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Deferrable, Q
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.rules import between, known_codes, only_when, since_1900
from spinetrial.terminology.vertebrae import LEVELS


def level_choices() -> list[tuple[str, str]]:
    """Vertebral levels C1 to S5."""
    return [(level, level) for level in LEVELS]


def _whole(label: Any, low: int, high: int, **options: Any) -> models.PositiveSmallIntegerField[Any, Any]:
    """A whole number with its limits checked at the field; `between` holds them in the database."""
    return models.PositiveSmallIntegerField(
        label, validators=[MinValueValidator(low), MaxValueValidator(high)], **options
    )


def _decimal(label: Any, low: int, high: int, **options: Any) -> models.DecimalField[Any, Any]:
    """A number with one decimal place and its limits checked at the field."""
    return models.DecimalField(
        label,
        max_digits=5,
        decimal_places=1,
        validators=[MinValueValidator(low), MaxValueValidator(high)],
        **options,
    )


_OUTSIDE = _("This value is outside what is possible.")


class Sex(models.TextChoices):
    FEMALE = "female", _("Female")
    MALE = "male", _("Male")


class Demographics(SubjectRecord):
    """Birth date, sex and height (P.DM)."""

    birth_date = models.DateField(_("Date of birth"))
    sex = models.CharField(_("Sex"), max_length=6, choices=Sex.choices)
    height_cm = _whole(_("Height"), 80, 230, null=True, blank=True)

    class Meta:
        verbose_name = _("Demographics")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            known_codes("sex", Sex.values),
            between("height_cm", 80, 230, _OUTSIDE),
            *since_1900("birth_date"),
        )


class PrimarySite(models.TextChoices):
    LUNG = "lung", _("Lung")
    BREAST = "breast", _("Breast")
    PROSTATE = "prostate", _("Prostate")
    KIDNEY = "kidney", _("Kidney")
    LIVER = "liver", _("Liver")
    COLORECTUM = "colorectum", _("Colon or rectum")
    STOMACH = "stomach", _("Stomach")
    OESOPHAGUS = "oesophagus", _("Oesophagus")
    NASOPHARYNX = "nasopharynx", _("Nasopharynx")
    THYROID = "thyroid", _("Thyroid")
    CERVIX = "cervix", _("Cervix of the uterus")
    BLADDER = "bladder", _("Bladder")
    BONE_MARROW = "bone_marrow", _("Bone marrow or lymph nodes")
    UNKNOWN = "unknown", _("Unknown primary")
    OTHER = "other", _("Other site")


class TumourClass(models.TextChoices):
    SOLID = "solid", _("Solid tumour")
    MYELOMA = "myeloma", _("Myeloma")
    LYMPHOMA = "lymphoma", _("Lymphoma")
    LEUKAEMIA = "leukaemia", _("Leukaemia")
    BENIGN = "benign", _("Benign")


class PathologyOf(models.TextChoices):
    PRIMARY = "primary", _("Primary tumour")
    METASTASIS = "metastasis", _("Metastasis")


class Stage(models.TextChoices):
    I = "1", "I"  # noqa: E741 - the stage's own name
    II = "2", "II"
    III = "3", "III"
    IV = "4", "IV"
    UNKNOWN = "unknown", _("Unknown")


class PrimaryTumour(SubjectRecord):
    """The primary tumour and its pathology (P.TUMOUR)."""

    site = models.CharField(_("Site of the primary tumour"), max_length=12, choices=PrimarySite.choices)
    site_other = models.CharField(_("Other site"), max_length=80, blank=True)
    tumour_class = models.CharField(_("Class of the tumour"), max_length=10, choices=TumourClass.choices)
    histology = models.CharField(_("Histology, as on the report"), max_length=200, blank=True)
    pathology_confirmed = yes_no(_("Confirmed by pathology"))
    pathology_of = models.CharField(_("Tissue of"), max_length=12, choices=PathologyOf.choices, blank=True)
    pathology_date = models.DateField(_("Date of the pathology report"), null=True, blank=True)
    diagnosed_on = models.DateField(_("Date of the first diagnosis"), null=True, blank=True)
    stage = models.CharField(_("Stage at the first diagnosis"), max_length=8, choices=Stage.choices)
    visceral_metastases = yes_no(_("Metastases in other organs than bone"), blank=True)

    class Meta:
        verbose_name = _("Primary tumour")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            models.CheckConstraint(
                condition=~Q(site=PrimarySite.OTHER) | ~Q(site_other=""),
                name="primarytumour_other_named",
                violation_error_message=_("Name the other site."),
            ),
            only_when(
                Q(pathology_confirmed=True),
                "pathology_date",
                name="report_when_confirmed",
                message=_("A report date belongs to a confirmed pathology only."),
            ),
            known_codes("site", PrimarySite.values),
            known_codes("tumour_class", TumourClass.values),
            known_codes("pathology_of", PathologyOf.values, blank=True),
            known_codes("stage", Stage.values),
            *since_1900("pathology_date", "diagnosed_on"),
        )


class Modality(models.TextChoices):
    MRI = "mri", _("MRI")
    CT = "ct", _("CT")
    PET_CT = "pet_ct", _("PET-CT")
    BONE_SCAN = "bone_scan", _("Bone scan")


class Escc(models.TextChoices):
    """Epidural spinal cord compression (Bilsky 2010), axial T2 at the worst level."""

    BONE = "0", _("0: bone only")
    EPIDURAL = "1a", _("1a: epidural, thecal sac not deformed")
    SAC = "1b", _("1b: sac deformed, cord not touched")
    CORD_TOUCHED = "1c", _("1c: cord touched, not compressed")
    CSF_VISIBLE = "2", _("2: cord compressed, CSF visible")
    NO_CSF = "3", _("3: cord compressed, no CSF")


class SinsPain(models.TextChoices):
    MECHANICAL = "mechanical", _("Mechanical: better lying, worse on loading")
    OCCASIONAL = "occasional", _("Occasional, not mechanical")
    NONE = "none", _("No pain")


class SinsAlignment(models.TextChoices):
    SUBLUXATION = "subluxation", _("Subluxation or translation")
    DEFORMITY = "deformity", _("New deformity")
    NORMAL = "normal", _("Normal")


class SinsCollapse(models.TextChoices):
    OVER_HALF = "over_half", _("Collapse of more than 50 %")
    UNDER_HALF = "under_half", _("Collapse of less than 50 %")
    BODY_INVOLVED = "body_involved", _("No collapse, more than 50 % of the body involved")
    NONE = "none", _("None of these")


class SinsPosterolateral(models.TextChoices):
    BOTH = "both", _("Both sides")
    ONE = "one", _("One side")
    NONE = "none", _("Neither side")


class SitesOfDisease(SubjectRecord):
    """Imaging of the spine, the index site and its stability (P.SITES).

    There is one record per subject and the index site is one of its columns, so there is at most one (D3). The
    location and lesion parts of SINS follow from its level and its row.
    """

    imaging_modality = models.CharField(_("Imaging study"), max_length=10, choices=Modality.choices)
    imaging_date = models.DateField(_("Date of the imaging study"))
    index_level = models.CharField(
        _("Index site: the most painful target vertebra"),
        max_length=3,
        choices=level_choices,
        blank=True,
        help_text=_("Fixed at randomisation. The pain score at every visit is asked for this site."),
    )
    escc = models.CharField(
        _("Epidural compression (ESCC) at the index site"), max_length=2, choices=Escc.choices, blank=True
    )
    sins_pain = models.CharField(_("SINS: pain"), max_length=10, choices=SinsPain.choices, blank=True)
    sins_alignment = models.CharField(_("SINS: alignment"), max_length=12, choices=SinsAlignment.choices, blank=True)
    sins_collapse = models.CharField(
        _("SINS: collapse of the vertebral body"),
        max_length=14,
        choices=SinsCollapse.choices,
        blank=True,
        help_text=_("The score leaves exactly 50 % open; the percentage below is kept."),
    )
    collapse_percent = _whole(_("Loss of height of the vertebral body"), 0, 100, null=True, blank=True)
    sins_posterolateral = models.CharField(
        _("SINS: posterolateral involvement"), max_length=6, choices=SinsPosterolateral.choices, blank=True
    )
    other_trial = yes_no(_("Treated for the target lesion in another drug or physical-therapy trial"))
    other_trial_last_date = models.DateField(_("Date of the last treatment in that trial"), null=True, blank=True)

    class Meta:
        verbose_name = _("Sites of disease")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            only_when(
                Q(other_trial=True),
                "other_trial_last_date",
                name="other_trial_date_when_yes",
                message=_("A date of the last treatment belongs to another trial only."),
            ),
            between("collapse_percent", 0, 100, _OUTSIDE),
            known_codes("imaging_modality", Modality.values),
            known_codes("index_level", list(LEVELS), blank=True),
            known_codes("escc", Escc.values, blank=True),
            known_codes("sins_pain", SinsPain.values, blank=True),
            known_codes("sins_alignment", SinsAlignment.values, blank=True),
            known_codes("sins_collapse", SinsCollapse.values, blank=True),
            known_codes("sins_posterolateral", SinsPosterolateral.values, blank=True),
            *since_1900("imaging_date", "other_trial_last_date"),
        )


class Lesion(models.TextChoices):
    LYTIC = "lytic", _("Lytic")
    MIXED = "mixed", _("Mixed")
    BLASTIC = "blastic", _("Blastic")


class DiseaseSite(RowRecord):
    """One vertebra with a metastasis."""

    parent = models.ForeignKey(SitesOfDisease, models.PROTECT, related_name="+", editable=False)
    level = models.CharField(_("Level"), max_length=3, choices=level_choices)
    lesion = models.CharField(_("Type of lesion"), max_length=8, choices=Lesion.choices)
    fracture = yes_no(_("Compression fracture now"))
    prior_rt = yes_no(_("Earlier radiotherapy of this vertebra"))
    prior_rt_date = models.DateField(_("Last radiotherapy"), null=True, blank=True)
    prior_surgery = yes_no(_("Earlier surgery of this lesion"))
    prior_surgery_date = models.DateField(_("Last surgery"), null=True, blank=True)

    class Meta(RowRecord.Meta):
        verbose_name = _("Vertebra with metastasis")
        constraints = (
            # Deferred: rows of one form may swap their levels on the way.
            models.UniqueConstraint(
                fields=["parent", "level"], name="%(class)s_level_once", deferrable=Deferrable.DEFERRED
            ),
            only_when(
                Q(prior_rt=True),
                "prior_rt_date",
                name="rt_date_when_yes",
                message=_("A date of radiotherapy belongs to the answer yes only."),
            ),
            only_when(
                Q(prior_surgery=True),
                "prior_surgery_date",
                name="surgery_date_when_yes",
                message=_("A date of surgery belongs to the answer yes only."),
            ),
            known_codes("level", list(LEVELS)),
            known_codes("lesion", Lesion.values),
            *since_1900("prior_rt_date", "prior_surgery_date"),
        )


class Ecog(models.IntegerChoices):
    FULL = 0, _("0: fully active")
    RESTRICTED = 1, _("1: restricted in strenuous work, ambulatory")
    SELF_CARE = 2, _("2: ambulatory, self-caring, no work, up more than half of the day")
    LIMITED = 3, _("3: limited self-care, in bed or chair more than half of the day")
    DISABLED = 4, _("4: disabled")


class QtcFormula(models.TextChoices):
    FRIDERICIA = "fridericia", "Fridericia"
    BAZETT = "bazett", "Bazett"
    OTHER = "other", _("Other or not stated")


class PregnancyTest(models.TextChoices):
    NOT_APPLICABLE = "not_applicable", _("Not applicable")
    NEGATIVE = "negative", _("Negative")
    POSITIVE = "positive", _("Positive")
    NOT_DONE = "not_done", _("Not done")


class Neurology(models.TextChoices):
    """ASIA impairment scale."""

    A = "a", _("A: complete")
    B = "b", _("B: sensation kept, no movement")
    C = "c", _("C: movement of no use")
    D = "d", _("D: useful movement")
    E = "e", _("E: normal")


KPS_CHOICES = [(value, str(value)) for value in range(100, 0, -10)]
NYHA_CHOICES = [(0, _("No heart disease")), (1, "I"), (2, "II"), (3, "III"), (4, "IV")]
INFECTION_CHOICES = [(0, _("No infection")), (1, "1"), (2, "2"), (3, "3"), (4, "4")]


class Status(SubjectRecord):
    """Performance, vital signs and the history that the criteria ask for (P.STATUS)."""

    assessed_on = models.DateField(_("Date of the assessment"))
    ecog = models.PositiveSmallIntegerField(_("ECOG performance status"), choices=Ecog.choices, null=True, blank=True)
    kps = models.PositiveSmallIntegerField(
        _("Karnofsky performance status"), choices=KPS_CHOICES, null=True, blank=True
    )
    neurology = models.CharField(
        _("Neurology (ASIA impairment scale)"), max_length=1, choices=Neurology.choices, blank=True
    )
    weight_kg = _decimal(_("Weight"), 20, 300, null=True, blank=True)
    systolic_mmhg = _whole(_("Systolic blood pressure"), 50, 300, null=True, blank=True)
    diastolic_mmhg = _whole(_("Diastolic blood pressure"), 20, 200, null=True, blank=True)
    pulse = _whole(_("Pulse"), 20, 250, null=True, blank=True)
    temperature = _decimal(_("Temperature"), 30, 45, null=True, blank=True)
    hypertension = yes_no(_("Hypertension"), blank=True)
    diabetes = yes_no(_("Diabetes"), blank=True)
    myocardial_infarction = yes_no(_("Myocardial infarction"), blank=True)
    myocardial_ischaemia = yes_no(_("Myocardial ischaemia"), blank=True)
    nyha = models.PositiveSmallIntegerField(_("Heart failure, NYHA class"), choices=NYHA_CHOICES, null=True, blank=True)
    ecg_done = yes_no(_("ECG done"))
    qtc_ms = _whole(_("QTc interval"), 200, 800, null=True, blank=True)
    qtc_formula = models.CharField(_("QTc formula"), max_length=10, choices=QtcFormula.choices, blank=True)
    infection_grade = models.PositiveSmallIntegerField(
        _("Infection now, CTCAE v5.0 grade"), choices=INFECTION_CHOICES, null=True, blank=True
    )
    unhealed_wound = yes_no(_("Wound that has long been unhealed"), blank=True)
    pregnancy_test = models.CharField(_("Pregnancy test"), max_length=14, choices=PregnancyTest.choices)

    class Meta:
        verbose_name = _("Status and history")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            models.CheckConstraint(
                condition=Q(diastolic_mmhg__lt=models.F("systolic_mmhg")),
                name="status_pressures_in_order",
                violation_error_message=_("The diastolic pressure is below the systolic one."),
            ),
            only_when(
                Q(ecg_done=True),
                "qtc_ms",
                name="qtc_when_ecg",
                message=_("A QTc interval needs an ECG."),
            ),
            known_codes("neurology", Neurology.values, blank=True),
            known_codes("qtc_formula", QtcFormula.values, blank=True),
            known_codes("pregnancy_test", PregnancyTest.values),
            between("ecog", 0, 4, _OUTSIDE),
            models.CheckConstraint(
                condition=Q(kps__in=[value for value, _label in KPS_CHOICES]), name="%(class)s_kps_known"
            ),
            between("nyha", 0, 4, _OUTSIDE),
            between("infection_grade", 0, 4, _OUTSIDE),
            between("weight_kg", 20, 300, _OUTSIDE),
            between("systolic_mmhg", 50, 300, _OUTSIDE),
            between("diastolic_mmhg", 20, 200, _OUTSIDE),
            between("pulse", 20, 250, _OUTSIDE),
            between("temperature", 30, 45, _OUTSIDE),
            between("qtc_ms", 200, 800, _OUTSIDE),
            *since_1900("assessed_on"),
        )
