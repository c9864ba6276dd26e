"""How long queries take: worked out by hand here, by the database there."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.crfs import DEMOGRAPHICS
from radiotherapy.crfs import COURSE
from spinetrial.access import policy
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from spinetrial.review import queries
from spinetrial.review.models import Query
from tests.followup.helpers import noon, registered, treated

START = noon(date(2026, 1, 5))
NOW = noon(date(2026, 3, 2))
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}


@pytest.fixture(autouse=True)
def _clock():
    with at(NOW):
        yield


@pytest.fixture
def record(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


@pytest.fixture
def other(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_b, cast.site_b), cast.coordinator_b, ANSWERS)


def life(cast, record, day, *, answered=None, closed=None, cancelled=None, item="height_cm"):
    """A query raised `day` days after START; answered, closed or cancelled so many days later."""
    person = cast.coordinator_a if record.subject.site_id == cast.site_a.pk else cast.coordinator_b
    raised = START + timedelta(days=day)
    with at(raised):
        query = queries.raise_query(
            cast.data_manager, subject=record.subject, site_id=record.subject.site_id, spec_code="P.DM",
            record_id=record.pk, event="BL", item=item, text=f"{day}?",
        )  # fmt: skip
    for days, act, actor in ((answered, queries.answer, person), (closed, queries.close, cast.data_manager),
                             (cancelled, queries.cancel, cast.data_manager)):  # fmt: skip
        if days is not None:
            with at(raised + timedelta(days=days)):
                act(actor, query, "words")
    return query


def page(client, person, name="query_metrics", **params):
    client.force_login(User.objects.get(pk=person.pk))
    return client.get(reverse(name), params)


def test_median_and_ninetieth_percentile_by_site_and_by_field(client, cast, record, other):
    for answered, closed in ((1, 2), (2, 4), (3, 6), (4, 8), (10, 20)):
        life(cast, record, 0, answered=answered, closed=closed)
    life(cast, record, 0, item="sex")
    life(cast, record, 50, item="sex", answered=1)
    life(cast, other, 0, cancelled=3)
    shown = page(client, cast.data_manager).context
    north, south = shown["sites"]
    assert (north.codes, north.count, north.live, north.old, north.answered, north.closed) == (("NK",), 7, 2, 1, 6, 5)
    # answers after 1 1 2 3 4 10 days; closings after 2 4 6 8 20 days
    assert (north.answer_median, north.answer_p90) == (2.5, 7.0)
    assert north.close_median == 6
    assert north.close_p90 == pytest.approx(8 + 0.6 * 12)
    assert (south.count, south.live, south.answered, south.closed) == (1, 0, 0, 0)
    assert south.close_median is None
    height, sex = shown["fields"]
    assert (height.codes, height.count, height.answer_median) == (("P.DM", "height_cm"), 6, 3)
    assert (sex.codes, sex.count, sex.answer_median, sex.close_median) == (("P.DM", "sex"), 2, 1, None)
    assert (shown["whole"].count, shown["whole"].answer_median) == (8, 2.5)


def test_nothing_to_time_is_not_estimable(client, cast, record):
    assert "not estimable" in page(client, cast.data_manager).content.decode()
    life(cast, record, 0)
    line = page(client, cast.data_manager).context["whole"]
    assert line.times == [(0, "not estimable", "not estimable")] * 2


def test_a_period_is_of_days_at_the_site(client, cast, record):
    with at(noon(date(2026, 1, 31)) + timedelta(hours=13)):  # one in the morning of 1 February there, January by UTC
        queries.raise_query(cast.data_manager, subject=record.subject, site_id=cast.site_a.pk, spec_code="P.DM",
                            record_id=record.pk, event="BL", item="sex", text="?")  # fmt: skip

    def count(**params):
        return page(client, cast.data_manager, **params).context["whole"].count

    assert count(site="NK", since="2026-02-01", until="2026-02-28") == 1
    assert count(site="NK", until="2026-01-31") == 0
    assert count(until="2026-01-31") == 1
    assert count(since="2026-02-01") == 0


@pytest.mark.parametrize("params", [{"since": "x"}, {"since": "2026-02-02", "until": "2026-02-01"}, {"site": "??"},
                                    {"until": "\0"}, {"since": "9" * 1000}])  # fmt: skip
@pytest.mark.parametrize("name", ["query_metrics", "query_metrics_csv"])
def test_a_period_that_is_none_is_said(client, cast, name, params):
    assert page(client, cast.data_manager, name, **params).status_code == 422


@pytest.mark.parametrize("params", [{"since": "0001-01-01"}, {"until": "9999-12-31"}])
def test_the_ends_of_time_are_no_error(client, cast, params):
    assert page(client, cast.data_manager, **params).status_code == 200


def test_a_monitor_sees_the_own_sites_and_nobody_else_anything(client, cast, record, other):
    life(cast, record, 0)
    life(cast, other, 0)
    assert [line.codes for line in page(client, cast.monitor_a).context["sites"]] == [("NK",)]
    assert page(client, cast.monitor_a, site="SH").status_code == 422
    for person in (cast.coordinator_a, cast.investigator_a, cast.statistician, cast.administrator):
        assert page(client, person).status_code == 403
        assert page(client, person, "query_metrics_csv").status_code == 403


def test_a_masked_persons_metrics_leave_out_forms_that_reveal_the_arm(client, cast, monkeypatch):
    """No role of today raises queries and is masked; the rule must hold for the one that comes."""
    followed = treated(cast.coordinator_a, cast.site_a)
    enter(
        COURSE, followed, cast.coordinator_a, {"prescribed_gy": 60, "prescribed_fractions": 10, "ending": "as_planned"}
    )
    assert Query.objects.filter(spec_code="R.RT").exists()
    monkeypatch.setitem(policy.POLICY, "query.raise", policy.POLICY["query.raise"] | {policy.Role.ASSESSOR})
    shown = page(client, cast.assessor_a)
    assert shown.context["whole"].count == Query.objects.exclude(spec_code="R.RT").count()
    assert not [line for line in shown.context["fields"] if line.codes[0] == "R.RT"]
    assert "R.RT" not in page(client, cast.assessor_a, "query_metrics_csv").content.decode()
    assert "R.RT" in page(client, cast.monitor_a, "query_metrics_csv").content.decode()


def test_the_file_holds_the_numbers_of_the_page(client, cast, record):
    life(cast, record, 0, answered=1.5, closed=3)
    life(cast, record, 1)
    answer = page(client, cast.data_manager, "query_metrics_csv")
    assert answer["Content-Disposition"] == 'attachment; filename="spinetrial-query-metrics.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["group"] for row in rows] == ["all", "site", "field"]
    assert rows[2]["form"], rows[2]["item"] == ("P.DM", "height_cm")
    for row in rows:
        assert (row["queries"], row["not_closed"], row["not_closed_old"]) == ("2", "1", "1")
        assert (row["days_to_answer_median"], row["days_to_close_p90"]) == ("1.500", "3.000")


def test_the_page_asks_the_same_for_two_queries_and_for_many(client, cast, record, other):
    def asked():
        page(client, cast.data_manager)
        with CaptureQueriesContext(connection) as captured:
            page(client, cast.data_manager)
        return len(captured)

    life(cast, record, 0)
    few = asked()
    for day in range(5):
        life(cast, other, day, answered=1, item="sex")
        life(cast, record, day, closed=1, item="birth_date")
    assert asked() == few
