"""Allocation on a real PostgreSQL: one slot each, in order, all or nothing, and nobody past the conditions."""

import threading
from datetime import date

import psycopg2
import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, connections, transaction

from patients.milestones import milestones_of
from patients.models import Milestones
from randomization import allocate, arms, lists, notices
from randomization.models import AllocatedArm, Allocation
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT, protocol_hash
from spinetrial.review import trial
from tests.cast import make_cast
from tests.randomization.people import arms_of, ready_subject, sealed_list


@pytest.fixture(autouse=True)
def no_conditions(monkeypatch):
    monkeypatch.setattr(allocate, "conditions", lambda subject: ())


def at_once(calls):
    """Run each call in a thread and a connection of its own, all let go at the same moment; answers in order."""
    barrier = threading.Barrier(len(calls), timeout=60)
    answers = [None] * len(calls)

    def run(place, call):
        try:
            connection.ensure_connection()
            barrier.wait()
            answers[place] = call()
        except Exception as error:
            answers[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return answers


def person(pk):
    """The account as a request of its own would load it."""
    return User.objects.get(pk=pk)


# --- concurrency ---


def test_forty_at_once_over_two_strata(committed_db):
    cast = make_cast()
    rows = {"NK": sealed_list(cast.custodian, cast.site_a, 24), "SH": sealed_list(cast.custodian, cast.site_b, 24)}
    calls = []
    for _ in range(20):
        for coordinator, site in ((cast.coordinator_a, cast.site_a), (cast.coordinator_b, cast.site_b)):
            subject = ready_subject(coordinator, site)
            calls.append(lambda who=coordinator.pk, subject=subject: allocate.do_randomize(person(who), subject))
    answers = at_once(calls)
    assert [type(answer).__name__ for answer in answers] == ["Randomized"] * 40
    for code, row in rows.items():
        taken = (
            Allocation.objects.filter(slot__list=row).order_by("slot__number").values_list("slot__number", flat=True)
        )
        assert list(taken) == list(range(1, 21))
        given = AllocatedArm.objects.filter(allocation__slot__list=row).order_by("allocation__slot__number")
        assert list(given.values_list("arm", flat=True)) == arms_of(row)[:20]
        numbers = Allocation.objects.filter(slot__list=row).order_by("slot__number").values_list("number", flat=True)
        assert list(numbers) == [f"{code}-1-{n:03d}" for n in range(1, 21)]
        assert lists.verify(row).sound
    assert Milestones.objects.filter(randomized_on__isnull=False).count() == 40


def test_one_subject_ten_times_at_once_gets_one_allocation(committed_db):
    cast = make_cast()
    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    answers = at_once([lambda: allocate.do_randomize(person(cast.coordinator_a.pk), subject)] * 10)
    assert {answer.allocation.pk for answer in answers} == {Allocation.objects.get().pk}
    assert sum(answer.created for answer in answers) == 1


def test_last_slots_go_to_as_many_as_there_are(committed_db):
    cast = make_cast()
    row = lists.do_seal(cast.custodian, lists.do_generate(cast.custodian, cast.site_a, 1))
    subjects = [ready_subject(cast.coordinator_a, cast.site_a) for _ in range(row.length + 3)]
    answers = at_once(
        [lambda subject=subject: allocate.do_randomize(person(cast.coordinator_a.pk), subject) for subject in subjects]
    )
    kinds = [type(answer).__name__ for answer in answers]
    assert sorted(kinds) == ["ListExhausted"] * 3 + ["Randomized"] * row.length
    assert Allocation.objects.count() == AllocatedArm.objects.count() == row.length
    assert lists.verify(row).sound


# --- all or nothing ---


def untouched(subject):
    return (
        not Allocation.objects.filter(subject=subject).exists()
        and not AllocatedArm.objects.filter(subject=subject).exists()
        and milestones_of(subject).randomized_on is None
        and not AuditEntry.objects.filter(subject_id=subject.pk, table_name__startswith="randomization_").exists()
    )


@pytest.mark.parametrize("step", ["before_arm", "before_milestone", "after_milestone"])
def test_a_crash_between_slot_and_commit_leaves_nothing(committed_db, monkeypatch, step):
    cast = make_cast()
    row = sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)

    class PowerCut(Exception):
        pass

    def cut(*args, **kwargs):
        raise PowerCut

    with monkeypatch.context() as patch:
        if step == "before_arm":
            patch.setattr(AllocatedArm, "save", cut)
        elif step == "before_milestone":
            patch.setattr(allocate, "set_milestones", cut)
        else:
            patch.setattr(allocate, "used_slots", cut)
        with pytest.raises(PowerCut):
            allocate.do_randomize(cast.coordinator_a, subject)
    assert untouched(subject)
    again = allocate.do_randomize(cast.coordinator_a, subject)
    assert again.created
    assert again.allocation.slot.number == 1
    assert lists.verify(row).sound


def test_a_killed_connection_leaves_nothing_and_blocks_nobody(committed_db, monkeypatch):
    cast = make_cast()
    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    real = allocate.set_milestones

    def killed(*args, **kwargs):
        answer = real(*args, **kwargs)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        kill(pid)
        return answer

    monkeypatch.setattr(allocate, "set_milestones", killed)
    with pytest.raises((DatabaseError, psycopg2.Error)):
        allocate.do_randomize(cast.coordinator_a, subject)
    connections.close_all()
    monkeypatch.setattr(allocate, "set_milestones", real)
    assert untouched(subject)
    assert allocate.do_randomize(person(cast.coordinator_a.pk), subject).allocation.slot.number == 1


def kill(pid):
    """A second connection of the application role may end a session of the same role."""
    settings = connection.settings_dict
    other = psycopg2.connect(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"], password=settings["PASSWORD"],
        dbname=settings["NAME"],
    )  # fmt: skip
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert cursor.fetchone()[0]
    other.close()


# --- conditions ---


def test_what_is_written(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    done = allocate.do_randomize(cast.coordinator_a, subject)
    allocation = Allocation.objects.get()
    assert done.created
    assert done.allocation == allocation
    assert (allocation.number, allocation.stratum) == ("NK-1-001", "site=NK")
    assert allocation.allocated_by == cast.coordinator_a
    assert (allocation.protocol_version, allocation.protocol_hash) == (CURRENT.version, protocol_hash(CURRENT))
    assert milestones_of(subject).randomized_on == cast.site_a.today()
    assert AllocatedArm.objects.get().arm == arms_of(row)[0]


def test_second_call_returns_the_first_allocation(cast):
    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    first = allocate.do_randomize(cast.coordinator_a, subject)
    second = allocate.do_randomize(cast.investigator_a, subject)
    assert (second.created, second.allocation) == (False, first.allocation)


def test_open_condition_refuses_and_takes_no_slot(cast, monkeypatch):
    class Condition:
        code, text, met = "consent", "Consent", False

    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    monkeypatch.setattr(allocate, "conditions", lambda subject: (Condition(),))
    with pytest.raises(allocate.NotReady, match="consent") as refusal:
        allocate.do_randomize(cast.coordinator_a, subject)
    assert [each.code for each in refusal.value.blockers] == ["consent"]
    assert untouched(subject)


def test_only_the_entering_team_of_the_site(cast):
    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    for name, someone in cast.everyone().items():
        if name not in ("coordinator_a", "investigator_a"):
            with pytest.raises(PermissionDenied):
                allocate.do_randomize(someone, subject)
    assert untouched(subject)


def test_no_list_draft_list_and_other_sites_list(cast):
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    sealed_list(cast.custodian, cast.site_b)
    lists.do_generate(cast.custodian, cast.site_a, 10)
    assert not allocate.list_ready(cast.site_a.pk)
    with pytest.raises(allocate.NoList):
        allocate.do_randomize(cast.coordinator_a, subject)


def test_frozen_trial_randomises_nobody_but_still_tells_the_allocation(cast):
    sealed_list(cast.custodian, cast.site_a)
    done, waiting = (ready_subject(cast.coordinator_a, cast.site_a) for _ in range(2))
    allocate.do_randomize(cast.coordinator_a, done)
    trial.do_freeze(cast.data_manager, "test")
    with pytest.raises(trial.EntryClosed):
        allocate.do_randomize(cast.coordinator_a, waiting)
    assert not allocate.do_randomize(cast.coordinator_a, done).created


def test_a_list_that_runs_out_warns_early_is_refused_and_goes_on_with_the_next(
    cast, django_capture_on_commit_callbacks
):
    first = lists.do_seal(cast.custodian, lists.do_generate(cast.custodian, cast.site_a, 11))
    warnings = {}
    for taken in range(1, first.length + 1):
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
        to_custodian = [m.subject for m in mail.outbox if m.to == ["custodian@example.org"]]
        if to_custodian:
            warnings[first.length - taken] = to_custodian[0]
        site_team = sorted(m.to[0].split("@")[0] for m in mail.outbox if "was randomised" in m.subject)
        assert site_team == ["coordinator_a", "investigator_a"]
        assert all(arm.code not in m.body and arm.name not in m.body for m in mail.outbox for arm in CURRENT.arms)
    assert sorted(warnings) == sorted(n for n in lists.WARN_AT if n < first.length)
    assert "used up" in warnings[0]
    late = ready_subject(cast.coordinator_a, cast.site_a)
    with pytest.raises(allocate.ListExhausted):
        allocate.do_randomize(cast.coordinator_a, late)
    assert untouched(late)
    sealed_list(cast.custodian, cast.site_a, 8)
    assert allocate.do_randomize(cast.coordinator_a, late).allocation.number == "NK-2-001"


def test_a_notice_that_cannot_be_sent_harms_nothing(cast, monkeypatch, django_capture_on_commit_callbacks):
    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)

    def broken(*args, **kwargs):
        raise ConnectionRefusedError

    monkeypatch.setattr(notices, "send_mail", broken)
    with django_capture_on_commit_callbacks(execute=True):
        assert allocate.do_randomize(cast.coordinator_a, subject).created


# --- the database's own guard ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE randomization_allocation SET number = 'NK-1-099'",
        "DELETE FROM randomization_allocation",
        "UPDATE randomization_allocatedarm SET arm = 'WHOLE'",
        "UPDATE randomization_allocatedarm SET arm = 'LOCAL'",
        "DELETE FROM randomization_allocatedarm",
        "INSERT INTO randomization_allocatedarm (subject_id, allocation_id, arm)"
        " SELECT subject_id, allocation_id, 'LOCAL' FROM randomization_allocatedarm",
        "TRUNCATE randomization_allocatedarm",
    ],
)
def test_an_allocation_never_changes(cast, statement):
    sealed_list(cast.custodian, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
    with (
        pytest.raises(DatabaseError),
        transaction.atomic(),
        acting(cast.coordinator_a, "test"),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_not_even_the_owner_changes_an_allocation(committed_db, owner_connection):
    cast = make_cast()
    sealed_list(cast.custodian, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
    for table in ("allocation", "allocatedarm"):
        with pytest.raises(psycopg2.Error, match="never changes"), owner_connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM randomization_{table}")


def planted(cast, subject, slot):
    return Allocation(
        subject=subject, slot=slot, number="X-1", stratum="site=NK", allocated_at="2026-01-01T00:00Z",
        allocated_by=cast.coordinator_a, protocol_version="1.0", protocol_hash="0" * 64,
    )  # fmt: skip


@pytest.mark.parametrize("fault", ["skipped", "other_site", "draft", "withdrawn"])
def test_the_database_knows_the_next_slot(cast, fault):
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    if fault == "draft":
        row = lists.do_generate(cast.custodian, cast.site_a, 10)
    else:
        row = sealed_list(cast.custodian, cast.site_b if fault == "other_site" else cast.site_a)
    if fault == "withdrawn":
        lists.do_withdraw(cast.custodian, row, "x")
    slot = lists.list_records(lists.SYSTEM, lists.Slot, "lists.manage").get(
        list=row, number=2 if fault == "skipped" else 1
    )
    with (
        pytest.raises(DatabaseError, match=r"not the next one|another stratum"),
        transaction.atomic(),
        acting(cast.coordinator_a),
    ):
        planted(cast, subject, slot).save()


def test_an_arm_of_another_subject_or_protocol_is_refused(cast):
    sealed_list(cast.custodian, cast.site_a)
    one, other = (ready_subject(cast.coordinator_a, cast.site_a) for _ in range(2))
    slot = lists.list_records(lists.SYSTEM, lists.Slot, "lists.manage").get(number=1)
    with acting(cast.coordinator_a):
        row = planted(cast, one, slot)
        row.save()
    for subject, arm in ((other, "LOCAL"), (one, "BOTH")):
        with pytest.raises(DatabaseError), transaction.atomic(), acting(cast.coordinator_a):
            AllocatedArm(subject=subject, allocation=row, arm=arm).save()


# --- who sees the arm ---


@pytest.fixture
def allocated(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    sealed_list(cast.custodian, cast.site_b)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, subject)
    return subject, arms_of(row)[0]


UNMASKED_AT_A = {"coordinator_a", "investigator_a", "monitor_a", "data_manager"}


def test_the_arm_is_for_the_unmasked_of_the_site(cast, allocated):
    subject, arm = allocated
    for name, someone in cast.everyone().items():
        found = arms.arms_for(someone, [subject])
        if name in UNMASKED_AT_A:
            assert found[subject.pk].code == arm, name
            assert arms.arm_of(someone, subject).code == arm, name
        else:
            assert found == {}, name
            assert arms.arm_of(someone, subject) is None, name


def test_seeing_the_arm_is_on_the_trail_once_a_day_and_purpose(cast, allocated):
    subject, _ = allocated
    for _ in range(3):
        arms.arm_of(cast.monitor_a, subject)
        arms.reveal_arm(cast.monitor_a, subject, "slip")
        arms.arm_of(cast.statistician, subject)
        arms.arms_for(cast.monitor_a, [subject])
    seen = AuditEntry.objects.filter(act__startswith="arm viewed", subject_id=subject.pk)
    assert sorted(seen.values_list("act", "actor_id")) == [
        ("arm viewed: slip", cast.monitor_a.pk),
        ("arm viewed: subject page", cast.monitor_a.pk),
    ]


def test_the_statistician_sees_the_arm_after_the_lock(cast, allocated):
    subject, arm = allocated
    trial.do_freeze(cast.data_manager, "test")
    trial.do_lock(cast.statistician, "test")
    fresh = person(cast.statistician.pk)
    assert arms.arms_for(fresh, [subject])[subject.pk].code == arm
    assert arms.arms_for(person(cast.assessor_a.pk), [subject]) == {}


def test_arms_of_many_cost_a_constant_number_of_queries(cast, django_assert_num_queries):
    sealed_list(cast.custodian, cast.site_a)
    subjects = [ready_subject(cast.coordinator_a, cast.site_a) for _ in range(12)]
    for subject in subjects[:10]:
        allocate.do_randomize(cast.coordinator_a, subject)
    arms.arms_for(cast.coordinator_a, [])  # memberships are read once per person
    with django_assert_num_queries(1):
        assert len(arms.arms_for(cast.coordinator_a, subjects)) == 10


def test_the_trail_holds_a_plain_arm_only_in_entries_that_reveal_it(cast, allocated):
    arms.reveal_arm(cast.coordinator_a, allocated[0], "slip")
    for entry in AuditEntry.objects.all():
        text = f"{entry.act} {entry.reason} {entry.changes}"
        plain = any(arm.code in text or arm.name in text for arm in CURRENT.arms)
        assert plain == (entry.table_name == "randomization_allocatedarm"), text
        assert not plain or entry.reveals_arm


def test_date_of_randomisation_is_the_sites(cast):
    from datetime import UTC, datetime

    from spinetrial.audit import clock

    sealed_list(cast.custodian, cast.site_a)
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    with clock.at(datetime(2027, 3, 1, 20, 0, tzinfo=UTC)):  # already the 2nd in Shanghai
        allocate.do_randomize(person(cast.coordinator_a.pk), subject)
    assert milestones_of(subject).randomized_on == date(2027, 3, 2)
