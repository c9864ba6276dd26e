"""Appendix: where the report answers each item of CONSORT 2010 and of its extension for non-inferiority trials.

Items are named by their numbers and our own short words. Moher et al., BMJ 2010;340:c869; Piaggio et al., JAMA
2012;308:2594-2604.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from spinetrial.reports.document import Block, Grid, Heading
from spinetrial.reports.writing import Report

_NOT_HERE = gettext_noop("Not a result of the data: to be written by the authors")

#: Number of the item, what it asks for, where it is answered. "NI" marks what the extension adds.
ITEMS: tuple[tuple[str, str, str], ...] = (
    ("1a NI", gettext_noop("Title: randomised, non-inferiority"), gettext_noop("Title page; The trial: design")),
    ("1b NI", gettext_noop("Structured summary"), gettext_noop("Main result")),
    ("2a NI", gettext_noop("Background; why non-inferiority"), _NOT_HERE),
    ("2b NI", gettext_noop("Objectives and hypotheses"), gettext_noop("The trial: hypotheses")),
    ("3a NI", gettext_noop("Design and allocation ratio"), gettext_noop("The trial: design")),
    ("3b", gettext_noop("Changes after the start"), gettext_noop("Title page: protocol version and its hash")),
    (
        "4a NI",
        gettext_noop("Eligibility; likeness to the trials of the control"),
        gettext_noop("The trial: participants. The likeness is to be judged by the authors"),
    ),
    ("4b", gettext_noop("Settings and places"), gettext_noop("Participants: study sites")),
    ("5 NI", gettext_noop("Treatments; control as in earlier trials"), gettext_noop("The trial: arms and treatment")),
    ("6a NI", gettext_noop("Outcomes, defined in advance"), gettext_noop("The trial: outcomes; Appendix: definitions")),
    ("6b", gettext_noop("Changes of outcomes"), gettext_noop("Title page: protocol version and its hash")),
    ("7a NI", gettext_noop("Sample size with margin and rates"), gettext_noop("What this trial can show")),
    ("7b NI", gettext_noop("Interim analyses, stopping"), gettext_noop("The trial: interim analyses")),
    ("8a", gettext_noop("Sequence generation"), gettext_noop("The trial: allocation")),
    ("8b", gettext_noop("Blocks and strata"), gettext_noop("The trial: allocation")),
    ("9", gettext_noop("Concealment"), gettext_noop("The trial: allocation")),
    ("10", gettext_noop("Who did what in the allocation"), gettext_noop("Audit trail of the system, by participant")),
    ("11a", gettext_noop("Masking"), gettext_noop("The trial: masking")),
    ("11b", gettext_noop("Likeness of the treatments"), gettext_noop("The trial: treatment of both arms")),
    (
        "12a NI",
        gettext_noop("Methods of comparison; one- or two-sided"),
        gettext_noop("Main result; Appendix: methods"),
    ),
    ("12b", gettext_noop("Further analyses, subgroups"), gettext_noop("Primary comparison: sensitivity, subgroups")),
    ("13a NI", gettext_noop("Flow of participants"), gettext_noop("Participants: flow diagram, analysis sets")),
    ("13b", gettext_noop("Losses and exclusions"), gettext_noop("Participants; Deviations and exclusions")),
    (
        "14a",
        gettext_noop("Dates of recruitment and follow-up"),
        gettext_noop("Title page; Overall survival: follow-up"),
    ),
    ("14b", gettext_noop("Why the trial ended"), _NOT_HERE),
    ("15", gettext_noop("Baseline data"), gettext_noop("Baseline")),
    ("16 NI", gettext_noop("Numbers analysed, ITT and per protocol"), gettext_noop("Primary comparison")),
    ("17a NI", gettext_noop("Estimates and intervals; figure with the margin"), gettext_noop("Primary comparison")),
    ("17b", gettext_noop("Absolute and relative effects"), gettext_noop("Primary comparison: difference, ratio")),
    ("18", gettext_noop("Other analyses, planned and not"), gettext_noop("Primary comparison: sensitivity, subgroups")),
    ("19", gettext_noop("Harms"), gettext_noop("Adverse events")),
    ("20", gettext_noop("Limitations"), gettext_noop("What this trial can show. The rest is to be written")),
    ("21", gettext_noop("Generalisability"), _NOT_HERE),
    ("22 NI", gettext_noop("Interpretation bound to the hypothesis"), gettext_noop("Main result: one of four words")),
    ("23", gettext_noop("Registration"), gettext_noop("Title page")),
    ("24", gettext_noop("Where the protocol is found"), gettext_noop("Title page: registration, hash of the protocol")),
    ("25", gettext_noop("Funding"), _NOT_HERE),
)


def consort(report: Report) -> Iterator[Block]:
    """One row per item; what the data cannot answer says so."""
    yield Heading(_("Appendix: CONSORT 2010 with the non-inferiority extension"))
    yield Grid(
        _("Where each item is answered"),
        (_("Item"), _("Topic"), _("Where")),
        tuple((number, _(topic), _(where)) for number, topic, where in ITEMS),
        (0.5, 1.8, 2.2),
        notes=(_("NI: changed or added by the extension for non-inferiority trials. Topics in our own words."),),
        text=True,
    )
