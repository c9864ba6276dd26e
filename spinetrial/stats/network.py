"""Fisher-Freeman-Halton test of an r x c table: the network algorithm of Mehta and Patel.

Columns are filled one at a time; a node is what is left of the row totals (sorted: the order of the rows does not
matter), an edge is one way to fill the next column. The weight of a table is the sum of -log(cell!) over its cells, so
tables with the same margins compare by it. From every node the heaviest and the lightest way to the end is known: a
path whose tables all stay at or below the observed weight is counted at once, one whose tables all lie above it is
dropped, only the others go on, and those that reach a node with the same weight go on as one.
Source: Mehta and Patel, JASA 1983;78:427-434.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from spinetrial.stats.checks import Floats, Ints

# Limits of work: some 10 s and 1 GB.
_MAX_EDGES = 12_000_000
_MAX_NODES = 100_000
_MAX_PATHS = 40_000_000
_MAX_HELD = 4_000_000
# Weights that are equal in exact arithmetic differ in the last bits; they are merged on a grid of this width, far
# below the slack by which two tables count as equally likely.
_WEIGHT_GRID = 1e-9


class _TooManyTables(Exception):
    """The enumeration has outgrown its limits."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """The nodes before one column is filled, and their edges: those of node i are `first[i]` to `first[i + 1]`."""

    first: Ints
    child: Ints
    weight: Floats


@dataclass(frozen=True, slots=True)
class _Paths:
    """Partial tables that have reached `node` with `weight`, `count` of them."""

    node: Ints
    weight: Floats
    count: Floats


def freeman_halton_p(table: Ints, slack: float) -> float | None:
    """Probability of all tables with the margins of `table` that are not more likely than it; None if too many.

    `slack` is the relative difference within which two tables are equally likely. No row or column may be empty.
    """
    if table.shape[0] > table.shape[1]:
        table = table.T
    try:
        return _Network(table, slack).share()
    except _TooManyTables:
        return None


class _Network:
    """All tables with the margins of one table (rows no more than columns)."""

    def __init__(self, table: Ints, slack: float) -> None:
        rows = np.sort(table.sum(axis=1))
        # Small columns first: few ways to fill them while the nodes are many. The last one follows from the others.
        self.columns = [int(total) for total in np.sort(table.sum(axis=0))]
        self.log_factorial = np.asarray(special.gammaln(np.arange(int(rows.sum()) + 1) + 1.0), dtype=np.float64)
        self.limit = float(-np.sum(self.log_factorial[table])) + math.log1p(slack)
        # Log of the total weight of all tables, with the sign reversed.
        self.scale = float(
            np.sum(self.log_factorial[rows]) + np.sum(self.log_factorial[self.columns]) - self.log_factorial[-1]
        )
        self.radix = int(rows[-1]) + 1
        if self.radix ** (len(rows) - 1) > 2**62:
            raise _TooManyTables
        self.digits = np.array([self.radix**place for place in range(len(rows) - 1)], dtype=np.int64)
        self.nodes: list[Ints] = [rows[None, :]]
        self.stages: list[_Stage] = []
        self.grow()

    def grow(self) -> None:
        """Find the nodes and edges, column by column."""
        n_edges = n_nodes = 0
        for column in self.columns[:-1]:
            states = self.nodes[-1]
            n_nodes += len(states)
            first, keys, weights = [0], [], []
            for state in states:
                if n_nodes > _MAX_NODES or n_edges + _count_fillings(state, column) > _MAX_EDGES:
                    raise _TooManyTables
                cells = _fillings(state, column)
                n_edges += len(cells)
                weights.append(-np.sum(self.log_factorial[cells], axis=1))
                # The last row is left out of the key: it follows from the sum.
                keys.append(np.sort(state - cells, axis=1)[:, :-1] @ self.digits)
                first.append(first[-1] + len(cells))
            found, child = np.unique(np.concatenate(keys), return_inverse=True)
            self.nodes.append(self.states(found, int(states[0].sum()) - column))
            self.stages.append(_Stage(np.array(first), child.ravel(), np.concatenate(weights)))

    def states(self, keys: Ints, total: int) -> Ints:
        """The nodes behind the keys: one row each, with the sum `total`."""
        rests = keys[:, None] // self.digits % self.radix
        return np.column_stack([rests, total - rests.sum(axis=1)])

    def bounds(self) -> tuple[list[Floats], list[Floats]]:
        """Per stage and node: the heaviest and the lightest way to the end."""
        last = -np.sum(self.log_factorial[self.nodes[-1]], axis=1)
        heaviest, lightest = [last], [last]
        for stage in reversed(self.stages):
            starts = stage.first[:-1]
            heaviest.insert(0, np.maximum.reduceat(stage.weight + heaviest[0][stage.child], starts))
            lightest.insert(0, np.minimum.reduceat(stage.weight + lightest[0][stage.child], starts))
        return heaviest, lightest

    def share(self) -> float:
        """Share of the weight of all tables in those at or below the limit."""
        heaviest, lightest = self.bounds()
        paths = _Paths(np.zeros(1, dtype=np.int64), np.zeros(1), np.ones(1))
        share, walked = 0.0, 0
        for place, stage in enumerate(self.stages):
            if not len(paths.node):
                break
            nodes, columns = self.nodes[place + 1], self.columns[place + 1 :]
            # All ways from a node to the end together: N! over the factorials of both margins.
            ends = self.log_factorial[nodes.sum(axis=1)] - np.sum(self.log_factorial[nodes], axis=1)
            ends += self.scale - float(np.sum(self.log_factorial[columns]))
            onward: list[_Paths] = []
            held = 0
            starts = np.flatnonzero(np.diff(paths.node, prepend=-1))
            for start, stop in zip(starts, [*starts[1:], len(paths.node)], strict=True):
                node = int(paths.node[start])
                edges = slice(stage.first[node], stage.first[node + 1])
                child, step = stage.child[edges], stage.weight[edges]
                weight, count = paths.weight[start:stop], paths.count[start:stop]
                counted = np.searchsorted(weight, self.limit - step - heaviest[place + 1][child], side="right")
                kept = np.searchsorted(weight, self.limit - step - lightest[place + 1][child], side="right")
                kept = np.maximum(kept, counted)
                # Sums of the weights up to each path, against the heaviest of them so that nothing underflows.
                sums = np.concatenate([[0.0], np.cumsum(count * np.exp(weight - weight[-1]))])
                share += float(np.sum(sums[counted] * np.exp(step + ends[child] + weight[-1])))
                n = kept - counted
                many = int(n.sum())
                walked += many
                if walked > _MAX_PATHS:
                    raise _TooManyTables
                edge = np.repeat(np.arange(len(n)), n)
                path = np.arange(many) - np.repeat(np.cumsum(n) - n, n) + counted[edge]
                onward.append(_Paths(child[edge], weight[path] + step[edge], count[path]))
                held += many
                if held > _MAX_HELD:
                    onward = [_merged(onward)]
                    held = len(onward[0].node)
            paths = _merged(onward)
        return share


def _merged(parts: list[_Paths]) -> _Paths:
    """The paths sorted by node and weight, those of equal weight as one."""
    node, weight = np.concatenate([part.node for part in parts]), np.concatenate([part.weight for part in parts])
    count = np.concatenate([part.count for part in parts])
    rounded = np.rint((weight - np.min(weight, initial=0.0)) / _WEIGHT_GRID).astype(np.int64)
    # One key for both, because one sort of whole numbers is many times faster than a sort by two columns.
    width = int(np.max(rounded, initial=0)) + 1
    if width * _MAX_NODES > 2**62:
        raise _TooManyTables
    key = node * width + rounded
    order = np.argsort(key)
    node, weight, count, key = node[order], weight[order], count[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    return _Paths(node[starts], weight[starts], np.add.reduceat(count, starts) if len(starts) else count)


def _fillings(state: Ints, column: int) -> Ints:
    """All splits of `column` over the rows, none above what the row has left: one row per split."""
    later = np.append(np.cumsum(state[::-1])[::-1][1:], 0)
    left = np.array([column], dtype=np.int64)
    cells: list[Ints] = []
    for room, others in zip(state[:-1].tolist(), later.tolist(), strict=False):
        least = np.maximum(0, left - others)
        n = np.minimum(room, left) - least + 1
        before = np.repeat(np.arange(len(left)), n)
        cell = least[before] + np.arange(len(before)) - np.repeat(np.cumsum(n) - n, n)
        cells = [*(earlier[before] for earlier in cells), cell]
        left = left[before] - cell
    return np.column_stack([*cells, left])


def _count_fillings(state: Ints, column: int) -> float:
    """How many splits `_fillings` gives."""
    ways = np.zeros(column + 1)
    ways[0] = 1.0
    for room in state.tolist():
        sums = np.cumsum(ways)
        ways = sums.copy()
        ways[room + 1 :] -= sums[: max(column - room, 0)]
    return float(ways[column])
