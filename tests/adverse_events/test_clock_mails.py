"""Messages of the reporting clocks: who is told at which mark, once each, also after an outage, and when they stop."""

from datetime import timedelta

import pytest
from django.core import mail

from adverse_events.mails import do_plan
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.outbox.models import Message
from spinetrial.outbox.send import do_send_due
from tests.adverse_events.helpers import AWARE, SERIOUS, event, sent
from tests.cast import SETUP
from tests.followup.helpers import colleague, treated

HOUR = timedelta(hours=1)


@pytest.fixture
def serious(cast):
    return event(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, **SERIOUS)


def run(moment) -> list[tuple[str, str]]:
    """Plan and send at `moment`; who got which subject line."""
    mail.outbox.clear()
    with at(moment):
        do_plan()
        do_plan()  # twice does no harm
        do_send_due()
        do_send_due()
    return sorted((message.to[0].partition("@")[0], message.subject) for message in mail.outbox)


def test_half_and_four_fifths_go_to_the_site_and_the_whole_to_the_data_manager_too(cast, serious):
    code = serious.subject.code
    assert run(AWARE + 12 * HOUR - timedelta(minutes=1)) == []
    half = [(name, f"{code}: report of a serious event, 12 h left") for name in ("coordinator_a", "investigator_a")]
    assert run(AWARE + 12 * HOUR) == half
    assert run(AWARE + 13 * HOUR) == []
    assert [who for who, _line in run(AWARE + 20 * HOUR)] == ["coordinator_a", "investigator_a"]
    whole = run(AWARE + 25 * HOUR)
    assert [who for who, _line in whole] == ["coordinator_a", "data_manager", "investigator_a"]
    assert whole[0][1] == f"{code}: report of a serious event, missed by 1 h"
    assert "Fatigue" not in str(mail.outbox[0].message())
    assert run(AWARE + 60 * HOUR) == []
    assert Message.objects.filter(kind="sae_clock", state="sent").count() == 7


def test_after_an_outage_only_the_latest_mark_is_sent_and_the_others_say_why_not(cast, serious):
    assert len(run(AWARE + 30 * HOUR)) == 3
    stopped = Message.objects.filter(state="stopped")
    assert stopped.count() == 4
    assert {message.why for message in stopped} == {"A later message about the same deadline replaces it."}


def test_once_the_report_is_sent_the_messages_stop_by_themselves(cast, serious):
    with at(AWARE + 12 * HOUR):
        do_plan()
    sent(serious, cast.investigator_a, AWARE + 12 * HOUR)
    assert run(AWARE + 12 * HOUR) == []
    assert set(Message.objects.values_list("state", "why")) == {("stopped", "The report was sent.")}
    assert run(AWARE + 30 * HOUR) == []


def test_there_are_no_quiet_hours_and_who_left_is_not_written_to(cast, serious):
    colleague("late-comer", "coordinator", cast.site_a, language="zh-hans")
    night = AWARE + 15 * HOUR  # half past midnight in China
    with at(night):
        do_plan()
    with acting(SETUP, "test"):
        cast.investigator_a.is_active = False
        cast.investigator_a.save()
    told = run(night)
    assert [who for who, _line in told] == ["coordinator_a", "late-comer"]
    assert Message.objects.get(recipient=cast.investigator_a).state == "stopped"


def test_the_list_of_the_day_names_the_running_clocks(cast, serious):
    from followup.reminders import sections_of

    with at(AWARE + 2 * HOUR):
        (section,) = [each for each in sections_of([cast.site_a])[cast.site_a.pk] if each.texts]
    assert section.texts == (f"{serious.subject.code}: Report to the sponsor, 22 h left",)
