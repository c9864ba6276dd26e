"""MedDRA as the site's own licensed copy holds it: versions, their languages, the hierarchy, names and a search index.

Nothing of MedDRA is shipped. The bulk tables are written once, by `adverse_events.meddra.load`, and PostgreSQL
refuses every later change of theirs (`sql/coding.sql`).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from spinetrial.crf.rules import known_codes
from spinetrial.jobs import Job


class Level(models.IntegerChoices):
    SOC = 1, "SOC"
    HLGT = 2, "HLGT"
    HLT = 3, "HLT"
    PT = 4, "PT"
    LLT = 5, "LLT"


class Language(models.TextChoices):
    ENGLISH = "en", _("English")
    CHINESE = "zh", _("Chinese")
    JAPANESE = "ja", _("Japanese")


class MeddraVersion(models.Model):
    """A version such as 28.1: codes and hierarchy, the same in every language. One at most is in force for coding."""

    version = models.CharField(max_length=5, unique=True)
    structure_sha256 = models.CharField(max_length=64, editable=False)  # of codes, links and currency
    in_force = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("-version",)
        constraints = (
            models.UniqueConstraint(fields=["in_force"], condition=models.Q(in_force=True), name="meddra_one_in_force"),
            models.CheckConstraint(
                condition=models.Q(version__regex=r"^[0-9]{1,2}\.[0-9]$"), name="meddra_version_form"
            ),
        )

    def __str__(self) -> str:
        return f"MedDRA {self.version}"


class MeddraRelease(models.Model):
    """One language of a version as it was imported: which files, how they were read, by whom."""

    version = models.ForeignKey(MeddraVersion, models.PROTECT, related_name="+")
    language = models.CharField(max_length=2, choices=Language.choices)
    files = models.JSONField()  # [{name, bytes, sha256, encoding, lines}]
    counts = models.JSONField()  # level or file -> number
    notes = models.JSONField(default=list)  # problems that did not refuse it, as [file, line, code, values]
    importer = models.CharField(max_length=150)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    imported_at = models.DateTimeField()
    complete = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("-version__version", "language")
        constraints = (
            models.UniqueConstraint(fields=["version", "language"], name="meddra_language_once"),
            known_codes("language", Language.values),
        )

    def __str__(self) -> str:
        return f"{self.version} {self.get_language_display()}"


class MeddraTerm(models.Model):
    """A code at its level. `parent`: the PT of an LLT, the primary SOC of a PT. `place`: the order of a SOC."""

    version = models.ForeignKey(MeddraVersion, models.PROTECT, related_name="+", db_index=False)
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    code = models.CharField(max_length=8)
    parent = models.CharField(max_length=8, blank=True)
    current = models.BooleanField(default=True)
    place = models.PositiveSmallIntegerField(default=0)

    class Meta:
        # The selective column first: the application cannot ANALYZE a table it has just filled, and without statistics
        # PostgreSQL would take an index on the version for a good one.
        constraints = (models.UniqueConstraint(fields=["code", "level", "version"], name="meddra_code_once"),)
        indexes = (
            models.Index(fields=["parent", "version"], name="meddra_children"),
            models.Index(fields=["version", "place"], condition=models.Q(level=Level.SOC), name="meddra_socs"),
        )

    def __str__(self) -> str:
        return f"{self.get_level_display()} {self.code}"


class MeddraPath(models.Model):
    """A way from a PT up to a SOC. A PT may have several; exactly one is primary."""

    version = models.ForeignKey(MeddraVersion, models.PROTECT, related_name="+", db_index=False)
    pt = models.CharField(max_length=8)
    hlt = models.CharField(max_length=8)
    hlgt = models.CharField(max_length=8)
    soc = models.CharField(max_length=8)
    primary = models.BooleanField()

    class Meta:
        indexes = (
            models.Index(fields=["pt", "version"], name="meddra_path_pt"),
            models.Index(fields=["hlt", "version"], name="meddra_path_hlt"),
            models.Index(fields=["hlgt", "version"], name="meddra_path_hlgt"),
            models.Index(fields=["soc", "version"], name="meddra_path_soc"),
        )

    def __str__(self) -> str:
        return f"{self.soc} > {self.hlgt} > {self.hlt} > {self.pt}"


class NameKind(models.TextChoices):
    NAME = "name"
    SYNONYM = "synonym"  # llt_syn.asc of the Japanese set
    READING = "reading"  # kana of the Japanese set


class MeddraName(models.Model):
    """A name in one language. `place` numbers what the search finds, -1 for names of the levels above LLT."""

    release = models.ForeignKey(MeddraRelease, models.PROTECT, related_name="+", db_index=False)
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    code = models.CharField(max_length=8)
    name = models.CharField(max_length=250)
    kind = models.CharField(max_length=8, choices=NameKind.choices, default=NameKind.NAME)
    place = models.IntegerField(default=-1)

    class Meta:
        indexes = (
            models.Index(fields=["code", "release"], name="meddra_name_code"),
            models.Index(fields=["place", "release"], name="meddra_name_place"),
        )

    def __str__(self) -> str:
        return self.name


class MeddraPosting(models.Model):
    """The places of all names that hold a trigram, as 32-bit integers; trigram "" holds the size of each name."""

    release = models.ForeignKey(MeddraRelease, models.PROTECT, related_name="+", db_index=False)
    gram = models.CharField(max_length=3, blank=True)
    places = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["release", "gram"], name="meddra_gram_once"),)

    def __str__(self) -> str:
        return self.gram


class MeddraImport(Job):
    """An import asked for on the screen. `problems`: [file, line, code, values] each."""

    file_name = models.CharField(max_length=200)
    stored_as = models.CharField(max_length=200)
    language = models.CharField(max_length=2, choices=Language.choices)
    version = models.CharField(max_length=5, blank=True)  # as confirmed by the person, where the files do not tell
    release = models.ForeignKey(MeddraRelease, models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"Import {self.pk}"
