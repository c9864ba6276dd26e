"""The e-mail with the link: only to those who agreed, once and once more, discreet, never where it is out of place."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.test import Client

from followup import questionnaire, questionnaire_messages, reminders
from followup.models import PatientReport
from patients.models import Consent, Contact
from spinetrial.access.models import StudySite
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due
from spinetrial.protocol import CURRENT
from tests.cast import SETUP
from tests.followup.helpers import baseline, milestones, treated, visit

DUE = date(2025, 12, 19)  # month 3
KINDS = ("questionnaire", "questionnaire_again")


@pytest.fixture(autouse=True)
def address_of_the_system(settings):
    settings.SITE_URL = "https://trial.example.org"


def local(day, hour=10):
    """That hour in China."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - timedelta(hours=8)


@pytest.fixture
def subject(cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    with acting(SETUP, "test"):
        Contact.objects.filter(subject=subject).delete()
        Contact(subject=subject, name="Zhang Secret", email="zhang.secret@example.org").save()
    agree(subject)
    return subject


def agree(subject, yes=True, language="zh-hans", signed=date(2025, 8, 20)):
    with acting(SETUP, "test"):
        Consent(
            subject=subject,
            version="1.0",
            signed_at=local(signed),
            signer="patient",
            obtained_by="Dr A",
            willing_follow_up=True,
            messages_by_email=yes,
            message_language=language if yes else "",
        ).save()


def run(day, hour=10):
    """The hourly job and the sender at that hour; answers the e-mails to the participant."""
    mail.outbox = []
    with at(local(day, hour)):
        reminders.do_plan()
        do_send_due()
    return [each for each in mail.outbox if each.to == ["zhang.secret@example.org"]]


def rows():
    return Message.objects.filter(kind__in=KINDS).order_by("pk")


def test_the_link_goes_out_on_the_due_day_at_nine_and_once_more_three_days_later(subject):
    assert run(DUE - timedelta(days=1)) == []
    assert run(DUE, 8) == []
    (first,) = run(DUE, 9)
    assert run(DUE, 11) == []
    assert run(DUE + timedelta(days=2)) == []
    (again,) = run(DUE + timedelta(days=3))
    assert run(DUE + timedelta(days=9)) == []
    link = next(line for line in first.body.splitlines() if line.startswith("https://"))
    assert link in again.body
    with at(local(DUE)):
        assert Client().get(link.removeprefix("https://trial.example.org")).status_code == 200
    assert [(row.kind, row.state, row.recipient) for row in rows()] == [(kind, "sent", None) for kind in KINDS]


def test_the_mail_tells_neither_name_nor_illness_nor_arm_and_the_row_no_address(subject):
    (message,) = run(DUE)
    text = f"{message.subject}\n{message.body}"
    for word in ("Zhang", subject.code, subject.site.name, "SpineTrial", "pain", "cancer", "痛", "癌"):
        assert word not in text
    assert not any(word in text for arm in CURRENT.arms for word in (arm.code, arm.name))
    assert "zhang.secret" not in str(list(rows().values()))
    read = AuditEntry.objects.get(act="contact read")
    assert (read.actor, read.reason) == ("system: questionnaires", "questionnaire by e-mail")


def test_nobody_is_written_to_in_the_evening(subject):
    assert run(DUE, 20) == []
    assert run(DUE, 23) == []
    assert len(run(DUE + timedelta(days=1), 9)) == 1


def died(subject, cast):
    milestones(subject, death_date=DUE - timedelta(days=2))


def ended(subject, cast):
    milestones(subject, followup_ended_on=DUE - timedelta(days=2))


def entered(subject, cast):
    visit(subject, cast.coordinator_a, visit_date=DUE - timedelta(days=1), on=DUE - timedelta(days=1))


def missed(subject, cast):
    visit(subject, cast.coordinator_a, status="missed", on=DUE - timedelta(days=1))


def disagreed(subject, cast):
    agree(subject, yes=False, signed=date(2025, 9, 1))


def answered(subject, cast):
    from tests.followup.test_questionnaire import answer_all, link_of

    answer_all(link_of(cast, subject), analgesics="none")


def unreachable(subject, cast):
    with acting(SETUP, "test"):
        Contact.objects.filter(subject=subject).update(email="")


OUT_OF_PLACE = [died, ended, entered, missed, disagreed, unreachable]


@pytest.mark.parametrize("happens", OUT_OF_PLACE)
def test_who_should_not_be_written_to_is_not(subject, cast, happens):
    happens(subject, cast)
    assert run(DUE) == []
    assert not rows().filter(state="sent").exists()


@pytest.mark.parametrize("happens", [*OUT_OF_PLACE, answered])
def test_what_happens_after_planning_stops_the_message_with_its_reason(subject, cast, happens):
    with at(local(DUE, 8)):
        reminders.do_plan()
    happens(subject, cast)
    mail.outbox = []
    with at(local(date(2025, 12, 20), 10)):
        do_send_due()
    assert mail.outbox == [] or all("zhang" not in each.to[0] for each in mail.outbox)
    row = rows().get()
    assert row.state == "stopped"
    assert row.why


def test_whoever_answered_is_not_asked_again(subject):
    (first,) = run(DUE)
    link = next(line for line in first.body.splitlines() if line.startswith("https://"))
    token = link.rstrip("/").rpartition("/")[2]
    with at(local(DUE, 12)):
        link = questionnaire.read_token(token)
        questionnaire.do_answer(link, language="zh-hans", nrs=3, analgesics="none")
        questionnaire.do_submit(link)
    assert run(DUE + timedelta(days=4)) == []
    assert PatientReport.objects.get().channel == "email"


def test_planning_asks_no_more_for_more_participants(cast, subject, django_assert_num_queries):
    def plan():
        with at(local(DUE)):
            return list(questionnaire_messages.planned_messages(list(StudySite.objects.all())))

    with django_assert_num_queries(7):
        assert len(plan()) == 1
    other = treated(cast.coordinator_a, cast.site_a)
    agree(other)
    with django_assert_num_queries(7):
        assert len(plan()) == 2
