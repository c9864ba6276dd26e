"""The eligibility page: what it shows, what it saves, and that a refusal loses nothing."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients.crfs import SCREEN_FAILURE, SITES, STATUS
from patients.milestones import milestones_of
from patients.models import Eligibility, EligibilityAnswer
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from spinetrial.review import trial
from tests.patients.factory import DAY, VALUES, answer, change, fill, on_day, screened

JUDGEMENTS = {name: str(value) for name, value in VALUES["P.SCREEN"].items()}
INPUT = re.compile(r"<input[^>]*>")


def attribute(tag: str, name: str) -> str | None:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found.group(1) if found else None


def fields(html: str) -> dict[str, str]:
    """What a browser would post: hidden and text inputs, dates, and the buttons that are chosen."""
    data = {}
    for tag in INPUT.findall(html):
        name, kind = attribute(tag, "name"), attribute(tag, "type")
        if name in (None, "csrfmiddlewaretoken", "language") or (kind == "radio" and " checked" not in tag):
            continue
        data[name] = attribute(tag, "value") or ""
    return data


class Page:
    def __init__(self, client, subject, user):
        self.client, self.subject, self.user = client, subject, user
        self.url = reverse("eligibility", args=[subject.code])

    def get(self):
        self.client.force_login(self.user)
        with on_day():
            return self.client.get(self.url)

    def post(self, data, button="save"):
        self.client.force_login(self.user)
        with on_day():
            return self.client.post(self.url, {**data, button: "1"})

    def send(self, button="save", **changes):
        """Open the page, change some answers, press the button."""
        shown = fields(self.get().content.decode())
        data = {name: value for name, value in {**shown, **changes}.items() if value is not None}
        return self.post(data, button)


@pytest.fixture
def page(client, cast):
    def make(user=None, **overrides):
        overrides.setdefault("screening", None)
        subject = screened(cast.coordinator_a, cast.investigator_a, cast.site_a, **overrides)
        return Page(client, subject, user or cast.investigator_a)

    return make


def audited() -> int:
    """Writes about participants so far; a log-in is on the trail too."""
    return AuditEntry.objects.filter(subject_id__isnull=False).count()


def test_every_criterion_is_shown_with_rule_and_inputs(page):
    html = page(status={"systolic_mmhg": 151}).get().content.decode()
    for criterion in CURRENT.criteria:
        assert f'id="criterion-{criterion.code}"' in html
    assert html.count("criterion-rule") == len(CURRENT.criteria)
    assert "151 mmHg" in html
    assert "1: restricted in strenuous work" in html
    assert 'name="answer_INC2a"' in html
    assert 'name="answer_INC1"' not in html  # derived: nobody answers it
    assert "Data are missing" in html


def test_the_lowest_pain_is_remarked_upon(page):
    assert "lowest value allowed" in page(pain={"nrs_worst": 1}).get().content.decode()


def test_answer_as_proposed_fills_in_and_saves_nothing(page):
    here = page()
    before = audited()
    response = here.send("take", **JUDGEMENTS)
    assert response.status_code == 200
    assert (audited(), Eligibility.objects.count()) == (before, 0)
    shown = fields(response.content.decode())
    assert (shown["answer_INC2a"], shown["answer_EXC1"]) == ("yes", "no")
    # INC7 rests on the date just typed, which is not saved yet
    assert shown["answer_INC7"] == "yes"
    assert shown["expected_survival_months"] == "9"
    assert "not saved yet" in response.content.decode()


def test_answer_as_proposed_leaves_given_answers_alone(page):
    shown = fields(page().send("take", answer_INC2a="no").content.decode())
    assert shown["answer_INC2a"] == "no"
    assert "answer_INC7" not in shown


def test_three_steps_confirm(page, cast):
    here = page()
    filled = fields(here.send("take", **JUDGEMENTS).content.decode())
    response = here.post(filled, "confirm")
    assert response.headers["Location"] == reverse("subject", args=[here.subject.code])
    record = Eligibility.objects.get(subject=here.subject)
    assert (record.confirmed, record.confirmed_by) == (True, cast.investigator_a)
    assert milestones_of(here.subject).eligible_on == DAY
    html = here.get().content.decode()
    assert "Every criterion is settled in favour" in html
    assert "Confirmed by" in html


def test_answers_stay_when_the_confirmation_is_refused(page):
    here = page(status={"ecog": 2, "kps": 60})
    filled = fields(here.send("take", **JUDGEMENTS).content.decode())
    response = here.post(filled, "confirm")
    assert response.status_code == 302
    record = Eligibility.objects.get(subject=here.subject)
    assert not record.confirmed
    assert EligibilityAnswer.objects.get(parent=record, criterion="INC2a").answer == "yes"
    html = here.get().content.decode()
    assert "Not confirmed: something still stands in the way" in html
    assert 'The criterion is not fulfilled. <a href="#criterion-INC3">INC3</a>' in html


def test_a_posted_answer_to_a_derived_criterion_is_ignored(page):
    here = page(status={"ecog": 2, "kps": 60})
    here.send(**JUDGEMENTS, answer_INC3="yes", reason_INC3="I know better")
    row = EligibilityAnswer.objects.get(subject=here.subject, criterion="INC3")
    assert (row.verdict, row.answer, row.reason) == ("not_met", "no", "")


def test_a_judgement_without_a_reason_is_sent_back_with_its_message(page):
    here = page(status={"qtc_ms": 490})
    response = here.send(**JUDGEMENTS, answer_EXC3a="no")
    html = response.content.decode()
    assert response.status_code == 422
    assert html.count("A judgement needs its reason.") == 2  # in the summary and at the field
    assert '<a href="#id_reason_EXC3a">' in html
    assert fields(html)["answer_EXC3a"] == "no"
    assert not Eligibility.objects.exists()
    response = here.send(**JUDGEMENTS, answer_EXC3a="no", reason_EXC3a="Long known, stable.")
    assert response.status_code == 302
    assert EligibilityAnswer.objects.get(criterion="EXC3a").reason == "Long known, stable."


@pytest.mark.parametrize("who", ["coordinator_a", "monitor_a", "data_manager"])
def test_others_read_and_cannot_answer(page, cast, who):
    here = page(user=getattr(cast, who))
    response = here.get()
    assert response.status_code == 200
    assert 'name="answer_INC2a"' not in response.content.decode()
    assert 'value="1">Confirm' not in response.content.decode()
    before = audited()
    response = here.post({**JUDGEMENTS, "seen_version": "0", "answer_INC2a": "yes"}, "confirm")
    assert response.status_code == 403
    assert "You may not" in response.content.decode()
    assert (audited(), Eligibility.objects.count()) == (before, 0)


@pytest.mark.parametrize("who", ["coordinator_b", "investigator_b"])
def test_another_site_finds_nothing(page, cast, who):
    here = page(user=getattr(cast, who))
    assert here.get().status_code == 404
    assert here.post({"seen_version": "0"}).status_code == 404


def clashing(page):
    """The colleague saved 9 months and INC2a yes; the one whose page is older types 5 months and no."""
    here = page()
    opened = fields(here.get().content.decode())
    here.send(**JUDGEMENTS, answer_INC2a="yes")
    response = here.post({**opened, **JUDGEMENTS, "expected_survival_months": "5", "answer_INC2a": "no"})
    return here, response


def stored_answers():
    record = Eligibility.objects.get()
    return record.expected_survival_months, EligibilityAnswer.objects.get(criterion="INC2a").answer


def picked(html, **choices):
    data = fields(html)
    return {**data, **{f"pick:{name}": choice for name, choice in choices.items()}}


def test_two_investigators_on_one_page_choose_answer_by_answer(page):
    here, response = clashing(page)
    html = response.content.decode()
    assert response.status_code == 422
    assert "Someone else saved this form" in html
    assert stored_answers() == (9, "yes")
    assert {each.name for each in response.context["differences"]} == {"expected_survival_months", "INC2a"}
    assert all(each.chosen == "" for each in response.context["differences"]), "nothing is proposed"
    response = here.post(
        picked(html, expected_survival_months="mine", INC2a="stored") | {"form_reason": "agreed"}, "resolve"
    )
    assert response.status_code == 302
    assert stored_answers() == (5, "yes")
    assert AuditEntry.objects.filter(table_name="patients_eligibility", reason="agreed").exists()


def test_where_one_alone_changed_an_answer_that_one_is_proposed(page):
    here = page()
    here.send(**JUDGEMENTS, answer_INC2a="yes", answer_EXC1="no")
    opened = fields(here.get().content.decode())
    here.send(expected_survival_months="7", answer_EXC1="yes", form_reason="the colleague")
    response = here.post({**opened, "answer_INC2a": "no", "form_reason": "mine"})
    assert response.status_code == 422
    found = {each.name: each for each in response.context["differences"]}
    assert {name: each.chosen for name, each in found.items()} == {
        "expected_survival_months": "stored",
        "EXC1": "stored",
        "INC2a": "mine",
    }
    assert (found["expected_survival_months"].before, found["expected_survival_months"].stored) == ("9", "7")
    assert found["expected_survival_months"].who == here.user.audit_name
    assert (found["INC2a"].before, found["INC2a"].mine) == ("True", "Not true")
    data = picked(response.content.decode(), **{name: each.chosen for name, each in found.items()})
    assert here.post(data | {"form_reason": "agreed"}, "resolve").status_code == 302
    assert stored_answers() == (7, "no")
    assert EligibilityAnswer.objects.get(criterion="EXC1").answer == "yes"


def test_a_choice_needs_every_answer_and_a_reason(page):
    here, response = clashing(page)
    html = response.content.decode()
    for data in (
        picked(html, INC2a="mine") | {"form_reason": "agreed"},
        picked(html, INC2a="mine", expected_survival_months="mine"),
        picked(html, INC2a="perhaps", expected_survival_months="mine") | {"form_reason": "agreed"},
    ):
        again = here.post(data, "resolve")
        assert again.status_code == 422
        assert again.context["differences"]
        assert fields(again.content.decode())["expected_survival_months"] == "5", "what was typed is still there"
    assert stored_answers() == (9, "yes")


def test_choosing_what_is_stored_changes_nothing(page):
    here, response = clashing(page)
    before = audited()
    data = picked(response.content.decode(), INC2a="stored", expected_survival_months="stored")
    assert here.post(data, "resolve").status_code == 302
    assert (stored_answers(), audited()) == ((9, "yes"), before)


def test_a_third_save_meanwhile_brings_the_choice_again(page):
    here, response = clashing(page)
    data = picked(response.content.decode(), INC2a="mine", expected_survival_months="mine") | {"form_reason": "agreed"}
    here.send(expected_survival_months="7", form_reason="a third look")
    again = here.post(data, "resolve")
    assert again.status_code == 422
    assert again.context["moved"]
    assert stored_answers() == (7, "yes")


def test_a_choice_never_confirms(page):
    here = page()
    opened = fields(here.get().content.decode())
    here.send(**JUDGEMENTS, answer_INC2a="yes")
    typed = {**opened, **JUDGEMENTS, "expected_survival_months": "5", "answer_INC2a": "yes"}
    response = here.post(typed, "confirm")
    assert response.status_code == 422
    data = picked(response.content.decode(), expected_survival_months="mine") | {"form_reason": "agreed"}
    assert here.post({**data, "confirm": "1"}, "resolve").status_code == 302
    record = Eligibility.objects.get()
    assert (record.expected_survival_months, record.confirmed) == (5, False)


def test_the_same_answers_typed_twice_are_no_clash(page):
    here = page()
    opened = fields(here.get().content.decode())
    here.send(**JUDGEMENTS, answer_INC2a="yes")
    assert here.post({**opened, **JUDGEMENTS, "answer_INC2a": "yes"}).status_code == 302
    assert Eligibility.objects.get().row_version == 1


def test_data_changed_under_an_open_page_make_its_answers_void(page, cast):
    here = page()
    filled = fields(here.send("take", **JUDGEMENTS).content.decode())
    change(SITES, here.subject, cast.coordinator_a, escc="1b")
    here.post(filled, "confirm")
    assert not Eligibility.objects.get().confirmed
    html = here.get().content.decode()
    assert 'The data changed after the answer was given: answer again. <a href="#criterion-INC2d">INC2d</a>' in html
    assert "Void, the data changed since: True, Investigator A" in html


def test_a_stale_confirmation_says_so_and_is_renewed(page, cast):
    here = page()
    answer(here.subject, cast.investigator_a)
    change(SITES, here.subject, cast.coordinator_a, escc="1a")
    html = here.get().content.decode()
    assert "the confirmation no longer counts" in html
    assert "answer_INC2d" not in fields(html)
    response = here.send("confirm", answer_INC2d="yes")
    assert response.headers["Location"] == reverse("subject", args=[here.subject.code])
    assert "no longer counts" not in here.get().content.decode()


def test_a_changed_answer_needs_a_reason_a_first_one_does_not(page):
    here = page()
    here.send(**{**JUDGEMENTS, "expected_survival_months": ""})
    assert here.send(expected_survival_months="9", answer_INC2a="yes").status_code == 302
    response = here.send(expected_survival_months="12")
    assert response.status_code == 422
    assert "Say why the saved answers change." in response.content.decode()
    assert fields(response.content.decode())["expected_survival_months"] == "12"
    assert Eligibility.objects.get().expected_survival_months == 9
    assert here.send(expected_survival_months="12", form_reason="better scan").status_code == 302
    assert Eligibility.objects.get().expected_survival_months == 12
    entry = AuditEntry.objects.filter(table_name=Eligibility._meta.db_table, act="update").latest("pk")
    assert entry.reason == "better scan"


def test_a_confirmation_is_not_taken_back_without_a_reason(page, cast):
    here = page()
    answer(here.subject, cast.investigator_a)
    assert here.send().status_code == 422
    assert milestones_of(here.subject).eligible_on == DAY
    assert here.send(form_reason="entered for the wrong person").status_code == 302
    assert milestones_of(here.subject).eligible_on is None


def test_a_screen_failure_is_said_on_the_page(page, cast):
    here = page()
    filled = fields(here.send("take", **JUDGEMENTS).content.decode())
    fill(SCREEN_FAILURE, here.subject, cast.coordinator_a, failed_on=DAY, reason="declined")
    here.post(filled, "confirm")
    assert not Eligibility.objects.get().confirmed
    assert "A screen failure is recorded for 2026-03-10" in here.get().content.decode()


def test_a_frozen_trial_takes_no_answer(page, cast):
    here = page()
    opened = fields(here.get().content.decode())
    trial.do_freeze(cast.data_manager, "closing")
    assert 'name="answer_INC2a"' not in here.get().content.decode()
    response = here.post({**opened, **JUDGEMENTS})
    assert response.status_code == 422
    assert "The trial is frozen or locked" in response.content.decode()
    assert not Eligibility.objects.exists()


@pytest.mark.parametrize("button", ["save", "confirm", "take"])
def test_nonsense_is_answered_in_words(page, button):
    here = page(status={"qtc_ms": 490})
    names = [*JUDGEMENTS, "answer_INC2a", "answer_EXC3a", "reason_EXC3a", "seen_INC2a", "seen_version", "form_reason"]
    for bad in ("", "maybe", "x" * 10_000, "\N{PILE OF POO}" * 50, "\0", "1e999"):
        # a page without answers differs in nothing from a form without answers: back to it, nothing saved
        assert here.post(dict.fromkeys(names, bad), button).status_code in (
            (200, 302, 422) if bad == "" else (200, 422)
        )
        assert here.post({"seen_version": "0", **dict.fromkeys(JUDGEMENTS, bad)}, button).status_code in (200, 302, 422)
    assert here.post({}, button).status_code in (200, 302, 422)
    assert not EligibilityAnswer.objects.filter(criterion__in=["INC2a", "EXC3a"]).exclude(answer="").exists()


def test_a_reason_that_says_nothing_is_none(page):
    here = page()
    here.send(**JUDGEMENTS)
    for nothing in (" ", "\0", " \0 "):
        assert here.send(expected_survival_months="12", form_reason=nothing).status_code == 422
    assert here.send(expected_survival_months="12", form_reason="\0better scan").status_code == 302


def test_queries_do_not_grow_with_answers(page, cast):
    here = page()

    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert here.get().status_code == 200
        return len(queries)

    here.get()
    empty = count()
    answer(here.subject, cast.investigator_a)
    full = count()
    change(STATUS, here.subject, cast.coordinator_a, pulse=80)
    change(STATUS, here.subject, cast.coordinator_a, pulse=81)
    assert count() == full
    assert full <= empty + 13  # a stored form has a state, marks, signatures
    assert full <= 50
