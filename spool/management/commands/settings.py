"""`manage.py settings list|get|set`: the Settings row from the shell."""

import argparse
import json
import sys
from typing import Any, NoReturn

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction

from accounts import edits
from accounts.management.terminal import TerminalCommand
from spool.actions import Actor, audit
from spool.models import Settings
from spool.models.settings import forget


class Command(TerminalCommand):
    """Exit status: 0 done, 1 refused, 2 usage."""

    help = "Show or change how mail is handled. A change is in effect within a second, without a restart."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="all, with what they are")
        verbs.add_parser("get", help="one").add_argument("name")
        setting = verbs.add_parser("set", help="change one, NAME VALUE, or several at once, NAME=VALUE …")
        setting.add_argument("words", nargs="+", metavar="NAME=VALUE", help="an empty value is ''")
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "list":
            row = Settings.load()
            self._print({name: getattr(row, name) for name in _names()}, as_json=options["json"])
            return
        given = self._pairs(options["words"]) if options["verb"] == "set" else {self._known(options["name"]): ""}
        if options["verb"] == "set":
            self._set(given)
        row = Settings.load()
        if options["json"]:
            self._print({name: getattr(row, name) for name in given}, as_json=True)
        elif options["verb"] == "get":
            self.stdout.write(str(getattr(row, next(iter(given)))))

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
        if name.replace("-", "_") not in _names():
            self._refuse(f"There is no setting {name}; `settings list` shows all.")
        return name.replace("-", "_")

    @transaction.atomic
    def _set(self, values: dict[str, str]) -> None:
        row = Settings.load()
        before = {name: getattr(row, name) for name in values}
        edits.remember(row)
        for name, value in values.items():
            setattr(row, name, value)
        try:
            row.full_clean()
        except ValidationError as error:
            self._refuse(_sentences(error))
        changed = edits.save(row)
        if changed:
            said = "; ".join(f"{name}: {_worded(before[name])} → {_worded(getattr(row, name))}" for name in before)
            audit.note(Actor.at_the_shell(), "settings", str(row), said)
        forget()

    def _print(self, values: dict[str, Any], *, as_json: bool) -> None:
        plain = "\n".join(f"{name} = {value}" for name, value in values.items())
        self.stdout.write(json.dumps(values, indent=2) if as_json else plain)

    def _refuse(self, sentence: str, status: int = 1) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(status)


def _worded(value: object) -> str:
    return " ".join(str(value).split()) or "empty"


def _names() -> list[str]:
    return [field.name for field in Settings._meta.fields if field.name != "id"]


def _sentences(error: ValidationError) -> str:
    """What is wrong, with the setting that is to blame."""
    return " ".join(
        " ".join(messages) if field == NON_FIELD_ERRORS else f"{field}: {' '.join(messages)}"
        for field, messages in error.message_dict.items()
    )
