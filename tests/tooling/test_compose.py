"""Every service of docker-compose.yml does its work against a real PostgreSQL and a real Redis."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

from spinetrial.embedded_postgres import find_binaries, throwaway

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = ("web", "worker", "beat", "migrate")
ANSWERS = {"ALLOWED_HOSTS": "edc.example.org", "SITE_URL": "https://edc.example.org"}
PATIENCE = 90


def wait_until(true, what):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s until {what}"
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    if os.environ.get("TEST_REDIS_URL"):
        yield os.environ["TEST_REDIS_URL"]
        return
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("no redis-server on this machine and no TEST_REDIS_URL")
    port = free_port()
    options = ["--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path_factory.mktemp("redis"))]
    server = subprocess.Popen([program, "--port", str(port), *options], stdout=subprocess.DEVNULL)

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(answers, "Redis answers")
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def cluster():
    with throwaway(find_binaries([Path(path) for path in sys.path if path.endswith("site-packages")])) as running:
        yield running


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    for name in COMPOSE["secrets"]:
        (folder / name).write_text(f"{name}'s value\n")
    (folder / "field_keys").write_text(Fernet.generate_key().decode())
    (folder / "secret_key").write_text("s" * 60)
    return folder


@pytest.fixture(scope="module")
def provisioned(cluster, secrets):
    """Run the start script of the postgres service on a cluster that has nothing of ours."""
    cluster.sql("DROP DATABASE spinetrial; DROP ROLE spinetrial_app; DROP ROLE spinetrial_owner", "postgres")
    env = {
        "PATH": f"{cluster.binaries}:{os.environ['PATH']}",
        "PGHOST": str(cluster.socket_directory),
        "POSTGRES_USER": "postgres",
        "SECRETS": str(secrets),
        "PROVISION": str(ROOT / "deploy" / "provision.sql"),
    }
    subprocess.run(["sh", ROOT / "deploy" / "init-database.sh"], env=env, check=True)
    return cluster


def interpolate(text):
    """Fill in ${NAME}, ${NAME:-default} and ${NAME:?complaint} as compose does."""

    def value(match):
        name, default, complaint = match["name"], match["default"], match["complaint"]
        if complaint is not None:
            return ANSWERS[name]
        return ANSWERS.get(name, default or "")

    pattern = r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?(?P<complaint>[^}]*))?\}"
    return re.sub(pattern, value, text).replace("$$", "$")


class Service:
    """One of our services, run here with the command and environment that the compose file gives it."""

    def __init__(self, name, provisioned, redis_url, secrets, folder):
        self.description = COMPOSE["services"][name]
        self.folder = folder
        self.port = free_port()
        host = f"?host={provisioned.socket_directory}"
        places = (
            ("@postgres:5432/spinetrial", f"@/spinetrial{host}"),
            ("redis://redis:6379/0", redis_url),
            ("/run/secrets", str(secrets)),
            ("0.0.0.0:8000", f"127.0.0.1:{self.port}"),
            ("/data", str(folder)),
        )
        self.places = places
        # The same few variables as in the container and nothing of this test run's own.
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "spinetrial.settings",
            "DATA_DIR": str(folder),
            "STATIC_ROOT": str(folder / "static"),
            **{key: self.here(value) for key, value in self.description["environment"].items()},
        }

    def here(self, text):
        text = interpolate(str(text))
        for there, here in self.places:
            text = text.replace(there, here)
        return text

    def command(self):
        return [self.here(part) for part in self.description["command"]]

    def run(self, command):
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=PATIENCE)

    def healthy(self):
        kind, *command = self.description["healthcheck"]["test"]
        command = [self.here(part) for part in command]
        if kind == "CMD-SHELL":
            command = ["sh", "-c", *command]
        return self.run([part if part != "8000" else str(self.port) for part in command]).returncode == 0

    @contextlib.contextmanager
    def running(self):
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(), cwd=ROOT, env=self.env, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
            assert process.poll() is None, log.read_text()
            process.terminate()
            assert process.wait(30) == 0, log.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def service(provisioned, redis_url, secrets, tmp_path):
    return lambda name: Service(name, provisioned, redis_url, secrets, tmp_path)


@pytest.fixture(scope="module")
def migrated(provisioned, redis_url, secrets, tmp_path_factory):
    migrate = Service("migrate", provisioned, redis_url, secrets, tmp_path_factory.mktemp("migrate"))
    answer = migrate.run(migrate.command())
    assert answer.returncode == 0, answer.stderr
    return provisioned


def test_the_start_script_sets_the_two_passwords(provisioned):
    found = provisioned.sql(
        "SELECT rolname, rolcreatedb, rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid"
        " WHERE rolname LIKE 'spinetrial%' ORDER BY 1",
        "postgres",
    )
    assert found.splitlines() == ["spinetrial_app|f|t", "spinetrial_owner|f|t"]


def test_migrate_makes_tables_that_only_the_owner_owns(migrated):
    owners = migrated.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == "spinetrial_owner"


def test_web_answers_and_sends_plain_http_to_https(migrated, service):
    web = service("web")
    collected = web.run([sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"])
    assert collected.returncode == 0, collected.stderr
    with web.running():
        wait_until(web.healthy, "web is healthy")
        connection = http.client.HTTPConnection("127.0.0.1", web.port)
        connection.request("GET", "/", headers={"Host": "edc.example.org"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (301, "https://edc.example.org/")


def test_worker_takes_commands_over_redis(migrated, service):
    worker = service("worker")
    with worker.running():
        wait_until(worker.healthy, "the worker is healthy")


def test_beat_keeps_its_schedule(migrated, service):
    beat = service("beat")
    with beat.running():
        wait_until(beat.healthy, "beat is healthy")


# --- the file itself ---


def test_only_web_is_reachable_from_outside():
    assert [name for name, service in COMPOSE["services"].items() if service.get("ports")] == ["web"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert COMPOSE["services"][name]["networks"] == ["inside"]


def test_only_migrate_holds_the_owners_password():
    holders = {name for name, service in COMPOSE["services"].items() if "owner_password" in service.get("secrets", [])}
    assert holders == {"migrate", "postgres"}


def test_services_wait_for_the_migration_and_are_watched():
    for name in OURS:
        service = COMPOSE["services"][name]
        if name != "migrate":
            assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    for name, service in COMPOSE["services"].items():
        assert name == "migrate" or "healthcheck" in service
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_every_variable_of_the_file_is_explained():
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / ".env.example").read_text()
    assert {name for name in asked if not re.search(rf"^#?{name}=", example, re.MULTILINE)} == set()


def test_postgres_is_not_older_than_the_oldest_supported():
    assert int(COMPOSE["services"]["postgres"]["image"].split(":")[1]) >= 15
