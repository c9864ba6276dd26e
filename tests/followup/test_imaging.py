"""The imaging form: rows of vertebrae, derived Genant grade, the cord, who may enter."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from followup.crfs import IMAGING
from followup.models import ImagedVertebra, Imaging
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.review.models import Query
from tests.cast import SETUP
from tests.followup.helpers import milestones, noon, registered, treated

DONE = {
    "status": "done",
    "imaging_date": date(2025, 12, 19),
    "modality": "mri",
    "read_by": "assessor",
    "cord_injury": False,
}
NOT_DONE = {"status": "not_done", "not_done_reason": "refused"}
T10 = {"level": "T10", "height_loss": "30", "fracture": "new", "symptomatic": True, "local_control": "controlled"}
T11 = {"level": "T11", "fracture": "none", "local_control": "controlled", "density_hu": "140"}


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def imaging(subject, actor, rows=(T10,), event="M3", on=date(2026, 1, 1), record=None, **changes):
    base = NOT_DONE if changes.get("status") == "not_done" else DONE
    with at(noon(on)):
        return enter(
            IMAGING,
            subject,
            actor,
            {**base, **changes},
            {"vertebrae": list(rows)},
            event=event,
            record=record,
            reason="correction" if record else "",
        )


def errors(subject, actor, *args, **changes):
    with pytest.raises(EntryRefused) as refusal:
        imaging(subject, actor, *args, **changes)
    return list(refusal.value.errors)


def test_vertebrae_are_kept_in_order_with_a_derived_grade(cast, subject):
    record = imaging(subject, cast.assessor_a, [T10, T11])
    rows = list(ImagedVertebra.objects.filter(parent=record))
    assert [(row.level, row.genant, row.symptomatic, row.density_hu) for row in rows] == [
        ("T10", "2", True, None),
        ("T11", "", None, 140),
    ]


@pytest.mark.parametrize(
    ("loss", "grade"),
    [("0", "0"), ("19.9", "0"), ("20", "1"), ("24.9", "1"), ("25", "2"), ("40", "2"), ("40.1", "3"), ("100", "3")],
)
def test_genant_grade_of_the_height_loss(loss, grade):
    assert ImagedVertebra(height_loss=Decimal(loss)).genant == grade


@pytest.mark.parametrize(
    ("rows", "changes", "field"),
    [
        ([], {}, "vertebrae"),
        ([T10, T10], {}, "vertebrae"),
        ([T10], {"status": "not_done"}, "vertebrae"),
        ([{**T10, "level": "T13"}], {}, "vertebrae-0-level"),
        ([{**T10, "height_loss": "101"}], {}, "vertebrae-0-height_loss"),
        ([{**T10, "height_loss": "NaN"}], {}, "vertebrae-0-height_loss"),
        ([{**T10, "symptomatic": None}], {}, "vertebrae-0-symptomatic"),
        ([{**T10, "density_hu": "99999"}], {}, "vertebrae-0-density_hu"),
        ([T10], {"imaging_date": date(2026, 1, 2)}, "imaging_date"),
        ([T10], {"imaging_date": date(2025, 8, 31)}, "imaging_date"),
        ([T10], {"imaging_date": None}, "imaging_date"),
        ([T10], {"modality": None}, "modality"),
        ([T10], {"cord_injury": None}, "cord_injury"),
        ([T10], {"cord_injury": True}, "cord_grade"),
        ([], {"status": "not_done", "not_done_reason": None}, "not_done_reason"),
    ],
)
def test_a_refusal_sits_at_its_field(cast, subject, rows, changes, field):
    found = errors(subject, cast.assessor_a, rows, **changes)
    # The message of a check on rows has no field of the record and stands above the form.
    assert found == [field] or (field == "vertebrae" and found == ["__all__"])
    assert not Imaging.objects.exists()


def test_no_imaging_has_a_reason_and_no_rows(cast, subject):
    record = imaging(subject, cast.coordinator_a, [], status="not_done")
    assert (record.imaging_date, record.modality, record.cord_injury) == (None, "", None)


def test_imaging_after_death_or_before_randomisation_is_refused(cast, subject):
    milestones(subject, death_date=date(2025, 12, 18))
    assert errors(subject, cast.assessor_a) == ["imaging_date"]
    assert errors(registered(cast.coordinator_a, cast.site_a), cast.assessor_a) == ["status"]


def test_two_rows_can_exchange_their_levels(cast, subject):
    record = imaging(subject, cast.assessor_a, [T10, T11])
    first, second = ImagedVertebra.objects.filter(parent=record)
    swapped = [{**T10, "id": first.pk, "level": "T11"}, {**T11, "id": second.pk, "level": "T10"}]
    imaging(subject, cast.assessor_a, swapped, record=Imaging.objects.get(pk=record.pk))
    assert [row.level for row in ImagedVertebra.objects.filter(parent=record)] == ["T11", "T10"]


def test_doubts_are_queried(cast, subject):
    imaging(subject, cast.assessor_a, [{**T10, "height_loss": "20"}], imaging_date=date(2025, 12, 4))
    codes = set(Query.objects.values_list("check_code", flat=True))
    assert codes == {"imaging_out_of_window", "fracture_without_collapse"}


def test_who_may_enter_imaging(cast, subject):
    for person in (cast.monitor_a, cast.coordinator_b, cast.statistician, cast.outsider):
        with pytest.raises(PermissionDenied):
            imaging(subject, person)


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("imaging_done_or_reason", {"imaging_date": None}),
        ("imaging_done_or_reason", {"not_done_reason": "refused"}),
        ("imaging_cord_injury_graded", {"cord_injury": True}),
        ("imaging_cord_injury_graded", {"cord_grade": "1"}),
    ],
)
def test_the_database_holds_the_rules_of_the_record(subject, constraint, changes):
    with pytest.raises(IntegrityError, match=constraint), acting(SETUP, "planted"):
        Imaging(subject=subject, event="M3", **{**DONE, **changes}).save()


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("imagedvertebra_fracture_symptom", {"symptomatic": None}),
        ("imagedvertebra_fracture_symptom", {"fracture": "none"}),
        ("imagedvertebra_height_loss_in_range", {"height_loss": 101}),
        ("imagedvertebra_level_known", {"level": "X1"}),
    ],
)
def test_the_database_holds_the_rules_of_a_row(subject, constraint, changes):
    record = Imaging(subject=subject, event="M3", **DONE)
    with acting(SETUP, "set-up"):
        record.save()
    with pytest.raises(IntegrityError, match=constraint), acting(SETUP, "planted"):
        ImagedVertebra(subject=subject, parent=record, **{**T10, **changes}).save()
