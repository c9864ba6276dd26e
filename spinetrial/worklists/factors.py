"""The factor table behind every OMED with its sources, and what another table would change. Nothing is stored here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from followup.response import Reading
from followup.responses import PainAtVisit, pain_of
from patients.models import Subject
from patients.models.pain import drug_label
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, list_records, may, requires
from spinetrial.crf.forms import FiniteDecimalField
from spinetrial.protocol import CURRENT, events
from spinetrial.terminology.factor_sources import ALTERNATIVES, SOURCES
from spinetrial.terminology.opioids import DRUGS, OPIOIDS, TABLES, FactorTable, plain

#: The readings compared; the pain score alone knows no factors (D1).
READINGS = (Reading.LITERAL, Reading.TOLERANT)
#: Opioids that can have a factor: all with a name.
CODES = tuple(drug.code for drug in OPIOIDS if drug.code != "OTHER_OPIOID")


class FactorForm(forms.Form):
    """One factor per opioid; blank where it has none."""

    def __init__(self, data: Any, table: FactorTable) -> None:
        super().__init__(data)
        for code in CODES:
            self.fields[f"f-{code}"] = FiniteDecimalField(
                label=drug_label(code),
                required=False,
                min_value=Decimal("0.0001"),
                max_value=Decimal(1000),
                max_digits=8,
                decimal_places=4,
                initial=table.factors.get(code),
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "size": 7}),
            )

    def table(self, base: FactorTable) -> FactorTable:
        """What was asked for (after is_valid)."""
        found = {code: self.cleaned_data[f"f-{code}"] for code in CODES}
        factors = {code: factor for code, factor in found.items() if factor is not None}
        return FactorTable("?", MappingProxyType(factors), base.always_flagged)


@dataclass(frozen=True, slots=True)
class Change:
    """One visit counted by two tables: OMED in mg/day ("?" unknown) and categories, each now and then."""

    code: str
    event: str
    url: str
    omeds: tuple[tuple[str, str], ...]  # at baseline, at the visit
    categories: tuple[tuple[str, str], ...]  # by READINGS

    @property
    def flips(self) -> bool:
        return any(now != then for now, then in self.categories)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another table changes. `moved`: per reading how many visits go from which category to which."""

    visits: int
    changes: Sequence[Change]
    moved: Mapping[Reading, Counter[tuple[str, str]]]

    def flips(self, reading: Reading) -> int:
        return sum(self.moved[reading].values())


@requires("factors.view")
@require_safe
def factors(request: SignedInRequest) -> HttpResponse:
    """The table in force; for data manager and statistician also the comparison with the table in the address."""
    now = TABLES[CURRENT.analgesics.table_version]
    compares = may(request.user, "factors.compare")
    preset = ALTERNATIVES.get(request.GET.get("from", ""))
    asked = compares and any(name.startswith("f-") for name in request.GET)
    form = FactorForm(request.GET if asked else None, preset or now)
    then = form.table(now) if asked and form.is_valid() else preset if compares and not asked else None
    found = None
    if then is not None:
        rows = list_records(request.user, Subject, "factors.compare").select_related("site").order_by("code")
        site = chosen_site(request, "factors.compare")
        found = compare(list(rows.filter(site=site) if site else rows), now, then)
    context = {
        "table": now,
        "protocol": CURRENT.version,
        "sources": SOURCES,
        "drugs": [
            {
                "name": drug_label(code),
                "factor": plain(now.factors[code]) if code in now.factors else "",
                "flagged": code in now.always_flagged,
                "printed": [source.printed.get(code, "") for source in SOURCES],
                "field": form[f"f-{code}"],
            }
            for code in CODES
        ],
        "compares": compares,
        "form": form,
        "preset": preset.version if preset else "",
        "presets": [source for source in SOURCES if source.code in ALTERNATIVES],
        "differs": [] if then is None else _differs(now, then),
        "found": found,
        "moved": [] if found is None else _moved(found),
    }
    return render(request, "worklists/factors.html", context, status=422 if asked and form.errors else 200)


def compare(subjects: Sequence[Subject], now: FactorTable, then: FactorTable) -> Comparison:
    """Every visit of subjects obtained through the gate, counted by both tables; the changed ones, flips first.

    The number of queries does not grow with the subjects.
    """
    changes, visits = [], 0
    moved: dict[Reading, Counter[tuple[str, str]]] = {reading: Counter() for reading in READINGS}
    pain = pain_of(subjects)
    for subject in subjects:
        for event, at in pain[subject.pk].items():
            visits += 1
            before, after = at.under(now), at.under(then)
            change = Change(
                code=subject.code,
                event=events.event_title(CURRENT, event, _),
                url=reverse("response", args=[subject.code, event]),
                omeds=tuple(zip(_omeds(before), _omeds(after), strict=True)),
                categories=tuple(zip(_categories(before), _categories(after), strict=True)),
            )
            for reading, pair in zip(READINGS, change.categories, strict=True):
                if pair[0] != pair[1]:
                    moved[reading][pair] += 1
            if change.flips or any(one != other for one, other in change.omeds):
                changes.append(change)
    changes.sort(key=lambda change: not change.flips)
    return Comparison(visits, changes, moved)


def _omeds(at: PainAtVisit) -> tuple[str, str]:
    totals = (at.baseline_omed.total, at.omed.total)
    return tuple("?" if total is None else plain(total) for total in totals)  # type: ignore[return-value]


def _categories(at: PainAtVisit) -> tuple[str, ...]:
    return tuple(at.response(reading).category.value for reading in READINGS)


def _differs(now: FactorTable, then: FactorTable) -> list[str]:
    """The factors that are other than in force, in words."""
    pairs = [(code, now.factors.get(code), then.factors.get(code)) for code in CODES]
    return [
        f"{_(DRUGS[code].name)}: {plain(old) if old is not None else '–'} → {plain(new) if new is not None else '–'}"
        for code, old, new in pairs
        if old != new
    ]


def _moved(found: Comparison) -> list[dict[str, Any]]:
    words = {Reading.LITERAL: _("literal reading"), Reading.TOLERANT: _("tolerant reading")}
    return [
        {
            "reading": words[reading],
            "count": found.flips(reading),
            "pairs": [f"{old} → {new}: {count}" for (old, new), count in sorted(found.moved[reading].items())],
        }
        for reading in READINGS
    ]
