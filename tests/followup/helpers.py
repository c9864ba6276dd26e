"""Participants and answers for tests of what follows randomisation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count

from django.contrib.auth.hashers import make_password

from followup.crfs import VISIT
from followup.models import Visit
from patients.milestones import set_milestones
from patients.models import BaselineAnalgesic, BaselinePain, Subject
from patients.subjects import do_register
from spinetrial.access.gate import SYSTEM
from spinetrial.access.models import User
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from tests.cast import SETUP, join

RT_START, RT_END = date(2025, 9, 8), date(2025, 9, 19)
_names = count()


def noon(day: date) -> datetime:
    """Midday in China, so that the date at the site is `day`."""
    return datetime(day.year, day.month, day.day, 4, 0, tzinfo=UTC)


def milestones(subject: Subject, **values) -> None:
    if "death_date" in values:
        values["death_source"] = "P.EOS" if values["death_date"] else ""
    with acting(SYSTEM, "test"):
        set_milestones(SYSTEM, subject, "test", **values)


def registered(actor: User, site) -> Subject:
    with at(noon(date(2025, 8, 1))):
        return do_register(actor, site, date(2025, 8, 1), {"name": f"Zhang Secret {next(_names)}"})


def treated(actor: User, site, rt_start: date | None = RT_START, rt_end: date | None = RT_END, **more) -> Subject:
    """A participant randomised on 1 September 2025 and irradiated; `rt_end` None: radiotherapy goes on."""
    subject = registered(actor, site)
    milestones(
        subject,
        **{
            "consent_date": date(2025, 8, 20),
            "eligible_on": date(2025, 8, 30),
            "randomized_on": date(2025, 9, 1),
            "rt_start": rt_start,
            "rt_end": rt_end or rt_start,
            "rt_completed": rt_end is not None,
            **more,
        },
    )
    return subject


DONE = {
    "status": "done",
    "visit_date": date(2025, 12, 19),
    "mode": "clinic",
    "nrs_worst": 3,
    "analgesics": "none",
    "motor": "none",
    "sensory": "none",
    "frankel": "E",
    "bladder": "normal",
    "ecog": "1",
    "index_treatment": "none",
    "new_systemic": False,
    "ae_any": False,
    "survival": "alive",
}
#: What a visit leaves blank when nobody examined the participant, and when nobody of the staff asked.
NOT_EXAMINED = {"motor": "", "sensory": "", "frankel": ""}
NOT_ASKED = {"bladder": "", "ecog": "", "ae_any": None}
MISSED = {"status": "missed", "missed_reason": "too_ill", "survival": "alive"}
MORPHINE = {"drug": "MORPHINE_PO", "dose": "30", "times": "2", "use": "scheduled"}


def visit(subject: Subject, actor: User, event: str = "M3", *, on: date | None = None, rows=(), **changes) -> Visit:
    """Enter a visit by the road of the screen, on its own day unless the clock is fixed by `on`."""
    base = MISSED if changes.get("status") == "missed" else DONE
    values = {**base, **changes}
    day = on or values.get("visit_date") or date(2026, 1, 20)
    with at(noon(day)):
        return enter(VISIT, subject, actor, values, {"analgesics_taken": list(rows)}, event=event)


def change(record: Visit, actor: User, on: date, rows=(), **changes) -> Visit:
    """Change a saved visit as the screen would."""
    record = Visit.objects.get(pk=record.pk)
    names = [item.name for item in VISIT.items()]
    values = {**{name: getattr(record, name) for name in names}, **changes}
    with at(noon(on)):
        return enter(
            VISIT, record.subject, actor, values, {"analgesics_taken": list(rows)}, record=record, reason="correction"
        )


def baseline(subject: Subject, nrs: int = 6, analgesics: str = "some", rows=(("MORPHINE_PO", 30, 2),)) -> None:
    """Baseline pain, written as rows: the baseline form is tested elsewhere."""
    with acting(SETUP, "test"):
        pain = BaselinePain(subject=subject, assessed_on=date(2025, 9, 5), nrs_worst=nrs, analgesics=analgesics)
        pain.save()
        for position, (drug, dose, times) in enumerate(rows if analgesics == "some" else ()):
            BaselineAnalgesic(subject=subject, parent=pain, position=position, drug=drug, dose=dose, times=times).save()


def colleague(name: str, role: str, site, *, language: str = "en", ends: date | None = None, **more) -> User:
    """One more account with a role."""
    with acting(SETUP, "test"):
        user = User(
            username=name,
            full_name=name.title(),
            email=more.pop("email", f"{name}@example.org"),
            language=language,
            password=make_password(None),
            **more,
        )
        user.save()
        join(user, Role(role), site, ends=ends)
    return user
