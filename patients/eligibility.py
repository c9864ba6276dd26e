"""Eligibility of one subject: the facts from its forms, the findings, and what still stands in the way.

The findings are never stored as the truth: they are computed anew from the forms whenever they are asked for, so a
change of the data behind a confirmation shows at once. Stored is the investigator's word on each criterion and, in
`seen`, which inputs it was given on; other inputs make it void.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from patients.milestones import milestones_of, set_milestones
from patients.models import (
    BaselinePain,
    Consent,
    Demographics,
    DiseaseSite,
    Eligibility,
    EligibilityAnswer,
    PrimaryTumour,
    SitesOfDisease,
    Status,
    Subject,
)
from patients.models.eligibility import CriterionAnswer
from spinetrial.access.gate import AnyActor, of_subject
from spinetrial.access.models import User
from spinetrial.audit.acting import Actor
from spinetrial.audit.clock import now
from spinetrial.crf.forms import CrfForm
from spinetrial.crf.models import SubjectRecord
from spinetrial.protocol import CURRENT
from spinetrial.protocol.eligibility import (
    FACTS,
    Answer,
    Blocker,
    Finding,
    Value,
    Verdict,
    eligible,
    evaluate_all,
)
from spinetrial.protocol.model import CriterionKind

#: Where a fact is recorded: CRF and item. Facts without an entry follow from milestones.
FACT_ITEMS: dict[str, tuple[str, str]] = {
    "birth_date": ("P.DM", "birth_date"),
    "consent_date": ("P.CONSENT", "signed_at"),
    "consent_signer": ("P.CONSENT", "signer"),
    "consent_family_relation": ("P.CONSENT", "family_relation"),
    "consent_family_reason": ("P.CONSENT", "family_reason"),
    "willing_follow_up": ("P.CONSENT", "willing_follow_up"),
    "first_procedure_date": ("P.SCREEN", "first_procedure_on"),
    "pathology_confirmed": ("P.TUMOUR", "pathology_confirmed"),
    "tumour_class": ("P.TUMOUR", "tumour_class"),
    "imaging_modality": ("P.SITES", "imaging_modality"),
    "metastasis_levels": ("P.SITES", "sites"),
    "escc_grade": ("P.SITES", "escc"),
    "index_nrs_worst": ("P.PAIN", "nrs_worst"),
    "ecog": ("P.STATUS", "ecog"),
    "systolic_mmhg": ("P.STATUS", "systolic_mmhg"),
    "diastolic_mmhg": ("P.STATUS", "diastolic_mmhg"),
    "myocardial_infarction": ("P.STATUS", "myocardial_infarction"),
    "myocardial_ischaemia": ("P.STATUS", "myocardial_ischaemia"),
    "nyha_class": ("P.STATUS", "nyha"),
    "qtc_ms": ("P.STATUS", "qtc_ms"),
    "infection_grade": ("P.STATUS", "infection_grade"),
    "unhealed_wound": ("P.STATUS", "unhealed_wound"),
    "prior_rt_target": ("P.SITES", "sites"),
    "prior_rt_target_date": ("P.SITES", "sites"),
    "target_surgery": ("P.SITES", "sites"),
    "target_surgery_date": ("P.SITES", "sites"),
    "other_trial": ("P.SITES", "other_trial"),
    "other_trial_last_date": ("P.SITES", "other_trial_last_date"),
    "serious_chronic_disease": ("P.SCREEN", "serious_chronic_disease"),
    "rt_contraindication": ("P.SCREEN", "rt_contraindication"),
    "expected_survival_months": ("P.SCREEN", "expected_survival_months"),
    "active_bleeding": ("P.SCREEN", "active_bleeding"),
    "large_vessel_tumour": ("P.SCREEN", "large_vessel_tumour"),
    "drug_abuse": ("P.SCREEN", "drug_abuse"),
    "mental_disorder": ("P.SCREEN", "mental_disorder"),
    "other_serious_disease": ("P.SCREEN", "other_serious_disease"),
}


class NotEligible(Exception):
    """Eligibility cannot be confirmed: a criterion stands in the way, or screening has ended. Nothing was written."""

    def __init__(self, blockers: tuple[Blocker, ...]) -> None:
        super().__init__(", ".join(f"{blocker.code} {blocker.kind}" for blocker in blockers))
        self.blockers = blockers


@dataclass(frozen=True)
class Assessment:
    """All that the eligibility page shows. `stale` holds codes whose answer was given on other inputs."""

    facts: Mapping[str, Value | None]
    findings: tuple[Finding, ...]
    blockers: tuple[Blocker, ...]
    record: Eligibility | None
    answers: Mapping[str, EligibilityAnswer]
    stale: frozenset[str]

    @property
    def eligible(self) -> bool:
        return not self.blockers

    def fresh_record(self) -> Eligibility | None:
        """The stored record anew: a form changes the object it is given."""
        return None if self.record is None else of_subject(self.record.subject, Eligibility).get(pk=self.record.pk)


def gather_facts(subject: Subject, typed: Eligibility | None = None) -> dict[str, Value | None]:
    """Named inputs of the criteria from the subject's forms; None for what is not recorded. Nine queries.

    `typed`: the screening form as it is on the screen, not saved yet, in place of the stored one.
    """
    facts: dict[str, Value | None] = dict.fromkeys(FACTS)
    milestones = milestones_of(subject)
    facts["consent_date"] = milestones.consent_date
    facts["randomisation_date"] = milestones.randomized_on or subject.site.today()
    if consent := _consent_in_force(subject, milestones.randomized_on):
        facts |= {
            "consent_signer": consent.signer,
            "consent_family_relation": consent.family_relation or None,
            "consent_family_reason": consent.family_reason or None,
            "willing_follow_up": consent.willing_follow_up,
        }
    if demographics := of_subject(subject, Demographics).first():
        facts["birth_date"] = demographics.birth_date
    if tumour := of_subject(subject, PrimaryTumour).first():
        facts |= {"pathology_confirmed": tumour.pathology_confirmed, "tumour_class": tumour.tumour_class}
    if sites := of_subject(subject, SitesOfDisease).first():
        facts |= _site_facts(sites, list(of_subject(subject, DiseaseSite)))
    if status := of_subject(subject, Status).first():
        facts["nyha_class"] = status.nyha
        facts |= {name: getattr(status, item) for name, (spec, item) in FACT_ITEMS.items() if spec == "P.STATUS"}
    if pain := of_subject(subject, BaselinePain).first():
        facts["index_nrs_worst"] = pain.nrs_worst
    if screening := typed or of_subject(subject, Eligibility).first():
        facts |= {name: getattr(screening, item) for name, (spec, item) in FACT_ITEMS.items() if spec == "P.SCREEN"}
    return facts


def _consent_in_force(subject: Subject, randomized_on: date | None) -> Consent | None:
    """The latest consent; once randomised the latest one up to that day, as a later one admitted nobody."""
    consents = of_subject(subject, Consent).order_by("-signed_at", "-id")
    signed = ((each, each.signed_at.astimezone(subject.site.zone).date()) for each in consents)
    return next((each for each, day in signed if randomized_on is None or day <= randomized_on), None)


def _site_facts(sites: SitesOfDisease, rows: list[DiseaseSite]) -> dict[str, Value | None]:
    facts: dict[str, Value | None] = {
        "imaging_modality": sites.imaging_modality,
        "metastasis_levels": tuple(row.level for row in rows),
        "escc_grade": sites.escc or None,
        "other_trial": sites.other_trial,
        "other_trial_last_date": sites.other_trial_last_date,
    }
    if target := next((row for row in rows if row.level == sites.index_level), None):
        facts |= {
            "prior_rt_target": target.prior_rt,
            "prior_rt_target_date": target.prior_rt_date,
            "target_surgery": target.prior_surgery,
            "target_surgery_date": target.prior_surgery_date,
        }
    return facts


def _plain(value: Value | None) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def inputs_of(code: str, facts: Mapping[str, Value | None]) -> dict[str, Any]:
    """The inputs of a criterion as stored beside its answer: fact name and plain value."""
    criterion = next(each for each in CURRENT.criteria if each.code == code)
    return {name: _plain(facts.get(name)) for name in criterion.facts}


def seen_of(code: str, facts: Mapping[str, Value | None]) -> str:
    """Short digest of the inputs that come from other forms: what an answer is tied to."""
    elsewhere = {
        name: value for name, value in inputs_of(code, facts).items() if FACT_ITEMS.get(name, ("", ""))[0] != "P.SCREEN"
    }
    text = json.dumps([CURRENT.version, code, elsewhere], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def asks_answer(finding: Finding) -> bool:
    """Whether the investigator answers this criterion here; of the others the answer follows from the inputs."""
    return finding.kind is CriterionKind.PROPOSED or finding.verdict is Verdict.NEEDS_JUDGEMENT


def assess(subject: Subject, typed: Eligibility | None = None) -> Assessment:
    """Facts, findings, answers and blockers of a subject obtained through the gate. Eleven queries.

    `typed` as for `gather_facts`.
    """
    facts = gather_facts(subject, typed)
    findings = evaluate_all(CURRENT, facts)
    record = of_subject(subject, Eligibility).select_related("confirmed_by").first()
    answers = {row.criterion: row for row in of_subject(subject, EligibilityAnswer).select_related("answered_by")}
    asked = {finding.code for finding in findings if asks_answer(finding)}
    given = {code: row for code, row in answers.items() if row.answer in (CriterionAnswer.YES, CriterionAnswer.NO)}
    stale = frozenset(code for code, row in given.items() if code in asked and row.seen != seen_of(code, facts))
    words = {
        code: Answer(holds=row.answer == CriterionAnswer.YES, reason=row.reason)
        for code, row in given.items()
        if code not in stale
    }
    return Assessment(facts, findings, eligible(findings, words).blockers, record, answers, stale)


def eligibility_of(subject: Subject) -> tuple[tuple[Finding, ...], tuple[Blocker, ...]]:
    """Findings per criterion and what blocks, from the data as they are now."""
    assessment = assess(subject)
    return assessment.findings, assessment.blockers


def check_still_eligible(subject: Subject) -> bool:
    """Whether the data of this moment still carry the eligibility; a confirmation in the past is not enough."""
    return assess(subject).eligible


def after_eligibility(record: SubjectRecord, actor: Actor) -> None:
    """Write what the program found beside each answer, and move the milestone with the confirmation.

    Raises NotEligible, which undoes the save, when the record confirms what the data do not carry or a screen failure
    is recorded. Once randomised the milestone stays: a later correction changes the record, not the past.
    """
    screening, subject = cast(Eligibility, record), record.subject
    _store_findings(subject, cast(AnyActor, actor))
    milestones = milestones_of(subject)
    if screening.confirmed:
        blockers = assess(subject).blockers
        if blockers or milestones.not_eligible_on is not None:
            raise NotEligible(blockers)
    eligible_on = subject.site.today() if screening.confirmed else None
    if milestones.randomized_on is None and milestones.eligible_on != eligible_on:
        reason = "eligibility confirmed" if screening.confirmed else "eligibility no longer confirmed"
        set_milestones(cast(AnyActor, actor), subject, reason, eligible_on=eligible_on)


def stamp(form: CrfForm, actor: Actor) -> None:
    """Before the save: who confirmed and who gave each answer, and when. Answers are an investigator's, so a user's."""
    who = actor if isinstance(actor, User) else None
    record = cast(Eligibility, form.instance)
    if not record.confirmed:
        record.confirmed_by, record.confirmed_at = None, None
    else:  # each save that says so is a confirmation of its own, on the data of its moment
        record.confirmed_by, record.confirmed_at = who, now()
    for row_form in form.formsets["answers"].kept_forms():
        row = row_form.instance
        if not row.answer:
            row.answered_by, row.answered_at = None, None
        elif row.pk is None or row_form.has_changed():
            row.answered_by, row.answered_at = who, now()


def _store_findings(subject: Subject, actor: AnyActor) -> None:
    assessment = assess(subject)
    for finding in assessment.findings:
        row = assessment.answers.get(finding.code)
        if row is None:
            continue
        before = (row.verdict, row.inputs, row.protocol_version, row.answer, row.reason)
        row.verdict, row.protocol_version = finding.verdict.value, CURRENT.version
        row.inputs = inputs_of(finding.code, assessment.facts)
        if not asks_answer(finding):
            row.answer, row.reason = _ANSWER_OF[finding.holds], ""
        if before != (row.verdict, row.inputs, row.protocol_version, row.answer, row.reason):
            if before[3:] != (row.answer, row.reason):
                row.answered_by, row.answered_at = actor if isinstance(actor, User) else None, now()
            row.save()


_ANSWER_OF = {True: CriterionAnswer.YES, False: CriterionAnswer.NO, None: CriterionAnswer.UNKNOWN}
