"""What the report is made from, and its main result in words."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial import __version__
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.primary import CONCLUSION_LABELS, Conclusion, Primary
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.protocol import protocol_hash
from spinetrial.reports.document import Block, Facts, Heading, Paragraph
from spinetrial.reports.writing import (
    Report,
    difference,
    points,
    rate,
    share,
    short_set,
)


def front(report: Report) -> Iterator[Block]:
    protocol = report.protocol
    locked = report.source.locked_at
    yield Facts(
        (
            (_("Trial"), _(protocol.identity.title)),
            (_("Registration"), protocol.identity.registration),
            (_("Data"), report.version_name()),
            (_("Locked"), f"{locked:%Y-%m-%d %H:%M} UTC" if locked else _("not locked")),
            (_("Randomised"), recruitment(report)),
            (_("Last day in the data"), report.results.last_date.isoformat() if report.results.last_date else "–"),
            (_("SHA-256 of the data"), report.results.snapshot_sha256),
            (_("Protocol version"), protocol.version),
            (_("Hash of the protocol"), protocol_hash(protocol)),
            (_("Software"), f"SpineTrial {__version__}"),
        )
    )
    if report.results.arms is Arms.DRAWN:
        yield Paragraph(
            _(
                "Dry run: the arms below were drawn at random and are not those of the participants. This report "
                "shows that the program is finished. None of its numbers, intervals, p values or conclusions says "
                "anything about the treatments."
            ),
            "warning",
        )
    if report.source.closed:
        yield Paragraph(
            _(
                "Closed part for the monitoring board, of data that are not locked and not final. It must not reach "
                "anybody who treats, assesses or analyses participants of this trial. No interim analysis of "
                "efficacy is planned: the comparisons below decide nothing."
            ),
            "warning",
        )
    if report.results.arms is Arms.POOLED:
        yield Paragraph(
            _(
                "Masked, pooled: the trial has not been locked, so this report does not know the arms. Everyone "
                "is one group, and comparisons of arms are left out."
            ),
            "warning",
        )


def recruitment(report: Report) -> str:
    """The days of the first and the last randomisation."""
    days = [row.randomized for group in report.groups for row in group.rows]
    if not days:
        return _("nobody yet")
    return _("%(first)s to %(last)s") % {"first": min(days).isoformat(), "last": max(days).isoformat()}


def findings(report: Report) -> Iterator[Block]:
    yield Heading(_("Main result"))
    visit = report.event(report.protocol.primary.timepoint.visit)
    primary = report.results.primary
    if primary is None:
        counts = next(row for row in report.results.visits if row[0].visit == report.protocol.primary.timepoint.visit)
        yield Paragraph(
            _("Pain response at %(visit)s, all arms together: %(rate)s.")
            % {"visit": visit, "rate": rate(counts[0].rate)},
            "finding",
        )
        return
    yield Paragraph(conclusion(report, primary), "finding")
    for comparison in primary.comparisons:
        yield Paragraph(
            _(
                "%(set)s, %(visit)s: pain response %(study)s in the study arm and %(control)s in the control arm; "
                "difference %(difference)s percentage points (%(level)s %% CI)."
            )
            % {
                "set": short_set(comparison.analysis_set),
                "visit": visit,
                "study": share(comparison.study.x, comparison.study.n),
                "control": share(comparison.control.x, comparison.control.n),
                "difference": difference(comparison),
                "level": report.level,
            }
        )
    if primary.conclusion is Conclusion.NOT_ESTIMABLE:
        yield Paragraph(_("At least one arm has no participant in one of the analysis sets."))
    yield Paragraph(rule(report), "note")


def conclusion(report: Report, primary: Primary) -> str:
    """The one sentence, of a closed list (D16); a dry run or an interim look draws none."""
    if report.results.arms is Arms.DRAWN:
        return _("Dry run: no conclusion. On these shuffled arms the sentence would be: %(sentence)s") % {
            "sentence": _(CONCLUSION_LABELS[primary.conclusion])
        }
    if report.source.closed:
        return _("No conclusion is drawn before the lock.")
    return _(CONCLUSION_LABELS[primary.conclusion])


def rule(report: Report) -> str:
    hypothesis, analysis = report.protocol.primary.hypothesis, report.protocol.primary.analysis
    return _(
        "Rule fixed in the protocol (D16): non-inferior only if the lower limit of the two-sided %(level)s %% CI "
        "lies above the margin of %(margin)s percentage points in %(sets)s; one-sided alpha %(alpha)s. Superior "
        "if it is also above 0 in ITT; inferior if the upper limit lies below the margin in every set. In all "
        "other cases the result is inconclusive."
    ) % {
        "level": report.level,
        "margin": points(hypothesis.margin),
        "sets": _(" and ").join(short_set(AnalysisSet(name)) for name in analysis.sets),
        "alpha": f"{hypothesis.alpha:g}",
    }
