"""Whose arm is whose: the columns of every table, and the arms drawn for a dry run."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum

from spinetrial.analysis.data import Snapshot, Table, Value
from spinetrial.analysis.sets import AnalysisRow
from spinetrial.analysis.snapshot import arm_table
from spinetrial.protocol.model import ArmRole, Protocol
from spinetrial.protocol.text import gettext_noop as _


class Arms(StrEnum):
    """What a report knows of the arms.

    SHOWN: the arms as randomised. POOLED: none, everyone is one group. DRAWN: a dry run on arms that were drawn at
    random from the masked data, so that every table is tried out and no number means anything.
    """

    SHOWN = "shown"
    POOLED = "pooled"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True)
class Group:
    """A column of the tables: an arm, or everyone while the arm is masked."""

    code: str
    name: str
    rows: tuple[AnalysisRow, ...]


def groups_of(protocol: Protocol, rows: tuple[AnalysisRow, ...], arms: Arms) -> tuple[Group, ...]:
    """The study arm, then the control arm; or everyone."""
    if arms is Arms.POOLED:
        return (Group("ALL", _("All participants"), rows),)
    pair = (protocol.arm_of_role(ArmRole.STUDY), protocol.arm_of_role(ArmRole.CONTROL))
    return tuple(Group(arm.code, arm.name, tuple(row for row in rows if row.arm == arm.code)) for arm in pair)


def with_drawn_arms(snapshot: Snapshot, protocol: Protocol) -> Snapshot:
    """The masked snapshot with arms drawn at random, as many of each as can be within every site.

    Whatever shows a true arm is taken out first, so nothing of the drawing can be turned back. The same masked data
    give the same draw.
    """
    masked = snapshot.without_arm()
    drawn = random.Random(masked.sha256())  # noqa: S311  no secret: the arms are invented
    sites: dict[str, list[str]] = defaultdict(list)
    for record in masked.records("SUBJECTS"):
        if record["randomized_on"]:
            sites[str(record["site_code"])].append(str(record["subject"]))
    codes = [arm.code for arm in protocol.arms]
    rows: list[tuple[Value, ...]] = []
    for site in sorted(sites):
        subjects = sorted(sites[site])
        labels = [codes[(number + len(rows)) % len(codes)] for number in range(len(subjects))]
        drawn.shuffle(labels)
        rows += [(site, subject, label) for subject, label in zip(subjects, labels, strict=True)]
    table: Table = arm_table(tuple(rows))
    return replace(masked, tables=(*masked.tables, table))
