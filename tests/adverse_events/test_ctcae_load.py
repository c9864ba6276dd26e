"""Loading NCI's texts: all or nothing, whatever the file is. The texts in these files are invented."""

import csv
import io
import json
import zipfile
from datetime import date
from functools import cache

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.urls import reverse

from adverse_events import catalogue, ctcae_file, workbook
from adverse_events.ctcae_file import FileRefused
from adverse_events.models import CtcaeEdition
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.terminology import ctcae
from tests.cast import SETUP
from tests.followup.helpers import noon

HEAD = [
    *("meddra_code", "soc", "term", "definition"),
    *(f"grade{grade}" for grade in ctcae.GRADES),
    "navigational_note",
]
NCI_HEAD = ["MedDRA Code", "MedDRA SOC", "CTCAE Term", "Definition"]
NCI_HEAD += [f"Grade {grade}  " for grade in ctcae.GRADES] + ["Navigational Note", "CTCAE v5.0 Change"]
WHY = "invented for a test"
FATIGUE = "10016256"


@cache
def _table(version: str) -> tuple[tuple[str, ...], ...]:
    lines = []
    for term in ctcae.terms(version).values():
        grades = [f"invented {grade} ≥ of {term.term}" if grade in term.grades else "-" for grade in ctcae.GRADES]
        lines.append((term.code, term.soc, term.term, "an invented definition", *grades, ""))
    return tuple(lines)


def table(version="5.0") -> list[list[str]]:
    return [list(line) for line in _table(version)]


def as_csv(lines, head=HEAD) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([head, *lines])
    return file.getvalue().encode()


def cell(text: str) -> str:
    words = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<c t="inlineStr"><is><t xml:space="preserve">{words}</t></is></c>'


def parts(lines, head=NCI_HEAD, sheet="CTCAE v5.0 Clean Copy") -> dict[str, str]:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    rows = "".join("<row>" + "".join(map(cell, line)) + "</row>" for line in [head, *lines])
    return {
        "xl/workbook.xml": f'<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="{space}" xmlns:r="{links}"><sheets>'
        f'<sheet name="About" sheetId="1" r:id="a"/><sheet name="{sheet}" sheetId="2" r:id="b"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        'relationships"><Relationship Id="a" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="b" Target="/xl/worksheets/sheet2.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{space}"><sheetData><row>{cell("hello")}</row></sheetData>'
        "</worksheet>",
        "xl/worksheets/sheet2.xml": f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>',
    }


def zipped(content: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return file.getvalue()


def read(content: bytes):
    return ctcae_file.read(content, accept_changed=True)


def refusal(content: bytes) -> str:
    with pytest.raises(FileRefused) as found:
        read(content)
    return str(found.value)


# --- what is taken ---


@pytest.mark.parametrize("version", ctcae.VERSIONS)
def test_each_version_is_recognised_by_its_terms(version):
    edition = read(as_csv(table(version)))
    assert (edition.version, edition.kind, len(edition.texts)) == (version, "csv", len(ctcae.terms(version)))
    assert edition.texts[FATIGUE].grades[1] == "invented 1 ≥ of Fatigue"
    assert all(tuple(each.grades) == ctcae.terms(version)[code].grades for code, each in edition.texts.items())


def test_a_workbook_of_the_same_texts_says_the_same():
    edition = read(zipped(parts(table())))
    assert (edition.version, edition.kind) == ("5.0", "xlsx")
    assert edition.texts == read(as_csv(table())).texts


def test_white_space_of_a_cell_does_not_count():
    lines = table()
    lines[0][4] = "  in\u00a0vented\n 1 \t≥ of Anemia "
    lines[0][9] = " - "
    first = next(iter(read(as_csv(lines)).texts.values()))
    assert (first.grades[1], first.note) == ("in vented 1 ≥ of Anemia", "")


def test_the_columns_of_the_older_and_the_newer_workbook_are_known():
    old = ["MedDRA v12.0 Code", "CTCAE v4.0 SOC", "CTCAE v4.0 Term", "CTCAE v4.0 AE Term Definition"]
    new = ["CTCAE v6.0 MedDRA 28.0 LLT Code", "CTCAE v6.0 MedDRA 28.0 SOC", "CTCAE v6.0 MedDRA 28.0 Term", "Definition"]
    grades = [f"Grade {grade}" for grade in ctcae.GRADES]
    without_note = [line[:-1] for line in table("4.03")]
    assert read(zipped(parts(without_note, [*old, *grades], "Sheet1"))).version == "4.03"
    assert read(zipped(parts(table("6.0"), [*new, *grades, "Navigational Note"]))).version == "6.0"


def test_texts_that_are_not_ncis_are_taken_only_for_a_reason():
    """Of the real file a single lost character is found: here every text is another."""
    with pytest.raises(FileRefused, match="837"):
        ctcae_file.read(as_csv(table()))
    assert len(read(as_csv(table())).changed) == 837


def test_the_digest_tells_one_changed_character(monkeypatch):
    texts = ["definition", "one ≥ 2", "", "three", "", "", ""]
    assert ctcae.texts_digest(texts) != ctcae.texts_digest(["definition", "one ? 2", *texts[2:]])
    assert ctcae.texts_digest(texts) != ctcae.texts_digest(["definition", "", "one ≥ 2", *texts[3:]])


# --- what is refused ---

CSV = as_csv(table())
SHEET = "xl/worksheets/sheet2.xml"


def without(number: int) -> bytes:
    lines = table()
    del lines[number]
    return as_csv(lines)


def with_cell(row: int, column: int, text: str) -> bytes:
    lines = table()
    lines[row][column] = text
    return as_csv(lines)


def book(**changes) -> bytes:
    """A workbook in which the sheet (or another part) is changed by a function."""
    content: dict = parts(table())
    for name, change in changes.items():
        part = {"sheet": SHEET, "book": "xl/workbook.xml", "links": "xl/_rels/workbook.xml.rels"}[name]
        content[part] = change(content[part])
    return zipped(content)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
BAD = {
    "empty": (b"", "empty"),
    "no table": (b"hello\nworld\n", "columns"),
    "columns only": (as_csv([]), "no term"),
    "UTF-16": (CSV.decode().encode("utf-16"), "UTF-16"),
    "GB18030": (CSV.decode().encode("gb18030"), "UTF-8"),
    "lost characters": (CSV.replace("≥".encode(), "\ufffd".encode()), "lost"),
    "NUL": (CSV[:900] + b"\x00" + CSV[900:], "NUL"),
    "control character": (with_cell(3, 4, "a\x07b"), "control"),
    "cut in a line": (CSV[: len(CSV) // 2], "nearest is 5.0"),
    "cut in a quoted cell": (CSV + b'10000000,"no end', "quotation mark"),
    "last term missing": (without(-1), "1 term is missing: 10047115"),
    "a term twice": (as_csv([*table(), table()[7]]), "twice"),
    "a foreign term": (as_csv([*table(), ["10000001", "x", "x", "x", *"-----", ""]]), "foreign: 10000001"),
    "another table": (as_csv([["10000001", "x", "x", "x", *"-----", ""]]), "not the terms"),
    "no code": (with_cell(5, 0, "ten"), "eight digits"),
    "another name": (with_cell(5, 2, "Something"), "name of 1"),
    "another class": (with_cell(5, 1, "Eye disorders"), "class of 1"),
    "a grade that does not exist": (with_cell(23, 8, "-"), "grades of 1"),
    "formula": (with_cell(5, 4, "=1+1"), "formula"),
    "long cell": (with_cell(5, 4, "x" * 6000), "5000"),
    "huge cell": (CSV + b'"' + b"x" * 8_000_000, "8 MB"),
    "many rows": (as_csv([*table(), *[["", ""]] * 6000]), "rows"),
    "two columns of a kind": (as_csv(table(), [*HEAD[:-1], "grade1"]), "Two columns"),
    "old workbook": (b"\xd0\xcf\x11\xe0" + b"\x00" * 600, ".xls"),
    "cut workbook": (book()[:-4000], "damaged"),
    "no workbook in the archive": (zipped({"../../etc/passwd": "x", "/tmp/x": "y"}), "damaged"),
    "formula cell": (
        book(sheet=lambda x: x.replace("<row><c", '<row><c r="A1"><f>A2</f></c><c', 1)), "A1 holds a formula",
    ),
    "entity expansion": (book(sheet=lambda x: ENTITIES + x), "entities"),
    "hidden declaration": (book(sheet=lambda x: (ENTITIES + x).encode("utf-16")), "damaged"),
    "UTF-7": (book(sheet=lambda x: '<?xml version="1.0" encoding="utf-7"?>' + x), "damaged"),
    "zip bomb": (book(sheet=lambda x: x + " " * 30_000_000), "unpacks"),
    "shared text that is not there": (
        book(sheet=lambda x: x.replace('<c t="inlineStr">', '<c t="s"><v>9</v>', 1)), "damaged",
    ),
    "link out of the archive": (
        book(links=lambda x: x.replace("/xl/worksheets/sheet2", "../../../etc/sheet2")), "columns",
    ),
    "column out of reach": (book(sheet=lambda x: x.replace("<c t", '<c r="1" t', 1)), "damaged"),
    "not XML": (book(sheet=lambda x: x[:-30]), "damaged"),
    "two sheets with the columns": (
        book(book=lambda x: x.replace('name="About"', 'name="Clean copy 2"')), "Several sheets",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_reason(name):
    content, words = BAD[name]
    assert words in refusal(content)


def test_an_encrypted_part_and_a_crowd_of_parts_are_refused(monkeypatch):
    content = bytearray(book())
    at_central = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[at_central + 8] |= 1
    assert "damaged" in refusal(bytes(content))
    monkeypatch.setattr(workbook, "MOST_PARTS", 3)
    assert "parts" in refusal(book())


# --- what is stored ---


def entries() -> int:
    return AuditEntry.objects.filter(table_name="adverse_events_ctcaeedition").count()


def test_the_texts_are_recorded_with_hash_version_time_and_person(cast):
    with at(noon(date(2025, 12, 1))):
        loaded = catalogue.do_load(cast.data_manager, CSV, WHY)
    row = CtcaeEdition.objects.get()
    assert loaded == catalogue.Loaded(row, new=True)
    assert (row.version, row.kind, row.loaded_by, row.reason) == ("5.0", "csv", cast.data_manager, WHY)
    assert (row.loaded_at, row.changed, len(row.sha256)) == (noon(date(2025, 12, 1)), 837, 64)
    entry = AuditEntry.objects.get(table_name="adverse_events_ctcaeedition")
    assert entry.changes["sha256"] == [None, row.sha256]
    assert "invented" not in json.dumps(entry.changes["texts"])
    assert catalogue.sound() == [(row, True)]


def test_the_same_file_again_changes_nothing(cast):
    first = catalogue.do_load(cast.data_manager, CSV, WHY).edition
    before = entries()
    assert catalogue.do_load(cast.data_manager, CSV, WHY) == catalogue.Loaded(first, new=False)
    assert entries() == before


def test_a_new_file_takes_the_place_of_the_older_one_of_its_version_only(cast):
    old = catalogue.do_load(cast.data_manager, CSV, WHY).edition
    other = catalogue.do_load(cast.data_manager, as_csv(table("6.0")), WHY).edition
    new = catalogue.do_load(cast.data_manager, with_cell(0, 4, "now otherwise"), "an erratum").edition
    assert {row.pk for row in catalogue.editions()} == {other.pk, new.pk}
    assert CtcaeEdition.objects.get(pk=old.pk).in_force is False
    assert catalogue.in_versions("10002272", ("5.0",))[0].lines[0].text == "now otherwise"


def test_a_failure_halfway_leaves_what_was(cast, monkeypatch):
    old = catalogue.do_load(cast.data_manager, CSV, WHY).edition

    def broken(self, *args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(catalogue, "texts_sha256", broken)
    with pytest.raises(RuntimeError):
        catalogue.do_load(cast.data_manager, with_cell(0, 4, "other"), WHY)
    assert [row.pk for row in catalogue.editions()] == [old.pk]


def test_a_refused_file_leaves_what_was(cast):
    old = catalogue.do_load(cast.data_manager, CSV, WHY).edition
    for name in ("cut in a line", "another name", "zip bomb"):
        with pytest.raises(FileRefused):
            catalogue.do_load(cast.data_manager, BAD[name][0], WHY)
    assert [row.pk for row in catalogue.editions()] == [old.pk]


def test_a_changed_text_in_the_database_is_found(cast):
    row = catalogue.do_load(cast.data_manager, CSV, WHY).edition
    with acting(SETUP, "planted"):
        row.texts[FATIGUE][1]["1"] = "planted"
        row.save()
    assert [holds for _row, holds in catalogue.sound()] == [False]
    with pytest.raises(CommandError, match="not what was loaded"):
        call_command("import_ctcae", "--check", stdout=io.StringIO())


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("ctcaeedition_one_in_force_per_version", {}),
        ("ctcaeedition_version_known", {"version": "7.0"}),
        ("ctcaeedition_sha256_form", {"version": "6.0", "sha256": "x"}),
        ("ctcaeedition_texts_sha256_form", {"version": "6.0", "texts_sha256": "x"}),
        ("ctcaeedition_change_has_reason", {"version": "6.0", "reason": ""}),
    ],
)
def test_the_database_holds_the_rules_of_an_edition(cast, constraint, changes):
    row = catalogue.do_load(cast.data_manager, CSV, WHY).edition
    row.pk = None
    for name, value in changes.items():
        setattr(row, name, value)
    with pytest.raises(IntegrityError, match=constraint), acting(SETUP, "planted"):
        row.save(force_insert=True)


def test_only_a_data_manager_loads(cast):
    for person in (cast.coordinator_a, cast.investigator_a, cast.monitor_a, cast.statistician, cast.outsider):
        with pytest.raises(PermissionDenied):
            catalogue.do_load(person, CSV, WHY)


# --- the command and the screen ---


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import_ctcae", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_did(cast, tmp_path):
    file = tmp_path / "texts.csv"
    file.write_bytes(CSV)
    by = cast.data_manager.username
    with pytest.raises(CommandError, match="Nothing was changed"):
        command(str(file), "--by", by)  # the texts are not NCI's
    assert "837 terms" in command(str(file), "--by", by, "--accept-changed", WHY)
    assert "nothing to do" in command(str(file), "--by", by, "--accept-changed", WHY)
    assert "unchanged" in command("--check")


def test_the_command_refuses_what_it_cannot_use(cast, tmp_path):
    by = cast.data_manager.username
    file = tmp_path / "texts.csv"
    file.write_bytes(CSV)
    for arguments, words in (
        ((), "Name the file"),
        ((str(file),), "no active account"),
        ((str(file), "--by", "nobody"), "no active account"),
        ((str(tmp_path), "--by", by), "cannot be read"),
        ((str(tmp_path / "none"), "--by", by), "cannot be read"),
        ((str(file), "--by", cast.coordinator_a.username), "may not load"),
    ):
        with pytest.raises(CommandError, match=words):
            command(*arguments)
    assert not CtcaeEdition.objects.exists()


def test_the_screen_loads_and_refuses(cast, client):
    client.force_login(cast.data_manager)

    def post(content, reason="", name="../../etc/x.csv"):
        file = SimpleUploadedFile(name, content)
        return client.post(reverse("ctcae_load"), {"file": file, "reason": reason})

    assert post(CSV).status_code == 422
    answer = post(BAD["GB18030"][0], WHY)
    assert answer.status_code == 422
    assert "UTF-8" in answer.text
    assert not CtcaeEdition.objects.exists()
    assert post(b"x" * 8_000_001).status_code == 422
    assert post(CSV, WHY).status_code == 302
    assert cast.data_manager.full_name in client.get(reverse("ctcae")).text
    assert "already" in client.get(post(CSV, WHY).url).text
    client.force_login(cast.coordinator_a)
    assert client.get(reverse("ctcae_load")).status_code == 403
    assert post(CSV, WHY).status_code == 403
