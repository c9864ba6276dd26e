"""Every analysis row names the records it came from, and the value stands in them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spinetrial.analysis.data import Table
from spinetrial.analysis.times import Parameter
from spinetrial.exports.datasets import analysis_tables
from tests.analysis.trial import failure, make_snapshot, responder

CLEAR = ("none", "controlled")


def patients():
    first = responder(
        1, "LOCAL", imaging={"M3": (2, "new", "controlled")}, events=[("10016256", 1), ("10016256", 3), ("10016256", 3)]
    )
    second = failure(2, "WHOLE", visits={"W2": (6, 60, 0), "M3": (8, 60, 1)}, missed={"M6": "too_ill"})
    second.died_of, second.death = "disease", second.due("M6")
    third = responder(3, "LOCAL", fractions=0, imaging={"M3": (0, "none", "progression")})
    third.retreated = third.due("M3")
    return [first, second, third]


@pytest.fixture(scope="module")
def snapshot():
    return make_snapshot(patients())


def tables(snapshot, reveal=True) -> dict[str, Table]:
    return {table.name: table for table in analysis_tables(snapshot, reveal=reveal)}


def record_of(snapshot, table, number):
    (found,) = [row for row in snapshot.records(table) if row["record"] == number]
    return found


def test_the_columns_of_adtte_are_those_other_programs_read(snapshot):
    common = [
        "paramcd", "param", "start", "end", "days", "status", "source_table", "source_record", "rule",
    ]  # fmt: skip
    for reveal in (True, False):
        names = [column.name for column in tables(snapshot, reveal)["ADTTE"].columns]
        assert names == ["site_code", "subject", *(["arm"] if reveal else []), *common]
    by_name = {column.name: column for column in tables(snapshot)["ADTTE"].columns}
    assert by_name["status"].codes == (("0", "Censored"), ("1", "Event"), ("2", "Death without the event"))
    assert [code for code, _label in by_name["paramcd"].codes] == list(Parameter)


#: Columns of the source tables that can hold the date of an end.
DATES = ("visit_date", "imaging_date", "answered_on", "ended_on", "death_date", "index_treatment_date")


def unsupported(rows, snapshot) -> list[dict]:
    """Rows of ADTTE whose end is no date of the record they name."""
    found = []
    for row in rows:
        if row["source_table"] == "SUBJECTS":
            (source,) = [r for r in snapshot.records("SUBJECTS") if r["subject"] == row["subject"]]
            dates = list(source.values())
        else:
            source = record_of(snapshot, row["source_table"], row["source_record"])
            dates = [source[name] for name in DATES if name in source]
        if row["end"] not in dates or source["subject"] != row["subject"]:
            found.append(row)
    return found


def test_every_time_ends_on_a_date_of_the_record_it_names(snapshot):
    rows = list(tables(snapshot)["ADTTE"].records())
    assert sum(row["source_table"] != "SUBJECTS" for row in rows) >= 10
    assert not unsupported(rows, snapshot)
    # The check can fail: with the imaging on other days the rows no longer agree with their records.
    moved = patients()
    for patient in moved:
        patient.imaging = {event: (days + 1, *read) for event, (days, *read) in patient.imaging.items()}
    assert {row["paramcd"] for row in unsupported(rows, make_snapshot(moved))} == {"VCF", "LOCFAIL"}


def test_responses_name_visit_report_and_the_clause(snapshot):
    adrs = {(row["subject"], row["visit"]): row for row in tables(snapshot)["ADRS"].records()}
    for row in adrs.values():
        if row["visit_record"] is not None:
            form = record_of(snapshot, "F.VISIT", row["visit_record"])
            assert (form["subject"], form["event"], form["visit_date"]) == (
                row["subject"], row["visit"], row["visit_date"],
            )  # fmt: skip
            assert form["nrs_worst"] == row["nrs_clinic"]
        assert record_of(snapshot, "P.PAIN", row["baseline_record"])["subject"] == row["subject"]
        assert bool(row["rule"]) == (row["response_literal"] != "NE") == (not row["ne_reason"])
    assert adrs["NK-001", "W2"]["rule"] == "pr_pain"
    assert adrs["NK-001", "M3"]["rule"] == "cr"
    assert adrs["NK-002", "M3"]["rule"] == "pp_pain"
    missed = adrs["NK-002", "M6"]
    assert record_of(snapshot, "F.VISIT", missed["visit_record"])["missed_reason"] == missed["ne_reason"] == "too_ill"
    treated = adrs["NK-003", "M3"]
    assert treated["ne_reason"] == "intervention"
    assert record_of(snapshot, "F.VISIT", treated["treatment_record"])["index_treatment"] == "radiotherapy"
    assert adrs["NK-003", "W2"]["treatment_record"] is None


def test_participants_name_their_forms(snapshot):
    for row in tables(snapshot)["ADSL"].records():
        for column, table in (
            ("screen_record", "P.SCREEN"), ("demographics_record", "P.DM"), ("tumour_record", "P.TUMOUR"),
            ("sites_record", "P.SITES"), ("status_record", "P.STATUS"), ("pain_record", "P.PAIN"),
            ("course_record", "R.RT"),
        ):  # fmt: skip
            assert record_of(snapshot, table, row[column])["subject"] == row["subject"]
        alive = record_of(snapshot, row["alive_table"], row["alive_record"])
        assert row["last_alive"] in [alive[name] for name in DATES if name in alive]
        assert (row["death_table"] == "P.EOS") == (row["death"] is not None)
    assert "course_record" not in [column.name for column in tables(snapshot, reveal=False)["ADSL"].columns]


def test_the_worst_grade_names_its_records(snapshot):
    (row,) = tables(snapshot)["ADAE"].records()
    grades = {number: record_of(snapshot, "A.AE", int(number))["grade"] for number in row["records"]}
    assert sorted(grades.values()) == [1, 3, 3]
    assert row["worst_records"] == [number for number in row["records"] if grades[number] == row["worst_grade"]]


def test_the_order_of_the_records_changes_nothing():
    def reordered(snapshot):
        return replace(
            snapshot, tables=tuple(replace(table, rows=tuple(reversed(table.rows))) for table in snapshot.tables)
        )

    snapshot = make_snapshot(patients())
    for name in ("ADSL", "ADRS", "ADAE", "ADTTE"):
        one, two = (sorted(tables(each)[name].rows, key=repr) for each in (snapshot, reordered(snapshot)))
        assert one == two


def test_two_records_of_one_day_are_told_apart_by_their_numbers():
    patient = responder(1, "LOCAL", imaging={"W2": (0, *CLEAR), "M3": (0, *CLEAR)})
    same = (patient.due("W2") - patient.due("M3")).days
    patient.imaging["M3"] = (same, *CLEAR)
    rows = {row["paramcd"]: row for row in tables(make_snapshot([patient]))["ADTTE"].records()}
    assert rows["VCF"]["end"] == (patient.due("M3") + timedelta(days=same)).isoformat()
    events = {r["record"]: r["event"] for r in make_snapshot([patient]).records("F.IMAGING")}
    assert events[rows["VCF"]["source_record"]] == "M3"
