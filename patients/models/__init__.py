"""Tables of the patients app, by what they are about."""

from patients.models.baseline import (
    Demographics,
    DiseaseSite,
    PrimaryTumour,
    SitesOfDisease,
    Status,
)
from patients.models.consent import (
    Consent,
    EndOfStudy,
    FailedCriterion,
    ScreenFailure,
    Withdrawal,
)
from patients.models.eligibility import CriterionAnswer, Eligibility, EligibilityAnswer
from patients.models.pain import (
    AnalgesicItems,
    AnalgesicStatus,
    BaselineAnalgesic,
    BaselinePain,
    IntakeUse,
    PainItems,
)
from patients.models.subject import Contact, Milestones, Subject

__all__ = [
    "AnalgesicItems",
    "AnalgesicStatus",
    "BaselineAnalgesic",
    "BaselinePain",
    "Consent",
    "Contact",
    "CriterionAnswer",
    "Demographics",
    "DiseaseSite",
    "Eligibility",
    "EligibilityAnswer",
    "EndOfStudy",
    "FailedCriterion",
    "IntakeUse",
    "Milestones",
    "PainItems",
    "PrimaryTumour",
    "ScreenFailure",
    "SitesOfDisease",
    "Status",
    "Subject",
    "Withdrawal",
]
