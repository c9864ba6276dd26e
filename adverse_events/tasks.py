"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from adverse_events import mails
from adverse_events.meddra import jobs


@shared_task(name="adverse_events.tasks.import_dictionaries")
def import_dictionaries() -> None:
    """When one is uploaded, and every few minutes: import the dictionaries that wait."""
    jobs.IMPORTS.do_run_waiting()


@shared_task(name="adverse_events.tasks.plan_clocks")
def plan_clocks() -> None:
    """Every five minutes: make the messages of the clocks that passed a mark."""
    mails.do_plan()
