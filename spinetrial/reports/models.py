"""Reports that were asked for: what they are made from, how far they are, and the pages and PDFs that came of it."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial import __version__
from spinetrial.analysis.models import HEX_256, DataVersion
from spinetrial.jobs import Job

LANGUAGES = ("en", "zh-hans")


class ReportKind(models.TextChoices):
    """What a report is made from, and for whom."""

    FINAL = "final", _("Report of a locked data version, by arm")
    DRY_RUN = "dry_run", _("Dry run on shuffled arms")
    POOLED = "pooled", _("Masked, pooled: open part for the monitoring board")
    BOARD = "board", _("By arm: closed part for the monitoring board only")


class MadeReport(Job):
    """A report somebody asked for. A final one names its data version; the others take the data as they stand.

    `pages`: the blocks of both languages as the page shows them; `pdf_en`, `pdf_zh_hans`: the files. All three are
    written once, by the job.
    """

    kind = models.CharField(_("Kind"), max_length=8, choices=ReportKind.choices)
    version = models.ForeignKey(DataVersion, models.PROTECT, null=True, related_name="+")
    data_sha256 = models.CharField(_("SHA-256 of the data"), max_length=64, blank=True)
    software_version = models.CharField(_("Software version"), max_length=40, default=__version__)
    pages = models.BinaryField(null=True)
    pdf_en = models.BinaryField(null=True)
    pdf_zh_hans = models.BinaryField(null=True)
    pdf_en_sha256 = models.CharField(max_length=64, blank=True)
    pdf_zh_hans_sha256 = models.CharField(max_length=64, blank=True)

    class Meta(Job.Meta):
        abstract = False
        constraints = (
            models.CheckConstraint(
                condition=Q(kind=ReportKind.FINAL, version__isnull=False)
                | (~Q(kind=ReportKind.FINAL) & Q(version__isnull=True)),
                name="madereport_final_names_its_version",
            ),
            models.CheckConstraint(
                condition=Q(data_sha256="") | Q(data_sha256__regex=HEX_256), name="madereport_sha256_form"
            ),
            models.CheckConstraint(
                condition=~Q(state="done")
                | (Q(pages__isnull=False) & Q(pdf_en__isnull=False) & Q(pdf_zh_hans__isnull=False)),
                name="madereport_done_is_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def shows_arms(self) -> bool:
        """Whether the true arms are in it."""
        return self.kind in (ReportKind.FINAL, ReportKind.BOARD)

    def keep(self, language: str, pdf: bytes) -> None:
        """Put the PDF of a language with its hash on the row, unsaved."""
        field = f"pdf_{language.replace('-', '_')}"
        setattr(self, field, pdf)
        setattr(self, f"{field}_sha256", hashlib.sha256(pdf).hexdigest())

    def pdf(self, language: str) -> bytes:
        """The PDF in a language. Raises DamagedReport when it is not the file that was made."""
        field = f"pdf_{language.replace('-', '_')}"
        content = bytes(getattr(self, field) or b"")
        if hashlib.sha256(content).hexdigest() != self.pdf_sha256(language):
            raise DamagedReport(str(self))
        return content

    def pdf_sha256(self, language: str) -> str:
        """SHA-256 (hex) of the PDF in a language."""
        return str(getattr(self, f"pdf_{language.replace('-', '_')}_sha256"))

    def keep_pages(self, pages: dict[str, Any]) -> None:
        """Put the pages of every language on the row, unsaved."""
        self.pages = zlib.compress(json.dumps(pages, ensure_ascii=False, sort_keys=True).encode("utf-8"))

    def page(self, language: str) -> dict[str, Any]:
        """The page in a language: title, subtitle, strip, blocks."""
        found: dict[str, Any] = json.loads(zlib.decompress(bytes(self.pages or b"")))[language]
        return found


class DamagedReport(Exception):
    """The stored file is not the one whose hash was kept."""
