"""The one door to the arm. Nothing else reads `AllocatedArm`.

What the trail keeps: a person who sees a subject's arm (subject page, result, slip) leaves one entry "arm viewed" per
purpose, subject and day (UTC). An entry per page view would bury the telling ones under the treating team's daily
work. Lists of many subjects leave none: the people in them may see every arm of their sites at any time. A masked
person gets nothing from any of these functions, and no entry either, because nothing was seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time

from django.db.models import Q

from patients.models import Subject
from randomization.models import AllocatedArm
from spinetrial.access.gate import AnyActor, list_records, masked
from spinetrial.audit import clock
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import Arm

VIEWED = "arm viewed"


def arms_for(actor: AnyActor, subjects: Iterable[Subject | int]) -> dict[int, Arm]:
    """Arms by the subjects' ids, in one query; empty for the masked, without the subjects not yet randomised.

    For lists and, with the system actor, for analyses of a locked version. Leaves no entry on the trail.
    """
    if masked(actor):
        return {}
    ids = [subject if isinstance(subject, int) else subject.pk for subject in subjects]
    rows = list_records(actor, AllocatedArm, "arm.view").filter(subject__in=ids)
    return {subject: CURRENT.arm(code) for subject, code in rows.values_list("subject_id", "arm")}


def reveal_arm(actor: AnyActor, subject: Subject, reason: str) -> Arm | None:
    """The subject's arm, with an entry on the trail; None when the actor is masked or nobody was randomised.

    `reason` says what for ("subject page", "slip"): a person, a subject, a purpose and a day make one entry.
    """
    if masked(actor, subject.site_id):
        return None
    arm = arms_for(actor, [subject]).get(subject.pk)
    if arm is not None:
        _record(actor, subject, reason)
    return arm


def arm_of(actor: AnyActor, subject: Subject) -> Arm | None:
    """The arm for the header of the subject's pages: `reveal_arm` with that purpose."""
    return reveal_arm(actor, subject, "subject page")


def _record(actor: AnyActor, subject: Subject, reason: str) -> None:
    act = f"{VIEWED}: {reason}"
    if actor.pk is not None:
        midnight = datetime.combine(clock.now().date(), time(), tzinfo=UTC)
        entries = AuditEntry.of_subject(subject.pk).filter(act=act, actor_id=actor.pk, at__gte=midnight)
        if entries.exists():
            return
    with acting(actor):
        record_event(act, subject_id=subject.pk, site_id=subject.site_id)


def reveal_arms(actor: AnyActor, subjects: Iterable[Subject | int], reason: str) -> dict[int, Arm]:
    """`arms_for`, for a page that compares the arms: one entry on the trail of the person per purpose and day."""
    found = arms_for(actor, subjects)
    if found and actor.pk is not None:
        act = f"{VIEWED}: {reason}"
        midnight = datetime.combine(clock.now().date(), time(), tzinfo=UTC)
        if not AuditEntry.among(Q(act=act, actor_id=actor.pk, at__gte=midnight)).exists():
            with acting(actor):
                record_event(act, user_id=actor.pk)
    return found
