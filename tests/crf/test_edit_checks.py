"""Edit checks: must-explain, note, query per match, and checks that the saving of another form runs again."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from adverse_events.crfs import ADVERSE_EVENT
from followup.crfs import VISIT
from followup.models import Visit
from patients.crfs import CONSENT, DEMOGRAPHICS, PAIN, SITES, STATUS, TUMOUR
from patients.milestones import SET_BY, setters
from patients.models import Demographics, Status
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course, Fraction
from radiotherapy.record_fraction import do_record_fraction
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf import checks
from spinetrial.crf.forms import crf_form, explanation_name, form_data
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import Conflict, EntryRefused, enter, save_record
from spinetrial.crf.spec import EditCheck, Level, check_spec
from spinetrial.review.models import Explanation, Query
from tests.adverse_events.helpers import EVENT, MYELITIS
from tests.cast import SETUP
from tests.followup.helpers import DONE, noon, registered, treated, visit
from tests.patients.factory import ROWS, VALUES

TODAY = date(2026, 3, 2)
STATUS_VALUES = {**VALUES["P.STATUS"], "assessed_on": date(2025, 8, 20)}
CHECK = "pulse_unlikely"
FAST = {**STATUS_VALUES, "pulse": 170}
WHY = "atrial fibrillation, seen by the cardiologist"


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


@pytest.fixture
def followed(cast):
    return treated(cast.coordinator_a, cast.site_a)


def stored(model):
    return model.objects.get()


def explanations():
    """Text, and whether it is in force, in the order they were given."""
    return [(row.text, row.ended_at is None) for row in Explanation.objects.order_by("id")]


def queries(subject, state="open"):
    rows = Query.objects.filter(subject=subject, state=state).order_by("spec_code", "event", "check_code", "match")
    return [(row.spec_code, row.event, row.check_code, row.match) for row in rows]


def change(cast, spec, model, values, rows=None, **more):
    record = model.objects.get()
    return enter(spec, record.subject, cast.coordinator_a, values, rows, record=record, reason="correction", **more)


def url(subject, spec, key="form", *, edit=True):
    return reverse("crf_edit" if edit else "crf", args=[subject.code, spec.code, key])


def post(client, subject, spec, values, rows=None, key="form", seen=0, reason="", **more):
    data = {**form_data(spec, values, rows), "seen_version": str(seen), "form_reason": reason, "save": "1", **more}
    return client.post(url(subject, spec, key), data)


# --- must explain ---


def test_a_failed_must_explain_check_without_a_text_comes_back_and_saves_nothing(client, cast, subject):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, {**FAST, "weight_kg": "71.5"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert not Status.objects.exists()
    assert not Explanation.objects.exists()
    assert "This is far from what is usual." in page
    assert f'name="{explanation_name(CHECK)}"' in page
    assert answer.context["form"]["weight_kg"].value() == "71.5"


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\0"])
def test_a_blank_explanation_is_none(client, cast, subject, blank):
    client.force_login(cast.coordinator_a)
    assert post(client, subject, STATUS, FAST, **{explanation_name(CHECK): blank}).status_code == 422
    assert not Status.objects.exists()


def test_a_failed_must_explain_check_is_saved_with_its_reason(client, cast, subject):
    client.force_login(cast.coordinator_a)
    assert post(client, subject, STATUS, FAST, **{explanation_name(CHECK): f"  {WHY} "}).status_code == 302
    explanation = stored(Explanation)
    record = stored(Status)
    assert (explanation.spec_code, explanation.record_id, explanation.check_code) == ("P.STATUS", record.pk, CHECK)
    assert (explanation.item, explanation.text, explanation.by) == ("pulse", WHY, cast.coordinator_a)
    assert explanation.at == noon(TODAY)
    assert queries(subject) == []
    entry = AuditEntry.objects.get(table_name=Explanation._meta.db_table)
    assert WHY in str(entry.changes)
    assert entry.actor_id == cast.coordinator_a.pk


def test_the_explanation_is_shown_at_the_field_and_prefilled_on_the_next_edit(client, cast, subject):
    enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY})
    client.force_login(cast.monitor_a)
    seen = client.get(url(subject, STATUS, edit=False))
    assert WHY in seen.content.decode()
    [field] = [f for s in seen.context["crf"]["sections"] for f in s["fields"] if f["explanations"]]
    assert field["item"].name == "pulse"
    assert field["explanations"][0]["by"] == str(cast.coordinator_a)
    client.force_login(cast.coordinator_a)
    form = client.get(url(subject, STATUS))
    [message] = [m for m in form.context["crf"]["messages"] if m["level"] == "explain"]
    assert (message["input_name"], message["input_value"]) == (explanation_name(CHECK), WHY)


def test_the_explanation_ends_when_the_check_holds_again(cast, subject):
    enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY})
    change(cast, STATUS, Status, STATUS_VALUES)
    assert explanations() == [(WHY, False)]
    assert stored(Explanation).ended_at == noon(TODAY)


def test_a_changed_text_ends_the_old_explanation_and_makes_a_new_one(cast, subject):
    enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY})
    record = change(cast, STATUS, Status, FAST, explanations={CHECK: "fever"})
    assert explanations() == [(WHY, False), ("fever", True)]
    assert record.row_version == 2  # whoever had the form open sees that it changed


def test_an_explanation_in_force_serves_until_it_is_taken_away(cast, subject):
    """An import that changes another answer does not repeat it; a screen that blanks it is asked again."""
    enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY})
    change(cast, STATUS, Status, {**FAST, "weight_kg": 70})
    assert explanations() == [(WHY, True)]
    with pytest.raises(EntryRefused):
        change(cast, STATUS, Status, {**FAST, "weight_kg": 71}, explanations={CHECK: ""})
    assert explanations() == [(WHY, True)]


def test_saving_the_same_answers_and_the_same_explanation_changes_nothing(cast, subject):
    enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY})
    before = AuditEntry.objects.count()
    assert change(cast, STATUS, Status, FAST, explanations={CHECK: WHY}).row_version == 1
    assert AuditEntry.objects.count() == before


def test_imports_and_the_simulation_give_explanations_too_and_are_refused_without(cast, subject):
    with pytest.raises(EntryRefused) as refusal:
        enter(STATUS, subject, cast.coordinator_a, FAST)
    assert "pulse" in refusal.value.errors
    with pytest.raises(EntryRefused):
        enter(STATUS, subject, cast.coordinator_a, FAST, explanations={"another_check": WHY})
    assert enter(STATUS, subject, cast.coordinator_a, FAST, explanations={CHECK: WHY}).pk


def test_each_match_of_a_must_explain_check_has_its_own_explanation(cast, followed):
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    target = {"gtv1": True, "ctv1": True, "structure": "cord", "structure_dmax_gy": 40}
    rows = {"targets": [{**target, "level": "T8"}, {**target, "level": "T9"}]}
    one = {"structure_over_limit-T8": "accepted"}
    with pytest.raises(EntryRefused) as refusal:
        enter(COURSE, followed, cast.coordinator_a, plan, rows, explanations=one)
    assert "(T9)" in str(refusal.value.errors)
    assert "(T8)" not in str(refusal.value.errors)
    enter(COURSE, followed, cast.coordinator_a, plan, rows, explanations={**one, "structure_over_limit-T9": "too"})
    assert dict(Explanation.objects.values_list("match", "text")) == {"T8": "accepted", "T9": "too"}


def test_an_explanation_of_rows_is_shown_at_the_rows_and_on_the_page_of_the_course(client, cast, followed):
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    target = {"level": "T8", "gtv1": True, "ctv1": True, "structure": "cord", "structure_dmax_gy": 40}
    why = {"structure_over_limit": "accepted by the physicist"}
    enter(COURSE, followed, cast.coordinator_a, plan, {"targets": [target]}, explanations=why)
    do_record_fraction(cast.coordinator_a, followed, 1, date(2025, 9, 8))  # the one click keeps it
    assert explanations() == [("accepted by the physicist", True)]
    client.force_login(cast.coordinator_a)
    form = client.get(reverse("radiotherapy_edit", args=[followed.code]))
    assert [group["id"] for group in form.context["crf"]["rows"] if group["explanations"]] == ["rows-targets"]
    assert "accepted by the physicist" in client.get(reverse("radiotherapy", args=[followed.code])).content.decode()


@pytest.mark.parametrize("text", ["x" * 10_000, "x" * 1001])
def test_a_text_that_is_too_long_comes_back_whole(client, cast, subject, text):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, FAST, **{explanation_name(CHECK): text})
    assert answer.status_code == 422
    assert "longer than 1000 characters" in answer.content.decode()
    assert text in answer.content.decode()
    assert not Status.objects.exists()


@pytest.mark.parametrize("text", ["心房颤动 😀", "a\0b", "<script>alert(1)</script>", "x" * 1000])
def test_odd_texts_are_stored_as_they_are_but_for_a_nul(client, cast, subject, text):
    client.force_login(cast.coordinator_a)
    assert post(client, subject, STATUS, FAST, **{explanation_name(CHECK): text}).status_code == 302
    assert stored(Explanation).text == text.replace("\0", "")
    assert "<script>alert" not in client.get(url(subject, STATUS, edit=False)).content.decode()


def test_an_explanation_typed_into_a_form_refused_for_another_reason_is_kept(client, cast, subject):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, {**FAST, "weight_kg": "much"}, **{explanation_name(CHECK): WHY})
    assert answer.status_code == 422
    assert [m["input_value"] for m in answer.context["crf"]["messages"]] == [WHY]


@pytest.mark.parametrize("rest", ["", "no_such_check", f"{CHECK}-", f"{CHECK}-{'x' * 61}"])
def test_inputs_nobody_asked_for_are_ignored(client, cast, subject, rest):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, {**FAST, "weight_kg": "much"}, **{f"explain-{rest}": "hello there"})
    assert answer.status_code == 422
    assert "hello there" not in answer.content.decode()


def test_a_check_that_begins_to_fail_between_validation_and_lock_is_a_conflict(cast, subject, monkeypatch):
    """Planted: another form of the subject is saved after this one was found valid."""
    failing = []
    late = EditCheck("late", ("pulse",), "text", lambda values: bool(failing), Level.EXPLAIN)
    spec = replace(STATUS, checks=(*STATUS.checks, late))
    form = crf_form(spec, subject, data=form_data(spec, STATUS_VALUES))
    assert form.is_valid()
    failing.append(True)
    with pytest.raises(Conflict):
        save_record(form, cast.coordinator_a)
    assert not Status.objects.exists()


# --- note ---


def test_a_note_is_shown_in_view_and_edit_mode_and_nothing_is_stored(client, cast, subject):
    values = {**VALUES["P.PAIN"], "assessed_on": date(2025, 8, 20), "nrs_worst": 1}
    enter(PAIN, subject, cast.coordinator_a, values, ROWS["P.PAIN"])
    assert not Query.objects.exists()
    assert not Explanation.objects.exists()
    client.force_login(cast.coordinator_a)
    for edit in (False, True):
        page = client.get(url(subject, PAIN, edit=edit))
        assert [m["level"] for m in page.context["crf"]["messages"]] == ["note"]
        assert "Baseline pain 1 or less" in page.content.decode()


def test_a_note_looks_across_visits(cast, followed):
    scores = {"nrs_worst": 4, "nrs_average": 3, "nrs_current": 2}

    def noted(event):
        return [check.code for check, _match in checks.notes(VISIT, Visit.objects.get(event=event))]

    for event, day in (("W2", date(2025, 10, 19)), ("M3", date(2025, 12, 19)), ("M6", date(2026, 3, 2))):
        visit(followed, cast.coordinator_a, event, visit_date=day, **scores)
    assert [noted(event) for event in ("W2", "M3", "M6")] == [[], [], ["scores_never_move"]]


def test_notes_cost_no_query_where_a_form_has_none(cast, subject, django_assert_num_queries):
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, VALUES["P.DM"])
    with django_assert_num_queries(0):
        assert checks.notes(DEMOGRAPHICS, record) == []


# --- one query per match ---


def test_a_query_rule_opens_a_query_per_match_and_closes_each_by_itself(cast, followed):
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    fractions = [
        {"number": n, "date": date(2025, 9, 8) + timedelta(days=n - 1), "given": True, "dose_gy": dose}
        for n, dose in enumerate(("3", "2", "2"), 1)
    ]

    def wrong():
        return [match for spec, _e, code, match in queries(followed) if code == "fraction_other_dose"]

    enter(COURSE, followed, cast.coordinator_a, plan, {"fractions": fractions})
    assert wrong() == ["2", "3"]
    ids = list(Fraction.objects.order_by("number").values_list("pk", flat=True))
    right = [{**row, "id": pk} for row, pk in zip(fractions, ids, strict=True)]
    right[1]["dose_gy"] = "3"
    change(cast, COURSE, Course, plan, {"fractions": right})
    assert wrong() == ["3"]
    assert Query.objects.get(check_code="fraction_other_dose", match="2").state == "closed"


def test_the_match_is_told_with_the_query(client, cast, followed):
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    rows = {"fractions": [{"number": 1, "date": date(2025, 9, 8), "given": True, "dose_gy": "2"}]}
    enter(COURSE, followed, cast.coordinator_a, plan, rows)
    client.force_login(cast.coordinator_a)
    page = client.get(reverse("radiotherapy_edit", args=[followed.code])).content.decode()
    assert "divided by the number of fractions. (1)" in page


# --- checks that other forms run again ---


def test_saving_a_form_that_a_check_reads_runs_the_check_again(cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**VALUES["P.DM"], "sex": "male"})
    enter(TUMOUR, subject, cast.coordinator_a, {**VALUES["P.TUMOUR"], "site": "prostate"})
    assert queries(subject) == []
    change(cast, DEMOGRAPHICS, Demographics, {**VALUES["P.DM"], "sex": "female"})
    assert queries(subject) == [("P.TUMOUR", "BL", "tumour_against_sex", "")]
    change(cast, DEMOGRAPHICS, Demographics, {**VALUES["P.DM"], "sex": "male"})
    assert queries(subject) == []
    assert queries(subject, "closed") == [("P.TUMOUR", "BL", "tumour_against_sex", "")]


def test_a_check_across_two_forms_is_satisfied_from_either_side(cast, subject):
    """Weight on one form, height on the other."""
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**VALUES["P.DM"], "height_cm": 80})
    enter(STATUS, subject, cast.coordinator_a, {**STATUS_VALUES, "weight_kg": 70})
    assert queries(subject) == [("P.STATUS", "BL", "weight_against_height", "")]
    change(cast, DEMOGRAPHICS, Demographics, {**VALUES["P.DM"], "height_cm": 180})
    assert queries(subject) == []


def test_a_check_across_visits_is_run_again_on_the_other_visits(cast, followed):
    """Whichever of two visits in the wrong order is corrected, the queries on both close."""
    visit(followed, cast.coordinator_a, "W2", visit_date=date(2025, 12, 20))
    visit(followed, cast.coordinator_a, "M3", visit_date=date(2025, 12, 10))

    def disordered():
        return [event for _spec, event, code, _match in queries(followed) if code == "visit_out_of_order"]

    assert disordered() == ["M3", "W2"]
    first = Visit.objects.get(event="W2")
    values = {**DONE, "visit_date": date(2025, 10, 19)}
    enter(VISIT, followed, cast.coordinator_a, values, record=first, reason="typed wrongly")
    assert disordered() == []


def test_a_check_on_a_milestone_is_run_again_by_the_form_that_sets_it(cast, followed):
    """The window of a visit follows from the last fraction."""
    visit(followed, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19))
    assert queries(followed) == []
    plan = {"prescribed_gy": 30, "prescribed_fractions": 1, "ending": "as_planned"}
    row = {"number": 1, "date": date(2025, 10, 24), "given": True, "dose_gy": "30"}
    enter(COURSE, followed, cast.coordinator_a, plan, {"fractions": [row]})
    assert ("F.VISIT", "M3", "visit_out_of_window", "") in queries(followed)


def test_only_the_checks_that_read_the_form_are_run_again(cast, subject):
    """Planted: an open query of a check that reads nothing stays, though its rule holds now."""
    record = enter(SITES, subject, cast.coordinator_a, {**VALUES["P.SITES"], "escc": ""}, ROWS["P.SITES"])
    assert [code for _s, _e, code, _m in queries(subject)] == ["escc_missing"]
    with acting(SETUP, "planted"):
        record.escc = "0"
        record.save()
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, VALUES["P.DM"])
    assert [code for _s, _e, code, _m in queries(subject)] == ["escc_missing"]


def test_another_participants_records_are_left_alone(cast, subject):
    other = registered(cast.coordinator_a, cast.site_a)
    for each in (subject, other):
        enter(DEMOGRAPHICS, each, cast.coordinator_a, {**VALUES["P.DM"], "sex": "male"})
        enter(TUMOUR, each, cast.coordinator_a, {**VALUES["P.TUMOUR"], "site": "prostate"})
    record = Demographics.objects.get(subject=subject)
    values = {**VALUES["P.DM"], "sex": "female"}
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, values, record=record, reason="slip")
    assert len(queries(subject)) == 1
    assert queries(other) == []


def test_the_query_of_a_check_run_again_is_raised_by_the_rules(cast, subject):
    """Not by the person who saved the other form, whatever language they read."""
    enter(TUMOUR, subject, cast.coordinator_a, {**VALUES["P.TUMOUR"], "site": "cervix"})
    with translation.override("zh-hans"):
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**VALUES["P.DM"], "sex": "male"})
    query = stored(Query)
    assert query.text == "This primary tumour does not fit the sex of the patient."
    assert query.opened_by is None
    entry = AuditEntry.objects.filter(table_name=Query._meta.db_table).latest("id")
    assert entry.actor == "system: rules"


def test_a_refused_save_runs_nothing_again(cast, subject):
    enter(TUMOUR, subject, cast.coordinator_a, {**VALUES["P.TUMOUR"], "site": "cervix"})
    with pytest.raises(EntryRefused):
        enter(
            DEMOGRAPHICS,
            subject,
            cast.coordinator_a,
            {**VALUES["P.DM"], "sex": "male", "birth_date": TODAY + timedelta(1)},
        )
    assert queries(subject) == []


def test_the_number_of_database_queries_of_a_save_does_not_grow_with_the_visits(cast):
    counts = []
    for visits in (1, 4):
        subject = treated(cast.coordinator_a, cast.site_a)
        days = {"W2": date(2025, 10, 19), "M3": date(2025, 12, 19), "M6": date(2026, 2, 1), "M12": date(2026, 2, 20)}
        for event, day in list(days.items())[:visits]:
            visit(subject, cast.coordinator_a, event, visit_date=day)
        for onset in range(visits):
            enter(ADVERSE_EVENT, subject, cast.coordinator_a, {**EVENT, "onset_date": date(2025, 9, 20 + onset)})
        plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
        row = {"number": 1, "date": date(2025, 9, 8), "given": True, "dose_gy": 3}
        enter(COURSE, subject, cast.coordinator_a, plan, {"fractions": [row]})
        record = Course.objects.get(subject=subject)
        row["id"] = Fraction.objects.get(parent=record).pk
        with CaptureQueriesContext(connection) as captured:
            rows = {"fractions": [{**row, "remark": "machine 2"}]}
            enter(COURSE, subject, cast.coordinator_a, plan, rows, record=record, reason="told later")
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_form_that_no_check_reads_costs_nothing_more(cast, subject, monkeypatch):
    assert not any(read.startswith("P.STATUS") for spec in all_specs() for check in spec.checks for read in check.reads)
    enter(STATUS, subject, cast.coordinator_a, STATUS_VALUES)
    asked = []
    monkeypatch.setattr("spinetrial.crf.checks.of_subject", lambda *args: asked.append(args))
    change(cast, STATUS, Status, {**STATUS_VALUES, "weight_kg": 66})
    assert asked == []


def test_a_changed_answer_that_no_check_reads_costs_nothing_more(cast, followed, monkeypatch):
    """The pain score of a visit; its date is read by the other visits, its death by three forms."""
    visit(followed, cast.coordinator_a, "M3")
    record = Visit.objects.get()
    asked = []
    monkeypatch.setattr("spinetrial.crf.checks.of_subject", lambda *args: asked.append(args))
    enter(VISIT, followed, cast.coordinator_a, {**DONE, "nrs_worst": 7}, record=record, reason="misread")
    assert asked == []


def test_an_answer_blanked_because_it_is_hidden_now_counts_as_changed(cast, followed):
    """A death taken back: the date is still posted, as the browser keeps hidden fields, and is blanked."""
    dead = {"survival": "dead", "death_date": date(2025, 12, 24), "death_cause": "disease"}
    visit(followed, cast.coordinator_a, "M3", on=date(2025, 12, 30), **dead)
    fatal = {"grade": 5, "sae_death": True, "outcome": "fatal", "end_date": date(2025, 12, 23), "aware_at": noon(TODAY)}
    more = {"ctcae_code": MYELITIS, "unexpected": False}
    values = {**EVENT, **fatal, **more, "end_date": date(2025, 12, 24)}
    explained = {"ae_expectedness_differs": "known of this dose"}
    enter(ADVERSE_EVENT, followed, cast.coordinator_a, values, explanations=explained)
    assert queries(followed) == []
    values = {**DONE, **dead, "survival": "alive"}
    enter(VISIT, followed, cast.coordinator_a, values, record=Visit.objects.get(), reason="alive after all")
    assert Visit.objects.get().death_date is None
    assert queries(followed) == [("A.AE", "ANY", "ae_fatal_death_date", "")]


# --- declarations ---


def test_reads_of_an_unknown_form_is_a_start_up_error():
    known, faults = ("P.DM", "P.DM:sex", "P.SITES:sites"), ("P.NONE", "P.DM:nothing", "P.DM:", "sex", "")
    for read in (*known, *faults):
        planted = EditCheck("planted", ("sex",), "text", lambda values: False, reads=(read,))
        messages = check_spec(replace(DEMOGRAPHICS, checks=(planted,)), all_specs())
        assert [message.id for message in messages] == (["crf.E006"] if read in faults else []), read


def test_every_level_is_in_use():
    assert {check.level for spec in all_specs() for check in spec.checks} == set(Level)


def test_the_setters_of_milestones_are_forms_of_the_trial():
    reads = {read for each in SET_BY.values() for read in each}
    assert all(any(spec.knows(read) for spec in all_specs()) for read in reads)
    assert setters("rt_start", "never_irradiated") == ("R.RT:fractions", "R.RT:ending")
    with pytest.raises(KeyError):
        setters("no_such_milestone")


def test_a_check_that_reads_consents_is_run_again_by_a_consent(cast, subject):
    enter(ADVERSE_EVENT, subject, cast.coordinator_a, {**EVENT, "onset_date": date(2025, 8, 25)})
    assert ("A.AE", "ANY", "ae_before_consent", "") in queries(subject)
    enter(CONSENT, subject, cast.coordinator_a, {**VALUES["P.CONSENT"], "signed_at": noon(date(2025, 8, 20))})
    assert ("A.AE", "ANY", "ae_before_consent", "") not in queries(subject)
