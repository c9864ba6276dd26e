"""Forms of the patients app that are no CRF: first contact, contact details, answers to the criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from patients.models import Contact
from patients.models.eligibility import CriterionAnswer
from spinetrial.access.models import StudySite
from spinetrial.access.reauthenticate import ConfirmForm


class ContactFields(forms.Form):
    """Name and ways to reach a person; encrypted when stored."""

    name = forms.CharField(label=_("Name"), max_length=120)
    telephone = forms.CharField(label=_("Telephone"), max_length=40, required=False)
    email = forms.EmailField(label=_("E-mail"), max_length=120, required=False)
    hospital_number = forms.CharField(label=_("Hospital number"), max_length=40, required=False)

    def contact(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("name", "telephone", "email", "hospital_number")}


class RegisterForm(ContactFields):
    """First contact: study site, date, and the person's contact details."""

    field_order = ("site", "first_contact")
    site: forms.ModelChoiceField[StudySite] = forms.ModelChoiceField(
        label=_("Study site"), queryset=None, empty_label=None
    )
    first_contact = forms.DateField(
        label=_("Date of the first contact"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        first: StudySite | None = sites.first()
        if first:
            self.fields["first_contact"].initial = first.today()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        site, day = data.get("site"), data.get("first_contact")
        if site and day and not day.year >= 2000:
            self.add_error("first_contact", _("This is before the trial began."))
        elif site and day and day > site.today():
            self.add_error("first_contact", _("This date lies in the future."))
        return data


class ContactForm(ContactFields):
    """Contact details of a known person; a change says why."""

    reason = forms.CharField(label=_("Reason for the change"), max_length=500)

    def __init__(self, *args: Any, contact: Contact | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if contact is None:
            del self.fields["reason"]
        else:
            for name in ("name", "telephone", "email", "hospital_number"):
                self.fields[name].initial = getattr(contact, name)


class ReasonedForm(ConfirmForm):
    """Why, and once more who: for what cannot be taken back."""

    field_order = ("reason",)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Kept for ever on the audit trail: write no name and no contact here."),
    )


class PurgeForm(ReasonedForm):
    """Deleting contact details for good."""

    without_grounds = forms.BooleanField(
        label=_("Neither withdrawal nor end of study is on record. The reason above says why they are deleted now."),
        required=False,
    )

    def __init__(self, *args: Any, has_grounds: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_grounds:
            del self.fields["without_grounds"]
        else:
            self.fields["without_grounds"].required = True


class AnswersForm(forms.Form):
    """The investigator's word on the criteria that ask for one: `answer_<code>` and `reason_<code>`."""

    def __init__(self, codes: Iterable[str], judged: Iterable[str], data: Any, initial: Mapping[str, Any]) -> None:
        super().__init__(data, initial=initial)  # type: ignore[arg-type]
        self.codes, self.judged = tuple(codes), frozenset(judged)
        choices = [(each.value, each.label) for each in (CriterionAnswer.YES, CriterionAnswer.NO)]
        for code in self.codes:
            self.fields[f"answer_{code}"] = forms.ChoiceField(
                label=code, choices=choices, widget=forms.RadioSelect, required=False
            )
            if code in self.judged:
                self.fields[f"reason_{code}"] = forms.CharField(
                    label=_("Reason of the judgement"), max_length=1000, required=False
                )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for code in self.judged:
            if data.get(f"answer_{code}") and not data.get(f"reason_{code}", "").strip():
                self.add_error(f"reason_{code}", ValidationError(_("A judgement needs its reason."), code="required"))
        return data
