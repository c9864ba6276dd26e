"""Forms of CRFs: conditions, grids of rows, constraints, and what is saved is what comes back."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils.functional import Promise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followup.crfs import IMAGING, VISIT
from patients.crfs import CONSENT, DEMOGRAPHICS, SCREEN_FAILURE, SITES, TUMOUR
from patients.models import Demographics, SitesOfDisease
from patients.models.pain import DRUGS_WITHOUT_ROUTE, UNNAMED_DRUGS
from patients.subjects import do_register
from radiotherapy.crfs import COURSE
from spinetrial.audit.clock import at
from spinetrial.crf.forms import TEXT_LIMIT, crf_form, form_data
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.terminology.opioids import DRUGS, Route
from spinetrial.terminology.vertebrae import LEVELS
from tests.followup.helpers import DONE, MORPHINE, RT_END, noon, registered, treated

TODAY = date(2026, 3, 2)
SITE_ROW = {"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
SITES_ANSWERS = {"imaging_modality": "mri", "imaging_date": date(2025, 8, 10), "other_trial": False}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


@pytest.fixture
def followed(cast):
    return treated(cast.coordinator_a, cast.site_a)


def form_of(spec, subject, values, rows=None, **more):
    return crf_form(spec, subject, data=form_data(spec, values, rows), **more)


def errors_of(spec, subject, values, rows=None, **more):
    form = form_of(spec, subject, values, rows, **more)
    assert not form.is_valid()
    return form.all_errors()


# --- conditions ---

TUMOUR_ANSWERS = {
    "site": "lung",
    "tumour_class": "solid",
    "stage": "4",
    "visceral_metastases": True,
    "pathology_confirmed": True,
    "pathology_of": "primary",
    "pathology_date": date(2025, 1, 2),
    "histology": "adenocarcinoma",
}


def test_hidden_items_are_blanked(cast, subject):
    """Every kind of field: text, choice and date."""
    values = {**TUMOUR_ANSWERS, "site_other": "left over", "pathology_confirmed": False}
    record = enter(TUMOUR, subject, cast.coordinator_a, values)
    record.refresh_from_db()
    assert (record.site_other, record.histology, record.pathology_of, record.pathology_date) == ("", "", "", None)


def test_a_mistake_in_a_hidden_item_does_not_matter(cast, subject):
    values = {**TUMOUR_ANSWERS, "pathology_confirmed": False, "pathology_date": "no date", "pathology_of": "?"}
    assert enter(TUMOUR, subject, cast.coordinator_a, values).pathology_date is None


def test_hiding_goes_down_a_chain_of_conditions(cast, followed):
    """Missed hides the treatment of the index site, which hides its date and its words."""
    values = {**DONE, "index_treatment": "other", "index_treatment_text": "acupuncture",
              "index_treatment_date": date(2025, 12, 1), "status": "missed", "missed_reason": "too_ill"}  # fmt: skip
    record = enter(VISIT, followed, cast.coordinator_a, values, event="M3")
    assert (record.index_treatment, record.index_treatment_text, record.index_treatment_date) == ("", "", None)


def test_what_is_shown_and_required_is_demanded(subject):
    assert errors_of(TUMOUR, subject, {**TUMOUR_ANSWERS, "site": "other"}) == {
        "site_other": ["This answer is needed here."]
    }
    assert set(errors_of(TUMOUR, subject, {**TUMOUR_ANSWERS, "pathology_of": None})) == {"pathology_of"}


def test_a_wrong_deciding_answer_keeps_what_depends_on_it(subject):
    """One message, and the answers that hang on the wrong one are not taken for left out."""
    form = form_of(TUMOUR, subject, {**TUMOUR_ANSWERS, "site": "perhaps", "site_other": "Pancreas"})
    assert not form.is_valid()
    assert set(form.all_errors()) == {"site"}
    assert form["site_other"].value() == "Pancreas"
    assert form.cleaned_data["site_other"] == "Pancreas"


def test_a_number_of_zero_counts_as_an_answer(cast, followed):
    record = enter(VISIT, followed, cast.coordinator_a, {**DONE, "nrs_worst": 0, "nrs_average": 0}, event="M3")
    assert (record.nrs_worst, record.nrs_average) == (0, 0)


def test_conditions_hold_inside_rows_too(cast, followed):
    rows = [{**MORPHINE, "other_name": "left over"}]
    record = enter(VISIT, followed, cast.coordinator_a, {**DONE, "analgesics": "some"},
                   {"analgesics_taken": rows}, event="M3")  # fmt: skip
    assert VISIT.rows[0].model.objects.get(parent=record).other_name == ""
    rows = [{**MORPHINE, "drug": UNNAMED_DRUGS[0]}]
    found = errors_of(VISIT, followed, {**DONE, "analgesics": "some"}, {"analgesics_taken": rows}, event="M6")
    assert set(found) == {"analgesics_taken-0-other_name"}


def test_a_text_of_any_length_ends_in_a_message(subject):
    values = {"failed_on": TODAY, "reason": "other"}
    assert set(errors_of(SCREEN_FAILURE, subject, {**values, "details": "x" * 10_000})) == {"details"}
    assert set(errors_of(CONSENT, subject, {"signer": "😀" * (TEXT_LIMIT + 1)})) >= {"signer", "signed_at"}


# --- constraints ---


def test_the_constraint_of_one_record_per_subject_is_checked_in_the_form(cast, subject):
    """`subject` is no field of the form, and Django would leave its constraints out."""
    answers = {"birth_date": date(1960, 1, 1), "sex": "female"}
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, answers)
    form = form_of(DEMOGRAPHICS, subject, answers)
    assert not form.is_valid()
    assert Demographics.objects.filter(subject=subject).count() == 1


def test_the_constraint_of_one_record_per_event_is_checked_in_the_form(cast, followed):
    enter(VISIT, followed, cast.coordinator_a, DONE, event="M3")
    assert "__all__" in errors_of(VISIT, followed, DONE, event="M3")
    assert form_of(VISIT, followed, {**DONE, "visit_date": date(2026, 2, 2)}, event="M6").is_valid()


# --- rows ---


def sites(cast, subject, rows, record=None, **answers):
    return enter(SITES, subject, cast.coordinator_a, {**SITES_ANSWERS, **answers}, {"sites": rows},
                 record=record, reason="correction" if record else "")  # fmt: skip


def stored(subject, spec=SITES, names=("level",)):
    rows = spec.rows[0].model.objects.filter(subject=subject).order_by("position")
    return [row[0] if len(row) == 1 else row for row in rows.values_list(*names)]


def test_an_empty_row_is_no_row(cast, subject):
    blank = {"level": "", "lesion": "", "fracture": "", "prior_rt": "", "prior_surgery": "", "prior_rt_date": "  "}
    sites(cast, subject, [blank, SITE_ROW, blank])
    assert stored(subject) == ["T8"]


def test_a_row_with_one_answer_is_a_row(subject):
    found = errors_of(SITES, subject, SITES_ANSWERS, {"sites": [SITE_ROW, {"level": "T9"}]})
    assert set(found) == {f"sites-1-{name}" for name in ("lesion", "fracture", "prior_rt", "prior_surgery")}


def test_a_stored_row_left_blank_is_not_lost_in_silence(cast, subject):
    record = sites(cast, subject, [SITE_ROW])
    row = {"id": SITES.rows[0].model.objects.get().pk}
    data = {**form_data(SITES, SITES_ANSWERS, {"sites": [row]}), "seen_version": "1"}
    form = crf_form(SITES, subject, record=record, data=data)
    assert not form.is_valid()
    assert "sites-0-level" in form.all_errors()


def test_too_few_rows_are_refused(subject):
    assert errors_of(SITES, subject, SITES_ANSWERS) == {"sites": ["Fill in at least 1 row."]}


def test_removing_the_last_row_is_refused(cast, subject):
    record = sites(cast, subject, [SITE_ROW])
    row = SITES.rows[0].model.objects.get()
    with pytest.raises(EntryRefused) as refusal:
        sites(cast, subject, [{**SITE_ROW, "id": row.pk, "DELETE": "on"}], record)
    assert refusal.value.errors == {"sites": ["Fill in at least 1 row."]}
    assert stored(subject) == ["T8"]


def test_a_new_row_marked_for_removal_is_not_stored(cast, subject):
    sites(cast, subject, [SITE_ROW, {**SITE_ROW, "level": "T9", "DELETE": "on"}])
    assert stored(subject) == ["T8"]


def test_rows_keep_the_order_of_the_screen(cast, subject):
    record = sites(cast, subject, [{**SITE_ROW, "level": level} for level in ("T8", "T4", "L1")])
    assert stored(subject) == ["T8", "T4", "L1"]
    rows = {row.level: row.pk for row in SITES.rows[0].model.objects.all()}
    sites(cast, subject, [{**SITE_ROW, "level": level, "id": rows[level]} for level in ("L1", "T8", "T4")], record)
    assert stored(subject) == ["L1", "T8", "T4"]
    assert {row.level: row.pk for row in SITES.rows[0].model.objects.all()} == rows


def test_two_rows_can_exchange_their_answers_in_one_save(cast, subject):
    record = sites(cast, subject, [{**SITE_ROW, "level": level} for level in ("T8", "T9")])
    first, second = SITES.rows[0].model.objects.order_by("position")
    sites(cast, subject, [{**SITE_ROW, "level": "T9", "id": first.pk}, {**SITE_ROW, "level": "T8", "id": second.pk}],
          record)  # fmt: skip
    assert stored(subject, names=("pk", "level")) == [(first.pk, "T9"), (second.pk, "T8")]


def test_a_row_of_another_subject_cannot_be_taken(cast, subject):
    other = registered(cast.coordinator_a, cast.site_a)
    sites(cast, other, [SITE_ROW])
    theirs = SITES.rows[0].model.objects.get()
    sites(cast, subject, [{**SITE_ROW, "level": "L3", "id": theirs.pk}])
    theirs.refresh_from_db()
    assert (theirs.level, theirs.subject) == ("T8", other)
    assert stored(subject) == ["L3"]


def test_more_rows_than_a_grid_can_hold_are_refused(subject):
    rows = [{**SITE_ROW, "level": LEVELS[n % len(LEVELS)]} for n in range(130)]
    assert "sites" in errors_of(SITES, subject, SITES_ANSWERS, {"sites": rows})


@pytest.mark.parametrize("total", ["", "x", "-1", "99999999999999999999"])
def test_a_tampered_count_of_rows_is_refused(subject, total):
    data = form_data(SITES, SITES_ANSWERS, {"sites": [SITE_ROW]}) | {"sites-TOTAL_FORMS": total}
    assert not crf_form(SITES, subject, data=data).is_valid()


def test_labels_of_rows_have_their_unit_and_stay_open_to_every_language(subject):
    """Form classes are kept between requests; their words must not be those of the first reader."""
    form = crf_form(IMAGING, subject, event="M3").formsets["vertebrae"].empty_form
    assert str(form["height_loss"].label) == "Loss of body height (%)"
    for field in form.fields.values():
        assert field.label is None or isinstance(field.label, Promise)


# --- what is saved is what comes back ---

words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=30)
past = st.dates(date(1900, 1, 1), date(2025, 8, 1))


def numbers(low, high, places):
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


@st.composite
def analgesics(draw):
    def one():
        drug = draw(st.sampled_from(sorted(DRUGS)))
        return {
            "drug": drug,
            "other_name": draw(words) if drug in UNNAMED_DRUGS else "",
            "route": draw(st.sampled_from(["", *Route])) if drug in DRUGS_WITHOUT_ROUTE else "",
            "dose": draw(st.none() | numbers("0.01", 100_000, 2)),
            "times": draw(st.none() | numbers("0.01", 100, 2)),
            "use": draw(st.sampled_from(["", "scheduled", "rescue"])),
        }

    return [one() for _n in range(draw(st.integers(1, 4)))]


@st.composite
def vertebrae(draw):
    def one(level):
        fracture = draw(st.sampled_from(["none", "new", "progressive", "not_assessable"]))
        return {
            "level": level,
            "height_loss": draw(st.none() | numbers(0, 100, 1)),
            "fracture": fracture,
            "symptomatic": draw(st.booleans()) if fracture in ("new", "progressive") else None,
            "local_control": draw(st.sampled_from(["controlled", "progression", "equivocal", "not_assessable"])),
            "density_hu": draw(st.none() | st.integers(-1000, 3000)),
        }

    return [one(level) for level in draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4, unique=True))]


@st.composite
def metastases(draw):
    def one(level):
        irradiated, operated = draw(st.booleans()), draw(st.booleans())
        return {
            "level": level,
            "lesion": draw(st.sampled_from(["lytic", "mixed", "blastic"])),
            "fracture": draw(st.booleans()),
            "prior_rt": irradiated,
            "prior_rt_date": draw(st.none() | past) if irradiated else None,
            "prior_surgery": operated,
            "prior_surgery_date": draw(st.none() | past) if operated else None,
        }

    return [one(level) for level in draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4, unique=True))]


@st.composite
def course_fractions(draw):
    def one(number):
        given = draw(st.booleans())
        return {
            "number": number,
            "date": RT_END + timedelta(days=number),
            "given": given,
            "dose_gy": draw(numbers("0.1", 30, 2)) if given else None,
            "gap_reason": draw(st.sampled_from(["holiday", "machine", "other"])) if not given else "",
            "remark": draw(words),
        }

    return [one(n) for n in sorted(draw(st.lists(st.integers(1, 10), max_size=4, unique=True)))]


@st.composite
def target_vertebrae(draw):
    def one(level):
        gtv = draw(st.sets(st.integers(1, 6), min_size=1, max_size=4))
        ctv = gtv | draw(st.sets(st.integers(1, 6)))
        structure = draw(st.sampled_from(["", "cord", "cauda"]))
        return {
            "level": level,
            **{f"gtv{n}": n in gtv for n in range(1, 7)},
            **{f"ctv{n}": n in ctv for n in range(1, 7)},
            "body_extent": "",
            "ring_reason": "",
            "sector_remark": draw(words),
            "structure": structure,
            "structure_dmax_gy": draw(numbers(0, 120, 2)) if structure else None,
        }

    return [one(level) for level in draw(st.lists(st.sampled_from(LEVELS), max_size=3, unique=True))]


@st.composite
def failed_criteria(draw):
    from spinetrial.protocol import CURRENT

    codes = [criterion.code for criterion in CURRENT.criteria]
    return [{"criterion": c} for c in draw(st.lists(st.sampled_from(codes), min_size=1, max_size=4, unique=True))]


GROUPS = {
    "P.SITES.sites": (SITES, SITES_ANSWERS, metastases()),
    "P.FAIL.criteria": (SCREEN_FAILURE, {"failed_on": TODAY, "reason": "criteria"}, failed_criteria()),
    "P.PAIN.analgesics_taken": (None, {"assessed_on": date(2025, 8, 30), "nrs_worst": 6, "analgesics": "some"},
                                analgesics()),
    "F.VISIT.analgesics_taken": (VISIT, {**DONE, "analgesics": "some"}, analgesics()),
    "F.IMAGING.vertebrae": (IMAGING, {"status": "done", "imaging_date": date(2025, 12, 19), "modality": "mri",
                                      "read_by": "both", "cord_injury": False}, vertebrae()),
    "R.RT.targets": (COURSE, {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"},
                     target_vertebrae()),
    "R.RT.fractions": (COURSE, {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"},
                       course_fractions()),
}  # fmt: skip


def test_every_repeating_group_is_tried():
    """But those with tests of their own: criteria (eligibility page), grade periods, the participant's own report."""
    groups = {f"{spec.code}.{group.key}" for spec in all_specs() for group in spec.rows}
    assert groups == {*GROUPS, "P.SCREEN.answers", "A.AE.periods", "F.EPRO.analgesics_taken"}


@pytest.mark.parametrize("name", GROUPS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_rows_come_back_as_they_were_saved(cast, name, data):
    """Entered, then with rows removed, put in another order, and added: the table is what the screen showed."""
    spec, answers, strategy = GROUPS[name]
    key = name.rsplit(".", 1)[1]
    spec = spec or next(each for each in all_specs() if each.code == "P.PAIN")
    group = next(group for group in spec.rows if group.key == key)
    names = [item.name for item in group.items]
    event = "M3" if spec in (VISIT, IMAGING) else ""

    def content():
        return [row[1:] for row in group.model.objects.order_by("position").values_list("position", *names)]

    def shown(rows):
        return [tuple(row[name] for name in names) for row in rows]

    with transaction.atomic():
        if spec in (VISIT, IMAGING, COURSE):
            subject = treated(cast.coordinator_a, cast.site_a)
        else:
            subject = do_register(cast.coordinator_a, cast.site_a, date(2025, 8, 1), {})
        first = data.draw(strategy, "first")
        explained = {"structure_over_limit": "accepted by the physicist"}  # the doses drawn are any
        record = enter(spec, subject, cast.coordinator_a, answers, {key: first}, event=event, explanations=explained)
        assert content() == shown(first)

        ids = list(group.model.objects.order_by("position").values_list("pk", flat=True))
        kept = [{**row, "id": pk} for row, pk in zip(first, ids, strict=True)]
        if key != "fractions":  # their dates follow their numbers
            kept = data.draw(st.permutations(kept), "order")
        gone = {row["id"] for row in kept if data.draw(st.booleans(), "remove")}
        used = {row.get("level", row.get("criterion", row.get("number"))) for row in kept}
        added = [row for row in data.draw(strategy, "added")
                 if row.get("level", row.get("criterion", row.get("number"))) not in used or "drug" in row]  # fmt: skip
        if key == "fractions":
            added = [row for row in added if not used or row["number"] > max(used)]
        after = [row for row in kept if row["id"] not in gone] + added
        if after or key in ("targets", "fractions"):
            posted = [{**row, "DELETE": "on"} if row["id"] in gone else row for row in kept] + added
            record = type(record).objects.get(pk=record.pk)
            enter(
                spec, subject, cast.coordinator_a, answers, {key: posted}, record=record, reason="second look",
                explanations=explained,
            )  # fmt: skip
            assert content() == shown(after)
            assert set(group.model.objects.values_list("parent", "subject")) <= {(record.pk, subject.pk)}
        transaction.set_rollback(True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.fixed_dictionaries(
        {
            "imaging_modality": st.sampled_from(["mri", "ct", "pet_ct", "bone_scan"]),
            "imaging_date": st.dates(date(1900, 1, 1), TODAY),
            "index_level": st.just("T8") | st.just(""),
            "escc": st.sampled_from(["", "0", "1a", "1b", "1c", "2", "3"]),
            "sins_pain": st.sampled_from(["", "mechanical", "occasional", "none"]),
            "sins_alignment": st.sampled_from(["", "subluxation", "deformity", "normal"]),
            "sins_collapse": st.sampled_from(["", "over_half", "under_half", "body_involved", "none"]),
            "collapse_percent": st.none() | st.integers(0, 100),
            "sins_posterolateral": st.sampled_from(["", "both", "one", "none"]),
            "other_trial": st.booleans(),
        }
    )
)
def test_a_record_comes_back_as_it_was_saved(cast, values):
    values["other_trial_last_date"] = date(2024, 2, 29) if values["other_trial"] else None
    with transaction.atomic():
        subject = do_register(cast.coordinator_a, cast.site_a, date(2025, 8, 1), {})
        record = sites(cast, subject, [SITE_ROW], **values)
        assert SitesOfDisease.objects.values(*values).get(pk=record.pk) == values
        transaction.set_rollback(True)


def test_numbers_keep_their_decimals(cast, followed):
    rows = [{**MORPHINE, "dose": "0.30", "times": "1.5"}]
    enter(VISIT, followed, cast.coordinator_a, {**DONE, "analgesics": "some"}, {"analgesics_taken": rows}, event="M3")
    row = VISIT.rows[0].model.objects.get()
    assert (row.dose, row.times) == (Decimal("0.30"), Decimal("1.5"))
