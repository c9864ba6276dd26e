from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from randomization.lists import all_lists, verify


class Command(BaseCommand):
    help = "Make every sealed randomisation list again from its seed and compare it with its published SHA-256."

    def handle(self, *args: Any, **options: Any) -> None:
        unsound = 0
        for row in all_lists().filter(sealed_at__isnull=False).order_by("site__code", "part"):
            found = verify(row)
            unsound += not found.sound
            words = [
                "seal " + ("holds" if found.seal else "BROKEN"),
                "slots " + ("follow from the seed" if found.derived else "DO NOT FOLLOW FROM THE SEED"),
                "allocations " + ("agree" if found.allocations else "DO NOT AGREE"),
            ]
            self.stdout.write(f"{row}  {row.sha256}  {', '.join(words)}")
        if unsound:
            raise CommandError(f"{unsound} list(s) are not what was sealed.")
