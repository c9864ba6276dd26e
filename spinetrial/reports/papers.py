"""The source papers' tables as examples, and the tests of a table somebody enters.

Nothing is stored, and no patient is in it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.http import require_safe

from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.access.limits import limited
from spinetrial.analysis.own_table import MAX_2X2, MAX_LARGER, MAX_SIDE, OwnTable, Rows, most_patients, own_table
from spinetrial.analysis.papers import papers
from spinetrial.analysis.papers.model import (
    FEW_EXPECTED,
    VERDICT_LABELS,
    Check,
    Layout,
    Paper,
    Part,
    Printed,
    Table,
    Verdict,
)
from spinetrial.analysis.papers.pieces import FISHER, FREEMAN_HALTON, PEARSON, YATES
from spinetrial.protocol import CURRENT
from spinetrial.protocol.text import Line
from spinetrial.reports.writing import p_value, points, share
from spinetrial.stats.estimate import Estimate, Interval, Reason

#: The glyph (shape and letter or sign) of each verdict, a state of the icon sprite.
GLYPHS = {
    Verdict.REPRODUCED: "complete",
    Verdict.OTHER_METHOD: "done_out_of_window",
    Verdict.POSSIBLE: "partial",
    Verdict.IMPOSSIBLE: "overdue",
    Verdict.NOT_CHECKABLE: "not_expected",
}

_REASONS = {
    Reason.EMPTY_ARM: gettext_noop("a row has no patients"),
    Reason.EMPTY_MARGIN: gettext_noop("all patients are in one row or one column"),
    Reason.UNDEFINED_RATIO: gettext_noop("the ratio is zero divided by zero"),
    Reason.TOO_LARGE: gettext_noop("there are too many tables with these margins to list them all"),
}

#: What separates two counts on a line; Chinese keyboards give the full-width ones.
_SEPARATORS = re.compile(r"[\s,;，；、]+")
_FULL_WIDTH = {ord("０") + digit: str(digit) for digit in range(10)}
_COUNT = re.compile(r"[0-9]{1,6}")


class TableForm(forms.Form):
    """A table of counts as text: a line per row."""

    table = forms.CharField(
        label=gettext_lazy("Counts"),
        max_length=400,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 24, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_table(self) -> Rows:
        """The rows of the table. Every refusal says what is wrong and with which cell."""
        lines = [line for line in self.cleaned_data["table"].translate(_FULL_WIDTH).splitlines() if line.strip()]
        rows = tuple(tuple(_count(cell) for cell in _SEPARATORS.split(line.strip(" \t,;")) if cell) for line in lines)
        if not 2 <= len(rows) <= MAX_SIDE or not all(2 <= len(row) <= MAX_SIDE for row in rows):
            raise forms.ValidationError(
                _(
                    "A table has 2 to %(most)d rows and columns; this one has %(rows)d rows with these numbers of "
                    "counts: %(columns)s."
                )
                % {"most": MAX_SIDE, "rows": len(rows), "columns": ", ".join(str(len(row)) for row in rows[:9])}
            )
        if len({len(row) for row in rows}) > 1:
            raise forms.ValidationError(
                _("All rows need the same number of counts; these have %(columns)s.")
                % {"columns": ", ".join(str(len(row)) for row in rows)}
            )
        n = sum(sum(row) for row in rows)
        if not n:
            raise forms.ValidationError(_("All counts are 0: there is nothing to test."))
        if n > most_patients(rows):
            raise forms.ValidationError(
                _("These are %(n)d patients. At most %(most)d are computed for a table of this shape.")
                % {"n": n, "most": most_patients(rows)}
            )
        return rows


def _count(cell: str) -> int:
    if _COUNT.fullmatch(cell):
        return int(cell)
    shown = cell if len(cell) <= 20 else f"{cell[:20]}…"
    if re.fullmatch(r"[0-9]+", cell):
        raise forms.ValidationError(_("“%(cell)s” is too large for a count of patients.") % {"cell": shown})
    raise forms.ValidationError(_("“%(cell)s” is not a count: use whole numbers from 0 up.") % {"cell": shown})


@dataclass(frozen=True, slots=True)
class _Shown:
    """A result in words. `agrees`: it rounds to the printed number."""

    method: str
    text: str
    agrees: bool
    named: bool
    supposed: bool


@requires("examples.view")
@require_safe
@limited("examples")
def examples(request: SignedInRequest) -> HttpResponse:
    """The papers recomputed; with `table` in the address also the tests of that table (422 if it is none)."""
    asked = "table" in request.GET
    form = TableForm(request.GET if asked else None)
    own = own_table(form.cleaned_data["table"], CURRENT.primary.analysis.confidence) if form.is_valid() else None
    context = {
        "papers": [_paper(paper) for paper in papers(CURRENT)],
        "verdicts": [{"glyph": GLYPHS[verdict], "label": _(VERDICT_LABELS[verdict])} for verdict in Verdict],
        "form": form,
        "own": None if own is None else _own(own),
        "most_2x2": MAX_2X2,
        "most_larger": MAX_LARGER,
        "most_side": MAX_SIDE,
        "few": FEW_EXPECTED,
        "example": "14 6\n9 10",
    }
    return render(request, "reports/papers.html", context, status=422 if asked and own is None else 200)


def _line(line: Line | None) -> str:
    return "" if line is None else line.render(_)


def _paper(paper: Paper) -> dict[str, Any]:
    return {
        "code": paper.code,
        "title": _(paper.title),
        "citation": paper.citation,
        "design": _(paper.design),
        "counts": [
            {"glyph": GLYPHS[verdict], "label": f"{_(VERDICT_LABELS[verdict])}: {paper.count(verdict)}"}
            for verdict in Verdict
            if paper.count(verdict)
        ],
        "groups": [
            {"name": _(group), "checks": [_check(check) for check in checks]}
            for group, checks in groupby(paper.checks, key=lambda check: check.group)
        ],
        "impossible": [_check(check) for check in paper.impossible],
        "remarks": [_line(remark) for remark in paper.remarks],
        "listings": [
            {
                "title": _(listing.title),
                "header": [_(label) for label in listing.header],
                "rows": [[_(cell) for cell in row] for row in listing.rows],
                "note": _line(listing.note),
            }
            for listing in paper.listings
        ],
    }


def _check(check: Check) -> dict[str, Any]:
    verdict = check.verdict
    least = check.min_expected
    return {
        "claim": _(check.claim),
        "printed": arranged(check.printed, check.printed.numbers),
        "basis": _line(check.basis),
        "enter": _address(check.table) if check.table else "",
        "results": [
            _Shown(
                _(result.method),
                _computed(check.printed, result.values),
                check.printed.agrees(result.values),
                result.part is Part.NAMED,
                result.part is Part.SUPPOSED,
            )
            for result in check.results
        ],
        "few": f"{least.value:.1f}" if check.few_expected and least and least.value is not None else "",
        "glyph": GLYPHS[verdict],
        "verdict": _(VERDICT_LABELS[verdict]),
        "why": "" if verdict is Verdict.REPRODUCED else _line(check.why),
        "note": _line(check.note),
    }


def _address(table: Table) -> str:
    """The page with this table entered."""
    rows = "\n".join(" ".join(str(cell) for cell in row) for row in table)
    return f"{reverse('examples')}?{urlencode({'table': rows})}#own"


def arranged(printed: Printed, numbers: tuple[str, ...]) -> str:
    """Numbers in the layout of what is printed: "0.161", "92.0 % (71.6 to 97.9)", "90.0 ± 6.7 %"."""
    unit = " %" if printed.percent else ""
    match printed.layout:
        case Layout.LIMITS:
            estimate, lower, upper = numbers
            return _("%(estimate)s (%(lower)s to %(upper)s)") % {
                "estimate": f"{estimate}{unit}",
                "lower": lower,
                "upper": upper,
            }
        case Layout.ERROR:
            return f"{numbers[0]} ± {numbers[1]}{unit}"
        case Layout.VALUE:
            return f"{numbers[0]}{unit}"


def _computed(printed: Printed, values: tuple[Estimate, ...]) -> str:
    """Computed values with as many digits as the printed ones."""
    if any(value.value is None for value in values):
        return _("not estimable")
    scale = 100 if printed.percent else 1
    told = tuple(f"{(each.value or 0.0) * scale:.{printed.decimals(place)}f}" for place, each in enumerate(values))
    return arranged(printed, told)


# --- a table of one's own ---


def _reason(reason: Reason | None) -> str:
    if reason in _REASONS:
        return _("not estimable: %(reason)s") % {"reason": _(_REASONS[reason])}
    return _("not estimable")


def _ratio(estimate: Estimate) -> str:
    if estimate.value is None:
        return _reason(estimate.reason)
    return (
        "∞"
        if math.isinf(estimate.value)
        else f"{estimate.value:.3g}"
        if estimate.value < 100
        else f"{estimate.value:.0f}"
    )


def _between(limits: Interval, tell: Any) -> str:
    return _("%(level)s %% interval %(lower)s to %(upper)s") % {
        "level": f"{limits.level * 100:g}",
        "lower": tell(limits.lower),
        "upper": tell(limits.upper),
    }


def _points(estimate: Estimate) -> str:
    return _reason(estimate.reason) if estimate.value is None else points(estimate.value)


def _statistic(statistic: Estimate, df: int, p: Estimate) -> str:
    if statistic.value is None or p.value is None:
        return _reason(statistic.reason or p.reason)
    return _("χ² %(statistic)s, df %(df)d, p %(p)s") % {
        "statistic": f"{statistic.value:.3f}",
        "df": df,
        "p": _equals(p),
    }


def _equals(p: Estimate) -> str:
    told = p_value(p)
    return told if told.startswith("<") else f"= {told}"


def _exact(p: Estimate) -> str:
    return _reason(p.reason) if p.value is None else f"p {_equals(p)}"


def _own(own: OwnTable) -> dict[str, Any]:
    rows = [
        {
            "total": sum(row),
            "cells": [
                {"count": count, "expected": f"{expected:.1f}", "few": expected < FEW_EXPECTED}
                for count, expected in zip(row, expected_row, strict=True)
            ],
        }
        for row, expected_row in zip(own.rows, own.expected, strict=True)
    ]
    few = sum(expected < FEW_EXPECTED for row in own.expected for expected in row)
    return {
        "rows": rows,
        "columns": [sum(column) for column in zip(*own.rows, strict=True)],
        "n": own.n,
        "few": few,
        "results": _own_results(own),
    }


def _own_results(own: OwnTable) -> list[tuple[str, str]]:
    """Method and result, in the reader's language."""
    if own.larger is not None:
        found = own.larger
        return [
            (_(PEARSON), _statistic(found.pearson, found.df, found.pearson_p)),
            (_("Likelihood-ratio chi-square"), _statistic(found.likelihood_ratio, found.df, found.likelihood_ratio_p)),
            (_(FREEMAN_HALTON), _exact(found.exact_p)),
        ]
    assert own.two_by_two is not None  # noqa: S101
    chi, fisher, odds = own.two_by_two.chi_square, own.two_by_two.fisher, own.two_by_two.odds
    difference = own.two_by_two.difference
    (a, b), (c, d) = own.rows
    return [
        (_("Share of the first column, row 1"), share(a, a + b)),
        (_("Share of the first column, row 2"), share(c, c + d)),
        (_(PEARSON), _statistic(chi.pearson, 1, chi.pearson_p)),
        (_(YATES), _statistic(chi.yates, 1, chi.yates_p)),
        (_(FISHER), _exact(fisher.p)),
        (_("Odds ratio of the counts, ad/bc"), _ratio(odds.sample)),
        (
            _("Odds ratio, conditional, with exact limits"),
            _ratio(odds.conditional)
            if odds.conditional.value is None
            else f"{_ratio(odds.conditional)}; {_between(odds.interval, _ratio)}",
        ),
        (
            _("Risk difference in percentage points, row 1 less row 2, with Miettinen-Nurminen limits"),
            _points(difference.estimate)
            if difference.estimate.value is None
            else f"{_points(difference.estimate)}; {_between(difference.interval, _points)}",
        ),
    ]


__all__ = ["GLYPHS", "TableForm", "arranged", "examples"]
