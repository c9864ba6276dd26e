"""The primary section and the response section: every analysis is there, and no picture hides a number."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from reportlab.graphics.shapes import Drawing, Group, Path, Rect, String
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.imputation import IMPUTATION_SEED
from spinetrial.analysis.results import results
from spinetrial.protocol import CURRENT
from spinetrial.reports.content import build
from spinetrial.reports.document import Figure, Grid, Paragraph
from spinetrial.reports.figures.bars import PATTERNS, Bar, BarRow, BarWords, stacked_bars
from spinetrial.reports.figures.drawing import WIDTH
from spinetrial.reports.figures.forest import ForestLine, ForestWords, forest_plot
from spinetrial.reports.figures.hatching import Pattern, paint
from spinetrial.reports.figures.interval import IntervalLine, IntervalWords, interval_plot
from spinetrial.reports.figures.tipping import TippingWords, tipping_map
from spinetrial.reports.page import svg
from spinetrial.reports.pdf import render
from spinetrial.reports.sections.primary import primary
from spinetrial.reports.sections.response import response, segments
from spinetrial.reports.writing import Report, Source
from tests.analysis.trial import failure, make_snapshot, responder, two_arms

SOURCE = Source(1, datetime(2026, 11, 1, 8, 30, tzinfo=UTC), "1.0")
LONG = "Involved sectors and the adjacent parts of the vertebra as drawn by the physician"


def trial():
    """Deaths, a retreatment, missing responses in both arms, two sites."""
    patients = two_arms((18, 6), (14, 8))
    for number, patient in enumerate(patients):
        patient.site = ("NK", "SH")[number % 2]
        patient.nrs = 5 + number % 4
        low = patient.visits["M3"][0] == 0
        patient.visits = {event: (0 if low else patient.nrs, 60, 0) for event in patient.visits}
    for number in (2, 3, 30):
        patients[number].visits = {"W2": (2, 60, 0)}
        patients[number].missed = {"M3": "refused"}
    for number in (8, 40):
        patients[number].visits = {}
        patients[number].death = patients[number].due("W2")
    patients[41].retreated = patients[41].due("M3") - timedelta(days=3)
    return patients


def blocks(section, patients, arms=Arms.SHOWN):
    return list(section(Report(results(make_snapshot(patients), arms), SOURCE)))


def grids(found):
    return [block for block in found if isinstance(block, Grid)]


def figures(found):
    return {block.name: block.drawing for block in found if isinstance(block, Figure)}


def named(found, word):
    return next(block for block in grids(found) if word in block.caption)


def texts(drawing):
    return [each for each in drawing.contents if isinstance(each, String)]


def words(found):
    """Everything printed: tables with notes, paragraphs, captions and the words in the pictures."""
    for block in found:
        match block:
            case Grid():
                yield from (block.caption, *block.header, *(cell for row in block.rows for cell in row), *block.notes)
            case Paragraph():
                yield block.text
            case Figure():
                yield from (block.caption, *(each.text for each in texts(block.drawing)))


def box(string):
    """Left, right, bottom and top of a text of a drawing."""
    width = stringWidth(string.text, string.fontName, string.fontSize)
    left = string.x - {"start": 0, "middle": width / 2, "end": width}[string.textAnchor]
    return left, left + width, string.y - 0.2 * string.fontSize, string.y + 0.75 * string.fontSize


def assert_readable(drawing):
    """No text outside of the drawing, none over another."""
    boxes = [(*box(each), each.text) for each in texts(drawing) if each.text]
    for left, right, bottom, top, said in boxes:
        assert left >= -0.5, said
        assert right <= WIDTH + 0.5, said
        assert bottom >= -0.5, said
        assert top <= drawing.height + 0.5, said
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = one[1] <= other[0] + 0.3 or other[1] <= one[0] + 0.3 or one[3] <= other[2] + 1.2
            assert apart or other[3] <= one[2] + 1.2, (one[4], other[4])


def test_the_sensitivity_table_holds_every_entry_of_the_protocol():
    table = named(blocks(primary, trial()), "Sensitivity analyses")
    assert [row[0] for row in table.rows] == [entry.label for entry in CURRENT.sensitivity]
    by_label = dict(zip((entry.code for entry in CURRENT.sensitivity), table.rows, strict=True))
    assert by_label["MARGIN_10"][3] == "−10.0"
    assert re.fullmatch(r"\d+\.\d/24 \(\d+\.\d\s%\)", by_label["MI"][1])
    assert re.fullmatch(r"\d of 6 kept", by_label["TIPPING"][6])
    assert re.fullmatch(r"p [≤>] 0.025", by_label["EXACT"][6])
    for code in ("FM", "NEWCOMBE", "COMPLETE_CASE", "MI", "MARGIN_10"):
        assert by_label[code][6] in {"above", "not above"}


def test_a_line_of_the_table_says_where_its_limit_lies():
    table = named(blocks(primary, trial()), "Sensitivity analyses")
    for row in table.rows:
        limits = re.search(r"\(([−+]?[\d.]+) to", row[4])
        if limits and row[6] in {"above", "not above"}:
            lower, margin = (float(text.replace("−", "-")) for text in (limits.group(1), row[3]))
            assert (row[6] == "above") == (lower > margin), row


def test_a_line_without_a_number_has_its_reason_below():
    patients = [*two_arms((0, 0), (5, 3)), failure(50, "LOCAL", visits={}, missed={"M3": "refused"})]
    notes = named(blocks(primary, patients), "Sensitivity analyses").notes
    assert "Multiple imputation: not estimable: no evaluable response in an arm with missing ones." in notes
    assert "Complete cases: not estimable: nobody in one of the arms." in notes
    assert not [note for note in notes if note.startswith("Tipping-point grid")]
    assert len(named(blocks(primary, trial()), "Sensitivity analyses").notes) == 1


def test_the_imputation_names_its_seed_and_its_model():
    found = named(blocks(primary, trial()), "Multiple imputation")
    notes = " ".join(found.notes)
    for word in (f"seed {IMPUTATION_SEED}", "100 imputed sets", "log(OMED + 1)", "Week 2", "with arm as a term",
                 "Rubin", "White, Daniel and Royston"):  # fmt: skip
        assert word in notes
    assert found.rows[2][1:] == ("2", "1")


def test_the_border_table_is_the_edge_of_the_hatched_cells():
    found = blocks(primary, trial())
    border = named(found, "Border")
    (tipping,) = results(make_snapshot(trial()), Arms.SHOWN).primary.tippings
    cells = [cell for row in border.rows for cell in row if cell]
    shown = dict(zip(cells[::2], cells[1::2], strict=True))
    assert shown == {str(b.study): "none" if b.control is None else str(b.control) for b in tipping.border}
    assert f"kept in {tipping.grid.n_noninferior}" in border.notes[0]


def test_no_section_claims_more_than_its_numbers():
    said = " ".join(words(blocks(primary, trial()))).lower()
    for claim in ("no difference", "equivalen", "significant", "proves", "as good as", "no effect"):
        assert claim not in said
    assert "exploratory: not corrected" in said
    assert "large p is no evidence" in said


def test_the_figure_of_intervals_holds_sets_methods_and_the_imputation():
    drawing = figures(blocks(primary, trial()))["difference"]
    said = " ".join(each.text for each in texts(drawing))
    for word in ("ITT, primary", "PP, primary", "Newcombe", "Multiple imputation", "Worst case", "Margin -0.10",
                 "margin −15.0", "own margin: −10.0", "favours control"):  # fmt: skip
        assert word in said
    assert_readable(drawing)


def test_everyone_is_in_one_segment():
    counted = results(make_snapshot(trial()), Arms.SHOWN)
    for row in counted.visits:
        for counts in row:
            assert sum(segments(counts)) == counts.n
    study, control = next(row for row in counted.visits if row[0].visit == "M3")
    assert segments(study)[4:] == (1, 0, 2, 0)
    assert segments(control)[4:] == (1, 1, 1, 0)
    assert sum(segments(study)[:2]) == study.rate.x


def test_the_counts_of_the_bars_stand_in_the_tables():
    found = blocks(response, trial())
    drawing = figures(found)["response"]
    month = named(found, "primary time point")
    counts = {row[0].strip(): row[1] for row in month.rows}
    said = [each.text for each in texts(drawing)]
    assert counts["Complete response (CR)"] in said
    assert len(PATTERNS) == 8
    assert_readable(drawing)


@pytest.mark.parametrize(
    "patients",
    [
        [],
        [responder(1, "LOCAL")],
        [failure(1, "WHOLE", visits={}, missed={"M3": "refused"})],
        [failure(1, "LOCAL", visits={}, missed={"M3": "refused"}), failure(2, "WHOLE", visits={})],
        two_arms((5, 0), (5, 0)),
        two_arms((0, 5), (0, 5)),
        two_arms((4, 2), (0, 0)),
        trial(),
    ],
)
def test_every_situation_gives_words_and_readable_pictures(patients):
    for arms in Arms:
        for section in (response, primary):
            found = blocks(section, patients, arms)
            for said in words(found):
                assert not re.search(r"\b(nan|inf|None)\b", said), said
            for drawing in figures(found).values():
                assert_readable(drawing)
                assert "style=" not in svg(drawing)


def test_a_pooled_report_compares_nothing():
    found = blocks(primary, trial(), Arms.POOLED)
    assert found == []
    said = " ".join(words(blocks(response, trial(), Arms.POOLED)))
    for arm in CURRENT.arms:
        assert arm.name not in said


def test_arms_that_were_drawn_fill_every_table():
    shown, drawn = (blocks(primary, trial(), arms) for arms in (Arms.SHOWN, Arms.DRAWN))
    assert [type(block) for block in shown] == [type(block) for block in drawn]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_same_data_give_the_same_bytes(language):
    pdfs = [render(build(results(make_snapshot(trial()), Arms.SHOWN), SOURCE, language)) for _n in range(2)]
    assert pdfs[0] == pdfs[1]


# --- pictures by themselves ---

TIPPING = TippingWords("Responders of the control arm", f"Responders of {LONG}", "kept", "not kept", "observed rates",
                       "all failures", "worst case")  # fmt: skip


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (30, 1), (8, 9), (121, 121), (251, 251)])
def test_a_tipping_map_of_any_size_is_readable(rows, columns):
    decided = [[j <= i for j in range(columns)] for i in range(rows)]
    drawing = tipping_map(decided, (rows // 2, columns // 2), TIPPING)
    assert_readable(drawing)
    assert drawing.height < 330
    assert len(drawing.contents) < 500  # runs, not cells


def test_the_hatching_covers_the_kept_cells_and_no_other():
    decided = [[True, True, False], [False, False, False], [True, False, True]]
    drawing = tipping_map(decided, None, TIPPING)
    (path,) = [each for each in drawing.contents if isinstance(each, Path)][:1]
    box = next(each for each in drawing.contents if isinstance(each, Rect) and each.width == 60.0)
    left, base, size = box.x, box.y, 20.0
    xy = [(path.points[n], path.points[n + 1]) for n in range(0, len(path.points), 2)]
    hit = set()
    for start, stop in zip(xy[::2], xy[1::2], strict=True):
        middle = ((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
        hit.add((int((middle[1] - base) // size), int((middle[0] - left) // size)))
    assert hit == {(0, 0), (0, 1), (2, 0), (2, 2)}


def test_lines_run_on_through_rectangles_that_touch():
    one, two = Drawing(100, 100), Drawing(100, 100)
    pattern = Pattern(None, line="black", rising=True, gap=4.0)
    paint(one, [(0, 0, 40, 20)], pattern)
    paint(two, [(0, 0, 40, 10), (0, 10, 40, 10)], pattern)
    ends = [next(each for each in drawing.contents if isinstance(each, Path)).points for drawing in (one, two)]
    assert ends[0] == pytest.approx(ends[1])


def test_neighbouring_segments_differ_without_colour():
    def grey(pattern):
        return 0.299 * pattern.fill.red + 0.587 * pattern.fill.green + 0.114 * pattern.fill.blue

    for one, other in pairwise(PATTERNS):
        hatching = [(p.line is not None, p.rising, p.falling) for p in (one, other)]
        assert abs(grey(one) - grey(other)) > 0.2 or hatching[0] != hatching[1]


@pytest.mark.parametrize("name", ["A", LONG, "受累扇区及相邻部分（由医师勾画的靶区，包括椎体的一部分）"])
def test_bars_with_long_names_and_large_counts(name):
    legend = BarWords(
        tuple((f"s{n}", f"Segment {n}: {LONG[:40]}") for n in range(8)), "Per cent", "Participants", "all"
    )
    rows = [BarRow(f"Month {n}", (Bar(name, (1000, 1, 0, 0, 0, 0, 0, 0)), Bar(name, (0,) * 8))) for n in (1, 2)]
    assert_readable(stacked_bars(rows, legend))


def test_bar_lengths_are_shares():
    legend = BarWords(tuple((f"s{n}", f"S{n}") for n in range(8)), "Per cent", "Participants", "all")
    drawing = stacked_bars([BarRow("M3", (Bar("A", (1, 0, 3, 0, 0, 0, 0, 4)),))], legend)
    widths = [each.width for each in drawing.contents if isinstance(each, Rect) and each.height == 11.0]
    assert [width / sum(widths) for width in widths] == pytest.approx([1 / 8, 3 / 8, 4 / 8])


def test_an_interval_without_limits_or_estimate_is_drawn_as_such():
    said = IntervalWords("axis", "favours control", "favours study arm", "margin −15.0", "not estimable", "own: −10.0")
    lines = [
        IntervalLine("A", 0.1, -0.2, 0.3, "+10.0 (−20.0 to +30.0)", strong=True),
        IntervalLine("Head", head=True),
        IntervalLine(LONG, 0.05, None, None, "p = 0.200"),
        IntervalLine("C", None, None, None, "–", margin=-0.1),
        IntervalLine("D", -1.0, -1.0, 1.0, "−100.0 (−100.0 to +100.0)"),
    ]
    drawing = interval_plot(lines, -0.15, said)
    assert_readable(drawing)
    assert "not estimable" in [each.text for each in texts(drawing)]
    assert not [each for each in drawing.contents if isinstance(each, Group)]
    assert interval_plot([], -0.15, replace(said, other="")).height > 50


def test_a_forest_of_long_labels_and_empty_levels():
    said = ForestWords(LONG, "Whole vertebra", "Difference, points (95 % CI)", "axis", "favours control",
                       "favours study arm", "not estimable")  # fmt: skip
    lines = [
        ForestLine("Sex", text="interaction p = 0.123", head=True),
        ForestLine(LONG, "512/1000", "498/1000", 2000, -0.9, -1.0, 0.9, "−90.0 (−100.0 to +90.0)"),
        ForestLine("Nobody", "0/0", "0/3", 3, None, None, None, "not estimable"),
        ForestLine("All randomised", "512/1000", "498/1003", 0, 0.1, 0.0, 0.2, "+10.0 (0.0 to +20.0)", overall=True),
    ]
    assert_readable(forest_plot(lines, said))
    assert forest_plot([], said).height > 0
