"""What pain forms share: their items, their checks, and the OMED of saved rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext_lazy as _

from patients.models.pain import DRUGS_WITHOUT_ROUTE, UNNAMED_DRUGS, AnalgesicItems, AnalgesicStatus
from spinetrial.crf.spec import EditCheck, Item, Level, ShowWhen, Values
from spinetrial.protocol import CURRENT
from spinetrial.terminology.opioids import TABLES, FactorTable, Intake, Omed, omed

#: Path of `patients.analgesics.drug_search`; a test holds the two together.
DRUG_SEARCH = "/analgesics/search/"
#: Name of the address that counts the OMED of a grid while it is filled in (followup/analgesics.py).
LIVE = "analgesics_live"

#: Items of a row group of analgesics: `RowGroup(key="analgesics_taken", model=..., items=ANALGESIC_ITEMS, live=LIVE)`.
ANALGESIC_ITEMS = (
    Item("drug", sdtm="CM.CMTRT", sdv=True, widget=f"search:{DRUG_SEARCH}"),
    Item("dose", sdtm="CM.CMDOSE", sdv=True, short=_("Single dose")),
    Item("times", sdtm="CM.CMDOSFRQ", sdv=True, short=_("Number in 24 h")),
    Item("use", sdtm="CM.CMSCAT"),
    # last, as few drugs need them and a narrow screen cuts the grid off at the right
    Item(
        "other_name",
        sdtm="CM.CMTRT",
        required=True,
        show_when=ShowWhen("drug", UNNAMED_DRUGS),
        short=_("Other name"),
    ),
    Item("route", sdtm="CM.CMROUTE", show_when=ShowWhen("drug", DRUGS_WITHOUT_ROUTE)),
)

ANALGESICS_HELP = _(
    "List every analgesic actually taken in the last 24 hours, scheduled and rescue. Combination tablets: only the "
    "opioid part counts. The OMED describes exposure; it is not for switching prescriptions."
)


def intakes(rows: Iterable[AnalgesicItems]) -> list[Intake]:
    """Saved rows as the terminology takes them."""
    return [Intake(drug=row.drug, dose=row.dose, number=row.times, name=row.other_name) for row in rows]


def omed_of(rows: Iterable[AnalgesicItems], status: str) -> Omed:
    """OMED in mg/day of saved rows and the answer of `PainItems.analgesics`, by the protocol's factor table."""
    return omed_answered(intakes(rows), status)


def omed_answered(taken: Sequence[Intake], status: str, table: FactorTable | None = None) -> Omed:
    """OMED in mg/day of what was taken and the answer whether anything was (D7, D22). `table`: else the protocol's.

    `total` is None when it cannot be known: answer missing or "not known", a dose missing, an opioid without factor.
    """
    table = table or TABLES[CURRENT.analgesics.table_version]
    if status not in (AnalgesicStatus.SOME, AnalgesicStatus.NONE):
        return omed([], none_taken=False, table=table)
    return omed(taken, none_taken=status == AnalgesicStatus.NONE, table=table)


def analgesic_checks(key: str = "analgesics_taken") -> tuple[EditCheck, ...]:
    """The answer and the list of analgesics agree; a dose that is not known asks a query. `key`: the row group."""

    def rows(values: Values) -> list[AnalgesicItems]:
        return [row for row in values.rows.get(key, []) if isinstance(row, AnalgesicItems)]

    def answer(values: Values) -> str:
        return str(values.record.analgesics)  # type: ignore[attr-defined]

    return (
        EditCheck(
            "analgesics_not_listed",
            ("analgesics",),
            _("You answered that analgesics were taken: list at least one below."),
            lambda values: answer(values) == AnalgesicStatus.SOME and not rows(values),
            Level.BLOCK,
        ),
        EditCheck(
            "analgesics_listed",
            ("analgesics",),
            _("Analgesics are listed below: answer “Yes”, or remove the rows."),
            lambda values: answer(values) != AnalgesicStatus.SOME and bool(rows(values)),
            Level.BLOCK,
        ),
        EditCheck(
            "analgesics_dose_unknown",
            (key,),
            _("The dose or the number of an opioid is missing, so the OMED is unknown. Can it be found out?"),
            lambda values: [
                row.entry.name for row in rows(values) if row.entry.opioid and (row.dose is None or row.times is None)
            ],
        ),
        EditCheck(
            "analgesics_opioid_unlisted",
            (key,),
            _("This opioid is not in the list, so it has no factor and the OMED is unknown. Please check the name."),
            lambda values: [row.other_name[:60] for row in rows(values) if row.drug == "OTHER_OPIOID"],
        ),
        EditCheck(
            "analgesics_no_factor",
            (key,),
            _("This opioid has no factor in the table, so the OMED is unknown."),
            lambda values: [
                row.name for row in rows(values) if row.entry.opioid and not row.other_name and not _factor(row.drug)
            ],
            Level.NOTE,
        ),
        EditCheck(
            "analgesics_unlisted",
            (key,),
            _("This drug is not in the list and counts as no opioid. Please check the name."),
            lambda values: [row.other_name[:60] for row in rows(values) if row.drug == "OTHER_NON_OPIOID"],
            Level.NOTE,
        ),
    )


def _factor(drug: str) -> bool:
    return drug in TABLES[CURRENT.analgesics.table_version].factors
