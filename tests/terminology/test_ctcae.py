"""The CTCAE table is whole, and the search finds what this trial needs."""

import pytest

from spinetrial.terminology import ctcae


def test_counts_of_the_published_table():
    terms = ctcae.terms().values()
    assert len(terms) == 837
    assert len(ctcae.socs()) == 26
    assert [sum(grade in term.grades for term in terms) for grade in range(1, 6)] == [645, 745, 750, 551, 494]
    assert sum(ctcae.needs_specification(term.code) for term in terms) == 26
    assert all(len(term.code) == 8 and term.code.isdigit() and term.grades for term in terms)


def test_grades_that_nci_defines():
    assert ctcae.grades("10041549") == (3, 4, 5)  # spinal cord compression starts at 3 in version 5
    assert ctcae.grades("10041569") == (1, 2, 3, 4, 5)
    assert ctcae.grades("10016256") == (1, 2, 3)
    with pytest.raises(KeyError):
        ctcae.grades("00000000")


@pytest.mark.parametrize(
    ("code", "term"),
    [
        ("10041569", "Spinal fracture"),
        ("10017076", "Fracture"),
        ("10028524", "Myelitis"),
        ("10041549", "Spinal cord compression"),
        ("10061928", "Radiculitis"),
        ("10003988", "Back pain"),
        ("10006002", "Bone pain"),
        ("10045158", "Tumor pain"),
        ("10061103", "Dermatitis radiation"),
        ("10015461", "Esophagitis"),
        ("10016256", "Fatigue"),
    ],
)
def test_expected_terms(code, term):
    assert ctcae.get(code).term == term
    assert ctcae.name_zh(code)
    assert code in {expected.code for expected in ctcae.EXPECTED}


def test_no_chinese_name_is_made_up_for_other_terms():
    assert ctcae.name_zh("10002272") == ""
    assert len(ctcae.EXPECTED) == 11


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10041569", "10041569"),
        ("spinal fracture", "10041569"),
        ("椎体压缩骨折", "10041569"),
        ("VCF", "10041569"),
        ("放射性脊髓病", "10028524"),
        ("myelopathy", "10028524"),
        ("flare", "10045158"),
        ("fracture", "10017076"),
        ("back", "10003988"),
        ("乏力", "10016256"),
        ("  ANEMIA ", "10002272"),
        ("compression cord", "10041549"),
    ],
)
def test_search_finds_first(text, code):
    assert ctcae.search(text)[0].code == code


def test_search_limits():
    assert [term.code for term in ctcae.search("", limit=50)] == [expected.code for expected in ctcae.EXPECTED]
    assert len(ctcae.search("pain", limit=7)) == 7
    assert ctcae.search("😀" * 5000) == ()
