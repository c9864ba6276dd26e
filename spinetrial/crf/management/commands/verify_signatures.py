from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spinetrial.crf.content import verify_signatures


class Command(BaseCommand):
    help = "Compute the hash of every validly signed record anew and name those that differ from what was signed."

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify_signatures()
        for each in found:
            self.stderr.write(
                f"signed record {each.signed_record} ({each.spec_code} {each.record_id}):"
                f" signed {each.signed_hash[:16]}…, now {each.found_hash[:16] or 'missing'}"
            )
        if found:
            raise CommandError(f"{len(found)} signed records were changed past the triggers.")
        self.stdout.write("Every valid signature fits its record.")
