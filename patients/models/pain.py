"""Pain and analgesics: the questions asked at baseline and, in the same words, at every visit."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import lazy
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.models import RowRecord, SubjectRecord
from spinetrial.crf.rules import between, known_codes, since_1900
from spinetrial.terminology.opioids import DRUGS, ROUTE_LABELS, Drug, Route


class AnalgesicStatus(models.TextChoices):
    """An empty list is never "none": that is an answer of its own (D7)."""

    SOME = "some", _("Yes, listed below")
    NONE = "none", _("None in the last 24 hours")
    UNKNOWN = "unknown", _("Not known")


class IntakeUse(models.TextChoices):
    SCHEDULED = "scheduled", _("Scheduled")
    RESCUE = "rescue", _("Rescue")


def drug_label(code: str) -> str:
    """Name and unit in the reader's language, as the list of choices shows them."""
    drug = DRUGS[code]
    name = drug.name_zh if (get_language() or "").startswith("zh") else drug.name
    return f"{name} ({drug.unit.value})"


_lazy_drug_label = lazy(drug_label, str)


def drug_choices() -> list[tuple[str, Any]]:
    """Every drug of the table with its unit, in the reader's language."""
    return [(code, _lazy_drug_label(code)) for code in DRUGS]


def route_choices() -> list[tuple[str, Any]]:
    """Routes for a drug whose entry in the table does not fix one."""
    return [(route.value, _(label)) for route, label in ROUTE_LABELS.items()]


#: Drugs of the table that stand for any other one; they need a name.
UNNAMED_DRUGS = ("OTHER_OPIOID", "OTHER_NON_OPIOID")
#: Drugs given by more than one route, so that the route is asked.
DRUGS_WITHOUT_ROUTE = tuple(code for code, drug in DRUGS.items() if drug.route is Route.OTHER)


def _nrs(label: Any, **options: Any) -> models.PositiveSmallIntegerField[Any, Any]:
    return models.PositiveSmallIntegerField(
        label,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text=_("Whole number from 0 (no pain) to 10 (worst pain imaginable)."),
        **options,
    )


_NRS_MESSAGE = _("A pain score is a whole number from 0 to 10.")


class PainItems(models.Model):
    """Pain at the index site in the last 24 hours and whether analgesics were taken in them (D4, D7).

    A form that needs the score says so with `Item("nrs_worst", required=True)`.
    """

    nrs_worst = _nrs(_("Worst pain at the index site in the last 24 hours"))
    nrs_average = _nrs(_("Average pain at the index site in the last 24 hours"))
    nrs_current = _nrs(_("Pain at the index site now"))
    analgesics = models.CharField(
        _("Analgesics taken in the last 24 hours"), max_length=8, choices=AnalgesicStatus.choices, blank=True
    )

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            between("nrs_worst", 0, 10, _NRS_MESSAGE),
            between("nrs_average", 0, 10, _NRS_MESSAGE),
            between("nrs_current", 0, 10, _NRS_MESSAGE),
            known_codes("analgesics", AnalgesicStatus.values, blank=True),
        )


class AnalgesicItems(RowRecord):
    """An analgesic actually taken in the last 24 hours. The drug fixes the unit and, for most drugs, the route."""

    drug = models.CharField(_("Drug"), max_length=24, choices=drug_choices)
    other_name = models.CharField(_("Name of the other drug"), max_length=80, blank=True)
    route = models.CharField(
        _("Route"), max_length=12, choices=route_choices, blank=True, help_text=_("Only where the drug leaves it open.")
    )
    dose = models.DecimalField(
        _("Single dose, in the unit of the drug"),
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("Patch: release rate of one patch. Leave blank when not known."),
    )
    times = models.DecimalField(
        _("Number taken in 24 hours"),
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("Patch: number of patches worn. Leave blank when not known."),
    )
    use = models.CharField(_("Use"), max_length=10, choices=IntakeUse.choices, blank=True)

    class Meta(RowRecord.Meta):
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.CheckConstraint(
                condition=Q(dose__isnull=True) | Q(dose__gt=0, dose__lte=100000),
                name="%(class)s_dose_positive",
                violation_error_message=_("A dose is more than 0; leave it blank when it is not known."),
            ),
            models.CheckConstraint(
                condition=Q(times__isnull=True) | Q(times__gt=0, times__lte=100),
                name="%(class)s_times_positive",
                violation_error_message=_("The number taken is more than 0 and at most 100."),
            ),
            models.CheckConstraint(
                condition=~Q(drug__in=UNNAMED_DRUGS) | ~Q(other_name=""),
                name="%(class)s_other_named",
                violation_error_message=_("Name the other drug."),
            ),
            known_codes("drug", list(DRUGS)),
            known_codes("route", [route.value for route in Route], blank=True),
            known_codes("use", IntakeUse.values, blank=True),
        )

    @property
    def entry(self) -> Drug:
        """The drug's entry in the table."""
        return DRUGS[self.drug]

    @property
    def name(self) -> str:
        """The drug's name in the reader's language."""
        return self.other_name or drug_label(self.drug).rsplit(" (", 1)[0]

    @property
    def unit(self) -> str:
        return self.entry.unit.value

    @property
    def route_taken(self) -> str:
        """Code of the route: the drug's own, or the answer where the drug leaves it open."""
        return self.route or self.entry.route.value


class BaselinePain(PainItems, SubjectRecord):
    """Pain before treatment (P.PAIN); the value every later response is compared with."""

    assessed_on = models.DateField(_("Date of the assessment"))

    class Meta(PainItems.Meta):
        verbose_name = _("Baseline pain")
        constraints = (
            *PainItems.Meta.constraints,
            models.UniqueConstraint(fields=["subject"], name="%(class)s_once"),
            *since_1900("assessed_on"),
        )

    def __str__(self) -> str:
        return f"Baseline pain {self.pk}"


class BaselineAnalgesic(AnalgesicItems):
    """An analgesic at baseline."""

    parent = models.ForeignKey(BaselinePain, models.PROTECT, related_name="+", editable=False)

    class Meta(AnalgesicItems.Meta):
        verbose_name = _("Analgesic at baseline")


__all__ = [
    "DRUGS_WITHOUT_ROUTE",
    "UNNAMED_DRUGS",
    "AnalgesicItems",
    "AnalgesicStatus",
    "BaselineAnalgesic",
    "BaselinePain",
    "IntakeUse",
    "PainItems",
    "drug_choices",
    "drug_label",
    "route_choices",
]
