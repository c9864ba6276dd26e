"""A claim of a paper beside what follows from its counts, and the verdict that the comparison gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.estimate import Estimate

#: Below this smallest expected count the chi-square approximation is flagged.
FEW_EXPECTED = 5
#: The level of the papers' limits, and the power and two-sided alpha they plan with.
LEVEL, POWER, ALPHA = 0.95, 0.80, 0.05

Table = tuple[tuple[int, ...], ...]
#: Patients, months of follow-up, 1 event or 0 censored.
FollowUp = tuple[tuple[int, float, int], ...]


class Verdict(StrEnum):
    """What the comparison of a printed number with the computed ones says."""

    REPRODUCED = "reproduced"
    OTHER_METHOD = "other_method"
    POSSIBLE = "possible"
    IMPOSSIBLE = "impossible"
    NOT_CHECKABLE = "not_checkable"


VERDICT_LABELS: dict[Verdict, str] = {
    Verdict.REPRODUCED: _("Reproduced"),
    Verdict.OTHER_METHOD: _("Reproduced by another method than named"),
    Verdict.POSSIBLE: _("Possible, not reproduced"),
    Verdict.IMPOSSIBLE: _("Cannot be right"),
    Verdict.NOT_CHECKABLE: _("Not checkable"),
}


class Part(StrEnum):
    """What a computed result has to say in the verdict.

    NAMED: by the method the paper names. TRIED: by another method from the same data. SUPPOSED: from data the paper
    does not give; it is shown and never decides.
    """

    NAMED = "named"
    TRIED = "tried"
    SUPPOSED = "supposed"


class Layout(StrEnum):
    """How the numbers of one result stand together."""

    VALUE = "value"
    LIMITS = "limits"  # estimate, lower, upper
    ERROR = "error"  # estimate, standard error


@dataclass(frozen=True, slots=True)
class Printed:
    """Numbers as a paper prints them, digit for digit. `percent`: they are 100 times the computed ones."""

    numbers: tuple[str, ...]
    percent: bool = False
    layout: Layout = Layout.VALUE

    def decimals(self, place: int) -> int:
        """Digits after the point of the number at `place`."""
        exponent = Decimal(self.numbers[place]).as_tuple().exponent
        return -exponent if isinstance(exponent, int) else 0

    def agrees(self, values: Sequence[Estimate]) -> bool:
        """Whether every computed value rounds to the printed number (a half may have been rounded either way)."""
        return len(values) == len(self.numbers) and all(
            value.value is not None
            and abs(value.value * (100 if self.percent else 1) - float(number))
            <= 0.5 * 10.0 ** -self.decimals(place) + 1e-9
            for place, (number, value) in enumerate(zip(self.numbers, values, strict=True))
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What one method gives, in the order of the printed numbers; proportions, not per cent."""

    method: str
    values: tuple[Estimate, ...]
    part: Part = Part.TRIED


@dataclass(frozen=True, slots=True)
class Check:
    """One printed claim beside what follows from its counts.

    `group` heads the claims that stand together. `table` holds the counts of a table that can be entered again;
    `min_expected` is its smallest expected count. `compatible`: computed, whether the data leave the printed number
    possible although no method gives it. `why` explains a number that was not reproduced, `note` any number.
    """

    group: str
    claim: str
    printed: Printed
    basis: Line
    results: tuple[Result, ...] = ()
    table: Table | None = None
    min_expected: Estimate | None = None
    compatible: bool = False
    why: Line | None = None
    note: Line | None = None

    @property
    def verdict(self) -> Verdict:
        """Derived from the comparison, never entered."""
        deciding = [result for result in self.results if result.part is not Part.SUPPOSED]
        if not deciding:
            return Verdict.NOT_CHECKABLE
        named = [result for result in deciding if result.part is Part.NAMED]
        if any(self.printed.agrees(result.values) for result in named or deciding):
            return Verdict.REPRODUCED
        if any(self.printed.agrees(result.values) for result in deciding):
            return Verdict.OTHER_METHOD
        return Verdict.POSSIBLE if self.compatible else Verdict.IMPOSSIBLE

    @property
    def few_expected(self) -> bool:
        """Whether an expected count is too small for the chi-square approximation."""
        least = self.min_expected
        return least is not None and least.value is not None and least.value < FEW_EXPECTED


@dataclass(frozen=True, slots=True)
class Listing:
    """Computed numbers that stand beside a paper, in words: a table with a title and a note."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: Line


@dataclass(frozen=True, slots=True)
class Paper:
    """One source paper: its checks, what else a reader should know, and tables computed beside it.

    `citation` is a bibliographic reference and never translated.
    """

    code: str
    title: str
    citation: str
    design: str
    checks: tuple[Check, ...]
    remarks: tuple[Line, ...] = ()
    listings: tuple[Listing, ...] = ()

    def count(self, verdict: Verdict) -> int:
        return sum(check.verdict is verdict for check in self.checks)

    @property
    def impossible(self) -> tuple[Check, ...]:
        """The claims that cannot be right."""
        return tuple(check for check in self.checks if check.verdict is Verdict.IMPOSSIBLE)
