"""Participants with an adverse event, by CTCAE term and worst grade (D23). Denominator: participants treated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from adverse_events.models import Action, Phase
from spinetrial.analysis import sets
from spinetrial.analysis.groups import Group
from spinetrial.analysis.particulars import EventDetail
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet
from spinetrial.protocol.model import Protocol
from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI, risk_difference_ci
from spinetrial.stats.tables import Fisher2x2, fisher_2x2
from spinetrial.terminology import ctcae

#: Grade of an event that was the death.
FATAL = max(ctcae.GRADES)


@dataclass(frozen=True, slots=True)
class ToxicityCut:
    """Participants with at least the cut's grade of a term, (x, n) per group, and the test between the arms (D23)."""

    code: str
    counts: tuple[tuple[int, int], ...]
    test: Fisher2x2 | None


@dataclass(frozen=True, slots=True)
class ToxicityRow:
    """A CTCAE term. `grades`: participants by worst grade 1 to 5, per group.

    `difference`: first group minus second, any grade, by the protocol's method and level; None with a single group.
    """

    term_code: str
    cuts: tuple[ToxicityCut, ...]
    grades: tuple[tuple[int, ...], ...]
    difference: RiskDifferenceCI | None

    @property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Participants with the term in any grade, (x, n) per group."""
        return tuple((sum(grades), n) for grades, (_x, n) in zip(self.grades, self.cuts[0].counts, strict=True))


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A system organ class: any of its terms, each participant once with the worst grade, and the terms that occurred.

    No test is made of a class: the protocol names terms only.
    """

    soc: str
    grades: tuple[tuple[int, ...], ...]
    counts: tuple[tuple[int, int], ...]
    difference: RiskDifferenceCI | None
    terms: tuple[ToxicityRow, ...]


class Harm(StrEnum):
    """Questions over all terms: who had at least one such event?"""

    ANY = "any"
    GE3 = "ge3"
    SERIOUS = "serious"
    RELATED = "related"
    RELATED_GE3 = "related_ge3"
    RELATED_SERIOUS = "related_serious"
    BEFORE = "before"
    ACUTE = "acute"
    LATE = "late"
    STOPPED = "stopped"
    FATAL = "fatal"
    RELATED_FATAL = "related_fatal"


#: Grade from which an event is called severe.
SEVERE = 3

_QUESTIONS: dict[Harm, Callable[[EventDetail], bool]] = {
    Harm.ANY: lambda event: True,
    Harm.GE3: lambda event: event.grade >= SEVERE,
    Harm.SERIOUS: lambda event: event.serious,
    Harm.RELATED: lambda event: event.related,
    Harm.RELATED_GE3: lambda event: event.related and event.grade >= SEVERE,
    Harm.RELATED_SERIOUS: lambda event: event.related and event.serious,
    Harm.BEFORE: lambda event: event.phase is Phase.BEFORE,
    Harm.ACUTE: lambda event: event.phase is Phase.ACUTE,
    Harm.LATE: lambda event: event.phase is Phase.LATE,
    Harm.STOPPED: lambda event: event.action in (Action.INTERRUPTED, Action.STOPPED),
    Harm.FATAL: lambda event: event.grade == FATAL,
    Harm.RELATED_FATAL: lambda event: event.related and event.grade == FATAL,
}


@dataclass(frozen=True, slots=True)
class HarmRow:
    """Participants with at least one such event, (x, n) per group, and how many events there were."""

    harm: Harm
    counts: tuple[tuple[int, int], ...]
    events: tuple[int, ...]
    difference: RiskDifferenceCI | None


@dataclass(frozen=True, slots=True)
class Toxicity:
    """Adverse events of the participants treated.

    `rows`: terms in alphabetical order. `classes`: the same terms by system organ class in NCI's order. `untreated`:
    randomised participants outside the denominator who had an event, per group.
    """

    rows: tuple[ToxicityRow, ...]
    classes: tuple[ClassRow, ...]
    harms: tuple[HarmRow, ...]
    treated: tuple[int, ...]
    untreated: tuple[int, ...]

    def harm(self, harm: Harm) -> HarmRow:
        """The answer to one question. Raises KeyError."""
        for row in self.harms:
            if row.harm is harm:
                return row
        raise KeyError(harm)

    def by_frequency(self) -> tuple[ToxicityRow, ...]:
        """The terms, those of most participants first; with as many, the one with more of grade 3 or above first.

        Remaining ties in alphabetical order.
        """
        return tuple(
            sorted(
                self.rows,
                key=lambda row: (
                    -sum(map(sum, row.grades)),
                    -sum(sum(grades[SEVERE - 1 :]) for grades in row.grades),
                    _alphabetical(row.term_code),
                ),
            )
        )


def toxicity(protocol: Protocol, groups: Sequence[Group]) -> Toxicity:
    """Adverse events of the treated by term, class and question, with the tests the protocol names."""
    treated = [sets.members(group.rows, AnalysisSet.SAFETY) for group in groups]
    sizes = tuple(len(rows) for rows in treated)
    worst = [[{event.code: event.grade for event in row.events} for row in rows] for rows in treated]
    by_term = [Counter((code, grade) for each in rows for code, grade in each.items()) for rows in worst]
    codes = sorted({code for count in by_term for code, _grade in count}, key=_alphabetical)
    compared = _Compared(protocol, sizes)
    rows = tuple(_term(protocol, code, by_term, sizes, compared) for code in codes)
    return Toxicity(
        rows=rows,
        classes=tuple(_classes(rows, worst, sizes, compared)),
        harms=tuple(_harm(harm, treated, sizes, compared) for harm in Harm),
        treated=sizes,
        untreated=tuple(sum(bool(row.events) and not row.treated for row in group.rows) for group in groups),
    )


class _Compared:
    """Differences of two proportions by the method and level of the protocol's primary analysis."""

    def __init__(self, protocol: Protocol, sizes: Sequence[int]) -> None:
        analysis = protocol.primary.analysis
        self._method, self._level = DifferenceMethod(analysis.method), analysis.confidence
        self._two = len(sizes) == 2
        self._known: dict[tuple[tuple[int, int], ...], RiskDifferenceCI] = {}

    def difference(self, counts: tuple[tuple[int, int], ...]) -> RiskDifferenceCI | None:
        if not self._two:
            return None
        if counts not in self._known:  # rare events repeat the same few tables
            (x1, n1), (x0, n0) = counts
            self._known[counts] = risk_difference_ci(x1, n1, x0, n0, self._method, self._level)
        return self._known[counts]


def _term(
    protocol: Protocol,
    code: str,
    by_term: Sequence[Counter[tuple[str, int]]],
    sizes: Sequence[int],
    compared: _Compared,
) -> ToxicityRow:
    grades = tuple(tuple(count[code, grade] for grade in ctcae.GRADES) for count in by_term)
    cuts = []
    for cut in protocol.toxicity:
        counts = tuple((sum(each[cut.min_grade - 1 :]), n) for each, n in zip(grades, sizes, strict=True))
        test = None
        if len(counts) == 2:
            (a, n1), (c, n0) = counts
            test = fisher_2x2(a, n1 - a, c, n0 - c)
        cuts.append(ToxicityCut(cut.code, counts, test))
    anyone = tuple((sum(each), n) for each, n in zip(grades, sizes, strict=True))
    return ToxicityRow(code, tuple(cuts), grades, compared.difference(anyone))


def _classes(
    rows: Sequence[ToxicityRow],
    worst: Sequence[Sequence[dict[str, int]]],
    sizes: Sequence[int],
    compared: _Compared,
) -> Iterable[ClassRow]:
    for soc in (*ctcae.socs(), ""):
        terms = tuple(row for row in rows if soc_of(row.term_code) == soc)
        if not terms:
            continue
        within = {row.term_code for row in terms}
        reached = [
            Counter(max((each[c] for c in within & set(each)), default=0) for each in people) for people in worst
        ]
        grades = tuple(tuple(count[grade] for grade in ctcae.GRADES) for count in reached)
        counts = tuple((sum(each), n) for each, n in zip(grades, sizes, strict=True))
        yield ClassRow(soc, grades, counts, compared.difference(counts), terms)


def _harm(harm: Harm, treated: Sequence[Sequence[AnalysisRow]], sizes: Sequence[int], compared: _Compared) -> HarmRow:
    asked = _QUESTIONS[harm]
    hits = [[sum(asked(event) for event in row.event_details) for row in rows] for rows in treated]
    counts = tuple((sum(hit > 0 for hit in group), n) for group, n in zip(hits, sizes, strict=True))
    return HarmRow(harm, counts, tuple(map(sum, hits)), compared.difference(counts))


def soc_of(code: str) -> str:
    """The CTCAE system organ class of a term; empty for a code outside the trial's version."""
    term = ctcae.terms().get(code)
    return term.soc if term else ""


def _alphabetical(code: str) -> tuple[str, str]:
    term = ctcae.terms().get(code)
    return (term.term if term else "", code)
