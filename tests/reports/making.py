"""Reports made in a test: asked for by a person, made by the job, as the worker would."""

from functools import cache
from unittest import mock

from spinetrial.reports.make import REPORTS, do_ask
from spinetrial.reports.models import MadeReport, ReportKind
from spinetrial.stats.selftest import run_self_test

_self_test = cache(run_self_test)


def run_reports() -> int:
    """Make the reports that wait; the self-test runs once for all tests of a process."""
    with mock.patch("spinetrial.reports.make.run_self_test", return_value=_self_test()):
        return REPORTS.do_run_waiting()


def make_report(person, kind: ReportKind, version=None) -> MadeReport:
    """A finished report; fails when it was refused."""
    made = do_ask(person, kind, version)
    run_reports()
    made.refresh_from_db()
    assert made.state == "done", made.problems
    return made
