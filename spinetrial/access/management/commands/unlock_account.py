from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spinetrial.access import accounts
from spinetrial.access.models import User
from spinetrial.audit.acting import SystemActor


class Command(BaseCommand):
    help = "Unlock an account after repeated failed attempts. For the case that no administrator can log in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("reason")

    def handle(self, *args: Any, username: str, reason: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}.")
        accounts.do_unlock(SystemActor("unlock_account command"), user, reason)
        self.stdout.write(f"{username} is unlocked.")
