"""Run reference cases: `python -m spinetrial.stats.reference FILE [--json OUT]`.

FILE is a JSON object with a list `cases`; a case has `id`, `method`, `inputs`, `expected` and `tolerance`. One line per
case is printed as soon as it is known, then `N passed, N failed`. OUT receives an object: case id -> computed values in
the shape of the case's `expected`. The exit code is 0 only where at least one case ran and all passed; 2 where a file
cannot be read or written. Whatever a case holds, it passes or it fails with a sentence.

Comparison: `tolerance` is an absolute difference, or a mapping with `default` and exceptions by key prefix (the key
itself or the key joined to its parent's by `_`; `ci_x` also covers `lower_x` and `upper_x`); an exception whose name
ends in `_relative` is a relative difference. Limits stored unclipped are cut to the parameter's range on both sides.
`null` is "not estimable", "Inf" infinity; {"status": "not_estimable"}, or `null` in place of a part of the result,
means that nothing in it is estimable.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from spinetrial.stats.cases import NOT_ESTIMABLE, UnknownMethod, compute
from spinetrial.stats.estimate import Estimate

# Ranges of the limits that the format stores as the formula gives them.
_RANGES = {
    ("proportion_ci", "wald_unclipped"): (0.0, 1.0),
    ("proportion_ci", "agresti_coull_unclipped"): (0.0, 1.0),
    ("risk_difference_ci", "wald"): (-1.0, 1.0),
    ("risk_difference_ci", "agresti_caffo"): (-1.0, 1.0),
}

# Python reads and writes whole numbers of up to 4,300 digits.
_MAX_DIGITS = 4000

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


def load_cases(path: Path) -> list[Any]:
    """The cases of a file, whatever they are. Raises OSError or ValueError with a sentence."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_int=_whole_number)
    except UnicodeDecodeError:
        raise ValueError("The file is not text in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"The file is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("The file is nested too deeply to be read.") from None
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list):
        raise ValueError("The file has no list of cases.")
    return cases


def _whole_number(digits: str) -> int | float:
    """An int; what Python refuses to read as one, or to write again, is infinite and refused by the case it is in."""
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def run_cases(cases: Iterable[Any]) -> list[CaseResult]:
    """Run every case; whatever goes wrong with one is that case's failure. A repeated id is a failure."""
    return list(_run_each(cases))


def _run_each(cases: Iterable[Any]) -> Iterator[CaseResult]:
    seen: set[str] = set()
    for position, case in enumerate(cases, start=1):
        result = run_case(case, f"case {position}")
        if result.case_id in seen:
            # Under an id of its own, so that the values of the first are not written over.
            name = f"{result.case_id} (case {position})"
            result = CaseResult(name, result.method, result.computed, ("the id is used twice",))
        seen.add(result.case_id)
        yield result


def run_case(case: Any, fallback_id: str = "case") -> CaseResult:
    """Compute one case and compare it with what it expects."""
    if not isinstance(case, Mapping):
        return _failure(fallback_id, "", "The case is not an object.")
    given_id, method = case.get("id"), case.get("method")
    case_id = fallback_id if given_id is None or given_id == "" else str(given_id)
    if not isinstance(method, str):
        return _failure(case_id, "", "The case names no method.")
    try:
        tree = compute(method, case.get("inputs"))
        expected = case.get("expected")
        if expected is None or expected == {}:
            values = dict(NOT_ESTIMABLE) if _nothing_estimable(tree) else _plain(tree)
            return CaseResult(case_id, method, values, ("nothing is expected",))
        values = _in_shape_of(expected, tree)
        problems = tuple(_compare(expected, values, (), method, _checked_tolerance(case.get("tolerance"))))
    except Exception as error:  # the file may hold anything; a case that cannot run has failed, the others still run
        return _failure(case_id, method, _sentence(error))
    return CaseResult(case_id, method, values, problems)


def _failure(case_id: str, method: str, problem: str) -> CaseResult:
    return CaseResult(case_id, method, {"error": problem}, (problem,))


def _sentence(error: Exception) -> str:
    """What is wrong, for a reader of the list; refusals (ValueError) speak for themselves."""
    if isinstance(error, ValueError | UnknownMethod):
        return str(error)
    if isinstance(error, MemoryError):
        return "The case is too large for the memory of this machine."
    return f"The inputs are not what the method needs ({type(error).__name__}: {error})."


def _checked_tolerance(tolerance: Any) -> float | dict[str, float]:
    """A number, or numbers by key; none at all means exact."""

    def number(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"A tolerance must be a number, not {_short(value)}.")
        return float(value)

    if isinstance(tolerance, Mapping):
        return {str(key): number(value) for key, value in tolerance.items()}
    return number(0 if tolerance is None else tolerance)


def _estimates(tree: Any) -> Iterator[Estimate]:
    if isinstance(tree, Estimate):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _estimates(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _estimates(value)


def _nothing_estimable(tree: Any) -> bool:
    """True where `tree` holds estimates and none has a value."""
    estimates = list(_estimates(tree))
    return bool(estimates) and not any(estimate.estimable for estimate in estimates)


def _plain(tree: Any) -> Any:
    """The same as JSON values: null for what is not estimable, "Inf" for infinity."""
    if isinstance(tree, Estimate):
        return _plain(tree.value)
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    if isinstance(tree, float) and math.isnan(tree):
        raise ValueError("The computation gave no number.")
    if isinstance(tree, int) and tree.bit_length() > 3 * _MAX_DIGITS:
        raise ValueError("The computed number is too long to be written.")
    if isinstance(tree, float) and math.isinf(tree):
        return "Inf" if tree > 0 else "-Inf"
    return tree


def _in_shape_of(expected: Any, tree: Any) -> Any:
    """`tree` as JSON values, cut down to the keys of `expected`; what has another shape stays whole.

    A part in which nothing is estimable is written as `expected` may write it: as a whole, or value by value.
    """
    if isinstance(tree, Mapping | list) and _nothing_estimable(tree):
        if expected is None:
            return None
        if isinstance(expected, dict) and "status" in expected:
            return dict(NOT_ESTIMABLE)
    if isinstance(expected, dict) and isinstance(tree, Mapping):
        by_name = {str(key): value for key, value in tree.items()}
        if expected.keys() & by_name.keys():
            return {key: _in_shape_of(expected[key], by_name[key]) for key in expected if key in by_name}
    if isinstance(expected, list) and isinstance(tree, list) and len(expected) == len(tree):
        return [_in_shape_of(wanted, value) for wanted, value in zip(expected, tree, strict=True)]
    return _plain(tree)


def _compare(
    expected: Any, value: Any, path: Path_, method: str, tolerance: float | Mapping[str, float]
) -> Iterator[str]:
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


def _agrees(expected: Any, value: Any, path: Path_, method: str, tolerance: float | Mapping[str, float]) -> bool:
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


def _allowed(path: Path_, tolerance: float | Mapping[str, float]) -> tuple[float, bool]:
    """(allowed difference, whether it is relative) for the value at `path`."""
    if not isinstance(tolerance, Mapping):
        return tolerance, False
    keys = [key for parent, key in pairwise(("", *path)) if not key.isdigit() and parent != "groups"]
    names = ["_".join(keys[start:]) for start in range(len(keys))]
    # The interval exception names both limits at once.
    names += [f"ci_{name.split('_', 1)[1]}" for name in keys if name.startswith(("lower_", "upper_"))]
    best, best_length = (tolerance.get("default", 0.0), False), 0
    for exception, allowed in tolerance.items():
        relative = exception.endswith("_relative")
        prefix = exception.removesuffix("_relative")
        if exception == "default" or len(prefix) <= best_length:
            continue
        if any(name == prefix or name.startswith(f"{prefix}_") for name in names):
            best, best_length = (allowed, relative), len(prefix)
    return best


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_line(text: str) -> str:
    """`text` without line breaks and control characters, which an id may hold."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _say(line: str) -> None:
    """Print at once. A reader who has seen enough (`| head`) must not stop the run, which still writes its values."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An id in a script that the terminal cannot write must not stop the run.
        sys.stdout.reconfigure(errors="backslashreplace")
    computed: dict[str, Any] = {}
    failed = 0
    for result in _run_each(cases):
        computed[result.case_id] = result.computed
        name = _one_line(f"{result.case_id} ({result.method})")
        if result.passed:
            _say(f"PASS {name}")
        else:
            failed += 1
            shown = "; ".join(result.problems[:3])
            more = f"; and {len(result.problems) - 3} more" if len(result.problems) > 3 else ""
            _say(f"FAIL {name}: {_one_line(shown)}{more}")
    _say(f"{len(computed) - failed} passed, {failed} failed")
    if options.json is not None:
        text = json.dumps(computed, indent=1, ensure_ascii=False, allow_nan=False)
        try:
            # Half a surrogate pair in an id has no UTF-8; its escape is also how JSON writes it.
            options.json.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            print(f"{options.json}: {error}", file=sys.stderr)
            return 2
    return 0 if computed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
