"""Signed anchors: the heads of all chains at one time, kept apart from the database.

A chain alone does not show that its newest entries were cut off together with the head, or that a whole chain was
written anew. An anchor does: each head it names must still stand at its place. The file is JSON; the Ed25519
signature covers everything else in it as JSON with sorted keys and no spaces, UTF-8.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings
from django.db import connection, transaction

from spinetrial.audit.chain import BrokenLink, broken_links


class AnchorRefused(Exception):
    """The anchor cannot be written or is not to be trusted; the text says why and what to do."""


def anchor_directory() -> Path:
    return Path(settings.DATA_DIR) / "anchors"


def signing_key() -> Ed25519PrivateKey:
    """The private key of this installation, made at the first use with its public half beside it (`.pub`).

    Raises AnchorRefused when the file cannot be read or written.
    """
    path = Path(settings.AUDIT_ANCHOR_KEY_FILE)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            path.with_suffix(".pub").write_bytes(public)
        found = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise AnchorRefused(f"The anchor key {path} cannot be used: {error}") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise AnchorRefused(f"The anchor key {path} is not an Ed25519 key.")
    return found


def _signed_bytes(content: dict[str, Any]) -> bytes:
    rest = {key: value for key, value in content.items() if key != "signature"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write_anchor(directory: Path | None = None) -> Path:
    """Check every chain, then write the heads to a new signed file; return its path.

    The file appears whole or not at all. Raises AnchorRefused when a chain is broken or the file cannot be written.
    """
    # One view of the database for heads and entries, or a writer in between would look like a fault.
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        faults = broken_links()
        if faults:
            raise AnchorRefused(f"The trail is broken ({len(faults)} chains); run verify_audit.")
        with connection.cursor() as cursor:
            cursor.execute("SELECT key, seq, head FROM audit_auditchain ORDER BY key")
            heads = {key: [seq, head] for key, seq, head in cursor.fetchall()}
    made_at = datetime.now(UTC)
    content: dict[str, Any] = {
        "what": "SpineTrial audit anchor 1",
        "made_at": made_at.isoformat(),
        "chains": len(heads),
        "entries": sum(seq for seq, _head in heads.values()),
        "heads": heads,
    }
    content["signature"] = base64.b64encode(signing_key().sign(_signed_bytes(content))).decode()
    place = directory or anchor_directory()
    path = place / f"anchor-{made_at:%Y%m%dT%H%M%S%fZ}.json"
    part = path.with_suffix(".part")
    try:
        place.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise AnchorRefused(f"The anchor could not be written to {place}: {error.strerror}") from error
    return path


def read_anchor(path: Path, public_key: Path | None = None) -> dict[str, Any]:
    """The content of an anchor whose signature fits the key of this installation, or `public_key` (PEM).

    Raises AnchorRefused.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        signature = base64.b64decode(content["signature"])
        heads = content["heads"]
        known = load_pem_public_key(public_key.read_bytes()) if public_key else signing_key().public_key()
        if not isinstance(known, Ed25519PublicKey):
            raise AnchorRefused(f"{public_key} is not an Ed25519 key.")
        known.verify(signature, _signed_bytes(content))
        for seq, head in heads.values():
            int(seq), str(head)
    except OSError as error:
        raise AnchorRefused(f"{path} cannot be read: {error.strerror}") from error
    except InvalidSignature:
        raise AnchorRefused(f"{path} was altered or signed with another key.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AnchorRefused(f"{path} is no anchor.") from None
    return dict(content)


def departures(content: dict[str, Any]) -> list[BrokenLink]:
    """Chains whose anchored head no longer stands at its place; empty when the trail continues the anchor."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.key, (a.value ->> 0)::bigint, e.hash IS NULL"
            " FROM jsonb_each(%s::jsonb) AS a"
            " LEFT JOIN audit_auditentry e ON e.chain = a.key AND e.seq = (a.value ->> 0)::bigint"
            " WHERE (a.value ->> 0)::bigint > 0 AND e.hash IS DISTINCT FROM a.value ->> 1 ORDER BY a.key",
            [json.dumps(content["heads"])],
        )
        return [
            BrokenLink(
                key,
                seq,
                "the anchored entry is missing: the end of the chain was cut off"
                if missing
                else "the entry is not the anchored one: the chain was written anew",
            )
            for key, seq, missing in cursor.fetchall()
        ]
