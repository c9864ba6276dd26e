"""Adverse events of the treated: in words, over all terms, and by class and term with worst grades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from adverse_events.catalogue import soc_label
from adverse_events.models import PHASE_LABELS, Phase, term_label
from spinetrial.analysis.toxicity import FATAL, SEVERE, ClassRow, Harm, ToxicityCut, ToxicityRow
from spinetrial.protocol.model import ToxicityComparison
from spinetrial.reports.document import Block, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.butterfly import ButterflyWords, TermBar, butterfly
from spinetrial.reports.writing import Report, method_name, p_value, percent, risk_difference, share
from spinetrial.terminology import ctcae

#: Terms in the figure; the others are in the tables.
_SHOWN = 20
#: Bands of grades in the figure: first and last grade.
_BANDS = ((1, SEVERE - 1), (SEVERE, SEVERE), (SEVERE + 1, FATAL))

_HARMS = {
    Harm.ANY: gettext_noop("Any adverse event"),
    Harm.GE3: gettext_noop("Grade 3 or above"),
    Harm.SERIOUS: gettext_noop("Serious"),
    Harm.RELATED: gettext_noop("Related to radiotherapy (possible, probable or definite)"),
    Harm.RELATED_GE3: gettext_noop("Related, grade 3 or above"),
    Harm.RELATED_SERIOUS: gettext_noop("Related and serious"),
    Harm.BEFORE: PHASE_LABELS[Phase.BEFORE],
    Harm.ACUTE: PHASE_LABELS[Phase.ACUTE],
    Harm.LATE: PHASE_LABELS[Phase.LATE],
    Harm.STOPPED: gettext_noop("Radiotherapy interrupted or stopped because of it"),
    Harm.FATAL: gettext_noop("Fatal (grade 5)"),
    Harm.RELATED_FATAL: gettext_noop("Related and fatal"),
}


def toxicity(report: Report) -> Iterator[Block]:
    yield Heading(_("Adverse events"))
    found = report.results.toxicity
    if not found.rows:
        yield Paragraph(_("No adverse event is recorded of a treated participant."))
        return
    yield Paragraph(" ".join(_in_words(report)))
    yield _overview(report)
    yield _figure(report)
    yield _any_grade(report)
    yield _by_grade(report)


def _in_words(report: Report) -> Iterator[str]:
    """Counts only: what they mean is for the reader."""
    found = report.results.toxicity
    severe, fatal = found.harm(Harm.GE3), found.harm(Harm.FATAL)
    parts = []
    for number, (x, n) in enumerate(found.harm(Harm.ANY).counts):
        words = {"n": n, "any": x, "severe": severe.counts[number][0], "group": report.names[number]}
        if len(report.groups) == 1:
            parts.append(_("%(any)d of %(n)d had one, %(severe)d of grade 3 or above") % words)
        else:
            parts.append(_("%(group)s: %(any)d of %(n)d had one, %(severe)d of grade 3 or above") % words)
    yield _("Adverse events among those treated. %(list)s.") % {"list": "; ".join(parts)}
    yield _("Participants with a serious event: %(list)s.") % {"list": _listed(report, Harm.SERIOUS)}
    if any(x for x, _number in fatal.counts):
        yield _("Participants who died of an adverse event: %(list)s.") % {"list": _listed(report, Harm.FATAL)}
    else:
        yield _("No adverse event of a treated participant was fatal.")


def _listed(report: Report, harm: Harm) -> str:
    counts = report.results.toxicity.harm(harm).counts
    if len(counts) == 1:
        return str(counts[0][0])
    return "; ".join(f"{name} {x}" for name, (x, _n) in zip(report.names, counts, strict=True))


def _overview(report: Report) -> Grid:
    found = report.results.toxicity
    two = len(report.groups) == 2
    rows: list[tuple[str, ...]] = [
        (
            _(_HARMS[row.harm]),
            *(share(x, n) for x, n in row.counts),
            *([risk_difference(row.difference)] if two else []),
        )
        for row in found.harms
    ]
    blank = [""] if two else []
    rows.append((_("Events recorded, all grades"), *map(str, found.harm(Harm.ANY).events), *blank))
    rows.append((_("Serious events recorded"), *map(str, found.harm(Harm.SERIOUS).events), *blank))
    notes = [
        _(
            "Participants with at least one such event, of those treated (at least one fraction). One may be in "
            "several rows."
        )
    ]
    if two:
        notes.append(_difference_note(report))
    if any(found.untreated):
        notes.append(
            _("Not counted here: randomised but never treated, with an adverse event: %(list)s.")
            % {"list": " + ".join(map(str, found.untreated))}
        )
    return Grid(
        _("Participants with adverse events, all terms together"),
        (_("Participants with"), *report.names, *([_difference_head(report)] if two else [])),
        tuple(rows),
        (2.4, *(1.2 for _group in report.groups), *([1.6] if two else [])),
        notes=tuple(notes),
    )


def _figure(report: Report) -> Figure:
    found = report.results.toxicity
    rows = found.by_frequency()
    bars = [
        TermBar(
            term_label(row.term_code),
            tuple(tuple(sum(grades[first - 1 : last]) for first, last in _BANDS) for grades in row.grades),
            tuple(f"{x} ({percent(x / n)})" if n else "0" for x, n in row.counts),
        )
        for row in rows[:_SHOWN]
    ]
    sides = zip(report.names, found.treated, strict=True)
    words = ButterflyWords(
        sides=tuple(_("%(group)s (%(n)d treated)") % {"group": name, "n": n} for name, n in sides),
        bands=tuple(_band(first, last) for first, last in _BANDS),
        axis=_("Per cent of those treated, by worst grade"),
        nothing=_("No adverse event"),
    )
    if len(rows) > _SHOWN:
        caption = _("Adverse events: the %(shown)d most frequent of %(all)d terms, by worst grade") % {
            "shown": _SHOWN,
            "all": len(rows),
        }
    else:
        caption = _("Adverse events by term and worst grade")
    caption += " " + _("(most frequent first over all treated; then by grade 3 or above, then by name)")
    return Figure("toxicity", caption, butterfly(bars, found.treated, words))


def _band(first: int, last: int) -> str:
    if first == last:
        return _("Grade %(grade)d") % {"grade": first}
    return _("Grade %(first)d to %(last)d") % {"first": first, "last": last}


def _any_grade(report: Report) -> Grid:
    two = len(report.groups) == 2
    place, cut = next((n, cut) for n, cut in enumerate(report.protocol.toxicity) if cut.min_grade == 1)

    def cells(row: ClassRow | ToxicityRow, p: str) -> list[str]:
        extra = [risk_difference(row.difference), p] if two else []
        return [*(share(x, n) for x, n in row.counts), *extra]

    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for each in report.results.toxicity.classes:
        heads.add(len(rows))
        rows.append((_class(each), *cells(each, "")))
        rows += [
            (f"    {term_label(row.term_code)}", *cells(row, _p(row.cuts[place]) if two else "")) for row in each.terms
        ]
    notes = [_source_note(report)]
    if two:
        notes += [_difference_note(report), *_test_notes()]
    return Grid(
        _("Participants with an adverse event by class and term: %(cut)s") % {"cut": _(cut.label)},
        (
            _("CTCAE class (any of its terms) and term"),
            *report.names,
            *([_difference_head(report), "p"] if two else []),
        ),
        tuple(rows),
        (2.3, *(1.2 for _group in report.groups), *((1.5, 0.6) if two else ())),
        notes=tuple(notes),
        groups=frozenset(heads),
    )


def _by_grade(report: Report) -> Grid:
    two = len(report.groups) == 2
    places = [(n, cut) for n, cut in enumerate(report.protocol.toxicity) if cut.min_grade > 1]
    header = [_("CTCAE class (any of its terms) and term")]
    header += [_("%(group)s: worst grade %(grades)s") % {"group": name, "grades": " / ".join(map(str, ctcae.GRADES))}
               for name in report.names]  # fmt: skip
    for _place, cut in places:
        header += _cut_head(report, cut, two)
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for each in report.results.toxicity.classes:
        heads.add(len(rows))
        blank = [cell for _place, cut in places for cell in (*_reached(each.grades, cut), *([""] if two else []))]
        rows.append((_class(each), *map(_grades, each.grades), *blank))
        for row in each.terms:
            cells = [
                cell
                for place, cut in places
                for cell in (*_reached(row.grades, cut), *([_p(row.cuts[place])] if two else []))
            ]
            rows.append((f"    {term_label(row.term_code)}", *map(_grades, row.grades), *cells))
    widths = (2.1, *(1.25 for _group in report.groups))
    widths += ((1.0, 1.0, 0.6) if two else (0.9,)) * len(places)
    treated = " + ".join(map(str, report.results.toxicity.treated))
    notes = [
        _(
            "Participants by their worst grade of the term; of a class, of any of its terms. Of those treated: "
            "%(treated)s."
        )
        % {"treated": treated}
    ]
    if two:
        notes += _test_notes()
    return Grid(
        _("Participants with an adverse event by class, term and worst grade"),
        tuple(header),
        tuple(rows),
        widths,
        notes=tuple(notes),
        groups=frozenset(heads),
    )


def _cut_head(report: Report, cut: ToxicityComparison, two: bool) -> list[str]:
    if not two:
        return [_(cut.label)]
    return [*(_("%(cut)s: %(group)s") % {"cut": _(cut.label), "group": name} for name in report.names), "p"]


def _reached(grades: Sequence[tuple[int, ...]], cut: ToxicityComparison) -> list[str]:
    return [str(sum(each[cut.min_grade - 1 :])) for each in grades]


def _grades(counts: Sequence[int]) -> str:
    return " / ".join(map(str, counts))


def _p(cut: ToxicityCut) -> str:
    """The test of a cut; a dash where nobody reached it, because nothing was compared."""
    if cut.test is None or not any(x for x, _n in cut.counts):
        return "–"
    return p_value(cut.test.p)


def _class(each: ClassRow) -> str:
    return soc_label(each.soc) if each.soc else _("Terms outside this CTCAE version")


def _difference_head(report: Report) -> str:
    return _("Difference, percentage points (%(level)s %% CI)") % {"level": report.level}


def _difference_note(report: Report) -> str:
    return _("Difference: %(first)s minus %(second)s; %(method)s.") % {
        "first": report.names[0],
        "second": report.names[1],
        "method": method_name(report.protocol.primary.analysis.method),
    }


def _source_note(report: Report) -> str:
    return _(
        "CTCAE version %(version)s. Participants with the event of those treated (%(treated)s), worst grade per "
        "participant and term, whenever it occurred and whatever its cause (D23). A participant with several terms of "
        "a class counts once in it."
    ) % {
        "version": report.protocol.dictionaries.ctcae,
        "treated": " + ".join(map(str, report.results.toxicity.treated)),
    }


def _test_notes() -> list[str]:
    return [
        _(
            "p: Fisher's exact test, two-sided, each term by itself, at every count and so also where few events are "
            "expected; – where nobody had the event. Classes are not tested."
        ),
        _(
            "No p is corrected for the number of terms: among many, some are small by chance. A large p does not show "
            "that the groups are equally safe; the interval of the difference shows what remains possible."
        ),
    ]
