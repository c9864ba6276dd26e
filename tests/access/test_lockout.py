"""Lockout: five failures close a user name, whoever tries what; only an administrator opens it again."""

import pytest
from axes.models import AccessAttempt
from django.core import mail
from django.test import Client

from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from tests.cast import PASSWORD, SETUP

FAR = "too many failed attempts"


def fail(client, name="coordinator-a", times=1, **headers):
    for _ in range(times):
        answer = client.post("/login/", {"username": name, "password": "wrong"}, headers=headers)
    return answer


def log_in(client, name="coordinator-a", password=PASSWORD):
    return client.post("/login/", {"username": name, "password": password})


def acts(user):
    return list(AuditEntry.objects.filter(chain=f"user:{user.pk}").order_by("id").values_list("act", flat=True))


def test_four_failures_do_not_lock_and_the_fifth_does(cast, client):
    assert fail(client, times=4).status_code == 200
    assert log_in(client).status_code == 302
    client.post("/logout/")
    # a log-in starts the count anew
    assert fail(client, times=4).status_code == 200
    last = fail(client)
    assert last.status_code == 429
    assert "This user name is locked" in last.content.decode()
    assert log_in(client).status_code == 429, "the right password does not help any more"
    assert "_auth_user_id" not in client.session
    assert User.objects.get(pk=cast.coordinator_a.pk).locked_at


def test_another_browser_and_another_address_do_not_get_round_the_lock(cast):
    for number in range(5):
        fail(Client(REMOTE_ADDR=f"10.0.0.{number}"), user_agent=f"browser {number}")
    assert log_in(Client(REMOTE_ADDR="10.9.9.9")).status_code == 429


def test_the_lock_is_on_the_trail_once_and_the_person_and_administrators_are_told(
    cast, client, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        fail(client, times=8)
    entry = AuditEntry.objects.get(table_name="access_user", act="update")
    assert list(entry.changes) == ["locked_at"]
    assert entry.reason == FAR
    assert sorted(message.to[0] for message in mail.outbox) == [
        "administrator@example.org",
        "coordinator_a@example.org",
    ]
    assert "coordinator-a" in mail.outbox[1].body


def test_an_unknown_name_gets_the_very_same_answers(cast, client):
    def texts(name):
        return [
            (answer.status_code, answer.content.replace(name.encode(), b"").split(b"<form", 1)[0])
            for answer in (fail(Client(), name) for _ in range(6))
        ]

    assert texts("nobody-here") == texts("coordinator-b")
    assert AccessAttempt.objects.count() == 2


def test_what_was_typed_is_kept_nowhere(cast, client):
    client.post("/login/?next=secret-in-the-address", {"username": "my-secret-password", "password": "x"})
    client.post("/login/", {"username": "my-secret-password", "password": "other-secret"})
    kept = str([vars(row) for row in AccessAttempt.objects.all()]) + str([vars(e) for e in AuditEntry.objects.all()])
    assert "secret" not in kept


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 10_000, "😀", "' or 1=1 --", "Coordinator-A"])
def test_odd_names_are_answered_like_wrong_ones(cast, client, name):
    assert client.post("/login/", {"username": name, "password": "x\0" * 20}).status_code == 200


def test_a_password_guessed_inside_an_open_session_locks_and_ends_it(cast, client):
    client.force_login(cast.statistician)
    with acting(SETUP, "test"):
        state = TrialState.for_change()
        state.state = TrialState.State.FROZEN
        state.save()
    guess = {"reason": "r", "open_points_seen": "on", "password": "wrong"}
    for _ in range(4):
        assert client.post("/trial/lock/", guess).status_code == 422
    assert client.post("/trial/lock/", guess).status_code == 429
    assert "_auth_user_id" not in client.session
    assert acts(cast.statistician)[-1] == "logged off: locked"
