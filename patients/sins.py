"""The instability score (SINS) of the index site, from the answers of the form on sites of disease."""

from __future__ import annotations

from collections.abc import Iterable

from patients.models import DiseaseSite, SitesOfDisease
from spinetrial.terminology import scales


def sins_of(record: SitesOfDisease, rows: Iterable[DiseaseSite]) -> scales.Sins | None:
    """The score of the index site (0 to 18); None while a part or the index site is missing."""
    index = next((row for row in rows if row.level == record.index_level), None)
    answers = (record.sins_pain, record.sins_alignment, record.sins_collapse, record.sins_posterolateral)
    if index is None or not all(answers):
        return None
    return scales.sins(
        index.level,
        scales.SinsPain(record.sins_pain),
        scales.SinsLesion(index.lesion),
        scales.SinsAlignment(record.sins_alignment),
        scales.SinsCollapse(record.sins_collapse),
        scales.SinsPosterolateral(record.sins_posterolateral),
    )
