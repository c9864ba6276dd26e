"""The participant's questionnaire: who is invited, what a link may do today, what is answered, and the report.

A link is the signed number of an `Invitation`, with the way it is handed over. Nobody logs in: who
holds the link answers for one visit and learns nothing else. The answers are kept one by one until they are confirmed;
then they become the CRF F.EPRO, written by the actor PARTICIPANT and by nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from django.core import signing
from django.db.models import Q

from followup.crfs import REPORT
from followup.models import Channel, Invitation, PatientReport, PendingAnswers, Visit, VisitAnalgesic
from followup.questionnaire_models import LANGUAGE_CODES
from followup.visits import plan_of
from patients.milestones import dates, milestones_of
from patients.models import (
    AnalgesicItems,
    AnalgesicStatus,
    BaselineAnalgesic,
    BaselinePain,
    SitesOfDisease,
    Subject,
    Withdrawal,
)
from spinetrial.access.gate import AnyActor, check_may, list_records, of_subject
from spinetrial.access.models import TrialState, User
from spinetrial.audit.acting import SystemActor, acting
from spinetrial.audit.clock import now
from spinetrial.crf import save
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.schedule import PlannedVisit
from spinetrial.review import trial
from spinetrial.review.freezes import frozen
from spinetrial.terminology.opioids import plain

#: PostgreSQL lets no other actor write a report (`sql/reports.sql`).
PARTICIPANT = SystemActor("participant")
REASON = "answered by the participant"

#: The pages of the questionnaire, in order; "which" is left out when no analgesics were taken.
STEPS = ("pain", "medicines", "which", "check")
#: Lines for medicines that are not on the list, and the longest name of one.
OTHERS, OTHER_NAME = 2, 80
#: So long after the last day of its link an unconfirmed answer is kept: the window of a visit can still be corrected.
KEPT_FOR = timedelta(days=30)
#: Largest number of one medicine in 24 hours that a person can mean.
MOST = Decimal(50)

_SIGNER = signing.Signer(salt="followup.questionnaire")
_CHANNELS = {channel.value[0]: channel for channel in Channel}


class Standing(Enum):
    """What a link can do now."""

    OPEN = "open"
    NOT_YET = "not yet"
    EXPIRED = "expired"
    ANSWERED = "answered"
    REVOKED = "revoked"
    CLOSED = "closed"  # nobody waits for the visit any more: end of follow-up, withdrawal, death
    PAUSED = "paused"  # the data are frozen or locked


class NotOpen(Exception):
    """The link cannot be used for this now; `standing` says why. Nothing was written."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.value)
        self.standing = standing


class BadAnswer(Exception):
    """What was posted is no answer to the question. `problem`: "missing", "number" or "name"."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Link:
    """A link that was made here: its invitation, and how it was handed over."""

    invitation: Invitation
    channel: Channel

    @property
    def subject(self) -> Subject:
        return self.invitation.subject


# --- links ---


def token_of(invitation: Invitation, channel: Channel) -> str:
    """The secret part of a link, short enough for a small QR code. It holds neither name nor code of the participant.

    The day on which it ends stands in the invitation.
    """
    return _SIGNER.sign(f"{invitation.pk}{channel.value[0]}")


def read_token(token: str) -> Link | None:
    """The link of a token; None for one that was not made here, or not for an invitation that exists."""
    try:
        text = _SIGNER.unsign(token)
    except signing.BadSignature:
        return None
    pk, channel = int(text[:-1]), _CHANNELS[text[-1]]
    rows = list_records(PARTICIPANT, Invitation, "epro.enter").select_related("subject__site")
    invitation = rows.filter(pk=pk).first()
    return Link(invitation, channel) if invitation else None


def plan_for(subject: Subject, event: str) -> PlannedVisit:
    """The visit with its window as planned today. Raises ValueError for a code that is no follow-up visit."""
    return plan_of(dates(milestones_of(subject)), event, subject.site.today())


def standing_of(invitation: Invitation) -> Standing:
    """What the link can do on this day at the site; the data decide anew each time."""
    if invitation.revoked_at is not None:
        return Standing.REVOKED
    if invitation.submitted_at is not None or report_of(invitation.subject, invitation.event) is not None:
        return Standing.ANSWERED
    ready = readiness(invitation.subject, invitation.event)
    if ready is Standing.OPEN and invitation.subject.site.today() > invitation.expires:
        return Standing.EXPIRED
    return ready


def readiness(subject: Subject, event: str) -> Standing:
    """Whether the questionnaire of a visit could be answered today: OPEN, NOT_YET, EXPIRED, CLOSED or PAUSED."""
    plan, today = plan_for(subject, event), subject.site.today()
    if _has_left(subject) or plan.opens is None or plan.closes is None or not plan.expected:
        return Standing.CLOSED
    if TrialState.current().state != TrialState.State.OPEN or frozen([subject.pk]).holds(subject.pk, event):
        return Standing.PAUSED
    if today < plan.opens:
        return Standing.NOT_YET
    return Standing.OPEN if today <= plan.closes else Standing.EXPIRED


def _has_left(subject: Subject) -> bool:
    """Died, ended follow-up, or withdrew from follow-up or from the use of data."""
    stones = milestones_of(subject)
    if stones.death_date is not None or stones.followup_ended_on is not None:
        return True
    return of_subject(subject, Withdrawal).filter(Q(from_followup=True) | Q(from_data_use=True)).exists()


def report_of(subject: Subject, event: str) -> PatientReport | None:
    """The participant's report of a visit."""
    return of_subject(subject, PatientReport).filter(event=event).first()


def invitation_of(subject: Subject, event: str) -> Invitation | None:
    """The invitation in force for a visit."""
    row = of_subject(subject, Invitation).filter(event=event, revoked_at__isnull=True).first()
    if row is not None:
        row.subject = subject
    return row


def do_invite(actor: AnyActor, subject: Subject, event: str, channel: Channel) -> Invitation:
    """The invitation for a visit, made now unless there is one in force.

    One that has run out while the window moved on is replaced. Raises PermissionDenied, NotOpen.
    """
    check_may(actor, "crf.enter", subject.site_id)
    with acting(actor, "questionnaire for the participant"):
        _lock(actor, subject)
        found = invitation_of(subject, event)
        standing = readiness(subject, event) if found is None else standing_of(found)
        plan = plan_for(subject, event)
        if standing is Standing.EXPIRED and found and plan.closes and subject.site.today() <= plan.closes:
            found.revoked_at = now()
            found.save()
            found, standing = None, readiness(subject, event)
        if standing not in (Standing.OPEN, Standing.NOT_YET) or plan.closes is None:
            raise NotOpen(standing)
        if found is None:
            found = Invitation(
                subject=subject,
                event=event,
                channel=channel,
                made_at=now(),
                made_by=actor if isinstance(actor, User) else None,
                expires=plan.closes,
            )
            found.save()
    return found


def do_revoke(actor: User, subject: Subject, event: str, reason: str) -> None:
    """End the link of a visit; what was answered and not confirmed is forgotten. A report stays.

    Raises PermissionDenied, NotOpen when there is no link or it is answered, ValueError for an empty reason.
    """
    check_may(actor, "crf.enter", subject.site_id)
    if not reason.strip():
        raise ValueError("Revoking needs a reason.")
    with acting(actor, reason):
        _lock(actor, subject)
        found = invitation_of(subject, event)
        if found is None or found.submitted_at is not None:
            raise NotOpen(Standing.REVOKED if found is None else Standing.ANSWERED)
        found.revoked_at = now()
        found.save()
        list_records(PARTICIPANT, PendingAnswers, "epro.enter").filter(invitation=found).delete()


def _lock(actor: AnyActor, subject: Subject) -> None:
    """Who invites, revokes, answers or saves a form of the subject takes turns."""
    list_records(actor, Subject, "subject.view").select_for_update(of=("self",)).get(pk=subject.pk)


# --- answering ---


def answers_of(invitation: Invitation) -> dict[str, Any]:
    """What is answered so far: language, nrs, analgesics, taken."""
    row = list_records(PARTICIPANT, PendingAnswers, "epro.enter").filter(invitation=invitation).first()
    return dict(row.data) if row else {}


def next_step(answers: Mapping[str, Any]) -> str:
    """The first page not answered yet; "" before the language is chosen."""
    if "language" not in answers:
        return ""
    if "nrs" not in answers:
        return "pain"
    if "analgesics" not in answers:
        return "medicines"
    if answers["analgesics"] == AnalgesicStatus.SOME and not answers.get("taken"):
        return "which"
    return "check"


def may_open(step: str, answers: Mapping[str, Any]) -> bool:
    """Whether a page can be shown: every page up to the first that is not answered."""
    reached = next_step(answers)
    if step == "which" and answers.get("analgesics") != AnalgesicStatus.SOME:
        return False
    return bool(reached) and STEPS.index(step) <= STEPS.index(reached)


def steps_of(answers: Mapping[str, Any]) -> list[str]:
    """The pages of this participant, as far as it is known."""
    return [step for step in STEPS if step != "which" or answers.get("analgesics") in (None, AnalgesicStatus.SOME)]


def do_answer(link: Link, **answers: Any) -> dict[str, Any]:
    """Keep answers at once; answers all that is kept. Raises NotOpen."""
    invitation = _usable(link)
    rows = list_records(PARTICIPANT, PendingAnswers, "epro.enter")
    with acting(PARTICIPANT, REASON):
        _lock(PARTICIPANT, link.subject)
        invitation = _usable(link)
        language = str(answers.get("language", ""))
        if invitation.opened_at is None or language not in ("", invitation.language):
            invitation.opened_at = invitation.opened_at or now()
            invitation.language = language or invitation.language
            invitation.save()
        row = rows.filter(invitation=invitation).first() or PendingAnswers(invitation=invitation, data={})
        row.data = {**row.data, **answers}
        if row.data.get("analgesics") != AnalgesicStatus.SOME:
            row.data.pop("taken", None)
        row.saved_at = now()
        row.save()
    return dict(row.data)


def do_submit(link: Link) -> PatientReport:
    """Turn the answers into the report of the visit, once. Raises NotOpen, BadAnswer when one is missing."""
    with acting(PARTICIPANT, REASON):
        _lock(PARTICIPANT, link.subject)
        invitation = _usable(link)
        answers = answers_of(invitation)
        if next_step(answers) != "check":
            raise BadAnswer("missing")
        invitation.submitted_at = now()
        invitation.save()
        values = {
            "answered_on": link.subject.site.today(),
            "nrs_worst": answers["nrs"],
            "analgesics": answers["analgesics"],
            "channel": link.channel,
            "language": answers["language"],
        }
        rows = {"analgesics_taken": answers.get("taken", [])}
        try:
            report = save.enter(REPORT, link.subject, PARTICIPANT, values, rows, event=invitation.event, reason=REASON)
        except trial.EntryClosed:
            raise NotOpen(Standing.PAUSED) from None
        list_records(PARTICIPANT, PendingAnswers, "epro.enter").filter(invitation=invitation).delete()
    if not isinstance(report, PatientReport):
        raise TypeError("F.EPRO is kept in PatientReport")
    return report


def do_forget_unsent() -> int:
    """Delete answers nobody confirmed whose link ran out KEPT_FOR ago; returns how many. They never were trial data."""
    rows = list_records(PARTICIPANT, PendingAnswers, "epro.enter")
    return rows.filter(invitation__expires__lt=now().date() - KEPT_FOR).delete()[0]


def _usable(link: Link) -> Invitation:
    """The invitation as it stands now. Raises NotOpen."""
    rows = list_records(PARTICIPANT, Invitation, "epro.enter").select_related("subject__site")
    invitation = rows.get(pk=link.invitation.pk)
    standing = standing_of(invitation)
    if standing is not Standing.OPEN:
        raise NotOpen(standing)
    return invitation


# --- questions ---


@dataclass(frozen=True)
class Medicine:
    """One line of the list of medicines: what is asked by its number, and the row it becomes."""

    name: str
    amount: str  # dose with unit; empty when not known
    patch: bool
    row: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(str(self.row.get(name) or "") for name in ("drug", "other_name", "dose", "route", "use"))


def medicines_of(subject: Subject, event: str) -> list[Medicine]:
    """The medicines last written down before this visit: at the visit before it, else at baseline."""
    found: dict[tuple[str, ...], Medicine] = {}
    for row in _last_rows(subject, event):
        medicine = Medicine(
            name=row.name,
            amount="" if row.dose is None else f"{plain(row.dose)} {row.unit}",
            patch=row.entry.route.value == "patch",
            row={
                "drug": row.drug,
                "other_name": row.other_name,
                "route": row.route,
                "use": row.use,
                "dose": None if row.dose is None else str(row.dose),
            },
        )
        found.setdefault(medicine.key, medicine)
    return list(found.values())


def _last_rows(subject: Subject, event: str) -> Sequence[AnalgesicItems]:
    known = (AnalgesicStatus.SOME, AnalgesicStatus.NONE)
    place = events.event_order(CURRENT, event)
    visits = [
        (order, visit)
        for visit in of_subject(subject, Visit).filter(analgesics__in=known)
        if (order := events.event_order(CURRENT, visit.event)) < place
    ]
    if visits:
        last = max(visits, key=lambda pair: pair[0])[1]
        return list(of_subject(subject, VisitAnalgesic).filter(parent=last))
    baseline = of_subject(subject, BaselinePain).first()
    return list(of_subject(subject, BaselineAnalgesic).filter(parent=baseline)) if baseline else []


def read_number(text: str) -> Decimal | None:
    """A number of tablets as typed: digits, perhaps a decimal point or comma; None for nothing or 0.

    Raises BadAnswer.
    """
    text = text.strip().replace(",", ".").replace("，", ".")
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise BadAnswer("number") from None
    if not number.is_finite() or not 0 <= number <= MOST or number != round(number, 2):
        raise BadAnswer("number")
    return number or None


def read_medicines(posted: Mapping[str, str], medicines: Sequence[Medicine]) -> list[dict[str, Any]]:
    """The rows of what was taken: fields number-<n>, other-<n> and other-number-<n>. Raises BadAnswer."""
    rows: list[dict[str, Any]] = []
    for n, medicine in enumerate(medicines):
        number = read_number(posted.get(f"number-{n}", ""))
        if number is not None:
            rows.append({**medicine.row, "times": str(number)})
    for n in range(OTHERS):
        name = " ".join("".join(c if c.isprintable() else " " for c in posted.get(f"other-{n}", "")).split())
        number = read_number(posted.get(f"other-number-{n}", ""))
        if len(name) > OTHER_NAME or (number is not None and not name):
            raise BadAnswer("name")
        if name:
            # Nobody knows yet whether it is an opioid: counted as one without a factor, the OMED stays unknown.
            rows.append({"drug": "OTHER_OPIOID", "other_name": name, "times": None if number is None else str(number)})
    if not rows:
        raise BadAnswer("missing")
    return rows


def read_score(text: str) -> int:
    """A whole number from 0 to 10. Raises BadAnswer."""
    if text not in {str(n) for n in range(11)}:
        raise BadAnswer("missing")
    return int(text)


def read_status(text: str) -> str:
    """Whether analgesics were taken: a code of AnalgesicStatus. Raises BadAnswer."""
    if text not in AnalgesicStatus.values:
        raise BadAnswer("missing")
    return text


def read_language(text: str) -> str:
    """A language the questionnaire speaks. Raises BadAnswer."""
    if text not in LANGUAGE_CODES:
        raise BadAnswer("missing")
    return text


def index_level(subject: Subject) -> str:
    """The vertebra whose pain is asked about; "" when it is not recorded."""
    sites = of_subject(subject, SitesOfDisease).first()
    return sites.index_level if sites else ""


def window_of(invitation: Invitation) -> tuple[date | None, date | None]:
    """First and last day on which the link can be used."""
    plan = plan_for(invitation.subject, invitation.event)
    closes = min(plan.closes, invitation.expires) if plan.closes else None
    return plan.opens, closes
