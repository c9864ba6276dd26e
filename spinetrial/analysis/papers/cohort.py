"""The cohort treated with 30/40 Gy: rates with standard errors, percentages and their counts."""

from __future__ import annotations

from spinetrial.analysis.papers.model import Check, FollowUp, Layout, Paper, Part, Printed, Result
from spinetrial.analysis.papers.pieces import GREENWOOD, curve, exact, per_cent, share_check, with_error, words
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.estimate import known

#: 28 targets; both failures at month 7 with 20 at risk.
_COHORT_CONTROL: FollowUp = ((8, 3.0, 0), (2, 7.0, 1), (18, 25.0, 0))
#: One course of 24 patients, by how many were at risk at each progression, that ends at 11.1 ± 10.1.
_ONE_COURSE = (24, (19, 17, 14, 13, 12, 11, 10, 8, 6, 5, 3, 2))


def _course(n: int, at_risk: tuple[int, ...]) -> FollowUp:
    """Follow-up in which one patient leaves each month, by an event where so many were still at risk."""
    return tuple((1, float(n - left + 1), int(left in at_risk)) for left in range(n, 0, -1))


def paper() -> Paper:
    curves = _("Rates with standard error")
    shares = _("Percentages and their counts")
    control, survivors = curve(_COHORT_CONTROL), curve(((2, 1.0, 1), (4, 2.0, 0)))
    one_of_nine = curve(((8, 1.0, 1), (1, 2.0, 0)))
    five_of_six = curve(((1, 1.0, 1), (5, 2.0, 0)))
    course = (Result(
        _("Kaplan-Meier, if 24 patients left in one certain order"),
        with_error(curve(_course(*_ONE_COURSE)), float(_ONE_COURSE[0])),
        Part.SUPPOSED,
    ),)  # fmt: skip
    assessed, without_data, relieved = 13, 1, 9
    with_data = assessed - without_data
    all_counted, data_only = exact(relieved, assessed), exact(relieved, with_data)
    oligometastatic = (8, 7)

    def error(*numbers: str) -> Printed:
        return Printed(numbers, percent=True, layout=Layout.ERROR)

    progression = error("11.1", "10.1")
    checks = (
        Check(
            curves,
            _("Local control, 1 year"),
            error("90.0", "6.7"),
            words(_("2 failures at month 7 with 20 targets at risk")),
            (Result(GREENWOOD, with_error(control, 12.0), Part.NAMED),),
        ),
        Check(
            curves,
            _("Local control, 2 years"),
            error("83.3", "15.2"),
            words(_("the same 2 failures, none later")),
            (
                Result(GREENWOOD, with_error(control, 24.0), Part.NAMED),
                Result(
                    _("Kaplan-Meier, if 1 of 6 had failed and none before"), with_error(five_of_six, 1.0), Part.SUPPOSED
                ),
            ),
            why=words(_("A curve only falls where something fails. Both failures were at month 7, so local control at "
                         "2 years is that of 1 year. The printed pair belongs to one failure among 6.")),
        ),
        Check(
            curves,
            _("Rate printed as 66.7 per cent"),
            error("66.7", "19.2"),
            words(_("4 of 6, nobody censored")),
            (Result(GREENWOOD, with_error(survivors, 1.0), Part.NAMED),),
        ),
        Check(
            curves,
            _("Progression-free survival, end of the curve"),
            progression,
            words(_("1 of 9 if nobody was censored; the times are not printed")),
            (Result(GREENWOOD, with_error(one_of_nine, 1.0), Part.NAMED), *course),
            compatible=any(progression.agrees(result.values) for result in course),
            why=words(_("1 of 9 gives another standard error. A curve with censored patients can give the printed one, "
                         "as the example shows; whether it did cannot be told.")),
        ),
        Check(
            curves,
            _("Progression-free survival, 1 year"),
            error("33.3", "11.6"),
            words(_("The times are not printed")),
        ),
        share_check(shares, _("Renal cancer"), "12.6", 3, 24),
        share_check(shares, _("The share of 20 of 24 patients"), "83.4", 20, 24),
        share_check(shares, _("The share of 4 of 28 targets, in one place"), "14.2", 4, 28),
        share_check(shares, _("The share of 4 of 28 targets, in another"), "14.3", 4, 28),
        share_check(shares, _("Oligometastatic or oligoprogressive disease"), "79.2", 19, 24),
        Check(
            shares,
            _("Patients behind the rate of pain relief"),
            Printed((str(assessed),)),
            Line(_("%(n)s counted, %(without)s of them without data"), (
                ("n", str(assessed)), ("without", str(without_data)),
            )),
            (Result(_("Patients with data"), (known(with_data),)),),
            why=Line(
                _("%(with)s is %(rate)s (exact limits %(low)s to %(high)s); among those with data %(other)s is "
                "%(other_rate)s (%(other_low)s to %(other_high)s)."),
                (
                    ("with", f"{relieved}/{assessed}"), ("rate", per_cent(all_counted.estimate.value)),
                    ("low", per_cent(all_counted.lower.value)), ("high", per_cent(all_counted.upper.value)),
                    ("other", f"{relieved}/{with_data}"), ("other_rate", per_cent(data_only.estimate.value)),
                    ("other_low", per_cent(data_only.lower.value)), ("other_high", per_cent(data_only.upper.value)),
                ),
            ),
        ),
        Check(
            shares,
            _("Oligometastatic patients in the table"),
            Printed(("16",)),
            Line(_("%(one)s of 11 and %(other)s of 13"), (
                ("one", str(oligometastatic[0])), ("other", str(oligometastatic[1])),
            )),
            (Result(_("Sum of the two groups"), (known(sum(oligometastatic)),)),),
            why=words(_("The two groups of the text do not add up to the number in the table.")),
        ),
    )  # fmt: skip
    return Paper(
        "cohort",
        _("Simultaneous integrated boost, 30/40 Gy in 10 fractions, cohort"),
        (
            "Dose-escalated radiotherapy with simultaneous integrated boost for bone metastases in selected patients "
            "with assumed favorable prognosis. Radiol Oncol 2022;56:515."
        ),
        _("Retrospective, no arms, 24 patients with 28 targets for the outcomes."),
        checks,
    )
