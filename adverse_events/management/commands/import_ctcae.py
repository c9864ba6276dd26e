from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser

from adverse_events import catalogue
from adverse_events.ctcae_file import LARGEST_FILE, FileRefused
from spinetrial.access.people import people_called


class Command(BaseCommand):
    help = (
        "Load the texts of CTCAE (definitions, grades, notes) from NCI's workbook (.xlsx) or a CSV of the same columns."
        " Versions 4.03, 5.0 and 6.0 are recognised. A wrong or damaged file changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument("--by", metavar="USERNAME", default="", help="the data manager who loads the file")
        parser.add_argument(
            "--accept-changed",
            metavar="REASON",
            default="",
            help="take texts that differ from the publication known to this program, such as an erratum of NCI",
        )
        parser.add_argument("--check", action="store_true", help="compare the loaded texts with their SHA-256 instead")

    def handle(self, *args: Any, file: Path | None, by: str, accept_changed: str, check: bool, **options: Any) -> None:
        if check:
            self._check()
            return
        if file is None:
            raise CommandError("Name the file: import_ctcae FILE --by USERNAME")
        person = people_called(by).filter(username=by, is_active=True).first() if by else None
        if person is None:
            raise CommandError(f"--by names who loads the file; there is no active account {by!r}.")
        try:
            with file.open("rb") as opened:
                content = opened.read(LARGEST_FILE + 1)
        except OSError as error:
            raise CommandError(f"The file cannot be read: {error.strerror}. Nothing was changed.") from None
        try:
            loaded = catalogue.do_load(person, content, accept_changed)
        except FileRefused as refusal:
            raise CommandError(f"{refusal} Nothing was changed.") from None
        except PermissionDenied:
            raise CommandError(f"{by} may not load CTCAE: that is the data manager's. Nothing was changed.") from None
        row = loaded.edition
        if not loaded.new:
            self.stdout.write(f"CTCAE {row.version} of this very file is loaded already ({row.sha256}): nothing to do.")
            return
        words = f", {row.changed} of them not as known: {row.reason}" if row.changed else ""
        self.stdout.write(f"CTCAE {row.version} loaded: {len(row.texts)} terms{words}; SHA-256 {row.sha256}.")

    def _check(self) -> None:
        found = catalogue.sound()
        for row, holds in found:
            self.stdout.write(f"CTCAE {row.version}  {row.sha256}  {'texts unchanged' if holds else 'TEXTS CHANGED'}")
        if not found:
            self.stdout.write("No texts of CTCAE are loaded.")
        if not all(holds for _row, holds in found):
            raise CommandError("Texts are not what was loaded. Load NCI's file again.")
