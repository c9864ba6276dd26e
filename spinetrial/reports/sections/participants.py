"""Screening, enrolment and the flow of participants into the analysis sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django.utils.translation import gettext as _

from patients.models.consent import EndStatus, FailureReason
from spinetrial.analysis import sets
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet
from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.writing import (
    Report,
)


def flow(report: Report) -> Iterator[Block]:
    yield Heading(_("Participants"))
    flow = report.results.flow
    yield Grid(
        _("Screening and enrolment"),
        (_("Study site"), _("Screened"), _("Randomised")),
        (
            *((site, str(screened), str(enrolled)) for site, screened, enrolled in flow.sites),
            (_("All sites"), str(flow.screened), str(flow.randomized)),
        ),
        (2, 1, 1),
        notes=(screening_note(report),),
    )
    counts: list[tuple[str, Callable[[AnalysisRow], bool]]] = [
        (_("Randomised"), lambda row: True),
        (_("At least one fraction given"), lambda row: row.treated),
        (
            _("At least %(count)d fractions given") % {"count": report.protocol.per_protocol.min_fractions},
            lambda row: row.fractions >= report.protocol.per_protocol.min_fractions,
        ),
        (
            _("Pain assessed at %(visit)s") % {"visit": report.event(report.protocol.primary.timepoint.visit)},
            lambda row: row.response(report.protocol.primary.timepoint.visit).nrs is not None,
        ),
        (_("Withdrawn from treatment"), lambda row: row.treatment_withdrawn is not None),
        (_("Died"), lambda row: row.death is not None),
        (
            _("Withdrawn from follow-up or lost, alive"),
            lambda row: row.followup_ended is not None and row.death is None and row.end_reason != EndStatus.COMPLETED,
        ),
    ]
    rows = [(label, *(str(sum(test(row) for row in group.rows)) for group in report.groups)) for label, test in counts]
    sizes = dict(report.results.set_sizes)
    rows.append((_("Analysis sets"), *("" for _group in report.groups)))
    heads = frozenset({len(rows) - 1})
    rows += [(_(sets.SET_LABELS[each]), *set_cells(report, each, sizes[each])) for each in AnalysisSet]
    yield Grid(
        _("Flow after randomisation and analysis sets"),
        (_("Participants"), *report.names),
        tuple(rows),
        (2.2, *(1.0 for _group in report.groups)),
        notes=(_("ITT counts everyone in the arm drawn for them, whatever was given."),),
        groups=heads,
    )


def set_cells(report: Report, which: AnalysisSet, sizes: Sequence[int]) -> list[str]:
    if which is AnalysisSet.PP and report.results.masked:
        return [_("not known while masked")]
    return [str(size) for size in sizes]


def screening_note(report: Report) -> str:
    flow = report.results.flow
    reasons = {reason.value: str(reason.label) for reason in FailureReason}
    listed = "; ".join(f"{reasons.get(code, _('no reason recorded'))}: {count}" for code, count in flow.failure_reasons)
    text = _("Screen failures: %(count)d. Still in screening: %(waiting)d.") % {
        "count": flow.screen_failures,
        "waiting": flow.waiting,
    }
    return f"{text} {listed}." if listed else text
