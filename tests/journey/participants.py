"""A trial with every form filled once, for the tests of bad input; entered through the services at past dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from adverse_events.crfs import ADVERSE_EVENT
from followup.crfs import IMAGING, VISIT
from followup.reminders import do_plan
from patients.crfs import DEMOGRAPHICS, END_OF_STUDY, SCREEN_FAILURE, WITHDRAWAL
from patients.models import Subject
from radiotherapy.crfs import COURSE
from radiotherapy.record_fraction import do_record_fraction
from randomization.allocate import do_randomize
from randomization.lists import do_generate, do_import, do_seal
from randomization.models import ARM_CODES, AllocatedArm, RandomizationList
from randomization.permuted_blocks import ListedSlot
from spinetrial.access.policy import Role
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.save import enter
from spinetrial.review.models import Query
from spinetrial.review.queries import raise_query
from tests.cast import SETUP, Cast, join, make_cast
from tests.patients import factory

RANDOMISED = date(2026, 3, 11)
FIRST_FRACTION = date(2026, 3, 16)  # a Monday
LAST_FRACTION = FIRST_FRACTION + timedelta(days=11)
TWO_WEEKS = LAST_FRACTION + timedelta(days=14)
#: The day on which these tests type: a reminder of month 3 is due.
TODAY = date(2026, 6, 29)

MORPHINE = {"drug": "MORPHINE_PO", "dose": "30", "times": "2"}
VISITED = {
    "status": "done",
    "mode": "clinic",
    "nrs_worst": 5,
    "analgesics": "some",
    "motor": "none",
    "sensory": "none",
    "frankel": "E",
    "bladder": "normal",
    "ecog": "1",
    "index_treatment": "none",
    "new_systemic": "False",
    "ae_any": "True",
    "survival": "alive",
}
IMAGED = {"status": "done", "modality": "ct", "read_by": "radiologist", "cord_injury": "False"}
VERTEBRA = {"level": "T8", "height_loss": "5", "fracture": "none", "local_control": "controlled"}
EVENT = {
    "verbatim": "pain on swallowing",
    "ctcae_code": "10015461",
    "grade": 2,
    "onset_date": "2026-03-25",
    "outcome": "ongoing",
    "action": "none",
    "treated": "False",
    "relation_radiotherapy": "probable",
    "relation_disease": "unlikely",
    "relation_systemic": "unrelated",
    "relation_other": "unrelated",
    "sae_hospital": "True",
    "aware_at": "2026-03-25T20:00",
    "unexpected": "False",
}


def ctv_sectors(arm: str) -> dict[str, bool]:
    """Ticks of the CTV that the arm asks for when sector 1 alone is involved."""
    return {f"ctv{n}": True for n in (range(1, 7) if arm == "WHOLE" else (1, 2, 6))}


@dataclass
class Trial:
    """`everyone` holds every role; `followed` has every form, `ready` waits for randomisation, `new` has no form."""

    cast: Cast
    everyone: Any
    followed: Subject
    ready: Subject
    new: Subject
    failed: Subject
    draft: RandomizationList
    query: Query

    def subject_of(self, code: str) -> Subject:
        return self.failed if code == SCREEN_FAILURE.code else self.followed


def make_trial(arm: str = "") -> Trial:
    """Commit the trial above (takes some seconds). With `arm`, the followed participant is allocated to it."""
    cast = make_cast()
    everyone = cast.investigator_a
    with acting(SETUP, "test"):
        for role in (Role.COORDINATOR, Role.ASSESSOR, Role.MONITOR):
            join(everyone, role, cast.site_a)
        for role in (Role.DATA_MANAGER, Role.STATISTICIAN, Role.CUSTODIAN, Role.ADMINISTRATOR):
            join(everyone, role)
    if arm:
        arms = [arm, *(code for code in ARM_CODES if code != arm)] * 6
        slots = [ListedSlot(number, code) for number, code in enumerate(arms, 1)]
        do_seal(cast.custodian, do_import(cast.custodian, cast.site_a, slots))
        draft = do_import(cast.custodian, cast.site_b, slots)
    else:
        do_seal(cast.custodian, do_generate(cast.custodian, cast.site_a, 12))
        draft = do_generate(cast.custodian, cast.site_b, 12)

    followed = factory.screened(everyone, everyone, cast.site_a)
    factory.answer(followed, everyone)
    ready = factory.screened(everyone, everyone, cast.site_a)
    factory.answer(ready, everyone)
    new = factory.registered(everyone, cast.site_a, "Invented New")
    failed = factory.registered(everyone, cast.site_a, "Invented Failed")

    def on(day: date, spec, values, rows=None, *, subject=followed, **more):
        with factory.on_day(day):
            return enter(spec, subject, everyone, values, rows, **more)

    on(
        factory.DAY,
        SCREEN_FAILURE,
        {"failed_on": factory.DAY, "reason": "criteria"},
        {"criteria": [{"criterion": "INC3"}]},
        subject=failed,
    )
    with at(factory.noon(RANDOMISED)):
        do_randomize(everyone, followed)
    given = AllocatedArm.objects.get(subject=followed).arm
    target = {"level": "T8", "gtv1": True, "body_extent": "central", **ctv_sectors(given)}
    on(
        RANDOMISED,
        COURSE,
        {"planned_start": FIRST_FRACTION, "prescribed_gy": 30, "prescribed_fractions": 10, "ending": "as_planned"},
        {"targets": [target]},
    )
    for number in range(1, 11):
        day = FIRST_FRACTION + timedelta(days=(number - 1) + 2 * ((number - 1) // 5))
        with factory.on_day(day):
            do_record_fraction(everyone, followed, number, day)
    on(TWO_WEEKS, VISIT, {**VISITED, "visit_date": TWO_WEEKS}, {"analgesics_taken": [MORPHINE]}, event="W2")
    on(TWO_WEEKS, IMAGING, {**IMAGED, "imaging_date": TWO_WEEKS}, {"vertebrae": [VERTEBRA]}, event="W2")
    on(TWO_WEEKS, ADVERSE_EVENT, EVENT)
    with at(factory.noon(TODAY)):
        do_plan()
    ended = {"withdrawn_on": TODAY, "from_treatment": False, "from_followup": False, "from_data_use": True}
    on(TODAY, WITHDRAWAL, {**ended, "reason": "DRP1", "initiator": "patient", "details": "their wish"})
    on(TODAY, END_OF_STUDY, {"status": "lost", "ended_on": TODAY, "details": "moved away"})
    query = _query(everyone, followed)
    return Trial(cast, everyone, followed, ready, new, failed, draft, query)


def _query(user, subject: Subject) -> Query:
    record = DEMOGRAPHICS.model.objects.get(subject=subject)
    return raise_query(
        user,
        subject=subject,
        site_id=subject.site_id,
        spec_code=DEMOGRAPHICS.code,
        record_id=record.pk,
        event="BL",
        item="height_cm",
        text="Is it really so?",
    )


def as_browser(form) -> dict[str, Any]:
    """What a browser posts when the shown form is sent unchanged. `form`: a CrfForm or any Django form."""
    data: dict[str, Any] = {}
    with timezone.override("Asia/Shanghai"):
        for bound in form:
            value = bound.value()
            if value is None or (value is False and bound.widget_type == "checkbox"):
                continue
            if isinstance(value, models.Model):
                value = value.pk
            shown = bound.field.widget.format_value(value) if hasattr(bound.field.widget, "format_value") else value
            data[bound.html_name] = shown if isinstance(shown, str) else value
            if isinstance(data[bound.html_name], list) and bound.widget_type in ("select", "radioselect"):
                data[bound.html_name] = data[bound.html_name][0] if data[bound.html_name] else ""
        for formset in getattr(form, "formsets", {}).values():
            data |= as_browser(formset.management_form)
            for row in formset.forms:
                data |= as_browser(row)
    return {name: value for name, value in data.items() if value is not None}
