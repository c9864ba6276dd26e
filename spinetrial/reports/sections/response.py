"""Pain response in categories at each visit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from followup.response import CATEGORY_LABELS, Category, NeReason
from spinetrial.analysis import sets
from spinetrial.analysis.primary import VisitCounts
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.bars import Bar, BarRow, BarWords, stacked_bars
from spinetrial.reports.writing import (
    Report,
    rate,
    reading_name,
)

#: Visits in one figure: more would not fit a page.
_VISITS = 14


def response(report: Report) -> Iterator[Block]:
    yield Heading(_("Pain response at each visit"))
    shown = [
        row
        for row in report.results.visits
        if any(counts.n != counts.count(Category.NE) for counts in row) or row[0].visit in reported(report)
    ]
    for first in range(0, len(shown), _VISITS):
        yield response_figure(report, shown[first : first + _VISITS], first // _VISITS)
    for row in shown:
        yield response_grid(report, row)
    yield Paragraph(
        _(
            "International Bone Metastases Consensus at the index site, %(reading)s (D1). OMED by factor table "
            "version %(table)s (D22). Rates with exact (Clopper-Pearson) %(level)s %% CI. Nothing is carried "
            "forward."
        )
        % {
            "reading": reading_name(report.protocol.response.reading),
            "table": report.protocol.analgesics.table_version,
            "level": report.level,
        },
        "note",
    )


def reported(report: Report) -> set[str]:
    timepoint = report.protocol.primary.timepoint
    return {timepoint.visit, *timepoint.also_reported}


#: Segments of the bars: the evaluable categories, then why the others are not evaluable.
_EVALUABLE = (Category.CR, Category.PR, Category.IR, Category.PP)
_OWN_SEGMENT = (NeReason.DEAD.value, NeReason.INTERVENTION.value, sets.NOT_YET)


def segments(counts: VisitCounts) -> tuple[int, ...]:
    """Everyone of a group in the order of the segments: CR, PR, IR, PP, dead, retreated, missing, not due yet."""
    dead, retreated, not_yet = (counts.reason(reason) for reason in _OWN_SEGMENT)
    missing = counts.count(Category.NE) - dead - retreated - not_yet
    return (*(counts.count(category) for category in _EVALUABLE), dead, retreated, missing, not_yet)


def response_figure(report: Report, rows: Sequence[Sequence[VisitCounts]], number: int) -> Figure:
    words = BarWords(
        segments=(
            *((category.value, f"{category.value}: {_(CATEGORY_LABELS[category])}") for category in _EVALUABLE),
            (_("dead"), _("Died before the visit")),
            (_("retr."), _("Index site treated again")),
            (_("miss."), _("Missing or not evaluable for another reason")),
            (_("not yet"), _("Visit not due yet")),
        ),
        axis=_("Per cent of all randomised"),
        counts=_("Participants"),
        total=_("all"),
    )
    bars = [
        BarRow(
            report.event(row[0].visit),
            tuple(Bar(name, segments(counts)) for name, counts in zip(report.names, row, strict=True)),
        )
        for row in rows
    ]
    return Figure(
        f"response-{number + 1}" if number else "response",
        _(
            "What became of everyone at each visit: pain response, death, missing. The reasons of the missing are in "
            "the tables"
        ),
        stacked_bars(bars, words),
    )


def response_grid(report: Report, row: Sequence[VisitCounts]) -> Grid:
    visit = row[0].visit
    caption = report.event(visit)
    if visit == report.protocol.primary.timepoint.visit:
        caption = _("%(visit)s (primary time point)") % {"visit": caption}
    rows = [
        (f"{_(CATEGORY_LABELS[category])} ({category.value})", *(str(c.count(category)) for c in row))
        for category in Category
    ]
    reasons = dict.fromkeys(reason for counts in row for reason, _n in counts.ne_reasons)
    for reason in reasons:
        rows.append((f"    {_(sets.REASON_LABELS[reason])}", *(str(counts.reason(reason)) for counts in row)))
    rows.append((_("Responders (CR + PR) of all randomised"), *(rate(counts.rate) for counts in row)))
    rows.append((_("Responders (CR + PR) of the evaluable"), *(rate(counts.rate_evaluable) for counts in row)))
    return Grid(caption, (_("Response"), *report.names), tuple(rows), (1.5, *(1.2 for _c in row)))
