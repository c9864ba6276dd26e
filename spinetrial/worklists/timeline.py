"""One subject's way through the trial as numbers for `templates/partials/timeline.svg.html` and the pain curve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from followup.responses import PainAtVisit
from spinetrial.analysis.overview import Overview
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import fraction_days
from spinetrial.worklists.words import state_word

WIDTH, HEIGHT, AXIS_Y = 960, 190, 150
_LEFT, _RIGHT = 40, 920
#: Screening and treatment take weeks, follow-up years: the first part gets this share of the width.
_EARLY_SHARE = 0.42
_LABEL_ROWS = (18, 54, 90)
_LABEL_WIDTH = 92


class _Scale:
    """Dates to pixels: two straight pieces that meet at the end of treatment."""

    def __init__(self, start: date, joint: date, end: date) -> None:
        self.start, self.joint, self.end = start, max(joint, start + timedelta(days=1)), end
        self.joint_x = _LEFT + (_RIGHT - _LEFT) * _EARLY_SHARE

    def __call__(self, day: date) -> int:
        if day <= self.joint:
            part = (day - self.start).days / (self.joint - self.start).days
            return round(_LEFT + part * (self.joint_x - _LEFT))
        part = (day - self.joint).days / max((self.end - self.joint).days, 1)
        return round(self.joint_x + min(part, 1) * (_RIGHT - self.joint_x))


def timeline(row: Overview, fractions: Sequence[date], today: date) -> dict[str, Any]:
    """Marks, visit windows, fractions given and planned, and today, as SVG numbers. `fractions`: dates given."""
    stones = row.milestones
    start = min(
        day for day in (row.subject.first_contact, stones.consent_date, stones.randomized_on) if day is not None
    )
    joint = stones.rt_end or stones.rt_start or stones.randomized_on or start + timedelta(days=28)
    last = [visit.planned.closes for visit in row.visits if visit.planned.closes]
    scale = _Scale(start, max(joint, start + timedelta(days=7)), max([*last, joint + timedelta(days=60), today]))
    planned: Sequence[date] = ()
    if stones.rt_start and not stones.rt_completed:
        planned = [day for day in fraction_days(stones.rt_start, CURRENT.treatment.fractions) if day not in fractions]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "axis_y": AXIS_Y,
        "label": _("Way of %(code)s through the trial") % {"code": row.subject.code},
        "today_x": scale(today) if today >= start else None,
        "today_label_y": AXIS_Y + 32,
        "months": _months(scale),
        "windows": [
            {
                "x": scale(visit.planned.opens),
                "y": AXIS_Y - 24,
                "width": max(scale(visit.planned.closes) - scale(visit.planned.opens), 3),
                "height": 8,
                "state": visit.state.value,
            }
            for visit in row.visits
            if visit.planned.opens and visit.planned.closes
        ],
        "fractions": [
            {"x": scale(day) - 2, "y": AXIS_Y - 24, "width": 4, "height": 16, "state": state, "title": day.isoformat()}
            for state, days in (("done", fractions), ("planned", planned))
            for day in days
        ],
        "marks": _marks(row, scale),
    }


def _months(scale: _Scale) -> list[dict[str, Any]]:
    ticks: list[dict[str, Any]] = []
    day = date(scale.start.year, scale.start.month, 1)
    while day <= scale.end:
        x = scale(day) if day >= scale.start else None
        if x is not None and (not ticks or x - ticks[-1]["x"] >= 62):
            ticks.append({"x": x, "label": day.strftime("%Y-%m")})
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return ticks


def _marks(row: Overview, scale: _Scale) -> list[dict[str, Any]]:
    stones = row.milestones
    url = reverse("subject", args=[row.subject.code])
    points: list[tuple[date, str, str, str]] = [
        (day, label, state, f"{url}#event-{event}")
        for day, label, state, event in (
            (stones.consent_date, _("Consent"), "done", "SCR"),
            (stones.not_eligible_on, _("Screen failure"), "missed", "SCR"),
            (stones.randomized_on, _("Randomised"), "done", "RAND"),
            (stones.followup_ended_on, _("Follow-up ended"), "not_expected", "EOS"),
            (stones.death_date, _("Death"), "missed", "EOS"),
        )
        if day is not None
    ]
    for visit in row.visits:
        day = visit.actual or visit.planned.due
        if day is not None:
            title = events.event_title(CURRENT, visit.event, _)
            points.append((day, title, visit.state.value, f"{url}#event-{visit.event}"))
    used = dict.fromkeys(_LABEL_ROWS, -1000)
    marks = []
    for day, label, state, address in sorted(points):
        x = scale(day)
        at = next((y for y in reversed(_LABEL_ROWS) if x - used[y] >= _LABEL_WIDTH), _LABEL_ROWS[0])
        used[at] = x
        marks.append(
            {
                "x": x,
                "y": AXIS_Y,
                "label_x": x,
                "label_y": at,
                "date_y": at + 14,
                "anchor": "start" if x < 60 else "end" if x > WIDTH - 60 else "middle",
                "state": state,
                "label": label,
                "date": day.isoformat(),
                "word": state_word(state),
                "url": address,
            }
        )
    return marks


def pain_curve(baseline: tuple[int | None, float | None], pain: dict[str, PainAtVisit]) -> dict[str, Any] | None:
    """Worst pain by visit as a line with OMED bars under it, for `partials/sparkline.svg.html`; None without data.

    `baseline`: NRS 0-10 and OMED in mg/day.
    """
    rows: list[tuple[str, int | None, float | None]] = [(_("Baseline"), *baseline)]
    for event, at in pain.items():
        total = at.omed.total
        rows.append((events.event_title(CURRENT, event, _), at.pain, None if total is None else float(total)))
    if all(score is None for _label, score, _dose in rows):
        return None
    step = 96
    top, bottom, bars = 24, 124, 190
    highest = max((dose for _label, _score, dose in rows if dose), default=0)
    lines: list[list[str]] = [[]]
    for place, (_label, score, _dose) in enumerate(rows):
        if score is None:
            lines.append([])
        else:
            lines[-1].append(f"{56 + place * step},{bottom - score * (bottom - top) / 10:.0f}")
    return {
        "width": 56 + step * len(rows),
        "height": 216,
        "label": _("Worst pain and OMED by visit"),
        "lines": [" ".join(points) for points in lines if len(points) > 1],
        "grid": [{"y": round(bottom - n * (bottom - top) / 10), "label": n} for n in (0, 5, 10)],
        "dots": [
            {"x": 56 + place * step, "y": round(bottom - score * (bottom - top) / 10), "value": score}
            for place, (_label, score, _dose) in enumerate(rows)
            if score is not None
        ],
        "bars": [
            {
                "x": 46 + place * step,
                "y": round(bars - (dose / highest * 40 if highest else 0)),
                "width": 20,
                "height": round(dose / highest * 40) if highest else 0,
                "value": f"{dose:g}",
                "label_x": 56 + place * step,
                "label_y": round(bars - (dose / highest * 40 if highest else 0)) - 4,
            }
            for place, (_label, _score, dose) in enumerate(rows)
            if dose is not None
        ],
        "axis": [{"x": 56 + place * step, "label": label} for place, (label, _score, _dose) in enumerate(rows)],
        "axis_y": 206,
        "table": [
            {"label": label, "pain": "" if score is None else score, "omed": "" if dose is None else f"{dose:g}"}
            for label, score, dose in rows
        ],
    }
