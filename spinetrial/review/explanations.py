"""Why values that break a must-explain check stand: stored beside the record, ended when the check holds again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.review.models import Explanation

#: As `Explanation.text` holds it.
LONGEST = 1000


def live_explanations(subject: Any, spec_code: str, record_id: int | None) -> dict[tuple[str, str], Explanation]:
    """The explanations in force on one record, by check code and match."""
    if record_id is None:
        return {}
    rows = of_subject(subject, Explanation).select_related("by")
    rows = rows.filter(spec_code=spec_code, record_id=record_id, ended_at__isnull=True)
    return {(row.check_code, row.match): row for row in rows}


def sync(
    actor: AnyActor,
    *,
    subject: Any,
    spec_code: str,
    record_id: int,
    event: str,
    given: Iterable[tuple[str, str, str, str]],
) -> None:
    """Store new explanations and end those whose check holds again or whose text is another one now.

    `given`: (check code, match, item, text) of every must-explain check that fails. Runs inside the saving
    transaction; the subject row is locked by the caller.
    """
    live = live_explanations(subject, spec_code, record_id)
    wanted = {(code, match): (item, text) for code, match, item, text in given}
    for key, row in live.items():
        if key not in wanted or wanted[key][1] != row.text:
            with acting(actor, "explained anew" if key in wanted else "the data now satisfy the check"):
                row.ended_at = now()
                row.save()
    for (code, match), (item, text) in wanted.items():
        if (code, match) not in live or live[code, match].text != text:
            Explanation(
                subject=subject, spec_code=spec_code, record_id=record_id, event=event, item=item, check_code=code,
                match=match, text=text, by=actor if isinstance(actor, User) else None, at=now(),
            ).save()  # fmt: skip
