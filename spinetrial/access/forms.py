"""Forms of the administration screens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from spinetrial.access.models import Membership, StudySite, User
from spinetrial.audit import clock


def _date(**attrs: Any) -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date", **attrs}, format="%Y-%m-%d")


def _not_after_today(form: forms.ModelForm) -> None:
    for name in ("trained_on", "delegated_on"):
        day = form.cleaned_data.get(name)
        if day and day > clock.now().date() + timedelta(days=1):  # a site may be a day ahead of UTC
            form.add_error(name, _("This day lies in the future."))


class ReasonField(forms.CharField):
    """Why a stored row changes; kept on the audit trail."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"label": _("Reason for the change"), "max_length": 500, **kwargs})


class NewUserForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ("username", "full_name", "email", "language")


class UserForm(forms.ModelForm):
    reason = ReasonField()

    class Meta:
        model = User
        fields = ("full_name", "email", "language", "is_active")


class MembershipForm(forms.ModelForm):
    class Meta:
        model = Membership
        fields = ("role", "site", "starts", "ends", "trained_on", "delegated_on")
        widgets = {name: _date() for name in ("starts", "ends", "trained_on", "delegated_on")}

    def __init__(self, *args: Any, administrator: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.administrator = administrator
        self.fields["starts"].initial = clock.now().date()

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        _not_after_today(self)
        if self.instance.user_id == self.administrator.pk:
            raise ValidationError(_("Nobody can give themselves a right. Ask another administrator."))
        return data


class TrainingForm(forms.ModelForm):
    reason = ReasonField()

    class Meta:
        model = Membership
        fields = ("trained_on", "delegated_on")
        widgets = {"trained_on": _date(), "delegated_on": _date()}

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        _not_after_today(self)
        return data


class EndMembershipForm(forms.Form):
    last_day = forms.DateField(label=_("Last day"), widget=_date())
    reason = ReasonField()

    def __init__(self, *args: Any, membership: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.membership = membership
        self.fields["last_day"].initial = clock.now().date()

    def clean_last_day(self) -> Any:
        last_day = self.cleaned_data["last_day"]
        if last_day < self.membership.starts:
            raise ValidationError(_("The last day is before the first day."))
        return last_day


class ReasonForm(forms.Form):
    reason = ReasonField()


class SiteForm(forms.ModelForm):
    reason = ReasonField()

    class Meta:
        model = StudySite
        fields = ("code", "name", "timezone", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["code"].disabled = True  # subject codes carry it
        else:
            del self.fields["reason"]
