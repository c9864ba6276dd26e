"""The trial in words: design, participants, treatments, outcomes, hypotheses, allocation and masking."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial.analysis.groups import Arms
from spinetrial.protocol.model import CriterionType
from spinetrial.reports.document import Block, Facts, Heading
from spinetrial.reports.writing import Report, percent, points, reading_name


def design(report: Report) -> Iterator[Block]:
    """What a reader must know before any number; every value is read from the protocol object."""
    protocol = report.protocol
    hypothesis, assumed = protocol.primary.hypothesis, protocol.assumed_rates
    visit = report.event(protocol.primary.timepoint.visit)
    included = sum(each.type is CriterionType.INCLUSION for each in protocol.criteria)
    yield Heading(_("The trial"))
    yield Facts(
        (
            (
                _("Design"),
                _("Randomised, parallel groups, %(ratio)s, several sites, non-inferiority of the study arm")
                % {"ratio": ":".join(str(part) for part in protocol.allocation.ratio)},
            ),
            # Not in a masked report: there the search for an arm's name is the guard.
            *((_(arm.name), _(arm.ctv_text)) for arm in protocol.arms if report.results.arms is not Arms.POOLED),
            (
                _("Treatment of both arms"),
                _("%(dose)s Gy in %(fractions)d fractions of %(each)s Gy")
                % {
                    "dose": f"{protocol.treatment.total_gy:g}",
                    "fractions": protocol.treatment.fractions,
                    "each": f"{protocol.treatment.fraction_gy:g}",
                },
            ),
            (
                _("Participants"),
                _(
                    "%(included)d inclusion and %(excluded)d exclusion criteria, each answered by itself; one index "
                    "site per participant: %(choice)s"
                )
                % {
                    "included": included,
                    "excluded": len(protocol.criteria) - included,
                    "choice": _(protocol.index_site.choice),
                },
            ),
            (
                _("Primary outcome"),
                _("Pain response (complete or partial) at %(visit)s, %(reading)s (D1, D2)")
                % {"visit": visit, "reading": reading_name(protocol.response.reading)},
            ),
            (
                _("Secondary outcomes"),
                "; ".join(_(endpoint.label) for endpoint in protocol.secondary),
            ),
            (
                _("Hypotheses"),
                _(
                    "Null: the response rate of the study arm is lower than that of the control arm by %(margin)s "
                    "points or more. Alternative: it is not. One-sided alpha %(alpha)s."
                )
                % {"margin": points(abs(hypothesis.margin)).lstrip("+"), "alpha": f"{hypothesis.alpha:g}"},
            ),
            (
                _("Margin"),
                _(
                    "%(margin)s points, from the protocol, which gives no derivation. Of the assumed control rate of "
                    "%(control)s it gives up %(share)s."
                )
                % {
                    "margin": points(hypothesis.margin),
                    "control": percent(assumed.control),
                    "share": percent(abs(hypothesis.margin) / assumed.control),
                },
            ),
            (
                _("Allocation"),
                _(
                    "Permuted blocks of %(blocks)s in random order, stratified by study site; the list is sealed, and "
                    "an arm is shown only after the participant is entered for good"
                )
                % {"blocks": _(" and ").join(str(size) for size in protocol.allocation.block_sizes)},
            ),
            (_("Masking"), _(protocol.masking.text)),
            (_("Interim analyses"), _("None of efficacy is planned; no level is spent before the end.")),
        )
    )
