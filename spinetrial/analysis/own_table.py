"""A table of counts somebody enters: every test a paper may have chosen, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI, risk_difference_ci
from spinetrial.stats.tables import (
    ChiSquare2x2,
    Fisher2x2,
    OddsRatio,
    OddsRatioMethod,
    RByC,
    chi_square_2x2,
    fisher_2x2,
    odds_ratio,
    r_by_c,
)

#: Rows and columns at most.
MAX_SIDE = 5
#: Patients at most in a 2x2 table, whose exact tests enumerate one count.
MAX_2X2 = 10_000
#: Patients at most in a larger table: the exact test enumerates whole tables, up to a second and some 100 MB here.
MAX_LARGER = 150

Rows = tuple[tuple[int, ...], ...]


def most_patients(rows: Rows) -> int:
    """The largest total that is computed for a table of this shape."""
    return MAX_2X2 if len(rows) == len(rows[0]) == 2 else MAX_LARGER


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Tests and estimates of [[a, b], [c, d]]: rows are the groups, the first column counts the event."""

    chi_square: ChiSquare2x2
    fisher: Fisher2x2
    odds: OddsRatio
    difference: RiskDifferenceCI


@dataclass(frozen=True, slots=True)
class OwnTable:
    """The entered table with its expected counts and tests. `expected` is empty where there are no patients.

    `two_by_two` is set for a table of that shape, `larger` for every other.
    """

    rows: Rows
    n: int
    level: float
    expected: tuple[tuple[float, ...], ...]
    two_by_two: TwoByTwo | None
    larger: RByC | None


def own_table(rows: Rows, level: float) -> OwnTable:
    """The tests of a table of 2 to MAX_SIDE rows and columns; confidence intervals at `level`.

    The risk difference is the first row's share less the second's, with Miettinen-Nurminen limits. Raises ValueError
    for another shape, a negative count or more than `most_patients`.
    """
    sides = (len(rows), *(len(row) for row in rows))
    if not all(2 <= side <= MAX_SIDE for side in sides) or len(set(sides[1:])) != 1:
        raise ValueError(f"A table has 2 to {MAX_SIDE} rows of equal length, with 2 to {MAX_SIDE} columns.")
    if any(cell < 0 for row in rows for cell in row):
        raise ValueError("A count must not be negative.")
    totals, columns = [sum(row) for row in rows], [sum(column) for column in zip(*rows, strict=True)]
    n = sum(totals)
    if n > most_patients(rows):
        raise ValueError(f"At most {most_patients(rows)} patients are computed for a table of this shape.")
    expected = tuple(tuple(total * column / n for column in columns) for total in totals) if n else ()
    if len(rows) == len(columns) == 2:
        (a, b), (c, d) = rows
        found = TwoByTwo(
            chi_square_2x2(a, b, c, d),
            fisher_2x2(a, b, c, d),
            odds_ratio(a, b, c, d, OddsRatioMethod.EXACT, level),
            risk_difference_ci(a, a + b, c, c + d, DifferenceMethod.MIETTINEN_NURMINEN, level),
        )
        return OwnTable(rows, n, level, expected, found, None)
    return OwnTable(rows, n, level, expected, None, r_by_c(rows))
