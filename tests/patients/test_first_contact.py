"""Screening numbers under concurrency, and the contact that nobody but the site reads."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, connections
from django.urls import reverse

from patients.models import Contact, Subject
from patients.subjects import do_change_contact, do_register, read_contact
from spinetrial.audit.models import AuditEntry
from tests.cast import make_cast
from tests.patients.factory import BEFORE, on_day

NAME, PHONE = "Ouyang Nameless", "+86 10 5555 0101"
DETAILS = {"name": NAME, "telephone": PHONE, "email": "o@example.org", "hospital_number": "H-77"}


@pytest.fixture
def subject(cast) -> Subject:
    with on_day(BEFORE):
        return do_register(cast.coordinator_a, cast.site_a, BEFORE, DETAILS)


def stored() -> str:
    """The contact table and the whole trail, as text of the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(string_agg(c::text, ' '), '') FROM patients_contact c")
        (table,) = cursor.fetchone()
        cursor.execute("SELECT coalesce(string_agg(e::text, ' '), '') FROM audit_auditentry e")
        (trail,) = cursor.fetchone()
    return f"{table}\n{trail}"


def test_simultaneous_registrations_at_two_sites_number_without_gap_or_double(committed_db):
    cast = make_cast()

    def register(turn: int) -> str:
        actor, site = (cast.coordinator_a, cast.site_a) if turn % 2 else (cast.coordinator_b, cast.site_b)
        try:
            return do_register(actor, site, date(2026, 1, 5), {"name": NAME}).code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(register, range(16)))
    assert codes == [f"NK-{n:03d}" for n in range(1, 9)] + [f"SH-{n:03d}" for n in range(1, 9)]


def test_two_first_entries_of_a_contact_at_once_leave_one(committed_db):
    cast = make_cast()
    subject = do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {})

    def save(number: int) -> None:
        try:
            do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": str(number)}, "again")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, range(2)))
    assert Contact.objects.filter(subject=subject).count() == 1


def test_name_and_telephone_are_ciphertext_in_table_and_trail(cast, subject):
    do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": "+86 20 5555 0202"}, "moved house")
    text = stored()
    for secret in (*DETAILS.values(), "5555 0202"):
        assert secret not in text
    assert Contact.objects.get(subject=subject).name == NAME


def test_a_change_names_only_the_changed_column_and_its_reason(cast, subject):
    do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": "1"}, "new telephone")
    entry = AuditEntry.objects.filter(table_name="patients_contact").latest("id")
    assert entry.reason == "new telephone"
    assert set(entry.changes) == {"telephone"}
    count = AuditEntry.objects.count()
    do_change_contact(cast.coordinator_a, subject, {**DETAILS, "telephone": "1"}, "nothing new")
    assert AuditEntry.objects.count() == count


def test_reading_is_on_the_trail_and_kept_to_the_site(cast, subject):
    row = read_contact(cast.investigator_a, subject, "to call")
    assert row is not None
    assert row.name == NAME
    entry = AuditEntry.objects.latest("id")
    assert (entry.act, entry.reason, entry.subject_id) == ("contact read", "to call", subject.pk)
    for actor in (cast.coordinator_b, cast.monitor_a, cast.data_manager, cast.statistician, cast.administrator):
        with pytest.raises(PermissionDenied):
            read_contact(actor, subject, "curious")


@pytest.mark.parametrize("page", ["contact", "eligibility"])
def test_another_site_finds_nothing(client, cast, subject, page):
    client.force_login(cast.coordinator_b)
    assert client.get(reverse(page, args=[subject.code])).status_code == 404
    client.force_login(cast.coordinator_a)
    assert client.get(reverse(page, args=[subject.code])).status_code == 200


def test_registering_offers_the_own_sites_only(client, cast):
    client.force_login(cast.coordinator_a)
    page = client.get(reverse("subject_new"))
    assert "North Kettle" in page.content.decode()
    form = page.context["form"]
    assert [site.code for site in form.fields["site"].queryset] == ["NK"]
    posted = {"site": cast.site_b.pk, "first_contact": "2026-01-05", "name": NAME}
    refused = client.post(reverse("subject_new"), posted)
    assert refused.status_code == 422
    assert "site" in refused.context["form"].errors
    assert not Subject.objects.exists()
    client.force_login(cast.monitor_a)
    assert client.get(reverse("subject_new")).status_code == 403


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("first_contact", "2026-13-40"),
        ("first_contact", "1899-01-01"),
        ("first_contact", "2999-01-01"),
        ("first_contact", ""),
        ("name", ""),
        ("name", "x" * 10_000),
        ("telephone", "9" * 10_000),
        ("email", "😀"),
        ("site", "x"),
    ],
)
def test_bad_input_is_answered_at_the_field(client, cast, field, bad):
    client.force_login(cast.coordinator_a)
    posted = {"site": cast.site_a.pk, "first_contact": "2026-01-05", "name": NAME, field: bad}
    page = client.post(reverse("subject_new"), posted)
    assert page.status_code == 422
    assert list(page.context["form"].errors) == [field]
    assert not Subject.objects.exists()
