"""The export: complete, the same bytes every time, safe in a spreadsheet, the same values in CSV and SPSS."""

import csv
import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime

import pyreadstat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinetrial.analysis.data import Column, Kind, Snapshot, Table
from spinetrial.exports.archive import Origin, build_zip
from spinetrial.exports.csvfile import cell, plain_text, write_csv
from spinetrial.exports.sav import write_sav
from spinetrial.protocol import CURRENT
from tests.analysis.trial import make_snapshot, two_arms

LOCKED = datetime(2026, 11, 1, 8, 30, 5, tzinfo=UTC)


def small() -> Snapshot:
    patients = two_arms((2, 1), (1, 2))
    patients[0].events = [("10061103", 2)]
    patients[1].justified = "Äußere Grenze, 靶区"
    patients[2].missed, patients[2].visits = {"M3": "refused"}, {}
    return make_snapshot(patients, screen_failures=1)


def export(snapshot: Snapshot, reveal: bool = True) -> bytes:
    return build_zip(snapshot, Origin(3, LOCKED, snapshot.sha256(), "1.0"), reveal=reveal)


def files(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return files(export(small()))


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_same_version_gives_the_same_bytes():
    assert export(small()) == export(small())


def test_every_table_is_there_with_every_row(made):
    snapshot = small()
    for table in snapshot.tables:
        assert len(rows(made[f"data/csv/{table.name}.csv"])) == len(table.rows)
        assert f"data/spss/{table.name}.sav" in made
    for name, count in (("adsl", 6), ("adrs", 18), ("adae", 1), ("adtte", 30)):
        assert len(rows(made[f"analysis/csv/{name}.csv"])) == count


def test_the_manifest_names_every_file_with_its_hash(made):
    manifest = json.loads(made["manifest.json"])
    listed = {each["path"]: each["sha256"] for each in manifest["files"]}
    others = {name: content for name, content in made.items() if name != "manifest.json"}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in others.items()}
    assert manifest["data_version"] == 3
    assert manifest["content_sha256"] == small().sha256()
    assert manifest["protocol_sha256"] == small().protocol_hash
    assert manifest["trial"] == CURRENT.identity.registration
    assert manifest["masked"] is False


def test_the_dictionary_describes_every_column(made):
    described = {(row["table"], row["column"]) for row in rows(made["dictionary.csv"])}
    for name, content in made.items():
        if name.endswith(".csv") and "/" in name:
            table = name.split("/")[-1].removesuffix(".csv")
            table = table.upper() if name.startswith("analysis") else table
            header = content.decode("utf-8-sig").splitlines()[0].split(",")
            assert {(table, column) for column in header} <= described
    by_column = {(row["table"], row["column"]): row for row in rows(made["dictionary.csv"])}
    assert "female=Female" in by_column["P.DM", "sex"]["codes"]
    assert by_column["P.DM", "birth_date"]["sdtm"] == "DM.BRTHDTC"
    assert by_column["ADSL", "arm"]["codes"] == "LOCAL=Involved sectors | WHOLE=Whole vertebra"


@pytest.mark.parametrize(
    "name",
    [
        "data/{}/F.VISIT", "data/{}/R.RT.targets", "data/{}/P.DM", "data/{}/P.CONSENT", "data/{}/SUBJECTS",
        "analysis/{}/adsl", "analysis/{}/adrs", "analysis/{}/adae", "analysis/{}/adtte",
    ],
)  # fmt: skip
def test_spss_and_csv_hold_the_same_values(made, name, tmp_path):
    path = tmp_path / "table.sav"
    path.write_bytes(made[name.format("spss") + ".sav"])
    values, meta = pyreadstat.read_sav(path, output_format="dict")
    table = rows(made[name.format("csv") + ".csv"])
    names = {name.split("/")[-1], name.split("/")[-1].upper()}
    described = {row["column"]: row for row in rows(made["dictionary.csv"]) if row["table"] in names}
    assert meta.number_rows == len(table)
    for column, label in zip(meta.column_names, meta.column_labels, strict=True):
        assert label.startswith(described[column]["label"][:60])
        for place, row in enumerate(table):
            value, text = values[column][place], row[column]
            text = text.removeprefix("'")
            if value is None:
                assert text == ""
            elif isinstance(value, float):
                assert float(text) == value
            elif isinstance(value, datetime):
                assert datetime.fromisoformat(text).replace(tzinfo=None) == value
            elif isinstance(value, date):
                assert date.fromisoformat(text) == value
            else:
                assert value == text
    assert meta.creation_time == LOCKED.replace(tzinfo=None)


def test_spss_files_have_value_labels(made, tmp_path):
    path = tmp_path / "adsl.sav"
    path.write_bytes(made["analysis/spss/adsl.sav"])
    _values, meta = pyreadstat.read_sav(path, output_format="dict")
    assert meta.variable_value_labels["arm"] == {"LOCAL": "Involved sectors", "WHOLE": "Whole vertebra"}
    assert meta.variable_value_labels["itt"] == {1.0: "Yes", 0.0: "No"}
    assert meta.variable_value_labels["ecog"][1.0].startswith("1:")
    assert meta.original_variable_types["randomized"] == "SDATE10"


def test_an_empty_trial_can_be_exported(tmp_path):
    made = files(export(make_snapshot([])))
    path = tmp_path / "empty.sav"
    path.write_bytes(made["data/spss/F.VISIT.sav"])
    _values, meta = pyreadstat.read_sav(path, output_format="dict")
    assert meta.number_rows == 0
    assert meta.original_variable_types["visit_date"] == "SDATE10"


def test_a_masked_export_shows_no_arm():
    made = files(export(small(), reveal=False))
    assert not {name for name in made if name.split("/")[-1].rsplit(".", 1)[0] in ("ARM", "R.RT", "QUERIES_ARM")}
    assert not {name for name in made if "R.RT" in name}
    for name, content in made.items():
        for arm in CURRENT.arms:
            for word in (arm.code, arm.name):
                # Whole words: SPSS shortens the name local_control to LOCAL_CO.
                assert not re.search(rb"(?<![A-Za-z_])" + word.encode() + rb"(?![A-Za-z_])", content), (name, word)
    assert "arm" not in rows(made["analysis/csv/adsl.csv"])[0]
    assert "pp" not in rows(made["analysis/csv/adsl.csv"])[0]
    assert json.loads(made["manifest.json"])["masked"] is True
    # The guard can fail: the unmasked export does hold them.
    assert any(b"WHOLE" in content for content in files(export(small())).values())


def test_masked_exports_do_not_depend_on_the_arms():
    patients = two_arms((2, 1), (1, 2))
    swapped = [replace(p, arm="WHOLE" if p.arm == "LOCAL" else "LOCAL") for p in patients]
    one, two = (files(export(make_snapshot(each), reveal=False)) for each in (patients, swapped))
    # The content hash names the version, which holds the arms; it cannot be undone.
    del one["manifest.json"], two["manifest.json"]
    assert one == two


TEXT = Column("text", "Text", Kind.TEXT)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_text_survives_csv_and_is_no_formula(text):
    content = write_csv(Table("T", "T", False, (TEXT, Column("next", "Next", Kind.TEXT)), ((text, "end"),)))
    _header, row = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert row[1] == "end"
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    read = row[0].removeprefix("'") if row[0].startswith("'") else row[0]
    assert read == text


def test_numbers_keep_their_sign():
    assert cell("-3.50", Kind.DECIMAL) == "-3.50"
    assert cell(-3, Kind.INTEGER) == "-3"
    assert cell("-3", Kind.TEXT) == "'-3"
    assert (plain_text(True), plain_text(None), plain_text(["a", "b"])) == ("1", "", "a;b")


def test_long_texts_labels_and_awkward_values_in_spss(tmp_path):
    columns = (
        Column("text", "疼痛" * 200, Kind.TEXT),
        Column("code", "Code", Kind.TEXT, codes=(("a_code_longer_than_eight", "词" * 200), ("b", "B"))),
        Column("number", "Number", Kind.DECIMAL, "mg"),
        Column("time", "Time", Kind.DATETIME),
        Column("yes", "Yes", Kind.BOOLEAN),
        Column("many", "Many", Kind.LIST),
    )
    cells = (("痛" * 1300, "b", "-0.05", "2026-03-01T09:15:00Z", None, ["a", "b"]), ("=1+1", "", None, None, False, []))
    path = tmp_path / "t.sav"
    content = write_sav(Table("T", "T", False, columns, cells), "label", LOCKED)
    assert content == write_sav(Table("T", "T", False, columns, cells), "label", LOCKED)
    path.write_bytes(content)
    values, meta = pyreadstat.read_sav(path, output_format="dict")
    assert list(values["text"]) == ["痛" * 1300, "=1+1"]
    assert [None if v is None else float(v) for v in values["number"]] == [-0.05, None]
    assert values["time"][0] == datetime(2026, 3, 1, 9, 15)
    assert list(values["many"]) == ["a;b", ""]
    assert len(meta.column_names_to_labels["text"].encode()) <= 255
    assert meta.column_names_to_labels["number"] == "Number [mg]"
