"""Baseline characteristics: numbers counted by hand, standardised differences from R 4.2.2."""

import pytest

from spinetrial.analysis.baseline import ORDER, Kind, summary
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.stats.estimate import Reason
from tests.analysis.trial import Patient, failure, make_snapshot, two_arms


def analyse(patients, arms=Arms.SHOWN):
    return results(make_snapshot(patients), arms).baseline


def people(arm, first, ages, lesions, females):
    """Participants of an arm with an age at randomisation, a lesion at the index site, the first so many female."""
    made = []
    for place, (age, lesion) in enumerate(zip(ages, lesions, strict=True)):
        patient = Patient(number=first + place, arm=arm)
        patient.answers = {
            "P.DM": {"birth_date": f"{2025 - age}-01-01", "sex": "female" if place < females else "male"},
        }
        patient.rows = [("P.SITES.sites", {"parent": "P.SITES", "level": "T12", "lesion": lesion, "fracture": False})]
        made.append(patient)
    return made


@pytest.fixture
def known():
    """Six against five; R: see each test."""
    one = people("LOCAL", 1, (41, 55, 60, 62, 70, 48), ("lytic",) * 3 + ("mixed",) * 2 + ("blastic",), 4)
    other = people("WHOLE", 7, (50, 66, 71, 59, 64), ("lytic", "mixed", "mixed", "blastic", "blastic"), 1)
    return analyse(one + other)


def test_a_number_is_described_and_compared(known):
    age = known.of("age")
    assert age.kind is Kind.NUMBER
    first = age.summaries[0]
    # R: mean, sd, quantile(type = 7) of the six ages.
    assert (first.n, first.missing, first.mean.value, first.median.value) == (6, 0, 56.0, 57.5)
    assert first.sd.value == pytest.approx(10.37304198, abs=1e-8)
    assert (first.lower_quartile.value, first.upper_quartile.value) == (49.75, 61.5)
    assert (first.least.value, first.most.value) == (41, 70)
    # R: (mean(x) - mean(y)) / sqrt((var(x) + var(y)) / 2)
    assert age.smd.value == pytest.approx(-0.648696035042, abs=1e-11)


def test_two_classes_are_compared_by_their_proportions(known):
    sex = known.of("sex")
    assert sex.levels == (("female", (4, 1)), ("male", (2, 4)))
    # R: (p - q) / sqrt((p (1 - p) + q (1 - q)) / 2) with p = 4/6, q = 1/5
    assert sex.smd.value == pytest.approx(1.06748999233, abs=1e-10)


def test_more_classes_have_a_distance_without_sign(known):
    lesion = known.of("lesion")
    assert lesion.levels == (("lytic", (3, 1)), ("mixed", (2, 2)), ("blastic", (1, 2)))
    # R: sqrt((p - q)' S^-1 (p - q)), first level dropped, S the mean multinomial covariance
    assert lesion.smd.value == pytest.approx(0.722211150883, abs=1e-11)


def test_what_chance_alone_leaves(known):
    # R: qnorm(0.975) * sqrt(1/6 + 1/5)
    assert known.chance.value == pytest.approx(1.18681713036, abs=1e-10)
    assert known.level == 0.95


def test_a_class_all_share_does_not_differ(known):
    assert known.of("primary_site").levels == (("lung", (6, 5)),)
    assert known.of("primary_site").smd.value == 0
    assert known.of("visceral").smd.value == 0


def test_instability_score_is_counted_from_its_parts():
    patient = Patient()
    # Junctional T12 (3), mechanical pain (3), lytic (2), deformity (2), collapse over half (3), one side (1): 14.
    parts = {"pain": "mechanical", "alignment": "deformity", "collapse": "over_half", "posterolateral": "one"}
    patient.answers = {"P.SITES": {f"sins_{name}": value for name, value in parts.items()}}
    site = {"parent": "P.SITES", "lesion": "lytic", "fracture": True}
    patient.rows = [("P.SITES.sites", {**site, "level": level}) for level in ("T12", "L3")]
    found = analyse([patient], Arms.POOLED)
    assert found.of("sins").summaries[0].mean.value == 14
    assert found.of("stability").levels == (("unstable", (1,)),)
    assert found.of("metastases").summaries[0].mean.value == 2
    assert found.of("fracture").levels == (("True", (1,)),)
    del patient.answers["P.SITES"]["sins_collapse"]
    assert analyse([patient], Arms.POOLED).of("sins").summaries[0].missing == 1


def test_an_opioid_is_taken_where_there_is_a_dose():
    patients = [Patient(number=1, omed=0), Patient(number=2), Patient(number=3, arm="WHOLE")]
    patients[2].answers = {"P.PAIN": {"analgesics": "unknown"}}
    found = analyse(patients)
    assert found.of("opioid").levels == (("True", (1, 0)), ("False", (1, 0)))
    assert found.of("opioid").missing == found.of("analgesics").missing == (0, 1)
    assert found.of("opioid").smd.reason is Reason.EMPTY_ARM


def test_missing_values_are_counted_apart_and_not_compared():
    patients = two_arms((2, 1), (1, 2))
    patients[0].answers = {"P.STATUS": {"kps": None, "ecog": None}}
    found = analyse(patients)
    kps, ecog = found.of("kps"), found.of("ecog")
    assert kps.missing == ecog.missing == (1, 0)
    assert [each.n for each in kps.summaries] == [2, 3]
    assert ecog.levels == (("1", (2, 3)),)


@pytest.mark.parametrize(
    ("patients", "reason"),
    [
        ([], Reason.EMPTY_ARM),
        (two_arms((2, 1), (0, 0)), Reason.EMPTY_ARM),
        (two_arms((1, 0), (1, 0)), Reason.NO_STANDARD_DEVIATION),
    ],
)
def test_empty_and_tiny_arms_are_not_estimable(patients, reason):
    found = analyse(patients)
    assert tuple(each.code for each in found.characteristics) == ORDER
    assert found.of("age").smd.reason is reason
    assert all(each.smd is not None for each in found.characteristics)


def test_a_difference_without_any_spread_is_not_estimable():
    patients = [Patient(number=n, arm=arm, nrs=nrs) for n, (arm, nrs) in enumerate((("LOCAL", 5), ("WHOLE", 7)) * 2, 1)]
    assert analyse(patients).of("nrs").smd.reason is Reason.ZERO_VARIANCE


def test_pooled_has_one_column_and_no_difference():
    found = analyse([*two_arms((2, 0), (2, 0)), failure(9, "WHOLE")], Arms.POOLED)
    assert found.sizes == (5,)
    assert found.chance is None
    assert all(each.smd is None for each in found.characteristics)


def test_one_value_has_no_standard_deviation():
    found = summary([None, 4.0])
    assert (found.n, found.missing, found.median.value, found.sd.reason) == (1, 1, 4.0, Reason.NO_STANDARD_DEVIATION)
    assert (found.lower_quartile.value, found.most.value) == (4.0, 4.0)
    assert summary([]).mean.reason is Reason.NO_PATIENTS
