"""Clocks, expectedness, signed versions, missed deadlines: the rules, and the database by itself."""

from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import translation

from adverse_events.clocks import clocks_of, missed_clocks, running_clocks, span_text, urgent_clock
from adverse_events.expectedness import propose
from adverse_events.facts import changes, facts_of, lines_of
from adverse_events.models import AdverseEvent, MissedDeadline, SaeReport
from adverse_events.reports import EventChanged, Refused, do_explain_miss, do_record_sending, unexplained
from patients.models import Demographics
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import EntryRefused
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import ExpectedReaction
from spinetrial.review import trial
from spinetrial.review.models import Explanation
from tests.adverse_events.helpers import (
    AWARE,
    EVENT,
    FATAL,
    FATIGUE,
    MYELITIS,
    SERIOUS,
    SPINAL_FRACTURE,
    again,
    event,
    sent,
    signed,
)
from tests.cast import PASSWORD, SETUP
from tests.followup.helpers import milestones, treated

HOUR = timedelta(hours=1)
OVER = {"outcome": "recovered", "end_date": date(2025, 10, 9)}


@pytest.fixture
def serious(cast):
    """Fatigue, serious, expected, related, of a participant at site A; aware since AWARE."""
    return event(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, **SERIOUS)


@pytest.fixture
def susar(cast):
    """Myelitis grade 4, life-threatening, suspected and unexpected."""
    changes = {"ctcae_code": MYELITIS, "grade": 4, "sae_life": True, "aware_at": AWARE, "unexpected": True}
    return event(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, **changes)


# --- expectedness ---


def test_the_list_of_expected_reactions_holds_terms_of_this_ctcae_and_never_death():
    from spinetrial.terminology import ctcae

    assert CURRENT.expected_reactions
    for reaction in CURRENT.expected_reactions:
        assert ctcae.get(reaction.code).term == reaction.term
        assert reaction.worst_grade in ctcae.grades(reaction.code)
    with pytest.raises(ValueError, match="death"):
        ExpectedReaction(code="10016256", term="Fatigue", worst_grade=5, basis="D20")


@pytest.mark.parametrize(
    ("code", "grade", "unexpected"),
    [
        (FATIGUE, 2, False),
        (FATIGUE, 3, True),
        (SPINAL_FRACTURE, 2, False),
        (SPINAL_FRACTURE, 5, True),
        (MYELITIS, 1, True),
    ],
)
def test_expectedness_is_proposed_by_term_and_grade(code, grade, unexpected):
    found = propose(code, grade)
    assert found.unexpected is unexpected
    assert "protocol 1.0" in found.why


def test_to_decide_otherwise_needs_an_explanation(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    with pytest.raises(EntryRefused) as refusal:
        event(subject, cast.coordinator_a, explain="", **{**SERIOUS, "unexpected": True})
    assert refusal.value.errors
    record = event(subject, cast.coordinator_a, explain="far worse than usual", **{**SERIOUS, "unexpected": True})
    assert Explanation.objects.get(record_id=record.pk).text == "far worse than usual"
    assert facts_of(again(record))["explanation"] == "far worse than usual"
    assert not event(subject, cast.coordinator_a, explain="", onset_date=date(2025, 9, 22)).serious  # not asked


def test_the_form_is_told_the_proposal(cast, client):
    client.force_login(cast.coordinator_a)
    page = client.get(reverse("ctcae_expected"), {"ctcae_code": FATIGUE, "grade": "3"})
    assert page.json()["text"].startswith("Proposed: unexpected. Fatigue is expected up to grade 2 only")
    for bad in ({}, {"ctcae_code": FATIGUE, "grade": "9"}, {"ctcae_code": "\0", "grade": "1" * 5000}):
        assert client.get(reverse("ctcae_expected"), bad).json() == {"text": ""}
    subject = treated(cast.coordinator_a, cast.site_a)
    assert (
        'data-hint-url="/ctcae/expected/"' in client.get(reverse("crf_edit", args=[subject.code, "A.AE", "new"])).text
    )


# --- clocks ---


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 min"),
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (5 * HOUR + timedelta(minutes=12), "5 h 12 min"),
        (3 * HOUR, "3 h"),
        (timedelta(days=6, hours=23, minutes=50), "6 d 23 h"),
        (timedelta(days=8), "8 d"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(span, text):
    assert span_text(span) == text


def test_the_countdown_runs_out_and_stops_with_the_report(cast, serious):
    (clock,) = clocks_of(again(serious))
    assert clock.countdown(AWARE + 18 * HOUR + timedelta(minutes=48)) == "5 h 12 min left"
    assert clock.countdown(AWARE + 24 * HOUR) == "0 min left"
    assert not clock.missed(AWARE + 24 * HOUR)
    assert clock.countdown(AWARE + 27 * HOUR) == "missed by 3 h"
    assert clock.passed(AWARE + 12 * HOUR) == [50]
    assert clock.passed(AWARE + 30 * HOUR) == [50, 80, 100]
    sent(serious, cast.investigator_a, AWARE + 26 * HOUR)
    (clock,) = clocks_of(again(serious))
    assert clock.countdown(AWARE + timedelta(days=9)) == "sent 2 h late"
    assert clock.passed(AWARE + timedelta(days=9)) == []
    assert urgent_clock(again(serious)) is None


def test_a_suspected_unexpected_event_waits_for_two_reports_to_the_authority(cast, susar):
    assert [clock.code for clock in clocks_of(again(susar))] == ["SPONSOR", "FATAL", "FATAL_FOLLOW_UP"]
    first = sent(susar, cast.investigator_a, AWARE + 20 * HOUR)
    assert urgent_clock(again(susar)).code == "FATAL"
    later = AWARE + timedelta(days=3)
    with at(later):
        do_record_sending(cast.coordinator_a, first, {"authority_sent_at": later, "authority_reference": "CN-77"})
    assert urgent_clock(again(susar)).code == "FATAL_FOLLOW_UP"
    second = signed(susar, cast.investigator_a, AWARE + timedelta(days=5))
    with at(AWARE + timedelta(days=16)):
        do_record_sending(cast.coordinator_a, second, {"authority_sent_at": AWARE + timedelta(days=16)})
    found = clocks_of(again(susar))
    assert [clock.missed(AWARE + timedelta(days=20)) for clock in found] == [False, False, True]
    assert running_clocks([again(susar)]) == []


def test_events_that_were_not_read_from_the_database_know_no_report():
    assert AdverseEvent(**EVENT).reported_at is None
    assert clocks_of(AdverseEvent(**EVENT)) == []


# --- versions ---


def test_a_version_keeps_what_was_printed_and_a_follow_up_says_what_changed(cast, serious):
    first = sent(serious, cast.investigator_a, AWARE + 2 * HOUR, comment="seen on the ward")
    assert (first.number, first.kind, first.signer_name) == (1, "initial", "Investigator A")
    changed = event(serious.subject, cast.coordinator_a, record=serious, **{**SERIOUS, **OVER, "grade": 2})
    assert first.facts["grade"] == 1
    second = signed(changed, cast.investigator_a, AWARE + timedelta(days=9))
    found = {after.label: (before.text, after.text) for before, after in changes(first.facts, second.facts)}
    assert found == {
        "CTCAE grade, the worst": ("1", "2"),
        "End date": ("", "2025-10-09"),
        "Outcome": ("Not recovered, goes on", "Recovered"),
    }
    entry = AuditEntry.objects.filter(act="sign", subject_id=serious.subject_id).latest("id")
    assert second.sha256 in str(entry.detail if hasattr(entry, "detail") else vars(entry))


def test_no_name_birth_date_or_arm_is_in_a_report(cast, serious):
    with acting(SETUP, "test"):
        Demographics(subject=serious.subject, birth_date=date(1960, 3, 1), sex="male", height_cm=170).save()
    facts = facts_of(again(serious))
    assert facts["age"] == 65
    text = str(facts) + str(lines_of(facts))
    for word in ("Zhang", "1960", "LOCAL", "WHOLE", "sectors"):
        assert word not in text
    assert "30 Gy / 10 fractions" in text


def test_signing_is_refused_when_the_event_is_no_longer_what_was_seen(cast, serious):
    with pytest.raises(EventChanged):
        signed(serious, cast.investigator_a, AWARE + HOUR, seen="0" * 64)
    with pytest.raises(EventChanged):
        signed(serious, cast.investigator_a, AWARE + HOUR, kind="final")
    with pytest.raises(PermissionDenied):
        signed(serious, cast.coordinator_a, AWARE + HOUR)
    with pytest.raises(Refused, match="not serious"):
        signed(event(serious.subject, cast.coordinator_a, onset_date=date(2025, 9, 23)), cast.investigator_a, AWARE)
    assert not SaeReport.objects.exists()


def test_a_final_report_needs_an_end_or_a_reason_and_each_missed_deadline_explained(cast, serious):
    sent(serious, cast.investigator_a, AWARE + 30 * HOUR)
    later = AWARE + timedelta(days=10)
    with pytest.raises(Refused, match="not over"):
        signed(serious, cast.investigator_a, later, kind="final")
    with pytest.raises(Refused, match="nobody said why"):
        signed(serious, cast.investigator_a, later, kind="final", open_reason="fatigue will stay")
    assert unexplained(again(serious), later) == ["SPONSOR"]
    with at(later):
        do_explain_miss(cast.coordinator_a, again(serious), "SPONSOR", "staff", "week-end; a deputy is named now")
        with pytest.raises(Refused):  # once
            do_explain_miss(cast.coordinator_a, again(serious), "SPONSOR", "staff", "again")
    report = signed(serious, cast.investigator_a, later, kind="final", open_reason="fatigue will stay")
    assert report.facts["open_reason"] == "fatigue will stay"
    assert missed_clocks(again(serious), later)


def test_a_deadline_that_still_runs_has_no_reason_to_record(cast, serious):
    with at(AWARE + 20 * HOUR), pytest.raises(Refused):
        do_explain_miss(cast.coordinator_a, again(serious), "SPONSOR", "staff", "early")
    with at(AWARE + 30 * HOUR), pytest.raises(PermissionDenied):
        do_explain_miss(cast.monitor_a, again(serious), "SPONSOR", "staff", "not mine")


def test_the_way_of_a_report_is_recorded_later_and_changes_with_a_reason_only(cast, serious):
    report = signed(serious, cast.investigator_a, AWARE + HOUR)
    with at(AWARE + 9 * HOUR):
        for wrong in (AWARE - HOUR, AWARE + 10 * HOUR):
            with pytest.raises(Refused):
                do_record_sending(cast.coordinator_a, report, {"submitted_at": wrong})
        do_record_sending(cast.coordinator_a, report, {"submitted_at": AWARE + 2 * HOUR})
        with pytest.raises(Refused, match="recorded before"):
            do_record_sending(cast.coordinator_a, report, {"submitted_at": AWARE + 3 * HOUR})
        do_record_sending(cast.coordinator_a, report, {"submitted_at": AWARE + 3 * HOUR}, "the fax says so")
        with pytest.raises(PermissionDenied):
            do_record_sending(cast.monitor_a, report, {"submitted_at": AWARE + 3 * HOUR}, "no right")
    assert again(serious).reported_at == AWARE + 3 * HOUR


def test_reports_go_on_in_a_frozen_and_locked_trial(cast, serious):
    signed(serious, cast.investigator_a, AWARE + HOUR)
    trial.do_freeze(cast.data_manager, "all entered")
    sent(serious, cast.investigator_a, AWARE + 2 * HOUR)
    do_lock_trial(cast.statistician, "analysis")
    sent(serious, cast.investigator_a, AWARE + 2 * HOUR)


# --- the database by itself ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE adverse_events_saereport SET content = content || ' '",
        "UPDATE adverse_events_saereport SET sha256 = repeat('0', 64)",
        "UPDATE adverse_events_saereport SET signer_name = 'Somebody Else'",
        "UPDATE adverse_events_saereport SET signed_at = now()",
        "UPDATE adverse_events_saereport SET kind = 'final', number = 2",
        "DELETE FROM adverse_events_saereport",
        "UPDATE adverse_events_misseddeadline SET words = 'better words'",
        "DELETE FROM adverse_events_misseddeadline",
    ],
)
def test_what_was_signed_or_explained_changes_on_no_road(cast, serious, statement):
    signed(serious, cast.investigator_a, AWARE + 30 * HOUR)
    with at(AWARE + 30 * HOUR):
        do_explain_miss(cast.coordinator_a, again(serious), "SPONSOR", "staff", "week-end")
    kept = pytest.raises(DatabaseError, match=r"signed report|missed deadline")
    with kept, acting(SETUP, "planted"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_postgresql_refuses_a_version_whose_hash_is_not_that_of_its_content(cast, serious):
    report = signed(serious, cast.investigator_a, AWARE + HOUR)
    values = {
        name: getattr(report, name) for name in ("subject", "event", "content", "signer", "signer_name", "signed_at")
    }
    with pytest.raises(IntegrityError, match="hash"), acting(SETUP, "planted"):
        SaeReport(**values, number=2, kind="final", sha256="0" * 64).save()
    with pytest.raises(IntegrityError, match="first_is_initial"), acting(SETUP, "planted"):
        SaeReport(**values, number=2, kind="initial", sha256=report.sha256).save()
    with pytest.raises(IntegrityError, match="reference_after"), acting(SETUP, "planted"), transaction.atomic():
        SaeReport.objects.filter(pk=report.pk).update(authority_reference="CN-1")
    with pytest.raises(IntegrityError, match="acknowledged_after"), acting(SETUP, "planted"):
        SaeReport.objects.filter(pk=report.pk).update(submitted_at=AWARE + 2 * HOUR, acknowledged_at=AWARE + HOUR)


def test_a_miss_without_words_or_of_an_unknown_clock_is_refused(cast, serious):
    base = {"subject": serious.subject, "event": serious, "due_at": AWARE, "by": cast.coordinator_a, "at": AWARE}
    for changed in ({"words": ""}, {"clock": "X"}, {"reason": "x"}):
        values = {"clock": "SPONSOR", "reason": "staff", "words": "w", **base, **changed}
        with pytest.raises(IntegrityError), acting(SETUP, "planted"):
            MissedDeadline(**values).save()


# --- screens ---


def test_the_worklist_asks_for_the_reason_of_a_deadline_met_late_until_it_is_given(cast, client, serious):
    def asked(person):
        client.force_login(person)
        groups = client.get(reverse("worklist")).context["groups"]
        return [item["url"] for group in groups for item in group["items"] if "why the deadline" in item["what"]]

    late = AWARE + timedelta(days=2)
    with at(late):
        assert asked(cast.coordinator_a) == [], "what still waits for its report is told as that"
    sent(serious, cast.investigator_a, AWARE + 30 * HOUR)
    with at(late):
        wanted = reverse("sae_miss", args=[serious.subject.code, serious.pk, "SPONSOR"])
        assert asked(cast.coordinator_a) == [wanted]
        assert asked(cast.monitor_a) == []
        do_explain_miss(cast.coordinator_a, again(serious), "SPONSOR", "staff", "week-end; a deputy is named now")
        assert asked(cast.coordinator_a) == []


def open_page(client, person, name, record, *more):
    client.force_login(person)
    return client.get(reverse(name, args=[record.subject.code, record.pk, *more]))


def test_the_page_of_an_event_counts_down_and_asks_for_the_reason(cast, client, serious):
    with at(AWARE + 18 * HOUR):
        page = open_page(client, cast.coordinator_a, "sae_reports", serious)
    assert "6 h left" in page.text
    assert reverse("sae_sign", args=[serious.subject.code, serious.pk]) not in page.text
    with at(AWARE + 27 * HOUR):
        page = open_page(client, cast.coordinator_a, "sae_reports", serious)
        address = reverse("sae_miss", args=[serious.subject.code, serious.pk, "SPONSOR"])
        assert "missed by 3 h" in page.text
        assert address in page.text
        assert client.post(address, {"reason": "staff", "words": ""}).status_code == 422
        assert client.post(address, {"reason": "staff", "words": "week-end"}).status_code == 302
        assert "week-end" in open_page(client, cast.monitor_a, "sae_reports", serious).text
        assert "week-end" in client.get(reverse("sae_reconciliation")).text
        client.force_login(cast.coordinator_a)
        assert client.post(address, {"reason": "staff", "words": "twice"}).status_code == 422
    harmless = event(serious.subject, cast.coordinator_a, onset_date=date(2025, 9, 25))
    assert open_page(client, cast.coordinator_a, "sae_reports", harmless).status_code == 404
    assert open_page(client, cast.coordinator_b, "sae_reports", serious).status_code == 404


def test_an_investigator_signs_what_is_on_the_page(cast, client, serious):
    with at(AWARE + HOUR):
        page = open_page(client, cast.investigator_a, "sae_sign", serious)
        address, seen = page.request["PATH_INFO"], page.context["form"].initial["seen"]
        good = {"seen": seen, "kind": "initial", "comment": "", "certify": "on", "password": PASSWORD}
        assert client.post(address, {**good, "password": "wrong"}).status_code == 422
        assert client.post(address, {**good, "kind": "final"}).status_code == 422
        assert client.post(address, {**good, "certify": ""}).status_code == 422
        event(serious.subject, cast.coordinator_a, record=serious, **{**SERIOUS, "grade": 2})
        page = client.post(address, good)
        assert "changed while the page was open" in page.text
        assert not SaeReport.objects.exists()
        # the page now shows, and would sign, what is there
        fresh = page.context["form"].data["seen"]
        assert client.post(address, {**good, "seen": fresh}).status_code == 302
    assert SaeReport.objects.get().facts["grade"] == 2


def test_the_form_of_sending_refuses_bad_times_and_keeps_what_was_typed(cast, client, serious):
    signed(serious, cast.investigator_a, AWARE + HOUR)
    client.force_login(cast.coordinator_a)
    address = reverse("sae_sending", args=[serious.subject.code, serious.pk, 1])
    with at(AWARE + 5 * HOUR):
        for values in (
            {"submitted_at": "2025-10-01T09:00"},  # before the awareness
            {"submitted_at": "2025-10-02T09:00"},  # in the future
            {"submitted_at": "yesterday"},
            {"authority_reference": "CN-1"},
            {"submitted_at": "2025-10-01T12:00", "acknowledged_at": "2025-10-01T11:00"},
        ):
            assert client.post(address, values).status_code == 422, values
        assert client.post(address, {"submitted_at": "2025-10-01T12:00"}).status_code == 302
    assert again(serious).reported_at == AWARE + timedelta(hours=2, minutes=30)
    assert client.get(reverse("sae_sending", args=[serious.subject.code, serious.pk, 2])).status_code == 404


def test_the_countdown_stands_on_worklist_safety_page_and_dashboard(cast, client, serious):
    client.force_login(cast.coordinator_a)
    with at(AWARE + 18 * HOUR):
        for name in ("worklist", "safety", "dashboard"):
            assert "6 h left" in client.get(reverse(name)).text, name


def test_fatal_events_and_deaths_are_reconciled(cast, client):
    subject, other = (treated(cast.coordinator_a, cast.site_a) for _number in range(2))
    event(subject, cast.coordinator_a, **FATAL)
    milestones(other, death_date=date(2025, 11, 1))
    client.force_login(cast.data_manager)
    text = client.get(reverse("sae_reconciliation")).text
    assert "fatal, but no death is on record" in text
    assert "death on record without a fatal adverse event" in text
    milestones(subject, death_date=date(2025, 10, 2))
    assert "another date of death is on record" in client.get(reverse("sae_reconciliation")).text
    client.force_login(cast.coordinator_b)
    assert "No serious event and no death" in client.get(reverse("sae_reconciliation")).text


def test_countdowns_are_told_in_chinese_by_the_same_function(serious):
    with translation.override("zh-hans"):
        (clock,) = clocks_of(again(serious))
        assert clock.countdown(AWARE)
