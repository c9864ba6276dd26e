"""What a report of a serious event says: gathered once, frozen as canonical JSON, put in words, compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.utils.translation import gettext as _

from adverse_events.expectedness import propose
from adverse_events.models import CRITERIA, AdverseEvent, GradePeriod, course_of, term_label
from patients.milestones import milestones_of
from patients.models import BaselineAnalgesic, Demographics, PrimaryTumour, SitesOfDisease, Status
from spinetrial.access.gate import of_subject
from spinetrial.crf.content import plain
from spinetrial.crf.display import field_text
from spinetrial.protocol import CURRENT
from spinetrial.review.explanations import live_explanations

#: Of the facts; raised when their meaning changes.
FORMAT = 1

#: Check whose explanation says why an event is not as expected as the list has it.
DIFFERS = "ae_expectedness_differs"

#: Columns of the event as they are, in the order of the page.
_EVENT = (
    "verbatim",
    "ctcae_version",
    "grade",
    "onset_date",
    "end_date",
    "outcome",
    *CRITERIA,
    "aware_at",
    "unexpected",
    "relation_radiotherapy",
    "relation_disease",
    "relation_systemic",
    "relation_other",
    "other_cause",
    "action",
    "treated",
    "treatment",
    "remarks",
)
_HISTORY = ("hypertension", "diabetes", "myocardial_infarction", "myocardial_ischaemia", "unhealed_wound")


def facts_of(event: AdverseEvent) -> dict[str, Any]:
    """Everything a report prints of the participant, the treatment and the event, as codes and ISO dates.

    No name, no initials, no date of birth and no arm: the code stands for the person, the prescription for the
    treatment.
    """
    subject = event.subject
    stones = milestones_of(subject)
    person = of_subject(subject, Demographics).first()
    tumour = of_subject(subject, PrimaryTumour).first()
    disease = of_subject(subject, SitesOfDisease).first()
    status = of_subject(subject, Status).first()
    drugs = of_subject(subject, BaselineAnalgesic).order_by("position", "id")
    explained = live_explanations(subject, "A.AE", event.pk)
    found = {
        "format": FORMAT,
        "trial": CURRENT.identity.registration,
        "trial_title": CURRENT.identity.short_title,
        "protocol": CURRENT.version,
        "participant": subject.code,
        "site": subject.site.code,
        "hospital": subject.site.name,
        "timezone": subject.site.timezone,
        "event": event.pk,
        "age": _age(person.birth_date, event.onset_date) if person else None,
        "sex": person.sex if person else "",
        "height_cm": plain(person.height_cm) if person else None,
        "tumour": tumour.site if tumour else "",
        "histology": tumour.histology if tumour else "",
        "index_level": disease.index_level if disease else "",
        "history": [name for name in _HISTORY if status and getattr(status, name)],
        "analgesics": [[row.drug, plain(row.dose), plain(row.times)] for row in drugs],
        "ctcae_code": event.ctcae_code,
        "course": _course(event, of_subject(subject, GradePeriod).filter(parent=event)),
        "list_says_unexpected": propose(event.ctcae_code, event.grade).unexpected,
        "explanation": next((row.text for (check, _match), row in explained.items() if check == DIFFERS), ""),
        "rt_start": plain(stones.rt_start),
        "rt_end": plain(stones.rt_end),
        "rt_completed": stones.rt_completed,
        "fractions_given": stones.fractions_given,
        "fractions_planned": CURRENT.treatment.fractions,
        "total_gy": f"{CURRENT.treatment.total_gy:g}",
        "death_date": plain(stones.death_date),
    }
    return found | {name: plain(getattr(event, name)) for name in _EVENT}


def _course(event: AdverseEvent, periods: Iterable[GradePeriod]) -> list[list[Any]]:
    return [[plain(day), grade] for day, grade in course_of(event, periods)]


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def canonical(facts: Mapping[str, Any]) -> str:
    """The facts as one canonical JSON text: keys sorted, no white space."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, in small hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- in words ---


@dataclass(frozen=True, slots=True)
class Line:
    """One fact in the reader's language."""

    key: str
    label: str
    text: str


def lines_of(facts: Mapping[str, Any]) -> list[Line]:
    """The facts a person reads, in the order of a report, in the language of the moment; facts left blank are kept."""
    event = AdverseEvent._meta
    lines = [
        Line("participant", _("Participant"), facts["participant"]),
        Line("hospital", _("Hospital"), f"{facts['site']} {facts['hospital']}"),
        Line("age", _("Age at the event"), str(facts["age"]) if facts["age"] is not None else ""),
        Line("sex", _("Sex"), _of(Demographics, "sex", facts["sex"])),
        Line("tumour", _("Primary tumour"), tumour_text(facts)),
        Line("index_level", _("Index site"), facts["index_level"]),
        Line("history", _("History"), history_text(facts)),
        Line("analgesics", _("Analgesics at baseline"), analgesics_text(facts)),
        Line("regimen", _("Trial radiotherapy"), regimen_text(facts)),
        Line("rt", _("Radiotherapy given"), given_text(facts)),
        Line("term", _("CTCAE term"), term_label(facts["ctcae_code"])),
    ]
    for name in _EVENT:
        if name in CRITERIA or name == "ctcae_version":
            continue
        if name == "aware_at":
            lines.append(Line("seriousness", _("Criteria of seriousness"), seriousness_text(facts)))
        field: Any = event.get_field(name)
        value = facts[name]
        if name == "aware_at":
            value = datetime.fromisoformat(value) if value else None
        lines.append(Line(name, str(field.verbose_name), field_text(field, value)))
        if name == "grade":
            course = facts["course"] if len(facts["course"]) > 1 else []
            lines.append(Line("course", _("Grade over time"), "; ".join(f"{day}: {grade}" for day, grade in course)))
        if name == "unexpected":
            lines.append(Line("list", _("By the list of expected reactions"), list_text(facts)))
            lines.append(Line("explanation", _("Why it is different here"), facts["explanation"]))
    lines.append(Line("death_date", _("Date of death"), facts["death_date"] or ""))
    return lines


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[Line, Line]]:
    """The lines that say something else in `after`, each with what `before` said."""
    old = {line.key: line for line in lines_of(before)}
    return [(old[line.key], line) for line in lines_of(after) if old[line.key].text != line.text]


def changed_since(event: AdverseEvent, periods: Iterable[GradePeriod], facts: Mapping[str, Any]) -> bool:
    """Whether the event itself, or its grade over time, says something else now than in a signed report."""
    changed = any(plain(getattr(event, name)) != facts[name] for name in ("ctcae_code", *_EVENT))
    return changed or _course(event, periods) != facts["course"]


def _of(model: Any, name: str, value: Any) -> str:
    return field_text(model._meta.get_field(name), value)


def _label(model: Any, name: str) -> str:
    return str(model._meta.get_field(name).verbose_name)


def seriousness_text(facts: Mapping[str, Any]) -> str:
    return "; ".join(_label(AdverseEvent, name) for name in CRITERIA if facts[name])


def tumour_text(facts: Mapping[str, Any]) -> str:
    parts = [_of(PrimaryTumour, "site", facts["tumour"]), facts["histology"]]
    return ", ".join(part for part in parts if part)


def history_text(facts: Mapping[str, Any]) -> str:
    return ", ".join(_label(Status, name) for name in facts["history"])


def analgesics_text(facts: Mapping[str, Any]) -> str:
    texts = []
    for drug, dose, times in facts["analgesics"]:
        name = _of(BaselineAnalgesic, "drug", drug)
        texts.append(f"{name} {float(dose):g} × {float(times):g}" if dose is not None and times is not None else name)
    return "; ".join(texts)


def regimen_text(facts: Mapping[str, Any]) -> str:
    """The prescription of both arms, so that it tells nothing of the arm."""
    words = {"gy": facts["total_gy"], "fractions": facts["fractions_planned"]}
    return _("%(gy)s Gy / %(fractions)s fractions to the index site") % words


def given_text(facts: Mapping[str, Any]) -> str:
    if not facts["rt_start"]:
        return _("none yet")
    words = {"given": facts["fractions_given"], "start": facts["rt_start"], "end": facts["rt_end"]}
    text = _("%(given)s fractions, %(start)s to %(end)s") % words
    return text if facts["rt_completed"] else text + ", " + _("still running")


def list_text(facts: Mapping[str, Any]) -> str:
    return _("Unexpected") if facts["list_says_unexpected"] else _("Expected")


def moment(text: str | None) -> datetime | None:
    """A time of the facts, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
