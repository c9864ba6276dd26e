"""Pain over time: hand-made participants whose means, medians, deaths and best changes can be counted on paper."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from followup.response import Category
from spinetrial.analysis import sets
from spinetrial.analysis.groups import Arms, groups_of
from spinetrial.analysis.pain import COVARIANCES, died_before, due_date, pain
from spinetrial.protocol import CURRENT
from spinetrial.stats.estimate import Reason
from spinetrial.stats.mmrm import Structure
from tests.analysis.trial import Patient, failure, make_snapshot, responder, two_arms

#: Baseline and the scores at W2, M3, M6; both arms have the same baselines, so nothing is adjusted away.
STUDY = [(4, 3, 2, 2), (5, 5, 1, 4), (6, 2, 3, 1), (7, 6, 6, 3), (8, 4, 2, 5), (9, 8, 5, 6), (10, 7, 9, 4)]
CONTROL = [(4, 4, 4, 1), (5, 2, 3, 5), (6, 6, 5, 4), (7, 5, 2, 6), (8, 8, 7, 3), (9, 6, 8, 9), (10, 10, 6, 7)]


def people(arm, scores, first=1):
    return [
        Patient(number=first + place, arm=arm, nrs=nrs,
                visits={visit: (score, 60, 0) for visit, score in zip(("W2", "M3", "M6"), row, strict=True)})
        for place, (nrs, *row) in enumerate(scores)
    ]  # fmt: skip


def balanced():
    return [*people("LOCAL", STUDY), *people("WHOLE", CONTROL, 11)]


def analyse(patients, arms=Arms.SHOWN, protocol=CURRENT):
    snapshot = make_snapshot(patients)
    analysed = sets.build(snapshot if arms is Arms.SHOWN else snapshot.without_arm(), protocol)
    return pain(protocol, groups_of(protocol, analysed.rows, arms), analysed.visits)


def means(scores, place):
    return sum(row[place] for row in scores) / len(scores)


def test_with_complete_data_and_equal_baselines_the_model_gives_the_observed_means():
    found = analyse(balanced())
    assert found.compared == ("W2", "M3", "M6")
    for place, contrast in enumerate(found.comparison.model.contrasts, 1):
        assert contrast.mean_study.value == pytest.approx(means(STUDY, place), abs=1e-6)
        assert contrast.mean_control.value == pytest.approx(means(CONTROL, place), abs=1e-6)
        assert contrast.difference.value == pytest.approx(means(STUDY, place) - means(CONTROL, place), abs=1e-6)
        assert (contrast.n_study, contrast.n_control) == (7, 7)
        assert contrast.interval_mean_study.lower.value < contrast.mean_study.value
    # Study minus control, by hand at the primary visit: 28/7 - 35/7.
    assert found.comparison.model.contrasts[1].difference.value == pytest.approx(-1.0, abs=1e-6)
    assert found.comparison.baseline.mean.value == 7


def test_the_arms_are_not_exchanged():
    turned = [*people("WHOLE", STUDY), *people("LOCAL", CONTROL, 11)]
    one, other = analyse(balanced()).comparison, analyse(turned).comparison
    for first, second in zip(one.model.contrasts, other.model.contrasts, strict=True):
        assert first.difference.value == pytest.approx(-second.difference.value, abs=1e-6)
    assert one.ancova.difference.value == pytest.approx(-other.ancova.difference.value)
    assert one.ranks[1].nrs_shift.shift.value == -other.ranks[1].nrs_shift.shift.value


def test_covariance_analysis_is_least_squares_at_the_primary_visit():
    patients = balanced()
    patients[0].visits.pop("M3")
    patients[9].nrs = 3
    found = analyse(patients).comparison.ancova
    rows = [(p.arm == "LOCAL", p.nrs, p.visits["M3"][0]) for p in patients if "M3" in p.visits]
    design = np.array([[1, arm, nrs] for arm, nrs, _score in rows], dtype=float)
    beta, rest, *_more = np.linalg.lstsq(design, np.array([row[2] for row in rows], dtype=float), rcond=None)
    assert found.difference.value == pytest.approx(beta[1])
    se = np.sqrt(rest[0] / (len(rows) - 3) * np.linalg.inv(design.T @ design)[1, 1])
    assert found.se.value == pytest.approx(se)
    assert (found.n_study, found.n_control, found.n_left_out) == (6, 7, 1)


def test_rank_tests_and_shifts_of_score_and_change():
    patients = balanced()
    patients[9].nrs = 3
    for place, each in enumerate(analyse(patients).comparison.ranks):
        scores = [[p.visits[each.visit][0] for p in patients if p.arm == arm] for arm in ("LOCAL", "WHOLE")]
        changes = [[p.visits[each.visit][0] - p.nrs for p in patients if p.arm == arm] for arm in ("LOCAL", "WHOLE")]
        assert each.visit == ("W2", "M3", "M6")[place]
        for (x, y), test, shift in ((scores, each.nrs, each.nrs_shift), (changes, each.change, each.change_shift)):
            other = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=True)
            assert test.u.value == other.statistic
            assert test.p.value == pytest.approx(other.pvalue)
            assert shift.shift.value == np.median(np.subtract.outer(x, y))
    # The planted baseline moves the change and not the score.
    plain, moved = analyse(balanced()).comparison.ranks[0], analyse(patients).comparison.ranks[0]
    assert plain.nrs == moved.nrs
    assert plain.change != moved.change


def test_alive_assessed_and_not_due_are_counted_at_each_visit():
    patients = balanced()
    dead = patients[0]
    dead.visits = {"W2": (3, 60, 0)}
    dead.death = dead.due("M3") - timedelta(days=1)
    alive_when_due = patients[1]
    alive_when_due.visits = {"W2": (5, 60, 0)}
    alive_when_due.death = alive_when_due.due("M3")
    seen_early = patients[2]
    seen_early.visits["M6"] = (1, 60, -10)
    seen_early.death = seen_early.due("M6") - timedelta(days=3)
    lost = patients[3]
    lost.visits = {}
    lost.ended = lost.due("W2")
    patients[4].visits["M12"] = (1, 60, 0)
    study = analyse(patients).groups[0]
    assert [(p.n, p.died, p.alive, p.nrs.n) for p in study.time_points] == [
        (7, 0, 7, 7),
        (7, 0, 7, 6),  # W2: the lost one is not known to have died
        (7, 1, 6, 4),  # M3: death on the due date is alive at the visit
        (7, 2, 5, 4),  # M6: scored before the death, so alive at the visit
        (7, 3, 4, 1),  # M12
    ]
    # Last day of the data: M12 of the fifth; those randomised later are not due, the lost one never is.
    assert [point.not_due for point in study.time_points] == [0, 0, 0, 0, 2]


def test_death_during_radiotherapy_is_death_before_every_visit():
    patient = failure(1, "LOCAL", visits={}, death=date(2025, 3, 9))
    row = sets.build(make_snapshot([patient]), CURRENT).rows[0]
    row = replace(row, rt_end=None)
    assert due_date(CURRENT, row, "W2") is None
    assert died_before(CURRENT, row, "W2")


def test_visits_are_due_after_the_end_of_radiotherapy_or_after_randomisation_without_it():
    row = sets.build(make_snapshot([failure(1, "LOCAL")]), CURRENT).rows[0]
    assert due_date(CURRENT, row, "W2") == row.rt_end + timedelta(days=14)
    assert due_date(CURRENT, row, "M12") == date(row.rt_end.year + 1, row.rt_end.month, row.rt_end.day)
    never = replace(row, rt_start=None, rt_end=None, fractions=0)
    assert due_date(CURRENT, never, "W2") == row.randomized + timedelta(days=14)
    with pytest.raises(ValueError, match="U1"):
        due_date(CURRENT, row, "U1")


def test_best_change_looks_no_further_than_the_primary_visit():
    patients = [
        Patient(number=1, nrs=6, visits={"W2": (2, 60, 0), "M3": (5, 60, 0), "M6": (0, 60, 0)}),
        Patient(number=2, nrs=6, visits={"W2": (8, 60, 0)}),
        Patient(number=3, nrs=6, visits={"M6": (0, 60, 0)}),
        Patient(number=4, nrs=5, visits={"M3": (0, 60, 0), "W2": (0, 60, 0)}),
    ]
    group = analyse(patients).groups[0]
    assert [(b.subject, b.change, b.visit, b.category) for b in group.best] == [
        ("NK-002", 2, "W2", Category.NE),
        ("NK-001", -4, "W2", Category.IR),
        ("NK-004", -5, "W2", Category.CR),
    ]
    assert group.not_assessed == 1


def test_opioids_count_those_whose_dose_is_known():
    patients = balanced()
    patients[0].visits["M3"] = (2, None, 0)
    patients[1].visits["M3"] = (1, 0, 0)
    patients[2].visits["M3"] = (3, 90, 0)
    point = analyse(patients).groups[0].at("M3")
    assert (point.omed.n, point.on_opioids, point.omed.median.value, point.omed.maximum.value) == (6, 5, 60, 90)
    assert analyse(patients).groups[0].at(None).omed.n == 7


def test_baselines_of_those_analysed_add_up():
    patients = balanced()
    patients[0].visits = {}
    patients[0].death = patients[0].due("M3") - timedelta(days=1)
    patients[1].visits = {}
    patients[2].visits.pop("M3")
    everyone, modelled, scored, dead, others = analyse(patients).groups[0].baselines
    assert (everyone.n, modelled.n, scored.n, dead.n, others.n) == (7, 5, 4, 1, 2)
    assert scored.n + dead.n + others.n == everyone.n
    assert (dead.nrs.mean.value, others.nrs.mean.value, scored.nrs.mean.value) == (4, 5.5, 8.5)


def test_a_simpler_covariance_is_tried_only_where_the_first_is_not_determined():
    assert [model.structure for model in analyse(balanced()).comparison.models] == [Structure.UNSTRUCTURED]
    patients = balanced()
    for place, patient in enumerate(patients):  # nobody has both M3 and M6
        patient.visits.pop(("M3", "M6")[place % 2])
    models = analyse(patients).comparison.models
    assert tuple(model.structure for model in models) == COVARIANCES
    assert models[0].reml_log_likelihood.reason is Reason.NO_INTERIOR_MAXIMUM
    assert models[1].covariance is not None
    # Where no covariance helps, none is tried in vain.
    (only,) = analyse(two_arms((4, 0), (4, 0))).comparison.models
    assert only.reml_log_likelihood.reason is Reason.SINGULAR_DESIGN


def test_pooled_pain_compares_nothing_and_does_not_know_the_arms():
    found = analyse(balanced(), Arms.POOLED)
    assert found.comparison is None
    (group,) = found.groups
    assert group.at("M3").nrs.mean.value == pytest.approx((28 + 35) / 14)
    swapped = [replace(p, arm="WHOLE" if p.arm == "LOCAL" else "LOCAL") for p in balanced()]
    assert analyse(swapped, Arms.POOLED) == found


def test_later_visits_are_described_and_not_compared():
    patients = balanced()
    patients[0].visits["M12"] = (1, 60, 0)
    found = analyse(patients)
    assert "M12" in found.visits
    assert found.groups[0].at("M12").nrs.n == 1
    assert [each.visit for each in found.comparison.ranks] == ["W2", "M3", "M6"]
    assert [each.visit for each in found.comparison.model.contrasts] == ["W2", "M3", "M6"]
    with pytest.raises(KeyError):
        found.groups[0].at("M24")


def test_level_and_visits_come_from_the_protocol():
    analysis = replace(CURRENT.primary.analysis, confidence=0.9)
    timepoint = replace(CURRENT.primary.timepoint, visit="M6", also_reported=("M3",))
    changed = replace(CURRENT, primary=replace(CURRENT.primary, analysis=analysis, timepoint=timepoint))
    found = analyse(balanced(), protocol=changed)
    assert (found.level, found.compared, found.primary_visit) == (0.9, ("M3", "M6"), "M6")
    contrast, plain = found.comparison.model.contrasts[0], analyse(balanced()).comparison.model.contrasts[1]
    assert contrast.interval.level == found.comparison.ranks[0].nrs_shift.level == found.comparison.ancova.level == 0.9
    assert contrast.interval.lower.value > plain.interval.lower.value
    assert found.groups[0].at("M3").nrs.interval.level == 0.9


def test_trajectories_are_at_the_days_on_which_the_scores_were_given():
    patients = [Patient(number=1, nrs=6, visits={"M3": (2, 60, 9), "W2": (4, 60, -2)})]
    patients += [Patient(number=2, nrs=7, visits={"M12": (1, 60, 0)})]  # no score at a compared visit
    found = analyse(patients)
    (line,) = found.groups[0].trajectories
    days = [round(months * 365.25 / 12) for months, _score in line.points]
    start = patients[0].randomized
    assert days == [0, (patients[0].due("W2") - start).days - 2, (patients[0].due("M3") - start).days + 9]
    assert [score for _months, score in line.points] == [6, 4, 2]
    assert dict(found.positions)["M3"] == pytest.approx(3 + 14 / (365.25 / 12))


@pytest.mark.parametrize(
    "patients",
    [
        [],
        [responder(1, "LOCAL")],
        [failure(1, "WHOLE", visits={})],
        two_arms((3, 2), (0, 0)),
        two_arms((0, 0), (1, 1)),
        [failure(n, ("LOCAL", "WHOLE")[n % 2], visits={}) for n in range(1, 9)],
        two_arms((5, 0), (5, 0)),
    ],
)
def test_too_little_to_compare_is_not_estimable_with_a_reason(patients):
    found = analyse(patients)
    for contrast in found.comparison.model.contrasts:
        assert contrast.difference.value is None
        assert contrast.difference.reason is not None
        assert contrast.interval.lower.reason is not None
    assert found.comparison.ancova.difference.reason is not None
    assert sum(len(group.best) + group.not_assessed for group in found.groups) == len(patients)
