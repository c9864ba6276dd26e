"""The adverse event form: grades of the term, the rules of death and seriousness, what is only asked."""

from datetime import date, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.urls import resolve
from hypothesis import given
from hypothesis import strategies as st

from adverse_events.clocks import clocks_of
from adverse_events.crfs import ADVERSE_EVENT, CTCAE_EXPECTED, CTCAE_SEARCH
from adverse_events.models import CRITERIA, AdverseEvent, Phase, Relation, term_label
from spinetrial.audit.acting import acting
from spinetrial.crf.save import EntryRefused
from spinetrial.crf.spec import check_spec
from spinetrial.review.models import Query
from spinetrial.terminology import ctcae
from tests.adverse_events.helpers import (
    AWARE,
    CHINA,
    DERMATITIS,
    EVENT,
    FATAL,
    MYELITIS,
    OTHER_CARDIAC,
    SERIOUS,
    event,
)
from tests.cast import SETUP
from tests.followup.helpers import RT_END, RT_START, milestones, registered, treated


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def refused(subject, actor, **changes) -> list[str]:
    with pytest.raises(EntryRefused) as refusal:
        event(subject, actor, **changes)
    assert not AdverseEvent.objects.exists()
    return list(refusal.value.errors)


def queries() -> set[str]:
    return set(Query.objects.filter(state="open").values_list("check_code", flat=True))


def test_the_spec_and_the_model_agree():
    assert check_spec(ADVERSE_EVENT) == []
    assert resolve(CTCAE_SEARCH).url_name == "ctcae_search"
    assert resolve(CTCAE_EXPECTED).url_name == "ctcae_expected"
    assert ADVERSE_EVENT.item("ctcae_code").widget == f"search:{CTCAE_SEARCH}"


def test_an_event_is_saved_with_the_version_of_its_dictionary(cast, subject):
    record = event(subject, cast.coordinator_a)
    assert (record.ctcae_version, record.serious, record.related, record.ongoing) == ("5.0", False, True, True)
    assert queries() == set()


@pytest.mark.parametrize("name", EVENT)
def test_each_answer_is_needed(cast, subject, name):
    assert refused(subject, cast.coordinator_a, **{name: None}) == [name]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"ctcae_code": "10099999"}, ["ctcae_code"]),
        ({"ctcae_code": "Fatigue"}, ["ctcae_code"]),
        ({"ctcae_code": "😀"}, ["ctcae_code"]),
        ({"ctcae_code": "1" * 10_000}, ["ctcae_code"]),
        ({"verbatim": "x" * 10_000}, ["verbatim"]),
        ({"grade": 0}, ["grade"]),
        ({"grade": 6}, ["grade"]),
        ({"grade": "2.5"}, ["grade"]),
        ({"grade": 4}, ["grade"]),  # Fatigue has grades 1 to 3
        ({"onset_date": "2025-02-30"}, ["onset_date"]),
        ({"onset_date": date(2025, 12, 2)}, ["onset_date"]),
        ({"outcome": "recovered"}, ["end_date"]),
        ({"outcome": "recovered", "end_date": date(2025, 9, 19)}, ["end_date"]),
        ({"outcome": "recovered", "end_date": date(2025, 12, 2)}, ["end_date"]),
        ({"treated": True}, ["treatment"]),
        ({"relation_other": "possible"}, ["other_cause"]),
        ({"sae_hospital": True}, ["aware_at", "unexpected"]),
        ({"aware_at": AWARE}, ["aware_at"]),
        ({"unexpected": False}, ["unexpected"]),
        ({**SERIOUS, "aware_at": datetime(2025, 9, 19, 23, 59, tzinfo=CHINA)}, ["aware_at"]),
        ({**SERIOUS, "aware_at": datetime(2025, 12, 2, 0, 1, tzinfo=CHINA)}, ["aware_at"]),
        ({**FATAL, "sae_death": False, "sae_life": True}, ["sae_death", "outcome"]),
        ({**FATAL, "outcome": "ongoing", "end_date": None}, ["outcome"]),
        ({**FATAL, "grade": 4}, ["grade"]),
        ({"ctcae_code": MYELITIS, "outcome": "fatal", "end_date": date(2025, 10, 1)}, ["outcome"]),
    ],
)
def test_a_refusal_sits_at_its_field(cast, subject, changes, fields):
    found = refused(subject, cast.coordinator_a, **changes)
    assert set(found) <= set(fields)
    assert found


@pytest.mark.parametrize("code", [DERMATITIS, MYELITIS, "10016256", "10003988", "10041549"])
def test_only_grades_defined_for_the_term_pass(cast, subject, code):
    for grade in range(1, 6):
        record = AdverseEvent(**{**EVENT, "ctcae_code": code, "grade": grade})
        messages = _errors(record).get("grade", [])
        assert bool(messages) == (grade not in ctcae.grades(code)), (code, grade)


def _errors(record):
    from django.core.exceptions import ValidationError

    try:
        record.clean()
    except ValidationError as error:
        return error.message_dict
    return {}


@pytest.mark.parametrize(
    ("verbatim", "passes"),
    [
        ("Takotsubo cardiomyopathy", True),
        ("other", False),
        (" Other. ", False),
        ("其他", False),
        ("Cardiac disorders - Other, specify", False),
    ],
)
def test_other_specify_needs_the_event_in_words(cast, subject, verbatim, passes):
    changes = {"ctcae_code": OTHER_CARDIAC, "verbatim": verbatim, "grade": 2}
    if passes:
        assert event(subject, cast.coordinator_a, **changes).pk
    else:
        assert refused(subject, cast.coordinator_a, **changes) == ["verbatim"]


def test_an_event_after_death_is_refused(cast, subject):
    milestones(subject, death_date=date(2025, 9, 19))
    assert refused(subject, cast.coordinator_a) == ["onset_date"]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"onset_date": date(2025, 8, 19)}, {"ae_before_consent", "ae_related_before_rt"}),
        ({"onset_date": date(2025, 8, 20), "relation_radiotherapy": "unlikely"}, set()),
        ({"onset_date": date(2025, 9, 7)}, {"ae_related_before_rt"}),
        ({"onset_date": date(2025, 9, 8)}, set()),
        ({"flare": True}, {"ae_flare_time"}),
        ({"flare": True, "onset_date": date(2025, 9, 18)}, set()),
        ({"flare": True, "onset_date": date(2025, 9, 7), "relation_radiotherapy": "unlikely"}, {"ae_flare_time"}),
        ({"ctcae_code": MYELITIS, "grade": 3}, set()),  # severe is not serious
        ({"ctcae_code": MYELITIS, "grade": 4}, {"ae_grade_4_not_serious"}),
        ({"ctcae_code": MYELITIS, "grade": 4, **SERIOUS}, set()),
        (FATAL, {"ae_fatal_death_date"}),
    ],
)
def test_doubtful_answers_are_kept_and_queried(cast, subject, changes, codes):
    event(subject, cast.coordinator_a, **changes)
    assert queries() == codes


def test_a_fatal_event_on_the_day_of_death_needs_no_query(cast, subject):
    milestones(subject, death_date=date(2025, 10, 1))
    event(subject, cast.coordinator_a, **FATAL)
    assert queries() == set()


def test_the_same_event_twice_is_queried_and_the_query_closes(cast, subject):
    event(subject, cast.coordinator_a)
    second = event(subject, cast.coordinator_a)
    assert queries() == {"ae_entered_twice"}
    stored = AdverseEvent.objects.get(pk=second.pk)
    event(subject, cast.coordinator_a, record=stored, onset_date=date(2025, 9, 22))
    assert queries() == set()


def test_an_event_can_be_recorded_before_randomisation(cast):
    """Adverse events count from the consent on."""
    subject = registered(cast.coordinator_a, cast.site_a)
    milestones(subject, consent_date=date(2025, 9, 1))
    event(subject, cast.coordinator_a, relation_radiotherapy="unrelated")
    assert queries() == set()


def test_only_the_staff_of_the_site_enters(cast, subject):
    for person in (cast.coordinator_b, cast.monitor_a, cast.assessor_a, cast.statistician, cast.outsider):
        with pytest.raises(PermissionDenied):
            event(subject, person)
    assert event(subject, cast.investigator_a).pk


# --- the database by itself ---


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("adverseevent_grade_in_range", {"grade": 0}),
        ("adverseevent_ctcae_code_form", {"ctcae_code": "tired"}),
        ("adverseevent_ctcae_version_kept", {"ctcae_version": ""}),
        ("adverseevent_dates_in_order", {"outcome": "recovered", "end_date": date(2025, 9, 19)}),
        ("adverseevent_end_fits_outcome", {"outcome": "recovered"}),
        ("adverseevent_end_fits_outcome", {"end_date": date(2025, 9, 21)}),
        ("adverseevent_death_is_grade_5", {**FATAL, "sae_death": False}),
        ("adverseevent_death_is_grade_5", {**FATAL, "grade": 4}),
        ("adverseevent_death_is_grade_5", {**SERIOUS, "sae_death": True}),
        ("adverseevent_serious_has_clock", {"sae_important": True}),
        ("adverseevent_serious_has_clock", {"aware_at": AWARE}),
        ("adverseevent_treatment_named", {"treated": True}),
        ("adverseevent_other_cause_named", {"relation_other": "definite"}),
        ("adverseevent_other_cause_named", {"other_cause": "flu"}),
        ("adverseevent_action_known", {"action": "x"}),
        ("adverseevent_onset_date_since_1900", {"onset_date": date(1899, 12, 31)}),
    ],
)
def test_the_database_holds_the_rule_for_every_other_road(subject, constraint, changes):
    with pytest.raises(IntegrityError, match=constraint), acting(SETUP, "planted"):
        AdverseEvent(subject=subject, **{**EVENT, **changes}).save()


# --- derived ---


@pytest.mark.parametrize("criterion", CRITERIA)
def test_each_criterion_makes_an_event_serious(criterion):
    assert AdverseEvent(**{criterion: True}).serious


@pytest.mark.parametrize("grade", [3, 4])
def test_severe_is_saved_without_being_serious(cast, subject, grade):
    assert not event(subject, cast.coordinator_a, ctcae_code=MYELITIS, grade=grade).serious


def test_no_grade_makes_an_event_serious():
    assert not any(AdverseEvent(grade=grade).serious for grade in range(1, 5))


@pytest.mark.parametrize("relation", Relation)
def test_related_is_possible_or_more(relation):
    expected = relation in ("possible", "probable", "definite")
    assert AdverseEvent(relation_radiotherapy=relation).related is expected


@pytest.mark.parametrize(
    ("onset", "phase"),
    [
        (RT_START - timedelta(days=1), Phase.BEFORE),
        (RT_START, Phase.ACUTE),
        (RT_END + timedelta(days=90), Phase.ACUTE),
        (RT_END + timedelta(days=91), Phase.LATE),
    ],
)
def test_acute_and_late_part_90_days_after_the_last_fraction(onset, phase):
    assert AdverseEvent(onset_date=onset).phase(RT_START, RT_END) is phase
    assert AdverseEvent(onset_date=onset).phase(None, None) is None


def test_while_radiotherapy_runs_everything_is_acute():
    assert AdverseEvent(onset_date=RT_START + timedelta(days=500)).phase(RT_START, None) is Phase.ACUTE


@pytest.mark.parametrize(
    ("now", "reported", "running", "missed"),
    [
        (AWARE, None, True, False),
        (AWARE + timedelta(hours=24), None, True, False),
        (AWARE + timedelta(hours=24, seconds=1), None, True, True),
        (AWARE + timedelta(days=9), AWARE + timedelta(hours=24), False, False),
        (AWARE + timedelta(days=9), AWARE + timedelta(hours=24, seconds=1), False, True),
    ],
)
def test_the_24_hour_clock(now, reported, running, missed):
    record = AdverseEvent(sae_hospital=True, aware_at=AWARE)
    record.reported_at = reported
    (clock,) = clocks_of(record)
    assert (clock.running, clock.missed(now)) == (running, missed)
    assert clocks_of(AdverseEvent()) == []


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({"sae_hospital": True}, {"SPONSOR": 1}),
        ({"sae_hospital": True, "unexpected": True}, {"SPONSOR": 1}),
        (
            {"sae_hospital": True, "unexpected": True, "relation_radiotherapy": "possible"},
            {"SPONSOR": 1, "SERIOUS": 15},
        ),
        (
            {"sae_life": True, "unexpected": True, "relation_radiotherapy": "possible"},
            {"SPONSOR": 1, "FATAL": 7, "FATAL_FOLLOW_UP": 15},
        ),
        ({}, {}),
    ],
)
def test_deadlines_of_d20(changes, days):
    found = {code: (moment - AWARE).days for code, moment in AdverseEvent(aware_at=AWARE, **changes).deadlines()}
    assert found == days


@given(st.sampled_from(sorted(ctcae.terms())), st.integers(1, 5))
def test_the_form_offers_no_undefined_grade(code, grade):
    """For all 837 terms: the check refuses exactly what NCI does not define."""
    messages = _errors(AdverseEvent(**{**EVENT, "ctcae_code": code, "grade": grade})).get("grade", [])
    assert (not messages) == (grade in ctcae.grades(code))


def test_a_term_is_shown_in_the_language_of_its_reader():
    from django.utils import translation

    with translation.override("zh-hans"):
        assert term_label(MYELITIS) == "脊髓炎 (Myelitis)"
        assert term_label("10007541") == "Cardiac disorders - Other, specify"
    with translation.override("en"):
        assert term_label(MYELITIS) == "Myelitis"
    assert term_label("nonsense") == "nonsense"
