"""The report as a page and as PDF, from one data version or, before the first lock, masked from the live data."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from reportlab.graphics import renderSVG
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial import __version__
from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.access.limits import limited
from spinetrial.access.models import User
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.lock import versions
from spinetrial.analysis.models import DamagedVersion, DataVersion
from spinetrial.analysis.results import results
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.analysis.views import get_version
from spinetrial.audit.acting import acting, record_event
from spinetrial.reports.content import build
from spinetrial.reports.document import Document, Facts, Figure, Grid, Heading, Paragraph
from spinetrial.reports.fonts import BOLD
from spinetrial.reports.pdf import render as render_pdf
from spinetrial.reports.writing import Source

LANGUAGES = ("en", "zh-hans")


@dataclass(frozen=True, slots=True)
class _Made:
    version: DataVersion | None
    document: Document


def _make(request: HttpRequest, user: User, language: str) -> _Made:
    """The report of the version asked for, else of the latest one, else masked and pooled of the data as they are.

    Raises Http404 for a version that does not exist or whose stored data are damaged.
    """
    asked = request.GET.get("version", "")
    if asked:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 6):
            raise Http404
        version: DataVersion | None = get_version(user, int(asked), "report.view")
    else:
        version = versions(user).first()
    if version is None:
        # Before the first lock: no arm enters the computation, whoever asks.
        found = results(take_snapshot().without_arm(), Arms.POOLED)
        source = Source(number=None, locked_at=None, software_version=__version__)
    else:
        try:
            found = results(version.snapshot(), Arms.SHOWN)
        except DamagedVersion:
            raise Http404 from None
        source = Source(version.number, version.created_at, version.software_version)
    return _Made(version, build(found, source, language))


def _record(user: User, act: str, made: _Made, language: str) -> None:
    detail = {"version": made.version.number if made.version else None, "language": language}
    with acting(user):
        record_event(act, user_id=user.pk, detail=detail, reveals_arm=made.version is not None)


@requires("report.view")
@require_safe
def report(request: SignedInRequest) -> HttpResponse:
    """The report on screen, in the language of the session."""
    language = "zh-hans" if (get_language() or "").startswith("zh") else "en"
    made = _make(request, request.user, language)
    _record(request.user, "report viewed", made, language)
    context = {
        "document": made.document,
        "blocks": [_block(block) for block in made.document.blocks],
        "version": made.version,
        "query": f"version={made.version.number}&" if made.version else "",
    }
    return render(request, "reports/report.html", context)


@requires("report.view")
@require_safe
@limited("pdf")
def report_pdf(request: SignedInRequest) -> HttpResponse:
    """The report as PDF in the language `lang` (en, zh-hans)."""
    language = request.GET.get("lang", "en")
    if language not in LANGUAGES:
        raise Http404
    made = _make(request, request.user, language)
    _record(request.user, "report printed", made, language)
    name = f"report-v{made.version.number}-{language}.pdf" if made.version else f"report-masked-{language}.pdf"
    response = HttpResponse(render_pdf(made.document), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{name}"'
    return response


def _block(block: object) -> dict[str, Any]:
    """A block as the template takes it."""
    match block:
        case Heading(text):
            return {"kind": "heading", "text": text}
        case Paragraph(text, tone):
            return {"kind": "paragraph", "text": text, "tone": tone}
        case Facts(pairs):
            return {"kind": "facts", "pairs": pairs}
        case Grid():
            rows = [
                {"head": row[0].strip(), "inner": row[0].startswith(" "), "cells": row[1:], "group": n in block.groups}
                for n, row in enumerate(block.rows)
            ]
            return {"kind": "grid", "grid": block, "rows": rows}
        case Figure(name, caption, drawing):
            image = base64.b64encode(svg(drawing).encode()).decode()
            return {"kind": "figure", "name": name, "caption": caption, "image": f"data:image/svg+xml;base64,{image}"}
    raise TypeError(f"no way to show {type(block).__name__}")


_STYLE = re.compile(r' style="([^"]*)"')
_TEXT = re.compile(r'<text ([^>]*font-family="(NotoSansSC(?:-Bold)?)" font-size="([\d.]+)px"[^>]*)>([^<]*)</text>')


def svg(drawing: Any) -> str:
    """The drawing of the PDF as SVG for the page.

    Presentation attributes, because a style attribute would fall to the CSP. The reader's machine may lack the
    typeface, so every text says how wide it was laid out.
    """

    def attributes(match: re.Match[str]) -> str:
        pairs = [part.split(":", 1) for part in match[1].split(";") if ":" in part]
        return "".join(f' {name.strip().replace("dash-array", "dasharray")}="{value.strip()}"' for name, value in pairs)

    def sized(match: re.Match[str]) -> str:
        rest, face, size, words = match.groups()
        width = stringWidth(html.unescape(words), face, float(size))
        family = f'font-family="Noto Sans SC, sans-serif" font-weight="{"bold" if face == BOLD else "normal"}"'
        rest = rest.replace(f'font-family="{face}"', family)
        return f'<text textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs" {rest}>{words}</text>'

    return _TEXT.sub(sized, _STYLE.sub(attributes, renderSVG.drawToString(drawing)))


__all__ = ["LANGUAGES", "report", "report_pdf", "svg"]
