from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from spinetrial.access import accounts
from spinetrial.access.models import Membership, User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import SystemActor
from spinetrial.audit.clock import now


class Command(BaseCommand):
    help = "Create an administrator's account and print its first password. For the first one, or when all are lost."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("full_name")
        parser.add_argument("--email", default="")

    def handle(self, *args: Any, username: str, full_name: str, email: str, **options: Any) -> None:
        user = User(username=username, full_name=full_name, email=email)
        password = accounts.new_password()
        user.set_password(password)
        try:
            user.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        shell = SystemActor("create_administrator command")
        accounts.do_create_user(shell, user, password)
        accounts.do_grant(shell, Membership(user=user, role=Role.ADMINISTRATOR, starts=now().date()))
        self.stdout.write(f"{username}: first password {password} (change it after the first log-in)")
