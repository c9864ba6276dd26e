"""Lists: made, sealed, withdrawn, checked; what is secret stays secret, what is sealed stays as it is."""

import io
import json

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from randomization import allocate, lists
from randomization.lists import ListRefused
from randomization.models import RandomizationList, Slot
from randomization.permuted_blocks import ListedSlot, canonical_csv, seal
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial
from tests.randomization.people import arms_of, ready_subject, sealed_list


@pytest.fixture(autouse=True)
def no_conditions(monkeypatch):
    monkeypatch.setattr(allocate, "conditions", lambda subject: ())


def refused(code):
    return pytest.raises(ListRefused, match=f"^{code}$")


def test_generated_list_is_sealed_and_derived_again(cast):
    row = sealed_list(cast.custodian, cast.site_a, 40)
    assert row.length >= 40
    assert row.sha256 == seal(canonical_csv("NK", row.algorithm, row.secret, lists.listed_slots(row)))
    assert lists.verify(row) == lists.Verification(seal=True, derived=True, allocations=True)


def test_two_lists_have_two_seeds(cast):
    one, two = sealed_list(cast.custodian, cast.site_a), sealed_list(cast.custodian, cast.site_b)
    assert one.secret != two.secret
    assert one.sha256 != two.sha256


def test_only_the_custodian(cast):
    for name, person in cast.everyone().items():
        if name != "custodian":
            with pytest.raises(PermissionDenied):
                lists.do_generate(person, cast.site_a, 10)
    draft = lists.do_generate(cast.custodian, cast.site_a, 10)
    for act in (lists.do_seal, lambda who, row: lists.do_discard(who, row, "x")):
        with pytest.raises(PermissionDenied):
            act(cast.data_manager, draft)


def test_one_draft_per_site_and_discarding_it(cast):
    draft = lists.do_generate(cast.custodian, cast.site_a, 10)
    with refused(ListRefused.DRAFT_EXISTS):
        lists.do_generate(cast.custodian, cast.site_a, 10)
    lists.do_discard(cast.custodian, draft, "wrong length")
    assert lists.do_generate(cast.custodian, cast.site_a, 12).length >= 12
    with refused(ListRefused.NOT_DRAFT):
        lists.do_seal(cast.custodian, draft)


def test_sealing_twice_is_refused(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    with refused(ListRefused.NOT_DRAFT):
        lists.do_seal(cast.custodian, row)
    with refused(ListRefused.NOT_DRAFT):
        lists.do_discard(cast.custodian, row, "x")


def test_frozen_trial_takes_no_list(cast):
    with acting(cast.data_manager, "test"):
        trial.do_freeze(cast.data_manager, "test")
    with pytest.raises(trial.EntryClosed):
        lists.do_generate(cast.custodian, cast.site_a, 10)


# --- import and withdrawal ---

IMPORTED = [ListedSlot(n, arm) for n, arm in enumerate(["LOCAL", "WHOLE", "WHOLE", "LOCAL"], start=1)]


def test_imported_list_is_salted_and_sealed(cast):
    first = lists.do_seal(cast.custodian, lists.do_import(cast.custodian, cast.site_a, IMPORTED))
    second = lists.do_seal(cast.custodian, lists.do_import(cast.custodian, cast.site_b, IMPORTED))
    assert lists.verify(first).sound
    assert first.source == RandomizationList.Source.IMPORTED
    assert first.sha256 != seal(canonical_csv("NK", "", "", IMPORTED))
    assert first.secret != second.secret


def test_import_stands_instead_of_a_list_never_behind_it(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    with refused(ListRefused.IN_USE):
        lists.do_import(cast.custodian, cast.site_a, IMPORTED)
    lists.do_withdraw(cast.custodian, row, "the list of SPSS is used")
    imported = lists.do_seal(cast.custodian, lists.do_import(cast.custodian, cast.site_a, IMPORTED))
    subject = ready_subject(cast.coordinator_a, cast.site_a)
    assert allocate.do_randomize(cast.coordinator_a, subject).allocation.slot.list_id == imported.pk


def test_import_and_withdrawal_after_the_first_allocation_are_refused(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
    with refused(ListRefused.IN_USE):
        lists.do_import(cast.custodian, cast.site_a, IMPORTED)
    with refused(ListRefused.USED):
        lists.do_withdraw(cast.custodian, row, "x")


def test_database_refuses_an_imported_list_behind_another(cast):
    draft = lists.do_import(cast.custodian, cast.site_a, IMPORTED)
    draft_site_b = lists.do_generate(cast.custodian, cast.site_b, 4)
    lists.do_seal(cast.custodian, draft_site_b)
    lists.do_seal(cast.custodian, draft)
    second = RandomizationList(
        site=cast.site_a, part=2, source="imported", length=1, secret="00", sha256="0" * 64,
        made_at=timezone.now(), made_by=cast.custodian,
    )  # fmt: skip
    with acting(cast.custodian, "test"):
        second.save()
        Slot(list=second, site=cast.site_a, number=1, arm="LOCAL").save()
    second.sealed_at, second.sealed_by = timezone.now(), cast.custodian
    with (
        pytest.raises(DatabaseError, match="behind another list"),
        transaction.atomic(),
        acting(cast.custodian, "x"),
    ):
        second.save()


def test_blocks_of_an_imported_list_are_looked_at():
    arms = ["LOCAL", "WHOLE", "WHOLE", "LOCAL"]
    assert lists.arms_balanced_in_blocks([ListedSlot(n, arm) for n, arm in enumerate(arms, 1)])
    assert not lists.arms_balanced_in_blocks([ListedSlot(n, "LOCAL") for n in range(1, 9)])


# --- secrecy ---


def test_neither_table_nor_trail_holds_arm_seed_or_block(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(s)::text FROM randomization_slot s")
        stored = [text for (text,) in cursor.fetchall()]
        cursor.execute("SELECT to_jsonb(l)::text FROM randomization_randomizationlist l")
        stored += [text for (text,) in cursor.fetchall()]
    stored += [
        json.dumps(changes)
        for changes in AuditEntry.objects.filter(table_name__startswith="randomization_").values_list(
            "changes", flat=True
        )
    ]
    assert len(stored) > 2 * row.length
    for text in stored:
        assert "LOCAL" not in text
        assert "WHOLE" not in text
        assert row.secret not in text
    # equal arms must not look equal, and neither arm may be told by its length
    tokens = {arm: set() for arm in ("LOCAL", "WHOLE")}
    with connection.cursor() as cursor:
        cursor.execute("SELECT arm FROM randomization_slot ORDER BY number")
        for arm, (token,) in zip(arms_of(row), cursor.fetchall(), strict=True):
            tokens[arm].add(token)
    assert sum(len(each) for each in tokens.values()) == row.length
    assert len({len(token) for each in tokens.values() for token in each}) == 1


def test_slots_and_lists_are_on_the_chain_of_their_site(cast):
    sealed_list(cast.custodian, cast.site_a)
    chains = AuditEntry.objects.filter(
        table_name__in=["randomization_slot", "randomization_randomizationlist"]
    ).values_list("chain", flat=True)
    assert set(chains) == {f"site:{cast.site_a.pk}"}


# --- planted tampering: every role is refused by the database ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE randomization_slot SET arm = 'x'",
        "DELETE FROM randomization_slot",
        "INSERT INTO randomization_slot (list_id, site_id, number, arm, block)"
        " SELECT list_id, site_id, 999, arm, '' FROM randomization_slot LIMIT 1",
        "UPDATE randomization_randomizationlist SET sha256 = repeat('0', 64)",
        "UPDATE randomization_randomizationlist SET sealed_at = NULL, sealed_by_id = NULL",
        "UPDATE randomization_randomizationlist SET length = length - 1",
        "DELETE FROM randomization_randomizationlist",
    ],
)
def test_a_sealed_list_never_changes(cast, statement):
    sealed_list(cast.custodian, cast.site_a)
    with (
        pytest.raises(DatabaseError, match="randomisation"),
        transaction.atomic(),
        acting(cast.custodian, "test"),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_an_incomplete_list_is_not_sealed(cast):
    draft = lists.do_generate(cast.custodian, cast.site_a, 10)
    with acting(cast.custodian, "planted"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM randomization_slot WHERE number = 5")
    with refused(ListRefused.ALTERED):
        lists.do_seal(cast.custodian, draft)
    with (
        pytest.raises(DatabaseError, match="sealed only when"),
        transaction.atomic(),
        acting(cast.custodian, "planted"),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE randomization_randomizationlist SET sealed_at = made_at, sealed_by_id = made_by_id WHERE id = %s",
            [draft.pk],
        )


def test_a_list_is_not_born_sealed(cast):
    with pytest.raises(DatabaseError, match="starts as a draft"), acting(cast.custodian):
        RandomizationList(
            site=cast.site_a, part=1, source="imported", length=1, secret="00", sha256="0" * 64,
            made_at=timezone.now(), made_by=cast.custodian, sealed_at=timezone.now(), sealed_by=cast.custodian,
        ).save()  # fmt: skip


def test_tampering_past_the_triggers_is_found(committed_db, owner_connection, monkeypatch):
    """The owner of the tables can switch triggers off; the published hash still tells."""
    from tests.cast import make_cast

    cast = make_cast()
    row = sealed_list(cast.custodian, cast.site_a)
    out = io.StringIO()
    call_command("verify_lists", stdout=out)
    assert row.sha256 in out.getvalue()
    with owner_connection.cursor() as cursor:
        cursor.execute("ALTER TABLE randomization_slot DISABLE TRIGGER USER")
        first, other = _two_slots_of_different_arms(row)
        cursor.execute(
            "UPDATE randomization_slot a SET arm = b.arm FROM randomization_slot b WHERE a.id = %s AND b.id = %s",
            [first, other],
        )
    found = lists.verify(row)
    assert (found.seal, found.derived) == (False, False)
    with pytest.raises(CommandError, match="1 list"):
        call_command("verify_lists", stdout=out)
    assert "BROKEN" in out.getvalue()


def _two_slots_of_different_arms(row):
    slots = list(Slot.objects.filter(list=row).order_by("number"))
    other = next(slot for slot in slots if slot.arm != slots[0].arm)
    return slots[0].pk, other.pk


# --- opening, stock and notices ---


def test_a_list_is_opened_only_after_the_lock(cast):
    row = sealed_list(cast.custodian, cast.site_a)
    with refused(ListRefused.NOT_OPEN_YET):
        lists.open_list(cast.custodian, row.pk)
    trial.do_freeze(cast.data_manager, "test")
    trial.do_lock(cast.statistician, "test")
    assert seal(lists.open_list(cast.custodian, row.pk)) == row.sha256
    assert AuditEntry.objects.filter(act="randomisation list opened", actor_id=cast.custodian.pk).count() == 1


def test_stock_counts_and_warns(cast):
    assert [(s.site.code, s.remaining, s.low) for s in lists.stocks()] == [("NK", 0, True), ("SH", 0, True)]
    row = sealed_list(cast.custodian, cast.site_a, 12)
    lists.do_generate(cast.custodian, cast.site_b, 40)
    for _ in range(3):
        allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
    found = {stock.site.code: stock for stock in lists.stocks()}
    assert (found["NK"].lists, found["NK"].used, found["NK"].remaining) == (1, 3, row.length - 3)
    assert found["SH"].lists == 0  # a draft is no stock
    assert found["NK"] == lists.stock_of(cast.site_a)


def test_everyone_concerned_gets_the_seal_in_their_language(cast, django_capture_on_commit_callbacks):
    cast.coordinator_a.language = "zh-hans"
    with acting(cast.administrator, "test"):
        cast.coordinator_a.save()
    draft = lists.do_generate(cast.custodian, cast.site_a, 10)
    with django_capture_on_commit_callbacks(execute=True):
        row = lists.do_seal(cast.custodian, draft)
    told = {message.to[0].split("@")[0] for message in mail.outbox}
    assert {"coordinator_a", "investigator_a", "custodian", "data_manager", "statistician"} == told
    assert all(row.sha256 in message.body for message in mail.outbox)
    assert all(row.secret not in message.body for message in mail.outbox)
    assert all(len(message.to) == 1 for message in mail.outbox)
