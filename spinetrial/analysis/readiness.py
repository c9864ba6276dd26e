"""What stands between the data and a clean lock, by name and link. It advises; the person who locks decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from followup.visits import expected_visits_of
from patients.models import Milestones, Subject
from spinetrial.access.gate import AnyActor, list_records, masked, may
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.protocol import CURRENT, events
from spinetrial.review.models import Query
from spinetrial.review.queries import LIVE


class BlockerKind(StrEnum):
    QUERY = "query"
    VISIT = "visit"
    FORM = "form"
    SCREENING = "screening"


BLOCKER_LABELS = {
    BlockerKind.QUERY: gettext_lazy("Open queries"),
    BlockerKind.VISIT: gettext_lazy("Visits due without a form"),
    BlockerKind.FORM: gettext_lazy("Forms not entered"),
    BlockerKind.SCREENING: gettext_lazy("Screening not finished"),
}


@dataclass(frozen=True, slots=True)
class Blocker:
    """One open point of one participant; `url` leads to where it is settled."""

    kind: BlockerKind
    subject: str
    what: str
    url: str


def readiness(actor: AnyActor) -> list[Blocker]:
    """Open points at the sites of `actor`. The number of queries does not grow with the participants."""
    subjects = list(list_records(actor, Subject, "subject.view").select_related("site").order_by("code"))
    return [*_queries(actor), *_visits(actor, subjects), *_forms(actor, subjects)]


def _visible(actor: AnyActor, spec: CrfSpec) -> bool:
    return not (spec.reveals_arm and masked(actor))


def _address(spec: CrfSpec, subject: str, key: str) -> str:
    return reverse(spec.page, args=[subject]) if spec.page else reverse("crf", args=[subject, spec.code, key])


def _queries(actor: AnyActor) -> Iterator[Blocker]:
    rows = list_records(actor, Query, "crf.view").filter(state__in=LIVE).order_by("subject__code", "pk")
    for pk, subject, code, event, state in rows.values_list("pk", "subject__code", "spec_code", "event", "state"):
        spec = get_spec(code)
        if not _visible(actor, spec):
            continue
        where = events.event_title(CURRENT, event, _)
        what = f"{_(str(spec.title))}, {where}" if events.is_follow_up(CURRENT, event) else _(str(spec.title))
        url = reverse("query", args=[pk]) if may(actor, "query.view") else reverse("subject", args=[subject])
        yield Blocker(BlockerKind.QUERY, subject, f"{what}: {Query.State(state).label}", url)


def _visits(actor: AnyActor, subjects: list[Subject]) -> Iterator[Blocker]:
    """Due visits without a form, and visits that took place without their other forms."""
    per_visit = [spec for spec in all_specs() if spec.keeping is Keeping.PER_EVENT and _visible(actor, spec)]
    entered = {
        spec.code: set(
            list_records(actor, spec.model, "crf.view").order_by().values_list("subject_id", "event")  # type: ignore[misc]
        )
        for spec in per_visit
    }
    planned = expected_visits_of(subjects)
    for subject in subjects:
        for visit in planned[subject.pk]:
            title = visit.planned.title(_)
            if visit.is_open:
                url = reverse("crf", args=[subject.code, "F.VISIT", visit.event])
                yield Blocker(BlockerKind.VISIT, subject.code, title, url)
            elif visit.actual is not None:
                for spec in per_visit:
                    if (subject.pk, visit.event) not in entered[spec.code]:
                        what = f"{_(str(spec.title))}, {title}"
                        yield Blocker(BlockerKind.FORM, subject.code, what, _address(spec, subject.code, visit.event))


def _forms(actor: AnyActor, subjects: list[Subject]) -> Iterator[Blocker]:
    """Forms of screening, baseline, radiotherapy and end of study that a randomised participant should have."""
    once = [spec for spec in all_specs() if spec.event in _EVENTS and _visible(actor, spec)]
    entered = {
        spec.code: set(list_records(actor, spec.model, "crf.view").order_by().values_list("subject_id", flat=True))
        for spec in once
    }
    milestones = {row.subject_id: row for row in list_records(actor, Milestones, "subject.view")}
    for subject in subjects:
        row = milestones[subject.pk]
        if row.randomized_on is None:
            if row.not_eligible_on is None:
                url = reverse("subject", args=[subject.code])
                yield Blocker(BlockerKind.SCREENING, subject.code, _("Neither randomised nor a screen failure"), url)
            continue
        for spec in once:
            if _expected(spec, row) and subject.pk not in entered[spec.code]:
                key = "form" if spec.keeping is Keeping.ONCE else "new"
                yield Blocker(BlockerKind.FORM, subject.code, _(str(spec.title)), _address(spec, subject.code, key))


_EVENTS = frozenset({"SCR", "BL", "RT", "EOS"})


def _expected(spec: CrfSpec, row: Milestones) -> bool:
    """Whether a randomised participant with these milestones should have the form."""
    if spec.event == "RT":
        return not row.never_irradiated
    if spec.event == "EOS":
        return row.death_date is not None or row.followup_ended_on is not None
    return True
