"""The one way a CRF is written: rights, freeze, versions, reasons, the trail, and queries of edit checks."""

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import translation
from django.utils.translation import trans_real

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.forms import crf_form, form_data
from spinetrial.crf.save import Conflict, EntryRefused, ReasonMissing, enter, save_record
from spinetrial.review import trial
from spinetrial.review.models import Query
from tests.followup.helpers import DONE, MORPHINE, noon, registered, treated

TODAY = date(2026, 3, 2)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
COURSE_ANSWERS = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


@pytest.fixture
def saved(cast, subject):
    return enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)


def change(record, actor, reason="wrong in the file", spec=DEMOGRAPHICS, answers=ANSWERS, seen=None, **changes):
    """Save a changed record as a screen that was opened when the row version was `seen`."""
    record = type(record).objects.get(pk=record.pk)
    data = form_data(spec, {**answers, **changes}) | {"seen_version": str(seen or record.row_version)}
    form = crf_form(spec, record.subject, record=record, data=data)
    assert form.is_valid(), form.all_errors()
    return save_record(form, actor, reason)


def trail(table="patients_demographics"):
    return list(AuditEntry.objects.filter(table_name=table).order_by("id"))


# --- rights ---


@pytest.mark.parametrize(
    "name", ["assessor_a", "monitor_a", "coordinator_b", "data_manager", "statistician", "custodian",
             "administrator", "outsider"],
)  # fmt: skip
def test_who_may_not_enter_is_refused(cast, subject, name):
    with pytest.raises(PermissionDenied):
        enter(DEMOGRAPHICS, subject, getattr(cast, name), ANSWERS)
    assert not Demographics.objects.exists()


def test_each_form_asks_for_its_own_right(cast):
    """An assessor reads images and enters nothing else."""
    from followup.crfs import IMAGING

    followed = treated(cast.coordinator_a, cast.site_a)
    values = {"status": "not_done", "not_done_reason": "refused"}
    assert enter(IMAGING, followed, cast.assessor_a, values, event="M3").pk
    with pytest.raises(PermissionDenied):
        enter(VISIT, followed, cast.assessor_a, DONE, event="M3")


def test_a_form_that_reveals_the_arm_is_closed_to_the_masked(cast, monkeypatch):
    from spinetrial.access import policy

    followed = treated(cast.coordinator_a, cast.site_a)
    assert COURSE.reveals_arm
    monkeypatch.setitem(policy.POLICY, "crf.enter", policy.POLICY["crf.enter"] | {policy.Role.ASSESSOR})
    with pytest.raises(PermissionDenied):
        enter(COURSE, followed, User.objects.get(pk=cast.assessor_a.pk), COURSE_ANSWERS)
    assert not Course.objects.exists()
    assert enter(COURSE, followed, cast.coordinator_a, COURSE_ANSWERS).pk


# --- freeze ---


def test_a_frozen_trial_takes_no_entry_and_an_open_one_does_again(cast, subject, saved):
    trial.do_freeze(cast.data_manager, "cleaning")
    with pytest.raises(trial.EntryClosed):
        change(saved, cast.coordinator_a, height_cm=170)
    saved.refresh_from_db()
    assert saved.height_cm == 160
    trial.do_unfreeze(cast.data_manager, "one value to correct")
    assert change(saved, cast.coordinator_a, height_cm=170).height_cm == 170


# --- versions and reasons ---


def test_the_row_version_grows_with_every_save(cast, saved):
    assert saved.row_version == 1
    assert change(saved, cast.coordinator_a, height_cm=161).row_version == 2
    assert change(saved, cast.coordinator_a, height_cm=162).row_version == 3


@pytest.mark.parametrize("seen", ["1", "3", "", "x", "-1"])
def test_a_screen_that_is_behind_cannot_overwrite(cast, saved, seen):
    change(saved, cast.coordinator_a, height_cm=161)
    record = Demographics.objects.get()
    data = form_data(DEMOGRAPHICS, {**ANSWERS, "height_cm": 199}) | {"seen_version": seen}
    form = crf_form(DEMOGRAPHICS, record.subject, record=record, data=data)
    if form.is_valid():
        with pytest.raises(Conflict):
            save_record(form, cast.investigator_a, "late")
    assert Demographics.objects.get().height_cm == 161


def test_a_second_first_entry_cannot_overwrite(cast, subject):
    """Both opened the empty form; the second was checked before the first was saved."""
    late = crf_form(DEMOGRAPHICS, subject, data=form_data(DEMOGRAPHICS, ANSWERS))
    assert late.is_valid()
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**ANSWERS, "height_cm": 150})
    with pytest.raises(Conflict):
        save_record(late, cast.investigator_a)
    assert Demographics.objects.get().height_cm == 150


def test_a_check_that_another_save_broke_meanwhile_stops_the_save(cast):
    """The death was entered between the check of the form and its save."""
    from tests.followup.helpers import milestones

    followed = treated(cast.coordinator_a, cast.site_a)
    form = crf_form(VISIT, followed, event="M3", data=form_data(VISIT, DONE))
    assert form.is_valid()
    milestones(followed, death_date=date(2025, 11, 1))
    with pytest.raises(Conflict):
        save_record(form, cast.coordinator_a)
    assert not Visit.objects.exists()


@pytest.mark.parametrize("reason", ["", "   ", "\n\t"])
def test_a_change_needs_a_reason(cast, saved, reason):
    with pytest.raises(ReasonMissing):
        change(saved, cast.coordinator_a, reason, height_cm=170)
    assert len(trail()) == 1


def test_a_save_without_change_writes_nothing(cast, saved):
    before = AuditEntry.objects.count()
    assert change(saved, cast.coordinator_a).row_version == 1
    assert AuditEntry.objects.count() == before


def test_a_save_without_change_of_rows_writes_nothing(cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    answers = {**DONE, "analgesics": "some"}
    record = enter(VISIT, followed, cast.coordinator_a, answers, {"analgesics_taken": [MORPHINE]}, event="M3")
    before = AuditEntry.objects.count()
    rows = [{**MORPHINE, "id": VisitAnalgesic.objects.get().pk}]
    enter(VISIT, followed, cast.coordinator_a, answers, {"analgesics_taken": rows},
          record=Visit.objects.get(pk=record.pk), reason="looked again")  # fmt: skip
    assert AuditEntry.objects.count() == before
    assert Visit.objects.get().row_version == 1


def test_values_that_do_not_pass_are_told_by_field(cast, subject):
    with pytest.raises(EntryRefused) as refusal:
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**ANSWERS, "height_cm": 500, "sex": "?"})
    assert set(refusal.value.errors) == {"height_cm", "sex"}
    assert not Demographics.objects.exists()


# --- the trail ---


def test_the_trail_of_an_entry_and_a_change(cast, saved):
    change(saved, cast.investigator_a, "measured again", height_cm=163)
    first, second = trail()
    assert (first.act, first.actor_id, first.subject_id) == ("insert", cast.coordinator_a.pk, saved.subject_id)
    assert first.changes["height_cm"] == [None, 160]
    assert (second.act, second.actor_id, second.reason) == ("update", cast.investigator_a.pk, "measured again")
    assert second.changes == {"height_cm": [160, 163], "row_version": [1, 2]}


def test_the_trail_of_rows(cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    answers = {**DONE, "analgesics": "some"}
    record = enter(VISIT, followed, cast.coordinator_a, answers, {"analgesics_taken": [MORPHINE, MORPHINE]}, event="M3")
    first, second = VisitAnalgesic.objects.order_by("position")
    rows = [{**MORPHINE, "id": first.pk, "dose": "60"}, {**MORPHINE, "id": second.pk, "DELETE": "on"}]
    enter(VISIT, followed, cast.coordinator_a, answers, {"analgesics_taken": rows},
          record=Visit.objects.get(pk=record.pk), reason="source says so")  # fmt: skip
    acts = {(entry.act, entry.row_id): entry for entry in trail("followup_visitanalgesic")}
    assert set(acts) == {("insert", str(first.pk)), ("insert", str(second.pk)),
                         ("update", str(first.pk)), ("delete", str(second.pk))}  # fmt: skip
    assert acts["update", str(first.pk)].changes == {"dose": [30.0, 60.0]}
    assert acts["delete", str(second.pk)].changes["drug"] == ["MORPHINE_PO", None]
    assert {entry.reason for key, entry in acts.items() if key[0] != "insert"} == {"source says so"}
    # A change of the rows alone is a change of the form: another open screen must notice it.
    assert Visit.objects.get().row_version == 2


def test_a_form_that_reveals_the_arm_marks_its_entries(cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    enter(COURSE, followed, cast.coordinator_a, COURSE_ANSWERS)
    assert all(entry.reveals_arm for entry in trail("radiotherapy_course"))
    assert not any(entry.reveals_arm for entry in AuditEntry.objects.filter(table_name="patients_milestones"))


# --- queries of edit checks ---

UNLIKELY = {**ANSWERS, "birth_date": date(1905, 1, 1)}
QUESTION = "The patient would be about 110 years old or older. Is the date of birth right?"


def test_a_failed_check_opens_one_query_and_a_satisfied_one_closes_it(cast, subject):
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, UNLIKELY)
    query = Query.objects.get()
    assert (query.subject, query.spec_code, query.record_id, query.event) == (subject, "P.DM", record.pk, "BL")
    assert (query.item, query.check_code, query.state, query.opened_by) == ("birth_date", "age_unlikely", "open", None)
    change(record, cast.coordinator_a, answers=UNLIKELY, height_cm=165)
    assert Query.objects.count() == 1
    change(record, cast.coordinator_a, birth_date=date(1965, 1, 1))
    query.refresh_from_db()
    assert (query.state, query.closed_at) == ("closed", noon(TODAY))
    change(record, cast.coordinator_a, answers=UNLIKELY)
    assert sorted(Query.objects.values_list("state", flat=True)) == ["closed", "open"]


def test_a_query_of_a_person_is_not_closed_by_a_check(cast, subject, saved):
    from spinetrial.review.queries import raise_query

    query = raise_query(cast.monitor_a, subject=subject, site_id=subject.site_id, spec_code="P.DM",
                        record_id=saved.pk, event="BL", item="height_cm", text="Really?")  # fmt: skip
    change(saved, cast.coordinator_a, height_cm=170)
    query.refresh_from_db()
    assert query.state == "open"


def test_the_question_is_stored_in_english_whoever_saves(cast, subject, monkeypatch):
    """Shown in the reader's language later, so it must not be stored in the writer's."""
    catalog = trans_real.translation("zh-hans")._catalog._catalogs[0]
    monkeypatch.setitem(catalog, QUESTION, "这个出生日期对吗？")
    with translation.override("zh-hans"):
        assert translation.gettext(QUESTION) == "这个出生日期对吗？"
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, UNLIKELY)
    assert Query.objects.get().text == QUESTION


def test_queries_are_written_by_the_program_not_by_the_person(cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, UNLIKELY)
    entry = AuditEntry.objects.get(table_name="review_query")
    assert (entry.actor_id, entry.actor) == (None, "system: rules")
