from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from adverse_events.meddra.load import do_import
from adverse_events.meddra.problems import MeddraRefused, words_of
from adverse_events.models import Language
from spinetrial.access.people import person_named


class Command(BaseCommand):
    help = "Import a licensed MedDRA distribution (a folder or the ZIP as delivered) in one language."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path)
        parser.add_argument("--language", required=True, choices=Language.values)
        parser.add_argument("--user", required=True, help="user name of the data manager who imports")
        parser.add_argument("--release-version", default="", help="such as 28.1; only where no file tells it")

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_named(options["user"])
        if person is None:
            raise CommandError(f"There is no account {options['user']!r}.")
        last = -10

        def tell(percent: int, step: str) -> None:
            nonlocal last
            if percent >= last + 10:
                self.stdout.write(f"{percent:3d} % {step}")
                last = percent

        with translation.override("en"):
            try:
                release = do_import(person, options["source"], options["language"], options["release_version"], tell)
            except MeddraRefused as refusal:
                lines = [problem.words() for problem in refusal.problems]
                more = refusal.total - len(lines)
                lines += [f"... and {more} more."] if more else []
                raise CommandError("Refused, nothing was changed.\n" + "\n".join(lines)) from refusal
            except PermissionDenied as refusal:
                raise CommandError(
                    f"{options['user']} may not import dictionaries: it takes a data manager."
                ) from refusal
            counts = ", ".join(f"{release.counts[level]} {level}" for level in ("SOC", "HLGT", "HLT", "PT", "LLT"))
            self.stdout.write(f"{release}: {counts}.")
            for note in words_of(release.notes):
                self.stdout.write(f"Note: {note}")
