"""The form of a section: that of the whole page, with the fields of the section alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, QueryDict

from accounts.forms.comparing import as_posted
from base.declared_settings import Setting, parted
from base.one_row import OneRow
from mailspool.setting_pages.places import Place


def form_of(request: HttpRequest, place: Place, row: OneRow, posted: QueryDict | None = None) -> forms.ModelForm:
    """What is typed in a section of a row's page; nothing else of the row can be sent."""
    whole = admin.site.get_model_admin(place.model).get_form(request, row, change=True)
    return type("SectionForm", (_OfSection, whole), {"names": tuple(place.section.names)})(posted, instance=row)


def with_defaults(form: forms.ModelForm, posted: QueryDict, settings: Iterable[Setting]) -> QueryDict:
    """What was sent, with the defaults in the place of some of it."""
    data = posted.copy()
    for setting in settings:
        name = setting.field.name
        field = form.fields[name]
        value = field.prepare_value(setting.default)
        for key, values in as_posted(field.widget, form.add_prefix(name), value).items():
            data.pop(key, None)
            if values:
                data.setlist(key, values)
    return data


class _OfSection(forms.ModelForm):
    """Mixed in before the form of a page.

    What is wrong elsewhere in the row, a certificate that is gone, is no reason to refuse this section; what becomes
    wrong there by it is.
    """

    names: tuple[str, ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields = {name: self.fields[name] for name in self.names if name in self.fields}
        for field in self.fields.values():
            field.label = parted(str(field.label))[0]
        self._wrong_before = _complaints(self.instance)

    def add_error(self, field: str | None, error: Any) -> None:
        errors = getattr(error, "error_dict", None)
        if field is None and errors is not None:
            for name, messages in errors.items():
                if name in self.fields or name == NON_FIELD_ERRORS:
                    super().add_error(None if name == NON_FIELD_ERRORS else name, messages)
                elif new := [text for text in ValidationError(messages).messages if text not in self._wrong_before]:
                    super().add_error(None, [f"{name}: {text}" for text in new])
            return
        super().add_error(field, error)


def _complaints(row: Any) -> set[str]:
    """What is wrong with a row as it is stored."""
    stored = type(row)._default_manager.filter(pk=row.pk).first()
    try:
        if stored is not None:
            stored.clean()
    except ValidationError as error:
        return set(error.messages)
    return set()
