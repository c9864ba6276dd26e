"""R.RT: plan, target vertebrae, fractions and end of the radiotherapy course."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

from django.utils.translation import gettext_lazy as _

from patients.milestones import milestones_for, milestones_of, set_milestones
from patients.models import DiseaseSite, SitesOfDisease, Subject
from radiotherapy import dose_figures, fractions
from radiotherapy.fractions import Deviation
from radiotherapy.models import Course, Ending, Fraction, TargetVertebra
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.audit.acting import Actor
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.rules import not_in_future, rows_not_in_future
from spinetrial.crf.spec import CrfSpec, EditCheck, Item, Level, RowGroup, Section, ShowWhen, Values
from spinetrial.protocol import CURRENT
from spinetrial.terminology.vertebrae import position

_TREATMENT, _TECHNIQUE = CURRENT.treatment, CURRENT.technique
_PTV_GOAL = next(goal for goal in CURRENT.dose_goals if goal.structure == "PTV")
_ENDED_EARLY = (Ending.STOPPED_EARLY.value, Ending.NEVER_STARTED.value)


# --- what a check sees ---


def _course(values: Values) -> Course:
    return cast(Course, values.record)


def _subject(values: Values) -> Subject:
    return values.record.subject


def _targets(values: Values) -> list[TargetVertebra]:
    return cast("list[TargetVertebra]", values.rows.get("targets", []))


def _rows(values: Values) -> list[Fraction]:
    return cast("list[Fraction]", values.rows.get("fractions", []))


# --- fractions that cannot be ---


def _not_randomised(values: Values) -> bool:
    started = bool(_rows(values)) or _course(values).ending == Ending.NEVER_STARTED
    return started and milestones_for(values).randomized_on is None


def _before_randomisation(values: Values) -> bool:
    day = milestones_for(values).randomized_on
    return day is not None and any(row.date < day for row in _rows(values))


def _after_death(values: Values) -> bool:
    day = milestones_for(values).death_date
    return day is not None and any(row.given and row.date > day for row in _rows(values))


def _number_twice(values: Values) -> bool:
    numbers = [row.number for row in _rows(values)]
    return len(set(numbers)) < len(numbers)


def _too_many(values: Values) -> bool:
    return any(row.number > _course(values).prescribed_fractions for row in _rows(values))


def _out_of_order(values: Values) -> bool:
    days = [row.date for row in sorted(_rows(values), key=lambda row: row.number)]
    return any(later < earlier for earlier, later in pairwise(days))


def _level_twice(values: Values) -> bool:
    levels = [target.level for target in _targets(values)]
    return len(set(levels)) < len(levels)


# --- the end of the course against its fractions ---


def _stopped_but_complete(values: Values) -> bool:
    course = _course(values)
    count = len(fractions.given(_rows(values)))
    return course.ending == Ending.STOPPED_EARLY and count >= course.prescribed_fractions


def _stopped_without_fraction(values: Values) -> bool:
    return _course(values).ending == Ending.STOPPED_EARLY and not fractions.given(_rows(values))


def _never_but_given(values: Values) -> bool:
    return _course(values).ending == Ending.NEVER_STARTED and bool(_rows(values))


def _stopped_before_last(values: Values) -> bool:
    given, decided = fractions.given(_rows(values)), _course(values).ended_on
    return bool(given) and decided is not None and decided < given[-1].date


# --- what should be explained ---


def _differs(name: str, expected: float) -> Callable[[Values], bool]:
    def fails(values: Values) -> bool:
        found = getattr(values.record, name)
        return found is not None and abs(float(found) - expected) > 1e-6

    return fails


def _slice_outside(values: Values) -> bool:
    found, (low, high) = _course(values).ct_slice_mm, _TECHNIQUE.ct_slice_mm
    return found is not None and not low <= found <= high


def _d95_below(values: Values) -> bool:
    found = _course(values).ptv_d95_gy
    return found is not None and float(found) < _PTV_GOAL.dose_gy


def _plan_incomplete(values: Values) -> bool:
    course = _course(values)
    asked = ("technique", "ct_slice_mm", "planning_ct_on", "ptv_d95_gy", "ptv_cm3")
    return bool(fractions.given(_rows(values))) and any(
        getattr(course, name) in (None, "") and name not in course.missing for name in asked
    )


def _no_target(values: Values) -> bool:
    return bool(fractions.given(_rows(values))) and not _targets(values)


def _index_not_target(values: Values) -> bool:
    sites = of_subject(_subject(values), SitesOfDisease).first()
    levels = {target.level for target in _targets(values)}
    return bool(levels) and sites is not None and bool(sites.index_level) and sites.index_level not in levels


def _target_without_disease(values: Values) -> list[str]:
    """Levels of the targets that no row of the sites of disease names."""
    known = set(of_subject(_subject(values), DiseaseSite).values_list("level", flat=True))
    return [target.level for target in _targets(values) if known and target.level not in known]


def _structure_over_limit(values: Values) -> list[str]:
    count = _course(values).prescribed_fractions
    return [target.level for target in _targets(values) if dose_figures.above_limit(target, count)]


def _unexplained(kind: Deviation) -> Callable[[Values], list[str]]:
    """Numbers of the fractions with a deviation of this kind and no reason."""

    def fails(values: Values) -> list[str]:
        found = fractions.deviations(_rows(values))
        return [str(each.number) for each in found if each.kind is kind and not each.explained]

    return fails


def _other_dose(values: Values) -> list[str]:
    course = _course(values)
    expected = course.prescribed_gy / course.prescribed_fractions
    return [
        str(row.number)
        for row in _rows(values)
        if row.dose_gy is not None and abs(row.dose_gy - expected) > expected / 100
    ]


def _planned_before_randomisation(values: Values) -> bool:
    planned, day = _course(values).planned_start, milestones_for(values).randomized_on
    return planned is not None and day is not None and planned < day


CHECKS = (
    *not_in_future("planning_ct_on", "ended_on"),
    rows_not_in_future("fractions", "date"),
    EditCheck(
        "not_randomised",
        ("fractions",),
        _("The participant is not randomised yet: no fraction and no end of the course can be recorded."),
        _not_randomised,
        Level.BLOCK,
    ),
    EditCheck(
        "before_randomisation",
        ("fractions",),
        _("A fraction is dated before the randomisation."),
        _before_randomisation,
        Level.BLOCK,
    ),
    EditCheck(
        "fraction_after_death", ("fractions",), _("A fraction is dated after the death."), _after_death, Level.BLOCK
    ),
    EditCheck("fraction_twice", ("fractions",), _("A fraction number is listed twice."), _number_twice, Level.BLOCK),
    EditCheck(
        "fraction_beyond_prescription",
        ("fractions",),
        _("There are more fractions than prescribed. Correct the number, or the prescription."),
        _too_many,
        Level.BLOCK,
    ),
    EditCheck(
        "fractions_in_order",
        ("fractions",),
        _("The dates do not follow the numbers: a later fraction is dated before an earlier one."),
        _out_of_order,
        Level.BLOCK,
    ),
    EditCheck("level_twice", ("targets",), _("A vertebra is listed twice."), _level_twice, Level.BLOCK),
    EditCheck(
        "stopped_but_complete",
        ("ending",),
        _("All prescribed fractions were given, so the course did not end early."),
        _stopped_but_complete,
        Level.BLOCK,
    ),
    EditCheck(
        "stopped_without_fraction",
        ("ending",),
        _("No fraction was given: answer that radiotherapy will never be started."),
        _stopped_without_fraction,
        Level.BLOCK,
    ),
    EditCheck(
        "never_but_given",
        ("ending",),
        _("Fractions are listed below, so radiotherapy was started."),
        _never_but_given,
        Level.BLOCK,
    ),
    EditCheck(
        "stopped_before_last",
        ("ended_on",),
        _("The decision to stop is dated before the last fraction. Which date is right?"),
        _stopped_before_last,
    ),
    EditCheck(
        "other_total_dose",
        ("prescribed_gy",),
        _("The prescribed dose is not the protocol's. Is it right, and why?"),
        _differs("prescribed_gy", _TREATMENT.total_gy),
    ),
    EditCheck(
        "other_fraction_count",
        ("prescribed_fractions",),
        _("The number of fractions is not the protocol's. Is it right, and why?"),
        _differs("prescribed_fractions", _TREATMENT.fractions),
    ),
    EditCheck(
        "other_energy",
        ("energy_mv",),
        _("The photon energy is not the protocol's. Is it right, and why?"),
        _differs("energy_mv", _TECHNIQUE.energy_mv),
        Level.EXPLAIN,
    ),
    EditCheck(
        "other_margin",
        ("ctv_to_ptv_mm",),
        _("The margin is not the protocol's. Is it right, and why?"),
        _differs("ctv_to_ptv_mm", _TECHNIQUE.ctv_to_ptv_cm * 10),
        Level.EXPLAIN,
    ),
    EditCheck(
        "other_slice",
        ("ct_slice_mm",),
        _("The slice thickness is outside the protocol's range. Is it right, and why?"),
        _slice_outside,
        Level.EXPLAIN,
    ),
    EditCheck(
        "no_image_guidance",
        ("image_guided",),
        _("The protocol asks for image guidance. Why was there none?"),
        lambda values: _TECHNIQUE.image_guided and _course(values).image_guided is False,
        Level.EXPLAIN,
    ),
    EditCheck(
        "planned_before_randomisation",
        ("planned_start",),
        _("The planned start is before the randomisation. Which date is right?"),
        _planned_before_randomisation,
    ),
    EditCheck(
        "ptv_d95_below_goal",
        ("ptv_d95_gy",),
        _("Less than 95 per cent of the PTV receives the protocol's dose. Please explain."),
        _d95_below,
        Level.EXPLAIN,
    ),
    EditCheck(
        "plan_incomplete",
        ("technique",),
        _("Fractions are given, but the plan is incomplete: technique, planning CT, slice, PTV volume and D95."),
        _plan_incomplete,
    ),
    EditCheck("no_target", ("targets",), _("Fractions are given, but no target vertebra is recorded."), _no_target),
    EditCheck(
        "index_not_target",
        ("targets",),
        _("The index site is not among the target vertebrae. Which of the two is right?"),
        _index_not_target,
        reads=("P.SITES:index_level",),
    ),
    EditCheck(
        "target_without_disease",
        ("targets",),
        _("A target vertebra is not among the sites of disease. Which of the two is right?"),
        _target_without_disease,
        reads=("P.SITES:sites",),
    ),
    EditCheck(
        "structure_over_limit",
        ("targets",),
        _("The maximum dose of the cord (EQD2 50 Gy) or the cauda equina (EQD2 60 Gy) is exceeded. Please explain."),
        _structure_over_limit,
        Level.EXPLAIN,
    ),
    EditCheck(
        "fraction_gap",
        ("fractions",),
        _("Treatment days without a fraction lie before a fraction: give the reason in its row."),
        _unexplained(Deviation.GAP),
    ),
    EditCheck(
        "fraction_off_day",
        ("fractions",),
        _("A fraction is dated on a weekend: check the date, or give the reason in its row."),
        _unexplained(Deviation.OFF_DAY),
    ),
    EditCheck(
        "fraction_same_day",
        ("fractions",),
        _("Two fractions are dated on one day: check the dates, or give the reason in the row."),
        _unexplained(Deviation.SAME_DAY),
    ),
    EditCheck(
        "fraction_other_dose",
        ("fractions",),
        _("The dose of a fraction is not the prescribed total divided by the number of fractions."),
        _other_dose,
    ),
)


def after_course(record: SubjectRecord, actor: Actor) -> None:
    """Milestones by which follow-up counts: first and last fraction, how many, whether the course is over (D8).

    And the levels treated, which follow-up reads again; without their sectors they say nothing of the arm.
    """
    course = cast(Course, record)
    rows = list(of_subject(course.subject, Fraction))
    given, targets = fractions.given(rows), of_subject(course.subject, TargetVertebra)
    values = {
        "rt_start": given[0].date if given else None,
        "rt_end": given[-1].date if given else None,
        "fractions_given": len(given),
        "rt_completed": fractions.finished(course, rows),
        "never_irradiated": course.ending == Ending.NEVER_STARTED,
        "target_levels": " ".join(sorted({row.level for row in targets}, key=position)),
    }
    before = milestones_of(course.subject)
    if any(getattr(before, name) != value for name, value in values.items()):
        set_milestones(cast(AnyActor, actor), course.subject, "radiotherapy recorded", **values)


_SECTOR_ITEMS = tuple(
    Item(f"{volume}{n}", sdtm=f"SUPPPR.{volume.upper()}{n}", sdv=True, short=f"{volume.upper()} {n}")
    for volume in ("gtv", "ctv")
    for n in range(1, 7)
)

COURSE = CrfSpec(
    "R.RT",
    _("Radiotherapy course"),
    Course,
    event="RT",
    page="radiotherapy",
    sections=(
        Section(
            _("Planning"),
            (
                Item("planning_ct_on", sdtm="PR.PRSTDTC", missing=True),
                Item("ct_slice_mm", unit="mm", missing=True),
                Item("planning_mri", missing=True),
                Item("technique", sdtm="PR.PRMETHOD", sdv=True, missing=True),
                Item("energy_mv", unit="MV", missing=True),
                Item("image_guided", missing=True),
                Item("ctv_to_ptv_mm", unit="mm", missing=True),
            ),
        ),
        Section(
            _("Prescription"),
            (
                Item("prescribed_gy", sdtm="PR.PRDOSTOT", unit="Gy", sdv=True),
                Item("prescribed_fractions", sdv=True),
                Item("planned_start"),
            ),
        ),
        Section(
            _("Plan figures"),
            (
                Item("gtv_cm3", unit="cm³", missing=True),
                Item("ctv_cm3", unit="cm³", missing=True),
                Item("ptv_cm3", unit="cm³", missing=True),
                Item("ptv_v95_percent", unit="%", missing=True),
                Item("ptv_d95_gy", unit="Gy", sdv=True, missing=True),
            ),
        ),
        Section(
            _("End of the course"),
            (
                Item("ending", sdtm="DS.DSDECOD", sdv=True),
                Item("stop_reason", sdtm="DS.DSTERM", required=True, show_when=ShowWhen("ending", _ENDED_EARLY)),
                Item("stop_detail", show_when=ShowWhen("ending", _ENDED_EARLY)),
                Item("ended_on", sdtm="DS.DSSTDTC", required=True, show_when=ShowWhen("ending", _ENDED_EARLY)),
            ),
            help=_("That all fractions were given follows from the table of fractions; it is not asked here."),
        ),
    ),
    rows=(
        RowGroup(
            "targets",
            _("Target vertebrae"),
            TargetVertebra,
            (
                Item("level", sdtm="PR.PRLOC", sdv=True),
                *_SECTOR_ITEMS,
                Item("body_extent", show_when=ShowWhen("gtv1", ("True",)), widget="select"),
                Item("ring_reason", widget="select", short=_("Why all six")),
                Item("sector_remark", short=_("Why not the arm's target")),
                Item("structure", widget="select"),
                Item("structure_dmax_gy", unit="Gy", sdv=True, short=_("Its maximum (Gy)")),
            ),
            help=_(
                "Sectors as drawn: 1 vertebral body, 2 left pedicle, 3 left transverse process and lamina, 4 spinous "
                "process, 5 right transverse process and lamina, 6 right pedicle. Left is the patient's left. Every "
                "GTV sector is also in the CTV."
            ),
            sdv=True,
        ),
        RowGroup(
            "fractions",
            _("Fractions"),
            Fraction,
            (
                Item("number", sdtm="EX.EXSEQ"),
                Item("date", sdtm="EX.EXSTDTC", sdv=True),
                Item("given", sdtm="EX.EXOCCUR", sdv=True),
                Item("dose_gy", sdtm="EX.EXDOSE", unit="Gy", required=True, show_when=ShowWhen("given", ("True",))),
                Item("gap_reason", sdtm="EX.EXADJ", widget="select", short=_("Reason, if unusual")),
                Item("remark"),
            ),
            help=_("One row per fraction. The radiotherapy page records today's fraction with one click."),
            sdv=True,
        ),
    ),
    checks=CHECKS,
    after_save=after_course,
)

SPECS = (COURSE,)
