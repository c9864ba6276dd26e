"""Where the factors of the OMED come from, and whole tables made of other sources to compare with (D22).

A source that is silent on a drug is completed by the table in force, so that a comparison shows what the printed
figures change and nothing else. None of these tables is in force: that is `opioids.TABLES`, named by the protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.opioids import V1, FactorTable


@dataclass(frozen=True, slots=True)
class Source:
    """One published list of factors. `printed`: its figures in words by drug, as a range where it gives one."""

    code: str
    name: str
    about: str
    printed: Mapping[str, str]


CDC_2022 = Source(
    "cdc2022",
    "CDC 2022",
    _("Dosing table of the opioid guideline of the US Centers for Disease Control. Lists drugs by mouth and patches."),
    MappingProxyType(
        {
            "MORPHINE_PO": "1",
            "CODEINE_PO": "0.15",
            "TRAMADOL_PO": "0.2",
            "TAPENTADOL_PO": "0.4",
            "OXYCODONE_PO": "1.5",
            "HYDROCODONE_PO": "1",
            "HYDROMORPHONE_PO": "5",
            "FENTANYL_PATCH": "2.4",
            "METHADONE_PO": "4.7",
            "OXYMORPHONE_PO": "3",
        }
    ),
)
FPM_2021 = Source(
    "fpm2021",
    "FPM/ANZCA 2021",
    _("Table of the Australian and New Zealand Faculty of Pain Medicine. Gives no figure for methadone."),
    MappingProxyType(
        {
            "MORPHINE_PO": "1",
            "MORPHINE_INJ": "3",
            "CODEINE_PO": "0.13",
            "TRAMADOL_PO": "0.2",
            "TAPENTADOL_PO": "0.3",
            "OXYCODONE_PO": "1.5",
            "OXYCODONE_INJ": "3",
            "HYDROMORPHONE_PO": "5",
            "HYDROMORPHONE_INJ": "15",
            "FENTANYL_PATCH": "3",
            "FENTANYL_INJ": "0.2",
            "BUPRENORPHINE_PATCH": "2",
            "BUPRENORPHINE_SL": "40",
            "PETHIDINE_INJ": "0.4",
        }
    ),
)
EAPC_2012 = Source(
    "eapc2012",
    "EAPC 2012",
    _("European palliative care practice, mostly ranges. To be checked against the original before it is relied on."),
    MappingProxyType(
        {
            "MORPHINE_PO": "1",
            "MORPHINE_INJ": "2–3",
            "CODEINE_PO": "0.1–0.15",
            "DIHYDROCODEINE_PO": "0.1",
            "TRAMADOL_PO": "0.1–0.2",
            "TAPENTADOL_PO": "0.3–0.4",
            "OXYCODONE_PO": "1.5–2",
            "OXYCODONE_INJ": "3",
            "HYDROMORPHONE_PO": "5–7.5",
            "HYDROMORPHONE_INJ": "10–15",
            "FENTANYL_PATCH": "2.4",
            "FENTANYL_INJ": "0.1–0.3",
            "BUPRENORPHINE_PATCH": "1.8",
            "BUPRENORPHINE_SL": "30–60",
            "METHADONE_PO": "4–12",
            "PETHIDINE_INJ": "0.4",
            "OXYMORPHONE_PO": "3",
        }
    ),
)
SOURCES = (CDC_2022, FPM_2021, EAPC_2012)


def table_of(source: Source, base: FactorTable = V1) -> FactorTable:
    """`base` with every figure the source prints. Raises decimal.InvalidOperation for a source of ranges."""
    factors = {code: Decimal(source.printed.get(code, factor)) for code, factor in base.factors.items()}
    return FactorTable(source.code, MappingProxyType(factors), base.always_flagged)


#: Whole tables to compare with: sources that print one figure for a drug.
ALTERNATIVES: Mapping[str, FactorTable] = MappingProxyType(
    {source.code: table_of(source) for source in (CDC_2022, FPM_2021)}
)
