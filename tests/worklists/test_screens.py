"""Matrix, worklist, history and the page of a participant: what each role sees, and what the masked never see."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import translation

from followup.crfs import IMAGING, VISIT
from followup.models import Visit
from patients.crfs import DEMOGRAPHICS, SCREEN_FAILURE
from patients.models import Demographics
from radiotherapy.crfs import COURSE
from spinetrial.access.models import User
from spinetrial.analysis.readiness import readiness
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from spinetrial.crf.state import State
from spinetrial.protocol import CURRENT
from spinetrial.protocol.schedule import VISIT_STATE_LABELS
from spinetrial.review import queries, trial
from spinetrial.review.models import Query
from spinetrial.worklists.words import STAGES, state_word
from tests.adverse_events.helpers import EVENT, SERIOUS, event
from tests.analysis.conftest import make_trial
from tests.followup.helpers import MORPHINE, baseline, change, milestones, noon, registered, treated, visit

TODAY = date(2026, 3, 2)
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
COURSE_ANSWERS = {"prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"}
NO_IMAGING = {"status": "not_done", "not_done_reason": "refused"}
ARM_WORDS = [word for arm in CURRENT.arms for word in (arm.code, arm.name, arm.ctv_text)]


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


def signed_in(client, person):
    client.force_login(User.objects.get(pk=person.pk))
    return client


def html(client, person, name, *args, **query):
    answer = signed_in(client, person).get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


# --- matrix ---


def cells(client, person):
    """Participant -> visit label -> state, as the matrix shows it."""
    answer = signed_in(client, person).get(reverse("matrix"))
    assert answer.status_code == 200
    matrix = answer.context["matrix"]
    labels = [str(column["label"]) for column in matrix["columns"]]
    return {
        row["code"]: dict(zip(labels, [cell["state"] for cell in row["cells"]], strict=True)) for row in matrix["rows"]
    }


def test_the_matrix_shows_every_state(client, cast):
    person, site = cast.coordinator_a, cast.site_a
    screened = registered(person, site)
    failed = registered(person, site)
    enter(SCREEN_FAILURE, failed, person, {"failed_on": TODAY, "reason": "declined"})
    treated(person, site)
    dead = treated(person, site, death_date=date(2025, 11, 1))
    late = treated(person, site)
    visit(late, person, "M3", visit_date=date(2026, 2, 20), on=TODAY)
    with at(noon(date(2025, 12, 30))):
        enter(IMAGING, late, person, NO_IMAGING, event="M3")
    missed = treated(person, site)
    visit(missed, person, "M3", status="missed", on=TODAY)
    recent = treated(person, site, rt_end=TODAY - timedelta(days=14))
    in_course = treated(person, site, rt_start=TODAY, rt_end=None, fractions_given=1)
    chosen = registered(person, site)
    milestones(chosen, consent_date=date(2026, 2, 1), eligible_on=date(2026, 2, 2))
    partly = registered(person, site)
    enter(DEMOGRAPHICS, partly, person, ANSWERS)
    asked = registered(person, site)
    enter(DEMOGRAPHICS, asked, person, {**ANSWERS, "birth_date": date(1905, 1, 1)})

    shown = cells(client, person)
    assert shown[screened.code]["Baseline"] == "empty"
    assert shown[failed.code]["Baseline"] == "not_expected"
    assert shown[dead.code]["Month 3"] == "not_expected"
    assert shown[late.code]["Month 3"] == "has_query"  # the form asks why; the cell says the rest in words
    assert shown[missed.code]["Month 3"] == "missed"
    assert shown[missed.code]["Week 2"] == "overdue"
    assert shown[recent.code]["Week 2"] in ("due", "in_window")
    assert shown[recent.code]["Month 3"] == "not_yet"
    assert shown[in_course.code]["Radiotherapy"] == "in_window"
    assert shown[chosen.code]["Randomisation"] == "due"
    assert shown[partly.code]["Baseline"] == "partial"
    assert shown[asked.code]["Baseline"] == "has_query"
    page = html(client, person, "matrix")
    assert state_word("done_out_of_window") in page
    for row in shown.values():
        for state in row.values():
            assert state_word(state) in page


def test_a_visit_in_its_window_is_done(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    visit(followed, cast.coordinator_a, "M3")
    assert cells(client, cast.coordinator_a)[followed.code]["Month 3"] == "partial"
    with at(noon(date(2025, 12, 30))):
        enter(IMAGING, followed, cast.coordinator_a, NO_IMAGING, event="M3")
    assert cells(client, cast.coordinator_a)[followed.code]["Month 3"] == "complete"


def test_every_state_has_a_word():
    for state in VISIT_STATE_LABELS:
        assert state_word(state.value)
    for state in State:
        assert state_word(state)
    assert all(str(word) for word in STAGES.values())


def test_the_matrix_is_limited_to_ones_sites(client, cast):
    ours, theirs = registered(cast.coordinator_a, cast.site_a), registered(cast.coordinator_b, cast.site_b)
    assert set(cells(client, cast.coordinator_a)) == {ours.code}
    assert set(cells(client, cast.coordinator_b)) == {theirs.code}
    assert set(cells(client, cast.data_manager)) == {ours.code, theirs.code}
    signed_in(client, cast.data_manager).post(reverse("choose_site"), {"site": "SH"})
    answer = client.get(reverse("matrix"))
    assert [row["code"] for row in answer.context["matrix"]["rows"]] == [theirs.code]


@pytest.mark.parametrize("name", ["custodian", "administrator", "outsider"])
@pytest.mark.parametrize("page", ["matrix", "worklist"])
def test_who_has_no_business_with_participants_is_refused(client, cast, name, page):
    assert signed_in(client, getattr(cast, name)).get(reverse(page)).status_code == 403


def test_a_frozen_trial_shows_in_the_matrix(client, cast):
    subject = registered(cast.coordinator_a, cast.site_a)
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    trial.do_freeze(cast.data_manager, "cleaning")
    trial.do_lock(cast.statistician, "final")
    # A lock hides no gap: the other forms of the baseline are missing for good.
    assert cells(client, cast.data_manager)[subject.code]["Baseline"] == "partial"
    enrolled = client.get(reverse("crf", args=[subject.code, "P.DM", "form"]))
    assert enrolled.context["crf"]["state"] == "locked"


# --- worklist ---


def tasks(client, person):
    """(group, words, participant) of each task, in the order of the screen."""
    answer = signed_in(client, person).get(reverse("worklist"))
    assert answer.status_code == 200
    return [
        (str(group["label"]), task["what"], task["subject_code"])
        for group in answer.context["groups"]
        for task in group["items"]
    ]


@pytest.fixture
def busy(cast):
    """A trial with one thing of every kind to do; names of the participants by kind."""
    person, site = cast.coordinator_a, cast.site_a
    made = {
        "screening": registered(person, site),
        "eligible": registered(person, site),
        "overdue": treated(person, site),
        "due soon": treated(person, site, rt_start=TODAY - timedelta(days=28), rt_end=TODAY - timedelta(days=12)),
        "to irradiate": treated(person, site, rt_start=None, rt_end=None),
        "serious": treated(person, site, rt_end=TODAY, rt_start=TODAY - timedelta(days=11)),
        "elsewhere": treated(cast.coordinator_b, cast.site_b),
    }
    milestones(made["eligible"], consent_date=date(2026, 2, 1), eligible_on=date(2026, 2, 2))
    event(made["serious"], person, on=TODAY, **{**EVENT, **SERIOUS})
    record = enter(DEMOGRAPHICS, made["screening"], person, {**ANSWERS, "birth_date": date(1905, 1, 1)})
    queries.raise_query(
        cast.monitor_a, subject=made["screening"], site_id=site.pk, spec_code="P.DM", record_id=record.pk, event="BL",
        item="height_cm", text="Measured?",
    )  # fmt: skip
    answered = Query.objects.get(check_code="age_unlikely")
    queries.answer(person, answered, "Yes.")
    return {kind: subject.code for kind, subject in made.items()}


def kinds(client, person, busy):
    """First word of each task by kind of participant."""
    names = {code: kind for kind, code in busy.items()}
    return {(names.get(code, ""), what.split(":")[0].split(" (")[0]) for _group, what, code in tasks(client, person)}


def test_a_coordinator_is_told_what_to_enter_and_answer(client, cast, busy):
    found = kinds(client, cast.coordinator_a, busy)
    assert {
        ("screening", "Screening"),
        ("eligible", "Randomise"),
        ("to irradiate", "Radiotherapy to start"),
        ("overdue", "Week 2"),
        ("due soon", "Week 2"),
        ("serious", "Report serious event"),
        ("screening", "Query"),
    } <= found
    assert not {kind for kind, _word in found} & {"elsewhere"}
    words = [what for _group, what, _code in tasks(client, cast.coordinator_a)]
    assert sum(what.startswith("Query: Height") for what in words) == 1
    assert not any(what.startswith("Query: Date of birth") for what in words)


def test_an_assessor_is_told_of_images_only(client, cast, busy):
    found = tasks(client, cast.assessor_a)
    assert {code for _group, _what, code in found} >= {busy["overdue"]}
    assert all("imaging" in what for _group, what, _code in found)


def test_a_monitor_is_told_of_answers_to_check(client, cast, busy):
    assert kinds(client, cast.monitor_a, busy) == {("screening", "Query"), ("serious", "Report serious event")}
    words = [what for _group, what, _code in tasks(client, cast.monitor_a)]
    assert any(what.startswith("Query: Date of birth") for what in words)


def test_a_data_manager_is_told_of_answers_and_the_freeze(client, cast, busy):
    assert ("", "Readiness for the freeze") in kinds(client, cast.data_manager, busy)
    assert ("screening", "Query") in kinds(client, cast.data_manager, busy)


def test_a_statistician_is_told_of_the_lock_when_it_is_time(client, cast, busy):
    lock = "The trial is frozen and waits for the lock"
    assert lock not in [what for _group, what, _code in tasks(client, cast.statistician)]
    trial.do_freeze(cast.data_manager, "ready")
    assert lock in [what for _group, what, _code in tasks(client, cast.statistician)]
    assert lock not in [what for _group, what, _code in tasks(client, cast.data_manager)]
    # Nothing can be entered now, so nothing is asked for.
    assert not any(code == busy["eligible"] for _group, _what, code in tasks(client, cast.coordinator_a))


def test_tasks_stand_in_the_order_of_their_deadlines(client, cast, busy):
    groups = [group for group, _what, _code in tasks(client, cast.coordinator_a)]
    order = ["Overdue", "Today", "Within a week", "Later", "Without a date"]
    assert groups == sorted(groups, key=order.index)
    assert {"Overdue", "Within a week", "Without a date"} <= set(groups)
    answer = signed_in(client, cast.coordinator_a).get(reverse("worklist"))
    for group in answer.context["groups"]:
        dates = [task["due"] for task in group["items"] if task["due"]]
        assert dates == sorted(dates)
    late = [task["late"] for task in answer.context["groups"][0]["items"]]
    assert any(words.endswith("days late") for words in late)
    assert any(words.startswith("missed by") for words in late)  # a reporting clock


def test_a_visit_that_reports_an_event_asks_for_it(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    visit(followed, cast.coordinator_a, "M3", ae_any=True)
    asked = "reports an adverse event: enter it"
    assert any(asked in what for _group, what, _code in tasks(client, cast.coordinator_a))
    event(followed, cast.coordinator_a)
    assert not any(asked in what for _group, what, _code in tasks(client, cast.coordinator_a))


def test_a_visit_that_says_no_event_is_held_against_those_that_started_before_it(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    visit(followed, cast.coordinator_a, "M3", ae_any=False)
    event(followed, cast.coordinator_a)
    found = [what for _group, what, _code in tasks(client, cast.coordinator_a)]
    assert any("Month 3 says no adverse event, but 1 is recorded" in what for what in found)
    (blocker,) = [each for each in readiness(cast.data_manager) if each.kind == "contradiction"]
    assert (blocker.subject, blocker.what) == (followed.code, "Month 3 says no adverse event, but one is recorded")
    assert not [each for each in readiness(cast.coordinator_b) if each.kind == "contradiction"]


# --- history ---


@pytest.fixture
def changed(cast):
    """Demographics entered by the coordinator and changed by the investigator."""
    subject = registered(cast.coordinator_a, cast.site_a)
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    enter(DEMOGRAPHICS, subject, cast.investigator_a, {**ANSWERS, "height_cm": 171, "sex": "male"},
          record=Demographics.objects.get(), reason="measured again")  # fmt: skip
    return Demographics.objects.get()


def rows_of(client, person, record, spec=DEMOGRAPHICS, **query):
    address = reverse("record_history", args=[record.subject.code, spec.code, record.pk])
    answer = signed_in(client, person).get(address, query)
    assert answer.status_code == 200
    return answer.context["rows"]


def test_the_history_tells_who_old_new_and_why(client, cast, changed):
    first, second = rows_of(client, cast.monitor_a, changed)
    assert (first["act"], first["entry"].actor_id) == ("entered", cast.coordinator_a.pk)
    assert (second["act"], second["entry"].actor_id) == ("changed", cast.investigator_a.pk)
    assert {(each["item"], each["old"], each["new"]) for each in second["changes"]} == {
        ("Height", "160", "171"),
        ("Sex", "Female", "Male"),
    }
    args = [changed.subject.code, "P.DM", changed.pk]
    page = html(client, cast.monitor_a, "record_history", *args)
    for words in ("Investigator A", "Female", "Male", "measured again", "row_version"):
        assert (words in page) is (words != "row_version")


def test_the_history_of_one_item(client, cast, changed):
    rows = rows_of(client, cast.monitor_a, changed, item="sex")
    assert [[each["item"] for each in row["changes"]] for row in rows] == [["Sex"], ["Sex"]]
    assert len(rows_of(client, cast.monitor_a, changed, item="no_such_item")) == 0


def test_the_history_tells_of_rows_added_and_removed(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    record = visit(followed, cast.coordinator_a, analgesics="some", rows=[MORPHINE])
    row = VISIT.rows[0].model.objects.get()
    gone = {**MORPHINE, "id": row.pk, "DELETE": "on"}
    change(record, cast.coordinator_a, TODAY, rows=[gone], analgesics="none")
    found = [(row["act"], each["item"], each["old"]) for row in rows_of(client, cast.monitor_a, record, VISIT)
             for each in row["changes"] if each["item"] == "Drug"]  # fmt: skip
    assert [act for act, _item, _old in found] == ["entered", "removed"]
    assert "orphine" in found[1][2]


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_a", 200), ("data_manager", 200), ("coordinator_b", 404), ("investigator_b", 404),
     ("assessor_a", 403), ("statistician", 403), ("outsider", 403)],
)  # fmt: skip
def test_who_reads_a_history(client, cast, changed, name, status):
    address = reverse("record_history", args=[changed.subject.code, "P.DM", changed.pk])
    assert signed_in(client, getattr(cast, name)).get(address).status_code == status


def test_a_history_is_found_under_its_own_participant_only(client, cast, changed):
    other = registered(cast.coordinator_a, cast.site_a)
    signed_in(client, cast.coordinator_a)
    for code, spec, pk in ((other.code, "P.DM", changed.pk), (changed.subject.code, "P.NONE", changed.pk),
                           (changed.subject.code, "P.DM", changed.pk + 1000)):  # fmt: skip
        assert client.get(reverse("record_history", args=[code, spec, pk])).status_code == 404


def test_a_masked_reader_has_no_history_that_reveals_the_arm(client, cast, changed, monkeypatch):
    from spinetrial.access import policy

    followed = treated(cast.coordinator_a, cast.site_a)
    course = enter(COURSE, followed, cast.coordinator_a, COURSE_ANSWERS)
    assert rows_of(client, cast.monitor_a, course, COURSE)
    monkeypatch.setitem(policy.POLICY, "audit.view", policy.POLICY["audit.view"] | {policy.Role.ASSESSOR})
    assert rows_of(client, cast.assessor_a, changed)
    address = reverse("record_history", args=[followed.code, "R.RT", course.pk])
    assert signed_in(client, cast.assessor_a).get(address).status_code == 403


# --- the page of a participant ---


@pytest.fixture
def allocated(cast):
    """A participant with an arm, a course, visits, an event and queries."""
    subject = make_trial(cast, 1).subjects[0]
    milestones(subject, rt_start=None, rt_end=None, rt_completed=False, fractions_given=0)
    ring = {f"ctv{n}": True for n in range(1, 7)} | {"gtv1": True}
    fraction = {"number": 1, "date": date(2025, 9, 2), "given": True, "dose_gy": "3.00"}
    enter(COURSE, subject, cast.coordinator_a, {**COURSE_ANSWERS, "prescribed_gy": 40},
          {"targets": [{"level": "T8", **ring}], "fractions": [fraction]})  # fmt: skip
    milestones(subject, rt_start=date(2025, 9, 1), rt_end=date(2025, 9, 12), rt_completed=True, fractions_given=10)
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 12), rows=[MORPHINE], analgesics="some")
    event(subject, cast.coordinator_a)
    return subject


@pytest.mark.parametrize("name", ["coordinator_a", "investigator_a", "monitor_a", "data_manager"])
def test_who_works_with_the_arm_sees_it(client, cast, allocated, name):
    from randomization.arms import arm_of

    arm = arm_of(cast.coordinator_a, allocated)
    page = html(client, getattr(cast, name), "subject", allocated.code)
    assert arm.name in page
    assert "/R.RT/" in page or reverse("radiotherapy", args=[allocated.code]) in page
    assert "1 query" in page or "Open quer" in page


@pytest.mark.parametrize("name", ["assessor_a", "statistician"])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_masked_find_no_word_of_the_arm(client, cast, allocated, name, language):
    client.cookies["django_language"] = language
    signed_in(client, getattr(cast, name))
    pages = [reverse("subject", args=[allocated.code]), reverse("matrix"), reverse("worklist")]
    with translation.override(language):
        words = {*ARM_WORDS, *(translation.gettext(word) for word in ARM_WORDS)}
    for address in pages:
        answer = client.get(address)
        assert answer.status_code == 200
        for word in words:
            assert word not in answer.content.decode(), (address, word)
    assert client.get(reverse("subject", args=[allocated.code])).context["arm"] is None


@pytest.mark.parametrize("name", ["assessor_a", "statistician"])
def test_the_masked_are_not_led_to_forms_that_reveal_the_arm(client, cast, allocated, name):
    page = html(client, getattr(cast, name), "subject", allocated.code)
    assert reverse("radiotherapy", args=[allocated.code]) not in page
    assert client.get(reverse("radiotherapy", args=[allocated.code])).status_code == 403
    assert client.get(reverse("randomize", args=[allocated.code])).status_code == 403


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_b", 404), ("investigator_b", 404), ("custodian", 403), ("administrator", 403), ("outsider", 403)],
)
def test_another_site_does_not_find_the_participant(client, cast, allocated, name, status):
    address = reverse("subject", args=[allocated.code])
    assert signed_in(client, getattr(cast, name)).get(address).status_code == status


def test_nobody_finds_the_name_on_the_page(client, cast, allocated):
    from tests.analysis.conftest import SECRETS

    for name in ("coordinator_a", "monitor_a", "data_manager", "statistician", "assessor_a"):
        page = html(client, getattr(cast, name), "subject", allocated.code)
        assert not [secret for secret in SECRETS.values() if secret in page]


def test_the_page_offers_what_the_person_may_do(client, cast, allocated):
    new_event = reverse("crf_edit", args=[allocated.code, "A.AE", "new"])
    contact = reverse("contact", args=[allocated.code])
    for name, may in (("coordinator_a", True), ("monitor_a", False), ("data_manager", False), ("assessor_a", False)):
        page = html(client, getattr(cast, name), "subject", allocated.code)
        assert (new_event in page) is may, name
        assert (contact in page) is may, name
    trial.do_freeze(cast.data_manager, "cleaning")
    assert new_event not in html(client, cast.coordinator_a, "subject", allocated.code)


def test_the_page_shows_the_response_and_its_working(client, cast):
    followed = treated(cast.coordinator_a, cast.site_a)
    baseline(followed, 6)
    visit(followed, cast.coordinator_a, "M3", nrs_worst=3, analgesics="some", rows=[MORPHINE])
    answer = signed_in(client, cast.coordinator_a).get(reverse("subject", args=[followed.code]))
    response = next(each for each in answer.context["responses"] if each["event"] == "Month 3")
    assert response["reading"].code == "PR"
    assert "OMED: baseline 60, visit 60 mg/day, change 0 per cent." in answer.content.decode()
    assert Visit.objects.get().nrs_worst == 3


def test_an_empty_trial_has_pages_too(client, cast):
    for name in ("coordinator_a", "data_manager", "statistician", "assessor_a", "monitor_a"):
        for page in ("matrix", "worklist"):
            html(client, getattr(cast, name), page)
    assert html(client, cast.coordinator_a, "subject", registered(cast.coordinator_a, cast.site_a).code)
