"""The protocol versions, their hashes, and the record that holds a released version fixed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from spinetrial.protocol.model import Protocol
from spinetrial.protocol.v1_0 import PROTOCOL as V1_0

VERSIONS: dict[str, Protocol] = {V1_0.version: V1_0}
CURRENT = V1_0
RELEASED_FILE = Path(__file__).with_name("released.json")


class ProtocolChanged(Exception):
    """A released protocol version no longer has the hash on record, or has no hash on record."""


def get(version: str) -> Protocol:
    """The protocol of that version. Raises KeyError for a version that does not exist."""
    return VERSIONS[version]


def protocol_hash(protocol: Protocol) -> str:
    """SHA-256 (hex) over a canonical JSON text of every value, class name, basis and rule identifier."""
    text = json.dumps(_plain(protocol), sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def released_hashes() -> dict[str, str]:
    """Version -> hash, as committed when the version was released."""
    record: dict[str, str] = json.loads(RELEASED_FILE.read_text("utf-8"))
    return record


def check_released(versions: Mapping[str, Protocol] | None = None, record: Mapping[str, str] | None = None) -> None:
    """Raise ProtocolChanged unless every version has exactly the hash on record, and none is gone."""
    versions = VERSIONS if versions is None else versions
    record = released_hashes() if record is None else record
    for missing in sorted(set(record) - set(versions)):
        raise ProtocolChanged(f"Protocol version {missing} is on record but its file is gone.")
    for version, protocol in versions.items():
        actual = protocol_hash(protocol)
        if version != protocol.version:
            raise ProtocolChanged(f"Protocol version {protocol.version} is listed as {version}.")
        if version not in record:
            raise ProtocolChanged(f"Protocol version {version} has no hash on record; its hash is {actual}.")
        if record[version] != actual:
            raise ProtocolChanged(
                f"Protocol version {version} has changed: hash {actual}, on record {record[version]}. "
                "A released version never changes; write a new version."
            )


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        values = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"": type(value).__name__, **values}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} cannot stand in a protocol")
