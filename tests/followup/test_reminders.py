"""Reminders: one per visit and person, sent once, found again after a crash, silent about who and which arm."""

import smtplib
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.mail.backends.locmem import EmailBackend
from django.db import DatabaseError, connection
from django.urls import reverse

from followup import reminders, tasks
from followup.models import Reminder
from spinetrial.access.models import Membership
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial
from tests.cast import SETUP, make_cast
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
        return reminders.do_send_due()


def rows():
    return [(r.subject.code, r.event, r.kind, r.recipient.username) for r in Reminder.objects.order_by("id")]


# --- planning ---


def test_one_reminder_per_due_visit_and_coordinator_of_the_site(cast, subject):
    colleague("second", "coordinator", cast.site_a)
    assert plan() == 2
    assert rows() == [
        (subject.code, "W2", "due", "coordinator-a"),
        (subject.code, "W2", "due", "second"),
    ]


def test_planning_again_makes_none(cast, subject):
    plan()
    assert plan(MORNING + timedelta(days=1)) == 0
    assert Reminder.objects.count() == 1


def test_an_overdue_visit_is_told_once_more(cast, subject):
    plan()
    assert plan(MORNING + timedelta(days=7)) == 0  # last day of the window
    assert plan(MORNING + timedelta(days=8)) == 1
    assert [row[2] for row in rows()] == ["due", "overdue"]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 10, 2, 22, 59, tzinfo=UTC), 0),  # 06:59 on the day itself
        (datetime(2025, 10, 2, 23, 0, tzinfo=UTC), 1),  # 07:00
        (datetime(2025, 10, 2, 15, 0, tzinfo=UTC), 0),  # 23:00 the day before: not due yet
    ],
)
def test_the_site_sleeps_until_its_own_morning(cast, subject, moment, expected):
    assert plan(moment) == expected


def test_each_site_has_its_own_morning(cast, subject):
    with acting(SETUP, "moves"):
        cast.site_b.timezone = "America/New_York"
        cast.site_b.save()
    treated(cast.coordinator_b, cast.site_b)
    plan(MORNING)  # 20:30 of the day before in New York, so not due there
    assert {row[3] for row in rows()} == {"coordinator-a"}
    plan(MORNING + timedelta(hours=11))  # 07:30 there
    assert {row[3] for row in rows()} == {"coordinator-a", "coordinator-b"}


def test_nobody_is_reminded_whose_membership_ended_or_account_is_closed(cast, subject):
    colleague("former", "coordinator", cast.site_a, ends=MORNING.date() - timedelta(days=1))
    colleague("closed", "coordinator", cast.site_a, is_active=False)
    colleague("elsewhere", "coordinator", cast.site_b)
    colleague("doctor", "investigator", cast.site_a)
    colleague("lastday", "coordinator", cast.site_a, ends=MORNING.date())
    plan()
    assert [row[3] for row in rows()] == ["coordinator-a", "lastday"]


def test_nothing_is_planned_for_visits_done_missed_or_not_expected(cast, subject):
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    other = treated(cast.coordinator_a, cast.site_a)
    visit(other, cast.coordinator_a, "W2", status="missed", on=date(2025, 10, 3))
    dead = treated(cast.coordinator_a, cast.site_a)
    milestones(dead, death_date=date(2025, 10, 2))
    assert plan() == 0


def test_the_number_of_queries_does_not_grow(cast, subject, django_assert_max_num_queries):
    plan()
    for _number in range(5):
        treated(cast.coordinator_a, cast.site_a)
    with django_assert_max_num_queries(12):
        assert plan() == 5


def test_the_plan_names_its_actor_in_the_audit_trail(cast, subject):
    plan()
    entry = AuditEntry.objects.get(table_name="followup_reminder")
    assert (entry.actor, entry.act, entry.subject_id) == ("system: reminders", "insert", subject.pk)


def test_two_planners_at_once_make_one_reminder(committed_db):
    cast = make_cast()
    for _number in range(3):
        treated(cast.coordinator_a, cast.site_a)
    start, faults = threading.Barrier(4), []

    def work():
        try:
            start.wait()
            plan()
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(rows()) == len(set(rows())) == 3


# --- sending ---


def test_a_reminder_is_sent_once(cast, subject):
    plan()
    assert send() == 1
    assert send(MORNING + timedelta(hours=1)) == 0
    assert len(mail.outbox) == 1
    row = Reminder.objects.get()
    assert (row.state, row.attempts, row.sent_at, row.lease_until) == ("sent", 1, MORNING, None)


def test_the_mail_has_the_code_the_dates_and_the_link_and_no_name_and_no_arm(cast, subject, settings):
    settings.SITE_URL = "https://edc.example.org"
    colleague("li", "coordinator", cast.site_a, language="zh-hans")
    plan()
    assert send() == 2
    english = mail.outbox[0]
    assert english.to == ["coordinator_a@example.org"]
    assert english.subject == f"{subject.code}: visit Week 2 is due"
    for message in mail.outbox:
        text = message.subject + message.body
        assert subject.code in message.subject
        assert "2025-10-03" in message.body
        assert "2025-10-10" in message.body
        assert f"https://edc.example.org/subjects/{subject.code}/F.VISIT/W2/" in message.body
        for secret in ("Zhang", "Secret", "LOCAL", "WHOLE", "arm", "sector"):
            assert secret not in text
    assert "Participant" in english.body


def test_the_mail_is_written_in_the_language_of_its_reader(cast, subject, monkeypatch):
    """The words come from the catalogue of the recipient's language, not of whoever runs the job."""
    from django.utils import translation

    colleague("li", "coordinator", cast.site_a, language="zh-hans")
    plan()
    seen = {}
    original = reminders.render_to_string

    def spy(template, context):
        seen.setdefault(context["code"], []).append(translation.get_language())
        return original(template, context)

    monkeypatch.setattr(reminders, "render_to_string", spy)
    with translation.override("en"):
        send()
    assert seen[subject.code] == ["en", "en", "zh-hans", "zh-hans"]


def test_no_link_without_an_address_of_the_site(cast, subject, settings):
    settings.SITE_URL = ""
    plan()
    send()
    assert "/subjects/" not in mail.outbox[0].body


def test_a_crash_between_lease_and_send_is_made_good(cast, subject):
    plan()
    with at(MORNING):
        assert reminders.lease_next() is not None  # the worker dies here
    assert send(MORNING + timedelta(minutes=9)) == 0
    assert send(MORNING + timedelta(minutes=10)) == 1
    assert Reminder.objects.get().attempts == 2


def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(cast, subject):
    plan()
    with at(MORNING):
        slow = reminders.lease_next()
    send(MORNING + timedelta(minutes=11))
    before = Reminder.objects.get()
    with at(MORNING + timedelta(minutes=12)):
        assert reminders._note(slow, "late", state="failed") is False
    assert Reminder.objects.get().state == before.state == "sent"


def test_crashes_without_end_end(cast, subject):
    plan()
    moment = MORNING
    for _number in range(len(reminders.BACK_OFF) + 1):
        with at(moment):
            assert reminders.lease_next().state == "planned"
        moment += timedelta(minutes=11)
    assert send(moment) == 0
    assert Reminder.objects.get().state == "failed"


class Refusing(EmailBackend):
    faults = 0

    def send_messages(self, messages):
        if Refusing.faults:
            Refusing.faults -= 1
            raise smtplib.SMTPServerDisconnected("gone")
        return super().send_messages(messages)


@pytest.fixture
def refusing(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    Refusing.faults = 0
    return Refusing


def test_a_refusing_mail_server_is_asked_again_later(cast, subject, refusing):
    refusing.faults = 2
    plan()
    assert send() == 0
    assert send(MORNING + timedelta(minutes=4)) == 0  # still waiting: not even tried
    assert refusing.faults == 1
    assert send(MORNING + timedelta(minutes=5)) == 0
    assert send(MORNING + timedelta(minutes=34)) == 0
    assert send(MORNING + timedelta(minutes=35)) == 1
    assert Reminder.objects.get().attempts == 3


def test_after_the_last_attempt_it_has_failed_and_stays_so(cast, subject, refusing, caplog):
    refusing.faults = 100
    plan()
    for day in range(6):
        send(MORNING + timedelta(hours=9 * day))
    row = Reminder.objects.get()
    assert (row.state, row.attempts) == ("failed", 5)
    assert refusing.faults == 95
    assert "example.org" not in caplog.text


@pytest.mark.parametrize("what", ["visit done", "no longer coordinates", "no address", "window closed"])
def test_a_reminder_that_lost_its_sense_is_stopped(cast, subject, what):
    plan()
    moment = MORNING
    if what == "visit done":
        visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    elif what == "window closed":
        moment += timedelta(days=8)
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
    assert Reminder.objects.get(kind="due").state == "stopped"


def test_reminders_go_out_while_the_trial_is_frozen(cast, subject):
    trial.do_freeze(cast.data_manager, "cleaning")
    plan()
    assert send() == 1


def test_senders_at_once_send_each_reminder_once(committed_db):
    cast = make_cast()
    for _number in range(6):
        treated(cast.coordinator_a, cast.site_a)
    plan()
    start, faults = threading.Barrier(3), []

    def work():
        try:
            start.wait()
            send()
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len({message.subject for message in mail.outbox}) == len(mail.outbox) == 6
    assert set(Reminder.objects.values_list("state", flat=True)) == {"sent"}


def test_the_tasks_are_the_ones_the_schedule_names(cast, subject, settings):
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {tasks.plan_reminders.name, tasks.send_due.name} <= names
    with at(MORNING):
        tasks.plan_reminders.delay()
        tasks.send_due.delay()
    assert len(mail.outbox) == 1


def test_the_database_keeps_one_and_its_states(cast, subject):
    plan()
    copy = Reminder.objects.get()
    copy.pk = None
    with pytest.raises(DatabaseError, match="reminder_once_per_recipient"), acting(SETUP, "planted"):
        copy.save(force_insert=True)
    with pytest.raises(DatabaseError, match="reminder_sent_has_time"), acting(SETUP, "planted"):
        Reminder.objects.update(state="sent")


# --- stopping and the screen ---


def test_a_planned_reminder_is_stopped_with_its_reason(cast, subject):
    plan()
    reminders.do_stop(cast.coordinator_a, Reminder.objects.get(), "moved house")
    assert send() == 0
    assert AuditEntry.objects.filter(table_name="followup_reminder", act="update").get().reason == "moved house"
    with pytest.raises(reminders.NotPlanned):
        reminders.do_stop(cast.coordinator_a, Reminder.objects.get(), "again")


def test_only_the_own_site_stops(cast, subject):
    plan()
    for person in (cast.coordinator_b, cast.monitor_a, cast.outsider):
        with pytest.raises(PermissionDenied):
            reminders.do_stop(person, Reminder.objects.get(), "no")


STATUS = {
    "coordinator_a": (200, 200),
    "investigator_a": (200, 200),
    "assessor_a": (200, 403),
    "monitor_a": (200, 403),
    "coordinator_b": (200, 404),
    "investigator_b": (200, 404),
    "data_manager": (200, 403),
    "statistician": (200, 403),
    "custodian": (403, 403),
    "administrator": (403, 403),
    "outsider": (403, 403),
}


@pytest.mark.parametrize("who", STATUS)
def test_who_sees_the_list_and_who_may_stop(cast, subject, client, who):
    plan()
    client.force_login(getattr(cast, who))
    stop = reverse("reminder_stop", args=[Reminder.objects.get().pk])
    answers = (client.get(reverse("reminders")), client.get(stop))
    assert tuple(answer.status_code for answer in answers) == STATUS[who]
    if STATUS[who][0] == 200:
        assert (subject.code in answers[0].text) == (not who.endswith("_b"))
        assert (stop in answers[0].text) == (STATUS[who][1] == 200)


def test_stopping_on_the_screen(cast, subject, client):
    plan()
    client.force_login(cast.coordinator_a)
    row = Reminder.objects.get()
    stop = reverse("reminder_stop", args=[row.pk])
    assert client.post(stop, {"reason": ""}).status_code == 422
    assert client.post(stop, {"reason": "x" * 10_000}).status_code == 422
    assert client.post(stop, {"reason": "moved house"}).status_code == 302
    assert Reminder.objects.get().state == "stopped"
    again = client.post(stop, {"reason": "again"}, follow=True)
    assert again.status_code == 200
    assert "meanwhile" in again.text
    assert client.get(reverse("reminder_stop", args=[row.pk + 1])).status_code == 404
    assert client.put(stop).status_code == 405


def test_the_list_filters_by_state_and_pages(cast, client, django_assert_max_num_queries):
    for _number in range(60):
        treated(cast.coordinator_a, cast.site_a)
    plan()
    client.force_login(cast.coordinator_a)
    with django_assert_max_num_queries(20):
        first = client.get(reverse("reminders"))
    assert first.text.count("NK-0") > 50
    assert client.get(reverse("reminders"), {"page": "nonsense", "state": "nonsense"}).status_code == 200
    assert "NK-0" not in client.get(reverse("reminders"), {"state": "failed"}).text
