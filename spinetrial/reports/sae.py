"""A signed report of a serious event as PDF."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe

from adverse_events.report_views import get_event, get_report
from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, requires
from spinetrial.access.limits import limited
from spinetrial.audit.acting import acting, record_event
from spinetrial.reports.cioms import render
from spinetrial.reports.models import LANGUAGES


@requires("crf.view")
@require_safe
@limited("pdf")
def sae_pdf(request: SignedInRequest, code: str, pk: int, number: int) -> HttpResponse:
    """One version with the boxes of form CIOMS I, in the language `lang` (en, zh-hans)."""
    language = request.GET.get("lang", "en")
    if language not in LANGUAGES:
        raise Http404
    subject = get_record(request.user, Subject, "crf.view", code=code)
    event = get_event(request, subject, pk)
    report = get_report(event, number)
    before = get_report(event, number - 1).facts if number > 1 else None
    with translation.override(language):
        content = render(report.facts, report.sha256, language, before)
    with acting(request.user):
        detail = {"report": f"{event.pk}.{number}", "language": language}
        record_event("report printed", subject_id=subject.pk, detail=detail)
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{subject.code}-sae-{event.pk}-{number}-{language}.pdf"'
    return response
