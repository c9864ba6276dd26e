"""The reference command and the shipped self-test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spinetrial.stats.cases import METHODS
from spinetrial.stats.reference import load_cases, main, run_case, run_cases
from spinetrial.stats.selftest import SELF_TEST_FILE, run_self_test

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "stats_reference.json"
PROPORTION = {
    "id": "p",
    "method": "proportion_ci",
    "inputs": {"x": 14, "n": 20},
    "expected": {"estimate": 0.7, "wilson": {"lower": 0.481, "upper": 0.8545}},
    "tolerance": 1e-3,
}


@pytest.fixture
def run(tmp_path, capsys):
    """Write cases to a file, run the command; gives (exit code, printed lines, written values)."""

    def go(*cases):
        source, out = tmp_path / "cases.json", tmp_path / "out.json"
        source.write_text(json.dumps({"cases": list(cases)}), encoding="utf-8")
        code = main([str(source), "--json", str(out)])
        return code, capsys.readouterr().out.splitlines(), json.loads(out.read_text(encoding="utf-8"))

    return go


def test_the_shipped_self_test_passes_and_covers_every_method():
    result = run_self_test()
    assert result.failures == ()
    assert result.passed
    assert len(result.sha256) == 64
    assert {case["method"] for case in load_cases(SELF_TEST_FILE)} == set(METHODS)


def _numbers(value, path=()):
    """(path, number) of every number that a case expects."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("risk_difference_ci", "miettinen_nurminen"),
        ("risk_difference_ci", "mee"),
        ("risk_difference_ci", "newcombe"),
        ("risk_difference_ci", "agresti_caffo"),
        ("noninferiority_test", "farrington_manning"),
        ("noninferiority_test", "miettinen_nurminen"),
        ("noninferiority_exact_unconditional", "p"),
        ("proportion_ci", "clopper_pearson"),
        ("two_by_two", "fisher_two_sided"),
        ("r_by_c", "fisher_freeman_halton_p"),
        ("kaplan_meier", "surv"),
        ("kaplan_meier", "median_lower"),
        ("kaplan_meier", "followup_reverse_km"),
        ("kaplan_meier", "logrank"),
        ("kaplan_meier", "cox_efron"),
        ("cumulative_incidence", "cif"),
        ("cumulative_incidence", "upper_loglog"),
        ("cumulative_incidence", "gray"),
        ("mmrm_unstructured", "df_satterthwaite"),
        ("mmrm_unstructured", "se_kenward_roger"),
        ("wilcoxon_rank_sum", "p_exact_permutation_midranks"),
        ("wilcoxon_rank_sum", "hl_ci_moses_exact"),
        ("wilcoxon_rank_sum", "hl_ci_asymptotic_order_stat"),
        ("ancova", "lsmeans"),
        ("rubin_pooling", "df_barnard_rubin"),
        ("tipping_point_binary", "p_grid"),
        ("smd_continuous", "smd"),
        ("smd_categorical", "smd"),
        ("power_ni_proportions", "exact_power_mn_test"),
        ("lan_demets_boundary", "z"),
    ],
)
def test_the_self_test_would_notice_each_number_of_the_report(method, key):
    """Some case expects the number, and does not pass when what it expects is moved by a hundredth."""
    cases = [case for case in load_cases(SELF_TEST_FILE) if case["method"] == method]
    noticing = []
    for case in cases:
        if not any(key in path for path, number in _numbers(case["expected"]) if number):
            continue
        assert run_case(case).passed
        noticing.append(not run_case(case | {"expected": _moved(case["expected"], key)}).passed)
    assert any(noticing)


def _moved(value, key, inside=False):
    """`value` with every number under `key` moved by a hundredth of itself."""
    if isinstance(value, dict):
        return {name: _moved(inner, key, inside or name == key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, key, inside) for inner in value]
    if inside and isinstance(value, int | float) and not isinstance(value, bool):
        return value * 1.01
    return value


def test_every_case_of_the_self_test_names_its_source():
    cases = load_cases(SELF_TEST_FILE)
    assert all(case["source"] for case in cases)
    assert len({case["id"] for case in cases}) == len(cases)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared reference cases are not beside this checkout")
def test_every_shared_reference_case_agrees():
    results = run_cases(load_cases(SHARED))
    assert len(results) >= 121
    assert [(r.case_id, r.problems) for r in results if not r.passed] == []


def test_a_changed_number_makes_the_self_test_fail(tmp_path):
    content = json.loads(SELF_TEST_FILE.read_text(encoding="utf-8"))
    content["cases"] = [case for case in content["cases"] if case["id"] == "newcombe_difference_a"]
    content["cases"][0]["expected"]["miettinen_nurminen"]["upper"] = 0.3440
    planted = tmp_path / "planted.json"
    planted.write_text(json.dumps(content), encoding="utf-8")
    result = run_self_test(planted)
    assert not result.passed
    assert "miettinen_nurminen.upper" in result.failures[0]


def test_a_self_test_that_is_missing_or_empty_does_not_pass(tmp_path):
    assert not run_self_test(tmp_path / "missing.json").passed
    empty = tmp_path / "empty.json"
    empty.write_text('{"cases": []}')
    assert not run_self_test(empty).passed


def test_passing_run(run):
    code, lines, values = run(PROPORTION)
    assert code == 0
    assert lines[0].startswith("PASS p")
    assert lines[-1] == "1 passed, 0 failed"
    # In the shape of what was expected: no other keys.
    assert values["p"].keys() == {"estimate", "wilson"}
    assert values["p"]["wilson"]["lower"] == pytest.approx(0.481027, abs=1e-6)


def test_failing_cases_are_named_and_counted_and_the_others_still_run(run):
    wrong = PROPORTION | {"id": "wrong", "expected": {"estimate": 0.8}}
    unknown = PROPORTION | {"id": "unknown", "method": "magic"}
    impossible = PROPORTION | {"id": "impossible", "inputs": {"x": 30, "n": 20}}
    bare = {"id": "bare", "method": "proportion_ci"}
    code, lines, values = run(wrong, unknown, impossible, bare, PROPORTION)
    assert code != 0
    assert lines[-1] == "1 passed, 4 failed"
    assert [line.split()[0] for line in lines[:-1]] == ["FAIL"] * 4 + ["PASS"]
    assert "unknown method" in lines[1]
    assert values["wrong"] == {"estimate": 0.7}
    assert "error" in values["unknown"]


@pytest.mark.parametrize(
    "expected",
    [
        {"estimate": None},
        {"estimate": "0.7"},
        {"estimate": "Inf"},
        {"estimate": True},
        {"status": "not_estimable"},
        {"wilson": 0.48},
        {"wilson": {"middle": 0.5}},
        {"estimate": [0.7]},
        {},
    ],
)
def test_what_is_not_the_same_kind_does_not_agree(expected):
    assert not run_case(PROPORTION | {"expected": expected, "tolerance": 10}).passed


def test_not_estimable_is_flagged_whole_or_by_nulls(run):
    empty = PROPORTION | {"inputs": {"x": 0, "n": 0}}
    whole = empty | {"id": "whole", "expected": {"status": "not_estimable"}, "tolerance": 0}
    nulls = empty | {"id": "nulls", "expected": {"estimate": None, "wilson": {"lower": None, "upper": None}}}
    numbers = empty | {"id": "numbers", "expected": {"estimate": 0}}
    code, lines, values = run(whole, nulls, numbers)
    assert lines[-1] == "2 passed, 1 failed"
    assert code != 0
    assert values["whole"] == {"status": "not_estimable"}
    assert values["nulls"] == {"estimate": None, "wilson": {"lower": None, "upper": None}}


def test_a_repeated_id_is_a_failure(run):
    code, lines, _ = run(PROPORTION, PROPORTION)
    assert code != 0
    assert lines[-1] == "1 passed, 1 failed"


def test_limits_stored_unclipped_are_cut_before_they_are_compared():
    case = PROPORTION | {"inputs": {"x": 1, "n": 29}, "expected": {"wald_unclipped": {"lower": 0, "upper": 0.100892}}}
    assert run_case(case).passed
    assert not run_case(case | {"expected": {"wald_unclipped": {"lower": 0.01, "upper": 0.100892}}}).passed


KM = {
    "id": "k",
    "method": "kaplan_meier",
    "inputs": {
        "time": [2, 3, 3, 5, 8, 10, 4, 6, 7, 9, 12, 12],
        "status": [1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0],
        "group": ["placebo"] * 6 + ["drug"] * 6,
        "times": [3],
        "tau": 10,
    },
}


@pytest.mark.parametrize(
    ("expected", "tolerance", "passes"),
    [
        ({"logrank": {"p": 0.2851}}, {"default": 1e-7, "p": 1e-3}, True),
        ({"logrank": {"p": 0.2851}}, {"default": 1e-7, "pp": 1e-3}, False),
        # The exception for `p` must not loosen a group whose name begins with that letter.
        ({"groups": {"placebo": {"median": 5.0001}}}, {"default": 1e-7, "p": 1e-3}, False),
        ({"groups": {"placebo": {"rmst": {"se": 1.27596}}}}, {"default": 1e-7, "rmst_se": 1e-4}, True),
        ({"groups": {"placebo": {"rmst": {"rmst": 5.94444}}}}, {"default": 1e-7, "rmst_se": 1e-4}, False),
        ({"cox_efron": {"se": 0.7742}}, {"default": 1e-7, "cox_efron": 1e-4}, True),
        ({"logrank": {"chi2": 1.2}}, {"default": 1e-7, "chi2_relative": 0.1}, True),
        ({"logrank": {"chi2": 1.4}}, {"default": 1e-7, "chi2_relative": 0.1}, False),
    ],
)
def test_tolerances_by_key(expected, tolerance, passes):
    assert run_case(KM | {"expected": expected, "tolerance": tolerance}).passed is passes


def test_logrank_counts_are_in_sorted_order_and_hazard_in_order_of_appearance():
    result = run_case(
        KM | {"expected": {"logrank": {"observed": [3, 4]}, "cox_efron": {"log_hr": -0.8071}}, "tolerance": 1e-3}
    )
    assert result.passed


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cases": 3}', '{"other": []}', "[" * 100_000])
def test_a_file_that_holds_no_cases_is_refused(tmp_path, capsys, content):
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    assert main([str(bad)]) == 2
    assert str(bad) in capsys.readouterr().err


def test_missing_file_and_empty_file(tmp_path, capsys):
    assert main([str(tmp_path / "none.json")]) == 2
    empty = tmp_path / "empty.json"
    empty.write_text('{"cases": []}')
    assert main([str(empty)]) != 0
    assert capsys.readouterr().out.strip() == "0 passed, 0 failed"


def test_infinity_is_written_as_text(run):
    case = {
        "id": "or",
        "method": "two_by_two",
        "inputs": {"table": [[5, 0], [2, 3]]},
        "expected": {"odds_ratio_sample": "Inf"},
    }
    code, _, values = run(case)
    assert code == 0
    assert values["or"] == {"odds_ratio_sample": "Inf"}


def test_visits_come_in_time_order_even_when_the_first_patient_lacks_one():
    rows = [("1", "M3"), ("1", "M6"), ("2", "W2"), ("2", "M3"), ("3", "W2"), ("3", "M6")]
    inputs = {
        "id": [r[0] for r in rows],
        "arm": ["test", "test", "control", "control", "test", "test"],
        "visit": [r[1] for r in rows],
        "baseline": [5, 5, 6, 6, 7, 7],
        "nrs": [1, 2, 3, 4, 5, 6],
    }
    result = run_case({"method": "mmrm_unstructured", "inputs": inputs, "expected": {}})
    assert result.computed == {"status": "not_estimable"}
    shape = {"contrasts": [{"visit": "W2"}, {"visit": "M3"}, {"visit": "M6"}]}
    again = run_case({"method": "mmrm_unstructured", "inputs": inputs, "expected": shape})
    assert [contrast["visit"] for contrast in again.computed["contrasts"]] == ["W2", "M3", "M6"]


def test_a_file_that_is_not_text_is_refused(tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"\xff\xfe\x00")
    assert main([str(bad)]) == 2
    assert "UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": None}, "names no method"),
        ({"inputs": None}, "must be an object"),
        ({"inputs": [14, 20]}, "must be an object"),
        ({"inputs": {"x": 14}}, "'n' is missing"),
        ({"inputs": {"x": "14", "n": 20}}, "not the text '14'"),
        ({"inputs": {"x": float("nan"), "n": 20}}, "finite"),
        ({"inputs": {"x": None, "n": 20}}, "not what the method needs"),
        ({"inputs": {"x": 14, "n": 20, "conf": 95}}, "between 0 and 1"),
        ({"tolerance": "small"}, "tolerance must be a number"),
        ({"tolerance": {"default": None}}, "tolerance must be a number"),
        ({"expected": {"waldo": {"lower": 0.1}}}, "waldo: not computed"),
        ({"expected": {"wilson": {"middle": 0.1}}}, "wilson.middle: not computed"),
        ({"expected": {"estimate": 10**400}}, "not what the method needs"),
        ({"method": "permuted_blocks_count", "inputs": {"block_size": 10**7, "arms": 2}}, "at most 1000"),
        ({"method": "two_by_two", "inputs": {"table": [[3, 1], [1]]}}, "two rows of two cells"),
        ({"method": "two_by_two", "inputs": {"table": [[10**9, 10**9], [10**9, 10**9]]}}, "too large"),
        ({"method": "stratified_2x2", "inputs": {"strata": [[1, 2, 3, 4]]}}, "must be an object"),
        ({"method": "wilcoxon_rank_sum", "inputs": {"x": [1, None], "y": [2]}}, "missing or infinite"),
        (
            {"method": "kaplan_meier", "inputs": {"time": [1, 2], "status": [1], "group": ["a", "a"], "times": [1]}},
            "same length",
        ),
        (
            {"method": "kaplan_meier", "inputs": {"time": [1], "status": [1], "group": [None], "times": [1]}},
            "names or numbers",
        ),
    ],
)
def test_a_malformed_case_fails_with_a_sentence_and_the_next_one_runs(run, change, said):
    code, lines, values = run(PROPORTION | {"id": "bad"} | change, PROPORTION)
    assert code == 1
    assert lines[-1] == "1 passed, 1 failed"
    assert lines[0].startswith("FAIL bad")
    assert said in lines[0]
    assert values["p"]["estimate"] == 0.7


def test_cases_that_are_not_objects_and_ids_of_all_kinds(run):
    code, lines, values = run(
        "text",
        None,
        PROPORTION | {"id": None},
        PROPORTION | {"id": 7},
        PROPORTION | {"id": "two\nlines \ud800"},
        PROPORTION | {"id": 7.5, "expected": {"estimate": 0.1}},
        PROPORTION | {"id": 7, "expected": {"estimate": 0.1}},
    )
    assert code == 1
    assert len(lines) == 8
    assert lines[-1] == "3 passed, 4 failed"
    assert values["case 3"]["estimate"] == 0.7
    # The values of the first case of an id are kept; the second has a name of its own.
    assert values["7"]["estimate"] == 0.7
    assert values["7 (case 7)"] == {"estimate": 0.7}


def test_a_part_that_is_not_estimable_may_be_expected_as_one_null():
    """A program that gives no test at all without events writes null in its place."""
    inputs = {"time": [1, 2, 3, 4], "status": [0] * 4, "group": ["a", "a", "b", "b"], "times": [2]}
    for nothing in (None, {"status": "not_estimable"}):
        result = run_case({"method": "kaplan_meier", "inputs": inputs, "expected": {"logrank": {"chi2": None}}})
        assert result.passed
        result = run_case({"method": "kaplan_meier", "inputs": inputs, "expected": {"cox_efron": nothing}})
        assert result.passed
        assert result.computed == {"cox_efron": nothing}
    # A part with one number in it is not nothing.
    result = run_case({"method": "kaplan_meier", "inputs": inputs, "expected": {"groups": None}})
    assert not result.passed


def test_optional_inputs_may_be_null_and_counts_may_be_written_as_floats():
    km = KM | {"inputs": KM["inputs"] | {"tau": None, "conf": None}, "tolerance": 1e-4}
    result = run_case(km | {"expected": {"logrank": {"chi2": 1.14243}, "groups": {"drug": {"n": 6.0}}}})
    assert result.passed
    assert "rmst" not in run_case(km | {"expected": {"groups": {"drug": {"rmst": None}}}}).computed["groups"]["drug"]
    floats = PROPORTION | {"inputs": {"x": 14.0, "n": 20.0, "conf": None}}
    assert run_case(floats).passed
    blocks = {"method": "permuted_blocks_properties", "expected": {"final_imbalance": 0}}
    assert run_case(blocks | {"inputs": {"allocations": list("BAAB"), "block_sizes": [4.0]}}).passed
    looks = {"method": "classical_boundary", "inputs": {"looks": 1.0, "alpha_one_sided": 0.025}}
    assert run_case(looks | {"expected": {"pocock_z": [1.959964]}, "tolerance": 1e-6}).passed


def test_a_group_is_one_whether_its_number_is_whole_or_text():
    inputs = {"time": [1, 2, 3, 4, 5], "status": [1] * 5, "group": [10, 2.0, 2, "2", 10], "times": [2]}
    result = run_case({"method": "kaplan_meier", "inputs": inputs, "expected": {"groups": {"2": {"n": 3}}}})
    assert result.passed
    # Numbers alone are sorted by size, as R sorts the levels of a numeric factor.
    numbers = KM | {"inputs": KM["inputs"] | {"group": [10] * 6 + [2] * 6}, "tolerance": 1e-9}
    assert run_case(numbers | {"expected": {"logrank": {"observed": [3, 4]}}}).passed


def test_a_level_of_the_new_patient_may_be_a_number():
    counts = {"ecog": {"0": {"test": 5, "control": 1}, "1": {"test": 0, "control": 3}}}
    inputs = {"counts": counts, "new_patient": {"ecog": 1}, "weights": {"ecog": 1}, "measure": "range"}
    case = {"method": "pocock_simon_minimisation", "inputs": inputs}
    assert run_case(case | {"expected": {"scores": {"test": 2, "control": 4}, "preferred": "test"}}).passed


def test_pooling_without_the_size_of_the_complete_data_has_rubins_degrees_of_freedom():
    """(m - 1) / lambda^2 = 4 / (0.0015 / 0.0115)^2, as mice's pool.scalar with n = Inf."""
    inputs = {"estimates": [0.1, 0.15, 0.05, 0.1, 0.1], "variances": [0.01] * 5, "n_complete": None, "k": None}
    case = {"method": "rubin_pooling", "inputs": inputs, "tolerance": 1e-9}
    assert run_case(case | {"expected": {"df_barnard_rubin": 4 * (0.0115 / 0.0015) ** 2}}).passed


def test_sites_that_are_missing_leave_the_patient_out():
    inputs = {
        "arm": ["test", "control"] * 5,
        "baseline": [1, 2, 4, 3, 5, 5, 7, 6, 8, 9],
        "post": [2, 1, 5, 2, 5, 6, 6, 7, 9, 9],
        "site": ["A", "A", "B", "B", "A", "B", "B", "A", None, "A"],
    }
    with_missing = run_case({"method": "ancova", "inputs": inputs, "expected": {"df": 5}})
    assert with_missing.passed


def test_a_reader_who_stops_early_does_not_stop_the_run(tmp_path):
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "spinetrial.stats.reference", str(SELF_TEST_FILE), "--json", str(out)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 0
    assert errors == ""
    assert len(json.loads(out.read_text(encoding="utf-8"))) == len(load_cases(SELF_TEST_FILE))
