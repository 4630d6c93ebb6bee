"""`manage.py settings list|get|set|reset`: the Settings row from the shell, and the other pages of settings.

Those of another page have its name before theirs: `antispam.outbound_unanswered`.
"""

import argparse
import json
import sys
from typing import Any, Final, NoReturn

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BooleanField

from accounts import changes, edits
from accounts.actor import Actor
from accounts.management.terminal import TerminalCommand
from base.complaints import sentences
from base.declared_settings import Setting, models_of_settings, of_model, of_section, prefix_of
from base.one_row import OneRow
from spool.models.settings import forget

_SWITCH: Final = dict.fromkeys(("on", "yes", "true", "1"), True) | dict.fromkeys(("off", "no", "false", "0"), False)


class Command(TerminalCommand):
    """Exit status: 0 done, 1 refused, 2 usage."""

    help = "Show or change how mail is handled. A change is in effect within a second, without a restart."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="all, with what they are")
        listed.add_argument("--changed", action="store_true", help="only those that differ from their default")
        listed.add_argument("--section", default="", metavar="TITLE", help="only this section of the console's page")
        verbs.add_parser("get", help="one").add_argument("name")
        setting = verbs.add_parser("set", help="change one, NAME VALUE, or several at once, NAME=VALUE …")
        setting.add_argument("words", nargs="+", metavar="NAME=VALUE", help="an empty value is ''")
        reset = verbs.add_parser("reset", help="set some, or a section of the console's page, to their defaults")
        reset.add_argument("names", nargs="*", metavar="NAME")
        reset.add_argument("--section", default="", metavar="TITLE", help='as "Retries and bounces"')
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "list":
            self._list(options)
            return
        if options["verb"] == "reset":
            self._reset(options)
            return
        given = self._pairs(options["words"]) if options["verb"] == "set" else {self._known(options["name"]): ""}
        if options["verb"] == "set":
            self._set(given)
        values = _values({name: place for name, place in _places().items() if name in given})
        if options["json"]:
            self._print(values, as_json=True)
        elif options["verb"] == "get":
            self.stdout.write(str(next(iter(values.values()))))

    def _list(self, options: dict[str, Any]) -> None:
        """Of those that differ, their defaults too, for people."""
        found = {one.name: one for one in self._of_section(options["section"])} if options["section"] else None
        values = _values({name: place for name, place in _places().items() if found is None or name in found})
        if options["changed"]:
            known = {one.name: one for model in models_of_settings() for one in of_model(model)}
            values = {name: value for name, value in values.items() if name in known and value != known[name].default}
            if not options["json"]:
                for name, value in values.items():
                    self.stdout.write(f"{name} = {value} (default: {known[name].default})")
                return
        self._print(values, as_json=options["json"])

    @transaction.atomic
    def _reset(self, options: dict[str, Any]) -> None:
        """To what their fields say; each change is written down."""
        if bool(options["names"]) == bool(options["section"]):
            self._refuse("Say which: NAME …, or --section TITLE.", 2)
        wanted = self._of_section(options["section"]) if options["section"] else self._named(options["names"])
        for model in dict.fromkeys(one.model for one in wanted):
            row = model.load()
            edits.remember(row)
            for one in wanted:
                if one.model is model:
                    setattr(row, one.field.attname, one.default)
            self._store(row)
        OneRow.forget()
        forget()
        values = _values({name: _places()[name] for name in (one.name for one in wanted)})
        self._print(values, as_json=options["json"])

    def _named(self, names: list[str]) -> list[Setting]:
        known = {one.name: one for model in models_of_settings() for one in of_model(model)}
        return [known[name] if name in known else self._unknown(name) for name in map(self._known, names)]

    def _unknown(self, name: str) -> NoReturn:
        self._refuse(f"{name} is nothing that somebody sets.")

    def _of_section(self, title: str) -> list[Setting]:
        found = [
            one
            for model in models_of_settings()
            for section in model.sections
            if title.lower() in (section.title.lower(), f"{model()} › {section.title}".lower())
            for one in of_section(model, section)
        ]
        if not found:
            titles = (str(section.title) for model in models_of_settings() for section in model.sections)
            self._refuse(f"There is no section {title}. They are: {', '.join(titles)}.")
        return found

    def _pairs(self, words: list[str]) -> dict[str, str]:
        """The values by the names of the settings."""
        if len(words) == 2 and "=" not in words[0]:
            words = [f"{words[0]}={words[1]}"]
        pairs: dict[str, str] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                self._refuse(f"{word} has no value: write NAME VALUE for one setting, NAME=VALUE … for several.", 2)
            if pairs.setdefault(self._known(name), value) != value:
                self._refuse(f"{name} is given twice.")
        return pairs

    def _known(self, name: str) -> str:
        if name.replace("-", "_") not in _places():
            self._refuse(f"There is no setting {name}; `settings list` shows all.")
        return name.replace("-", "_")

    @transaction.atomic
    def _set(self, values: dict[str, str]) -> None:
        pages: dict[type[OneRow], dict[str, str]] = {}
        for name, value in values.items():
            model, field = _places()[name]
            pages.setdefault(model, {})[field] = value
        for model, some in pages.items():
            self._set_on_page(model, some)
        OneRow.forget()
        forget()

    def _set_on_page(self, model: type[OneRow], values: dict[str, str]) -> None:
        row = model.load()
        edits.remember(row)
        for name, value in values.items():
            setattr(row, name, self._meant(model, name, value))
        self._store(row)

    def _store(self, row: OneRow) -> None:
        try:
            row.full_clean()
        except ValidationError as error:
            self._refuse(sentences(error))
        changes.save(Actor.at_the_shell(), row)

    def _meant(self, model: type[OneRow], name: str, value: str) -> object:
        """What is switched on or off has more words for that than Django reads; what is one of a few is told them."""
        field = model._meta.get_field(name)
        if choices := getattr(field, "flatchoices", None):
            if value not in (str(word) for word, _ in choices):
                words = ", ".join(f"{word or repr('')} ({label})" for word, label in choices)
                self._refuse(f"{name}: {value or repr('')} is none of: {words}.")
            return value
        if not isinstance(field, BooleanField):
            return value
        if value.lower() not in _SWITCH:
            self._refuse(f"{name}: {value or 'nothing'} is neither on nor off.")
        return _SWITCH[value.lower()]

    def _print(self, values: dict[str, Any], *, as_json: bool) -> None:
        plain = "\n".join(f"{name} = {value}" for name, value in values.items())
        self.stdout.write(json.dumps(values, indent=2) if as_json else plain)

    def _refuse(self, sentence: str, status: int = 1) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(status)


def _places() -> dict[str, tuple[type[OneRow], str]]:
    """Where each setting is: the model of its page, and the field."""
    places: dict[str, tuple[type[OneRow], str]] = {}
    for model in models_of_settings():
        prefix = prefix_of(model)
        page = f"{prefix}." if prefix else ""
        fields = [field.name for field in model._meta.fields if field.name != "id" and (field.editable or not page)]
        places |= {f"{page}{name}": (model, name) for name in fields}
    return places


def _values(places: dict[str, tuple[type[OneRow], str]]) -> dict[str, Any]:
    """What they are now. One query a page."""
    rows = {model: model.load() for model, _ in places.values()}
    return {name: getattr(rows[model], field) for name, (model, field) in places.items()}
