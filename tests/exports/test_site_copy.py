"""The site's own copy: its data and trail as CSV, all casebooks, a page that records the downloads; no other site's."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime

import pytest
from django.urls import reverse

from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from spinetrial.access.models import Membership, User
from spinetrial.access.policy import Role
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import enter
from spinetrial.exports.site_copy import site_zip
from spinetrial.review import trial
from tests.analysis.conftest import SECRETS, make_trial
from tests.cast import SETUP
from tests.followup.helpers import registered

MADE = datetime(2026, 3, 2, 4, 0, 5, tzinfo=UTC)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
PAGES = ("site_file_of", "site_data", "site_casebooks")


@pytest.fixture(autouse=True)
def _clock():
    with at(MADE):
        yield


@pytest.fixture
def two_sites(cast):
    """Participants of site NK, and one of site SH whose height of 199 cm is found nowhere in NK's copy."""
    small = make_trial(cast, 2)
    theirs = registered(cast.coordinator_b, cast.site_b)
    enter(DEMOGRAPHICS, theirs, cast.coordinator_b, {**ANSWERS, "height_cm": 199})
    record = Demographics.objects.get(subject=small.subjects[0])
    with acting(cast.coordinator_a, '=cmd|" /C calc"!A1'):
        Demographics.objects.filter(pk=record.pk).update(height_cm=171)
    return small


def signed_in(client, person):
    client.force_login(User.objects.get(pk=person.pk))
    return client


def unpacked(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def rows(files, name):
    return list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"))))


def test_every_table_with_the_rows_of_the_site_alone(client, cast, two_sites):
    signed_in(client, cast.coordinator_a)
    files = unpacked(client.get(reverse("site_data", args=["NK"])).content)
    assert {"data/P.DM.csv", "data/P.PAIN.csv", "data/P.PAIN.analgesics_taken.csv", "data/ARM.csv", "data/QUERIES.csv",
            "data/SUBJECTS.csv", "dictionary.csv", "audit-trail.csv", "README.txt"} <= set(files)  # fmt: skip
    assert len(rows(files, "data/P.DM.csv")) == 2
    assert len(rows(files, "data/ARM.csv")) == 2
    for name in files:
        if name.startswith("data/") and name != "data/SITES.csv":
            assert {row["site_code"] for row in rows(files, name)} <= {"NK"}, name
    for name, content in files.items():
        assert b"SH-001" not in content, name
        assert b"South Harbour" not in content, name
        for secret in SECRETS.values():
            assert secret.encode() not in content, name


def test_the_dictionary_names_every_column(client, cast, two_sites):
    signed_in(client, cast.coordinator_a)
    files = unpacked(client.get(reverse("site_data", args=["NK"])).content)
    named = {(row["table"], row["column"]) for row in rows(files, "dictionary.csv")}
    for name in files:
        if name.startswith("data/"):
            table = name.removeprefix("data/").removesuffix(".csv")
            header = files[name].decode("utf-8-sig").split("\r\n")[0].split(",")
            assert {(table, column) for column in header} <= named, name


def test_the_trail_says_who_when_old_new_and_why(client, cast, two_sites):
    signed_in(client, cast.coordinator_a)
    trail = rows(unpacked(client.get(reverse("site_data", args=["NK"])).content), "audit-trail.csv")
    (change,) = [row for row in trail if row["table"] == "patients_demographics" and row["act"] == "update"]
    assert (change["participant"], change["column"], change["old"], change["new"]) == ("NK-001", "height_cm", "", "171")
    assert change["who"] == cast.coordinator_a.audit_name
    assert change["reason"] == "'" + '=cmd|" /C calc"!A1', "no formula for a spreadsheet"
    own = AuditEntry.of_site(cast.site_a.pk, [subject.pk for subject in two_sites.subjects])
    kept = {row["entry"] for row in trail}
    assert kept == {str(pk) for pk in own.exclude(act="site data downloaded").values_list("pk", flat=True)}
    contacts = [row for row in trail if row["table"] == "patients_contact" and row["column"] == "name"]
    assert {row["new"] for row in contacts} == {"(encrypted)"}


def test_the_same_data_and_time_give_the_same_bytes(cast, two_sites):
    made = [site_zip(cast.site_a, two_sites.subjects, MADE) for _n in range(2)]
    assert made[0] == made[1]


def test_a_masked_person_gets_nothing_even_with_the_right(client, cast, two_sites, monkeypatch):
    from spinetrial.access import policy

    monkeypatch.setitem(policy.POLICY, "casebook", policy.POLICY["casebook"] | {Role.ASSESSOR})
    signed_in(client, cast.assessor_a)
    for page in PAGES:
        assert client.get(reverse(page, args=["NK"])).status_code == 403
    assert client.get(reverse("casebook_pdf", args=["NK-001"])).status_code == 403
    assert not AuditEntry.objects.filter(act__endswith="downloaded").exists()


def test_all_casebooks_of_the_site(client, cast, two_sites):
    signed_in(client, cast.investigator_a)
    answer = client.get(reverse("site_casebooks", args=["NK"]), {"lang": "zh-hans"})
    files = unpacked(body(answer))
    assert set(files) == {f"casebook-{subject.code}-zh-hans.pdf" for subject in two_sites.subjects}
    assert all(content.startswith(b"%PDF") for content in files.values())
    entry = AuditEntry.objects.get(act="all casebooks downloaded")
    assert (entry.site_id, entry.changes["casebooks"], entry.reveals_arm) == (cast.site_a.pk, 3, True)
    assert client.get(reverse("site_casebooks", args=["NK"]), {"lang": "de"}).status_code == 404


@pytest.mark.parametrize("name", ["coordinator_b", "investigator_b"])
@pytest.mark.parametrize("page", PAGES)
def test_another_site_is_not_found(client, cast, two_sites, name, page):
    signed_in(client, getattr(cast, name))
    for code in ("NK", "XX", "nk"):
        assert client.get(reverse(page, args=[code])).status_code == 404
    assert client.get(reverse(page, args=["SH"])).status_code == 200


@pytest.mark.parametrize(
    "name", ["assessor_a", "monitor_a", "data_manager", "statistician", "custodian", "administrator", "outsider"]
)
@pytest.mark.parametrize("page", PAGES)
def test_masked_roles_and_everyone_else_are_refused(client, cast, two_sites, name, page):
    signed_in(client, getattr(cast, name))
    assert client.get(reverse(page, args=["NK"])).status_code == 403
    assert client.get(reverse("site_file")).status_code == 403
    assert not AuditEntry.objects.filter(act__endswith="downloaded").exists()


def test_an_assessor_of_one_site_who_coordinates_another_gets_the_other_alone(client, cast, two_sites):
    with acting(SETUP, "test"):
        Membership(user=cast.assessor_a, role=Role.COORDINATOR, site=cast.site_b, starts="2020-01-01").save()
    signed_in(client, cast.assessor_a)
    for page in PAGES:
        assert client.get(reverse(page, args=["NK"])).status_code == 404
        assert client.get(reverse(page, args=["SH"])).status_code == 200


def test_a_right_that_ended_yesterday_opens_nothing(client, cast, two_sites):
    with acting(SETUP, "left"):
        Membership.objects.filter(user=cast.coordinator_a).update(ends="2026-03-01")
    signed_in(client, cast.coordinator_a)
    assert client.get(reverse("site_data", args=["NK"])).status_code == 403


def test_after_freeze_and_lock_too(client, cast, two_sites):
    trial.do_freeze(cast.data_manager, "ready")
    signed_in(client, cast.coordinator_a)
    for page in PAGES:
        assert client.get(reverse(page, args=["NK"])).status_code == 200
    do_lock_trial(cast.statistician, "final")
    for page in PAGES:
        answer = client.get(reverse(page, args=["NK"]))
        assert answer.status_code == 200
        assert body(answer)


def test_the_page_lists_casebooks_and_who_downloaded_what(client, cast, two_sites):
    signed_in(client, cast.coordinator_a)
    answer = client.get(reverse("site_file"), follow=True)
    assert answer.redirect_chain[-1][0] == reverse("site_file_of", args=["NK"])
    page = answer.content.decode()
    for subject in two_sites.subjects:
        assert reverse("casebook_pdf", args=[subject.code]) in page
    assert "SH-001" not in page
    client.get(reverse("site_data", args=["NK"]))
    client.get(reverse("casebook_pdf", args=[two_sites.subjects[0].code]))
    signed_in(client, cast.coordinator_b).get(reverse("site_data", args=["SH"]))
    signed_in(client, cast.investigator_a)
    downloads = client.get(reverse("site_file_of", args=["NK"])).context["downloads"]
    assert [(str(each["what"]), each["subject"], each["entry"].actor_id) for each in downloads] == [
        ("Casebook", "NK-001", cast.coordinator_a.pk),
        ("Data and audit trail", "", cast.coordinator_a.pk),
    ]
    assert all(len(each["sha256"]) == 64 for each in downloads)


def test_the_rail_leads_to_the_site_file(client, cast):
    assert reverse("site_file") in signed_in(client, cast.coordinator_a).get(reverse("worklist")).content.decode()
    assert reverse("site_file") not in signed_in(client, cast.monitor_a).get(reverse("worklist")).content.decode()
