"""Baseline characteristics of all randomised participants."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from patients.models.baseline import Escc, Lesion, Neurology, PrimarySite, Sex
from spinetrial.analysis.baseline import YES, Characteristic, Kind
from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.writing import Report, described, mean_sd, share, standardised
from spinetrial.terminology.scales import SINS_CLASS_LABELS
from spinetrial.terminology.vertebrae import REGION_LABELS

_TITLES = {
    "age": gettext_noop("Age, years"),
    "sex": gettext_noop("Sex"),
    "ecog": gettext_noop("ECOG performance status"),
    "kps": gettext_noop("Karnofsky performance status"),
    "primary_site": gettext_noop("Primary tumour"),
    "years_ill": gettext_noop("Years since the first diagnosis"),
    "visceral": gettext_noop("Metastases in other organs than bone"),
    "metastases": gettext_noop("Vertebrae with metastasis"),
    "region": gettext_noop("Location of the index site"),
    "lesion": gettext_noop("Type of lesion at the index site"),
    "fracture": gettext_noop("Compression fracture of the index vertebra"),
    "escc": gettext_noop("Epidural compression (ESCC)"),
    "sins": gettext_noop("Spinal instability score (SINS), 0 to 18"),
    "stability": gettext_noop("Stability by SINS"),
    "neurology": gettext_noop("Neurology (ASIA impairment scale)"),
    "nrs": gettext_noop("Worst pain (NRS, 0 to 10)"),
    "analgesics": gettext_noop("Any analgesic in the last 24 hours"),
    "opioid": gettext_noop("Opioid in the last 24 hours"),
    "omed": gettext_noop("OMED, mg/day"),
}


def baseline(report: Report) -> Iterator[Block]:
    yield Heading(_("Baseline"))
    found = report.results.baseline
    two = len(found.sizes) == 2
    words = _level_words()
    rows: list[tuple[str, ...]] = [
        (_("Participants"), *map(str, found.sizes), *([""] if two else [])),
    ]
    heads: set[int] = set()
    for each in found.characteristics:
        smd = [standardised(each.smd)] if each.smd is not None else []
        blank = [""] * len(smd)
        title = _(_TITLES[each.code])
        if each.kind is Kind.BINARY and each.code not in words:
            # Yes or no: one line says it all.
            rows.append((title, *_shares(dict(each.levels).get(YES, ()), found.sizes), *smd))
        else:
            heads.add(len(rows))
            rows.append((title, *("" for _size in found.sizes), *smd))
            rows += [(f"    {label}", *cells, *blank) for label, cells in _inner(each, words, found.sizes)]
        if any(each.missing):
            cells = [share(n, size) for n, size in zip(each.missing, found.sizes, strict=True)]
            rows.append(("    " + _("Not recorded"), *cells, *blank))
    yield Grid(
        _("Baseline characteristics of all randomised participants"),
        (_("Characteristic"), *report.names, *([_("Standardised difference")] if two else [])),
        tuple(rows),
        (2.0, *(1.2 for _size in found.sizes), *([0.8] if two else [])),
        notes=tuple(_notes(report)),
        groups=frozenset(heads),
    )


def _notes(report: Report) -> Iterator[str]:
    found = report.results.baseline
    yield _("Counts with per cent of the group. Age at randomisation.")
    if found.chance is None:
        return
    yield _("No tests: patients were assigned at random, so differences at baseline are due to chance.")
    yield _(
        "Standardised difference: the first group minus the second, in standard deviations; of yes or no and of sex "
        "(female) by the proportions; of more than two classes the Mahalanobis distance of the proportions, which has "
        "no sign. Among those recorded."
    )
    if found.chance.value is not None:
        yield _(
            "It describes the size of a difference. In groups of %(sizes)s chance alone keeps that of a number between "
            "−%(chance)s and %(chance)s in %(level)s %% of trials; a distance of several classes tends to be larger."
        ) % {
            "sizes": " + ".join(map(str, found.sizes)),
            "chance": f"{found.chance.value:.2f}",
            "level": f"{found.level * 100:g}",
        }


def _inner(
    each: Characteristic, words: dict[str, dict[str, str]], sizes: tuple[int, ...]
) -> Iterator[tuple[str, list[str]]]:
    if each.kind is Kind.NUMBER:
        yield _("Mean (SD)"), [mean_sd(one) for one in each.summaries]
        yield _("Median (quartiles; range)"), [described(one) for one in each.summaries]
        return
    for code, counts in each.levels:
        yield words[each.code].get(code, code), _shares(counts, sizes)


def _shares(counts: tuple[int, ...], sizes: tuple[int, ...]) -> list[str]:
    return [share(n, size) for n, size in zip(counts or (0,) * len(sizes), sizes, strict=True)]


def _level_words() -> dict[str, dict[str, str]]:
    """Words of the levels by characteristic; what is not here is yes or no."""
    return {
        "sex": {each.value: str(each.label) for each in Sex},
        "primary_site": {each.value: str(each.label) for each in PrimarySite},
        "ecog": {},
        "region": {each.value: _(label) for each, label in REGION_LABELS.items()},
        "lesion": {each.value: str(each.label) for each in Lesion},
        "escc": {each.value: str(each.label) for each in Escc},
        "stability": {each.value: _(label) for each, label in SINS_CLASS_LABELS.items()},
        "neurology": {each.value: str(each.label) for each in Neurology},
    }
