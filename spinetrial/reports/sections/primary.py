"""The primary comparison with its sensitivity analyses."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial.analysis.primary import Primary, left_out
from spinetrial.reports.document import Block, Figure, Grid, Heading
from spinetrial.reports.figures.interval import IntervalLine, IntervalWords, interval_plot
from spinetrial.reports.writing import (
    Report,
    difference,
    method_name,
    p_value,
    points,
    rate,
    share,
    short_set,
)


def primary(report: Report) -> Iterator[Block]:
    primary = report.results.primary
    if primary is None:
        return
    yield Heading(_("Primary comparison"))
    rows = [
        (
            _(comparison.label),
            rate(comparison.study),
            rate(comparison.control),
            difference(comparison),
            p_value(comparison.test.p) if comparison.test else "–",
        )
        for comparison in primary.comparisons
    ]
    study, control = report.names
    header = (
        _("Analysis set"),
        study,
        control,
        _("Difference, points (%(level)s %% CI)") % {"level": report.level},
        _("p (one-sided)"),
    )
    hypothesis = report.protocol.primary.hypothesis
    yield Grid(
        _("Responders at %(visit)s") % {"visit": report.event(report.protocol.primary.timepoint.visit)},
        header,
        tuple(rows),
        (0.95, 1.85, 1.85, 1.5, 0.85),
        notes=(
            _(
                "Difference: study arm (%(study)s) minus control arm (%(control)s), %(method)s; p of the same "
                "method against the margin of %(margin)s points. A response that is not evaluable counts as no "
                "response (D7)."
            )
            % {
                "study": study,
                "control": control,
                "method": method_name(report.protocol.primary.analysis.method),
                "margin": points(hypothesis.margin),
            },
        ),
    )
    yield interval_figure(report, primary)
    variants = [
        (
            _(comparison.label),
            share(comparison.study.x, comparison.study.n),
            share(comparison.control.x, comparison.control.n),
            points(comparison.margin),
            difference(comparison),
            p_value(comparison.test.p) if comparison.test else "–",
        )
        for comparison in primary.sensitivity
    ]
    missing = left_out(report.protocol)
    notes = [
        _(
            "Each line changes one thing of the primary analysis in the ITT set. The worst case counts a missing "
            "response as failure in the study arm and as response in the control arm; deaths and retreatment stay "
            "failures in both. Exact interval: only its p is given."
        )
    ]
    if missing:
        notes.append(_("Not in this report: %(names)s.") % {"names": "; ".join(_(name) for name in missing)})
    yield Grid(
        _("Sensitivity analyses (ITT)"),
        (_("Analysis"), study, control, _("Margin"), header[3], header[4]),
        tuple(variants),
        (2.1, 1.0, 1.0, 0.6, 1.4, 0.75),
        notes=tuple(notes),
    )


def interval_figure(report: Report, primary: Primary) -> Figure:
    margin = report.protocol.primary.hypothesis.margin
    shown = [(comparison, True) for comparison in primary.comparisons]
    shown += [
        (comparison, False)
        for comparison in primary.sensitivity
        if comparison.difference is not None and comparison.margin == margin
    ]
    lines = []
    for comparison, strong in shown:
        label = _(comparison.label)
        if strong:
            label = _("%(set)s, primary") % {"set": short_set(comparison.analysis_set)}
        found = comparison.difference
        ends = (found.estimate.value, found.lower.value, found.upper.value) if found else (None, None, None)
        lines.append(IntervalLine(label, *ends, difference(comparison), strong))
    caption = _(
        "Difference of the response rates, study minus control, with %(level)s %% CI; dashed line: the margin, "
        "shaded: non-inferior side"
    ) % {"level": report.level}
    words = IntervalWords(
        axis=_("Difference in percentage points"),
        favours_control=_("favours control"),
        favours_study=_("favours study arm"),
        margin=_("margin %(margin)s") % {"margin": points(margin)},
        not_estimable=_("not estimable"),
    )
    return Figure("difference", caption, interval_plot(lines, margin, words))
