"""Visible text of the pure rooms: marked for translation here, translated by the screen that shows it."""

from collections.abc import Callable
from dataclasses import dataclass


def gettext_noop(text: str) -> str:
    """Return `text` unchanged: the call only marks it for the message catalogue."""
    return text


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a working: a marked text with %(name)s placeholders and its values.

    A value is a number or itself a marked text, so it is translated too.
    """

    text: str
    values: tuple[tuple[str, str], ...] = ()

    def render(self, translate: Callable[[str], str] = gettext_noop) -> str:
        """The line in the reader's language; `translate` is Django's gettext on screens."""
        text = translate(self.text)
        # gettext answers the empty text with the catalogue's header
        values = {name: translate(value) if value else "" for name, value in self.values}
        return text % values if values else text
