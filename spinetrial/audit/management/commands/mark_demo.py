from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from spinetrial.audit.models import AuditEntry


class Command(BaseCommand):
    help = (
        "Mark an empty database as a demonstration, so that a simulation may set the clock of the audit trail. "
        "Runs as the owner role; refused once the trail holds an entry."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if AuditEntry.objects.exists():
            raise CommandError("This database is in use: it can no longer become a demonstration.")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO audit_demo DEFAULT VALUES")
        self.stdout.write("This database is now a demonstration.")
