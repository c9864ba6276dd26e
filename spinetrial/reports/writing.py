"""What every section writes with: the report at hand, and numbers in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from followup.response import Reading
from spinetrial.analysis.baseline import Summary
from spinetrial.analysis.primary import Comparison
from spinetrial.analysis.results import Results
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.protocol.events import event_title
from spinetrial.stats.estimate import Estimate, Reason
from spinetrial.stats.proportions import ProportionCI
from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI
from spinetrial.stats.selftest import SelfTest


@dataclass(frozen=True, slots=True)
class Source:
    """Which data a report is made from. `number` and `locked_at` are None for data that are not locked.

    `self_test`: of the statistics, just before. `closed`: the part of the monitoring board's report that shows the
    arms to the board alone.
    """

    number: int | None
    locked_at: datetime | None
    software_version: str
    self_test: SelfTest | None = None
    closed: bool = False


class Report:
    """One report in one language: its results, where they come from, and what every section needs of them.

    `names` are the groups' names in the language, study arm first; `level` is the confidence level in per cent.
    """

    def __init__(self, results: Results, source: Source) -> None:
        self.results = results
        self.source = source
        self.protocol = results.protocol
        self.groups = results.groups
        self.names = [_(group.name) for group in results.groups]
        self.level = f"{self.protocol.primary.analysis.confidence * 100:g}"

    def version_name(self) -> str:
        if self.source.number is None:
            return _("data not locked")
        return _("data version %(number)d") % {"number": self.source.number}

    def event(self, code: str) -> str:
        return event_title(self.protocol, code, _)


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
    return "–" if comparison.difference is None else risk_difference(comparison.difference)


_REASONS = {
    Reason.EMPTY_ARM: gettext_noop("nobody in one of the arms"),
    Reason.NO_PATIENTS: gettext_noop("nobody in the group"),
    Reason.ZERO_VARIANCE: gettext_noop("no variance"),
    Reason.NOTHING_OBSERVED: gettext_noop("no evaluable response in an arm with missing ones"),
    Reason.TOO_FEW_GROUPS: gettext_noop("fewer than two subgroups with participants in both arms"),
    Reason.TOO_FEW_IMPUTATIONS: gettext_noop("fewer than two imputed sets"),
    Reason.TOO_LARGE: gettext_noop("too many participants or missing responses to compute it"),
}


def why_not(reason: Reason | None) -> str:
    """ "not estimable: ..." with the reason where it has words."""
    if reason not in _REASONS:
        return _("not estimable")
    return _("not estimable: %(reason)s") % {"reason": _(_REASONS[reason])}


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


def percent_of(estimate: Estimate) -> str:
    return _("not estimable") if estimate.value is None else percent(estimate.value)


def number(estimate: Estimate) -> str:
    if estimate.value is None:
        return _("not reached") if estimate.reason is Reason.NOT_REACHED else _("not estimable")
    return f"{estimate.value:.1f}"


def with_interval(
    middle: Estimate, lower: Estimate, upper: Estimate, words: Callable[[float], str] = lambda value: f"{value:.1f}"
) -> str:
    """An estimate with its limits; a limit that is not reached or not defined is a dash."""
    if middle.value is None:
        return _("not reached") if middle.reason is Reason.NOT_REACHED else _("not estimable")
    ends = ["–" if limit.value is None else words(limit.value) for limit in (lower, upper)]
    return _("%(value)s (%(lower)s to %(upper)s)") % {"value": words(middle.value), "lower": ends[0], "upper": ends[1]}


def share_with_limits(share: Estimate, lower: Estimate, upper: Estimate) -> str:
    """A share of a curve in per cent with its limits; alone where the curve is 0 or 1 and has no limits."""
    if share.value is not None and lower.value is None and upper.value is None:
        return percent(share.value)
    return with_interval(share, lower, upper, percent)


def described(found: Summary) -> str:
    """Median (quartiles; range) of a number in a group, at most one decimal."""
    numbers = (found.median, found.lower_quartile, found.upper_quartile, found.least, found.most)
    middle, lower, upper, least, most = (
        None if each.value is None else f"{round(each.value, 1):g}" for each in numbers
    )
    return f"{middle} ({lower}–{upper}; {least}–{most})" if found.n else _("not estimable")


def mean_sd(found: Summary) -> str:
    """Mean (SD) of a number in a group, one decimal; a dash where one participant has no standard deviation."""
    if found.mean.value is None:
        return _("not estimable")
    return f"{found.mean.value:.1f} (–)" if found.sd.value is None else f"{found.mean.value:.1f} ({found.sd.value:.1f})"


def standardised(estimate: Estimate) -> str:
    """A standardised difference with two decimals and a true minus sign."""
    if estimate.value is None:
        return _("not estimable")
    number = f"{abs(estimate.value):.2f}"
    return f"−{number}" if estimate.value < 0 and float(number) else number


def risk_difference(found: RiskDifferenceCI | None) -> str:
    """A difference of proportions in percentage points with its interval; empty without two groups."""
    if found is None:
        return ""
    if found.estimate.value is None or found.lower.value is None or found.upper.value is None:
        return _("not estimable")
    return _("%(difference)s (%(lower)s to %(upper)s)") % {
        "difference": points(found.estimate.value),
        "lower": points(found.lower.value),
        "upper": points(found.upper.value),
    }


def short_set(which: AnalysisSet) -> str:
    """ "ITT", "PP", ... in the language."""
    return _(_SHORT_SETS[which])


def reading_name(reading: str) -> str:
    """The reading of the response definition in words (D1)."""
    return _(_READING_NAMES[reading])


def method_name(method: str) -> str:
    """The interval of a difference of proportions by its authors."""
    return _(_METHOD_NAMES[DifferenceMethod(method)])
