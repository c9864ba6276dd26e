"""Everything the report says, as numbers, from one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from spinetrial.analysis import sets
from spinetrial.analysis.baseline import Baseline, baseline
from spinetrial.analysis.conduct import Conduct, conduct
from spinetrial.analysis.data import Snapshot
from spinetrial.analysis.endpoints import Endpoints, endpoints
from spinetrial.analysis.groups import Arms, Group, groups_of, with_drawn_arms
from spinetrial.analysis.pain import Pain, pain
from spinetrial.analysis.primary import Primary, VisitCounts, primary_results, visit_counts
from spinetrial.analysis.sets import AnalysisSet, Flow, PpReason
from spinetrial.analysis.survival import Survival, survival
from spinetrial.analysis.toxicity import Toxicity, toxicity
from spinetrial.protocol import get, protocol_hash
from spinetrial.protocol.model import Protocol


class ProtocolMismatch(Exception):
    """The data were collected under a protocol version whose text has changed since."""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the report says, as numbers. `last_date`: the last day something is recorded to have happened."""

    protocol: Protocol
    snapshot_sha256: str
    arms: Arms
    groups: tuple[Group, ...]
    flow: Flow
    last_date: date | None
    set_sizes: tuple[tuple[AnalysisSet, tuple[int, ...]], ...]
    pp_exclusions: tuple[tuple[PpReason, tuple[int, ...]], ...]
    visits: tuple[tuple[VisitCounts, ...], ...]
    primary: Primary | None
    survival: Survival
    toxicity: Toxicity
    baseline: Baseline
    pain: Pain
    endpoints: Endpoints
    conduct: Conduct

    @property
    def masked(self) -> bool:
        """No true arm was known to the computation."""
        return self.arms is not Arms.SHOWN


class Step(StrEnum):
    """Parts of the computation, for a progress bar."""

    SETS = "sets"
    PRIMARY = "primary"
    PAIN = "pain"
    ENDPOINTS = "endpoints"
    REST = "rest"


def quiet(step: Step) -> None:
    """Nobody watches the progress."""


def results(snapshot: Snapshot, arms: Arms, begins: Callable[[Step], None] = quiet) -> Results:
    """The analysis of a snapshot. Unless `arms` is SHOWN no table that shows an arm is looked at.

    `begins` is told each part before it is computed. Raises KeyError or ProtocolMismatch when the snapshot's protocol
    version is unknown or differs from its hash.
    """
    protocol = get(snapshot.protocol_version)
    if protocol_hash(protocol) != snapshot.protocol_hash:
        raise ProtocolMismatch(snapshot.protocol_version)
    begins(Step.SETS)
    seen = snapshot if arms is Arms.SHOWN else snapshot.without_arm()
    if arms is Arms.DRAWN:
        seen = with_drawn_arms(seen, protocol)
    analysed = sets.build(seen, protocol)
    groups = groups_of(protocol, analysed.rows, arms)
    begins(Step.PRIMARY)
    primary = None if arms is Arms.POOLED else primary_results(protocol, groups)
    begins(Step.PAIN)
    pain_over_time = pain(protocol, groups, analysed.visits)
    begins(Step.ENDPOINTS)
    times = endpoints(protocol, groups)
    begins(Step.REST)
    return Results(
        protocol=protocol,
        snapshot_sha256=snapshot.sha256(),
        arms=arms,
        groups=groups,
        flow=analysed.flow,
        last_date=analysed.last_date,
        set_sizes=tuple((each, tuple(len(sets.members(g.rows, each)) for g in groups)) for each in AnalysisSet),
        pp_exclusions=tuple(
            (reason, tuple(sum(reason in row.pp_reasons for row in group.rows) for group in groups))
            for reason in PpReason
        ),
        visits=tuple(tuple(visit_counts(visit, group, protocol) for group in groups) for visit in analysed.visits),
        primary=primary,
        survival=survival(groups, protocol.primary.analysis.confidence),
        toxicity=toxicity(protocol, groups),
        baseline=baseline(protocol, groups),
        pain=pain_over_time,
        endpoints=times,
        conduct=conduct(protocol, groups),
    )
