"""One question for all check constraints of a record: the same verdict and the same words as Django's own way."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followup.models import ImagedVertebra, Visit
from patients.models import DiseaseSite, Status
from radiotherapy.models import Fraction, TargetVertebra
from spinetrial.crf.models import OneCheckModel
from spinetrial.crf.registry import all_specs


class Reference(OneCheckModel):
    """Django's own way, reached beside ours."""

    class Meta:
        abstract = True

    def validate_constraints(self, exclude=None):
        models.Model.validate_constraints(self, exclude)


def verdicts(record, exclude=()):
    """Messages by our way and by Django's, sorted; None when the record passes."""
    found = []
    for validate in (type(record).validate_constraints, Reference.validate_constraints):
        try:
            validate(record, exclude=set(exclude))
            found.append(None)
        except ValidationError as error:
            found.append(sorted(error.messages))
    return found


NEUTRAL = {"id", "subject", "parent", "position", "row_version"}


def answers(field):
    """Values of a field, right and wrong ones, missing ones more often than in life."""
    if field.name in NEUTRAL or isinstance(field, models.ForeignKey):
        return None
    numeric = isinstance(field, (models.DecimalField, models.IntegerField))
    missing = st.none() if field.null else st.nothing() if numeric else st.just("")
    if isinstance(field, models.BooleanField):
        return st.booleans() | missing if field.null else st.booleans()
    if field.choices:
        return missing | st.sampled_from([value for value, _label in field.flatchoices if value != ""])
    if isinstance(field, models.DateField):
        days = st.sampled_from([date(1899, 12, 31), date(1900, 1, 1), date(2025, 5, 5), date(2026, 5, 5)])
        return days | missing if field.null else days
    if isinstance(field, models.DecimalField):
        numbers = st.sampled_from([Decimal("-1"), Decimal("0"), Decimal("0.1"), Decimal("3"), Decimal("400")])
        return numbers | missing if field.null else numbers
    if isinstance(field, models.IntegerField):
        numbers = st.sampled_from([0, 1, 10, 11, 150, 400])
        return numbers | missing if field.null else numbers
    return missing | st.sampled_from(["x", "text"])


def records(model):
    return st.fixed_dictionaries(
        {field.name: values for field in model._meta.concrete_fields if (values := answers(field)) is not None}
    ).map(lambda values: model(**values))


@pytest.mark.parametrize("model", [Visit, Status, DiseaseSite, ImagedVertebra, Fraction, TargetVertebra])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_the_verdict_is_djangos(db, model, data):
    record = data.draw(records(model))
    names = [field.name for field in model._meta.concrete_fields]
    exclude = data.draw(st.just(()) | st.sets(st.sampled_from(names), max_size=2))
    ours, theirs = verdicts(record, {"subject", *exclude})
    assert ours == theirs


RIGHT = {"event": "M3", "status": "missed", "missed_reason": "too_ill", "survival": "alive"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"missed_reason": ""}, "A visit that took place has a date; one that did not has the reason instead."),
        ({"survival": "dead", "death_date": None, "death_cause": ""}, "A death has a date and a cause"),
        ({"death_cause": "disease"}, "A death has a date and a cause"),
        ({"new_systemic_date": date(2025, 1, 1)}, "The start of a systemic therapy is given although there is none."),
        ({"missed_reason": "dead"}, "The visit is missed because of death"),
    ],
)
def test_a_broken_constraint_gives_its_own_message(db, changes, message):
    ours, theirs = verdicts(Visit(**{**RIGHT, **changes}), {"subject"})
    assert ours == theirs
    assert (ours is None) if message is None else any(each.startswith(message) for each in ours)


def test_two_broken_constraints_give_both_messages(db):
    record = Visit(**{**RIGHT, "missed_reason": "", "death_cause": "disease"})
    ours, theirs = verdicts(record, {"subject"})
    assert ours == theirs
    assert len(ours) == 2


def test_a_constraint_on_a_field_left_out_does_not_hide_the_others(db):
    record = Visit(**{**RIGHT, "missed_reason": "", "death_cause": "disease"})
    ours, theirs = verdicts(record, {"subject", "missed_reason"})
    assert ours == theirs
    assert len(ours) == 1


def test_unique_constraints_are_still_asked(db, cast):
    from tests.followup.helpers import treated, visit

    subject = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a)
    twin = Visit(subject=subject, **RIGHT)
    ours, theirs = verdicts(twin)
    assert ours == theirs
    assert ours is not None


def test_a_record_that_passes_costs_one_question(db):
    record = Visit(**RIGHT)
    assert sum(isinstance(each, models.CheckConstraint) for each in Visit._meta.constraints) > 20
    with CaptureQueriesContext(connection) as asked:
        record.validate_constraints(exclude={"subject", "event"})
    assert sum(query["sql"].startswith("SELECT") for query in asked) == 1


def test_every_crf_model_validates_this_way():
    for spec in all_specs():
        assert issubclass(spec.model, OneCheckModel)
        assert all(issubclass(group.model, OneCheckModel) for group in spec.rows)
