"""Downloading a data version."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from spinetrial.access.gate import SignedInRequest, masked, requires
from spinetrial.access.limits import limited
from spinetrial.analysis.models import DamagedVersion
from spinetrial.analysis.views import get_version
from spinetrial.audit.acting import acting, record_event
from spinetrial.exports.archive import Origin, build_zip


@requires("export.view")
@require_safe
@limited("export")
def export_zip(request: SignedInRequest, number: int) -> HttpResponse:
    """The ZIP of one data version; the download is on the audit trail before the first byte leaves."""
    version = get_version(request.user, number, "export.view")
    try:
        snapshot = version.snapshot()
    except DamagedVersion:
        raise Http404 from None
    origin = Origin(version.number, version.created_at, version.content_sha256, version.software_version)
    reveal = not masked(request.user)
    content = build_zip(snapshot, origin, reveal=reveal)
    with acting(request.user):
        record_event("data exported", user_id=request.user.pk, detail={"version": version.number}, reveals_arm=reveal)
    response = HttpResponse(content, content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="spinetrial-data-v{version.number}.zip"'
    return response
