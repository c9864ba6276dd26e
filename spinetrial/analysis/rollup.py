"""The whole trial in one table: sites by event, each cell the sum of its participants' forms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from spinetrial.analysis.overview import Overview, matrix_events
from spinetrial.crf.state import STATE_LABELS, State, Tally, roll_up
from spinetrial.protocol import CURRENT, events


def roll_up_table(rows: Sequence[Overview]) -> dict[str, Any]:
    """`matrix` of partials/matrix.html, a line per site and one for the trial; `total` is the cell of everything."""
    columns = matrix_events(rows)
    by_site: dict[str, list[Overview]] = defaultdict(list)
    for row in rows:
        by_site[row.subject.site.code].append(row)
    lines = [
        _line(code, members, columns, f"{reverse('trial')}?site={code}") for code, members in sorted(by_site.items())
    ]
    whole = _line(_("Trial"), rows, columns, reverse("matrix"))
    labels = [events.event_title(CURRENT, event, _) for event in columns] + [_("At any time"), _("All")]
    return {
        "head": _("Study site"),
        "label": _("The trial by site and event"),
        "columns": [{"label": label} for label in labels],
        "rows": [*lines, whole] if lines else [],
        "total": whole["cells"][-1],
    }


def _line(code: str, members: Sequence[Overview], columns: list[str], url: str) -> dict[str, Any]:
    cells = []
    for event in columns:
        found = [row.columns[event] for row in members if event in row.columns]
        title = events.event_title(CURRENT, event, _)
        done, expected = sum(cell.done for cell in found), sum(cell.expected for cell in found)
        cells.append(_cell(title, [cell.tally for cell in found], done, expected))
    cells.append(_cell(_("At any time"), [row.any_time for row in members]))
    cells.append(_cell(_("All"), [row.tally for row in members]))
    people = ngettext("%(n)d participant", "%(n)d participants", len(members)) % {"n": len(members)}
    return {"code": code, "url": url, "sub": people, "cells": cells}


def _cell(title: str, tallies: Sequence[Tally], done: int = 0, expected: int = 0) -> dict[str, Any]:
    """State, forms and queries of a cell; its label says how many participants are in which state."""
    whole, states = roll_up(tallies), Counter(tally.state for tally in tallies)
    parts = [f"{_(STATE_LABELS[state])} {states[state]}" for state in State if states[state]]
    return {
        "state": whole.state,
        "found": whole.state,
        "label": f"{title}: {', '.join(parts)}" if parts else title,
        "url": "",
        "done": done,
        "total": expected,
        "queries": whole.queries,
    }
