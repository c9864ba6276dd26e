"""The sections of the report in reading order. A section takes the report and yields its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spinetrial.reports.document import Block
from spinetrial.reports.sections.baseline import baseline
from spinetrial.reports.sections.conduct import deviations
from spinetrial.reports.sections.consort import consort
from spinetrial.reports.sections.design import design
from spinetrial.reports.sections.endpoints import endpoints
from spinetrial.reports.sections.front import findings, front
from spinetrial.reports.sections.methods import methods
from spinetrial.reports.sections.pain import pain
from spinetrial.reports.sections.participants import flow
from spinetrial.reports.sections.planning import planning
from spinetrial.reports.sections.primary import primary
from spinetrial.reports.sections.response import response
from spinetrial.reports.sections.survival import survival
from spinetrial.reports.sections.toxicity import toxicity
from spinetrial.reports.writing import Report

Section = Callable[[Report], Iterator[Block]]

SECTIONS: tuple[Section, ...] = (
    front, findings, design, flow, baseline, response, primary, pain, survival, endpoints, toxicity, deviations,
    planning, methods, consort,
)  # fmt: skip
