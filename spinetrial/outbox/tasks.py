"""The Celery task of the outbox. It can run twice, late or at the same time."""

from celery import shared_task

from spinetrial.outbox.send import AT_MOST, do_send_due


@shared_task(name="spinetrial.outbox.tasks.send_due")
def send_due() -> None:
    """Every few minutes: send what waits, also what a crashed worker left behind; a full run hands over to the next."""
    if do_send_due() == AT_MOST:
        send_due.delay()
