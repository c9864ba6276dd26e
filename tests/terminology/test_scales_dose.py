"""SINS and the other scales at their borders; dose arithmetic against published figures."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.terminology import scales
from spinetrial.terminology.dose import bed, eqd2, total_for_bed, total_for_eqd2
from spinetrial.terminology.scales import (
    SinsAlignment,
    SinsClass,
    SinsCollapse,
    SinsLesion,
    SinsPain,
    SinsPosterolateral,
    ecog_from_kps,
    escc_compression,
    genant,
    pain_band,
    sins,
)
from spinetrial.terminology.vertebrae import LEVELS

WORST = (
    SinsPain.MECHANICAL, SinsLesion.LYTIC, SinsAlignment.SUBLUXATION, SinsCollapse.OVER_HALF, SinsPosterolateral.BOTH
)  # fmt: skip
BEST = (SinsPain.NONE, SinsLesion.BLASTIC, SinsAlignment.NORMAL, SinsCollapse.NONE, SinsPosterolateral.NONE)


def test_sins_extremes():
    assert (sins("T12", *WORST).total, sins("T12", *WORST).stability) == (18, SinsClass.UNSTABLE)
    assert (sins("S3", *BEST).total, sins("S3", *BEST).stability) == (0, SinsClass.STABLE)


@pytest.mark.parametrize(
    ("place", "points"),
    [
        (0, {SinsPain.MECHANICAL: 3, SinsPain.OCCASIONAL: 1, SinsPain.NONE: 0}),
        (1, {SinsLesion.LYTIC: 2, SinsLesion.MIXED: 1, SinsLesion.BLASTIC: 0}),
        (2, {SinsAlignment.SUBLUXATION: 4, SinsAlignment.DEFORMITY: 2, SinsAlignment.NORMAL: 0}),
        (
            3,
            {
                SinsCollapse.OVER_HALF: 3,
                SinsCollapse.UNDER_HALF: 2,
                SinsCollapse.BODY_INVOLVED: 1,
                SinsCollapse.NONE: 0,
            },
        ),
        (4, {SinsPosterolateral.BOTH: 3, SinsPosterolateral.ONE: 1, SinsPosterolateral.NONE: 0}),
    ],
)
def test_sins_points(place, points):
    for value, expected in points.items():
        assert sins("S2", *BEST[:place], value, *BEST[place + 1 :]).total == expected


@pytest.mark.parametrize(("level", "points"), [("C1", 3), ("L5", 3), ("C6", 2), ("L4", 2), ("T10", 1), ("S5", 0)])
def test_sins_location(level, points):
    assert sins(level, *BEST).total == points


def test_sins_classes_change_at_seven_and_thirteen():
    parts = itertools.product(LEVELS, SinsPain, SinsLesion, SinsAlignment, SinsCollapse, SinsPosterolateral)
    seen = {}
    for part in parts:
        score = sins(*part)
        seen.setdefault(score.total, set()).add(score.stability)
    assert set(seen) == set(range(19))
    for total, classes in seen.items():
        assert classes == {
            SinsClass.STABLE if total < 7 else SinsClass.POTENTIALLY_UNSTABLE if total < 13 else SinsClass.UNSTABLE
        }


def test_ecog_from_kps():
    found = [ecog_from_kps(kps) for kps in (100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0)]
    assert found == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    for wrong in (95, 110, -10):
        with pytest.raises(ValueError, match="KPS"):
            ecog_from_kps(wrong)


def test_escc():
    assert [escc_compression(grade) for grade in scales.ESCC_GRADES] == [False] * 4 + [True] * 2
    with pytest.raises(ValueError, match="ESCC"):
        escc_compression("1d")


@pytest.mark.parametrize(
    ("loss", "grade"),
    [(0, "0"), (19.9, "0"), (20, "1"), (24.9, "1"), (25, "2"), (40, "2"), (40.1, "3"), (100, "3")],
)
def test_genant(loss, grade):
    assert genant(loss) == grade
    assert grade in scales.GENANT_LABELS


def test_genant_and_pain_refuse_values_off_the_scale():
    for wrong in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match="height loss"):
            genant(wrong)
    with pytest.raises(ValueError, match="pain"):
        pain_band(11)


def test_pain_bands():
    assert [pain_band(score) for score in (0, 1, 3, 4, 6, 7, 10)] == [
        "none", "mild", "mild", "moderate", "moderate", "severe", "severe"
    ]  # fmt: skip


def test_every_code_has_words():
    for labels, codes in (
        (scales.SINS_PAIN_LABELS, SinsPain),
        (scales.SINS_LESION_LABELS, SinsLesion),
        (scales.SINS_ALIGNMENT_LABELS, SinsAlignment),
        (scales.SINS_COLLAPSE_LABELS, SinsCollapse),
        (scales.SINS_POSTEROLATERAL_LABELS, SinsPosterolateral),
        (scales.SINS_CLASS_LABELS, SinsClass),
        (scales.ESCC_LABELS, scales.ESCC_GRADES),
        (scales.ECOG_LABELS, range(6)),
    ):
        assert list(labels) == list(codes)


# total Gy, fractions, BED10, EQD2 at alpha/beta 10, 6, 3, 2, 0.87
TABLE = [
    (30, 10, 39.00, 32.50, 33.75, 36.00, 37.50, 40.45),
    (34, 10, 45.56, 37.97, 39.95, 43.52, 45.90, 50.59),
    (40, 10, 56.00, 46.67, 50.00, 56.00, 60.00, 67.87),
    (8, 1, 14.40, 12.00, 14.00, 17.60, 20.00, 24.72),
    (20, 5, 28.00, 23.33, 25.00, 28.00, 30.00, 33.94),
    (24, 6, 33.60, 28.00, 30.00, 33.60, 36.00, 40.72),
    (25, 5, 37.50, 31.25, 34.38, 40.00, 43.75, 51.13),
    (30, 5, 48.00, 40.00, 45.00, 54.00, 60.00, 71.81),
]


@pytest.mark.parametrize("row", TABLE)
def test_dose_table(row):
    total, fractions, bed10, *equivalents = row
    assert bed(total, fractions, 10) == pytest.approx(bed10, abs=0.0051)
    for alpha_beta, expected in zip((10, 6, 3, 2, 0.87), equivalents, strict=True):
        assert eqd2(total, fractions, alpha_beta) == pytest.approx(expected, abs=0.0051)


@pytest.mark.parametrize(("dose", "fractions"), [(12.4, 1), (17, 2), (20.3, 3), (23, 4), (25.3, 5)])
def test_cord_limits_of_hytec_agree(dose, fractions):
    assert eqd2(dose, fractions, 2) == pytest.approx(44.57, abs=0.09)


def test_inverse_against_published_figures():
    assert total_for_eqd2(50, 10, 0.87) == pytest.approx(33.78, abs=0.005)
    assert total_for_eqd2(60, 10, 2) == pytest.approx(40.00, abs=0.005)
    assert total_for_bed(bed(14, 1, 6), 5, 6) == pytest.approx(25.31, abs=0.005)


@given(st.floats(0, 200), st.integers(1, 40), st.floats(0.5, 20))
def test_inverse_undoes_the_formula(total, fractions, alpha_beta):
    assert total_for_bed(bed(total, fractions, alpha_beta), fractions, alpha_beta) == pytest.approx(total, abs=1e-6)
    assert total_for_eqd2(eqd2(total, fractions, alpha_beta), fractions, alpha_beta) == pytest.approx(total, abs=1e-6)


def test_two_gray_fractions_are_their_own_equivalent():
    assert eqd2(50, 25, 3) == pytest.approx(50)


@pytest.mark.parametrize(
    "arguments", [(-1, 10, 3), (float("nan"), 10, 3), (30, 0, 3), (30, 10, 0), (30, 10, float("inf"))]
)
def test_impossible_input_is_refused(arguments):
    for function in (bed, eqd2, total_for_bed, total_for_eqd2):
        with pytest.raises(ValueError, match=r"dose|fraction|alpha"):
            function(*arguments)
