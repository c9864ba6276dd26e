"""Looking terms up in a loaded dictionary: names of codes, terms like some words, the hierarchy step by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from adverse_events.meddra import trigrams
from adverse_events.models.meddra import (
    Language,
    Level,
    MeddraName,
    MeddraPath,
    MeddraPosting,
    MeddraRelease,
    MeddraTerm,
    MeddraVersion,
    NameKind,
)
from spinetrial.access.gate import SYSTEM, list_records

#: (number of the version, level, code)
Key = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Llt:
    """A lowest level term, its PT and the primary SOC of that, named in the reader's language where it can be."""

    code: str
    name: str
    current: bool
    pt: str
    pt_name: str
    soc: str
    soc_name: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A term that fits words. `matched`: the name that did, in whichever language; `likeness`: 0 to 1."""

    llt: Llt
    matched: str
    likeness: float
    exact: bool


def version_in_force() -> MeddraVersion | None:
    """The version new codes are taken from; None while none is chosen."""
    return list_records(SYSTEM, MeddraVersion, "ae.code").filter(in_force=True).first()


def _preferred() -> list[str]:
    """Languages in the order in which a name is looked for."""
    chinese = (get_language() or "").startswith("zh")
    first = [Language.CHINESE, Language.ENGLISH] if chinese else [Language.ENGLISH, Language.CHINESE]
    return [str(each) for each in (*first, Language.JAPANESE)]


def names_of(keys: Iterable[Key]) -> dict[Key, str]:
    """The names of terms of any versions in the reader's language, else in another. One query."""
    wanted = set(keys)
    if not wanted:
        return {}
    rows = (
        list_records(SYSTEM, MeddraName, "ae.code")
        .filter(
            release__in=list_records(SYSTEM, MeddraRelease, "ae.code").filter(version__in={key[0] for key in wanted}),
            level__in={key[1] for key in wanted},
            code__in={key[2] for key in wanted},
            kind=NameKind.NAME,
        )
        .values_list("release__version_id", "level", "code", "release__language", "name")
    )
    order = {language: place for place, language in enumerate(_preferred())}
    found: dict[Key, tuple[int, str]] = {}
    for version, level, code, language, name in rows:
        key = (version, level, code)
        if key in wanted and (key not in found or order[language] < found[key][0]):
            found[key] = (order[language], name)
    return {key: name for key, (_place, name) in found.items()}


def terms(version: MeddraVersion, llts: Collection[str]) -> dict[str, Llt]:
    """LLTs of a version by code; a code that is no LLT there is left out. Three queries."""
    if not llts:
        return {}
    rows = list_records(SYSTEM, MeddraTerm, "ae.code").filter(version=version)
    found = {
        code: (parent, current)
        for code, parent, current in rows.filter(level=Level.LLT, code__in=llts).values_list(
            "code", "parent", "current"
        )
    }
    socs = dict(rows.filter(level=Level.PT, code__in={pt for pt, _ in found.values()}).values_list("code", "parent"))
    names = names_of(
        [
            *((version.pk, Level.LLT, code) for code in found),
            *((version.pk, Level.PT, code) for code in socs),
            *((version.pk, Level.SOC, code) for code in set(socs.values())),
        ]
    )
    return {
        code: Llt(
            code,
            names.get((version.pk, Level.LLT, code), code),
            current,
            pt,
            names.get((version.pk, Level.PT, pt), pt),
            socs[pt],
            names.get((version.pk, Level.SOC, socs[pt]), socs[pt]),
        )
        for code, (pt, current) in found.items()
    }


def search(version: MeddraVersion, text: str, limit: int = 20) -> list[Hit]:
    """LLTs whose name, in any loaded language, is like `text`, or whose code it is; best first, at most `limit`."""
    return search_many(version, [text], limit)[text]


def search_many(version: MeddraVersion, texts: Sequence[str], limit: int) -> dict[str, list[Hit]]:
    """`search` for several texts; the number of queries does not grow with them."""
    releases = list(list_records(SYSTEM, MeddraRelease, "ae.code").filter(version=version).values_list("pk", flat=True))
    wanted = {text: trigrams.grams(text) for text in texts}
    postings: dict[int, dict[str, bytes]] = defaultdict(dict)
    rows = list_records(SYSTEM, MeddraPosting, "ae.code").filter(
        release__in=releases, gram__in={trigrams.SIZES, *(gram for each in wanted.values() for gram in each)}
    )
    for release, gram, places in rows.values_list("release_id", "gram", "places"):
        postings[release][gram] = bytes(places)
    places_of: dict[str, list[tuple[int, int, float]]] = {}
    for text, each in wanted.items():
        places_of[text] = [
            (release, place, likeness)
            for release in releases
            for place, likeness in trigrams.best(each, postings[release], limit + 10)
        ]
    names = _names_at({(release, place) for found in places_of.values() for release, place, _ in found})
    codes = {code for code, _name in names.values()} | {text.strip() for text in texts if len(text.strip()) == 8}
    described = terms(version, codes)
    return {text: _ranked(text, places_of[text], names, described, limit) for text in texts}


def _names_at(places: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, str]]:
    """Code and name at places of releases. One query."""
    by_release: dict[int, list[int]] = defaultdict(list)
    for release, place in places:
        by_release[release].append(place)
    if not by_release:
        return {}
    condition = Q()
    for release, found in by_release.items():
        condition |= Q(release=release, place__in=found)
    rows = list_records(SYSTEM, MeddraName, "ae.code").filter(condition)
    return {
        (release, place): (code, name)
        for release, place, code, name in rows.values_list("release_id", "place", "code", "name")
    }


def _ranked(
    text: str,
    places: list[tuple[int, int, float]],
    names: dict[tuple[int, int], tuple[str, str]],
    described: dict[str, Llt],
    limit: int,
) -> list[Hit]:
    """One hit per term. Exact before alike, then by likeness, current terms before the others, short names first."""
    same = trigrams.folded(text)
    best: dict[str, Hit] = {}
    if text.strip() in described:
        llt = described[text.strip()]
        best[llt.code] = Hit(llt, llt.name, 1.0, True)
    for release, place, likeness in places:
        code, name = names[release, place]
        hit = Hit(described[code], name, likeness, trigrams.folded(name) == same)
        if code not in best or (hit.exact, hit.likeness) > (best[code].exact, best[code].likeness):
            best[code] = hit
    order = sorted(
        best.values(),
        key=lambda hit: (not hit.exact, -hit.likeness, not hit.llt.current, len(hit.matched), hit.matched),
    )
    return order[:limit]


@dataclass(frozen=True, slots=True)
class Step:
    """One term on a page of the hierarchy."""

    level: int
    code: str
    name: str
    current: bool = True
    primary: bool = True


def children(version: MeddraVersion, level: int, code: str) -> list[Step]:
    """What lies under a term: SOCs in international order for level 0, else by name. PTs say if the path is primary."""
    rows = list_records(SYSTEM, MeddraTerm, "ae.code").filter(version=version)
    paths = list_records(SYSTEM, MeddraPath, "ae.code").filter(version=version)
    if level == 0:
        listed = [(each, True, True) for each in _codes(rows.filter(level=Level.SOC).order_by("place"))]
        return _steps(version, Level.SOC, listed)
    if level == Level.PT:
        found = rows.filter(level=Level.LLT, parent=code).values_list("code", "current")
        return _by_name(_steps(version, Level.LLT, [(each, current, True) for each, current in found]))
    upper, lower = {Level.SOC: ("soc", "hlgt"), Level.HLGT: ("hlgt", "hlt"), Level.HLT: ("hlt", "pt")}[Level(level)]
    primary: dict[str, bool] = {}
    for each, is_primary in paths.filter(**{upper: code}).values_list(lower, "primary"):
        primary[each] = primary.get(each, False) or is_primary or lower != "pt"
    return _by_name(_steps(version, level + 1, [(each, True, flag) for each, flag in primary.items()]))


def _codes(rows: QuerySet[MeddraTerm]) -> list[str]:
    return list(rows.values_list("code", flat=True))


def _steps(version: MeddraVersion, level: int, listed: list[tuple[str, bool, bool]]) -> list[Step]:
    names = names_of((version.pk, level, code) for code, _current, _primary in listed)
    return [Step(level, code, names.get((version.pk, level, code), code), cur, prim) for code, cur, prim in listed]


def _by_name(steps: list[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: (not step.current, step.name.casefold(), step.code))
