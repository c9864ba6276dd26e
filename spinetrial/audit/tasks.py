"""The daily anchor of the audit trail."""

import logging

from celery import shared_task

from spinetrial.audit.anchor import AnchorRefused, write_anchor

log = logging.getLogger(__name__)


@shared_task(name="spinetrial.audit.tasks.daily_anchor")
def daily_anchor() -> None:
    """Write the signed heads of all chains; a full disk or a broken chain is an error in the log, nothing else."""
    try:
        write_anchor()
    except AnchorRefused as refusal:
        log.error("No audit anchor was written: %s", refusal)
