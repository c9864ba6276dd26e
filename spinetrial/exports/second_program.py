"""The second program of an export: an R script that computes the results again, and the parameters it reads.

`analysis.R` knows no margin, level, visit or arm. They come from the protocol into `parameters.csv`, one name and
value per row; several values are joined by semicolons, and `sensitivity_*.CODE` and `toxicity.CODE` are lists by code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from followup.response import Category
from spinetrial.analysis.data import Column, Kind, Table
from spinetrial.analysis.times import DAYS_PER_MONTH, READ_AT_MONTHS
from spinetrial.protocol.events import event_order
from spinetrial.protocol.model import ArmRole, Protocol
from spinetrial.protocol.text import gettext_noop as _

SCRIPT = Path(__file__).with_name("analysis.R")

#: Baseline characteristics that the report compares as they stand in ADSL, numbers and codes; it derives the others.
_NUMBERS = ("age", "kps", "nrs_baseline", "omed_baseline")
_CODES = ("sex", "primary_site", "visceral", "ecog", "neurology", "escc")


def script() -> bytes:
    """The R script, the same for every export."""
    return SCRIPT.read_bytes()


def parameters(protocol: Protocol) -> Table:
    """What the script needs to know of the protocol, as name and value."""
    columns = (Column("name", _("Name of the parameter"), Kind.TEXT), Column("value", _("Value"), Kind.TEXT))
    rows = tuple((name, value) for name, value in _values(protocol))
    return Table("PARAMETERS", _("Analysis: parameters of the R script"), True, columns, rows)


def compared_visits(protocol: Protocol) -> tuple[str, ...]:
    """The primary visit and those reported beside it, in the order of the schedule."""
    wanted = {protocol.primary.timepoint.visit, *protocol.primary.timepoint.also_reported}
    return tuple(sorted(wanted, key=lambda code: event_order(protocol, code)))


def _values(protocol: Protocol) -> Iterator[tuple[str, str]]:
    primary = protocol.primary
    yield "protocol_version", protocol.version
    yield "study_arm", protocol.arm_of_role(ArmRole.STUDY).code
    yield "control_arm", protocol.arm_of_role(ArmRole.CONTROL).code
    yield "primary_visit", primary.timepoint.visit
    yield "visits", _joined(compared_visits(protocol))
    yield "margin", repr(primary.hypothesis.margin)
    yield "alpha", repr(primary.hypothesis.alpha)
    yield "level", repr(primary.analysis.confidence)
    yield "method", primary.analysis.method
    yield "sets", _joined(primary.analysis.sets)
    yield "missing", primary.analysis.missing
    yield "categories", _joined(category.value for category in Category)
    yield "responders", _joined(protocol.response.responders)
    yield "reading", protocol.response.reading
    yield "pain_points", repr(protocol.response.pain_points)
    yield "analgesic_percent", repr(protocol.response.analgesic_percent)
    yield "pain_and_omed_up", protocol.gap("pain_and_omed_up")
    yield "days_per_month", repr(DAYS_PER_MONTH)
    yield "read_at_months", _joined(str(month) for month in READ_AT_MONTHS)
    yield "baseline_numbers", _joined(_NUMBERS)
    yield "baseline_codes", _joined(_CODES)
    for entry in protocol.sensitivity:
        yield f"sensitivity_{entry.varies}.{entry.code}", str(entry.value)
    for cut in protocol.toxicity:
        yield f"toxicity.{cut.code}", str(cut.min_grade)


def _joined(values: Iterable[str]) -> str:
    return ";".join(values)
