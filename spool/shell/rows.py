"""Lists of the console that are edited as forms, from the shell: `list`, `show`, `set` and `remove`.

The options of `set` are the fields of the page's form, which checks and stores what is given just as the page does.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db import transaction
from django.db.models import Field, ForeignKey, Model
from django.forms.models import modelform_factory
from django.http import QueryDict

from accounts import changes
from accounts.admin.searching import ModelAdmin
from accounts.forms.comparing import as_posted
from base.complaints import sentences
from spool.actions.actor import Actor
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, USAGE, Ended, Output

# What names the row that is for all that have none of their own, where its key may be empty.
ALL: Final = "*"
_SECRET_BYTES: Final = 10_000


class RowsCommand(VerbCommand):
    """The command of one such list; a row is named by the first field of its model that no two rows share."""

    model: ClassVar[type[Model]]
    page: ClassVar[type[ModelAdmin]]

    def add_arguments(self, parser: Any) -> None:
        key = _key_of(self.model)
        named = {"metavar": key.name.upper(), "help": str(key.help_text) or f"its {key.verbose_name}"}
        if key.null:
            named["help"] = f"{key.verbose_name}; {ALL} for the one of all that have none of their own"
        kind, kinds = self.model._meta.verbose_name, self.model._meta.verbose_name_plural
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "list", f"All {kinds}.", self._list)
        add_verb(verbs, "show", f"One {kind}, with all its fields.", self._show).add_argument("key", **named)
        chosen = add_verb(verbs, "set", f"Changes one {kind}, or adds it; what is not said stays.", self._set)
        chosen.add_argument("key", **named)
        for name, field in self._form()().fields.items():
            if name != key.name:
                _add_option(chosen, name, field)
        add_verb(verbs, "remove", f"Removes one {kind}.", self._remove).add_argument("key", **named)

    def _list(self, options: dict[str, Any], output: Output) -> None:
        columns = [name for name in self._page().list_display if isinstance(name, str)]
        rows = self.model._default_manager.order_by(*self.model._meta.ordering or ["pk"])
        shown = [self._shown(row) for row in rows]
        if not output.as_json:
            key = _key_of(self.model).name
            shown = [{name: row[name] for name in row if name == key or name in columns} for row in shown]
        output.table(shown, nothing=str(self._page().empty_title))

    def _show(self, options: dict[str, Any], output: Output) -> None:
        output.fields(self._shown(self._found(options["key"])))

    @transaction.atomic
    def _set(self, options: dict[str, Any], output: Output) -> None:
        page, key = self._page(), _key_of(self.model)
        row = self._named(options["key"]) or self.model()
        before = changes.stored(row)
        is_new, unbound = row._state.adding, self._form()(instance=row)
        data = QueryDict(mutable=True)
        for name, field in unbound.fields.items():
            value = unbound.get_initial_for_field(field, name)
            if is_new and name == key.name:
                value = _meant(field, _of_key(options["key"], key))
            elif options.get(name) is not None:
                value = _meant(field, options[name])
            for posted, values in as_posted(field.widget, name, field.prepare_value(value)).items():
                data.setlist(posted, values)
        form = self._form()(data, instance=row)
        if not form.is_valid():
            raise Ended(USAGE, sentences(forms.ValidationError(cast(Any, form.errors.as_data()))))
        row = form.save(commit=False)
        page.store(Actor.at_the_shell(), row, form)
        form.save_m2m()
        page.record_many(Actor.at_the_shell(), form)
        output.values(self._shown(row))
        output.line(f"{_key_in_words(row)}: {'nothing was changed' if changes.stored(row) == before else 'stored'}.")
        for note in page.notes(form):
            output.line(note)

    def _remove(self, options: dict[str, Any], output: Output) -> None:
        row = self._found(options["key"])
        named = _key_in_words(row)
        changes.remove(Actor.at_the_shell(), row)
        output.line(f"{named}: removed.")

    def _found(self, key: str) -> Model:
        row = self._named(key)
        if row is None:
            raise Ended(NOTHING, f"There is no {self.model._meta.verbose_name} {key}.")
        return row

    def _named(self, key: str) -> Model | None:
        field = _key_of(self.model)
        wanted = _of_key(key, field)
        if wanted is None:
            return self.model._default_manager.filter(**{f"{field.name}__isnull": True}).first()
        found = self.model._default_manager.filter(**{f"{_path(field)}__iexact": wanted})
        # Of two that differ by their capitals the one that is written alike.
        return next((row for row in found if _key_in_words(row) == wanted), None) or found.first()

    def _shown(self, row: Model) -> dict[str, Any]:
        """Its values by the names of the options; of a secret whether there is one."""
        shown: dict[str, Any] = {}
        for name, field in self._form()(instance=row).fields.items():
            if isinstance(field.widget, forms.PasswordInput):
                shown[name] = "set" if getattr(row, f"sealed_{name}") else "not set"
            elif isinstance(field, forms.ModelMultipleChoiceField):
                shown[name] = [str(one) for one in getattr(row, name).all()] if row.pk else []
            elif isinstance(field, forms.ModelChoiceField):
                shown[name] = str(getattr(row, name) or ALL)
            else:
                shown[name] = getattr(row, name)
        return shown

    def _page(self) -> ModelAdmin:
        return self.page(self.model, admin.site)

    def _form(self) -> Any:
        page = self._page()
        # That of a page that has none of its own has all fields; what a request would add is how they look.
        if getattr(page.form, "_meta", None) and page.form._meta.fields:
            return page.form
        fields = flatten_fieldsets(page.fieldsets) if page.fieldsets else forms.ALL_FIELDS
        return modelform_factory(self.model, form=page.form, fields=fields)


def _add_option(parser: argparse.ArgumentParser, name: str, field: forms.Field) -> None:
    flag, label, help = f"--{name.replace('_', '-')}", str(field.label or name), str(field.help_text)
    given: dict[str, Any] = {"dest": name, "help": f"{label}: {help}" if help else label}
    if isinstance(field.widget, forms.PasswordInput):
        flag, given["type"], given["metavar"] = f"{flag}-file", _secret, "FILE"
        given["help"] = f"{label}: the first line of a file; - for standard input"
    elif isinstance(field, forms.BooleanField):
        given["action"] = argparse.BooleanOptionalAction
    elif isinstance(field, forms.ModelMultipleChoiceField) or isinstance(field.widget, forms.Textarea):
        given |= {"nargs": "*", "metavar": "WORD"}
    elif isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
        values = [str(value) for value, _label in cast(Any, field.choices) if value != ""]
        given |= {"choices": values, "metavar": "WORD", "help": f"{given['help']}: {', '.join(values)}"}
    else:
        given["metavar"] = "N" if isinstance(field, forms.IntegerField | forms.FloatField) else "TEXT"
    given["help"] = given["help"].replace("%", "%%")
    parser.add_argument(flag, **given)


def _meant(field: forms.Field, given: Any) -> Any:
    """A value of the form. Raises Ended for the name of something that is not there."""
    if isinstance(field, forms.ModelMultipleChoiceField):
        return [_related(field, name).pk for name in given]
    if isinstance(field, forms.ModelChoiceField):
        return None if given is None else _related(field, given).pk
    return "\n".join(given) if isinstance(given, list) else given


def _related(field: Any, name: str) -> Model:
    model = field.queryset.model
    found = field.queryset.filter(**{f"{_key_of(model).name}__iexact": name}).first()
    if found is None:
        raise Ended(NOTHING, f"There is no {model._meta.verbose_name} {name}.")
    return cast(Model, found)


def _key_of(model: type[Model]) -> Field[Any, Any]:
    return next(field for field in model._meta.concrete_fields if field.unique and not field.primary_key)


def _path(field: Field[Any, Any]) -> str:
    related = field.related_model if isinstance(field, ForeignKey) else None
    return f"{field.name}__{_key_of(related).name}" if related else field.name


def _of_key(key: str, field: Field[Any, Any]) -> str | None:
    """What a row with this key has in its field: None for the one that is for all."""
    return None if field.null and key == ALL else key


def _key_in_words(row: Model) -> str:
    return str(getattr(row, _key_of(type(row)).name) or ALL)


def _secret(file: str) -> str:
    """The first line of a file, or of standard input."""
    try:
        with nullcontext(sys.stdin) if file == "-" else Path(file).open() as lines:
            text = lines.readline(_SECRET_BYTES).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{file} can't be read: {error}") from error
    if not text:
        raise argparse.ArgumentTypeError(f"the first line of {file} is empty")
    return text
