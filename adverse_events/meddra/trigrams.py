"""Likeness of short texts by shared trigrams, over posting lists that PostgreSQL stores and numpy counts.

PostgreSQL's own pg_trgm is not used: in a cluster without locale, as the embedded one is, it sees no Chinese letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int32]

#: Row of the posting table that holds the number of trigrams of each name instead of places.
SIZES = ""
# Chinese and Japanese have no spaces between words: there, single characters and pairs take the part of trigrams.
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_WIDE}]+|[^\W_{_WIDE}]+")
_IS_WIDE = re.compile(f"[{_WIDE}]")
#: How much the words one looks for, and the words a name has beyond them, weigh (Tversky's index).
_MISSING, _BEYOND = 0.7, 0.3


def folded(text: str) -> str:
    """One spelling for texts that differ only in case, width, accents of form or spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def grams(text: str) -> set[str]:
    found: set[str] = set()
    for word in _WORD.findall(folded(text)):
        if _IS_WIDE.match(word):
            found.update(word)
            found.update(word[place : place + 2] for place in range(len(word) - 1))
        else:
            padded = f"  {word} "
            found.update(padded[place : place + 3] for place in range(len(padded) - 2))
    return found


def index(names: Sequence[str]) -> dict[str, bytes]:
    """Posting lists of names, whose places are their numbers in the sequence."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    sizes = np.zeros(len(names), np.int32)
    for place, name in enumerate(names):
        each = grams(name)
        sizes[place] = len(each)
        for gram in each:
            places[gram].append(place)
    return {SIZES: sizes.tobytes(), **{gram: np.array(found, np.int32).tobytes() for gram, found in places.items()}}


def best(wanted: set[str], postings: Mapping[str, bytes], limit: int) -> list[tuple[int, float]]:
    """The places most like the wanted trigrams with their likeness from 0 to 1, best first. 1: the same trigrams."""
    sizes = np.frombuffer(postings.get(SIZES, b""), np.int32)
    if not wanted or not len(sizes):
        return []
    shared = np.zeros(len(sizes), np.int32)
    for gram in wanted:
        if gram in postings:
            shared[np.frombuffer(postings[gram], np.int32)] += 1
    candidates = np.flatnonzero(shared)
    both = shared[candidates]
    likeness = both / (both + _MISSING * (len(wanted) - both) + _BEYOND * (sizes[candidates] - both))
    if len(candidates) > limit:
        top = np.argpartition(-likeness, limit)[:limit]
        candidates, likeness = candidates[top], likeness[top]
    order = np.lexsort((candidates, -likeness))
    return [(int(candidates[each]), float(likeness[each])) for each in order]
