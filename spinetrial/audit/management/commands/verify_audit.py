from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spinetrial.audit.chain import broken_links
from spinetrial.audit.models import AuditChain, AuditEntry


class Command(BaseCommand):
    help = "Check every hash chain of the audit trail and name the first broken link of each."

    def handle(self, *args: Any, **options: Any) -> None:
        faults = broken_links()
        for fault in faults:
            self.stderr.write(f"{fault.chain} #{fault.seq}: {fault.problem}")
        if faults:
            raise CommandError(f"{len(faults)} broken chains.")
        chains, entries = AuditChain.objects.count(), AuditEntry.objects.count()
        self.stdout.write(f"Audit trail whole: {chains} chains, {entries} entries.")
