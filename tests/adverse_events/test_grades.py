"""The course of the grade, the vertebra and the visit of a report, and what was there at baseline."""

from datetime import date

import pytest
from django.db import IntegrityError, connection
from django.urls import reverse

from adverse_events.baseline import conditions_of
from adverse_events.models import AdverseEvent, GradePeriod, course_of, reporting_visits
from patients.models import DiseaseSite, SitesOfDisease, Status
from spinetrial.audit.acting import acting
from spinetrial.crf.save import EntryRefused
from spinetrial.review.models import Explanation
from tests.adverse_events.helpers import FATAL, MYELITIS, SPINAL_FRACTURE, event
from tests.cast import SETUP
from tests.followup.helpers import baseline, treated

DAYS = [date(2025, 9, 20), date(2025, 10, 1), date(2025, 10, 20)]
BACK_PAIN, HYPERTENSION = "10003988", "10020772"


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def refused(subject, actor, **changes) -> dict[str, list[str]]:
    with pytest.raises(EntryRefused) as refusal:
        event(subject, actor, **changes)
    assert not AdverseEvent.objects.exists()
    return refusal.value.errors


def test_an_event_of_one_grade_needs_no_period(cast, subject):
    record = event(subject, cast.coordinator_a, grade=2)
    assert not GradePeriod.objects.exists()
    assert course_of(record, []) == [(DAYS[0], 2)]


def test_the_course_is_kept_in_the_order_of_time_and_the_grade_is_its_worst(cast, subject):
    rows = [(DAYS[2], 1), (DAYS[0], 2), (DAYS[1], 3)]
    record = event(subject, cast.coordinator_a, grade=3, periods=rows)
    assert record.grade == 3
    assert course_of(record, GradePeriod.objects.filter(parent=record)) == [(DAYS[0], 2), (DAYS[1], 3), (DAYS[2], 1)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"grade": 2, "periods": [(DAYS[0], 1), (DAYS[1], 3)]}, "grade"),
        ({"grade": 3, "periods": [(DAYS[0], 1), (DAYS[1], 2)]}, "grade"),
        ({"grade": 2, "periods": [(DAYS[1], 1), (DAYS[2], 2)]}, "__all__"),  # begins after the event
        ({"grade": 2, "periods": [(date(2025, 9, 19), 1), (DAYS[2], 2)]}, "__all__"),  # begins before it
        (
            {"grade": 2, "outcome": "recovered", "end_date": DAYS[1], "periods": [(DAYS[0], 1), (DAYS[2], 2)]},
            "__all__",
        ),
        ({"grade": 2, "periods": [(DAYS[0], 2), (DAYS[1], 2)]}, "__all__"),
        ({"grade": 2, "periods": [(DAYS[0], 1), (date(2025, 12, 2), 2)]}, "__all__"),  # in the future
        ({"grade": 3, "periods": [(DAYS[0], 3), (DAYS[0], 1)]}, "__all__"),
        ({"grade": 3, "periods": [(DAYS[0], 3), (DAYS[1], 4)]}, "grade"),
        ({"grade": 2, "periods": [(DAYS[0], 6)]}, "periods-0-grade"),
        ({"grade": 2, "periods": [(DAYS[0], None)]}, "periods-0-grade"),
        ({"grade": 2, "periods": [("2025-02-30", 2)]}, "periods-0-from_date"),
        ({**FATAL, "onset_date": DAYS[0], "periods": [(DAYS[0], 5), (date(2025, 9, 30), 3)]}, "__all__"),
    ],
)
def test_periods_that_cannot_be_are_refused(cast, subject, changes, field):
    assert field in refused(subject, cast.coordinator_a, **changes)


def test_a_period_of_a_grade_the_term_has_not_is_refused(cast, subject):
    found = refused(subject, cast.coordinator_a, grade=4, periods=[(DAYS[0], 3), (DAYS[1], 4)])
    assert "grade" in found  # fatigue ends at grade 3
    words = refused(subject, cast.coordinator_a, ctcae_code="10061103", grade=5, sae_death=True, periods=[(DAYS[0], 4)])
    assert words


def set_grade(record, grade):
    AdverseEvent.objects.filter(pk=record.pk).update(grade=grade)


def drop_worst(record, grade):
    GradePeriod.objects.get(parent=record, grade=grade).delete()


def close(act, *given) -> None:
    """Do it as another road than the form would, to the end of the transaction."""
    with acting(SETUP, "planted"):
        act(*given)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(("act", "grade"), [(set_grade, 2), (drop_worst, 3)])
def test_the_database_refuses_a_grade_that_is_not_the_worst(cast, subject, act, grade):
    record = event(subject, cast.coordinator_a, grade=3, periods=[(DAYS[0], 1), (DAYS[1], 3)])
    with pytest.raises(IntegrityError, match="not the worst"):
        close(act, record, grade)


def test_a_worse_period_is_added_later_and_moves_the_grade(cast, subject):
    record = event(subject, cast.coordinator_a, grade=1)
    stored = AdverseEvent.objects.get(pk=record.pk)
    event(subject, cast.coordinator_a, record=stored, grade=2, periods=[(DAYS[0], 1), (DAYS[1], 2)])
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert AdverseEvent.objects.get().grade == 2
    assert GradePeriod.objects.count() == 2


# --- vertebra and visit ---


def test_a_vertebra_is_asked_for_terms_of_the_spine_alone(cast, subject):
    fracture = event(subject, cast.coordinator_a, ctcae_code=SPINAL_FRACTURE, vertebra="T8", reported_visit="M3")
    assert (fracture.vertebra, fracture.reported_visit) == ("T8", "M3")
    tired = event(subject, cast.coordinator_a, vertebra="T8")
    assert tired.vertebra == ""
    with pytest.raises(EntryRefused) as refusal:
        event(subject, cast.coordinator_a, ctcae_code=MYELITIS, vertebra="X1")
    assert list(refusal.value.errors) == ["vertebra"]


@pytest.mark.parametrize("code", ["M4", "m3", "EOS", "M3; DROP", "\u0666"])
def test_a_visit_outside_the_schedule_is_refused(cast, subject, code):
    assert list(refused(subject, cast.coordinator_a, reported_visit=code)) == ["reported_visit"]


def test_the_visits_of_a_report_are_those_of_the_schedule():
    codes = [code for code, _title in reporting_visits()]
    assert codes[:9] == ["SCR", "BL", "RAND", "RT", "W2", "M3", "M6", "M12", "M18"]
    assert len(codes) == len(set(codes))


# --- what was there at baseline ---


@pytest.fixture
def ill(subject):
    """Hypertension, heart failure of class II, an infection of grade 1, pain 6, a fracture of T9."""
    baseline(subject, nrs=6, analgesics="none")
    with acting(SETUP, "test"):
        Status(
            subject=subject, assessed_on=date(2025, 8, 25), ecog=1, kps=80, neurology="e", hypertension=True,
            diabetes=False, myocardial_infarction=False, myocardial_ischaemia=False, nyha=2, infection_grade=1,
            unhealed_wound=False, ecg_done=False, pregnancy_test="not_applicable",
        ).save()  # fmt: skip
        sites = SitesOfDisease(
            subject=subject, imaging_modality="mri", imaging_date=date(2025, 8, 25), index_level="T9", other_trial=False
        )
        sites.save()
        for level, fracture in (("T9", True), ("L1", False)):
            DiseaseSite(
                subject=subject, parent=sites, level=level, lesion="lytic", fracture=fracture, prior_rt=False,
                prior_surgery=False,
            ).save()  # fmt: skip
    return subject


def test_the_conditions_of_baseline_are_listed(ill, django_assert_num_queries):
    with django_assert_num_queries(3):
        words = [condition.label for condition in conditions_of(ill)]
    assert words[0] == "Hypertension"
    assert "Pain at the index site: 6 of 10" in words
    assert "Compression fracture of T9" in words
    assert len(words) == 5


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"ctcae_code": HYPERTENSION}, True),
        ({"ctcae_code": HYPERTENSION, "worse_than_before": True}, False),
        ({"ctcae_code": BACK_PAIN}, True),
        ({"ctcae_code": SPINAL_FRACTURE, "vertebra": "T9"}, True),
        ({"ctcae_code": SPINAL_FRACTURE}, True),
        ({"ctcae_code": SPINAL_FRACTURE, "vertebra": "L1"}, False),
        ({"ctcae_code": "10061229"}, True),  # lung infection
        ({"ctcae_code": "10019279", "grade": 2}, True),
        ({"ctcae_code": MYELITIS}, False),
        ({}, False),
    ],
)
def test_an_event_like_a_condition_of_baseline_must_be_worse(cast, ill, changes, asked):
    changes = {"grade": 2, **changes}
    if not asked:
        assert event(ill, cast.coordinator_a, **changes).pk
        return
    assert list(refused(ill, cast.coordinator_a, **changes)) == ["worse_than_before"]
    event(ill, cast.coordinator_a, **changes, explanations={"ae_at_baseline": "another one, at another place"})
    assert Explanation.objects.get().check_code == "ae_at_baseline"


def test_the_form_shows_what_was_there_at_baseline(cast, client, ill):
    client.force_login(cast.coordinator_a)
    page = client.get(reverse("crf_edit", args=[ill.code, "A.AE", "new"]))
    assert "Compression fracture of T9" in page.text
    assert 'data-rows="periods"' in page.text
