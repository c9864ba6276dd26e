"""Run reference cases: `python -m spinetrial.stats.reference FILE [--json OUT]`.

FILE is a JSON object with a list `cases`; a case has `id`, `method`, `inputs`, `expected` and `tolerance`. One line per
case is printed, then `N passed, N failed`. OUT receives an object: case id -> computed values in the shape of the
case's `expected`. The exit code is 0 only where at least one case ran and all passed; 2 where a file cannot be read or
written.

Comparison: `tolerance` is an absolute difference, or a mapping with `default` and exceptions by key prefix (the key
itself or the key joined to its parent's by `_`; `ci_x` also covers `lower_x` and `upper_x`); an exception whose name
ends in `_relative` is a relative difference. Limits stored unclipped are cut to the parameter's range on both sides.
`null` is "not estimable", "Inf" infinity, {"status": "not_estimable"} means that nothing in the result is estimable.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from spinetrial.stats.cases import NOT_ESTIMABLE, compute
from spinetrial.stats.estimate import Estimate

# Ranges of the limits that the format stores as the formula gives them.
_RANGES = {
    ("proportion_ci", "wald_unclipped"): (0.0, 1.0),
    ("proportion_ci", "agresti_coull_unclipped"): (0.0, 1.0),
    ("risk_difference_ci", "wald"): (-1.0, 1.0),
    ("risk_difference_ci", "agresti_caffo"): (-1.0, 1.0),
}

Path_ = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; `problems` is empty where it passed."""

    case_id: str
    method: str
    computed: Any
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True where every expected value was met."""
        return not self.problems


def load_cases(path: Path) -> list[Mapping[str, Any]]:
    """The cases of a file. Raises OSError or ValueError with a sentence."""
    content = json.loads(path.read_text(encoding="utf-8"))
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("The file has no list of cases.")
    return cases


def run_cases(cases: Iterable[Mapping[str, Any]]) -> list[CaseResult]:
    """Run every case; whatever goes wrong with one is that case's failure. A repeated id is a failure."""
    results: list[CaseResult] = []
    seen: set[str] = set()
    for position, case in enumerate(cases, start=1):
        result = run_case(case, f"case {position}")
        if result.case_id in seen:
            result = CaseResult(result.case_id, result.method, result.computed, ("the id is used twice",))
        seen.add(result.case_id)
        results.append(result)
    return results


def run_case(case: Mapping[str, Any], fallback_id: str = "case") -> CaseResult:
    """Compute one case and compare it with what it expects."""
    case_id, method = str(case.get("id", fallback_id)), str(case.get("method", ""))
    try:
        tree = compute(method, case.get("inputs", {}))
    except Exception as error:  # the file may hold anything; a case that cannot run has failed, the others still run
        name = f"{type(error).__name__}: " if not isinstance(error, ValueError) else ""
        problem = f"{name}{error}"
        return CaseResult(case_id, method, {"error": problem}, (problem,))
    nothing = not any(leaf.estimable for leaf in _estimates(tree)) and any(True for _ in _estimates(tree))
    values = _plain(tree)
    if "expected" not in case or case["expected"] in ({}, None):
        return CaseResult(case_id, method, NOT_ESTIMABLE if nothing else values, ("nothing is expected",))
    expected = case["expected"]
    if nothing and isinstance(expected, dict) and "status" in expected:
        values = dict(NOT_ESTIMABLE)
    problems = tuple(_compare(expected, values, (), method, case.get("tolerance", 0)))
    return CaseResult(case_id, method, _in_shape_of(expected, values), problems)


def _estimates(tree: Any) -> Iterator[Estimate]:
    if isinstance(tree, Estimate):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _estimates(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _estimates(value)


def _plain(tree: Any) -> Any:
    """The same as JSON values: null for what is not estimable, "Inf" for infinity."""
    if isinstance(tree, Estimate):
        return _plain(tree.value)
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    if isinstance(tree, float) and math.isinf(tree):
        return "Inf" if tree > 0 else "-Inf"
    return tree


def _in_shape_of(expected: Any, values: Any) -> Any:
    """`values` cut down to the keys of `expected`; what has another shape stays whole."""
    if isinstance(expected, dict) and isinstance(values, dict) and expected.keys() & values.keys():
        return {key: _in_shape_of(expected[key], values[key]) for key in expected if key in values}
    if isinstance(expected, list) and isinstance(values, list) and len(expected) == len(values):
        return [_in_shape_of(wanted, value) for wanted, value in zip(expected, values, strict=True)]
    return values


def _compare(expected: Any, value: Any, path: Path_, method: str, tolerance: Any) -> Iterator[str]:
    """A sentence for every place where `value` does not meet `expected`."""
    where = ".".join(path) or "result"
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            yield f"{where}: expected {_short(expected)}, computed {_short(value)}"
            return
        for key, wanted in expected.items():
            if key in value:
                yield from _compare(wanted, value[key], (*path, key), method, tolerance)
            else:
                yield f"{'.'.join((*path, key))}: not computed"
    elif isinstance(expected, list):
        if not isinstance(value, list) or len(value) != len(expected):
            yield f"{where}: expected {_short(expected)}, computed {_short(value)}"
            return
        for position, (wanted, item) in enumerate(zip(expected, value, strict=True)):
            yield from _compare(wanted, item, (*path, str(position)), method, tolerance)
    elif not _agrees(expected, value, path, method, tolerance):
        yield f"{where}: expected {_short(expected)}, computed {_short(value)}"


def _agrees(expected: Any, value: Any, path: Path_, method: str, tolerance: Any) -> bool:
    wanted, number = _number(expected), _number(value)
    if wanted is None or number is None:
        return type(expected) is type(value) and bool(expected == value)
    if path and (method, path[0]) in _RANGES:
        low, high = _RANGES[method, path[0]]
        wanted, number = min(max(wanted, low), high), min(max(number, low), high)
    if wanted == number:
        return True
    allowed, relative = _allowed(path, tolerance)
    return abs(number - wanted) <= allowed * (abs(wanted) if relative else 1.0)


def _number(value: Any) -> float | None:
    """A number or an infinity written as text; None for everything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return {"Inf": math.inf, "-Inf": -math.inf}.get(value)
    return float(value) if not math.isnan(value) else None


def _allowed(path: Path_, tolerance: Any) -> tuple[float, bool]:
    """(allowed difference, whether it is relative) for the value at `path`."""
    if not isinstance(tolerance, Mapping):
        return float(tolerance), False
    keys = [key for parent, key in pairwise(("", *path)) if not key.isdigit() and parent != "groups"]
    names = ["_".join(keys[start:]) for start in range(len(keys))]
    # The interval exception names both limits at once.
    names += [f"ci_{name.split('_', 1)[1]}" for name in keys if name.startswith(("lower_", "upper_"))]
    best, best_length = (float(tolerance.get("default", 0)), False), 0
    for exception, allowed in tolerance.items():
        relative = exception.endswith("_relative")
        prefix = exception.removesuffix("_relative")
        if exception == "default" or len(prefix) <= best_length:
            continue
        if any(name == prefix or name.startswith(f"{prefix}_") for name in names):
            best, best_length = (float(allowed), relative), len(prefix)
    return best


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m spinetrial.stats.reference", description="Run reference cases of the statistics."
    )
    parser.add_argument("file", type=Path, help="JSON file with the cases")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the computed values to this file")
    options = parser.parse_args(arguments)
    try:
        cases = load_cases(options.file)
    except (OSError, ValueError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 2
    results = run_cases(cases)
    for result in results:
        if result.passed:
            print(f"PASS {result.case_id} ({result.method})")
        else:
            shown = "; ".join(result.problems[:3])
            more = f"; and {len(result.problems) - 3} more" if len(result.problems) > 3 else ""
            print(f"FAIL {result.case_id} ({result.method}): {shown}{more}")
    failed = sum(not result.passed for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    if options.json is not None:
        computed = {result.case_id: result.computed for result in results}
        text = json.dumps(computed, indent=1, ensure_ascii=False, allow_nan=False)
        try:
            options.json.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            print(f"{options.json}: {error}", file=sys.stderr)
            return 2
    return 0 if results and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
