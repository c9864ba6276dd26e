"""Electronic signatures: bound to the exact version, void with any change, never removed."""

import threading
from datetime import date
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from patients.crfs import CONSENT
from patients.models import Consent
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import stored, verify_signatures
from spinetrial.crf.reviewing import Changed, sign, unsigned
from spinetrial.review import signatures, trial, verification
from spinetrial.review.models import Certification, Signature, SignedRecord
from tests.cast import make_cast
from tests.followup.helpers import MORPHINE, change, noon, treated, visit

DAY = date(2026, 1, 20)


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


@pytest.fixture
def record(cast, subject):
    return visit(subject, cast.coordinator_a, "M3", rows=[MORPHINE], analgesics="some")


def versions(*records, spec=VISIT):
    """The hashes a person has on the screen now, by record."""
    found = stored([record.subject_id for record in records], [spec], only=[(spec.code, r.pk) for r in records])
    return {each.key: each.sha256 for each in found}


def signed(cast, record, **more) -> Signature:
    with at(noon(DAY)):
        return sign(
            cast.investigator_a, record.subject, more.pop("seen", None) or versions(record),
            meaning=more.pop("meaning", "reviewed"), scope="form", event="M3", certify=more.pop("certify", True),
        )  # fmt: skip


def raw(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def state(record, spec=VISIT) -> str:
    return signatures.signature_state([record.subject_id]).get((spec.code, record.pk), "")


# --- signing ---


def test_a_signature_holds_name_time_meaning_and_the_hash_of_the_exact_version(cast, record):
    row = signed(cast, record)
    assert (row.signer, row.signer_name, row.signed_at) == (cast.investigator_a, "Investigator A", noon(DAY))
    assert str(row.get_meaning_display()).startswith("I have reviewed these data")
    (member,) = row.records.all()
    assert {("F.VISIT", record.pk): member.record_hash} == versions(record)
    assert (member.row_version, member.event, member.void_at) == (1, "M3", None)
    assert signatures.signed_keys([record.subject_id]) == {("F.VISIT", record.pk)}
    assert state(record) == "signed"


def test_signing_is_on_the_trail_with_meaning_records_and_hashes(cast, record):
    row = signed(cast, record)
    entry = AuditEntry.objects.get(act="sign")
    assert (entry.actor_id, entry.subject_id) == (cast.investigator_a.pk, record.subject_id)
    detail = str(entry.changes)
    assert str(row.pk) in detail
    assert "I have reviewed these data and they are accurate and complete." in detail
    assert versions(record)["F.VISIT", record.pk] in detail


def test_a_signature_of_a_form_that_shows_the_arm_is_kept_from_the_masked_on_the_trail(cast, record, subject):
    version = signatures.Version("R.RT", 1, "RT", 1, "0" * 64, reveals_arm=True)
    signatures.do_sign(
        cast.investigator_a, subject=subject, scope="form", meaning="reviewed", versions=[version], certify=True
    )
    assert AuditEntry.objects.get(act="sign").reveals_arm


def test_the_certification_is_demanded_once_per_person(cast, record):
    with pytest.raises(signatures.NotCertified):
        signed(cast, record, certify=False)
    assert not Signature.objects.exists()
    signed(cast, record)
    signed(cast, record, certify=False, meaning="authored")
    row = Certification.objects.get()
    assert (row.user, row.version, len(row.text_sha256)) == (cast.investigator_a, "1", 64)


@pytest.mark.parametrize("person", ["coordinator_a", "monitor_a", "data_manager", "investigator_b", "outsider"])
def test_only_an_investigator_of_the_site_signs(cast, record, person):
    with pytest.raises(PermissionDenied):
        sign(getattr(cast, person), record.subject, versions(record), meaning="reviewed", scope="form", certify=True)


def test_a_record_that_changed_between_showing_and_signing_is_not_signed(cast, record, subject):
    other = visit(subject, cast.coordinator_a, "M6", on=DAY, visit_date=DAY)
    seen = versions(record, other)
    change(other, cast.coordinator_a, DAY, nrs_worst=4)
    with pytest.raises(Changed) as refusal:
        signed(cast, record, seen=seen)
    assert refusal.value.keys == (("F.VISIT", other.pk),)
    assert not Signature.objects.exists()


def test_a_row_added_by_raw_sql_between_showing_and_signing_is_noticed(cast, record):
    seen = versions(record)
    with acting(SYSTEM, "test"):
        VisitAnalgesic(
            subject=record.subject, parent=record, drug="TRAMADOL_PO", dose=50, times=1, use="scheduled"
        ).save()
    with pytest.raises(Changed):
        signed(cast, record, seen=seen)


def test_no_record_no_signature(cast, subject):
    with pytest.raises(signatures.NothingToSign):
        sign(cast.investigator_a, subject, {}, meaning="reviewed", scope="subject", certify=True)


def test_the_same_person_does_not_sign_the_same_version_twice_in_one_meaning(cast, record):
    signed(cast, record)
    with pytest.raises(signatures.NothingToSign):
        signed(cast, record)
    signed(cast, record, meaning="approved")
    assert Signature.objects.count() == 2


def test_what_is_saved_and_not_signed_waits_for_a_signature(cast, record, subject):
    assert {(spec.code, pk, before) for _s, spec, pk, _e, before in unsigned(SYSTEM, [subject.pk])} == {
        ("F.VISIT", record.pk, "")
    }
    signed(cast, record)
    assert list(unsigned(SYSTEM, [subject.pk])) == []
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    assert [before for *_more, before in unsigned(SYSTEM, [subject.pk])] == ["void"]


def _rows(record):
    return [
        {"id": row.pk, "drug": row.drug, "dose": row.dose, "times": row.times, "use": row.use}
        for row in VisitAnalgesic.objects.filter(parent=record)
    ]


# --- void ---


def test_any_change_of_a_signed_value_voids_the_signature_and_keeps_it(cast, record):
    row = signed(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), remarks="corrected")
    member = SignedRecord.objects.get()
    assert member.signature == row
    assert member.void_at is not None
    assert state(record) == "void"
    assert signatures.signed_keys([record.subject_id]) == set()


def test_who_made_a_signature_void_is_on_the_trail(cast, record):
    signed(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    member = SignedRecord.objects.get()
    assert {pk: entry.actor_id for pk, entry in AuditEntry.voiding([member.pk]).items()} == {
        member.pk: cast.coordinator_a.pk
    }


def test_a_save_that_changes_nothing_leaves_the_signature(cast, record):
    signed(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record))
    with acting(SYSTEM, "test"):
        raw("UPDATE followup_visit SET nrs_worst = nrs_worst, row_version = row_version + 1")
        raw("UPDATE followup_visitanalgesic SET position = position + 1")
    assert state(record) == "signed"
    assert verify_signatures() == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE followup_visit SET remarks = 'x'",
        "UPDATE followup_visit SET event = 'M6'",
        "UPDATE followup_visitanalgesic SET dose = 1",
        "DELETE FROM followup_visitanalgesic",
        "DELETE FROM followup_visitanalgesic; DELETE FROM followup_visit",
    ],
)
def test_a_change_past_the_screens_voids_the_signature_too(cast, record, sql):
    signed(cast, record)
    with acting(SYSTEM, "test"):
        raw(sql)
    assert state(record) == "void"


def test_another_record_of_the_same_number_and_form_family_keeps_its_signature(cast, record, subject):
    with acting(SYSTEM, "test"):
        consent = Consent(
            pk=record.pk, subject=subject, version="1.0", signed_at=noon(DAY), signer="patient", obtained_by="Dr",
            willing_follow_up=True,
        )  # fmt: skip
        consent.save(force_insert=True)
    signed(cast, record)
    signed(cast, consent, seen=versions(consent, spec=CONSENT))
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    assert (state(record), state(consent, CONSENT)) == ("void", "signed")


def test_a_record_signed_again_is_valid_and_the_void_signature_stays_in_its_history(cast, record):
    first = signed(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    second = signed(cast, Visit.objects.get(pk=record.pk))
    history = signatures.signatures_of([record.subject_id])["F.VISIT", record.pk]
    assert [(row.signature, row.void_at is None) for row in history] == [(first, False), (second, True)]
    assert state(record) == "signed"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM review_signedrecord",
        "DELETE FROM review_signature",
        "DELETE FROM review_certification",
        "UPDATE review_signedrecord SET void_at = NULL",
        "UPDATE review_signedrecord SET record_hash = repeat('a', 64)",
        "UPDATE review_signature SET signer_name = 'Somebody Else'",
        "UPDATE review_signature SET signed_at = now()",
        "UPDATE review_signature SET meaning = 'approved'",
        "UPDATE review_certification SET accepted_at = now()",
    ],
)
def test_a_signature_cannot_be_removed_revived_or_rewritten(cast, record, sql):
    signed(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    with pytest.raises(DatabaseError, match="review"), transaction.atomic(), acting(SYSTEM, "test"):
        raw(sql)


# --- verify_signatures ---


def test_a_value_altered_past_the_triggers_is_found_by_its_hash(committed_db, owner_connection):
    cast = make_cast()
    record = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, "M3")
    other = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, "M3")
    signed(cast, record)
    signed(cast, other)
    assert verify_signatures() == []
    call_command("verify_signatures", stdout=StringIO())
    with owner_connection.cursor() as cursor:
        cursor.execute("ALTER TABLE followup_visit DISABLE TRIGGER USER")
        cursor.execute("UPDATE followup_visit SET nrs_worst = 0 WHERE id = %s", [record.pk])
        cursor.execute("DELETE FROM followup_visit WHERE id = %s", [other.pk])
    altered, gone = verify_signatures()
    assert (altered.spec_code, altered.record_id, altered.subject_id) == ("F.VISIT", record.pk, record.subject_id)
    assert altered.found_hash
    assert altered.found_hash != altered.signed_hash
    assert (gone.record_id, gone.found_hash) == (other.pk, "")
    said = StringIO()
    with pytest.raises(CommandError, match="2 signed records"):
        call_command("verify_signatures", stderr=said)
    assert f"(F.VISIT {record.pk})" in said.getvalue()


# --- at the same moment ---


def test_a_raw_change_at_the_moment_of_signing_waits_and_voids(committed_db, owner_connection):
    """The writer takes no lock of ours: the rows signed are held, so its trigger finds the signature."""
    cast = make_cast()
    record = visit(
        treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, "M3", rows=[MORPHINE], analgesics="some"
    )
    started = threading.Event()

    def write() -> None:
        with owner_connection.cursor() as cursor:
            cursor.execute(
                "BEGIN; SELECT set_config('spinetrial.actor', 'raw', true), set_config('spinetrial.reason', 'x', true)"
            )
            started.set()
            cursor.execute("UPDATE followup_visitanalgesic SET dose = 5; COMMIT")

    writer = threading.Thread(target=write)
    with acting(cast.investigator_a):
        signed(cast, record)
        writer.start()
        started.wait()
        writer.join(0.3)
        assert writer.is_alive(), "the change did not wait for the signature"
    writer.join()
    assert state(record) == "void"


# --- the lock ---


def test_nothing_is_signed_while_the_trial_is_locked(cast, record):
    seen = versions(record)
    trial.do_freeze(cast.data_manager, "clean")
    signed(cast, record)  # frozen: signing is what is left to do
    trial.do_lock(cast.statistician, "done")
    with pytest.raises(verification.TrialLocked):
        signed(cast, record)
    with pytest.raises(DatabaseError, match="trial is locked"), transaction.atomic(), acting(SYSTEM, "past the rules"):
        Signature.objects.create(
            subject=record.subject, scope="form", meaning="reviewed", signer=cast.investigator_a, signed_at=noon(DAY),
            signer_name="x",
        )  # fmt: skip
    assert seen == versions(record)


def test_a_lock_at_the_moment_of_signing_is_waited_for(committed_db):
    """Who signs while somebody locks gets an answer, not a server error, and nothing is signed."""
    cast = make_cast()
    record = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, "M3")
    trial.do_freeze(cast.data_manager, "clean")
    seen, refused = versions(record), []

    def sign_meanwhile() -> None:
        try:
            signed(cast, record, seen=seen)
        except verification.TrialLocked:
            refused.append(True)
        finally:
            connection.close()

    signer = threading.Thread(target=sign_meanwhile)
    with acting(cast.statistician):
        trial.do_lock(cast.statistician, "done")
        signer.start()
        signer.join(0.3)
        assert signer.is_alive(), "the signature did not wait for the lock"
    signer.join()
    assert refused == [True]
    assert not Signature.objects.exists()
