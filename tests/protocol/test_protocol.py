"""Every value has a source, a released version cannot change unseen, and the numbers are those of the paper."""

import dataclasses
import re
from math import sqrt
from statistics import NormalDist

import pytest

from spinetrial.protocol import CURRENT, VERSIONS, ProtocolChanged, check_released, get, protocol_hash
from spinetrial.protocol.eligibility import FACTS, RULES
from spinetrial.protocol.model import ArmRole, Protocol, Window
from spinetrial.terminology import ctcae, opioids

SOURCE = re.compile(r"^(paper, |D\d+|assumption[,:] )")


def without_basis(value, covered=False, path="protocol"):
    """Paths of all values in no clause with a recognised basis."""
    if dataclasses.is_dataclass(value):
        names = {field.name for field in dataclasses.fields(value)}
        if "basis" in names:
            covered = bool(SOURCE.match(value.basis))
        found = [] if covered else [path]
        for name in names - {"basis"}:
            found += without_basis(getattr(value, name), covered, f"{path}.{name}")
        return found
    if isinstance(value, tuple):
        return [hit for index, item in enumerate(value) for hit in without_basis(item, covered, f"{path}[{index}]")]
    assert value is None or isinstance(value, str | int | float | bool), f"{path} is not a plain value"
    return [] if covered else [path]


def test_every_value_has_a_basis():
    assert without_basis(CURRENT) == []


@pytest.mark.parametrize("basis", ["", "we think so", "decision 8"])
def test_a_value_without_basis_is_found(basis):
    planted = dataclasses.replace(CURRENT, index_site=dataclasses.replace(CURRENT.index_site, basis=basis))
    assert "protocol.index_site.choice" in without_basis(planted)


def test_a_list_in_the_protocol_is_found():
    planted = dataclasses.replace(CURRENT, arms=list(CURRENT.arms))
    with pytest.raises(AssertionError, match="arms"):
        without_basis(planted)
    with pytest.raises(TypeError, match="list"):
        protocol_hash(planted)


def test_every_decision_is_cited():
    text = repr(CURRENT)
    cited = {int(number) for basis in re.findall(r"basis='([^']*)'", text) for number in re.findall(r"D(\d+)", basis)}
    assert set(range(1, 26)) <= cited


def test_released_versions_are_unchanged():
    check_released()
    assert get("1.0") is CURRENT
    with pytest.raises(KeyError):
        get("0.9")


def changed(protocol: Protocol, **clauses) -> dict[str, Protocol]:
    return {protocol.version: dataclasses.replace(protocol, **clauses)}


@pytest.mark.parametrize(
    "clauses",
    [
        {"sample_size": dataclasses.replace(CURRENT.sample_size, total=67)},
        {"sample_size": dataclasses.replace(CURRENT.sample_size, basis="D1")},
        {"visits": tuple(reversed(CURRENT.visits))},
        {"repeating": None},
        {"criteria": (dataclasses.replace(CURRENT.criteria[0], rule="number_at_least"), *CURRENT.criteria[1:])},
        {"visits": (dataclasses.replace(CURRENT.visits[0], window=Window(-3, 8)), *CURRENT.visits[1:])},
    ],
)
def test_any_change_of_a_released_version_is_refused(clauses):
    with pytest.raises(ProtocolChanged, match=r"1\.0 has changed"):
        check_released(versions=changed(CURRENT, **clauses))


def test_a_version_off_the_record_or_gone_is_refused():
    with pytest.raises(ProtocolChanged, match="no hash on record"):
        check_released(record={})
    with pytest.raises(ProtocolChanged, match="its file is gone"):
        check_released(record={"0.9": "ab", "1.0": protocol_hash(CURRENT)})
    with pytest.raises(ProtocolChanged, match="is listed as"):
        check_released(versions={"1.1": CURRENT}, record={"1.1": protocol_hash(CURRENT)})


def test_a_protocol_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CURRENT.version = "2.0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        CURRENT.primary.hypothesis.margin = -0.5


def test_numbers_of_the_trial():
    assert CURRENT.identity.registration == "ChiCTR1900023401"
    assert CURRENT.sample_size.total == 66
    assert CURRENT.allocation.ratio == (1, 1)
    assert CURRENT.allocation.block_sizes == (4, 6)
    assert (CURRENT.primary.timepoint.visit, CURRENT.primary.hypothesis.margin) == ("M3", -0.15)
    assert CURRENT.primary.hypothesis.alpha == 0.025
    assert CURRENT.response.responders == ("CR", "PR")
    assert CURRENT.arm_of_role(ArmRole.STUDY).code == "LOCAL"
    assert CURRENT.arm_of_role(ArmRole.CONTROL) is CURRENT.arm("WHOLE")
    treatment = CURRENT.treatment
    assert treatment.fractions * treatment.fraction_gy == treatment.total_gy == 30
    assert CURRENT.clock("SPONSOR").hours == 24
    assert [CURRENT.clock(code).days for code in ("FATAL", "FATAL_FOLLOW_UP", "SERIOUS")] == [7, 15, 15]
    for lookup in (CURRENT.arm, CURRENT.criterion, CURRENT.gap, CURRENT.clock):
        with pytest.raises(KeyError):
            lookup("NONE")


def test_assumed_rates_give_the_printed_power():
    rates, margin = CURRENT.assumed_rates, -CURRENT.primary.hypothesis.margin
    pooled = (rates.study + rates.control) / 2
    n = rates.evaluable_per_arm
    null = sqrt(2 * pooled * (1 - pooled) / n)
    alternative = sqrt((rates.study * (1 - rates.study) + rates.control * (1 - rates.control)) / n)
    critical = NormalDist().inv_cdf(1 - CURRENT.primary.hypothesis.alpha) * null
    power = NormalDist().cdf((rates.study - rates.control + margin - critical) / alternative)
    assert round(power, 3) == rates.power
    assert round(2 * n * (1 + rates.added_for_loss)) == CURRENT.sample_size.total


def test_masking_names_roles_in_any_case():
    assert CURRENT.masking.masks("STATISTICIAN")
    assert CURRENT.masking.masks("assessor")
    assert not CURRENT.masking.masks("INVESTIGATOR")


@pytest.mark.parametrize("protocol", VERSIONS.values(), ids=VERSIONS.keys())
def test_names_in_the_protocol_exist(protocol):
    codes = [criterion.code for criterion in protocol.criteria]
    assert len(set(codes)) == len(codes)
    for criterion in protocol.criteria:
        assert criterion.rule in RULES
        assert set(criterion.facts) <= set(FACTS)
    visits = {visit.code for visit in protocol.visits}
    assert {protocol.primary.timepoint.visit, *protocol.primary.timepoint.also_reported} <= visits
    assert protocol.per_protocol.visit_in_window in visits
    assert protocol.analgesics.table_version in opioids.TABLES
    assert protocol.dictionaries.ctcae == ctcae.VERSION


def test_every_fact_and_every_rule_is_used():
    assert {name for criterion in CURRENT.criteria for name in criterion.facts} == set(FACTS)
    assert {criterion.rule for criterion in CURRENT.criteria} == set(RULES)
