"""What the page of a CRF says about verification and signature: at each item, and at the end of the form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse

from spinetrial.access.gate import SignedInRequest, may
from spinetrial.access.models import TrialState
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import record_hash
from spinetrial.crf.forms import CrfForm
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.reviewing import items_to_verify
from spinetrial.crf.spec import CrfSpec
from spinetrial.review import signatures, verification
from spinetrial.review.models import SignedRecord


@dataclass(frozen=True)
class ItemMark:
    """Of one item: "verified", "again" (verified, then changed), "waiting", or "" where the plan asks for nothing."""

    state: str = ""
    by: str = ""
    at: datetime | None = None
    unverify_url: str = ""  # for who may take it back
    may_verify: bool = False


@dataclass(frozen=True)
class Manifest:
    """A signature as 21 CFR 11.50 wants it shown: printed name, time, meaning; and whether it still holds."""

    name: str
    meaning: str
    signed_at: datetime
    void_at: datetime | None = None
    void_by: str = ""


@dataclass(frozen=True)
class Marks:
    """Of one record. `seen` is the hash of the version on the page; acts send it back."""

    items: dict[str, ItemMark] = field(default_factory=dict)
    critical: int = 0
    verified: int = 0
    left: int = 0  # items not verified, those beside the plan among them
    verify_url: str = ""
    seen: str = ""
    sign_url: str = ""
    signatures: Sequence[Manifest] = ()

    @property
    def signed(self) -> bool:
        """Whether a signature stands that a change would make void."""
        return any(each.void_at is None for each in self.signatures)


def manifests(rows: Iterable[SignedRecord], *, who: bool = True) -> list[Manifest]:
    """Signed records as they are shown, in the order given. `who`: one query more, for who made the void ones void."""
    rows = list(rows)
    voiding = AuditEntry.voiding(row.pk for row in rows if row.void_at) if who else {}
    return [
        Manifest(
            name=row.signature.signer_name,
            meaning=str(row.signature.get_meaning_display()),
            signed_at=row.signature.signed_at,
            void_at=row.void_at,
            void_by=voiding[row.pk].actor if row.pk in voiding else "",
        )
        for row in rows
    ]


def review_marks(
    request: SignedInRequest,
    spec: CrfSpec,
    subject: Any,
    record: SubjectRecord | None,
    form: CrfForm,
    *,
    readonly: bool,
) -> Marks:
    """The marks of a saved record; buttons only on the read-only page, where what is stored is what is shown."""
    if record is None:
        return Marks()
    user, site = request.user, subject.site_id
    locked = TrialState.current().state == TrialState.State.LOCKED
    may_verify = readonly and not locked and may(user, "sdv.verify", site)
    may_sign = readonly and not locked and may(user, "sign", site)
    here = [subject.code, spec.code, record.pk]
    everything, plan = items_to_verify(spec, record, all_items=True), items_to_verify(spec, record)
    rows = verification.verifications([subject.pk]).filter(spec_code=spec.code, record_id=record.pk)
    live, dropped = {}, set()
    for row in rows:
        if row.dropped_at is None:
            live[row.item] = row
        else:
            dropped.add(row.item)
    items = {}
    for name in everything:
        row = live.get(name)
        items[name] = ItemMark(
            state="verified" if row else "again" if name in dropped else "waiting" if name in plan else "",
            by=str(row.verified_by) if row else "",
            at=row.verified_at if row else None,
            unverify_url=reverse("unverify", args=[*here, name]) if row and may_verify else "",
            may_verify=may_verify and row is None,
        )
    signed = signatures.signed_records([subject.pk]).filter(spec_code=spec.code, record_id=record.pk)
    held = manifests(signed)
    seen = ""
    if may_verify:
        shown = {key: [row.instance for row in each.initial_forms] for key, each in form.formsets.items()}
        seen = record_hash(spec, record, shown)
    sign_url = f"{reverse('sign', args=[subject.code])}?form={spec.code}:{record.pk}" if may_sign else ""
    return Marks(
        items=items,
        critical=len(plan),
        verified=sum(1 for name in plan if name in live),
        left=len(everything) - len(live),
        verify_url=reverse("verify", args=here) if may_verify else "",
        seen=seen,
        sign_url=sign_url,
        signatures=held,
    )
