"""Downloading a data version, and the list of open points."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from spinetrial.access.gate import SignedInRequest, masked, requires
from spinetrial.access.limits import limited
from spinetrial.analysis.data import Column, Kind, Table
from spinetrial.analysis.models import DamagedVersion
from spinetrial.analysis.readiness import BLOCKER_LABELS, readiness
from spinetrial.analysis.views import get_version
from spinetrial.audit.acting import acting, record_event
from spinetrial.exports.archive import Origin, build_zip
from spinetrial.exports.csvfile import write_csv


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


@requires("trial.view")
@require_safe
@limited("export")
def open_points_csv(request: SignedInRequest) -> HttpResponse:
    """The open points before a lock, all or those of one site (`?site=`), with the address where each is settled."""
    site = request.GET.get("site", "")
    columns = (
        Column("kind", "kind", Kind.TEXT),
        Column("site", "site", Kind.TEXT),
        Column("participant", "participant", Kind.TEXT),
        Column("what", "what", Kind.TEXT),
        Column("address", "address", Kind.TEXT),
    )
    rows = tuple(
        (str(BLOCKER_LABELS[each.kind]), each.site, each.subject, each.what, request.build_absolute_uri(each.url))
        for each in readiness(request.user)
        if site in ("", each.site)
    )
    with acting(request.user):
        record_event("open points exported", user_id=request.user.pk, detail={"rows": len(rows)})
    table = Table("OPEN_POINTS", "Open points", False, columns, rows)
    response = HttpResponse(write_csv(table), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="spinetrial-open-points.csv"'
    return response
