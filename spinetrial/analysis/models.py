"""The data versions, which a lock leaves behind and nobody changes again; and simulations of the trial."""

from __future__ import annotations

import zlib

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spinetrial.analysis.data import Snapshot, from_canonical
from spinetrial.jobs import Job
from spinetrial.stats.trial_simulation import MOST_TRIALS, SimulatedTrials, TrialScenario

HEX_256 = r"^[0-9a-f]{64}$"


class DamagedVersion(Exception):
    """The stored content does not have the hash on record. Nothing is computed from it."""


class DataVersion(models.Model):
    """All data of the trial as they were at a lock. Reports and exports are made from `snapshot()` alone."""

    number = models.PositiveSmallIntegerField(_("Version"), unique=True)
    created_at = models.DateTimeField(_("Locked at"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("Locked by")
    )
    reason = models.TextField(_("Reason"), max_length=1000)
    content_sha256 = models.CharField(_("SHA-256 of the data"), max_length=64)
    protocol_version = models.CharField(_("Protocol version"), max_length=20)
    protocol_hash = models.CharField(_("Hash of the protocol"), max_length=64)
    software_version = models.CharField(_("Software version"), max_length=40)
    #: canonical JSON of the snapshot, compressed with zlib
    content = models.BinaryField()

    # The content holds every arm. After the first lock nobody who may see versions is masked any more.
    reveals_arm = True
    audit_not_kept = ("content",)  # its hash is kept; the bytes would stand twice

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.CheckConstraint(condition=Q(number__gte=1), name="dataversion_number_positive"),
            models.CheckConstraint(condition=Q(content_sha256__regex=HEX_256), name="dataversion_sha256_form"),
            models.CheckConstraint(condition=Q(protocol_hash__regex=HEX_256), name="dataversion_protocol_form"),
            models.CheckConstraint(condition=~Q(reason=""), name="dataversion_has_reason"),
        )

    def __str__(self) -> str:
        return _("Data version") + f" {self.number}"

    @property
    def short_hash(self) -> str:
        """Enough of the hash to tell versions apart at a glance."""
        return self.content_sha256[:12]

    def snapshot(self) -> Snapshot:
        """The data of this version. Raises DamagedVersion when they are not the data that were locked."""
        try:
            snapshot = from_canonical(zlib.decompress(bytes(self.content)))
        except (zlib.error, ValueError) as error:
            raise DamagedVersion(str(self)) from error
        if snapshot.sha256() != self.content_sha256:
            raise DamagedVersion(str(self))
        return snapshot


class Simulation(Job):
    """A simulation of the whole trial: what is taken for true, and how the drawn trials ended. No patient's data."""

    scenario = models.JSONField()  # TrialScenario.stored()
    protocol_version = models.CharField(max_length=20)
    software_version = models.CharField(max_length=40)
    trials = models.PositiveIntegerField()
    seed = models.PositiveIntegerField()
    result = models.JSONField(null=True)  # SimulatedTrials.stored(), once it is done

    class Meta(Job.Meta):
        constraints = (
            models.CheckConstraint(
                condition=Q(trials__gte=1) & Q(trials__lte=MOST_TRIALS), name="simulation_trials_limited"
            ),
        )

    def __str__(self) -> str:
        return _("Simulation") + f" {self.pk}"

    def read_scenario(self) -> TrialScenario:
        return TrialScenario.read(self.scenario)

    def read_result(self) -> SimulatedTrials | None:
        return None if self.result is None else SimulatedTrials.read(self.result)
