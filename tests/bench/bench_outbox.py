"""100,000 due messages planned by one run of the planner, against a bare bulk insert of as many rows.

Bare is one INSERT ... SELECT into a table of the same columns without trigger, constraint or index. The issue asks for
60 seconds on two cores; the figure that counts between machines is the ratio.
"""

import time
from datetime import UTC, datetime

from django.contrib.auth.hashers import make_password

from followup import reminders
from spinetrial.access.models import User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.outbox.models import Message
from tests.cast import SETUP, join, make_cast
from tests.followup.helpers import RT_END, treated

PARTICIPANTS, PEOPLE, LIMIT_SECONDS = 1000, 100, 60
NOON = datetime(2025, 10, 24, 4, 0, tzinfo=UTC)  # two weeks after the window of week 2


def test_planning_a_hundred_thousand_messages(committed_db, owner_connection, capsys):
    cast = make_cast()
    with acting(SETUP, "bench"):
        for number in range(PEOPLE - 1):  # and the one of the cast
            person = User(username=f"doctor{number}", full_name=f"Doctor {number}", password=make_password(None))
            person.save()
            join(person, Role.INVESTIGATOR, cast.site_a)
    for _number in range(PARTICIPANTS):
        treated(cast.coordinator_a, cast.site_a, rt_end=RT_END)
    with at(NOON):
        started = time.perf_counter()
        made = reminders.do_plan()
        ours = time.perf_counter() - started
        started = time.perf_counter()
        again = reminders.do_plan()
        nothing_new = time.perf_counter() - started
    escalations = Message.objects.filter(kind=reminders.ESCALATION).count()
    assert (made - 1, again) == (PARTICIPANTS * PEOPLE, 0)
    assert escalations == PARTICIPANTS * PEOPLE
    with owner_connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_message AS SELECT * FROM outbox_message LIMIT 0")
        started = time.perf_counter()
        cursor.execute("INSERT INTO bare_message SELECT * FROM outbox_message")
        bare = time.perf_counter() - started
    with capsys.disabled():
        print(
            f"\n{made} messages planned in {ours:.1f} s (limit {LIMIT_SECONDS} s), {1000 * ours / made:.2f} ms each;"
            f" planned again, nothing new: {nothing_new:.1f} s; a bare insert of the rows {bare:.2f} s"
            f" ({ours / bare:.0f} times)"
        )
    assert ours <= LIMIT_SECONDS
