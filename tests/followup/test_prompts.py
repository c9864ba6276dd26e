"""When a prompt opens and what closes it: rows in, prompts out, no database."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followup.prompts import Assessment, Event, History, Kind, Reading, Scan, prompts_of

START = date(2025, 9, 8)
FRACTURE, MYELITIS, OTHER = "10041569", "10028524", "10016256"
DOUBT = Reading("T10", in_doubt=True)


def day(number):
    return START + timedelta(days=number)


def at(number, pain=None, omed=60, event="", **more):
    dose = None if omed is None else Fraction(omed)
    return Assessment(event or f"V{number}", day(number), pain, dose, **more)


def scan(number, *readings, event="", **more):
    return Scan(event or f"S{number}", day(number), readings, **more)


def kinds(*, pain=6, omed=60, ended=False, rt_start=START, **more):
    history = History(
        subject="NK-001",
        randomized=day(-7),
        rt_start=rt_start,
        ended=ended,
        pain=pain,
        omed=None if omed is None else Fraction(omed),
        **more,
    )
    return [each.kind for each in prompts_of(history)]


# --- pain flare ---


@pytest.mark.parametrize(
    ("number", "pain", "omed", "asked"),
    [
        (0, 8, 60, True),
        (10, 8, 60, True),  # the last day
        (11, 8, 60, False),  # the day after: a rise of pain like any other
        (-1, 8, 60, False),
        (5, 7, 60, False),  # one point
        (5, 8, 59, False),  # less analgesic
        (5, 8, None, True),  # analgesics unknown
        (5, 6, 75, True),  # 25 per cent more, pain the same
        (5, 6, 74, False),
        (5, 5, 75, False),  # more analgesic, less pain
        (5, 7, 75, True),
        (5, None, 90, False),
    ],
)
def test_a_rise_soon_after_the_first_fraction_is_assessed_again(number, pain, omed, asked):
    found = kinds(assessments=[at(number, pain, omed)])
    assert (Kind.ASSESS in found) == asked
    assert Kind.FLARE not in found


def test_from_no_opioid_any_opioid_is_a_rise():
    assert kinds(omed=0, assessments=[at(3, 6, 5)]) == [Kind.ASSESS]


def test_back_at_baseline_the_flare_is_an_event_until_it_is_entered():
    rise, back = at(5, 8), at(14, 6)
    assert kinds(assessments=[rise, back]) == [Kind.FLARE]
    assert kinds(assessments=[back, rise]) == [Kind.FLARE]  # in whatever order they come
    assert kinds(assessments=[rise, back], events=[Event(day(5), OTHER)]) == [Kind.FLARE]
    assert kinds(assessments=[rise, back], events=[Event(day(5), OTHER, flare=True)]) == []


def test_a_rise_that_stays_is_no_flare_but_asks_for_imaging():
    assert kinds(assessments=[at(5, 8), at(14, 8)]) == [Kind.IMAGE]
    assert kinds(assessments=[at(5, 8), at(14, 6, 80)]) == [Kind.IMAGE]  # back only with more analgesic
    assert kinds(assessments=[at(5, 8), at(14, 8)], scans=[scan(20)]) == []


def test_the_dead_are_not_assessed_again_but_their_events_are_entered():
    assert kinds(ended=True, assessments=[at(5, 8)]) == []
    assert kinds(ended=True, assessments=[at(5, 8), at(14, 5)]) == [Kind.FLARE]


def test_without_radiotherapy_or_baseline_there_is_no_flare():
    assert kinds(rt_start=None, assessments=[at(5, 7), at(14, 6)]) == []
    assert kinds(pain=None, assessments=[at(5, 9), at(6, 9)]) == []


# --- fracture watch ---


def test_a_rise_over_the_last_value_asks_for_imaging_until_there_is_one():
    series = [at(14, 3), at(100, 5)]
    assert kinds(assessments=series) == [Kind.IMAGE]
    assert kinds(assessments=[at(14, 3), at(100, 4)]) == []
    assert kinds(assessments=[at(14, 3), at(50, None), at(100, 5)]) == [
        Kind.IMAGE
    ]  # the last value, not the last visit
    assert kinds(assessments=series, scans=[scan(99)]) == [Kind.IMAGE]  # the day before is too early
    assert kinds(assessments=series, scans=[scan(100)]) == []
    assert kinds(assessments=series, scans=[scan(95, event="V100")]) == []  # the imaging of that very visit
    assert kinds(assessments=series, ended=True) == []


@pytest.mark.parametrize(
    ("deficits", "frankel", "asked"),
    [({"motor"}, "E", True), ({"bladder"}, "E", True), (set(), "D", True), (set(), "E", False), (set(), "", False)],
)
def test_a_new_deficit_asks_for_imaging(deficits, frankel, asked):
    visit = at(100, 3, examined=True, deficits=frozenset(deficits), frankel=frankel)
    found = kinds(frankel="E", assessments=[at(14, 3, examined=True, frankel="E"), visit])
    assert found == ([Kind.IMAGE] if asked else [])


def test_a_known_deficit_is_not_new_again():
    weak = {"examined": True, "deficits": frozenset({"motor"}), "frankel": "D"}
    assert kinds(frankel="E", assessments=[at(14, 3, **weak), at(100, 3, **weak)], scans=[scan(20)]) == []
    # a telephone visit in between examined nobody
    assert kinds(frankel="E", assessments=[at(14, 3, **weak), at(50, 3), at(100, 3, **weak)], scans=[scan(20)]) == []
    assert kinds(frankel="D", deficits=frozenset({"motor"}), assessments=[at(14, 3, **weak)]) == []


def test_one_prompt_speaks_for_all_rises():
    assert kinds(assessments=[at(14, 3), at(90, 5), at(200, 8)]) == [Kind.IMAGE]


# --- what imaging showed ---


@pytest.mark.parametrize(
    ("code", "onset", "closed"),
    [
        (FRACTURE, 100, True),
        ("10017076", 100, True),
        (FRACTURE, 128, True),  # 28 days after the imaging
        (FRACTURE, 129, False),
        (FRACTURE, 50, True),  # the level was last read then
        (FRACTURE, 49, False),  # another fracture, before
        (OTHER, 100, False),
    ],
)
def test_a_fracture_is_entered_as_an_event_that_began_near_it(code, onset, closed):
    scans = [scan(50, Reading("T10")), scan(100, Reading("T10", "new"))]
    assert kinds(scans=scans, events=[Event(day(onset), code)]) == ([] if closed else [Kind.FRACTURE])


def test_a_level_not_read_before_may_have_broken_at_any_time_of_the_trial():
    assert kinds(scans=[scan(100, Reading("T10", "new"))], events=[Event(day(-7), FRACTURE)]) == []
    assert kinds(scans=[scan(100, Reading("T10", "new"))], events=[Event(day(-8), FRACTURE)]) == [Kind.FRACTURE]


def test_a_progressive_fracture_may_be_an_event_of_long_ago():
    scans = [scan(50, Reading("T10")), scan(100, Reading("T10", "progressive"))]
    assert kinds(scans=scans) == [Kind.FRACTURE]
    assert kinds(scans=scans, events=[Event(day(-3), FRACTURE)]) == []


def test_an_injury_of_the_cord_is_entered_as_myelitis():
    assert kinds(scans=[scan(200, cord=True)]) == [Kind.CORD]
    assert kinds(scans=[scan(200, cord=True)], events=[Event(day(200), FRACTURE)]) == [Kind.CORD]
    assert kinds(scans=[scan(200, cord=True)], events=[Event(day(190), MYELITIS)]) == []
    assert kinds(scans=[scan(200, cord=True)], events=[Event(day(229), MYELITIS)]) == [Kind.CORD]


def test_imaging_in_doubt_is_repeated_after_six_to_eight_weeks():
    history = History(
        subject="NK-001",
        randomized=day(-7),
        rt_start=START,
        ended=False,
        pain=6,
        omed=Fraction(60),
        scans=[scan(90, DOUBT)],
    )
    (prompt,) = prompts_of(history)
    assert (prompt.kind, prompt.since, prompt.by) == (Kind.REPEAT, day(90 + 42), day(90 + 56))
    assert prompt.text.render() == (
        "Local control of T10 in doubt on 2025-12-07: repeat the imaging between 2026-01-18 and 2026-02-01."
    )


@pytest.mark.parametrize(
    ("later", "closed"),
    [
        (Reading("T10"), True),
        (Reading("T11"), False),
        (Reading("T10", settled=False), False),
        (DOUBT, False),  # in doubt again: asked again, counted from the later one
    ],
)
def test_a_later_reading_of_that_level_closes_it(later, closed):
    assert kinds(scans=[scan(90, DOUBT), scan(140, later)]) == ([] if closed else [Kind.REPEAT])
    assert kinds(scans=[scan(90, DOUBT)], ended=True) == []


# --- whatever the rows are ---

numbers = st.integers(-5, 400)
assessments = st.lists(
    st.builds(
        Assessment,
        event=st.sampled_from(["W2", "M3", "M6", "U1"]),
        day=numbers.map(day),
        pain=st.none() | st.integers(0, 10),
        omed=st.none() | st.integers(0, 200).map(Fraction),
        examined=st.booleans(),
        deficits=st.frozensets(st.sampled_from(["motor", "sensory", "bladder"])),
        frankel=st.sampled_from(["", "A", "C", "E"]),
    ),
    max_size=6,
)
readings = st.builds(
    Reading,
    level=st.sampled_from(["T10", "T11"]),
    fracture=st.sampled_from(["", "new", "progressive"]),
    in_doubt=st.booleans(),
    settled=st.booleans(),
)
scans = st.lists(
    st.builds(
        Scan,
        event=st.sampled_from(["M3", "M6", "U1"]),
        day=numbers.map(day),
        readings=st.lists(readings, max_size=2).map(tuple),
        cord=st.booleans(),
    ),
    max_size=4,
)


@given(assessments, scans, st.none() | st.integers(0, 10), st.none() | st.integers(0, 200).map(Fraction))
def test_every_prompt_can_be_closed(visits, images, pain, omed):
    """One clear imaging and the events asked for, and nothing is left to ask."""
    given = {
        "subject": "NK-001", "randomized": day(-7), "rt_start": START, "ended": False, "pain": pain, "omed": omed,
    }  # fmt: skip
    history = History(**given, assessments=visits, scans=images)
    open_now = prompts_of(history)
    assert [each.since for each in open_now] == sorted(each.since for each in open_now)
    answers = [Event(each.day, OTHER) for each in visits]
    answers += [Event(each.day, code) for each in images for code in (FRACTURE, MYELITIS)]
    clear = Scan("U9", day(500), (Reading("T10"), Reading("T11")))
    flare = Event(day(5), OTHER, flare=True)
    assert prompts_of(History(**given, assessments=visits, scans=[*images, clear], events=[*answers, flare])) == []
