"""Two editors of one form: the second chooses answer by answer, and nothing of either is overwritten unseen."""

import threading
from datetime import date

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from patients.crfs import DEMOGRAPHICS, SITES, STATUS
from patients.models import Demographics, DiseaseSite, SitesOfDisease
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf import save
from spinetrial.crf.forms import form_data
from spinetrial.crf.models import Draft
from spinetrial.crf.save import enter
from spinetrial.review.models import Explanation
from tests.cast import make_cast
from tests.followup.helpers import noon, registered
from tests.patients.factory import VALUES

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
SITE_ROW = {"level": "T8", "lesion": "lytic", "fracture": False, "prior_rt": False, "prior_surgery": False}
SITES_ANSWERS = {"imaging_modality": "mri", "imaging_date": date(2025, 8, 10), "other_trial": False}
NOW = noon(date(2026, 3, 2))


@pytest.fixture(autouse=True)
def _clock():
    with at(NOW):
        yield


@pytest.fixture
def subject(cast):
    return registered(cast.coordinator_a, cast.site_a)


def url(subject, spec=DEMOGRAPHICS, key="form"):
    return reverse("crf_edit", args=[subject.code, spec.code, key])


def posting(spec, values, rows=None, seen=1, reason="mine", **more):
    return {**form_data(spec, values, rows), "seen_version": str(seen), "form_reason": reason, "save": "1", **more}


def differences(response):
    return {each.name: each for each in response.context["differences"]}


def choosing(response, **choices):
    """What the page of the choice posts: everything it carries, and the choices over what it proposes."""
    data: dict = {}
    for name, value in response.context["hidden"]:
        data.setdefault(name, []).append(value)
    for each in response.context["differences"]:
        if each.chosen:
            data[each.input_name] = each.chosen
    data |= {f"pick:{name}": choice for name, choice in choices.items()}
    return {**data, "resolve": "1", "stored_version": str(response.context["stored_version"]),
            "form_reason": response.context["reason"]}  # fmt: skip


def change(record, actor, reason="theirs", **values):
    fresh = Demographics.objects.get(pk=record.pk)
    stored = {"birth_date": fresh.birth_date, "sex": fresh.sex, "height_cm": fresh.height_cm}
    return enter(DEMOGRAPHICS, fresh.subject, actor, {**stored, **values}, record=fresh, reason=reason)


@pytest.fixture
def record(cast, subject):
    return enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)


def test_two_editors_get_a_field_by_field_choice(client, cast, subject, record):
    change(record, cast.investigator_a, sex="male", height_cm=161)
    client.force_login(cast.coordinator_a)
    mine = {**ANSWERS, "birth_date": date(1960, 2, 2), "height_cm": 172}
    page = client.post(url(subject), posting(DEMOGRAPHICS, mine))
    assert page.status_code == 422
    found = differences(page)
    assert set(found) == {"birth_date", "sex", "height_cm"}
    assert found["birth_date"].chosen == "mine", "only I changed it"
    assert found["sex"].chosen == "stored", "only they changed it"
    assert found["height_cm"].chosen == "", "both changed it: nothing is proposed"
    height = found["height_cm"]
    assert (height.mine, height.stored, height.before) == ("172 cm", "161 cm", "160 cm")
    assert height.who == cast.investigator_a.audit_name
    text = page.content.decode()
    assert "Someone else saved this form while you were filling it in." in text
    assert cast.investigator_a.full_name in text
    assert 'value="mine"' in text
    assert Demographics.objects.get().height_cm == 161, "nothing is overwritten"

    saved = client.post(url(subject), choosing(page, height_cm="mine"))
    assert saved.status_code == 302
    now = Demographics.objects.get()
    assert (now.birth_date, now.sex, now.height_cm, now.row_version) == (date(1960, 2, 2), "male", 172, 3)
    entry = AuditEntry.objects.filter(table_name="patients_demographics").latest("id")
    assert entry.reason == "mine"
    assert set(entry.changes) == {"birth_date", "height_cm", "row_version"}


def test_taking_every_stored_answer_changes_nothing_and_needs_no_reason(client, cast, subject, record):
    change(record, cast.investigator_a, height_cm=161)
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}, reason=""))
    assert client.post(url(subject), choosing(page, height_cm="stored")).status_code == 302
    now = Demographics.objects.get()
    assert (now.height_cm, now.row_version) == (161, 2)


def test_the_choice_asks_for_a_reason_and_for_every_answer_both_changed(client, cast, subject, record):
    change(record, cast.investigator_a, height_cm=161)
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}, reason=""))
    undecided = client.post(url(subject), choosing(page) | {"form_reason": "mine"})
    assert undecided.status_code == 422
    assert "please choose at each one" in undecided.content.decode()
    silent = client.post(url(subject), choosing(page, height_cm="mine"))
    assert silent.status_code == 422
    assert "Say why the saved answers change." in silent.content.decode()
    assert differences(silent)["height_cm"].chosen == "mine", "the choice is kept"
    made_up = client.post(url(subject), choosing(page, height_cm="his\0") | {"form_reason": "x"})
    assert made_up.status_code == 422
    assert Demographics.objects.get().height_cm == 161


def test_two_first_entries_of_one_form(client, cast, subject):
    """The second posts what it typed into an empty form after the first was saved."""
    client.force_login(cast.coordinator_a)
    assert client.post(url(subject), posting(DEMOGRAPHICS, ANSWERS, seen=0)).status_code == 302
    client.force_login(cast.investigator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}, seen=0, reason=""))
    found = differences(page)
    assert set(found) == {"height_cm"}
    assert (found["height_cm"].before, found["height_cm"].chosen) == ("", "")
    done = client.post(url(subject), choosing(page, height_cm="mine") | {"form_reason": "mine is right"})
    assert done.status_code == 302
    assert Demographics.objects.get().height_cm == 172


def test_a_double_click_on_save_is_one_save(client, cast, subject):
    client.force_login(cast.coordinator_a)
    for _click in range(2):
        assert client.post(url(subject), posting(DEMOGRAPHICS, ANSWERS, seen=0)).status_code == 302
    assert Demographics.objects.get().row_version == 1


def test_a_third_save_between_brings_the_page_again(client, cast, subject, record):
    change(record, cast.investigator_a, height_cm=161)
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}))
    change(record, cast.investigator_a, height_cm=163)
    again = client.post(url(subject), choosing(page, height_cm="mine"))
    assert again.status_code == 422
    assert "saved once more while you were choosing" in again.content.decode()
    assert differences(again)["height_cm"].stored == "163 cm"
    assert Demographics.objects.get().height_cm == 163
    assert client.post(url(subject), choosing(again)).status_code == 302
    assert Demographics.objects.get().height_cm == 172


@pytest.mark.parametrize("seen", ["", "x", "99", "-1", "9" * 30, "1\0"])
def test_a_version_nobody_knows_leaves_a_plain_choice_between_two(client, cast, subject, record, seen):
    change(record, cast.investigator_a, sex="male")
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}, seen=seen))
    assert page.status_code == 422
    assert {name: (d.chosen, d.before) for name, d in differences(page).items()} == {
        "sex": ("", None), "height_cm": ("", None)
    }  # fmt: skip
    assert client.post(url(subject), choosing(page, sex="stored", height_cm="mine")).status_code == 302
    now = Demographics.objects.get()
    assert (now.sex, now.height_cm) == ("male", 172)


def test_an_answer_that_is_no_possible_value_is_shown_as_typed_and_refused_after_the_choice(
    client, cast, subject, record
):
    change(record, cast.investigator_a, height_cm=161)
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": "<b>tall</b>"}))
    assert differences(page)["height_cm"].mine == "<b>tall</b>"
    assert "&lt;b&gt;tall" in page.content.decode()
    refused = client.post(url(subject), choosing(page, height_cm="mine"))
    assert refused.status_code == 422
    assert "height_cm" in refused.context["form"].errors
    assert refused.context["form"]["seen_version"].value() == "2"
    assert Demographics.objects.get().height_cm == 161


def test_a_reason_why_there_is_no_answer_is_chosen_like_an_answer(client, cast, subject, record):
    """They said the height was not done; I measured it. And the other way round."""
    stored = {"birth_date": ANSWERS["birth_date"], "sex": "female"}
    enter(DEMOGRAPHICS, subject, cast.investigator_a, {**stored, "height_cm__missing": "ND"},
          record=Demographics.objects.get(), reason="theirs")  # fmt: skip
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}))
    (each,) = page.context["differences"]
    assert (each.mine, each.stored, each.before) == ("172 cm", "Not done", "160 cm")
    assert each.who == cast.investigator_a.audit_name
    assert client.post(url(subject), choosing(page, height_cm="mine")).status_code == 302
    now = Demographics.objects.get()
    assert (now.height_cm, now.missing) == (172, {})

    page = client.post(url(subject), posting(DEMOGRAPHICS, {**stored, "height_cm__missing": "REF"}, seen=2))
    (each,) = page.context["differences"]
    assert (each.mine, each.stored, each.before) == ("Refused", "172 cm", "Not done")
    assert client.post(url(subject), choosing(page, height_cm="mine")).status_code == 302
    now = Demographics.objects.get()
    assert (now.height_cm, now.missing) == (None, {"height_cm": "REF"})


def test_an_explanation_typed_into_an_older_version_is_not_lost(client, cast, subject):
    values = {**VALUES["P.STATUS"], "assessed_on": date(2025, 8, 20), "pulse": 170}
    data = posting(STATUS, values, seen=0, reason="", **{"explain-pulse_unlikely": "fibrillation"})
    client.force_login(cast.coordinator_a)
    assert client.post(url(subject, STATUS), data).status_code == 302
    assert client.post(url(subject, STATUS), data).status_code == 302, "a double click"
    again = {**data, "explain-pulse_unlikely": "flutter", "form_reason": "seen again"}
    assert client.post(url(subject, STATUS), again).status_code == 302
    assert Explanation.objects.filter(ended_at=None).get().text == "flutter"


# --- rows ---


def sites_form(subject, rows, **more):
    return posting(SITES, SITES_ANSWERS, {"sites": rows}, **more)


def levels():
    return list(DiseaseSite.objects.order_by("position").values_list("level", "lesion"))


@pytest.fixture
def sites(cast, subject):
    """Two vertebrae are entered; (first, second) as they are stored."""
    enter(SITES, subject, cast.coordinator_a, SITES_ANSWERS, {"sites": [SITE_ROW, {**SITE_ROW, "level": "T9"}]})
    return list(DiseaseSite.objects.order_by("position"))


def theirs(cast, subject, rows, reason="theirs"):
    return enter(SITES, subject, cast.investigator_a, SITES_ANSWERS, {"sites": rows},
                 record=SitesOfDisease.objects.get(), reason=reason)  # fmt: skip


def test_rows_are_chosen_one_by_one(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [{**one, "lesion": "mixed"}, two, {**SITE_ROW, "level": "L1"}])
    client.force_login(cast.coordinator_a)
    mine = [one, {**two, "lesion": "blastic"}, {**SITE_ROW, "level": "L2"}]
    page = client.post(url(subject, SITES), sites_form(subject, mine))
    third = DiseaseSite.objects.get(level="L1")
    found = differences(page)
    assert {name: each.chosen for name, each in found.items()} == {
        f"sites-{first.pk}": "stored",
        f"sites-{second.pk}": "mine",
        "sites-new2": "mine",
        f"sites-{third.pk}": "stored",
    }
    assert found[f"sites-{third.pk}"].who == cast.investigator_a.audit_name
    assert client.post(url(subject, SITES), choosing(page)).status_code == 302
    assert levels() == [("T8", "mixed"), ("T9", "blastic"), ("L2", "lytic"), ("L1", "lytic")]
    assert set(DiseaseSite.objects.values_list("pk", flat=True)) >= {first.pk, second.pk, third.pk}


def test_my_version_of_the_rows_leaves_out_what_they_added(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [one, two, {**SITE_ROW, "level": "L1"}])
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject, SITES), sites_form(subject, [one, {**two, "lesion": "blastic"}]))
    third = DiseaseSite.objects.get(level="L1")
    assert client.post(url(subject, SITES), choosing(page, **{f"sites-{third.pk}": "mine"})).status_code == 302
    assert levels() == [("T8", "lytic"), ("T9", "blastic")]


def test_a_row_they_removed_and_i_changed(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [one, {**two, "DELETE": "on"}], reason="no metastasis")
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject, SITES), sites_form(subject, [one, {**two, "lesion": "blastic"}]))
    (gone,) = page.context["differences"]
    assert (gone.chosen, gone.stored, gone.who) == ("", "no such row", cast.investigator_a.audit_name)
    assert "Blastic" in gone.mine.title()
    assert client.post(url(subject, SITES), choosing(page, **{gone.name: "mine"})).status_code == 302
    assert levels() == [("T8", "lytic"), ("T9", "blastic")]


def test_a_row_they_removed_and_i_left_alone_stays_removed(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [one, {**two, "DELETE": "on"}])
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject, SITES), sites_form(subject, [{**one, "lesion": "mixed"}, two]))
    assert {each.chosen for each in page.context["differences"]} == {"mine", "stored"}
    assert client.post(url(subject, SITES), choosing(page)).status_code == 302
    assert levels() == [("T8", "mixed")]


def test_a_row_i_removed_and_they_changed(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [one, {**two, "lesion": "blastic"}])
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject, SITES), sites_form(subject, [one, {**two, "DELETE": "on"}]))
    (each,) = page.context["differences"]
    assert (each.chosen, each.mine) == ("", "no such row")
    assert client.post(url(subject, SITES), choosing(page, **{each.name: "mine"})).status_code == 302
    assert levels() == [("T8", "lytic")]


def test_the_same_row_added_by_both_is_one_row(client, cast, subject, sites):
    first, second = sites
    one, two = {**SITE_ROW, "id": first.pk}, {**SITE_ROW, "level": "T9", "id": second.pk}
    theirs(cast, subject, [one, two, {**SITE_ROW, "level": "L1"}])
    client.force_login(cast.coordinator_a)
    mine = [{**one, "lesion": "mixed"}, two, {**SITE_ROW, "level": "L1"}]
    page = client.post(url(subject, SITES), sites_form(subject, mine))
    assert set(differences(page)) == {f"sites-{first.pk}"}
    assert client.post(url(subject, SITES), choosing(page)).status_code == 302
    assert levels() == [("T8", "mixed"), ("T9", "lytic"), ("L1", "lytic")]


# --- drafts and races ---


def test_a_draft_of_an_older_version_leads_to_the_choice(client, cast, subject, record):
    client.force_login(cast.coordinator_a)
    data = posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172})
    kept = client.post(
        reverse("draft", args=[subject.code, "P.DM", "form"]), data, headers={"x-requested-with": "XMLHttpRequest"}
    )
    assert kept.status_code == 200
    change(record, cast.investigator_a, height_cm=161)
    opened = client.get(url(subject))
    assert "when you save, you choose answer by answer" in opened.content.decode()
    form = opened.context["form"]
    assert (form["height_cm"].value(), form["seen_version"].value()) == ("172", "1")
    page = client.post(url(subject), data)
    assert set(differences(page)) == {"height_cm"}
    assert Draft.objects.count() == 1, "the draft stays until the choice is saved"
    assert client.post(url(subject), choosing(page, height_cm="mine")).status_code == 302
    assert Draft.objects.count() == 0


def test_who_may_not_enter_gets_no_choice(client, cast, subject, record):
    for person, status in ((cast.monitor_a, 403), (cast.coordinator_b, 404), (cast.statistician, 403)):
        client.force_login(person)
        answer = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}, seen=0))
        assert answer.status_code == status


def test_a_save_that_comes_between_look_and_lock_gives_the_choice(client, cast, subject, record, monkeypatch):
    """The other save happens after the page compared the versions and before the row is locked."""
    real = save.save_record

    def late(form, actor, reason="", **more):
        if actor == cast.coordinator_a:
            monkeypatch.setattr(save, "save_record", real)
            change(record, cast.investigator_a, height_cm=161)
        return real(form, actor, reason, **more)

    monkeypatch.setattr(save, "save_record", late)
    client.force_login(cast.coordinator_a)
    page = client.post(url(subject), posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 172}))
    assert page.status_code == 422
    assert differences(page)["height_cm"].stored == "161 cm"
    assert Demographics.objects.get().height_cm == 161


def test_of_many_who_save_at_once_one_wins_and_the_others_choose(committed_db):
    cast = make_cast()
    subject = registered(cast.coordinator_a, cast.site_a)
    enter(DEMOGRAPHICS, subject, cast.coordinator_a, ANSWERS)
    start, answers, people = threading.Barrier(6), [], [cast.coordinator_a, cast.investigator_a] * 3

    def one(number, person):
        try:
            client = Client()
            client.force_login(person)
            start.wait()
            with at(NOW):
                data = posting(DEMOGRAPHICS, {**ANSWERS, "height_cm": 170 + number})
                answers.append((client.post(url(subject), data).status_code, 170 + number))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=each) for each in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _height in answers) == [302, 422, 422, 422, 422, 422]
    record = Demographics.objects.get()
    assert record.row_version == 2
    assert record.height_cm == next(height for status, height in answers if status == 302)
