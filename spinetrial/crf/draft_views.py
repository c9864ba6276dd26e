"""Addresses of a draft: the script of a form posts what is typed; the banner discards it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.crf import drafts
from spinetrial.crf.registry import get_spec
from spinetrial.crf.save import describe_refusal
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.views import crf_url, find_record, in_site_zone, opened_by_another
from spinetrial.review import trial


@requires("crf.view")
@require_POST
@in_site_zone
def draft(request: SignedInRequest, subject: Any, spec_code: str, key: str) -> HttpResponse:
    """Keep what is typed so far. Answers the words for the save bar, or `error`; `stop` ends the saving of drafts."""
    spec = get_spec(spec_code)
    drafts.check_access(request.user, subject, spec)
    record = find_record(request, spec, subject, key)
    if stranger := opened_by_another(request):
        return JsonResponse({"error": stranger, "stop": True}, status=409)
    try:
        kept = drafts.keep(request.user, subject, spec, key, request.POST, record)
    except trial.EntryClosed as refusal:
        return JsonResponse({"error": describe_refusal(refusal)}, status=409)
    except drafts.TooLarge:
        text = _("This is too much for a draft: nothing since the last draft is kept. Save the form.")
        return JsonResponse({"error": text}, status=413)
    return JsonResponse({"label": drafts.saved_label(kept, subject)})


@requires("crf.view")
@require_POST
@in_site_zone
def draft_discard(request: SignedInRequest, subject: Any, spec_code: str, key: str) -> HttpResponse:
    """Forget the person's draft and show the form as it is stored."""
    spec = get_spec(spec_code)
    drafts.check_access(request.user, subject, spec)
    find_record(request, spec, subject, key)
    drafts.discard(request.user, subject, spec, key)
    messages.success(request, _("Your draft is discarded; the form is as it was last saved."))
    return redirect(entry_url(spec, subject.code, key))


def entry_url(spec: CrfSpec, subject_code: str, key: str) -> str:
    """Where the form is filled in: a page of its own may show it at the address `<page>_edit`."""
    try:
        return reverse(f"{spec.page}_edit", args=[subject_code])
    except NoReverseMatch:
        return crf_url(spec, subject_code, key, edit=True)
