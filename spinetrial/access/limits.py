"""Rate limits: how often one person or one address may ask for what is costly or can be guessed.

Counted in the database, which all processes share. `@limited("export")` under `@requires(...)` is all a view needs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from spinetrial.access.models import Tally
from spinetrial.audit import clock


class Limit(NamedTuple):
    times: int
    seconds: int


LIMITS = {
    "log-in": Limit(30, 15 * 60),  # failures from one address; a hospital may be one address
    "search": Limit(120, 60),
    "pdf": Limit(60, 60 * 60),
    "examples": Limit(40, 60),  # an exact test of a large table takes a second or two
    "export": Limit(60, 60 * 60),
    "simulation": Limit(30, 60 * 60),
    "upload": Limit(30, 60 * 60),
    "questionnaire": Limit(600, 15 * 60),  # pages for one address; a ward of participants may be one address
    "forged link": Limit(30, 15 * 60),
}


def count(name: str, who: str) -> bool:
    """Count one more of `name` by `who`; whether it is still within the limit. Raises KeyError for an unknown name."""
    limit = LIMITS[name]
    if not settings.RATE_LIMITS:
        return True
    window = int(clock.now().timestamp()) // limit.seconds
    ends_at = datetime.fromtimestamp((window + 1) * limit.seconds, UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO access_tally AS tally (key, "window", count, ends_at) VALUES (%s, %s, 1, %s)'
            ' ON CONFLICT (key, "window") DO UPDATE SET count = tally.count + 1 RETURNING count',
            [f"{name} {who}"[:120], window, ends_at],
        )
        so_far: int = cursor.fetchone()[0]
    if so_far == 1:
        Tally.objects.filter(ends_at__lt=clock.now() - timedelta(days=1)).delete()
    return so_far <= limit.times


def over(name: str, who: str) -> bool:
    """Whether `who` has used up the limit, without counting."""
    limit = LIMITS[name]
    if not settings.RATE_LIMITS:
        return False
    window = int(clock.now().timestamp()) // limit.seconds
    return Tally.objects.filter(key=f"{name} {who}"[:120], window=window, count__gte=limit.times).exists()


def too_many(request: HttpRequest, name: str) -> HttpResponse:
    """The page that says to wait."""
    seconds = LIMITS[name].seconds
    left = seconds - int(clock.now().timestamp()) % seconds
    answer = render(request, "429.html", {"minutes": -(-left // 60)}, status=429)
    answer["Retry-After"] = str(left)
    return answer


def limited(name: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Decorate a view behind the gate: so many requests per person, then a page that says to wait (429)."""
    LIMITS[name]

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not count(name, f"account {request.user.pk}"):
                return too_many(request, name)
            return view(request, *args, **kwargs)

        counted.limit = name  # type: ignore[attr-defined]
        return counted

    return decorate
