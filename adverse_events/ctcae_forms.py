from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from adverse_events.catalogue import REASON_LIMIT
from adverse_events.ctcae_file import LARGEST_FILE
from spinetrial.crf.forms import no_control_characters


class LoadForm(forms.Form):
    """NCI's file, and the reason for taking one whose texts are not the known ones."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("NCI's workbook (.xlsx) as downloaded, or a CSV in UTF-8 with the same columns."),
        widget=forms.ClearableFileInput(attrs={"accept": ".xlsx,.csv"}),
    )
    reason = forms.CharField(
        label=_("Reason, if the texts are not those known to this program"),
        help_text=_("Leave this blank at first. Needed only when NCI has published an erratum since."),
        required=False,
        max_length=REASON_LIMIT,
        validators=[no_control_characters],
    )

    def clean_file(self) -> UploadedFile:
        upload: UploadedFile = self.cleaned_data["file"]
        if (upload.size or 0) > LARGEST_FILE:
            raise ValidationError(_("The file is larger than 8 MB; NCI's workbook is much smaller."))
        return upload
