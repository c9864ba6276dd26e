"""The shape of a trial protocol: frozen clauses, each with the source of its values.

A clause is a dataclass with a `basis`: where its values come from ("paper, ..." for the published protocol,
"D8" for a numbered decision on a point the paper leaves open, "assumption, ..." for a value nobody has
decided yet). A dataclass without `basis` (`Offset`, `Window`, ...) is a compound value covered by the clause
it sits in. Tuples, never lists: a protocol cannot be changed in place.
"""

from dataclasses import dataclass
from enum import StrEnum

Scalar = str | int | float | bool


class ArmRole(StrEnum):
    STUDY = "study"
    CONTROL = "control"


class CtvRule(StrEnum):
    """What an arm's clinical target volume must cover."""

    INVOLVED_AND_ADJACENT = "involved_and_adjacent"
    WHOLE_VERTEBRA = "whole_vertebra"


class Anchor(StrEnum):
    """Milestones a visit can be counted from."""

    RT_END = "rt_end"
    RANDOMIZED = "randomized"


class CriterionType(StrEnum):
    INCLUSION = "inclusion"
    EXCLUSION = "exclusion"


class CriterionKind(StrEnum):
    """Who answers: the program; the program, confirmed by the investigator; the investigator."""

    DERIVED = "derived"
    PROPOSED = "proposed"
    JUDGED = "judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """Distance from the anchor: whole weeks of 7 days or calendar months, one of the two."""

    weeks: int = 0
    months: int = 0

    def __post_init__(self) -> None:
        if bool(self.weeks) == bool(self.months) or self.weeks < 0 or self.months < 0:
            raise ValueError("give either weeks or months, positive")


@dataclass(frozen=True, slots=True)
class Window:
    """Days around the due date in which a visit counts as on time, both ends included."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not self.opens <= 0 <= self.closes:
            raise ValueError("a window contains its due date")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named number or code that a rule reads (a limit, a list item)."""

    name: str
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    registration: str
    title: str
    short_title: str
    citation: str
    phase: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    code: str
    name: str
    role: ArmRole
    ctv_rule: CtvRule
    ctv_text: str
    ctv_sectors: tuple[int, ...]  # sectors every vertebra's CTV must hold; empty where they follow from the GTV
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    total: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedRates:
    """Response rates the sample size rests on. All proportions; loss is a proportion of the evaluable."""

    study: float
    control: float
    evaluable_per_arm: int
    added_for_loss: float
    power: float
    method: str
    equal_rates_shown: tuple[float, ...]  # the power at these equal true rates is shown beside it
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    ratio: tuple[int, ...]
    strata: tuple[str, ...]
    method: str
    block_sizes: tuple[int, ...]
    import_allowed: bool
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    roles: tuple[str, ...]  # lower-case names of roles that must not see the arm before the lock
    patient_pages: bool
    text: str
    basis: str

    def masks(self, role: str) -> bool:
        """True when `role` (any case) must not see the arm."""
        return role.lower() in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step of the trial that is not counted from an anchor: a column of the subject x visit matrix."""

    code: str
    label: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRule:
    """A follow-up visit counted from `anchor`, or from `fallback` for a subject who was never irradiated."""

    code: str
    label: str  # holds %(number)d
    number: int
    anchor: Anchor
    fallback: Anchor
    offset: Offset
    window: Window
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatingVisitRule:
    """Visits without an end: at `first_months`, then every `every_months`; code = `code_prefix` + months."""

    code_prefix: str
    label: str  # holds %(number)d
    first_months: int
    every_months: int
    anchor: Anchor
    fallback: Anchor
    window: Window
    until: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnscheduledRule:
    """Visits nobody planned: code = `code_prefix` + 1, 2, 3 ... in the order in which they were begun."""

    code_prefix: str
    label: str  # holds %(number)d
    label_all: str  # one name for all of them together
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """When the program asks somebody to look again, and how long it looks for the answer; all in whole days.

    `flare_days`: days from the first fraction in which a rise of pain may be a flare. `repeat_after` and `repeat_by`:
    when imaging in doubt is repeated. `onset_after`: an event may start this long after the imaging that showed it.
    """

    flare_days: int
    repeat_after: int
    repeat_by: int
    onset_after: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRule:
    """Limits in days: assessments and ECOG before randomisation, age of the baseline pain score at fraction 1."""

    window: tuple[int, int]
    ecog_days: int
    pain_days_before_rt: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """Prescription: doses in Gy, weekdays 0 = Monday."""

    total_gy: float
    fractions: int
    fraction_gy: float
    weekdays: tuple[int, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """CT slice thickness in mm, CTV to PTV margin in cm, photon energy in MV."""

    ct_slice_mm: tuple[int, int]
    ctv_to_ptv_cm: float
    energy_mv: int
    image_guided: bool
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseGoal:
    """At least `volume_percent` of the structure receives `dose_gy`."""

    structure: str
    metric: str
    volume_percent: float
    dose_gy: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSite:
    per_subject: int
    choice: str
    fixed_before: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PainQuestion:
    scale: str
    minimum: int
    maximum: int
    whole_numbers: bool
    recall_hours: int
    question: str
    basis: str


class Counts(StrEnum):
    """Whose answer counts where participant and clinic both gave one."""

    PARTICIPANT = "participant"
    CLINIC = "clinic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPain:
    """Which pain score of a visit is evaluated; the other is kept, and stands in where the first is missing."""

    counts: Counts
    text: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRule:
    """Pain response of the bone metastases consensus; thresholds in points of the scale, per cent of OMED."""

    reading: str  # LITERAL, TOLERANT or NRS_ONLY: see followup.response.Reading
    pain_points: int
    analgesic_percent: int
    responders: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseGap:
    """Cases the consensus text leaves open, one clause each."""

    code: str
    value: str
    text: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePain:
    """Lowest baseline pain for entry, and the score that is flagged, in points of the scale."""

    minimum: int
    flagged: int
    flag_text: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timepoint:
    visit: str
    also_reported: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Margin of the difference study - control (negative: so much worse is acceptable), one-sided alpha."""

    margin: float
    alpha: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryAnalysis:
    difference: str
    method: str
    confidence: float
    sets: tuple[str, ...]  # non-inferior only if the limit clears the margin in every one of them
    missing: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryEndpoint:
    code: str
    label: str
    timepoint: Timepoint
    hypothesis: NonInferiority
    analysis: PrimaryAnalysis
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryEndpoint:
    code: str
    label: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """An analysis beside the primary one: another CI method, reading, handling of missing, or margin."""

    code: str
    label: str
    varies: str  # "method", "reading", "missing" or "margin"
    value: Scalar
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PerProtocolSet:
    min_fractions: int
    visit_in_window: str
    conditions: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionaries:
    ctcae: str
    meddra: str
    coding_approval: bool  # a code that a person chose needs the approval of a second person
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalgesicFactors:
    table_version: str
    column: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToxicityComparison:
    code: str
    label: str
    min_grade: int
    test: str
    counts: str
    denominator: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyClock:
    """A reporting limit counted from awareness: `hours` or calendar `days`, the other one 0."""

    code: str
    label: str
    hours: int = 0
    days: int = 0
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedReaction:
    """A reaction known of the trial's treatment: CTCAE code and term, and the worst grade that is still expected."""

    code: str
    term: str
    worst_grade: int
    basis: str

    def __post_init__(self) -> None:
        if not 1 <= self.worst_grade <= 4:
            raise ValueError("death is never an expected reaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRule:
    signers: tuple[str, ...]
    needs_relation_and_reason: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRule:
    dates: str
    times: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """An eligibility criterion: `rule` names a function of `eligibility.RULES`, `facts` what it reads."""

    code: str
    type: CriterionType
    text: str
    kind: CriterionKind
    facts: tuple[str, ...]
    rule: str
    rule_text: str
    parameters: tuple[Parameter, ...] = ()
    basis: str

    def parameter(self, name: str) -> Scalar | tuple[Scalar, ...]:
        """The value of a named parameter. Raises KeyError when the criterion has none of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.value
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOutReason:
    code: str
    text: str
    needs: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    version: str
    identity: Identity
    arms: tuple[Arm, ...]
    sample_size: SampleSize
    assumed_rates: AssumedRates
    allocation: Allocation
    masking: Masking
    events_before_visits: tuple[Event, ...]
    events_after_visits: tuple[Event, ...]
    baseline: BaselineRule
    visits: tuple[VisitRule, ...]
    repeating: RepeatingVisitRule | None
    unscheduled: UnscheduledRule | None
    watch: Watch
    treatment: Treatment
    technique: Technique
    dose_goals: tuple[DoseGoal, ...]
    index_site: IndexSite
    pain: PainQuestion
    reported_pain: ReportedPain
    baseline_pain: BaselinePain
    response: ResponseRule
    response_gaps: tuple[ResponseGap, ...]
    primary: PrimaryEndpoint
    secondary: tuple[SecondaryEndpoint, ...]
    sensitivity: tuple[Sensitivity, ...]
    per_protocol: PerProtocolSet
    criteria: tuple[Criterion, ...]
    drop_out: tuple[DropOutReason, ...]
    consent: ConsentRule
    dictionaries: Dictionaries
    analgesics: AnalgesicFactors
    toxicity: tuple[ToxicityComparison, ...]
    safety_clocks: tuple[SafetyClock, ...]
    expected_reactions: tuple[ExpectedReaction, ...]
    dates: DateRule
    basis: str

    def arm(self, code: str) -> Arm:
        """The arm of that code. Raises KeyError."""
        for arm in self.arms:
            if arm.code == code:
                return arm
        raise KeyError(code)

    def arm_of_role(self, role: ArmRole) -> Arm:
        """The study or the control arm. Raises KeyError where the design has none."""
        for arm in self.arms:
            if arm.role == role:
                return arm
        raise KeyError(role)

    def criterion(self, code: str) -> Criterion:
        """The criterion of that code. Raises KeyError."""
        for criterion in self.criteria:
            if criterion.code == code:
                return criterion
        raise KeyError(code)

    def gap(self, code: str) -> str:
        """The value decided for a case the consensus text leaves open. Raises KeyError."""
        for gap in self.response_gaps:
            if gap.code == code:
                return gap.value
        raise KeyError(code)

    def clock(self, code: str) -> SafetyClock:
        """The reporting limit of that code. Raises KeyError."""
        for clock in self.safety_clocks:
            if clock.code == code:
                return clock
        raise KeyError(code)

    def expected_grade(self, code: str) -> int | None:
        """The worst grade of a CTCAE term that is expected of the treatment; None for a term not on the list."""
        return next((each.worst_grade for each in self.expected_reactions if each.code == code), None)
