"""Readiness to lock: every kind of open point by name and link, by site, as CSV, and nothing for the masked."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from adverse_events.coding import do_put_in_force
from adverse_events.meddra.load import do_import
from followup.crfs import IMAGING
from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from radiotherapy.crfs import COURSE
from spinetrial.access.models import TrialState, User
from spinetrial.analysis.readiness import BLOCKER_LABELS, BlockerKind, all_overviews, readiness
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at, now
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import stored
from spinetrial.crf.models import Draft
from spinetrial.crf.reviewing import sign, verify
from spinetrial.crf.save import enter
from spinetrial.review import queries, trial
from tests.adverse_events.helpers import AWARE, EVENT, FATIGUE, OTHER_CARDIAC, SERIOUS, event, sent
from tests.adverse_events.invented import Invented, zipped
from tests.conftest import own_database
from tests.followup.helpers import noon, registered, treated, visit
from tests.simulated import EVENING

TODAY = date(2026, 3, 2)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
K = BlockerKind


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


def points(person, subject, kind):
    return [each for each in readiness(person) if (each.subject, each.kind) == (subject.code, kind)]


def ask(cast, record):
    return queries.raise_query(cast.monitor_a, subject=record.subject, site_id=cast.site_a.pk, spec_code="P.DM",
                               record_id=record.pk, event="BL", item="height_cm", text="Right?")  # fmt: skip


@pytest.fixture
def saved(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


def hash_of(record):
    (found,) = stored([record.subject_id], [DEMOGRAPHICS])
    return found.sha256


def test_open_and_answered_queries(cast, saved):
    manager, subject = cast.data_manager, saved.subject
    asked = ask(cast, saved)
    (point,) = points(manager, subject, K.QUERY)
    assert (point.what, point.url) == ("Demographics: Height", reverse("query", args=[asked.pk]))
    queries.answer(cast.coordinator_a, asked, "Yes.")
    assert not points(manager, subject, K.QUERY)
    assert len(points(manager, subject, K.ANSWERED)) == 1
    queries.close(cast.monitor_a, asked, "Thank you.")
    assert not points(manager, subject, K.ANSWERED)


def test_unsigned_and_void_signatures(cast, saved):
    manager, subject = cast.data_manager, saved.subject
    (point,) = points(manager, subject, K.UNSIGNED)
    assert point.what == "Baseline: Demographics"
    assert point.url.startswith(reverse("subject", args=[subject.code]))
    doctor = User.objects.get(pk=cast.investigator_a.pk)
    sign(doctor, subject, {("P.DM", saved.pk): hash_of(saved)}, scope="form", meaning="reviewed", certify=True)
    assert not points(manager, subject, K.UNSIGNED)
    with acting(cast.coordinator_a, "corrected by SQL"):
        Demographics.objects.update(height_cm=170)
    (point,) = points(manager, subject, K.UNSIGNED)
    assert "signature void" in point.what


def test_unverified_critical_items_and_those_to_verify_again(cast, saved):
    manager, subject = cast.data_manager, saved.subject
    (point,) = points(manager, subject, K.UNVERIFIED)
    assert point.what == "Demographics: 2 items"
    assert point.url == reverse("crf", args=[subject.code, "P.DM", "form"])
    verify(cast.monitor_a, subject, ("P.DM", saved.pk), hash_of(saved))
    assert not points(manager, subject, K.UNVERIFIED)
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, {**ANSWERS, "sex": "male"}, record=saved, reason="typing error")
    (point,) = points(manager, subject, K.UNVERIFIED)
    assert point.what == "Demographics: 1 item, 1 of them to verify again"


def test_adverse_events_not_coded_block_only_while_a_dictionary_is_in_force(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    event(subject, cast.coordinator_a)
    other = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd heartbeat")
    assert not points(cast.data_manager, subject, K.CODING)
    invented = zipped(Invented(linked=(FATIGUE,)).content())
    do_put_in_force(cast.data_manager, do_import(cast.data_manager, invented, "en").version.pk, "test")
    (point,) = points(cast.data_manager, subject, K.CODING)
    assert point.what == "odd heartbeat: Not coded"
    assert point.url == reverse("crf", args=[subject.code, "A.AE", other.pk])


def test_serious_events_not_reconciled(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    record = event(subject, cast.coordinator_a, **SERIOUS)
    (point,) = points(cast.data_manager, subject, K.SERIOUS)
    assert "no report signed, missed without a reason: Report to the sponsor, outcome not final" in point.what
    sent(record, cast.investigator_a, AWARE + timedelta(hours=3))
    (point,) = points(cast.data_manager, subject, K.SERIOUS)
    assert point.what == "Fatigue: no final report, outcome not final"
    record.refresh_from_db()
    over = {**EVENT, **SERIOUS, "outcome": "recovered", "end_date": date(2025, 10, 9)}
    event(subject, cast.coordinator_a, record=record, **over)
    (point,) = points(cast.data_manager, subject, K.SERIOUS)
    assert point.what == "Fatigue: no final report, changed since the last report"
    sent(record, cast.investigator_a, noon(TODAY), kind="final")
    assert not points(cast.data_manager, subject, K.SERIOUS)


def test_visits_forms_and_screening(cast):
    person, manager = cast.coordinator_a, cast.data_manager
    subject = treated(person, cast.site_a)
    assert [each.what for each in points(manager, subject, K.VISIT)] == ["Week 2", "Month 3"]
    visit(subject, person, "M3", visit_date=date(2025, 12, 15))
    assert [each.what for each in points(manager, subject, K.VISIT)] == ["Week 2"]
    assert "Follow-up imaging, Month 3" in [each.what for each in points(manager, subject, K.FORM)]
    enter(IMAGING, subject, person, {"status": "not_done", "not_done_reason": "refused"}, event="M3")
    assert "Follow-up imaging, Month 3" not in [each.what for each in points(manager, subject, K.FORM)]
    screened = registered(person, cast.site_a)
    assert len(points(manager, screened, K.SCREENING)) == 1


def test_a_missed_visit_is_no_missing_visit(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    visit(subject, cast.coordinator_a, "M3", status="missed", on=TODAY)
    assert [each.what for each in points(cast.data_manager, subject, K.VISIT)] == ["Week 2"]
    assert not any("Month 3" in each.what for each in points(cast.data_manager, subject, K.FORM))


def test_drafts_without_what_is_in_them(cast, saved):
    Draft(user=cast.coordinator_a, subject=saved.subject, spec_code="P.TUMOUR", key="form",
          data={"histology": ["secret words"]}, saved_at=now()).save()  # fmt: skip
    (point,) = points(cast.data_manager, saved.subject, K.DRAFT)
    assert point.what == "Primary tumour, typed by Coordinator A on 2026-03-02"


def test_every_point_leads_to_a_page_the_data_manager_may_open(client, cast, saved):
    subject = treated(cast.coordinator_a, cast.site_a)
    event(subject, cast.coordinator_a, **SERIOUS, ctcae_code=OTHER_CARDIAC)
    invented = zipped(Invented().content())
    do_put_in_force(cast.data_manager, do_import(cast.data_manager, invented, "en").version.pk, "test")
    ask(cast, saved)
    Draft(user=cast.coordinator_a, subject=subject, spec_code="F.VISIT", key="M3", data={}, saved_at=now()).save()
    client.force_login(cast.data_manager)
    found = readiness(cast.data_manager)
    assert {each.kind for each in found} >= {K.QUERY, K.UNSIGNED, K.UNVERIFIED, K.CODING, K.SERIOUS, K.VISIT, K.FORM,
                                             K.SCREENING, K.DRAFT}  # fmt: skip
    assert set(BLOCKER_LABELS) == set(K)
    for url in {each.url for each in found}:
        assert client.get(url, follow=True).status_code == 200, url


def test_the_page_groups_counts_and_filters_by_site(client, cast, saved):
    theirs = registered(cast.coordinator_b, cast.site_b)
    client.force_login(cast.data_manager)
    page = client.get(reverse("trial"))
    groups = {str(group["label"]): group["count"] for group in page.context["groups"]}
    assert groups["Screening not finished"] == 2
    assert page.context["open_points"] == sum(groups.values())
    page = client.get(reverse("trial"), {"site": "SH"})
    assert {b.subject for group in page.context["groups"] for b in group["blockers"]} == {theirs.code}
    assert page.context["open_points"] == sum(groups.values()), "the lock asks about the whole trial"
    for odd in ("NOWHERE", "\0", "x" * 10_000, "🙂"):
        assert client.get(reverse("trial"), {"site": odd}).status_code == 200


def test_the_roll_up_counts_by_site_and_event(client, cast, saved):
    registered(cast.coordinator_b, cast.site_b)
    client.force_login(cast.data_manager)
    table = client.get(reverse("trial")).context["roll_up"]
    labels = [column["label"] for column in table["columns"]]
    lines = {line["code"]: dict(zip(labels, line["cells"], strict=True)) for line in table["rows"]}
    assert (lines["NK"]["Baseline"]["state"], lines["NK"]["Baseline"]["done"]) == ("partial", 1)
    assert (lines["SH"]["Baseline"]["state"], lines["SH"]["Baseline"]["done"]) == ("empty", 0)
    assert lines["Trial"]["Baseline"]["state"] == "partial"
    assert "Partly entered 1, Nothing entered 1" in lines["Trial"]["Baseline"]["label"]
    ask(cast, saved)
    table = client.get(reverse("trial")).context["roll_up"]
    assert table["total"]["state"] == "has_query"


def test_the_csv_holds_every_point_with_its_address(client, cast, saved):
    registered(cast.coordinator_b, cast.site_b)
    client.force_login(cast.data_manager)
    answer = client.get(reverse("open_points_csv"))
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == len(readiness(cast.data_manager))
    assert all(row["address"].startswith("http") for row in rows)
    rows = list(
        csv.DictReader(io.StringIO(client.get(reverse("open_points_csv"), {"site": "SH"}).content.decode("utf-8-sig")))
    )
    assert {row["site"] for row in rows} == {"SH"}
    assert AuditEntry.objects.filter(act="open points exported").count() == 2
    assert client.get(reverse("open_points_csv"), {"site": "\0"}).status_code == 200
    for person in (cast.coordinator_a, cast.monitor_a, cast.administrator):
        client.force_login(person)
        assert client.get(reverse("open_points_csv")).status_code == 403


def test_a_masked_statistician_sees_nothing_of_forms_that_reveal_the_arm(client, cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    course = enter(COURSE, subject, cast.coordinator_a,
                   {"prescribed_gy": 40, "prescribed_fractions": 10, "ending": "as_planned"})  # fmt: skip
    queries.raise_query(cast.monitor_a, subject=subject, site_id=cast.site_a.pk, spec_code="R.RT",
                        record_id=course.pk, event="RT", item="prescribed_gy", text="Right?")  # fmt: skip
    Draft(user=cast.coordinator_a, subject=subject, spec_code="R.RT", key="form", data={}, saved_at=now()).save()
    title = "Radiotherapy course"
    kinds = {each.kind for each in readiness(cast.data_manager) if title in each.what}
    assert kinds >= {K.UNSIGNED, K.UNVERIFIED, K.QUERY, K.DRAFT}
    assert not [each for each in readiness(cast.statistician) if title in each.what]
    assert all(("R.RT", course.pk) not in row.forms for row in all_overviews(cast.statistician))
    client.force_login(cast.statistician)
    assert title not in client.get(reverse("trial")).content.decode()
    assert title not in client.get(reverse("open_points_csv")).content.decode()


@pytest.mark.parametrize("patients", [10, 66])
def test_the_number_of_questions_does_not_grow(request, client, simulated_templates, django_db_blocker, patients):
    with own_database(request, simulated_templates(patients), django_db_blocker), at(EVENING):
        client.force_login(User.objects.get(username="data-manager"))
        client.get(reverse("trial"))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("trial")).status_code == 200
        assert len(captured) == TRIAL_PAGE


#: Questions of the trial page to the database. A number that must change is changed here, with a reason in the commit.
TRIAL_PAGE = 64


def test_the_page_outlives_freeze_and_lock(client, cast, saved):
    trial.do_freeze(cast.data_manager, "ready")
    client.force_login(cast.data_manager)
    assert client.get(reverse("trial")).status_code == 200
    trial.do_lock(cast.statistician, "final")
    assert client.get(reverse("trial")).status_code == 200
    assert TrialState.current().state == "locked"
