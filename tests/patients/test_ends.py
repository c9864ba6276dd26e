"""Consent, withdrawal, screen failure and end of study: the milestones follow every entry and every correction."""

from datetime import date, timedelta

import pytest

from patients.crfs import CONSENT, END_OF_STUDY, SCREEN_FAILURE, WITHDRAWAL
from patients.milestones import milestones_of, report_death, set_milestones
from patients.models import Milestones
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import EntryRefused
from spinetrial.review.models import Query
from tests.patients.factory import BEFORE, DAY, change, fill, registered

LATER = DAY + timedelta(days=60)
LEAVES = {
    "withdrawn_on": LATER,
    "from_treatment": True,
    "from_followup": False,
    "from_data_use": False,
    "initiator": "patient",
    "reason": "DRP1",
}


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


@pytest.fixture
def randomised(cast, subject):
    fill(CONSENT, subject, cast.coordinator_a)
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", eligible_on=DAY, randomized_on=DAY)
    return subject


def leave(subject, actor, **changes):
    return fill(WITHDRAWAL, subject, actor, day=LATER, **{**LEAVES, **changes})


def end(subject, actor, **changes):
    return fill(END_OF_STUDY, subject, actor, day=LATER, **{"status": "completed", "ended_on": LATER, **changes})


def milestone_writes(subject) -> int:
    table = Milestones._meta.db_table
    return AuditEntry.objects.filter(subject_id=subject.pk, table_name=table, act="update").count()


def test_the_first_consent_counts_and_a_correction_moves_it(cast, subject):
    assert milestones_of(subject).consent_date is None
    fill(CONSENT, subject, cast.coordinator_a)
    assert milestones_of(subject).consent_date == BEFORE
    change(CONSENT, subject, cast.coordinator_a, signed_at=f"{DAY}T08:00")
    assert milestones_of(subject).consent_date == DAY
    written = milestone_writes(subject)
    fill(CONSENT, subject, cast.coordinator_a, day=LATER, signed_at=f"{LATER}T08:00")
    assert milestones_of(subject).consent_date == DAY
    assert milestone_writes(subject) == written  # an unchanged milestone is no entry of the trail


def test_the_day_of_consent_is_the_day_at_the_site(cast, subject):
    fill(CONSENT, subject, cast.coordinator_a, signed_at=f"{DAY}T00:30")  # still the day before in UTC
    assert milestones_of(subject).consent_date == DAY


@pytest.mark.parametrize(
    ("scope", "treatment", "followup"),
    [
        ({}, LATER, None),
        ({"from_treatment": False, "from_followup": True}, None, LATER),
        ({"from_followup": True}, LATER, LATER),
        ({"from_treatment": False, "from_data_use": True}, None, None),
    ],
)
def test_a_withdrawal_ends_what_it_names(cast, randomised, scope, treatment, followup):
    leave(randomised, cast.coordinator_a, **scope)
    row = milestones_of(randomised)
    assert (row.treatment_withdrawn_on, row.followup_ended_on) == (treatment, followup)


def test_the_earliest_of_several_ends_counts(cast, randomised):
    end(randomised, cast.coordinator_a)
    earlier = LATER - timedelta(days=10)
    leave(randomised, cast.coordinator_a, withdrawn_on=earlier, from_followup=True)
    assert milestones_of(randomised).followup_ended_on == earlier
    change(WITHDRAWAL, randomised, cast.coordinator_a, day=LATER, from_followup=False)
    row = milestones_of(randomised)
    assert (row.treatment_withdrawn_on, row.followup_ended_on) == (earlier, LATER)


def test_a_death_is_a_milestone_of_its_own_and_can_be_corrected(cast, randomised):
    end(randomised, cast.coordinator_a, status="dead", death_cause="disease")
    row = milestones_of(randomised)
    assert (row.death_date, row.death_source, row.followup_ended_on) == (LATER, "P.EOS", None)
    change(END_OF_STUDY, randomised, cast.coordinator_a, day=LATER, ended_on=LATER - timedelta(days=1))
    assert milestones_of(randomised).death_date == LATER - timedelta(days=1)
    change(END_OF_STUDY, randomised, cast.coordinator_a, day=LATER, status="lost", death_cause="")
    row = milestones_of(randomised)
    assert (row.death_date, row.death_source) == (None, "")
    assert row.followup_ended_on == LATER - timedelta(days=1)


def test_a_death_reported_elsewhere_first_stays_and_asks(cast, randomised):
    report_death(SYSTEM, randomised, "F.VISIT", DAY)
    end(randomised, cast.coordinator_a, status="dead", death_cause="unknown")
    row = milestones_of(randomised)
    assert (row.death_date, row.death_source) == (DAY, "F.VISIT")
    assert set(Query.objects.filter(state="open").values_list("check_code", flat=True)) == {"death_date_differs"}


def test_a_screen_failure_follows_its_corrections(cast, subject):
    fill(SCREEN_FAILURE, subject, cast.coordinator_a, failed_on=DAY, reason="declined")
    assert milestones_of(subject).not_eligible_on == DAY
    change(SCREEN_FAILURE, subject, cast.coordinator_a, failed_on=BEFORE)
    assert milestones_of(subject).not_eligible_on == BEFORE
    change(SCREEN_FAILURE, subject, cast.coordinator_a, retracted=True)
    assert milestones_of(subject).not_eligible_on is None


def test_nobody_withdraws_a_consent_never_given(cast, subject):
    with pytest.raises(EntryRefused):
        leave(subject, cast.coordinator_a)


def test_an_unknown_milestone_is_refused(subject):
    with pytest.raises(TypeError), acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", birthday=date(2020, 1, 1))
