"""Flow, baseline, harms and conduct: figures that fit, tables with the same numbers, no arm when pooled."""

import io
import re
from datetime import UTC, datetime, timedelta

import pypdf
import pytest
from django.utils import translation
from reportlab.graphics.shapes import Rect, String
from reportlab.pdfbase.pdfmetrics import stringWidth

from adverse_events.models import term_label
from patients.models.consent import FailureReason
from spinetrial.analysis.baseline import summary
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.protocol import CURRENT
from spinetrial.reports.document import Document, Figure, Grid, Paragraph
from spinetrial.reports.figures.butterfly import ButterflyWords, TermBar, butterfly
from spinetrial.reports.figures.drawing import WIDTH, fit
from spinetrial.reports.figures.flow import BoxLine, FlowPicture, FlowStage, flow_diagram
from spinetrial.reports.fonts import REGULAR, register
from spinetrial.reports.pdf import render
from spinetrial.reports.sections.baseline import baseline
from spinetrial.reports.sections.conduct import deviations
from spinetrial.reports.sections.participants import flow
from spinetrial.reports.sections.toxicity import toxicity
from spinetrial.reports.writing import Report, Source, described, mean_sd, risk_difference, standardised
from spinetrial.stats.estimate import Reason, known, not_estimable
from spinetrial.terminology import ctcae
from tests.analysis.trial import failure, make_snapshot, responder, two_arms

SOURCE = Source(1, datetime(2026, 11, 1, tzinfo=UTC), "1.0")
ARM_WORDS = [word for arm in CURRENT.arms for word in (arm.code, arm.name, arm.ctv_text)]
SECTIONS = (flow, baseline, toxicity, deviations)
LANGUAGES = ("en", "zh-hans")


def blocks(patients, arms=Arms.SHOWN, language="en", fails=2, sections=SECTIONS):
    """The blocks of the sections in a language."""
    found = results(make_snapshot(patients, fails), arms)
    with translation.override(language):
        report = Report(found, SOURCE)
        return [block for section in sections for block in section(report)]


def pdf(made, language="en"):
    return render(Document(language, "Title", "Subtitle", "Footer", "", tuple(made)))


def trial(terms=8):
    """Twenty participants: a death, a withdrawal, few and no fractions, and so many terms of adverse events."""
    patients = two_arms((6, 4), (5, 5))
    patients[0].fractions = 5
    patients[0].answers = {"R.RT": {"ending": "stopped_early", "stop_reason": "toxicity"}}
    patients[1].fractions, patients[1].visits = 0, {}
    patients[2].visits, patients[2].death = {}, patients[2].rt_end + timedelta(days=5)
    patients[12].visits, patients[12].ended = {}, patients[12].rt_end + timedelta(days=5)
    patients[13].missed, patients[13].visits = {"M3": "too_ill"}, {"W2": (3, 60, 9)}
    codes = sorted(ctcae.terms())[:: len(ctcae.terms()) // terms][:terms]
    for number, code in enumerate(codes):
        for patient in patients[number % 7 : number % 7 + 2 + number % 5]:
            patient.events.append((code, 1 + number % 5))
    return patients


def grid(made, start):
    return next(block for block in made if isinstance(block, Grid) and block.caption.startswith(start))


def figure(made, name):
    return next(block.drawing for block in made if isinstance(block, Figure) and block.name == name)


def strings(drawing):
    """(text, left, bottom, right, top) of every text."""
    for item in drawing.contents:
        if isinstance(item, String):
            wide = stringWidth(item.text, item.fontName, item.fontSize)
            left = item.x - {"start": 0, "middle": wide / 2, "end": wide}[item.textAnchor]
            yield item.text, left, item.y - 0.2 * item.fontSize, left + wide, item.y + 0.8 * item.fontSize


def assert_inside(drawing):
    """Every text lies on the paper of the drawing, and no two texts overlap."""
    placed = list(strings(drawing))
    for words, left, bottom, right, top in placed:
        assert -0.1 <= left <= right <= WIDTH + 0.1, words
        assert -0.1 <= bottom <= top <= drawing.height + 0.1, words
    for number, (words, left, bottom, right, top) in enumerate(placed):
        for other, left2, bottom2, right2, top2 in placed[:number]:
            apart = right <= left2 or right2 <= left or top <= bottom2 + 0.1 or top2 <= bottom + 0.1
            assert apart, f"{words!r} over {other!r}"


def assert_boxed(drawing):
    """Every text lies inside one box, and no two boxes touch."""
    boxes = [item for item in drawing.contents if isinstance(item, Rect) and item.name == "box"]
    for words, left, bottom, right, top in strings(drawing):
        inside = [
            box
            for box in boxes
            if box.x <= left and right <= box.x + box.width and box.y <= bottom and top <= box.y + box.height
        ]
        assert len(inside) == 1, words
    for number, one in enumerate(boxes):
        assert -0.1 <= one.x <= one.x + one.width <= WIDTH + 0.1
        for other in boxes[:number]:
            assert (
                one.x + one.width <= other.x
                or other.x + other.width <= one.x
                or one.y + one.height <= other.y
                or other.y + other.height <= one.y
            )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("arms", list(Arms))
def test_texts_of_the_flow_stay_in_their_boxes(language, arms):
    drawing = figure(blocks(trial(), arms, language), "flow")
    assert_boxed(drawing)
    assert_inside(drawing)


def test_the_guard_sees_a_text_that_leaves_its_box():
    drawing = figure(blocks(trial()), "flow")
    next(item for item in drawing.contents if isinstance(item, String)).x += 300
    with pytest.raises(AssertionError):
        assert_boxed(drawing)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_flow_with_every_reason_and_long_words_fits_on_a_page(language):
    long = "放射性治疗期间因一般状况恶化" * 3 if language != "en" else "Progression or a worse general condition " * 3
    box = (BoxLine(long), *(BoxLine(f"{long} (n = {n})", 1 + n % 3) for n in range(7)))
    picture = FlowPicture("X", box[:1], box, box[:1], tuple(FlowStage("", (box, box)) for _n in range(5)))
    drawing = flow_diagram(picture)
    assert_boxed(drawing)
    assert drawing.height <= 680
    assert len(list(strings(drawing))) > 80
    assert render(Document(language, "T", "S", "F", "", (Figure("flow", "Caption", drawing),)))


def test_the_flow_says_the_numbers_of_the_table():
    made = blocks(trial())
    table = grid(made, "Flow after randomisation")
    words = " ".join(text for text, *_place in strings(figure(made, "flow")))
    for head, *cells in table.rows:
        for cell in cells:
            if cell not in ("", "0"):
                label = head.strip()
                if label in ("Per protocol (PP)",) or not label.startswith(
                    ("Intention to treat", "Safety", "Evaluable")
                ):
                    assert f"{label} (n = {cell})" in words, head
    rows = {head.strip(): cells for head, *cells in table.rows}
    assert rows["Allocated"] == ["10", "10"]
    assert rows["Received no fraction"] == ["1", "0"]
    assert rows["Adverse event of the radiotherapy"] == ["1", "0"]
    assert rows["Month 3 (primary time point): pain assessed"] == ["8", "8"]
    assert "Screen failures (n = 2)" in words
    assert "Not randomised (n = 2)" in words


def test_the_flow_carries_all_reasons_that_screening_knows():
    made = blocks([], fails=3)
    words = " ".join(text for text, *_place in strings(figure(made, "flow")))
    assert f"{FailureReason.CRITERIA.label} (n = 3)" in words
    assert "INC3: 3" in " ".join(grid(made, "Screening").notes)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("arms", [Arms.SHOWN, Arms.POOLED])
@pytest.mark.parametrize("terms", [1, 8, 45])
def test_texts_of_the_butterfly_do_not_overlap(language, arms, terms):
    assert_inside(figure(blocks(trial(terms), arms, language), "toxicity"))


@pytest.mark.parametrize("size", [(34, 32), (66,), (0, 5), (2000, 2000)])
def test_a_butterfly_with_long_terms_and_full_bars(size):
    label = "Neoplasms benign, malignant and unspecified (incl cysts and polyps) - Other, specify"
    full = TermBar(label, tuple((n, 0, 0) for n in size), tuple(f"{n} (100.0 %)" for n in size))
    bars = [full] * 20
    words = ButterflyWords(tuple("A long name of a group (2000 treated)" for _n in size), ("1", "2", "3"), "Axis", "–")
    drawing = butterfly(bars, size, words)
    assert_inside(drawing)
    assert drawing.height < 690
    bar = [item for item in drawing.contents if isinstance(item, Rect)]
    assert all(item.x >= 0 and item.x + item.width <= WIDTH for item in bar)


def test_the_figure_shows_the_most_frequent_terms_and_the_tables_all():
    made = blocks(trial(45))
    found = results(make_snapshot(trial(45)), Arms.SHOWN).toxicity
    assert len(found.rows) > 20
    with translation.override("en"):
        labels = [term_label(row.term_code) for row in found.by_frequency()]
    shown = " ".join(text for text, *_place in strings(figure(made, "toxicity")))
    squeezed = shown.replace(" ", "")
    assert all(label.replace(" ", "") in squeezed for label in labels[:20])
    for start in (
        "Participants with an adverse event by class and term",
        "Participants with an adverse event by class, t",
    ):
        heads = {row[0].strip() for row in grid(made, start).rows}
        assert set(labels) <= heads
    caption = next(block.caption for block in made if isinstance(block, Figure) and block.name == "toxicity")
    assert f"the 20 most frequent of {len(labels)} terms" in caption
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf(made))).pages]
    assert sum("CTCAE class" in page for page in pages) >= 3


def test_the_rows_of_a_term():
    patients = two_arms((34, 0), (32, 0))
    for patient in (*patients[:8], *patients[34:36]):
        patient.events = [("10061103", 2)]
    made = blocks(patients)
    rows = {row[0].strip(): row[1:] for row in grid(made, "Participants with an adverse event by class and term").rows}
    assert rows["Dermatitis radiation"] == ("8/34 (23.5 %)", "2/32 (6.2 %)", "+17.3 (−0.2 to +35.1)", "0.084")
    # A class is not tested.
    assert rows["Injury, poisoning and procedural complications"][-1] == ""
    grades = {row[0].strip(): row[1:] for row in grid(made, "Participants with an adverse event by class, term").rows}
    assert grades["Dermatitis radiation"] == (
        "0 / 8 / 0 / 0 / 0",
        "0 / 2 / 0 / 0 / 0",
        "8",
        "2",
        "0.084",
        "0",
        "0",
        "–",
    )
    words = next(block.text for block in made if isinstance(block, Paragraph))
    assert "Involved sectors: 8 of 34 had one, 0 of grade 3 or above" in words
    assert "No adverse event of a treated participant was fatal." in words


def test_harms_in_words_carry_no_judgement():
    for arms in Arms:
        text = next(block.text for block in blocks(trial(), arms) if isinstance(block, Paragraph))
        assert not re.search(r"safe|toler|similar|signific|comparable|differ|well|%| p ", text, re.IGNORECASE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pooled_shows_no_arm_and_compares_nothing(language):
    made = blocks(trial(), Arms.POOLED, language)
    seen = repr(made) + " ".join(
        text for block in made if isinstance(block, Figure) for text, *_place in strings(block.drawing)
    )
    with translation.override(language):
        words = [*ARM_WORDS, *(translation.gettext(word) for word in ARM_WORDS)]
    assert not [word for word in words if word in seen]
    assert not [block for block in made if isinstance(block, Grid) and "p" in block.header]
    # The guard can fail.
    assert CURRENT.arms[0].name in repr(blocks(trial()))


def test_pooled_does_not_depend_on_the_arms():
    swapped = trial()
    for patient in swapped:
        patient.arm = {"LOCAL": "WHOLE", "WHOLE": "LOCAL"}[patient.arm]
        patient.answers = dict(patient.answers)
    assert pdf(blocks(trial(), Arms.POOLED)) == pdf(blocks(swapped, Arms.POOLED))


@pytest.mark.parametrize("arms", list(Arms))
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "patients",
    [
        [],
        [responder(1, "LOCAL")],
        [failure(1, "WHOLE", visits={}, fractions=0)],
        two_arms((3, 2), (0, 0)),
        [responder(1, "LOCAL", events=[("10061103", 5)])],
    ],
)
def test_few_or_no_participants_never_break_a_section(patients, language, arms):
    made = blocks(patients, arms, language, fails=0)
    assert pdf(made, language).startswith(b"%PDF")
    for block in made:
        if isinstance(block, Grid):
            assert all(len(row) == len(block.header) for row in block.rows), block.caption
            assert not [cell for row in block.rows for cell in row if re.search(r"\b(nan|inf|None)\b", cell)]


@pytest.mark.parametrize("arms", list(Arms))
def test_every_row_has_as_many_cells_as_the_header(arms):
    for block in blocks(trial(), arms):
        if isinstance(block, Grid):
            assert all(len(row) == len(block.header) == len(block.shares) for row in block.rows), block.caption


def test_both_languages_say_the_same_numbers():
    one, other = ([b for b in blocks(trial(), language=each) if isinstance(b, Grid)] for each in LANGUAGES)
    for english, chinese in zip(one, other, strict=True):
        for row, again in zip(english.rows, chinese.rows, strict=True):
            assert [re.findall(r"\d+", cell) for cell in row[1:]] == [re.findall(r"\d+", cell) for cell in again[1:]]


def test_the_baseline_table_has_differences_and_no_p():
    table = grid(blocks(trial()), "Baseline")
    assert table.header[-1] == "Standardised difference"
    assert "p" not in table.header
    assert "chance alone" in table.notes[-1]
    rows = {row[0].strip(): row for row in table.rows}
    assert rows["Female"][1:3] == ("5/10 (50.0 %)", "5/10 (50.0 %)")
    assert rows["Sex"][-1] == "0.00"
    pooled = grid(blocks(trial(), Arms.POOLED), "Baseline")
    assert len(pooled.header) == 2
    assert len(pooled.notes) == 1


def test_numbers_in_words():
    assert standardised(known(-0.2345)) == "−0.23"
    assert standardised(known(-0.001)) == "0.00"
    assert standardised(not_estimable(Reason.ZERO_VARIANCE)) == "not estimable"
    assert risk_difference(None) == ""
    assert described(summary([1, 2, 3, 4])) == "2.5 (1.8–3.2; 1–4)"
    assert described(summary([])) == mean_sd(summary([])) == "not estimable"
    assert mean_sd(summary([3])) == "3.0 (–)"


@pytest.mark.parametrize(
    "words",
    [
        "Gastrointestinal disorders - Other, specify",
        "放射性皮炎 (Dermatitis radiation)，其他。",
        "Pneumonoultramicroscopicsilicovolcanoconiosis again",
        "",
        "未达到符合方案集，至少九次分割的受试者。" * 2,
    ],
)
@pytest.mark.parametrize("width", [30, 60, 200])
def test_lines_never_exceed_their_width_nor_lose_a_letter(words, width):
    register()
    lines = fit(words, width, 8)
    assert all(stringWidth(line, REGULAR, 8) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
