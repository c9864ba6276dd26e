"""IMRT v 3DCRT: tables 1, 4 and 5 of the randomised trial of bone density and pain response."""

from __future__ import annotations

from spinetrial.analysis.papers.model import ALPHA, POWER, Check, Paper, Part, Printed, Result, Table
from spinetrial.analysis.papers.pieces import Moments, fixed, per_cent, share_check, t_check, table_check, whole, words
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.design import two_means_power, two_means_size
from spinetrial.stats.estimate import known
from spinetrial.stats.tables import chi_square_2x2, fisher_2x2

_IMRT_ARMS = ("IMRT", "3DCRT")
#: Claim, printed p, counts of the IMRT and of the 3DCRT arm in the order of the paper.
_IMRT_BASELINE: tuple[tuple[str, str, Table], ...] = (
    (_("Sex"), "0.795", ((17, 13), (16, 14))),
    (_("Localisation of the metastases"), "0.261", ((4, 15, 11, 0), (5, 15, 7, 3))),
    (_("Number of metastases"), "0.140", ((17, 4, 9), (10, 9, 11))),
    (_("Visceral metastases"), "0.292", ((14, 16), (10, 20))),
    (_("Surgery"), "0.196", ((18, 12), (13, 17))),
    (_("Hormone therapy"), "0.091", ((12, 18), (6, 24))),
    (_("Chemotherapy"), "0.118", ((14, 16), (20, 10))),
    (_("Bisphosphonate"), "0.100", ((13, 17), (7, 23))),
    (_("Opiate"), "0.426", ((20, 10), (17, 13))),
    (_("NSAID"), "0.260", ((23, 7), (19, 11))),
    (_("Psychiatric medication"), "0.371", ((9, 21), (6, 24))),
)
_IMRT_OUTCOME: tuple[tuple[str, str, Table], ...] = (
    (_("Pathological fracture, baseline"), "0.161", ((1, 29), (4, 26))),
    (_("Pathological fracture, 3 months"), "0.676", ((3, 17), (2, 17))),
    (_("Responders, 3 months"), "0.151", ((14, 6), (9, 10))),
    (_("Responders, 6 months"), "0.494", ((12, 5), (7, 5))),
    (_("Response in four categories, 3 months"), "0.395", ((10, 4, 1, 5), (5, 4, 3, 7))),
    (_("Response in four categories, 6 months"), "0.732", ((7, 5, 2, 3), (3, 4, 3, 2))),
)
_IMRT_MEANS: tuple[tuple[str, str, Moments, Moments], ...] = (
    (_("Age, years"), "0.219", Moments("66.1", "10.5", 30), Moments("62.5", "11.8", 30)),
    (_("Weight, kg"), "0.929", Moments("75.8", "14.9", 30), Moments("76.2", "19.4", 30)),
    (_("Height, cm"), "0.790", Moments("171.6", "8.8", 30), Moments("172.2", "8.6", 30)),
    (_("Body mass index"), "0.960", Moments("25.7", "4.4", 30), Moments("25.6", "5.7", 30)),
    (_("Karnofsky performance status"), "0.283", Moments("64.9", "9.32", 30), Moments("61.3", "9.7", 30)),
)
#: p values whose data are not printed: claim, p.
_IMRT_NO_DATA = (
    (_("Bone density, 3 months (rank-sum)"), "0.723"),
    (_("Bone density, 6 months (rank-sum)"), "0.341"),
    (_("Pain on the VAS, 3 months (rank-sum)"), "0.037"),
    (_("Pain on the VAS, 6 months (rank-sum)"), "0.430"),
    (_("Overall survival (log-rank)"), "0.187"),
)
_ALIVE_6_MONTHS = (18, 12)
_ASSESSED_6_MONTHS = 17
_P_VALUES_PRINTED = 60  # about


def _equal_shares(printed: Printed, sizes: tuple[int, int]) -> list[Table]:
    """All 2x2 tables of arms of these sizes whose uncorrected chi-square p rounds to the printed one."""
    n1, n0 = sizes
    return [
        ((x1, n1 - x1), (x0, n0 - x0))
        for x1 in range(n1 + 1)
        for x0 in range(n0 + 1)
        if printed.agrees((chi_square_2x2(x1, n1 - x1, x0, n0 - x0).pearson_p,))
    ]


def _fractures_at_6_months(group: str) -> Check:
    """p = 1.000 without counts: which tables would give it."""
    printed = Printed(("1.000",))
    tables = _equal_shares(printed, _ALIVE_6_MONTHS)
    (a, b), (c, d) = tables[0]
    supposed = (
        Result(
            _("Pearson, for the table with the fewest fractures"),
            (chi_square_2x2(a, b, c, d).pearson_p,),
            Part.SUPPOSED,
        ),
        Result(_("Fisher, for the table with the fewest fractures"), (fisher_2x2(a, b, c, d).p,), Part.SUPPOSED),
    )
    return Check(
        group,
        _("Pathological fracture, 6 months"),
        printed,
        Line(_("Counts not at hand; alive: IMRT %(one)s, 3DCRT %(other)s"), (
            ("one", str(_ALIVE_6_MONTHS[0])), ("other", str(_ALIVE_6_MONTHS[1])),
        )),
        supposed,
        why=Line(
            _("Of all tables with %(one)s and %(other)s patients only %(n)s, with equal shares in both arms, give this "
            "p by an uncorrected chi-square test; the one with the fewest is %(x1)s/%(one)s and %(x0)s/%(other)s."),
            (
                ("one", str(_ALIVE_6_MONTHS[0])), ("other", str(_ALIVE_6_MONTHS[1])), ("n", str(len(tables))),
                ("x1", str(a)), ("x0", str(c)),
            ),
        ),
    )  # fmt: skip


def paper() -> Paper:
    baseline = _("Table 1: baseline")
    outcome = _("Tables 4 and 5: fractures and pain response")
    planned = 30
    effect = 0.8
    smallest = two_means_size(effect, ALPHA, POWER)
    power = two_means_power(effect, planned, ALPHA)
    checks = (
        *(t_check(baseline, *row) for row in _IMRT_MEANS),
        *(table_check(baseline, *row, _IMRT_ARMS) for row in _IMRT_BASELINE),
        *(table_check(outcome, *row, _IMRT_ARMS) for row in _IMRT_OUTCOME),
        _fractures_at_6_months(outcome),
        share_check(outcome, _("Fractures, 3 months, IMRT"), "15.0", 3, 20),
        share_check(outcome, _("Fractures, 3 months, 3DCRT"), "10.5", 2, 19),
        share_check(outcome, _("Partial response, 3 months, 3DCRT"), "20.1", 4, 19),
        share_check(outcome, _("Responders, 6 months, IMRT"), "70.8", 12, 17),
        Check(
            outcome,
            _("Patients with pain response at 6 months, IMRT"),
            Printed((str(_ASSESSED_6_MONTHS),)),
            Line(_("%(alive)s alive, all survivors said to be complete"), (("alive", str(_ALIVE_6_MONTHS[0])),)),
            (Result(_("Survivors, all assessed"), (known(_ALIVE_6_MONTHS[0]),)),),
            why=words(_("Either one survivor was not assessed or the number alive is another.")),
        ),
        *(
            Check(
                _("Tables 2 and 3, survival: single values not printed"),
                claim,
                Printed((p,)),
                words(_("Medians only; a rank test needs the single values, a log-rank test the times")),
            )
            for claim, p in _IMRT_NO_DATA
        ),
        Check(
            _("Sample size"),
            _("Patients per arm for 0.8 standard deviations, 80 per cent power"),
            Printed((str(planned),)),
            words(_("two-sided alpha 0.05, t test")),
            (Result(_("Smallest number by the noncentral t"), (smallest.n_per_arm,)),),
            compatible=power.value is not None and power.value >= POWER,
            why=Line(
                _("%(planned)s per arm give a power of %(power)s; %(smallest)s are enough."),
                (("planned", str(planned)), ("power", per_cent(power.value)), ("smallest", whole(smallest.n_per_arm))),
            ),
        ),
    )
    remarks = (
        words(_("Columns headed SD are said in the text to be interquartile ranges.")),
        words(_("The Hodges-Lehmann difference at baseline is IMRT minus 3DCRT; the one at 3 months has the opposite "
                 "sign.")),
        words(_("Survival is counted from diagnosis. Nobody could die before randomisation, so this time is immortal "
                 "and makes survival look longer.")),
        Line(
            _("About %(n)s p values are printed without correction. If nothing differed, about %(expected)s of them "
            "would be below 0.05; the p of 0.037 for pain at 3 months has to be read with this in mind."),
            (("n", str(_P_VALUES_PRINTED)), ("expected", fixed(_P_VALUES_PRINTED * ALPHA, 0))),
        ),
    )  # fmt: skip
    return Paper(
        "imrt",
        _("IMRT or 3DCRT for vertebral metastases"),
        (
            "Sprave T et al. Bone density and pain response following intensity-modulated radiotherapy versus "
            "three-dimensional conformal radiotherapy for vertebral metastases. Radiat Oncol 2018;13:212. "
            "doi 10.1186/s13014-018-1161-4. NCT02832830."
        ),
        _("Randomised 1:1, exploratory, one site, 60 patients, 30 Gy in 10 fractions."),
        checks,
        remarks,
    )
