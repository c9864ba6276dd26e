"""Dates of visits and fractions, and the one function that names a visit's state."""

import dataclasses
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.protocol import CURRENT
from spinetrial.protocol.events import (
    event_order,
    event_title,
    is_follow_up,
    is_scheduled,
    is_unscheduled,
    unscheduled_code,
    unscheduled_number,
)
from spinetrial.protocol.model import Anchor, Offset, Window
from spinetrial.protocol.schedule import (
    VISIT_STATE_LABELS,
    MilestoneDates,
    VisitState,
    add_months,
    completed_years,
    fraction_days,
    planned_visits,
    visit_state,
)

DAYS = st.dates(date(1990, 1, 1), date(2090, 12, 31))


def visits(rt_end: date, today: date | None = None, **milestones):
    dates = MilestoneDates(randomized=rt_end - timedelta(20), rt_end=rt_end, **milestones)
    return {visit.code: visit for visit in planned_visits(CURRENT, dates, today or rt_end)}


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2025, 8, 31), 3, date(2025, 11, 30)),
        (date(2025, 8, 31), 6, date(2026, 2, 28)),
        (date(2025, 8, 31), 12, date(2026, 8, 31)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2025, 11, 30), 6, date(2026, 5, 30)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2023, 11, 29), 3, date(2024, 2, 29)),
        (date(2025, 8, 31), -6, date(2025, 2, 28)),
        (date(2025, 1, 31), -1, date(2024, 12, 31)),
        (date(2025, 12, 31), 0, date(2025, 12, 31)),
    ],
)
def test_add_months_clamps(day, months, expected):
    assert add_months(day, months) == expected


@given(DAYS, st.integers(-120, 120))
def test_add_months_keeps_the_day_or_the_end_of_the_month(day, months):
    result = add_months(day, months)
    assert (result.year * 12 + result.month) - (day.year * 12 + day.month) == months
    assert result.day == day.day or (result.day < day.day and (result + timedelta(1)).day == 1)


@pytest.mark.parametrize(
    ("birth", "on", "age"),
    [
        (date(1945, 11, 22), date(2026, 11, 21), 80),
        (date(1945, 11, 21), date(2026, 11, 21), 81),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
    ],
)
def test_completed_years(birth, on, age):
    assert completed_years(birth, on) == age


def test_fractions_from_a_monday_end_on_day_twelve():
    days = fraction_days(date(2025, 11, 3))
    assert (days[0], days[-1], len(days)) == (date(2025, 11, 3), date(2025, 11, 14), 10)


def test_fractions_skip_weekends_and_closed_days():
    days = fraction_days(date(2026, 1, 3), n=3, closed={date(2026, 1, 6)})
    assert days == (date(2026, 1, 5), date(2026, 1, 7), date(2026, 1, 8))
    with pytest.raises(ValueError, match="weekday"):
        fraction_days(date(2026, 1, 3), weekdays=(7,))


def test_months_count_from_the_anchor_not_from_the_last_visit():
    found = visits(date(2025, 8, 31), today=date(2027, 12, 1))
    due = {code: visit.due for code, visit in found.items()}
    assert due == {
        "W2": date(2025, 9, 14),
        "M3": date(2025, 11, 30),
        "M6": date(2026, 2, 28),
        "M12": date(2026, 8, 31),
        "M18": date(2027, 2, 28),
        "M24": date(2027, 8, 31),
        "M30": date(2028, 2, 29),
    }


def test_windows_of_decision_8():
    found = visits(date(2025, 11, 14))
    assert (found["W2"].opens, found["W2"].closes) == (date(2025, 11, 25), date(2025, 12, 5))
    assert (found["M3"].opens, found["M3"].closes) == (date(2026, 1, 31), date(2026, 2, 28))
    assert (found["M6"].opens, found["M6"].closes) == (date(2026, 4, 16), date(2026, 6, 11))
    assert (found["M12"].due - found["M12"].opens).days == (found["M12"].closes - found["M12"].due).days == 28


def test_windows_never_overlap_for_any_anchor_of_nine_years():
    day = date(2019, 1, 1)
    while day < date(2028, 1, 1):
        planned = list(visits(day, today=add_months(day, 30)).values())
        assert len(planned) >= 7
        for earlier, later in pairwise(planned):
            assert earlier.opens <= earlier.due <= earlier.closes < later.opens
        day += timedelta(1)


def test_no_visits_before_randomisation():
    assert planned_visits(CURRENT, MilestoneDates(consent=date(2026, 1, 1)), date(2026, 2, 1)) == ()


def test_no_dates_while_radiotherapy_is_pending():
    pending = MilestoneDates(randomized=date(2026, 1, 1), rt_start=date(2026, 1, 5))
    planned = planned_visits(CURRENT, pending, date(2027, 1, 1))
    assert [visit.code for visit in planned] == ["W2", "M3", "M6"]
    for visit in planned:
        assert (visit.due, visit.anchor_date, visit.anchor_name) == (None, None, Anchor.RT_END)
        assert visit_state(visit, None, False, date(2027, 1, 1)) is VisitState.NOT_YET
        assert visit_state(visit, date(2026, 1, 9), False, date(2027, 1, 1)) is VisitState.DONE_OUT_OF_WINDOW


def test_never_irradiated_counts_from_randomisation():
    dates = MilestoneDates(randomized=date(2026, 1, 1), never_irradiated=True)
    first = planned_visits(CURRENT, dates, date(2026, 1, 1))[0]
    assert (first.due, first.anchor_name) == (date(2026, 1, 15), Anchor.RANDOMIZED)


def test_a_given_fraction_outweighs_never_irradiated():
    dates = MilestoneDates(
        randomized=date(2026, 1, 1), rt_start=date(2026, 1, 5), rt_end=date(2026, 1, 7), never_irradiated=True
    )
    first = planned_visits(CURRENT, dates, date(2026, 1, 9))[0]
    assert (first.due, first.anchor_name) == (date(2026, 1, 21), Anchor.RT_END)


@given(DAYS.filter(lambda day: day.year < 2060), st.integers(0, 8000))
def test_the_next_visit_always_exists(rt_end, later):
    today = rt_end + timedelta(later)
    planned = list(visits(rt_end, today=today).values())
    assert planned[-1].opens > today
    assert [visit.opens > today for visit in planned[2:-1]].count(True) <= 1
    assert len({visit.code for visit in planned}) == len(planned)


@given(DAYS.filter(lambda day: day.year < 2060), st.integers(0, 3000), st.booleans())
def test_nothing_is_expected_after_the_end(rt_end, later, died):
    end = rt_end + timedelta(later)
    name = "death" if died else "end_of_followup"
    for visit in visits(rt_end, today=end + timedelta(5000), **{name: end}).values():
        assert visit.expected == (visit.due <= end)
        state = visit_state(visit, None, False, end + timedelta(5000))
        assert state is (VisitState.OVERDUE if visit.expected else VisitState.NOT_EXPECTED)
        assert visit_state(visit, visit.due, False, end) is VisitState.DONE


def test_a_visit_done_early_stays_listed_when_the_subject_dies_before_its_due_date():
    found = visits(date(2025, 1, 15), today=date(2026, 6, 1), death=date(2026, 1, 10))
    assert not found["M12"].expected
    assert visit_state(found["M12"], date(2026, 1, 5), False, date(2026, 6, 1)) is VisitState.DONE
    assert "M18" not in found


def test_death_before_radiotherapy_leaves_nothing_expected():
    dates = MilestoneDates(randomized=date(2026, 1, 1), death=date(2026, 1, 3))
    for visit in planned_visits(CURRENT, dates, date(2026, 2, 1)):
        assert visit_state(visit, None, False, date(2026, 2, 1)) is VisitState.NOT_EXPECTED


@pytest.mark.parametrize(
    ("days_from_due", "state"),
    [
        (-15, VisitState.NOT_YET),
        (-14, VisitState.IN_WINDOW),
        (-1, VisitState.IN_WINDOW),
        (0, VisitState.DUE),
        (14, VisitState.DUE),
        (15, VisitState.OVERDUE),
    ],
)
def test_state_by_day(days_from_due, state):
    visit = visits(date(2026, 1, 16))["M3"]
    today = visit.due + timedelta(days_from_due)
    assert visit_state(visit, None, False, today) is state
    assert visit_state(visit, None, True, today) is VisitState.MISSED
    done = VisitState.DONE if abs(days_from_due) <= 14 else VisitState.DONE_OUT_OF_WINDOW
    assert visit_state(visit, today, False, date(2030, 1, 1)) is done
    assert visit_state(visit, today, True, date(2030, 1, 1)) is done


def test_events_have_an_order_and_a_title():
    codes = ["SCR", "BL", "RAND", "RT", "W2", "M3", "M6", "M12", "M18", "EOS"]
    assert sorted([*reversed(codes), "ANY"], key=lambda code: event_order(CURRENT, code)) == [*codes, "ANY"]
    assert event_title(CURRENT, "W2") == "Week 2"
    assert (
        event_title(CURRENT, "M12", lambda text: {"Month %(number)d": "第%(number)d个月"}.get(text, text)) == "第12个月"
    )
    assert event_title(CURRENT, "EOS") == "End of study"
    assert visits(date(2026, 1, 16))["M12"].title() == "Month 12"
    assert set(VISIT_STATE_LABELS) == set(VisitState)


@pytest.mark.parametrize("code", ["W2", "M3", "M6", "M12", "M18", "M360"])
def test_a_follow_up_visit_is_known_by_its_code(code):
    assert is_follow_up(CURRENT, code)


@pytest.mark.parametrize(
    "code", ["", "M", "M0", "M7", "M9", "M06", "M366", "M9999", "M٣", "M１２", "W3", "BL", "EOS", "ANY", "m3"]
)
def test_another_code_is_no_follow_up_visit(code):
    assert not is_follow_up(CURRENT, code)


def test_impossible_offsets_and_windows_are_refused():
    for arguments in ({}, {"weeks": 1, "months": 1}, {"weeks": -1}):
        with pytest.raises(ValueError, match="weeks or months"):
            Offset(**arguments)
    with pytest.raises(ValueError, match="due date"):
        Window(1, 5)


# --- visits beside the schedule ---


def test_unscheduled_visits_follow_the_schedule_by_number():
    codes = ["RT", "W2", "M6", "M12", "M360", "U", "U1", "U2", "U10", "U99", "EOS", "ANY"]
    assert sorted(reversed(codes), key=lambda code: event_order(CURRENT, code)) == codes
    assert [event_title(CURRENT, code) for code in ("U", "U2", "U100")] == [
        "Unscheduled",
        "Unscheduled visit 2",
        "U100",
    ]


@given(st.integers(-5, 120))
def test_an_unscheduled_code_and_its_number_belong_together(number):
    if 1 <= number <= 99:
        code = unscheduled_code(CURRENT, number)
        assert unscheduled_number(CURRENT, code) == number
        assert is_follow_up(CURRENT, code)
        assert is_unscheduled(CURRENT, code)
        assert not is_scheduled(CURRENT, code)
    else:
        with pytest.raises(ValueError, match="no unscheduled visit"):
            unscheduled_code(CURRENT, number)


@given(st.text(max_size=4))
def test_a_code_is_of_one_kind_at_most(code):
    assert is_follow_up(CURRENT, code) == (is_scheduled(CURRENT, code) or is_unscheduled(CURRENT, code))
    assert not (is_scheduled(CURRENT, code) and is_unscheduled(CURRENT, code))


def test_a_protocol_without_unscheduled_visits_knows_none():
    without = dataclasses.replace(CURRENT, unscheduled=None)
    assert not is_follow_up(without, "U1")
    assert event_title(without, "U1") == "U1"
    with pytest.raises(ValueError, match="no unscheduled visit"):
        unscheduled_code(without, 1)


@given(DAYS, st.none() | DAYS, st.booleans())
def test_an_unscheduled_visit_is_done_or_not_expected(today, actual, missed):
    beside = dataclasses.replace(
        visits(date(2025, 9, 19))["M3"], code="U1", due=None, opens=None, closes=None, expected=False, unscheduled=True
    )
    state = visit_state(beside, actual, missed and actual is None, today)
    assert state is (VisitState.DONE if actual else VisitState.MISSED if missed else VisitState.NOT_EXPECTED)


# --- borders ---


@pytest.mark.parametrize("rt_end", [date(2025, 8, 31), date(2024, 2, 29), date(2025, 11, 30), date(2025, 12, 31)])
@pytest.mark.parametrize("code", ["W2", "M3", "M6", "M12"])
def test_every_border_of_every_window(rt_end, code):
    """The day before, the first, the due, the last and the day after, for open visits and for done ones."""
    visit = visits(rt_end, today=add_months(rt_end, 13))[code]
    one = timedelta(1)
    for today, state in (
        (visit.opens - one, VisitState.NOT_YET),
        (visit.opens, VisitState.IN_WINDOW),
        (visit.due - one, VisitState.IN_WINDOW),
        (visit.due, VisitState.DUE),
        (visit.closes, VisitState.DUE),
        (visit.closes + one, VisitState.OVERDUE),
    ):
        assert visit_state(visit, None, False, today) is state
    for day, inside in ((visit.opens - one, 0), (visit.opens, 1), (visit.closes, 1), (visit.closes + one, 0)):
        state = visit_state(visit, day, False, date(2030, 1, 1))
        assert state is (VisitState.DONE if inside else VisitState.DONE_OUT_OF_WINDOW)


@pytest.mark.parametrize(
    ("rt_end", "due"),
    [
        (date(2025, 8, 31), ["2025-09-14", "2025-11-30", "2026-02-28", "2026-08-31", "2027-02-28"]),
        (date(2024, 2, 29), ["2024-03-14", "2024-05-29", "2024-08-29", "2025-02-28", "2025-08-29"]),
        (date(2023, 8, 31), ["2023-09-14", "2023-11-30", "2024-02-29", "2024-08-31", "2025-02-28"]),
    ],
)
def test_due_dates_at_the_ends_of_months(rt_end, due):
    found = list(visits(rt_end, today=add_months(rt_end, 18)).values())
    assert [visit.due.isoformat() for visit in found[:5]] == due


@pytest.mark.parametrize(("days", "expected"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("name", ["death", "end_of_followup"])
def test_the_end_on_the_day_before_and_after_the_due_date(days, expected, name):
    due = date(2025, 12, 19)
    visit = visits(date(2025, 9, 19), today=date(2026, 6, 1), **{name: due + timedelta(days)})["M3"]
    assert (visit.due, visit.expected) == (due, expected)
    state = visit_state(visit, None, False, date(2026, 1, 3))
    assert state is (VisitState.OVERDUE if expected else VisitState.NOT_EXPECTED)
    assert visit_state(visit, due, False, date(2026, 1, 3)) is VisitState.DONE


@given(DAYS.filter(lambda day: day.year < 2060), st.integers(-400, 400))
def test_a_corrected_anchor_moves_every_visit_with_it(rt_end, shift):
    """Nothing is remembered of the dates before: the plan follows from the milestones alone."""
    moved = rt_end + timedelta(shift)
    today = max(rt_end, moved) + timedelta(400)
    before, after = visits(rt_end, today=today), visits(moved, today=today)
    for code in ("W2", "M3", "M6", "M12"):
        assert before[code].anchor_date == rt_end
        assert after[code].anchor_date == moved
        opens, closes = (getattr(before[code], name) - before[code].due for name in ("opens", "closes"))
        assert (after[code].opens - after[code].due, after[code].closes - after[code].due) == (opens, closes)
    assert after["W2"].due - before["W2"].due == timedelta(shift)
