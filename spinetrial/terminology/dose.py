"""Biologically effective dose of the linear-quadratic model. All doses in Gy, alpha/beta in Gy."""

from math import isfinite, sqrt


def bed(total: float, fractions: int, alpha_beta: float) -> float:
    """BED of `total` Gy in equal fractions: D (1 + d / (alpha/beta)). Impossible input: ValueError."""
    _check(total, fractions, alpha_beta)
    return total * (1 + total / fractions / alpha_beta)


def eqd2(total: float, fractions: int, alpha_beta: float) -> float:
    """Dose in 2 Gy fractions with the same effect: D (d + alpha/beta) / (2 + alpha/beta).

    Raises ValueError for impossible input.
    """
    _check(total, fractions, alpha_beta)
    return total * (total / fractions + alpha_beta) / (2 + alpha_beta)


def total_for_bed(bed_gy: float, fractions: int, alpha_beta: float) -> float:
    """Total dose in `fractions` equal fractions that has the BED. Raises ValueError for impossible input."""
    _check(bed_gy, fractions, alpha_beta)
    scale = fractions * alpha_beta
    return scale / 2 * (sqrt(1 + 4 * bed_gy / scale) - 1)


def total_for_eqd2(eqd2_gy: float, fractions: int, alpha_beta: float) -> float:
    """Total dose in `fractions` equal fractions that has the EQD2. Raises ValueError for impossible input."""
    _check(eqd2_gy, fractions, alpha_beta)
    return total_for_bed(eqd2_gy * (1 + 2 / alpha_beta), fractions, alpha_beta)


def _check(dose: float, fractions: int, alpha_beta: float) -> None:
    if not isfinite(dose) or dose < 0:
        raise ValueError("a dose is finite and not negative")
    if fractions < 1:
        raise ValueError("at least one fraction")
    if not isfinite(alpha_beta) or alpha_beta <= 0:
        raise ValueError("alpha/beta is positive")
