"""The safety picture over all sites: worst grades by organ class and term, and the serious events' clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adverse_events.clocks import running_clocks
from adverse_events.coding import coded_terms
from adverse_events.models import AdverseEvent, term_label
from spinetrial.terminology import ctcae

GRADES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in the table: organ class and term, each as a key for addresses and as words."""

    soc: str
    soc_label: str
    term: str
    term_label: str


#: Gives an event its place.
Placement = Callable[[AdverseEvent], Place]


def ctcae_place(event: AdverseEvent) -> Place:
    """Class and term of CTCAE: the place of an event that has no code of MedDRA."""
    term = ctcae.terms().get(event.ctcae_code)
    soc = term.soc if term else ""
    return Place(soc, soc, event.ctcae_code, term_label(event.ctcae_code))


def placement(events: Collection[AdverseEvent]) -> Placement:
    """How these events are placed: by MedDRA once each has a valid, approved code, until then all by CTCAE.

    Never both in one table: its classes would stand there twice, and counts by term would not add up.
    """
    return placement_of(events)[0]


def placement_of(events: Collection[AdverseEvent]) -> tuple[Placement, str]:
    """The placement, and the version of MedDRA it rests on; "" for CTCAE. Two queries."""
    codes = coded_terms([event.pk for event in events])
    versions = {code.version for code in codes.values()}
    if not events or len(codes) < len(events) or len(versions) > 1 or not all(code.approved for code in codes.values()):
        return ctcae_place, ""

    def meddra_place(event: AdverseEvent) -> Place:
        code = codes[event.pk]
        return Place(code.soc.code, code.soc.name, code.pt.code, code.pt.name)

    return meddra_place, versions.pop()


#: Columns of the table: which participants of a line they count.
COLUMNS = ("any", "ge2", "ge3", "related")
GRADE_COLUMNS = tuple(f"grade{grade}" for grade in GRADES)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: the worst grade of each participant (by number) with such an event (D23), and who has a related one.

    `term` is empty for the line of an organ class, `soc` too for the line of all events.
    """

    soc: str
    soc_label: str
    term: str
    term_label: str
    worst: Mapping[int, int]
    related: frozenset[int]

    def members(self, column: str) -> frozenset[int]:
        """The participants a column counts. Raises ValueError for a column that is none."""
        if column == "related":
            return self.related
        if column in GRADE_COLUMNS:
            return frozenset(who for who, grade in self.worst.items() if f"grade{grade}" == column)
        least = {"any": 1, "ge2": 2, "ge3": 3}.get(column)
        if least is None:
            raise ValueError(column)
        return frozenset(who for who, grade in self.worst.items() if grade >= least)


def tabulate(events: Iterable[AdverseEvent], place: Placement = ctcae_place) -> list[Line]:
    """All events, then each organ class (in NCI's order, others after by name) with its terms, most frequent first.

    A participant counts once per line, with the worst grade.
    """
    worst: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    related: dict[tuple[str, str], set[int]] = defaultdict(set)
    words: dict[tuple[str, str], tuple[str, str]] = {("", ""): ("", "")}
    for event in events:
        where = place(event)
        words[where.soc, ""] = (where.soc_label, "")
        words[where.soc, where.term] = (where.soc_label, where.term_label)
        for key in {("", ""), (where.soc, ""), (where.soc, where.term)}:
            grades = worst[key]
            grades[event.subject_id] = max(event.grade, grades.get(event.subject_id, 0))
            if event.related:
                related[key].add(event.subject_id)
    order = {soc: number for number, soc in enumerate(ctcae.socs())}

    def sort_key(line: Line) -> tuple[Any, ...]:
        whole = not line.soc and not line.term
        return (
            not whole, order.get(line.soc, len(order)), line.soc_label, bool(line.term), -len(line.worst),
            line.term_label,
        )  # fmt: skip

    lines = [Line(key[0], words[key][0], key[1], words[key][1], worst[key], frozenset(related[key])) for key in words]
    return sorted(lines, key=sort_key)


def serious_events(events: Iterable[AdverseEvent]) -> list[AdverseEvent]:
    """The serious events: first those whose report is waited for, by deadline, so what is overdue is on top."""
    serious = [event for event in events if event.serious]
    waiting = [event for event, _clock in running_clocks(serious)]
    rest = [event for event in serious if event not in waiting]
    return [*waiting, *sorted(rest, key=lambda event: (event.aware_at, event.pk))]
