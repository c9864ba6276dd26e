"""100,000 due messages planned by one run of the planner, against a bare bulk insert of as many rows.

Bare is one INSERT ... SELECT into a table of the same columns without trigger, constraint or index. The limit holds for
the seconds in which the planner or its database session works. They take turns, so on a machine with nothing else to do
that is the time it takes; where it shares its cores the time on the clock says nothing.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.db import connection

from followup import reminders
from spinetrial.access.models import User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.outbox.models import Message
from tests.cast import SETUP, join, make_cast
from tests.followup.helpers import RT_END, treated

PARTICIPANTS, PEOPLE, LIMIT_SECONDS = 250, 400, 60
NOON = datetime(2025, 10, 24, 4, 0, tzinfo=UTC)  # two weeks after the window of week 2


def session_seconds():
    """Processor seconds of this connection's PostgreSQL process; the benchmark runs on the machine of the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass
class Watch:
    """What a piece of work takes: on the clock, in Python and in the database session."""

    wall: float = field(default_factory=lambda: -time.perf_counter())
    python: float = field(default_factory=lambda: -time.process_time())
    database: float = field(default_factory=lambda: -session_seconds())

    def stop(self):
        self.wall += time.perf_counter()
        self.python += time.process_time()
        self.database += session_seconds()

    @property
    def work(self):
        return self.python + self.database

    def __str__(self):
        parts = f"Python {self.python:.1f}, PostgreSQL {self.database:.1f}"
        return f"{self.work:.1f} s of work ({parts}), {self.wall:.1f} s on the clock"


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
        ours = Watch()
        made = reminders.do_plan()
        ours.stop()
        nothing_new = Watch()
        again = reminders.do_plan()
        nothing_new.stop()
    assert (made - 1, again) == (PARTICIPANTS * PEOPLE, 0)  # and the coordinator's list of the day
    assert Message.objects.filter(kind=reminders.ESCALATION).count() == PARTICIPANTS * PEOPLE
    with owner_connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_message AS SELECT * FROM outbox_message LIMIT 0")
        started = time.perf_counter()
        cursor.execute("INSERT INTO bare_message SELECT * FROM outbox_message")
        bare = time.perf_counter() - started
    with capsys.disabled():
        print(f"\n{made} messages planned: {ours}; limit {LIMIT_SECONDS} s of work")
        print(f"  planned again, nothing new: {nothing_new}")
        print(
            f"  bare insert of the same rows {bare:.2f} s on the clock; planning is {ours.wall / bare:.0f} times that"
        )
    assert ours.work <= LIMIT_SECONDS
