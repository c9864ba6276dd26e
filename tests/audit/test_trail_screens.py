"""The trail on the screen and as CSV: who sees what, filters, old and new in one row, no arm for the masked."""

import csv
import io
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from followup.crfs import VISIT
from patients.crfs import DEMOGRAPHICS
from spinetrial.access.models import Membership, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import enter
from spinetrial.worklists.audit_trail import PER_PAGE, visible
from tests.cast import SETUP
from tests.conftest import own_database
from tests.followup.helpers import DONE, noon, treated
from tests.simulated import EVENING

TODAY = date(2026, 3, 2)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


@pytest.fixture
def changed(cast, subject):
    """A form that was entered and then changed by the investigator."""
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    return enter(DEMOGRAPHICS, subject, cast.investigator_a, {**ANSWERS, "height_cm": 171}, record=record,
                 reason="=cmd() wrong line read")  # fmt: skip


@pytest.fixture
def small_trial(request, simulated_templates, django_db_blocker):
    with own_database(request, simulated_templates(10), django_db_blocker), at(EVENING):
        yield


def rows(client, user, **wanted):
    client.force_login(user)
    return client.get(reverse("audit_trail"), wanted).context["rows"]


def download(client, user, **wanted):
    client.force_login(user)
    response = client.get(reverse("audit_csv"), wanted)
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_one_row_says_who_when_old_new_and_why(client, cast, subject, changed):
    found = [row for row in rows(client, cast.monitor_a, item="height_cm") if row["old"]]
    assert len(found) == 1
    row = found[0]
    assert (row["old"], row["new"]) == ("160", "171")
    assert row["entry"].actor == cast.investigator_a.audit_name
    assert row["entry"].reason == "=cmd() wrong line read"
    assert row["local"].endswith("CST")
    assert row["utc"].endswith("UTC")
    assert (row["subject"], row["form"], row["act"]) == (subject.code, "Demographics", "changed")


@pytest.mark.parametrize(
    ("wanted", "some", "not_all"),
    [
        ({"site": "NK"}, True, False),
        ({"site": "SH"}, True, True),
        ({"subject": "nk-001"}, True, True),
        ({"subject": "NK-999"}, False, True),
        ({"form": "P.DM"}, True, True),
        ({"item": "Height"}, True, True),
        ({"person": "investigator-a"}, True, True),
        ({"act": "update"}, True, True),
        ({"since": "2026-01-01", "until": "2999-12-31"}, True, False),
        ({"until": "2001-01-01"}, False, True),
        ({"until": "9999-12-31", "since": "0001-01-01"}, True, False),
    ],
)
def test_every_filter_narrows(client, cast, changed, wanted, some, not_all):
    treated(cast.coordinator_b, cast.site_b)
    everything, found = rows(client, cast.data_manager), rows(client, cast.data_manager, **wanted)
    assert bool(found) is some
    if not_all:
        assert len(found) < len(everything)


def test_a_wrong_filter_is_said_at_the_field(client, cast, changed):
    client.force_login(cast.data_manager)
    for wanted in ({"since": "yesterday"}, {"form": "X"}, {"site": "ZZ"}, {"person": "x" * 100}, {"act": "\0"}):
        assert client.get(reverse("audit_trail"), wanted).status_code == 422
        assert client.get(reverse("audit_csv"), wanted).status_code == 422
    for wanted in ({"before": "x"}, {"before": "9" * 30}, {"item": "\0"}, {"subject": "\0'"}, {"person": "%\\"}):
        assert client.get(reverse("audit_trail"), wanted).status_code in (200, 422)


def test_site_staff_see_the_trail_of_their_own_participants(client, cast, changed):
    other = treated(cast.coordinator_b, cast.site_b)
    mine, theirs = rows(client, cast.coordinator_a), rows(client, cast.coordinator_b)
    assert {row["subject"] for row in mine} - {""} == {changed.subject.code}
    assert {row["subject"] for row in theirs} - {""} == {other.code}
    assert rows(client, cast.coordinator_b, subject=changed.subject.code) == []
    assert all(not row["entry"].table_name.startswith("access_user") for row in mine)


def test_administrators_see_accounts_and_no_participant(client, cast, changed):
    found = rows(client, cast.administrator)
    assert {row["subject"] for row in found} == {""}
    assert any(row["entry"].table_name == "access_membership" for row in found)


@pytest.mark.parametrize("name", ["statistician", "custodian", "assessor_a", "outsider"])
def test_others_are_refused(client, cast, name):
    client.force_login(getattr(cast, name))
    assert client.get(reverse("audit_trail")).status_code == 403
    assert client.get(reverse("audit_csv")).status_code == 403


def test_a_person_masked_at_one_site_sees_no_arm_there(cast, changed):
    """Coordinator at one site, assessor at the other: what reveals an arm is kept back for the second alone."""
    with acting(SETUP, "test"):
        record_event("arm viewed", subject_id=changed.subject_id, reveals_arm=True)
        Membership(user=cast.coordinator_b, role=Role.ASSESSOR, site=cast.site_a, starts=date(2020, 1, 1)).save()
    person = User.objects.get(pk=cast.coordinator_b.pk)
    assert not visible(person).filter(subject_id=changed.subject_id).exists()
    assert visible(cast.coordinator_a).filter(subject_id=changed.subject_id, reveals_arm=True).exists()
    with acting(SETUP, "test"):
        Membership(user=person, role=Role.MONITOR, site=cast.site_a, starts=date(2020, 1, 1)).save()
    again = User.objects.get(pk=person.pk)
    assert visible(again).filter(subject_id=changed.subject_id, reveals_arm=True).exists()


def test_the_csv_is_safe_in_a_spreadsheet_and_is_itself_recorded(client, cast, changed):
    before = AuditEntry.objects.filter(act="audit trail exported").count()
    found = download(client, cast.monitor_a, item="height_cm", act="update")
    assert [(row["old"], row["new"]) for row in found] == [("160", "171")]
    assert found[0]["reason"] == "'=cmd() wrong line read"
    assert found[0]["hash"] == AuditEntry.objects.get(pk=found[0]["entry"]).hash
    assert AuditEntry.objects.filter(act="audit trail exported").count() == before + 1


def test_names_are_never_in_it(client, cast, subject, changed):
    text = str(download(client, cast.data_manager)) + str(rows(client, cast.coordinator_a))
    assert "Zhang" not in text
    assert "gAAAA" not in text, "not even encrypted"


def test_pages_follow_each_other_without_gap_or_double(client, small_trial):
    user = User.objects.get(username="data-manager")
    client.force_login(user)
    seen, before = [], ""
    for _page in range(4):
        response = client.get(reverse("audit_trail"), {"before": before} if before else {})
        page = list(dict.fromkeys(row["entry"].pk for row in response.context["rows"]))
        assert not set(page) & set(seen)
        seen += page
        before = response.context["older"]
    expected = list(visible(user).order_by("-id").values_list("pk", flat=True)[: 4 * PER_PAGE])
    assert [pk for pk in expected if pk in set(seen)] == seen


def test_the_number_of_questions_does_not_grow(request, client, simulated_templates, django_db_blocker):
    found = {}
    for patients in (10, 66):
        with own_database(request, simulated_templates(patients), django_db_blocker), at(EVENING):
            for name in ("data-manager", "coordinator-bj", "administrator"):
                client.force_login(User.objects.get(username=name))
                client.get(reverse("audit_trail"))
                with CaptureQueriesContext(connection) as captured:
                    assert client.get(reverse("audit_trail")).status_code == 200
                found.setdefault(name, set()).add(len(captured))
    assert all(len(counts) == 1 for counts in found.values()), found


def test_it_speaks_chinese(client, cast, changed):
    client.force_login(cast.monitor_a)
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/"})
    text = client.get(reverse("audit_trail")).content.decode()
    assert "稽查轨迹" in text
    assert client.get(reverse("sign_off")).status_code == 200


# --- sign-off report ---


def parts(client, user, **wanted):
    client.force_login(user)
    return {each["key"]: each for each in client.get(reverse("sign_off"), wanted).context["parts"]}


def test_endpoint_changes_after_allocation_are_listed(client, cast, subject):
    visit = enter(VISIT, subject, cast.coordinator_a, DONE, event="M3")
    found = parts(client, cast.data_manager)["endpoint"]
    assert found["count"] == 0, "a first entry is no change"
    enter(VISIT, subject, cast.coordinator_a, {**DONE, "ecog": "2"}, event="M3", record=visit, reason="misread")
    assert parts(client, cast.data_manager)["endpoint"]["count"] == 0, "not what the endpoint rests on"
    visit.refresh_from_db()
    enter(VISIT, subject, cast.coordinator_a, {**DONE, "ecog": "2", "nrs_worst": 1}, event="M3", record=visit,
          reason="the patient corrected it")  # fmt: skip
    found = parts(client, cast.data_manager)["endpoint"]
    assert found["count"] == 1
    assert any(row["entry"].reason == "the patient corrected it" for row in found["rows"])


def test_changes_after_a_freeze_are_listed(client, cast, changed):
    from spinetrial.review import trial

    assert parts(client, cast.investigator_a)["freeze"]["count"] == 0
    trial.do_freeze(cast.data_manager, "cleaning done")
    trial.do_unfreeze(cast.data_manager, "one more correction")
    enter(DEMOGRAPHICS, changed.subject, cast.investigator_a, {**ANSWERS, "height_cm": 172}, record=changed,
          reason="third look")  # fmt: skip
    assert parts(client, cast.investigator_a)["freeze"]["count"] == 1
    assert parts(client, cast.investigator_b)["freeze"]["count"] == 0


def test_late_changes_are_those_beyond_the_days_given(committed_db, owner_connection, client):
    from tests.cast import make_cast

    with owner_connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_demo DEFAULT VALUES")  # so that the trail follows the clock
    cast = make_cast()
    subject = treated(cast.coordinator_a, cast.site_a)
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    with at(noon(date(2026, 4, 5))):
        enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**ANSWERS, "height_cm": 165}, record=record, reason="late")
    with at(noon(date(2026, 4, 6))):
        assert parts(client, cast.data_manager, days="30")["late"]["count"] == 1
        assert parts(client, cast.data_manager, days="35")["late"]["count"] == 0
        rows = csv_of(client, part="late", days="30")
        assert [row["reason"] for row in rows] == ["late"] * len(rows) != []


def csv_of(client, **wanted):
    text = b"".join(client.get(reverse("sign_off_csv"), wanted).streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text[1:])))


@pytest.mark.parametrize("days", ["0", "x", "99999", "", "\0"])
def test_a_wrong_number_of_days_is_said(client, cast, days):
    client.force_login(cast.data_manager)
    assert client.get(reverse("sign_off"), {"days": days}).status_code == 422
    assert client.get(reverse("sign_off_csv"), {"days": days}).status_code in (200, 422)


def test_who_signs_off(client, cast):
    for name in ("coordinator_a", "assessor_a", "custodian", "administrator"):
        client.force_login(getattr(cast, name))
        assert client.get(reverse("sign_off")).status_code == 403
    for name in ("data_manager", "monitor_a", "investigator_a", "statistician"):
        client.force_login(getattr(cast, name))
        assert client.get(reverse("sign_off")).status_code == 200


def test_the_statistician_is_shown_no_form_that_reveals_an_arm(small_trial):
    statistician, manager = (User.objects.get(username=name) for name in ("statistician", "data-manager"))
    assert visible(manager, "signoff.view").filter(reveals_arm=True).exists()
    assert visible(statistician, "signoff.view").exists()
    assert not visible(statistician, "signoff.view").filter(reveals_arm=True).exists()
