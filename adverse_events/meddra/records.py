"""Bytes of one file -> text -> records. The format is described in the reference the importer was written from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adverse_events.meddra.problems import Found
from adverse_events.models.meddra import Language

LONGEST_LINE = 4000
LONGEST_NAME = 250

#: Number of fields of each file; a record may end with one more separator.
FIELDS = {
    "soc.asc": 10,
    "hlgt.asc": 9,
    "hlt.asc": 9,
    "pt.asc": 11,
    "llt.asc": 11,
    "soc_hlgt.asc": 2,
    "hlgt_hlt.asc": 2,
    "hlt_pt.asc": 2,
    "mdhier.asc": 12,
    "intl_ord.asc": 2,
    "meddra_release.asc": 5,
    "llt_j.asc": 6,
    "pt_j.asc": 5,
    "hlt_j.asc": 5,
    "hlgt_j.asc": 5,
    "soc_j.asc": 6,
    "llt_syn.asc": 7,
}
HISTORY_FIELDS = 6

#: What a file is read as when it is not UTF-8.
_FALLBACK = {Language.ENGLISH: "cp1252", Language.CHINESE: "gb18030", Language.JAPANESE: "cp932"}
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)")
# UTF-8 that was read as Latin-1 or Windows-1252 and written again.
_TWICE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\ufffd")
IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
KANA = re.compile("[\u3040-\u30ff\uff66-\uff9d]")
_CODE = re.compile("[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class File:
    name: str
    encoding: str  # "ascii" where nothing depends on it
    rows: list[Row]


def is_code(text: str) -> bool:
    return _CODE.fullmatch(text) is not None


def read_file(name: str, raw: bytes, language: str, found: Found) -> File:
    """The records of a file; what is wrong is added to `found`."""
    text, encoding = _decoded(name, raw, language, found)
    rows: list[Row] = []
    if text is None:
        return File(name, encoding, rows)
    wanted = FIELDS.get(name, HISTORY_FIELDS)
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        found.add(name, 0, "empty")
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            found.add(name, number, "long_line", limit=LONGEST_LINE)
            continue
        fields = line.split("$")
        if name == "llt_j.asc" and len(fields) == wanted + 1 and fields[2] == fields[3] == "":
            fields[2:4] = ["$"]  # a flag that is the separator itself is met in the wild
        if len(fields) == wanted + 1 and fields[-1] == "":
            fields.pop()
        if len(fields) != wanted:
            found.add(name, number, "fields", found=len(fields), wanted=wanted)
            continue
        rows.append(Row(number, fields))
    return File(name, encoding, rows)


def _decoded(name: str, raw: bytes, language: str, found: Found) -> tuple[str | None, str]:
    nul = raw.find(b"\0")
    if nul >= 0 or raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.add(name, raw.count(b"\n", 0, max(nul, 0)) + 1, "nul")
        return None, ""
    encoding = "utf-8"
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding = _FALLBACK[Language(language)]
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            found.add(name, raw.count(b"\n", 0, error.start) + 1, "encoding", encoding=encoding)
            return None, ""
    if text.isascii():
        encoding = "ascii"
    for pattern, code in ((_TWICE, "reencoded"), (_CONTROL, "control")):
        wrong = pattern.search(text)
        if wrong:
            found.add(name, text.count("\n", 0, wrong.start()) + 1, code)
            return None, encoding
    return text, encoding


def check_encodings(files: list[File], found: Found) -> None:
    """One delivery is in one encoding: a file that differs was converted, or cut in the middle of a character."""
    told = [file for file in files if file.encoding not in ("", "ascii")]
    if told:
        names = [file.encoding for file in told]
        usual = max(set(names), key=names.count)
        for file in told:
            if file.encoding != usual:
                found.add(file.name, 0, "mixed", one=file.encoding, other=usual)
