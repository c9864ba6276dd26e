"""Analgesics and the oral morphine equivalent of the last 24 hours (OMED, mg/day).

The factors describe exposure; they are not for switching prescriptions (CDC 2022). Table 1 is the column
"proposed" of D22; a stored OMED keeps the table version and its inputs. A later table is one more entry of
TABLES.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _


class Unit(StrEnum):
    """Unit of one dose. A patch counts by its release rate, never multiplied by 24."""

    MG = "mg"
    UG = "ug"
    UG_PER_HOUR = "ug/h"


class Route(StrEnum):
    ORAL = "oral"
    INJECTION = "injection"
    PATCH = "patch"
    SUBLINGUAL = "sublingual"
    OTHER = "other"


ROUTE_LABELS: dict[Route, str] = {
    Route.ORAL: _("by mouth"),
    Route.INJECTION: _("injection or infusion"),
    Route.PATCH: _("skin patch"),
    Route.SUBLINGUAL: _("under the tongue"),
    Route.OTHER: _("other"),
}


@dataclass(frozen=True, slots=True)
class Drug:
    """One substance by one route. Names in Chinese are listed for search and display."""

    code: str
    name: str
    name_zh: str
    route: Route
    unit: Unit
    opioid: bool
    synonyms: tuple[str, ...] = ()
    note: str = ""


_ORAL, _INJ, _PATCH, _SL = Route.ORAL, Route.INJECTION, Route.PATCH, Route.SUBLINGUAL
_MG, _UG, _UGH = Unit.MG, Unit.UG, Unit.UG_PER_HOUR
_COMBINATION = _("Combination tablets: enter the opioid part only.")

OPIOIDS: tuple[Drug, ...] = (
    Drug(
        "MORPHINE_PO",
        _("Morphine, oral"),
        "吗啡（口服）",
        _ORAL,
        _MG,
        True,
        ("morphine sulfate", "MS Contin", "硫酸吗啡缓释片", "盐酸吗啡片", "美施康定"),
    ),
    Drug(
        "MORPHINE_INJ",
        _("Morphine, IV, SC or IM"),
        "吗啡（注射）",
        _INJ,
        _MG,
        True,
        ("morphine injection", "盐酸吗啡注射液"),
    ),
    Drug(
        "CODEINE_PO",
        _("Codeine, oral"),
        "可待因（口服）",
        _ORAL,
        _MG,
        True,
        ("codeine phosphate", "磷酸可待因", "氨酚可待因"),
        _COMBINATION,
    ),
    Drug(
        "DIHYDROCODEINE_PO",
        _("Dihydrocodeine, oral"),
        "双氢可待因（口服）",
        _ORAL,
        _MG,
        True,
        ("氨酚双氢可待因", "路盖克"),
        _COMBINATION,
    ),
    Drug(
        "TRAMADOL_PO",
        _("Tramadol, oral"),
        "曲马多（口服）",
        _ORAL,
        _MG,
        True,
        ("Tramal", "奇曼丁", "氨酚曲马多", "及通安", "盐酸曲马多缓释片"),
        _COMBINATION,
    ),
    Drug("TAPENTADOL_PO", _("Tapentadol, oral"), "他喷他多（口服）", _ORAL, _MG, True, ("Nucynta", "Palexia")),
    Drug(
        "OXYCODONE_PO",
        _("Oxycodone, oral"),
        "羟考酮（口服）",
        _ORAL,
        _MG,
        True,
        ("OxyContin", "奥施康定", "泰勒宁", "氨酚羟考酮", "盐酸羟考酮缓释片"),
        _COMBINATION,
    ),
    Drug(
        "OXYCODONE_INJ",
        _("Oxycodone, IV or SC"),
        "羟考酮（注射）",
        _INJ,
        _MG,
        True,
        ("盐酸羟考酮注射液", "奥诺美"),
    ),
    Drug(
        "HYDROCODONE_PO",
        _("Hydrocodone, oral"),
        "氢可酮（口服）",
        _ORAL,
        _MG,
        True,
        ("Vicodin",),
        _COMBINATION,
    ),
    Drug(
        "HYDROMORPHONE_PO",
        _("Hydromorphone, oral"),
        "氢吗啡酮（口服）",
        _ORAL,
        _MG,
        True,
        ("Dilaudid", "Palladone"),
    ),
    Drug(
        "HYDROMORPHONE_INJ",
        _("Hydromorphone, IV or SC"),
        "氢吗啡酮（注射）",
        _INJ,
        _MG,
        True,
        ("盐酸氢吗啡酮注射液", "瑞宁"),
    ),
    Drug(
        "FENTANYL_PATCH",
        _("Fentanyl, patch"),
        "芬太尼透皮贴剂",
        _PATCH,
        _UGH,
        True,
        ("Durogesic", "多瑞吉", "锐枢安"),
        _("Enter the release rate of a patch in ug/h and the number of patches worn."),
    ),
    Drug("FENTANYL_INJ", _("Fentanyl, IV"), "芬太尼（静脉）", _INJ, _UG, True, ("枸橼酸芬太尼注射液",)),
    Drug(
        "BUPRENORPHINE_PATCH",
        _("Buprenorphine, patch"),
        "丁丙诺啡透皮贴剂",
        _PATCH,
        _UGH,
        True,
        ("Norspan", "BuTrans", "若思本"),
        _("Enter the release rate of a patch in ug/h and the number of patches worn."),
    ),
    Drug(
        "BUPRENORPHINE_SL",
        _("Buprenorphine, sublingual"),
        "丁丙诺啡（舌下）",
        _SL,
        _MG,
        True,
        ("Temgesic", "丁丙诺啡舌下片"),
    ),
    Drug("METHADONE_PO", _("Methadone, oral"), "美沙酮（口服）", _ORAL, _MG, True, ("盐酸美沙酮",)),
    Drug(
        "PETHIDINE_INJ",
        _("Pethidine (meperidine), IM or IV"),
        "哌替啶（注射）",
        _INJ,
        _MG,
        True,
        ("meperidine", "Demerol", "杜冷丁", "度冷丁"),
    ),
    Drug("OXYMORPHONE_PO", _("Oxymorphone, oral"), "羟吗啡酮（口服）", _ORAL, _MG, True, ("Opana",)),
    Drug("BUCINNAZINE", _("Bucinnazine"), "布桂嗪", _INJ, _MG, True, ("强痛定",)),
    Drug("DEZOCINE_INJ", _("Dezocine, injection"), "地佐辛（注射）", _INJ, _MG, True, ("加罗宁",)),
    Drug("OTHER_OPIOID", _("Other opioid"), "其他阿片类药物", Route.OTHER, _MG, True),
)

NON_OPIOIDS: tuple[Drug, ...] = (
    Drug(
        "PARACETAMOL",
        _("Paracetamol (acetaminophen)"),
        "对乙酰氨基酚",
        _ORAL,
        _MG,
        False,
        ("acetaminophen", "Tylenol", "扑热息痛", "泰诺林", "必理通"),
    ),
    Drug("IBUPROFEN", _("Ibuprofen"), "布洛芬", _ORAL, _MG, False, ("芬必得", "美林")),
    Drug("DICLOFENAC", _("Diclofenac"), "双氯芬酸", _ORAL, _MG, False, ("Voltaren", "扶他林")),
    Drug("NAPROXEN", _("Naproxen"), "萘普生", _ORAL, _MG, False),
    Drug("LOXOPROFEN", _("Loxoprofen"), "洛索洛芬", _ORAL, _MG, False, ("乐松",)),
    Drug("MELOXICAM", _("Meloxicam"), "美洛昔康", _ORAL, _MG, False, ("莫比可",)),
    Drug("CELECOXIB", _("Celecoxib"), "塞来昔布", _ORAL, _MG, False, ("Celebrex", "西乐葆")),
    Drug("ETORICOXIB", _("Etoricoxib"), "依托考昔", _ORAL, _MG, False, ("Arcoxia", "安康信")),
    Drug("PARECOXIB", _("Parecoxib, injection"), "帕瑞昔布（注射）", _INJ, _MG, False, ("特耐",)),
    Drug(
        "FLURBIPROFEN_INJ",
        _("Flurbiprofen axetil, injection"),
        "氟比洛芬酯（注射）",
        _INJ,
        _MG,
        False,
        ("凯纷",),
    ),
    Drug("INDOMETACIN", _("Indometacin"), "吲哚美辛", Route.OTHER, _MG, False, ("indomethacin", "消炎痛")),
    Drug("DEXAMETHASONE", _("Dexamethasone"), "地塞米松", Route.OTHER, _MG, False, ("steroid", "激素")),
    Drug("PREDNISONE", _("Prednisone"), "泼尼松", _ORAL, _MG, False, ("steroid", "激素", "强的松")),
    Drug(
        "METHYLPREDNISOLONE",
        _("Methylprednisolone"),
        "甲泼尼龙",
        Route.OTHER,
        _MG,
        False,
        ("steroid", "激素", "甲强龙"),
    ),
    Drug("GABAPENTIN", _("Gabapentin"), "加巴喷丁", _ORAL, _MG, False),
    Drug("PREGABALIN", _("Pregabalin"), "普瑞巴林", _ORAL, _MG, False, ("Lyrica", "乐瑞卡")),
    Drug("DULOXETINE", _("Duloxetine"), "度洛西汀", _ORAL, _MG, False, ("Cymbalta", "欣百达")),
    Drug("AMITRIPTYLINE", _("Amitriptyline"), "阿米替林", _ORAL, _MG, False),
    Drug(
        "ZOLEDRONATE",
        _("Zoledronic acid"),
        "唑来膦酸",
        _INJ,
        _MG,
        False,
        ("zoledronate", "bisphosphonate", "择泰"),
    ),
    Drug(
        "IBANDRONATE",
        _("Ibandronic acid"),
        "伊班膦酸",
        _INJ,
        _MG,
        False,
        ("ibandronate", "bisphosphonate", "邦罗力"),
    ),
    Drug("PAMIDRONATE", _("Pamidronate"), "帕米膦酸", _INJ, _MG, False, ("bisphosphonate",)),
    Drug("DENOSUMAB", _("Denosumab"), "地舒单抗", _INJ, _MG, False, ("Xgeva", "安加维")),
    Drug("OTHER_NON_OPIOID", _("Other analgesic, not an opioid"), "其他非阿片类镇痛药", Route.OTHER, _MG, False),
)

DRUGS: Mapping[str, Drug] = MappingProxyType({drug.code: drug for drug in OPIOIDS + NON_OPIOIDS})

#: First letters of the syllables of Chinese names and brands, as they are typed on a Latin keyboard.
_INITIALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        code: tuple(letters.split())
        for code, letters in (
            ("MORPHINE_PO", "mf mskd lsmf ysmf"),
            ("MORPHINE_INJ", "mf ysmf"),
            ("CODEINE_PO", "kdy lskdy afkdy"),
            ("DIHYDROCODEINE_PO", "sqkdy afsqkdy lgk"),
            ("TRAMADOL_PO", "qmd afqmd jta ysqmd"),
            ("TAPENTADOL_PO", "tptd"),
            ("OXYCODONE_PO", "qkt askd tln afqkt ysqkt"),
            ("OXYCODONE_INJ", "qkt anm ysqkt"),
            ("HYDROCODONE_PO", "qkt"),
            ("HYDROMORPHONE_PO", "qmft"),
            ("HYDROMORPHONE_INJ", "qmft rn ysqmft"),
            ("FENTANYL_PATCH", "ftn drj rsa"),
            ("FENTANYL_INJ", "ftn jysftn"),
            ("BUPRENORPHINE_PATCH", "dbnf rsb"),
            ("BUPRENORPHINE_SL", "dbnf"),
            ("METHADONE_PO", "mst ysmst"),
            ("PETHIDINE_INJ", "ptd dld"),
            ("OXYMORPHONE_PO", "qmft"),
            ("BUCINNAZINE", "bgq qtd"),
            ("DEZOCINE_INJ", "dzx jln"),
            ("OTHER_OPIOID", "qt"),
            ("PARACETAMOL", "dyxajf prxt tnl blt"),
            ("IBUPROFEN", "blf fbd ml"),
            ("DICLOFENAC", "slfs ftl"),
            ("NAPROXEN", "nps"),
            ("LOXOPROFEN", "lslf ls"),
            ("MELOXICAM", "mlxk mbk"),
            ("CELECOXIB", "slxb xlb"),
            ("ETORICOXIB", "ytkx akx"),
            ("PARECOXIB", "prxb tn"),
            ("FLURBIPROFEN_INJ", "fblfz kf"),
            ("INDOMETACIN", "ydmx xyt"),
            ("DEXAMETHASONE", "dsms js"),
            ("PREDNISONE", "pns qds js"),
            ("METHYLPREDNISOLONE", "jpnl jql js"),
            ("GABAPENTIN", "jbpd"),
            ("PREGABALIN", "prbl lrk"),
            ("DULOXETINE", "dlxt xbd"),
            ("AMITRIPTYLINE", "amtl"),
            ("ZOLEDRONATE", "zlls zt"),
            ("IBANDRONATE", "ybls bll"),
            ("PAMIDRONATE", "pmls"),
            ("DENOSUMAB", "dsdk ajw"),
            ("OTHER_NON_OPIOID", "qt"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class FactorTable:
    """OMED mg/day per unit of daily dose. An opioid without a factor makes the OMED unknown."""

    version: str
    factors: Mapping[str, Decimal]
    always_flagged: frozenset[str]


V1 = FactorTable(
    version="1",
    factors=MappingProxyType(
        {
            code: Decimal(factor)
            for code, factor in (
                ("MORPHINE_PO", "1"),
                ("MORPHINE_INJ", "3"),
                ("CODEINE_PO", "0.15"),
                ("DIHYDROCODEINE_PO", "0.25"),
                ("TRAMADOL_PO", "0.2"),
                ("TAPENTADOL_PO", "0.4"),
                ("OXYCODONE_PO", "1.5"),
                ("OXYCODONE_INJ", "3"),
                ("HYDROCODONE_PO", "1"),
                ("HYDROMORPHONE_PO", "5"),
                ("HYDROMORPHONE_INJ", "15"),
                ("FENTANYL_PATCH", "2.4"),
                ("FENTANYL_INJ", "0.1"),
                ("BUPRENORPHINE_PATCH", "1.8"),
                ("BUPRENORPHINE_SL", "40"),
                ("METHADONE_PO", "4.7"),
                ("PETHIDINE_INJ", "0.4"),
                ("OXYMORPHONE_PO", "3"),
            )
        }
    ),
    always_flagged=frozenset({"METHADONE_PO"}),
)
TABLES: Mapping[str, FactorTable] = MappingProxyType({V1.version: V1})


class OmedFlag(StrEnum):
    NOT_STATED = "not_stated"
    CONTRADICTION = "contradiction"
    DOSE_MISSING = "dose_missing"
    ZERO_DOSE = "zero_dose"
    NO_FACTOR = "no_factor"
    UNCERTAIN_FACTOR = "uncertain_factor"
    NON_OPIOID = "non_opioid"


OMED_FLAG_LABELS: dict[OmedFlag, str] = {
    OmedFlag.NOT_STATED: _("No analgesics are listed and 'none in the last 24 hours' is not answered."),
    OmedFlag.CONTRADICTION: _("Analgesics are listed although 'none in the last 24 hours' is answered."),
    OmedFlag.DOSE_MISSING: _("A dose or the number taken is missing."),
    OmedFlag.ZERO_DOSE: _("A dose of 0 is listed."),
    OmedFlag.NO_FACTOR: _("An opioid has no factor in the table; the OMED is unknown."),
    OmedFlag.UNCERTAIN_FACTOR: _("The factor of this drug depends on the dose; look at the OMED again."),
    OmedFlag.NON_OPIOID: _("Analgesics that are not opioids are listed; they do not count."),
}


@dataclass(frozen=True, slots=True)
class Intake:
    """An analgesic actually taken in the last 24 hours: one dose in the drug's unit, and how many.

    For a patch: release rate in ug/h and number of patches worn. None: not known. `name`: of a drug that is not in
    the table.
    """

    drug: str
    dose: Decimal | None
    number: Decimal | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Omed:
    """Total in mg/day (None: unknown), its working, what to look at, and the table used."""

    total: Decimal | None
    lines: tuple[Line, ...]
    flags: tuple[OmedFlag, ...]
    table_version: str


def omed(rows: Sequence[Intake], none_taken: bool = False, table: FactorTable = V1) -> Omed:
    """Daily oral morphine equivalent of the analgesics of the last 24 hours (D7, D22).

    `none_taken` is the explicit answer "none in the last 24 h"; an empty list without it is unknown, not 0.
    Non-opioids are listed and flagged, never counted. Raises KeyError for a drug outside DRUGS, ValueError
    for a negative or non-finite dose or number.
    """
    if none_taken and not rows:
        return Omed(Decimal(0), (Line(_("None in the last 24 hours: OMED 0 mg/day.")),), (), table.version)
    if none_taken or not rows:
        flag = OmedFlag.CONTRADICTION if rows else OmedFlag.NOT_STATED
        return Omed(None, (Line(OMED_FLAG_LABELS[flag]),), (flag,), table.version)
    total: Decimal | None = Decimal(0)
    lines: list[Line] = []
    flags: list[OmedFlag] = []
    parts: list[str] = []
    for row in rows:
        line, amount, row_flags = _row(row, table)
        lines += [line, *_counted(row)]
        flags += row_flags
        total = None if total is None or amount is None else total + amount
        if amount is not None and DRUGS[row.drug].opioid:
            parts.append(plain(amount))
    if total is None:
        lines.append(Line(_("OMED unknown.")))
    else:
        text, values = _("OMED %(total)s mg/day (factor table %(version)s)."), [("total", plain(total))]
        if len(parts) > 1:
            text = _("OMED %(total)s mg/day = %(sum)s (factor table %(version)s).")
            values.append(("sum", " + ".join(parts)))
        lines.append(Line(text, (*values, ("version", table.version))))
    return Omed(total, tuple(lines), tuple(dict.fromkeys(flags)), table.version)


def opioid_switch(before: Iterable[Intake], after: Iterable[Intake]) -> tuple[str, ...]:
    """Codes of opioids taken at only one of two times: the change of OMED then carries the factors' error.

    Empty when the opioids are the same, or when there were none at one time: no factor is traded then.
    """
    one, other = ({row.drug for row in rows if DRUGS[row.drug].opioid and row.dose != 0} for rows in (before, after))
    return tuple(sorted(one ^ other)) if one and other else ()


def search(text: str, limit: int = 10) -> tuple[Drug, ...]:
    """Drugs whose code, name, Chinese name or synonym holds `text`; names starting with it come first.

    The first letters of a Chinese name find it too: "askd" is 奥施康定.
    """
    wanted = text.strip().casefold()
    if not wanted:
        return ()
    ranked: list[tuple[int, int, Drug]] = []
    for order, drug in enumerate(DRUGS.values()):
        names = [name.casefold() for name in (drug.name, drug.name_zh, *drug.synonyms)]
        names += _INITIALS[drug.code] if wanted.isascii() else ()
        if any(name.startswith(wanted) for name in names):
            ranked.append((0, order, drug))
        elif any(wanted in name for name in names) or wanted == drug.code.casefold():
            ranked.append((1, order, drug))
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(drug for _rank, _order, drug in ranked[:limit])


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: 60.00 -> "60"."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _counted(row: Intake) -> list[Line]:
    """What part of a drug counts, where that is easily mistaken."""
    drug = DRUGS[row.drug]
    if drug.unit is Unit.UG_PER_HOUR:
        return [Line(_("A patch counts by its release rate in ug/h; it is not multiplied by 24."))]
    if drug.note == _COMBINATION:
        return [Line(_("Of a combination tablet only the opioid part counts."))]
    return []


def _row(row: Intake, table: FactorTable) -> tuple[Line, Decimal | None, list[OmedFlag]]:
    drug = DRUGS[row.drug]
    name = row.name or drug.name
    for value in (row.dose, row.number):
        if value is not None and (not value.is_finite() or value < 0):
            raise ValueError(f"{row.drug}: a dose and a number are finite and not negative")
    if not drug.opioid:
        line = Line(_("%(drug)s: not an opioid, not counted."), (("drug", name),))
        return line, Decimal(0), [OmedFlag.NON_OPIOID]
    if row.dose is None or row.number is None:
        return Line(_("%(drug)s: dose unknown."), (("drug", name),)), None, [OmedFlag.DOSE_MISSING]
    factor = table.factors.get(row.drug)
    if factor is None:
        return (
            Line(_("%(drug)s: no factor in the table."), (("drug", name),)),
            None,
            [OmedFlag.NO_FACTOR],
        )
    amount = row.dose * row.number * factor
    flags = [OmedFlag.UNCERTAIN_FACTOR] if row.drug in table.always_flagged else []
    if amount == 0:
        flags.append(OmedFlag.ZERO_DOSE)
    line = Line(
        _("%(drug)s: %(dose)s %(unit)s x %(number)s x %(factor)s = %(amount)s mg"),
        (
            ("drug", name),
            ("dose", plain(row.dose)),
            ("unit", drug.unit.value),
            ("number", plain(row.number)),
            ("factor", plain(factor)),
            ("amount", plain(amount)),
        ),
    )
    return line, amount, flags
