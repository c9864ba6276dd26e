"""Pure readings of a course: sectors against an arm, gaps, days to come, doses."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiotherapy import dose_figures, fractions
from radiotherapy.fractions import Deviation
from radiotherapy.models import Course, Fraction, TargetVertebra
from radiotherapy.targets import arm_target_treated, proposal, target_findings
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import ArmRole
from spinetrial.terminology.sectors import CtvWarning

STUDY, CONTROL = (CURRENT.arm_of_role(role) for role in (ArmRole.STUDY, ArmRole.CONTROL))
ALL = (1, 2, 3, 4, 5, 6)


def target(gtv, ctv, **values):
    ticks = {f"gtv{n}": n in gtv for n in ALL} | {f"ctv{n}": n in ctv for n in ALL}
    return TargetVertebra(level="T8", **ticks, **values)


def codes(arm, *args, **values):
    return {finding.code for finding in target_findings(arm, target(*args, **values))}


def test_control_arm_needs_the_whole_vertebra():
    assert codes(CONTROL, (1,), ALL) == set()
    assert codes(CONTROL, (1,), (1, 2, 6)) == {CtvWarning.NOT_WHOLE}


def test_study_arm_and_the_ring():
    assert CtvWarning.RING_WITHOUT_REASON in codes(STUDY, (1,), ALL)
    assert CtvWarning.RING_WITHOUT_REASON not in codes(STUDY, (1,), ALL, ring_reason="epidural")
    assert CtvWarning.RING_WITHOUT_REASON not in codes(STUDY, (1, 2, 4, 6), ALL, ring_reason="all_parts")
    assert codes(STUDY, (2,), (2, 3)) == set()


def test_proposal_reads_where_the_tumour_lies_in_the_body():
    assert proposal(target((1,), (1,))) == {1}
    assert proposal(target((1,), (1,), body_extent="left")) == {1, 2, 3}
    assert proposal(target((1,), (1,), body_extent="diffuse")) == {1, 2, 3, 5, 6}


def test_target_treated_for_the_per_protocol_set():
    whole, part = target((1,), ALL), target((1,), (1,))
    assert arm_target_treated(CONTROL, [whole])
    assert not arm_target_treated(CONTROL, [whole, part])
    assert not arm_target_treated(CONTROL, [])
    assert arm_target_treated(CONTROL, [whole, target((1,), (1,), sector_remark="earlier cement in the arch")])
    assert arm_target_treated(STUDY, [part])
    assert not arm_target_treated(STUDY, [whole])
    # a proposal not followed is a warning, no deviation
    assert arm_target_treated(STUDY, [target((1,), (1,), body_extent="left")])


def rows(*days, **values):
    return [Fraction(number=n, date=day, given=True, dose_gy=3, **values) for n, day in enumerate(days, 1)]


MONDAY = date(2025, 11, 3)


@pytest.mark.parametrize(
    ("earlier", "later", "days"),
    [
        (MONDAY, date(2025, 11, 4), 0),
        (MONDAY, MONDAY, 0),
        (date(2025, 11, 7), date(2025, 11, 10), 0),  # over the weekend
        (date(2025, 11, 7), date(2025, 11, 11), 1),
        (MONDAY, date(2025, 11, 17), 9),
        (date(2025, 11, 8), date(2025, 11, 10), 0),
    ],
)
def test_missed_days_count_treatment_weekdays_only(earlier, later, days):
    assert fractions.missed_days(earlier, later) == days


def test_deviations_in_order():
    found = fractions.deviations(
        [
            *rows(MONDAY, date(2025, 11, 5), date(2025, 11, 8), date(2025, 11, 8)),
            Fraction(number=5, date=date(2025, 11, 10), given=False, gap_reason="toxicity"),
        ]
    )
    assert [(each.kind, each.number, each.days, each.explained) for each in found] == [
        (Deviation.GAP, 2, 1, False),
        (Deviation.OFF_DAY, 3, 0, False),
        (Deviation.GAP, 3, 2, False),
        (Deviation.OFF_DAY, 4, 0, False),
        (Deviation.SAME_DAY, 4, 0, False),
        (Deviation.LEFT_OUT, 5, 0, True),
    ]


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 10), st.integers(-20, 40))
def test_days_to_come_are_treatment_days_after_what_is_done(start, done, shift):
    course = Course(planned_start=start)
    planned = fractions.days_to_come(course, [], start)
    assert list(planned) == list(range(1, 11))
    given_rows = rows(*list(planned.values())[:done])
    today = start + timedelta(days=shift)
    coming = fractions.days_to_come(course, given_rows, today)
    assert list(coming) == list(range(done + 1, 11))
    assert all(day.weekday() < 5 and day >= today for day in coming.values())
    if given_rows and coming:
        assert min(coming.values()) > given_rows[-1].date
    assert fractions.next_number(course, given_rows) == (done + 1 if done < 10 else None)


def test_a_monday_start_ends_on_day_twelve():
    assert max(fractions.days_to_come(Course(planned_start=MONDAY), [], MONDAY).values()) == date(2025, 11, 14)


def test_an_ended_course_has_nothing_to_come():
    course = Course(planned_start=MONDAY, ending="stopped_early")
    assert fractions.days_to_come(course, rows(MONDAY), MONDAY) == {}
    assert fractions.next_number(course, rows(MONDAY)) is None
    assert fractions.days_to_come(Course(), [], MONDAY) == {}


def test_doses_of_the_prescription_are_those_of_the_reference():
    """30 Gy in 10 fractions: BED10 39.00; EQD2 32.50, 36.00, 37.50, 40.45 (clinical reference, section 5)."""
    found = [round(figure.gy, 2) for figure in dose_figures.of_prescription(Course())]
    assert found == [39.00, 32.50, 36.00, 37.50, 40.45]


def test_dose_without_structure_is_no_figure():
    assert dose_figures.structure_eqd2(target((1,), (1,)), 10) is None
    assert not dose_figures.above_limit(target((1,), (1,)), 10)
