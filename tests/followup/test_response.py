"""The truth table of the consensus with the decided gaps, and what must hold for any input."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followup.response import (
    CATEGORY_LABELS,
    CLAUSE_LABELS,
    NE_REASON_LABELS,
    READING_LABELS,
    Category,
    Clause,
    NeReason,
    Reading,
    exact,
    respond,
)

CR, PR, PP, IR, NE = Category

# number in the truth table, p0, m0, p1, m1, literal, tolerant, decided category of both
CASES = [
    (1, 6, 60, 0, 60, CR, CR),
    (2, 6, 60, 0, 45, CR, CR),
    (3, 6, 60, 0, 65, IR, CR),
    (4, 6, 60, 0, 80, IR, IR),
    (5, 6, 60, 4, 60, PR, PR),
    (6, 6, 60, 5, 60, IR, IR),
    (7, 6, 60, 4, 70, IR, PR),
    (8, 6, 60, 4, 80, IR, IR),
    (9, 6, 60, 6, 45, PR, PR),
    (10, 6, 60, 6, 46, IR, IR),
    (11, 6, 60, 5, 45, PR, PR),
    (12, 6, 60, 7, 40, IR, IR),
    (13, 6, 60, 8, 60, PP, PP),
    (14, 6, 60, 7, 75, PP, PP),
    (15, 6, 60, 6, 75, PP, PP),
    (16, 6, 60, 5, 75, IR, IR),
    (17, 6, 60, 8, 80, PP, PP),
    (18, 6, 60, 8, 40, IR, IR),
    (19, 6, 60, 7, 60, IR, IR),
    (19, 6, 60, 6, 70, IR, IR),
    (20, 6, 0, 4, 0, PR, PR),
    (21, 6, 0, 6, 10, PP, PP),
    (21, 6, 0, 4, 10, IR, IR),
    (21, 6, 0, 0, 5, IR, IR),
    (22, 1, 0, 0, 0, CR, CR),
    (23, 6.0, 60, 4.1, 60, IR, IR),
    (24, 0, 60, 0, 45, NE, NE),
    (25, 6, 60, 0, None, NE, NE),
    (25, 6, None, 4, 60, NE, NE),
    (25, 6, 60, None, 60, NE, NE),
    (25, 6, 60, None, None, NE, NE),
]


@pytest.mark.parametrize(("row", "p0", "m0", "p1", "m1", "literal", "tolerant"), CASES)
def test_truth_table(row, p0, m0, p1, m1, literal, tolerant):
    assert respond(p0, m0, p1, m1).category is literal
    assert respond(p0, m0, p1, m1, Reading.TOLERANT).category is tolerant
    assert respond(p0, m0, p1, m1).responder == (literal in (CR, PR))


def test_all_rows_of_the_table_are_here():
    assert {case[0] for case in CASES} == set(range(1, 26))


def test_the_gap_of_row_17_shows_the_literal_reading():
    for reading in (Reading.LITERAL, Reading.TOLERANT):
        response = respond(6, 60, 8, 80, reading)
        assert (response.category, response.literal_text) == (PP, IR)
        assert response.working[-1].render() == "Pain and OMED both rose: IR by the text alone, PP by D5."
    assert respond(6, 60, 8, 60).literal_text is PP


def test_working_of_a_case():
    lines = [line.render() for line in respond(6, 60, 4, 45).working]
    assert lines == [
        "Pain: baseline 6, visit 4, change -2.",
        "OMED: baseline 60, visit 45 mg/day, change -25 per cent.",
        "PR: pain at least 2 below baseline without an increase of analgesics.",
    ]
    unknown = [line.render() for line in respond(6, 60, 4, None).working]
    assert unknown == [
        "Pain: baseline 6, visit 4, change -2.",
        "OMED: baseline 60, visit ? mg/day.",
        "Not evaluable: Analgesics unknown",
    ]


@pytest.mark.parametrize(
    ("p0", "p1", "expected"),
    [(6, 4, PR), (6, 5, IR), (6, 0, CR), (6, 8, PP), (1, 0, IR), (2, 0, CR), (6, None, NE), (0, 0, NE), (None, 2, NE)],
)
def test_pain_score_alone(p0, p1, expected):
    assert respond(p0, None, p1, None, Reading.NRS_ONLY).category is expected
    assert respond(p0, 10, p1, 500, Reading.NRS_ONLY).category is expected


@pytest.mark.parametrize(
    ("arguments", "more", "reason"),
    [
        ((None, 60, 4, 60), {}, NeReason.BASELINE_PAIN_MISSING),
        ((0, 60, 4, 60), {}, NeReason.BASELINE_PAIN_ZERO),
        ((6, None, 4, 60), {}, NeReason.BASELINE_ANALGESICS_UNKNOWN),
        ((6, 60, 0, 60), {"intervention": True}, NeReason.INTERVENTION),
        ((6, 60, None, None), {"missing": NeReason.DEAD}, NeReason.DEAD),
        ((6, 60, None, 60), {}, NeReason.NOT_DONE),
        ((6, 60, 4, None), {"missing": NeReason.TOO_ILL}, NeReason.ANALGESICS_UNKNOWN),
    ],
)
def test_reasons_for_not_evaluable(arguments, more, reason):
    response = respond(*arguments, **more)
    assert (response.category, response.ne_reason, response.responder) == (NE, reason, False)


def test_an_intervention_still_shows_the_score():
    response = respond(6, 60, 0, 60, intervention=True)
    assert response.pain_change == -6
    assert response.working[0].render() == "Pain: baseline 6, visit 0, change -6."


@pytest.mark.parametrize(
    ("m0", "m1", "expected"),
    [
        (Decimal("0.1"), Decimal("0.075"), PR),
        (0.1, 0.075, PR),
        (Decimal("45.2"), Decimal("33.9"), PR),
        (Decimal("45.2"), Decimal("33.901"), IR),
        (Fraction(1, 3), Fraction(1, 4), PR),
        (Decimal("0.3"), Decimal("0.375"), PP),
        (0.3, 0.375, PP),
        (Decimal("0.3"), Decimal("0.37499"), IR),
    ],
)
def test_the_25_per_cent_border_is_exact(m0, m1, expected):
    assert respond(6, m0, 6, m1).category is expected


@pytest.mark.parametrize(
    "arguments", [(11, 0, 1, 0), (6, 0, -1, 0), (6, -1, 1, 0), (6, 0, 1, -0.1), (6, 0, 1, float("nan"))]
)
def test_impossible_input_is_refused(arguments):
    with pytest.raises(ValueError):
        respond(*arguments)


def test_numbers_are_taken_as_written():
    assert exact(4.1) == exact(Decimal("4.1")) == Fraction(41, 10)


def test_every_code_has_words():
    assert set(CATEGORY_LABELS) == set(Category)
    assert set(CLAUSE_LABELS) == set(Clause)
    assert set(NE_REASON_LABELS) == set(NeReason)
    assert set(READING_LABELS) == set(Reading)


PAIN = st.none() | st.integers(0, 10) | st.decimals(0, 10, places=1)
DOSE = st.none() | st.integers(0, 400) | st.decimals(0, 400, places=2)
READINGS = st.sampled_from(Reading)


@given(PAIN, DOSE, PAIN, DOSE, READINGS, st.booleans())
def test_total_and_deterministic(p0, m0, p1, m1, reading, intervention):
    first = respond(p0, m0, p1, m1, reading, intervention=intervention)
    assert first == respond(p0, m0, p1, m1, reading, intervention=intervention)
    assert (first.category is NE) == (first.ne_reason is not None)
    assert first.responder == (first.category in (CR, PR))
    assert all("%(" not in line.render() for line in first.working)
    complete = None not in ((p0, p1) if reading is Reading.NRS_ONLY else (p0, m0, p1, m1))
    assert (first.category is not NE) == (complete and p0 > 0 and not intervention)


@given(PAIN, DOSE, PAIN, DOSE, READINGS, st.fractions(Fraction(1, 1000), 1000))
def test_the_unit_of_omed_does_not_matter(p0, m0, p1, m1, reading, factor):
    scaled = [None if dose is None else exact(dose) * factor for dose in (m0, m1)]
    assert respond(p0, scaled[0], p1, scaled[1], reading).category is respond(p0, m0, p1, m1, reading).category


def test_a_vas_of_10_mm_is_one_point():
    for mm, category in ((40, PR), (41, IR), (79, IR), (80, PP), (0, CR)):
        for pain in (Fraction(mm, 10), Decimal(mm) / 10, mm / 10):
            assert respond(Decimal("6.0"), 60, pain, 60).category is category


@given(st.fractions(Fraction(1, 10), 400, max_denominator=1000), st.sampled_from([Reading.LITERAL, Reading.TOLERANT]))
def test_a_thousandth_beyond_the_border_decides(dose, reading):
    """At constant pain 25 per cent down is PR and up is PP; at constant dose 2 points down is PR and up is PP."""
    nudge = Fraction(1, 1000)
    down, up = dose * 3 / 4, dose * 5 / 4
    assert [respond(6, dose, 6, each, reading).category for each in (down, down + nudge)] == [PR, IR]
    assert [respond(6, dose, 6, each, reading).category for each in (up, up - nudge)] == [PP, IR]
    assert [respond(6, dose, each, dose, reading).category for each in (4, 4 + nudge)] == [PR, IR]
    assert [respond(6, dose, each, dose, reading).category for each in (8, 8 - nudge)] == [PP, IR]
    # the border of "increase": any rise by the letter, 25 per cent by the tolerant reading
    literal = reading is Reading.LITERAL
    assert respond(6, dose, 0, dose, reading).category is CR
    assert respond(6, dose, 0, dose + nudge / 100, reading).category is (IR if literal else CR)
    assert respond(6, dose, 0, up, reading).category is IR


@given(st.fractions(1, 400, max_denominator=1000), st.fractions(Fraction(1, 10**6), Fraction(1, 10**3)))
def test_the_working_never_shows_a_border_that_is_not_reached(dose, little):
    for after, shown in ((dose * 3 / 4 + little, "-25"), (dose * 5 / 4 - little, "+25"), (dose + little / 10**3, "0")):
        line = respond(6, dose, 6, after).working[1].render()
        assert f"change {shown} per cent" not in line
    assert "change -25 per cent" in respond(6, dose, 6, dose * 3 / 4).working[1].render()


@given(st.integers(1, 10), DOSE, st.integers(0, 10), DOSE, DOSE, st.sampled_from([Reading.LITERAL, Reading.TOLERANT]))
def test_more_opioid_at_the_same_pain_never_gains_the_response(p0, m0, p1, one, other, reading):
    if None not in (one, other):
        less, more = sorted((exact(one), exact(other)))
        assert not respond(p0, m0, p1, more, reading).responder or respond(p0, m0, p1, less, reading).responder


@given(st.integers(1, 10), DOSE, st.integers(0, 10), DOSE)
def test_a_literal_responder_is_a_tolerant_responder(p0, m0, p1, m1):
    assert not respond(p0, m0, p1, m1).responder or respond(p0, m0, p1, m1, Reading.TOLERANT).responder


@given(st.integers(1, 10), st.integers(0, 300), st.integers(1, 10), st.integers(0, 300), READINGS)
def test_less_pain_at_the_same_dose_never_loses_the_response(p0, m0, p1, m1, reading):
    assert not respond(p0, m0, p1, m1, reading).responder or respond(p0, m0, p1 - 1, m1, reading).responder


@pytest.mark.parametrize(
    ("p0", "m0", "p1", "m1", "reading", "clause"),
    [
        (6, 60, 0, 60, Reading.LITERAL, Clause.CR),
        (6, 60, 4, 60, Reading.LITERAL, Clause.PR_PAIN),
        (6, 60, 6, 45, Reading.LITERAL, Clause.PR_OMED),
        (6, 60, 8, 60, Reading.LITERAL, Clause.PP_PAIN),
        (6, 60, 6, 75, Reading.LITERAL, Clause.PP_OMED),
        (6, 60, 8, 75, Reading.LITERAL, Clause.PP_BOTH),
        (6, 60, 6, 60, Reading.LITERAL, Clause.IR),
        (6, 60, 4, 90, Reading.NRS_ONLY, Clause.SCORE_FELL),
        (6, 60, 8, 0, Reading.NRS_ONLY, Clause.SCORE_ROSE),
        (6, 60, 7, 60, Reading.NRS_ONLY, Clause.SCORE_STEADY),
        (6, 60, None, 60, Reading.LITERAL, None),
    ],
)
def test_the_clause_that_gave_the_category(p0, m0, p1, m1, reading, clause):
    assert respond(p0, m0, p1, m1, reading).clause is clause
