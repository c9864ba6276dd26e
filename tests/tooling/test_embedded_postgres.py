"""The launcher of the private cluster: after a crash, as root, and where root's directories are closed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spinetrial import embedded_postgres
from spinetrial.embedded_postgres import Cluster, PostgresError, find_binaries

ROOT = Path(__file__).resolve().parents[2]
SITE_PACKAGES = [Path(path) for path in sys.path if path.endswith("site-packages")]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")


@pytest.fixture(scope="module")
def binaries():
    return find_binaries(SITE_PACKAGES)


@pytest.fixture
def place():
    """A directory that other accounts may pass through; pytest's own are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="spinetrial-place-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def count(cluster):
    return cluster.sql("SELECT count(*) FROM kept", "spinetrial")


def crash(cluster):
    """Kill the server as a power cut would and keep its files, the pid file included."""
    sockets = cluster.socket_directory
    cluster.process.send_signal(signal.SIGKILL)
    cluster.process.wait()
    cluster.process = cluster.socket_directory = None
    return sockets


def test_data_survive_a_crash_and_the_pid_file_does_not_hinder(place, binaries):
    cluster = Cluster(place / "postgresql", binaries)
    cluster.start()
    cluster.sql("CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES")
    sockets = crash(cluster)
    assert (cluster.directory / "postmaster.pid").exists()
    with cluster:
        assert count(cluster) == "1"
        assert not sockets.exists()
        assert cluster.create() is False


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(place, binaries):
    cluster = Cluster(place / "postgresql", binaries, durable=False)
    cluster.create()
    bystander = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    (cluster.directory / "postmaster.pid").write_text(f"{bystander.pid}\n{cluster.directory}\n0\n5432\n/tmp\n\n")
    with cluster:
        assert bystander.poll() is None
    bystander.communicate()


def test_a_server_that_outlived_its_parent_is_replaced(place, binaries):
    said = []
    orphan = Cluster(place / "postgresql", binaries, durable=False)
    orphan.start()
    orphan.sql("CREATE TABLE kept ()")
    with Cluster(place / "postgresql", binaries, durable=False, say=said.append) as cluster:
        assert orphan.process.wait(30) == 0
        assert count(cluster) == "0"
    assert "left behind" in said[0]


def test_another_process_can_use_the_running_server(place, binaries):
    other = Cluster(place / "postgresql", binaries)
    assert other.attach() is False
    with Cluster(place / "postgresql", binaries, durable=False):
        assert other.attach() is True
        assert other.sql("SELECT current_user", "postgres") == "postgres"
    assert other.attach() is False


def test_the_two_roles_are_apart(place, binaries):
    with Cluster(place / "postgresql", binaries, durable=False) as cluster:
        rights = cluster.sql(
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles"
            " WHERE rolname LIKE 'spinetrial%' ORDER BY 1"
        )
        assert rights.splitlines() == ["spinetrial_app|f|f|f", "spinetrial_owner|f|t|f"]
        may = cluster.sql(
            "SELECT has_schema_privilege('spinetrial_app', 'public', 'CREATE'),"
            " has_schema_privilege('spinetrial_app', 'broker', 'CREATE'),"
            " has_database_privilege('spinetrial_app', 'spinetrial', 'TEMPORARY')"
        )
        assert may == "f|t|f"
        cluster.provision()


def test_the_socket_is_closed_to_other_accounts(place, binaries):
    with Cluster(place / "postgresql", binaries, durable=False) as cluster:
        assert cluster.socket_directory.stat().st_mode & 0o777 == 0o700
        assert cluster.sql("SHOW listen_addresses", "postgres") == ""
        assert len(str(cluster.socket_directory / ".s.PGSQL.5432")) < 107


def test_a_start_that_fails_shows_the_servers_last_words(place, binaries):
    cluster = Cluster(place / "postgresql", binaries, durable=False)
    cluster.settings["no_such_setting"] = "1"
    with pytest.raises(PostgresError, match="no_such_setting"):
        cluster.start()
    assert cluster.socket_directory is None


def test_a_half_made_cluster_is_made_anew(place, binaries):
    half = place / "postgresql.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    with Cluster(place / "postgresql", binaries, durable=False) as cluster:
        assert not half.exists()
        assert cluster.sql("SHOW data_checksums", "postgres") == "on"


@as_root
def test_root_moves_what_the_other_account_cannot_reach(place, binaries, monkeypatch):
    monkeypatch.setattr(embedded_postgres, "SHARED_PLACE", place / "shared")
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(binaries.parents[2] / name, closed / name)
    programs = closed / "embedded_postgres" / "pginstall" / "bin"
    said = []
    with Cluster(closed / "postgresql", programs, durable=False, say=said.append) as cluster:
        assert cluster.directory.parent == cluster.binaries.parents[3] == place / "shared"
    assert len(said) == 2
    again = Cluster(closed / "postgresql", programs, durable=False, say=said.append)
    assert (again.directory, again.binaries) == (cluster.directory, cluster.binaries)
    assert len(said) == 3


def test_the_machines_own_postgresql_is_used_where_there_is_no_wheel(tmp_path, monkeypatch):
    for version in (14, 16, 15):
        folder = tmp_path / str(version)
        folder.mkdir()
        for program in ("initdb", "postgres", "psql"):
            (folder / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.1'\n")
            (folder / program).chmod(0o755)
    monkeypatch.setattr(embedded_postgres, "USUAL_PLACES", ())
    monkeypatch.setenv("PATH", ":".join(str(tmp_path / name) for name in ("14", "15", "16")))
    assert find_binaries([]) == tmp_path / "16"
    monkeypatch.setenv("PATH", str(tmp_path / "14"))
    with pytest.raises(PostgresError, match="15 or newer"):
        find_binaries([])
