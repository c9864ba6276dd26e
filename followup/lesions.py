"""The lesions of one subject and what follow-up imaging said of each: what to read, and what was read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from followup.models import ImagedVertebra, Imaging, ImagingStatus
from patients.milestones import milestones_of
from patients.models import DiseaseSite, SitesOfDisease, Subject
from spinetrial.access.gate import of_subject
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.vertebrae import position


class Role(StrEnum):
    """Why a vertebra is followed: the site of the pain score, irradiated, or known disease elsewhere."""

    INDEX = "index"
    TARGET = "target"
    OTHER = "other"


ROLE_LABELS: dict[Role, str] = {
    Role.INDEX: _("Index site"),
    Role.TARGET: _("Target"),
    Role.OTHER: _("Other site of disease"),
}


@dataclass(frozen=True, slots=True)
class Lesion:
    """A vertebra to follow, with what the baseline says of it; `disease` None where the baseline does not name it."""

    level: str
    role: Role
    disease: DiseaseSite | None


@dataclass(frozen=True, slots=True)
class LesionTable:
    """A row per vertebra with one reading, or none, for each imaging; the imaging in the order of its dates."""

    imaging: tuple[tuple[str, date], ...]  # event and date
    rows: tuple[tuple[Lesion, tuple[ImagedVertebra | None, ...]], ...]


def lesions_of(subject: Subject) -> list[Lesion]:
    """The index site, then the irradiated levels, then other known disease, each from top to bottom."""
    sites = of_subject(subject, SitesOfDisease).first()
    index = sites.index_level if sites else ""
    disease = {row.level: row for row in of_subject(subject, DiseaseSite)}
    found = {index: Role.INDEX} if index else {}
    for level in milestones_of(subject).target_levels.split():
        found.setdefault(level, Role.TARGET)
    for level in sorted(disease, key=position):
        found.setdefault(level, Role.OTHER)
    return [Lesion(level, role, disease.get(level)) for level, role in found.items()]


def levels_to_read(subject: Subject) -> list[str]:
    """The levels that new imaging is expected to say something about."""
    return [lesion.level for lesion in lesions_of(subject)]


def lesion_table(subject: Subject) -> LesionTable:
    """All readings of one subject obtained through the gate; five queries however many there are."""
    done = of_subject(subject, Imaging).filter(status=ImagingStatus.DONE, imaging_date__isnull=False)
    imaging = list(done.order_by("imaging_date", "pk"))
    read: dict[tuple[str, int], ImagedVertebra] = {
        (row.level, row.parent_id): row for row in of_subject(subject, ImagedVertebra)
    }
    lesions = lesions_of(subject)
    known = {lesion.level for lesion in lesions}
    beside = sorted({level for level, _parent in read} - known, key=position)
    lesions += [Lesion(level, Role.OTHER, None) for level in beside]
    return LesionTable(
        imaging=tuple((row.event, row.imaging_date) for row in imaging if row.imaging_date is not None),
        rows=tuple((lesion, tuple(read.get((lesion.level, row.pk)) for row in imaging)) for lesion in lesions),
    )
