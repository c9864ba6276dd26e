"""Eligibility: one finding per criterion from named facts, and what still stands in the way of randomisation.

Convention. A criterion is a statement about the subject. `holds` says whether the statement is true (None:
not settled); `passes` says whether the criterion lets the subject in: an inclusion passes when it holds, an
exclusion passes when it does not. Unknown facts and unsettled judgements block (D15); there are no waivers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from spinetrial.protocol.model import Criterion, CriterionKind, CriterionType, Protocol
from spinetrial.protocol.schedule import add_months, completed_years
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.vertebrae import runs

Value = bool | int | float | str | date | tuple[str, ...]
Facts = Mapping[str, Value | None]


class Verdict(StrEnum):
    """About the criterion's statement, not about the subject's entry: see `Finding.passes`."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    NEEDS_JUDGEMENT = "needs_judgement"


VERDICT_LABELS: dict[Verdict, str] = {
    Verdict.MET: _("True"),
    Verdict.NOT_MET: _("Not true"),
    Verdict.UNKNOWN: _("Unknown"),
    Verdict.NEEDS_JUDGEMENT: _("Needs the investigator's judgement"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named input: its label, its Python type, its unit or code list, the CRF it is recorded on."""

    label: str
    type: type
    unit: str = ""
    crf: str


FACTS: dict[str, Fact] = {
    "birth_date": Fact(label=_("Date of birth"), type=date, crf="P.DM"),
    "consent_date": Fact(label=_("Date of consent"), type=date, crf="P.CONSENT"),
    "consent_signer": Fact(label=_("Consent signed by"), type=str, unit="patient | family", crf="P.CONSENT"),
    "consent_family_relation": Fact(label=_("Relation of the signing family member"), type=str, crf="P.CONSENT"),
    "consent_family_reason": Fact(label=_("Reason why the family signed"), type=str, crf="P.CONSENT"),
    "willing_follow_up": Fact(label=_("Willing to be followed up"), type=bool, crf="P.CONSENT"),
    "first_procedure_date": Fact(label=_("Date of the first trial procedure"), type=date, crf="P.SCREEN"),
    "randomisation_date": Fact(label=_("Date of randomisation (today until then)"), type=date, crf="RAND"),
    "pathology_confirmed": Fact(label=_("Pathology confirmed"), type=bool, crf="P.TUMOUR"),
    "tumour_class": Fact(
        label=_("Tumour class"),
        type=str,
        unit="solid | myeloma | lymphoma | leukaemia | benign",
        crf="P.TUMOUR",
    ),
    "imaging_modality": Fact(label=_("Imaging study that shows the metastases"), type=str, crf="P.SITES"),
    "metastasis_levels": Fact(label=_("Vertebral levels with metastasis"), type=tuple, unit="C1 .. S5", crf="P.SITES"),
    "escc_grade": Fact(
        label=_("Epidural compression (ESCC grade)"), type=str, unit="0 | 1a | 1b | 1c | 2 | 3", crf="P.SITES"
    ),
    "index_nrs_worst": Fact(
        label=_("Worst pain at the index site in the last 24 hours"), type=int, unit="0-10", crf="P.PAIN"
    ),
    "ecog": Fact(label=_("ECOG performance status"), type=int, unit="0-5", crf="P.STATUS"),
    "systolic_mmhg": Fact(label=_("Systolic blood pressure"), type=int, unit="mmHg", crf="P.STATUS"),
    "diastolic_mmhg": Fact(label=_("Diastolic blood pressure"), type=int, unit="mmHg", crf="P.STATUS"),
    "myocardial_infarction": Fact(label=_("Myocardial infarction"), type=bool, crf="P.STATUS"),
    "myocardial_ischaemia": Fact(label=_("Myocardial ischaemia"), type=bool, crf="P.STATUS"),
    "nyha_class": Fact(label=_("NYHA class (0: no heart disease)"), type=int, unit="0-4", crf="P.STATUS"),
    "qtc_ms": Fact(label=_("QTc interval"), type=int, unit="ms", crf="P.STATUS"),
    "infection_grade": Fact(label=_("Infection, CTCAE grade (0: none)"), type=int, unit="0-5", crf="P.STATUS"),
    "unhealed_wound": Fact(label=_("Wound long unhealed"), type=bool, crf="P.STATUS"),
    "prior_rt_target": Fact(label=_("Earlier radiotherapy aimed at the target vertebra"), type=bool, crf="P.SITES"),
    "prior_rt_target_date": Fact(
        label=_("Date of the last radiotherapy of the target vertebra"), type=date, crf="P.SITES"
    ),
    "target_surgery": Fact(label=_("Earlier surgery of the target lesion"), type=bool, crf="P.SITES"),
    "target_surgery_date": Fact(label=_("Date of the last surgery of the target lesion"), type=date, crf="P.SITES"),
    "other_trial": Fact(
        label=_("Treated for the target lesion in another drug or physical-therapy trial"),
        type=bool,
        crf="P.SITES",
    ),
    "other_trial_last_date": Fact(label=_("Date of the last treatment in the other trial"), type=date, crf="P.SITES"),
    "serious_chronic_disease": Fact(
        label=_("Serious chronic disease (hypertension, diabetes, heart disease)"), type=bool, crf="P.SCREEN"
    ),
    "rt_contraindication": Fact(label=_("Contraindication to radiotherapy"), type=bool, crf="P.SCREEN"),
    "expected_survival_months": Fact(label=_("Expected survival"), type=int, unit="months", crf="P.SCREEN"),
    "active_bleeding": Fact(label=_("Active bleeding from disturbed clotting"), type=bool, crf="P.SCREEN"),
    "large_vessel_tumour": Fact(
        label=_("Tumour in a large vessel with a likely fatal bleeding"), type=bool, crf="P.SCREEN"
    ),
    "drug_abuse": Fact(label=_("Drug abuse that cannot be stopped"), type=bool, crf="P.SCREEN"),
    "mental_disorder": Fact(label=_("Mental disorder"), type=bool, crf="P.SCREEN"),
    "other_serious_disease": Fact(
        label=_("Another serious disease that forbids taking part"), type=bool, crf="P.SCREEN"
    ),
}


class FactError(TypeError):
    """A fact has a name that is not in FACTS or a value of the wrong type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule returns: the verdict on the statement, why, and remarks to show although nothing blocks."""

    verdict: Verdict
    reason: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One criterion applied to one subject's facts. `inputs` are (label, value) pairs, None for unknown."""

    code: str
    type: CriterionType
    kind: CriterionKind
    verdict: Verdict
    inputs: tuple[tuple[str, Value | None], ...]
    reason: str
    flags: tuple[str, ...]

    @property
    def holds(self) -> bool | None:
        """Whether the criterion's statement is true of the subject; None: not settled."""
        return {Verdict.MET: True, Verdict.NOT_MET: False}.get(self.verdict)

    @property
    def passes(self) -> bool | None:
        """Whether the criterion lets the subject in; None: not settled, which blocks."""
        return _passes(self.type, self.holds)

    @property
    def needs_confirmation(self) -> bool:
        """A proposed verdict counts only once the investigator has confirmed it."""
        return self.kind is CriterionKind.PROPOSED and self.holds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The investigator's word on a criterion: whether its statement holds, the reason where one is asked."""

    holds: bool
    reason: str = ""


class BlockerKind(StrEnum):
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNCONFIRMED = "unconfirmed"
    CONTRADICTED = "contradicted"
    UNJUDGED = "unjudged"
    NO_REASON = "no_reason"


BLOCKER_TEXTS: dict[BlockerKind, str] = {
    BlockerKind.FAILED: _("The criterion is not fulfilled."),
    BlockerKind.UNKNOWN: _("Data are missing; complete them first."),
    BlockerKind.UNCONFIRMED: _("The investigator has not confirmed the proposed answer."),
    BlockerKind.CONTRADICTED: _("The investigator's answer differs from the data; correct one of them."),
    BlockerKind.UNJUDGED: _("The investigator has not recorded a judgement."),
    BlockerKind.NO_REASON: _("The investigator's judgement has no reason; record one."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Why a criterion forbids randomisation now."""

    code: str
    kind: BlockerKind
    text: str

    @property
    def final(self) -> bool:
        """True for a screen failure, False for something that is still to be recorded."""
        return self.kind is BlockerKind.FAILED


@dataclass(frozen=True, slots=True)
class Eligibility:
    eligible: bool
    blockers: tuple[Blocker, ...]

    @property
    def failed(self) -> bool:
        """At least one criterion is settled against the subject."""
        return any(blocker.final for blocker in self.blockers)


def evaluate(criterion: Criterion, facts: Facts) -> Finding:
    """Apply one criterion. Facts that are absent or None are unknown.

    Raises FactError for a fact outside FACTS or of the wrong type, KeyError for an unknown rule.
    """
    for name in criterion.facts:
        _check_fact(name, facts.get(name))
    outcome = RULES[criterion.rule](criterion, facts)
    return Finding(
        code=criterion.code,
        type=criterion.type,
        kind=criterion.kind,
        verdict=outcome.verdict,
        inputs=tuple((FACTS[name].label, facts.get(name)) for name in criterion.facts),
        reason=outcome.reason,
        flags=outcome.flags,
    )


def evaluate_all(protocol: Protocol, facts: Facts) -> tuple[Finding, ...]:
    """Every criterion of the protocol in its order. Raises FactError as `evaluate`."""
    return tuple(evaluate(criterion, facts) for criterion in protocol.criteria)


def eligible(findings: Iterable[Finding], answers: Mapping[str, Answer]) -> Eligibility:
    """Whether randomisation may go on: every criterion passes, nothing unknown, every judgement reasoned.

    `answers` maps criterion codes to the investigator's word: asked for every PROPOSED criterion and for
    every finding NEEDS_JUDGEMENT (there with a reason). An answer never overrules the data.
    """
    blockers = tuple(
        Blocker(code=finding.code, kind=kind, text=BLOCKER_TEXTS[kind])
        for finding in findings
        if (kind := _blocker(finding, answers.get(finding.code))) is not None
    )
    return Eligibility(eligible=not blockers, blockers=blockers)


def _passes(type_: CriterionType, holds: bool | None) -> bool | None:
    if holds is None:
        return None
    return holds if type_ is CriterionType.INCLUSION else not holds


def _blocker(finding: Finding, answer: Answer | None) -> BlockerKind | None:
    if finding.verdict is Verdict.UNKNOWN:
        return BlockerKind.UNKNOWN
    if finding.verdict is Verdict.NEEDS_JUDGEMENT:
        if answer is None:
            return BlockerKind.UNJUDGED
        if not answer.reason.strip():
            return BlockerKind.NO_REASON
        return None if _passes(finding.type, answer.holds) else BlockerKind.FAILED
    if not finding.passes:
        return BlockerKind.FAILED
    if finding.needs_confirmation:
        if answer is None:
            return BlockerKind.UNCONFIRMED
        if answer.holds != finding.holds:
            return BlockerKind.CONTRADICTED
    return None


def _check_fact(name: str, value: Value | None) -> None:
    if name not in FACTS:
        raise FactError(f"{name} is not a known fact")
    expected = FACTS[name].type
    if value is None:
        return
    # bool is an int and datetime is a date in Python; neither may pass for the other here
    good = type(value) in (int, float) if expected is int else type(value) is expected
    if not good:
        raise FactError(f"{name} must be {expected.__name__}, not {type(value).__name__}")


def _number(criterion: Criterion, name: str) -> float:
    value = criterion.parameter(name)
    if isinstance(value, str | tuple):
        raise TypeError(f"{criterion.code}: parameter {name} is not a number")
    return value


def _codes(criterion: Criterion, name: str) -> tuple[str, ...]:
    value = criterion.parameter(name)
    if not isinstance(value, tuple):
        raise TypeError(f"{criterion.code}: parameter {name} is not a list")
    return tuple(str(item) for item in value)


UNKNOWN = Outcome(verdict=Verdict.UNKNOWN, reason=_("At least one input is unknown."))


def _settled(holds: bool, flags: tuple[str, ...] = ()) -> Outcome:
    if holds:
        return Outcome(verdict=Verdict.MET, reason=_("The inputs make the statement true."), flags=flags)
    return Outcome(verdict=Verdict.NOT_MET, reason=_("The inputs make the statement untrue."), flags=flags)


def _age_between(criterion: Criterion, facts: Facts) -> Outcome:
    birth, consent = facts.get("birth_date"), facts.get("consent_date")
    if not isinstance(birth, date) or not isinstance(consent, date):
        return UNKNOWN
    age = completed_years(birth, consent)
    return _settled(_number(criterion, "minimum") <= age <= _number(criterion, "maximum"))


def _confirmed_class(criterion: Criterion, facts: Facts) -> Outcome:
    confirmed, tumour = facts.get("pathology_confirmed"), facts.get("tumour_class")
    if confirmed is False or (tumour is not None and tumour not in _codes(criterion, "classes")):
        return _settled(False)
    return UNKNOWN if confirmed is None or tumour is None else _settled(True)


def _levels_imaged(criterion: Criterion, facts: Facts) -> Outcome:
    levels, modality = facts.get("metastasis_levels"), facts.get("imaging_modality")
    if not isinstance(levels, tuple):
        return UNKNOWN
    if len(set(levels)) < _number(criterion, "minimum"):
        return _settled(False)
    return _settled(True) if modality else UNKNOWN


def _level_runs_at_most(criterion: Criterion, facts: Facts) -> Outcome:
    levels = facts.get("metastasis_levels")
    if not isinstance(levels, tuple) or not levels:
        return UNKNOWN
    return _settled(len(runs(levels)) <= _number(criterion, "maximum"))


def _grade_allowed(criterion: Criterion, facts: Facts) -> Outcome:
    grade = facts.get("escc_grade")
    if grade is None:
        return UNKNOWN
    if grade in _codes(criterion, "judged"):
        return Outcome(
            verdict=Verdict.NEEDS_JUDGEMENT,
            reason=_("The protocol gives no answer for this grade; the investigator judges and gives the reason."),
        )
    return _settled(grade in _codes(criterion, "allowed"))


def _single_number(criterion: Criterion, facts: Facts) -> float | None:
    value = facts.get(criterion.facts[0])
    return value if isinstance(value, int | float) else None


def _number_at_most(criterion: Criterion, facts: Facts) -> Outcome:
    value = _single_number(criterion, facts)
    return UNKNOWN if value is None else _settled(value <= _number(criterion, "maximum"))


def _number_at_least(criterion: Criterion, facts: Facts) -> Outcome:
    value = _single_number(criterion, facts)
    if value is None:
        return UNKNOWN
    flagged = {parameter.value for parameter in criterion.parameters if parameter.name == "flagged"}
    flags = (_("The lowest value allowed: look at it again."),) if value in flagged else ()
    return _settled(value >= _number(criterion, "minimum"), flags)


def _answers(criterion: Criterion, facts: Facts) -> bool | None:
    """Kleene OR of the yes/no facts: one yes settles it, an unknown beside noes does not."""
    values = [facts.get(name) for name in criterion.facts]
    if True in values:
        return True
    return None if None in values else False


def _any_answer_yes(criterion: Criterion, facts: Facts) -> Outcome:
    answer = _answers(criterion, facts)
    return UNKNOWN if answer is None else _settled(answer)


def _all_answers_no(criterion: Criterion, facts: Facts) -> Outcome:
    answer = _answers(criterion, facts)
    return UNKNOWN if answer is None else _settled(not answer)


def _consent_given(criterion: Criterion, facts: Facts) -> Outcome:
    signed, first = facts.get("consent_date"), facts.get("first_procedure_date")
    signer, willing = facts.get("consent_signer"), facts.get("willing_follow_up")
    if willing is False or (signer is not None and signer not in _codes(criterion, "signers")):
        return _settled(False)
    if isinstance(signed, date) and isinstance(first, date) and signed > first:
        return _settled(False)
    if signed is None or first is None or signer is None or willing is None:
        return UNKNOWN
    if signer in _codes(criterion, "explained") and not (
        str(facts.get("consent_family_relation") or "").strip()
        and str(facts.get("consent_family_reason") or "").strip()
    ):
        return UNKNOWN
    return _settled(True)


def _class_in(criterion: Criterion, facts: Facts) -> Outcome:
    tumour = facts.get("tumour_class")
    return UNKNOWN if tumour is None else _settled(tumour in _codes(criterion, "classes"))


def _within_days(criterion: Criterion, facts: Facts) -> Outcome:
    happened, last, on = (facts.get(name) for name in criterion.facts)
    if happened is False:
        return _settled(False)
    if happened is None or not isinstance(last, date) or not isinstance(on, date):
        return UNKNOWN
    return _settled((on - last).days <= _number(criterion, "days"))


def _heart_disease(criterion: Criterion, facts: Facts) -> Outcome:
    infarction, ischaemia = facts.get("myocardial_infarction"), facts.get("myocardial_ischaemia")
    nyha, qtc = facts.get("nyha_class"), facts.get("qtc_ms")
    if infarction is None or ischaemia is None:
        return UNKNOWN
    if not isinstance(nyha, int | float) or not isinstance(qtc, int | float):
        return UNKNOWN
    return _literal_and(
        bool(infarction) or bool(ischaemia),
        nyha >= _number(criterion, "nyha"),
        qtc >= _number(criterion, "qtc_ms"),
    )


def _blood_pressure(criterion: Criterion, facts: Facts) -> Outcome:
    systolic, diastolic = facts.get("systolic_mmhg"), facts.get("diastolic_mmhg")
    if not isinstance(systolic, int | float) or not isinstance(diastolic, int | float):
        return UNKNOWN
    return _literal_and(systolic >= _number(criterion, "systolic"), diastolic >= _number(criterion, "diastolic"))


def _literal_and(*parts: bool) -> Outcome:
    """D15: all parts exclude, no part passes, some parts ask the investigator."""
    if any(parts) and not all(parts):
        return Outcome(
            verdict=Verdict.NEEDS_JUDGEMENT,
            reason=_("Only some parts of the criterion hold; the investigator judges and gives the reason."),
        )
    return _settled(all(parts))


def _infection_or_wound(criterion: Criterion, facts: Facts) -> Outcome:
    grade, wound = facts.get("infection_grade"), facts.get("unhealed_wound")
    infected = grade >= _number(criterion, "grade") if isinstance(grade, int | float) else None
    if infected or wound:
        return _settled(True)
    return UNKNOWN if infected is None or wound is None else _settled(False)


def _within_months(criterion: Criterion, facts: Facts) -> Outcome:
    """Either treatment later than the limit excludes; the day of the limit itself is allowed (D14)."""
    on = facts.get("randomisation_date")
    if not isinstance(on, date):
        return UNKNOWN
    limit = add_months(on, -int(_number(criterion, "months")))
    recent: list[bool | None] = []
    for happened, last in (
        (facts.get("target_surgery"), facts.get("target_surgery_date")),
        (facts.get("prior_rt_target"), facts.get("prior_rt_target_date")),
    ):
        if happened is False:
            recent.append(False)
        else:
            recent.append(last > limit if happened and isinstance(last, date) else None)
    if True in recent:
        return _settled(True)
    return UNKNOWN if None in recent else _settled(False)


RULES: dict[str, Callable[[Criterion, Facts], Outcome]] = {
    "age_between": _age_between,
    "all_answers_no": _all_answers_no,
    "any_answer_yes": _any_answer_yes,
    "blood_pressure": _blood_pressure,
    "class_in": _class_in,
    "confirmed_class": _confirmed_class,
    "consent_given": _consent_given,
    "grade_allowed": _grade_allowed,
    "heart_disease": _heart_disease,
    "infection_or_wound": _infection_or_wound,
    "level_runs_at_most": _level_runs_at_most,
    "levels_imaged": _levels_imaged,
    "number_at_least": _number_at_least,
    "number_at_most": _number_at_most,
    "within_days": _within_days,
    "within_months": _within_months,
}
