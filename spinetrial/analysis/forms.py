"""Forms of the steps of freezing and locking."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from spinetrial.access.reauthenticate import ConfirmForm


class ReasonForm(forms.Form):
    """A step of the trial's state, with the reason that stays on the audit trail."""

    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


class LockForm(ConfirmForm):
    """The lock: reason and, once more, the proof of who locks."""

    field_order = ("reason", "open_points_seen")
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Name the analysis this version is for. If points are open, say why the lock goes ahead."),
    )
    open_points_seen = forms.BooleanField(
        label=_("I have read the open points, and the reason above covers them."), required=False
    )

    def __init__(self, *args: Any, open_points: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if open_points:
            self.fields["open_points_seen"].required = True
        else:
            del self.fields["open_points_seen"]


class UnlockForm(ConfirmForm):
    """Lifting the lock: reason and the proof of who lifts it."""

    field_order = ("reason",)
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))
