"""Nothing typed is lost: drafts on the server, log-in renewed over the form, forms that come back as they were."""

import json
import re
from datetime import date, timedelta
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.forms import CheckboxInput, DateInput, DateTimeInput, HiddenInput, NumberInput, Textarea
from django.forms.widgets import ChoiceWidget
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followup.crfs import VISIT
from patients.crfs import CONSENT, DEMOGRAPHICS, SITES, STATUS
from patients.models import Demographics, DiseaseSite, SitesOfDisease
from radiotherapy.crfs import COURSE
from spinetrial.access import policy, second_factor
from spinetrial.access.limits import LIMITS
from spinetrial.access.models import Membership
from spinetrial.access.policy import allowed_roles
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf import drafts
from spinetrial.crf.forms import crf_form, form_data
from spinetrial.crf.models import Draft
from spinetrial.crf.registry import all_specs
from spinetrial.crf.save import enter
from spinetrial.crf.spec import Keeping
from spinetrial.crf.tasks import forget_old_drafts
from spinetrial.review import trial
from spinetrial.review.freezes import do_freeze_part
from tests.access.test_mfa import SECRET, code
from tests.cast import PASSWORD, SETUP
from tests.followup.helpers import DONE, noon, registered, treated

NOW = noon(date(2026, 3, 2))  # 12:00 in China
ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
SITE_ROW = {"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
SITES_ANSWERS = {"imaging_modality": "mri", "imaging_date": date(2025, 8, 10), "other_trial": False}
TYPED = "application/x-www-form-urlencoded"
SCRIPT = {"x-requested-with": "XMLHttpRequest", "accept": "application/json"}


@pytest.fixture(autouse=True)
def _clock():
    with at(NOW):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


def edit_url(subject, spec=DEMOGRAPHICS, key="form"):
    if spec.page:
        return reverse("radiotherapy_edit", args=[subject.code])
    return reverse("crf_edit", args=[subject.code, spec.code, key])


def draft_url(subject, spec=DEMOGRAPHICS, key="form"):
    return reverse("draft", args=[subject.code, spec.code, key])


def autosave(client, subject, values, spec=DEMOGRAPHICS, key="form", seen=0, **more):
    data = {**form_data(spec, values), "seen_version": str(seen), "form_reason": "", **more}
    return client.post(draft_url(subject, spec, key), data, headers=SCRIPT)


class Page(HTMLParser):
    """What a browser would post for the form of a CRF page: an oracle apart from the code of the forms."""

    def __init__(self, response):
        super().__init__(convert_charrefs=True)
        self.posted, self.inside, self.template, self.select, self.area = [], False, 0, None, None
        self.feed(response.content.decode())

    def handle_starttag(self, tag, attributes):
        attrs = dict(attributes)
        if tag == "form":
            self.inside = "data-crf" in attrs
        elif tag == "template":
            self.template += 1
        if not self.inside or self.template or "disabled" in attrs:
            return
        name = attrs.get("name")
        if tag == "input" and name:
            kind = attrs.get("type", "text")
            if kind not in ("radio", "checkbox") or "checked" in attrs:
                self.posted.append((name, attrs.get("value", "on" if kind == "checkbox" else "")))
        elif tag == "select":
            self.select = (name, [], "multiple" in attrs)
        elif tag == "option":
            self.select[1].append((attrs.get("value", ""), "selected" in attrs))
        elif tag == "textarea":
            self.area = (name, [])

    def handle_endtag(self, tag):
        if tag == "template":
            self.template -= 1
        elif tag == "form":
            self.inside = False
        elif tag == "select" and self.select:
            name, options, several = self.select
            chosen = [value for value, selected in options if selected]
            if not chosen and not several and options:
                chosen = [options[0][0]]
            self.posted += [(name, value) for value in chosen]
            self.select = None
        elif tag == "textarea" and self.area:
            text = "".join(self.area[1]).removeprefix("\n")
            self.posted.append((self.area[0], text.replace("\r\n", "\n").replace("\n", "\r\n")))
            self.area = None

    def handle_data(self, data):
        if self.area:
            self.area[1].append(data)

    def answers(self):
        found = {}
        for name, value in self.posted:
            if drafts.is_answer(name):
                found.setdefault(name, []).append(value)
        return found


# --- autosave ---


def test_what_is_typed_is_kept_as_a_draft_with_the_time_at_the_site(client, cast, subject):
    client.force_login(cast.coordinator_a)
    answer = autosave(client, subject, {"height_cm": 171})
    assert answer.status_code == 200
    assert answer.json() == {"label": "Saved 12:00 as draft"}
    draft = Draft.objects.get()
    assert (draft.user, draft.subject, draft.spec_code, draft.key) == (cast.coordinator_a, subject, "P.DM", "form")
    assert draft.data["height_cm"] == ["171"]
    assert not Demographics.objects.exists(), "nothing of it is saved"


def test_one_draft_per_person_and_form(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    with at(NOW + timedelta(minutes=2)):
        assert autosave(client, subject, {"height_cm": 172}).json() == {"label": "Saved 12:02 as draft"}
    assert Draft.objects.get().data["height_cm"] == ["172"]
    client.force_login(cast.investigator_a)
    autosave(client, subject, {"height_cm": 180})
    assert Draft.objects.count() == 2


def test_a_draft_is_no_trial_data_and_leaves_no_trail(client, cast, subject):
    client.force_login(cast.coordinator_a)
    before = AuditEntry.objects.count()
    autosave(client, subject, {"height_cm": 171})
    client.post(reverse("draft_discard", args=[subject.code, "P.DM", "form"]))
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize(
    ("name", "status"),
    [("coordinator_a", 200), ("investigator_a", 200), ("monitor_a", 403), ("assessor_a", 403), ("data_manager", 403),
     ("statistician", 403), ("custodian", 403), ("administrator", 403), ("outsider", 403), ("coordinator_b", 404)],
)  # fmt: skip
def test_who_may_keep_a_draft(client, cast, subject, name, status):
    client.force_login(getattr(cast, name))
    assert autosave(client, subject, {"height_cm": 171}).status_code == status
    assert Draft.objects.exists() is (status == 200)


def test_a_masked_person_keeps_no_draft_of_a_form_that_reveals_the_arm(client, cast, monkeypatch):
    followed = treated(cast.coordinator_a, cast.site_a)
    monkeypatch.setitem(policy.POLICY, "crf.enter", policy.POLICY["crf.enter"] | {policy.Role.ASSESSOR})
    client.force_login(cast.assessor_a)
    assert autosave(client, followed, {}, COURSE).status_code == 403
    assert not Draft.objects.exists()
    client.force_login(cast.coordinator_a)
    assert autosave(client, followed, {}, COURSE).status_code == 200


def test_a_person_who_became_masked_does_not_see_the_old_draft(client, cast, monkeypatch):
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)
    autosave(client, followed, {"remark": "whole vertebra"}, COURSE)
    assert [spec.code for _draft, spec in drafts.unfinished(cast.coordinator_a)] == ["R.RT"]
    monkeypatch.setitem(policy.POLICY, "arm.view", frozenset())
    assert drafts.unfinished(cast.coordinator_a) == []
    assert client.get(edit_url(followed, COURSE)).status_code == 403
    assert "R.RT" not in client.get("/worklist/").content.decode()


@pytest.mark.parametrize("key", ["M3", "new", "1", "99999999999999999999", "form%00"])
def test_a_draft_of_a_form_that_is_not_there(client, cast, subject, key):
    client.force_login(cast.coordinator_a)
    assert client.post(f"/subjects/{subject.code}/P.DM/{key}/draft/", {}, headers=SCRIPT).status_code == 404
    assert client.post("/subjects/NK-999/P.DM/form/draft/", {}, headers=SCRIPT).status_code == 404
    assert client.post(f"/subjects/{subject.code}/X.NONE/form/draft/", {}, headers=SCRIPT).status_code == 404
    assert client.get(draft_url(subject), headers=SCRIPT).status_code == 405


def test_a_closed_trial_takes_no_draft_and_says_so(client, cast, subject):
    client.force_login(cast.coordinator_a)
    trial.do_freeze(cast.data_manager, "cleaning")
    answer = autosave(client, subject, {"height_cm": 171})
    assert answer.status_code == 409
    assert "frozen or locked" in answer.json()["error"]
    assert not Draft.objects.exists()


@pytest.mark.parametrize("fault", ["bytes", "fields"])
def test_a_draft_beyond_any_form_is_refused_and_the_one_before_stays(client, cast, subject, fault):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    many = {"x": ["1"] * 4000, "y": ["2"] * 990} if fault == "fields" else {"remark": "骨" * 170_000}
    limit = drafts.MAX_FIELDS
    try:
        drafts.MAX_FIELDS = 4900
        answer = autosave(client, subject, {}, **many)
    finally:
        drafts.MAX_FIELDS = limit
    assert answer.status_code == 413
    assert "too much for a draft" in answer.json()["error"]
    assert Draft.objects.get().data["height_cm"] == ["171"]


def test_more_fields_than_the_server_reads_is_a_refusal_no_crash(client, cast, subject):
    client.force_login(cast.coordinator_a)
    body = urlencode([("x", "1")] * 6000)
    answer = client.post(draft_url(subject), body, content_type=TYPED, headers=SCRIPT)
    assert answer.status_code == 400


def test_secrets_are_never_in_a_draft(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(
        client, subject, {"height_cm": 171}, csrfmiddlewaretoken="MARKER", password="MARKER", old_Password="MARKER"
    )
    draft = Draft.objects.get()
    assert "MARKER" not in json.dumps(draft.data)
    assert draft.data["height_cm"] == ["171"]


@pytest.mark.parametrize("value", ["a\0b", "🦴", "x" * 10_000, "<script>"])
def test_odd_text_is_kept_and_shown_as_text(client, cast, subject, value):
    client.force_login(cast.coordinator_a)
    assert autosave(client, subject, {"height_cm": value}, seen="٣\0").status_code == 200
    page = client.get(edit_url(subject))
    assert page.status_code == 200
    assert page.context["form"]["height_cm"].value() == value.replace("\0", "")
    assert "<script>" not in page.content.decode().replace("<script src", "")


def test_forms_with_names_of_patients_have_no_autosave(client, cast, subject):
    """Contacts are no CRF: neither page tells the script an address, and no spec would take them."""
    client.force_login(cast.coordinator_a)
    for url in (reverse("subject_new"), reverse("contact", args=[subject.code])):
        assert "data-draft-url" not in client.get(url).content.decode()
    names = {item.name for spec in all_specs() for item in spec.items()}
    assert not names & {"name", "telephone", "email", "hospital_number"}


# --- restoring ---


def test_opening_the_form_shows_the_draft_under_a_banner(client, cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {**ANSWERS, "height_cm": "17"}, seen=1, form_reason="misread")
    with at(NOW + timedelta(days=1)):
        page = client.get(edit_url(subject))
    text = page.content.decode()
    assert "Your draft of 2026-03-02 12:00 is shown; nothing of it is saved yet." in text
    assert "Saved 2026-03-02 12:00 as draft" in text
    assert "Discard draft" in text
    assert page.context["form"]["height_cm"].value() == "17"
    assert 'value="misread"' in text
    assert "data-error-summary" not in text, "a draft is not judged before somebody wants to save it"
    assert Demographics.objects.get().height_cm == 160


def test_discarding_shows_the_stored_record(client, cast, subject):
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {**ANSWERS, "height_cm": 171}, seen=1)
    answer = client.post(reverse("draft_discard", args=[subject.code, "P.DM", "form"]), follow=True)
    assert answer.redirect_chain[0][0] == edit_url(subject)
    assert answer.context["form"]["height_cm"].value() == 160
    assert "Your draft of" not in answer.content.decode()
    assert not Draft.objects.exists()


def test_discarding_is_only_ones_own(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    client.force_login(cast.investigator_a)
    client.post(reverse("draft_discard", args=[subject.code, "P.DM", "form"]))
    assert Draft.objects.count() == 1
    assert client.get(reverse("draft_discard", args=[subject.code, "P.DM", "form"])).status_code == 405


def test_a_save_deletes_the_draft(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {**ANSWERS, "height_cm": 171})
    data = {**form_data(DEMOGRAPHICS, {**ANSWERS, "height_cm": 171}), "seen_version": "0", "save": "1"}
    assert client.post(edit_url(subject), {**data, "height_cm": "x"}).status_code == 422
    assert Draft.objects.count() == 1, "a refused save keeps it"
    assert client.post(edit_url(subject), data).status_code == 302
    assert not Draft.objects.exists()


def test_a_draft_of_another_person_is_mentioned_without_its_content(client, cast, subject):
    client.force_login(cast.investigator_a)
    autosave(client, subject, {"height_cm": 147})
    client.force_login(cast.coordinator_a)
    page = client.get(edit_url(subject)).content.decode()
    assert "Investigator A has an unsaved draft of this form since 12:00." in page
    assert "147" not in page
    assert "Your draft of" not in page


def test_the_worklist_lists_unfinished_drafts_with_a_link(client, cast, subject):
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    autosave(client, followed, {"remark": "x"}, COURSE)
    autosave(client, followed, {"nrs_worst": 3}, VISIT, key="M3")
    page = client.get("/worklist/").content.decode()
    assert page.count("Unfinished draft") >= 3
    for url in (edit_url(subject), edit_url(followed, COURSE), edit_url(followed, VISIT, "M3")):
        assert f'href="{url}"' in page
    client.force_login(cast.investigator_a)
    assert "Unfinished draft" not in client.get("/worklist/").content.decode(), "drafts are one's own"


def test_who_lost_the_right_sees_the_draft_no_more(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    membership = Membership.objects.get(user=cast.coordinator_a)
    with acting(SETUP, "left"):
        membership.ends = date(2026, 3, 1)
        membership.save()
    assert client.get(edit_url(subject)).status_code == 403
    assert autosave(client, subject, {"height_cm": 172}).status_code == 403


@pytest.mark.parametrize(("days", "left"), [(29, 1), (31, 0)])
def test_a_daily_job_forgets_drafts_of_thirty_days(client, cast, subject, days, left):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm": 171})
    with at(NOW + timedelta(days=days)):
        forget_old_drafts()
    assert Draft.objects.count() == left


def test_the_job_runs_every_day(settings):
    tasks = {each["task"]: each["schedule"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks[forget_old_drafts.name] == 24 * 60 * 60


# --- the session ran out ---


def post_renew(client, username, password, **more):
    data = {"username": username, "password": password, **more}
    return client.post(reverse("login_renew"), data, headers=SCRIPT)


def test_a_draft_without_log_in_is_answered_401_for_the_script(client, subject):
    answer = autosave(client, subject, {"height_cm": 171})
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/json"
    assert client.get("/worklist/").status_code == 302, "a person is led to the log-in page"


def test_the_log_in_is_renewed_and_the_draft_goes_on(cast, subject):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.coordinator_a)
    page = client.get(edit_url(subject))
    token = page.context["csrf_token"]
    Session.objects.all().delete()
    data = {**form_data(DEMOGRAPHICS, ANSWERS), "seen_version": "0"}

    def draft(token):
        return client.post(draft_url(subject), data, headers={**SCRIPT, "x-csrftoken": str(token)})

    assert draft(token).status_code == 401
    answer = client.post(reverse("login_renew"), {"username": cast.coordinator_a.username, "password": PASSWORD},
                         headers={**SCRIPT, "x-csrftoken": str(token)})  # fmt: skip
    assert answer.status_code == 200
    assert answer.json()["user"] == cast.coordinator_a.username
    assert "no-store" in answer["Cache-Control"]
    assert draft(token).status_code == 403, "the log-in made the old token void"
    assert draft(answer.json()["token"]).status_code == 200
    assert AuditEntry.objects.filter(act="login").exists()


@pytest.mark.parametrize(
    ("username", "password"),
    [("coordinator-a", "wrong"), ("nobody", PASSWORD), ("", ""), ("a\0", "\0"), ("coordinator-b", "x" * 10_000)],
)
def test_a_renewal_with_a_wrong_password_is_refused_and_recorded(client, cast, username, password):
    answer = post_renew(client, username, password)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"password"}
    assert "_auth_user_id" not in client.session
    assert AuditEntry.objects.filter(act="login failed").count() == 1


def test_an_account_that_was_closed_cannot_renew(client, cast):
    with acting(SETUP, "left"):
        cast.coordinator_a.is_active = False
        cast.coordinator_a.save()
    assert post_renew(client, "coordinator-a", PASSWORD).status_code == 422


def test_another_person_logged_in_meanwhile_is_not_replaced(client, cast, subject):
    client.force_login(cast.investigator_a)
    answer = post_renew(client, "coordinator-a", PASSWORD)
    assert answer.status_code == 409
    assert "investigator-a is logged in" in answer.json()["errors"]["password"]
    assert client.session["_auth_user_id"] == str(cast.investigator_a.pk)


def test_renewing_while_still_logged_in_gives_a_token_only(client, cast):
    client.force_login(cast.coordinator_a)
    before = client.session.session_key
    assert post_renew(client, "coordinator-a", "").status_code == 200
    assert client.session.session_key == before


def test_what_one_person_typed_is_not_kept_or_saved_as_anothers(client, cast, subject):
    """The page was opened by the coordinator; then the investigator logged in in another window."""
    client.force_login(cast.investigator_a)
    answer = autosave(client, subject, {"height_cm": 171}, opened_by="coordinator-a")
    assert answer.status_code == 409
    assert answer.json()["stop"] is True
    assert not Draft.objects.exists()
    data = {**form_data(DEMOGRAPHICS, ANSWERS), "seen_version": "0", "opened_by": "coordinator-a"}
    page = client.post(edit_url(subject), data)
    assert page.status_code == 422
    assert "This page was opened by coordinator-a" in page.content.decode()
    assert page.context["form"]["height_cm"].value() == "160"
    assert not Demographics.objects.exists()
    assert client.post(edit_url(subject), Page(page).answers() | {"opened_by": "investigator-a"}).status_code == 302


def test_a_form_sent_after_the_session_ended_is_still_there_as_draft(client, cast, subject):
    """Without the script's dialog: the save is led to the log-in page, and after it the draft has everything."""
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {**ANSWERS, "height_cm": 171})
    Session.objects.all().delete()
    data = {**form_data(DEMOGRAPHICS, {**ANSWERS, "height_cm": 171}), "seen_version": "0", "save": "1"}
    sent = client.post(edit_url(subject), data)
    assert sent.status_code == 302
    assert sent.url.startswith(reverse("login"))
    back = client.post(
        sent.url, {"username": "coordinator-a", "password": PASSWORD, "next": edit_url(subject)}, follow=True
    )
    assert back.context["form"]["height_cm"].value() == "171"
    assert "Your draft of" in back.content.decode()


def test_with_a_second_factor_the_renewal_wants_the_code_too(client, cast, subject):
    second_factor.do_enrol(cast.coordinator_a, SECRET, 0)
    client.force_login(cast.coordinator_a)
    page = client.get(edit_url(subject)).content.decode()
    assert re.search(r"data-renew-code>", page), "the field for the code is there from the start"
    client.logout()
    for wrong in ("", "000000"):
        refused = post_renew(client, "coordinator-a", PASSWORD, code=wrong)
        assert refused.status_code == 422
        assert set(refused.json()["errors"]) == {"code"}
        assert "_auth_user_id" not in client.session
    assert post_renew(client, "coordinator-a", PASSWORD, code=code(NOW, SECRET)).status_code == 200
    assert client.session["_auth_user_id"] == str(cast.coordinator_a.pk)
    assert AuditEntry.objects.filter(act="login").latest("id").changes == {"second factor": "app"}


def test_a_person_without_second_factor_sees_no_field_for_a_code(client, cast, subject):
    client.force_login(cast.coordinator_a)
    assert "data-renew-code hidden" in client.get(edit_url(subject)).content.decode()


def test_failures_of_the_renewal_lock_the_account_like_those_of_the_log_in(client, cast, settings):
    answers = [post_renew(client, "coordinator-a", "wrong").status_code for _n in range(settings.AXES_FAILURE_LIMIT)]
    assert answers[:-1] == [422] * (settings.AXES_FAILURE_LIMIT - 1)
    assert post_renew(client, "coordinator-a", PASSWORD).status_code == 429
    assert "_auth_user_id" not in client.session


def test_one_address_cannot_try_the_renewal_for_ever(client, cast, settings):
    settings.RATE_LIMITS = True
    answers = [post_renew(client, f"nobody-{n}", "wrong").status_code for n in range(LIMITS["log-in"].times + 1)]
    assert answers == [422] * LIMITS["log-in"].times + [429]


def test_a_frozen_form_takes_no_draft_and_another_form_does(client, cast, subject):
    record = enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    do_freeze_part(cast.data_manager, subject, "clean", event="BL", spec_code="P.DM", record_id=record.pk)
    client.force_login(cast.coordinator_a)
    answer = autosave(client, subject, {**ANSWERS, "height_cm": 171}, seen=1)
    assert answer.status_code == 409
    assert "frozen this form" in answer.json()["error"]
    assert autosave(client, subject, SITES_ANSWERS, SITES).status_code == 200


def test_a_reason_for_no_answer_and_an_explanation_come_back_from_the_draft(client, cast, subject):
    client.force_login(cast.coordinator_a)
    autosave(client, subject, {"height_cm__missing": "ND"})
    assert Page(client.get(edit_url(subject))).answers()["height_cm__missing"] == ["ND"]
    autosave(client, subject, {"pulse": "170", "explain-pulse_unlikely": "fibrillation"}, STATUS)
    assert Page(client.get(edit_url(subject, STATUS))).answers()["explain-pulse_unlikely"] == ["fibrillation"]


# --- what is typed comes back ---

#: Forms that somebody may fill in by the generic pages.
ENTERED = [spec for spec in all_specs() if spec.page != "eligibility" and allowed_roles(spec.enter)]
REPEATING = [spec for spec in ENTERED if spec.rows]
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), max_size=12)


def typed(field):
    """Values a browser can send for a form field; None: not sent."""
    widget = field.widget
    if isinstance(widget, CheckboxInput):
        return st.sampled_from([None, "on"])
    if isinstance(widget, ChoiceWidget):
        values = [str(value) for value, _label in widget.choices]
        return st.sampled_from(values if widget.input_type == "select" else [None, *values])
    if isinstance(widget, (DateInput, DateTimeInput)):
        days = st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(str)
        return days if isinstance(widget, DateInput) else days.map(lambda day: f"{day}T08:30")
    if isinstance(widget, NumberInput):
        return st.one_of(st.just(""), st.integers(-5, 10_000).map(str), st.decimals(-9, 999, places=2).map(str))
    if isinstance(widget, Textarea):
        return st.lists(WORDS, max_size=3).map("\r\n".join)
    return WORDS


@st.composite
def typing(draw, spec, subject, stored=0):
    """What the browser posts: every item, any number of rows, some of them removed, blank rows left over."""
    form = crf_form(spec, subject)
    data = {}

    def add(name, value):
        if value is not None:
            data[name] = [value]

    for name, field in form.fields.items():
        if not isinstance(field.widget, HiddenInput):
            add(name, draw(typed(field)))
    data["seen_version"] = ["0"]
    for group in spec.rows:
        count = draw(st.integers(0, 6))
        prefix = group.key
        data |= {
            f"{prefix}-TOTAL_FORMS": [str(count)],
            f"{prefix}-INITIAL_FORMS": ["0"],
            f"{prefix}-MIN_NUM_FORMS": ["0"],
            f"{prefix}-MAX_NUM_FORMS": ["100"],
        }
        row = form.formsets[prefix].empty_form
        for number in range(count):
            for name, field in row.fields.items():
                if name == "id":
                    add(f"{prefix}-{number}-id", "")
                elif name == "DELETE":
                    add(f"{prefix}-{number}-DELETE", draw(st.sampled_from([None, None, "on"])))
                else:
                    add(f"{prefix}-{number}-{name}", draw(typed(field)))
    return data


def key_of(spec):
    return {Keeping.ONCE: "form", Keeping.PER_EVENT: "M3", Keeping.REPEATING: "new"}[spec.keeping]


def send(client, subject, spec, data):
    body = urlencode([(name, value) for name, values in data.items() for value in values])
    return client.post(draft_url(subject, spec, key_of(spec)), body, content_type=TYPED, headers=SCRIPT)


def test_there_are_forms_with_rows_to_try():
    assert {spec.code for spec in REPEATING} >= {
        "F.VISIT",
        "F.IMAGING",
        "P.SITES",
        "P.PAIN",
        "R.RT",
        "P.FAIL",
    }


@pytest.mark.parametrize("code", [spec.code for spec in REPEATING])
def test_any_rows_come_back_from_a_draft_as_they_were_typed(client, cast, code):
    """Draft -> opened form -> what the browser posts then is identical, for every form with rows."""
    spec = next(each for each in REPEATING if each.code == code)
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def comes_back(data):
        posted = data.draw(typing(spec, followed))
        assert send(client, followed, spec, posted).status_code == 200
        page = client.get(edit_url(followed, spec, key_of(spec)))
        again = Page(page).answers()
        again.pop("form_reason", None)
        assert again == posted

    comes_back()


@pytest.mark.parametrize("code", [spec.code for spec in ENTERED])
def test_a_form_without_rows_comes_back_too_and_code_and_browser_agree(client, cast, code):
    """`posted_by`, which the choice of two editors relies on, is what a browser posts for the same page."""
    spec = next(each for each in all_specs() if each.code == code)
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)

    @settings(max_examples=5, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def agree(data):
        posted = data.draw(typing(spec, followed))
        assert send(client, followed, spec, posted).status_code == 200
        page = client.get(edit_url(followed, spec, key_of(spec)))
        browser = Page(page).answers()
        browser.pop("form_reason", None)
        assert browser == posted
        query = QueryDict(mutable=True)
        for name, values in posted.items():
            query.setlist(name, values)
        event = "M3" if spec.keeping is Keeping.PER_EVENT else ""
        form = drafts.unjudged(crf_form(spec, followed, event=event, data=query))
        assert {n: [v.replace("\r\n", "\n") for v in values] for n, values in drafts.posted_by(form).items()} == {
            n: [v.replace("\r\n", "\n") for v in values] for n, values in posted.items()
        }

    agree()


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "level": st.just(""),
            "lesion": st.sampled_from(["lytic", "blastic", "mixed"]),
            "fracture": st.booleans(),
            "prior_rt": st.just(False),
            "prior_surgery": st.just(False),
        }
    ),
    min_size=1,
    max_size=5,
)
MORPHINES = st.lists(
    st.fixed_dictionaries(
        {"drug": st.just("MORPHINE_PO"), "dose": st.decimals(1, 200, places=1).map(str),
         "times": st.integers(1, 6).map(str), "use": st.sampled_from(["scheduled", "rescue"])}
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


def saved_comes_back(client, subject, spec, key, data):
    """Save, open, post what the page holds: accepted as "nothing changed", and the next page holds the same."""
    body = urlencode([(name, value) for name, value in data.items()])
    sent = client.post(edit_url(subject, spec, key), body, content_type=TYPED)
    assert sent.status_code == 302, sent.context["form"].all_errors()
    first = Page(client.get(edit_url(subject, spec, key))).answers()
    before = AuditEntry.objects.count()
    body = urlencode([(n, v) for n, values in {**first, "form_reason": ["again"]}.items() for v in values])
    assert client.post(edit_url(subject, spec, key), body, content_type=TYPED).status_code == 302
    assert AuditEntry.objects.count() == before, "posting back what was shown changes nothing"
    assert Page(client.get(edit_url(subject, spec, key))).answers() == first
    return first


def test_saved_rows_come_back_as_they_were_saved(client, cast):
    client.force_login(cast.coordinator_a)

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(ROWS)
    def comes_back(rows):
        subject = registered(cast.coordinator_a, cast.site_a)
        rows = [{**row, "level": f"T{number}"} for number, row in enumerate(rows, 1)]
        data = {**form_data(SITES, SITES_ANSWERS, {"sites": rows}), "seen_version": "0"}
        page = saved_comes_back(client, subject, SITES, "form", data)
        for name, value in data.items():
            if name.startswith("sites-") and "FORMS" not in name:
                assert page[name] == [value], name
        assert page["sites-INITIAL_FORMS"] == [str(len(rows))]

    comes_back()


def test_saved_analgesics_of_a_visit_come_back_as_they_were_saved(client, cast):
    client.force_login(cast.coordinator_a)

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(MORPHINES)
    def comes_back(rows):
        followed = treated(cast.coordinator_a, cast.site_a)
        values = {**DONE, "analgesics": "some"}
        data = {**form_data(VISIT, values, {"analgesics_taken": rows}), "seen_version": "0"}
        saved_comes_back(client, followed, VISIT, "M3", data)

    comes_back()


def test_stored_rows_some_removed_some_added_come_back_from_a_draft(client, cast, subject):
    enter(SITES, subject, cast.coordinator_a, SITES_ANSWERS, {"sites": [SITE_ROW, {**SITE_ROW, "level": "T9"}]})
    first, second = DiseaseSite.objects.order_by("position")
    client.force_login(cast.coordinator_a)
    rows = [{**SITE_ROW, "id": first.pk, "DELETE": "on"}, {**SITE_ROW, "level": "T9", "id": second.pk},
            {**SITE_ROW, "level": "L1"}, {**SITE_ROW, "level": "L2", "DELETE": "on"}]  # fmt: skip
    data = {**form_data(SITES, SITES_ANSWERS, {"sites": rows}), "seen_version": "1", "form_reason": "second look"}
    assert client.post(draft_url(subject, SITES), data, headers=SCRIPT).status_code == 200
    page = client.get(edit_url(subject, SITES))
    text = page.content.decode()
    assert text.count("row-removed") == 2
    posted = Page(page).answers()
    assert posted["sites-INITIAL_FORMS"] == ["2"]
    assert posted["sites-TOTAL_FORMS"] == ["4"]
    body = urlencode([(name, value) for name, values in posted.items() for value in values])
    done = client.post(edit_url(subject, SITES), body, content_type=TYPED)
    assert done.status_code == 302
    assert DiseaseSite.objects.get(level="T9").pk == second.pk
    assert list(DiseaseSite.objects.order_by("position").values_list("level", flat=True)) == ["T9", "L1"]
    assert SitesOfDisease.objects.get().row_version == 2


def test_a_draft_from_before_a_table_was_added_shows_the_stored_rows(client, cast, subject):
    """The program was updated between: the draft does not know the rows, and must not lose them."""
    enter(SITES, subject, cast.coordinator_a, SITES_ANSWERS, {"sites": [SITE_ROW]})
    client.force_login(cast.coordinator_a)
    data = {"imaging_modality": "ct", "imaging_date": "2025-08-10", "other_trial": "False", "seen_version": "1"}
    client.post(draft_url(subject, SITES), data, headers=SCRIPT)
    posted = Page(client.get(edit_url(subject, SITES))).answers()
    assert posted["sites-0-level"] == ["T8"]
    assert posted["sites-0-id"] == [str(DiseaseSite.objects.get().pk)]
    body = urlencode([(n, v) for n, values in {**posted, "form_reason": ["CT"]}.items() for v in values])
    assert client.post(edit_url(subject, SITES), body, content_type=TYPED).status_code == 302
    assert DiseaseSite.objects.count() == 1


def test_a_new_record_of_a_repeating_form_has_its_draft_under_new(client, cast, subject):
    client.force_login(cast.coordinator_a)
    assert autosave(client, subject, {"version": "1.0"}, CONSENT, "new").status_code == 200
    page = client.get(edit_url(subject, CONSENT, "new"))
    assert page.context["form"]["version"].value() == "1.0"
    client.force_login(cast.investigator_a)
    assert "unsaved draft" not in client.get(edit_url(subject, CONSENT, "new")).content.decode()
