"""The working of a pain response in words: every input, each drug, the percentages, and the clause that decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from followup.response import CATEGORY_LABELS, NE_REASON_LABELS, READING_LABELS, Category, Reading
from followup.responses import PainAtVisit
from spinetrial.protocol import CURRENT, events
from spinetrial.protocol.text import Line
from spinetrial.terminology.opioids import DRUGS, OMED_FLAG_LABELS, OmedFlag


@dataclass(frozen=True, slots=True)
class ReadingInWords:
    """The category by one reading of "increase in analgesics", and how it came about."""

    label: str
    code: str
    category: str
    reason: str  # why it is not evaluable
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Working:
    """What one visit's response rests on, in the reader's language. `readings`: the protocol's own comes first."""

    event: str
    visit_date: str
    inputs: tuple[tuple[str, str], ...]
    baseline: tuple[str, ...]
    visit: tuple[str, ...]
    readings: tuple[ReadingInWords, ...]
    flags: tuple[str, ...]
    basis: str

    def rows(self) -> list[tuple[str, str]]:
        """All of it as pairs of heading and text, for a table on paper."""
        found = [*self.inputs, (_("OMED at baseline"), "\n".join(self.baseline))]
        found.append((_("OMED at the visit"), "\n".join(self.visit)))
        for each in self.readings:
            found.append((each.label, "\n".join((f"{each.code}: {each.category}", *each.lines))))
        if self.flags:
            found.append((_("To look at"), "\n".join(self.flags)))
        return [*found, (_("Counted by"), self.basis)]


def working_of(at: PainAtVisit) -> Working:
    """The words of one visit's response."""
    first = Reading(CURRENT.response.reading)
    return Working(
        event=events.event_title(CURRENT, at.visit.event, _),
        visit_date=at.assessed.isoformat() if at.assessed else "",
        inputs=(
            (_("Worst pain at baseline"), _score(at.baseline_pain)),
            (_("Worst pain at the visit"), "\n".join((_score(at.pain), *_lines(at.score.working)))),
        ),
        baseline=_lines(at.baseline_omed.lines),
        visit=_lines(at.omed.lines),
        readings=tuple(_reading(at, each) for each in sorted(Reading, key=lambda each: each is not first)),
        flags=tuple(_flags(at)),
        basis=_("Factor table %(table)s, protocol version %(version)s (D1, D5, D6, D7, D22).")
        % {"table": at.omed.table_version, "version": CURRENT.version},
    )


def _reading(at: PainAtVisit, reading: Reading) -> ReadingInWords:
    found = at.response(reading)
    return ReadingInWords(
        _(READING_LABELS[reading]),
        found.category.value,
        _(CATEGORY_LABELS[found.category]),
        _(NE_REASON_LABELS[found.ne_reason]) if found.ne_reason else "",
        _lines(found.working),
    )


def _flags(at: PainAtVisit) -> list[str]:
    """What makes the number less sure than it looks."""
    found = []
    if at.switched:
        drugs = ", ".join(_(DRUGS[drug].name) for drug in at.switched)
        found.append(_("Opioid switch: %(drugs)s. The change of OMED carries the error of the factors.")
                     % {"drugs": drugs})  # fmt: skip
    for when, omed in ((_("Baseline"), at.baseline_omed), (_("Visit"), at.omed)):
        # What is already the only line of the OMED needs no flag.
        plain = (OmedFlag.NOT_STATED, OmedFlag.CONTRADICTION)
        found += [f"{when}: {_(OMED_FLAG_LABELS[flag])}" for flag in omed.flags if flag not in plain]
    if at.intervention:
        found.append(_("The index site was treated again before this visit."))
    literal, tolerant = at.response(Reading.LITERAL).category, at.response(Reading.TOLERANT).category
    if literal is not tolerant:
        found.append(_("The two readings of an increase in analgesics differ: %(literal)s and %(tolerant)s.")
                     % {"literal": literal.value, "tolerant": tolerant.value})  # fmt: skip
    if literal is not Category.NE and at.response(Reading.LITERAL).literal_text is not literal:
        found.append(_("The text of the consensus has a gap here, which decision D5 closes."))
    return found


def _lines(lines: Sequence[Line]) -> tuple[str, ...]:
    return tuple(line.render(_) for line in lines)


def _score(value: int | None) -> str:
    return _("not known") if value is None else str(value)
