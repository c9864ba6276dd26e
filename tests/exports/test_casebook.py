"""The casebook: everything of one participant on paper, in both languages, for the own site alone, after lock too."""

import io
from datetime import UTC, date, datetime

import pypdf
import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from followup.crfs import IMAGING
from patients.crfs import DEMOGRAPHICS
from patients.models import Subject
from patients.subjects import do_change_contact
from radiotherapy.crfs import COURSE
from randomization.arms import arms_for
from spinetrial.access.models import User
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import stored
from spinetrial.crf.registry import all_specs
from spinetrial.crf.reviewing import sign, verify
from spinetrial.crf.save import enter
from spinetrial.reports.booklet import printable, render, wrap
from spinetrial.reports.document import Document, Facts, Figure, Grid, Heading, Paragraph
from spinetrial.reports.fonts import REGULAR
from spinetrial.review import queries, trial
from spinetrial.review.models import Explanation
from spinetrial.worklists.casebook import casebook
from tests.adverse_events.helpers import event
from tests.analysis.conftest import SECRETS, make_trial
from tests.followup.helpers import MORPHINE, milestones, noon, registered, visit

MADE = datetime(2026, 3, 2, 4, 0, 5, tzinfo=UTC)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
COURSE_ANSWERS = {"prescribed_gy": 40, "prescribed_fractions": 10, "ending": "as_planned"}


@pytest.fixture(autouse=True)
def _clock():
    with at(MADE):
        yield


@pytest.fixture
def subject(cast):
    """A randomised participant with baseline, course, a visit with a drug, imaging, an event, and review of them."""
    subject = make_trial(cast, 1).subjects[0]
    person, doctor = cast.coordinator_a, User.objects.get(pk=cast.investigator_a.pk)
    milestones(subject, rt_start=None, rt_end=None, rt_completed=False, fractions_given=0)
    ring = {f"ctv{n}": True for n in range(1, 7)} | {"gtv1": True}
    fraction = {"number": 1, "date": date(2025, 9, 2), "given": True, "dose_gy": "3.00"}
    enter(COURSE, subject, person, COURSE_ANSWERS, {"targets": [{"level": "T8", **ring}], "fractions": [fraction]})
    milestones(subject, rt_start=date(2025, 9, 1), rt_end=date(2025, 9, 12), rt_completed=True, fractions_given=10)
    visit(subject, person, "M3", visit_date=date(2025, 12, 12), rows=[MORPHINE], analgesics="some")
    with at(noon(date(2025, 12, 30))):
        enter(IMAGING, subject, person, {"status": "not_done", "not_done_reason": "refused"}, event="M3")
    event(subject, person, verbatim="tired 疲乏 🙂", on=date(2026, 1, 5))
    record = next(stored([subject.pk], [DEMOGRAPHICS]))
    verify(cast.monitor_a, subject, record.key, record.sha256)
    sign(doctor, subject, {record.key: record.sha256}, scope="form", meaning="reviewed", certify=True)
    asked = queries.raise_query(cast.monitor_a, subject=subject, site_id=cast.site_a.pk, spec_code="P.DM",
                                record_id=record.record.pk, event="BL", item="sex",
                                text="Same as on the card?")  # fmt: skip
    queries.answer(person, asked, "Yes, seen on the card.")
    queries.close(cast.monitor_a, asked, "Thank you.")
    return subject


def text_of(pdf):
    """Text without white space, because cells wrap."""
    return "".join("".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def made(person, subject, language="en"):
    person = User.objects.get(pk=person.pk)
    return casebook(person, Subject.objects.select_related("site").get(pk=subject.pk), language, MADE)


def says(text, *words):
    return [word for word in words if "".join(word.split()) not in text]


# --- what is in it ---


def test_every_form_with_questions_answers_and_rows(cast, subject):
    text = text_of(made(cast.coordinator_a, subject))
    titles = ["Demographics", "Baseline pain", "Radiotherapy course", "Follow-up visit", "Follow-up imaging",
              "Adverse event"]  # fmt: skip
    assert says(text, *titles) == []
    assert text.index("Baseline:Demographics") < text.index("Radiotherapy:Radiotherapycourse")
    assert text.index("Radiotherapy:Radiotherapycourse") < text.index("Month3:Follow-upvisit")
    words = ["Date of birth", "1960-05-17", "Sex", "Female", "Worst pain", "Morphine", "T8", "refused"]
    words.append(arms_for(cast.coordinator_a, [subject])[subject.pk].name)
    assert says(text.lower(), *[word.lower() for word in words]) == []
    assert says(text, "2025-12-12", "tired", "NK-001", "NorthKettleHospital") == []


def test_a_missing_answer_stands_with_its_reason(cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**ANSWERS, "height_cm": ""})
    with acting(cast.coordinator_a, "not measured"):
        type(record).objects.filter(pk=record.pk).update(missing={"height_cm": "ND"})
    text = text_of(made(cast.coordinator_a, subject))
    assert "HeightNotdone" in text
    assert "HeightNotdone" in text.split("Audittrail")[-1]


def test_verification_signature_query_and_explanation(cast, subject):
    record = next(stored([subject.pk], [DEMOGRAPHICS])).record
    with acting(cast.coordinator_a, "explained"):
        Explanation(subject=subject, spec_code="P.DM", record_id=record.pk, event="BL", check_code="age", item="sex",
                    text="As in the passport.", by=cast.coordinator_a, at=MADE).save()  # fmt: skip
    text = text_of(made(cast.coordinator_a, subject))
    assert says(text, "verified by Monitor A", "Investigator A, 2026-03-02 04:00:05 UTC (2026-03-02 12:00:05 CST)",
                "I have reviewed these data and they are accurate and complete.", "(valid)",
                "Same as on the card?", "Yes, seen on the card.", "Thank you.",
                "As in the passport.") == []  # fmt: skip


def test_a_void_signature_and_a_dropped_verification_stay_readable(cast, subject):
    record = next(stored([subject.pk], [DEMOGRAPHICS])).record
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, {"birth_date": date(1961, 5, 17), "sex": "female"},
          record=record, reason="wrong year")  # fmt: skip
    text = text_of(made(cast.coordinator_a, subject))
    assert says(text, "VOID since", "to verify again, changed", "wrong year", "1960-05-17", "1961-05-17") == []


def test_the_whole_trail_of_the_participant(cast, subject):
    text = text_of(made(cast.coordinator_a, subject)).split("Audittrail")[-1]
    reasons = {entry.reason for entry in AuditEntry.of_subject(subject.pk)} - {""}
    assert len(reasons) > 4
    assert (
        says(text, *[word for reason in reasons for word in reason.split()]) == []
    )  # lines of cells stand side by side
    actors = {entry.actor for entry in AuditEntry.of_subject(subject.pk)}
    assert says(text, *[word for actor in actors for word in actor.split()]) == []


def test_no_name_and_no_contact(cast, subject):
    do_change_contact(cast.coordinator_a, subject, {**SECRETS, "telephone": "+86 555 000 1234"}, "moved")
    for language in ("en", "zh-hans"):
        text = text_of(made(cast.coordinator_a, subject, language))
        assert not [secret for secret in (*SECRETS.values(), "+86 555 000 1234") if not says(text, secret)]
    assert "(encrypted)" in text_of(made(cast.coordinator_a, subject))


def test_every_page_says_whose_it_is_which_page_when_and_by_whom(cast, subject):
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made(cast.coordinator_a, subject))).pages]
    assert len(pages) > 5
    for number, page in enumerate(pages, 1):
        squeezed = "".join(page.split())
        assert f"{number}/{len(pages)}" in squeezed
        assert says(squeezed, "NK-001", "2026-03-02 04:00:05 UTC", "Coordinator A (coordinator-a)") == []


def test_chinese_prints(cast, subject):
    text = text_of(made(cast.coordinator_a, subject, "zh-hans"))
    assert says(text, "受试者", "随机", "女", "疲乏") == []
    assert "[U+" not in text.replace("[U+1F642]", "")


def test_the_same_data_language_and_time_give_the_same_bytes(cast, subject):
    assert made(cast.coordinator_a, subject) == made(cast.coordinator_a, subject)
    assert made(cast.coordinator_a, subject) != made(cast.coordinator_a, subject, "zh-hans")
    event(subject, cast.coordinator_a, on=date(2026, 1, 6))
    first = made(cast.coordinator_a, subject)
    assert first == made(cast.coordinator_a, subject)


def test_there_is_none_for_the_masked(cast, subject):
    for person in (cast.assessor_a, cast.statistician):
        with pytest.raises(PermissionDenied):
            made(person, subject)


def test_a_participant_with_nothing_has_a_casebook_too(cast):
    assert "Casebookofparticipant" in text_of(made(cast.coordinator_a, registered(cast.coordinator_a, cast.site_a)))


# --- the drawing ---


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain", "plain"),
        ("疲乏", "疲乏"),
        ("a🙂b", "a[U+1F642]b"),
        ("𠮷", "[U+20BB7]"),
        ("two\nlines", "two\nlines"),
        ("tab\tbell\a", "tab bell[U+0007]"),
    ],
)
def test_what_the_typeface_lacks_is_printed_as_its_code_point(text, printed):
    assert printable(text) == printed


@pytest.mark.parametrize("text", ["x" * 10_000, "word " * 2000, "疼" * 5000, "🙂" * 300, "", "\n\n", "a\u00a0b" * 50])
def test_lines_fit_and_nothing_is_lost(text):
    from reportlab.pdfbase.pdfmetrics import stringWidth

    lines = wrap(text, REGULAR, 7.5, 120)
    assert all(stringWidth(line, REGULAR, 7.5) <= 120.01 for line in lines)
    assert "".join("".join(lines).split()) == "".join(printable(text).split())


def test_a_cell_longer_than_a_page_goes_on_on_the_next_under_its_header():
    grid = Grid("", ("Question", "Answer"), (("first", "long " * 9000), ("last", "END")), (1, 1), text=True)
    pdf = render(Document("en", "T", "S", "F", "", (Heading("H"), grid)))
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    assert len(pages) > 3
    assert all("Question" in page for page in pages)
    assert "END" in pages[-1]
    assert sum(page.count("long") for page in pages) == 9000


def test_other_blocks_and_one_that_cannot_be_drawn():
    blocks = (
        Heading("A", 1),
        Heading("B", 2),
        Paragraph("note", "note"),
        Paragraph("x", "warning"),
        Facts((("k", "v"),)),
    )
    assert render(Document("en", "T", "S", "F", "", blocks)).startswith(b"%PDF")
    with pytest.raises(TypeError):
        render(Document("en", "T", "S", "F", "", (Figure("f", "f", None),)))


# --- who gets it ---


def signed_in(client, person):
    client.force_login(User.objects.get(pk=person.pk))
    return client


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_a", 200), ("investigator_a", 200), ("coordinator_b", 404), ("investigator_b", 404),
     ("monitor_a", 403), ("assessor_a", 403), ("data_manager", 403), ("statistician", 403), ("custodian", 403),
     ("administrator", 403), ("outsider", 403)],
)  # fmt: skip
def test_the_own_site_alone(client, cast, subject, name, status):
    answer = signed_in(client, getattr(cast, name)).get(reverse("casebook_pdf", args=[subject.code]))
    assert answer.status_code == status
    downloads = AuditEntry.objects.filter(act="casebook downloaded")
    assert downloads.count() == (status == 200)
    if status == 200:
        entry = downloads.get()
        assert (entry.subject_id, entry.site_id, entry.actor_id) == (
            subject.pk, cast.site_a.pk, getattr(cast, name).pk,
        )  # fmt: skip
        assert entry.reveals_arm
        assert len(entry.changes["sha256"]) == 64
        assert answer["Content-Disposition"] == 'attachment; filename="casebook-NK-001-en.pdf"'
        assert "no-store" in answer["Cache-Control"]


def test_before_during_and_after_the_lock(client, cast, subject):
    address = reverse("casebook_pdf", args=[subject.code])
    signed_in(client, cast.coordinator_a)
    assert client.get(address).status_code == 200
    trial.do_freeze(cast.data_manager, "ready")
    assert client.get(address).status_code == 200
    do_lock_trial(cast.statistician, "final")
    locked = client.get(address)
    assert locked.status_code == 200
    assert "Locked" in text_of(locked.content)


@pytest.mark.parametrize(("query", "status"), [({"lang": "zh-hans"}, 200), ({"lang": "de"}, 404), ({"lang": "\0"}, 404),
                                               ({"lang": "x" * 10_000}, 404)])  # fmt: skip
def test_odd_addresses(client, cast, subject, query, status):
    signed_in(client, cast.coordinator_a)
    assert client.get(reverse("casebook_pdf", args=[subject.code]), query).status_code == status
    assert client.get("/subjects/NK-999/casebook.pdf").status_code == 404
    assert client.post(reverse("casebook_pdf", args=[subject.code])).status_code == 405


def test_every_crf_has_a_place_in_the_order():
    assert len({spec.code for spec in all_specs()}) == len(all_specs())
