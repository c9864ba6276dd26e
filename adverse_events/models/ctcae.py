"""CTCAE's own texts, as loaded from NCI's file: one row per file."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.rules import known_codes
from spinetrial.terminology import ctcae


class CtcaeEdition(models.Model):
    """All texts of one CTCAE version, from one file. A newer file of a version takes the place of the older.

    The texts are one value, so that no half of them can be stored or changed: the trail records each row with the
    SHA-256 of the file and of the texts, and `catalogue.sound` compares. Published reference data of no site: no
    freeze closes the table.
    """

    class Kind(models.TextChoices):
        XLSX = "xlsx", _("Workbook")
        CSV = "csv", "CSV"

    version = models.CharField(_("CTCAE version"), max_length=8)
    kind = models.CharField(_("File"), max_length=4, choices=Kind.choices)
    #: of the bytes of the file
    sha256 = models.CharField(_("SHA-256 of the file"), max_length=64)
    #: code -> [definition, {grade: text}, navigational note]
    texts = models.JSONField()
    #: of `texts` (`catalogue.texts_sha256`)
    texts_sha256 = models.CharField(max_length=64)
    #: how many terms read otherwise than NCI's publication known to the program, and why that was accepted
    changed = models.PositiveSmallIntegerField(_("Terms that read otherwise"), default=0)
    reason = models.CharField(_("Reason"), max_length=500, blank=True)
    loaded_at = models.DateTimeField(_("Loaded"))
    loaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("By"))
    in_force = models.BooleanField(default=True)

    audit_not_kept = ("texts",)  # 300 kB that `texts_sha256` stands for

    class Meta:
        ordering = ("version", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["version"], condition=Q(in_force=True), name="ctcaeedition_one_in_force_per_version"
            ),
            known_codes("version", list(ctcae.VERSIONS)),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="ctcaeedition_sha256_form"),
            models.CheckConstraint(
                condition=Q(texts_sha256__regex=r"^[0-9a-f]{64}$"), name="ctcaeedition_texts_sha256_form"
            ),
            models.CheckConstraint(condition=Q(changed=0) | ~Q(reason=""), name="ctcaeedition_change_has_reason"),
        )

    def __str__(self) -> str:
        return f"CTCAE {self.version}"
