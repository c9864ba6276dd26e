"""Celery tasks: each only calls plain functions that can be run twice, late or at the same time."""

from celery import shared_task

from spinetrial.reports import make


@shared_task(name="spinetrial.reports.tasks.make_reports")
def make_reports() -> None:
    """When one is asked for, and every few minutes: make the reports that wait."""
    make.REPORTS.do_run_waiting()


@shared_task(name="spinetrial.reports.tasks.forget_old_reports")
def forget_old_reports() -> None:
    """Every day: delete the dry runs and pooled reports of long ago."""
    make.do_forget_old()
