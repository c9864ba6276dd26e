"""Pain response of one visit against baseline, by the International Bone Metastases Consensus.

Chow 2002 and 2012 with the decisions D1 and D4 to D7; pure arithmetic in exact fractions, nothing is rounded
before it is compared. Pain is worst pain at the index site in the last 24 hours (0-10), OMED in mg/day.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import Counts, Protocol, ResponseRule
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _

Number = int | float | Decimal | Fraction


class Reading(StrEnum):
    """How "increase in analgesics" is read (D1)."""

    LITERAL = "LITERAL"
    TOLERANT = "TOLERANT"
    NRS_ONLY = "NRS_ONLY"


class Category(StrEnum):
    CR = "CR"
    PR = "PR"
    PP = "PP"
    IR = "IR"
    NE = "NE"


class NeReason(StrEnum):
    """Why a response is not evaluable."""

    DEAD = "dead"
    TOO_ILL = "too_ill"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    NOT_DONE = "not_done"
    ANALGESICS_UNKNOWN = "analgesics_unknown"
    INTERVENTION = "intervention"
    BASELINE_PAIN_MISSING = "baseline_pain_missing"
    BASELINE_ANALGESICS_UNKNOWN = "baseline_analgesics_unknown"
    BASELINE_PAIN_ZERO = "baseline_pain_zero"


class Clause(StrEnum):
    """The clause of the definition that gave a category."""

    CR = "cr"
    PR_PAIN = "pr_pain"
    PR_OMED = "pr_omed"
    PP_PAIN = "pp_pain"
    PP_OMED = "pp_omed"
    PP_BOTH = "pp_both"
    IR = "ir"
    SCORE_FELL = "score_fell"
    SCORE_ROSE = "score_rose"
    SCORE_STEADY = "score_steady"


READING_LABELS: dict[Reading, str] = {
    Reading.LITERAL: _("Literal: any rise of OMED is an increase"),
    Reading.TOLERANT: _("Tolerant: a rise of OMED by 25 per cent or more is an increase"),
    Reading.NRS_ONLY: _("Pain score alone"),
}
CATEGORY_LABELS: dict[Category, str] = {
    Category.CR: _("Complete response"),
    Category.PR: _("Partial response"),
    Category.PP: _("Pain progression"),
    Category.IR: _("Indeterminate response"),
    Category.NE: _("Not evaluable"),
}
CLAUSE_LABELS: dict[Clause, str] = {
    Clause.CR: _("CR: no pain, analgesics not increased"),
    Clause.PR_PAIN: _("PR: pain fell, analgesics not increased"),
    Clause.PR_OMED: _("PR: analgesics fell, pain not increased"),
    Clause.PP_PAIN: _("PP: pain rose, analgesics stable"),
    Clause.PP_OMED: _("PP: analgesics rose, pain not lower"),
    Clause.PP_BOTH: _("Pain and analgesics both rose (D5)"),
    Clause.IR: _("IR: no other category applies"),
    Clause.SCORE_FELL: _("Pain score alone: fell"),
    Clause.SCORE_ROSE: _("Pain score alone: rose"),
    Clause.SCORE_STEADY: _("Pain score alone: neither"),
}
NE_REASON_LABELS: dict[NeReason, str] = {
    NeReason.DEAD: _("Died before the visit"),
    NeReason.TOO_ILL: _("Too ill"),
    NeReason.MISSED: _("Visit missed"),
    NeReason.WITHDRAWN: _("Withdrawn from follow-up"),
    NeReason.REFUSED: _("Refused"),
    NeReason.NOT_DONE: _("Not done"),
    NeReason.ANALGESICS_UNKNOWN: _("Analgesics unknown"),
    NeReason.INTERVENTION: _("Not assessable: intervention at the index site"),
    NeReason.BASELINE_PAIN_MISSING: _("Baseline pain missing"),
    NeReason.BASELINE_ANALGESICS_UNKNOWN: _("Baseline analgesics unknown"),
    NeReason.BASELINE_PAIN_ZERO: _("Baseline pain 0"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The category of one visit and how it came about.

    `literal_text` is the category by the consensus text alone; it differs from `category` only where D5 fills
    the gap of that text. `clause` gave the category, `ne_reason` says why there is none. `pain_change` in points,
    `omed_change` in per cent (None: unknown, or baseline 0).
    """

    category: Category
    literal_text: Category
    clause: Clause | None
    ne_reason: NeReason | None
    responder: bool
    pain_change: Fraction | None
    omed_change: Fraction | None
    reading: Reading
    working: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """The pain score of a visit that is evaluated, 0-10, whose answer it is, and both answers as they were given."""

    value: int | None
    source: Counts | None
    reported: int | None
    clinic: int | None

    @property
    def differs(self) -> bool:
        """Whether participant and clinic gave different scores."""
        return self.reported is not None and self.clinic is not None and self.reported != self.clinic

    @property
    def working(self) -> tuple[Line, ...]:
        """Whose score it is; nothing to say of a visit without the participant's own report."""
        if self.reported is None:
            return ()
        text = {
            Counts.PARTICIPANT: _("Worst pain %(value)s: the participant's own report."),
            Counts.CLINIC: _("Worst pain %(value)s: noted by the clinic."),
            None: _("No pain score."),
        }[self.source]
        lines = [Line(text, (("value", str(self.value)),)) if self.source else Line(text)]
        if self.differs:
            values = (("reported", str(self.reported)), ("clinic", str(self.clinic)))
            lines.append(Line(_("Participant %(reported)s, clinic %(clinic)s: both are kept."), values))
        return tuple(lines)


def score_that_counts(reported: int | None, clinic: int | None, protocol: Protocol = CURRENT) -> Score:
    """The one rule which pain score of a visit is evaluated. `reported`: the participant's own, `clinic`: the form's.

    None: not given; the other one stands in.
    """
    given = {Counts.PARTICIPANT: reported, Counts.CLINIC: clinic}
    first = protocol.reported_pain.counts
    order = (first, *(each for each in Counts if each is not first))
    source = next((each for each in order if given[each] is not None), None)
    return Score(given[source] if source else None, source, reported, clinic)


def exact(value: Number) -> Fraction:
    """The number as written, as a fraction: 4.1 is 41/10, not its nearest binary. NaN raises ValueError."""
    return Fraction(str(value)) if isinstance(value, float | Decimal) else Fraction(value)


def respond(
    p0: Number | None,
    m0: Number | None,
    p1: Number | None,
    m1: Number | None,
    reading: Reading = Reading.LITERAL,
    *,
    intervention: bool = False,
    missing: NeReason | None = None,
    protocol: Protocol = CURRENT,
) -> Response:
    """Pain response from baseline pain and OMED (`p0`, `m0`) to the visit's (`p1`, `m1`).

    `intervention`: re-irradiation or surgery of the index site before the visit. `missing`: the coded reason
    when the visit's pain is missing. NE is never a responder. The reading NRS_ONLY leaves OMED aside and asks
    for a fall of 2 points, so 1 -> 0 is no response there. Raises ValueError for pain off the scale or a
    negative OMED.
    """
    before, after = _optional(p0), _optional(p1)
    dose_before, dose_after = _optional(m0), _optional(m1)
    for pain in (before, after):
        if pain is not None and not protocol.pain.minimum <= pain <= protocol.pain.maximum:
            raise ValueError("pain lies outside the scale")
    if any(dose is not None and dose < 0 for dose in (dose_before, dose_after)):
        raise ValueError("OMED cannot be negative")
    change = None if before is None or after is None else after - before
    percent = None
    if dose_before and dose_after is not None:
        percent = (dose_after - dose_before) / dose_before * 100
    working = [_pain_line(before, after, change)]
    if reading is not Reading.NRS_ONLY:
        working.append(_omed_line(dose_before, dose_after, percent, protocol.response.analgesic_percent))

    rule = protocol.response
    reason = _ne_reason(before, after, dose_before, dose_after, reading, intervention, missing)
    literal = category = Category.NE
    clause = None
    if reason is not None or after is None or change is None:
        if reason is not None:
            working.append(Line(_("Not evaluable: %(reason)s"), (("reason", NE_REASON_LABELS[reason]),)))
    elif reading is Reading.NRS_ONLY or dose_before is None or dose_after is None:
        category, clause = _by_pain(after, change, rule, working)
        literal = category
    else:
        doses = _Doses(dose_before, dose_after, percent, rule.analgesic_percent)
        literal, clause = _by_consensus(after, change, doses, reading, rule, working)
        category = literal
        if change >= rule.pain_points and doses.rose:
            category, clause = Category(protocol.gap("pain_and_omed_up")), Clause.PP_BOTH
            working.append(
                Line(
                    _("Pain and OMED both rose: %(literal)s by the text alone, %(category)s by D5."),
                    (("literal", literal.value), ("category", category.value)),
                )
            )
    return Response(
        category=category,
        literal_text=literal,
        clause=clause,
        ne_reason=reason,
        responder=category.value in rule.responders,
        pain_change=change,
        omed_change=percent,
        reading=reading,
        working=tuple(working),
    )


@dataclass(frozen=True, slots=True)
class _Doses:
    """OMED before and after with the comparisons of the rule; `percent` is None when `before` is 0."""

    before: Fraction
    after: Fraction
    percent: Fraction | None
    limit: int

    @property
    def rose(self) -> bool:
        """Up by the limit or more; from 0 any opioid is (D6)."""
        return self.after > self.before if self.percent is None else self.percent >= self.limit

    @property
    def fell(self) -> bool:
        """Down by the limit or more; from 0 it cannot (D6)."""
        return self.percent is not None and self.percent <= -self.limit


def _optional(value: Number | None) -> Fraction | None:
    return None if value is None else exact(value)


def _ne_reason(
    before: Fraction | None,
    after: Fraction | None,
    dose_before: Fraction | None,
    dose_after: Fraction | None,
    reading: Reading,
    intervention: bool,
    missing: NeReason | None,
) -> NeReason | None:
    """Baseline first: without it no visit can be evaluated, whatever happened later."""
    with_doses = reading is not Reading.NRS_ONLY
    if before is None:
        return NeReason.BASELINE_PAIN_MISSING
    if before == 0:
        return NeReason.BASELINE_PAIN_ZERO
    if with_doses and dose_before is None:
        return NeReason.BASELINE_ANALGESICS_UNKNOWN
    if intervention:
        return NeReason.INTERVENTION
    if after is None:
        return missing or NeReason.NOT_DONE
    if with_doses and dose_after is None:
        return NeReason.ANALGESICS_UNKNOWN
    return None


def _by_consensus(
    pain: Fraction,
    change: Fraction,
    doses: _Doses,
    reading: Reading,
    rule: ResponseRule,
    working: list[Line],
) -> tuple[Category, Clause]:
    points = rule.pain_points
    values = (("points", str(points)), ("percent", str(rule.analgesic_percent)))
    increase = doses.rose if reading is Reading.TOLERANT else doses.after > doses.before
    if doses.before == 0:
        working.append(Line(_("OMED 0 at baseline: any opioid is an increase, a fall cannot apply (D6).")))
    if pain == 0 and not increase:
        category, clause, text = Category.CR, Clause.CR, _("CR: pain 0 without an increase of analgesics.")
    elif change <= -points and not increase:
        category, clause = Category.PR, Clause.PR_PAIN
        text = _("PR: pain at least %(points)s below baseline without an increase of analgesics.")
    elif doses.fell and change <= 0:
        category, clause = Category.PR, Clause.PR_OMED
        text = _("PR: OMED at least %(percent)s per cent below baseline without an increase of pain.")
    elif change >= points and not doses.rose and not doses.fell:
        category, clause = Category.PP, Clause.PP_PAIN
        text = _("PP: pain at least %(points)s above baseline with stable OMED.")
    elif doses.rose and 0 <= change < points:
        # the text says "0 or 1 above baseline" of whole numbers; below 2 is the same and covers a VAS
        category, clause = Category.PP, Clause.PP_OMED
        text = _("PP: OMED at least %(percent)s per cent above baseline, pain less than %(points)s above it.")
    else:
        category, clause, text = Category.IR, Clause.IR, _("IR: none of CR, PR and PP applies.")
    working.append(Line(text, values))
    return category, clause


def _by_pain(pain: Fraction, change: Fraction, rule: ResponseRule, working: list[Line]) -> tuple[Category, Clause]:
    points = rule.pain_points
    if change <= -points:
        category, clause = Category.CR if pain == 0 else Category.PR, Clause.SCORE_FELL
        text = _("Pain score alone: at least %(points)s below baseline.")
    elif change >= points:
        category, clause = Category.PP, Clause.SCORE_ROSE
        text = _("Pain score alone: at least %(points)s above baseline.")
    else:
        category, clause = Category.IR, Clause.SCORE_STEADY
        text = _("Pain score alone: less than %(points)s from baseline.")
    working.append(Line(text, (("points", str(points)),)))
    return category, clause


def _pain_line(p0: Fraction | None, p1: Fraction | None, change: Fraction | None) -> Line:
    if change is None:
        return Line(_("Pain: baseline %(before)s, visit %(after)s."), (("before", _show(p0)), ("after", _show(p1))))
    return Line(
        _("Pain: baseline %(before)s, visit %(after)s, change %(change)s."),
        (("before", _show(p0)), ("after", _show(p1)), ("change", _show(change, signed=True))),
    )


def _omed_line(m0: Fraction | None, m1: Fraction | None, percent: Fraction | None, limit: int) -> Line:
    if percent is None:
        return Line(
            _("OMED: baseline %(before)s, visit %(after)s mg/day."),
            (("before", _show(m0)), ("after", _show(m1))),
        )
    return Line(
        _("OMED: baseline %(before)s, visit %(after)s mg/day, change %(change)s per cent."),
        (("before", _show(m0)), ("after", _show(m1)), ("change", _show(percent, signed=True, border=limit))),
    )


def _show(value: Fraction | None, signed: bool = False, border: int | None = None) -> str:
    """For reading only: 2 decimals, or as many as tell the value from 0 and `border`. No comparison uses this text."""
    if value is None:
        return "?"
    places, borders = 2, (0, border, -border) if border else (0,)
    while places < 12 and value not in borders and round(value, places) in borders:
        places += 1
    text = f"{Decimal(round(value * 10**places)).scaleb(-places):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"+{text}" if signed and value > 0 else text
