"""The files of a distribution in a folder or a ZIP archive. Nothing is unpacked to disk, no link is followed."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from adverse_events.meddra.problems import MeddraRefused, Problem
from adverse_events.models.meddra import Language

NEEDED = ("soc.asc", "hlgt.asc", "hlt.asc", "pt.asc", "llt.asc", "mdhier.asc", "intl_ord.asc")
WANTED = ("soc_hlgt.asc", "hlgt_hlt.asc", "hlt_pt.asc", "meddra_release.asc")
JAPANESE = ("soc_j.asc", "hlgt_j.asc", "hlt_j.asc", "pt_j.asc", "llt_j.asc")
SYNONYMS = "llt_syn.asc"
_HISTORY = re.compile(r"meddra_history_[a-z_-]+\.asc")

MEGABYTE = 1024 * 1024
LARGEST_FILE = 64 * MEGABYTE  # the largest file of a real release has some 10 MB
LARGEST_PACKAGE = 256 * MEGABYTE
MOST_FILES = 5000


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file that was found but not read. `read(limit)` gives at most `limit` bytes."""

    path: str
    size: int
    read: Callable[[int], bytes]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2].casefold()

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


def read_package(source: Path | IO[bytes], language: str) -> dict[str, bytes]:
    """Content of the files an import reads, by lower-case name. Raises MeddraRefused."""
    if isinstance(source, Path) and source.is_dir():
        return _chosen(_in_folder(source), language)
    if isinstance(source, Path) and not source.is_file():
        raise MeddraRefused([Problem("", 0, "not_there")])
    try:
        with zipfile.ZipFile(source) as archive:
            return _chosen(_in_zip(archive), language)
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        ValueError,
        UnicodeError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise MeddraRefused([Problem("", 0, "bad_zip")]) from error


def _in_folder(top: Path) -> list[_Entry]:
    entries = []
    for folder, _subfolders, names in os.walk(top, followlinks=False):
        for name in names:
            path = Path(folder, name)
            if name.casefold().endswith(".asc"):
                shown = path.relative_to(top).as_posix()
                found = path.lstat()
                if not stat.S_ISREG(found.st_mode):
                    code = "link" if stat.S_ISLNK(found.st_mode) else "not_a_file"
                    raise MeddraRefused([Problem(shown, 0, code)])
                entries.append(_Entry(shown, found.st_size, lambda limit, path=path: _read_file(path, limit)))  # type: ignore[misc]
                _check_number(len(entries))
    return entries


def _read_file(path: Path, limit: int) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(limit)


def _check_number(count: int) -> None:
    if count > MOST_FILES:
        raise MeddraRefused([Problem("", 0, "too_many", {"limit": MOST_FILES})])


def _in_zip(archive: zipfile.ZipFile) -> list[_Entry]:
    """Every entry is looked at, also those nobody reads: an archive made to do harm is not read at all."""
    infos = archive.infolist()
    _check_number(len(infos))
    entries: list[_Entry] = []
    seen: set[str] = set()
    for info in infos:
        path = info.orig_filename.replace("\\", "/")
        shown = re.sub(r"[\x00-\x1f\x7f]", "?", path)[-80:]
        if path.startswith("/") or ":" in path or "\0" in path or ".." in path.split("/"):
            raise MeddraRefused([Problem(shown, 0, "unsafe_name")])
        if stat.S_ISLNK(info.external_attr >> 16):
            raise MeddraRefused([Problem(shown, 0, "link")])
        if info.is_dir():
            continue
        if info.flag_bits & 0x1:
            raise MeddraRefused([Problem(shown, 0, "encrypted")])
        if path.casefold() in seen:
            raise MeddraRefused([Problem(shown, 0, "twice_in_zip")])
        seen.add(path.casefold())
        if path.casefold().endswith(".asc"):
            entries.append(_Entry(shown, info.file_size, lambda limit, info=info: _read_member(archive, info, limit)))  # type: ignore[misc]
    return entries


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """At most `limit` bytes, whatever size the archive claims; the checksum is compared when all was read."""
    try:
        with archive.open(info) as file:
            return file.read(limit)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise MeddraRefused([Problem(info.filename[-80:], 0, "bad_zip")]) from error


def _chosen(entries: list[_Entry], language: str) -> dict[str, bytes]:
    """Read the files of the one folder that holds a distribution; the Japanese names may lie in another folder."""
    folders: dict[str, dict[str, _Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.name in folders[entry.folder]:
            raise MeddraRefused([Problem(entry.path, 0, "twice_in_zip")])
        folders[entry.folder][entry.name] = entry
    chosen = _folder_with(folders, NEEDED)
    if language == Language.JAPANESE:
        chosen = {**_folder_with(folders, JAPANESE), **chosen}
    content: dict[str, bytes] = {}
    total = 0
    for name, entry in sorted(chosen.items()):
        japanese = name in (*JAPANESE, SYNONYMS) and language == Language.JAPANESE
        if name in (*NEEDED, *WANTED) or japanese or _HISTORY.fullmatch(name):
            limit = min(LARGEST_FILE, LARGEST_PACKAGE - total)
            raw = entry.read(limit + 1) if entry.size <= limit else b""
            if entry.size > limit or len(raw) > limit:
                raise MeddraRefused([Problem(entry.path, 0, "too_large", {"limit": limit // MEGABYTE})])
            total += len(raw)
            content[name] = raw
    return content


def _folder_with(folders: dict[str, dict[str, _Entry]], names: tuple[str, ...]) -> dict[str, _Entry]:
    full = [files for files in folders.values() if all(name in files for name in names)]
    if len(full) > 1:
        raise MeddraRefused([Problem("", 0, "several")])
    if full:
        return full[0]
    best = max(folders.values(), key=lambda files: sum(name in files for name in names), default={})
    lacking = [name for name in names if name not in best]
    if len(lacking) > len(names) // 2:
        raise MeddraRefused([Problem("", 0, "no_folder", {"names": ", ".join(names)})])
    raise MeddraRefused([Problem(name, 0, "missing") for name in lacking])
