"""The report: results in, a document of blocks out, in one language. Its sections are in `sections`."""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext as _

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import Results
from spinetrial.reports.document import Block, Document
from spinetrial.reports.sections import SECTIONS
from spinetrial.reports.writing import Report, Source


def strip(report: Report) -> str:
    """What stands on top of every page of a report that is not for everybody, or whose numbers are not results."""
    if report.results.arms is Arms.POOLED:
        return _("MASKED, POOLED: no arm is shown")
    if report.results.arms is Arms.DRAWN:
        return _("DRY RUN ON SHUFFLED ARMS: no number here is a result")
    if report.source.closed:
        return _("CLOSED PART, BY ARM: for the monitoring board only")
    return ""


def build(results: Results, source: Source, language: str) -> Document:
    """The report of `results` in `language` ("en" or "zh-hans"). The same input gives the same document."""
    with translation.override(language):
        report = Report(results, source)
        blocks: list[Block] = [block for section in SECTIONS for block in section(report)]
        return Document(
            language=language,
            title=_(report.protocol.identity.short_title),
            subtitle=_("Report of the protocol's analysis"),
            footer=_("%(registration)s · %(version)s · SHA-256 %(hash)s")
            % {
                "registration": report.protocol.identity.registration,
                "version": report.version_name(),
                "hash": results.snapshot_sha256[:16],
            },
            strip=strip(report),
            blocks=tuple(blocks),
        )
