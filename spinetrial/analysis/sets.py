"""From a snapshot to one row per randomised participant, and the analysis sets as rules on that row.

ITT: all randomised. Safety: at least one fraction given (D23). Evaluable: a response at the primary visit that is
not NE (D7). PP: D24, each failed condition by name. The rows are frozen and need no database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from adverse_events.models import CRITERIA as SERIOUS_CRITERIA
from followup.models import INTERVENTIONS, ScoreMissingReason, VisitStatus
from followup.response import NE_REASON_LABELS, Category, NeReason, Reading, Response, respond, score_that_counts
from followup.visits import plan_of
from patients.pain import omed_answered
from radiotherapy.models import TargetVertebra
from radiotherapy.targets import arm_target_treated
from spinetrial.analysis.data import Snapshot, Value
from spinetrial.protocol import events as protocol_events
from spinetrial.protocol.model import Protocol
from spinetrial.protocol.schedule import MilestoneDates, completed_years
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.opioids import TABLES, Intake
from spinetrial.terminology.sectors import SECTORS

Record = Mapping[str, Value]

#: Days of a month wherever time is given in months.
DAYS_PER_MONTH = 365.25 / 12

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
    `reported_nrs` are the two answers that `nrs` was taken from, `nrs_source` says whose it is.
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

    def category(self, reading: Reading) -> Category:
        return dict(self.categories)[reading]

    def responder(self, reading: Reading, protocol: Protocol) -> bool:
        return self.category(reading).value in protocol.response.responders


@dataclass(frozen=True, slots=True)
class WorstEvent:
    """A CTCAE term of one participant with the worst grade (D23)."""

    code: str
    grade: int
    serious: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRow:
    """One randomised participant. `arm` is None where it may not be known. Times in months, OMED in mg/day."""

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
    age: int | None
    nrs: int | None
    omed: Decimal | None
    traits: tuple[tuple[str, str], ...]
    visits: tuple[VisitResponse, ...]
    events: tuple[WorstEvent, ...]
    pp_reasons: tuple[PpReason, ...]
    evaluable: bool

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
)


def build(snapshot: Snapshot, protocol: Protocol) -> Analysed:
    """All randomised participants of a snapshot, in the order of their codes.

    Without the tables that show an arm, `arm` is None and the target condition of the PP set is not judged.
    """
    data = _Index(snapshot)
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


class _Index:
    """Records of the tables by subject, and rows of repeating groups by their parent record."""

    def __init__(self, snapshot: Snapshot) -> None:
        #: A masked snapshot has no targets, whether or not arms were drawn for a dry run.
        self.shows_targets = snapshot.table("R.RT.targets") is not None
        self._of: dict[str, dict[str, list[dict[str, Value]]]] = {}
        for table in snapshot.tables:
            if any(column.name == "subject" for column in table.columns):
                grouped: dict[str, list[dict[str, Value]]] = defaultdict(list)
                for record in table.records():
                    grouped[str(record["subject"])].append(record)
                self._of[table.name] = grouped

    def all(self, table: str, subject: str) -> list[dict[str, Value]]:
        return self._of.get(table, {}).get(subject, [])

    def one(self, table: str, subject: str) -> Record:
        """The record of a form kept once; empty when there is none."""
        found = self.all(table, subject)
        return found[0] if found else {}

    def rows(self, table: str, subject: str, parent: Record) -> list[dict[str, Value]]:
        return [row for row in self.all(table, subject) if row["parent"] == parent.get("record")]


def _row(
    record: Record, data: _Index, protocol: Protocol, visits: Sequence[str], last_date: date | None
) -> AnalysisRow:
    subject = str(record["subject"])
    randomized, milestones = date.fromisoformat(str(record["randomized_on"])), _milestones(record)
    pain = data.one("P.PAIN", subject)
    baseline_nrs = _int(pain.get("nrs_worst"))
    baseline_omed = _omed(pain, data.rows("P.PAIN.analgesics_taken", subject, pain), protocol)
    forms = {str(form["event"]): form for form in data.all("F.VISIT", subject)}
    reports = {str(report["event"]): report for report in data.all("F.EPRO", subject)}
    treated_on = _first_intervention(forms.values())
    responses = []
    for visit in visits:
        form, report = forms.get(visit), reports.get(visit)
        # The visit form's list of analgesics is the checked one; without it there is only the participant's.
        told, table = (form, "F.VISIT") if form and form["analgesics"] else (report, "F.EPRO")
        dose = _omed(told, data.rows(f"{table}.analgesics_taken", subject, told), protocol) if told else None
        responses.append(
            _visit(visit, form, report, dose, milestones, treated_on, baseline_nrs, baseline_omed, protocol, last_date)
        )
    birth = _date(data.one("P.DM", subject).get("birth_date"))
    fractions = _int(record["fractions_given"]) or 0
    primary = next(each for each in responses if each.visit == protocol.primary.timepoint.visit)
    arm = data.one("ARM", subject).get("arm")
    return AnalysisRow(
        site=str(record["site_code"]),
        subject=subject,
        arm=None if arm is None else str(arm),
        randomized=randomized,
        rt_start=milestones.rt_start,
        rt_end=_date(record["rt_end"]),
        fractions=fractions,
        treatment_withdrawn=_date(record["treatment_withdrawn_on"]),
        followup_ended=milestones.end_of_followup,
        end_reason=str(data.one("P.EOS", subject).get("status") or ""),
        death=milestones.death,
        last_alive=_last_alive(record, randomized, data, subject),
        age=None if birth is None else completed_years(birth, randomized),
        nrs=baseline_nrs,
        omed=baseline_omed,
        traits=tuple((name, _code(data.one(table, subject).get(column))) for name, table, column in TRAITS),
        visits=tuple(responses),
        events=_events(data.all("A.AE", subject)),
        pp_reasons=tuple(_pp_reasons(record, data, subject, str(arm), fractions, primary, protocol)),
        evaluable=primary.category(Reading(protocol.response.reading)) is not Category.NE,
    )


def _milestones(record: Record) -> MilestoneDates:
    return MilestoneDates(
        consent=_date(record["consent_date"]),
        randomized=_date(record["randomized_on"]),
        rt_start=_date(record["rt_start"]),
        rt_end=_date(record["rt_end"]) if record["rt_completed"] else None,
        never_irradiated=bool(record["never_irradiated"]),
        death=_date(record["death_date"]),
        end_of_followup=_date(record["followup_ended_on"]),
    )


def _omed(form: Record, rows: Iterable[Record], protocol: Protocol) -> Decimal | None:
    """OMED in mg/day of a form with analgesics; None when it cannot be known (D7, D22)."""
    taken = [Intake(str(row["drug"]), _decimal(row["dose"]), _decimal(row["times"])) for row in rows]
    table = TABLES[protocol.analgesics.table_version]
    return omed_answered(taken, str(form.get("analgesics") or ""), table).total


def _first_intervention(forms: Iterable[Record]) -> date | None:
    """When the index site was first treated again, whichever visit reported it."""
    days = [_date(form["index_treatment_date"]) for form in forms if form["index_treatment"] in INTERVENTIONS]
    return min((day for day in days if day is not None), default=None)


#: Reasons that decide a response rather than leave it unknown: an imputation must not touch them.
_DECIDED = frozenset({NeReason.DEAD, NeReason.INTERVENTION, NeReason.BASELINE_PAIN_ZERO})


def _visit(
    visit: str,
    form: Record | None,
    report: Record | None,
    dose: Decimal | None,
    milestones: MilestoneDates,
    treated_on: date | None,
    baseline_nrs: int | None,
    baseline_omed: Decimal | None,
    protocol: Protocol,
    last_date: date | None,
) -> VisitResponse:
    actual = _date(form["visit_date"]) if form else None
    if actual is None and report:
        actual = _date(report["answered_on"])
    score = score_that_counts(
        _int(report["nrs_worst"]) if report else None, _int(form["nrs_worst"]) if form else None, protocol
    )
    nrs = score.value
    plan = plan_of(milestones, visit, last_date or date.min)
    reason, not_yet = None, False
    if nrs is None:
        reason, not_yet = _missing(form, plan.expected, plan.closes, milestones, last_date)
    found: list[Response] = [
        respond(
            baseline_nrs, baseline_omed, nrs, dose, reading,
            intervention=bool(treated_on and actual and treated_on <= actual), missing=reason, protocol=protocol,
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
    )


def _missing(
    form: Record | None, expected: bool, closes: date | None, milestones: MilestoneDates, last_date: date | None
) -> tuple[NeReason | None, bool]:
    """Why there is no pain score (D7), and whether the visit may still come."""
    if form is not None:
        code = str(form["missed_reason"] or form["nrs_missing"] or "")
        return (NeReason(code) if code and code != ScoreMissingReason.PATIENT else None), False
    if not expected:
        return (NeReason.DEAD if milestones.death else NeReason.WITHDRAWN), False
    not_yet = closes is None or last_date is None or last_date <= closes
    return NeReason.MISSED, not_yet


def _pp_reasons(
    record: Record,
    data: _Index,
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


def _target_treated(data: _Index, subject: str, arm: str, protocol: Protocol) -> bool:
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
    grades: dict[str, int] = defaultdict(int)
    serious: set[str] = set()
    for form in forms:
        code = str(form["ctcae_code"])
        grades[code] = max(grades[code], _int(form["grade"]) or 0)
        if any(form[name] for name in SERIOUS_CRITERIA):
            serious.add(code)
    return tuple(WorstEvent(code, grades[code], code in serious) for code in sorted(grades))


def _last_alive(record: Record, randomized: date, data: _Index, subject: str) -> date:
    """The last date on which the participant is known to have been alive: censoring of survival."""
    days: list[date | None] = [randomized, _date(record["rt_start"]), _date(record["rt_end"])]
    days += [_date(form["visit_date"]) for form in data.all("F.VISIT", subject) if form["status"] == VisitStatus.DONE]
    days += [_date(form["imaging_date"]) for form in data.all("F.IMAGING", subject)]
    days += [_date(report["answered_on"]) for report in data.all("F.EPRO", subject)]
    end = data.one("P.EOS", subject)
    if end and end["status"] != "dead":
        days.append(_date(end["ended_on"]))
    return max(day for day in days if day is not None)


def _last_date(snapshot: Snapshot) -> date | None:
    """The last day something is recorded to have happened; the data's own clock."""
    days = [_date(record["visit_date"]) for record in snapshot.records("F.VISIT")]
    days += [_date(record["answered_on"]) for record in snapshot.records("F.EPRO")]
    for record in snapshot.records("SUBJECTS"):
        for name in ("first_contact", "consent_date", "randomized_on", "rt_end", "death_date", "followup_ended_on"):
            days.append(_date(record[name]))
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
    per_site = Counter(str(record["site_code"]) for record in subjects)
    per_site_randomized = Counter(str(record["site_code"]) for record in randomized)
    return Flow(
        screened=len(subjects),
        screen_failures=len(failed),
        failure_reasons=tuple(sorted((reason, count) for reason, count in reasons.items() if count)),
        waiting=len(subjects) - len(failed) - len(randomized),
        randomized=len(randomized),
        sites=tuple((site, per_site[site], per_site_randomized[site]) for site in sorted(per_site)),
    )


def _date(value: Value) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else None


def _int(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _decimal(value: Value) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and value else None


def _code(value: Value) -> str:
    return "" if value is None else str(value)
