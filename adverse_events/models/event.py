"""Adverse events: what happened, how bad, why, and the clock of the serious ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Min, OuterRef, Q, Subquery
from django.utils.functional import lazy
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.crf.forms import yes_no
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.rules import known_codes, since_1900
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.text import gettext_noop
from spinetrial.terminology import ctcae
from spinetrial.terminology.vertebrae import LEVELS

#: Terms that are about a vertebra or the cord beside it, so that the level is asked: fracture (spinal and any),
#: myelitis, compression of the cord, radiculitis, and pain of back, bone and tumour.
LEVEL_TERMS = (
    "10041569", "10017076", "10028524", "10041549", "10061928", "10003988", "10006002", "10045158",
)  # fmt: skip

#: Ten years of follow-up are offered as the visit of a report.
_LAST_MONTH = 120

#: Days after the last fraction up to which an event counts as acute (RTOG).
ACUTE_DAYS = 90


def check_ctcae_code(code: str) -> None:
    """Validator: `code` is a term of the CTCAE version of this trial (D19)."""
    if code not in ctcae.terms():
        raise ValidationError(_("Choose a CTCAE term from the list."), code="unknown_term")


def term_label(code: str) -> str:
    """The CTCAE term, with our own Chinese name for a reader of Chinese; the code itself when it is unknown."""
    term = ctcae.terms().get(code)
    if term is None:
        return code
    chinese = ctcae.name_zh(code) if (get_language() or "").startswith("zh") else ""
    return f"{chinese} ({term.term})" if chinese else term.term


def _event_title(code: str) -> str:
    return events.event_title(CURRENT, code, gettext)


_title = lazy(_event_title, str)  # the choices outlive the request, and with it the language


def reporting_visits() -> list[tuple[str, Any]]:
    """Events of the schedule at which an adverse event can be told, with their titles."""
    codes = [event.code for event in CURRENT.events_before_visits] + [rule.code for rule in CURRENT.visits]
    if CURRENT.repeating is not None:
        rule = CURRENT.repeating
        months = range(rule.first_months, _LAST_MONTH + 1, rule.every_months)
        codes += [f"{rule.code_prefix}{each}" for each in months]
    return [(code, _title(code)) for code in dict.fromkeys(codes)]


class Relation(models.TextChoices):
    """NCI's five categories; related means possible or more."""

    UNRELATED = "unrelated", _("Unrelated: clearly not")
    UNLIKELY = "unlikely", _("Unlikely: doubtful")
    POSSIBLE = "possible", _("Possible: may be")
    PROBABLE = "probable", _("Probable: likely")
    DEFINITE = "definite", _("Definite: clearly")


RELATED = (Relation.POSSIBLE, Relation.PROBABLE, Relation.DEFINITE)


class Action(models.TextChoices):
    """What was done with the trial's radiotherapy because of the event."""

    NONE = "none", _("None")
    INTERRUPTED = "interrupted", _("Interrupted or postponed")
    STOPPED = "stopped", _("Stopped for good")
    NOT_APPLICABLE = "not_applicable", _("Not applicable: not begun or already finished")


class Outcome(models.TextChoices):
    RECOVERED = "recovered", _("Recovered")
    SEQUELAE = "sequelae", _("Recovered with lasting effects")
    RECOVERING = "recovering", _("Recovering")
    ONGOING = "ongoing", _("Not recovered, goes on")
    FATAL = "fatal", _("Fatal")
    UNKNOWN = "unknown", _("Not known")


#: Outcomes of an event that is over, so that it has an end date.
ENDED = (Outcome.RECOVERED, Outcome.SEQUELAE, Outcome.FATAL)

#: Criteria of ICH E2A; any one makes an event serious. Severity is not among them.
CRITERIA = ("sae_death", "sae_life", "sae_hospital", "sae_disability", "sae_congenital", "sae_important")


class Phase(StrEnum):
    BEFORE = "before"
    ACUTE = "acute"
    LATE = "late"


PHASE_LABELS: dict[Phase, str] = {
    Phase.BEFORE: gettext_noop("Before radiotherapy"),
    Phase.ACUTE: gettext_noop("Acute: up to 90 days after radiotherapy"),
    Phase.LATE: gettext_noop("Late: more than 90 days after radiotherapy"),
}


def _tick(label: Any) -> models.BooleanField[Any, Any]:
    return models.BooleanField(label, default=False)


def _attribution(label: Any) -> models.CharField[Any, Any]:
    return models.CharField(label, max_length=10, choices=Relation.choices)


class WithReports(models.Manager["AdverseEvent"]):
    """Events that know when they were reported: read from the report versions, which alone record it."""

    def get_queryset(self) -> models.QuerySet[AdverseEvent]:
        reports = list_records(SYSTEM, apps.get_model("adverse_events", "SaeReport"), "crf.view")
        mine = reports.filter(event=OuterRef("pk")).order_by()

        def first(column: str, **condition: Any) -> Subquery:
            return Subquery(mine.filter(**condition).values("event").annotate(at=Min(column)).values("at"))

        # Not as keywords: the type checker would take them for fields, though a new event has none of them.
        times = {
            "reported_at": first("submitted_at"),
            "authority_at": first("authority_sent_at"),
            "authority_full_at": first("authority_sent_at", number__gt=1),
        }
        return super().get_queryset().annotate(**times)


_SERIOUS = Q(sae_death=True) | Q(sae_life=True) | Q(sae_hospital=True)
_SERIOUS |= Q(sae_disability=True) | Q(sae_congenital=True) | Q(sae_important=True)


class AdverseEvent(SubjectRecord):
    """An adverse event (A.AE). Serious, related, phase and deadlines are derived, never typed.

    `reported_at` (first report sent to the sponsor), `authority_at` and `authority_full_at` (first and second report
    sent to the authority) come with every row that is read; they are facts of the report versions, not columns here.
    """

    reported_at: datetime | None = None
    authority_at: datetime | None = None
    authority_full_at: datetime | None = None

    objects = WithReports()

    verbatim = models.CharField(_("What happened, in the reporter's words"), max_length=200, help_text=_("No names."))
    ctcae_code = models.CharField(
        _("CTCAE term"),
        max_length=10,
        validators=[check_ctcae_code],
        help_text=_("CTCAE version 5.0. Type a part of the term or a synonym, in English or Chinese."),
    )
    ctcae_version = models.CharField(max_length=8, default=CURRENT.dictionaries.ctcae, editable=False)
    grade = models.PositiveSmallIntegerField(
        _("CTCAE grade, the worst"),
        choices=[(grade, str(grade)) for grade in range(1, 6)],
        help_text=_("If the grade changed, enter its course under “Grade periods” too."),
    )
    worse_than_before = _tick(
        _("Worse than before: the condition was there at baseline already and has become worse since"),
    )
    vertebra = models.CharField(_("Vertebra"), max_length=3, choices=[(level, level) for level in LEVELS], blank=True)
    flare = _tick(_("Pain flare: a passing increase of pain within 10 days of the start of radiotherapy"))
    onset_date = models.DateField(_("Start date"))
    reported_visit = models.CharField(
        _("Reported at the visit"),
        max_length=8,
        choices=reporting_visits,
        blank=True,
        help_text=_("Leave blank if it was learned of between the visits."),
    )
    outcome = models.CharField(_("Outcome"), max_length=12, choices=Outcome.choices)
    end_date = models.DateField(
        _("End date"), null=True, blank=True, help_text=_("Of an event that is over. Fatal: date of death.")
    )
    relation_radiotherapy = _attribution(_("Caused by the trial's radiotherapy?"))
    relation_disease = _attribution(_("Caused by the cancer?"))
    relation_systemic = _attribution(_("Caused by systemic therapy?"))
    relation_other = _attribution(_("Caused by anything else?"))
    other_cause = models.CharField(_("Which other cause?"), max_length=200, blank=True)
    action = models.CharField(_("Trial radiotherapy because of it"), max_length=16, choices=Action.choices)
    treated = yes_no(_("Was the event treated?"))
    treatment = models.CharField(_("Which treatment?"), max_length=300, blank=True)
    sae_death = _tick(_("Results in death"))
    sae_life = _tick(_("Life-threatening at the time of the event"))
    sae_hospital = _tick(_("Admission to hospital, or a longer stay"))
    sae_disability = _tick(_("Lasting or significant disability"))
    sae_congenital = _tick(_("Congenital anomaly or birth defect"))
    sae_important = _tick(_("Another medically important event"))
    aware_at = models.DateTimeField(
        _("Study team aware since"),
        null=True,
        blank=True,
        help_text=_("For a serious event. The 24 hours for the report to the sponsor count from here."),
    )
    unexpected = yes_no(
        _("Unexpected: not known of this treatment in this kind or severity?"),
        blank=True,
        help_text=_("For a serious event."),
    )
    remarks = models.TextField(
        _("Course of the event"), max_length=4000, blank=True, help_text=_("No names and no contact particulars.")
    )

    class Meta:
        verbose_name = _("Adverse event")
        ordering = ("onset_date", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(grade__gte=1, grade__lte=5),
                name="adverseevent_grade_in_range",
                violation_error_message=_("A grade lies between 1 and 5."),
            ),
            models.CheckConstraint(condition=Q(ctcae_code__regex=r"^[0-9]{8}$"), name="adverseevent_ctcae_code_form"),
            models.CheckConstraint(condition=~Q(ctcae_version=""), name="adverseevent_ctcae_version_kept"),
            known_codes("vertebra", list(LEVELS), blank=True),
            models.CheckConstraint(
                condition=Q(reported_visit__regex=r"^([A-Z]{1,4}[0-9]{0,3})?$"), name="adverseevent_visit_code_form"
            ),
            known_codes("outcome", Outcome.values),
            known_codes("action", Action.values),
            *(
                known_codes(name, Relation.values)
                for name in ("relation_radiotherapy", "relation_disease", "relation_systemic", "relation_other")
            ),
            *since_1900("onset_date", "end_date"),
            *since_1900("aware_at", times=True),
            models.CheckConstraint(
                condition=Q(end_date__isnull=True) | Q(end_date__gte=F("onset_date")),
                name="adverseevent_dates_in_order",
                violation_error_message=_("The event ends before it starts."),
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=ENDED, end_date__isnull=False)
                | (~Q(outcome__in=ENDED) & Q(end_date__isnull=True)),
                name="adverseevent_end_fits_outcome",
                violation_error_message=_("An event that is over has an end date, one that goes on has none."),
            ),
            models.CheckConstraint(
                condition=Q(grade=5, sae_death=True, outcome=Outcome.FATAL)
                | (Q(grade__lt=5, sae_death=False) & ~Q(outcome=Outcome.FATAL)),
                name="adverseevent_death_is_grade_5",
                violation_error_message=_(
                    "Grade 5, “results in death” and the outcome “fatal” go together: give all three or none."
                ),
            ),
            models.CheckConstraint(
                condition=(_SERIOUS & Q(aware_at__isnull=False, unexpected__isnull=False))
                | (~_SERIOUS & Q(aware_at__isnull=True, unexpected__isnull=True)),
                name="adverseevent_serious_has_clock",
                violation_error_message=_(
                    "A serious event needs the time of awareness and whether it was unexpected; another has neither."
                ),
            ),
            models.CheckConstraint(
                condition=(Q(treated=True) & ~Q(treatment="")) | Q(treated=False, treatment=""),
                name="adverseevent_treatment_named",
                violation_error_message=_("A treated event names its treatment."),
            ),
            models.CheckConstraint(
                condition=(Q(relation_other__in=RELATED) & ~Q(other_cause=""))
                | (~Q(relation_other__in=RELATED) & Q(other_cause="")),
                name="adverseevent_other_cause_named",
                violation_error_message=_("Another cause that is possible or more has a name."),
            ),
        )

    def clean(self) -> None:
        """Put the messages of rules on several fields at the field where the answer is looked for."""
        super().clean()
        errors: dict[str, Any] = {}
        defined = ctcae.terms()[self.ctcae_code].grades if self.ctcae_code in ctcae.terms() else None
        if defined is not None and self.grade and self.grade not in defined:
            errors["grade"] = ValidationError(
                _("CTCAE defines only these grades for the term: %(grades)s."),
                params={"grades": ", ".join(map(str, defined))},
                code="grade_undefined",
            )
        elif self.grade == 5 and not self.sae_death:
            errors["sae_death"] = _("Grade 5 is death: tick this criterion.")
        elif self.sae_death and self.grade and self.grade != 5:
            errors["grade"] = _("An event that results in death is grade 5.")
        if self.outcome and (self.sae_death or self.grade == 5) and self.outcome != Outcome.FATAL:
            errors["outcome"] = _("An event that results in death has the outcome “fatal”.")
        elif self.outcome == Outcome.FATAL and not (self.sae_death or self.grade == 5):
            errors["outcome"] = _("The outcome is fatal: give grade 5 and tick “results in death”.")
        if self.end_date and self.onset_date and self.end_date < self.onset_date:
            errors["end_date"] = _("The event ends before it starts.")
        if self.serious:
            if self.aware_at is None:
                errors["aware_at"] = _("A serious event needs the date and time of awareness.")
            if self.unexpected is None:
                errors["unexpected"] = _("Say for a serious event whether it was unexpected.")
        else:
            for name in ("aware_at", "unexpected"):
                if getattr(self, name) is not None:
                    errors[name] = _("No criterion of seriousness is ticked: tick one, or leave this blank.")
        if errors:
            raise ValidationError(errors)

    def display_ctcae_code(self) -> str:
        """The term in words, for read-only pages and print."""
        return term_label(self.ctcae_code)

    @property
    def term(self) -> ctcae.Term:
        """The CTCAE term. Raises KeyError for a code of another version."""
        return ctcae.get(self.ctcae_code)

    @property
    def serious(self) -> bool:
        """Any criterion of ICH E2A; the grade alone never decides."""
        return any(getattr(self, name) for name in CRITERIA)

    @property
    def related(self) -> bool:
        """Whether the trial's radiotherapy is a possible, probable or definite cause."""
        return self.relation_radiotherapy in RELATED

    @property
    def ongoing(self) -> bool:
        return self.outcome in (Outcome.RECOVERING, Outcome.ONGOING)

    @property
    def report_due(self) -> datetime | None:
        """When the report to the sponsor is due (24 hours after awareness, D20); None for one not serious."""
        if not self.serious or self.aware_at is None:
            return None
        return self.aware_at + timedelta(hours=CURRENT.clock("SPONSOR").hours)

    def deadlines(self) -> list[tuple[str, datetime]]:
        """Every reporting limit that applies, as (code of the protocol's clock, time), earliest first (D20).

        Beyond the sponsor's 24 hours only for an event that is suspected (related) and unexpected.
        """
        if self.report_due is None or self.aware_at is None:
            return []
        codes = ["SPONSOR"]
        if self.related and self.unexpected:
            codes += ["FATAL", "FATAL_FOLLOW_UP"] if self.sae_death or self.sae_life else ["SERIOUS"]
        return [
            (code, self.aware_at + timedelta(hours=CURRENT.clock(code).hours, days=CURRENT.clock(code).days))
            for code in codes
        ]

    def phase(self, rt_start: date | None, rt_end: date | None) -> Phase | None:
        """Acute up to 90 days after the last fraction, then late; None for a participant not irradiated.

        `rt_end`: the last fraction, None while radiotherapy runs.
        """
        if rt_start is None:
            return None
        if self.onset_date < rt_start:
            return Phase.BEFORE
        if rt_end is None or self.onset_date <= rt_end + timedelta(days=ACUTE_DAYS):
            return Phase.ACUTE
        return Phase.LATE
