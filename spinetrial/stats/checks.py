"""Refusals shared by the modules: input that cannot be data raises `ValueError` with a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def check_count(name: str, value: int) -> int:
    """`value` as an int; refuses booleans, fractions and negative numbers."""
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(f"{name} must be a whole number, not {value!r}.")
    if value < 0:
        raise ValueError(f"{name} must not be negative, but is {value}.")
    return int(value)


def check_counts(name: str, values: Iterable[int]) -> list[int]:
    """Each of `values` as an int, refused as in `check_count`."""
    return [check_count(name, value) for value in values]


def check_binomial(x: int, n: int, arm: str = "") -> tuple[int, int]:
    """The pair (responders, patients); refuses more responders than patients."""
    of = f" of the {arm} arm" if arm else ""
    x, n = check_count(f"The number of responders{of}", x), check_count(f"The number of patients{of}", n)
    if x > n:
        raise ValueError(f"The number of responders{of} ({x}) exceeds the number of patients ({n}).")
    return x, n


def check_fraction(name: str, value: float) -> float:
    """`value` strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, but is {value}.")
    return float(value)


def check_rate(name: str, value: float) -> float:
    """`value` between 0 and 1, limits included."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, but is {value}.")
    return float(value)


def check_margin(margin: float) -> float:
    """A margin for a difference of proportions, strictly between -1 and 1."""
    if not -1 < margin < 1:
        raise ValueError(f"The margin must lie between -1 and 1, but is {margin}.")
    return float(margin)


def finite_array(name: str, values: Sequence[float] | Floats) -> Floats:
    """`values` as a float array; refuses NaN and infinite entries."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a plain list of numbers.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must not contain missing or infinite numbers.")
    return array


def check_table(rows: Sequence[Sequence[int]]) -> Ints:
    """A table of counts as an integer array; refuses ragged, empty or negative tables."""
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("A table needs rows of equal length with at least one cell.")
    cells = [check_counts("A cell of the table", row) for row in rows]
    return np.array(cells, dtype=np.int64)


def round_up(value: float) -> int:
    """Smallest whole number not below `value`.

    58 x 1.1 or 60 x 1.1 are a hair above the whole number in binary arithmetic; the slack of 1e-9 keeps a
    sample size from growing by one patient for that.
    """
    return math.ceil(value - 1e-9)
