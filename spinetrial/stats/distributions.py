"""Tail areas and quantiles used throughout (thin names over `scipy.special`, which loads much faster than
`scipy.stats`)."""

from __future__ import annotations

from scipy import special

from spinetrial.stats.checks import check_fraction


def z_two_sided(level: float) -> float:
    """Normal quantile of a two-sided interval at `level` (1.96 for 0.95)."""
    return z_upper((1 - check_fraction("The confidence level", level)) / 2)


def z_upper(alpha: float) -> float:
    """The point that a standard normal variable exceeds with probability `alpha`."""
    return -float(special.ndtri(alpha))


def normal_sf(z: float) -> float:
    """Probability that a standard normal variable exceeds `z`."""
    return float(special.ndtr(-z))


def normal_two_sided(z: float) -> float:
    """Probability that a standard normal variable is at least |z| from 0."""
    return min(1.0, 2 * normal_sf(abs(z)))


def chi2_sf(statistic: float, df: float) -> float:
    """Probability that a chi-square variable on `df` degrees of freedom exceeds `statistic`."""
    return float(special.chdtrc(df, max(statistic, 0.0)))


def t_two_sided(t: float, df: float) -> float:
    """Probability that a t variable on `df` degrees of freedom is at least |t| from 0."""
    return min(1.0, 2 * float(special.stdtr(df, -abs(t))))


def t_quantile(level: float, df: float) -> float:
    """t quantile of a two-sided interval at `level`."""
    return -float(special.stdtrit(df, (1 - check_fraction("The confidence level", level)) / 2))
