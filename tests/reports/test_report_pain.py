"""The section on pain: its numbers are those of the results, no arm in the pooled one, pictures inside their box."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from reportlab.graphics.shapes import Drawing, Group, PolyLine, Rect, String

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.protocol import CURRENT
from spinetrial.reports.content import build
from spinetrial.reports.document import Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.trajectories import MOST_LINES, Panel, TrajectoryWords, thinned, trajectory_plot
from spinetrial.reports.figures.waterfall import Bar, WaterfallPanel, WaterfallWords, waterfall_plot
from spinetrial.reports.page import svg
from spinetrial.reports.pdf import render
from spinetrial.reports.sections.pain import pain as section
from spinetrial.reports.sections.pain import score, whole
from spinetrial.reports.writing import Report, Source
from tests.analysis.recompute import pdf_text, squeezed
from tests.analysis.trial import Patient, make_snapshot, responder, two_arms

SOURCE = Source(1, datetime(2026, 11, 1, tzinfo=UTC), "1.0")
ARM_NAMES = [arm.name for arm in CURRENT.arms]


def many(count, seed=1, visits=("W2", "M3", "M6")):
    """Participants with scores that depend on baseline, some visits missing."""
    chance = random.Random(seed)
    patients = []
    for number in range(1, count + 1):
        base, own = chance.randint(2, 10), chance.gauss(0, 1.5)
        patient = Patient(number=number, arm=("LOCAL", "WHOLE")[number % 2], nrs=base, omed=chance.choice([0, 20, 60]))
        for visit in visits:
            if chance.random() < 0.8:
                value = min(10, max(0, round(0.6 * base + own + chance.gauss(0, 1.5))))
                patient.visits[visit] = (value, chance.choice([None, 0, 30]), chance.randint(-3, 6))
        patients.append(patient)
    return patients


def blocks(patients, arms=Arms.SHOWN):
    return list(section(Report(results(make_snapshot(patients), arms), SOURCE)))


def grid(found, caption):
    return next(each for each in found if isinstance(each, Grid) and each.caption.startswith(caption))


def words(found):
    return repr([each for each in found if not isinstance(each, Figure)])


def drawn(drawing):
    """All shapes of a drawing."""
    for shape in drawing.contents:
        if isinstance(shape, Group):
            yield from drawn(shape)
        else:
            yield shape


def outside(drawing: Drawing):
    """Shapes that are not within the drawing."""
    found = []
    for shape in drawn(drawing):
        x1, y1, x2, y2 = shape.getBounds()
        if x1 < -0.01 or y1 < -0.01 or x2 > drawing.width + 0.01 or y2 > drawing.height + 0.01:
            found.append(shape)
    return found


def test_the_printed_numbers_are_those_of_an_independent_computation():
    patients = many(30)
    found = results(make_snapshot(patients), Arms.SHOWN)
    text = pdf_text(render(build(found, SOURCE, "en")))
    for each in found.pain.comparison.model.contrasts:
        words = (
            f"{score(each.difference.value)} ({score(each.interval.lower.value)} to {score(each.interval.upper.value)})"
        )
        assert squeezed(f"{words}{each.p.value:.3f}") in text
    # Least squares and medians from the patients themselves.
    seen = [p for p in patients if "M3" in p.visits]
    design = np.array([[1, p.arm == "LOCAL", p.nrs] for p in seen], dtype=float)
    beta = np.linalg.lstsq(design, np.array([p.visits["M3"][0] for p in seen], dtype=float), rcond=None)[0]
    numbers = {arm: sum(p.arm == arm for p in seen) for arm in ("LOCAL", "WHOLE")}
    low = beta[0] + beta[2] * np.mean(design[:, 2])
    line = f"{low + beta[1]:.2f}, n = {numbers['LOCAL']}{low:.2f}, n = {numbers['WHOLE']}{score(beta[1])}("
    assert squeezed(line) in text
    scores = {arm: [p.visits["M3"][0] for p in seen if p.arm == arm] for arm in numbers}
    shift = float(np.median(np.subtract.outer(scores["LOCAL"], scores["WHOLE"])))
    table = grid(blocks(patients), "Worst pain (NRS) at each visit")
    start = next(n for n, row in enumerate(table.rows) if row[0] == "Month 3")
    median = next(row for row in table.rows[start:] if "NRS, median" in row[0])
    assert median[3].startswith(f"{whole(shift)} (")
    assert [cell.split(" (")[0] for cell in median[1:3]] == [whole(float(np.median(scores[a]))) for a in numbers]


def test_alive_and_assessed_stand_under_the_picture_and_in_the_table():
    patients = many(12)
    patients[0].visits = {}
    patients[0].death = patients[0].due("W2") - timedelta(days=1)
    found = results(make_snapshot(patients), Arms.SHOWN).pain
    report = blocks(patients)
    figure = next(each for each in report if isinstance(each, Figure) and each.name == "trajectories")
    texts = [shape for shape in drawn(figure.drawing) if isinstance(shape, String)]
    for number, group in enumerate(found.groups):
        for name, counts in (
            ("Assessed", [p.nrs.n for p in group.time_points]),
            ("Alive", [p.alive for p in group.time_points]),
        ):
            label = [each for each in texts if each.text == name][number]
            row = sorted((each.x, each.text) for each in texts if each.y == label.y and each is not label)
            assert [text for _x, text in row] == [str(count) for count in counts]
    rows = [row for row in grid(report, "Worst pain (NRS) at each visit").rows if "Alive" in row[0]]
    assert rows[0][1:3] == ("6/6 (100.0 %)", "5/6 (83.3 %)")


def test_a_masked_section_compares_nothing_and_names_no_arm():
    found = blocks(many(20), Arms.POOLED)
    seen = words(found) + "".join(
        shape.text
        for each in found
        if isinstance(each, Figure)
        for shape in drawn(each.drawing)
        if hasattr(shape, "text")
    )
    for word in (*ARM_NAMES, "MMRM", "mixed model", "study arm", "p (two-sided)", "Hodges"):
        assert word not in seen
    # The guard can fail: with the arms shown all of them are there.
    shown = words(blocks(many(20)))
    for word in (*ARM_NAMES, "MMRM", "mixed model", "study arm", "p (two-sided)", "Hodges"):
        assert word in shown


@pytest.mark.parametrize("arms", [Arms.SHOWN, Arms.POOLED, Arms.DRAWN])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_it_builds_in_both_languages_with_any_arms(language, arms):
    document = build(results(make_snapshot(many(24)), arms), SOURCE, language)
    figures = document.figures()
    assert render(document).startswith(b"%PDF")
    for name in ("trajectories", "waterfall"):
        assert not outside(figures[name].drawing)
        assert "style=" not in svg(figures[name].drawing)


def test_the_reason_is_printed_where_the_model_has_no_fit():
    patients = two_arms((4, 0), (4, 0))  # one baseline score for all
    text = words(blocks(patients))
    assert "cannot be told apart" in text
    assert "observed means with t intervals" in text
    figure = next(each for each in blocks(patients) if isinstance(each, Figure))
    assert "observed means" in figure.caption
    fits = words(blocks(many(20)))
    assert "Used here: unstructured." in fits
    assert "not estimable, because" not in fits


def test_the_simpler_covariance_is_named_where_it_was_used():
    patients = many(30)
    for number, patient in enumerate(patients):
        patient.visits.pop(("M3", "M6")[number // 2 % 2], None)
    text = words(blocks(patients))
    assert "Covariance unstructured: not estimable, because the scores do not determine" in text
    assert "Used here: heterogeneous compound symmetry" in text


@pytest.mark.parametrize(
    "patients",
    [
        [],
        [responder(1, "LOCAL")],
        [Patient(number=1, arm="WHOLE")],
        two_arms((3, 2), (0, 0)),
        [Patient(number=n, arm=("LOCAL", "WHOLE")[n % 2]) for n in range(1, 9)],
        many(3),
        many(300),
    ],
)
@pytest.mark.parametrize("arms", [Arms.SHOWN, Arms.POOLED])
def test_pictures_stay_in_their_box_and_cells_hold_no_raw_values(patients, arms):
    found = blocks(patients, arms)
    assert isinstance(found[0], Heading)
    assert {type(each) for each in found} <= {Heading, Figure, Grid, Paragraph}
    for each in found:
        if isinstance(each, Figure):
            assert outside(each.drawing) == []
        if isinstance(each, Grid):
            assert {len(row) for row in each.rows} <= {len(each.header)} == {len(each.shares)}
            assert not [cell for row in each.rows for cell in row if cell in ("nan", "inf", "None")]


def test_the_box_test_can_fail():
    drawing = Drawing(100, 50)
    drawing.add(Rect(90, 10, 20, 5))
    drawing.add(String(95, 10, "too long a word"))
    assert len(outside(drawing)) == 2


def trajectory(panels):
    visits = [(0.0, "Baseline"), (1.0, "Week 2"), (3.5, "Month 3"), (6.5, "Month 6")]
    words = TrajectoryWords("Months", "Worst pain", "no scores", ("Months", "Visit", "Assessed", "Alive"))
    return trajectory_plot(panels, visits, (0, 10), words)


def test_a_score_far_too_late_stays_on_the_axis_and_many_are_thinned():
    line = ((0.0, 5.0), (200.0, 9.0))
    name = (
        "An arm whose name is so long that it does not fit into the width of the picture and needs a second line " * 2
    )
    rows = (("1000", "1000", "1000", "1000"), ("1000", "1000", "1000", "1000"))
    drawing = trajectory([Panel("A", name, (), (line,), rows), Panel("B", "指标" * 80, (), (line,), rows)])
    assert outside(drawing) == []
    assert thinned(MOST_LINES) == list(range(MOST_LINES))
    chosen = thinned(1000)
    assert (len(chosen), chosen[0], chosen[-1]) == (MOST_LINES, 0, 983)
    assert len(set(chosen)) == MOST_LINES


def test_no_more_lines_are_drawn_than_said():
    patients = many(2 * MOST_LINES + 60)
    found = blocks(patients)
    figure = next(each for each in found if isinstance(each, Figure) and each.name == "trajectories")
    thin = [shape for shape in drawn(figure.drawing) if isinstance(shape, PolyLine) and shape.strokeWidth == 0.5]
    assert 0.8 * MOST_LINES < len(thin) / 2 <= MOST_LINES
    assert f"Of more than {MOST_LINES} participants {MOST_LINES} are drawn" in words(found)
    assert "are drawn, evenly" not in words(blocks(many(40)))


WATERFALL = WaterfallWords(
    "Best change", "dashed: a fall by 2 points", "nobody", tuple((c, c) for c in ("CR", "PR", "PP", "IR", "NE"))
)


@pytest.mark.parametrize("count", [1, 30, 90, 400, 2000])
def test_bars_become_thin_and_stay_in_the_box(count):
    chance = random.Random(count)
    values = sorted((chance.randint(-10, 6) for _n in range(count)), reverse=True)
    bars = tuple(Bar(value, ("CR", "PR", "PP", "IR", "NE")[value % 5]) for value in values)
    drawing = waterfall_plot([WaterfallPanel("A", bars), WaterfallPanel("B", ())], -2, WATERFALL)
    assert outside(drawing) == []
    assert len(drawing.contents) < 3000
    # The bars end where the widths add up: none is left out. Legend and bars are the only rectangles.
    right = max(
        shape.x + shape.width for shape in drawn(drawing) if isinstance(shape, Rect) and shape.y < drawing.height - 30
    )
    width = min(16.0, (drawing.width - 34) / count)
    assert right == pytest.approx(30 + count * width, abs=2.5)


def test_the_waterfall_and_its_table_count_the_same_participants():
    patients = many(40)
    patients += [Patient(number=90, arm="LOCAL"), Patient(number=91, arm="LOCAL", visits={"M6": (0, 60, 0)})]
    found = blocks(patients)
    table = grid(found, "Best change of the NRS")
    counted = [sum(int(row[arm].split(" ")[0]) for row in table.rows[:-2]) for arm in (1, 2)]
    pain = results(make_snapshot(patients), Arms.SHOWN).pain
    assert counted == [len(group.best) for group in pain.groups]
    assert table.rows[-1][1:] == tuple(str(group.not_assessed) for group in pain.groups)
    unseen = [p for p in patients if not {"W2", "M3"} & set(p.visits)]
    assert sum(group.not_assessed for group in pain.groups) == len(unseen) >= 2
    note = next(each.text for each in found if isinstance(each, Paragraph) and "A bar for each" in each.text)
    assert note.endswith(", ".join(f"{n} {g.not_assessed}" for n, g in zip(ARM_NAMES, pain.groups, strict=True)) + ".")


def test_numbers_in_words():
    assert (score(-0.456), score(-0.001), score(3)) == ("−0.46", "0.00", "3.00")
    assert (whole(-2), whole(1.5), whole(-0.0), whole(7.25)) == ("−2", "1.5", "0", "7.25")


def test_every_figure_differs_when_its_data_do():
    first = [p for p in many(20)]
    second = [replace(p, visits={**p.visits, "M3": (9, 60, 0)}) for p in first]
    one, other = ({b.name: svg(b.drawing) for b in blocks(each) if isinstance(b, Figure)} for each in (first, second))
    assert all(one[name] != other[name] for name in one)
    assert one == {b.name: svg(b.drawing) for b in blocks(first) if isinstance(b, Figure)}
