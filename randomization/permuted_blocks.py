"""Random permuted blocks from a seed: algorithm "spinetrial-permuted-blocks/1". docs/randomization.md tells it all.

The list follows from seed, stratum, arms and block sizes alone, by HMAC-SHA256 and integer arithmetic. Nothing of
Python's own `random` is used, whose results may differ between versions. The version string is part of every HMAC
message: a changed algorithm gets a new string and the old one stays, so that a sealed list can always be made again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ALGORITHM = "spinetrial-permuted-blocks/1"
SEED_BYTES = 32
#: Far more than a trial needs; stops a slip of the finger from making a list that takes minutes.
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class ListedSlot:
    """A place of a list. `block` and `block_size` are None where an imported file does not tell."""

    number: int
    arm: str
    block: int | None = None
    block_size: int | None = None


def generate(
    seed: bytes, stratum: str, arms: Sequence[str], block_sizes: Sequence[int], at_least: int
) -> tuple[ListedSlot, ...]:
    """Slots 1..n in whole blocks, n the first number >= `at_least` that ends a block; arms 1:1 in every block.

    Raises ValueError for a seed that is not 32 bytes, a block size that is no multiple of the number of arms, and a
    length outside 1 to 2000.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError("a seed has 32 bytes")
    if not 1 <= at_least <= LONGEST:
        raise ValueError(f"a list has 1 to {LONGEST} slots")
    if len(set(arms)) < 2 or len(set(arms)) != len(arms):
        raise ValueError("at least two different arms are needed")
    if not block_sizes or any(size < len(arms) or size % len(arms) for size in block_sizes):
        raise ValueError("a block holds every arm equally often")
    words = _words(seed, stratum)
    slots: list[ListedSlot] = []
    block = 0
    while len(slots) < at_least:
        block += 1
        size = block_sizes[_below(len(block_sizes), words)]
        content = [arm for arm in arms for _ in range(size // len(arms))]
        for last in range(size - 1, 0, -1):  # Fisher-Yates, from the end
            other = _below(last + 1, words)
            content[last], content[other] = content[other], content[last]
        first = len(slots) + 1
        slots.extend(ListedSlot(first + place, arm, block, size) for place, arm in enumerate(content))
    return tuple(slots)


def _words(seed: bytes, stratum: str) -> Iterator[int]:
    """32-bit numbers: HMAC-SHA256(seed, version | stratum | 0, 1, 2 ...), eight big-endian words each."""
    prefix = f"{ALGORITHM}|{stratum}|".encode()
    counter = 0
    while True:
        digest = hmac.new(seed, prefix + counter.to_bytes(8, "big"), hashlib.sha256).digest()
        yield from (int.from_bytes(digest[start : start + 4], "big") for start in range(0, 32, 4))
        counter += 1


def _below(limit: int, words: Iterator[int]) -> int:
    """A number from 0 to `limit` - 1, all equally likely: words in the incomplete last stretch are thrown away."""
    fair = 2**32 - 2**32 % limit
    while True:
        word = next(words)
        if word < fair:
            return word % limit


def canonical_csv(stratum: str, algorithm: str, secret: str, slots: Sequence[ListedSlot]) -> str:
    r"""The text whose SHA-256 seals a list: UTF-8, "\n" line ends, no quoting, no spaces.

    It holds the 32 secret bytes because a list alone is guessed too easily: ten blocks allow some 10**14 lists, and the
    treating team knows how theirs began. Without the secret nobody can try continuations against the published hash.
    """
    lines = [
        "spinetrial-list,1",
        f"stratum,{stratum}",
        f"algorithm,{algorithm or 'imported'}",
        f"secret,{secret}",
        "number,arm,block,block_size",
    ]
    lines += [f"{slot.number},{slot.arm},{slot.block or ''},{slot.block_size or ''}" for slot in slots]
    return "\n".join(lines) + "\n"


def seal(text: str) -> str:
    """SHA-256 of a canonical list, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def splits_into_blocks(sequence: Sequence[str], arms: Sequence[str], block_sizes: Sequence[int]) -> bool:
    """Whether the sequence can be cut into balanced blocks of these sizes; the last one may be cut off by the end."""
    ends = {0}
    for start in range(len(sequence)):
        if start not in ends:
            continue
        for size in block_sizes:
            piece = sequence[start : start + size]
            if all(piece.count(arm) <= size // len(arms) for arm in arms):
                ends.add(min(start + size, len(sequence)))
    return len(sequence) in ends
