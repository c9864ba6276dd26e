"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from adverse_events import mails


@shared_task(name="adverse_events.tasks.plan_clocks")
def plan_clocks() -> None:
    """Every five minutes: make the messages of the clocks that passed a mark."""
    mails.do_plan()
