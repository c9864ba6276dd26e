"""All CRFs of the trial, in the order of the schedule. The list itself is `spinetrial.crf_index.SPECS`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404
from django.utils.module_loading import import_string

from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.protocol import CURRENT, events

if TYPE_CHECKING:
    pass


@cache
def all_specs() -> tuple[CrfSpec, ...]:
    specs: tuple[CrfSpec, ...] = import_string(settings.CRF_INDEX)
    return specs


def get_spec(code: str) -> CrfSpec:
    """The CRF with this code. Raises Http404."""
    for spec in all_specs():
        if spec.code == code:
            return spec
    raise Http404


def specs_for_event(event: str) -> list[CrfSpec]:
    """CRFs expected at an event of the protocol; follow-up visits share the specs that are kept per event."""
    return [
        spec
        for spec in all_specs()
        if spec.event == event or (spec.keeping is Keeping.PER_EVENT and events.is_follow_up(CURRENT, event))
    ]
