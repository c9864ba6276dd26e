"""The radiotherapy course: what is refused, what is asked about, what follows for the milestones."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from patients.milestones import milestones_of, report_death, set_milestones
from patients.models import DiseaseSite, SitesOfDisease
from patients.subjects import do_register
from radiotherapy.crfs import COURSE
from radiotherapy.models import Course, Fraction, TargetVertebra
from radiotherapy.record_fraction import course_of, do_record_fraction, fractions_of
from spinetrial.access.gate import list_records
from spinetrial.audit.acting import acting
from spinetrial.crf.save import EntryRefused, ReasonMissing, enter
from spinetrial.crf.spec import check_spec
from spinetrial.review.models import Explanation, Query

RANDOMISED = date(2025, 10, 30)
# Monday to Friday, two weeks: the example of the visit schedule
DAYS = [date(2025, 11, day) for day in (3, 4, 5, 6, 7, 10, 11, 12, 13, 14)]
PLAN = {
    "planning_ct_on": date(2025, 10, 31),
    "ct_slice_mm": 3,
    "planning_mri": True,
    "technique": "imrt",
    "energy_mv": 6,
    "image_guided": True,
    "ctv_to_ptv_mm": 3,
    "prescribed_gy": 30,
    "prescribed_fractions": 10,
    "planned_start": DAYS[0],
    "gtv_cm3": 20,
    "ctv_cm3": 45,
    "ptv_cm3": 70,
    "ptv_v95_percent": 99,
    "ptv_d95_gy": "30.1",
    "ending": "as_planned",
}
TARGET = {
    "level": "T8",
    "gtv1": True,
    "ctv1": True,
    "body_extent": "central",
    "structure": "cord",
    "structure_dmax_gy": 31,
}


def register(cast):
    subject = do_register(cast.coordinator_a, cast.site_a, date(2025, 10, 20), {})
    with acting(cast.coordinator_a, "test"):
        set_milestones(
            cast.coordinator_a, subject, "test", consent_date=date(2025, 10, 21), eligible_on=date(2025, 10, 22)
        )
    return subject


@pytest.fixture
def subject(cast):
    subject = register(cast)
    with acting(cast.coordinator_a, "test"):
        set_milestones(cast.coordinator_a, subject, "test", randomized_on=RANDOMISED)
    return subject


def rows_for(days, **changes):
    return [{"number": n, "date": day, "given": True, "dose_gy": 3, **changes} for n, day in enumerate(days, 1)]


def save(cast, subject, plan=(), targets=(TARGET,), fractions=(), reason="correction", **more):
    """Enter the course anew, or change it keeping nothing but what is given here."""
    record = course_of(subject)
    stored = [
        [row.pk for row in list_records(cast.coordinator_a, model, "crf.view").filter(subject=subject)]
        for model in (TargetVertebra, Fraction)
    ]
    rows = {}
    for key, given, ids in zip(("targets", "fractions"), (targets, fractions), stored, strict=True):
        given = [dict(row) for row in given]
        kept = [{"id": pk, **row} for pk, row in zip(ids, given, strict=False)]
        extra = given[len(ids) :]
        gone = [{"id": pk, "DELETE": "on"} for pk in ids[len(given) :]]
        rows[key] = [*kept, *gone, *extra]
    return enter(
        COURSE, subject, cast.coordinator_a, {**PLAN, **dict(plan)}, rows, record=record, reason=reason, **more
    )


def refusal(cast, subject, **given):
    with pytest.raises(EntryRefused) as caught:
        save(cast, subject, **given)
    return caught.value.errors


def open_queries(subject):
    return set(Query.objects.filter(subject=subject, state="open").values_list("check_code", flat=True))


def test_spec_is_complete():
    assert check_spec(COURSE) == []


def test_a_whole_course_asks_nothing_and_sets_the_milestones(cast, subject):
    save(cast, subject, fractions=rows_for(DAYS))
    found = milestones_of(subject)
    assert (found.rt_start, found.rt_end, found.fractions_given) == (DAYS[0], DAYS[-1], 10)
    assert found.rt_completed
    assert not found.never_irradiated
    assert open_queries(subject) == set()


def test_day_by_day(cast, subject):
    for number, day in enumerate(DAYS, 1):
        do_record_fraction(cast.coordinator_a, subject, number, day)
        found = milestones_of(subject)
        assert (found.rt_start, found.rt_end, found.fractions_given) == (DAYS[0], day, number)
        assert found.rt_completed == (number == 10)
    assert [row.dose_gy for row in fractions_of(subject)] == [Decimal("3.00")] * 10
    assert course_of(subject).row_version == 10
    # the plan was never entered: asked for, not refused
    assert {"plan_incomplete", "no_target"} <= open_queries(subject)


def test_daily_entry_keeps_plan_and_targets(cast, subject):
    save(cast, subject)
    before = Course.objects.get(), TargetVertebra.objects.get()
    do_record_fraction(cast.coordinator_a, subject, 1, DAYS[0])
    course, target = Course.objects.get(), TargetVertebra.objects.get()
    for old, new in zip(before, (course, target), strict=True):
        for field in old._meta.concrete_fields:
            if field.name != "row_version":
                assert getattr(old, field.name) == getattr(new, field.name), field.name


@pytest.mark.parametrize(
    ("fractions", "code"),
    [
        (rows_for([date(2025, 10, 29)]), "before_randomisation"),
        (rows_for([date(2999, 1, 1)]), "fractions_future"),
        (rows_for([DAYS[1], DAYS[0]]), "fractions_in_order"),
        ([*rows_for(DAYS[:1]), *rows_for(DAYS[1:2])], "fraction_twice"),
        (rows_for([*DAYS, date(2025, 11, 17)]), "fraction_beyond_prescription"),
    ],
)
def test_impossible_fractions_are_refused(cast, subject, fractions, code):
    text = next(str(check.text) for check in COURSE.checks if check.code == code)
    assert text in refusal(cast, subject, fractions=fractions)["__all__"]
    assert course_of(subject) is None
    assert milestones_of(subject).rt_start is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"number": 0}, "number"),
        ({"number": 31}, "number"),
        ({"number": "eins"}, "number"),
        ({"date": "2025-02-30"}, "date"),
        ({"date": ""}, "date"),
        ({"date": "1850-01-01"}, "__all__"),
        ({"given": ""}, "given"),
        ({"dose_gy": ""}, "dose_gy"),
        ({"dose_gy": 0}, "dose_gy"),
        ({"dose_gy": -3}, "dose_gy"),
        ({"dose_gy": 3000}, "dose_gy"),
        ({"dose_gy": "drei"}, "dose_gy"),
        ({"gap_reason": "bored"}, "gap_reason"),
        ({"remark": "x" * 10_000}, "remark"),
        ({"given": False, "dose_gy": ""}, "__all__"),
        ({"gap_reason": "other"}, "__all__"),
    ],
)
def test_bad_input_has_its_message_at_the_field(cast, subject, change, field):
    errors = refusal(cast, subject, fractions=[{**rows_for(DAYS[:1])[0], **change}])
    assert f"fractions-0-{field}" in errors


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prescribed_gy": 0}, "prescribed_gy"),
        ({"prescribed_gy": "NaN"}, "prescribed_gy"),
        ({"prescribed_gy": "1e9"}, "prescribed_gy"),
        ({"prescribed_fractions": 0}, "prescribed_fractions"),
        ({"prescribed_fractions": "9" * 30}, "prescribed_fractions"),
        ({"ptv_v95_percent": 101}, "ptv_v95_percent"),
        ({"energy_mv": 100}, "energy_mv"),
        ({"technique": "😀"}, "technique"),
        ({"planning_ct_on": date(2999, 1, 1)}, "planning_ct_on"),
        ({"planned_start": "soon"}, "planned_start"),
        ({"gtv_cm3": 50}, "__all__"),
        ({"ctv_cm3": 80}, "__all__"),
        ({"ending": "stopped_early"}, "stop_reason"),
        ({"ending": "never_started", "stop_reason": "patient"}, "ended_on"),
        ({"ending": "never_started", "stop_reason": "other", "ended_on": DAYS[0]}, "__all__"),
        ({"ending": "stopped_early", "stop_reason": "patient", "ended_on": DAYS[0]}, "ending"),
    ],
)
def test_bad_plan_has_its_message_at_the_field(cast, subject, change, field):
    assert field in refusal(cast, subject, plan=change)


def test_nothing_is_recorded_before_the_randomisation(cast):
    subject = register(cast)
    save(cast, subject)  # the plan may be
    assert "not randomised" in str(refusal(cast, subject, fractions=rows_for(DAYS[:1])))
    never = {"ending": "never_started", "stop_reason": "patient", "ended_on": DAYS[0]}
    assert "not randomised" in str(refusal(cast, subject, plan=never))


def test_no_fraction_after_the_death(cast, subject):
    with acting(cast.coordinator_a, "test"):
        report_death(cast.coordinator_a, subject, "P.EOS", DAYS[3])
    save(cast, subject, fractions=rows_for(DAYS[:4]))
    assert "after the death" in str(refusal(cast, subject, fractions=rows_for(DAYS[:5])))


@pytest.mark.parametrize(
    ("fractions", "code"),
    [
        (rows_for([DAYS[0], DAYS[3]]), "fraction_gap"),
        (rows_for([*DAYS[:5], date(2025, 11, 8)]), "fraction_off_day"),
        (rows_for([DAYS[0], DAYS[0]]), "fraction_same_day"),
        (rows_for(DAYS[:2], dose_gy=4), "fraction_other_dose"),
    ],
)
def test_deviations_are_asked_about_until_explained(cast, subject, fractions, code):
    save(cast, subject, fractions=fractions)
    assert code in open_queries(subject)
    explained = [{**row, "gap_reason": "holiday", "dose_gy": 3} for row in fractions]
    save(cast, subject, fractions=explained)
    assert open_queries(subject) == set()


def test_an_ordinary_weekend_is_no_gap(cast, subject):
    save(cast, subject, fractions=rows_for(DAYS[3:7]))
    assert open_queries(subject) == set()


@pytest.mark.parametrize(
    ("plan", "targets", "code"),
    [
        ({"prescribed_gy": 24}, (TARGET,), "other_total_dose"),
        ({"prescribed_fractions": 6}, ({**TARGET, "structure_dmax_gy": 20},), "other_fraction_count"),
        ({"planned_start": date(2025, 10, 1)}, (TARGET,), "planned_before_randomisation"),
    ],
)
def test_unusual_plans_are_asked_about(cast, subject, plan, targets, code):
    save(cast, subject, plan=plan, targets=targets)
    assert open_queries(subject) == {code}


@pytest.mark.parametrize(
    ("plan", "targets", "code", "match"),
    [
        ({"energy_mv": 10}, (TARGET,), "other_energy", ""),
        ({"ctv_to_ptv_mm": 10}, (TARGET,), "other_margin", ""),
        ({"ct_slice_mm": 2}, (TARGET,), "other_slice", ""),
        ({"image_guided": False}, (TARGET,), "no_image_guidance", ""),
        ({"ptv_d95_gy": "29.9"}, (TARGET,), "ptv_d95_below_goal", ""),
        ({}, ({**TARGET, "structure_dmax_gy": "33.9"},), "structure_over_limit", "T8"),
        ({}, ({**TARGET, "structure": "cauda", "structure_dmax_gy": "40.1"},), "structure_over_limit", "T8"),
    ],
)
def test_departures_from_the_technique_are_explained_at_once(cast, subject, plan, targets, code, match):
    """Explained once, the fractions of the following days need no further word."""
    refusal(cast, subject, plan=plan, targets=targets)
    save(cast, subject, plan=plan, targets=targets, explanations={code: "decided with the physicist"})
    assert open_queries(subject) == set()
    do_record_fraction(cast.coordinator_a, subject, 1, DAYS[0])
    [explanation] = list_records(cast.coordinator_a, Explanation, "crf.view").filter(subject=subject)
    assert (explanation.check_code, explanation.match, explanation.ended_at) == (code, match, None)


def test_limits_are_those_of_the_source(cast, subject):
    """33.78 Gy is EQD2 50 at 0.87, 40.00 Gy is EQD2 60 at 2 (clinical reference, section 5)."""
    for structure, dose in (("cord", "33.78"), ("cauda", "40.00")):
        save(cast, subject, targets=({**TARGET, "structure": structure, "structure_dmax_gy": dose},))
        assert open_queries(subject) == set()


# --- end of the course ---


def test_stopped_early(cast, subject):
    end = {"ending": "stopped_early", "stop_reason": "toxicity", "ended_on": DAYS[4]}
    save(cast, subject, plan=end, fractions=rows_for(DAYS[:5]))
    found = milestones_of(subject)
    assert (found.rt_completed, found.rt_end, found.fractions_given) == (True, DAYS[4], 5)
    assert "ending" in refusal(cast, subject, plan=end, fractions=rows_for(DAYS))
    save(cast, subject, plan={**end, "ended_on": DAYS[3]}, fractions=rows_for(DAYS[:5]))
    assert open_queries(subject) == {"stopped_before_last"}


def test_never_started(cast, subject):
    never = {"ending": "never_started", "stop_reason": "disease", "ended_on": DAYS[0]}
    save(cast, subject, plan=never)
    found = milestones_of(subject)
    assert (found.never_irradiated, found.rt_completed, found.rt_start) == (True, False, None)
    assert "ending" in refusal(cast, subject, plan=never, fractions=rows_for(DAYS[:1]))
    save(cast, subject)
    assert not milestones_of(subject).never_irradiated


def test_a_fraction_left_out_for_good(cast, subject):
    rows = rows_for(DAYS)
    rows[9] = {"number": 10, "date": DAYS[9], "given": False, "gap_reason": "toxicity"}
    save(cast, subject, fractions=rows)
    found = milestones_of(subject)
    assert (found.rt_completed, found.rt_end, found.fractions_given) == (True, DAYS[8], 9)


def test_a_correction_moves_the_milestones(cast, subject):
    save(cast, subject, fractions=rows_for(DAYS))
    save(cast, subject, fractions=rows_for(DAYS[:9]))
    found = milestones_of(subject)
    assert (found.rt_end, found.fractions_given, found.rt_completed) == (DAYS[8], 9, False)
    save(cast, subject, fractions=())
    found = milestones_of(subject)
    assert (found.rt_start, found.rt_end, found.fractions_given) == (None, None, 0)
    with pytest.raises(ReasonMissing):
        save(cast, subject, fractions=rows_for(DAYS[:1]), reason="")


def test_two_rows_exchange_their_numbers_in_one_save(cast, subject):
    save(cast, subject, fractions=rows_for([DAYS[0], DAYS[0]], gap_reason="machine"))
    swapped = rows_for([DAYS[0], DAYS[0]], gap_reason="machine")
    swapped[0]["number"], swapped[1]["number"] = 2, 1
    save(cast, subject, fractions=swapped)
    assert [row.number for row in fractions_of(subject)] == [1, 2]


# --- targets ---


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"gtv2": True}, "targets-0-__all__"),  # outside the CTV
        ({"gtv1": ""}, "targets-0-__all__"),  # no GTV at all
        ({"ring_reason": "epidural"}, "targets-0-__all__"),  # a reason without the ring
        ({"structure": ""}, "targets-0-__all__"),  # a dose of what?
        ({"level": "T13"}, "targets-0-level"),
        ({"level": ""}, "targets-0-level"),
        ({"structure_dmax_gy": 500}, "targets-0-structure_dmax_gy"),
        ({"body_extent": "😀"}, "targets-0-body_extent"),
    ],
)
def test_bad_targets_are_refused(cast, subject, change, key):
    assert key in refusal(cast, subject, targets=({**TARGET, **change},))


def test_a_vertebra_listed_twice_is_refused(cast, subject):
    assert "listed twice" in str(refusal(cast, subject, targets=(TARGET, TARGET)))


def test_targets_are_compared_with_the_sites_of_disease(cast, subject):
    with acting(cast.coordinator_a):
        sites = SitesOfDisease(
            subject=subject,
            imaging_modality="mri",
            imaging_date=date(2025, 10, 22),
            index_level="T9",
            other_trial=False,
        )
        sites.save()
        for level in ("T9", "T10"):
            DiseaseSite(
                parent=sites, subject=subject, level=level, lesion="lytic", fracture=False, prior_rt=False,
                prior_surgery=False,
            ).save()  # fmt: skip
    save(cast, subject)
    assert open_queries(subject) == {"index_not_target", "target_without_disease"}
    save(cast, subject, targets=({**TARGET, "level": "T9"},))
    assert open_queries(subject) == set()


def test_where_in_the_body_is_blanked_when_the_body_is_free(cast, subject):
    save(
        cast, subject, targets=({**TARGET, "gtv1": "", "ctv1": "", "gtv4": True, "ctv4": True, "body_extent": "left"},)
    )
    assert TargetVertebra.objects.get().body_extent == ""


@pytest.mark.parametrize(
    "assignment",
    [
        "gtv5 = true",
        "gtv1 = false",
        "level = 'X1'",
        "ring_reason = 'epidural'",
        "structure = ''",
        "structure_dmax_gy = 200",
    ],
)
def test_the_database_holds_the_rules_of_targets(cast, subject, assignment):
    save(cast, subject)
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        acting(cast.coordinator_a, "test"),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE radiotherapy_targetvertebra SET {assignment}")


@pytest.mark.parametrize(
    "assignment",
    [
        "given = NULL",
        "given = false",
        "dose_gy = NULL",
        "dose_gy = 31",
        "number = 31",
        "date = '1899-12-31'",
        "gap_reason = 'other'",
        "gap_reason = 'x'",
    ],
)
def test_the_database_holds_the_rules_of_fractions(cast, subject, assignment):
    save(cast, subject, fractions=rows_for(DAYS[:1]))
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        acting(cast.coordinator_a, "test"),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE radiotherapy_fraction SET {assignment}")


@pytest.mark.parametrize(
    "assignment",
    [
        "ending = 'stopped_early'",
        "ending = 'x'",
        "stop_reason = 'patient'",
        "ended_on = '2025-11-03'",
        "gtv_cm3 = 60",
        "ctv_cm3 = 71",
        "prescribed_fractions = 0",
        "planned_start = '1899-12-31'",
    ],
)
def test_the_database_holds_the_rules_of_the_course(cast, subject, assignment):
    save(cast, subject)
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        acting(cast.coordinator_a, "test"),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE radiotherapy_course SET {assignment}")


# --- rights ---


def test_plan_and_targets_are_hidden_from_the_masked(cast, subject):
    save(cast, subject, fractions=rows_for(DAYS[:2]))
    for model, hidden in ((Course, True), (TargetVertebra, True), (Fraction, False)):
        for person in (cast.statistician, cast.assessor_a):
            assert list_records(person, model, "crf.view").exists() != hidden
        assert list_records(cast.monitor_a, model, "crf.view").exists()
        assert not list_records(cast.coordinator_b, model, "crf.view").exists()


def test_only_the_entering_team_saves(cast, subject):
    for person in (cast.monitor_a, cast.data_manager, cast.statistician, cast.assessor_a, cast.coordinator_b):
        with pytest.raises(PermissionDenied):
            do_record_fraction(person, subject, 1, DAYS[0])
