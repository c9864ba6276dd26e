from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spinetrial.audit.demo import is_demo
from spinetrial.audit.models import AuditEntry
from spinetrial.simulation.trial import simulate


class Command(BaseCommand):
    help = "Fill an empty demonstration database (mark_demo) with a synthetic trial."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--patients", type=int, default=66, help="number of randomised participants")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--until", type=date.fromisoformat, default=None, help="last day, default: yesterday")

    def handle(self, *args: Any, patients: int, seed: int, until: date | None, **options: Any) -> None:
        if not is_demo() or AuditEntry.any_recorded():
            raise CommandError(
                "Only an empty database that its owner marked with mark_demo can be filled. Nothing was changed."
            )
        if not 1 <= patients <= 500:
            raise CommandError("Between 1 and 500 participants can be simulated.")
        simulate(patients, seed, until or date.fromordinal(datetime.now(UTC).date().toordinal() - 1))
        self.stdout.write(f"A synthetic trial of {patients} randomised participants is in the database.")
