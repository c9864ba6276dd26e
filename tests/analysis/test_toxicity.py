"""Adverse events counted by hand; tests and intervals from R 4.2.2 (fisher.test, a score interval written there)."""

import pytest

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.analysis.toxicity import Harm
from spinetrial.stats.estimate import Reason
from spinetrial.terminology import ctcae
from tests.analysis.trial import Patient, make_snapshot, two_arms

SKIN, FATIGUE, ESOPHAGITIS, NAUSEA = "10061103", "10016256", "10015461", "10028813"


def analyse(patients, arms=Arms.SHOWN):
    return results(make_snapshot(patients), arms).toxicity


def with_events(numbers, code=SKIN, grade=1):
    """34 against 32 participants, of whom so many of each arm have the event."""
    patients = two_arms((34, 0), (32, 0))
    for start, count in zip((0, 34), numbers, strict=True):
        for patient in patients[start : start + count]:
            patient.events = [(code, grade)]
    return patients


def event(patient, code=SKIN, grade=1, after=0, **more):
    """An adverse event with onset so many days after the last fraction."""
    onset = patient.rt_end.fromordinal(patient.rt_end.toordinal() + after).isoformat()
    row = {"ctcae_code": code, "grade": grade, "onset_date": onset, "relation_radiotherapy": "unrelated", **more}
    patient.rows.append(("A.AE", row))


def test_test_and_interval_of_a_term():
    (row,) = analyse(with_events((8, 2))).rows
    assert row.counts == ((8, 34), (2, 32))
    # R: fisher.test(matrix(c(8, 26, 2, 30), 2, byrow = TRUE))
    assert row.cuts[0].test.p.value == pytest.approx(0.0840550625286, abs=1e-12)
    # R: Miettinen-Nurminen by maximising the likelihood at each difference
    assert row.difference.lower.value == pytest.approx(-0.001846963453, abs=1e-7)
    assert row.difference.upper.value == pytest.approx(0.350758348689, abs=1e-7)
    assert row.difference.estimate.value == pytest.approx(8 / 34 - 2 / 32)


def test_the_cuts_count_the_worst_grade():
    patients = two_arms((2, 0), (1, 0))
    patients[0].events = [(SKIN, 1), (SKIN, 3), (FATIGUE, 2)]
    patients[1].events = [(SKIN, 2)]
    rows = {row.term_code: row for row in analyse(patients).rows}
    assert rows[SKIN].grades == ((0, 1, 1, 0, 0), (0, 0, 0, 0, 0))
    assert [cut.counts for cut in rows[SKIN].cuts] == [((2, 2), (0, 1)), ((2, 2), (0, 1)), ((1, 2), (0, 1))]
    assert rows[FATIGUE].grades[0] == (0, 1, 0, 0, 0)


def test_a_class_counts_a_participant_once_with_the_worst_of_its_terms():
    patients = two_arms((3, 0), (2, 0))
    patients[0].events = [(ESOPHAGITIS, 1), (NAUSEA, 3)]
    patients[1].events = [(NAUSEA, 2), (SKIN, 1)]
    patients[3].events = [(ESOPHAGITIS, 2)]
    classes = {each.soc: each for each in analyse(patients).classes}
    gut = classes["Gastrointestinal disorders"]
    assert gut.counts == ((2, 3), (1, 2))
    assert gut.grades == ((0, 1, 1, 0, 0), (0, 1, 0, 0, 0))
    assert [row.term_code for row in gut.terms] == [ESOPHAGITIS, NAUSEA]
    assert list(classes) == [soc for soc in ctcae.socs() if soc in classes]
    # Every term stands in exactly one class.
    assert sorted(row.term_code for each in classes.values() for row in each.terms) == sorted(
        (ESOPHAGITIS, NAUSEA, SKIN)
    )


def test_questions_over_all_terms():
    patients = two_arms((3, 0), (2, 0))
    one, two, three, four, five = patients
    event(one, SKIN, 1, relation_radiotherapy="possible")
    event(one, FATIGUE, 3, after=90, sae_hospital=True, action="interrupted")
    event(two, SKIN, 2, after=91, relation_radiotherapy="unlikely")
    event(two, SKIN, 2, after=-20, relation_radiotherapy="definite", sae_important=True)
    event(four, FATIGUE, 5, sae_death=True, relation_radiotherapy="probable")
    event(five, FATIGUE, 4)
    five.fractions = 0
    found = analyse(patients)
    expected = {
        Harm.ANY: (2, 1),
        Harm.GE3: (1, 1),
        Harm.SERIOUS: (2, 1),
        Harm.RELATED: (2, 1),
        Harm.RELATED_GE3: (0, 1),
        Harm.RELATED_SERIOUS: (1, 1),
        Harm.BEFORE: (1, 0),
        Harm.ACUTE: (1, 1),
        Harm.LATE: (1, 0),
        Harm.STOPPED: (1, 0),
        Harm.FATAL: (0, 1),
        Harm.RELATED_FATAL: (0, 1),
    }
    assert {row.harm: tuple(x for x, _n in row.counts) for row in found.harms} == expected
    assert found.harm(Harm.ANY).events == (4, 1)
    assert found.treated == (3, 1)
    assert found.untreated == (0, 1)
    assert three.events == []


def test_the_most_frequent_terms_come_first_then_the_severe_then_by_name():
    patients = two_arms((4, 0), (4, 0))
    for patient, events in zip(
        patients,
        ([(SKIN, 1), (NAUSEA, 1)], [(SKIN, 1), (FATIGUE, 1)], [(ESOPHAGITIS, 3)], [], [(ESOPHAGITIS, 1)], [], [], []),
        strict=True,
    ):
        patient.events = events
    assert [row.term_code for row in analyse(patients).by_frequency()] == [ESOPHAGITIS, SKIN, FATIGUE, NAUSEA]


@pytest.mark.parametrize(("numbers", "p"), [((34, 32), 1.0), ((0, 1), pytest.approx(32 / 66))])
def test_everybody_or_hardly_anybody(numbers, p):
    (row,) = analyse(with_events(numbers)).rows
    assert row.cuts[0].test.p.value == p
    assert row.difference.lower.value < row.difference.estimate.value < row.difference.upper.value


def test_nobody_and_an_empty_arm():
    assert analyse([]).rows == ()
    assert analyse([]).harm(Harm.ANY).counts == ((0, 0), (0, 0))
    (row,) = analyse([Patient(events=[(SKIN, 2)])]).rows
    assert row.counts == ((1, 1), (0, 0))
    assert row.cuts[0].test.p.reason is row.difference.estimate.reason is Reason.EMPTY_ARM


def test_a_code_outside_the_version_is_counted_in_a_class_of_its_own():
    found = analyse([Patient(events=[("99999999", 2)])])
    assert [each.soc for each in found.classes] == [""]


def test_pooled_compares_nothing():
    found = analyse(with_events((8, 2)), Arms.POOLED)
    (row,) = found.rows
    assert row.counts == ((10, 66),)
    assert row.difference is None
    assert all(cut.test is None for cut in row.cuts)
    assert all(harm.difference is None for harm in found.harms)
