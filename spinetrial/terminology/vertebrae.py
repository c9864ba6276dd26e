"""Vertebral levels C1 to S5 in order, their SINS region, and runs of neighbouring levels."""

from collections.abc import Iterable
from enum import StrEnum

from spinetrial.protocol.text import gettext_noop as _


class Region(StrEnum):
    """Location classes of SINS (Fisher 2010)."""

    JUNCTIONAL = "junctional"
    MOBILE = "mobile"
    SEMIRIGID = "semirigid"
    RIGID = "rigid"


REGION_LABELS: dict[Region, str] = {
    Region.JUNCTIONAL: _("Junctional (O-C2, C7-T2, T11-L1, L5-S1)"),
    Region.MOBILE: _("Mobile (C3-C6, L2-L4)"),
    Region.SEMIRIGID: _("Semirigid (T3-T10)"),
    Region.RIGID: _("Rigid (S2-S5)"),
}

LEVELS: tuple[str, ...] = tuple(
    f"{part}{number}" for part, count in (("C", 7), ("T", 12), ("L", 5), ("S", 5)) for number in range(1, count + 1)
)
_INDEX = {level: index for index, level in enumerate(LEVELS)}
_REGION_RUNS = (
    (Region.JUNCTIONAL, ("C1", "C2")),
    (Region.MOBILE, ("C3", "C6")),
    (Region.JUNCTIONAL, ("C7", "T2")),
    (Region.SEMIRIGID, ("T3", "T10")),
    (Region.JUNCTIONAL, ("T11", "L1")),
    (Region.MOBILE, ("L2", "L4")),
    (Region.JUNCTIONAL, ("L5", "S1")),
    (Region.RIGID, ("S2", "S5")),
)


def position(level: str) -> int:
    """Place of a level counted from C1 = 0. Raises ValueError for anything but C1..S5."""
    try:
        return _INDEX[level]
    except KeyError:
        raise ValueError(f"{level!r} is not a vertebral level") from None


def region(level: str) -> Region:
    """SINS region of a level. Raises ValueError for an unknown level."""
    place = position(level)
    return next(name for name, (first, last) in _REGION_RUNS if _INDEX[first] <= place <= _INDEX[last])


def adjacent(one: str, other: str) -> bool:
    """True when two levels are direct neighbours. Raises ValueError for an unknown level."""
    return abs(position(one) - position(other)) == 1


def neighbours(level: str) -> tuple[str, ...]:
    """The levels directly above and below. Raises ValueError for an unknown level."""
    place = position(level)
    return LEVELS[max(place - 1, 0) : place] + LEVELS[place + 1 : place + 2]


def runs(levels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of neighbouring levels from top to bottom; order and repeats of the input do not matter.

    Raises ValueError for an unknown level.
    """
    groups: list[list[str]] = []
    for level in sorted(set(levels), key=position):
        if groups and adjacent(groups[-1][-1], level):
            groups[-1].append(level)
        else:
            groups.append([level])
    return tuple(tuple(group) for group in groups)
