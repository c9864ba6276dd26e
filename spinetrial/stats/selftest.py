"""The shipped self-test: published examples that must come out right before a report is issued."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from spinetrial.stats.reference import load_cases, run_cases

SELF_TEST_FILE = Path(__file__).with_name("selftest.json")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Result of a run: the file's SHA-256, how many cases passed, and a sentence for each that failed."""

    sha256: str
    n_passed: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True where at least one case ran and none failed."""
        return self.n_passed > 0 and not self.failures


def run_self_test(path: Path = SELF_TEST_FILE) -> SelfTest:
    """Run the cases of `path` (about 3 s). A file that cannot be read is a failure, not an exception."""
    try:
        content = path.read_bytes()
        results = run_cases(load_cases(path))
    except (OSError, ValueError) as error:
        return SelfTest("", 0, (str(error),))
    failures = tuple(f"{r.case_id}: {'; '.join(r.problems)}" for r in results if not r.passed)
    return SelfTest(hashlib.sha256(content).hexdigest(), len(results) - len(failures), failures)
