"""Imports of dictionaries asked for on the screen."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet

from adverse_events.meddra.load import do_import
from adverse_events.meddra.problems import MeddraRefused, Problem
from adverse_events.models.meddra import MeddraImport
from spinetrial.access.gate import check_may
from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor, acting, record_event
from spinetrial.audit.clock import now
from spinetrial.jobs import JobRefused, Kind, Tell, wake

WORKER = SystemActor("import of dictionaries")


def do_ask(actor: User, upload: UploadedFile, language: str, version: str) -> MeddraImport:
    """Keep the uploaded archive for the worker and write the job. Raises PermissionDenied."""
    from adverse_events.tasks import import_dictionaries

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
        wake(import_dictionaries)
    return job


def _work(job: MeddraImport, tell: Tell) -> None:
    try:
        with default_storage.open(job.stored_as) as file:
            job.release = do_import(job.asked_by, file, job.language, job.version, tell)
    except FileNotFoundError:
        _refuse(job, [Problem("", 0, "gone")])
    except MeddraRefused as refusal:
        _refuse(job, refusal.problems)
    except PermissionDenied:
        _refuse(job, [Problem("", 0, "no_right")])


def _refuse(job: MeddraImport, problems: list[Problem]) -> NoReturn:
    with acting(WORKER, "dictionary refused"):
        record_event("dictionary refused", detail={"import": job.pk, "reasons": [each.code for each in problems]})
    raise JobRefused([problem.stored() for problem in problems])


def _crashed(job: MeddraImport) -> list[Any]:
    return [Problem("", 0, "crashed", {"count": job.attempts}).stored()]


def _delete_archive(job: MeddraImport) -> None:
    """Only the import needed it."""
    default_storage.delete(job.stored_as)


IMPORTS = Kind(MeddraImport, "ae.code", _work, _crashed, _delete_archive)


def recent() -> QuerySet[MeddraImport]:
    """The last imports asked for, newest first."""
    return IMPORTS.rows().select_related("asked_by", "release__version")[:5]
