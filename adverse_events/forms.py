"""Forms around the report of a serious event that are no CRF."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from adverse_events.models import MissedDeadline, MissReason, ReportKind, SaeReport
from spinetrial.access.reauthenticate import ConfirmForm
from spinetrial.review.signatures import certification_text

_NO_NAMES = _("No names and no contact particulars.")


class SignReportForm(ConfirmForm):
    """Kind and comment of a version, and once more who signs. `seen`: hash of the facts on the page."""

    field_order = ("seen", "kind", "comment", "open_reason", "certify")
    seen = forms.CharField(max_length=64, widget=forms.HiddenInput)
    kind = forms.ChoiceField(label=_("Kind"), choices=ReportKind.choices, widget=forms.RadioSelect)
    comment = forms.CharField(
        label=_("Comment of the reporter"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_NO_NAMES,
    )
    open_reason = forms.CharField(
        label=_("Final report of an event that is not over: why?"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    certify = forms.BooleanField(label="")

    def __init__(self, *args: Any, first: bool, certified: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [each for each in ReportKind.choices if (each[0] == ReportKind.INITIAL) == first]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        self.fields["kind"].initial = kinds[0][0]
        if first:
            del self.fields["open_reason"]
        if certified:
            del self.fields["certify"]
        else:
            self.fields["certify"].label = certification_text()


class SendingForm(forms.ModelForm):
    """When a version was sent, with the authority's reference and the acknowledgement."""

    reason = forms.CharField(label=_("Reason, if something recorded before changes"), max_length=500, required=False)

    class Meta:
        model = SaeReport
        fields = ("submitted_at", "authority_sent_at", "authority_reference", "acknowledged_at")
        widgets = {
            name: forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            for name in ("submitted_at", "authority_sent_at", "acknowledged_at")
        }


class MissForm(forms.ModelForm):
    """Why a deadline passed without a report."""

    reason = forms.ChoiceField(label=_("Why was it missed?"), choices=MissReason.choices, widget=forms.RadioSelect)

    class Meta:
        model = MissedDeadline
        fields = ("reason", "words")
        widgets = {"words": forms.Textarea(attrs={"rows": 3})}
