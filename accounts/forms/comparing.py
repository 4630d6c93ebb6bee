"""Forms that know what they showed: what was left as it was is not written, and what two have changed is told.

Django renders what a field showed beside it (`show_hidden_initial`). When the form comes back, each field has three
values: shown, sent, and what the database has by now. Not touched: the database's stays. Touched by this one alone: it
is written. Touched by both, and to different ends: an error says who was first, and the next save overwrites it.
Nothing that was typed is lost. A form that comes without what it showed, from a program, is taken as it is.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django import forms
from django.db import connection, models
from django.forms.models import model_to_dict
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts import edits
from base.times import to_the_minute

_Posted = dict[str, list[str]]
F = TypeVar("F", bound=forms.ModelForm)


class Comparing(forms.ModelForm):
    """Mixed in before another ModelForm."""

    # The labels of fields that somebody else has changed meanwhile and this form has left alone.
    kept: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = []
        self._compared: list[str] = []
        if self.instance.pk is None:
            return
        edits.remember(self.instance)
        names = [name for name, field in self.fields.items() if self._is_compared(name, field)]
        if not self.is_bound or any(self.add_initial_prefix(name) in self._posted_names() for name in names):
            self._compared = names
        for name in self._compared:
            self.fields[name].show_hidden_initial = True

    def save(self, commit: bool = True) -> Any:
        """With `commit`, only what was changed is written."""
        if not commit or self.instance.pk is None or self.errors:
            return super().save(commit)
        row = super().save(commit=False)
        edits.save(row)
        self.save_m2m()  # type: ignore[attr-defined]
        return row

    def _is_compared(self, name: str, field: forms.Field) -> bool:
        is_secret = isinstance(field.widget, forms.PasswordInput)
        return not (field.disabled or is_secret) and (name in self.initial or name in self._columns())

    def _columns(self) -> dict[str, models.Field[Any, Any]]:
        return {field.name: field for field in self.instance._meta.concrete_fields}

    def _posted_names(self) -> set[str]:
        # Of a field with several inputs the first is enough.
        return {name.removesuffix("_0") for name in self.data}

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        if self._compared and self.is_bound:
            self._compare()

    def _compare(self) -> None:
        # A form may have lost fields since it was made: of its own account one does not change everything.
        names = [name for name in self._compared if name in self.fields]
        touched = {name for name in names if self._is_touched(name)}
        # Many rows may be on one page, and mostly few of them are touched: the others were read a moment ago.
        now = self._as_it_is_now() if touched else {name: self.initial.get(name) for name in names}
        if now is None:
            self.add_error(None, self._deleted())
            return
        data = self.data = self.data.copy()  # type: ignore[attr-defined]
        for name in names:
            field, shown_name = self.fields[name], self.add_initial_prefix(name)
            present = as_posted(field.hidden_widget(), shown_name, field.prepare_value(now[name]))
            shown = {key: data.getlist(key) for key in present}
            is_as_shown = _plain(shown) == _plain(present)
            if name not in touched:
                # Also as it was shown: a browser's way to write it is none of ours.
                self._take_over(name, now[name])
                if not is_as_shown:
                    self.kept.append(str(field.label or name))
            elif not is_as_shown and self._differs(name, now[name]):
                self.add_error(name, self._told(field, shown, present))
            for key, values in present.items():
                data.setlist(key, values)
        secrets = [name for name, field in self.fields.items() if isinstance(field.widget, forms.PasswordInput)]
        if self.errors and any(data.get(self.add_prefix(name)) for name in secrets):
            self.add_error(None, _("A password is never shown: type it again."))

    def _as_it_is_now(self) -> dict[str, Any] | None:
        """The values of the compared fields, as `initial` has them; None when the row is gone."""
        rows = type(self.instance)._default_manager.filter(pk=self.instance.pk)
        if connection.in_atomic_block:
            rows = rows.select_for_update(of=("self",))
        fresh = rows.first()
        if fresh is None:
            return None
        columns = self._columns()
        attributes = [columns[name].attname for name in self._compared if name in columns]
        edits.correct(self.instance, {name: getattr(fresh, name) for name in attributes})
        # What is no column was read when the form was made, a moment ago.
        return {**{name: self.initial.get(name) for name in self._compared}, **model_to_dict(fresh, self._compared)}

    def _is_touched(self, name: str) -> bool:
        field = self.fields[name]
        shown = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix(name))
        sent = self[name].data
        if isinstance(shown, str) and isinstance(sent, str) and _one_end(shown) == _one_end(sent):
            return False
        try:
            return field.has_changed(field.to_python(shown), sent)
        except forms.ValidationError:
            return True

    def _differs(self, name: str, value: Any) -> bool:
        sent = self[name].data
        if isinstance(value, str) and isinstance(sent, str) and _one_end(value) == _one_end(sent):
            return False
        return self.fields[name].has_changed(value, sent)

    def _take_over(self, name: str, value: Any) -> None:
        """Show and store what the database has."""
        field, data = self.fields[name], cast(QueryDict, self.data)
        for key, values in as_posted(field.widget, self.add_prefix(name), field.prepare_value(value)).items():
            if values:
                data.setlist(key, values)
            else:
                data.pop(key, None)
        self.errors.pop(name, None)
        if name in self._columns():
            self.cleaned_data[name] = getattr(self.instance, name)
            return
        self.cleaned_data[name] = value
        if (clean := getattr(self, f"clean_{name}", None)) is not None:
            self.cleaned_data[name] = clean()

    def _told(self, field: forms.Field, shown: _Posted, present: _Posted) -> str:
        said = {"before": _in_words(field, shown), "now": _in_words(field, present)}
        found = edits.last_change(self.instance)
        if found is None:
            changed = _("Changed meanwhile, from %(before)s to %(now)s.") % said
        else:
            when, who = found
            changed = _("Changed meanwhile by %(who)s (%(when)s), from %(before)s to %(now)s.") % {
                **said,
                "who": who,
                "when": to_the_minute(when),
            }
        return changed + " " + _("What you entered is still here: save again to have it replace that.")

    def _deleted(self) -> str:
        found = edits.last_change(self.instance)
        if found is None:
            return _("It was deleted meanwhile. What you typed is still here.")
        when, who = found
        return _("It was deleted meanwhile by %(who)s (%(when)s). What you typed is still here.") % {
            "who": who,
            "when": to_the_minute(when),
        }


def comparing(form: type[F]) -> type[F]:
    """The form, comparing."""
    if issubclass(form, Comparing):
        return form
    named = {"__module__": form.__module__, "__doc__": form.__doc__}
    return cast(type[F], type(form)(form.__name__, (Comparing, form), named))  # type: ignore[misc]


def as_posted(widget: forms.Widget, name: str, value: Any) -> _Posted:
    """What a browser sends of a field with this value, by the names of its inputs."""
    if isinstance(widget, forms.MultiWidget):
        suffixes: list[str] = widget.widgets_names  # type: ignore[attr-defined]
        found: _Posted = {}
        for part, suffix, one in zip(widget.widgets, suffixes, widget.decompress(value) or (), strict=True):
            found |= as_posted(part, name + suffix, one)
        return found
    if isinstance(widget, forms.CheckboxInput):
        return {name: ["on"] if value else []}
    if isinstance(widget, forms.MultipleHiddenInput | forms.SelectMultiple | forms.CheckboxSelectMultiple):
        return {name: [str(one) for one in value or ()]}
    text = widget.format_value(value)
    if isinstance(text, list | tuple):
        text = text[0] if text else ""
    return {name: ["" if text is None else str(text)]}


def _plain(posted: _Posted) -> dict[str, list[str]]:
    return {name: [_one_end(value) for value in values] or [""] for name, values in posted.items()}


def _one_end(text: str) -> str:
    """Browsers end the lines of a box in their own way."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _in_words(field: forms.Field, posted: _Posted) -> str:
    text = " ".join(value for values in posted.values() for value in values if value)
    if isinstance(field, forms.BooleanField):
        return _("on") if text == "True" else _("off")
    if isinstance(field, forms.ModelChoiceField):
        named = {field.to_field_name or "pk": text}
        rows = field.queryset.model._default_manager.filter(**named) if text and field.queryset is not None else []
        return next((f"“{row}”" for row in rows), _("nothing"))
    if isinstance(field, forms.ChoiceField):
        return f"“{dict(_flat(field.choices)).get(text, text)}”"
    return f"“{' '.join(text.split())[:100]}”" if text else _("nothing")


def _flat(choices: Any) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for value, label in choices:
        flat += _flat(label) if isinstance(label, list | tuple) else [(str(value), str(label))]
    return flat
