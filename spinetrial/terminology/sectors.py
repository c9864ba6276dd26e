"""Sectors of a vertebra (International Spine Radiosurgery Consortium) and checks of the drawn CTV.

Cox 2012, IJROBP 83:e597. The program proposes and warns; it never fills in the CTV (D13).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from spinetrial.protocol.model import Arm, CtvRule
from spinetrial.protocol.text import Line
from spinetrial.protocol.text import gettext_noop as _

SECTORS: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
SECTOR_LABELS: dict[int, str] = {
    1: _("1 - Vertebral body"),
    2: _("2 - Left pedicle"),
    3: _("3 - Left transverse process and lamina"),
    4: _("4 - Spinous process"),
    5: _("5 - Right transverse process and lamina"),
    6: _("6 - Right pedicle"),
}


class BodyExtent(StrEnum):
    """How a GTV lies in the vertebral body; it decides the proposal when only the body is involved."""

    CENTRAL = "central"
    LEFT = "left"
    RIGHT = "right"
    DIFFUSE = "diffuse"


BODY_EXTENT_LABELS: dict[BodyExtent, str] = {
    BodyExtent.CENTRAL: _("Part of the body, not to one side"),
    BodyExtent.LEFT: _("To the patient's left"),
    BodyExtent.RIGHT: _("To the patient's right"),
    BodyExtent.DIFFUSE: _("Diffuse"),
}


class CtvWarning(StrEnum):
    EMPTY_GTV = "empty_gtv"
    EMPTY_CTV = "empty_ctv"
    GTV_OUTSIDE = "gtv_outside"
    NOT_WHOLE = "not_whole"
    RING_WITHOUT_REASON = "ring_without_reason"
    NOT_ADJACENT = "not_adjacent"
    BELOW_PROPOSAL = "below_proposal"


WARNING_TEXTS: dict[CtvWarning, str] = {
    CtvWarning.EMPTY_GTV: _("No GTV sector is recorded."),
    CtvWarning.EMPTY_CTV: _("No CTV sector is recorded."),
    CtvWarning.GTV_OUTSIDE: _("The CTV leaves out GTV sectors: %(sectors)s."),
    CtvWarning.NOT_WHOLE: _("This arm treats the whole vertebra; the CTV leaves out sectors %(sectors)s."),
    CtvWarning.RING_WITHOUT_REASON: _(
        "The CTV is the whole ring without extensive involvement; this arm treats involved sectors."
    ),
    CtvWarning.NOT_ADJACENT: _(
        "The CTV holds sectors that are neither involved nor adjacent nor proposed: %(sectors)s."
    ),
    CtvWarning.BELOW_PROPOSAL: _("The consensus proposal also holds sectors %(sectors)s."),
}


@dataclass(frozen=True, slots=True)
class CtvFinding:
    """A warning on one vertebra. `deviation`: the arm's target is not met (matters to the per-protocol set)."""

    code: CtvWarning
    line: Line
    deviation: bool


def check_sectors(sectors: Iterable[int]) -> frozenset[int]:
    """The sectors as a set. Raises ValueError for a number outside 1 to 6."""
    found = frozenset(sectors)
    if not found <= frozenset(SECTORS):
        raise ValueError("sectors are numbered 1 to 6")
    return found


def neighbours(sector: int) -> tuple[int, int]:
    """The two neighbours in the ring 1-2-3-4-5-6-1. Raises ValueError for a number outside 1 to 6."""
    check_sectors((sector,))
    return ((sector + 4) % 6 + 1, sector % 6 + 1)


def ring_closure(gtv: Iterable[int]) -> frozenset[int]:
    """The sectors and their ring neighbours: the plain reading of "destruction and adjacent parts"."""
    involved = check_sectors(gtv)
    return involved | {near for sector in involved for near in neighbours(sector)}


def ring_shape_justified(gtv: Iterable[int], extensive_epidural: bool = False) -> bool:
    """Whether a CTV round the cord has its reason.

    That is body, both pedicles or laminae and spinous process all involved, or extensive epidural disease.
    """
    involved = check_sectors(gtv)
    return extensive_epidural or ({1, 4} <= involved and bool(involved & {2, 3}) and bool(involved & {5, 6}))


def cox_proposal(gtv: Iterable[int], body: BodyExtent = BodyExtent.CENTRAL) -> frozenset[int]:
    """CTV sectors the consensus proposes for the involved sectors; `body` matters when sector 1 is involved.

    The union of the consensus rules that apply to the parts; GTV sectors are always in it. For body and both
    pedicles or transverse processes this is 1, 2, 3, 5, 6; a planning system's published rule set adds 4.
    """
    involved = check_sectors(gtv)
    ctv = set(involved)
    if 1 in involved:
        if body in (BodyExtent.LEFT, BodyExtent.DIFFUSE) or 2 in involved:
            ctv |= {2, 3}
        if body in (BodyExtent.RIGHT, BodyExtent.DIFFUSE) or 6 in involved:
            ctv |= {5, 6}
    both_sides = 1 in involved and bool(involved & {2, 3}) and bool(involved & {5, 6})
    if both_sides:
        ctv |= {2, 3, 5, 6}
    if 2 in involved:
        ctv |= {2, 3}
    if 6 in involved:
        ctv |= {5, 6}
    # with the body and both sides involved Cox names both laminae but not the spinous process
    if 3 in involved and not both_sides:
        ctv |= {2, 3, 4}
    if 5 in involved and not both_sides:
        ctv |= {4, 5, 6}
    if 4 in involved:
        ctv |= {3, 4, 5}
    return frozenset(ctv)


def check_ctv(
    arm: Arm,
    gtv: Iterable[int],
    ctv: Iterable[int],
    body: BodyExtent = BodyExtent.CENTRAL,
    extensive_epidural: bool = False,
) -> tuple[CtvFinding, ...]:
    """Warnings on the CTV of one vertebra against its arm (D12, D13). Unknown sectors raise ValueError."""
    involved, drawn = check_sectors(gtv), check_sectors(ctv)
    if not involved:
        return (_finding(CtvWarning.EMPTY_GTV, deviation=False),)
    if not drawn:
        return (_finding(CtvWarning.EMPTY_CTV, deviation=True),)
    found: list[CtvFinding] = []
    if involved - drawn:
        found.append(_finding(CtvWarning.GTV_OUTSIDE, involved - drawn, deviation=True))
    if arm.ctv_rule is CtvRule.WHOLE_VERTEBRA:
        if missing := frozenset(arm.ctv_sectors) - drawn:
            found.append(_finding(CtvWarning.NOT_WHOLE, missing, deviation=True))
        return tuple(found)
    proposal = cox_proposal(involved, body)
    if drawn == frozenset(SECTORS):
        if not ring_shape_justified(involved, extensive_epidural):
            found.append(_finding(CtvWarning.RING_WITHOUT_REASON, deviation=True))
    elif beyond := drawn - ring_closure(involved) - proposal:
        found.append(_finding(CtvWarning.NOT_ADJACENT, beyond, deviation=False))
    if below := proposal - drawn - involved:
        found.append(_finding(CtvWarning.BELOW_PROPOSAL, below, deviation=False))
    return tuple(found)


def _finding(code: CtvWarning, sectors: Iterable[int] = (), *, deviation: bool) -> CtvFinding:
    listed = ", ".join(str(sector) for sector in sorted(sectors))
    values = (("sectors", listed),) if listed else ()
    return CtvFinding(code=code, line=Line(WARNING_TEXTS[code], values), deviation=deviation)
