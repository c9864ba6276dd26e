"""The radiotherapy page: one click a day, other dates, and whom it is closed to."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.milestones import milestones_of, set_milestones
from patients.subjects import do_register
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course, Fraction
from radiotherapy.record_fraction import do_record_fraction
from spinetrial.audit import clock
from spinetrial.audit.acting import acting
from spinetrial.crf.forms import form_data
from spinetrial.review import trial

TUESDAY = date(2026, 11, 17)


@pytest.fixture
def subject(cast):
    subject = do_register(cast.coordinator_a, cast.site_a, date(2026, 11, 2), {})
    with acting(cast.coordinator_a, "test"):
        set_milestones(
            cast.coordinator_a, subject, "test", consent_date=date(2026, 11, 3), eligible_on=date(2026, 11, 4),
            randomized_on=date(2026, 11, 5),
        )  # fmt: skip
    return subject


@pytest.fixture(autouse=True)
def tuesday():
    with clock.at(datetime(2026, 11, 17, 1, 0, tzinfo=UTC)):
        yield


@pytest.fixture
def page(client):
    def go(person, name, *args, data=None, language="en"):
        client.force_login(person)
        headers = {"Accept-Language": language}
        if data is None:
            return client.get(reverse(name, args=args), headers=headers)
        return client.post(reverse(name, args=args), data, headers=headers)

    return go


def click(page, person, subject, number=1, seen_version=0, **values):
    return page(person, "fraction_new", subject.code, data={"number": number, "seen_version": seen_version, **values})


def test_one_click_a_day(cast, subject, page):
    assert (
        "Fraction 1 given today, 2026-11-17" in page(cast.coordinator_a, "radiotherapy", subject.code).content.decode()
    )
    assert click(page, cast.coordinator_a, subject, today=1).status_code == 302
    row = Fraction.objects.get()
    assert (row.number, row.date, row.given, row.dose_gy) == (1, TUESDAY, True, 3)
    assert milestones_of(subject).rt_start == TUESDAY
    shown = page(cast.coordinator_a, "radiotherapy", subject.code).content.decode()
    assert "given today" not in shown  # today's is done; another one of today takes a second look
    assert "1 of 10 fractions given" in shown


def test_a_double_click_records_one_fraction(cast, subject, page):
    assert click(page, cast.coordinator_a, subject, today=1).status_code == 302
    answer = click(page, cast.investigator_a, subject, today=1)
    assert answer.status_code == 422
    assert Fraction.objects.count() == 1
    # the second person sees number 2 and the new version, so a deliberate click works
    answer = click(page, cast.investigator_a, subject, number=2, seen_version=0, today=1)
    assert answer.status_code == 422
    assert "Somebody else changed this course" in answer.content.decode()
    assert 'name="seen_version" value="1"' in answer.content.decode()


def test_another_date_with_its_reason(cast, subject, page):
    ok = {"date": "2026-11-14", "given": "True", "dose_gy": "3", "gap_reason": "holiday"}
    assert click(page, cast.coordinator_a, subject, **ok).status_code == 302
    shown = page(cast.coordinator_a, "radiotherapy", subject.code).content.decode()
    assert "not on a treatment day" in shown
    assert "reason missing" not in shown


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"date": "2026-11-18", "given": "True", "dose_gy": "3"}, "in the future"),
        ({"date": "2026-11-04", "given": "True", "dose_gy": "3"}, "before the randomisation"),
        ({"date": "2026-02-30", "given": "True", "dose_gy": "3"}, "valid date"),
        ({"date": "", "given": "True", "dose_gy": "3"}, "required"),
        ({"date": "2026-11-17", "given": "", "dose_gy": "3"}, "required"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": ""}, "needed here"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "3000"}, "digits"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "0"}, "greater than or equal to"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "😀"}, "number"),
        ({"date": "2026-11-17", "given": "False"}, "has a reason"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "3", "remark": "x" * 10_000}, "at most 300"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "3", "gap_reason": "x"}, "not one of"),
        ({"date": "2026-11-17", "given": "True", "dose_gy": "3", "number": "11"}, "more fractions than prescribed"),
        ({"today": "1", "number": "x"}, ""),
        ({"today": "1", "seen_version": "-1"}, ""),
        ({}, "required"),
    ],
)
def test_bad_input_is_answered_and_nothing_is_saved(cast, subject, page, values, words):
    answer = click(page, cast.coordinator_a, subject, **values)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Fraction.objects.exists()


def test_before_randomisation_nothing_can_be_recorded(cast, page):
    subject = do_register(cast.coordinator_a, cast.site_a, date(2026, 11, 2), {})
    assert "given today" not in page(cast.coordinator_a, "radiotherapy", subject.code).content.decode()
    answer = click(page, cast.coordinator_a, subject, today=1)
    assert answer.status_code == 422
    assert not Fraction.objects.exists()


def test_frozen_trial_takes_no_fraction(cast, subject, page):
    trial.do_freeze(cast.data_manager, "t")
    assert "given today" not in page(cast.coordinator_a, "radiotherapy", subject.code).content.decode()
    assert click(page, cast.coordinator_a, subject, today=1).status_code == 422


ROLES = {
    "coordinator_a": (200, 200),
    "investigator_a": (200, 200),
    "monitor_a": (200, 403),
    "data_manager": (200, 403),
    "assessor_a": (403, 403),
    "statistician": (403, 403),
    "coordinator_b": (404, 404),
    "custodian": (403, 403),
    "administrator": (403, 403),
    "outsider": (403, 403),
}


@pytest.mark.parametrize("name", ROLES)
def test_who_sees_the_course(cast, subject, page, name):
    do_record_fraction(cast.coordinator_a, subject, 1, TUESDAY)
    person = getattr(cast, name)
    found = page(person, "radiotherapy", subject.code), page(person, "radiotherapy_edit", subject.code)
    assert tuple(answer.status_code for answer in found) == ROLES[name]
    if ROLES[name][1] != 200:
        assert click(page, person, subject, number=2, seen_version=1, today=1).status_code == ROLES[name][1]


def test_the_whole_form_saves_and_comes_back(cast, subject, page):
    data = form_data(
        COURSE,
        {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned", "planned_start": date(2026, 11, 16)},
        {"targets": [{"level": "T8", "gtv1": "on", "ctv1": "on"}], "fractions": []},
    )
    answer = page(cast.coordinator_a, "radiotherapy_edit", subject.code, data={**data, "seen_version": "0"})
    assert (answer.status_code, answer.url) == (302, reverse("radiotherapy", args=[subject.code]))
    shown = page(cast.monitor_a, "radiotherapy", subject.code).content.decode()
    assert "T8" in shown
    assert "2026-11-16" in shown
    bad = {**data, "seen_version": "1", "targets-0-gtv2": "on"}
    answer = page(cast.coordinator_a, "radiotherapy_edit", subject.code, data=bad)
    assert answer.status_code == 422
    assert Course.objects.get().row_version == 1


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_both_languages(cast, subject, page, language):
    for day in (13, 16, 17):
        do_record_fraction(cast.coordinator_a, subject, day - 12 if day < 14 else day - 14, date(2026, 11, day))
    assert page(cast.coordinator_a, "radiotherapy", subject.code, language=language).status_code == 200
    assert page(cast.coordinator_a, "radiotherapy_edit", subject.code, language=language).status_code == 200


def test_queries_do_not_grow_with_the_fractions(cast, subject, page):
    counts = []
    for number, day in ((1, 16), (2, 17)):
        do_record_fraction(cast.coordinator_a, subject, number, date(2026, 11, day))
        page(cast.coordinator_a, "radiotherapy", subject.code)
        with CaptureQueriesContext(connection) as queries:
            page(cast.coordinator_a, "radiotherapy", subject.code)
        counts.append(len(queries))
    assert counts[0] == counts[1]
