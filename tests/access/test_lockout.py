"""Lockout: five failures close a user name, whoever tries what; only an administrator opens it again."""

import pytest
from axes.models import AccessAttempt
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.review.trial import do_freeze
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
    do_freeze(cast.data_manager, "test")
    guess = {"reason": "r", "open_points_seen": "on", "password": "wrong"}
    for _ in range(4):
        assert client.post("/trial/lock/", guess).status_code == 422
    assert client.post("/trial/lock/", guess).status_code == 429
    assert "_auth_user_id" not in client.session
    assert acts(cast.statistician)[-1] == "logged off: locked"


def lock(user):
    fail(Client(), user.username, times=5)


def test_an_administrator_sees_the_lock_and_unlocks_with_a_reason(cast, client):
    lock(cast.coordinator_a)
    client.force_login(cast.administrator)
    assert "Locked" in client.get("/accounts/").content.decode()
    page = client.get(f"/accounts/{cast.coordinator_a.pk}/").content.decode()
    assert "Locked since" in page
    url = f"/accounts/{cast.coordinator_a.pk}/unlock/"
    assert url in page
    assert client.post(url, {"reason": ""}).status_code == 422
    assert log_in(Client()).status_code == 429
    assert client.post(url, {"reason": "forgot the password, called back"}).status_code == 302
    assert log_in(Client()).status_code == 302
    entry = AuditEntry.objects.filter(table_name="access_user", act="update").latest("id")
    assert (entry.reason, entry.actor_id) == ("forgot the password, called back", cast.administrator.pk)
    assert entry.changes["locked_at"][1] is None
    assert "not locked" in client.post(url, {"reason": "twice"}, follow=True).content.decode()
    lock(cast.coordinator_a)  # and the next lock is a lock again
    assert log_in(Client()).status_code == 429


def test_only_administrators_unlock_and_the_last_one_is_unlocked_by_command(cast, client, capsys):
    lock(cast.administrator)
    for name, person in cast.everyone().items():
        if name != "administrator":
            client.force_login(person)
            assert client.post(f"/accounts/{cast.administrator.pk}/unlock/", {"reason": "r"}).status_code == 403
    call_command("unlock_account", "administrator", "all administrators locked")
    assert log_in(Client(), "administrator").status_code == 302
    entry = AuditEntry.objects.filter(table_name="access_user", act="update").latest("id")
    assert (entry.actor, entry.reason) == ("system: unlock_account command", "all administrators locked")
    with pytest.raises(CommandError, match="no account"):
        call_command("unlock_account", "nobody", "r")


def test_guessing_the_old_password_on_the_password_page_locks_too(cast, client):
    client.force_login(cast.monitor_a)
    data = {"old_password": "guess", "new_password1": "Another-long-password-7", "new_password2": "x"}
    for _ in range(4):
        assert client.post("/password/", data).status_code == 200
    assert client.post("/password/", data).status_code == 429
    assert log_in(Client(), "monitor-a").status_code == 429


def test_a_closed_account_is_answered_like_a_wrong_password(cast, client):
    with acting(SETUP, "closed"):
        User.objects.filter(pk=cast.monitor_a.pk).update(is_active=False)
    right = client.post("/login/", {"username": "monitor-a", "password": PASSWORD})
    wrong = client.post("/login/", {"username": "monitor-a", "password": "wrong"})
    assert (right.status_code, right.context["form"].errors) == (wrong.status_code, wrong.context["form"].errors)


# --- password rules ---


def change(client, new, old=PASSWORD):
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": new})


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("Short-pass1", "at least 12"),
        ("coordinator-a1", "too similar"),
        ("password1234", "too common"),
        ("839201746512", "entirely numeric"),
        (PASSWORD, "last 5 passwords"),
    ],
)
def test_weak_passwords_are_refused_in_words_and_the_rules_stand_on_the_form(cast, client, new, words):
    client.force_login(cast.coordinator_a)
    page = client.get("/password/").content.decode()
    assert "at least 12 characters" in page
    assert "last 5 passwords" in page
    answer = change(client, new)
    assert words in str(answer.context["form"].errors)
    assert User.objects.get(pk=cast.coordinator_a.pk).check_password(PASSWORD)


def test_none_of_the_last_five_passwords_can_be_chosen_again(cast, client):
    client.force_login(cast.coordinator_a)
    used = [PASSWORD]
    for number in range(5):
        for old in used[-5:]:
            assert "last 5 passwords" in str(change(client, old, used[-1]).context["form"].errors), old
        used.append(f"Fresh-long-secret-{number}x")
        assert change(client, used[-1], used[-2]).status_code == 302
    assert change(client, used[0], used[-1]).status_code == 302, "the sixth from the end is forgotten"
    assert len(User.objects.get(pk=cast.coordinator_a.pk).past_passwords) == 4


def test_a_password_made_by_an_administrator_must_be_changed_before_anything_else(cast, client):
    client.force_login(cast.administrator)
    client.post(f"/accounts/{cast.coordinator_a.pk}/password/", {"reason": "forgotten"})
    first = client.get(f"/accounts/{cast.coordinator_a.pk}/").context["first_password"]
    own = Client()
    assert log_in(own, password=PASSWORD).status_code == 200, "the old one stopped working"
    assert log_in(own, password=first).status_code == 302
    for url in ("/", "/worklist/", "/account/", "/second-factor/"):
        assert own.get(url).headers["Location"] == "/password/", url
    assert "made by an administrator" in own.get("/password/").content.decode()
    assert "last 5 passwords" in str(change(own, first, first).context["form"].errors)
    assert change(own, "Own-long-secret-12", first).status_code == 302
    assert own.get("/worklist/").status_code == 200


def test_a_new_account_must_change_its_first_password(cast, client):
    client.force_login(cast.administrator)
    client.post("/accounts/new/", {"username": "new.one", "full_name": "N", "email": "", "language": "en"})
    assert User.objects.get(username="new.one").must_change_password


def test_a_role_change_is_on_the_trail(cast, client):
    client.force_login(cast.administrator)
    client.post(
        f"/accounts/{cast.outsider.pk}/role/", {"role": "monitor", "site": cast.site_a.pk, "starts": "2026-01-01"}
    )
    entry = AuditEntry.objects.get(table_name="access_membership", chain=f"user:{cast.outsider.pk}")
    assert (entry.act, entry.actor_id) == ("insert", cast.administrator.pk)
    assert entry.changes["role"] == [None, "monitor"]
