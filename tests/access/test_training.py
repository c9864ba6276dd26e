"""Training and delegation come before data entry, not before reading. Roles by date, and none by oneself."""

from datetime import UTC, date, datetime

import pytest
from django.core.exceptions import PermissionDenied
from django.db import Error, connection

from patients.subjects import do_register
from spinetrial.access import accounts
from spinetrial.access.gate import may
from spinetrial.access.models import Membership, User
from spinetrial.access.policy import NEEDS_TRAINING, POLICY, Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from tests.cast import SETUP

ENTRY = sorted(NEEDS_TRAINING & set(POLICY))


def record(user, **dates):
    with acting(SETUP, "test"):
        Membership.objects.filter(user=user).update(**dates)
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("dates", [{"trained_on": None}, {"delegated_on": None}, {"trained_on": date(2999, 1, 1)}])
def test_without_training_and_delegation_one_reads_but_does_not_enter(cast, dates):
    for person in (cast.coordinator_a, cast.investigator_a, cast.assessor_a):
        before = {action for action in POLICY if may(person, action, cast.site_a)}
        person = record(person, **dates)
        after = {action for action in POLICY if may(person, action, cast.site_a)}
        assert after == before - NEEDS_TRAINING
        assert before & NEEDS_TRAINING


def test_the_rights_of_entry_are_those_of_the_issue():
    assert set(ENTRY) >= {"crf.enter", "imaging.enter", "ae.enter", "subject.screen", "randomize"}
    assert set(ENTRY) >= {"eligibility.confirm", "query.answer", "contacts.enter"}
    assert not {action for action in NEEDS_TRAINING if action.endswith(".view")}


def test_every_page_of_entry_is_refused_and_the_person_is_told_why(cast, client):
    subject = do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {"name": "Invented Person"})
    record(cast.coordinator_a, trained_on=None)
    client.force_login(cast.coordinator_a)
    assert client.get(f"/subjects/{subject.code}/P.DM/form/edit/").status_code == 403
    assert client.post(f"/subjects/{subject.code}/P.DM/form/edit/", {}).status_code == 403
    assert client.post(f"/subjects/{subject.code}/randomize/", {}).status_code == 403
    page = client.get(f"/subjects/{subject.code}/").content.decode()
    assert "not recorded: training. You can read but not enter data" in page
    with pytest.raises(PermissionDenied):
        do_register(User.objects.get(pk=cast.coordinator_a.pk), cast.site_a, date(2026, 1, 5), {"name": "Second"})


def test_training_counts_from_the_day_at_the_site(cast):
    person = record(cast.coordinator_a, trained_on=date(2026, 3, 1), delegated_on=date(2026, 2, 1))
    with at(datetime(2026, 2, 28, 15, 59, tzinfo=UTC)):
        assert not may(person, "crf.enter", cast.site_a)
    with at(datetime(2026, 2, 28, 16, 0, tzinfo=UTC)):  # the first of March in Shanghai
        assert may(person, "crf.enter", cast.site_a)


def test_training_at_one_site_is_none_for_another(cast):
    with acting(SETUP, "test"):
        Membership(user=cast.coordinator_a, role=Role.COORDINATOR, site=cast.site_b, starts=date(2020, 1, 1)).save()
    person = User.objects.get(pk=cast.coordinator_a.pk)
    assert may(person, "crf.enter", cast.site_a)
    assert not may(person, "crf.enter", cast.site_b)
    assert may(person, "crf.view", cast.site_b)


def test_the_administrator_records_it_with_a_reason_and_sees_what_is_missing(cast, client):
    record(cast.coordinator_a, trained_on=None, delegated_on=None)
    client.force_login(cast.administrator)
    membership = Membership.objects.get(user=cast.coordinator_a)
    assert "training, delegation" in client.get(f"/accounts/{cast.coordinator_a.pk}/").content.decode()
    url = f"/memberships/{membership.pk}/training/"
    assert client.post(url, {"trained_on": "2026-01-02", "delegated_on": "2026-01-03"}).status_code == 422
    future = {"trained_on": "2999-01-02", "delegated_on": "x", "reason": "r"}
    assert set(client.post(url, future).context["form"].errors) == {"trained_on", "delegated_on"}
    good = {"trained_on": "2026-01-02", "delegated_on": "2026-01-03", "reason": "certificate seen"}
    assert client.post(url, good).status_code == 302
    membership.refresh_from_db()
    assert (membership.trained_on, membership.delegated_on) == (date(2026, 1, 2), date(2026, 1, 3))
    entry = AuditEntry.objects.filter(table_name="access_membership", act="update").latest("id")
    assert (entry.reason, entry.actor_id) == ("certificate seen", cast.administrator.pk)


def test_an_expired_role_shows_as_ended_and_gives_no_right(cast, client):
    person = record(cast.coordinator_a, ends=date(2025, 12, 31))
    assert not may(person, "crf.view", cast.site_a)
    client.force_login(cast.administrator)
    page = client.get(f"/accounts/{cast.coordinator_a.pk}/").content.decode()
    assert '<span class="chip">ended</span>' in page
    assert "Record training" not in page


# --- nobody raises their own rights ---


@pytest.mark.parametrize("change", ["role", "end", "training", "unlock", "password", "second-factor"])
def test_no_screen_lets_an_administrator_change_the_own_rights(cast, client, change):
    client.force_login(cast.administrator)
    own = Membership.objects.get(user=cast.administrator)
    urls = {"end": f"/memberships/{own.pk}/end/", "training": f"/memberships/{own.pk}/training/"}
    url = urls.get(change, f"/accounts/{cast.administrator.pk}/{change}/")
    data = {"role": "statistician", "starts": "2026-01-01", "last_day": "2030-01-01", "reason": "r"}
    assert client.post(url, data).status_code == (422 if change == "role" else 403)
    assert list(Membership.objects.filter(user=cast.administrator)) == [own]
    assert Membership.objects.get(pk=own.pk).ends is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_membership SET role = 'custodian', granted_by_id = NULL WHERE user_id = %(me)s",
        "UPDATE access_membership SET ends = '2999-01-01' WHERE user_id = %(me)s",
        "UPDATE access_membership SET user_id = %(me)s WHERE user_id = %(other)s",
        "DELETE FROM access_membership WHERE user_id = %(me)s",
        "INSERT INTO access_membership (user_id, role, starts) VALUES (%(me)s, 'custodian', '2020-01-01')",
        "INSERT INTO access_membership (user_id, role, starts, granted_by_id)"
        " VALUES (%(me)s, 'custodian', '2020-01-01', %(other)s)",
    ],
)
def test_nor_does_sql_in_the_own_name(cast, statement):
    values = {"me": cast.administrator.pk, "other": cast.custodian.pk}
    before = list(Membership.objects.order_by("pk").values())

    def write():
        with acting(cast.administrator, "because"), connection.cursor() as cursor:
            cursor.execute(statement, values)

    with pytest.raises(Error, match="nobody changes their own rights"):
        write()
    assert list(Membership.objects.order_by("pk").values()) == before


def test_only_an_administrator_writes_memberships_and_never_the_own(cast):
    membership = Membership(user=cast.outsider, role=Role.STATISTICIAN, starts=date(2020, 1, 1))
    for name, person in cast.everyone().items():
        if name != "administrator":
            with pytest.raises(PermissionDenied):
                accounts.do_grant(person, membership)
    own = Membership.objects.get(user=cast.administrator)
    for act in (
        lambda: accounts.do_end_membership(cast.administrator, own, date(2999, 1, 1), "r"),
        lambda: accounts.do_record_training(cast.administrator, own, "r"),
        lambda: accounts.do_reset_second_factor(cast.administrator, cast.administrator, "r"),
    ):
        with pytest.raises(PermissionDenied):
            act()
