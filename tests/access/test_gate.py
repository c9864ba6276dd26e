"""The gate: other site's row is not found, a missing right is forbidden, a person without membership sees nothing."""

from datetime import UTC, date, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpResponse
from django.test import RequestFactory

from patients.models import Subject
from patients.subjects import do_register
from spinetrial.access.gate import get_record, list_records, masked, may, requires
from spinetrial.access.middleware import GateMiddleware
from spinetrial.access.models import TrialState, User
from spinetrial.access.policy import POLICY, Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from tests.cast import PASSWORD, SETUP, join


@pytest.fixture
def subject(cast):
    return do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {"name": "Invented Person"})


def again(user: User) -> User:
    """The person as the next request would load them."""
    return User.objects.get(pk=user.pk)


def test_another_sites_subject_is_not_found(cast, subject):
    assert get_record(cast.coordinator_a, Subject, "subject.view", pk=subject.pk) == subject
    with pytest.raises(Http404):
        get_record(cast.coordinator_b, Subject, "subject.view", pk=subject.pk)
    assert list(list_records(cast.coordinator_b, Subject, "subject.view")) == []


def test_without_the_right_anywhere_it_is_forbidden(cast, subject):
    for person in (cast.administrator, cast.custodian, cast.outsider):
        with pytest.raises(PermissionDenied):
            get_record(person, Subject, "subject.view", pk=subject.pk)
        assert list(list_records(person, Subject, "subject.view")) == []


def test_roles_for_the_whole_trial_see_every_site(cast, subject):
    for person in (cast.data_manager, cast.statistician):
        assert get_record(person, Subject, "subject.view", pk=subject.pk) == subject


@pytest.mark.parametrize(
    "pages", ["/subjects/{code}/", "/subjects/{code}/P.DM/form/", "/subjects/{code}/P.DM/form/edit/"]
)
def test_pages_answer_404_403_and_log_in(cast, subject, client, pages):
    url = pages.format(code=subject.code)
    assert client.get(url).status_code == 302
    assert "/login/" in client.get(url).headers["Location"]
    client.force_login(cast.coordinator_b)
    assert client.get(url).status_code == 404
    client.force_login(cast.administrator)
    assert client.get(url).status_code == 403
    client.force_login(cast.outsider)
    assert client.get(url).status_code == 403
    client.force_login(cast.coordinator_a)
    assert client.get(url, follow=True).status_code == 200


def test_a_monitor_reads_but_does_not_enter(cast, subject, client):
    client.force_login(cast.monitor_a)
    assert client.get(f"/subjects/{subject.code}/P.DM/form/").status_code == 200
    assert client.get(f"/subjects/{subject.code}/P.DM/form/edit/").status_code == 403
    assert client.post(f"/subjects/{subject.code}/P.DM/form/edit/", {}).status_code == 403


def test_a_membership_counts_from_its_first_to_its_last_day_at_the_site(cast):
    with acting(SETUP, "test"):
        user = User(username="temp", full_name="Temp")
        user.save()
        membership = join(user, Role.COORDINATOR, cast.site_a)
        membership.starts, membership.ends = date(2026, 3, 1), date(2026, 3, 2)
        membership.save()
    # Shanghai is eight hours ahead of UTC: the last of February ends there at 16:00 UTC.
    for moment, allowed in (
        (datetime(2026, 2, 28, 15, 59, tzinfo=UTC), False),
        (datetime(2026, 2, 28, 16, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 2, 15, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 2, 16, 0, tzinfo=UTC), False),
    ):
        with at(moment):
            assert may(again(user), "crf.enter", cast.site_a) is allowed


def test_a_closed_account_may_do_nothing(cast):
    with acting(SETUP, "closed"):
        cast.coordinator_a.is_active = False
        cast.coordinator_a.save()
    assert not any(may(again(cast.coordinator_a), action) for action in POLICY)


def test_the_statistician_is_masked_until_the_first_lock(cast):
    assert masked(cast.statistician)
    assert masked(cast.assessor_a)
    assert not masked(cast.coordinator_a)
    with acting(SETUP, "lock"):
        state = TrialState.for_change()
        state.unmasked_at = datetime(2026, 1, 1, tzinfo=UTC)
        state.save()
    assert not masked(again(cast.statistician))
    assert masked(again(cast.assessor_a))


def test_a_view_that_declares_no_action_is_refused(rf: RequestFactory, cast):
    request = rf.get("/")
    request.user = cast.coordinator_a
    gate = GateMiddleware(lambda r: HttpResponse())
    with pytest.raises(ImproperlyConfigured, match="declares no action"):
        gate.process_view(request, lambda r: HttpResponse(), (), {})


def test_an_action_nobody_declared_cannot_be_required():
    with pytest.raises(LookupError, match="policy"):
        requires("fly.to.the.moon")


def test_log_in_failure_and_log_out_are_on_the_trail(cast, client):
    client.post("/login/", {"username": "coordinator-a", "password": "wrong"})
    assert client.post("/login/", {"username": "coordinator-a", "password": PASSWORD}).status_code == 302
    client.post("/logout/")
    acts = AuditEntry.objects.filter(chain=f"user:{cast.coordinator_a.pk}").exclude(act="insert").order_by("id")
    assert list(acts.values_list("act", flat=True)) == ["login failed", "login", "logout"]


def test_what_was_typed_as_a_name_is_not_kept(cast, client):
    client.post("/login/", {"username": "my-secret-password", "password": "x"})
    entry = AuditEntry.objects.get(act="login failed")
    assert "my-secret-password" not in str(vars(entry))


def test_clinical_pages_are_not_cached_and_carry_the_policy(cast, client):
    client.force_login(cast.coordinator_a)
    response = client.get("/worklist/")
    assert "no-store" in response.headers["Cache-Control"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_leaving_for_another_host_is_not_possible_after_a_site_switch(cast, client):
    client.force_login(cast.data_manager)
    response = client.post("/site/", {"site": "NK", "next": "https://elsewhere.example/"})
    assert response.headers["Location"] == "/"
