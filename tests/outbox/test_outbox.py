"""The outbox: each message planned once and sent once, found again after a crash, held back at night, stoppable."""

import smtplib
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.mail.backends.locmem import EmailBackend
from django.db import DatabaseError, connection
from django.urls import reverse

from spinetrial.audit.acting import SystemActor, acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.outbox import kinds, tasks
from spinetrial.outbox import send as sending
from spinetrial.outbox.kinds import Kind, register
from spinetrial.outbox.models import Message, MessageState
from spinetrial.outbox.plan import Planned, plan
from spinetrial.outbox.send import do_send_due, do_stop, lease_next, to_person
from spinetrial.review import trial
from tests.cast import SETUP, make_cast
from tests.followup.helpers import treated

NOON = datetime(2025, 10, 3, 4, 0, tzinfo=UTC)  # 12:00 in China
PLANNER = SystemActor("test planner")


def needed(message):
    return ""


def letter(message):
    return to_person(message, f"Message {message.key}", "Please look.")


@pytest.fixture(autouse=True)
def kind():
    before = dict(kinds._kinds)
    register(Kind("test", "Test", needed, letter))
    yield
    kinds._kinds.clear()
    kinds._kinds.update(before)


def planned(cast, key="one", **changes):
    values = {"kind": "test", "site_id": cast.site_a.pk, "recipient_id": cast.coordinator_a.pk, "due": NOON.date()}
    return Planned(**{"key": key, "not_before": NOON, **values, **changes})


def make(cast, *keys, moment=NOON, **changes):
    with at(moment):
        return plan(PLANNER, [planned(cast, key, **changes) for key in keys or ("one",)], "test")


def send(moment=NOON):
    with at(moment):
        return do_send_due()


# --- planning ---


def test_planning_again_makes_none(cast):
    assert make(cast, "one", "two") == 2
    assert make(cast, "one", "two", "three") == 1
    assert Message.objects.count() == 3


def test_the_same_key_twice_in_one_plan_is_one_message(cast):
    assert make(cast, "one", "one") == 1


def test_the_plan_names_its_actor_in_the_audit_trail(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    make(cast, subject_id=subject.pk)
    entry = AuditEntry.objects.get(table_name="outbox_message")
    assert (entry.actor, entry.act, entry.subject_id) == ("system: test planner", "insert", subject.pk)


def together(threads: int, work) -> list[Exception]:
    start, faults = threading.Barrier(threads), []

    def run():
        try:
            start.wait()
            work()
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    started = [threading.Thread(target=run) for _number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return faults


def test_planners_at_once_make_one_message_each(committed_db):
    cast = make_cast()
    keys = [str(number) for number in range(30)]
    assert together(4, lambda: make(cast, *keys)) == []
    assert sorted(Message.objects.values_list("key", flat=True)) == sorted(keys)


# --- sending ---


def test_a_message_is_sent_once(cast):
    make(cast)
    assert send() == 1
    assert send(NOON + timedelta(hours=1)) == 0
    row = Message.objects.get()
    assert (row.state, row.attempts, row.sent_at, row.lease_until, row.why) == ("sent", 1, NOON, None, "")
    assert [each.to for each in mail.outbox] == [["coordinator_a@example.org"]]


def test_nothing_goes_out_before_its_time(cast):
    make(cast, not_before=NOON + timedelta(hours=2))
    assert send(NOON + timedelta(hours=2) - timedelta(seconds=1)) == 0
    assert send(NOON + timedelta(hours=2)) == 1


def test_a_crash_between_lease_and_send_is_made_good(cast):
    make(cast)
    with at(NOON):
        assert lease_next() is not None  # the worker dies here
    assert send(NOON + sending.lease() - timedelta(seconds=1)) == 0
    assert send(NOON + sending.lease()) == 1
    assert Message.objects.get().attempts == 2


def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(cast):
    make(cast)
    with at(NOON):
        slow = lease_next()
    send(NOON + sending.lease())
    with at(NOON + sending.lease() + timedelta(minutes=1)):
        assert sending._note(slow, "late", state=MessageState.FAILED) is False
    assert Message.objects.get().state == "sent"


def test_the_double_of_a_crash_carries_the_same_message_id(cast):
    make(cast)
    with at(NOON):
        row = lease_next()
        letter(row)  # handed to the mail server; the worker dies before it notes it
    first = sending._message_id(row)
    send(NOON + sending.lease())
    assert mail.outbox[0].extra_headers["Message-ID"] == first


def test_crashes_without_end_end(cast):
    make(cast)
    moment = NOON
    for _number in range(len(sending.BACK_OFF) + 1):
        with at(moment):
            assert lease_next().state == "planned"
        moment += sending.lease()
    assert send(moment) == 0
    row = Message.objects.get()
    assert (row.state, row.why) == ("failed", "Tried too often.")


class Refusing(EmailBackend):
    faults = 0

    def send_messages(self, messages):
        if Refusing.faults:
            Refusing.faults -= 1
            raise smtplib.SMTPServerDisconnected("coordinator_a@example.org is gone")
        return super().send_messages(messages)


@pytest.fixture
def refusing(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    Refusing.faults = 0
    return Refusing


def test_a_refusing_mail_server_is_asked_again_later(cast, refusing):
    refusing.faults = 2
    make(cast)
    assert send() == 0
    assert send(NOON + timedelta(minutes=4)) == 0  # still waiting: not even tried
    assert refusing.faults == 1
    assert send(NOON + timedelta(minutes=5)) == 0
    assert send(NOON + timedelta(minutes=34)) == 0
    assert send(NOON + timedelta(minutes=35)) == 1
    assert Message.objects.get().attempts == 3


def test_after_the_last_attempt_it_has_failed_and_the_log_holds_no_address(cast, refusing, caplog):
    refusing.faults = 100
    make(cast)
    for day in range(6):
        send(NOON + timedelta(hours=9 * day))
    row = Message.objects.get()
    assert (row.state, row.attempts, row.why) == ("failed", 5, "Tried too often.")
    assert refusing.faults == 95
    assert "could not be sent" in caplog.text
    assert "example.org" not in caplog.text


def test_one_broken_message_does_not_hold_up_the_others(cast, caplog):
    def broken(message):
        if message.key == "bad":
            raise KeyError("no such thing")
        return letter(message)

    register(Kind("test", "Test", needed, broken))
    make(cast, "bad", "good")
    make(cast, "unknown", kind="of another program")
    assert send() == 1
    states = dict(Message.objects.values_list("key", "state"))
    assert states == {"bad": "planned", "good": "sent", "unknown": "failed"}
    assert Message.objects.get(key="unknown").why == "The program knows no such message."


def test_a_message_that_lost_its_sense_is_stopped_with_the_reason(cast):
    register(Kind("test", "Test", lambda message: "The visit was done.", letter))
    make(cast)
    assert send() == 0
    row = Message.objects.get()
    assert (row.state, row.why, mail.outbox) == ("stopped", "The visit was done.", [])


@pytest.mark.parametrize(
    ("hour", "waits_until"),
    [
        (19, None),
        (20, datetime(2025, 10, 4, 0, 0, tzinfo=UTC)),  # until 08:00 of the next day in China
        (23, datetime(2025, 10, 4, 0, 0, tzinfo=UTC)),
        (3, datetime(2025, 10, 3, 0, 0, tzinfo=UTC)),
        (8, None),
    ],
)
def test_quiet_hours_are_those_of_the_site_and_use_up_no_attempt(cast, hour, waits_until):
    register(Kind("test", "Test", needed, letter, quiet=(20, 8)))
    moment = datetime(2025, 10, 3, hour, 30, tzinfo=cast.site_a.zone)
    make(cast, not_before=moment, moment=moment)
    assert send(moment) == (waits_until is None)
    row = Message.objects.get()
    if waits_until:
        assert (row.state, row.attempts, row.lease_until) == ("planned", 0, waits_until)
        assert send(waits_until - timedelta(seconds=1)) == 0
        assert send(waits_until) == 1


def test_quiet_hours_within_one_day_are_understood():
    kind = Kind("noon", "Noon", needed, letter, quiet=(12, 14))
    assert [hour for hour in range(24) if kind.is_quiet(hour)] == [12, 13]
    assert not any(Kind("loud", "Loud", needed, letter).is_quiet(hour) for hour in range(24))


def test_messages_go_out_while_the_trial_is_frozen(cast):
    trial.do_freeze(cast.data_manager, "cleaning")
    make(cast)
    assert send() == 1


def test_senders_at_once_send_each_message_once(committed_db):
    cast = make_cast()
    make(cast, *[str(number) for number in range(12)])
    assert together(3, send) == []
    assert len({message.subject for message in mail.outbox}) == len(mail.outbox) == 12
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}


def test_the_task_is_the_one_the_schedule_names_and_takes_the_next_run_when_there_is_more(cast, settings, monkeypatch):
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.send_due.name in names
    monkeypatch.setattr(sending, "AT_MOST", 2)
    monkeypatch.setattr(tasks, "AT_MOST", 2)
    make(cast, "1", "2", "3")
    with at(NOON):
        tasks.send_due.delay()
    assert len(mail.outbox) == 3


def test_the_database_keeps_the_rules(cast):
    make(cast)
    copy = Message.objects.get()
    copy.pk = None
    with pytest.raises(DatabaseError, match="key"), acting(SETUP, "planted"):
        copy.save(force_insert=True)
    for values, rule in (
        ({"state": "sent"}, "message_sent_has_time"),
        ({"state": "stopped"}, "message_stopped_says_why"),
        ({"state": "lost"}, "message_state_known"),
        ({"kind": ""}, "message_is_named"),
    ):
        with pytest.raises(DatabaseError, match=rule), acting(SETUP, "planted"):
            Message.objects.update(**values)


# --- stopping and the screen ---


def test_a_planned_message_is_stopped_with_its_reason(cast):
    make(cast)
    do_stop(cast.coordinator_a, Message.objects.get(), "moved house")
    assert send() == 0
    assert AuditEntry.objects.filter(table_name="outbox_message", act="update").get().reason == "moved house"
    with pytest.raises(sending.NotPlanned):
        do_stop(cast.coordinator_a, Message.objects.get(), "again")


def test_only_the_own_site_stops(cast):
    make(cast)
    for person in (cast.coordinator_b, cast.monitor_a, cast.outsider):
        with pytest.raises(PermissionDenied):
            do_stop(person, Message.objects.get(), "no")


STATUS = {
    "coordinator_a": (200, 200),
    "investigator_a": (200, 200),
    "assessor_a": (200, 403),
    "monitor_a": (200, 403),
    "coordinator_b": (200, 404),
    "data_manager": (200, 403),
    "statistician": (200, 403),
    "custodian": (403, 403),
    "administrator": (403, 403),
    "outsider": (403, 403),
}


@pytest.mark.parametrize("who", STATUS)
def test_who_sees_the_list_and_who_may_stop(cast, client, who):
    subject = treated(cast.coordinator_a, cast.site_a)
    make(cast, subject_id=subject.pk, event="W2")
    client.force_login(getattr(cast, who))
    stop = reverse("message_stop", args=[Message.objects.get().pk])
    answers = (client.get(reverse("messages")), client.get(stop))
    assert tuple(answer.status_code for answer in answers) == STATUS[who]
    if STATUS[who][0] == 200:
        assert (subject.code in answers[0].text) == (not who.endswith("_b"))
        assert (stop in answers[0].text) == (STATUS[who][1] == 200)


def test_stopping_on_the_screen(cast, client):
    make(cast)
    client.force_login(cast.coordinator_a)
    row = Message.objects.get()
    stop = reverse("message_stop", args=[row.pk])
    assert client.post(stop, {"reason": ""}).status_code == 422
    assert client.post(stop, {"reason": "x" * 10_000}).status_code == 422
    assert client.post(stop, {"reason": "moved house"}).status_code == 302
    assert Message.objects.get().state == "stopped"
    assert "moved house" in client.get(reverse("messages")).text
    again = client.post(stop, {"reason": "again"}, follow=True)
    assert "meanwhile" in again.text
    assert client.get(reverse("message_stop", args=[row.pk + 1])).status_code == 404
    assert client.put(stop).status_code == 405


def test_the_list_filters_and_pages_and_names_no_address(cast, client, django_assert_max_num_queries):
    make(cast, *[str(number) for number in range(60)])
    make(cast, "participant", recipient_id=None, due=date(2025, 10, 4))
    client.force_login(cast.coordinator_a)
    with django_assert_max_num_queries(20):
        page = client.get(reverse("messages")).text
    assert page.count("<tr>") == 51
    assert "The participant" in page
    assert "example.org" not in page
    assert client.get(reverse("messages"), {"page": "2"}).text.count("<tr>") == 12
    send()
    assert client.get(reverse("messages"), {"state": "planned"}).text.count("<tr>") == 0
    assert client.get(reverse("messages"), {"kind": "test", "page": "2"}).text.count("<tr>") == 12
    assert client.get(reverse("messages"), {"kind": "nonsense", "state": "x"}).status_code == 200
