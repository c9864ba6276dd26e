"""Work that takes longer than a page may: a row that a worker leases; none is lost and everyone sees its progress.

A kind of job is a model derived from `Job` and a function that does the work. A worker that dies leaves a lease that
runs out; the next round takes the row up again, and gives it up after `MOST_ATTEMPTS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.audit.clock import now

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
MOST_ATTEMPTS = 3

#: Code of the problem of a job whose workers died.
CRASHED = "crashed"


class JobState(models.TextChoices):
    WAITING = "waiting", _("Waiting for the worker")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")


class Job(models.Model):
    """What somebody asked for, how far it is, and how it ended. `step` is a code the page has words for."""

    state = models.CharField(max_length=8, choices=JobState.choices, default=JobState.WAITING)
    percent = models.PositiveSmallIntegerField(default=0)
    step = models.CharField(max_length=20, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    problems = models.JSONField(default=list)  # of what the kind of job says; `CRASHED` stands for a worker that died

    class Meta:
        abstract = True
        ordering = ("-id",)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in (JobState.WAITING, JobState.RUNNING)


class Tell(Protocol):
    """Says how far the work is and renews the lease."""

    def __call__(self, percent: int, step: str) -> None: ...


class JobRefused(Exception):
    """The work cannot be done, and would not be another time. `problems`: JSON for the job's row."""

    def __init__(self, problems: list[Any]) -> None:
        super().__init__(problems)
        self.problems = problems


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Kind(Generic[J]):
    """A kind of job. `work` sets the fields of its result on the job it is given and raises JobRefused.

    `action` is the right by which the rows are read; `after` cleans up once the job has ended, either way.
    """

    model: type[J]
    action: str
    work: Callable[[J, Tell], None]
    crashed: Callable[[J], list[Any]] = lambda _job: [CRASHED]
    after: Callable[[J], None] = lambda _job: None

    def rows(self) -> QuerySet[J]:
        return list_records(SYSTEM, self.model, self.action)

    def do_run_waiting(self) -> int:
        """Run the jobs that wait, also one that a dead worker left behind; returns how many were ended."""
        done = 0
        while (job := self._lease()) is not None:
            if job.state == JobState.RUNNING:
                self._run(job)
            done += 1
        return done

    def _lease(self) -> J | None:
        moment = now()
        with transaction.atomic():
            waiting = Q(state=JobState.WAITING) | Q(state=JobState.RUNNING, lease_until__lt=moment)
            job = self.rows().filter(waiting).order_by("pk").select_for_update(skip_locked=True, of=("self",)).first()
            if job is None:
                return None
            if job.attempts >= MOST_ATTEMPTS:
                self._end(job, JobState.REFUSED, self.crashed(job))
                return job
            job.state, job.lease_until, job.attempts = JobState.RUNNING, moment + LEASE, job.attempts + 1
            job.save()
        return job

    def _run(self, job: J) -> None:
        def tell(percent: int, step: str) -> None:
            self.rows().filter(pk=job.pk).update(percent=percent, step=step, lease_until=now() + LEASE)

        try:
            self.work(job, tell)
        except JobRefused as refusal:
            self._end(job, JobState.REFUSED, refusal.problems)
        else:
            self._end(job, JobState.DONE, [])

    def _end(self, job: J, state: JobState, problems: list[Any]) -> None:
        job.state, job.ended_at, job.lease_until, job.problems = state, now(), None, problems
        if state == JobState.DONE:
            job.percent = 100
        job.save()
        self.after(job)


def wake(task: Any) -> None:
    """Tell the worker, once the row is committed, that a job waits. Without a broker the next round finds it."""

    def send() -> None:
        try:
            task.delay()
        except OperationalError:
            log.warning("The broker cannot be reached; the job waits for the next round of the worker.")

    transaction.on_commit(send, robust=True)
