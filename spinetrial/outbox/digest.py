"""What other apps add to the list of the day, which `followup.reminders` sends to the coordinators of a site."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from spinetrial.access.models import StudySite

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Section:
    """A part of the list of the day. `texts` are ready to print: codes and dates, no name and no arm."""

    title: str
    texts: tuple[str, ...]


#: Called with sites, answers sections by site id, in the language of the moment. Its queries must not grow with sites.
Contributor = Callable[[list[StudySite]], dict[int, list[Section]]]
_contributors: list[Contributor] = []


def contribute(contributor: Contributor) -> None:
    """Add sections, such as the clocks of serious events; called in `AppConfig.ready`."""
    if contributor not in _contributors:
        _contributors.append(contributor)


def contributed(sites: list[StudySite]) -> dict[int, list[Section]]:
    """All contributed sections by site id. A contributor that fails is left out and logged: the visits still go out."""
    found: dict[int, list[Section]] = defaultdict(list)
    for contributor in _contributors:
        try:
            answer = contributor(sites)
        except Exception as error:
            # The text of an error may hold data of a record.
            log.error("%s has nothing for the list of the day: %s", contributor.__module__, type(error).__name__)
            continue
        for site_id, sections in answer.items():
            found[site_id] += sections
    return found
