"""Equivalent doses shown beside a plan, and the limits a maximum dose is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from radiotherapy.models import Course, NeuralStructure, TargetVertebra
from spinetrial.terminology.dose import bed, eqd2

#: alpha/beta in Gy. Cord: Kirkpatrick 2010 (QUANTEC). Cauda equina: the 30/40 Gy trial (Radiol Oncol 2022;56:515).
ALPHA_BETA = {NeuralStructure.CORD: 0.87, NeuralStructure.CAUDA: 2.0}
#: EQD2 in Gy above which the plan is queried. The protocol names no organ limits; these are those of the same trial.
LIMIT = {NeuralStructure.CORD: 50.0, NeuralStructure.CAUDA: 60.0}


@dataclass(frozen=True, slots=True)
class Figure:
    """A dose in Gy and what it is."""

    label: Any
    gy: float


def of_prescription(course: Course) -> tuple[Figure, ...]:
    """BED and EQD2 of the prescription in Gy, for tumour and for late effects."""
    total, fractions = float(course.prescribed_gy), course.prescribed_fractions
    return (
        Figure(_("BED, alpha/beta 10 Gy (tumour)"), bed(total, fractions, 10)),
        Figure(_("EQD2, alpha/beta 10 Gy (tumour)"), eqd2(total, fractions, 10)),
        Figure(_("EQD2, alpha/beta 3 Gy (late effects)"), eqd2(total, fractions, 3)),
        Figure(_("EQD2, alpha/beta 2 Gy (cauda equina)"), eqd2(total, fractions, 2)),
        Figure(_("EQD2, alpha/beta 0.87 Gy (spinal cord)"), eqd2(total, fractions, 0.87)),
    )


def structure_eqd2(target: TargetVertebra, fractions: int) -> float | None:
    """EQD2 in Gy of the maximum dose to cord or cauda at this level; None where either is not recorded."""
    if target.structure_dmax_gy is None or not target.structure:
        return None
    return eqd2(float(target.structure_dmax_gy), fractions, ALPHA_BETA[NeuralStructure(target.structure)])


def above_limit(target: TargetVertebra, fractions: int) -> bool:
    """Whether that EQD2 is above the limit of its structure."""
    found = structure_eqd2(target, fractions)
    return found is not None and found > LIMIT[NeuralStructure(target.structure)]
