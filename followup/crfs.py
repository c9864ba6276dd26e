"""The CRFs of follow-up: F.VISIT and F.IMAGING, one of each per visit of the protocol, and the participant's F.EPRO."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from django.utils.translation import gettext_lazy

from followup.checks import IMAGING_CHECKS, REPORT_CODE, VISIT_CHECKS, VISIT_CODE, follow_survival
from followup.lesions import levels_to_read
from followup.models import (
    EXAMINED,
    INTERVENTIONS,
    SPOKEN_TO,
    ImagedVertebra,
    Imaging,
    IndexTreatment,
    PatientAnalgesic,
    PatientReport,
    Visit,
    VisitAnalgesic,
)
from followup.reported import beside_visit, count_rows
from patients.models import Subject
from patients.pain import ANALGESIC_ITEMS, ANALGESICS_HELP, LIVE, analgesic_checks
from spinetrial.crf.spec import CrfSpec, Item, Keeping, Level, RowGroup, Section, ShowWhen
from spinetrial.protocol.text import gettext_noop as _

_DONE = ShowWhen("status", ("done",))
_MISSED = ShowWhen("status", ("missed",))
_EXAMINED = ShowWhen("mode", EXAMINED)
_SPOKEN_TO = ShowWhen("mode", SPOKEN_TO)
_DEAD = ShowWhen("survival", ("dead",))

VISIT = CrfSpec(
    VISIT_CODE,
    _("Follow-up visit"),
    Visit,
    sections=(
        Section(
            _("Visit"),
            (
                Item("status", sdtm="SV.SVOCCUR", sdv=True),
                Item("visit_date", sdtm="SV.SVSTDTC", sdv=True, required=True, show_when=_DONE),
                Item("mode", sdtm="SV.SVCNTMOD", required=True, show_when=_DONE),
                Item("missed_reason", sdtm="SV.SVREASOC", required=True, show_when=_MISSED),
            ),
        ),
        Section(
            _("Pain at the index site"),
            (
                Item(
                    "nrs_worst", sdtm="QS.QSSTRESN", unit="0-10", sdv=True, show_when=_DONE, previous=True, widget="nrs"
                ),
                Item("nrs_missing", sdtm="QS.QSREASND", sdv=True, show_when=_DONE),
                Item("nrs_average", sdtm="QS.QSSTRESN", unit="0-10", show_when=_DONE, widget="nrs", missing=True),
                Item("nrs_current", sdtm="QS.QSSTRESN", unit="0-10", show_when=_DONE, widget="nrs", missing=True),
                Item("analgesics", sdtm="CM.CMOCCUR", sdv=True, required=True, show_when=_DONE, previous=True),
            ),
        ),
        Section(
            _("Nerves and performance"),
            (
                Item("motor", sdtm="NV.NVSTRESC", required=True, show_when=_EXAMINED),
                Item("sensory", sdtm="NV.NVSTRESC", required=True, show_when=_EXAMINED),
                Item("frankel", sdtm="NV.NVSTRESC", required=True, show_when=_EXAMINED, previous=True),
                Item("bladder", sdtm="NV.NVSTRESC", required=True, show_when=_SPOKEN_TO),
                Item("ecog", sdtm="QS.QSSTRESC", required=True, show_when=_SPOKEN_TO, previous=True),
            ),
        ),
        Section(
            _("Treatment since the last visit"),
            (
                Item("index_treatment", sdtm="PR.PROCCUR", sdv=True, required=True, show_when=_DONE),
                Item(
                    "index_treatment_date",
                    sdtm="PR.PRSTDTC",
                    sdv=True,
                    required=True,
                    show_when=ShowWhen("index_treatment", INTERVENTIONS),
                ),
                Item(
                    "index_treatment_text",
                    sdtm="PR.PRTRT",
                    required=True,
                    show_when=ShowWhen("index_treatment", (IndexTreatment.OTHER.value,)),
                ),
                Item("new_systemic", sdtm="CM.CMOCCUR", required=True, show_when=_DONE, missing=True),
                Item(
                    "new_systemic_text",
                    sdtm="CM.CMTRT",
                    required=True,
                    show_when=ShowWhen("new_systemic", ("True",)),
                ),
                Item(
                    "new_systemic_date", sdtm="CM.CMSTDTC", show_when=ShowWhen("new_systemic", ("True",)), missing=True
                ),
            ),
        ),
        Section(
            _("Adverse events"),
            (Item("ae_any", sdtm="AE.AEOCCUR", required=True, show_when=_SPOKEN_TO),),
            help=_("“No” is an answer of its own: the participant was asked and there was none. It is never assumed."),
        ),
        Section(
            _("Survival"),
            (
                Item("survival", sdtm="SS.SSSTRESC", sdv=True),
                Item("death_date", sdtm="DM.DTHDTC", sdv=True, required=True, show_when=_DEAD),
                Item("death_cause", sdtm="DD.DDSTRESC", sdv=True, required=True, show_when=_DEAD),
                Item("remarks", sdtm="CO.COVAL"),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "analgesics_taken",
            _("Analgesics taken in the last 24 hours"),
            VisitAnalgesic,
            ANALGESIC_ITEMS,
            help=ANALGESICS_HELP,
            sdv=True,
            live=LIVE,
        ),
    ),
    keeping=Keeping.PER_EVENT,
    event="",
    checks=(*VISIT_CHECKS, *analgesic_checks("analgesics_taken")),
    after_save=follow_survival,
    beside=beside_visit,
    leads_to=lambda record: "adverse_events" if cast(Visit, record).ae_any else "",
)

_IMAGED = ShowWhen("status", ("done",))

IMAGING = CrfSpec(
    "F.IMAGING",
    _("Follow-up imaging"),
    Imaging,
    sections=(
        Section(
            _("Imaging"),
            (
                Item("status", sdtm="MI.MISTAT"),
                Item("not_done_reason", sdtm="MI.MIREASND", required=True, show_when=ShowWhen("status", ("not_done",))),
                Item("imaging_date", sdtm="MI.MIDTC", sdv=True, required=True, show_when=_IMAGED),
                Item("modality", sdtm="MI.MIMETHOD", required=True, show_when=_IMAGED),
                Item("read_by", sdtm="MI.MIEVAL", required=True, show_when=_IMAGED),
                Item("reader_initials", sdtm="MI.MIEVALID", show_when=_IMAGED),
            ),
        ),
        Section(
            _("Spinal cord"),
            (
                Item("cord_injury", sdtm="NV.NVSTRESC", sdv=True, required=True, show_when=_IMAGED, missing=True),
                Item(
                    "cord_grade",
                    sdtm="NV.NVSTRESC",
                    sdv=True,
                    required=True,
                    show_when=ShowWhen("cord_injury", ("True",)),
                ),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "vertebrae",
            _("Vertebrae"),
            ImagedVertebra,
            (
                Item("level", sdtm="MI.MILOC"),
                Item("height_loss", sdtm="MI.MISTRESN", unit="%", short=gettext_lazy("Height loss (%)")),
                Item("fracture", sdtm="MI.MISTRESC", sdv=True, short=gettext_lazy("Fracture")),
                Item(
                    "symptomatic",
                    sdtm="MI.MISTRESC",
                    short=gettext_lazy("Symptoms"),
                    required=True,
                    show_when=ShowWhen("fracture", ("new", "progressive")),
                ),
                Item("local_control", sdtm="TR.TRSTRESC", sdv=True, short=gettext_lazy("Local control")),
                Item("density_hu", sdtm="MI.MISTRESN", unit="HU", short=gettext_lazy("Density (HU)")),
            ),
            help=_(
                "One row per vertebra read; the lesions of this participant stand there already. A row with nothing "
                "but its level is left out. The Genant grade follows from the loss of height."
            ),
            sdv=True,
            prefill=lambda subject: [{"level": level} for level in levels_to_read(cast(Subject, subject))],
            prefilled=("level",),
        ),
    ),
    keeping=Keeping.PER_EVENT,
    event="",
    enter="imaging.enter",
    checks=IMAGING_CHECKS,
)

REPORT = CrfSpec(
    REPORT_CODE,
    _("Participant's questionnaire"),
    PatientReport,
    sections=(
        Section(
            _("Questionnaire"),
            (
                Item("answered_on", sdtm="QS.QSDTC"),
                Item("channel", sdtm="QS.QSEVINTX"),
                Item("language", sdtm="SUPPQS.LANGUAGE"),
            ),
        ),
        Section(
            _("Pain at the index site"),
            (
                Item("nrs_worst", sdtm="QS.QSSTRESN", unit="0-10", required=True, widget="nrs"),
                Item("analgesics", sdtm="CM.CMOCCUR", required=True),
            ),
        ),
    ),
    rows=(
        RowGroup(
            "analgesics_taken",
            _("Analgesics taken in the last 24 hours"),
            PatientAnalgesic,
            # What the participant typed is itself the source: there is nothing to compare it with.
            tuple(replace(item, sdv=False) for item in ANALGESIC_ITEMS),
        ),
    ),
    keeping=Keeping.PER_EVENT,
    event="",
    enter="epro.enter",
    checks=tuple(check for check in analgesic_checks("analgesics_taken") if check.level is Level.BLOCK),
    before_save=count_rows,
    expected=False,
)

SPECS = (VISIT, IMAGING, REPORT)
