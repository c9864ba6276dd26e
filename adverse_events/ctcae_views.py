"""CTCAE on the screen: the term picker, the panel beside the grades, the lookup over versions, loading the texts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from adverse_events import catalogue
from adverse_events.ctcae_file import FileRefused
from adverse_events.ctcae_forms import LoadForm
from adverse_events.models import term_label
from spinetrial.access.gate import SignedInRequest, may, requires
from spinetrial.access.limits import limited
from spinetrial.protocol import CURRENT
from spinetrial.terminology import ctcae

#: What the picker sends to see the terms of a class, or the classes. No name of a term begins so.
_CLASS = "class:"
_LONGEST_QUERY = 100


def _option(term: ctcae.Term, group: str = "") -> dict[str, Any]:
    grades = ", ".join(map(str, term.grades))
    chinese = (get_language() or "").startswith("zh")
    if group and group == catalogue.soc_label(term.soc):
        hint = _("grades %(grades)s") % {"grades": grades}
    else:
        soc = ctcae.SOC_ZH.get(term.soc, term.soc) if chinese else term.soc
        hint = _("%(class)s, grades %(grades)s") % {"class": soc, "grades": grades}
    name = ctcae.name_zh(term.code)
    if name and not chinese:
        hint = f"{name} · {hint}"
    return {"value": term.code, "label": term_label(term.code), "hint": hint, **({"group": group} if group else {})}


def _classes() -> list[dict[str, Any]]:
    options = []
    for number, soc in enumerate(ctcae.socs()):
        count = len(ctcae.in_soc(soc))
        hint = ngettext("%(count)s term", "%(count)s terms", count) % {"count": count}
        options.append(
            {"query": f"{_CLASS}{number}", "label": catalogue.soc_label(soc), "hint": hint, "group": _("By class")}
        )
    return options


def _terms_of_class(number: str) -> list[dict[str, Any]]:
    socs = ctcae.socs()
    if not number.isascii() or not number.isdigit() or len(number) > 3 or int(number) >= len(socs):
        return []
    soc = socs[int(number)]
    back = {"query": "", "label": _("Back to all classes"), "hint": ""}
    return [back, *(_option(term, catalogue.soc_label(soc)) for term in ctcae.in_soc(soc))]


@requires("crf.view")
def ctcae_search(request: SignedInRequest) -> JsonResponse:
    """Terms that fit `q` for the searchable field (static/js/combobox.js).

    Nothing typed: the terms the trial expects, those this person entered last, then the classes.
    """
    text = request.GET.get("q", "")[:_LONGEST_QUERY].strip()
    if text.startswith(_CLASS):
        results = _terms_of_class(text.removeprefix(_CLASS))
    elif text:
        results = [_option(term) for term in ctcae.search(text, limit=30)]
    else:
        expected = ctcae.search("")
        results = [_option(term, _("Expected in this trial")) for term in expected]
        shown = {term.code for term in expected}
        recent = [code for code in catalogue.recent_codes(request.user) if code not in shown]
        results += [_option(ctcae.get(code), _("Entered by you lately")) for code in recent]
        results += _classes()
    return JsonResponse({"results": results})


@requires("crf.view")
def ctcae_guide(request: SignedInRequest) -> HttpResponse:
    """The panel of the chosen term under its field (static/js/details.js): `value` is the code."""
    code = request.GET.get("value", "")
    version = CURRENT.dictionaries.ctcae
    context: dict[str, Any] = {"version": version, "term": ctcae.terms(version).get(code)}
    if context["term"] is not None:
        here = catalogue.in_versions(code, (version,))[0]
        others = [(other, catalogue.difference(code, other)) for other in ctcae.VERSIONS if other != version]
        context |= {
            "here": here,
            "label": term_label(code),
            "unofficial": term_label(code) != context["term"].term,
            "grades": "|".join(map(str, context["term"].grades)),
            "specify": ctcae.needs_specification(code),
            "others": [(other, words) for other, words in others if words],
            "may_load": may(request.user, "ctcae.load"),
        }
    return render(request, "adverse_events/ctcae_guide.html", context)


@requires("crf.view")
def ctcae_lookup(request: SignedInRequest) -> HttpResponse:
    """Which versions are loaded; terms by search or class; where the versions differ for the terms of this trial."""
    text = request.GET.get("q", "")[:_LONGEST_QUERY].strip()
    soc = request.GET.get("class", "")
    loaded = {row.version: row for row in catalogue.editions().select_related("loaded_by")}
    found: list[ctcae.Term] = []
    if text:
        for version in (CURRENT.dictionaries.ctcae, *reversed(ctcae.VERSIONS)):
            have = {term.code for term in found}
            found += [term for term in ctcae.search(text, limit=40, version=version) if term.code not in have]
    elif soc in ctcae.socs():
        found = list(ctcae.in_soc(soc))
    context = {
        "versions": [
            {"version": version, "credit": ctcae.CREDITS[version], "terms": len(ctcae.terms(version)),
             "edition": loaded.get(version), "ours": version == CURRENT.dictionaries.ctcae}
            for version in ctcae.VERSIONS
        ],
        "q": text,
        "soc": soc if not text else "",
        "searched": bool(text or soc),
        "socs": [(each, catalogue.soc_label(each)) for each in ctcae.socs()],
        "found": [_across(term) for term in found[:200]],
        "expected": [_across(term) for term in ctcae.search("")],
        "may_load": may(request.user, "ctcae.load"),
        "version": CURRENT.dictionaries.ctcae,
    }  # fmt: skip
    return render(request, "adverse_events/ctcae.html", context)


def _across(term: ctcae.Term) -> dict[str, Any]:
    """A term with its grades in each version."""
    grades = [
        (version, known.grades if (known := ctcae.terms(version).get(term.code)) else ()) for version in ctcae.VERSIONS
    ]
    chinese = ctcae.name_zh(term.code)
    return {
        "code": term.code,
        "term": term.term,
        "chinese": chinese,
        "soc": catalogue.soc_label(term.soc),
        "grades": grades,
    }


@requires("crf.view")
def ctcae_term(request: SignedInRequest, code: str) -> HttpResponse:
    """One term in all versions, side by side."""
    versions = catalogue.in_versions(code) if any(code in ctcae.terms(version) for version in ctcae.VERSIONS) else []
    if not versions:
        raise Http404
    term = next(each.term for each in reversed(versions) if each.term is not None)
    here = ctcae.terms().get(code) or term
    rows = [
        (grade, [(each, next((line for line in each.lines if line.grade == grade), None)) for each in versions])
        for grade in ctcae.GRADES
    ]
    context = {
        "code": code,
        "term": here,
        "chinese": ctcae.name_zh(code),
        "soc": catalogue.soc_label(here.soc),
        "versions": versions,
        "rows": rows,
        "version": CURRENT.dictionaries.ctcae,
        "differences": [
            (each.version, catalogue.difference(code, each.version))
            for each in versions
            if each.version != CURRENT.dictionaries.ctcae and code in ctcae.terms()
        ],
        "any_missing": any(not each.loaded for each in versions),
        "may_load": may(request.user, "ctcae.load"),
    }
    return render(request, "adverse_events/ctcae_term.html", context)


@requires("ctcae.load")
@limited("upload")
def ctcae_load(request: SignedInRequest) -> HttpResponse:
    """Load the texts of a version from NCI's file: all of them or nothing."""
    posted = request.method == "POST"
    form = LoadForm(request.POST if posted else None, request.FILES if posted else None)
    refused = ""
    if form.is_valid():
        try:
            loaded = catalogue.do_load(request.user, form.cleaned_data["file"].read(), form.cleaned_data["reason"])
        except FileRefused as refusal:
            refused = str(refusal)
        else:
            row = loaded.edition
            if loaded.new:
                words = _("CTCAE %(version)s is loaded: the texts of %(count)s terms.")
                messages.success(request, words % {"version": row.version, "count": len(row.texts)})
            else:
                words = _("CTCAE %(version)s of this very file is loaded already: nothing was changed.")
                messages.info(request, words % {"version": row.version})
            return redirect("ctcae")
    status = 422 if refused or form.errors else 200
    return render(request, "adverse_events/ctcae_load.html", {"form": form, "refused": refused}, status=status)
