"""The reference command and the shipped self-test."""

import json
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


@pytest.mark.parametrize("content", ["", "[]", '{"cases": 3}', '{"cases": ["x"]}', '{"other": []}'])
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
