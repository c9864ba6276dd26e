"""Adverse events by term and grade."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from adverse_events.models import term_label
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.reports.document import Block, Grid, Heading, Paragraph
from spinetrial.reports.writing import (
    Report,
    p_value,
)


def toxicity(report: Report) -> Iterator[Block]:
    yield Heading(_("Adverse events"))
    cuts = report.protocol.toxicity
    treated = dict(report.results.set_sizes)[AnalysisSet.SAFETY]
    header = [_("CTCAE term")]
    for cut in cuts:
        header += [f"{_(cut.label)}: {name}" for name in report.names]
        header += ["p"] if len(report.groups) == 2 else []
    rows = []
    for row in report.results.toxicity:
        cells = [term_label(row.term_code)]
        for found in row.cuts:
            cells += [f"{x}/{n}" for x, n in found.counts]
            cells += [p_value(found.test.p)] if found.test else []
        rows.append(tuple(cells))
    if not rows:
        yield Paragraph(_("No adverse event is recorded of a treated participant."))
        return
    shares = (2.0, *((1.0, 1.0, 0.8) if len(report.groups) == 2 else (1.0,)) * len(cuts))
    yield Grid(
        _("Participants with an adverse event, by worst grade"),
        tuple(header),
        tuple(rows),
        shares,
        notes=(
            _(
                "CTCAE version %(version)s. Participants with the event of those treated (%(treated)s), worst "
                "grade per participant and term, whenever it occurred and whatever its cause (D23)."
            )
            % {"version": report.protocol.dictionaries.ctcae, "treated": " + ".join(str(n) for n in treated)},
            *(
                (_("p: Fisher's exact test, two-sided, each term by itself; not corrected for their number."),)
                if len(report.groups) == 2
                else ()
            ),
        ),
    )
