"""Reading and writing the dates by which the clinical apps know of each other."""

from __future__ import annotations

from datetime import date
from typing import Any

from patients.models import Milestones, Subject
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.audit.acting import acting
from spinetrial.crf.spec import Values
from spinetrial.protocol.schedule import MilestoneDates

#: What sets each milestone, as a check that looks at it names it in `reads`: CRF and item.
SET_BY: dict[str, tuple[str, ...]] = {
    "consent_date": ("P.CONSENT:signed_at",),
    "rt_start": ("R.RT:fractions",),
    "rt_end": ("R.RT:fractions", "R.RT:prescribed_fractions", "R.RT:ending"),
    "never_irradiated": ("R.RT:ending",),
    "followup_ended_on": ("P.WITHDRAW", "P.EOS"),
    "death_date": ("F.VISIT:death_date", "P.EOS"),
    "target_levels": ("R.RT:targets",),
}


def setters(*milestones: str) -> tuple[str, ...]:
    """What sets these milestones, for `EditCheck.reads`. Raises KeyError for another name."""
    return tuple(dict.fromkeys(read for name in milestones for read in SET_BY[name]))


def milestones_of(subject: Subject) -> Milestones:
    """The subject's milestones row; made with the subject, so it always exists."""
    return of_subject(subject, Milestones).get()


def milestones_for(values: Values) -> Milestones:
    """The milestones as an edit check needs them: read once for all checks of a round."""
    if "milestones" not in values.shared:
        values.shared["milestones"] = milestones_of(values.record.subject)
    row: Milestones = values.shared["milestones"]
    return row


def set_milestones(actor: AnyActor, subject: Subject, reason: str, **values: Any) -> Milestones:
    """Write milestones. Call inside the transaction of the act they follow from; the caller holds the subject's lock.

    Raises TypeError for a name that is no milestone.
    """
    row = of_subject(subject, Milestones).select_for_update(of=("self",)).get()
    known = {field.name for field in Milestones._meta.concrete_fields}
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"{name!r} is no milestone")
        setattr(row, name, value)
    with acting(actor, reason):
        row.save()
    return row


def report_death(actor: AnyActor, subject: Subject, source: str, day: date | None) -> None:
    """Take over a date of death from the CRF with code `source`. Call from its `after_save`.

    Whoever reports first sets the date and alone may change it or, with None, take it back; from any other CRF the
    call leaves it as it is, and `death_differs` raises the query there.
    """
    row = milestones_of(subject)
    if row.death_date == day or row.death_source not in ("", source):
        return
    set_milestones(actor, subject, "death reported", death_date=day, death_source=source if day else "")


def death_differs(values: Values, day: date | None) -> bool:
    """Whether a CRF's date of death contradicts the one reported first: for an edit check of level QUERY."""
    known = milestones_for(values).death_date
    return day is not None and known is not None and day != known


def dates(row: Milestones) -> MilestoneDates:
    """The milestones as the protocol's schedule takes them."""
    return MilestoneDates(
        consent=row.consent_date,
        randomized=row.randomized_on,
        rt_start=row.rt_start,
        rt_end=row.rt_end if row.rt_completed else None,
        never_irradiated=row.never_irradiated,
        death=row.death_date,
        end_of_followup=row.followup_ended_on,
    )
