"""The documented algorithm: frozen, balanced, and told apart from a second implementation of its description."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randomization.permuted_blocks import (
    ALGORITHM,
    LONGEST,
    ListedSlot,
    canonical_csv,
    generate,
    seal,
    splits_into_blocks,
)

ARMS, SIZES = ("LOCAL", "WHOLE"), (4, 6)
SEED = bytes(range(32))
seeds = st.binary(min_size=32, max_size=32)
strata = st.from_regex(r"[A-Z0-9]{2,8}", fullmatch=True)


def described(seed, stratum, length):
    """docs/randomization.md followed step by step, without looking at the program."""
    words, counter = [], 0

    def below(n):
        nonlocal counter
        while True:
            if not words:
                message = b"spinetrial-permuted-blocks/1|" + stratum.encode() + b"|" + counter.to_bytes(8, "big")
                digest = hmac.new(seed, message, hashlib.sha256).digest()
                words.extend(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 32, 4))
                counter += 1
            word = words.pop(0)
            if word < (2**32 // n) * n:
                return word % n

    arms = []
    while len(arms) < length:
        size = (4, 6)[below(2)]
        block = ["LOCAL"] * (size // 2) + ["WHOLE"] * (size // 2)
        for i in range(size - 1, 0, -1):
            j = below(i + 1)
            block[i], block[j] = block[j], block[i]
        arms += block
    return arms


def test_frozen_vector():
    """A change of this result is a change of the algorithm: it needs a new version string, not a new vector."""
    slots = generate(SEED, "NK", ARMS, SIZES, 20)
    assert ALGORITHM == "spinetrial-permuted-blocks/1"
    assert "".join(slot.arm[0] for slot in slots) == "WLLLWWLLWWWWLLLLWWLW"
    assert [slot.block_size for slot in slots] == [6] * 6 + [4] * 8 + [6] * 6
    assert (
        seal(canonical_csv("NK", ALGORITHM, SEED.hex(), slots))
        == "1983b950f9baca18d2c226255517565c3ed8782002ec1ba996fc59b789a5faa1"
    )


@given(seeds, strata, st.integers(1, 200))
def test_the_program_does_what_the_document_says(seed, stratum, at_least):
    slots = generate(seed, stratum, ARMS, SIZES, at_least)
    assert [slot.arm for slot in slots] == described(seed, stratum, at_least)


@given(seeds, strata, st.integers(1, 300))
def test_numbers_run_on_and_every_block_is_balanced(seed, stratum, at_least):
    slots = generate(seed, stratum, ARMS, SIZES, at_least)
    assert [slot.number for slot in slots] == list(range(1, len(slots) + 1))
    assert at_least <= len(slots) < at_least + max(SIZES)
    blocks = {}
    for slot in slots:
        blocks.setdefault(slot.block, []).append(slot)
    assert list(blocks) == list(range(1, len(blocks) + 1))
    for block in blocks.values():
        assert {slot.block_size for slot in block} == {len(block)}
        assert len(block) in SIZES
        assert [slot.arm for slot in block].count("LOCAL") * 2 == len(block)
    difference = 0
    for slot in slots:
        difference += 1 if slot.arm == "LOCAL" else -1
        assert abs(difference) <= max(SIZES) // 2


@given(seeds, st.integers(1, 100))
def test_a_longer_list_begins_like_the_shorter_one(seed, at_least):
    short = generate(seed, "NK", ARMS, SIZES, at_least)
    assert generate(seed, "NK", ARMS, SIZES, at_least + 30)[: len(short)] == short


def test_strata_of_one_seed_differ():
    assert generate(SEED, "NK", ARMS, SIZES, 40) != generate(SEED, "SH", ARMS, SIZES, 40)


def test_all_arrangements_of_a_block_are_about_equally_frequent():
    """6 arrangements of a block of 4 in 3000 lists: 500 expected, standard deviation 20.4."""
    seen = {}
    for number in range(3000):
        seed = hashlib.sha256(str(number).encode()).digest()
        key = "".join(slot.arm[0] for slot in generate(seed, "NK", ARMS, (4,), 4))
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 6
    assert all(abs(count - 500) < 5 * 20.4 for count in seen.values())


@pytest.mark.parametrize(
    ("seed", "arms", "sizes", "at_least"),
    [
        (b"short", ARMS, SIZES, 10),
        (SEED, ARMS, SIZES, 0),
        (SEED, ARMS, SIZES, LONGEST + 1),
        (SEED, ARMS, (5,), 10),
        (SEED, ARMS, (0,), 10),
        (SEED, ARMS, (), 10),
        (SEED, ("LOCAL",), (4,), 10),
        (SEED, ("LOCAL", "LOCAL"), (4,), 10),
    ],
)
def test_impossible_input_is_refused(seed, arms, sizes, at_least):
    with pytest.raises(ValueError):
        generate(seed, "NK", arms, sizes, at_least)


def test_the_seal_changes_with_every_part():
    slots = list(generate(SEED, "NK", ARMS, SIZES, 10))
    original = seal(canonical_csv("NK", ALGORITHM, SEED.hex(), slots))
    other_arm = {"LOCAL": "WHOLE", "WHOLE": "LOCAL"}[slots[3].arm]
    changed = [*slots[:3], ListedSlot(4, other_arm, slots[3].block, slots[3].block_size), *slots[4:]]
    assert seal(canonical_csv("NK", ALGORITHM, SEED.hex(), changed)) != original
    assert seal(canonical_csv("SH", ALGORITHM, SEED.hex(), slots)) != original
    assert seal(canonical_csv("NK", ALGORITHM, bytes(32).hex(), slots)) != original
    assert seal(canonical_csv("NK", "", SEED.hex(), slots)) != original


@given(seeds, st.integers(1, 60), st.integers(0, 5))
def test_a_list_of_blocks_is_recognised_even_when_cut_off(seed, at_least, cut):
    arms = [slot.arm for slot in generate(seed, "NK", ARMS, SIZES, at_least)]
    assert splits_into_blocks(arms[: max(len(arms) - cut, 1)], ARMS, SIZES)


@pytest.mark.parametrize("text", ["LLLL", "LLLWWWWWWW", "LWLWLLLLWWWW", "LLWLWL" + "LLLL"])
def test_a_list_without_balanced_blocks_is_told(text):
    assert not splits_into_blocks([{"L": "LOCAL", "W": "WHOLE"}[each] for each in text], ARMS, SIZES)
