"""Overall survival."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial.reports.document import Block, Figure, Grid, Heading
from spinetrial.reports.figures.survival import SurvivalWords, survival_plot
from spinetrial.reports.writing import (
    Report,
    number,
    p_value,
    percent,
    with_interval,
)

#: Months at which the survival table reads the curve.
SURVIVAL_MONTHS = (3, 6, 12)


def survival(report: Report) -> Iterator[Block]:
    yield Heading(_("Overall survival"))
    survival = report.results.survival
    named = [(name, curve) for name, (_code, curve) in zip(report.names, survival.curves, strict=True)]
    yield Figure(
        "survival",
        _("Kaplan-Meier curve of overall survival from randomisation; ticks: censored"),
        survival_plot(
            named,
            SurvivalWords(
                axis=_("Months since randomisation"),
                proportion=_("Alive, %"),
                at_risk=_("At risk"),
                nothing=_("not estimable: no participants"),
            ),
        ),
    )
    rows = [
        (_("Participants"), *(str(curve.n) for _name, curve in named)),
        (_("Deaths"), *(str(curve.n_events) for _name, curve in named)),
        (
            _("Median survival, months (%(level)s %% CI)") % {"level": report.level},
            *(
                with_interval(curve.median, curve.median_interval.lower, curve.median_interval.upper)
                for _name, curve in named
            ),
        ),
    ]
    for months in SURVIVAL_MONTHS:
        cells = []
        for _name, curve in named:
            at = curve.at(months)
            if at.beyond_follow_up:
                cells.append(_("beyond follow-up"))
            else:
                cells.append(with_interval(at.survival, at.lower, at.upper, percent))
        label = _("Alive at %(months)d months (%(level)s %% CI)") % {"months": months, "level": report.level}
        rows.append((label, *cells))
    rows.append(
        (
            _("Median follow-up, months"),
            *(number(curve.median) for _code, curve in survival.follow_up),
        )
    )
    notes = [
        _(
            "From randomisation to death of any cause, censored at the last date known alive; log-log limits; "
            "follow-up by the reverse Kaplan-Meier method. A month is 30.44 days."
        )
    ]
    if survival.comparison is not None:
        notes.insert(0, _("Log-rank test, two-sided: p = %(p)s.") % {"p": p_value(survival.comparison.p)})
    yield Grid(
        _("Overall survival"),
        ("", *report.names),
        tuple(rows),
        (1.6, *(1.2 for _name in report.names)),
        notes=tuple(notes),
    )
