"""Eligibility from real forms: each criterion, what blocks, who decides, and what a later change undoes."""

from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from patients.crfs import CONSENT, DEMOGRAPHICS, PAIN, SCREEN_FAILURE, SCREENING, SITES, STATUS, WITHDRAWAL
from patients.eligibility import FACT_ITEMS, NotEligible, assess, check_still_eligible, eligibility_of
from patients.milestones import milestones_of, set_milestones
from patients.models import Eligibility, EligibilityAnswer
from patients.preconditions import open_preconditions
from patients.subjects import do_register
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.crf.registry import get_spec
from spinetrial.protocol import CURRENT
from spinetrial.protocol.eligibility import FACTS, BlockerKind
from tests.cast import SETUP
from tests.patients.factory import BEFORE, DAY, MORPHINE, VERTEBRA, answer, change, fill, on_day, screened

OTHER = [{**VERTEBRA, "level": level} for level in ("C3", "T1", "L4")]


@pytest.fixture
def make(cast):
    return lambda **overrides: screened(cast.coordinator_a, cast.investigator_a, cast.site_a, **overrides)


def blockers(subject) -> dict[str, str]:
    with on_day():
        return {each.code: each.kind.value for each in eligibility_of(subject)[1]}


def failing(subject) -> set[str]:
    return {code for code, kind in blockers(subject).items() if kind == "failed"}


def unknown(subject) -> set[str]:
    return {code for code, kind in blockers(subject).items() if kind == "unknown"}


def test_every_fact_has_a_place_where_it_is_recorded():
    for name, (spec_code, item) in FACT_ITEMS.items():
        spec = get_spec(spec_code)
        assert item in {each.name for each in spec.items()} | {group.key for group in spec.rows}, name
    assert set(FACTS) - set(FACT_ITEMS) == {"randomisation_date"}


def test_an_eligible_participant_is_confirmed(cast, make):
    subject = make()
    assert set(blockers(subject).values()) == {"unconfirmed"}
    record = answer(subject, cast.investigator_a)
    assert blockers(subject) == {}
    assert record.confirmed_by == cast.investigator_a
    assert record.confirmed_at is not None
    assert milestones_of(subject).eligible_on == DAY
    rows = EligibilityAnswer.objects.filter(parent=record)
    assert {row.criterion for row in rows} == {criterion.code for criterion in CURRENT.criteria}
    assert all(row.answered_by == cast.investigator_a and row.protocol_version == CURRENT.version for row in rows)
    age = rows.get(criterion="INC1")
    assert (age.verdict, age.answer) == ("met", "yes")
    assert age.inputs == {"birth_date": "1960-05-01", "consent_date": BEFORE.isoformat()}


FAILURES = {
    "INC1": {"demographics": {"birth_date": date(BEFORE.year - 18, 3, 10)}},
    "INC2a": {"tumour": {"pathology_confirmed": False}},
    "INC2c": {"sites": {"rows": [VERTEBRA, *OTHER]}},
    "INC2d": {"sites": {"escc": "2"}},
    "INC3": {"status": {"ecog": 2, "kps": 60}},
    "INC4": {"screening": {"serious_chronic_disease": True}},
    "INC5a": {"screening": {"rt_contraindication": True}},
    "INC5b": {"sites": {"rows": [{**VERTEBRA, "prior_rt": True, "prior_rt_date": date(2020, 1, 1)}]}},
    "INC6": {"screening": {"expected_survival_months": 2}},
    "INC7": {"consent": {"willing_follow_up": False}},
    "INC8": {"pain": {"nrs_worst": 0}},
    "EXC2": {"sites": {"other_trial": True, "other_trial_last_date": DAY - timedelta(days=28)}},
    "EXC3a": {"status": {"myocardial_infarction": True, "nyha": 2, "qtc_ms": 480}},
    "EXC3b": {"status": {"infection_grade": 2}},
    "EXC3c": {"screening": {"active_bleeding": True}},
    "EXC3d": {"status": {"systolic_mmhg": 180, "diastolic_mmhg": 110}},
    "EXC3e": {"screening": {"large_vessel_tumour": True}},
    "EXC4": {"screening": {"mental_disorder": True}},
    "EXC5": {"sites": {"rows": [{**VERTEBRA, "prior_surgery": True, "prior_surgery_date": date(2025, 9, 11)}]}},
    "EXC6": {"screening": {"other_serious_disease": True}},
}
#: One fault of the data that breaks two criteria: the protocol says the same thing twice.
TWO_AT_ONCE = {
    "INC2a": ({"tumour": {"tumour_class": "myeloma", "site": "bone_marrow"}}, {"INC2a", "EXC1"}),
    "INC5b": (
        {"sites": {"rows": [{**VERTEBRA, "prior_rt": True, "prior_rt_date": date(2026, 1, 1)}]}},
        {"INC5b", "EXC5"},
    ),
}
#: No list of levels is possible through the form: INC2b is only ever unknown there.
UNREACHABLE = {"INC2b", "EXC1"}


def test_the_table_names_every_criterion():
    assert set(FAILURES) | UNREACHABLE == {criterion.code for criterion in CURRENT.criteria}


@pytest.mark.parametrize("code", FAILURES)
def test_each_criterion_keeps_out_alone(cast, make, code):
    subject = make(**FAILURES[code])
    assert failing(subject) == {code}
    with pytest.raises(NotEligible) as refusal:
        answer(subject, cast.investigator_a)
    assert [(each.code, each.kind) for each in refusal.value.blockers] == [(code, BlockerKind.FAILED)]
    assert milestones_of(subject).eligible_on is None
    assert not Eligibility.objects.get(subject=subject).confirmed


@pytest.mark.parametrize("code", TWO_AT_ONCE)
def test_criteria_that_say_the_same_fail_together(make, code):
    overrides, both = TWO_AT_ONCE[code]
    assert failing(make(**overrides)) == both


@pytest.mark.parametrize(
    "overrides",
    [
        {"demographics": {"birth_date": date(BEFORE.year - 18, 3, 9)}},
        {"demographics": {"birth_date": date(BEFORE.year - 81, 3, 10)}},
        {"sites": {"rows": [VERTEBRA, {**VERTEBRA, "level": "T9"}, OTHER[0], OTHER[2]]}},
        {"sites": {"escc": "1b"}},
        {"pain": {"nrs_worst": 1}},
        {"sites": {"other_trial": True, "other_trial_last_date": DAY - timedelta(days=29)}},
        {"sites": {"rows": [{**VERTEBRA, "prior_surgery": True, "prior_surgery_date": date(2025, 9, 10)}]}},
        {"status": {"infection_grade": 1}},
        {"sites": {"rows": [VERTEBRA, {**OTHER[0], "prior_rt": True, "prior_rt_date": date(2026, 2, 1)}]}},
        {"consent": {"signer": "family", "family_relation": "spouse", "family_reason": "Cannot write."}},
        {"consent": {"signed_at": f"{DAY}T09:00"}},
    ],
)
def test_the_last_value_allowed_is_allowed(cast, make, overrides):
    subject = make(**overrides)
    answer(subject, cast.investigator_a)
    assert milestones_of(subject).eligible_on == DAY


UNKNOWNS = {
    "consent": ({"consent": None}, {"INC1", "INC7"}),
    "demographics": ({"demographics": None}, {"INC1"}),
    "tumour": ({"tumour": None}, {"INC2a", "EXC1"}),
    "sites": ({"sites": None}, {"INC2b", "INC2c", "INC2d", "INC5b", "EXC2", "EXC5"}),
    "index site": ({"sites": {"index_level": ""}}, {"INC5b", "EXC5"}),
    "compression": ({"sites": {"escc": ""}}, {"INC2d"}),
    "status": ({"status": None}, {"INC3", "EXC3a", "EXC3b", "EXC3d"}),
    "electrocardiogram": ({"status": {"ecg_done": False}}, {"EXC3a"}),
    "pain": ({"pain": None}, {"INC8"}),
    "surgery date": ({"sites": {"rows": [{**VERTEBRA, "prior_surgery": True}]}}, {"EXC5"}),
    "screening": (
        {"screening": None},
        {"INC4", "INC5a", "INC6", "INC7", "EXC3c", "EXC3e", "EXC4", "EXC6"},
    ),
    "first procedure": ({"screening": {"first_procedure_on": None}}, {"INC7"}),
    "one of two answers": ({"screening": {"mental_disorder": None}}, {"EXC4"}),
}


@pytest.mark.parametrize("missing", UNKNOWNS)
def test_what_is_unknown_blocks(cast, make, missing):
    overrides, codes = UNKNOWNS[missing]
    subject = make(**overrides)
    assert unknown(subject) == codes
    assert failing(subject) == set()
    if missing != "screening":  # without that form there is nothing to confirm: answering would fill it in
        with pytest.raises(NotEligible):
            answer(subject, cast.investigator_a)
    assert milestones_of(subject).eligible_on is None


@pytest.mark.parametrize("code", ["INC3", "EXC3d", "INC4"])
def test_an_answer_never_overrides_what_is_derived(cast, make, code):
    subject = make(**FAILURES[code])
    favourable = "yes" if code.startswith("INC") else "no"
    with pytest.raises(NotEligible):
        answer(subject, cast.investigator_a, {code: (favourable, "I know better")})
    answer(subject, cast.investigator_a, {code: (favourable, "I know better")}, confirm=False)
    row = EligibilityAnswer.objects.get(subject=subject, criterion=code)
    assert (row.answer, row.reason) == ("no" if code.startswith("INC") else "yes", "")
    assert failing(subject) == {code}


def test_an_answer_against_the_data_blocks(cast, make):
    subject = make()
    answer(subject, cast.investigator_a, {"INC2a": ("no", "")}, confirm=False)
    assert blockers(subject) == {"INC2a": "contradicted"}


JUDGED = {
    "EXC3a": ({"status": {"qtc_ms": 490}}, "no"),
    "EXC3d": ({"status": {"systolic_mmhg": 182, "diastolic_mmhg": 95}}, "no"),
    "INC2d": ({"sites": {"escc": "1c"}}, "yes"),
}


@pytest.mark.parametrize("code", JUDGED)
def test_a_judgement_needs_a_reason(cast, make, code):
    overrides, favourable = JUDGED[code]
    subject = make(**overrides)
    assert blockers(subject)[code] == "unjudged"
    answer(subject, cast.investigator_a, {code: (favourable, "")}, confirm=False)
    assert blockers(subject) == {code: "no_reason"}
    answer(subject, cast.investigator_a, {code: (favourable, "Stable for years.")})
    assert blockers(subject) == {}
    row = EligibilityAnswer.objects.get(subject=subject, criterion=code)
    assert (row.verdict, row.reason, row.answered_by) == ("needs_judgement", "Stable for years.", cast.investigator_a)


@pytest.mark.parametrize("code", JUDGED)
def test_a_judgement_can_keep_out(cast, make, code):
    overrides, favourable = JUDGED[code]
    subject = make(**overrides)
    against = "no" if favourable == "yes" else "yes"
    answer(subject, cast.investigator_a, {code: (against, "Too risky.")}, confirm=False)
    assert blockers(subject) == {code: "failed"}


@pytest.mark.parametrize("who", ["coordinator_a", "investigator_b", "monitor_a", "data_manager", "outsider"])
def test_only_an_investigator_of_the_site_answers(cast, make, who):
    subject = make()
    with pytest.raises(PermissionDenied):
        answer(subject, getattr(cast, who))
    assert not EligibilityAnswer.objects.filter(subject=subject).exists()


def test_the_database_keeps_answers_signed_and_single(cast, make):
    subject = make()
    record = Eligibility.objects.get(subject=subject)
    kept = {"subject": subject, "parent": record, "criterion": "INC1"}
    with acting(SETUP, "test"):
        EligibilityAnswer(**kept).save()
    for name, row in (
        ("eligibilityanswer_once", EligibilityAnswer(**kept)),
        ("eligibilityanswer_signed", EligibilityAnswer(**{**kept, "criterion": "INC3"}, answer="yes")),
        ("eligibilityanswer_criterion_known", EligibilityAnswer(**{**kept, "criterion": "INC99"})),
        ("eligibilityanswer_verdict_known", EligibilityAnswer(**{**kept, "criterion": "INC3"}, verdict="perhaps")),
    ):
        with pytest.raises(IntegrityError, match=name), acting(SETUP, "test"):
            row.save()
    record.confirmed = True
    with pytest.raises(IntegrityError, match="eligibility_confirmed_by_someone"), acting(SETUP, "test"):
        record.save()


# --- after the confirmation ---


def open_codes(subject) -> set[str]:
    with on_day():
        return {each.code for each in open_preconditions(subject) if not each.met}


@pytest.mark.parametrize(
    ("spec", "values", "kind"),
    [
        (STATUS, {"ecog": 3, "kps": 40}, ("INC3", "failed")),
        (DEMOGRAPHICS, {"birth_date": date(2015, 1, 1)}, ("INC1", "failed")),
        (SITES, {"escc": "1a"}, ("INC2d", "unconfirmed")),
        (SITES, {"escc": ""}, ("INC2d", "unknown")),
        (PAIN, {"nrs_worst": 0}, ("INC8", "failed")),
        (CONSENT, {"willing_follow_up": False}, ("INC7", "failed")),
    ],
)
def test_a_change_of_the_data_voids_the_confirmation(cast, make, spec, values, kind):
    subject = make()
    answer(subject, cast.investigator_a)
    with on_day():
        assert check_still_eligible(subject)
    change(spec, subject, cast.coordinator_a, **values)
    assert blockers(subject) == dict([kind])
    with on_day():
        assert not check_still_eligible(subject)
    assert open_codes(subject) == {"eligibility"}


def test_data_changed_back_carry_the_confirmation_again(cast, make):
    subject = make()
    answer(subject, cast.investigator_a)
    change(SITES, subject, cast.coordinator_a, escc="1a")
    with on_day():
        assert assess(subject).stale == {"INC2d"}
    change(SITES, subject, cast.coordinator_a, escc="0")
    assert blockers(subject) == {}


def test_the_passing_of_days_leaves_the_answers_fresh(cast, make):
    subject = make()
    answer(subject, cast.investigator_a)
    with on_day(DAY + timedelta(days=5)):
        assert check_still_eligible(subject)


def test_another_confirmation_names_its_own_investigator_and_day(cast, make):
    from tests.followup.helpers import colleague

    subject = make()
    answer(subject, cast.investigator_a)
    change(SITES, subject, cast.coordinator_a, escc="1a")
    second = colleague("second", "investigator", cast.site_a)
    record = answer(subject, second, day=DAY + timedelta(days=2))
    assert record.confirmed_by == second
    assert milestones_of(subject).eligible_on == DAY + timedelta(days=2)
    assert EligibilityAnswer.objects.get(subject=subject, criterion="INC2d").answered_by == second
    assert EligibilityAnswer.objects.get(subject=subject, criterion="INC2a").answered_by == cast.investigator_a


def test_taking_the_confirmation_back_moves_the_milestone(cast, make):
    subject = make()
    answer(subject, cast.investigator_a)
    record = answer(subject, cast.investigator_a, confirm=False)
    assert (record.confirmed_by, record.confirmed_at) == (None, None)
    assert milestones_of(subject).eligible_on is None
    assert open_codes(subject) == {"eligibility"}


def randomise(subject) -> None:
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", randomized_on=DAY)


def test_after_randomisation_the_past_stays(cast, make):
    subject = make()
    answer(subject, cast.investigator_a)
    randomise(subject)
    answer(subject, cast.investigator_a, confirm=False, day=DAY + timedelta(days=3))
    assert milestones_of(subject).eligible_on == DAY
    change(STATUS, subject, cast.coordinator_a, ecog=2, kps=60)
    with pytest.raises(NotEligible):
        answer(subject, cast.investigator_a)


def test_a_consent_after_randomisation_admits_nobody(cast, make):
    subject = make()
    answer(subject, cast.investigator_a)
    randomise(subject)
    later = DAY + timedelta(days=30)
    fill(CONSENT, subject, cast.coordinator_a, day=later, signed_at=f"{later}T10:00", willing_follow_up=False)
    with on_day(later):
        assert check_still_eligible(subject)


def test_a_screen_failure_closes_and_its_retraction_opens_again(cast, make):
    subject = make()
    fill(SCREEN_FAILURE, subject, cast.coordinator_a, failed_on=DAY, reason="declined")
    assert milestones_of(subject).not_eligible_on == DAY
    assert "not_ended" in open_codes(subject)
    with pytest.raises(NotEligible):
        answer(subject, cast.investigator_a)
    change(SCREEN_FAILURE, subject, cast.coordinator_a, retracted=True)
    assert milestones_of(subject).not_eligible_on is None
    answer(subject, cast.investigator_a)
    assert open_codes(subject) == set()


# --- preconditions ---


def without_consent(cast, make):
    return make(consent=None)


def withdrawn(cast, make):
    subject = make()
    values = {"withdrawn_on": DAY, "from_treatment": False, "from_followup": True, "from_data_use": True}
    fill(WITHDRAWAL, subject, cast.coordinator_a, **values, initiator="patient", reason="DRP1")
    return subject


def after(**stones):
    def build(cast, make):
        subject = make()
        answer(subject, cast.investigator_a)
        with acting(SYSTEM, "test"):
            set_milestones(SYSTEM, subject, "test", **stones)
        return subject

    return build


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("consent", without_consent),
        ("not_ended", after(not_eligible_on=DAY)),
        ("not_ended", after(treatment_withdrawn_on=DAY)),
        ("not_ended", withdrawn),
        ("not_ended", after(followup_ended_on=DAY)),
        ("not_ended", after(death_date=DAY, death_source="P.EOS")),
        ("index_site", lambda cast, make: make(sites={"index_level": ""})),
        ("index_site", lambda cast, make: make(sites=None)),
        ("baseline_pain", lambda cast, make: make(pain=None)),
        ("baseline_pain", lambda cast, make: make(pain={"analgesics": "unknown", "rows": []})),
        ("baseline_pain", lambda cast, make: make(pain={"rows": [{**MORPHINE, "dose": None}]})),
        ("performance", lambda cast, make: make(status=None)),
        ("performance", lambda cast, make: make(status={"assessed_on": DAY - timedelta(days=8)})),
        ("eligibility", lambda cast, make: make()),
    ],
)
def test_each_precondition_can_be_open(cast, make, code, build):
    assert code in open_codes(build(cast, make))


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"status": {"assessed_on": DAY - timedelta(days=7)}},
        {"pain": {"analgesics": "none", "rows": []}},
    ],
)
def test_every_precondition_can_be_met(cast, make, overrides):
    subject = make(**overrides)
    answer(subject, cast.investigator_a)
    with on_day():
        checklist = open_preconditions(subject)
    assert all(each.met for each in checklist)
    assert len(checklist) == 6
    assert all(each.url.startswith("/") and each.text for each in checklist)


def test_a_refused_confirmation_leaves_nothing_behind(cast, make):
    subject = make(status={"ecog": 2, "kps": 60})
    version = Eligibility.objects.get(subject=subject).row_version
    with pytest.raises(NotEligible), transaction.atomic():
        answer(subject, cast.investigator_a)
    assert Eligibility.objects.get(subject=subject).row_version == version
    assert not EligibilityAnswer.objects.filter(subject=subject).exists()


def test_a_new_subject_has_everything_open(cast):
    with on_day():
        subject = do_register(cast.coordinator_a, cast.site_a, DAY, {"name": "Zhang"})
    assert open_codes(subject) == {"consent", "index_site", "baseline_pain", "performance", "eligibility"}
    assert len(blockers(subject)) == len(CURRENT.criteria)
    assert SCREENING.page == "eligibility"
