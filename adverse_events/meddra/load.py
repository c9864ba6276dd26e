"""Storing a checked distribution: one transaction, so that a failure leaves everything as it was."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.db import IntegrityError, connection

from adverse_events.meddra import trigrams
from adverse_events.meddra.distribution import Distribution, Tell, read_distribution, refuse
from adverse_events.meddra.package import read_package
from adverse_events.models.meddra import (
    Level,
    MeddraName,
    MeddraPath,
    MeddraPosting,
    MeddraRelease,
    MeddraTerm,
    MeddraVersion,
    NameKind,
)
from spinetrial.access.gate import AnyActor, check_may, list_records
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now


def do_import(
    actor: AnyActor, source: Path | IO[bytes], language: str, version: str = "", tell: Tell | None = None
) -> MeddraRelease:
    """Read, check and store a distribution. Raises PermissionDenied and MeddraRefused; nothing is stored then.

    `tell(percent, step)` is called outside the transaction while files are read, and inside while they are stored.
    """
    check_may(actor, "ae.code", None)
    say = tell or (lambda percent, step: None)
    say(1, "reading")
    distribution = read_distribution(read_package(source, language), language, version, say)
    say(55, "index")
    listed = [
        *((code, name, NameKind.NAME) for code, name in distribution.names[Level.LLT].items()),
        *((code, name, NameKind.SYNONYM) for code, name in distribution.synonyms),
        *((code, name, NameKind.READING) for code, name in distribution.readings),
    ]
    postings = trigrams.index([name for _code, name, _kind in listed])
    say(70, "storing")
    try:
        with acting(actor, f"MedDRA {distribution.version} imported"):
            release = _release(actor, distribution)
            _copy_names(release, distribution, listed, postings)
            say(95, "storing")
            release.complete = True
            release.save(update_fields=["complete"])
    except IntegrityError as error:
        if _known(distribution.version, language) is not None:
            raise refuse("", "loaded") from error  # another import of the same was quicker
        raise
    return release


def _known(version: str, language: str) -> MeddraRelease | None:
    from spinetrial.access.gate import SYSTEM

    return list_records(SYSTEM, MeddraRelease, "ae.code").filter(version__version=version, language=language).first()


def _release(actor: AnyActor, distribution: Distribution) -> MeddraRelease:
    """The registry rows, and the hierarchy of a version nobody has loaded yet."""
    if _known(distribution.version, distribution.language) is not None:
        raise refuse("", "loaded")
    structure = distribution.structure_sha256()
    versions = list_records(actor, MeddraVersion, "ae.code")
    version = versions.filter(version=distribution.version).select_for_update().first()
    if version is None:
        version = MeddraVersion(version=distribution.version, structure_sha256=structure)
        version.full_clean()
        version.save()
        _copy_hierarchy(version, distribution)
    elif version.structure_sha256 != structure:
        raise refuse("", "other_structure")
    release = MeddraRelease(
        version=version,
        language=distribution.language,
        files=distribution.files,
        counts=distribution.counts(),
        notes=[note.stored() for note in distribution.notes],
        importer=actor.audit_name,
        imported_by=actor if isinstance(actor, User) else None,
        imported_at=now(),
    )
    release.save()
    return release


def _copy_hierarchy(version: MeddraVersion, distribution: Distribution) -> None:
    def terms() -> Iterator[tuple[Any, ...]]:
        for level, names in distribution.names.items():
            for code in names:
                parent = distribution.pt_of[code] if level is Level.LLT else ""
                parent = distribution.soc_of[code] if level is Level.PT else parent
                current = distribution.current[code] if level is Level.LLT else True
                place = distribution.order[code] if level is Level.SOC else 0
                yield version.pk, int(level), code, parent, "t" if current else "f", place

    _copy(MeddraTerm, ("version_id", "level", "code", "parent", "current", "place"), terms())
    paths = ((version.pk, *path[:4], "t" if path[4] else "f") for path in distribution.paths)
    _copy(MeddraPath, ("version_id", "pt", "hlt", "hlgt", "soc", "primary"), paths)


def _copy_names(
    release: MeddraRelease,
    distribution: Distribution,
    listed: list[tuple[str, str, NameKind]],
    postings: dict[str, bytes],
) -> None:
    def names() -> Iterator[tuple[Any, ...]]:
        for place, (code, name, kind) in enumerate(listed):
            yield release.pk, int(Level.LLT), code, name, kind.value, place
        for level, found in distribution.names.items():
            if level is not Level.LLT:
                for code, name in found.items():
                    yield release.pk, int(level), code, name, NameKind.NAME.value, -1

    _copy(MeddraName, ("release_id", "level", "code", "name", "kind", "place"), names())
    # PostgreSQL's text form of bytes; the backslash is doubled for COPY by `_copy`.
    rows = ((release.pk, gram, "\\x" + places.hex()) for gram, places in postings.items())
    _copy(MeddraPosting, ("release_id", "gram", "places"), rows)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class _Rows(io.TextIOBase):
    """Rows as the text that COPY reads, made while it reads."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.rows = iter(rows)

    def read(self, size: int | None = -1) -> str:
        lines, length = [], 0
        wanted = size if size is not None and size > 0 else 1 << 16
        for row in self.rows:
            line = "\t".join(str(cell).translate(_ESCAPES) for cell in row) + "\n"
            lines.append(line)
            length += len(line)
            if length >= wanted:
                break
        return "".join(lines)


def _copy(model: type[Any], columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    quote = connection.ops.quote_name
    listed = ", ".join(quote(column) for column in columns)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {quote(model._meta.db_table)} ({listed}) FROM STDIN", _Rows(rows))
