"""Missing primary responses: imputed many times, and every way to fill them in.

Only a response that is unknown is touched (`VisitResponse.missing`); death, retreatment and baseline pain 0 stay the
failures the protocol makes them (D7, D16). All in the ITT set.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from followup.response import Category, Reading
from spinetrial.analysis.groups import Group
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.protocol.model import Protocol
from spinetrial.stats.estimate import Reason
from spinetrial.stats.imputation import ImputedDifference, imputed_difference
from spinetrial.stats.missing import TippingPoint, tipping_point
from spinetrial.stats.noninferiority import NonInferiorityMethod

#: Imputed sets; D16 asks for multiple imputation without a number, 50 are the least that is usual.
IMPUTATIONS = 100
#: The registration number of the trial: fixed before any data, printed in the report.
IMPUTATION_SEED = 1900023401
#: A site with fewer evaluable responses has no term of its own in the imputation model.
SITE_MINIMUM = 5
#: Ways to fill in beyond which the grid is not computed: 200 missing per arm are 40,401.
MAX_FILLINGS = 65_000


@dataclass(frozen=True, slots=True)
class Imputation:
    """The difference over imputed sets. `pooled_sites` have one term together, `site_terms` counts the site terms.

    `baseline_filled` patients lack baseline pain or OMED; the median of the others stands in for it.
    """

    code: str
    label: str
    result: ImputedDifference
    earlier: tuple[str, ...]
    site_terms: int
    pooled_sites: tuple[str, ...]
    baseline_filled: int


@dataclass(frozen=True, slots=True)
class Border:
    """For `study` responders among the study arm's missing: the most of the control arm's that are still non-inferior.

    None where not even 0 of them are.
    """

    study: int
    control: int | None


@dataclass(frozen=True, slots=True)
class Tipping:
    """The tipping-point grid. `grid` is None where it is not computed, with the `reason`.

    `observed` is the cell (study, control) in which the missing respond as often as the evaluable of their arm do, to
    the nearest whole patient; None where an arm has nobody evaluable. `non_inferior[i][j]` is the decision at alpha.
    """

    code: str
    label: str
    missing1: int
    missing0: int
    grid: TippingPoint | None
    reason: Reason | None
    non_inferior: tuple[tuple[bool, ...], ...]
    border: tuple[Border, ...]
    observed: tuple[int, int] | None


def imputed(protocol: Protocol, groups: Sequence[Group], code: str, label: str) -> Imputation:
    """Multiple imputation of the missing primary responses of the study arm and the control arm.

    The model holds arm, baseline pain, log(OMED + 1), the response at each earlier visit (responder, no response, not
    evaluable) and site; it is fitted to the evaluable patients of both arms together.
    """
    study, control = groups
    rows = [(row, group is study) for group in (study, control) for row in group.rows]
    visit, reading = protocol.primary.timepoint.visit, Reading(protocol.response.reading)
    responses = [row.response(visit) for row, _study in rows]
    evaluable = [response.category(reading) is not Category.NE for response in responses]
    earlier = _earlier(protocol, [row for row, _study in rows])
    sites, pooled = _sites([row for row, _study in rows], evaluable)
    pain = _filled([None if row.nrs is None else float(row.nrs) for row, _study in rows])
    dose = _filled([None if row.omed is None else math.log(float(row.omed) + 1) for row, _study in rows])
    covariates = []
    for place, (row, _study) in enumerate(rows):
        columns = [pain[place], dose[place]]
        for before in earlier:
            response = row.response(before)
            columns += [
                float(response.responder(reading, protocol)),
                float(response.category(reading) is Category.NE),
            ]
        # The first site is the one the others are compared with.
        columns += [float(sites[place] == site) for site in sorted(set(sites))[1:]]
        covariates.append(columns)
    result = imputed_difference(
        [response.responder(reading, protocol) for response in responses],
        [response.missing for response in responses],
        evaluable,
        [is_study for _row, is_study in rows],
        covariates,
        imputations=IMPUTATIONS,
        seed=IMPUTATION_SEED,
        margin=protocol.primary.hypothesis.margin,
        level=protocol.primary.analysis.confidence,
    )
    return Imputation(
        code=code,
        label=label,
        result=result,
        earlier=earlier,
        site_terms=max(len(set(sites)) - 1, 0),
        pooled_sites=pooled,
        baseline_filled=sum(row.nrs is None or row.omed is None for row, _study in rows),
    )


def _earlier(protocol: Protocol, rows: Sequence[AnalysisRow]) -> tuple[str, ...]:
    """Visits of the analysis before the primary one, in the order of the schedule."""
    visits = [response.visit for response in rows[0].visits] if rows else []
    return tuple(visits[: visits.index(protocol.primary.timepoint.visit)]) if visits else ()


def _sites(rows: Sequence[AnalysisRow], evaluable: Sequence[bool]) -> tuple[list[str], tuple[str, ...]]:
    """The site of each patient with sparse sites under one name, and the sites merged.

    When the merged ones are still too few they join the largest site, whose name then stands for all of them.
    """
    seen = Counter(row.site for row, known in zip(rows, evaluable, strict=True) if known)
    sparse = tuple(sorted({row.site for row in rows if seen[row.site] < SITE_MINIMUM}))
    if not sparse:
        return [row.site for row in rows], ()
    largest = min(seen, key=lambda site: (-seen[site], site), default="")
    others = "" if sum(seen[site] for site in sparse) >= SITE_MINIMUM else largest
    return [others if row.site in sparse else row.site for row in rows], sparse


def _filled(values: Sequence[float | None]) -> list[float]:
    """The values with the median of the known ones where there is none; 0 where nobody's is known."""
    known = [value for value in values if value is not None]
    middle = statistics.median(known) if known else 0.0
    return [middle if value is None else value for value in values]


def tipping(protocol: Protocol, groups: Sequence[Group], code: str, label: str) -> Tipping:
    """Non-inferiority by the protocol's method for every number of responders among the missing of each arm."""
    visit, reading = protocol.primary.timepoint.visit, Reading(protocol.response.reading)
    counts, rates = [], []
    for group in groups:
        responses = [row.response(visit) for row in group.rows]
        missing = sum(response.missing for response in responses)
        responders = sum(response.responder(reading, protocol) for response in responses)
        evaluable = sum(response.category(reading) is not Category.NE for response in responses)
        counts.append((responders, len(responses) - missing, missing))
        rates.append(responders / evaluable if evaluable else None)
    (x1, known1, missing1), (x0, known0, missing0) = counts

    def without(reason: Reason) -> Tipping:
        return Tipping(code, label, missing1, missing0, None, reason, (), (), None)

    if not known1 + missing1 or not known0 + missing0:
        return without(Reason.EMPTY_ARM)
    if (missing1 + 1) * (missing0 + 1) > MAX_FILLINGS:
        return without(Reason.TOO_LARGE)
    hypothesis = protocol.primary.hypothesis
    grid = tipping_point(
        x1, known1, missing1, x0, known0, missing0, hypothesis.margin, hypothesis.alpha,
        NonInferiorityMethod(protocol.primary.analysis.method),
    )  # fmt: skip
    decided = tuple(tuple(cell.value is not None and cell.value <= hypothesis.alpha for cell in row) for row in grid.p)
    observed = None
    if rates[0] is not None and rates[1] is not None:
        observed = (_nearest(rates[0] * missing1), _nearest(rates[1] * missing0))
    return Tipping(
        code=code,
        label=label,
        missing1=missing1,
        missing0=missing0,
        grid=grid,
        reason=None,
        non_inferior=decided,
        border=tuple(
            Border(study, max((j for j, claimed in enumerate(row) if claimed), default=None))
            for study, row in enumerate(decided)
        ),
        observed=observed,
    )


def _nearest(value: float) -> int:
    """Halves go up; Python's `round` would send them to the even number."""
    return math.floor(value + 0.5)
