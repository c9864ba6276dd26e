"""The working of one visit's pain response on a page of its own, to read and to print."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import render

from followup.responses import pain_of
from followup.working import working_of
from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, may, requires
from spinetrial.crf.views import in_site_zone


@requires("crf.view")
@in_site_zone
def response(request: SignedInRequest, subject: Subject, event: str) -> HttpResponse:
    """A visit that is recorded or can no longer come; others have no response yet and are not found."""
    at = pain_of([subject])[subject.pk].get(event)
    if at is None:
        raise Http404
    context = {"subject": subject, "working": working_of(at), "see_factors": may(request.user, "factors.view")}
    return render(request, "worklists/response.html", context)
