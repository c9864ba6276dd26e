"""The audit trail as the application reads it. Only PostgreSQL functions of `sql/audit.sql` write it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditChain(models.Model):
    """Head of one hash chain. A chain per subject (site, user): one for all would serialise every writer."""

    key = models.TextField(primary_key=True)
    seq = models.BigIntegerField()
    head = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.key} #{self.seq}"


class AuditEntry(models.Model):
    """One act: who, when, what, old and new values, why. Append-only, hash-chained."""

    chain = models.TextField()
    seq = models.BigIntegerField()
    at = models.DateTimeField(_("Time"))
    simulated = models.BooleanField(default=False)
    actor_id = models.BigIntegerField(null=True)
    actor = models.TextField(_("Who"))
    reason = models.TextField(_("Reason"))
    request = models.TextField()
    act = models.TextField(_("Act"))
    table_name = models.TextField()
    row_id = models.TextField()
    subject_id = models.BigIntegerField(null=True)
    site_id = models.BigIntegerField(null=True)
    reveals_arm = models.BooleanField()
    changes = models.JSONField(_("Changes"))
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["chain", "seq"], name="audit_entry_chain_seq"),)
        indexes = (
            models.Index(fields=["subject_id", "id"], name="audit_entry_subject"),
            models.Index(fields=["table_name", "row_id"], name="audit_entry_row"),
            models.Index(fields=["at"], name="audit_entry_at"),
            models.Index(fields=["actor_id", "id"], name="audit_entry_actor"),
            models.Index(fields=["act", "id"], name="audit_entry_act"),
        )

    def __str__(self) -> str:
        return f"{self.chain} #{self.seq} {self.act}"

    @classmethod
    def any_recorded(cls) -> bool:
        """Whether this database was ever written to."""
        return cls.objects.exists()

    @classmethod
    def of_subject(cls, subject_id: int) -> models.QuerySet[AuditEntry]:
        """Entries of a subject the caller obtained through the gate, oldest first."""
        return cls.objects.filter(subject_id=subject_id).order_by("id")

    @classmethod
    def among(cls, condition: models.Q) -> models.QuerySet[AuditEntry]:
        """Entries within a condition that the caller made of rights (`worklists.audit_trail.visible`)."""
        return cls.objects.filter(condition)

    @classmethod
    def of_site(cls, site_id: int, subject_ids: Iterable[int]) -> models.QuerySet[AuditEntry]:
        """Entries of a site and its subjects, which the caller obtained through the gate, oldest first."""
        here = models.Q(site_id=site_id) | models.Q(subject_id__in=list(subject_ids))
        return cls.objects.filter(here).order_by("id")

    @classmethod
    def changed_columns(cls, table: str, row_id: str) -> set[str]:
        """Columns of a row that were changed after the first save."""
        changes = cls.objects.filter(table_name=table, row_id=row_id, act="update").values_list("changes", flat=True)
        return {column for each in changes for column in each}

    @classmethod
    def changes_of(cls, table: str, subject_ids: Collection[int]) -> dict[int, int]:
        """How often a subject's rows of a table were changed after their first save, by subject id."""
        rows = cls.objects.filter(table_name=table, subject_id__in=subject_ids, act="update")
        counted = rows.order_by().values_list("subject_id").annotate(models.Count("id"))
        return {pk: number for pk, number in counted if pk is not None}

    @classmethod
    def first_values(cls, table: str, column: str, actor_id: int, limit: int) -> list[object]:
        """What an account last entered in a column of new rows, newest first, at most `limit` rows looked at."""
        rows = cls.objects.filter(actor_id=actor_id, table_name=table, act="insert").order_by("-id")
        return list(rows.values_list(f"changes__{column}__1", flat=True)[:limit])

    @classmethod
    def voiding(cls, signed_records: Iterable[int]) -> dict[int, AuditEntry]:
        """By number of a signed record: the entry of the change that made its signature void."""
        rows = cls.objects.filter(
            table_name="review_signedrecord",
            row_id__in=[str(pk) for pk in signed_records],
            act="update",
            changes__has_key="void_at",
        )
        return {int(row.row_id): row for row in rows}

    @classmethod
    def latest_unlock(cls) -> AuditEntry | None:
        """The entry of the last time the lock of the trial was lifted."""
        rows = cls.objects.filter(table_name="access_trialstate", act="update", changes__state__0="locked")
        return rows.order_by("-id").first()

    @classmethod
    def told(cls, act: str, entry: AuditEntry) -> set[int]:
        """Ids of the accounts with an event `act` whose detail names `entry`."""
        rows = cls.objects.filter(act=act, changes__entry=entry.pk).values_list("changes__user", flat=True)
        return set(rows)
