"""Pain response from saved rows: the right numbers reach the rule, and what is missing keeps its reason."""

from datetime import date

import pytest

from followup.response import Category, NeReason, Reading
from followup.responses import pain_of, responses_of, responses_of_many
from patients.models import Subject
from spinetrial.audit.clock import at
from tests.followup.helpers import baseline, milestones, noon, treated, visit


def morphine(mg):
    return [{"drug": "MORPHINE_PO", "dose": str(mg), "times": "1"}]


@pytest.fixture
def subject(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)  # worst pain 6, morphine 60 mg
    return subject


def response(subject, event="M3", reading=Reading.LITERAL, today=date(2026, 2, 1)):
    with at(noon(today)):
        return responses_of(subject, reading).get(event)


@pytest.mark.parametrize(
    ("nrs", "mg", "literal", "tolerant"),
    [
        (0, 60, "CR", "CR"),
        (0, 65, "IR", "CR"),
        (4, 60, "PR", "PR"),
        (4, 70, "IR", "PR"),
        (6, 45, "PR", "PR"),
        (8, 60, "PP", "PP"),
        (8, 80, "PP", "PP"),  # D5
        (5, 60, "IR", "IR"),
    ],
)
def test_saved_rows_give_the_worked_cases(cast, subject, nrs, mg, literal, tolerant):
    visit(subject, cast.coordinator_a, nrs_worst=nrs, analgesics="some", rows=morphine(mg))
    assert response(subject).category == literal
    assert response(subject, reading=Reading.TOLERANT).category == tolerant


def test_none_in_24_hours_is_zero_and_not_missing(cast, subject):
    visit(subject, cast.coordinator_a, nrs_worst=6, analgesics="none")
    assert response(subject).category is Category.PR
    assert response(subject).omed_change == -100


@pytest.mark.parametrize(
    ("changes", "rows", "reason"),
    [
        ({"analgesics": "unknown"}, (), NeReason.ANALGESICS_UNKNOWN),
        ({"analgesics": "some"}, [{"drug": "MORPHINE_PO", "times": "1"}], NeReason.ANALGESICS_UNKNOWN),
        ({"analgesics": "some"}, [{"drug": "DEZOCINE_INJ", "dose": "5", "times": "1"}], NeReason.ANALGESICS_UNKNOWN),
        ({"nrs_worst": None, "nrs_missing": "refused"}, (), NeReason.REFUSED),
        ({"status": "missed", "missed_reason": "too_ill"}, (), NeReason.TOO_ILL),
        ({"status": "missed", "missed_reason": "withdrawn"}, (), NeReason.WITHDRAWN),
        ({"index_treatment": "surgery", "index_treatment_date": date(2025, 12, 19)}, (), NeReason.INTERVENTION),
    ],
)
def test_what_is_missing_keeps_its_reason(cast, subject, changes, rows, reason):
    visit(subject, cast.coordinator_a, rows=rows, **changes)
    found = response(subject)
    assert (found.category, found.ne_reason, found.responder) == (Category.NE, reason, False)


def test_a_treatment_reported_later_counts_from_its_date(cast, subject):
    """Surgery between W2 and M3, first told at M6: M3 is not assessable, W2 is."""
    for event, day in (("W2", date(2025, 10, 3)), ("M3", date(2025, 12, 19))):
        visit(subject, cast.coordinator_a, event, visit_date=day, analgesics="some", rows=morphine(60))
    told = {"index_treatment": "surgery", "index_treatment_date": date(2025, 11, 1)}
    visit(subject, cast.coordinator_a, "M6", visit_date=date(2026, 3, 19), **told)
    with at(noon(date(2026, 4, 1))):
        found = responses_of(subject)
    assert found["W2"].category is Category.PR
    assert [found[event].ne_reason for event in ("M3", "M6")] == [NeReason.INTERVENTION] * 2


def test_visits_without_a_form(cast, subject):
    assert response(subject, "M3", today=date(2026, 1, 2)) is None  # its window is still open
    assert response(subject, "M3", today=date(2026, 1, 3)).ne_reason is NeReason.MISSED
    milestones(subject, followup_ended_on=date(2025, 12, 1))
    assert response(subject, "M3").ne_reason is NeReason.WITHDRAWN
    milestones(subject, death_date=date(2025, 12, 10))
    assert response(subject, "M3").ne_reason is NeReason.DEAD


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (None, NeReason.BASELINE_PAIN_MISSING),
        ({"nrs": None}, NeReason.BASELINE_PAIN_MISSING),
        ({"nrs": 0}, NeReason.BASELINE_PAIN_ZERO),
        ({"analgesics": "unknown"}, NeReason.BASELINE_ANALGESICS_UNKNOWN),
    ],
)
def test_without_a_usable_baseline_nothing_is_evaluable(cast, made, reason):
    subject = treated(cast.coordinator_a, cast.site_a)
    if made is not None:
        baseline(subject, **made)
    visit(subject, cast.coordinator_a)
    assert response(subject).ne_reason is reason


def test_a_switch_of_opioid_is_flagged(cast, subject):
    visit(
        subject,
        cast.coordinator_a,
        analgesics="some",
        rows=[{"drug": "OXYCODONE_PO", "dose": "20", "times": "2"}],
    )
    with at(noon(date(2026, 2, 1))):
        found = pain_of([subject])[subject.pk]["M3"]
    assert found.switched == ("MORPHINE_PO", "OXYCODONE_PO")
    assert found.omed.total == 60


def test_many_subjects_cost_as_many_queries_as_one(cast, django_assert_num_queries):
    made = [treated(cast.coordinator_a, cast.site_a) for _number in range(4)]
    for number, each in enumerate(made):
        baseline(each)
        visit(each, cast.coordinator_a, nrs_worst=number, analgesics="some", rows=morphine(60))
    with at(noon(date(2026, 2, 1))):
        for some in (made[:1], made):
            subjects = list(Subject.objects.filter(pk__in=[s.pk for s in some]).select_related("site"))
            with django_assert_num_queries(9):
                found = responses_of_many(subjects)
            for each in subjects:
                assert found[each.pk] == responses_of(each)
    assert [found[each.pk]["M3"].category for each in made] == ["CR", "PR", "PR", "PR"]
