"""The page of the examples: what it shows, the table somebody enters, and what no table is."""

import html
import re

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinetrial.access import limits
from spinetrial.access.limits import LIMITS
from spinetrial.analysis.own_table import MAX_2X2, MAX_LARGER
from spinetrial.analysis.papers import papers
from spinetrial.analysis.papers.model import VERDICT_LABELS, Verdict
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from spinetrial.reports.papers import TableForm


@pytest.fixture
def reader(client, cast):
    client.force_login(cast.investigator_a)
    return client


def page(client, status=200, **query):
    answer = client.get(reverse("examples"), query)
    assert answer.status_code == status
    return answer


def words(answer) -> str:
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", html.unescape(text))


def test_every_claim_stands_beside_its_counts_and_its_verdict(reader):
    shown = [
        check for paper in page(reader).context["papers"] for group in paper["groups"] for check in group["checks"]
    ]
    claims = [check for paper in papers(CURRENT) for check in paper.checks]
    assert [each["claim"] for each in shown] == [check.claim for check in claims]
    assert [each["verdict"] for each in shown] == [VERDICT_LABELS[check.verdict] for check in claims]
    assert all(each["basis"] and each["printed"] for each in shown)
    by_claim = {each["claim"]: each for each in shown}
    fracture = by_claim["Pathological fracture, baseline"]
    assert [each.text for each in fracture["results"]] == ["0.161", "0.350", "0.353"]
    assert [each.agrees for each in fracture["results"]] == [True, False, False]
    assert fracture["few"] == "2.5"
    assert fracture["basis"] == "IMRT: 1/30 (3.3 %); 3DCRT: 4/30 (13.3 %)"
    survival = by_claim["Overall survival, 1 year"]
    assert survival["printed"] == survival["results"][0].text == "92.0 % (71.6 to 97.9)"
    assert by_claim["Karnofsky performance status"]["results"][0].text == "0.148"


def test_the_list_of_what_cannot_be_right_is_the_verdicts(reader):
    answer = page(reader)
    for paper, shown in zip(papers(CURRENT), answer.context["papers"], strict=True):
        wrong = [check.claim for check in paper.checks if check.verdict is Verdict.IMPOSSIBLE]
        assert [each["claim"] for each in shown["impossible"]] == wrong
        assert sum(int(each["label"].rpartition(" ")[2]) for each in shown["counts"]) == len(paper.checks)
    assert "printed 0.283, computed 0.148" in words(answer)


def test_a_table_of_a_paper_is_entered_by_its_link(reader):
    shown = [
        check for paper in page(reader).context["papers"] for group in paper["groups"] for check in group["checks"]
    ]
    links = [each["enter"] for each in shown if each["enter"]]
    assert len(links) == 17
    answer = reader.get(next(each["enter"] for each in shown if each["claim"] == "Responders, 3 months"))
    assert answer.status_code == 200
    results = dict(answer.context["own"]["results"])
    assert results["Pearson chi-square, uncorrected"] == "χ² 2.063, df 1, p = 0.151"
    assert results["Chi-square with Yates' correction"] == "χ² 1.233, df 1, p = 0.267"
    assert results["Fisher's exact test, two-sided"] == "p = 0.200"
    assert results["Share of the first column, row 1"] == "14/20 (70.0 %)"
    difference = next(text for method, text in results.items() if method.startswith("Risk difference"))
    assert difference == "+22.6; 95 % interval −8.6 to +50.0"


def test_an_unestimable_number_says_why(reader):
    results = dict(page(reader, table="3 0\n5 0").context["own"]["results"])
    assert "all patients are in one row or one column" in results["Pearson chi-square, uncorrected"]
    assert "zero divided by zero" in results["Odds ratio of the counts, ad/bc"]
    results = dict(page(reader, table="3 4\n0 0").context["own"]["results"])
    assert "a row has no patients" in results["Fisher's exact test, two-sided"]
    assert dict(page(reader, table="9 0\n0 9").context["own"]["results"])["Odds ratio of the counts, ad/bc"] == "∞"
    large = dict(page(reader, table="\n".join(["6 6 6 6 6"] * 5)).context["own"]["results"])
    assert "too many tables" in large["Fisher-Freeman-Halton exact test"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "required"),
        ("   \n ", "required"),
        ("1 2", "2 to 5 rows"),
        ("1\n2", "2 to 5 rows"),
        ("1 2 3 4 5 6\n1 2 3 4 5 6", "2 to 5 rows"),
        ("1 2\n1 2\n1 2\n1 2\n1 2\n1 2", "2 to 5 rows"),
        ("1 2\n3", "2 to 5 rows"),
        ("1 2\n3 4 5", "same number"),
        ("1 two\n3 4", "“two” is not a count"),
        ("1 -2\n3 4", "“-2” is not a count"),
        ("1.5 2\n3 4", "“1.5” is not a count"),
        ("1e5 2\n3 4", "“1e5” is not a count"),
        ("² 2\n3 4", "is not a count"),
        ("0 0\n0 0", "All counts are 0"),
        ("9999999 2\n3 4", "too large"),
        ("9" * 300 + " 2\n3 4", "too large"),
        ("1 2\n" * 200, "400"),
        (f"{MAX_2X2} 1\n3 4", f"At most {MAX_2X2}"),
        (f"{MAX_LARGER} 1 0\n3 4 5", f"At most {MAX_LARGER}"),
        ("1\x00 2\n3 4", ""),
    ],
)
def test_what_is_no_table_says_so_and_keeps_the_text(reader, table, message):
    answer = page(reader, 422, table=table)
    assert answer.context["own"] is None
    assert message in answer.context["form"].errors["table"][0]
    assert 'role="alert"' in answer.content.decode()


def test_what_was_typed_is_escaped(reader):
    answer = page(reader, 422, table="<script>alert(1)</script> 2\n3 4")
    assert "<script>alert" not in answer.content.decode()


@pytest.mark.parametrize(
    "table",
    ["14 6\n9 10", "14,6\r\n9,10", "14\t6\n9\t10\n\n", " 14 ; 6 \n9; 10;", "１４，６\n９，１０", "014 6\n9 10,"],
)
def test_a_table_may_be_pasted_from_anywhere(table):
    form = TableForm({"table": table})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["table"] == ((14, 6), (9, 10))


CELLS = st.one_of(
    st.integers(-3, 70).map(str),
    st.integers(0, 10**12).map(str),
    st.sampled_from(["", "x", "1.0", "∞", "NaN", "-0", "１２", "%s", "{{", "'"]),
)
TABLES = st.lists(st.lists(CELLS, max_size=6).map(" ".join), max_size=6).map("\n".join)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(TABLES, st.text(max_size=60)))
def test_no_text_breaks_the_page(reader, table):
    answer = reader.get(reverse("examples"), {"table": table})
    assert answer.status_code in (200, 422)
    assert (answer.context["own"] is None) == (answer.status_code == 422)
    if answer.status_code == 200:
        assert all(text for _method, text in answer.context["own"]["results"])
        assert "nan" not in str(answer.context["own"]["results"]).lower()


def test_nothing_is_stored_and_a_flood_is_stopped(reader, cast, settings, monkeypatch):
    before = AuditEntry.objects.count()
    page(reader, table="14 6\n9 10")
    assert AuditEntry.objects.count() == before
    settings.RATE_LIMITS = True
    monkeypatch.setitem(LIMITS, "examples", limits.Limit(2, 3600))
    assert [reader.get(reverse("examples")).status_code for _each in range(3)] == [200, 200, 429]
