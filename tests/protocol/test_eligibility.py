"""Every criterion at its border, with unknown inputs, and the sum of it: who may be randomised."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.protocol import CURRENT
from spinetrial.protocol.eligibility import (
    BLOCKER_TEXTS,
    FACTS,
    VERDICT_LABELS,
    Answer,
    BlockerKind,
    FactError,
    Verdict,
    eligible,
    evaluate,
    evaluate_all,
)
from spinetrial.protocol.model import CriterionKind, CriterionType

MET, NOT_MET, UNKNOWN, JUDGE = Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN, Verdict.NEEDS_JUDGEMENT

GOOD = {
    "birth_date": date(1966, 5, 4),
    "consent_date": date(2026, 3, 2),
    "consent_signer": "patient",
    "consent_family_relation": None,
    "consent_family_reason": None,
    "willing_follow_up": True,
    "first_procedure_date": date(2026, 3, 2),
    "randomisation_date": date(2026, 3, 10),
    "pathology_confirmed": True,
    "tumour_class": "solid",
    "imaging_modality": "MRI",
    "metastasis_levels": ("T5", "T6", "L2"),
    "escc_grade": "1a",
    "index_nrs_worst": 6,
    "ecog": 1,
    "systolic_mmhg": 130,
    "diastolic_mmhg": 80,
    "myocardial_infarction": False,
    "myocardial_ischaemia": False,
    "nyha_class": 0,
    "qtc_ms": 420,
    "infection_grade": 0,
    "unhealed_wound": False,
    "prior_rt_target": False,
    "prior_rt_target_date": None,
    "target_surgery": False,
    "target_surgery_date": None,
    "other_trial": False,
    "other_trial_last_date": None,
    "serious_chronic_disease": False,
    "rt_contraindication": False,
    "expected_survival_months": 6,
    "active_bleeding": False,
    "large_vessel_tumour": False,
    "drug_abuse": False,
    "mental_disorder": False,
    "other_serious_disease": False,
}
ON_CONDITION = {
    "consent_family_relation",
    "consent_family_reason",
    "prior_rt_target_date",
    "target_surgery_date",
    "other_trial_last_date",
}
FAMILY = {"consent_signer": "family", "consent_family_relation": "son", "consent_family_reason": "cannot write"}


def verdict(code: str, **facts) -> Verdict:
    return evaluate(CURRENT.criterion(code), GOOD | facts).verdict


def confirmations() -> dict[str, Answer]:
    return {
        criterion.code: Answer(holds=criterion.type is CriterionType.INCLUSION)
        for criterion in CURRENT.criteria
        if criterion.kind is CriterionKind.PROPOSED
    }


def blockers(answers=None, **facts) -> dict[str, BlockerKind]:
    result = eligible(evaluate_all(CURRENT, GOOD | facts), confirmations() if answers is None else answers)
    assert result.eligible == (not result.blockers)
    return {blocker.code: blocker.kind for blocker in result.blockers}


CASES = [
    ("INC1", {"birth_date": date(2008, 3, 2)}, MET),
    ("INC1", {"birth_date": date(2008, 3, 3)}, NOT_MET),
    ("INC1", {"birth_date": date(1945, 3, 3)}, MET),  # 80 years and 364 days
    ("INC1", {"birth_date": date(1945, 3, 2)}, NOT_MET),
    ("INC1", {"consent_date": None}, UNKNOWN),
    ("INC2a", {}, MET),
    ("INC2a", {"pathology_confirmed": False, "tumour_class": None}, NOT_MET),
    ("INC2a", {"tumour_class": "lymphoma", "pathology_confirmed": None}, NOT_MET),
    ("INC2a", {"tumour_class": None}, UNKNOWN),
    ("INC2b", {"metastasis_levels": ()}, NOT_MET),
    ("INC2b", {"imaging_modality": None}, UNKNOWN),
    ("INC2b", {"metastasis_levels": None}, UNKNOWN),
    ("INC2c", {"metastasis_levels": ("T5", "C3", "T6", "T5", "L2")}, MET),
    ("INC2c", {"metastasis_levels": ("C7", "T1", "T12", "L1", "L5", "S1")}, MET),
    ("INC2c", {"metastasis_levels": ("C3", "T1", "T5", "L2")}, NOT_MET),
    ("INC2c", {"metastasis_levels": ()}, UNKNOWN),
    ("INC2c", {"metastasis_levels": None}, UNKNOWN),
    ("INC2d", {"escc_grade": "0"}, MET),
    ("INC2d", {"escc_grade": "1b"}, MET),
    ("INC2d", {"escc_grade": "1c"}, JUDGE),
    ("INC2d", {"escc_grade": "2"}, NOT_MET),
    ("INC2d", {"escc_grade": "3"}, NOT_MET),
    ("INC2d", {"escc_grade": None}, UNKNOWN),
    ("INC3", {"ecog": 1}, MET),
    ("INC3", {"ecog": 2}, NOT_MET),
    ("INC4", {"serious_chronic_disease": True}, NOT_MET),
    ("INC4", {"serious_chronic_disease": None}, UNKNOWN),
    ("INC5a", {"rt_contraindication": True}, NOT_MET),
    ("INC5b", {"prior_rt_target": True, "prior_rt_target_date": date(2001, 1, 1)}, NOT_MET),
    ("INC6", {"expected_survival_months": 3}, MET),
    ("INC6", {"expected_survival_months": 2.5}, NOT_MET),
    ("INC7", {}, MET),
    ("INC7", {"first_procedure_date": date(2026, 3, 1)}, NOT_MET),
    ("INC7", {"willing_follow_up": False}, NOT_MET),
    ("INC7", {"consent_signer": "neighbour"}, NOT_MET),
    ("INC7", FAMILY, MET),
    ("INC7", FAMILY | {"consent_family_reason": "  "}, UNKNOWN),
    ("INC7", {"first_procedure_date": None}, UNKNOWN),
    ("INC8", {"index_nrs_worst": 1}, MET),
    ("INC8", {"index_nrs_worst": 0}, NOT_MET),
    ("EXC1", {"tumour_class": "myeloma"}, MET),
    ("EXC1", {"tumour_class": "solid"}, NOT_MET),
    ("EXC2", {"other_trial": True, "other_trial_last_date": date(2026, 2, 10)}, MET),  # day 28
    ("EXC2", {"other_trial": True, "other_trial_last_date": date(2026, 2, 9)}, NOT_MET),
    ("EXC2", {"other_trial": True}, UNKNOWN),
    ("EXC2", {"other_trial": None}, UNKNOWN),
    ("EXC3a", {"myocardial_ischaemia": True, "nyha_class": 2, "qtc_ms": 480}, MET),
    ("EXC3a", {"myocardial_infarction": True, "nyha_class": 2, "qtc_ms": 479}, JUDGE),
    ("EXC3a", {"nyha_class": 1, "qtc_ms": 500}, JUDGE),
    ("EXC3a", {"nyha_class": 1, "qtc_ms": 479}, NOT_MET),
    ("EXC3a", {"qtc_ms": None}, UNKNOWN),
    ("EXC3b", {"infection_grade": 2}, MET),
    ("EXC3b", {"infection_grade": 1}, NOT_MET),
    ("EXC3b", {"infection_grade": None, "unhealed_wound": True}, MET),
    ("EXC3b", {"unhealed_wound": None}, UNKNOWN),
    ("EXC3c", {"active_bleeding": True}, MET),
    ("EXC3d", {"systolic_mmhg": 180, "diastolic_mmhg": 110}, MET),
    ("EXC3d", {"systolic_mmhg": 182, "diastolic_mmhg": 95}, JUDGE),
    ("EXC3d", {"systolic_mmhg": 150, "diastolic_mmhg": 110}, JUDGE),
    ("EXC3d", {"systolic_mmhg": 179, "diastolic_mmhg": 109}, NOT_MET),
    ("EXC3d", {"diastolic_mmhg": None}, UNKNOWN),
    ("EXC3e", {"large_vessel_tumour": True}, MET),
    ("EXC4", {"mental_disorder": True, "drug_abuse": None}, MET),
    ("EXC4", {"drug_abuse": None}, UNKNOWN),
    ("EXC5", {"target_surgery": True, "target_surgery_date": date(2025, 9, 10)}, NOT_MET),  # exactly 6 months
    ("EXC5", {"target_surgery": True, "target_surgery_date": date(2025, 9, 11)}, MET),
    (
        "EXC5",
        {
            "target_surgery": True,
            "target_surgery_date": date(2026, 2, 28),
            "randomisation_date": date(2026, 8, 31),
        },
        NOT_MET,  # six months before 31 August is clamped to 28 February
    ),
    ("EXC5", {"prior_rt_target": True, "prior_rt_target_date": date(2026, 1, 1)}, MET),
    ("EXC5", {"target_surgery": True}, UNKNOWN),
    ("EXC5", {"target_surgery": None}, UNKNOWN),
    ("EXC6", {"other_serious_disease": True}, MET),
]


@pytest.mark.parametrize(("code", "facts", "expected"), CASES)
def test_criterion(code, facts, expected):
    assert verdict(code, **facts) is expected


def test_every_criterion_is_tested_on_both_sides():
    for criterion in CURRENT.criteria:
        seen = {expected for code, _facts, expected in CASES if code == criterion.code} | {verdict(criterion.code)}
        assert {MET, NOT_MET} <= seen, criterion.code


def test_passes_turns_round_for_exclusions():
    good, bad = GOOD, GOOD | {"other_serious_disease": True, "ecog": 2}
    for facts, passes in ((good, True), (bad, False)):
        assert evaluate(CURRENT.criterion("EXC6"), facts).passes is passes
        assert evaluate(CURRENT.criterion("INC3"), facts).passes is passes
    assert evaluate(CURRENT.criterion("INC3"), {}).passes is None


def test_a_good_subject_is_eligible():
    assert blockers() == {}


@pytest.mark.parametrize("name", sorted(set(FACTS) - ON_CONDITION))
def test_every_unknown_fact_blocks(name):
    assert BlockerKind.UNKNOWN in blockers(**{name: None}).values()


def test_nothing_known_blocks_everything():
    found = eligible(evaluate_all(CURRENT, {}), {}).blockers
    assert len(found) == len(CURRENT.criteria)
    assert {blocker.kind for blocker in found} == {BlockerKind.UNKNOWN}


def test_failure_is_final_and_unknown_is_not():
    failed = eligible(evaluate_all(CURRENT, GOOD | {"ecog": 3}), confirmations())
    assert failed.failed
    assert failed.blockers[0].text == BLOCKER_TEXTS[BlockerKind.FAILED]
    assert not eligible(evaluate_all(CURRENT, GOOD | {"ecog": None}), confirmations()).failed


def test_proposals_need_the_investigators_confirmation():
    assert blockers(answers={}) == {code: BlockerKind.UNCONFIRMED for code in confirmations()}
    contradicted = confirmations() | {"EXC3b": Answer(holds=True, reason="fever")}
    assert blockers(answers=contradicted) == {"EXC3b": BlockerKind.CONTRADICTED}


def test_an_answer_never_overrules_the_data():
    answers = confirmations() | {"EXC1": Answer(holds=False, reason="waived"), "INC3": Answer(holds=True, reason="w")}
    assert blockers(answers, tumour_class="myeloma")["EXC1"] is BlockerKind.FAILED
    assert blockers(answers, ecog=2)["INC3"] is BlockerKind.FAILED
    assert blockers(answers, ecog=None)["INC3"] is BlockerKind.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, BlockerKind.UNJUDGED),
        (Answer(holds=False), BlockerKind.NO_REASON),
        (Answer(holds=False, reason="  "), BlockerKind.NO_REASON),
        (Answer(holds=True, reason="hypertensive crisis"), BlockerKind.FAILED),
        (Answer(holds=False, reason="white-coat reading, 150/90 at home"), None),
    ],
)
def test_a_judgement_needs_a_reason(answer, expected):
    answers = confirmations() | ({"EXC3d": answer} if answer else {})
    assert blockers(answers, systolic_mmhg=182, diastolic_mmhg=95).get("EXC3d") is expected


def test_a_judged_inclusion_passes_when_it_holds():
    answers = confirmations()
    kept = answers | {"INC2d": Answer(holds=True, reason="sac touches the cord without shift")}
    assert blockers(kept, escc_grade="1c") == {}
    refused = answers | {"INC2d": Answer(holds=False, reason="too close")}
    assert blockers(refused, escc_grade="1c") == {"INC2d": BlockerKind.FAILED}


def test_lowest_pain_is_flagged():
    assert evaluate(CURRENT.criterion("INC8"), GOOD | {"index_nrs_worst": 1}).flags
    assert not evaluate(CURRENT.criterion("INC8"), GOOD).flags


def test_inputs_show_labels_and_values():
    finding = evaluate(CURRENT.criterion("EXC3d"), GOOD | {"diastolic_mmhg": None})
    assert finding.inputs == (("Systolic blood pressure", 130), ("Diastolic blood pressure", None))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ecog", True),
        ("ecog", "1"),
        ("serious_chronic_disease", 0),
        ("birth_date", datetime(1966, 5, 4, 12, 0)),
        ("metastasis_levels", ["T5"]),
    ],
)
def test_a_fact_of_the_wrong_type_is_refused(name, value):
    with pytest.raises(FactError, match=name):
        evaluate_all(CURRENT, GOOD | {name: value})


def test_every_verdict_and_blocker_has_words():
    assert set(VERDICT_LABELS) == set(Verdict)
    assert set(BLOCKER_TEXTS) == set(BlockerKind)


VALUES = {
    bool: st.booleans(),
    int: st.integers(0, 600),
    date: st.dates(date(1920, 1, 1), date(2030, 1, 1)),
    tuple: st.lists(st.sampled_from(["C1", "C2", "T1", "T5", "L5", "S1", "S5"])).map(tuple),
    str: st.sampled_from(["", "solid", "lymphoma", "patient", "family", "0", "1c", "3", "MRI", "other"]),
}


@given(st.fixed_dictionaries({name: st.none() | VALUES[fact.type] for name, fact in FACTS.items()}))
def test_total_and_only_complete_passes_are_eligible(facts):
    findings = evaluate_all(CURRENT, facts)
    answers = {finding.code: Answer(holds=bool(finding.holds), reason="x") for finding in findings}
    result = eligible(findings, answers)
    settled = [
        answers[f.code].holds == (f.type is CriterionType.INCLUSION) if f.verdict is JUDGE else f.passes
        for f in findings
    ]
    assert result.eligible == all(value is True for value in settled)
