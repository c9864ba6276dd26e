"""The tables of the source papers, recomputed: what is printed, from what counts, and what the methods here give.

Counts and printed numbers are the only data. Every p value, limit and size is computed when it is asked for, and the
verdict follows from the comparison: nothing here says by itself that a printed number is right or wrong.
"""

from functools import cache

from spinetrial.analysis.papers import cohort, imrt, own_plan, sib_sbrt
from spinetrial.analysis.papers.model import Paper
from spinetrial.protocol.model import Protocol


@cache
def papers(protocol: Protocol) -> tuple[Paper, ...]:
    """The source papers recomputed; the trial's own plan with the margin, alpha and rates of `protocol`."""
    return own_plan.paper(protocol), imrt.paper(), sib_sbrt.paper(), cohort.paper()


__all__ = ["papers"]
