"""A site's own copy of its data and audit trail: one ZIP of CSV files, the same bytes for the same data and time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from django.apps import apps
from django.utils import translation
from django.utils.translation import gettext as _

from patients.models import Contact, Subject
from spinetrial.access.models import StudySite
from spinetrial.analysis.data import Kind, Snapshot
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.models import AuditEntry
from spinetrial.exports.archive import dictionary, pack
from spinetrial.exports.csvfile import cell, write_csv
from spinetrial.protocol import CURRENT

_TRAIL = (
    "entry", "time_utc", "participant", "who", "act", "table", "record", "column", "old", "new", "reason",
    "chain", "number_in_chain", "sha256",
)  # fmt: skip


def of_site(snapshot: Snapshot, code: str) -> Snapshot:
    """The rows of one site. Every table begins with the site's code."""
    return replace(
        snapshot,
        tables=tuple(
            replace(table, rows=tuple(row for row in table.rows if row[0] == code)) for table in snapshot.tables
        ),
    )


def site_zip(site: StudySite, subjects: Iterable[Subject], at: datetime) -> bytes:
    """The data of a site with dictionary, read-me and audit trail; `subjects` are all of the site.

    It holds the arms of its participants, so it is for the unmasked alone. Names and contacts are in no file.
    """
    snapshot = of_site(take_snapshot(), site.code)
    files = {f"data/{table.name}.csv": write_csv(table) for table in snapshot.tables}
    files["dictionary.csv"] = write_csv(dictionary(snapshot.tables))
    files["audit-trail.csv"] = _trail(site, {subject.pk: subject.code for subject in subjects})
    files["README.txt"] = _readme(site, at).encode("utf-8-sig")
    return pack(files, at)


def _trail(site: StudySite, codes: Mapping[int, str]) -> bytes:
    """One row per changed column, and one per act that changed none, in the order they happened."""
    entries = AuditEntry.of_site(site.pk, codes)
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(_TRAIL)
    tables = {model._meta.db_table for model in apps.get_models()}
    for entry in entries.iterator(2000):
        changed = entry.table_name in tables
        changes = entry.changes.items() if changed else [("", [None, entry.changes or None])]
        for column, pair in sorted(changes) or [("", [None, None])]:
            old, new = (_stored(value) for value in pair)
            if entry.table_name == Contact._meta.db_table and column not in ("id", "subject_id"):
                old, new = old and "(encrypted)", new and "(encrypted)"
            texts = (
                entry.pk, entry.at.astimezone(UTC).isoformat(), codes.get(entry.subject_id or 0, ""), entry.actor,
                entry.act, entry.table_name, entry.row_id, column, old, new, entry.reason, entry.chain, entry.seq,
                entry.hash,
            )  # fmt: skip
            writer.writerow([cell(text, Kind.TEXT) if isinstance(text, str) else text for text in texts])
    return target.getvalue().encode("utf-8-sig")


def _stored(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _readme(site: StudySite, at: datetime) -> str:
    """What is in the archive and how to read it, in English and Chinese."""
    parts = []
    for language in ("en", "zh-hans"):
        with translation.override(language):
            lines = (
                _("SpineTrial, %(trial)s: copy of the data of %(site)s, made %(time)s UTC")
                % {
                    "trial": CURRENT.identity.registration,
                    "site": site,
                    "time": f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                },
                _("data: every table as it is now, one row per record, the rows of this site alone."),
                _("dictionary.csv: every column with its label, type, unit, codes and CDISC name."),
                _(
                    "audit-trail.csv: every act recorded for the site and its participants, one row per changed "
                    "column, with old and new value as stored. sha256 and chain let each entry be checked."
                ),
                _("Names and contacts of participants are in no file."),
            )
        parts.append("\r\n".join(lines))
    return "\r\n\r\n".join(parts) + "\r\n"
