"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from followup import questionnaire, reminders


@shared_task(name="followup.tasks.plan_reminders")
def plan_reminders() -> None:
    """Every hour: make the messages of the sites where the morning has come."""
    reminders.do_plan()


@shared_task(name="followup.tasks.forget_unsent_answers")
def forget_unsent_answers() -> None:
    """Every day: delete answers of questionnaires that were never confirmed and can no longer be."""
    questionnaire.do_forget_unsent()
