"""No message is lost, whatever is killed: a real Redis, real workers, two real beats, a real mail server.

1,000 messages to investigators about late visits, planned by the beats and sent by two workers. The mail server kills
the workers with SIGKILL before a message is sent, in the middle of its DATA, and after its 250 but before it is marked
as sent; once it kills Redis, which keeps nothing on disk. A double can only come from the last of the three.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from django.conf import settings
from django.contrib.auth.hashers import make_password

from spinetrial.access.models import User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at, now
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due, lease
from tests.cast import SETUP, join, make_cast
from tests.followup.helpers import treated

ROOT = Path(__file__).resolve().parent.parent.parent
VISITS, PEOPLE = 10, 100
MESSAGES = VISITS * PEOPLE
#: Which conversation with the mail server, counted at that point of it, kills the workers.
KILLS = {"before": {60, 550}, "during": {200, 690}, "after": {330, 830}}
REDIS_DIES = 440
#: Seconds in which something must arrive.
PATIENCE = 60


def redis_server() -> str:
    found = shutil.which("redis-server")
    if not found:
        if os.environ.get("CI"):
            pytest.fail("CI is set and there is no redis-server.")
        pytest.skip("no redis-server on this machine")
    return found


class Stage:
    """The processes, and the mail server that ends them. `told` is notified after everything that happens."""

    def __init__(self, port: int, env: dict[str, str], folder: Path) -> None:
        self.port, self.env, self.folder = port, env, folder
        self.told = threading.Condition()
        self.received: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.kills = 0
        self.redis: subprocess.Popen | None = None
        self.workers: list[subprocess.Popen] = []
        self.beats: list[subprocess.Popen] = []

    def start(self, *command: str) -> subprocess.Popen:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_redis(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.redis = self.start(redis_server(), *options, "--dir", str(self.folder))

    def start_beats(self) -> None:
        for name in ("one", "two"):
            schedule = f"--schedule={self.folder / name}"
            self.beats.append(self.celery("beat", schedule, "--max-interval=1", f"--pidfile={self.folder / name}.pid"))

    def celery(self, *arguments: str) -> subprocess.Popen:
        return self.start(sys.executable, "-m", "celery", "--app=spinetrial", *arguments, "--loglevel=WARNING")

    def start_workers(self) -> None:
        options = ("--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat")
        self.workers = [self.celery("worker", *options, f"--hostname=w{number}@test") for number in range(2)]

    def at_point(self, point: str) -> None:
        """The mail server has come to this point of a conversation."""
        with self.told:
            self.seen[point] += 1
            if self.seen[point] in KILLS[point]:
                self.kills += 1
                for worker in self.workers:
                    end(worker)
                self.told.notify_all()
            elif point == "before" and self.seen[point] == REDIS_DIES:
                end(self.redis)
                self.start_redis()

    def take(self, key: str) -> None:
        with self.told:
            self.received[key] += 1
            self.told.notify_all()

    def run(self) -> None:
        """Replace killed workers until every message has arrived."""
        with self.told:
            while len(self.received) < MESSAGES:
                if all(worker.poll() is not None for worker in self.workers):
                    self.start_workers()
                assert self.told.wait(PATIENCE), f"nothing arrives any more: {len(self.received)} so far"

    def stop(self) -> None:
        for process in (*self.beats, *self.workers, self.redis):
            if process is not None:
                end(process)


def end(process: subprocess.Popen) -> None:
    """Kill a process with its children, and wait until it is gone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def mail_server(stage: Stage) -> Controller:
    class Deadly(SMTP):
        async def smtp_EHLO(self, hostname):
            stage.at_point("before")
            await super().smtp_EHLO(hostname)

        async def smtp_DATA(self, arg):
            stage.at_point("during")
            await super().smtp_DATA(arg)

        async def smtp_QUIT(self, arg):
            stage.at_point("after")  # the client has read its 250
            await super().smtp_QUIT(arg)

    class Box:
        async def handle_DATA(self, server, session, envelope):
            head = envelope.content.decode("utf-8", "replace").replace("\r\n", "\n")
            stage.take(next(line for line in head.split("\n") if line.lower().startswith("message-id:")))
            return "250 OK"

    class Server(Controller):
        def factory(self):
            return Deadly(self.handler)

    logging.getLogger("mail.log").setLevel(logging.WARNING)
    return Server(Box(), hostname="127.0.0.1", port=free_port())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def late_visits() -> None:
    """Participants whose week 2 is late, and investigators to be told, at a site where it is midday now."""
    cast = make_cast()
    today = datetime.now(UTC)
    with acting(SETUP, "test"):
        # The sign of these names is the other way round: Etc/GMT-3 is three hours ahead of UTC.
        cast.site_a.timezone = f"Etc/GMT{today.hour - 12:+d}"
        cast.site_a.save()
        for number in range(PEOPLE - 1):  # and the one of the cast
            person = User(
                username=f"doctor{number}",
                full_name=f"Doctor {number}",
                email=f"d{number}@example.org",
                password=make_password(None),
            )
            person.save()
            join(person, Role.INVESTIGATOR, cast.site_a)
    ended = today.date() - timedelta(days=40)
    for _number in range(VISITS):
        treated(cast.coordinator_a, cast.site_a, rt_start=ended - timedelta(days=11), rt_end=ended)


def test_no_message_is_lost_whatever_is_killed(committed_db, tmp_path):
    late_visits()
    port = free_port()
    env = {
        **os.environ,
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{committed_db}").geturl(),
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_USE_TLS": "false",
        "OUTBOX_LEASE_SECONDS": "5",
        "PLAN_SECONDS": "1",
        "SEND_SECONDS": "1",
    }
    stage = Stage(port, env, tmp_path)
    server = mail_server(stage)
    env["EMAIL_PORT"] = str(server.port)
    server.start()
    started = datetime.now(UTC)
    try:
        stage.start_redis()
        stage.start_beats()
        stage.run()
    finally:
        stage.stop()
        server.stop()
    told = Message.objects.filter(kind="visit_escalation")
    assert told.count() == MESSAGES, "two beats planned each message once"
    unmarked = told.exclude(state="sent").count()
    assert unmarked <= 2, "the last one of each worker, which the end of the test killed"
    with at(now() + lease()):
        do_send_due()
    assert set(told.values_list("state", flat=True)) == {"sent"}
    doubles = sum(stage.received.values()) - len(stage.received)
    seconds = (datetime.now(UTC) - started).total_seconds()
    print(f"{MESSAGES} messages, {stage.kills} kills of 2 workers, 1 of Redis, {doubles} doubles, {seconds:.0f} s")
    assert stage.kills == sum(map(len, KILLS.values()))
    # One of each worker at each kill, at the very most: a message is leased by one worker at a time.
    assert doubles <= 2 * stage.kills
    assert settings.OUTBOX_LEASE_SECONDS == 600, "only the processes of this test have the short lease"
