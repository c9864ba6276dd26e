"""CTCAE: codes, classes, terms and the grades each term defines, for v5.0 (this trial's, D19), v4.03 and v6.0.

Facts from "NCI CTCAE version 5.0, 27 November 2017", "version 4.03, 14 June 2010" and "version 6.0 with the errata of
20 January 2026" (US National Cancer Institute, public domain in the United States). The texts of grades and
definitions are not copied here: a trial loads them from NCI's own file, which is compared with a digest of the texts
of each term. The codes are MedDRA lowest level terms published by NCI inside CTCAE, which gives no licence to MedDRA.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

#: The version of this trial.
VERSION = "5.0"
CREDITS = {
    "4.03": "NCI CTCAE version 4.03, 14 June 2010",
    "5.0": "NCI CTCAE version 5.0, 27 November 2017",
    "6.0": "NCI CTCAE version 6.0, with the errata of 20 January 2026",
}
VERSIONS = tuple(CREDITS)
GRADES = (1, 2, 3, 4, 5)
_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True)
class Term:
    """A CTCAE term. `grades` are those NCI defines: a form must not offer another one.

    `texts` begins the SHA-256 of NCI's texts of the term (`texts_digest`), 8 hexadecimal digits.
    """

    code: str
    soc: str
    term: str
    grades: tuple[int, ...]
    texts: str = ""


@dataclass(frozen=True, slots=True)
class ExpectedTerm:
    """A term this trial expects. `name_zh` is our own wording, no official translation of CTCAE or MedDRA.

    `pinyin` holds the first letters of the Chinese name and synonyms, for those who type them so.
    """

    code: str
    name_zh: str
    synonyms: tuple[str, ...]
    pinyin: tuple[str, ...] = ()


EXPECTED: tuple[ExpectedTerm, ...] = (
    ExpectedTerm(
        "10041569",
        "脊柱骨折",
        ("vertebral compression fracture", "VCF", "椎体压缩骨折", "椎体骨折", "压缩性骨折"),
        ("jzgz", "ztysgz", "ztgz", "ysxgz"),
    ),
    ExpectedTerm("10017076", "骨折", ("pathological fracture", "病理性骨折"), ("gz", "blxgz")),
    ExpectedTerm(
        "10028524",
        "脊髓炎",
        ("radiation myelopathy", "myelopathy", "放射性脊髓病", "放射性脊髓炎"),
        ("jsy", "fsxjsb", "fsxjsy"),
    ),
    ExpectedTerm("10041549", "脊髓压迫", ("cord compression", "MESCC", "脊髓受压"), ("jsyp", "jssy")),
    ExpectedTerm(
        "10061928",
        "神经根炎",
        ("radiculopathy", "nerve root", "神经根痛", "神经根病"),
        ("sjgy", "sjgt", "sjgb"),
    ),
    ExpectedTerm("10003988", "背痛", ("backache", "腰痛", "腰背痛"), ("bt", "yt", "ybt")),
    ExpectedTerm("10006002", "骨痛", ("skeletal pain", "骨骼疼痛"), ("gt", "ggtt")),
    ExpectedTerm(
        "10045158",
        "肿瘤疼痛",
        ("pain flare", "flare", "疼痛反应", "疼痛闪烁", "癌痛"),
        ("zltt", "ttfy", "ttss", "at"),
    ),
    ExpectedTerm(
        "10061103",
        "放射性皮炎",
        ("radiation dermatitis", "skin reaction", "放射性皮肤反应"),
        ("fsxpy", "fsxpffy"),
    ),
    ExpectedTerm("10015461", "食管炎", ("oesophagitis", "放射性食管炎"), ("sgy", "fsxsgy")),
    ExpectedTerm("10016256", "乏力", ("tiredness", "asthenia", "疲劳", "疲乏"), ("fl", "pl", "pf")),
)
_EXPECTED_BY_CODE = {expected.code: expected for expected in EXPECTED}

#: Our own Chinese names of the classes, no official translation of CTCAE or MedDRA.
SOC_ZH: Mapping[str, str] = MappingProxyType(
    {
        "Blood and lymphatic system disorders": "血液和淋巴系统",
        "Cardiac disorders": "心脏",
        "Congenital, familial and genetic disorders": "先天性、家族性和遗传性疾病",
        "Ear and labyrinth disorders": "耳和内耳",
        "Endocrine disorders": "内分泌",
        "Eye disorders": "眼",
        "Gastrointestinal disorders": "胃肠道",
        "General disorders and administration site conditions": "全身情况和给药部位反应",
        "Hepatobiliary disorders": "肝和胆",
        "Immune system disorders": "免疫系统",
        "Infections and infestations": "感染和寄生虫",
        "Injury, poisoning and procedural complications": "损伤、中毒和操作并发症",
        "Investigations": "检查和化验",
        "Metabolism and nutrition disorders": "代谢和营养",
        "Musculoskeletal and connective tissue disorders": "肌肉骨骼和结缔组织",
        "Neoplasms benign, malignant and unspecified (incl cysts and polyps)": "肿瘤（含囊肿和息肉）",
        "Nervous system disorders": "神经系统",
        "Pregnancy, puerperium and perinatal conditions": "妊娠、产褥期和围产期",
        "Psychiatric disorders": "精神",
        "Renal and urinary disorders": "肾和泌尿系统",
        "Reproductive system and breast disorders": "生殖系统和乳腺",
        "Respiratory, thoracic and mediastinal disorders": "呼吸、胸和纵隔",
        "Skin and subcutaneous tissue disorders": "皮肤和皮下组织",
        "Social circumstances": "社会环境",
        "Surgical and medical procedures": "手术和医疗操作",
        "Vascular disorders": "血管",
    }
)


@cache
def _read(version: str) -> Mapping[str, Term]:
    if version not in CREDITS:
        raise LookupError(f"Unknown CTCAE version {version!r}.")
    with (_DATA / f"ctcae_v{version.replace('.', '_')}.csv").open(encoding="utf-8", newline="") as file:
        found = {
            row["code"]: Term(
                row["code"], row["soc"], row["term"], tuple(int(grade) for grade in row["grades"]), row["texts"]
            )
            for row in csv.DictReader(file)
        }
    return MappingProxyType(found)


def terms(version: str = VERSION) -> Mapping[str, Term]:
    """All terms of a version by code, in NCI's order; 837 in v5.0. Raises LookupError for an unknown version."""
    return _read(version)


def get(code: str) -> Term:
    """The term of a code. Raises KeyError for a code outside CTCAE v5.0."""
    return terms()[code]


def grades(code: str) -> tuple[int, ...]:
    """The grades NCI defines for a term. Raises KeyError for a code outside CTCAE v5.0."""
    return terms()[code].grades


def socs() -> tuple[str, ...]:
    """The 26 system organ classes in NCI's order, the same in all versions."""
    return tuple(dict.fromkeys(term.soc for term in terms().values()))


def in_soc(soc: str) -> tuple[Term, ...]:
    """The terms of a class in NCI's order, none for an unknown class."""
    return tuple(term for term in terms().values() if term.soc == soc)


def name_zh(code: str) -> str:
    """Our own Chinese name of an expected term, empty for any other. Unofficial: label it so."""
    expected = _EXPECTED_BY_CODE.get(code)
    return expected.name_zh if expected else ""


def texts_digest(texts: Iterable[str]) -> str:
    """Digest of the texts of a term: definition, grades 1 to 5, navigational note; what does not exist is empty."""
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:8]


def needs_specification(code: str) -> bool:
    """True for the 26 "Other, specify" terms, which need the event in words. Raises KeyError."""
    return terms()[code].term.endswith("Other, specify")


#: Words that say no more than "Other, specify" itself.
_EMPTY_WORDS = frozenset(
    {
        *("ae", "adverse", "disease", "disorder", "disorders", "effect", "effects", "event", "events", "illness"),
        *("problem", "reaction", "sae", "side", "signs", "symptom", "symptoms", "term", "toxicity", "various"),
        *("no", "none", "not", "na", "other", "others", "see", "specified", "specify", "unclear", "unknown"),
        *("unspecified", "xx", "xxx", "yes", "an", "and", "any", "of", "or", "the"),
    }
)
_EMPTY_CHINESE = (
    *("不良事件", "不良反应", "未特指", "请注明", "副作用", "其他", "其它", "其余", "不详", "不明", "未知", "未详"),
    *("毒性", "反应", "症状", "疾病", "事件", "见上", "同上", "具体"),
)
_PIECES = re.compile(r"[^\W\d_]+")


def says_something(verbatim: str, code: str) -> bool:
    """Whether the reporter's words say more than an "Other, specify" term does by itself. Raises KeyError."""
    term = terms()[code]
    known = _EMPTY_WORDS | set(_PIECES.findall(f"{term.term} {term.soc}".casefold()))
    left = verbatim.casefold()
    for word in (SOC_ZH.get(term.soc, ""), *_EMPTY_CHINESE):
        left = left.replace(word, " ") if word else left
    # One letter, or one Chinese character, names no event; two may (AF, 心悸).
    return sum(len(word) for word in _PIECES.findall(left) if word not in known) >= 2


# --- versions beside each other ---


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of a term in another version. `term` is None where the code does not exist.

    `added` and `lost` are grades that version defines beyond this one's, and those it lacks; `texts_differ` says that
    a definition, a grade or a note reads otherwise.
    """

    version: str
    term: Term | None
    renamed: bool = False
    moved: bool = False
    added: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    texts_differ: bool = False

    @property
    def same(self) -> bool:
        """Whether an event would be graded alike in both versions."""
        return self.term is not None and not (
            self.renamed or self.moved or self.added or self.lost or self.texts_differ
        )


def standing(code: str, version: str, *, than: str = VERSION) -> Standing:
    """How `version` differs from version `than` for a term of `than`. Raises KeyError or LookupError."""
    here, there = terms(than)[code], terms(version).get(code)
    if there is None:
        return Standing(version, None)
    return Standing(
        version,
        there,
        renamed=here.term != there.term,
        moved=here.soc != there.soc,
        added=tuple(grade for grade in there.grades if grade not in here.grades),
        lost=tuple(grade for grade in here.grades if grade not in there.grades),
        texts_differ=here.texts != there.texts,
    )


# --- search ---

#: British spellings are searched as American ones.
_SPELLINGS = (("ae", "e"), ("oe", "e"), ("our", "or"), ("sulph", "sulf"))


def _plain(text: str) -> str:
    text = text.casefold()
    for british, american in _SPELLINGS:
        text = text.replace(british, american)
    return text


@cache
def _names(version: str) -> tuple[tuple[Term, bool, tuple[str, ...], tuple[str, ...]], ...]:
    """Of each term: is it expected, its names for comparing, and the first letters of its Chinese names."""
    found = []
    for term in terms(version).values():
        expected = _EXPECTED_BY_CODE.get(term.code)
        names = [term.term, *((expected.name_zh, *expected.synonyms) if expected else ())]
        found.append((term, expected is not None, tuple(map(_plain, names)), expected.pinyin if expected else ()))
    return tuple(found)


def search(text: str, limit: int = 20, version: str = VERSION) -> tuple[Term, ...]:
    """Terms that fit `text` (a code, words of the term, a Chinese name, its first pinyin letters or a synonym).

    Best first. All words must occur. Expected terms of this trial precede others of the same fit; an empty text gives
    the expected terms (those of them that the version has).
    """
    wanted = _plain(text.strip())
    if not wanted:
        known = terms(version)
        return tuple(known[expected.code] for expected in EXPECTED if expected.code in known)[:limit]
    ranked: list[tuple[int, int, int, Term]] = []
    for order, (term, expected, names, pinyin) in enumerate(_names(version)):
        fit = _fit(wanted, term.code, names, pinyin)
        if fit is not None:
            ranked.append((fit, 0 if expected else 1, order, term))
    ranked.sort(key=lambda entry: entry[:3])
    return tuple(entry[3] for entry in ranked[:limit])


def _fit(wanted: str, code: str, names: tuple[str, ...], pinyin: tuple[str, ...]) -> int | None:
    """0 exact, 1 start of a name, 2 start of a word, 3 anywhere, 4 start of pinyin or code; None: no fit."""
    if wanted == code or wanted in names or wanted in pinyin:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    if any(f" {wanted}" in name for name in names):
        return 2
    words = wanted.split()
    if any(all(word in name for word in words) for name in names):
        return 3
    started = len(wanted) > 1 and any(name.startswith(wanted) for name in pinyin)
    return 4 if started or (len(wanted) > 3 and code.startswith(wanted)) else None
