"""The simulated trial that tests of matrix, worklist, export and report share; its fixtures are in conftest."""

from datetime import UTC, date, datetime

from patients.models import Subject
from spinetrial.access.models import User
from spinetrial.simulation.trial import simulate

SEED = 1
LAST_DAY = date(2026, 11, 20)
#: After the last act of the last day, at every site.
EVENING = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def fill(patients: int) -> None:
    simulate(patients, SEED, LAST_DAY)


class SimulatedTrial:
    """The people and participants of the simulated trial, read when they are asked for."""

    def person(self, username: str) -> User:
        """As `simulation.people.user_name` makes it: coordinator-bj, data-manager ..."""
        return User.objects.get(username=username)

    def subjects(self):
        return Subject.objects.order_by("code")
