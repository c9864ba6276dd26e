"""What stands between the data and a clean lock, by name and link. It advises; the person who locks decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adverse_events.coding import STATE_LABELS, uncoded
from adverse_events.models import AdverseEvent
from patients.models import Milestones, Subject
from spinetrial.access.gate import AnyActor, list_records, masked, may
from spinetrial.analysis.overview import Overview, overviews, visit_specs
from spinetrial.analysis.reconciliation import reconcile
from spinetrial.analysis.visit_events import Contradiction, mismatches
from spinetrial.audit.clock import now
from spinetrial.crf.models import Draft
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.reviewing import SdvForm, sdv_of
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.protocol import CURRENT, events
from spinetrial.review.models import Query
from spinetrial.review.queries import LIVE
from spinetrial.review.signatures import signature_state


class BlockerKind(StrEnum):
    QUERY = "query"
    ANSWERED = "answered"
    UNSIGNED = "unsigned"
    UNVERIFIED = "unverified"
    CODING = "coding"
    SERIOUS = "serious"
    CONTRADICTION = "contradiction"
    VISIT = "visit"
    FORM = "form"
    SCREENING = "screening"
    DRAFT = "draft"


#: In the order of the page.
BLOCKER_LABELS = {
    BlockerKind.QUERY: gettext_lazy("Open queries"),
    BlockerKind.ANSWERED: gettext_lazy("Answered queries, not closed"),
    BlockerKind.UNSIGNED: gettext_lazy("Forms without a valid signature"),
    BlockerKind.UNVERIFIED: gettext_lazy("Critical items not verified"),
    BlockerKind.CODING: gettext_lazy("Adverse events not coded in MedDRA"),
    BlockerKind.SERIOUS: gettext_lazy("Serious events and deaths not reconciled"),
    BlockerKind.CONTRADICTION: gettext_lazy("Visits and adverse events that contradict each other"),
    BlockerKind.VISIT: gettext_lazy("Visits due without a form"),
    BlockerKind.FORM: gettext_lazy("Forms not entered"),
    BlockerKind.SCREENING: gettext_lazy("Screening not finished"),
    BlockerKind.DRAFT: gettext_lazy("Drafts not saved as a form"),
}


@dataclass(frozen=True, slots=True)
class Blocker:
    """One open point of one participant; `url` leads to where it is settled."""

    kind: BlockerKind
    site: str
    subject: str
    what: str
    url: str


def readiness(actor: AnyActor, rows: Sequence[Overview] | None = None) -> list[Blocker]:
    """Open points at the sites of `actor`, by kind and participant. The number of queries does not grow with them.

    `rows`: the overviews of all participants `actor` may see, where they are at hand.
    """
    if rows is None:
        rows = all_overviews(actor)
    subjects = {row.subject.pk: row.subject for row in rows}
    found = [
        *_queries(actor, subjects),
        *_unsigned(rows),
        *_unverified(actor, subjects),
        *_adverse_events(actor, subjects),
        *_contradictions(actor, subjects),
        *_missing(rows, actor),
        *_drafts(actor, subjects),
    ]
    order = {kind: place for place, kind in enumerate(BLOCKER_LABELS)}
    return sorted(found, key=lambda each: (order[each.kind], each.subject))


def all_overviews(actor: AnyActor) -> list[Overview]:
    """The overview of every participant `actor` may see, by code."""
    return overviews(actor, list(list_records(actor, Subject, "subject.view").select_related("site").order_by("code")))


def _visible(actor: AnyActor, spec: CrfSpec, subject: Subject) -> bool:
    return not (spec.reveals_arm and masked(actor, subject.site_id))


def _address(spec: CrfSpec, subject: str, record_id: int | None, event: str) -> str:
    if spec.page:
        return reverse(spec.page, args=[subject])
    if spec.keeping is Keeping.ONCE:
        key = "form"
    elif spec.keeping is Keeping.PER_EVENT:
        key = event
    else:
        key = str(record_id or "new")
    return reverse("crf", args=[subject, spec.code, key])


def _name(spec: CrfSpec, event: str) -> str:
    """The form's title, with the visit of one that is filled in at each."""
    title = _(str(spec.title))
    return f"{title}, {events.event_title(CURRENT, event, _)}" if spec.keeping is Keeping.PER_EVENT else title


def _queries(actor: AnyActor, subjects: dict[int, Subject]) -> Iterator[Blocker]:
    rows = list_records(actor, Query, "crf.view").filter(subject__in=subjects, state__in=LIVE).order_by("pk")
    for pk, subject_id, code, event, item, state in rows.values_list(
        "pk", "subject_id", "spec_code", "event", "item", "state"
    ):
        spec, subject = get_spec(code), subjects[subject_id]
        if _visible(actor, spec, subject):
            url = reverse("query", args=[pk]) if may(actor, "query.view") else reverse("subject", args=[subject.code])
            kind = BlockerKind.QUERY if state == Query.State.OPEN else BlockerKind.ANSWERED
            yield Blocker(kind, subject.site.code, subject.code, f"{_name(spec, event)}: {spec.label(item)}", url)


def _unsigned(rows: Sequence[Overview]) -> Iterator[Blocker]:
    """Forms entered and not signed, together by visit: they are signed together."""
    states = signature_state([row.subject.pk for row in rows])
    titles = {spec.code: spec for spec in all_specs()}
    for row in rows:
        code, by_event = row.subject.code, dict[str, list[str]]()
        for key, tally in row.forms.items():
            if not tally.signed:
                title = _(str(titles[key[0]].title))
                text = _("%(form)s (signature void)") % {"form": title} if states.get(key) == "void" else title
                by_event.setdefault(row.events[key], []).append(text)
        for event in sorted(by_event, key=lambda each: events.event_order(CURRENT, each)):
            title = _("At any time") if event == "ANY" else events.event_title(CURRENT, event, _)
            url = reverse("subject", args=[code]) + ("" if event == "ANY" else f"#event-{event}")
            what = f"{title}: {', '.join(by_event[event])}"
            yield Blocker(BlockerKind.UNSIGNED, row.subject.site.code, code, what, url)


def _unverified(actor: AnyActor, subjects: dict[int, Subject]) -> Iterator[Blocker]:
    for form in sdv_of(actor, subjects):
        if form.waiting or form.again:
            subject = subjects[form.subject_id]
            url = _address(form.spec, subject.code, form.record_id, form.event)
            what = f"{_name(form.spec, form.event)}: {_waiting(form)}"
            yield Blocker(BlockerKind.UNVERIFIED, subject.site.code, subject.code, what, url)


def _waiting(form: SdvForm) -> str:
    count = len({*form.waiting, *form.again})
    text = ngettext("%(n)d item", "%(n)d items", count) % {"n": count}
    return text + (", " + _("%(n)d of them to verify again") % {"n": len(form.again)} if form.again else "")


def _adverse_events(actor: AnyActor, subjects: dict[int, Subject]) -> Iterator[Blocker]:
    """Events whose MedDRA coding is not finished, while a dictionary is in force, and what is not reconciled."""
    events = list(list_records(actor, AdverseEvent, "crf.view").filter(subject__in=subjects).order_by("pk"))
    coding = uncoded(events)
    for event in events:
        subject = subjects[event.subject_id]
        if event.pk in coding:
            url = reverse("crf", args=[subject.code, "A.AE", event.pk])
            what = f"{event.verbatim}: {_(STATE_LABELS[coding[event.pk]])}"
            yield Blocker(BlockerKind.CODING, subject.site.code, subject.code, what, url)
    for line in reconcile(actor, subjects, now(), events):
        if line.points:
            subject = line.subject
            url = (
                reverse("sae_reports", args=[subject.code, line.event.pk])
                if line.event
                else reverse("adverse_events", args=[subject.code])
            )
            what = f"{line.term}: {', '.join(line.points)}"
            yield Blocker(BlockerKind.SERIOUS, subject.site.code, subject.code, what, url)


def _contradictions(actor: AnyActor, subjects: dict[int, Subject]) -> Iterator[Blocker]:
    for pk, found in mismatches(actor, subjects).items():
        site, code = subjects[pk].site.code, subjects[pk].code
        for each in found:
            words = {"visit": events.event_title(CURRENT, each.visit, _)}
            if each.kind is Contradiction.NONE_SAID:
                what = _("%(visit)s says no adverse event, but one is recorded") % words
            else:
                what = _("%(visit)s reports an adverse event, but none is recorded") % words
            yield Blocker(BlockerKind.CONTRADICTION, site, code, what, reverse("adverse_events", args=[code]))


def _missing(rows: Sequence[Overview], actor: AnyActor) -> Iterator[Blocker]:
    """Due visits without a form, forms that lack beside others, and participants still in screening."""
    once = [spec for spec in all_specs() if spec.event in _EVENTS]
    for row in rows:
        site, code = row.subject.site.code, row.subject.code
        for visit in row.visits:
            title = visit.planned.title(_)
            if visit.is_open:
                url = reverse("crf", args=[code, "F.VISIT", visit.event])
                yield Blocker(BlockerKind.VISIT, site, code, title, url)
            elif visit.actual is not None and not visit.planned.unscheduled:
                for spec in visit_specs():
                    if _visible(actor, spec, row.subject) and (spec.code, visit.event) not in row.at_visits:
                        url = _address(spec, code, None, visit.event)
                        yield Blocker(BlockerKind.FORM, site, code, _name(spec, visit.event), url)
        stones = row.milestones
        if stones.randomized_on is None:
            if stones.not_eligible_on is None:
                what = _("Neither randomised nor a screen failure")
                yield Blocker(BlockerKind.SCREENING, site, code, what, reverse("subject", args=[code]))
            continue
        for spec in once:
            if _expected(spec, stones) and not row.entered[spec.code] and _visible(actor, spec, row.subject):
                yield Blocker(BlockerKind.FORM, site, code, _(str(spec.title)), _address(spec, code, None, ""))


_EVENTS = frozenset({"SCR", "BL", "RT", "EOS"})


def _expected(spec: CrfSpec, row: Milestones) -> bool:
    """Whether a randomised participant with these milestones should have the form."""
    if spec.event == "RT":
        return not row.never_irradiated
    if spec.event == "EOS":
        return row.death_date is not None or row.followup_ended_on is not None
    return True


def _drafts(actor: AnyActor, subjects: dict[int, Subject]) -> Iterator[Blocker]:
    """What somebody typed and never saved. Its content is that person's alone; here is only that there is one."""
    rows: Any = list_records(actor, Draft, "crf.view").filter(subject__in=subjects).select_related("user")
    for draft in rows.order_by("saved_at", "pk"):
        spec, subject = get_spec(draft.spec_code), subjects[draft.subject_id]
        if _visible(actor, spec, subject):
            what = _("%(form)s, typed by %(who)s on %(day)s") % {
                "form": _name(spec, draft.key),
                "who": draft.user,
                "day": draft.saved_at.astimezone(subject.site.zone).date().isoformat(),
            }
            url = reverse("subject", args=[subject.code])
            yield Blocker(BlockerKind.DRAFT, subject.site.code, subject.code, what, url)
