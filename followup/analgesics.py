"""What a grid of analgesics asks while it is filled in: units, the rows of the visit before, and the OMED so far.

Nothing is stored here. The OMED comes from the function that counts saved rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from followup.models import Visit, VisitAnalgesic
from patients.models import AnalgesicItems, AnalgesicStatus, BaselineAnalgesic, BaselinePain, Subject
from patients.models.pain import DRUGS_WITHOUT_ROUTE, UNNAMED_DRUGS, drug_label
from patients.pain import intakes, omed_answered
from spinetrial.access.gate import SignedInRequest, get_record, of_subject, requires
from spinetrial.protocol import CURRENT, events
from spinetrial.terminology.opioids import DRUGS, OMED_FLAG_LABELS, ROUTE_LABELS, Intake, OmedFlag, opioid_switch

#: Key of the row group in both forms.
_KEY = "analgesics_taken"
_MOST_ROWS = 120
_LARGEST = {"dose": Decimal(100000), "times": Decimal(100)}


@requires("crf.enter")
def analgesics_live(request: SignedInRequest, code: str, event: str) -> HttpResponse:
    """GET: what the rows need to know. POST of the grid as it is typed: its OMED in words."""
    subject = get_record(request.user, Subject, "crf.enter", code=code)
    if event != "BL" and not events.is_follow_up(CURRENT, event):
        raise Http404
    if request.method == "POST":
        return JsonResponse(_counted(subject, event, request.POST))
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "POST"])
    drugs = {
        drug.code: {
            "unit": drug.unit.value,
            "route": _(ROUTE_LABELS[drug.route]),
            "asks_route": drug.code in DRUGS_WITHOUT_ROUTE,
            "asks_name": drug.code in UNNAMED_DRUGS,
        }
        for drug in DRUGS.values()
    }
    return JsonResponse({"drugs": drugs, "earlier": _earlier(subject, event)})


def _earlier(subject: Subject, event: str) -> dict[str, Any] | None:
    """The rows of the latest earlier visit that has some, or of the baseline."""
    if event == "BL":
        return None
    order = events.event_order(CURRENT, event)
    visits = [
        visit
        for visit in of_subject(subject, Visit).filter(visit_date__isnull=False)
        if events.event_order(CURRENT, visit.event) < order
    ]
    visits.sort(key=lambda visit: events.event_order(CURRENT, visit.event), reverse=True)
    taken: dict[int, list[VisitAnalgesic]] = {}
    for row in of_subject(subject, VisitAnalgesic):
        taken.setdefault(row.parent_id, []).append(row)
    for visit in visits:
        if visit.pk in taken:
            return _to_copy(taken[visit.pk], events.event_title(CURRENT, visit.event, _), visit.visit_date)
    baseline = of_subject(subject, BaselinePain).first()
    rows = list(of_subject(subject, BaselineAnalgesic)) if baseline else []
    return _to_copy(rows, _("Baseline"), baseline.assessed_on) if baseline and rows else None


def _to_copy(rows: list[Any], title: str, day: Any) -> dict[str, Any]:
    found = [
        {
            "drug": row.drug,
            "label": drug_label(row.drug),
            "other_name": row.other_name,
            "route": row.route,
            "dose": "" if row.dose is None else f"{row.dose.normalize():f}",
            "times": "" if row.times is None else f"{row.times.normalize():f}",
            "use": row.use,
        }
        for row in rows
        if isinstance(row, AnalgesicItems)
    ]
    words = {"n": len(found), "visit": title, "date": day.isoformat()}
    return {
        "rows": found,
        "button": ngettext(
            "Copy the row of %(visit)s (%(date)s)", "Copy the %(n)d rows of %(visit)s (%(date)s)", len(found)
        )
        % words,
        "copied": ngettext(
            "The row of %(visit)s (%(date)s) is copied. Check each number; saving confirms it.",
            "%(n)d rows of %(visit)s (%(date)s) are copied. Check each number; saving confirms them.",
            len(found),
        )
        % words,
    }


def _counted(subject: Subject, event: str, posted: Mapping[str, str]) -> dict[str, Any]:
    """The OMED of what is typed, line by line, and what to look at; without any row and answer nothing is said."""
    rows, problems = _typed(posted)
    answer = posted.get("analgesics", "")
    if not rows and not problems and answer != AnalgesicStatus.NONE:
        return {"text": "", "lines": [], "flags": []}
    if rows and answer not in AnalgesicStatus.values:
        answer = AnalgesicStatus.SOME
    elif rows and answer == AnalgesicStatus.UNKNOWN:
        problems.append(_("Analgesics are listed below: answer “Yes”, or remove the rows."))
        answer = AnalgesicStatus.SOME
    if not rows and problems:
        return {"text": "", "lines": [], "flags": problems}
    found = omed_answered(rows, answer)
    lines = [line.render(_) for line in found.lines]
    flags = [
        _(OMED_FLAG_LABELS[flag])
        for flag in found.flags
        if flag is not OmedFlag.CONTRADICTION  # it is the line itself then
    ]
    if event != "BL" and rows:
        switched = opioid_switch(intakes(of_subject(subject, BaselineAnalgesic)), rows)
        if switched:
            names = ", ".join(_(DRUGS[drug].name) for drug in switched)
            flags.append(_("Opioid switch since baseline: %(drugs)s.") % {"drugs": names})
    return {"text": lines[-1], "lines": lines[:-1], "flags": [*problems, *flags]}


def _typed(posted: Mapping[str, str]) -> tuple[list[Intake], list[str]]:
    """The rows that are filled in, and what cannot be read in them, by the number of the row on the screen."""
    rows, problems, number = [], [], 0
    total = posted.get(f"{_KEY}-TOTAL_FORMS", "")
    for index in range(min(int(total) if total.isascii() and total.isdigit() and len(total) < 5 else 0, _MOST_ROWS)):
        cells = {
            name: posted.get(f"{_KEY}-{index}-{name}", "").strip()
            for name in ("drug", "other_name", "dose", "times", "DELETE")
        }
        if cells.pop("DELETE"):
            continue
        number += 1
        if not any(cells.values()):
            continue
        if cells["drug"] not in DRUGS:
            problems.append(_("Row %(n)d: choose a drug from the list.") % {"n": number})
            continue
        amounts = {name: _number(cells[name], _LARGEST[name]) for name in _LARGEST}
        if any(cells[name] and amounts[name] is None for name in _LARGEST):
            problems.append(_("Row %(n)d: dose and number are numbers above 0.") % {"n": number})
        rows.append(Intake(cells["drug"], amounts["dose"], amounts["times"], cells["other_name"][:80]))
    return rows, problems


def _number(text: str, largest: Decimal) -> Decimal | None:
    """A usable number above 0 or None."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 < number <= largest else None
