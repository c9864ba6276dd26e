"""The threads of live queries at the fields of a form, and the replies typed there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.urls import reverse
from django.utils.translation import gettext as _

from spinetrial.access.gate import SignedInRequest, may, of_subject
from spinetrial.audit.clock import now
from spinetrial.crf.forms import CrfForm
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.spec import CrfSpec
from spinetrial.review import queries
from spinetrial.review.models import Query, QueryMessage

#: Start of the name of a reply's field; the number of the query follows.
REPLY = "query_reply_"
#: What a person's list of queries is narrowed by; carried along by "next query".
LIST_KEYS = ("state", "site", "form", "mine", "older", "query")


@dataclass(frozen=True)
class Thread:
    """A live query for `templates/crf/thread.html`."""

    query: Query
    text: str
    url: str  # of its own page; empty for those who may not go there
    days: int
    opened: bool  # shown unfolded
    messages: list[QueryMessage] = field(default_factory=list)
    reply_name: str = ""  # of the reply's field in the form; empty where it cannot be answered there
    reply_value: str = ""
    verbs: list[str] = field(default_factory=list)  # what can be done where there is no form around
    back: str = ""  # where such a step leads back to


def question(query: Query) -> str:
    """The words of a query in the reader's language, and which of a check's matches is meant."""
    text = _(query.text) if query.check_code else query.text
    return f"{text} ({query.match})" if query.match else text


def live_threads(
    request: SignedInRequest,
    spec: CrfSpec,
    subject: Any,
    record: SubjectRecord | None,
    form: CrfForm,
    *,
    readonly: bool,
    replies: bool = True,
) -> dict[str, list[Thread]]:
    """The live queries of a record by item. One query, and one more for the messages if there are any.

    `replies`: whether the page saves the replies typed beside its fields.
    """
    if record is None:
        return {}
    rows = of_subject(subject, Query).filter(spec_code=spec.code, record_id=record.pk, state__in=queries.LIVE)
    live = list(rows.select_related("opened_by", "assignee"))
    said: dict[int, list[QueryMessage]] = defaultdict(list)
    reads, answers = (may(request.user, action, subject.site_id) for action in ("query.view", "query.answer"))
    if live and reads:
        for message in of_subject(subject, QueryMessage).filter(query__in=live).select_related("by"):
            said[message.query_id].append(message)
    asked = request.GET.get("query", "")
    found: dict[str, list[Thread]] = defaultdict(list)
    for query in live:
        name, typed = f"{REPLY}{query.pk}", ""
        if answers and form.is_bound:
            typed = str(form.data.get(name, ""))
        found[query.item].append(
            Thread(
                query=query,
                text=question(query),
                url=reverse("query", args=[query.pk]) if reads else "",
                days=(now() - query.opened_at).days,
                opened=asked == str(query.pk) or bool(typed),
                messages=said[query.pk],
                reply_name=name if answers and replies and not readonly else "",
                reply_value=typed,
                verbs=queries.verbs_for(request.user, query, subject.site_id) if readonly else [],
                back=f"{request.path}?{urlencode(list_filter(request))}#item-{query.item}",
            )
        )
    return dict(found)


# --- replies ---


def posted_replies(request: SignedInRequest, site_id: int) -> dict[int, str]:
    """The replies typed into the form: number of the query -> words. None from those who may not answer."""
    if not may(request.user, "query.answer", site_id):
        return {}
    found = {}
    for name, value in request.POST.items():
        number, words = name.removeprefix(REPLY), str(value).replace("\0", "").strip()
        if name.startswith(REPLY) and number.isascii() and number.isdigit() and len(number) < 18 and words:
            found[int(number)] = words
    return found


def too_long(replies: Mapping[int, str]) -> str:
    """A message where a reply is longer than a message may be; else empty."""
    if all(len(words) <= queries.LONGEST for words in replies.values()):
        return ""
    return _("A reply to a query is longer than %(limit)s characters. Nothing was saved.") % {"limit": queries.LONGEST}


def reply(request: SignedInRequest, spec: CrfSpec, subject: Any, record: SubjectRecord, replies: Any) -> None:
    """Store replies where the answers of the form stay as they are stored."""
    if replies:
        queries.answer_with_form(
            request.user, subject=subject, spec_code=spec.code, record_id=record.pk, replies=replies
        )


def tell_closed(request: SignedInRequest, spec: CrfSpec, subject: Any, replies: Mapping[int, str]) -> None:
    """Say which of the answered queries are closed now: by the correction, or by somebody meanwhile."""
    if not replies:
        return
    rows = of_subject(subject, Query).filter(spec_code=spec.code, pk__in=list(replies)).exclude(state__in=queries.LIVE)
    for query in rows:
        messages.info(
            request,
            _("The query on “%(item)s” is closed; your reply is kept in its thread.")
            % {"item": spec.label(query.item)},
        )


# --- from query to query ---


def list_filter(request: SignedInRequest) -> dict[str, str]:
    """How the list was narrowed that the person came from, and the query looked at; empty for who came otherwise."""
    if request.GET.get("from") != "queries":
        return {}
    kept = {name: request.GET[name][:20] for name in LIST_KEYS if request.GET.get(name)}
    return {"from": "queries", **kept}


def next_url(request: SignedInRequest) -> str:
    """Where "Next query" leads."""
    return f"{reverse('query_next')}?{urlencode(list_filter(request))}"
