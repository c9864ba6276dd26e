"""Each named constraint of the tables, and each edit check: once broken, once kept."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction

from patients import crfs
from patients.milestones import report_death, set_milestones
from patients.models import (
    BaselineAnalgesic,
    BaselinePain,
    Consent,
    Demographics,
    DiseaseSite,
    Eligibility,
    EndOfStudy,
    FailedCriterion,
    Milestones,
    PrimaryTumour,
    ScreenFailure,
    SitesOfDisease,
    Status,
    Subject,
    Withdrawal,
)
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.crf.checks import notes
from spinetrial.crf.save import EntryRefused
from spinetrial.crf.spec import Level
from spinetrial.review.models import Query
from tests.cast import SETUP
from tests.patients.factory import BEFORE, DAY, MORPHINE, VALUES, VERTEBRA, change, fill, noon, registered, screened

OLD = date(1899, 12, 31)
#: Values that a form sends and a row of the table cannot take as they are.
BASE: dict[type[models.Model], dict[str, Any]] = {
    Consent: {**VALUES["P.CONSENT"], "signed_at": noon()},
    Demographics: VALUES["P.DM"],
    PrimaryTumour: VALUES["P.TUMOUR"],
    SitesOfDisease: VALUES["P.SITES"],
    DiseaseSite: VERTEBRA,
    Status: VALUES["P.STATUS"],
    BaselinePain: VALUES["P.PAIN"],
    BaselineAnalgesic: MORPHINE,
    Eligibility: VALUES["P.SCREEN"],
    ScreenFailure: {"failed_on": DAY, "reason": "declined"},
    FailedCriterion: {"criterion": "INC1"},
    Withdrawal: {
        "withdrawn_on": DAY,
        "from_treatment": True,
        "from_followup": False,
        "from_data_use": False,
        "initiator": "patient",
        "reason": "DRP1",
    },
    EndOfStudy: {"status": "completed", "ended_on": DAY},
}
PARENTS: dict[type[models.Model], type[models.Model]] = {
    DiseaseSite: SitesOfDisease,
    BaselineAnalgesic: BaselinePain,
    FailedCriterion: ScreenFailure,
}

#: Constraint: the table and the values that break it and nothing else.
BROKEN: dict[str, tuple[type[models.Model], dict[str, Any]]] = {
    "consent_family_explained": (Consent, {"signer": "family", "family_relation": "child"}),
    "consent_family_relation_known": (Consent, {"signer": "family", "family_relation": "dog", "family_reason": "x"}),
    "consent_message_language_known": (Consent, {"messages_by_email": True, "message_language": "fr"}),
    "consent_signed_at_since_1900": (Consent, {"signed_at": noon(OLD)}),
    "withdrawal_has_scope": (Withdrawal, {"from_treatment": False}),
    "withdrawal_toxicity_named": (Withdrawal, {"reason": "DRP3"}),
    "withdrawal_explained": (Withdrawal, {"reason": "DRP4"}),
    "withdrawal_reason_known": (Withdrawal, {"reason": "DRP9"}),
    "withdrawal_initiator_known": (Withdrawal, {"initiator": "nobody"}),
    "withdrawal_withdrawn_on_since_1900": (Withdrawal, {"withdrawn_on": OLD}),
    "screenfailure_other_explained": (ScreenFailure, {"reason": "other"}),
    "screenfailure_reason_known": (ScreenFailure, {"reason": "bored"}),
    "screenfailure_failed_on_since_1900": (ScreenFailure, {"failed_on": OLD}),
    "failedcriterion_criterion_known": (FailedCriterion, {"criterion": "INC99"}),
    "endofstudy_death_has_cause": (EndOfStudy, {"status": "dead"}),
    "endofstudy_other_cause_named": (EndOfStudy, {"status": "dead", "death_cause": "other"}),
    "endofstudy_status_known": (EndOfStudy, {"status": "asleep"}),
    "endofstudy_death_cause_known": (EndOfStudy, {"status": "dead", "death_cause": "fate"}),
    "endofstudy_ended_on_since_1900": (EndOfStudy, {"ended_on": OLD}),
    "eligibility_expected_survival_months_in_range": (Eligibility, {"expected_survival_months": 241}),
    "eligibility_confirmed_by_someone": (Eligibility, {"confirmed": True}),
    "eligibility_first_procedure_on_since_1900": (Eligibility, {"first_procedure_on": OLD}),
    "demographics_sex_known": (Demographics, {"sex": "x"}),
    "demographics_height_cm_in_range": (Demographics, {"height_cm": 231}),
    "demographics_birth_date_since_1900": (Demographics, {"birth_date": OLD}),
    "primarytumour_other_named": (PrimaryTumour, {"site": "other"}),
    "primarytumour_report_when_confirmed": (PrimaryTumour, {"pathology_confirmed": False}),
    "primarytumour_site_known": (PrimaryTumour, {"site": "soul"}),
    "primarytumour_tumour_class_known": (PrimaryTumour, {"tumour_class": "gas"}),
    "primarytumour_pathology_of_known": (PrimaryTumour, {"pathology_of": "hair"}),
    "primarytumour_stage_known": (PrimaryTumour, {"stage": "5"}),
    "primarytumour_pathology_date_since_1900": (PrimaryTumour, {"pathology_date": OLD}),
    "primarytumour_diagnosed_on_since_1900": (PrimaryTumour, {"diagnosed_on": OLD}),
    "sitesofdisease_other_trial_date_when_yes": (SitesOfDisease, {"other_trial_last_date": DAY}),
    "sitesofdisease_collapse_percent_in_range": (SitesOfDisease, {"collapse_percent": 101}),
    "sitesofdisease_imaging_modality_known": (SitesOfDisease, {"imaging_modality": "eyes"}),
    "sitesofdisease_index_level_known": (SitesOfDisease, {"index_level": "T13"}),
    "sitesofdisease_escc_known": (SitesOfDisease, {"escc": "4"}),
    "sitesofdisease_sins_pain_known": (SitesOfDisease, {"sins_pain": "much"}),
    "sitesofdisease_sins_alignment_known": (SitesOfDisease, {"sins_alignment": "odd"}),
    "sitesofdisease_sins_collapse_known": (SitesOfDisease, {"sins_collapse": "half"}),
    "sitesofdisease_sins_posterolateral_known": (SitesOfDisease, {"sins_posterolateral": "two"}),
    "sitesofdisease_imaging_date_since_1900": (SitesOfDisease, {"imaging_date": OLD}),
    "sitesofdisease_other_trial_last_date_since_1900": (
        SitesOfDisease,
        {"other_trial": True, "other_trial_last_date": OLD},
    ),
    "diseasesite_rt_date_when_yes": (DiseaseSite, {"prior_rt_date": DAY}),
    "diseasesite_surgery_date_when_yes": (DiseaseSite, {"prior_surgery_date": DAY}),
    "diseasesite_level_known": (DiseaseSite, {"level": "X1"}),
    "diseasesite_lesion_known": (DiseaseSite, {"lesion": "blue"}),
    "diseasesite_prior_rt_date_since_1900": (DiseaseSite, {"prior_rt": True, "prior_rt_date": OLD}),
    "diseasesite_prior_surgery_date_since_1900": (DiseaseSite, {"prior_surgery": True, "prior_surgery_date": OLD}),
    "status_pressures_in_order": (Status, {"diastolic_mmhg": 130}),
    "status_qtc_when_ecg": (Status, {"ecg_done": False}),
    "status_neurology_known": (Status, {"neurology": "f"}),
    "status_qtc_formula_known": (Status, {"qtc_formula": "guess"}),
    "status_pregnancy_test_known": (Status, {"pregnancy_test": "maybe"}),
    "status_ecog_in_range": (Status, {"ecog": 5}),
    "status_kps_known": (Status, {"kps": 85}),
    "status_nyha_in_range": (Status, {"nyha": 5}),
    "status_infection_grade_in_range": (Status, {"infection_grade": 5}),
    "status_weight_kg_in_range": (Status, {"weight_kg": 19}),
    "status_systolic_mmhg_in_range": (Status, {"systolic_mmhg": 301}),
    "status_diastolic_mmhg_in_range": (Status, {"diastolic_mmhg": 19}),
    "status_pulse_in_range": (Status, {"pulse": 19}),
    "status_temperature_in_range": (Status, {"temperature": 46}),
    "status_qtc_ms_in_range": (Status, {"qtc_ms": 801}),
    "status_assessed_on_since_1900": (Status, {"assessed_on": OLD}),
    "baselinepain_nrs_worst_in_range": (BaselinePain, {"nrs_worst": 11}),
    "baselinepain_nrs_average_in_range": (BaselinePain, {"nrs_average": 11}),
    "baselinepain_nrs_current_in_range": (BaselinePain, {"nrs_current": 11}),
    "baselinepain_analgesics_known": (BaselinePain, {"analgesics": "lots"}),
    "baselinepain_assessed_on_since_1900": (BaselinePain, {"assessed_on": OLD}),
    "baselineanalgesic_dose_positive": (BaselineAnalgesic, {"dose": 0}),
    "baselineanalgesic_times_positive": (BaselineAnalgesic, {"times": 101}),
    "baselineanalgesic_other_named": (BaselineAnalgesic, {"drug": "OTHER_OPIOID"}),
    "baselineanalgesic_drug_known": (BaselineAnalgesic, {"drug": "WILLPOWER"}),
    "baselineanalgesic_route_known": (BaselineAnalgesic, {"route": "dream"}),
    "baselineanalgesic_use_known": (BaselineAnalgesic, {"use": "never"}),
}
#: Broken by a second row, below; those of answers to criteria in test_eligibility.py.
BY_A_SECOND_ROW = [Demographics, PrimaryTumour, SitesOfDisease, Status, BaselinePain, Eligibility, ScreenFailure]
ELSEWHERE = {
    "consent_time_once",
    "diseasesite_level_once",
    "endofstudy_once",
    *(f"{model._meta.model_name}_once" for model in BY_A_SECOND_ROW),
}


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


def row_of(model, subject, **changes):
    values = {**BASE[model], **changes}
    if parent := PARENTS.get(model):
        values["parent"] = parent.objects.filter(subject=subject).first() or stored(parent, subject)
    return model(subject=subject, **values)


def stored(model, subject):
    row = row_of(model, subject)
    with acting(SETUP, "test"):
        row.save()
    return row


def test_the_tables_and_this_list_name_the_same_constraints():
    names = {constraint.name for model in BASE for constraint in model._meta.constraints}
    assert names == set(BROKEN) | ELSEWHERE


@pytest.mark.parametrize("model", BASE, ids=lambda model: model.__name__)
def test_the_values_as_they_stand_are_taken(subject, model):
    stored(model, subject)


@pytest.mark.parametrize("name", BROKEN)
def test_the_database_refuses(subject, name):
    model, changes = BROKEN[name]
    row = row_of(model, subject, **changes)
    with pytest.raises(IntegrityError, match=name), acting(SETUP, "test"):
        row.save()


#: Constraints the person never meets: the choices of the field refuse first, or the program sets the value.
INTERNAL = {name for name in BROKEN if name.endswith("_known")} | {"eligibility_confirmed_by_someone"}


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in INTERNAL])
def test_the_form_says_so_in_words(subject, name):
    model, changes = BROKEN[name]
    constraint = next(each for each in model._meta.constraints if each.name == name)
    message = str(constraint.violation_error_message)
    assert name not in message  # words of its own, not Django's "Constraint ... is violated"
    assert "is violated" not in message
    with pytest.raises(ValidationError) as refusal:
        row_of(model, subject, **changes).validate_constraints()
    assert message in refusal.value.messages


@pytest.mark.parametrize("model", BY_A_SECOND_ROW, ids=lambda model: model.__name__)
def test_there_is_one_row_per_subject(subject, model):
    stored(model, subject)
    with pytest.raises(IntegrityError, match=f"{model._meta.model_name}_once"):
        stored(model, subject)


def test_a_consent_is_entered_once(subject):
    stored(Consent, subject)
    with pytest.raises(IntegrityError, match="consent_time_once"):
        stored(Consent, subject)


def test_a_vertebra_is_listed_once(subject):
    stored(DiseaseSite, subject)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else it waits for the commit, which never comes here
    with pytest.raises(IntegrityError, match="diseasesite_level_once"):
        stored(DiseaseSite, subject)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("milestones_randomized_when_eligible", {"randomized_on": DAY}),
        ("milestones_rt_in_order", {"rt_start": DAY, "rt_end": BEFORE}),
        ("milestones_rt_in_order", {"rt_end": DAY}),
        ("milestones_death_has_source", {"death_date": DAY}),
        ("milestones_death_has_source", {"death_source": "P.EOS"}),
    ],
)
def test_milestones_contradict_nothing(subject, name, values):
    row = Milestones.objects.get(subject=subject)
    for field, value in values.items():
        setattr(row, field, value)
    with pytest.raises(IntegrityError, match=name), acting(SETUP, "test"):
        row.save()


def test_a_number_is_given_once_per_site(cast, subject):
    other = Subject(site=cast.site_a, number=subject.number, code="NK-999", first_contact=DAY)
    with pytest.raises(IntegrityError, match="subject_number_per_site"), acting(SETUP, "test"):
        other.save()


# --- edit checks ---


def nothing(subject):
    return None


def randomised(subject):
    fill(crfs.CONSENT, subject, subject.coordinator)
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", eligible_on=DAY, randomized_on=DAY)


def irradiated(subject):
    randomised(subject)
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", rt_start=DAY, rt_end=DAY)


def dead_elsewhere(subject):
    randomised(subject)
    report_death(SYSTEM, subject, "F.VISIT", DAY)


def consented(subject):
    fill(crfs.CONSENT, subject, subject.coordinator)


def a_man(subject):
    fill(crfs.DEMOGRAPHICS, subject, subject.coordinator)


def a_woman(subject):
    fill(crfs.DEMOGRAPHICS, subject, subject.coordinator, sex="female")


def rows(*changes):
    return [{**VERTEBRA, **change} for change in changes]


TOMORROW = DAY + timedelta(days=1)
LEAVES = BASE[Withdrawal]
DIES = {"status": "dead", "death_cause": "disease"}
OTHER = {"other_name": "a name of no list"}
#: (form, check): how the participant stands, values that break it, values that keep it.
CHECKS: dict[tuple[str, str], tuple[Any, dict[str, Any], dict[str, Any]]] = {
    ("P.CONSENT", "signed_at_future"): (nothing, {"signed_at": f"{TOMORROW}T00:01"}, {"signed_at": f"{DAY}T12:00"}),
    ("P.CONSENT", "consent_before_contact"): (nothing, {"signed_at": "2026-03-08T23:59"}, {}),
    ("P.WITHDRAW", "withdrawn_on_future"): (consented, {**LEAVES, "withdrawn_on": TOMORROW}, LEAVES),
    ("P.WITHDRAW", "withdrawn_before_consent"): (
        consented,
        {**LEAVES, "withdrawn_on": BEFORE - timedelta(days=1)},
        {**LEAVES, "withdrawn_on": BEFORE},
    ),
    ("P.WITHDRAW", "withdrawal_initiator"): (
        consented,
        {**LEAVES, "reason": "DRP2", "details": "unsafe"},
        {**LEAVES, "reason": "DRP2", "details": "unsafe", "initiator": "investigator"},
    ),
    ("P.FAIL", "failed_on_future"): (nothing, {"failed_on": TOMORROW}, {}),
    ("P.FAIL", "failure_after_randomisation"): (randomised, {}, {"retracted": True}),
    ("P.FAIL", "failure_criteria_missing"): (
        nothing,
        {"reason": "criteria"},
        {"reason": "criteria", "rows": [{"criterion": "INC1"}]},
    ),
    ("P.FAIL", "failure_criteria_doubled"): (
        nothing,
        {"reason": "criteria", "rows": [{"criterion": "INC1"}, {"criterion": "INC1"}]},
        {"reason": "criteria", "rows": [{"criterion": "INC1"}, {"criterion": "INC2a"}]},
    ),
    ("P.FAIL", "failure_before_contact"): (nothing, {"failed_on": BEFORE - timedelta(days=1)}, {"failed_on": BEFORE}),
    ("P.SCREEN", "first_procedure_on_future"): (nothing, {"first_procedure_on": TOMORROW, "rows": []}, {"rows": []}),
    ("P.DM", "birth_date_future"): (nothing, {"birth_date": TOMORROW}, {}),
    ("P.DM", "age_unlikely"): (nothing, {"birth_date": date(1915, 1, 1)}, {"birth_date": date(1930, 1, 1)}),
    ("P.TUMOUR", "diagnosed_on_future"): (nothing, {"diagnosed_on": TOMORROW}, {"diagnosed_on": DAY}),
    ("P.TUMOUR", "pathology_date_future"): (nothing, {"pathology_date": TOMORROW}, {"pathology_date": DAY}),
    ("P.TUMOUR", "tumour_against_sex"): (a_woman, {"site": "prostate"}, {"site": "cervix"}),
    ("P.TUMOUR", "tumour_class_against_site"): (
        nothing,
        {"tumour_class": "myeloma"},
        {"tumour_class": "myeloma", "site": "bone_marrow"},
    ),
    ("P.TUMOUR", "tumour_before_birth"): (a_man, {"diagnosed_on": date(1960, 4, 30)}, {}),
    ("P.TUMOUR", "primary_tissue_of_unknown"): (
        nothing,
        {"site": "unknown"},
        {"site": "unknown", "pathology_of": "metastasis"},
    ),
    ("P.SITES", "imaging_date_future"): (nothing, {"imaging_date": TOMORROW}, {"imaging_date": DAY}),
    ("P.SITES", "other_trial_last_date_future"): (
        nothing,
        {"other_trial": True, "other_trial_last_date": TOMORROW},
        {"other_trial": True, "other_trial_last_date": DAY},
    ),
    ("P.SITES", "sites_future"): (
        nothing,
        {"rows": rows({"prior_rt": True, "prior_rt_date": TOMORROW})},
        {"rows": rows({"prior_rt": True, "prior_rt_date": DAY})},
    ),
    ("P.SITES", "level_twice"): (nothing, {"rows": rows({}, {})}, {"rows": rows({}, {"level": "T9"})}),
    ("P.SITES", "index_not_listed"): (nothing, {"index_level": "T9"}, {}),
    ("P.SITES", "escc_missing"): (nothing, {"escc": ""}, {}),
    ("P.SITES", "collapse_against_percent"): (
        nothing,
        {"sins_collapse": "over_half", "collapse_percent": 49},
        {"sins_collapse": "over_half", "collapse_percent": 50},
    ),
    ("P.SITES", "fracture_without_collapse"): (
        nothing,
        {"rows": rows({"fracture": True})},
        {"rows": rows({}, {"level": "T9", "fracture": True})},
    ),
    ("P.STATUS", "assessed_on_future"): (nothing, {"assessed_on": TOMORROW}, {}),
    ("P.STATUS", "kps_against_ecog"): (nothing, {"kps": 60}, {"kps": 70}),
    ("P.STATUS", "temperature_unlikely"): (nothing, {"temperature": "33.9"}, {"temperature": 34}),
    ("P.STATUS", "pulse_unlikely"): (nothing, {"pulse": 151}, {"pulse": 150}),
    ("P.STATUS", "systolic_mmhg_unlikely"): (nothing, {"systolic_mmhg": 221}, {"systolic_mmhg": 220}),
    ("P.STATUS", "diastolic_mmhg_unlikely"): (nothing, {"diastolic_mmhg": 39}, {"diastolic_mmhg": 40}),
    ("P.STATUS", "weight_against_height"): (a_man, {"weight_kg": 29}, {"weight_kg": 60}),
    ("P.STATUS", "pregnancy_against_sex"): (a_man, {"pregnancy_test": "negative"}, {}),
    ("P.PAIN", "assessed_on_future"): (nothing, {"assessed_on": TOMORROW}, {}),
    ("P.PAIN", "analgesics_not_listed"): (nothing, {"rows": []}, {}),
    ("P.PAIN", "analgesics_listed"): (nothing, {"analgesics": "none"}, {"analgesics": "none", "rows": []}),
    ("P.PAIN", "analgesics_dose_unknown"): (nothing, {"rows": [{**MORPHINE, "times": None}]}, {}),
    ("P.PAIN", "analgesics_opioid_unlisted"): (nothing, {"rows": [{**MORPHINE, "drug": "OTHER_OPIOID", **OTHER}]}, {}),
    ("P.PAIN", "analgesics_no_factor"): (nothing, {"rows": [{**MORPHINE, "drug": "DEZOCINE_INJ"}]}, {}),
    ("P.PAIN", "analgesics_unlisted"): (nothing, {"rows": [{**MORPHINE, "drug": "OTHER_NON_OPIOID", **OTHER}]}, {}),
    ("P.PAIN", "pain_flagged"): (nothing, {"nrs_worst": 1}, {"nrs_worst": 2}),
    ("P.PAIN", "pain_after_rt_start"): (irradiated, {}, {"assessed_on": BEFORE}),
    ("P.PAIN", "pain_too_old"): (
        irradiated,
        {"assessed_on": DAY - timedelta(days=8)},
        {"assessed_on": DAY - timedelta(days=7)},
    ),
    ("P.PAIN", "pain_average_above_worst"): (nothing, {"nrs_average": 7}, {"nrs_average": 6}),
    ("P.PAIN", "pain_current_above_worst"): (nothing, {"nrs_current": 7}, {"nrs_current": 6}),
    ("P.EOS", "ended_on_future"): (randomised, {"ended_on": TOMORROW}, {}),
    ("P.EOS", "end_without_randomisation"): (consented, {}, None),
    ("P.EOS", "end_before_randomisation"): (randomised, {"ended_on": BEFORE}, {}),
    ("P.EOS", "death_date_differs"): (dead_elsewhere, {**DIES, "ended_on": TOMORROW, "day": TOMORROW}, DIES),
    ("P.EOS", "death_reported_elsewhere"): (dead_elsewhere, {}, DIES),
}
FIRST = {"P.FAIL": BASE[ScreenFailure], "P.EOS": BASE[EndOfStudy]}


def test_the_specs_and_this_list_name_the_same_checks():
    declared = {(spec.code, check.code) for spec in crfs.SPECS for check in spec.checks}
    assert declared == set(CHECKS) | {("P.SITES", "index_fixed")}


@pytest.mark.parametrize("spec", crfs.SPECS, ids=lambda spec: spec.code)
def test_codes_of_checks_are_unique(spec):
    codes = [check.code for check in spec.checks]
    assert len(codes) == len(set(codes))


def asked() -> set[str]:
    return set(Query.objects.filter(state="open").values_list("check_code", flat=True))


@pytest.mark.parametrize(("code", "check_code"), CHECKS)
def test_each_edit_check(cast, subject, code, check_code):
    spec = next(each for each in crfs.SPECS if each.code == code)
    check = next(each for each in spec.checks if each.code == check_code)
    prepare, broken, kept = CHECKS[code, check_code]
    subject.coordinator = cast.coordinator_a
    prepare(subject)
    actor = cast.investigator_a if code == "P.SCREEN" else cast.coordinator_a
    base = FIRST.get(code, {})
    broken = {**base, **broken}
    if kept is not None:
        point = transaction.savepoint()
        record = fill(spec, subject, actor, **{**base, **kept})
        assert check_code not in asked() | {each.code for each, _match in notes(spec, record)}
        transaction.savepoint_rollback(point)
    if check.level in (Level.BLOCK, Level.EXPLAIN):
        with pytest.raises(EntryRefused) as refusal:
            fill(spec, subject, actor, **broken)
        messages = {message for each in refusal.value.errors.values() for message in each}
        assert any(str(check.text) in message for message in messages)
    elif check.level is Level.NOTE:
        record = fill(spec, subject, actor, **broken)
        assert check in {each for each, _match in notes(spec, record)}
        assert check_code not in asked()
    else:
        fill(spec, subject, actor, **broken)
        assert check_code in asked()


def test_the_index_site_is_fixed_at_randomisation(cast):
    subject = screened(cast.coordinator_a, cast.investigator_a, cast.site_a, sites={"rows": rows({}, {"level": "T9"})})
    change(crfs.SITES, subject, cast.coordinator_a, index_level="T9")
    change(crfs.SITES, subject, cast.coordinator_a, index_level="T8")
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", eligible_on=DAY, randomized_on=DAY)
    change(crfs.SITES, subject, cast.coordinator_a, escc="1a")
    with pytest.raises(EntryRefused) as refusal:
        change(crfs.SITES, subject, cast.coordinator_a, index_level="T9")
    assert "index_level" in refusal.value.errors
