"""Databases, server and browser of the tests.

The owner role builds one template database by the real migrations; everything else runs as the application
role on clones of it. An ordinary test uses pytest-django's `db` and is rolled back. A test that must commit
(threads, a live server, tampering from a second connection) uses `committed_db` and gets a clone of its own,
because the application role may not TRUNCATE as Django's own TransactionTestCase does.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import psycopg2
import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.db import connection, connections
from django.test.testcases import QuietWSGIRequestHandler
from xdist.scheduler import LoadScopeScheduling

from spinetrial.audit.clock import at
from spinetrial.env import BROKER_SCHEMA
from tests.cast import cast  # noqa: F401  (a fixture every room uses)
from tests.simulated import EVENING, SimulatedTrial, fill
from tests.world import World, lock_once, make_world

ROOT = Path(__file__).resolve().parent.parent

hypothesis.settings.register_profile("spinetrial", derandomize=True, deadline=None, print_blob=False)
hypothesis.settings.load_profile("spinetrial")


# --- databases ---


def owner_url(database: str) -> str:
    return urlsplit(os.environ["DATABASE_OWNER_URL"])._replace(path=f"/{database}").geturl()


def as_owner(*statements: str, url: str = "") -> None:
    """Run statements outside any transaction, as CREATE DATABASE wants it."""
    owner = psycopg2.connect(url or os.environ["DATABASE_OWNER_URL"])
    owner.autocommit = True
    try:
        with owner.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        owner.close()


def clone(template: str) -> str:
    name = f"test_{secrets.token_hex(6)}"
    as_owner(
        f"CREATE DATABASE {name} TEMPLATE {template}",
        f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
    )
    return name


def drop(name: str) -> None:
    try:
        as_owner(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        return
    except psycopg2.errors.InsufficientPrivilege:
        pass  # an autovacuum worker or a session of the application is in it, which FORCE may not end for the owner
    for attempt in range(12):
        end_sessions_of_the_application(name)
        try:  # the plain statement waits 5 s for an autovacuum worker
            as_owner(f"DROP DATABASE IF EXISTS {name}")
            return
        except psycopg2.errors.ObjectInUse:
            if attempt == 11:
                raise


def end_sessions_of_the_application(database: str) -> None:
    """Sessions that threads of this process left open, such as those of a server for the browser tests."""
    place = urlsplit(os.environ["DATABASE_OWNER_URL"]).path
    mine = f"datname = '{database}' AND usename = current_user"
    as_owner(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}",
        url=urlsplit(os.environ["DATABASE_URL"])._replace(path=place).geturl(),
    )


def simulated_database(template: str, patients: int) -> str:
    """A database with a trial of `patients` simulated participants. Takes about a second for each."""
    name, shared = clone(template), connection.settings_dict["NAME"]
    as_owner("INSERT INTO audit_demo DEFAULT VALUES", url=owner_url(name))
    use_database(name)
    try:
        fill(patients)
    finally:
        use_database(shared)
    return name


def use_database(name: str) -> None:
    """Point this thread and all later ones at another database."""
    connections.close_all()
    # One dict serves the connections of every thread, so it is changed in place.
    connection.settings_dict["NAME"] = name
    ContentType.objects.clear_cache()


@pytest.fixture(scope="session")
def template_database() -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}_template"
    as_owner(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        # As deploy/provision.sql does, which only a superuser can run.
        as_owner(
            f"CREATE SCHEMA {BROKER_SCHEMA}",
            f'GRANT USAGE, CREATE ON SCHEMA {BROKER_SCHEMA} TO "{settings.DATABASE_APP_ROLE}"',
            url=owner_url(name),
        )
        env = os.environ | {"SPINETRIAL_DB_ROLE": "owner", "DATABASE_OWNER_URL": owner_url(name)}
        answer = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
        )
        if answer.returncode:
            pytest.exit(f"The migrations failed:\n{answer.stdout}{answer.stderr}", returncode=1)
        yield name
    finally:
        drop(name)


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker) -> Iterator[None]:
    """Give the rolled-back tests one clone for the session (replaces pytest-django's own)."""
    name = clone(template_database)
    connection.settings_dict["CONN_MAX_AGE"] = 0
    use_database(name)
    yield
    with django_db_blocker.unblock():
        connections.close_all()
    drop(name)


@contextlib.contextmanager
def own_database(request, template: str, blocker) -> Iterator[str]:
    """A database of one test, cloned from `template`, where commits stay; gives its name."""
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        pytest.fail("Use either db (rolled back) or a database of one's own, not both.")
    shared = connection.settings_dict["NAME"]
    name = clone(template)
    with blocker.unblock():
        use_database(name)
        try:
            yield name
        finally:
            use_database(shared)
            drop(name)


@pytest.fixture
def committed_db(request, template_database: str, django_db_setup, django_db_blocker) -> Iterator[str]:
    """Give the test a database of its own where commits stay; the value is its name."""
    with own_database(request, template_database, django_db_blocker) as name:
        yield name


@pytest.fixture
def owner_connection(committed_db: str) -> Iterator[psycopg2.extensions.connection]:
    """A second connection to the database of this test, as the owner; each statement commits."""
    owner = psycopg2.connect(owner_url(committed_db))
    owner.autocommit = True
    yield owner
    owner.close()


@pytest.fixture(scope="session")
def simulated_templates(template_database: str, django_db_setup, django_db_blocker) -> Iterator[Callable[[int], str]]:
    """Template databases with a simulated trial, by number of randomised participants; each is made once."""
    made: dict[int, str] = {}

    def template(patients: int) -> str:
        if patients not in made:
            with django_db_blocker.unblock():
                made[patients] = simulated_database(template_database, patients)
        return made[patients]

    yield template
    for name in made.values():
        drop(name)


@pytest.fixture
def simulated_trial(request, simulated_templates, django_db_blocker) -> Iterator[SimulatedTrial]:
    """The trial of 66 simulated participants in a database of the test's own, in the evening of its last day."""
    with own_database(request, simulated_templates(66), django_db_blocker), at(EVENING):
        yield SimulatedTrial()


@pytest.fixture(scope="session")
def worlds(template_database: str, django_db_setup, django_db_blocker) -> Iterator[Callable[..., tuple[str, World]]]:
    """Template databases with the world of `tests/world.py`, by arm and whether it was locked once."""
    made: dict[tuple[str, bool], tuple[str, World]] = {}

    def template(arm: str, locked: bool = False) -> tuple[str, World]:
        if (arm, locked) not in made:
            base, world = template(arm) if locked else (template_database, None)
            name, shared = clone(base), connection.settings_dict["NAME"]
            if world is None:  # so that times on the trail are those of the tests' clock
                as_owner("INSERT INTO audit_demo DEFAULT VALUES", url=owner_url(name))
            with django_db_blocker.unblock():
                use_database(name)
                try:
                    made[arm, locked] = name, lock_once(world) if world else make_world(arm)
                finally:
                    use_database(shared)
        return made[arm, locked]

    yield template
    for name, _world in made.values():
        drop(name)


@pytest.fixture
def transactional_db():
    """Shadow pytest-django's fixture, which would TRUNCATE."""
    pytest.fail("Use committed_db instead of transactional_db.")


# --- application ---


@pytest.fixture(scope="session", autouse=True)
def quick_and_local(django_test_environment) -> None:
    """Cheap password hashes, no hurdles, and jobs that run where they are handed over instead of in a worker."""
    from spinetrial.celery import app

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # What would stop a test on its way to something else; the tests of each switch it on.
    settings.REQUIRE_MFA = False
    settings.RATE_LIMITS = False
    settings.IDLE_SECONDS = settings.SESSION_LIMIT_SECONDS = 10**10  # tests jump through the months with one session
    app.conf.task_always_eager = True
    app.conf.task_eager_propagates = True


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        # A browser that is closed in mid-answer is no fault of ours.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def live(committed_db: str) -> Iterator[str]:
    """Serve the application, static files included, from threads; the value is its address."""
    server = _Server(("127.0.0.1", 0), QuietWSGIRequestHandler)
    server.set_app(WSGIHandler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


# --- browser ---

CHROMIUM = os.environ.get("CHROMIUM") or next(
    (path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), ""
)
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Chromium reports every 422, which is our answer to a form with mistakes, as an error.
ORDINARY = "Failed to load resource: the server responded with a status of 422"


#: Fixtures that take long to make, once per process: the files that use one of them run in one process.
COSTLY = ("simulated_t", "worlds")


@cache
def process_group(path: str) -> str:
    """Which files run in one process when the suite runs in several: each alone, or all that name a costly fixture."""
    source = (ROOT / path).read_text(encoding="utf-8")
    return next((name for name in COSTLY if name in source), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Hand out whole groups. (The package's own marks for groups do nothing with this version of pytest.)"""

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return process_group(nodeid.split("::")[0])

    return ByGroup(config, log)


def skip_without_r(items: Sequence[pytest.Item]) -> None:
    """Tests marked `rscript` need R with its packages; in CI they may not be missing."""
    marked = [item for item in items if item.get_closest_marker("rscript")]
    absent = without_r() if marked else ""
    if absent and os.environ.get("CI"):
        raise pytest.UsageError(f"CI is set and there is no {absent} for the tests of the exported R script.")
    for item in marked if absent else ():
        item.add_marker(pytest.mark.skip(reason=f"no {absent} on this machine"))


@cache
def without_r() -> str:
    """What is missing to run the exported R script; empty where nothing is."""
    if not shutil.which("Rscript"):
        return "R"
    wanted = 'cat(Filter(function(p) !requireNamespace(p, quietly = TRUE), c("survival", "cmprsk", "nlme")))'
    answer = subprocess.run(["Rscript", "-e", wanted], capture_output=True, text=True)
    return f"R package {answer.stdout}" if answer.stdout else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker and marker.kwargs.get("transaction"):
            raise pytest.UsageError(f"{item.nodeid}: use committed_db instead of django_db(transaction=True)")
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    skip_without_r(items)
    driven = [item for item in items if item.get_closest_marker("browser")]
    if driven and not CHROMIUM:
        if os.environ.get("CI"):
            raise pytest.UsageError("CI is set and there is no Chromium for the browser tests.")
        for item in driven:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    # Playwright's event loop stays in this thread, and Django would refuse every query beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS, chromium_sandbox=False)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def watched(browser, live: str):
    """Give `with watched(patterns) as page`: a page in a fresh browser profile, with `live` as its base address.

    Leaving the block raises an AssertionError for a script error, a console error (violations of the content
    security policy are such) unless one of the patterns matches it, and any request to another host.
    """

    @contextlib.contextmanager
    def watch(expected: Sequence[str] = ()):
        faults: list[str] = []

        def console(message) -> None:
            allowed = [ORDINARY, *expected]
            if message.type == "error" and not any(re.search(pattern, message.text) for pattern in allowed):
                faults.append(f"console: {message.text} ({message.location.get('url', '')})")

        def route(route) -> None:
            address = urlsplit(route.request.url)
            if address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(live).netloc:
                faults.append(f"request to another host: {route.request.url}")
                route.abort()
            else:
                route.continue_()

        context = browser.new_context(base_url=live, locale="en-GB", timezone_id="UTC")
        context.on("console", console)
        context.on("weberror", lambda error: faults.append(f"script: {error.error}"))
        context.route("**/*", route)
        page = context.new_page()
        page.set_default_timeout(10_000)
        try:
            yield page
        finally:
            context.close()
        assert not faults, "\n".join(faults)

    return watch


@pytest.fixture
def browser_page(request, watched):
    """A watched page; `@pytest.mark.expected_console("pattern")` allows a console message."""
    with watched([mark.args[0] for mark in request.node.iter_markers("expected_console")]) as page:
        yield page
