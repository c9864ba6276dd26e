"""SBRT with simultaneous integrated boost, phase 2: survival, local control, fractures, sample size."""

from __future__ import annotations

from spinetrial.analysis.papers.model import (
    LEVEL,
    POWER,
    Check,
    FollowUp,
    Layout,
    Listing,
    Paper,
    Part,
    Printed,
    Result,
)
from spinetrial.analysis.papers.pieces import (
    CLOPPER_PEARSON,
    LOG_LOG,
    WILSON,
    curve,
    exact,
    fixed,
    interval_of,
    per_cent,
    whole,
    with_limits,
    words,
)
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.competing import cumulative_incidence
from spinetrial.stats.design import SingleArmDesign, single_arm_design, single_arm_size
from spinetrial.stats.proportions import ProportionMethod, proportion_ci

_SURVIVAL: FollowUp = ((1, 3.9, 1), (1, 9.5, 1), (23, 24.0, 0))
_LOCAL_CONTROL: FollowUp = ((8, 12.5, 0), (1, 18.0, 1), (19, 24.5, 0))
#: Cause 1 is the fracture.
_FRACTURE: FollowUp = ((1, 0.9, 1), (27, 24.0, 0))
_SEGMENTS_PRINTED = 26
_NULL_RATE, _HOPED_RATE, _ONE_SIDED = 0.80, 0.95, 0.10
_SIZES_SHOWN = range(20, 36)


def paper() -> Paper:
    one_year, two_years = 12.0, 24.0
    outcome = _("Outcome")
    fracture = cumulative_incidence(
        [time for n, time, _code in _FRACTURE for _each in range(n)],
        [code for n, _time, code in _FRACTURE for _each in range(n)],
        1,
        LEVEL,
    ).at(one_year)
    all_controlled = exact(28, 28)
    no_myelopathy = exact(0, 25)

    def limits(*numbers: str) -> Printed:
        return Printed(numbers, percent=True, layout=Layout.LIMITS)

    checks = (
        Check(
            outcome,
            _("Overall survival, 1 year"),
            limits("92.0", "71.6", "97.9"),
            words(_("25 patients, 2 deaths in the first year, nobody censored before month 12")),
            (
                Result(LOG_LOG, with_limits(curve(_SURVIVAL), one_year), Part.NAMED),
                Result(CLOPPER_PEARSON, interval_of(exact(23, 25))),
                Result(WILSON, interval_of(proportion_ci(23, 25, ProportionMethod.WILSON, LEVEL))),
            ),
        ),
        Check(
            outcome,
            _("Local control, 1 year"),
            Printed(("100.0",), percent=True),
            words(_("28 segments, no failure in the first year")),
            (Result(_("Kaplan-Meier"), (curve(_LOCAL_CONTROL).at(one_year).survival,), Part.NAMED),),
            note=Line(
                _(
                    "Log-log limits are not defined at 100 per cent. The exact limits of %(counts)s are %(low)s to "
                    "%(high)s."
                ),
                (
                    ("counts", "28/28"), ("low", per_cent(all_controlled.lower.value)),
                    ("high", per_cent(all_controlled.upper.value)),
                ),
            ),
        ),
        Check(
            outcome,
            _("Local control, 2 years"),
            limits("95.0", "69.5", "99.3"),
            words(_("one failure at month 18 with 20 segments at risk")),
            (
                Result(LOG_LOG, with_limits(curve(_LOCAL_CONTROL), two_years), Part.NAMED),
                Result(CLOPPER_PEARSON, interval_of(exact(19, 20))),
                Result(WILSON, interval_of(proportion_ci(19, 20, ProportionMethod.WILSON, LEVEL))),
            ),
        ),
        Check(
            outcome,
            _("Vertebral compression fracture, 1 year, cumulative incidence"),
            limits("3.6", "0.2", "15.7"),
            words(_("1 fracture in 28 segments, before any death")),
            (
                Result(
                    _("Aalen-Johansen, Aalen-type variance, log-log limits"),
                    (fracture.incidence, fracture.lower, fracture.upper),
                    Part.NAMED,
                ),
                Result(CLOPPER_PEARSON, interval_of(exact(1, 28))),
                Result(WILSON, interval_of(proportion_ci(1, 28, ProportionMethod.WILSON, LEVEL))),
            ),
        ),
        Check(
            outcome,
            _("Overall survival, 2 years"),
            Printed(("72.8",), percent=True),
            words(_("The times of death and of censoring in the second year are not printed")),
        ),
        _segments(),
    )  # fmt: skip
    remarks = (
        words(_("Two patients died in the first year, yet 4 of 25 are without more than one year of follow-up, with "
                 "nobody lost. Both hold only if two patients stopped at month 12 exactly.")),
        words(_("28 segments of 25 patients are counted as independent. Segments of one patient share that patient's "
                 "follow-up and systemic treatment, so the limits may be too narrow.")),
        Line(
            _("No myelopathy in %(n)s patients does not mean no risk: the exact upper limit is %(upper)s."),
            (("n", "25"), ("upper", per_cent(no_myelopathy.upper.value))),
        ),
    )  # fmt: skip
    return Paper(
        "sib_sbrt",
        _("SBRT with simultaneous integrated boost, phase 2"),
        (
            "Mitsuyoshi T et al. Phase 2 trial of stereotactic body radiation therapy with dose escalation using "
            "simultaneous integrated boost for spinal metastases. Advances in Radiation Oncology 2025. "
            "doi 10.1016/j.adro.2025.101760."
        ),
        _("One arm, exact one-sided test, 25 patients with 28 segments, 30 Gy with 40 to 45 Gy boost in 5 fractions."),
        checks,
        remarks,
        (_saw_tooth(),),
    )


def _valid(design: SingleArmDesign) -> bool:
    return design.actual_power.value is not None and design.actual_power.value >= POWER


def _segments() -> Check:
    """The single-arm sample size: valid, but not the smallest."""
    found = single_arm_size(_NULL_RATE, _HOPED_RATE, _ONE_SIDED, POWER)
    printed = single_arm_design(_SEGMENTS_PRINTED, _NULL_RATE, _HOPED_RATE, _ONE_SIDED)
    return Check(
        _("Sample size"),
        _("Segments needed"),
        Printed((str(_SEGMENTS_PRINTED),)),
        words(_("80 per cent against 95 per cent, one-sided alpha 0.10, power 0.80")),
        (
            Result(_("Exact binomial, smallest number"), (found.n,), Part.NAMED),
            Result(_("Normal approximation"), (found.n_normal,)),
            Result(_("Normal approximation, continuity correction"), (found.n_normal_corrected,)),
            Result(_("Arcsine approximation"), (found.n_arcsine,)),
        ),
        compatible=_valid(printed),
        why=Line(
            _("%(printed)s with at least %(successes)s controlled is a valid design (real alpha %(alpha)s, power "
            "%(power)s), but %(smallest)s with at least %(fewer)s is enough (%(alpha_least)s, %(power_least)s)."),
            (
                ("printed", str(_SEGMENTS_PRINTED)), ("successes", whole(printed.successes)),
                ("alpha", fixed(printed.actual_alpha.value, 3)), ("power", fixed(printed.actual_power.value, 3)),
                ("smallest", whole(found.n)), ("fewer", whole(found.successes)),
                ("alpha_least", fixed(found.actual_alpha.value, 3)),
                ("power_least", fixed(found.actual_power.value, 3)),
            ),
        ),
    )  # fmt: skip


def single_arm_designs() -> tuple[SingleArmDesign, ...]:
    """The exact designs around the printed size, whose power rises and falls like the teeth of a saw."""
    return tuple(single_arm_design(n, _NULL_RATE, _HOPED_RATE, _ONE_SIDED) for n in _SIZES_SHOWN)


def _saw_tooth() -> Listing:
    stable = single_arm_size(_NULL_RATE, _HOPED_RATE, _ONE_SIDED, POWER).n_stable
    return Listing(
        _("The power of the exact test is a saw-tooth"),
        (_("Segments"), _("Controlled at least"), _("Real alpha"), _("Real power"), _("Valid")),
        tuple(
            (
                str(design.n),
                whole(design.successes),
                fixed(design.actual_alpha.value, 3),
                fixed(design.actual_power.value, 3),
                _("yes") if _valid(design) else _("no"),
            )
            for design in single_arm_designs()
        ),
        Line(
            _(
                "One segment more can cost power, because the number that must be controlled rises with it. From "
                "%(stable)s on the power never falls below 0.80 again."
            ),
            (("stable", whole(stable)),),
        ),
    )
