"""What the descriptive tables need of one participant beyond the endpoints: records in, frozen facts out.

Radiotherapy as delivered, adverse events one by one, withdrawals, baseline findings that are derived, and deviations
that the records themselves show. Forms that reveal an arm are absent from masked data; then so are their facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from adverse_events.models import CRITERIA, RELATED, AdverseEvent, Phase
from patients.models import DiseaseSite, SitesOfDisease
from patients.sins import sins_of
from radiotherapy import fractions
from radiotherapy.models import Fraction
from spinetrial.analysis.data import Value
from spinetrial.analysis.records import Record, date_of, int_of
from spinetrial.protocol.eligibility import Verdict
from spinetrial.protocol.model import CriterionType, Protocol
from spinetrial.protocol.text import gettext_noop as _


@dataclass(frozen=True, slots=True)
class EventDetail:
    """One adverse event. `phase` is None where the participant was not irradiated; `action` as coded."""

    code: str
    grade: int
    serious: bool
    related: bool
    phase: Phase | None
    action: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Radiotherapy as recorded. `dose_gy`: sum of the fractions given; `missed_days`: treatment weekdays in gaps.

    `ending` and `stop_reason` are the stored codes of `radiotherapy.models.Ending` and `StopReason`; empty: no form.
    `ptv_d95_gy`: dose of 95 per cent of the PTV, None where it is not recorded.
    """

    ending: str
    stop_reason: str
    dose_gy: float
    missed_days: int
    ptv_d95_gy: float | None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal of the participant or by the investigator; `reason` is the protocol's code."""

    reason: str
    from_treatment: bool
    from_followup: bool
    from_data_use: bool


class Deviation(StrEnum):
    """Departures from the protocol that the records show by themselves."""

    CRITERION = "criterion"
    JUDGED = "judged"
    ECOG_OLD = "ecog_old"
    PAIN_OLD = "pain_old"
    PRESCRIPTION = "prescription"
    GAP = "gap"
    OFF_DAY = "off_day"
    SAME_DAY = "same_day"
    LEFT_OUT = "left_out"


DEVIATION_LABELS: dict[Deviation, str] = {
    Deviation.CRITERION: _("Randomised although a criterion is answered against entry"),
    Deviation.JUDGED: _("Criterion decided by a reasoned judgement (D15)"),
    Deviation.ECOG_OLD: _("ECOG assessed outside its days before randomisation"),
    Deviation.PAIN_OLD: _("Baseline pain outside its days before the first fraction"),
    Deviation.PRESCRIPTION: _("Prescribed dose or number of fractions other than the protocol's"),
    Deviation.GAP: _("Treatment days missed between fractions"),
    Deviation.OFF_DAY: _("Fraction on a day outside the treatment week"),
    Deviation.SAME_DAY: _("Two fractions on one day"),
    Deviation.LEFT_OUT: _("Fraction left out for good"),
}

#: Deviations read from forms that reveal the arm.
HIDDEN_WHILE_MASKED = frozenset(
    {Deviation.PRESCRIPTION, Deviation.GAP, Deviation.OFF_DAY, Deviation.SAME_DAY, Deviation.LEFT_OUT}
)

_SINS_PARTS = ("sins_pain", "sins_alignment", "sins_collapse", "sins_posterolateral")

_OF_FRACTIONS = {
    fractions.Deviation.GAP: Deviation.GAP,
    fractions.Deviation.OFF_DAY: Deviation.OFF_DAY,
    fractions.Deviation.SAME_DAY: Deviation.SAME_DAY,
    fractions.Deviation.LEFT_OUT: Deviation.LEFT_OUT,
}


def event_details(forms: Sequence[Record], rt_start: date | None, rt_end: date | None) -> tuple[EventDetail, ...]:
    """The adverse events of a participant. `rt_end`: the last fraction, None while radiotherapy runs."""
    return tuple(
        EventDetail(
            code=str(form["ctcae_code"]),
            grade=int_of(form["grade"]) or 0,
            serious=any(bool(form[name]) for name in CRITERIA),
            related=str(form["relation_radiotherapy"]) in RELATED,
            phase=_phase(form, rt_start, rt_end),
            action=str(form["action"]),
        )
        for form in forms
    )


def _phase(form: Record, rt_start: date | None, rt_end: date | None) -> Phase | None:
    onset = date_of(form["onset_date"])
    return None if onset is None else AdverseEvent(onset_date=onset).phase(rt_start, rt_end)


def delivery(course: Record, rows: Sequence[Record]) -> Delivery:
    """The course as recorded, from its form (empty: none yet) and the rows of its fractions."""
    taken = _fractions(rows)
    return Delivery(
        ending=str(course.get("ending") or ""),
        stop_reason=str(course.get("stop_reason") or ""),
        dose_gy=float(sum((row.dose_gy for row in taken if row.given and row.dose_gy), Decimal(0))),
        missed_days=sum(note.days for note in fractions.deviations(taken)),
        ptv_d95_gy=_float(course.get("ptv_d95_gy")),
    )


def withdrawals(forms: Sequence[Record]) -> tuple[Withdrawn, ...]:
    """The withdrawals of a participant as recorded."""
    return tuple(
        Withdrawn(
            str(form["reason"]), bool(form["from_treatment"]), bool(form["from_followup"]), bool(form["from_data_use"])
        )
        for form in forms
    )


def baseline_findings(sites: Record, rows: Sequence[Record], tumour: Record, randomized: date) -> dict[str, str]:
    """Derived baseline characteristics as text, empty where not known.

    `sins`: score of the index site, 0 to 18; `stability`: its class. `lesion`, `fracture`: of the index site.
    `metastases`: vertebrae with a metastasis. `years_ill`: years from the first diagnosis to randomisation, two
    decimals.
    """
    level = str(sites.get("index_level") or "")
    index = next((row for row in rows if row["level"] == level), None)
    diagnosed = date_of(tumour.get("diagnosed_on"))
    record = SitesOfDisease(
        index_level=level,
        **{name: str(sites.get(name) or "") for name in _SINS_PARTS},
    )
    lesions = [DiseaseSite(level=str(row["level"]), lesion=str(row["lesion"] or "")) for row in rows]
    score = sins_of(record, lesions) if index is not None and index["lesion"] else None
    return {
        "sins": "" if score is None else str(score.total),
        "stability": "" if score is None else score.stability.value,
        "lesion": "" if index is None else str(index["lesion"] or ""),
        "fracture": "" if index is None or index["fracture"] is None else str(index["fracture"]),
        "metastases": str(len(rows)) if rows else "",
        "years_ill": "" if diagnosed is None else f"{(randomized - diagnosed).days / 365.25:.2f}",
    }


def deviations(
    protocol: Protocol,
    *,
    randomized: date,
    rt_start: date | None,
    answers: Sequence[Record],
    status: Record,
    pain: Record,
    course: Record,
    rows: Sequence[Record],
) -> tuple[Deviation, ...]:
    """The deviations that the records of a participant show, each once, in the order of `Deviation`."""
    found = {_OF_FRACTIONS[note.kind] for note in fractions.deviations(_fractions(rows))}
    against = {CriterionType.INCLUSION: "no", CriterionType.EXCLUSION: "yes"}
    types = {criterion.code: criterion.type for criterion in protocol.criteria}
    for answer in answers:
        side = types.get(str(answer["criterion"]))
        if side is not None and answer["answer"] == against[side]:
            found.add(Deviation.CRITERION)
        elif answer["verdict"] == Verdict.NEEDS_JUDGEMENT and answer["reason"]:
            found.add(Deviation.JUDGED)
    rule = protocol.baseline
    seen, asked = date_of(status.get("assessed_on")), date_of(pain.get("assessed_on"))
    if seen is not None and not randomized - timedelta(days=rule.ecog_days) <= seen <= randomized:
        found.add(Deviation.ECOG_OLD)
    if rt_start and asked and not rt_start - timedelta(days=rule.pain_days_before_rt) <= asked < rt_start:
        found.add(Deviation.PAIN_OLD)
    if course:
        gray, number = _float(course.get("prescribed_gy")), int_of(course.get("prescribed_fractions"))
        if (gray, number) != (protocol.treatment.total_gy, protocol.treatment.fractions) and None not in (gray, number):
            found.add(Deviation.PRESCRIPTION)
    return tuple(each for each in Deviation if each in found)


def _fractions(rows: Sequence[Record]) -> list[Fraction]:
    found = []
    for row in rows:
        day, dose = date_of(row["date"]), row["dose_gy"]
        if day is not None:
            found.append(
                Fraction(
                    number=int_of(row["number"]) or 0,
                    date=day,
                    given=bool(row["given"]),
                    dose_gy=Decimal(str(dose)) if dose else None,
                    gap_reason=str(row["gap_reason"] or ""),
                )
            )
    return found


def _float(value: Value) -> float | None:
    return float(value) if isinstance(value, str) and value else None
