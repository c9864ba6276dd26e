"""The words and numbers of the report: results in, blocks out, in one language.

Every rate is printed with its counts, every test with its name, and a number that cannot be estimated says so.
"""

from __future__ import annotations

import platform
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from adverse_events.models import term_label
from followup.response import CATEGORY_LABELS, Category, Reading
from patients.models.baseline import Escc, PrimarySite, Sex
from patients.models.consent import EndStatus, FailureReason
from spinetrial import __version__
from spinetrial.analysis import sets
from spinetrial.analysis.primary import (
    CONCLUSION_LABELS,
    Comparison,
    Conclusion,
    Primary,
    Results,
    VisitCounts,
    left_out,
)
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet
from spinetrial.protocol import protocol_hash
from spinetrial.protocol.events import event_title
from spinetrial.reports.document import Block, Document, Facts, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures import (
    IntervalLine,
    IntervalWords,
    SurvivalWords,
    interval_plot,
    survival_plot,
)
from spinetrial.stats.design import (
    ExactTest,
    PlanningVariance,
    exact_noninferiority_power,
    noninferiority_power,
)
from spinetrial.stats.estimate import Estimate, Reason
from spinetrial.stats.proportions import ProportionCI
from spinetrial.stats.risk_difference import DifferenceMethod
from spinetrial.terminology.vertebrae import REGION_LABELS, Region, region

#: Months at which the survival table reads the curve.
SURVIVAL_MONTHS = (3, 6, 12)


@dataclass(frozen=True, slots=True)
class Source:
    """Which data a report is made from. `number` and `locked_at` are None for data that are not locked."""

    number: int | None
    locked_at: datetime | None
    software_version: str


def build(results: Results, source: Source, language: str) -> Document:
    """The report of `results` in `language` ("en" or "zh-hans"). The same input gives the same document."""
    with translation.override(language):
        return _Writer(results, source).document(language)


def percent(value: float) -> str:
    """A proportion in per cent with one decimal and a true minus sign."""
    number = f"{abs(value) * 100:.1f}"
    return f"−{number} %" if value < 0 and float(number) else f"{number} %"


def points(value: float) -> str:
    """A difference of proportions in percentage points with one decimal, always signed unless 0."""
    number = f"{abs(value) * 100:.1f}"
    if not float(number):
        return number
    return f"−{number}" if value < 0 else f"+{number}"


def p_value(estimate: Estimate) -> str:
    """p with three decimals, never 0."""
    if estimate.value is None:
        return _("not estimable")
    return "< 0.001" if estimate.value < 0.0005 else f"{min(estimate.value, 1.0):.3f}"


def rate(ci: ProportionCI) -> str:
    """Counts, rate and interval: "24/33 (72.7 %; 54.5 % to 86.7 %)"."""
    if ci.estimate.value is None or ci.lower.value is None or ci.upper.value is None:
        return _("%(x)s/%(n)s (not estimable)") % {"x": ci.x, "n": ci.n}
    return _("%(x)s/%(n)s (%(rate)s; %(lower)s to %(upper)s)") % {
        "x": ci.x,
        "n": ci.n,
        "rate": percent(ci.estimate.value),
        "lower": percent(ci.lower.value),
        "upper": percent(ci.upper.value),
    }


def share(x: int, n: int) -> str:
    """Counts and rate: "24/33 (72.7 %)"."""
    return f"{x}/{n} ({percent(x / n)})" if n else f"{x}/{n}"


def difference(comparison: Comparison) -> str:
    """Difference in percentage points with its interval."""
    found = comparison.difference
    if found is None:
        return "–"
    if found.estimate.value is None or found.lower.value is None or found.upper.value is None:
        return _("not estimable")
    return _("%(difference)s (%(lower)s to %(upper)s)") % {
        "difference": points(found.estimate.value),
        "lower": points(found.lower.value),
        "upper": points(found.upper.value),
    }


_METHOD_NAMES = {
    DifferenceMethod.MIETTINEN_NURMINEN: gettext_noop("Miettinen-Nurminen score interval"),
    DifferenceMethod.FARRINGTON_MANNING: gettext_noop("Farrington-Manning score interval"),
    DifferenceMethod.NEWCOMBE: gettext_noop("Newcombe hybrid score interval"),
    DifferenceMethod.AGRESTI_CAFFO: gettext_noop("Agresti-Caffo interval"),
}

_READING_NAMES = {
    Reading.LITERAL.value: gettext_noop("literal reading: any rise of OMED is an increase of analgesics"),
    Reading.TOLERANT.value: gettext_noop(
        "tolerant reading: a rise of OMED by 25 % or more is an increase of analgesics"
    ),
    Reading.NRS_ONLY.value: gettext_noop("pain score alone"),
}

_SHORT_SETS = {
    AnalysisSet.ITT: gettext_noop("ITT"),
    AnalysisSet.PP: gettext_noop("PP"),
    AnalysisSet.SAFETY: gettext_noop("Safety"),
    AnalysisSet.EVALUABLE: gettext_noop("Evaluable"),
}


class _Writer:
    """Sections of one report. Holds what every section needs; each method yields its blocks."""

    def __init__(self, results: Results, source: Source) -> None:
        self.results = results
        self.source = source
        self.protocol = results.protocol
        self.groups = results.groups
        self.names = [_(group.name) for group in results.groups]
        self.level = f"{self.protocol.primary.analysis.confidence * 100:g}"

    def document(self, language: str) -> Document:
        masked = self.results.masked
        blocks: list[Block] = []
        for section in (
            self.front, self.findings, self.flow, self.baseline, self.response, self.primary, self.survival,
            self.toxicity, self.deviations, self.planning, self.methods,
        ):  # fmt: skip
            blocks.extend(section())
        return Document(
            language=language,
            title=_(self.protocol.identity.short_title),
            subtitle=_("Report of the protocol's analysis"),
            footer=_("%(registration)s · %(version)s · SHA-256 %(hash)s")
            % {
                "registration": self.protocol.identity.registration,
                "version": self.version_name(),
                "hash": self.results.snapshot_sha256[:16],
            },
            masked_strip=_("MASKED, POOLED: no arm is shown") if masked else "",
            blocks=tuple(blocks),
        )

    def version_name(self) -> str:
        if self.source.number is None:
            return _("data not locked")
        return _("data version %(number)d") % {"number": self.source.number}

    def event(self, code: str) -> str:
        return event_title(self.protocol, code, _)

    # --- sections ---

    def front(self) -> Iterator[Block]:
        protocol = self.protocol
        locked = self.source.locked_at
        yield Facts(
            (
                (_("Trial"), _(protocol.identity.title)),
                (_("Registration"), protocol.identity.registration),
                (_("Data"), self.version_name()),
                (_("Locked"), f"{locked:%Y-%m-%d %H:%M} UTC" if locked else _("not locked")),
                (_("SHA-256 of the data"), self.results.snapshot_sha256),
                (_("Protocol version"), protocol.version),
                (_("Hash of the protocol"), protocol_hash(protocol)),
                (_("Software"), f"SpineTrial {__version__}"),
            )
        )
        if self.results.masked:
            yield Paragraph(
                _(
                    "Masked, pooled: the trial has not been locked, so this report does not know the arms. Everyone "
                    "is one group, and comparisons of arms are left out."
                ),
                "warning",
            )

    def findings(self) -> Iterator[Block]:
        yield Heading(_("Main result"))
        visit = self.event(self.protocol.primary.timepoint.visit)
        primary = self.results.primary
        if primary is None:
            counts = next(row for row in self.results.visits if row[0].visit == self.protocol.primary.timepoint.visit)
            yield Paragraph(
                _("Pain response at %(visit)s, all arms together: %(rate)s.")
                % {"visit": visit, "rate": rate(counts[0].rate)},
                "finding",
            )
            return
        yield Paragraph(_(CONCLUSION_LABELS[primary.conclusion]), "finding")
        for comparison in primary.comparisons:
            yield Paragraph(
                _(
                    "%(set)s, %(visit)s: pain response %(study)s in the study arm and %(control)s in the control arm; "
                    "difference %(difference)s percentage points (%(level)s %% CI)."
                )
                % {
                    "set": _(_SHORT_SETS[comparison.analysis_set]),
                    "visit": visit,
                    "study": share(comparison.study.x, comparison.study.n),
                    "control": share(comparison.control.x, comparison.control.n),
                    "difference": difference(comparison),
                    "level": self.level,
                }
            )
        if primary.conclusion is Conclusion.NOT_ESTIMABLE:
            yield Paragraph(_("At least one arm has no participant in one of the analysis sets."))
        yield Paragraph(self.rule(), "note")

    def rule(self) -> str:
        hypothesis, analysis = self.protocol.primary.hypothesis, self.protocol.primary.analysis
        return _(
            "Rule fixed in the protocol (D16): non-inferior only if the lower limit of the two-sided %(level)s %% CI "
            "lies above the margin of %(margin)s percentage points in %(sets)s; one-sided alpha %(alpha)s. Superior "
            "if it is also above 0 in ITT; inferior if the upper limit lies below the margin in every set. In all "
            "other cases the result is inconclusive."
        ) % {
            "level": self.level,
            "margin": points(hypothesis.margin),
            "sets": _(" and ").join(_(_SHORT_SETS[AnalysisSet(name)]) for name in analysis.sets),
            "alpha": f"{hypothesis.alpha:g}",
        }

    def flow(self) -> Iterator[Block]:
        yield Heading(_("Participants"))
        flow = self.results.flow
        yield Grid(
            _("Screening and enrolment"),
            (_("Study site"), _("Screened"), _("Randomised")),
            (
                *((site, str(screened), str(enrolled)) for site, screened, enrolled in flow.sites),
                (_("All sites"), str(flow.screened), str(flow.randomized)),
            ),
            (2, 1, 1),
            notes=(self.screening_note(),),
        )
        counts: list[tuple[str, Callable[[AnalysisRow], bool]]] = [
            (_("Randomised"), lambda row: True),
            (_("At least one fraction given"), lambda row: row.treated),
            (
                _("At least %(count)d fractions given") % {"count": self.protocol.per_protocol.min_fractions},
                lambda row: row.fractions >= self.protocol.per_protocol.min_fractions,
            ),
            (
                _("Pain assessed at %(visit)s") % {"visit": self.event(self.protocol.primary.timepoint.visit)},
                lambda row: row.response(self.protocol.primary.timepoint.visit).nrs is not None,
            ),
            (_("Withdrawn from treatment"), lambda row: row.treatment_withdrawn is not None),
            (_("Died"), lambda row: row.death is not None),
            (
                _("Withdrawn from follow-up or lost, alive"),
                lambda row: (
                    row.followup_ended is not None and row.death is None and row.end_reason != EndStatus.COMPLETED
                ),
            ),
        ]
        rows = [
            (label, *(str(sum(test(row) for row in group.rows)) for group in self.groups)) for label, test in counts
        ]
        sizes = dict(self.results.set_sizes)
        rows.append((_("Analysis sets"), *("" for _group in self.groups)))
        heads = frozenset({len(rows) - 1})
        rows += [(_(sets.SET_LABELS[each]), *self.set_cells(each, sizes[each])) for each in AnalysisSet]
        yield Grid(
            _("Flow after randomisation and analysis sets"),
            (_("Participants"), *self.names),
            tuple(rows),
            (2.2, *(1.0 for _group in self.groups)),
            notes=(_("ITT counts everyone in the arm drawn for them, whatever was given."),),
            groups=heads,
        )

    def set_cells(self, which: AnalysisSet, sizes: Sequence[int]) -> list[str]:
        if which is AnalysisSet.PP and self.results.masked:
            return [_("not known while masked")]
        return [str(size) for size in sizes]

    def screening_note(self) -> str:
        flow = self.results.flow
        reasons = {reason.value: str(reason.label) for reason in FailureReason}
        listed = "; ".join(
            f"{reasons.get(code, _('no reason recorded'))}: {count}" for code, count in flow.failure_reasons
        )
        text = _("Screen failures: %(count)d. Still in screening: %(waiting)d.") % {
            "count": flow.screen_failures,
            "waiting": flow.waiting,
        }
        return f"{text} {listed}." if listed else text

    def baseline(self) -> Iterator[Block]:
        yield Heading(_("Baseline"))
        rows: list[tuple[str, ...]] = [(_("Participants"), *(str(len(group.rows)) for group in self.groups))]
        heads: set[int] = set()

        def numbers(label: str, read: Callable[[AnalysisRow], float | None]) -> None:
            rows.append((label, *(_median([read(row) for row in group.rows]) for group in self.groups)))

        def categories(label: str, read: Callable[[AnalysisRow], str], words: Sequence[tuple[str, str]]) -> None:
            counted = [Counter(read(row) for row in group.rows) for group in self.groups]
            if not any(counted):
                return
            heads.add(len(rows))
            rows.append((label, *("" for _group in self.groups)))
            for code, word in [*words, ("", _("Not recorded"))]:
                if any(count[code] for count in counted):
                    cells = (share(count[code], len(g.rows)) for count, g in zip(counted, self.groups, strict=True))
                    rows.append((f"    {word}", *cells))

        numbers(_("Age, years"), lambda row: row.age)
        categories(_("Sex"), lambda row: row.trait("sex"), [(c.value, str(c.label)) for c in Sex])
        categories(
            _("Primary tumour"), lambda row: row.trait("primary_site"), [(c.value, str(c.label)) for c in PrimarySite]
        )
        categories(_("ECOG performance status"), lambda row: row.trait("ecog"), [(str(n), str(n)) for n in range(5)])
        numbers(_("Karnofsky performance status"), lambda row: float(row.trait("kps")) if row.trait("kps") else None)
        categories(
            _("Location of the index site"),
            lambda row: region(row.trait("index_level")).value if row.trait("index_level") else "",
            [(each.value, _(REGION_LABELS[each])) for each in Region],
        )
        categories(
            _("Epidural compression (ESCC)"), lambda row: row.trait("escc"), [(c.value, str(c.label)) for c in Escc]
        )
        categories(
            _("Metastases in other organs than bone"),
            lambda row: row.trait("visceral"),
            [("True", _("Yes")), ("False", _("No"))],
        )
        numbers(_("Worst pain (NRS, 0 to 10)"), lambda row: row.nrs)
        numbers(_("OMED, mg/day"), lambda row: None if row.omed is None else float(row.omed))
        yield Grid(
            _("Baseline characteristics of all randomised participants"),
            (_("Characteristic"), *self.names),
            tuple(rows),
            (2.0, *(1.2 for _group in self.groups)),
            notes=(
                _(
                    "Counts with per cent of the group; numbers as median (quartiles; range), [n] where not all are "
                    "known. Age at randomisation. No tests: differences at baseline are due to chance."
                ),
            ),
            groups=frozenset(heads),
        )

    def response(self) -> Iterator[Block]:
        yield Heading(_("Pain response at each visit"))
        for row in self.results.visits:
            if any(counts.n != counts.count(Category.NE) for counts in row) or row[0].visit in self.reported():
                yield self.response_grid(row)
        yield Paragraph(
            _(
                "International Bone Metastases Consensus at the index site, %(reading)s (D1). OMED by factor table "
                "version %(table)s (D22). Rates with exact (Clopper-Pearson) %(level)s %% CI. Nothing is carried "
                "forward."
            )
            % {
                "reading": _(_READING_NAMES[self.protocol.response.reading]),
                "table": self.protocol.analgesics.table_version,
                "level": self.level,
            },
            "note",
        )

    def reported(self) -> set[str]:
        timepoint = self.protocol.primary.timepoint
        return {timepoint.visit, *timepoint.also_reported}

    def response_grid(self, row: Sequence[VisitCounts]) -> Grid:
        visit = row[0].visit
        caption = self.event(visit)
        if visit == self.protocol.primary.timepoint.visit:
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
        return Grid(caption, (_("Response"), *self.names), tuple(rows), (1.5, *(1.2 for _c in row)))

    def primary(self) -> Iterator[Block]:
        primary = self.results.primary
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
        study, control = self.names
        header = (
            _("Analysis set"),
            study,
            control,
            _("Difference, points (%(level)s %% CI)") % {"level": self.level},
            _("p (one-sided)"),
        )
        hypothesis = self.protocol.primary.hypothesis
        yield Grid(
            _("Responders at %(visit)s") % {"visit": self.event(self.protocol.primary.timepoint.visit)},
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
                    "method": _(_METHOD_NAMES[DifferenceMethod(self.protocol.primary.analysis.method)]),
                    "margin": points(hypothesis.margin),
                },
            ),
        )
        yield self.interval_figure(primary)
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
        missing = left_out(self.protocol)
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

    def interval_figure(self, primary: Primary) -> Figure:
        margin = self.protocol.primary.hypothesis.margin
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
                label = _("%(set)s, primary") % {"set": _(_SHORT_SETS[comparison.analysis_set])}
            found = comparison.difference
            ends = (found.estimate.value, found.lower.value, found.upper.value) if found else (None, None, None)
            lines.append(IntervalLine(label, *ends, difference(comparison), strong))
        caption = _(
            "Difference of the response rates, study minus control, with %(level)s %% CI; dashed line: the margin, "
            "shaded: non-inferior side"
        ) % {"level": self.level}
        words = IntervalWords(
            axis=_("Difference in percentage points"),
            favours_control=_("favours control"),
            favours_study=_("favours study arm"),
            margin=_("margin %(margin)s") % {"margin": points(margin)},
            not_estimable=_("not estimable"),
        )
        return Figure("difference", caption, interval_plot(lines, margin, words))

    def survival(self) -> Iterator[Block]:
        yield Heading(_("Overall survival"))
        survival = self.results.survival
        named = [(name, curve) for name, (_code, curve) in zip(self.names, survival.curves, strict=True)]
        yield Figure(
            "survival",
            _("Kaplan-Meier curve of overall survival from randomisation; ticks: censored"),
            survival_plot(
                named,
                SurvivalWords(
                    axis=_("Months since randomisation"),
                    proportion=_("Alive, %"),
                    at_risk=_("At risk"),
                    nothing=_("not estimable: no participants"),
                ),
            ),
        )
        rows = [
            (_("Participants"), *(str(curve.n) for _name, curve in named)),
            (_("Deaths"), *(str(curve.n_events) for _name, curve in named)),
            (
                _("Median survival, months (%(level)s %% CI)") % {"level": self.level},
                *(
                    _with_interval(curve.median, curve.median_interval.lower, curve.median_interval.upper)
                    for _name, curve in named
                ),
            ),
        ]
        for months in SURVIVAL_MONTHS:
            cells = []
            for _name, curve in named:
                at = curve.at(months)
                if at.beyond_follow_up:
                    cells.append(_("beyond follow-up"))
                else:
                    cells.append(_with_interval(at.survival, at.lower, at.upper, percent))
            label = _("Alive at %(months)d months (%(level)s %% CI)") % {"months": months, "level": self.level}
            rows.append((label, *cells))
        rows.append(
            (
                _("Median follow-up, months"),
                *(_number(curve.median) for _code, curve in survival.follow_up),
            )
        )
        notes = [
            _(
                "From randomisation to death of any cause, censored at the last date known alive; log-log limits; "
                "follow-up by the reverse Kaplan-Meier method. A month is 30.44 days."
            )
        ]
        if survival.comparison is not None:
            notes.insert(0, _("Log-rank test, two-sided: p = %(p)s.") % {"p": p_value(survival.comparison.p)})
        yield Grid(
            _("Overall survival"),
            ("", *self.names),
            tuple(rows),
            (1.6, *(1.2 for _name in self.names)),
            notes=tuple(notes),
        )

    def toxicity(self) -> Iterator[Block]:
        yield Heading(_("Adverse events"))
        cuts = self.protocol.toxicity
        treated = dict(self.results.set_sizes)[AnalysisSet.SAFETY]
        header = [_("CTCAE term")]
        for cut in cuts:
            header += [f"{_(cut.label)}: {name}" for name in self.names]
            header += ["p"] if len(self.groups) == 2 else []
        rows = []
        for row in self.results.toxicity:
            cells = [term_label(row.term_code)]
            for found in row.cuts:
                cells += [f"{x}/{n}" for x, n in found.counts]
                cells += [p_value(found.test.p)] if found.test else []
            rows.append(tuple(cells))
        if not rows:
            yield Paragraph(_("No adverse event is recorded of a treated participant."))
            return
        shares = (2.0, *((1.0, 1.0, 0.8) if len(self.groups) == 2 else (1.0,)) * len(cuts))
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
                % {"version": self.protocol.dictionaries.ctcae, "treated": " + ".join(str(n) for n in treated)},
                *(
                    (_("p: Fisher's exact test, two-sided, each term by itself; not corrected for their number."),)
                    if len(self.groups) == 2
                    else ()
                ),
            ),
        )

    def deviations(self) -> Iterator[Block]:
        yield Heading(_("Deviations and exclusions from the per-protocol set"))
        visit = self.protocol.primary.timepoint.visit
        words = {
            "fractions": _("Fewer than %(count)d fractions") % {"count": self.protocol.per_protocol.min_fractions},
            "pain_in_window": _("Pain at %(visit)s not assessed in its window") % {"visit": self.event(visit)},
        }
        rows = []
        for reason, counts in self.results.pp_exclusions:
            label = words.get(reason.value, _(sets.PP_REASON_LABELS[reason]))
            hidden = self.results.masked and reason is sets.PpReason.WRONG_TARGET
            rows.append((label, *([_("not known while masked")] if hidden else (str(n) for n in counts))))
        if not self.results.masked:
            excluded = (
                len(g.rows) - size
                for g, size in zip(self.groups, dict(self.results.set_sizes)[AnalysisSet.PP], strict=True)
            )
            rows.append((_("Excluded in all"), *(str(count) for count in excluded)))
        outside = (
            str(sum(r.visit_date is not None and not r.in_window for row in g.rows for r in row.visits))
            for g in self.groups
        )
        rows.append((_("Visits outside their windows (all visits)"), *outside))
        yield Grid(
            _("Reasons (D24)"),
            (_("Reason"), *self.names),
            tuple(rows),
            (2.2, *(1.0 for _group in self.groups)),
            notes=(_("One participant may have several reasons. Eligibility and target as recorded and confirmed."),),
        )

    def planning(self) -> Iterator[Block]:
        yield Heading(_("What this trial can show"))
        assumed, hypothesis = self.protocol.assumed_rates, self.protocol.primary.hypothesis
        n = assumed.evaluable_per_arm
        planned = noninferiority_power(
            assumed.study, assumed.control, n, hypothesis.margin, hypothesis.alpha, PlanningVariance.POOLED
        )
        yield Paragraph(
            _(
                "The protocol's %(total)d participants rest on true response rates of %(study)s in the study arm and "
                "%(control)s in the control arm: a study arm that is better, not equal. With %(n)d evaluable per arm "
                "this gives a power of %(power)s (normal approximation, pooled variance) (D17)."
            )
            % {
                "total": self.protocol.sample_size.total,
                "study": percent(assumed.study),
                "control": percent(assumed.control),
                "n": n,
                "power": _percent_of(planned.power),
            }
        )
        rows = []
        for equal in assumed.equal_rates_shown:
            exact = exact_noninferiority_power(
                equal, equal, n, n, hypothesis.margin, hypothesis.alpha, ExactTest.FARRINGTON_MANNING
            )
            rows.append((percent(equal), _percent_of(exact.power)))
        yield Grid(
            _("Power if both arms have the same true response rate"),
            (_("True rate in both arms"), _("Power")),
            tuple(rows),
            (1, 1),
            notes=(
                _(
                    "Exact power of the Farrington-Manning test with %(n)d evaluable participants per arm. If the arms "
                    "are truly equal, an inconclusive result is therefore the likely one and says little against "
                    "non-inferiority."
                )
                % {"n": n},
            ),
        )

    def methods(self) -> Iterator[Block]:
        yield Heading(_("Methods and software"))
        protocol = self.protocol
        for text in (
            _(
                "Sets: ITT, all randomised in the arm drawn; PP, eligible, target of the arm treated (sector check "
                "passed or justified), at least %(fractions)d of %(planned)d fractions, pain at %(visit)s in its "
                "window (D24); safety, at least one fraction given; evaluable, a response at %(visit)s other than NE."
            )
            % {
                "fractions": protocol.per_protocol.min_fractions,
                "planned": protocol.treatment.fractions,
                "visit": self.event(protocol.primary.timepoint.visit),
            },
            _(
                "Response: worst pain of the last 24 hours and OMED against baseline by the consensus of Chow 2002 and "
                "2012, %(reading)s; pain 2 or more and OMED 25 %% or more above baseline together is progression (D5); "
                "with OMED 0 at baseline any opioid is an increase (D6); pain or OMED missing is not evaluable (D7)."
            )
            % {"reading": _(_READING_NAMES[protocol.response.reading])},
            _(
                "Single rates: exact interval of Clopper and Pearson. Difference: Miettinen and Nurminen 1985, score "
                "with restricted maximum likelihood and the factor N/(N−1); the p value belongs to the same score."
            ),
            _(
                "Survival: Kaplan-Meier, Greenwood variance, log-log limits, log-rank test. Toxicity: Fisher's exact "
                "test. A number that the data do not allow is printed as not estimable."
            ),
            _(
                "Numbers marked D are decisions on points the published protocol leaves open; they are part of the "
                "protocol version above."
            ),
        ):
            yield Paragraph(text)
        pairs = [(_("Report made by"), f"SpineTrial {__version__}")]
        if self.source.number is not None:
            pairs.append((_("Data version made by"), f"SpineTrial {self.source.software_version}"))
        pairs.append(
            (
                _("Libraries"),
                f"Python {platform.python_version()}, numpy {version('numpy')}, scipy {version('scipy')}, "
                f"reportlab {version('reportlab')}",
            )
        )
        yield Facts(tuple(pairs))


def _percent_of(estimate: Estimate) -> str:
    return _("not estimable") if estimate.value is None else percent(estimate.value)


def _number(estimate: Estimate) -> str:
    if estimate.value is None:
        return _("not reached") if estimate.reason is Reason.NOT_REACHED else _("not estimable")
    return f"{estimate.value:.1f}"


def _with_interval(
    middle: Estimate, lower: Estimate, upper: Estimate, words: Callable[[float], str] = lambda value: f"{value:.1f}"
) -> str:
    """An estimate with its limits; a limit that is not reached or not defined is a dash."""
    if middle.value is None:
        return _("not reached") if middle.reason is Reason.NOT_REACHED else _("not estimable")
    ends = ["–" if limit.value is None else words(limit.value) for limit in (lower, upper)]
    return _("%(value)s (%(lower)s to %(upper)s)") % {"value": words(middle.value), "lower": ends[0], "upper": ends[1]}


def _median(values: Sequence[float | None]) -> str:
    """Median (quartiles; range), with the number known where some are not."""
    known = sorted(float(value) for value in values if value is not None)
    if not known:
        return _("not estimable")
    quartiles = statistics.quantiles(known, n=4, method="inclusive") if len(known) > 1 else [known[0]] * 3
    text = f"{quartiles[1]:g} ({quartiles[0]:g}–{quartiles[2]:g}; {known[0]:g}–{known[-1]:g})"
    return text if len(known) == len(values) else f"{text} [{len(known)}]"
