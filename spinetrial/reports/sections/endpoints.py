"""Fracture, local failure, pain progression and further treatment, with death competing; the course of everyone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from django.utils.translation import gettext as _

from followup.response import CATEGORY_LABELS, Category, Reading
from spinetrial.analysis.endpoints import Endpoint, Incidence
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.analysis.times import (
    DAYS_PER_MONTH,
    DEFINITIONS,
    PARAMETER_LABELS,
    READ_AT_MONTHS,
    Parameter,
    Status,
)
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.incidence import IncidenceWords, incidence_pair
from spinetrial.reports.figures.swimmer import Lane, Mark, SwimmerWords, swimmer_plot
from spinetrial.reports.sections.survival import at_risk_row
from spinetrial.reports.writing import Report, p_value, percent, share, share_with_limits
from spinetrial.stats.competing import IncidencePoint
from spinetrial.stats.estimate import Reason

#: Up to this number of participants each has a lane in the swimmer plot; of more, so many at even steps.
MOST_LANES = 80
LANES_OF_MORE = 60


def endpoints(report: Report) -> Iterator[Block]:
    yield Heading(_("Fracture, local failure, pain progression and further treatment"))
    yield Paragraph(
        _(
            "Times run from randomisation, for all randomised participants by intention to treat. Whoever dies without "
            "the event can no longer have it: death competes. The tables give the cumulative incidence "
            "(Aalen-Johansen), an estimate of the share of all participants who have had the event by then. A "
            "Kaplan-Meier curve would treat the dead as if they could still have it, and would say too much; its value "
            "stands in the last row of each table for comparison only."
        )
    )
    yield Paragraph(
        _(
            "Fracture and local failure are known only where imaging was done. They carry the date of the imaging "
            "that showed them, so that the curves rise when imaging was done and not when the event happened. The "
            "imaging for the visit %(visit)s is due later than %(months)d months after randomisation."
        )
        % {"visit": report.event(report.protocol.primary.timepoint.visit), "months": READ_AT_MONTHS[0]},
        "note",
    )
    for endpoint in report.results.endpoints.each:
        yield from _endpoint(report, endpoint)
    yield from _courses(report)


def _endpoint(report: Report, endpoint: Endpoint) -> Iterator[Block]:
    name = _(PARAMETER_LABELS[endpoint.parameter])
    yield Heading(name, 2)
    yield Paragraph(_(DEFINITIONS[endpoint.parameter]))
    if any(group.events for group in endpoint.groups):
        yield Figure(
            f"incidence_{endpoint.parameter.value.lower()}",
            _(
                "%(endpoint)s: cumulative incidence, and death without it, with pointwise %(level)s %% limits, on the "
                "same scale. A curve ends where fewer than 10 %% of its participants are at risk."
            )
            % {"endpoint": name, "level": report.level},
            incidence_pair(
                [(label, group.event, group.death) for label, group in zip(report.names, endpoint.groups, strict=True)],
                IncidenceWords(
                    event=_("%(endpoint)s, %%") % {"endpoint": name},
                    death=_("Death without it, %"),
                    axis=_("Months since randomisation"),
                    at_risk=_("At risk"),
                    nothing=_("not estimable: no participants"),
                ),
            ),
        )
    else:
        yield Paragraph(_("Nobody had the event, so there is no figure."), "note")
    yield _table(report, endpoint, name)


def _table(report: Report, endpoint: Endpoint, name: str) -> Grid:
    groups, last = endpoint.groups, READ_AT_MONTHS[-1]
    rows: list[tuple[str, ...]] = [
        (_("Participants"), *(str(group.n) for group in groups)),
        (_("With the event"), *(share(group.events, group.n) for group in groups)),
        (_("Died without the event"), *(share(group.deaths, group.n) for group in groups)),
        (_("Neither: censored"), *(share(group.censored, group.n) for group in groups)),
    ]
    for label, counts in (
        (_("Never looked for"), [group.never_looked for group in groups]),
        (_("Not at risk"), [group.not_at_risk for group in groups]),
    ):
        if any(counts):
            rows.append((f"    {label}", *(str(count) for count in counts)))
    for months in READ_AT_MONTHS:
        label = _("Incidence at %(months)d months (%(level)s %% CI)") % {"months": months, "level": report.level}
        rows.append((label, *(_incidence(group.event.at(months)) for group in groups)))
    rows.append(at_risk_row([[group.event.at(months).n_risk for months in READ_AT_MONTHS] for group in groups]))
    label = _("Death without the event by %(months)d months (%(level)s %% CI)")
    rows.append(
        (
            label % {"months": last, "level": report.level},
            *(_incidence(group.death.at(last)) for group in groups),
        )
    )
    rows.append(
        (
            _("For comparison only: 1 − Kaplan-Meier at %(months)d months") % {"months": last},
            *(_naive(group, last) for group in groups),
        )
    )
    notes = [
        _(
            "Aalen-Johansen estimate with death competing; Aalen-type variance, limits on the log-log scale, none "
            "where the incidence is 0 or 1. Counts are participants. At risk: neither the event, nor dead, nor "
            "censored before."
        )
    ]
    if endpoint.test is not None and endpoint.death_test is not None:
        notes.insert(
            0,
            _(
                "Gray's test between the arms, two-sided: event p = %(event)s; death without the event p = %(death)s. "
                "No correction for the number of tests."
            )
            % {"event": p_value(endpoint.test.p), "death": p_value(endpoint.death_test.p)},
        )
    return Grid(name, ("", *report.names), tuple(rows), (1.7, *(1.2 for _name in report.names)), notes=tuple(notes))


def _incidence(at: IncidencePoint) -> str:
    if at.incidence.reason is Reason.BEYOND_FOLLOW_UP:
        return _("beyond follow-up")
    return share_with_limits(at.incidence, at.lower, at.upper)


def _naive(group: Incidence, months: int) -> str:
    at = group.naive.at(months)
    if at.beyond_follow_up or at.survival.value is None:
        return _("beyond follow-up") if at.beyond_follow_up else _("not estimable")
    return percent(1 - at.survival.value)


def _courses(report: Report) -> Iterator[Block]:
    total = sum(len(group.rows) for group in report.groups)
    kept = total if total <= MOST_LANES else LANES_OF_MORE // len(report.groups)
    reading = Reading(report.protocol.response.reading)
    panels = [
        (name, [lane(row, reading) for row in by_follow_up(group.rows, kept)])
        for name, group in zip(report.names, report.groups, strict=True)
    ]
    yield Heading(_("The course of each participant"), 2)
    shown = sum(len(lanes) for _name, lanes in panels)
    rule = _("All %(total)d randomised participants, longest follow-up on top.") % {"total": total}
    if shown < total:
        rule = _(
            "%(shown)d of %(total)d randomised participants, longest follow-up on top: of more than %(most)d the "
            "figure shows up to %(kept)d in each panel, at even steps from the longest to the shortest follow-up."
        ) % {"shown": shown, "total": total, "kept": kept, "most": MOST_LANES}
    yield Paragraph(
        _(
            "A lane runs from randomisation to death or to the last date known alive. Responses are those of scheduled "
            "visits by the protocol's reading. The dates behind each mark are in the tables ADSL, ADRS and ADTTE of "
            "the export."
        )
    )
    yield Figure("swimmer", _("Swimmer plot. %(rule)s") % {"rule": rule}, swimmer_plot(panels, _words()))


def _words() -> SwimmerWords:
    marks = {
        Mark.RADIOTHERAPY: _("Radiotherapy"),
        **{Mark(category.value): _(CATEGORY_LABELS[category]) for category in Category},
        Mark.RETREATED: _(PARAMETER_LABELS[Parameter.RETREAT]),
        Mark.FRACTURE: _(PARAMETER_LABELS[Parameter.VCF]),
        Mark.DEAD: _("Death"),
        Mark.ENDED: _("Left follow-up alive"),
        Mark.ONGOING: _("Alive, in follow-up"),
    }
    return SwimmerWords(_("Months since randomisation"), marks, _("no participants"))


def by_follow_up(rows: Sequence[AnalysisRow], most: int) -> list[AnalysisRow]:
    """The rows by follow-up, the longest first, equal ones in the order of their codes.

    Of more than `most` (at least 2) so many at even steps, the longest and the shortest among them: the longest alone
    would show the survivors.
    """
    ordered = sorted(rows, key=lambda row: (-row.time(Parameter.OS).days, row.subject))
    if len(ordered) <= most:
        return ordered
    return [ordered[place * (len(ordered) - 1) // (most - 1)] for place in range(most)]


def lane(row: AnalysisRow, reading: Reading) -> Lane:
    """The course of one participant in months since randomisation."""

    def months(day: date) -> float:
        return (day - row.randomized).days / DAYS_PER_MONTH

    marks = [(months(each.visit_date), Mark(each.category(reading).value)) for each in row.visits if each.visit_date]
    treated, fracture = row.time(Parameter.RETREAT), row.time(Parameter.VCF)
    marks += [
        (time.months, mark)
        for time, mark in ((treated, Mark.RETREATED), (fracture, Mark.FRACTURE))
        if time.status is Status.EVENT
    ]
    last = Mark.ENDED if row.followup_ended else Mark.ONGOING
    return Lane(
        subject=row.subject,
        end=row.time(Parameter.OS).months,
        radiotherapy=(months(row.rt_start), months(row.rt_end)) if row.rt_start and row.rt_end else None,
        marks=tuple(marks),
        last=Mark.DEAD if row.death else last,
    )
