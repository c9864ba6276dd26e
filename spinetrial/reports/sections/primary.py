"""The primary comparison: sets, sensitivity analyses, missing responses, other time points, subgroups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from spinetrial.analysis.imputation import IMPUTATION_SEED, Imputation, Tipping
from spinetrial.analysis.primary import Comparison, Primary
from spinetrial.analysis.subgroups import SubgroupRow, Subgroups
from spinetrial.protocol.model import Sensitivity
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.forest import ForestLine, ForestWords, forest_plot
from spinetrial.reports.figures.interval import IntervalLine, IntervalWords, interval_plot
from spinetrial.reports.figures.tipping import TippingWords, tipping_map
from spinetrial.reports.writing import (
    Report,
    difference,
    method_name,
    p_value,
    percent,
    points,
    rate,
    share,
    short_set,
    why_not,
    with_interval,
)
from spinetrial.stats.estimate import Estimate
from spinetrial.stats.missing import TippingPoint

#: The border table shows every count up to this many; beyond it every second, fifth, tenth, ...
_BORDER_ROWS = 144
_BORDER_LINES = 24


def primary(report: Report) -> Iterator[Block]:
    primary = report.results.primary
    if primary is None:
        return
    yield Heading(_("Primary comparison"))
    yield _sets(report, primary)
    yield interval_figure(report, primary)
    yield _sensitivity(report, primary)
    for imputation in primary.imputations:
        yield _imputation(report, imputation)
    for tipping in primary.tippings:
        yield from _tipping(report, tipping)
    if primary.timepoints:
        yield _timepoints(report, primary)
    yield from _subgroups(report, primary)


# --- analysis sets ---


def _sets(report: Report, primary: Primary) -> Grid:
    study, control = report.names
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
    return Grid(
        _("Responders at %(visit)s") % {"visit": _visit(report)},
        (_("Analysis set"), study, control, _difference_head(report), _("p (one-sided)")),
        tuple(rows),
        (84, 126, 126, 88, 58),
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
                "margin": points(report.protocol.primary.hypothesis.margin),
            },
            _("Ratio of the rates, study arm to control arm (%(level)s %% CI, log interval of Katz): %(ratios)s.")
            % {
                "level": report.level,
                "ratios": "; ".join(f"{short_set(each.analysis_set)} {_ratio(each)}" for each in primary.comparisons),
            },
        ),
    )


def _ratio(comparison: Comparison) -> str:
    found = comparison.ratio
    if found.ratio.value is not None and math.isinf(found.ratio.value):
        return _("infinite: no response in the control arm")
    return with_interval(found.ratio, found.interval.lower, found.interval.upper, lambda value: f"{value:.2f}")


def _visit(report: Report) -> str:
    return report.event(report.protocol.primary.timepoint.visit)


def _difference_head(report: Report) -> str:
    head = _("Difference, points (%(level)s %% CI)") % {"level": report.level}
    return _unbroken(head)


def _unbroken(words: str) -> str:
    """ "95 % CI" and "44.4 %" are not torn apart at the end of a line."""
    return words.replace(" %", "\u00a0%").replace("% ", "%\u00a0")


# --- sensitivity analyses ---


def _sensitivity(report: Report, primary: Primary) -> Grid:
    study, control = report.names
    found = _by_code(primary)
    rows = [_sensitivity_row(report, entry, found[entry.code]) for entry in report.protocol.sensitivity]
    return Grid(
        _("Sensitivity analyses (ITT)"),
        (
            _("Analysis"),
            study,
            control,
            _("Margin"),
            _difference_head(report),
            _("p (one-sided)"),
            _("Lower limit and margin"),
        ),
        tuple(rows),
        (108, 70, 70, 38, 88, 52, 56),
        notes=(
            _(
                "Each line changes one thing of the primary analysis in the ITT set. The worst case counts a missing "
                "response as failure in the study arm and as response in the control arm; deaths and retreatment stay "
                "failures in both. The exact method has a p value and no interval, the Newcombe and Agresti-Caffo "
                "methods an interval and no p value. The last column says whether the lower limit lies above "
                "the margin (for the exact method: whether p reaches the one-sided alpha of %(alpha)s; for the grid: "
                "in how many of its fillings the margin is kept). No line is a conclusion of its own."
            )
            % {"alpha": f"{report.protocol.primary.hypothesis.alpha:g}"},
            *_reasons(report, found),
        ),
    )


def _reasons(report: Report, found: Mapping[str, Comparison | Imputation | Tipping]) -> Iterator[str]:
    """Why a line of the table has no number, where one is missing."""
    for entry in report.protocol.sensitivity:
        match found[entry.code]:
            case Comparison(difference=interval, test=test):
                interval_reason = interval.estimate.reason if interval else None
                reason = interval_reason or (test.p.reason if test else None)
            case Imputation(result=result):
                reason = result.reason
            case Tipping(reason=reason):
                pass
        if reason is not None:
            yield _("%(analysis)s: %(words)s.") % {"analysis": _(entry.label), "words": why_not(reason)}


def _by_code(primary: Primary) -> dict[str, Comparison | Imputation | Tipping]:
    found: list[Comparison | Imputation | Tipping] = [
        *primary.sensitivity, *primary.imputations, *primary.tippings,
    ]  # fmt: skip
    return {each.code: each for each in found}


def _sensitivity_row(report: Report, entry: Sensitivity, found: Comparison | Imputation | Tipping) -> tuple[str, ...]:
    margin = points(report.protocol.primary.hypothesis.margin)
    label = _(entry.label)
    match found:
        case Comparison():
            return (
                label,
                _unbroken(share(found.study.x, found.study.n)),
                _unbroken(share(found.control.x, found.control.n)),
                points(found.margin),
                _difference(found),
                p_value(found.test.p) if found.test else "–",
                _against(report, found),
            )
        case Imputation():
            result = found.result
            estimate, lower, upper = imputed_interval(found)
            return (
                label,
                _mean_share(result.responders1, result.n1),
                _mean_share(result.responders0, result.n0),
                margin,
                with_interval(estimate, lower, upper, points),
                p_value(result.p),
                _limit(lower.value, result.margin),
            )
        case Tipping():
            words = _("not estimable")
            if found.grid is not None:
                words = _("%(kept)d of %(cells)d kept") % {
                    "kept": found.grid.n_noninferior,
                    "cells": found.grid.n_cells,
                }
            return (label, "–", "–", margin, "–", "–", words)


def imputed_interval(imputation: Imputation) -> tuple[Estimate, Estimate, Estimate]:
    """Pooled difference and its limits, cut to the range of a difference as the other intervals are."""
    result = imputation.result
    if result.pooled is None:
        nothing = Estimate(None, result.reason)
        return nothing, nothing, nothing
    limits = result.pooled.interval
    lower, upper = (
        each if each.value is None else Estimate(min(max(each.value, -1.0), 1.0))
        for each in (limits.lower, limits.upper)
    )
    return result.pooled.estimate, lower, upper


def _mean_share(responders: Sequence[int], n: int) -> str:
    """Mean of the imputed responders with the rate: "20.4/33 (61.8 %)"."""
    if not responders or not n:
        return "–"
    mean = math.fsum(responders) / len(responders)
    return _unbroken(f"{mean:.1f}/{n} ({percent(mean / n)})")


def _difference(comparison: Comparison) -> str:
    """The difference with its interval; without one the difference alone, where the test has it."""
    if comparison.difference is None and comparison.test is not None:
        estimate = comparison.test.difference
        return _("not estimable") if estimate.value is None else points(estimate.value)
    return difference(comparison)


def _against(report: Report, comparison: Comparison) -> str:
    if comparison.difference is not None:
        return _limit(comparison.difference.lower.value, comparison.margin)
    if comparison.test is None or comparison.test.p.value is None:
        return _("not estimable")
    alpha = report.protocol.primary.hypothesis.alpha
    return f"p {'≤' if comparison.test.claimed(alpha) else '>'} {alpha:g}"


def _limit(lower: float | None, margin: float) -> str:
    if lower is None:
        return _("not estimable")
    return _("above") if lower > margin else _("not above")


def interval_figure(report: Report, primary: Primary) -> Figure:
    """Sets, methods, readings and ways with missing responses in one plot, against the margin."""
    margin = report.protocol.primary.hypothesis.margin
    lines = [
        _line(_("%(set)s, primary") % {"set": short_set(comparison.analysis_set)}, comparison, margin, strong=True)
        for comparison in primary.comparisons
    ]
    found = _by_code(primary)
    heads = {
        "method": _("Other method (ITT)"),
        "reading": _("Other definition of response (ITT)"),
        "missing": _("Missing responses (ITT)"),
        "margin": _("Other margin (ITT)"),
    }
    for varies, head in heads.items():
        entries = [found[each.code] for each in report.protocol.sensitivity if each.varies == varies]
        shown = [each for each in entries if not isinstance(each, Tipping)]
        if shown:
            lines.append(IntervalLine(head, head=True))
        for each in shown:
            if isinstance(each, Imputation):
                ends = imputed_interval(each)
                shown_as = _("not estimable") if ends[0].value is None else with_interval(*ends, points)
                estimate, lower, upper = (end.value for end in ends)
                lines.append(IntervalLine(_(each.label), estimate, lower, upper, shown_as))
            else:
                lines.append(_line(_(each.label), each, margin))
    own = sorted({line.margin for line in lines if line.margin is not None})
    caption = _(
        "Difference of the response rates, study minus control, with %(level)s %% CI; dashed line: the margin, "
        "shaded: non-inferior side. Open diamond: a method without interval"
    ) % {"level": report.level}
    words = IntervalWords(
        axis=_("Difference in percentage points"),
        favours_control=_("favours control"),
        favours_study=_("favours study arm"),
        margin=_("margin %(margin)s") % {"margin": points(margin)},
        not_estimable=_("not estimable"),
        other=_("the line's own margin: %(margins)s") % {"margins": ", ".join(points(each) for each in own)},
    )
    return Figure("difference", caption, interval_plot(lines, margin, words))


def _line(label: str, comparison: Comparison, margin: float, strong: bool = False) -> IntervalLine:
    own = None if comparison.margin == margin else comparison.margin
    found = comparison.difference
    if found is not None:
        ends = (found.estimate.value, found.lower.value, found.upper.value)
        return IntervalLine(label, *ends, difference(comparison), strong, own)
    estimate = comparison.test.difference.value if comparison.test else None
    words = _("p = %(p)s") % {"p": p_value(comparison.test.p)} if comparison.test and estimate is not None else "–"
    return IntervalLine(label, estimate, None, None, words, strong, own)


# --- missing responses ---


def _imputation(report: Report, imputation: Imputation) -> Grid:
    result = imputation.result
    drawn = (result.responders1, result.responders0)
    counts = ((result.n1, result.x1, result.missing1), (result.n0, result.x0, result.missing0))
    rows: list[tuple[str, ...]] = [
        (_("Randomised"), *(str(n) for n, _x, _missing in counts)),
        (_("Responders observed"), *(str(x) for _n, x, _missing in counts)),
        (_("Missing responses that are imputed"), *(str(missing) for _n, _x, missing in counts)),
        (
            _("Responders with the imputed ones: mean (least to most over the sets)"),
            *(
                f"{math.fsum(each) / len(each):.1f} ({min(each)}–{max(each)})" if each else why_not(result.reason)
                for each in drawn
            ),
        ),
    ]
    notes = [
        _(
            "%(sets)d imputed sets, seed %(seed)d; a set is drawn from a logistic regression of the response on arm, "
            "baseline worst pain, log(OMED + 1)%(earlier)s and site (%(sites)s). It is fitted to the %(modelled)d "
            "evaluable participants of both arms together, with arm as a term, so the arms share the other effects. "
            "Added records keep it finite (White, Daniel and Royston 2010); its coefficients are drawn anew for each "
            "set. Death, retreatment and baseline pain 0 are not imputed."
        )
        % {
            "sets": result.m,
            "seed": IMPUTATION_SEED,
            "earlier": _earlier(report, imputation),
            "sites": _site_words(imputation),
            "modelled": result.n_modelled,
        },
        _pooled(result.pooled is not None and result.p.value is not None, imputation, report),
        _(
            "Imputation assumes that, given these variables, those with a missing response would respond as those with "
            "one do. The data cannot check this; the tipping-point grid shows which departures would change the "
            "result."
        ),
    ]
    if imputation.baseline_filled:
        notes.append(
            ngettext(
                "%(n)d participant lacks baseline pain or OMED; the median of the others stands in for it in the "
                "model.",
                "%(n)d participants lack baseline pain or OMED; the median of the others stands in for it in the "
                "model.",
                imputation.baseline_filled,
            )
            % {"n": imputation.baseline_filled}
        )
    return Grid(
        _("Multiple imputation of the missing responses at %(visit)s (ITT)") % {"visit": _visit(report)},
        ("", *report.names),
        tuple(rows),
        (2.2, 1.2, 1.2),
        notes=tuple(notes),
    )


def _earlier(report: Report, imputation: Imputation) -> str:
    return "".join(
        _(", response at %(visit)s (yes, no, not evaluable)") % {"visit": report.event(visit)}
        for visit in imputation.earlier
    )


def _site_words(imputation: Imputation) -> str:
    terms = ngettext("%(n)d term", "%(n)d terms", imputation.site_terms) % {"n": imputation.site_terms}
    if not imputation.pooled_sites:
        return terms
    return _("%(terms)s; too few evaluable, merged: %(sites)s") % {
        "terms": terms,
        "sites": ", ".join(imputation.pooled_sites),
    }


def _pooled(estimable: bool, imputation: Imputation, report: Report) -> str:
    result = imputation.result
    if not estimable or result.pooled is None:
        return _("Pooled difference: %(words)s.") % {"words": why_not(result.reason)}
    estimate, lower, upper = imputed_interval(imputation)
    lost = result.pooled.missing_information.value
    return _(
        "Pooled difference (Rubin) %(difference)s points, standard error %(se)s, t with %(df)s degrees of freedom "
        "(Barnard and Rubin), %(level)s %% CI; fraction of missing information %(lost)s; one-sided p against the "
        "margin %(p)s. Variance of a set: unpooled (Wald)."
    ) % {
        "difference": with_interval(estimate, lower, upper, points),
        "se": f"{(result.pooled.se.value or 0.0) * 100:.1f}",
        "df": f"{result.pooled.df.value or 0.0:.1f}",
        "level": report.level,
        "lost": "–" if lost is None else percent(lost),
        "p": p_value(result.p),
    }


def _tipping(report: Report, tipping: Tipping) -> Iterator[Block]:
    study, control = report.names
    if tipping.grid is None:
        yield Paragraph(
            _("Tipping-point grid: %(words)s (missing responses: %(study)s %(m1)d, %(control)s %(m0)d).")
            % {
                "words": why_not(tipping.reason),
                "study": study,
                "control": control,
                "m1": tipping.missing1,
                "m0": tipping.missing0,
            }
        )
        return
    if not tipping.missing1 and not tipping.missing0:
        yield Paragraph(_("Tipping-point grid: no response is missing, so there is nothing to fill in."))
        return
    names = {"study": study, "control": control, "m1": tipping.missing1, "m0": tipping.missing0}
    yield Figure(
        "tipping",
        _(
            "Tipping points at %(visit)s: for each number of responders among the missing of each arm, whether the "
            "study arm is non-inferior at the one-sided alpha of %(alpha)s (ITT)"
        )
        % {"visit": _visit(report), "alpha": f"{tipping.grid.alpha:g}"},
        tipping_map(
            tipping.non_inferior,
            tipping.observed,
            TippingWords(
                control=_("Responders among the %(m0)d missing of the control arm (%(control)s)") % names,
                study=_("Responders among the %(m1)d missing of the study arm (%(study)s)") % names,
                non_inferior=_("margin of %(margin)s points kept: p at most %(alpha)s")
                % {"margin": points(tipping.grid.margin), "alpha": f"{tipping.grid.alpha:g}"},
                other=_("margin not kept"),
                observed=_("the missing respond as often as the evaluable of their arm") if tipping.observed else "",
                failures=_("no missing one responds (primary analysis)"),
                worst=_("worst case: none of the study arm, all of the control arm"),
            ),
        ),
    )
    yield _border(report, tipping, tipping.grid)


def _border(report: Report, tipping: Tipping, grid: TippingPoint) -> Grid:
    """The border in pairs of columns, so that a long one stays on a page."""
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 500, 1000) if len(tipping.border) / step <= _BORDER_ROWS)
    pairs = [
        (str(each.study), _("none") if each.control is None else str(each.control))
        for each in tipping.border
        if each.study % every == 0 or each.study == tipping.missing1
    ]
    blocks = max(1, math.ceil(len(pairs) / _BORDER_LINES), min(4, math.ceil(len(pairs) / 8)))
    height = math.ceil(len(pairs) / blocks)
    rows = tuple(
        tuple(
            cell
            for block in range(blocks)
            for cell in (pairs[block * height + line] if block * height + line < len(pairs) else ("", ""))
        )
        for line in range(height)
    )
    notes = [
        _(
            "Of %(cells)d ways to fill in, the margin of %(margin)s points is kept in %(kept)d (p at most %(alpha)s, "
            "%(method)s). Observed: %(study)s %(x1)d responders of %(n1)d, %(m1)d missing; %(control)s %(x0)d of "
            "%(n0)d, %(m0)d missing. Death and retreatment are not missing: they stay failures. A filling without p "
            "counts as not kept."
        )
        % {
            "cells": grid.n_cells,
            "kept": grid.n_noninferior,
            "margin": points(grid.margin),
            "alpha": f"{grid.alpha:g}",
            "method": method_name(report.protocol.primary.analysis.method),
            "study": report.names[0],
            "x1": grid.x1,
            "n1": grid.n1_observed,
            "m1": tipping.missing1,
            "control": report.names[1],
            "x0": grid.x0,
            "n0": grid.n0_observed,
            "m0": tipping.missing0,
        }
    ]
    if every > 1:
        notes.append(_("Every %(n)dth count of the study arm and the last one are shown.") % {"n": every})
    return Grid(
        _("Border of the grid: the most responders among the control arm's missing with which the margin is kept"),
        (_("Study arm"), _("Control arm, at most")) * blocks,
        rows,
        (1.0, 1.0) * blocks,
        notes=tuple(notes),
    )


# --- other time points ---


def _timepoints(report: Report, primary: Primary) -> Grid:
    rows = []
    for each in primary.timepoints:
        found = each.difference
        ends = (found.estimate, found.lower, found.upper)
        rows.append(
            (
                report.event(each.visit),
                rate(each.study),
                rate(each.control),
                why_not(found.estimate.reason) if found.estimate.value is None else with_interval(*ends, points),
                " / ".join(f"{n} ({yet})" for n, yet in zip(each.not_evaluable, each.not_yet, strict=True)),
            )
        )
    study, control = report.names
    return Grid(
        _("Responders at the other time points (ITT, secondary)"),
        (_("Visit"), study, control, _difference_head(report), _("Not evaluable (not due yet), study / control")),
        tuple(rows),
        (50, 128, 128, 92, 84),
        notes=(
            _(
                "Of all randomised; not evaluable counts as no response, as at the primary visit; in brackets those "
                "among them whose visit was not due yet. Rates with exact interval; difference: %(method)s. The claim "
                "rests on the primary visit alone: there is no test and no margin here."
            )
            % {"method": method_name(report.protocol.primary.analysis.method)},
        ),
    )


# --- subgroups ---


def _subgroups(report: Report, primary: Primary) -> Iterator[Block]:
    lines: list[ForestLine] = []
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    overall = next((each for each in primary.comparisons if each.code == "ITT"), None)
    for factor in primary.subgroups:
        if not factor.rows:
            continue
        lines.append(ForestLine(_(factor.label), text=_interaction(factor), head=True))
        heads.add(len(rows))
        rows.append((_(factor.label), "", "", "", p_value(factor.interaction.p)))
        for each in factor.rows:
            word = each.word if each.word == each.level else _(each.word)
            found = each.difference
            ends = (found.estimate.value, found.lower.value, found.upper.value)
            lines.append(
                ForestLine(word, f"{each.x1}/{each.n1}", f"{each.x0}/{each.n0}", each.n1 + each.n0, *ends,
                           _short_difference(each))
            )  # fmt: skip
            rows.append((f"    {word}", share(each.x1, each.n1), share(each.x0, each.n0), _short_difference(each), ""))
    if not lines:
        return
    if overall is not None and overall.difference is not None:
        found = overall.difference
        ends = (found.estimate.value, found.lower.value, found.upper.value)
        lines.append(
            ForestLine(_("All randomised"), f"{overall.study.x}/{overall.study.n}",
                       f"{overall.control.x}/{overall.control.n}", 0, *ends, difference(overall), overall=True)
        )  # fmt: skip
    study, control = report.names
    yield Figure(
        "subgroups",
        _(
            "Responders at %(visit)s in subgroups: difference, study minus control, with %(level)s %% CI (ITT); "
            "exploratory"
        )
        % {"visit": _visit(report), "level": report.level},
        forest_plot(
            lines,
            ForestWords(
                study=study,
                control=control,
                difference=_difference_head(report),
                axis=_("Difference in percentage points"),
                favours_control=_("favours control"),
                favours_study=_("favours study arm"),
                not_estimable=_("not estimable"),
            ),
        ),
    )
    yield Grid(
        _("Subgroups (ITT): responders at %(visit)s") % {"visit": _visit(report)},
        (_("Subgroup"), study, control, _difference_head(report), _("Interaction p")),
        tuple(rows),
        (2.0, 1.05, 1.05, 1.45, 0.8),
        notes=(
            _(
                "Exploratory: not corrected for their number, and no claim rests on a subgroup. The published protocol "
                "names none; these were chosen from baseline values before data were seen (our assumption). "
                "Difference: %(method)s. Interaction: likelihood-ratio test of one common difference of the rates over "
                "the levels (binomial regression with identity link); levels without participants in both arms and "
                "values not recorded are left out of it. Such a test finds only large interactions: a large p is no "
                "evidence that the effect is the same everywhere. With few participants in a level it gives small p "
                "values too often."
            )
            % {"method": method_name(report.protocol.primary.analysis.method)},
            _("Why these: %(reasons)s.")
            % {
                "reasons": "; ".join(
                    _("%(factor)s: %(why)s") % {"factor": _(factor.label), "why": _(factor.why)}
                    for factor in primary.subgroups
                )
            },
        ),
        groups=frozenset(heads),
    )


def _interaction(factor: Subgroups) -> str:
    p = factor.interaction.p
    return _("interaction: not estimable") if p.value is None else _("interaction p = %(p)s") % {"p": p_value(p)}


def _short_difference(row: SubgroupRow) -> str:
    found = row.difference
    if found.estimate.value is None:
        return _("not estimable")
    return with_interval(found.estimate, found.lower, found.upper, points)
