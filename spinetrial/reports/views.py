"""Pages of the reports: what has been made, asking for another, its progress, the report itself and its PDF."""

from __future__ import annotations

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, gettext_lazy, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from spinetrial.access.gate import SignedInRequest, may, requires
from spinetrial.access.limits import limited
from spinetrial.access.models import User
from spinetrial.analysis.lock import versions
from spinetrial.analysis.results import Step
from spinetrial.analysis.views import get_version
from spinetrial.audit.acting import acting, record_event
from spinetrial.jobs import CRASHED, JobState
from spinetrial.reports.make import ACTIONS, do_ask, kinds_for, reports_for, same_bytes
from spinetrial.reports.models import LANGUAGES, DamagedReport, MadeReport, ReportKind

#: Reports listed on the page; older ones are found by their address.
LISTED = 20

KIND_HELP: dict[ReportKind, str] = {
    ReportKind.FINAL: gettext_noop(
        "The protocol's analysis of a locked data version. The same version gives the same bytes."
    ),
    ReportKind.DRY_RUN: gettext_noop(
        "The whole report on arms drawn at random, so that the program is finished before anyone sees the truth. No "
        "true arm enters the computation."
    ),
    ReportKind.POOLED: gettext_noop(
        "Everyone as one group, of the data as they stand. This is also the board's open part."
    ),
    ReportKind.BOARD: gettext_noop("By arm, of the data as they stand. Reading it is on the audit trail."),
}

_STEPS: dict[str, str] = {
    "self_test": gettext_noop("Checking the statistics against published examples"),
    Step.SETS: gettext_noop("Analysis sets"),
    Step.PRIMARY: gettext_noop("Primary comparison and multiple imputation"),
    Step.PAIN: gettext_noop("Pain over time"),
    Step.ENDPOINTS: gettext_noop("Times to events"),
    Step.REST: gettext_noop("Adverse events, baseline and conduct"),
    "writing": gettext_noop("Tables, figures and PDF"),
}

_PROBLEMS: dict[str, str] = {
    "self_test": gettext_noop(
        "The statistics did not reproduce their published examples on this machine, so no report is issued:"
    ),
    "damaged": gettext_noop("The stored data of this version are not the data that were locked."),
    "protocol": gettext_noop("The data were collected under a protocol version that this software does not have."),
    CRASHED: gettext_noop(
        "The worker stopped three times while making this report. Nothing was kept; tell the administrator."
    ),
}


def _language(request: SignedInRequest) -> str:
    """The language asked for, else that of the session. Raises Http404 for one there is not."""
    usual = "zh-hans" if (get_language() or "").startswith("zh") else "en"
    language = request.GET.get("lang", usual)
    if language not in LANGUAGES:
        raise Http404
    return language


def _record(user: User, act: str, made: MadeReport, language: str) -> None:
    detail = {
        "report": made.pk,
        "kind": made.kind,
        "version": made.version.number if made.version else None,
        "language": language,
    }
    with acting(user):
        record_event(act, user_id=user.pk, detail=detail, reveals_arm=made.shows_arms)


class AskForm(forms.Form):
    """Which report to make; a final one of which data version."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=ReportKind.choices)
    version = forms.IntegerField(label=gettext_lazy("Data version"), required=False, min_value=1, max_value=99_999)


@requires("report.view")
@require_safe
def report(request: SignedInRequest) -> HttpResponse:
    """The reports this person may read, and what may be made."""
    return _index(request)


def _index(request: SignedInRequest, error: str = "", status: int = 200) -> HttpResponse:
    known = list(versions(request.user)) if may(request.user, ACTIONS[ReportKind.FINAL]) else []
    kinds = [
        {"kind": kind, "label": kind.label, "help": _(KIND_HELP[kind]), "final": kind is ReportKind.FINAL}
        for kind in kinds_for(request.user)
        if kind is not ReportKind.FINAL or known
    ]
    context = {
        "kinds": kinds,
        "versions": known,
        "reports": reports_for(request.user)[:LISTED],
        "may_design": may(request.user, "design.view"),
        "may_examples": may(request.user, "examples.view"),
        "error": error,
    }
    return render(request, "reports/index.html", context, status=status)


@requires("report.view")
@require_POST
@limited("pdf")
def report_make(request: SignedInRequest) -> HttpResponse:
    """Ask for a report; it is made by the worker."""
    form = AskForm(request.POST)
    if not form.is_valid():
        return _index(request, _("Choose what to make. Nothing was started."), 422)
    kind, number = ReportKind(form.cleaned_data["kind"]), form.cleaned_data["version"]
    if kind is ReportKind.FINAL and number is None:
        return _index(request, _("Choose the data version. Nothing was started."), 422)
    version = get_version(request.user, number, "report.view") if kind is ReportKind.FINAL else None
    return redirect("report_made", do_ask(request.user, kind, version).pk)


def _get(request: SignedInRequest, pk: int) -> MadeReport:
    """The report, if this person may read it; otherwise there is none. Raises Http404."""
    found: MadeReport = get_object_or_404(reports_for(request.user), pk=pk)
    return found


@requires("report.view")
@require_safe
def report_made(request: SignedInRequest, pk: int) -> HttpResponse:
    """How far a report is, why it was refused, or the report itself, in English or Chinese."""
    made = _get(request, pk)
    if made.state != JobState.DONE:
        first, *more = made.problems or [""]
        context = {
            "made": made,
            "step": _(_STEPS[made.step]) if made.step in _STEPS else "",
            "problem": _(_PROBLEMS[first]) if first in _PROBLEMS else "",
            "details": more,
        }
        return render(request, "reports/making.html", context)
    language = _language(request)
    page = made.page(language)
    others, same = same_bytes(made)
    _record(request.user, "report viewed", made, language)
    context = {
        "made": made,
        "page": page,
        "contents": [each for each in page["blocks"] if each["kind"] == "heading" and each["level"] == 1],
        "language": language,
        "others": others,
        "same": same,
        "hashes": [(name, made.pdf_sha256(name)) for name in LANGUAGES],
    }
    return render(request, "reports/report.html", context)


@requires("report.view")
@require_safe
@limited("pdf")
def report_pdf(request: SignedInRequest, pk: int) -> HttpResponse:
    """The report as PDF in the language `lang` (en, zh-hans)."""
    made, language = _get(request, pk), _language(request)
    if made.state != JobState.DONE:
        raise Http404
    try:
        content = made.pdf(language)
    except DamagedReport:
        raise Http404 from None
    _record(request.user, "report printed", made, language)
    number = f"-v{made.version.number}" if made.version else f"-{made.pk}"
    response = HttpResponse(content, content_type="application/pdf")
    name = f"report-{made.kind.replace('_', '-')}{number}-{language}.pdf"
    response["Content-Disposition"] = f'inline; filename="{name}"'
    return response
