"""The life of a query: who asks, who answers, who closes, and who must not even see it."""

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.urls import reverse

from followup.crfs import VISIT
from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from radiotherapy.crfs import COURSE
from spinetrial.access.gate import SYSTEM
from spinetrial.access.models import Membership, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import enter
from spinetrial.review import queries, trial
from spinetrial.review.models import Query, QueryMessage
from tests.followup.helpers import noon, registered, treated

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
UNLIKELY = {**ANSWERS, "birth_date": date(1905, 1, 1)}
COURSE_ANSWERS = {"prescribed_gy": 60, "prescribed_fractions": 10, "ending": "as_planned"}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(date(2026, 3, 2))):
        yield


@pytest.fixture
def record(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


def ask(actor, record, item="height_cm", spec=DEMOGRAPHICS):
    return queries.raise_query(
        actor,
        subject=record.subject,
        site_id=record.subject.site_id,
        spec_code=spec.code,
        record_id=record.pk,
        event=spec.event,
        item=item,
        text="Is this right?",
    )


@pytest.fixture
def query(cast, record):
    return ask(cast.monitor_a, record)


def state(query) -> str:
    return Query.objects.values_list("state", flat=True).get(pk=query.pk)


def page(query) -> str:
    return reverse("query", args=[query.pk])


def say(client, person, query, verb, text="words"):
    client.force_login(person)
    return client.post(page(query), {"verb": verb, "text": text})


# --- the life of a query ---


def test_asked_answered_asked_again_answered_closed(cast, query):
    steps = [
        (queries.answer, cast.coordinator_a, "It is.", "answered"),
        (queries.reopen, cast.monitor_a, "The file says otherwise.", "open"),
        (queries.answer, cast.investigator_a, "The file is old.", "answered"),
        (queries.close, cast.data_manager, "Accepted.", "closed"),
    ]
    for verb, person, text, after in steps:
        verb(person, query, text)
        assert state(query) == after
    thread = QueryMessage.objects.filter(query=query)
    assert [(message.by, message.text) for message in thread] == [(person, text) for _v, person, text, _s in steps]
    query.refresh_from_db()
    assert query.closed_at == noon(date(2026, 3, 2))


def test_every_step_is_on_the_trail_with_its_words_as_reason(cast, query):
    queries.answer(cast.coordinator_a, query, "It is.")
    entry = AuditEntry.objects.get(table_name="review_query", act="update")
    assert (entry.actor_id, entry.reason) == (cast.coordinator_a.pk, "It is.")
    assert entry.changes["state"] == ["open", "answered"]


@pytest.mark.parametrize("verb", [queries.answer, queries.close, queries.reopen])
def test_a_closed_query_takes_no_more_words(cast, query, verb):
    queries.close(cast.monitor_a, query, "Settled by telephone.")
    person = cast.coordinator_a if verb is queries.answer else cast.monitor_a
    with pytest.raises(queries.QueryNotOpen):
        verb(person, query, "one more thing")
    assert QueryMessage.objects.count() == 1


ROLES = {
    "coordinator_a": {"answer"},
    "investigator_a": {"answer"},
    "monitor_a": {"raise", "close", "reopen"},
    "data_manager": {"raise", "close", "reopen"},
    "assessor_a": set(),
    "statistician": set(),
    "custodian": set(),
    "administrator": set(),
    "outsider": set(),
    "coordinator_b": set(),
    "investigator_b": set(),
}


@pytest.mark.parametrize("name", ROLES)
def test_who_may_do_what(cast, record, query, name):
    person = getattr(cast, name)
    acts = {
        "raise": lambda: ask(person, record),
        "answer": lambda: queries.answer(person, query, "words"),
        "reopen": lambda: queries.reopen(person, query, "words"),
        "close": lambda: queries.close(person, query, "words"),
    }
    for act, run in acts.items():
        if act in ROLES[name]:
            run()
        else:
            with pytest.raises(PermissionDenied):
                run()


def test_the_table_holds_one_live_query_per_check(cast, record):
    """Two saves at once cannot both open the query of the same check."""

    def open_one():
        with acting(SYSTEM, "edit check"):
            Query(
                subject=record.subject, spec_code="P.DM", record_id=record.pk, event="BL", item="birth_date",
                check_code="age_unlikely", text="x", opened_at=noon(date(2026, 3, 2)),
            ).save()  # fmt: skip

    open_one()
    with pytest.raises(IntegrityError, match="query_one_live_per_check"):
        open_one()


def test_the_answer_to_an_edit_check_survives_the_next_save(cast, record):
    """The check still fails, the answer stands: no second query, and the first is not opened again."""
    record = enter(DEMOGRAPHICS, record.subject, cast.coordinator_a, UNLIKELY, record=record, reason="as told")
    query = Query.objects.get()
    queries.answer(cast.coordinator_a, query, "The passport says so.")
    again = Demographics.objects.get()
    answers = {**UNLIKELY, "height_cm": 150}
    enter(DEMOGRAPHICS, record.subject, cast.coordinator_a, answers, record=again, reason="x")
    assert list(Query.objects.values_list("state", flat=True)) == ["answered"]


# --- on the screens ---


def test_the_thread_on_the_screen(client, cast, query):
    assert say(client, cast.coordinator_a, query, "answer", "It is right.").status_code == 302
    assert say(client, cast.monitor_a, query, "reopen", "Look again.").status_code == 302
    assert say(client, cast.coordinator_a, query, "answer", "Yes, still.").status_code == 302
    assert say(client, cast.data_manager, query, "close", "Thank you.").status_code == 302
    html = client.get(page(query)).content.decode()
    places = [html.index(words) for words in ("It is right.", "Look again.", "Yes, still.", "Thank you.")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("name", "verb", "status"),
    [
        ("coordinator_a", "close", 403),
        ("monitor_a", "answer", 403),
        ("monitor_a", "reopen", 422),  # there is no answer yet that could be refused
        ("coordinator_a", "cancel", 403),
        ("coordinator_a", "guess", 404),
        ("coordinator_a", "", 404),
    ],
)
def test_a_verb_that_is_not_offered_is_refused(client, cast, query, name, verb, status):
    assert say(client, getattr(cast, name), query, verb).status_code == status
    assert state(query) == "open"


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
def test_words_that_do_not_do_come_back(client, cast, query, text):
    answer = say(client, cast.coordinator_a, query, "answer", text)
    assert answer.status_code == 422
    assert answer.context["message_form"]["text"].value() == text
    assert state(query) == "open"


def test_a_query_closed_meanwhile_keeps_the_words(client, cast, query):
    queries.close(cast.monitor_a, query, "Settled.")
    answer = say(client, cast.coordinator_a, query, "answer", "my long answer")
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "This query was closed meanwhile." in html
    assert "my long answer" in html


def test_two_people_answering_at_once_lose_no_words(client, cast, query):
    queries.answer(cast.investigator_a, query, "Yes.")
    answer = say(client, cast.coordinator_a, query, "answer", "my long answer")
    assert answer.status_code == 422
    assert "Someone else wrote here meanwhile." in answer.content.decode()
    assert "my long answer" in answer.content.decode()
    assert QueryMessage.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_a", 200), ("monitor_a", 200), ("data_manager", 200), ("coordinator_b", 404), ("investigator_b", 404),
     ("assessor_a", 403), ("statistician", 403), ("custodian", 403), ("outsider", 403)],
)  # fmt: skip
def test_who_sees_a_query(client, cast, query, name, status):
    client.force_login(getattr(cast, name))
    assert client.get(page(query)).status_code == status
    listed = client.get(reverse("queries"))
    if status == 403:
        assert listed.status_code == 403
    else:
        assert ("Height" in listed.content.decode()) is (status == 200)


def test_another_site_cannot_answer_or_ask(client, cast, record, query):
    assert say(client, cast.coordinator_b, query, "answer").status_code == 404
    with acting(SYSTEM, "test"):
        Membership(user=cast.outsider, role=Role.MONITOR, site=cast.site_b, starts=date(2020, 1, 1)).save()
    client.force_login(cast.outsider)
    address = reverse("query_new", args=[record.subject.code, "P.DM", record.pk])
    assert client.get(address).status_code == 404
    assert client.post(address, {"item": "height_cm", "text": "?"}).status_code == 404
    assert Query.objects.count() == 1


def test_a_question_is_asked_on_the_screen(client, cast, record):
    client.force_login(cast.monitor_a)
    address = reverse("query_new", args=[record.subject.code, "P.DM", record.pk])
    assert "Height" in client.get(f"{address}?item=height_cm").content.decode()
    assert client.post(address, {"item": "no_such_item", "text": "?"}).status_code == 422
    assert client.post(address, {"item": "height_cm", "text": ""}).status_code == 422
    made = client.post(address, {"item": "height_cm", "text": "Measured or told?"})
    query = Query.objects.get()
    assert made.url == page(query)
    assert (query.item, query.opened_by, query.check_code) == ("height_cm", cast.monitor_a, "")


def test_lists_by_state(client, cast, record, query):
    other = ask(cast.data_manager, record, "birth_date")
    queries.answer(cast.coordinator_a, other, "Yes.")
    client.force_login(cast.monitor_a)
    tabs = client.get(reverse("queries")).context["tabs"]
    assert {tab["key"]: tab["count"] for tab in tabs} == {"open": 1, "answered": 1, "ended": 0}
    answered = client.get(reverse("queries"), {"state": "answered"})
    assert [row["query"] for row in answered.context["rows"]] == [other]
    assert client.get(reverse("queries"), {"state": "none"}).status_code == 404


# --- masked ---


def test_a_masked_person_does_not_see_queries_on_forms_that_reveal_the_arm(client, cast, monkeypatch):
    """No role of today is masked and works on queries; the rule must hold for the one that comes."""
    from spinetrial.access import policy

    followed = treated(cast.coordinator_a, cast.site_a)
    enter(COURSE, followed, cast.coordinator_a, COURSE_ANSWERS)
    plain = enter(DEMOGRAPHICS, followed, cast.coordinator_a, UNLIKELY)
    revealing = Query.objects.filter(spec_code="R.RT").first()
    assert revealing is not None
    assert VISIT.reveals_arm is False

    monkeypatch.setitem(policy.POLICY, "query.view", policy.POLICY["query.view"] | {policy.Role.ASSESSOR})
    client.force_login(User.objects.get(pk=cast.assessor_a.pk))
    assert client.get(page(revealing)).status_code == 404
    listed = client.get(reverse("queries")).context["rows"]
    assert [row["query"].record_id for row in listed] == [plain.pk]
    html = client.get(reverse("subject", args=[followed.code])).content.decode()
    assert page(revealing) not in html
    assert page(listed[0]["query"]) in html


def test_queries_are_worked_on_while_the_trial_is_frozen(client, cast, query):
    trial.do_freeze(cast.data_manager, "cleaning")
    assert say(client, cast.coordinator_a, query, "answer").status_code == 302
    assert say(client, cast.monitor_a, query, "close").status_code == 302
    assert state(query) == "closed"
