"""Making a report: who may ask for which kind, and the job that computes, writes and keeps it."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet

from spinetrial import __version__
from spinetrial.access.gate import AnyActor, check_may, list_records, masked, may
from spinetrial.access.models import User
from spinetrial.analysis.data import Snapshot, UnknownSchema
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.models import DamagedVersion, DataVersion
from spinetrial.analysis.results import ProtocolMismatch, Step, results
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import SystemActor, acting, record_event
from spinetrial.audit.clock import now
from spinetrial.jobs import JobRefused, JobState, Kind, Tell, wake
from spinetrial.reports.content import build
from spinetrial.reports.models import LANGUAGES, MadeReport, ReportKind
from spinetrial.reports.page import page_of
from spinetrial.reports.pdf import render
from spinetrial.reports.writing import Source
from spinetrial.stats.selftest import SelfTest, run_self_test

WORKER = SystemActor("making of reports")

#: Who may ask for a kind and read it. A final report shows the arms, so it asks for an unmasked person besides.
ACTIONS: dict[ReportKind, str] = {
    ReportKind.FINAL: "report.make",
    ReportKind.DRY_RUN: "report.make",
    ReportKind.POOLED: "report.view",
    ReportKind.BOARD: "report.board",
}

#: What is computed before the report is written: the parts of the analysis, and how far each begins.
_BEGINS = {Step.SETS: 10, Step.PRIMARY: 15, Step.PAIN: 45, Step.ENDPOINTS: 60, Step.REST: 70}


class SelfTestFailed(JobRefused):
    """The statistics do not reproduce their published examples on this machine, so no report is issued."""

    def __init__(self, test: SelfTest) -> None:
        super().__init__(["self_test", *test.failures])


def kinds_for(actor: AnyActor) -> list[ReportKind]:
    """The kinds of report `actor` may ask for and read."""
    found = [kind for kind in ReportKind if may(actor, ACTIONS[kind])]
    return [kind for kind in found if kind is not ReportKind.FINAL or not masked(actor)]


def reports_for(actor: AnyActor) -> QuerySet[MadeReport]:
    """The reports `actor` may read, newest first, without their files."""
    rows = list_records(actor, MadeReport, "report.view").filter(kind__in=kinds_for(actor))
    return rows.select_related("version", "asked_by").defer("pages", "pdf_en", "pdf_zh_hans", "version__content")


def do_ask(actor: User, kind: ReportKind, version: DataVersion | None) -> MadeReport:
    """Write the job, or return the same one that this person already waits for.

    Raises PermissionDenied for a kind that is not `actor`'s to see, ValueError for a final report without a version
    or another with one.
    """
    from spinetrial.reports.tasks import make_reports

    check_may(actor, ACTIONS[kind], None)
    if kind not in kinds_for(actor):
        raise PermissionDenied
    if (kind is ReportKind.FINAL) != (version is not None):
        raise ValueError("A final report is made from a data version, any other from the data as they stand.")
    with transaction.atomic():
        open_one = Q(state__in=(JobState.WAITING, JobState.RUNNING), asked_by=actor, kind=kind, version=version)
        waiting = REPORTS.rows().filter(open_one).first()
        if waiting is not None:
            return waiting
        job = MadeReport(kind=kind, version=version, asked_by=actor, asked_at=now())
        job.save()
        with acting(actor):
            detail = {"report": job.pk, "kind": kind.value, "version": version.number if version else None}
            record_event("report asked for", user_id=actor.pk, detail=detail)
        wake(make_reports)
    return job


def _work(job: MadeReport, tell: Tell) -> None:
    tell(2, "self_test")
    test = run_self_test()
    if not test.passed:
        with acting(WORKER):
            record_event("report refused", detail={"report": job.pk, "self_test": list(test.failures)})
        raise SelfTestFailed(test)
    snapshot, source, arms = _from(job, test)
    try:
        found = results(snapshot, arms, lambda step: tell(_BEGINS[step], step.value))
    except (ProtocolMismatch, KeyError) as error:
        raise JobRefused(["protocol"]) from error
    pages = {}
    for number, language in enumerate(LANGUAGES):
        tell(75 + 12 * number, "writing")
        document = build(found, source, language)
        pages[language] = page_of(document)
        job.keep(language, render(document))
    job.keep_pages(pages)
    job.data_sha256, job.software_version = found.snapshot_sha256, __version__
    with acting(WORKER):
        detail = {
            "report": job.pk,
            "kind": job.kind,
            "data": job.data_sha256,
            **{language: job.pdf_sha256(language) for language in LANGUAGES},
        }
        record_event("report made", detail=detail, reveals_arm=job.shows_arms)


def _from(job: MadeReport, test: SelfTest) -> tuple[Snapshot, Source, Arms]:
    """The data of a report, where they come from, and what may be known of the arms."""
    if job.version is not None:
        try:
            snapshot = job.version.snapshot()
        except (DamagedVersion, UnknownSchema) as error:
            raise JobRefused(["damaged"]) from error
        source = Source(job.version.number, job.version.created_at, job.version.software_version, test)
        return snapshot, source, Arms.SHOWN
    if job.kind == ReportKind.BOARD:
        return take_snapshot(), Source(None, None, __version__, test, closed=True), Arms.SHOWN
    # No table that shows an arm enters the computation, whoever asks.
    arms = Arms.DRAWN if job.kind == ReportKind.DRY_RUN else Arms.POOLED
    return take_snapshot().without_arm(), Source(None, None, __version__, test), arms


REPORTS: Kind[MadeReport] = Kind(MadeReport, "report.view", _work)


#: How long a report stays that shows no arm and is not of a locked version.
KEPT_FOR = timedelta(days=90)


def do_forget_old() -> int:
    """Delete dry runs and pooled reports after KEPT_FOR, and whatever was refused; returns how many.

    What was made, with its hashes, stays on the trail. Final reports and those of the board are kept.
    """
    passing = Q(kind__in=(ReportKind.DRY_RUN, ReportKind.POOLED)) | Q(state=JobState.REFUSED)
    return REPORTS.rows().filter(passing, ended_at__lt=now() - KEPT_FOR).delete()[0]


def same_bytes(job: MadeReport) -> tuple[int, int]:
    """How many other reports were made of the same data, kind and software, and how many of them have these bytes."""
    others = REPORTS.rows().filter(
        kind=job.kind, data_sha256=job.data_sha256, software_version=job.software_version, state=JobState.DONE
    )
    others = others.exclude(pk=job.pk)
    same = others.filter(pdf_en_sha256=job.pdf_en_sha256, pdf_zh_hans_sha256=job.pdf_zh_hans_sha256)
    return others.count(), same.count()
