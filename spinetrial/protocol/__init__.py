"""The trial protocol as one frozen object. Import `eligibility` and `schedule` from their own modules."""

from spinetrial.protocol.registry import (
    CURRENT,
    VERSIONS,
    ProtocolChanged,
    check_released,
    get,
    protocol_hash,
    released_hashes,
)

__all__ = [
    "CURRENT",
    "VERSIONS",
    "ProtocolChanged",
    "check_released",
    "get",
    "protocol_hash",
    "released_hashes",
]
