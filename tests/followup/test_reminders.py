"""What staff are told about visits: the list of the day and the escalation, silent about who and which arm."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail

from followup import reminders, tasks
from spinetrial.access.models import Membership
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.outbox import digest
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due
from tests.cast import SETUP
from tests.followup.helpers import colleague, milestones, treated, visit

# W2 of the participants here is due on 3 October 2025 and closes on the 10th; M3 is due on 19 December.
MORNING = datetime(2025, 10, 3, 0, 30, tzinfo=UTC)  # 08:30 in China


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def plan(moment=MORNING):
    with at(moment):
        return reminders.do_plan()


def send(moment=MORNING):
    with at(moment):
        return do_send_due()


def rows():
    return [(r.kind, r.recipient.username) for r in Message.objects.order_by("id")]


def sections(cast, moment=MORNING):
    with at(moment):
        found = reminders.sections_of([cast.site_a]).get(cast.site_a.pk, [])
    return {section.title: [(line.subject.code, line.visit.event) for line in section.lines] for section in found}


# --- what stands in the list ---


@pytest.mark.parametrize(
    ("day", "heading"),
    [
        (date(2025, 9, 25), None),
        (date(2025, 9, 26), reminders._WEEK),  # seven days before it is due
        (date(2025, 10, 3), reminders._WEEK),
        (date(2025, 10, 6), reminders._WEEK),
        (date(2025, 10, 7), reminders._CLOSES),  # three days before the window closes
        (date(2025, 10, 10), reminders._CLOSES),
        (date(2025, 10, 11), reminders._LATE),
    ],
)
def test_a_visit_stands_under_the_heading_of_its_day(cast, subject, day, heading):
    moment = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    assert sections(cast, moment) == ({heading: [(subject.code, "W2")]} if heading else {})


def test_what_is_done_missed_or_not_expected_is_not_in_it(cast, subject):
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    other = treated(cast.coordinator_a, cast.site_a)
    visit(other, cast.coordinator_a, "W2", status="missed", on=date(2025, 10, 3))
    dead = treated(cast.coordinator_a, cast.site_a)
    milestones(dead, death_date=date(2025, 10, 2))
    assert sections(cast) == {}
    assert plan() == 0


# --- planning ---


def test_one_list_a_day_for_each_coordinator_of_the_site(cast, subject):
    colleague("second", "coordinator", cast.site_a)
    treated(cast.coordinator_a, cast.site_a)
    assert plan() == 2
    assert rows() == [("visit_digest", "coordinator-a"), ("visit_digest", "second")]
    assert plan(MORNING + timedelta(hours=9)) == 0
    assert plan(MORNING + timedelta(days=1)) == 2


def test_someone_at_two_sites_gets_a_list_from_each(cast, subject):
    with acting(SETUP, "joins"):
        Membership(user=cast.coordinator_a, role="coordinator", site=cast.site_b, starts=date(2020, 1, 1)).save()
    treated(cast.coordinator_b, cast.site_b)
    plan()
    assert rows().count(("visit_digest", "coordinator-a")) == 2


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 10, 2, 22, 59, tzinfo=UTC), 0),  # 06:59 on the day itself
        (datetime(2025, 10, 2, 23, 0, tzinfo=UTC), 1),  # 07:00
        (datetime(2025, 9, 25, 15, 59, tzinfo=UTC), 0),  # 23:59, eight days before
    ],
)
def test_the_site_sleeps_until_its_own_morning(cast, subject, moment, expected):
    assert plan(moment) == expected


def test_each_site_has_its_own_morning(cast, subject):
    with acting(SETUP, "moves"):
        cast.site_b.timezone = "America/New_York"
        cast.site_b.save()
    treated(cast.coordinator_b, cast.site_b)
    early = datetime(2025, 10, 3, 10, 30, tzinfo=UTC)  # 18:30 in China, 06:30 in New York
    plan(early)
    assert {row[1] for row in rows()} == {"coordinator-a"}
    plan(early + timedelta(hours=1))
    assert {row[1] for row in rows()} == {"coordinator-a", "coordinator-b"}


def test_nobody_is_told_whose_membership_ended_or_account_is_closed(cast, subject):
    colleague("former", "coordinator", cast.site_a, ends=MORNING.date() - timedelta(days=1))
    colleague("closed", "coordinator", cast.site_a, is_active=False)
    colleague("elsewhere", "coordinator", cast.site_b)
    colleague("lastday", "coordinator", cast.site_a, ends=MORNING.date())
    plan()
    assert [row[1] for row in rows()] == ["coordinator-a", "lastday"]


def test_the_number_of_queries_does_not_grow(cast, subject, django_assert_max_num_queries):
    plan()
    for _number in range(5):
        treated(cast.coordinator_a, cast.site_a)
    with django_assert_max_num_queries(16):
        plan(MORNING + timedelta(days=1))


# --- escalation ---


def test_the_investigator_is_told_once_of_a_visit_late_for_a_week(cast, subject):
    assert plan(MORNING + timedelta(days=13)) == 1  # 16 October, six days after the window
    assert plan(MORNING + timedelta(days=14)) == 2
    assert rows()[1:] == [("visit_digest", "coordinator-a"), ("visit_escalation", "investigator-a")]
    assert plan(MORNING + timedelta(days=15)) == 1  # the list of the day, no second escalation
    send(MORNING + timedelta(days=15))
    told = next(each for each in mail.outbox if each.to == ["investigator_a@example.org"])
    assert told.subject == f"{subject.code}: visit Week 2 is late and nothing is entered"
    assert "2025-10-10" in told.body


# --- sending ---


def test_the_mail_has_the_codes_the_dates_and_the_links_and_no_name_and_no_arm(cast, subject, settings):
    settings.SITE_URL = "https://edc.example.org"
    colleague("li", "coordinator", cast.site_a, language="zh-hans")
    plan()
    assert send() == 2
    english = mail.outbox[0]
    assert english.subject == "NK: 1 thing to do"
    for message in mail.outbox:
        text = message.subject + message.body
        assert "2025-10-03" in message.body
        assert "2025-10-10" in message.body
        assert f"https://edc.example.org/subjects/{subject.code}/F.VISIT/W2/" in message.body
        for secret in ("Zhang", "Secret", "LOCAL", "WHOLE", "arm", "sector"):
            assert secret not in text
    assert "Week 2" in english.body
    assert "Week 2" not in mail.outbox[1].body, "the words are those of the reader's language"


def test_no_link_without_an_address_of_the_installation(cast, subject, settings):
    settings.SITE_URL = ""
    plan()
    send()
    assert "/subjects/" not in mail.outbox[0].body


@pytest.mark.parametrize("what", ["visit done", "no longer coordinates", "no address", "next day"])
def test_a_list_that_lost_its_sense_is_stopped_and_says_why(cast, subject, what):
    plan()
    moment = MORNING
    if what == "visit done":
        visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    elif what == "next day":
        moment += timedelta(days=1)
    else:
        with acting(SETUP, "leaves"):
            if what == "no address":
                cast.coordinator_a.email = ""
                cast.coordinator_a.save()
            else:
                membership = Membership.objects.get(user=cast.coordinator_a)
                membership.ends = date(2025, 10, 2)
                membership.save()
    assert send(moment) == 0
    assert mail.outbox == []
    row = Message.objects.get()
    assert row.state == "stopped"
    assert row.why


def test_an_escalation_that_lost_its_sense_is_stopped(cast, subject):
    late = MORNING + timedelta(days=14)
    plan(late)
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 8), on=late.date())
    send(late)
    assert Message.objects.get(kind="visit_escalation").state == "stopped"


def test_another_app_adds_its_sections_and_a_broken_one_holds_up_nothing(cast, monkeypatch, caplog):
    def broken(sites):
        raise ValueError("Zhang")

    monkeypatch.setattr(digest, "_contributors", [])
    digest.contribute(broken)
    digest.contribute(lambda sites: {cast.site_a.pk: [digest.Section("Serious events", ("NK-001: 3 h left",))]})
    assert plan() == 1
    assert send() == 1
    assert "NK-001: 3 h left" in mail.outbox[0].body
    assert "ValueError" in caplog.text
    assert "Zhang" not in caplog.text


def test_the_task_is_the_one_the_schedule_names(cast, subject, settings):
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.plan_reminders.name in names
    with at(MORNING):
        tasks.plan_reminders.delay()
    assert Message.objects.count() == 1
