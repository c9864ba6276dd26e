"""The second factor: who must have one, each code once, passkeys, its reset, and what the trail keeps of it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.db import connection

from spinetrial.access import fields, second_factor
from spinetrial.access.models import User
from spinetrial.access.reauthenticate import confirm_person
from spinetrial.audit.clock import at, now
from spinetrial.audit.models import AuditEntry
from tests.cast import PASSWORD

NOON = datetime(2026, 4, 1, 12, 0, 5, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(moment=None, secret=SECRET):
    step = int((moment or now()).timestamp()) // 30
    return format_hotp_value(hotp_value(secret, step))


def enrol(user, secret=SECRET):
    """Enrol; returns the recovery codes."""
    return second_factor.do_enrol(user, secret, 0)


def log_in(client, name="investigator-a", **more):
    return client.post("/login/", {"username": name, "password": PASSWORD, **more})


def logged_in(client):
    return "_auth_user_id" in client.session


# --- who must have one ---


@pytest.mark.parametrize("name", ["investigator_a", "administrator", "custodian", "statistician"])
def test_signers_administrator_custodian_and_statistician_must_enrol_before_anything_else(cast, client, settings, name):
    settings.REQUIRE_MFA = True
    client.force_login(getattr(cast, name))
    for url in ("/", "/worklist/", "/accounts/", "/lists/", "/trial/", "/subjects/"):
        assert client.get(url).headers["Location"] == "/second-factor/", url
    assert client.post("/site/", {"site": "NK"}).headers["Location"] == "/second-factor/"
    page = client.get("/second-factor/")
    assert "Your role needs a second factor" in page.content.decode()
    for url in ("/second-factor/app/", "/account/", "/password/"):
        assert client.get(url).status_code == 200, url
    enrol(getattr(cast, name))
    assert client.get("/").headers["Location"] != "/second-factor/"


@pytest.mark.parametrize("name", ["coordinator_a", "assessor_a", "monitor_a", "data_manager"])
def test_the_others_may_but_need_not(cast, client, settings, name):
    settings.REQUIRE_MFA = True
    client.force_login(getattr(cast, name))
    assert client.get("/worklist/").status_code == 200
    assert "protects your account all the same" in client.get("/second-factor/").content.decode()


def test_a_demonstration_offers_it_and_does_not_demand_it(committed_db, owner_connection, client, settings):
    from tests.cast import make_cast

    settings.REQUIRE_MFA = True
    with owner_connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_demo DEFAULT VALUES")
    client.force_login(make_cast().statistician)
    assert client.get("/trial/").status_code == 200
    assert "offered and not demanded" in client.get("/second-factor/").content.decode()


# --- enrolling ---


def offered_secret(client):
    page = client.get("/second-factor/app/").content.decode()
    assert 'src="data:image/svg+xml;base64,' in page
    return re.search(r'<code class="key">([A-Z2-7]+)</code>', page)[1]


def test_enrolling_takes_password_and_code_and_shows_recovery_codes_once(cast, client):
    client.force_login(cast.investigator_a)
    secret = offered_secret(client)
    wrong = client.post("/second-factor/app/", {"password": PASSWORD, "app_code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.content.decode(), "the picture stays the same after a mistake"
    assert client.post("/second-factor/app/", {"password": "no", "app_code": code(secret=secret)}).status_code == 422
    done = client.post("/second-factor/app/", {"password": PASSWORD, "app_code": code(secret=secret)})
    assert len(re.findall(r"<li><code>\d{8}</code></li>", done.content.decode())) == 10
    assert second_factor.enrolled(cast.investigator_a)
    # a second click changes nothing and shows nothing
    again = client.post("/second-factor/app/", {"password": PASSWORD, "app_code": code(secret=secret)})
    assert again.status_code == 302
    assert Authenticator.objects.filter(user=cast.investigator_a).count() == 2


def test_secrets_are_encrypted_in_the_database_and_not_on_the_trail(cast, client):
    client.force_login(cast.investigator_a)
    secret = offered_secret(client)
    assert secret not in str(dict(client.session))
    client.post("/second-factor/app/", {"password": PASSWORD, "app_code": code(secret=secret)})
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert secret not in stored
    assert fields.decrypt(Authenticator.objects.get(type="totp").data["secret"]) == secret
    inserts = AuditEntry.objects.filter(table_name="mfa_authenticator", act="insert")
    assert inserts.count() == 2
    for entry in inserts:
        assert entry.chain == f"user:{cast.investigator_a.pk}"
        assert entry.changes["data"] == ["(not kept)", "(not kept)"]
        assert entry.reason == "second factor set up"


# --- logging in ---


def test_log_in_asks_everyone_enrolled_for_the_code(cast, client):
    enrol(cast.coordinator_a)
    answer = log_in(client, "coordinator-a", next="/subjects/")
    assert answer.headers["Location"] == "/login/code/"
    assert not logged_in(client)
    assert client.get("/worklist/").status_code == 302
    assert client.post("/login/code/", {"code": "123456"}).status_code == 422
    assert not logged_in(client)
    good = client.post("/login/code/", {"code": code()})
    assert (good.status_code, good.headers["Location"]) == (302, "/subjects/")
    assert logged_in(client)
    entry = AuditEntry.objects.filter(act="login").get()
    assert entry.changes == {"second factor": "app"}
    failed = AuditEntry.objects.filter(act="login failed").get()
    assert failed.changes == {"step": "second factor"}


def test_each_code_works_once_and_an_older_one_no_more(cast, client):
    enrol(cast.investigator_a)
    with at(NOON):
        assert second_factor.use_code(cast.investigator_a, code())
        assert not second_factor.use_code(cast.investigator_a, code()), "used before"
        assert not second_factor.use_code(cast.investigator_a, code(NOON - timedelta(seconds=30))), "older than used"
    with at(NOON + timedelta(seconds=30)):
        assert second_factor.use_code(cast.investigator_a, code())
    with at(NOON + timedelta(hours=1)):
        assert not second_factor.use_code(cast.investigator_a, code(NOON + timedelta(minutes=58))), "long over"


def test_each_recovery_code_works_once(cast, client):
    codes = enrol(cast.investigator_a)
    log_in(client)
    assert client.post("/login/code/", {"code": codes[3]}).status_code == 302
    assert logged_in(client)
    client.post("/logout/")
    log_in(client)
    assert client.post("/login/code/", {"code": codes[3]}).status_code == 422
    assert client.post("/login/code/", {"code": codes[4]}).status_code == 302
    assert second_factor.recovery_codes_left(cast.investigator_a) == 8


def test_the_code_must_follow_within_five_minutes_and_the_same_password(cast, client):
    enrol(cast.investigator_a)
    with at(NOON):
        log_in(client)
    with at(NOON + timedelta(minutes=6)):
        assert client.post("/login/code/", {"code": code()}).headers["Location"] == "/login/"
        log_in(client)
        user = User.objects.get(pk=cast.investigator_a.pk)
        user.set_password("another-long-password-1")
        from spinetrial.audit.acting import acting

        with acting(cast.administrator, "changed meanwhile"):
            user.save()
        assert client.post("/login/code/", {"code": code()}).headers["Location"] == "/login/"
    assert not logged_in(client)


def test_without_the_password_there_is_no_second_step(cast, client):
    enrol(cast.investigator_a)
    for url in ("/login/code/", "/login/passkey/"):
        assert client.get(url).headers["Location"] == "/login/"
        assert client.post(url, {"code": code(), "credential": "{}"}).headers["Location"] == "/login/"


def test_guessed_codes_lock_the_account_like_guessed_passwords(cast, client):
    enrol(cast.investigator_a)
    for number in range(4):
        log_in(client)
        assert client.post("/login/code/", {"code": f"00000{number}"}).status_code == 422
    log_in(client)
    assert client.post("/login/code/", {"code": "999999"}).status_code == 429
    assert log_in(client).status_code == 429
    assert client.post("/login/code/", {"code": code()}).status_code == 429, "the right code does not help any more"
    assert not logged_in(client)


@pytest.mark.parametrize("odd", ["", "\0", "x" * 10_000, "😀😀😀", "١٢٣٤٥٦", "12 34 56", "-1", "1e5"])
def test_odd_codes_are_refused_in_words(cast, client, odd):
    enrol(cast.investigator_a)
    log_in(client)
    assert client.post("/login/code/", {"code": odd}).status_code == 422


# --- asked again ---


def test_reauthentication_asks_for_the_code_where_enrolled(cast, rf, client):
    def ask(password, typed):
        request = rf.post("/")
        request.user, request.session = cast.investigator_a, client.session
        return set(confirm_person(request, password, typed, purpose="signature"))

    assert ask(PASSWORD, "") == set()
    enrol(cast.investigator_a)
    assert ask("wrong", code()) == {"password"}
    assert ask(PASSWORD, "") == {"code"}
    assert ask(PASSWORD, "000000") == {"code"}
    used = code()
    assert ask(PASSWORD, used) == set()
    assert ask(PASSWORD, used) == {"code"}
    assert AuditEntry.objects.filter(act="signature refused: not confirmed").count() == 4


def test_the_form_before_a_lock_or_a_seal_has_a_field_for_the_code(cast, client):
    client.force_login(cast.statistician)
    enrol(cast.statistician)
    from spinetrial.access.reauthenticate import ConfirmForm

    assert "code" in ConfirmForm(user=cast.statistician).fields
    assert "code" not in ConfirmForm(user=cast.custodian).fields


# --- changes ---


def test_new_recovery_codes_replace_the_old_ones(cast, client):
    old = enrol(cast.investigator_a)
    client.force_login(cast.investigator_a)
    assert client.post("/second-factor/codes/", {"password": PASSWORD, "code": "000000"}).status_code == 422
    page = client.post("/second-factor/codes/", {"password": PASSWORD, "code": code()}).content.decode()
    new = re.findall(r"<li><code>(\d{8})</code></li>", page)
    assert len(new) == 10
    assert not second_factor.use_code(cast.investigator_a, old[0])
    assert second_factor.use_code(cast.investigator_a, new[0])


def test_removing_it_takes_password_and_code(cast, client):
    enrol(cast.coordinator_a)
    client.force_login(cast.coordinator_a)
    assert client.post("/second-factor/remove/", {"password": PASSWORD}).status_code == 422
    assert second_factor.enrolled(cast.coordinator_a)
    client.post("/second-factor/remove/", {"password": PASSWORD, "code": code()})
    assert not Authenticator.objects.filter(user=cast.coordinator_a).exists()


def test_an_administrator_resets_it_with_a_reason_and_the_person_is_told(
    cast, client, django_capture_on_commit_callbacks
):
    enrol(cast.investigator_a)
    client.force_login(cast.administrator)
    url = f"/accounts/{cast.investigator_a.pk}/second-factor/"
    assert client.post(url, {"reason": ""}).status_code == 422
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(url, {"reason": "telephone lost, called back"}).status_code == 302
    assert not Authenticator.objects.filter(user=cast.investigator_a).exists()
    entries = AuditEntry.objects.filter(table_name="mfa_authenticator", act="delete")
    assert {entry.reason for entry in entries} == {"telephone lost, called back"}
    assert [message.to for message in mail.outbox] == [["investigator_a@example.org"]]
    assert client.post(url, {"reason": "twice"}).status_code == 302


def test_an_administrator_cannot_reset_the_own_one(cast, client):
    enrol(cast.administrator)
    client.force_login(cast.administrator)
    url = f"/accounts/{cast.administrator.pk}/second-factor/"
    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "mine"}).status_code == 403
    assert second_factor.enrolled(cast.administrator)


# --- passkeys ---


@pytest.mark.parametrize(
    "odd",
    ["", "{}", "[]", "null", "{", '{"id": 1}', '{"rawId": "AA", "id": "AA", "type": "public-key", "response": {}}']
    + ['{"rawId": "AA", "id": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", '
       '"attestationObject": "oA", "authenticatorData": "AA", "signature": "AA"}}', "[" * 5000, '{"id": "\\u0000"}'],
)  # fmt: skip
def test_a_made_up_passkey_is_refused_in_words(cast, client, odd):
    enrol(cast.investigator_a)
    log_in(client)
    assert "publicKey" in client.get("/login/passkey/").json()
    assert client.post("/login/passkey/", {"credential": odd}).headers["Location"] == "/login/code/"
    assert not logged_in(client)
    client.force_login(cast.investigator_a)
    assert "publicKey" in client.get("/second-factor/passkey/options/").json()
    data = {"name": "n", "password": PASSWORD, "code": code(), "credential": odd}
    assert client.post("/second-factor/passkey/", data).status_code == 422
    assert not Authenticator.objects.filter(type="webauthn").exists()


def test_a_passkey_needs_the_app_first(cast, client):
    client.force_login(cast.investigator_a)
    assert client.get("/second-factor/passkey/").headers["Location"] == "/second-factor/app/"
    assert client.get("/second-factor/passkey/options/").status_code == 403


def test_a_passkey_is_added_and_replaces_the_code_at_log_in(live, browser):
    """In a real browser with a virtual authenticator; a passkey needs a name, so localhost instead of 127.0.0.1."""
    from tests.cast import make_cast

    user = make_cast().investigator_a
    codes = enrol(user)
    context = browser.new_context(base_url=live.replace("127.0.0.1", "localhost"))
    try:
        page = context.new_page()
        page.set_default_timeout(10_000)
        devtools = context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

        def first_step():
            page.goto("/login/")
            page.fill("[name=username]", "investigator-a")
            page.fill("[name=password]", PASSWORD)
            page.click("form[action='/login/'] button.btn-primary")
            page.wait_for_url("**/login/code/")

        first_step()
        assert page.locator("[data-passkey]").count() == 0
        page.fill("[name=code]", codes[0])
        page.click("main button.btn-primary")
        page.wait_for_url("**/worklist/")
        page.goto("/second-factor/passkey/")
        page.fill("[name=name]", "Invented laptop")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=code]", codes[1])
        page.click("main button.btn-primary")
        page.wait_for_url("**/second-factor/")
        assert "Invented laptop" in page.content()
        context.clear_cookies()
        first_step()
        page.click("[data-passkey] button")
        page.wait_for_url("**/worklist/")
    finally:
        context.close()
    assert AuditEntry.objects.filter(act="login").latest("id").changes == {"second factor": "passkey"}
    stored = Authenticator.objects.get(type="webauthn")
    assert json.dumps(stored.data)
