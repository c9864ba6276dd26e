"""The visits of a participant: dates and states from real rows, the same for one and for many."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followup.crfs import VISIT
from followup.models import Visit
from followup.visits import expected_visits, expected_visits_of, plan_of, unplanned_visit
from patients.models import Subject
from spinetrial.access.models import StudySite, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.protocol import CURRENT
from spinetrial.protocol.schedule import MilestoneDates, VisitState, planned_visits
from tests.cast import SETUP, join
from tests.followup.helpers import DONE, RT_END, milestones, noon, registered, treated, visit


def states(subject, today):
    return {each.event: each.state for each in expected_visits(subject, today)}


def test_months_are_counted_from_the_last_fraction_and_clamped(cast):
    subject = treated(cast.coordinator_a, cast.site_a, date(2025, 8, 18), date(2025, 8, 31))
    milestones(subject, randomized_on=date(2025, 8, 10), eligible_on=date(2025, 8, 9))
    due = {each.event: each.planned.due for each in expected_visits(subject, date(2026, 9, 1))}
    assert due["W2"] == date(2025, 9, 14)
    assert due["M3"] == date(2025, 11, 30)
    assert due["M6"] == date(2026, 2, 28)
    assert due["M12"] == date(2026, 8, 31)  # not the 28th: never chained from M6


def test_nobody_has_visits_before_randomisation(cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    assert expected_visits(subject, date(2026, 1, 1)) == []


def test_visits_have_no_dates_while_radiotherapy_runs(cast):
    subject = treated(cast.coordinator_a, cast.site_a, rt_end=None)
    found = expected_visits(subject, date(2026, 6, 1))
    assert found[0].event == "W2"
    assert all(each.planned.due is None and each.state is VisitState.NOT_YET for each in found)


def test_never_irradiated_counts_from_randomisation(cast):
    subject = treated(cast.coordinator_a, cast.site_a, None, None, never_irradiated=True)
    assert expected_visits(subject, date(2025, 9, 2))[0].planned.due == date(2025, 9, 15)


@pytest.mark.parametrize(
    ("days_from_due", "state"),
    [
        (-4, VisitState.NOT_YET),
        (-3, VisitState.IN_WINDOW),
        (-1, VisitState.IN_WINDOW),
        (0, VisitState.DUE),
        (7, VisitState.DUE),
        (8, VisitState.OVERDUE),
    ],
)
def test_state_of_an_open_visit_at_the_borders_of_its_window(cast, days_from_due, state):
    subject = treated(cast.coordinator_a, cast.site_a)
    today = RT_END + timedelta(days=14 + days_from_due)
    assert states(subject, today)["W2"] is state


@pytest.mark.parametrize(
    ("event", "first", "last"), [("W2", -3, 7), ("M3", -14, 14), ("M6", -28, 28), ("M12", -28, 28)]
)
def test_a_visit_is_in_its_window_on_both_border_days(cast, event, first, last):
    subject = treated(cast.coordinator_a, cast.site_a)
    due = next(e.planned.due for e in expected_visits(subject, date(2026, 12, 1)) if e.event == event)
    for days, state in (
        (first - 1, VisitState.DONE_OUT_OF_WINDOW),
        (first, VisitState.DONE),
        (last, VisitState.DONE),
        (last + 1, VisitState.DONE_OUT_OF_WINDOW),
    ):
        other = treated(cast.coordinator_a, cast.site_a)
        record = visit(other, cast.coordinator_a, event, visit_date=due + timedelta(days=days))
        found = next(e for e in expected_visits(other, date(2026, 12, 31)) if e.event == event)
        assert found.state is state
        assert (found.actual, found.visit_id) == (due + timedelta(days=days), record.pk)


def test_a_missed_visit_stays_missed_and_the_next_one_is_still_expected(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a, "M3", status="missed", missed_reason="refused")
    found = states(subject, date(2026, 3, 20))
    assert found["M3"] is VisitState.MISSED
    assert found["M6"] is VisitState.DUE


def test_the_day_of_death_parts_expected_from_not_expected(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    due = date(2025, 12, 19)
    milestones(subject, death_date=due)
    assert states(subject, date(2026, 2, 1))["M3"] is VisitState.OVERDUE  # alive on the day it was due
    milestones(subject, death_date=due - timedelta(days=1))
    assert states(subject, date(2026, 2, 1))["M3"] is VisitState.NOT_EXPECTED


def test_a_recorded_visit_is_never_lost_from_the_plan(cast):
    """A later correction of death or treatment must not hide what was entered."""
    subject = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a, "M12", visit_date=date(2026, 9, 19))
    milestones(subject, death_date=date(2025, 12, 1))
    found = {each.event: each for each in expected_visits(subject, date(2026, 10, 1))}
    assert found["M12"].state is VisitState.DONE
    assert not found["M12"].planned.expected
    milestones(subject, death_date=None, rt_completed=False)
    found = {each.event: each for each in expected_visits(subject, date(2026, 10, 1))}
    assert found["M12"].state is VisitState.DONE_OUT_OF_WINDOW
    assert found["M12"].planned.title() == "Month 12"


def test_many_subjects_cost_as_many_queries_as_one(cast, django_assert_num_queries):
    made = [treated(cast.coordinator_a, cast.site_a) for _number in range(3)]
    made.append(treated(cast.coordinator_b, cast.site_b))
    visit(made[0], cast.coordinator_a)
    with at(noon(date(2026, 3, 1))):
        for some in (made[:1], made):
            subjects = list(Subject.objects.filter(pk__in=[s.pk for s in some]).select_related("site"))
            with django_assert_num_queries(3):
                found = expected_visits_of(subjects)
            for subject in subjects:
                assert found[subject.pk] == expected_visits(subject, date(2026, 3, 1))


follow_ups = st.sampled_from(["W2", "M3", "M6", "M12", "M18", "M60", "M354", "M360"])
days = st.dates(date(2019, 1, 1), date(2060, 12, 31))


@given(event=follow_ups, end=days, today=days, death=st.none() | days)
def test_every_nameable_visit_has_a_plan(event, end, today, death):
    dates = MilestoneDates(randomized=end - timedelta(days=20), rt_start=end, rt_end=end, death=death)
    planned = plan_of(dates, event, today)
    assert planned.code == event
    assert planned.due is not None
    listed = {each.code: each for each in planned_visits(CURRENT, dates, today)}
    assert listed.get(event, planned) == planned
    assert unplanned_visit(dates, event).due == planned.due


@pytest.mark.parametrize("event", ["", "M4", "M0", "BL", "ANY", "M12; DROP", "M１２", "M366"])
def test_a_code_of_no_visit_is_refused(event):
    with pytest.raises(ValueError, match="no follow-up visit"):
        plan_of(MilestoneDates(randomized=RT_END), event, RT_END)


def test_the_plan_needs_no_rows_of_other_subjects(cast):
    one, other = (treated(cast.coordinator_a, cast.site_a) for _number in range(2))
    visit(other, cast.coordinator_a)
    assert all(each.visit_id is None for each in expected_visits(one, date(2026, 1, 1)))
    assert Visit.objects.get().visit_date == DONE["visit_date"]


# --- borders at real sites ---


def in_new_york(cast):
    """A site there, at which the coordinator works too."""
    with acting(SETUP, "test"):
        site = StudySite(code="NY", name="Hospital in New York", timezone="America/New_York")
        site.save()
        join(cast.coordinator_a, Role.COORDINATOR, site)
    return site


def test_a_site_of_new_york_lives_a_day_behind(cast):
    """At 03:00 UTC it is still the day before there, and 11:00 of the new day in China."""
    west = in_new_york(cast)
    person = User.objects.get(pk=cast.coordinator_a.pk)
    here, there = treated(person, cast.site_a), treated(person, west)
    opens = RT_END + timedelta(days=11)
    with at(datetime(opens.year, opens.month, opens.day, 3, 0, tzinfo=UTC)):
        found = expected_visits_of(list(Subject.objects.select_related("site")))
        assert (here.site.today(), there.site.today()) == (opens, opens - timedelta(days=1))
        assert [found[each.pk][0].state for each in (here, there)] == [VisitState.IN_WINDOW, VisitState.NOT_YET]
        with pytest.raises(EntryRefused) as refusal:  # a date that is today in China is in the future there
            enter(VISIT, there, person, {**DONE, "visit_date": opens}, {"analgesics_taken": []}, event="W2")
        assert list(refusal.value.errors) == ["visit_date"]
        enter(VISIT, here, person, {**DONE, "visit_date": opens}, {"analgesics_taken": []}, event="W2")


def test_summer_time_moves_no_due_date(cast):
    west = in_new_york(cast)
    person = User.objects.get(pk=cast.coordinator_a.pk)
    subject = treated(person, west, date(2025, 10, 13), date(2025, 10, 24))
    # the clocks go back on 2 November 2025 there
    assert expected_visits(subject, date(2025, 11, 1))[0].planned.due == date(2025, 11, 7)
    for hour, state in ((4, VisitState.NOT_YET), (5, VisitState.IN_WINDOW)):  # midnight there is 05:00 UTC by then
        with at(datetime(2025, 11, 4, hour, 0, tzinfo=UTC)):
            assert expected_visits_of([subject])[subject.pk][0].state is state


def test_a_correction_of_the_last_fraction_moves_open_visits_and_judges_done_ones_anew(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2026, 1, 2))  # the last day of the window
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2026, 1, 10))
    before = {each.event: each for each in expected_visits(subject, date(2026, 1, 20))}
    assert before["M3"].state is VisitState.DONE
    milestones(subject, rt_end=RT_END - timedelta(days=1))
    after = {each.event: each for each in expected_visits(subject, date(2026, 1, 20))}
    assert after["M3"].state is VisitState.DONE_OUT_OF_WINDOW
    assert after["M6"].planned.due == date(2026, 3, 18)
    assert after["U1"] == before["U1"]


def test_never_irradiated_is_counted_from_randomisation_until_a_fraction_is_given(cast):
    subject = treated(cast.coordinator_a, cast.site_a, None, None, never_irradiated=True)
    assert expected_visits(subject, date(2025, 9, 2))[0].planned.due == date(2025, 9, 15)
    milestones(subject, rt_start=date(2025, 9, 8), rt_end=date(2025, 9, 8), rt_completed=True)
    assert expected_visits(subject, date(2025, 9, 9))[0].planned.due == date(2025, 9, 22)
