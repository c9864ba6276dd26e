"""Pain and opioid dose over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from followup.response import CATEGORY_LABELS, Category
from spinetrial.analysis.pain import Comparison, GroupPain, Pain, TimePoint
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.trajectories import (
    MOST_LINES,
    MeanPoint,
    Panel,
    TrajectoryWords,
    thinned,
    trajectory_plot,
)
from spinetrial.reports.figures.waterfall import Bar, WaterfallPanel, WaterfallWords, waterfall_plot
from spinetrial.reports.writing import Report, p_value, share, with_interval
from spinetrial.stats.descriptive import Description
from spinetrial.stats.estimate import Estimate, Interval, Reason
from spinetrial.stats.mmrm import Structure

_COVARIANCE_NAMES = {
    Structure.UNSTRUCTURED: gettext_noop("unstructured"),
    Structure.COMPOUND_SYMMETRY_HETEROGENEOUS: gettext_noop(
        "heterogeneous compound symmetry (a variance for each visit, one correlation)"
    ),
}

#: Why the mixed model has no fit.
_REASONS = {
    Reason.NO_PATIENTS: gettext_noop("nobody has a baseline score and a later one"),
    Reason.EMPTY_ARM: gettext_noop("one arm has no scores"),
    Reason.SINGULAR_DESIGN: gettext_noop("baseline, arm and visit cannot be told apart in these data"),
    Reason.NO_RESIDUAL_DF: gettext_noop("there are too few scores"),
    Reason.ZERO_VARIANCE: gettext_noop("the scores do not vary"),
    Reason.NOT_CONVERGED: gettext_noop("the fit did not converge"),
    Reason.NO_INTERIOR_MAXIMUM: gettext_noop("the scores do not determine the covariance of the visits"),
}


def pain(report: Report) -> Iterator[Block]:
    found = report.results.pain
    yield Heading(_("Pain and opioid dose over time"))
    yield baseline_grid(report, found)
    yield from trajectories(report, found)
    if found.comparison is not None:
        yield means_grid(report, found, found.comparison)
    yield scores_grid(report, found)
    yield opioid_grid(report, found)
    yield from waterfall(report, found)
    yield best_grid(report, found)


def score(value: float) -> str:
    """Points of the scale with two decimals and a true minus sign."""
    number = f"{abs(value):.2f}"
    return f"−{number}" if value < 0 and float(number) else number


def whole(value: float) -> str:
    """A number as short as it is, with a true minus sign: medians, shifts, quartiles."""
    number = f"{abs(value):g}"
    return f"−{number}" if value < 0 and number != "0" else number


def estimate(value: Estimate, limits: Interval) -> str:
    return with_interval(value, limits.lower, limits.upper, score)


def quartiles(found: Description) -> str:
    """ "5 (3 to 7)", or a dash without values."""
    if found.median.value is None:
        return "–"
    return with_interval(found.median, found.lower_quartile, found.upper_quartile, whole)


def baseline_grid(report: Report, found: Pain) -> Grid:
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for name, group in zip(report.names, found.groups, strict=True):
        if len(found.groups) > 1:
            heads.add(len(rows))
            rows.append((name, "", "", "", ""))
        for part in group.baselines:
            mean = with_interval(part.nrs.mean, part.nrs.interval.lower, part.nrs.interval.upper, score)
            cells = (mean if part.nrs.n else "–", counted(quartiles(part.nrs), part.nrs.n, part.n))
            rows.append(
                (f"    {_(part.label)}", str(part.n), *cells, counted(quartiles(part.omed), part.omed.n, part.n))
            )
    level = _("NRS, mean (%(level)s %% CI)") % {"level": report.level}
    return Grid(
        _("Baseline pain and opioid dose of those analysed, and of those who were not"),
        (_("Participants"), "n", level, _("NRS, median (quartiles)"), _("OMED, mg/day, median (quartiles)")),
        tuple(rows),
        (1.9, 0.4, 1.5, 1.5, 2.0),
        notes=tuple(baseline_notes(report, found)),
        groups=frozenset(heads),
    )


def baseline_notes(report: Report, found: Pain) -> Iterator[str]:
    yield _(
        "Worst pain of the last 24 hours at the index site, all randomised. A later score: at %(visits)s. Primary "
        "visit: %(visit)s. [n] where not all values are known; t interval of the mean; quartiles by linear "
        "interpolation."
    ) % {
        "visits": ", ".join(report.event(each) for each in found.compared),
        "visit": report.event(found.primary_visit),
    }
    if found.comparison is not None:
        yield _("The mixed model uses those with a baseline score and a later one.")


def counted(words: str, known: int, of: int) -> str:
    return words if known in (of, 0) else f"{words} [{known}]"


def fitted(comparison: Comparison | None) -> bool:
    return comparison is not None and comparison.model.covariance is not None


def trajectories(report: Report, found: Pain) -> Iterator[Block]:
    positions = dict(found.positions)
    baseline = report.event("BL")
    visits = [(0.0, baseline), *((positions[visit], report.event(visit)) for visit in found.compared)]
    panels = []
    total = drawn_lines = 0
    for number, (name, group) in enumerate(zip(report.names, found.groups, strict=True)):
        chosen = thinned(len(group.trajectories))
        total, drawn_lines = total + len(group.trajectories), drawn_lines + len(chosen)
        points = [group.at(None), *(group.at(visit) for visit in found.compared)]
        title = _("%(name)s: %(count)d of %(all)d participants as thin lines") % {
            "name": name,
            "count": len(chosen),
            "all": points[0].n,
        }
        panels.append(
            Panel(
                name,
                title,
                tuple(_mean_points(found, group, number)),
                tuple(group.trajectories[place].points for place in chosen),
                (tuple(str(point.nrs.n) for point in points), tuple(str(point.alive) for point in points)),
            )
        )
    pain = report.protocol.pain
    words = TrajectoryWords(
        axis=_("Months since randomisation"),
        scale=_("Worst pain (NRS), %(high)d at the top is the worst, %(low)d is no pain")
        % {"high": pain.maximum, "low": pain.minimum},
        nothing=_("no scores"),
        rows=(_("Months"), _("Visit"), _("Assessed"), _("Alive")),
    )
    if fitted(found.comparison):
        caption = _(
            "Worst pain over time: adjusted means of the mixed model with %(level)s %% CI over the lines of single "
            "participants"
        )
    else:
        caption = _(
            "Worst pain over time: observed means with %(level)s %% t interval over the lines of single participants"
        )
    drawing = trajectory_plot(panels, visits, (pain.minimum, pain.maximum), words)
    yield Figure("trajectories", caption % {"level": report.level}, drawing)
    yield Paragraph(" ".join(trajectory_notes(report, found, drawn_lines < total)), "note")


def trajectory_notes(report: Report, found: Pain, some_left_out: bool) -> Iterator[str]:
    yield _(
        "Thin lines: observed scores at the day they were given, of participants with a score at a visit shown; a "
        "score given after the end of the axis stands at its end."
    )
    if some_left_out:
        yield _("Of more than %(most)d participants %(most)d are drawn, evenly spaced in the order of their codes.") % {
            "most": MOST_LINES
        }
    yield _(
        "Means stand at the planned time of the visit, counted from the median time from randomisation to the end of "
        "radiotherapy."
    )
    if fitted(found.comparison):
        yield _("At baseline: the mean of those analysed, both arms together, at which the means are adjusted.")
    if len(found.groups) > 1:
        yield _("The thin dark line with open markers: means of the other arm, without interval.")
    yield _("Assessed: with a score. Alive: not known to have died before the visit was due.")


def _mean_points(found: Pain, group: GroupPain, number: int) -> Iterator[MeanPoint]:
    """Adjusted means of the model where it fits, else what was observed; baseline first."""
    positions, comparison = dict(found.positions), found.comparison
    pairs: list[tuple[float, Estimate, Interval | None]] = []
    if comparison is not None and fitted(comparison):
        pairs.append((0.0, comparison.baseline.mean, None))
        for each in comparison.model.contrasts:
            if number == 0:
                pairs.append((positions[each.visit], each.mean_study, each.interval_mean_study))
            else:
                pairs.append((positions[each.visit], each.mean_control, each.interval_mean_control))
    else:
        pairs.append((0.0, group.at(None).nrs.mean, group.at(None).nrs.interval))
        for visit in found.compared:
            pairs.append((positions[visit], group.at(visit).nrs.mean, group.at(visit).nrs.interval))
    for months, mean, limits in pairs:
        if mean.value is not None:
            lower, upper = (limits.lower.value, limits.upper.value) if limits else (None, None)
            yield MeanPoint(months, mean.value, lower, upper)


def means_grid(report: Report, found: Pain, comparison: Comparison) -> Grid:
    """Adjusted means and their difference: the mixed model at each compared visit, then the covariance analysis."""
    study, control = report.names
    rows: list[tuple[str, ...]] = [(_("MMRM"), "", "", "", "")]
    for each in comparison.model.contrasts:
        rows.append(
            (
                f"    {report.event(each.visit)}",
                with_n(estimate(each.mean_study, each.interval_mean_study), each.n_study),
                with_n(estimate(each.mean_control, each.interval_mean_control), each.n_control),
                estimate(each.difference, each.interval),
                p_value(each.p),
            )
        )
    heads = {0, len(rows)}
    rows.append((_("ANCOVA"), "", "", "", ""))
    single = comparison.ancova
    rows.append(
        (
            f"    {report.event(found.primary_visit)}",
            with_n(adjusted(single.mean_study), single.n_study),
            with_n(adjusted(single.mean_control), single.n_control),
            estimate(single.difference, single.interval),
            p_value(single.p),
        )
    )
    level = {"level": report.level}
    return Grid(
        _("Worst pain (NRS): adjusted means and their difference"),
        (
            _("Visit"),
            _("%(name)s, mean (%(level)s %% CI)") % {"name": study, **level},
            _("%(name)s, mean (%(level)s %% CI)") % {"name": control, **level},
            _("Difference (%(level)s %% CI)") % level,
            _("p (two-sided)"),
        ),
        tuple(rows),
        (1.3, 1.7, 1.7, 1.5, 0.8),
        notes=tuple(model_notes(found, comparison)),
        groups=frozenset(heads),
    )


def with_n(words: str, n: int) -> str:
    return _("%(value)s, n = %(n)d") % {"value": words, "n": n}


def adjusted(mean: Estimate) -> str:
    return _("not estimable") if mean.value is None else score(mean.value)


def model_notes(found: Pain, comparison: Comparison) -> Iterator[str]:
    model = comparison.model
    yield _(
        "Difference: study arm minus control arm; below 0 means less pain in the study arm. All randomised, each in "
        "the arm drawn for them. Two-sided t tests of no difference, not adjusted for the number of tests: support for "
        "the primary analysis, no test of non-inferiority. n: participants with an outcome."
    )
    yield _(
        "MMRM, mixed model for repeated measures: restricted maximum likelihood; terms baseline score, arm "
        "by visit; one covariance of the visits for "
        "both arms: unstructured, and only where the data do not determine it heterogeneous compound symmetry; "
        "Satterthwaite degrees of freedom. Used here: %(structure)s. %(subjects)d participants, %(scores)d scores. "
        "Means at the mean baseline score of those analysed."
    ) % {
        "structure": used(comparison),
        "subjects": model.n_subjects,
        "scores": model.n_observations,
    }
    for tried in comparison.models:
        reason = tried.reml_log_likelihood.reason
        if reason is not None:
            yield _("Covariance %(structure)s: not estimable, because %(reason)s.") % {
                "structure": _(_COVARIANCE_NAMES[tried.structure]),
                "reason": _(_REASONS.get(reason, _REASONS[Reason.NOT_CONVERGED])),
            }
    if not fitted(comparison):
        yield _("In place of adjusted means the figure shows observed means with t intervals.")
    yield _(
        "The model describes what would have been had everybody lived and answered (a hypothetical estimand, missing "
        "at random). Scores after death do not exist: read it beside the participants alive at each visit, in the "
        "figure and in the next table. A score after re-treatment of the index site counts as given."
    )
    yield _(
        "ANCOVA, analysis of covariance: least squares of the score at the primary visit on arm and baseline score, "
        "complete cases, t interval and t test; means at the mean baseline score, without interval."
    )


def used(comparison: Comparison) -> str:
    return _(_COVARIANCE_NAMES[comparison.model.structure]) if fitted(comparison) else _("none")


def scores_grid(report: Report, found: Pain) -> Grid:
    """Alive, assessed, observed scores and changes at each time point, with the rank tests at the compared visits."""
    comparison = found.comparison
    ranks = {each.visit: each for each in comparison.ranks} if comparison else {}
    level = {"level": report.level}
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for visit in (None, *found.visits):
        points = [group.at(visit) for group in found.groups]
        if visit is not None and visit not in found.compared and not any(point.nrs.n for point in points):
            continue
        heads.add(len(rows))
        blank = ("", "") if comparison else ()
        rows.append((report.event(visit or "BL"), *("" for _point in points), *blank))
        if visit is not None:
            rows.append(("    " + _("Alive, of all randomised"), *(share(p.alive, p.n) for p in points), *blank))
        rows.append(("    " + _("Assessed"), *(assessed(point) for point in points), *blank))
        mean = _("NRS, mean (%(level)s %% CI)") % level
        cells = (estimate(p.nrs.mean, p.nrs.interval) if p.nrs.n else "–" for p in points)
        rows.append((f"    {mean}", *cells, *(("–", "–") if comparison else ())))
        test = ranks.get(visit or "")
        shifts: list[tuple[str, ...]] = [("–", "–") if comparison else ()] * 2
        if test is not None:
            shifts = [
                (with_interval(by.shift, by.interval.lower, by.interval.upper, whole), p_value(of.p))
                for by, of in ((test.nrs_shift, test.nrs), (test.change_shift, test.change))
            ]
        rows.append(("    " + _("NRS, median (quartiles)"), *(quartiles(p.nrs) for p in points), *shifts[0]))
        if visit is not None:
            label = _("Change, median (quartiles)")
            rows.append((f"    {label}", *(with_fewer(p) for p in points), *shifts[1]))
    header = ["", *report.names]
    if comparison:
        header += [_("Shift (%(level)s %% CI)") % level, _("p (two-sided)")]
    return Grid(
        _("Worst pain (NRS) at each visit"),
        tuple(header),
        tuple(rows),
        (1.7, 1.4, 1.4, 1.1, 0.8) if comparison else (1.7, 2.0),
        notes=tuple(score_notes(report, found)),
        groups=frozenset(heads),
    )


def assessed(point: TimePoint) -> str:
    if not point.not_due:
        return str(point.nrs.n)
    return _("%(n)d; not due yet: %(waiting)d") % {"n": point.nrs.n, "waiting": point.not_due}


def with_fewer(point: TimePoint) -> str:
    """The change with its number where a baseline score is missing."""
    return counted(quartiles(point.change), point.change.n, point.nrs.n)


def score_notes(report: Report, found: Pain) -> Iterator[str]:
    yield _(
        "All randomised; observed scores, nothing is carried forward. Alive: not known to have died before the visit "
        "was due. Change: score minus baseline score, below 0 means less pain. t interval of the mean; quartiles by "
        "linear interpolation; [n] where not all have a baseline score. The t interval of a few scores may leave the "
        "scale."
    )
    if found.comparison is None:
        return
    yield _(
        "Shift: Hodges-Lehmann estimate, study arm minus control arm (median of all differences), with the "
        "order-statistic interval of Moses by normal approximation; p by the Wilcoxon rank-sum test, normal "
        "approximation corrected for ties, with continuity correction. At the compared visits only; later visits are "
        "described. Not adjusted for the number of tests; those who died or were not assessed are not in it."
    )


def opioid_grid(report: Report, found: Pain) -> Grid:
    rows = []
    for visit in (None, *found.visits):
        points = [group.at(visit) for group in found.groups]
        if visit is not None and visit not in found.compared and not any(point.omed.n for point in points):
            continue
        cells = []
        for point in points:
            cells += [quartiles(point.omed), share(point.on_opioids, point.omed.n)]
        rows.append((report.event(visit or "BL"), *cells))
    header = [_("Visit")]
    for name in report.names:
        for what in (_("OMED, mg/day, median (quartiles)"), _("on opioids")):
            header.append(_("%(name)s: %(what)s") % {"name": name, "what": what} if len(report.names) > 1 else what)
    return Grid(
        _("Opioid dose over time (OMED)"),
        tuple(header),
        tuple(rows),
        (1.0, *(share for _name in report.names for share in (1.5, 1.1))),
        notes=(
            _(
                "All randomised whose dose is known: the number after the slash. OMED: oral morphine equivalent "
                "daily dose by factor table version "
                "%(table)s (D22). On opioids: dose above 0, of those whose dose is known. Described only."
            )
            % {"table": report.protocol.analgesics.table_version},
        ),
    )


def waterfall(report: Report, found: Pain) -> Iterator[Block]:
    visit = report.event(found.primary_visit)
    panels = []
    for name, group in zip(report.names, found.groups, strict=True):
        count = {"count": len(group.best), "all": len(group.best) + group.not_assessed}
        title = _("%(name)s: %(count)d of %(all)d participants") % {"name": name, **count}
        panels.append(WaterfallPanel(title, tuple(Bar(each.change, each.category.value) for each in group.best)))
    points = report.protocol.response.pain_points
    words = WaterfallWords(
        scale=_("Best change of the NRS from baseline, points; below 0 means less pain"),
        threshold=_("dashed: a fall by %(points)d points") % {"points": points},
        nothing=_("nobody was assessed"),
        categories=tuple((category.value, _(CATEGORY_LABELS[category])) for category in Category),
    )
    caption = _("Best change of worst pain from baseline at any assessed visit up to and including %(visit)s") % {
        "visit": visit
    }
    yield Figure("waterfall", caption, waterfall_plot(panels, -points, words))
    note = _(
        "A bar for each participant, a short bar on the line for no change; pattern, and letters where there is room: "
        "response at %(visit)s. Not shown, without baseline score or without any assessed visit: %(missing)s."
    ) % {"visit": visit, "missing": not_shown(report, found.groups)}
    yield Paragraph(note, "note")


def not_shown(report: Report, groups: Sequence[GroupPain]) -> str:
    if len(groups) == 1:
        return str(groups[0].not_assessed)
    return ", ".join(
        _("%(name)s %(count)d") % {"name": name, "count": group.not_assessed}
        for name, group in zip(report.names, groups, strict=True)
    )


def best_grid(report: Report, found: Pain) -> Grid:
    tallies = [Counter((each.change, each.category) for each in group.best) for group in found.groups]
    rows: list[tuple[str, ...]] = []
    for change in sorted({change for tally in tallies for change, _category in tally}, reverse=True):
        cells = []
        for tally in tallies:
            parts = [(category, tally[change, category]) for category in Category if tally[change, category]]
            listed = ", ".join(f"{category.value} {count}" for category, count in parts)
            total = sum(count for _category, count in parts)
            cells.append(f"{total} ({listed})" if total else "0")
        rows.append((f"+{change}" if change > 0 else whole(change), *cells))
    fell = -report.protocol.response.pain_points
    sums = (share(sum(each.change <= fell for each in group.best), len(group.best)) for group in found.groups)
    rows.append((_("Fall by %(points)d or more, of those assessed") % {"points": -fell}, *sums))
    rows.append((_("No baseline score or no assessed visit"), *(str(group.not_assessed) for group in found.groups)))
    return Grid(
        _("Best change of the NRS up to %(visit)s, the numbers of the figure")
        % {"visit": report.event(found.primary_visit)},
        (_("Best change, points"), *report.names),
        tuple(rows),
        (1.6, *(1.4 for _name in report.names)),
        notes=(
            _(
                "All randomised; participants, in brackets by response at %(visit)s: CR complete, PR partial, PP "
                "progression, IR indeterminate, NE not evaluable. The best of several scores tends to be lower than a "
                "single one by chance alone: described, not compared. A fall of the score alone is not a response."
            )
            % {"visit": report.event(found.primary_visit)},
        ),
    )
