"""How the checks of several papers are made: from tables, shares, means and follow-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from spinetrial.analysis.papers.model import LEVEL, Check, FollowUp, Part, Printed, Result, Table
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.estimate import Estimate
from spinetrial.stats.means import TTestMethod, t_test_summary
from spinetrial.stats.proportions import ProportionCI, ProportionMethod, proportion_ci
from spinetrial.stats.survival import KaplanMeier, kaplan_meier
from spinetrial.stats.tables import chi_square_2x2, fisher_2x2, r_by_c


def fixed(value: float | None, decimals: int = 1) -> str:
    """A number with a true minus sign."""
    return "–" if value is None else f"{value:.{decimals}f}".replace("-", "−")


def per_cent(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{value * 100:.{decimals}f} %"


def whole(estimate: Estimate) -> str:
    return fixed(estimate.value, 0)


def share(x: int, n: int) -> str:
    return f"{x}/{n} ({per_cent(x / n)})"


def exact(x: int, n: int) -> ProportionCI:
    return proportion_ci(x, n, ProportionMethod.CLOPPER_PEARSON, LEVEL)


def interval_of(ci: ProportionCI) -> tuple[Estimate, ...]:
    return ci.estimate, ci.lower, ci.upper


PEARSON = _("Pearson chi-square, uncorrected")
YATES = _("Chi-square with Yates' correction")
FISHER = _("Fisher's exact test, two-sided")
FREEMAN_HALTON = _("Fisher-Freeman-Halton exact test")
CLOPPER_PEARSON = _("Clopper-Pearson limits of the counts")
WILSON = _("Wilson limits of the counts")
COUNTED = _("Counts divided")
LOG_LOG = _("Kaplan-Meier, log-log limits")
GREENWOOD = _("Kaplan-Meier, Greenwood standard error")


def counts(table: Table, names: tuple[str, str]) -> Line:
    """Two arms' counts in words: of a 2x2 table the first column with its share, else every column."""
    told = [
        share(row[0], sum(row)) if len(row) == 2 else f"{', '.join(str(cell) for cell in row)} (n = {sum(row)})"
        for row in table
    ]
    return Line(_("%(one)s: %(counts)s; %(other)s: %(others)s"), (
        ("one", names[0]), ("counts", told[0]), ("other", names[1]), ("others", told[1]),
    ))  # fmt: skip


def table_check(group: str, claim: str, printed: str, table: Table, names: tuple[str, str]) -> Check:
    """A p value for a table of two arms. The paper names the chi-square test."""
    results: tuple[Result, ...]
    if len(table[0]) == 2:
        (a, b), (c, d) = table
        chi = chi_square_2x2(a, b, c, d)
        least = chi.min_expected
        results = (
            Result(PEARSON, (chi.pearson_p,), Part.NAMED),
            Result(YATES, (chi.yates_p,)),
            Result(FISHER, (fisher_2x2(a, b, c, d).p,)),
        )
    else:
        found = r_by_c(table)
        least = found.min_expected
        results = (
            Result(PEARSON, (found.pearson_p,), Part.NAMED),
            Result(FREEMAN_HALTON, (found.exact_p,)),
        )
    return Check(group, claim, Printed((printed,)), counts(table, names), results, table, least)


def share_check(group: str, claim: str, printed: str, x: int, n: int) -> Check:
    """A percentage beside the counts it is said to come from."""
    results = (Result(COUNTED, (exact(x, n).estimate,)),)
    why = Line(_("%(x)s divided by %(n)s is %(share)s."), (("x", str(x)), ("n", str(n)), ("share", per_cent(x / n, 2))))
    basis = Line("%(counts)s", (("counts", f"{x}/{n}"),))
    return Check(group, claim, Printed((printed,), percent=True), basis, results, why=why)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation as printed, with the number of patients."""

    mean: str
    sd: str
    n: int

    def corners(self) -> Iterator[tuple[float, float]]:
        """The four extreme pairs that round to what is printed."""
        return product(rounded_from(self.mean), rounded_from(self.sd))


def rounded_from(printed: str) -> tuple[float, float]:
    """The smallest and largest number that rounds to the printed one."""
    half = 0.5 * 10.0 ** -Printed((printed,)).decimals(0)
    return float(printed) - half, float(printed) + half


def p_range(one: Moments, other: Moments) -> tuple[float, float]:
    """Smallest and largest p of the pooled t test over all moments that round to the printed ones.

    p falls with the distance of the means and rises with either standard deviation, so the corners hold the extremes;
    only where the means may be equal is the largest p 1.
    """
    found = [
        t_test_summary(m1, s1, one.n, m2, s2, other.n, TTestMethod.POOLED, LEVEL).p.value
        for (m1, s1), (m2, s2) in product(one.corners(), other.corners())
    ]
    known_p = [p for p in found if p is not None]
    (low1, high1), (low2, high2) = rounded_from(one.mean), rounded_from(other.mean)
    return min(known_p), 1.0 if low1 <= high2 and low2 <= high1 else max(known_p)


def t_check(group: str, claim: str, printed: str, one: Moments, other: Moments) -> Check:
    """A p value for two means. The paper does not say which variance its t test assumes."""
    results = tuple(
        Result(label, (t_test_summary(
            float(one.mean), float(one.sd), one.n, float(other.mean), float(other.sd), other.n, method, LEVEL
        ).p,))
        for method, label in (
            (TTestMethod.POOLED, _("Student's t test, pooled variance")),
            (TTestMethod.WELCH, _("Welch's t test")),
        )
    )  # fmt: skip
    low, high = p_range(one, other)
    return Check(
        group,
        claim,
        Printed((printed,)),
        Line(_("IMRT: %(one)s; 3DCRT: %(other)s (mean ± SD)"), (
            ("one", f"{one.mean} ± {one.sd} (n = {one.n})"), ("other", f"{other.mean} ± {other.sd} (n = {other.n})"),
        )),
        results,
        compatible=low <= float(printed) <= high,
        why=Line(
            _("Over all means and standard deviations that round to the printed ones, p lies between %(low)s and "
            "%(high)s."),
            (("low", fixed(low, 3)), ("high", fixed(high, 3))),
        ),
    )  # fmt: skip


def curve(follow_up: FollowUp) -> KaplanMeier:
    return kaplan_meier(
        [time for n, time, _event in follow_up for _each in range(n)],
        [event for n, _time, event in follow_up for _each in range(n)],
        LEVEL,
    )


def with_limits(curve: KaplanMeier, month: float) -> tuple[Estimate, ...]:
    point = curve.at(month)
    return point.survival, point.lower, point.upper


def with_error(curve: KaplanMeier, month: float) -> tuple[Estimate, ...]:
    point = curve.at(month)
    return point.survival, point.se


def words(text: str) -> Line:
    return Line(text)
