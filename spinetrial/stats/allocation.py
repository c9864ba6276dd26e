"""Arithmetic of treatment allocation: permuted blocks and minimisation. Nothing here draws at random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spinetrial.stats.checks import check_count, check_counts

# Weighted scores that are equal in decimals must tie.
_TIE = 1e-9
_MAX_BLOCK = 1000


class ImbalanceMeasure(StrEnum):
    """Imbalance of one factor level over the arms: range, or sample variance (n - 1)."""

    RANGE = "range"
    VARIANCE = "variance"


@dataclass(frozen=True, slots=True)
class MinimisationScores:
    """Weighted imbalance after adding the new patient to each arm; `preferred` is None on a tie."""

    measure: ImbalanceMeasure
    convention: str
    scores: dict[str, float]
    preferred: str | None


@dataclass(frozen=True, slots=True)
class BlockProperties:
    """Balance of an allocation list.

    `max_imbalance` is the largest difference of arm sizes anywhere in the list; `final_imbalance` is patients of the
    first arm named less those of the last at the end.
    """

    arms: tuple[str, ...]
    convention: str
    each_block_balanced: bool
    max_imbalance: int
    final_imbalance: int


def minimisation_scores(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]],
    patient: Mapping[str, str],
    weights: Mapping[str, float],
    measure: ImbalanceMeasure,
) -> MinimisationScores:
    """Scores of Pocock and Simon for a new patient.

    `counts[factor][level][arm]` are patients allocated so far, `patient[factor]` is the new patient's level. A level
    nobody has yet counts 0 in every arm. The arm with the lowest score is preferred; it is to be drawn with a
    probability below 1. Raises ValueError for a factor without counts or weight.
    Source: Pocock and Simon, Biometrics 1975;31:103-115.
    """
    measure = ImbalanceMeasure(measure)
    arms = list(dict.fromkeys(arm for levels in counts.values() for level in levels.values() for arm in level))
    if len(arms) < 2:
        raise ValueError("Minimisation needs counts of at least two arms.")
    if missing := [factor for factor in patient if factor not in counts or factor not in weights]:
        raise ValueError(f"There are no counts or no weight for: {', '.join(missing)}.")
    scores = {}
    for candidate in arms:
        score = 0.0
        for factor, level in patient.items():
            now = counts[factor].get(level, {})
            sizes = [check_count("A count", now.get(arm, 0)) + (arm == candidate) for arm in arms]
            spread = float(np.ptp(sizes)) if measure is ImbalanceMeasure.RANGE else float(np.var(sizes, ddof=1))
            score += weights[factor] * spread
        scores[candidate] = score
    lowest = min(scores.values())
    best = [arm for arm in arms if scores[arm] <= lowest + _TIE]
    convention = "Pocock-Simon, weighted sum over the patient's factor levels; lower is preferred."
    return MinimisationScores(measure, convention, scores, best[0] if len(best) == 1 else None)


def block_properties(allocations: Sequence[str], block_sizes: Sequence[int], arms: Sequence[str]) -> BlockProperties:
    """Balance of `allocations`, cut into blocks of the sizes given.

    Only complete blocks are judged for balance: a trial may stop inside one. A block whose size is not a multiple of
    the number of arms is never balanced. Raises ValueError for an arm that is not in `arms`, an empty block, or more
    allocations than the blocks hold.
    """
    if len(set(arms)) != len(arms) or len(arms) < 2:
        raise ValueError("At least two different arms are needed.")
    if set(allocations) - set(arms):
        raise ValueError("The list contains an arm that is not named.")
    sizes = check_counts("A block size", block_sizes)
    if 0 in sizes:
        raise ValueError("A block must hold at least one patient.")
    if len(allocations) > sum(sizes):
        raise ValueError("The list is longer than its blocks.")
    balanced, start = True, 0
    for size in sizes:
        block = list(allocations[start : start + size])
        if len(block) == size:
            balanced = balanced and all(block.count(arm) * len(arms) == size for arm in arms)
        start += size
    running = np.cumsum([[item == arm for arm in arms] for item in allocations] or np.zeros((1, len(arms))), axis=0)
    return BlockProperties(
        arms=tuple(arms),
        convention="Balance of complete blocks; imbalance is the largest less the smallest arm.",
        each_block_balanced=balanced,
        max_imbalance=int(np.max(np.ptp(running, axis=1))),
        final_imbalance=int(running[-1][0] - running[-1][-1]),
    )


def distinct_blocks(block_size: int, arms: int) -> int:
    """Number of different balanced blocks: size! / ((size/arms)!)^arms.

    Raises ValueError for a size that is not a positive multiple of the number of arms.
    """
    arms, block_size = check_count("The number of arms", arms), check_count("The block size", block_size)
    if not arms or not block_size or block_size % arms or block_size > _MAX_BLOCK:
        raise ValueError(f"The block size must be a positive multiple of the number of arms, at most {_MAX_BLOCK}.")
    return int(math.factorial(block_size) // math.factorial(block_size // arms) ** arms)
