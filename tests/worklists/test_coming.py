"""The next four weeks and the calendar feed: the same visits as the matrix, no names, no one else's participants."""

import re
from datetime import date, timedelta

import pytest
from django.urls import reverse

from patients.milestones import set_milestones
from spinetrial.access.models import Membership
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.worklists.coming import _folded, token_of
from tests.cast import SETUP
from tests.followup.helpers import change, milestones, noon, treated, visit

TODAY = date(2025, 12, 1)  # month 3 of the treated participant is due on 19 December


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def listed(client, user):
    client.force_login(user)
    response = client.get(reverse("coming"))
    return [(row["code"], row["due"]) for week in response.context["weeks"] for row in week["visits"]]


def feed(client, user, token=""):
    client.logout()
    return client.get(reverse("calendar", args=[token or token_of(user)]))


def unfolded(response):
    return re.sub(r"\r\n ", "", response.content.decode())


def test_four_weeks_hold_what_is_due_and_what_is_late(client, cast, subject):
    due = date(2025, 12, 19)
    assert (subject.code, due) in listed(client, cast.coordinator_a)
    with at(noon(due - timedelta(days=29))):
        assert (subject.code, due) not in listed(client, cast.coordinator_a)
    with at(noon(due - timedelta(days=28))):
        assert (subject.code, due) in listed(client, cast.coordinator_a)
    with at(noon(due + timedelta(days=200))):
        assert (subject.code, due) in listed(client, cast.coordinator_a)


def test_the_dead_have_no_visits_to_come(client, cast, subject):
    milestones(subject, death_date=date(2025, 11, 30))
    assert all(day <= date(2025, 11, 30) for _code, day in listed(client, cast.coordinator_a))


def test_another_site_sees_nothing_of_it(client, cast, subject):
    assert listed(client, cast.coordinator_b) == []
    assert subject.code not in unfolded(feed(client, cast.coordinator_b))


def test_the_feed_is_a_calendar_without_names(client, cast, subject):
    response = feed(client, cast.coordinator_a)
    assert response["Content-Type"].startswith("text/calendar")
    assert "no-store" in response["Cache-Control"]
    text = unfolded(response)
    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert text.endswith("END:VCALENDAR\r\n")
    assert text.count("BEGIN:VEVENT") == text.count("END:VEVENT") >= 2
    assert "DTSTART;VALUE=DATE:20251219\r\nDTEND;VALUE=DATE:20251220" in text
    assert f"SUMMARY:{subject.code} Month 3" in text
    assert "Zhang" not in text
    assert all(len(line.encode()) <= 75 for line in response.content.decode().split("\r\n"))


def test_the_feed_speaks_the_language_of_its_owner(client, cast, subject):
    with acting(SETUP, "test"):
        cast.coordinator_a.language = "zh-hans"
        cast.coordinator_a.save()
    assert "SUMMARY:NK-001 3" not in unfolded(feed(client, cast.coordinator_a))
    assert "月" in unfolded(feed(client, cast.coordinator_a))


def test_a_forged_address_is_not_found(client, cast, subject):
    good = token_of(cast.coordinator_a)
    for bad in ("x", good[:-1] + ("A" if good[-1] != "A" else "B"), good.split(":")[0], "0"):
        assert feed(client, cast.coordinator_a, bad).status_code == 404


def test_a_new_password_ends_the_address(client, cast, subject):
    token = token_of(cast.coordinator_a)
    with acting(SETUP, "test"):
        cast.coordinator_a.set_password("another-good-password-1")
        cast.coordinator_a.save()
    assert feed(client, cast.coordinator_a, token).status_code == 404


def test_an_ended_membership_or_account_ends_the_feed(client, cast, subject):
    with acting(SETUP, "test"):
        Membership.objects.filter(user=cast.coordinator_a).update(ends=TODAY - timedelta(days=1))
    assert "VEVENT" not in unfolded(feed(client, cast.coordinator_a))
    with acting(SETUP, "test"):
        cast.coordinator_a.is_active = False
        cast.coordinator_a.save()
    assert feed(client, cast.coordinator_a).status_code == 404


def test_folding_breaks_between_characters_and_loses_none():
    line = "SUMMARY:" + "疼痛随访" * 40
    parts = list(_folded(line))
    assert all(len(part.encode()) <= 75 for part in parts)
    assert parts[0] + "".join(part[1:] for part in parts[1:]) == line


def test_a_moved_anchor_moves_the_visit(client, cast, subject):
    before = listed(client, cast.coordinator_a)
    with acting(SETUP, "test"):
        set_milestones(SETUP, subject, "test", rt_end=date(2025, 9, 26))
    assert listed(client, cast.coordinator_a) != before
    assert (subject.code, date(2025, 12, 26)) in listed(client, cast.coordinator_a)


# --- a site's own feed, and RFC 5545 ---


def site_feed(client, user, code):
    client.logout()
    return client.get(reverse("calendar_site", args=[token_of(user), code]))


def vevents(response):
    """UID -> properties of each event, lines unfolded."""
    found = {}
    for block in unfolded(response).split("BEGIN:VEVENT\r\n")[1:]:
        lines = block.split("END:VEVENT")[0].strip("\r\n").split("\r\n")
        properties = dict(line.split(":", 1) for line in lines)
        found[properties["UID"]] = properties
    return found


def test_a_site_has_its_own_feed_for_those_who_may_see_it(client, cast, subject):
    other = treated(cast.coordinator_b, cast.site_b)
    whole = unfolded(feed(client, cast.data_manager))
    assert subject.code in whole
    assert other.code in whole
    here = unfolded(site_feed(client, cast.data_manager, "NK"))
    assert subject.code in here
    assert other.code not in here
    assert vevents(site_feed(client, cast.coordinator_a, "NK"))
    for code in ("SH", "XX"):
        assert site_feed(client, cast.coordinator_a, code).status_code == 404


def test_the_page_offers_a_feed_per_site_where_there_are_several(client, cast, subject):
    client.force_login(cast.data_manager)
    feeds = client.get(reverse("coming")).context["feeds"]
    assert [each["site"] for each in feeds] == ["", "North Kettle Hospital", "South Harbour Hospital"]
    client.force_login(cast.coordinator_a)
    feeds = client.get(reverse("coming")).context["feeds"]
    assert [each["site"] for each in feeds] == [""]
    assert "NK" not in feeds[0]["url"]


def test_every_line_of_the_feed_is_as_the_standard_wants_it(client, cast, subject):
    with acting(SETUP, "test"):
        cast.coordinator_a.language = "zh-hans"
        cast.coordinator_a.save()
    content = feed(client, cast.coordinator_a).content
    assert content.endswith(b"\r\n")
    lines = content.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert all(len(line) <= 75 and line.decode() is not None for line in lines)
    found = vevents(feed(client, cast.coordinator_a))
    for uid, properties in found.items():
        assert {"DTSTAMP", "DTSTART;VALUE=DATE", "DTEND;VALUE=DATE", "SUMMARY", "SEQUENCE"} <= set(properties)
        assert re.fullmatch(r"[A-Z]+-\d+-[A-Z]\d+@spinetrial", uid)
        assert re.fullmatch(r"\d{8}T\d{6}Z", properties["DTSTAMP"])


def test_a_moved_visit_keeps_its_name_and_gets_a_higher_sequence(client, cast, subject):
    uid = f"{subject.code}-M3@spinetrial"
    before = vevents(feed(client, cast.coordinator_a))[uid]
    assert before == vevents(feed(client, cast.coordinator_a))[uid]
    milestones(subject, rt_end=date(2025, 9, 26))
    after = vevents(feed(client, cast.coordinator_a))[uid]
    assert (before["DTSTART;VALUE=DATE"], after["DTSTART;VALUE=DATE"]) == ("20251219", "20251226")
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])


def test_done_missed_and_unscheduled_visits_are_not_in_the_feed(client, cast, subject):
    events = {uid.split("-")[2].split("@")[0] for uid in vevents(feed(client, cast.coordinator_a))}
    assert events == {"W2", "M3", "M6", "M12"}
    visit(subject, cast.coordinator_a, "W2", status="missed", on=TODAY)
    visit(subject, cast.coordinator_a, "U1", visit_date=date(2025, 11, 20))
    record = visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 1))
    events = {uid.split("-")[2].split("@")[0] for uid in vevents(feed(client, cast.coordinator_a))}
    assert events == {"M6", "M12"}
    assert "Unscheduled" not in unfolded(feed(client, cast.coordinator_a))
    change(record, cast.coordinator_a, TODAY, status="missed", missed_reason="refused")
    events = {uid.split("-")[2].split("@")[0] for uid in vevents(feed(client, cast.coordinator_a))}
    assert events == {"M6", "M12"}
