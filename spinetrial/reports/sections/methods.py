"""Appendix: every method with its source, definitions, seeds, hashes, the self-test, and the software."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

from django.utils.translation import gettext as _

from spinetrial import __version__
from spinetrial.analysis.groups import Arms
from spinetrial.analysis.imputation import IMPUTATION_SEED, IMPUTATIONS
from spinetrial.protocol import protocol_hash
from spinetrial.reports.document import Block, Facts, Grid, Heading, Paragraph
from spinetrial.reports.writing import Report, reading_name
from spinetrial.stats import VERSION


def methods(report: Report) -> Iterator[Block]:
    """Definitions in words, then a table of methods, then what was run on what."""
    yield Heading(_("Appendix: methods, definitions and software"))
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
            "A number that the data do not allow is printed as not estimable. Every per cent is computed from the "
            "counts beside it."
        ),
        _(
            "Numbers marked D are decisions on points the published protocol leaves open; they are part of the "
            "protocol version above."
        ),
    ):
        yield Paragraph(text)
    if report.results.arms is Arms.DRAWN:
        yield Paragraph(
            _(
                "Shuffled arms: the tables that show an arm were taken out first; then arms were drawn within each "
                "site, as many of each as possible, by a generator that starts from the hash of the masked data. "
                "Whether the target of the arm was treated is not judged."
            )
        )
    yield _methods_table()
    yield _self_test(report)
    pairs = [
        (_("SHA-256 of the data"), report.results.snapshot_sha256),
        (_("Hash of the protocol"), protocol_hash(protocol)),
        (
            _("Random numbers"),
            _("%(sets)d imputed sets, seed %(seed)d; nothing else in this report is drawn at random")
            % {"sets": IMPUTATIONS, "seed": IMPUTATION_SEED},
        ),
        (_("Report made by"), f"SpineTrial {__version__}"),
        (_("Statistics"), _("version %(version)s") % {"version": VERSION}),
    ]
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


def _methods_table() -> Grid:
    """Citations stay as they are in every language."""
    rows = (
        (_("Rate of one group"), _("Exact interval"), "Clopper and Pearson, Biometrika 1934;26:404-413"),
        (
            _("Difference of rates, primary"),
            _("Score interval with restricted maximum likelihood and the factor N/(N−1); p of the same score"),
            "Miettinen and Nurminen, Stat Med 1985;4:213-226",
        ),
        (
            _("Difference of rates, sensitivity"),
            _("Score without the factor; hybrid score; adjusted Wald; exact unconditional test"),
            "Farrington and Manning, Stat Med 1990;9:1447-1454; Newcombe, Stat Med 1998;17:873-890; "
            "Agresti and Caffo, Am Stat 2000;54:280-288; Chan, Stat Med 1998;17:1403-1413",
        ),
        (
            _("Missing responses"),
            _("Multiple imputation pooled by Rubin's rules with small-sample degrees of freedom; tipping-point grid"),
            "Rubin 1987; Barnard and Rubin, Biometrika 1999;86:948-955; Yan et al., J Biopharm Stat 2009;19:1085-1098",
        ),
        (
            _("Subgroups"),
            _("Likelihood-ratio test of one common difference of rates over the levels; exploratory"),
            "Binomial regression with identity link; McCullagh and Nelder, Generalized Linear Models, 1989",
        ),
        (
            _("Pain over time"),
            _("Mixed model for repeated measures, REML, unstructured covariance, Satterthwaite degrees of freedom"),
            "Mallinckrodt et al., Drug Inf J 2008;42:303-319",
        ),
        (
            _("Pain at a visit"),
            _("Rank-sum test with ties and continuity correction; Hodges-Lehmann shift"),
            "Wilcoxon, Biometrics Bull 1945;1:80-83; Hodges and Lehmann, Ann Math Stat 1963;34:598-611",
        ),
        (
            _("Overall survival"),
            _("Kaplan-Meier, Greenwood variance, log-log limits; log-rank test; Cox model with Efron's ties"),
            "Kaplan and Meier, JASA 1958;53:457-481; Mantel, Cancer Chemother Rep 1966;50:163-170",
        ),
        (
            _("Events with death competing"),
            _("Aalen-Johansen cumulative incidence; Gray's test"),
            "Aalen, Ann Stat 1978;6:534-545; Gray, Ann Stat 1988;16:1141-1154",
        ),
        (
            _("Adverse events"),
            _("Fisher's exact test, two-sided, by the probabilities of the tables"),
            "Fisher, Statistical Methods for Research Workers, 1934",
        ),
        (
            _("Baseline"),
            _("Standardised differences, without tests"),
            "Yang and Dalton, SAS Global Forum 2012, paper 335",
        ),
    )
    return Grid(
        _("Methods"),
        (_("What"), _("How"), _("Source")),
        rows,
        (1.0, 1.9, 1.9),
        notes=(_("All intervals are two-sided at the level named beside them; the primary test is one-sided."),),
        text=True,
    )


def _self_test(report: Report) -> Block:
    test = report.source.self_test
    if test is None:
        return Paragraph(_("The self-test of the statistics was not run for this document."), "warning")
    return Facts(
        (
            (
                _("Self-test of the statistics"),
                _("%(passed)d published examples reproduced, %(failed)d failed")
                % {"passed": test.n_passed, "failed": len(test.failures)},
            ),
            (_("SHA-256 of the self-test"), test.sha256),
        )
    )
