"""The CRFs of screening, baseline and end of study, in the order of the schedule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import cast

from django.utils.translation import gettext_lazy as _

from patients import consequences
from patients.eligibility import after_eligibility, stamp
from patients.milestones import death_differs, milestones_for, setters
from patients.models import (
    BaselineAnalgesic,
    BaselinePain,
    Consent,
    Demographics,
    DiseaseSite,
    Eligibility,
    EligibilityAnswer,
    EndOfStudy,
    FailedCriterion,
    PrimaryTumour,
    ScreenFailure,
    SitesOfDisease,
    Status,
    Subject,
    Withdrawal,
)
from patients.models.baseline import PathologyOf, PregnancyTest, PrimarySite, Sex, TumourClass
from patients.models.consent import EndStatus, FailureReason, Initiator, Signer
from patients.pain import ANALGESIC_ITEMS, ANALGESICS_HELP, LIVE, analgesic_checks
from spinetrial.access.gate import of_subject
from spinetrial.crf.rules import not_in_future, rows_not_in_future
from spinetrial.crf.spec import (
    CrfSpec,
    EditCheck,
    Item,
    Keeping,
    Level,
    RowGroup,
    Section,
    ShowWhen,
    Values,
)
from spinetrial.protocol import CURRENT

YES = ("True",)


def _subject(values: Values) -> Subject:
    return values.record.subject


# --- consent and its withdrawal ---


def _before_first_contact(values: Values) -> bool:
    signed = cast(Consent, values.record).signed_at.astimezone(_subject(values).site.zone).date()
    return signed < _subject(values).first_contact


CONSENT = CrfSpec(
    "P.CONSENT",
    _("Consent"),
    Consent,
    keeping=Keeping.REPEATING,
    event="SCR",
    sections=(
        Section(
            _("Consent"),
            (
                Item("version", sdtm="DS.DSREFID", sdv=True),
                Item("signed_at", sdtm="DS.DSSTDTC", sdv=True),
                Item("signer", sdtm="SUPPDS.SIGNER", sdv=True),
                Item("family_relation", required=True, show_when=ShowWhen("signer", (Signer.FAMILY,)), sdv=True),
                Item("family_reason", required=True, show_when=ShowWhen("signer", (Signer.FAMILY,)), sdv=True),
                Item("obtained_by"),
                Item("willing_follow_up", sdv=True),
                Item("messages_by_email", sdv=True),
                Item("message_language", required=True, show_when=ShowWhen("messages_by_email", ("True",))),
            ),
            help=_("A family member may sign for the patient; the relation and the reason are recorded."),
        ),
    ),
    checks=(
        *not_in_future("signed_at"),
        EditCheck(
            "consent_before_contact",
            ("signed_at",),
            _("The consent was signed before the first contact. Which of the two dates is right?"),
            _before_first_contact,
        ),
    ),
    after_save=consequences.after_consent,
)


def _withdrawn_before_consent(values: Values) -> bool:
    consent = milestones_for(values).consent_date
    return consent is None or cast(Withdrawal, values.record).withdrawn_on < consent


#: Who alone can decide a drop-out for this reason of the protocol.
_DECIDED_BY = {"DRP1": Initiator.PATIENT, "DRP2": Initiator.INVESTIGATOR, "DRP4": Initiator.INVESTIGATOR}


def _decided_by_other(values: Values) -> bool:
    withdrawal = cast(Withdrawal, values.record)
    return withdrawal.initiator != _DECIDED_BY.get(withdrawal.reason, withdrawal.initiator)


WITHDRAWAL = CrfSpec(
    "P.WITHDRAW",
    _("Withdrawal"),
    Withdrawal,
    keeping=Keeping.REPEATING,
    event="ANY",
    sections=(
        Section(
            _("Scope"),
            (
                Item("withdrawn_on", sdtm="DS.DSSTDTC", sdv=True),
                Item("from_treatment", sdtm="DS.DSSCAT", sdv=True),
                Item("from_followup", sdtm="DS.DSSCAT", sdv=True),
                Item("from_data_use", sdtm="DS.DSSCAT", sdv=True),
            ),
            help=_("Who leaves the treatment may stay in follow-up. Data collected up to this day are kept."),
        ),
        Section(
            _("Reason"),
            (
                Item("initiator"),
                Item("reason", sdtm="DS.DSDECOD", sdv=True),
                Item("adverse_event", required=True, show_when=ShowWhen("reason", ("DRP3",))),
                Item("details", sdtm="DS.DSTERM"),
            ),
        ),
    ),
    checks=(
        *not_in_future("withdrawn_on"),
        EditCheck(
            "withdrawn_before_consent",
            ("withdrawn_on",),
            _("A withdrawal follows a consent: there is none before this date."),
            _withdrawn_before_consent,
            Level.BLOCK,
        ),
        EditCheck(
            "withdrawal_initiator",
            ("initiator", "reason"),
            _("This reason is not one that the person named can decide on. Which of the two is right?"),
            _decided_by_other,
        ),
    ),
    after_save=consequences.after_withdrawal,
)


# --- screening ---


def _fails_after_randomisation(values: Values) -> bool:
    failure = cast(ScreenFailure, values.record)
    return not failure.retracted and milestones_for(values).randomized_on is not None


def _criteria_missing(values: Values) -> bool:
    return cast(ScreenFailure, values.record).reason == FailureReason.CRITERIA and not values.rows["criteria"]


def _criteria_doubled(values: Values) -> bool:
    codes = [cast(FailedCriterion, row).criterion for row in values.rows["criteria"]]
    return len(set(codes)) < len(codes)


SCREEN_FAILURE = CrfSpec(
    "P.FAIL",
    _("Screen failure"),
    ScreenFailure,
    event="ANY",
    sections=(
        Section(
            _("Screen failure"),
            (
                Item("failed_on", sdtm="DS.DSSTDTC", sdv=True),
                Item("reason", sdtm="DS.DSDECOD"),
                Item("details", sdtm="DS.DSTERM"),
                Item("retracted"),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "criteria",
            _("Criteria not fulfilled"),
            FailedCriterion,
            (Item("criterion", sdtm="IE.IETESTCD"),),
            help=_("For the reason “Does not fulfil the criteria”: each criterion that kept the person out."),
            sdv=True,
        ),
    ),
    checks=(
        *not_in_future("failed_on"),
        EditCheck(
            "failure_after_randomisation",
            ("failed_on",),
            _("This participant is randomised; record an end of study or a withdrawal instead."),
            _fails_after_randomisation,
            Level.BLOCK,
        ),
        EditCheck(
            "failure_criteria_missing",
            ("criteria",),
            _("Name at least one criterion that is not fulfilled."),
            _criteria_missing,
            Level.BLOCK,
        ),
        EditCheck(
            "failure_criteria_doubled",
            ("criteria",),
            _("A criterion is listed twice."),
            _criteria_doubled,
            Level.BLOCK,
        ),
        EditCheck(
            "failure_before_contact",
            ("failed_on",),
            _("The screen failure is before the first contact."),
            lambda values: cast(ScreenFailure, values.record).failed_on < _subject(values).first_contact,
            Level.BLOCK,
        ),
    ),
    after_save=consequences.after_screen_failure,
)

SCREENING = CrfSpec(
    "P.SCREEN",
    _("Eligibility"),
    Eligibility,
    event="SCR",
    enter="eligibility.confirm",
    page="eligibility",
    sections=(
        Section(
            _("Investigator's answers"),
            (
                Item("first_procedure_on", sdv=True),
                Item("serious_chronic_disease", sdv=True),
                Item("rt_contraindication", sdv=True),
                Item("expected_survival_months", unit=_("months"), sdv=True),
                Item("active_bleeding", sdv=True),
                Item("large_vessel_tumour", sdv=True),
                Item("drug_abuse", sdv=True),
                Item("mental_disorder", sdv=True),
                Item("other_serious_disease", sdv=True),
                Item("confirmed", sdtm="DS.DSDECOD", sdv=True),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "answers",
            _("Criteria"),
            EligibilityAnswer,
            (
                Item("criterion", sdtm="IE.IETESTCD"),
                Item("answer", sdtm="IE.IEORRES"),
                Item("reason", sdtm="SUPPIE.REASON"),
                Item("seen"),
            ),
            sdv=True,
            blank_rows=0,
        ),
    ),
    checks=not_in_future("first_procedure_on"),
    before_save=stamp,
    after_save=after_eligibility,
)


# --- baseline ---


def _age_unlikely(values: Values) -> bool:
    birth = cast(Demographics, values.record).birth_date
    return birth <= date(values.today.year - 110, 1, 1)


DEMOGRAPHICS = CrfSpec(
    "P.DM",
    _("Demographics"),
    Demographics,
    sections=(
        Section(
            _("Demographics"),
            (
                Item("birth_date", sdtm="DM.BRTHDTC", sdv=True),
                Item("sex", sdtm="DM.SEX", sdv=True),
                Item("height_cm", sdtm="VS.VSORRES", unit="cm", missing=True),
            ),
        ),
    ),
    checks=(
        *not_in_future("birth_date"),
        EditCheck(
            "age_unlikely",
            ("birth_date",),
            _("The patient would be about 110 years old or older. Is the date of birth right?"),
            _age_unlikely,
        ),
    ),
)

#: Primary tumours only one sex has.
_OF_MEN, _OF_WOMEN = {PrimarySite.PROSTATE}, {PrimarySite.CERVIX}


def _site_against_sex(values: Values) -> bool:
    sex = of_subject(_subject(values), Demographics).values_list("sex", flat=True).first()
    site = cast(PrimaryTumour, values.record).site
    return (sex == Sex.FEMALE and site in _OF_MEN) or (sex == Sex.MALE and site in _OF_WOMEN)


def _site_against_class(values: Values) -> bool:
    tumour = cast(PrimaryTumour, values.record)
    diffuse = tumour.tumour_class in (TumourClass.MYELOMA, TumourClass.LEUKAEMIA)
    return diffuse and tumour.site not in (PrimarySite.BONE_MARROW, PrimarySite.OTHER)


def _tumour_before_birth(values: Values) -> bool:
    birth = of_subject(_subject(values), Demographics).values_list("birth_date", flat=True).first()
    tumour = cast(PrimaryTumour, values.record)
    days = (tumour.diagnosed_on, tumour.pathology_date)
    return birth is not None and any(day is not None and day < birth for day in days)


TUMOUR = CrfSpec(
    "P.TUMOUR",
    _("Primary tumour"),
    PrimaryTumour,
    sections=(
        Section(
            _("Tumour"),
            (
                Item("site", sdtm="TU.TULOC", sdv=True),
                Item("site_other", required=True, show_when=ShowWhen("site", (PrimarySite.OTHER,))),
                Item("tumour_class", sdtm="MH.MHSCAT", sdv=True),
                Item("diagnosed_on", sdtm="MH.MHSTDTC", missing=True),
                Item("stage", sdtm="MH.MHSTAGE"),
                Item("visceral_metastases", required=True, missing=True),
            ),
        ),
        Section(
            _("Pathology"),
            (
                Item("pathology_confirmed", sdv=True),
                Item("pathology_of", required=True, show_when=ShowWhen("pathology_confirmed", YES), missing=True),
                Item(
                    "pathology_date",
                    required=True,
                    show_when=ShowWhen("pathology_confirmed", YES),
                    sdv=True,
                    missing=True,
                ),
                Item("histology", show_when=ShowWhen("pathology_confirmed", YES), missing=True),
            ),
        ),
    ),
    checks=(
        *not_in_future("diagnosed_on", "pathology_date"),
        EditCheck(
            "tumour_against_sex",
            ("site",),
            _("This primary tumour does not fit the sex of the patient."),
            _site_against_sex,
            reads=("P.DM:sex",),
        ),
        EditCheck(
            "tumour_class_against_site",
            ("tumour_class",),
            _("This class of tumour does not fit the site of the primary tumour."),
            _site_against_class,
        ),
        EditCheck(
            "tumour_before_birth",
            ("diagnosed_on", "pathology_date"),
            _("The diagnosis or the pathology report is before the date of birth of the patient."),
            _tumour_before_birth,
            reads=("P.DM:birth_date",),
        ),
        EditCheck(
            "primary_tissue_of_unknown",
            ("pathology_of",),
            _("The primary is unknown, yet its tissue was examined. Which is right?"),
            lambda values: (
                cast(PrimaryTumour, values.record).site == PrimarySite.UNKNOWN
                and cast(PrimaryTumour, values.record).pathology_of == PathologyOf.PRIMARY
            ),
        ),
    ),
)


def _sites(values: Values) -> list[DiseaseSite]:
    return [cast(DiseaseSite, row) for row in values.rows["sites"]]


def _index_not_listed(values: Values) -> bool:
    index = cast(SitesOfDisease, values.record).index_level
    return bool(index) and index not in {row.level for row in _sites(values)}


def _level_doubled(values: Values) -> bool:
    levels = [row.level for row in _sites(values)]
    return len(set(levels)) < len(levels)


def _index_moved(values: Values) -> bool:
    record = cast(SitesOfDisease, values.record)
    if milestones_for(values).randomized_on is None:
        return False
    stored = of_subject(_subject(values), SitesOfDisease).values_list("index_level", flat=True).first()
    return stored != record.index_level


def _collapse_against_percent(values: Values) -> bool:
    record = cast(SitesOfDisease, values.record)
    if record.collapse_percent is None or not record.sins_collapse:
        return False
    percent, choice = record.collapse_percent, record.sins_collapse
    if choice == "over_half":
        return percent < 50
    return not 0 < percent <= 50 if choice == "under_half" else percent > 0


def _index_fields_missing(values: Values) -> bool:
    record = cast(SitesOfDisease, values.record)
    return bool(record.index_level) and not record.escc and "escc" not in record.missing


SITES = CrfSpec(
    "P.SITES",
    _("Sites of disease"),
    SitesOfDisease,
    sections=(
        Section(
            _("Imaging and index site"),
            (
                Item("imaging_modality", sdtm="TU.TUMETHOD", sdv=True),
                Item("imaging_date", sdtm="TU.TUDTC", sdv=True),
                Item("index_level", sdtm="TU.TULOC", sdv=True),
                Item("escc", sdtm="FA.FAORRES", sdv=True, missing=True),
            ),
            help=_("List every vertebra with a metastasis in the table, then name the index site."),
        ),
        Section(
            _("Stability of the index site (SINS)"),
            (
                Item("sins_pain", missing=True),
                Item("sins_alignment", missing=True),
                Item("sins_collapse", missing=True),
                Item("collapse_percent", unit="%", missing=True),
                Item("sins_posterolateral", missing=True),
            ),
            help=_("Location and type of lesion follow from the level of the index site and its row in the table."),
        ),
        Section(
            _("Other trials"),
            (
                Item("other_trial", sdv=True),
                Item(
                    "other_trial_last_date",
                    required=True,
                    show_when=ShowWhen("other_trial", YES),
                    sdv=True,
                    missing=True,
                ),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "sites",
            _("Vertebrae with metastasis"),
            DiseaseSite,
            (
                Item("level", sdtm="TU.TULOC", sdv=True),
                Item("lesion", sdtm="TU.TUORRES", short=_("Lesion")),
                Item("fracture", short=_("Fracture")),
                Item("prior_rt", sdtm="PR.PROCCUR", sdv=True, short=_("Earlier RT")),
                Item(
                    "prior_rt_date",
                    sdtm="PR.PRSTDTC",
                    show_when=ShowWhen("prior_rt", YES),
                    sdv=True,
                    short=_("Last RT"),
                ),
                Item("prior_surgery", sdtm="PR.PROCCUR", sdv=True, short=_("Surgery")),
                Item("prior_surgery_date", sdtm="PR.PRSTDTC", show_when=ShowWhen("prior_surgery", YES), sdv=True),
            ),
            minimum=1,
            sdv=True,
        ),
    ),
    checks=(
        *not_in_future("imaging_date", "other_trial_last_date"),
        rows_not_in_future("sites", "prior_rt_date", "prior_surgery_date"),
        EditCheck(
            "level_twice",
            ("sites",),
            _("A level is listed twice; each vertebra has one row."),
            _level_doubled,
            Level.BLOCK,
        ),
        EditCheck(
            "index_not_listed",
            ("index_level",),
            _("The index site is not among the vertebrae of the table."),
            _index_not_listed,
            Level.BLOCK,
        ),
        EditCheck(
            "index_fixed",
            ("index_level",),
            _("The index site was fixed at randomisation and cannot change any more."),
            _index_moved,
            Level.BLOCK,
        ),
        EditCheck(
            "escc_missing",
            ("escc",),
            _("The epidural compression at the index site is missing; the eligibility needs it."),
            _index_fields_missing,
        ),
        EditCheck(
            "collapse_against_percent",
            ("collapse_percent", "sins_collapse"),
            _("The loss of height does not fit the answer on collapse."),
            _collapse_against_percent,
        ),
        EditCheck(
            "fracture_without_collapse",
            ("sins_collapse",),
            _("A row reports a fracture of the index site, but the answer on collapse says there is none."),
            lambda values: (
                cast(SitesOfDisease, values.record).sins_collapse in ("none", "body_involved")
                and any(
                    row.fracture and row.level == cast(SitesOfDisease, values.record).index_level
                    for row in _sites(values)
                )
            ),
        ),
    ),
)

#: Karnofsky values usually matched with each ECOG grade.
KPS_OF_ECOG = {0: (90, 100), 1: (70, 80), 2: (50, 60), 3: (30, 40), 4: (10, 20)}


def _kps_against_ecog(values: Values) -> bool:
    status = cast(Status, values.record)
    return status.ecog is not None and status.kps is not None and status.kps not in KPS_OF_ECOG[status.ecog]


#: Vital signs of a conscious person lie between these, nearly always.
LIKELY_VITALS = {"temperature": (34, 41), "pulse": (40, 150), "systolic_mmhg": (80, 220), "diastolic_mmhg": (40, 130)}


def _vitals_unlikely() -> tuple[EditCheck, ...]:
    """Must-explain checks, one per vital sign, so that the message is where the number is."""

    def check(name: str, low: int, high: int) -> Callable[[Values], bool]:
        def fails(values: Values) -> bool:
            value = getattr(values.record, name)
            return value is not None and not low <= value <= high

        return fails

    text = _("This is far from what is usual. Is it right, and why?")
    return tuple(
        EditCheck(f"{name}_unlikely", (name,), text, check(name, *limits), Level.EXPLAIN)
        for name, limits in LIKELY_VITALS.items()
    )


#: Body mass index in kg/m2 outside which weight or height is more likely to be a slip.
LIKELY_BMI = (12, 60)


def _weight_against_height(values: Values) -> bool:
    weight = cast(Status, values.record).weight_kg
    if weight is None:
        return False
    height = of_subject(_subject(values), Demographics).values_list("height_cm", flat=True).first()
    return height is not None and not LIKELY_BMI[0] <= float(weight) / (height / 100) ** 2 <= LIKELY_BMI[1]


def _pregnancy_against_sex(values: Values) -> bool:
    sex = of_subject(_subject(values), Demographics).values_list("sex", flat=True).first()
    return sex == Sex.MALE and cast(Status, values.record).pregnancy_test != PregnancyTest.NOT_APPLICABLE


STATUS = CrfSpec(
    "P.STATUS",
    _("Status and history"),
    Status,
    sections=(
        Section(
            _("Performance and neurology"),
            (
                Item("assessed_on", sdtm="QS.QSDTC", sdv=True),
                Item("ecog", sdtm="QS.QSORRES", sdv=True, required=True, missing=True),
                Item("kps", sdtm="QS.QSORRES", required=True, missing=True),
                Item("neurology", sdtm="NV.NVORRES", sdv=True, required=True, missing=True),
            ),
        ),
        Section(
            _("Vital signs"),
            (
                Item("systolic_mmhg", sdtm="VS.VSORRES", unit="mmHg", sdv=True, required=True, missing=True),
                Item("diastolic_mmhg", sdtm="VS.VSORRES", unit="mmHg", sdv=True, required=True, missing=True),
                Item("pulse", sdtm="VS.VSORRES", unit="/min", missing=True),
                Item("temperature", sdtm="VS.VSORRES", unit="°C", missing=True),
                Item("weight_kg", sdtm="VS.VSORRES", unit="kg", missing=True),
            ),
        ),
        Section(
            _("History"),
            (
                Item("hypertension", sdtm="MH.MHOCCUR", required=True, missing=True),
                Item("diabetes", sdtm="MH.MHOCCUR", required=True, missing=True),
                Item("myocardial_infarction", sdtm="MH.MHOCCUR", sdv=True, required=True, missing=True),
                Item("myocardial_ischaemia", sdtm="MH.MHOCCUR", sdv=True, required=True, missing=True),
                Item("nyha", sdtm="MH.MHSEV", sdv=True, required=True, missing=True),
                Item("ecg_done", sdtm="EG.EGSTAT"),
                Item(
                    "qtc_ms",
                    sdtm="EG.EGORRES",
                    unit="ms",
                    required=True,
                    show_when=ShowWhen("ecg_done", YES),
                    sdv=True,
                    missing=True,
                ),
                Item("qtc_formula", sdtm="EG.EGMETHOD", required=True, show_when=ShowWhen("ecg_done", YES)),
                Item("infection_grade", sdtm="AE.AETOXGR", sdv=True, required=True, missing=True),
                Item("unhealed_wound", sdtm="MH.MHOCCUR", sdv=True, required=True, missing=True),
                Item("pregnancy_test", sdtm="LB.LBORRES", sdv=True),
            ),
        ),
    ),
    checks=(
        *not_in_future("assessed_on"),
        EditCheck(
            "kps_against_ecog",
            ("kps", "ecog"),
            _("The Karnofsky value does not fit the ECOG status. Are both right?"),
            _kps_against_ecog,
        ),
        *_vitals_unlikely(),
        EditCheck(
            "weight_against_height",
            ("weight_kg",),
            _("The weight does not fit the height on the form of demographics. Which of the two is right?"),
            _weight_against_height,
            reads=("P.DM:height_cm",),
        ),
        EditCheck(
            "pregnancy_against_sex",
            ("pregnancy_test",),
            _("A pregnancy test is recorded for a man."),
            _pregnancy_against_sex,
            reads=("P.DM:sex",),
        ),
    ),
)


def _pain_after_rt_start(values: Values) -> bool:
    start = milestones_for(values).rt_start
    return start is not None and cast(BaselinePain, values.record).assessed_on >= start


def _pain_too_old(values: Values) -> bool:
    """Baseline pain is taken at most so many days before the first fraction."""
    start = milestones_for(values).rt_start
    limit = timedelta(days=CURRENT.baseline.pain_days_before_rt)
    return start is not None and cast(BaselinePain, values.record).assessed_on < start - limit


PAIN = CrfSpec(
    "P.PAIN",
    _("Baseline pain"),
    BaselinePain,
    sections=(
        Section(
            _("Pain"),
            (
                Item("assessed_on", sdtm="QS.QSDTC", sdv=True),
                Item("nrs_worst", sdtm="QS.QSSTRESN", widget="nrs", required=True, sdv=True),
                Item("nrs_average", sdtm="QS.QSSTRESN", widget="nrs", missing=True),
                Item("nrs_current", sdtm="QS.QSSTRESN", widget="nrs", missing=True),
            ),
        ),
        Section(
            _("Analgesics"),
            (Item("analgesics", sdtm="CM.CMOCCUR", required=True, sdv=True),),
            help=ANALGESICS_HELP,
        ),
    ),
    rows=(
        RowGroup(
            "analgesics_taken",
            _("Analgesics of the last 24 hours"),
            BaselineAnalgesic,
            ANALGESIC_ITEMS,
            sdv=True,
            live=LIVE,
        ),
    ),
    checks=(
        *not_in_future("assessed_on"),
        *analgesic_checks(),
        EditCheck(
            "pain_flagged",
            ("nrs_worst",),
            _("Baseline pain 1 or less: a fall of 2 points is not possible."),
            lambda values: (cast(BaselinePain, values.record).nrs_worst or 0) <= CURRENT.baseline_pain.flagged,
            Level.NOTE,
        ),
        EditCheck(
            "pain_after_rt_start",
            ("assessed_on",),
            _("Baseline pain is assessed before the first fraction."),
            _pain_after_rt_start,
            Level.BLOCK,
        ),
        EditCheck(
            "pain_too_old",
            ("assessed_on",),
            _("The baseline pain was assessed more days before the first fraction than the protocol allows."),
            _pain_too_old,
            reads=setters("rt_start"),
        ),
        EditCheck(
            "pain_average_above_worst",
            ("nrs_average",),
            _("The average pain is above the worst pain."),
            lambda values: _above_worst(values, "nrs_average"),
        ),
        EditCheck(
            "pain_current_above_worst",
            ("nrs_current",),
            _("The pain now is above the worst pain of the last 24 hours."),
            lambda values: _above_worst(values, "nrs_current"),
        ),
    ),
)


def _above_worst(values: Values, name: str) -> bool:
    record = cast(BaselinePain, values.record)
    other = getattr(record, name)
    return other is not None and record.nrs_worst is not None and other > record.nrs_worst


# --- end ---


def _end_without_randomisation(values: Values) -> bool:
    return milestones_for(values).randomized_on is None


def _end_before_randomisation(values: Values) -> bool:
    randomized = milestones_for(values).randomized_on
    return randomized is not None and cast(EndOfStudy, values.record).ended_on < randomized


def _death_differs(values: Values) -> bool:
    end = cast(EndOfStudy, values.record)
    return end.status == EndStatus.DEAD and death_differs(values, end.ended_on)


def _alive_against_milestone(values: Values) -> bool:
    end = cast(EndOfStudy, values.record)
    row = milestones_for(values)
    elsewhere = row.death_date is not None and row.death_source != consequences.END_OF_STUDY_CODE
    return end.status != EndStatus.DEAD and elsewhere


END_OF_STUDY = CrfSpec(
    consequences.END_OF_STUDY_CODE,
    _("End of study"),
    EndOfStudy,
    event="EOS",
    sections=(
        Section(
            _("End of study"),
            (
                Item("status", sdtm="DS.DSDECOD", sdv=True),
                Item("ended_on", sdtm="DS.DSSTDTC", sdv=True),
                Item(
                    "death_cause",
                    sdtm="DD.DDORRES",
                    required=True,
                    show_when=ShowWhen("status", (EndStatus.DEAD,)),
                    sdv=True,
                ),
                Item("details", sdtm="DS.DSTERM"),
            ),
        ),
    ),
    checks=(
        *not_in_future("ended_on"),
        EditCheck(
            "end_without_randomisation",
            ("status",),
            _("This participant is not randomised; record a screen failure instead."),
            _end_without_randomisation,
            Level.BLOCK,
        ),
        EditCheck(
            "end_before_randomisation",
            ("ended_on",),
            _("The end of study is before the randomisation."),
            _end_before_randomisation,
            Level.BLOCK,
        ),
        EditCheck(
            "death_date_differs",
            ("ended_on",),
            _("A follow-up form reports another date of death. Which one is right?"),
            _death_differs,
            reads=("F.VISIT:death_date",),
        ),
        EditCheck(
            "death_reported_elsewhere",
            ("status",),
            _("A follow-up form reports the death of this participant. Which form is right?"),
            _alive_against_milestone,
            reads=("F.VISIT:death_date",),
        ),
    ),
    after_save=consequences.after_end_of_study,
)

SPECS = (
    CONSENT,
    SCREENING,
    DEMOGRAPHICS,
    TUMOUR,
    SITES,
    STATUS,
    PAIN,
    SCREEN_FAILURE,
    WITHDRAWAL,
    END_OF_STUDY,
)
