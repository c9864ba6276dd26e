"""Electronic signatures: who signed which version of which records, when, meaning what (21 CFR 11.50, 11.70).

These functions know no form. That the signer saw the very version that is signed is the business of
`spinetrial.crf.reviewing`. PostgreSQL voids a signature when its record changes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from spinetrial.access.gate import SYSTEM, check_may, list_records, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.review.models import Certification, Signature, SignedRecord
from spinetrial.review.verification import check_not_locked

#: Certification of 21 CFR 11.100(c), asked once per person and version.
CERTIFICATION_VERSION = "1"
CERTIFICATION_TEXT = gettext_noop(
    "I intend my electronic signature in this system to be the legally binding equivalent of my handwritten "
    "signature. My account is mine alone; I will not let anyone else use it, and I answer for what is signed with it."
)


class NotCertified(Exception):
    """The signer has not accepted the certification text yet."""


class NothingToSign(Exception):
    """No record was chosen, or the person signed each of them in this meaning before."""


@dataclass(frozen=True)
class Version:
    """The exact version of a record that is signed. `reveals_arm`: of its CRF."""

    spec_code: str
    record_id: int
    event: str
    row_version: int
    sha256: str
    reveals_arm: bool = False


def signed_records(subject_ids: Iterable[int]) -> Any:
    """Everything ever signed, void or not, of subjects the caller obtained through the gate; oldest first."""
    rows = list_records(SYSTEM, SignedRecord, "crf.view").filter(subject__in=list(subject_ids))
    return rows.select_related("signature__signer").order_by("signature__signed_at", "id")


def signed_keys(subject_ids: Iterable[int]) -> set[tuple[str, int]]:
    """Code of the CRF and number of every record with a valid signature. One query."""
    rows = signed_records(subject_ids).filter(void_at__isnull=True)
    return set(rows.values_list("spec_code", "record_id"))


def signature_state(subject_ids: Iterable[int]) -> dict[tuple[str, int], str]:
    """ "signed" or "void" for every record that was ever signed; "void" only where no valid one stands. One query."""
    found: dict[tuple[str, int], str] = {}
    for spec_code, record_id, void_at in signed_records(subject_ids).values_list("spec_code", "record_id", "void_at"):
        if void_at is None:
            found[spec_code, record_id] = "signed"
        else:
            found.setdefault((spec_code, record_id), "void")
    return found


def signatures_of(subject_ids: Iterable[int]) -> dict[tuple[str, int], list[SignedRecord]]:
    """The signed records with signature and signer, by record, oldest first. One query."""
    found: dict[tuple[str, int], list[SignedRecord]] = defaultdict(list)
    for row in signed_records(subject_ids):
        found[row.spec_code, row.record_id].append(row)
    return found


def certified(user: User) -> bool:
    """Whether the person accepted the certification text of today."""
    rows = list_records(SYSTEM, Certification, "sign").filter(user=user, version=CERTIFICATION_VERSION)
    return rows.exists()


def do_sign(
    actor: User,
    *,
    subject: Any,
    scope: str,
    meaning: str,
    versions: Sequence[Version],
    event: str = "",
    certify: bool = False,
) -> Signature:
    """Sign the versions, in one transaction with the certification where it is the first signing.

    The caller confirmed the person, holds the records locked and took their hashes under the lock. Raises
    PermissionDenied, TrialLocked, NotCertified, NothingToSign.
    """
    check_may(actor, "sign", subject.site_id)
    check_not_locked()
    before = signed_records([subject.pk]).filter(void_at__isnull=True, signature__signer=actor)
    mine = set(before.filter(signature__meaning=meaning).values_list("spec_code", "record_id"))
    versions = [each for each in versions if (each.spec_code, each.record_id) not in mine]
    if not versions:
        raise NothingToSign
    first = not certified(actor)
    if first and not certify:
        raise NotCertified
    with acting(actor, "electronic signature"):
        if first:
            certify_person(actor)
        signature = Signature(
            subject=subject, scope=scope, event=event, meaning=meaning, signer=actor, signer_name=actor.full_name,
            signed_at=now(),
        )  # fmt: skip
        signature.save()
        of_subject(subject, SignedRecord).bulk_create(
            SignedRecord(
                subject=subject, signature=signature, spec_code=each.spec_code, record_id=each.record_id,
                event=each.event, row_version=each.row_version, record_hash=each.sha256,
            )
            for each in versions
        )  # fmt: skip
        with translation.override("en"):  # the trail is kept in one language
            words = str(Signature.Meaning(meaning).label)
        record_event(
            "sign",
            subject_id=subject.pk,
            detail={
                "signature": signature.pk,
                "scope": scope,
                "meaning": words,
                "name": actor.full_name,
                "records": [f"{v.spec_code} {v.record_id} v{v.row_version} {v.sha256}" for v in versions],
            },
            reveals_arm=any(each.reveals_arm for each in versions),
        )
    return signature


def certify_person(actor: User) -> None:
    """Record that the person accepted the certification text. Inside `acting`."""
    # ignore_conflicts: two first signings at once, in two windows, are one certification
    list_records(SYSTEM, Certification, "sign").bulk_create(
        [
            Certification(
                user=actor,
                version=CERTIFICATION_VERSION,
                text_sha256=hashlib.sha256(CERTIFICATION_TEXT.encode()).hexdigest(),
                accepted_at=now(),
            )
        ],
        ignore_conflicts=True,
    )


def certification_text() -> str:
    """The certification in the reader's language."""
    return _(CERTIFICATION_TEXT)
