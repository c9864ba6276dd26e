"""Asking many at once: a listing, ticked, shown by name, then opened in one transaction."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from followup.crfs import IMAGING, VISIT
from patients.crfs import CONSENT, DEMOGRAPHICS, SITES
from spinetrial.access import policy
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import enter
from spinetrial.review import queries
from spinetrial.review.models import Query
from spinetrial.worklists import listings
from tests.followup.helpers import noon, registered, treated, visit

NOW = noon(date(2026, 3, 2))
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}


@pytest.fixture(autouse=True)
def _clock():
    with at(NOW):
        yield


@pytest.fixture
def records(cast):
    """Heights 160, 170, 180 at site A, and one of 170 at site B."""
    people = [(cast.coordinator_a, cast.site_a, height) for height in (160, 170, 180)]
    people.append((cast.coordinator_b, cast.site_b, 170))
    return [
        enter(DEMOGRAPHICS, registered(person, site), person, {**ANSWERS, "height_cm": height})
        for person, site, height in people
    ]


def page(client, person, **params):
    client.force_login(User.objects.get(pk=person.pk))
    return client.get(reverse("query_listing"), {"form": "P.DM", **params})


def codes(response) -> list[str]:
    assert response.status_code == 200
    return [row["code"] for row in response.context["rows"]]


def send(client, person, step, params="?form=P.DM", **data):
    client.force_login(User.objects.get(pk=person.pk))
    words = {"item": "height_cm", "text": "Measured or told?", **data}
    return client.post(reverse("query_listing") + params, {"step": step, **words})


# --- the listing ---


def test_the_listing_shows_the_chosen_items_of_ones_sites(client, cast, records):
    shown = page(client, cast.monitor_a, items=["height_cm", "sex"])
    assert codes(shown) == [record.subject.code for record in records[:3]]
    assert shown.context["header"] == [DEMOGRAPHICS.label("height_cm"), DEMOGRAPHICS.label("sex")]
    assert shown.context["rows"][0]["values"] == ["160", "Female"]
    assert len(codes(page(client, cast.data_manager))) == 4
    assert codes(page(client, cast.data_manager, site="SH")) == [records[3].subject.code]


@pytest.mark.parametrize(
    ("where", "how", "low", "high", "found"),
    [
        ("height_cm", "equals", "170", "", [1]),
        ("height_cm", "between", "165", "185", [1, 2]),
        ("height_cm", "between", "185", "165", []),
        ("birth_date", "between", "1959-01-01", "1960-12-31", [0, 1, 2]),
        ("sex", "equals", "Female", "", [0, 1, 2]),
        ("sex", "equals", "male", "", []),
        ("height_cm", "blank", "", "", []),
    ],
)
def test_the_list_is_narrowed_by_an_answer(client, cast, records, where, how, low, high, found):
    shown = page(client, cast.monitor_a, where=where, how=how, low=low, high=high)
    assert codes(shown) == [records[number].subject.code for number in found]


def test_blank_is_what_nobody_answered_and_a_visit_narrows(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    visit(followed, cast.coordinator_a, "M3")
    visit(followed, cast.coordinator_a, "M6", status="missed", visit_date=None)
    params = {"form": "F.VISIT", "where": "nrs_worst", "how": "blank"}
    shown = page(client, cast.monitor_a, **params)
    assert [row["event"] for row in shown.context["rows"]] == ["Month 6"]
    assert codes(page(client, cast.monitor_a, **params, event="M3")) == []
    assert [value for value, _label in shown.context["form"].fields["event"].choices] == ["", "M3", "M6"]


@pytest.mark.parametrize(
    "params",
    [
        {"form": "NO.SUCH"},
        {"items": ["nothing"]},
        {"items": [item.name for item in VISIT.items()][:7], "form": "F.VISIT"},
        {"site": "SH"},
        {"event": "M3"},
        {"where": "height_cm", "how": "equals", "low": "tall"},
        {"where": "height_cm", "how": "equals", "low": ""},
        {"where": "height_cm", "how": "equals", "low": "NaN"},
        {"where": "height_cm", "how": "equals", "low": "1e999"},
        {"where": "height_cm", "how": "between", "low": "1", "high": "\0"},
        {"where": "sex", "how": "between", "low": "male", "high": "female"},
        {"where": "sex", "how": "equals", "low": "😀" * 50},
        {"where": "birth_date", "how": "equals", "low": "0000-00-00"},
        {"where": "birth_date", "how": "equals", "low": "x" * 10_000},
        {"where": "nothing", "how": "blank"},
        {"how": "drop"},
    ],
)
def test_a_filter_that_cannot_be_read_is_said(client, cast, records, params):
    shown = page(client, cast.monitor_a, **params)
    assert shown.status_code == 422
    assert "rows" not in shown.context


def test_every_item_of_every_form_can_be_asked_for(cast):
    """No kind of answer breaks the filter: refused with words, or a condition PostgreSQL understands."""
    from spinetrial.access.gate import SYSTEM, list_records

    tried = 0
    for spec in all_specs():
        for item in spec.items():
            for how, low, high in (("blank", "", ""), ("equals", "1", ""), ("equals", "0001-01-01T00:00", ""),
                                   ("equals", "yes", ""), ("between", "1", "2"),
                                   ("between", "2020-01-01", "9999-12-31"), ("equals", "9" * 20, ""),
                                   ("between", "-1e30", "1e30")):  # fmt: skip
                try:
                    wanted = listings.condition(spec, item.name, how, low, high)
                except ValidationError:
                    assert how != "blank"
                else:
                    assert list(list_records(SYSTEM, spec.model, "query.raise").filter(wanted)) == []
                tried += 1
    assert tried > 500


def test_a_coded_reason_is_not_blank(cast):
    text = str(listings.condition(CONSENT, next(iter(CONSENT.items())).name, "blank", "", ""))
    assert "missing__has_key" in text


def test_numbers_are_compared_as_numbers():
    assert listings.condition(DEMOGRAPHICS, "height_cm", "equals", "170", "").children[0][1] in (170, Decimal(170))


def test_the_page_asks_the_database_the_same_for_four_records_and_fourteen(client, cast, records):
    def asked():
        page(client, cast.data_manager)
        with CaptureQueriesContext(connection) as captured:
            page(client, cast.data_manager)
        return len(captured)

    few = asked()
    for _number in range(10):
        enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)
    assert asked() == few


def test_a_masked_person_is_offered_no_form_that_reveals_the_arm(client, cast, monkeypatch):
    """No role of today asks queries and is masked; the rule must hold for the one that comes."""
    monkeypatch.setitem(policy.POLICY, "query.raise", policy.POLICY["query.raise"] | {policy.Role.ASSESSOR})
    shown = page(client, cast.assessor_a)
    offered = [code for code, _label in shown.context["form"].fields["form"].choices]
    assert offered == [spec.code for spec in all_specs() if not spec.reveals_arm]
    assert page(client, cast.assessor_a, form="R.RT").status_code == 422
    assert "R.RT" in [code for code, _label in page(client, cast.monitor_a).context["form"].fields["form"].choices]


# --- preview and opening ---


def test_the_preview_names_every_query_and_opens_none(client, cast, records):
    preview = send(client, cast.monitor_a, "preview", record=[records[0].pk, records[2].pk])
    assert preview.status_code == 200
    assert [each.code for each in preview.context["new"]] == [records[0].subject.code, records[2].subject.code]
    assert [each.value for each in preview.context["new"]] == ["160", "180"]
    assert Query.objects.count() == 0


def test_confirmed_they_are_opened(client, cast, records):
    preview = send(client, cast.monitor_a, "preview", record=[records[0].pk, records[2].pk])
    done = send(client, cast.monitor_a, "open", record=preview.context["records"])
    assert done.status_code == 302
    found = Query.objects.order_by("pk")
    assert [query.record_id for query in found] == [records[0].pk, records[2].pk]
    assert {(query.item, query.text, query.opened_by, query.event) for query in found} == {
        ("height_cm", "Measured or told?", cast.monitor_a, "BL")
    }
    assert AuditEntry.objects.filter(table_name="review_query", actor_id=cast.monitor_a.pk).count() == 2


def test_all_of_the_filter_are_those_of_every_page(client, cast, records, monkeypatch):
    monkeypatch.setattr(listings, "PER_PAGE", 2)
    filtered = "?form=P.DM&where=height_cm&how=between&low=165&high=200"
    preview = send(client, cast.data_manager, "preview", params=filtered, whole="1")
    assert [each.value for each in preview.context["new"]] == ["170", "180", "170"]


def test_where_the_same_question_is_open_none_is_opened(client, cast, records):
    first = queries.raise_query(
        cast.monitor_a, subject=records[0].subject, site_id=cast.site_a.pk, spec_code="P.DM", record_id=records[0].pk,
        event="BL", item="height_cm", text="Measured or told?",
    )  # fmt: skip
    preview = send(client, cast.monitor_a, "preview", record=[record.pk for record in records[:2]])
    assert [each.code for each in preview.context["new"]] == [records[1].subject.code]
    assert [each.code for each in preview.context["skipped"]] == [records[0].subject.code]
    both = ",".join(str(record.pk) for record in records[:2])
    for _time in range(2):  # sent twice
        assert send(client, cast.monitor_a, "open", record=both).status_code == 302
    assert Query.objects.count() == 2
    queries.close(cast.monitor_a, first, "Settled.")
    send(client, cast.monitor_a, "open", record=both)
    assert Query.objects.count() == 3


def test_a_fault_in_the_middle_opens_none(client, cast, records, monkeypatch):
    """Planted: the second query cannot be opened."""
    real, calls = queries.raise_query, []

    def fail(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("planted")
        return real(*args, **kwargs)

    monkeypatch.setattr(queries, "raise_query", fail)
    with pytest.raises(RuntimeError):
        send(client, cast.monitor_a, "open", record=",".join(str(record.pk) for record in records[:3]))
    assert Query.objects.count() == 0


@pytest.mark.parametrize("step", ["preview", "open"])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"record": "x"},
        {"record": ["9" * 40, "\0", "-1"]},
        {"item": "nothing"},
        {"text": ""},
        {"text": "x" * 1001},
        {"text": "a\0b"},
    ],
)
def test_what_cannot_be_asked_is_said_and_kept(client, cast, records, step, data):
    tick = {} if "record" in data or not data else {"record": records[0].pk}
    answer = send(client, cast.monitor_a, step, **tick, **data)
    assert answer.status_code == 422
    if "text" not in data:
        assert "Measured or told?" in answer.content.decode()
    assert Query.objects.count() == 0


def test_another_sites_records_are_not_asked_about(client, cast, records):
    other = records[3].pk
    assert send(client, cast.monitor_a, "open", record=other).status_code == 422
    preview = send(client, cast.monitor_a, "preview", record=[records[0].pk, other])
    assert [each.code for each in preview.context["new"]] == [records[0].subject.code]
    assert Query.objects.count() == 0


def test_too_many_at_once_are_refused(client, cast, records, monkeypatch):
    monkeypatch.setattr(listings, "MOST_QUERIES", 2)
    answer = send(client, cast.monitor_a, "preview", whole="1")
    assert answer.status_code == 422
    assert "more than 2 queries" in answer.content.decode()


def test_a_group_of_rows_can_be_asked_about(client, cast):
    followed = registered(cast.coordinator_a, cast.site_a)
    record = enter(SITES, followed, cast.coordinator_a,
                   {"imaging_modality": "mri", "imaging_date": date(2025, 8, 10), "other_trial": False},
                   {"sites": [{"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False,
                               "prior_surgery": False}]})  # fmt: skip
    preview = send(client, cast.monitor_a, "preview", params="?form=P.SITES", record=record.pk, item="sites")
    assert preview.status_code == 200
    send(client, cast.monitor_a, "open", params="?form=P.SITES", record=record.pk, item="sites")
    assert Query.objects.get(check_code="").item == "sites"


def test_imaging_of_a_visit_is_named_by_its_visit(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    with at(noon(date(2025, 12, 30))):
        visit(followed, cast.coordinator_a, "M3")
        enter(IMAGING, followed, cast.coordinator_a, {"status": "not_done", "not_done_reason": "refused"}, event="M3")
    shown = page(client, cast.monitor_a, form="F.IMAGING")
    assert [row["event"] for row in shown.context["rows"]] == ["Month 3"]


def test_before_a_form_is_chosen_nothing_is_wrong(client, cast):
    client.force_login(cast.monitor_a)
    response = client.get(reverse("query_listing"))
    assert response.status_code == 200
    assert "This field is required" not in response.content.decode()
