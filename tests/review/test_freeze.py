"""Freezing a form, a visit or a participant: by the data manager, held by PostgreSQL for every road, until lifted."""

from datetime import date

import psycopg2
import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from followup.crfs import IMAGING
from followup.models import Visit, VisitAnalgesic
from patients.crfs import DEMOGRAPHICS, TUMOUR
from patients.models import Demographics, Subject
from patients.subjects import do_change_contact
from randomization import allocate
from spinetrial.access.models import Membership, TrialState, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import enter
from spinetrial.review import freezes, trial
from spinetrial.review.freezes import AlreadyFrozen, NotFrozen, PartFrozen, do_freeze_part, do_lift
from spinetrial.review.models import Freeze
from tests.adverse_events.helpers import event
from tests.cast import SETUP, make_cast
from tests.crf.test_guard import in_thread, waits_for_a_lock
from tests.followup.helpers import MORPHINE, milestones, noon, registered, treated, visit
from tests.patients.factory import VALUES

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
NO_IMAGING = {"status": "not_done", "not_done_reason": "refused"}
DAY = date(2026, 1, 5)


@pytest.fixture
def saved(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


@pytest.fixture
def followed(cast):
    """A visit with a drug and an imaging form, both of month 3."""
    record = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, rows=[MORPHINE], analgesics="some")
    with at(noon(DAY)):
        enter(IMAGING, record.subject, cast.coordinator_a, NO_IMAGING, event="M3")
    return record


def form_of(record, code="P.DM", event="BL"):
    return {"spec_code": code, "record_id": record.pk, "event": event}


def by_sql(statement, *parameters):
    with transaction.atomic(), acting(SETUP, "by another way"), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def correct(record, actor, **values):
    return enter(DEMOGRAPHICS, record.subject, actor, {**ANSWERS, **values},
                 record=Demographics.objects.get(pk=record.pk), reason="correction")  # fmt: skip


# --- what a freeze covers ---


@pytest.mark.parametrize("part", ["form", "event", "subject"])
def test_frozen_data_cannot_change(cast, saved, part):
    parts = {"form": form_of(saved), "event": {"event": "BL"}, "subject": {}}
    do_freeze_part(cast.data_manager, saved.subject, "clean", **parts[part])
    with pytest.raises(PartFrozen):
        correct(saved, cast.coordinator_a, sex="male")
    assert Demographics.objects.get().sex == "female"


def test_a_frozen_form_leaves_the_others_open(cast, saved):
    do_freeze_part(cast.data_manager, saved.subject, "clean", **form_of(saved))
    enter(TUMOUR, saved.subject, cast.coordinator_a, VALUES["P.TUMOUR"])
    other = enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)
    correct(other, cast.coordinator_a, sex="male")


def test_a_frozen_visit_takes_no_form_that_is_not_entered_yet(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    do_freeze_part(cast.data_manager, subject, "nothing more will come", event="M3")
    with pytest.raises(PartFrozen):
        visit(subject, cast.coordinator_a, "M3")
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))


def test_a_frozen_participant_takes_no_adverse_event_and_no_allocation(cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    milestones(subject, consent_date=date(2025, 8, 1), eligible_on=date(2025, 8, 2))
    do_freeze_part(cast.data_manager, subject, "clean")
    with pytest.raises(PartFrozen):
        event(subject, cast.coordinator_a)
    with pytest.raises(PartFrozen):
        allocate.do_randomize(User.objects.get(pk=cast.coordinator_a.pk), subject)
    with pytest.raises(DatabaseError, match="data are frozen"):
        by_sql("UPDATE patients_milestones SET randomized_on = '2025-09-01' WHERE subject_id = %s", subject.pk)


def test_a_frozen_participant_can_still_be_reached(cast, saved):
    do_freeze_part(cast.data_manager, saved.subject, "clean")
    do_change_contact(cast.coordinator_a, saved.subject, {"name": "New Name"}, "married")


# --- every road ---


@pytest.mark.parametrize("part", ["form", "event", "subject"])
@pytest.mark.parametrize(
    "write",
    [
        lambda record: Visit.objects.filter(pk=record.pk).update(nrs_worst=9),
        lambda record: connection.cursor().execute("DELETE FROM followup_visit"),
        lambda record: Visit.objects.bulk_update([record], ["nrs_worst"]),
        lambda record: VisitAnalgesic.objects.filter(parent=record).update(times=9),
        lambda record: VisitAnalgesic.objects.filter(parent=record).delete(),
        lambda record: VisitAnalgesic.objects.bulk_create(
            [VisitAnalgesic(subject=record.subject, parent=record, position=3, **MORPHINE)]
        ),
        lambda record: connection.cursor().execute("UPDATE followup_visit SET nrs_worst = 9"),
        lambda record: connection.cursor().execute("UPDATE followup_visitanalgesic SET times = 9"),
    ],
    ids=["update", "delete", "bulk update", "rows", "rows deleted", "rows created", "raw", "raw rows"],
)
def test_no_way_leads_around_a_freeze(cast, followed, write, part):
    parts = {"form": form_of(followed, "F.VISIT", "M3"), "event": {"event": "M3"}, "subject": {}}
    do_freeze_part(cast.data_manager, followed.subject, "clean", **parts[part])
    refused = pytest.raises(DatabaseError, match="data are frozen")
    with refused as refusal, transaction.atomic(), acting(cast.coordinator_a, "by another way"):
        write(followed)
    assert isinstance(refusal.value.__cause__, psycopg2.errors.ObjectNotInPrerequisiteState)
    assert Visit.objects.get().nrs_worst == 3
    assert VisitAnalgesic.objects.get().times == 2


def test_a_record_cannot_be_moved_out_of_a_frozen_participant_nor_into_one(cast, saved):
    other = registered(cast.coordinator_a, cast.site_a)
    do_freeze_part(cast.data_manager, saved.subject, "clean")
    with pytest.raises(DatabaseError, match="data are frozen"):
        by_sql("UPDATE patients_demographics SET subject_id = %s", other.pk)
    do_lift(cast.data_manager, Freeze.objects.get(), "test")
    do_freeze_part(cast.data_manager, other, "clean")
    with pytest.raises(DatabaseError, match="data are frozen"):
        by_sql("UPDATE patients_demographics SET subject_id = %s", other.pk)


def test_every_clinical_table_of_a_participant_holds_the_trigger(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'review_frozen' AND tgenabled='O'"
        )
        found = {row[0] for row in cursor.fetchall()}
    for spec in all_specs():
        assert {model._meta.db_table for model in (spec.model, *(group.model for group in spec.rows))} <= found
    assert {"patients_subject", "patients_milestones", "randomization_allocation"} <= found
    assert "patients_contact" not in found


def test_it_is_the_trigger_that_refuses(committed_db, owner_connection):
    """Planted: without it the application role changes the row."""
    cast = make_cast()
    record = enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)
    do_freeze_part(cast.data_manager, record.subject, "clean", **form_of(record))
    with owner_connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER review_frozen ON patients_demographics")
    by_sql("UPDATE patients_demographics SET height_cm = 170")
    assert Demographics.objects.get().height_cm == 170


def test_a_freeze_waits_for_a_running_save_and_a_later_save_sees_the_freeze(committed_db):
    cast = make_cast()
    subject = registered(cast.coordinator_a, cast.site_a)
    manager = User.objects.get(pk=cast.data_manager.pk)
    with acting(cast.coordinator_a, "slow save"):
        Demographics(subject=subject, **ANSWERS).save()
        thread, answer = in_thread(lambda: do_freeze_part(manager, Subject.objects.get(pk=subject.pk), "clean"))
        assert waits_for_a_lock(committed_db)
        Demographics.objects.update(height_cm=161)  # the running save goes on writing
    thread.join(timeout=30)
    assert isinstance(answer[0], Freeze)
    with pytest.raises(PartFrozen):
        correct(Demographics.objects.get(), cast.coordinator_a, sex="male")


# --- who, and back ---


def test_only_the_data_manager_freezes_and_lifts(cast, saved):
    for name, person in cast.everyone().items():
        if name != "data_manager":
            with pytest.raises(PermissionDenied):
                do_freeze_part(person, saved.subject, "mine")
    freeze = do_freeze_part(cast.data_manager, saved.subject, "clean")
    for name, person in cast.everyone().items():
        if name != "data_manager":
            with pytest.raises(PermissionDenied):
                do_lift(person, freeze, "mine")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_freeze_and_its_end_need_a_reason(cast, saved, reason):
    with pytest.raises(DatabaseError), transaction.atomic():
        do_freeze_part(cast.data_manager, saved.subject, reason)
    freeze = do_freeze_part(cast.data_manager, saved.subject, "clean")
    with pytest.raises(DatabaseError, match="needs a reason"), transaction.atomic():
        do_lift(cast.data_manager, freeze, reason)
    assert Freeze.objects.get().lifted_at is None


def test_a_lifted_freeze_opens_the_data_and_stays_on_the_trail(cast, saved):
    freeze = do_freeze_part(cast.data_manager, saved.subject, "clean", **form_of(saved))
    do_lift(cast.data_manager, freeze, "a late document")
    correct(saved, cast.coordinator_a, sex="male")
    entries = AuditEntry.objects.filter(table_name="review_freeze").order_by("id")
    assert [(entry.act, entry.reason, entry.subject_id) for entry in entries] == [
        ("insert", "clean", saved.subject_id),
        ("update", "a late document", saved.subject_id),
    ]
    with pytest.raises(NotFrozen):
        do_lift(cast.data_manager, freeze, "again")


def test_freezing_twice_is_one_freeze(cast, saved):
    for part in (form_of(saved), {"event": "BL"}, {}):
        do_freeze_part(cast.data_manager, saved.subject, "clean", **part)
        with pytest.raises(AlreadyFrozen):
            do_freeze_part(cast.data_manager, saved.subject, "clean", **part)
    assert freezes.live_freezes(saved.subject).count() == 3


# --- screens ---


def signed_in(client, person):
    client.force_login(User.objects.get(pk=person.pk))
    return client


def test_freeze_and_lift_on_the_screen(client, cast, saved):
    code = saved.subject.code
    signed_in(client, cast.data_manager)
    addresses = [
        reverse("freeze_subject", args=[code]),
        reverse("freeze_event", args=[code, "BL"]),
        reverse("freeze_form", args=[code, "P.DM", saved.pk]),
    ]
    for address in addresses:
        assert client.get(address).status_code == 200
        assert client.post(address, {"reason": ""}).status_code == 422
        assert client.post(address, {"reason": "x" * 501}).status_code == 422
        assert client.post(address, {"reason": "a\0b"}).status_code == 422
        assert client.post(address, {"reason": "clean 🙂"}).status_code == 302
        assert client.post(address, {"reason": "twice"}).status_code == 302
    assert Freeze.objects.filter(lifted_at=None).count() == 3
    page = client.get(reverse("subject", args=[code])).content.decode()
    assert "clean 🙂" in page
    for freeze in Freeze.objects.all():
        address = reverse("freeze_lift", args=[freeze.pk])
        assert address in page
        assert client.get(address).status_code == 200
        assert client.post(address, {"reason": " "}).status_code == 422
        assert client.post(address, {"reason": "done"}).status_code == 302
        assert client.post(address, {"reason": "twice"}).status_code == 302
    assert not Freeze.objects.filter(lifted_at=None).exists()


def test_odd_addresses(client, cast, saved):
    signed_in(client, cast.data_manager)
    code = saved.subject.code
    for address in (f"/subjects/{code}/freeze/RAND/", f"/subjects/{code}/freeze/M4/", f"/subjects/{code}/freeze/%00/",
                    f"/subjects/{code}/P.DM/{saved.pk + 999}/freeze/", f"/subjects/{code}/P.NO/{saved.pk}/freeze/",
                    "/subjects/NOBODY/freeze/", "/freezes/999999/lift/",
                    "/freezes/99999999999999999999999/lift/"):  # fmt: skip
        assert client.get(address).status_code == 404, address


@pytest.mark.parametrize("name", ["coordinator_a", "investigator_a", "monitor_a", "statistician", "administrator"])
def test_others_are_refused(client, cast, saved, name):
    freeze = do_freeze_part(cast.data_manager, saved.subject, "clean", event="BL")
    signed_in(client, getattr(cast, name))
    assert client.post(reverse("freeze_subject", args=[saved.subject.code]), {"reason": "x"}).status_code == 403
    assert client.post(reverse("freeze_lift", args=[freeze.pk]), {"reason": "x"}).status_code == 403


def test_a_save_of_a_frozen_form_is_refused_in_words(client, cast, saved):
    do_freeze_part(cast.data_manager, saved.subject, "clean", **form_of(saved))
    signed_in(client, cast.coordinator_a)
    code = saved.subject.code
    page = client.get(reverse("crf", args=[code, "P.DM", "form"]))
    assert page.context["crf"]["state"] == "frozen"
    assert page.context["crf"]["edit_url"] == ""
    posted = {**ANSWERS, "sex": "male", "form_reason": "typing", "seen_version": "1"}
    answer = client.post(reverse("crf_edit", args=[code, "P.DM", "form"]), posted)
    assert answer.status_code == 422
    assert "has frozen this form" in answer.content.decode()


def test_a_masked_reader_is_not_told_of_a_frozen_form_that_reveals_the_arm(client, cast):
    from radiotherapy.crfs import COURSE

    subject = treated(cast.coordinator_a, cast.site_a)
    course = enter(COURSE, subject, cast.coordinator_a,
                   {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"})  # fmt: skip
    do_freeze_part(cast.data_manager, subject, "sectors checked", **form_of(course, "R.RT", "RT"))
    for name, seen in (("monitor_a", True), ("assessor_a", False), ("statistician", False)):
        page = signed_in(client, getattr(cast, name)).get(reverse("subject", args=[subject.code])).content.decode()
        assert ("sectors checked" in page) is seen, name


def test_nobody_is_asked_to_enter_a_frozen_visit(client, cast):
    subject = treated(cast.coordinator_a, cast.site_a)

    def asked():
        groups = signed_in(client, cast.coordinator_a).get(reverse("worklist")).context["groups"]
        return [task["what"] for group in groups for task in group["items"] if task["subject_code"] == subject.code]

    with at(noon(DAY)):
        assert any("Month 3" in what for what in asked())
        do_freeze_part(cast.data_manager, subject, "nothing more will come", event="M3")
        assert not any("Month 3" in what for what in asked())


# --- the lock of the trial: two people, held by the database ---


def state(goal, person, *, actor=None):
    with transaction.atomic(), acting(actor or person, "by another way"), connection.cursor() as cursor:
        cursor.execute("UPDATE access_trialstate SET state = %s, changed_by_id = %s", [goal, person.pk])


def test_the_database_refuses_a_lock_or_unlock_by_the_person_of_the_step_before(cast):
    one, other = cast.data_manager, cast.statistician
    state("frozen", one)
    with pytest.raises(DatabaseError, match="another person"):
        state("locked", one)
    state("locked", other)
    with pytest.raises(DatabaseError, match="another person"):
        state("frozen", other)
    state("frozen", one)
    assert TrialState.current().state == "frozen"


def test_nobody_takes_a_step_in_the_name_of_another(cast):
    one, other = cast.data_manager, cast.statistician
    with pytest.raises(DatabaseError, match="named after the person"):
        state("frozen", other, actor=one)
    state("frozen", one)
    with pytest.raises(DatabaseError, match="named after the person"):
        state("locked", other, actor=one)
    with pytest.raises(DatabaseError, match="named after the person"):
        state("frozen", other)  # the same state under another name, to lock alone afterwards


def test_the_database_knows_no_way_from_open_to_locked(cast):
    with pytest.raises(DatabaseError, match="frozen"):
        state("locked", cast.statistician)
    state("frozen", cast.data_manager)
    state("locked", cast.statistician)
    with pytest.raises(DatabaseError, match="frozen"):
        state("open", cast.data_manager)


def test_one_person_with_both_roles_cannot_lock_alone(client, cast):
    with acting(SETUP, "test"):
        for role in (Role.DATA_MANAGER, Role.STATISTICIAN):
            Membership(user=cast.outsider, role=role, starts="2020-01-01").save()
    both = User.objects.get(pk=cast.outsider.pk)
    trial.do_freeze(both, "ready")
    with pytest.raises(trial.SamePerson):
        trial.do_lock(both, "alone")
    assert TrialState.current().state == "frozen"
