"""Headers on every kind of answer, limits of uploads and of requests, settings of production."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings as configured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import get_resolver, path

from patients.subjects import do_register
from spinetrial.access import limits
from spinetrial.access.gate import requires
from spinetrial.access.limits import LIMITS, limited
from spinetrial.access.lockout import client_address
from spinetrial.access.models import Tally
from spinetrial.audit.clock import at
from spinetrial.protocol import CURRENT
from spinetrial.reports.models import ReportKind
from spinetrial.urls import urlpatterns as real
from tests.cast import PASSWORD
from tests.reports.making import make_report

NOON = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
STRICT = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "font-src": {"'self'"},
    "connect-src": {"'self'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
    "base-uri": {"'none'"},
}


def policy(response):
    parts = (part.split() for part in response.headers["Content-Security-Policy"].split(";"))
    return {part[0]: set(part[1:]) for part in parts}


def is_safe(response):
    assert policy(response) == STRICT
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"


# --- headers ---


def boom(request):
    raise RuntimeError("planted")


@requires("account")
@limited("pdf")
def costly(request):
    return HttpResponse("done")


boom.action = None
urlpatterns = [*real, path("boom/", boom), path("costly/", costly)]


def test_every_kind_of_page_carries_the_strict_policy(cast, client, rf):
    subject = do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {"name": "Invented Person"})
    kinds = {"/login/": 200, "/health/": 200, "/session/": 200, "/worklist/": 302, "/nothing/here/": 404}
    for url, status in kinds.items():
        response = client.get(url)
        assert response.status_code == status, url
        is_safe(response)
    client.force_login(cast.coordinator_a)
    pages = ["/worklist/", "/subjects/", f"/subjects/{subject.code}/", f"/subjects/{subject.code}/P.DM/form/edit/"]
    pages += ["/queries/", "/safety/", "/account/", "/password/", "/second-factor/", "/second-factor/app/"]
    for url in pages:
        response = client.get(url)
        assert response.status_code == 200, url
        is_safe(response)
        assert "no-store" in response.headers["Cache-Control"], url
    assert client.get("/accounts/").status_code == 403
    is_safe(client.get("/accounts/"))
    is_safe(client.post(f"/subjects/{subject.code}/P.DM/form/edit/", {}))  # 422
    strict = Client(enforce_csrf_checks=True)
    refused = strict.post("/login/", {"username": "a"})
    assert refused.status_code == 403
    is_safe(refused)


def test_a_fault_of_the_program_is_a_plain_page_with_the_policy(cast):
    client = Client(raise_request_exception=False)
    with override_settings(ROOT_URLCONF=__name__, DEBUG=False):
        response = client.get("/boom/")
    assert response.status_code == 500
    assert "planted" not in response.content.decode()
    is_safe(response)


def test_static_files_and_downloads_carry_the_policy(cast, client):
    for name in ("img/icons.svg", "js/form.js", "css/spinetrial.css"):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert policy(answer) == STRICT, name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    client.force_login(cast.statistician)
    made = make_report(cast.statistician, ReportKind.POOLED)
    pdf = client.get(f"/report/{made.pk}/pdf/?lang=en")
    assert pdf.headers["Content-Type"] == "application/pdf"
    is_safe(pdf)
    assert "no-store" in pdf.headers["Cache-Control"]
    client.force_login(cast.administrator)
    csv = client.get("/access-review/now.csv")
    is_safe(csv)
    assert csv.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("fault", ["unsafe-inline", "unsafe-eval", "https:", "*"])
def test_a_planted_hole_in_the_policy_is_found(client, db, monkeypatch, fault):
    from spinetrial.access import middleware

    monkeypatch.setattr(middleware, "CSP", middleware.CSP.replace("script-src 'self'", f"script-src 'self' {fault}"))
    with pytest.raises(AssertionError):
        is_safe(client.get("/login/"))


def test_no_template_holds_an_inline_script_or_style():
    root = configured.BASE_DIR / "templates"
    inline = re.compile(r"<script(?![^>]*\bsrc\b)|<style|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)
    kept_apart = {"personal_data.html"}  # a file that is handed out and opened away from here, never a page
    found = [
        str(file)
        for file in root.rglob("*.html")
        if ".svg" not in file.name and file.name not in kept_apart and inline.search(file.read_text("utf-8"))
    ]
    assert found == []


# --- production ---


def test_production_speaks_only_over_tls_and_keeps_its_cookies():
    """The settings as an installation reads them, in a process of their own."""
    import json
    import os
    import subprocess
    import sys

    names = [
        "SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE", "LANGUAGE_COOKIE_SECURE", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "REQUIRE_MFA",
        "SESSION_COOKIE_HTTPONLY", "IDLE_SECONDS", "RATE_LIMITS", "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN",
    ]  # fmt: skip
    code = (
        "import json, django; django.setup(); from django.conf import settings;"
        f" print(json.dumps({{name: getattr(settings, name) for name in {names}}}))"
    )
    env = os.environ | {"INSECURE_COOKIES": "false", "DEBUG": "false", "SITE_URL": "https://edc.example.org"}
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=configured.BASE_DIR, env=env, capture_output=True, text=True, check=True
    )
    found = json.loads(answer.stdout)
    assert found["SECURE_HSTS_SECONDS"] == 365 * 24 * 60 * 60
    for name in names:
        if name.endswith("SECURE") or name in ("SECURE_SSL_REDIRECT", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "REQUIRE_MFA"):
            assert found[name] is True, name
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert found["CSRF_COOKIE_NAME"].startswith("__Host-")
    assert found["IDLE_SECONDS"] == 1800
    assert found["RATE_LIMITS"] is True
    assert found["MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN"] is False


def test_hsts_is_sent_over_tls(db, settings):
    settings.SECURE_HSTS_SECONDS = 31536000
    answer = Client().get("/health/", secure=True)  # a new client loads the middleware with this setting
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


# --- uploads ---


def send(client, name="list.csv", content=b"site,number,arm\nNK,1,A\n", content_type="text/csv"):
    values = {f"value_{arm.code}": arm.code for arm in CURRENT.arms}
    return client.post("/lists/import/", {"file": SimpleUploadedFile(name, content, content_type), **values})


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        ({"name": "list.exe"}, "named .csv"),
        ({"name": "list"}, "named .csv"),
        ({"name": "list.csv.html"}, "named .csv"),
        ({"content_type": "image/png"}, "is no text"),
        ({"content_type": "text/html"}, "is no text"),
        ({"content": b"PK\x03\x04" + b"x" * 100}, "Excel workbook"),
        ({"content": b"\x89PNG\r\n\x1a\n\x00\x00"}, "no text in UTF-8"),
        ({"content": b"a\x00b,c"}, "no text in UTF-8"),
        ({"content": b"x" * 1_000_001}, "larger than 1 MB"),
        ({"content": b""}, "empty"),
    ],
)
def test_only_a_small_text_file_is_taken(cast, client, upload, words):
    client.force_login(cast.custodian)
    answer = send(client, **upload)
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_huge_upload_is_refused_before_it_is_stored(cast, client):
    client.force_login(cast.custodian)
    assert send(client, content=b"x" * (10 * 1024 * 1024 + 1)).status_code == 400
    two = {"a": SimpleUploadedFile("a", b"1"), "b": SimpleUploadedFile("b", b"2")}
    assert client.post("/lists/import/", two).status_code == 400


# --- rate limits ---


@pytest.fixture
def limits_on(settings):
    settings.RATE_LIMITS = True
    settings.ROOT_URLCONF = __name__
    with at(NOON):  # no window ends in the middle of a test
        yield


def test_too_many_costly_requests_of_one_person_get_a_page_that_says_to_wait(cast, client, limits_on, monkeypatch):
    monkeypatch.setitem(LIMITS, "pdf", limits.Limit(3, 3600))
    client.force_login(cast.monitor_a)
    assert [client.get("/costly/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = client.get("/costly/")
    assert "Too many requests" in answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    is_safe(answer)
    client.force_login(cast.coordinator_a)
    assert client.get("/costly/").status_code == 200, "another person is not slowed"


def test_the_next_window_starts_anew_and_old_counts_go(cast, limits_on, monkeypatch):
    monkeypatch.setitem(LIMITS, "pdf", limits.Limit(1, 3600))
    with at(NOON):
        assert limits.count("pdf", "x")
        assert not limits.count("pdf", "x")
    with at(NOON + timedelta(hours=1)):
        assert limits.count("pdf", "x")
    with at(NOON + timedelta(days=3)):
        assert limits.count("pdf", "x")
    assert Tally.objects.count() == 1


def test_failures_from_one_address_are_slowed_over_all_names(cast, limits_on):
    client = Client(REMOTE_ADDR="203.0.113.9")
    for number in range(LIMITS["log-in"].times):
        assert client.post("/login/", {"username": f"name-{number}", "password": "x"}).status_code == 200
    assert client.post("/login/", {"username": "coordinator-a", "password": PASSWORD}).status_code == 429
    elsewhere = Client(REMOTE_ADDR="203.0.113.10")
    assert elsewhere.post("/login/", {"username": "coordinator-a", "password": PASSWORD}).status_code == 302


def test_costly_addresses_are_limited():
    limited_views = {
        pattern.name: pattern.callback.limit
        for resolver in get_resolver("spinetrial.urls").url_patterns
        for pattern in resolver.url_patterns
        if hasattr(pattern.callback, "limit")
    }
    assert limited_views["export_zip"] == limited_views["access_now_csv"] == limited_views["access_review_csv"]
    assert limited_views["export_zip"] == "export"
    assert limited_views["report_pdf"] == limited_views["report_make"] == "pdf"
    assert limited_views["list_import"] == "upload"
    assert limited_views["design_simulate"] == "simulation"


# --- whose address ---


@pytest.mark.parametrize(
    ("sender", "forwarded", "expected"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "10.1.1.1", "198.51.100.1"),  # not from the proxy: invented
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5", "203.0.113.5"),  # the client wrote the first part itself
        ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "rubbish\0", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "", "::1"),
        ("", "203.0.113.5", None),
    ],
)
def test_the_address_is_believed_only_from_a_trusted_proxy(rf, settings, sender, forwarded, expected):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24")]
    request = rf.get("/", REMOTE_ADDR=sender, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected
