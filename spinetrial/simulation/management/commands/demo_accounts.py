from typing import Any

from django.core.management.base import BaseCommand

from spinetrial.access.people import memberships
from spinetrial.audit.demo import is_demo
from spinetrial.simulation.people import DEMO_PASSWORD


class Command(BaseCommand):
    help = "Print the accounts of a demonstration."

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_demo():
            self.stdout.write("This database is no demonstration: its accounts are not printed.")
            return
        for membership in memberships():
            self.stdout.write(f"  {membership.user.username:<18} {DEMO_PASSWORD}   {membership.get_role_display()}")
