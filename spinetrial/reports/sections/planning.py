"""What the trial can show: its sample size and its power."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from spinetrial.reports.document import Block, Grid, Heading, Paragraph
from spinetrial.reports.writing import (
    Report,
    percent,
    percent_of,
)
from spinetrial.stats.design import ExactTest, PlanningVariance, exact_noninferiority_power, noninferiority_power


def planning(report: Report) -> Iterator[Block]:
    yield Heading(_("What this trial can show"))
    assumed, hypothesis = report.protocol.assumed_rates, report.protocol.primary.hypothesis
    n = assumed.evaluable_per_arm
    planned = noninferiority_power(
        assumed.study, assumed.control, n, hypothesis.margin, hypothesis.alpha, PlanningVariance.POOLED
    )
    yield Paragraph(
        _(
            "The protocol's %(total)d participants rest on true response rates of %(study)s in the study arm and "
            "%(control)s in the control arm: a study arm that is better, not equal. With %(n)d evaluable per arm "
            "this gives a power of %(power)s (normal approximation, pooled variance) (D17)."
        )
        % {
            "total": report.protocol.sample_size.total,
            "study": percent(assumed.study),
            "control": percent(assumed.control),
            "n": n,
            "power": percent_of(planned.power),
        }
    )
    rows = []
    for equal in assumed.equal_rates_shown:
        exact = exact_noninferiority_power(
            equal, equal, n, n, hypothesis.margin, hypothesis.alpha, ExactTest.FARRINGTON_MANNING
        )
        rows.append((percent(equal), percent_of(exact.power)))
    yield Grid(
        _("Power if both arms have the same true response rate"),
        (_("True rate in both arms"), _("Power")),
        tuple(rows),
        (1, 1),
        notes=(
            _(
                "Exact power of the Farrington-Manning test with %(n)d evaluable participants per arm. If the arms "
                "are truly equal, an inconclusive result is therefore the likely one and says little against "
                "non-inferiority."
            )
            % {"n": n},
        ),
    )
