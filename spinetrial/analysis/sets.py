"""From a snapshot to one row per randomised participant, and the analysis sets as rules on that row.

ITT: all randomised. Safety: at least one fraction given (D23). Evaluable: a response at the primary visit that is
not NE (D7). PP: D24, each failed condition by name. The rows are frozen and need no database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from adverse_events.models import CRITERIA as SERIOUS_CRITERIA
from followup.models import ScoreMissingReason
from followup.response import NE_REASON_LABELS, Category, NeReason, Reading, Response, respond, score_that_counts
from followup.visits import plan_of
from patients.pain import omed_answered
from radiotherapy.models import TargetVertebra
from radiotherapy.targets import arm_target_treated
from spinetrial.analysis import particulars
from spinetrial.analysis.data import Snapshot
from spinetrial.analysis.particulars import Delivery, Deviation, EventDetail, Withdrawn
from spinetrial.analysis.records import Record, Records, SourceRecord, code_of, date_of, decimal_of, int_of
from spinetrial.analysis.times import (
    DAYS_PER_MONTH,
    EventTime,
    Look,
    Parameter,
    death_of,
    first_treatment,
    last_alive,
    times_of,
)
from spinetrial.protocol import events as protocol_events
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.schedule import MilestoneDates, PlannedVisit, completed_years
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.opioids import TABLES, Intake
from spinetrial.terminology.sectors import SECTORS

#: Reason of a visit without a form whose window had not closed at the last date of the data.
NOT_YET = "not_yet"

REASON_LABELS: dict[str, str] = {
    **{reason.value: label for reason, label in NE_REASON_LABELS.items()},
    NOT_YET: _("Not due yet"),
}


class AnalysisSet(StrEnum):
    ITT = "ITT"
    PP = "PP"
    SAFETY = "SAFETY"
    EVALUABLE = "EVALUABLE"


SET_LABELS: dict[AnalysisSet, str] = {
    AnalysisSet.ITT: _("Intention to treat (ITT): all randomised"),
    AnalysisSet.PP: _("Per protocol (PP)"),
    AnalysisSet.SAFETY: _("Safety: at least one fraction given"),
    AnalysisSet.EVALUABLE: _("Evaluable at the primary visit"),
}


class PpReason(StrEnum):
    """Why a participant is outside the per-protocol set: the conditions of D24, and what masking hides."""

    NOT_ELIGIBLE = "eligible"
    WRONG_TARGET = "arm_target_treated"
    FEW_FRACTIONS = "fractions"
    PAIN_NOT_IN_WINDOW = "pain_in_window"


PP_REASON_LABELS: dict[PpReason, str] = {
    PpReason.NOT_ELIGIBLE: _("Eligibility not confirmed"),
    PpReason.WRONG_TARGET: _("Target of the arm not treated, without a stated reason, or not recorded"),
    PpReason.FEW_FRACTIONS: _("Too few fractions"),
    PpReason.PAIN_NOT_IN_WINDOW: _("Pain at the primary visit not assessed in its window"),
}


@dataclass(frozen=True, slots=True)
class VisitResponse:
    """Pain of one participant at one visit, with the category by each reading (D1).

    `missing`: the response is unknown, rather than decided by death, retreatment or the baseline. `clinic_nrs` and
    `reported_nrs` are the two answers that `nrs` was taken from, `nrs_source` says whose it is, `omed_source` which
    form `omed` is from. `clause` of the definition gave the category by the protocol's reading. `visit_record` is the
    number of the visit form (also of one that says why there was no visit), `report_record` that of the participant's
    own report; `dated_by` is the one whose date is `visit_date`.
    """

    visit: str
    visit_date: date | None
    in_window: bool
    nrs: int | None
    omed: Decimal | None
    categories: tuple[tuple[Reading, Category], ...]
    ne_reason: str
    missing: bool
    clinic_nrs: int | None = None
    reported_nrs: int | None = None
    nrs_source: str = ""
    omed_source: str = ""
    clause: str = ""
    visit_record: int | None = None
    report_record: int | None = None
    dated_by: SourceRecord | None = None
    #: Why there is no pain score: a code of REASON_LABELS, empty where there is one or the reason is not recorded.
    absence: str = ""

    def category(self, reading: Reading) -> Category:
        return dict(self.categories)[reading]

    def responder(self, reading: Reading, protocol: Protocol) -> bool:
        return self.category(reading).value in protocol.response.responders


@dataclass(frozen=True, slots=True)
class WorstEvent:
    """A CTCAE term of one participant with the worst grade (D23).

    `records`: the numbers of all records of the term in A.AE; `worst_records`: of those with the worst grade.
    """

    code: str
    grade: int
    serious: bool
    records: tuple[int, ...] = ()
    worst_records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRow:
    """One randomised participant. `arm` is None where it may not be known. Times in months, OMED in mg/day.

    `sources`: the records of the forms kept once that the row was made from. `retreated`: the first further treatment
    of the index site. `death_cause`: a code of `followup.models.DeathCause`, empty where nobody died.
    """

    site: str
    subject: str
    arm: str | None
    randomized: date
    rt_start: date | None
    rt_end: date | None
    fractions: int
    treatment_withdrawn: date | None
    followup_ended: date | None
    end_reason: str
    death: date | None
    last_alive: date
    alive_source: SourceRecord
    age: int | None
    nrs: int | None
    omed: Decimal | None
    traits: tuple[tuple[str, str], ...]
    visits: tuple[VisitResponse, ...]
    events: tuple[WorstEvent, ...]
    pp_reasons: tuple[PpReason, ...]
    evaluable: bool
    times: tuple[EventTime, ...]
    sources: tuple[SourceRecord, ...]
    retreated: Look | None
    death_cause: str
    never_irradiated: bool = False
    rt_completed: bool = False
    event_details: tuple[EventDetail, ...] = ()
    #: None where the forms of the radiotherapy are withheld because they reveal the arm.
    delivery: Delivery | None = None
    withdrawals: tuple[Withdrawn, ...] = ()
    deviations: tuple[Deviation, ...] = ()

    @property
    def treated(self) -> bool:
        return self.fractions > 0

    @property
    def months(self) -> float:
        """Time from randomisation to death or to the last date known alive."""
        return ((self.death or self.last_alive) - self.randomized).days / DAYS_PER_MONTH

    def trait(self, name: str) -> str:
        """Stored code of a baseline characteristic; empty when it is not known."""
        return dict(self.traits).get(name, "")

    def response(self, visit: str) -> VisitResponse:
        """The response at a visit. Raises KeyError for a visit outside the analysis."""
        for response in self.visits:
            if response.visit == visit:
                return response
        raise KeyError(visit)

    def source(self, table: str) -> int | None:
        """Number of the record of a form kept once that the row was made from."""
        return next((source.record for source in self.sources if source.table == table), None)

    def time(self, parameter: Parameter) -> EventTime:
        """The time to an event. Raises KeyError for an unknown parameter."""
        return {each.parameter: each for each in self.times}[parameter]

    def worst(self, term_code: str) -> int:
        """Worst grade of a term; 0 when it did not occur."""
        return max((event.grade for event in self.events if event.code == term_code), default=0)


@dataclass(frozen=True, slots=True)
class Flow:
    """Counts of the flow of participants before randomisation, by site and in all."""

    screened: int
    screen_failures: int
    failure_reasons: tuple[tuple[str, int], ...]
    waiting: int
    randomized: int
    sites: tuple[tuple[str, int, int], ...]
    #: Criteria that kept people out, by code; one person may fail several.
    failed_criteria: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Analysed:
    """What the statistics are computed from. `visits` in the order of the schedule."""

    rows: tuple[AnalysisRow, ...]
    flow: Flow
    visits: tuple[str, ...]
    last_date: date | None


def members(rows: Iterable[AnalysisRow], which: AnalysisSet) -> tuple[AnalysisRow, ...]:
    """The rows of an analysis set."""
    keep = {
        AnalysisSet.ITT: lambda row: True,
        AnalysisSet.PP: lambda row: not row.pp_reasons,
        AnalysisSet.SAFETY: lambda row: row.treated,
        AnalysisSet.EVALUABLE: lambda row: row.evaluable,
    }[which]
    return tuple(row for row in rows if keep(row))


#: Baseline characteristics read as stored codes: name, table, column.
TRAITS: tuple[tuple[str, str, str], ...] = (
    ("sex", "P.DM", "sex"),
    ("primary_site", "P.TUMOUR", "site"),
    ("visceral", "P.TUMOUR", "visceral_metastases"),
    ("ecog", "P.STATUS", "ecog"),
    ("kps", "P.STATUS", "kps"),
    ("index_level", "P.SITES", "index_level"),
    ("escc", "P.SITES", "escc"),
    ("neurology", "P.STATUS", "neurology"),
    ("analgesics", "P.PAIN", "analgesics"),
)


#: Forms kept once that a row is made from. R.RT is in it only where it is in the snapshot: it reveals the arm.
SOURCES: tuple[str, ...] = ("P.SCREEN", "P.DM", "P.TUMOUR", "P.SITES", "P.STATUS", "P.PAIN", "R.RT")


def build(snapshot: Snapshot, protocol: Protocol) -> Analysed:
    """All randomised participants of a snapshot, in the order of their codes.

    Without the tables that show an arm, `arm` is None and the target condition of the PP set is not judged.
    """
    data = Records(snapshot)
    randomized = [record for record in snapshot.records("SUBJECTS") if record["randomized_on"]]
    last_date = _last_date(snapshot)
    visits = [rule.code for rule in protocol.visits]
    recorded = {str(record["event"]) for name in ("F.VISIT", "F.EPRO") for record in snapshot.records(name)}
    visits += sorted(
        (code for code in recorded - set(visits) if protocol_events.is_scheduled(protocol, code)),
        key=lambda code: protocol_events.event_order(protocol, code),
    )
    rows = tuple(_row(record, data, protocol, visits, last_date) for record in randomized)
    return Analysed(rows=rows, flow=_flow(snapshot), visits=tuple(visits), last_date=last_date)


def _row(
    record: Record, data: Records, protocol: Protocol, visits: Sequence[str], last_date: date | None
) -> AnalysisRow:
    subject = str(record["subject"])
    randomized, milestones = date.fromisoformat(str(record["randomized_on"])), _milestones(record)
    pain = data.one("P.PAIN", subject)
    baseline_nrs = int_of(pain.get("nrs_worst"))
    baseline_omed = _omed(pain, data.rows("P.PAIN.analgesics_taken", subject, pain), protocol)
    forms = {str(form["event"]): form for form in data.all("F.VISIT", subject)}
    reports = {str(report["event"]): report for report in data.all("F.EPRO", subject)}
    treated, death, alive = first_treatment(record, data), death_of(record, data), last_alive(record, data)
    treated_on = treated.day if treated else None
    responses = []
    for visit in visits:
        form, report = forms.get(visit), reports.get(visit)
        # The visit form's list of analgesics is the checked one; without it there is only the participant's.
        told, table = (form, "F.VISIT") if form and form["analgesics"] else (report, "F.EPRO")
        dose = _omed(told, data.rows(f"{table}.analgesics_taken", subject, told), protocol) if told else None
        source = table if dose is not None else ""
        responses.append(
            _visit(
                visit, form, report, dose, source, milestones, treated_on, baseline_nrs, baseline_omed, protocol,
                last_date,
            )
        )  # fmt: skip
    birth = date_of(data.one("P.DM", subject).get("birth_date"))
    fractions = int_of(record["fractions_given"]) or 0
    primary = next(each for each in responses if each.visit == protocol.primary.timepoint.visit)
    arm = data.one("ARM", subject).get("arm")
    reading = Reading(protocol.response.reading)
    pain_looks = [
        Look(each.visit_date, each.category(reading) is Category.PP, each.dated_by)
        for each in responses
        if each.visit_date and each.dated_by and each.category(reading) is not Category.NE
    ]
    sites, course = data.one("P.SITES", subject), data.one("R.RT", subject)
    given = data.rows("R.RT.fractions", subject, course)
    derived = particulars.baseline_findings(
        sites, data.rows("P.SITES.sites", subject, sites), data.one("P.TUMOUR", subject), randomized
    )
    events = data.all("A.AE", subject)
    return AnalysisRow(
        site=str(record["site_code"]),
        subject=subject,
        arm=None if arm is None else str(arm),
        randomized=randomized,
        rt_start=milestones.rt_start,
        rt_end=date_of(record["rt_end"]),
        fractions=fractions,
        treatment_withdrawn=date_of(record["treatment_withdrawn_on"]),
        followup_ended=milestones.end_of_followup,
        end_reason=str(data.one("P.EOS", subject).get("status") or ""),
        death=milestones.death,
        last_alive=alive.day,
        alive_source=alive.source,
        age=None if birth is None else completed_years(birth, randomized),
        nrs=baseline_nrs,
        omed=baseline_omed,
        traits=(
            *((name, code_of(data.one(table, subject).get(column))) for name, table, column in TRAITS),
            *derived.items(),
        ),
        visits=tuple(responses),
        events=_events(events),
        pp_reasons=tuple(_pp_reasons(record, data, subject, str(arm), fractions, primary, protocol)),
        evaluable=primary.category(reading) is not Category.NE,
        times=times_of(record, data, pain_looks),
        sources=tuple(
            SourceRecord(table, int_of(found["record"])) for table in SOURCES if (found := data.one(table, subject))
        ),
        retreated=treated,
        death_cause=death.cause if death else "",
        never_irradiated=milestones.never_irradiated,
        rt_completed=bool(record["rt_completed"]),
        event_details=particulars.event_details(events, milestones.rt_start, milestones.rt_end),
        delivery=particulars.delivery(course, given) if data.shows_targets else None,
        withdrawals=particulars.withdrawals(data.all("P.WITHDRAW", subject)),
        deviations=particulars.deviations(
            protocol,
            randomized=randomized,
            rt_start=milestones.rt_start,
            answers=data.all("P.SCREEN.answers", subject),
            status=data.one("P.STATUS", subject),
            pain=pain,
            course=course,
            rows=given,
        ),
    )


def _milestones(record: Record) -> MilestoneDates:
    return MilestoneDates(
        consent=date_of(record["consent_date"]),
        randomized=date_of(record["randomized_on"]),
        rt_start=date_of(record["rt_start"]),
        rt_end=date_of(record["rt_end"]) if record["rt_completed"] else None,
        never_irradiated=bool(record["never_irradiated"]),
        death=date_of(record["death_date"]),
        end_of_followup=date_of(record["followup_ended_on"]),
    )


def _omed(form: Record, rows: Iterable[Record], protocol: Protocol) -> Decimal | None:
    """OMED in mg/day of a form with analgesics; None when it cannot be known (D7, D22)."""
    taken = [Intake(str(row["drug"]), decimal_of(row["dose"]), decimal_of(row["times"])) for row in rows]
    table = TABLES[protocol.analgesics.table_version]
    return omed_answered(taken, str(form.get("analgesics") or ""), table).total


#: Reasons that decide a response rather than leave it unknown: an imputation must not touch them.
_DECIDED = frozenset({NeReason.DEAD, NeReason.INTERVENTION, NeReason.BASELINE_PAIN_ZERO})


def _visit(
    visit: str,
    form: Record | None,
    report: Record | None,
    dose: Decimal | None,
    dose_source: str,
    milestones: MilestoneDates,
    treated_on: date | None,
    baseline_nrs: int | None,
    baseline_omed: Decimal | None,
    protocol: Protocol,
    last_date: date | None,
) -> VisitResponse:
    actual = date_of(form["visit_date"]) if form else None
    if actual is None and report:
        actual = date_of(report["answered_on"])
    score = score_that_counts(
        int_of(report["nrs_worst"]) if report else None, int_of(form["nrs_worst"]) if form else None, protocol
    )
    nrs = score.value
    plan = plan_of(milestones, visit, last_date or date.min)
    # Treated again before a visit that then was missed: the outcome is decided, nothing is left to impute.
    assessed = actual or plan.due
    reason, not_yet = None, False
    if nrs is None:
        reason, not_yet = _missing(form, plan, milestones, last_date)
    found: list[Response] = [
        respond(
            baseline_nrs, baseline_omed, nrs, dose, reading,
            intervention=bool(treated_on and assessed and treated_on <= assessed), missing=reason, protocol=protocol,
        )
        for reading in Reading
    ]  # fmt: skip
    main = next(each for each in found if each.reading.value == protocol.response.reading)
    ne_reason = main.ne_reason.value if main.ne_reason else ""
    if not_yet and main.ne_reason is reason:
        ne_reason = NOT_YET
    return VisitResponse(
        visit=visit,
        visit_date=actual,
        in_window=bool(actual and plan.opens and plan.closes and plan.opens <= actual <= plan.closes),
        nrs=nrs,
        omed=dose,
        categories=tuple((each.reading, each.category) for each in found),
        ne_reason=ne_reason,
        missing=main.category is Category.NE and main.ne_reason not in _DECIDED,
        clinic_nrs=score.clinic,
        reported_nrs=score.reported,
        nrs_source=score.source.value if score.source else "",
        omed_source=dose_source,
        clause=main.clause.value if main.clause else "",
        visit_record=int_of(form["record"]) if form else None,
        report_record=int_of(report["record"]) if report else None,
        dated_by=_source("F.VISIT", form) if form and form["visit_date"] else _source("F.EPRO", report),
        absence=NOT_YET if not_yet else reason.value if reason else "",
    )


def _source(table: str, record: Record | None) -> SourceRecord | None:
    return SourceRecord(table, int_of(record["record"])) if record else None


def _missing(
    form: Record | None, plan: PlannedVisit, milestones: MilestoneDates, last_date: date | None
) -> tuple[NeReason | None, bool]:
    """Why there is no pain score (D7), and whether the visit may still come."""
    if form is not None:
        code = str(form["missed_reason"] or form["nrs_missing"] or "")
        return (NeReason(code) if code and code != ScoreMissingReason.PATIENT else None), False
    # Without an end of follow-up a visit is not in the plan only because the schedule has not reached it.
    if not plan.expected and milestones.ended is not None:
        # Who had left the follow-up alive and died after the due date was not dead at this visit.
        dead = milestones.death is not None and (plan.due is None or milestones.death <= plan.due)
        return (NeReason.DEAD if dead else NeReason.WITHDRAWN), False
    not_yet = plan.closes is None or last_date is None or last_date <= plan.closes
    return NeReason.MISSED, not_yet


def _pp_reasons(
    record: Record,
    data: Records,
    subject: str,
    arm: str,
    fractions: int,
    primary: VisitResponse,
    protocol: Protocol,
) -> Iterable[PpReason]:
    """Failed conditions of D24. The target is judged only where the arm may be known."""
    if not record["eligible_on"] or not data.one("P.SCREEN", subject).get("confirmed"):
        yield PpReason.NOT_ELIGIBLE
    if data.shows_targets and not _target_treated(data, subject, arm, protocol):
        yield PpReason.WRONG_TARGET
    if fractions < protocol.per_protocol.min_fractions:
        yield PpReason.FEW_FRACTIONS
    if primary.nrs is None or not primary.in_window:
        yield PpReason.PAIN_NOT_IN_WINDOW


def _target_treated(data: Records, subject: str, arm: str, protocol: Protocol) -> bool:
    """The rule of `radiotherapy.targets` on the stored rows (D12, D13, D24)."""
    targets = [
        TargetVertebra(
            level=str(row["level"]),
            body_extent=str(row["body_extent"]),
            ring_reason=str(row["ring_reason"]),
            sector_remark=str(row["sector_remark"]),
            **{f"{volume}{n}": bool(row[f"{volume}{n}"]) for volume in ("gtv", "ctv") for n in SECTORS},
        )
        for row in data.rows("R.RT.targets", subject, data.one("R.RT", subject))
    ]
    return arm_target_treated(protocol.arm(arm), targets)


def _events(forms: Iterable[Record]) -> tuple[WorstEvent, ...]:
    """The worst grade of each term; serious if any event of the term is."""
    by_term: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    for form in forms:
        serious = any(form[name] for name in SERIOUS_CRITERIA)
        by_term[str(form["ctcae_code"])].append((int_of(form["grade"]) or 0, int_of(form["record"]) or 0, serious))
    found = []
    for code, events in sorted(by_term.items()):
        worst = max(grade for grade, _record, _serious in events)
        found.append(
            WorstEvent(
                code=code,
                grade=worst,
                serious=any(serious for _grade, _record, serious in events),
                records=tuple(sorted(record for _grade, record, _serious in events)),
                worst_records=tuple(sorted(record for grade, record, _serious in events if grade == worst)),
            )
        )
    return tuple(found)


def _last_date(snapshot: Snapshot) -> date | None:
    """The last day something is recorded to have happened; the data's own clock."""
    days = [date_of(record["visit_date"]) for record in snapshot.records("F.VISIT")]
    days += [date_of(record["answered_on"]) for record in snapshot.records("F.EPRO")]
    for record in snapshot.records("SUBJECTS"):
        for name in ("first_contact", "consent_date", "randomized_on", "rt_end", "death_date", "followup_ended_on"):
            days.append(date_of(record[name]))
    return max((day for day in days if day is not None), default=None)


def _flow(snapshot: Snapshot) -> Flow:
    subjects = snapshot.records("SUBJECTS")
    randomized = [record for record in subjects if record["randomized_on"]]
    failed = {
        str(record["subject"]) for record in subjects if record["not_eligible_on"] and not record["randomized_on"]
    }
    reasons = Counter(
        str(record["reason"]) for record in snapshot.records("P.FAIL") if str(record["subject"]) in failed
    )
    reasons[""] = len(failed) - sum(reasons.values())
    criteria = {
        (str(record["subject"]), str(record["criterion"]))
        for record in snapshot.records("P.FAIL.criteria")
        if str(record["subject"]) in failed
    }
    per_criterion = Counter(code for _subject, code in criteria)
    per_site = Counter(str(record["site_code"]) for record in subjects)
    per_site_randomized = Counter(str(record["site_code"]) for record in randomized)
    return Flow(
        screened=len(subjects),
        screen_failures=len(failed),
        failure_reasons=tuple(sorted((reason, count) for reason, count in reasons.items() if count)),
        waiting=len(subjects) - len(failed) - len(randomized),
        randomized=len(randomized),
        sites=tuple((site, per_site[site], per_site_randomized[site]) for site in sorted(per_site)),
        failed_criteria=tuple(sorted(per_criterion.items())),
    )
