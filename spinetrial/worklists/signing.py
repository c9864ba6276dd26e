"""Electronic signature: what awaits it, the page where it is given with everything in view, and its history."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import AnyActor, SignedInRequest, list_records, may, of_subject, requires
from spinetrial.access.models import TrialState
from spinetrial.access.reauthenticate import confirm_person, second_factor_enrolled
from spinetrial.analysis.overview import FIXED_EVENTS, Overview, expected_specs, overviews, visit_specs
from spinetrial.crf.content import Key, Stored, stored
from spinetrial.crf.display import answers_in_words, rows_in_words
from spinetrial.crf.marks import Manifest, manifests
from spinetrial.crf.reviewing import Changed, items_to_verify, sign, unsigned, visible_specs
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.views import answers_url, in_site_zone, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.review import signatures, verification
from spinetrial.review.models import Query, Signature, SignedRecord
from spinetrial.review.queries import LIVE
from spinetrial.worklists.queries import describe

_CHOICE = re.compile(r"([A-Z]{1,3}\.[A-Z]{1,12}):([0-9]{1,17}):([0-9a-f]{64})")
Scope = Signature.Scope


# --- what waits ---


@dataclass
class Waiting:
    """Of one participant: saved forms without a valid signature. `ready`: no open query; `void`: signed before."""

    ready: int = 0
    void: int = 0
    held: int = 0

    @property
    def what(self) -> str:
        words = ngettext("Sign %(n)d form", "Sign %(n)d forms", self.ready) % {"n": self.ready}
        if self.void:
            again = ngettext(
                "%(n)d signature void: sign again", "%(n)d signatures void: sign again", self.void
            ) % {"n": self.void}  # fmt: skip
            words = f"{words} ({again})" if self.ready else again
        return words


def awaiting_signature(actor: AnyActor, subjects: Iterable[Subject]) -> dict[int, Waiting]:
    """What waits for a signature, by subject id, of subjects obtained through the gate. A fixed number of queries."""
    ids = [subject.pk for subject in subjects]
    queried = set(
        list_records(actor, Query, "crf.view")
        .filter(subject__in=ids, state__in=LIVE)
        .order_by()
        .values_list("spec_code", "record_id")
    )
    found: dict[int, Waiting] = defaultdict(Waiting)
    for subject_id, spec, pk, _event, before in unsigned(actor, ids):
        waiting = found[subject_id]
        waiting.void += before == "void"
        if (spec.code, pk) in queried:
            waiting.held += 1
        else:
            waiting.ready += 1
    return {subject_id: waiting for subject_id, waiting in found.items() if waiting.ready or waiting.void}


@requires("sign")
@require_safe
def signing_list(request: SignedInRequest) -> HttpResponse:
    """Participants with complete forms that await the investigator's signature, void signatures first."""
    subjects = list_records(request.user, Subject, "sign").select_related("site").order_by("code")
    site = chosen_site(request, "sign")
    if site:
        subjects = subjects.filter(site=site)
    rows = list(subjects)
    waiting = awaiting_signature(request.user, rows)
    lines = [(subject, waiting[subject.pk]) for subject in rows if subject.pk in waiting]
    lines.sort(key=lambda line: not line[1].void)
    return render(request, "worklists/signing.html", {"lines": lines})


# --- the page where one signs ---


@dataclass
class Sheet:
    """One record on the page: everything in words, and what stands against signing it."""

    stored: Stored
    title: str
    event: str
    url: str
    state: str  # "signed", "void" or ""
    sections: Sequence[Any]
    grids: Sequence[Any]
    queries: list[dict[str, Any]] = field(default_factory=list)
    unverified: int = 0
    chosen: bool = False
    held: list[Manifest] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return self.stored.key

    @property
    def value(self) -> str:
        """What the tick posts: the record and the hash of the version on this page."""
        return f"{self.stored.spec.code}:{self.stored.record.pk}:{self.stored.sha256}"

    @property
    def name(self) -> str:
        return f"{self.title}, {self.event}" if self.event else self.title


def _specs_of(request: SignedInRequest, subject: Subject) -> tuple[str, str, list[CrfSpec], list[Key] | None]:
    """Scope, event, CRFs and, for one form, its key, from the address. Raises Http404."""
    specs = visible_specs(request.user, subject.site_id)
    if "form" in request.GET:
        code, _colon, pk = request.GET["form"].partition(":")
        if not (pk.isascii() and pk.isdigit() and len(pk) < 18) or code not in {spec.code for spec in specs}:
            raise Http404
        return Scope.FORM, "", specs, [(code, int(pk))]
    if "event" in request.GET:
        event = request.GET["event"]
        if event not in FIXED_EVENTS and not events.is_follow_up(CURRENT, event):
            raise Http404
        return Scope.VISIT, event, specs, None
    return Scope.SUBJECT, "", specs, None


def _sheets(subject: Subject, specs: list[CrfSpec], event: str, only: list[Key] | None) -> list[Sheet]:
    """The saved forms in the order of the schedule. The number of queries does not grow with them."""
    found = [each for each in stored([subject.pk], specs, only=only) if not event or each.event == event]
    found.sort(key=lambda each: events.event_order(CURRENT, each.event))
    state = signatures.signature_state([subject.pk])
    held = _manifests_by_key(signatures.signed_records([subject.pk]))
    verified = verification.verified_items([subject.pk])
    asked: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for query in of_subject(subject, Query).filter(state__in=LIVE).select_related("subject__site"):
        asked[query.spec_code, query.record_id].append(describe(query))
    return [
        Sheet(
            stored=each,
            title=_(str(each.spec.title)),
            event=events.event_title(CURRENT, each.event, _) if each.event != "ANY" else "",
            url=answers_url(each.spec, subject.code, record_key(each.spec, each.record.pk, each.event)),
            state=state.get(each.key, ""),
            sections=answers_in_words(each.spec, each.record),
            grids=rows_in_words(each.spec, each.rows),
            queries=asked[each.key],
            unverified=sum(1 for item in items_to_verify(each.spec, each.record) if (*each.key, item) not in verified),
            held=held[each.key],
        )
        for each in found
    ]


def _manifests_by_key(rows: Iterable[SignedRecord]) -> dict[Key, list[Manifest]]:
    signed = list(rows)
    found: dict[Key, list[Manifest]] = defaultdict(list)
    for row, manifest in zip(signed, manifests(signed), strict=True):
        found[row.spec_code, row.record_id].append(manifest)
    return found


def _missing(row: Overview, event: str, specs: list[CrfSpec]) -> list[str]:
    """Forms that are expected by now and not entered, in words; of one event or of all."""
    found: list[tuple[str, CrfSpec]] = []
    for code in FIXED_EVENTS:
        if row.cells[code].state not in ("not_yet", "not_expected"):
            found += [(code, spec) for spec in expected_specs(code) if not row.entered[spec.code]]
    for visit in row.visits:
        if visit.is_open or (visit.actual is not None and not visit.planned.unscheduled):
            entered = {"F.VISIT": visit.visit_id, "F.IMAGING": visit.imaging_id}
            found += [(visit.event, spec) for spec in visit_specs() if entered[spec.code] is None]
    return [
        f"{_(str(spec.title))}, {events.event_title(CURRENT, code, _)}"
        for code, spec in found
        if spec in specs and event in ("", code)
    ]


@requires("sign")
@sensitive_post_parameters("password", "code")
@in_site_zone
def sign_page(request: SignedInRequest, subject: Subject) -> HttpResponse:
    """Everything that is signed on one page: `?form=CODE:number`, `?event=` or the whole participant.

    What was ticked and typed comes back with every refusal, but for the password.
    """
    if not may(request.user, "sign", subject.site_id):
        raise PermissionDenied
    scope, event, specs, only = _specs_of(request, subject)
    errors: dict[str, str] = {}
    sheets = _sheets(subject, specs, event, only)
    if only and not sheets:
        raise Http404
    open_sheets = [sheet for sheet in sheets if sheet.state != "signed"]
    for sheet in open_sheets:
        sheet.chosen = not sheet.queries
    if request.method == "POST":
        made = _sign(request, subject, open_sheets, scope, event, errors)
        if made is not None:
            count = made.records.count()
            messages.success(request, ngettext("Signed: %(n)d form.", "Signed: %(n)d forms.", count) % {"n": count})
            return redirect("signatures", subject.code)
        if "changed" in errors:
            # What is there now, to be looked at before it is signed.
            fresh = _sheets(subject, specs, event, only)
            ticked = {sheet.key for sheet in open_sheets if sheet.chosen}
            open_sheets = [sheet for sheet in fresh if sheet.state != "signed"]
            sheets = fresh
            for sheet in open_sheets:
                sheet.chosen = sheet.key in ticked
    context = {
        "subject": subject,
        "scope": scope,
        "scope_title": _scope_title(scope, event, sheets),
        "open_sheets": open_sheets,
        "signed_sheets": [sheet for sheet in sheets if sheet.state == "signed"],
        "missing": _missing(overviews(request.user, [subject])[0], event, specs) if scope != Scope.FORM else [],
        "any_queries": any(sheet.queries for sheet in open_sheets),
        "meanings": Signature.Meaning.choices,
        "meaning": request.POST.get("meaning", Signature.Meaning.REVIEWED),
        "certification": "" if signatures.certified(request.user) else signatures.certification_text(),
        "certify": "certify" in request.POST,
        "despite_queries": "despite_queries" in request.POST,
        "ask_code": second_factor_enrolled(request.user),
        "locked": TrialState.current().state == TrialState.State.LOCKED,
        "errors": errors,
    }
    return render(request, "worklists/sign.html", context, status=422 if errors else 200)


def _scope_title(scope: str, event: str, sheets: Sequence[Sheet]) -> str:
    if scope == Scope.FORM:
        return sheets[0].name
    return events.event_title(CURRENT, event, _) if event else _("Whole participant")


def _sign(
    request: SignedInRequest, subject: Subject, sheets: list[Sheet], scope: str, event: str, errors: dict[str, str]
) -> Signature | None:
    """Sign what was posted, or say in `errors` by field why not. Cheap refusals come before the password is asked."""
    posted = request.POST
    seen: dict[Key, str] = {}
    for choice in posted.getlist("record"):
        match = _CHOICE.fullmatch(choice)
        if match:
            seen[match[1], int(match[2])] = match[3]
    there = {sheet.key: sheet for sheet in sheets}
    for sheet in sheets:
        sheet.chosen = sheet.key in seen
    if TrialState.current().state == TrialState.State.LOCKED:
        errors["form"] = _("The trial is locked: nothing can be signed. Nothing was changed.")
    elif not seen:
        errors["form"] = _("Tick at least one form. Nothing was signed.")
    elif not set(seen) <= set(there):
        errors["changed"] = _("Some of these forms were signed or removed meanwhile. Nothing was signed; look again.")
    elif changed := [key for key, digest in seen.items() if there[key].stored.sha256 != digest]:
        errors["changed"] = _changed(there[key].name for key in changed)
    elif any(there[key].queries for key in seen) and "despite_queries" not in posted:
        errors["despite_queries"] = _("Forms with open queries are ticked: confirm below, or take the ticks away.")
    meaning = posted.get("meaning", "")
    if meaning not in Signature.Meaning.values:
        errors["meaning"] = _("Choose what the signature means.")
    if "certify" not in posted and not signatures.certified(request.user):
        errors["certify"] = _("The first signature needs this certification.")
    if errors:
        return None
    errors |= confirm_person(
        request, posted.get("password", ""), posted.get("code", ""), purpose="signature", subject_id=subject.pk
    )
    if errors:
        return None
    if scope == Scope.FORM:
        event = next(iter(there.values())).stored.event
    try:
        return sign(
            request.user, subject, seen, meaning=meaning, scope=scope, event=event, certify="certify" in posted
        )  # fmt: skip
    except Changed as refusal:
        errors["changed"] = _changed(there[key].name for key in refusal.keys)
    except verification.TrialLocked:
        errors["form"] = _("The trial is locked: nothing can be signed. Nothing was changed.")
    except signatures.NothingToSign:
        errors["changed"] = _("Some of these forms were signed or removed meanwhile. Nothing was signed; look again.")
    return None


def _changed(names: Iterable[str]) -> str:
    return _(
        "Changed while the page was open: %(forms)s. Nothing was signed. The newest answers are below; look at them, "
        "then sign again."
    ) % {"forms": "; ".join(names)}


# --- history ---


def signature_acts(actor: AnyActor, subject: Subject, *, who: bool = True) -> list[dict[str, Any]]:
    """Acts of signing, newest first, each with its records; `who` made a void one void costs one query."""
    specs = {spec.code: spec for spec in visible_specs(actor, subject.site_id)}
    rows = [row for row in signatures.signed_records([subject.pk]) if row.spec_code in specs]
    acts: dict[int, dict[str, Any]] = {}
    for row, manifest in zip(rows, manifests(rows, who=who), strict=True):
        act = acts.setdefault(row.signature_id, {"signature": row.signature, "records": [], "void": 0})
        spec = specs[row.spec_code]
        title = _(str(spec.title))
        if row.event != "ANY":
            title = f"{title}, {events.event_title(CURRENT, row.event, _)}"
        act["void"] += row.void_at is not None
        act["records"].append(
            {
                "title": title,
                "url": answers_url(spec, subject.code, record_key(spec, row.record_id, row.event)),
                "hash": row.record_hash,
                "void_at": manifest.void_at,
                "void_by": manifest.void_by,
            }
        )
    return list(reversed(acts.values()))


@requires("crf.view")
@require_safe
@in_site_zone
def signature_history(request: SignedInRequest, subject: Subject) -> HttpResponse:
    """Every signature of a participant, void ones too: by whom, when, meaning what, over which forms."""
    context = {
        "subject": subject,
        "acts": signature_acts(request.user, subject),
        "may_sign": may(request.user, "sign", subject.site_id),
    }
    return render(request, "worklists/signatures.html", context)
