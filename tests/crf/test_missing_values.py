"""Coded missing answers: not done, unknown, refused, not applicable."""

import csv
import io
from dataclasses import replace
from datetime import date

import pyreadstat
import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followup.crfs import IMAGING, VISIT
from patients.crfs import DEMOGRAPHICS, SITES, STATUS, TUMOUR
from patients.models import Demographics, PrimaryTumour, SitesOfDisease, Status
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course
from radiotherapy.record_fraction import do_record_fraction
from spinetrial.analysis.data import Kind
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.display import display_value
from spinetrial.crf.forms import crf_form, form_data
from spinetrial.crf.missing import SUFFIX, field_name, initial_reasons
from spinetrial.crf.models import MissingReason
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.crf.spec import Item, RowGroup, Section, check_spec
from spinetrial.exports.archive import Origin, build_zip
from spinetrial.exports.csvfile import write_csv
from spinetrial.exports.sav import write_sav
from spinetrial.review.models import Query
from tests.cast import SETUP
from tests.exports.test_archive import files
from tests.followup.helpers import DONE, noon, registered, treated
from tests.patients.factory import ROWS, VALUES

TODAY = date(2026, 3, 2)
STATUS_VALUES = {**VALUES["P.STATUS"], "assessed_on": date(2025, 8, 20)}
#: Every item of the trial that may be missing: form and name.
MAY_BE_MISSING = [(spec, item) for spec in all_specs() for item in spec.items() if item.missing]


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


def without(values, **reasons):
    """The values, with a coded reason in place of each named one."""
    kept = {name: value for name, value in values.items() if name not in reasons}
    return kept | {field_name(name): code for name, code in reasons.items()}


def url(subject, spec, key="form", *, edit=True):
    return reverse("crf_edit" if edit else "crf", args=[subject.code, spec.code, key])


def post(client, subject, spec, values, rows=None, seen=0, reason=""):
    data = {**form_data(spec, values, rows), "seen_version": str(seen), "form_reason": reason, "save": "1"}
    return client.post(url(subject, spec), data)


# --- saving ---


@pytest.mark.parametrize("code", MissingReason.values)
def test_each_coded_reason_satisfies_required(cast, subject, code):
    """The systolic pressure is required: blank is refused, a reason is not."""
    with pytest.raises(EntryRefused) as refusal:
        enter(STATUS, subject, cast.coordinator_a, {**STATUS_VALUES, "systolic_mmhg": None})
    assert "systolic_mmhg" in refusal.value.errors
    record = enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, systolic_mmhg=code))
    record.refresh_from_db()
    assert (record.systolic_mmhg, record.missing) == (None, {"systolic_mmhg": code})


def test_a_reason_satisfies_what_is_required_on_condition(cast, subject):
    record = enter(TUMOUR, subject, cast.coordinator_a, without(VALUES["P.TUMOUR"], pathology_date="UNK"))
    assert record.missing == {"pathology_date": "UNK"}


def test_every_kind_of_field_can_be_missing(cast, subject):
    """Whole number, decimal, choice of numbers, choice of texts, yes or no, date, text."""
    names = ("systolic_mmhg", "temperature", "ecog", "neurology", "diabetes")
    record = enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, **dict.fromkeys(names, "ND")))
    record.refresh_from_db()
    assert record.missing == dict.fromkeys(names, "ND")
    assert [getattr(record, name) for name in names] == [None, None, None, "", None]
    tumour = enter(TUMOUR, subject, cast.coordinator_a, without(VALUES["P.TUMOUR"], diagnosed_on="UNK", histology="NA"))
    tumour.refresh_from_db()
    assert (tumour.diagnosed_on, tumour.histology) == (None, "")


def test_a_reason_beside_a_value_has_its_message_at_the_field(client, cast, subject):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, {**STATUS_VALUES, field_name("pulse"): "REF"})
    assert answer.status_code == 422
    assert not Status.objects.exists()
    form = answer.context["form"]
    assert "There is an answer and a reason why there is none." in form.errors["pulse"][0]
    assert (form["pulse"].value(), form[field_name("pulse")].value()) == ("72", "REF")  # nothing silently cleared


@pytest.mark.parametrize("answer", [False, 0])
def test_no_and_nought_are_answers(cast, subject, answer):
    name = "diabetes" if answer is False else "nyha"
    with pytest.raises(EntryRefused) as refusal:
        enter(STATUS, subject, cast.coordinator_a, {**STATUS_VALUES, name: answer, field_name(name): "UNK"})
    assert set(refusal.value.errors) == {name}


def test_the_reason_of_a_hidden_item_is_taken_away(cast, subject):
    values = without(VALUES["P.TUMOUR"], pathology_date="UNK", pathology_of="UNK")
    record = enter(TUMOUR, subject, cast.coordinator_a, {**values, "pathology_confirmed": False})
    assert record.missing == {}


def test_what_depends_on_a_missing_answer_is_hidden(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    values = without({**DONE, "new_systemic_text": "left over"}, new_systemic="UNK")
    record = enter(VISIT, subject, cast.coordinator_a, values, event="M3")
    assert (record.missing, record.new_systemic_text) == ({"new_systemic": "UNK"}, "")


@pytest.mark.parametrize("code", ["XX", "nd", "ND ", "\0", "x" * 10_000, "😀"])
def test_another_code_is_refused_with_a_message(client, cast, subject, code):
    client.force_login(cast.coordinator_a)
    answer = post(client, subject, STATUS, without(STATUS_VALUES, pulse=code))
    assert answer.status_code == 422
    assert field_name("pulse") in answer.context["form"].errors
    assert not Status.objects.exists()


def test_an_item_that_does_not_allow_it_takes_no_reason(cast, subject):
    with pytest.raises(EntryRefused):
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, without(VALUES["P.DM"], birth_date="UNK"))
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**VALUES["P.DM"], field_name("sex"): "UNK"})
    assert record.missing == {}


def test_only_the_reason_changes(cast, subject):
    """A change like any other: it asks for a reason of change and the version grows."""
    enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, pulse="ND"))
    record = Status.objects.get()
    values = without(STATUS_VALUES, pulse="REF")
    enter(STATUS, subject, cast.coordinator_a, values, record=record, reason="asked again")
    stored = Status.objects.get()
    assert (stored.missing, stored.row_version) == ({"pulse": "REF"}, 2)


def test_a_value_takes_the_place_of_the_reason(cast, subject):
    enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, pulse="ND"))
    record = Status.objects.get()
    enter(STATUS, subject, cast.coordinator_a, STATUS_VALUES, record=record, reason="found in the file")
    assert (Status.objects.get().missing, Status.objects.get().pulse) == ({}, 72)


def test_a_fraction_recorded_by_one_click_keeps_the_reasons_of_the_plan(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    enter(COURSE, subject, cast.coordinator_a, without(plan, ptv_d95_gy="ND", technique="UNK"))
    do_record_fraction(cast.coordinator_a, subject, 1, date(2025, 9, 8))
    assert Course.objects.get().missing == {"ptv_d95_gy": "ND", "technique": "UNK"}


# --- edit checks and rules that meet a missing answer ---


def test_edit_checks_meet_missing_answers(cast, subject):
    """Every item of every baseline form that may be missing is: nothing breaks and nothing is asked."""
    for spec in (DEMOGRAPHICS, TUMOUR, SITES, STATUS):
        reasons = {item.name: "UNK" for item in spec.items() if item.missing and item.name != "other_trial_last_date"}
        values = STATUS_VALUES if spec is STATUS else VALUES[spec.code]
        enter(spec, subject, cast.coordinator_a, without(values, **reasons), ROWS.get(spec.code))
    assert list(Query.objects.values_list("check_code", flat=True)) == []


def test_a_plan_is_complete_with_reasons(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
    rows = {"fractions": [{"number": 1, "date": date(2025, 9, 8), "given": True, "dose_gy": 3}]}
    reasons = {item.name: "ND" for item in COURSE.items() if item.missing}
    enter(COURSE, subject, cast.coordinator_a, without(plan, **reasons), rows)
    assert "plan_incomplete" not in set(Query.objects.values_list("check_code", flat=True))


# --- seen ---


def test_the_reason_is_shown_in_the_read_only_view_without_a_unit(client, cast, subject):
    enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, pulse="ND"))
    client.force_login(cast.coordinator_a)
    page = client.get(url(subject, STATUS, edit=False)).content.decode()
    assert '<span class="answer-missing">Not done</span>' in page
    assert "Not done /min" not in page


def test_the_edit_form_carries_the_reason(client, cast, subject):
    enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, pulse="REF"))
    client.force_login(cast.coordinator_a)
    page = client.get(url(subject, STATUS))
    assert page.context["form"][field_name("pulse")].value() == "REF"
    html = page.content.decode()
    assert 'data-missing-of="pulse"' in html
    assert html.count("data-missing-of=") == sum(item.missing for item in STATUS.items())


def test_the_audit_history_tells_the_reason_in_words(client, cast, subject):
    record = enter(STATUS, subject, cast.coordinator_a, STATUS_VALUES)
    values = without(STATUS_VALUES, pulse="ND")
    enter(STATUS, subject, cast.coordinator_a, values, record=Status.objects.get(), reason="was never taken")
    client.force_login(cast.monitor_a)
    for query in ("", "?item=pulse"):
        page = client.get(reverse("record_history", args=[subject.code, "P.STATUS", record.pk]) + query)
        last = [(each["item"], each["old"], each["new"]) for each in page.context["rows"][-1]["changes"]]
        assert ("Pulse", "", "Not done") in last
        assert ("Pulse", "72", "") in last
    other = client.get(reverse("record_history", args=[subject.code, "P.STATUS", record.pk]) + "?item=temperature")
    assert "Not done" not in other.content.decode()


def test_a_missing_answer_in_words(cast, subject):
    record = enter(STATUS, subject, cast.coordinator_a, without(STATUS_VALUES, pulse="NA", temperature="REF"))
    assert display_value(record, "pulse") == "Not applicable"
    assert display_value(record, "temperature") == "Refused"
    assert display_value(record, "weight_kg") == "65.5"


# --- the database ---


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ('{"pulse": "ND"}', "has a value and a reason"),  # planted: the pulse is 72
        ('{"no_such_item": "ND"}', "has a value and a reason"),
        ('{"weight_kg": "XX"}', "no reason"),
        ('{"weight_kg": null}', "no reason"),
    ],
)
def test_postgresql_refuses_a_reason_beside_a_value_by_any_road(cast, subject, missing, fault):
    record = enter(STATUS, subject, cast.coordinator_a, {**STATUS_VALUES, "weight_kg": None})
    with pytest.raises(IntegrityError, match=fault), acting(SETUP, "planted"), connection.cursor() as cursor:
        cursor.execute("UPDATE patients_status SET missing = %s WHERE id = %s", [missing, record.pk])


# --- start-up check ---


def planted(spec, name, **changes):
    sections = tuple(
        Section(section.title, tuple(replace(i, **changes) if i.name == name else i for i in section.items))
        for section in spec.sections
    )
    return replace(spec, sections=sections)


@pytest.mark.parametrize(
    ("spec", "name"),
    [(DEMOGRAPHICS, "birth_date"), (DEMOGRAPHICS, "sex"), (TUMOUR, "pathology_confirmed")],
    ids=["not null", "text not blank", "null, but a form demands it"],
)
def test_missing_on_a_field_that_demands_a_value_fails_the_start_up_check(spec, name):
    assert check_spec(spec) == []
    assert [message.id for message in check_spec(planted(spec, name, missing=True))] == ["crf.E007"]


def test_missing_in_a_row_fails_the_start_up_check():
    group = IMAGING.rows[0]
    items = tuple(replace(item, missing=True) if item.name == "height_loss" else item for item in group.items)
    spec = replace(IMAGING, rows=(RowGroup(group.key, "", group.model, items),))
    assert [message.id for message in check_spec(spec)] == ["crf.E008"]


def test_an_unknown_item_that_may_be_missing_is_told_once():
    first, *others = DEMOGRAPHICS.sections
    spec = replace(DEMOGRAPHICS, sections=(Section("", (*first.items, Item("nothing", missing=True))), *others))
    assert [message.id for message in check_spec(spec)] == ["crf.E003"]


# --- export ---


def test_a_blank_a_reason_and_a_value_differ_in_the_export(cast, tmp_path):
    for values in ({}, {field_name("height_cm"): "REF"}, {"height_cm": 172}):
        subject = registered(cast.coordinator_a, cast.site_a)
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, {"birth_date": date(1960, 1, 1), "sex": "male", **values})
    table = take_snapshot().table("P.DM")
    rows = list(csv.DictReader(io.StringIO(write_csv(table).decode("utf-8-sig"), newline="")))
    assert [(row["height_cm"], row["height_cm_missing"]) for row in rows] == [("", ""), ("", "REF"), ("172", "")]
    path = tmp_path / "dm.sav"
    path.write_bytes(write_sav(table, "test", noon(TODAY)))
    frame, meta = pyreadstat.read_sav(path)
    assert list(frame["height_cm_missing"]) == ["", "REF", ""]
    assert meta.variable_value_labels["height_cm_missing"]["REF"] == "Refused"
    assert frame["height_cm"].isna().tolist() == [True, True, False]


def test_the_dictionary_documents_the_codes(cast):
    snapshot = take_snapshot()
    archive = files(build_zip(snapshot, Origin(1, noon(TODAY), snapshot.sha256(), "1.0"), reveal=True))
    found = list(csv.DictReader(io.StringIO(archive["dictionary.csv"].decode("utf-8-sig"), newline="")))
    [row] = [each for each in found if (each["table"], each["column"]) == ("P.DM", "height_cm_missing")]
    assert row["codes"] == "ND=Not done | UNK=Unknown | REF=Refused | NA=Not applicable"
    assert row["label"] == "Height: why not answered"
    listed = {(each["table"], each["column"]) for each in found}
    assert {(spec.code, f"{item.name}_missing") for spec, item in MAY_BE_MISSING} <= listed
    assert "_missing" in archive["README.txt"].decode("utf-8-sig")


def test_a_reason_stands_after_its_item_and_no_raw_column_is_exported(cast):
    for spec in all_specs():
        table = take_snapshot().table(spec.code)
        names = [column.name for column in table.columns]
        assert "missing" not in names
        for item in spec.items():
            if item.missing:
                assert names[names.index(item.name) + 1] == f"{item.name}_missing"
                assert table.columns[names.index(item.name) + 1].kind is Kind.TEXT


# --- round trip ---

#: Of each form: what is required or decides about others stays; the rest is any mix of value, reason and blank.
FORMS = {
    STATUS: (STATUS_VALUES, None, Status),
    SITES: (VALUES["P.SITES"], ROWS["P.SITES"], SitesOfDisease),
    TUMOUR: (VALUES["P.TUMOUR"], None, PrimaryTumour),
    DEMOGRAPHICS: (VALUES["P.DM"], None, Demographics),
}


@pytest.mark.parametrize("spec", FORMS, ids=lambda spec: spec.code)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_save_form_save_of_any_mix_changes_nothing(cast, spec, data):
    values, rows, model = FORMS[spec]
    mix = dict(values)
    expected = {}
    for item in spec.items():
        if not item.missing or item.name not in values:
            continue
        kinds = ["value", *MissingReason.values] + ([] if item.required else ["blank"])
        kind = data.draw(st.sampled_from(kinds), item.name)
        if kind != "value":
            del mix[item.name]
        if kind in MissingReason.values:
            mix[field_name(item.name)] = expected[item.name] = kind
    with transaction.atomic():
        subject = registered(cast.coordinator_a, cast.site_a)
        enter(spec, subject, cast.coordinator_a, mix, rows)
        stored = model.objects.get(subject=subject)
        assert stored.missing == expected
        for item in spec.items():
            if item.name in expected:
                assert getattr(stored, item.name) in (None, "")
            elif item.name in mix and item.name in values:
                assert display_value(stored, item.name) != ""

        shown = crf_form(spec, subject, record=stored)
        posted = {name: shown[name].value() for name in shown.fields if shown[name].value() is not None}
        grids = {
            key: [
                {"id": row.instance.pk, **{f.name: f.value() for f in row.visible_fields() if f.name != "DELETE"}}
                for row in formset.initial_forms
            ]
            for key, formset in shown.formsets.items()
        }
        before = {field.attname: getattr(stored, field.attname) for field in model._meta.concrete_fields}
        form = crf_form(spec, subject, record=model.objects.get(pk=stored.pk), data=form_data(spec, posted, grids))
        assert form.is_valid(), form.all_errors()
        assert not form.has_changed(), form.changed_data
        enter(spec, subject, cast.coordinator_a, posted, grids, record=model.objects.get(pk=stored.pk), reason="again")
        after = model.objects.get(pk=stored.pk)
        assert {field.attname: getattr(after, field.attname) for field in model._meta.concrete_fields} == before
        transaction.set_rollback(True)


def test_the_form_names_of_reasons_belong_to_no_item():
    for spec in all_specs():
        names = {item.name for item in spec.items()}
        assert not {name for name in names if name.endswith(SUFFIX)}
        assert set(initial_reasons(spec, spec.model())) == {field_name(i.name) for i in spec.items() if i.missing}


def test_no_key_answer_may_be_missing():
    """Consent, identity, the investigator's judgement and the dates everything counts from are never coded away."""
    coded = {(spec.code, item.name) for spec, item in MAY_BE_MISSING}
    assert not {code for code, _name in coded} & {"P.CONSENT", "P.SCREEN", "P.FAIL", "P.WITHDRAW", "P.EOS", "A.AE"}
    assert not coded & {
        ("P.DM", "birth_date"),
        ("P.PAIN", "nrs_worst"),
        ("F.VISIT", "nrs_worst"),
        ("F.VISIT", "visit_date"),
    }
