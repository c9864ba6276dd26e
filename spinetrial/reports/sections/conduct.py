"""Treatment given, visits kept, deviations and exclusions from the per-protocol set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from radiotherapy.models import StopReason
from spinetrial.analysis import sets
from spinetrial.analysis.conduct import FractionsGiven, Rows
from spinetrial.analysis.particulars import DEVIATION_LABELS
from spinetrial.analysis.sets import AnalysisSet, PpReason
from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.sections.participants import pp_reason
from spinetrial.reports.writing import Report, described, share


def deviations(report: Report) -> Iterator[Block]:
    yield Heading(_("Conduct of the trial"))
    yield _treatment(report)
    yield _visits(report)
    if report.results.conduct.withdrawals:
        yield _withdrawals(report)
    yield _deviations(report)
    yield _exclusions(report)


def _treatment(report: Report) -> Grid:
    found = report.results.conduct.treatment
    planned = report.protocol.treatment
    sizes = [len(group.rows) for group in report.groups]
    hidden = tuple(_hidden(report))
    rows: list[tuple[str, ...]] = [(_("Fractions given, of all randomised"), *("" for _size in sizes))]
    heads = {0}
    rows += [
        (
            f"    {_fractions(each, planned.fractions)}",
            *(share(n, size) for n, size in zip(each.counts, sizes, strict=True)),
        )
        for each in found.fractions
    ]
    heads.add(len(rows))
    rows.append((_("Stopped early or never begun, reason"), *("" for _size in sizes)))
    if found.stopped is None:
        rows.append(("    " + _("All reasons"), *hidden))
    elif not found.stopped:
        rows.append(("    " + _("Nobody"), *("0" for _size in sizes)))
    else:
        stops = {reason.value: str(reason.label) for reason in StopReason}
        rows += [
            ("    " + stops.get(code, _("No reason recorded")), *map(str, counts)) for code, counts in found.stopped
        ]
    heads.add(len(rows))
    rows.append((_("Course, of those treated"), *("" for _size in sizes)))
    days = _("Overall treatment time of %(count)d fractions, days") % {"count": planned.fractions}
    rows.append((f"    {days}", *(described(each) for each in found.days)))
    rows.append(("    " + _("Treatment days missed"), *_shares(found.gaps, hidden)))
    received = [described(each) for each in found.dose] if found.dose else hidden
    rows.append(("    " + _("Dose received, Gy"), *received))
    full = _("At least %(dose)g Gy received") % {"dose": planned.total_gy}
    rows.append((f"    {full}", *_shares(found.full_dose, hidden)))
    goal = next((goal for goal in report.protocol.dose_goals if goal.structure == "PTV"), None)
    if goal is not None:
        words = _("%(volume)g %% of the PTV received %(dose)g Gy, of those with a value") % {
            "volume": goal.volume_percent,
            "dose": goal.dose_gy,
        }
        rows.append((f"    {words}", *_shares(found.dose_goal, hidden)))
    return Grid(
        _("Radiotherapy given"),
        (_("Radiotherapy"), *report.names),
        tuple(rows),
        (2.2, *(1.3 for _size in sizes)),
        notes=(
            _(
                "Counts with per cent; numbers as median (quartiles; range). Planned: %(fractions)d fractions, "
                "%(dose)g Gy. Overall treatment time from the first to the last fraction, both days counted. Treatment "
                "days missed: working days without a fraction between two fractions, public holidays included."
            )
            % {"fractions": planned.fractions, "dose": planned.total_gy},
        ),
        groups=frozenset(heads),
    )


def _fractions(given: FractionsGiven, planned: int) -> str:
    if given.most is None:
        return _("More than planned")
    if given.most == 0:
        return _("Received no fraction")
    if given.least == given.most:
        text = str(given.most)
        return _("%(count)s (as planned)") % {"count": text} if given.most == planned else text
    return _("%(least)d to %(most)d") % {"least": given.least, "most": given.most}


def _visits(report: Report) -> Grid:
    rows: list[tuple[str, ...]] = []
    heads: set[int] = set()
    for visit in report.results.conduct.visits:
        heads.add(len(rows))
        held = [one + other for one, other in zip(visit.in_window, visit.outside, strict=True)]
        title = _("%(visit)s: held") % {"visit": report.event(visit.visit)}
        rows.append((title, *(share(n, len(g.rows)) for n, g in zip(held, report.groups, strict=True))))
        rows.append(("    " + _("In its window"), *map(str, visit.in_window)))
        rows.append(("    " + _("Outside its window"), *map(str, visit.outside)))
        if any(visit.no_score):
            rows.append(("    " + _("Held without a pain score (counted above too)"), *map(str, visit.no_score)))
        for code, counts in visit.absent:
            words = _(sets.REASON_LABELS[code]) if code in sets.REASON_LABELS else _("No reason recorded")
            rows.append(("    " + _("Not held: %(reason)s") % {"reason": words}, *map(str, counts)))
    return Grid(
        _("Visits kept"),
        (_("Visit"), *report.names),
        tuple(rows),
        (2.4, *(1.0 for _group in report.groups)),
        notes=(
            _(
                "Of all randomised. At each visit: in its window, outside it, and not held by reason add up to the "
                "randomised. Not due yet: the window had not closed at the last date in the data. A questionnaire "
                "answered by the participant counts as a visit held."
            ),
        ),
        groups=frozenset(heads),
    )


def _withdrawals(report: Report) -> Grid:
    found = report.results.conduct
    words = {reason.code: _(reason.text) for reason in report.protocol.drop_out}
    scopes = {
        "treatment": _("Withdrawn from treatment"),
        "followup": _("Withdrawn from follow-up"),
        "data_use": _("Use of later data forbidden"),
    }
    empty = tuple("" for _group in report.groups)
    reasons = _coded(found.withdrawals, words)
    return Grid(
        _("Withdrawals"),
        (_("Withdrawal"), *report.names),
        ((_("Reason"), *empty), *reasons, (_("From what"), *empty), *_coded(found.scopes, scopes)),
        (2.4, *(1.0 for _group in report.groups)),
        notes=(_("Participants. One may have several withdrawals. Loss to follow-up and death are not among them."),),
        groups=frozenset({0, len(reasons) + 1}),
    )


def _coded(rows: Rows, words: dict[str, str]) -> list[tuple[str, ...]]:
    return [(f"    {words.get(code, code)}", *map(str, counts)) for code, counts in rows]


def _deviations(report: Report) -> Grid:
    hidden = tuple(_hidden(report))
    rows: list[tuple[str, ...]] = [
        (_(DEVIATION_LABELS[each]), *(hidden if counts is None else map(str, counts)))
        for each, counts in report.results.conduct.deviations
    ]
    outside = [
        sum(any(r.visit_date is not None and not r.in_window for r in row.visits) for row in group.rows)
        for group in report.groups
    ]
    rows.append((_("At least one visit outside its window"), *map(str, outside)))
    return Grid(
        _("Deviations that the records show"),
        (_("Deviation"), *report.names),
        tuple(rows),
        (2.6, *(1.0 for _group in report.groups)),
        notes=(
            _(
                "Randomised participants with the deviation; one may have several. Found by the program in the forms: "
                "ECOG at most %(ecog)d days before randomisation, baseline pain at most %(pain)d days before the first "
                "fraction. A deviation that no form asks for is not here."
            )
            % {
                "ecog": report.protocol.baseline.ecog_days,
                "pain": report.protocol.baseline.pain_days_before_rt,
            },
        ),
    )


def _exclusions(report: Report) -> Grid:
    rows: list[tuple[str, ...]] = []
    for reason, counts in report.results.pp_exclusions:
        hidden = report.results.masked and reason is PpReason.WRONG_TARGET
        rows.append((pp_reason(report, reason), *(_hidden(report) if hidden else map(str, counts))))
    if not report.results.masked:
        excluded = (
            len(g.rows) - size
            for g, size in zip(report.groups, dict(report.results.set_sizes)[AnalysisSet.PP], strict=True)
        )
        rows.append((_("Excluded in all"), *(str(count) for count in excluded)))
    return Grid(
        _("Exclusions from the per-protocol set (D24)"),
        (_("Reason"), *report.names),
        tuple(rows),
        (2.2, *(1.0 for _g in report.groups)),
        notes=(_("One participant may have several reasons. Eligibility and target as recorded and confirmed."),),
    )


def _shares(counts: Sequence[tuple[int, int]] | None, hidden: Sequence[str]) -> Sequence[str]:
    return hidden if counts is None else [share(x, n) for x, n in counts]


def _hidden(report: Report) -> list[str]:
    return [_("not known while masked") for _group in report.groups]
