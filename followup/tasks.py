"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from followup import reminders


@shared_task(name="followup.tasks.plan_reminders")
def plan_reminders() -> None:
    """Every hour: make the reminders of the sites where the morning has come."""
    reminders.do_plan()


@shared_task(name="followup.tasks.send_due")
def send_due() -> None:
    """Every few minutes: send what waits, also what a crashed worker left behind."""
    reminders.do_send_due()
