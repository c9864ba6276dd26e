"""The start-up check of specs: a model and its form cannot drift apart unseen."""

from dataclasses import replace

import pytest
from django.core.checks.registry import registry

from followup.crfs import IMAGING, VISIT
from spinetrial.crf.apps import check_all_specs
from spinetrial.crf.registry import all_specs, get_spec, specs_for_event
from spinetrial.crf.spec import EditCheck, Item, RowGroup, Section, ShowWhen, check_spec


def ids(spec) -> list[str]:
    return [message.id for message in check_spec(spec)]


def with_items(spec, change):
    """The spec with the items of its first section changed by `change`."""
    first, *others = spec.sections
    return replace(spec, sections=(Section(first.title, tuple(change(list(first.items)))), *others))


def test_every_spec_of_the_trial_is_sound():
    for spec in all_specs():
        assert check_spec(spec) == [], spec.code


def test_codes_of_specs_and_of_their_checks_are_unique():
    codes = [spec.code for spec in all_specs()]
    assert len(codes) == len(set(codes))
    for spec in all_specs():
        checks = [check.code for check in spec.checks]
        assert len(checks) == len(set(checks)), spec.code


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda items: items[:-1], "crf.E001"),
        (lambda items: [*items, items[-1]], "crf.E002"),
        (lambda items: [*items, Item("nrs_worst")], "crf.E002"),
        (lambda items: [*items, Item("no_such_field")], "crf.E003"),
        (lambda items: [*items, Item("row_version")], "crf.E003"),
        (lambda items: [replace(items[0], show_when=ShowWhen("no_such_item", ("1",))), *items[1:]], "crf.E004"),
    ],
    ids=["missing", "doubled", "doubled elsewhere", "unknown", "not editable", "depends on nothing"],
)
def test_a_fault_in_the_items_is_found(change, fault):
    assert ids(with_items(VISIT, change)) == [fault]


def test_a_fault_in_the_rows_is_found():
    group = IMAGING.rows[0]
    assert ids(replace(IMAGING, rows=(RowGroup(group.key, "", group.model, group.items[1:]),))) == ["crf.E001"]
    doubled = RowGroup(group.key, "", group.model, (*group.items, group.items[0]))
    assert ids(replace(IMAGING, rows=(doubled,))) == ["crf.E002"]


@pytest.mark.parametrize("items", [(), ("no_such_item",), ("visit_date", "no_such_item")])
def test_a_check_without_a_place_for_its_message_is_found(items):
    check = EditCheck("planted", items, "text", lambda values: False)
    assert ids(replace(VISIT, checks=(check,))) == ["crf.E005"]


def test_a_check_may_point_at_a_group_of_rows():
    check = EditCheck("planted", ("analgesics_taken",), "text", lambda values: False)
    assert ids(replace(VISIT, checks=(check,))) == []


def test_start_up_runs_the_check(monkeypatch):
    faulty = replace(VISIT, checks=(EditCheck("planted", (), "text", lambda values: False),))
    monkeypatch.setattr("spinetrial.crf.registry.all_specs", lambda: (faulty,))
    assert {message.id for message in check_all_specs(None)} == {"crf.E005"}
    assert check_all_specs in registry.registered_checks


def test_the_registry_finds_a_spec_by_code_and_event():
    assert get_spec("F.VISIT") is VISIT
    assert {VISIT, IMAGING} <= set(specs_for_event("M3"))
    assert VISIT not in specs_for_event("BL")


@pytest.mark.parametrize(
    ("answer", "values", "shown"),
    [
        (True, ("True",), True),
        (False, ("True",), False),
        (None, ("True",), False),
        (None, ("",), True),
        ("a", ("a", "b"), True),
        (["x", "b"], ("a", "b"), True),
        ([], ("a",), False),
        (3, ("3",), True),
    ],
)
def test_a_condition_compares_stored_values(answer, values, shown):
    assert ShowWhen("item", values).holds({"item": answer}) is shown
