"""Clinical scales: SINS, ECOG, KPS, ESCC, Genant and pain bands, as codes with labels."""

from dataclasses import dataclass
from enum import StrEnum

from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology.vertebrae import Region, region


class SinsPain(StrEnum):
    MECHANICAL = "mechanical"
    OCCASIONAL = "occasional"
    NONE = "none"


class SinsLesion(StrEnum):
    LYTIC = "lytic"
    MIXED = "mixed"
    BLASTIC = "blastic"


class SinsAlignment(StrEnum):
    SUBLUXATION = "subluxation"
    DEFORMITY = "deformity"
    NORMAL = "normal"


class SinsCollapse(StrEnum):
    OVER_HALF = "over_half"
    UNDER_HALF = "under_half"
    BODY_INVOLVED = "body_involved"
    NONE = "none"


class SinsPosterolateral(StrEnum):
    BOTH = "both"
    ONE = "one"
    NONE = "none"


class SinsClass(StrEnum):
    STABLE = "stable"
    POTENTIALLY_UNSTABLE = "potentially_unstable"
    UNSTABLE = "unstable"


SINS_PAIN_LABELS: dict[SinsPain, str] = {
    SinsPain.MECHANICAL: _("Mechanical: better lying down, worse on loading"),
    SinsPain.OCCASIONAL: _("Occasional, not mechanical"),
    SinsPain.NONE: _("No pain"),
}
SINS_LESION_LABELS: dict[SinsLesion, str] = {
    SinsLesion.LYTIC: _("Lytic"),
    SinsLesion.MIXED: _("Mixed"),
    SinsLesion.BLASTIC: _("Blastic"),
}
SINS_ALIGNMENT_LABELS: dict[SinsAlignment, str] = {
    SinsAlignment.SUBLUXATION: _("Subluxation or translation"),
    SinsAlignment.DEFORMITY: _("New deformity (kyphosis, scoliosis)"),
    SinsAlignment.NORMAL: _("Normal alignment"),
}
SINS_COLLAPSE_LABELS: dict[SinsCollapse, str] = {
    SinsCollapse.OVER_HALF: _("Collapse of more than half"),
    SinsCollapse.UNDER_HALF: _("Collapse of less than half"),
    SinsCollapse.BODY_INVOLVED: _("No collapse, more than half of the body involved"),
    SinsCollapse.NONE: _("None of these"),
}
SINS_POSTEROLATERAL_LABELS: dict[SinsPosterolateral, str] = {
    SinsPosterolateral.BOTH: _("Both sides"),
    SinsPosterolateral.ONE: _("One side"),
    SinsPosterolateral.NONE: _("Not involved"),
}
SINS_CLASS_LABELS: dict[SinsClass, str] = {
    SinsClass.STABLE: _("Stable"),
    SinsClass.POTENTIALLY_UNSTABLE: _("Potentially unstable: surgical opinion advised"),
    SinsClass.UNSTABLE: _("Unstable: surgical opinion advised"),
}

_LOCATION = {Region.JUNCTIONAL: 3, Region.MOBILE: 2, Region.SEMIRIGID: 1, Region.RIGID: 0}
_PAIN = {SinsPain.MECHANICAL: 3, SinsPain.OCCASIONAL: 1, SinsPain.NONE: 0}
_LESION = {SinsLesion.LYTIC: 2, SinsLesion.MIXED: 1, SinsLesion.BLASTIC: 0}
_ALIGNMENT = {SinsAlignment.SUBLUXATION: 4, SinsAlignment.DEFORMITY: 2, SinsAlignment.NORMAL: 0}
_COLLAPSE = {
    SinsCollapse.OVER_HALF: 3,
    SinsCollapse.UNDER_HALF: 2,
    SinsCollapse.BODY_INVOLVED: 1,
    SinsCollapse.NONE: 0,
}
_POSTEROLATERAL = {SinsPosterolateral.BOTH: 3, SinsPosterolateral.ONE: 1, SinsPosterolateral.NONE: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sins:
    """Spinal Instability Neoplastic Score: six parts, total 0 to 18."""

    location: int
    pain: int
    lesion: int
    alignment: int
    collapse: int
    posterolateral: int

    @property
    def total(self) -> int:
        """Sum of the parts, 0 to 18."""
        return self.location + self.pain + self.lesion + self.alignment + self.collapse + self.posterolateral

    @property
    def stability(self) -> SinsClass:
        """0-6 stable, 7-12 potentially unstable, 13-18 unstable."""
        if self.total <= 6:
            return SinsClass.STABLE
        return SinsClass.POTENTIALLY_UNSTABLE if self.total <= 12 else SinsClass.UNSTABLE


def sins(
    level: str,
    pain: SinsPain,
    lesion: SinsLesion,
    alignment: SinsAlignment,
    collapse: SinsCollapse,
    posterolateral: SinsPosterolateral,
) -> Sins:
    """Score of one level (Fisher 2010, Spine 35:E1221). Raises ValueError for an unknown level.

    A collapse of exactly half is undefined in the scale: the rater chooses, the percentage is stored.
    """
    return Sins(
        location=_LOCATION[region(level)],
        pain=_PAIN[pain],
        lesion=_LESION[lesion],
        alignment=_ALIGNMENT[alignment],
        collapse=_COLLAPSE[collapse],
        posterolateral=_POSTEROLATERAL[posterolateral],
    )


ECOG_LABELS: dict[int, str] = {
    0: _("0 - Fully active"),
    1: _("1 - Restricted in strenuous work, walks"),
    2: _("2 - Walks, cares for self, cannot work; up more than half of waking hours"),
    3: _("3 - Limited self-care; in bed or chair more than half of waking hours"),
    4: _("4 - Disabled"),
    5: _("5 - Dead"),
}
KPS_VALUES: tuple[int, ...] = tuple(range(100, -1, -10))


def ecog_from_kps(kps: int) -> int:
    """The usual map of KPS to ECOG: 100-90 0, 80-70 1, 60-50 2, 40-30 3, 20-10 4, 0 5.

    Raises ValueError for a value that is not a KPS score.
    """
    if kps not in KPS_VALUES:
        raise ValueError("KPS runs from 0 to 100 in steps of 10")
    return 5 - (kps + 10) // 20


ESCC_GRADES: tuple[str, ...] = ("0", "1a", "1b", "1c", "2", "3")
ESCC_LABELS: dict[str, str] = {
    "0": _("0 - Bone only"),
    "1a": _("1a - Epidural, thecal sac not deformed"),
    "1b": _("1b - Thecal sac deformed, cord not touched"),
    "1c": _("1c - Cord touched, not compressed"),
    "2": _("2 - Cord compressed, CSF visible"),
    "3": _("3 - Cord compressed, no CSF visible"),
}


def escc_compression(grade: str) -> bool:
    """True for grades 2 and 3 (Bilsky 2010). Raises ValueError for an unknown grade."""
    if grade not in ESCC_GRADES:
        raise ValueError(f"{grade!r} is not an ESCC grade")
    return grade in ("2", "3")


GENANT_LABELS: dict[str, str] = {
    "0": _("0 - Normal, less than 20 per cent height loss"),
    "1": _("1 - Mild, 20 to 25 per cent height loss"),
    "2": _("2 - Moderate, 25 to 40 per cent height loss"),
    "3": _("3 - Severe, more than 40 per cent height loss"),
}


def genant(height_loss_percent: float) -> str:
    """Genant grade of a vertebra's height loss in per cent; 25 and 40, printed in two grades, are grade 2.

    Raises ValueError outside 0 to 100. Grade 0.5 ("doubtful") is a reader's impression, not computed.
    """
    if not 0 <= height_loss_percent <= 100:
        raise ValueError("height loss lies between 0 and 100 per cent")
    if height_loss_percent < 20:
        return "0"
    if height_loss_percent < 25:
        return "1"
    return "2" if height_loss_percent <= 40 else "3"


def pain_band(score: float) -> str:
    """Band of a 0-10 pain score, for display only: none, mild (to 3), moderate (to 6), severe.

    Raises ValueError off the scale.
    """
    if not 0 <= score <= 10:
        raise ValueError("pain lies between 0 and 10")
    if score == 0:
        return "none"
    if score < 4:
        return "mild"
    return "moderate" if score < 7 else "severe"


PAIN_BAND_LABELS: dict[str, str] = {
    "none": _("No pain"),
    "mild": _("Mild"),
    "moderate": _("Moderate"),
    "severe": _("Severe"),
}
