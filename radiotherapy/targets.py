"""Sectors drawn against sectors asked for. The arm is an argument: who may know it reads both and calls this."""

from __future__ import annotations

from collections.abc import Sequence

from radiotherapy.models import RingReason, TargetVertebra
from spinetrial.protocol.model import Arm
from spinetrial.terminology.sectors import BodyExtent, CtvFinding, check_ctv, cox_proposal


def _extent(target: TargetVertebra) -> BodyExtent:
    return BodyExtent(target.body_extent) if target.body_extent else BodyExtent.CENTRAL


def proposal(target: TargetVertebra) -> frozenset[int]:
    """CTV sectors the consensus proposes for what was drawn as GTV (Cox 2012); shown, never filled in (D13)."""
    return cox_proposal(target.gtv, _extent(target))


def target_findings(arm: Arm, target: TargetVertebra) -> tuple[CtvFinding, ...]:
    """Warnings on one vertebra against the target of its arm (D12, D13)."""
    return check_ctv(
        arm,
        target.gtv,
        target.ctv,
        _extent(target),
        extensive_epidural=target.ring_reason == RingReason.EPIDURAL,
    )


def arm_target_treated(arm: Arm, targets: Sequence[TargetVertebra]) -> bool:
    """Whether the arm's target was treated, as the per-protocol set asks (D24).

    True when every target vertebra shows no deviation, or gives a reason in words for the one it shows. No target
    recorded: False.
    """
    return bool(targets) and all(
        target.sector_remark or not any(finding.deviation for finding in target_findings(arm, target))
        for target in targets
    )
