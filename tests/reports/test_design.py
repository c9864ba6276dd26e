"""The page of sample size and power: the protocol's numbers come out, nothing typed breaks it, simulations are jobs."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinetrial.access import limits
from spinetrial.analysis import simulations
from spinetrial.analysis.design import design, interim, planned, scenario
from spinetrial.analysis.models import Simulation
from spinetrial.analysis.primary import Conclusion, conclude
from spinetrial.analysis.sets import AnalysisSet
from spinetrial.analysis.tasks import run_simulations
from spinetrial.audit.models import AuditEntry
from spinetrial.jobs import CRASHED, LEASE, MOST_ATTEMPTS, JobState
from spinetrial.protocol import CURRENT
from spinetrial.reports.design import (
    equal_statement,
    interim_blocks,
    needed_blocks,
    reproduction,
    simulation_blocks,
    simulation_statement,
)
from spinetrial.reports.design_views import DesignForm, SimulationForm
from spinetrial.reports.document import Grid
from spinetrial.stats.design import ExactTest, PlanningVariance
from spinetrial.stats.risk_difference import DifferenceMethod, risk_difference_ci
from spinetrial.stats.trial_simulation import SimulatedTrials, conclusions, limits_of_tables, simulate_trials

PLAN = planned(CURRENT)
EQUAL = CURRENT.assumed_rates.equal_rates_shown


@pytest.fixture
def page(client, cast):
    client.force_login(cast.statistician)

    def get(**query):
        return client.get(reverse("design"), query)

    return get


def cells(answer, name):
    """The rows of the first table of a part of the page, by their heads."""
    grid = next(block for block in answer.context[name] if block["kind"] == "grid")
    return {row["head"]: row["cells"] for row in grid["rows"]}


# --- the protocol ---


def test_without_anything_entered_the_page_shows_the_protocols_plan(page):
    answer = page()
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "This reproduces the protocol." in text
    for number in ("60 × 1.1 = 66", "per arm is 0.809", "59.4 are left", "would give 68"):
        assert number in text, number
    assert cells(answer, "sizes")["Pooled variance"][1:] == ["30", "60", "66", "68"]
    powers = cells(answer, "powers")
    assert powers["Pooled variance"][0] == "80.9 %"
    assert powers["Miettinen-Nurminen test"][2] == "0.0279"
    assert powers["Farrington-Manning test"][2] == "0.0299"
    assert "Look" not in text.split("Interim boundaries")[-1].split("Simulate the whole")[0]


def test_a_protocol_that_the_formulas_do_not_give_is_said_not_to_be_reproduced():
    assert reproduction(CURRENT).agrees
    for planted in (
        replace(CURRENT, assumed_rates=replace(CURRENT.assumed_rates, power=0.85)),
        replace(CURRENT, assumed_rates=replace(CURRENT.assumed_rates, evaluable_per_arm=31)),
        replace(CURRENT, sample_size=replace(CURRENT.sample_size, total=68)),
    ):
        found = reproduction(planted)
        assert not found.agrees
        assert found.text.startswith("This does not reproduce the protocol")


def test_power_at_equal_rates_is_said_plainly(page):
    found = design(PLAN, EQUAL)
    assert [round(each.fm.value, 2) for each in found.equal] == [0.25, 0.25, 0.26, 0.29, 0.34]
    text = equal_statement(found)
    assert "between 62.0 % and 85.0 %" in text
    assert "to 34" in text
    assert text in page().content.decode()
    for each in found.equal:
        assert 80 < each.needed.value < 200
        assert 0.77 < each.needed_power.value < 0.83
    enough = equal_statement(design(replace(PLAN, n_per_arm=200), EQUAL))
    assert "only" not in enough


def test_the_grid_stops_at_a_rate_of_100_per_cent():
    found = design(PLAN, EQUAL)
    last = dict(zip(found.grid.controls, found.grid.rows, strict=True))[0.90]
    assert [cell is None for cell in last] == [False, False, False, False, True, True]
    for row in found.grid.rows:
        powers = [cell.value for cell in row if cell is not None]
        assert powers == sorted(powers)
    for curve in found.curves:
        assert all(0 <= power <= 1 for _difference, power in curve.points)
        assert max(difference for difference, _power in curve.points) <= 1 - curve.control + 1e-9
    assert found.grid.test is ExactTest.MIETTINEN_NURMINEN


def test_the_table_of_responders_agrees_with_the_interval(page):
    rows = cells(page(), "needed")
    assert len(rows) == 31
    for control, study in ((18, 21), (24, 26)):
        assert rows[str(control)][1] == str(study)
        for x1, declared in ((study, True), (study - 1, False)):
            lower = risk_difference_ci(x1, 30, control, 30, DifferenceMethod.MIETTINEN_NURMINEN).lower.value
            assert (lower > -0.15) is declared
    (grid,) = needed_blocks(design(replace(PLAN, n_per_arm=200), ()))
    assert len(grid.rows) == 51
    assert any("steps of 4" in note for note in grid.notes)
    (tiny,) = needed_blocks(design(replace(PLAN, n_per_arm=2), ()))
    assert "not possible" in {row[2] for row in tiny.rows}


def test_a_study_rate_on_the_margin_has_no_size_and_its_power_is_the_error(page):
    answer = page(study="47", control="62")
    assert answer.status_code == 200
    assert cells(answer, "sizes")["Pooled variance"][0] == "no size is enough"
    row = design(replace(PLAN, study=0.47), EQUAL).exact[0]
    assert row.power.value == pytest.approx(row.error.value)
    assert row.error.value <= row.largest_error.value
    assert design(replace(PLAN, control=0.10), ()).exact[0].error is None
    assert design(replace(PLAN, study=1.0, control=1.0), ()).size(PlanningVariance.UNPOOLED).total is None


# --- what people type ---

TYPED = st.one_of(
    st.text(max_size=12),
    st.floats().map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["", "NaN", "sNaN", "Infinity", "1e9", "-0", "0.5,1", "9" * 400, "\0", "６２", "0,5"]),
)


@given(st.dictionaries(st.sampled_from([*DesignForm.base_fields, "version", "x"]), TYPED, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_string_breaks_the_page(page, query):
    assert page(**query).status_code in (200, 422)


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(-0.5, 0), st.floats(0.0001, 0.2), st.floats(0.5, 0.999),
    st.floats(0, 0.5), st.integers(2, 40),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_every_plan_the_form_lets_through_is_computed(study, control, margin, alpha, power, loss, n):
    plan = replace(
        PLAN, study=study, control=control, margin=margin, alpha=alpha, power=power, loss=loss, n_per_arm=n
    )  # fmt: skip
    found = design(plan, EQUAL)
    assert equal_statement(found)
    assert all(0 <= each.power.value <= 1 for each in found.exact)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"n": "201"}, "n"), ({"n": "1"}, "n"), ({"n": ""}, "n"), ({"study": "101"}, "study"),
        ({"margin": "15"}, "margin"),
        ({"alpha": "0"}, "alpha"), ({"alpha": "0.3"}, "alpha"), ({"power": "40"}, "power"), ({"loss": "60"}, "loss"),
        ({"interim": "on", "looks": "1, 0.5"}, "looks"), ({"interim": "on", "looks": ""}, "looks"),
        ({"interim": "on", "looks": "0.5, 1.1"}, "looks"), ({"interim": "on", "looks": "0.01, 1"}, "looks"),
        ({"interim": "on", "looks": "0.5 0.51"}, "looks"), ({"interim": "on", "looks": "half"}, "looks"),
        ({"interim": "on", "looks": "0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9"}, "looks"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named_at_its_field(page, query, field):
    answer = page(**query)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert "sizes" not in answer.context
    assert f'id="id_{field}_error"' in answer.content.decode()


# --- interim ---


def test_interim_boundaries_are_shown_only_when_asked_for(page):
    off = page(looks="nonsense")
    assert off.status_code == 200
    assert "The protocol plans no interim analysis of efficacy" in off.content.decode()
    on = page(interim="on", looks="0.5，1")
    assert on.status_code == 200
    text = on.content.decode()
    assert "The protocol plans no interim analysis of efficacy" in text
    for known in ("2.9626", "1.9686", "2.7965", "2.1783"):  # Jennison and Turnbull 2000; Lan and DeMets 1983
        assert known in text, known


@pytest.mark.parametrize(
    "looks", [[1.0], [0.5, 1.0], [0.05, 0.1, 0.9, 0.95, 1.0], [0.2, 0.5], [n / 8 for n in range(1, 9)]]
)
@pytest.mark.parametrize("alpha", [0.0001, 0.025, 0.2])
def test_boundaries_spend_alpha_steadily_and_never_more(looks, alpha):
    found = interim(looks, alpha)
    for boundary in (*found.spending, *found.classical):
        spent = boundary.cumulative_alpha
        assert all(earlier < later for earlier, later in pairwise(spent))
        assert spent[-1] == pytest.approx(alpha, rel=1e-4) or (boundary in found.spending and looks[-1] < 1)
        assert spent[-1] <= alpha * (1 + 1e-4)
    # Looks that lie closer together than those before may need a higher bound again.
    even = [found.spending[0]] if len(looks) != 5 else []
    for boundary in (*even, found.classical[0]):
        assert all(earlier > later for earlier, later in pairwise(boundary.z))
    assert len(set(found.classical[1].z)) == 1
    blocks = list(interim_blocks(found, alpha))
    assert [isinstance(block, Grid) for block in blocks[:4]] == [True] * 4
    texts = " ".join(block.text for block in blocks[4:])
    assert ("is left for a later one" in texts) is (looks[-1] < 1)
    assert ("boundary rises there" in texts) is (sorted(found.spending[0].z, reverse=True) != list(found.spending[0].z))


# --- simulation ---


def fields(**change):
    values = {
        "participants": 66, "sites": 3, "study": 70, "control": 70, "death": 0, "study_missing": 0,
        "control_missing": 0, "study_deviation": 0, "control_deviation": 0, "trials": 4000, "seed": 12, **change,
    }  # fmt: skip
    return {f"sim-{name}": str(value) for name, value in values.items()}


def test_a_simulation_is_asked_for_run_and_shown(
    client, cast, django_capture_on_commit_callbacks, monkeypatch
):  # fmt: skip
    woken = []
    monkeypatch.setattr(run_simulations, "delay", lambda: woken.append(1))
    client.force_login(cast.investigator_a)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(reverse("design_simulate"), fields())
    job = Simulation.objects.get()
    assert (answer.url, woken) == (reverse("design_simulation", args=[job.pk]), [1])
    assert b"data-poll" in client.get(answer.url).content
    entry = AuditEntry.objects.get(act="simulation asked for")
    assert entry.actor_id == cast.investigator_a.pk
    run_simulations()
    job.refresh_from_db()
    assert (job.state, job.percent, job.attempts) == (JobState.DONE, 100, 1)
    assert job.read_result() == simulate_trials(job.read_scenario(), 4000, 12)
    # Another person, of another site, sees it too: it holds nothing of a site.
    for reader in (cast.investigator_b, cast.data_manager):
        client.force_login(reader)
        shown = client.get(answer.url)
        text = shown.content.decode()
        assert shown.status_code == 200
        assert "data-poll" not in text
        assert "With equal true rates of 70.0 % the trial would conclude non-inferior in" in text
        assert "4 000" in text
        assert answer.url in client.get(reverse("design")).content.decode()
    client.force_login(cast.coordinator_a)
    assert client.get(answer.url).status_code == 403


def test_progress_is_told_and_a_dead_worker_gives_up_at_last(client, cast, monkeypatch):
    told = []
    job = simulations.do_ask(cast.statistician, CURRENT, SCENARIO, 5000, 1)
    simulations._work(job, lambda percent, step: told.append(percent))
    assert told == sorted(set(told))
    assert len(told) >= 2
    assert told[-1] == 99
    job.refresh_from_db()
    job.state, job.attempts, job.lease_until = JobState.RUNNING, MOST_ATTEMPTS, job.asked_at - LEASE
    job.save()
    run_simulations()
    job.refresh_from_db()
    assert (job.state, job.problems) == (JobState.REFUSED, [CRASHED])
    client.force_login(cast.statistician)
    assert "stopped three times" in client.get(reverse("design_simulation", args=[job.pk])).content.decode()


def test_a_scenario_that_cannot_be_drawn_refuses_the_job_and_shows_no_error(client, cast):
    job = simulations.do_ask(cast.statistician, CURRENT, SCENARIO, 1000, 1)
    job.scenario = {**job.scenario, "death": 2}
    job.save()
    run_simulations()
    job.refresh_from_db()
    assert (job.state, job.problems, job.result) == (JobState.REFUSED, ["scenario"], None)
    client.force_login(cast.statistician)
    assert client.get(reverse("design_simulation", args=[job.pk])).status_code == 200


def test_only_a_few_simulations_of_one_person_wait(client, cast):
    client.force_login(cast.statistician)
    for _number in range(simulations.MOST_WAITING):
        assert client.post(reverse("design_simulate"), fields()).status_code == 302
    refused = client.post(reverse("design_simulate"), fields(seed=77))
    assert refused.status_code == 422
    assert "are waiting already" in refused.content.decode()
    assert 'value="77"' in refused.content.decode()
    client.force_login(cast.data_manager)
    assert client.post(reverse("design_simulate"), fields()).status_code == 302
    run_simulations()
    client.force_login(cast.statistician)
    assert client.post(reverse("design_simulate"), fields()).status_code == 302


def test_asking_too_often_is_slowed_down(client, cast, settings, monkeypatch):
    settings.RATE_LIMITS = True
    monkeypatch.setitem(limits.LIMITS, "simulation", limits.Limit(2, 3600))
    client.force_login(cast.statistician)
    codes = [client.post(reverse("design_simulate"), {}).status_code for _number in range(3)]
    assert codes == [422, 422, 429]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("participants", 1), ("participants", 1001), ("sites", 0), ("sites", 51), ("study", 101), ("death", "x"),
        ("trials", 99), ("trials", 100_001), ("seed", -1), ("seed", 2**31), ("seed", ""), ("study_missing", "NaN"),
    ],
)  # fmt: skip
def test_a_simulation_out_of_range_is_not_started(client, cast, name, value):
    client.force_login(cast.statistician)
    answer = client.post(reverse("design_simulate"), fields(**{name: value}))
    assert answer.status_code == 422
    assert list(answer.context["simulation"].errors) == [name]
    assert not Simulation.objects.exists()


def test_the_form_offers_the_numbers_of_the_plan_and_a_seed(page):
    form = page(study="75", control="70").context["simulation"]
    assert (form["study"].value(), form["participants"].value()) == ("75", CURRENT.sample_size.total)
    filled = SimulationForm({f"sim-{name}": form[name].value() for name in form.fields})
    assert filled.is_valid(), filled.errors
    assert filled.scenario().margin == CURRENT.primary.hypothesis.margin
    assert filled.scenario().block_sizes == CURRENT.allocation.block_sizes


SCENARIO = scenario(
    CURRENT, participants=66, sites=2, study=0.8, control=0.8, death=0.1, study_missing=0.05, control_missing=0.05,
    study_deviation=0.1, control_deviation=0.1,
)  # fmt: skip


@given(
    st.lists(
        st.tuples(*(st.integers(0, 12) for _number in range(8))).map(
            lambda n: (min(n[0], n[1]), n[1], min(n[2], n[3]), n[3], min(n[4], n[5]), n[5], min(n[6], n[7]), n[7])
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from([-0.15, -0.5, 0.0]),
)
@settings(max_examples=60, deadline=None)
def test_simulated_trials_are_judged_as_the_report_judges(tables, margin):
    """The vectorised rule of D16 against `conclude`, which the report uses."""
    import numpy as np

    rows = np.array(tables)
    itt, pp = (limits_of_tables(part, DifferenceMethod.MIETTINEN_NURMINEN, 0.95) for part in (rows[:, :4], rows[:, 4:]))
    ends = conclusions(itt, pp, margin)
    for place, row in enumerate(tables):
        compared = [
            SimpleNamespace(
                analysis_set=which,
                margin=margin,
                difference=risk_difference_ci(*part, DifferenceMethod.MIETTINEN_NURMINEN, 0.95),
            )
            for which, part in ((AnalysisSet.ITT, row[:4]), (AnalysisSet.PP, row[4:]))
        ]
        (found,) = [Conclusion(name) for name, which in ends.items() if which[place]]
        assert found is conclude(compared)


def test_the_statement_says_what_kind_of_truth_it_rests_on():
    result = simulate_trials(SCENARIO, 500, 1)
    assert simulation_statement(SCENARIO, result).startswith("With equal true rates of 80.0 %")
    worse = replace(SCENARIO, study_rate=0.6)
    assert "wrongly" in simulation_statement(worse, simulate_trials(worse, 500, 1))
    better = replace(SCENARIO, study_rate=0.9)
    assert "wrongly" not in simulation_statement(better, simulate_trials(better, 500, 1))
    nobody = replace(SCENARIO, death=1.0)
    blocks = list(simulation_blocks(nobody, simulate_trials(nobody, 100, 1)))
    assert "not estimable" in str(blocks)
    assert simulation_statement(SCENARIO, SimulatedTrials()) == "not estimable"
