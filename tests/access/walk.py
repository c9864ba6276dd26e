"""Walking every address of the matrix as every person of a world."""

from typing import Any

from django.http import HttpResponseBase
from django.test import Client
from django.urls import get_resolver, reverse

from tests.access.matrix import COLUMNS, PATHS, POSTED, Row
from tests.world import World, taken_back


def all_names(patterns=None) -> dict[str, set[str]]:
    """Every URL name of the application with the names of what its path takes."""
    found: dict[str, set[str]] = {}
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if hasattr(pattern, "url_patterns"):
            for name, takes in all_names(pattern.url_patterns).items():
                found.setdefault(name, set()).update(takes)
        else:
            found.setdefault(pattern.name or str(pattern.pattern), set()).update(pattern.pattern.converters)
    return found


class Walk:
    """The people of a world, each with a browser of their own, logged in once."""

    def __init__(self, world: World) -> None:
        self.world, self.names, self.clients = world, all_names(), {}
        for person in ["", *world.people]:
            self.clients[person] = client = Client()
            if person:
                client.force_login(world.people[person])

    def path(self, name: str) -> dict[str, Any]:
        """What the path of an address takes, as the table says."""
        url_name = name.partition(":")[0]
        path = dict(PATHS.get(name, PATHS.get(url_name, lambda world: {}))(self.world))
        if "code" in self.names[url_name]:
            path.setdefault("code", self.world.trial.followed.code)
        return path

    def address(self, name: str) -> str:
        path = self.path(name)
        query = path.pop("?", "")
        return reverse(name.partition(":")[0], kwargs=path) + (f"?{query}" if query else "")

    def ask(self, row: Row, person: str, **headers: str) -> HttpResponseBase:
        """The answer to one person; what the request changed is taken back."""
        client = self.clients[person]
        cookies = client.cookies.copy()
        with taken_back():
            if row.method == "GET":
                response = client.get(self.address(row.name), headers=headers)
            else:
                data = {"unknown": "x", **POSTED.get(row.name, {})}
                response = client.post(self.address(row.name), data, headers=headers)
        client.cookies = cookies
        return response

    def wrong(self, row: Row) -> list[str]:
        """Where the answers are not those of the table."""
        found = []
        for column, people in COLUMNS.items():
            for person in people:
                response = self.ask(row, person)
                to_log_in = response.headers.get("Location", "").startswith(f"{reverse('login')}?")
                got = "log" if to_log_in else str(response.status_code)
                if got != row.answers[column]:
                    found.append(f"{row}: {column} ({person}) got {got}, the table says {row.answers[column]}")
        return found
