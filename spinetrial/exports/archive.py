"""The export: one ZIP of a data version, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import translation
from django.utils.translation import gettext as _

from spinetrial import __version__
from spinetrial.analysis.data import Column, Kind, Snapshot, Table
from spinetrial.analysis.snapshot import WHY_MISSING
from spinetrial.exports.csvfile import write_csv
from spinetrial.exports.datasets import analysis_tables
from spinetrial.exports.sav import write_sav
from spinetrial.exports.second_program import parameters, script
from spinetrial.protocol import get


@dataclass(frozen=True, slots=True)
class Origin:
    """The data version an export is made from."""

    number: int
    locked_at: datetime
    content_sha256: str
    software_version: str


def build_zip(snapshot: Snapshot, origin: Origin, *, reveal: bool) -> bytes:
    """CSV and SPSS files of every table and of the analysis sets, R script, dictionary, read-me, manifest.

    Without `reveal` no table that shows an arm is in it, the analysis sets hold no arm, and there is no script, which
    compares arms.
    """
    seen = snapshot if reveal else snapshot.without_arm()
    analysis = analysis_tables(seen, reveal=reveal)
    label = f"SpineTrial data version {origin.number}"
    files: dict[str, bytes] = {}
    for folder, tables in (("data", seen.tables), ("analysis", analysis)):
        for table in tables:
            name = table.name.lower() if folder == "analysis" else table.name
            files[f"{folder}/csv/{name}.csv"] = write_csv(table)
            files[f"{folder}/spss/{name}.sav"] = write_sav(table, f"{label}: {table.name}", origin.locked_at)
    described = [*seen.tables, *analysis]
    if reveal:
        given = parameters(get(snapshot.protocol_version))
        described.append(given)
        files["analysis/parameters.csv"] = write_csv(given)
        files["analysis/analysis.R"] = script()
    files["dictionary.csv"] = write_csv(dictionary(described))
    files["README.txt"] = _readme(origin, reveal=reveal).encode("utf-8-sig")
    files["manifest.json"] = _manifest(seen, origin, files, masked=not reveal)
    return pack(files, origin.locked_at)


def pack(files: dict[str, bytes], moment: datetime) -> bytes:
    """A ZIP of the files; the same files and moment give the same bytes."""
    target = io.BytesIO()
    stamp = moment.astimezone(UTC).timetuple()[:6]
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            # A fixed time, system and mode: by default they are those of the machine that writes.
            entry = zipfile.ZipInfo(name, stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return target.getvalue()


def dictionary(tables: Iterable[Table]) -> Table:
    """One row per column of every table, with its words in both languages."""
    names = (
        "table", "title", "column", "label", "label_zh", "type", "unit", "codes", "codes_zh", "sdtm",
    )  # fmt: skip
    columns = tuple(Column(name, name, Kind.TEXT) for name in names)
    rows = []
    for table in tables:
        for column in table.columns:
            rows.append(
                (
                    table.name, table.title, column.name, column.label, _chinese_label(column.label), column.kind.value,
                    column.unit, _codes(column, str), _codes(column, _chinese), column.sdtm,
                )
            )  # fmt: skip
    return Table("DICTIONARY", "Data dictionary", False, columns, tuple(rows))


def _codes(column: Column, words: Callable[[str], str]) -> str:
    if column.kind is Kind.BOOLEAN:
        return f"1={words('Yes')} | 0={words('No')}"
    return " | ".join(f"{code}={words(label)}" for code, label in column.codes)


def _chinese(words: str) -> str:
    # The empty message is the header of the catalogue.
    if not words:
        return ""
    with translation.override("zh-hans"):
        return _(words)


def _chinese_label(label: str) -> str:
    """A label in Chinese; that of a reason column is the label of its question and `WHY_MISSING`."""
    question, colon, why = label.rpartition(": ")
    return f"{_chinese(question)}: {_chinese(why)}" if colon and why == WHY_MISSING else _chinese(label)


def _readme(origin: Origin, *, reveal: bool) -> str:
    """What is in the archive and how to read it, in English and Chinese."""
    parts = []
    for language in ("en", "zh-hans"):
        with translation.override(language):
            lines = (
                _("SpineTrial, data version %(number)d, locked %(time)s UTC")
                % {"number": origin.number, "time": f"{origin.locked_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"},
                _("data: every table as entered, one row per record. analysis: the sets the report is computed from."),
                _("dictionary.csv: every column with its label, type, unit, codes and CDISC name."),
                *(_second_program() if reveal else ()),
                _("manifest.json: SHA-256 of every file, of the data and of the protocol."),
                _("Rows of a repeating group name the record they belong to in the column “parent”."),
                _(
                    'CSV: UTF-8 with byte order mark (R: fileEncoding="UTF-8-BOM"), commas; nothing where a value is '
                    "missing; 1 yes, 0 no; dates local to the study site, times UTC; lists joined by semicolons."
                ),
                _(
                    "CSV: a text that a spreadsheet could take for a formula, or that begins with an apostrophe, has "
                    "one apostrophe in front. Take that one away to have the text as entered. The SPSS files have none."
                ),
                _(
                    "A column ending in “_missing” says why the column before it has no value: ND not done, UNK "
                    "unknown, REF refused, NA not applicable. Where both are empty nobody has answered."
                ),
                _("Names and contacts of participants are in no file."),
            )
        parts.append("\r\n".join(lines))
    return "\r\n\r\n".join(parts) + "\r\n"


def _second_program() -> tuple[str, ...]:
    """What the R script is for and how to run it."""
    return (
        _(
            "analysis/analysis.R: a second program, written independently of the report. It computes the primary and "
            "the main secondary results again from the CSV files of this archive. parameters.csv holds what it takes "
            "from the protocol."
        ),
        _(
            "To run it: unpack the archive, open a command line in the folder “analysis” and type: Rscript analysis.R. "
            "It needs R with the packages survival, cmprsk and nlme, and no network. It prints a summary and writes "
            "results_r.csv (key, value; NA where a number is not estimable)."
        ),
    )


def _manifest(snapshot: Snapshot, origin: Origin, files: dict[str, bytes], *, masked: bool) -> bytes:
    content = {
        "trial": get(snapshot.protocol_version).identity.registration,
        "data_version": origin.number,
        "locked_at": origin.locked_at.astimezone(UTC).isoformat(),
        "content_sha256": origin.content_sha256,
        "protocol_version": snapshot.protocol_version,
        "protocol_sha256": snapshot.protocol_hash,
        "software_at_lock": origin.software_version,
        "software_of_export": __version__,
        "masked": masked,
        "files": [
            {"path": name, "bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
            for name in sorted(files)
        ],
    }
    return (json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")
