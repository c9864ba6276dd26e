"""Lesions: what new imaging begins with, what is asked for, what the page shows, and that no arm is in it."""

from datetime import date

import pytest
from django.urls import reverse

from followup.crfs import IMAGING
from followup.lesions import Role, lesion_table, lesions_of, levels_to_read
from followup.models import ImagedVertebra
from patients.models import DiseaseSite, SitesOfDisease
from radiotherapy.crfs import COURSE
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.forms import crf_form
from spinetrial.crf.save import enter
from spinetrial.review.models import Query
from tests.cast import SETUP
from tests.followup.helpers import milestones, noon, treated

TODAY = date(2026, 3, 2)
DONE = {
    "status": "done", "imaging_date": date(2025, 12, 19), "modality": "mri", "read_by": "both", "cord_injury": False,
}  # fmt: skip
CLEAR = {"fracture": "none", "local_control": "controlled"}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    """Index site T10; T12 and L2 are diseased too, T9 and T10 irradiated."""
    subject = treated(cast.coordinator_a, cast.site_a)
    milestones(subject, target_levels="T9 T10")
    with acting(SETUP, "test"):
        sites = SitesOfDisease(
            subject=subject, imaging_modality="mri", imaging_date=date(2025, 8, 20), index_level="T10", escc="0",
            other_trial=False,
        )  # fmt: skip
        sites.save()
        for position, level in enumerate(("L2", "T10", "T12")):
            DiseaseSite(
                subject=subject, parent=sites, position=position, level=level, lesion="lytic", fracture=level == "L2",
                prior_rt=False, prior_surgery=False,
            ).save()  # fmt: skip
    return subject


def image(subject, actor, *levels, event="M3", record=None, **changes):
    rows = [{"level": level, **CLEAR} if isinstance(level, str) else level for level in levels]
    return enter(
        IMAGING, subject, actor, {**DONE, **changes}, {"vertebrae": rows}, event=event, record=record,
        reason="correction" if record else "",
    )  # fmt: skip


def asked(subject):
    found = Query.objects.filter(subject=subject, check_code="target_without_reading", state="open")
    return {query.match for query in found}


def test_the_index_site_comes_first_then_targets_then_the_rest(subject):
    found = [(lesion.level, lesion.role) for lesion in lesions_of(subject)]
    assert found == [("T10", Role.INDEX), ("T9", Role.TARGET), ("T12", Role.OTHER), ("L2", Role.OTHER)]


def test_a_new_form_begins_with_every_lesion_and_a_stored_one_does_not(cast, subject):
    rows = crf_form(IMAGING, subject, event="M3").formsets["vertebrae"].forms
    assert [row["level"].value() for row in rows] == ["T10", "T9", "T12", "L2", None]
    record = image(subject, cast.assessor_a, "T10", "T9")
    rows = crf_form(IMAGING, subject, record=record).formsets["vertebrae"].forms
    assert [row["level"].value() for row in rows] == ["T10", "T9", None]


def test_a_lesion_nobody_wrote_of_is_no_row(cast, subject):
    image(subject, cast.assessor_a, "T10", "T9", {"level": "T12"}, {"level": "L2"})
    assert list(ImagedVertebra.objects.values_list("level", flat=True)) == ["T10", "T9"]
    not_done = {"status": "not_done", "not_done_reason": "refused"}
    enter(IMAGING, subject, cast.assessor_a, not_done, {"vertebrae": [{"level": "T10"}]}, event="M6")
    assert ImagedVertebra.objects.count() == 2


def test_a_target_without_a_reading_is_asked_for_by_name(cast, subject):
    record = image(subject, cast.assessor_a, "T12")
    assert asked(subject) == {"T9", "T10"}
    stored = ImagedVertebra.objects.get()
    image(subject, cast.assessor_a, {"id": stored.pk, "level": "T12", **CLEAR}, "T10", record=record)
    assert asked(subject) == {"T9"}


def test_before_targets_are_recorded_the_index_site_is_asked_for(cast, subject):
    milestones(subject, target_levels="")
    image(subject, cast.assessor_a, "T12")
    assert asked(subject) == {"T10"}


def test_imaging_not_done_is_not_asked_for_readings(cast, subject):
    enter(IMAGING, subject, cast.assessor_a, {"status": "not_done", "not_done_reason": "refused"}, event="M3")
    assert asked(subject) == set()


def test_the_course_tells_the_levels_and_a_later_target_is_asked_for_then(cast, subject):
    milestones(subject, target_levels="", rt_start=None, rt_end=None, rt_completed=False)
    image(subject, cast.assessor_a, "T10")
    assert asked(subject) == set()
    target = {"level": "L2", "gtv1": True, "ctv1": True, "body_extent": "central", "structure": "cauda",
              "structure_dmax_gy": "30.5", "sector_remark": "agreed with the investigator"}  # fmt: skip
    plan = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned", "technique": "imrt"}
    rows = {"targets": [target, {**target, "level": "T10", "structure": "cord"}], "fractions": []}
    enter(COURSE, subject, cast.coordinator_a, plan, rows)
    assert levels_to_read(subject) == ["T10", "L2", "T12"]
    assert asked(subject) == {"L2"}


def test_the_table_has_a_row_per_lesion_and_a_column_per_imaging_by_date(cast, subject, django_assert_num_queries):
    broken = {"level": "T10", "height_loss": "41", "fracture": "new", "symptomatic": True, "local_control": "equivocal",
              "density_hu": 120}  # fmt: skip
    image(subject, cast.assessor_a, broken, "T9", event="U1", imaging_date=date(2026, 2, 1))
    image(subject, cast.assessor_a, "T10", "S1")
    with django_assert_num_queries(5):
        table = lesion_table(subject)
    assert table.imaging == (("M3", date(2025, 12, 19)), ("U1", date(2026, 2, 1)))
    rows = {lesion.level: [read and read.genant for read in reads] for lesion, reads in table.rows}
    assert rows == {"T10": ["", "3"], "T9": [None, ""], "T12": [None, None], "L2": [None, None], "S1": ["", None]}


@pytest.mark.parametrize("reader", ["coordinator_a", "assessor_a", "monitor_a", "statistician"])
def test_the_page_shows_the_lesions_and_no_sector(client, cast, subject, reader):
    broken = {"level": "T10", "height_loss": "41", "fracture": "new", "symptomatic": True, "local_control": "equivocal",
              "density_hu": 120}  # fmt: skip
    image(subject, cast.assessor_a, broken, "T9")
    client.force_login(User.objects.get(pk=getattr(cast, reader).pk))
    answer = client.get(reverse("subject", args=[subject.code]))
    page = answer.content.decode()
    for words in ("Lesions", "120 HU", "Genant 3", "New fracture", "with symptoms", "Local control in doubt"):
        assert words in page
    lesions = answer.context["lesions"]
    assert [row["level"] for row in lesions["rows"]] == ["T10", "T9", "T12", "L2"]
    assert lesions["rows"][3]["fracture"] is True
    assert "CTV" not in page


def test_without_imaging_there_is_no_table(client, cast, subject):
    client.force_login(User.objects.get(pk=cast.coordinator_a.pk))
    assert client.get(reverse("subject", args=[subject.code])).context["lesions"] is None
