"""The snapshot: everything that was entered, no contacts, the same bytes for the same data."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from patients.models import Contact, Demographics
from spinetrial.access.gate import SYSTEM
from spinetrial.analysis import snapshot as reading
from spinetrial.analysis.data import Kind, UnknownSchema, from_canonical
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.analysis.snapshot import plain, take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import Item
from tests.analysis.conftest import SECRETS, make_trial


def test_the_same_data_give_the_same_bytes_in_every_language(small_trial):
    first = take_snapshot()
    with translation.override("zh-hans"):
        second = take_snapshot()
    assert first.canonical() == second.canonical()
    assert first.sha256() == second.sha256()


def test_any_change_changes_the_hash(small_trial):
    before = take_snapshot().sha256()
    with acting(SYSTEM, "correction"):
        row = Demographics.objects.first()
        row.height_cm = 161
        row.save()
    assert take_snapshot().sha256() != before


def test_it_survives_storing(small_trial):
    taken = take_snapshot()
    again = from_canonical(taken.canonical())
    assert again == taken
    assert again.canonical() == taken.canonical()
    with pytest.raises(UnknownSchema):
        from_canonical(json.dumps({"schema": 99}).encode())


def test_contacts_are_nowhere(small_trial):
    assert Contact.objects.count() == len(small_trial.subjects)
    text = take_snapshot().canonical().decode()
    for secret in SECRETS.values():
        assert secret not in text
    for word in ("Zebulon", "张秘密", "7313", "99887766"):
        assert word not in text


def test_an_encrypted_field_is_left_out_of_any_form():
    source = reading._source("X", "X", Contact, {"name": Item("name")}, False)
    assert [column.name for column in source.table.columns] == ["site_code", "subject", "record"]


def test_neither_slots_nor_seeds_are_read(small_trial):
    with CaptureQueriesContext(connection) as queries:
        take_snapshot()
    read = " ".join(query["sql"] for query in queries)
    assert "randomization_slot" not in read
    assert "randomization_randomizationlist" not in read
    assert "patients_contact" not in read


def test_every_crf_and_row_is_there(small_trial):
    taken = take_snapshot()
    names = {table.name for table in taken.tables}
    for spec in all_specs():
        assert spec.code in names
        assert {f"{spec.code}.{group.key}" for group in spec.rows} <= names
    assert len(taken.records("SUBJECTS")) == 4
    assert len(taken.records("ARM")) == 3
    (first, *_others) = taken.records("P.PAIN.analgesics_taken")
    assert (first["subject"], first["drug"], first["dose"]) == ("NK-001", "MORPHINE_PO", "30.00")
    assert first["parent"] == taken.records("P.PAIN")[0]["record"]


def test_labels_units_and_codes_describe_the_columns(small_trial):
    columns = {column.name: column for column in take_snapshot().table("P.DM").columns}
    assert columns["sex"].codes == (("female", "Female"), ("male", "Male"))
    assert columns["birth_date"].kind is Kind.DATE
    assert columns["height_cm"].unit == "cm"


def test_the_masked_see_no_table_that_shows_the_arm(small_trial):
    taken = take_snapshot()
    assert any(table.reveals_arm for table in taken.tables)
    masked = taken.without_arm()
    assert not any(table.reveals_arm for table in masked.tables)
    hidden = {table.name for table in taken.tables} - {table.name for table in masked.tables}
    assert {"ARM", "R.RT", "R.RT.targets", "QUERIES_ARM"} <= hidden
    for arm in ("LOCAL", "WHOLE"):
        rows = [row for table in masked.tables for row in table.rows]
        assert arm not in json.dumps(rows)


def test_the_number_of_queries_does_not_grow(cast):
    make_trial(cast, 1)
    with CaptureQueriesContext(connection) as few:
        take_snapshot()
    with acting(SYSTEM, "more"):
        for number in range(5):
            day = date(2025, 1, 1)
            subject = reading.Subject(site=cast.site_b, number=number, code=f"SH-{number}", first_contact=day)
            subject.save()
            reading.Milestones(subject=subject).save()
    with CaptureQueriesContext(connection) as many:
        take_snapshot()
    assert len(many) == len(few)


def test_the_analysis_reads_what_the_database_gives(small_trial):
    for reveal in (True, False):
        found = results(take_snapshot(), Arms.SHOWN if reveal else Arms.POOLED)
        rows = [row for group in found.groups for row in group.rows]
        assert sorted(row.subject for row in rows) == ["NK-001", "NK-002", "NK-003"]
        assert {(row.nrs, row.omed, row.age) for row in rows} == {(6, Decimal(60), 65)}
        assert all((row.arm is not None) is reveal for row in rows)


def test_canonical_values():
    assert plain(Decimal("2.50")) == "2.50"
    assert plain(datetime(2026, 3, 1, 17, 15, tzinfo=UTC)) == "2026-03-01T17:15:00Z"
    assert plain(date(2026, 3, 1)) == "2026-03-01"
    assert plain({"b": 1, "a": None}) == '{"a": null, "b": 1}'
    assert plain(True) is True
    with pytest.raises(TypeError):
        plain(object())
