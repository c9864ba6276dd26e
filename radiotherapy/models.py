"""The radiotherapy course: plan, target vertebrae with their sectors, fractions, end of the course.

Plan and targets show which arm a subject is in, so they are hidden from the masked. Fractions (dates and doses, the
same in both arms) are not.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models.baseline import level_choices
from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.rules import between, known_codes, since_1900
from spinetrial.protocol import CURRENT
from spinetrial.terminology.sectors import BODY_EXTENT_LABELS, SECTORS
from spinetrial.terminology.vertebrae import LEVELS

_TREATMENT = CURRENT.treatment
MOST_FRACTIONS = 30


def _number(label: Any, low: str, high: str, digits: int, places: int, **options: Any) -> models.DecimalField[Any, Any]:
    """An optional decimal number with its limits as validators; the database holds them too (`between`)."""
    return models.DecimalField(
        label,
        max_digits=digits,
        decimal_places=places,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(low)), MaxValueValidator(Decimal(high))],
        **options,
    )


_OUT_OF_RANGE = _("This number is outside the range that can be right.")


class Technique(models.TextChoices):
    THREE_D = "3dcrt", _("3D conformal")
    IMRT = "imrt", _("IMRT")
    VMAT = "vmat", _("VMAT")
    TOMOTHERAPY = "tomotherapy", _("Tomotherapy")
    OTHER = "other", _("Other technique")


class Ending(models.TextChoices):
    """What a person must tell. That a course is complete follows from its fractions."""

    AS_PLANNED = "as_planned", _("No: goes on, or all fractions were given")
    STOPPED_EARLY = "stopped_early", _("Yes: stopped before the last planned fraction")
    NEVER_STARTED = "never_started", _("Yes: radiotherapy will never be started")


class StopReason(models.TextChoices):
    TOXICITY = "toxicity", _("Adverse event of the radiotherapy")
    DISEASE = "disease", _("Progression or worse general condition")
    SURGERY = "surgery", _("Surgery of the target")
    PATIENT = "patient", _("Wish of the participant or family")
    INVESTIGATOR = "investigator", _("Decision of the investigator")
    DEATH = "death", _("Death")
    OTHER = "other", _("Other reason")


class Course(SubjectRecord):
    """Plan and end of the one course of the trial (R.RT)."""

    planning_ct_on = models.DateField(_("Date of the planning CT"), null=True, blank=True)
    ct_slice_mm = _number(_("CT slice thickness"), "0.5", "10", 4, 1)
    planning_mri = yes_no(_("MRI used for contouring"), blank=True)
    technique = models.CharField(_("Technique"), max_length=12, choices=Technique.choices, blank=True)
    energy_mv = models.PositiveSmallIntegerField(
        _("Photon energy"), null=True, blank=True, validators=[MinValueValidator(4), MaxValueValidator(25)]
    )
    image_guided = yes_no(_("Image guidance at the fractions"), blank=True)
    ctv_to_ptv_mm = _number(_("Margin from CTV to PTV"), "0", "20", 4, 1)

    prescribed_gy = models.DecimalField(
        _("Prescribed total dose"),
        max_digits=5,
        decimal_places=2,
        default=Decimal(str(_TREATMENT.total_gy)),
        validators=[MinValueValidator(Decimal(1)), MaxValueValidator(Decimal(80))],
    )
    prescribed_fractions = models.PositiveSmallIntegerField(
        _("Prescribed fractions"),
        default=_TREATMENT.fractions,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_FRACTIONS)],
    )
    planned_start = models.DateField(_("Planned date of the first fraction"), null=True, blank=True)

    gtv_cm3 = _number(_("Volume of the GTV"), "0.01", "3000", 7, 2)
    ctv_cm3 = _number(_("Volume of the CTV"), "0.01", "3000", 7, 2)
    ptv_cm3 = _number(_("Volume of the PTV"), "0.01", "3000", 7, 2)
    ptv_v95_percent = _number(
        _("PTV V95"), "0", "100", 5, 2, help_text=_("Part of the PTV that receives 95 per cent of the prescribed dose.")
    )
    ptv_d95_gy = _number(_("PTV D95"), "0", "120", 5, 2, help_text=_("Dose that 95 per cent of the PTV receives."))

    ending = models.CharField(
        _("Did the course end early?"), max_length=14, choices=Ending.choices, default=Ending.AS_PLANNED
    )
    stop_reason = models.CharField(_("Main reason"), max_length=12, choices=StopReason.choices, blank=True)
    stop_detail = models.TextField(_("Circumstances"), max_length=1000, blank=True)
    ended_on = models.DateField(_("Date of the decision"), null=True, blank=True)

    reveals_arm = True

    class Meta:
        verbose_name = _("Radiotherapy course")
        constraints = (
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            *since_1900("planning_ct_on", "planned_start", "ended_on"),
            between("ct_slice_mm", Decimal("0.5"), 10, _OUT_OF_RANGE),
            between("energy_mv", 4, 25, _OUT_OF_RANGE),
            between("ctv_to_ptv_mm", 0, 20, _OUT_OF_RANGE),
            between("prescribed_gy", 1, 80, _OUT_OF_RANGE),
            between("prescribed_fractions", 1, MOST_FRACTIONS, _OUT_OF_RANGE),
            between("ptv_v95_percent", 0, 100, _OUT_OF_RANGE),
            between("ptv_d95_gy", 0, 120, _OUT_OF_RANGE),
            between("gtv_cm3", Decimal("0.01"), 3000, _OUT_OF_RANGE),
            between("ctv_cm3", Decimal("0.01"), 3000, _OUT_OF_RANGE),
            between("ptv_cm3", Decimal("0.01"), 3000, _OUT_OF_RANGE),
            models.CheckConstraint(
                condition=Q(gtv_cm3__isnull=True) | Q(ctv_cm3__isnull=True) | Q(gtv_cm3__lte=F("ctv_cm3")),
                name="course_gtv_in_ctv",
                violation_error_message=_("The GTV cannot be larger than the CTV."),
            ),
            models.CheckConstraint(
                condition=Q(ctv_cm3__isnull=True) | Q(ptv_cm3__isnull=True) | Q(ctv_cm3__lte=F("ptv_cm3")),
                name="course_ctv_in_ptv",
                violation_error_message=_("The CTV cannot be larger than the PTV."),
            ),
            models.CheckConstraint(
                condition=Q(ending="as_planned", stop_reason="", stop_detail="", ended_on__isnull=True)
                | (~Q(ending="as_planned") & ~Q(stop_reason="") & Q(ended_on__isnull=False)),
                name="course_early_end_has_reason",
                violation_error_message=_("A course that ended early needs the reason and the date of the decision."),
            ),
            models.CheckConstraint(
                condition=~Q(stop_reason="other") | ~Q(stop_detail=""),
                name="course_other_reason_told",
                violation_error_message=_("Describe the other reason."),
            ),
            known_codes("technique", Technique.values, blank=True),
            known_codes("ending", Ending.values),
            known_codes("stop_reason", StopReason.values, blank=True),
        )

    def __str__(self) -> str:
        return f"Course {self.pk}"


class NeuralStructure(models.TextChoices):
    """The cord ends at about L1-L2; what lies in the canal at this level decides the limit."""

    CORD = "cord", _("Spinal cord")
    CAUDA = "cauda", _("Cauda equina")


class RingReason(models.TextChoices):
    """Why a CTV goes round the cord (Cox 2012)."""

    ALL_PARTS = "all_parts", _("Body, both pedicles or laminae and spinous process are all involved")
    EPIDURAL = "epidural", _("Extensive epidural disease")
    OTHER = "other", _("Other reason")


def _sector(label: Any) -> models.BooleanField[Any, Any]:
    return models.BooleanField(label, default=False)


class TargetVertebra(RowRecord):
    """A treated vertebra: sectors of GTV and CTV as drawn by the physician. The program never fills the CTV (D13)."""

    parent = models.ForeignKey(Course, models.PROTECT, related_name="+", editable=False)
    level = models.CharField(_("Level"), max_length=3, choices=level_choices)
    gtv1 = _sector(_("GTV 1 Vertebral body"))
    gtv2 = _sector(_("GTV 2 Left pedicle"))
    gtv3 = _sector(_("GTV 3 Left transverse process and lamina"))
    gtv4 = _sector(_("GTV 4 Spinous process"))
    gtv5 = _sector(_("GTV 5 Right transverse process and lamina"))
    gtv6 = _sector(_("GTV 6 Right pedicle"))
    ctv1 = _sector(_("CTV 1 Vertebral body"))
    ctv2 = _sector(_("CTV 2 Left pedicle"))
    ctv3 = _sector(_("CTV 3 Left transverse process and lamina"))
    ctv4 = _sector(_("CTV 4 Spinous process"))
    ctv5 = _sector(_("CTV 5 Right transverse process and lamina"))
    ctv6 = _sector(_("CTV 6 Right pedicle"))
    body_extent = models.CharField(
        _("Tumour in the body"),
        max_length=8,
        choices=[(extent.value, _(label)) for extent, label in BODY_EXTENT_LABELS.items()],
        blank=True,
    )
    ring_reason = models.CharField(
        _("Reason of a CTV of all six sectors"), max_length=10, choices=RingReason.choices, blank=True
    )
    sector_remark = models.CharField(_("Why the CTV differs from the arm's target"), max_length=500, blank=True)
    structure = models.CharField(_("In the canal"), max_length=6, choices=NeuralStructure.choices, blank=True)
    structure_dmax_gy = _number(_("Its maximum dose"), "0", "120", 5, 2)

    reveals_arm = True

    class Meta(RowRecord.Meta):
        verbose_name = _("Target vertebra")
        constraints = (
            models.UniqueConstraint(
                fields=["parent", "level"],
                name="targetvertebra_level_once",
                deferrable=models.Deferrable.DEFERRED,  # two rows may exchange their levels in one save
                violation_error_message=_("A vertebra is listed twice."),
            ),
            known_codes("level", list(LEVELS)),
            known_codes("body_extent", [extent.value for extent in BODY_EXTENT_LABELS], blank=True),
            known_codes("ring_reason", RingReason.values, blank=True),
            known_codes("structure", NeuralStructure.values, blank=True),
            between("structure_dmax_gy", 0, 120, _OUT_OF_RANGE),
            models.CheckConstraint(
                condition=Q(*[Q(**{f"gtv{n}": True}) for n in SECTORS], _connector=Q.OR),
                name="targetvertebra_has_gtv",
                violation_error_message=_("Tick at least one GTV sector."),
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"gtv{n}": False}) | Q(**{f"ctv{n}": True}),
                    name=f"targetvertebra_gtv{n}_in_ctv",
                    violation_error_message=_("Every GTV sector must also be in the CTV."),
                )
                for n in SECTORS
            ),
            models.CheckConstraint(
                condition=Q(gtv1=True) | Q(body_extent=""),
                name="targetvertebra_body_extent_of_body",
                violation_error_message=_(
                    "Where the tumour lies in the body is asked only when sector 1 is in the GTV."
                ),
            ),
            models.CheckConstraint(
                condition=Q(ring_reason="") | Q(*[(f"ctv{n}", True) for n in SECTORS]),
                name="targetvertebra_ring_reason_of_ring",
                violation_error_message=_("The reason of a ring is given only when all six CTV sectors are ticked."),
            ),
            models.CheckConstraint(
                condition=~Q(ring_reason="other") | ~Q(sector_remark=""),
                name="targetvertebra_other_ring_reason_told",
                violation_error_message=_("Describe the other reason."),
            ),
            models.CheckConstraint(
                condition=Q(structure_dmax_gy__isnull=True) | ~Q(structure=""),
                name="targetvertebra_dmax_names_structure",
                violation_error_message=_("Say whether the dose is of the cord or the cauda equina."),
            ),
        )

    def __str__(self) -> str:
        return self.level

    @property
    def gtv(self) -> frozenset[int]:
        """Sectors with tumour."""
        return frozenset(n for n in SECTORS if getattr(self, f"gtv{n}"))

    @property
    def ctv(self) -> frozenset[int]:
        """Sectors treated."""
        return frozenset(n for n in SECTORS if getattr(self, f"ctv{n}"))


class GapReason(models.TextChoices):
    HOLIDAY = "holiday", _("Public holiday")
    MACHINE = "machine", _("Machine not available")
    TOXICITY = "toxicity", _("Adverse event")
    ILLNESS = "illness", _("Other illness or worse condition")
    PATIENT = "patient", _("Wish of the participant")
    OTHER = "other", _("Other reason")


class Fraction(RowRecord):
    """A fraction: the day it was given, or the day it should have been when it is left out for good."""

    parent = models.ForeignKey(Course, models.PROTECT, related_name="+", editable=False)
    number = models.PositiveSmallIntegerField(
        _("Fraction"), validators=[MinValueValidator(1), MaxValueValidator(MOST_FRACTIONS)]
    )
    date = models.DateField(_("Date"))
    given = yes_no(_("Given"))
    dose_gy = models.DecimalField(
        _("Dose"),
        max_digits=4,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.1")), MaxValueValidator(Decimal(30))],
    )
    gap_reason = models.CharField(
        _("Reason, if late, left out, or not on a treatment day"), max_length=10, choices=GapReason.choices, blank=True
    )
    remark = models.CharField(_("Remark"), max_length=300, blank=True)

    class Meta(RowRecord.Meta):
        verbose_name = _("Fraction")
        ordering = ("number", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["parent", "number"],
                name="fraction_number_once",
                deferrable=models.Deferrable.DEFERRED,
                violation_error_message=_("A fraction number is listed twice."),
            ),
            between("number", 1, MOST_FRACTIONS, _OUT_OF_RANGE),
            *since_1900("date"),
            between("dose_gy", Decimal("0.1"), 30, _OUT_OF_RANGE),
            known_codes("gap_reason", GapReason.values, blank=True),
            models.CheckConstraint(
                # given is NULL while unanswered, and a check that comes out NULL would pass
                condition=Q(given__isnull=False)
                & (Q(given=True, dose_gy__isnull=False) | (Q(given=False, dose_gy__isnull=True) & ~Q(gap_reason=""))),
                name="fraction_given_has_dose",
                violation_error_message=_(
                    "A fraction that was given has a dose; one that was left out has a reason and no dose."
                ),
            ),
            models.CheckConstraint(
                condition=~Q(gap_reason="other") | ~Q(remark=""),
                name="fraction_other_reason_told",
                violation_error_message=_("Describe the other reason in the remark."),
            ),
        )

    def __str__(self) -> str:
        return f"Fraction {self.number}"
