"""Overall survival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from spinetrial.analysis.survival import Survival
from spinetrial.analysis.times import DEFINITIONS, READ_AT_MONTHS, Parameter
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.survival import SurvivalWords, survival_plot
from spinetrial.reports.writing import Report, number, p_value, share, share_with_limits, with_interval
from spinetrial.stats.survival import KaplanMeier


def survival(report: Report) -> Iterator[Block]:
    yield Heading(_("Overall survival"))
    found = report.results.survival
    named = [(name, curve) for name, (_code, curve) in zip(report.names, found.curves, strict=True)]
    yield Figure(
        "survival",
        _(
            "Kaplan-Meier curve of overall survival from randomisation, with pointwise %(level)s %% limits; ticks: "
            "censored. A curve ends where fewer than 10 %% of its participants are at risk."
        )
        % {"level": report.level},
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
    yield _curves(report, found, [curve for _name, curve in named])
    if found.comparison is not None:
        yield _comparison(report, found)
    if found.causes:
        yield _causes(report, found)
    else:
        yield Paragraph(_("Nobody has died."), "note")


def _curves(report: Report, found: Survival, curves: list[KaplanMeier]) -> Grid:
    tau = found.restricted[0][1].tau
    rows = [
        (_("Participants"), *(str(curve.n) for curve in curves)),
        (_("Deaths"), *(share(curve.n_events, curve.n) for curve in curves)),
        (
            _("Median survival, months (%(level)s %% CI)") % {"level": report.level},
            *(
                with_interval(curve.median, curve.median_interval.lower, curve.median_interval.upper)
                for curve in curves
            ),
        ),
    ]
    for months in READ_AT_MONTHS:
        cells = []
        for curve in curves:
            at = curve.at(months)
            if at.beyond_follow_up:
                cells.append(_("beyond follow-up"))
            else:
                cells.append(share_with_limits(at.survival, at.lower, at.upper))
        label = _("Alive at %(months)d months (%(level)s %% CI)") % {"months": months, "level": report.level}
        rows.append((label, *cells))
    rows.append(at_risk_row([[curve.at(months).n_risk for months in READ_AT_MONTHS] for curve in curves]))
    rows.append(
        (
            _("Mean survival within the first %(tau)d months (%(level)s %% CI)") % {"tau": tau, "level": report.level},
            *(with_interval(mean.mean, mean.interval.lower, mean.interval.upper) for _code, mean in found.restricted),
        )
    )
    rows.append((_("Median follow-up, months"), *(number(curve.median) for _code, curve in found.follow_up)))
    return Grid(
        _("Overall survival"),
        ("", *report.names),
        tuple(rows),
        (1.6, *(1.2 for _name in report.names)),
        notes=(
            _("All randomised participants from randomisation. %(definition)s")
            % {"definition": _(DEFINITIONS[Parameter.OS])},
            _(
                "Kaplan-Meier with log-log limits; follow-up by the reverse Kaplan-Meier method; restricted mean: area "
                "under the curve, to the last whole month that every group reaches, at most %(months)d (assumption). "
                "A month is 30.44 days. At risk: not dead and still under observation."
            )
            % {"months": READ_AT_MONTHS[-1]},
        ),
    )


def at_risk_row(counts: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """The numbers at risk of each group at the months at which curves are read, as one row of a table."""
    months = " / ".join(str(month) for month in READ_AT_MONTHS)
    return (
        _("At risk at %(months)s months") % {"months": months},
        *(" / ".join(str(count) for count in group) for group in counts),
    )


def _comparison(report: Report, found: Survival) -> Grid:
    study, control = report.names
    rows = []
    if found.comparison is not None:
        rows.append((_("Log-rank test, two-sided"), "–", p_value(found.comparison.p)))
    if found.hazard_ratio is not None:
        ratio = found.hazard_ratio
        rows.append(
            (
                _("Hazard ratio of death, %(study)s : %(control)s") % {"study": study, "control": control},
                with_interval(ratio.hazard_ratio, ratio.interval.lower, ratio.interval.upper, _two_decimals),
                p_value(ratio.wald_p),
            )
        )
    if found.restricted_difference is not None:
        gap = found.restricted_difference
        rows.append(
            (
                _("Difference of mean survival within %(tau)d months, %(study)s − %(control)s, in months")
                % {"tau": gap.group0.tau, "study": study, "control": control},
                with_interval(gap.difference, gap.interval.lower, gap.interval.upper, _signed),
                p_value(gap.p),
            )
        )
    return Grid(
        _("Overall survival: comparison of the arms"),
        (_("Comparison"), _("Estimate (%(level)s %% CI)") % {"level": report.level}, _("p")),
        tuple(rows),
        (2.6, 1.4, 0.6),
        notes=(
            _(
                "Log-rank test with hypergeometric variance (Mantel), not stratified. Hazard ratio: Cox model with the "
                "arm alone, Efron's method for ties, Wald interval and p; below 1 favours %(study)s; it supposes that "
                "the ratio is the same at all times. Difference of restricted means: normal approximation. All "
                "two-sided; a secondary endpoint without correction for the number of tests."
            )
            % {"study": study},
        ),
    )


def _causes(report: Report, found: Survival) -> Grid:
    totals = [curve.n_events for _code, curve in found.curves]
    rows = tuple(
        (str(cause.label), *(share(count, total) for count, total in zip(counts, totals, strict=True)))
        for cause, counts in found.causes
    )
    return Grid(
        _("Causes of death"),
        (_("Cause of death"), *report.names),
        (*rows, (_("All deaths"), *(str(total) for total in totals))),
        (1.6, *(1.2 for _name in report.names)),
        notes=(
            _(
                "As given by the study site in the form that first reported the death; per cent of the deaths of the "
                "group. The trial treatment as a cause in the end-of-study form counts as the trial's radiotherapy. "
                "No test."
            ),
        ),
    )


def _two_decimals(value: float) -> str:
    return f"{value:.2f}"


def _signed(value: float) -> str:
    """Months with one decimal and a true sign."""
    digits = f"{abs(value):.1f}"
    if not float(digits):
        return digits
    return f"−{digits}" if value < 0 else f"+{digits}"
