"""Celery tasks: each only calls plain functions that can be run twice, late or at the same time."""

from celery import shared_task

from spinetrial.crf import drafts, signers


@shared_task(name="spinetrial.crf.tasks.tell_signers")
def tell_signers() -> None:
    """Every few minutes: tell signers of void signatures and of an unlock."""
    signers.tell_signers()
    signers.tell_signers_of_unlock()


@shared_task(name="spinetrial.crf.tasks.forget_old_drafts")
def forget_old_drafts() -> None:
    """Every day: delete the drafts nobody came back to for thirty days."""
    drafts.do_forget_old()
