"""The form of a CRF: one model form and one formset per repeating group, validated together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.forms.models import BaseModelFormSet, ModelFormMetaclass, modelform_factory, modelformset_factory
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from spinetrial.access.gate import of_subject
from spinetrial.crf import missing
from spinetrial.crf.models import EventRecord, SubjectRecord
from spinetrial.crf.spec import CrfSpec, EditCheck, Item, Level, RowGroup, Values
from spinetrial.review.explanations import LONGEST, live_explanations

#: A free text longer than this is a pasted document, not an answer.
TEXT_LIMIT = 4000

#: Control characters but tab and line ends: no keyboard types them, and files made of them are unreadable elsewhere.
#: (NUL is refused by Django already.)
no_control_characters = RegexValidator(
    r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
    _("This text holds an invisible control character. Type it again, or paste it as plain text."),
    inverse_match=True,
)


class FiniteDecimalField(forms.DecimalField):
    """A number. Django's own field reads NaN too, and `has_changed` breaks down when it compares a signalling one."""

    def to_python(self, value: Any) -> Any:
        number = super().to_python(value)
        if number is not None and not number.is_finite():
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return number


class NrsSelect(forms.RadioSelect):
    """Eleven buttons, 0 to 10."""

    spinetrial_kind = "nrs"


class SearchInput(forms.TextInput):
    """A code chosen by typing; `static/js/combobox.js` fetches the proposals from `data-search-url`."""

    spinetrial_kind = "search"


def _formfield(item_of: Mapping[str, Item], *, in_grid: bool = False) -> Any:
    def callback(db_field: models.Field[Any, Any], **kwargs: Any) -> forms.Field | None:
        item = item_of.get(db_field.name)
        if isinstance(db_field, models.DateTimeField):
            kwargs["widget"] = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        elif isinstance(db_field, models.DateField):
            kwargs["widget"] = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        elif isinstance(db_field, models.DecimalField):
            kwargs["form_class"] = FiniteDecimalField
        elif isinstance(db_field, models.TextField):
            kwargs["widget"] = forms.Textarea(attrs={"rows": 3})
            if db_field.max_length is None and not db_field.choices:
                kwargs["max_length"] = TEXT_LIMIT
        if item and item.widget == "nrs":
            return forms.TypedChoiceField(
                label=db_field.verbose_name,
                help_text=db_field.help_text,
                required=not db_field.blank,
                choices=[(n, str(n)) for n in range(11)],
                coerce=int,
                empty_value=None,
                widget=NrsSelect,
            )
        formfield = db_field.formfield(**kwargs)
        if formfield is None:
            return None
        if isinstance(formfield, forms.CharField):
            formfield.validators.append(no_control_characters)
        formfield.short = item.short if item else ""  # type: ignore[attr-defined]
        if item and item.widget == "select":
            return formfield
        if item and item.widget.startswith("search:"):
            address = {"data-search-url": item.widget.removeprefix("search:")}
            if item.details:
                address["data-details-url"] = item.details
            if isinstance(formfield, forms.TypedChoiceField):  # stays a list: it serves without script
                formfield.widget.attrs |= {**address, "data-combobox": ""}
            else:
                formfield.widget = SearchInput(attrs=address)
        elif isinstance(formfield, (forms.TypedChoiceField, forms.NullBooleanField)) or (
            isinstance(db_field, models.BooleanField) and not isinstance(formfield.widget, forms.CheckboxInput)
        ):
            choices = [(value, label) for value, label in getattr(formfield, "choices", ()) if value not in ("", None)]
            if choices and len(choices) <= 5 and not in_grid:  # a cell has no room for a row of buttons
                formfield.choices = choices  # type: ignore[attr-defined]
                formfield.widget = forms.RadioSelect(choices=choices)
        return formfield

    return callback


def yes_no(label: Any, **options: Any) -> models.BooleanField[Any, Any]:
    """A question answered yes or no; unanswered (NULL) is neither."""
    return models.BooleanField(label, null=True, choices=[(True, _("Yes")), (False, _("No"))], **options)


class _ValidatesChanges(forms.ModelForm):
    """Asks the database about new and changed answers only: stored ones passed when they were saved."""

    def _post_clean(self) -> None:
        if self.instance.pk is None or self.has_changed():
            super()._post_clean()  # type: ignore[misc]  # private to Django

    def _update_errors(self, errors: ValidationError) -> None:
        # A constraint on a field that is set by us and not shown, such as the subject: Django knows no place for it.
        if hasattr(errors, "error_dict"):
            for name in set(errors.error_dict) - {*self.fields, NON_FIELD_ERRORS}:
                errors.error_dict.setdefault(NON_FIELD_ERRORS, []).extend(errors.error_dict.pop(name))
        super()._update_errors(errors)  # type: ignore[misc]  # private to Django


class RowForm(_ValidatesChanges):
    """A row of a grid. A row left wholly empty is no row."""

    group: RowGroup

    def has_changed(self) -> bool:
        # Choice widgets render a default; only a filled value makes a new row.
        if self.instance.pk is None and self.is_bound:
            names = [item.name for item in self.group.items if item.name not in self.group.prefilled]
            return any(str(self._raw(name) or "").strip() not in ("", "False") for name in names)
        return super().has_changed()

    def _raw(self, name: str) -> Any:
        return self.fields[name].widget.value_from_datadict(self.data, self.files, self.add_prefix(name))

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"subject"}  # type: ignore[misc]  # private to Django

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        _conditions(self, self.group.items)
        return self.cleaned_data


class RowFormSet(BaseModelFormSet):
    group: RowGroup

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        # Django's own field asks the database for every row again, and refuses one that someone else has removed
        # meanwhile. The row was matched with the subject's own by `_construct_form`; one that is gone is a new row.
        initial = form.fields["id"].initial
        form.fields["id"] = forms.IntegerField(initial=initial, required=False, widget=forms.HiddenInput)

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form = super()._construct_form(i, **kwargs)  # type: ignore[misc]  # private to Django
        form.fields["id"].required = False
        return form

    def clean(self) -> None:
        if any(self.errors):
            return
        kept = self.kept_forms()
        if len(kept) < self.group.minimum:
            raise ValidationError(
                _("Fill in at least %(count)s row."),
                code="too_few_rows",
                params={"count": self.group.minimum},
            )

    def has_changed(self) -> bool:
        """Also when the rows are only in another order than they are stored."""
        kept = [form.instance.pk for form in self.kept_forms() if form.instance.pk is not None]
        return super().has_changed() or kept != [row.pk for row in self.get_queryset() if row.pk in kept]

    def kept_forms(self) -> list[RowForm]:
        """Forms whose rows will exist after the save, in the order of the screen."""
        return [
            form
            for form in cast("list[RowForm]", self.forms)
            if not (self.can_delete and self._should_delete_form(form))  # type: ignore[attr-defined]  # private
            and (form.instance.pk is not None or form.has_changed())
        ]


def _conditions(form: Any, items: Iterable[Item]) -> None:
    """Blank what is hidden; demand what is shown and required, a value or the reason why there is none."""
    data = form.cleaned_data
    for item in items:
        if item.name not in form.fields:
            continue
        shown = item.show_when is None or (item.show_when.item in data and item.show_when.holds(data))
        if not shown:
            if item.show_when and item.show_when.item in form.errors:
                continue  # the deciding answer is itself wrong: keep what was typed
            field = form._meta.model._meta.get_field(item.name)
            data[item.name] = None if field.null else ("" if field.empty_strings_allowed else field.get_default())
            form._errors.pop(item.name, None)
            missing.clean_reason(form, item, shown=False)
            continue
        missing.clean_reason(form, item, shown=True)
        unanswered = data.get(item.name) in missing.EMPTY and not missing.reason_of(item, data)
        if item.required and unanswered and item.name not in form.errors:
            form.add_error(item.name, ValidationError(_("This answer is needed here."), code="required"))


#: Begins the name of the input with the explanation of a must-explain check.
EXPLAIN_PREFIX = "explain-"


def explanation_name(code: str, match: str = "") -> str:
    """Name of the input with the explanation of one match of a must-explain check."""
    return f"{EXPLAIN_PREFIX}{code}-{match}" if match else f"{EXPLAIN_PREFIX}{code}"


class CrfForm(_ValidatesChanges):
    """Form of one CRF record. Make it with `crf_form`.

    `explained` holds, after `is_valid`, every match of a must-explain check that fails, with its explanation.
    """

    spec: CrfSpec
    formsets: dict[str, RowFormSet]
    explained: list[tuple[EditCheck, str, str]]

    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def _get_validation_exclusions(self) -> set[str]:
        # A model form skips constraints on fields it does not show; `subject` and `event` are set by us and must count.
        return super()._get_validation_exclusions() - {"subject", "event"}  # type: ignore[misc]  # private to Django

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        _conditions(self, self.spec.items())
        self.instance.missing = missing.reasons(self.spec.items(), self.cleaned_data)
        return self.cleaned_data

    def is_valid(self) -> bool:
        """Record, rows, blocking and must-explain edit checks; one answer shows every error.

        The checks run once record and rows are right in themselves.
        """
        valid = super().is_valid()
        for formset in self.formsets.values():
            valid = formset.is_valid() and valid
        if valid:
            for check, _match in self.failed_checks(Level.BLOCK):
                self._refuse(check, gettext(str(check.text)))
                valid = False
            for check, match, problem in self.unexplained():
                words = f"{gettext(str(check.text))} {f'({match})' if match else ''}".strip()
                self._refuse(check, f"{words} {problem}")
                valid = False
        return valid

    def _refuse(self, check: EditCheck, message: str) -> None:
        self.add_error(check.items[0] if check.items[0] in self.fields else None, message)

    def unexplained(self) -> list[tuple[EditCheck, str, str]]:
        """Matches of must-explain checks without a usable explanation, and what is wrong with it.

        An explanation that is not among the posted inputs is the one in force, if there is one.
        """
        self.explained, found = [], []
        failed = self.failed_checks(Level.EXPLAIN)
        live = live_explanations(self.instance.subject, self.spec.code, self.instance.pk) if failed else {}
        for check, match in failed:
            stored = live.get((check.code, match))
            text = self.posted_explanation(check.code, match)
            if text is None:
                text = stored.text if stored else ""
            if not text:
                found.append((check, match, gettext("Correct the answer, or say under “Explanation” why it is right.")))
            elif len(text) > LONGEST:
                words = gettext("The explanation is longer than %(limit)s characters.") % {"limit": LONGEST}
                found.append((check, match, words))
            self.explained.append((check, match, text))
        return found

    def posted_explanation(self, code: str, match: str) -> str | None:
        """The posted explanation of a match (or else of its check as a whole); None when there is no such input."""
        for name in (explanation_name(code, match), explanation_name(code)):
            if name in self.data:
                return str(self.data[name]).replace("\0", "").strip()  # PostgreSQL's text cannot hold a NUL
        return None

    def explanations_changed(self) -> bool:
        """Whether an explanation of a stored record is new or has other words (after is_valid)."""
        if not self.explained:
            return False
        live = live_explanations(self.instance.subject, self.spec.code, self.instance.pk)
        stored = {key: row.text for key, row in live.items()}
        return any(stored.get((check.code, match)) != text for check, match, text in self.explained)

    def values(self) -> Values:
        """The record and rows as they would be saved (after is_valid)."""
        rows = {key: [form.instance for form in formset.kept_forms()] for key, formset in self.formsets.items()}
        return Values(record=self.instance, rows=rows, today=self.instance.subject.site.today())

    def changed_items(self, *, is_new: bool) -> set[str]:
        """Items and row groups that are not what they were before this form; of a new record those with an answer.

        `changed_data` would not tell an answer that was blanked because it is hidden now.
        """
        before = dict.fromkeys((item.name for item in self.spec.items()), "") if is_new else self.initial
        found = {
            item.name for item in self.spec.items() if _other(before[item.name], getattr(self.instance, item.name))
        }
        return found | {key for key, formset in self.formsets.items() if formset.has_changed()}

    def failed_checks(self, level: Level) -> list[tuple[EditCheck, str]]:
        """The checks of one level that fail, once per match (`EditCheck.matches`)."""
        values = self.values()
        return [(check, match) for check in self.spec.checks if check.level is level for match in check.matches(values)]

    def all_errors(self) -> dict[str, list[str]]:
        """Every message by field name (rows as key-number-field), for imports and tests."""
        errors = cast("dict[str, list[Any]]", self.errors)
        found = {name: [str(message) for message in messages] for name, messages in errors.items()}
        for key, formset in self.formsets.items():
            if formset.non_form_errors():
                found[key] = [str(m) for m in formset.non_form_errors()]
            for number, row_errors in enumerate(formset.errors):
                for name, messages in cast("dict[str, list[Any]]", row_errors).items():
                    found[f"{key}-{number}-{name}"] = [str(m) for m in messages]
        return found


def _other(before: Any, after: Any) -> bool:
    return before != after and not (before in missing.EMPTY and after in missing.EMPTY)


def crf_form(
    spec: CrfSpec,
    subject: Any,
    *,
    record: SubjectRecord | None = None,
    event: str = "",
    data: Mapping[str, Any] | None = None,
) -> CrfForm:
    """The form of a new or existing record of `spec` for a subject obtained through the gate."""
    if record is None:
        record = spec.model(subject=subject)
        if isinstance(record, EventRecord):
            record.event = event
    initial = {"seen_version": record.row_version if record.pk else 0, **missing.initial_reasons(spec, record)}
    form: CrfForm = _form_class(spec)(data, instance=record, initial=initial)
    form.spec = spec
    form.formsets = {}
    form.explained = []
    for group in spec.rows:
        existing = of_subject(subject, group.model).filter(**{"parent": record if record.pk else None})
        ready = group.prefill(subject) if group.prefill and record.pk is None and data is None else []
        formset = _formset_class(group)(data, queryset=existing, prefix=group.key, initial=ready)
        formset.extra += len(ready)
        for row_form in formset.forms:
            row_form.empty_permitted = row_form.instance.pk is None
            row_form.instance.subject = subject
        form.formsets[group.key] = formset
    return form


# Made once: a spec does not change while the program runs, and its labels stay lazy, so they follow the language.
@cache
def _form_class(spec: CrfSpec) -> Any:
    items = {item.name: item for item in spec.items()}
    base: Any = ModelFormMetaclass("CrfForm", (CrfForm,), missing.reason_fields(spec))
    return modelform_factory(spec.model, form=base, fields=list(items), formfield_callback=_formfield(items))


@cache
def _formset_class(group: RowGroup) -> Any:
    items = {item.name: item for item in group.items}
    row_class: Any = modelform_factory(
        group.model, form=RowForm, fields=list(items), formfield_callback=_formfield(items, in_grid=True)
    )
    row_class.group = group
    formset_class: Any = modelformset_factory(
        group.model,
        form=row_class,
        formset=RowFormSet,
        extra=group.blank_rows,
        can_delete=True,
        max_num=100,
        validate_max=True,
        absolute_max=120,
    )
    formset_class.group = group
    for item in group.items:
        if item.unit:  # a grid has no room for a unit in the cell
            field = formset_class.form.base_fields[item.name]  # made anew by the factory from `row_class`
            field.label = format_lazy("{} ({})", field.label, item.unit)
    return formset_class


def form_data(
    spec: CrfSpec, values: Mapping[str, Any], rows: Mapping[str, list[Mapping[str, Any]]] | None = None
) -> dict[str, Any]:
    """What a browser would post for these values: lets imports and simulations take the road of the screen.

    The reason why an item has no value goes under `missing.field_name(item)`.
    """
    data: dict[str, Any] = {name: _posted(value) for name, value in values.items() if value is not None}
    for group in spec.rows:
        given = (rows or {}).get(group.key, [])
        data[f"{group.key}-TOTAL_FORMS"] = str(len(given))
        data[f"{group.key}-INITIAL_FORMS"] = str(sum(1 for row in given if row.get("id")))
        for number, row in enumerate(given):
            for name, value in row.items():
                if value is not None:
                    data[f"{group.key}-{number}-{name}"] = _posted(value)
    return data


def _posted(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_posted(each) for each in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
