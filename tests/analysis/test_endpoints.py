"""Times to an event, counted on paper: each end by its rule, each with the record that gave it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spinetrial.analysis import sets
from spinetrial.analysis.endpoints import endpoints
from spinetrial.analysis.groups import Arms, groups_of
from spinetrial.analysis.results import results
from spinetrial.analysis.survival import horizon
from spinetrial.analysis.times import COMPETING, DEFINITIONS, PARAMETER_LABELS, Parameter, Rule, Status
from spinetrial.protocol import CURRENT
from spinetrial.stats.estimate import Reason
from tests.analysis.trial import Patient, failure, make_snapshot, responder

CLEAR = ("none", "controlled")


def make(**more):
    """A participant with visits and clear imaging at M3 and M6."""
    imaging = more.pop("imaging", {"M3": (0, *CLEAR), "M6": (0, *CLEAR)})
    return responder(1, "LOCAL", imaging=imaging, **more)


def time_of(patient, parameter, snapshot=None):
    (row,) = sets.build(snapshot or make_snapshot([patient]), CURRENT).rows
    return row.time(parameter)


def brief(time):
    return time.status, time.rule, time.end


def source_of(snapshot, time):
    """The record that a time names, found again by table and number."""
    (record,) = [r for r in snapshot.records(time.source.table) if r["record"] == time.source.record]
    return record


def test_who_lives_without_events_is_censored_where_each_was_last_looked_for():
    patient = make(imaging={"M3": (3, *CLEAR)})
    snapshot = make_snapshot([patient])
    imaged, seen = patient.due("M3") + timedelta(days=3), patient.due("M6")
    for parameter, end, rule, table, column in (
        (Parameter.OS, seen, Rule.LAST_ALIVE, "F.VISIT", "visit_date"),
        (Parameter.VCF, imaged, Rule.LAST_IMAGING, "F.IMAGING", "imaging_date"),
        (Parameter.LOCFAIL, imaged, Rule.LAST_IMAGING, "F.IMAGING", "imaging_date"),
        (Parameter.PAINPROG, seen, Rule.LAST_RESPONSE, "F.VISIT", "visit_date"),
        (Parameter.RETREAT, seen, Rule.LAST_ASKED, "F.VISIT", "visit_date"),
    ):
        time = time_of(patient, parameter, snapshot)
        assert brief(time) == (Status.CENSORED, rule, end)
        assert time.source.table == table
        assert source_of(snapshot, time)[column] == end.isoformat()
        assert (time.start, time.days) == (patient.randomized, (end - patient.randomized).days)


@pytest.mark.parametrize(
    ("parameter", "reading", "rule"),
    [
        (Parameter.VCF, ("new", "controlled"), Rule.NEW_FRACTURE),
        (Parameter.LOCFAIL, ("none", "progression"), Rule.PROGRESSION),
    ],
)
def test_an_event_on_imaging_has_the_date_of_the_first_imaging_that_shows_it(parameter, reading, rule):
    patient = make(imaging={"M6": (0, *reading), "M3": (5, *reading)})
    snapshot = make_snapshot([patient])
    time = time_of(patient, parameter, snapshot)
    assert brief(time) == (Status.EVENT, rule, patient.due("M3") + timedelta(days=5))
    assert source_of(snapshot, time)["event"] == "M3"
    # The planted fault: the same imaging without the reading is no event.
    assert time_of(make(imaging={"M6": (0, *CLEAR), "M3": (5, *CLEAR)}), parameter).status is Status.CENSORED


@pytest.mark.parametrize("reading", ["none", "progressive"])
def test_a_fracture_that_was_there_before_is_no_event(reading):
    time = time_of(make(imaging={"M3": (0, reading, "controlled")}), Parameter.VCF)
    assert (time.status, time.rule) == (Status.CENSORED, Rule.LAST_IMAGING)


def test_who_has_only_fractured_vertebrae_at_baseline_is_not_at_risk():
    patient = make(baseline_fracture=True, imaging={"M3": (0, "new", "controlled")})
    snapshot = make_snapshot([patient])
    time = time_of(patient, Parameter.VCF, snapshot)
    assert brief(time) == (Status.CENSORED, Rule.NOT_AT_RISK, patient.randomized)
    assert source_of(snapshot, time)["index_level"] == "T12"
    dead = replace(patient, death=patient.due("M6") + timedelta(days=1))
    assert time_of(dead, Parameter.VCF).rule is Rule.NOT_AT_RISK
    assert time_of(dead, Parameter.LOCFAIL).status is Status.DEATH_FIRST


def test_only_irradiated_vertebrae_can_break_and_only_the_index_site_can_fail():
    snapshot = make_snapshot([make(imaging={"M3": (0, "new", "progression")})])

    elsewhere = edited(snapshot, "F.IMAGING.vertebrae", level="L1")
    for parameter in (Parameter.VCF, Parameter.LOCFAIL):
        assert time_of(None, parameter, snapshot).status is Status.EVENT
        assert time_of(None, parameter, elsewhere).rule is Rule.NEVER_LOOKED
    # Two levels irradiated, the index site not among them: the fracture counts there, progression does not.
    two = edited(snapshot, "SUBJECTS", target_levels="T11 T12")
    assert time_of(None, Parameter.VCF, two).status is Status.EVENT
    other = edited(snapshot, "P.SITES", index_level="T10")
    assert time_of(None, Parameter.VCF, other).status is Status.EVENT
    assert time_of(None, Parameter.LOCFAIL, other).rule is Rule.NEVER_LOOKED
    # Neither targets nor an index site: nothing to look at.
    assert time_of(None, Parameter.LOCFAIL, edited(snapshot, "P.SITES", index_level="")).rule is Rule.NEVER_LOOKED


def test_who_was_never_irradiated_is_followed_at_the_index_site():
    patient = make(fractions=0, imaging={"M3": (0, "new", "progression")})
    for parameter in (Parameter.VCF, Parameter.LOCFAIL):
        assert time_of(patient, parameter).status is Status.EVENT


def test_imaging_that_could_not_be_assessed_or_is_in_doubt():
    patient = make(imaging={"M3": (0, *CLEAR), "M6": (0, "not_assessable", "not_assessable")})
    for parameter in (Parameter.VCF, Parameter.LOCFAIL):
        assert time_of(patient, parameter).end == patient.due("M3")
    doubt = make(imaging={"M3": (0, "none", "equivocal"), "M6": (0, "none", "progression")})
    assert brief(time_of(doubt, Parameter.LOCFAIL)) == (Status.EVENT, Rule.PROGRESSION, doubt.due("M6"))


def test_without_imaging_nobody_has_looked():
    patient = make(imaging={})
    for parameter in (Parameter.VCF, Parameter.LOCFAIL):
        time = time_of(patient, parameter)
        assert brief(time) == (Status.CENSORED, Rule.NEVER_LOOKED, patient.randomized)
        assert (time.days, time.source.table) == (0, "SUBJECTS")


def test_death_competes_unless_the_event_came_first():
    patient = make(died_of="treatment")
    patient.death = patient.due("M6") + timedelta(days=40)
    snapshot = make_snapshot([patient])
    assert brief(time_of(patient, Parameter.OS)) == (Status.EVENT, Rule.DIED, patient.death)
    for parameter in COMPETING:
        time = time_of(patient, parameter, snapshot)
        assert brief(time) == (Status.DEATH_FIRST, Rule.DIED_WITHOUT, patient.death)
        assert source_of(snapshot, time)["ended_on"] == patient.death.isoformat()
    broken = replace(patient, imaging={"M6": (0, "new", "controlled")})
    assert time_of(broken, Parameter.VCF).status is Status.EVENT
    assert time_of(broken, Parameter.LOCFAIL).status is Status.DEATH_FIRST
    (row,) = sets.build(snapshot, CURRENT).rows
    assert row.death_cause == "trial_treatment"


def test_event_and_death_on_one_day_count_as_the_event_and_later_findings_are_mistakes():
    patient = make(imaging={"M3": (0, "new", "progression")})
    patient.visits = {"W2": (2, 60, 0)}
    patient.death = patient.due("M3")
    for parameter in (Parameter.VCF, Parameter.LOCFAIL):
        assert time_of(patient, parameter).status is Status.EVENT
        earlier = replace(patient, death=patient.death - timedelta(days=1))
        assert time_of(earlier, parameter).status is Status.DEATH_FIRST


def test_a_death_no_form_explains_names_the_milestones():
    patient = make()
    patient.death = patient.due("M6") + timedelta(days=1)
    time = time_of(patient, Parameter.OS)
    assert (time.source.table, time.source.record) == ("SUBJECTS", None)
    (row,) = sets.build(make_snapshot([patient]), CURRENT).rows
    assert row.death_cause == "unknown"


def edited(snapshot, table, **change):
    """The snapshot with cells of every row of a table changed."""
    found = snapshot.table(table)
    names = [column.name for column in found.columns]
    rows = tuple(tuple(change.get(name, value) for name, value in zip(names, row, strict=True)) for row in found.rows)
    return replace(
        snapshot, tables=tuple(replace(found, rows=rows) if each is found else each for each in snapshot.tables)
    )


def test_the_form_that_reported_the_death_first_is_its_source():
    patient = make(visits={"M3": (0, 60, 0)}, died_of="other")
    patient.death = patient.due("M3") + timedelta(days=9)
    day = patient.death.isoformat()
    told_twice = edited(make_snapshot([patient]), "F.VISIT", death_date=day, death_cause="disease", survival="dead")
    for first, cause in (("P.EOS", "other"), ("F.VISIT", "disease")):
        snapshot = edited(told_twice, "SUBJECTS", death_source=first)
        (row,) = sets.build(snapshot, CURRENT).rows
        assert (row.time(Parameter.OS).source.table, row.death_cause) == (first, cause)
        assert day in source_of(snapshot, row.time(Parameter.OS)).values()


def test_the_own_report_dates_pain_where_there_is_no_visit():
    patient = Patient(omed=0, reports={"M3": (9, 4)}, missed={"M3": "not_done"})
    snapshot = make_snapshot([patient])
    day = patient.due("M3") + timedelta(days=4)
    pain, alive = time_of(patient, Parameter.PAINPROG, snapshot), time_of(patient, Parameter.OS, snapshot)
    assert brief(pain) == (Status.EVENT, Rule.PAIN_PROGRESSION, day)
    assert brief(alive) == (Status.CENSORED, Rule.LAST_ALIVE, day)
    for time in (pain, alive):
        assert time.source.table == "F.EPRO"
        assert source_of(snapshot, time)["answered_on"] == day.isoformat()


def test_pain_progression_is_the_first_scheduled_visit_with_pp():
    patient = failure(1, "LOCAL", visits={"W2": (6, 60, 0), "M3": (8, 60, 2), "M6": (9, 60, 0)})
    snapshot = make_snapshot([patient])
    time = time_of(patient, Parameter.PAINPROG, snapshot)
    assert brief(time) == (Status.EVENT, Rule.PAIN_PROGRESSION, patient.due("M3") + timedelta(days=2))
    assert source_of(snapshot, time)["event"] == "M3"
    steady = failure(1, "LOCAL", visits={"W2": (6, 60, 0), "M3": (7, 60, 0), "M6": (7, None, 0)})
    # M6 is not evaluable: pain was last judged at M3.
    assert brief(time_of(steady, Parameter.PAINPROG)) == (Status.CENSORED, Rule.LAST_RESPONSE, steady.due("M3"))
    never = Patient(nrs=0, visits={"M3": (5, 60, 0)})
    assert time_of(never, Parameter.PAINPROG).rule is Rule.NEVER_LOOKED


def test_pain_after_a_further_treatment_is_not_judged():
    patient = failure(1, "LOCAL", visits={"W2": (6, 60, 0), "M3": (9, 60, 0)})
    assert time_of(patient, Parameter.PAINPROG).status is Status.EVENT
    patient.retreated = patient.due("M3") - timedelta(days=7)
    assert brief(time_of(patient, Parameter.PAINPROG)) == (Status.CENSORED, Rule.LAST_RESPONSE, patient.due("W2"))
    time = time_of(patient, Parameter.RETREAT)
    assert brief(time) == (Status.EVENT, Rule.TREATED_AGAIN, patient.retreated)


def test_a_participant_without_any_form_is_censored_at_randomisation():
    patient = Patient(fractions=0)
    for parameter in Parameter:
        assert time_of(patient, parameter).days == 0
        assert time_of(patient, parameter).status is Status.CENSORED


def test_every_parameter_is_defined_and_every_row_has_it():
    assert set(DEFINITIONS) == set(PARAMETER_LABELS) == set(Parameter)
    (row,) = sets.build(make_snapshot([make()]), CURRENT).rows
    assert [time.parameter for time in row.times] == list(Parameter)


def test_the_arm_decides_no_time():
    patients = [make(), replace(failure(2, "WHOLE"), imaging={"M3": (0, "new", "controlled")})]
    swapped = [replace(p, arm="WHOLE" if p.arm == "LOCAL" else "LOCAL") for p in patients]
    one, two = (sets.build(make_snapshot(each), CURRENT).rows for each in (patients, swapped))
    # Record numbers too: the targets of the other arm have as many rows.
    assert [row.times for row in one] == [row.times for row in two]
    masked = sets.build(make_snapshot(patients).without_arm(), CURRENT).rows
    assert [row.times for row in masked] == [row.times for row in one]


def trial():
    """Ten a side: fractures at M3 in two of LOCAL, deaths in three of WHOLE, one never imaged."""
    patients = []
    for number in range(1, 21):
        arm = "LOCAL" if number <= 10 else "WHOLE"
        patients.append(responder(number, arm, imaging={"M3": (0, *CLEAR), "M6": (0, *CLEAR)}))
    for broken in patients[:2]:
        broken.imaging = {"M3": (0, "new", "controlled")}
    patients[2].imaging = {}
    for dead in patients[10:13]:
        dead.visits, dead.imaging, dead.death = {}, {}, dead.due("W2")
    return patients


def test_incidence_per_arm_with_death_competing():
    rows = sets.build(make_snapshot(trial()), CURRENT).rows
    found = endpoints(CURRENT, groups_of(CURRENT, rows, Arms.SHOWN)).of(Parameter.VCF)
    local, whole = found.groups
    assert (local.n, local.events, local.deaths, local.censored, local.never_looked) == (10, 2, 0, 8, 1)
    assert (whole.n, whole.events, whole.deaths, whole.censored) == (10, 0, 3, 7)
    # One of ten is censored at once; two of the nine others have the fracture.
    assert local.event.at(6).incidence.value == pytest.approx(2 / 9)
    assert whole.death.at(6).incidence.value == pytest.approx(0.3)
    assert found.test.events == (2, 0)
    assert found.test.p.estimable


def test_kaplan_meier_says_more_than_the_incidence_where_people_die():
    patients = [responder(number, "LOCAL", imaging={"M6": (0, *CLEAR)}) for number in range(1, 11)]
    for dead in patients[:5]:
        dead.visits, dead.imaging, dead.death = {}, {}, dead.due("W2")
    patients[5].imaging = {"M3": (0, "new", "controlled")}
    rows = sets.build(make_snapshot(patients), CURRENT).rows
    (group,) = endpoints(CURRENT, groups_of(CURRENT, rows, Arms.POOLED)).of(Parameter.VCF).groups
    assert group.event.at(6).incidence.value == pytest.approx(0.1)
    assert 1 - group.naive.at(6).survival.value == pytest.approx(0.2)


def test_pooled_has_no_test():
    found = results(make_snapshot(trial()), Arms.POOLED)
    assert all(endpoint.test is None and endpoint.death_test is None for endpoint in found.endpoints.each)
    assert (found.survival.comparison, found.survival.hazard_ratio, found.survival.restricted_difference) == (
        None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("patients", [[], trial()[:1], trial()[:10], trial()[10:13]])
def test_tiny_and_one_sided_data_say_why_there_is_no_number(patients):
    found = results(make_snapshot(patients), Arms.SHOWN)
    for endpoint in found.endpoints.each:
        assert endpoint.test.p.reason in (Reason.TOO_FEW_GROUPS, Reason.NO_EVENTS)
    assert found.survival.hazard_ratio.hazard_ratio.reason is Reason.EMPTY_ARM
    assert not found.survival.restricted_difference.difference.estimable


def test_survival_counts_causes_and_compares_the_arms():
    patients = trial()
    patients[0].death, patients[0].died_of = patients[0].due("M3") + timedelta(days=1), "treatment"
    patients[0].visits = {"W2": (2, 60, 0)}
    for dead, cause in zip(patients[10:13], ("disease", "disease", ""), strict=True):
        dead.died_of = cause
    found = results(make_snapshot(patients), Arms.SHOWN).survival
    assert [(cause.value, counts) for cause, counts in found.causes] == [
        ("disease", (0, 2)),
        ("trial_treatment", (1, 0)),
        ("unknown", (0, 1)),
    ]
    assert (found.hazard_ratio.events1, found.hazard_ratio.events0) == (1, 3)  # 1 is the study arm
    assert found.hazard_ratio.hazard_ratio.value < 1
    assert found.restricted_difference.difference.value > 0


@pytest.mark.parametrize(
    ("times", "expected"),
    [([[20.0], [13.5]], 12), ([[20.0], [7.9]], 7), ([[0.4], [9.0]], 1), ([[], [5.0]], 5), ([], 1)],
)
def test_the_horizon_is_reached_by_every_group(times, expected):
    assert horizon(times) == expected
