"""Times to an event of one participant: from the records of a snapshot to one traceable row per parameter.

Every time starts at randomisation. An endpoint other than death is looked for at certain dates ("looks"): it has
happened at the first look that found it, dated as the look says; who died without it has died without it on that day;
everybody else is censored at the last look. What happened on one day counts before a death of that day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

from followup.models import INTERVENTIONS, DeathCause, Fracture, IndexTreatment, LocalControl, VisitStatus
from patients.models.consent import DeathCause as EndCause
from patients.models.consent import EndStatus
from spinetrial.analysis.records import Record, Records, SourceRecord, date_of, int_of
from spinetrial.protocol.text import gettext_noop as _

#: Days of a month wherever time is given in months.
DAYS_PER_MONTH = 365.25 / 12


class Parameter(StrEnum):
    """What the time is to; the codes of ADTTE.PARAMCD."""

    OS = "OS"
    VCF = "VCF"
    LOCFAIL = "LOCFAIL"
    PAINPROG = "PAINPROG"
    RETREAT = "RETREAT"


PARAMETER_LABELS: dict[Parameter, str] = {
    Parameter.OS: _("Death of any cause"),
    Parameter.VCF: _("New vertebral compression fracture"),
    Parameter.LOCFAIL: _("Local failure"),
    Parameter.PAINPROG: _("Pain progression"),
    Parameter.RETREAT: _("Further treatment of the index site"),
}

#: The whole definition of each parameter, as the report prints it.
DEFINITIONS: dict[Parameter, str] = {
    Parameter.OS: _(
        "Death of any cause. Censored at the last date known alive: the latest of randomisation, the fractions, a "
        "visit that took place, imaging, the participant's own report and an end of study other than death."
    ),
    Parameter.VCF: _(
        "The first imaging that shows a new compression fracture of an irradiated vertebra, dated by the imaging. "
        "A fracture that was there at baseline is no event, nor is its getting worse. Censored at the last imaging on "
        "which such a vertebra could be assessed. Assumptions: who was never irradiated is followed at the index "
        "site; whose irradiated vertebrae were all fractured at baseline is not at risk and is censored at "
        "randomisation; fractures reported only as adverse events do not count."
    ),
    Parameter.LOCFAIL: _(
        "The first imaging read as local progression (SPINO) at the index site, dated by the imaging. Censored at the "
        "last imaging on which the index site could be assessed. Assumptions: imaging in doubt is no progression, and "
        "progression that is confirmed later has the date of the imaging that confirmed it."
    ),
    Parameter.PAINPROG: _(
        "The first scheduled visit with the category pain progression (PP) by the protocol's reading. Censored at the "
        "last scheduled visit with an evaluable category. Assumption: pain after a further treatment of the index "
        "site cannot be judged, so the time ends at the last evaluable visit before it."
    ),
    Parameter.RETREAT: _(
        "The first further treatment of the index site: radiotherapy again, surgery, vertebroplasty or kyphoplasty, "
        "ablation or another one, dated as reported at a visit. Censored at the last visit at which it was asked and "
        "the answer was known. Assumption: every kind of treatment counts alike."
    ),
}


class Status(IntEnum):
    """How the time ended."""

    CENSORED = 0
    EVENT = 1
    DEATH_FIRST = 2


STATUS_LABELS: dict[Status, str] = {
    Status.CENSORED: _("Censored"),
    Status.EVENT: _("Event"),
    Status.DEATH_FIRST: _("Death without the event"),
}


class Rule(StrEnum):
    """Which rule gave the end of a time."""

    DIED = "died"
    LAST_ALIVE = "last_alive"
    NEW_FRACTURE = "new_fracture"
    PROGRESSION = "progression"
    PAIN_PROGRESSION = "pain_progression"
    TREATED_AGAIN = "treated_again"
    DIED_WITHOUT = "died_without"
    LAST_IMAGING = "last_imaging"
    LAST_RESPONSE = "last_response"
    LAST_ASKED = "last_asked"
    NEVER_LOOKED = "never_looked"
    NOT_AT_RISK = "not_at_risk"


RULE_LABELS: dict[Rule, str] = {
    Rule.DIED: _("Death: its date"),
    Rule.LAST_ALIVE: _("Alive: last date known alive"),
    Rule.NEW_FRACTURE: _("First imaging with a new fracture of an irradiated vertebra"),
    Rule.PROGRESSION: _("First imaging with local progression at the index site"),
    Rule.PAIN_PROGRESSION: _("First scheduled visit with pain progression"),
    Rule.TREATED_AGAIN: _("First further treatment of the index site"),
    Rule.DIED_WITHOUT: _("Death before the event was found: date of death"),
    Rule.LAST_IMAGING: _("Not found: last imaging that could show it"),
    Rule.LAST_RESPONSE: _("Not found: last scheduled visit with an evaluable response"),
    Rule.LAST_ASKED: _("Not found: last visit at which it was asked"),
    Rule.NEVER_LOOKED: _("Never looked for after randomisation: censored on that day"),
    Rule.NOT_AT_RISK: _("Every irradiated vertebra was fractured at baseline: not at risk, censored at randomisation"),
}

#: The rules of an event and of censoring for each parameter with death competing.
_RULES: dict[Parameter, tuple[Rule, Rule]] = {
    Parameter.VCF: (Rule.NEW_FRACTURE, Rule.LAST_IMAGING),
    Parameter.LOCFAIL: (Rule.PROGRESSION, Rule.LAST_IMAGING),
    Parameter.PAINPROG: (Rule.PAIN_PROGRESSION, Rule.LAST_RESPONSE),
    Parameter.RETREAT: (Rule.TREATED_AGAIN, Rule.LAST_ASKED),
}

#: The end of study has fewer causes of death than the visit; this one goes by another code.
_SAME_CAUSE: dict[str, str] = {EndCause.TREATMENT: DeathCause.TRIAL_TREATMENT}

#: Months after randomisation at which every curve is read. Assumption: the protocol names none.
READ_AT_MONTHS = (3, 6, 12)

#: The parameters with death competing.
COMPETING = tuple(_RULES)

_SUBJECTS = SourceRecord("SUBJECTS", None)


@dataclass(frozen=True, slots=True)
class Look:
    """One occasion on which an endpoint was looked for: the date, what was found, and the record that says so."""

    day: date
    found: bool
    source: SourceRecord


@dataclass(frozen=True, slots=True)
class EventTime:
    """One participant's time to one parameter; `source` is the record that gave `end`, `rule` why it is the end."""

    parameter: Parameter
    start: date
    end: date
    status: Status
    source: SourceRecord
    rule: Rule

    @property
    def days(self) -> int:
        """Days from start to end; 0 for an end that is dated before the start by mistake."""
        return max((self.end - self.start).days, 0)

    @property
    def months(self) -> float:
        return self.days / DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Death:
    """A date of death with the record it was first reported in."""

    day: date
    source: SourceRecord
    cause: str


def death_of(record: Record, data: Records) -> Death | None:
    """The death of a participant: the milestone, with the form that set it and the cause given there.

    `record`: the row of SUBJECTS. The cause is a code of `followup.models.DeathCause`, whichever form it is from.
    """
    day, subject = date_of(record["death_date"]), str(record["subject"])
    if day is None:
        return None
    forms = {
        "P.EOS": [form for form in data.all("P.EOS", subject) if form["status"] == EndStatus.DEAD],
        "F.VISIT": [form for form in data.all("F.VISIT", subject) if form["death_date"]],
    }
    dated = {"P.EOS": "ended_on", "F.VISIT": "death_date"}
    first = str(record["death_source"] or "")
    for table in sorted(forms, key=lambda name: name != first):
        for form in forms[table]:
            if date_of(form[dated[table]]) == day:
                cause = str(form["death_cause"] or DeathCause.UNKNOWN)
                return Death(day, SourceRecord(table, int_of(form["record"])), _SAME_CAUSE.get(cause, cause))
    return Death(day, _SUBJECTS, DeathCause.UNKNOWN)


def last_alive(record: Record, data: Records) -> Look:
    """The last date on which the participant is known to have been alive: censoring of survival.

    Of several records of that date one comes before the milestones, then by table and number.
    """
    subject = str(record["subject"])
    done = [form for form in data.all("F.VISIT", subject) if form["status"] == VisitStatus.DONE]
    ended = [form for form in data.all("P.EOS", subject) if form["status"] != EndStatus.DEAD]
    looks = [
        *_dated(done, "F.VISIT", "visit_date"),
        *_dated(data.all("F.IMAGING", subject), "F.IMAGING", "imaging_date"),
        *_dated(data.all("F.EPRO", subject), "F.EPRO", "answered_on"),
        *_dated(ended, "P.EOS", "ended_on"),
    ]
    days = [date_of(record[name]) for name in ("randomized_on", "rt_start", "rt_end")]
    known = [Look(day, False, _SUBJECTS) for day in days if day is not None]
    return max([*looks, *known], key=lambda look: (look.day, look.source != _SUBJECTS, *_order(look)[1:]))


def _dated(forms: Iterable[Record], table: str, column: str) -> Iterable[Look]:
    for form in forms:
        day = date_of(form[column])
        if day is not None:
            yield Look(day, False, SourceRecord(table, int_of(form["record"])))


def survival_time(randomized: date, death: Death | None, alive: Look) -> EventTime:
    """Time to death of any cause."""
    if death:
        return EventTime(Parameter.OS, randomized, death.day, Status.EVENT, death.source, Rule.DIED)
    return EventTime(Parameter.OS, randomized, alive.day, Status.CENSORED, alive.source, Rule.LAST_ALIVE)


def times_of(record: Record, data: Records, pain_looks: Iterable[Look]) -> tuple[EventTime, ...]:
    """Every time of one randomised participant, in the order of `Parameter`.

    `record`: the row of SUBJECTS. `pain_looks`: the scheduled visits with an evaluable category, found where it is PP.
    """
    randomized = date_of(record["randomized_on"])
    if randomized is None:
        raise ValueError("times start at randomisation")
    death = death_of(record, data)
    looks = {
        Parameter.LOCFAIL: progression_looks(record, data),
        Parameter.PAINPROG: pain_looks,
        Parameter.RETREAT: treatment_looks(record, data),
    }
    if intact_levels(record, data) or not irradiated_levels(record, data):
        fracture = competing_time(Parameter.VCF, randomized, death, fracture_looks(record, data))
    else:
        sites = SourceRecord("P.SITES", int_of(data.one("P.SITES", str(record["subject"])).get("record")))
        fracture = EventTime(Parameter.VCF, randomized, randomized, Status.CENSORED, sites, Rule.NOT_AT_RISK)
    return (
        survival_time(randomized, death, last_alive(record, data)),
        fracture,
        *(competing_time(parameter, randomized, death, found) for parameter, found in looks.items()),
    )


def competing_time(parameter: Parameter, randomized: date, death: Death | None, looks: Iterable[Look]) -> EventTime:
    """Time to the first look that found the event, with death competing.

    Looks before randomisation or after the death are mistakes of dates and are left aside. Raises KeyError for a
    parameter without competing events. Where there is nothing to look at (no index level) it was never looked for.
    """
    event, censored = _RULES[parameter]
    used = [look for look in looks if randomized <= look.day and not (death and look.day > death.day)]
    found = [look for look in used if look.found]
    if found:
        first = min(found, key=_order)
        return EventTime(parameter, randomized, first.day, Status.EVENT, first.source, event)
    if death:
        return EventTime(parameter, randomized, death.day, Status.DEATH_FIRST, death.source, Rule.DIED_WITHOUT)
    if used:
        last = max(used, key=_order)
        return EventTime(parameter, randomized, last.day, Status.CENSORED, last.source, censored)
    return EventTime(parameter, randomized, randomized, Status.CENSORED, _SUBJECTS, Rule.NEVER_LOOKED)


def _order(look: Look) -> tuple[date, str, int]:
    return look.day, look.source.table, look.source.record or 0


def irradiated_levels(record: Record, data: Records) -> list[str]:
    """The irradiated vertebrae, or for want of any the index site."""
    sites = data.one("P.SITES", str(record["subject"]))
    return str(record["target_levels"] or sites.get("index_level") or "").split()


def intact_levels(record: Record, data: Records) -> list[str]:
    """The irradiated vertebrae that had no fracture at baseline."""
    subject = str(record["subject"])
    rows = data.rows("P.SITES.sites", subject, data.one("P.SITES", subject))
    broken = {row["level"] for row in rows if row["fracture"]}
    return [level for level in irradiated_levels(record, data) if level not in broken]


def fracture_looks(record: Record, data: Records) -> list[Look]:
    """Follow-up imaging of the vertebrae that can have a new fracture (`Parameter.VCF`)."""
    unread = Fracture.NOT_ASSESSABLE
    return _imaging_looks(record, data, intact_levels(record, data), "fracture", Fracture.NEW, unread)


def progression_looks(record: Record, data: Records) -> list[Look]:
    """Follow-up imaging of the index site (`Parameter.LOCFAIL`)."""
    level = str(data.one("P.SITES", str(record["subject"])).get("index_level") or "")
    unread = LocalControl.NOT_ASSESSABLE
    return _imaging_looks(record, data, [level], "local_control", LocalControl.PROGRESSION, unread)


def _imaging_looks(
    record: Record, data: Records, levels: Sequence[str], column: str, event: str, unread: str
) -> list[Look]:
    """A look for each imaging on which at least one of the levels could be assessed."""
    looks, subject = [], str(record["subject"])
    for imaging in data.all("F.IMAGING", subject):
        day = date_of(imaging["imaging_date"])
        rows = data.rows("F.IMAGING.vertebrae", subject, imaging)
        read = {row[column] for row in rows if row["level"] in levels} - {unread, ""}
        if day is not None and read:
            looks.append(Look(day, event in read, SourceRecord("F.IMAGING", int_of(imaging["record"]))))
    return looks


def treatment_looks(record: Record, data: Records) -> list[Look]:
    """Visits at which a further treatment of the index site was asked (`Parameter.RETREAT`).

    A treatment has its own date, which may be before that of the visit.
    """
    looks = []
    for form in data.all("F.VISIT", str(record["subject"])):
        source = SourceRecord("F.VISIT", int_of(form["record"]))
        treated = form["index_treatment"] in INTERVENTIONS
        day = date_of(form["index_treatment_date"] if treated else form["visit_date"])
        if day is not None and (treated or form["index_treatment"] == IndexTreatment.NONE):
            looks.append(Look(day, treated, source))
    return looks


def first_treatment(record: Record, data: Records) -> Look | None:
    """When the index site was first treated again, whichever visit reported it."""
    return min((look for look in treatment_looks(record, data) if look.found), key=_order, default=None)
