"""The importer of a licensed dictionary: what it takes, and everything it refuses with file, line and reason."""

import io
import os
import stat
import zipfile

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import InternalError, ProgrammingError, connection, transaction
from django.utils import translation

from adverse_events.meddra.distribution import read_distribution
from adverse_events.meddra.load import do_import
from adverse_events.meddra.package import MOST_FILES, read_package
from adverse_events.meddra.problems import REASONS, MeddraRefused, Problem
from adverse_events.models import (
    MeddraName,
    MeddraPath,
    MeddraPosting,
    MeddraRelease,
    MeddraTerm,
    MeddraVersion,
)
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from tests.adverse_events.invented import Invented, write, zipped
from tests.cast import SETUP

TABLES = (MeddraVersion, MeddraRelease, MeddraTerm, MeddraPath, MeddraName, MeddraPosting)


def read(content, language="en", version=""):
    return read_distribution(read_package(zipped(content), language), language, version)


def refused(content, language="en", version=""):
    """The problems as (file, line, code)."""
    with pytest.raises(MeddraRefused) as caught:
        read(content, language, version)
    return [(each.file, each.line, each.code) for each in caught.value.problems]


def changed(name, old=None, new="", *, line=1, content=None):
    """The files of the small dictionary with one line of one file changed (`old` None: the whole line)."""
    content = dict(content or Invented().content())
    lines = content[name].decode().split("\r\n")
    lines[line - 1] = new if old is None else lines[line - 1].replace(old, new)
    content[name] = "\r\n".join(lines).encode()
    return content


# --- what is taken ---


def test_a_distribution_is_stored_with_hashes_counts_and_who(cast):
    release = do_import(cast.data_manager, zipped(Invented().content()), "en")
    assert (release.version.version, release.language, release.complete) == ("91.0", "en", True)
    assert release.counts["LLT"] == MeddraTerm.objects.filter(level=5).count() == 60
    assert {file["name"] for file in release.files} >= {"llt.asc", "mdhier.asc", "meddra_release.asc"}
    assert all(len(file["sha256"]) == 64 for file in release.files)
    entry = AuditEntry.objects.filter(table_name="adverse_events_meddrarelease", act="insert").get()
    assert entry.actor_id == cast.data_manager.pk
    pt = MeddraTerm.objects.get(level=4, code="94000001")
    assert MeddraPath.objects.get(pt=pt.code, primary=True).soc == pt.parent
    assert MeddraPath.objects.filter(pt=pt.code).count() == 2  # multi-axial, one primary


def test_languages_lie_over_the_same_codes_and_versions_side_by_side(cast):
    for invented, language in (
        (Invented(), "en"),
        (Invented(language="Chinese"), "zh"),
        (Invented(version="91.1", llts=61), "en"),
    ):
        do_import(cast.data_manager, zipped(invented.content()), language)
    assert MeddraVersion.objects.count() == 2
    assert MeddraRelease.objects.count() == 3
    assert MeddraTerm.objects.filter(version__version="91.0", level=5).count() == 60
    assert MeddraName.objects.filter(code="95000001").count() == 3


def test_the_japanese_set_is_joined_by_code_in_its_own_encoding(cast):
    release = do_import(cast.data_manager, zipped(Invented().japanese()), "ja")
    kinds = MeddraName.objects.filter(release=release, level=5).values_list("kind", flat=True)
    assert sorted(set(kinds)) == ["name", "reading", "synonym"]
    assert {file["encoding"] for file in release.files if file["name"].endswith("_j.asc")} == {"cp932"}


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\r\n", b"\n"),
        lambda raw: raw.removesuffix(b"\r\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b"$\r\n", b"\r\n"),  # no separator at the end
    ],
)
def test_the_variants_of_the_format_are_read(change):
    content = {name: change(raw) for name, raw in Invented().content().items()}
    assert len(read(content).pt_of) == 60


def test_names_of_files_are_found_whatever_their_case_and_folder(tmp_path):
    content = {name.upper(): raw for name, raw in Invented().content().items()}
    folder = write(tmp_path / "MedDRA_91_0_English" / "MedAscii", content)
    (folder / "readme.pdf").write_bytes(b"\0")
    assert len(read_distribution(read_package(tmp_path, "en"), "en").pt_of) == 60


def test_a_western_name_is_read_in_the_old_encoding():
    content = Invented(words={"95000001": "Fjørdé ache"}).content()
    content = {name: raw.decode().encode("cp1252") for name, raw in content.items()}
    found = read(content)
    assert "Fjørdé ache" in found.names[5].values()
    assert {file["encoding"] for file in found.files if file["name"] == "llt.asc"} == {"cp1252"}


def test_a_quotation_mark_is_data():
    found = read(Invented(words={"95000001": '"Odd" ache'}).content())
    assert found.names[5]["95000001"] == '"Odd" ache'


def test_without_link_files_and_release_file_it_says_so_and_asks_for_the_version():
    content = Invented().content()
    for name in ("soc_hlgt.asc", "hlgt_hlt.asc", "hlt_pt.asc", "meddra_release.asc"):
        del content[name]
    assert refused(content) == [("meddra_release.asc", 0, "say_version")]
    assert {note.code for note in read(content, version="91.0").notes} == {"no_release", "optional_missing"}


# --- what is refused ---


@pytest.mark.parametrize("name", ["soc", "hlgt", "hlt", "pt", "llt", "mdhier", "intl_ord"])
def test_a_missing_file_is_named(name):
    content = Invented().content()
    del content[f"{name}.asc"]
    assert refused(content) == [(f"{name}.asc", 0, "missing")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (changed("llt.asc", "$$$$$$$Y$$", "$$$$$Y$$", line=3), ("llt.asc", 3, "fields")),
        (changed("llt.asc", "$$$$$$$Y$$", "$$$$$$$Y$$$", line=3), ("llt.asc", 3, "fields")),
        (changed("llt.asc", "$$$$$$$Y$$", "$$$$$$$y$$", line=3), ("llt.asc", 3, "flag")),
        (changed("llt.asc", "94000003$", "9400003$", line=3), ("llt.asc", 3, "code")),
        (changed("pt.asc", "94000002", "９４０００００２", line=2), ("pt.asc", 2, "code")),
        (changed("pt.asc", "94000002", "94000001", line=2), ("pt.asc", 2, "twice")),
        (changed("llt.asc", None, "95999999$Sample$94999999$$$$$$$Y$$", line=60), ("llt.asc", 60, "unknown")),
        (changed("llt.asc", None, "95999999$ $94000001$$$$$$$Y$$", line=60), ("llt.asc", 60, "no_name")),
        (changed("llt.asc", None, f"95999999${'x' * 251}$94000001$$$$$$$Y$$", line=60), ("llt.asc", 60, "long_name")),
        (changed("llt.asc", None, "x" * 5000, line=9), ("llt.asc", 9, "long_line")),
        (changed("llt.asc", None, "", line=9), ("llt.asc", 9, "fields")),
        (changed("llt.asc", "$94000001$", "$94000002$"), ("llt.asc", 1, "own_llt")),
        (changed("pt.asc", "$91000001$", "$91000009$"), ("pt.asc", 1, "unknown")),
        (changed("mdhier.asc", "$Y$", "$N$", line=1), ("pt.asc", 1, "primary")),
        (changed("mdhier.asc", "$N$", "$Y$", line=2), ("mdhier.asc", 2, "primary_soc")),
        (changed("mdhier.asc", "$93000001$", "$93000099$", line=1), ("mdhier.asc", 1, "unknown")),
        (changed("hlt_pt.asc", "93000001", "93000004"), ("hlt_pt.asc", 1, "path_missing")),
        (changed("intl_ord.asc", "1$", "2$"), ("intl_ord.asc", 2, "order")),
        (changed("intl_ord.asc", "91000001", "91000002"), ("intl_ord.asc", 2, "twice")),
        (changed("meddra_release.asc", "English", "Chinese"), ("meddra_release.asc", 1, "other_language")),
        (changed("meddra_release.asc", "91.0", "latest"), ("meddra_release.asc", 1, "release")),
        (changed("soc.asc", "\r", "\0"), None),
    ],
)
def test_a_fault_is_refused_with_file_and_line(content, problem):
    if problem:
        assert problem in refused(content)
    else:
        assert read(content)  # nothing was changed: the test's own tool tells no fault where there is none


def test_files_cut_short_are_refused():
    whole = Invented().content()
    for name in ("llt.asc", "pt.asc", "mdhier.asc", "soc.asc", "hlt_pt.asc"):
        for keep in (0, len(whole[name]) // 2, len(whole[name]) - 8):
            assert refused({**whole, name: whole[name][:keep]}), (name, keep)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda raw: raw.decode().encode("utf-16"), "nul"),
        (lambda raw: raw[:200] + b"\0" + raw[200:], "nul"),
        (lambda raw: raw[:200] + b"\x08" + raw[200:], "control"),
        (lambda raw: raw.replace(b"\r\n", b"\r"), "control"),
        (lambda raw: raw[:200] + "\ufffd".encode() + raw[200:], "reencoded"),
        (lambda raw: raw.decode("latin-1").encode(), "reencoded"),
        (lambda raw: raw[:200] + b"\x81" + raw[200:], "encoding"),
    ],
)
def test_a_file_that_was_converted_is_refused(change, code):
    content = Invented(words={"95000001": "Fjørdé ache", "94000001": "Fjördé"}).content()
    found = refused({**content, "llt.asc": change(content["llt.asc"])})
    assert [(file, each) for file, _line, each in found] == [("llt.asc", code)]


def test_chinese_that_is_no_chinese_or_in_two_encodings_is_refused():
    content = Invented(language="Chinese").content()
    other = {**content, "llt.asc": content["llt.asc"].decode().encode("gb18030")}
    assert refused(other, "zh") == [("llt.asc", 0, "mixed")]
    english = changed("meddra_release.asc", "English", "Chinese")
    assert refused(english, "zh") == [("llt.asc", 0, "wrong_language")]
    pretended = changed("meddra_release.asc", "Chinese", "English", content=content)
    assert refused(pretended, "en") == [("llt.asc", 0, "wrong_language")]
    all_gb = {name: raw.decode().encode("gb18030") for name, raw in content.items()}
    assert len(read(all_gb, "zh").pt_of) == 60


def test_a_reason_repeats_no_name_and_has_words_in_every_case():
    for code, text in REASONS.items():
        values = {"limit": 1, "names": "x", "encoding": "x", "one": "x", "other": "x", "language": "x", "found": 1}
        values |= {"wanted": 2, "line": 3, "what": "x", "file": "x", "count": 4}
        assert Problem("llt.asc", 7, code, values).words().startswith("llt.asc, line 7: "), text
    content = changed("llt.asc", None, "95999999$Secret word$94999999$$$$$$$Y$$", line=60)
    with pytest.raises(MeddraRefused) as caught, translation.override("en"):
        read(content)
    assert "Secret" not in str(caught.value)
    assert "llt.asc, line 60: Its code pt_code is not in pt.asc." in str(caught.value)


# --- hostile packages ---


def hostile(change):
    """An archive with the small dictionary, and whatever `change(archive)` adds."""
    file = zipped(Invented().content())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        change(archive)
    file.seek(0)
    return file


def _link(archive):
    info = zipfile.ZipInfo("MedAscii/link.asc")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def _bomb(archive):
    archive.writestr("MedAscii/meddra_history_english.asc", b"0" * (65 * 1024 * 1024))


def _twice(archive):
    archive.writestr("MedAscii/LLT.asc", "x")


def _many(archive):
    for number in range(MOST_FILES):
        archive.writestr(f"more/{number}.txt", "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda archive: archive.writestr("../../outside.asc", "x"), "unsafe_name"),
        (lambda archive: archive.writestr("/etc/outside.asc", "x"), "unsafe_name"),
        (lambda archive: archive.writestr("..\\outside.asc", "x"), "unsafe_name"),
        (lambda archive: archive.writestr("C:outside.asc", "x"), "unsafe_name"),
        (_link, "link"),
        (_bomb, "too_large"),
        (_twice, "twice_in_zip"),
        (_many, "too_many"),
    ],
)
def test_a_hostile_archive_is_refused(change, code):
    with pytest.raises(MeddraRefused) as caught:
        read_package(hostile(change), "en")
    assert [each.code for each in caught.value.problems] == [code]


def test_an_archive_that_lies_about_its_sizes_is_not_unpacked_beyond_the_limit():
    raw = bytearray(hostile(_bomb).getvalue())
    at = raw.rfind(b"PK\x01\x02", 0, raw.rfind(b"meddra_history"))
    raw[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(MeddraRefused) as caught:
        read_package(io.BytesIO(bytes(raw)), "en")
    assert [each.code for each in caught.value.problems] == ["bad_zip"]


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", zipped(Invented().content()).getvalue()[:-500], b"x" * 5000])
def test_what_is_no_archive_is_refused(raw):
    with pytest.raises(MeddraRefused) as caught:
        read_package(io.BytesIO(raw), "en")
    assert [each.code for each in caught.value.problems] == ["bad_zip"]


def test_links_pipes_and_endless_files_in_a_folder_are_refused(tmp_path):
    for number, (make, code) in enumerate(
        (
            (lambda path: path.symlink_to("/etc/passwd"), "link"),
            (os.mkfifo, "not_a_file"),
            (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2 * 1024**3), "too_large"),
        )
    ):
        folder = write(tmp_path / str(number), Invented().content())
        (folder / "llt.asc").unlink()
        make(folder / "llt.asc")
        with pytest.raises(MeddraRefused) as caught:
            read_package(folder, "en")
        assert [each.code for each in caught.value.problems] == [code]


def test_two_distributions_in_one_folder_are_refused(tmp_path):
    write(tmp_path / "one", Invented().content())
    write(tmp_path / "two", Invented().content())
    with pytest.raises(MeddraRefused) as caught:
        read_package(tmp_path, "en")
    assert [each.code for each in caught.value.problems] == ["several"]


# --- all or nothing ---


def state():
    return [list(model.objects.order_by("pk").values_list("pk", flat=True)) for model in TABLES]


def test_what_is_refused_or_fails_leaves_the_old_version_untouched(cast, monkeypatch):
    do_import(cast.data_manager, zipped(Invented().content()), "en")
    before = state()
    for content, language in (
        (Invented().content(), "en"),  # loaded already
        (Invented(version="91.1", llts=61).content() | {"hlt.asc": b"cut"}, "en"),
        (Invented(language="Chinese", llts=61).content(), "zh"),  # the same version with another structure
    ):
        with pytest.raises(MeddraRefused):
            do_import(cast.data_manager, zipped(content), language)
        assert state() == before
    monkeypatch.setattr("adverse_events.meddra.trigrams.index", lambda names: {"": b"", "toolong": b""})
    with pytest.raises(Exception, match="too long"), transaction.atomic():
        do_import(cast.data_manager, zipped(Invented(version="91.1").content()), "en")
    assert state() == before


def test_a_loaded_dictionary_never_changes(cast):
    release = do_import(cast.data_manager, zipped(Invented().content()), "en")
    version = release.version
    for model, change in (
        (MeddraTerm, {"current": False}),
        (MeddraName, {"name": "x"}),
        (MeddraRelease, {"counts": {}}),
    ):
        for act in (lambda rows, change=change: rows.update(**change), lambda rows: rows._raw_delete("default")):
            with pytest.raises((ProgrammingError, InternalError)), acting(SETUP, "tampering"):
                act(model.objects.all())
    with pytest.raises(ProgrammingError), acting(SETUP, "tampering"):
        MeddraTerm.objects.create(version=version, level=5, code="95999999", parent="94000001")
    with pytest.raises(ProgrammingError), acting(SETUP, "tampering"):
        MeddraName.objects.create(release=release, level=5, code="95999999", name="Sample")
    with pytest.raises(ProgrammingError), acting(SETUP, "tampering"):
        MeddraRelease.objects.update(complete=False)


def test_only_a_data_manager_imports(cast):
    for person in (cast.coordinator_a, cast.statistician, cast.administrator):
        with pytest.raises(PermissionDenied):
            do_import(person, zipped(Invented().content()), "en")


# --- the command ---


def test_the_command_imports_a_folder_and_shows_its_progress(cast, tmp_path, capsys):
    folder = write(tmp_path / "MedAscii", Invented().content())
    call_command("import_meddra", str(folder), language="en", user="data-manager")
    out = capsys.readouterr().out
    assert "MedDRA 91.0" in out
    assert "60 LLT" in out
    assert "storing" in out
    (folder / "llt.asc").write_text("90000011$Sample ache")
    with pytest.raises(CommandError, match=r"llt\.asc, line 1: 2 fields instead of 11"):
        call_command("import_meddra", str(folder), language="en", user="data-manager")
    with pytest.raises(CommandError, match="no account"):
        call_command("import_meddra", str(folder), language="en", user="nobody")
    with pytest.raises(CommandError, match="may not"):
        call_command("import_meddra", str(folder), language="en", user="coordinator-a")


def test_the_database_holds_no_release_half_imported(cast):
    do_import(cast.data_manager, zipped(Invented().content()), "en")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM adverse_events_meddrarelease WHERE NOT complete")
        assert cursor.fetchone()[0] == 0
