"""Names and contacts: on one page of one site, nowhere else; deleted, given out and rekeyed by a procedure."""

import ast
import html
import io
import json
import logging
import re
import zipfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psycopg2
import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.urls import Resolver404, get_resolver, resolve, reverse
from pypdf import PdfReader

from patients.crfs import CONSENT, WITHDRAWAL
from patients.models import Contact, Subject
from patients.subjects import (
    PURGED,
    ContactsPurged,
    NamesPerson,
    NoBasis,
    NothingToPurge,
    do_change_contact,
    do_purge_contact,
    purge_of,
    read_contact,
)
from randomization.lists import do_generate, do_seal
from randomization.models import ARM_CODES, RandomizationList, Slot
from spinetrial.access import fields, rotation, second_factor
from spinetrial.access.models import User
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.audit.acting import acting
from spinetrial.audit.chain import broken_links
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import all_specs
from spinetrial.outbox.kinds import kind_of
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due
from spinetrial.reports.models import ReportKind
from spinetrial.review import trial
from tests.cast import PASSWORD, make_cast
from tests.conftest import ROOT
from tests.followup.helpers import registered
from tests.journey.participants import TODAY, make_trial
from tests.patients.factory import DAY, fill, noon
from tests.reports.making import make_report

DETAILS = {
    "name": "Quexalote Zimbrano 欧阳标记 OuyangBiaoji",
    "telephone": "+86 139 5555 0777",
    "email": "marker@quexalote.example",
    "hospital_number": "HNMARK-5511",
}
LATER = DAY + timedelta(days=30)
#: Any of these in an output gives the person away. Compared without blanks and capitals.
MARKERS = ("quexalote", "zimbrano", "欧阳标记", "ouyangbiaoji", "55550777", "hnmark")


def markers_in(text: str) -> list[str]:
    plain = "".join(text.split()).casefold()
    return [marker for marker in MARKERS if marker in plain]


@pytest.fixture
def subject(cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    do_change_contact(cast.coordinator_a, subject, DETAILS, "planted")
    return subject


def everything_stored() -> str:
    """Every table of the database as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        texts = []
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            texts.append(cursor.fetchone()[0])
    return "\n".join(texts)


# --- where a name is seen ---


def text_of(response) -> str:
    """Everything a response carries: head, page, members of an archive, text of a PDF."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    heads = " ".join(f"{name}: {value}" for name, value in response.items())
    return f"{heads}\n{content_text(body)}"


def content_text(body: bytes) -> str:
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return "\n".join(f"{name}\n{content_text(archive.read(name))}" for name in archive.namelist())
    if body.startswith(b"%PDF"):
        reader = PdfReader(io.BytesIO(body))
        return "\n".join([str(reader.metadata), *(page.extract_text() for page in reader.pages)])
    return html.unescape(body.decode("utf-8", "replace"))


HREF = re.compile(r"""(?:href|src|action|data-[a-z-]*url)=["']([^"'#]+)""")
#: Places that end the session or fetch no page.
LEFT_OUT = {"logout", "set_language", "choose_site"}


def crawl(client, start="/") -> dict[str, str]:
    """Address -> content of every page that links lead to; a few of each kind of page are enough."""
    waiting, seen, kinds = [start, *addresses()], {}, Counter()
    while waiting:
        address = waiting.pop()
        try:
            kind = resolve(urlsplit(address).path).url_name
        except Resolver404:
            continue
        if address in seen or kind in LEFT_OUT or kinds[kind] >= 6:
            continue
        kinds[kind] += 1
        response = client.get(address)
        assert response.status_code < 500, address
        seen[address] = text_of(response)
        if response.status_code in (301, 302):
            waiting.append(urljoin(address, response["Location"]))
        elif response.get("Content-Type", "").startswith("text/html"):
            waiting += [urljoin(address, html.unescape(link)) for link in HREF.findall(seen[address])]
    return seen


def patterns(found=None, prefix=""):
    for pattern in get_resolver().url_patterns if found is None else found:
        if hasattr(pattern, "url_patterns"):
            yield from patterns(pattern.url_patterns, prefix)
        elif pattern.name:
            yield pattern


def addresses() -> list[str]:
    """An address for every URL of the application, of the marked person wherever one is named."""
    subject = Subject.objects.order_by("code").first()
    values = {"code": subject.code, "spec_code": "P.DM", "key": "form", "event": "BL", "item": "height_cm"}
    made = []
    for pattern in patterns():
        converters = pattern.pattern.converters
        arguments = {
            name: values.get(name, 1 if type(each).__name__ == "IntConverter" else "x")
            for name, each in converters.items()
        }
        if pattern.name.startswith(("site_", "site-")) and "code" in arguments:
            arguments["code"] = subject.site.code
        made.append(reverse(pattern.name, kwargs=arguments))
    return made


def test_a_marker_name_is_on_the_contact_page_of_the_own_site_and_nowhere_else(committed_db, client, caplog):
    caplog.set_level(logging.INFO)
    with at(noon(TODAY)):
        made = make_trial()
        cast = made.cast
        for subject in Subject.objects.filter(site=cast.site_a):
            do_change_contact(cast.coordinator_a, subject, DETAILS, "planted")
        shown: dict[tuple[str, str], int] = Counter()
        visited: set[str] = set()

        def look(name: str, person: User) -> None:
            client.force_login(User.objects.get(pk=person.pk))
            for address, text in crawl(client).items():
                kind = resolve(urlsplit(address).path).url_name
                visited.add(kind)
                assert not markers_in(address)
                if found := markers_in(text):
                    assert set(found) == set(MARKERS), (name, address)
                    shown[name, kind] += 1

        for name, person in cast.everyone().items():
            look(name, person)
        trial.do_freeze(cast.data_manager, "all entered")
        made = [make_report(cast.statistician, ReportKind.POOLED), make_report(cast.board, ReportKind.BOARD)]
        version = do_lock_trial(cast.statistician, "final analysis")
        unmasked = User.objects.get(pk=cast.statistician.pk)
        made.append(make_report(unmasked, ReportKind.FINAL, version))
        for name in ("statistician", "data_manager", "monitor_a", "board"):
            look(name, getattr(cast, name))
        assert {(name, kind) for name, kind in shown} == {("coordinator_a", "contact"), ("investigator_a", "contact")}
        outputs = {
            "export_zip",
            "report_pdf",
            "report_made",
            "audit_csv",
            "casebook_pdf",
            "site_data",
            "sign_off",
            "crf",
        }
        assert outputs <= visited, "the test looked at these outputs"
        assert visited >= {pattern.name for pattern in patterns()} - LEFT_OUT, "and at every URL there is"

        do_send_due()
        written = [kind_of(each.kind).compose(each) for each in Message.objects.filter(kind="visit_digest")]
        assert written
        for each in [*written, *mail.outbox]:
            assert not markers_in(f"{each.subject} {each.body} {each.to} {each.extra_headers}")
        assert not markers_in(caplog.text)
        assert not markers_in(everything_stored()), "nor in any table: encrypted, and in the trail not even that"
        # The search itself finds what is there.
        assert set(markers_in(" ".join(DETAILS.values()))) == set(MARKERS)


def test_an_error_in_the_middle_of_a_save_puts_no_name_into_the_log(client, cast, subject, caplog, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("disk on fire")

    monkeypatch.setattr("patients.views.do_change_contact", fails)
    client.force_login(cast.coordinator_a)
    client.raise_request_exception = False
    answer = client.post(reverse("contact", args=[subject.code]), {**DETAILS, "reason": "moved"})
    assert answer.status_code == 500
    assert "disk on fire" in caplog.text
    assert not markers_in(caplog.text)
    assert not markers_in(answer.content.decode())


def test_only_one_module_touches_contacts():
    """Whoever reads a name goes through `read_contact`, which records it; a new reader must be looked at here."""
    known = {
        "patients/models/subject.py", "patients/models/__init__.py", "patients/subjects.py", "patients/forms.py",
        "spinetrial/worklists/casebook.py",  # these two only name the table, to leave its values out
        "spinetrial/exports/site_copy.py",
        "spinetrial/worklists/personal_data.py",  # through read_contact, and the labels
    }  # fmt: skip
    found = set()
    for top in ("spinetrial", "patients", "randomization", "radiotherapy", "followup", "adverse_events"):
        for path in (ROOT / top).rglob("*.py"):
            names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            names |= {
                alias.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            if "Contact" in names:
                found.add(str(path.relative_to(ROOT)))
    assert found - {str(Path("patients/migrations/0001_initial.py"))} <= known


def test_each_opening_of_the_contact_page_is_recorded(client, cast, subject):
    client.force_login(cast.investigator_a)
    for turn in (1, 2):
        client.get(reverse("contact", args=[subject.code]))
        entries = AuditEntry.objects.filter(act="contact read", subject_id=subject.pk, actor_id=cast.investigator_a.pk)
        assert entries.count() == turn
    assert entries.last().at is not None


def test_a_reason_with_the_name_is_refused(client, cast, subject):
    for reason in (
        "Quexalote Zimbrano 欧阳标记 OuyangBiaoji called",
        "new number of HNMARK-5511",
        "was +86 139 5555 0777",
    ):
        with pytest.raises(NamesPerson):
            do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": "1 2 3"}, reason)
    client.force_login(cast.coordinator_a)
    answer = client.post(
        reverse("contact", args=[subject.code]), {**DETAILS, "telephone": "4711", "reason": "was HNMARK-5511"}
    )
    assert answer.status_code == 422
    assert "reason" in answer.context["form"].errors
    assert Contact.objects.get(subject=subject).telephone == DETAILS["telephone"]
    assert not markers_in(str(list(AuditEntry.objects.values_list("reason", flat=True))))


# --- deletion on request ---


def withdraw(cast, subject, **scope):
    """The person consented and withdrew later."""
    fill(CONSENT, subject, cast.coordinator_a)
    values = {"withdrawn_on": LATER, "from_treatment": False, "from_followup": False, "from_data_use": False, **scope}
    fill(WITHDRAWAL, subject, cast.coordinator_a, day=LATER, **values, initiator="patient", reason="DRP1")


def purge(client, cast, subject, **posted):
    client.force_login(cast.investigator_a)
    posted = {"reason": "asked for in writing", "password": PASSWORD, **posted}
    return client.post(reverse("contact_purge", args=[subject.code]), posted)


@pytest.mark.parametrize("scope", ["from_followup", "from_data_use"])
def test_a_withdrawal_lets_the_investigator_delete_the_contact_for_good(client, cast, subject, scope):
    withdraw(cast, subject, **{scope: True})
    answer = purge(client, cast, subject)
    assert answer.status_code == 302
    assert not Contact.objects.filter(subject=subject).exists()
    entry = purge_of(subject)
    assert (entry.act, entry.reason, entry.actor_id) == (PURGED, "asked for in writing", cast.investigator_a.pk)
    assert entry.changes == {"on record": [f"withdrawal {LATER}"]}
    deleted = AuditEntry.objects.get(table_name="patients_contact", act="delete")
    assert set(deleted.changes["name"]) == {"(not kept)"}
    assert "gAAAA" not in everything_stored(), "not one encrypted text is left"
    assert broken_links() == []
    shown = client.get(reverse("contact", args=[subject.code])).content.decode()
    assert "Contacts purged on" in shown
    assert "asked for in writing" in shown


def test_nothing_is_entered_again_after_that(client, cast, subject):
    do_purge_contact(cast.investigator_a, subject, "asked for", without_grounds=True)
    with pytest.raises(ContactsPurged):
        do_change_contact(cast.coordinator_a, subject, DETAILS, "again")
    with pytest.raises(ContactsPurged):
        do_purge_contact(cast.investigator_a, subject, "twice", without_grounds=True)
    assert purge(client, cast, subject).status_code == 302
    client.force_login(cast.coordinator_a)
    assert client.post(reverse("contact", args=[subject.code]), DETAILS).status_code == 200
    assert not Contact.objects.exists()
    assert AuditEntry.objects.filter(act=PURGED).count() == 1


@pytest.mark.parametrize("scope", [None, "from_treatment"])
def test_without_such_a_withdrawal_it_must_be_said_that_it_is_meant(client, cast, subject, scope):
    if scope:
        withdraw(cast, subject, **{scope: True})
    answer = purge(client, cast, subject)
    assert answer.status_code == 422
    assert "without_grounds" in answer.context["form"].errors
    with pytest.raises(NoBasis):
        do_purge_contact(cast.investigator_a, subject, "asked for")
    assert Contact.objects.exists()
    assert purge(client, cast, subject, without_grounds="on").status_code == 302
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    ("posted", "field"),
    [
        ({"password": "wrong"}, "password"),
        ({"password": ""}, "password"),
        ({"reason": ""}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"reason": "x" * 10_000}, "reason"),
        ({"reason": "Quexalote Zimbrano 欧阳标记 OuyangBiaoji asked"}, "reason"),
    ],
)
def test_a_deletion_without_reason_or_person_is_refused(client, cast, subject, posted, field):
    answer = purge(client, cast, subject, without_grounds="on", **posted)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert Contact.objects.filter(subject=subject).exists()
    if posted.get("password") == "wrong":
        assert AuditEntry.objects.filter(act="contacts purge refused: not confirmed", subject_id=subject.pk).exists()


def test_who_may_delete(client, cast, subject):
    address = reverse("contact_purge", args=[subject.code])
    for name, person in cast.everyone().items():
        client.force_login(person)
        expected = {"investigator_a": 200, "investigator_b": 404}.get(name, 403)
        assert client.get(address).status_code == expected, name
        assert client.post(address, {"reason": "x", "password": PASSWORD}).status_code in (expected, 422), name
        if name != "investigator_a":
            with pytest.raises(PermissionDenied):
                do_purge_contact(person, subject, "x", without_grounds=True)
    assert Contact.objects.exists()


def test_a_lock_does_not_keep_a_person_from_being_forgotten(client, cast, subject):
    trial.do_freeze(cast.data_manager, "cleaning")
    trial.do_lock(cast.statistician, "final")
    with pytest.raises(trial.EntryClosed):
        do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": "1"}, "new")
    assert purge(client, cast, subject, without_grounds="on").status_code == 302
    assert not Contact.objects.exists()


def test_nothing_stored_is_nothing_deleted(client, cast, subject):
    with acting(cast.investigator_a, "fault"):
        Contact.objects.filter(subject=subject).delete()
    with pytest.raises(NothingToPurge):
        do_purge_contact(cast.investigator_a, subject, "asked for", without_grounds=True)
    assert purge(client, cast, subject, without_grounds="on").status_code == 422
    assert purge_of(subject) is None


# --- a request of the person ---


def asked(client, person, subject, **posted):
    client.force_login(User.objects.get(pk=person.pk))
    posted = {"reason": "request by letter", "password": PASSWORD, **posted}
    return client.post(reverse("personal_data", args=[subject.code]), posted)


def files_of(response) -> tuple[dict, str]:
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = sorted(archive.namelist(), key=len)
        (page,) = [name for name in names if name.endswith(".html")]
        (data,) = [name for name in names if name.endswith(".json")]
        return json.loads(archive.read(data)), archive.read(page).decode()


def test_all_data_of_a_person_are_given_out_in_words(committed_db, client):
    with at(noon(TODAY)):
        made = make_trial()
        do_change_contact(made.cast.coordinator_a, made.followed, DETAILS, "planted")
        answer = asked(client, made.cast.coordinator_a, made.followed)
        assert answer["Content-Disposition"] == f'attachment; filename="{made.followed.code}-personal-data.zip"'
        assert "no-store" in answer["Cache-Control"]
        data, page = files_of(answer)
    assert [each["value"] for each in data["contact"]] == list(DETAILS.values())
    assert set(markers_in(page)) == set(MARKERS)
    codes = {form["code"] for form in data["forms"]}
    entered = {spec.code for spec in all_specs() if spec.model.objects.filter(subject=made.followed).exists()}
    assert codes == entered
    visit = next(form for form in data["forms"] if form["code"] == "F.VISIT")
    answers = {each["item"]: each["value"] for section in visit["sections"] for each in section["answers"]}
    assert answers["Worst pain at the index site in the last 24 hours"].startswith("5")
    assert "Morphine" in json.dumps(visit["groups"])
    titles = {table["title"] for table in data["other_records"]}
    assert {"Participant", "Milestones", "Allocation", "Arm", "Query"} <= titles
    assert any(act["act"] == "contact details read" for act in data["acts"])
    assert "Is it really so?" in page
    entry = AuditEntry.objects.filter(act="personal data exported").get()
    assert (entry.reason, entry.subject_id, entry.actor_id) == (
        "request by letter",
        made.followed.pk,
        made.cast.coordinator_a.pk,
    )
    read = AuditEntry.objects.filter(act="contact read", actor_id=made.cast.coordinator_a.pk)
    assert read.filter(reason="request by letter").exists(), "the reading of the name is on the trail too"
    assert not markers_in(everything_stored())


def test_it_speaks_the_readers_language(client, cast, subject):
    client.force_login(cast.coordinator_a)
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/"})
    data, page = files_of(client.post(reverse("personal_data", args=[subject.code]),
                                      {"reason": "x", "password": PASSWORD}))  # fmt: skip
    assert data["language"] == "zh-hans"
    assert '<html lang="zh-hans">' in page


def test_after_a_deletion_the_fact_is_given_out(client, cast, subject):
    do_purge_contact(cast.investigator_a, subject, "asked for", without_grounds=True)
    data, page = files_of(asked(client, cast.investigator_a, subject))
    assert [each["item"] for each in data["contact"]] == ["Contacts purged on"]
    assert not markers_in(page)


def test_who_may_give_out(client, cast, subject):
    address = reverse("personal_data", args=[subject.code])
    allowed = {"coordinator_a": 200, "investigator_a": 200, "coordinator_b": 404, "investigator_b": 404}
    for name, person in cast.everyone().items():
        client.force_login(person)
        assert client.get(address).status_code == allowed.get(name, 403), name
        posted = client.post(address, {"reason": "x", "password": "wrong"})
        assert posted.status_code in (422, 403, 404), name
        assert posted.get("Content-Type", "").startswith("text/html"), name
    assert not AuditEntry.objects.filter(act="personal data exported").exists()


@pytest.mark.parametrize("posted", [{"password": "wrong"}, {"reason": ""}, {"reason": "\0"}, {"reason": "😀" * 5000}])
def test_without_reason_or_person_nothing_is_given_out(client, cast, subject, posted):
    answer = asked(client, cast.coordinator_a, subject, **posted)
    assert answer.status_code == 422
    assert not AuditEntry.objects.filter(act="contact read").exists()


# --- change of the field keys ---


@pytest.fixture
def stored(committed_db):
    cast = make_cast()
    subject = registered(cast.coordinator_a, cast.site_a)
    do_change_contact(cast.coordinator_a, subject, DETAILS, "planted")
    do_seal(cast.custodian, do_generate(cast.custodian, cast.site_a, 12))
    do_generate(cast.custodian, cast.site_b, 12)
    return cast, subject


@pytest.fixture
def as_the_owner(stored, owner_connection):
    """Run the test's commands as the owner of the tables."""
    role = connection.settings_dict["USER"]

    def run(*arguments, **options):
        out = io.StringIO()
        connections.close_all()
        connection.settings_dict["USER"] = owner_connection.info.user
        try:
            call_command(*arguments, stdout=out, stderr=out, **options)
        finally:
            connections.close_all()
            connection.settings_dict["USER"] = role
        return out.getvalue()

    return run


def new_key(settings) -> list[str]:
    old = list(settings.FIELD_KEYS)
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *old]
    return settings.FIELD_KEYS[:1]


def test_keys_are_changed_and_the_old_one_is_thrown_away(stored, as_the_owner, settings):
    cast, subject = stored
    slots = {slot.pk: (slot.arm, slot.block) for slot in Slot.objects.all()}
    before = AuditEntry.objects.latest("id").pk
    only_new = new_key(settings)
    with pytest.raises(CommandError, match="rows still need an older key"):
        as_the_owner("rotate_field_keys", "--check")
    said = as_the_owner("rotate_field_keys", "--batch", "5", "--reason", "yearly change")
    assert "the others can be removed" in said
    settings.FIELD_KEYS = only_new
    assert read_contact(cast.coordinator_a, subject, "to call").name == DETAILS["name"]
    assert {slot.pk: (slot.arm, slot.block) for slot in Slot.objects.all()} == slots
    assert "seal holds" in as_the_owner("verify_lists")
    assert "0 rows" in as_the_owner("rotate_field_keys", "--check")
    entries = AuditEntry.objects.filter(pk__gt=before, act="update")
    assert {(entry.actor, entry.reason) for entry in entries} == {("system: key rotation", "yearly change")}
    assert {entry.table_name for entry in entries} == {
        "patients_contact", "randomization_slot", "randomization_randomizationlist",
    }  # fmt: skip
    kept = str(list(AuditEntry.objects.values_list("changes", flat=True)))
    assert "gAAAA" not in kept, "the trail keeps no encrypted value, under no key"
    assert broken_links() == []


def test_without_the_change_the_old_key_cannot_go(stored, settings):
    """The planted fault: shows that the test above proves something."""
    cast, subject = stored
    settings.FIELD_KEYS = new_key(settings)
    with pytest.raises(InvalidToken):
        read_contact(cast.coordinator_a, subject, "to call")


def test_an_interrupted_change_goes_on_where_it_stopped(stored, as_the_owner, settings, monkeypatch):
    only_new = new_key(settings)
    real, seen = rotation.rekeyed, []

    def pulled_plug(token):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append(token)
        return real(token)

    monkeypatch.setattr(rotation, "rekeyed", pulled_plug)
    with pytest.raises(KeyboardInterrupt):
        as_the_owner("rotate_field_keys", "--batch", "1")
    monkeypatch.setattr(rotation, "rekeyed", real)
    first = AuditEntry.objects.filter(actor="system: key rotation").count()
    assert first > 0, "what was done stays done"
    as_the_owner("rotate_field_keys", "--batch", "1")
    done = AuditEntry.objects.filter(actor="system: key rotation")
    assert done.count() == len(set(done.values_list("table_name", "row_id"))), "nothing was done twice"
    settings.FIELD_KEYS = only_new
    assert {slot.arm for slot in Slot.objects.all()} <= set(ARM_CODES)


def test_after_the_lock_keys_can_still_be_changed(stored, as_the_owner, settings):
    cast, subject = stored
    trial.do_freeze(cast.data_manager, "cleaning")
    trial.do_lock(cast.statistician, "final")
    only_new = new_key(settings)
    as_the_owner("rotate_field_keys")
    settings.FIELD_KEYS = only_new
    assert Contact.objects.get(subject=subject).name == DETAILS["name"]


def test_a_value_no_key_opens_is_named_and_no_key_may_go(stored, as_the_owner, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="remove no key"):
        as_the_owner("rotate_field_keys")
    assert not AuditEntry.objects.filter(actor="system: key rotation").exists()


def test_the_secret_of_an_authenticator_app_moves_with_it(stored, as_the_owner, settings):
    cast, _subject = stored
    codes = second_factor.do_enrol(cast.investigator_a, "JBSWY3DPEHPK3PXP", 1)
    only_new = new_key(settings)
    as_the_owner("rotate_field_keys")
    settings.FIELD_KEYS = only_new
    row = second_factor.Authenticator.objects.get(user=cast.investigator_a, type=second_factor.Type.TOTP)
    assert fields.decrypt(row.data["secret"]) == "JBSWY3DPEHPK3PXP"
    assert row.data["last_step"] == 1
    assert second_factor.use_code(cast.investigator_a, codes[0]) == "recovery code"


def test_the_application_role_does_not_change_keys(stored, settings):
    new_key(settings)
    with pytest.raises(CommandError, match="owner"):
        call_command("rotate_field_keys")


def test_saying_so_opens_no_sealed_list_to_the_application(stored):
    """The setting alone is nothing: the guard asks for the owner as well, and for a change of nothing else."""
    cast, _subject = stored
    sealed = RandomizationList.objects.get(sealed_at__isnull=False)
    for statement in (
        "UPDATE randomization_slot SET arm = 'x' WHERE list_id = %s",
        "UPDATE randomization_randomizationlist SET secret = 'x' WHERE id = %s",
    ):
        with acting(cast.custodian, "attack"), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('spinetrial.rekey', 'on', true)")
            with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
                cursor.execute(statement, [sealed.pk])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE randomization_slot SET number = number + 100",
        "UPDATE randomization_slot SET arm = 'x', number = number + 100",
        "UPDATE randomization_randomizationlist SET sha256 = repeat('0', 64) WHERE sealed_at IS NOT NULL",
    ],
)
def test_even_the_owner_changes_only_what_is_encrypted(stored, owner_connection, statement):
    with owner_connection.cursor() as cursor:
        cursor.execute("SET spinetrial.rekey = 'on'; SET spinetrial.actor = 'x'; SET spinetrial.reason = 'x'")
        with pytest.raises(psycopg2.Error, match="never changes"):
            cursor.execute(statement)
