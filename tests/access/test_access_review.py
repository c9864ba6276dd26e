"""The access review: every role in force, signed by an administrator after the password, at least every 90 days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spinetrial.access import review, second_factor
from spinetrial.access.models import AccessReview, Membership, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from tests.cast import PASSWORD, SETUP, join

URL = "/access-review/"


@pytest.fixture
def admin(cast, client):
    client.force_login(cast.administrator)
    return client


def seen(admin):
    return admin.get(URL).context["form"]["seen"].value()


def sign(admin, **more):
    return admin.post(URL, {"seen": seen(admin), "sure": "on", "password": PASSWORD, "note": "all right", **more})


def test_it_lists_every_role_in_force_with_log_in_second_factor_and_training(cast, admin):
    second_factor.do_enrol(cast.investigator_a, "JBSWY3DPEHPK3PXP", 0)
    with acting(SETUP, "test"):
        Membership.objects.filter(user=cast.monitor_a).update(ends=date(2021, 1, 1))
        User.objects.filter(pk=cast.coordinator_b.pk).update(is_active=False)
    admin.post("/login/", {"username": "x", "password": "y"})
    rows = {row["username"]: row for row in review.in_force()}
    assert set(rows) == {each.username for each in cast.everyone().values()} - {
        "outsider",
        "monitor-a",
        "coordinator-b",
    }
    assert rows["investigator-a"]["second_factor"] == "yes"
    assert rows["custodian"]["second_factor"] == "no"
    assert rows["administrator"]["last_login"].startswith("20")
    assert rows["custodian"]["last_login"] == ""
    assert rows["coordinator-a"]["trained_on"] == "2020-01-01"
    assert (rows["coordinator-a"]["site"], rows["data-manager"]["site"]) == ("NK", "")


def test_signing_stores_what_was_looked_at(cast, admin):
    assert sign(admin).status_code == 302
    stored = AccessReview.objects.get()
    assert (stored.by, stored.note) == (cast.administrator, "all right")
    assert stored.memberships == review.in_force()
    assert AuditEntry.objects.filter(table_name="access_accessreview", act="insert").count() == 1
    with acting(SETUP, "test"):
        Membership.objects.filter(user=cast.monitor_a).update(ends=date(2021, 1, 1))
    page = admin.get(f"{URL}{stored.pk}/").content.decode()
    assert "Monitor A" in page
    assert "Monitor A" not in admin.get(URL).content.decode()
    assert "monitor-a" in admin.get(f"{URL}{stored.pk}/list.csv").content.decode()


def test_without_the_password_or_the_tick_nothing_is_signed(cast, admin):
    for more in ({"password": "wrong"}, {"password": ""}, {"sure": ""}, {"note": "x" * 10_000}, {"note": "a\0b"}):
        assert sign(admin, **more).status_code == 422
    assert not AccessReview.objects.exists()
    second_factor.do_enrol(cast.administrator, "JBSWY3DPEHPK3PXP", 0)
    assert sign(admin).status_code == 422, "the code too, where enrolled"
    assert not AccessReview.objects.exists()


def test_a_list_that_changed_under_the_eyes_is_not_signed(cast, admin):
    before = seen(admin)
    with acting(SETUP, "test"):
        join(cast.outsider, Role.CUSTODIAN)
    answer = admin.post(URL, {"seen": before, "sure": "on", "password": PASSWORD}, follow=True)
    assert "changed meanwhile" in answer.content.decode()
    assert admin.post(URL, {"seen": "\0", "sure": "on", "password": PASSWORD}).status_code == 302
    assert not AccessReview.objects.exists()


def test_a_review_is_due_every_ninety_days(cast, admin):
    start = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
    with at(start):
        assert "access review is due" in admin.get("/accounts/").content.decode()
        sign(admin)
        assert "access review is due" not in admin.get("/accounts/").content.decode()
    with at(start + timedelta(days=89)):
        assert not review.due()
    with at(start + timedelta(days=90)):
        assert review.due()
        assert "access review is due" in admin.get("/accounts/").content.decode()
        assert "A review is due" in admin.get(URL).content.decode()


def test_a_signed_review_cannot_be_altered_unnoticed(cast, admin):
    sign(admin)
    with pytest.raises(Exception, match="no actor"):
        AccessReview.objects.update(note="other")


def test_the_csv_is_recorded_and_no_formula(cast, admin):
    with acting(SETUP, "test"):
        User.objects.filter(pk=cast.monitor_a.pk).update(full_name="=HYPERLINK(1)")
    answer = admin.get(f"{URL}now.csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "'=HYPERLINK(1)" in answer.content.decode("utf-8-sig")
    assert AuditEntry.objects.filter(act="access list exported", actor_id=cast.administrator.pk).count() == 1


def test_nobody_else_sees_it(cast, client):
    for name, person in cast.everyone().items():
        client.force_login(person)
        for url in (URL, f"{URL}now.csv", f"{URL}1/", f"{URL}1/list.csv"):
            expected = 403 if name != "administrator" else (404 if "/1/" in url else 200)
            assert client.get(url).status_code == expected, (name, url)


def test_the_queries_do_not_grow_with_the_people(cast, admin):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as found:
            review.in_force()
        return len(found)

    before = queries()
    with acting(SETUP, "test"):
        for number in range(20):
            user = User(username=f"more-{number}", full_name=f"More {number}")
            user.save()
            join(user, Role.COORDINATOR, cast.site_a)
    assert queries() == before
