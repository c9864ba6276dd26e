"""Deviations and exclusions from the per-protocol set."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial.analysis import sets
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.writing import (
    Report,
)


def deviations(report: Report) -> Iterator[Block]:
    yield Heading(_("Deviations and exclusions from the per-protocol set"))
    visit = report.protocol.primary.timepoint.visit
    words = {
        "fractions": _("Fewer than %(count)d fractions") % {"count": report.protocol.per_protocol.min_fractions},
        "pain_in_window": _("Pain at %(visit)s not assessed in its window") % {"visit": report.event(visit)},
    }
    rows = []
    for reason, counts in report.results.pp_exclusions:
        label = words.get(reason.value, _(sets.PP_REASON_LABELS[reason]))
        hidden = report.results.masked and reason is sets.PpReason.WRONG_TARGET
        rows.append((label, *([_("not known while masked")] if hidden else (str(n) for n in counts))))
    if not report.results.masked:
        excluded = (
            len(g.rows) - size
            for g, size in zip(report.groups, dict(report.results.set_sizes)[AnalysisSet.PP], strict=True)
        )
        rows.append((_("Excluded in all"), *(str(count) for count in excluded)))
    outside = (
        str(sum(r.visit_date is not None and not r.in_window for row in g.rows for r in row.visits))
        for g in report.groups
    )
    rows.append((_("Visits outside their windows (all visits)"), *outside))
    yield Grid(
        _("Reasons (D24)"),
        (_("Reason"), *report.names),
        tuple(rows),
        (2.2, *(1.0 for _group in report.groups)),
        notes=(_("One participant may have several reasons. Eligibility and target as recorded and confirmed."),),
    )
