"""The report of a serious event on one page with the numbered boxes of the CIOMS I form, continued where it is long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from adverse_events.facts import (
    Line,
    analgesics_text,
    changes,
    given_text,
    history_text,
    lines_of,
    list_text,
    moment,
    regimen_text,
    tumour_text,
)
from adverse_events.models import AdverseEvent, ReportKind, term_label
from spinetrial.crf.display import field_text
from spinetrial.reports.booklet import printable, wrap
from spinetrial.reports.fonts import BOLD, REGULAR, register

_LEFT, _WIDTH = 14 * mm, A4[0] - 28 * mm
_TOP, _BOTTOM = A4[1] - 14 * mm, 16 * mm
_INK, _SOFT = (0.11, 0.15, 0.18), (0.36, 0.42, 0.46)
_PAD = 1.2 * mm
#: Sizes a text is tried in, in points, before the rest goes to the next page.
_SIZES = (8.5, 7.5, 6.5)

#: Characters of a changed answer that are repeated in the list of changes.
_CHANGE = 120


def render(facts: Mapping[str, Any], sha256: str, language: str, before: Mapping[str, Any] | None = None) -> bytes:
    """The PDF of a signed version in the language that is active; `before` are the facts of the version before it.

    No clock enters: the same version gives the same bytes. The arm is not in the facts.
    """
    register()
    target = BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1, pageCompression=1, lang=language)
    title = _("Report of a serious adverse event")
    canvas.setTitle(printable(f"{title} {facts['participant']}"))
    canvas.setAuthor("SpineTrial")
    canvas.setCreator("SpineTrial")
    sheet = _Sheet(canvas, facts, sha256)
    sheet.first_page(title)
    sheet.further_pages(before)
    sheet.finish()
    canvas.save()
    return target.getvalue()


@dataclass
class _Sheet:
    canvas: Canvas
    facts: Mapping[str, Any]
    sha256: str
    continued: list[tuple[str, str]] = field(default_factory=list)
    pages: list[list[tuple[str, tuple[Any, ...]]]] = field(default_factory=lambda: [[]])

    # Steps are kept until the number of pages is known.
    def _do(self, name: str, *arguments: Any) -> None:
        self.pages[-1].append((name, arguments))

    def _text(self, x: float, y: float, text: str, size: float, font: str = REGULAR, ink: Any = _INK) -> None:
        self._do("setFont", font, size)
        self._do("setFillColorRGB", *ink)
        self._do("drawString", x, y, printable(text))

    def finish(self) -> None:
        words = {name: self.facts[name] for name in ("trial", "participant", "number")}
        footer = _("%(trial)s, participant %(participant)s, report %(number)s, in the manner of form CIOMS I") % words
        for number, page in enumerate(self.pages, 1):
            for name, arguments in page:
                getattr(self.canvas, name)(*arguments)
            self.canvas.setFillColorRGB(*_SOFT)
            self.canvas.setFont(REGULAR, 6.5)
            self.canvas.drawString(_LEFT, 10 * mm, printable(footer))
            self.canvas.drawString(_LEFT, 7 * mm, f"SHA-256 {self.sha256}")
            self.canvas.drawRightString(_LEFT + _WIDTH, 10 * mm, f"{number} / {len(self.pages)}")
            self.canvas.showPage()

    # --- boxes ---

    def box(self, x: float, y: float, width: float, height: float, label: str, text: str) -> None:
        """A box with its upper left corner at (x, y) from the page's upper left margin, in mm; text that has no room
        is printed in whole on a further page.
        """
        left, top = _LEFT + x * mm, _TOP - y * mm
        self._do("setStrokeColorRGB", *_INK)
        self._do("setLineWidth", 0.5)
        self._do("rect", left, top - height * mm, width * mm, height * mm, 1, 0)
        labels = wrap(label, REGULAR, 6, width * mm - 2 * _PAD)
        for number, line in enumerate(labels):
            self._text(left + _PAD, top - 2.6 * mm - number * 2.4 * mm, line, 6, REGULAR, _SOFT)
        used = 1.2 * mm + len(labels) * 2.4 * mm
        room = height * mm - used - 0.8 * mm
        for size in _SIZES:
            lines = wrap(text, REGULAR, size, width * mm - 2 * _PAD)
            fits = int(room / (size * 1.3))
            if len(lines) <= fits:
                break
        else:
            self.continued.append((label, text))
            lines = [*lines[: fits - 1], _("(continued on the next page)")]
        for number, line in enumerate(lines):
            self._text(left + _PAD, top - used - size - number * size * 1.3, line, size)

    def head(self, y: float, text: str) -> None:
        left, top = _LEFT, _TOP - y * mm
        self._do("setFillColorRGB", 0.9, 0.92, 0.93)
        self._do("rect", left, top - 5 * mm, _WIDTH, 5 * mm, 1, 1)
        self._text(left + _PAD, top - 3.6 * mm, text, 8, BOLD)

    def ticks(self, x: float, y: float, width: float, height: float, label: str, choices: Any) -> None:
        """A box of choices: (ticked, words) each."""
        self.box(x, y, width, height, label, "")
        left, line = _LEFT + (x + 1.2) * mm, _TOP - (y + 3 + 2.4 * self._label_lines(label, width)) * mm
        for ticked, words in choices:
            self._do("rect", left, line - 2.4 * mm, 2.6 * mm, 2.6 * mm, 1, 0)
            if ticked:
                self._do("line", left, line - 2.4 * mm, left + 2.6 * mm, line + 0.2 * mm)
                self._do("line", left, line + 0.2 * mm, left + 2.6 * mm, line - 2.4 * mm)
            for number, part in enumerate(wrap(words, BOLD, 7, (width - 7) * mm)):
                self._text(left + 4 * mm, line - 2 * mm - number * 3.2 * mm, part, 7, BOLD if ticked else REGULAR)
                last = number
            line -= (5 + 3.2 * last) * mm

    def _label_lines(self, label: str, width: float) -> int:
        return len(wrap(label, REGULAR, 6, width * mm - 2 * _PAD))

    # --- pages ---

    def first_page(self, title: str) -> None:
        facts = self.facts
        kind = str(ReportKind(facts["kind"]).label)
        self._text(_LEFT, _TOP - 4 * mm, title, 14, BOLD)
        self._text(_LEFT, _TOP - 9 * mm, f"{facts['trial']} · {_(facts['trial_title'])}"[:110], 8, REGULAR, _SOFT)
        self._text(_LEFT, _TOP - 13.5 * mm, f"{facts['participant']} · {facts['number']}. {kind}", 9, BOLD)
        y = 16.0
        self.head(y, _("I. Reaction information"))
        y += 5
        self.box(0, y, 32, 13, _("1. Participant (code, no initials)"), facts["participant"])
        self.box(32, y, 20, 13, _("1a. Study site"), facts["site"])
        self.box(52, y, 24, 13, _("2. Date of birth"), _("not given"))
        self.box(76, y, 16, 13, _("2a. Age (years)"), "" if facts["age"] is None else str(facts["age"]))
        self.box(92, y, 18, 13, _("3. Sex"), _line(facts, "sex"))
        self.box(110, y, 26, 13, _("4-6. Onset of the reaction"), facts["onset_date"])
        self.ticks(136, y, 46, 99, _("8-12. Tick all that apply"), [
            (facts["sae_death"], _("Participant died") + (f" ({facts['death_date']})" if facts["death_date"] else "")),
            (facts["sae_hospital"], _("Hospital admission, or a longer stay")),
            (facts["sae_disability"], _("Lasting or significant disability or incapacity")),
            (facts["sae_life"], _("Life-threatening")),
            (facts["sae_congenital"], _("Congenital anomaly or birth defect")),
            (facts["sae_important"], _("Another medically important condition")),
        ])  # fmt: skip
        y += 13
        self.box(0, y, 136, 86, _("7 + 13. Description of the reaction, with relevant tests"), self._description())
        y += 86
        self.head(y, _("II. Suspect treatment"))
        y += 5
        words = (
            _("External beam radiotherapy of the spine") + ". " + _("The arm is not printed; it is given on request.")
        )
        self.box(0, y, 110, 15, _("14. Suspect treatment"), words)
        self.ticks(110, y, 72, 30, _("20. Did the reaction abate after stopping the treatment?"), self._abated())
        y += 15
        self.box(0, y, 62, 15, _("15. Dose"), regimen_text(facts))
        self.box(62, y, 48, 15, _("16. Route"), _("external, photons"))
        y += 15
        self.box(0, y, 110, 13, _("17. Indication"), _("Painful spinal metastasis") + _bracket(tumour_text(facts)))
        self.ticks(110, y, 72, 26, _("21. Did the reaction reappear after reintroduction?"), [
            (False, _("yes")), (False, _("no")), (True, _("not applicable")),
        ])  # fmt: skip
        y += 13
        self.box(0, y, 62, 13, _("18. Dates of treatment (from / to)"), _dates(facts))
        self.box(62, y, 48, 13, _("19. Duration of treatment"), given_text(facts))
        y += 13
        self.head(y, _("III. Concomitant treatment and history"))
        y += 5
        self.box(0, y, 182, 16, _("22. Concomitant drugs (analgesics at baseline)"), analgesics_text(facts) or "–")
        y += 16
        history = "; ".join(part for part in (tumour_text(facts), history_text(facts)) if part)
        self.box(0, y, 182, 14, _("23. Other relevant history"), history or "–")
        y += 14
        self.head(y, _("IV. Report"))
        y += 5
        self.box(0, y, 72, 17, _("24a. Reporting hospital"), f"{facts['hospital']} ({facts['site']})")
        self.box(72, y, 55, 17, _("24b. Control number"), f"{facts['participant']}-{facts['event']}-{facts['number']}")
        self.box(127, y, 55, 17, _("24c. Study team aware since"), _time(facts, "aware_at"))
        y += 17
        self.ticks(0, y, 72, 24, _("24d. Source of the report"), [
            (True, _("study")), (False, _("literature")), (True, _("health professional")),
        ])  # fmt: skip
        self.ticks(72, y, 55, 24, _("25a. Kind of the report"), [
            (facts["kind"] == kind.value, str(kind.label)) for kind in ReportKind
        ])  # fmt: skip
        signed = f"{facts['signer']}\n{_time(facts, 'signed_at')}"
        self.box(127, y, 55, 24, _("Signed electronically by, on (date of this report)"), signed)

    def _description(self) -> str:
        facts = self.facts
        grade = _("%(term)s, grade %(grade)s (CTCAE %(version)s)") % {
            "term": term_label(facts["ctcae_code"]),
            "grade": facts["grade"],
            "version": facts["ctcae_version"],
        }
        causes = "; ".join(
            f"{_label(name)} {_line(facts, name)}"
            for name in ("relation_radiotherapy", "relation_disease", "relation_systemic", "relation_other")
        )
        expected = _("Unexpected") if facts["unexpected"] else _("Expected")
        expected += " (" + _("by the list") + f": {list_text(facts)})"
        parts = [
            f"{facts['verbatim']}. {grade}.",
            f"{_label('outcome')}: {_line(facts, 'outcome')}" + _bracket(facts["end_date"] or ""),
            causes + (f" ({facts['other_cause']})" if facts["other_cause"] else ""),
            f"{expected}. {facts['explanation']}".strip(),
            f"{_label('action')}: {_line(facts, 'action')}",
        ]
        if facts["treatment"]:
            parts.append(f"{_label('treatment')} {facts['treatment']}")
        if facts["remarks"]:
            parts.append(facts["remarks"])
        if facts["comment"]:
            parts.append(_("Comment of the reporter") + f": {facts['comment']}")
        if facts["open_reason"]:
            parts.append(_("Why final although not over") + f": {facts['open_reason']}")
        return "\n".join(parts)

    def _abated(self) -> list[tuple[bool, str]]:
        stopped = self.facts["action"] in ("interrupted", "stopped")
        better = self.facts["outcome"] in ("recovered", "sequelae", "recovering")
        return [
            (stopped and better, _("yes")),
            (stopped and not better and self.facts["outcome"] != "unknown", _("no")),
            (not stopped or self.facts["outcome"] == "unknown", _("not applicable")),
        ]

    def further_pages(self, before: Mapping[str, Any] | None) -> None:
        """What had no room, and what is new since the version before."""
        self._y = 0.0
        for label, text in self.continued:
            self._flow(label, text)
        for old, new in changes(before, self.facts) if before else []:
            if self._y == 0.0 or not self._said:
                self._flow(_("Changed since report %(number)s") % {"number": before["number"] if before else ""}, "")
                self._said = True
            self._flow(new.label, f"{_short(old.text)}  →  {_short(new.text)}")

    _y: float = 0.0
    _said: bool = False

    def _flow(self, label: str, text: str) -> None:
        lines = [(line, BOLD) for line in wrap(label, BOLD, 8.5, _WIDTH)]
        lines += [(line, REGULAR) for line in wrap(text, REGULAR, 8.5, _WIDTH)] if text else []
        for line, font in [*lines, ("", REGULAR)]:
            if self._y == 0.0 or self._y < _BOTTOM + 8 * mm:
                self.pages.append([])
                self._y = _TOP - 4 * mm
            self._text(_LEFT, self._y, line, 8.5, font)
            self._y -= 8.5 * 1.4


def _short(text: str) -> str:
    """The start of a text that stands in whole elsewhere on the report."""
    return (text if len(text) <= _CHANGE else f"{text[:_CHANGE]} …") or "–"


def _line(facts: Mapping[str, Any], name: str) -> str:
    """A coded fact in words."""
    if name == "sex":
        found: list[Line] = lines_of(facts)
        return next(line.text for line in found if line.key == name)
    return field_text(AdverseEvent._meta.get_field(name), facts[name])  # type: ignore[arg-type]


def _label(name: str) -> str:
    return str(AdverseEvent._meta.get_field(name).verbose_name)  # type: ignore[union-attr]


def _bracket(text: str) -> str:
    return f" ({text})" if text else ""


def _dates(facts: Mapping[str, Any]) -> str:
    if not facts["rt_start"]:
        return _("not begun")
    end = facts["rt_end"] if facts["rt_completed"] else _("still running")
    return f"{facts['rt_start']} / {end}"


def _time(facts: Mapping[str, Any], name: str) -> str:
    found = moment(facts[name])
    return found.astimezone(ZoneInfo(facts["timezone"])).strftime("%Y-%m-%d %H:%M %Z") if found else "–"
