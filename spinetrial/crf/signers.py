"""Telling signers by e-mail that a signature became void, and that the lock of the trial was lifted.

What is to be told stands in the database, so a job that is doubled, late or killed loses nothing: a signed record
that is void and not yet told, an unlock on the audit trail without the event that a signer was told of it. Between
the mail server's answer and our own note of it a crash can double an e-mail. The worklist says the same at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, OuterRef, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from spinetrial.access.gate import list_records, may
from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting, record_event
from spinetrial.audit.clock import now
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import get_spec
from spinetrial.protocol import CURRENT, events
from spinetrial.review.models import SignedRecord

log = logging.getLogger(__name__)

TELLER = SystemActor("signature notices")
#: A mail server that fails longer than this is no reason to write about old news.
GIVE_UP = timedelta(days=2)
TOLD_OF_UNLOCK = "signer told of the unlock"


def tell_signers() -> int:
    """Tell every signer which signatures became void, in one e-mail a person; return how many were sent.

    Not told: who may no longer sign at the site, who has no address, and who has signed that record again.
    """
    signers = set(_void().values_list("signature__signer", flat=True))
    return sum(_tell_of_void(signer_id) for signer_id in sorted(signers))


def _void() -> QuerySet[SignedRecord]:
    """Signed records whose signer is to be told."""
    rows = list_records(TELLER, SignedRecord, "crf.view")
    since = rows.filter(
        spec_code=OuterRef("spec_code"),
        record_id=OuterRef("record_id"),
        signature__signer=OuterRef("signature__signer"),
        void_at__isnull=True,
    )
    return rows.filter(void_at__gt=now() - GIVE_UP, told_at__isnull=True).exclude(Exists(since))


def _tell_of_void(signer_id: int) -> bool:
    with acting(TELLER, "signer told that the signature is void"):
        # Held until the e-mail is out and noted; another teller passes over them meanwhile.
        held = _void().filter(signature__signer=signer_id).select_for_update(of=("self",), skip_locked=True)
        rows = list(held.select_related("subject", "signature__signer").order_by("subject__code", "id"))
        rows = [row for row in rows if _reachable(row)]
        if not rows:
            return False
        forms = [(row.subject.code, row.spec_code, row.event) for row in rows]
        if not _send(rows[0].signature.signer, "void", forms=list(dict.fromkeys(forms))):
            return False
        for row in rows:
            row.told_at = now()
            row.save(update_fields=["told_at"])
    return True


def tell_signers_of_unlock() -> int:
    """Tell everybody with a valid signature that the lock of the trial was lifted; return how many were sent.

    For the latest unlock, once a person. Call it after an unlock is committed; the periodic job calls it too.
    """
    entry = AuditEntry.latest_unlock()
    if entry is None or entry.at < now() - GIVE_UP:
        return 0
    valid = list_records(TELLER, SignedRecord, "crf.view").filter(void_at__isnull=True)
    signers = set(valid.values_list("signature__signer", flat=True)) - AuditEntry.told(TOLD_OF_UNLOCK, entry)
    sent = 0
    for signer_id in sorted(signers):
        with acting(TELLER, "signer told that the lock was lifted"):
            held = valid.filter(signature__signer=signer_id).select_for_update(of=("self",), skip_locked=True)
            rows = [row for row in held.select_related("subject", "signature__signer").order_by("id")[:1]]
            if not rows or signer_id in AuditEntry.told(TOLD_OF_UNLOCK, entry) or not _reachable(rows[0]):
                continue
            if _send(rows[0].signature.signer, "unlock"):
                record_event(TOLD_OF_UNLOCK, user_id=signer_id, detail={"entry": entry.pk, "user": signer_id})
                sent += 1
    return sent


def _reachable(row: SignedRecord) -> bool:
    signer = row.signature.signer
    subject: Any = row.subject
    return bool(signer.email) and may(signer, "sign", subject.site_id)


def _send(signer: User, kind: str, *, forms: Iterable[tuple[str, str, str]] = ()) -> bool:
    """One e-mail in the signer's language: codes of participants and titles of forms; no name, no value, no arm."""
    with translation.override(signer.language):
        context = {
            "kind": kind,
            "forms": [(subject, _(str(get_spec(code).title)), _event(event)) for subject, code, event in forms],
            "link": f"{settings.SITE_URL}{reverse('signing')}" if settings.SITE_URL else "",
        }
        heading = _("A signature of yours is void") if kind == "void" else _("The lock of the trial was lifted")
        body = render_to_string("crf/signer.txt", context).strip() + "\n"
    try:
        EmailMessage(heading, body, to=[signer.email]).send()
    except (SMTPException, OSError) as error:
        # The address stays out of the log.
        log.warning("Signer %s could not be told (%s): %s; tried again later", signer.pk, kind, type(error).__name__)
        return False
    return True


def _event(event: str) -> str:
    return "" if event == "ANY" else events.event_title(CURRENT, event, _)
