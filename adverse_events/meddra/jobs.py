"""Imports asked for on the screen: a row that a worker leases, so that none is lost and everyone sees how far it is."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import F, Q, QuerySet
from kombu.exceptions import OperationalError

from adverse_events.meddra.load import do_import
from adverse_events.meddra.problems import MeddraRefused, Problem
from adverse_events.models.meddra import ImportState, MeddraImport
from spinetrial.access.gate import SYSTEM, check_may, list_records
from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting, record_event
from spinetrial.audit.clock import now

log = logging.getLogger(__name__)

WORKER = SystemActor("import of dictionaries")
LEASE = timedelta(minutes=10)
MOST_ATTEMPTS = 3


def _jobs() -> QuerySet[MeddraImport]:
    return list_records(SYSTEM, MeddraImport, "ae.code")


def do_ask(actor: User, upload: UploadedFile, language: str, version: str) -> MeddraImport:
    """Keep the uploaded archive for the worker and write the job. Raises PermissionDenied."""
    check_may(actor, "ae.code", None)
    stored = default_storage.save("meddra/upload.zip", upload)
    with transaction.atomic():
        job = MeddraImport(
            asked_by=actor,
            asked_at=now(),
            file_name=(upload.name or "")[-200:],
            stored_as=stored,
            language=language,
            version=version,
        )
        job.save()
        transaction.on_commit(_wake, robust=True)
    return job


def _wake() -> None:
    from adverse_events.tasks import import_dictionaries

    try:
        import_dictionaries.delay()
    except OperationalError:
        log.warning("The broker cannot be reached; the import waits for the next round of the worker.")


def do_run_waiting() -> int:
    """Run the jobs that wait, also one that a crashed worker left behind; returns how many were ended."""
    done = 0
    while (job := _lease()) is not None:
        _run(job)
        done += 1
    return done


def _lease() -> MeddraImport | None:
    moment = now()
    with transaction.atomic():
        waiting = Q(state=ImportState.WAITING) | Q(state=ImportState.RUNNING, lease_until__lt=moment)
        job = _jobs().filter(waiting).order_by("pk").select_for_update(skip_locked=True, of=("self",)).first()
        if job is None:
            return None
        if job.attempts >= MOST_ATTEMPTS:
            _end(job, ImportState.REFUSED, problems=[Problem("", 0, "crashed", {"count": job.attempts})])
            return job
        job.state, job.lease_until, job.attempts = ImportState.RUNNING, moment + LEASE, job.attempts + 1
        job.save()
    return job


def _run(job: MeddraImport) -> None:
    if job.state != ImportState.RUNNING:
        return

    def tell(percent: int, step: str) -> None:
        _jobs().filter(pk=job.pk).update(percent=percent, step=step, lease_until=now() + LEASE)

    try:
        with default_storage.open(job.stored_as) as file:
            release = do_import(job.asked_by, file, job.language, job.version, tell)
    except FileNotFoundError:
        _refuse(job, [Problem("", 0, "gone")])
    except MeddraRefused as refusal:
        _refuse(job, refusal.problems)
    except PermissionDenied:
        _refuse(job, [Problem("", 0, "no_right")])
    else:
        _end(job, ImportState.DONE, release=release)


def _refuse(job: MeddraImport, problems: list[Problem]) -> None:
    with acting(WORKER, "dictionary refused"):
        record_event("dictionary refused", detail={"import": job.pk, "reasons": [each.code for each in problems]})
    _end(job, ImportState.REFUSED, problems=problems)


def _end(job: MeddraImport, state: ImportState, *, problems: list[Problem] | None = None, release: Any = None) -> None:
    """Write the result and delete the archive, which only the import needed."""
    job.state, job.ended_at, job.lease_until, job.release = state, now(), None, release
    job.percent = 100 if state == ImportState.DONE else job.percent
    job.problems = [problem.stored() for problem in problems or []]
    job.save()
    default_storage.delete(job.stored_as)


def recent() -> QuerySet[MeddraImport]:
    """The last imports asked for, newest first."""
    return _jobs().select_related("asked_by", "release__version").order_by(F("pk").desc())[:5]
