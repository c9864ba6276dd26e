"""The participant's questionnaire from the link to the stored report, without script, cookie or account."""

import re
from contextlib import contextmanager
from datetime import date

import pytest
from django.core import signing
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from followup import questionnaire, tasks
from followup.crfs import REPORT, VISIT
from followup.models import Channel, Invitation, PatientAnalgesic, PatientReport, PendingAnswers, Visit
from followup.questionnaire import PARTICIPANT, REASON, NotOpen, Standing
from followup.responses import pain_of
from patients.models import SitesOfDisease, Subject
from spinetrial.access.gate import SYSTEM
from spinetrial.access.models import Tally
from spinetrial.analysis import sets
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import Counts
from spinetrial.review import trial
from spinetrial.review.freezes import do_freeze_part
from spinetrial.review.models import Explanation, Query
from tests.cast import SETUP
from tests.followup.helpers import DONE, MORPHINE, baseline, milestones, noon, treated, visit

DAY = date(2025, 12, 20)  # inside the window of M3, 5 December to 2 January


@pytest.fixture(autouse=True)
def address_of_the_system(settings):
    settings.SITE_URL = "https://trial.example.org"


@pytest.fixture
def subject(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    with acting(SETUP, "test"):
        SitesOfDisease(
            subject=subject, imaging_modality="mri", imaging_date=date(2025, 8, 25), index_level="L2", escc="0"
        ).save()
    return subject


def link_of(cast, subject, channel=Channel.PAPER, day=DAY, event="M3"):
    with at(noon(day)):
        invitation = questionnaire.do_invite(cast.coordinator_a, subject, event, channel)
    return reverse("questionnaire", args=[questionnaire.token_of(invitation, channel)])


@contextmanager
def today(day=DAY):
    with at(noon(day)):
        yield


def answer_all(link, client=None, **changes):
    """Every page posted as a browser without scripts would; answers the last response."""
    client = client or Client()
    answers = {"language": "en", "nrs": "4", "analgesics": "some", "number-0": "3", **changes}
    with today():
        assert client.post(link, {"language": answers["language"]}).headers["Location"] == f"{link}pain/"
        client.post(f"{link}pain/", {"nrs": answers["nrs"]})
        client.post(f"{link}medicines/", {"analgesics": answers["analgesics"]})
        if answers["analgesics"] == "some":
            client.post(f"{link}which/", {name: value for name, value in answers.items() if "-" in name})
        return client.post(f"{link}check/", {"confirm": "1"}, follow=True)


def test_the_answers_of_a_participant_become_the_report_of_the_visit(cast, subject):
    link, client = link_of(cast, subject), Client()
    with today():
        pages = [client.get(link)]
        client.post(link, {"language": "en"})
        for step, posted in (
            ("pain", {"nrs": "4"}),
            ("medicines", {"analgesics": "some"}),
            ("which", {"number-0": "3", "other-0": "Tylenol 500", "other-number-0": "0,5"}),
            ("check", {"confirm": "1"}),
        ):
            pages.append(client.get(f"{link}{step}/"))
            response = client.post(f"{link}{step}/", posted)
            assert response.status_code == 302
        pages.append(client.get(link))
    texts = [page.content.decode() for page in pages]
    assert all(page.status_code == 200 and len(page.content) < 30_000 for page in pages)
    assert "the lower back" in texts[1]
    assert "L2" in texts[1]
    assert "Morphine, oral" in texts[3]
    assert "Tylenol 500: <strong>0.5</strong>" in texts[4]
    assert "Thank you" in texts[5]
    report = PatientReport.objects.get()
    assert (report.event, report.nrs_worst, report.analgesics, report.answered_on) == ("M3", 4, "some", DAY)
    rows = [(row.drug, row.other_name, row.times) for row in PatientAnalgesic.objects.all()]
    assert rows == [("MORPHINE_PO", "", 3), ("OTHER_OPIOID", "Tylenol 500", 0.5)]
    assert not PendingAnswers.objects.exists()
    entry = AuditEntry.objects.filter(table_name="followup_patientreport").get()
    assert (entry.actor, entry.reason) == ("system: participant", REASON)


def test_no_page_names_the_participant_the_code_or_an_arm(cast, subject):
    link, client = link_of(cast, subject), Client()
    with today():
        client.post(link, {"language": "en"})
        client.post(f"{link}pain/", {"nrs": "4"})
        client.post(f"{link}medicines/", {"analgesics": "some"})
        client.post(f"{link}which/", {"number-0": "3"})
        addresses = [link, *(f"{link}{step}/" for step in questionnaire.STEPS), f"{link}body.svg"]
        pages = [client.get(address) for address in addresses]
        client.post(f"{link}check/", {"confirm": "1"})
        pages.append(client.get(link))
    for page in pages:
        text = f"{page.content.decode()} {page.headers}"
        assert page.status_code == 200
        assert subject.code not in text
        assert "Secret" not in text
        assert cast.site_a.name not in text
        assert not any(
            re.search(rf"\b{re.escape(word)}\b", text) for arm in CURRENT.arms for word in (arm.code, arm.name)
        )
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in page.headers["Cache-Control"]
        assert "noindex" in page.headers["X-Robots-Tag"]
        assert not page.cookies


def test_an_unfinished_questionnaire_goes_on_where_it_stopped_on_another_device(cast, subject):
    link = link_of(cast, subject)
    with today():
        Client().post(link, {"language": "zh-hans"})
        Client().post(f"{link}pain/", {"nrs": "7"})
        other = Client()
        assert other.get(f"{link}check/").headers["Location"] == f"{link}medicines/"  # nothing can be left out
        assert other.post(link, {"language": "en"}).headers["Location"] == f"{link}medicines/"
        assert re.search(r'<input[^>]*value="7"[^>]*checked', other.get(f"{link}pain/").content.decode())
    assert not PatientReport.objects.exists()


def test_answers_never_sent_are_forgotten_a_month_after_the_last_day_of_the_link(cast, subject):
    link = link_of(cast, subject)  # until 2 January
    with today():
        Client().post(link, {"language": "en"})
    for day, left in ((date(2026, 2, 1), 1), (date(2026, 2, 2), 0)):
        with today(day):
            tasks.forget_unsent_answers.delay()
        assert PendingAnswers.objects.count() == left


def test_two_devices_and_a_double_click_make_one_report(cast, subject):
    link, one, other = link_of(cast, subject), Client(), Client()
    answer_all(link, one)
    with today():
        for response in (
            other.post(f"{link}check/", {"confirm": "1"}),
            other.post(f"{link}pain/", {"nrs": "9"}),
            other.get(link),
        ):
            assert response.status_code == 200
            assert "Thank you" in response.content.decode()
    assert PatientReport.objects.get().nrs_worst == 4


def test_a_changed_mind_before_sending_is_what_is_sent(cast, subject):
    link, client = link_of(cast, subject), Client()
    with today():
        client.post(link, {"language": "en"})
        client.post(f"{link}pain/", {"nrs": "4"})
        client.post(f"{link}medicines/", {"analgesics": "some"})
        client.post(f"{link}which/", {"number-0": "3"})
        assert client.post(f"{link}pain/", {"nrs": "5", "back": "1"}).headers["Location"] == f"{link}check/"
        client.post(f"{link}medicines/", {"analgesics": "none", "back": "1"})
        client.post(f"{link}check/", {"confirm": "1"})
    report = PatientReport.objects.get()
    assert (report.nrs_worst, report.analgesics, PatientAnalgesic.objects.count()) == (5, "none", 0)


# --- links that cannot be used ---


def forged(link):
    return link[:-2] + ("A" if link[-2] != "A" else "B") + "/"


def revoked(cast, subject):
    link = link_of(cast, subject)
    with today():
        questionnaire.do_revoke(cast.coordinator_a, subject, "M3", "slip lost")
    return link


@pytest.mark.parametrize(
    ("prepare", "day", "status", "words"),
    [
        (lambda c, s: forged(link_of(c, s)), DAY, 404, "This link does not work"),
        (lambda c, s: "/q/nonsense/", DAY, 404, "This link does not work"),
        (lambda c, s: link_of(c, s), date(2025, 12, 4), 200, "opens on 2025-12-05"),
        (lambda c, s: link_of(c, s), date(2026, 1, 3), 410, "time for this questionnaire is over"),
        (lambda c, s: revoked(c, s), DAY, 410, "This questionnaire is closed"),
    ],
    ids=["forged", "nonsense", "future", "expired", "revoked"],
)
def test_a_link_that_cannot_be_used_says_calmly_what_to_do(cast, subject, prepare, day, status, words):
    link = prepare(cast, subject)
    with today(day):
        for response in (Client().get(link), Client().post(link, {"language": "en"}), Client().get(f"{link}pain/")):
            assert response.status_code == status
            assert words in response.content.decode()
            assert "study team" in response.content.decode()
        assert Client().get(f"{link}body.svg").status_code == 404
    assert not PendingAnswers.objects.exists()


def test_a_link_works_on_the_first_and_on_the_last_day_of_its_window(cast, subject):
    link = link_of(cast, subject)
    for day in (date(2025, 12, 5), date(2026, 1, 2)):
        with today(day):
            assert "Please choose a language" in Client().get(link).content.decode()


@pytest.mark.parametrize(
    "leave",
    [
        lambda cast, subject: milestones(subject, death_date=date(2025, 12, 10)),
        lambda cast, subject: milestones(subject, followup_ended_on=date(2025, 12, 10)),
    ],
    ids=["dead", "follow-up ended"],
)
def test_whoever_died_or_left_is_asked_nothing_more(cast, subject, leave):
    link = link_of(cast, subject)
    leave(cast, subject)
    with today():
        response = Client().post(link, {"language": "en"})
    assert response.status_code == 410
    assert "This questionnaire is closed" in response.content.decode()
    with today(), pytest.raises(NotOpen):
        questionnaire.do_invite(cast.coordinator_a, subject, "M3", Channel.PAPER)


def test_a_signed_number_of_nobody_is_told_apart_from_a_forged_link_by_nothing(cast, subject):
    nobody, other = (
        signing.Signer(salt=salt).sign(text)
        for salt, text in (("followup.questionnaire", "987654p"), ("another purpose", "1p"))
    )
    with today():
        first, second = (Client().get(f"/q/{token}/") for token in (nobody, other))
    assert (first.status_code, second.status_code) == (404, 404)
    assert first.content == second.content


def test_a_frozen_visit_and_a_frozen_trial_take_no_answer(cast, subject):
    link, client = link_of(cast, subject), Client()
    with today():
        client.post(link, {"language": "en"})
        client.post(f"{link}pain/", {"nrs": "4"})
        client.post(f"{link}medicines/", {"analgesics": "none"})
        freeze = do_freeze_part(cast.data_manager, subject, "clean", event="M3")
        assert client.post(f"{link}check/", {"confirm": "1"}).status_code == 410
        with acting(SETUP, "lifted"):
            type(freeze).objects.filter(pk=freeze.pk).update(lifted_at=noon(DAY))
        trial.do_freeze(cast.data_manager, "clean")
        response = client.post(f"{link}check/", {"confirm": "1"})
    assert response.status_code == 410
    assert "No answers can be taken" in response.content.decode()
    assert not PatientReport.objects.exists()


def test_guessing_links_is_slowed_for_the_address_that_guesses(cast, subject, settings):
    settings.RATE_LIMITS = True
    link = link_of(cast, subject)
    with today():
        for _n in range(30):
            assert Client().get("/q/guess/").status_code == 404
        assert Client().get("/q/guess/").status_code == 429
        assert Client().get(link, REMOTE_ADDR="10.9.8.7").status_code == 200
    assert Tally.objects.filter(key__startswith="forged link").get().count == 30


GARBAGE = [
    "",
    "x" * 10_000,
    "🦴",
    "a\x00b",
    "-1",
    "11",
    "4",
    "4.5",
    "NaN",
    "1e400",
    "٣",
    "<script>",
    "some",
    "none",
    "en",
    "99",
]


def test_whatever_is_posted_is_answered_in_words(cast, subject):
    link, client = link_of(cast, subject), Client()
    client.raise_request_exception = True
    names = ("language", "nrs", "analgesics", "number-0", "other-0", "other-number-0", "confirmation", "back")
    with today():
        client.post(link, {"language": "en"})
        for step in ("", *(f"{each}/" for each in questionnaire.STEPS), "other/"):
            for value in GARBAGE:
                response = client.post(f"{link}{step}", dict.fromkeys(names, value))
                assert response.status_code in ((404,) if step == "other/" else (200, 302, 422)), (step, value)
            assert client.post(f"{link}{step}", b"\xff\xfe", content_type="application/json").status_code in (
                302,
                404,
                422,
            )
            assert client.put(f"{link}{step}").status_code == 405
    assert not PatientReport.objects.exists()
    answers = questionnaire.answers_of(Invitation.objects.get())
    assert answers["language"] == "en"
    assert answers["analgesics"] in ("some", "none")


@pytest.mark.parametrize("number", ["51", "-1", "x", "NaN", "0.001"])
def test_a_number_nobody_can_take_is_refused_and_given_back(cast, subject, number):
    link, client = link_of(cast, subject), Client()
    with today():
        client.post(link, {"language": "en"})
        client.post(f"{link}pain/", {"nrs": "4"})
        client.post(f"{link}medicines/", {"analgesics": "some"})
        response = client.post(f"{link}which/", {"number-0": number, "other-0": "Tylenol"})
    assert response.status_code == 422
    assert f'value="{number}"' in response.content.decode()
    assert 'value="Tylenol"' in response.content.decode()


# --- what is stored stays ---


def refused(what):
    words = r"answered by the participant|only the participant|no answered invitation"
    with pytest.raises(DatabaseError, match=words), transaction.atomic():
        what()


def test_nobody_changes_or_adds_to_a_report_whatever_road_is_taken(cast, subject, client):
    answer_all(link_of(cast, subject))
    report, row = PatientReport.objects.get(), PatientAnalgesic.objects.get()
    client.force_login(cast.investigator_a)
    with today():
        address = reverse("crf_edit", args=[subject.code, "F.EPRO", "M3"])
        assert client.get(address).status_code == 403
        assert client.post(address, {"nrs_worst": "1", "form_reason": "no"}).status_code == 403
    for actor in (cast.investigator_a, SYSTEM, PARTICIPANT):
        with acting(actor, "change"):
            refused(lambda: PatientReport.objects.filter(pk=report.pk).update(nrs_worst=1))
            refused(lambda: PatientAnalgesic.objects.filter(pk=row.pk).update(times=1))
            refused(lambda: row.delete())
            refused(lambda: PatientReport.objects.filter(pk=report.pk)._raw_delete("default"))
            refused(
                lambda: PatientAnalgesic(
                    subject=subject, parent=report, position=1, drug="MORPHINE_PO", dose=5, times=1
                ).save()
            )
    assert PatientReport.objects.get().nrs_worst == 4


def test_only_the_participant_writes_a_report_and_only_by_an_answered_invitation(cast, subject):
    link_of(cast, subject)
    values = {"answered_on": DAY, "nrs_worst": 1, "analgesics": "none", "channel": "paper", "language": "en"}
    with today():
        for actor in (SYSTEM, PARTICIPANT):
            refused(lambda actor=actor: enter(REPORT, subject, actor, values, event="M3"))


# --- which value counts ---


def response_parts(subject):
    with today(date(2026, 2, 1)):
        found = pain_of([subject])[subject.pk]["M3"]
        (row,) = sets.build(take_snapshot().without_arm(), CURRENT).rows
        stored = row.response("M3")
    assert (stored.nrs, stored.omed) == (found.pain, found.omed.total)
    assert stored.category(sets.Reading.LITERAL) is found.response().category
    return found


def test_a_report_alone_gives_the_response_of_the_visit(cast, subject):
    answer_all(link_of(cast, subject), **{"nrs": "4", "number-0": "2"})
    found = response_parts(subject)
    assert (found.pain, found.omed.total, found.score.source) == (4, 60, Counts.PARTICIPANT)
    assert found.response().category == "PR"
    assert found.assessed == DAY


def test_the_participants_score_counts_and_both_are_kept_and_exported(cast, subject):
    answer_all(link_of(cast, subject), **{"nrs": "6", "analgesics": "none"})
    with pytest.raises(EntryRefused, match="another worst pain"):
        visit(subject, cast.coordinator_a, nrs_worst=3, visit_date=DAY)
    with today():
        values = {**DONE, "nrs_worst": 3, "visit_date": DAY, "analgesics": "some"}
        enter(
            VISIT, subject, cast.coordinator_a, values, {"analgesics_taken": [MORPHINE]}, event="M3",
            explanations={"score_differs_from_report": "asked on another day"},
        )  # fmt: skip
    assert Explanation.objects.get().check_code == "score_differs_from_report"
    assert not Query.objects.filter(check_code="report_came_later").exists()
    found = response_parts(subject)
    assert (found.pain, found.score.clinic, found.score.reported) == (6, 3, 6)
    assert found.omed.total == 60  # the checked list of the visit form
    assert "Participant 6, clinic 3: both are kept." in [line.render() for line in found.score.working]
    snapshot = take_snapshot()
    assert [row["nrs_worst"] for row in snapshot.records("F.EPRO")] == [6]
    assert [row["nrs_worst"] for row in snapshot.records("F.VISIT")] == [3]


def test_a_visit_form_may_leave_the_score_to_the_report_when_there_is_one(cast, subject):
    with pytest.raises(EntryRefused, match="has not answered the questionnaire"):
        visit(subject, cast.coordinator_a, visit_date=DAY, nrs_worst=None, nrs_missing="patient")
    answer_all(link_of(cast, subject), nrs="4")
    visit(subject, cast.coordinator_a, visit_date=DAY, nrs_worst=None, nrs_missing="patient", analgesics="none")
    found = response_parts(subject)
    assert (found.pain, found.missing, found.response().category) == (4, None, "PR")


def test_a_report_that_comes_after_the_visit_form_and_contradicts_it_asks(cast, subject):
    visit(subject, cast.coordinator_a, visit_date=DAY, nrs_worst=3)
    answer_all(link_of(cast, subject), nrs="6")
    query = Query.objects.get(check_code="report_came_later")
    assert (query.spec_code, query.event, query.state) == ("F.VISIT", "M3", "open")


# --- where staff meet it ---


def test_the_visit_form_shows_the_report_and_starts_from_it_on_request_only(cast, subject, client):
    answer_all(link_of(cast, subject))
    client.force_login(cast.coordinator_a)
    address = reverse("crf_edit", args=[subject.code, "F.VISIT", "M3"])
    with today():
        plain = client.get(address)
        started = client.get(f"{address}?start=1")
        record = client.get(reverse("crf", args=[subject.code, "F.EPRO", "M3"]))
        page = client.get(reverse("subject", args=[subject.code]))
    assert "own answer: 4 (2025-12-20)" in plain.content.decode()
    assert plain.context["form"].formsets["analgesics_taken"].total_form_count() == 1
    rows = started.context["form"].formsets["analgesics_taken"]
    assert [row["drug"].value() for row in rows.forms] == ["MORPHINE_PO"]
    assert started.context["form"]["mode"].value() == "patient"
    assert record.status_code == 200
    assert "Morphine, oral" in record.content.decode()
    assert reverse("crf", args=[subject.code, "F.EPRO", "M3"]) in page.content.decode()
    assert not Visit.objects.exists()


def test_the_questionnaire_is_never_among_the_expected_forms(cast, subject):
    from spinetrial.analysis.overview import overviews

    def cell():
        (row,) = overviews(SYSTEM, list(Subject.objects.filter(pk=subject.pk).select_related("site")))
        return row.cells["M3"]

    with today():
        before = cell()
    answer_all(link_of(cast, subject))
    with today():
        after = cell()
    assert (before.done, before.expected) == (after.done, after.expected) == (0, 2)


def test_staff_make_print_and_revoke_the_link(cast, subject, client):
    client.force_login(cast.coordinator_a)
    address = reverse("questionnaire_link", args=[subject.code, "M3"])
    with today():
        client.post(address, {"verb": "make"})
        page, slip = client.get(address).content.decode(), client.get(f"{address}slip/").content.decode()
        token = questionnaire.token_of(Invitation.objects.get(), Channel.PAPER)
        assert f"https://trial.example.org/q/{token}/" in page
        paper = slip[slip.index("<article") : slip.index("</article")]
        assert f"/q/{token}/" in paper
        assert "data:image/svg+xml" in paper
        assert 'lang="zh-hans"' in paper
        assert 'lang="en"' in paper
        assert subject.code not in paper
        assert "Secret" not in slip
        assert client.post(address, {"verb": "revoke", "reason": ""}).status_code == 422
        client.post(address, {"verb": "revoke", "reason": "lost"})
        client.post(address, {"verb": "make"})
    assert [bool(each.revoked_at) for each in Invitation.objects.order_by("pk")] == [True, False]


def test_without_an_address_of_the_system_no_link_is_made_up(cast, subject, client, settings):
    settings.SITE_URL = ""
    client.force_login(cast.coordinator_a)
    with today():
        link_of(cast, subject)
        page = client.get(reverse("questionnaire_link", args=[subject.code, "M3"])).content.decode()
    assert "SITE_URL" in page
    assert "/q/" not in page


def test_handing_over_the_tablet_ends_the_session_before_the_questionnaire_opens(cast, subject, client):
    client.force_login(cast.coordinator_a)
    address = reverse("questionnaire_link", args=[subject.code, "M3"])
    with today():
        link = client.post(address, {"verb": "tablet"}).headers["Location"]
        assert client.get(address).headers["Location"].startswith("/login/")
        assert AuditEntry.objects.filter(act="logged off: tablet handed to the participant").exists()
        thanks = answer_all(link, client).content.decode()
        assert "give the tablet back" in thanks
    assert PatientReport.objects.get().channel == "tablet"
    assert Standing.ANSWERED is questionnaire.standing_of(Invitation.objects.get())
