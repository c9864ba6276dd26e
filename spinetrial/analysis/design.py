"""Sample size and power of the primary comparison for the numbers of a plan. No data of the trial enter.

What the protocol fixed (rates, margin, alpha, loss) is where a plan starts from: `planned(protocol)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinetrial.protocol.model import Protocol
from spinetrial.stats.design import (
    Boundary,
    ClassicalBoundary,
    ExactTest,
    Inflated,
    NonInferioritySize,
    PlanningVariance,
    Power,
    SpendingFunction,
    classical_boundary,
    exact_noninferiority_powers,
    inflate_for_loss,
    lan_demets_boundary,
    largest_noninferiority_error,
    noninferiority_power,
    noninferiority_size,
    responders_needed,
)
from spinetrial.stats.estimate import Estimate, Reason, not_estimable
from spinetrial.stats.risk_difference import DifferenceMethod
from spinetrial.stats.trial_simulation import TrialScenario

#: Patients per arm up to which outcomes are enumerated while somebody waits for the page.
MOST_EXACT = 200

#: Rate pairs of the grid: true rates of the control arm, and how much better the study arm truly is.
GRID_CONTROL = (0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90)
GRID_DIFFERENCE = (-0.05, 0.0, 0.05, 0.10, 0.15, 0.20)

#: Lines of the figure and how finely they are drawn.
CURVE_CONTROL = (0.50, 0.60, 0.70, 0.80, 0.90)
CURVE_STEPS = 50

#: The power that sample sizes are usually asked for; the protocol's own (D17) was reached by rounding up.
USUAL_POWER = 0.80

TESTS = (ExactTest.MIETTINEN_NURMINEN, ExactTest.FARRINGTON_MANNING, ExactTest.WALD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Numbers of a plan; all rates, margin, power and loss as proportions, `alpha` one-sided."""

    study: float
    control: float
    margin: float
    alpha: float
    power: float
    loss: float
    n_per_arm: int


@dataclass(frozen=True, slots=True)
class SizeByMethod:
    """Sample size by one approximation, with what it becomes once the loss is allowed for."""

    size: NonInferioritySize
    total: int | None
    inflated: Inflated | None


@dataclass(frozen=True, slots=True)
class ExactByTest:
    """One exact test: power at the plan's rates, real error where p1 - p0 = margin.

    `error` is at the plan's control rate, None where no study rate lies so far below it; `largest_error` over all.
    """

    test: ExactTest
    power: Estimate
    error: Estimate | None
    largest_error: Estimate


@dataclass(frozen=True, slots=True)
class EqualRates:
    """Power where both arms truly have `rate`, and the size per arm that `USUAL_POWER` would need there.

    `needed_power`: exact power at that size (Miettinen-Nurminen), not estimable above `MOST_EXACT`.
    """

    rate: float
    mn: Estimate
    fm: Estimate
    needed: Estimate
    needed_power: Estimate


@dataclass(frozen=True, slots=True)
class PowerGrid:
    """Exact power: a row per control rate, a column per difference; None where the study rate would exceed 100 %."""

    test: ExactTest
    controls: tuple[float, ...]
    differences: tuple[float, ...]
    rows: tuple[tuple[Estimate | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Power at one control rate: points (difference, power)."""

    control: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Design:
    """Everything the page of sample size and power shows for a plan."""

    plan: Plan
    sizes: tuple[SizeByMethod, ...]
    approximate: tuple[Power, ...]
    inflated: Inflated
    exact: tuple[ExactByTest, ...]
    equal: tuple[EqualRates, ...]
    grid: PowerGrid
    curves: tuple[Curve, ...]
    needed: tuple[int | None, ...]

    def size(self, method: PlanningVariance) -> SizeByMethod:
        return next(each for each in self.sizes if each.size.method is method)


def planned(protocol: Protocol) -> Plan:
    """The plan behind the protocol's number of participants (D17)."""
    assumed, hypothesis = protocol.assumed_rates, protocol.primary.hypothesis
    return Plan(
        study=assumed.study,
        control=assumed.control,
        margin=hypothesis.margin,
        alpha=hypothesis.alpha,
        power=USUAL_POWER,
        loss=assumed.added_for_loss,
        n_per_arm=assumed.evaluable_per_arm,
    )


def design(plan: Plan, equal_rates: Sequence[float]) -> Design:
    """All of it for one plan; `equal_rates` are the protocol's. Raises ValueError for numbers out of range."""
    n, margin, alpha = plan.n_per_arm, plan.margin, plan.alpha

    def powers(pairs: Sequence[tuple[float, float]], test: ExactTest, size: int = n) -> tuple[Estimate, ...]:
        return exact_noninferiority_powers(pairs, size, size, margin, alpha, test)

    on_margin = [(plan.control + margin, plan.control)] if plan.control + margin >= -1e-12 else []
    on_margin = [(max(study, 0.0), control) for study, control in on_margin]
    exact = []
    for test in TESTS:
        power, *error = powers([(plan.study, plan.control), *on_margin], test)
        largest = largest_noninferiority_error(n, n, margin, alpha, test)
        exact.append(ExactByTest(test, power, error[0] if error else None, largest))
    pairs = [(rate, rate) for rate in equal_rates]
    equal = []
    for rate, mn, fm in zip(
        equal_rates, powers(pairs, ExactTest.MIETTINEN_NURMINEN), powers(pairs, ExactTest.FARRINGTON_MANNING),
        strict=True,
    ):  # fmt: skip
        needed = noninferiority_size(
            rate, rate, margin, alpha, USUAL_POWER, PlanningVariance.FARRINGTON_MANNING
        ).n_per_arm
        reached = not_estimable(Reason.TOO_LARGE if needed.value is not None else Reason.NO_SOLUTION)
        if needed.value is not None and needed.value <= MOST_EXACT:
            (reached,) = powers([(rate, rate)], ExactTest.MIETTINEN_NURMINEN, int(needed.value))
        equal.append(EqualRates(rate, mn, fm, needed, reached))
    region = responders_needed(n, n, margin, alpha, ExactTest.MIETTINEN_NURMINEN)
    return Design(
        plan=plan,
        sizes=tuple(_size(plan, method) for method in PlanningVariance),
        approximate=tuple(
            noninferiority_power(plan.study, plan.control, n, margin, alpha, method) for method in PlanningVariance
        ),
        inflated=inflate_for_loss(n, plan.loss),
        exact=tuple(exact),
        equal=tuple(equal),
        grid=_grid(plan),
        curves=_curves(plan),
        needed=() if isinstance(region, Reason) else region,
    )


def _size(plan: Plan, method: PlanningVariance) -> SizeByMethod:
    size = noninferiority_size(plan.study, plan.control, plan.margin, plan.alpha, plan.power, method)
    if size.n_per_arm.value is None:
        return SizeByMethod(size, None, None)
    n = int(size.n_per_arm.value)
    return SizeByMethod(size, 2 * n, inflate_for_loss(n, plan.loss))


def _grid(plan: Plan) -> PowerGrid:
    cells = [[_pair(control, difference) for difference in GRID_DIFFERENCE] for control in GRID_CONTROL]
    powers = iter(_mn_powers(plan, [pair for row in cells for pair in row if pair is not None]))
    rows = tuple(tuple(None if pair is None else next(powers) for pair in row) for row in cells)
    return PowerGrid(ExactTest.MIETTINEN_NURMINEN, GRID_CONTROL, GRID_DIFFERENCE, rows)


def _curves(plan: Plan) -> tuple[Curve, ...]:
    low, high = GRID_DIFFERENCE[0], GRID_DIFFERENCE[-1]
    differences = [low + (high - low) * step / CURVE_STEPS for step in range(CURVE_STEPS + 1)]
    at = [
        (control, difference, pair)
        for control in CURVE_CONTROL
        for difference in differences
        if (pair := _pair(control, difference)) is not None
    ]
    powers = _mn_powers(plan, [pair for _control, _difference, pair in at])
    points: dict[float, list[tuple[float, float]]] = {control: [] for control in CURVE_CONTROL}
    for (control, difference, _p), power in zip(at, powers, strict=True):
        if power.value is not None:
            points[control].append((difference, power.value))
    return tuple(Curve(control, tuple(found)) for control, found in points.items())


def _pair(control: float, difference: float) -> tuple[float, float] | None:
    study = round(control + difference, 10)
    return (study, control) if 0 <= study <= 1 else None


def _mn_powers(plan: Plan, pairs: Sequence[tuple[float, float]]) -> tuple[Estimate, ...]:
    n = plan.n_per_arm
    return exact_noninferiority_powers(pairs, n, n, plan.margin, plan.alpha, ExactTest.MIETTINEN_NURMINEN)


@dataclass(frozen=True, slots=True)
class Interim:
    """Boundaries for looks at the information fractions given, and of as many equally spaced looks."""

    spending: tuple[Boundary, ...]
    classical: tuple[Boundary, ...]


def interim(information: Sequence[float], alpha: float) -> Interim:
    """Efficacy boundaries by spending function and by classical shape. Raises ValueError as `lan_demets_boundary`."""
    return Interim(
        spending=tuple(lan_demets_boundary(information, shape, alpha) for shape in SpendingFunction),
        classical=tuple(classical_boundary(len(information), shape, alpha) for shape in ClassicalBoundary),
    )


def scenario(
    protocol: Protocol,
    *,
    participants: int,
    sites: int,
    study: float,
    control: float,
    death: float,
    study_missing: float,
    control_missing: float,
    study_deviation: float,
    control_deviation: float,
) -> TrialScenario:
    """What a simulated trial takes for true, under the protocol's margin, level, method and blocks."""
    analysis = protocol.primary.analysis
    return TrialScenario(
        participants=participants,
        sites=sites,
        block_sizes=protocol.allocation.block_sizes,
        study_rate=study,
        control_rate=control,
        death=death,
        study_missing=study_missing,
        control_missing=control_missing,
        study_deviation=study_deviation,
        control_deviation=control_deviation,
        margin=protocol.primary.hypothesis.margin,
        level=analysis.confidence,
        method=DifferenceMethod(analysis.method),
    )


def exact_itt_power(found: TrialScenario) -> Estimate:
    """Exact power of the ITT comparison alone, with arms of equal size: what the simulation must come near to."""
    n1 = found.participants - found.participants // 2
    n0 = found.participants // 2
    alive = 1 - found.death
    pair = (
        alive * found.study_rate * (1 - found.study_missing),
        alive * found.control_rate * (1 - found.control_missing),
    )
    test = ExactTest(found.method.value)
    (power,) = exact_noninferiority_powers([pair], n1, n0, found.margin, (1 - found.level) / 2, test)
    return power
