"""Levels, runs, SINS regions, the sector ring, the consensus proposal and the CTV warnings."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.protocol import CURRENT
from spinetrial.terminology import sectors
from spinetrial.terminology.sectors import BodyExtent, CtvWarning, check_ctv, cox_proposal, ring_closure
from spinetrial.terminology.vertebrae import LEVELS, REGION_LABELS, Region, adjacent, neighbours, region, runs

LOCAL, WHOLE = CURRENT.arm("LOCAL"), CURRENT.arm("WHOLE")
SETS = st.sets(st.integers(1, 6))


def test_levels_run_from_c1_to_s5():
    assert len(LEVELS) == 29
    assert (LEVELS[0], LEVELS[7], LEVELS[19], LEVELS[24], LEVELS[-1]) == ("C1", "T1", "L1", "S1", "S5")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("C1 C2 C7 T1 T2 T11 T12 L1 L5 S1", Region.JUNCTIONAL),
        ("C3 C4 C5 C6 L2 L3 L4", Region.MOBILE),
        ("T3 T4 T5 T6 T7 T8 T9 T10", Region.SEMIRIGID),
        ("S2 S3 S4 S5", Region.RIGID),
    ],
)
def test_regions_of_sins(levels, expected):
    assert {region(level) for level in levels.split()} == {expected}
    assert expected in REGION_LABELS


def test_neighbours_cross_the_parts_of_the_spine():
    assert adjacent("C7", "T1")
    assert adjacent("S1", "L5")
    assert not adjacent("T5", "T7")
    assert not adjacent("T5", "T5")
    assert (neighbours("C1"), neighbours("T12"), neighbours("S5")) == (("C2",), ("T11", "L1"), ("S4",))


@pytest.mark.parametrize("wrong", ["T13", "t5", "", "C0", "5"])
def test_an_unknown_level_is_refused(wrong):
    with pytest.raises(ValueError, match="vertebral level"):
        region(wrong)
    with pytest.raises(ValueError, match="vertebral level"):
        runs(["T5", wrong])


def test_runs():
    assert runs(["L1", "T12", "T5", "T12", "C2"]) == (("C2",), ("T5",), ("T12", "L1"))
    assert runs([]) == ()


@given(st.lists(st.sampled_from(LEVELS)))
def test_runs_keep_every_level_and_are_apart(levels):
    found = runs(levels)
    assert sorted(level for run in found for level in run) == sorted(set(levels))
    assert not any(adjacent(one[-1], other[0]) for one, other in pairwise(found))
    assert all(adjacent(one, other) for run in found for one, other in pairwise(run))


def test_the_ring():
    pairs = {frozenset((sector, near)) for sector in sectors.SECTORS for near in sectors.neighbours(sector)}
    assert pairs == {frozenset(pair) for pair in ((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 1))}
    assert ring_closure({1}) == {1, 2, 6}
    with pytest.raises(ValueError, match="1 to 6"):
        ring_closure({0})


@pytest.mark.parametrize(
    ("gtv", "body", "ctv"),
    [
        ({1}, BodyExtent.CENTRAL, {1}),
        ({1}, BodyExtent.LEFT, {1, 2, 3}),
        ({1}, BodyExtent.RIGHT, {1, 5, 6}),
        ({1}, BodyExtent.DIFFUSE, {1, 2, 3, 5, 6}),
        ({1, 2}, BodyExtent.CENTRAL, {1, 2, 3}),
        ({1, 6}, BodyExtent.CENTRAL, {1, 5, 6}),
        ({1, 2, 6}, BodyExtent.CENTRAL, {1, 2, 3, 5, 6}),
        ({1, 3, 5}, BodyExtent.CENTRAL, {1, 2, 3, 5, 6}),
        ({2}, BodyExtent.CENTRAL, {2, 3}),
        ({6}, BodyExtent.CENTRAL, {5, 6}),
        ({3}, BodyExtent.CENTRAL, {2, 3, 4}),
        ({5}, BodyExtent.CENTRAL, {4, 5, 6}),
        ({4}, BodyExtent.CENTRAL, {3, 4, 5}),
        ({1, 2, 4, 6}, BodyExtent.CENTRAL, {1, 2, 3, 4, 5, 6}),
    ],
)
def test_consensus_proposal(gtv, body, ctv):
    assert cox_proposal(gtv, body) == ctv


def mirror(chosen):
    return {{1: 1, 2: 6, 3: 5, 4: 4, 5: 3, 6: 2}[sector] for sector in chosen}


@given(SETS, st.sampled_from(BodyExtent))
def test_proposal_holds_the_gtv_and_mirrors(gtv, body):
    turned = {BodyExtent.LEFT: BodyExtent.RIGHT, BodyExtent.RIGHT: BodyExtent.LEFT}.get(body, body)
    assert gtv <= cox_proposal(gtv, body)
    assert cox_proposal(mirror(gtv), turned) == mirror(cox_proposal(gtv, body))


def codes(arm, gtv, ctv, **more):
    return [finding.code for finding in check_ctv(arm, gtv, ctv, **more)]


def test_control_arm_asks_for_the_whole_vertebra():
    assert codes(WHOLE, {1}, {1, 2, 3, 4, 5, 6}) == []
    finding = check_ctv(WHOLE, {1}, {1, 2, 3, 5, 6})[0]
    assert (finding.code, finding.deviation) == (CtvWarning.NOT_WHOLE, True)
    assert finding.line.render() == "This arm treats the whole vertebra; the CTV leaves out sectors 4."
    assert codes(WHOLE, {4}, {1}) == [CtvWarning.GTV_OUTSIDE, CtvWarning.NOT_WHOLE]


def test_study_arm_warnings():
    everything = {1, 2, 3, 4, 5, 6}
    assert codes(LOCAL, {1}, {1}) == []
    assert codes(LOCAL, {1}, {1, 2, 6}) == []
    assert codes(LOCAL, {1}, {1, 4}) == [CtvWarning.NOT_ADJACENT]
    assert codes(LOCAL, {1, 2}, {1, 2}) == [CtvWarning.BELOW_PROPOSAL]
    assert codes(LOCAL, {1, 2}, {1, 3}) == [CtvWarning.GTV_OUTSIDE]
    assert codes(LOCAL, {1}, everything) == [CtvWarning.RING_WITHOUT_REASON]
    assert codes(LOCAL, {1}, everything, extensive_epidural=True) == []
    assert codes(LOCAL, {1, 2, 4, 6}, everything) == []


def test_nothing_recorded():
    for arm in (LOCAL, WHOLE):
        assert codes(arm, set(), {1}) == [CtvWarning.EMPTY_GTV]
        assert codes(arm, {1}, set()) == [CtvWarning.EMPTY_CTV]


@given(st.sampled_from([LOCAL, WHOLE]), SETS, SETS, st.sampled_from(BodyExtent), st.booleans())
def test_a_left_out_gtv_sector_always_warns(arm, gtv, ctv, body, epidural):
    found = check_ctv(arm, gtv, ctv, body, epidural)
    for finding in found:
        assert "%(" not in finding.line.render()
    if gtv - ctv:
        assert any(finding.deviation for finding in found)
    if arm is WHOLE and gtv and len(ctv) < 6:
        assert any(finding.deviation for finding in found)
