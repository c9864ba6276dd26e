"""The page of sample size and power, and simulations of the whole trial. No patient's data enter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.access.limits import limited
from spinetrial.analysis import simulations
from spinetrial.analysis.design import MOST_EXACT, Plan, design, interim, planned, scenario
from spinetrial.crf.forms import FiniteDecimalField
from spinetrial.jobs import CRASHED
from spinetrial.protocol import CURRENT
from spinetrial.reports import design as words
from spinetrial.reports.document import Block
from spinetrial.reports.page import block_of
from spinetrial.stats.trial_simulation import MOST_PARTICIPANTS, MOST_SITES, MOST_TRIALS, TrialScenario

MOST_LOOKS = 8
#: Looks closer to each other, or earlier, than this share of the information are refused.
LEAST_INFORMATION = 0.05

#: Where a simulation starts from, apart from what the protocol says.
USUAL_TRIALS = 20_000
USUAL_SITES = 3


class PercentField(FiniteDecimalField):
    """A share entered in per cent; `cleaned_data` holds the proportion."""

    def __init__(self, label: Any, low: str, high: str, **kwargs: Any) -> None:
        super().__init__(
            label=label,
            min_value=Decimal(low),
            max_value=Decimal(high),
            max_digits=6,
            decimal_places=3,
            widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            **kwargs,
        )

    def clean(self, value: Any) -> Any:
        number = super().clean(value)
        # By way of Decimal: 62 becomes the float 0.62 and not its neighbour.
        return None if number is None else float(number / 100)


class DesignForm(forms.Form):
    """Numbers of a plan. Every limit keeps the page within a second or two."""

    study = PercentField(gettext_lazy("True rate, study arm (%)"), "0", "100")
    control = PercentField(gettext_lazy("True rate, control arm (%)"), "0", "100")
    margin = PercentField(
        gettext_lazy("Margin (percentage points)"),
        "-50",
        "0",
        help_text=gettext_lazy("Negative: up to so much worse is acceptable. 0 asks for superiority."),
    )
    alpha = FiniteDecimalField(
        label=gettext_lazy("One-sided alpha"),
        min_value=Decimal("0.0001"),
        max_value=Decimal("0.2"),
        max_digits=7,
        decimal_places=6,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    power = PercentField(gettext_lazy("Power wanted (%)"), "50", "99.9")
    loss = PercentField(gettext_lazy("Loss allowed for (%)"), "0", "50")
    n = forms.IntegerField(
        label=gettext_lazy("Evaluable per arm"),
        min_value=2,
        max_value=MOST_EXACT,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    interim = forms.BooleanField(label=gettext_lazy("Show interim boundaries"), required=False)
    looks = forms.CharField(
        label=gettext_lazy("Information fractions of the looks"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("Rising, separated by commas, such as 0.5, 1. Used for the interim boundaries only."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("interim") and "looks" in data:
            try:
                data["looks"] = fractions_of(data["looks"])
            except ValidationError as error:
                self.add_error("looks", error)
        return data

    def plan(self) -> Plan:
        """The plan entered (after is_valid)."""
        data = self.cleaned_data
        return Plan(
            study=data["study"],
            control=data["control"],
            margin=data["margin"],
            alpha=float(data["alpha"]),
            power=data["power"],
            loss=data["loss"],
            n_per_arm=data["n"],
        )


def fractions_of(text: str) -> list[float]:
    """Information fractions from what was typed. Raises ValidationError."""
    parts = [part for part in re.split(r"[\s,;，；、]+", text) if part]
    if not 1 <= len(parts) <= MOST_LOOKS:
        raise ValidationError(_("Give 1 to %(most)d information fractions.") % {"most": MOST_LOOKS})
    if not all(re.fullmatch(r"[0-9]{0,3}(\.[0-9]{0,6})?", part, re.ASCII) and part != "." for part in parts):
        raise ValidationError(_("An information fraction is a number such as 0.5."))
    found = [float(part) for part in parts]
    if (
        found[0] < LEAST_INFORMATION
        or found[-1] > 1
        or any(b - a < LEAST_INFORMATION - 1e-9 for a, b in pairwise(found))
    ):
        raise ValidationError(
            _("The fractions must rise from at least %(least)s to at most 1, in steps of at least %(least)s.")
            % {"least": f"{LEAST_INFORMATION:g}"}
        )
    return found


class SimulationForm(forms.Form):
    """What is taken for true in a simulated trial. Margin, level, method and blocks are the protocol's."""

    prefix = "sim"

    participants = forms.IntegerField(
        label=gettext_lazy("Participants randomised"), min_value=2, max_value=MOST_PARTICIPANTS
    )
    sites = forms.IntegerField(label=gettext_lazy("Study sites"), min_value=1, max_value=MOST_SITES)
    study = PercentField(gettext_lazy("True rate, study arm (%)"), "0", "100")
    control = PercentField(gettext_lazy("True rate, control arm (%)"), "0", "100")
    death = PercentField(gettext_lazy("Death before the visit (%)"), "0", "100")
    study_missing = PercentField(gettext_lazy("Not assessed though alive, study arm (%)"), "0", "100")
    control_missing = PercentField(gettext_lazy("Not assessed though alive, control arm (%)"), "0", "100")
    study_deviation = PercentField(gettext_lazy("Assessed but outside PP, study arm (%)"), "0", "100")
    control_deviation = PercentField(gettext_lazy("Assessed but outside PP, control arm (%)"), "0", "100")
    trials = forms.IntegerField(label=gettext_lazy("Trials to draw"), min_value=100, max_value=MOST_TRIALS)
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        min_value=0,
        max_value=simulations.LARGEST_SEED,
        help_text=gettext_lazy("The same seed gives the same numbers again."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):
                field.widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})

    def scenario(self) -> TrialScenario:
        """The scenario entered (after is_valid)."""
        data = self.cleaned_data
        return scenario(CURRENT, **{name: data[name] for name in data if name not in ("trials", "seed")})


def _plain(value: float) -> str:
    return f"{value * 100:.10g}"


def plan_fields(plan: Plan) -> dict[str, str]:
    """A plan as the form takes it."""
    return {
        "study": _plain(plan.study),
        "control": _plain(plan.control),
        "margin": _plain(plan.margin),
        "alpha": f"{plan.alpha:g}",
        "power": _plain(plan.power),
        "loss": _plain(plan.loss),
        "n": str(plan.n_per_arm),
        "looks": "0.5, 1",
    }


def _simulation_initial(plan: Plan) -> dict[str, Any]:
    # The protocol adds its loss to the number it needs; that share is where the simulated loss starts from.
    lost = _plain(planned(CURRENT).loss)
    return {
        "participants": CURRENT.sample_size.total,
        "sites": USUAL_SITES,
        "study": _plain(plan.study),
        "control": _plain(plan.control),
        "death": lost,
        "study_missing": "0",
        "control_missing": "0",
        "study_deviation": "0",
        "control_deviation": "0",
        "trials": USUAL_TRIALS,
        "seed": simulations.new_seed(),
    }


@requires("design.view")
@require_safe
def design_page(request: SignedInRequest) -> HttpResponse:
    """Sample size and power for the numbers in the address; without any, for the protocol's."""
    return _page(request)


def _page(request: SignedInRequest, simulation: SimulationForm | None = None, error: str = "") -> HttpResponse:
    entered = {name: request.GET[name] for name in DesignForm.base_fields if name in request.GET}
    form = DesignForm({**plan_fields(planned(CURRENT)), **entered})
    good = form.is_valid()
    plan = form.plan() if good else planned(CURRENT)
    context = {
        "form": form,
        "reproduction": words.reproduction(CURRENT),
        "simulation": simulation or SimulationForm(initial=_simulation_initial(plan)),
        "simulation_error": error,
        "recent": simulations.recent(request.user),
        "interim": good and form.cleaned_data["interim"],
        **(_results(plan) if good else {}),
    }
    if context["interim"]:
        found = interim(form.cleaned_data["looks"], plan.alpha)
        context["interim_blocks"] = _shown(words.interim_blocks(found, plan.alpha))
    refused = not good or (simulation is not None and (simulation.errors or error))
    return render(request, "reports/design.html", context, status=422 if refused else 200)


def _results(plan: Plan) -> dict[str, Any]:
    found = design(plan, CURRENT.assumed_rates.equal_rates_shown)
    return {
        "sizes": _shown(words.size_blocks(found)),
        "powers": _shown(words.power_blocks(found)),
        "equal": words.equal_statement(found),
        "equals": _shown(words.equal_blocks(found)),
        "grids": _shown(words.grid_blocks(found)),
        "needed": _shown(words.needed_blocks(found)),
    }


def _shown(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [block_of(block) for block in blocks]


@requires("design.view")
@require_POST
@limited("simulation")
def design_simulate(request: SignedInRequest) -> HttpResponse:
    """Ask for a simulation; a worker runs it."""
    form = SimulationForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    data = form.cleaned_data
    try:
        job = simulations.do_ask(request.user, CURRENT, form.scenario(), data["trials"], data["seed"])
    except simulations.TooManyWaiting:
        text = _("%(most)d simulations of yours are waiting already. Ask again when one is done.")
        return _page(request, form, text % {"most": simulations.MOST_WAITING})
    return redirect("design_simulation", job.pk)


@requires("design.view")
@require_safe
def design_simulation(request: SignedInRequest, pk: int) -> HttpResponse:
    """How far a simulation is, and what came of it."""
    job = simulations.get_simulation(request.user, pk)
    try:
        found, result = job.read_scenario(), job.read_result()
    except (ValueError, TypeError, KeyError):  # written by another version of the program
        found, result = None, None
    context = {
        "job": job,
        "facts": None if found is None else block_of(words.scenario_facts(found, job.trials, job.seed)),
        "blocks": [] if found is None or result is None else _shown(words.simulation_blocks(found, result)),
        "crashed": CRASHED in job.problems,
    }
    return render(request, "reports/simulation.html", context)
