"""The primary response in subgroups: differences with intervals, and a test of interaction per factor.

Exploratory: nothing here is corrected for multiplicity and nothing supports a claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from followup.response import Reading
from patients.models.baseline import Escc, PrimarySite, Sex
from spinetrial.analysis.groups import Group
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.stats.homogeneity import DifferenceHomogeneity, difference_homogeneity
from spinetrial.stats.risk_difference import DifferenceMethod, RiskDifferenceCI, risk_difference_ci
from spinetrial.stats.tables import Stratum
from spinetrial.terminology.vertebrae import REGION_LABELS, Region, region

#: Level of a patient for whom the characteristic is not recorded; shown, but not part of the test.
UNKNOWN = ""
#: Sites shown one by one, the largest first; the others are one row.
SITES_SHOWN = 10
OTHER_SITES = "*"


@dataclass(frozen=True, slots=True)
class Factor:
    """A baseline characteristic that makes subgroups. `levels`: code and words in the order shown, none for sites.

    `read` gives the level of a row, UNKNOWN where it is not recorded; `why` is the reason for looking.
    """

    code: str
    label: str
    why: str
    levels: tuple[tuple[str, str], ...]
    read: Callable[[AnalysisRow], str]


@dataclass(frozen=True, slots=True)
class SubgroupRow:
    """One level. `word` is translated unless it is a site's code; counts are responders and patients per arm."""

    level: str
    word: str
    x1: int
    n1: int
    x0: int
    n0: int
    difference: RiskDifferenceCI


@dataclass(frozen=True, slots=True)
class Subgroups:
    """The levels of one factor with the test of interaction."""

    code: str
    label: str
    why: str
    rows: tuple[SubgroupRow, ...]
    interaction: DifferenceHomogeneity


def _cut(value: int | None, limit: int) -> str:
    return UNKNOWN if value is None else "high" if value >= limit else "low"


def _in(code: str, inside: frozenset[str]) -> str:
    return UNKNOWN if not code else "in" if code in inside else "out"


_AGE_LIMIT = 65
_SEVERE_PAIN = 7

#: Our assumption: the published protocol names no subgroups. These were fixed before any data of the trial were seen.
#: Each is a baseline value, so no subgroup can be a consequence of the treatment.
FACTORS: tuple[Factor, ...] = (
    Factor("site", _("Study site"), _("stratum of the randomisation"), (), lambda row: row.site),
    Factor(
        "sex", _("Sex"), _("usual in every trial"), ((Sex.FEMALE.value, _("Female")), (Sex.MALE.value, _("Male"))),
        lambda row: row.trait("sex"),
    ),
    Factor(
        "age", _("Age"), _("usual in every trial"), (("low", _("Under 65 years")), ("high", _("65 years or older"))),
        lambda row: _cut(row.age, _AGE_LIMIT),
    ),
    Factor(
        "primary", _("Primary tumour"), _("breast and prostate metastases respond more often"),
        (("in", _("Breast or prostate")), ("out", _("Any other"))),
        lambda row: _in(row.trait("primary_site"), frozenset({PrimarySite.BREAST.value, PrimarySite.PROSTATE.value})),
    ),
    Factor(
        "ecog", _("ECOG performance status"), _("general condition"), (("0", _("ECOG 0")), ("1", _("ECOG 1 or more"))),
        lambda row: {"": UNKNOWN, "0": "0"}.get(row.trait("ecog"), "1"),
    ),
    Factor(
        "pain", _("Worst pain at baseline"), _("severe pain has further to fall"),
        (("low", _("NRS under 7")), ("high", _("NRS 7 or more"))), lambda row: _cut(row.nrs, _SEVERE_PAIN),
    ),
    Factor(
        "opioid", _("Opioid at baseline"), _("without one no dose can fall (D6)"),
        (("yes", _("Opioid taken")), ("no", _("No opioid"))),
        lambda row: UNKNOWN if row.omed is None else "yes" if row.omed > 0 else "no",
    ),
    Factor(
        "escc", _("Epidural compression"), _("tumour beyond the bone lies at the edge of a smaller target"),
        (("out", _("ESCC 0: bone only")), ("in", _("ESCC 1a or more"))),
        lambda row: _in(row.trait("escc"), frozenset(Escc.values) - {Escc.BONE.value}),
    ),
    Factor(
        "region", _("Location of the index site"), _("load on the vertebra (classes of SINS)"),
        tuple((each.value, REGION_LABELS[each]) for each in Region),
        lambda row: region(row.trait("index_level")).value if row.trait("index_level") else UNKNOWN,
    ),
)  # fmt: skip

_WORD_UNKNOWN = _("Not recorded")
_WORD_OTHER_SITES = _("Other sites")


def subgroups(protocol: Protocol, groups: Sequence[Group]) -> tuple[Subgroups, ...]:
    """Every factor with the levels that have patients, by the protocol's interval, in the ITT set (D7)."""
    study, control = groups
    return tuple(_subgroups(protocol, study, control, factor) for factor in FACTORS)


def _subgroups(protocol: Protocol, study: Group, control: Group, factor: Factor) -> Subgroups:
    visit, reading = protocol.primary.timepoint.visit, Reading(protocol.response.reading)
    analysis = protocol.primary.analysis
    read, levels = factor.read, factor.levels
    if not levels:
        read, levels = _by_site((*study.rows, *control.rows), factor)
    tallies: list[tuple[Counter[str], Counter[str]]] = []
    for group in (study, control):
        total, good = Counter[str](), Counter[str]()
        for row in group.rows:
            level = read(row)
            total[level] += 1
            good[level] += row.response(visit).responder(reading, protocol)
        tallies.append((good, total))
    (x1, n1), (x0, n0) = tallies
    rows = tuple(
        SubgroupRow(
            level, word, x1[level], n1[level], x0[level], n0[level],
            risk_difference_ci(
                x1[level], n1[level], x0[level], n0[level], DifferenceMethod(analysis.method), analysis.confidence
            ),
        )
        for level, word in (*levels, (UNKNOWN, _WORD_UNKNOWN))
        if n1[level] + n0[level]
    )  # fmt: skip
    return Subgroups(
        code=factor.code,
        label=factor.label,
        why=factor.why,
        rows=rows,
        interaction=difference_homogeneity(
            [Stratum(row.x1, row.n1, row.x0, row.n0) for row in rows if row.level != UNKNOWN]
        ),
    )


def _by_site(
    rows: Sequence[AnalysisRow], factor: Factor
) -> tuple[Callable[[AnalysisRow], str], tuple[tuple[str, str], ...]]:
    """How to read the site, and the sites in the order of their codes; small ones of many sites are one level."""
    sizes = Counter(factor.read(row) for row in rows)
    if len(sizes) <= SITES_SHOWN:
        return factor.read, tuple((site, site) for site in sorted(sizes))
    shown = sorted(sorted(sizes, key=lambda site: (-sizes[site], site))[: SITES_SHOWN - 1])

    def read(row: AnalysisRow) -> str:
        site = factor.read(row)
        return site if site in shown else OTHER_SITES

    return read, (*((site, site) for site in shown), (OTHER_SITES, _WORD_OTHER_SITES))
