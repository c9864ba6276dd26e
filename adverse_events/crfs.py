"""The CRF of an adverse event: A.AE, as many as there are."""

from __future__ import annotations

from typing import Any

from adverse_events.baseline import conditions_of
from adverse_events.checks import CHECKS
from adverse_events.coding import code_by_ctcae
from adverse_events.models import ENDED, LEVEL_TERMS, RELATED, AdverseEvent, GradePeriod
from spinetrial.audit.acting import Actor
from spinetrial.crf.spec import Beside, CrfSpec, Item, Keeping, RowGroup, Section, ShowWhen
from spinetrial.protocol.text import gettext_noop as _

#: Paths of `ctcae_search` and `ctcae_guide` in adverse_events.ctcae_views; a test holds them together.
CTCAE_SEARCH = "/ctcae/search/"
CTCAE_GUIDE = "/ctcae/guide/"

#: Path of `adverse_events.report_views.ctcae_expected`; a test holds the two together.
CTCAE_EXPECTED = "/ctcae/expected/"


def _code(event: Any, actor: Actor) -> None:
    """A term whose code is in the dictionary in force is coded by itself."""
    code_by_ctcae(event)


def _baseline(subject: Any, event: str) -> Beside:
    """The conditions of baseline: one that was there before counts only if it has become worse."""
    lines = tuple(condition.label for condition in conditions_of(subject))
    return Beside(title=_("Recorded at baseline"), lines=lines)


ADVERSE_EVENT = CrfSpec(
    "A.AE",
    _("Adverse event"),
    AdverseEvent,
    sections=(
        Section(
            _("Event"),
            (
                Item("verbatim", sdtm="AE.AETERM", sdv=True),
                Item("ctcae_code", sdtm="AE.AELLTCD", sdv=True, widget=f"search:{CTCAE_SEARCH}", details=CTCAE_GUIDE),
                Item("grade", sdtm="AE.AETOXGR", sdv=True),
                Item("worse_than_before", sdtm="SUPPAE.AEWORSE"),
                Item("vertebra", sdtm="AE.AELOC", show_when=ShowWhen("ctcae_code", LEVEL_TERMS)),
                Item("flare", sdtm="SUPPAE.AEFLARE"),
            ),
        ),
        Section(
            _("Course"),
            (
                Item("onset_date", sdtm="AE.AESTDTC", sdv=True),
                Item("outcome", sdtm="AE.AEOUT", sdv=True),
                Item(
                    "end_date",
                    sdtm="AE.AEENDTC",
                    sdv=True,
                    required=True,
                    show_when=ShowWhen("outcome", tuple(outcome.value for outcome in ENDED)),
                ),
                Item("reported_visit", sdtm="AE.VISIT"),
                Item("action", sdtm="AE.AEACN"),
                Item("treated", sdtm="AE.AECONTRT"),
                Item("treatment", sdtm="CM.CMTRT", required=True, show_when=ShowWhen("treated", ("True",))),
            ),
        ),
        Section(
            _("Cause"),
            (
                Item("relation_radiotherapy", sdtm="AE.AEREL", sdv=True),
                Item("relation_disease", sdtm="SUPPAE.AERELDIS"),
                Item("relation_systemic", sdtm="SUPPAE.AERELSYS"),
                Item("relation_other", sdtm="AE.AERELNST"),
                Item(
                    "other_cause",
                    sdtm="AE.AERELNST",
                    required=True,
                    show_when=ShowWhen("relation_other", tuple(relation.value for relation in RELATED)),
                ),
            ),
        ),
        Section(
            _("Seriousness"),
            (
                Item("sae_death", sdtm="AE.AESDTH", sdv=True),
                Item("sae_life", sdtm="AE.AESLIFE", sdv=True),
                Item("sae_hospital", sdtm="AE.AESHOSP", sdv=True),
                Item("sae_disability", sdtm="AE.AESDISAB", sdv=True),
                Item("sae_congenital", sdtm="AE.AESCONG", sdv=True),
                Item("sae_important", sdtm="AE.AESMIE", sdv=True),
                Item("aware_at", sdtm="SUPPAE.AEAWARE", sdv=True),
                Item(
                    "unexpected",
                    sdtm="SUPPAE.AEUNEXP",
                    sdv=True,
                    hint=CTCAE_EXPECTED,
                    hint_from=("ctcae_code", "grade"),
                ),
                Item("remarks", sdtm="CO.COVAL"),
            ),
            help=_(
                "Tick every criterion that holds; one is enough. Severe is not serious: grade 3 alone is no criterion."
            ),
        ),
    ),
    rows=(
        RowGroup(
            "periods",
            _("Grade periods"),
            GradePeriod,
            (
                Item("from_date", sdtm="FA.FADTC", required=True),
                Item("grade", sdtm="FA.FAORRES", required=True),
            ),
            help=_(
                "Only if the grade changed: one row for each grade with the day it began, the first with the start of "
                "the event. The grade above is the worst of them."
            ),
            sdv=True,
        ),
    ),
    beside=_baseline,
    keeping=Keeping.REPEATING,
    event="ANY",
    enter="ae.enter",
    checks=CHECKS,
    after_save=_code,
)

SPECS = (ADVERSE_EVENT,)
