"""Methods, definitions and software."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

from django.utils.translation import gettext as _

from spinetrial import __version__
from spinetrial.reports.document import Block, Facts, Heading, Paragraph
from spinetrial.reports.writing import (
    Report,
    reading_name,
)


def methods(report: Report) -> Iterator[Block]:
    yield Heading(_("Methods and software"))
    protocol = report.protocol
    for text in (
        _(
            "Sets: ITT, all randomised in the arm drawn; PP, eligible, target of the arm treated (sector check "
            "passed or justified), at least %(fractions)d of %(planned)d fractions, pain at %(visit)s in its "
            "window (D24); safety, at least one fraction given; evaluable, a response at %(visit)s other than NE."
        )
        % {
            "fractions": protocol.per_protocol.min_fractions,
            "planned": protocol.treatment.fractions,
            "visit": report.event(protocol.primary.timepoint.visit),
        },
        _(
            "Response: worst pain of the last 24 hours and OMED against baseline by the consensus of Chow 2002 and "
            "2012, %(reading)s; pain 2 or more and OMED 25 %% or more above baseline together is progression (D5); "
            "with OMED 0 at baseline any opioid is an increase (D6); pain or OMED missing is not evaluable (D7)."
        )
        % {"reading": reading_name(protocol.response.reading)},
        _(
            "Single rates: exact interval of Clopper and Pearson. Difference: Miettinen and Nurminen 1985, score "
            "with restricted maximum likelihood and the factor N/(N−1); the p value belongs to the same score."
        ),
        _(
            "Survival: Kaplan-Meier, Greenwood variance, log-log limits, log-rank test. Toxicity: Fisher's exact "
            "test. A number that the data do not allow is printed as not estimable."
        ),
        _(
            "Numbers marked D are decisions on points the published protocol leaves open; they are part of the "
            "protocol version above."
        ),
    ):
        yield Paragraph(text)
    pairs = [(_("Report made by"), f"SpineTrial {__version__}")]
    if report.source.number is not None:
        pairs.append((_("Data version made by"), f"SpineTrial {report.source.software_version}"))
    pairs.append(
        (
            _("Libraries"),
            f"Python {platform.python_version()}, numpy {version('numpy')}, scipy {version('scipy')}, "
            f"reportlab {version('reportlab')}",
        )
    )
    yield Facts(tuple(pairs))
