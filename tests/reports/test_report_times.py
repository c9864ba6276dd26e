"""Survival and the endpoints with death competing in the report: words, tables and figures say the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from reportlab.graphics.shapes import PolyLine, String

from followup.response import Reading
from spinetrial.analysis import sets
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.analysis.times import COMPETING, DEFINITIONS, Parameter
from spinetrial.protocol import CURRENT
from spinetrial.reports.document import Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.drawing import WIDTH
from spinetrial.reports.figures.incidence import IncidenceWords, incidence_pair
from spinetrial.reports.figures.steps import STYLES
from spinetrial.reports.figures.survival import SurvivalWords, survival_plot
from spinetrial.reports.figures.swimmer import Mark
from spinetrial.reports.sections.endpoints import by_follow_up, endpoints, lane
from spinetrial.reports.sections.survival import survival
from spinetrial.reports.writing import Report, Source
from spinetrial.stats.competing import cumulative_incidence
from spinetrial.stats.survival import kaplan_meier
from tests.analysis.test_endpoints import CLEAR, trial
from tests.analysis.trial import Patient, make_snapshot, responder

SOURCE = Source(1, datetime(2026, 11, 1, 8, 30, tzinfo=UTC), "1.0")
NAMES = [arm.name for arm in CURRENT.arms]


def blocks(patients, arms=Arms.SHOWN):
    report = Report(results(make_snapshot(patients), arms), SOURCE)
    return [*survival(report), *endpoints(report)]


def grids(found):
    return {
        block.caption: {row[0].strip(): row[1:] for row in block.rows} for block in found if isinstance(block, Grid)
    }


def texts(found):
    for block in found:
        match block:
            case Heading(text) | Paragraph(text):
                yield text
            case Figure(_name, caption, drawing):
                yield caption
                yield from (each.text for each in drawing.contents if isinstance(each, String))
            case Grid():
                yield from (block.caption, *block.header, *block.notes, *(cell for row in block.rows for cell in row))


def test_the_tables_count_events_deaths_and_those_at_risk():
    found = grids(blocks(trial()))
    fracture = found["New vertebral compression fracture"]
    assert fracture["Participants"] == ("10", "10")
    assert fracture["With the event"] == ("2/10 (20.0 %)", "0/10 (0.0 %)")
    assert fracture["Died without the event"] == ("0/10 (0.0 %)", "3/10 (30.0 %)")
    assert fracture["Neither: censored"] == ("8/10 (80.0 %)", "7/10 (70.0 %)")
    assert fracture["Never looked for"] == ("1", "0")
    assert fracture["Incidence at 6 months (95 % CI)"][0].startswith("22.2 % (")
    assert fracture["Incidence at 6 months (95 % CI)"][1] == "0.0 %"
    # By month 3 only the one that was never imaged has left LOCAL, and the three dead have left WHOLE.
    assert fracture["At risk at 3 / 6 / 12 months"] == ("9 / 7 / 0", "7 / 7 / 0")
    assert found["Overall survival"]["Deaths"] == ("0/10 (0.0 %)", "3/10 (30.0 %)")
    assert found["Causes of death"]["All deaths"] == ("0", "3")


def test_every_definition_is_printed():
    said = list(texts(blocks(trial())))
    for parameter, definition in DEFINITIONS.items():
        assert any(definition in text for text in said), parameter


def test_the_arms_are_compared_and_the_note_names_the_test():
    said = " ".join(texts(blocks(trial())))
    assert said.count("Gray's test between the arms") == len(COMPETING)
    assert "Hazard ratio of death, Involved sectors : Whole vertebra" in said


def test_pooled_compares_nothing_and_names_no_arm():
    said = " ".join(texts(blocks(trial(), Arms.POOLED)))
    for words in ("Gray", "Log-rank", "Hazard", *NAMES):
        assert words not in said
    assert "All participants" in said


def test_what_nobody_had_has_no_figure():
    names = [block.name for block in blocks(trial()) if isinstance(block, Figure)]
    assert names == ["survival", "incidence_vcf", "swimmer"]
    assert "Nobody had the event, so there is no figure." in list(texts(blocks(trial())))


@pytest.mark.parametrize("arms", Arms)
@pytest.mark.parametrize(
    "patients",
    [
        [],
        [Patient()],
        [Patient(fractions=0, nrs=0)],
        trial()[:10],
        [replace(p, death=p.randomized, visits={}, imaging={}) for p in trial()],
    ],
)
def test_nothing_and_next_to_nothing_is_said_in_words(patients, arms):
    said = " ".join(texts(blocks(patients, arms)))
    for word in ("nan", "None", "inf "):
        assert word not in said


def test_labels_stay_inside_every_figure():
    patients = [replace(p, site="LONGSITECODE", number=p.number + 1000) for p in trial()]
    for block in blocks(patients):
        if isinstance(block, Figure):
            for each in block.drawing.contents:
                if isinstance(each, String):
                    left, _low, right, _high = each.getBounds()
                    assert left >= 0, (block.name, each.text)
                    assert right <= WIDTH, (block.name, each.text)


def curves_of(drawing, place):
    """The thick lines in the style of one group: its curves, without the pieces in legends."""
    colour, dash = STYLES[place]
    return [
        line for line in drawing.contents
        if isinstance(line, PolyLine) and line.strokeColor == colour and line.strokeWidth > 1
        and line.strokeDashArray == dash and len(line.points) > 4
    ]  # fmt: skip


KM_WORDS = SurvivalWords("months", "alive", "at risk", "nothing")


def test_a_curve_ends_where_fewer_than_a_tenth_are_at_risk():
    times = [float(n) for n in range(1, 31)]
    whole = curves_of(survival_plot([("A", kaplan_meier(times, [1] * 30))], KM_WORDS), 0)[0]
    # 30 participants: three are at risk at month 28, two at month 29.
    last = max(whole.points[::2])
    at_one = whole.points[2]
    assert (last - whole.points[0]) / (at_one - whole.points[0]) == pytest.approx(28)


def test_the_pair_draws_both_events_on_one_scale():
    words = IncidenceWords("fracture", "death", "months", "at risk", "nothing")
    one = ([3.0, 5.0, 6.0, 7.0, 8.0, 9.0], [1, 2, 0, 2, 0, 0])
    two = ([2.0, 4.0, 6.0, 8.0, 8.0, 9.0], [2, 2, 1, 0, 0, 0])
    groups = [(name, cumulative_incidence(*d, 1), cumulative_incidence(*d, 2)) for name, d in (("A", one), ("B", two))]
    drawing = incidence_pair(groups, words)
    for place, (_name, event, death) in enumerate(groups):
        left, right = curves_of(drawing, place)
        rise = [max(line.points[1::2]) - min(line.points[1::2]) for line in (left, right)]
        tops = [max(step.incidence.value for step in curve.steps) for curve in (event, death)]
        assert rise[0] / rise[1] == pytest.approx(tops[0] / tops[1])
        assert max(left.points[::2]) < min(right.points[::2])


def row_of(patient):
    (row,) = sets.build(make_snapshot([patient]), CURRENT).rows
    return row


def test_a_lane_shows_the_course_of_one_participant():
    patient = responder(1, "LOCAL", imaging={"M3": (4, "new", "controlled"), "M6": (0, *CLEAR)})
    patient.retreated = patient.due("M3") + timedelta(days=20)
    drawn = lane(row_of(patient), Reading.LITERAL)
    assert [mark for _months, mark in drawn.marks] == [Mark.PR, Mark.CR, Mark.NE, Mark.RETREATED, Mark.FRACTURE]
    assert (drawn.last, drawn.end) == (Mark.ONGOING, max(months for months, _mark in drawn.marks))
    assert drawn.radiotherapy == pytest.approx((0, 14 / (365.25 / 12)))
    assert lane(row_of(replace(patient, ended=patient.due("M6"))), Reading.LITERAL).last is Mark.ENDED
    dead = replace(patient, death=patient.due("M6") + timedelta(days=30))
    assert lane(row_of(dead), Reading.LITERAL).last is Mark.DEAD
    assert lane(row_of(dead), Reading.LITERAL).end > drawn.end
    assert lane(row_of(Patient(fractions=0)), Reading.LITERAL).radiotherapy is None


def test_of_many_participants_lanes_are_taken_at_even_steps():
    rows = sets.build(make_snapshot([responder(number, "LOCAL", visits={}) for number in range(1, 101)]), CURRENT).rows
    taken = by_follow_up(rows, 30)
    assert len({row.subject for row in taken}) == 30
    assert by_follow_up(rows, 200) == sorted(rows, key=lambda row: (-row.time(Parameter.OS).days, row.subject))
    assert (taken[0], taken[-1]) == (by_follow_up(rows, 100)[0], by_follow_up(rows, 100)[-1])
    assert by_follow_up(tuple(reversed(rows)), 30) == taken


def test_a_large_trial_says_how_many_lanes_it_shows():
    patients = [responder(number, "LOCAL" if number % 2 else "WHOLE") for number in range(1, 91)]
    said = " ".join(texts(blocks(patients)))
    assert "60 of 90 randomised participants" in said
    assert "All 80 randomised participants" in " ".join(texts(blocks(patients[:80])))
