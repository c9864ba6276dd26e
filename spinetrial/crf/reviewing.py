"""Verifying and signing what a person saw: the version on their screen, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from spinetrial.access.gate import AnyActor, check_may, list_records, masked
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.crf.content import Key, Stored, stored
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec
from spinetrial.review import signatures, verification
from spinetrial.review.models import Signature


class Changed(Exception):
    """Records changed between showing them and this act. Nothing was written. `keys` names them."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        super().__init__(", ".join(f"{code} {pk}" for code, pk in self.keys))


# --- the plan of source data verification, met with the data ---


@dataclass(frozen=True)
class SdvForm:
    """One saved record, as far as its items are shown: what is critical, what is verified, what is to verify again.

    `verified` and `again` hold items beside the plan too, that a monitor verified of their own accord.
    """

    subject_id: int
    spec: CrfSpec
    record_id: int
    event: str
    critical: tuple[str, ...]
    verified: frozenset[str]
    again: tuple[str, ...]

    @property
    def waiting(self) -> tuple[str, ...]:
        """Critical items that are not verified, those to verify again among them."""
        return tuple(item for item in self.critical if item not in self.verified)


def items_to_verify(spec: CrfSpec, record: SubjectRecord, *, all_items: bool = False) -> tuple[str, ...]:
    """What a monitor compares with the source, in the order of the form: shown items of the plan and groups of rows.

    An item without an answer counts too: the source may have one. `all_items`: also what the plan does not ask.
    """
    plan = spec.critical()
    names = [item.name for item in spec.shown(record)] + [group.key for group in spec.rows]
    return tuple(name for name in names if all_items or name in plan)


def visible_specs(actor: AnyActor, site_id: int | None = None) -> list[CrfSpec]:
    """The CRFs `actor` may see: those that reveal the arm only for the unmasked."""
    hidden = masked(actor, site_id)
    return [spec for spec in all_specs() if not (hidden and spec.reveals_arm)]


def sdv_of(actor: AnyActor, subject_ids: Iterable[int]) -> list[SdvForm]:
    """Every saved record with critical items, of subjects the caller obtained through the gate.

    A fixed number of queries: one per CRF, and one for all verifications.
    """
    ids = list(subject_ids)
    live: dict[Key, set[str]] = {}
    dropped: dict[Key, set[str]] = {}
    rows = verification.verifications(ids).values_list("spec_code", "record_id", "item", "dropped_at")
    for code, record_id, item, dropped_at in rows:
        (dropped if dropped_at else live).setdefault((code, record_id), set()).add(item)
    found = []
    for spec in visible_specs(actor):
        if not spec.critical():
            continue
        records: Any = list_records(actor, spec.model, "crf.view").filter(subject__in=ids).order_by("pk")
        for record in records:
            key = spec.code, record.pk
            critical = items_to_verify(spec, record)
            verified = frozenset(live.get(key, ()))
            found.append(
                SdvForm(
                    subject_id=record.subject_id,
                    spec=spec,
                    record_id=record.pk,
                    event=getattr(record, "event", spec.event),
                    critical=critical,
                    verified=verified,
                    again=tuple(
                        item
                        for item in items_to_verify(spec, record, all_items=True)
                        if item in dropped.get(key, ()) and item not in verified
                    ),
                )
            )
    return found


# --- acts ---


def _locked(actor: User, action: str, subject: Any, seen: Mapping[Key, str]) -> list[Stored]:
    """The records as they are now, held until the transaction ends. Raises Changed.

    Takes the subject's lock first, as every save does, so that the two never wait for each other.
    """
    model = apps.get_model("patients", "Subject")
    list_records(actor, model, action).select_for_update(of=("self",)).get(pk=subject.pk)
    found = list(stored([subject.pk], visible_specs(actor, subject.site_id), only=seen, lock=True))
    as_seen = {each.key for each in found if each.sha256 == seen[each.key]}
    if len(as_seen) != len(seen):
        raise Changed(key for key in seen if key not in as_seen)
    return found


def verify(actor: User, subject: Any, key: Key, seen: str, items: Iterable[str] | None = None, **scope: bool) -> int:
    """Mark items of a record as compared with the source: those named, else all of the plan, or with
    `all_items=True` the whole form. Returns how many are newly verified.

    `seen` is the hash of the version the person looked at. Raises PermissionDenied, verification.TrialLocked, Changed
    (also when the record is gone), KeyError for an item the form does not show.
    """
    check_may(actor, "sdv.verify", subject.site_id)
    with acting(actor, "compared with the source"):
        (now_there,) = _locked(actor, "sdv.verify", subject, {key: seen})
        possible = items_to_verify(now_there.spec, now_there.record, all_items=True)
        if items is None:
            chosen = items_to_verify(now_there.spec, now_there.record, **scope)
        else:
            chosen = tuple(items)
            for name in chosen:
                if name not in possible:
                    raise KeyError(name)
        return verification.do_verify(
            actor,
            subject=subject,
            spec_code=now_there.spec.code,
            record_id=now_there.record.pk,
            event=now_there.event,
            items=chosen,
        )


def sign(
    actor: User,
    subject: Any,
    seen: Mapping[Key, str],
    *,
    meaning: str,
    scope: str,
    event: str = "",
    certify: bool = False,
) -> Signature:
    """Sign the records whose hashes the person saw: all of them or none.

    The person was confirmed by `access.reauthenticate`. Raises PermissionDenied, verification.TrialLocked, Changed,
    signatures.NotCertified, signatures.NothingToSign.
    """
    check_may(actor, "sign", subject.site_id)
    with acting(actor, "electronic signature"):
        found = _locked(actor, "sign", subject, seen)
        return signatures.do_sign(
            actor,
            subject=subject,
            scope=scope,
            event=event,
            meaning=meaning,
            certify=certify,
            versions=_versions(found),
        )


def _versions(found: Sequence[Stored]) -> list[signatures.Version]:
    return [
        signatures.Version(
            spec_code=each.spec.code,
            record_id=each.record.pk,
            event=each.event,
            row_version=each.record.row_version,
            sha256=each.sha256,
            reveals_arm=each.spec.reveals_arm,
        )
        for each in found
    ]


def unsigned(actor: AnyActor, subject_ids: Iterable[int]) -> Iterator[tuple[int, CrfSpec, int, str, str]]:
    """Saved records without a valid signature: subject, CRF, number, event, and "void" or "".

    A fixed number of queries, one per CRF.
    """
    ids = list(subject_ids)
    state = signatures.signature_state(ids)
    for spec in visible_specs(actor):
        per_event = hasattr(spec.model, "event")
        columns = ("subject_id", "pk", "event") if per_event else ("subject_id", "pk")
        rows: Any = list_records(actor, spec.model, "crf.view").filter(subject__in=ids).order_by("pk")
        for subject_id, pk, *event in rows.values_list(*columns):
            if state.get((spec.code, pk)) != "signed":
                yield subject_id, spec, pk, event[0] if event else spec.event, state.get((spec.code, pk), "")
