"""`./dev` from start to end: two starts, a kill -9 between them, and nothing left behind."""

import contextlib
import http.client
import importlib.machinery
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
# What `./dev test` set for this run must not decide for the application under test.
OWN = re.compile(r"DATABASE_|CELERY_|SECRET_KEY|FIELD_KEYS|DATA_DIR|STATIC_|SITE_URL|ALLOWED_HOSTS|DJANGO_|INSECURE_")
ENV = {name: value for name, value in os.environ.items() if not OWN.match(name)}


@pytest.fixture(scope="module")
def dev():
    loader = importlib.machinery.SourceFileLoader("spinetrial_dev", str(ROOT / "dev"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def data():
    folder = Path(tempfile.mkdtemp(prefix="spinetrial-up-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "dev", *arguments], cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=PATIENCE
    )


@contextlib.contextmanager
def up(data, port):
    """Give a running `./dev up --empty` and make sure that it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "dev", "up", "--empty", "--port", str(port), "--data", str(data)],
        cwd=ROOT,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        while "stop: Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def of_this_data(data):
    """Return the commands of all processes that work on this data directory."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
            if str(data).encode() in environment + command:
                found.append(command.replace(b"\0", b" ").decode())
    return found


def gone(data):
    deadline = time.monotonic() + 30
    while of_this_data(data):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def status(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")
def test_up_survives_a_kill_and_leaves_nothing_behind(data, port):
    with up(data, port) as first:
        assert status(port, "/") < 400
        assert len([name for name in of_this_data(data) if "celery" in name]) >= 1
        answer = run("manage", "--data", str(data), "check", "--database", "default")
        assert answer.returncode == 0, answer.stderr
        taken = run("up", "--data", str(data), "--port", "1")
        assert taken.returncode == 1
        first.kill()
        first.wait()
        assert gone(data), of_this_data(data)
    with up(data, port) as second:
        assert status(port, "/") < 400
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 128 + signal.SIGTERM
        assert gone(data), of_this_data(data)
    assert not (data / "postgresql" / "postmaster.pid").exists()


def test_a_taken_port_is_named_before_anything_is_started(data):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = run("up", "--empty", "--port", str(port), "--data", str(data / "new"))
    assert answer.returncode == 1
    assert f"Port {port} cannot be used" in answer.stderr
    assert not (data / "new").exists()


def test_an_unknown_verb_shows_the_verbs():
    answer = run("upp")
    assert answer.returncode == 2
    assert "./dev up" in answer.stdout


def test_a_service_that_dies_is_reported_with_its_last_words(dev, tmp_path):
    services = dev.Services(tmp_path / "log")
    services.start("worker", dict(os.environ), sys.executable, "-c", "raise SystemExit('no broker')")
    services.running["worker"].wait()
    with pytest.raises(dev.Stop, match=r"worker process ended with code 1(.|\n)*no broker"):
        services.watch()


def test_a_service_that_ignores_the_signal_is_ended_with_its_children(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "GRACE_SECONDS", 0.3)
    program = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    services = dev.Services(tmp_path / "log")
    services.start("worker", dict(os.environ), sys.executable, "-c", program)
    log = tmp_path / "log" / "worker.log"
    while not log.read_text().endswith("\n"):
        assert services.running["worker"].poll() is None
    services.stop()
    child = Path(f"/proc/{log.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_keys_are_made_once_and_only_their_owner_may_read_them(dev, tmp_path):
    dev.prepare_data(tmp_path / "data")
    keys = {name: (tmp_path / "data" / name).read_text() for name in ("secret_key", "field_key")}
    dev.prepare_data(tmp_path / "data")
    for name, content in keys.items():
        assert (tmp_path / "data" / name).read_text() == content
        assert (tmp_path / "data" / name).stat().st_mode & 0o777 == 0o600


def test_what_the_caller_set_wins_but_for_the_database(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "mine")
    monkeypatch.delenv("SECRET_KEY_FILE", raising=False)
    monkeypatch.setenv("SITE_URL", "https://edc.example.org")
    monkeypatch.setenv("DATABASE_URL", "postgresql://other@/other")
    env = dev.environment(tmp_path, ("application", "owner"))
    assert (env["SITE_URL"], env["DATABASE_URL"], env["DATABASE_OWNER_URL"]) == (
        "https://edc.example.org",
        "application",
        "owner",
    )
    assert "SECRET_KEY_FILE" not in env


def test_a_server_of_ones_own_needs_both_roles(dev, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@/trial")
    monkeypatch.delenv("DATABASE_OWNER_URL", raising=False)
    with pytest.raises(dev.Stop, match="DATABASE_OWNER_URL"):
        dev.given_database()
