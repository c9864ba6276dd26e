"""Screening, enrolment and the flow of participants into the analysis sets, as table and as diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from patients.models.consent import FailureReason
from radiotherapy.models import StopReason
from spinetrial.analysis import sets
from spinetrial.analysis.conduct import TREATMENT_REASON_LABELS, ArmFlow, VisitFlow
from spinetrial.analysis.sets import AnalysisSet, PpReason
from spinetrial.reports.document import Block, Figure, Grid, Heading
from spinetrial.reports.figures.flow import Box, BoxLine, FlowPicture, FlowStage, flow_diagram
from spinetrial.reports.writing import Report


def flow(report: Report) -> Iterator[Block]:
    yield Heading(_("Participants"))
    flow = report.results.flow
    stages = _stages(report)
    yield Figure("flow", _("Flow of participants (CONSORT 2010)"), flow_diagram(_picture(report, stages)))
    yield Grid(
        _("Screening and enrolment"),
        (_("Study site"), _("Screened"), _("Randomised")),
        (
            *((site, str(screened), str(enrolled)) for site, screened, enrolled in flow.sites),
            (_("All sites"), str(flow.screened), str(flow.randomized)),
        ),
        (2, 1, 1),
        notes=(screening_note(report),),
    )
    yield _table(report, stages)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A count of every group under its name. `level` 1 or more: a part of the entry above it with a lower level."""

    label: str
    counts: tuple[str, ...]
    level: int = 1


@dataclass(frozen=True, slots=True)
class _Stage:
    """Entries of one row of boxes. `title` opens a phase of the diagram; `head` is the first line of the boxes."""

    title: str
    head: str
    counts: tuple[str, ...]
    entries: tuple[_Entry, ...]


def _stages(report: Report) -> list[_Stage]:
    """Everything after randomisation, once, for the table and for the diagram."""
    flows = report.results.conduct.flows
    least = report.protocol.per_protocol.min_fractions

    def entry(label: str, numbers: Sequence[int], level: int = 1) -> _Entry:
        return _Entry(label, tuple(map(str, numbers)), level)

    def reasons(lists: Sequence[tuple[tuple[str, int], ...]], level: int) -> list[_Entry]:
        codes = dict.fromkeys(code for each in lists for code, _n in sorted(each, key=lambda pair: -pair[1]))
        return [
            entry(_treatment_reason(report, code), [dict(each).get(code, 0) for each in lists], level) for code in codes
        ]

    fewer = reasons([each.insufficient_reasons for each in flows], 3)
    allocation = (
        entry(_("Received at least one fraction"), [each.received for each in flows]),
        entry(_("At least %(count)d fractions") % {"count": least}, [each.sufficient for each in flows], 2),
        entry(_("Fewer than %(count)d fractions") % {"count": least}, [each.insufficient for each in flows], 2),
        *fewer,
        entry(_("Received no fraction"), [each.not_received for each in flows]),
        *reasons([each.not_received_reasons for each in flows], 2),
    )
    stages = [_Stage(_("Allocation"), _("Allocated"), tuple(str(each.randomized) for each in flows), allocation)]
    for place, visits in enumerate(zip(*(each.visits for each in flows), strict=True)):
        stages.append(_visit_stage(report, visits, _("Follow-up") if place == 0 else ""))
    stages.append(_analysis_stage(report, flows))
    return stages


def _visit_stage(report: Report, visits: Sequence[VisitFlow], title: str) -> _Stage:
    visit = visits[0].visit
    name = report.event(visit)
    if visit == report.protocol.primary.timepoint.visit:
        name = _("%(visit)s (primary time point)") % {"visit": name}
    codes = dict.fromkeys(code for each in visits for code, _n in each.reasons)
    parts: list[tuple[str, list[int], int]] = [
        (_("Died"), [each.died for each in visits], 1),
        (_("Withdrawn from follow-up or lost, alive"), [each.withdrawn for each in visits], 1),
        (_("Missed, or no pain score"), [each.missed for each in visits], 1),
        *((_absence(code), [dict(each.reasons).get(code, 0) for each in visits], 2) for code in codes),
        (_("Not due yet"), [each.not_due for each in visits], 1),
    ]
    entries = tuple(_Entry(label, tuple(map(str, numbers)), level) for label, numbers, level in parts)
    head = _("%(visit)s: pain assessed") % {"visit": name}
    return _Stage(title, head, tuple(str(each.assessed) for each in visits), entries)


def _analysis_stage(report: Report, flows: Sequence[ArmFlow]) -> _Stage:
    entries: list[_Entry] = []
    known = [each.pp_excluded for each in flows if each.pp_excluded is not None]
    if len(known) == len(flows) and not report.results.masked:
        excluded = [dict(each) for each in known]
        entries.append(_Entry(_("Per protocol (PP)"), tuple(str(each.pp) for each in flows)))
        entries.append(_Entry(_("Outside PP, by the first condition not met"),
                              tuple(str(sum(each.values())) for each in excluded)))  # fmt: skip
        for reason in PpReason:
            if any(each.get(reason) for each in excluded):
                counts = tuple(str(each.get(reason, 0)) for each in excluded)
                entries.append(_Entry(pp_reason(report, reason), counts, 2))
    else:
        entries.append(_Entry(_("Per protocol (PP)"), tuple(_("not known while masked") for _flow in flows)))
    head = _("Analysed by intention to treat (ITT)")
    return _Stage(_("Analysis"), head, tuple(str(each.itt) for each in flows), tuple(entries))


def _picture(report: Report, stages: Sequence[_Stage]) -> FlowPicture:
    flow = report.results.flow
    reasons = {reason.value: str(reason.label) for reason in FailureReason}
    excluded = [
        BoxLine(_n(_("Not randomised"), flow.screen_failures + flow.waiting)),
        BoxLine(_n(_("Screen failures"), flow.screen_failures), 1),
        *(
            BoxLine(_n(reasons.get(code, _("no reason recorded")), count), 2)
            for code, count in sorted(flow.failure_reasons, key=lambda each: -each[1])
        ),
        BoxLine(_n(_("Still in screening"), flow.waiting), 1),
    ]
    return FlowPicture(
        title=_("Enrolment"),
        screened=(BoxLine(_n(_("Screened"), flow.screened)),),
        excluded=tuple(excluded),
        randomized=(BoxLine(_n(_("Randomised"), flow.randomized)),),
        stages=tuple(
            FlowStage(stage.title, tuple(_box(report, stage, number) for number in range(len(report.groups))))
            for stage in stages
        ),
    )


def _box(report: Report, stage: _Stage, number: int) -> Box:
    """The column of one group: reasons nobody of it has are left out."""
    head = _n(stage.head, stage.counts[number])
    if stage.title and len(report.groups) > 1:
        head = _("%(group)s. %(count)s") % {"group": report.names[number], "count": head}
    lines = [BoxLine(head)]
    for entry in stage.entries:
        count = entry.counts[number]
        if count != "0" or entry.level == 1:
            lines.append(BoxLine(_n(entry.label, count), entry.level))
    return tuple(lines)


def _n(label: str, count: int | str) -> str:
    """A label with its count as CONSORT writes it; words instead of a count follow a colon."""
    number = str(count)
    if number.isdigit():
        return _("%(label)s (n = %(count)s)") % {"label": label, "count": number}
    return _("%(label)s: %(words)s") % {"label": label, "words": number}


def _table(report: Report, stages: Sequence[_Stage]) -> Grid:
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for stage in stages:
        heads.add(len(rows))
        rows.append((stage.head, *stage.counts))
        rows += [("    " * entry.level + entry.label, *entry.counts) for entry in stage.entries]
    sizes = dict(report.results.set_sizes)
    heads.add(len(rows))
    rows.append((_("Analysis sets"), *("" for _group in report.groups)))
    rows += [("    " + _(sets.SET_LABELS[each]), *set_cells(report, each, sizes[each])) for each in AnalysisSet]
    notes = [
        _("ITT counts everyone in the arm drawn for them, whatever was given."),
        _(
            "At a visit everyone randomised counts once: pain assessed (in the window or not), died, withdrawn or "
            "lost, missed, or not due yet at the last date in the data."
        ),
    ]
    if report.results.masked:
        notes.append(_("Reasons that stand on treatment forms are not shown while masked."))
    else:
        notes.append(
            _(
                "PP conditions in the order of the protocol (D24); a participant counts at the first one not met here, "
                "at every one in the table of deviations."
            )
        )
    return Grid(
        _("Flow after randomisation and analysis sets"),
        (_("Participants"), *report.names),
        tuple(rows),
        (2.4, *(1.0 for _group in report.groups)),
        notes=tuple(notes),
        groups=frozenset(heads),
    )


def set_cells(report: Report, which: AnalysisSet, sizes: Sequence[int]) -> list[str]:
    if which is AnalysisSet.PP and report.results.masked:
        return [_("not known while masked") for _size in sizes]
    return [str(size) for size in sizes]


def pp_reason(report: Report, reason: PpReason) -> str:
    """A condition of the per-protocol set that is not met, with the protocol's numbers."""
    rule = report.protocol.per_protocol
    words = {
        PpReason.FEW_FRACTIONS: _("Fewer than %(count)d fractions") % {"count": rule.min_fractions},
        PpReason.PAIN_NOT_IN_WINDOW: _("Pain at %(visit)s not assessed in its window")
        % {"visit": report.event(report.protocol.primary.timepoint.visit)},
    }
    return words.get(reason) or _(sets.PP_REASON_LABELS[reason])


def _treatment_reason(report: Report, code: str) -> str:
    if code in TREATMENT_REASON_LABELS:
        return _(TREATMENT_REASON_LABELS[code])
    stops = {reason.value: str(reason.label) for reason in StopReason}
    missing = _("Reason not shown while masked") if report.results.masked else _("No reason recorded")
    return stops.get(code, missing)


def _absence(code: str) -> str:
    """Why there is no pain score."""
    return _(sets.REASON_LABELS[code]) if code in sets.REASON_LABELS else _("No reason recorded")


def screening_note(report: Report) -> str:
    flow = report.results.flow
    reasons = {reason.value: str(reason.label) for reason in FailureReason}
    unknown = _("no reason recorded")
    listed = "; ".join(f"{reasons.get(code, unknown)}: {count}" for code, count in flow.failure_reasons)
    text = _("Screen failures: %(count)d. Still in screening: %(waiting)d.") % {
        "count": flow.screen_failures,
        "waiting": flow.waiting,
    }
    text = f"{text} {listed}." if listed else text
    if flow.failed_criteria:
        failed = "; ".join(f"{code}: {count}" for code, count in flow.failed_criteria)
        text = f"{text} " + _("Criteria not fulfilled (one person may fail several): %(list)s.") % {"list": failed}
    return text
