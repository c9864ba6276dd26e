"""A session ends when nobody works with it, and after a working day; the person is warned and told."""

from datetime import UTC, datetime, timedelta

import pytest

from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from tests.cast import PASSWORD, make_cast

NINE = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)


def minutes(number):
    return at(NINE + timedelta(minutes=number))


@pytest.fixture
def short(settings):
    settings.IDLE_SECONDS = 30 * 60
    settings.SESSION_LIMIT_SECONDS = 8 * 60 * 60


@pytest.fixture
def coordinator(cast, client, short):
    with minutes(0):
        client.post("/login/", {"username": "coordinator-a", "password": PASSWORD})
    return client


def last_act(user):
    return AuditEntry.objects.filter(chain=f"user:{user.pk}").latest("seq").act


def test_after_thirty_idle_minutes_the_person_is_logged_off_and_told(cast, coordinator):
    with minutes(29):
        assert coordinator.get("/worklist/").status_code == 200
    with minutes(58):
        assert coordinator.get("/worklist/").status_code == 200, "work counts anew"
    with minutes(89):
        answer = coordinator.get("/worklist/")
        assert answer.headers["Location"] == "/login/?next=/worklist/"
        assert "logged off because nothing was done" in coordinator.get("/login/").content.decode()
        assert "logged off because nothing was done" not in coordinator.get("/login/").content.decode()
    assert last_act(cast.coordinator_a) == "logged off: idle"


def test_nothing_is_written_by_a_request_that_comes_too_late(cast, coordinator):
    with minutes(31):
        answer = coordinator.post("/site/", {"site": "NK"})
    assert answer.headers["Location"].startswith("/login/")
    assert "site" not in coordinator.session


def test_asking_how_long_is_left_is_no_work_but_staying_is(cast, coordinator):
    with minutes(20):
        assert coordinator.get("/session/").json() == {"seconds": 600}
    with minutes(29):
        assert coordinator.get("/session/").json() == {"seconds": 60}
        assert coordinator.post("/session/").json() == {"seconds": 1800}
    with minutes(60):
        assert coordinator.get("/session/").json() == {"seconds": 0}
    assert last_act(cast.coordinator_a) == "logged off: idle"


def test_a_busy_session_ends_after_eight_hours(cast, coordinator):
    for number in range(10, 480, 10):
        with minutes(number):
            coordinator.post("/session/")
    with minutes(479):
        assert coordinator.get("/session/").json() == {"seconds": 60}
    with minutes(480):
        assert coordinator.get("/worklist/").status_code == 302
        assert "a working day at most" in coordinator.get("/login/").content.decode()
    assert last_act(cast.coordinator_a) == "logged off: session limit"


def test_nobody_logged_in_has_no_seconds_left(db, client, short):
    assert client.get("/session/").json() == {"seconds": 0}
    assert client.post("/session/").json() == {"seconds": 0}


def test_a_planted_session_without_times_is_not_endless(cast, client, short):
    client.force_login(cast.coordinator_a)
    session = client.session
    del session["since"]
    session.save()
    with minutes(0):
        client.get("/worklist/")
    with minutes(31):
        assert client.get("/worklist/").status_code == 302


# --- the warning, in a browser ---


def enter(page):
    make_cast()
    page.goto("/login/")
    page.fill("[name=username]", "coordinator-a")
    page.fill("[name=password]", PASSWORD)
    page.click("form[action='/login/'] button.btn-primary")
    page.wait_for_url("**/worklist/")


def test_two_minutes_before_a_dialog_counts_down_and_staying_closes_it(settings, browser_page):
    settings.IDLE_SECONDS = 121
    enter(browser_page)
    dialog = browser_page.locator("[data-idle]")
    dialog.wait_for(state="visible")
    assert browser_page.locator("[data-idle-left]").inner_text() in ("2:00", "1:59", "1:58", "1:57")
    settings.IDLE_SECONDS = 1800
    browser_page.click("[data-idle-stay]")
    dialog.wait_for(state="hidden")
    assert browser_page.url.endswith("/worklist/")


def test_when_the_time_is_up_the_log_in_page_says_why(settings, browser_page):
    settings.IDLE_SECONDS = 2
    enter(browser_page)
    browser_page.wait_for_url("**/login/?next=*")
    assert "logged off because nothing was done" in browser_page.content()


def test_over_a_form_the_log_in_is_renewed_instead(settings, browser_page):
    """The log-off while a form is open opens the renewal over it; nothing typed is lost."""
    from datetime import date

    from patients.subjects import do_register
    from spinetrial.access.models import StudySite, User

    enter(browser_page)
    actor = User.objects.get(username="coordinator-a")
    subject = do_register(actor, StudySite.objects.get(code="NK"), date(2026, 1, 5), {"name": "Invented Person"})
    settings.IDLE_SECONDS = 5
    browser_page.goto(f"/subjects/{subject.code}/P.DM/form/edit/")
    browser_page.locator("#renew").wait_for(state="visible")
    settings.IDLE_SECONDS = 1800
    browser_page.fill("#renew-password", PASSWORD)
    browser_page.click("#renew button.btn-primary")
    browser_page.locator("#renew").wait_for(state="hidden")
    assert browser_page.url.endswith("/form/edit/")
