"""Forms of the randomise page and of the custodian's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from randomization.importing import LARGEST_FILE
from randomization.permuted_blocks import LONGEST
from spinetrial.access.people import study_sites
from spinetrial.protocol import CURRENT

#: What a list comes as. Windows calls a .csv an Excel file where Excel is installed, and some browsers call it nothing.
EXTENSIONS = (".csv", ".tsv", ".txt")
CONTENT_TYPES = frozenset(
    {"", "text/csv", "text/plain", "text/tab-separated-values", "text/x-csv", "application/csv"}
    | {"application/vnd.ms-excel", "application/octet-stream"}
)


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


class GenerateForm(forms.Form):
    field_order = ("site", "at_least")
    at_least = forms.IntegerField(
        label=_("Slots, at least"),
        min_value=1,
        max_value=LONGEST,
        help_text=_(
            "The list ends with a whole block, so it may be a few slots longer. Plan more than will be needed: "
            "how many are used does no harm, a list that runs out does."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"] = forms.ModelChoiceField(
            queryset=study_sites(), label=_("Study site"), to_field_name="code"
        )
        self.order_fields(self.field_order)


class ImportForm(forms.Form):
    """A file and, for each arm, the value it has there. Fields `value_<arm code>`, in the order of the protocol."""

    file = forms.FileField(
        label=_("CSV file"),
        help_text=_(
            "One row per slot with the columns stratum (code of the study site), number (1, 2, 3 ... within the "
            "site), arm and, if known, block. Comma, semicolon or tab; UTF-8 or GBK."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for arm in CURRENT.arms:
            self.fields[f"value_{arm.code}"] = forms.CharField(
                label=_("Value in the file that means “%(arm)s”") % {"arm": _(arm.name)},
                initial=arm.code,
                max_length=40,
            )

    def clean_file(self) -> UploadedFile:
        """By its name, type, size and first bytes; what is in it is read by `importing.read`."""
        upload: UploadedFile = self.cleaned_data["file"]
        if not str(upload.name).lower().endswith(EXTENSIONS):
            raise ValidationError(
                _("Only files named .csv, .tsv or .txt are read. Save the list as CSV, then try again.")
            )
        if (upload.content_type or "").split(";")[0].strip().lower() not in CONTENT_TYPES:
            raise ValidationError(_("Your browser says that this file is no text. Save the list as CSV and try again."))
        if (upload.size or 0) > LARGEST_FILE:
            raise ValidationError(_("The file is larger than 1 MB; a randomisation list is much smaller."))
        start = upload.read(4)
        upload.seek(0)
        if start == b"PK\x03\x04":
            raise ValidationError(_("This is an Excel workbook, no text. Save its sheet as CSV and try again."))
        return upload

    def arm_names(self) -> dict[str, str]:
        """Value in the file -> arm code."""
        return {self.cleaned_data[f"value_{arm.code}"]: arm.code for arm in CURRENT.arms}

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        values = [str(self.cleaned_data.get(f"value_{arm.code}", "")).casefold() for arm in CURRENT.arms]
        if len(set(values)) < len(values):
            raise ValidationError(_("Each arm needs a value of its own."))
        return data
