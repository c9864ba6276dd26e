"""Making a report: who may ask for which, what is refused, that no true arm reaches the masked, the same bytes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import translation

from spinetrial.access.models import User
from spinetrial.analysis.groups import Arms, with_drawn_arms
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.analysis.models import DataVersion
from spinetrial.analysis.results import results
from spinetrial.audit.clock import now
from spinetrial.audit.models import AuditEntry
from spinetrial.jobs import CRASHED, LEASE, MOST_ATTEMPTS, JobState
from spinetrial.protocol import CURRENT
from spinetrial.reports.make import KEPT_FOR, REPORTS, do_ask, kinds_for, reports_for
from spinetrial.reports.models import DamagedReport, MadeReport, ReportKind
from spinetrial.reports.tasks import forget_old_reports
from spinetrial.review import trial
from spinetrial.stats.selftest import SelfTest
from tests.analysis.conftest import make_trial
from tests.analysis.recompute import pdf_text, squeezed
from tests.analysis.trial import make_snapshot, two_arms
from tests.reports.making import make_report, run_reports

STRIPS = {
    ReportKind.POOLED: "MASKED, POOLED",
    ReportKind.DRY_RUN: "DRY RUN ON SHUFFLED ARMS",
    ReportKind.BOARD: "CLOSED PART, BY ARM",
}


@pytest.fixture
def small(cast):
    return make_trial(cast)


@pytest.fixture
def version(small) -> DataVersion:
    trial.do_freeze(small.cast.data_manager, "entered")
    return do_lock_trial(small.cast.statistician, "final analysis")


def test_who_may_make_what(small):
    allowed = {name: set(kinds_for(person)) for name, person in small.cast.everyone().items()}
    assert allowed.pop("statistician") == {ReportKind.POOLED, ReportKind.DRY_RUN}  # masked until the lock
    assert allowed.pop("board") == {ReportKind.POOLED, ReportKind.BOARD}
    assert not any(allowed.values())
    for kind in (ReportKind.BOARD, ReportKind.FINAL):
        with pytest.raises(PermissionDenied):
            do_ask(small.cast.statistician, kind, None)
    for kind in (ReportKind.DRY_RUN, ReportKind.FINAL):
        with pytest.raises(PermissionDenied):
            do_ask(small.cast.board, kind, None)


def test_the_closed_part_is_the_boards_alone_even_after_the_lock(client, small, version):
    closed = make_report(small.cast.board, ReportKind.BOARD)
    for name, person in small.cast.everyone().items():
        client.force_login(person)
        for address in ("report_made", "report_pdf"):
            expected = {"board": 200, "statistician": 404}.get(name, 403)
            assert client.get(reverse(address, args=[closed.pk])).status_code == expected, (name, address)
        if name == "statistician":
            assert str(closed.pdf_en_sha256) not in client.get(reverse("report")).content.decode()
    assert closed not in reports_for(small.cast.statistician)
    seen = AuditEntry.objects.filter(act="report viewed", reveals_arm=True)
    assert seen.count() == 1
    assert seen.get().actor_id == small.cast.board.pk


def test_a_final_report_is_made_of_its_version_with_the_same_bytes(small, version):
    one = make_report(small.cast.statistician, ReportKind.FINAL, version)
    other = make_report(small.cast.statistician, ReportKind.FINAL, version)
    assert one.pk != other.pk
    for language in ("en", "zh-hans"):
        assert one.pdf(language) == other.pdf(language)
        assert one.page(language) == other.page(language)
    assert one.data_sha256 == version.content_sha256
    made = AuditEntry.objects.filter(act="report made").order_by("pk").last()
    assert made.changes["en"] == other.pdf_en_sha256
    assert made.reveals_arm


@pytest.mark.parametrize("kind", STRIPS)
def test_the_strip_stands_on_every_page_and_no_conclusion_is_drawn(small, kind):
    import io

    import pypdf

    made = make_report(small.cast.board if kind is not ReportKind.DRY_RUN else small.cast.statistician, kind)
    pages = pypdf.PdfReader(io.BytesIO(made.pdf("en"))).pages
    assert len(pages) > 3
    for page in pages:
        assert squeezed(STRIPS[kind]) in squeezed(page.extract_text())
    texts = [block["text"] for block in made.page("en")["blocks"] if block["kind"] == "paragraph"]
    if kind is ReportKind.BOARD:
        assert "No conclusion is drawn before the lock." in texts
    if kind is ReportKind.DRY_RUN:
        assert any(text.startswith("Dry run: no conclusion.") for text in texts)


def test_a_dry_run_knows_nothing_of_the_true_arms():
    patients = two_arms((10, 5), (8, 6))
    swapped = two_arms((10, 5), (8, 6))
    for patient in swapped:
        patient.arm = "WHOLE" if patient.arm == "LOCAL" else "LOCAL"
    one, other = (make_snapshot(each).without_arm() for each in (patients, swapped))
    assert one.sha256() == other.sha256()
    assert results(one, Arms.DRAWN).primary == results(other, Arms.DRAWN).primary
    # Also when the caller hands over everything: the true arms are dropped before the drawing.
    full, full_swapped = make_snapshot(patients), make_snapshot(swapped)
    drawn = [with_drawn_arms(each, CURRENT).records("ARM") for each in (full, full_swapped)]
    assert drawn[0] == drawn[1]
    truth = {str(row["subject"]): row["arm"] for row in full.records("ARM")}
    agree = sum(truth[str(row["subject"])] == row["arm"] for row in drawn[0])
    assert 0 < agree < len(truth)
    for site in {str(row["site_code"]) for row in drawn[0]}:
        arms = [row["arm"] for row in drawn[0] if row["site_code"] == site]
        assert abs(arms.count("LOCAL") - arms.count("WHOLE")) <= 1


def test_the_masked_page_names_no_arm(client, small):
    made = make_report(small.cast.statistician, ReportKind.POOLED)
    client.force_login(small.cast.statistician)
    for language in ("en", "zh-hans"):
        page = client.get(reverse("report_made", args=[made.pk]), {"lang": language}).content.decode()
        text = pdf_text(made.pdf(language))
        with translation.override(language):
            words = [translation.gettext(arm.name) for arm in CURRENT.arms]
        for word in words:
            assert word not in page
            assert squeezed(word) not in text
        assert page.count("<h2") > 5
    assert not AuditEntry.objects.filter(act__startswith="report", reveals_arm=True).exists()


def test_a_failed_self_test_refuses_the_report(small, monkeypatch, client):
    failing = SelfTest("0" * 64, 80, ("mn_1: lower should be 0.05 and is 0.04",))
    monkeypatch.setattr("spinetrial.reports.make.run_self_test", lambda: failing)
    made = do_ask(small.cast.statistician, ReportKind.DRY_RUN, None)
    assert REPORTS.do_run_waiting() == 1
    made.refresh_from_db()
    assert (made.state, made.pdf_en, made.problems[0]) == (JobState.REFUSED, None, "self_test")
    client.force_login(small.cast.statistician)
    page = client.get(reverse("report_made", args=[made.pk])).content.decode()
    assert "mn_1: lower should be 0.05" in page
    assert client.get(reverse("report_pdf", args=[made.pk])).status_code == 404
    assert AuditEntry.objects.filter(act="report refused").count() == 1


def test_a_damaged_version_and_an_unknown_protocol_are_refused_in_words(small, version, monkeypatch):
    monkeypatch.setattr(DataVersion, "snapshot", lambda self: replace(make_snapshot([]), protocol_version="9.9"))
    made = do_ask(small.cast.statistician, ReportKind.FINAL, version)
    run_reports()
    made.refresh_from_db()
    assert made.problems == ["protocol"]

    def damaged(self):
        from spinetrial.analysis.models import DamagedVersion

        raise DamagedVersion

    monkeypatch.setattr(DataVersion, "snapshot", damaged)
    made = do_ask(small.cast.statistician, ReportKind.FINAL, version)
    run_reports()
    made.refresh_from_db()
    assert made.problems == ["damaged"]


def test_asking_twice_waits_for_the_same_report(small):
    first = do_ask(small.cast.statistician, ReportKind.POOLED, None)
    assert do_ask(small.cast.statistician, ReportKind.POOLED, None).pk == first.pk
    assert do_ask(small.cast.board, ReportKind.POOLED, None).pk != first.pk
    assert run_reports() == 2
    assert do_ask(small.cast.statistician, ReportKind.POOLED, None).pk != first.pk


def test_a_dead_worker_is_replaced_and_given_up_at_last(small):
    made = do_ask(small.cast.statistician, ReportKind.POOLED, None)
    made.state, made.attempts, made.lease_until = JobState.RUNNING, 1, now() + LEASE
    made.save()
    assert run_reports() == 0  # somebody works on it
    made.lease_until = now() - timedelta(seconds=1)
    made.save()
    assert run_reports() == 1
    made.refresh_from_db()
    assert made.state == JobState.DONE
    other = do_ask(small.cast.statistician, ReportKind.POOLED, None)
    other.state, other.attempts, other.lease_until = JobState.RUNNING, MOST_ATTEMPTS, now() - timedelta(seconds=1)
    other.save()
    assert run_reports() == 1
    other.refresh_from_db()
    assert (other.state, other.problems) == (JobState.REFUSED, [CRASHED])


def test_a_changed_file_is_not_handed_out(client, small):
    made = make_report(small.cast.statistician, ReportKind.POOLED)
    MadeReport.objects.filter(pk=made.pk).update(pdf_en=b"%PDF other")
    made.refresh_from_db()
    with pytest.raises(DamagedReport):
        made.pdf("en")
    client.force_login(small.cast.statistician)
    assert client.get(reverse("report_pdf", args=[made.pk]), {"lang": "en"}).status_code == 404
    assert client.get(reverse("report_pdf", args=[made.pk]), {"lang": "zh-hans"}).status_code == 200


@pytest.mark.parametrize(
    "data",
    [{}, {"kind": "x"}, {"kind": "final"}, {"kind": "final", "version": "x"}, {"kind": "final", "version": "-1"},
     {"kind": "final", "version": "9" * 30}],
)  # fmt: skip
def test_odd_requests_start_nothing(client, small, version, data):
    client.force_login(small.cast.statistician)
    answer = client.post(reverse("report_make"), data)
    assert answer.status_code == 422
    assert not MadeReport.objects.exists()
    assert client.post(reverse("report_make"), {"kind": "final", "version": "77"}).status_code == 404


def test_odd_addresses(client, small):
    made = make_report(small.cast.statistician, ReportKind.POOLED)
    client.force_login(small.cast.statistician)
    for address in ("report_made", "report_pdf"):
        assert client.get(reverse(address, args=[made.pk]), {"lang": "de"}).status_code == 404
        assert client.get(reverse(address, args=[10**25])).status_code == 404
        assert client.get(reverse(address, args=[made.pk + 1])).status_code == 404


def test_the_progress_page_asks_again_until_the_end(client, small):
    made = do_ask(small.cast.statistician, ReportKind.POOLED, None)
    client.force_login(small.cast.statistician)
    address = reverse("report_made", args=[made.pk])
    assert b"data-poll" in client.get(address).content
    run_reports()
    assert b"data-poll" not in client.get(address).content


def test_dry_runs_and_pooled_reports_are_forgotten_after_ninety_days(small, version):
    kept = [make_report(small.cast.board, ReportKind.BOARD)]
    unmasked = User.objects.get(pk=small.cast.statistician.pk)
    kept.append(make_report(unmasked, ReportKind.FINAL, version))
    passing = [make_report(unmasked, ReportKind.DRY_RUN), make_report(unmasked, ReportKind.POOLED)]
    recent = make_report(small.cast.board, ReportKind.POOLED)
    waiting = do_ask(unmasked, ReportKind.POOLED, None)
    old = now() - KEPT_FOR - timedelta(minutes=1)
    MadeReport.objects.filter(pk__in=[each.pk for each in (*kept, *passing)]).update(ended_at=old)
    forget_old_reports()
    left = set(MadeReport.objects.values_list("pk", flat=True))
    assert left == {each.pk for each in (*kept, recent, waiting)}
    assert AuditEntry.objects.filter(act="report made").count() == 5
    tasks = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks[forget_old_reports.name] == 24 * 60 * 60
