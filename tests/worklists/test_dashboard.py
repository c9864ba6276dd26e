"""The dashboard of the simulated trial: counts agree with the rows, pooled over the arms, constant in queries."""

import base64
import re
import statistics
from collections import Counter
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from followup.models import Visit
from patients.models import BaselinePain, Milestones, Subject
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from spinetrial.worklists.dashboard import FLOW
from tests.conftest import own_database
from tests.simulated import EVENING


@pytest.fixture
def small_trial(request, simulated_templates, django_db_blocker):
    with own_database(request, simulated_templates(10), django_db_blocker), at(EVENING):
        yield


def page(client, user, name="dashboard", *args):
    client.force_login(User.objects.get(username=user))
    return client.get(reverse(name, args=args))


def panel(response, key):
    return next(each for each in response.context["panels"] if each["id"] == key)


def counts(response):
    return {str(box["label"]): box["count"] for box in response.context["flow"]}


def test_flow_counts_are_those_of_the_rows_and_lead_to_the_people(client, small_trial):
    response = page(client, "data-manager")
    boxes = {box["url"]: box["count"] for box in response.context["flow"]}
    assert boxes[reverse("flow", args=["contact"])] == Subject.objects.count()
    randomized = Milestones.objects.filter(randomized_on__isnull=False).count()
    assert boxes[reverse("flow", args=["randomised"])] == randomized == 10
    top = [boxes[reverse("flow", args=[key])] for key in ("excluded", "screening", "randomised")]
    assert sum(top) == Subject.objects.count()
    reasons = sum(count for url, count in boxes.items() if "/excluded-" in url)
    assert reasons == boxes[reverse("flow", args=["excluded"])] > 0
    for box in FLOW:
        listed = client.get(reverse("flow", args=[box.key]))
        assert len(listed.context["rows"]) == boxes[reverse("flow", args=[box.key])], box.key


def test_accrual_ends_at_the_number_randomised_and_the_plan_at_the_sample(client, small_trial):
    rows = panel(page(client, "statistician"), "accrual")["rows"]
    assert rows[-1][-2] == "10"
    assert [float(row[-1]) for row in rows] == sorted(float(row[-1]) for row in rows)
    assert float(rows[min(23, len(rows) - 1)][-1]) <= 66


def test_a_site_sees_its_own_share_of_the_plan_and_its_own_people(client, small_trial):
    whole, own = page(client, "data-manager"), page(client, "coordinator-bj")
    assert counts(own)["First contact"] == Subject.objects.filter(site__code="BJ").count()
    assert counts(own)["First contact"] < counts(whole)["First contact"]
    assert float(panel(own, "accrual")["rows"][0][-1]) == pytest.approx(
        float(panel(whole, "accrual")["rows"][0][-1]) / 2, abs=0.1
    )


def test_pain_over_time_is_the_mean_of_the_recorded_scores(client, small_trial):
    rows = {row[0]: row[1:] for row in panel(page(client, "monitor-bj"), "pain")["rows"]}
    scores = Visit.objects.filter(event="M3", subject__site__code="BJ", nrs_worst__isnull=False)
    values = list(scores.values_list("nrs_worst", flat=True))
    assert rows["Month 3"][0] == str(len(values))
    assert rows["Month 3"][1] == f"{statistics.fmean(values):.1f}"
    baseline = BaselinePain.objects.filter(
        subject__site__code="BJ", subject__milestones__randomized_on__isnull=False, nrs_worst__isnull=False
    )
    assert rows["Baseline"][0] == str(baseline.count())


def test_compliance_adds_up_to_the_visits_that_had_to_be(client, small_trial):
    for row in panel(page(client, "data-manager"), "compliance")["rows"]:
        done, outside, missed, overdue = map(int, row[1:5])
        whole = done + outside + missed + overdue
        assert row[5] == (f"{done / whole * 100:.0f} %" if whole else "none")


@pytest.mark.parametrize("user", ["coordinator-bj", "investigator-bj", "data-manager", "statistician"])
def test_no_figure_tells_the_arm(client, small_trial, user):
    text = page(client, user).content.decode()
    images = re.findall(r"base64,([A-Za-z0-9+/=]+)", text)
    assert len(images) == 2
    whole = text + "".join(base64.b64decode(image).decode() for image in images)
    for words in ("Involved", "Whole vertebra", "whole vertebra"):
        assert words not in whole


def test_pain_by_arm_adds_up_to_the_pooled_numbers_and_is_on_the_trail(client, small_trial):
    pooled = {row[0]: int(row[1]) for row in panel(page(client, "data-manager"), "pain")["rows"]}
    client.force_login(User.objects.get(username="data-manager"))
    with at(EVENING):
        rows = panel(client.get(reverse("dashboard"), {"by": "arm"}), "pain")["rows"]
    found = Counter()
    for visit, _arm, number, *_more in rows:
        found[visit] += int(number)
    assert found == pooled
    assert {row[1] for row in rows} == {arm.name for arm in CURRENT.arms}
    assert AuditEntry.objects.filter(act="arm viewed: pain by arm", actor__contains="data-manager").count() == 1


@pytest.mark.parametrize("user", ["statistician", "assessor-bj"])
def test_whoever_is_masked_compares_no_arms(client, small_trial, user):
    client.force_login(User.objects.get(username=user))
    with at(EVENING):
        assert client.get(reverse("dashboard"), {"by": "arm"}).status_code == 403


@pytest.mark.parametrize("user", ["custodian", "administrator", "assessor-bj"])
def test_who_sees_no_clinical_overview_is_refused(client, small_trial, user):
    assert page(client, user).status_code == 403
    assert page(client, user, "flow", "died").status_code == 403


def test_an_unknown_box_is_not_found(client, small_trial):
    assert page(client, "data-manager", "flow", "nothing").status_code == 404


def test_before_the_first_contact_the_page_says_so(client, cast):
    client.force_login(cast.data_manager)
    assert "Nobody has been screened yet" in client.get(reverse("dashboard")).content.decode()


def test_one_person_in_screening_and_nobody_randomised(client, cast):
    from patients.subjects import do_register

    do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {"name": "Wang"})
    client.force_login(cast.coordinator_a)
    with at(EVENING):
        response = client.get(reverse("dashboard"))
    assert "No pain scores yet" in base64.b64decode(panel(response, "pain")["image"].split(",")[1]).decode()
    assert panel(response, "pain")["rows"][0][1:] == ["0", "not estimable", "not estimable", "not estimable"]


def test_the_number_of_questions_does_not_grow(request, client, simulated_templates, django_db_blocker):
    found = set()
    for patients in (10, 66):
        with own_database(request, simulated_templates(patients), django_db_blocker), at(EVENING):
            client.force_login(User.objects.get(username="data-manager"))
            client.get(reverse("dashboard"))
            with CaptureQueriesContext(connection) as captured:
                assert client.get(reverse("dashboard")).status_code == 200
            found.add(len(captured))
    assert len(found) == 1
