"""OMED: the factors of table 1, explicit "none", unknown doses, flags, search."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.terminology.factor_sources import ALTERNATIVES, SOURCES
from spinetrial.terminology.opioids import (
    DRUGS,
    NON_OPIOIDS,
    OMED_FLAG_LABELS,
    OPIOIDS,
    ROUTE_LABELS,
    V1,
    FactorTable,
    Intake,
    OmedFlag,
    Route,
    omed,
    opioid_switch,
    search,
)


def row(drug, dose, number=1):
    return Intake(drug, None if dose is None else Decimal(dose), None if number is None else Decimal(number))


FACTORS = {
    "MORPHINE_PO": "1", "MORPHINE_INJ": "3", "CODEINE_PO": "0.15", "DIHYDROCODEINE_PO": "0.25", "TRAMADOL_PO": "0.2",
    "TAPENTADOL_PO": "0.4", "OXYCODONE_PO": "1.5", "OXYCODONE_INJ": "3", "HYDROCODONE_PO": "1",
    "HYDROMORPHONE_PO": "5", "HYDROMORPHONE_INJ": "15", "FENTANYL_PATCH": "2.4", "FENTANYL_INJ": "0.1",
    "BUPRENORPHINE_PATCH": "1.8", "BUPRENORPHINE_SL": "40", "METHADONE_PO": "4.7", "PETHIDINE_INJ": "0.4",
    "OXYMORPHONE_PO": "3",
}  # fmt: skip


def test_factors_of_table_one():
    assert {code: str(factor) for code, factor in V1.factors.items()} == FACTORS


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ([row("FENTANYL_PATCH", 25)], "60"),
        ([row("FENTANYL_PATCH", 25, 2)], "120"),
        ([row("BUPRENORPHINE_PATCH", 35)], "63"),
        ([row("MORPHINE_PO", 30, 2), row("MORPHINE_PO", 10, 3)], "90"),
        ([row("OXYCODONE_PO", 10, 2), row("PARACETAMOL", 500, 4)], "30"),
        ([row("TRAMADOL_PO", 100, "1.5")], "30"),
        ([row("FENTANYL_INJ", 600)], "60"),
    ],
)
def test_totals(rows, total):
    result = omed(rows)
    assert result.total == Decimal(total)
    assert result.table_version == "1"
    assert result.lines[-1].render().startswith(f"OMED {total} mg/day")
    assert result.lines[-1].render().endswith("(factor table 1).")


def test_the_working_shows_the_arithmetic():
    assert omed([row("FENTANYL_PATCH", "25.0")]).lines[0].render() == "Fentanyl, patch: 25 ug/h x 1 x 2.4 = 60 mg"
    chinese = (
        omed([row("MORPHINE_PO", 30, 2)])
        .lines[0]
        .render(lambda text: {"Morphine, oral": "吗啡（口服）"}.get(text, text))
    )
    assert chinese.startswith("吗啡")


def test_the_working_says_what_part_counts_and_how_the_sum_is_made():
    lines = [line.render() for line in omed([row("OXYCODONE_PO", 10, 2), row("FENTANYL_PATCH", 25)]).lines]
    assert lines == [
        "Oxycodone, oral: 10 mg x 2 x 1.5 = 30 mg",
        "Of a combination tablet only the opioid part counts.",
        "Fentanyl, patch: 25 ug/h x 1 x 2.4 = 60 mg",
        "A patch counts by its release rate in ug/h; it is not multiplied by 24.",
        "OMED 90 mg/day = 30 + 60 (factor table 1).",
    ]


def test_a_drug_that_is_not_listed_stands_by_its_name():
    result = omed([Intake("OTHER_OPIOID", Decimal(5), Decimal(1), "Zaldiar")])
    assert (result.total, result.lines[0].render()) == (None, "Zaldiar: no factor in the table.")


def test_other_tables_are_whole_and_change_only_what_their_source_prints():
    assert set(ALTERNATIVES) == {"cdc2022", "fpm2021"}
    for table in ALTERNATIVES.values():
        assert set(table.factors) == set(V1.factors)
        assert table.always_flagged == V1.always_flagged
    changed = {code for code, factor in ALTERNATIVES["fpm2021"].factors.items() if factor != V1.factors[code]}
    assert changed == {"CODEINE_PO", "TAPENTADOL_PO", "FENTANYL_PATCH", "FENTANYL_INJ", "BUPRENORPHINE_PATCH"}
    assert ALTERNATIVES["cdc2022"].factors == V1.factors
    assert all(set(source.printed) <= set(V1.factors) for source in SOURCES)


def test_none_is_an_answer_and_an_empty_list_is_not():
    assert omed([], none_taken=True).total == 0
    unknown = omed([])
    assert (unknown.total, unknown.flags) == (None, (OmedFlag.NOT_STATED,))


def test_none_beside_a_list_is_a_contradiction():
    result = omed([row("MORPHINE_PO", 10)], none_taken=True)
    assert (result.total, result.flags) == (None, (OmedFlag.CONTRADICTION,))


def test_a_list_of_non_opioids_alone_is_zero_and_flagged():
    result = omed([row("DENOSUMAB", 120), row("PARACETAMOL", None, None)])
    assert (result.total, result.flags) == (0, (OmedFlag.NON_OPIOID,))


@pytest.mark.parametrize(
    ("bad", "flag"),
    [
        (row("MORPHINE_PO", None), OmedFlag.DOSE_MISSING),
        (row("MORPHINE_PO", 10, None), OmedFlag.DOSE_MISSING),
        (row("BUCINNAZINE", 60), OmedFlag.NO_FACTOR),
        (row("OTHER_OPIOID", 60), OmedFlag.NO_FACTOR),
    ],
)
def test_one_unknown_row_makes_the_total_unknown(bad, flag):
    for rows in ([bad, row("MORPHINE_PO", 10)], [row("MORPHINE_PO", 10), bad]):
        result = omed(rows)
        assert (result.total, result.flags) == (None, (flag,))
        assert result.lines[-1].render() == "OMED unknown."


def test_methadone_and_zero_doses_are_flagged():
    assert omed([row("METHADONE_PO", 10)]).flags == (OmedFlag.UNCERTAIN_FACTOR,)
    zero = omed([row("MORPHINE_PO", 0)])
    assert (zero.total, zero.flags) == (0, (OmedFlag.ZERO_DOSE,))


@pytest.mark.parametrize("dose", ["-1", "NaN", "Infinity"])
def test_impossible_doses_are_refused(dose):
    with pytest.raises(ValueError, match="not negative"):
        omed([row("MORPHINE_PO", dose)])
    with pytest.raises(KeyError):
        omed([row("ASPIRIN_BY_WISH", 1)])


def test_the_table_is_an_argument():
    other = FactorTable("2", {"FENTANYL_PATCH": Decimal(3)}, frozenset())
    result = omed([row("FENTANYL_PATCH", 25)], table=other)
    assert (result.total, result.table_version) == (75, "2")


INTAKES = st.builds(
    Intake,
    st.sampled_from(sorted(V1.factors)),
    st.decimals(0, 1000, places=2),
    st.decimals(0, 20, places=1),
)


@given(st.lists(INTAKES, min_size=1, max_size=8), st.randoms())
def test_order_does_not_matter_and_parts_add_up(rows, shuffler):
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert omed(shuffled).total == omed(rows).total == sum(omed([one]).total for one in rows)


def test_a_switch_of_opioid_is_named():
    morphine, patch = [row("MORPHINE_PO", 60)], [row("FENTANYL_PATCH", 25)]
    assert opioid_switch(morphine, patch) == ("FENTANYL_PATCH", "MORPHINE_PO")
    assert opioid_switch(morphine, [row("MORPHINE_PO", 30), row("IBUPROFEN", 400)]) == ()
    assert opioid_switch(morphine, []) == ()
    assert opioid_switch([], patch) == ()


def test_the_list_is_whole():
    assert len(DRUGS) == len(OPIOIDS) + len(NON_OPIOIDS)
    assert all(drug.opioid for drug in OPIOIDS)
    assert not any(drug.opioid for drug in NON_OPIOIDS)
    assert all(drug.name_zh for drug in DRUGS.values())
    assert set(V1.factors) <= {drug.code for drug in OPIOIDS}
    assert V1.always_flagged <= set(V1.factors)
    assert set(OMED_FLAG_LABELS) == set(OmedFlag)
    assert set(ROUTE_LABELS) == set(Route)


@pytest.mark.parametrize(
    ("text", "first"),
    [("askd", "OXYCODONE_PO"), ("drj", "FENTANYL_PATCH"), ("DLD", "PETHIDINE_INJ"), ("kdy", "CODEINE_PO"),
     ("奥施康定", "OXYCODONE_PO"), ("杜冷丁", "PETHIDINE_INJ"), ("多瑞吉", "FENTANYL_PATCH"), ("morph", "MORPHINE_PO"),
     ("吗啡", "MORPHINE_PO"), ("Tylenol", "PARACETAMOL"), ("FENTANYL_INJ", "FENTANYL_INJ")],
)  # fmt: skip
def test_search(text, first):
    assert search(text)[0].code == first


def test_search_without_hits():
    assert search("") == search("   ") == search("😀") == ()
    assert len(search("o", limit=3)) == 3
