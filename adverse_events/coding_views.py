"""Screens of coding: the list, one event with its proposals, search and hierarchy, exact matches at once, versions."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from adverse_events import coding
from adverse_events.coding import State, Why
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.meddra import jobs
from adverse_events.meddra.problems import words_of
from adverse_events.meddra.search import children, names_of, search, terms, version_in_force
from adverse_events.models import (
    AdverseEvent,
    Coding,
    How,
    Language,
    Level,
    MeddraImport,
    MeddraRelease,
    MeddraVersion,
    term_label,
)
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, requires
from spinetrial.access.limits import limited
from spinetrial.access.models import TrialState
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.views import crf_url
from spinetrial.protocol import CURRENT
from spinetrial.review import trial

PER_PAGE = 25
_CHIP = {
    State.UNCODED: "chip-warn",
    State.STALE: "chip-bad",
    State.OLD_VERSION: "chip-info",
    State.TO_APPROVE: "chip-info",
    State.CODED: "chip-ok",
}
#: Tabs of the list -> the states in them.
TABS: dict[str, tuple[Any, tuple[State, ...]]] = {
    "open": (gettext_lazy("To code"), (State.UNCODED, State.STALE)),
    "approve": (gettext_lazy("To approve"), (State.TO_APPROVE,)),
    "version": (gettext_lazy("In another version"), (State.OLD_VERSION,)),
    "coded": (gettext_lazy("Coded"), (State.CODED,)),
}
_STEPS = {
    "reading": gettext_lazy("The files are read"),
    "checking": gettext_lazy("The files are checked against each other"),
    "index": gettext_lazy("The search index is made"),
    "storing": gettext_lazy("Everything is stored"),
}


def _refusal(error: Exception) -> str:
    """What happened and what to do."""
    if isinstance(error, trial.EntryClosed):
        return _("Nothing was written: the trial or this participant is frozen or locked.")
    if isinstance(error, coding.Overtaken):
        return _("Nothing was written: the event or its code changed since the page was opened. Look at it again.")
    if isinstance(error, coding.SamePerson):
        return _("Nothing was written: a code is approved by another person than the one who chose it.")
    if isinstance(error, coding.ReasonMissing):
        return _("Nothing was written: say why the earlier code is replaced.")
    if isinstance(error, coding.UnknownTerm):
        return _("Nothing was written: the version in force has no such lowest level term.")
    return _("Nothing was written: no MedDRA version is in force.")


_REFUSALS = (
    trial.EntryClosed,
    coding.Overtaken,
    coding.SamePerson,
    coding.ReasonMissing,
    coding.UnknownTerm,
    coding.NoDictionary,
)


def _row(event: AdverseEvent, code: Coding | None, version: MeddraVersion | None) -> dict[str, Any]:
    state = coding.state_of(event, code, version)
    subject: Any = event.subject
    return {
        "event": event,
        "coding": code,
        "state": state.value,
        "label": _(coding.STATE_LABELS[state]),
        "chip": _CHIP[state],
        "term": term_label(event.ctcae_code),
        "subject": subject.code,
        "url": crf_url(ADVERSE_EVENT, subject.code, str(event.pk)),
        "seen": coding.seen_token(event, code),
    }


@requires("ae.code")
@require_safe
def worklist(request: SignedInRequest) -> HttpResponse:
    """Events by where their coding stands, with the best proposal of those that wait."""
    version = version_in_force()
    rows = _all_rows(request, version)
    shown = request.GET.get("show", "open")
    shown = shown if shown in TABS else "open"
    tabs = [
        {
            "key": key,
            "label": label,
            "count": sum(row["state"] in states for row in rows),
            "active": key == shown,
        }
        for key, (label, states) in TABS.items()
    ]
    page = Paginator([row for row in rows if row["state"] in TABS[shown][1]], PER_PAGE).get_page(
        request.GET.get("page")
    )
    listed: list[dict[str, Any]] = list(page.object_list)
    if version is not None and shown == "open":
        found = coding.proposals(version, [row["event"] for row in listed])
        for row in listed:
            row["best"] = next(iter(found[row["event"].pk]), None)
            row["why"] = _(coding.WHY_LABELS[row["best"].why]) if row["best"] else ""
    named = _names([row["coding"] for row in listed if row["coding"]])
    for row in listed:
        row["coded"] = named.get(row["coding"].pk) if row["coding"] else None
        row["own"] = bool(row["coding"]) and row["coding"].coded_by_id == request.user.pk
    context = {
        "version": version,
        "tabs": tabs,
        "shown": shown,
        "rows": listed,
        "page": page,
        "approval": CURRENT.dictionaries.coding_approval,
        "is_open": TrialState.current().state == TrialState.State.OPEN,
    }
    return render(request, "adverse_events/coding.html", context)


def _all_rows(request: SignedInRequest, version: MeddraVersion | None) -> list[dict[str, Any]]:
    events = list_records(request.user, AdverseEvent, "ae.code").select_related("subject__site")
    site = chosen_site(request, "ae.code")
    if site is not None:
        events = events.filter(subject__site=site)
    listed = list(events.order_by("subject__code", "onset_date", "pk"))
    codings = coding.codings_of(request.user, [event.pk for event in listed], "ae.code")
    return [_row(event, codings.get(event.pk), version) for event in listed]


def _names(codings: list[Coding]) -> dict[int, dict[str, str]]:
    """Names of LLT, PT and SOC by the number of the coding. One query."""
    parts = ((Level.LLT, "llt"), (Level.PT, "pt"), (Level.SOC, "soc"))
    keys = {(each.version_id, int(level), getattr(each, part)) for each in codings for level, part in parts}
    names = names_of(keys)
    return {
        each.pk: {
            part: names.get((each.version_id, int(level), getattr(each, part)), getattr(each, part))
            for level, part in parts
        }
        for each in codings
    }


# --- one event ---


@requires("ae.code")
@limited("search")
def coding_event(request: SignedInRequest, pk: int) -> HttpResponse:
    """One event: its code and earlier ones, proposals, search, hierarchy. A POST codes or approves."""
    event = get_record(request.user, AdverseEvent, "ae.code", pk=pk)
    error = ""
    if request.method == "POST":
        try:
            return _decided(request, event)
        except _REFUSALS as refusal:
            error = _refusal(refusal)
    return _event_page(request, event, error)


def _decided(request: SignedInRequest, event: AdverseEvent) -> HttpResponse:
    posted = request.POST
    request_id = request.request_id
    seen = posted.get("seen", "")
    if posted.get("verb") == "approve":
        row = coding.codings_of(request.user, [event.pk], "ae.code").get(event.pk)
        if row is None:
            raise coding.Overtaken
        coding.do_approve(request.user, row.pk, seen=seen, request_id=request_id)
        messages.success(request, _("Approved."))
    else:
        how = How.PROPOSED if posted.get("how") == How.PROPOSED else How.SEARCHED
        reason = posted.get("reason", "")[:500]
        done = coding.do_code(
            request.user, event.pk, posted.get("llt", "")[:8], how, seen=seen, reason=reason, request_id=request_id
        )
        messages.success(request, _("Coded: %(term)s.") % {"term": _names([done])[done.pk]["llt"]})
    shown = posted.get("show", "")
    if shown in TABS:
        return redirect(f"{reverse('coding')}?show={shown}")
    return redirect("coding_event", event.pk)


def _event_page(request: SignedInRequest, event: AdverseEvent, error: str) -> HttpResponse:
    version = version_in_force()
    row = _row(event, coding.codings_of(request.user, [event.pk], "ae.code").get(event.pk), version)
    query = request.GET.get("q", "").replace("\0", "")[:200]
    trail = _trail(request.GET.get("at", ""))
    context = {
        **row,
        "version": version,
        "coded": _names([row["coding"]])[row["coding"].pk] if row["coding"] else None,
        "approves": row["state"] == State.TO_APPROVE,
        "own": bool(row["coding"]) and row["coding"].coded_by_id == request.user.pk,
        "needs_reason": row["state"] in (State.CODED, State.TO_APPROVE),
        "error": error,
        "reason": request.POST.get("reason", "")[:500],
        "history": _history(row["coding"]),
        "q": query,
        "is_open": TrialState.current().state == TrialState.State.OPEN,
    }
    if version is not None:
        context["proposals"] = [
            {"llt": each.llt, "why": _(coding.WHY_LABELS[each.why]), "similar": each.why is Why.SIMILAR,
             "percent": each.percent}
            for each in coding.proposals(version, [event])[event.pk]
        ]  # fmt: skip
        picked = request.GET.get("pick", "")[:8]
        context["replacement"] = terms(version, [picked]).get(picked) if context["needs_reason"] else None
        context["how"] = request.GET.get("how", "")[:10]
        context["hits"] = search(version, query) if query.strip() else None
        context |= _hierarchy(version, trail)
    return render(request, "adverse_events/coding_event.html", context, status=422 if error else 200)


_TRAIL = re.compile(r"[0-9]{8}(-[0-9]{8}){0,3}")


def _trail(text: str) -> list[str]:
    """The codes from a SOC down to where the hierarchy is opened; empty for the list of SOCs."""
    return text.split("-") if _TRAIL.fullmatch(text) else []


def _hierarchy(version: MeddraVersion, trail: list[str]) -> dict[str, Any]:
    names = names_of((version.pk, level, code) for level, code in enumerate(trail, 1))
    steps = children(version, len(trail), trail[-1] if trail else "")
    return {
        "crumbs": [
            {
                "name": names.get((version.pk, level, code), code),
                "level": Level(level).label,
                "at": "-".join(trail[:level]),
            }
            for level, code in enumerate(trail, 1)
        ],
        "steps": [{"step": step, "at": "-".join([*trail, step.code])} for step in steps],
        "at_llt": len(trail) == Level.PT,
        "browsing": bool(trail),
    }


def _history(row: Coding | None) -> list[dict[str, Any]]:
    """Every state the coding had, newest first, from the audit trail."""
    if row is None:
        return []
    entries = AuditEntry.among(Q(table_name=Coding._meta.db_table, row_id=str(row.pk))).order_by("-id")
    found = []
    for entry in entries:
        llt = entry.changes.get("llt")
        approved = entry.changes.get("approved_by_id")
        what = ""
        if llt:
            what = _("Code %(new)s") % {"new": llt[1]} if llt[0] is None else _("Code %(old)s, now %(new)s") % {
                "old": llt[0], "new": llt[1]}  # fmt: skip
        elif approved and approved[1]:
            what = _("Approved")
        else:
            what = _("Confirmed again")
        found.append({"at": entry.at, "who": entry.actor, "what": what, "reason": entry.reason})
    return found


# --- many at once ---


@requires("ae.code")
def coding_exact(request: SignedInRequest) -> HttpResponse:
    """Preview of the events whose words are exactly a current term; the chosen ones are coded together."""
    version = version_in_force()
    if version is None:
        return redirect("coding")
    if request.method == "POST":
        done = left = 0
        for each in request.POST.getlist("pick")[:500]:
            number, _dash, rest = each.partition(":")
            llt, _dash, seen = rest.partition(":")
            if not number.isdecimal() or len(number) > 18:
                left += 1
                continue
            try:
                coding.do_code(request.user, int(number), llt, How.PROPOSED, seen=seen)
                done += 1
            except (*_REFUSALS, Http404):
                left += 1
        _tell(request, done, left)
        return redirect("coding")
    rows = [row for row in _all_rows(request, version) if row["state"] in (State.UNCODED, State.STALE)]
    found = coding.proposals(version, [row["event"] for row in rows])
    exact = []
    for row in rows:
        best = next(iter(found[row["event"].pk]), None)
        if best is not None and best.why is not Why.SIMILAR and best.llt.current:
            exact.append({**row, "best": best, "why": _(coding.WHY_LABELS[best.why])})
    return render(request, "adverse_events/coding_exact.html", {"rows": exact, "version": version})


def _tell(request: SignedInRequest, done: int, left: int) -> None:
    messages.success(request, ngettext("%(n)d event coded.", "%(n)d events coded.", done) % {"n": done})
    if left:
        text = ngettext(
            "%(n)d was left as it is: it changed meanwhile, is frozen, or its term is gone.",
            "%(n)d were left as they are: they changed meanwhile, are frozen, or their terms are gone.",
            left,
        )
        messages.warning(request, text % {"n": left})


@requires("ae.code")
def meddra_changes(request: SignedInRequest) -> HttpResponse:
    """Codes of other versions beside what the version in force makes of them; nothing is rewritten unconfirmed."""
    version = version_in_force()
    if version is None:
        return redirect("meddra")
    if request.method == "POST":
        names = request.POST.getlist("row" if "all" in request.POST else "pick")[:5000]
        chosen = {}
        for each in names:
            number, _dash, seen = each.partition(":")
            if number.isdecimal() and len(number) < 19:
                chosen[int(number)] = seen
        done, left = coding.do_carry(request.user, chosen, request_id=request.request_id)
        _tell(request, done, left)
        return redirect("meddra_changes")
    rows = [
        {
            "difference": each,
            "label": _(coding.CHANGE_LABELS[each.change]),
            "same": each.change is coding.Change.SAME,
            "warn": each.change in (coding.Change.NOT_CURRENT, coding.Change.GONE),
            "subject": each.coding.subject.code,
        }
        for each in coding.differences(request.user, version)
    ]
    return render(request, "adverse_events/meddra_changes.html", {"rows": rows, "version": version})


# --- dictionaries ---


class ImportForm(forms.Form):
    """A ZIP archive as the publisher delivers it, and what is in it."""

    file = forms.FileField(
        label=gettext_lazy("ZIP archive"),
        help_text=gettext_lazy("As delivered by the MSSO, or by the JMO for Japanese. At most 80 MB."),
        widget=forms.ClearableFileInput(attrs={"accept": ".zip"}),
    )
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=Language.choices)
    version = forms.RegexField(
        r"^[0-9]{1,2}\.[0-9]$",
        label=gettext_lazy("Version"),
        required=False,
        strip=True,
        help_text=gettext_lazy("Only when the release has no file meddra_release.asc. Such as 28.1."),
        error_messages={"invalid": gettext_lazy("A version is like 28.1.")},
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if not (file.name or "").casefold().endswith(".zip"):
            raise ValidationError(_("Upload the ZIP archive. For a folder there is the command import_meddra."))
        return file


class ReasonForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)


@requires("ae.code")
def dictionaries(request: SignedInRequest) -> HttpResponseBase:
    """The loaded versions, which one is in force, and the form that imports another."""
    form = ImportForm(request.POST if request.method == "POST" else None, request.FILES or None)
    if form.is_valid():
        return _start_import(request, form)
    return _dictionaries_page(request, form=form, status=422 if form.is_bound else 200)


@limited("upload")
def _start_import(request: SignedInRequest, form: ImportForm) -> HttpResponse:
    data = form.cleaned_data
    job = jobs.do_ask(request.user, data["file"], data["language"], data["version"])
    return redirect("meddra_import", job.pk)


def _dictionaries_page(request: SignedInRequest, *, status: int, **more: Any) -> HttpResponse:
    releases = list(
        list_records(request.user, MeddraRelease, "ae.code")
        .select_related("version")
        .order_by("-version__pk", "language")
    )
    in_use = set(list_records(request.user, Coding, "ae.code").values_list("version", flat=True).distinct())
    version = version_in_force()
    versions: dict[int, dict[str, Any]] = {}
    for release in releases:
        group = versions.setdefault(
            release.version_id,
            {"version": release.version, "releases": [], "used": release.version_id in in_use},
        )
        encodings = sorted({file["encoding"] for file in release.files} - {"ascii"}) or ["ascii"]
        group["releases"].append(
            {
                "release": release,
                "notes": words_of(release.notes),
                "encoding": ", ".join(encodings),
                "counts": [f"{release.counts[level.label]} {level.label}" for level in reversed(Level)],
            }
        )
    context = {
        "versions": list(versions.values()),
        "version": version,
        "others": version is not None and any(pk != version.pk for pk in in_use),
        "jobs": [{"job": job, "problems": words_of(job.problems)} for job in jobs.recent()],
        "reason_form": ReasonForm(),
        **more,
    }
    return render(request, "adverse_events/meddra.html", context, status=status)


@requires("ae.code")
@require_safe
def meddra_import(request: SignedInRequest, pk: int) -> HttpResponse:
    """How far an import is, and what came of it."""
    job = get_record(request.user, MeddraImport, "ae.code", pk=pk)
    context = {
        "job": job,
        "running": job.running,
        "step": _STEPS.get(job.step, ""),
        "problems": words_of(job.problems),
    }
    return render(request, "adverse_events/meddra_import.html", context)


@requires("ae.code")
@require_POST
def meddra_force(request: SignedInRequest, pk: int) -> HttpResponse:
    """Put a version in force for coding, with a reason."""
    chosen = get_record(request.user, MeddraVersion, "ae.code", pk=pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _dictionaries_page(request, form=ImportForm(), reason_form=form, asked=chosen.pk, status=422)
    try:
        done = coding.do_put_in_force(
            request.user, chosen.pk, form.cleaned_data["reason"], request_id=request.request_id
        )  # fmt: skip
    except trial.EntryClosed as refusal:
        messages.error(request, _refusal(refusal))
        return redirect("meddra")
    messages.success(request, _("%(version)s is in force.") % {"version": chosen})
    if done:
        text = ngettext(
            "%(n)d event was coded by its CTCAE code.", "%(n)d events were coded by their CTCAE codes.", done
        )
        messages.success(request, text % {"n": done})
    return redirect("meddra")
