"""Celery tasks: each only calls a plain function that can be run twice, late or at the same time."""

from celery import shared_task

from spinetrial.crf import drafts


@shared_task(name="spinetrial.crf.tasks.forget_old_drafts")
def forget_old_drafts() -> None:
    """Every day: delete the drafts nobody came back to for thirty days."""
    drafts.do_forget_old()
