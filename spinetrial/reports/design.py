"""The page of sample size and power in words, tables and a figure: the same blocks a report is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from spinetrial.analysis.design import (
    GRID_DIFFERENCE,
    MOST_EXACT,
    USUAL_POWER,
    Design,
    EqualRates,
    Interim,
    Plan,
    SizeByMethod,
    exact_itt_power,
    planned,
)
from spinetrial.analysis.primary import CONCLUSION_LABELS, Conclusion
from spinetrial.protocol.model import Protocol
from spinetrial.reports.document import Block, Facts, Figure, Grid, Paragraph
from spinetrial.reports.figures.power import PowerLine, power_plot
from spinetrial.reports.writing import percent, percent_of, points
from spinetrial.stats.design import (
    Boundary,
    ClassicalBoundary,
    ExactTest,
    NonInferioritySize,
    PlanningVariance,
    SpendingFunction,
    inflate_for_loss,
    noninferiority_power,
    noninferiority_size,
)
from spinetrial.stats.estimate import Estimate, Reason
from spinetrial.stats.trial_simulation import SetTally, SimulatedTrials, TrialScenario, monte_carlo

_VARIANCES = {
    PlanningVariance.UNPOOLED: gettext_noop("Unpooled variance"),
    PlanningVariance.POOLED: gettext_noop("Pooled variance"),
    PlanningVariance.FARRINGTON_MANNING: gettext_noop("Farrington-Manning variance"),
}

_TESTS = {
    ExactTest.MIETTINEN_NURMINEN: gettext_noop("Miettinen-Nurminen test"),
    ExactTest.FARRINGTON_MANNING: gettext_noop("Farrington-Manning test"),
    ExactTest.WALD: gettext_noop("Wald test"),
}

_SPENDING = {
    SpendingFunction.OBRIEN_FLEMING: gettext_noop("Lan-DeMets, O'Brien-Fleming type"),
    SpendingFunction.POCOCK: gettext_noop("Lan-DeMets, Pocock type"),
}

_CLASSICAL = {
    ClassicalBoundary.OBRIEN_FLEMING: gettext_noop("Classical O'Brien-Fleming"),
    ClassicalBoundary.POCOCK: gettext_noop("Classical Pocock"),
}

#: Rows of the table of responders; a longer one shows every second, third ... number.
_MOST_ROWS = 61


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Whether the formulas of this program give the protocol's own sample size and power."""

    agrees: bool
    text: str


def reproduction(protocol: Protocol) -> Reproduction:
    """The protocol's numbers recomputed from its assumptions (D17), whatever is entered on the page."""
    plan, assumed, total = planned(protocol), protocol.assumed_rates, protocol.sample_size.total
    method = PlanningVariance.POOLED
    size = noninferiority_size(plan.study, plan.control, plan.margin, plan.alpha, plan.power, method).n_per_arm
    n = plan.n_per_arm
    power = noninferiority_power(plan.study, plan.control, n, plan.margin, plan.alpha, method).power
    inflated = inflate_for_loss(n, plan.loss)
    agrees = (
        size.value == n
        and power.value is not None
        and abs(power.value - assumed.power) < 0.0005
        and inflated.multiply == total
    )
    numbers = {
        "study": percent(plan.study),
        "control": percent(plan.control),
        "margin": points(plan.margin),
        "alpha": f"{plan.alpha:g}",
        "target": percent(plan.power),
        "size": "–" if size.value is None else f"{size.value:.0f}",
        "n": n,
        "power": "–" if power.value is None else f"{power.value:.3f}",
        "both": 2 * n,
        "factor": f"{1 + plan.loss:g}",
        "total": inflated.multiply,
        "planned_total": total,
        "planned_power": f"{assumed.power:.3f}",
        "left": f"{total * (1 - plan.loss):.1f}",
        "loss": percent(plan.loss),
        "divided": inflated.divide,
    }
    if not agrees:
        return Reproduction(
            False,
            _(
                "This does not reproduce the protocol: %(study)s against %(control)s with margin %(margin)s points "
                "gives %(size)s per arm, a power of %(power)s with %(n)s per arm and %(total)s in total. The protocol "
                "says %(planned_power)s and %(planned_total)s."
            )
            % numbers,
        )
    return Reproduction(
        True,
        _(
            "This reproduces the protocol. True response rates of %(study)s (study arm) and %(control)s (control arm), "
            "a margin of %(margin)s points, a one-sided alpha of %(alpha)s and a power of %(target)s need %(size)s "
            "evaluable participants per arm (normal approximation, pooled variance); the power with %(n)s per arm is "
            "%(power)s. With %(loss)s added for loss, %(both)s × %(factor)s = %(total)s. The protocol multiplied: if "
            "%(loss)s of %(total)s are lost, %(left)s are left, slightly fewer than %(both)s. Dividing by the share "
            "that stays would give %(divided)s."
        )
        % numbers,
    )


def size_blocks(found: Design) -> Iterator[Block]:
    """Sample size by the three approximations."""
    plan = found.plan
    yield Grid(
        _("Sample size for a power of %(power)s") % {"power": percent(plan.power)},
        (
            _("Normal approximation"),
            _("Per arm, before rounding"),
            _("Per arm"),
            _("Both arms"),
            _("With loss: multiplied"),
            _("With loss: divided"),
        ),
        tuple(_size_row(each) for each in found.sizes),
        (2.4, 1.4, 1, 1, 1.2, 1.2),
        notes=(
            _(
                "True rates %(study)s (study) and %(control)s (control), margin %(margin)s points, one-sided alpha "
                "%(alpha)s. The methods differ in the variance under the null hypothesis. Multiplied: total × (1 + "
                "loss), the protocol's way. Divided: n / (1 − loss) per arm, which keeps the number per arm after the "
                "loss of %(loss)s."
            )
            % _plan_words(plan),
        ),
    )


def _size_row(each: SizeByMethod) -> tuple[str, ...]:
    method = _(_VARIANCES[each.size.method])
    match each.size:
        case NonInferioritySize(raw=Estimate(value=float(raw)), n_per_arm=Estimate(value=float(n))) if each.inflated:
            inflated = each.inflated
            return method, f"{raw:.2f}", f"{n:.0f}", str(each.total), str(inflated.multiply), str(inflated.divide)
        case NonInferioritySize(n_per_arm=Estimate(reason=Reason.NO_SOLUTION)):
            return method, _("no size is enough"), "–", "–", "–", "–"
    return method, _("not estimable"), "–", "–", "–", "–"


def _plan_words(plan: Plan) -> dict[str, str]:
    return {
        "study": percent(plan.study),
        "control": percent(plan.control),
        "margin": points(plan.margin),
        "alpha": f"{plan.alpha:g}",
        "loss": percent(plan.loss),
        "n": str(plan.n_per_arm),
    }


def power_blocks(found: Design) -> Iterator[Block]:
    """Power with the number per arm entered, approximate and exact, and the real error rate."""
    plan = found.plan
    rows = [(_("Normal approximation"), "", "", "")]
    rows += [
        (f"  {_(_VARIANCES[PlanningVariance(each.method)])}", percent_of(each.power), "–", "–")
        for each in found.approximate
    ]
    rows.append((_("Exact enumeration"), "", "", ""))
    for exact in found.exact:
        error = "–" if exact.error is None else _error(exact.error)
        rows.append((f"  {_(_TESTS[exact.test])}", percent_of(exact.power), error, _error(exact.largest_error)))
    words = _plan_words(plan)
    yield Grid(
        _("Power and real error rate with %(n)s evaluable participants per arm") % words,
        (
            _("Method"),
            _("Power"),
            _("Error on the margin, control rate %(control)s") % words,
            _("Largest error on the margin"),
        ),
        tuple(rows),
        (2.6, 1, 1.6, 1.4),
        notes=(
            _(
                "Power: probability to declare non-inferiority at true rates of %(study)s (study) and %(control)s "
                "(control). Error: the same probability where the study arm is truly worse by exactly the margin of "
                "%(margin)s points; it should not exceed the one-sided alpha of %(alpha)s. Exact enumeration sums over "
                "all outcomes of two binomial arms. The Wald test counts an outcome without variance as its difference "
                "says. The protocol's analysis is the Miettinen-Nurminen interval."
            )
            % words,
        ),
        groups=frozenset({0, 4}),
    )


def _error(estimate: Estimate) -> str:
    return _("not estimable") if estimate.value is None else f"{estimate.value:.4f}"


def equal_statement(found: Design) -> str:
    """What power the trial has where the arms are truly equal, in one or two sentences; by the test of D17."""
    known = [each.fm.value for each in found.equal if each.fm.value is not None]
    needed = [each.needed.value for each in found.equal if each.needed.value is not None]
    if not known or not needed:
        return _("The power at equal true rates is not estimable for these numbers.")
    rates = [each.rate for each in found.equal]
    words = {
        "first": percent(min(rates)),
        "last": percent(max(rates)),
        "n": found.plan.n_per_arm,
        "low": percent(min(known)),
        "high": percent(max(known)),
        "target": percent(USUAL_POWER),
        "fewest": f"{min(needed):.0f}",
        "most": f"{max(needed):.0f}",
    }
    if max(known) < USUAL_POWER:
        return (
            _(
                "If both arms truly have the same response rate, between %(first)s and %(last)s, %(n)s evaluable "
                "participants per arm have a power of only %(low)s to %(high)s to show non-inferiority (exact, "
                "Farrington-Manning test). A power of %(target)s would need about %(fewest)s to %(most)s per arm there."
            )
            % words
        )
    return (
        _(
            "If both arms truly have the same response rate, between %(first)s and %(last)s, %(n)s evaluable "
            "participants per arm have a power of %(low)s to %(high)s to show non-inferiority (exact, "
            "Farrington-Manning test)."
        )
        % words
    )


def equal_blocks(found: Design) -> Iterator[Block]:
    """Power at equal true rates."""

    def row(each: EqualRates) -> tuple[str, ...]:
        needed = "–" if each.needed.value is None else f"{each.needed.value:.0f}"
        reached = "–" if each.needed_power.value is None else percent(each.needed_power.value)
        return percent(each.rate), percent_of(each.mn), percent_of(each.fm), needed, reached

    words = {**_plan_words(found.plan), "target": percent(USUAL_POWER), "most": MOST_EXACT}
    yield Grid(
        _("Power if both arms have the same true response rate"),
        (
            _("True rate in both arms"),
            _("Power, Miettinen-Nurminen"),
            _("Power, Farrington-Manning"),
            _("Per arm for %(target)s") % words,
            _("Exact power there"),
        ),
        tuple(row(each) for each in found.equal),
        (1.4, 1.4, 1.4, 1.2, 1.2),
        notes=(
            _(
                "Exact power with %(n)s per arm, margin %(margin)s points, one-sided alpha %(alpha)s. The size for "
                "%(target)s is the Farrington-Manning approximation; the exact power of the Miettinen-Nurminen test at "
                "that size is shown up to %(most)s per arm."
            )
            % words,
        ),
    )


def grid_blocks(found: Design) -> Iterator[Block]:
    """Exact power over pairs of rates, as figure and table."""
    words = _plan_words(found.plan)
    lines = [PowerLine(percent_whole(curve.control), curve.points) for curve in found.curves]
    caption = _("Power over the true difference, %(n)s evaluable participants per arm") % words
    drawing = power_plot(
        lines,
        GRID_DIFFERENCE,
        x_label=_("True difference, study minus control (percentage points)"),
        y_label=_("Power (%)"),
        reference=USUAL_POWER,
        reference_label=percent_whole(USUAL_POWER),
        legend_title=_("True control rate"),
    )
    yield Figure("power", caption, drawing)
    rows = tuple(
        (percent_whole(control), *("–" if cell is None else percent_of(cell) for cell in cells))
        for control, cells in zip(found.grid.controls, found.grid.rows, strict=True)
    )
    yield Grid(
        _("Exact power by true control rate and true difference, %(n)s per arm") % words,
        (_("True control rate"), *(_("%(points)s points") % {"points": _whole(d)} for d in found.grid.differences)),
        rows,
        (1.4, *(1.0 for _each in found.grid.differences)),
        notes=(
            _(
                "Miettinen-Nurminen test, exact enumeration, margin %(margin)s points, one-sided alpha %(alpha)s. "
                "Difference: study minus control. A dash: the study rate would exceed 100 %%."
            )
            % words,
        ),
    )


def _whole(difference: float) -> str:
    number = f"{abs(difference) * 100:.0f}"
    return number if difference == 0 else f"−{number}" if difference < 0 else f"+{number}"


def percent_whole(value: float) -> str:
    """A proportion as a whole per cent."""
    return f"{value * 100:.0f} %"


def needed_blocks(found: Design) -> Iterator[Block]:
    """How many study responders it takes for each number of control responders."""
    n = found.plan.n_per_arm
    step = -(-(n + 1) // _MOST_ROWS)
    rows = tuple(
        (
            str(control),
            percent(control / n),
            _("not possible") if study is None else str(study),
            "–" if study is None else percent(study / n),
            "–" if study is None else points((study - control) / n),
        )
        for control, study in enumerate(found.needed)
        if control % step == 0 or control == n
    )
    notes = [
        _(
            "Non-inferiority is declared if the lower Miettinen-Nurminen limit exceeds the margin of %(margin)s points "
            "(two-sided level %(level)s %%). The protocol demands this in both ITT and PP; the table is for one set."
        )
        % {"margin": points(found.plan.margin), "level": f"{(1 - 2 * found.plan.alpha) * 100:g}"}
    ]
    if step > 1:
        notes.append(_("The table goes in steps of %(step)d control responders.") % {"step": step})
    yield Grid(
        _("To declare non-inferiority with %(n)s against %(n)s evaluable") % {"n": n},
        (
            _("Control responders"),
            _("Control rate"),
            _("Study responders, at least"),
            _("Study rate"),
            _("Difference (points)"),
        ),
        rows,
        (1, 1, 1.2, 1, 1),
        notes=tuple(notes),
    )


def interim_blocks(found: Interim, alpha: float) -> Iterator[Block]:
    """Boundaries for the looks asked for: four tables, and a note on all of them."""
    for boundary in found.spending:
        yield _boundary(_(_SPENDING[SpendingFunction(boundary.shape)]), boundary)
    for boundary in found.classical:
        yield _boundary(_(_CLASSICAL[ClassicalBoundary(boundary.shape)]), boundary)
    yield Paragraph(
        _(
            "One-sided alpha %(alpha)s over all looks; stopping for efficacy only. z: the test statistic must reach "
            "it. Nominal level: its one-sided p-value. Alpha spent: up to and including the look. The classical "
            "boundaries are for the same number of looks, equally spaced; they do not use the fractions entered."
        )
        % {"alpha": f"{alpha:g}"},
        "note",
    )
    last = found.spending[0].information[-1]
    if last < 1:
        yield Paragraph(
            _("The last look is at %(last)s of the information, so a part of alpha is left for a later one.")
            % {"last": percent(last)},
            "note",
        )
    if any(later > earlier for earlier, later in pairwise(found.spending[0].z)):
        yield Paragraph(
            _(
                "Some looks lie so close together that the O'Brien-Fleming type boundary rises there: little alpha is "
                "added between them."
            ),
            "note",
        )


def _boundary(name: str, boundary: Boundary) -> Grid:
    rows = tuple(
        (str(look), percent(fraction), f"{z:.4f}", _level(p), _level(spent))
        for look, (fraction, z, p, spent) in enumerate(
            zip(boundary.information, boundary.z, boundary.nominal_p, boundary.cumulative_alpha, strict=True), start=1
        )
    )
    header = (_("Look no."), _("Information"), "z", _("Nominal level"), _("Alpha spent"))
    return Grid(name, header, rows, (0.6, 1, 1, 1, 1))


def _level(value: float) -> str:
    return f"{value:.6f}" if value >= 0.000001 else "< 0.000001"


# --- simulation ---


def scenario_facts(scenario: TrialScenario, trials: int, seed: int) -> Facts:
    """What was taken for true and how often it was drawn."""
    both = _("%(study)s study, %(control)s control")
    return Facts(
        (
            (_("Participants randomised"), str(scenario.participants)),
            (_("Study sites"), str(scenario.sites)),
            (_("Block sizes"), ", ".join(str(size) for size in scenario.block_sizes)),
            (
                _("True response rate of those assessed"),
                both % {"study": percent(scenario.study_rate), "control": percent(scenario.control_rate)},
            ),
            (_("Death before the visit"), percent(scenario.death)),
            (
                _("Not assessed, of those alive"),
                both % {"study": percent(scenario.study_missing), "control": percent(scenario.control_missing)},
            ),
            (
                _("Outside the PP set, of those assessed"),
                both % {"study": percent(scenario.study_deviation), "control": percent(scenario.control_deviation)},
            ),
            (_("Margin"), _("%(points)s points") % {"points": points(scenario.margin)}),
            (_("Trials drawn"), f"{trials:,}".replace(",", " ")),
            (_("Seed"), str(seed)),
        )
    )


def simulation_statement(scenario: TrialScenario, result: SimulatedTrials) -> str:
    """The answer in one sentence."""
    found = monte_carlo(result.claims, result.trials)
    if found.interval.lower.value is None or found.interval.upper.value is None:
        return _("not estimable")
    words = {
        "study": percent(scenario.study_rate),
        "control": percent(scenario.control_rate),
        "share": percent_of(found.probability),
        "low": percent(found.interval.lower.value),
        "high": percent(found.interval.upper.value),
    }
    if scenario.study_rate == scenario.control_rate:
        return (
            _(
                "With equal true rates of %(study)s the trial would conclude non-inferior in %(share)s of trials "
                "(95 %% CI %(low)s to %(high)s)."
            )
            % words
        )
    if scenario.pp_difference <= scenario.margin + 1e-9:
        return (
            _(
                "With true rates of %(study)s (study) and %(control)s (control) the study arm is worse by the margin "
                "or more. The trial would wrongly conclude non-inferior in %(share)s of trials (95 %% CI %(low)s to "
                "%(high)s)."
            )
            % words
        )
    return (
        _(
            "With true rates of %(study)s (study) and %(control)s (control) the trial would conclude non-inferior in "
            "%(share)s of trials (95 %% CI %(low)s to %(high)s)."
        )
        % words
    )


def simulation_blocks(scenario: TrialScenario, result: SimulatedTrials) -> Iterator[Block]:
    """Conclusions, the two sets, and the comparison with exact power."""
    yield Paragraph(simulation_statement(scenario, result), "finding")
    counted = (
        (_(CONCLUSION_LABELS[Conclusion.SUPERIOR]), result.superior),
        (_(CONCLUSION_LABELS[Conclusion.NON_INFERIOR]), result.non_inferior),
        (_(CONCLUSION_LABELS[Conclusion.INCONCLUSIVE]), result.inconclusive),
        (_(CONCLUSION_LABELS[Conclusion.INFERIOR]), result.inferior),
        (_(CONCLUSION_LABELS[Conclusion.NOT_ESTIMABLE]), result.not_estimable),
        (_("Non-inferior, with or without superiority"), result.claims),
    )
    yield Grid(
        _("How the trials ended"),
        (_("Conclusion"), _("Trials"), _("Probability"), _("Monte Carlo SE"), _("95 % CI")),
        tuple((label, *_shares(count, result.trials)) for label, count in counted),
        (3, 0.8, 0.9, 1, 1.6),
        notes=(
            _(
                "Each trial is analysed by the protocol's rule (D16): non-inferior if the lower limit of the %(level)s "
                "%% Miettinen-Nurminen interval exceeds the margin in both ITT and PP; superior if it then exceeds 0 "
                "in ITT; inferior if the upper limit lies below the margin in both. In ITT a death or a missing visit "
                "counts as no response. CI: Wilson interval of the simulated share."
            )
            % {"level": f"{scenario.level * 100:g}"},
        ),
    )
    sets = (
        (_("ITT"), result.itt, scenario.itt_difference),
        (_("PP"), result.pp, scenario.pp_difference),
    )
    yield Grid(
        _("The two analysis sets"),
        (
            _("Set"),
            _("Mean size (study / control)"),
            _("Limit above the margin"),
            _("True difference"),
            _("Mean difference"),
            _("Coverage"),
        ),
        tuple(_set_row(name, tally, truth) for name, tally, truth in sets),
        (0.6, 1.3, 1.5, 1.1, 1.5, 1.5),
        notes=(
            _(
                "Over the trials in which both arms of the set have somebody. ± Monte Carlo standard error. "
                "Differences in percentage points. Coverage: share of intervals that hold the true difference. The "
                "true difference in ITT counts deaths and missing visits as no response, so it differs from that of "
                "the response rates. Largest difference between the arms' sizes in any trial: %(imbalance)d."
            )
            % {"imbalance": result.largest_imbalance},
        ),
    )
    exact = exact_itt_power(scenario)
    simulated = monte_carlo(result.itt.claims, result.trials)
    if exact.value is not None and simulated.probability.value is not None and simulated.standard_error.value:
        yield Paragraph(
            _(
                "For comparison: the exact power of the ITT set alone, with arms of equal size, is %(exact)s; "
                "simulated %(simulated)s ± %(error)s. They need not agree to the last digit, because blocks at several "
                "sites do not always give arms of equal size."
            )
            % {
                "exact": percent(exact.value),
                "simulated": percent(simulated.probability.value),
                "error": f"{simulated.standard_error.value * 100:.2f}",
            },
            "note",
        )


def _shares(count: int, trials: int) -> tuple[str, str, str, str]:
    found = monte_carlo(count, trials)
    low, high, error = found.interval.lower.value, found.interval.upper.value, found.standard_error.value
    if found.probability.value is None or low is None or high is None or error is None:
        return str(count), _("not estimable"), "–", "–"
    limits = _("%(lower)s to %(upper)s") % {"lower": f"{low * 100:.2f}", "upper": f"{high * 100:.2f} %"}
    return str(count), f"{found.probability.value * 100:.2f} %", f"{error * 100:.2f}", limits


def _hundredths(difference: float) -> str:
    """A difference in percentage points with two decimals, signed unless 0."""
    number = f"{abs(difference) * 100:.2f}"
    return number if not float(number) else f"−{number}" if difference < 0 else f"+{number}"


def _set_row(name: str, tally: SetTally, truth: float) -> tuple[str, ...]:
    mean, error = tally.mean()
    if tally.estimable == 0 or mean.value is None:
        return name, "–", _("not estimable"), _hundredths(truth), _("not estimable"), _("not estimable")
    sizes = f"{tally.study_n / tally.estimable:.1f} / {tally.control_n / tally.estimable:.1f}"
    spread = "" if error.value is None else f" ± {error.value * 100:.2f}"
    claims, covered = (monte_carlo(count, tally.estimable) for count in (tally.claims, tally.covered))

    def share(found: Estimate, se: Estimate) -> str:
        return "–" if found.value is None or se.value is None else f"{found.value * 100:.2f} % ± {se.value * 100:.2f}"

    return (
        name,
        sizes,
        share(claims.probability, claims.standard_error),
        _hundredths(truth),
        _hundredths(mean.value) + spread,
        share(covered.probability, covered.standard_error),
    )
