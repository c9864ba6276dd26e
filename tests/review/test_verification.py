"""Source data verification: the plan, one field or a whole form, and what drops it."""

from datetime import date, timedelta

import pytest
from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from patients.crfs import CONSENT, DEMOGRAPHICS, PAIN, SCREENING
from patients.models import Consent
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.content import stored
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.reviewing import Changed, items_to_verify, sdv_of, verify
from spinetrial.review import trial, verification
from spinetrial.review.apps import KEPT
from spinetrial.review.models import Verification
from tests.followup.helpers import MORPHINE, change, noon, treated, visit
from tests.test_architecture import tables_without

DAY = date(2026, 1, 20)


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


@pytest.fixture
def record(cast, subject):
    return visit(subject, cast.coordinator_a, "M3", rows=[MORPHINE], analgesics="some")


def seen(record, spec=VISIT):
    """The hash of the version a person has on the screen now."""
    (found,) = stored([record.subject_id], [spec], only=[(spec.code, record.pk)])
    return found.sha256


def verified(record, spec=VISIT) -> set[str]:
    items = verification.verified_items([record.subject_id])
    return {item for code, pk, item in items if (code, pk) == (spec.code, record.pk)}


def again(record, spec=VISIT) -> set[str]:
    items = verification.dropped_items([record.subject_id])
    return {item for code, pk, item in items if (code, pk) == (spec.code, record.pk)}


def verify_all(cast, record) -> int:
    with at(noon(DAY)):
        return verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), all_items=True)


# --- the plan ---


def test_consent_eligibility_nrs_analgesics_and_serious_events_are_critical():
    wanted = {
        "P.CONSENT": {"version", "signed_at", "signer", "family_relation", "family_reason"},
        "P.SCREEN": {"confirmed", "answers", "serious_chronic_disease", "expected_survival_months"},
        "P.FAIL": {"failed_on", "criteria"},
        "P.SITES": {"sites", "index_level"},
        "P.PAIN": {"nrs_worst", "analgesics", "analgesics_taken"},
        "R.RT": {"targets", "fractions", "ending"},
        "F.VISIT": {"nrs_worst", "nrs_missing", "analgesics", "analgesics_taken"},
        "F.IMAGING": {"vertebrae"},
        "A.AE": {
            "grade", "sae_death", "sae_life", "sae_hospital", "sae_disability", "sae_congenital", "sae_important",
            "aware_at", "unexpected",
        },
    }  # fmt: skip
    for code, names in wanted.items():
        assert names <= get_spec(code).critical(), code


def test_a_group_of_rows_is_critical_as_soon_as_one_of_its_columns_is():
    forgotten = [
        f"{spec.code}/{group.key}"
        for spec in all_specs()
        for group in spec.rows
        if any(item.sdv for item in group.items) and not group.sdv
    ]
    assert forgotten == []


def test_only_items_that_the_form_shows_wait_for_verification(cast, subject):
    missed = visit(subject, cast.coordinator_a, "M3", on=DAY, status="missed")
    assert "nrs_worst" not in items_to_verify(VISIT, missed)
    assert set(items_to_verify(VISIT, missed)) == {"status", "survival", "analgesics_taken"}
    done = visit(subject, cast.coordinator_a, "M6", on=DAY, visit_date=DAY)
    assert {"nrs_worst", "nrs_missing", "visit_date"} <= set(items_to_verify(VISIT, done))


# --- verifying ---


def test_the_monitor_verifies_one_field(cast, record):
    with at(noon(DAY)):
        assert verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), ["nrs_worst"]) == 1
    row = Verification.objects.get()
    assert (row.item, row.verified_by, row.verified_at, row.event) == ("nrs_worst", cast.monitor_a, noon(DAY), "M3")
    (form,) = [form for form in sdv_of(SYSTEM, [record.subject_id]) if form.spec is VISIT]
    assert "nrs_worst" not in form.waiting
    assert "analgesics" in form.waiting


def test_the_monitor_verifies_all_critical_items_at_once_and_again_nothing(cast, record):
    key = ("F.VISIT", record.pk)
    made = verify(cast.monitor_a, record.subject, key, seen(record))
    assert made == len(verified(record)) > 5
    assert verified(record) == set(items_to_verify(VISIT, record))
    assert "motor" not in verified(record)
    assert verify(cast.monitor_a, record.subject, key, seen(record)) == 0
    assert Verification.objects.count() == made


def test_the_monitor_verifies_the_whole_form(cast, record):
    verify_all(cast, record)
    assert {"motor", "analgesics_taken", "nrs_worst"} <= verified(record)


@pytest.mark.parametrize("person", ["coordinator_a", "investigator_a", "data_manager", "statistician", "outsider"])
def test_nobody_but_the_monitor_verifies(cast, record, person):
    with pytest.raises(PermissionDenied):
        verify(getattr(cast, person), record.subject, ("F.VISIT", record.pk), seen(record))


def test_the_monitor_of_another_site_does_not_verify(cast, record):
    elsewhere = treated(cast.coordinator_b, cast.site_b)
    other = visit(elsewhere, cast.coordinator_b, "M3")
    with pytest.raises(PermissionDenied):
        verify(cast.monitor_a, elsewhere, ("F.VISIT", other.pk), seen(other))


def test_a_value_that_changed_since_the_page_was_shown_is_not_verified(cast, record):
    shown = seen(record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    with pytest.raises(Changed):
        verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), shown, ["nrs_worst"])
    assert not Verification.objects.exists()


def test_a_record_that_does_not_exist_or_is_another_participants_is_not_verified(cast, record, subject):
    other = treated(cast.coordinator_a, cast.site_a)
    for key in (("F.VISIT", 999_999), ("F.VISIT", record.pk), ("X.NONE", 1)):
        with pytest.raises(Changed):
            verify(cast.monitor_a, other, key, seen(record))


def test_an_item_the_form_does_not_have_is_not_verified(cast, record):
    with pytest.raises(KeyError):
        verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), ["colour"])


def test_a_verification_is_taken_back_with_a_reason_and_kept(cast, record):
    verify_all(cast, record)
    verification.do_unverify(cast.monitor_a, record.subject, "F.VISIT", record.pk, "nrs_worst", "wrong source page")
    assert again(record) == {"nrs_worst"}
    assert Verification.objects.filter(item="nrs_worst", dropped_at__isnull=False).count() == 1
    with pytest.raises(verification.NotVerified):
        verification.do_unverify(cast.monitor_a, record.subject, "F.VISIT", record.pk, "nrs_worst", "twice")
    with pytest.raises(PermissionDenied):
        verification.do_unverify(cast.coordinator_a, record.subject, "F.VISIT", record.pk, "motor", "no right")


def _rows(record):
    return [
        {"id": row.pk, "drug": row.drug, "dose": row.dose, "times": row.times, "use": row.use}
        for row in VisitAnalgesic.objects.filter(parent=record)
    ]


# --- dropping ---


def test_a_changed_value_drops_its_verification_and_is_listed_to_verify_again(cast, record):
    verify_all(cast, record)
    before = verified(record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), nrs_worst=5)
    assert before - verified(record) == again(record) == {"nrs_worst"}
    (form,) = [form for form in sdv_of(SYSTEM, [record.subject_id]) if form.spec is VISIT]
    assert form.waiting == ("nrs_worst",)
    verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record))
    assert again(record) == set()


def test_an_item_beside_the_plan_that_was_verified_and_changed_waits_again_too(cast, record):
    verify_all(cast, record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record), mode="telephone")
    (form,) = [form for form in sdv_of(SYSTEM, [record.subject_id]) if form.spec is VISIT]
    assert (form.again, form.waiting) == (("mode",), ())


def test_a_save_that_changes_nothing_drops_nothing(cast, record):
    verify_all(cast, record)
    before = verified(record)
    change(record, cast.coordinator_a, DAY, rows=_rows(record))
    with acting(SYSTEM, "test"):
        Visit.objects.filter(pk=record.pk).update(nrs_worst=F("nrs_worst"), row_version=F("row_version") + 1)
        VisitAnalgesic.objects.update(position=F("position") + 1)
    assert verified(record) == before


def raw(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


WAYS = {
    "bulk update": lambda r: Visit.objects.filter(pk=r.pk).update(nrs_worst=9),
    "bulk_update": lambda r: Visit.objects.bulk_update([Visit(pk=r.pk, nrs_worst=9)], ["nrs_worst"]),
    "raw SQL": lambda r: raw("UPDATE followup_visit SET nrs_worst = 9 WHERE id = %s", r.pk),
    "to no answer": lambda r: raw(
        "UPDATE followup_visit SET nrs_worst = NULL, nrs_missing = 'refused' WHERE id = %s", r.pk
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_past_the_screens_drops_the_verification_too(cast, record, way):
    verify_all(cast, record)
    with acting(SYSTEM, "test"):
        WAYS[way](record)
    assert "nrs_worst" in again(record)
    assert "motor" in verified(record)


ROW_WAYS = {
    "change": lambda r: raw("UPDATE followup_visitanalgesic SET dose = 60 WHERE parent_id = %s", r.pk),
    "removal": lambda r: raw("DELETE FROM followup_visitanalgesic WHERE parent_id = %s", r.pk),
    "addition": lambda r: VisitAnalgesic.objects.bulk_create(
        [VisitAnalgesic(subject_id=r.subject_id, parent=r, drug="TRAMADOL_PO", dose=50, times=1, use="scheduled")]
    ),
}


@pytest.mark.parametrize("way", ROW_WAYS)
def test_a_row_changed_removed_or_added_drops_the_verification_of_the_rows(cast, record, way):
    verify_all(cast, record)
    with acting(SYSTEM, "test"):
        ROW_WAYS[way](record)
    assert again(record) == {"analgesics_taken"}


def test_a_changed_reason_for_a_missing_answer_drops_the_verification(cast, record):
    with acting(SYSTEM, "test"):
        Visit.objects.filter(pk=record.pk).update(nrs_average=None, missing={"nrs_average": "ND"})
    verify_all(cast, record)
    with acting(SYSTEM, "test"):
        Visit.objects.filter(pk=record.pk).update(missing={"nrs_average": "REF"})
    assert again(record) == {"nrs_average"}


def test_a_column_of_a_foreign_key_drops_the_item_named_without_id(cast, record):
    """No item of today is a foreign key; the trigger knows both spellings of those columns that are."""
    screening = {"subject": record.subject, "spec_code": "P.SCREEN", "record_id": 0, "event": "SCR"}
    with acting(SYSTEM, "test"):
        raw(
            "INSERT INTO patients_eligibility (subject_id, row_version, missing, confirmed)"
            " VALUES (%s, 1, '{}', false)",
            record.subject_id,
        )
        pk = SCREENING.model.objects.get().pk
        Verification.objects.create(
            **{**screening, "record_id": pk}, item="confirmed_by", verified_by=cast.monitor_a, verified_at=noon(DAY)
        )
        raw(
            "UPDATE patients_eligibility SET confirmed = true, confirmed_at = now(), confirmed_by_id = %s",
            cast.investigator_a.pk,
        )
    assert Verification.objects.get().dropped_at is not None


def test_a_removed_record_takes_its_verifications_along(cast, subject):
    with acting(SYSTEM, "test"):
        record = Consent(
            subject=subject,
            version="1.0",
            signed_at=noon(DAY),
            signer="patient",
            obtained_by="Dr",
            willing_follow_up=True,
        )
        record.save()
    verify(cast.monitor_a, subject, (CONSENT.code, record.pk), seen(record, CONSENT), all_items=True)
    assert verified(record, CONSENT)
    with acting(SYSTEM, "test"):
        raw("DELETE FROM patients_consent")
    assert verification.verified_items([subject.pk]) == set()


def test_a_record_moved_to_another_visit_is_verified_no_more(cast, record):
    verify_all(cast, record)
    with acting(SYSTEM, "test"):
        raw("UPDATE followup_visit SET event = 'M6' WHERE id = %s", record.pk)
    assert verified(record) == set()


# --- what is kept, and the lock ---


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM review_verification",
        "UPDATE review_verification SET dropped_at = NULL",
        "UPDATE review_verification SET verified_at = now() - interval '1 year'",
        "UPDATE review_verification SET item = 'motor'",
    ],
)
def test_a_verification_cannot_be_removed_revived_or_rewritten(cast, record, sql):
    verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), ["nrs_worst"])
    verification.do_unverify(cast.monitor_a, record.subject, "F.VISIT", record.pk, "nrs_worst", "test")
    with pytest.raises(DatabaseError, match="review"), transaction.atomic(), acting(SYSTEM, "test"):
        raw(sql)


def lock(cast):
    trial.do_freeze(cast.data_manager, "clean")
    trial.do_lock(cast.statistician, "done")


def test_nothing_is_verified_while_the_trial_is_locked(cast, record):
    verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), ["nrs_worst"])
    lock(cast)
    with pytest.raises(verification.TrialLocked):
        verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record))
    with pytest.raises(verification.TrialLocked):
        verification.do_unverify(cast.monitor_a, record.subject, "F.VISIT", record.pk, "nrs_worst", "late")
    fresh = {"subject": record.subject, "spec_code": "F.VISIT", "record_id": record.pk, "event": "M3", "item": "motor"}
    with pytest.raises(DatabaseError, match="trial is locked"), transaction.atomic(), acting(SYSTEM, "past the rules"):
        Verification.objects.create(**fresh, verified_by=cast.monitor_a, verified_at=noon(DAY))


def test_a_frozen_trial_can_still_be_verified(cast, record):
    trial.do_freeze(cast.data_manager, "clean")
    assert verify(cast.monitor_a, record.subject, ("F.VISIT", record.pk), seen(record), ["nrs_worst"]) == 1


def test_the_hash_does_not_depend_on_the_place_of_a_row_and_tells_every_change(cast, record):
    first = seen(record)
    with acting(SYSTEM, "test"):
        VisitAnalgesic.objects.update(position=F("position") + 3)
    assert seen(record) == first
    with acting(SYSTEM, "test"):
        VisitAnalgesic.objects.update(dose=F("dose") + 1)
    second = seen(record)
    with acting(SYSTEM, "test"):
        Visit.objects.update(visit_date=F("visit_date") + timedelta(days=1))
    assert len({first, second, seen(record)}) == 3


def test_every_form_has_a_canonical_content(cast, subject):
    """A type of column that JSON does not know would be found when somebody signs; it is found here."""
    from spinetrial.crf.content import canonical

    for spec in (*all_specs(), DEMOGRAPHICS, PAIN):
        rows = {group.key: [group.model(pk=1, subject=subject)] for group in spec.rows}
        assert canonical(spec, spec.model(pk=1, subject=subject), rows)


def test_every_table_of_a_crf_drops_and_voids_and_what_was_said_is_kept(committed_db, owner_connection):
    """With a planted fault: a table that lost its trigger is found."""
    tables = [spec.model for spec in all_specs()] + [group.model for spec in all_specs() for group in spec.rows]
    kept = [apps.get_model("review", name) for name in KEPT]
    assert len(tables) > 15
    assert tables_without("crf_changed", tables) == []
    assert tables_without("review_kept", kept) == []
    with owner_connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER crf_changed ON followup_visitanalgesic")
        cursor.execute("DROP TRIGGER review_kept ON review_signature")
    assert tables_without("crf_changed", tables) == ["followup_visitanalgesic"]
    assert tables_without("review_kept", kept) == ["review_signature"]
