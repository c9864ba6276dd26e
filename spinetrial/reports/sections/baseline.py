"""Baseline characteristics of all randomised participants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from django.utils.translation import gettext as _

from patients.models.baseline import Escc, PrimarySite, Sex
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.writing import (
    Report,
    median,
    share,
)
from spinetrial.terminology.vertebrae import REGION_LABELS, Region, region


def baseline(report: Report) -> Iterator[Block]:
    yield Heading(_("Baseline"))
    rows: list[tuple[str, ...]] = [(_("Participants"), *(str(len(group.rows)) for group in report.groups))]
    heads: set[int] = set()

    def numbers(label: str, read: Callable[[AnalysisRow], float | None]) -> None:
        rows.append((label, *(median([read(row) for row in group.rows]) for group in report.groups)))

    def categories(label: str, read: Callable[[AnalysisRow], str], words: Sequence[tuple[str, str]]) -> None:
        counted = [Counter(read(row) for row in group.rows) for group in report.groups]
        if not any(counted):
            return
        heads.add(len(rows))
        rows.append((label, *("" for _group in report.groups)))
        for code, word in [*words, ("", _("Not recorded"))]:
            if any(count[code] for count in counted):
                cells = (share(count[code], len(g.rows)) for count, g in zip(counted, report.groups, strict=True))
                rows.append((f"    {word}", *cells))

    numbers(_("Age, years"), lambda row: row.age)
    categories(_("Sex"), lambda row: row.trait("sex"), [(c.value, str(c.label)) for c in Sex])
    categories(
        _("Primary tumour"), lambda row: row.trait("primary_site"), [(c.value, str(c.label)) for c in PrimarySite]
    )
    categories(_("ECOG performance status"), lambda row: row.trait("ecog"), [(str(n), str(n)) for n in range(5)])
    numbers(_("Karnofsky performance status"), lambda row: float(row.trait("kps")) if row.trait("kps") else None)
    categories(
        _("Location of the index site"),
        lambda row: region(row.trait("index_level")).value if row.trait("index_level") else "",
        [(each.value, _(REGION_LABELS[each])) for each in Region],
    )
    categories(_("Epidural compression (ESCC)"), lambda row: row.trait("escc"), [(c.value, str(c.label)) for c in Escc])
    categories(
        _("Metastases in other organs than bone"),
        lambda row: row.trait("visceral"),
        [("True", _("Yes")), ("False", _("No"))],
    )
    numbers(_("Worst pain (NRS, 0 to 10)"), lambda row: row.nrs)
    numbers(_("OMED, mg/day"), lambda row: None if row.omed is None else float(row.omed))
    yield Grid(
        _("Baseline characteristics of all randomised participants"),
        (_("Characteristic"), *report.names),
        tuple(rows),
        (2.0, *(1.2 for _group in report.groups)),
        notes=(
            _(
                "Counts with per cent of the group; numbers as median (quartiles; range), [n] where not all are "
                "known. Age at randomisation. No tests: differences at baseline are due to chance."
            ),
        ),
        groups=frozenset(heads),
    )
