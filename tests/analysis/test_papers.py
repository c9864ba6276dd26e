"""The papers recomputed: every verdict follows from numbers, and the numbers are those of the papers' tables."""

import ast
import dataclasses
import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spinetrial.analysis.papers as package
from spinetrial.analysis.own_table import MAX_2X2, MAX_LARGER, OwnTable, own_table
from spinetrial.analysis.papers import papers
from spinetrial.analysis.papers.imrt import Moments
from spinetrial.analysis.papers.model import Check, Layout, Part, Printed, Result, Verdict
from spinetrial.analysis.papers.pieces import p_range, share_check, t_check, table_check
from spinetrial.analysis.papers.sib_sbrt import single_arm_designs
from spinetrial.protocol import CURRENT
from spinetrial.protocol.text import Line
from spinetrial.stats.estimate import Estimate, Reason, known, not_estimable

FOUND = {paper.code: paper for paper in papers(CURRENT)}
CHECKS = [(paper.code, check) for paper in FOUND.values() for check in paper.checks]


def named(paper, claim) -> Check:
    return next(check for check in FOUND[paper].checks if check.claim == claim)


def rounded(check: Check, result: Result) -> tuple[str, ...]:
    """The computed values written with the printed number of digits."""
    scale = 100 if check.printed.percent else 1
    return tuple(
        "none" if each.value is None else f"{each.value * scale:.{len(number.partition('.')[2])}f}"
        for number, each in zip(check.printed.numbers, result.values, strict=True)
    )


@pytest.mark.parametrize(("paper", "check"), CHECKS, ids=[f"{code}: {check.claim}" for code, check in CHECKS])
def test_a_verdict_is_what_the_digits_say(paper, check):
    deciding = [result for result in check.results if result.part is not Part.SUPPOSED]
    same = [rounded(check, result) == check.printed.numbers for result in deciding]
    if check.verdict is Verdict.REPRODUCED:
        assert any(same)
    elif check.verdict is Verdict.NOT_CHECKABLE:
        assert not deciding
    else:
        assert deciding
        assert not any(same)
    if check.verdict in (Verdict.IMPOSSIBLE, Verdict.POSSIBLE):
        assert check.why, "a reader wants to know why"


#: What the papers print and what follows, from the project's reference material; the code derives it from counts alone.
EXPECTED = {
    "protocol": {
        "Power": Verdict.REPRODUCED,
        "Patients to randomise, 10 per cent loss": Verdict.REPRODUCED,
    },
    "imrt": {
        "Age, years": Verdict.POSSIBLE,
        "Body mass index": Verdict.POSSIBLE,
        "Karnofsky performance status": Verdict.IMPOSSIBLE,
        "Partial response, 3 months, 3DCRT": Verdict.IMPOSSIBLE,
        "Responders, 6 months, IMRT": Verdict.IMPOSSIBLE,
        "Patients with pain response at 6 months, IMRT": Verdict.IMPOSSIBLE,
        "Pathological fracture, 6 months": Verdict.NOT_CHECKABLE,
        "Overall survival (log-rank)": Verdict.NOT_CHECKABLE,
        "Patients per arm for 0.8 standard deviations, 80 per cent power": Verdict.POSSIBLE,
    },
    "sib_sbrt": {
        "Overall survival, 1 year": Verdict.REPRODUCED,
        "Local control, 2 years": Verdict.REPRODUCED,
        "Vertebral compression fracture, 1 year, cumulative incidence": Verdict.REPRODUCED,
        "Segments needed": Verdict.POSSIBLE,
    },
    "cohort": {
        "Local control, 1 year": Verdict.REPRODUCED,
        "Local control, 2 years": Verdict.IMPOSSIBLE,
        "Rate printed as 66.7 per cent": Verdict.REPRODUCED,
        "Progression-free survival, end of the curve": Verdict.POSSIBLE,
        "Renal cancer": Verdict.IMPOSSIBLE,
        "The share of 20 of 24 patients": Verdict.IMPOSSIBLE,
        "The share of 4 of 28 targets, in one place": Verdict.IMPOSSIBLE,
        "The share of 4 of 28 targets, in another": Verdict.REPRODUCED,
        "Patients behind the rate of pain relief": Verdict.IMPOSSIBLE,
        "Oligometastatic patients in the table": Verdict.IMPOSSIBLE,
    },
}


def test_the_verdicts_are_those_of_the_reference_material():
    assert {
        code: {claim: named(code, claim).verdict for claim in claims} for code, claims in EXPECTED.items()
    } == EXPECTED


def test_every_categorical_p_of_the_imrt_paper_is_an_uncorrected_chi_square():
    tables = [check for check in FOUND["imrt"].checks if check.table]
    assert len(tables) == 17
    for check in tables:
        assert check.verdict is Verdict.REPRODUCED
        assert check.printed.agrees(check.results[0].values)
        assert "uncorrected" in check.results[0].method


@pytest.mark.parametrize(
    ("claim", "fisher"),
    [
        ("Pathological fracture, baseline", "0.353"),
        ("Pathological fracture, 3 months", "1.000"),
        ("Responders, 3 months", "0.200"),
        ("Responders, 6 months", "0.694"),
        ("Response in four categories, 3 months", "0.424"),
        ("Response in four categories, 6 months", "0.779"),
    ],
)
def test_the_exact_test_stands_beside_and_few_expected_counts_are_flagged(claim, fisher):
    check = named("imrt", claim)
    assert f"{check.results[-1].values[0].value:.3f}" == fisher
    assert check.few_expected is (claim != "Responders, 3 months")


def test_the_rare_tables_that_give_p_1000_are_those_of_equal_shares():
    check = named("imrt", "Pathological fracture, 6 months")
    values = dict(check.why.values)
    shares = [(x1, x0) for x1 in range(1, 18) for x0 in range(1, 12) if x1 * 12 == x0 * 18]
    assert (values["n"], values["x1"], values["x0"]) == (str(len(shares)), *map(str, shares[0]))


def test_the_moments_that_round_to_the_printed_ones_bound_p():
    one, other = Moments("64.9", "9.32", 30), Moments("61.3", "9.7", 30)
    low, high = p_range(one, other)
    assert (round(low, 3), round(high, 3)) == (0.136, 0.161)
    assert not low <= 0.283 <= high
    assert p_range(Moments("25.7", "4.4", 30), Moments("25.6", "5.7", 30))[1] == 1.0


def test_the_trial_is_planned_for_a_better_study_arm_and_has_little_power_at_equal_rates():
    listing = FOUND["protocol"].listings[0]
    assert [row[0] for row in listing.rows] == ["62 %", "70 %", "75 %", "80 %", "85 %"]
    assert [row[2] for row in listing.rows] == ["24.8 %", "24.8 %", "25.9 %", "29.1 %", "34.3 %"]
    assert [row[3] for row in listing.rows] == ["165", "147", "131", "112", "89"]
    assert [row[4] for row in listing.rows] == ["163", "146", "132", "115", "95"]
    power = named("protocol", "Power")
    assert power.printed.numbers == ("0.809",)
    agreeing = [result.method for result in power.results if power.printed.agrees(result.values)]
    assert agreeing == ["Normal approximation, pooled variance"]


def test_the_saw_tooth_of_the_single_arm():
    valid = {
        int(design.n): (int(design.successes.value), round(design.actual_alpha.value, 3))
        for design in single_arm_designs()
        if design.actual_power.value >= 0.80
    }
    assert valid[25] == (23, 0.098)
    assert valid[26] == (24, 0.084)
    assert 31 not in valid
    assert {30, 32} <= set(valid)
    assert min(valid) == 25


def answers_in(source: str, printed: str) -> list[str]:
    """Numbers of a source that are neither counts nor in the papers' own text `printed`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, float):
            found += [repr(value)] * (Decimal(repr(value)).normalize().as_tuple().exponent < -2 and value > 1e-6)
        if isinstance(value, str):
            found += [value] * bool(re.fullmatch(r"[0-9]*\.[0-9]+", value) and value not in printed)
    return found


def test_only_counts_and_printed_numbers_are_data():
    printed = " ".join(
        [number for _code, check in CHECKS for number in check.printed.numbers]
        + [value for _code, check in CHECKS for _name, value in check.basis.values]
    )
    for path in Path(package.__file__).parent.glob("*.py"):
        assert answers_in(path.read_text(encoding="utf-8"), printed) == [], path.name
    assert answers_in('p = 0.353; share = "75.0"', printed) == ["0.353", "75.0"]


# --- the rule of the verdict ---

NEAR, FAR = known(0.1611), known(0.353)


def check(*results, compatible=False):
    return Check("group", "claim", Printed(("0.161",)), Line(""), results, compatible=compatible)


@pytest.mark.parametrize(
    ("results", "compatible", "verdict"),
    [
        ([], False, Verdict.NOT_CHECKABLE),
        ([Result("a", (NEAR,), Part.SUPPOSED)], True, Verdict.NOT_CHECKABLE),
        ([Result("a", (NEAR,), Part.NAMED), Result("b", (FAR,))], False, Verdict.REPRODUCED),
        ([Result("a", (FAR,), Part.NAMED), Result("b", (NEAR,))], False, Verdict.OTHER_METHOD),
        ([Result("a", (FAR,)), Result("b", (NEAR,))], False, Verdict.REPRODUCED),
        ([Result("a", (FAR,)), Result("b", (NEAR,), Part.SUPPOSED)], False, Verdict.IMPOSSIBLE),
        ([Result("a", (FAR,), Part.NAMED)], True, Verdict.POSSIBLE),
        ([Result("a", (not_estimable(Reason.AT_BOUNDARY),), Part.NAMED)], False, Verdict.IMPOSSIBLE),
    ],
)
def test_the_verdict_rule(results, compatible, verdict):
    assert check(*results, compatible=compatible).verdict is verdict


@pytest.mark.parametrize(
    ("printed", "value", "agrees"),
    [
        (Printed(("0.161",)), 0.1615, True),  # a half may have been rounded either way
        (Printed(("0.162",)), 0.1615, True),
        (Printed(("0.161",)), 0.16151, False),
        (Printed(("92.0",), percent=True), 0.92, True),
        (Printed(("92.0",), percent=True), 0.9206, False),
        (Printed(("26",)), 25.0, False),
        (Printed(("92.0",)), 0.92, False),
    ],
)
def test_agreement_is_to_the_printed_digit(printed, value, agrees):
    assert printed.agrees((known(value),)) is agrees


def test_every_number_of_a_result_must_agree():
    printed = Printed(("92.0", "71.6", "97.9"), percent=True, layout=Layout.LIMITS)
    assert printed.agrees((known(0.92), known(0.7164), known(0.9794)))
    assert not printed.agrees((known(0.92), known(0.7164), known(0.9902)))
    assert not printed.agrees((known(0.92),))


def test_a_planted_misprint_is_found_in_every_kind_of_claim():
    arms = ("one", "other")
    assert table_check("", "", "0.162", ((1, 29), (4, 26)), arms).verdict is Verdict.IMPOSSIBLE
    assert table_check("", "", "0.353", ((1, 29), (4, 26)), arms).verdict is Verdict.OTHER_METHOD
    assert share_check("", "", "20.1", 4, 19).verdict is Verdict.IMPOSSIBLE
    assert share_check("", "", "21.1", 4, 19).verdict is Verdict.REPRODUCED
    weight = Moments("75.8", "14.9", 30), Moments("76.2", "19.4", 30)
    assert t_check("", "", "0.929", *weight).verdict is Verdict.REPRODUCED
    assert t_check("", "", "0.900", *weight).verdict is Verdict.IMPOSSIBLE


# --- a table of one's own ---


def test_a_table_of_the_paper_entered_again_gives_its_numbers():
    own = own_table(((1, 29), (4, 26)), 0.95)
    found = own.two_by_two
    assert own.larger is None
    assert own.expected == ((2.5, 27.5), (2.5, 27.5))
    assert round(found.chi_square.pearson_p.value, 3) == 0.161
    assert round(found.chi_square.yates_p.value, 3) == 0.350
    assert round(found.fisher.p.value, 3) == 0.353
    assert round(found.odds.sample.value, 4) == round(26 / (29 * 4), 4)
    assert round(found.difference.estimate.value, 6) == -0.1
    larger = own_table(((10, 4, 1, 5), (5, 4, 3, 7)), 0.95)
    assert larger.two_by_two is None
    assert round(larger.larger.pearson_p.value, 3) == 0.395
    assert round(larger.larger.exact_p.value, 3) == 0.424


@pytest.mark.parametrize(
    "rows",
    [
        (),
        ((1, 2),),
        ((1,), (2,)),
        ((1, 2), (3,)),
        ((1, 2), (3, -1)),
        ((1,) * 6,) * 2,
        ((1, 2),) * 6,
        ((MAX_2X2, 1), (0, 0)),
        ((MAX_LARGER, 1, 0), (0, 0, 0)),
    ],
)
def test_what_is_no_table_is_refused(rows):
    with pytest.raises(ValueError):
        own_table(rows, 0.95)


def estimates(result):
    """Every estimate within a result."""
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Estimate):
            yield value
        elif dataclasses.is_dataclass(value):
            yield from estimates(value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=3), min_size=2, max_size=3))
def test_any_small_table_has_numbers_or_reasons(rows):
    if len({len(row) for row in rows}) > 1:
        with pytest.raises(ValueError):
            own_table(tuple(map(tuple, rows)), 0.95)
        return
    found = own_table(tuple(map(tuple, rows)), 0.95)
    assert isinstance(found, OwnTable)
    assert found.n == sum(map(sum, rows))
    assert math.isclose(sum(map(sum, found.expected)), found.n, abs_tol=1e-9)
    given_numbers = list(estimates(found))
    assert len(given_numbers) > 5
    assert not any(each.value is not None and math.isnan(each.value) for each in given_numbers)
