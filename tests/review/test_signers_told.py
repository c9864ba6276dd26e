"""Signers are told of void signatures and of an unlock: once, in their language, without a name or a value."""

import threading
from datetime import date
from smtplib import SMTPServerDisconnected

from django.core import mail
from django.db import connections

from followup.crfs import VISIT
from followup.models import Visit
from spinetrial.access.gate import SYSTEM
from spinetrial.audit.acting import acting
from spinetrial.crf import signers
from spinetrial.crf.content import stored
from spinetrial.crf.reviewing import sign
from spinetrial.crf.tasks import tell_signers
from spinetrial.review import trial
from spinetrial.review.models import SignedRecord
from tests.cast import make_cast
from tests.followup.helpers import change, treated, visit

DAY = date(2026, 1, 20)


def signed(cast, event="M3", signer=None):
    person = signer or cast.investigator_a
    record = visit(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, event)
    sign_again(person, record)
    return record


def sign_again(person, record):
    record = Visit.objects.get(pk=record.pk)
    (found,) = stored([record.subject_id], [VISIT], only=[("F.VISIT", record.pk)])
    sign(person, record.subject, {found.key: found.sha256}, meaning="reviewed", scope="form", certify=True)


def test_a_change_tells_the_signer_code_and_form_and_nothing_else(cast):
    record = signed(cast)
    assert signers.tell_signers() == 0
    change(record, cast.coordinator_a, DAY, nrs_worst=5, remarks="Marker Value")
    assert signers.tell_signers() == 1
    (message,) = mail.outbox
    assert message.to == [cast.investigator_a.email]
    assert message.subject == "A signature of yours is void"
    assert f"{record.subject.code}: Follow-up visit, Month 3" in message.body
    everything = message.subject + message.body
    for hidden in ("Marker Value", "Zhang", cast.coordinator_a.full_name, cast.investigator_a.full_name, "whole"):
        assert hidden not in everything
    assert SignedRecord.objects.get().told_at is not None


def test_the_signer_is_told_once_however_often_the_job_runs(cast):
    record = signed(cast)
    change(record, cast.coordinator_a, DAY, nrs_worst=5)
    for _run in range(3):
        tell_signers.delay()
    change(record, cast.coordinator_a, DAY, nrs_worst=6)
    tell_signers.delay()
    assert len(mail.outbox) == 1


def test_several_void_signatures_are_one_message(cast):
    records = [signed(cast), signed(cast)]
    for record in records:
        change(record, cast.coordinator_a, DAY, nrs_worst=5)
    assert signers.tell_signers() == 1
    assert all(record.subject.code in mail.outbox[0].body for record in records)


def test_the_message_is_in_the_signers_language(cast):
    with acting(SYSTEM, "test"):
        cast.investigator_a.language = "zh-hans"
        cast.investigator_a.save()
    change(signed(cast), cast.coordinator_a, DAY, nrs_worst=5)
    assert signers.tell_signers() == 1
    assert "随访" in mail.outbox[0].body


def test_a_mail_server_that_fails_is_tried_again(cast, monkeypatch, caplog):
    record = signed(cast)
    change(record, cast.coordinator_a, DAY, nrs_worst=5)

    def broken(self):
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", broken)
        assert signers.tell_signers() == 0
    assert SignedRecord.objects.get().told_at is None
    assert cast.investigator_a.email not in caplog.text
    assert signers.tell_signers() == 1


def test_who_signed_again_or_left_the_site_is_not_told(cast):
    again, gone = signed(cast), signed(cast)
    change(again, cast.coordinator_a, DAY, nrs_worst=5)
    sign_again(cast.investigator_a, again)
    assert signers.tell_signers() == 0
    change(gone, cast.coordinator_a, DAY, nrs_worst=5)
    with acting(SYSTEM, "left"):
        cast.investigator_a.is_active = False
        cast.investigator_a.save()
    assert signers.tell_signers() == 0
    assert mail.outbox == []


def test_a_teller_at_work_is_not_doubled_by_another(committed_db, monkeypatch):
    cast = make_cast()
    change(signed(cast), cast.coordinator_a, DAY, nrs_worst=5)
    sending, go_on, sent = threading.Event(), threading.Event(), []

    def slow(self):
        sent.append(self.to)
        sending.set()
        go_on.wait(10)

    monkeypatch.setattr("django.core.mail.EmailMessage.send", slow)

    def tell():
        signers.tell_signers()
        connections.close_all()

    first = threading.Thread(target=tell)
    first.start()
    assert sending.wait(10)
    assert signers.tell_signers() == 0
    go_on.set()
    first.join()
    assert len(sent) == 1


# --- unlock ---


def lock_and_unlock(cast):
    trial.do_freeze(cast.data_manager, "clean")
    trial.do_lock(cast.statistician, "done")
    trial.do_unlock(cast.data_manager, "a value is wrong")


def test_an_unlock_tells_every_signer_once(cast):
    signed(cast)
    other = visit(treated(cast.coordinator_b, cast.site_b), cast.coordinator_b, "M3")
    sign_again(cast.investigator_b, other)
    assert signers.tell_signers_of_unlock() == 0
    lock_and_unlock(cast)
    assert signers.tell_signers_of_unlock() == 2
    assert {tuple(message.to) for message in mail.outbox} == {
        (cast.investigator_a.email,),
        (cast.investigator_b.email,),
    }
    assert {message.subject for message in mail.outbox} == {"The lock of the trial was lifted"}
    tell_signers.delay()
    assert len(mail.outbox) == 2


def test_a_second_unlock_tells_again_and_a_failed_message_is_sent_later(cast, monkeypatch):
    signed(cast)
    lock_and_unlock(cast)
    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("gone")))
        assert signers.tell_signers_of_unlock() == 0
    assert signers.tell_signers_of_unlock() == 1
    trial.do_lock(cast.statistician, "again")
    trial.do_unlock(cast.data_manager, "again wrong")
    assert signers.tell_signers_of_unlock() == 1
