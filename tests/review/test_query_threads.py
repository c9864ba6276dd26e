"""The thread at the field: reply and correct in one act, next query, deep link, assignment, cancelling, two at once."""

import re
import threading
from datetime import date, timedelta

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.crfs import DEMOGRAPHICS
from patients.models import Demographics
from radiotherapy.crfs import COURSE
from spinetrial.access.gate import SYSTEM
from spinetrial.access.models import Membership, User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.forms import form_data
from spinetrial.crf.save import ReasonMissing, enter
from spinetrial.review import freezes, queries, trial
from spinetrial.review.models import Query, QueryMessage
from tests.cast import make_cast
from tests.followup.helpers import noon, registered, treated

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
UNLIKELY = {**ANSWERS, "birth_date": date(1905, 1, 1)}
NOW = noon(date(2026, 3, 2))


@pytest.fixture(autouse=True)
def _clock():
    with at(NOW):
        yield


@pytest.fixture
def record(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


@pytest.fixture
def query(cast, record):
    return ask(cast.monitor_a, record)


@pytest.fixture
def doubted(cast):
    """A record whose birth date an edit check asks about."""
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, UNLIKELY)


def ask(actor, record, item="height_cm", text="Is this right?", **more):
    return queries.raise_query(
        actor, subject=record.subject, site_id=record.subject.site_id, spec_code="P.DM", record_id=record.pk,
        event="BL", item=item, text=text, **more,
    )  # fmt: skip


def edit_url(record) -> str:
    return reverse("crf_edit", args=[record.subject.code, "P.DM", "form"])


def view_url(record) -> str:
    return reverse("crf", args=[record.subject.code, "P.DM", "form"])


def posted(values, replies=None, reason="", seen=1, **more):
    words = {f"query_reply_{query.pk}": text for query, text in (replies or {}).items()}
    return {**form_data(DEMOGRAPHICS, values), "seen_version": str(seen), "form_reason": reason, "save": "1",
            **words, **more}  # fmt: skip


def save(client, person, record, *args, params="", **kwargs):
    client.force_login(person)
    return client.post(edit_url(record) + params, posted(*args, **kwargs))


def thread(query) -> list[tuple[str, str]]:
    return [(str(each.by), each.text) for each in QueryMessage.objects.filter(query=query)]


def told(response) -> str:
    return " ".join(str(message) for message in response.wsgi_request._messages)


# --- reply and correct in one act ---


def test_one_save_stores_the_correction_and_the_reply(client, cast, record, query):
    answer = save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 170}, {query: "It was a slip."},
                  "slip of the pen")  # fmt: skip
    assert answer.status_code == 302
    record.refresh_from_db()
    query.refresh_from_db()
    assert (record.height_cm, record.row_version) == (170, 2)
    assert (query.state, query.answered_at, query.assignee) == ("answered", NOW, cast.monitor_a)
    assert thread(query) == [("Coordinator A", "It was a slip.")]


def test_a_refused_save_stores_neither_and_keeps_the_words(client, cast, record, query):
    answer = save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 999}, {query: "It was a slip."}, "x")
    assert answer.status_code == 422
    assert "It was a slip." in answer.content.decode()
    query.refresh_from_db()
    assert (query.state, thread(query)) == ("open", [])
    without_reason = save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 170}, {query: "My words."})
    assert without_reason.status_code == 422
    assert "My words." in without_reason.content.decode()
    assert thread(query) == []
    assert Demographics.objects.get().height_cm == 160


def test_a_fault_after_the_reply_takes_the_reply_back(client, cast, record, query, monkeypatch):
    """Planted: the checks fail after the reply was written."""
    from spinetrial.crf import checks

    def fail(*args, **kwargs):
        raise trial.EntryClosed

    monkeypatch.setattr(checks, "sync_saved", fail)
    answer = save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 170}, {query: "Words."}, "x")
    assert answer.status_code == 422
    assert thread(query) == []
    assert Demographics.objects.get().height_cm == 160


def test_a_reply_alone_needs_no_reason_and_changes_no_version(client, cast, record, query):
    answer = save(client, cast.coordinator_a, record, ANSWERS, {query: "It is right."})
    assert answer.status_code == 302
    record.refresh_from_db()
    query.refresh_from_db()
    assert (record.row_version, query.state) == (1, "answered")
    assert not AuditEntry.objects.filter(table_name="patients_demographics", act="update").exists()


def test_neither_change_nor_reply_still_asks_for_the_reason(client, cast, record, query):
    assert save(client, cast.coordinator_a, record, ANSWERS, {query: "   \0 "}).status_code == 422
    with pytest.raises(ReasonMissing):
        enter(DEMOGRAPHICS, record.subject, cast.coordinator_a, ANSWERS, record=record)
    assert thread(query) == []


def test_a_correction_that_satisfies_the_check_closes_the_query_with_the_reply_in_its_thread(client, cast, doubted):
    query = Query.objects.get()
    answer = save(client, cast.coordinator_a, doubted, ANSWERS, {query: "Typing error, 1960."}, "typing error")
    assert answer.status_code == 302
    query.refresh_from_db()
    assert (query.state, query.answered_at, query.closed_at) == ("closed", NOW, NOW)
    assert thread(query) == [("Coordinator A", "Typing error, 1960.")]
    assert "your reply is kept in its thread" in told(answer)


def test_a_form_sent_twice_says_the_words_once(client, cast, record, query):
    for _time in range(2):
        save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 170}, {query: "A slip."}, "slip")
    assert thread(query) == [("Coordinator A", "A slip.")]


def test_a_reply_goes_through_the_choice_of_two_editors(client, cast, record, query):
    enter(DEMOGRAPHICS, record.subject, cast.investigator_a, {**ANSWERS, "sex": "male"},
          record=Demographics.objects.get(), reason="theirs")  # fmt: skip
    page = save(client, cast.coordinator_a, record, ANSWERS, {query: "It is right."})
    assert page.status_code == 422
    assert thread(query) == []
    chosen = {each.input_name: each.chosen or "stored" for each in page.context["differences"]}
    again = {**dict(page.context["hidden"]), **chosen, "resolve": "1",
             "stored_version": str(page.context["stored_version"]), "form_reason": ""}  # fmt: skip
    assert client.post(edit_url(record), again).status_code == 302
    assert thread(query) == [("Coordinator A", "It is right.")]
    assert Demographics.objects.get().sex == "male"


def test_a_reply_to_a_query_closed_meanwhile_is_not_lost(client, cast, record, query):
    queries.close(cast.monitor_a, query, "Settled by telephone.")
    answer = save(client, cast.coordinator_a, record, ANSWERS, {query: "My long answer."})
    assert answer.status_code == 302
    query.refresh_from_db()
    assert query.state == "closed"
    assert ("Coordinator A", "My long answer.") in thread(query)
    assert "is closed; your reply is kept" in told(answer)


def test_a_reply_to_a_query_answered_meanwhile_joins_the_thread(client, cast, record, query):
    queries.answer(cast.investigator_a, query, "Yes.")
    assert save(client, cast.coordinator_a, record, ANSWERS, {query: "Yes, measured."}).status_code == 302
    assert [text for _by, text in thread(query)] == ["Yes.", "Yes, measured."]


@pytest.mark.parametrize("text", ["x" * 2001, "😀" * 10_000])
def test_a_reply_that_is_too_long_comes_back(client, cast, record, query, text):
    answer = save(client, cast.coordinator_a, record, ANSWERS, {query: text})
    assert answer.status_code == 422
    assert text in answer.content.decode()
    assert thread(query) == []


@pytest.mark.parametrize("name", ["query_reply_", "query_reply_x", "query_reply_999999999", "query_reply_" + "9" * 30,
                                  "query_reply_-1", "query_reply_١"])  # fmt: skip
def test_replies_to_no_query_are_ignored(client, cast, record, query, name):
    client.force_login(cast.coordinator_a)
    answer = client.post(edit_url(record), posted({**ANSWERS, "height_cm": 170}, reason="x", **{name: "words"}))
    assert answer.status_code == 302
    assert QueryMessage.objects.count() == 0


def test_a_query_of_another_record_cannot_be_answered_here(client, cast, record, doubted):
    other = Query.objects.get()
    assert save(client, cast.coordinator_a, record, {**ANSWERS, "height_cm": 170}, {other: "x"}, "x").status_code == 302
    assert thread(other) == []


def test_a_reply_alone_is_taken_where_the_form_is_frozen(client, cast, record, query):
    trial.do_freeze(cast.data_manager, "cleaning")
    assert save(client, cast.coordinator_a, record, ANSWERS, {query: "It is right."}).status_code == 302
    assert thread(query) == [("Coordinator A", "It is right.")]


# --- at the field ---


def test_the_thread_is_at_the_field_with_who_when_age_state_and_assignee(client, cast, record):
    query = ask(cast.monitor_a, record, assignee=cast.coordinator_a)
    with at(NOW + timedelta(days=3)):
        queries.comment(cast.data_manager, query, "Please look at the file.")
        client.force_login(cast.coordinator_a)
        html = client.get(edit_url(record)).content.decode()
    details = re.search(rf'<details class="thread" id="query-{query.pk}".*?</details>', html, re.S)[0]
    for words in ("Is this right?", "Monitor A", "2026-03-02 12:00 CST", "Please look at the file.", "Data Manager",
                  "3 days", "Open", "Assigned to Coordinator A", f'name="query_reply_{query.pk}"'):  # fmt: skip
        assert words in details
    assert 'id="item-height_cm"' in html


def test_a_monitor_closes_at_the_field_and_comes_back_to_it(client, cast, record, query):
    client.force_login(cast.monitor_a)
    html = client.get(view_url(record)).content.decode()
    back = re.search(r'name="next" value="([^"]*#item[^"]*)"', html)[1]
    assert back == f"{view_url(record)}?#item-height_cm"
    for verb, text in (("comment", "Wait."), ("close", "Seen.")):
        assert f'value="{verb}"' in html
        answer = client.post(reverse("query", args=[query.pk]), {"verb": verb, "text": text, "next": back})
        assert (answer.status_code, answer.url) == (302, back)
    query.refresh_from_db()
    assert query.state == "closed"


@pytest.mark.parametrize(
    "goal", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "queries", "\\\\x"]
)
def test_no_step_leads_out_of_the_application(client, cast, query, goal):
    client.force_login(cast.monitor_a)
    answer = client.post(reverse("query", args=[query.pk]), {"verb": "comment", "text": "x", "next": goal})
    assert answer.url == reverse("query", args=[query.pk])


def test_who_may_not_work_on_queries_sees_the_question_and_no_message(client, cast, record, query):
    queries.comment(cast.monitor_a, query, "between us")
    client.force_login(cast.statistician)
    html = client.get(view_url(record)).content.decode()
    assert "Is this right?" in html
    assert "between us" not in html
    assert reverse("query", args=[query.pk]) not in html


def test_ten_queries_at_the_fields_cost_no_more_questions_than_two(client, cast, record):
    for _number in range(2):
        queries.comment(cast.monitor_a, ask(cast.monitor_a, record), "x")
    client.force_login(cast.coordinator_a)

    def asked():
        client.get(edit_url(record))
        with CaptureQueriesContext(connection) as captured:
            client.get(edit_url(record))
        return len(captured)

    few = asked()
    for number in range(8):
        queries.comment(cast.monitor_a, ask(cast.monitor_a, record, text=f"{number}?"), "x")
    assert asked() == few


# --- cancelling ---


def test_a_query_is_cancelled_with_a_reason(client, cast, record, query):
    client.force_login(cast.monitor_a)
    page = reverse("query", args=[query.pk])
    assert client.post(page, {"verb": "cancel", "text": " "}).status_code == 422
    assert client.post(page, {"verb": "cancel", "text": "Asked about the wrong person."}).status_code == 302
    query.refresh_from_db()
    assert (query.state, query.closed_at) == ("cancelled", NOW)
    assert AuditEntry.objects.filter(table_name="review_query", reason="Asked about the wrong person.").exists()
    with pytest.raises(queries.QueryNotOpen):
        queries.cancel(cast.monitor_a, query, "again")


def test_a_check_that_proved_wrong_does_not_ask_again(cast, doubted):
    query = Query.objects.get()
    queries.cancel(cast.data_manager, query, "The passport is right, the check is not.")
    enter(DEMOGRAPHICS, doubted.subject, cast.coordinator_a, {**UNLIKELY, "height_cm": 150},
          record=Demographics.objects.get(), reason="x")  # fmt: skip
    assert list(Query.objects.values_list("state", flat=True)) == ["cancelled"]


# --- whose query it is ---


def test_the_answer_returns_the_query_to_the_asker_and_asking_again_to_who_answered(cast, record):
    query = ask(cast.monitor_a, record, assignee=cast.investigator_a)
    queries.answer(cast.coordinator_a, query, "Yes.")
    query.refresh_from_db()
    assert (query.assignee, query.answered_at) == (cast.monitor_a, NOW)
    with at(NOW + timedelta(days=1)):
        queries.reopen(cast.data_manager, query, "Look again.")
        query.refresh_from_db()
        assert query.assignee == cast.coordinator_a
        queries.answer(cast.investigator_a, query, "Yes, still.")
    query.refresh_from_db()
    assert query.answered_at == NOW  # the first answer


def test_a_query_is_assigned_only_to_who_can_answer_at_the_site(client, cast, record, query):
    client.force_login(cast.monitor_a)
    page = reverse("query", args=[query.pk])
    html = client.get(page).content.decode()
    assert "Coordinator A" in html
    assert "Coordinator B" not in html
    for person in (cast.coordinator_b, cast.statistician, cast.assessor_a):
        client.post(page, {"verb": "assign", "assignee": person.pk})
        query.refresh_from_db()
        assert query.assignee is None
    for wrong in ("x", "0", "9" * 40, "\0"):
        assert client.post(page, {"verb": "assign", "assignee": wrong}).status_code == 302
    client.post(page, {"verb": "assign", "assignee": cast.coordinator_a.pk})
    query.refresh_from_db()
    assert query.assignee == cast.coordinator_a
    client.post(page, {"verb": "assign", "assignee": ""})
    query.refresh_from_db()
    assert query.assignee is None
    client.force_login(cast.coordinator_b)
    assert client.post(page, {"verb": "assign", "assignee": ""}).status_code == 404


def test_who_is_not_trained_yet_is_no_choice(cast, record, query):
    with acting(SYSTEM, "test"):
        membership = Membership.objects.get(user=cast.investigator_a)
        membership.trained_on = None
        membership.save()
    with pytest.raises(queries.NotAssignable):
        queries.assign(cast.monitor_a, query, User.objects.get(pk=cast.investigator_a.pk))
    assert queries.answerers(cast.site_a) == [cast.coordinator_a]


# --- the deep link ---


def lead(client, person, query, **params):
    client.force_login(User.objects.get(pk=person.pk))
    answer = client.get(reverse("query_field", args=[query.pk]), params)
    assert answer.status_code == 302
    return answer.url


def test_the_link_leads_to_the_field_in_the_mode_that_fits(client, cast, record, query):
    tail = f"?query={query.pk}#item-height_cm"
    assert lead(client, cast.coordinator_a, query) == edit_url(record) + tail
    assert lead(client, cast.monitor_a, query) == view_url(record) + tail
    assert (
        f'id="query-{query.pk}" data-thread open'
        in client.get(view_url(record) + f"?query={query.pk}").content.decode()
    )
    freezes.do_freeze_part(cast.data_manager, record.subject, "cleaning")
    assert lead(client, cast.coordinator_a, query) == view_url(record) + tail


def test_a_frozen_trial_is_read(client, cast, record, query):
    trial.do_freeze(cast.data_manager, "cleaning")
    assert lead(client, cast.coordinator_a, query).startswith(view_url(record))
    html = client.get(view_url(record)).content.decode()
    assert 'value="answer"' in html  # answered right there


def test_a_form_with_a_page_of_its_own_is_read_answer_by_answer(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    answers = {"prescribed_gy": 60, "prescribed_fractions": 10, "ending": "as_planned"}
    enter(COURSE, followed, cast.coordinator_a, answers)
    query = Query.objects.filter(spec_code="R.RT").first()
    url = lead(client, cast.coordinator_a, query)
    assert url.startswith(reverse("crf_answers", args=[followed.code, "R.RT", "form"]))
    html = client.get(url).content.decode()
    assert f'id="query-{query.pk}"' in html
    edit = client.get(reverse("radiotherapy_edit", args=[followed.code])).content.decode()
    assert f'name="query_reply_{query.pk}"' in edit


@pytest.mark.parametrize("name", ["coordinator_b", "investigator_b"])
def test_another_site_is_not_led_anywhere(client, cast, query, name):
    client.force_login(getattr(cast, name))
    assert client.get(reverse("query_field", args=[query.pk])).status_code == 404


# --- next query ---


@pytest.fixture
def three(cast, record):
    asked = []
    for day, item in enumerate(("height_cm", "sex", "birth_date")):
        with at(NOW - timedelta(days=10 - day)):
            asked.append(ask(cast.monitor_a, record, item))
    return asked


def following(client, person, query="", **params):
    client.force_login(person)
    return client.get(reverse("query_next"), {"from": "queries", "query": query, **params}).url


def number(url) -> int:
    return int(re.search(r"query=(\d+)", url)[1])


def test_next_query_goes_from_the_oldest_on_and_starts_again(client, cast, three):
    first, second, third = three
    assert number(following(client, cast.coordinator_a)) == first.pk
    assert number(following(client, cast.coordinator_a, first.pk)) == second.pk
    assert number(following(client, cast.coordinator_a, second.pk)) == third.pk
    assert number(following(client, cast.coordinator_a, third.pk)) == first.pk
    queries.answer(cast.coordinator_a, second, "Yes.")
    assert number(following(client, cast.coordinator_a, first.pk)) == third.pk


def test_next_query_keeps_the_filter(client, cast, three):
    first, _second, third = three
    queries.assign(cast.monitor_a, third, cast.coordinator_a)
    url = following(client, cast.coordinator_a, first.pk, mine="1", older="7", form="P.DM")
    assert number(url) == third.pk
    assert {"from=queries", "mine=1", "older=7", "form=P.DM"} <= set(re.split("[?&#]", url))


def test_without_another_query_the_list_says_so(client, cast, query):
    client.force_login(cast.coordinator_a)
    answer = client.get(reverse("query_next"), {"from": "queries", "query": query.pk}, follow=True)
    assert "There is no other query in your list." in answer.content.decode()


def test_save_and_next_query_leads_there_when_the_person_came_from_the_list(client, cast, record, three):
    first, second, _third = three
    client.force_login(cast.coordinator_a)
    plain = client.get(edit_url(record)).content.decode()
    assert "Next query" in plain
    assert "Save and next query" not in plain
    params = f"?from=queries&state=open&query={first.pk}"
    assert "Save and next query" in client.get(edit_url(record) + params).content.decode()
    answer = save(client, cast.coordinator_a, record, ANSWERS, {first: "Yes."}, params=params, next_query="1")
    assert answer.url.startswith(reverse("query_next"))
    assert number(client.get(answer.url).url) == second.pk


@pytest.mark.parametrize("params", [{"query": "x"}, {"query": "9" * 50}, {"query": "\0"}, {"older": "99999999"},
                                    {"older": "-1"}, {"site": "\0"}, {"site": "x" * 5000}, {"form": "😀"}])  # fmt: skip
def test_strange_parameters_do_no_harm(client, cast, query, params):
    client.force_login(cast.coordinator_a)
    for page in (reverse("query_next"), reverse("queries"), reverse("query_field", args=[query.pk])):
        assert client.get(page, {"from": "queries", **params}).status_code in (200, 302)


# --- the list ---


def listed(client, person, **params):
    client.force_login(User.objects.get(pk=person.pk))
    return [row["query"].pk for row in client.get(reverse("queries"), params).context["rows"]]


def test_the_list_is_narrowed_and_counted_within_the_filter(client, cast, record, three):
    elsewhere = enter(DEMOGRAPHICS, registered(cast.coordinator_b, cast.site_b), cast.coordinator_b, ANSWERS)
    far = ask(cast.data_manager, elsewhere, assignee=cast.coordinator_b)
    first, second, third = three
    assert listed(client, cast.data_manager) == [first.pk, second.pk, third.pk, far.pk]
    assert listed(client, cast.data_manager, site="SH") == [far.pk]
    assert listed(client, cast.data_manager, mine="1") == [far.pk]
    assert listed(client, cast.data_manager, older="8") == [first.pk, second.pk]
    assert listed(client, cast.data_manager, form="P.SITES") == []
    assert listed(client, cast.coordinator_a, site="SH") == []
    queries.answer(cast.coordinator_a, second, "Yes.")
    client.force_login(cast.data_manager)
    tabs = client.get(reverse("queries"), {"site": "NK"}).context["tabs"]
    assert {tab["key"]: tab["count"] for tab in tabs} == {"open": 2, "answered": 1, "ended": 0}
    assert listed(client, cast.monitor_a, state="answered", mine="1") == [second.pk]


def test_answered_queries_are_closed_together_with_a_remark(client, cast, three):
    first, second, third = three
    for query in (first, second):
        queries.answer(cast.coordinator_a, query, "Yes.")
    client.force_login(cast.monitor_a)
    address = reverse("queries_close") + "?state=answered"
    nothing = client.post(address, {"text": "Accepted."})
    assert nothing.status_code == 422
    assert "Accepted." in nothing.content.decode()
    assert client.post(address, {"query": [first.pk], "text": " "}).status_code == 422
    answer = client.post(address, {"query": [first.pk, second.pk, third.pk, "x", "9" * 40], "text": "Accepted."})
    assert answer.status_code == 302
    assert "Queries closed: 2." in told(answer)
    assert "meanwhile: 1." in told(answer)
    states = [Query.objects.get(pk=query.pk).state for query in three]
    assert states == ["closed", "closed", "open"]
    assert thread(first)[-1] == ("Monitor A", "Accepted.")


def test_nobody_closes_another_sites_queries_in_bulk(client, cast):
    elsewhere = enter(DEMOGRAPHICS, registered(cast.coordinator_b, cast.site_b), cast.coordinator_b, ANSWERS)
    query = ask(cast.data_manager, elsewhere)
    queries.answer(cast.coordinator_b, query, "Yes.")
    client.force_login(cast.monitor_a)
    assert client.post(reverse("queries_close"), {"query": [query.pk], "text": "x"}).status_code == 422
    query.refresh_from_db()
    assert query.state == "answered"


# --- two at once ---


def at_once(*jobs):
    barrier, found = threading.Barrier(len(jobs)), []

    def run(job):
        try:
            with at(NOW):
                barrier.wait(20)
                found.append(job())
        except Exception as error:  # what a thread raises must reach the test
            found.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    return found


def browser(person):
    client = Client(raise_request_exception=False)
    client.force_login(person)
    return client


def test_two_answers_at_once_and_an_answer_while_the_check_closes_are_never_an_error(committed_db):
    cast = make_cast()

    def meet() -> None:
        subject = registered(cast.coordinator_a, cast.site_a)
        record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, UNLIKELY)
        asked, check = ask(cast.monitor_a, record), Query.objects.get(subject=subject, check_code="age_unlikely")
        people = [browser(person) for person in (cast.coordinator_a, cast.investigator_a, cast.investigator_a)]
        answers = at_once(
            lambda: people[0].post(edit_url(record), posted(ANSWERS, {check: "Typing error."}, "x")).status_code,
            lambda: people[1].post(reverse("query", args=[check.pk]), {"verb": "answer", "text": "Mine."}).status_code,
            lambda: people[2].post(reverse("query", args=[asked.pk]), {"verb": "answer", "text": "Yes."}).status_code,
            lambda: browser(cast.monitor_a).post(
                reverse("query", args=[asked.pk]), {"verb": "close", "text": "Done."}
            ).status_code,
        )  # fmt: skip
        assert set(answers) <= {302, 422}, answers
        check.refresh_from_db()
        assert check.state == "closed"
        assert ("Coordinator A", "Typing error.") in thread(check)
        asked.refresh_from_db()
        assert asked.state == "closed"

    for _round in range(3):
        meet()
