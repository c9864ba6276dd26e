"""CSV files of other programs: the good ones read alike, the others refused with the row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randomization.importing import LARGEST_FILE, read
from randomization.permuted_blocks import ListedSlot

ARMS = {"LOCAL": "LOCAL", "WHOLE": "WHOLE"}
SITES = ("NK", "SH")
GOOD = "stratum,number,arm\nNK,1,LOCAL\nNK,2,WHOLE\nSH,1,WHOLE\nSH,2,LOCAL\n"
EXPECTED = {
    "NK": [ListedSlot(1, "LOCAL"), ListedSlot(2, "WHOLE")],
    "SH": [ListedSlot(1, "WHOLE"), ListedSlot(2, "LOCAL")],
}


def read_text(text, encoding="utf-8", arms=ARMS):
    return read(text.encode(encoding), SITES, arms)


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace(",", ";").encode(),
        GOOD.replace(",", "\t").encode(),
        GOOD.replace(",", "，").encode(),
        GOOD.replace("stratum,number,arm", "中心,序号,组别").encode("gbk"),
        GOOD.replace("stratum,number,arm", " Site Code , Rand_No. ,TRT").encode(),
        (GOOD + "\n\n,,\n").encode(),
        GOOD.replace("NK,1,LOCAL", '"nk","001", local ').encode(),
        GOOD.replace("NK,1,", "NK,1.00,").encode(),
        GOOD.replace("NK,1,LOCAL", "ＮＫ,１,ＬＯＣＡＬ").encode(),
        GOOD.replace("arm\n", "arm,remark\n").replace("LOCAL", "LOCAL,ignored").encode(),
    ],
)
def test_harmless_differences_read_alike(content):
    found = read(content, SITES, ARMS)
    assert found.messages == []
    assert found.strata == EXPECTED


def test_numeric_arms_of_spss_and_blocks():
    text = "center;id;group;block\nNK;1;1.00;1\nNK;2;2.00;1\nNK;3;2.00;1\nNK;4;1.00;1\nNK;5;1.00;2\n"
    found = read(text.encode("utf-8-sig"), SITES, {"1": "LOCAL", "2": "WHOLE"})
    assert found.messages == []
    assert [slot.arm for slot in found.strata["NK"]] == ["LOCAL", "WHOLE", "WHOLE", "LOCAL", "LOCAL"]
    assert [(slot.block, slot.block_size) for slot in found.strata["NK"]] == [(1, 4)] * 4 + [(2, 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("stratum,number,arm\n", "no rows"),
        ("number,arm\n1,LOCAL\n", "stratum"),
        ("stratum,number,arm,group\nNK,1,LOCAL,WHOLE\n", "Two columns"),
        (GOOD.replace("NK,2", "XX,2"), "Row 3: “XX”"),
        (GOOD.replace("NK,2", ",2"), "Row 3"),
        (GOOD.replace("NK,2", "NK,3"), "number 2 is expected"),
        (GOOD.replace("NK,2", "NK,1"), "number 2 is expected"),
        (GOOD.replace("NK,1", "NK,0"), "Row 2: “0”"),
        (GOOD.replace("NK,1", "NK,-1"), "Row 2: “-1”"),
        (GOOD.replace("NK,1", "NK,1.5"), "Row 2: “1.5”"),
        (GOOD.replace("NK,1", "NK,99999"), "Row 2"),
        (GOOD.replace("NK,1", "NK,一"), "Row 2"),
        (GOOD.replace("WHOLE", "BODY"), "Row 3: “BODY”"),
        (GOOD.replace("NK,2,WHOLE", "NK,2"), "Row 3"),
        (GOOD.replace("NK,2,WHOLE", 'NK,2,"WHOLE'), "quotation"),
        (GOOD + "NK," + "9" * 200_000 + ",LOCAL\n", "quotation mark is not closed, or a cell is too long"),
        (GOOD.replace("arm\n", "arm,block\n").replace("LOCAL", "LOCAL,x"), "block “x”"),
        ("\x00" + GOOD, "no text"),
        ("stratum,number,arm\n" + "".join(f"NK,{n},LOCAL\n" for n in range(1, 2002)), "more than 2000"),
        (GOOD.replace("NK,1", "=cmd|' /C calc'!A0,1"), "Row 2"),
    ],
)
def test_hostile_files_are_refused_with_the_row(text, words):
    found = read_text(text)
    assert found.strata == {}
    assert any(words in str(message) for message in found.messages), [str(m) for m in found.messages]


def test_one_bad_row_refuses_every_stratum():
    assert read_text(GOOD.replace("SH,2,LOCAL", "SH,2,?")).strata == {}


def test_no_more_than_thirty_messages():
    rows = "".join(f"XX,{n},?\n" for n in range(100))
    assert len(read_text("stratum,number,arm\n" + rows).messages) == 30


def test_too_large_and_not_text():
    assert not read(b"x" * (LARGEST_FILE + 1), SITES, ARMS).good
    assert not read(b"\xff\xfe\x00", SITES, ARMS).good
    assert not read(b"PK\x03\x04\xff\xff\xff\xff", SITES, ARMS).good


@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(content):
    found = read(content, SITES, ARMS)
    assert found.good == bool(found.strata)
    assert all(str(message) for message in found.messages)


@given(st.text(max_size=200))
def test_any_text_behind_a_good_header_gets_an_answer(text):
    found = read_text("stratum,number,arm\n" + text, encoding="utf-8") if text.isprintable() else read_text(GOOD)
    assert found.good == bool(found.strata)
