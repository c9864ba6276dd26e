"""The texts of CTCAE that are loaded in this database: loading them, looking them up, and what they say of a term."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.db import IntegrityError
from django.db.models import F, Func, JSONField, QuerySet, Value
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from adverse_events import ctcae_file
from adverse_events.ctcae_file import FileRefused
from adverse_events.models import AdverseEvent, CtcaeEdition
from spinetrial.access.gate import SYSTEM, check_may, list_records
from spinetrial.access.models import User
from spinetrial.audit import clock
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.terminology import ctcae

_RECENT_ROWS = 40
_RECENT_TERMS = 6
REASON_LIMIT = 500
_NO_TEXTS: tuple[str, dict[str, str], str] = ("", {}, "")


@dataclass(frozen=True)
class Loaded:
    """What `do_load` did. `new` is False when the very same file was in force already."""

    edition: CtcaeEdition
    new: bool


def editions() -> QuerySet[CtcaeEdition]:
    """The editions in force, without their texts. NCI's publication is no data of a person or site: all may read it."""
    return list_records(SYSTEM, CtcaeEdition, "crf.view").filter(in_force=True).defer("texts")


def do_load(actor: User, content: bytes, reason: str = "") -> Loaded:
    """Store the texts of a file; they replace those of the same version in the same transaction.

    `reason` accepts texts that are not those of NCI's publication known to the program. Raises FileRefused with
    nothing stored, PermissionDenied for a person who may not load.
    """
    check_may(actor, "ctcae.load", None)
    reason = reason.strip()
    if len(reason) > REASON_LIMIT:
        raise FileRefused(_("The reason is longer than %(limit)s characters.") % {"limit": REASON_LIMIT})
    read = ctcae_file.read(content, accept_changed=bool(reason))
    texts = {
        code: [each.definition, {str(grade): text for grade, text in each.grades.items()}, each.note]
        for code, each in read.texts.items()
    }
    try:
        with acting(actor, reason or _("a file of the same version was loaded")):
            before = editions().filter(version=read.version).select_for_update().first()
            if before is not None and before.sha256 == read.sha256:
                return Loaded(before, new=False)
            if before is not None:
                before.in_force = False
                before.save(update_fields=["in_force"])
            edition = CtcaeEdition(
                version=read.version,
                kind=read.kind,
                sha256=read.sha256,
                texts=texts,
                texts_sha256=texts_sha256(texts),
                changed=len(read.changed),
                reason=reason if read.changed else "",
                loaded_at=clock.now(),
                loaded_by=actor,
            )
            edition.save()
    except IntegrityError:
        # Both began while there was none; one_in_force_per_version let one of them through.
        raise FileRefused(_("Somebody else loads this version just now. Try again in a moment.")) from None
    return Loaded(edition, new=True)


def texts_sha256(texts: Mapping[str, Any]) -> str:
    """Digest of stored texts, whatever the order of their keys."""
    plain = json.dumps(texts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def sound() -> list[tuple[CtcaeEdition, bool]]:
    """Each edition in force and whether its texts are still those that were loaded."""
    rows = list_records(SYSTEM, CtcaeEdition, "crf.view").filter(in_force=True)
    return [(row, texts_sha256(row.texts) == row.texts_sha256) for row in rows]


# --- a term in words ---


@dataclass(frozen=True)
class GradeLine:
    grade: int
    defined: bool
    text: str


@dataclass(frozen=True)
class InVersion:
    """A term in one version. `term` is None where the version has no such code; `loaded`: its texts are here."""

    version: str
    term: ctcae.Term | None
    loaded: bool
    definition: str = ""
    note: str = ""
    lines: tuple[GradeLine, ...] = ()


def in_versions(code: str, versions: tuple[str, ...] = ctcae.VERSIONS) -> list[InVersion]:
    """The term of a code in each version, with the texts that are loaded. One query."""
    rows = (
        list_records(SYSTEM, CtcaeEdition, "crf.view")
        .filter(in_force=True, version__in=versions)
        # Django's own key lookup takes a key of digits for the place in an array.
        .annotate(of_term=Func(F("texts"), Value(code), function="jsonb_extract_path", output_field=JSONField()))
        .values_list("version", "of_term")
    )
    stored: dict[str, Any] = {str(version): texts for version, texts in cast(Any, rows)}
    found = []
    for version in versions:
        term = ctcae.terms(version).get(code)
        definition, grades, note = stored.get(version) or _NO_TEXTS
        lines = tuple(
            GradeLine(grade, grade in term.grades, grades.get(str(grade), "")) for grade in ctcae.GRADES if term
        )
        found.append(InVersion(version, term, version in stored, definition, note, lines))
    return found


def difference(code: str, version: str) -> str:
    """In words what `version` has otherwise than this trial's version for a term; empty when nothing."""
    at = ctcae.standing(code, version)
    if at.term is None:
        return _("There is no such term.")
    parts = []
    if at.renamed:
        parts.append(_("It is called “%(term)s”.") % {"term": at.term.term})
    if at.moved:
        parts.append(_("It is in the class “%(class)s”.") % {"class": soc_label(at.term.soc)})
    if at.added or at.lost:
        parts.append(_("It has the grades %(grades)s.") % {"grades": ", ".join(map(str, at.term.grades))})
    if at.texts_differ:
        parts.append(_("Texts read otherwise."))
    return " ".join(parts)


def soc_label(soc: str) -> str:
    """A class, with our own Chinese name for a reader of Chinese."""
    chinese = ctcae.SOC_ZH.get(soc, "") if (get_language() or "").startswith("zh") else ""
    return f"{chinese} ({soc})" if chinese else soc


def recent_codes(user: User) -> list[str]:
    """The terms this person entered last, the last first, each once."""
    entered = AuditEntry.first_values(AdverseEvent._meta.db_table, "ctcae_code", user.pk, _RECENT_ROWS)
    known = ctcae.terms()
    return [code for code in dict.fromkeys(map(str, entered)) if code in known][:_RECENT_TERMS]
