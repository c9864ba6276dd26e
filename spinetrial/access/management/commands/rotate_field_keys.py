from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from spinetrial.access.models import User
from spinetrial.access.rotation import rotate


class Command(BaseCommand):
    help = (
        "Encrypt every encrypted value with the first of FIELD_KEYS. Runs as the owner role, while people work; can be "
        "interrupted and started again. Afterwards the other keys can be removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="field keys changed", help="stands on the audit trail")
        parser.add_argument("--check", action="store_true", help="only count what older keys still hold")
        parser.add_argument("--batch", type=int, default=200, help="rows in one transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tableowner = current_user FROM pg_tables WHERE schemaname = 'public' AND tablename = %s",
                [User._meta.db_table],
            )
            if not cursor.fetchone()[0]:
                raise CommandError("Run this as the owner of the tables: SPINETRIAL_DB_ROLE=owner.")
        if options["batch"] < 1 or not options["reason"].strip():
            raise CommandError("--batch must be at least 1, and --reason must not be empty.")
        left = unreadable = 0
        for done in rotate(options["reason"], size=options["batch"], write=not options["check"]):
            left += done.changed
            unreadable += len(done.unreadable)
            words = "rows with an older key" if options["check"] else "rows encrypted anew"
            self.stdout.write(f"{done.table}: {done.changed} {words}")
            for pk in done.unreadable:
                self.stderr.write(f"{done.table} row {pk}: no key of FIELD_KEYS opens it")
        if unreadable:
            raise CommandError(f"{unreadable} rows cannot be read. Put their key back into FIELD_KEYS; remove no key.")
        if options["check"] and left:
            raise CommandError(f"{left} rows still need an older key.")
        self.stdout.write("The first key of FIELD_KEYS opens everything; the others can be removed.")
