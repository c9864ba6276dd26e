from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spinetrial.audit.anchor import AnchorRefused, departures, read_anchor, write_anchor
from spinetrial.audit.chain import broken_links
from spinetrial.audit.models import AuditChain, AuditEntry


class Command(BaseCommand):
    help = "Check every hash chain of the audit trail, compare with a signed anchor, write a new one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--against", type=Path, metavar="FILE", help="an anchor the trail must continue")
        parser.add_argument("--public-key", type=Path, metavar="FILE", help="key of that anchor, if not this one's")
        parser.add_argument("--anchor", action="store_true", help="write a signed anchor when the trail is whole")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            faults = broken_links()
            if options["against"]:
                faults += departures(read_anchor(options["against"], options["public_key"]))
            for fault in faults:
                self.stderr.write(f"{fault.chain} #{fault.seq}: {fault.problem}")
            if faults:
                raise CommandError(f"The audit trail is broken in {len({fault.chain for fault in faults})} chains.")
            chains, entries = AuditChain.objects.count(), AuditEntry.objects.count()
            self.stdout.write(f"Audit trail whole: {chains} chains, {entries} entries.")
            if options["anchor"]:
                self.stdout.write(f"Anchor written: {write_anchor()}")
        except AnchorRefused as refusal:
            raise CommandError(str(refusal)) from refusal
