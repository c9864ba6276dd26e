"""Two people answered the criteria of one participant: answer by answer, which of the two shall stand.

The page of the criteria is no plain form, so what was typed and what is stored are compared here by its own fields;
the choice itself is made on the page that every form uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from patients.crfs import SCREENING
from patients.eligibility import Assessment
from patients.models import Eligibility, EligibilityAnswer, Subject
from patients.models.eligibility import CriterionAnswer
from spinetrial.access.gate import SignedInRequest
from spinetrial.crf.conflict import MINE, STORED, Difference, Past, past_of, proposed
from spinetrial.crf.display import display_value, field_text
from spinetrial.crf.drafts import is_answer
from spinetrial.crf.forms import CrfForm
from spinetrial.protocol import CURRENT, events


def differences(found: Assessment, codes: tuple[str, ...], form: CrfForm, posted: QueryDict) -> list[Difference]:
    """Where the answers typed (`posted`; `form` made of them) differ from those stored.

    Where only one of the two changed an answer since the page was opened, that one is proposed.
    """
    record = found.record
    past = past_of(SCREENING, record.subject, record, posted.get("seen_version", "")) if record else Past()
    decided = []
    for each in (*_items(record, past, form, posted), *_criteria(found, past, codes, posted)):
        choice = posted.get(each.input_name, "")
        if choice not in (MINE, STORED):
            choice = proposed(each.mine, each.stored, each.before, known=each.before is not None)
        decided.append(Difference(**{**vars(each), "chosen": choice}))
    return decided


def _items(record: Eligibility | None, past: Past, form: CrfForm, posted: QueryDict) -> Iterator[Difference]:
    form.is_valid()  # brings what is typed into the instance
    for item in SCREENING.items():
        if item.name == "confirmed":
            continue  # no answer: the confirmation of both is asked for again
        wrong = item.name in form.errors
        mine = posted.get(item.name, "")[:500] if wrong else display_value(form.instance, item.name)
        stored = display_value(record, item.name) if record else ""
        if mine != stored:
            before = display_value(past.record, item.name) if past.record is not None else None
            entry = past.changed.get(item.name)
            who, when = (entry.actor, entry.at) if entry else ("", None)
            yield Difference(item.name, SCREENING.label(item.name), mine, stored, before, who, when, "")


def _criteria(found: Assessment, past: Past, codes: tuple[str, ...], posted: QueryDict) -> Iterator[Difference]:
    rows: dict[int, Any] = past.rows.get("answers", {})
    for code in codes:
        row = found.answers.get(code)
        stale = code in found.stale
        mine = _words(posted.get(f"answer_{code}", ""), posted.get(f"reason_{code}", "")[:1000])
        stored = _words(row.answer, row.reason) if row and not stale else ""
        if mine != stored:
            label = f"{code}: {_(CURRENT.criterion(code).text)}"
            was = rows.get(row.pk) if row else None
            before = None if past.record is None else (_words(was.answer, was.reason) if was else "")
            who = str(row.answered_by) if row and row.answered_by else ""
            yield Difference(code, label, mine, stored, before, who, row.answered_at if row else None, "")


def _words(answer: str, reason: str) -> str:
    if answer not in CriterionAnswer.values:
        return ""
    words = field_text(EligibilityAnswer._meta.get_field("answer"), answer)
    return f"{words}. {reason.strip()}" if reason.strip() else words


def settled(posted: QueryDict, version: str, found: list[Difference]) -> bool:
    """Whether every difference was decided on a page that showed what is stored now, with a reason for changes."""
    return (
        "resolve" in posted
        and posted.get("stored_version") == version
        and all(posted.get(each.input_name) in (MINE, STORED) for each in found)
        and (bool(posted.get("form_reason", "").strip()) or not any(each.chosen == MINE for each in found))
    )


def merged(found: Assessment, posted: QueryDict, chosen: list[Difference]) -> QueryDict:
    """What to post now: the chosen answers on top of the stored version, confirming nothing."""
    data = posted.copy()
    for each in chosen:
        if each.chosen != STORED:
            continue
        if each.name in found.answers or f"answer_{each.name}" in data:
            row = found.answers.get(each.name)
            keep = row is not None and each.name not in found.stale
            data[f"answer_{each.name}"] = row.answer if row and keep else ""
            data[f"reason_{each.name}"] = row.reason if row and keep else ""
            data[f"seen_{each.name}"] = row.seen if row and keep else ""
        else:
            value = getattr(found.record, each.name) if found.record else None
            data[each.name] = "" if value is None else str(value)
    data["seen_version"] = str(found.record.row_version if found.record else 0)
    data.pop("confirm", None)
    return data


def page(request: SignedInRequest, subject: Subject, version: str, found: list[Difference]) -> HttpResponse:
    """The two versions beside each other."""
    posted = request.POST
    asked = "resolve" in posted
    context = {
        "title": _(str(SCREENING.title)),
        "code": SCREENING.code,
        "subject_code": subject.code,
        "event_label": events.event_title(CURRENT, SCREENING.event, _),
        "back_url": reverse("eligibility", args=[subject.code]),
        "differences": sorted(found, key=lambda each: each.chosen != ""),
        "hidden": [
            (name, value)
            for name, values in posted.lists()
            for value in values
            if is_answer(name) and name not in ("form_reason", "confirm", "take")
        ],
        "stored_version": version,
        "reason": posted.get("form_reason", "")[:500],
        "reason_error": asked and not posted.get("form_reason", "").strip(),
        "moved": asked and posted.get("stored_version") != version,
        "undecided": asked and any(not each.chosen for each in found),
        "user_name": request.user.username,
    }
    return render(request, "crf/conflict.html", context, status=422)
