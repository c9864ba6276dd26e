"""Locking: one transaction, two people, and a data version nobody can change."""

import io
import zipfile
import zlib

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.urls import resolve, reverse

from spinetrial.access.gate import masked
from spinetrial.access.models import TrialState, User
from spinetrial.analysis import lock
from spinetrial.analysis.lock import ReasonMissing, do_lock_trial
from spinetrial.analysis.models import DamagedVersion, DataVersion
from spinetrial.analysis.readiness import BlockerKind, readiness
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial
from tests.analysis.conftest import SECRETS
from tests.analysis.recompute import pdf_text, squeezed
from tests.cast import PASSWORD, make_cast
from tests.reports.making import run_reports


@pytest.fixture
def locked(small_trial) -> DataVersion:
    trial.do_freeze(small_trial.cast.data_manager, "all visits entered")
    return do_lock_trial(small_trial.cast.statistician, "final analysis")


def signed_in(client, person):
    client.force_login(person)
    return client


def test_a_lock_makes_a_version_of_the_data(small_trial, locked):
    assert (locked.number, locked.created_by, locked.reason) == (1, small_trial.cast.statistician, "final analysis")
    assert locked.content_sha256 == take_snapshot().sha256()
    stored = DataVersion.objects.get()
    assert stored.snapshot() == take_snapshot()
    assert TrialState.current().state == TrialState.State.LOCKED
    assert AuditEntry.objects.filter(table_name="analysis_dataversion", act="insert", reveals_arm=True).count() == 1


def test_the_lock_ends_the_masking_and_an_unlock_does_not_restore_it(small_trial, locked):
    statistician = User.objects.get(pk=small_trial.cast.statistician.pk)
    assert not masked(statistician)
    trial.do_unlock(small_trial.cast.data_manager, "a late query")
    assert not masked(User.objects.get(pk=statistician.pk))
    second = do_lock_trial(statistician, "after the late query")
    assert second.number == 2
    assert second.content_sha256 == locked.content_sha256


def test_only_the_statistician_locks_a_frozen_trial_with_a_reason(small_trial):
    cast = small_trial.cast
    with pytest.raises(trial.WrongState):
        do_lock_trial(cast.statistician, "too early")
    trial.do_freeze(cast.data_manager, "ready")
    with pytest.raises(PermissionDenied):
        do_lock_trial(cast.data_manager, "not mine to do")
    with pytest.raises(ReasonMissing):
        do_lock_trial(cast.statistician, "   ")
    assert not DataVersion.objects.exists()


def test_a_failure_leaves_neither_lock_nor_version(small_trial, monkeypatch):
    trial.do_freeze(small_trial.cast.data_manager, "ready")

    def broken():
        raise RuntimeError("disk")

    monkeypatch.setattr(lock, "take_snapshot", broken)
    with pytest.raises(RuntimeError):
        do_lock_trial(small_trial.cast.statistician, "final")
    assert TrialState.current().state == TrialState.State.FROZEN
    assert TrialState.current().unmasked_at is None
    assert not DataVersion.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE analysis_dataversion SET reason = 'another'",
        "UPDATE analysis_dataversion SET content = ''",
        "DELETE FROM analysis_dataversion",
        "TRUNCATE analysis_dataversion",
        "ALTER TABLE analysis_dataversion DISABLE TRIGGER ALL",
        "DROP TRIGGER analysis_version_immutable ON analysis_dataversion",
    ],
)
def test_the_application_cannot_change_a_version(locked, statement):
    meddling = acting(locked.created_by, "meddling")
    with meddling, connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
        cursor.execute(statement)
    assert DataVersion.objects.get().snapshot() == take_snapshot()


def test_it_is_the_trigger_that_refuses(committed_db, owner_connection):
    """Planted: without it the application role changes the row."""
    cast = make_cast()
    trial.do_freeze(cast.data_manager, "ready")
    do_lock_trial(cast.statistician, "final")
    with owner_connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER analysis_version_immutable ON analysis_dataversion")
    with acting(cast.statistician, "meddling"), connection.cursor() as cursor:
        cursor.execute("UPDATE analysis_dataversion SET reason = 'another'")
    assert DataVersion.objects.get().reason == "another"


def test_damaged_content_is_noticed(locked):
    other = DataVersion(content=zlib.compress(b'{"schema":1}'), content_sha256="0" * 64)
    with pytest.raises((DamagedVersion, KeyError)):
        other.snapshot()
    locked.content = bytes(locked.content)[:-9]
    with pytest.raises(DamagedVersion):
        locked.snapshot()
    locked.content = zlib.compress(take_snapshot().canonical().replace(b'"female"', b'"male"'))
    with pytest.raises(DamagedVersion):
        locked.snapshot()


# --- pages ---


def test_freeze_lock_and_download_in_the_browser(client, small_trial):
    cast = small_trial.cast
    signed_in(client, cast.data_manager)
    assert client.get(reverse("trial")).status_code == 200
    assert client.post(reverse("trial_freeze"), {"reason": ""}).status_code == 422
    assert client.post(reverse("trial_freeze"), {"reason": "ready"}).status_code == 302
    assert client.post(reverse("trial_lock"), {"reason": "x", "password": PASSWORD}).status_code == 403
    signed_in(client, cast.statistician)
    page = client.get(reverse("trial"))
    assert b'name="open_points_seen"' in page.content
    answers = {"reason": "final", "open_points_seen": "on", "password": PASSWORD}
    for wrong in ({"password": "not it"}, {"password": ""}, {"reason": ""}, {"open_points_seen": ""}):
        assert client.post(reverse("trial_lock"), {**answers, **wrong}).status_code == 422
        assert TrialState.current().state == TrialState.State.FROZEN
    assert AuditEntry.objects.filter(act="lock refused: not confirmed").count() == 1
    response = client.post(reverse("trial_lock"), answers)
    assert response.url == reverse("data_version", args=[1])
    assert DataVersion.objects.get().content_sha256.encode() in client.get(response.url).content
    first, second = (client.get(reverse("export_zip", args=[1])) for _n in range(2))
    assert first.content == second.content
    assert first.content.startswith(b"PK")
    assert AuditEntry.objects.filter(act="data exported", reveals_arm=True).count() == 2
    pdfs = []
    for _n in range(2):
        asked = client.post(reverse("report_make"), {"kind": "final", "version": "1"})
        run_reports()
        made = resolve(asked.url).kwargs["pk"]
        pdfs.append(client.get(reverse("report_pdf", args=[made]), {"lang": "en"}).content)
    assert pdfs[0] == pdfs[1]
    page = client.get(asked.url)
    assert b"the same bytes" in page.content
    assert pdfs[0].startswith(b"%PDF")
    assert AuditEntry.objects.filter(act="report printed").count() == 2
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        outputs = [archive.read(name) for name in archive.namelist()]
    outputs += [pdf_text(pdfs[0]).encode(), page.content, first.content, pdfs[0]]
    for secret in SECRETS.values():
        for content in outputs:
            assert secret.encode() not in content
            assert squeezed(secret).encode() not in content


def test_before_the_first_lock_there_is_nothing_to_download(client, small_trial):
    signed_in(client, small_trial.cast.statistician)
    page = client.get(reverse("data_versions"))
    assert b"There is no data version yet." in page.content
    for url in (reverse("data_version", args=[1]), reverse("export_zip", args=[1])):
        assert client.get(url).status_code == 403  # still masked
    assert client.post(reverse("report_make"), {"kind": "final", "version": "1"}).status_code == 403
    signed_in(client, small_trial.cast.data_manager)
    assert client.get(reverse("export_zip", args=[1])).status_code == 404


def test_the_same_person_is_told_to_leave_the_next_step(client, small_trial, locked):
    signed_in(client, small_trial.cast.statistician)
    client.post(reverse("trial_unlock"), {"reason": "mine"})
    assert TrialState.current().state == TrialState.State.LOCKED


def test_other_roles_stay_outside(client, small_trial):
    for name, person in small_trial.cast.everyone().items():
        signed_in(client, person)
        expected = 200 if name in ("data_manager", "statistician") else 403
        assert client.get(reverse("trial")).status_code == expected, name
        assert client.get(reverse("data_versions")).status_code == expected, name
        assert client.get(reverse("report")).status_code == (200 if name in ("statistician", "board") else 403), name


# --- readiness ---


def test_open_points_by_name_and_link(client, small_trial):
    found = readiness(small_trial.cast.data_manager)
    kinds = {blocker.kind for blocker in found}
    assert {BlockerKind.FORM, BlockerKind.VISIT, BlockerKind.SCREENING} <= kinds
    missing = (BlockerKind.FORM, BlockerKind.VISIT)
    first = [blocker.what for blocker in found if blocker.subject == "NK-001" and blocker.kind in missing]
    assert any("Month 3" in what for what in first)
    assert any("Primary tumour" in what for what in first)
    assert not any("Demographics" in what for what in first)
    assert [b.subject for b in found if b.kind is BlockerKind.SCREENING] == ["NK-004"]
    signed_in(client, small_trial.cast.data_manager)
    for url in {blocker.url for blocker in found if blocker.subject in ("NK-001", "NK-004")}:
        assert client.get(url, follow=True).status_code == 200, url


def test_a_masked_person_sees_no_open_point_of_a_form_that_shows_the_arm(small_trial):
    def forms(person):
        return {blocker.what for blocker in readiness(person)}

    assert any("Radiotherapy" in what for what in forms(small_trial.cast.data_manager))
    assert not any("Radiotherapy" in what for what in forms(small_trial.cast.statistician))
