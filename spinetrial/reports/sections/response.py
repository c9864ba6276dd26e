"""Pain response in categories at each visit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from followup.response import CATEGORY_LABELS, Category
from spinetrial.analysis import sets
from spinetrial.analysis.primary import VisitCounts
from spinetrial.reports.document import Block, Grid, Heading, Paragraph
from spinetrial.reports.writing import (
    Report,
    rate,
    reading_name,
)


def response(report: Report) -> Iterator[Block]:
    yield Heading(_("Pain response at each visit"))
    for row in report.results.visits:
        if any(counts.n != counts.count(Category.NE) for counts in row) or row[0].visit in reported(report):
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
        cells = (str(dict(counts.ne_reasons).get(reason, 0)) for counts in row)
        rows.append((f"    {_(sets.REASON_LABELS[reason])}", *cells))
    rows.append((_("Responders (CR + PR) of all randomised"), *(rate(counts.rate) for counts in row)))
    rows.append((_("Responders (CR + PR) of the evaluable"), *(rate(counts.rate_evaluable) for counts in row)))
    return Grid(caption, (_("Response"), *report.names), tuple(rows), (1.5, *(1.2 for _c in row)))
