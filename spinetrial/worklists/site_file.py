"""The site file: what a site reads and downloads of its own, at any time, after the lock too."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext_lazy
from django.views.decorators.http import require_safe

from patients.models import Subject
from spinetrial.access.gate import SignedInRequest, get_record, list_records, masked, may, requires, sites_for
from spinetrial.access.limits import limited
from spinetrial.access.models import StudySite
from spinetrial.access.people import study_sites
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.audit.models import AuditEntry
from spinetrial.exports.site_copy import site_zip
from spinetrial.worklists.casebook import casebook

LANGUAGES = {"en": "English", "zh-hans": "简体中文"}
CASEBOOK, ALL_CASEBOOKS, DATA = "casebook downloaded", "all casebooks downloaded", "site data downloaded"
_ACTS = {
    CASEBOOK: gettext_lazy("Casebook"),
    ALL_CASEBOOKS: gettext_lazy("All casebooks"),
    DATA: gettext_lazy("Data and audit trail"),
}
#: Downloads listed on the page.
SHOWN = 50


@requires("casebook")
@require_safe
def site_file(request: SignedInRequest) -> HttpResponse:
    """To the site file of the person's site, or of the first of several."""
    allowed = sites_for(request.user, "casebook")
    sites = [site for site in study_sites() if allowed is None or site.pk in allowed]
    chosen = next((site for site in sites if site.code == request.session.get("site", "")), sites[0])
    return redirect("site_file_of", chosen.code)


def _site(request: SignedInRequest, code: str) -> StudySite:
    """The site, if it is the person's own. Raises Http404, and PermissionDenied for the masked."""
    site = study_sites().filter(code=code).first()
    if site is None or not may(request.user, "casebook", site):
        raise Http404
    if masked(request.user, site):
        raise PermissionDenied
    return site


def _subjects(request: SignedInRequest, site: StudySite) -> list[Subject]:
    return list(list_records(request.user, Subject, "casebook").filter(site=site).select_related("site"))


def _language(request: SignedInRequest) -> str:
    language = request.GET.get("lang", "en")
    if language not in LANGUAGES:
        raise Http404
    return language


@requires("casebook")
@require_safe
def site_file_of(request: SignedInRequest, code: str) -> HttpResponse:
    """What can be downloaded, and who downloaded what when."""
    site = _site(request, code)
    subjects = _subjects(request, site)
    codes = {subject.pk: subject.code for subject in subjects}
    entries = AuditEntry.of_site(site.pk, codes).filter(act__in=list(_ACTS)).order_by("-id")[:SHOWN]
    context = {
        "site": site,
        "subjects": subjects,
        "languages": LANGUAGES.items(),
        "language": "zh-hans" if (get_language() or "").startswith("zh") else "en",
        "downloads": [
            {
                "entry": entry,
                "what": _ACTS[entry.act],
                "subject": codes.get(entry.subject_id or 0, ""),
                "sha256": entry.changes.get("sha256", ""),
            }
            for entry in entries
        ],
    }
    return render(request, "worklists/site_file.html", context)


@requires("casebook")
@require_safe
@limited("pdf")
def casebook_pdf(request: SignedInRequest, code: str) -> HttpResponse:
    """The casebook of one participant in the language `lang` (en, zh-hans)."""
    subject = get_record(request.user, Subject, "casebook", code=code)
    language, at = _language(request), now().replace(microsecond=0)
    content = casebook(request.user, subject, language, at)
    _record(request, CASEBOOK, subject.site, subject, language=language, sha256=hashlib.sha256(content).hexdigest())
    return _attachment(content, "application/pdf", _name(subject, language))


def _name(subject: Subject, language: str) -> str:
    return f"casebook-{subject.code}-{language}.pdf"


@requires("casebook")
@require_safe
@limited("export")
def site_data(request: SignedInRequest, code: str) -> HttpResponse:
    """Every table of the site as CSV, with dictionary and audit trail."""
    site = _site(request, code)
    at = now().replace(microsecond=0)
    content = site_zip(site, _subjects(request, site), at)
    _record(request, DATA, site, sha256=hashlib.sha256(content).hexdigest())
    return _attachment(content, "application/zip", f"spinetrial-{site.code}-data-{at:%Y%m%dT%H%M%SZ}.zip")


@requires("casebook")
@require_safe
@limited("export")
def site_casebooks(request: SignedInRequest, code: str) -> StreamingHttpResponse:
    """The casebooks of all participants of the site as one ZIP, sent while they are made."""
    site = _site(request, code)
    language, at = _language(request), now().replace(microsecond=0)
    subjects = _subjects(request, site)
    _record(request, ALL_CASEBOOKS, site, language=language, casebooks=len(subjects))
    answer = StreamingHttpResponse(_zipped(request, subjects, language, at), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="spinetrial-{site.code}-casebooks-{at:%Y%m%dT%H%M%SZ}.zip"'
    return answer


class _Pipe(io.RawIOBase):
    """What a ZIP is written to and sent from; it cannot go back."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        content, self._waiting = b"".join(self._waiting), []
        return content


def _zipped(request: SignedInRequest, subjects: list[Subject], language: str, at: datetime) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for subject in subjects:
            entry = zipfile.ZipInfo(_name(subject, language), at.astimezone(UTC).timetuple()[:6])
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, casebook(request.user, subject, language, at))  # a PDF is compressed already
            yield pipe.take()
    yield pipe.take()


def _record(
    request: SignedInRequest, act: str, site: StudySite, subject: Subject | None = None, **detail: object
) -> None:
    """The download on the trail, before the first byte leaves."""
    with acting(request.user):
        record_event(
            act,
            subject_id=subject.pk if subject else None,
            site_id=site.pk,
            detail=detail,
            reveals_arm=True,
        )


def _attachment(content: bytes, kind: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
