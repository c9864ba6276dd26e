"""Study sites, accounts, memberships, and the state of the trial that everyone's rights depend on."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from spinetrial.access.policy import NEEDS_TRAINING, POLICY, SITE_ROLES, Role
from spinetrial.audit import clock
from spinetrial.audit.acting import SystemActor, acting


def check_timezone(name: str) -> None:
    """Validator: `name` is an IANA time zone."""
    if name not in available_timezones():
        raise ValidationError(_("“%(name)s” is not a time zone; write it like Asia/Shanghai."), params={"name": name})


class StudySite(models.Model):
    """A hospital taking part. Also the stratum of the randomisation (D10)."""

    code = models.CharField(
        _("Code"),
        max_length=8,
        unique=True,
        validators=[RegexValidator(r"^[A-Z0-9]{2,8}\Z", _("2 to 8 capitals or digits."))],
    )
    name = models.CharField(_("Hospital"), max_length=120)
    timezone = models.CharField(_("Time zone"), max_length=60, default="Asia/Shanghai", validators=[check_timezone])
    active = models.BooleanField(_("Recruiting"), default=True)

    audit_site = "id"

    class Meta:
        ordering = ("code",)
        constraints = (models.CheckConstraint(condition=Q(code__regex=r"^[A-Z0-9]{2,8}$"), name="studysite_code_form"),)

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def today(self) -> date:
        """The site's local calendar date (D25)."""
        return clock.now().astimezone(self.zone).date()

    @classmethod
    def recruiting(cls, ids: set[int] | None) -> models.QuerySet[StudySite]:
        """Sites open for new subjects among `ids` (None: all), as `gate.sites_for` answers."""
        sites = cls.objects.filter(active=True)
        return sites if ids is None else sites.filter(pk__in=ids)

    @classmethod
    def lock(cls, pk: int) -> StudySite:
        """The row, locked until the end of the transaction: who numbers subjects or takes slots takes turns."""
        return cls.objects.select_for_update(of=("self",)).get(pk=pk)


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=username)


class User(AbstractBaseUser):
    """A person with an account. Rights come from memberships alone."""

    username = models.CharField(
        _("User name"),
        max_length=60,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9._-]{1,59}\Z", _("Small letters, digits, dot, hyphen."))],
    )
    full_name = models.CharField(_("Full name"), max_length=120)
    email = models.EmailField(_("E-mail"), blank=True)
    language = models.CharField(
        _("Language"), max_length=10, choices=[("en", "English"), ("zh-hans", "简体中文")], default="en"
    )
    is_active = models.BooleanField(_("Active"), default=True)
    must_change_password = models.BooleanField(default=False)  # the present one was made by an administrator
    past_passwords = models.JSONField(default=list, blank=True)  # hashes, newest first
    locked_at = models.DateTimeField(_("Locked since"), null=True, blank=True)

    objects = UserManager()
    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = ["full_name"]

    audit_user = "id"
    audit_not_kept = ("password", "past_passwords")

    class Meta:
        ordering = ("username",)

    def __str__(self) -> str:
        return self.full_name or self.username

    @property
    def audit_name(self) -> str:
        return f"{self.full_name} ({self.username})"

    def check_password(self, raw_password: str | None) -> bool:
        """As Django's, but a hash renewed at log-in is written by a named actor: the table is audited."""

        def renew(raw: str | None) -> None:
            self.set_password(raw)
            with acting(SystemActor("log-in"), "password hash renewed"):
                self.save(update_fields=["password"])

        return check_password(raw_password, self.password, renew)

    @cached_property
    def current_memberships(self) -> tuple[Membership, ...]:
        """Memberships in force now; read once per user object (one query per request).

        A site membership counts by that site's date, one for the whole trial by UTC.
        """
        if not self.is_active:
            return ()
        return tuple(
            membership
            for membership in Membership.objects.filter(user=self).select_related("site").order_by("id")
            if membership.in_force(membership.today)
        )


class Membership(models.Model):
    """A role of a person, at one site or for the whole trial, from a date to a date."""

    user = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("Person"))
    role = models.CharField(_("Role"), max_length=20, choices=Role.choices)
    site = models.ForeignKey(
        StudySite, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("Study site")
    )
    starts = models.DateField(_("From"))
    ends = models.DateField(_("Until (last day)"), null=True, blank=True)
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", verbose_name=_("Granted by"))
    trained_on = models.DateField(_("Trained on the protocol and this system"), null=True, blank=True)
    delegated_on = models.DateField(_("Tasks delegated by the investigator on"), null=True, blank=True)

    class Meta:
        ordering = ("user", "role")
        constraints = (
            models.CheckConstraint(
                condition=Q(role__in=SITE_ROLES, site__isnull=False) | (~Q(role__in=SITE_ROLES) & Q(site__isnull=True)),
                name="membership_site_fits_role",
                violation_error_message=_(
                    "Coordinator, investigator, assessor and monitor need a site; other roles have none."
                ),
            ),
            models.CheckConstraint(
                condition=Q(ends__isnull=True) | Q(ends__gte=F("starts")),
                name="membership_dates_in_order",
                violation_error_message=_("The last day is before the first day."),
            ),
            models.CheckConstraint(
                condition=Q(granted_by__isnull=True) | ~Q(granted_by=F("user")),
                name="membership_not_self_granted",
                violation_error_message=_("Nobody can give themselves a right."),
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        )

    def __str__(self) -> str:
        return f"{self.user} {self.get_role_display()} {self.site or ''}"

    def in_force(self, today: date) -> bool:
        return self.starts <= today and (self.ends is None or today <= self.ends)

    @property
    def today(self) -> date:
        """The day by which this membership counts: the site's, for the whole trial that of UTC."""
        return self.site.today() if self.site else clock.now().date()

    @property
    def needs_training(self) -> bool:
        """Whether the role enters data, so that training and delegation must be recorded."""
        return any(self.role in POLICY.get(action, ()) for action in NEEDS_TRAINING)

    @property
    def missing_training(self) -> list[str]:
        """What is not recorded, or lies in the future, of "training" and "delegation"."""
        dates = {_("training"): self.trained_on, _("delegation"): self.delegated_on}
        return [str(name) for name, day in dates.items() if day is None or day > self.today]

    @property
    def may_enter(self) -> bool:
        """Whether the data rights of this membership count today."""
        return not self.missing_training


class AccessReview(models.Model):
    """A person looked at all memberships in force and signed that each is still right."""

    by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("Reviewed by"))
    at = models.DateTimeField(_("Time"))
    note = models.TextField(_("Remarks"), max_length=2000, blank=True)
    memberships = models.JSONField()  # what was looked at: [[person, role, site, starts, ends], ...]

    audit_user = "by_id"

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"Access review {self.pk}"


class Tally(models.Model):
    """How often something was asked for in a stretch of time, for the rate limits."""

    key = models.CharField(max_length=120)
    window = models.BigIntegerField()  # its number since 1970, in lengths of the window
    count = models.PositiveIntegerField(default=1)
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["key", "window"], name="tally_once"),)

    def __str__(self) -> str:
        return f"{self.key} {self.count}"


class TrialState(models.Model):
    """Open, frozen or locked: one row. Below review, because rights and masking depend on it."""

    class State(models.TextChoices):
        OPEN = "open", _("Open for entry")
        FROZEN = "frozen", _("Frozen")
        LOCKED = "locked", _("Locked")

    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    changed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(null=True)
    # Set at the first lock and never cleared: what has been seen cannot be unseen by an unlock.
    unmasked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="trialstate_one_row"),
            models.CheckConstraint(condition=Q(state__in=["open", "frozen", "locked"]), name="trialstate_known"),
        )

    def __str__(self) -> str:
        return self.state

    @classmethod
    def current(cls) -> TrialState:
        return cls.objects.get(id=1)

    @classmethod
    def held(cls) -> TrialState:
        """The row, which nobody changes until the end of the transaction, as the triggers of a save hold it."""
        table = cls._meta.db_table
        return cls.objects.raw(f"SELECT * FROM {table} WHERE id = 1 FOR SHARE")[0]  # noqa: S608

    @classmethod
    def for_change(cls) -> TrialState:
        """The row, locked until the end of the transaction: waits for running saves, which hold it shared."""
        return cls.objects.select_for_update().get(id=1)
