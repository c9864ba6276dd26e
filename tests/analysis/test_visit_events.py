"""What a visit says of adverse events against the events entered."""

from datetime import date

import pytest

from spinetrial.analysis.visit_events import Answer, Contradiction, Course, Mismatch, compare

RT_END, W2, M3 = date(2025, 9, 19), date(2025, 10, 3), date(2025, 12, 19)


def course(started, *changed, visit="", number=1):
    return Course(number, started, changed, visit)


@pytest.mark.parametrize(
    ("w2", "m3", "courses", "expected"),
    [
        (False, False, [], []),
        (None, None, [course(date(2025, 9, 25))], []),
        (False, True, [course(date(2025, 9, 25)), course(date(2025, 11, 1), number=2)], [("none_said", "W2", (1,))]),
        (False, False, [course(W2)], [("none_said", "W2", (1,))]),  # the day of the visit counts
        (False, False, [course(date(2025, 10, 4))], [("none_said", "M3", (1,))]),
        (False, False, [course(date(2025, 12, 20))], []),  # after the last visit
        (False, False, [course(RT_END)], []),  # told during radiotherapy
        (False, False, [course(RT_END, visit="M3")], [("none_said", "M3", (1,))]),  # said to be reported there
        (True, False, [course(date(2025, 9, 10))], []),
        (True, False, [], [("none_entered", "W2", ())]),
        (False, True, [course(date(2025, 9, 10))], [("none_entered", "M3", ())]),
        (False, True, [course(date(2025, 9, 10), date(2025, 11, 1))], []),  # it changed
        (False, True, [course(date(2025, 9, 10), visit="M3")], []),
        (False, True, [course(date(2025, 9, 10), date(2025, 12, 20))], [("none_entered", "M3", ())]),
    ],
)
def test_answers_are_held_against_the_events_between_the_visits(w2, m3, courses, expected):
    answers = [Answer("M3", M3, m3), Answer("W2", W2, w2)]  # in whatever order
    found = list(compare(answers, courses, RT_END))
    assert found == [Mismatch(Contradiction(kind), visit, events) for kind, visit, events in expected]


def test_without_a_fraction_the_first_visit_has_no_beginning():
    assert list(compare([Answer("W2", W2, False)], [course(date(2025, 9, 25))], None)) == []
