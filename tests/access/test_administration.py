"""Administration: accounts, roles with dates, sites; nobody raises their own rights."""

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import IntegrityError

from spinetrial.access import accounts
from spinetrial.access.models import Membership, StudySite, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from tests.cast import SETUP


@pytest.fixture
def admin(cast, client):
    client.force_login(cast.administrator)
    return client


def test_a_new_account_gets_a_password_that_works_and_is_shown_once(cast, admin, client):
    answer = admin.post(
        "/accounts/new/", {"username": "new.one", "full_name": "New One", "email": "n@example.org", "language": "en"}
    )
    user = User.objects.get(username="new.one")
    assert answer.headers["Location"] == f"/accounts/{user.pk}/"
    page = admin.get(f"/accounts/{user.pk}/")
    password = page.context["first_password"]
    assert password.encode() in page.content
    assert user.check_password(password)
    assert password.encode() not in admin.get(f"/accounts/{user.pk}/").content


def test_a_role_is_given_and_ended_with_a_reason(cast, admin):
    url = f"/accounts/{cast.outsider.pk}/role/"
    bad = admin.post(url, {"role": "coordinator", "starts": "2026-01-01"})
    assert bad.status_code == 422
    assert "need a site" in bad.content.decode()
    admin.post(url, {"role": "coordinator", "site": cast.site_a.pk, "starts": "2026-01-01"})
    membership = Membership.objects.get(user=cast.outsider)
    assert membership.granted_by == cast.administrator
    end = f"/memberships/{membership.pk}/end/"
    assert admin.post(end, {"last_day": "2025-12-31", "reason": "left"}).status_code == 422
    assert admin.post(end, {"last_day": "2026-02-01", "reason": ""}).status_code == 422
    admin.post(end, {"last_day": "2026-02-01", "reason": "left the hospital"})
    membership.refresh_from_db()
    assert membership.ends == date(2026, 2, 1)
    assert AuditEntry.objects.get(table_name="access_membership", act="update").reason == "left the hospital"


def test_nobody_gives_themselves_a_right(cast, admin):
    answer = admin.post(f"/accounts/{cast.administrator.pk}/role/", {"role": "statistician", "starts": "2026-01-01"})
    assert answer.status_code == 422
    assert "Nobody can give themselves a right" in answer.content.decode()
    mine = Membership(user=cast.administrator, role=Role.STATISTICIAN, starts=date(2026, 1, 1))
    with pytest.raises(PermissionDenied):
        accounts.do_grant(cast.administrator, mine)
    mine.granted_by = cast.administrator
    with pytest.raises(IntegrityError, match="membership_not_self_granted"), acting(SETUP):
        mine.save()


def test_an_administrator_cannot_close_the_own_account(cast, admin):
    data = {"full_name": "A", "email": "", "language": "en", "reason": "x"}
    answer = admin.post(f"/accounts/{cast.administrator.pk}/edit/", data)
    assert answer.status_code == 422
    assert User.objects.get(pk=cast.administrator.pk).is_active


def test_a_site_keeps_its_code_because_subjects_carry_it(cast, admin):
    data = {"code": "QQ", "name": "Renamed", "timezone": "Asia/Urumqi", "active": "on", "reason": "moved"}
    admin.post("/sites/NK/", data)
    site = StudySite.objects.get(pk=cast.site_a.pk)
    assert (site.code, site.name, site.timezone) == ("NK", "Renamed", "Asia/Urumqi")


@pytest.mark.parametrize(
    ("field", "value"),
    [("code", "lower"), ("code", ""), ("code", "😀"), ("timezone", "Mars/Base"), ("name", ""), ("name", "x" * 10_000)],
)
def test_bad_input_for_a_site_is_a_message_at_the_field(cast, admin, field, value):
    data = {"code": "NEW", "name": "New", "timezone": "Asia/Shanghai", field: value}
    answer = admin.post("/sites/new/", data)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert not StudySite.objects.filter(code=data["code"]).exists()


def test_only_administrators_reach_the_screens(cast, client):
    for name, person in cast.everyone().items():
        client.force_login(person)
        for url in ("/accounts/", "/accounts/new/", f"/accounts/{cast.outsider.pk}/", "/sites/new/"):
            assert client.get(url).status_code == (200 if name == "administrator" else 403), (name, url)


def test_a_changed_password_is_recorded_without_the_hash(cast, client):
    from tests.cast import PASSWORD

    client.force_login(cast.monitor_a)
    new = "Another-long-password-7"
    client.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert User.objects.get(pk=cast.monitor_a.pk).check_password(new)
    entry = AuditEntry.objects.get(table_name="access_user", act="update")
    assert set(entry.changes) == {"password", "past_passwords"}
    assert all(change == ["(not kept)", "(not kept)"] for change in entry.changes.values())


def test_the_first_administrator_comes_from_the_command(db, capsys):
    call_command("create_administrator", "first", "First Admin")
    password = capsys.readouterr().out.split("first password ")[1].split(" ")[0]
    user = User.objects.get(username="first")
    assert user.check_password(password)
    assert Membership.objects.get(user=user).role == Role.ADMINISTRATOR
