"""What follows from a saved CRF: milestones. Each function is the `after_save` of a spec.

All run inside the saving transaction with the subject's row locked, and derive the milestone from every saved row
anew, so that a correction moves it as well as a first entry.
"""

from __future__ import annotations

from datetime import date
from typing import cast

from patients.milestones import milestones_of, report_death, set_milestones
from patients.models import Consent, EndOfStudy, ScreenFailure, Subject, Withdrawal
from patients.models.consent import EndStatus
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.audit.acting import Actor
from spinetrial.crf.models import SubjectRecord

END_OF_STUDY_CODE = "P.EOS"


def consent_date(subject: Subject) -> date | None:
    """Date at the site of the first consent; None before there is one."""
    first = of_subject(subject, Consent).order_by("signed_at").values_list("signed_at", flat=True).first()
    return None if first is None else first.astimezone(subject.site.zone).date()


def after_consent(record: SubjectRecord, actor: Actor) -> None:
    _move(record.subject, actor, "consent recorded", consent_date=consent_date(record.subject))


def after_screen_failure(record: SubjectRecord, actor: Actor) -> None:
    failure = cast(ScreenFailure, record)
    failed_on = None if failure.retracted else failure.failed_on
    _move(record.subject, actor, "screen failure", not_eligible_on=failed_on)


def after_withdrawal(record: SubjectRecord, actor: Actor) -> None:
    _set_ends(record.subject, actor)


def after_end_of_study(record: SubjectRecord, actor: Actor) -> None:
    end = cast(EndOfStudy, record)
    dead = end.status == EndStatus.DEAD
    report_death(cast(AnyActor, actor), record.subject, END_OF_STUDY_CODE, end.ended_on if dead else None)
    _set_ends(record.subject, actor)


def _set_ends(subject: Subject, actor: Actor) -> None:
    """End of treatment by withdrawal, end of follow-up by withdrawal or end of study: the earlier of them.

    A death is a milestone of its own.
    """
    withdrawals = list(of_subject(subject, Withdrawal))
    treatment = [each.withdrawn_on for each in withdrawals if each.from_treatment]
    followup = [each.withdrawn_on for each in withdrawals if each.from_followup]
    followup += [end.ended_on for end in of_subject(subject, EndOfStudy) if end.status != EndStatus.DEAD]
    _move(
        subject,
        actor,
        "withdrawal or end of study",
        treatment_withdrawn_on=min(treatment, default=None),
        followup_ended_on=min(followup, default=None),
    )


def _move(subject: Subject, actor: Actor, reason: str, **values: date | None) -> None:
    """Write the milestones unless they say so already: an unchanged row is no event of the audit trail."""
    row = milestones_of(subject)
    if any(getattr(row, name) != value for name, value in values.items()):
        set_milestones(cast(AnyActor, actor), subject, reason, **values)
