"""The kinds of messages. An app registers its own in `AppConfig.ready`; the machinery knows nothing about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.mail import EmailMessage

if TYPE_CHECKING:
    from spinetrial.outbox.models import Message


@dataclass(frozen=True)
class Kind:
    """What the machinery asks about a message of this kind.

    `why_not(message)` is asked just before it is sent: "" to send it, or in words (marked for translation) why it is
    not needed any more; the message is stopped with them. `compose(message)` makes the e-mail in its reader's language.
    `quiet`: local hours of the site (from, until) in which it is never sent, such as (20, 8).
    """

    code: str
    label: str
    why_not: Callable[[Message], str]
    compose: Callable[[Message], EmailMessage]
    quiet: tuple[int, int] | None = None

    def is_quiet(self, hour: int) -> bool:
        """Whether it must wait at this local hour (0-23)."""
        if self.quiet is None:
            return False
        start, end = self.quiet
        return start <= hour < end if start <= end else hour >= start or hour < end


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known; the same code again replaces it."""
    _kinds[kind.code] = kind


def kind_of(code: str) -> Kind | None:
    """The kind of that code; None for one that no program of today knows."""
    return _kinds.get(code)


def all_kinds() -> tuple[Kind, ...]:
    return tuple(_kinds.values())
