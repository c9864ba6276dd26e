"""Participants with an adverse event, by term and worst grade (D23)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.analysis import sets
from spinetrial.analysis.groups import Group
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.protocol.model import Protocol
from spinetrial.stats.tables import Fisher2x2, fisher_2x2
from spinetrial.terminology import ctcae


@dataclass(frozen=True, slots=True)
class ToxicityCut:
    """Patients with at least the cut's grade of a term, per group, and the test between the arms (D23)."""

    code: str
    counts: tuple[tuple[int, int], ...]
    test: Fisher2x2 | None


@dataclass(frozen=True, slots=True)
class ToxicityRow:
    term_code: str
    cuts: tuple[ToxicityCut, ...]


def toxicity(protocol: Protocol, groups: Sequence[Group]) -> tuple[ToxicityRow, ...]:
    treated = [sets.members(group.rows, AnalysisSet.SAFETY) for group in groups]
    codes = {event.code for rows in treated for row in rows for event in row.events}
    table = []
    for code in sorted(codes, key=lambda each: (ctcae.get(each).term, each)):
        cuts = []
        for cut in protocol.toxicity:
            counts = tuple((sum(row.worst(code) >= cut.min_grade for row in rows), len(rows)) for rows in treated)
            test = None
            if len(counts) == 2:
                (a, n1), (c, n0) = counts
                test = fisher_2x2(a, n1 - a, c, n0 - c)
            cuts.append(ToxicityCut(cut.code, counts, test))
        table.append(ToxicityRow(code, tuple(cuts)))
    return tuple(table)
