"""Beginning an unscheduled visit: the next free number, also when two people begin one at the same time."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from spinetrial.access.gate import SignedInRequest, get_record, may, of_subject, requires
from spinetrial.access.models import User
from spinetrial.crf import drafts
from spinetrial.crf.models import Draft
from spinetrial.crf.registry import all_specs, get_spec
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.protocol import CURRENT, events
from spinetrial.review import trial

#: No participant has more; the codes of the protocol end here too.
MOST = 99


def next_code(user: User, subject: Any) -> str:
    """The first unscheduled visit after all that exist and that no colleague has begun; "" when all are used.

    One's own draft does not count: who asks again goes on with it.
    """
    specs = [spec for spec in all_specs() if spec.keeping is Keeping.PER_EVENT]
    stored: set[str] = {getattr(row, "event", "") for spec in specs for row in of_subject(subject, spec.model)}
    begun = of_subject(subject, Draft).filter(spec_code__in=[spec.code for spec in specs]).exclude(user=user)
    last = max((events.unscheduled_number(CURRENT, event) or 0 for event in stored), default=0)
    taken = set(begun.values_list("key", flat=True))
    for number in count(last + 1):
        if number > MOST:
            return ""
        code = events.unscheduled_code(CURRENT, number)
        if code not in taken:
            return code
    raise AssertionError  # count() does not end


@requires("crf.view")
@require_safe
def unscheduled_new(request: SignedInRequest, code: str, spec_code: str) -> HttpResponse:
    """Open a form of the next free unscheduled visit. Nothing is stored until the form is saved."""
    subject: Any = get_record(request.user, apps.get_model("patients", "Subject"), "subject.view", code=code)
    spec = get_spec(spec_code)
    if spec.keeping is not Keeping.PER_EVENT or CURRENT.unscheduled is None:
        raise Http404
    if not may(request.user, spec.enter, subject.site_id):
        raise PermissionDenied
    event = next_code(request.user, subject)
    if not event:
        messages.error(request, _("There is no number left for a further unscheduled visit."))
        return redirect("subject", subject.code)
    return redirect("crf_edit", subject.code, spec.code, event)


def moved(request: SignedInRequest, spec: CrfSpec, subject: Any, key: str) -> str:
    """Where a new unscheduled visit goes on that somebody else saved under the same number meanwhile; "" otherwise.

    Two such visits are two visits, not two versions of one: what was typed is kept as a draft of the next number.
    """
    if not events.is_unscheduled(CURRENT, key) or request.POST.get("seen_version") not in ("", "0", None):
        return ""
    following = next_code(request.user, subject)
    if not following or drafts.find(request.user, subject, spec, following) is not None:
        return ""
    try:
        drafts.keep(request.user, subject, spec, following, request.POST)
    except (trial.EntryClosed, drafts.TooLarge):
        return ""
    drafts.discard(request.user, subject, spec, key)
    words = {
        "visit": events.event_title(CURRENT, key, _),
        "next": events.event_title(CURRENT, following, _),
    }
    messages.warning(
        request,
        _(
            "%(visit)s was saved by somebody else meanwhile and stands as it is. Your answers are kept below as "
            "%(next)s and are not saved yet. If yours is another visit, save it; if it is the same one, discard the "
            "draft and correct the form that is stored."
        )
        % words,
    )
    return reverse("crf_edit", args=[subject.code, spec.code, following])
