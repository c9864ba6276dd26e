"""The subject x visit matrix: the whole trial on one page."""

from __future__ import annotations

from collections import Counter

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, list_records, may, requires
from spinetrial.analysis.overview import matrix_events, overviews
from spinetrial.crf.state import State
from spinetrial.protocol import CURRENT, events
from spinetrial.worklists.words import STAGES, cell_words, state_word

#: Chips above the matrix, in this order; only states that occur are shown.
FILTERS = ("overdue", "due", "in_window", "answered", "missed", "done_out_of_window", "partial")


@requires("subject.view")
def matrix(request: SignedInRequest) -> HttpResponse:
    """Participants by visit, with state, forms entered and open queries in each cell."""
    subjects = list_records(request.user, Subject, "subject.view").select_related("site")
    site = chosen_site(request, "subject.view")
    if site:
        subjects = subjects.filter(site=site)
    rows = overviews(request.user, list(subjects))
    columns = matrix_events(rows)
    states: Counter[str] = Counter()
    lines = []
    for row in rows:
        url = reverse("subject", args=[row.subject.code])
        cells, own = [], row.columns
        for event in columns:
            cell = own.get(event)
            if cell is None:
                cells.append({"state": State.NOT_EXPECTED, "label": "", "url": "", "done": 0, "total": 0, "queries": 0})
                continue
            # A visit is also found by where it stands in the schedule, whatever became of its forms.
            found = {str(cell.state), str(cell.timing or "")}
            states.update(found)
            states["query"] += bool(cell.queries)
            due = f", {cell.due.isoformat()}" if cell.due else ""
            cells.append(
                {
                    "state": cell.state,
                    "found": " ".join(sorted(found)),
                    "label": f"{events.event_title(CURRENT, event, _)}: {cell_words(cell)}{due}",
                    "url": f"{url}#event-{event if event in row.cells else 'unscheduled'}",
                    "done": cell.done,
                    "total": cell.expected,
                    "queries": cell.queries,
                }
            )
        lines.append({"code": row.subject.code, "url": url, "sub": STAGES[row.stage], "cells": cells})
    filters = [{"state": s, "label": state_word(s), "count": states[s]} for s in FILTERS if states[s]]
    if states["query"]:
        filters.insert(0, {"state": "query", "label": _("Open query"), "count": states["query"]})
    context = {
        "legend": [state for state in State if states[state]],
        "matrix": {
            "columns": [{"label": events.event_title(CURRENT, event, _)} for event in columns],
            "rows": lines,
            "filters": filters,
        },
        "may_screen": may(request.user, "subject.screen"),
    }
    return render(request, "worklists/matrix.html", context)
