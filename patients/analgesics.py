"""The search for a drug behind the analgesic rows of a form."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from patients.models.pain import drug_label
from spinetrial.access.gate import SignedInRequest, requires
from spinetrial.terminology.opioids import DRUGS, Drug, search

#: Longest name of a drug that is not in the list, as the form takes it.
LONGEST_NAME = 80


@requires("crf.view")
def drug_search(request: SignedInRequest) -> JsonResponse:
    """Drugs that fit `q`, then the two ways to enter one that is not in the list; all drugs without `q`."""
    typed = " ".join(request.GET.get("q", "").replace("\0", "").split())[:LONGEST_NAME]
    drugs = search(typed) if typed else tuple(DRUGS.values())
    results: list[dict[str, Any]] = [
        {"value": drug.code, "label": drug_label(drug.code), "hint": _hint(drug)} for drug in drugs
    ]
    if typed:
        for code, text in (
            ("OTHER_OPIOID", _("Other opioid: %(name)s")),
            ("OTHER_NON_OPIOID", _("Other, not an opioid: %(name)s")),
        ):
            hint = _("Not in the list. It has no factor.") if code == "OTHER_OPIOID" else _("Not in the list.")
            label = text % {"name": typed}
            results.append({"value": code, "label": label, "hint": hint, "fill": {"other_name": typed}})
    return JsonResponse({"results": results})


def _hint(drug: Drug) -> str:
    """The name in the other language, brands, and what to mind."""
    chinese = (get_language() or "").startswith("zh")
    names = [str(_(drug.name)) if chinese else drug.name_zh, *drug.synonyms[:4]]
    text = ", ".join(dict.fromkeys(names))
    return f"{text} · {_(drug.note)}" if drug.note else text
