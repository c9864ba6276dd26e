"""Baseline characteristics of the groups, with standardised differences between them and no test of them."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from patients.models.baseline import Ecog, Escc, Lesion, Neurology, PrimarySite, Sex
from patients.models.pain import AnalgesicStatus
from spinetrial.analysis.groups import Group
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.protocol.model import Protocol
from spinetrial.stats.distributions import z_two_sided
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable
from spinetrial.stats.smd import smd_binary, smd_categorical, smd_continuous
from spinetrial.terminology.scales import SinsClass
from spinetrial.terminology.vertebrae import Region, region

YES, NO = "True", "False"


class Kind(StrEnum):
    """How a characteristic is described, and which standardised difference it has."""

    NUMBER = "number"
    BINARY = "binary"
    CATEGORIES = "categories"


@dataclass(frozen=True, slots=True)
class Summary:
    """A number in one group. `n` with a value, `missing` without; quartiles as R's type 7."""

    n: int
    missing: int
    mean: Estimate
    sd: Estimate
    median: Estimate
    lower_quartile: Estimate
    upper_quartile: Estimate
    least: Estimate
    most: Estimate


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One characteristic in every group.

    `summaries` of a number, one per group; `levels` of the others: stored code and its count per group, in the order
    of the code list, without the levels nobody has. `missing`: participants without a value, per group. `smd` is
    computed among the known, first group minus second; None with a single group.
    """

    code: str
    kind: Kind
    summaries: tuple[Summary, ...]
    levels: tuple[tuple[str, tuple[int, ...]], ...]
    missing: tuple[int, ...]
    smd: Estimate | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Characteristics of all randomised participants in the order of the table; `sizes` of the groups.

    `chance`: the largest difference, either way, that `level` of trials of these sizes show in a number by chance
    alone (normal approximation, SE of a standardised difference of 0 is the root of 1/n1 + 1/n2); None where there
    are not two groups.
    """

    sizes: tuple[int, ...]
    characteristics: tuple[Characteristic, ...]
    level: float
    chance: Estimate | None

    def of(self, code: str) -> Characteristic:
        """A characteristic by its code. Raises KeyError."""
        for each in self.characteristics:
            if each.code == code:
                return each
        raise KeyError(code)


def baseline(protocol: Protocol, groups: Sequence[Group]) -> Baseline:
    """Baseline characteristics of all randomised participants, age at randomisation."""
    found = []
    for code, read_number in _NUMBERS.items():
        found.append(_number(code, [[read_number(row) for row in group.rows] for group in groups]))
    for code, (read, levels) in _CATEGORIES.items():
        kind = Kind.BINARY if len(levels) == 2 else Kind.CATEGORIES
        found.append(_categories(code, kind, levels, [[read(row) for row in group.rows] for group in groups]))
    order = {code: place for place, code in enumerate(ORDER)}
    sizes, level = tuple(len(group.rows) for group in groups), protocol.primary.analysis.confidence
    chance = None
    if len(sizes) == 2:
        if all(sizes):
            chance = known(z_two_sided(level) * math.sqrt(sum(1 / n for n in sizes)))
        else:
            chance = not_estimable(Reason.EMPTY_ARM)
    return Baseline(
        sizes=sizes,
        characteristics=tuple(sorted(found, key=lambda each: order[each.code])),
        level=level,
        chance=chance,
    )


def _number(code: str, values: Sequence[Sequence[float | None]]) -> Characteristic:
    summaries = tuple(summary(each) for each in values)
    smd = None
    if len(summaries) == 2:
        means = [(each.mean.value, each.sd.value) for each in summaries]
        (mean1, sd1), (mean2, sd2) = means
        if mean1 is None or mean2 is None:
            smd = not_estimable(Reason.EMPTY_ARM)
        elif sd1 is None or sd2 is None:
            smd = not_estimable(Reason.NO_STANDARD_DEVIATION)
        else:
            smd = smd_continuous(mean1, sd1, mean2, sd2).smd
    return Characteristic(code, Kind.NUMBER, summaries, (), tuple(each.missing for each in summaries), smd)


def summary(values: Sequence[float | None]) -> Summary:
    """A number described; not estimable without values, and without a standard deviation below two."""
    given = sorted(float(value) for value in values if value is not None)
    missing = len(values) - len(given)
    if not given:
        nothing = not_estimable(Reason.NO_PATIENTS)
        return Summary(0, missing, nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    alone = len(given) == 1
    quartiles = given * 3 if alone else statistics.quantiles(given, n=4, method="inclusive")
    return Summary(
        n=len(given),
        missing=missing,
        mean=known(statistics.fmean(given)),
        sd=not_estimable(Reason.NO_STANDARD_DEVIATION) if alone else known(statistics.stdev(given)),
        median=known(quartiles[1]),
        lower_quartile=known(quartiles[0]),
        upper_quartile=known(quartiles[2]),
        least=known(given[0]),
        most=known(given[-1]),
    )


def _categories(code: str, kind: Kind, levels: Sequence[str], values: Sequence[Sequence[str]]) -> Characteristic:
    counted = [Counter(each) for each in values]
    missing = tuple(sum(count.values()) - sum(count[level] for level in levels) for count in counted)
    smd = None
    if len(counted) == 2:
        one, other = ([count[level] for level in levels] for count in counted)
        if kind is Kind.BINARY:
            smd = smd_binary(one[0], sum(one), other[0], sum(other)).smd
        else:
            smd = smd_categorical(one, other).smd
    table = ((level, tuple(count[level] for count in counted)) for level in levels)
    return Characteristic(code, kind, (), tuple(row for row in table if any(row[1])), missing, smd)


def _trait(name: str) -> Callable[[AnalysisRow], str]:
    return lambda row: row.trait(name)


def _trait_number(name: str) -> Callable[[AnalysisRow], float | None]:
    return lambda row: float(row.trait(name)) if row.trait(name) else None


def _yes(answer: bool | None) -> str:
    return "" if answer is None else YES if answer else NO


_NUMBERS: dict[str, Callable[[AnalysisRow], float | None]] = {
    "age": lambda row: row.age,
    "kps": _trait_number("kps"),
    "years_ill": _trait_number("years_ill"),
    "metastases": _trait_number("metastases"),
    "sins": _trait_number("sins"),
    "nrs": lambda row: row.nrs,
    "omed": lambda row: None if row.omed is None else float(row.omed),
}

_TAKEN: dict[str, str] = {AnalgesicStatus.SOME.value: YES, AnalgesicStatus.NONE.value: NO}

#: Reading and levels in order. Of a binary one the first level is counted by the standardised difference.
_CATEGORIES: dict[str, tuple[Callable[[AnalysisRow], str], tuple[str, ...]]] = {
    "sex": (_trait("sex"), tuple(Sex.values)),
    "primary_site": (_trait("primary_site"), tuple(PrimarySite.values)),
    "visceral": (_trait("visceral"), (YES, NO)),
    "ecog": (_trait("ecog"), tuple(str(value) for value in Ecog.values)),
    "neurology": (_trait("neurology"), tuple(Neurology.values)),
    "region": (
        lambda row: region(row.trait("index_level")).value if row.trait("index_level") else "",
        tuple(each.value for each in Region),
    ),
    "lesion": (_trait("lesion"), tuple(Lesion.values)),
    "fracture": (_trait("fracture"), (YES, NO)),
    "escc": (_trait("escc"), tuple(Escc.values)),
    "stability": (_trait("stability"), tuple(each.value for each in SinsClass)),
    "analgesics": (lambda row: _TAKEN.get(row.trait("analgesics"), ""), (YES, NO)),
    "opioid": (lambda row: _yes(None if row.omed is None else row.omed > 0), (YES, NO)),
}

#: Order of the table: the person, the tumour, the index site, pain.
ORDER = (
    "age", "sex", "ecog", "kps",
    "primary_site", "years_ill", "visceral", "metastases",
    "region", "lesion", "fracture", "escc", "sins", "stability", "neurology",
    "nrs", "analgesics", "opioid", "omed",
)  # fmt: skip
